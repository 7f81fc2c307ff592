from collections.abc import Iterator

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models.sources import open_source
from aerial_models.video_health import ClockMarks, VideoHealth, VideoState
from aerial_models.video_options import VideoLimits
from simulators.video import VideoEncoder

LIMITS = VideoLimits(no_video_s=3.0, frozen_s=5.0, garbage_share=0.3, garbage_s=4.0, stale_s=2.0)
NOISE = np.random.default_rng(1)


def sample() -> NDArray[np.uint8]:
    return NOISE.integers(20, 230, (54, 96), np.uint8)


def fed(health: VideoHealth, lumas: Iterator[NDArray[np.uint8]], *, start_s: float, seconds: float) -> list[bool]:
    """Four frames a second."""
    return [health.saw(next(lumas), start_s + i / 4, start_s + i / 4) for i in range(round(seconds * 4))]


def moving() -> Iterator[NDArray[np.uint8]]:
    while True:
        yield sample()


def standing(luma: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    while True:
        yield luma


def test_silence_is_no_video_and_frames_end_it() -> None:
    health = VideoHealth(100.0, LIMITS)
    assert health.verdict(103.0).state is VideoState.LIVE
    assert health.verdict(103.1).state is VideoState.NO_VIDEO
    assert health.saw(sample(), 0.0, 110.0)
    assert health.verdict(112.9).state is VideoState.LIVE
    verdict = health.verdict(114.0)
    assert (verdict.state, verdict.why) == (VideoState.NO_VIDEO, "no frame for 4.0 s")
    health.ended("rtsp://h/x: the stream broke", garbage=False)
    assert health.verdict(114.0).why == "rtsp://h/x: the stream broke"


def test_silence_is_not_called_frozen_before_it_is_no_video() -> None:
    never, silent = VideoHealth(0.0), VideoHealth(0.0)
    silent.saw(sample(), 0.0, 0.0)
    for health in (never, silent):
        assert [health.verdict(at).state for at in (5.5, 6.5)] == [VideoState.LIVE, VideoState.NO_VIDEO]


def test_the_same_picture_is_never_worth_a_second_look_and_frozen_after_a_while() -> None:
    health = VideoHealth(0.0, LIMITS)
    assert all(fed(health, moving(), start_s=0.0, seconds=3))
    assert fed(health, standing(sample()), start_s=3.0, seconds=5) == [True] + [False] * 19
    assert health.verdict(7.9).state is VideoState.LIVE
    fed(health, standing(health._luma), start_s=8.0, seconds=1)  # type: ignore[arg-type]
    assert health.verdict(9.0).state is VideoState.FROZEN
    assert health.saw(sample(), 9.25, 9.25)
    assert health.verdict(9.25).state is VideoState.LIVE


def test_a_time_stamp_that_stands_still_is_frozen_whatever_the_picture() -> None:
    health = VideoHealth(0.0, LIMITS)
    believed = [health.saw(sample(), 7.0, i / 4) for i in range(24)]
    assert believed == [True] + [False] * 23
    assert health.verdict(6.0).state is VideoState.FROZEN


def test_a_freeze_that_outlasts_a_reconnect_is_still_one() -> None:
    health = VideoHealth(0.0, LIMITS)
    luma = sample()
    health.saw(luma, 0.0, 0.0)
    health.ended("gone", garbage=False)
    assert not health.saw(luma, 33.0, 8.0)
    assert health.verdict(8.0).state is VideoState.FROZEN


def encoded(tmp_path: object, sigma: float, *, frozen: bool) -> list[NDArray[np.uint8]]:
    """What is left of sixteen seconds of a still scene, four a second and each eighth a keyframe, after an encoder."""
    random = np.random.default_rng(3)
    coarse = random.integers(40, 210, (30, 50, 1)).repeat(3, 2).astype(np.uint8)
    scene = np.asarray(cv2.resize(coarse, (320, 180), interpolation=cv2.INTER_CUBIC))
    encoder = VideoEncoder(width_px=320, height_px=180, fps=4, keyframe_interval_s=2.0)
    chunks = []
    for i in range(64):
        noisy = np.clip(scene + random.normal(0, sigma, scene.shape), 0, 255).astype(np.uint8)
        chunks.append(encoder.encode(noisy, i / 4, None))
        encoder.frozen = frozen
    path = f"{tmp_path}/a.ts"
    with open(path, "wb") as file:
        file.write(b"".join(chunk.data for chunk in chunks))
    with open_source(path) as source:
        return [frame.picture.luma() for frame in source]


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_a_hovering_vehicle_over_a_still_scene_is_not_frozen(tmp_path: object, sigma: float) -> None:
    states = []
    health = VideoHealth(0.0, LIMITS)
    for i, luma in enumerate(encoded(tmp_path, sigma, frozen=False)):
        health.saw(luma, i / 4, i / 4)
        states.append(health.verdict(i / 4).state)
    assert set(states) == {VideoState.LIVE}


def test_a_picture_that_is_encoded_again_and_again_is_frozen_though_keyframes_change_it(tmp_path: object) -> None:
    lumas = encoded(tmp_path, 3.0, frozen=True)
    assert any((luma != lumas[0]).mean() > 0.2 for luma in lumas)  # else this test shows nothing
    health = VideoHealth(0.0, LIMITS)
    for i, luma in enumerate(lumas):
        health.saw(luma, i / 4, i / 4)
    assert health.verdict(len(lumas) / 4).state is VideoState.FROZEN


def test_a_picture_that_stays_while_the_camera_moves_on_is_never_looked_at(tmp_path: object) -> None:
    lumas = encoded(tmp_path, 3.0, frozen=True)
    health = VideoHealth(0.0, LIMITS)
    believed = [health.saw(luma, i / 4, i / 4, camera=(i * 1.5, 0.0)) for i, luma in enumerate(lumas)]
    assert believed == [True] + [False] * (len(lumas) - 1)
    assert health.verdict(5.1).state is VideoState.FROZEN
    moving_on = VideoHealth(0.0, LIMITS)
    assert all(moving_on.saw(sample(), i / 4, i / 4, camera=(i * 1.5, 0.0)) for i in range(40))


def test_something_small_that_moves_in_a_still_scene_keeps_it_alive() -> None:
    health = VideoHealth(0.0, LIMITS)
    scene = sample() // 2
    for i in range(40):
        luma = scene.copy()
        luma[20, i] = 250
        assert health.saw(luma, i / 4, i / 4)
    assert health.verdict(10.0).state is VideoState.LIVE


def test_broken_packets_are_garbage_by_their_share_of_late() -> None:
    health = VideoHealth(0.0, LIMITS)
    decoded = broken = 0
    for second in range(20):
        spoiled = 6 <= second < 12
        decoded, broken = decoded + (2 if spoiled else 10), broken + (8 if spoiled else 1)
        health.saw(sample(), float(second), float(second))
        health.counted(decoded, broken, float(second))
        state = health.verdict(float(second)).state
        if second in (5, 19):
            assert state is VideoState.LIVE
        if 8 <= second <= 11:
            assert state is VideoState.GARBAGE
    assert "packets cannot be decoded" in _garbage_why()


def _garbage_why() -> str:
    health = VideoHealth(0.0, LIMITS)
    health.counted(1, 0, 0.0)
    health.counted(5, 20, 1.0)
    return health.verdict(1.0).why


def test_waiting_for_the_first_keyframe_is_no_garbage() -> None:
    health = VideoHealth(0.0, LIMITS)
    health.counted(0, 50, 0.5)
    health.counted(1, 50, 1.0)
    health.counted(20, 50, 2.0)
    assert health.verdict(2.0).state is VideoState.LIVE


def test_another_connection_counts_from_the_beginning() -> None:
    health = VideoHealth(0.0, LIMITS)
    health.counted(100, 50, 0.0)
    health.counted(10, 0, 1.0)
    health.counted(20, 0, 2.0)
    assert health.verdict(2.0).state is VideoState.LIVE


def test_grey_of_a_decoder_and_bytes_that_are_no_video_are_garbage() -> None:
    health = VideoHealth(0.0, LIMITS)
    grey = sample()
    grey[:40] = 128
    assert not health.saw(grey, 0.0, 0.0)
    assert health.verdict(0.0).state is VideoState.GARBAGE
    assert health.saw(sample(), 0.1, 0.1)
    health.ended("a.ts: cannot be read as video", garbage=True)
    assert health.verdict(0.2).state is VideoState.GARBAGE
    fog = NOISE.normal(128, 6, (54, 96)).astype(np.uint8)
    assert health.saw(fog, 0.3, 0.3)


def test_frames_that_come_late_are_stale() -> None:
    health = VideoHealth(0.0, LIMITS)
    assert health.saw(sample(), 0.0, 0.0, age_s=1.9)
    assert not health.saw(sample(), 0.1, 0.1, age_s=2.1)
    verdict = health.verdict(0.1)
    assert (verdict.state, verdict.why) == (VideoState.STALE, "frames come 2.1 s late")
    assert health.saw(sample(), 0.2, 0.2)  # an age that is not known is not held against it


@pytest.mark.parametrize("pace", [0.25, 1.0, 8.0])
def test_the_age_of_a_moment_is_by_our_clock_whatever_the_pace_of_theirs(pace: float) -> None:
    marks = ClockMarks()
    assert marks.age_s(1e9, 0.0) is None
    for i in range(100):
        marks.note(1e9 + pace * i / 5, 50 + i / 5)
    now_s = 50 + 99 / 5
    for ago_s in (0.0, 0.7, 3.0, 15.0):
        assert marks.age_s(1e9 + pace * (now_s - 50 - ago_s), now_s) == pytest.approx(ago_s, abs=1e-3)
    assert marks.age_s(1e9 + pace * 1000, now_s) == 0.0
    oldest = marks.age_s(1e9 - 500, now_s)
    assert oldest is not None
    assert oldest >= 19
    marks.note(5e8, now_s + 1)  # their clock was set back
    assert marks.age_s(5e8, now_s + 3) == pytest.approx(2.0)
