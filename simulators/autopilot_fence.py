"""Where a fence lets a vehicle be."""

from __future__ import annotations

import math
from itertools import pairwise

from fleet.missions import MissionItem
from simulators.autopilot_guidance import LocalFrame

POLYGON_IN, POLYGON_OUT, CIRCLE_IN, CIRCLE_OUT = 5001, 5002, 5003, 5004
"""MAV_CMD_NAV_FENCE_... that bound an area; 5000 is a return point."""


class Fence:
    """Polygons and circles in the local frame of a vehicle."""

    def __init__(self, items: list[MissionItem], frame: LocalFrame) -> None:
        """From the items of a fence; what is no part of a fence is passed over."""
        self._polygons: list[tuple[bool, list[tuple[float, float]]]] = []
        self._circles: list[tuple[bool, tuple[float, float], float]] = []
        index = 0
        while index < len(items):
            item = items[index]
            if item.command in (CIRCLE_IN, CIRCLE_OUT):
                place = frame.point(item.y / 1e7, item.x / 1e7, 0.0)
                self._circles.append((item.command == CIRCLE_IN, (place.n, place.e), item.params[0]))
            elif item.command in (POLYGON_IN, POLYGON_OUT):
                count = max(int(item.params[0]), 1)
                corners = (frame.point(v.y / 1e7, v.x / 1e7, 0.0) for v in items[index : index + count])
                self._polygons.append((item.command == POLYGON_IN, [(c.n, c.e) for c in corners]))
                index += count - 1
            index += 1

    def __bool__(self) -> bool:
        """Whether anything is bounded."""
        return bool(self._polygons or self._circles)

    def allows(self, n: float, e: float) -> bool:
        """Whether a place, m north and east of the home, is inside every inclusion and outside every exclusion."""
        for inside, corners in self._polygons:
            if _within(n, e, corners) is not inside:
                return False
        return all((math.hypot(n - c[0], e - c[1]) <= radius) is inside for inside, c, radius in self._circles)


def _within(n: float, e: float, corners: list[tuple[float, float]]) -> bool:
    """Whether a polygon holds a point: an odd number of its edges lies to the east of it."""
    odd = False
    for (n1, e1), (n2, e2) in pairwise([*corners, corners[0]]):
        if (n1 > n) != (n2 > n) and e < e1 + (n - n1) * (e2 - e1) / (n2 - n1):
            odd = not odd
    return odd
