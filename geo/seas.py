"""Where there is nothing but sea."""

from __future__ import annotations

import zlib
from functools import lru_cache
from importlib import resources

import numpy as np
from numpy.typing import NDArray

CELLS_PER_DEG = 2
"""Cells of half a degree, the first at lon -180, lat 90, row by row from the north."""


def is_open_sea(lon: float, lat: float) -> bool:
    """Whether the half degree about a place holds no land that shows at 1 km: small atolls count as sea.

    From GLOBE, the Global Land One-kilometer Base Elevation (NOAA, 1999), public domain.
    """
    row = min(int((90.0 - lat) * CELLS_PER_DEG), 180 * CELLS_PER_DEG - 1)
    column = int((lon + 180.0) * CELLS_PER_DEG) % (360 * CELLS_PER_DEG)
    return bool(_seas()[row, column])


@lru_cache(maxsize=1)
def _seas() -> NDArray[np.bool_]:
    packed = zlib.decompress(resources.files("geo").joinpath("data", "seas.zlib").read_bytes())
    bits = np.unpackbits(np.frombuffer(packed, np.uint8))
    return bits.reshape(180 * CELLS_PER_DEG, 360 * CELLS_PER_DEG).astype(np.bool_)
