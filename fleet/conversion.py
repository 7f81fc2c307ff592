"""Plan files by what they hold and how they are named, among each other and with files of areas, lines and points.

Plans: QGroundControl .plan, .waypoints, Litchi CSV, KML and KMZ. As GeoJSON, Shapefile or GeoPackage a plan is its
path, and lines and points of such files are a plan's waypoints.
"""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import shapely
from shapely import LineString, Point

from fleet.errors import PlanFileInvalid
from fleet.kml import ROUTE_NOTE, WRITTEN_NOTE, from_kml, to_kml
from fleet.litchi import START, from_litchi, to_litchi
from fleet.missions import FRAMES, MissionItem, has_position, mission_hash
from fleet.planfiles import PlanFile, checked_item
from fleet.qgc import from_plan, plan_json, to_plan
from fleet.waypoints import HEADER, from_waypoints, to_waypoints
from geo import area_files
from geo.archives import pack, unpack
from geo.errors import AreaInvalid
from geo.positions import Position
from geo.shapes import Shape

PLAN_FORMATS = {".plan": "QGroundControl plan", ".waypoints": "Mission Planner waypoints", ".csv": "Litchi CSV"}
"""Formats that hold plans alone, by the end of the file's name."""
FORMATS = {**PLAN_FORMATS, **area_files.FORMATS}
"""Formats that are written, by the end of the file's name."""
MAV_CMD_NAV_WAYPOINT, RELATIVE = 16, 3
PATH_NOTE = "the file holds the plan's path: places with their commands as attributes, and a line along them"
LINES_NOTE = "the corners of its lines are waypoints; points beside lines are not taken"
HEIGHT_NOTE = "heights are left out of areas, lines and points"


