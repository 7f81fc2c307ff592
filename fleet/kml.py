"""Plans as KML (OGC 07-147r2): places and routes that any map program shows and edits.

Written: a Placemark for each item, which holds the whole item as ExtendedData and, where the item has a place, shows
it; and one line along the way. Heights above home are shown as AMSL by the home's height, those above terrain as
relative to the ground. Read: such files exactly, places that were moved in a map program included; and plain points
and lines as waypoints. Document types are refused, so there are no entities and nothing is fetched.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ET

from fleet.errors import PlanFileInvalid
from fleet.missions import FRAMES, MissionItem, has_position
from fleet.planfiles import PlanFile, check_home, checked_item, decimal, home_of
from geo.errors import AreaInvalid
from geo.markup import Element, parse_xml
from geo.positions import Position

NAMESPACE = "http://www.opengis.net/kml/2.2"
MAV_CMD_NAV_WAYPOINT = 16
AMSL, RELATIVE, TERRAIN = 0, 3, 10
"""MAV_FRAME of heights above sea level, home, and terrain as the vehicle knows it."""
FIELDS = ("frame", "command", "param1", "param2", "param3", "param4", "x", "y", "z", "autocontinue")
"""Names of the ExtendedData of an item: those of a MISSION_ITEM_INT."""
SAME_HEIGHT_M = 0.005
"""A height that a map program gives back within this was not changed."""
WRITTEN_NOTE = "other programs see the places alone: commands and parameters are in the file's ExtendedData"
ROUTE_NOTE = "such routes are places and heights alone: there is no take-off, landing, speed or camera command"


def to_kml(items: list[MissionItem], *, home: Position | None) -> str:
    """The text of a KML document; `home` (AMSL) is needed where a height counts from it. Raises PlanFileInvalid."""
    if not items:
        raise PlanFileInvalid("a KML plan needs at least one item")
    root = ET.Element("kml", xmlns=NAMESPACE)
    document = ET.SubElement(root, "Document")
    ET.SubElement(document, "name").text = "Mission"
    if home is not None:
        check_home(home)
        mark = _placemark(document, "home", "Home")
        _geometry(mark, "Point", AMSL, [f"{home.lon:.7f},{home.lat:.7f},{decimal(home.altitude.value_m)}"])
    shown: list[tuple[int, str]] = []
    for index, item in enumerate(items):
        mark = _placemark(document, f"item-{index}", f"{index}: command {item.command}")
        _extended_data(mark, item, index)
        if has_position(item) and (item.x or item.y):
            frame, z_m = _shown_height(item, f"item {index}", home)
            shown.append((frame, f"{item.y / 1e7:.7f},{item.x / 1e7:.7f},{decimal(z_m)}"))
            _geometry(mark, "Point", frame, [shown[-1][1]])
    if len(shown) > 1 and len({frame for frame, _ in shown}) == 1:
        mark = _placemark(document, "way", "Way")
        _geometry(mark, "LineString", shown[0][0], [place for _, place in shown])
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _placemark(document: ET.Element, name: str, title: str) -> ET.Element:
    mark = ET.SubElement(document, "Placemark", id=name)
    ET.SubElement(mark, "name").text = title
    return mark


def _geometry(mark: ET.Element, kind: str, frame: int, places: list[str]) -> None:
    geometry = ET.SubElement(mark, kind)
    ET.SubElement(geometry, "altitudeMode").text = "relativeToGround" if frame == TERRAIN else "absolute"
    ET.SubElement(geometry, "coordinates").text = " ".join(places)


def _extended_data(mark: ET.Element, item: MissionItem, index: int) -> None:
    if any(math.isinf(value) for value in (*item.params, item.z)):
        raise PlanFileInvalid(f"item {index}: a parameter is infinite: {item.params}, {item.z}")
    frame = FRAMES.get(item.frame, item.frame)
    values = (frame, item.command, *item.params, item.x, item.y, item.z, int(item.autocontinue))
    data = ET.SubElement(mark, "ExtendedData")
    for name, value in zip(FIELDS, values, strict=True):
        each = ET.SubElement(data, "Data", name=name)
        ET.SubElement(each, "value").text = decimal(value) if isinstance(value, float) else str(value)


def _shown_height(item: MissionItem, where: str, home: Position | None) -> tuple[int, float]:
    """AMSL or TERRAIN, and the height to show, m."""
    frame = FRAMES.get(item.frame, item.frame)
    if frame in (AMSL, TERRAIN):
        return frame, item.z
    if frame != RELATIVE:
        raise PlanFileInvalid(f"{where}: KML has no height like those of MAV_FRAME {item.frame}")
    if home is None:
        raise PlanFileInvalid(f"{where}: its height is above home, and KML needs the home's height AMSL for that")
    return AMSL, item.z + home.altitude.value_m


def from_kml(text: bytes, *, height_m: float | None = None) -> PlanFile:
    """Items and home of a KML document: its Placemarks in their order.

    `height_m`, above home, is flown at where the file says "clampToGround", KML's default, which has no height.
    Points and LineStrings without the data of an item are waypoints. Raises PlanFileInvalid naming line and element,
    also for a document type (XML entities), for polygons and tracks, and for a place that has no height.
    """
    root = _parse(text)
    marks = [each for each in root.walk() if each.name == "Placemark"]
    ours = any(_data_of(mark) for mark in marks)
    home: Position | None = None
    items: list[MissionItem] = []
    plain = 0
    for mark in marks:
        data = _data_of(mark)
        if ours and mark.attributes.get("id") == "way":
            continue
        if ours and mark.attributes.get("id") == "home" and not data:
            home = _home(mark)
        elif data:
            items.append(_item(mark, data, home))
        else:
            route = _route(mark, height_m)
            plain += len(route)
            items.extend(route)
    if not items:
        raise PlanFileInvalid(f"line {root.line}: {root.name}: no Placemark with a Point or LineString in it")
    return PlanFile(items=items, home=home, notes=(ROUTE_NOTE,) if plain else ())


def _parse(text: bytes) -> Element:
    try:
        return parse_xml(text)
    except AreaInvalid as exc:
        raise PlanFileInvalid(str(exc)) from exc


def _data_of(mark: Element) -> dict[str, Element]:
    """The Data elements of an item of ours by their names; empty for any other Placemark."""
    found = {each.attributes.get("name", ""): each for each in mark.walk() if each.name == "Data"}
    return found if "command" in found and "frame" in found else {}


def _home(mark: Element) -> Position:
    for geometry in _geometries(mark):
        for lon, lat, z_m in _coordinates(geometry):
            if z_m is not None:
                return home_of(f"line {geometry.line}: home", lat=lat, lon=lon, amsl_m=z_m)
    raise PlanFileInvalid(f"line {mark.line}: Placemark home: has no Point with a height")


def _item(mark: Element, data: dict[str, Element], home: Position | None) -> MissionItem:
    """The item in a Placemark's data, at the place where its Point now is."""
    where = f"line {mark.line}: Placemark {mark.attributes.get('id', '')}".rstrip()
    numbers = {name: _number(mark, data, name) for name in FIELDS}
    whole = {name: int(_whole(data, name, numbers[name])) for name in ("frame", "command", "x", "y", "autocontinue")}
    values = [numbers[name] for name in FIELDS[2:9]]
    if has_position(MissionItem(frame=whole["frame"], command=whole["command"])):
        values[4:6] = [whole["x"] / 1e7, whole["y"] / 1e7]
    item = checked_item(
        where, frame=whole["frame"], command=whole["command"], values=values, autocontinue=bool(whole["autocontinue"])
    )
    places = [place for geometry in _geometries(mark) for place in _coordinates(geometry)]
    if not places or not has_position(item):
        return item
    if len(places) > 1:
        raise PlanFileInvalid(f"{where}: {len(places)} places for one item")
    lon, lat, z_m = places[0]
    values[4:7] = [lat, lon, item.z]
    if z_m is not None:
        _, shown_m = _shown_height(item, where, home)
        if abs(z_m - shown_m) > SAME_HEIGHT_M:
            values[6] += z_m - shown_m
    return checked_item(where, frame=item.frame, command=item.command, values=values, autocontinue=item.autocontinue)


