"""Ways that come too close are found, with who, where, when and how close; and kept apart."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.conflicts import Airspace, Clearance, conflicts, resolve, separate
from geo.positions import LocalPlane
from geo.tracks import Track

PLANE = LocalPlane(lon=71.43, lat=51.13)
NOON_S = 1_800_000_000.0
APART = {"horizontal_m": 50.0, "vertical_m": 20.0}


def way(*rows: tuple[float, float, float, float]) -> Track:
    """From rows of s after noon, x, y, m AMSL."""
    columns = np.array(rows, float).T
    lon, lat = PLANE.to_lonlat(columns[1], columns[2])
    return Track(columns[0] + NOON_S, lon, lat, columns[3])


def wandering(rng: np.random.Generator, *, begin_s: float = 0.0) -> Track:
    """Some rows at random, one of which stands still and one of which is a leap."""
    count = int(rng.integers(2, 7))
    times = begin_s + np.cumsum(rng.uniform(0, 60, count)) * rng.integers(0, 2, count).clip(0 if count > 3 else 1, 1)
    places = rng.uniform((-400, -400, 350), (400, 400, 420), (count, 3))
    return way(*[(float(t), *map(float, row)) for t, row in zip(np.maximum.accumulate(times), places, strict=True)])


def sampled_m(a: Track, b: Track, margin_s: float, vertical_m: float) -> float:
    """Smallest horizontal distance while vertically close, by fine samples of both."""
    places = []
    for track in (a, b):
        share = np.linspace(0, len(track.utc_s) - 1, 60 * (len(track.utc_s) - 1) + 1)
        rows = np.arange(len(track.utc_s))
        x, y = PLANE.to_plane(track.lon, track.lat)
        places.append([np.interp(share, rows, column) for column in (track.utc_s - NOON_S, x, y, track.amsl_m)])
    (ta, xa, ya, za), (tb, xb, yb, zb) = places
    together = (np.abs(ta[:, None] - tb) <= margin_s) & (np.abs(za[:, None] - zb) < vertical_m)
    apart = np.hypot(xa[:, None] - xb, ya[:, None] - yb)
    return float(np.min(apart, where=together, initial=np.inf))


def test_crossing_at_one_height() -> None:
    ours = way((0, -1000, 0, 400), (200, 1000, 0, 400))
    other = way((0, 0, -960, 410), (200, 0, 1040, 410))
    (found,) = conflicts(ours, Airspace.of({"kite": other}, PLANE), **APART)
    assert found.other == "kite"
    assert found.horizontal_m == pytest.approx(40 / np.sqrt(2), abs=0.01)
    assert found.vertical_m == pytest.approx(10)


def test_a_head_on_meeting_to_the_second() -> None:
    ours = way((0, -1000, 0, 400), (200, 1000, 0, 400))
    other = way((0, 1000, 30, 415), (200, -1000, 30, 415))
    (found,) = conflicts(
        ours, Airspace.of({"kite": other, "far": way((0, 0, 5000, 400), (9, 0, 5000, 400))}, PLANE), **APART
    )
    assert (found.other, found.vertical_m) == ("kite", pytest.approx(15))
    assert found.horizontal_m == pytest.approx(30, abs=0.01)
    assert found.utc_s == pytest.approx(NOON_S + 100, abs=0.01)
    assert found.begins_utc_s == pytest.approx(NOON_S + 98, abs=0.01)  # 40 m before the middle, closing at 20 m/s
    assert found.ends_utc_s == pytest.approx(NOON_S + 102, abs=0.01)
    east, north = PLANE.to_plane(found.lon, found.lat)
    assert (float(east), float(north)) == pytest.approx((0, 0), abs=0.2)
    higher = Airspace.of({"kite": way((0, 1000, 30, 421), (200, -1000, 30, 421))}, PLANE)
    assert conflicts(ours, higher, **APART) == ()


def test_an_uncertain_time_widens_what_is_too_close() -> None:
    ours = way((0, -1000, 0, 400), (200, 1000, 0, 400))
    behind = Airspace.of({"kite": way((12, -1000, 0, 400), (212, 1000, 0, 400))}, PLANE)  # 120 m behind
    assert conflicts(ours, behind, **APART) == ()
    assert conflicts(ours, behind, time_margin_s=6.9, **APART) == ()
    (found,) = conflicts(ours, behind, time_margin_s=7.1, **APART)
    assert found.horizontal_m == pytest.approx(49, abs=0.01)
    assert found.other_utc_s - found.utc_s == pytest.approx(7.1)


def test_one_conflict_while_it_lasts_and_two_when_it_returns() -> None:
    ours = way((0, 0, 0, 400), (100, 0, 0, 400), (200, 0, 0, 400))
    there_and_back = way((0, 500, 0, 400), (50, 0, 0, 400), (100, 500, 0, 400), (150, 0, 0, 400), (200, 500, 0, 400))
    found = conflicts(ours, Airspace.of({"kite": there_and_back}, PLANE), **APART)
    spans = [(conflict.begins_utc_s - NOON_S, conflict.ends_utc_s - NOON_S) for conflict in found]
    assert spans == [pytest.approx((45, 55), abs=0.01), pytest.approx((145, 155), abs=0.01)]
    escort = Airspace.of({"kite": way((0, 10, 0, 400), (70, 10, 0, 400), (200, 10, 0, 400))}, PLANE)
    (found_one,) = conflicts(ours, escort, **APART)
    assert (found_one.begins_utc_s, found_one.ends_utc_s) == pytest.approx((NOON_S, NOON_S + 200))


@given(seed=st.integers(0, 100_000), margin_s=st.sampled_from([0.0, 3.0, 20.0]))
@settings(max_examples=60, deadline=None)
def test_as_close_as_samples_say(seed: int, margin_s: float) -> None:
    rng = np.random.default_rng(seed)
    ours, other = wandering(rng), wandering(rng)
    found = conflicts(ours, Airspace.of({"kite": other}, PLANE), time_margin_s=margin_s, **APART)
    closest_m = min((conflict.horizontal_m for conflict in found), default=np.inf)
    sampled = sampled_m(ours, other, margin_s, APART["vertical_m"])
    if sampled < APART["horizontal_m"]:
        assert closest_m <= sampled + 0.01
    for conflict in found:
        assert abs(conflict.utc_s - conflict.other_utc_s) <= margin_s + 1e-6
        assert conflict.vertical_m < APART["vertical_m"]
        x, y = PLANE.to_plane(conflict.lon, conflict.lat)
        u, v = PLANE.to_plane(*other.at(conflict.other_utc_s)[:2])
        if np.all(np.diff(ours.utc_s) > 0) and np.all(np.diff(other.utc_s) > 0):
            assert np.hypot(x - u, y - v) == pytest.approx(conflict.horizontal_m, abs=0.05)
            assert abs(conflict.amsl_m - other.at(conflict.other_utc_s)[2]) == pytest.approx(
                conflict.vertical_m, abs=0.05
            )


@given(seed=st.integers(0, 100_000))
@settings(max_examples=30, deadline=None)
def test_the_smallest_delay_clears_and_a_smaller_one_does_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    others = Airspace.of({str(number): wandering(rng, begin_s=20.0 * number) for number in range(4)}, PLANE)
    ours = wandering(rng)
    found = resolve(ours, others, time_margin_s=2.0, **APART)
    assert found.climb_m == 0.0
    assert conflicts(found.applied(ours), others, time_margin_s=2.0, **APART) == ()
    for share in (0.0, 0.5, 0.9, 1.0) if found.delay_s > 0 else ():
        sooner = Clearance(delay_s=share * (found.delay_s - 0.02), climb_m=0.0)
        assert conflicts(sooner.applied(ours), others, time_margin_s=2.0, **APART)


def test_a_free_layer_is_taken_before_a_delay() -> None:
    ours = way((0, -1000, 0, 380), (10, -1000, 0, 400), (190, 1000, 0, 400), (200, 1000, 0, 380))
    others = Airspace.of({"kite": way((0, 1000, 30, 415), (200, -1000, 30, 415))}, PLANE)
    assert resolve(ours, others, layers_m=(0.0, 30.0, -10.0), **APART) == Clearance(delay_s=0.0, climb_m=-10.0)
    assert resolve(ours, others, layers_m=(0.0, 30.0), **APART).climb_m == 0.0  # 430 m is too near to 415 m
    assert resolve(ours, others, **APART).delay_s > 0


@given(seed=st.integers(0, 100_000), layers=st.booleans())
@settings(max_examples=10, deadline=None)
def test_separated_ways_have_no_conflict(seed: int, layers: bool) -> None:
    rng = np.random.default_rng(seed)
    tracks = [wandering(rng) for _ in range(6)]
    layers_m = (0.0, 25.0, 50.0) if layers else (0.0,)
    clearances = separate(tracks, PLANE, time_margin_s=5.0, layers_m=layers_m, **APART)
    assert clearances[0] == Clearance(delay_s=0.0, climb_m=0.0)
    flown = [clearance.applied(track) for clearance, track in zip(clearances, tracks, strict=True)]
    for number, track in enumerate(flown):
        others = Airspace.of({str(other): flown[other] for other in range(6) if other != number}, PLANE)
        assert conflicts(track, others, time_margin_s=4.9, **APART) == ()


def test_an_empty_sky_is_free() -> None:
    ours = way((0, 0, 0, 400), (10, 100, 0, 400))
    assert conflicts(ours, Airspace.of({}, PLANE), **APART) == ()
    assert resolve(ours, Airspace.of({}, PLANE), **APART) == Clearance(delay_s=0.0, climb_m=0.0)
