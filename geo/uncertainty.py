"""How far each cause of error moves the place that a pixel shows, compiled.

A cause moves the ray; where the moved ray meets the ground about the place, taken as a plane, is the move (Jacobian
times sigma). Where ground or grazing rays make that a bad guess, rays turned by BEND sigmas say so, and two more
causes make up what the plane left out.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.casting import HIT, SKY

Array = NDArray[np.float64]
Numbers = NDArray[np.int64]

CAUSES = (
    "east", "north", "up", "tilt_east", "tilt_north", "yaw", "time", "u", "v", "surface", "gimbal_pitch", "gimbal_yaw",
    "gimbal_roll", "focal", "center_u", "center_v", "datum", "bend_up", "bend_aside",
)  # fmt: skip
"""What makes a location wrong, in the order of `Location.moves_m`. Tilts are turns about the east and north axes, the
next turns those about the camera's right, down and forward axes; `surface` is the height of terrain and target, `datum`
that of the vertical datum; bends are what no plane explains, for rays turned up or down and aside."""
LINEAR = len(CAUSES) - 2
BEND = 1.25
"""Rays are turned by so many sigmas: what lies beyond is rarer than one in ten. Against Monte Carlo the ellipses
hold 0.88 to 0.92 down to where a ray turned up by so much sees no ground."""
HALVES = np.array([[0.0, 0.0], [0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]])
"""A pixel and the ends of the differences about it."""


@njit(cache=True, nogil=True)
def linear_moves(
    found: Array, rays: Array, turn: Array, offsets: Array, pixel_sigmas: Array, sigmas: Array, motion: Array,
    moves: Array, axes: Array, turned: Array,
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Fill the moves (n, causes, 3) of all but the bends, and rays turned by them.

    `found` as of a cast; `rays` (5, n, 3) of HALVES in camera axes; `offsets` (n, 2) of the pixels from the principal
    point, px; `pixel_sigmas` (n, 2), px; `sigmas` horizontal_m, vertical_m, tilt, yaw, gimbal pitch, yaw and roll
    (rad), time_s, focal share, centre_px, surface_m, datum_m; `motion` velocity m/s and turn rates rad/s, each east,
    north, up.
    Also filled: `axes` (n, 2, 3), how far one sigma of all causes together, up and aside, moves the place; `turned`
    (4 n, 3) unit rays turned up, down, aside, back.
    """
    normal, free, shift = np.empty(3), np.empty((LINEAR, 3)), np.empty((3, 3))
    count = len(found)
    for number in range(count):
        range_m = found[number, 0]
        ray = found[number, 1:4]
        _normal_of(found[number], normal)
        facing = normal[0] * ray[0] + normal[1] * ray[1] + normal[2] * ray[2]
        for i in range(3):
            for j in range(3):
                shift[i, j] = (1.0 if i == j else 0.0) - ray[i] * normal[j] / facing
        # how each cause moves the far end of the ray
        free[:] = 0.0
        free[0, 0], free[1, 1], free[2, 2] = sigmas[0], sigmas[0], sigmas[1]
        _turned(1.0, 0.0, 0.0, ray, range_m * sigmas[2], free[3])
        _turned(0.0, 1.0, 0.0, ray, range_m * sigmas[2], free[4])
        _turned(0.0, 0.0, 1.0, ray, range_m * sigmas[3], free[5])
        _turned(motion[3], motion[4], motion[5], ray, range_m * sigmas[7], free[6])
        for axis in range(3):
            free[6, axis] += motion[axis] * sigmas[7]
            _turned(turn[0, axis], turn[1, axis], turn[2, axis], ray, range_m * sigmas[4 + axis], free[10 + axis])
        for across in range(2):
            ahead, behind = rays[1 + 2 * across, number], rays[2 + 2 * across, number]
            for axis in range(3):
                per_px = 0.0
                for part in range(3):
                    first, last = ahead[part], behind[part]
                    if math.isnan(first):
                        first = 2 * rays[0, number, part] - last
                    elif math.isnan(last):
                        last = 2 * rays[0, number, part] - first
                    per_px += turn[axis, part] * (first - last)
                per_px *= range_m
                free[7 + across, axis] = per_px * pixel_sigmas[number, across]
                free[13, axis] -= per_px * offsets[number, across] * sigmas[8]
                free[14 + across, axis] = -per_px * sigmas[9]
        free[9, 2], free[16, 2] = -sigmas[10], -sigmas[11]  # ground that is higher: as if the ray were lower
        for cause in range(LINEAR):
            for i in range(3):
                moves[number, cause, i] = (
                    shift[i, 0] * free[cause, 0] + shift[i, 1] * free[cause, 1] + shift[i, 2] * free[cause, 2]
                )
        # ... and the ground is where it is, not where the ray was moved to
        moves[number, 9, 2] += sigmas[10]
        moves[number, 16, 2] += sigmas[11]
        _spread(ray, range_m, free, shift, axes[number], turned[4 * number : 4 * number + 4])


