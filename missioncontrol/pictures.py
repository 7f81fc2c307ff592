"""Pictures as they are kept and sent: cut out around what was found, and as JPEG."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def cut_out(image: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """The part of an RGB picture around a box (px), the box drawn; some 320 x 240 px, more around larger boxes."""
    x0, y0, x1, y1 = (round(value) for value in box)
    half_width, half_height = max(160, x1 - x0), max(120, y1 - y0)
    left, top = max(0, (x0 + x1) // 2 - half_width), max(0, (y0 + y1) // 2 - half_height)
    part = image[top : top + 2 * half_height, left : left + 2 * half_width].copy()
    around = (x0 - left - 3, y0 - top - 3), (x1 - left + 3, y1 - top + 3)
    cv2.rectangle(part, *around, (12, 18, 23), 3)  # so that it is seen on yellow grass too
    cv2.rectangle(part, *around, (255, 210, 0), 1)
    return part


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """An RGB picture (H, W, 3) as JPEG."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
