from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.camera_library import camera, custom_camera
from geo.errors import CameraInvalid
from geo.footprint import ground_gsd_m
from geo.location import locate
from geo.pictures import Footprint, footprint, height_for, pictures
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.terrain import FlatTerrain

M3E, SIM = camera("dji-mavic-3e"), camera("sim-wide")


def test_straight_down_it_is_the_picture_of_the_library() -> None:
    seen = footprint(M3E, height_m=100)
    assert (seen.across_m, seen.along_m) == pytest.approx(M3E.footprint_m(100), rel=1e-6)
    assert seen.gsd_m == pytest.approx(M3E.gsd_m(100), rel=1e-6)
    assert seen.finest_gsd_m == pytest.approx(seen.worst_gsd_m, rel=1e-6)
    assert seen.centre_m == pytest.approx((0, 0), abs=1e-9)


@pytest.mark.parametrize(("slug", "pitch_deg"), [("dji-mavic-3e", -60.0), ("sim-wide", -45.0), ("sim-wide", -90.0)])
def test_the_trapezoid_is_where_pixels_are_located(slug: str, pitch_deg: float) -> None:
    model = camera(slug)
    lens = model.brown_camera()
    pose = Pose(
        utc_s=0.0,
        position=Position(lon=76.95, lat=43.2, altitude=Altitude(900.0, Datum.AMSL)),
        attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=0.0, roll_deg=0.0),
    )
    high, wide = lens.height_px - 0.5, lens.width_px - 0.5
    corners = [(-0.5, high), (wide, high), (wide, -0.5), (-0.5, -0.5), ((wide - 0.5) / 2, (high - 0.5) / 2)]
    found = locate(lens, pose, corners, FlatTerrain(800.0), sigmas=PoseSigmas())
    plane = LocalPlane(lon=76.95, lat=43.2, height_m=800.0)
    there = np.stack(plane.to_plane([f.position.lon for f in found], [f.position.lat for f in found]), axis=1)
    seen = footprint(model, height_m=100.0, pitch_deg=pitch_deg)
    np.testing.assert_allclose(there, [*seen.corners_m, seen.centre_m], rtol=2e-3, atol=0.02)
    gsd = ground_gsd_m(lens, pose, np.array(corners), FlatTerrain(800.0))
    assert seen.worst_gsd_m == pytest.approx(gsd.max(), rel=0.01)
    assert seen.gsd_m == pytest.approx(gsd[4], rel=0.01)


def on_slope(seen: Footprint, across_deg: float, along_deg: float) -> np.ndarray:
    """Corners with the height of the ground below them."""
    corners = np.array(seen.corners_m)
    return np.column_stack([corners, corners @ np.tan(np.radians([across_deg, along_deg]))])


@settings(max_examples=40, deadline=None)
@given(
    pitch_deg=st.floats(-90, -55),
    across_deg=st.floats(-15, 15),
    along_deg=st.floats(-15, 15),
    height_m=st.floats(20, 300),
)
def test_corners_on_a_slope_lie_on_the_rays_of_the_corners(
    pitch_deg: float, across_deg: float, along_deg: float, height_m: float
) -> None:
    slopes = {"slope_across_deg": across_deg, "slope_along_deg": along_deg}
    seen = footprint(M3E, height_m=height_m, pitch_deg=pitch_deg, **slopes)
    rays = on_slope(seen, across_deg, along_deg) - (0, 0, height_m)
    even = np.column_stack([footprint(M3E, height_m=1.0, pitch_deg=pitch_deg).corners_m, np.full(4, -1.0)])
    np.testing.assert_allclose(rays / -rays[:, 2:], even, rtol=1e-9, atol=1e-9)
    assert seen.finest_gsd_m <= seen.gsd_m <= seen.worst_gsd_m
    assert footprint(M3E, height_m=2 * height_m, pitch_deg=pitch_deg, **slopes).worst_gsd_m == pytest.approx(
        2 * seen.worst_gsd_m
    )


def test_overlaps_hold_where_the_picture_is_narrowest() -> None:
    got = pictures(M3E, height_m=100, front_overlap=80, side_overlap=70)
    across_m, along_m = M3E.footprint_m(100)
    assert (got.swath_m, got.trigger_m) == pytest.approx((0.3 * across_m, 0.2 * along_m), rel=1e-6)
    oblique = pictures(M3E, height_m=100, side_overlap=70, pitch_deg=-60)
    near_left, near_right = oblique.footprint.corners_m[:2]
    assert oblique.swath_m == pytest.approx(0.3 * (near_right[0] - near_left[0]))
    # Barrel distortion reaches further in the corners than in the middle of the edges.
    seen = footprint(SIM, height_m=100)
    assert seen.across_m < seen.corners_m[1][0] - seen.corners_m[0][0]


