"""Lines along a road, a canal or a shore: as many as its strip is wide, round its bends, without gaps."""

from __future__ import annotations

import math
from dataclasses import replace
from enum import StrEnum

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import LineString, Point, Polygon

from geo.areas import polygon_parts
from geo.chains import begun_near, chain
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.limits import above_zero, few_enough, places
from geo.tours import shortest_tour

Array = NDArray[np.float64]

ROUND = 16
"""Pieces of a quarter circle round a bend."""
FINE = 0.002
"""Corners of lines that make less difference than this share of the swath are left out."""
SLACK = 0.1
"""Of what neighbouring swaths overlap, up to this share of a swath goes into lines of fewer corners."""
BARE = 0.0004
"""Share of the strip that may stay uncovered: slivers along round bends."""
MOST_BARE = 0.001
"""More of it than this is refused."""
ROUNDS = 12
"""So often what is left bare is looked for and flown to."""
MOST_LINES = 500
"""More lines than this are refused: the swath is too narrow for the strip."""
SEEN_TURN = 2.5
"""Pictures go on on ways between lines of up to so many swaths."""


class Side(StrEnum):
    """Where a strip lies as one looks along its line."""

    BOTH = "both"
    """Half of it to each side."""
    LEFT = "left"
    """All of it to the left."""
    RIGHT = "right"
    """All of it to the right."""


def strip(line: ArrayLike, width_m: float, side: Side = Side.BOTH) -> shapely.Geometry:
    """What lies within `width_m` in all of a line (n, 2), m: round at bends, cut square at the ends of the line.

    A line whose last point is its first is closed. Where a strip to one side is wider than the pieces between sharp
    bends are long, some tenths of a percent of it may be missing at its ends. Raises AreaInvalid: fewer than two
    points, no length, not finite, crossing itself.
    """
    return _Strip(_sound(line), width_m, side).ground


def corridor(line: ArrayLike, width_m: float, swath_m: float, *, side: Side = Side.BOTH) -> tuple[Leg, ...]:
    """Parallel lines along a line (n, 2), m, that cover its strip of `width_m` with swaths of `swath_m`.

    As many lines as the width needs, evenly spread; flown in a short order, to and fro. On the inner side of
    sharp bends parallel lines leave gaps: to those the path goes out and back. Raises AreaInvalid: fewer than
    two points, no length, not finite, crossing itself, width or swath not above 0, too many legs.
    """
    above_zero(width_m=width_m, swath_m=swath_m)
    middle = _sound(line)
    count = math.ceil(width_m / swath_m - 1e-9)
    few_enough(count * len(middle.coords), f"swath_m: {count} lines of {len(middle.coords)} points")
    if count > MOST_LINES:
        raise AreaInvalid(f"swath_m: {count} lines, at most {MOST_LINES} are flown along one strip")
    laid = _Strip(middle, width_m, side)
    lines = laid.lines(count, swath_m)
    lines = _gapless(lines, laid.ground, swath_m)
    return _in_order(lines, swath_m)


def _sound(line: ArrayLike) -> LineString:
    points = places("line", line, least=2)
    points = points[np.append(True, np.hypot(*np.diff(points, axis=0).T) > 1e-6)]
    if len(points) < 2:
        raise AreaInvalid(f"line: all its points lie at {points[0].tolist()}: it has no length")
    whole = LineString(points)
    if not whole.is_simple:
        x, y = _crossing(points)
        raise AreaInvalid(f"line: it crosses or touches itself near x {x:.1f}, y {y:.1f} m: split it there")
    return whole


def _crossing(points: Array) -> tuple[float, float]:
    """A place where a line that is not simple meets itself."""
    pieces = shapely.linestrings(np.stack([points[:-1], points[1:]], axis=1))
    first, second = shapely.STRtree(pieces).query(pieces, predicate="intersects")
    for one, other in zip(first.tolist(), second.tolist(), strict=True):
        if one < other:
            met = shapely.intersection(pieces[one], pieces[other])
            closed = one == 0 and other == len(pieces) - 1 and np.array_equal(points[0], points[-1])
            neighbours = other == one + 1 or closed
            if not neighbours or met.length > 0:
                x, y = shapely.get_coordinates(met)[0]
                return float(x), float(y)
    return float(points[0, 0]), float(points[0, 1])


class _Strip:
    """A line and the ground to its sides, from `right_m` (below 0) to `left_m`."""

    def __init__(self, line: LineString, width_m: float, side: Side) -> None:
        above_zero(width_m=width_m)
        self._line = line
        self._right_m = {Side.BOTH: -width_m / 2, Side.LEFT: 0.0, Side.RIGHT: -width_m}[side]
        self._left_m = self._right_m + width_m
        self._ring = Polygon(line) if line.is_ring else None
        self._outside_left = self._ring is not None and not shapely.is_ccw(line)
        self.ground = self._within(self._left_m, self._right_m)

    def _within(self, left_m: float, right_m: float) -> shapely.Geometry:
        if self._ring is not None:
            outer, inner = (left_m, right_m) if self._outside_left else (-right_m, -left_m)
            return _grown(self._ring, outer).difference(_grown(self._ring, inner))
        sides = [
            self._line.buffer(reach_m, single_sided=True, quad_segs=ROUND) for reach_m in (left_m, right_m) if reach_m
        ]
        return shapely.union_all(sides)

    def lines(self, count: int, swath_m: float) -> list[Array]:
        """Lines (n, 2) evenly spread over the strip, those of a closed one begun where its line begins."""
        edges = np.linspace(self._right_m, self._left_m, count + 1)
        slack_m = swath_m - (self._left_m - self._right_m) / count
        fine_m = FINE * swath_m + 0.4 * min(slack_m, SLACK * swath_m)
        found: list[Array] = []
        for offset_m in ((edges[:-1] + edges[1:]) / 2).tolist():
            for piece in self._beside(offset_m):
                points = shapely.get_coordinates(piece.simplify(fine_m))
                if self._ring is not None:
                    points = begun_near(points, self._line.coords[0])
                found.append(points)
        return found

    def _beside(self, offset_m: float) -> list[LineString]:
        """The pieces of the line moved to its left by an offset, m."""
        if self._ring is not None:
            grown = _grown(self._ring, offset_m if self._outside_left else -offset_m)
            return [LineString(part.exterior) for part in polygon_parts(grown)]
        if abs(offset_m) < 1e-9:
            return [self._line]
        moved = self._line.offset_curve(offset_m, quad_segs=ROUND)
        return [part for part in shapely.get_parts(moved).tolist() if part.length > 0]


