"""The ground of the simulated city: SRTM heights, refined, with a river bed."""

from __future__ import annotations

from importlib.resources import files

import numba
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.interpolate import RectBivariateSpline
from scipy.ndimage import gaussian_filter, map_coordinates

from geo.positions import LocalPlane

CENTER_LON, CENTER_LAT = 76.945, 43.205
"""Middle of the simulated city: the southern edge of Almaty."""
EXTENT_M = 3000.0
"""Half side of the square of known ground, m."""
CELL_M = 4.0
"""Spacing of the ground heights, m."""


@numba.njit(nogil=True, cache=True, fastmath=True)
def height_at(grid: NDArray[np.float32], x: float, y: float) -> float:
    """Bilinear height, m AMSL, at x east, y north, m; beyond the edge the edge's height."""
    last = grid.shape[0] - 1.001
    col = min(max((x + EXTENT_M) / CELL_M, 0.0), last)
    row = min(max((y + EXTENT_M) / CELL_M, 0.0), last)
    c, r = int(col), int(row)
    fc, fr = col - c, row - r
    low = grid[r, c] * (1 - fc) + grid[r, c + 1] * fc
    high = grid[r + 1, c] * (1 - fc) + grid[r + 1, c + 1] * fc
    return float(low * (1 - fr) + high * fr)


class Ground:
    """Heights on a square grid about the middle of the city, read bilinearly."""

    def __init__(self, heights_amsl_m: NDArray[np.float32]) -> None:
        """Heights (row = y south to north, col = x), spacing CELL_M, from -EXTENT_M to +EXTENT_M."""
        self.grid = np.ascontiguousarray(heights_amsl_m, np.float32)

    def amsl_m(self, x: ArrayLike, y: ArrayLike) -> NDArray[np.float64]:
        """Ground height, m AMSL, at plane coordinates, m; arrays of any one shape."""
        x, y = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float))
        last = self.grid.shape[0] - 1.001
        col = np.clip((x + EXTENT_M) / CELL_M, 0.0, last)
        row = np.clip((y + EXTENT_M) / CELL_M, 0.0, last)
        c, r = col.astype(int), row.astype(int)
        fc, fr = col - c, row - r
        grid = self.grid
        low = grid[r, c] * (1 - fc) + grid[r, c + 1] * fc
        high = grid[r + 1, c] * (1 - fc) + grid[r + 1, c + 1] * fc
        return np.asarray(low * (1 - fr) + high * fr, float)

    def slope(self, x: ArrayLike, y: ArrayLike, *, reach_m: float = 10.0) -> NDArray[np.float64]:
        """Steepness, m per m, over a distance of twice `reach_m`."""
        x, y = np.asarray(x, float), np.asarray(y, float)
        east = self.amsl_m(x + reach_m, y) - self.amsl_m(x - reach_m, y)
        north = self.amsl_m(x, y + reach_m) - self.amsl_m(x, y - reach_m)
        return np.asarray(np.hypot(east, north) / (2 * reach_m))


def shipped_heights() -> tuple[NDArray[np.float32], float, float, float]:
    """SRTM heights (rows from north), m AMSL (EGM96); lat of the top row, lon of the left column, step, deg."""
    with (files("simulators") / "data" / "almaty_south_srtm3.npz").open("rb") as stream, np.load(stream) as crop:
        return (
            crop["heights_amsl_m"].astype(np.float32),
            float(crop["lat_top"]),
            float(crop["lon_left"]),
            float(crop["step_deg"]),
        )


def mean_center_height_m() -> float:
    """Mean SRTM height of the city's square, m AMSL; the height of the world's plane."""
    heights, lat_top, lon_left, step = shipped_heights()
    row, col = (lat_top - CENTER_LAT) / step, (CENTER_LON - lon_left) / step
    window = heights[int(row) - 11 : int(row) + 12, int(col) - 15 : int(col) + 16]
    return float(np.mean(window))


def bare_ground(plane: LocalPlane, rng: np.random.Generator) -> NDArray[np.float32]:
    """SRTM on the city's grid, smoothed to natural slopes, with seeded procedural detail."""
    heights, lat_top, lon_left, step = shipped_heights()
    heights = gaussian_filter(heights, 0.7)
    coarse = np.linspace(-EXTENT_M, EXTENT_M, 201)
    lon, lat = plane.to_lonlat(*np.meshgrid(coarse, coarse))
    at_coarse = map_coordinates(heights, [(lat_top - lat) / step, (lon - lon_left) / step], order=3, mode="nearest")
    fine = np.linspace(-EXTENT_M, EXTENT_M, int(2 * EXTENT_M / CELL_M) + 1)
    heights = RectBivariateSpline(coarse, coarse, at_coarse)(fine, fine)
    return np.asarray(heights + procedural_detail(fine, rng), np.float32)


def procedural_detail(where_m: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """Undulation that SRTM cannot show on a square grid: octaves from 240 m down to 30 m, some decimetres each."""
    detail = np.zeros((len(where_m), len(where_m)))
    for wavelength_m, amplitude_m in ((240.0, 0.9), (110.0, 0.45), (50.0, 0.2), (30.0, 0.1)):
        knots = np.linspace(where_m[0], where_m[-1], int(2 * EXTENT_M / wavelength_m) + 3)
        bumps = rng.normal(0.0, amplitude_m, (len(knots), len(knots)))
        detail += RectBivariateSpline(knots, knots, bumps)(where_m, where_m)
    return detail


def carve(heights: NDArray[np.float32], line: NDArray[np.float64], *, width_m: float, depth_m: float) -> None:
    """Lower the ground along a line (n, 2), m, to a bed with sloped banks, in place."""
    points = densified(line, CELL_M)
    reach = int(width_m / CELL_M) + 2
    size = heights.shape[0]
    lowered = heights.copy()
    for x, y in points:
        c, r = int((x + EXTENT_M) / CELL_M), int((y + EXTENT_M) / CELL_M)
        if not (reach < c < size - reach - 1 and reach < r < size - reach - 1):
            continue
        rows, cols = np.mgrid[r - reach : r + reach + 1, c - reach : c + reach + 1]
        away = np.hypot(cols * CELL_M - EXTENT_M - x, rows * CELL_M - EXTENT_M - y)
        drop = depth_m * np.clip(1.6 - 1.6 * away / width_m, 0.0, 1.0)
        window = (slice(r - reach, r + reach + 1), slice(c - reach, c + reach + 1))
        lowered[window] = np.minimum(lowered[window], heights[window] - drop)
    heights[:] = lowered


def densified(line: NDArray[np.float64], spacing_m: float) -> NDArray[np.float64]:
    """Points along a polyline (n, 2) at about `spacing_m`."""
    along = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(line, axis=0).T))])
    where = np.linspace(0.0, along[-1], max(2, int(along[-1] / spacing_m) + 1))
    return np.stack([np.interp(where, along, line[:, 0]), np.interp(where, along, line[:, 1])], axis=1)
