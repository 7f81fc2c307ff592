"""Chains: legs that follow one another without a gap, photographed all along."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geo.legs import Leg
from geo.limits import few_enough

Array = NDArray[np.float64]


def chain(
    points: Array,
    *,
    levels_amsl_m: Array | None = None,
    pitch_deg: float = -90.0,
    look_at: tuple[float, float, float] | None = None,
) -> tuple[Leg, ...]:
    """Legs along points (n, 2), m, at heights (n,), m AMSL, or following the ground. Raises AreaInvalid."""
    few_enough(len(points), f"{len(points) - 1} legs")
    spots = [(float(x), float(y)) for x, y in points]
    heights = None if levels_amsl_m is None else [float(level) for level in levels_amsl_m]
    return tuple(
        Leg(
            before,
            after,
            seen_approach=number > 0,
            levels_amsl_m=None if heights is None else (heights[number], heights[number + 1]),
            pitch_deg=pitch_deg,
            look_at=look_at,
        )
        for number, (before, after) in enumerate(pairwise(spots))
    )


def begun_near(ring: Array, place: tuple[float, float]) -> Array:
    """A closed ring (n, 2), m, first point repeated, turned (and cut) so that it begins nearest to a place."""
    starts, ways = ring[:-1], np.diff(ring, axis=0)
    squares = np.maximum((ways**2).sum(axis=1), 1e-12)
    share = np.clip(((place - starts) * ways).sum(axis=1) / squares, 0.0, 1.0)
    feet = starts + share[:, None] * ways
    edge = int(np.argmin(((feet - place) ** 2).sum(axis=1)))
    turned = np.vstack([feet[edge], ring[edge + 1 :], ring[1 : edge + 1], feet[edge]])
    kept = np.append(True, np.hypot(*np.diff(turned, axis=0).T) > 1e-6)
    return np.asarray(turned[kept])
