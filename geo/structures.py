"""A building looked at from its sides: bands of levels round its footprint, the camera on the facade, and its roof."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Polygon

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
) -> tuple[Leg, ...]:
    """Rounds `stand_off_m` from the outer walls of a building, from the lowest band to the highest: it climbs once.

    `picture_m` is how wide and high a picture is on the facade at that distance; pictures overlap by `overlap`
    (0 to 0.95) both ways. A leg is as long as from one picture to the next, the camera on the nearest place of
    the facade from its middle, tilted by `pitch_deg` (below 0: down, flown higher). No band is flown below
    `lowest_amsl_m`. Inner corners and narrow bays are looked at in stops on the way; courtyards, and what
    no place of the round sees, are left out.
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
    walls = Polygon(footprint.exterior)
    ring = _round(walls, stand_off_m, near, longest_m=picture_m[0] * (1 - overlap))
    few_enough(len(ring) * len(levels), f"stand_off_m: {len(levels)} bands of {len(ring) - 1} pictures")
    looks = _looks(walls, ring, picture_m[0] * (1 - overlap))
    legs: list[Leg] = []
    for level, aim in zip(levels.tolist(), aims.tolist(), strict=True):
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
    return tuple(legs)


def roof_lines(footprint: Polygon, swath_m: float, *, level_amsl_m: float) -> tuple[Leg, ...]:
    """Lines over the roof at one height, m AMSL, the camera straight down. Raises AreaInvalid as `cover` does."""
    outline("footprint", footprint)
    finite(level_amsl_m=level_amsl_m)
    levels = (level_amsl_m, level_amsl_m)
    return tuple(replace(leg, levels_amsl_m=levels) for leg in cover(footprint, swath_m).legs)


def _round(walls: Polygon, stand_off_m: float, near: tuple[float, float] | None, *, longest_m: float) -> Array:
    """(n, 2) a closed round at the stand-off, clockwise, with a point at least every `longest_m`."""
    grown = max(polygon_parts(walls.buffer(stand_off_m, quad_segs=ROUND)), key=lambda part: part.area)
    ring = shapely.get_coordinates(shapely.orient_polygons(Polygon(grown.exterior), exterior_cw=True).exterior)
    ring = begun_near(ring, place("near", ring[0] if near is None else near))
    few_enough(LineString(ring).length / longest_m + len(ring), f"picture_m: every {longest_m:.3g} m a picture")
    return np.asarray(shapely.get_coordinates(LineString(ring).segmentize(longest_m)))


def _looks(walls: Polygon, ring: Array, step_m: float) -> list[tuple[Spot, Spot, Spot]]:
    """Start, end and place looked at for every piece of a round, and for stops on it.

    What is nearest to no piece, the inner corners and bays of the walls, is looked at in stops from the nearest
    place of the round that sees it.
    """
    middles = (ring[:-1] + ring[1:]) / 2
    seen = shapely.get_coordinates(shapely.shortest_line(shapely.points(middles), walls.exterior))[1::2]
    stops: dict[int, list[Spot]] = {}
    inside = walls.buffer(-0.01)
    shapely.prepare(inside)
    for spot in shapely.get_coordinates(walls.exterior.segmentize(step_m))[:-1]:
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
