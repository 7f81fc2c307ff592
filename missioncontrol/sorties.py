"""One flight of a plan: from legs on a plane to mission items, path, pictures and cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from itertools import pairwise

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from fleet.air import CALM, Conditions
from fleet.endurance import Airframe, Cost, landing_cost, path_costs, takeoff_cost
from fleet.missions import MissionItem
from fleet.returns import return_margins
from fleet.sortie_breaks import PieceCosts
from geo.heights import Stretch, follow, too_high, too_low
from geo.legs import Leg, length_m
from geo.obstacles import Obstacles
from geo.positions import LocalPlane
from geo.terrain import Terrain
from geo.tracks import Track
from missioncontrol.errors import InputInvalid

Array = NDArray[np.float64]

NAV_WAYPOINT, NAV_RTL, NAV_TAKEOFF = 16, 20, 22
DO_CHANGE_SPEED, DO_SET_ROI_LOCATION, DO_SET_ROI_NONE = 178, 195, 197
DO_MOUNT_CONTROL, DO_SET_CAM_TRIGG_DIST, IMAGE_START_CAPTURE = 205, 206, 2000
RELATIVE_ALT_INT, MISSION_FRAME = 6, 2
RETURN_CLEARANCE = 0.5
"""The way home clears the ground by at least this share of the plan's height."""
OBSTACLE_MARGIN_M = 10.0
"""Kept from buildings, masts and wires, to the side or above."""
RETURNS_LOOKED_AT, RETURN_STEP_M = 150, 25.0
"""Places of a route from which the straight way home is looked at, and along each: at most, and how far apart."""
LEAST_CLEARANCE_M = 10.0
"""Legs at a height of their own must lie at least so high above the ground."""
MOUNT_TARGETING = 2.0
"""MAV_MOUNT_MODE_MAVLINK_TARGETING."""


class Flying(msgspec.Struct, frozen=True, kw_only=True):
    """How every flight of one plan is flown."""

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
    usable_wh: float
    """What its battery gives, the reserve kept back, Wh."""
    conditions: Conditions = CALM
    """Wind, air and payload."""


