"""Recurrences: due times are right by the clock on the wall, also where it is changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import msgspec
import pytest
from dateutil.rrule import rrulestr
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from missioncontrol.errors import InputInvalid
from missioncontrol.recurrences import Blackout, Recurrence

NEW_YORK = "America/New_York"
"""Its clocks went forward at 02:00 on 2026-03-08 and back at 02:00 on 2026-11-01."""
HOUR_S, DAY_S = 3600.0, 86_400.0


def utc_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def due(recurrence: Recurrence, begin: str, end: str) -> list[str]:
    found = recurrence.between(utc_s(begin), utc_s(end))
    return [f"{datetime.fromtimestamp(each, UTC):%m-%dT%H:%M}" for each in found]


def recurrence(rule: str, starts: str, **more: object) -> Recurrence:
    tree = {"rule": rule, "starts": starts, "time_zone": NEW_YORK, **more}
    found = msgspec.convert(tree, Recurrence)
    found.check()
    return found


def test_the_hour_on_the_wall_stays_when_the_clocks_change() -> None:
    daily = recurrence("FREQ=DAILY", "2026-03-06T08:30:00")
    assert due(daily, "2026-03-06", "2026-03-10") == ["03-06T13:30", "03-07T13:30", "03-08T12:30", "03-09T12:30"]


def test_a_time_left_out_is_due_an_hour_later_and_one_that_comes_twice_once() -> None:
    spring = recurrence("FREQ=DAILY", "2026-03-07T02:30:00")
    assert due(spring, "2026-03-07", "2026-03-10") == ["03-07T07:30", "03-08T07:30", "03-09T06:30"]
    autumn = recurrence("FREQ=DAILY", "2026-10-31T01:30:00")
    assert due(autumn, "2026-10-31", "2026-11-03") == ["10-31T05:30", "11-01T05:30", "11-02T06:30"]


@pytest.mark.parametrize("day", ["2026-03-08", "2026-11-01"])
def test_every_hour_stays_every_hour(day: str) -> None:
    hourly = recurrence("FREQ=HOURLY", "2026-01-01T00:15:00")
    begin = utc_s(day)
    found = hourly.between(begin, begin + DAY_S)
    assert [after - before for before, after in pairwise(found)] == [HOUR_S] * 23


def brute_force(wanted: Recurrence, begin_s: float, end_s: float) -> Iterator[float]:
    """Minute by minute over a clock on the wall, against the rule's own wall times."""
    zone = ZoneInfo(wanted.time_zone)
    last = datetime.fromtimestamp(end_s, zone).replace(tzinfo=None) + timedelta(days=2)
    walls = rrulestr(wanted.rule, dtstart=wanted.starts).between(wanted.starts, last, inc=True)
    left = set(walls)
    hourly = "HOURLY" in wanted.rule
    before, utc = None, begin_s - 2 * DAY_S
    while utc <= end_s + DAY_S:
        wall = datetime.fromtimestamp(utc, zone).replace(tzinfo=None)
        if before is not None and wall > before + timedelta(minutes=1) and not hourly:  # the clocks went forward
            skipped = [each for each in left if before < each < wall]
            yield from (utc + 60.0 * ((each - before).total_seconds() / 60.0 - 1.0) for each in skipped)
        if wall in left:
            yield utc
            if not hourly:
                left.discard(wall)
        before, utc = wall, utc + 60.0


