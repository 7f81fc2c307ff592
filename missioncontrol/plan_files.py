"""Plans as files: plan.json, and QGroundControl's."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from fleet import conversion
from fleet.missions import MissionItem, mission_hash
from fleet.qgc import plan_json, to_plan
from geo.positions import Altitude, Datum, Position
from missioncontrol.errors import InputInvalid
from missioncontrol.plans import Plan, VehiclePlan, plan_hash


def summary_of(plan: Plan) -> dict[str, Any]:
    """What a plan comes to, without items and paths."""
    summary = plan.public(items=False)
    for part in summary["vehicles"]:
        part.pop("path")
    return summary


def write_plan(plan: Plan, out: Path) -> None:
    """Write plan.json: the summary, and for every flight its mission items (seq first) and its path as GeoJSON."""
    tree = plan.public(items=True)
    for part in tree["vehicles"]:
        part["items"] = part.pop("mission_items")
    _write(out, msgspec.json.format(msgspec.json.encode(tree), indent=1))


def read_plan_items(path: Path, *, vehicle: int = 1) -> list[MissionItem]:
    """The items of one flight of a plan.json, counted from 1. Raises InputInvalid if they are not what was planned."""
    try:
        tree = msgspec.json.decode(path.read_bytes())
        parts = tree["vehicles"]
        if not 1 <= vehicle <= len(parts):
            raise InputInvalid(f"{path}: holds {len(parts)} flights, there is no number {vehicle}")
        part = parts[vehicle - 1]
        rows = sorted(part["items"], key=lambda row: row["seq"])
        items = [
            msgspec.convert({name: value for name, value in row.items() if name != "seq"}, MissionItem) for row in rows
        ]
        stated = part["hash"]
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise InputInvalid(f"{path}: not a plan written by `missioncontrol plan`: {exc}") from exc
    if mission_hash(items) != stated:
        raise InputInvalid(f"{path}: the items do not hash to {stated[:12]}...: the file was changed after planning")
    return items


def read_plan(path: Path) -> Plan:
    """A plan.json as a plan. Raises InputInvalid if it is none, or is not what was planned."""
    try:
        tree = msgspec.json.decode(path.read_bytes())
        for part in tree["vehicles"]:
            part["items"] = [{name: value for name, value in row.items() if name != "seq"} for row in part["items"]]
        plan = msgspec.convert(tree, Plan)
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
    except (msgspec.MsgspecError, UnicodeDecodeError, KeyError, TypeError, AttributeError) as exc:
        raise InputInvalid(f"{path}: not a plan written by `missioncontrol plan`: {exc}") from exc
    changed = [part.sysid for part in plan.vehicles if mission_hash(list(part.items)) != part.hash]
    if changed or plan_hash(plan.vehicles, plan.lost_link) != plan.hash:
        who = f"the items of vehicle {changed[0]}" if changed else "its parts"
        raise InputInvalid(f"{path}: {who} do not hash to what it states: the file was changed after planning")
    return plan


def convert_flight(path: Path, target: Path, *, vehicle: int = 1, autopilot: str = "ardupilot") -> dict[str, Any]:
    """Write one flight of a plan.json, counted from 1, for another program, by the end of the target's name.

    Gives what `fleet.conversion.convert_file` gives. Raises InputInvalid, PlanFileInvalid.
    """
    flights = read_plan(path).vehicles
    if not 1 <= vehicle <= len(flights):
        raise InputInvalid(f"{path}: holds {len(flights)} flights, there is no number {vehicle}")
    flight = flights[vehicle - 1]
    home = _home(flight)
    notes = conversion.write_plan(target, list(flight.items), home, autopilot=autopilot)
    others = (f"flight {vehicle} of {len(flights)}: --vehicle names another",) if len(flights) > 1 else ()
    return {
        "items": len(flight.items),
        "hash": flight.hash,
        "home": [home.lon, home.lat, home.altitude.value_m],
        "notes": [*others, *notes],
    }


def write_qgc(plan: Plan, path: Path) -> None:
    """One QGroundControl plan per flight; from the second on, the file's name is numbered."""
    for number, part in enumerate(plan.vehicles, start=1):
        target = path if number == 1 else path.with_name(f"{path.stem}-{number}{path.suffix}")
        _write(target, plan_json(to_plan(list(part.items), home=_home(part))).encode())


def _home(part: VehiclePlan) -> Position:
    """Where a flight starts; its first item is the take-off above it."""
    lon, lat, amsl_m = part.path["geometry"]["coordinates"][0]
    return Position(lon=lon, lat=lat, altitude=Altitude(amsl_m - part.items[0].z, Datum.AMSL))


def _write(path: Path, content: bytes) -> None:
    """All or nothing."""
    beside = path.with_name(path.name + ".part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except OSError as exc:
        raise InputInvalid(f"{path}: cannot be written: {exc.strerror}") from exc
