"""Two orthophotos of one place on one grid: opened safely, laid over each other, read by windows and at overviews."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import cv2
import msgspec
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds
from rasterio.windows import Window

from geo.errors import RasterInvalid

Picture = NDArray[np.uint8]
"""(H, W, 3) RGB."""
Mask = NDArray[np.bool_]

CACHE_BYTES = 300_000_000
"""Blocks that GDAL keeps decoded while a pair is open; its own default is 5 % of the memory."""
FIT_SIDE = 5
"""The fine fit looks at so many windows across and down."""
FIT_PX = 384
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
        self._bounded = rasterio.Env(GDAL_CACHEMAX=CACHE_BYTES)
        self._by_size: dict[tuple[int, int], WarpedVRT] = {}
        self.width_px, self.height_px = self._after.width, self._after.height
        self.crs, self.transform = self._after.crs, self._after.transform
        self._lay = rasterio.Affine.identity()
        west, south, east, north = transform_bounds(self._before.crs, self.crs, *self._before.bounds)
        left, bottom, right, top = self._after.bounds
        if not (west < right and east > left and south < top and north > bottom):
            raise RasterInvalid(f"{before} and {after} do not overlap: no place is in both")

    def __enter__(self) -> Self:
        self._bounded.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._forget()
        self._before.close()
        self._after.close()
        self._bounded.__exit__()

    def tags(self) -> tuple[dict[str, str], dict[str, str]]:
        """Tags of the earlier and of the later file."""
        return self._before.tags(), self._after.tags()

    def read(self, row: int, col: int, rows: int, cols: int, *, scale: int = 1) -> tuple[Picture, Picture, Mask]:
        """Before, after and where both are known, of a window of the grid that is `scale` times coarser.

        What lies outside the grid is unknown. Raises RasterInvalid for damaged files.
        """
        height, width = self.size_at(scale)
        top, left = max(row, 0), max(col, 0)
        bottom, right = min(row + rows, height), min(col + cols, width)
        before = np.zeros((rows, cols, 3), np.uint8)
        after, known = before.copy(), np.zeros((rows, cols), np.bool_)
        if bottom <= top or right <= left:
            return before, after, known
        inner = (slice(top - row, bottom - row), slice(left - col, right - col))
        try:
            after[inner], seen = _read(self._after, (top, left, bottom, right), (height, width))
            before[inner], there = _read(self._over(height, width), (top, left, bottom, right), (height, width))
        except rasterio.errors.RasterioError as exc:
            raise RasterInvalid(f"{self._paths[0]} or {self._paths[1]}: damaged: {exc}") from exc
        known[inner] = seen & there
        return before, after, known

    def overview(self, side_px: int) -> tuple[Picture, Picture, Mask]:
        """As `read`, the whole at no more than about `side_px` rows and columns."""
        scale = max(1, -(-max(self.height_px, self.width_px) // side_px))
        return self.read(0, 0, *self.size_at(scale), scale=scale)

    def size_at(self, scale: int) -> tuple[int, int]:
        """Rows and columns of the grid `scale` times coarser."""
        return max(1, round(self.height_px / scale)), max(1, round(self.width_px / scale))

    def fit(self, *, scale: int) -> Fit:
        """Lay the earlier picture over the later one: roughly at `scale`, then by windows of the full picture."""
        rough = self._shift_at(scale)
        if rough is not None:
            self._set(rasterio.Affine.translation(*rough))
        places, shifts = self._fine_shifts()
        if len(shifts) < LEAST_FITS:
            return Fit(shift_px=rough or (0.0, 0.0), residual_px=None, windows=len(shifts))
        agreed = np.linalg.norm(shifts - np.median(shifts, axis=0), axis=1) < MOST_RESIDUAL_PX
        places, shifts = places[agreed], shifts[agreed]
        if len(shifts) < LEAST_FITS:
            return Fit(shift_px=rough or (0.0, 0.0), residual_px=None, windows=len(shifts))
        lay, residuals = _least_squares(places, shifts)
        self._set(self._lay @ lay)
        middle = np.array([self.width_px / 2, self.height_px / 2])
        moved = np.array(self._lay @ tuple(middle)) - middle
        return Fit(
            shift_px=(float(moved[0]), float(moved[1])),
            residual_px=float(np.sqrt(np.mean(np.sum(residuals**2, axis=1)))),
            windows=len(shifts),
        )

    def _shift_at(self, scale: int) -> tuple[float, float] | None:
        height, width = self.size_at(scale)
        coarser = scale * max(1, -(-max(height, width) // 1024))
        rows, cols = self.size_at(coarser)
        before, after, known = self.read(0, 0, rows, cols, scale=coarser)
        found = _shift(before, after, known)
        if found is None or max(abs(found[0]), abs(found[1])) > 0.1 * min(rows, cols):
            return None
        return found[0] * self.width_px / cols, found[1] * self.height_px / rows

    def _fine_shifts(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        side = min(FIT_PX, self.width_px, self.height_px)
        places, shifts = [], []
        for y in np.linspace(side / 2, self.height_px - side / 2, FIT_SIDE):
            for x in np.linspace(side / 2, self.width_px - side / 2, FIT_SIDE):
                window = self.read(int(y - side / 2), int(x - side / 2), side, side)
                found = _shift(*window)
                if found is not None:
                    places.append((x, y))
                    shifts.append(found)
        return np.array(places).reshape(-1, 2), np.array(shifts).reshape(-1, 2)

    def _set(self, lay: rasterio.Affine) -> None:
        self._lay = lay
        self._forget()

    def _forget(self) -> None:
        for view in self._by_size.values():
            view.close()
        self._by_size.clear()

    def _over(self, height: int, width: int) -> WarpedVRT:
        """The earlier picture on the grid of the later one, of so many rows and columns."""
        if (height, width) not in self._by_size:
            across, down = self.width_px / width, self.height_px / height
            finest = min(across, down) * _pixel_ratio(self._after, self._before)
            levels = [k for k, factor in enumerate(self._before.overviews(1)) if factor <= finest * 1.01]
            source = _opened(self._paths[0], level=levels[-1]) if levels else self._before
            alpha = ColorInterp.alpha in source.colorinterp or source.nodata is not None
            self._by_size[height, width] = WarpedVRT(
                source,
                crs=self.crs,
                transform=self.transform @ self._lay @ rasterio.Affine.scale(across, down),
                height=height,
                width=width,
                resampling=Resampling.average if finest > 1.5 and not levels else Resampling.bilinear,
                add_alpha=not alpha,
            )
        return self._by_size[height, width]


def _opened(path: Path, *, level: int | None = None) -> rasterio.DatasetReader:
    options = {} if level is None else {"OVERVIEW_LEVEL": level}
    try:
        source = rasterio.open(path, driver="GTiff", **options)
    except (rasterio.errors.RasterioError, OSError) as exc:
        raise RasterInvalid(f"{path}: cannot be read as a GeoTIFF: {exc}") from exc
    if source.crs is None:
        raise RasterInvalid(f"{path}: states no coordinate reference system")
    if source.count not in (1, 2, 3, 4) or any(kind != "uint8" for kind in source.dtypes):
        raise RasterInvalid(f"{path}: bands are {', '.join(source.dtypes)}; 8-bit grey, RGB or RGBA can be compared")
    return source


def _pixel_ratio(after: rasterio.DatasetReader, before: rasterio.DatasetReader) -> float:
    """Size of a pixel of the later picture in pixels of the earlier one."""
    west, south, east, north = transform_bounds(after.crs, before.crs, *after.bounds)
    across = (east - west) / after.width / abs(before.transform.a or before.transform.b)
    down = (north - south) / after.height / abs(before.transform.e or before.transform.d)
    return float(max(1e-3, min(across, down)))


def _read(
    source: rasterio.DatasetReader | WarpedVRT, place: tuple[int, int, int, int], size: tuple[int, int]
) -> tuple[Picture, Mask]:
    """RGB and what is known of a window (top, left, bottom, right) of the raster resized to `size`."""
    top, left, bottom, right = place
    down, across = source.height / size[0], source.width / size[1]
    window = Window(left * across, top * down, (right - left) * across, (bottom - top) * down)
    coarse = max(down, across) > 1.01
    how = {
        "window": window,
        "out_shape": (bottom - top, right - left),
        "resampling": Resampling.average if coarse else Resampling.nearest,
    }
    grey = source.count <= 2
    shape = (1 if grey else 3, bottom - top, right - left)
    bands = source.read([1] if grey else [1, 2, 3], **{**how, "out_shape": shape})
    picture = np.ascontiguousarray(np.moveaxis(np.repeat(bands, 3, axis=0) if grey else bands, 0, -1))
    known = source.dataset_mask(**how) > 0
    return picture, known & picture.any(axis=-1)


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
    """Strength of edges, whatever the light."""
    grey = np.log(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32) + 12.0)
    grey = cv2.GaussianBlur(grey, (0, 0), 1.0)
    strength = np.hypot(cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1))
    inside = cv2.erode(known.astype(np.uint8), np.ones((7, 7), np.uint8)) > 0
    return np.where(inside, np.minimum(strength, 1.0), 0.0).astype(np.float32)


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
