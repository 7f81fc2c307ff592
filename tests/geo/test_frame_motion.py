import numpy as np
import pytest

from geo.cameras import BrownCamera
from geo.clock_offsets import Motions
from geo.frame_clocks import FrameClock
from geo.frame_motion import PoseTrack, moving, picture_motion
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position

PLANE = LocalPlane(lon=76.9, lat=43.2, height_m=900.0)
CAMERA = BrownCamera(width_px=400, height_px=300, focal_px=400.0)
GROUND_M, HEIGHT_M = 840.0, 60.0


def pose(time_s: float, *, pitch_deg: float = -80.0, speed_m_s: float = 6.0) -> Pose:
    east, north = speed_m_s * time_s, 2 * np.sin(0.9 * time_s)
    lon, lat = PLANE.to_lonlat(east, north)
    swing = [5 * np.sin(2 * np.pi * hertz * time_s + hertz) for hertz in (0.15, 0.37, 0.61)]
    return Pose(
        utc_s=time_s,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(GROUND_M + HEIGHT_M, Datum.AMSL)),
        attitude=Attitude(roll_deg=0.3 * swing[1], pitch_deg=pitch_deg + 0.2 * swing[0], yaw_deg=80 + sum(swing)),
    )


def place(at: Pose) -> np.ndarray:
    east, north = PLANE.to_plane(at.position.lon, at.position.lat)
    return np.array([float(east), float(north), at.position.altitude.value_m])


@pytest.mark.parametrize("pitch_deg", [-90.0, -60.0, -35.0])
def test_the_motion_of_the_picture_is_that_of_what_the_camera_shows(pitch_deg: float) -> None:
    first, second = pose(3.0, pitch_deg=pitch_deg), pose(3.2, pitch_deg=pitch_deg)
    pixels = np.array([[199.5, 149.5], [279.5, 149.5], [119.5, 149.5], [199.5, 229.5], [199.5, 69.5]])
    rays = CAMERA.rays_from_pixels(pixels) @ first.enu_from_camera().T
    ground = place(first) + rays * (HEIGHT_M / -rays[:, 2])[:, None]
    seen = CAMERA.pixels_from_rays((ground - place(second)) @ second.enu_from_camera())
    ends = [(place(at)[None], at.enu_from_camera()[None]) for at in (first, second)]
    ((turn_rad, right, down),) = picture_motion(*ends, GROUND_M)
    middle = pixels[0] - (CAMERA.width_px / 2 - 0.5, CAMERA.height_px / 2 - 0.5)
    assert np.allclose(middle, 0)
    assert (right, down) == pytest.approx((seen[0] - pixels[0]) / 400.0, abs=1e-9)
    across, along = seen[1] - seen[2], seen[3] - seen[4]
    assert turn_rad == pytest.approx(np.arctan2(across[1] - along[0], across[0] + along[1]), abs=1e-9)
    assert turn_rad != pytest.approx(0, abs=1e-3)


def test_what_shows_no_ground_is_not_known() -> None:
    level = pose(0.0, pitch_deg=5.0)
    ends = (place(level)[None], level.enu_from_camera()[None])
    assert np.isnan(picture_motion(ends, ends, GROUND_M)).all()


def test_a_track_is_known_between_its_ends_and_turns_through_north() -> None:
    poses = [
        Pose(
            utc_s=time_s,
            position=Position(lon=76.9, lat=43.2, altitude=Altitude(900.0 + time_s, Datum.AMSL)),
            attitude=Attitude(pitch_deg=-90, yaw_deg=(340 + 10 * time_s) % 360),
        )
        for time_s in np.arange(0, 8, 0.1)
    ]
    track = PoseTrack(poses)
    places, turns = track.at(np.array([-0.01, 3.03, 7.95]))
    assert np.isnan(places[[0, 2]]).all()
    assert np.isnan(turns[[0, 2]]).all()
    assert places[1, 2] == pytest.approx(903.03, abs=1e-6)
    wanted = Attitude(pitch_deg=-90, yaw_deg=340 + 30.3)
    there = Pose(utc_s=0, position=poses[0].position, attitude=wanted).enu_from_camera()
    assert turns[1] == pytest.approx(there, abs=1e-6)


