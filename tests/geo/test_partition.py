"""A job shared out: all of it flown once, within endurance, the same every time, and soon done."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.coverage import cover
from geo.detours import Detours
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.partition import Flyer, Partition, partition

WITH_HOLE = shapely.Polygon(
    [(0, 0), (900, 0), (900, 700), (0, 700)], [[(250, 200), (450, 200), (450, 420), (250, 420)]]
)


def flown_s(trip: Sequence[Leg], flyer: Flyer) -> float:
    """A trip's time, from the points of its legs alone."""
    total_s, at = 0.0, flyer.start
    for number, leg in enumerate(trip):
        corners = [at, *leg.approach, leg.start]
        way_m = sum(float(np.hypot(b[0] - a[0], b[1] - a[1])) for a, b in pairwise(corners))
        photographed = number > 0 and leg.seen_approach
        total_s += way_m / (flyer.speed_m_s if photographed else flyer.way_m_s or flyer.speed_m_s)
        total_s += leg.length_m / flyer.speed_m_s + leg.hold_s
        at = leg.end
    return total_s + float(np.hypot(at[0] - flyer.start[0], at[1] - flyer.start[1])) / (
        flyer.way_m_s or flyer.speed_m_s
    )


def judge(job: Sequence[Leg], flyers: Sequence[Flyer], found: Partition) -> None:
    """Times as stated, endurance held, not below the bound, and every line flown from end to end exactly once."""
    durations_s = []
    for flyer, share in zip(flyers, found.shares, strict=True):
        times_s = [flown_s(trip, flyer) for trip in share.trips]
        assert share.trips_s == pytest.approx(times_s, rel=1e-9, abs=1e-6)
        assert all(time_s <= flyer.endurance_s + 1e-6 for time_s in times_s)
        durations_s.append(sum(times_s) + flyer.swap_s * max(0, len(times_s) - 1))
        assert share.duration_s == pytest.approx(durations_s[-1])
    assert found.makespan_s == pytest.approx(max(durations_s))
    assert found.bound_s <= found.makespan_s + 1e-6
    pieces = [(number, leg) for number, share in enumerate(found.shares) for trip in share.trips for leg in trip]
    for number, line in enumerate(job):
        along = np.subtract(line.end, line.start) / line.length_m
        spans = []
        for who, leg in pieces:
            ends = np.array([leg.start, leg.end]) - line.start
            if np.abs(ends @ [-along[1], along[0]]).max() < 1e-6 and leg.length_m > 0:
                at = np.sort(ends @ along)
                if at[0] > -1e-6 and at[1] < line.length_m + 1e-6:
                    assert number not in flyers[who].excluded
                    spans.append(at)
        spans.sort(key=lambda span: float(span[0]))
        joints = [0.0, *(float(end) for span in spans for end in span), line.length_m]
        assert joints[::2] == pytest.approx(joints[1::2], abs=1e-6)


@given(seed=st.integers(0, 10_000), count=st.integers(1, 7), limited=st.booleans())
@settings(max_examples=15, deadline=None)
def test_every_line_is_flown_once_within_endurance(seed: int, count: int, limited: bool) -> None:
    rng = np.random.default_rng(seed)
    lines = rng.uniform(0, 1000, (int(rng.integers(1, 15)), 4))
    job = [Leg((row[0], row[1]), (row[2], row[3]), hold_s=0.0) for row in lines.tolist()]
    flyers = [
        Flyer(
            (float(x), float(y)),
            speed_m_s=float(speed),
            way_m_s=float(speed * 1.5),
            endurance_s=float(rng.uniform(600, 900)) if limited else float("inf"),
            swap_s=60.0 * limited,
            excluded=frozenset({0}) if who else frozenset(),
        )
        for who, (x, y, speed) in enumerate(rng.uniform((0, 0, 6), (1000, 1000, 12), (count, 3)))
    ]
    found = partition(job, flyers, effort=0.02)
    judge(job, flyers, found)
    assert partition(job, flyers, effort=0.02) == found


def seen_ways(legs: Sequence[Leg]) -> shapely.Geometry:
    """Where pictures are taken."""
    ways = []
    for number, leg in enumerate(legs):
        ways.append(shapely.LineString([leg.start, leg.end]))
        if number and leg.seen_approach:
            ways.append(shapely.LineString([legs[number - 1].end, *leg.approach, leg.start]))
    return shapely.union_all(ways)


