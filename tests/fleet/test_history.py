"""Poses are interpolated to where the vehicle truly was."""

from __future__ import annotations

import asyncio
import math
import random

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from fleet.history import POSITION_ROWS, PoseHistory, euler_of_quaternion, multiply, quaternion_of_euler, slerp

UTC = 1_790_000_000.0
NADIR = quaternion_of_euler(0.0, -math.pi / 2, 0.0)


def add_position(
    history: PoseHistory, boot_s: float, *, lon: float = 76.9, lat: float = 43.2, amsl: float = 900.0
) -> None:
    history.add_position(
        boot_s, lon=lon, lat=lat, amsl_m=amsl, relative_m=amsl - 800, north_m_s=10.0, east_m_s=0.0, down_m_s=-1.0
    )


def straight(*, heading_deg: float = 350.0, turn_deg_s: float = 20.0, until_s: int = 40) -> PoseHistory:
    """10 Hz north at 10 m/s, climbing 1 m/s, turning through north; the camera straight down."""
    history = PoseHistory()
    history.learn_utc(UTC, 0.0)
    for tenth in range(until_s * 10):
        boot_s = tenth / 10
        add_position(history, boot_s, lat=43.2 + boot_s * 10 / 111_132.95, amsl=900 + boot_s)
        history.add_attitude(boot_s + 0.03, 0.0, 0.0, math.radians(heading_deg + turn_deg_s * (boot_s + 0.03)))
        history.add_gimbal(boot_s + 0.06, NADIR, yaw_from_nose=True)
    return history


def test_quaternions_agree_with_scipy() -> None:
    rng = random.Random(3)
    for _ in range(300):
        angles = [rng.uniform(-3.1, 3.1), rng.uniform(-1.5, 1.5), rng.uniform(-3.1, 3.1)]
        others = [rng.uniform(-3.1, 3.1), rng.uniform(-1.5, 1.5), rng.uniform(-3.1, 3.1)]
        a, b = quaternion_of_euler(*angles), quaternion_of_euler(*others)
        ra, rb = Rotation.from_euler("ZYX", angles[::-1]), Rotation.from_euler("ZYX", others[::-1])
        product = Rotation.from_quat(multiply(a, b), scalar_first=True)
        assert (product * (ra * rb).inv()).magnitude() < 1e-9
        assert np.allclose(euler_of_quaternion(a), angles, atol=1e-9)
        part = rng.random()
        between = Rotation.from_quat(slerp(np.array(a), np.array(b), part), scalar_first=True)
        turned = Rotation.from_rotvec(part * (rb * ra.inv()).as_rotvec()) * ra
        assert (between * turned.inv()).magnitude() < 1e-7


def test_straight_down_keeps_the_heading() -> None:
    roll, pitch, yaw = euler_of_quaternion(multiply(quaternion_of_euler(0, 0, 1.0), NADIR))
    assert (roll, round(pitch, 6), round(yaw, 6)) == (0.0, round(-math.pi / 2, 6), 1.0)


def test_a_pose_between_samples_is_where_the_vehicle_was() -> None:
    history = straight()
    for boot_s in (0.08, 0.5, 1.234, 7.77, 20.001):
        sample = history.pose_at(UTC + boot_s)
        assert sample is not None
        assert sample.pose.position.lat == pytest.approx(43.2 + boot_s * 10 / 111_132.95, abs=1e-9)
        assert sample.pose.position.altitude.value_m == pytest.approx(900 + boot_s, abs=1e-6)
        assert sample.pose.position.altitude.datum == "AMSL"
        assert sample.relative_altitude_m == pytest.approx(100 + boot_s, abs=1e-6)
        assert sample.pose.attitude.pitch_deg == pytest.approx(-90, abs=1e-4)
        heading = (350 + 20 * boot_s) % 360
        assert abs((sample.vehicle_attitude.yaw_deg - heading + 180) % 360 - 180) < 1e-4
        up = sample.pose.enu_from_camera() @ np.array([0.0, -1.0, 0.0])  # the picture's upper side
        assert math.degrees(math.atan2(up[0], up[1])) % 360 == pytest.approx(heading, abs=1e-3)
        assert sample.gap_s == pytest.approx(0.1, abs=1e-9)
        assert sample.beyond_s == 0
        assert sample.ground_speed_m_s == pytest.approx(10)


def test_yaw_from_north_is_not_turned_with_the_nose() -> None:
    history = straight()
    history.add_gimbal(39.97, quaternion_of_euler(0, math.radians(-30), math.radians(120)), yaw_from_nose=False)
    history.add_gimbal(39.99, quaternion_of_euler(0, math.radians(-40), math.radians(120)), yaw_from_nose=False)
    sample = history.pose_at(UTC + 39.98, tolerance_s=1.0)
    assert sample is not None
    assert sample.pose.attitude.pitch_deg == pytest.approx(-35)
    assert sample.pose.attitude.yaw_deg == pytest.approx(120)