def _number(mark: Element, data: dict[str, Element], name: str) -> float:
    if name not in data:
        raise PlanFileInvalid(f"line {mark.line}: Placemark: has no Data of the name {name}")
    element = data[name].find("value")
    text = "" if element is None else element.text
    try:
        return float(text)
    except ValueError:
        raise PlanFileInvalid(f"line {data[name].line}: Data {name}: {text[:40]!r} is no number") from None


def _whole(data: dict[str, Element], name: str, value: float) -> float:
    if not math.isfinite(value) or value != round(value):
        raise PlanFileInvalid(f"line {data[name].line}: Data {name}: {value:g} is no whole number")
    return value


def _route(mark: Element, height_m: float | None) -> list[MissionItem]:
    """The waypoints of a Placemark that is none of ours."""
    items = []
    for geometry in _geometries(mark):
        mode = _altitude_mode(geometry)
        for lon, lat, z_m in _coordinates(geometry):
            where = f"line {geometry.line}: {geometry.name}"
            frame, flown_m = mode, z_m
            if mode == RELATIVE:
                flown_m = height_m
            if flown_m is None:
                raise PlanFileInvalid(
                    f"{where}: altitudeMode: {_no_height(mode)}; say at what height above home to fly"
                )
            values = [0.0, 0.0, 0.0, math.nan, lat, lon, flown_m]
            items.append(checked_item(where, frame=frame, command=MAV_CMD_NAV_WAYPOINT, values=values))
    return items


