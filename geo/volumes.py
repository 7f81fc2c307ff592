"""Volumes of space and time: a footprint, heights with their datums, and when it counts."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum

import msgspec
import numpy as np
import pyproj
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum
from geo.spans import both, spans

Array = NDArray[np.float64]

LONGEST_SCHEDULE_DAYS = 3660
"""Of a longer window a schedule is not looked up day by day: it counts as active throughout."""
DAY_S = 86_400.0
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


class Day(StrEnum):
    """Days of the week, as ED-269 and ED-318 name them."""

    MON = "MON"
    TUE = "TUE"
    WED = "WED"
    THU = "THU"
    FRI = "FRI"
    SAT = "SAT"
    SUN = "SUN"
    ANY = "ANY"


class DailyPeriod(msgspec.Struct, frozen=True, kw_only=True):
    """A part of some days of the week."""

    days: tuple[Day, ...] = (Day.ANY,)
    """On which days it begins, as counted at the offset of `start`."""
    start: time | None = None
    """When it begins, with its offset from UTC (none means UTC); None: at midnight."""
    end: time | None = None
    """When it ends; not after `start`: on the day after. None: at midnight. 23:59 and later count as midnight."""
    start_event: str = ""
    """What begins it instead of a time (BMCT, SR, SS, EECT): kept, and not computed."""
    end_event: str = ""
    """What ends it instead of a time."""

    @property
    def known(self) -> bool:
        """Whether it can be told from the clock alone."""
        return not (self.start_event or self.end_event)

    def active_s(self, start_s: float, end_s: float) -> Array:
        """(n, 2) when it is active in a window of UTC, s since 1970: all the time where it hangs on an event."""
        if not self.known or end_s - start_s > LONGEST_SCHEDULE_DAYS * DAY_S:
            return np.array([[start_s, end_s]])
        begin_s, long_s, offset_s = self._clock_s()
        days = np.arange(np.floor(start_s / DAY_S) - 2, np.floor(end_s / DAY_S) + 3)
        if Day.ANY not in self.days:
            wanted = [list(Day).index(day) for day in self.days]
            days = days[np.isin((days + 3) % 7, wanted)]  # 1970-01-01 was a Thursday
        begins = days * DAY_S + begin_s - offset_s
        return both(spans(np.column_stack([begins, begins + long_s])), np.array([[start_s, end_s]]))

    def _clock_s(self) -> tuple[float, float, float]:
        """Begin after midnight, length, and the offset from UTC that they are counted at, s."""
        begin = self.start or time(tzinfo=None if self.end is None else self.end.tzinfo)
        end = self.end or time(tzinfo=begin.tzinfo)
        if (end.hour, end.minute) == (23, 59):
            end = time(tzinfo=end.tzinfo)
        offset_s = (begin.utcoffset() or timedelta()).total_seconds()
        end_offset_s = (end.utcoffset() or timedelta()).total_seconds()
        long_s = (_seconds(end) - end_offset_s - _seconds(begin) + offset_s) % DAY_S
        return _seconds(begin), long_s or DAY_S, offset_s


class Applicability(msgspec.Struct, frozen=True, kw_only=True):
    """When something counts: between two times, and there at all times or at parts of days."""

    start: datetime | None = None
    """From when on; None: always has."""
    end: datetime | None = None
    """Until when; None: without end."""
    schedule: tuple[DailyPeriod, ...] = ()
    """Parts of days; none: all the time."""

    def active_s(self, start_s: float, end_s: float) -> Array:
        """(n, 2) when it counts in a window of UTC, s since 1970."""
        start_s = max(start_s, -np.inf if self.start is None else _utc_s(self.start))
        end_s = min(end_s, np.inf if self.end is None else _utc_s(self.end))
        if end_s <= start_s:
            return np.empty((0, 2))
        if not self.schedule:
            return np.array([[start_s, end_s]])
        return spans(np.concatenate([period.active_s(start_s, end_s) for period in self.schedule]))


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
        """(n, 2) when it counts in a window of UTC, s since 1970."""
        if not self.times:
            return np.array([[start_s, end_s]])
        return spans(np.concatenate([times.active_s(start_s, end_s) for times in self.times]))

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


def _seconds(clock: time) -> float:
    return clock.hour * 3600.0 + clock.minute * 60.0 + clock.second + clock.microsecond / 1e6


def _utc_s(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def above(altitude: Altitude | None) -> bool:
    """Whether a lower limit leaves anything below it free: not where there is none, nor at the ground."""
    return altitude is not None and not (altitude.datum == Datum.AGL and altitude.value_m <= 0)
