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
Counts = NDArray[np.int64]

SLIVER = 0.0003
"""Share of the area that the outermost tips on either side may leave to chance."""
FINE, ROUGH = 12, 4
"""Parts of the spacing in which strips begin and end: for the lines that are flown, and to compare directions."""
PRICE = 0.1
"""What a m2 of a sliver is worth in m of lines."""
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


def lines_of(edges: Edges, direction_rad: float, *, spacing_m: float, reach_m: float) -> Array:
    """(n, 4) pieces x0, y0, x1, y1, m, sorted across, at most `spacing_m` apart, running along a direction.

    The strips are of different widths, chosen so that what has to be flown is shortest, with their sides where
    arms and holes of the polygon begin and end.
    """
    turned = edges.turned(direction_rad)
    low, high = _span(turned, SLIVER * edges.area_m2)
    strips, _ = _fitted(turned, low, high, spacing_m, reach_m, FINE)
    pieces = _pieces(turned, strips, reach_m, OFFSETS)
    cos, sin = np.cos(direction_rad), np.sin(direction_rad)
    back = np.array([[cos, sin], [-sin, cos]])
    return np.hstack([pieces[:, :2] @ back, pieces[:, 2:] @ back])


def guesses_m(edges: Edges, directions_rad: Array, *, spacing_m: float, reach_m: float) -> Array:
    """About how long the lines in each direction (n,) are, with a turn of `spacing_m` for each piece, m (n,)."""
    return np.asarray(_guesses(edges.ends, directions_rad, SLIVER * edges.area_m2, spacing_m, reach_m))


@njit(cache=True, nogil=True)
def _guesses(ends: Array, directions_rad: Array, sliver_m2: float, spacing: float, reach: float) -> Array:
    guesses = np.empty(len(directions_rad))
    turned = np.empty_like(ends)
    for row in range(len(directions_rad)):
        cos, sin = np.cos(directions_rad[row]), np.sin(directions_rad[row])
        for side in (0, 2):
            turned[:, side] = ends[:, side] * cos + ends[:, side + 1] * sin
            turned[:, side + 1] = ends[:, side + 1] * cos - ends[:, side] * sin
        low, high = _span(turned, sliver_m2)
        guesses[row] = _fitted(turned, low, high, spacing, reach, ROUGH)[1]
    return guesses


@njit(cache=True, nogil=True)
def _span(turned: Array, sliver_m2: float) -> tuple[float, float]:
    """The lowest and highest v between which all but two slivers of the area lie."""
    low, high = turned[:, 1].min(), turned[:, 1].max()
    step = (high - low) / 300
    found, counts = _chords(turned, low, step, 300)
    areas = _lengths(found, counts) * step
    inner_low, inner_high = low, high
    left = sliver_m2
    for row in range(300):
        if areas[row] > left:
            inner_low = low + (row + left / areas[row]) * step
            break
        left -= areas[row]
    left = sliver_m2
    for row in range(299, -1, -1):
        if areas[row] > left:
            inner_high = low + (row + 1 - left / areas[row]) * step
            break
        left -= areas[row]
    return (inner_low, inner_high) if inner_low < inner_high else (low, high)


@njit(cache=True, nogil=True)
def _chords(turned: Array, low: float, step: float, count: int) -> tuple[Array, Counts]:
    """Sorted u where edges cross the heights low + (row + 0.5) step, (count, k), and how many there are in each."""
    counts = np.zeros(count, np.int64)
    for fill in range(2):
        if fill == 0:
            found = np.empty((0, 0))
        else:
            found = np.empty((count, max(1, counts.max())))
            counts[:] = 0
        for edge in range(len(turned)):
            u0, v0, u1, v1 = turned[edge]
            if v0 == v1:
                continue
            slope = (u1 - u0) / (v1 - v0)
            first = max(0, int(np.ceil((min(v0, v1) - low) / step - 0.5)))
            for row in range(first, count):
                v = low + (row + 0.5) * step
                if v >= max(v0, v1):
                    break
                if fill == 1:
                    u, at = u0 + slope * (v - v0), counts[row]
                    while at > 0 and found[row, at - 1] > u:
                        found[row, at] = found[row, at - 1]
                        at -= 1
                    found[row, at] = u
                counts[row] += 1
    return found, counts


