"""Missions of the Litchi app as CSV: one line a waypoint with its speed, gimbal, point of interest and actions.

Columns are those of the Litchi Mission Hub's own export, as litchiutilities.com/docs/litchiCsv.php and the package
litchi_wp describe them. Heights are above the take-off place or above ground (altitudemode 1). What holds for the
whole mission in Litchi (heading mode, path mode, finish action, cruising speed) no such file says.
"""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass, field

from fleet.errors import PlanFileInvalid
from fleet.missions import FRAMES, PLACELESS_FRAME, MissionItem
from fleet.planfiles import PlanFile, checked_item, decimal
from geo.positions import Position, bearing_deg

NAV_WAYPOINT, NAV_RTL, NAV_LAND, NAV_TAKEOFF, NAV_DELAY = 16, 20, 21, 22, 93
CONDITION_YAW, DO_CHANGE_SPEED, DO_SET_ROI_LOCATION, DO_SET_ROI_NONE = 115, 178, 195, 197
DO_DIGICAM_CONTROL, DO_MOUNT_CONTROL, DO_SET_CAM_TRIGG_DIST = 203, 205, 206
IMAGE_START_CAPTURE, IMAGE_STOP_CAPTURE, VIDEO_START_CAPTURE, VIDEO_STOP_CAPTURE = 2000, 2001, 2500, 2501
AMSL, RELATIVE, TERRAIN = 0, 3, 10
"""MAV_FRAME of heights above sea level, home, and terrain."""
MOUNT_TARGETING = 2.0
STAY, PHOTO, RECORD, STOP_RECORDING, ROTATE, TILT = range(6)
"""actiontype; -1 is none."""
MOST_ACTIONS = 15
LONGEST_STAY_S = 32.0
"""Of one action."""
FOCUS, INTERPOLATE = 1, 2
"""gimbalmode: look at the point of interest, or reach the angle by the waypoint; 0 leaves the gimbal alone."""
HEIGHTS_M = (-200.0, 500.0)
"""Heights that Litchi takes."""
MOST_WAYPOINTS = 99
"""DJI's own limit for a waypoint mission (DJI Mobile SDK)."""
MOST_BYTES = 1_000_000
MOST_ROWS = 10_000
FOOT_M = 0.3048
START = "latitude,longitude,altitude("
"""What such a file begins with."""
COLUMNS = (
    "latitude", "longitude", "altitude(m)", "heading(deg)", "curvesize(m)", "rotationdir", "gimbalmode",
    "gimbalpitchangle",
    *(f"action{part}{number}" for number in range(1, MOST_ACTIONS + 1) for part in ("type", "param")),
    "altitudemode", "speed(m/s)", "poi_latitude", "poi_longitude", "poi_altitude(m)", "poi_altitudemode",
    "photo_timeinterval", "photo_distinterval",
)  # fmt: skip
NEEDED = ("latitude", "longitude", "altitude(m)")
READ_NOTE = "a Litchi CSV does not say cruising speed, heading mode, path mode, take-off or what comes at the end"
CURVE_NOTE = "curves at waypoints (curvesize) are not taken: waypoints are flown through"
PHASES_NOTE = "take-off, landing and return are not in the file: Litchi has its own setting for them"
MANY_NOTE = f"more than {MOST_WAYPOINTS} waypoints: DJI vehicles take no more in one mission"


@dataclass
class _Row:
    """One waypoint with what holds from it on."""

    item: MissionItem
    mode: int
    speed_m_s: float
    poi: MissionItem | None
    time_s: float
    distance_m: float
    actions: list[tuple[int, float]] = field(default_factory=list)


