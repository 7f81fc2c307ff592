"""Dispatching: which vehicle gives the first useful picture of a place, when, and what stands against the others."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from fleet.air import CALM, Conditions
from fleet.airframes import QUADROTOR, Airframe
from fleet.batteries import BatteryState, deliverable_wh
from fleet.errors import AirspeedImpossible
from fleet.telemetry import Condition, LinkCondition, TelemetryState
from geo.airspace import Airspace, Band
from geo.camera_library import CameraModel
from geo.errors import GeoError, OutOfView, TerrainMissing
from geo.obstacles import Obstacle, Obstacles
from geo.outlooks import Outlook, View, Walls, outlooks
from geo.pictures import pictures
from geo.positions import Altitude, Datum, LocalPlane
from geo.terrain import Terrain
from missioncontrol.errands import AIRSPEED_SHARE, Errand, Reckoned, ground_speed_m_s, reckon
from missioncontrol.keepouts import ABOVE_M, LONGEST_S, ZONE_MARGIN_M
from missioncontrol.patterns import CLIMB_M_S, LOOK_RANGE_M

Array = NDArray[np.float64]

HIGHEST_M, LOWEST_M = 120.0, 30.0
"""Outlooks lie between these heights above the ground, m."""
AS_GOOD = 1.2
"""Outlooks that are farther from what is looked at by this factor count as good; so much nearer are they asked for."""
SLANT_OF_HEIGHT = 1.4
"""A look from a height is taken from so many times as far along the slope."""
LEAST_M_S = 2.0
"""A vehicle that makes less over ground against the wind does not get there."""


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """A vehicle that might go."""

    sysid: int
    """Who."""
    name: str
    """What people call it."""
    state: TelemetryState
    """What it says of itself."""
    camera: CameraModel | None
    """What it looks with; None: not known."""
    airframe: Airframe = QUADROTOR
    """What it is."""
    battery: BatteryState | None = None
    """As its history tells; new where None."""
    home: tuple[float, float] | None = None
    """Lon, lat of where it stands while it has not told."""
    held_by: str | None = None
    """Somebody else who holds it and is not to be asked."""
    coverage: shapely.Geometry | None = None
    """Where (lon, lat) its links carry; None: everywhere."""
    airspace: Airspace | None = None
    """Zones that are closed to it."""
    against: tuple[str, ...] = ()
    """What our own records say against it: weather, registration, maintenance."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """What is to be looked at."""

    lon: float
    """Of the place, deg."""
    lat: float
    """Of the place, deg."""
    kind: str
    """What is there."""
    gsd_m: float
    """With coarser pixels a picture of that is of no use, m."""
    hold_s: float
    """It must be able to stay there so long, s."""
    begins_utc_s: float
    """When the vehicle is sent, UTC, s since 1970."""
    terrain: Terrain
    """Heights of the ground."""
    obstacles: tuple[Obstacle, ...] = ()
    """What stands on it."""
    conditions: Conditions = CALM
    """Wind and air."""
    reserve_percent: float = 20.0
    """Of the battery, what pre-flight wants left, percent."""
    divert: bool = False
    """Whether vehicles that are in the air may be sent."""


class Ranked(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle and how soon it shows the place."""

    sysid: int
    """Who."""
    name: str
    """What people call it."""
    fit: bool
    """Nothing stands against it."""
    against: tuple[str, ...] = ()
    """What does, for people."""
    airborne: bool = False
    """It is in the air: it is not launched but sent there."""
    first_picture_s: float | None = None
    """From the order until it shows the place, s; None: it cannot be told, or never."""
    lon: float | None = None
    """Of where it looks from, deg."""
    lat: float | None = None
    """Of where it looks from, deg."""
    amsl_m: float | None = None
    """Of where it looks from, m AMSL."""
    height_m: float | None = None
    """That above the ground there, m."""
    gsd_cm: float | None = None
    """Of the picture, cm per pixel."""
    way_m: float | None = None
    """Length of the way there, round zones, m."""
    speed_m_s: float | None = None
    """Over ground, m/s."""
    energy_wh: float | None = None
    """There, the time there, back, landed, Wh."""
    usable_wh: float | None = None
    """What its battery gives now, the reserve kept back, Wh."""


