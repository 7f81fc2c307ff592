"""Shortest ways of something that cannot turn tighter than a radius, from one place and heading to another.

The six words of L. E. Dubins (1957): turns to the left (L) or right (R) and straight pieces (S); formulas in the
normal form of A. M. Shkel and V. Lumelsky, Classification of the Dubins set (2001), checked by where they end.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]

STEEPEST_STEP_RAD = 0.5
"""A turn is drawn in steps of at most so much."""


def dubins_lengths_m(starts: Array, ends: Array, radius_m: float) -> Array:
    """(n, k) lengths of the shortest ways from n to k poses (x, y in m, heading in rad anticlockwise from east)."""
    return np.asarray(_lengths(np.ascontiguousarray(starts, float), np.ascontiguousarray(ends, float), radius_m))


def dubins_way(start: Array, end: Array, radius_m: float, *, chord_error_m: float = 0.5) -> Array:
    """(k, 2) corners of the shortest way between two poses, both places included; turns are drawn as by `bend`."""
    heading = float(start[2])
    at = np.array(start[:2], float)
    corners = [at[None]]
    for turn, size in _pieces(np.asarray(start, float), np.asarray(end, float), radius_m).tolist():
        if turn == 0:
            at = at + size * np.array([math.cos(heading), math.sin(heading)])
            continue
        drawn, at = bend(at, heading, turn * size, radius_m, chord_error_m=chord_error_m)
        corners.append(drawn)
        heading += turn * size
    return np.vstack([*corners, np.array(end[:2], float)[None]])


def bend(
    start: Array, heading_rad: float, angle_rad: float, radius_m: float, *, chord_error_m: float
) -> tuple[Array, Array]:
    """Corners (k, 2) of a turn begun at a place with a heading, left where `angle_rad` is above 0, and where it ends.

    Corners lie outside the circle by at most `chord_error_m` and all edges touch it: a circle of `radius_m` fits
    into every corner, and the heading changes per metre by no more than 1 / `radius_m`.
    """
    most_rad = min(STEEPEST_STEP_RAD, 2 * math.acos(radius_m / (radius_m + chord_error_m)))
    steps = max(1, math.ceil(abs(angle_rad) / most_rad - 1e-9))
    tangent_m = radius_m * math.tan(abs(angle_rad) / steps / 2)
    headings = heading_rad + angle_rad / steps * np.arange(steps + 1)
    ways = tangent_m * np.column_stack([np.cos(headings), np.sin(headings)])
    corners = start + np.cumsum(np.vstack([ways[:1], 2 * ways[1:-1]]), axis=0)
    return corners[: 0 if angle_rad == 0 else None], corners[-1] + ways[-1]


@njit(cache=True, nogil=True)
def _lengths(starts: Array, ends: Array, radius_m: float) -> Array:
    lengths = np.empty((len(starts), len(ends)))
    for row in range(len(starts)):
        for column in range(len(ends)):
            lengths[row, column] = _word(starts[row], ends[column], radius_m)[0]
    return lengths


@njit(cache=True, nogil=True)
def _pieces(start: Array, end: Array, radius_m: float) -> Array:
    """(3, 2): +1 left, -1 right, 0 straight, and how far: rad in turns, m straight."""
    _, word, first, middle, last = _word(start, end, radius_m)
    pieces = np.zeros((3, 2))
    pieces[0, 0] = 1.0 if word in (0, 2, 4) else -1.0
    pieces[2, 0] = 1.0 if word in (0, 3, 4) else -1.0
    pieces[1, 0] = 0.0 if word < 4 else -pieces[0, 0]
    pieces[0, 1], pieces[2, 1] = first, last
    pieces[1, 1] = middle * radius_m if word < 4 else middle
    return pieces


@njit(cache=True, nogil=True)
def _word(start: Array, end: Array, radius_m: float) -> tuple[float, int, float, float, float]:
    """Length in m, number of the shortest word (LSL, RSR, LSR, RSL, LRL, RLR), and its three pieces in radii."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    away = math.hypot(dx, dy) / radius_m
    toward = math.atan2(dy, dx)
    alpha, beta = start[2] - toward, end[2] - toward
    sa, ca, sb, cb, cab = math.sin(alpha), math.cos(alpha), math.sin(beta), math.cos(beta), math.cos(alpha - beta)
    best, word, first, middle, last = np.inf, -1, 0.0, 0.0, 0.0
    for trial in range(6):
        if trial < 4:  # two turns and a straight piece between
            left, out = (1.0 if trial in (0, 2) else -1.0), (1.0 if trial in (0, 3) else -1.0)
            if left == out:
                square = 2 + away * away - 2 * cab + 2 * left * away * (sa - sb)
                bend = math.atan2(left * (cb - ca), away + left * (sa - sb))
            else:
                square = -2 + away * away + 2 * cab + 2 * left * away * (sa + sb)
                bend = 0.0
            if square < -1e-9:
                continue
            p = math.sqrt(max(square, 0.0))
            if left == out and p < 1e-6:  # one circle: all of it is the first turn
                p, bend = 0.0, beta
            if left != out:
                bend = math.atan2(-left * (ca + cb), away + left * (sa + sb)) + math.atan2(left * 2.0, p)
            t, q = _turn(left * (bend - alpha)), _turn(out * (beta - bend))
        else:  # three turns
            left = 1.0 if trial == 4 else -1.0
            cosine = (6 - away * away + 2 * cab - 2 * left * away * (sa - sb)) / 8
            if abs(cosine) > 1:
                continue
            p = 2 * math.pi - math.acos(cosine)
            bend = math.atan2(left * (cb - ca), away + left * (sa - sb))
            t = _turn(left * (bend - alpha) + p / 2)
            q = _turn(left * (beta - alpha) - t + p)
        if t + p + q < best - 1e-12:
            best, word, first, middle, last = t + p + q, trial, t, p, q
    return best * radius_m, word, first, middle, last


@njit(cache=True, nogil=True)
def _turn(angle: float) -> float:
    """An angle as 0 to 2 pi; what is a whole turn but for rounding is none."""
    angle %= 2 * math.pi
    return 0.0 if 2 * math.pi - angle < 1e-6 else angle
