"""Where to go to look at a place: free sight past terrain and buildings, a good distance, and soon there."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import shapely
from numba import njit
from numpy.typing import ArrayLike, NDArray
from shapely import Polygon

from geo.errors import AreaInvalid, OutOfView
from geo.legs import Leg
from geo.limits import above_zero, finite, outline, place
from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

BEARINGS = 36
"""Directions in which outlooks are looked for."""
STEPS = 48
"""Places along each direction at which the height of the ground is taken."""
EVERY = 3
"""Each so many of them may be an outlook."""
HEIGHTS = 5
"""Heights tried at each, from the lowest allowed to the highest."""
FAR_OFF = 0.2
"""Slant ranges that differ by less than this share of the wanted one are as good as it."""
TILTED_DEG = 10.0
"""Pitches that differ by less are as good as the wanted one."""


class View(msgspec.Struct, frozen=True, kw_only=True):
    """How a place is to be looked at."""

    slant_range_m: float = 80.0
    """Wanted between camera and place, m."""
    pitch_deg: float = -45.0
    """Wanted of the camera, 0 at the horizon, -90 straight down."""
    max_range_m: float = 300.0
    """On the plane, m; outlooks lie no farther."""
    lowest_m: float = 30.0
    """Above the ground below the outlook, m."""
    highest_m: float = 120.0
    """Above the ground below the outlook, m."""
    clearance_m: float = 10.0
    """From buildings, to the side and above, m."""
    target_height_m: float = 1.0
    """Of what is looked at, above the ground or the roof there, m."""


@dataclass(frozen=True)
class Outlook:
    """A place to hold at, from which another is in view."""

    place: tuple[float, float]
    """On the plane, m."""
    level_amsl_m: float
    """Height, m AMSL."""
    height_m: float
    """Above the ground below, m."""
    target: tuple[float, float, float]
    """What is looked at: x, y on the plane, m AMSL."""
    slant_range_m: float
    """Between the two."""
    pitch_deg: float
    """Of the camera."""
    flying_s: float
    """From the start straight to it, climbing first."""

    def leg(self, hold_s: float) -> Leg:
        """A stop there, the camera on the place."""
        levels = (self.level_amsl_m, self.level_amsl_m)
        return Leg(
            self.place, self.place, levels_amsl_m=levels, pitch_deg=self.pitch_deg, look_at=self.target, hold_s=hold_s
        )


@dataclass(frozen=True)
class Walls:
    """Buildings on a plane: the edges of their outlines, and how high they stand."""

    edges: Array
    """(k, 4) x, y of both ends, m, building after building."""
    first: Numbers
    """(n + 1,) number of each building's first edge, and k."""
    bounds: Array
    """(n, 4) west, south, east, north of each building, m."""
    tops_amsl_m: Array
    """(n,) height of each building's top, m AMSL."""

    @classmethod
    def of(cls, polygons: Sequence[Polygon], tops_amsl_m: ArrayLike) -> Walls:
        """From outlines on the plane, m (holes are courtyards), and their tops. Raises AreaInvalid."""
        tops = np.asarray(tops_amsl_m, float)
        if tops.shape != (len(polygons),) or not np.isfinite(tops).all():
            raise AreaInvalid(f"tops_amsl_m: {len(polygons)} finite heights are needed, one a building")
        edges = [
            np.hstack([corners[:-1], corners[1:]])
            for polygon in polygons
            for corners in [shapely.get_coordinates(ring) for ring in _rings(polygon)]
        ]
        counts = [sum(len(ring.coords) - 1 for ring in _rings(polygon)) for polygon in polygons]
        return cls(
            np.concatenate([np.empty((0, 4)), *edges]),
            np.concatenate([[0], np.cumsum(counts, dtype=np.int64)]).astype(np.int64),
            shapely.bounds(np.array(polygons, object)).reshape(-1, 4),
            tops,
        )

    def near(self, spot: tuple[float, float], range_m: float) -> Walls:
        """Only the buildings whose bounds come within a range of a place."""
        west, south, east, north = self.bounds.T
        kept = np.flatnonzero(
            (west <= spot[0] + range_m)
            & (east >= spot[0] - range_m)
            & (south <= spot[1] + range_m)
            & (north >= spot[1] - range_m)
        )
        counts = self.first[kept + 1] - self.first[kept]
        first = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        rows = np.repeat(self.first[kept] - first[:-1], counts) + np.arange(first[-1])
        return Walls(self.edges[rows], first, self.bounds[kept], self.tops_amsl_m[kept])


