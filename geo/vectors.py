"""Shapefile and GeoPackage by GDAL, which is shown nothing but what was looked at first.

A Shapefile's index and a GeoPackage's schema can make a reader work for ever on a small file; such files are refused.
"""

from __future__ import annotations

import sqlite3
import warnings
from collections.abc import Iterable, Mapping
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyogrio
import shapely
from numpy.typing import NDArray
from pyogrio import raw
from shapely.errors import ShapelyError

from geo.errors import AreaInvalid
from geo.projections import to_wgs84
from geo.shapes import (
    MOST_CORNERS,
    MOST_SHAPES,
    Array,
    Geometry,
    Shape,
    Value,
    check_count,
    closed_ring,
    line_of,
    named_parts,
    parts_of,
    plain,
    point_of,
    polygon_of,
)

MOST_BYTES = 32_000_000
"""Longest file of one layer or database that is opened."""
MOST_COLUMNS = 50
"""Attributes that are kept of a layer."""
SHAPEFILE = (".shp", ".shx", ".dbf", ".prj", ".cpg")
"""Files that make up one layer; the first two are needed, .prj says the CRS."""
SHAPEFILE_START = b"\x00\x00\x27\x0a"
"""File code 9994 (ESRI Shapefile Technical Description)."""
HEADER_BYTES = 100
GEOPACKAGE_START = b"SQLite format 3\x00"
MOST_STEPS = 20_000_000
"""Of SQLite's machine while a schema is looked at; a sound file of the greatest size takes a tenth."""
LAYERS = {"Polygon": "areas", "LineString": "lines", "Point": "points"}
"""Layers that are written, by the kind of shape in them."""
RESERVED = frozenset(("name", "fid", "geom", "geometry"))
"""Names that the layers that are written have anyway."""


