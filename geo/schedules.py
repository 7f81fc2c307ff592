"""Schedules: between which dates and at which parts of days something counts, by the clock or by the sun."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from enum import StrEnum
from functools import lru_cache

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.spans import both, spans
from geo.sun import EVENTS, sun_event_s, sun_midnights_s

Array = NDArray[np.float64]
Places = tuple[tuple[float, float], ...]
"""(lon, lat), deg."""

LONGEST_SCHEDULE_DAYS = 3660
"""Of a longer window a schedule is not looked up day by day: it counts as active throughout."""
DAY_S = 86_400.0


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
    """What begins it instead of a time, of `geo.sun.EVENTS`: BMCT, SR, SS, EECT; others are kept, and not computed."""
    end_event: str = ""
    """What ends it instead of a time."""

    @property
    def by_sun(self) -> bool:
        """Whether it hangs on an event."""
        return bool(self.start_event or self.end_event)

    @property
    def known(self) -> bool:
        """Whether it can be computed, by clock and sun."""
        return all(not event or event in EVENTS for event in (self.start_event, self.end_event))

    def active_s(self, start_s: float, end_s: float, places: Places = ()) -> Array:
        """(n, 2) when it is active in a window of UTC, s since 1970.

        What hangs on the sun is active as soon and as long as it is at any of `places`; all the time where there are
        none, where the event is not known, and in too long a window. A day is then one of the sun at each place, from
        midnight to midnight, unless the clock says when it begins; an end without a time is that midnight. Where an
        event does not happen, see `geo.sun.sun_event_s`: it begins nothing, and what it should end lasts to midnight.
        """
        if not self.known or (self.by_sun and not places) or end_s - start_s > LONGEST_SCHEDULE_DAYS * DAY_S:
            return np.array([[start_s, end_s]])
        days = np.arange(np.floor(start_s / DAY_S) - 2, np.floor(end_s / DAY_S) + 3)
        if self.by_sun:
            found = self._sunny_s(days, places)
        else:
            begin_s, long_s, offset_s = self._clock_s()
            begins = days[self._wanted(days)] * DAY_S + begin_s - offset_s
            found = np.column_stack([begins, begins + long_s])
        return both(spans(found), np.array([[start_s, end_s]]))

    def _wanted(self, days: Array) -> NDArray[np.bool_]:
        """Which of days since 1970-01-01, a Thursday, are among its days of the week."""
        if Day.ANY in self.days:
            return np.ones(len(days), bool)
        return np.isin((days + 3) % 7, [list(Day).index(day) for day in self.days])

    def _sunny_s(self, days: Array, places: Places) -> Array:
        """(n, 2) when it is active at any of places on days, where it hangs on the sun."""
        begins = self._edges_s(self.start_event, self.start, days, places)
        ends = self._edges_s(self.end_event, _whole_day(self.end), days, places)
        ends = np.where(np.isfinite(ends), ends, _events_s("", places, float(days[0]) + 1, len(days)))
        rows = []
        for begins_here, ends_here in zip(begins, ends, strict=True):
            chosen = begins_here[self._wanted(days) & np.isfinite(begins_here)]
            after = np.searchsorted(ends_here, chosen, side="right")
            chosen, after = chosen[after < len(days)], after[after < len(days)]
            rows.append(np.column_stack([chosen, ends_here[after]]))
        return np.concatenate(rows)

    def _edges_s(self, event: str, clock: time | None, days: Array, places: Places) -> Array:
        """(p, n) when something happens at places on days: by an event, by the clock, or at the sun's midnight."""
        if event or clock is None:
            return _events_s(event, places, float(days[0]), len(days))
        clock_s = days * DAY_S + _seconds(clock) - (clock.utcoffset() or timedelta()).total_seconds()
        return np.broadcast_to(clock_s, (len(places), len(days)))

    def _clock_s(self) -> tuple[float, float, float]:
        """Begin after midnight, length, and the offset from UTC that they are counted at, s."""
        begin = self.start or time(tzinfo=None if self.end is None else self.end.tzinfo)
        end = _whole_day(self.end) or time(tzinfo=begin.tzinfo)
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

    def active_s(self, start_s: float, end_s: float, places: Places = ()) -> Array:
        """(n, 2) when it counts in a window of UTC, s since 1970; `places` as `DailyPeriod.active_s` has them."""
        start_s = max(start_s, -np.inf if self.start is None else _utc_s(self.start))
        end_s = min(end_s, np.inf if self.end is None else _utc_s(self.end))
        if end_s <= start_s:
            return np.empty((0, 2))
        if not self.schedule:
            return np.array([[start_s, end_s]])
        return spans(np.concatenate([period.active_s(start_s, end_s, places) for period in self.schedule]))


@lru_cache(maxsize=16_384)
def _events_s(event: str, places: Places, first: float, count: int) -> Array:
    """(p, count) when an event, or with none the sun's midnight, happens at places on days from the first on."""
    days, (lon, lat) = first + np.arange(count), np.array(places).T[:, :, None]
    found = sun_event_s(event, lon, lat, days) if event else sun_midnights_s(lon, days)
    found.flags.writeable = False
    return found


def _whole_day(end: time | None) -> time | None:
    """An end that is meant as midnight as midnight."""
    return time(tzinfo=end.tzinfo) if end is not None and (end.hour, end.minute) == (23, 59) else end


def _seconds(clock: time) -> float:
    return clock.hour * 3600.0 + clock.minute * 60.0 + clock.second + clock.microsecond / 1e6


def _utc_s(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
