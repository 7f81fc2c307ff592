"""An area covered twice, by lines at right angles: for heights, facades and whatever hides from one side."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from shapely import Polygon

from geo.coverage import cover
from geo.legs import Leg, turned_round


def cross_hatch(
    polygon: Polygon, swath_m: float, *, direction_deg: float | None = None, margin_m: float | None = None
) -> tuple[Leg, ...]:
    """Lines as `geo.coverage.cover` lays them, and then lines at right angles to those, begun where it is nearest.

    The way between the two is left to whoever knows what lies there. Raises AreaInvalid as `cover` does.
    """
    first = cover(polygon, swath_m, direction_deg=direction_deg, margin_m=margin_m)
    second = cover(polygon, swath_m, direction_deg=(first.direction_deg + 90.0) % 180.0, margin_m=margin_m)
    ways = [
        (turn, back)
        for turn in (first.legs, turned_round(first.legs))
        for back in (second.legs, turned_round(second.legs))
    ]
    before, after = min(ways, key=lambda way: float(np.hypot(*np.subtract(way[0][-1].end, way[1][0].start))))
    return (*before, replace(after[0], approach=(), seen_approach=False), *after[1:])
