"""How close two straight, even movements come when neither time is known exactly: loops over all pairs of them.

A pair has a parameter each, s and u from 0 to 1 along their segments. What is asked of heights and times cuts a
polygon out of that square; the squared horizontal distance is a quadratic form of s and u. So the smallest
distance, and the earliest and latest moment at which it is below a limit, have exact answers.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

TINY = 1e-9


@njit(cache=True, nogil=True)
def _clip(corners: Array, count: int, constant: float, by_s: float, by_u: float, spare: Array) -> int:
    """The polygon's part where constant + by_s s + by_u u >= 0, in place; how many corners it has."""
    kept = 0
    for number in range(count):
        s, u = corners[number, 0], corners[number, 1]
        then = number + 1 if number + 1 < count else 0
        s2, u2 = corners[then, 0], corners[then, 1]
        here, there = constant + by_s * s + by_u * u, constant + by_s * s2 + by_u * u2
        if here >= -TINY:
            spare[kept, 0], spare[kept, 1] = s, u
            kept += 1
        if (here >= -TINY) != (there >= -TINY):
            share = here / (here - there)
            spare[kept, 0], spare[kept, 1] = s + share * (s2 - s), u + share * (u2 - u)
            kept += 1
    corners[:kept] = spare[:kept]
    return kept


@njit(cache=True, nogil=True)
def _inside(corners: Array, count: int, s: float, u: float) -> bool:
    """Whether a point lies in the polygon, whose corners run anticlockwise."""
    for number in range(count):
        then = number + 1 if number + 1 < count else 0
        ds, du = corners[then, 0] - corners[number, 0], corners[then, 1] - corners[number, 1]
        if ds * (u - corners[number, 1]) - du * (s - corners[number, 0]) < -1e-12:
            return False
    return count > 2


@njit(cache=True, nogil=True)
def _polygon(a: Array, b: Array, vertical_m: float, margin_s: float, corners: Array, spare: Array) -> int:
    """Where in (s, u) the heights are less than `vertical_m` apart, and the times no more than `margin_s`."""
    corners[0], corners[1], corners[2], corners[3] = (0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)
    count = 4
    for column, limit in ((3, vertical_m), (0, margin_s)):
        if limit == np.inf:
            continue
        apart, by_s, by_u = a[0, column] - b[0, column], a[1, column] - a[0, column], b[0, column] - b[1, column]
        count = _clip(corners, count, limit - apart, -by_s, -by_u, spare)
        count = _clip(corners, count, limit + apart, by_s, by_u, spare)
    return count


@njit(cache=True, nogil=True)
def _form(a: Array, b: Array) -> tuple[float, float, float, float, float, float]:
    """The squared horizontal distance as ss s2 + 2 su s u + uu u2 + 2 ls s + 2 lu u + constant."""
    cx, cy = a[0, 1] - b[0, 1], a[0, 2] - b[0, 2]
    ex, ey = a[1, 1] - a[0, 1], a[1, 2] - a[0, 2]
    gx, gy = b[1, 1] - b[0, 1], b[1, 2] - b[0, 2]
    ss, su, uu = ex * ex + ey * ey, -(ex * gx + ey * gy), gx * gx + gy * gy
    return ss, su, uu, ex * cx + ey * cy, -(gx * cx + gy * cy), cx * cx + cy * cy


@njit(cache=True, nogil=True)
def _square(form: tuple[float, float, float, float, float, float], s: float, u: float) -> float:
    ss, su, uu, ls, lu, constant = form
    return max(0.0, ss * s * s + 2 * su * s * u + uu * u * u + 2 * ls * s + 2 * lu * u + constant)


@njit(cache=True, nogil=True)
def _least(
    form: tuple[float, float, float, float, float, float], corners: Array, count: int
) -> tuple[float, float, float]:
    """The smallest square in the polygon, and its s and u."""
    ss, su, uu, ls, lu, _ = form
    best, best_s, best_u = np.inf, 0.0, 0.0
    determinant = ss * uu - su * su
    if determinant > 1e-12 * ss * uu:
        s, u = (su * lu - uu * ls) / determinant, (su * ls - ss * lu) / determinant
        if _inside(corners, count, s, u):
            return _square(form, s, u), s, u
    for number in range(count):
        then = number + 1 if number + 1 < count else 0
        s0, u0 = corners[number, 0], corners[number, 1]
        ds, du = corners[then, 0] - s0, corners[then, 1] - u0
        second = ss * ds * ds + 2 * su * ds * du + uu * du * du
        first = (ss * s0 + su * u0 + ls) * ds + (su * s0 + uu * u0 + lu) * du
        at = min(1.0, max(0.0, -first / second)) if second > 0.0 else 0.0
        s, u = s0 + at * ds, u0 + at * du
        square = _square(form, s, u)
        if square < best:
            best, best_s, best_u = square, s, u
    return best, best_s, best_u


