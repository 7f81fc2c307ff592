"""Recurrences: when something is due again and again, by the clock on the wall of a place."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from dateutil.rrule import rrule, rrulestr

from missioncontrol.errors import InputInvalid

LocalTime = Annotated[datetime, msgspec.Meta(tz=False)]
TimeOfDay = Annotated[time, msgspec.Meta(tz=False)]
Weekday = Literal["MO", "TU", "WE", "TH", "FR", "SA", "SU"]

MOST = 1000
"""So many times are told at once at most."""
_OVERLAP = 240
"""Times of an hour that comes twice, which are not met in order."""
_DAYS = ("MO", "TU", "WE", "TH", "FR", "SA", "SU")
_ALWAYS = {"FREQ", "INTERVAL", "COUNT", "UNTIL", "WKST", "BYDAY", "BYHOUR", "BYMINUTE"}
_PARTS = {
    "HOURLY": _ALWAYS,
    "DAILY": _ALWAYS | {"BYMONTH"},
    "WEEKLY": _ALWAYS | {"BYMONTH", "BYSETPOS"},
    "MONTHLY": _ALWAYS | {"BYMONTH", "BYMONTHDAY", "BYSETPOS"},
    "YEARLY": _ALWAYS | {"BYMONTH", "BYMONTHDAY", "BYYEARDAY", "BYWEEKNO", "BYSETPOS"},
}
"""What a rule of each frequency may say."""
_EVEN = ("HOURLY", "DAILY", "WEEKLY")
"""Frequencies whose rules repeat after some weeks."""


class Blackout(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Days, times of the day, or times of certain days, at which nothing is due."""

    first_day: date | None = None
    """First day; absent: since ever."""
    last_day: date | None = None
    """Last day; absent: for ever."""
    weekdays: tuple[Weekday, ...] = ()
    """Only on these; on all when empty."""
    begins: TimeOfDay | None = None
    """Time of the day from which; absent: from midnight."""
    ends: TimeOfDay | None = None
    """Time of the day before which; absent: until midnight. Where it is before `begins`, the night between."""
    reason: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """Why."""

    def check(self) -> None:
        """Raises InputInvalid."""
        if self.first_day and self.last_day and self.last_day < self.first_day:
            raise InputInvalid(f"blackouts: last_day {self.last_day} is before first_day {self.first_day}")
        if self.begins is not None and self.begins == self.ends:
            raise InputInvalid(f"blackouts: begins and ends are both {self.begins}: leave both out for whole days")
        if self == Blackout(reason=self.reason):
            raise InputInvalid("blackouts: one says neither days nor times; for nothing at all set active to false")

    def covers(self, local: datetime) -> bool:
        """Whether a time on the wall lies in it; the day is that of the time itself, also after midnight."""
        day, at = local.date(), local.time()
        if (self.first_day and day < self.first_day) or (self.last_day and day > self.last_day):
            return False
        if self.weekdays and _DAYS[day.weekday()] not in self.weekdays:
            return False
        begins, ends = self.begins or time.min, self.ends
        if ends is None:
            return at >= begins
        return begins <= at < ends if begins < ends else at >= begins or at < ends


