"""Patrols close, keep their distance from the boundary, and start where they should."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.errors import AreaInvalid
from geo.legs import points_of
from geo.patrols import FINEST_M, perimeter

L_SHAPE = shapely.Polygon([(0, 0), (300, 0), (300, 100), (120, 100), (120, 260), (0, 260)])
DUMB_BELL = shapely.Polygon([(0, 0), (100, 0), (100, 45), (200, 45), (200, 0), (300, 0), (300, 100), (200, 100),
                             (200, 55), (100, 55), (100, 100), (0, 100)])  # fmt: skip


@settings(max_examples=25, deadline=None)
@given(inset_m=st.floats(-60, 40), rounds=st.integers(1, 4), clockwise=st.booleans(), x=st.floats(-50, 350))
def test_rounds_close_at_the_distance_asked_for(inset_m: float, rounds: int, clockwise: bool, x: float) -> None:
    legs = perimeter(L_SHAPE, inset_m=inset_m, rounds=rounds, clockwise=clockwise, near=(x, -80.0), pitch_deg=-30.0)
    path = shapely.LineString(points_of(legs))
    once = path.length / rounds
    assert legs[-1].end == pytest.approx(legs[0].start)
    assert once == pytest.approx(
        L_SHAPE.buffer(-round(inset_m, 3), join_style="mitre").exterior.length, rel=0.03, abs=1
    )
    ring = shapely.LinearRing([leg.start for leg in legs[: len(legs) // rounds]])
    assert ring.is_ccw is not clockwise
    away = shapely.distance(shapely.points(points_of(legs)), L_SHAPE.exterior)
    assert away.min() >= abs(inset_m) - FINEST_M - 1e-6
    inside = shapely.contains(L_SHAPE, path)
    assert inside == (inset_m > FINEST_M) or abs(inset_m) <= FINEST_M
    nearest = shapely.distance(shapely.Point(x, -80.0), path)
    assert np.hypot(*np.subtract(legs[0].start, (x, -80.0))) == pytest.approx(nearest)
    for before, after in pairwise(legs):
        assert before.end == after.start
    assert {leg.pitch_deg for leg in legs} == {-30.0}


@pytest.mark.parametrize(
    ("polygon", "values", "said"),
    [
        (L_SHAPE, {"inset_m": 80.0}, "leaves nothing"),
        (DUMB_BELL, {"inset_m": 8.0}, "2 separate pieces"),
        (L_SHAPE, {"rounds": 0}, "rounds"),
        (L_SHAPE, {"rounds": 10_000}, "at most"),
        (L_SHAPE, {"inset_m": float("nan")}, "inset_m"),
        (L_SHAPE, {"near": (0.0, float("nan"))}, "near"),
        (shapely.Polygon([(0, 0), (9, 9), (9, 0), (0, 9)]), {}, "Self-intersection"),
        (shapely.Polygon([(0, 0), (9, 9), (18, 18)]), {}, "no area"),
        (shapely.Polygon(), {}, "no area"),
    ],
)
def test_impossible_patrols(polygon: shapely.Polygon, values: dict[str, float], said: str) -> None:
    with pytest.raises(AreaInvalid, match=said):
        perimeter(polygon, **values)  # type: ignore[arg-type]
