"""Line ends drawn in as far as the whole photographed path, turns included, still covers the ground."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon

from geo.swaths import Edges

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Counts = NDArray[np.uint8]

MOST_CELLS = 6_000_000
"""Cells are made larger so that an area has no more than about so many."""
ROWS_RAD = 0.2718
"""Direction of the rows of cells, anticlockwise from x."""
TURN = np.array([[np.cos(ROWS_RAD), -np.sin(ROWS_RAD)], [np.sin(ROWS_RAD), np.cos(ROWS_RAD)]])
"""Positions (n, 2) times this are in the frame of the cells."""
PRICES = np.power(0.7, np.arange(12), dtype=np.float64)
"""What a m2 of ground is worth in m of path while ends are drawn in, dearest first."""


class Ground:
    """An area cut into square cells, to count what a path leaves uncovered.

    Its rows run along no likely line (`ROWS_RAD`), and each begins elsewhere, so that a narrow gap between two
    lines does not fall between two rows of cells, all of it.
    """

    def __init__(self, polygon: Polygon, *, cell_m: float) -> None:
        """Cells of about `cell_m`; larger for large areas."""
        ends = Edges.of(polygon).turned(ROWS_RAD)
        west, south, east, north = ends[:, 0].min(), ends[:, 1].min(), ends[:, 0].max(), ends[:, 1].max()
        self.cell_m = max(cell_m, float(np.sqrt((east - west) * (north - south) / MOST_CELLS)))
        self._corner = np.array([west, south, self.cell_m])
        rows, columns = np.ceil([(north - south) / self.cell_m, (east - west) / self.cell_m + 1]).astype(int)
        self.inside = np.zeros((rows, columns), np.bool_)
        self.cells = _fill(ends, self._corner, self.inside)

    def covered(self, points: Array, seen: Mask, reach_m: float) -> float:
        """Share of the cells whose middle lies within `reach_m` of the legs of a path (n, 2) that are `seen`."""
        hits = np.zeros(self.inside.shape, np.uint8)
        _stamp(points @ TURN, seen, reach_m, self._corner, hits)
        return 1.0 - _bare(self.inside, hits) / max(self.cells, 1)

    def trim(self, points: Array, seen: Mask, ends: NDArray[np.int64], reach_m: float, bare_share: float) -> Array:
        """The path (n, 2) with its line ends drawn in, leaving at most `bare_share` of the area uncovered.

        `seen` (n - 1,) says which legs are photographed; `ends` (k, 3) holds for each line end its index, that
        of its line's other end and that of the neighbour on the way (-1: none). What is shortened most for the
        least ground lost is shortened first: the price of ground falls step by step until the share is used up.
        """
        turned = points @ TURN
        hits = np.zeros(self.inside.shape, np.uint8)
        _stamp(turned, seen, reach_m, self._corner, hits)
        left = int(bare_share * self.cells) - _bare(self.inside, hits)
        if left <= 0:
            return points
        _settle(turned, seen, ends, hits, self.inside, self._corner, reach_m, left, PRICES * self.cell_m**2)
        return np.asarray(turned @ TURN.T)


@njit(cache=True, nogil=True)
def _west(row: int, west: float, cell: float) -> float:
    """Where a row begins: each elsewhere, so that no line runs along a column (steps of the golden ratio)."""
    return west + (row * 0.6180339887498949 % 1.0 - 0.5) * cell


@njit(cache=True, nogil=True)
def _fill(ends: Array, corner: Array, inside: Mask) -> int:
    """Set the cells whose middle lies within the edges (n, 4): each edge turns over all to its right."""
    west, south, cell = corner
    height, width = inside.shape
    for edge in range(len(ends)):
        x0, y0, x1, y1 = ends[edge]
        if y0 == y1:
            continue
        low, high = min(y0, y1), max(y0, y1)
        slope = (x1 - x0) / (y1 - y0)
        for row in range(max(0, int(np.ceil((low - south) / cell - 0.5))), height):
            y = south + (row + 0.5) * cell
            if y >= high:
                break
            column = max(0, int(np.ceil((x0 + slope * (y - y0) - _west(row, west, cell)) / cell - 0.5)))
            if column < width:
                inside[row, column] ^= True
    total = 0
    for row in range(height):
        within = False
        for column in range(width):
            within ^= inside[row, column]
            inside[row, column] = within
            total += within
    return total


@njit(cache=True, nogil=True)
def _bare(inside: Mask, hits: Counts) -> int:
    """Cells inside that nothing covers."""
    total = 0
    for row in range(inside.shape[0]):
        for column in range(inside.shape[1]):
            total += inside[row, column] and hits[row, column] == 0
    return total


@njit(cache=True, nogil=True)
def _run(
    y: float, ax: float, ay: float, bx: float, by: float, reach: float, west: float, cell: float
) -> tuple[int, int]:
    """First column, and one after the last, whose middles at height y lie within reach of the leg from a to b."""
    low, high = np.inf, -np.inf
    for x, v in ((ax, ay), (bx, by)):
        within2 = reach * reach - (y - v) ** 2
        if within2 >= 0.0:
            within = np.sqrt(within2)
            low, high = min(low, x - within), max(high, x + within)
    dx, dy = bx - ax, by - ay
    length = np.sqrt(dx * dx + dy * dy)
    if length > 0.0 and dy != 0.0:
        aside_x, aside_y = -dy / length * reach, dx / length * reach
        for side in (-1.0, 1.0):
            share = (y - ay - side * aside_y) / dy
            if 0.0 <= share <= 1.0:
                x = ax + side * aside_x + share * dx
                low, high = min(low, x), max(high, x)
    if low > high:
        return 0, 0
    return int(np.ceil((low - west) / cell - 0.5 - 1e-9)), int(np.floor((high - west) / cell - 0.5 + 1e-9)) + 1


@njit(cache=True, nogil=True)
def _stamp(points: Array, seen: Mask, reach: float, corner: Array, hits: Counts) -> None:
    """Count each photographed leg in every cell it covers, up to 255."""
    west, south, cell = corner
    height, width = hits.shape
    for leg in range(len(seen)):
        if not seen[leg]:
            continue
        (ax, ay), (bx, by) = points[leg], points[leg + 1]
        bottom = max(0, int(np.ceil((min(ay, by) - reach - south) / cell - 0.5)))
        top = min(height, int(np.floor((max(ay, by) + reach - south) / cell - 0.5)) + 1)
        for row in range(bottom, top):
            first, last = _run(south + (row + 0.5) * cell, ax, ay, bx, by, reach, _west(row, west, cell), cell)
            for column in range(max(first, 0), min(last, width)):
                if hits[row, column] < 255:
                    hits[row, column] += 1


@njit(cache=True, nogil=True)
def _change(
    points: Array, at: int, x: float, y: float, other: int, way: int,
    hits: Counts, inside: Mask, corner: Array, reach: float, write: bool,
) -> int:  # fmt: skip
    """How many more cells lie bare when end `at` moves to x, y; counts the move in `hits` if `write`.

    `way` is the neighbour on a photographed way, -1 without one.
    """
    west, south, cell = corner
    height, width = hits.shape
    (ax, ay), (bx, by) = points[at], points[other]
    low, high = min(ay, y), max(ay, y)
    wx, wy = ax, ay
    if way >= 0:
        wx, wy = points[way]
        low, high = min(low, wy), max(high, wy)
    bare = 0
    bottom = max(0, int(np.ceil((low - reach - south) / cell - 0.5)))
    top = min(height, int(np.floor((high + reach - south) / cell - 0.5)) + 1)
    for row in range(bottom, top):
        v, start_x = south + (row + 0.5) * cell, _west(row, west, cell)
        a0, a1 = _run(v, ax, ay, bx, by, reach, start_x, cell)
        b0, b1 = _run(v, x, y, bx, by, reach, start_x, cell)
        c0, c1, d0, d1 = 0, 0, 0, 0
        if way >= 0:
            c0, c1 = _run(v, ax, ay, wx, wy, reach, start_x, cell)
            d0, d1 = _run(v, x, y, wx, wy, reach, start_x, cell)
        if a0 == b0 and a1 == b1 and c0 == d0 and c1 == d1:
            continue
        first, last = width, 0
        for start, end, other_start, other_end in ((a0, a1, b0, b1), (c0, c1, d0, d1)):
            if start != other_start:
                first, last = min(first, min(start, other_start)), max(last, max(start, other_start))
            if end != other_end:
                first, last = min(first, min(end, other_end)), max(last, max(end, other_end))
        for column in range(max(first, 0), min(last, width)):
            if not inside[row, column]:
                continue
            left = int(b0 <= column < b1) - int(a0 <= column < a1) + int(d0 <= column < d1) - int(c0 <= column < c1)
            if left != 0:
                now = int(hits[row, column])
                if now == 0:
                    bare -= 1
                elif now + left == 0:
                    bare += 1
                if write:
                    hits[row, column] = now + left
    return bare


@njit(cache=True, nogil=True)
def _settle(
    points: Array, seen: Mask, ends: NDArray[np.int64], hits: Counts, inside: Mask,
    corner: Array, reach: float, left: int, prices: Array,
) -> None:  # fmt: skip
    """Draw ends in along their lines while path plus price times bare cells falls, for each price in turn.

    No more than `left` cells may fall bare.
    """
    count, steps = len(ends), np.array([reach / 4, reach / 12])
    longer, bare = np.zeros((count, 2)), np.zeros((count, 2), np.int64)
    known = np.zeros((count, 2), np.bool_)
    for price in prices:
        for row in range(count):
            at, other, way = ends[row]
            seen_way = way if way >= 0 and seen[min(at, way)] else -1
            size = 0
            while size < 2:
                dx, dy = points[other, 0] - points[at, 0], points[other, 1] - points[at, 1]
                length = np.hypot(dx, dy)
                if steps[size] > length - 1.0:
                    size += 1
                    continue
                x, y = points[at, 0] + dx / length * steps[size], points[at, 1] + dy / length * steps[size]
                if not known[row, size]:
                    change = -steps[size]
                    if way >= 0:
                        change += np.hypot(x - points[way, 0], y - points[way, 1])
                        change -= np.hypot(points[at, 0] - points[way, 0], points[at, 1] - points[way, 1])
                    longer[row, size], known[row, size] = change, True
                    if change < 0.0:
                        bare[row, size] = _change(points, at, x, y, other, seen_way, hits, inside, corner, reach, False)
                if (
                    longer[row, size] >= 0.0
                    or bare[row, size] > left
                    or longer[row, size] + price * bare[row, size] >= -1e-6
                ):
                    size += 1
                    continue
                left -= _change(points, at, x, y, other, seen_way, hits, inside, corner, reach, True)
                points[at, 0], points[at, 1] = x, y
                wx, wy = points[max(way, 0)]
                for near in range(count):  # what they would leave bare may be different now
                    nx, ny = points[ends[near, 0]]
                    if np.hypot(nx - x, ny - y) < 5 * reach or (way >= 0 and np.hypot(nx - wx, ny - wy) < 5 * reach):
                        known[near] = False
