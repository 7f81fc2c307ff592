"""Plans for the service: the vehicles' own places, batteries and weather, off the event loop."""

from __future__ import annotations

import asyncio

import msgspec
import numpy as np

from fleet.air import CALM
from fleet.batteries import WARM_C, BatteryState, battery_state
from fleet.fleet import Fleet
from geo.obstacles import Obstacle, read_obstacles
from geo.terrain import Terrain
from missioncontrol.clearance import Box, Clearance, around
from missioncontrol.clocks import Clock
from missioncontrol.errors import InputInvalid
from missioncontrol.health import Health
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.reasons import purpose_of
from missioncontrol.requests import PlanRequest
from missioncontrol.safety import with_safety
from missioncontrol.settings import Settings
from missioncontrol.sites import Site
from missioncontrol.sorties import Start
from missioncontrol.weather_watch import WeatherWatch

REACH_DEG = 1.0
"""Zones are known to a plan within so much of its starts."""


class Planner:
    """Makes plans of requests."""

    def __init__(
        self,
        settings: Settings,
        terrain: Terrain | None,
        fleet: Fleet,
        health: Health,
        sky: WeatherWatch,
        clearance: Clearance,
        clock: Clock,
    ) -> None:
        """Over `terrain`, for the vehicles of `settings`, starting where `fleet` says they are at home.

        Raises ObstacleInvalid, AreaInvalid for files of obstacles that cannot be read.
        """
        self._settings, self._terrain, self._fleet = settings, terrain, fleet
        self._health, self._sky, self._clearance, self._clock = health, sky, clearance, clock
        self.obstacles: tuple[Obstacle, ...] = ()
        """Buildings, masts and wires."""
        for path in settings.terrain.obstacles:
            self.obstacles += read_obstacles(path)

    async def plan(self, request: PlanRequest) -> Plan:
        """A plan; a vehicle whose battery does not last has several flights.

        Raises AreaInvalid, CameraUnknown, TerrainMissing, InputInvalid, VehicleUnknown.
        """
        purpose_of(request, self._settings.retention)
        site = await self.site(request)
        made = await asyncio.to_thread(plan, request, site)
        if self._settings.weather.source is not None and self._sky.conditions(0.0) is None:
            said = "the weather is not known: time and energy are those of a calm day"
            made = msgspec.structs.replace(made, warnings=(*made.warnings, said))
        fleet = self._settings.fleet
        return await asyncio.to_thread(
            with_safety,
            made,
            fence_margin_m=fleet.fence_margin_m,
            lost_link=request.lost_link or fleet.lost_link,
            airspace=site.airspace,
            begins_utc_s=site.begins_utc_s,
            rally=fleet.rally,
        )

    async def site(self, request: PlanRequest) -> Site:
        """What is known of the place and the vehicles of a request."""
        starts = tuple(self._start(sysid) for sysid in request.vehicles)
        ground_m = 0.0 if self._terrain is None else float(self._terrain.amsl_m(starts[0].lon, starts[0].lat))
        ours = {sysid: found for sysid in request.vehicles if (found := self._settings.vehicle(sysid)) is not None}
        return Site(
            starts,
            self._terrain,
            airframes={sysid: vehicle.airframe for sysid, vehicle in ours.items()},
            batteries={sysid: await self.battery(sysid) for sysid in ours},
            conditions=self._sky.conditions(ground_m) or CALM,
            airspace=await self._clearance.airspace(request.vehicles, _within_reach(starts)),
            obstacles=self.obstacles,
            begins_utc_s=request.begins_utc_s(self._clock()),
        )

    async def battery(self, sysid: int) -> BatteryState:
        """Of a vehicle of ours, as its flights tell; as warm as the air."""
        vehicle = self._settings.vehicle(sysid)
        assert vehicle is not None
        battery, latest = (await self._health.of(sysid)).battery, self._sky.latest
        return battery_state(
            vehicle.airframe.pack,
            cycles=battery.cycles,
            resistance=battery.resistance,
            trend=battery.trend,
            temperature_c=WARM_C if latest is None or latest.temperature_c is None else latest.temperature_c,
        )

    def _start(self, sysid: int) -> Start:
        """Where it stands by its telemetry; before it is heard, its home in the settings."""
        state = self._fleet.vehicle(sysid).state
        grounded = state.landed is True and not state.armed
        place = (state.position or state.home) if grounded else (state.home or state.position)
        if place is not None:
            return Start(sysid=sysid, lon=place.lon, lat=place.lat)
        ours = self._settings.vehicle(sysid)
        if ours is None or ours.home is None:
            raise InputInvalid(
                f"vehicles: {sysid} was not heard yet and has no home in the settings; where does it start?"
            )
        return Start(sysid=sysid, lon=ours.home.lon, lat=ours.home.lat)


def _within_reach(starts: tuple[Start, ...]) -> Box:
    return around(np.array([start.lon for start in starts]), np.array([start.lat for start in starts]), REACH_DEG)
