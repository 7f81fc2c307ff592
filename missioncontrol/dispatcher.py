"""Dispatch for the service: from a call to a ranking, a planned mission and its pre-flight, in one go."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
import numpy as np

from fleet.air import CALM
from fleet.batteries import BatteryState
from fleet.errors import FleetError
from fleet.fleet import Fleet
from fleet.readiness import Check
from geo.airspace import Airspace
from geo.camera_library import camera
from geo.errors import GeoError
from geo.terrain import FlatTerrain, Terrain
from missioncontrol.bounds import Sysid
from missioncontrol.clearance import Clearance, around
from missioncontrol.clocks import Clock
from missioncontrol.control import Control
from missioncontrol.dispatching import Call, Candidate, Ranked, look_height_m, rank
from missioncontrol.errors import InputInvalid, MissionControlError
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.health import Health
from missioncontrol.missions import Missions, MissionState, NewMission
from missioncontrol.permits import Permits
from missioncontrol.planner import Planner
from missioncontrol.preflight import Preflight
from missioncontrol.requests import Geometry, LookRequest
from missioncontrol.settings import Settings
from missioncontrol.weather_watch import WeatherWatch

TRIES = 3
"""So many of the ranking are planned for, where the first cannot be."""
REACH_DEG = 0.5
"""Zones are looked for no farther from the place."""
REFRESH_S = 60.0
"""How often the books of all vehicles are looked at beforehand, s."""


class DispatchRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A call: something is somewhere, and is to be seen."""

    place: Geometry
    """GeoJSON Point."""
    kind: Annotated[str, msgspec.Meta(min_length=1, max_length=60)]
    """What it is: fire, dump, flooding, sos ...; it says how fine the pictures must be."""
    vehicles: tuple[Sysid, ...] | None = None
    """Who may go; absent: all of ours."""
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] | None = None
    """How long to look, s; the settings' time where absent."""
    divert: bool = False
    """Whether vehicles that are in the air count too; they are not launched, but sent there by hand."""
    plan: bool = True
    """Whether a mission is made and planned for the best that stands ready."""
    name: Annotated[str, msgspec.Meta(max_length=200)] = ""
    """What people call the mission; its kind and time where empty."""


class Book(msgspec.Struct, frozen=True, kw_only=True):
    """What our books say of a vehicle."""

    battery: BatteryState
    """State of its battery, as its flights tell."""
    against: tuple[str, ...]
    """What they say against sending it."""


