"""Areas, lines and points to be planned over, with errors that say what is wrong, where, and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import LineString, MultiPolygon, Point, Polygon

from geo.area_files import features_of, read_features
from geo.corners import needed_corners
from geo.errors import AreaInvalid
from geo.positions import LocalPlane, distance_m
from geo.seas import is_open_sea
from geo.shapes import Geometry, Shape

MOST_VERTICES = 100_000
"""An area is planned over with at most so many, once those are left out that move nothing."""
LOSSLESS_M = 0.01
"""How far leaving corners out of an area of very many may move its outline, m."""
MOST_PAIRS = 20_000_000
"""Pairs of edges that overlap in longitude, or in latitude if those are fewer, in an area that is looked at."""
STRETCH = 1 << 16
"""Corners that are looked at together."""
MOST_LISTED = 10
"""Shapes that a message lists."""
HIGHEST_LATITUDE_DEG = 84.0
"""Beyond, meridians are too close for the metric plane (the limit of UTM)."""
WIDEST_M = 200_000.0
"""Beyond, one metric plane is not true to scale any more."""
SMALLEST_M2 = 1.0
"""Below, an area counts as empty."""
NEAR_M = 300_000.0
"""An area further than this from where it should be may have its coordinates swapped."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Area:
    """A valid polygon, perhaps with holes, and a metric plane about its middle."""

    polygon: Polygon
    """Rings as (lon, lat), deg."""
    plane: LocalPlane
    """Metric plane about the middle of the polygon."""

    @cached_property
    def metric(self) -> Polygon:
        """The polygon on the plane, m."""
        return shapely.transform(self.polygon, lambda xy: np.column_stack(self.plane.to_plane(xy[:, 0], xy[:, 1])))

    @property
    def area_m2(self) -> float:
        """Surface at the plane's height, m2."""
        return float(self.metric.area)

    def at_height(self, height_m: float) -> Area:
        """The same area with the plane scaled to ground of that height, m AMSL."""
        return Area(self.polygon, LocalPlane(lon=self.plane.lon, lat=self.plane.lat, height_m=height_m))


def read_area(
    source: Path | str | dict[str, Any],
    *,
    name: str | None = None,
    near: tuple[float, float] | None = None,
    crs: str | None = None,
) -> Area:
    """The one polygon of a file (GeoJSON, KML, KMZ, Shapefile, GeoPackage) or of a GeoJSON object.

    Where there are several, `name` says which: the file's name for it, or its number from 1. `near` (lon, lat), if
    known, lets swapped coordinates be noticed; without it they are noticed in the open sea. `crs` is for files that
    do not say theirs. Raises AreaInvalid, which names the offending coordinate: self-crossing, empty, zero area,
    across the antimeridian, polar, too large, more corners than are planned over, not finite, longitude and latitude
    swapped, holes outside.
    """
    where, shapes = _shapes("area", source, crs)
    return area_of(_chosen(where, shapes, Polygon, "polygon", name), where=where, near=near)


def read_line(
    source: Path | str | dict[str, Any],
    *,
    name: str | None = None,
    near: tuple[float, float] | None = None,
    crs: str | None = None,
) -> LineString:
    """The one line, (lon, lat) deg, of a file or a GeoJSON object; chosen and checked as `read_area` does."""
    where, shapes = _shapes("line", source, crs)
    line = _chosen(where, shapes, LineString, "line", name).geometry
    _check_coordinates(where, [shapely.get_coordinates(line)], near)
    return line


def read_points(
    source: Path | str | dict[str, Any], *, near: tuple[float, float] | None = None, crs: str | None = None
) -> tuple[Shape, ...]:
    """The points of a file or a GeoJSON object in its order, with their names; lines and polygons are passed over.

    Raises AreaInvalid if there is none, and for places that are not planned over.
    """
    where, shapes = _shapes("points", source, crs)
    points = tuple(shape for shape in shapes if isinstance(shape.geometry, Point))
    if not points:
        raise AreaInvalid(f"{where}: holds no point but {_listed(shapes)}")
    _check_coordinates(where, [np.array([point.geometry.coords[0] for point in points])], near)
    return points


