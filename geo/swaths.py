"""Parallel lines that cover a polygon: which pieces of which lines have to be flown.

Everything here is in a frame turned so that lines run along u, one above the other in v, metres.
A line at v covers what lies within `reach` of it. A piece is needed as far as some ground in its
strip would otherwise be further than `reach` from it, so that slanted edges are covered to the
corner, and pieces end short of straight edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon

Array = NDArray[np.float64]

SLIVER = 0.0003
"""Share of the area that the outermost tips on either side may leave to chance."""
OFFSETS = np.array([-0.97, -0.9, -0.75, -0.5, -0.25, 0.0, 0.25, 0.5, 0.75, 0.9, 0.97])
"""Where in its strip, as shares of its half width, a line looks at the outline."""


@dataclass(frozen=True)
class Edges:
    """All edges of a polygon's rings, one a row."""

    ends: Array
    """(n, 4): x0, y0, x1, y1, m."""
    area_m2: float
    """Of the polygon."""

    @classmethod
    def of(cls, polygon: Polygon) -> Edges:
        """The edges of the outline and of the holes."""
        rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
        return cls(np.concatenate([np.hstack([ring[:-1], ring[1:]]) for ring in rings]), float(polygon.area))

    def turned(self, direction_rad: float) -> Array:
        """(n, 4): u0, v0, u1, v1 in the frame whose u axis points at `direction_rad` from x, anticlockwise."""
        cos, sin = np.cos(direction_rad), np.sin(direction_rad)
        turn = np.array([[cos, -sin], [sin, cos]])
        return np.ascontiguousarray(np.hstack([self.ends[:, :2] @ turn, self.ends[:, 2:] @ turn]))


def lines_of(edges: Edges, direction_rad: float, *, spacing_m: float, reach_m: float, fitted: bool = False) -> Array:
    """(n, 4) pieces x0, y0, x1, y1, m, sorted across, at most `spacing_m` apart, running along a direction.

    Evenly spaced, or `fitted`: strips of different widths chosen so that what has to be flown is shortest, with
    their sides where arms and holes of the polygon begin and end.
    """
    turned = edges.turned(direction_rad)
    low, high = _span(turned, SLIVER * edges.area_m2)
    if fitted:
        strips = _fitted(turned, low, high, spacing_m, reach_m)
    else:
        count = max(1, int(np.ceil((high - low) / spacing_m - 1e-9)))
        sides = np.linspace(low, high, count + 1)
        strips = np.column_stack([(sides[:-1] + sides[1:]) / 2, np.diff(sides)])
    pieces = _pieces(turned, strips, reach_m, OFFSETS)
    cos, sin = np.cos(direction_rad), np.sin(direction_rad)
    back = np.array([[cos, sin], [-sin, cos]])
    return np.hstack([pieces[:, :2] @ back, pieces[:, 2:] @ back])


def _span(turned: Array, sliver_m2: float) -> tuple[float, float]:
    """The lowest and highest v between which all but two slivers of the area lie."""
    low, high = float(turned[:, 1].min()), float(turned[:, 1].max())
    heights = np.linspace(low, high, 301)
    lengths = _lengths(turned, heights[:-1] + (heights[1] - heights[0]) / 2)
    summed = np.concatenate([[0.0], np.cumsum(lengths) * (heights[1] - heights[0])])
    inner_low = float(np.interp(sliver_m2, summed, heights))
    inner_high = float(np.interp(summed[-1] - sliver_m2, summed, heights))
    return (inner_low, inner_high) if inner_low < inner_high else (low, high)


@njit(cache=True)
def _crossings(turned: Array, v: float, found: Array) -> int:
    """Sorted u where edges cross height v; returns how many."""
    count = 0
    for row in range(turned.shape[0]):
        v0, v1 = turned[row, 1], turned[row, 3]
        if (v0 <= v) != (v1 <= v):
            found[count] = turned[row, 0] + (turned[row, 2] - turned[row, 0]) * (v - v0) / (v1 - v0)
            count += 1
    found[:count].sort()
    return count


