"""Mission Planner's and MAVProxy's .waypoints files: text, "QGC WPL 110", one line an item (MAVLink, File Formats).

Line 0 of the list is ArduPilot's home slot; jumps count it. Columns, parted by tabs: index, current, frame, command,
param1 to param4, latitude or param5, longitude or param6, altitude or param7, autocontinue.
"""

from __future__ import annotations

import math

import msgspec

from fleet.errors import PlanFileInvalid
from fleet.missions import FRAMES, MissionItem, has_position
from fleet.planfiles import PlanFile, check_home, checked_item, decimal, home_of
from geo.positions import Position

HEADER = "QGC WPL 110"
COLUMNS = (
    "index", "current", "frame", "command", "param1", "param2", "param3", "param4", "x/latitude", "y/longitude",
    "z/altitude", "autocontinue",
)  # fmt: skip
_WHOLE = frozenset((0, 1, 2, 3, 11))
MAV_CMD_NAV_WAYPOINT, MAV_CMD_DO_JUMP = 16, 177


def to_waypoints(items: list[MissionItem], *, home: Position | None) -> str:
    """The text of a .waypoints file; without a home (AMSL) its line is zero, which Mission Planner takes as unknown.

    Frames are written without their _INT doubles: Mission Planner reads those as AMSL. Raises PlanFileInvalid.
    """
    if not items:
        raise PlanFileInvalid("a .waypoints file needs at least one item")
    place = ["0", "0", "0"]
    if home is not None:
        check_home(home)
        place = [f"{home.lat:.7f}", f"{home.lon:.7f}", decimal(home.altitude.value_m)]
    rows = [["0", "1", "0", str(MAV_CMD_NAV_WAYPOINT), "0", "0", "0", "0", *place, "1"]]
    rows += [_row(index, item) for index, item in enumerate(items, start=1)]
    return "".join("\t".join(row) + "\r\n" for row in [[HEADER], *rows])


def _row(index: int, item: MissionItem) -> list[str]:
    params = list(item.params)
    if item.command == MAV_CMD_DO_JUMP:
        params[0] += 1.0
    if any(math.isinf(value) for value in (*params, item.z)):
        raise PlanFileInvalid(f"item {index - 1}: a parameter is infinite: {item.params}, {item.z}")
    placed = has_position(item)
    x, y = (f"{item.x / 1e7:.7f}", f"{item.y / 1e7:.7f}") if placed else (str(item.x), str(item.y))
    frame = FRAMES.get(item.frame, item.frame)
    numbers = [decimal(value) for value in params]
    return [
        str(index),
        "0",
        str(frame),
        str(item.command),
        *numbers,
        x,
        y,
        decimal(item.z),
        str(int(item.autocontinue)),
    ]


def from_waypoints(text: str) -> PlanFile:
    """Items and home of a .waypoints file. Raises PlanFileInvalid naming line (from 1) and column."""
    lines = text.removeprefix("\ufeff").splitlines()
    if not lines or lines[0].split() != HEADER.split():
        raise PlanFileInvalid(f'line 1: is not "{HEADER}"')
    home: Position | None = None
    items: list[MissionItem] = []
    index = 0
    for number, line in enumerate(lines[1:], start=2):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        cells = _cells(f"line {number}", line, index)
        if index == 0:
            home = _home(f"line {number}", cells)
        else:
            items.append(_item(f"line {number}", cells))
        index += 1
    if index == 0:
        raise PlanFileInvalid(f"line {len(lines)}: the file ends before the home line")
    for at, item in enumerate(items):
        if item.command == MAV_CMD_DO_JUMP and not 0 <= item.params[0] < len(items):
            raise PlanFileInvalid(f"item {at}: param1: jumps to line {item.params[0] + 1:g}, which is no item")
    return PlanFile(items=items, home=home)


def _cells(where: str, line: str, index: int) -> list[float]:
    texts = line.split()
    if len(texts) != len(COLUMNS):
        raise PlanFileInvalid(f"{where}: {len(texts)} columns, not {len(COLUMNS)}")
    cells = []
    for column, cell in enumerate(texts):
        try:
            value = float(int(cell)) if column in _WHOLE else float(cell)
        except (ValueError, OverflowError):
            kind = "whole number" if column in _WHOLE else "number"
            raise PlanFileInvalid(f"{where}: {COLUMNS[column]}: {cell[:40]!r} is no {kind}") from None
        cells.append(value)
    if cells[0] != index:
        raise PlanFileInvalid(f"{where}: index: {cells[0]:g}, where {index} comes next")
    for column in (1, 11):
        if cells[column] not in (0.0, 1.0):
            raise PlanFileInvalid(f"{where}: {COLUMNS[column]}: {cells[column]:g} is neither 0 nor 1")
    return cells


def _home(where: str, cells: list[float]) -> Position | None:
    frame, command = int(cells[2]), int(cells[3])
    if command not in (0, MAV_CMD_NAV_WAYPOINT) or FRAMES.get(frame, frame) != 0:  # old Mission Planners wrote 0
        raise PlanFileInvalid(
            f"{where}: command: the first line is ArduPilot's home, a waypoint (16) in frame 0; command {command} in "
            f"frame {frame} would be lost there"
        )
    lat, lon, amsl_m = cells[8:11]
    if lat == 0.0 and lon == 0.0:
        return None
    return home_of(f"{where}: home", lat=lat, lon=lon, amsl_m=amsl_m)


def _item(where: str, cells: list[float]) -> MissionItem:
    item = checked_item(
        where, frame=int(cells[2]), command=int(cells[3]), values=cells[4:11], autocontinue=cells[11] == 1.0
    )
    if item.command == MAV_CMD_DO_JUMP:
        item = msgspec.structs.replace(item, params=(item.params[0] - 1.0, *item.params[1:]))
    return item
