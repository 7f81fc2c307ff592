"""Web map tiles (XYZ, Web Mercator) cut from a GeoTIFF; nothing but GTiff is opened."""

from __future__ import annotations

import threading
from pathlib import Path

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import ColorInterp, Resampling
from rasterio.vrt import WarpedVRT
from rasterio.warp import transform_bounds

from geo.errors import RasterInvalid

TILE_PX = 256
HALF_WORLD_M = 20_037_508.342789244
"""Half the width of the Web Mercator square (EPSG:3857), m."""
MOST_OPEN = 8
"""Files that one thread keeps open."""

_open = threading.local()


def tile(path: Path | str, z: int, x: int, y: int, *, form: str = "png") -> bytes:
    """The tile z/x/y of a GeoTIFF of 8-bit grey, RGB or RGBA, as PNG (clear where there is nothing) or JPEG.

    Raises RasterInvalid for a file that is no such GeoTIFF, ValueError for a tile outside the pyramid.
    """
    if not (0 <= z <= 30 and 0 <= x < 2**z and 0 <= y < 2**z):
        raise ValueError(f"no tile {z}/{x}/{y}")
    source = _source(Path(path))
    side_m = 2 * HALF_WORLD_M / 2**z
    west, north = -HALF_WORLD_M + x * side_m, HALF_WORLD_M - y * side_m
    pixel_m = side_m / TILE_PX
    rgba = np.zeros((TILE_PX, TILE_PX, 4), np.uint8)
    if _touches(source, west, north - side_m, west + side_m, north):
        transform = rasterio.Affine(pixel_m, 0.0, west, 0.0, -pixel_m, north)
        rgba = _warped(source, transform)
    if form == "png":
        done, encoded = cv2.imencode(".png", cv2.cvtColor(rgba, cv2.COLOR_RGBA2BGRA), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    else:
        done, encoded = cv2.imencode(".jpg", cv2.cvtColor(rgba[:, :, :3], cv2.COLOR_RGB2BGR))
    if not done:
        raise RasterInvalid(f"{path}: tile {z}/{x}/{y} cannot be encoded as {form}")
    return encoded.tobytes()


def bounds_of(path: Path | str) -> tuple[float, float, float, float]:
    """West, south, east, north of a GeoTIFF, deg. Raises RasterInvalid."""
    source = _source(Path(path))
    west, south, east, north = transform_bounds(source.crs, "EPSG:4326", *source.bounds)
    return float(west), float(south), float(east), float(north)


def zooms_of(path: Path | str) -> tuple[int, int]:
    """The zoom at which the whole GeoTIFF fits in about one tile, and that at which no pixel is lost."""
    source = _source(Path(path))
    west, south, east, north = transform_bounds(source.crs, "EPSG:3857", *source.bounds)
    widest_m = max(east - west, north - south)
    pixel_m = max((east - west) / source.width, 1e-6)
    world_m = 2 * HALF_WORLD_M
    low = int(np.clip(np.floor(np.log2(world_m / widest_m)), 0, 30))
    high = int(np.clip(np.ceil(np.log2(world_m / TILE_PX / pixel_m)), low, 30))
    return low, high


def _source(path: Path) -> rasterio.DatasetReader:
    """The file, opened once by each thread (datasets are not thread-safe), again when it has changed."""
    kept: dict[tuple[str, int], rasterio.DatasetReader] = _open.__dict__.setdefault("sources", {})
    try:
        key = (str(path), path.stat().st_mtime_ns)
        if key not in kept:
            for stale in [old for old in kept if old[0] == str(path)] + list(kept)[: max(0, len(kept) - MOST_OPEN)]:
                kept.pop(stale).close()
            kept[key] = _checked(rasterio.open(path, driver="GTiff"), path)
    except (rasterio.errors.RasterioError, OSError) as exc:
        raise RasterInvalid(f"{path}: cannot be read as a GeoTIFF: {exc}") from exc
    return kept[key]


def _checked(source: rasterio.DatasetReader, path: Path) -> rasterio.DatasetReader:
    if source.crs is None:
        raise RasterInvalid(f"{path}: states no coordinate reference system")
    if source.count not in (1, 2, 3, 4) or any(kind != "uint8" for kind in source.dtypes):
        kinds = ", ".join(source.dtypes)
        raise RasterInvalid(f"{path}: bands are {kinds}; 8-bit grey, RGB or RGBA can be drawn")
    return source


def _touches(source: rasterio.DatasetReader, west: float, south: float, east: float, north: float) -> bool:
    left, bottom, right, top = transform_bounds(source.crs, "EPSG:3857", *source.bounds)
    return bool(left < east and right > west and bottom < north and top > south)


def _warped(source: rasterio.DatasetReader, transform: rasterio.Affine) -> NDArray[np.uint8]:
    """(256, 256, 4) RGBA of the square that the transform says."""
    alpha_given = ColorInterp.alpha in source.colorinterp
    square = {"crs": "EPSG:3857", "transform": transform, "width": TILE_PX, "height": TILE_PX}
    try:
        with WarpedVRT(source, add_alpha=not alpha_given, resampling=Resampling.bilinear, **square) as view:
            bands = view.read()
    except rasterio.errors.RasterioError as exc:
        raise RasterInvalid(f"{source.name}: cannot be warped: {exc}") from exc
    colours = bands[:-1] if len(bands) >= 4 else np.repeat(bands[:1], 3, axis=0)
    return np.ascontiguousarray(np.concatenate([colours[:3], bands[-1:]]).transpose(1, 2, 0))
