"""Figures against truth that can be reckoned by hand."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from aerial_models.datasets import LabelledPicture
from aerial_models.detections import Detections
from aerial_models.evaluation import Judged, average_precision, choose_threshold, figures, judge, look, match

CLASSES = ("dump", "person")


def labelled(xyxy: list[list[float]], class_id: list[int], unlabelled: frozenset[str] = frozenset()) -> LabelledPicture:
    boxes = np.asarray(xyxy, np.float32).reshape(-1, 4)
    return LabelledPicture(Path("a.jpg"), boxes, np.asarray(class_id, np.int32), unlabelled)


def test_each_thing_is_matched_once_and_by_the_best_finding() -> None:
    truth = np.asarray([[0, 0, 10, 10]], np.float32)
    found = np.asarray([[0, 0, 10, 9], [0, 0, 10, 10]], np.float32)
    assert match(found, np.asarray([0.9, 0.8], np.float32), truth).tolist() == [True, False]
    assert match(found, np.asarray([0.7, 0.8], np.float32), truth).tolist() == [False, True]
    assert match(found + 6, np.asarray([0.7, 0.8], np.float32), truth).tolist() == [False, False]


def test_average_precision_of_a_known_ranking() -> None:
    # right, wrong, right, wrong, right over 4 things: precision 1, 2/3, 3/5 at recall 1/4, 2/4, 3/4
    judged = Judged(np.asarray([0.9, 0.8, 0.7, 0.6, 0.5]), np.asarray([1, 0, 1, 0, 1], bool), 4, 2)
    assert average_precision(judged) == pytest.approx((1 + 2 / 3 + 3 / 5) / 4)
    shown = figures(judged, 0.65)
    assert (shown.precision, shown.recall, shown.false_per_picture) == (0.6667, 0.5, 0.5)


def test_nothing_there_has_no_average_precision_and_nothing_found_has_none_of_it() -> None:
    nothing = Judged(np.zeros(0), np.zeros(0, bool), 0, 3)
    assert average_precision(nothing) is None
    assert figures(nothing, 0.5).precision is None
    assert average_precision(Judged(np.zeros(0), np.zeros(0, bool), 3, 3)) == 0.0


def test_unlabelled_classes_are_not_judged() -> None:
    found = Detections.of([[0, 0, 10, 10], [20, 20, 30, 30]], [0.9, 0.8], [0, 1], CLASSES)
    sparse = (labelled([[0, 0, 10, 10]], [0], frozenset({"person"})), found)
    full = (labelled([[0, 0, 10, 10]], [0]), found)
    assert judge([sparse], CLASSES)["person"].pictures == 0
    assert len(judge([sparse], CLASSES)["person"].right) == 0
    both = judge([sparse, full], CLASSES)
    assert (both["dump"].truth, both["dump"].pictures, both["person"].pictures) == (2, 2, 1)
    assert both["person"].right.tolist() == [False]


def test_the_threshold_is_the_lowest_that_is_precise_enough() -> None:
    judged = Judged(np.asarray([0.9, 0.7, 0.6, 0.4, 0.3]), np.asarray([1, 1, 1, 0, 0], bool), 3, 1)
    assert 0.4 < choose_threshold(judged, 0.99) <= 0.6
    assert 0.3 < choose_threshold(judged, 0.75) <= 0.4
    assert choose_threshold(Judged(np.asarray([0.9]), np.zeros(1, bool), 1, 1), 0.9) == 0.8


def test_boxes_come_back_in_the_pixels_of_the_file(tmp_path: Path) -> None:
    class Brightest:
        classes = CLASSES

        def detect(self, image: np.ndarray) -> Detections:
            ys, xs = np.nonzero(image[..., 0] > 128)
            return Detections.of([[xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]], [0.9], [0], CLASSES)

    image = np.zeros((200, 300, 3), np.uint8)
    image[40:80, 100:160] = 255
    cv2.imwrite(str(tmp_path / "a.png"), image)
    box = np.asarray([[100, 40, 160, 80]], np.float32)
    half = LabelledPicture(tmp_path / "a.png", box, np.zeros(1, np.int32), frozenset(), (0.5, 0.5))
    ((_, found),) = look([half], Brightest())
    np.testing.assert_allclose(found.xyxy, box, atol=2)
