"""Terrain heights from rasters and arrays; missing terrain raises, it is never 0."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Protocol

import numpy as np
import pyproj
import rasterio
from numba import njit
from numpy.typing import ArrayLike, NDArray
from pyproj import Transformer

from geo import geoids
from geo.errors import DatumUnknown, TerrainMissing
from geo.geoids import HeightDatum
from geo.relief import AnyRelief, FlatRelief, Relief

Array = NDArray[np.float64]
Cells = NDArray[np.float32]

BLOCK = 512
"""A file is read in squares of so many cells."""
MOST_BLOCKS = 64
"""So many squares of one file are kept: 64 MB."""
WEIGHT_ROUNDING = 1e-6
"""Neighbouring rasters that meet may fall so far short of a whole weight: their corners are rounded."""
SUFFIXES = re.compile(r"\.(tiff?|hgt|hgt\.zip)$", re.IGNORECASE)
"""Ends of the names of DEMs in a folder."""
GEOID_STEP_M = 1000.0
"""What a geoid adds to heights is taken at places so far apart, and bilinear in between."""
LOWEST_M, HIGHEST_M = -600.0, 9200.0
"""No ground lies beyond, whatever its heights count from: a file that holds -32768 or the like and does not say that
this stands for nothing has a hole there."""
METRES = {None, "", "m", "metre", "metres", "meter", "meters"}


class Terrain(Protocol):
    """Heights of the ground above mean sea level."""

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
        """Ground height, m AMSL, at lon and lat, deg; arrays of any one shape. Raises TerrainMissing."""


class FlatTerrain:
    """Ground of one height, where nothing better is known and the caller says so."""

    def __init__(self, amsl_m: float) -> None:
        """Ground at `amsl_m` everywhere. Raises TerrainMissing for a height that no ground has."""
        if not LOWEST_M <= amsl_m <= HIGHEST_M:
            raise TerrainMissing(f"ground at {amsl_m:g} m AMSL: from {LOWEST_M:g} to {HIGHEST_M:g} m can be")
        self._amsl_m = amsl_m
        self.relief = FlatRelief(amsl_m)
        """The ground as rays see it."""

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
        """The one height, in the shape of the arguments."""
        return np.full(np.broadcast(lon, lat).shape, self._amsl_m)


class GridTerrain:
    """A raster of ground heights, read bilinearly: an array, or a file of which only what is asked for is loaded."""

    _block: Callable[[int, int], Cells]

    def __init__(
        self,
        heights_m: NDArray[np.floating],
        transform: rasterio.Affine,
        *,
        crs: str = "EPSG:4326",
        name: str,
        height_datum: HeightDatum = HeightDatum.EGM96,
        geoid_folders: Sequence[Path] = (),
    ) -> None:
        """Heights (rows, cols) above `height_datum`, NaN where unknown; `transform` maps (col, row) of cell corners."""
        cells = np.ascontiguousarray(heights_m, np.float32)
        self._set(name, transform, pyproj.CRS(crs), cells.shape, height_datum, geoid_folders)
        self._block_size, self._block = max(cells.shape), lambda row, col: cells

    def _set(
        self,
        name: str,
        transform: rasterio.Affine,
        crs: pyproj.CRS,
        shape: tuple[int, ...],
        height_datum: HeightDatum,
        geoid_folders: Sequence[Path],
    ) -> None:
        self.name, self.height_datum, self.stated = name, height_datum, True
        self._rows, self._cols = shape
        self.shape = self._rows, self._cols
        self._transform, self._inverse, self._geoid_folders = transform, ~transform, tuple(geoid_folders)
        self.in_degrees = crs == pyproj.CRS("EPSG:4326")
        """Whether its columns and rows run with longitude and latitude."""
        self._to_crs = None if self.in_degrees else Transformer.from_crs("EPSG:4326", crs, always_xy=True)
        edge = np.linspace(0, 1, 21)
        corners = np.array([(a * self._cols, b * self._rows) for a in edge for b in edge if {a, b} & {0.0, 1.0}]).T
        x, y = transform @ (corners[0], corners[1])
        lon, lat = (x, y) if self._to_crs is None else self._to_crs.transform(x, y, direction="INVERSE")
        across, up = 2 * np.ptp(lon) / self._cols, 2 * np.ptp(lat) / self._rows
        self.bounds = np.array([np.min(lon) - across, np.min(lat) - up, np.max(lon) + across, np.max(lat) + up])
        """West, south, east, north, deg, with a margin of two cells."""

    @classmethod
    def from_file(
        cls, path: Path | str, *, height_datum: HeightDatum | None = None, geoid_folders: Sequence[Path] = ()
    ) -> GridTerrain:
        """The first band of a GeoTIFF, or an SRTM tile (.hgt, .hgt.zip), read when and where it is asked for.

        `height_datum` is what its heights are counted from; None: what the file states, else EGM96 (and `stated`
        is False). Heights that no ground has are holes, see LOWEST_M. Raises TerrainMissing if it cannot be read,
        DatumUnknown if file and caller contradict each other, GeoidMissing.
        """
        path = Path(path)
        with _opened(path) as raster:
            if raster.crs is None:
                raise TerrainMissing(f"{path}: the DEM states no coordinate reference system")
            unit = raster.units[0]
            if unit is not None and unit.lower() not in METRES:
                raise TerrainMissing(f"{path}: heights in {unit!r}: convert them to metres")
            crs = pyproj.CRS(raster.crs.to_wkt())
            found = _stated_datum(crs, raster)
            if height_datum is not None and found is not None and found != height_datum:
                raise DatumUnknown(
                    f"{path}: states {found} heights, {height_datum} is asked for: correct one of the two"
                )
            terrain = cls.__new__(cls)
            flat = crs.sub_crs_list[0] if crs.is_compound else crs.to_2d()
            datum = height_datum or found or HeightDatum.EGM96
            terrain._set(str(path), raster.transform, flat, raster.shape, datum, geoid_folders)
        terrain.stated = (height_datum or found) is not None
        terrain._block_size = BLOCK
        terrain._block = lru_cache(MOST_BLOCKS)(_block_reader(path, terrain._rows, terrain._cols))
        return terrain

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
        """Ground height, m AMSL, at lon and lat, deg; arrays of any one shape. Raises TerrainMissing, GeoidMissing."""
        lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        heights, weights = self.weighted(lons.ravel(), lats.ravel())
        if len(weights) and not weights.min() > 1.0 - WEIGHT_ROUNDING:
            unknown = int(np.argmin(weights))
            raise _missing([self], float(lons.flat[unknown]), float(lats.flat[unknown]))
        return heights.reshape(lons.shape)

    @cached_property
    def relief(self) -> Relief | AnyRelief:
        """The ground as rays see it."""
        return Relief([self]) if min(self.shape) > 1 else AnyRelief(self.amsl_m)

    def posts(self, row: int, col: int, side: int) -> Cells:
        """Heights (side, side), m AMSL, from a row and column on (multiples of BLOCK; `side` at most BLOCK + 1).

        NaN where unknown and beyond the raster. Raises TerrainMissing for a damaged file, GeoidMissing.
        """
        size = self._block_size
        first_row, first_col = row // size * size, col // size * size
        block = self._block(first_row, first_col)[row - first_row :, col - first_col :][:side, :side]
        posts = np.full((side, side), np.nan, np.float32)
        rows, cols = block.shape
        posts[:rows, :cols] = block
        if self.height_datum is not HeightDatum.EGM96:
            posts[:rows, :cols] += self._geoid_shift_m(row, col, rows, cols)
        return posts

    def _geoid_shift_m(self, row: int, col: int, rows: int, cols: int) -> Array:
        """(rows, cols) what makes heights above the raster's datum heights AMSL."""
        down, right = (np.append(np.arange(0, most - 1, self._geoid_step), most - 1) for most in (rows, cols))
        x, y = self._transform @ tuple(part + 0.5 for part in np.meshgrid(col + right, row + down))
        lon, lat = (x, y) if self._to_crs is None else self._to_crs.transform(x, y, direction="INVERSE")
        shift_m = geoids.amsl_m(np.zeros(lon.shape), lon, lat, datum=self.height_datum, folders=self._geoid_folders)
        along = np.stack([np.interp(np.arange(cols), right, each) for each in shift_m])
        return np.stack([np.interp(np.arange(rows), down, each) for each in along.T], axis=-1)

    @cached_property
    def _geoid_step(self) -> int:
        """So many cells are GEOID_STEP_M or a little less."""
        west, south, east, north = self.bounds
        cell_m = max(east - west, north - south) / max(self.shape) * 111_320.0
        return max(1, int(GEOID_STEP_M / cell_m))

    def places(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Rows and columns, counted from the middles of cells, of lon and lat, deg."""
        x, y = (lon, lat) if self._to_crs is None else self._to_crs.transform(lon, lat)
        cols, rows = self._inverse @ (np.asarray(x), np.asarray(y))
        return np.asarray(rows - 0.5), np.asarray(cols - 0.5)

    def holds(self, lon: float, lat: float) -> bool:
        """Whether a place lies between the middles of its cells, known or not."""
        rows, cols = self.places(np.array([lon]), np.array([lat]))
        return bool(0 <= rows[0] <= self._rows - 1 and 0 <= cols[0] <= self._cols - 1)

    def weighted(self, lon: Array, lat: Array) -> tuple[Array, Array]:
        """Heights, m AMSL (n,), and how far each counts, 0 to 1.

        A height counts fully between the middles of cells, less and less up to one cell beyond the outermost, so
        that neighbouring rasters blend into each other as if they were one, and not at all where a cell is unknown.
        """
        rows, cols = self.places(lon, lat)
        heights, weights = np.zeros(len(lon)), np.zeros(len(lon))
        size = self._block_size
        last = (self._rows - 1) // size, (self._cols - 1) // size
        block_rows, block_cols = np.zeros(1), np.zeros(1)
        if last != (0, 0):
            block_rows, block_cols = (np.clip(at // size, 0, most) for at, most in ((rows, last[0]), (cols, last[1])))
        keys = block_rows * (last[1] + 1) + block_cols
        for key in np.unique(keys[np.isfinite(keys)]):
            row, col = (int(at) * size for at in divmod(key, last[1] + 1))
            mine = slice(None) if (keys == key).all() else np.flatnonzero(keys == key)
            heights[mine], weights[mine] = _bilinear(
                self._block(row, col), row, col, self._rows, self._cols, rows[mine], cols[mine]
            )
        if self.height_datum is not HeightDatum.EGM96:
            known = weights > 0
            heights[known] = geoids.amsl_m(
                heights[known], lon[known], lat[known], datum=self.height_datum, folders=self._geoid_folders
            )
        return heights, weights


@njit(cache=True)
def _bilinear(
    block: Cells, first_row: int, first_col: int, all_rows: int, all_cols: int, rows: Array, cols: Array
) -> tuple[Array, Array]:
    """Heights at rows and columns from the one block that holds them, and how far they count."""
    heights, weights = np.zeros(len(rows)), np.zeros(len(rows))
    for place in range(len(rows)):
        row, col = rows[place], cols[place]
        held_row, held_col = min(max(row, 0.0), all_rows - 1.0), min(max(col, 0.0), all_cols - 1.0)
        weight = (1.0 - abs(row - held_row)) * (1.0 - abs(col - held_col))
        if not weight > 0 or abs(row - held_row) >= 1:
            continue
        top, left = int(held_row), int(held_col)
        down, right = held_row - top, held_col - left
        top, left = top - first_row, left - first_col
        height = block[top, left] * (1 - right)
        if right > 0:
            height += block[top, left + 1] * right
        if down > 0:
            below = block[top + 1, left] * (1 - right)
            if right > 0:
                below += block[top + 1, left + 1] * right
            height += (below - height) * down
        if not np.isnan(height):
            heights[place], weights[place] = height, weight
    return heights, weights


class TerrainTiles:
    """Several rasters as one terrain; where they overlap the first that knows a place counts."""

    def __init__(self, tiles: Sequence[GridTerrain]) -> None:
        """Tiles in order of preference, of any resolutions, coordinate systems and height datums."""
        self.tiles = tuple(tiles)
        self._bounds = np.array([tile.bounds for tile in tiles]).reshape(-1, 4)

    @cached_property
    def relief(self) -> Relief | AnyRelief:
        """The ground as rays see it."""
        sizes = [min(tile.shape) for tile in self.tiles]
        return Relief(self.tiles) if min(sizes, default=0) > 1 else AnyRelief(self.amsl_m)

    @classmethod
    def from_files(
        cls, paths: Sequence[Path], *, height_datum: HeightDatum | None = None, geoid_folders: Sequence[Path] = ()
    ) -> TerrainTiles:
        """DEMs, in order of preference, and all the DEMs of folders, in the order of their names.

        `height_datum` is that of every file; None: what each states, else EGM96. Raises TerrainMissing, DatumUnknown,
        GeoidMissing.
        """
        files: list[Path] = []
        for path in paths:
            found = sorted(each for each in path.iterdir() if SUFFIXES.search(each.name)) if path.is_dir() else [path]
            if not found:
                raise TerrainMissing(f"{path}: holds no DEM (.tif, .tiff, .hgt, .hgt.zip)")
            files.extend(found)
        tiles = [GridTerrain.from_file(each, height_datum=height_datum, geoid_folders=geoid_folders) for each in files]
        for datum in {tile.height_datum for tile in tiles} - {HeightDatum.EGM96, HeightDatum.W84}:
            geoids.geoid(datum, geoid_folders)
        return cls(tiles)

    @property
    def unstated(self) -> tuple[str, ...]:
        """Names of the files whose height datum neither they nor the caller stated: they are taken as EGM96."""
        return tuple(tile.name for tile in self.tiles if not tile.stated)

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
        """Ground height, m AMSL, at lon and lat, deg; arrays of any one shape.

        Raises TerrainMissing, which names the place and the tile that has a hole there or the one that is missing;
        GeoidMissing.
        """
        lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        shape = lons.shape
        lons, lats = np.ascontiguousarray(lons).ravel(), np.ascontiguousarray(lats).ravel()
        heights, weights = np.zeros(len(lons)), np.zeros(len(lons))
        for number in self._near(lons, lats):
            west, south, east, north = self._bounds[number]
            here = (weights < 1) & (lons >= west) & (lons <= east) & (lats >= south) & (lats <= north)
            which = slice(None) if here.all() else np.flatnonzero(here)
            found, counts = self.tiles[number].weighted(lons[which], lats[which])
            share = np.minimum(counts, 1.0 - weights[which])
            heights[which] += share * found
            weights[which] += share
        unknown = np.flatnonzero(~(weights > 1.0 - WEIGHT_ROUNDING))
        if len(unknown):
            raise _missing(self.tiles, float(lons[unknown[0]]), float(lats[unknown[0]]))
        return np.asarray(heights / weights).reshape(shape)

    def _near(self, lons: Array, lats: Array) -> list[int]:
        """Numbers of the tiles that any of the places may lie in."""
        if not len(lons):
            return []
        west, south, east, north = self._bounds.T
        met = (west <= lons.max()) & (east >= lons.min()) & (south <= lats.max()) & (north >= lats.min())
        return [int(number) for number in np.flatnonzero(met)]


def _missing(tiles: Sequence[GridTerrain], lon: float, lat: float) -> TerrainMissing:
    """What is said of a place without a height: which tile has a hole there, or which one is not there."""
    place = f"no height at lon {lon:.6f}, lat {lat:.6f}"
    if not (np.isfinite(lon) and np.isfinite(lat)):
        return TerrainMissing(f"{place}: not a place on earth")
    holes = [tile.name for tile in tiles if tile.holds(lon, lat)]
    if holes:
        return TerrainMissing(f"{', '.join(holes)}: {place}: a hole in the data there; fill it or add another DEM")
    names = [tile.name for tile in tiles[:3]]
    more = f" and {len(tiles) - 3} more" if len(tiles) > 3 else ""
    return TerrainMissing(f"{', '.join(names)}{more}: {place}: add the DEM that holds it (SRTM: {srtm_tile(lon, lat)})")


def srtm_tile(lon: float, lat: float) -> str:
    """Name of the SRTM tile of one degree that holds a place, such as N43E076.hgt."""
    west, south = int(np.floor(lon)), int(np.floor(lat))
    return f"{'N' if south >= 0 else 'S'}{abs(south):02d}{'E' if west >= 0 else 'W'}{abs(west):03d}.hgt"


def _opened(path: Path) -> rasterio.DatasetReader:
    """The raster, opened by no other driver than that of its suffix. Raises TerrainMissing."""
    if not path.is_file():
        raise TerrainMissing(f"{path}: no such file of heights")
    srtm = re.search(r"\.hgt(\.zip)?$", path.name, re.IGNORECASE) is not None
    try:
        return rasterio.open(path, driver="SRTMHGT" if srtm else "GTiff")
    except rasterio.errors.RasterioError as exc:
        kind = "an SRTM tile" if srtm else "a GeoTIFF DEM"
        raise TerrainMissing(f"{path}: cannot be read as {kind}: {exc}") from exc


def _stated_datum(crs: pyproj.CRS, raster: rasterio.DatasetReader) -> HeightDatum | None:
    """The height datum that a file states: in its CRS, as the product it is, or in a tag VERTICAL_DATUM."""
    if crs.is_compound:
        vertical = crs.sub_crs_list[1]
        known = {5773: HeightDatum.EGM96, 3855: HeightDatum.EGM2008}.get(vertical.to_epsg(min_confidence=20) or 0)
        if known is None:
            raise DatumUnknown(
                f"{raster.name}: heights above {vertical.name!r} cannot be converted to EGM96: convert them first, or "
                "take the vertical part out of the file's CRS and state what they nearly count from"
            )
        return known
    if len(crs.axis_info) == 3:
        return HeightDatum.W84
    if raster.driver == "SRTMHGT":
        return HeightDatum.EGM96
    tag = raster.tags().get("VERTICAL_DATUM", "").upper()
    return HeightDatum(tag) if tag in HeightDatum.__members__ else None


def _block_reader(path: Path, rows: int, cols: int) -> Callable[[int, int], Cells]:
    """Reads the block from a row and column on, with one more row and column, so that blocks meet."""

    def read(row: int, col: int) -> Cells:
        window = (row, min(row + BLOCK + 1, rows)), (col, min(col + BLOCK + 1, cols))
        with _opened(path) as raster:  # closed again: a file kept open keeps its decoded strips, up to 5 % of memory
            try:
                band = raster.read(1, window=window, masked=True)
            except rasterio.errors.RasterioError as exc:
                raise TerrainMissing(f"{path}: damaged from row {row}, column {col} on: {exc}") from exc
            scaled = np.ma.filled(band.astype(np.float64) * raster.scales[0] + raster.offsets[0], np.nan)
            scaled[~((scaled >= LOWEST_M) & (scaled <= HIGHEST_M))] = np.nan
            return np.ascontiguousarray(scaled, np.float32)

    return read
