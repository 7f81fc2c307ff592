"""Web map tiles (XYZ, Web Mercator) cut from a GeoTIFF; nothing but GTiff is opened.

Only the blocks that a tile touches are read, from the overview that fits, and kept for the tiles beside it. The way
from tile to raster is computed exactly at nodes and interpolated between them where that is within an eighth of a
pixel, else at every fourth pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.errors import RasterInvalid
from geo.png import png
from geo.rasters import Block, Raster, raster
from geo.styles import Style

Array = NDArray[np.float64]
Image = NDArray[np.uint8]
Form = Literal["png", "jpg", "webp"]
FORMS: tuple[str, ...] = get_args(Form)
"""Kinds of pictures that tiles are made as."""

TILE_PX = 256
HALF_WORLD_M = 20_037_508.342789244
"""Half the width of the Web Mercator square (EPSG:3857), m."""
MOST_ZOOM = 30
PLAIN = Style()
JPEG_QUALITY, WEBP_QUALITY = 80, 75
_COARSE, _FINE = 32, 4
_CLOSE_PX = 0.125
_NO_MASK = np.zeros((0, 0), np.uint8)


def tile(path: Path | str, z: int, x: int, y: int, *, form: Form = "png", style: Style = PLAIN) -> bytes:
    """The tile z/x/y of a GeoTIFF as PNG or WebP (clear where there is nothing), or JPEG (white there).

    Raises RasterInvalid for a file that is no such GeoTIFF or does not have the bands of the style, ValueError for a
    tile outside the pyramid or another form.
    """
    if not (0 <= z <= MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
        raise ValueError(f"no tile {z}/{x}/{y}")
    if form not in FORMS:
        raise ValueError(f"no tiles of {form!r}; there are {', '.join(FORMS)}")
    return _encoded(rgba(raster(path), z, x, y, style), form, f"{path}: tile {z}/{x}/{y}")


def version(path: Path | str) -> str:
    """What changes when a file does. Raises RasterInvalid."""
    return "-".join(f"{part:x}" for part in raster(path).version)


def bounds_of(path: Path | str) -> tuple[float, float, float, float]:
    """West, south, east, north of a GeoTIFF, deg. Raises RasterInvalid."""
    return raster(path).bounds


def zooms_of(path: Path | str) -> tuple[int, int]:
    """The zoom at which the whole GeoTIFF fits in about one tile, and that at which no pixel is lost."""
    source = raster(path)
    west, south, east, north = source.bounds
    lats = np.radians(np.clip([south, north], -85.0, 85.0))
    tall_m = HALF_WORLD_M / np.pi * float(np.ptp(np.arcsinh(np.tan(lats))))
    wide_m = HALF_WORLD_M / 180 * (east - west)
    pixel_m = max(wide_m / source.grid.width, 1e-6)
    low = int(np.clip(np.floor(np.log2(2 * HALF_WORLD_M / max(wide_m, tall_m, 1e-6))), 0, MOST_ZOOM))
    high = int(np.clip(np.ceil(np.log2(2 * HALF_WORLD_M / TILE_PX / pixel_m)), low, MOST_ZOOM))
    return low, high


def rgba(source: Raster, z: int, x: int, y: int, style: Style = PLAIN) -> Image:
    """(256, 256, 4) of a tile. Raises RasterInvalid."""
    out = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    bands = style.chosen(source.bands, str(source.path))
    margin = 1 if style.hillshade else 0
    way = _way(source, z, x, y, margin)
    window = _window(source, way)
    if window is None:
        return out
    if source.dtype == "uint8" and style.plain:
        cells = window.block.cells
        mask = _NO_MASK if window.block.mask is None else window.block.mask
        _draw(cells, mask, np.array(bands), window.u, window.v, way.step, out)
        return out
    size = TILE_PX + 2 * margin
    values = np.full((size, size, len(bands)), np.nan, np.float32)
    known = np.ones(window.block.cells.shape[1:], np.uint8) if window.block.mask is None else window.block.mask
    _gather(window.block.cells, known, np.array(bands), window.u, window.v, way.step, values)
    values *= np.array([source.scales[band] for band in bands], np.float32)
    values += np.array([source.offsets[band] for band in bands], np.float32)
    if not margin:
        values = np.pad(values, ((1, 1), (1, 1), (0, 0)), mode="edge")
    pixel_m = 2 * HALF_WORLD_M / 2**z / TILE_PX * np.cos(_middle_lat(z, y))
    out[..., :3] = style.painted(values, _between(source, bands, style), float(pixel_m))
    out[..., 3] = np.where(np.isnan(values[1:-1, 1:-1]).any(axis=2), 0, 255)
    out[out[..., 3] == 0] = 0
    return out


def _middle_lat(z: int, y: int) -> float:
    return float(np.arctan(np.sinh(np.pi * (1 - 2 * (y + 0.5) / 2**z))))


def _between(source: Raster, bands: tuple[int, ...], style: Style) -> tuple[float, float]:
    """The values that are drawn darkest and brightest."""
    if style.rescale is not None:
        return style.rescale
    if source.dtype == "uint8" and not style.hillshade and style.colors == "grey":
        return 0.0, 255.0
    return source.spread(bands)


@dataclass(frozen=True)
class _Way:
    """From a tile to the raster: places of nodes, each `step` px of the tile."""

    cols: Array
    """(nodes, nodes) columns of the raster, counted from its corner; NaN outside of its coordinate system."""
    rows: Array
    """(nodes, nodes) rows."""
    step: int
    """Pixels of the tile between nodes."""


@dataclass(frozen=True)
class _Seen:
    """What of a level a tile shows, and where its nodes lie in that."""

    block: Block
    """The pixels."""
    u: Array
    """(nodes, nodes) columns, centres of pixels at whole numbers."""
    v: Array
    """(nodes, nodes) rows."""


def _way(source: Raster, z: int, x: int, y: int, margin: int) -> _Way:
    """Nodes in the centres of pixels, from `margin` px before the first, exact, close enough to interpolate between."""
    side_m = 2 * HALF_WORLD_M / 2**z
    size = TILE_PX + 2 * margin
    for step in (_COARSE, _FINE):
        count = -(-(size - 1) // step) + 1
        at = (np.arange(count) * step + 0.5 - margin) / TILE_PX * side_m
        east, north = np.meshgrid(-HALF_WORLD_M + x * side_m + at, HALF_WORLD_M - y * side_m - at)
        there = np.array(source.from_mercator.transform(east, north))
        there[:, ~np.isfinite(there).all(axis=0)] = np.nan
        cols, rows = ~source.grid.transform @ (there[0], there[1])
        if step == _COARSE and _straight(cols, rows):
            break
    return _Way(cols, rows, step)


def _straight(cols: Array, rows: Array) -> bool:
    """Whether what lies between nodes can be interpolated: a node lies near the middle of those two beside it.

    Between nodes the way bends a quarter as much as over two steps. Compared with the size of a tile's pixel.
    """
    pixel = (
        max(float(np.nanmedian(np.abs(np.diff(cols, axis=1)))), float(np.nanmedian(np.abs(np.diff(rows, axis=0)))))
        if np.isfinite(cols).all()
        else 0.0
    )
    close = _CLOSE_PX * 4 * pixel / _COARSE
    bends = [np.abs(each[:, :-2] + each[:, 2:] - 2 * each[:, 1:-1]).max() / 2 for each in (cols, rows, cols.T, rows.T)]
    return bool(pixel > 0 and max(bends) < close)


def _window(source: Raster, way: _Way) -> _Seen | None:
    """What the tile shows, at the level that fits; None where that is nothing."""
    if not np.isfinite(way.cols).any():
        return None
    across = np.hypot(np.diff(way.cols, axis=1), np.diff(way.rows, axis=1)) / way.step
    down = np.hypot(np.diff(way.cols, axis=0), np.diff(way.rows, axis=0)) / way.step
    if not (np.isfinite(across).any() and np.isfinite(down).any()):
        return None
    number = source.level_for(float(min(np.nanmedian(across), np.nanmedian(down))))
    level = source.levels[number]
    u = way.cols * (level.width / source.grid.width) - 0.5
    v = way.rows * (level.height / source.grid.height) - 0.5
    left, right = max(int(np.nanmin(u)) - 1, 0), min(int(np.nanmax(u)) + 3, level.width)
    top, low = max(int(np.nanmin(v)) - 1, 0), min(int(np.nanmax(v)) + 3, level.height)
    if left >= right or top >= low:
        return None
    return _Seen(source.window(number, top, left, low - top, right - left), u - left, v - top)


def _encoded(picture: Image, form: Form, name: str) -> bytes:
    if form == "png":
        return png(picture)
    if form == "jpg":
        colours = picture[..., :3].copy()
        colours[picture[..., 3] == 0] = 255
        done, data = cv2.imencode(".jpg", colours[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    else:
        bgra = cv2.cvtColor(picture, cv2.COLOR_RGBA2BGRA)
        done, data = cv2.imencode(".webp", bgra, [cv2.IMWRITE_WEBP_QUALITY, WEBP_QUALITY])
    if not done:
        raise RasterInvalid(f"{name} cannot be encoded as {form}")
    return data.tobytes()


@njit(cache=True, nogil=True)
def _draw(cells: Image, mask: Image, bands: NDArray[np.int64], us: Array, vs: Array, step: int, out: Image) -> None:
    """Fill RGBA (h, w, 4) from 8-bit cells, bilinear; clear outside of them and where the mask is mostly 0."""
    height, width = cells.shape[1:]
    masked = mask.size > 0
    for r in range(out.shape[0]):
        i = min(r // step, us.shape[0] - 2)
        down = (r - i * step) / step
        for j in range(us.shape[1] - 1):
            first = j * step
            u, v = us[i, j] * (1 - down) + us[i + 1, j] * down, vs[i, j] * (1 - down) + vs[i + 1, j] * down
            u_end = us[i, j + 1] * (1 - down) + us[i + 1, j + 1] * down
            v_end = vs[i, j + 1] * (1 - down) + vs[i + 1, j + 1] * down
            step_u, step_v = (u_end - u) / step, (v_end - v) / step
            for c in range(first, min(first + step, out.shape[1])):
                if -0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5:
                    x, y = max(u, 0.0), max(v, 0.0)
                    left, top = int(x), int(y)
                    right, low = min(left + 1, width - 1), min(top + 1, height - 1)
                    across, under = int((x - left) * 256.0 + 0.5), int((y - top) * 256.0 + 0.5)
                    a, b = (256 - across) * (256 - under), across * (256 - under)
                    d, e = (256 - across) * under, across * under
                    weight = 65536
                    if masked:
                        a, b = (a if mask[top, left] else 0), (b if mask[top, right] else 0)
                        d, e = (d if mask[low, left] else 0), (e if mask[low, right] else 0)
                        weight = a + b + d + e
                    if weight >= 32768:
                        for band in range(3):
                            k = bands[band if bands.size == 3 else 0]
                            total = a * cells[k, top, left] + b * cells[k, top, right]
                            total += d * cells[k, low, left] + e * cells[k, low, right]
                            if weight == 65536:
                                out[r, c, band] = (total + 32768) >> 16
                            else:
                                out[r, c, band] = (total + weight // 2) // weight
                        out[r, c, 3] = 255
                u += step_u
                v += step_v


@njit(cache=True, nogil=True)
def _gather(
    cells: Any, mask: Image, bands: NDArray[np.int64], us: Array, vs: Array, step: int, out: NDArray[np.float32]
) -> None:
    """Fill values (h, w, bands), bilinear of what is known; what is not stays as it is."""
    height, width = cells.shape[1:]
    for r in range(out.shape[0]):
        i = min(r // step, us.shape[0] - 2)
        down = (r - i * step) / step
        for c in range(out.shape[1]):
            j = min(c // step, us.shape[1] - 2)
            along = (c - j * step) / step
            u = (us[i, j] * (1 - down) + us[i + 1, j] * down) * (1 - along)
            u += (us[i, j + 1] * (1 - down) + us[i + 1, j + 1] * down) * along
            v = (vs[i, j] * (1 - down) + vs[i + 1, j] * down) * (1 - along)
            v += (vs[i, j + 1] * (1 - down) + vs[i + 1, j + 1] * down) * along
            if not (-0.5 <= u < width - 0.5 and -0.5 <= v < height - 0.5):
                continue
            x, y = max(u, 0.0), max(v, 0.0)
            left, top = int(x), int(y)
            for band in range(bands.size):
                total, weight = 0.0, 0.0
                for k in range(4):
                    row, col = min(top + k // 2, height - 1), min(left + k % 2, width - 1)
                    part = (y - top if k // 2 else 1 - y + top) * (x - left if k % 2 else 1 - x + left)
                    value = cells[bands[band], row, col]
                    if part > 0 and mask[row, col] and value == value:
                        total += part * value
                        weight += part
                if weight >= 0.5:
                    out[r, c, band] = total / weight
