"""What goes aboard with a mission so that it stays safe when nobody can help: fence, rally points, lost-link policy."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry import MultiPoint, Polygon

from fleet.failsafes import LostLinkPolicy
from fleet.fences import MOST_VERTICES, FencePolygon, RallyPoint
from fleet.missions import has_position
from geo.airspace import Airspace, Band
from geo.areas import polygon_parts
from geo.positions import Altitude, Datum, LocalPlane
from missioncontrol.keepouts import LONGEST_S, ZONE_MARGIN_M
from missioncontrol.plans import Plan, VehiclePlan, plan_hash

Array = NDArray[np.float64]

CORNER_SEGMENTS = 2
"""Pieces that a quarter of a rounded corner is made of."""
MOST_CORNERS = 40
"""A fence with more is made coarser; ArduCopter holds 84."""
COARSENESS_M = (0.0, 1.0, 2.0, 4.0, 0.4 * ZONE_MARGIN_M)
"""Zones in a fence are made coarser by so much, outwards, until they fit."""


def with_safety(
    plan: Plan,
    *,
    fence_margin_m: float,
    lost_link: LostLinkPolicy | None,
    airspace: Airspace | None = None,
    begins_utc_s: float = 0.0,
    rally: Sequence[RallyPoint] = (),
) -> Plan:
    """The plan with a fence around each vehicle's route, rally points and a lost-link policy, all bound by its hash.

    The fence is the convex hull of the route, take-off included, wider by `fence_margin_m`; 0 for none. Zones of
    `airspace` in it that count within hours of `begins_utc_s` up to the height of the route are exclusions; those that
    do not fit are told. Rally points inside the fence and outside of the exclusions go aboard.
    """
    parts, warnings = [], list(plan.warnings)
    for part in plan.vehicles:
        if fence_margin_m > 0:
            fence = _Fence(part, fence_margin_m)
            if airspace is not None:
                fence.exclude(airspace, begins_utc_s)
            warnings += [f"vehicle {part.sysid}: {said}" for said in fence.warnings]
            part = msgspec.structs.replace(part, fence=fence.areas)
        kept = tuple(point for point in rally if _is_inside(point, part.fence))
        if len(kept) < len(rally):
            said = f"{len(rally) - len(kept)} of {len(rally)} rally points lie outside of the fence and stay behind"
            warnings.append(f"vehicle {part.sysid}: {said}")
        parts.append(msgspec.structs.replace(part, rally=kept))
    whole = tuple(parts)
    return msgspec.structs.replace(
        plan,
        vehicles=whole,
        warnings=tuple(dict.fromkeys(warnings)),
        lost_link=lost_link,
        hash=plan_hash(whole, lost_link),
    )


class _Fence:
    """A fence in the making, on a plane at the start of the route."""

    def __init__(self, part: VehiclePlan, margin_m: float) -> None:
        places = [(item.y / 1e7, item.x / 1e7) for item in part.items if has_position(item) and (item.x or item.y)]
        path = np.array(part.path["geometry"]["coordinates"], float)
        lonlat = np.array([*places, *path[:, :2]])
        self.plane = LocalPlane(lon=float(lonlat[0, 0]), lat=float(lonlat[0, 1]))
        self.highest_m = float(path[:, 2].max())
        self.points = np.column_stack(self.plane.to_plane(lonlat[:, 0], lonlat[:, 1]))
        self.route = shapely.LineString(np.column_stack(self.plane.to_plane(path[:, 0], path[:, 1])))
        self.hull = _around(self.points, margin_m)
        self.areas: tuple[FencePolygon, ...] = (self._area(self.hull, inclusion=True),)
        self.warnings: list[str] = []

    def exclude(self, airspace: Airspace, begins_utc_s: float) -> None:
        """Add what zones take of it, those nearest to the route first."""
        near = shapely.transform(self.hull, lambda xy: np.column_stack(self.plane.to_lonlat(xy[:, 0], xy[:, 1])))
        band = Band(
            begins_utc_s, begins_utc_s + LONGEST_S, Altitude(0.0, Datum.AGL), Altitude(self.highest_m, Datum.AMSL)
        )
        found: list[tuple[str, Polygon]] = []
        for blocked in airspace.blocked(near, band):
            flat = shapely.transform(
                blocked.polygon, lambda lonlat: np.column_stack(self.plane.to_plane(lonlat[:, 0], lonlat[:, 1]))
            )
            found += [(blocked.title, part) for part in _without_holes(flat.intersection(self.hull)) if part.area > 1]
        crossed = [title for title, polygon in found if polygon.intersects(self.route)]
        if crossed:
            self.warnings.append(f"the fence lets it into {', '.join(dict.fromkeys(crossed))}, which its route enters")
        kept = [(title, polygon) for title, polygon in found if title not in crossed]
        kept.sort(key=lambda each: float(each[1].distance(self.route)))
        self._add([polygon for _, polygon in kept], [title for title, _ in kept])

    def _add(self, polygons: list[Polygon], titles: list[str]) -> None:
        free = MOST_VERTICES - len(self.areas[0].ring)
        for coarser_m in COARSENESS_M:
            rings = [_coarser(polygon, coarser_m) for polygon in polygons]
            if sum(len(ring.exterior.coords) - 1 for ring in rings) <= free:
                break
        for title, ring in zip(titles, rings, strict=True):
            corners = len(ring.exterior.coords) - 1
            if ring.intersects(self.route) or corners > free:
                why = "comes too near to the route" if ring.intersects(self.route) else "has too many corners"
                self.warnings.append(f"the fence leaves out {title}: it {why}")
                continue
            free -= corners
            self.areas += (self._area(ring, inclusion=False),)

    def _area(self, shape: Polygon, *, inclusion: bool) -> FencePolygon:
        lon, lat = self.plane.to_lonlat(*np.array(shape.exterior.coords[:-1]).T)
        ring = tuple((round(float(x), 7), round(float(y), 7)) for x, y in zip(lon, lat, strict=True))
        return FencePolygon(ring=ring, inclusion=inclusion)


def _around(points: Array, margin_m: float) -> Polygon:
    """The convex hull, wider by a margin, of not too many corners."""
    hull = MultiPoint(points).convex_hull
    shape = hull.buffer(margin_m, quad_segs=CORNER_SEGMENTS)
    coarser_m = margin_m / 20
    while len(shape.exterior.coords) > MOST_CORNERS:  # a simplified ring may cut corners, so it is made wider first
        shape = Polygon(hull.buffer(margin_m + coarser_m, quad_segs=1).simplify(coarser_m).exterior)
        coarser_m *= 2
    return shape


def _without_holes(shape: shapely.Geometry) -> list[Polygon]:
    """A shape in polygons that have no holes: a fence knows none."""
    found: list[Polygon] = []
    for polygon in polygon_parts(shape):
        if polygon.interiors:
            west, south, east, north = polygon.bounds
            x = polygon.interiors[0].centroid.x
            for half in shapely.box(west, south, x, north), shapely.box(x, south, east, north):
                found += _without_holes(polygon.intersection(half))
        else:
            found.append(polygon)
    return found


def _coarser(polygon: Polygon, by_m: float) -> Polygon:
    """A polygon around another, without holes, no more than 2.4 times as far out as it is coarser."""
    if by_m == 0:
        return polygon
    return Polygon(polygon.buffer(by_m, quad_segs=1, join_style="mitre", mitre_limit=1.4).simplify(by_m).exterior)


def _is_inside(point: RallyPoint, fence: Sequence[FencePolygon]) -> bool:
    place = shapely.Point(point.lon, point.lat)
    return all(Polygon(area.ring).covers(place) == area.inclusion for area in fence)
