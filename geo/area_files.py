"""Files of areas, lines and points: GeoJSON, KML, KMZ, Shapefile (also zipped) and GeoPackage.

What a file is, its content says and not its name. Nothing is fetched, entities are not read, packed files are opened
only within limits, and coordinates of any CRS come as lon, lat of WGS 84.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np
from shapely import LineString, Point

from geo.archives import pack, unpack
from geo.errors import AreaInvalid
from geo.geojson import from_geojson, to_geojson
from geo.kml import from_kml, to_kml
from geo.legs import Leg
from geo.positions import LocalPlane
from geo.shapes import MOST_SHAPES, Shape, Value, check_count

MOST_BYTES = 64_000_000
"""A file above this size is not read: a million corners as text take some 40 MB."""
FORMATS = {
    ".geojson": "GeoJSON",
    ".json": "GeoJSON",
    ".kml": "KML",
    ".kmz": "KMZ",
    ".shp": "Shapefile",
    ".zip": "zipped Shapefile",
    ".gpkg": "GeoPackage",
}
"""Formats that are written, by the end of the file's name."""
BESIDE = frozenset((".shx", ".dbf", ".prj", ".cpg"))
"""Ends of the names of the other files of a Shapefile."""
PACKED = BESIDE | {".kml", ".geojson", ".gpkg", ".shp"}
"""Ends of names that are looked at in a zip."""


def read_features(path: Path | str, *, crs: str | None = None) -> tuple[Shape, ...]:
    """The polygons, lines and points of a file with their names and attributes; parts of several come one by one.

    `crs`, say EPSG:32643, is for files that do not say their own. A .shp is read with the files beside it.
    Raises AreaInvalid naming the file, the place in it, and what to do.
    """
    path = Path(path)
    content = _content(path)
    beside: dict[str, bytes] = {}
    if path.suffix.lower() == ".shp":
        near = [each for each in path.parent.iterdir() if each.stem == path.stem and each.suffix.lower() in BESIDE]
        beside = {each.suffix.lower(): _content(each) for each in near}
    return features_of(str(path), content, crs=crs, beside=beside)


def _content(path: Path) -> bytes:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise AreaInvalid(f"{path}: {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are read")
        return path.read_bytes()
    except OSError as exc:
        raise AreaInvalid(f"{path}: cannot be read: {exc.strerror}") from exc


def features_of(
    name: str, content: bytes, *, crs: str | None = None, beside: Mapping[str, bytes] | None = None
) -> tuple[Shape, ...]:
    """The same of a file's content, as an upload has it; `beside` are the further files of a .shp, by suffix."""
    if len(content) > MOST_BYTES:
        raise AreaInvalid(f"{name}: {len(content) / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are read")
    shapes = _shapes(name, content, crs, beside or {})
    check_count(name, "shapes", len(shapes), MOST_SHAPES)
    if not shapes:
        raise AreaInvalid(f"{name}: holds 0 features: draw a polygon, a line or a point")
    return tuple(shapes)


def _shapes(name: str, content: bytes, crs: str | None, beside: Mapping[str, bytes]) -> list[Shape]:
    start = content[:64].removeprefix(b"\xef\xbb\xbf").lstrip()
    if start.startswith(b"PK"):
        return _packed(name, content, crs)
    if start.startswith((b"SQLite format 3\x00", b"\x00\x00\x27\x0a")):
        from geo.vectors import from_geopackage, from_shapefile  # GDAL is loaded where it is needed

        if start.startswith(b"S"):
            return from_geopackage(name, content, crs=crs)
        return from_shapefile(name, {**beside, ".shp": content}, crs=crs)
    if start.startswith(b"<") or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return from_kml(name, content)
    return from_geojson(name, content.removeprefix(b"\xef\xbb\xbf"))


def _packed(name: str, content: bytes, crs: str | None) -> list[Shape]:
    """The shapes of the files in a zip: a KMZ, or Shapefiles, or any of the other formats."""
    members = unpack(name, content, PACKED)
    paths = {member: PurePosixPath(member) for member in sorted(members)}
    stems: dict[str, dict[str, bytes]] = {}
    for member, path in paths.items():
        stems.setdefault(str(path.with_suffix("")).lower(), {})[path.suffix.lower()] = members[member]
    found: list[Shape] = []
    for member, path in paths.items():
        if path.suffix.lower() in (".kml", ".geojson", ".gpkg", ".shp"):
            if members[member].startswith(b"PK"):
                raise AreaInvalid(f"{name}: {member}: is a zip within a zip")
            layer = stems[str(path.with_suffix("")).lower()]
            found += _shapes(f"{name}: {member}", members[member], crs, layer)
    return found


def write_features(path: Path | str, shapes: Iterable[Shape]) -> None:
    """Write shapes in the format that the file's name ends in; names and attributes are kept.

    A .shp holds one kind of shape; its other files come beside it. All or nothing. Raises AreaInvalid.
    """
    path, shapes = Path(path), tuple(shapes)
    if not shapes:
        raise AreaInvalid(f"{path}: there is nothing to write")
    try:
        for target, content in _written(path, shapes).items():
            part = target.with_name(target.name + ".part")
            part.write_bytes(content)
            part.replace(target)
    except OSError as exc:
        raise AreaInvalid(f"{path}: cannot be written: {exc.strerror or exc}") from exc


def leg_shapes(legs: Sequence[Leg], plane: LocalPlane) -> tuple[Shape, ...]:
    """A pattern or a coverage path as shapes for `write_features`: each leg a line, or a point where it has no length,
    and each way to one that has corners or a length a line of its own."""
    shapes: list[Shape] = []
    for number, leg in enumerate(legs):
        if number:
            way = [legs[number - 1].end, *leg.approach, leg.start]
            if any(place != way[0] for place in way):
                shapes.append(_leg_shape(way, plane, f"way {number}", {"leg": number, "pictures": leg.seen_approach}))
        values = {"leg": number, "pictures": leg.photographs, "pitch_deg": leg.pitch_deg, "hold_s": leg.hold_s}
        shapes.append(_leg_shape([leg.start, leg.end], plane, f"leg {number}", values))
    return tuple(shapes)


def _leg_shape(
    places: list[tuple[float, float]], plane: LocalPlane, name: str, attributes: Mapping[str, Value]
) -> Shape:
    x, y = zip(*places, strict=True)
    corners = np.column_stack(plane.to_lonlat(x, y))
    same = all(place == places[0] for place in places)
    return Shape(Point(corners[0]) if same else LineString(corners), name, attributes)


def _written(path: Path, shapes: tuple[Shape, ...]) -> dict[Path, bytes]:
    kind = path.suffix.lower()
    if kind in (".geojson", ".json"):
        return {path: to_geojson(shapes)}
    if kind == ".kml":
        return {path: to_kml(shapes)}
    if kind == ".kmz":
        return {path: pack({"doc.kml": to_kml(shapes)})}
    if kind not in FORMATS:
        raise AreaInvalid(f"{path}: {kind or 'no end'}: is none of {', '.join(FORMATS)}")
    from geo.vectors import to_geopackage, to_shapefiles

    if kind == ".gpkg":
        return {path: to_geopackage(shapes)}
    files = to_shapefiles(shapes)
    if kind == ".zip":
        return {path: pack(files)}
    if len({shape.geometry.geom_type for shape in shapes}) > 1:
        raise AreaInvalid(f"{path}: a .shp holds areas, lines or points, not several: write a .zip or a .gpkg")
    return {path.with_suffix(Path(name).suffix): content for name, content in files.items()}