def read_plan(path: Path, *, height_m: float | None = None, crs: str | None = None) -> PlanFile:
    """The plan in a file, its format found by its content.

    `height_m` above home is for KML without heights and for files of lines and points, `crs` for those of them that
    do not say theirs. Raises PlanFileInvalid naming file, line (or place in the JSON) and field.
    """
    content = _content(path)
    start = _start(content)
    try:
        if start.startswith(b"<") or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return from_kml(content, height_m=height_m)
        if start.startswith(b"{") and not _is_geojson(content):
            return from_plan(content)
        if start.startswith(HEADER.split()[0].encode()):
            return from_waypoints(content.decode("utf-8"))
        if start.lower().startswith(START.encode()):
            return from_litchi(content.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise PlanFileInvalid(f"{path}: byte {exc.start}: is not UTF-8 text") from exc
    except PlanFileInvalid as exc:
        raise PlanFileInvalid(f"{path}: {exc}") from exc
    if _is_shapes(content):
        return _route(path, _shapes(path, crs), height_m)
    raise PlanFileInvalid(f"{path}: is neither {', '.join(dict.fromkeys(FORMATS.values()))}")


def _content(path: Path) -> bytes:
    """The content of a file, that of a KMZ unpacked."""
    try:
        size = path.stat().st_size
        if size > area_files.MOST_BYTES:
            raise PlanFileInvalid(f"{path}: {size} bytes; {area_files.MOST_BYTES} is the most that is read")
        content = path.read_bytes()
    except OSError as exc:
        raise PlanFileInvalid(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    if content.startswith(b"PK"):
        try:
            documents = unpack(str(path), content, frozenset((".kml",)))
        except AreaInvalid as exc:
            raise PlanFileInvalid(str(exc)) from exc
        return next(iter(documents.values())) if len(documents) == 1 else content
    return content


def _start(content: bytes) -> bytes:
    return content.removeprefix(b"\xef\xbb\xbf").lstrip()[: len(START)]


def _is_geojson(content: bytes) -> bool:
    return b'"coordinates"' in content and b'"fileType"' not in content


def _is_shapes(content: bytes) -> bool:
    return content.startswith((b"PK", b"SQLite format 3\x00", b"\x00\x00\x27\x0a")) or _is_geojson(content)


def _shapes(path: Path, crs: str | None) -> tuple[Shape, ...]:
    try:
        return area_files.read_features(path, crs=crs)
    except AreaInvalid as exc:
        raise PlanFileInvalid(str(exc)) from exc


def _route(path: Path, shapes: tuple[Shape, ...], height_m: float | None) -> PlanFile:
    """Waypoints at the corners of lines, or at points where there is no line, in the file's order."""
    if height_m is None:
        raise PlanFileInvalid(f"{path}: holds no heights to fly at; say at what height above home to fly")
    for number, shape in enumerate(shapes):
        if not isinstance(shape.geometry, Point | LineString):
            raise PlanFileInvalid(f"{path}: feature {number}: a Polygon is no point and no route: plan a survey of it")
    lines = tuple(shape for shape in shapes if isinstance(shape.geometry, LineString))
    items = []
    for number, shape in enumerate(lines or shapes):
        for lon, lat in shapely.get_coordinates(shape.geometry):
            values = [0.0, 0.0, 0.0, math.nan, float(lat), float(lon), height_m]
            where = f"{path}: feature {number}"
            items.append(checked_item(where, frame=RELATIVE, command=MAV_CMD_NAV_WAYPOINT, values=values))
    mixed = 0 < len(lines) < len(shapes)
    return PlanFile(items=items, home=None, notes=(*[LINES_NOTE] * mixed, ROUTE_NOTE))


def path_shapes(items: list[MissionItem]) -> tuple[Shape, ...]:
    """A plan as shapes: a point for each item that has a place, with all of the item, and a line along them."""
    points = [
        Shape(
            Point(item.y / 1e7, item.x / 1e7),
            f"item {index}",
            {
                "item": index,
                "mav_cmd": item.command,
                "mav_frame": FRAMES.get(item.frame, item.frame),
                "height_m": item.z,
                **{f"param{n}": None if math.isnan(value) else value for n, value in enumerate(item.params, start=1)},
            },
        )
        for index, item in enumerate(items)
        if has_position(item) and (item.x or item.y)
    ]
    places = [point.geometry.coords[0] for point in points]
    if any(here != there for here, there in itertools.pairwise(places)):
        points.append(Shape(LineString(places), "way", {"items": len(items), "hash": mission_hash(items)}))
    return tuple(points)


def write_plan(
    path: Path, items: list[MissionItem], home: Position | None, *, autopilot: str = "ardupilot"
) -> tuple[str, ...]:
    """Write a plan in the format that the file's name ends in; notes on what other programs will not see.

    All or nothing. Raises PlanFileInvalid for an end that is no format, and for what the format cannot hold.
    """
    kind = path.suffix.lower()
    try:
        if kind not in FORMATS:
            raise PlanFileInvalid(f"{kind or 'no end'}: is none of {', '.join(FORMATS)}")
        if kind in area_files.FORMATS and kind not in (".kml", ".kmz"):
            area_files.write_features(path, path_shapes(items))
            return (PATH_NOTE,)
        text, notes = _written(kind, items, home, autopilot)
        content = pack({"doc.kml": text.encode()}) if kind == ".kmz" else text.encode()
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as exc:
        raise PlanFileInvalid(f"{path}: cannot be written: {exc.strerror or exc}") from exc
    except AreaInvalid as exc:
        raise PlanFileInvalid(str(exc)) from exc
    except PlanFileInvalid as exc:
        raise PlanFileInvalid(f"{path}: {exc}") from exc
    return notes


def _written(kind: str, items: list[MissionItem], home: Position | None, autopilot: str) -> tuple[str, tuple[str, ...]]:
    """The text of a plan file and notes on it."""
    if kind == ".plan":
        if home is None:
            raise PlanFileInvalid("home: a .plan must say where it starts from; give lon, lat and height AMSL")
        return plan_json(to_plan(items, home=home, autopilot=autopilot)), ()
    if kind == ".waypoints":
        return to_waypoints(items, home=home), ()
    if kind == ".csv":
        return to_litchi(items, home=home)
    return to_kml(items, home=home), (WRITTEN_NOTE,)


def convert_file(
    source: Path,
    target: Path,
    *,
    home: Position | None = None,
    height_m: float | None = None,
    autopilot: str = "ardupilot",
    crs: str | None = None,
) -> dict[str, Any]:
    """Write one file as another by the end of the target's name; what the command `convert` does.

    A plan becomes a plan or a path; areas, lines and points stay what they are, or become waypoints where the target
    holds plans alone. `home` (AMSL) is taken where the source has none. Gives items, hash and home of a plan or the
    number of shapes, and notes. Raises PlanFileInvalid.
    """
    content = _content(source)
    holds_shapes = _is_shapes(content) or (_start(content).startswith(b"<") and b'<Data name="command"' not in content)
    if holds_shapes and target.suffix.lower() in area_files.FORMATS:
        shapes = _shapes(source, crs)
        try:
            area_files.write_features(target, shapes)
        except AreaInvalid as exc:
            raise PlanFileInvalid(str(exc)) from exc
        return {"shapes": len(shapes), "notes": [HEIGHT_NOTE]}
    plan = read_plan(source, height_m=height_m, crs=crs)
    home = plan.home or home
    written = write_plan(target, plan.items, home, autopilot=autopilot)
    place = None if home is None else [home.lon, home.lat, home.altitude.value_m]
    return {
        "items": len(plan.items),
        "hash": mission_hash(plan.items),
        "home": place,
        "notes": [*plan.notes, *written],
    }
