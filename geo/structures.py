"""A building looked at from its sides: bands of levels round its footprint, the camera on the facade, and its roof."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LinearRing, LineString, Polygon

from geo.areas import polygon_parts
from geo.chains import begun_near
from geo.coverage import cover
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.limits import above_zero, few_enough, finite, outline, place

Array = NDArray[np.float64]
Spot = tuple[float, float]

STEEPEST_DEG = 60.0
"""A camera tilted more than this, up or down, sees no facade worth the name."""
ROUND = 8
"""Pieces of a quarter circle round a corner of the building."""


def facade_levels_amsl_m(base_amsl_m: float, top_amsl_m: float, picture_m: float, overlap: float) -> Array:
    """(n,) heights on a facade, m AMSL, lowest first, round which pictures `picture_m` high cover it from base to top.

    Neighbours overlap by at least `overlap` (0 to 0.95) of a picture. Raises AreaInvalid.
    """
    above_zero(picture_m=picture_m, height_m=top_amsl_m - base_amsl_m)
    if not 0 <= overlap <= 0.95:
        raise AreaInvalid(f"overlap: {overlap:g} is not between 0 and 0.95")
    height_m = top_amsl_m - base_amsl_m
    if height_m <= picture_m:
        return np.array([(base_amsl_m + top_amsl_m) / 2])
    count = math.ceil((height_m - picture_m) / (picture_m * (1 - overlap)) - 1e-9) + 1
    few_enough(count, f"picture_m: {count} bands")
    return np.linspace(base_amsl_m + picture_m / 2, top_amsl_m - picture_m / 2, count)


def facade_bands(
    footprint: Polygon,
    *,
    base_amsl_m: float,
    top_amsl_m: float,
    stand_off_m: float,
    picture_m: tuple[float, float],
    overlap: float = 0.6,
    pitch_deg: float = 0.0,
    lowest_amsl_m: float | None = None,
    near: tuple[float, float] | None = None,
    courtyards: bool = True,
) -> tuple[Leg, ...]:
    """Rounds `stand_off_m` from the walls of a building: the outer ones from the lowest band to the highest, then, over
    the roof, those of each courtyard from the highest to the lowest.

    `picture_m` is how wide and high a picture is on the facade at that distance; pictures overlap by `overlap`
    (0 to 0.95) both ways. A leg is as long as from one picture to the next, the camera on the nearest place of
    the facade from its middle, tilted by `pitch_deg` (below 0: down, flown higher). No band is flown below
    `lowest_amsl_m`. Inner corners and narrow bays are looked at in stops on the way; what no place of the round
    sees is left out, as are the courtyards named by `too_narrow`. Into a courtyard and out of it leads a leg
    without pictures, `stand_off_m` above the top, straight up and down at its ends.
    Rounds begin nearest to `near`. Raises AreaInvalid: bad numbers, a top not above the base, too many legs.
    """
    outline("footprint", footprint)
    finite(base_amsl_m=base_amsl_m, top_amsl_m=top_amsl_m)
    above_zero(stand_off_m=stand_off_m, picture_width_m=picture_m[0])
    if not abs(pitch_deg) <= STEEPEST_DEG:
        raise AreaInvalid(f"pitch_deg: {pitch_deg:g} is not between -{STEEPEST_DEG:g} and {STEEPEST_DEG:g}")
    aims = facade_levels_amsl_m(base_amsl_m, top_amsl_m, picture_m[1], overlap)
    levels = aims - stand_off_m * math.tan(math.radians(pitch_deg))
    if lowest_amsl_m is not None:
        finite(lowest_amsl_m=lowest_amsl_m)
        levels = np.maximum(levels, lowest_amsl_m)
    bands = np.column_stack([levels, aims])
    step_m = picture_m[0] * (1 - overlap)
    walls = Polygon(footprint.exterior)
    grown = max(polygon_parts(walls.buffer(stand_off_m, quad_segs=ROUND)), key=lambda part: part.area)
    ring = _round(grown.exterior, place("near", grown.exterior.coords[0] if near is None else near), longest_m=step_m)
    legs = _bands(_looks(walls.exterior, walls, ring, step_m), bands)
    for court in (Polygon(hole) for hole in footprint.interiors if courtyards):
        for free in polygon_parts(court.buffer(-stand_off_m, quad_segs=ROUND)):
            ring = _round(free.exterior, legs[-1].end, longest_m=step_m)
            entry = (float(ring[0, 0]), float(ring[0, 1]))
            over = (top_amsl_m + stand_off_m,) * 2
            last = legs[-1].end
            legs.append(Leg(last, entry, approach=(last,), levels_amsl_m=over, photographs=False))
            legs.extend(_bands(_looks(court.exterior, footprint, ring, step_m), bands[::-1]))
    few_enough(len(legs), f"stand_off_m: {len(levels)} bands of pictures")
    return tuple(legs)


def too_narrow(footprint: Polygon, stand_off_m: float) -> tuple[Polygon, ...]:
    """Courtyards in which no place is `stand_off_m` from all walls, m."""
    courts = (Polygon(hole) for hole in footprint.interiors)
    return tuple(court for court in courts if not polygon_parts(court.buffer(-stand_off_m, quad_segs=ROUND)))


def roof_lines(footprint: Polygon, swath_m: float, *, level_amsl_m: float) -> tuple[Leg, ...]:
    """Lines over the roof at one height, m AMSL, the camera straight down. Raises AreaInvalid as `cover` does."""
    outline("footprint", footprint)
    finite(level_amsl_m=level_amsl_m)
    levels = (level_amsl_m, level_amsl_m)
    return tuple(replace(leg, levels_amsl_m=levels) for leg in cover(footprint, swath_m).legs)


def _round(outer: LinearRing, near: Spot, *, longest_m: float) -> Array:
    """(n, 2) a closed round, clockwise, begun near a place, with a point at least every `longest_m`."""
    ring = shapely.get_coordinates(shapely.orient_polygons(Polygon(outer), exterior_cw=True).exterior)
    ring = begun_near(ring, near)
    few_enough(LineString(ring).length / longest_m + len(ring), f"picture_m: every {longest_m:.3g} m a picture")
    return np.asarray(shapely.get_coordinates(LineString(ring).segmentize(longest_m)))


def _bands(looks: list[tuple[Spot, Spot, Spot]], bands: Array) -> list[Leg]:
    """A round at each of some bands (n, 2): heights of the vehicle and of what it looks at, m AMSL."""
    few_enough(len(looks) * len(bands), f"stand_off_m: {len(bands)} bands of {len(looks)} pictures")
    legs: list[Leg] = []
    for level, aim in bands.tolist():
        for start, end, (x, y) in looks:
            away_m = math.dist(np.add(start, end) / 2, (x, y))
            legs.append(
                Leg(
                    start,
                    end,
                    seen_approach=bool(legs),
                    levels_amsl_m=(level, level),
                    pitch_deg=math.degrees(math.atan2(aim - level, away_m)),
                    look_at=(x, y, aim),
                )
            )
    return legs


def _looks(walls: LinearRing, building: Polygon, ring: Array, step_m: float) -> list[tuple[Spot, Spot, Spot]]:
    """Start, end and place looked at for every piece of a round, and for stops on it.

    What is nearest to no piece, the inner corners and bays of the walls, is looked at in stops from the nearest
    place of the round that sees it past the building.
    """
    middles = (ring[:-1] + ring[1:]) / 2
    seen = shapely.get_coordinates(shapely.shortest_line(shapely.points(middles), walls))[1::2]
    stops: dict[int, list[Spot]] = {}
    inside = building.buffer(-0.01)
    shapely.prepare(inside)
    for spot in shapely.get_coordinates(walls.segmentize(step_m))[:-1]:
        if np.hypot(*(seen - spot).T).min() <= step_m / 2:
            continue
        sights = shapely.linestrings(np.stack([ring[:-1], np.broadcast_to(spot, ring[:-1].shape)], axis=1))
        away = np.where(shapely.intersects(inside, sights), np.inf, shapely.length(sights))
        nearest = int(np.argmin(away))
        if np.isfinite(away[nearest]):
            stops.setdefault(nearest, []).append((float(spot[0]), float(spot[1])))
            seen = np.vstack([seen, spot])
    spots = [(float(x), float(y)) for x, y in ring]
    looks: list[tuple[Spot, Spot, Spot]] = []
    for number, (start, end) in enumerate(pairwise(spots)):
        looks.extend((start, start, spot) for spot in stops.get(number, []))
        looks.append((start, end, (float(seen[number, 0]), float(seen[number, 1]))))
    return looks
