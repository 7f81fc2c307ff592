"""Schedules that hang on the sun, against a minute by minute look with another formula for where it stands."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from geo.airspace import Airspace
from geo.schedules import Applicability, DailyPeriod, Day
from geo.sun import EVENTS
from geo.tracks import Track
from geo.volumes import Circle, Volume4D
from geo.zones import Kind, Zone

Array = NDArray[np.float64]
ALMATY = (76.945, 43.238)
ASTANA_CLOCK = timezone(timedelta(hours=5))


def height_deg(utc_s: Array, lon: float, lat: float) -> Array:
    """Of the sun: low precision formulas of the Astronomical Almanac, by right ascension and sidereal time."""
    days = utc_s / 86_400.0 - 10_957.5
    anomaly = np.radians(357.528 + 0.9856003 * days)
    longitude = np.radians(280.460 + 0.9856474 * days + 1.915 * np.sin(anomaly) + 0.020 * np.sin(2 * anomaly))
    tilt = np.radians(23.439 - 4e-7 * days)
    ascension = np.arctan2(np.cos(tilt) * np.sin(longitude), np.cos(longitude))
    declination = np.arcsin(np.sin(tilt) * np.sin(longitude))
    sidereal = np.radians(280.46061837 + 360.98564736629 * days + lon)
    phi = np.radians(lat)
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(sidereal - ascension)
    return np.asarray(np.degrees(np.arcsin(sine)))


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([("SR", "SS"), ("BMCT", "EECT"), ("SS", "SR"), ("EECT", "BMCT"), ("BMCT", "SS"), ("SR", "EECT")]),
    st.floats(-180, 180),
    st.floats(-80, 80),
    st.integers(0, 20 * 365 * 24),
)
def test_a_period_between_events_counts_by_where_the_sun_stands(
    events: tuple[str, str], lon: float, lat: float, hour: int
) -> None:
    """Also where there is no night, or no day: these are two days anywhere, at any season."""
    begin_s = datetime(2015, 1, 1, tzinfo=UTC).timestamp() + 3600.0 * hour
    utc_s = begin_s + np.arange(0, 2 * 86_400, 60.0)
    period = DailyPeriod(start_event=events[0], end_event=events[1])
    found = period.active_s(begin_s, begin_s + 2 * 86_400, ((lon, lat),))
    said = ((utc_s[:, None] >= found[:, 0]) & (utc_s[:, None] < found[:, 1])).any(axis=1)
    height = height_deg(utc_s, lon, lat)
    rises = height_deg(utc_s + 1.0, lon, lat) > height
    day = events[0] in ("BMCT", "SR")
    level = np.where(rises == day, EVENTS[events[0]], EVENTS[events[1]])
    wanted = (height >= level) == day
    sure = np.abs(height - level) > 0.06
    if events in (("BMCT", "SS"), ("SR", "EECT")):  # about its highest and lowest the sun has no side
        sure &= np.abs(np.abs(height_deg(utc_s + 900.0, lon, lat) - height_deg(utc_s - 900.0, lon, lat))) > 0.3
        beyond = (height.min() > -6.0) | (height.max() < -0.8333)
        sure &= not beyond
    wrong = np.flatnonzero((said != wanted) & sure)
    assert len(wrong) == 0, (datetime.fromtimestamp(utc_s[wrong[0]], UTC), height[wrong[0]])


def clocks(found: Array) -> list[tuple[str, str]]:
    """Spans as days and clocks of Astana, in whole minutes."""
    return [
        tuple(f"{datetime.fromtimestamp(round(edge / 60) * 60, ASTANA_CLOCK):%a %H:%M}" for edge in span)  # type: ignore[misc]
        for span in found.tolist()
    ]


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        (DailyPeriod(days=(Day.MON,), start_event="SR", end_event="SS"), [("Mon 04:12", "Mon 19:34")]),
        (DailyPeriod(days=(Day.MON,), start_event="SS", end_event="SR"), [("Mon 19:34", "Tue 04:12")]),
        (
            DailyPeriod(days=(Day.MON,), start=time(8, tzinfo=ASTANA_CLOCK), end_event="SS"),
            [("Mon 08:00", "Mon 19:34")],
        ),
        (
            DailyPeriod(days=(Day.MON,), start_event="EECT", end=time(23, 59, tzinfo=ASTANA_CLOCK)),
            [("Mon 20:09", "Tue 00:00")],
        ),
        (
            DailyPeriod(days=(Day.MON,), start=time(22, tzinfo=ASTANA_CLOCK), end_event="BMCT"),
            [("Mon 22:00", "Tue 03:36")],
        ),
        (DailyPeriod(days=(Day.MON,), start_event="SS"), [("Mon 19:34", "Mon 23:53")]),
        (DailyPeriod(days=(Day.MON,), end_event="SR"), [("Sun 23:53", "Mon 04:12")]),
    ],
)
def test_days_are_those_of_the_place_and_clocks_mix_with_the_sun(
    period: DailyPeriod, expected: list[tuple[str, str]]
) -> None:
    """Almaty, a Monday of June, whose sunrise is still Sunday by UTC; the clocks are those of the formula above."""
    begin_s = datetime(2026, 6, 13, tzinfo=UTC).timestamp()
    found = clocks(period.active_s(begin_s, begin_s + 5 * 86_400, (ALMATY,)))

    def minutes(said: str) -> int:
        return int(said[4:6]) * 60 + int(said[7:])

    assert [[edge[:3] for edge in span] for span in found] == [[edge[:3] for edge in span] for span in expected]
    for span, wanted in zip(found, expected, strict=True):
        for edge, clock in zip(span, wanted, strict=True):
            assert minutes(edge) == pytest.approx(minutes(clock), abs=1)


def test_a_night_zone_is_closed_by_night_only_and_an_unknown_event_closes_always() -> None:
    circle = Circle(lon=ALMATY[0], lat=ALMATY[1], radius_m=500.0)

    def breaches(start: str, end: str, hour: int) -> int:
        times = (Applicability(schedule=(DailyPeriod(start_event=start, end_event=end),)),)
        night = Zone(id="N", kind=Kind.PROHIBITED, volumes=(Volume4D(footprint=circle, times=times),))
        at_s = datetime(2026, 6, 15, hour, tzinfo=ASTANA_CLOCK).timestamp()
        over = Track(*np.array([[at_s, at_s + 60.0], [circle.lon] * 2, [circle.lat] * 2, [900.0] * 2]))
        return len(Airspace([night]).breaches(over))

    assert breaches("EECT", "BMCT", 12) == 0
    assert breaches("EECT", "BMCT", 0) == 1
    assert breaches("SR", "SS", 12) == 1
    assert breaches("SR", "SS", 0) == 0
    assert breaches("NOON", "SS", 0) == 1


def test_a_wide_zone_counts_from_where_the_sun_rises_first_to_where_it_sets_last() -> None:
    times = (Applicability(schedule=(DailyPeriod(start_event="SR", end_event="SS"),)),)
    begin_s = datetime(2026, 6, 14, 12, tzinfo=ASTANA_CLOCK).timestamp()

    def last(lon: float, radius_m: float) -> Array:
        volume = Volume4D(footprint=Circle(lon=lon, lat=43.0, radius_m=radius_m), times=times)
        return np.asarray(volume.active_s(begin_s, begin_s + 2 * 86_400)[1])

    wide, west, east = last(77.0, 80_000.0), last(76.2, 1.0), last(77.8, 1.0)
    assert wide[0] < east[0] < west[0]
    assert wide[1] > west[1] > east[1]
    assert wide[1] - wide[0] - (east[1] - east[0]) < 900.0