def outlooks(
    spot: tuple[float, float],
    starts: ArrayLike,
    plane: LocalPlane,
    terrain: Terrain,
    walls: Walls | None = None,
    *,
    speeds_m_s: ArrayLike,
    climbs_m_s: ArrayLike,
    view: View | None = None,
    keep_out: shapely.Geometry | None = None,
) -> tuple[Outlook, ...]:
    """For each vehicle that is at `starts` (n, 3), x, y and m AMSL, the outlook on a place that it reaches first.

    Of those with free sight, only the ones that come closest to the wanted slant range and pitch count (in steps
    of 20 % and 10 deg). Sight is taken along the straight line over the ground's heights, every 1/48 of the range,
    and over all walls; a place in a building is its roof. None lies in `keep_out`. Speeds and rates of climb
    are one a vehicle or one for all. Raises OutOfView where nothing sees the place, TerrainMissing, AreaInvalid.
    """
    wanted = view or View()
    middle = place("place", spot)
    rows, speeds, climbs = _vehicles(starts, speeds_m_s, climbs_m_s)
    _check(wanted)
    near = (walls or Walls.of([], [])).near(middle, wanted.max_range_m + wanted.clearance_m)
    seen, target_m, tried = _in_view(middle, plane, terrain, near, wanted)
    if keep_out is not None:
        seen = seen[~shapely.contains_xy(keep_out, seen[:, 0], seen[:, 1])]
    if not len(seen):
        lon, lat = (float(value) for value in plane.to_lonlat(*middle))
        raise OutOfView(
            f"none of {tried} places within {wanted.max_range_m:g} m, {wanted.lowest_m:g} to {wanted.highest_m:g} m "
            f"above ground, that may be flown to sees lon {lon:.6f}, lat {lat:.6f}: allow more range or height"
        )
    target = (*middle, target_m)
    ranges = np.hypot(seen[:, 0] - middle[0], seen[:, 1] - middle[1])
    slants = np.hypot(ranges, seen[:, 2] - target_m)
    pitches = np.degrees(np.arctan2(target_m - seen[:, 2], ranges))
    misfit = np.maximum(
        np.abs(slants / wanted.slant_range_m - 1) / FAR_OFF, np.abs(pitches - wanted.pitch_deg) / TILTED_DEG
    )
    good = np.flatnonzero(np.floor(misfit) == np.floor(misfit.min()))
    away = np.hypot(*(seen[good, :2] - rows[:, None, :2]).transpose(2, 0, 1))
    flying = away / speeds[:, None] + np.abs(seen[good, 2] - rows[:, None, 2]) / climbs[:, None]
    best = flying.argmin(axis=1)
    return tuple(
        Outlook(
            place=(float(seen[row, 0]), float(seen[row, 1])),
            level_amsl_m=float(seen[row, 2]),
            height_m=float(seen[row, 3]),
            target=target,
            slant_range_m=float(slants[row]),
            pitch_deg=float(pitches[row]),
            flying_s=float(flying[vehicle, best[vehicle]]),
        )
        for vehicle, row in enumerate(good[best].tolist())
    )


def _rings(polygon: Polygon) -> list[shapely.LinearRing]:
    outline("building", polygon)
    return [polygon.exterior, *polygon.interiors]


def _vehicles(starts: ArrayLike, speeds_m_s: ArrayLike, climbs_m_s: ArrayLike) -> tuple[Array, Array, Array]:
    rows = np.asarray(starts, float)
    if rows.ndim != 2 or rows.shape[1] != 3 or not len(rows) or not np.isfinite(rows).all():
        raise AreaInvalid(f"starts: of shape {rows.shape}, finite rows of x, y and m AMSL are needed")
    speeds, climbs = (np.broadcast_to(np.asarray(values, float), len(rows)) for values in (speeds_m_s, climbs_m_s))
    above_zero(speed_m_s=float(speeds.min()), climb_m_s=float(climbs.min()))
    return rows, speeds, climbs


def _check(view: View) -> None:
    above_zero(slant_range_m=view.slant_range_m, max_range_m=view.max_range_m, highest_m=view.highest_m)
    finite(pitch_deg=view.pitch_deg, target_height_m=view.target_height_m, clearance_m=view.clearance_m)
    if not 0 <= view.lowest_m <= view.highest_m:
        raise AreaInvalid(f"lowest_m, highest_m: {view.lowest_m:g} to {view.highest_m:g} m above ground is no range")