def dark(wanted: Recurrence, utc: float) -> bool:
    wall = datetime.fromtimestamp(utc, ZoneInfo(wanted.time_zone)).replace(tzinfo=None)
    for blackout in wanted.blackouts:
        minutes = {time(minute // 60, minute % 60) for minute in range(1440)}
        if blackout.begins is not None and blackout.ends is not None:
            inside, at = set(), datetime.combine(date(2000, 1, 1), blackout.begins)
            while at.time() != blackout.ends:
                inside.add(at.time())
                at += timedelta(minutes=1)
            minutes = inside
        first, last = blackout.first_day or date.min, blackout.last_day or date.max
        if first <= wall.date() <= last and wall.time() in minutes:
            return True
    return False


RULES = st.one_of(
    st.sampled_from(["FREQ=DAILY", "FREQ=DAILY;INTERVAL=2", "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30"]),
    st.sampled_from(["FREQ=WEEKLY;BYDAY=SA,SU", "FREQ=WEEKLY;INTERVAL=2;BYDAY=SU;BYHOUR=1,2", "FREQ=DAILY;COUNT=9"]),
    st.sampled_from(["FREQ=HOURLY", "FREQ=HOURLY;INTERVAL=3", "FREQ=HOURLY;BYMINUTE=10,40", "FREQ=MONTHLY;BYDAY=2SU"]),
    st.sampled_from(["FREQ=YEARLY;BYMONTH=3;BYDAY=2SU", "FREQ=MONTHLY;BYMONTHDAY=1,8", "FREQ=HOURLY;BYHOUR=1,2"]),
)
TIMES = st.integers(0, 95).map(lambda quarter: time(quarter // 4, 15 * (quarter % 4)))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    rule=RULES,
    zone=st.sampled_from([(NEW_YORK, "2026-03-08"), (NEW_YORK, "2026-11-01"), ("Australia/Lord_Howe", "2026-04-05")]),
    days_before=st.integers(0, 40),
    at=TIMES,
    night=st.tuples(TIMES, TIMES).filter(lambda pair: pair[0] != pair[1]),
    dark_day=st.integers(-1, 1),
)
def test_due_times_are_those_of_brute_force(
    rule: str, zone: tuple[str, str], days_before: int, at: time, night: tuple[time, time], dark_day: int
) -> None:
    change = date.fromisoformat(zone[1])
    day = change + timedelta(days=dark_day)
    wanted = Recurrence(
        rule=rule,
        starts=datetime.combine(change - timedelta(days=days_before), at),
        time_zone=zone[0],
        blackouts=(Blackout(first_day=day, last_day=day), Blackout(begins=night[0], ends=night[1])),
    )
    begin_s, end_s = utc_s(zone[1]) - 1.2 * DAY_S, utc_s(zone[1]) + 2.1 * DAY_S
    expected = {each for each in brute_force(wanted, begin_s, end_s) if not dark(wanted, each)}
    assert wanted.between(begin_s, end_s) == tuple(sorted(each for each in expected if begin_s < each <= end_s))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("FREQ=MINUTELY", "FREQ"),
        ("FREQ=DAILY;INTERVAL=0", "INTERVAL"),
        ("FREQ=DAILY;COUNT=x", "COUNT"),
        ("FREQ=DAILY;BYHOUR=25", "hour"),
        ("FREQ=DAILY;UNTIL=20260401", "UNTIL"),
        ("FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30", "never due"),
        ("FREQ=WEEKLY;BYEASTER=1", "BYEASTER"),
        ("every day", "no part"),
        ("FREQ=DAILY;FREQ=DAILY", "twice"),
        ("FREQ=DAILY\nRRULE:FREQ=DAILY", "FREQ"),
    ],
)
def test_rules_that_cannot_be_followed_are_refused(rule: str, text: str) -> None:
    with pytest.raises(InputInvalid, match=text):
        recurrence(rule, "2026-03-06T08:30:00")


def test_expiry_ends_a_recurrence_and_an_unknown_zone_is_none() -> None:
    daily = recurrence("FREQ=DAILY", "2026-03-06T08:30:00", expires="2026-03-08T08:30:00")
    assert due(daily, "2026-03-01", "2027-03-10") == ["03-06T13:30", "03-07T13:30"]
    for name in ("Mars/Olympus", "../etc/passwd", "America"):
        with pytest.raises(InputInvalid, match="time_zone"):
            Recurrence(rule="FREQ=DAILY", starts=datetime(2026, 3, 6, 8), time_zone=name).check()
    with pytest.raises(InputInvalid, match="blackouts"):
        recurrence("FREQ=DAILY", "2026-03-06T08:30:00", blackouts=[{"reason": "?"}])
