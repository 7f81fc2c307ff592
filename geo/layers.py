"""Rasters of heights for compiled loops: where a place lies in them, what is held of them, how high the ground is.

A layer is a row of numbers: rows, columns, squares across, number of the first square, anchor lon and lat and the
scales of its polynomials, whether these are linear, west, south, east, north (deg). Heights are held in squares of
posts with pyramids of maxima; `geo.relief` makes and fills all of it. Where several layers know a place the first
counts, as in `geo.terrain.TerrainTiles`.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Cells = NDArray[np.float32]
Numbers = NDArray[np.int64]

UNLOADED, HIT, SKY, UNKNOWN, BELOW = 0, 1, 2, 3, 4
"""What became of a ray: it waits for a square that is not loaded; it met the ground; it rises above it for good or runs
too far; it came where no height is known; it began below the ground."""
LEVELS = 9
SQUARE = 1 << LEVELS
"""Cells along the side of a square."""
FIRST = np.array([sum((SQUARE >> finer) ** 2 for finer in range(1, level)) for level in range(LEVELS + 2)])
"""Where the maxima of each level, from 1 on, begin in a square's row of maxima."""
ROUNDING = 1e-6
"""Weights of rasters that meet may fall so far short of 1."""


@njit(cache=True, nogil=True)
def maxima_of(posts: Cells, rows: int, cols: int, maxima: Cells) -> None:  # pragma: no cover - compiled
    """Fill the maxima of a square's levels; inf where a height is unknown, -inf beyond `rows` and `cols` of cells."""
    half = SQUARE // 2
    for row in range(half):
        for col in range(half):
            most = -math.inf
            for down in range(2 * row, min(2 * row + 2, rows)):
                for right in range(2 * col, min(2 * col + 2, cols)):
                    for corner in range(4):
                        post = posts[down + corner // 2, right + corner % 2]
                        most = math.inf if math.isnan(post) else max(most, post)
                        if most == math.inf:
                            break
            maxima[row * half + col] = most
    for level in range(2, LEVELS + 1):
        side = SQUARE >> level
        for row in range(side):
            for col in range(side):
                below = FIRST[level - 1] + 4 * row * side + 2 * col
                maxima[FIRST[level] + row * side + col] = max(
                    max(maxima[below], maxima[below + 1]), max(maxima[below + 2 * side], maxima[below + 2 * side + 1])
                )


@njit(cache=True, nogil=True)
def _polynomial(terms: Array, x: float, y: float) -> float:  # pragma: no cover - compiled
    """Sum of terms[i, j] x**i y**j, degree 4."""
    value = 0.0
    for i in range(4, -1, -1):
        inner = 0.0
        for j in range(4 - i, -1, -1):
            inner = inner * y + terms[i, j]
        value = value * x + inner
    return value


@njit(cache=True, nogil=True)
def located(eye: Array, layer: Array, terms: Array, lon: float, lat: float) -> tuple[float, float]:  # pragma: no cover
    """Column and row, counted from the middles of cells, of a place given in degrees east and north of the eye."""
    x, y = (eye[0] + lon - layer[4]) * layer[6], (eye[1] + lat - layer[5]) * layer[7]
    if layer[8] > 0:
        return (
            terms[0, 0, 0] + terms[0, 1, 0] * x + terms[0, 0, 1] * y,
            terms[1, 0, 0] + terms[1, 1, 0] * x + terms[1, 0, 1] * y,
        )
    return _polynomial(terms[0], x, y), _polynomial(terms[1], x, y)


@njit(cache=True, nogil=True)
def slot_of(layer: Array, directory: Numbers, row: int, col: int) -> tuple[int, int]:  # pragma: no cover - compiled
    """Where a cell's square is held, -1 if it is not, and the square's number."""
    number = int(layer[3]) + (row >> LEVELS) * int(layer[2]) + (col >> LEVELS)
    return directory[number], number


@njit(cache=True, nogil=True)
def _weighted(
    layer: Array, directory: Numbers, squares: Cells, col: float, row: float
) -> tuple[float, float, int]:  # pragma: no cover - compiled
    """Height at a place of one raster, how far it counts, and the number of the square to load, else -1."""
    rows, cols = layer[0], layer[1]
    held_row, held_col = min(max(row, 0.0), rows - 1.0), min(max(col, 0.0), cols - 1.0)
    off_row, off_col = abs(row - held_row), abs(col - held_col)
    if not (off_row < 1.0 and off_col < 1.0):
        return 0.0, 0.0, -1
    top, left = min(int(held_row), max(int(rows) - 2, 0)), min(int(held_col), max(int(cols) - 2, 0))
    slot, number = slot_of(layer, directory, top, left)
    if slot < 0:
        return 0.0, 0.0, number
    down, right = held_row - top, held_col - left
    top, left = top & (SQUARE - 1), left & (SQUARE - 1)
    height = squares[slot, top, left] * (1 - right) if right < 1 else 0.0
    if right > 0:
        height += squares[slot, top, left + 1] * right
    if down > 0:
        below = squares[slot, top + 1, left] * (1 - right) if right < 1 else 0.0
        if right > 0:
            below += squares[slot, top + 1, left + 1] * right
        height = height * (1 - down) + below * down if down < 1 else below
    if math.isnan(height):
        return 0.0, 0.0, -1
    return height, (1.0 - off_row) * (1.0 - off_col), -1


@njit(cache=True, nogil=True)
def ground_at(
    eye: Array, lon: float, lat: float, layers: Array, terms: Array, directory: Numbers, squares: Cells
) -> tuple[float, int, int]:  # pragma: no cover - compiled
    """Height, m AMSL, of a place in degrees east and north of the eye: (height, HIT, -1), (0, UNKNOWN, -1), or
    (0, UNLOADED, number of the square)."""
    height, weight = 0.0, 0.0
    for k in range(len(layers)):
        layer = layers[k]
        if not (layer[9] <= eye[0] + lon <= layer[11] and layer[10] <= eye[1] + lat <= layer[12]):
            continue
        col, row = located(eye, layer, terms[k], lon, lat)
        found, counts, missing = _weighted(layer, directory, squares, col, row)
        if missing >= 0:
            return 0.0, UNLOADED, missing
        share = min(counts, 1.0 - weight)
        height += share * found
        weight += share
        if weight >= 1.0:
            break
    if weight > 1.0 - ROUNDING:
        return height / weight, HIT, -1
    return 0.0, UNKNOWN, -1