def spans(offset_s: float, seed: int, *, count: int = 90, fps: float = 5.0) -> list[tuple[float, float, np.ndarray]]:
    """What frames `offset_s` behind telemetry would see."""
    rng = np.random.default_rng(seed)
    times = 100 + np.arange(count) / fps + rng.normal(0, 0.001, count)
    true = [pose(float(time_s) + offset_s) for time_s in times]
    places = np.array([place(at) for at in true])
    turns = np.array([at.enu_from_camera() for at in true])
    moved = picture_motion((places[:-1], turns[:-1]), (places[1:], turns[1:]), GROUND_M)
    moved += rng.normal(0, 0.0007, moved.shape)
    return list(zip(times[:-1].tolist(), times[1:].tolist(), moved, strict=True))


def told(seed: int, start_s: float, end_s: float) -> list[Pose]:
    """Poses as telemetry tells them, 10 a second."""
    rng = np.random.default_rng(seed + 500)
    found = []
    for time_s in np.arange(start_s, end_s, 0.1):
        true = pose(float(time_s))
        errors = rng.normal(0, [0.1, 0.1, 0.2])
        attitude = Attitude(
            roll_deg=true.attitude.roll_deg + errors[0],
            pitch_deg=true.attitude.pitch_deg + errors[1],
            yaw_deg=true.attitude.yaw_deg + errors[2],
        )
        found.append(Pose(utc_s=true.utc_s, position=true.position, attitude=attitude))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_a_frame_clock_learns_the_offset_and_tells_moments(seed: int) -> None:
    clock = FrameClock()
    assert clock.moment(100.0, 0.3) == (100.0, 0.3)
    assert clock.wanted_s is None
    for start_s, end_s, motion in spans(0.18, seed):
        clock.add(start_s, end_s, tuple(motion))
    assert clock.wanted_s is not None
    assert clock.wanted_s == pytest.approx((99.0, 118.8), abs=0.05)
    learnt = clock.learn(told(seed, *clock.wanted_s), GROUND_M + 3.0)  # the ground is not known well
    assert learnt is not None, clock.refused
    assert learnt.offset_s == pytest.approx(0.18, abs=3 * learnt.sigma_s)
    utc_s, sigma_s = clock.moment(117.0, 0.3)
    assert utc_s == pytest.approx(117.18, abs=3 * sigma_s)
    assert 0.003 < sigma_s < 0.011
    assert clock.moment(717.0, 0.3)[1] == pytest.approx(np.hypot(sigma_s, 0.03), abs=0.002)  # clocks drift


def test_a_frame_clock_says_why_it_learns_nothing_and_keeps_what_it_knew() -> None:
    clock = FrameClock()
    for start_s, end_s, motion in spans(0.18, 1):
        clock.add(start_s, end_s, tuple(motion))
    poses = told(1, 98.0, 121.0)
    known = clock.learn(poses, GROUND_M)
    assert known is not None
    assert clock.refused == ""
    assert clock.learn(poses[:10], GROUND_M) is None
    assert "10 poses" in clock.refused
    still = [Pose(utc_s=at.utc_s, position=poses[0].position, attitude=poses[0].attitude) for at in poses]
    assert clock.learn(still, GROUND_M) is None
    assert clock.refused
    assert clock.known == known
    clock.add(3.0, 3.2, (0.0, 0.0, 0.0))  # another clock
    assert clock.known is None
    assert clock.moment(3.2, 0.1) == (3.2, 0.1)


def test_expected_motions_ask_for_moments_of_telemetry() -> None:
    track = PoseTrack(told(1, 98.0, 121.0))
    motions = Motions(np.array([100.0, 130.0]), np.array([100.2, 130.2]), np.zeros((2, 3)))
    expected = moving(motions, track, GROUND_M)
    assert np.isfinite(expected(0.1)[0]).all()
    assert np.isnan(expected(0.1)[1]).all()
    assert not np.allclose(expected(0.1)[0], expected(0.5)[0], atol=1e-3)
