"""Mountings and shutters: known turns and arms, and agreement with the sum of its parts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.location import locate
from geo.mountings import Boresight, GimbalFrame, Mounting, attitude_of, mount_attitude, moved
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.shutters import Motion, RollingShutter, locate_rolling
from geo.terrain import FlatTerrain

PLACE = Position(lon=76.9, lat=43.2, altitude=Altitude(900.0, Datum.AMSL))
LEVEL = Attitude(pitch_deg=0, yaw_deg=90)
TILTED = Attitude(roll_deg=20, pitch_deg=5, yaw_deg=355)
LENS = BrownCamera.from_fov(width_px=1280, height_px=720, hfov_deg=65)


def shift_m(after: Position, before: Position = PLACE) -> tuple[float, float, float]:
    """East, north and up of one position from another."""
    plane = LocalPlane(lon=before.lon, lat=before.lat, height_m=before.altitude.value_m)
    east_m, north_m = plane.to_plane(after.lon, after.lat)
    return float(east_m), float(north_m), after.altitude.value_m - before.altitude.value_m


def angles(attitude: Attitude) -> tuple[float, float, float]:
    return attitude.roll_deg, attitude.pitch_deg, attitude.yaw_deg


def test_angles_and_rotations_are_inverse() -> None:
    rng = np.random.default_rng(1)
    for _ in range(500):
        rotation = Rotation.random(random_state=rng).as_matrix()
        assert np.abs(attitude_of(rotation).ned_from_body() - rotation).max() < 1e-12
    for pitch_deg in (-90.0, 90.0, -90 + 1e-7):
        straight = Attitude(pitch_deg=pitch_deg, yaw_deg=35.0).ned_from_body()
        assert np.abs(attitude_of(straight).ned_from_body() - straight).max() < 1e-8


def test_a_position_moved_is_where_the_plane_has_it() -> None:
    rng = np.random.default_rng(2)
    for lat in (-60.0, 0.0, 43.2, 70.0):
        before = Position(lon=76.9, lat=lat, altitude=Altitude(900.0, Datum.AMSL))
        for east_m, north_m, up_m in rng.uniform(-50, 50, (20, 3)):
            found = shift_m(moved(before, east_m=east_m, north_m=north_m, up_m=up_m), before)
            assert found == pytest.approx((east_m, north_m, up_m), abs=2e-3)


@pytest.mark.parametrize(
    ("frame", "told", "vehicle", "expected"),
    [
        (GimbalFrame.EARTH, Attitude(pitch_deg=-40, yaw_deg=10), TILTED, (0, -40, 10)),
        (GimbalFrame.HEADING, Attitude(pitch_deg=-40, yaw_deg=10), TILTED, (0, -40, 5)),
        (GimbalFrame.VEHICLE, Attitude(pitch_deg=-40, yaw_deg=0), Attitude(pitch_deg=5, yaw_deg=90), (0, -35, 90)),
        (GimbalFrame.VEHICLE, LEVEL, Attitude(roll_deg=20, pitch_deg=0, yaw_deg=0), (0, -20, 90)),
    ],
)
def test_frames_of_a_gimbal(
    frame: GimbalFrame, told: Attitude, vehicle: Attitude, expected: tuple[float, float, float]
) -> None:
    assert angles(mount_attitude(told, vehicle, frame)) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize(
    ("boresight", "expected"),
    [
        (Boresight(yaw_deg=2), (0, -30, 92)),
        (Boresight(pitch_deg=2), (0, -28, 90)),
        (Boresight(roll_deg=2), (2, -30, 90)),
    ],
)
def test_a_camera_askew_in_its_mount(boresight: Boresight, expected: tuple[float, float, float]) -> None:
    """A yaw of the camera in a mount that looks down by 30 deg turns it by less of heading: 2 deg / cos(30 deg)."""
    pose = Pose(utc_s=0, position=PLACE, attitude=Attitude(pitch_deg=-30, yaw_deg=90))
    after = Mounting(boresight=boresight).camera_pose(pose, LEVEL)
    if boresight.yaw_deg:
        forward = pose.attitude.ned_from_body().T @ after.attitude.ned_from_body()[:, 0]
        assert np.degrees(np.arctan2(forward[1], forward[0])) == pytest.approx(2)
        assert after.attitude.yaw_deg - 90 == pytest.approx(2 / np.cos(np.radians(30)), rel=1e-3)
    else:
        assert angles(after.attitude) == pytest.approx(expected)
    assert shift_m(after.position) == pytest.approx((0, 0, 0), abs=1e-6)


def test_lever_arms() -> None:
    """Heading east, the gimbal 0.4 m ahead of and 0.2 m below the antenna, the camera 0.1 m ahead of the gimbal."""
    mounting = Mounting(gimbal_m=(0.4, 0.1, 0.2), camera_m=(0.1, 0.0, 0.0))
    ahead = Pose(utc_s=0, position=PLACE, attitude=LEVEL)
    assert shift_m(mounting.camera_pose(ahead, LEVEL).position) == pytest.approx((0.5, -0.1, -0.2), abs=1e-6)
    down = Pose(utc_s=0, position=PLACE, attitude=Attitude(pitch_deg=-90, yaw_deg=90))
    assert shift_m(mounting.camera_pose(down, LEVEL).position) == pytest.approx((0.4, -0.1, -0.3), abs=1e-6)
    nose_up = Attitude(pitch_deg=90, yaw_deg=90)
    assert shift_m(Mounting(gimbal_m=(0.4, 0, 0)).camera_pose(down, nose_up).position) == pytest.approx(
        (0, 0, 0.4), abs=1e-6
    )


def moving(motion: Motion, utc_s: float) -> Pose:
    """Where a camera at nadir, heading east at t = 0, is and looks at a moment."""
    east_m, north_m, up_m = np.array(motion.velocity_enu_m_s) * utc_s
    turn = Rotation.from_rotvec(np.radians(motion.turn_enu_deg_s) * utc_s).as_matrix()
    swap = np.array([[0.0, 1, 0], [1, 0, 0], [0, 0, -1]])
    base = Attitude(pitch_deg=-70, yaw_deg=90).ned_from_body()
    return Pose(
        utc_s=utc_s,
        position=moved(PLACE, east_m=east_m, north_m=north_m, up_m=up_m),
        attitude=attitude_of(swap @ turn @ swap @ base),
    )


@pytest.mark.parametrize("posed_row", [0.0, 0.5, 1.0])
def test_a_rolling_shutter_shows_things_where_they_are(posed_row: float) -> None:
    """A place is imaged at the moment of the very row it falls on; without the correction it is metres off."""
    shutter = RollingShutter(readout_s=0.03, posed_row=posed_row)
    motion = Motion(velocity_enu_m_s=(14.0, -3.0, 1.0), turn_enu_deg_s=(2.0, -8.0, 30.0))
    plane, ground = LocalPlane(lon=PLACE.lon, lat=PLACE.lat, height_m=800.0), FlatTerrain(800.0)
    truths = np.random.default_rng(4).uniform([15, -35], [60, 35], (25, 2))
    pixels = []
    for east_m, north_m in truths:
        row = 360.0
        for _ in range(30):
            pose = moving(motion, shutter.row_offset_s(row, LENS.height_px))
            here_east_m, here_north_m, up_m = shift_m(pose.position)
            away = np.array([east_m - here_east_m, north_m - here_north_m, 800 - 900 - up_m])
            away[2] -= (away[0] ** 2 + away[1] ** 2) / 2 / 6_371_008.8
            pixel = LENS.pixels_from_rays(pose.enu_from_camera().T @ away)
            row = float(pixel[1])
        pixels.append(pixel)
    options = {"sigmas": PoseSigmas()}
    still = locate(LENS, moving(motion, 0.0), pixels, ground, sigmas=PoseSigmas())
    found = locate_rolling(LENS, moving(motion, 0.0), pixels, ground, shutter=shutter, motion=motion, **options)

    def off_m(locations: list) -> np.ndarray:  # type: ignore[type-arg]
        lon, lat = np.array([(one.position.lon, one.position.lat) for one in locations]).T
        return np.hypot(*(np.stack(plane.to_plane(lon, lat)) - truths.T))

    assert off_m(found).max() < 0.01
    assert off_m(still).max() > 0.3


def test_the_posed_row_stays() -> None:
    pose = Pose(utc_s=5, position=PLACE, attitude=LEVEL)
    motion = Motion(velocity_enu_m_s=(10, 0, 0), turn_enu_deg_s=(0, 0, 10))
    shutter = RollingShutter(readout_s=0.02)
    same = shutter.pose_of_row(pose, motion, 359.5, 720)
    assert (same.utc_s, same.position) == (5, PLACE)
    assert angles(same.attitude) == pytest.approx((0, 0, 90))
    late = shutter.pose_of_row(pose, motion, 719, 720)
    assert late.utc_s == pytest.approx(5.01)
    assert shift_m(late.position)[0] == pytest.approx(0.1, abs=1e-6)
    assert late.attitude.yaw_deg == pytest.approx(90 - 0.1)
