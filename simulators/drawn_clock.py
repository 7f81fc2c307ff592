"""A clock along the lower edge of a simulated picture, so that whoever sees the picture can tell how old it is.

32 cells of equal width, black or white: one white, one black, 24 bits of the wall clock's milliseconds in Gray code,
most significant first, and 6 bits that check them. In Gray code two moments that follow each other differ in one cell,
so a picture blended of two frames reads as one of both.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

CELLS = 32
BITS = 24
"""Of the milliseconds: it comes round after 4.66 h."""
CHECK_BITS = 6
ROWS_SHARE = 1 / 20
"""Height of the clock, of the picture's."""


def draw(image: NDArray[np.uint8], utc_s: float) -> NDArray[np.uint8]:
    """The picture (H, W, 3), at least 64 px wide, with the clock of a moment (s since 1970) over its lower edge."""
    height_px, width_px = image.shape[:2]
    gray = _gray(milliseconds(utc_s))
    bits = [1, 0, *_bits(gray, BITS), *_bits(_check(gray), CHECK_BITS)]
    columns = np.arange(width_px) * CELLS // width_px
    drawn = image.copy()
    drawn[height_px - rows(height_px) :] = (np.array(bits, np.uint8) * 255)[columns][None, :, None]
    return drawn


def read(image: NDArray[np.uint8]) -> int | None:
    """Milliseconds of the clock in a picture (H, W, 3), modulo 2**24; None where there is none that can be read."""
    height_px, width_px = image.shape[:2]
    centres = ((np.arange(CELLS) + 0.5) * width_px / CELLS).astype(int)
    levels = image[height_px - (rows(height_px) + 1) // 2, centres].astype(float).mean(axis=1)
    if levels[0] - levels[1] < 64:
        return None
    bits = levels > (levels[0] + levels[1]) / 2
    gray = _number(bits[2 : 2 + BITS])
    if _number(bits[2 + BITS :]) != _check(gray):
        return None
    value = gray
    for shift in (1, 2, 4, 8, 16):
        value ^= value >> shift
    return value


def milliseconds(utc_s: float) -> int:
    """What the clock says of a moment."""
    return round(utc_s * 1000) % (1 << BITS)


def rows(height_px: int) -> int:
    """Height of the clock in a picture of that height, px."""
    return max(2, round(height_px * ROWS_SHARE))


def _gray(value: int) -> int:
    return value ^ value >> 1


def _check(gray: int) -> int:
    return (gray ^ gray >> 6 ^ gray >> 12 ^ gray >> 18 ^ 0b101101) & 0b111111


def _bits(number: int, count: int) -> list[int]:
    return [number >> place & 1 for place in reversed(range(count))]


def _number(bits: NDArray[np.bool_]) -> int:
    return int("".join("1" if bit else "0" for bit in bits), 2)
