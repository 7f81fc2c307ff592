"""Cloud optimized GeoTIFFs: written in one pass, window by window, and opened without trusting them.

A tile is packed once, when it is complete, and halved into the tile of the next overview at the same moment; so a
raster of any height is written with memory for one row of tiles of each level. JPEG and deflate (with predictor).
"""

from __future__ import annotations

import shutil
import tempfile
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

import cv2
import numpy as np
import rasterio
from isal import isal_zlib
from rasterio.enums import ColorInterp, MaskFlags

from geo.cog_tiles import Cells, halve, padded, predicted
from geo.errors import RasterInvalid
from geo.grids import MOST_PIXELS, Grid
from geo.tiff import LARGEST_CLASSIC, LONG, LONG8, Described, Tag, gdal_tags, header, longs, shorts

BLOCK_PX = 512
"""Side of a tile unless another is asked for."""
MOST_WITHOUT_OVERVIEWS = 2**26
"""Pixels of a raster that may lack overviews."""
MOST_IN_PIECE = 2**26
"""Pixels of a tile or strip of a file: it is unpacked as a whole."""
MOST_BANDS = 16
ISAL_LEVEL = 2
Compression = Literal["deflate", "jpeg"]
Shrink = Literal["average", "nearest"]


def opened(path: Path | str, *, overview: int | None = None) -> rasterio.DatasetReader:
    """A GeoTIFF that may be drawn or measured; never anything else, and nothing but this one file is read.

    With `overview` that one of its overviews, from 0, instead of the raster itself. Raises RasterInvalid for what is
    no regular file, no TIFF, has no CRS or transform, has a palette, is larger than MOST_PIXELS, is stored in pieces
    larger than MOST_IN_PIECE, or is so large that it needs overviews and has none.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        raise RasterInvalid(f"{path}: cannot be read as a GeoTIFF: not a regular file")
    try:
        with path.open("rb") as file:
            mark = file.read(4)
        if mark not in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
            raise RasterInvalid(f"{path}: not a TIFF: it starts with {mark!r}")
        with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
            more = {} if overview is None else {"overview_level": overview}
            source = rasterio.open(path, driver="GTiff", **more)
    except (rasterio.errors.RasterioError, OSError) as exc:
        raise RasterInvalid(f"{path}: cannot be read as a GeoTIFF: {exc}") from exc
    problem = None if overview is not None else _problem(source)
    if problem is not None:
        source.close()
        raise RasterInvalid(f"{path}: {problem}")
    return source


def _problem(source: rasterio.DatasetReader) -> str | None:
    size = f"{source.width} x {source.height} px"
    if source.crs is None:
        return "states no coordinate reference system"
    if source.transform == rasterio.Affine.identity() or source.transform.determinant == 0:
        return "states no place of its pixels (geotransform)"
    if source.width * source.height > MOST_PIXELS:
        return f"{size}: larger than the {MOST_PIXELS} px that are read"
    if source.count > MOST_BANDS:
        return f"{source.count} bands: at most {MOST_BANDS} are read"
    rows, cols = source.block_shapes[0]
    if rows * cols > MOST_IN_PIECE:
        return f"stored in pieces of {cols} x {rows} px: at most {MOST_IN_PIECE} px are unpacked at a time"
    if ColorInterp.palette in source.colorinterp:
        return "its numbers are places in a palette: convert it to RGB"
    if source.width * source.height > MOST_WITHOUT_OVERVIEWS and not source.overviews(1):
        return f"{size} without overviews: too slow to draw; make a COG of it (missioncontrol cog)"
    return None


def cog(
    source: Path | str,
    out: Path | str,
    *,
    compress: Compression = "deflate",
    quality: int = 80,
    block_px: int = BLOCK_PX,
    shrink: Shrink = "average",
    threads: int = 2,
) -> None:
    """Write a GeoTIFF again as a COG. Raises RasterInvalid for what cannot be read or not be packed so.

    Overviews are not needed in the source. A mask or alpha band becomes alpha (deflate) or a mask (JPEG), which also
    stands for nodata in JPEG: packing bends numbers, that one too.
    """
    with _plain(Path(source)) as raster:
        alpha = raster.colorinterp.index(ColorInterp.alpha) + 1 if ColorInterp.alpha in raster.colorinterp else None
        colours = [band for band in range(1, raster.count + 1) if band != alpha]
        masked = alpha is not None or MaskFlags.per_dataset in raster.mask_flag_enums[0]
        masked |= compress == "jpeg" and raster.nodata is not None
        kind = np.dtype(raster.dtypes[0])
        opaque = np.iinfo(kind).max if kind.kind in "iu" else 255
        added = masked and alpha is None
        order = colours if alpha is None else [*colours, alpha]
        described = Described(
            raster.tags(),
            tuple(
                (raster.descriptions[band - 1] or "", raster.units[band - 1] or "", raster.scales[band - 1])
                for band in colours
            ),
            tuple(raster.offsets[band - 1] for band in colours),
        )
        grid = Grid(raster.crs.to_wkt(), raster.transform, raster.width, raster.height)
        with CogWriter(
            out, grid, bands=len(colours), dtype=kind.name, alpha=masked,
            nodata=None if masked else _nodata(raster), described=described, compress=compress, quality=quality,
            block_px=block_px, shrink=shrink, threads=threads,
        ) as writer:  # fmt: skip
            side = block_px * 2
            for row, col, height, width in grid.windows(side):
                window = rasterio.windows.Window(col, row, width, height)
                try:
                    cells = raster.read(order, window=window)
                    known = raster.dataset_mask(window=window) if added else None
                except rasterio.errors.RasterioError as exc:
                    raise RasterInvalid(f"{source}: damaged near row {row}, column {col}: {exc}") from exc
                if known is not None:
                    cells = np.concatenate([cells, np.where(known > 0, opaque, 0).astype(cells.dtype)[None]])
                writer.write(row, col, np.ascontiguousarray(cells.transpose(1, 2, 0)))


def _nodata(raster: rasterio.DatasetReader) -> float | None:
    """What stands for nothing, if the numbers of the raster can be that at all."""
    value, kind = raster.nodata, np.dtype(raster.dtypes[0])
    if value is None or kind.kind == "f":
        return None if value is None else float(value)
    held = np.iinfo(kind)
    return float(value) if float(value).is_integer() and held.min <= value <= held.max else None


def _plain(path: Path) -> rasterio.DatasetReader:
    """As `opened`, but a raster without overviews may be of any size that is read."""
    try:
        return opened(path)
    except RasterInvalid as exc:
        if "without overviews" not in str(exc):
            raise
    with rasterio.Env(GDAL_DISABLE_READDIR_ON_OPEN="EMPTY_DIR"):
        return rasterio.open(path, driver="GTiff")


class CogWriter:
    """A COG being written: windows go in by `write`, in any order of tiles; leaving the context finishes the file.

    Nothing stands at `out` before that, nor if an exception ends it.
    """

    def __init__(
        self,
        out: Path | str,
        grid: Grid,
        *,
        bands: int,
        dtype: str = "uint8",
        alpha: bool = False,
        nodata: float | None = None,
        described: Described | None = None,
        compress: Compression = "deflate",
        quality: int = 80,
        block_px: int = BLOCK_PX,
        shrink: Shrink = "average",
        threads: int = 2,
    ) -> None:
        """Of `bands` of `dtype`, and an alpha band after them if `alpha` (0 clear). JPEG packs 1 or 3 bands of 8 bit.

        Raises RasterInvalid for what cannot be packed so.
        """
        self._out, self._grid, self._bands, self._alpha, self._nodata = Path(out), grid, bands, alpha, nodata
        self._dtype, self._shrink, self._block, self._threads = np.dtype(dtype), shrink, block_px, threads
        self._quality, self._jpeg = quality, compress == "jpeg"
        self._described = described or Described({})
        if self._jpeg and not (dtype == "uint8" and bands in (1, 3)):
            raise RasterInvalid(f"{out}: JPEG packs 1 or 3 bands of uint8, not {bands} of {dtype}: use deflate")
        if block_px % 16 or not 64 <= block_px <= 4096:
            raise RasterInvalid(f"{out}: blocks of {block_px} px: a multiple of 16 from 64 to 4096 is asked for")
        if self._dtype.itemsize > 4 or self._dtype.kind not in "uif":
            raise RasterInvalid(f"{out}: {dtype} cannot be packed; integers of 8 to 32 bit and float32 can")
        self._levels: list[_Level] = []
        width, height = grid.width, grid.height
        while True:
            self._levels.append(_Level(width, height, block_px))
            if width <= block_px and height <= block_px:
                break
            width, height = -(-width // 2), -(-height // 2)

    def __enter__(self) -> Self:
        if not self._out.parent.is_dir():
            raise RasterInvalid(f"{self._out}: there is no folder {self._out.parent}")
        self._folder = tempfile.TemporaryDirectory(prefix=f".{self._out.name}.", dir=self._out.parent)
        self._open = ExitStack()
        self._spools = [
            self._open.enter_context((Path(self._folder.name) / str(level)).open("wb"))
            for level in range(len(self._levels))
        ]
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="cog")
        self._packing: deque[tuple[int, int, Future[tuple[bytes, bytes]]]] = deque()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._pool.shutdown(cancel_futures=True)
            self._open.close()
            self._folder.cleanup()

    def write(self, row: int, col: int, cells: Cells) -> None:
        """A window (height, width, bands and alpha) whose corner and, but at the edges of the grid, sides are whole
        tiles. What is never written is clear, or nodata. Raises RasterInvalid for a window that is not so."""
        height, width = cells.shape[:2]
        ends = (row + height) % self._block == 0 or row + height == self._grid.height
        if row % self._block or col % self._block or not ends or cells.shape[2] != self._bands + self._alpha:
            raise RasterInvalid(f"{self._out}: a window of {cells.shape} at row {row}, column {col} is not whole tiles")
        for top in range(0, height, self._block):
            for left in range(0, width, self._block):
                tile = cells[top : top + self._block, left : left + self._block]
                self._complete(0, (row + top) // self._block, (col + left) // self._block, tile)

    def _complete(self, level: int, row: int, col: int, tile: Cells) -> None:
        """Pack a finished tile, and put its half into the level above."""
        here = self._levels[level]
        if self._alpha and not tile[..., -1].any():
            packed = None
        else:
            packed = padded(tile, self._block)
            self._packing.append((level, row * here.across + col, self._pool.submit(self._pack, packed)))
            while len(self._packing) > 4 * self._threads:
                self._take()
        if level + 1 == len(self._levels):
            return
        above = self._levels[level + 1]
        place = row // 2, col // 2
        if place not in above.pending:
            above.pending[place] = self._blank()
            above.missing[place] = len(
                [1 for r in (0, 1) for c in (0, 1) if here.holds(place[0] * 2 + r, place[1] * 2 + c)]
            )
        if packed is not None:
            half = self._block // 2
            down, right = row % 2 * half, col % 2 * half
            target = above.pending[place][down : down + half, right : right + half]
            halve(
                packed,
                self._alpha,
                self._nodata is not None,
                float(self._nodata or 0),
                self._shrink == "average",
                self._dtype.kind != "f",
                target,
            )
        above.missing[place] -= 1
        if above.missing[place] == 0:
            self._lift(level + 1, place)

    def _lift(self, level: int, place: tuple[int, int]) -> None:
        """A tile of an overview has all its parts."""
        above = self._levels[level]
        whole = above.pending.pop(place)
        del above.missing[place]
        top, left = place[0] * self._block, place[1] * self._block
        self._complete(level, *place, whole[: above.height - top, : above.width - left])

    def _blank(self) -> Cells:
        empty = np.zeros((self._block, self._block, self._bands + self._alpha), self._dtype)
        if self._nodata is not None:
            empty[...] = self._nodata
        return empty

    def _take(self) -> None:
        level, number, future = self._packing.popleft()
        image, mask = future.result()
        here, spool = self._levels[level], self._spools[level]
        for data, places, lengths in ((image, here.places, here.lengths), (mask, here.mask_places, here.mask_lengths)):
            if data:
                places[number], lengths[number] = spool.tell(), len(data)
                spool.write(data)

    def _pack(self, tile: Cells) -> tuple[bytes, bytes]:
        """The bytes of a tile and, for JPEG with a mask, of the mask."""
        if not self._jpeg:
            return isal_zlib.compress(predicted(tile), ISAL_LEVEL), b""
        colours = np.ascontiguousarray(tile[..., : self._bands])
        picture = colours[..., 0] if self._bands == 1 else cv2.cvtColor(colours, cv2.COLOR_RGB2BGR)
        done, encoded = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._quality])
        if not done:
            raise RasterInvalid(f"{self._out}: a tile cannot be packed as JPEG")
        mask = b""
        if self._alpha:
            mask = isal_zlib.compress(np.packbits(tile[..., -1] > 0, axis=1), ISAL_LEVEL)
        return encoded.tobytes(), mask

    def _finish(self) -> None:
        for level in range(1, len(self._levels)):  # overviews of which some tile was never written
            for place in list(self._levels[level].pending):
                self._lift(level, place)
        while self._packing:
            self._take()
        sizes = [spool.tell() for spool in self._spools]
        big = sum(sizes) + 64 * sum(level.across * level.down for level in self._levels) > LARGEST_CLASSIC
        geo = gdal_tags(self._grid, str(self._dtype), self._bands + self._alpha, self._nodata, self._described)
        start = len(header(self._directories(geo, [0] * len(sizes), big), big=big))
        starts = [start + sum(sizes[level + 1 :]) for level in range(len(sizes))]
        written = Path(self._folder.name) / "whole"
        with open(written, "wb") as whole:
            whole.write(header(self._directories(geo, starts, big), big=big))
            for level in reversed(range(len(sizes))):
                self._spools[level].close()
                with open(self._spools[level].name, "rb") as spool:
                    shutil.copyfileobj(spool, whole, 2**22)
        written.replace(self._out)

    def _directories(self, geo: list[Tag], starts: list[int], big: bool) -> list[list[Tag]]:
        directories = []
        for number, (level, start) in enumerate(zip(self._levels, starts, strict=True)):
            size = longs(256, level.width), longs(257, level.height)
            tiling = longs(322, self._block), longs(323, self._block), shorts(284, 1)
            data = _places(level.places, level.lengths, start, big)
            own = geo if number == 0 else [tag for tag in geo if tag.number == 42113]
            directories.append([longs(254, int(number > 0)), *size, *tiling, *data, *self._kind(), *own])
            if self._alpha and self._jpeg:
                mask = shorts(258, 1), shorts(259, 8), shorts(262, 4), shorts(277, 1)
                data = _places(level.mask_places, level.mask_lengths, start, big)
                directories.append([longs(254, 4 + int(number > 0)), *size, *tiling, *data, *mask])
        return directories

    def _kind(self) -> list[Tag]:
        """What the samples of a tile are."""
        rgb = self._bands == 3 and self._dtype in (np.uint8, np.uint16)
        stored = self._bands + (self._alpha and not self._jpeg)
        beside = stored - (3 if rgb else 1)
        tags = [shorts(258, *[self._dtype.itemsize * 8] * stored), shorts(277, stored), shorts(262, 2 if rgb else 1)]
        tags += [shorts(259, 7 if self._jpeg else 8)]
        tags += [shorts(339, *[{"u": 1, "i": 2, "f": 3}[self._dtype.kind]] * stored)]
        if self._jpeg and rgb:
            tags = [tag for tag in tags if tag.number != 262] + [shorts(262, 6), shorts(530, 2, 2)]
        if not self._jpeg:
            tags.append(shorts(317, 3 if self._dtype.kind == "f" else 2))
        if beside > 0:
            tags.append(shorts(338, *[0] * (beside - self._alpha), *[2] * self._alpha))
        return tags


class _Level:
    """The full picture or one overview: where its tiles are, and those that are not complete."""

    def __init__(self, width: int, height: int, block_px: int) -> None:
        self.width, self.height = width, height
        self.across, self.down = -(-width // block_px), -(-height // block_px)
        self.places, self.lengths, self.mask_places, self.mask_lengths = np.zeros(
            (4, self.across * self.down), np.uint64
        )
        self.pending: dict[tuple[int, int], Cells] = {}
        self.missing: dict[tuple[int, int], int] = {}

    def holds(self, row: int, col: int) -> bool:
        return row < self.down and col < self.across


def _places(places: Cells, lengths: Cells, start: int, big: bool) -> tuple[Tag, Tag]:
    there = np.where(lengths > 0, places + np.uint64(start), np.uint64(0))
    kind = LONG8 if big else LONG
    return Tag(324, kind, there), Tag(325, LONG, lengths)
