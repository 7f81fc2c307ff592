"""Corners of a line that move nothing left out."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

PASSES = 10
"""Each halves the corners at most."""


def needed_corners(line_m: Array, tolerance_m: float) -> NDArray[np.int64]:
    """Indices of corners of a line (n, 2), m, first and last among them, that draw it within the tolerance.

    Time in proportion to n, whatever the shape: in each pass those of every second corner go that lie within a share
    of the tolerance of the straight line between their neighbours, which stay.
    """
    kept = np.arange(len(line_m))
    for _ in range(PASSES):
        goes = _distance_m(line_m[kept[1:-1:2]], line_m[kept[:-2:2]], line_m[kept[2::2]]) <= tolerance_m / PASSES
        stays = np.ones(len(kept), np.bool_)
        stays[1:-1:2] = ~goes
        kept = kept[stays]
    return kept


def _distance_m(places: Array, starts: Array, ends: Array) -> Array:
    """Of places (n, 2) from the segments between starts and ends, m."""
    along, away = ends - starts, places - starts
    length2 = np.maximum((along**2).sum(axis=1), 1e-30)
    share = np.clip((along * away).sum(axis=1) / length2, 0.0, 1.0)
    found: Array = np.hypot(*(away - share[:, None] * along).T)
    return found