class _Writer:
    """Goes through the items and keeps what holds from each on."""

    def __init__(self, home: Position | None) -> None:
        self._home = home
        self._row = _Row(MissionItem(frame=RELATIVE, command=NAV_WAYPOINT), 0, 0.0, None, -1.0, -1.0)
        self.rows: list[_Row] = []
        self.pitches: set[float] = set()
        self.phases = False

    def take(self, where: str, item: MissionItem) -> None:
        """The next item."""
        command, params = item.command, item.params
        now = self._row
        if command == NAV_WAYPOINT:
            self._waypoint(where, item)
        elif command in (NAV_TAKEOFF, NAV_RTL, NAV_LAND):
            self.phases = True
        elif command == DO_CHANGE_SPEED:
            now.speed_m_s = params[1] if params[1] > 0 else now.speed_m_s
        elif command == DO_SET_ROI_LOCATION:
            now.poi = self._placed(where, item)
        elif command == DO_SET_ROI_NONE:
            now.poi = None
        elif command == DO_SET_CAM_TRIGG_DIST:
            now.distance_m = params[0] if params[0] > 0 else -1.0
        elif command == IMAGE_START_CAPTURE and params[2] != 1:
            now.time_s = params[1]
        elif command == IMAGE_STOP_CAPTURE:
            now.time_s = -1.0
        else:
            self._act(where, item)

    def _act(self, where: str, item: MissionItem) -> None:
        command, params = item.command, item.params
        if command == NAV_DELAY and params[0] >= 0:
            self._stay(params[0])
        elif command in (IMAGE_START_CAPTURE, DO_DIGICAM_CONTROL):
            self._row.actions.append((PHOTO, 0.0))
        elif command in (VIDEO_START_CAPTURE, VIDEO_STOP_CAPTURE):
            self._row.actions.append((RECORD if command == VIDEO_START_CAPTURE else STOP_RECORDING, 0.0))
        elif command == CONDITION_YAW and params[3] == 0:
            self._row.actions.append((ROTATE, params[0] % 360.0))
        elif command == DO_MOUNT_CONTROL:
            self.pitches.add(params[0])
            self._row.actions.append((TILT, params[0]))
        else:
            raise PlanFileInvalid(f"{where}: command {command}: a Litchi CSV has nothing like it")
        if len(self._row.actions) > MOST_ACTIONS:
            raise PlanFileInvalid(f"{where}: more than {MOST_ACTIONS} actions at one waypoint of a Litchi CSV")

    def _waypoint(self, where: str, item: MissionItem) -> None:
        placed = self._placed(where, item)
        first = not self.rows
        row = _Row(
            placed, 0, self._row.speed_m_s, self._row.poi, self._row.time_s, self._row.distance_m,
            self._row.actions if first else [],
        )  # fmt: skip
        self._row = row
        self.rows.append(row)
        if item.params[0] > 0:
            self._stay(item.params[0])

    def _stay(self, seconds: float) -> None:
        while seconds > 0:
            self._row.actions.append((STAY, min(seconds, LONGEST_STAY_S) * 1000.0))
            seconds -= LONGEST_STAY_S

    def _placed(self, where: str, item: MissionItem) -> MissionItem:
        """The item with its height above home or above terrain."""
        frame, z_m = FRAMES.get(item.frame, item.frame), item.z
        if frame == AMSL:
            if self._home is None:
                raise PlanFileInvalid(f"{where}: its height is AMSL, and a Litchi CSV needs the home's height for that")
            frame, z_m = RELATIVE, z_m - self._home.altitude.value_m
        if frame not in (RELATIVE, TERRAIN):
            raise PlanFileInvalid(f"{where}: a Litchi CSV has no height like those of MAV_FRAME {item.frame}")
        if not HEIGHTS_M[0] <= z_m <= HEIGHTS_M[1]:
            raise PlanFileInvalid(f"{where}: height: {z_m:g} m is not within {HEIGHTS_M[0]:g} to {HEIGHTS_M[1]:g} m")
        return MissionItem(frame=frame, command=item.command, params=item.params, x=item.x, y=item.y, z=z_m)


def to_litchi(items: list[MissionItem], *, home: Position | None) -> tuple[str, tuple[str, ...]]:
    """The text of a Litchi CSV and notes on what it leaves out; `home` (AMSL) is needed for heights AMSL.

    Raises PlanFileInvalid for an item that the format has nothing for (jumps, servos), naming it.
    """
    writer = _Writer(home)
    for index, item in enumerate(items):
        writer.take(f"item {index}", item)
    if not writer.rows:
        raise PlanFileInvalid("a Litchi CSV needs at least one waypoint")
    target = io.StringIO()
    table = csv.writer(target, lineterminator="\r\n")
    table.writerow(COLUMNS)
    pitch = next(iter(writer.pitches)) if len(writer.pitches) == 1 else None
    for number, row in enumerate(writer.rows):
        table.writerow(_cells(row, _heading_deg(writer.rows, number), pitch))
    notes = [PHASES_NOTE] * writer.phases + [MANY_NOTE] * (len(writer.rows) > MOST_WAYPOINTS)
    return target.getvalue(), tuple(notes)