def _grown(polygon: Polygon, by_m: float) -> shapely.Geometry:
    return polygon.buffer(by_m, quad_segs=ROUND) if abs(by_m) > 1e-9 else polygon


def _gapless(lines: list[Array], ground: shapely.Geometry, swath_m: float) -> list[Array]:
    """The lines with ways out to whatever their swaths leave bare of the strip, and back."""
    for _ in range(ROUNDS):
        # a line is opened first: what GEOS takes for a ring is buffered wrongly where it crosses itself
        flown = [LineString(piece) for line in lines for piece in (line[:-1], line[-2:]) if len(piece) > 1]
        seen = shapely.union_all(shapely.buffer(flown, swath_m / 2, quad_segs=ROUND))
        hair_m = 0.1 * FINE * swath_m  # what is narrower than two hairs is no gap, but could make one look long
        bare = ground.difference(seen).buffer(-hair_m, join_style="mitre").buffer(hair_m, join_style="mitre")
        if bare.area <= BARE * ground.area:
            return lines
        gaps = sorted(polygon_parts(bare), key=lambda gap: -gap.area)
        few_enough(sum(map(len, lines)) + 3 * len(gaps), f"line: {len(gaps)} bends leave gaps")
        left_m2 = bare.area
        for gap in gaps:
            _fly_to(gap, lines, swath_m)
            left_m2 -= gap.area
            if left_m2 < BARE / 2 * ground.area:
                break
    if bare.area <= MOST_BARE * ground.area:
        return lines
    raise AreaInvalid(
        f"line: {100 * bare.area / ground.area:.2f} % of the strip stays uncovered at its bends: "
        "simplify the line or take a smaller swath"
    )


def _fly_to(gap: Polygon, lines: list[Array], swath_m: float) -> None:
    """Put a way out to a gap and back into the line nearest to it, in place."""
    corners = shapely.get_coordinates(gap.minimum_rotated_rectangle)
    if np.hypot(*(corners[1] - corners[0])) > np.hypot(*(corners[2] - corners[1])):
        corners = np.roll(corners[:-1], -1, axis=0)
    axis = np.array([corners[0] + corners[1], corners[2] + corners[3]]) / 2
    long_m = float(np.hypot(*(axis[1] - axis[0])))
    drawn_in = (axis[1] - axis[0]) * min(0.5, 0.45 * swath_m / max(long_m, 1e-9))
    tips = np.array([axis[0] + drawn_in, axis[1] - drawn_in])
    if not lines:
        lines.append(tips if long_m > 0.9 * swath_m else axis)
        return
    nearest = int(np.argmin(shapely.distance([LineString(line) for line in lines], gap)))
    lines[nearest] = _with_way(lines[nearest], gap, tips, swath_m)


def _with_way(line: Array, gap: Polygon, tips: Array, swath_m: float) -> Array:
    """The line with a way from its place nearest to the gap along the tips (2, 2) and back."""
    whole = LineString(line)
    along_m = whole.project(Point(tips[0]))
    foot = shapely.get_coordinates(whole.interpolate(along_m))[0]
    if np.hypot(*(tips[1] - tips[0])) < 0.1 * swath_m:  # a small gap: only as near as its far corner is seen
        outer = shapely.get_coordinates(gap)
        away = np.hypot(*(outer - foot).T)
        far = int(np.argmax(away))
        tips = foot + (outer[[far]] - foot) * max(0.0, 1 - 0.49 * swath_m / away[far])
    at = int(np.searchsorted(np.append(0, np.cumsum(np.hypot(*np.diff(line, axis=0).T))), along_m))
    at = min(max(at, 1), len(line) - 1)
    whole_way = np.vstack([line[:at], foot, tips, foot, line[at:]])
    return np.asarray(whole_way[np.append(True, np.hypot(*np.diff(whole_way, axis=0).T) > 1e-6)])


def _in_order(lines: list[Array], swath_m: float) -> tuple[Leg, ...]:
    """The lines as legs in a short order, each in the direction that suits it."""
    ends = np.array([line[end] for line in lines for end in (0, -1)])
    ways = np.hypot(*(ends[:, None] - ends[None]).transpose(2, 0, 1))
    order, _ = shortest_tour(ways, kicks=int(np.clip(400_000 / len(lines) ** 2, 5, 200)))
    legs: list[Leg] = []
    for end in order.tolist():
        line = lines[end // 2]
        first, *others = chain(line if end % 2 == 0 else line[::-1])
        near = bool(legs) and math.dist(legs[-1].end, first.start) <= SEEN_TURN * swath_m
        legs.extend([replace(first, seen_approach=near), *others])
    return tuple(legs)