def area_of(shape: Shape, *, where: str = "area", near: tuple[float, float] | None = None) -> Area:
    """The area of a shape that is a polygon. Raises AreaInvalid as `read_area` does."""
    polygon = shape.geometry
    if not isinstance(polygon, Polygon):
        raise AreaInvalid(f"{where}: geometry is {polygon.geom_type!r}, a Polygon is needed")
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    _check_coordinates(where, rings, near)
    if sum(len(ring) for ring in rings) > MOST_VERTICES:
        polygon = _with_fewer_corners(where, polygon)
    _check_crowding(where, polygon)
    _check_shape(where, polygon)
    west, south, east, north = polygon.bounds
    area = Area(shapely.orient_polygons(polygon), LocalPlane(lon=(west + east) / 2, lat=(south + north) / 2))
    flat_m2 = polygon.area * (111_000.0**2) * np.cos(np.radians(south))  # straight edges in degrees: no bulge
    if min(area.area_m2, flat_m2) < SMALLEST_M2:
        raise AreaInvalid(
            f"{where}: the polygon at lon {west:.6f}, lat {south:.6f} holds {flat_m2:.3g} m2: it has no area, "
            "check that its corners do not lie on one line"
        )
    return area


def _shapes(what: str, source: Path | str | dict[str, Any], crs: str | None) -> tuple[str, tuple[Shape, ...]]:
    """Where the shapes come from, in words, and the shapes."""
    if not isinstance(source, dict):
        return str(source), read_features(source, crs=crs)
    try:
        content = msgspec.json.encode(source)
    except (TypeError, ValueError, RecursionError) as exc:
        raise AreaInvalid(f"{what}: not a GeoJSON object: {exc}") from exc
    return what, features_of(what, content, crs=crs)


def _chosen(where: str, shapes: tuple[Shape, ...], kind: type[Geometry], word: str, name: str | None) -> Shape:
    """The one shape of a kind, or the one of that name or number among several."""
    found = [shape for shape in shapes if isinstance(shape.geometry, kind)]
    if name is not None:
        named = [shape for shape in found if shape.name == name]
        named = named or [shape for number, shape in enumerate(found, start=1) if str(number) == name]
        if len(named) != 1:
            raise AreaInvalid(f"{where}: {len(named)} {word}s are called {name!r}; there are {_listed(tuple(found))}")
        return named[0]
    if len(found) != 1:
        several = f": choose one by its name or number: {_listed(tuple(found))}" if found else f" but {_listed(shapes)}"
        raise AreaInvalid(f"{where}: holds {len(found)} {word}s{several}")
    return found[0]


def _listed(shapes: tuple[Shape, ...]) -> str:
    """The first of several shapes, by number, kind and name."""
    words = [
        f"{number} {shape.geometry.geom_type}{f' {shape.name[:40]!r}' if shape.name else ''}"
        for number, shape in enumerate(shapes[:MOST_LISTED], start=1)
    ]
    more = len(shapes) - len(words)
    return ", ".join([*words, f"and {more} more"] if more else words) or "nothing else"


def _fewer(corners: Array, plane: LocalPlane) -> Array:
    """The corners that draw a ring within `LOSSLESS_M`, looked for a stretch at a time."""
    found = [corners[:1]]
    for start in range(0, len(corners) - 1, STRETCH):
        stretch = corners[start : start + STRETCH + 1]
        kept = needed_corners(np.column_stack(plane.to_plane(stretch[:, 0], stretch[:, 1])), LOSSLESS_M)
        found.append(stretch[kept[1:]])
    return np.concatenate(found)


def _with_fewer_corners(where: str, polygon: Polygon) -> Polygon:
    """The polygon without the corners that move its outline by less than a centimetre."""
    west, south, east, north = polygon.bounds
    plane = LocalPlane(lon=(west + east) / 2, lat=(south + north) / 2)
    rings = []
    for ring in (polygon.exterior, *polygon.interiors):
        rings.append(_fewer(shapely.get_coordinates(ring), plane))
    count = sum(len(ring) for ring in rings)
    if count > MOST_VERTICES:
        raise AreaInvalid(
            f"{where}: {count} vertices are needed to draw the polygon within {LOSSLESS_M * 100:g} cm, at most "
            f"{MOST_VERTICES} are planned over: simplify it"
        )
    if any(len(ring) < 4 for ring in rings):
        raise AreaInvalid(f"{where}: a ring near lon {west:.6f}, lat {south:.6f} is less than a few cm wide")
    return Polygon(rings[0], rings[1:])


