"""Shortest ways between points that stay inside a polygon with holes."""

from __future__ import annotations

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon

from geo.areas import polygon_parts
from geo.errors import AreaInvalid

Array = NDArray[np.float64]

MOST_CORNERS = 1500
"""An outline of more corners, though simplified as far as its margin allows, is refused."""
LEAST_MARGIN_M = 0.005
"""Ways may leave a polygon by so much in any case."""


class Detours:
    """The visibility graph of a polygon: its corners that a shortest way may touch, and what sees what."""

    def __init__(self, polygon: Polygon, *, margin_m: float) -> None:
        """Ways may leave `polygon` by up to `margin_m`, m. Raises AreaInvalid where its outline is too ragged."""
        self.domain = _domain(polygon, max(margin_m, LEAST_MARGIN_M))
        self._ends = _edges(self.domain)
        corners = _reflex_corners(self._ends)
        self._convex = len(corners) == 0
        self._corners = corners
        self._between, self._next = _corner_ways(corners, self._ends)

    def lengths_m(self, points: Array, *, near_m: float = np.inf) -> Array:
        """(n, n) lengths of the shortest ways between points (n, 2); straight where there is no way at all.

        Ways between points further than `near_m` apart may be given too long, as round some corner.
        """
        straight = np.hypot(*(points[:, None, :] - points[None, :, :]).transpose(2, 0, 1))
        if self._convex:
            return np.asarray(straight)
        return np.asarray(_ways(points, self._corners, self._between, self._ends, straight, near_m))

    def way(self, start: Array, end: Array) -> Array:
        """(k, 2) points of the shortest way from start to end, both included."""
        if self._convex or _sees(start, end, self._ends):
            return np.stack([start, end])
        first = _visible(start, self._corners, self._ends)
        last = _visible(end, self._corners, self._ends)
        through = first[:, None] + self._between + last[None, :]
        here, there = np.unravel_index(int(np.argmin(through)), through.shape)
        if not np.isfinite(through[here, there]):
            return np.stack([start, end])
        stops = [int(here)]
        while stops[-1] != there:
            stops.append(int(self._next[stops[-1], there]))
        return np.vstack([start, self._corners[stops], end])


def _domain(polygon: Polygon, margin_m: float) -> Polygon:
    """The polygon widened by the margin, of few corners, nowhere beyond the margin."""
    for rough in (0.03, 0.06, 0.12, 0.25, 0.5):
        widened = polygon.buffer((1 - rough) * margin_m, quad_segs=2).simplify(rough * margin_m)
        parts = polygon_parts(widened)
        if parts and shapely.get_num_coordinates(widened) <= MOST_CORNERS:
            return shapely.orient_polygons(max(parts, key=lambda part: part.area))
    raise AreaInvalid(
        f"the outline has {shapely.get_num_coordinates(widened)} corners even where it is simplified by "
        f"{rough * margin_m:.3g} m, at most {MOST_CORNERS} are planned over: simplify it or allow a wider margin"
    )


def _edges(polygon: Polygon) -> Array:
    """(n, 4) edges of its rings, each with the inside on its left."""
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    return np.ascontiguousarray(np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings]))


def _reflex_corners(ends: Array) -> Array:
    """(n, 2) corners at which the inside bends by more than 180 deg: only these can lie on a shortest way."""
    starts = {(x, y): (u - x, v - y) for x, y, u, v in ends.tolist()}
    reflex = []
    for x, y, u, v in ends.tolist():
        out = starts.get((u, v))
        if out is not None and (u - x) * out[1] - (v - y) * out[0] < 0:
            reflex.append((u, v))
    return np.array(reflex, float).reshape(-1, 2)


def _corner_ways(corners: Array, ends: Array) -> tuple[Array, NDArray[np.int64]]:
    count = len(corners)
    between = np.full((count, count), np.inf)
    for row in range(count):
        between[row] = _visible(corners[row], corners, ends)
        between[row, row] = 0.0
    between = np.minimum(between, between.T)
    onward = np.tile(np.arange(count), (count, 1))
    _shorten(between, onward)
    return between, onward


@njit(cache=True, nogil=True)
def _shorten(between: Array, onward: NDArray[np.int64]) -> None:
    """All shortest ways between corners (Floyd and Warshall)."""
    count = len(between)
    for middle in range(count):
        for row in range(count):
            if not np.isfinite(between[row, middle]):
                continue
            for column in range(count):
                length = between[row, middle] + between[middle, column]
                if length < between[row, column] - 1e-9:
                    between[row, column] = length
                    onward[row, column] = onward[row, middle]


