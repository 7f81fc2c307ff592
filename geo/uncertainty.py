"""How far each cause of error moves the place that a pixel shows, compiled.

A cause moves the ray. How the place follows is told by rays that are turned by some sigmas of all causes together, up
and down, aside and back, and followed over the same ground: their differences are the Jacobian, taken as wide as the
error is, so that edges of roofs and slopes count as far as the error reaches. What the differences leave out, because
the ground or a grazing ray bends it, are two more causes.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.layers import HIT, SKY

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

CAUSES = (
    "east", "north", "up", "tilt_east", "tilt_north", "yaw", "time", "u", "v", "surface", "gimbal_pitch", "gimbal_yaw",
    "gimbal_roll", "focal", "center_u", "center_v", "datum", "bend_up", "bend_aside", "middle_east", "middle_north",
)  # fmt: skip
"""What makes a location wrong, in the order of `Location.moves_m`. Tilts are turns about the east and north axes, the
gimbal's turns those about the camera's right, down and forward axes; `surface` is the height of terrain and target,
`datum` that of the vertical datum; bends are what no straight line explains, for rays turned up and aside; `middle` is
how far the middle of a thing is from that of what is seen of it, which no pixel tells: see `Location.extended`."""
LINEAR = CAUSES.index("bend_up")
TURN = 1.25
"""Rays are turned by so many sigmas: what lies beyond is rarer than one in ten."""
BENT = 1.1
"""A bend weighs so much of the middle of two turned rays: against Monte Carlo, ellipses among buildings then hold 0.88
to 0.90 on average from nadir to 25 deg of depression."""
TURNED = 4
"""So many rays about each: up, down, aside, back."""
ONE_SIDE, BOTH_SIDES = math.sqrt(-2.0 * math.log(0.2)), math.sqrt(-2.0 * math.log(0.1))
"""Sigmas beyond which, on the far side alone and on both sides together, one in ten places lies outside an ellipse."""
GRAZING = 0.35
"""No ellipse is stated where one sigma of a ray is a larger share of the angle at which it meets the ground."""
HALVES = np.array([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]])
"""A pixel and the ends of the differences about it."""


@njit(cache=True, nogil=True)
def loosen(
    found: Array, rays: Array, turn: Array, offsets: Array, pixel_sigmas: Array, sigmas: Array, motion: Array,
    free: Array, spans: Array, turned: Array,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Fill `free` (n, causes, 3): how each cause but the bends moves the far end of a ray (east, north, up; m).

    `found` as of a cast; `rays` (5, n, 3) of HALVES in camera axes; `offsets` (n, 2) of the pixels from the principal
    point, px; `pixel_sigmas` (n, 2), px; `sigmas` horizontal_m, vertical_m, tilt, yaw, gimbal pitch, yaw and roll
    (rad), time_s, focal share, centre_px, surface_m, datum_m; `motion` velocity, m/s, and turn rates, rad/s, each
    east, north, up. Also filled: `spans` (n, 2, 3) one sigma of all causes together, up and aside, across the ray, m;
    `turned` (TURNED n, 3) the rays turned by them.
    """
    for number in range(len(found)):
        range_m, ray, moved = found[number, 0], found[number, 1:4], free[number]
        moved[:] = 0.0
        moved[0, 0], moved[1, 1], moved[2, 2] = sigmas[0], sigmas[0], sigmas[1]
        _swing(1.0, 0.0, 0.0, ray, range_m * sigmas[2], moved[3])
        _swing(0.0, 1.0, 0.0, ray, range_m * sigmas[2], moved[4])
        _swing(0.0, 0.0, 1.0, ray, range_m * sigmas[3], moved[5])
        _swing(motion[3], motion[4], motion[5], ray, range_m * sigmas[7], moved[6])
        for axis in range(3):
            moved[6, axis] += motion[axis] * sigmas[7]
            _swing(turn[0, axis], turn[1, axis], turn[2, axis], ray, range_m * sigmas[4 + axis], moved[10 + axis])
        for across in range(2):
            for axis in range(3):
                per_px = 0.0
                for part in range(3):
                    middle, ahead, behind = (
                        rays[0, number, part], rays[1 + 2 * across, number, part], rays[2 + 2 * across, number, part]
                    )  # fmt: skip
                    if math.isnan(ahead):  # the very edge of the lens
                        ahead = 2 * middle - behind
                    if math.isnan(behind):
                        behind = 2 * middle - ahead
                    per_px += turn[axis, part] * (ahead - behind)
                per_px *= range_m
                moved[7 + across, axis] = per_px * pixel_sigmas[number, across]
                moved[13, axis] -= per_px * offsets[number, across] * sigmas[8]
                moved[14 + across, axis] = -per_px * sigmas[9]
        moved[9, 2], moved[16, 2] = -sigmas[10], -sigmas[11]  # higher ground: as if the ray were lower
        _span(ray, range_m, moved, spans[number])
        for row in range(TURNED):
            span, sigma = spans[number, row // 2], TURN if row % 2 == 0 else -TURN
            length2 = 0.0
            for axis in range(3):
                turned[TURNED * number + row, axis] = ray[axis] + sigma * span[axis] / range_m
                length2 += turned[TURNED * number + row, axis] ** 2
            for axis in range(3):
                turned[TURNED * number + row, axis] /= math.sqrt(length2)


@njit(cache=True, nogil=True)
def _swing(x: float, y: float, z: float, ray: Array, length: float, out: Array) -> None:  # pragma: no cover - compiled
    """Add (x, y, z) cross ray, times a length."""
    out[0] += (y * ray[2] - z * ray[1]) * length
    out[1] += (z * ray[0] - x * ray[2]) * length
    out[2] += (x * ray[1] - y * ray[0]) * length


@njit(cache=True, nogil=True)
def _span(ray: Array, range_m: float, moved: Array, spans: Array) -> None:  # pragma: no cover - compiled
    """Across a ray, up and aside, one sigma of all that moves its far end; at least a millionth of its range."""
    flat = math.sqrt(ray[0] * ray[0] + ray[1] * ray[1])
    aside_east, aside_north = (ray[1] / flat, -ray[0] / flat) if flat > 1e-9 else (1.0, 0.0)
    spans[1, 0], spans[1, 1], spans[1, 2] = aside_east, aside_north, 0.0
    spans[0] = 0.0
    _swing(aside_east, aside_north, 0.0, ray, 1.0, spans[0])
    for side in range(2):
        sum2 = 0.0
        for cause in range(LINEAR):
            sum2 += _dot(spans[side], moved[cause]) ** 2
        spans[side] *= max(math.sqrt(sum2), 1e-6 * range_m)


@njit(cache=True, nogil=True)
def _dot(one: Array, other: Array) -> float:  # pragma: no cover - compiled
    product: float = one[0] * other[0] + one[1] * other[1] + one[2] * other[2]
    return product


@njit(cache=True, nogil=True)
def settle(
    found: Array, spans: Array, bent: Array, states: Numbers, sigmas: Array, moves: Array, covariances: Array,
    ellipses: Array, grazing: NDArray[np.bool_],
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Turn `moves` (n, causes, 3) from how rays move, as `loosen` has them, into how places move, and add the bends.

    `bent`, `states`: of the cast of the turned rays. Also filled: the covariances (n, 3, 3); `ellipses` (n, 3), one
    sigma of the longer and the shorter half axis, m, and the direction of the longer one, deg from north; and which
    places (n,) graze the ground, or are so near to the sky, that no ellipse holds.
    """
    ends, axes = np.empty((2, 3)), np.empty((2, 3))
    for number in range(len(found)):
        grazing[number] = False
        for side in range(2):
            first = TURNED * number + 2 * side
            grazing[number] |= states[first] == SKY or states[first + 1] == SKY
            _ends(found[number], spans[number, side], bent[first : first + 2], states[first : first + 2], ends)
            bend = moves[number, LINEAR + side]
            for i in range(3):
                axes[side, i] = 0.5 * (ends[0, i] - ends[1, i]) / TURN
                bend[i] = BENT * 0.5 * (ends[0, i] + ends[1, i])
            if side == 0:
                grazing[number] |= not _graze(found[number, 0], ends, axes[0], bend)
        _place(spans[number], axes, moves[number])
        moves[number, 9, 2] += sigmas[10]  # the ground is where it is, not where the ray was moved to
        moves[number, 16, 2] += sigmas[11]
        covariance = covariances[number]
        covariance[:] = 0.0
        for cause in range(len(CAUSES)):
            move = moves[number, cause]
            for i in range(3):
                for j in range(3):
                    covariance[i, j] += move[i] * move[j]
        middle = 0.5 * (covariance[0, 0] + covariance[1, 1])
        apart = math.hypot(0.5 * (covariance[0, 0] - covariance[1, 1]), covariance[0, 1])
        ellipses[number, 0], ellipses[number, 1] = math.sqrt(middle + apart), math.sqrt(max(middle - apart, 0.0))
        from_north = 0.5 * math.atan2(2 * covariance[0, 1], covariance[1, 1] - covariance[0, 0])
        ellipses[number, 2] = math.degrees(from_north) % 180.0


@njit(cache=True, nogil=True)
def _ends(row: Array, span: Array, bent: Array, states: Numbers, ends: Array) -> None:  # pragma: no cover - compiled
    """Where two opposite turned rays end, from the place; on level ground where that is not known."""
    for end in range(2):
        if states[end] == HIT:
            for i in range(3):
                ends[end, i] = bent[end, 0] * bent[end, 1 + i] - row[0] * row[1 + i]
            continue
        sigma = TURN if end == 0 else -TURN
        for i in range(3):
            ends[end, i] = sigma * (span[i] - row[1 + i] * span[2] / min(row[3], -0.1))


@njit(cache=True, nogil=True)
def _graze(range_m: float, ends: Array, axis: Array, bend: Array) -> bool:  # pragma: no cover - compiled
    """Lengthen a bend so that an ellipse holds nine in ten where far errors are longer than near ones.

    A ray raised by a share x of the angle at which it meets a plane goes 1 / (1 - x) times as far. False for more than
    GRAZING in one sigma: no ellipse holds.
    """
    far_m, near_m = math.sqrt(_dot(ends[0], ends[0])), math.sqrt(_dot(ends[1], ends[1]))
    share = far_m / (range_m + far_m)
    if near_m < range_m:
        share = min(share, near_m / (range_m - near_m))
    share /= TURN
    if share > GRAZING:
        return False
    wanted_m = range_m * share * ONE_SIDE / BOTH_SIDES / (1.0 - ONE_SIDE * share)
    length2 = _dot(bend, bend)
    extra2 = wanted_m * wanted_m - _dot(axis, axis)
    if extra2 > length2 > 0:
        bend *= math.sqrt(extra2 / length2)
    return True


@njit(cache=True, nogil=True)
def _place(spans: Array, axes: Array, moves: Array) -> None:  # pragma: no cover - compiled
    """How the place moves when the far end of the ray does: as the turned rays did, each share of their spans."""
    up2, aside2 = _dot(spans[0], spans[0]), _dot(spans[1], spans[1])
    for cause in range(LINEAR):
        move = moves[cause]
        up, aside = _dot(move, spans[0]) / up2, _dot(move, spans[1]) / aside2
        for i in range(3):
            move[i] = up * axes[0, i] + aside * axes[1, i]
