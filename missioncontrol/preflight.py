"""The gate before every flight: named checks of the vehicle and of what is to be flown; one that fails stops it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Mapping
from datetime import UTC, datetime
from typing import TypeVar

import numpy as np
import shapely
import structlog

from fleet.endurance import hover_cost, landing_cost, path_costs, takeoff_cost
from fleet.errors import AirspeedImpossible, FleetError
from fleet.failsafes import read_failsafes, read_return
from fleet.fences import FencePolygon, fence_hash, rally_hash
from fleet.fleet import Fleet
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.parameters import ParameterDifference, differences
from fleet.readiness import (
    Check,
    ReadinessLimits,
    check,
    checks,
    failsafe_checks,
    lost_link_check,
    parameters_check,
    remote_id_check,
)
from fleet.remote_id import RemoteIdSender
from fleet.telemetry import TelemetryState
from geo.positions import LocalPlane, distance_m
from missioncontrol.clearance import Clearance
from missioncontrol.clocks import Clock
from missioncontrol.control import Control
from missioncontrol.errors import ControlHeld
from missioncontrol.health import Health
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.settings import Settings
from missioncontrol.sorties import DO_CHANGE_SPEED, NAV_WAYPOINT
from missioncontrol.traffic import Place, Traffic
from missioncontrol.weather_watch import WeatherWatch

SETTLE_S = 15.0
"""Telemetry that does not pass yet may take so long to (a first fix, a first answer), s of the wall."""
LOOK_S = 0.5
START_M = 30.0
"""A vehicle may stand so far from where its plan begins."""
Found = TypeVar("Found")

log = structlog.get_logger(__name__)


class Preflight:
    """Judges whether a vehicle may fly its part of a plan."""

    def __init__(
        self,
        fleet: Fleet,
        control: Control,
        health: Health,
        settings: Settings,
        clock: Clock,
        transmitters: Mapping[int, RemoteIdSender],
        sky: WeatherWatch,
        traffic: Traffic,
        clearance: Clearance,
    ) -> None:
        """By the limits of `settings`; `transmitters` of the vehicles that have remote ID, by sysid."""
        self._transmitters, self._health, self._sky, self._traffic = transmitters, health, sky, traffic
        self._clearance = clearance
        self._fleet, self._control, self._settings, self._clock = fleet, control, settings, clock
        fleet_settings = settings.fleet
        self._limits = ReadinessLimits(
            heartbeat_s=fleet_settings.heartbeat_timeout_s,
            satellites=fleet_settings.least_satellites,
            hdop=fleet_settings.most_hdop,
            reserve_percent=fleet_settings.reserve_percent,
        )

    async def failures(self, plan: Plan, part: VehiclePlan, *, person: str) -> list[Check]:
        """The checks that stop a flight; telemetry that may still come is waited for."""
        vehicle = self._fleet.vehicle(part.sysid)
        aboard = await self._aboard(vehicle, plan, part)
        deadline_s = time.monotonic() + SETTLE_S / self._fleet.clock_rate(part.sysid)
        while True:
            found = [*self._now(vehicle, part, person), *aboard]
            stopping = [check for check in found if not check.passed and check.name not in self._skipped]
            if not stopping or time.monotonic() > deadline_s:
                skipped = [check.text for check in found if not check.passed and check not in stopping]
                if skipped:
                    log.warning("pre-flight checks skipped", sysid=part.sysid, checks=skipped)
                return stopping
            await _or_none(vehicle.look_again())
            await asyncio.sleep(LOOK_S)

    def last_look(self, part: VehiclePlan, *, person: str) -> list[Check]:
        """What stops a flight by telemetry and our own records alone, at this moment; nothing is asked or awaited."""
        found = self._now(self._fleet.vehicle(part.sysid), part, person)
        return [check for check in found if not check.passed and check.name not in self._skipped]

    async def everything(self, plan: Plan, part: VehiclePlan, *, person: str) -> list[Check]:
        """All checks as they are now. Raises VehicleUnknown."""
        vehicle = self._fleet.vehicle(part.sysid)
        return [*self._now(vehicle, part, person), *(await self._aboard(vehicle, plan, part))]

    @property
    def _skipped(self) -> tuple[str, ...]:
        return self._settings.fleet.preflight_skip

    def _now(self, vehicle: MavlinkVehicle, part: VehiclePlan, person: str) -> list[Check]:
        """What telemetry and our own records say; nothing is asked of the vehicle."""
        if vehicle.telemetry.autopilot is None:
            return [check("heartbeat", "heartbeat", None, "none heard", "one at least"), *self._sky.checks(part.sysid)]
        state = vehicle.state
        return [
            *checks(
                state,
                vehicle.autopilot,
                now_utc_s=self._clock(),
                sensors=state.sensors,
                plan_percent=part.battery_percent,
                limits=self._limits,
                arming=state.arming if vehicle.mission_hash == part.hash else None,
            ),
            ground_check(state),
            *start_checks(state, part.fence),
            take_off_check(state, part),
            self._mission_check(vehicle, part),
            self._control_check(part.sysid, person),
            *self._registration_checks(part.sysid),
            *self._sky.checks(part.sysid),
            *(
                [remote_id_check(sender.status, now_monotonic_s=time.monotonic())]
                if (sender := self._transmitters.get(part.sysid)) is not None
                else []
            ),
        ]

    def _in_air(self, now_utc_s: float) -> dict[int, Place]:
        """Where our vehicles in the air are."""
        states = {sysid: vehicle.state for sysid, vehicle in self._fleet.vehicles.items()}
        return {
            sysid: Place(now_utc_s, state.position.lon, state.position.lat)
            for sysid, state in states.items()
            if state.in_air and state.position is not None
        }

    def _energy_checks(self, part: VehiclePlan) -> list[Check]:
        """Whether the battery lasts in the wind that blows now, which may not be that of the plan."""
        ours = self._settings.vehicle(part.sysid)
        way = np.array(part.path["geometry"]["coordinates"], float) if part.times_s else np.empty((0, 3))
        conditions = self._sky.conditions(float(way[0, 2]) if len(way) else 0.0)
        if ours is None or conditions is None or not len(way):
            return []
        plane = LocalPlane(lon=float(way[0, 0]), lat=float(way[0, 1]), height_m=float(way[0, 2]))
        path = np.column_stack([*plane.to_plane(way[:, 0], way[:, 1]), way[:, 2]])
        home_m = way[0, 2] - part.items[0].z
        speeds = [item.params[1] for item in part.items if item.command == DO_CHANGE_SPEED]
        usable_wh = ours.airframe.usable_wh
        limit = f"{usable_wh:.0f} Wh usable"
        try:
            _, watt_hours = path_costs(
                ours.airframe,
                path,
                speed_m_s=speeds[0],
                ground_amsl_m=np.full(len(path), home_m),
                conditions=conditions,
            )
            up = takeoff_cost(ours.airframe, climb_m=path[0, 2] - home_m, conditions=conditions)
            hold_s = sum(item.params[0] for item in part.items if item.command == NAV_WAYPOINT)
            held = hover_cost(ours.airframe, duration_s=hold_s, height_m=part.items[0].z, conditions=conditions)
            down = landing_cost(ours.airframe, descent_m=path[-1, 2] - home_m, conditions=conditions)
        except AirspeedImpossible as exc:
            return [check("battery.wind", "energy in this wind", False, str(exc), limit)]
        needed_wh = float(watt_hours.sum()) + up.energy_wh + down.energy_wh + held.energy_wh
        return [check("battery.wind", "energy in this wind", needed_wh <= usable_wh, f"{needed_wh:.0f} Wh", limit)]

    async def _aboard(self, vehicle: MavlinkVehicle, plan: Plan, part: VehiclePlan) -> list[Check]:
        """What is asked once: our books of its maintenance, and of the vehicle parameters, failsafes and fence. What it
        does not answer is not passed."""
        found = await self._maintenance_checks(part.sysid)
        together = [other.sysid for other in plan.vehicles]
        now_utc_s = self._clock()
        found.append(self._traffic.check(part.track(now_utc_s), without=together, present=self._in_air(now_utc_s)))
        found += self._energy_checks(part)
        found += await self._clearance.checks(part, self._clock())
        if vehicle.telemetry.autopilot is None:
            return found
        ours = self._settings.vehicle(part.sysid)
        registered = ours.parameters if ours is not None else {}
        if plan.lost_link is not None:
            policy = await _or_none(vehicle.read_lost_link())
            found.append(lost_link_check(policy, plan.lost_link, gcs_sysid=self._settings.fleet.gcs_sysid))
        if part.return_height_m > 0:
            height_m = await _or_none(read_return(vehicle.parameters, vehicle.autopilot))
            measured = "not read" if height_m is None else f"{height_m:.0f} m above home"
            enough = None if height_m is None else height_m >= part.return_height_m
            limit = f"at least {part.return_height_m:.0f} m, to clear what lies on the way"
            found.append(check("failsafe.return_height", "returns at", enough, measured, limit))
        found += failsafe_checks(await _or_none(read_failsafes(vehicle.parameters, vehicle.autopilot)))
        if registered:
            found.append(parameters_check(await _or_none(_differences(vehicle, registered))))
        fence = await _or_none(vehicle.read_fence())
        same = None if fence is None else fence_hash(fence) == fence_hash(part.fence)
        measured = "not read" if fence is None else f"{len(fence)} areas" + (", those of the plan" if same else "")
        found.append(check("fence", "fence aboard", same, measured, f"the {len(part.fence)} areas of the plan"))
        rally = await _or_none(vehicle.read_rally())
        same = None if rally is None else rally_hash(rally) == rally_hash(part.rally)
        measured = "not read" if rally is None else f"{len(rally)} points" + (", those of the plan" if same else "")
        found.append(check("rally", "rally points aboard", same, measured, f"the {len(part.rally)} points of the plan"))
        return found

    def _mission_check(self, vehicle: MavlinkVehicle, part: VehiclePlan) -> Check:
        aboard = vehicle.mission_hash
        passed = None if aboard is None else aboard == part.hash
        measured = "not read back" if aboard is None else f"hash {aboard[:12]}"
        return check("mission", "mission aboard", passed, measured, f"hash {part.hash[:12]}, as approved")

    def _control_check(self, sysid: int, person: str) -> Check:
        try:
            self._control.check(sysid, person=person)
        except ControlHeld:
            holder = self._control.lease(sysid).person
            return check("control", "control", False, f"held by {holder}", f"by {person} alone: take it over")
        return check("control", "control", True, f"by {person}", f"by {person}")

    async def _maintenance_checks(self, sysid: int) -> list[Check]:
        if self._settings.vehicle(sysid) is None:
            return []
        use = (await self._health.of(sysid)).maintenance
        measured = f"{use.hours:.1f} h and {use.cycles:.1f} battery cycles since the last"
        limit = f"due at {use.hours_limit:g} h or {use.cycles_limit:g} cycles"
        return [check("maintenance", "maintenance", not use.due, measured, limit)]

    def _registration_checks(self, sysid: int) -> list[Check]:
        ours = self._settings.vehicle(sysid)
        if ours is None or ours.registered_until is None:
            return []
        today = datetime.fromtimestamp(self._clock(), UTC).date()
        until = ours.registered_until
        return [check("registration", "registration", today <= until, f"until {until}", f"valid on {today}")]


def ground_check(state: TelemetryState) -> Check:
    """That it is neither armed nor in the air."""
    flies = state.landed is False
    measured = " and ".join(("armed" if state.armed else "disarmed", "in the air" if flies else "on the ground"))
    return check("ground", "vehicle", not state.armed and not flies, measured, "disarmed and on the ground")


def start_checks(state: TelemetryState, fence: tuple[FencePolygon, ...]) -> list[Check]:
    """That it stands inside its fence, where it has one: a fence that is left at take-off takes the vehicle over."""
    if not fence:
        return []
    limit = "inside its fence"
    if state.position is None:
        return [check("start", "place of the start", None, "not told", limit)]
    place = shapely.Point(state.position.lon, state.position.lat)
    inside = all(shapely.Polygon(area.ring).covers(place) == area.inclusion for area in fence)
    measured = f"{place.y:.6f}, {place.x:.6f} deg" + ("" if inside else ", outside")
    return [check("start", "place of the start", inside, measured, limit)]


def take_off_check(state: TelemetryState, part: VehiclePlan) -> Check:
    """That it stands where its plan begins, for all heights of the plan count from there."""
    up, limit = part.items[0], f"within {START_M:g} m of where the plan begins"
    if state.position is None:
        return check("start.place", "take-off", None, "place not told", limit)
    away_m = float(distance_m(state.position.lon, state.position.lat, up.y / 1e7, up.x / 1e7))
    return check("start.place", "take-off", away_m <= START_M, f"{away_m:.0f} m away", limit)


async def _differences(vehicle: MavlinkVehicle, registered: dict[str, float]) -> tuple[ParameterDifference, ...]:
    return differences(registered, await vehicle.parameters.read_several(registered))


async def _or_none(asking: Awaitable[Found]) -> Found | None:
    """What is answered; None where nothing is, which no check takes for passed."""
    try:
        return await asking
    except FleetError as exc:
        log.warning("pre-flight question not answered", error=str(exc))
        return None
