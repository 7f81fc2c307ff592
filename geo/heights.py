"""Flight heights that follow the ground: few corners, never further from the wanted height than a tolerance."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]


def follow(corners: Array, plane: LocalPlane, terrain: Terrain, *, height_m: float, tolerance_m: float) -> Array:
    """A path (k, 4) through corners (n, 2): x, y on the plane, flight height m AMSL, and the number of the corner.

    Between corners, where points are inserted (their number is -1), the flight height stays within
    `tolerance_m` of `height_m` above the ground, which is looked at every few metres. Raises TerrainMissing.
    """
    step_m = float(np.clip(height_m / 5, 4.0, 25.0))
    rows: list[Array] = []
    for number in range(len(corners)):
        if number == 0:
            ground_m = _ground_m(corners[:1], plane, terrain)
            rows.append(np.array([[*corners[0], ground_m[0] + height_m, 0]]))
            continue
        start, end = corners[number - 1], corners[number]
        count = max(1, int(np.ceil(np.hypot(*(end - start)) / step_m)))
        places = start + (end - start) * np.linspace(0, 1, count + 1)[:, None]
        wanted_m = _ground_m(places, plane, terrain) + height_m
        kept = _bends(wanted_m, tolerance_m)
        numbers = np.full(len(kept), -1.0)
        numbers[-1] = number
        rows.append(np.column_stack([places[kept], wanted_m[kept], numbers])[1:])
    return np.concatenate(rows)


def _ground_m(places: Array, plane: LocalPlane, terrain: Terrain) -> Array:
    return terrain.amsl_m(*plane.to_lonlat(places[:, 0], places[:, 1]))


def _bends(wanted_m: Array, tolerance_m: float) -> list[int]:
    """Samples to keep so that straight pieces between them stay within the tolerance (Douglas and Peucker)."""
    last = len(wanted_m) - 1
    kept, open_pieces = {0, last}, [(0, last)]
    while open_pieces:
        first, end = open_pieces.pop()
        if end - first < 2:
            continue
        straight_m = np.interp(np.arange(first, end + 1), [first, end], [wanted_m[first], wanted_m[end]])
        away_m = np.abs(wanted_m[first : end + 1] - straight_m)
        worst = first + int(np.argmax(away_m))
        if away_m[worst - first] > tolerance_m:
            kept.add(worst)
            open_pieces.extend([(first, worst), (worst, end)])
    return sorted(kept)


def above_ground_m(path: Array, plane: LocalPlane, terrain: Terrain, *, step_m: float, aside_m: float = 0.0) -> Array:
    """Heights above the ground, m, along a path (k, 3+): x, y, m AMSL, every `step_m`.

    With `aside_m`, three rows: left of the path, below it and right of it by so much.
    """
    found: list[Array] = []
    for start, end in zip(path[:-1, :3], path[1:, :3], strict=True):
        along = end[:2] - start[:2]
        length_m = float(np.hypot(*along))
        if length_m < 1e-6:
            continue
        share = np.linspace(0, 1, max(2, int(np.ceil(length_m / step_m)) + 1))[:, None]
        places = start[:2] + along * share
        flight_m = (start[2] + (end[2] - start[2]) * share)[:, 0]
        across = np.array([-along[1], along[0]]) / length_m * aside_m
        sides = (places,) if aside_m == 0 else (places + across, places, places - across)
        found.append(np.stack([flight_m - _ground_m(side, plane, terrain) for side in sides]))
    return np.concatenate(found, axis=1) if found else np.empty((1 if aside_m == 0 else 3, 0))