@njit(cache=True, nogil=True)
def _sees(start: Array, end: Array, ends: Array) -> bool:
    """Whether the straight way crosses no edge; touching a corner or running along an edge is allowed."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    scale = 1e-9 * (abs(dx) + abs(dy) + 1.0)
    west, east = min(start[0], end[0]) - 1e-3, max(start[0], end[0]) + 1e-3
    south, north = min(start[1], end[1]) - 1e-3, max(start[1], end[1]) + 1e-3
    for row in range(ends.shape[0]):
        x0, y0, x1, y1 = ends[row, 0], ends[row, 1], ends[row, 2], ends[row, 3]
        if (x0 < west and x1 < west) or (x0 > east and x1 > east):
            continue
        if (y0 < south and y1 < south) or (y0 > north and y1 > north):
            continue
        side0 = dx * (y0 - start[1]) - dy * (x0 - start[0])
        side1 = dx * (y1 - start[1]) - dy * (x1 - start[0])
        span = scale * (abs(x1 - x0) + abs(y1 - y0) + 1.0)
        limit = 1e-6 * (abs(dx) + abs(dy))
        if (side0 > limit and side1 > limit) or (side0 < -limit and side1 < -limit):
            continue
        ex, ey = x1 - x0, y1 - y0
        side2 = ex * (start[1] - y0) - ey * (start[0] - x0)
        side3 = ex * (end[1] - y0) - ey * (end[0] - x0)
        edge_limit = 1e-6 * (abs(ex) + abs(ey)) + span
        if abs(side2) <= edge_limit or abs(side3) <= edge_limit:
            # one of our ends lies on this edge's line: blocked only if the way passes to the outside (right) of it
            if (side2 < -edge_limit or side3 < -edge_limit) and not (side2 > edge_limit or side3 > edge_limit):
                # leaving to the right through the inner part of the edge
                if abs(side2) <= edge_limit:
                    at = ((start[0] - x0) * ex + (start[1] - y0) * ey) / (ex * ex + ey * ey)
                else:
                    at = ((end[0] - x0) * ex + (end[1] - y0) * ey) / (ex * ex + ey * ey)
                if 1e-6 < at < 1 - 1e-6:
                    return False
            continue
        if (side2 > 0) != (side3 > 0) and ((side0 > limit and side1 < -limit) or (side0 < -limit and side1 > limit)):
            return False
    # passing through a corner from inside to outside, or between two corners across the outside
    return _inside((start[0] + end[0]) / 2, (start[1] + end[1]) / 2, ends) and _inside(
        start[0] + 0.317 * dx, start[1] + 0.317 * dy, ends
    )


@njit(cache=True, nogil=True)
def _inside(x: float, y: float, ends: Array) -> bool:
    """Whether a point is inside, or within a millimetre of the outline."""
    odd = False
    for row in range(ends.shape[0]):
        x0, y0, x1, y1 = ends[row, 0], ends[row, 1], ends[row, 2], ends[row, 3]
        if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
            odd = not odd
        ex, ey = x1 - x0, y1 - y0
        length2 = ex * ex + ey * ey
        if length2 > 0:
            at = min(1.0, max(0.0, ((x - x0) * ex + (y - y0) * ey) / length2))
            if (x - x0 - at * ex) ** 2 + (y - y0 - at * ey) ** 2 < 1e-6:
                return True
    return odd


@njit(cache=True, nogil=True)
def _visible(point: Array, corners: Array, ends: Array) -> Array:
    """Distances from a point to the corners it sees, infinite to the others."""
    found = np.full(len(corners), np.inf)
    for row in range(len(corners)):
        if _sees(point, corners[row], ends):
            found[row] = np.hypot(point[0] - corners[row, 0], point[1] - corners[row, 1])
    return found


@njit(cache=True, nogil=True)
def _ways(
    points: Array, corners: Array, between: Array, ends: Array, straight: Array, near_m: float
) -> Array:  # fmt: skip
    count, bends = len(points), len(corners)
    seen = np.empty((count, bends))
    for row in range(count):
        seen[row] = _visible(points[row], corners, ends)
    through = np.full((count, bends), np.inf)
    known = np.empty((count, bends), np.int64)
    many = np.zeros(count, np.int64)
    for row in range(count):
        for middle in range(bends):
            if np.isfinite(seen[row, middle]):
                known[row, many[row]] = middle
                many[row] += 1
                for last in range(bends):
                    length = seen[row, middle] + between[middle, last]
                    if length < through[row, last]:
                        through[row, last] = length
    lengths = np.zeros((count, count))
    for row in range(count):
        for column in range(row):
            if straight[row, column] <= near_m and _sees(points[row], points[column], ends):
                best = straight[row, column]
            else:
                best = np.inf
                for at in range(many[column]):
                    last = known[column, at]
                    length = through[row, last] + seen[column, last]
                    if length < best:
                        best = length
                if not np.isfinite(best):
                    best = straight[row, column]
            lengths[row, column] = best
            lengths[column, row] = best
    return lengths
