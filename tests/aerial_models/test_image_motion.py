"""Image motion of drawn pictures, and the clocks of frames and telemetry brought together by it."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models.image_motion import MotionMeter
from geo.cameras import BrownCamera
from geo.frame_clocks import FrameClock
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.renderer import Renderer
from simulators.world import World

OFFSET_S = 0.18
WIDTH_PX, HEIGHT_PX, FOCAL_PX = 320, 180, 251.0


def texture(seed: int) -> NDArray[np.uint8]:
    rng = np.random.default_rng(seed)
    rough = cv2.resize(rng.integers(0, 255, (90, 120), np.uint8), (960, 720), interpolation=cv2.INTER_CUBIC)
    return np.asarray(rough, np.uint8)


def moved(picture: NDArray[np.uint8], turn_rad: float, right_px: float, down_px: float) -> NDArray[np.uint8]:
    """The picture turned about its middle, clockwise, and shifted."""
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -np.degrees(turn_rad), 1.0)
    matrix[:, 2] += (right_px, down_px)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REFLECT), np.uint8)


@pytest.mark.parametrize(("turn_rad", "right_px", "down_px"), [(0.05, 0, 0), (-0.1, 12, -7), (0.0, -40, 25), (0, 0, 0)])
def test_a_turn_and_a_shift_are_measured(turn_rad: float, right_px: float, down_px: float) -> None:
    meter = MotionMeter(focal_share=0.8)
    picture = texture(1)
    assert meter.add(picture, 10.0) is None
    motion = meter.add(moved(picture, turn_rad, right_px, down_px), 10.2)
    assert motion is not None
    assert (motion.start_s, motion.end_s) == (10.0, 10.2)
    assert motion.turn_rad == pytest.approx(turn_rad, abs=5e-4)
    assert motion.right * 0.8 * 960 == pytest.approx(right_px, abs=0.2)
    assert motion.down * 0.8 * 960 == pytest.approx(down_px, abs=0.2)


def test_what_cannot_be_followed_gives_none() -> None:
    meter = MotionMeter(focal_share=0.8)
    blank = np.full((360, 480, 3), 90, np.uint8)
    assert meter.add(blank, 0.0) is None
    assert meter.add(blank, 0.2) is None  # nothing to follow
    assert meter.add(texture(1), 0.4) is None  # another size
    assert meter.add(texture(2), 0.6) is None  # another scene
    assert meter.add(texture(2), 5.0) is None  # a gap
    assert meter.add(texture(2), 4.8) is None  # a time that goes back
    assert meter.add(texture(2), 5.0) is not None


@pytest.fixture(scope="module")
def renderer() -> Renderer:
    return Renderer(World.build(11), BrownCamera(width_px=WIDTH_PX, height_px=HEIGHT_PX, focal_px=FOCAL_PX))


class Flight:
    """A camera over the simulated city that swings as it flies."""

    def __init__(self, world: World, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._world = world
        self._hertz, self._phase, self._deg = rng.uniform(0.1, 0.7, 4), rng.uniform(0, 6.28, 4), rng.uniform(2, 6, 4)
        self._start, self._course = rng.uniform(-150, 150, 2), rng.uniform(0, 6.28)
        self.ground_m = float(world.ground_amsl_m(*self._start))

    def pose(self, time_s: float) -> Pose:
        x, y = self._start + 6.0 * time_s * np.array([np.sin(self._course), np.cos(self._course)])
        lon, lat = self._world.plane.to_lonlat(x + 2 * np.sin(0.9 * time_s), y)
        swing = self._deg * np.sin(2 * np.pi * self._hertz * time_s + self._phase)
        return Pose(
            utc_s=self._world.epoch_utc_s + 30 + time_s,
            position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(self.ground_m + 60, Datum.AMSL)),
            attitude=Attitude(
                roll_deg=0.2 * swing[0], pitch_deg=-80.0, yaw_deg=float(np.degrees(self._course) + swing.sum())
            ),
        )


@pytest.mark.parametrize("seed", [0, 3, 9])
def test_drawn_frames_tell_how_far_their_clock_is_behind(renderer: Renderer, seed: int) -> None:
    flight, rng = Flight(renderer.world, seed), np.random.default_rng(seed + 1000)
    meter, clock = MotionMeter(focal_share=FOCAL_PX / WIDTH_PX), FrameClock()
    for number in range(55):
        pose = flight.pose(number / 5 + rng.normal(0, 0.001))
        motion = meter.add(renderer.render(pose).image, pose.utc_s - OFFSET_S)
        if motion is not None:
            clock.add(motion.start_s, motion.end_s, (motion.turn_rad, motion.right, motion.down))
    told = []
    for time_s in np.arange(-1.5, 12.5, 0.1):
        true = flight.pose(float(time_s))
        errors = rng.normal(0, [0.1, 0.1, 0.2])
        attitude = Attitude(
            roll_deg=true.attitude.roll_deg + errors[0],
            pitch_deg=true.attitude.pitch_deg + errors[1],
            yaw_deg=true.attitude.yaw_deg + errors[2],
        )
        told.append(Pose(utc_s=true.utc_s, position=true.position, attitude=attitude))
    learnt = clock.learn(told, flight.ground_m)
    assert learnt is not None, clock.refused
    assert learnt.sigma_s < 0.01
    assert learnt.offset_s == pytest.approx(OFFSET_S, abs=3 * learnt.sigma_s)
    utc_s, sigma_s = clock.moment(told[60].utc_s - OFFSET_S, 0.5)
    assert utc_s == pytest.approx(told[60].utc_s, abs=3 * sigma_s)