def _in_view(
    spot: tuple[float, float], plane: LocalPlane, terrain: Terrain, walls: Walls, view: View
) -> tuple[Array, float, int]:
    """Free places (k, 4), x, y, m AMSL and m above ground; the height of what is looked at; how many were tried."""
    bearings = np.linspace(0, 2 * np.pi, BEARINGS, endpoint=False)
    forward = np.column_stack([np.sin(bearings), np.cos(bearings)])
    away = np.linspace(0, view.max_range_m, STEPS + 1)
    places = np.array(spot) + forward[:, None] * away[1:, None]
    east, north = np.append(places[..., 0], spot[0]), np.append(places[..., 1], spot[1])
    heights = terrain.amsl_m(*plane.to_lonlat(east, north))
    ground, below = heights[:-1].reshape(BEARINGS, STEPS), float(heights[-1])
    stands = float(_floors(np.array([spot]), walls.edges, walls.first, walls.bounds, walls.tops_amsl_m, 0.0)[0])
    target_m = max(below, stands) + view.target_height_m
    # the slope that sight must have, for what stands between the place and each step: ground, then walls
    slopes = np.hstack([np.full((BEARINGS, 1), -np.inf), (ground - target_m) / away[1:]])
    _raise_over_walls(np.array(spot), forward, away, walls.edges, walls.first, walls.tops_amsl_m - target_m, slopes)
    horizon = np.maximum.accumulate(slopes, axis=1)
    steps = np.unique(np.append(np.arange(EVERY, STEPS + 1, EVERY), _nearest_step(view, away)))
    tried = places[:, steps - 1]
    floors = _floors(
        tried.reshape(-1, 2), walls.edges, walls.first, walls.bounds, walls.tops_amsl_m + view.clearance_m,
        view.clearance_m,
    ).reshape(tried.shape[:2])  # fmt: skip
    best_m = float(np.clip(-view.slant_range_m * math.sin(math.radians(view.pitch_deg)), view.lowest_m, view.highest_m))
    above = np.unique(np.append(np.linspace(view.lowest_m, view.highest_m, HEIGHTS), best_m))
    levels = ground[:, steps - 1, None] + above
    free = (levels - target_m) / away[steps][:, None] > horizon[:, steps - 1, None] + 1e-9
    free &= levels >= floors[..., None]
    across, along, up = np.nonzero(free)
    found = np.column_stack([tried[across, along], levels[free], above[up]])
    return found, target_m, free.size


def _nearest_step(view: View, away: Array) -> int:
    """The step at the range that the wanted slant range and pitch give."""
    wanted_m = view.slant_range_m * math.cos(math.radians(view.pitch_deg))
    return max(1, int(np.argmin(np.abs(away - wanted_m))))


@njit(cache=True, nogil=True)
def _raise_over_walls(
    spot: Array, forward: Array, away: Array, edges: Array, first: Numbers, tops_m: Array, slopes: Array
) -> None:
    """Raise the slopes (bearings, steps), in place, to those over the walls between each step and the next."""
    for building in range(len(tops_m)):
        for row in range(first[building], first[building + 1]):
            x0, y0 = edges[row, 0] - spot[0], edges[row, 1] - spot[1]
            x1, y1 = edges[row, 2] - spot[0], edges[row, 3] - spot[1]
            for bearing in range(len(forward)):
                fx, fy = forward[bearing, 0], forward[bearing, 1]
                side0, side1 = fx * y0 - fy * x0, fx * y1 - fy * x1
                if (side0 > 0) == (side1 > 0):
                    continue
                share = side0 / (side0 - side1)
                at = (x0 + share * (x1 - x0)) * fx + (y0 + share * (y1 - y0)) * fy
                if at <= 0 or at > away[-1]:
                    continue
                step = np.searchsorted(away, at) - 1
                slopes[bearing, step] = max(slopes[bearing, step], tops_m[building] / max(at, 1e-3))


@njit(cache=True, nogil=True)
def _floors(spots: Array, edges: Array, first: Numbers, bounds: Array, tops_m: Array, clearance_m: float) -> Array:
    """(n,) for each place the highest top of what it lies in, or nearer to than a clearance; none: minus infinity."""
    floors = np.full(len(spots), -np.inf)
    for building in range(len(tops_m)):
        west, south, east, north = bounds[building]
        for number in range(len(spots)):
            x, y = spots[number]
            if tops_m[building] <= floors[number]:
                continue
            if x < west - clearance_m or x > east + clearance_m or y < south - clearance_m or y > north + clearance_m:
                continue
            touched = False
            for row in range(first[building], first[building + 1]):
                x0, y0, x1, y1 = edges[row]
                if (y0 > y) != (y1 > y) and x < (x1 - x0) * (y - y0) / (y1 - y0) + x0:
                    touched = not touched
            for row in range(first[building], first[building + 1]):
                if touched or clearance_m <= 0:
                    break
                x0, y0, x1, y1 = edges[row]
                ex, ey = x1 - x0, y1 - y0
                along = min(1.0, max(0.0, ((x - x0) * ex + (y - y0) * ey) / max(ex * ex + ey * ey, 1e-12)))
                touched = math.hypot(x - x0 - along * ex, y - y0 - along * ey) < clearance_m
            if touched:
                floors[number] = tops_m[building]
    return floors
