"""From a request to the legs of its pattern, and how they are to be flown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from geo.airspace import Allowed
from geo.areas import Area, read_area, read_line, read_points
from geo.camera_library import CameraModel, camera
from geo.corridors import Side, corridor, strip
from geo.coverage import cover
from geo.crosshatch import cross_hatch
from geo.legs import Leg
from geo.obstacles import Obstacle, Obstacles
from geo.orbits import spiral
from geo.outlooks import View, outlooks
from geo.patrols import perimeter
from geo.pictures import NADIR_DEG, USUAL_HIGHEST_M, Pictures, pictures
from geo.positions import Altitude, Datum, LocalPlane
from geo.searches import expanding_square, sector_search
from geo.sidelap import swath_on
from geo.structures import facade_bands, roof_lines, too_narrow
from geo.terrain import FlatTerrain, Terrain
from geo.visits import visits
from missioncontrol.errors import InputInvalid
from missioncontrol.requests import (
    CorridorRequest,
    FacadesRequest,
    LookRequest,
    OrbitRequest,
    PatrolRequest,
    PlanRequest,
    SearchRequest,
    SurveyRequest,
    VisitsRequest,
    WatchRequest,
    WaypointsRequest,
)

Array = NDArray[np.float64]

NEAREST_M = 12.0
"""Walls are not flown nearer to."""
LOWEST_M, GROUND_STEP_M = 10.0, 5.0
"""The lowest band round a building lies at least so high above the ground, which is looked at every so many metres."""
OVER_CUT_M = 9.0
"""Lines lead so far over the edge of what zones leave of an area."""
ROUND_M_S2 = 1.5
"""Circles and corners round buildings are flown no faster than this acceleration inward takes, m/s2: simulated
multirotors keep within 3 m of the way up to it, and are carried 10 m out at three times as much."""
LOOK_RANGE_M = 300.0
"""A place is looked at from no further away."""
CLIMB_M_S = 2.5
"""Of the vehicle that goes to look, where outlooks are weighed against each other."""


def tolerance_m(height_m: float) -> float:
    """How far the height above ground may be off, m."""
    return max(2.0, 0.05 * height_m)


@dataclass(frozen=True, kw_only=True)
class Work:
    """The legs of a pattern, and how they are flown."""

    legs: tuple[Leg, ...]
    """In an order that is short; they may be cut."""
    free: bool = False
    """Whether they may be flown in any order and from either end."""
    inside: Polygon | None = None
    """On the plane: where ways between legs have to stay; None: anywhere."""
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
    obstacles: tuple[Obstacle, ...] = ()
    """What the pattern itself is about and ways have to keep clear of."""
    warnings: tuple[str, ...] = ()
    """What a person should know."""


@dataclass(frozen=True, kw_only=True)
class Ground:
    """What a pattern is laid over."""

    terrain: Terrain
    """Its heights."""
    near: tuple[float, float]
    """Where the vehicles are: lon, lat, deg."""
    obstacles: tuple[Obstacle, ...] = ()
    """What stands on it."""
    cut: Callable[[Polygon, float], Allowed] | None = None
    """What zones leave of an area (lon, lat) at a height above the ground, m."""

    def on(self, plane: LocalPlane) -> tuple[float, float]:
        """Where the vehicles are, on a plane, m."""
        east_m, north_m = plane.to_plane(*self.near)
        return float(east_m), float(north_m)


def work_of(request: PlanRequest, ground: Ground) -> Work:
    """The legs of a request over a ground.

    Raises AreaInvalid, CameraUnknown, CameraInvalid, ObstacleInvalid, TerrainMissing, OutOfView, InputInvalid.
    """
    model = camera(request.camera) if isinstance(request.camera, str) else request.camera
    tilted = isinstance(request, SurveyRequest | CorridorRequest | SearchRequest)
    seen = pictures(
        model,
        gsd_m=None if request.gsd_cm is None else request.gsd_cm / 100.0,
        height_m=request.height_m,
        front_overlap=request.front_overlap,
        side_overlap=request.side_overlap,
        pitch_deg=request.pitch_deg if tilted else NADIR_DEG,
        swath_m=request.swath_m if isinstance(request, SurveyRequest) else None,
        speed_m_s=request.speed_m_s,
        exposure_s=None if request.exposure_ms is None else request.exposure_ms / 1000.0,
    )
    match request:
        case SurveyRequest():
            return _survey(request, model, seen, ground)
        case CorridorRequest():
            return _corridor(request, model, seen, ground)
        case WaypointsRequest():
            return _waypoints(request, model, seen, ground)
        case PatrolRequest():
            return _patrol(request, model, seen, ground)
        case OrbitRequest():
            return _orbit(request, model, seen, ground)
        case FacadesRequest():
            return _facades(request, model, seen, ground)
        case VisitsRequest():
            return _visits(request, model, seen, ground)
        case SearchRequest():
            return _search(request, model, seen, ground)
        case LookRequest():
            return _look(request, model, seen, ground, hold_s=request.hold_s)
        case WatchRequest():
            return _look(request, model, seen, ground, hold_s=0.0)


def _work(model: CameraModel, seen: Pictures, legs: tuple[Leg, ...], plane: LocalPlane, **more: Any) -> Work:
    usual: dict[str, Any] = {
        "height_m": seen.height_m,
        "trigger_m": seen.trigger_m,
        "piece_m": seen.swath_m,
        "speed_m_s": seen.speed_m_s,
        "warnings": (),
    }
    usual |= more
    usual["warnings"] = (*seen.warnings, *usual["warnings"])
    return Work(legs=legs, plane=plane, camera=model, **usual)


def _at_ground(area: Area, terrain: Terrain) -> Area:
    corners = np.asarray(area.polygon.exterior.coords)
    return area.at_height(float(np.mean(terrain.amsl_m(corners[:, 0], corners[:, 1]))))


def _survey(request: SurveyRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    """Parts that zones cut off from each other are covered one after the other."""
    area = _at_ground(read_area(request.area, near=ground.near), ground.terrain)
    left = Allowed((area.polygon,), ()) if ground.cut is None else ground.cut(area.polygon, seen.height_m)
    if not left.polygons:
        raise InputInvalid(f"area: zones leave nothing of it: {'; '.join(left.cut)}")
    parts = [Area(polygon, area.plane).metric for polygon in left.polygons]
    swath_m = seen.swath_m
    if request.swath_m is None and not isinstance(ground.terrain, FlatTerrain):
        swath_m = min(swath_on(
            ground.terrain, area.plane, part, model, height_m=seen.height_m, side_overlap=request.side_overlap,
            pitch_deg=request.pitch_deg, heading_deg=request.direction_deg, lower_m=tolerance_m(seen.height_m),
        ) for part in parts)  # fmt: skip
    legs: tuple[Leg, ...] = ()
    bare_m2 = 0.0
    over_m = min(swath_m / 2, OVER_CUT_M) if left.cut else None
    for part in parts:
        if request.crosshatch:
            legs += cross_hatch(part, swath_m, direction_deg=request.direction_deg, margin_m=over_m)
        else:
            path = cover(part, swath_m, direction_deg=request.direction_deg, margin_m=over_m)
            legs += path.legs
            bare_m2 += (1.0 - path.covered) * part.area
    area_m2 = float(sum(part.area for part in parts))
    warnings = list(left.cut)
    if swath_m < 0.98 * seen.swath_m:
        warnings.append(
            f"lines {swath_m:.0f} m apart instead of {seen.swath_m:.0f} m: slopes of this ground narrow the pictures"
        )
    if bare_m2 > 0.001 * area_m2:
        warnings.append(f"{100 * bare_m2 / area_m2:.2f} % of the area lies between or beyond the lines")
    legs = tuple(replace(leg, pitch_deg=request.pitch_deg) for leg in legs)
    return _work(
        model,
        seen,
        legs,
        area.plane,
        free=True,
        area_m2=area_m2,
        piece_m=swath_m,
        warnings=tuple(warnings),
        inside=parts[0] if len(parts) == 1 else None,
    )


def _corridor(request: CorridorRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    plane, line = _on_plane(_line(request.line, ground), ground.terrain)
    side = Side(request.side)
    legs = corridor(line, request.width_m, seen.swath_m, side=side)
    legs = tuple(replace(leg, pitch_deg=request.pitch_deg) for leg in legs)
    return _work(model, seen, legs, plane, free=True, area_m2=float(strip(line, request.width_m, side).area))


def _waypoints(request: WaypointsRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    plane, line = _on_plane(_line(request.line, ground), ground.terrain)
    legs = tuple(
        Leg((float(a[0]), float(a[1])), (float(b[0]), float(b[1])), pitch_deg=request.pitch_deg)
        for a, b in pairwise(line)
    )
    return _work(model, seen, legs, plane)


def _patrol(request: PatrolRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    area = _at_ground(read_area(request.area, near=ground.near), ground.terrain)
    legs = perimeter(
        area.metric,
        inset_m=request.inset_m,
        rounds=request.rounds,
        pitch_deg=request.pitch_deg,
        near=ground.on(area.plane),
    )
    return _work(model, seen, legs, area.plane)


def _orbit(request: OrbitRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    """The circle begins on the side of the vehicles."""
    plane, (centre,) = _on_plane(_spot(request.place, ground), ground.terrain)
    ground_m = plane.height_m
    east_m, north_m = ground.on(plane)
    start_deg = float(np.degrees(np.arctan2(east_m - centre[0], north_m - centre[1])) % 360.0)
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
    speed_m_s = min(seen.speed_m_s, _round_m_s(min(radii_m)))
    return _work(model, seen, legs, plane, speed_m_s=speed_m_s, slant_m=slant_m)


def _round_m_s(radius_m: float) -> float:
    """The fastest that a circle is flown at, m/s."""
    return float(np.sqrt(ROUND_M_S2 * radius_m))


def _facades(request: FacadesRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    """A picture on the wall is as large as one on the ground from as far away; the front overlap holds both ways."""
    area = _at_ground(read_area(request.area, near=ground.near), ground.terrain)
    if request.standoff_m < NEAREST_M:
        raise InputInvalid(f"standoff_m: {request.standoff_m:g} m is too near to walls, at least {NEAREST_M:g} m")
    base_m = area.plane.height_m
    top = Altitude(base_m + request.structure_height_m, Datum.AMSL)
    building = Obstacle(name="the building itself", geometry=area.polygon, top=top)
    ring = shapely.MultiLineString([area.metric.exterior.buffer(request.standoff_m).exterior, *area.metric.interiors])
    round_ = shapely.get_coordinates(ring.segmentize(GROUND_STEP_M))
    highest_m = float(ground.terrain.amsl_m(*area.plane.to_lonlat(round_[:, 0], round_[:, 1])).max())
    across_m, along_m = model.footprint_m(request.standoff_m)
    courtyards, warnings = _courtyards(request, area.metric, highest_m=max(USUAL_HIGHEST_M, seen.height_m))
    legs = facade_bands(
        area.metric,
        base_amsl_m=base_m,
        top_amsl_m=base_m + request.structure_height_m,
        stand_off_m=request.standoff_m,
        picture_m=(across_m, along_m),
        overlap=request.front_overlap / 100.0,
        lowest_amsl_m=max(base_m, highest_m) + LOWEST_M,
        near=ground.on(area.plane),
        courtyards=courtyards,
    )
    if request.roof:  # as far above it as from the walls; climbed to before it is flown over
        over_m = base_m + request.structure_height_m + request.standoff_m
        swath_m = across_m * (1.0 - request.side_overlap / 100.0)
        first, *others = roof_lines(area.metric, swath_m, level_amsl_m=over_m)
        legs = (*legs, replace(first, approach=(legs[-1].end,)), *others)
    trigger_m = across_m * (1.0 - request.front_overlap / 100.0)
    radius_m = request.standoff_m / (2 if courtyards else 1)  # corners of a courtyard are sharp
    speed_m_s = min(seen.speed_m_s, trigger_m / model.shutter_interval_s, _round_m_s(radius_m))
    return _work(
        model,
        seen,
        legs,
        area.plane,
        trigger_m=trigger_m,
        speed_m_s=speed_m_s,
        slant_m=(request.standoff_m,),
        obstacles=(building,),
        warnings=warnings,
    )


def _courtyards(request: FacadesRequest, building: Polygon, *, highest_m: float) -> tuple[bool, tuple[str, ...]]:
    """Whether courtyards of a building are flown in, and what is to be said of those that are not."""
    count = len(building.interiors)
    if not (count and request.courtyards):
        return False, ()
    over_m = request.structure_height_m + request.standoff_m
    if over_m > highest_m:
        said = f"the way over the roof, {over_m:.0f} m above the ground, is higher than {highest_m:.0f} m"
        return False, (f"{count} of {count} courtyards are left out: {said}",)
    narrow = len(too_narrow(building, request.standoff_m))
    said = f"{narrow} of {count} courtyards are left out: nowhere {request.standoff_m:g} m from all their walls"
    return narrow < count, (said,) if narrow else ()


def _visits(request: VisitsRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    plane, spots = _on_plane(_spots(request.places, ground), ground.terrain)
    return _work(model, seen, visits(spots, ground.on(plane), hold_s=request.hold_s), plane, free=True)


def _search(request: SearchRequest, model: CameraModel, seen: Pictures, ground: Ground) -> Work:
    plane, (datum,) = _on_plane(_spot(request.place, ground), ground.terrain)
    place = float(datum[0]), float(datum[1])
    if request.shape == "square":
        legs = expanding_square(place, seen.swath_m, request.radius_m, pitch_deg=request.pitch_deg)
    else:
        legs = sector_search(place, request.radius_m, rounds=2, pitch_deg=request.pitch_deg)
    return _work(model, seen, legs, plane, free=True)


def _look(
    request: LookRequest | WatchRequest, model: CameraModel, seen: Pictures, ground: Ground, *, hold_s: float
) -> Work:
    """From as far away as the GSD asks for, or so that the vehicle is about as high as asked for."""
    plane, (spot,) = _on_plane(_spot(request.place, ground), ground.terrain)
    walls = None
    if ground.obstacles:
        around = shapely.Point(spot).buffer(LOOK_RANGE_M)
        walls = Obstacles(ground.obstacles, plane, ground.terrain, within=around).walls()
    slant_m = seen.height_m if request.height_m is None else 1.4 * seen.height_m
    start = (*ground.on(plane), float(ground.terrain.amsl_m(*ground.near)))
    (found,) = outlooks(
        (float(spot[0]), float(spot[1])),
        [start],
        plane,
        ground.terrain,
        walls,
        speeds_m_s=seen.speed_m_s,
        climbs_m_s=CLIMB_M_S,
        view=View(slant_range_m=slant_m, max_range_m=LOOK_RANGE_M, highest_m=max(120.0, seen.height_m)),
    )
    leg = found.leg(hold_s)
    return _work(model, seen, (leg,), plane, slant_m=(found.slant_range_m,))


def _line(geometry: dict[str, Any], ground: Ground) -> Array:
    """(n, 2) lon, lat of a line."""
    return np.asarray(shapely.get_coordinates(read_line(geometry, near=ground.near)), np.float64)


def _spots(geometry: dict[str, Any], ground: Ground) -> Array:
    """(n, 2) lon, lat of points."""
    points = [shape.geometry for shape in read_points(geometry, near=ground.near)]
    return np.asarray(shapely.get_coordinates(points), np.float64)


def _spot(geometry: dict[str, Any], ground: Ground) -> Array:
    """(1, 2) lon, lat of the only point."""
    spots = _spots(geometry, ground)
    if len(spots) != 1:
        raise InputInvalid(f"place: {len(spots)} points, one is needed")
    return spots


def _on_plane(lonlat: Array, terrain: Terrain) -> tuple[LocalPlane, Array]:
    """A plane at the height of the ground there, and the places on it."""
    lon, lat = (lonlat.min(axis=0) + lonlat.max(axis=0)) / 2
    ground_m = float(np.mean(terrain.amsl_m(lonlat[:, 0], lonlat[:, 1])))
    plane = LocalPlane(lon=float(lon), lat=float(lat), height_m=ground_m)
    return plane, np.column_stack(plane.to_plane(lonlat[:, 0], lonlat[:, 1]))
