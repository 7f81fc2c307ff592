"""PNG, written fast: 8 bit RGBA, each row as differences to the pixel on the left, packed by isal.

Source: W3C, Portable Network Graphics (Third Edition).
"""

from __future__ import annotations

import struct

import numpy as np
from isal import isal_zlib
from numba import njit
from numpy.typing import NDArray

_LEVEL = 2


def png(rgba: NDArray[np.uint8]) -> bytes:
    """The file of a picture (height, width, 4)."""
    height, width = rgba.shape[:2]
    rows = np.empty((height, 1 + 4 * width), np.uint8)
    _filter(np.ascontiguousarray(rgba), rows)
    size = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    data = isal_zlib.compress(rows, _LEVEL)
    return b"\x89PNG\r\n\x1a\n" + _chunk(b"IHDR", size) + _chunk(b"IDAT", data) + _chunk(b"IEND", b"")


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", isal_zlib.crc32(name + data))


@njit(cache=True, nogil=True)
def _filter(rgba: NDArray[np.uint8], rows: NDArray[np.uint8]) -> None:
    """Filter type 1 (Sub) for every row."""
    for r in range(rgba.shape[0]):
        rows[r, 0] = 1
        for band in range(4):
            rows[r, 1 + band] = rgba[r, 0, band]
        for c in range(1, rgba.shape[1]):
            for band in range(4):
                rows[r, 1 + 4 * c + band] = rgba[r, c, band] - rgba[r, c - 1, band]
