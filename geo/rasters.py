"""GeoTIFFs open for many readers: at every scale, block by block, with one cache of blocks for all threads."""

from __future__ import annotations

import threading
from collections import OrderedDict
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import ColorInterp, MaskFlags, Resampling
from rasterio.windows import Window

from geo.cogs import opened
from geo.errors import RasterInvalid
from geo.grids import Grid

Cells = NDArray[Any]
Mask = NDArray[np.uint8]

BLOCK_PX = 512
"""Side of the squares that are read and kept."""
CACHE_BYTES = 256 * 2**20
"""Blocks kept in memory, of all rasters together."""
MOST_OPEN = 16
"""Rasters kept open."""
DRAWN_KINDS = ("uint8", "uint16", "int16", "uint32", "int32", "float32", "float64")


@dataclass(frozen=True)
class Level:
    """A raster at one scale: itself, an overview, or means of the coarsest of these."""

    width: int
    """Columns."""
    height: int
    """Rows."""
    overview: int | None
    """Number of the overview that is read; None: the raster itself."""
    shrink: int
    """Pixels of what is read in one pixel, along each side."""


@dataclass(frozen=True)
class Block:
    """Some rows and columns of a level."""

    cells: Cells
    """(bands, rows, columns)."""
    mask: Mask | None
    """(rows, columns), 0 where nothing is known; None: all is."""

    @property
    def nbytes(self) -> int:
        """Memory that it takes."""
        return self.cells.nbytes + (0 if self.mask is None else self.mask.nbytes)


