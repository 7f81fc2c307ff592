"""A place is watched without a gap by as many as it takes, and gaps are found as they were flown."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid
from geo.positions import LocalPlane
from geo.relays import Gap, Relay, Watcher, relay, watch_gaps, watchers_needed
from geo.tracks import Track

PLANE = LocalPlane(lon=71.43, lat=51.13)
NOON_S = 1_800_000_000.0


def alike(count: int, *, endurance_s: float, out_s: float, recharge_s: float) -> list[Watcher]:
    return [
        Watcher(name=str(number), endurance_s=endurance_s, out_s=out_s, back_s=out_s, recharge_s=recharge_s)
        for number in range(count)
    ]


def judge(watchers: list[Watcher], found: Relay, begins_s: float, ends_s: float) -> None:
    """Nobody flies too long or leaves before it is ready, and the stated gaps are just when nobody is there."""
    for watcher in watchers:
        mine = [turn for turn in found.turns if turn.name == watcher.name]
        for turn in mine:
            assert turn.leaves_s >= watcher.ready_s - 1e-6
            assert turn.home_s - turn.leaves_s <= watcher.endurance_s + 1e-6
            assert turn.arrives_s - turn.leaves_s == pytest.approx(watcher.out_s)
            assert turn.home_s - turn.relieved_s == pytest.approx(watcher.back_s)
        for before, after in pairwise(mine):
            assert after.leaves_s >= before.home_s + watcher.recharge_s - 1e-6
    moments = np.linspace(begins_s, ends_s, 997)[1:-1]
    watched = np.zeros(len(moments), bool)
    for turn in found.turns:
        watched |= (moments >= turn.arrives_s - 1e-6) & (moments <= turn.relieved_s + 1e-6)
    empty = np.zeros(len(moments), bool)
    for gap in found.gaps:
        empty |= (moments > gap.begins_s + 1e-6) & (moments < gap.ends_s - 1e-6)
    assert np.array_equal(watched, ~empty)


@given(
    endurance_s=st.floats(900, 3600), out_s=st.floats(10, 300), recharge_s=st.floats(0, 5000), extra=st.integers(0, 2)
)
@settings(max_examples=40, deadline=None)
def test_as_many_as_are_needed_leave_no_gap_and_one_fewer_does_not_keep_the_overlap(
    endurance_s: float, out_s: float, recharge_s: float, extra: int
) -> None:
    watchers = alike(40, endurance_s=endurance_s, out_s=out_s, recharge_s=recharge_s)
    needed = watchers_needed(watchers[0], overlap_s=60.0)
    enough = watchers[: needed + extra]
    day_s = out_s + 86_400.0
    found = relay(enough, begins_s=out_s, ends_s=day_s, overlap_s=60.0)
    judge(enough, found, out_s, day_s)
    assert found.needed == needed
    assert found.gaps == ()
    assert found.overlap_s >= 60.0 - 1e-6
    if needed > 1:
        fewer = relay(watchers[: needed - 1], begins_s=out_s, ends_s=day_s, overlap_s=60.0)
        judge(watchers[: needed - 1], fewer, out_s, day_s)
        assert fewer.overlap_s < 60.0


def test_the_gap_of_too_few() -> None:
    """30 min of which 20 there, then 40 min on the charger: one of 70 min; two watch 40 of them."""
    found = relay(
        alike(2, endurance_s=1800.0, out_s=300.0, recharge_s=2400.0), begins_s=300.0, ends_s=8700.0, overlap_s=0.0
    )
    assert found.gaps == (Gap(2700.0, 4500.0), Gap(6900.0, 8700.0))
    assert found.gap_s == 3600.0
    assert found.needed == 4


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_unlike_watchers_take_turns(seed: int) -> None:
    rng = np.random.default_rng(seed)
    watchers = [
        Watcher(
            name=str(number),
            endurance_s=float(rng.uniform(1000, 3000)),
            out_s=float(rng.uniform(20, 200)),
            back_s=float(rng.uniform(20, 200)),
            recharge_s=float(rng.uniform(300, 3000)),
            ready_s=float(rng.uniform(0, 2000)),
        )
        for number in range(rng.integers(1, 5))
    ]
    found = relay(watchers, begins_s=500.0, ends_s=30_000.0, overlap_s=45.0)
    judge(watchers, found, 500.0, 30_000.0)


def test_too_far_to_stay_is_refused() -> None:
    far = alike(1, endurance_s=1000.0, out_s=480.0, recharge_s=0.0)
    with pytest.raises(AreaInvalid, match="0 can stay at the place for 40 s of its 1000 s, and 60 s of that overlap"):
        relay(far, begins_s=0.0, ends_s=3600.0, overlap_s=60.0)
    with pytest.raises(AreaInvalid, match="nobody"):
        relay([], begins_s=0.0, ends_s=3600.0, overlap_s=60.0)


def flight(*rows: tuple[float, float, float]) -> Track:
    """From rows of s after noon, x, y."""
    columns = np.array(rows, float).T
    lon, lat = PLANE.to_lonlat(columns[1], columns[2])
    return Track(columns[0] + NOON_S, lon, lat, np.full(len(rows), 400.0))


def measured(*tracks: Track, ends_s: float = 600.0) -> list[tuple[float, float]]:
    found = watch_gaps(
        tracks, lon=PLANE.lon, lat=PLANE.lat, sees_m=100.0, begins_utc_s=NOON_S, ends_utc_s=NOON_S + ends_s
    )
    return [(gap.begins_s - NOON_S, gap.ends_s - NOON_S) for gap in found]


def test_gaps_as_they_were_flown() -> None:
    first = flight((0, -500, 0), (50, 0, 0), (300, 0, 0), (350, 500, 0))  # within 100 m from 40 to 310 s
    second = flight((200, 0, 500), (250, 0, 60), (500, 0, 60), (520, 0, 500))
    assert measured() == [(0.0, 600.0)]
    assert measured(first) == [pytest.approx((0, 40), abs=0.01), pytest.approx((310, 600), abs=0.01)]
    left_s = 500 + 20 * 40 / 440
    assert measured(first, second) == [pytest.approx((0, 40), abs=0.01), pytest.approx((left_s, 600), abs=0.01)]
    assert measured(flight((-100, 0, 0), (700, 0, 0))) == []
    assert measured(flight((0, 0, 101), (600, 0, 101))) == [(0.0, 600.0)]
    assert measured(flight((0, -300, 0), (600, 300, 0))) == [
        pytest.approx((0, 200), abs=0.01),
        pytest.approx((400, 600), abs=0.01),
    ]


@given(seed=st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_gaps_agree_with_samples(seed: int) -> None:
    rng = np.random.default_rng(seed)
    tracks = [
        flight(*zip(np.sort(rng.uniform(-100, 700, 9)), *rng.uniform(-250, 250, (2, 9)), strict=True)) for _ in range(2)
    ]
    gaps = measured(*tracks)
    moments = np.linspace(0, 600, 1203)[1:-1]
    seen = np.zeros(len(moments), bool)
    margin = np.zeros(len(moments), bool)
    for track in tracks:
        east, north = PLANE.to_plane(*track.at(moments + NOON_S)[:2])
        inside = (moments + NOON_S >= track.utc_s[0]) & (moments + NOON_S <= track.utc_s[-1])
        seen |= (np.hypot(east, north) <= 100) & inside
        margin |= np.abs(np.hypot(east, north) - 100) < 0.05
    empty = np.zeros(len(moments), bool)
    for begins_s, ends_s in gaps:
        empty |= (moments > begins_s) & (moments < ends_s)
    assert np.array_equal(seen[~margin], ~empty[~margin])
