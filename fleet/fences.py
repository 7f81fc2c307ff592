"""Fences and rally points as they travel, and the hashes that say what was approved.

Both go by the mission protocol under their own mission type. What comes back is read as areas and points again, and
only those are ever sent: PX4 gives rally points back in a frame in which, when they are sent to it again, its return
to launch hovers for ever.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence

import msgspec
import numpy as np

from fleet.errors import MissionInvalid
from fleet.missions import MissionItem

FENCE_TYPE, RALLY_TYPE = 1, 2
"""MAV_MISSION_TYPE."""
POLYGON_INCLUSION, POLYGON_EXCLUSION, CIRCLE_INCLUSION, CIRCLE_EXCLUSION = 5001, 5002, 5003, 5004
RALLY_POINT = 5100
"""MAV_CMD_NAV_FENCE_... and MAV_CMD_NAV_RALLY_POINT."""
GLOBAL, RELATIVE = 0, 3
"""MAV_FRAME: of fence items, whose heights mean nothing; of rally points, above home, as both autopilots take them."""
MOST_VERTICES = 84
"""ArduCopter's fence storage holds no more in all with default settings."""


class FencePolygon(msgspec.Struct, frozen=True, kw_only=True):
    """An area by its corners."""

    ring: tuple[tuple[float, float], ...]
    """Corners (lon, lat), deg, at least 3, not closed."""
    inclusion: bool = True
    """Stay inside; otherwise stay outside."""


class FenceCircle(msgspec.Struct, frozen=True, kw_only=True):
    """An area by its middle and radius."""

    lon: float
    """Longitude of the middle, deg."""
    lat: float
    """Latitude of the middle, deg."""
    radius_m: float
    """Radius, m."""
    inclusion: bool = False
    """Stay inside; otherwise stay outside."""


FenceArea = FencePolygon | FenceCircle


class RallyPoint(msgspec.Struct, frozen=True, kw_only=True):
    """A place to return to instead of home."""

    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    height_m: float
    """Height above home on arrival, m."""


def fence_items(areas: Sequence[FenceArea]) -> list[MissionItem]:
    """The items of a fence. Raises MissionInvalid for areas that an autopilot might swallow and should not."""
    items: list[MissionItem] = []
    for number, area in enumerate(areas):
        where = f"fence area {number}"
        if isinstance(area, FencePolygon):
            if len(area.ring) < 3 or len({_e7(corner) for corner in area.ring}) < len(area.ring):
                raise MissionInvalid(f"{where}: a polygon needs at least 3 different corners, in order and not closed")
            command = POLYGON_INCLUSION if area.inclusion else POLYGON_EXCLUSION
            items += [_item(command, GLOBAL, float(len(area.ring)), lon, lat, 0.0, where) for lon, lat in area.ring]
        else:
            if not 1.0 <= area.radius_m <= 100_000.0:
                raise MissionInvalid(f"{where}: radius {area.radius_m:g} m is not between 1 and 100000 m")
            command = CIRCLE_INCLUSION if area.inclusion else CIRCLE_EXCLUSION
            items.append(_item(command, GLOBAL, area.radius_m, area.lon, area.lat, 0.0, where))
    if len(items) > MOST_VERTICES:
        raise MissionInvalid(f"the fence has {len(items)} corners; {MOST_VERTICES} is the most that ArduCopter takes")
    return items


def fence_areas(items: Sequence[MissionItem]) -> tuple[FenceArea, ...]:
    """The areas in items that were read back. Raises MissionInvalid where they are no fence."""
    areas: list[FenceArea] = []
    at = 0
    while at < len(items):
        item = items[at]
        if item.command in (CIRCLE_INCLUSION, CIRCLE_EXCLUSION):
            inside = item.command == CIRCLE_INCLUSION
            areas.append(FenceCircle(lon=item.y / 1e7, lat=item.x / 1e7, radius_m=item.params[0], inclusion=inside))
            at += 1
            continue
        count = int(item.params[0])
        corners = items[at : at + count]
        if item.command not in (POLYGON_INCLUSION, POLYGON_EXCLUSION) or count < 3 or len(corners) < count:
            raise MissionInvalid(f"fence item {at} (command {item.command}) begins no area of {count} corners")
        if any(corner.command != item.command for corner in corners):
            raise MissionInvalid(f"fence items {at} to {at + count - 1} are not the corners of one area")
        ring = tuple((corner.y / 1e7, corner.x / 1e7) for corner in corners)
        areas.append(FencePolygon(ring=ring, inclusion=item.command == POLYGON_INCLUSION))
        at += count
    return tuple(areas)


def rally_items(points: Sequence[RallyPoint]) -> list[MissionItem]:
    """The items of rally points. Raises MissionInvalid."""
    return [
        _item(RALLY_POINT, RELATIVE, 0.0, point.lon, point.lat, point.height_m, f"rally point {number}")
        for number, point in enumerate(points)
    ]


def rally_points(items: Sequence[MissionItem]) -> tuple[RallyPoint, ...]:
    """The points in items that were read back, whatever frame they came back in. Raises MissionInvalid."""
    for number, item in enumerate(items):
        if item.command != RALLY_POINT:
            raise MissionInvalid(f"rally item {number} is command {item.command}")
    return tuple(RallyPoint(lon=item.y / 1e7, lat=item.x / 1e7, height_m=item.z) for item in items)


def fence_hash(areas: Sequence[FenceArea]) -> str:
    """SHA-256 (hex) of a fence: its commands, counts or radii as float32, and corners to 1e-7 deg."""
    return _hash(b"fence/1", fence_items(areas), lambda item: 0)


def rally_hash(points: Sequence[RallyPoint]) -> str:
    """SHA-256 (hex) of rally points: places to 1e-7 deg, heights to the metre (ArduPilot stores no more)."""
    return _hash(b"rally/1", rally_items(points), lambda item: round(item.z))


def _hash(version: bytes, items: list[MissionItem], height: Callable[[MissionItem], int]) -> str:
    digest = hashlib.sha256(version)
    for item in items:
        row = (item.command, float(np.float32(item.params[0])), item.x, item.y, height(item))
        digest.update(repr(row).encode())
    return digest.hexdigest()


def _item(command: int, frame: int, param1: float, lon: float, lat: float, z_m: float, where: str) -> MissionItem:
    if not (abs(lat) <= 90.0 and abs(lon) <= 180.0 and math.isfinite(z_m)):
        raise MissionInvalid(f"{where}: {lat:g}, {lon:g} deg at {z_m:g} m is no place")
    x, y = _e7((lat, lon))
    return MissionItem(frame=frame, command=command, params=(param1, 0.0, 0.0, 0.0), x=x, y=y, z=z_m)


def _e7(place: tuple[float, float]) -> tuple[int, int]:
    return tuple(round(angle * 1e7) if math.isfinite(angle) else 0 for angle in place)  # type: ignore[return-value]