def _check_coordinates(where: str, rings: list[Array], near: tuple[float, float] | None) -> None:
    corners = np.concatenate(rings)
    lon, lat = corners[:, 0], corners[:, 1]
    if near is not None:
        _check_swapped(where, float(lon.mean()), float(lat.mean()), near)
    else:
        _check_at_sea(where, float(lon.mean()), float(lat.mean()))
    polar = np.flatnonzero(np.abs(lat) > HIGHEST_LATITUDE_DEG)
    if len(polar):
        x, y = corners[polar[0]]
        raise AreaInvalid(f"{where}: [{x:g}, {y:g}] is polar: beyond {HIGHEST_LATITUDE_DEG:g} deg nothing is planned")
    for ring in rings:
        jump = np.flatnonzero(np.abs(np.diff(ring[:, 0])) > 180)
        if len(jump):
            raise AreaInvalid(
                f"{where}: the edge from {ring[jump[0]].tolist()} to {ring[jump[0] + 1].tolist()} crosses the "
                "antimeridian: split the area at 180 deg (RFC 7946, 3.1.9)"
            )
    west, south, east, north = lon.min(), lat.min(), lon.max(), lat.max()
    across_m = float(distance_m(west, south, east, north))
    if across_m > WIDEST_M:
        raise AreaInvalid(
            f"{where}: {across_m / 1000:.0f} km from [{west:g}, {south:g}] to [{east:g}, {north:g}]: "
            f"at most {WIDEST_M / 1000:g} km are planned at once"
        )


def _check_swapped(where: str, lon: float, lat: float, near: tuple[float, float]) -> None:
    away_m = float(distance_m(lon, lat, *near))
    if away_m < NEAR_M or abs(lon) > 90:
        return
    if float(distance_m(lat, lon, *near)) < NEAR_M:
        raise AreaInvalid(
            f"{where}: [{lon:.4f}, {lat:.4f}] lies {away_m / 1000:.0f} km from lon {near[0]:.4f}, lat {near[1]:.4f}: "
            "longitude and latitude look swapped: longitude comes first"
        )


def _check_at_sea(where: str, lon: float, lat: float) -> None:
    """Raise for a place in the open sea, or beyond where is planned, that is on land the other way round."""
    away = is_open_sea(lon, lat) or abs(lat) > HIGHEST_LATITUDE_DEG
    if away and abs(lon) <= HIGHEST_LATITUDE_DEG and not is_open_sea(lat, lon):
        raise AreaInvalid(
            f"{where}: [{lon:.4f}, {lat:.4f}] lies in the open sea, and on land the other way round: longitude and "
            "latitude look swapped: longitude comes first; where it is meant so, say near which place"
        )


def _check_crowding(where: str, polygon: Polygon) -> None:
    """Raise for an outline in which so many edges lie beside each other that to see whether two cross takes minutes."""
    rings = [shapely.get_coordinates(ring) for ring in (polygon.exterior, *polygon.interiors)]
    starts, ends = (np.concatenate([ring[part] for ring in rings]) for part in (slice(-1), slice(1, None)))
    low, high = np.minimum(starts, ends), np.maximum(starts, ends)
    count = len(low)
    apart = [int(np.searchsorted(np.sort(high[:, axis]), low[:, axis]).sum()) for axis in (0, 1)]
    pairs = count * (count - 1) // 2 - max(apart)
    if pairs > MOST_PAIRS:
        west, south, _, _ = polygon.bounds
        raise AreaInvalid(
            f"{where}: {count} edges lie in {pairs / 1e6:.0f} million pairs beside each other, at most "
            f"{MOST_PAIRS / 1e6:.0f} million are looked at: simplify the polygon at lon {west:.6f}, lat {south:.6f}"
        )


def _check_shape(where: str, polygon: Polygon) -> None:
    if polygon.is_valid:
        return
    said = shapely.is_valid_reason(polygon)
    found = re.match(r"(?P<what>[^\[]+)\[(?P<x>\S+) (?P<y>\S+)\]", said)
    what = found["what"].strip() if found else said
    place = f" at lon {float(found['x']):.6f}, lat {float(found['y']):.6f}" if found else ""
    advice = {
        "Self-intersection": "its outline crosses itself: move the corners so that edges do not cross",
        "Ring Self-intersection": "its outline touches or crosses itself: move the corners apart",
        "Hole lies outside shell": "a hole lies outside the outline: remove it or move it inside",
        "Holes are nested": "a hole lies inside another: remove the inner one",
        "Interior is disconnected": "holes cut it in pieces: plan the pieces one by one",
        "Too few points in geometry component": "it has no area: draw at least three corners not on one line",
    }.get(what, "repair the polygon")
    raise AreaInvalid(f"{where}: {what}{place}: {advice}")


def polygon_parts(shape: shapely.Geometry) -> list[Polygon]:
    """The polygons of whatever an operation of shapely gave, lines and points dropped."""
    if isinstance(shape, Polygon):
        return [] if shape.is_empty else [shape]
    if isinstance(shape, MultiPolygon) or hasattr(shape, "geoms"):
        return [part for member in shape.geoms for part in polygon_parts(member)]
    return []