def test_outside_the_samples_there_is_no_pose_beyond_the_tolerance() -> None:
    history = straight(until_s=10)
    newest, oldest = history.newest_utc_s, history.oldest_utc_s
    assert newest == pytest.approx(UTC + 9.9)
    assert oldest == pytest.approx(UTC + 0.06)
    assert history.pose_at(UTC + 9.9 + 0.5) is None
    assert history.pose_at(UTC - 0.5) is None
    sample = history.pose_at(UTC + 9.9 + 0.2)
    assert sample is not None
    assert sample.beyond_s == pytest.approx(0.2)
    assert sample.pose.position.lat == pytest.approx(43.2 + 10.1 * 10 / 111_132.95, abs=1e-9)
    assert sample.pose.position.altitude.value_m == pytest.approx(910.1)


def test_a_gap_in_the_telemetry_is_not_bridged() -> None:
    history = straight(until_s=5)
    add_position(history, 9.0)
    history.add_attitude(9.0, 0, 0, 0)
    history.add_gimbal(9.0, NADIR, yaw_from_nose=True)
    assert history.pose_at(UTC + 7.0) is None
    assert history.pose_at(UTC + 7.0, most_gap_s=10) is not None


def test_without_utc_or_gimbal_there_is_no_pose() -> None:
    history = PoseHistory()
    add_position(history, 1.0)
    history.add_attitude(1.0, 0, 0, 0)
    assert history.pose_at(1.0) is None
    history.learn_utc(UTC, 0.0)
    assert history.pose_at(UTC + 1.0) is None
    fixed = PoseHistory(fixed_mount_pitch_deg=-90)
    fixed.learn_utc(UTC, 0.0)
    add_position(fixed, 1.0)
    fixed.add_attitude(1.0, math.radians(10), 0, math.radians(90))
    sample = fixed.pose_at(UTC + 1.0)
    assert sample is not None
    looks = sample.pose.enu_from_camera() @ np.array([0.0, 0.0, 1.0])
    left = math.sin(math.radians(10))  # right side down, so the camera looks to the left, which is north
    assert looks == pytest.approx([0.0, left, -math.cos(math.radians(10))], abs=1e-9)


def test_a_reboot_forgets_what_was_before() -> None:
    history = straight(until_s=10)
    history.booted(9.9)
    history.booted(9.5)
    assert history.newest_utc_s is not None
    history.booted(0.4)
    assert history.newest_utc_s is None
    assert history.pose_at(UTC + 5) is None


def test_samples_out_of_order_and_not_numbers_are_dropped() -> None:
    history = straight(until_s=2)
    add_position(history, 0.5, lat=0.0)
    add_position(history, 2.5, lat=math.nan)
    history.add_gimbal(2.5, (math.nan, 0, 0, 0), yaw_from_nose=True)
    history.add_gimbal(2.5, (0.0, 0, 0, 0), yaw_from_nose=True)
    sample = history.pose_at(UTC + 0.5)
    assert sample is not None
    assert sample.pose.position.lat > 43
    assert history.newest_utc_s == pytest.approx(UTC + 1.9)


def test_the_ring_keeps_the_newest_rows() -> None:
    history = PoseHistory()
    count = 2 * POSITION_ROWS + 1234
    for row in range(count):
        add_position(history, row / 10, lat=row / 1e4)
    track = history.track(1e9)
    assert len(track) <= POSITION_ROWS
    assert len(track) > POSITION_ROWS - 10
    assert track[-1, 2] == pytest.approx((count - 1) / 1e4)
    assert np.allclose(np.diff(track[:, 0]), 0.1)


def test_a_track_covers_the_seconds_asked_for() -> None:
    history = straight(until_s=30)
    track = history.track(10.0)
    assert (track[-1, 0] - track[0, 0]) == pytest.approx(10.0)
    assert track[-1, 0] == pytest.approx(UTC + 29.9)
    thin = history.track(10.0, spacing_s=1.0)
    assert 9 <= len(thin) <= 12
    assert PoseHistory().track(10.0).shape == (0, 5)


async def test_waiting_ends_when_telemetry_catches_up() -> None:
    history = straight(until_s=3)
    assert await history.wait_until(UTC + 2.0, 0.01)
    assert not await history.wait_until(UTC + 3.2, 0.05)

    async def later() -> None:
        await asyncio.sleep(0.02)
        for boot_s in (3.0, 3.3):
            add_position(history, boot_s)
            history.add_attitude(boot_s, 0, 0, 0)
            history.add_gimbal(boot_s, NADIR, yaw_from_nose=True)

    task = asyncio.create_task(later())
    assert await history.wait_until(UTC + 3.2, 2.0)
    await task
