"""Trackers keep the number of a thing."""

import numpy as np
import pytest

from aerial_models.detections import Detections
from aerial_models.tracking import GroundTracker, ImageTracker

CLASSES = ("person", "vehicle")


def boxes(*centers: tuple[float, float], size: float = 20, confidence: float = 0.9, kind: int = 1) -> Detections:
    xyxy = [[x - size / 2, y - size / 2, x + size / 2, y + size / 2] for x, y in centers]
    return Detections.of(xyxy, [confidence] * len(centers), [kind] * len(centers), CLASSES)


def test_numbers_survive_a_gap_in_which_the_thing_moves_on() -> None:
    tracker = ImageTracker(patience_s=2.0)
    numbers = []
    for i in range(30):
        t = i * 0.1
        if 10 <= i < 18:  # 0.8 s unseen: it moves 48 px, more than twice its size
            assert len(tracker.update(Detections.empty(CLASSES), t)) == 0
            continue
        numbers.append(tracker.update(boxes((100 + 60 * t, 200), (400 - 60 * t, 240)), t).track_id.tolist())
    assert numbers[0] == [-1, -1]
    assert {tuple(n) for n in numbers[1:]} == {(1, 2)}


def test_after_its_patience_it_is_somebody_new() -> None:
    tracker = ImageTracker(patience_s=1.0)
    for t in (0.0, 0.1):
        last = tracker.update(boxes((100, 100)), t)
    assert last.track_id.tolist() == [1]
    tracker.update(boxes((100, 100)), 2.0)
    assert tracker.update(boxes((100, 100)), 2.1).track_id.tolist() == [2]


def test_faint_detections_continue_a_track_but_start_none() -> None:
    tracker = ImageTracker(sure=0.5)
    for t in (0.0, 0.1, 0.2):
        assert tracker.update(boxes((50, 50), confidence=0.3), t).track_id.tolist() == [-1]
    tracker.update(boxes((300, 300)), 0.3)
    number = tracker.update(boxes((302, 300)), 0.5).track_id.tolist()
    assert tracker.update(boxes((303, 300), confidence=0.3), 0.6).track_id.tolist() == number
    assert number != [-1]


def test_classes_do_not_mix() -> None:
    tracker = ImageTracker()
    tracker.update(boxes((50, 50), kind=0), 0.0)
    vehicle = tracker.update(boxes((50, 50), kind=1), 0.1)
    assert vehicle.track_id.tolist() == [-1]


def test_camera_motion_carries_tracks_along() -> None:
    turned = np.asarray([[0.0, -1.0, 700.0], [1.0, 0.0, -100.0], [0.0, 0.0, 1.0]])
    plain, carried = ImageTracker(), ImageTracker()
    for t in (0.0, 1.0):
        for tracker in (plain, carried):
            tracker.update(boxes((300, 200)), t)
    after = boxes((700 - 200, 300 - 100))
    assert plain.update(after, 2.0).track_id.tolist() == [-1]
    assert carried.update(after, 2.0, turned).track_id.tolist() == [1]


def wobble(rng: np.random.Generator, sigma: float) -> np.ndarray:
    return rng.normal(0, sigma, 2)


def test_ground_tracks_keep_their_numbers_at_one_picture_a_second() -> None:
    rng = np.random.default_rng(3)
    tracker = GroundTracker(speed_sigma_m_s={1: 12.0})
    starts_m = np.asarray([[0.0, 0.0], [40.0, 3.5], [-60.0, 7.0]])
    speeds = np.asarray([[12.0, 0.0], [-12.0, 0.0], [3.0, 0.5]])
    seen = []
    for second in range(20):
        if second in (7, 8):
            continue
        places = starts_m + speeds * second + np.asarray([wobble(rng, 0.5) for _ in starts_m])
        covariance = np.broadcast_to(np.eye(2) * 0.25, (3, 2, 2))
        seen.append(tracker.update(places, covariance, np.ones(3, np.int32), float(second)).tolist())
    assert all(s == [1, 2, 3] for s in seen)
    mover = tracker.mover(3)
    assert mover is not None
    assert mover.velocity_m_s == pytest.approx([3.0, 0.5], abs=0.6)


def test_ground_tracks_of_standing_things_sharpen_and_stay_for_minutes() -> None:
    rng = np.random.default_rng(5)
    tracker = GroundTracker()
    covariance = np.asarray([[[4.0, 1.0], [1.0, 2.0]]])
    for look in range(9):
        at = rng.multivariate_normal([10.0, -5.0], covariance[0])
        assert tracker.update(at[None], covariance, np.zeros(1, np.int32), look * 45.0).tolist() == [1]
    mover = tracker.mover(1)
    assert mover is not None
    np.testing.assert_allclose(mover.covariance_m2, covariance[0] / 9, rtol=1e-6)
    assert not mover.moves


def test_the_gate_holds_99_of_100_true_pairs() -> None:
    rng = np.random.default_rng(11)
    covariance = np.asarray([[3.0, -1.2], [-1.2, 1.0]])
    kept = 0
    for _ in range(2000):
        tracker = GroundTracker()
        a, b = rng.multivariate_normal([0, 0], covariance, 2)
        tracker.update(a[None], covariance[None], np.zeros(1, np.int32), 0.0)
        kept += tracker.update(b[None], covariance[None], np.zeros(1, np.int32), 1.0).tolist() == [1]
    assert kept / 2000 == pytest.approx(0.99, abs=0.007)


def test_ground_pairs_go_to_the_nearest_in_sigmas_and_by_class() -> None:
    tracker = GroundTracker()
    narrow, wide = np.eye(2) * 0.01, np.eye(2) * 100.0
    tracker.update(np.asarray([[0.0, 0.0], [9.0, 0.0]]), np.asarray([narrow, wide]), np.asarray([0, 0], np.int32), 0.0)
    # 5 m from the sharp track (35 sigmas) and 4 m from the vague one (0.4 sigmas)
    assert tracker.update(np.asarray([[5.0, 0.0]]), narrow[None], np.zeros(1, np.int32), 1.0).tolist() == [2]
    assert tracker.update(np.asarray([[0.0, 0.0]]), narrow[None], np.ones(1, np.int32), 2.0).tolist() == [3]


def test_no_places_is_no_numbers() -> None:
    assert len(GroundTracker().update(np.zeros((0, 2)), np.zeros((0, 2, 2)), np.zeros(0, np.int32), 0.0)) == 0
