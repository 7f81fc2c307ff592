"""Areas, lines and points as KML (OGC 07-147r2), written and read. KML is always lon, lat of WGS 84."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterable, Iterator

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point

from geo.errors import AreaInvalid
from geo.markup import Element, parse_xml
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
NAMESPACE = "http://www.opengis.net/kml/2.2"
AT_ONCE = 1 << 20
"""Characters of coordinates that are looked at together."""


def from_kml(where: str, text: bytes) -> list[Shape]:
    """The shapes of a KML document's Placemarks. Raises AreaInvalid naming line and element.

    Data and SimpleData become attributes. Nothing that the document links to is fetched.
    """
    try:
        root = parse_xml(text)
    except AreaInvalid as exc:
        raise AreaInvalid(f"{where}: {exc}") from exc
    marks = [each for each in root.walk() if each.name == "Placemark"]
    check_count(where, "Placemarks", len(marks), MOST_SHAPES)
    if not marks and root.find("NetworkLink") is not None:
        raise AreaInvalid(f"{where}: the document only links to another one: save that one as KML")
    check_count(where, "corners", sum(_commas(mark) for mark in marks), 2 * MOST_CORNERS)
    return [
        shape
        for mark in marks
        for shape in named_parts(_text(mark.child("name")), list(_geometries(where, mark)), _attributes(mark))
    ]


def _commas(mark: Element) -> int:
    return sum(piece.count(",") for each in mark.walk() if each.name == "coordinates" for piece in each.pieces)


def _text(element: Element | None) -> str:
    return "" if element is None else element.text


def _attributes(mark: Element) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for each in mark.walk():
        if each.name == "Data":
            found[each.attributes.get("name", "")] = plain(_text(each.child("value")))
        elif each.name == "SimpleData":
            found[each.attributes.get("name", "")] = plain(each.text)
    description = _text(mark.child("description"))
    return found | ({"description": plain(description)} if description else {})


def _geometries(where: str, mark: Element) -> Iterator[Geometry]:
    for each in mark.walk():
        place = f"{where}: line {each.line}: {each.name}"
        if each.name == "Polygon":
            rings = [ring for ring in each.children if ring.name in ("outerBoundaryIs", "innerBoundaryIs")]
            rings.sort(key=lambda ring: ring.name == "innerBoundaryIs")
            if not rings or rings[0].name == "innerBoundaryIs":
                raise AreaInvalid(f"{place}: has no outerBoundaryIs: draw at least three corners")
            yield polygon_of(place, [_places(place, ring) for ring in rings])
        elif each.name == "LineString":
            yield line_of(place, _places(place, each))
        elif each.name == "Point":
            yield point_of(place, _places(place, each))


def _places(where: str, element: Element) -> Array:
    """(n, 2) lon, lat of the coordinates within an element."""
    found = element.find("coordinates")
    if found is None:
        raise AreaInvalid(f"{where}: has no coordinates")
    text, start, read = found.text, 0, 0
    blocks: list[Array] = [np.zeros((0, 2))]
    while start < len(text):
        end = start + AT_ONCE
        while end < len(text) and not text[end].isspace():
            end += 1
        words = text[start:end].split()
        blocks.append(_block(where, words, read))
        start, read = end, read + len(words)
    return np.concatenate(blocks)


def _block(where: str, words: list[str], before: int) -> Array:
    """Lon and lat of words like "76.9,43.2,800"; `before` of them came earlier."""
    values = []
    for number, word in enumerate(words, start=before):
        parts = word.split(",")
        try:
            if not 2 <= len(parts) <= 3:
                raise ValueError
            values.append((float(parts[0]), float(parts[1])))
        except ValueError:
            raise AreaInvalid(f"{where}: place {number}: {word[:60]!r} is not longitude,latitude,height") from None
    return np.array(values, float).reshape(-1, 2)


def to_kml(shapes: Iterable[Shape]) -> bytes:
    """A KML document, coordinates to 1e-9 deg, on the ground."""
    root = ET.Element("kml", xmlns=NAMESPACE)
    document = ET.SubElement(root, "Document")
    for shape in shapes:
        mark = ET.SubElement(document, "Placemark")
        ET.SubElement(mark, "name").text = _printable(shape.name)
        if shape.attributes:
            data = ET.SubElement(mark, "ExtendedData")
            for name, value in shape.attributes.items():
                each = ET.SubElement(data, "Data", name=_printable(name))
                ET.SubElement(each, "value").text = "" if value is None else _printable(str(value))
        _write(mark, shapely.orient_polygons(shape.geometry))
    ET.indent(root)
    text = ET.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'.encode()


def _write(mark: ET.Element, geometry: Geometry) -> None:
    if isinstance(geometry, Point | LineString):
        _coordinates(ET.SubElement(mark, geometry.geom_type), shapely.get_coordinates(geometry))
        return
    polygon = ET.SubElement(mark, "Polygon")
    for number, ring in enumerate([geometry.exterior, *geometry.interiors]):
        boundary = ET.SubElement(polygon, "innerBoundaryIs" if number else "outerBoundaryIs")
        _coordinates(ET.SubElement(boundary, "LinearRing"), shapely.get_coordinates(ring))


def _coordinates(element: ET.Element, corners: Array) -> None:
    ET.SubElement(element, "coordinates").text = " ".join(f"{lon:.9f},{lat:.9f}" for lon, lat in corners)


def _printable(text: str) -> str:
    """The text without the control characters that XML cannot hold."""
    return "".join(sign for sign in text if sign.isprintable() or sign in "\t\n\r ")
