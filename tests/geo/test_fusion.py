from __future__ import annotations

import numpy as np
import pytest

from geo.cameras import BrownCamera
from geo.fusion import fuse
from geo.location import CAUSES, Location, locate
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain

CAMERA = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)
GROUND = FlatTerrain(800.0)
SIGMAS = PoseSigmas(horizontal_m=1.2, vertical_m=1.5, tilt_deg=0.4, yaw_deg=1.5, time_s=0.02)
PLANE = LocalPlane(lon=76.945, lat=43.205, height_m=800.0)
PIXEL_SIGMA_PX = 6.0


def pose(east_m: float, north_m: float, height_m: float, tilt: tuple[float, float, float], utc_s: float) -> Pose:
    lon, lat = PLANE.to_lonlat(east_m, north_m)
    return Pose(
        utc_s=utc_s,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(800.0 + height_m, Datum.AMSL)),
        attitude=Attitude(roll_deg=tilt[0], pitch_deg=-80 + tilt[1], yaw_deg=tilt[2]),
    )


def looks(rng: np.random.Generator, up_m: float = 0.0) -> tuple[list[Location], list[float]]:
    """Five looks at a thing `up_m` above the plane's origin in one pass: pose errors are one draw, box errors are new
    each time."""
    east, north, up = rng.normal(0, [SIGMAS.horizontal_m, SIGMAS.horizontal_m, SIGMAS.vertical_m])
    tilt = rng.normal(0, [SIGMAS.tilt_deg, SIGMAS.tilt_deg, SIGMAS.yaw_deg])
    found, times = [], [float(t) for t in range(5)]
    for t in times:
        at_m = (-30.0 + 8.0 * t, 5.0)
        true = pose(*at_m, 80.0, (0.0, 0.0, 90.0), t)
        believed = pose(at_m[0] + east, at_m[1] + north, 80.0 + up, (tilt[0], tilt[1], 90.0 + tilt[2]), t)
        ray = true.enu_from_camera().T @ np.array([-at_m[0], -at_m[1], up_m - 80.0])
        pixel = CAMERA.pixels_from_rays(ray) + rng.normal(0, PIXEL_SIGMA_PX, 2)
        found += locate(CAMERA, believed, [pixel], GROUND, sigmas=SIGMAS, pixel_sigma_px=PIXEL_SIGMA_PX, dem_sigma_m=0)
    return found, times


def test_the_ellipse_of_fused_looks_holds_the_truth_nine_times_in_ten() -> None:
    rng = np.random.default_rng(7)
    runs = 400
    inside = 0
    for _ in range(runs):
        fused = fuse(*looks(rng))
        error = np.array(PLANE.to_plane(fused.position.lon, fused.position.lat))
        inside += error @ np.linalg.inv(np.array(fused.covariance_m2)) @ error < -2 * np.log(0.1)
    assert 0.86 < inside / runs < 0.95


def test_looks_of_one_pass_are_not_independent() -> None:
    found, times = looks(np.random.default_rng(1))
    together = np.linalg.det(np.array(fuse(found, times).covariance_m2))
    one = np.linalg.det(np.array(fuse(found[:1], times[:1]).covariance_m2))
    hours_apart = np.linalg.det(np.array(fuse(found, [3600.0 * t for t in times]).covariance_m2))
    assert hours_apart < together < one


def test_moves_make_up_the_covariance() -> None:
    (location,), _ = (part[:1] for part in looks(np.random.default_rng(2)))
    moves = np.array(location.moves_m)
    assert moves.shape == (len(CAUSES), 3)
    np.testing.assert_allclose(moves.T @ moves, location.covariance_m2)


def test_nothing_to_fuse_is_said() -> None:
    with pytest.raises(ValueError, match="no looks"):
        fuse([], [])
