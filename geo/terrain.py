"""Terrain heights from GeoTIFF or arrays; missing terrain raises, it is never 0."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import rasterio
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer
from scipy.ndimage import map_coordinates

from geo.errors import TerrainMissing


class Terrain(Protocol):
    """Heights of the ground above mean sea level."""

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """Ground height, m AMSL, at lon and lat, deg; arrays of any one shape. Raises TerrainMissing."""


class FlatTerrain:
    """Ground of one height, where nothing better is known and the caller says so."""

    def __init__(self, amsl_m: float) -> None:
        """Ground at `amsl_m` everywhere."""
        self._amsl_m = amsl_m

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """The one height, in the shape of the arguments."""
        return np.full(np.broadcast(lon, lat).shape, self._amsl_m)


class GridTerrain:
    """A raster of ground heights, read bilinearly."""

    def __init__(
        self, heights_amsl_m: NDArray[np.floating], transform: rasterio.Affine, *, crs: str = "EPSG:4326", name: str
    ) -> None:
        """Heights (rows, cols), NaN where unknown; `transform` maps (col, row) of cell corners to `crs`."""
        self._heights = np.asarray(heights_amsl_m, np.float32)
        self._inverse = ~transform
        self.name = name
        self._to_crs = None if crs == "EPSG:4326" else Transformer.from_crs("EPSG:4326", crs, always_xy=True)

    @classmethod
    def from_file(cls, path: Path | str) -> GridTerrain:
        """The first band of a GeoTIFF; heights are taken as AMSL. Raises TerrainMissing if it cannot be read."""
        try:
            with rasterio.open(path, driver="GTiff") as raster:
                if raster.crs is None:
                    raise TerrainMissing(f"{path}: the DEM states no coordinate reference system")
                band = raster.read(1, masked=True).astype(np.float32).filled(np.nan)
                return cls(band, raster.transform, crs=raster.crs.to_string(), name=str(path))
        except rasterio.errors.RasterioError as exc:
            raise TerrainMissing(f"{path}: cannot be read as a GeoTIFF DEM: {exc}") from exc

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """Ground height, m AMSL, at lon and lat, deg; arrays of any one shape. Raises TerrainMissing."""
        return _known(self.heights_or_nan(lon, lat), lon, lat, self.name)

    def heights_or_nan(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """As `amsl_m`, but NaN where no height is known."""
        lon, lat = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        x, y = (lon, lat) if self._to_crs is None else self._to_crs.transform(lon, lat)
        cols, rows = self._inverse @ (np.asarray(x), np.asarray(y))
        heights = map_coordinates(
            self._heights, [np.ravel(rows) - 0.5, np.ravel(cols) - 0.5], order=1, mode="constant", cval=np.nan
        ).reshape(lon.shape)
        return np.asarray(heights, float)


class TerrainTiles:
    """Several rasters as one terrain; the first that knows a place counts."""

    def __init__(self, tiles: Sequence[GridTerrain]) -> None:
        """Tiles in order of preference."""
        self._tiles = tiles

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        """Ground height, m AMSL, at lon and lat, deg; arrays of any one shape. Raises TerrainMissing."""
        heights = np.full(np.broadcast(lon, lat).shape, np.nan)
        for tile in self._tiles:
            heights = np.where(np.isnan(heights), tile.heights_or_nan(lon, lat), heights)
        return _known(heights, lon, lat, ", ".join(tile.name for tile in self._tiles))


def _known(heights: NDArray[np.float64], lon: ArrayLike, lat: ArrayLike, name: str) -> NDArray[np.float64]:
    if np.isnan(heights).any():
        lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        where = tuple(np.argwhere(np.isnan(heights))[0])
        raise TerrainMissing(f"{name}: no height at lon {lons[where]:.6f}, lat {lats[where]:.6f}")
    return heights