class Blocks:
    """The blocks that were read last, for all threads."""

    def __init__(self, limit_bytes: int) -> None:
        """Holds at most that much, or one block."""
        self._limit_bytes, self._bytes = limit_bytes, 0
        self._kept: OrderedDict[tuple[object, ...], Block] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: tuple[object, ...]) -> Block | None:
        """A block if it is kept."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        return None

    def put(self, key: tuple[object, ...], block: Block) -> None:
        """Keep a block; the least recently used go."""
        with self._lock:
            if key in self._kept:
                return
            self._kept[key] = block
            self._bytes += block.nbytes
            while self._bytes > self._limit_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].nbytes

    def clear(self) -> None:
        """Keep none."""
        with self._lock:
            self._kept.clear()
            self._bytes = 0


_blocks = Blocks(CACHE_BYTES)
_rasters: OrderedDict[str, Raster] = OrderedDict()
_rasters_lock = threading.Lock()


def raster(path: Path | str) -> Raster:
    """The raster of a file, opened once and again when the file has changed. Raises RasterInvalid."""
    key = str(path)
    try:
        stat = Path(path).stat()
    except OSError as exc:
        raise RasterInvalid(f"{path}: cannot be read as a GeoTIFF: {exc}") from exc
    version = stat.st_mtime_ns, stat.st_size, stat.st_ino
    with _rasters_lock:
        found = _rasters.get(key)
        if found is not None and found.version == version:
            _rasters.move_to_end(key)
            return found
    fresh = Raster(Path(path), version)
    with _rasters_lock:
        _rasters[key] = fresh
        while len(_rasters) > MOST_OPEN:
            _rasters.popitem(last=False)
    return fresh


def forget() -> None:
    """Drop every block and close every file that nobody reads."""
    with _rasters_lock:
        _rasters.clear()
    _blocks.clear()


@lru_cache(maxsize=16)
def _from_mercator(crs: str) -> Transformer:
    return Transformer.from_crs("EPSG:3857", crs, always_xy=True)


class Raster:
    """One GeoTIFF. Any thread may read it; files are open as long as it is."""

    def __init__(self, path: Path, version: tuple[int, ...]) -> None:
        """Use `raster`. Raises RasterInvalid."""
        self.path, self.version = path, version
        self._lock = threading.Lock()
        source = opened(path)
        self._sources: dict[int | None, rasterio.DatasetReader] = {None: source}
        self.dtype = source.dtypes[0]
        if any(kind != self.dtype for kind in source.dtypes) or self.dtype not in DRAWN_KINDS:
            raise RasterInvalid(f"{path}: bands are {', '.join(source.dtypes)}; {', '.join(DRAWN_KINDS)} can be drawn")
        self.alpha = source.colorinterp.index(ColorInterp.alpha) if ColorInterp.alpha in source.colorinterp else None
        self.bands = source.count - (self.alpha is not None)
        """Bands without alpha."""
        self.nodata = source.nodata
        flags = source.mask_flag_enums[0]
        self._masked = MaskFlags.per_dataset in flags and MaskFlags.alpha not in flags
        self.scales, self.offsets, self.tags = source.scales, source.offsets, source.tags()
        self.grid = Grid(source.crs.to_wkt(), source.transform, source.width, source.height)
        self.from_mercator = _from_mercator(self.grid.crs)
        self._spreads: dict[tuple[int, ...], tuple[float, float]] = {}
        self.levels = self._levels(source)
        """Finest first; the last fits into a block."""

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north, deg."""
        grid, edge = self.grid, np.linspace(0.0, 1.0, 21)
        across, down = np.concatenate(
            [[edge, edge * 0], [edge, edge * 0 + 1], [edge * 0, edge], [edge * 0 + 1, edge]], axis=1
        )
        lon, lat = grid.lonlat(across * grid.width, down * grid.height)
        if not (np.isfinite(lon).all() and np.isfinite(lat).all()):
            raise RasterInvalid(f"{self.path}: its corners lie outside of its coordinate reference system")
        return float(lon.min()), float(lat.min()), float(lon.max()), float(lat.max())

    def _levels(self, source: rasterio.DatasetReader) -> list[Level]:
        levels = [Level(source.width, source.height, None, 1)]
        for number, factor in enumerate(source.overviews(1)):
            levels.append(Level(-(-source.width // factor), -(-source.height // factor), number, 1))
        last, shrink = levels[-1], 1
        while max(levels[-1].width, levels[-1].height) > BLOCK_PX:
            shrink *= 2
            levels.append(Level(-(-last.width // shrink), -(-last.height // shrink), last.overview, shrink))
        return levels

    def spread(self, bands: tuple[int, ...]) -> tuple[float, float]:
        """Values (scaled) that 2 and 98 % of the numbers of bands, from 0, are below, by the coarsest level."""
        if bands not in self._spreads:
            level = self.levels[-1]
            block = self.window(len(self.levels) - 1, 0, 0, level.height, level.width)
            known = np.ones(block.cells.shape[1:], bool) if block.mask is None else block.mask > 0
            values = np.concatenate(
                [block.cells[band][known].astype(float) * self.scales[band] + self.offsets[band] for band in bands]
            )
            values = values[np.isfinite(values)]
            low, high = np.percentile(values, [2, 98]) if len(values) else (0.0, 1.0)
            self._spreads[bands] = float(low), float(high if high > low else low + 1.0)
        return self._spreads[bands]

    def level_for(self, pixels: float) -> int:
        """The coarsest level that still has a pixel for each of those drawn, `pixels` of the raster wide."""
        fits = [n for n, level in enumerate(self.levels) if self.grid.width / level.width <= max(pixels, 1.0) * 1.15]
        return max(fits, default=0)

    def window(self, number: int, row: int, col: int, height: int, width: int) -> Block:
        """A window of a level that lies inside of it. Raises RasterInvalid where the file is damaged."""
        level = self.levels[number]
        count = self.bands
        first, last = (
            (row // BLOCK_PX, col // BLOCK_PX),
            ((row + height - 1) // BLOCK_PX, (col + width - 1) // BLOCK_PX),
        )
        if first == last:
            block = self._block(number, *first)
            top, left = row - first[0] * BLOCK_PX, col - first[1] * BLOCK_PX
            mask = None if block.mask is None else block.mask[top : top + height, left : left + width]
            return Block(block.cells[:, top : top + height, left : left + width], mask)
        cells = np.empty((count, height, width), self.dtype)
        mask = None
        for down in range(first[0], last[0] + 1):
            for across in range(first[1], last[1] + 1):
                block = self._block(number, down, across)
                top, left = down * BLOCK_PX - row, across * BLOCK_PX - col
                rows = slice(max(top, 0), min(top + BLOCK_PX, height, level.height - row))
                cols = slice(max(left, 0), min(left + BLOCK_PX, width, level.width - col))
                inner = slice(rows.start - top, rows.stop - top), slice(cols.start - left, cols.stop - left)
                cells[:, rows, cols] = block.cells[(slice(None), *inner)]
                if block.mask is not None:
                    if mask is None:
                        mask = np.full((height, width), 255, np.uint8)
                    mask[rows, cols] = block.mask[inner]
        return Block(cells, mask)

    def _block(self, number: int, down: int, across: int) -> Block:
        key = (str(self.path), self.version, number, down, across)
        found = _blocks.get(key)
        if found is None:
            found = self._read(self.levels[number], down * BLOCK_PX, across * BLOCK_PX)
            _blocks.put(key, found)
        return found

    def _read(self, level: Level, row: int, col: int) -> Block:
        height, width = min(BLOCK_PX, level.height - row), min(BLOCK_PX, level.width - col)
        with self._lock:
            source = self._source(level)
            top, left = row * level.shrink, col * level.shrink
            window = Window(
                left,
                top,
                min(width * level.shrink, source.width - left),
                min(height * level.shrink, source.height - top),
            )
            scaled: dict[str, Any] = {"window": window, "resampling": Resampling.average}
            try:
                bands = source.read(out_shape=(source.count, height, width), **scaled)
                mask = source.dataset_mask(out_shape=(height, width), window=window) if self._masked else None
            except rasterio.errors.RasterioError as exc:
                raise RasterInvalid(f"{self.path}: damaged near row {top}, column {left}: {exc}") from exc
        if self.alpha is not None:
            mask = np.where(bands[self.alpha] > 0, 255, 0).astype(np.uint8)
            bands = np.delete(bands, self.alpha, axis=0)
        elif not self._masked:
            mask = self._known(bands)
        if mask is not None and mask.all():
            mask = None
        return Block(bands, mask)

    def _source(self, level: Level) -> rasterio.DatasetReader:
        """What a level is read from, opened when it is first asked for."""
        number = level.overview
        if number not in self._sources:
            overview = opened(self.path, overview=number)
            width, height = level.width, level.height
            if level.shrink == 1 and (overview.width, overview.height) != (width, height):
                raise RasterInvalid(
                    f"{self.path}: overview {number} has {overview.width} x {overview.height} px, not {width} x "
                    f"{height}: make a COG of it (missioncontrol cog)"
                )
            self._sources[number] = overview
        return self._sources[number]

    def _known(self, bands: Cells) -> Mask | None:
        """255 where some band is neither nodata nor NaN."""
        known = None
        if self.nodata is not None and not np.isnan(self.nodata):
            known = (bands != self.nodata).any(axis=0)
        if bands.dtype.kind == "f":
            finite = np.isfinite(bands).any(axis=0)
            known = finite if known is None else known & finite
        return None if known is None else known.astype(np.uint8) * 255
