"""Tiles of a COG: whole, halved for the next overview, and as differences that pack well.

Source: TIFF 6.0 (predictor 2); Adobe Photoshop TIFF Technical Note 3 (predictor 3).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

Cells = NDArray[Any]


def padded(tile: Cells, side: int) -> Cells:
    """A whole tile: what is beyond the edge of the raster repeats the edge."""
    height, width = tile.shape[:2]
    if (height, width) == (side, side):
        return np.ascontiguousarray(tile)
    return np.pad(tile, ((0, side - height), (0, side - width), (0, 0)), mode="edge")


def predicted(tile: Cells) -> Cells:
    """Differences to the pixel on the left (predictor 2), or of the bytes of floats, most significant first (3)."""
    if tile.dtype.kind != "f":
        out = np.empty_like(tile)
        _differences(tile.view(f"u{tile.dtype.itemsize}"), out.view(f"u{tile.dtype.itemsize}"))
        return out
    rows, cols, bands = tile.shape
    planes = tile.astype(">f4").view(np.uint8).reshape(rows, cols * bands, 4).transpose(0, 2, 1).reshape(rows, -1)
    out = planes.copy()
    out[:, bands:] -= planes[:, :-bands]
    return out


@njit(cache=True, nogil=True)
def _differences(cells: Cells, out: Cells) -> None:
    rows, cols, bands = cells.shape
    for r in range(rows):
        for b in range(bands):
            out[r, 0, b] = cells[r, 0, b]
        for c in range(1, cols):
            for b in range(bands):
                out[r, c, b] = cells[r, c, b] - cells[r, c - 1, b]


@njit(cache=True, nogil=True)
def halve(cells: Cells, alpha: bool, has_nodata: bool, nodata: float, average: bool, whole: bool, out: Cells) -> None:
    """Each 2 x 2 pixels to their mean, or their first, of those that are not clear (alpha 0), nodata or NaN."""
    bands = cells.shape[2] - (1 if alpha else 0)
    for r in range(out.shape[0]):
        for c in range(out.shape[1]):
            if alpha:
                out[r, c, bands] = max(
                    max(cells[2 * r, 2 * c, bands], cells[2 * r, 2 * c + 1, bands]),
                    max(cells[2 * r + 1, 2 * c, bands], cells[2 * r + 1, 2 * c + 1, bands]),
                )
            for b in range(bands):
                total, known = 0.0, 0
                for k in range(4):
                    y, x = 2 * r + k // 2, 2 * c + k % 2
                    value = cells[y, x, b]
                    if (alpha and cells[y, x, bands] == 0) or (has_nodata and value == nodata) or value != value:
                        continue
                    if average or known == 0:
                        total += value
                        known += 1
                if known > 0:
                    out[r, c, b] = np.floor(total / known + 0.5) if whole else total / known
                elif has_nodata:
                    out[r, c, b] = nodata
                elif not alpha:
                    out[r, c, b] = cells[2 * r, 2 * c, b]
