"""How the picture moves from frame to frame, by the points that can be followed: what tells the time of the frames."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

WORKING_WIDTH_PX = 480
"""Frames are made this small first."""
FEWEST_POINTS = 12
"""Fewer points that move alike tell nothing."""
_MOST_POINTS = 160
_LEAST_SHARE = 0.4


@dataclass(frozen=True)
class ImageMotion:
    """What is in the picture moved so from one frame to the next."""

    start_s: float
    """Time of the first frame, s."""
    end_s: float
    """Time of the second, s."""
    turn_rad: float
    """About the middle of the picture, clockwise, rad."""
    right: float
    """Of the middle of the picture, in focal lengths."""
    down: float
    """Of the middle of the picture, in focal lengths."""


class MotionMeter:
    """Follows points from frame to frame of one video."""

    def __init__(self, *, focal_share: float, most_gap_s: float = 1.0) -> None:
        """`focal_share` is the focal length over the width of the picture; frames further apart are not compared."""
        self._focal_share, self._most_gap_s = focal_share, most_gap_s
        self._last: tuple[NDArray[np.uint8], float] | None = None

    def add(self, image: NDArray[np.uint8], time_s: float) -> ImageMotion | None:
        """The motion since the frame before; None for the first, after a gap, or where too little can be followed.

        `image` is RGB (H, W, 3) or grey (H, W).
        """
        grey = _small_grey(image)
        last, self._last = self._last, (grey, time_s)
        if last is None or last[0].shape != grey.shape or not 0 < time_s - last[1] <= self._most_gap_s:
            return None
        moved = _similarity(last[0], grey)
        if moved is None:
            return None
        turn_rad, right_px, down_px = moved
        focal_px = self._focal_share * grey.shape[1]
        return ImageMotion(last[1], time_s, turn_rad, right_px / focal_px, down_px / focal_px)


def _small_grey(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = image.shape[:2]
    scale = min(1.0, WORKING_WIDTH_PX / width)
    if scale < 1.0:
        size = (round(width * scale), round(height * scale))
        image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
    return image if image.ndim == 2 else np.asarray(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), np.uint8)


def _similarity(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> tuple[float, float, float] | None:
    """Turn, rad, and shift right and down of the middle, px, of the similarity that most points agree on."""
    height, width = first.shape
    points = cv2.goodFeaturesToTrack(first, _MOST_POINTS, 0.01, width / 40)
    if points is None or len(points) < FEWEST_POINTS:
        return None
    followed, found, _ = cv2.calcOpticalFlowPyrLK(first, second, points, points.copy(), winSize=(21, 21), maxLevel=4)
    kept = found.ravel() == 1
    if np.count_nonzero(kept) < FEWEST_POINTS:
        return None
    middle = np.array([(width - 1) / 2, (height - 1) / 2], np.float32)
    start, end = points.reshape(-1, 2)[kept] - middle, followed.reshape(-1, 2)[kept] - middle
    matrix, agree = cv2.estimateAffinePartial2D(start, end, method=cv2.RANSAC, ransacReprojThreshold=1.5)
    if matrix is None or np.count_nonzero(agree) < max(FEWEST_POINTS, _LEAST_SHARE * len(start)):
        return None
    return float(np.arctan2(matrix[1, 0], matrix[0, 0])), float(matrix[0, 2]), float(matrix[1, 2])
