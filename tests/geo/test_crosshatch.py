"""Cross-hatch covers twice, at right angles."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import shapely

from geo.coverage import cover
from geo.crosshatch import cross_hatch

U_SHAPE = shapely.Polygon([(0, 0), (600, 0), (600, 500), (420, 500), (420, 150), (180, 150), (180, 500), (0, 500)])


@pytest.mark.parametrize("direction_deg", [None, 17.0])
def test_each_half_covers_and_they_cross_at_right_angles(direction_deg: float | None) -> None:
    legs = cross_hatch(U_SHAPE, 40.0, direction_deg=direction_deg)
    bearings = [np.degrees(np.arctan2(*np.subtract(leg.end, leg.start))) % 180 for leg in legs]
    second = next(number for number, leg in enumerate(legs) if abs(abs(bearings[number] - bearings[0]) - 90) < 1)
    for half, along in ((legs[:second], bearings[:second]), (legs[second:], bearings[second:])):
        ways = [shapely.LineString([leg.start, leg.end]) for leg in half]
        ways += [shapely.LineString([a.end, *b.approach, b.start]) for a, b in pairwise(half) if b.seen_approach]
        seen = shapely.union_all([way.buffer(20, quad_segs=32) for way in ways])
        assert seen.intersection(U_SHAPE).area > 0.998 * U_SHAPE.area
        for leg, bearing in zip(half, along, strict=True):
            assert leg.length_m < 2 or abs((bearing - along[0] + 90) % 180 - 90) < 1
    alone = cover(U_SHAPE, 40.0, direction_deg=direction_deg)
    assert len(legs) > 1.5 * len(alone.legs)
    assert cross_hatch(U_SHAPE, 40.0, direction_deg=direction_deg) == legs
