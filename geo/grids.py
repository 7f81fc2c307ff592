"""Where the pixels of a raster lie: a coordinate system, a transform and a size."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

from geo.errors import RasterInvalid

Array = NDArray[np.float64]

MOST_PIXELS = 2**38
"""Of a raster that is made or read: half a million on a side."""


@dataclass(frozen=True)
class Grid:
    """Square or oblong pixels in rows from the north and columns from the west."""

    crs: str
    """EPSG code or WKT of the coordinate reference system."""
    transform: rasterio.Affine
    """(column, row) of corners of pixels to x, y of `crs`."""
    width: int
    """Columns."""
    height: int
    """Rows."""

    @classmethod
    def over(cls, west: float, south: float, east: float, north: float, *, pixel_m: float) -> Grid:
        """The grid of UTM that covers bounds (deg), its lines at whole multiples of `pixel_m`.

        Raises RasterInvalid for bounds or pixels that make no raster.
        """
        if not (np.isfinite(pixel_m) and pixel_m > 0 and west < east and south < north):
            raise RasterInvalid(
                f"no raster of {pixel_m:g} m from lon {west:g}, lat {south:g} to lon {east:g}, lat {north:g}"
            )
        crs = utm_of((west + east) / 2, (south + north) / 2)
        left, bottom, right, top = Transformer.from_crs("EPSG:4326", crs, always_xy=True).transform_bounds(
            west, south, east, north
        )
        first, last = np.floor(left / pixel_m), np.ceil(right / pixel_m)
        low, high = np.floor(bottom / pixel_m), np.ceil(top / pixel_m)
        width, height = int(last - first), int(high - low)
        if width * height > MOST_PIXELS:
            raise RasterInvalid(f"{width} x {height} px: more than {MOST_PIXELS}; ask for larger pixels")
        return cls(crs, rasterio.Affine(pixel_m, 0.0, first * pixel_m, 0.0, -pixel_m, high * pixel_m), width, height)

    @property
    def pixel_m(self) -> float:
        """Side of a pixel, in the unit of the CRS."""
        return float(np.sqrt(abs(self.transform.determinant)))

    def lonlat(self, cols: ArrayLike, rows: ArrayLike) -> tuple[Array, Array]:
        """Lon and lat, deg, of columns and rows counted from the corner of the grid (centres are at .5)."""
        x, y = self.transform @ (np.asarray(cols, float), np.asarray(rows, float))
        lon, lat = _to_lonlat(self.crs).transform(x, y)
        return np.asarray(lon), np.asarray(lat)

    def places(self, lon: ArrayLike, lat: ArrayLike) -> tuple[Array, Array]:
        """Columns and rows, counted from the corner of the grid, of lon and lat, deg."""
        x, y = _to_lonlat(self.crs).transform(np.asarray(lon, float), np.asarray(lat, float), direction="INVERSE")
        cols, rows = ~self.transform @ (np.asarray(x), np.asarray(y))
        return np.asarray(cols), np.asarray(rows)

    def part(self, row: int, col: int, height: int, width: int) -> Grid:
        """The grid of a window."""
        return Grid(self.crs, self.transform @ rasterio.Affine.translation(col, row), width, height)

    def windows(self, side_px: int) -> Iterator[tuple[int, int, int, int]]:
        """Row, column, height and width of the squares it falls into, row by row."""
        for row in range(0, self.height, side_px):
            for col in range(0, self.width, side_px):
                yield row, col, min(side_px, self.height - row), min(side_px, self.width - col)


def utm_of(lon: float, lat: float) -> str:
    """EPSG code of the UTM zone (WGS 84) of a place."""
    zone = int((lon + 180) // 6) % 60 + 1
    return f"EPSG:{(32600 if lat >= 0 else 32700) + zone}"


@lru_cache(maxsize=16)
def _to_lonlat(crs: str) -> Transformer:
    return Transformer.from_crs(crs, "EPSG:4326", always_xy=True)