def _no_height(mode: int) -> str:
    return "clampToGround has no height" if mode == RELATIVE else "there is no height in the coordinates"


def _geometries(mark: Element) -> list[Element]:
    """The Points and LineStrings in a Placemark; others are refused."""
    for each in mark.walk():
        if each.name in ("Polygon", "LinearRing", "Track", "MultiTrack", "Model"):
            raise PlanFileInvalid(f"line {each.line}: {each.name}: is no point and no route")
    return [each for each in mark.walk() if each.name in ("Point", "LineString")]


def _altitude_mode(geometry: Element) -> int:
    """AMSL, TERRAIN, or RELATIVE for heights that KML does not say."""
    element = geometry.find("altitudeMode")
    mode = "clampToGround" if element is None else element.text
    modes = {"absolute": AMSL, "relativeToGround": TERRAIN, "clampToGround": RELATIVE}
    if mode not in modes:
        line = geometry.line if element is None else element.line
        raise PlanFileInvalid(f"line {line}: altitudeMode: {mode[:40]!r} is none of {', '.join(modes)}")
    return modes[mode]


def _coordinates(geometry: Element) -> list[tuple[float, float, float | None]]:
    """Lon, lat, deg, and the height where there is one, m."""
    element = geometry.find("coordinates")
    if element is None:
        raise PlanFileInvalid(f"line {geometry.line}: {geometry.name}: has no coordinates")
    places = []
    for row, text in enumerate(element.text.split()):
        try:
            numbers = [float(part) for part in text.split(",")]
            if not 2 <= len(numbers) <= 3 or not all(math.isfinite(number) for number in numbers):
                raise ValueError
        except ValueError:
            place = f"line {element.line}: coordinates: place {row}"
            raise PlanFileInvalid(f"{place}: {text[:60]!r} is not longitude,latitude,height") from None
        places.append((numbers[0], numbers[1], numbers[2] if len(numbers) == 3 else None))
    return places
