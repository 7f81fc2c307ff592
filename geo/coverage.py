"""A short path that covers an area: lines, their direction, their order and the ways between them."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from geo.detours import Detours
from geo.errors import AreaInvalid
from geo.legs import Leg, length_m, points_of
from geo.swaths import Edges, guesses_m, lines_of
from geo.tours import shortest_tour
from geo.trims import Ground

Array = NDArray[np.float64]

SHORTEST = 0.02
"""Of a swath: no line is shorter."""
BARE, ENOUGH = 0.00085, 0.99905
"""Share of the area that line ends may leave uncovered, less where a count in other cells finds less covered."""
SEEN_TURN = 4.0
"""Pictures go on during turns of up to so many swaths."""
DIRECTIONS, LONG_EDGES = 90, 12
"""So many directions are compared, and those of so many edges."""
ROUTES, PATHS = 8, 2
"""Of so many directions the lines are put in order, and of the best so many the ends drawn in."""
LARGE = 100
"""For an area so many swaths across half as many directions have to do."""
NEAR = 15
"""Ways between line ends up to so many swaths apart are measured exactly."""
KICKS = 200
"""Tries to improve a tour by chance."""
ROUGH = 1 / 200
"""The outline is simplified by so many swaths."""
MOST_CORNERS = 5000
"""An outline of more corners after that is refused."""
RETRIES = 4
"""So often line ends are drawn in less where too little is covered."""
MOST_LINES = 4000
"""More lines than this are refused: the swath is too narrow for the area."""


@dataclass(frozen=True)
class CoveragePath:
    """Lines in the order in which they are flown, on a metric plane."""

    legs: tuple[Leg, ...]
    """The lines in order."""
    swath_m: float
    """Greatest distance between neighbouring lines, m."""
    direction_deg: float
    """Of the lines, clockwise from the plane's north, 0 to 180."""
    path_m: float
    """From the beginning of the first line to the end of the last, m."""
    covered: float
    """Share of the area within half a swath of the path where pictures are taken, 0 to 1."""

    def points(self) -> Array:
        """(n, 2) all corners of the path in order, m."""
        return points_of(self.legs)


def cover(
    polygon: Polygon, swath_m: float, *, direction_deg: float | None = None, margin_m: float | None = None
) -> CoveragePath:
    """Cover a metric polygon (concave, with holes) by lines no more than `swath_m` apart.

    `margin_m` (half a swath if not given) is how far lines and ways may leave the polygon to cover its corners.
    Of all directions, or that one (clockwise from north), the path that turns out shortest is taken; ways
    between lines are the shortest inside. Raises AreaInvalid where the swath asks for too many lines or the
    outline has too many corners.
    """
    if not swath_m > 0:
        raise AreaInvalid(f"a swath of {swath_m:g} m covers nothing: it must be above 0")
    if polygon.area / swath_m**2 > MOST_LINES**2 or _width_m(polygon) / swath_m > MOST_LINES:
        raise AreaInvalid(
            f"a swath of {swath_m:g} m needs more than {MOST_LINES} lines over {polygon.area / 1e6:.3g} km2: "
            "divide the area or fly higher"
        )
    margin_m = swath_m / 2 if margin_m is None else margin_m
    outline = _few_corners(polygon, swath_m)
    search = _Search(outline, swath_m, margin_m)
    directions = search.promising() if direction_deg is None else [np.radians(90.0 - direction_deg)]
    routes = sorted((search.route(direction) for direction in directions), key=lambda route: route.path_m)
    ground = Ground(polygon, cell_m=swath_m / 20)
    paths = [(search.trimmed(route, ground, BARE), route) for route in routes[:PATHS]]
    legs, route = min(paths, key=lambda path: length_m(points_of(path[0])))
    other = Ground(polygon, cell_m=1.13 * ground.cell_m)  # the ends are drawn in to suit the cells of the first
    covered = _covered(legs, other, swath_m)
    share = BARE
    for _ in range(RETRIES):
        if covered >= ENOUGH:
            break
        share *= 0.97 * (1 - ENOUGH) / (1 - covered)
        legs = search.trimmed(route, ground, share)
        covered = _covered(legs, other, swath_m)
    legs = tuple(_drawn_out(leg, swath_m * SHORTEST, route.direction_rad) for leg in legs)
    return CoveragePath(
        legs=legs,
        swath_m=swath_m,
        direction_deg=float((90.0 - np.degrees(route.direction_rad)) % 180.0),
        path_m=length_m(points_of(legs)),
        covered=covered,
    )


def _drawn_out(leg: Leg, least_m: float, direction_rad: float) -> Leg:
    """The leg; where its ends were drawn in to a point a short one, for a leg without length is a place to stop."""
    if leg.length_m >= least_m:
        return leg
    x, y = least_m / 2 * np.array([np.cos(direction_rad), np.sin(direction_rad)])
    middle_x, middle_y = np.add(leg.start, leg.end) / 2
    return replace(
        leg,
        start=(float(middle_x - x), float(middle_y - y)),
        end=(float(middle_x + x), float(middle_y + y)),
    )


def _covered(legs: tuple[Leg, ...], ground: Ground, swath_m: float) -> float:
    points, seen, _ = _rows(legs)
    return ground.covered(points, seen, swath_m / 2)


def _width_m(polygon: Polygon) -> float:
    west, south, east, north = polygon.bounds
    return float(np.hypot(east - west, north - south))


