"""QGroundControl's .plan files: JSON, "fileType": "Plan", version 1, mission version 2 (QGC developer guide)."""

from __future__ import annotations

import json
import math
from typing import Any

from fleet.errors import PlanFileInvalid
from fleet.missions import MissionItem, has_position
from geo.positions import Altitude, Datum, Position

MAV_AUTOPILOT_ARDUPILOT, MAV_AUTOPILOT_PX4 = 3, 12
FIRMWARE = {"ardupilot": MAV_AUTOPILOT_ARDUPILOT, "px4": MAV_AUTOPILOT_PX4}
MAV_TYPE_QUADROTOR = 2
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
    if home.altitude.datum is not Datum.AMSL:
        raise PlanFileInvalid(f"home height must be AMSL, not {home.altitude.datum}")
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
    """A SimpleItem; NaN is written as null, numbered from 1."""
    place: list[float] = [item.x / 1e7, item.y / 1e7] if has_position(item) else [item.x, item.y]
    values = [*item.params, *place, item.z]
    simple: dict[str, Any] = {
        "autoContinue": item.autocontinue,
        "command": item.command,
        "doJumpId": index + 1,
        "frame": {5: 0, 6: 3, 11: 10}.get(item.frame, item.frame),
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


def from_plan(text: str | bytes) -> tuple[list[MissionItem], Position]:
    """Items and planned home of a .plan file; raises PlanFileInvalid naming the place in the file.

    ComplexItems (survey, corridor, structure) hold their own pattern; their TransectStyleComplexItem.Items are
    taken where QGC has stored them, else the file is refused.
    """
    try:
        document = json.loads(text)
    except ValueError as exc:
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
    items: list[MissionItem] = []
    for index, entry in enumerate(raw):
        items.extend(_items_of(entry, f"mission.items[{index}]"))
    return items, _home_of(mission.get("plannedHomePosition"))


def _home_of(value: object) -> Position:
    if not isinstance(value, list) or len(value) != 3 or not all(_is_number(part) for part in value):
        raise PlanFileInvalid("mission.plannedHomePosition: not [latitude, longitude, AMSL]")
    lat, lon, amsl_m = (float(part) for part in value)
    if not (abs(lat) <= 90 and abs(lon) <= 180):
        raise PlanFileInvalid(f"mission.plannedHomePosition: {lat:g}, {lon:g} deg is no place")
    return Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL))


def _items_of(entry: object, where: str) -> list[MissionItem]:
    if not isinstance(entry, dict):
        raise PlanFileInvalid(f"{where}: not an object")
    if entry.get("type") == "ComplexItem":
        inner = entry.get("TransectStyleComplexItem")
        stored = inner.get("Items") if isinstance(inner, dict) else None
        if not isinstance(stored, list):
            kind = entry.get("complexItemType")
            raise PlanFileInvalid(f"{where}: a {kind} without stored items cannot be read; save it again in QGC")
        return [item for n, each in enumerate(stored) for item in _items_of(each, f"{where}.Items[{n}]")]
    if entry.get("type") != "SimpleItem":
        raise PlanFileInvalid(f"{where}: type {entry.get('type')!r} is neither SimpleItem nor ComplexItem")
    command, frame, params = entry.get("command"), entry.get("frame"), entry.get("params")
    if not isinstance(command, int) or not isinstance(frame, int):
        raise PlanFileInvalid(f"{where}: command or frame is not a whole number")
    if not isinstance(params, list) or len(params) != 7 or not all(p is None or _is_number(p) for p in params):
        raise PlanFileInvalid(f"{where}: params are not 7 numbers")
    values = [math.nan if param is None else float(param) for param in params]
    item = MissionItem(
        frame=frame,
        command=command,
        params=(values[0], values[1], values[2], values[3]),
        z=0.0 if math.isnan(values[6]) else values[6],
        autocontinue=bool(entry.get("autoContinue", True)),
    )
    scale = 1e7 if has_position(item) else 1.0
    x, y = (0 if math.isnan(value) else round(value * scale) for value in values[4:6])
    if max(abs(x), abs(y)) >= 1 << 31:
        raise PlanFileInvalid(f"{where}: params[4] and params[5] are {values[4]:g}, {values[5]:g}")
    return [
        MissionItem(
            frame=frame, command=command, params=item.params, x=x, y=y, z=item.z, autocontinue=item.autocontinue
        )
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