@njit(cache=True, nogil=True)
def _extent(
    form: tuple[float, float, float, float, float, float], corners: Array, count: int, limit: float,
    by_s: float, by_u: float, at_s: float, at_u: float,
) -> tuple[float, float]:  # fmt: skip
    """Least and greatest by_s s + by_u u in the polygon where the square is below a limit, as it is at one place."""
    ss, su, uu, ls, lu, _ = form
    low = high = by_s * at_s + by_u * at_u
    determinant = ss * uu - su * su
    if determinant > 1e-12 * ss * uu:
        s, u = (su * lu - uu * ls) / determinant, (su * ls - ss * lu) / determinant
        steep = (uu * by_s * by_s - 2 * su * by_s * by_u + ss * by_u * by_u) / determinant
        rest = limit - _square(form, s, u)
        if rest > 0.0 and steep > 0.0:
            reach = np.sqrt(rest / steep) / determinant
            to_s, to_u = (uu * by_s - su * by_u) * reach, (ss * by_u - su * by_s) * reach
            for sign in (-1.0, 1.0):
                if _inside(corners, count, s + sign * to_s, u + sign * to_u):
                    value = by_s * (s + sign * to_s) + by_u * (u + sign * to_u)
                    low, high = min(low, value), max(high, value)
    for number in range(count):
        then = number + 1 if number + 1 < count else 0
        s0, u0 = corners[number, 0], corners[number, 1]
        ds, du = corners[then, 0] - s0, corners[then, 1] - u0
        second = ss * ds * ds + 2 * su * ds * du + uu * du * du
        first = (ss * s0 + su * u0 + ls) * ds + (su * s0 + uu * u0 + lu) * du
        over = _square(form, s0, u0) - limit
        begin, end = 0.0, 1.0
        if second > 1e-18:
            rest = first * first - second * over
            if rest < 0.0:
                continue
            begin, end = max(0.0, (-first - np.sqrt(rest)) / second), min(1.0, (-first + np.sqrt(rest)) / second)
        elif over > 0.0:
            continue
        if begin <= end:
            for at in (begin, end):
                value = by_s * (s0 + at * ds) + by_u * (u0 + at * du)
                low, high = min(low, value), max(high, value)
    return low, high


@njit(cache=True, nogil=True)
def _apart(a: Array, b: Array, column: int, limit: float) -> bool:
    """Whether two segments are at least so far apart in one coordinate, all along."""
    above = min(a[0, column], a[1, column]) - max(b[0, column], b[1, column])
    below = min(b[0, column], b[1, column]) - max(a[0, column], a[1, column])
    return bool(max(above, below) >= limit)


@njit(cache=True, nogil=True)
def closest_pairs(
    track: Array, rows: Array, firsts: NDArray[np.int64], horizontal_m: float, vertical_m: float, margin_s: float
) -> list[tuple[float, float, float, float, float, float, float, float]]:
    """Pairs of segments that are too close, each with its way's number, closest times, times from and until, and
    how far apart: (way, time, other's time, from, until, horizontal m, vertical m, share of our segment).

    Rows are UTC s, x, y, m AMSL, times not falling.
    """
    found = [(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0) for _ in range(0)]
    corners, spare = np.empty((16, 2)), np.empty((16, 2))
    limit = horizontal_m * horizontal_m
    count = len(track)
    for way in range(len(firsts) - 1):
        first, last = firsts[way], firsts[way + 1]
        if rows[first, 0] > track[count - 1, 0] + margin_s or rows[last - 1, 0] < track[0, 0] - margin_s:
            continue
        begin = first
        for number in range(count - 1):
            a = track[number : number + 2]
            while begin < last - 1 and rows[begin + 1, 0] < a[0, 0] - margin_s:
                begin += 1
            other = begin
            while other < last - 1 and rows[other, 0] <= a[1, 0] + margin_s:
                b = rows[other : other + 2]
                other += 1
                if _apart(a, b, 1, horizontal_m) or _apart(a, b, 2, horizontal_m) or _apart(a, b, 3, vertical_m):
                    continue
                sides = _polygon(a, b, vertical_m - TINY, margin_s, corners, spare)
                if sides == 0:
                    continue
                form = _form(a, b)
                square, s, u = _least(form, corners, sides)
                if square >= limit - TINY:
                    continue
                span_s = a[1, 0] - a[0, 0]
                low, high = _extent(form, corners, sides, limit, span_s, 0.0, s, u)
                found.append((
                    float(way), a[0, 0] + s * span_s, b[0, 0] + u * (b[1, 0] - b[0, 0]),
                    a[0, 0] + low, a[0, 0] + high, np.sqrt(square),
                    abs(a[0, 3] + s * (a[1, 3] - a[0, 3]) - b[0, 3] - u * (b[1, 3] - b[0, 3])), number + s,
                ))  # fmt: skip
    return found


@njit(cache=True, nogil=True)
def forbidden_delays(
    track: Array, rows: Array, horizontal_m: float, vertical_m: float, margin_s: float, firsts: NDArray[np.int64]
) -> list[tuple[float, float]]:
    """Between which delays of the track, s, it would be too close to some way: intervals that may overlap."""
    found = [(0.0, 0.0) for _ in range(0)]
    corners, spare = np.empty((16, 2)), np.empty((16, 2))
    limit = horizontal_m * horizontal_m
    for way in range(len(firsts) - 1):
        if rows[firsts[way + 1] - 1, 0] + margin_s < track[0, 0]:
            continue
        for other in range(firsts[way], firsts[way + 1] - 1):
            b = rows[other : other + 2]
            if b[1, 0] + margin_s < track[0, 0]:
                continue
            for number in range(len(track) - 1):
                a = track[number : number + 2]
                if (
                    b[1, 0] - a[0, 0] + margin_s < 0.0
                    or _apart(a, b, 1, horizontal_m)
                    or _apart(a, b, 2, horizontal_m)
                    or _apart(a, b, 3, vertical_m)
                ):
                    continue
                sides = _polygon(a, b, vertical_m - TINY, np.inf, corners, spare)
                if sides == 0:
                    continue
                form = _form(a, b)
                square, s, u = _least(form, corners, sides)
                if square >= limit - TINY:
                    continue
                low, high = _extent(form, corners, sides, limit, a[0, 0] - a[1, 0], b[1, 0] - b[0, 0], s, u)
                later_s = b[0, 0] - a[0, 0]
                found.append((later_s + low - margin_s, later_s + high + margin_s))
    return found