@njit(cache=True, nogil=True)
def _normal_of(row: Array, normal: Array) -> None:  # pragma: no cover - compiled
    """The vector (-dz/de, -dz/dn, 1) of the ground where a ray came from above; level ground where the slope about
    the place faces away (an edge), a wall where the ray rises."""
    normal[0], normal[1], normal[2] = -row[7], -row[8], 1.0
    if normal[0] * row[1] + normal[1] * row[2] + row[3] < -1e-3:
        return
    normal[0] = normal[1] = 0.0
    if row[3] > -1e-3:
        normal[0], normal[1], normal[2] = -row[1], -row[2], 0.0


@njit(cache=True, nogil=True)
def _turned(x: float, y: float, z: float, ray: Array, length: float, out: Array) -> None:  # pragma: no cover - compiled
    """Add (x, y, z) cross ray, times a length."""
    out[0] += (y * ray[2] - z * ray[1]) * length
    out[1] += (z * ray[0] - x * ray[2]) * length
    out[2] += (x * ray[1] - y * ray[0]) * length


@njit(cache=True, nogil=True)
def _spread(
    ray: Array, range_m: float, free: Array, shift: Array, axes: Array, turned: Array
) -> None:  # pragma: no cover - compiled
    """How far all causes together move the ray up and aside, across itself, and what that does to the place."""
    flat = math.sqrt(ray[0] * ray[0] + ray[1] * ray[1])
    across = np.zeros((2, 3))
    across[1, 0] = 1.0
    if flat > 1e-9:
        across[1, 0], across[1, 1] = ray[1] / flat, -ray[0] / flat
    for axis in range(3):  # up = aside x ray
        one, other = (axis + 1) % 3, (axis + 2) % 3
        across[0, axis] = across[1, one] * ray[other] - across[1, other] * ray[one]
    for side in range(2):
        sum2 = 0.0
        for cause in range(len(free)):
            along = (
                across[side, 0] * free[cause, 0] + across[side, 1] * free[cause, 1] + across[side, 2] * free[cause, 2]
            )
            sum2 += along * along
        sigma_m = math.sqrt(sum2)
        angle = BEND * sigma_m / range_m
        length = math.sqrt(1.0 + angle * angle)
        for axis in range(3):
            axes[side, axis] = sigma_m * (
                shift[axis, 0] * across[side, 0] + shift[axis, 1] * across[side, 1] + shift[axis, 2] * across[side, 2]
            )
            turned[2 * side, axis] = (ray[axis] + angle * across[side, axis]) / length
            turned[2 * side + 1, axis] = (ray[axis] - angle * across[side, axis]) / length


@njit(cache=True, nogil=True)
def finish(
    found: Array, axes: Array, bent: Array, states: Numbers, moves: Array, covariances: Array, ellipses: Array,
    grazing: NDArray[np.bool_],
) -> None:  # pragma: no cover - compiled  # fmt: skip
    """Fill the moves of the bends, the covariances (n, 3, 3) and `ellipses` (n, 3): one sigma of the longer and the
    shorter half axis, m, and the direction of the longer one, deg from north; and which places (n,) graze: their error
    reaches the sky.

    `bent`, `states`: of the cast of the turned rays. Where those need ground that is not known the plane stands.
    """
    grazing[:] = False
    for number in range(len(found)):
        for side in range(2):
            ahead, behind = 4 * number + 2 * side, 4 * number + 2 * side + 1
            grazing[number] |= states[ahead] == SKY or states[behind] == SKY
            known = states[ahead] == HIT and states[behind] == HIT
            _bend(found[number], axes[number, side], bent[ahead], bent[behind], known, moves[number, LINEAR + side])
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
def _bend(
    row: Array, axis: Array, ahead: Array, behind: Array, known: bool, out: Array
) -> None:  # pragma: no cover - compiled
    """What makes the second moment of two turned rays out of that of one axis, along the larger departure from it."""
    out[:] = 0.0
    if not known:
        return
    first2 = last2 = 0.0
    first, last = np.empty(3), np.empty(3)
    for i in range(3):
        middle = row[0] * row[1 + i]
        first[i] = ahead[0] * ahead[1 + i] - middle - BEND * axis[i]
        last[i] = behind[0] * behind[1 + i] - middle + BEND * axis[i]
        first2 += first[i] * first[i]
        last2 += last[i] * last[i]
    if max(first2, last2) < 1e-12:
        return
    off = first if first2 >= last2 else last
    length = math.sqrt(max(first2, last2))
    to_first = to_last = along = 0.0
    for i in range(3):
        to_first += (first[i] + BEND * axis[i]) * off[i] / length
        to_last += (last[i] - BEND * axis[i]) * off[i] / length
        along += axis[i] * off[i] / length
    extra2 = (to_first * to_first + to_last * to_last) / (2 * BEND * BEND) - along * along
    if extra2 > 0:
        for i in range(3):
            out[i] = off[i] / length * math.sqrt(extra2)
