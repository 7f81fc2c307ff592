"""Tours over places are as short as they can be, begin at the start and miss none."""

from __future__ import annotations

import time
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid
from geo.visits import visit_order, visits

NAN = float("nan")


def round_m(points: np.ndarray, start: tuple[float, float], order: np.ndarray) -> float:
    path = np.vstack([start, points[order], start])
    return float(np.hypot(*np.diff(path, axis=0).T).sum())


@settings(max_examples=20, deadline=None)
@given(seed=st.integers(0, 10_000), count=st.integers(1, 7))
def test_no_order_of_a_few_places_is_shorter(seed: int, count: int) -> None:
    points = np.random.default_rng(seed).uniform(-1000, 1000, (count, 2))
    start = (1500.0, 200.0)
    order = visit_order(points, start)
    assert sorted(order.tolist()) == list(range(count))
    shortest = min(round_m(points, start, np.array(trial)) for trial in permutations(range(count)))
    assert round_m(points, start, order) == pytest.approx(shortest)


def test_eight_places_as_short_as_by_brute_force() -> None:
    points = np.random.default_rng(8).uniform(0, 5000, (8, 2))
    shortest = min(round_m(points, (0.0, 0.0), np.array(trial)) for trial in permutations(range(8)))
    assert round_m(points, (0.0, 0.0), visit_order(points, (0.0, 0.0))) == pytest.approx(shortest)


def test_a_ring_of_places_is_flown_round() -> None:
    angles = np.random.default_rng(3).permutation(np.linspace(0, 2 * np.pi, 60, endpoint=False))
    points = 1000 * np.column_stack([np.sin(angles), np.cos(angles)])
    began_s = time.process_time()
    order = visit_order(points, (0.0, -1000.0))
    assert time.process_time() - began_s < 2.0
    assert round_m(points, (0.0, -1000.0), order) == pytest.approx(60 * 2000 * np.sin(np.pi / 60), rel=1e-3)


def test_stops_hold_and_look_at_their_place() -> None:
    points = [(100.0, 0.0), (100.0, 100.0), (0.0, 100.0)]
    legs = visits(points, (0.0, 0.0), ground_amsl_m=[300.0, 301.0, 302.0], hold_s=12.0)
    assert [leg.start for leg in legs] in (points, points[::-1])
    for leg in legs:
        assert leg.length_m == 0
        assert leg.hold_s == 12.0
        assert leg.look_at == (*leg.start, 300.0 + points.index(leg.start))
    assert visits(points, (0.0, 0.0))[0].look_at is None


def test_circles_begin_where_the_vehicle_comes_from() -> None:
    legs = visits([(200.0, 0.0), (600.0, 0.0)], (0.0, 0.0), ground_amsl_m=[10.0, 20.0], circle_m=30.0, hold_s=0.0)
    assert legs[0].start == pytest.approx((170.0, 0.0))
    first = [leg for leg in legs if leg.look_at == (200.0, 0.0, 10.0)]
    second = [leg for leg in legs if leg.look_at == (600.0, 0.0, 20.0)]
    assert len(first) + len(second) == len(legs)
    assert second[0].start == pytest.approx((570.0, 0.0))
    assert not second[0].seen_approach
    assert np.hypot(*(np.array([leg.start for leg in first]) - (200, 0)).T) == pytest.approx(30)


@pytest.mark.parametrize(
    ("spots", "values", "said"),
    [
        ([], {}, "places"),
        ([(0.0, NAN)], {}, "number 0 is"),
        ([(0.0, 1.0)], {"start": (NAN, 0.0)}, "start"),
        ([(0.0, 1.0)] * 501, {}, "at most 500"),
        ([(0.0, 1.0)], {"hold_s": -1.0}, "hold_s"),
        ([(0.0, 1.0)], {"circle_m": 30.0}, "give ground_amsl_m"),
        ([(0.0, 1.0)], {"circle_m": 0.0, "ground_amsl_m": [0.0]}, "circle_m"),
        ([(0.0, 1.0)], {"circle_m": 9.0, "ground_amsl_m": [0.0], "least_radius_m": 20.0}, "needs 20.0 m"),
        ([(0.0, 1.0)], {"ground_amsl_m": [NAN]}, "ground_amsl_m"),
    ],
)
def test_impossible_tours(spots: list[tuple[float, float]], values: dict[str, object], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        visits(spots, **{"start": (0.0, 0.0), **values})  # type: ignore[arg-type]