def rank(candidates: Sequence[Candidate], call: Call) -> tuple[Ranked, ...]:
    """The vehicles by the time to the first useful picture; those that are not fit come last, with the reasons.

    Times are for take-off, the shortest way round zones, and an outlook with free sight, in the wind; pre-flight
    checks are not in them. Raises TerrainMissing, DatumUnknown, ObstacleInvalid.
    """
    ranking = _Ranking(call)
    found = ranking.all(candidates)
    return tuple(sorted(found, key=lambda one: (not one.fit, one.first_picture_s or math.inf, one.sysid)))


def view_of(camera: CameraModel, gsd_m: float) -> View:
    """How a camera has to look for pictures of that GSD."""
    slant_m = min(camera.height_m(gsd_m) / AS_GOOD, SLANT_OF_HEIGHT * HIGHEST_M)
    return View(slant_range_m=max(slant_m, 1.0), max_range_m=LOOK_RANGE_M, lowest_m=LOWEST_M, highest_m=HIGHEST_M)


def look_height_m(camera: CameraModel, gsd_m: float) -> float:
    """Height to ask a plan for, so that it looks as `view_of` does, m."""
    return view_of(camera, gsd_m).slant_range_m / SLANT_OF_HEIGHT


@dataclass
class _Judged:
    """A candidate, while reasons gather."""

    candidate: Candidate
    against: list[str]
    lonlat: tuple[float, float] | None
    start: Array | None = None
    """x, y on the plane, m AMSL; of one on the ground, of the ground."""
    outlook: Outlook | None = None
    speed_m_s: float | None = None
    reckoned: Reckoned | None = None
    usable_wh: float | None = None

    @property
    def airborne(self) -> bool:
        return self.candidate.state.condition is Condition.FLYING


