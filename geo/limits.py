"""What every pattern checks before it lays a leg: numbers, places, outlines, and how many legs it would be."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray
from shapely import Polygon

from geo.errors import AreaInvalid

Array = NDArray[np.float64]

MOST_LEGS = 20_000
"""A pattern of more legs than this is refused."""


def above_zero(**values: float) -> None:
    """Raises AreaInvalid for the first value that is not above 0 and finite, by its name (with its unit in it)."""
    for name, value in values.items():
        if not (np.isfinite(value) and value > 0):
            raise AreaInvalid(f"{name}: {value:g} must be above 0 and finite")


def finite(**values: float) -> None:
    """Raises AreaInvalid for the first value that is not a finite number, by its name."""
    for name, value in values.items():
        if not np.isfinite(value):
            raise AreaInvalid(f"{name}: {value:g} is not a finite number")


def places(name: str, values: ArrayLike | Sequence[ArrayLike], *, least: int = 1) -> Array:
    """(n, 2) finite places on the plane, m. Raises AreaInvalid: too few, too many, not pairs, not finite."""
    try:
        points = np.asarray(values, float)
    except (TypeError, ValueError) as exc:
        raise AreaInvalid(f"{name}: not pairs of x and y in metres: {exc}") from exc
    if points.ndim != 2 or points.shape[1] != 2:
        raise AreaInvalid(f"{name}: of shape {points.shape}, pairs of x and y in metres are needed")
    if len(points) < least:
        raise AreaInvalid(f"{name}: {len(points)} given, at least {least} needed")
    few_enough(len(points), f"{name}: {len(points)} points")
    bad = np.flatnonzero(~np.isfinite(points).all(axis=1))
    if len(bad):
        raise AreaInvalid(f"{name}: number {bad[0]} is {points[bad[0]].tolist()}: not finite")
    return points


def place(name: str, value: ArrayLike) -> tuple[float, float]:
    """One finite place on the plane, m. Raises AreaInvalid."""
    ((x, y),) = places(name, [value])
    return float(x), float(y)


def outline(name: str, polygon: Polygon) -> Polygon:
    """The polygon, if it is valid and has an area. Raises AreaInvalid."""
    if not np.isfinite(shapely.get_coordinates(polygon)).all():
        raise AreaInvalid(f"{name}: a corner is not finite")
    if polygon.is_empty or polygon.convex_hull.area == 0:
        raise AreaInvalid(f"{name}: the polygon has no area")
    if not polygon.is_valid:
        raise AreaInvalid(f"{name}: {shapely.is_valid_reason(polygon)}")
    return polygon


def few_enough(count: float, what: str) -> None:
    """Raises AreaInvalid where `count` legs or points are more than `MOST_LEGS`."""
    if count > MOST_LEGS:
        raise AreaInvalid(f"{what}: at most {MOST_LEGS} are planned at once")