class Start(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vehicle takes off and lands."""

    sysid: int
    """Who."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""


class Flight:
    """Take-off, the way to the first leg, legs with the ways between them, and the way home."""

    def __init__(
        self,
        legs: Sequence[Leg],
        start: Start,
        flying: Flying,
        plane: LocalPlane,
        terrain: Terrain,
        *,
        layer_m: float,
        way_home: Sequence[tuple[float, float]] = (),
        obstacles: Obstacles | None = None,
    ) -> None:
        """`layer_m` is how much higher than the work the way to the first leg is flown, to keep vehicles apart;
        the way there is the first leg's approach, `way_home` the points in between on the way back.

        Raises TerrainMissing; InputInvalid where a leg of its own height comes too near the ground.
        """
        self.legs, self.start, self.flying, self.plane = tuple(legs), start, flying, plane
        self._terrain, self._obstacles = terrain, obstacles
        self._home_by = tuple(way_home)
        east_m, north_m = plane.to_plane(start.lon, start.lat)
        self.home = np.array([float(east_m), float(north_m)])
        self.home_amsl_m = float(terrain.amsl_m(start.lon, start.lat))
        corners, levels, self._ends = _corners(self.home, self.legs)
        path = follow(
            corners,
            plane,
            terrain,
            height_m=flying.height_m,
            tolerance_m=flying.tolerance_m,
            climb_gradient=flying.airframe.climb_m_s / flying.speed_m_s,
            descent_gradient=flying.airframe.descent_m_s / flying.speed_m_s,
            obstacles=obstacles,
            margins_m=(OBSTACLE_MARGIN_M, OBSTACLE_MARGIN_M),
        )
        self.path = _levelled(path, levels)
        """(k, 4): x, y on the plane, m AMSL, number of the corner (-1 where a point was inserted)."""
        if np.isfinite(levels).any():
            self._check_clearance()
        first = int(np.flatnonzero(self.path[:, 3] == self._ends[0][0])[0])
        self._way_out = self.path[: first + 1].copy()
        self._way_out[:, 2] += layer_m
        self.survey_path = self.path[first:]
        """(k, 4): the path from the beginning of the first leg to the end of the last."""
        self._return_amsl_m = max(self._safe_return_m(), self.home_amsl_m + self.return_height_m)
        ways = np.array([self.survey_path[-1, :2], *self._home_by, self.home, self.home])
        heights = np.full(len(ways), self._return_amsl_m)
        heights[-1] = self.home_amsl_m
        self._way_back = np.column_stack([ways, heights, np.full(len(ways), -1.0)])
        """(k, 4): above the end of the last leg, above home, at home."""

    def _check_clearance(self) -> None:
        low = too_low(self.path, self.plane, self._terrain, least_m=LEAST_CLEARANCE_M - 0.5)
        if low:
            raise InputInvalid(
                f"height_m: {low[0].above_ground_m:.0f} m above the ground at lon {low[0].lon:.5f}, "
                f"lat {low[0].lat:.5f}, at least {LEAST_CLEARANCE_M:g} m are needed: fly higher or further away"
            )

    @cached_property
    def return_height_m(self) -> float:
        """Above home, m: clears ground and obstacles on the straight way home from everywhere it flies."""
        route = np.concatenate([self._way_out, self.survey_path])[:, :2]
        along_m = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(route, axis=0).T))])
        count = int(np.clip(along_m[-1] / RETURN_STEP_M, 20, RETURNS_LOOKED_AT))
        places = np.column_stack(
            [np.interp(np.linspace(0.0, along_m[-1], count), along_m, route[:, axis]) for axis in (0, 1)]
        )
        away_m = float(np.hypot(*(places - self.home).T).max())
        share = np.linspace(0.0, 1.0, int(np.clip(away_m / RETURN_STEP_M, 10, RETURNS_LOOKED_AT)))[:, None, None]
        ways = (self.home + (places - self.home) * share).reshape(-1, 2)
        ground_m = float(self._terrain.amsl_m(*self.plane.to_lonlat(ways[:, 0], ways[:, 1])).max())
        least_m = ground_m + RETURN_CLEARANCE * self.flying.height_m
        if self._obstacles is not None:
            around = shapely.MultiPoint(np.vstack([places, self.home])).convex_hull
            floor_m = self._obstacles.highest_m(around, horizontal_m=OBSTACLE_MARGIN_M) + OBSTACLE_MARGIN_M
            least_m = max(least_m, floor_m)
        return float(math.ceil(least_m - self.home_amsl_m))

    @property
    def too_high(self) -> tuple[Stretch, ...]:
        """Where slopes or obstacles keep it higher above the ground than wanted."""
        if any(leg.levels_amsl_m is not None for leg in self.legs):
            return ()
        height_m, tolerance_m = self.flying.height_m, self.flying.tolerance_m
        return too_high(self.survey_path, self.plane, self._terrain, height_m=height_m, tolerance_m=tolerance_m)

    def _safe_return_m(self) -> float:
        """Height of the way home, m AMSL: that of the last leg's end, or what clears the ground between."""
        ways = np.array([self.path[-1, :2], *self._home_by, self.home])
        ground_m = lowest_m = -np.inf
        for before, after in pairwise(ways):
            count = max(2, int(np.hypot(*(after - before)) / 15.0))
            places = before + (after - before) * np.linspace(0, 1, count)[:, None]
            below_m = self._terrain.amsl_m(*self.plane.to_lonlat(places[:, 0], places[:, 1]))
            ground_m = max(ground_m, float(below_m.max()))
            if self._obstacles is not None:
                margin_m = OBSTACLE_MARGIN_M
                floor_m = self._obstacles.floor_m(places, horizontal_m=1.5 * margin_m, vertical_m=margin_m)
                lowest_m = max(lowest_m, float(floor_m.max()))
        return max(float(self.path[-1, 2]), lowest_m, ground_m + RETURN_CLEARANCE * self.flying.height_m)

    @property
    def path_m(self) -> float:
        """From the beginning of the first leg to the end of the last, m."""
        return length_m(self.survey_path[:, :2])

    @property
    def photos(self) -> int:
        """Pictures taken: on each stretch one at its beginning and one every `trigger_m`, and one at each stop."""
        stops = sum(leg.photographs for leg in self.legs if leg.length_m == 0.0)
        stretches: list[float] = []
        for number, leg in enumerate(self.legs):
            if not leg.photographs or leg.length_m == 0.0:
                continue
            if number and self._seen_between(number):
                way = np.array([self.legs[number - 1].end, *leg.approach, leg.start])
                stretches[-1] += length_m(way) + leg.length_m
            else:
                stretches.append(leg.length_m)
        return stops + sum(math.floor(stretch_m / self.flying.trigger_m + 1e-9) + 1 for stretch_m in stretches)

    @property
    def inserted(self) -> NDArray[np.int64]:
        """(n,) points inserted along each leg and on the way to it, to follow the ground."""
        corners = self.survey_path[:, 3].astype(int)
        rows = np.searchsorted(np.flatnonzero(corners >= 0), np.arange(len(corners)))
        ends = [end - self._ends[0][0] for _, end in self._ends]
        counts = np.bincount(rows[corners < 0], minlength=ends[-1] + 1)
        totals = np.concatenate([[0], np.cumsum(counts)])
        return np.diff([totals[end + 1] for end in ends], prepend=0)

    def _seen_between(self, number: int) -> bool:
        """Whether pictures go on from the leg before to this one."""
        before, leg = self.legs[number - 1], self.legs[number]
        lit = all(each.photographs and each.length_m > 0.0 for each in (before, leg))
        return lit and (leg.seen_approach or (before.end == leg.start and not leg.approach))

    @cached_property
    def route(self) -> Array:
        """(k, 4): all of the path in the air, from above the take-off to above home: x, y, m AMSL, corner."""
        return np.concatenate([self._way_out, self.survey_path, self._way_back[:-1]])

    @cached_property
    def _holds_s(self) -> Array:
        """(k,) time that it stands still at each point of the route, s."""
        holds = {end: _whole_s(leg) for (_, end), leg in zip(self._ends, self.legs, strict=True)}
        out = len(self._way_out)
        return np.array(
            [holds.get(int(row[3]), 0.0) if number >= out else 0.0 for number, row in enumerate(self.route)]
        )

    @cached_property
    def _ground_amsl_m(self) -> Array:
        """(k,) the ground below each point of the route."""
        return self._terrain.amsl_m(*self.plane.to_lonlat(self.route[:, 0], self.route[:, 1]))

    @cached_property
    def _stretches(self) -> tuple[Array, Array]:
        """Time, s, and energy, Wh, of the take-off, of each stretch of the route, and of the landing."""
        airframe, conditions = self.flying.airframe, self.flying.conditions
        up = takeoff_cost(airframe, climb_m=float(self.route[0, 2]) - self.home_amsl_m, conditions=conditions)
        down = landing_cost(airframe, descent_m=float(self.route[-1, 2]) - self.home_amsl_m, conditions=conditions)
        seconds, watt_hours = path_costs(
            airframe,
            self.route,
            speed_m_s=self.flying.speed_m_s,
            ground_amsl_m=self._ground_amsl_m,
            holds_s=self._holds_s,
            conditions=conditions,
        )
        return (
            np.array([up.duration_s, *seconds, down.duration_s]),
            np.array([up.energy_wh, *watt_hours, down.energy_wh]),
        )

    def cost(self) -> Cost:
        """Time and energy from take-off to landing. Raises AirspeedImpossible."""
        seconds, watt_hours = self._stretches
        return Cost(float(seconds.sum()), float(watt_hours.sum()))

    def pieces(self, landings: Array) -> PieceCosts:
        """What each leg costs, and the ways from and to `landings` (m, 3), x, y on the plane and ground, m AMSL."""
        rows = {int(corner): row for row, corner in enumerate(self.survey_path[:, 3].tolist()) if corner >= 0}
        first = len(self._way_out)
        return PieceCosts.of_path(
            self.flying.airframe,
            self.survey_path[:, :3],
            np.array([rows[begin] for begin, _ in self._ends]),
            np.array([rows[end] for _, end in self._ends]),
            places=landings,
            speed_m_s=self.flying.speed_m_s,
            return_amsl_m=self._return_amsl_m,
            ground_amsl_m=self._ground_amsl_m[first : first + len(self.survey_path)],
            holds_s=self._holds_s[first : first + len(self.survey_path)],
            conditions=self.flying.conditions,
        )

    def check_returns(self) -> None:
        """Raises BeyondBattery naming the first place from which the battery does not last for the way home."""
        _, watt_hours = self._stretches
        margins = return_margins(
            self.flying.airframe,
            self.route[:-1, :3],
            landings=np.array([[*self.home, self.home_amsl_m]]),
            usable_wh=self.flying.usable_wh,
            speed_m_s=self.flying.speed_m_s,
            return_amsl_m=self._return_amsl_m,
            used_wh=float(watt_hours[0]),
            ground_amsl_m=self._ground_amsl_m[:-1],
            holds_s=self._holds_s[:-1],
            conditions=self.flying.conditions,
        )
        margins.check(self.plane)

    @property
    def times_s(self) -> Array:
        """(k,) when it is at each point of the route, s after the order to take off."""
        return np.cumsum(self._stretches[0][:-1])

    @property
    def arrives_s(self) -> float:
        """When it begins its first leg, s after the order to take off; of a stop, when it ends."""
        return float(self.times_s[len(self._way_out)])

    def track(self, begins_utc_s: float) -> Track:
        """Where it is over time if it takes off then, from the ground to the ground."""
        home = np.array([[*self.home, self.home_amsl_m]])
        places = np.concatenate([home, self.route[:, :3], home])
        lon, lat = self.plane.to_lonlat(places[:, 0], places[:, 1])
        times_s = np.concatenate([[0.0], self.times_s, [self.cost().duration_s]])
        return Track(begins_utc_s + times_s, lon, lat, places[:, 2])

    def items(self) -> list[MissionItem]:
        """What is uploaded: heights are relative to the ground at the start."""
        items = [self._place(NAV_TAKEOFF, self._way_out[0])]
        payload = _Payload(self)
        items += payload.look(self.legs[0])
        items.append(_command(DO_CHANGE_SPEED, 1.0, self.flying.speed_m_s, -1.0))
        events: dict[int, list[list[MissionItem]]] = {}
        holds: dict[int, float] = {}
        for number, (begin, end) in enumerate(self._ends):
            events.setdefault(begin, []).append(payload.begin(number))
            events.setdefault(end, []).append(payload.end(number))
            holds[end] = _whole_s(self.legs[number])
        before, yaw_deg = self._way_out[0], 0.0
        for row, point in enumerate([*self._way_out[1:], *self.survey_path, *self._way_back[:-2]]):
            corner = int(point[3])
            on_way_out = row < len(self._way_out) - 1
            hold_s = 0.0 if on_way_out else holds.get(corner, 0.0)
            if on_way_out or hold_s or np.abs(point[:3] - before[:3]).max() > 0.5:
                yaw_deg = _yaw_deg(before, point, yaw_deg)
                items.append(self._place(NAV_WAYPOINT, point, yaw_deg=yaw_deg, hold_s=hold_s))
            before = point
            if not on_way_out:
                items += [item for event in events.get(corner, ()) for item in event]
        items.append(MissionItem(frame=MISSION_FRAME, command=NAV_RTL))
        return items

    def feature(self, name: str) -> dict[str, object]:
        """The whole flight as a GeoJSON LineString of lon, lat, m AMSL, from the start back to it."""
        whole = self.route
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

    def _place(self, command: int, point: Array, *, yaw_deg: float = 0.0, hold_s: float = 0.0) -> MissionItem:
        """An item at a point (x, y on the plane, m AMSL)."""
        lon, lat = self.plane.to_lonlat(point[0], point[1])
        return MissionItem(
            frame=RELATIVE_ALT_INT,
            command=command,
            params=(hold_s, 0.0, 0.0, round(yaw_deg, 1)),
            x=round(float(lat) * 1e7),
            y=round(float(lon) * 1e7),
            z=round(float(point[2]) - self.home_amsl_m, 2),
        )


