"""Plan files by what they hold and how they are named: QGroundControl .plan, .waypoints and KML."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fleet.errors import PlanFileInvalid
from fleet.kml import WRITTEN_NOTE, from_kml, to_kml
from fleet.missions import MissionItem, mission_hash
from fleet.planfiles import PlanFile
from fleet.qgc import from_plan, plan_json, to_plan
from fleet.waypoints import HEADER, from_waypoints, to_waypoints
from geo.positions import Position

FORMATS = {".plan": "QGroundControl plan", ".waypoints": "Mission Planner waypoints", ".kml": "KML"}
"""Formats that are written, by the end of the file's name."""


def read_plan(path: Path, *, height_m: float | None = None) -> PlanFile:
    """The plan in a file, its format found by its content. `height_m` above home is for KML without heights.

    Raises PlanFileInvalid naming file, line (or place in the JSON) and field.
    """
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise PlanFileInvalid(f"{path}: cannot be read: {exc.strerror or exc}") from exc
    start = content.removeprefix(b"\xef\xbb\xbf").lstrip()[:64]
    try:
        if start.startswith(b"<") or content[:2] in (b"\xff\xfe", b"\xfe\xff"):
            return from_kml(content, height_m=height_m)
        if start.startswith(b"{"):
            return from_plan(content)
        if start.startswith(HEADER.split()[0].encode()):
            return from_waypoints(content.decode("utf-8"))
    except UnicodeDecodeError as exc:
        raise PlanFileInvalid(f"{path}: byte {exc.start}: is not UTF-8 text") from exc
    except PlanFileInvalid as exc:
        raise PlanFileInvalid(f"{path}: {exc}") from exc
    packed = "; a KMZ is packed, save it as KML" if content[:2] == b"PK" else ""
    raise PlanFileInvalid(f"{path}: is neither {', '.join(FORMATS.values())}{packed}")


def write_plan(
    path: Path, items: list[MissionItem], home: Position | None, *, autopilot: str = "ardupilot"
) -> tuple[str, ...]:
    """Write a plan in the format that the file's name ends in; notes on what other programs will not see.

    All or nothing. Raises PlanFileInvalid for an end that is no format, and for what the format cannot hold.
    """
    kind = path.suffix.lower()
    notes: tuple[str, ...] = ()
    try:
        if kind == ".plan":
            if home is None:
                raise PlanFileInvalid("home: a .plan must say where it starts from; give lon, lat and height AMSL")
            text = plan_json(to_plan(items, home=home, autopilot=autopilot))
        elif kind == ".waypoints":
            text = to_waypoints(items, home=home)
        elif kind == ".kml":
            text, notes = to_kml(items, home=home), (WRITTEN_NOTE,)
        else:
            raise PlanFileInvalid(f"{kind or 'no end'}: is none of {', '.join(FORMATS)}")
        beside = path.with_name(path.name + ".part")
        beside.write_bytes(text.encode())
        beside.replace(path)
    except OSError as exc:
        raise PlanFileInvalid(f"{path}: cannot be written: {exc.strerror or exc}") from exc
    except PlanFileInvalid as exc:
        raise PlanFileInvalid(f"{path}: {exc}") from exc
    return notes


def convert_plan(
    source: Path,
    target: Path,
    *,
    home: Position | None = None,
    height_m: float | None = None,
    autopilot: str = "ardupilot",
) -> dict[str, Any]:
    """Write the plan of one file as another; what the command `convert` does.

    `home` (AMSL) is taken where the source has none. Gives items, hash, home and notes. Raises PlanFileInvalid.
    """
    plan = read_plan(source, height_m=height_m)
    home = plan.home or home
    written = write_plan(target, plan.items, home, autopilot=autopilot)
    place = None if home is None else [home.lon, home.lat, home.altitude.value_m]
    return {
        "items": len(plan.items),
        "hash": mission_hash(plan.items),
        "home": place,
        "notes": [*plan.notes, *written],
    }
