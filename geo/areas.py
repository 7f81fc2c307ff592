"""Areas to be surveyed, read from GeoJSON with errors that say what is wrong, where, and what to do."""

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
from shapely import MultiPolygon, Polygon

from geo.errors import AreaInvalid
from geo.positions import LocalPlane, distance_m

MOST_VERTICES = 100_000
"""Above this an area is refused before it is looked at."""
MOST_BYTES = 200_000_000
"""A file above this size is not read."""
HIGHEST_LATITUDE_DEG = 84.0
"""Beyond, meridians are too close for the metric plane (the limit of UTM)."""
WIDEST_M = 200_000.0
"""Beyond, one metric plane is not true to scale any more."""
SMALLEST_M2 = 1.0
"""Below, an area counts as empty."""
NEAR_M = 300_000.0
"""An area further than this from where it should be may have its coordinates swapped."""


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


def read_area(source: Path | str | dict[str, Any], *, near: tuple[float, float] | None = None) -> Area:
    """The one polygon of a GeoJSON file (a path) or object: a geometry, a Feature or a FeatureCollection.

    `near` (lon, lat), if known, lets swapped coordinates be noticed. Raises AreaInvalid, which names the
    offending coordinate: self-crossing, empty, zero area, across the antimeridian, polar, too large,
    more than 100 000 vertices, not finite, longitude and latitude swapped, holes outside.
    """
    where, loaded = ("area", source) if isinstance(source, dict) else (str(source), _load(Path(source)))
    rings = _rings(where, _geometry(where, loaded))
    count = sum(len(ring) for ring in rings)
    if count > MOST_VERTICES:
        raise AreaInvalid(f"{where}: {count} vertices, at most {MOST_VERTICES} are planned over: simplify the polygon")
    arrays = [_ring(where, number, ring) for number, ring in enumerate(rings)]
    _check_coordinates(where, arrays, near)
    polygon = Polygon(arrays[0], arrays[1:])
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


def _load(path: Path) -> object:
    try:
        size = path.stat().st_size
        if size > MOST_BYTES:
            raise AreaInvalid(f"{path}: {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are read")
        return msgspec.json.decode(path.read_bytes())
    except OSError as exc:
        raise AreaInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise AreaInvalid(f"{path}: not JSON: {exc} (NaN and Infinity are not JSON either)") from exc


def _geometry(where: str, loaded: object) -> dict[str, Any]:
    if not isinstance(loaded, dict):
        raise AreaInvalid(f"{where}: not a GeoJSON object")
    kind = loaded.get("type")
    if kind == "FeatureCollection":
        features = loaded.get("features")
        count = len(features) if isinstance(features, list) else 0
        if not isinstance(features, list) or count != 1:
            raise AreaInvalid(f"{where}: holds {count} features, one polygon is needed: keep the one to be planned")
        return _geometry(where, features[0])
    if kind == "Feature":
        if not isinstance(loaded.get("geometry"), dict):
            raise AreaInvalid(f"{where}: the feature has no geometry: draw a polygon")
        return _geometry(where, loaded["geometry"])
    return loaded


def _rings(where: str, geometry: dict[str, Any]) -> list[list[Any]]:
    kind, coordinates = geometry.get("type"), geometry.get("coordinates")
    if kind == "MultiPolygon" and isinstance(coordinates, list):
        if len(coordinates) != 1:
            raise AreaInvalid(f"{where}: a MultiPolygon of {len(coordinates)} parts: plan the parts one by one")
        kind, coordinates = "Polygon", coordinates[0]
    if kind != "Polygon":
        raise AreaInvalid(f"{where}: geometry is {kind!r}, a Polygon is needed")
    if not isinstance(coordinates, list) or not coordinates or not all(isinstance(ring, list) for ring in coordinates):
        raise AreaInvalid(f"{where}: the polygon is empty: draw at least three corners")
    return coordinates


def _ring(where: str, number: int, ring: list[Any]) -> NDArray[np.float64]:
    name = "outer ring" if number == 0 else f"hole {number}"
    try:
        corners = np.array([(float(corner[0]), float(corner[1])) for corner in ring], float).reshape(-1, 2)
    except (TypeError, ValueError, IndexError, KeyError) as exc:
        raise AreaInvalid(f"{where}: {name} holds something that is not [lon, lat]: {exc}") from exc
    bad = np.flatnonzero(~np.isfinite(corners).all(axis=1))
    if len(bad):
        raise AreaInvalid(f"{where}: corner {bad[0]} of the {name} is {corners[bad[0]].tolist()}: not finite")
    if len(corners) and not np.array_equal(corners[0], corners[-1]):
        corners = np.vstack([corners, corners[:1]])
    if len(np.unique(corners, axis=0)) < 3:
        raise AreaInvalid(f"{where}: the {name} has fewer than three different corners: {corners[:2].tolist()}")
    return corners


def _check_coordinates(where: str, rings: list[NDArray[np.float64]], near: tuple[float, float] | None) -> None:
    corners = np.concatenate(rings)
    lon, lat = corners[:, 0], corners[:, 1]
    wrong = np.flatnonzero((np.abs(lat) > 90) | (np.abs(lon) > 180))
    if len(wrong):
        x, y = corners[wrong[0]]
        swapped = (np.abs(lon) <= 90).all() and (np.abs(lat) <= 180).all()
        advice = "longitude and latitude look swapped: GeoJSON has [lon, lat]" if swapped else "give degrees of WGS 84"
        raise AreaInvalid(f"{where}: [{x:g}, {y:g}] is not a place on earth: {advice}")
    if near is not None:
        _check_swapped(where, float(lon.mean()), float(lat.mean()), near)
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
            "longitude and latitude look swapped: GeoJSON has [lon, lat]"
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
