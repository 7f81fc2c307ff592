"""Search patterns round a datum: expanding square and sectors (IAMSAR Manual, volume II, chapter 5)."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geo.chains import chain
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.limits import above_zero, few_enough, finite, place

Array = NDArray[np.float64]

SECTOR_TURN_DEG = 120.0
"""Between two legs of a sector search."""
SECOND_ROUND_DEG = 30.0
"""Each further round of a sector search is turned by so much against the one before."""


def expanding_square(
    datum: tuple[float, float],
    spacing_m: float,
    radius_m: float,
    *,
    first_deg: float = 0.0,
    clockwise: bool = True,
    pitch_deg: float = -90.0,
) -> tuple[Leg, ...]:
    """Legs of S, S, 2S, 2S, 3S, 3S, ... with quarter turns between, S being `spacing_m`, from the datum outwards.

    It ends when tracks `spacing_m` wide cover the circle of `radius_m`; the first leg goes in direction `first_deg`
    (clockwise from the plane's north: down the drift). Raises AreaInvalid for bad numbers and too many legs.
    """
    middle = place("datum", datum)
    above_zero(spacing_m=spacing_m, radius_m=radius_m)
    finite(first_deg=first_deg, pitch_deg=pitch_deg)
    rings = max(1.0, math.ceil((radius_m - spacing_m / 2) / spacing_m - 1e-9))
    few_enough(4 * rings + 1, f"spacing_m: {4 * rings + 1:.0f} legs to cover {radius_m:g} m")
    numbers = np.arange(4.0 * rings + 1)
    bearings = np.radians(first_deg + (90.0 if clockwise else -90.0) * numbers)
    lengths = spacing_m * np.minimum(numbers // 2 + 1, 2 * rings)  # the last one only closes the square
    return chain(_walk(middle, bearings, lengths), pitch_deg=pitch_deg)


def sector_search(
    datum: tuple[float, float],
    radius_m: float,
    *,
    first_deg: float = 0.0,
    rounds: int = 1,
    clockwise: bool = True,
    pitch_deg: float = -90.0,
) -> tuple[Leg, ...]:
    """Three triangles with a corner at the datum and sides of `radius_m`: nine legs a round, turns of 120 deg.

    From one triangle to the next it goes straight on through the datum. Every further round is turned by 30 deg.
    Raises AreaInvalid for bad numbers and too many legs.
    """
    middle = place("datum", datum)
    above_zero(radius_m=radius_m, rounds=rounds)
    finite(first_deg=first_deg, pitch_deg=pitch_deg)
    if rounds != int(rounds):
        raise AreaInvalid(f"rounds: {rounds:g} is not a whole number")
    few_enough(9 * rounds, f"rounds: {9 * rounds} legs")
    turns = np.array([0, 1, 2, 2, 3, 4, 4, 5, 6]) * (SECTOR_TURN_DEG if clockwise else -SECTOR_TURN_DEG)
    bearings = np.radians((first_deg + SECOND_ROUND_DEG * np.arange(rounds)[:, None] + turns).ravel())
    return chain(_walk(middle, bearings, np.full(len(bearings), radius_m, float)), pitch_deg=pitch_deg)


def _walk(start: tuple[float, float], bearings_rad: Array, lengths_m: Array) -> Array:
    """(n + 1, 2) corners of a walk: bearings clockwise from north, and lengths, of its n pieces."""
    steps = np.column_stack([np.sin(bearings_rad), np.cos(bearings_rad)]) * lengths_m[:, None]
    return np.vstack([start, start + np.cumsum(steps, axis=0)])
