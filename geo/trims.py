"""Line ends drawn in as far as the whole photographed path, turns included, still covers the ground."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon

from geo.swaths import Edges, fill

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

MOST_CELLS = 1_500_000
"""Cells are made larger so that an area has no more than about so many."""


class Ground:
    """An area cut into square cells, to count what a path leaves uncovered."""

    def __init__(self, polygon: Polygon, *, cell_m: float) -> None:
        """Cells of about `cell_m`; larger for large areas."""
        west, south, east, north = polygon.bounds
        self.cell_m = max(cell_m, float(np.sqrt((east - west) * (north - south) / MOST_CELLS)))
        self.columns = np.arange(west + self.cell_m / 2, east, self.cell_m)
        self.rows = np.arange(south + self.cell_m / 2, north, self.cell_m)
        self.inside = np.zeros((len(self.rows), len(self.columns)), np.bool_)
        fill(Edges.of(polygon).ends, self.rows, self.columns, self.inside)
        self.cells = int(self.inside.sum())

    def covered(self, points: Array, seen: Mask, reach_m: float) -> float:
        """Share of the cells whose middle lies within `reach_m` of the legs of a path (n, 2) that are `seen`."""
        return 1.0 - self._bare(self._hits(points, seen, reach_m)) / max(self.cells, 1)

    def trim(self, points: Array, seen: Mask, ends: NDArray[np.int64], reach_m: float, bare_share: float) -> Array:
        """The path (n, 2) with its line ends drawn in, leaving at most `bare_share` of the area uncovered.

        `seen` (n - 1,) says which legs are photographed; `ends` (k, 3) holds for each line end its index, that
        of its line's other end and that of the neighbour on the way (-1: none). What is shortened most for the
        least ground lost is shortened first: one price of ground in path for all ends, found by bisection.
        """
        best = points
        low, high = 0.02, 1.5
        for _ in range(6):
            price = float(np.sqrt(low * high))
            trial = points.copy()
            hits = self._hits(trial, seen, reach_m)
            _settle(trial, seen, ends, hits, self.inside, self.columns, self.rows, reach_m, price * self.cell_m**2)
            bare = self._bare(hits) / max(self.cells, 1)
            if bare <= bare_share:
                best, high = trial, price
                if bare > 0.9 * bare_share:
                    break
            else:
                low = price
        return best

    def _hits(self, points: Array, seen: Mask, reach_m: float) -> NDArray[np.int16]:
        hits = np.zeros(self.inside.shape, np.int16)
        for leg in np.flatnonzero(seen):
            _stamp(points[leg], points[leg + 1], reach_m, self.columns, self.rows, hits)
        return hits

    def _bare(self, hits: NDArray[np.int16]) -> int:
        return int((self.inside & (hits == 0)).sum())


@njit(cache=True, inline="always")
def _near(x: float, y: float, start: Array, end: Array, reach2: float) -> bool:
    dx, dy = end[0] - start[0], end[1] - start[1]
    length2 = dx * dx + dy * dy
    along = 0.0
    if length2 > 0:
        along = min(1.0, max(0.0, ((x - start[0]) * dx + (y - start[1]) * dy) / length2))
    off_x, off_y = x - start[0] - along * dx, y - start[1] - along * dy
    return bool(off_x * off_x + off_y * off_y <= reach2)


@njit(cache=True)
def _stamp(start: Array, end: Array, reach: float, columns: Array, rows: Array, hits: NDArray[np.int16]) -> None:
    """Count the leg in every cell it covers."""
    reach2 = reach * reach * (1 + 1e-9)
    dx, dy = end[0] - start[0], end[1] - start[1]
    bottom = np.searchsorted(rows, min(start[1], end[1]) - reach)
    top = np.searchsorted(rows, max(start[1], end[1]) + reach)
    for row in range(bottom, top):
        y = rows[row]
        near, far = 0.0, 1.0
        if abs(dy) > 1e-9:
            at0, at1 = (y - reach - start[1]) / dy, (y + reach - start[1]) / dy
            near, far = max(0.0, min(at0, at1)), min(1.0, max(at0, at1))
        low = start[0] + min(near * dx, far * dx) - reach
        high = start[0] + max(near * dx, far * dx) + reach
        for column in range(np.searchsorted(columns, low), np.searchsorted(columns, high)):
            if _near(columns[column], y, start, end, reach2):
                hits[row, column] += 1


@njit(cache=True)
def _change(
    points: Array, at: int, place: Array, other: int, way: int, way_seen: bool,
    hits: NDArray[np.int16], inside: Mask, columns: Array, rows: Array, reach: float, write: bool,
) -> int:  # fmt: skip
    """How many more cells lie bare when end `at` moves to `place`; counts the move in `hits` if `write`."""
    reach2 = reach * reach * (1 + 1e-9)
    here, back = points[at], points[other]
    west, east = min(here[0], place[0]), max(here[0], place[0])
    south, north = min(here[1], place[1]), max(here[1], place[1])
    if way_seen:
        west, east = min(west, points[way, 0]), max(east, points[way, 0])
        south, north = min(south, points[way, 1]), max(north, points[way, 1])
    bare = 0
    first_column = np.searchsorted(columns, west - reach)
    last_column = np.searchsorted(columns, east + reach)
    for row in range(np.searchsorted(rows, south - reach), np.searchsorted(rows, north + reach)):
        for column in range(first_column, last_column):
            if not inside[row, column]:
                continue
            x, y = columns[column], rows[row]
            before = 1 if _near(x, y, here, back, reach2) else 0
            after = 1 if _near(x, y, place, back, reach2) else 0
            if way_seen:
                before += 1 if _near(x, y, here, points[way], reach2) else 0
                after += 1 if _near(x, y, place, points[way], reach2) else 0
            if before != after:
                left = hits[row, column] - before + after
                if left == 0 and hits[row, column] > 0:
                    bare += 1
                elif left > 0 and hits[row, column] == 0:
                    bare -= 1
                if write:
                    hits[row, column] = left
    return bare


@njit(cache=True)
def _settle(
    points: Array, seen: Mask, ends: NDArray[np.int64], hits: NDArray[np.int16], inside: Mask,
    columns: Array, rows: Array, reach: float, price: float,
) -> None:  # fmt: skip
    """Move ends along their lines, never beyond where they began, while path plus price times bare cells falls."""
    drawn = np.zeros(len(ends))
    for step in (reach / 4, reach / 10):
        for _ in range(12):
            moved = False
            for row in range(len(ends)):
                at, other, way = ends[row, 0], ends[row, 1], ends[row, 2]
                dx, dy = points[other, 0] - points[at, 0], points[other, 1] - points[at, 1]
                length = np.hypot(dx, dy)
                way_seen = way >= 0 and seen[min(at, way)]
                for sign in (1.0, -1.0):
                    shift = step if sign > 0 else -min(step, drawn[row])
                    if shift > length - 1.0 or shift == 0.0:
                        continue
                    place = np.array([points[at, 0] + dx / length * shift, points[at, 1] + dy / length * shift])
                    longer = -shift
                    if way >= 0:
                        longer += np.hypot(place[0] - points[way, 0], place[1] - points[way, 1])
                        longer -= np.hypot(points[at, 0] - points[way, 0], points[at, 1] - points[way, 1])
                    if longer >= 0 and sign > 0:
                        continue
                    bare = _change(points, at, place, other, way, way_seen, hits, inside, columns, rows, reach, False)
                    if longer + price * bare < -1e-6:
                        _change(points, at, place, other, way, way_seen, hits, inside, columns, rows, reach, True)
                        points[at] = place
                        drawn[row] += shift
                        moved = True
                        break
            if not moved:
                break
