"""What cannot turn on the spot can fly every leg: radius kept, wings level on the lines, lines whole."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.corridors import corridor
from geo.coverage import cover
from geo.errors import AreaInvalid
from geo.legs import Leg, length_m, points_of
from geo.orbits import orbit
from geo.patrols import perimeter
from geo.turns import flyable, ordered_for_turns, turn_radius_m

L_SHAPE = shapely.Polygon([(0, 0), (900, 0), (900, 400), (420, 400), (420, 760), (0, 760)])
ROAD = [(0.0, 0.0), (700.0, 0.0), (1100.0, 260.0), (1300.0, 900.0), (900.0, 1300.0)]


def circles_fit(points: np.ndarray, radius_m: float) -> bool:
    """Whether a circle of the radius can be laid into every corner of a path so that none overlaps the next."""
    points = points[np.append(True, np.hypot(*np.diff(points, axis=0).T) > 1e-3)]
    ways = np.diff(points, axis=0)
    lengths = np.hypot(*ways.T)
    turned = np.abs(np.angle((ways[1:] @ [1, 1j]) / (ways[:-1] @ [1, 1j])))
    tangents = np.concatenate([[0], radius_m * np.tan(np.minimum(turned, 3.1) / 2), [0]])
    return bool((tangents[:-1] + tangents[1:] <= lengths * (1 + 1e-6) + 2e-3).all())


def whole_path(legs: tuple[Leg, ...]) -> np.ndarray:
    return np.vstack([*legs[0].approach, points_of(legs)])


@settings(max_examples=12, deadline=None)
@given(radius_m=st.floats(15, 150), lead_in_m=st.floats(0, 120), lead_out_m=st.floats(0, 60), swath_m=st.floats(40, 90))
def test_a_survey_keeps_the_radius_and_its_lines(
    radius_m: float, lead_in_m: float, lead_out_m: float, swath_m: float
) -> None:
    lines = [leg for leg in cover(L_SHAPE, swath_m, direction_deg=20.0).legs if leg.length_m > 1]
    legs = flyable(lines, radius_m, lead_in_m=lead_in_m, lead_out_m=lead_out_m)
    assert circles_fit(whole_path(legs), radius_m)
    assert [(leg.start, leg.end) for leg in legs] == [(line.start, line.end) for line in lines]
    for leg in legs:
        if leg.approach:
            level_m = np.subtract(leg.start, leg.approach[-1])
            along = np.subtract(leg.end, leg.start) / leg.length_m
            assert level_m @ along == pytest.approx(np.hypot(*level_m), abs=1e-4)
            assert np.hypot(*level_m) >= lead_in_m - 1e-6
        assert not leg.seen_approach
    assert flyable(lines, radius_m, lead_in_m=lead_in_m, lead_out_m=lead_out_m) == legs


@pytest.mark.parametrize("radius_m", [40.0, 90.0])
def test_another_order_shortens_the_turns(radius_m: float) -> None:
    lines = cover(shapely.box(0, 0, 1500, 900), 50.0, direction_deg=90.0).legs
    plain = flyable(lines, radius_m, lead_in_m=50.0)
    ordered = ordered_for_turns(lines, radius_m, lead_in_m=50.0)
    better = flyable(ordered, radius_m, lead_in_m=50.0)
    ends = [{tuple(np.round(end, 6)) for end in (leg.start, leg.end)} for leg in ordered]
    assert sorted(map(sorted, ends)) == sorted(
        sorted({tuple(np.round(end, 6)) for end in (leg.start, leg.end)}) for leg in lines
    )
    turns = [length_m(points_of(legs)) - sum(leg.length_m for leg in legs) for legs in (plain, better)]
    assert turns[1] < (0.95 if radius_m < 50 else 0.75) * turns[0]


@settings(max_examples=10, deadline=None)
@given(radius_m=st.floats(15, 120), corner_m=st.floats(2, 25))
def test_a_corridor_is_flown_within_the_corner_allowed(radius_m: float, corner_m: float) -> None:
    wanted = corridor(ROAD, 150.0, 60.0)
    legs = flyable(wanted, radius_m, lead_in_m=60.0, corner_m=corner_m)
    assert circles_fit(whole_path(legs), radius_m)
    flown = [shapely.LineString([leg.start, leg.end]) for leg in legs]
    flown += [shapely.LineString([a.end, *b.approach, b.start]) for a, b in pairwise(legs) if b.seen_approach]
    near = shapely.union_all([way.buffer(corner_m + 0.5) for way in flown])
    lines = shapely.union_all([shapely.LineString([leg.start, leg.end]) for leg in wanted])
    assert lines.difference(near).length < 1e-3 * lines.length


def test_a_patrol_and_an_orbit_go_round_without_loops() -> None:
    round_trip = perimeter(shapely.Point(0, 0).buffer(400, quad_segs=12), rounds=2, pitch_deg=-30.0)
    legs = flyable(round_trip, 60.0, lead_in_m=40.0)
    assert circles_fit(whole_path(legs), 60.0)
    assert length_m(points_of(legs)) == pytest.approx(2 * 2 * math.pi * 400, rel=0.02)
    assert {leg.pitch_deg for leg in legs} == {-30.0}
    circle = orbit((0.0, 0.0), 120.0, target_amsl_m=10.0, level_amsl_m=90.0, turns=2.0)
    legs = flyable(circle, 100.0, lead_in_m=40.0)
    assert circles_fit(whole_path(legs), 100.0)
    assert length_m(points_of(legs)) == pytest.approx(2 * 2 * math.pi * 120, rel=0.02)
    assert {leg.look_at for leg in legs} == {(0.0, 0.0, 10.0)}


def test_detours_far_from_the_lines_are_kept() -> None:
    legs = (Leg((0.0, 0.0), (500.0, 0.0)), Leg((0.0, 1500.0), (500.0, 1500.0), approach=((1500.0, 700.0),)))
    flown = flyable(legs, 60.0, lead_in_m=50.0)
    assert circles_fit(whole_path(flown), 60.0)
    assert shapely.LineString(points_of(flown)).distance(shapely.Point(1500, 700)) < 1


def test_lines_that_go_straight_on_are_not_turned_to() -> None:
    legs = (Leg((0.0, 0.0), (500.0, 0.0)), Leg((520.0, 0.0), (900.0, 0.0)))
    assert flyable(legs, 60.0, lead_in_m=50.0)[1].approach == ()


def test_heights_are_cut_with_their_legs() -> None:
    legs = (
        Leg((0.0, 0.0), (500.0, 0.0), levels_amsl_m=(100.0, 150.0)),
        Leg((500.0, 0.0), (980.0, 90.0), levels_amsl_m=(150.0, 150.0)),
    )
    first, second = flyable(legs, 60.0, lead_in_m=0.0)
    assert second.seen_approach
    assert first.levels_amsl_m == pytest.approx((100.0, 100 + 50 * first.length_m / 500))
    assert second.levels_amsl_m == (150.0, 150.0)


def test_the_radius_of_a_turn() -> None:
    assert turn_radius_m(18.0, 30.0) == pytest.approx(57.2, abs=0.1)


@pytest.mark.parametrize(
    ("legs", "values", "said"),
    [
        ([Leg((5.0, 5.0), (5.0, 5.0))], {}, "cannot stop at x 5.0, y 5.0"),
        ([Leg((5.0, 5.0), (9.0, 5.0), hold_s=4.0)], {}, "cannot stop"),
        ([], {"radius_m": 0.0}, "radius_m"),
        ([], {"radius_m": math.nan}, "radius_m"),
        ([], {"lead_in_m": -1.0}, "lead_in_m"),
        ([], {"lead_out_m": math.inf}, "lead_in_m"),
        ([], {"corner_m": 0.0}, "corner_m"),
    ],
)
def test_impossible_turns(legs: list[Leg], values: dict[str, float], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        flyable(legs, **{"radius_m": 50.0, "lead_in_m": 40.0, **values})
    with pytest.raises(AreaInvalid, match="bank_deg"):
        turn_radius_m(20.0, 0.0)
