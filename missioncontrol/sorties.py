"""One flight of a survey: from lines on a plane to mission items, path, pictures and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.endurance import Airframe, Cost, leg_cost
from fleet.missions import MissionItem
from geo.heights import follow
from geo.legs import Leg
from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]

NAV_WAYPOINT, NAV_RTL, NAV_TAKEOFF = 16, 20, 22
DO_CHANGE_SPEED, DO_MOUNT_CONTROL, DO_SET_CAM_TRIGG_DIST = 178, 205, 206
RELATIVE_ALT_INT, MISSION_FRAME = 6, 2
RETURN_CLEARANCE = 0.5
"""The way home clears the ground by at least this share of the survey's height."""
MOUNT_TARGETING = 2.0
"""MAV_MOUNT_MODE_MAVLINK_TARGETING."""


class Flying(msgspec.Struct, frozen=True, kw_only=True):
    """How every flight of one survey is flown."""

    height_m: float
    """Above the ground, m."""
    tolerance_m: float
    """How far the height above ground may be off, m."""
    speed_m_s: float
    """On lines, m/s."""
    trigger_m: float
    """Between two pictures, m."""
    airframe: Airframe
    """What flies."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vehicle takes off and lands."""

    sysid: int
    """Who."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""


class Flight:
    """Take-off, the way to the first line, lines with their turns, and the way home."""

    def __init__(
        self, legs: Sequence[Leg], start: Start, flying: Flying, plane: LocalPlane, terrain: Terrain, *, layer_m: float
    ) -> None:
        """`layer_m` is how much higher than the survey the way to the first line is flown, to keep vehicles apart."""
        self.legs, self.start, self.flying, self.plane = tuple(legs), start, flying, plane
        east_m, north_m = plane.to_plane(start.lon, start.lat)
        self.home = np.array([float(east_m), float(north_m)])
        self.home_amsl_m = float(terrain.amsl_m(start.lon, start.lat))
        corners, self._marks = _corners(self.home, self.legs)
        self.path = follow(corners, plane, terrain, height_m=flying.height_m, tolerance_m=flying.tolerance_m)
        """(k, 4): x, y on the plane, m AMSL, number of the corner (-1 where a point was inserted)."""
        first = int(np.flatnonzero(self.path[:, 3] == 1)[0])
        self._way_out = self.path[: first + 1].copy()
        self._way_out[:, 2] += layer_m
        self._return_amsl_m = self._safe_return_m(terrain)

    def _safe_return_m(self, terrain: Terrain) -> float:
        """Height of the straight way home, m AMSL: that of the last line's end, or what clears the ground between."""
        last = self.path[-1]
        count = max(2, int(np.hypot(*(last[:2] - self.home)) / 15.0))
        places = last[:2] + (self.home - last[:2]) * np.linspace(0, 1, count)[:, None]
        ground_m = terrain.amsl_m(*self.plane.to_lonlat(places[:, 0], places[:, 1]))
        return max(float(last[2]), float(ground_m.max()) + RETURN_CLEARANCE * self.flying.height_m)

    @property
    def survey_path(self) -> Array:
        """(k, 4): the path from the beginning of the first line to the end of the last."""
        first = int(np.flatnonzero(self.path[:, 3] == 1)[0])
        return self.path[first:]

    @property
    def path_m(self) -> float:
        """From the beginning of the first line to the end of the last, m."""
        return _length_m(self.survey_path)

    @property
    def photos(self) -> int:
        """Pictures taken: on each stretch one at its beginning and one every `trigger_m`."""
        stretches: list[float] = []
        for number, leg in enumerate(self.legs):
            if number and leg.seen_approach:
                way = np.array([self.legs[number - 1].end, *leg.approach, leg.start])
                stretches[-1] += _length_m(way) + leg.length_m
            else:
                stretches.append(leg.length_m)
        return sum(math.floor(length_m / self.flying.trigger_m + 1e-9) + 1 for length_m in stretches)

    def cost(self) -> Cost:
        """Time and energy from take-off to landing."""
        airframe, speed_m_s = self.flying.airframe, self.flying.speed_m_s
        way_out, survey = self._way_out, self.survey_path
        total = leg_cost(airframe, length_m=0, climb_m=float(way_out[0, 2]) - self.home_amsl_m, speed_m_s=speed_m_s)
        total += leg_cost(airframe, length_m=0, climb_m=float(survey[0, 2] - way_out[-1, 2]), speed_m_s=speed_m_s)
        for path in (way_out, survey):
            for before, after in pairwise(path):
                total += leg_cost(
                    airframe,
                    length_m=float(np.hypot(*(after[:2] - before[:2]))),
                    climb_m=float(after[2] - before[2]),
                    speed_m_s=speed_m_s,
                    stop=bool(after[3] >= 0),
                )
        back_m = float(np.hypot(*(survey[-1, :2] - self.home)))
        for length_m, climb_m in (
            (0.0, self._return_amsl_m - float(survey[-1, 2])),
            (back_m, 0.0),
            (0.0, self.home_amsl_m - self._return_amsl_m),
        ):
            total += leg_cost(airframe, length_m=length_m, climb_m=climb_m, speed_m_s=speed_m_s)
        return total

    def items(self) -> list[MissionItem]:
        """What is uploaded: heights are relative to the ground at the start."""
        flying = self.flying
        items = [
            self._place(NAV_TAKEOFF, self._way_out[0]),
            MissionItem(
                frame=MISSION_FRAME, command=DO_MOUNT_CONTROL, params=(-90.0, 0.0, 0.0, 0.0), z=MOUNT_TARGETING
            ),
            MissionItem(frame=MISSION_FRAME, command=DO_CHANGE_SPEED, params=(1.0, flying.speed_m_s, -1.0, 0.0)),
        ]
        before = self._way_out[0]
        for point in self._way_out[1:]:
            items.append(self._place(NAV_WAYPOINT, point, before))
            before = point
        for row, point in enumerate(self.survey_path):
            if row or abs(point[2] - before[2]) > 0.5:
                items.append(self._place(NAV_WAYPOINT, point, before, yaw_deg=items[-1].params[3]))
            before = point
            mark = self._marks.get(int(point[3]))
            if mark is not None:
                params = (flying.trigger_m, 0.0, 1.0, 0.0) if mark else (0.0, 0.0, 0.0, 0.0)
                items.append(MissionItem(frame=MISSION_FRAME, command=DO_SET_CAM_TRIGG_DIST, params=params))
        if self._return_amsl_m > before[2] + 0.5:
            above = np.array([before[0], before[1], self._return_amsl_m])
            items.append(self._place(NAV_WAYPOINT, above, before))
        items.append(MissionItem(frame=MISSION_FRAME, command=NAV_RTL))
        return items

    @property
    def _way_home(self) -> Array:
        """(2, 3): above the end of the last line, and above home."""
        return np.array([[*self.path[-1, :2], self._return_amsl_m], [*self.home, self._return_amsl_m]])

    def feature(self, name: str) -> dict[str, object]:
        """The whole flight as a GeoJSON LineString of lon, lat, m AMSL, from the start back to it."""
        whole = np.vstack([self._way_out[:, :3], self.survey_path[:, :3], self._way_home])
        lon, lat = self.plane.to_lonlat(whole[:, 0], whole[:, 1])
        return {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": _rounded(lon, lat, whole[:, 2])},
            "properties": {"sysid": self.start.sysid, "name": name, "height_datum": "AMSL"},
        }

    def survey_feature(self, name: str) -> dict[str, object]:
        """From the beginning of the first line to the end of the last, as a LineString of lon, lat, m AMSL."""
        path = self.survey_path
        lon, lat = self.plane.to_lonlat(path[:, 0], path[:, 1])
        return {
            "type": "Feature",
            "geometry": {"type": "LineString", "coordinates": _rounded(lon, lat, path[:, 2])},
            "properties": {"sysid": self.start.sysid, "name": name, "height_datum": "AMSL"},
        }

    def _place(self, command: int, point: Array, before: Array | None = None, *, yaw_deg: float = 0.0) -> MissionItem:
        """An item at a point, its yaw along the way there from the point before, or `yaw_deg` right above it."""
        lon, lat = self.plane.to_lonlat(point[0], point[1])
        if before is not None and np.hypot(*(point[:2] - before[:2])) > 0.1:
            yaw_deg = float(np.degrees(np.arctan2(point[0] - before[0], point[1] - before[1])) % 360.0)
        return MissionItem(
            frame=RELATIVE_ALT_INT,
            command=command,
            params=(0.0, 0.0, 0.0, round(yaw_deg, 1)),
            x=round(float(lat) * 1e7),
            y=round(float(lon) * 1e7),
            z=round(float(point[2]) - self.home_amsl_m, 2),
        )


def _corners(home: Array, legs: Sequence[Leg]) -> tuple[Array, dict[int, bool]]:
    """All corners (n, 2) from home to the end of the last line, and at which the camera is switched on or off."""
    corners: list[tuple[float, float]] = [(float(home[0]), float(home[1]))]
    marks: dict[int, bool] = {}
    for number, leg in enumerate(legs):
        if number:
            corners.extend(leg.approach)
        if not leg.seen_approach or number == 0:
            if number:
                marks[len(corners) - 1 - len(leg.approach)] = False
            marks[len(corners)] = True
        corners.extend([leg.start, leg.end])
    marks[len(corners) - 1] = False
    return np.array(corners), marks


def _length_m(points: Array) -> float:
    return float(np.hypot(*np.diff(points[:, :2], axis=0).T).sum())


def _rounded(lon: Array, lat: Array, amsl_m: Array) -> list[list[float]]:
    rows = zip(lon.tolist(), lat.tolist(), amsl_m.tolist(), strict=True)
    return [[round(x, 7), round(y, 7), round(z, 2)] for x, y, z in rows]
