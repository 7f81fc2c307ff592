"""Flight heights that follow the ground and clear what stands on it: few corners, as near as climbing allows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.obstacles import Obstacles
from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]

STEEPEST = 1e6
"""A gradient that stands for none: up or down on the spot."""
SPARE = 0.1
"""Where the tolerance cannot be kept, straight pieces may lie above the least height by this share of it."""


def follow(
    corners: Array,
    plane: LocalPlane,
    terrain: Terrain,
    *,
    height_m: float,
    tolerance_m: float,
    climb_gradient: float = STEEPEST,
    descent_gradient: float = STEEPEST,
    obstacles: Obstacles | None = None,
    margins_m: tuple[float, float] = (10.0, 10.0),
) -> Array:
    """A path (k, 4) through corners (n, 2): x, y on the plane, flight height m AMSL, and the number of the corner.

    Between corners, where points are inserted (their number is -1), the flight height stays within `tolerance_m` of
    `height_m` above the ground, which is looked at every few metres. It nowhere rises or falls by more than the
    gradients (m up or down per m ahead: rate of climb or descent over speed) and clears `obstacles` by the horizontal
    and vertical `margins_m`. Where these two need it the path is higher than the tolerance allows (`too_high` says
    where), never lower. Raises TerrainMissing.
    """
    step_m = float(np.clip(height_m / 16, 2.0, 10.0))
    places, along_m, numbers = _samples(corners, step_m)
    wanted_m = _ground_m(places, plane, terrain) + height_m
    least_m = wanted_m - tolerance_m
    if obstacles is not None:
        floor_m = obstacles.floor_m(places, horizontal_m=margins_m[0] + step_m, vertical_m=margins_m[1])
        least_m = np.maximum(least_m, floor_m)
    climb, descent = min(climb_gradient, STEEPEST), min(descent_gradient, STEEPEST)
    flown_m = _flyable(along_m, wanted_m, least_m, climb, descent)
    most_m = np.maximum(wanted_m + tolerance_m, flown_m + SPARE * tolerance_m)
    kept = _bends(along_m, flown_m, least_m, most_m, numbers >= 0)
    return np.column_stack([places[kept], flown_m[kept], numbers[kept]])


def _samples(corners: Array, step_m: float) -> tuple[Array, Array, Array]:
    """Places (k, 2) at all corners and between them at most `step_m` apart, their distance along the path, m, and the
    number of the corner, -1 in between."""
    lengths_m = np.hypot(*np.diff(corners[:, :2], axis=0).T)
    counts = np.maximum(1, np.ceil(lengths_m / step_m)).astype(int)
    ends = np.append(0, counts.cumsum())
    share = np.interp(np.arange(ends[-1] + 1), ends, np.arange(len(corners)))
    at_corners = np.append(0.0, lengths_m.cumsum())
    numbers = np.full(len(share), -1.0)
    numbers[ends] = np.arange(len(corners))
    every = np.arange(len(corners))
    places = np.column_stack([np.interp(share, every, corners[:, axis]) for axis in (0, 1)])
    return places, np.interp(share, every, at_corners), numbers


def _ground_m(places: Array, plane: LocalPlane, terrain: Terrain) -> Array:
    return terrain.amsl_m(*plane.to_lonlat(places[:, 0], places[:, 1]))


@njit(cache=True, nogil=True)
def _flyable(along_m: Array, wanted_m: Array, least_m: Array, climb: float, descent: float) -> Array:
    """The heights nearest to those wanted that are nowhere below the least ones and nowhere steeper than allowed.

    The higher of two functions that are both flyable: the lowest one above `least_m`, and the highest one below
    `wanted_m`.
    """
    count = len(along_m)
    over, under = least_m.copy(), wanted_m.copy()
    for place in range(1, count):
        ahead_m = along_m[place] - along_m[place - 1]
        over[place] = max(over[place], over[place - 1] - descent * ahead_m)
        under[place] = min(under[place], under[place - 1] + climb * ahead_m)
    for place in range(count - 2, -1, -1):
        ahead_m = along_m[place + 1] - along_m[place]
        over[place] = max(over[place], over[place + 1] - climb * ahead_m)
        under[place] = min(under[place], under[place + 1] + descent * ahead_m)
    return np.maximum(over, under)


@njit(cache=True, nogil=True)
def _bends(
    along_m: Array, flown_m: Array, least_m: Array, most_m: Array, corner: NDArray[np.bool_]
) -> NDArray[np.int64]:
    """Samples to keep so that straight pieces between them stay between the bounds: each as far on as can be.

    Pieces between points of a flyable path are flyable themselves.
    """
    count = len(along_m)
    kept = np.empty(count, np.int64)
    kept[0] = 0
    found = 1
    begin = 0
    while begin < count - 1:
        low, high = -np.inf, np.inf
        best = begin + 1
        for place in range(begin + 1, count):
            ahead_m = along_m[place] - along_m[begin]
            if ahead_m <= 0:
                best = place
                break
            slope = (flown_m[place] - flown_m[begin]) / ahead_m
            if low <= slope <= high:
                best = place
            low = max(low, (least_m[place] - flown_m[begin]) / ahead_m)
            high = min(high, (most_m[place] - flown_m[begin]) / ahead_m)
            if corner[place] or low > high:
                break
        kept[found] = best
        found += 1
        begin = best
    return kept[:found]


def above_ground_m(path: Array, plane: LocalPlane, terrain: Terrain, *, step_m: float, aside_m: float = 0.0) -> Array:
    """Heights above the ground, m, along a path (k, 3+): x, y, m AMSL, every `step_m`.

    With `aside_m`, three rows: left of the path, below it and right of it by so much. Raises TerrainMissing.
    """
    if len(path) < 2:
        return np.empty((1 if aside_m == 0 else 3, 0))
    places, flight_m, across = _flown(path, step_m)
    sides = (places,) if aside_m == 0 else (places + across * aside_m, places, places - across * aside_m)
    return np.stack([flight_m - _ground_m(side, plane, terrain) for side in sides])


def _flown(path: Array, step_m: float) -> tuple[Array, Array, Array]:
    """Places (k, 2) along all pieces of a path that go ahead, heights, m AMSL, and unit vectors (k, 2) to the left."""
    starts, moves = path[:-1, :3], np.diff(path[:, :3], axis=0)
    lengths_m = np.hypot(moves[:, 0], moves[:, 1])
    ahead = lengths_m > 1e-6
    if not ahead.any():  # straight up or down: what counts is the lowest place
        ahead[np.argmin(path[:-1, 2])] = True
        starts, moves = starts.copy(), 0 * moves
        starts[:, 2] = path[:, 2].min()
    starts, moves, lengths_m = starts[ahead], moves[ahead], lengths_m[ahead]
    counts = np.maximum(1, np.ceil(lengths_m / step_m)).astype(int) + 1
    piece = np.repeat(np.arange(len(counts)), counts)
    share = (np.arange(len(piece)) - np.repeat(counts.cumsum() - counts, counts)) / (counts[piece] - 1)
    places = starts[piece] + moves[piece] * share[:, None]
    left = np.column_stack([-moves[:, 1], moves[:, 0]]) / np.maximum(lengths_m, 1e-9)[:, None]
    return places[:, :2], places[:, 2], left[piece]


@dataclass(frozen=True)
class Stretch:
    """A part of a path whose height above the ground is not what it should be."""

    length_m: float
    """Along the path, m."""
    above_ground_m: float
    """Height above the ground where it is furthest off, m."""
    lon: float
    """Where that is, deg."""
    lat: float
    """Where that is, deg."""


def too_high(
    path: Array, plane: LocalPlane, terrain: Terrain, *, height_m: float, tolerance_m: float
) -> tuple[Stretch, ...]:
    """Where a path (k, 3+) lies above the wanted height by more than the tolerance. Raises TerrainMissing."""
    return _stretches(path, plane, terrain, least_m=-np.inf, most_m=height_m + tolerance_m)


def too_low(path: Array, plane: LocalPlane, terrain: Terrain, *, least_m: float) -> tuple[Stretch, ...]:
    """Where a path (k, 3+) comes nearer to the ground than `least_m`. Raises TerrainMissing."""
    return _stretches(path, plane, terrain, least_m=least_m, most_m=np.inf)


def _stretches(
    path: Array, plane: LocalPlane, terrain: Terrain, *, least_m: float, most_m: float
) -> tuple[Stretch, ...]:
    """Runs of places outside the bounds, looked at every 5 m."""
    step_m = 5.0
    if len(path) < 2:
        path = np.repeat(path, 2, axis=0)
    places, flight_m, _ = _flown(path, step_m)
    above_m = flight_m - _ground_m(places, plane, terrain)
    off_m = np.maximum(above_m - most_m, least_m - above_m)
    wrong = np.concatenate([[False], off_m > 0.05, [False]])
    begins, ends = (np.flatnonzero(wrong[1:] & ~wrong[:-1]), np.flatnonzero(~wrong[1:] & wrong[:-1]))
    found = []
    for begin, end in zip(begins, ends, strict=True):
        worst = begin + int(np.argmax(off_m[begin:end]))
        lon, lat = plane.to_lonlat(*places[worst])
        run_m = np.hypot(*np.diff(places[begin:end], axis=0).T).sum() if end - begin > 1 else 0.0
        found.append(Stretch(float(run_m), float(above_m[worst]), float(lon), float(lat)))
    return tuple(found)