def _heading_deg(rows: list[_Row], number: int) -> float:
    """Of the nose at a waypoint: as the item says, else towards the next."""
    here = rows[number].item
    if math.isfinite(here.params[3]):
        return here.params[3] % 360.0
    if number + 1 == len(rows):
        return _heading_deg(rows, number - 1) if number else 0.0
    there = rows[number + 1].item
    return round(float(bearing_deg(here.y / 1e7, here.x / 1e7, there.y / 1e7, there.x / 1e7)), 1)


def _cells(row: _Row, heading_deg: float, pitch_deg: float | None) -> list[str]:
    """`pitch_deg`: of the gimbal, where it is one and the same all along."""
    item, poi = row.item, row.poi
    actions = [action for action in row.actions if action[0] != TILT or pitch_deg is None]
    mode = FOCUS if poi is not None else INTERPOLATE if pitch_deg is not None else 0
    padded = [*actions, *[(-1, 0.0)] * (MOST_ACTIONS - len(actions))]
    place = ["0", "0", "0", "0"]
    if poi is not None:
        place = [f"{poi.x / 1e7:.7f}", f"{poi.y / 1e7:.7f}", decimal(poi.z), str(int(poi.frame == TERRAIN))]
    return [
        f"{item.x / 1e7:.7f}", f"{item.y / 1e7:.7f}", decimal(item.z), decimal(heading_deg), "0", "0", str(mode),
        decimal(pitch_deg or 0.0), *(text for kind, value in padded for text in (str(kind), decimal(value))),
        str(int(item.frame == TERRAIN)), decimal(row.speed_m_s), *place, decimal(row.time_s), decimal(row.distance_m),
    ]  # fmt: skip


def from_litchi(text: str) -> PlanFile:
    """Items of a Litchi CSV, metric or in feet; take-off, return and home are not in it, which the notes say.

    Raises PlanFileInvalid naming line (from 1) and column.
    """
    if len(text) > MOST_BYTES:
        raise PlanFileInvalid(f"{len(text)} characters; {MOST_BYTES} is the most that is read")
    table = csv.reader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
    try:
        lines = [(table.line_num, cells) for cells in table if any(cell.strip() for cell in cells)]
    except csv.Error as exc:
        raise PlanFileInvalid(f"line {table.line_num}: {exc}") from exc
    names = [cell.strip().lower() for cell in lines[0][1]] if lines else []
    columns = [name.replace("(ft)", "(m)") for name in names]
    for name in NEEDED:
        if name not in columns:
            raise PlanFileInvalid(f"line 1: there is no column {name}")
    for name in columns:
        if name.startswith("speed") and name != "speed(m/s)":
            raise PlanFileInvalid(f"line 1: {name[:40]}: speeds are read in m/s alone")
    if len(lines) > MOST_ROWS:
        raise PlanFileInvalid(f"{len(lines)} lines; {MOST_ROWS} is the most that is read")
    reader = _Reader()
    for number, cells in lines[1:]:
        if len(cells) != len(columns):
            raise PlanFileInvalid(f"line {number}: {len(cells)} columns, not {len(columns)}")
        reader.take(_Line(f"line {number}", names, dict(zip(columns, cells, strict=True))))
    if not reader.items:
        raise PlanFileInvalid("line 1: no waypoint follows")
    return PlanFile(items=reader.items, home=None, notes=(READ_NOTE, *[CURVE_NOTE] * reader.curved))


@dataclass(frozen=True)
class _Line:
    """The cells of a waypoint by the name of their metric column."""

    where: str
    names: list[str]
    cells: dict[str, str]

    def number(self, name: str, absent: float = 0.0) -> float:
        """The number in a column, in metres where the column is in feet."""
        text = self.cells.get(name, "").strip()
        if not text and name not in NEEDED:
            return absent
        try:
            value = float(text)
            if not math.isfinite(value):
                raise ValueError
        except ValueError:
            raise PlanFileInvalid(f"{self.where}: {name}: {text[:40]!r} is no number") from None
        in_feet = name.replace("(m)", "(ft)") in self.names and name.endswith("(m)")
        return value * FOOT_M if in_feet else value

    def choice(self, name: str, choices: range) -> int:
        """The whole number in a column, if it is one of these."""
        value = self.number(name)
        if value not in choices:
            raise PlanFileInvalid(f"{self.where}: {name}: {value:g} is none of {choices.start} to {choices.stop - 1}")
        return int(value)

    def place(self, command: int, names: tuple[str, str, str], mode: str, params: list[float]) -> MissionItem:
        """An item at a place that the line has."""
        lat, lon, z_m = (self.number(name) for name in names)
        frame = TERRAIN if self.choice(mode, range(2)) else RELATIVE
        return checked_item(self.where, frame=frame, command=command, values=[*params, lat, lon, z_m])


