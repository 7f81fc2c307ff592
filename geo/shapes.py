"""What a file of areas, lines and points holds, whatever its format."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon

from geo.errors import AreaInvalid

Array = NDArray[np.float64]
Value: TypeAlias = str | float | int | bool | None
Geometry: TypeAlias = Polygon | LineString | Point

MOST_SHAPES = 10_000
"""Shapes that are read from one file."""
MOST_CORNERS = 1_200_000
"""Corners, over all shapes, that are read from one file."""
MOST_TEXT = 4096
"""Characters that are kept of one attribute."""


@dataclass(frozen=True)
class Shape:
    """One polygon, line or point with what a file says about it; heights are left out, for few formats say whose."""

    geometry: Geometry
    """Corners as (lon, lat) of WGS 84, deg; a polygon may have holes and is not yet known to be valid."""
    name: str = ""
    """What the file calls it; empty where it does not."""
    attributes: Mapping[str, Value] = field(default_factory=dict)
    """Further words and numbers of the file, by their names there."""


def corners_of(where: str, what: str, values: Array) -> Array:
    """Corners (n, 2) as lon, lat, deg of WGS 84, if all are on earth. Raises AreaInvalid naming the first not."""
    if len(values) and (values.min(axis=0) >= (-180, -90)).all() and (values.max(axis=0) <= (180, 90)).all():
        return values
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1))
    if len(bad):
        raise AreaInvalid(f"{where}: corner {bad[0]} of the {what} is {values[bad[0]].tolist()}: not finite")
    lon, lat = values[:, 0], values[:, 1]
    wrong = np.flatnonzero((np.abs(lat) > 90) | (np.abs(lon) > 180))
    if len(wrong):
        x, y = values[wrong[0]]
        swapped = bool((np.abs(lon) <= 90).all() and (np.abs(lat) <= 180).all())
        advice = "longitude and latitude look swapped: longitude comes first" if swapped else "give degrees of WGS 84"
        raise AreaInvalid(f"{where}: [{x:g}, {y:g}] is not a place on earth: {advice}")
    return values


def polygon_of(where: str, rings: Iterable[Array]) -> Polygon:
    """A polygon of its rings, the outline first, each closed if it is not. Raises AreaInvalid, `where` in front."""
    closed = [closed_ring(where, number, ring) for number, ring in enumerate(rings)]
    if not closed:
        raise AreaInvalid(f"{where}: the polygon is empty: draw at least three corners")
    return Polygon(closed[0], closed[1:])


def closed_ring(where: str, number: int, ring: Array) -> Array:
    """The corners of a polygon's outline (number 0) or of one of its holes, the first again at the end.

    Raises AreaInvalid, `where` in front, for fewer than three different ones.
    """
    name = "outer ring" if number == 0 else f"hole {number}"
    corners = corners_of(where, name, ring)
    if len(np.unique(corners[:1000], axis=0)) < 3 and len(np.unique(corners, axis=0)) < 3:
        raise AreaInvalid(f"{where}: the {name} has fewer than three different corners: {corners[:2].tolist()}")
    return corners if np.array_equal(corners[0], corners[-1]) else np.vstack([corners, corners[:1]])


def line_of(where: str, corners: Array) -> LineString:
    """A line through corners. Raises AreaInvalid, `where` in front."""
    corners = corners_of(where, "line", corners)
    if len(np.unique(corners, axis=0)) < 2:
        raise AreaInvalid(f"{where}: the line has fewer than two different corners: {corners[:2].tolist()}")
    return LineString(corners)


def point_of(where: str, place: Array) -> Point:
    """A point of an array (1, 2). Raises AreaInvalid, `where` in front."""
    if len(place) != 1:
        raise AreaInvalid(f"{where}: the point has {len(place)} places, not one")
    return Point(corners_of(where, "point", place)[0])


def check_count(where: str, what: str, count: int, most: int) -> None:
    """Raise AreaInvalid where a file holds more of something than is read."""
    if count > most:
        raise AreaInvalid(f"{where}: {count} {what}, at most {most} are read: keep what is to be planned over")


def named_parts(name: str, geometries: list[Geometry], attributes: Mapping[str, Value]) -> list[Shape]:
    """The parts of a geometry of several as shapes of their own: "field (1)", "field (2)"."""
    if len(geometries) == 1:
        return [Shape(geometries[0], name, attributes)]
    return [
        Shape(geometry, f"{name} ({number})" if name else f"part {number}", attributes)
        for number, geometry in enumerate(geometries, start=1)
    ]


def plain(value: object) -> Value:
    """An attribute as a word, a number, a truth value or nothing."""
    if value is None or isinstance(value, (bool, int, float)):
        return value
    return str(value)[:MOST_TEXT]


def parts_of(geometry: shapely.Geometry) -> list[Geometry]:
    """The polygons, lines and points that a geometry is made of, empty ones left out."""
    if geometry.geom_type.startswith("Multi") or geometry.geom_type == "GeometryCollection":
        return [part for member in geometry.geoms for part in parts_of(member)]
    return [] if geometry.is_empty else [geometry]
