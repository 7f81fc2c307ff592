"""Tiling over any detector."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models.detections import Detections
from aerial_models.tiling import TiledDetector, starts


class RedDetector:
    """Finds the hull of what is red: small enough to know its answer by heart."""

    classes = ("red", "green")

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        boxes, ids = [], []
        for k in (0, 1):
            ys, xs = np.nonzero(image[..., k] > 200)
            if len(xs):
                boxes.append([xs.min(), ys.min(), xs.max() + 1, ys.max() + 1])
                ids.append(k)
        return Detections.of(boxes, [min(0.99, 0.5 + len(boxes) * 0.1)] * len(boxes), ids, self.classes)


def picture(*boxes: tuple[int, int, int, int], width: int = 1000, height: int = 700) -> NDArray[np.uint8]:
    image = np.zeros((height, width, 3), np.uint8)
    for x0, y0, x1, y1 in boxes:
        image[y0:y1, x0:x1, 0] = 255
    return image


@pytest.mark.parametrize("length", [100, 640, 641, 1000, 1280, 5000])
def test_tiles_cover_and_overlap(length: int) -> None:
    first = starts(length, 640, 96)
    assert first[0] == 0
    assert first[-1] + 640 >= length
    assert all(b - a <= 640 - 96 for a, b in pairwise(first))


def test_a_box_across_a_seam_is_one_box() -> None:
    # tiles start at 0 and 360: the box is cut by both and longer than what they share
    found = TiledDetector(RedDetector(), 640, 200).detect(picture((340, 100, 700, 160)))
    assert len(found) == 1
    np.testing.assert_allclose(found.xyxy[0], [340, 100, 700, 160])


def test_a_box_across_four_tiles_is_one_box() -> None:
    found = TiledDetector(RedDetector(), 400, 60).detect(picture((200, 150, 800, 600)))
    np.testing.assert_allclose(found.xyxy, [[200, 150, 800, 600]])


def test_a_box_seen_whole_by_two_tiles_is_reported_once() -> None:
    found = TiledDetector(RedDetector(), 640, 400).detect(picture((450, 300, 500, 340)))
    np.testing.assert_allclose(found.xyxy, [[450, 300, 500, 340]])


def test_two_things_and_two_classes_stay_apart() -> None:
    image = picture((50, 50, 90, 90), (900, 600, 960, 660))
    image[55:85, 55:85, 1] = 255
    found = TiledDetector(RedDetector(), 640, 96).detect(image)
    assert sorted(map(tuple, found.xyxy[found.class_id == 0].tolist())) == [(50, 50, 90, 90), (900, 600, 960, 660)]
    assert found.xyxy[found.class_id == 1].tolist() == [[55, 55, 85, 85]]


def test_a_small_picture_is_one_tile_and_an_empty_one_gives_nothing() -> None:
    tiled = TiledDetector(RedDetector(), 640, 96)
    assert tiled.detect(picture((1, 2, 30, 40), width=100, height=90)).xyxy.tolist() == [[1, 2, 30, 40]]
    assert len(tiled.detect(picture())) == 0


def test_an_overlap_as_large_as_the_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="640 px does not fit"):
        TiledDetector(RedDetector(), 640, 640)
