"""Looks fused with their biases: what they share is counted once, found and removed."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.fusion import LASTING, Fused, Joint, Known, Sight, fuse, fuse_jointly
from geo.location import CAUSES, Location, locate
from geo.poses import ENU_FROM_NED, Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain

CAMERA = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
GROUND = FlatTerrain(800.0)
SIGMAS = PoseSigmas(horizontal_m=1.2, vertical_m=1.5, tilt_deg=0.4, yaw_deg=1.5, time_s=0.02)
PLANE = LocalPlane(lon=76.945, lat=43.205, height_m=800.0)
PIXEL_SIGMA_PX = 3.0
CHI2_90 = -2 * np.log(0.1)
THINGS = {"dump": (0.0, 0.0), "fire": (14.0, 6.0), "hole": (-9.0, 12.0)}


class Errors:
    """One draw of the errors of a flight, constant over a pass."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.offset_m = rng.normal(0, [SIGMAS.horizontal_m, SIGMAS.horizontal_m, SIGMAS.vertical_m])
        self.turn = np.radians(rng.normal(0, [SIGMAS.tilt_deg, SIGMAS.tilt_deg, SIGMAS.yaw_deg]))


def position(east_m: float, north_m: float, amsl_m: float) -> Position:
    lon, lat = PLANE.to_lonlat(east_m, north_m)
    return Position(lon=float(lon), lat=float(lat), altitude=Altitude(amsl_m, Datum.AMSL))


def aimed(at_m: NDArray[np.float64], yaw_deg: float, pitch_deg: float, utc_s: float, errors: Errors | None) -> Pose:
    """The true pose at `at_m` (east, north, up), or the one believed under `errors`."""
    if errors is None:
        return Pose(
            utc_s=utc_s,
            position=position(at_m[0], at_m[1], 800 + at_m[2]),
            attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg),
        )
    believed = at_m + errors.offset_m

    true = ENU_FROM_NED @ Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg).ned_from_body()
    turned = ENU_FROM_NED.T @ Rotation.from_rotvec(errors.turn).as_matrix() @ true
    yaw, pitch, roll = Rotation.from_matrix(turned).as_euler("ZYX", degrees=True)
    return Pose(
        utc_s=utc_s,
        position=position(believed[0], believed[1], 800 + believed[2]),
        attitude=Attitude(roll_deg=float(roll), pitch_deg=float(pitch), yaw_deg=float(yaw)),
    )


def looks(bearing_deg: float, errors: Errors, rng: np.random.Generator) -> dict[str, Location]:
    """Looks at all things from 80 m above ground and 80 m away from the middle, on that side of it."""
    side = np.radians(bearing_deg)
    at_m = np.array([80 * np.sin(side), 80 * np.cos(side), 80.0])
    yaw_deg = (bearing_deg + 180.0) % 360.0
    true = aimed(at_m, yaw_deg, -45.0, 0.0, None)
    rays = (np.array([(*place, 0.0) for place in THINGS.values()]) - at_m) @ true.enu_from_camera()
    pixels = CAMERA.pixels_from_rays(rays) + rng.normal(0, PIXEL_SIGMA_PX, (len(THINGS), 2))
    believed = aimed(at_m, yaw_deg, -45.0, 0.0, errors)
    found = locate(CAMERA, believed, pixels, GROUND, sigmas=SIGMAS, pixel_sigma_px=PIXEL_SIGMA_PX, dem_sigma_m=0.0)
    return dict(zip(THINGS, found, strict=True))


def passes(rng: np.random.Generator, bearings: list[float], flight: str = "a") -> list[Sight]:
    """Looks at all things from all sides within some seconds."""
    errors = Errors(rng)
    return [
        Sight(thing=thing, location=location, utc_s=0.1 * number, flight=flight)
        for number, bearing in enumerate(bearings)
        for thing, location in looks(bearing, errors, rng).items()
    ]


def error_m(fused: Fused, thing: str) -> NDArray[np.float64]:
    return np.array(PLANE.to_plane(fused.position.lon, fused.position.lat)) - THINGS[thing]


def miss_m(found: list[Joint], thing: str = "dump") -> float:
    """Median distance from the truth."""
    return float(np.median([np.hypot(*error_m(joint.things[thing], thing)) for joint in found]))


def sigma_m(joint: Joint, thing: str = "dump") -> float:
    return float(np.sqrt(np.trace(np.array(joint.things[thing].covariance_m2))))


def test_each_cause_has_its_lasting() -> None:
    assert set(LASTING) == set(CAUSES)


@pytest.mark.parametrize("bearings", [[0.0], [0.0, 20.0], [0.0, 90.0, 180.0, 270.0]])
def test_the_ellipses_of_fused_looks_hold_the_truth_nine_times_in_ten(bearings: list[float]) -> None:
    rng = np.random.default_rng(7)
    inside = []
    for _ in range(120):
        joint = fuse_jointly(passes(rng, bearings))
        d2 = [
            e @ np.linalg.solve(np.array(joint.things[t].covariance_m2), e)
            for t in THINGS
            for e in [error_m(joint.things[t], t)]
        ]
        inside.append(np.mean(np.array(d2) < CHI2_90))
    assert 0.83 < np.mean(inside) < 0.96