class _Payload:
    """The camera and its mount along a flight: items are made only where something changes."""

    def __init__(self, flight: Flight) -> None:
        self._flight = flight
        self._lit = False
        self._aim: tuple[float, float, float] | float | None = None

    def look(self, leg: Leg) -> list[MissionItem]:
        """Point the camera as the leg wants."""
        aim = leg.pitch_deg if leg.look_at is None else leg.look_at
        if aim == self._aim:
            return []
        items = []
        if isinstance(aim, tuple):
            items.append(self._flight._place(DO_SET_ROI_LOCATION, np.array(aim)))
        else:
            if isinstance(self._aim, tuple):
                items.append(_command(DO_SET_ROI_NONE))
            items.append(_command(DO_MOUNT_CONTROL, aim, z=MOUNT_TARGETING))
        self._aim = aim
        return items

    def begin(self, number: int) -> list[MissionItem]:
        """At the beginning of a leg."""
        leg = self._flight.legs[number]
        items = self.look(leg)
        if leg.photographs and leg.length_m > 0.0 and not self._lit:
            items.append(_command(DO_SET_CAM_TRIGG_DIST, self._flight.flying.trigger_m, 0.0, 1.0))
            self._lit = True
        return items

    def end(self, number: int) -> list[MissionItem]:
        """At the end of a leg."""
        leg = self._flight.legs[number]
        if leg.length_m == 0.0:
            return [_command(IMAGE_START_CAPTURE, 0.0, 0.0, 1.0)] if leg.photographs else []
        goes_on = number + 1 < len(self._flight.legs) and self._flight._seen_between(number + 1)
        if self._lit and not goes_on:
            self._lit = False
            return [_command(DO_SET_CAM_TRIGG_DIST)]
        return []