class _Ranking:
    """One call and what is known around it."""

    def __init__(self, call: Call) -> None:
        self.call = call
        ground_m = float(call.terrain.amsl_m(call.lon, call.lat))
        self.plane = LocalPlane(lon=call.lon, lat=call.lat, height_m=ground_m)
        self.walls: Walls | None = None
        if call.obstacles:
            around = shapely.Point(0.0, 0.0).buffer(LOOK_RANGE_M)
            self.walls = Obstacles(call.obstacles, self.plane, call.terrain, within=around).walls()
        begins_s = call.begins_utc_s
        low, high = Altitude(0.0, Datum.AGL), Altitude(HIGHEST_M + ABOVE_M, Datum.AGL)
        self.band = Band(begins_s, begins_s + LONGEST_S, low, high)

    def all(self, candidates: Sequence[Candidate]) -> list[Ranked]:
        judged = [self._first_look(candidate) for candidate in candidates]
        groups: dict[tuple[CameraModel, int], list[_Judged]] = {}
        for one in judged:
            if one.start is not None and one.candidate.camera is not None:
                groups.setdefault((one.candidate.camera, id(one.candidate.airspace)), []).append(one)
        for (camera, _), group in groups.items():
            self._look(camera, group)
        return [self._ranked(one) for one in judged]

    def _first_look(self, candidate: Candidate) -> _Judged:
        """Its place, and what its own state says against it."""
        position = candidate.state.position
        lonlat = candidate.home if position is None else (position.lon, position.lat)
        against = [*_state_against(candidate, self.call), *candidate.against]
        one = _Judged(candidate, against, lonlat, usable_wh=_usable_wh(candidate, self.call))
        if lonlat is None:
            one.against.append("where it is is not known")
            return one
        try:
            level_m = float(self.call.terrain.amsl_m(*lonlat))
        except TerrainMissing as exc:
            one.against.append(f"terrain: {exc}")
            return one
        if one.airborne and position is not None and position.altitude.datum is Datum.AMSL:
            level_m = position.altitude.value_m
        one.start = np.array([*self.plane.to_plane(*lonlat), level_m], float)
        return one

    def _look(self, camera: CameraModel, group: list[_Judged]) -> None:
        """The outlooks of those with the same camera and the same zones, and what it takes them to get there."""
        airspace = group[0].candidate.airspace
        try:
            found = outlooks(
                (0.0, 0.0),
                np.array([one.start for one in group]),
                self.plane,
                self.call.terrain,
                self.walls,
                speeds_m_s=[AIRSPEED_SHARE * one.candidate.airframe.max_m_s for one in group],
                climbs_m_s=CLIMB_M_S,
                view=view_of(camera, self.call.gsd_m),
                keep_out=None if airspace is None else self._keep_out(airspace),
            )
        except OutOfView as exc:
            for one in group:
                one.against.append(str(exc))
            return
        height_m = look_height_m(camera, self.call.gsd_m)
        fastest_m_s = pictures(camera, height_m=height_m, front_overlap=0.0).fastest_m_s
        for one, outlook in zip(group, found, strict=True):
            one.outlook = outlook
            errand = Errand(
                outlook=outlook,
                height_m=height_m,
                hold_s=self.call.hold_s,
                plane=self.plane,
                terrain=self.call.terrain,
                conditions=self.call.conditions,
            )
            self._weigh(one, errand, camera, fastest_m_s)

    def _keep_out(self, airspace: Airspace) -> shapely.Geometry:
        """Zones near the place, on the plane."""
        ring = shapely.Point(0.0, 0.0).buffer(LOOK_RANGE_M + ZONE_MARGIN_M)
        near = shapely.transform(ring, lambda xy: np.column_stack(self.plane.to_lonlat(xy[:, 0], xy[:, 1])))
        closed = airspace.blocked(near, self.band, margin_m=ZONE_MARGIN_M + 1.0)
        return shapely.union_all([
            shapely.transform(zone.polygon, lambda xy: np.column_stack(self.plane.to_plane(xy[:, 0], xy[:, 1])))
            for zone in closed
        ])  # fmt: skip

    def _weigh(self, one: _Judged, errand: Errand, camera: CameraModel, fastest_m_s: float) -> None:
        """Its way, time and energy to the outlook, and what stands against them.

        The straight way comes first: a battery that is too weak for that need not look for a way round zones.
        """
        outlook, candidate = errand.outlook, one.candidate
        assert one.start is not None
        gsd_m = camera.gsd_m(outlook.slant_range_m)
        if gsd_m > 1.001 * self.call.gsd_m:
            wanted_cm = 100 * self.call.gsd_m
            one.against.append(
                f"its camera sees {100 * gsd_m:.1f} cm a pixel from there, {wanted_cm:.1f} cm are needed"
            )
        lonlat = self.plane.to_lonlat(*outlook.place)
        if candidate.coverage is not None and not shapely.covers(candidate.coverage, shapely.Point(*lonlat)):
            one.against.append("its links do not cover the place that it would look from")
        if not self._reckon(one, errand, np.array([one.start[:2], outlook.place]), fastest_m_s):
            return
        if candidate.airspace is not None:
            way = self._round(one, candidate.airspace, (float(lonlat[0]), float(lonlat[1])))
            if way is None:
                one.reckoned = None
            elif len(way) > 2:
                self._reckon(one, errand, way, fastest_m_s)

    def _round(self, one: _Judged, airspace: Airspace, end: tuple[float, float]) -> Array | None:
        """The shortest way round zones, on the plane; None where there is none."""
        assert one.lonlat is not None
        try:
            way = airspace.way(one.lonlat, end, self.band, margin_m=ZONE_MARGIN_M)
        except GeoError as exc:
            one.against.append(f"zones: {exc}")
            return None
        return np.column_stack(self.plane.to_plane(way[:, 0], way[:, 1]))

    def _reckon(self, one: _Judged, errand: Errand, way: Array, fastest_m_s: float) -> bool:
        """Time and energy along a way; False where wind or battery do not let it."""
        airframe = one.candidate.airframe
        one.speed_m_s = min(fastest_m_s, ground_speed_m_s(airframe, way, errand))
        assert one.start is not None
        try:
            if one.speed_m_s < LEAST_M_S:
                wind_m_s = math.hypot(*errand.conditions.wind.at(errand.outlook.height_m))
                raise AirspeedImpossible(f"{wind_m_s:.0f} m/s at {errand.outlook.height_m:.0f} m is too strong for it")
            airborne_m = float(one.start[2]) if one.airborne else None
            one.reckoned = reckon(errand, airframe, way, speed_m_s=one.speed_m_s, airborne_amsl_m=airborne_m)
        except (AirspeedImpossible, TerrainMissing) as exc:
            one.reckoned = None
            one.against.append(f"{'terrain' if isinstance(exc, TerrainMissing) else 'wind'}: {exc}")
            return False
        if one.usable_wh is None or one.reckoned.energy_wh <= one.usable_wh:
            return True
        told = one.candidate.state.battery
        percent = 0.0 if told is None or told.remaining_percent is None else told.remaining_percent
        one.against.append(
            f"its battery has {percent:.0f} %, {one.usable_wh:.0f} Wh of it usable: {one.reckoned.energy_wh:.0f} Wh "
            f"are needed for the way, {errand.hold_s / 60:.0f} min there and the way back"
        )
        return False

    def _ranked(self, one: _Judged) -> Ranked:
        candidate, outlook, reckoned = one.candidate, one.outlook, one.reckoned
        found: dict[str, float] = {}
        if outlook is not None and candidate.camera is not None:
            gsd_m = candidate.camera.gsd_m(outlook.slant_range_m)
            found |= {"amsl_m": outlook.level_amsl_m, "height_m": outlook.height_m, "gsd_cm": 100 * gsd_m}
        if reckoned is not None:
            found |= {"first_picture_s": reckoned.arrives_s, "way_m": reckoned.way_m, "energy_wh": reckoned.energy_wh}
        if one.usable_wh is not None:
            found["usable_wh"] = one.usable_wh
        lon, lat = (None, None) if outlook is None else self.plane.to_lonlat(*outlook.place)
        return Ranked(
            sysid=candidate.sysid,
            name=candidate.name,
            fit=not one.against and reckoned is not None,
            against=tuple(one.against),
            airborne=one.airborne,
            lon=None if lon is None else round(float(lon), 7),
            lat=None if lat is None else round(float(lat), 7),
            speed_m_s=one.speed_m_s,
            **{name: round(value, 1) for name, value in found.items()},
        )


