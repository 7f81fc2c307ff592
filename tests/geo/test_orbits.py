"""Circles keep their radius, spirals reach theirs, and the camera stays on the middle."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid
from geo.legs import points_of
from geo.orbits import orbit, spiral

CENTRE = (120.0, -40.0)


@settings(max_examples=30, deadline=None)
@given(
    radius_m=st.floats(5, 800),
    turns=st.floats(0.3, 4),
    start_deg=st.floats(-360, 720),
    clockwise=st.booleans(),
    chord_error_m=st.floats(0.1, 5),
)
def test_a_circle_stays_within_its_chord_error(
    radius_m: float, turns: float, start_deg: float, clockwise: bool, chord_error_m: float
) -> None:
    legs = orbit(
        CENTRE,
        radius_m,
        target_amsl_m=300.0,
        level_amsl_m=350.0,
        turns=turns,
        start_deg=start_deg,
        clockwise=clockwise,
        chord_error_m=chord_error_m,
    )
    away = np.hypot(*(points_of(legs) - CENTRE).T)
    middles = np.hypot(*(np.array([np.add(leg.start, leg.end) / 2 for leg in legs]) - CENTRE).T)
    assert away == pytest.approx(radius_m)
    assert middles.min() >= radius_m - chord_error_m - 1e-6
    began = np.add(CENTRE, radius_m * np.array([np.sin(np.radians(start_deg)), np.cos(np.radians(start_deg))]))
    assert legs[0].start == pytest.approx(began)
    (x0, y0), (x1, y1) = (np.subtract([getattr(leg, end) for leg in legs], CENTRE).T for end in ("start", "end"))
    swept = np.arctan2(x0 * y1 - y0 * x1, x0 * x1 + y0 * y1).sum()
    assert bool(swept < 0) is clockwise
    assert abs(swept) == pytest.approx(2 * np.pi * turns, rel=1e-6)
    assert {leg.look_at for leg in legs} == {(*CENTRE, 300.0)}
    assert {leg.levels_amsl_m for leg in legs} == {(350.0, 350.0)}


def test_a_spiral_goes_evenly_in_and_up_without_a_gap() -> None:
    legs = spiral(CENTRE, (120.0, 30.0), target_amsl_m=0.0, levels_amsl_m=(60.0, 90.0), turns=3.0)
    assert np.hypot(*np.subtract(legs[0].start, CENTRE)) == pytest.approx(120)
    assert np.hypot(*np.subtract(legs[-1].end, CENTRE)) == pytest.approx(30)
    away = np.hypot(*(np.array([leg.start for leg in legs]) - CENTRE).T)
    assert (np.diff(away) < 0).all()
    levels = [level for leg in legs for level in leg.levels_amsl_m or ()]
    assert levels == sorted(levels)
    assert (levels[0], levels[-1]) == (60.0, 90.0)
    for before, after in pairwise(legs):
        assert before.end == after.start
        assert after.seen_approach


def test_a_circle_follows_the_ground_where_no_height_is_given() -> None:
    assert {leg.levels_amsl_m for leg in orbit(CENTRE, 50.0, target_amsl_m=0.0)} == {None}


@pytest.mark.parametrize(
    ("given_values", "said"),
    [
        ({"radius_m": 0.0}, "radius_m: 0 must be above 0"),
        ({"radius_m": float("nan")}, "radius_m"),
        ({"radius_m": 20.0, "least_radius_m": 45.0}, "20 is too small, this vehicle needs 45.0 m"),
        ({"turns": 0.0}, "turns"),
        ({"turns": 1e9}, "at most"),
        ({"centre": (float("inf"), 0.0)}, "centre: number 0 is .inf, 0.0.: not finite"),
        ({"target_amsl_m": float("nan")}, "target_amsl_m"),
        ({"level_amsl_m": float("nan")}, "level_amsl_m"),
        ({"chord_error_m": 0.0}, "chord_error_m"),
    ],
)
def test_impossible_circles(given_values: dict[str, float], said: str) -> None:
    values = {"centre": CENTRE, "radius_m": 50.0, "target_amsl_m": 0.0, **given_values}
    with pytest.raises(AreaInvalid, match=said):
        orbit(**values)  # type: ignore[arg-type]
