"""How far apart lines may lie over real ground so that neighbouring pictures still overlap."""

from __future__ import annotations

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray
from shapely import Polygon

from geo.camera_library import CameraModel
from geo.errors import CameraInvalid
from geo.pictures import NADIR_DEG, footprint
from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]

MOST_CELLS = 200_000
"""The ground is looked at in no more places than this, in each direction."""
DIRECTIONS_DEG = (0.0, 30.0, 60.0, 90.0, 120.0, 150.0)
"""Tried where the direction of the lines is not known."""
NARROWEST = 0.2
"""A spacing below this share of that on even ground is not offered."""
SHARES = np.arange(1.0, NARROWEST - 1e-9, -0.01)
"""Spacings tried, as shares of that on even ground."""


def swath_on(
    terrain: Terrain,
    plane: LocalPlane,
    polygon: Polygon,
    model: CameraModel,
    *,
    height_m: float,
    side_overlap: float,
    pitch_deg: float = NADIR_DEG,
    heading_deg: float | None = None,
    lower_m: float = 0.0,
) -> float:
    """The widest line spacing, m, that keeps the side overlap (percent) over the ground of an area.

    Lines lie anywhere in `polygon` (m on the plane), `heading_deg` clockwise from north or, if None, in any
    direction, `height_m` above the ground below them, or up to `lower_m` less. Everywhere two neighbouring pictures
    share at least `side_overlap` of the width that a picture needs on even ground at that spacing; a picture
    reaches as far as its edge ray's first meeting with the ground. Raises CameraInvalid where no spacing down to a
    fifth of that on even ground does (a ridge as high as the flight), TerrainMissing.
    """
    share = 1.0 - side_overlap / 100.0
    flown_m = height_m - lower_m
    reach = footprint(model, height_m=1.0, pitch_deg=pitch_deg).across_m / 2
    even_m = 2 * reach * flown_m * share
    widest_m = even_m
    for heading in DIRECTIONS_DEG if heading_deg is None else (heading_deg,):
        ground_m, step_m = _across_lines(terrain, plane, polygon, heading, even_m)
        if not np.isfinite(ground_m).any():
            continue
        left, right = (
            _reaches(side, flown_m, reach, step_m) for side in (np.ascontiguousarray(ground_m[:, ::-1]), ground_m)
        )
        found = _widest(np.ascontiguousarray(left[:, ::-1]), right, step_m, share, widest_m, SHARES)
        if found <= 0:
            raise CameraInvalid(
                f"side_overlap: {side_overlap:g} percent cannot be kept {height_m:.0f} m above this ground along lines "
                f"of {heading:g} deg: fly higher, or plan the steep part on its own"
            )
        widest_m = min(widest_m, float(found))
    return widest_m


def _across_lines(
    terrain: Terrain, plane: LocalPlane, polygon: Polygon, heading_deg: float, even_m: float
) -> tuple[Array, float]:
    """Ground heights m AMSL (along, across) on a grid turned so that lines run along its first axis, and its step.

    NaN outside the polygon.
    """
    turn = np.radians(heading_deg)
    along, across = np.array([np.sin(turn), np.cos(turn)]), np.array([np.cos(turn), -np.sin(turn)])
    corners = shapely.get_coordinates(polygon) @ np.stack([across, along], axis=1)
    low, high = corners.min(axis=0), corners.max(axis=0)
    step_m = float(np.clip(even_m / 12, 1.0, 20.0))
    stride_m = max(step_m, float((high - low).prod()) / (step_m * MOST_CELLS))
    u = np.arange(low[0], high[0] + step_m, step_m)
    v = np.arange(low[1], high[1] + stride_m, stride_m)
    places = u[None, :, None] * across + v[:, None, None] * along
    inside = shapely.contains_xy(polygon, places[..., 0], places[..., 1])
    ground_m = np.full(inside.shape, np.nan)
    if inside.any():
        shapely.prepare(polygon)
        lon, lat = plane.to_lonlat(places[inside][:, 0], places[inside][:, 1])
        ground_m[inside] = terrain.amsl_m(lon, lat)
    return ground_m, step_m


@njit(cache=True, nogil=True)
def _reaches(ground_m: Array, height_m: float, reach: float, step_m: float) -> Array:
    """How far towards higher columns the edge ray of a picture above each place runs before it meets the ground, m.

    Infinite where it leaves the area first: nothing has to be seen there.
    """
    rows, cols = ground_m.shape
    found = np.full((rows, cols), np.nan)
    fall = step_m / reach
    for row in range(rows):
        for col in range(cols):
            start = ground_m[row, col]
            if np.isnan(start):
                continue
            above = height_m
            found[row, col] = np.inf
            for there in range(col + 1, cols):
                if np.isnan(ground_m[row, there]):
                    break
                now = start + height_m - (there - col) * fall - ground_m[row, there]
                if now <= 0:
                    found[row, col] = step_m * (there - col - 1 + above / (above - now))
                    break
                above = now
    return found


@njit(cache=True, nogil=True)
def _widest(left: Array, right: Array, step_m: float, share: float, widest_m: float, shares: Array) -> float:
    """The widest spacing at which each picture and its right neighbour share what they should; 0 where none is."""
    rows, cols = right.shape
    for tried in shares:
        spacing_m = tried * widest_m
        needed_m = spacing_m / share
        cells = spacing_m / step_m
        whole = int(cells)
        holds = True
        for row in range(rows):
            for col in range(cols - whole - 1):
                here, there, beyond = right[row, col], left[row, col + whole], left[row, col + whole + 1]
                if np.isnan(here) or np.isnan(there) or np.isnan(beyond):
                    continue
                if here + min(there, beyond) < needed_m * (1.0 - 1e-6):
                    holds = False
                    break
            if not holds:
                break
        if holds:
            return float(spacing_m)
    return 0.0
