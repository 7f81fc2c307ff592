"""What a covariance promises: circular and linear error, in the terms of reports, KLV and Cursor on Target.

CE90 is the radius about a place, LE90 the height above and below it, that hold the truth nine times in ten, errors
being normal. The radius is an integral, exact to 1e-6 of itself, not a fit.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

LE90_SIGMAS = 1.644_853_626_951_472_6
"""Sigmas on both sides of the middle of a normal distribution that hold 90 % of it."""
_ANGLES, _WEIGHTS = np.polynomial.legendre.leggauss(64)


class KlvErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of a target as MISB ST 0601 has them."""

    target_ce90_m: float
    """Item 45, Target Error Estimate - CE90, m."""
    target_le90_m: float
    """Item 46, Target Error Estimate - LE90, m."""


class CotErrors(msgspec.Struct, frozen=True, kw_only=True):
    """Errors of a point as Cursor on Target has them: one sigma of normal errors."""

    ce: float
    """Circular error, m: the sigma of the circular normal distribution that has the same CE90."""
    le: float
    """Linear error, m: one sigma of the height."""


def circular_error_m(covariance_m2: ArrayLike, probability: float = 0.9) -> float:
    """Radius that holds the truth with a probability, m, of a covariance (m2) whose first two rows are horizontal.

    Raises ValueError for a probability that is not between 0 and 1.
    """
    if not 0 < probability < 1:
        raise ValueError(f"a probability of {probability:g}: it lies between 0 and 1")
    minor, major = np.sqrt(np.maximum(np.linalg.eigvalsh(np.asarray(covariance_m2, float)[:2, :2]), 0.0))
    return float(major * _radius(minor / major, probability, _ANGLES, _WEIGHTS)) if major > 0 else 0.0


def linear_error_m(sigma_m: float) -> float:
    """LE90 of a height of so large a sigma, m."""
    return LE90_SIGMAS * sigma_m


def klv_errors(covariance_m2: ArrayLike) -> KlvErrors:
    """CE90 and LE90 of a 3 x 3 covariance (east, north, up; m2) for ST 0601."""
    return KlvErrors(
        target_ce90_m=circular_error_m(covariance_m2),
        target_le90_m=linear_error_m(math.sqrt(np.asarray(covariance_m2, float)[2, 2])),
    )


def cot_errors(covariance_m2: ArrayLike) -> CotErrors:
    """`ce` and `le` of a 3 x 3 covariance (east, north, up; m2) for Cursor on Target."""
    return CotErrors(
        ce=circular_error_m(covariance_m2) / math.sqrt(-2.0 * math.log1p(-0.9)),
        le=math.sqrt(np.asarray(covariance_m2, float)[2, 2]),
    )


@njit(cache=True, nogil=True)
def _held(radius: float, narrow: float, angles: Array, weights: Array) -> float:  # pragma: no cover - compiled
    """Probability within a circle where the sigmas are 1 and `narrow`: the density along the longer axis, at
    radius * sin(angle), times the probability of the chord there."""
    held = 0.0
    for node in range(len(angles)):
        angle = 0.5 * math.pi * angles[node]
        along, chord = radius * math.sin(angle), radius * math.cos(angle)
        within = math.erf(chord / (narrow * math.sqrt(2.0))) if narrow > 1e-9 else 1.0
        held += weights[node] * math.exp(-0.5 * along * along) * within * chord
    return held * math.sqrt(math.pi / 8)


@njit(cache=True, nogil=True)
def _radius(narrow: float, probability: float, angles: Array, weights: Array) -> float:  # pragma: no cover - compiled
    """By false position (Illinois) between nothing and the circle where both sigmas are 1, which holds enough."""
    low, high = 0.0, math.sqrt(-2.0 * math.log1p(-probability))
    less, more = -probability, _held(high, narrow, angles, weights) - probability
    for _ in range(100):
        if high - low < 1e-9 or more <= 0.0:
            break
        radius = low + (high - low) * less / (less - more)
        off = _held(radius, narrow, angles, weights) - probability
        if off > 0:
            high, more, less = radius, off, less / 2
        else:
            low, less, more = radius, off, more / 2
        if abs(off) < 1e-12:
            return radius
    return high
