"""Rays to terrain, compiled: marching over squares of posts by pyramids of maxima, exact in the bilinear cell.

A ray is above a whole block of cells, and skips it, where its lowest point over the block is higher than the highest
post; else the next finer block is looked at, down to one cell, where the bilinear surface is met by a quadratic. No
slope is assumed: a wall one cell thick cannot be jumped. Rasters overlay each other as in `geo.terrain.TerrainTiles`.
See `geo.relief` for the arrays.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.layers import BELOW, FIRST, HIT, LEVELS, SKY, SQUARE, UNKNOWN, UNLOADED, ground_at, located, slot_of
from geo.sightlines import at, course

Array = NDArray[np.float64]
Cells = NDArray[np.float32]
Numbers = NDArray[np.int64]

STRIDE_M = 64.0
"""A ray is taken as straight in a raster over so much of its length: it bends by 0.3 mm."""
STEP_M = 1e-6
"""A step so much longer than to the edge of a block ends inside the next."""
STEEPEST_SKY = math.sin(math.radians(20.0))
"""Rays that rise more steeply are taken to end in the sky."""
BLENDS = 16
"""Looks per cell where rasters fade into each other."""
PLACE = 7
"""Columns of a cast: range, m; east, north, up of the unit ray; degrees east and north of the eye; m AMSL."""


@njit(cache=True, nogil=True)
def _track(
    eye: Array, path: Array, reach_m: float, layer: Array, terms: Array, out: Array
) -> None:  # pragma: no cover - compiled
    """Fill `out` (2, 4): column and row along a ray as cubics of its range, interpolated up to `reach_m`."""
    if layer[8] > 0:
        for axis in range(2):
            for power in range(4):
                out[axis, power] = (
                    terms[axis, 1, 0] * path[0, power] * layer[6] + terms[axis, 0, 1] * path[1, power] * layer[7]
                )
        out[0, 0], out[1, 0] = located(eye, layer, terms, 0.0, 0.0)
        return
    third = reach_m / 3.0
    c0, r0 = located(eye, layer, terms, 0.0, 0.0)
    c1, r1 = located(eye, layer, terms, at(path[0], third), at(path[1], third))
    c2, r2 = located(eye, layer, terms, at(path[0], 2 * third), at(path[1], 2 * third))
    c3, r3 = located(eye, layer, terms, at(path[0], reach_m), at(path[1], reach_m))
    _through(c0, c1, c2, c3, third, out[0])
    _through(r0, r1, r2, r3, third, out[1])


@njit(cache=True, nogil=True)
def _through(y0: float, y1: float, y2: float, y3: float, step: float, out: Array) -> None:  # pragma: no cover
    """The cubic through four values, `step` apart."""
    d1, d2, d3 = y1 - y0, y2 - 2 * y1 + y0, y3 - 3 * y2 + 3 * y1 - y0
    out[0] = y0
    out[1] = (d1 - d2 / 2 + d3 / 3) / step
    out[2] = (d2 / 2 - d3 / 2) / (step * step)
    out[3] = d3 / 6 / (step * step * step)


@njit(cache=True, nogil=True)
def _leaving(place: float, speed: float, low: float, high: float) -> float:  # pragma: no cover - compiled
    """How far on a coordinate that changes by `speed` per metre leaves the stretch from low to high, m."""
    if speed > 0:
        return max((high - place) / speed, 0.0)
    return max((low - place) / speed, 0.0) if speed < 0 else math.inf


@njit(cache=True, nogil=True)
def _coming(place: float, speed: float, low: float, high: float) -> float:  # pragma: no cover - compiled
    """How far on it comes into that stretch, m; inf for never."""
    if low < place < high:
        return 0.0
    ahead = (low - place) if place <= low else (high - place)
    return ahead / speed if ahead * speed > 0 else (0.0 if ahead == 0.0 and speed != 0.0 else math.inf)


@njit(cache=True, nogil=True)
def _rate(track: Array, range_m: float) -> float:  # pragma: no cover - compiled
    value: float = track[1] + range_m * (2 * track[2] + range_m * 3 * track[3])
    return value


@njit(cache=True, nogil=True)
def _met(
    path: Array, track: Array, begin_m: float, end_m: float, posts: Cells, top: int, left: int, row: int, col: int
) -> float:  # pragma: no cover - compiled
    """Range at which a ray meets the bilinear cell between four posts within a stretch; inf if it does not.

    `top`, `left` are those of the cell in `posts`, `row`, `col` those in the raster.
    """
    a = float(posts[top, left])
    b, c = float(posts[top, left + 1]) - a, float(posts[top + 1, left]) - a
    d = float(posts[top + 1, left + 1]) - a - b - c
    u0, v0 = at(track[0], begin_m) - col, at(track[1], begin_m) - row
    u1, v1 = at(track[0], end_m) - col - u0, at(track[1], end_m) - row - v0
    z0 = at(path[2], begin_m)
    # f(s) = over + fall s + bow s2, height of the ray above the surface, s from 0 to 1
    over = z0 - (a + b * u0 + c * v0 + d * u0 * v0)
    if over <= 0:
        return begin_m
    fall = at(path[2], end_m) - z0 - (b * u1 + c * v1 + d * (u0 * v1 + v0 * u1))
    bow = -d * u1 * v1
    if over + fall + bow > 0 and not (bow > 0 and 0 < -fall < 2 * bow):
        return math.inf
    inner = fall * fall - 4 * bow * over
    if inner < 0:
        return math.inf
    share = 2 * over / (-fall + math.sqrt(inner)) if -fall + math.sqrt(inner) > 0 else math.inf
    if not 0 <= share <= 1 + 1e-9:
        return math.inf
    met_m = begin_m + share * (end_m - begin_m)
    # once more with the earth's curve within the cell
    u, v = at(track[0], met_m) - col, at(track[1], met_m) - row
    left_over = at(path[2], met_m) - (a + b * u + c * v + d * u * v)
    speed = (fall + 2 * bow * share) / (end_m - begin_m)
    return met_m - left_over / speed if speed < -1e-3 else met_m


@njit(cache=True, nogil=True)
def _march(
    path: Array, track: Array, range_m: float, end_m: float, layer: Array, directory: Numbers, squares: Cells,
    maxima: Cells,
) -> tuple[int, float, int]:  # pragma: no cover - compiled  # fmt: skip
    """Along a ray inside one raster: (HIT, range, -1), (UNLOADED, range, square), or (SKY, range, -1) where it comes
    to the end, to the edge of the raster or to a hole in it."""
    level = LEVELS
    last_row, last_col = int(layer[0]) - 2, int(layer[1]) - 2
    while range_m < end_m:
        x, y = at(track[0], range_m), at(track[1], range_m)
        if not (0.0 <= x <= last_col + 1 and 0.0 <= y <= last_row + 1):
            break
        col, row = min(int(x), last_col), min(int(y), last_row)
        slot, number = slot_of(layer, directory, row, col)
        if slot < 0:
            return UNLOADED, range_m, number
        speed_x, speed_y = _rate(track[0], range_m), _rate(track[1], range_m)
        per_x = 1.0 / speed_x if speed_x != 0.0 else math.inf
        per_y = 1.0 / speed_y if speed_y != 0.0 else math.inf
        top, left = row & (SQUARE - 1), col & (SQUARE - 1)
        while True:
            edge_x, edge_y = (col >> level) << level, (row >> level) << level
            if speed_x > 0:
                edge_x = min(edge_x + (1 << level), last_col + 1)
            if speed_y > 0:
                edge_y = min(edge_y + (1 << level), last_row + 1)
            on_x, on_y = (edge_x - x) * per_x, (edge_y - y) * per_y
            on = STRIDE_M  # not a number where a ray runs along an edge
            if 0.0 <= on_x < on:
                on = on_x
            if 0.0 <= on_y < on:
                on = on_y
            next_m = min(range_m + on + STEP_M, end_m)
            if level == 0:
                break
            lowest = min(at(path[2], range_m), at(path[2], next_m)) - 1e-4
            side = SQUARE >> level
            if lowest > maxima[slot, FIRST[level] + (top >> level) * side + (left >> level)]:
                break
            level -= 1
        if level == 0:
            posts = squares[slot]
            if math.isnan(posts[top, left] + posts[top, left + 1] + posts[top + 1, left] + posts[top + 1, left + 1]):
                break
            met_m = _met(path, track, range_m, next_m, posts, top, left, row, col)
            if met_m < math.inf:
                return HIT, met_m, -1
        range_m = next_m
        level = min(level + 1, LEVELS)
    return SKY, range_m, -1


@njit(cache=True, nogil=True)
def _chosen(
    tracks: Array, near: NDArray[np.bool_], range_m: float, end_m: float, layers: Array, directory: Numbers,
    squares: Cells,
) -> tuple[int, int, float]:  # pragma: no cover - compiled  # fmt: skip
    """The raster that alone counts at a place of a ray, and up to which range at most: (k, -1, range). k is -1 where
    none does and -2 where some fade; (-3, square, range) for a square to load."""
    fades = False
    for k in range(len(layers)):
        if not near[k]:
            continue
        layer, track = layers[k], tracks[k]
        x, y = at(track[0], range_m), at(track[1], range_m)
        speed_x, speed_y = _rate(track[0], range_m), _rate(track[1], range_m)
        rows, cols = layer[0], layer[1]
        if not (-1.0 < x < cols and -1.0 < y < rows):
            ahead = max(_coming(x, speed_x, -1.0, cols), _coming(y, speed_y, -1.0, rows))
            end_m = min(end_m, range_m + 0.999 * ahead + 1e-3)
            continue
        if 0.0 <= x <= cols - 1.0 and 0.0 <= y <= rows - 1.0:
            row, col = min(int(y), max(int(rows) - 2, 0)), min(int(x), max(int(cols) - 2, 0))
            slot, number = slot_of(layer, directory, row, col)
            if slot < 0:
                return -3, number, range_m
            top, left = row & (SQUARE - 1), col & (SQUARE - 1)
            corners = squares[slot, top : top + 2, left : left + 2]
            if not math.isnan(corners[0, 0] + corners[0, 1] + corners[1, 0] + corners[1, 1]):
                return (-2 if fades else k), -1, end_m
        else:
            fades = True
        on = min(
            _leaving(x, speed_x, math.floor(x), math.floor(x) + 1.0),
            _leaving(y, speed_y, math.floor(y), math.floor(y) + 1.0),
        )
        end_m = min(end_m, range_m + min(on, STRIDE_M) + STEP_M)
    return (-2 if fades else -1), -1, end_m


@njit(cache=True, nogil=True)
def _faded(
    eye: Array, path: Array, begin_m: float, end_m: float, layers: Array, terms: Array, directory: Numbers,
    squares: Cells,
) -> tuple[int, float, int]:  # pragma: no cover - compiled  # fmt: skip
    """As `_march`, within one cell where rasters fade into each other: by small steps and bisection."""
    near_m = begin_m
    for step in range(BLENDS + 1):
        far_m = begin_m + (end_m - begin_m) * step / BLENDS
        ground_m, state, number = ground_at(
            eye, at(path[0], far_m), at(path[1], far_m), layers, terms, directory, squares
        )
        if state != HIT:
            return state, far_m, number
        if at(path[2], far_m) > ground_m:
            near_m = far_m
            continue
        for _ in range(40 if step else 0):
            middle_m = 0.5 * (near_m + far_m)
            ground_m, state, number = ground_at(
                eye, at(path[0], middle_m), at(path[1], middle_m), layers, terms, directory, squares
            )
            if state == UNLOADED:
                return state, near_m, number
            if at(path[2], middle_m) > ground_m:
                near_m = middle_m
            else:
                far_m = middle_m
        return HIT, far_m, -1
    return SKY, end_m, -1


@njit(cache=True, nogil=True)
def _flat(path: Array, ground_m: float, end_m: float) -> tuple[int, float]:  # pragma: no cover - compiled
    """Where a ray meets ground of one height."""
    over, fall, bow = path[2, 0] - ground_m, path[2, 1], path[2, 2]
    if over <= 0:
        return HIT, 0.0
    inner = fall * fall - 4 * bow * over
    if fall >= 0 or inner < 0:
        return SKY, end_m
    range_m = 2 * over / (-fall + math.sqrt(inner))
    range_m -= (at(path[2], range_m) - ground_m) / _rate(path[2], range_m)
    return (HIT, range_m) if range_m <= end_m else (SKY, end_m)


@njit(cache=True, nogil=True)
def cast(
    eye: Array, turn: Array, rays: Array, end_m: float, flat_m: float, layers: Array, terms: Array,
    directory: Numbers, squares: Cells, maxima: Cells, found: Array, states: Numbers,
) -> int:  # pragma: no cover - compiled  # fmt: skip
    """Follow rays (n, 3), turned by `turn` (3, 3) to east, north, up, to the ground; the largest state of
    all, UNLOADED if one has it.

    `found` (n, PLACE) and `states` (n, 2: what became of it, number of the square it waits for) are filled. Those whose
    state is UNLOADED on entry are followed, from the range that `found` tells on; all others are left alone. `flat_m`
    is the height of flat ground, NaN where rasters count.
    """
    path, tracks = np.empty((3, 4)), np.empty((len(layers), 2, 4))
    near = np.zeros(len(layers), np.bool_)
    worst, waiting = HIT, False
    for number in range(len(rays)):
        if states[number, 0] != UNLOADED:
            worst = max(worst, states[number, 0])
            continue
        row = found[number]
        for axis in range(3):
            row[1 + axis] = (
                turn[axis, 0] * rays[number, 0] + turn[axis, 1] * rays[number, 1] + turn[axis, 2] * rays[number, 2]
            )
        course(eye, row[1], row[2], row[3], path)
        range_m, state, square = row[0], SKY, -1
        if not row[3] < STEEPEST_SKY:
            pass
        elif not math.isnan(flat_m):
            state, range_m = _flat(path, flat_m, end_m)
        else:
            for k in range(len(layers)):
                near[k] = _passes(eye, path, end_m, layers[k])
                if near[k]:
                    _track(eye, path, end_m, layers[k], terms[k], tracks[k])
            while state == SKY and range_m < end_m:
                k, square, limit_m = _chosen(tracks, near, range_m, end_m, layers, directory, squares)
                if k == -3:
                    state = UNLOADED
                elif k == -1:
                    state = UNKNOWN
                elif k == -2:
                    state, range_m, square = _faded(eye, path, range_m, limit_m, layers, terms, directory, squares)
                else:
                    state, range_m, square = _march(
                        path, tracks[k], range_m, limit_m, layers[k], directory, squares, maxima
                    )
        if state == HIT and range_m <= 0.0:
            state = BELOW
        row[0] = range_m if state != SKY else math.nan
        row[4], row[5], row[6] = at(path[0], row[0]), at(path[1], row[0]), at(path[2], row[0])
        states[number, 0], states[number, 1] = state, square
        worst, waiting = max(worst, state), waiting or state == UNLOADED
    return UNLOADED if waiting else worst


@njit(cache=True, nogil=True)
def _passes(eye: Array, path: Array, end_m: float, layer: Array) -> bool:  # pragma: no cover - compiled
    """Whether a ray may come through the box of a raster, taken as straight with a margin of a hundredth."""
    enters, leaves = 0.0, 1.0
    lon, lat = at(path[0], end_m), at(path[1], end_m)
    margin = 0.01 * max(abs(lon), abs(lat)) + 1e-6
    for axis in range(2):
        along = lon if axis == 0 else lat
        low, high = layer[9 + axis] - margin - eye[axis], layer[11 + axis] + margin - eye[axis]
        if abs(along) < 1e-9:
            if low > 0.0 or high < 0.0:
                return False
            continue
        enters = max(enters, min(low / along, high / along))
        leaves = min(leaves, max(low / along, high / along))
    return enters <= leaves


@njit(cache=True, nogil=True)
def placed(eye: Array, turn: Array, rays: Array, ranges: Array, found: Array) -> None:  # pragma: no cover - compiled
    """Fill what a cast tells of places at ranges (n,), m, along rays (n, 3)."""
    path = np.empty((3, 4))
    for number in range(len(rays)):
        row = found[number]
        for axis in range(3):
            row[1 + axis] = (
                turn[axis, 0] * rays[number, 0] + turn[axis, 1] * rays[number, 1] + turn[axis, 2] * rays[number, 2]
            )
        course(eye, row[1], row[2], row[3], path)
        row[0] = ranges[number]
        row[4], row[5], row[6] = at(path[0], row[0]), at(path[1], row[0]), at(path[2], row[0])