def _whole_s(leg: Leg) -> float:
    """Standing still at the end of a leg, s: ArduCopter keeps whole seconds only."""
    return float(math.ceil(leg.hold_s - 1e-6))


def _command(command: int, *params: float, z: float = 0.0) -> MissionItem:
    """An item without a place."""
    whole = (*params, 0.0, 0.0, 0.0, 0.0)
    return MissionItem(frame=MISSION_FRAME, command=command, params=(whole[0], whole[1], whole[2], whole[3]), z=z)


def _yaw_deg(before: Array, point: Array, yaw_deg: float) -> float:
    """Along the way from one point to the next, deg clockwise from north; `yaw_deg` where it goes straight up."""
    along = point[:2] - before[:2]
    return float(np.degrees(np.arctan2(along[0], along[1])) % 360.0) if np.hypot(*along) > 0.1 else yaw_deg


def _corners(home: Array, legs: Sequence[Leg]) -> tuple[Array, Array, list[tuple[int, int]]]:
    """Corners (n, 2) from home to the end of the last leg; their own heights (n,), m AMSL, NaN where they follow the
    ground; and the corners at which each leg begins and ends."""
    corners: list[tuple[float, float]] = [(float(home[0]), float(home[1]))]
    levels, ends = [np.nan], []

    def add(place: tuple[float, float], level: float) -> int:
        known = (
            corners[-1] == place and len(corners) > 1 and (levels[-1] == level or np.isnan([levels[-1], level]).all())
        )
        if not known:
            corners.append(place)
            levels.append(level)
        return len(corners) - 1

    for leg in legs:
        own = (np.nan, np.nan) if leg.levels_amsl_m is None else leg.levels_amsl_m
        for place in leg.approach:
            add(place, own[0])
        ends.append((add(leg.start, own[0]), add(leg.end, own[1])))
    return np.array(corners), np.array(levels), ends


def _levelled(path: Array, levels: Array) -> Array:
    """A path (k, 4) that follows the ground, with the heights of the corners that have their own."""
    if np.isnan(levels).all():
        return path
    rows: list[Array] = []
    free: list[Array] = []
    for row in path:
        corner = int(row[3])
        if corner < 0:
            free.append(row)
            continue
        own = np.isfinite(levels[corner])
        if corner and not (own and np.isfinite(levels[corner - 1])):
            rows.extend(free)
        free = []
        if not own:
            rows.append(row)
            continue
        if corner and np.isnan(levels[corner - 1]):
            rows.append(np.array([*row[:3], -1.0]))  # climb or sink above the corner, not on the way to it
        rows.append(np.array([*row[:2], levels[corner], row[3]]))
        if corner + 1 < len(levels) and np.isnan(levels[corner + 1]):
            rows.append(np.array([*row[:3], -1.0]))
    return np.array(rows)


def _rounded(lon: Array, lat: Array, amsl_m: Array) -> list[list[float]]:
    rows = zip(lon.tolist(), lat.tolist(), amsl_m.tolist(), strict=True)
    return [[round(x, 7), round(y, 7), round(z, 2)] for x, y, z in rows]