@pytest.mark.parametrize("slope_deg", [0.0, 20.0])
@pytest.mark.parametrize("pitch_deg", [-90.0, -65.0])
def test_the_height_for_a_wanted_gsd(pitch_deg: float, slope_deg: float) -> None:
    middle = pictures(M3E, gsd_m=0.03, pitch_deg=pitch_deg, slope_deg=slope_deg)
    assert middle.footprint.gsd_m == pytest.approx(0.03)
    worst = pictures(M3E, worst_gsd_m=0.03, pitch_deg=pitch_deg, slope_deg=slope_deg)
    assert worst.worst_gsd_m == pytest.approx(0.03)
    assert worst.height_m <= middle.height_m * (1 + 1e-6)
    assert height_for(M3E, gsd_m=0.03, pitch_deg=pitch_deg, worst=True, slope_deg=slope_deg) == worst.height_m


def test_speed_keeps_up_with_the_shutter() -> None:
    slow = camera("dji-phantom-4-rtk")
    got = pictures(slow, gsd_m=0.01, front_overlap=80, speed_m_s=10.0)
    assert got.speed_m_s == got.fastest_m_s == pytest.approx(got.trigger_m / 2.5)
    assert any("speed lowered from 10.0 to" in said and "needs 2.5 s" in said for said in got.warnings)
    assumed = pictures(camera("skydio-x10-wide"), gsd_m=0.005, front_overlap=80, speed_m_s=10.0)
    assert any("publishes no interval, assumed are 2 s" in said for said in assumed.warnings)


def test_blur_is_told_and_warned_of() -> None:
    still = pictures(M3E, gsd_m=0.02, speed_m_s=10.0, exposure_s=1 / 1000)
    assert still.blur_px == pytest.approx(0.5)
    assert still.warnings == ()
    smeared = pictures(M3E, gsd_m=0.02, speed_m_s=10.0, exposure_s=1 / 250)
    assert smeared.blur_px == pytest.approx(2.0)
    assert smeared.longest_exposure_s == pytest.approx(0.002)
    (said,) = smeared.warnings
    assert said == "motion blur of 2.0 px at 10.0 m/s and 4 ms: expose at most 2 ms, or fly 5.0 m/s"
    assert pictures(M3E, gsd_m=0.02, exposure_s=1 / 250, most_blur_px=2.5).warnings == ()
    assert pictures(M3E, gsd_m=0.02).blur_px is None


def test_heights_that_are_not_allowed_say_what_gsd_is() -> None:
    with pytest.raises(CameraInvalid, match=r"375\.1 m .* outside the 30 to 120 m .* at 120 m the GSD .* 3\.20 cm"):
        pictures(M3E, gsd_m=0.1, heights_m=(30, 120))
    with pytest.raises(CameraInvalid, match="at 30 m the GSD"):
        pictures(M3E, gsd_m=0.001, heights_m=(30, 120))
    assert any("120 m usual without a permit" in said for said in pictures(M3E, gsd_m=0.1).warnings)
    assert any("leave gaps" in said for said in pictures(M3E, height_m=50, swath_m=100).warnings)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"gsd_m": 0.02, "height_m": 100}, "give one of the three"),
        ({}, "give one of the three"),
        ({"height_m": -1}, "height_m: -1 must be above 0"),
        ({"height_m": float("nan")}, "height_m: nan must be above 0"),
        ({"height_m": 100, "side_overlap": 100}, "side_overlap: 100 percent"),
        ({"height_m": 100, "front_overlap": -5}, "front_overlap: -5 percent"),
        ({"height_m": 100, "pitch_deg": -20}, "pitch_deg: at -20 deg .* reaches the horizon"),
        ({"height_m": 100, "pitch_deg": 5}, "pitch_deg: 5 is not between"),
        ({"height_m": 100, "slope_deg": 70}, "slope_across_deg: -70 deg is steeper"),
        ({"height_m": 100, "exposure_s": 0}, "exposure_s: 0 must be above 0"),
    ],
)
def test_what_cannot_be_is_refused_and_named(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(CameraInvalid, match=said):
        pictures(M3E, **wrong)


def test_a_camera_of_a_request_counts_like_any_other() -> None:
    mine = custom_camera({"hfov_deg": 90, "image_width_px": 4000, "image_height_px": 3000, "interval_s": 1})
    got = pictures(mine, height_m=100, side_overlap=50, front_overlap=50)
    assert (got.swath_m, got.trigger_m) == pytest.approx((100, 75), rel=1e-6)