def test_no_number_of_looks_tells_where_the_middle_of_an_extended_thing_is() -> None:
    sights = passes(np.random.default_rng(8), [0.0, 90.0, 180.0, 270.0])
    extended = [
        msgspec.structs.replace(sight, location=sight.location.extended(5.0))
        for sight in sights
        if isinstance(sight.location, Location)
    ]
    before, after = (np.array(fuse_jointly(each).things["dump"].covariance_m2) for each in (sights, extended))
    np.testing.assert_allclose(after - before, 25.0 * np.eye(2), atol=0.05)
    one = extended[0].location
    assert isinstance(one, Location)
    assert one.ellipse.semi_minor_m > 5.0 * 2.14
    np.testing.assert_allclose(np.einsum("ci,cj->ij", one.moves_m, one.moves_m), one.covariance_m2, atol=1e-6)


def test_looks_from_all_sides_find_the_biases_and_remove_them() -> None:
    rng = np.random.default_rng(3)
    one, round_ = [], []
    for _ in range(40):
        sights = [s for s in passes(rng, [0.0, 60.0, 120.0, 180.0, 240.0, 300.0]) if s.thing == "dump"]
        one.append(fuse_jointly(sights[:1]))
        round_.append(fuse_jointly(sights))
    assert miss_m(round_) < 0.6 * miss_m(one)
    told = {bias.cause: bias.sigma for bias in round_[0].biases}
    assert told["yaw"] < 0.3
    assert told["up"] < 0.95


def test_a_bias_is_found_as_it_is() -> None:
    rng = np.random.default_rng(4)
    errors = Errors(rng)
    errors.offset_m[:] = 0.0
    errors.turn[:] = 0.0, 0.0, np.radians(2 * SIGMAS.yaw_deg)
    sights = [
        Sight(thing="dump", location=looks(bearing, errors, rng)["dump"], utc_s=0.1 * bearing)
        for bearing in range(0, 360, 30)
    ]
    (yaw,) = (bias for bias in fuse_jointly(sights).biases if bias.cause == "yaw")
    assert yaw.value == pytest.approx(2.0, abs=0.4)


def test_a_thing_whose_place_is_known_sharpens_the_others() -> None:
    rng = np.random.default_rng(5)
    known = {"fire": Known(position=position(*THINGS["fire"], 800.0), covariance_m2=((0.01, 0.0), (0.0, 0.01)))}
    without, told = [], []
    for _ in range(40):
        sights = passes(rng, [0.0])
        without.append(fuse_jointly(sights))
        told.append(fuse_jointly(sights, known=known))
    assert miss_m(told) < 0.45 * miss_m(without)
    assert sigma_m(told[0]) < 0.5 * sigma_m(without[0])
    assert sigma_m(told[0], "fire") < 0.15


def test_several_vehicles_share_nothing_but_the_ground() -> None:
    rng = np.random.default_rng(6)
    first, second, third = (passes(rng, [0.0], flight)[:1] for flight in ("a", "a", "b"))
    alone, same, other = (fuse_jointly(sights) for sights in (first, first + second, first + third))
    assert sigma_m(other) == pytest.approx(sigma_m(alone) / np.sqrt(2), rel=0.03)
    assert sigma_m(same) > 1.2 * sigma_m(other)


def test_the_order_of_looks_does_not_matter() -> None:
    sights = passes(np.random.default_rng(8), [0.0, 90.0]) + passes(np.random.default_rng(9), [45.0], "b")
    one, other = fuse_jointly(sights), fuse_jointly(sights[::-1])
    for thing in THINGS:
        np.testing.assert_allclose(error_m(one.things[thing], thing), error_m(other.things[thing], thing), atol=1e-4)
    assert one.chi2 == pytest.approx(other.chi2, rel=1e-3)


def test_a_fused_place_tells_what_still_moves_it_and_may_be_fused_again() -> None:
    rng = np.random.default_rng(10)
    sights = [s for s in passes(rng, [0.0, 25.0]) if s.thing == "dump"]
    fused = fuse_jointly(sights).things["dump"]
    moves = np.array(fused.moves_m)
    np.testing.assert_allclose(moves.T @ moves, fused.covariance_m2, rtol=1e-6)
    np.testing.assert_allclose(fuse([fused], [0.0]).covariance_m2, fused.covariance_m2, rtol=1e-3)
    minute, day = (fuse([fused, fused], [0.0, apart_s]) for apart_s in (1.0, 86_400.0))
    assert np.linalg.det(minute.covariance_m2) > 2 * np.linalg.det(day.covariance_m2)


def test_residuals_are_as_large_as_they_should_be() -> None:
    rng = np.random.default_rng(12)
    joints = [fuse_jointly(passes(rng, [0.0, 120.0, 240.0])) for _ in range(40)]
    assert np.mean([joint.chi2 / joint.freedom for joint in joints]) == pytest.approx(1.0, abs=0.15)


def test_looks_hours_apart_are_worth_more_than_looks_of_one_pass() -> None:
    rng = np.random.default_rng(1)
    seen = [s.location for s in passes(rng, [0.0] * 5) if s.thing == "dump"]
    times = [float(t) for t in range(5)]
    together = np.linalg.det(np.array(fuse(seen, times).covariance_m2))
    one = np.linalg.det(np.array(fuse(seen[:1], times[:1]).covariance_m2))
    hours_apart = np.linalg.det(np.array(fuse(seen, [3600.0 * t for t in times]).covariance_m2))
    assert hours_apart < together < one


def test_nothing_to_fuse_is_said() -> None:
    with pytest.raises(ValueError, match="no looks"):
        fuse([], [])
