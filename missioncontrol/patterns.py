"""From a request to the legs of its pattern, and how they are to be flown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from geo.areas import Area, read_area
from geo.camera_library import CameraModel, camera
from geo.corridors import Side, corridor, strip
from geo.coverage import cover
from geo.crosshatch import cross_hatch
from geo.legs import Leg
from geo.orbits import spiral
from geo.patrols import perimeter
from geo.positions import LocalPlane
from geo.searches import expanding_square, sector_search
from geo.terrain import Terrain
from geo.visits import visits
from missioncontrol.errors import InputInvalid
from missioncontrol.requests import (
    CorridorRequest,
    OrbitRequest,
    PatrolRequest,
    PlanRequest,
    SearchRequest,
    SurveyRequest,
    VisitsRequest,
    WaypointsRequest,
)

Array = NDArray[np.float64]

USUAL_SPEED_M_S = 10.0
"""Ground speed on lines where none is asked for."""


@dataclass(frozen=True, kw_only=True)
class Work:
    """The legs of a pattern, and how they are flown."""

    legs: tuple[Leg, ...]
    """In an order that is short; they may be cut."""
    plane: LocalPlane
    """Where their coordinates count from."""
    camera: CameraModel
    """What looks."""
    height_m: float
    """Above the ground where a leg has no height of its own, m."""
    speed_m_s: float
    """On legs, m/s."""
    trigger_m: float
    """Between two pictures, m."""
    piece_m: float
    """Lines may be cut in pieces of some times this, m: the distance between lines."""
    area_m2: float = 0.0
    """Covered, m2."""
    slant_m: tuple[float, ...] | None = None
    """Distances at which the camera looks, m, where that is not the height above the ground."""
    warnings: tuple[str, ...] = ()
    """What a person should know."""


@dataclass(frozen=True, kw_only=True)
class _Seen:
    """What the camera asks for."""

    camera: CameraModel
    height_m: float
    swath_m: float
    trigger_m: float
    speed_m_s: float
    warnings: tuple[str, ...]


def work_of(request: PlanRequest, terrain: Terrain, *, near: tuple[float, float]) -> Work:
    """The legs of a request over a terrain; `near` (lon, lat) is where the vehicles are.

    Raises AreaInvalid, CameraUnknown, TerrainMissing, InputInvalid.
    """
    seen = _seen(request)
    match request:
        case SurveyRequest():
            return _survey(request, seen, terrain, near)
        case WaypointsRequest():
            return _waypoints(request, seen, terrain)
        case CorridorRequest():
            return _corridor(request, seen, terrain)
        case PatrolRequest():
            return _patrol(request, seen, terrain, near)
        case OrbitRequest():
            return _orbit(request, seen, terrain, near)
        case VisitsRequest():
            return _visits(request, seen, terrain, near)
        case SearchRequest():
            return _search(request, seen, terrain)
        case _:
            raise InputInvalid(f"kind: {type(request).__name__} cannot be planned")


def _seen(request: PlanRequest) -> _Seen:
    """Height, distance between lines and between pictures, and speed."""
    model = camera(request.camera) if isinstance(request.camera, str) else request.camera
    height_m = request.height_m if request.height_m is not None else model.height_m((request.gsd_cm or 0.0) / 100.0)
    across_m, along_m = model.footprint_m(height_m)
    wanted_swath_m = request.swath_m if isinstance(request, SurveyRequest) else None
    swath_m = wanted_swath_m or across_m * (1.0 - request.side_overlap / 100.0)
    trigger_m = along_m * (1.0 - request.front_overlap / 100.0)
    warnings = []
    if swath_m > across_m:
        warnings.append(
            f"lines {swath_m:.0f} m apart leave gaps: a picture is {across_m:.0f} m wide at {height_m:.0f} m"
        )
    fastest_m_s = trigger_m / model.shutter_interval_s
    wanted_m_s = request.speed_m_s or USUAL_SPEED_M_S
    if wanted_m_s > fastest_m_s:
        warnings.append(
            f"speed lowered from {wanted_m_s:.1f} to {fastest_m_s:.1f} m/s: {model.name} needs "
            f"{model.shutter_interval_s:g} s for a picture, and one is wanted every {trigger_m:.1f} m"
        )
    if height_m > 120:
        warnings.append(f"{height_m:.0f} m above ground is higher than the 120 m usual without a permit")
    return _Seen(
        camera=model,
        height_m=height_m,
        swath_m=swath_m,
        trigger_m=trigger_m,
        speed_m_s=min(wanted_m_s, fastest_m_s),
        warnings=tuple(warnings),
    )


def _work(seen: _Seen, legs: tuple[Leg, ...], plane: LocalPlane, *warnings: str, **more: Any) -> Work:
    return Work(
        legs=legs,
        plane=plane,
        camera=seen.camera,
        height_m=seen.height_m,
        speed_m_s=seen.speed_m_s,
        trigger_m=seen.trigger_m,
        piece_m=seen.swath_m,
        warnings=(*seen.warnings, *warnings),
        **more,
    )


def _at_ground(area: Area, terrain: Terrain) -> Area:
    corners = np.asarray(area.polygon.exterior.coords)
    return area.at_height(float(np.mean(terrain.amsl_m(corners[:, 0], corners[:, 1]))))


def _survey(request: SurveyRequest, seen: _Seen, terrain: Terrain, near: tuple[float, float]) -> Work:
    area = _at_ground(read_area(request.area, near=near), terrain)
    if request.crosshatch:
        legs = cross_hatch(area.metric, seen.swath_m, direction_deg=request.direction_deg)
        left: tuple[str, ...] = ()
    else:
        path = cover(area.metric, seen.swath_m, direction_deg=request.direction_deg)
        legs = path.legs
        bare = 100 * (1 - path.covered)
        left = (f"{bare:.2f} % of the area lies between or beyond the lines",) if bare > 0.1 else ()
    legs = tuple(replace(leg, pitch_deg=request.pitch_deg) for leg in legs)
    return _work(seen, legs, area.plane, *left, area_m2=area.area_m2)


def _corridor(request: CorridorRequest, seen: _Seen, terrain: Terrain) -> Work:
    plane, line = _on_plane(_places("line", request.line, ("LineString",)), terrain)
    side = Side(request.side)
    legs = corridor(line, request.width_m, seen.swath_m, side=side)
    legs = tuple(replace(leg, pitch_deg=request.pitch_deg) for leg in legs)
    return _work(seen, legs, plane, area_m2=float(strip(line, request.width_m, side).area))


def _patrol(request: PatrolRequest, seen: _Seen, terrain: Terrain, near: tuple[float, float]) -> Work:
    area = _at_ground(read_area(request.area, near=near), terrain)
    east_m, north_m = area.plane.to_plane(*near)
    legs = perimeter(
        area.metric,
        inset_m=request.inset_m,
        rounds=request.rounds,
        pitch_deg=request.pitch_deg,
        near=(float(east_m), float(north_m)),
    )
    return _work(seen, legs, area.plane)


def _orbit(request: OrbitRequest, seen: _Seen, terrain: Terrain, near: tuple[float, float]) -> Work:
    """The circle begins on the side of the vehicles."""
    plane, (centre,) = _on_plane(_places("place", request.place, ("Point",)), terrain)
    ground_m = plane.height_m
    east_m, north_m = plane.to_plane(*near)
    start_deg = float(np.degrees(np.arctan2(float(east_m) - centre[0], float(north_m) - centre[1])) % 360.0)
    radii_m = request.radius_m, request.end_radius_m or request.radius_m
    levels_m = ground_m + seen.height_m, ground_m + (request.end_height_m or seen.height_m)
    legs = spiral(
        (float(centre[0]), float(centre[1])),
        radii_m,
        target_amsl_m=ground_m,
        levels_amsl_m=levels_m,
        turns=request.turns,
        clockwise=request.clockwise,
        start_deg=start_deg,
    )
    slant_m = tuple(float(np.hypot(r, level - ground_m)) for r, level in zip(radii_m, levels_m, strict=True))
    return _work(seen, legs, plane, slant_m=slant_m)


def _visits(request: VisitsRequest, seen: _Seen, terrain: Terrain, near: tuple[float, float]) -> Work:
    lonlat = _places("places", request.places, ("MultiPoint", "Point"))
    plane, spots = _on_plane(lonlat, terrain)
    east_m, north_m = plane.to_plane(*near)
    legs = visits(spots, (float(east_m), float(north_m)), hold_s=request.hold_s)
    return _work(seen, legs, plane)


def _search(request: SearchRequest, seen: _Seen, terrain: Terrain) -> Work:
    plane, (datum,) = _on_plane(_places("place", request.place, ("Point",)), terrain)
    place = float(datum[0]), float(datum[1])
    if request.shape == "square":
        legs = expanding_square(place, seen.swath_m, request.radius_m, pitch_deg=request.pitch_deg)
    else:
        legs = sector_search(place, request.radius_m, rounds=2, pitch_deg=request.pitch_deg)
    return _work(seen, legs, plane)


def _waypoints(request: WaypointsRequest, seen: _Seen, terrain: Terrain) -> Work:
    plane, places = _on_plane(_places("line", request.line, ("LineString",)), terrain)
    legs = [
        Leg((float(a[0]), float(a[1])), (float(b[0]), float(b[1])), pitch_deg=request.pitch_deg)
        for a, b in pairwise(places)
    ]
    return _work(seen, tuple(legs), plane)


def _places(name: str, geometry: dict[str, Any], kinds: tuple[str, ...]) -> Array:
    """(n, 2) lon, lat of a geometry of one of these kinds."""
    if geometry.get("type") not in kinds:
        raise InputInvalid(f"{name}: geometry is {geometry.get('type')!r}, {' or '.join(kinds)} is needed")
    rows: Any = geometry.get("coordinates") or []
    try:
        lonlat = [(float(row[0]), float(row[1])) for row in ([rows] if geometry["type"] == "Point" else rows)]
    except (TypeError, ValueError, IndexError) as exc:
        raise InputInvalid(f"{name}: holds something that is not [lon, lat]: {exc}") from exc
    places: Array = np.array(lonlat, np.float64).reshape(-1, 2)
    wrong = np.flatnonzero(~((np.abs(places[:, 0]) <= 180) & (np.abs(places[:, 1]) <= 84)))
    if len(wrong):
        raise InputInvalid(f"{name}: {places[wrong[0]].tolist()} is no place that can be planned over")
    if len(places) < (2 if "LineString" in kinds else 1):
        raise InputInvalid(f"{name}: {len(places)} places are too few")
    return places


def _on_plane(lonlat: Array, terrain: Terrain) -> tuple[LocalPlane, Array]:
    """A plane at the height of the ground there, and the places on it."""
    lon, lat = (lonlat.min(axis=0) + lonlat.max(axis=0)) / 2
    ground_m = float(np.mean(terrain.amsl_m(lonlat[:, 0], lonlat[:, 1])))
    plane = LocalPlane(lon=float(lon), lat=float(lat), height_m=ground_m)
    return plane, np.column_stack(plane.to_plane(lonlat[:, 0], lonlat[:, 1]))
