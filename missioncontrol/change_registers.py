"""Registers that changes are held against: of files as large as a city's cadastre, what lies near the pictures."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio import raw
from pyogrio.errors import DataLayerError, DataSourceError
from pyproj import Transformer
from rasterio.warp import transform_bounds

from geo.area_files import read_features
from geo.errors import AreaInvalid
from missioncontrol.registry import Records

Bounds = tuple[float, float, float, float]
"""West, south, east, north, deg."""
BY_GDAL = (b"SQLite format 3\x00", b"\x00\x00\x27\x0a", b"{")
"""How a GeoPackage, a .shp and GeoJSON begin; others are read as areas are, and no larger."""
WGS84 = "EPSG:4326"


def records(path: Path | None, bounds: Bounds) -> Records:
    """Polygons of a file (GeoPackage, Shapefile, GeoJSON, KML) near the bounds; without an `id` they are numbered.

    Raises AreaInvalid.
    """
    if path is None:
        return Records([])
    try:
        with path.open("rb") as file:
            start = file.read(64).removeprefix(b"\xef\xbb\xbf").lstrip()
        read = _by_gdal if start.startswith(BY_GDAL) else _by_ourselves
        return Records(list(read(path, bounds)))
    except (OSError, DataSourceError, DataLayerError, ValueError) as exc:
        raise AreaInvalid(f"{path}: cannot be read: {exc}") from exc


def _by_ourselves(path: Path, bounds: Bounds) -> Iterator[dict[str, Any]]:
    for number, shape in enumerate(read_features(path), start=1):
        yield _feature(path, shape.geometry, {"name": shape.name, **shape.attributes}, number)


def _by_gdal(path: Path, bounds: Bounds) -> Iterator[dict[str, Any]]:
    for layer in (str(name) for name, kind in pyogrio.list_layers(path) if kind is not None):
        crs = pyogrio.read_info(path, layer=layer)["crs"]
        if crs is None:
            raise AreaInvalid(f"{path}: {layer} does not say its coordinate reference system: add a .prj")
        to_lonlat = Transformer.from_crs(crs, WGS84, always_xy=True)

        def lonlat(places: NDArray[np.float64], to_lonlat: Transformer = to_lonlat) -> NDArray[np.float64]:
            return np.stack(to_lonlat.transform(places[:, 0], places[:, 1]), axis=-1)

        meta, fids, wkb, columns = raw.read(
            path, layer=layer, bbox=transform_bounds(WGS84, crs, *bounds), force_2d=True, return_fids=True,
            datetime_as_string=True,
        )  # fmt: skip
        names = [str(name) for name in meta["fields"]]
        for row, geometry in enumerate(shapely.from_wkb(wkb)):
            if geometry is not None and not geometry.is_empty:
                values = {name: _plain(column[row]) for name, column in zip(names, columns, strict=True)}
                yield _feature(path, shapely.transform(geometry, lonlat), values, int(fids[row]))


def _feature(path: Path, geometry: shapely.Geometry, values: dict[str, Any], number: int) -> dict[str, Any]:
    if geometry.geom_type not in ("Polygon", "MultiPolygon"):
        raise AreaInvalid(f"{path}: feature {number} is a {geometry.geom_type}, polygons are needed")
    own = next((values[key] for key in ("id", "name") if values.get(key) not in (None, "")), number)
    return {"geometry": shapely.geometry.mapping(geometry), "properties": {**values, "id": str(own)}}


def _plain(value: Any) -> Any:
    value = value.item() if isinstance(value, np.generic) else value
    return value if value is None or isinstance(value, str | int) else str(value)