def _few_corners(polygon: Polygon, swath_m: float) -> Polygon:
    """The polygon without corners that make no difference to lines so far apart."""
    simple = polygon.simplify(ROUGH * swath_m)
    few = simple if isinstance(simple, Polygon) and simple.is_valid and not simple.is_empty else polygon
    count = int(shapely.get_num_coordinates(few))
    if count > MOST_CORNERS:
        raise AreaInvalid(
            f"the outline has {count} corners that matter to a swath of {swath_m:g} m, at most {MOST_CORNERS} are "
            f"planned over: simplify it (by {ROUGH * swath_m:.2g} m changes nothing)"
        )
    return few


@dataclass(frozen=True)
class _Route:
    direction_rad: float
    lines: Array
    order: NDArray[np.int64]
    path_m: float


class _Search:
    """One polygon, tried in many directions."""

    def __init__(self, polygon: Polygon, swath_m: float, margin_m: float) -> None:
        self._swath_m = swath_m
        self.routes = ROUTES // 2 if polygon.area > (LARGE * swath_m) ** 2 else ROUTES
        self._edges = Edges.of(polygon)
        self._detours = Detours(polygon, margin_m=max(0.0, margin_m - ROUGH * swath_m))
        shapely.prepare(self._detours.domain)

    def lines(self, direction_rad: float) -> Array:
        """The pieces of lines (n, 4) in a direction."""
        lines = lines_of(self._edges, direction_rad, spacing_m=self._swath_m, reach_m=self._swath_m / 2)
        return _clipped(lines, self._detours.domain)

    def promising(self) -> list[float]:
        """Directions, rad, likely to give the shortest paths, those of long edges among them, the best first."""
        ends = self._edges.ends
        along = np.arctan2(ends[:, 3] - ends[:, 1], ends[:, 2] - ends[:, 0]) % np.pi
        longest = along[np.argsort(-np.hypot(ends[:, 2] - ends[:, 0], ends[:, 3] - ends[:, 1]))[:LONG_EDGES]]
        tried = np.concatenate([np.linspace(0, np.pi, DIRECTIONS, endpoint=False), longest])
        tried = tried[np.unique(tried.round(3), return_index=True)[1]]
        guesses = guesses_m(self._edges, tried, spacing_m=self._swath_m, reach_m=self._swath_m / 2)
        return [float(tried[row]) for row in np.argsort(guesses, kind="stable")[: self.routes]]

    def route(self, direction_rad: float) -> _Route:
        """The best order of the lines in a direction."""
        lines = self.lines(direction_rad)
        ends = lines.reshape(-1, 2)
        ways = self._detours.lengths_m(ends, near_m=NEAR * self._swath_m)
        order, ways_m = shortest_tour(ways, kicks=KICKS)
        lengths = np.hypot(lines[:, 2] - lines[:, 0], lines[:, 3] - lines[:, 1])
        return _Route(direction_rad, lines, order, float(lengths.sum()) + ways_m)

    def trimmed(self, route: _Route, ground: Ground, bare_share: float) -> tuple[Leg, ...]:
        """The route with its line ends drawn in as far as the turns cover for them."""
        legs = self._legs(route.lines.reshape(-1, 2)[np.stack([route.order, route.order ^ 1], axis=1)])
        points, seen, ends = _rows(legs)
        points = ground.trim(points, seen, ends, self._swath_m / 2, bare_share)
        return self._legs(points[ends[:, 0]].reshape(-1, 2, 2), seen_turns=[leg.seen_approach for leg in legs])

    def _legs(self, lines: Array, seen_turns: list[bool] | None = None) -> tuple[Leg, ...]:
        """Lines (n, 2, 2) in order, with the ways between them."""
        legs: list[Leg] = []
        for number, (start, end) in enumerate(lines):
            way = self._detours.way(np.array(legs[-1].end), start) if legs else start[None]
            legs.append(
                Leg(
                    (float(start[0]), float(start[1])),
                    (float(end[0]), float(end[1])),
                    tuple((float(x), float(y)) for x, y in way[1:-1]),
                    seen_turns[number] if seen_turns else number > 0 and length_m(way) <= SEEN_TURN * self._swath_m,
                )
            )
        return tuple(legs)


def _rows(legs: tuple[Leg, ...]) -> tuple[Array, NDArray[np.bool_], NDArray[np.int64]]:
    """Corners (n, 2) of the path, whether each leg between them is photographed, and its line ends (k, 3)."""
    corners: list[tuple[float, float]] = []
    seen: list[bool] = []
    ends: list[tuple[int, int, int]] = []
    for number, leg in enumerate(legs):
        if number:
            corners.extend(leg.approach)
            seen.extend([leg.seen_approach] * (len(leg.approach) + 1))
        at = len(corners)
        ends.append((at, at + 1, at - 1))
        ends.append((at + 1, at, at + 2 if number + 1 < len(legs) else -1))
        corners.extend([leg.start, leg.end])
        seen.append(True)
    return np.array(corners, float), np.array(seen), np.array(ends, np.int64)


def _clipped(lines: Array, domain: shapely.Geometry) -> Array:
    """What of the lines lies in the domain, (n, 4)."""
    drawn = shapely.linestrings(lines.reshape(-1, 2, 2))
    whole = shapely.covers(domain, drawn)
    if whole.all():
        return lines
    rows: list[Array] = []
    for row, line in enumerate(drawn):
        if whole[row]:
            rows.append(lines[row])
            continue
        cut = shapely.get_parts(shapely.intersection(line, domain))
        pieces = [part for part in cut if part.geom_type == "LineString" and part.length > 0]
        rows.extend(shapely.get_coordinates(piece)[[0, -1]].ravel() for piece in pieces)
    return np.array(rows, float).reshape(-1, 4)