@njit(cache=True)
def _lengths(turned: Array, heights: Array) -> Array:
    """How much of the polygon lies at each height v, m."""
    lengths = np.zeros(len(heights))
    found = np.empty(turned.shape[0])
    for row in range(len(heights)):
        count = _crossings(turned, heights[row], found)
        for pair in range(count // 2):
            lengths[row] += found[2 * pair + 1] - found[2 * pair]
    return lengths


@njit(cache=True)
def _needed(
    turned: Array, v: float, width: float, reach: float, offsets: Array, found: Array, solid: Array, loose: Array
) -> int:
    """Write to `solid` what of the line at v has to be flown for the strip of that width; returns how many pieces."""
    solids, looses = 0, 0
    for offset in offsets:
        aside = offset * width / 2
        within = np.sqrt(max(reach * reach - aside * aside, 0.0))
        crossings = _crossings(turned, v + aside, found)
        for pair in range(crossings // 2):
            start, end = found[2 * pair] + within, found[2 * pair + 1] - within
            if start < end:
                solid[solids, 0], solid[solids, 1] = start, end
                solids += 1
            elif end < start:
                loose[looses, 0], loose[looses, 1] = end, start
                looses += 1
    solids = _merge(solid, solids, reach)
    solids = _stab(solid, solids, loose, looses, 4 * reach)
    return _merge(solid, solids, reach)


@njit(cache=True)
def _pieces(turned: Array, strips: Array, reach: float, offsets: Array) -> Array:
    """(n, 4) pieces u0, v, u1, v of the lines in the middle of strips (v, width)."""
    out = np.empty((64, 4))
    total = 0
    edges = turned.shape[0]
    found = np.empty(edges)
    solid = np.empty(((edges + 1) * len(offsets), 2))
    loose = np.empty(((edges + 1) * len(offsets), 2))
    for line in range(len(strips)):
        v = strips[line, 0]
        solids = _needed(turned, v, strips[line, 1], reach, offsets, found, solid, loose)
        for piece in range(solids):
            if total == len(out):
                grown = np.empty((2 * len(out), 4))
                grown[:total] = out
                out = grown
            out[total, 0], out[total, 1], out[total, 2], out[total, 3] = solid[piece, 0], v, solid[piece, 1], v
            total += 1
    return out[:total]


@njit(cache=True)
def _fitted(turned: Array, low: float, high: float, spacing: float, reach: float) -> Array:
    """(n, 2) middles and widths of strips for which the lines, and a turn for each piece, are shortest together.

    Dynamic programming over where strips begin and end, in twelfths of the spacing; the first and the last may
    reach beyond the polygon.
    """
    grid = spacing / 12
    nodes = int(np.ceil((high - low) / grid)) + 1 + 12
    offsets = np.array([-0.95, -0.7, -0.35, 0.0, 0.35, 0.7, 0.95])
    edges = turned.shape[0]
    found = np.empty(edges)
    solid = np.empty(((edges + 1) * len(offsets), 2))
    loose = np.empty(((edges + 1) * len(offsets), 2))
    best = np.full(nodes, np.inf)
    strip = np.zeros(nodes, np.int64)
    best[:7] = 0.0  # nodes 0 to 6 lie at or below the polygon
    base = low - 6 * grid
    for node in range(7, nodes):
        for width in range(5, 13):
            before = node - width
            if before < 0 or not np.isfinite(best[before]):
                continue
            v, across = base + (before + width / 2) * grid, width * grid
            pieces = _needed(turned, v, across, reach, offsets, found, solid, loose)
            cost = best[before]
            for piece in range(pieces):
                cost += solid[piece, 1] - solid[piece, 0] + spacing
            if cost < best[node] - 1e-9:
                best[node], strip[node] = cost, width
    last = nodes - 1
    for node in range(nodes - 1, 0, -1):
        if base + node * grid >= high - 1e-9 and best[node] < best[last]:
            last = node
    strips = np.empty((nodes, 2))
    count = 0
    while strip[last] > 0:
        width = strip[last]
        strips[count, 0], strips[count, 1] = base + (last - width / 2) * grid, width * grid
        count += 1
        last -= width
    return strips[:count][::-1].copy()


@njit(cache=True)
def _merge(solid: Array, solids: int, bridge: float) -> int:
    """Sort intervals and join those less than `bridge` apart, in place; returns how many are left."""
    if solids == 0:
        return 0
    order = np.argsort(solid[:solids, 0])
    ordered = solid[:solids][order]
    kept = 0
    solid[0, 0], solid[0, 1] = ordered[0, 0], ordered[0, 1]
    for row in range(1, solids):
        if ordered[row, 0] <= solid[kept, 1] + bridge:
            solid[kept, 1] = max(solid[kept, 1], ordered[row, 1])
        else:
            kept += 1
            solid[kept, 0], solid[kept, 1] = ordered[row, 0], ordered[row, 1]
    return kept + 1


@njit(cache=True)
def _stab(solid: Array, solids: int, loose: Array, looses: int, stretch: float) -> int:
    """See that a piece comes into every loose interval: stretch one that is near, else begin a new one."""
    order = np.argsort(loose[:looses, 1])
    for row in order:
        low, high = loose[row, 0], loose[row, 1]
        nearest, gap = -1, stretch
        for piece in range(solids):
            away = max(low - solid[piece, 1], solid[piece, 0] - high)
            if away < gap:
                nearest, gap = piece, away
        if nearest < 0:
            solid[solids, 0], solid[solids, 1] = (low + high) / 2, (low + high) / 2
            solids += 1
        elif gap > 0:
            if solid[nearest, 1] < low:
                solid[nearest, 1] = low
            else:
                solid[nearest, 0] = high
    return solids


@njit(cache=True)
def fill(ends: Array, heights: Array, columns: Array, inside: NDArray[np.bool_]) -> None:
    """Set the cells whose middle lies within the edges (n, 4)."""
    found = np.empty(ends.shape[0])
    for row in range(len(heights)):
        count = _crossings(ends, heights[row], found)
        for pair in range(count // 2):
            start = np.searchsorted(columns, found[2 * pair])
            end = np.searchsorted(columns, found[2 * pair + 1])
            inside[row, start:end] = True