class Recurrence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An RFC 5545 recurrence rule over the local time of a time zone, with times left out.

    A time that a change of the clocks leaves out is due as if the clocks were not changed yet (03:30 instead of 02:30),
    one that comes twice the first time. Hours are an exception: of `FREQ=HOURLY` what is left out is not due, and
    what comes twice is due twice, so that every hour stays every hour.
    """

    rule: Annotated[str, msgspec.Meta(min_length=1, max_length=500)]
    """RRULE as in `FREQ=WEEKLY;BYDAY=MO,TH`, FREQ from HOURLY to YEARLY; UNTIL in UTC."""
    starts: LocalTime
    """DTSTART, on the wall: the first time, where the rule holds there, and hour and minute of those that follow."""
    time_zone: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    """TZID: a name of the IANA data base, as Asia/Almaty."""
    expires: LocalTime | None = None
    """Nothing is due at that time, on the wall, and after."""
    blackouts: Annotated[tuple[Blackout, ...], msgspec.Meta(max_length=100)] = ()
    """When nothing is due though the rule says so."""

    def check(self) -> None:
        """Raises InputInvalid for a rule that cannot be followed, naming what stands against it."""
        for blackout in self.blackouts:
            blackout.check()
        if not 2000 <= self.starts.year <= 2200:
            raise InputInvalid(f"starts: {self.starts:%Y-%m-%d} is not between 2000 and 2200")
        if self.starts.second or self.starts.microsecond:
            raise InputInvalid(f"starts: {self.starts:%H:%M:%S} is not at a full minute")
        if next(iter(self._rule(self.starts)), None) is None:
            raise InputInvalid(f"rule: {self.rule!r} is never due")

    def between(self, after_s: float, until_s: float, *, most: int = MOST) -> tuple[float, ...]:
        """Times due later than one and not later than another, UTC, s since 1970, in order; the first `most`."""
        found: set[float] = set()
        for utc_s in self._instants(after_s, until_s):
            if after_s < utc_s <= until_s and not self.is_dark(utc_s):
                found.add(utc_s)
                if len(found) >= most + _OVERLAP:
                    break
        return tuple(sorted(found))[:most]

    def is_dark(self, utc_s: float) -> bool:
        """Whether a time is in a blackout or past the expiry."""
        local = self.local(utc_s)
        expired = self.expires is not None and utc_s >= self.expires.replace(tzinfo=self._zone).timestamp()
        return expired or any(blackout.covers(local) for blackout in self.blackouts)

    def local(self, utc_s: float) -> datetime:
        """A time on the wall, without its zone."""
        return datetime.fromtimestamp(utc_s, self._zone).replace(tzinfo=None)

    @property
    def _zone(self) -> ZoneInfo:
        try:
            return ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as exc:
            raise InputInvalid(f"time_zone: {self.time_zone!r} is no time zone, as Asia/Almaty is one") from exc

    @property
    def _parts(self) -> dict[str, str]:
        """The rule's parts. Raises InputInvalid for those that it may not have."""
        parts: dict[str, str] = {}
        for part in self.rule.removeprefix("RRULE:").split(";"):
            name, _, value = part.partition("=")
            if not value or name in parts:
                raise InputInvalid(
                    f"rule: {part!r} is no part of a rule, as FREQ=WEEKLY;BYDAY=MO,TH has them, or twice"
                )
            parts[name] = value
        allowed = _PARTS.get(parts.get("FREQ", ""))
        if allowed is None:
            raise InputInvalid(f"rule: FREQ is {parts.get('FREQ')!r}, one of {', '.join(_PARTS)} is needed")
        for name in parts:
            if name not in allowed:
                raise InputInvalid(
                    f"rule: {name} does not go with FREQ={parts['FREQ']}, only {', '.join(sorted(allowed))}"
                )
        for name in ("INTERVAL", "COUNT"):
            if name in parts and not (parts[name].isdecimal() and 1 <= int(parts[name]) <= 100_000):
                raise InputInvalid(f"rule: {name}={parts[name]} is not a whole number from 1 to 100000")
        if "UNTIL" in parts:
            _until_s(parts["UNTIL"])
        return parts

    def _rule(self, starts: datetime) -> rrule:
        parts = self._parts
        text = ";".join(f"{name}={value}" for name, value in parts.items())
        try:
            return rrulestr(text, dtstart=starts.replace(tzinfo=self._zone))
        except (ValueError, KeyError, IndexError, OverflowError) as exc:
            raise InputInvalid(f"rule: {self.rule!r} is no recurrence rule: {exc}") from exc

    def _instants(self, after_s: float, until_s: float) -> Iterator[float]:
        """Times due from somewhat before one to somewhat after another, nearly in order."""
        zone, parts = self._zone, self._parts
        hourly = parts["FREQ"] == "HOURLY"
        last_s = _until_s(parts["UNTIL"]) if "UNTIL" in parts else until_s
        for due in self._rule(self._begin(after_s, parts)):
            first_s = due.replace(fold=0).timestamp()
            if first_s > until_s + 86_400.0:
                return
            if not hourly:
                yield first_s
                continue
            if datetime.fromtimestamp(first_s, zone).replace(tzinfo=None) != due.replace(tzinfo=None):
                continue
            yield first_s
            second_s = due.replace(fold=1).timestamp()
            if second_s <= last_s:
                yield second_s

    def _begin(self, after_s: float, parts: dict[str, str]) -> datetime:
        """`starts`, or a later time from which the same times follow."""
        if "COUNT" in parts or parts["FREQ"] not in _EVEN:
            return self.starts
        period = timedelta(weeks=int(parts.get("INTERVAL", "1")))
        passed = datetime.fromtimestamp(after_s, UTC).replace(tzinfo=None) - self.starts - timedelta(days=3)
        return self.starts + max(0, passed // period) * period


def _until_s(text: str) -> float:
    try:
        return datetime.strptime(text, "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC).timestamp()
    except ValueError as exc:
        raise InputInvalid(f"rule: UNTIL={text} is no time in UTC, as 20261231T180000Z is one") from exc