def from_shapefile(where: str, files: Mapping[str, bytes], *, crs: str | None = None) -> list[Shape]:
    """The shapes of one layer, its files by suffix; `crs` is taken where there is no .prj. Raises AreaInvalid."""
    if ".shx" not in files:
        raise AreaInvalid(f"{where}: a Shapefile is several files: zip the .shp with its .shx, .dbf and .prj")
    _check_bytes(where, sum(len(content) for content in files.values()))
    index = files[".shx"][HEADER_BYTES:]
    lengths = np.frombuffer(index[: len(index) // 8 * 8], ">i4")[1::2]
    if not files[".shp"].startswith(SHAPEFILE_START) or not files[".shx"].startswith(SHAPEFILE_START):
        raise AreaInvalid(f"{where}: is no Shapefile: it does not start like one")
    if (lengths < 0).any() or 2 * int(lengths.astype(np.int64).sum()) > len(files[".shp"]):
        raise AreaInvalid(f"{where}: the index (.shx) does not fit the .shp: export it again")
    with TemporaryDirectory() as folder:
        for suffix, content in files.items():
            Path(folder, f"layer{suffix}").write_bytes(content)
        return _read(where, Path(folder, "layer.shp"), crs)


def from_geopackage(where: str, content: bytes, *, crs: str | None = None) -> list[Shape]:
    """The shapes of all layers; `crs` is taken where a layer has none. Raises AreaInvalid."""
    _check_bytes(where, len(content))
    with TemporaryDirectory() as folder:
        path = Path(folder, "database.gpkg")
        path.write_bytes(content)
        _check_database(where, path)
        return _read(where, path, crs)


def _check_bytes(where: str, size: int) -> None:
    if size > MOST_BYTES:
        raise AreaInvalid(
            f"{where}: {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are read: "
            "export only what is to be planned over"
        )


def _check_database(where: str, path: Path) -> None:
    """Raise for a database that is damaged, or in which a layer is computed rather than stored."""
    try:
        with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as database:
            left = iter(range(MOST_STEPS // 10_000))
            database.set_progress_handler(lambda: next(left, None) is None, 10_000)
            database.execute("PRAGMA trusted_schema = OFF")
            kinds = dict(database.execute("SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view')"))
            if kinds.get("gpkg_contents") != "table":
                raise AreaInvalid(f"{where}: is an SQLite database, but no GeoPackage")
            layers = [str(name) for (name,) in database.execute("SELECT table_name FROM gpkg_contents")]
            for name in [*layers, *(kind for kind in kinds if kind.startswith("gpkg_"))]:
                quoted = '"' + name.replace('"', '""') + '"'
                columns = database.execute(f"PRAGMA table_xinfo({quoted})").fetchall()
                if kinds.get(name) != "table" or any(column[6] > 1 for column in columns):
                    raise AreaInvalid(f"{where}: {name[:80]!r} is computed, not stored: export it as a plain layer")
            found = database.execute("PRAGMA quick_check(1)").fetchone()
    except (sqlite3.Error, UnicodeDecodeError) as exc:
        raise AreaInvalid(f"{where}: is no GeoPackage that can be read: {exc}") from exc
    if found != ("ok",):
        raise AreaInvalid(f"{where}: the GeoPackage is damaged: {str(found)[:120]}")


def _read(where: str, path: Path, crs: str | None) -> list[Shape]:
    try:
        with warnings.catch_warnings():  # what GDAL mends by itself
            warnings.simplefilter("ignore", RuntimeWarning)
            return _layers(where, path, crs)
    except (RuntimeError, ValueError, ShapelyError, UnboundLocalError) as exc:  # the last: pyogrio 0.13, a spoiled .prj
        raise AreaInvalid(f"{where}: cannot be read: {exc}".replace(str(path.parent), "")) from exc


def _layers(where: str, path: Path, crs: str | None) -> list[Shape]:
    layers = [str(name) for name, kind in pyogrio.list_layers(path) if kind is not None]
    return [shape for layer in layers for shape in _layer(where, path, layer, crs)]


def _layer(where: str, path: Path, layer: str, crs: str | None) -> list[Shape]:
    fields = [str(name) for name in pyogrio.read_info(path, layer=layer)["fields"]][:MOST_COLUMNS]
    meta, _, wkb, columns = raw.read(
        path, layer=layer, columns=fields, force_2d=True, max_features=MOST_SHAPES + 1, datetime_as_string=True
    )
    check_count(where, "features", len(wkb), MOST_SHAPES)
    crs = _crs(where, meta["crs"], crs) if len(wkb) else None
    geometries = shapely.from_wkb(wkb)
    del wkb  # large shapes are held once at a time
    check_count(where, "corners", int(shapely.get_num_coordinates(geometries).sum()), MOST_CORNERS)
    shapes: list[Shape] = []
    names = [str(name) for name in meta["fields"]]
    for row in range(len(geometries)):
        geometry, geometries[row] = geometries[row], None
        if geometry is None:
            continue
        place = f"{where}: feature {row}" if len(geometries) > 1 else where
        values = {name: plain(_python(column[row])) for name, column in zip(names, columns, strict=True)}
        named = next((name for name in values if name.lower() == "name" and values[name]), None)
        parts = [_projected(place, part, crs) for part in parts_of(geometry)]
        title = "" if named is None else str(values.pop(named))
        shapes.extend(named_parts(title, parts, values) if parts else [])
    return shapes


def _crs(where: str, found: str | None, given: str | None) -> str | None:
    """The CRS to convert from, None if it is lon, lat of WGS 84."""
    known = None if found is None or "undefined" in found.lower() else found
    if known is None and given is None:
        raise AreaInvalid(
            f"{where}: does not say its CRS (no .prj): add it, or say which it is as EPSG:32643 or EPSG:4326"
        )
    crs = known or given
    return None if crs == "EPSG:4326" else crs


def _python(value: object) -> object:
    value = value.item() if isinstance(value, np.generic) else value
    return None if isinstance(value, float) and np.isnan(value) else value


def _projected(where: str, part: Geometry, crs: str | None) -> Geometry:
    def places(ring: shapely.Geometry) -> Array:
        return to_wgs84(where, shapely.get_coordinates(ring), crs)

    if part.geom_type == "Point":
        return point_of(where, places(part))
    if part.geom_type == "LineString":
        return line_of(where, places(part))
    if part.geom_type != "Polygon":
        raise AreaInvalid(f"{where}: geometry is a {part.geom_type}, none of Point, LineString, Polygon")
    rings = (part.exterior, *part.interiors)
    if crs is not None:
        return polygon_of(where, [places(ring) for ring in rings])
    for number, ring in enumerate(rings):
        closed_ring(where, number, places(ring))
    return part


def to_geopackage(shapes: Iterable[Shape]) -> bytes:
    """A GeoPackage with a layer for each kind of shape: areas, lines, points."""
    with TemporaryDirectory() as folder:
        path = Path(folder, "database.gpkg")
        for kind, members in _by_kind(shapes).items():
            _write(path, "GPKG", kind, members, widest=None)
        return path.read_bytes()


def to_shapefiles(shapes: Iterable[Shape]) -> dict[str, bytes]:
    """The files of a Shapefile layer for each kind of shape, by name. Attributes are cut as the format needs it:
    names at 10 characters, texts at 254 bytes."""
    with TemporaryDirectory() as folder:
        for kind, members in _by_kind(shapes).items():
            _write(Path(folder, f"{LAYERS[kind]}.shp"), "ESRI Shapefile", kind, members, widest=10)
        return {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}


def _by_kind(shapes: Iterable[Shape]) -> dict[str, list[Shape]]:
    found: dict[str, list[Shape]] = {}
    for shape in shapes:
        found.setdefault(shape.geometry.geom_type, []).append(shape)
    return found


def _write(path: Path, driver: str, kind: str, shapes: list[Shape], *, widest: int | None) -> None:
    keys = list(dict.fromkeys(key for shape in shapes for key in shape.attributes if key.lower() not in RESERVED))
    names = ["name", *_fitting(keys, widest)]
    columns = [_column([shape.name for shape in shapes], widest)]
    columns += [_column([shape.attributes.get(key) for shape in shapes], widest) for key in keys]
    raw.write(
        path,
        geometry=shapely.to_wkb(np.array([shape.geometry for shape in shapes], object)),
        field_data=columns,
        fields=np.array(names, object),
        layer=LAYERS[kind],
        driver=driver,
        geometry_type=kind,
        crs="EPSG:4326",
        encoding="UTF-8",
    )


def _fitting(keys: list[str], widest: int | None) -> list[str]:
    """Names no longer than so many characters, and still different."""
    taken: list[str] = ["name"]
    for key in keys:
        short, number = key[:widest] or "field", 1
        while short.lower() in {each.lower() for each in taken}:
            short, number = f"{key[: (widest or 60) - 3]}_{number}", number + 1
        taken.append(short)
    return taken[1:]


def _column(values: list[Value], widest: int | None) -> NDArray[Any]:
    """Numbers as numbers, everything else as text."""
    known = [value for value in values if value is not None]
    if known and all(isinstance(value, int) and abs(value) < 1 << 53 for value in values):
        return np.array(values, np.int64)
    if known and all(isinstance(value, int | float) for value in known):
        return np.array([np.nan if value is None else value for value in values], np.float64)
    texts = [None if value is None else str(value) for value in values]
    if widest is not None:
        texts = [text and text.encode()[:254].decode(errors="ignore") for text in texts]
    return np.array(texts, object)