class _Reader:
    """Makes items of lines, only where something changes."""

    def __init__(self) -> None:
        self.items: list[MissionItem] = []
        self.curved = False
        self._speed_m_s = 0.0
        self._pitch_deg: float | None = None
        self._poi: MissionItem | None = None
        self._time_s = 0.0
        self._distance_m = 0.0

    def take(self, line: _Line) -> None:
        """The next waypoint."""
        actions = self._actions(line)
        hold_s = actions.pop(0)[1] / 1000.0 if actions and actions[0][0] == STAY else 0.0
        params = [hold_s, 0.0, 0.0, line.number("heading(deg)")]
        self.items.append(line.place(NAV_WAYPOINT, ("latitude", "longitude", "altitude(m)"), "altitudemode", params))
        self.curved = self.curved or line.number("curvesize(m)") > 0.5
        speed_m_s = line.number("speed(m/s)")
        if speed_m_s > 0 and speed_m_s != self._speed_m_s:
            self._add(line, DO_CHANGE_SPEED, 1.0, speed_m_s, -1.0)
            self._speed_m_s = speed_m_s
        self._look(line)
        self._trigger(line)
        for kind, value in actions:
            self._act(line, kind, value)

    def _actions(self, line: _Line) -> list[tuple[int, float]]:
        found = []
        for number in range(1, MOST_ACTIONS + 1):
            if line.cells.get(f"actiontype{number}", "").strip():
                kind = line.choice(f"actiontype{number}", range(-1, TILT + 1))
                found.append((kind, line.number(f"actionparam{number}")))
        return [action for action in found if action[0] >= 0]

    def _look(self, line: _Line) -> None:
        poi: MissionItem | None = None
        if line.number("poi_latitude") or line.number("poi_longitude"):
            names = ("poi_latitude", "poi_longitude", "poi_altitude(m)")
            poi = line.place(DO_SET_ROI_LOCATION, names, "poi_altitudemode", [0.0, 0.0, 0.0, 0.0])
        if poi != self._poi:
            self.items.append(poi or MissionItem(frame=PLACELESS_FRAME, command=DO_SET_ROI_NONE))
            self._poi, self._pitch_deg = poi, None
        pitch_deg = line.number("gimbalpitchangle")
        if line.choice("gimbalmode", range(3)) == INTERPOLATE and poi is None and pitch_deg != self._pitch_deg:
            self._tilt(line, pitch_deg)

    def _trigger(self, line: _Line) -> None:
        time_s, distance_m = (max(line.number(f"photo_{kind}interval"), 0.0) for kind in ("time", "dist"))
        if distance_m != self._distance_m:
            self._add(line, DO_SET_CAM_TRIGG_DIST, distance_m, 0.0, float(distance_m > 0))
        if time_s != self._time_s:
            if time_s > 0:
                self._add(line, IMAGE_START_CAPTURE, 0.0, time_s)
            else:
                self._add(line, IMAGE_STOP_CAPTURE)
        self._time_s, self._distance_m = time_s, distance_m

    def _act(self, line: _Line, kind: int, value: float) -> None:
        if kind == STAY:
            self._add(line, NAV_DELAY, value / 1000.0, -1.0, -1.0, -1.0)
        elif kind == PHOTO:
            self._add(line, IMAGE_START_CAPTURE, 0.0, 0.0, 1.0)
        elif kind == ROTATE:
            self._add(line, CONDITION_YAW, value)
        elif kind == TILT:
            self._tilt(line, value)
        else:
            self._add(line, VIDEO_START_CAPTURE if kind == RECORD else VIDEO_STOP_CAPTURE)

    def _tilt(self, line: _Line, pitch_deg: float) -> None:
        self._add(line, DO_MOUNT_CONTROL, pitch_deg, z_m=MOUNT_TARGETING)
        self._pitch_deg = pitch_deg

    def _add(self, line: _Line, command: int, *params: float, z_m: float = 0.0) -> None:
        values = [*params, *[0.0] * (6 - len(params)), z_m]
        self.items.append(checked_item(line.where, frame=PLACELESS_FRAME, command=command, values=values))
