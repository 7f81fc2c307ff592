"""Volumes and spans: when a schedule counts, as a minute-by-minute look has it, and how far a margin reaches."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone

import msgspec
import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum, LocalPlane, distance_m
from geo.schedules import Applicability, DailyPeriod, Day
from geo.spans import both, outside, spans
from geo.volumes import Circle, Outline, Volume4D, grown, metres_per_degree, widened
from geo.zones import Kind, Text, Zone

MONDAY = datetime(2026, 6, 1, tzinfo=UTC)
INTERVALS = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)
CLOCKS = st.builds(time, st.integers(0, 23), st.sampled_from([0, 15, 30]))


@given(INTERVALS, INTERVALS)
@settings(max_examples=100)
def test_spans_are_sets(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    one, other = spans(first), spans(second)
    at = np.arange(0.5, 40)

    def within(rows: np.ndarray) -> np.ndarray:
        return np.array([any(low < place < high for low, high in rows) for place in at], bool)

    assert (one[1:, 0] > one[:-1, 1]).all()
    np.testing.assert_array_equal(within(one), within(np.array(first).reshape(-1, 2)))
    np.testing.assert_array_equal(within(both(one, other)), within(one) & within(other))
    np.testing.assert_array_equal(within(outside(one, 0, 40)), ~within(one))


@given(
    st.lists(st.sampled_from(list(Day)), min_size=1, max_size=3),
    CLOCKS,
    CLOCKS,
    st.integers(-12, 14),
    st.integers(0, 7 * 24),
)
@settings(max_examples=60)
def test_a_schedule_counts_as_a_minute_by_minute_look_has_it(
    days: list[Day], start: time, end: time, offset_h: int, from_h: int
) -> None:
    zone = timezone(timedelta(hours=offset_h))
    period = DailyPeriod(days=tuple(days), start=start.replace(tzinfo=zone), end=end.replace(tzinfo=zone))
    begin_s = (MONDAY + timedelta(hours=from_h)).timestamp()
    found = period.active_s(begin_s, begin_s + 2 * 86_400)
    for minute in range(7, 2 * 24 * 60, 15):
        moment = datetime.fromtimestamp(begin_s + 60 * minute, zone)
        wanted = False
        for back in (0, 1):
            day = moment.date() - timedelta(days=back)
            opens = datetime.combine(day, start, zone)
            closes = datetime.combine(day, end, zone)
            closes += timedelta(days=1) if closes <= opens else timedelta()
            listed = Day.ANY in days or list(Day)[day.weekday()] in days
            wanted |= listed and opens <= moment < closes
        said = any(low <= moment.timestamp() < high for low, high in found)
        assert said == wanted, moment


def test_the_last_minute_of_a_day_and_long_windows_count_in_full() -> None:
    begin_s = MONDAY.timestamp()
    whole = DailyPeriod(start=time(0, 0, tzinfo=UTC), end=time(23, 59, tzinfo=UTC))
    np.testing.assert_array_equal(whole.active_s(begin_s, begin_s + 1e5), [[begin_s, begin_s + 1e5]])
    night = DailyPeriod(days=(Day.MON,), start=time(22, tzinfo=UTC), end=time(6, tzinfo=UTC))
    assert (night.active_s(begin_s, begin_s + 2e5) - begin_s).tolist() == [[22 * 3600, 30 * 3600]]
    assert len(night.active_s(begin_s, begin_s + 4000 * 86_400)) == 1  # not looked up day by day
    dates = Applicability(start=MONDAY, end=MONDAY + timedelta(hours=1), schedule=(whole,))
    assert (dates.active_s(0, 1e11) - begin_s).tolist() == [[0, 3600]]
    volume = Volume4D(footprint=Circle(lon=71.4, lat=51.1, radius_m=9.0), times=(dates,))
    assert volume.active_within(begin_s + 60, begin_s + 60)
    assert not volume.active_within(begin_s + 3700, begin_s + 4000)


def test_backward_limits_and_times_are_refused() -> None:
    footprint = Circle(lon=71.4, lat=51.1, radius_m=9.0)
    with pytest.raises(ZoneInvalid, match="100 m, is above the upper one, 50 m"):
        Volume4D(footprint=footprint, lower=Altitude(100, Datum.AGL), upper=Altitude(50, Datum.AGL)).checked()
    times = (Applicability(start=MONDAY, end=MONDAY - timedelta(days=1)),)
    with pytest.raises(ZoneInvalid, match="before it begins"):
        Volume4D(footprint=footprint, times=times).checked()


@pytest.mark.parametrize("margin_m", [0.01, 30.0, 500.0])
def test_a_grown_footprint_holds_all_within_the_margin_and_little_more(margin_m: float) -> None:
    plane = LocalPlane(lon=71.415, lat=51.115)
    for footprint in (
        Circle(lon=71.4, lat=51.1, radius_m=2000.0),
        Outline(rings=(((71.40, 51.10), (71.43, 51.10), (71.41, 51.101), (71.42, 51.13), (71.40, 51.10)),)),
    ):
        edge = np.asarray(grown(footprint, margin_m).exterior.segmentize(1e-4).coords)
        if isinstance(footprint, Circle):
            away_m = distance_m(*edge.T, 71.4, 51.1) - 2000.0
            assert away_m.min() >= margin_m - 1e-3
            assert away_m.max() <= margin_m + 0.0014 * (2000 + margin_m)
            continue
        metric = shapely.transform(
            footprint.polygon().segmentize(1e-4), lambda xy: np.column_stack(plane.to_plane(*xy.T))
        )
        away_m = shapely.distance(metric, shapely.points(np.column_stack(plane.to_plane(*edge.T))))
        assert away_m.min() >= margin_m - 1e-3
        assert away_m.max() <= 6 * margin_m if margin_m < 0.5 else 1.02 * margin_m


def test_a_shrunk_shape_keeps_the_margin_and_degrees_have_their_length() -> None:
    square = Outline(
        rings=(((71.40, 51.10), (71.43, 51.10), (71.43, 51.12), (71.40, 51.12), (71.40, 51.10)),)
    ).polygon()
    inner = widened(square, -100.0)
    west, _, _, north = inner.bounds
    assert 100.0 <= float(distance_m(71.40, 51.11, west, 51.11)) < 102.0
    assert 100.0 <= float(distance_m(71.41, 51.12, 71.41, north)) < 102.0
    assert widened(square, -5000.0).is_empty
    for lat in (0.0, 45.0, -60.0):
        east_m, north_m = metres_per_degree(lat)
        assert 1e-3 * east_m == pytest.approx(float(distance_m(9.0, lat, 9.001, lat)), rel=1e-7)
        assert 1e-3 * north_m == pytest.approx(float(distance_m(9.0, lat - 5e-4, 9.0, lat + 5e-4)), rel=1e-7)


def test_a_zone_goes_through_json_unchanged() -> None:
    volumes = (
        Volume4D(footprint=Circle(lon=71.4, lat=51.1, radius_m=9.0), lower=Altitude(0, Datum.AGL)),
        Volume4D(
            footprint=Outline(rings=(((0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 0.0)),)),
            times=(Applicability(start=MONDAY, schedule=(DailyPeriod(start=time(8, tzinfo=UTC)),)),),
        ),
    )
    zone = Zone(id="A", kind=Kind.CONDITIONAL, volumes=volumes, name=(Text("Саябақ", "kk"),))
    assert msgspec.json.decode(msgspec.json.encode(zone), type=Zone) == zone
    assert zone.title == "A 'Саябақ' (conditional)"