@pytest.mark.parametrize("count", [2, 6])
def test_nothing_that_a_survey_saw_is_lost(count: int) -> None:
    job = cover(WITH_HOLE, 30.0).legs
    rng = np.random.default_rng(count)
    flyers = [Flyer((float(x), float(y)), endurance_s=500.0) for x, y in rng.uniform(-50, 900, (count, 2))]
    found = partition(job, flyers, effort=0.1)
    trips = [trip for share in found.shares for trip in share.trips]
    seen = shapely.union_all([seen_ways(trip) for trip in trips])
    assert seen_ways(job).difference(seen.buffer(1e-3)).length == 0
    assert seen.length == pytest.approx(seen_ways(job).length, rel=1e-3)
    for flyer, share in zip(flyers, found.shares, strict=True):
        assert share.trips_s == pytest.approx([flown_s(trip, flyer) for trip in share.trips])
        assert max(share.trips_s) <= flyer.endurance_s
    assert found.bound_s < found.makespan_s < 1.5 * found.bound_s


def test_ways_go_round_a_hole() -> None:
    job = [Leg((100.0, 310.0), (240.0, 310.0)), Leg((460.0, 310.0), (600.0, 310.0))]
    found = partition(job, [Flyer((50.0, 310.0))], ways=Detours(WITH_HOLE, margin_m=1.0))
    (trip,) = found.shares[0].trips
    way = shapely.LineString([trip[0].end, *trip[1].approach, trip[1].start])
    assert way.length > 220
    assert way.intersection(shapely.box(252, 202, 448, 418)).length == 0


def test_cuts_slide_until_times_are_even() -> None:
    """Two long lines and two flyers of odd speeds: pieces alone come out far less even."""
    job = [Leg((0.0, 0.0), (3000.0, 0.0)), Leg((0.0, 40.0), (3000.0, 40.0))]
    flyers = [Flyer((-20.0, 20.0), speed_m_s=7.0), Flyer((3020.0, 20.0), speed_m_s=11.0)]
    found = partition(job, flyers, effort=0.02)
    judge(job, flyers, found)
    first, second = (share.duration_s for share in found.shares)
    assert first == pytest.approx(second, rel=2e-3)
    short = [Flyer(flyer.start, flyer.speed_m_s, endurance_s=found.makespan_s + 0.5) for flyer in flyers]
    judge(job, short, partition(job, short, effort=0.02))


def test_twice_as_fast_does_twice_as_much() -> None:
    job = [Leg((0.0, y), (500.0, y)) for y in range(0, 600, 30)]
    found = partition(job, [Flyer((0.0, 300.0), speed_m_s=5.0), Flyer((0.0, 300.0), speed_m_s=10.0)], effort=0.1)
    slow_m, fast_m = (sum(leg.length_m for trip in share.trips for leg in trip) for share in found.shares)
    assert slow_m + fast_m == pytest.approx(10_000)
    assert fast_m == pytest.approx(2 * slow_m, rel=0.1)


def test_places_to_stop_at_are_visits() -> None:
    rng = np.random.default_rng(3)
    job = [Leg((x, y), (x, y), hold_s=30.0) for x, y in rng.uniform(0, 1000, (12, 2)).tolist()]
    flyers = [Flyer((0.0, 0.0)), Flyer((1000.0, 1000.0))]
    found = partition(job, flyers, effort=0.1)
    legs = [leg for share in found.shares for trip in share.trips for leg in trip]
    assert sorted(leg.end for leg in legs) == sorted(leg.end for leg in job)
    assert all(leg.hold_s == 30.0 for leg in legs)


def test_what_nobody_can_do_is_refused_with_its_place() -> None:
    job = [Leg((0.0, 0.0), (100.0, 0.0)), Leg((9000.0, 0.0), (9100.0, 0.0))]
    with pytest.raises(AreaInvalid, match=r"leg 1: nobody can reach x 9\d+ m, y 0 m and return: 18\d\d s needed"):
        partition(job, [Flyer((0.0, 0.0), endurance_s=600.0)])
    with pytest.raises(AreaInvalid, match="leg 0: everyone is excluded"):
        partition(job, [Flyer((0.0, 0.0), excluded=frozenset({0}))])
    with pytest.raises(AreaInvalid, match="nobody to share"):
        partition(job, [])
    with pytest.raises(AreaInvalid, match="2001 legs for 1: more than 2000 pieces"):
        partition(job[:1] * 2001, [Flyer((0.0, 0.0))])


def test_only_who_lasts_long_enough_goes_far() -> None:
    job = [Leg((x, 0.0), (x + 200.0, 0.0)) for x in range(0, 4000, 250)]
    flyers = [Flyer((0.0, 0.0), endurance_s=120.0)] * 6 + [Flyer((0.0, 0.0), endurance_s=900.0)]
    found = partition(job, flyers, effort=0.05)
    judge(job, flyers, found)
    assert all(leg.end[0] <= 600 for share in found.shares[:6] for trip in share.trips for leg in trip)


def test_nothing_to_do_takes_no_time() -> None:
    assert partition([], [Flyer((0.0, 0.0))]).makespan_s == 0.0