class Dispatcher:
    """Answers calls."""

    def __init__(
        self,
        settings: Settings,
        terrain: Terrain | None,
        fleet: Fleet,
        health: Health,
        sky: WeatherWatch,
        control: Control,
        clearance: Clearance,
        permits: Permits,
        planner: Planner,
        missions: Missions,
        preflight: Preflight,
        clock: Clock,
    ) -> None:
        """Over `terrain`, with the vehicles of `settings`; without terrain the ground is flat, as in plans."""
        self._settings, self._terrain, self._fleet = settings, terrain or FlatTerrain(0.0), fleet
        self._health, self._sky, self._control = health, sky, control
        self._clearance, self._permits, self._planner = clearance, permits, planner
        self._missions, self._preflight, self._clock = missions, preflight, clock
        self._books: dict[int, Book] = {}

    async def run(self, sleep: Callable[[float], Awaitable[None]] = asyncio.sleep) -> None:
        """Keep what the books say of each vehicle at hand, so that a call need not wait for it."""
        while True:
            for vehicle in self._settings.vehicles:
                self._books[vehicle.sysid] = await self._book(vehicle)
            await sleep(REFRESH_S)

    async def dispatch(self, request: DispatchRequest, *, person: str) -> dict[str, Any]:
        """The ranking, and the mission of the best one with what pre-flight has against it now.

        Nobody is fit: the mission is None and the text says so. Raises InputInvalid, TerrainMissing.
        """
        call = self._call(request)
        ranking = list(await asyncio.to_thread(rank, await self._candidates(request, call, person), call))
        answer: dict[str, Any] = {"mission": None, "preflight": [], "text": ""}
        ready = [one for one in ranking if one.fit and not one.airborne]
        if not any(one.fit for one in ranking):
            answer["text"] = f"no vehicle is fit to go: {'; '.join(map(_in_words, ranking)) or 'there is none'}"
        elif not ready:
            answer["text"] = "only vehicles that are in the air are fit: send one there"
        elif request.plan:
            answer |= await self._plan(request, call, ranking, ready[:TRIES], person)
        return {"ranking": [msgspec.to_builtins(one) for one in ranking], **answer}

    def _call(self, request: DispatchRequest) -> Call:
        settings = self._settings.dispatch
        lon, lat = _place(request.place)
        view = settings.view_of(request.kind)
        ground_m = float(self._terrain.amsl_m(lon, lat))
        return Call(
            lon=lon,
            lat=lat,
            kind=request.kind,
            gsd_m=view.object_m / view.pixels,
            hold_s=settings.hold_s if request.hold_s is None else request.hold_s,
            begins_utc_s=self._clock(),
            terrain=self._terrain,
            obstacles=self._planner.obstacles,
            conditions=self._sky.conditions(ground_m) or CALM,
            reserve_percent=self._settings.fleet.reserve_percent,
            divert=request.divert,
        )

    async def _candidates(self, request: DispatchRequest, call: Call, person: str) -> list[Candidate]:
        ours = {vehicle.sysid: vehicle for vehicle in self._settings.vehicles}
        for sysid in request.vehicles or ():
            if sysid not in ours:
                raise InputInvalid(f"vehicles: {sysid} is none of ours")
        asked = [ours[sysid] for sysid in dict.fromkeys(request.vehicles or ours)]
        airspaces = await self._airspaces(asked, call)
        found = []
        for vehicle in asked:
            book = self._books.get(vehicle.sysid) or await self._book(vehicle)
            self._books[vehicle.sysid] = book
            home = None if vehicle.home is None else (vehicle.home.lon, vehicle.home.lat)
            holder = self._control.lease(vehicle.sysid).person
            free = holder in (None, person) or self._settings.dispatch.held_too
            found.append(
                Candidate(
                    sysid=vehicle.sysid,
                    name=vehicle.name,
                    state=self._fleet.vehicle(vehicle.sysid).state,
                    camera=None if vehicle.camera is None else camera(vehicle.camera),
                    airframe=vehicle.airframe,
                    battery=book.battery,
                    home=home,
                    held_by=None if free else holder,
                    coverage=self._settings.dispatch.coverage_of(vehicle.links or self._settings.fleet.links),
                    airspace=airspaces[vehicle.sysid],
                    against=(*book.against, *self._records_against(vehicle)),
                )
            )
        return found

    async def _book(self, vehicle: VehicleSettings) -> Book:
        use = (await self._health.of(vehicle.sysid)).maintenance
        said = f"it is due for maintenance: {use.hours:.1f} h and {use.cycles:.1f} battery cycles since the last"
        return Book(battery=await self._planner.battery(vehicle.sysid), against=(said,) if use.due else ())

    def _records_against(self, vehicle: VehicleSettings) -> list[str]:
        skipped, until = self._settings.fleet.preflight_skip, vehicle.registered_until
        weather = [each for each in self._sky.checks(vehicle.sysid) if each.name not in skipped]
        found = [each.text for each in weather if not each.passed]
        if until is not None and until < datetime.fromtimestamp(self._clock(), UTC).date():
            found.append(f"its registration ended on {until}")
        return found

    async def _airspaces(self, vehicles: list[VehicleSettings], call: Call) -> dict[int, Airspace | None]:
        """The zones that are closed to each vehicle between it and the place: once for all with the same permits."""
        places, middle = [(call.lon, call.lat)], np.array([call.lon, call.lat])
        for vehicle in vehicles:
            position = self._fleet.vehicle(vehicle.sysid).state.position or vehicle.home
            if position is not None:
                lon, lat = np.clip((position.lon, position.lat), middle - REACH_DEG, middle + REACH_DEG)
                places.append((float(lon), float(lat)))
        box = around(*np.array(places).T)
        permits = [permit for permit in await self._permits.all() if permit.revoked_utc_s is None]
        known: dict[tuple[str, ...], Airspace | None] = {}
        found: dict[int, Airspace | None] = {}
        for vehicle in vehicles:
            key = tuple(permit.id for permit in permits if permit.is_for(vehicle.sysid, vehicle.registration))
            if key not in known:
                known[key] = await self._clearance.airspace([vehicle.sysid], box)
            found[vehicle.sysid] = known[key]
        return found

    async def _plan(
        self, request: DispatchRequest, call: Call, ranking: list[Ranked], ready: list[Ranked], person: str
    ) -> dict[str, Any]:
        """A mission for the first of those that it can be planned for; the ranking tells why others cannot."""
        name = request.name or f"{request.kind}, {datetime.fromtimestamp(call.begins_utc_s, UTC):%Y-%m-%d %H:%M} UTC"
        new = NewMission(name=name, purpose=f"dispatch: {request.kind}", request=self._look(request, call, ready[0]))
        mission_id = (await self._missions.create(new, person=person))["id"]
        for one in ready:
            try:
                await self._missions.plan(mission_id, person=person, request=self._look(request, call, one))
            except (GeoError, FleetError, MissionControlError) as exc:
                refused = msgspec.structs.replace(one, fit=False, against=(f"it cannot be planned: {exc}",))
                ranking.remove(one)
                ranking.append(refused)
                continue
            return {
                "mission": await self._missions.get(mission_id),
                "preflight": [
                    {"sysid": one.sysid, "checks": msgspec.to_builtins(await self._checks(mission_id, person))}
                ],
            }
        text = "; ".join(map(_in_words, ranking[-len(ready) :]))
        await self._missions.step(mission_id, MissionState.ABORTED, person=person, reason=text)
        return {"text": f"no mission can be planned: {text}"}

    def _look(self, request: DispatchRequest, call: Call, one: Ranked) -> LookRequest:
        ours = self._settings.vehicle(one.sysid)
        assert ours is not None
        assert ours.camera is not None
        return LookRequest(
            place=request.place,
            camera=ours.camera,
            height_m=look_height_m(camera(ours.camera), call.gsd_m),
            front_overlap=0.0,
            side_overlap=0.0,
            speed_m_s=one.speed_m_s,
            hold_s=call.hold_s,
            vehicles=(one.sysid,),
        )

    async def _checks(self, mission_id: str, person: str) -> list[Check]:
        """What pre-flight has against the plan, by telemetry and our records; what is aboard a launch uploads first."""
        found: list[Check] = []
        for part in (await self._missions.present_plan(mission_id)).vehicles:
            found += [each for each in self._preflight.last_look(part, person=person) if each.name != "mission"]
            found += [each for each in await self._clearance.checks(part, self._clock()) if not each.passed]
        return found


def _in_words(one: Ranked) -> str:
    return f"{one.name}: {', '.join(one.against)}"


def _place(geometry: Geometry) -> tuple[float, float]:
    """Lon, lat of a GeoJSON Point. Raises InputInvalid."""
    try:
        lon, lat = (float(value) for value in geometry["coordinates"][:2])
        if geometry["type"] == "Point" and abs(lon) <= 180 and abs(lat) <= 84:
            return lon, lat
    except (KeyError, TypeError, ValueError) as exc:
        raise InputInvalid(f"place: {geometry!r:.80} is no Point with [lon, lat]") from exc
    raise InputInvalid(f"place: {geometry!r:.80} is no Point that a vehicle can be sent to")
