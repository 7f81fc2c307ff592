"""Volumes of space and time: a footprint, heights with their datums, and when it counts."""

from __future__ import annotations

import msgspec
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.schedules import Applicability
from geo.spans import spans

Array = NDArray[np.float64]

_LEAST_RADIUS_M = 6_335_439.0
"""Least radius of curvature of WGS 84: of the meridian at the equator."""
_GEOD = pyproj.Geod(ellps="WGS84")
_CORNERS = 64
"""Of the polygon around a circle: its sides all but touch the circle, and its corners lie 0.13 % further out."""
_SAGGING = 1.0001
"""Sides that are straight in degrees sag a little towards the middle."""
_POINTED_M = 0.5
"""With a smaller margin corners stay corners."""
_QUARTER = 8
"""Sides of a quarter turn around a corner; GEOS rounds their number, so that one may be half as long again."""


class Circle(msgspec.Struct, frozen=True, kw_only=True, tag="circle"):
    """All places within a distance of one."""

    lon: float
    """Of the middle, deg."""
    lat: float
    """Of the middle, deg."""
    radius_m: float
    """Distance, m."""

    def polygon(self) -> Polygon:
        """A polygon (lon, lat) of 64 sides around the circle."""
        turns = np.arange(_CORNERS) * (360.0 / _CORNERS)
        reach_m = _SAGGING * self.radius_m / np.cos(np.pi / _CORNERS)
        lon, lat, _ = _GEOD.fwd(
            np.full(_CORNERS, self.lon), np.full(_CORNERS, self.lat), turns, np.full(_CORNERS, reach_m)
        )
        return shapely.orient_polygons(Polygon(np.column_stack([lon, lat])))

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north, deg; a little more than needed."""
        reach = self.radius_m / _LEAST_RADIUS_M
        up, share = np.degrees(reach), np.sin(min(reach, np.pi / 2)) / max(np.cos(np.radians(self.lat)), 1e-9)
        aside = float(np.degrees(np.arcsin(share))) if share < 1 else 180.0
        return self.lon - aside, self.lat - up, self.lon + aside, self.lat + up


class Outline(msgspec.Struct, frozen=True, kw_only=True, tag="polygon"):
    """A polygon, perhaps with holes; its edges are straight in longitude and latitude (RFC 7946, 3.1.1)."""

    rings: tuple[tuple[tuple[float, float], ...], ...]
    """The outer ring and then the holes, each closed, of (lon, lat), deg."""

    def polygon(self) -> Polygon:
        """As shapely's."""
        return Polygon(self.rings[0], self.rings[1:])

    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east and north, deg."""
        corners = np.asarray(self.rings[0])
        west, south = corners.min(axis=0).tolist()
        east, north = corners.max(axis=0).tolist()
        return west, south, east, north


Footprint = Circle | Outline


class Volume4D(msgspec.Struct, frozen=True, kw_only=True):
    """A footprint between two heights at some times."""

    footprint: Footprint
    """Where."""
    lower: Altitude | None = None
    """From which height; None: from below the ground."""
    upper: Altitude | None = None
    """Up to which height; None: without end."""
    times: tuple[Applicability, ...] = ()
    """When: at any of these; none: always."""

    def active_s(self, start_s: float, end_s: float) -> Array:
        """(n, 2) when it counts in a window of UTC, s since 1970; what hangs on the sun, as anywhere in its box."""
        if not self.times:
            return np.array([[start_s, end_s]])
        west, south, east, north = self.footprint.bounds()
        places = ((west, south), (west, north), (east, south), (east, north))
        return spans(np.concatenate([times.active_s(start_s, end_s, places) for times in self.times]))

    def active_within(self, start_s: float, end_s: float) -> bool:
        """Whether it counts at any time of a window of UTC, s since 1970; a window may be an instant."""
        return not self.times or len(self.active_s(start_s, max(end_s, start_s + 1e-3))) > 0

    def checked(self) -> Volume4D:
        """Itself; raises ZoneInvalid where heights or times run backwards."""
        low, high = self.lower, self.upper
        if low is not None and high is not None and low.datum == high.datum and low.value_m > high.value_m:
            raise ZoneInvalid(f"the lower limit, {low.value_m:g} m, is above the upper one, {high.value_m:g} m")
        for times in self.times:
            if times.start is not None and times.end is not None and times.end < times.start:
                raise ZoneInvalid(
                    f"it ends, {times.end:%Y-%m-%d %H:%M}, before it begins, {times.start:%Y-%m-%d %H:%M}"
                )
        return self


def metres_per_degree(lat: float) -> tuple[float, float]:
    """Length of one degree of longitude and of one of latitude at a latitude, m (WGS 84)."""
    e2 = 0.006694379990141317
    bend = 1.0 - e2 * np.sin(np.radians(lat)) ** 2
    east_m = 6_378_137.0 * np.cos(np.radians(lat)) / np.sqrt(bend)
    north_m = 6_378_137.0 * (1.0 - e2) / bend**1.5
    return float(np.radians(1.0) * east_m), float(np.radians(1.0) * north_m)


def grown(footprint: Footprint, margin_m: float) -> shapely.Geometry:
    """The polygon (lon, lat) of all that is nearer than a margin, and of at most 2 % of the margin more."""
    if isinstance(footprint, Circle):
        return Circle(lon=footprint.lon, lat=footprint.lat, radius_m=footprint.radius_m + margin_m).polygon()
    return widened(footprint.polygon(), margin_m)


def widened(shape: shapely.Geometry, margin_m: float) -> shapely.Geometry:
    """A shape (lon, lat) grown by at least a margin, or with a margin below 0 shrunk by at least as much."""
    if margin_m == 0 or shape.is_empty:
        return shape
    _, south, _, north = shape.bounds
    nearest = 0.0 if south < 0 < north else min(abs(south), abs(north))
    scale = metres_per_degree(max(abs(south), abs(north)))[0], metres_per_degree(nearest)[1]
    flat = shapely.transform(shape, lambda xy: xy * scale)
    if abs(margin_m) < _POINTED_M:
        wider = flat.buffer(margin_m, join_style="mitre")
    else:
        wider = flat.buffer(margin_m / np.cos(1.5 * np.pi / (4 * _QUARTER)), quad_segs=_QUARTER)
    return shapely.transform(wider, lambda xy: xy / scale)


def above(altitude: Altitude | None) -> bool:
    """Whether a lower limit leaves anything below it free: not where there is none, nor at the ground."""
    return altitude is not None and not (altitude.datum == Datum.AGL and altitude.value_m <= 0)
