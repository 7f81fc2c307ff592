"""A test card in place of a rendered city: each picture carries its own moment, readable after compression."""

from __future__ import annotations

from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from geo.poses import Pose

_BITS = 20
_TICKS_PER_S = 100


class PatternPicture(NamedTuple):
    """As a renderer gives it."""

    image: NDArray[np.uint8]
    """RGB (H, W, 3)."""


class PatternRenderer:
    """A drifting texture with a bar code of the moment along the top edge."""

    def __init__(self, *, width_px: int, height_px: int, seed: int = 0) -> None:
        """Pictures of that size, at least 160 x 16 px."""
        noise = np.random.default_rng(seed).integers(0, 255, (height_px // 8 + 16, width_px // 8 + 16, 3), np.uint8)
        texture = cv2.resize(noise, None, fx=8, fy=8, interpolation=cv2.INTER_CUBIC)
        self._texture = np.asarray(texture, np.uint8)
        self._size = height_px, width_px

    def render(
        self, pose: Pose, *, velocity_enu_m_s: Any = None, exposure_s: float = 0.0, rng: Any = None
    ) -> PatternPicture:
        """The picture of the moment `pose.utc_s`; nothing else matters."""
        height_px, width_px = self._size
        code = code_of(pose.utc_s)
        shift = code % 100
        image = np.ascontiguousarray(self._texture[shift : shift + height_px, shift : shift + width_px])
        bits = np.array([code >> i & 1 for i in range(_BITS)], np.uint8) * 255
        bar_px = width_px // _BITS
        image[:16, : bar_px * _BITS] = np.repeat(bits, bar_px)[None, :, None]
        return PatternPicture(image)


def code_of(utc_s: float) -> int:
    """What the bar code says of a moment: hundredths of a second, modulo 2**20."""
    return round(utc_s * _TICKS_PER_S) & ((1 << _BITS) - 1)


def code_in(image: NDArray[np.uint8]) -> int:
    """The bar code of a picture."""
    bar_px = image.shape[1] // _BITS
    bars = image[4:12, : bar_px * _BITS].reshape(8, _BITS, bar_px, 3)[:, :, bar_px // 4 : -bar_px // 4]
    return int(sum(1 << i for i, level in enumerate(bars.mean(axis=(0, 2, 3))) if level > 127))
