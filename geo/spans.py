"""Spans: sets of intervals on one line, such as times or places along a track, as (n, 2) rows that do not overlap."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


def spans(rows: ArrayLike) -> Array:
    """(n, 2) intervals in order, those that touch or overlap joined, those of no length dropped."""
    given = np.asarray(rows, float).reshape(-1, 2)
    given = given[given[:, 1] > given[:, 0]]
    if len(given) < 2:
        return given
    given = given[np.argsort(given[:, 0], kind="stable")]
    furthest = np.maximum.accumulate(given[:, 1])
    begins = np.concatenate([[True], given[1:, 0] > furthest[:-1]])
    return np.column_stack([given[begins, 0], furthest[np.concatenate([begins[1:], [True]])]])


def both(first: Array, second: Array) -> Array:
    """What lies in both of two sets."""
    rows = [
        (max(begin, other_begin), min(end, other_end))
        for begin, end in first.tolist()
        for other_begin, other_end in second.tolist()
        if other_begin < end and begin < other_end
    ]
    return spans(rows)


def outside(taken: Array, begin: float, end: float) -> Array:
    """What of begin to end lies in none of a set."""
    inner = taken[(taken[:, 1] > begin) & (taken[:, 0] < end)]
    edges = np.concatenate([[begin], inner.ravel(), [end]])
    return spans(edges.reshape(-1, 2))
