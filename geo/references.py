"""References: orthophotos that are taken to be right, and may be drawn as a camera would see them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling

from geo.cogs import opened
from geo.errors import NotRegistered

Array = NDArray[np.float64]
Picture = NDArray[np.uint8]

MOST_SIDE_PX = 6000
"""Largest part of an orthophoto that is read."""


class Reference:
    """An orthophoto that is taken to be right."""

    def __init__(self, path: Path | str, *, sigma_m: float = 0.5) -> None:
        """A GeoTIFF of one band, or of three and more of which the first three are drawn; `sigma_m` is one sigma of its
        own error, east and north, each. Raises RasterInvalid."""
        self.path, self.sigma_m = Path(path), sigma_m
        with opened(self.path) as source:
            self._transform, self._size = source.transform, (source.width, source.height)
            self._to_crs = Transformer.from_crs("EPSG:4326", source.crs, always_xy=True)

    def columns_rows(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Pixels of places, counted from the corner of the top left one."""
        x, y = self._to_crs.transform(lon, lat)
        columns, rows = ~self._transform @ (np.asarray(x), np.asarray(y))
        return np.asarray(columns), np.asarray(rows)

    def drawn(self, columns: Array, rows: Array, shrink: float) -> tuple[Picture, NDArray[np.bool_]]:
        """Grey levels (H, W) at pixels of the orthophoto, means over `shrink` of them, and where they are known."""
        known = np.asarray(np.isfinite(columns) & (columns >= 0) & (rows >= 0))
        known &= (columns < self._size[0]) & (rows < self._size[1])
        if not known.any():
            return np.zeros(known.shape, np.uint8), known
        left, top = int(columns[known].min()), int(rows[known].min())
        width = min(int(columns[known].max()) + 2, self._size[0]) - left
        height = min(int(rows[known].max()) + 2, self._size[1]) - top
        shape = max(1, round(height / shrink)), max(1, round(width / shrink))
        if max(shape) > MOST_SIDE_PX:
            raise NotRegistered(f"the frame shows {shape[1]} x {shape[0]} px of {self.path}: it looks too far")
        with opened(self.path) as source:
            window = rasterio.windows.Window(left, top, width, height)
            bands = list(range(1, min(source.count, 3) + 1))
            cells = source.read(
                bands, window=window, out_shape=(len(bands), *shape), masked=True, resampling=Resampling.average
            )
        grey, blank = _grey(cells)
        across, down = shape[1] / width, shape[0] / height
        maps = ((columns - left) * across - 0.5).astype(np.float32), ((rows - top) * down - 0.5).astype(np.float32)
        seen = cv2.remap(grey, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        known &= cv2.remap(blank, *maps, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE) == 0
        return np.asarray(seen.clip(0, 255), np.uint8), known


def _grey(cells: np.ma.MaskedArray[Any, Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Grey levels (H, W) from 0 to 255 of bands (n, H, W), and 1 where nothing is known.

    Numbers of 8 bit are levels; of others those that 2 and 98 % are below become black and white.
    """
    mean = np.asarray(cells.filled(0).astype(np.float32).mean(axis=0))
    blank = np.ma.getmaskarray(cells).any(axis=0) | ~np.isfinite(mean)
    if cells.dtype != np.uint8 and not blank.all():
        low, high = np.percentile(mean[~blank], [2, 98])
        mean = np.clip((mean - low) / max(high - low, 1e-9), 0.0, 1.0) * np.float32(255.0)
    return np.where(blank, 0.0, mean).astype(np.float32), blank.astype(np.float32)
