"""How far two clocks are apart, from where both say that one vehicle was."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.positions import LocalPlane

Array = NDArray[np.float64]

SPAN_S = 30.0
"""Clocks further apart are not found out, s."""
FEWEST_PLACES = 20
LEAST_WAY_M = 40.0
"""A vehicle that stays within this tells nothing."""
BIAS_M = 5.0
"""By so much two receivers may differ in where it is."""
_STEP_S = 0.1
_CLEARER, _ALIKE_M = 3.0, 1.0
_LEAST_INSIDE = 0.9


class TrackOffset(msgspec.Struct, frozen=True, kw_only=True):
    """How far one track's clock is ahead of the other's; 0 and 0 where they agree as far as places tell."""

    offset_s: float
    """To be added to the other's times, s."""
    sigma_s: float
    """One-sigma error of it, s."""


def track_offset(times_s: Array, track: Array, seen_s: Array, seen: Array) -> TrackOffset | None:
    """The clock of a track (n times, s, rising; n lon, lat, deg) against that of places seen (m times; m lon, lat).

    None where the places tell nothing: too few, too near each other, or not in the track's time.
    """
    if len(seen_s) < FEWEST_PLACES or len(times_s) < 2:
        return None
    plane = LocalPlane(lon=float(seen[0, 0]), lat=float(seen[0, 1]))
    place = np.stack(plane.to_plane(seen[:, 0], seen[:, 1]), axis=-1)
    known = np.stack(plane.to_plane(track[:, 0], track[:, 1]), axis=-1)
    if np.hypot(*np.ptp(place, axis=0)) < LEAST_WAY_M:
        return None
    offsets = np.arange(-round(SPAN_S / _STEP_S), round(SPAN_S / _STEP_S) + 1) * _STEP_S
    at = seen_s + offsets[:, None]
    inside = (at >= times_s[0]) & (at <= times_s[-1])
    squares = sum((np.interp(at, times_s, known[:, axis]) - place[:, axis]) ** 2 for axis in (0, 1))
    counts = inside.sum(axis=1)
    apart_m = np.sqrt(np.where(inside, squares, 0.0).sum(axis=1) / np.maximum(counts, 1))
    apart_m[counts < _LEAST_INSIDE * len(seen_s)] = np.inf
    now_m, least_m = float(apart_m[len(offsets) // 2]), float(apart_m.min())
    if not np.isfinite(now_m):
        return None
    if now_m <= BIAS_M or least_m > now_m / _CLEARER:
        return TrackOffset(offset_s=0.0, sigma_s=0.0)
    alike = offsets[apart_m <= least_m + _ALIKE_M]  # a way that repeats itself fits more than once
    nearest = float(alike[np.argmin(np.abs(alike))])
    here = np.abs(offsets - nearest) <= 1.0
    best = float(offsets[here][np.argmin(apart_m[here])])
    steps_m = np.hypot(*np.diff(place, axis=0).T)
    speed_m_s = float(steps_m.sum() / (seen_s[-1] - seen_s[0]))
    return TrackOffset(offset_s=best, sigma_s=float(np.hypot(_STEP_S, BIAS_M / 2 / speed_m_s)))
