"""Two orthophotos of one place on one grid: opened safely, laid over each other, read by windows and at overviews."""

from __future__ import annotations

import itertools
import math
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import msgspec
import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import ColorInterp, Compression, MaskFlags, Resampling
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from geo.errors import RasterInvalid

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Rgba = NDArray[np.uint8]
"""(H, W, 4) RGB and KNOWN or 0."""
Mask = NDArray[np.bool_]
KNOWN = np.uint8(255)

CACHE_BYTES = 150_000_000
"""Blocks that GDAL keeps decoded while a pair is open; its own default is 5 % of the memory."""
FIT_SIDE = 5
"""The fine fit looks at so many windows across and down."""
FIT_PX = 384
ROUGH_PX = 1024
"""The rough fit looks at the whole with at most so many rows and columns."""
BLOCK_PX = 512
"""Sides of the blocks in which a picture without overviews is made coarser."""
MOST_EDGE = 0.25
"""Edges count no more than this, natural logarithm per px by Sobel: with 1, a sun 30 deg on shifted the fit 0.6 px."""
NODE_PX = 16
"""Where the pictures have different coordinate systems, places are transformed at every so many pixels."""
LEAST_RESPONSE = 0.06
"""Peaks of the phase correlation below this are chance."""
MOST_RESIDUAL_PX = 1.5
"""Windows that fit worse than this are left out of the fit."""
LEAST_FITS = 4
LEAST_FOR_AFFINE = 10


class Fit(msgspec.Struct, frozen=True, kw_only=True):
    """How the earlier picture was laid over the later one."""

    shift_px: tuple[float, float]
    """Right and down by which the earlier one was off in the middle, px of the later one."""
    residual_px: float | None
    """Root mean square of what remains in the windows that were looked at, px; None where it could not be told."""
    windows: int
    """Windows that agreed on it."""


