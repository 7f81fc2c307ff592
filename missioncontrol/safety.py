"""What goes aboard with a mission so that it stays safe when nobody can help: a fence, and what a lost link means."""

from __future__ import annotations

import msgspec
import numpy as np
from shapely.geometry import MultiPoint, Polygon

from fleet.failsafes import LostLinkPolicy
from fleet.fences import FencePolygon
from fleet.missions import has_position
from geo.positions import LocalPlane
from missioncontrol.plans import Plan, VehiclePlan, plan_hash

CORNER_SEGMENTS = 2
"""Pieces that a quarter of a rounded corner is made of."""
MOST_CORNERS = 40
"""A fence with more is made coarser; ArduCopter holds 84."""


def with_safety(plan: Plan, *, fence_margin_m: float, lost_link: LostLinkPolicy | None) -> Plan:
    """The plan with a fence around each vehicle's route and a lost-link policy, both bound by its hash.

    The fence is the convex hull of the route, take-off included, wider by `fence_margin_m`; 0 for none.
    """
    parts = tuple(
        msgspec.structs.replace(part, fence=(_around(part, fence_margin_m),) if fence_margin_m > 0 else ())
        for part in plan.vehicles
    )
    return msgspec.structs.replace(plan, vehicles=parts, lost_link=lost_link, hash=plan_hash(parts, lost_link))


def _around(part: VehiclePlan, margin_m: float) -> FencePolygon:
    places = [(item.y / 1e7, item.x / 1e7) for item in part.items if has_position(item) and (item.x or item.y)]
    lonlat = np.array([*places, *(point[:2] for point in part.path["geometry"]["coordinates"])])
    plane = LocalPlane(lon=float(lonlat[0, 0]), lat=float(lonlat[0, 1]))
    hull = MultiPoint(np.column_stack(plane.to_plane(lonlat[:, 0], lonlat[:, 1]))).convex_hull
    shape = hull.buffer(margin_m, quad_segs=CORNER_SEGMENTS)
    coarser_m = margin_m / 20
    while len(shape.exterior.coords) > MOST_CORNERS:  # a simplified ring may cut corners, so it is made wider first
        shape = Polygon(hull.buffer(margin_m + coarser_m, quad_segs=1).simplify(coarser_m).exterior)
        coarser_m *= 2
    lon, lat = plane.to_lonlat(*np.array(shape.exterior.coords[:-1]).T)
    return FencePolygon(ring=tuple((round(float(x), 7), round(float(y), 7)) for x, y in zip(lon, lat, strict=True)))
