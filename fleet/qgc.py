"""QGroundControl's .plan files: JSON, "fileType": "Plan", version 1, mission version 2 (QGC developer guide)."""

from __future__ import annotations

import json
import math
from typing import Any, TypeGuard

import msgspec

from fleet.errors import PlanFileInvalid
from fleet.missions import FRAMES, MissionItem, has_position
from fleet.planfiles import PlanFile, check_home, checked_item, home_of
from geo.positions import Position

MAV_AUTOPILOT_ARDUPILOT, MAV_AUTOPILOT_PX4 = 3, 12
FIRMWARE = {"ardupilot": MAV_AUTOPILOT_ARDUPILOT, "px4": MAV_AUTOPILOT_PX4}
MAV_TYPE_QUADROTOR = 2
MAV_CMD_DO_JUMP = 177
ALTITUDE_MODES = {3: 1, 6: 1, 0: 2, 5: 2, 10: 4, 11: 4}
"""QGC's AltitudeMode by MAV_FRAME: 1 above launch, 2 AMSL, 4 above terrain as the vehicle knows it (0 is mixed, 3 is
computed from QGC's own terrain)."""


def to_plan(
    items: list[MissionItem],
    *,
    home: Position,
    autopilot: str = "ardupilot",
    hover_speed_m_s: float = 5.0,
    cruise_speed_m_s: float = 15.0,
) -> dict[str, Any]:
    """The .plan document of a plan; `home` (AMSL) is where it is planned to start from.

    Raises PlanFileInvalid for an empty plan, an unknown autopilot or a home that is not AMSL.
    """
    if not items:
        raise PlanFileInvalid("a .plan needs at least one item")
    if autopilot not in FIRMWARE:
        raise PlanFileInvalid(f"autopilot {autopilot!r} is none of {', '.join(FIRMWARE)}")
    check_home(home)
    modes = {ALTITUDE_MODES.get(item.frame, 0) for item in items if has_position(item)}
    return {
        "fileType": "Plan",
        "geoFence": {"circles": [], "polygons": [], "version": 2},
        "groundStation": "QGroundControl",
        "mission": {
            "cruiseSpeed": cruise_speed_m_s,
            "firmwareType": FIRMWARE[autopilot],
            "globalPlanAltitudeMode": modes.pop() if len(modes) == 1 else 0,
            "hoverSpeed": hover_speed_m_s,
            "items": [_simple_item(item, index) for index, item in enumerate(items)],
            "plannedHomePosition": [home.lat, home.lon, home.altitude.value_m],
            "vehicleType": MAV_TYPE_QUADROTOR,
            "version": 2,
        },
        "rallyPoints": {"points": [], "version": 2},
        "version": 1,
    }


def _simple_item(item: MissionItem, index: int) -> dict[str, Any]:
    """A SimpleItem; NaN is written as null. Items are numbered from 1, and so a jump names its target."""
    place: list[float] = [item.x / 1e7, item.y / 1e7] if has_position(item) else [item.x, item.y]
    values = [*item.params, *place, item.z]
    if any(math.isinf(value) for value in values):
        raise PlanFileInvalid(f"item {index}: a parameter is infinite: {item.params}, {item.z}")
    if item.command == MAV_CMD_DO_JUMP:
        values[0] += 1.0
    simple: dict[str, Any] = {
        "autoContinue": item.autocontinue,
        "command": item.command,
        "doJumpId": index + 1,
        "frame": FRAMES.get(item.frame, item.frame),
        "params": [None if math.isnan(value) else value for value in values],
        "type": "SimpleItem",
    }
    if has_position(item):
        simple["AMSLAltAboveTerrain"] = None
        simple["Altitude"] = item.z
        simple["AltitudeMode"] = ALTITUDE_MODES.get(item.frame, 0)
    return simple


def plan_json(document: dict[str, Any]) -> str:
    """The text of a .plan file, as QGC lays it out."""
    return json.dumps(document, indent=4, sort_keys=True, allow_nan=False) + "\n"