class PicturePair:
    """An earlier and a later orthophoto on the grid of the later one; a context manager."""

    def __init__(self, before: Path, after: Path) -> None:
        """Two 8-bit GeoTIFFs (grey, RGB or RGBA) of any CRSs and sizes that overlap. Raises RasterInvalid."""
        self._paths = before, after
        self._after, self._before = _opened(after), _opened(before)
        self._open = ExitStack()
        self._reduced: dict[rasterio.DatasetReader, rasterio.DatasetReader] = {}
        self.width_px, self.height_px = self._after.width, self._after.height
        self.crs, self.transform = self._after.crs, self._after.transform
        self._to_before = (
            None if self.crs == self._before.crs else Transformer.from_crs(self.crs, self._before.crs, always_xy=True)
        )
        self._lay = rasterio.Affine.identity()
        self.lossy = _lossy(before) or _lossy(after)
        """Whether one of them, or its overviews, is stored as JPEG or WebP."""
        west, south, east, north = transform_bounds(self._before.crs, self.crs, *_bounds(self._before))
        left, bottom, right, top = _bounds(self._after)
        if not (west < right and east > left and south < top and north > bottom):
            raise RasterInvalid(f"{before} and {after} do not overlap: no place is in both")

    def __enter__(self) -> Self:
        self._open.enter_context(rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES))
        self._open.enter_context(self._before)
        self._open.enter_context(self._after)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._open.close()

    def tags(self) -> tuple[dict[str, str], dict[str, str]]:
        """Tags of the earlier and of the later file."""
        return self._before.tags(), self._after.tags()

    def read(self, row: int, col: int, rows: int, cols: int, *, scale: int = 1) -> tuple[Picture, Picture, Mask]:
        """Before, after and where both are known, of a window of the grid that is `scale` times coarser.

        What lies outside the grid is unknown. Only blocks that the window meets are read, from an overview where
        there is one. Raises RasterInvalid for damaged files.
        """
        size = self.size_at(scale)
        try:
            after = _read(self._level(self._after, size), (row, col, row + rows, col + cols), size)
            before = self._laid(row, col, rows, cols, size)
        except rasterio.errors.RasterioError as exc:
            raise RasterInvalid(f"{self._paths[0]} or {self._paths[1]}: damaged: {exc}") from exc
        known = (before[..., 3] & after[..., 3]) == KNOWN
        rgb = [np.asarray(cv2.cvtColor(each, cv2.COLOR_RGBA2RGB), np.uint8) for each in (before, after)]
        return rgb[0], rgb[1], np.asarray(known)

    def whole(self, side_px: int) -> tuple[int, tuple[Picture, Picture, Mask]]:
        """The finest scale, a power of two, of at most `side_px` rows and columns, and all of it, as `read`."""
        scale = 1
        while max(self.size_at(scale)) > side_px:
            scale *= 2
        return scale, self.read(0, 0, *self.size_at(scale), scale=scale)

    def reduce(
        self, scale: int, on_block: Callable[[Path, int, int], None] = lambda path, done, of: None
    ) -> list[Path]:
        """Which files have no overview for the grid `scale` times coarser; they are read once and kept so coarse.

        Raises RasterInvalid for damaged files.
        """
        sizes = self._shrunk(*self._sought(0, 0, 2, 2, self.size_at(scale))), self.size_at(scale)
        lacking = []
        for path, source, size in zip(self._paths, (self._before, self._after), sizes, strict=True):
            if source.height > size[0] and min(source.overviews(1), default=source.height) > source.height / size[0]:
                lacking.append(path)
                folder = self._open.enter_context(tempfile.TemporaryDirectory())
                copy = Path(folder) / "reduced.tif"
                try:
                    _reduce(source, size, copy, partial(on_block, path))
                except rasterio.errors.RasterioError as exc:
                    raise RasterInvalid(f"{path}: damaged: {exc}") from exc
                self._reduced[source] = self._open.enter_context(rasterio.open(copy))
        return lacking

    @property
    def bounds(self) -> tuple[float, float, float, float]:
        """West, south, east, north of the later picture, lon and lat, deg."""
        west, south, east, north = transform_bounds(self.crs, "EPSG:4326", *_bounds(self._after))
        return float(west), float(south), float(east), float(north)

    def size_at(self, scale: int) -> tuple[int, int]:
        """Rows and columns of the grid `scale` times coarser."""
        return -(-self.height_px // scale), -(-self.width_px // scale)

    def fit(self) -> Fit:
        """Lay the earlier picture over the later one: roughly by the whole, then by windows of the full picture."""
        rough = self._rough_shift()
        if rough is not None:
            self._lay = rasterio.Affine.translation(*rough)
        places, shifts = self._fine_shifts()
        if len(shifts) < LEAST_FITS:
            return Fit(shift_px=rough or (0.0, 0.0), residual_px=None, windows=len(shifts))
        agreed = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1) < MOST_RESIDUAL_PX
        places, shifts = places[agreed], shifts[agreed]
        if len(shifts) < LEAST_FITS:
            return Fit(shift_px=rough or (0.0, 0.0), residual_px=None, windows=len(shifts))
        lay, residuals = _least_squares(places, shifts)
        self._lay = self._lay @ lay
        middle = np.array([self.width_px / 2, self.height_px / 2])
        moved = np.array(self._lay @ tuple(middle)) - middle
        return Fit(
            shift_px=(float(moved[0]), float(moved[1])),
            residual_px=float(np.sqrt(np.mean(np.sum(residuals**2, axis=1)))),
            windows=len(shifts),
        )

    def _rough_shift(self) -> tuple[float, float] | None:
        _, (before, after, known) = self.whole(ROUGH_PX)
        rows, cols = known.shape
        found = _shift(before, after, known)
        if found is None or max(abs(found[0]), abs(found[1])) > 0.1 * min(rows, cols):
            return None
        return found[0] * self.width_px / cols, found[1] * self.height_px / rows

    def _fine_shifts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        side = min(FIT_PX, self.width_px, self.height_px)
        places, shifts = [], []
        for y in self._middles(self.height_px, side, self._after.block_shapes[0][0]):
            for x in self._middles(self.width_px, side, self._after.block_shapes[0][1]):
                found = _shift(*self.read(y - side // 2, x - side // 2, side, side))
                if found is not None:
                    places.append((float(x), float(y)))
                    shifts.append(found)
        return np.array(places).reshape(-1, 2), np.array(shifts).reshape(-1, 2)

    @staticmethod
    def _middles(length_px: int, side: int, block_px: int) -> list[int]:
        """Middles of FIT_SIDE windows along an edge; inside of one block each where blocks are large enough."""
        spread = np.linspace(side // 2, length_px - side + side // 2, FIT_SIDE).astype(int)
        if not side < block_px <= length_px // FIT_SIDE:
            return [int(at) for at in spread]
        return [min(int(at) // block_px, length_px // block_px - 1) * block_px + block_px // 2 for at in spread]

    def _laid(self, row: int, col: int, rows: int, cols: int, size: tuple[int, int]) -> Rgba:
        """A window of the earlier picture on the grid of so many rows and columns."""
        x, y = self._sought(row, col, rows, cols, size)
        height, width = self._shrunk(x, y)
        x = _to_the_edge(x * np.float32(width / self._before.width) - np.float32(0.5), width)
        y = _to_the_edge(y * np.float32(height / self._before.height) - np.float32(0.5), height)
        left, top = max(0, math.floor(x.min())), max(0, math.floor(y.min()))
        right, bottom = min(width, math.floor(x.max()) + 2), min(height, math.floor(y.max()) + 2)
        if right <= left or bottom <= top:
            return np.zeros((rows, cols, 4), np.uint8)
        source = _read(self._level(self._before, (height, width)), (top, left, bottom, right), (height, width))
        x, y = x - np.float32(left), y - np.float32(top)
        return np.asarray(cv2.remap(source, x, y, cv2.INTER_LINEAR, borderMode=cv2.BORDER_CONSTANT), np.uint8)

    def _shrunk(self, x: NDArray[np.float32], y: NDArray[np.float32]) -> tuple[int, int]:
        """Rows and columns of the earlier picture where it is shrunk to pixels that lie at such places, px of it."""
        apart = math.hypot(x[0, -1] - x[0, 0], y[0, -1] - y[0, 0]) / max(1, x.shape[1] - 1)
        shrink = max(1, int(apart + 0.1))
        return -(-self._before.height // shrink), -(-self._before.width // shrink)

    def _level(self, source: rasterio.DatasetReader, size: tuple[int, int]) -> rasterio.DatasetReader:
        """What so many rows and columns of a picture are read from."""
        reduced = self._reduced.get(source)
        return source if reduced is None or size[0] > reduced.height else reduced

    def _sought(
        self, row: int, col: int, rows: int, cols: int, size: tuple[int, int]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Where pixels of a window lie in the earlier picture, px of it; computed for every NODE_PX, else between."""
        down = (np.arange(-1, -(-rows // NODE_PX) + 1) + 0.5) * NODE_PX + row
        across = (np.arange(-1, -(-cols // NODE_PX) + 1) + 0.5) * NODE_PX + col
        place = self.transform @ self._lay @ rasterio.Affine.scale(self.width_px / size[1], self.height_px / size[0])
        x, y = place @ tuple(np.meshgrid(across, down))
        if self._to_before is not None:
            x, y = self._to_before.transform(x, y)
        nodes = ~self._before.transform @ (x, y)
        inner = (slice(NODE_PX, NODE_PX + rows), slice(NODE_PX, NODE_PX + cols))
        full = (len(across) * NODE_PX, len(down) * NODE_PX)
        x, y = (cv2.resize(node.astype(np.float32), full, interpolation=cv2.INTER_LINEAR)[inner] for node in nodes)
        return x, y


def _to_the_edge(at: NDArray[np.float32], length: int) -> NDArray[np.float32]:
    """The outer half of an outermost pixel is that pixel; what lies beyond stays outside."""
    middle = np.float32((length - 1) / 2)
    return np.where(np.abs(at - middle) <= length / 2, np.clip(at, 0, length - 1), -9.0).astype(np.float32)


def _opened(path: Path) -> rasterio.DatasetReader:
    try:
        source = rasterio.open(path, driver="GTiff")
    except (rasterio.errors.RasterioError, OSError) as exc:
        raise RasterInvalid(f"{path}: cannot be read as a GeoTIFF: {exc}") from exc
    if source.crs is None:
        raise RasterInvalid(f"{path}: states no coordinate reference system")
    if ColorInterp.palette in source.colorinterp:
        raise RasterInvalid(f"{path}: has a palette of colours: write it as RGB first (gdal_translate -expand rgb)")
    if source.count not in (1, 2, 3, 4) or any(kind != "uint8" for kind in source.dtypes):
        raise RasterInvalid(f"{path}: bands are {', '.join(source.dtypes)}; 8-bit grey, RGB or RGBA can be compared")
    return source


def _reduce(
    source: rasterio.DatasetReader, size: tuple[int, int], copy: Path, on_block: Callable[[int, int], None]
) -> None:
    """Write a raster in so many rows and columns, with overviews."""
    height, width = size
    place = source.transform @ rasterio.Affine.scale(source.width / width, source.height / height)
    corners = list(itertools.product(range(0, height, BLOCK_PX), range(0, width, BLOCK_PX)))
    with rasterio.open(
        copy, "w", driver="GTiff", height=height, width=width, count=4, dtype="uint8", photometric="rgb", alpha="yes",
        crs=source.crs, transform=place, tiled=True, blockxsize=BLOCK_PX, blockysize=BLOCK_PX, interleave="pixel",
        bigtiff="if_safer",
    ) as reduced:  # fmt: skip
        for done, (row, col) in enumerate(corners, start=1):
            bottom, right = min(row + BLOCK_PX, height), min(col + BLOCK_PX, width)
            cells = _read(source, (row, col, bottom, right), size)
            reduced.write(np.moveaxis(cells, -1, 0), window=Window(col, row, right - col, bottom - row))
            on_block(done, len(corners))
    with rasterio.open(copy, "r+") as reduced:
        reduced.build_overviews([2**step for step in range(1, 8)], Resampling.average)


def _lossy(path: Path) -> bool:
    found = []
    with _opened(path) as source:
        found.append(source.compression)
        has_overviews = bool(source.overviews(1))
    if has_overviews:
        with rasterio.open(path, driver="GTiff", OVERVIEW_LEVEL=0) as overview:
            found.append(overview.compression)
    return any(kind in (Compression.jpeg, Compression.webp) for kind in found)


def _bounds(source: rasterio.DatasetReader) -> tuple[float, float, float, float]:
    """West, south, east, north, whichever way its rows run."""
    west, south, east, north = source.bounds
    return min(west, east), min(south, north), max(west, east), max(south, north)


def _read(source: rasterio.DatasetReader, place: tuple[int, int, int, int], size: tuple[int, int]) -> Rgba:
    """A window (top, left, bottom, right) of the raster resized to `size`; alpha is KNOWN or 0, as beyond its edge."""
    top, left, bottom, right = (min(max(at, 0), most) for at, most in zip(place, (*size, *size), strict=True))
    out = np.zeros((place[2] - place[0], place[3] - place[1], 4), np.uint8)
    if bottom <= top or right <= left:
        return out
    down, across = source.height / size[0], source.width / size[1]
    shape = (bottom - top, right - left)
    how = {
        "window": Window(left * across, top * down, shape[1] * across, shape[0] * down),
        "resampling": Resampling.average if max(down, across) > 1.01 else Resampling.nearest,
    }
    count = 1 if source.count <= 2 else 3
    bands = source.read(list(range(1, count + 1)), out_shape=(count, *shape), **how)
    known = np.bitwise_or.reduce(bands) > 0
    if MaskFlags.all_valid not in source.mask_flag_enums[0]:
        known &= source.dataset_mask(out_shape=shape, **how) > 0
    inner = (slice(top - place[0], bottom - place[0]), slice(left - place[1], right - place[1]))
    out[inner] = cv2.merge([*(bands if count == 3 else bands.repeat(3, axis=0)), known.astype(np.uint8) * KNOWN])
    return out


def _shift(before: Picture, after: Picture, known: Mask) -> tuple[float, float] | None:
    """Right and down by which `before` has to be read elsewhere to lie over `after`, px; None where nothing tells."""
    if known.mean() < 0.6:
        return None
    edges = [_edges(picture, known) for picture in (after, before)]
    if min(float(one.std()) for one in edges) < 1e-3:
        return None
    window = cv2.createHanningWindow(edges[0].shape[::-1], cv2.CV_32F)
    (right, down), response = cv2.phaseCorrelate(edges[0], edges[1], window)
    return (float(right), float(down)) if response >= LEAST_RESPONSE else None


def _edges(picture: Picture, known: Mask) -> NDArray[np.float32]:
    """Strength of edges, whatever the light; edges of shadows, which move with the sun, no stronger than others."""
    grey = np.log(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) + 12.0)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.0)
    strength = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    inside = cv2.erode(known.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.where(inside, np.minimum(strength, MOST_EDGE), 0.0).astype(np.float32)


def _least_squares(
    places: NDArray[np.float64], shifts: NDArray[np.float64]
) -> tuple[rasterio.Affine, NDArray[np.float64]]:
    """The transformation of the grid that takes places (n, 2) by shifts (n, 2), and what remains (n, 2), px."""
    if len(places) < LEAST_FOR_AFFINE:
        mean = shifts.mean(axis=0)
        return rasterio.Affine.translation(*mean), shifts - mean
    design = np.column_stack([places, np.ones(len(places))])
    solved = np.linalg.lstsq(design, shifts, rcond=None)[0]
    (a, d), (b, e), (c, f) = solved
    return rasterio.Affine(1 + a, b, c, d, 1 + e, f), shifts - design @ solved