@njit(cache=True, nogil=True)
def _lengths(found: Array, counts: Counts) -> Array:
    """How much of the polygon lies at each height, m."""
    lengths = np.zeros(len(counts))
    for row in range(len(counts)):
        for pair in range(counts[row] // 2):
            lengths[row] += found[row, 2 * pair + 1] - found[row, 2 * pair]
    return lengths


@njit(cache=True, nogil=True)
def _needed(
    found: Array, counts: Counts, first: int, within: Array, reach: float, solid: Array, loose: Array
) -> int:  # fmt: skip
    """Write to `solid` what of a line has to be flown for the chords of its strip; returns how many pieces.

    The strip has the rows from `first` on, of each of which the line reaches `within` beyond its ends.
    """
    solids, looses = 0, 0
    for row in range(len(within)):
        for pair in range(counts[first + row] // 2):
            start, end = found[first + row, 2 * pair] + within[row], found[first + row, 2 * pair + 1] - within[row]
            if start < end:
                solids = _add(solid, solids, start, end, reach)
            elif end < start:
                loose[looses, 0], loose[looses, 1] = end, start
                looses += 1
    if looses > 0:
        solids = _stab(solid, solids, loose, looses, 4 * reach, reach)
    return solids


@njit(cache=True, nogil=True)
def _pieces(turned: Array, strips: Array, reach: float, offsets: Array) -> Array:
    """(n, 4) pieces u0, v, u1, v of the lines in the middle of strips (v, width)."""
    out = np.empty((64, 4))
    total = 0
    solid = np.empty((0, 2))
    loose = np.empty((0, 2))
    for line in range(len(strips)):
        v, width = strips[line]
        found, counts = _chords_at(turned, v + offsets * width / 2)
        most = counts.sum() // 2 + 1
        if most > len(solid):
            solid, loose = np.empty((2 * most, 2)), np.empty((2 * most, 2))
        within = np.sqrt(np.maximum(reach**2 - (offsets * width / 2) ** 2, 0.0))
        for piece in range(_needed(found, counts, 0, within, reach, solid, loose)):
            if total == len(out):
                out = np.concatenate((out, np.empty_like(out)))
            out[total, 0], out[total, 1], out[total, 2], out[total, 3] = solid[piece, 0], v, solid[piece, 1], v
            total += 1
    return out[:total]


@njit(cache=True, nogil=True)
def _chords_at(turned: Array, heights: Array) -> tuple[Array, Counts]:
    """Like `_chords`, for any ascending heights."""
    counts = np.zeros(len(heights), np.int64)
    found = np.empty((len(heights), 8))
    for edge in range(len(turned)):
        u0, v0, u1, v1 = turned[edge]
        if max(v0, v1) <= heights[0] or min(v0, v1) > heights[-1]:
            continue
        for row in range(len(heights)):
            v = heights[row]
            if (v0 <= v) != (v1 <= v):
                if counts[row] == found.shape[1]:
                    found = np.concatenate((found, np.empty_like(found)), axis=1)
                found[row, counts[row]] = u0 + (u1 - u0) * (v - v0) / (v1 - v0)
                counts[row] += 1
    for row in range(len(heights)):
        found[row, : counts[row]].sort()
    return found, counts


@njit(cache=True, nogil=True)
def _fitted(turned: Array, low: float, high: float, spacing: float, reach: float, parts: int) -> tuple[Array, float]:
    """(n, 2) middles and widths of strips for which the lines, and a turn for each piece, are shortest together.

    And how long that is. Dynamic programming over where strips begin and end, in `parts` of the spacing; the
    first and the last may reach beyond the polygon.
    """
    grid = spacing / parts
    slack = parts // 2
    nodes = int(np.ceil((high - low) / grid)) + 1 + 2 * slack
    base = low - slack * grid
    found, counts = _chords(turned, base, grid, nodes)
    solid = np.empty((parts * (found.shape[1] // 2 + 1), 2))
    loose = np.empty_like(solid)
    best = np.full(nodes, np.inf)
    strip = np.zeros(nodes, np.int64)
    area = np.cumsum(_lengths(found, counts)) * grid
    best[0] = 0.0
    best[1 : slack + 1] = PRICE * area[:slack]  # these nodes lie below all but a sliver
    aside = (np.arange(parts) + 0.5) * grid
    within = np.zeros((parts + 1, parts))
    for width in range(1, parts + 1):
        within[width] = np.sqrt(np.maximum(reach**2 - (aside - width * grid / 2) ** 2, 0.0))
    for node in range(slack + 1, nodes):
        for width in range(max(2, 5 * parts // 12), parts + 1):
            before = node - width
            if before < 0 or not np.isfinite(best[before]):
                continue
            cost = best[before]
            for piece in range(_needed(found, counts, before, within[width, :width], reach, solid, loose)):
                cost += solid[piece, 1] - solid[piece, 0] + spacing
            if cost < best[node] - 1e-9:
                best[node], strip[node] = cost, width
    last, shortest = nodes - 1, np.inf
    for node in range(nodes - 1, 0, -1):
        cost = best[node] + PRICE * (area[-1] - area[node - 1])
        if base + node * grid >= high - 1e-9 and cost < shortest:
            last, shortest = node, cost
    strips = np.empty((nodes, 2))
    count = 0
    while strip[last] > 0:
        width = strip[last]
        strips[count, 0], strips[count, 1] = base + (last - width / 2) * grid, width * grid
        count += 1
        last -= width
    return strips[:count][::-1].copy(), shortest


@njit(cache=True, nogil=True)
def _add(solid: Array, solids: int, start: float, end: float, bridge: float) -> int:
    """Put an interval among sorted ones, joined with those less than `bridge` away; returns how many there are."""
    first = 0
    while first < solids and solid[first, 1] + bridge < start:
        first += 1
    last = first
    while last < solids and solid[last, 0] - bridge <= end:
        start, end = min(start, solid[last, 0]), max(end, solid[last, 1])
        last += 1
    if last == first:
        for row in range(solids, first, -1):
            solid[row, 0], solid[row, 1] = solid[row - 1, 0], solid[row - 1, 1]
    else:
        for row in range(last, solids):
            solid[first + 1 + row - last, 0], solid[first + 1 + row - last, 1] = solid[row, 0], solid[row, 1]
    solid[first, 0], solid[first, 1] = start, end
    return solids + 1 - (last - first)


@njit(cache=True, nogil=True)
def _stab(solid: Array, solids: int, loose: Array, looses: int, stretch: float, bridge: float) -> int:
    """See that a piece comes into every loose interval: stretch one that is near, else begin a new one."""
    for row in np.argsort(loose[:looses, 1]):
        low, high = loose[row, 0], loose[row, 1]
        nearest, gap = -1, stretch
        for piece in range(solids):
            away = max(low - solid[piece, 1], solid[piece, 0] - high)
            if away < gap:
                nearest, gap = piece, away
        if nearest < 0:
            solids = _add(solid, solids, (low + high) / 2, (low + high) / 2, bridge)
        elif gap > 0:
            if solid[nearest, 1] < low:
                solids = _add(solid, solids, solid[nearest, 1], low, bridge)
            else:
                solids = _add(solid, solids, high, solid[nearest, 0], bridge)
    return solids