def _usable_wh(candidate: Candidate, call: Call) -> float | None:
    """What is left in the battery, our reserve and that of pre-flight kept back, Wh; None where it does not tell."""
    told, airframe = candidate.state.battery, candidate.airframe
    if told is None or told.remaining_percent is None:
        return None
    power_w = airframe.power_w(0.0, conditions=call.conditions)
    full_wh = airframe.battery_wh
    if candidate.battery is not None:
        full_wh = deliverable_wh(airframe.pack, full_wh, candidate.battery, power_w)
    left_wh = full_wh * told.remaining_percent / 100.0 - airframe.reserve.energy_wh(airframe.battery_wh, power_w)
    preflight_wh = airframe.battery_wh * (told.remaining_percent - call.reserve_percent) / 100.0
    return max(0.0, min(left_wh, preflight_wh))


def _state_against(candidate: Candidate, call: Call) -> list[str]:
    """What a vehicle's own state says against sending it."""
    state, found = candidate.state, []
    match state.condition:
        case Condition.UNKNOWN:
            found.append("it was not heard yet")
        case Condition.STALE | Condition.LOST:
            heard = state.last_heard_utc_s
            ago = "long" if heard is None else f"{call.begins_utc_s - heard:.0f} s"
            found.append(f"it was not heard for {ago}")
        case Condition.FLYING if not call.divert:
            found.append("it is in the air, and those are not to be diverted")
    if state.failsafe:
        found.append("its autopilot reports a failsafe")
    if state.conflict is not None:
        found.append(f"its sysid is claimed by {state.conflict} too")
    if state.link is LinkCondition.NO_UPLINK:
        found.append("it does not answer: commands do not reach it")
    if candidate.held_by is not None:
        found.append(f"it is held by {candidate.held_by}")
    if candidate.camera is None:
        found.append("its camera is not known")
    if state.condition is not Condition.UNKNOWN and (state.battery is None or state.battery.remaining_percent is None):
        found.append("it does not tell what its battery holds")
    return found