def from_plan(text: str | bytes) -> PlanFile:
    """Items and planned home of a .plan file; raises PlanFileInvalid naming the place in the file.

    ComplexItems (survey, corridor, structure) hold their own pattern; their TransectStyleComplexItem.Items are
    taken where QGC has stored them, else the file is refused. An altitude that is null is 0 in an item without a
    place, and refused in one that has a place. Fence and rally points are not taken; the notes say so.
    """
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise PlanFileInvalid(f"not JSON: {exc}") from exc
    if not isinstance(document, dict) or document.get("fileType") != "Plan":
        raise PlanFileInvalid('"fileType" is not "Plan"')
    if document.get("version") != 1:
        raise PlanFileInvalid(f"version {document.get('version')!r} is not 1")
    mission = document.get("mission")
    if not isinstance(mission, dict) or mission.get("version") != 2:
        raise PlanFileInvalid("mission: missing, or its version is not 2")
    raw = mission.get("items")
    if not isinstance(raw, list):
        raise PlanFileInvalid("mission.items: not a list")
    places = [place for index, entry in enumerate(raw) for place in _simple_items(entry, f"mission.items[{index}]")]
    numbers = {entry.get("doJumpId"): at for at, (_, entry) in enumerate(places)}
    items = [_item(where, entry, numbers) for where, entry in places]
    return PlanFile(items=items, home=_home_of(mission.get("plannedHomePosition")), notes=_notes(document))


def _notes(document: dict[str, Any]) -> tuple[str, ...]:
    left = {"geoFence": ("circles", "polygons"), "rallyPoints": ("points",)}
    found = [
        f"{section}.{name} of the file: {len(entries)} not taken, the mission alone is"
        for section, names in left.items()
        for name in names
        if isinstance(part := document.get(section), dict) and isinstance(entries := part.get(name), list) and entries
    ]
    return tuple(found)


def _home_of(value: object) -> Position:
    if not isinstance(value, list) or len(value) != 3 or not all(_is_number(part) for part in value):
        raise PlanFileInvalid("mission.plannedHomePosition: not [latitude, longitude, AMSL]")
    lat, lon, amsl_m = (float(part) for part in value)
    return home_of("mission.plannedHomePosition", lat=lat, lon=lon, amsl_m=amsl_m)


def _simple_items(entry: object, where: str) -> list[tuple[str, dict[str, Any]]]:
    """The SimpleItems of an entry with their places in the file: itself, or those that a ComplexItem has stored."""
    if not isinstance(entry, dict):
        raise PlanFileInvalid(f"{where}: not an object")
    if entry.get("type") == "ComplexItem":
        inner = entry.get("TransectStyleComplexItem")
        stored = inner.get("Items") if isinstance(inner, dict) else None
        if not isinstance(stored, list):
            kind = entry.get("complexItemType")
            raise PlanFileInvalid(f"{where}: a {kind} without stored items cannot be read; save it again in QGC")
        return [found for n, each in enumerate(stored) for found in _simple_items(each, f"{where}.Items[{n}]")]
    if entry.get("type") != "SimpleItem":
        raise PlanFileInvalid(f"{where}: type {entry.get('type')!r} is neither SimpleItem nor ComplexItem")
    return [(where, entry)]


def _item(where: str, entry: dict[str, Any], numbers: dict[Any, int]) -> MissionItem:
    """`numbers`: index in the list by doJumpId."""
    command, frame, params = entry.get("command"), entry.get("frame"), entry.get("params")
    if not _is_whole(command) or not _is_whole(frame):
        raise PlanFileInvalid(f"{where}: command or frame is not a whole number")
    if not isinstance(params, list) or len(params) != 7 or not all(p is None or _is_number(p) for p in params):
        raise PlanFileInvalid(f"{where}: params are not 7 numbers")
    values = [math.nan if param is None else float(param) for param in params]
    item = checked_item(
        where, frame=frame, command=command, values=values, autocontinue=bool(entry.get("autoContinue", True))
    )
    if item.command != MAV_CMD_DO_JUMP:
        return item
    if item.params[0] not in numbers:
        raise PlanFileInvalid(f"{where}: params[0]: no item has doJumpId {item.params[0]:g}")
    return msgspec.structs.replace(item, params=(float(numbers[item.params[0]]), *item.params[1:]))


def _is_whole(value: object) -> TypeGuard[int]:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and _is_finite(value)


def _is_finite(value: float) -> bool:
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond every float
        return False
