"""Circles and spirals round a place, the camera on it all the time."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from geo.chains import chain
from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.limits import above_zero, few_enough, finite, place

Array = NDArray[np.float64]

CHORD_ERROR_M = 0.5
"""How far the straight pieces of a circle may lie inside it, m, unless said otherwise."""
FEWEST_PIECES = 12
"""Of one turn, however small the circle."""


def orbit(
    centre: tuple[float, float],
    radius_m: float,
    *,
    target_amsl_m: float,
    level_amsl_m: float | None = None,
    turns: float = 1.0,
    clockwise: bool = True,
    start_deg: float = 0.0,
    least_radius_m: float = 0.0,
    chord_error_m: float = CHORD_ERROR_M,
) -> tuple[Leg, ...]:
    """A circle round `centre`, m on the plane, the camera on the centre at `target_amsl_m`.

    `level_amsl_m` None follows the ground at the height of the plan. It begins in direction `start_deg` from
    the centre, clockwise from the plane's north. `least_radius_m` is what the vehicle can fly at its speed.
    Raises AreaInvalid: a radius that is not above 0 or below the least, no turns, not finite, too many legs.
    """
    levels = None if level_amsl_m is None else (level_amsl_m, level_amsl_m)
    return spiral(
        centre,
        (radius_m, radius_m),
        target_amsl_m=target_amsl_m,
        levels_amsl_m=levels,
        turns=turns,
        clockwise=clockwise,
        start_deg=start_deg,
        least_radius_m=least_radius_m,
        chord_error_m=chord_error_m,
    )


def spiral(
    centre: tuple[float, float],
    radii_m: tuple[float, float],
    *,
    target_amsl_m: float,
    levels_amsl_m: tuple[float, float] | None = None,
    turns: float,
    clockwise: bool = True,
    start_deg: float = 0.0,
    least_radius_m: float = 0.0,
    chord_error_m: float = CHORD_ERROR_M,
) -> tuple[Leg, ...]:
    """As `orbit`, but radius and height go evenly from the first to the second value (spiral of Archimedes)."""
    middle = place("centre", centre)
    above_zero(radius_m=min(radii_m), largest_radius_m=max(radii_m), turns=turns, chord_error_m=chord_error_m)
    finite(target_amsl_m=target_amsl_m, start_deg=start_deg, **_named(levels_amsl_m))
    if min(radii_m) < least_radius_m:
        raise AreaInvalid(
            f"radius_m: {min(radii_m):g} is too small, this vehicle needs {least_radius_m:.1f} m at this speed: "
            "fly slower or wider"
        )
    step_rad = min(2 * math.pi / FEWEST_PIECES, 2 * math.acos(max(-1.0, 1 - chord_error_m / max(radii_m))))
    pieces = math.ceil(2 * math.pi * turns / step_rad - 1e-9)
    few_enough(pieces, f"turns: {turns:g} turns of {max(radii_m):g} m are {pieces} legs")
    share = np.linspace(0.0, 1.0, pieces + 1)
    angles = np.radians(start_deg) + (1 if clockwise else -1) * 2 * np.pi * turns * share
    radii = np.interp(share, (0, 1), radii_m)
    points = np.array(middle) + np.column_stack([np.sin(angles), np.cos(angles)]) * radii[:, None]
    levels = None if levels_amsl_m is None else np.interp(share, (0, 1), levels_amsl_m)
    return chain(points, levels_amsl_m=levels, pitch_deg=-45.0, look_at=(*middle, target_amsl_m))


def _named(levels_amsl_m: tuple[float, float] | None) -> dict[str, float]:
    return (
        {} if levels_amsl_m is None else {"first_level_amsl_m": levels_amsl_m[0], "last_level_amsl_m": levels_amsl_m[1]}
    )
