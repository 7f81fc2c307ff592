"""Surface models of two days on the grid of a pair of pictures: where and by how much the ground rose or fell."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT
from rasterio.windows import Window

from geo.errors import TerrainMissing
from geo.picture_pairs import PicturePair

SAMPLE_PX = 512
LEAST_M = 1.5
"""Rises and falls below this tell nothing by themselves: dense matching is no finer on roofs and trees."""


class HeightPair:
    """Two surface models laid on the grid of a pair, their difference freed of what is the same everywhere."""

    def __init__(self, before: Path, after: Path, pair: PicturePair, *, least_m: float = LEAST_M) -> None:
        """Two single-band GeoTIFFs of heights of one datum. Raises TerrainMissing."""
        self._pair, self.least_m = pair, least_m
        """`least_m`: rises and falls of so much, m, tell by themselves."""
        self._sources = [_opened(before), _opened(after)]
        self._offset_m = 0.0
        rows, cols = pair.size_at(max(1, -(-max(pair.height_px, pair.width_px) // SAMPLE_PX)))
        known = self._differences(0, 0, rows, cols, (rows, cols))
        if not np.isfinite(known).any():
            raise TerrainMissing(f"{before}, {after}: no height is known in both within the pictures")
        self._offset_m = float(np.nanmedian(known))

    @property
    def offset_m(self) -> float:
        """By how much the later heights lie above the earlier ones where nothing changed, m; taken off."""
        return self._offset_m

    def rise_m(self, row: int, col: int, rows: int, cols: int, *, scale: int = 1) -> NDArray[np.float32]:
        """(rows, cols) rise of the surface, m; 0 where one of the two is unknown."""
        found = self._differences(row, col, rows, cols, self._pair.size_at(scale)) - np.float32(self._offset_m)
        return np.asarray(np.nan_to_num(found, nan=0.0), np.float32)

    def _differences(self, row: int, col: int, rows: int, cols: int, size: tuple[int, int]) -> NDArray[np.float32]:
        across, down = self._pair.width_px / size[1], self._pair.height_px / size[0]
        place = self._pair.transform @ rasterio.Affine.scale(across, down) @ rasterio.Affine.translation(col, row)
        heights = []
        for source in self._sources:
            with WarpedVRT(
                source, crs=self._pair.crs, transform=place, height=rows, width=cols,
                resampling=Resampling.bilinear, nodata=np.nan, dtype="float32",
            ) as view:  # fmt: skip
                heights.append(view.read(1, window=Window(0, 0, cols, rows)))
        return np.asarray(heights[1] - heights[0], np.float32)


def _opened(path: Path) -> rasterio.DatasetReader:
    try:
        source = rasterio.open(path, driver="GTiff")
    except (rasterio.errors.RasterioError, OSError) as exc:
        raise TerrainMissing(f"{path}: cannot be read as a GeoTIFF of heights: {exc}") from exc
    if source.crs is None or source.count != 1 or source.dtypes[0] == "uint8":
        raise TerrainMissing(f"{path}: one band of heights with a coordinate reference system is needed")
    return source
