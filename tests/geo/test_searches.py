"""Search patterns have the legs of the manual and cover their circle."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid
from geo.legs import Leg, points_of
from geo.searches import expanding_square, sector_search


def bearings_deg(legs: tuple[Leg, ...]) -> np.ndarray:
    ways = np.array([np.subtract(leg.end, leg.start) for leg in legs])
    return np.round(np.degrees(np.arctan2(ways[:, 0], ways[:, 1])) % 360, 6) % 360


def test_legs_of_an_expanding_square() -> None:
    legs = expanding_square((10.0, 20.0), 50.0, 125.0)
    assert [round(leg.length_m) for leg in legs] == [50, 50, 100, 100, 150, 150, 200, 200, 200]
    assert bearings_deg(legs).tolist() == [0, 90, 180, 270, 0, 90, 180, 270, 0]
    assert legs[0].start == (10.0, 20.0)
    assert bearings_deg(expanding_square((0, 0), 50.0, 125.0, first_deg=30.0, clockwise=False))[:2].tolist() == [
        30,
        300,
    ]


@settings(max_examples=30, deadline=None)
@given(spacing_m=st.floats(5, 200), share=st.floats(0.1, 15), first_deg=st.floats(0, 360), clockwise=st.booleans())
def test_an_expanding_square_covers_its_circle(
    spacing_m: float, share: float, first_deg: float, clockwise: bool
) -> None:
    radius_m = spacing_m * share
    legs = expanding_square((5.0, 5.0), spacing_m, radius_m, first_deg=first_deg, clockwise=clockwise)
    seen = shapely.LineString(points_of(legs)).buffer(spacing_m / 2 * 1.0001, cap_style="square", join_style="mitre")
    circle = shapely.Point(5, 5).buffer(radius_m, quad_segs=32)
    assert circle.difference(seen).area < 1e-6 * circle.area
    if share > 1.5:
        fewer = shapely.LineString(points_of(legs[:-4])).buffer(spacing_m / 2, cap_style="square", join_style="mitre")
        assert circle.difference(fewer).area > 0


def test_legs_of_a_sector_search() -> None:
    legs = sector_search((0.0, 0.0), 400.0, first_deg=20.0, rounds=2)
    assert bearings_deg(legs)[:9].tolist() == [20, 140, 260, 260, 20, 140, 140, 260, 20]
    assert bearings_deg(legs)[9:].tolist() == [50, 170, 290, 290, 50, 170, 170, 290, 50]
    assert [leg.length_m for leg in legs] == pytest.approx([400] * 18)
    for number in (2, 5, 8, 11, 14, 17):
        assert legs[number].end == pytest.approx((0, 0), abs=1e-6)
    tips = np.array([legs[number].end for number in (0, 1, 3, 4, 6, 7)])
    assert np.hypot(*tips.T) == pytest.approx(400)
    assert len(np.unique(np.round(np.degrees(np.arctan2(*tips.T)) % 360))) == 6


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda: expanding_square((0, 0), 0.0, 100.0), "spacing_m: 0 must be above 0"),
        (lambda: expanding_square((0, 0), 1.0, 1e9), "at most"),
        (lambda: expanding_square((0, 0), 1.0, float("inf")), "radius_m"),
        (lambda: expanding_square((float("nan"), 0), 1.0, 10.0), "datum"),
        (lambda: expanding_square((0, 0), 1.0, 10.0, first_deg=float("nan")), "first_deg"),
        (lambda: sector_search((0, 0), -1.0), "radius_m"),
        (lambda: sector_search((0, 0), 10.0, rounds=0), "rounds"),
        (lambda: sector_search((0, 0), 10.0, rounds=10**7), "at most"),
    ],
)
def test_impossible_searches(call: object, said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        call()  # type: ignore[operator]
