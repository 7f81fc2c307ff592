"""Plans for the service: the vehicles' own places, off the event loop."""

from __future__ import annotations

import asyncio

from fleet.fleet import Fleet
from geo.terrain import Terrain
from missioncontrol.errors import InputInvalid
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.requests import PlanRequest
from missioncontrol.safety import with_safety
from missioncontrol.settings import Settings
from missioncontrol.sites import Site
from missioncontrol.sorties import Start


class Planner:
    """Makes plans of requests."""

    def __init__(self, settings: Settings, terrain: Terrain | None, fleet: Fleet) -> None:
        """Over `terrain`, for the vehicles of `settings`, starting where `fleet` says they are at home."""
        self._settings, self._terrain, self._fleet = settings, terrain, fleet

    async def plan(self, request: PlanRequest) -> Plan:
        """A plan; a vehicle whose battery does not last has several flights.

        Raises AreaInvalid, CameraUnknown, TerrainMissing, InputInvalid, VehicleUnknown.
        """
        starts = tuple(self._start(sysid) for sysid in request.vehicles)
        made = await asyncio.to_thread(plan, request, Site(starts, self._terrain))
        fleet = self._settings.fleet
        return with_safety(made, fence_margin_m=fleet.fence_margin_m, lost_link=request.lost_link or fleet.lost_link)

    def _start(self, sysid: int) -> Start:
        """Where it stands by its telemetry; before it is heard, its home in the settings."""
        state = self._fleet.vehicle(sysid).state
        place = state.home or state.position
        if place is not None:
            return Start(sysid=sysid, lon=place.lon, lat=place.lat)
        ours = self._settings.vehicle(sysid)
        if ours is None or ours.home is None:
            raise InputInvalid(
                f"vehicles: {sysid} was not heard yet and has no home in the settings; where does it start?"
            )
        return Start(sysid=sysid, lon=ours.home.lon, lat=ours.home.lat)
