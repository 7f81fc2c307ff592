"""Flights: a launch of a mission, all its vehicles together.

All vehicles are uploaded to, and what each reads back is checked, before the first is armed:
either a mission can be flown whole or nothing has moved. A restart finds the flights that were under way.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

import msgspec
import structlog

from fleet.errors import FleetError
from fleet.fleet import Fleet
from fleet.telemetry import Condition
from missioncontrol.clocks import Clock
from missioncontrol.control import Control
from missioncontrol.errors import Conflict, TransitionImpossible
from missioncontrol.flight_supervisor import AIRBORNE, FlightSupervisor
from missioncontrol.logbook import Flight, Logbook, flight_of, public
from missioncontrol.missions import TRANSITIONS, Missions, MissionState
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.preflight import Preflight
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.traffic import Traffic
from missioncontrol.vehicles import Vehicles

log = structlog.get_logger(__name__)

_UNDER_WAY = ("waiting", "uploading", "checking", "uploaded", "arming", "flying", "returning")
Start = Callable[[Coroutine[Any, Any, None], str], asyncio.Task[None]]
"""Starts a named task of the service."""


class Flights:
    """All flights of an installation."""

    def __init__(
        self,
        store: Store,
        fleet: Fleet,
        missions: Missions,
        vehicles: Vehicles,
        control: Control,
        preflight: Preflight,
        traffic: Traffic,
        settings: Settings,
        clock: Clock,
        *,
        start: Start,
        on_alarm: Callable[[str], None],
        on_ended: Callable[[], None],
    ) -> None:
        """`start` starts a task of the service; `on_alarm` hears of flights that fail, `on_ended` of each that is over
        and written down."""
        self._logbook, self._fleet, self._missions, self._vehicles = Logbook(store), fleet, missions, vehicles
        self._control, self._preflight, self._traffic = control, preflight, traffic
        self._settings, self._clock, self._start, self._on_alarm = settings, clock, start, on_alarm
        self._supervisor = FlightSupervisor(
            self._logbook,
            fleet,
            missions,
            vehicles,
            control,
            preflight,
            traffic,
            settings,
            clock,
            on_alarm=on_alarm,
            on_ended=on_ended,
        )
        self._launches: dict[str, asyncio.Task[None]] = {}
        self._busy: dict[int, str] = {}

    async def launch(self, mission_id: str, *, person: str) -> dict[str, Any]:
        """Begin to fly an approved mission; the person then holds its vehicles.

        Raises TransitionImpossible, HashMismatch, VehicleUnknown, Conflict, ControlHeld.
        """
        plan = await self._missions.approved_plan(mission_id)
        due = await self._due(mission_id, plan)
        if not due:
            raise TransitionImpossible(f"mission {mission_id}: every flight of this plan was flown; plan it again")
        for part in due:
            self._check_free(part.sysid)
            self._control.check(part.sysid, person=person)
        if mission_id in self._launches:
            raise TransitionImpossible(f"mission {mission_id} is being launched already")
        for part in due:  # before anything is awaited, so that no other launch finds them free
            self._busy[part.sysid] = mission_id
        parts: list[tuple[VehiclePlan, Flight]] = []
        try:
            for part in due:
                await self._control.need(part.sysid, person=person)
            self._supervisor.called_back.discard(mission_id)
            for part in due:
                parts.append((part, await self._open(mission_id, part)))
                self._traffic.enter(parts[-1][1].id, part.sysid, part.track(self._clock()))
            detail = {"hash": plan.hash, "vehicles": [part.sysid for part in due]}
            await self._missions.note(mission_id, "launched", person=person, detail=detail)
        except BaseException:
            try:
                await self._call_off(mission_id, [flight for _, flight in parts], [])
            finally:
                self._release(due, [flight for _, flight in parts])
            raise
        self._launches[mission_id] = self._start(
            self._fly_all(mission_id, plan, parts, person), f"mission[{mission_id}]"
        )
        return await self._missions.get(mission_id)

    async def preflight(self, mission_id: str, *, person: str) -> list[dict[str, Any]]:
        """The pre-flight checks of an approved mission as they are now, by vehicle; nothing is uploaded for it.

        Raises TransitionImpossible, HashMismatch, VehicleUnknown.
        """
        plan = await self._missions.approved_plan(mission_id)
        found = []
        for part in await self._due(mission_id, plan):
            checks = await self._preflight.everything(plan, part, person=person)
            found.append({"sysid": part.sysid, "checks": msgspec.to_builtins(checks)})
        return found

    async def abort(self, mission_id: str, *, person: str) -> dict[str, Any]:
        """Every vehicle of a mission that is in the air returns and lands; one that was not launched is withdrawn.

        Raises TransitionImpossible.
        """
        before = await self._missions.state(mission_id)
        flying = await self._logbook.rows(mission_id=mission_id, stages=_UNDER_WAY)
        if MissionState.ABORTED not in TRANSITIONS[before]:
            raise TransitionImpossible(f"mission {mission_id} is {before}; there is nothing to abort")
        self._supervisor.called_back.add(mission_id)
        answers = await asyncio.gather(*(self._send_home(row.sysid, row.stage) for row in flying))
        reason = "; ".join(text for text in answers if text) or f"{'aborted' if flying else 'withdrawn'} by {person}"
        return await self._missions.step(mission_id, MissionState.ABORTED, person=person, reason=reason)

    async def _send_home(self, sysid: int, stage: str) -> str | None:
        """RTL for what may be in the air; what went wrong. A vehicle that is being launched its launch brings down."""
        try:
            vehicle = self._fleet.vehicle(sysid)
            if vehicle.state.armed or stage in AIRBORNE:
                (await vehicle.rtl()).accepted()
        except FleetError as exc:
            self._on_alarm(f"vehicle {sysid} did not take the return command: {exc}")
            return f"vehicle {sysid}: {exc}"
        return None

    async def resume_watching(self) -> None:
        """After a start: go on with flights that were under way, close those that never came to arming."""
        found: dict[str, list[Flight]] = {}
        for row in await self._logbook.rows(stages=_UNDER_WAY):
            found.setdefault(row.mission_id, []).append(flight_of(row))
        for mission_id, parts in found.items():
            if await self._missions.state(mission_id) is MissionState.ABORTED:
                self._supervisor.called_back.add(mission_id)
            adopted = [flight for flight in parts if not await self._supervisor.closed_at_start(flight)]
            if not adopted:
                await self._finish(mission_id, parts)
                continue
            for flight in adopted:
                self._busy[flight.sysid] = mission_id
            log.info("flights adopted", mission=mission_id, vehicles=[flight.sysid for flight in adopted])
            watching = self._until_down(mission_id, parts, [self._supervisor.rejoin(flight) for flight in adopted])
            self._launches[mission_id] = self._start(watching, f"mission[{mission_id}]")

    async def everything(self, limit: int = 200) -> list[dict[str, Any]]:
        """Flights, newest first."""
        return [public(row, whole=False) for row in await self._logbook.rows(limit=limit)]

    async def get(self, flight_id: str) -> dict[str, Any]:
        """One flight. Raises NotFound."""
        return public(await self._logbook.row(flight_id))

    async def track(self, flight_id: str) -> dict[str, Any]:
        """Where it went, as a GeoJSON Feature. Raises NotFound."""
        return await self._logbook.track(flight_id)

    async def _due(self, mission_id: str, plan: Plan) -> tuple[VehiclePlan, ...]:
        """The next flight of each vehicle; what was flown before this version was planned does not count."""
        planned_utc_s = await self._missions.planned_utc_s(mission_id)
        return plan.due(await self._logbook.flown(mission_id, since_utc_s=planned_utc_s))

    def _check_free(self, sysid: int) -> None:
        state = self._fleet.commander(sysid).state
        if sysid in self._busy:
            raise Conflict(f"vehicle {sysid} is on mission {self._busy[sysid]}")
        if state.condition not in (Condition.READY, Condition.LANDED):
            raise Conflict(f"vehicle {sysid} is {state.condition.value}; only a ready or landed one can be launched")

    def _release(self, parts: Iterable[VehiclePlan], found: Iterable[Flight]) -> None:
        for part in parts:
            self._busy.pop(part.sysid, None)
        for flight in found:
            self._traffic.leave(flight.id)

    async def _open(self, mission_id: str, part: VehiclePlan) -> Flight:
        ours = self._settings.vehicle(part.sysid)
        registration = ours.registration if ours else ""
        return await self._logbook.open(mission_id, part, registration=registration, started_utc_s=self._clock())

    async def _fly_all(self, mission_id: str, plan: Plan, parts: list[tuple[VehiclePlan, Flight]], person: str) -> None:
        found = [flight for _, flight in parts]
        ready = False
        try:
            failures = await self._prepare(plan, parts, person)
            hashes = {str(part.sysid): part.hash for part, _ in parts}
            if not failures and mission_id not in self._supervisor.called_back:
                detail = {"hashes": hashes}
                ready = await self._missions.advance(
                    mission_id, MissionState.UPLOADED, detail=detail, approved=plan.hash
                )
            if not ready:
                await self._call_off(mission_id, found, failures)
        finally:
            if not ready:
                self._release([part for part, _ in parts], found)
                self._launches.pop(mission_id, None)
        if ready:
            await self._until_down(
                mission_id, found, [self._supervisor.fly(part, flight, person) for part, flight in parts]
            )

    async def _prepare(self, plan: Plan, parts: list[tuple[VehiclePlan, Flight]], person: str) -> list[str]:
        """Upload to every vehicle, then judge every one; what went wrong, by vehicle. Nothing is armed here."""
        uploads = await asyncio.gather(*(self._supervisor.upload(plan, part, flight) for part, flight in parts))
        if any(uploads):
            return [text for text in uploads if text]
        verdicts = await asyncio.gather(*(self._supervisor.judge(plan, part, flight, person) for part, flight in parts))
        return [text for text in verdicts if text]

    async def _until_down(self, mission_id: str, found: list[Flight], works: list[Coroutine[Any, Any, None]]) -> None:
        """Until the flights of a mission are over; then the mission is."""
        try:
            await asyncio.gather(*works)
        finally:
            self._launches.pop(mission_id, None)
            for flight in found:
                self._busy.pop(flight.sysid, None)
                self._traffic.leave(flight.id)
                self._vehicles.on_flight(flight.sysid, None)
        await self._finish(mission_id, found)

    async def _finish(self, mission_id: str, found: list[Flight]) -> None:
        self._supervisor.called_back.discard(mission_id)
        failures = [f"vehicle {flight.sysid}: {flight.text}" for flight in found if flight.stage != "done"]
        if not failures:
            plan = await self._missions.launched_plan(mission_id)
            if due := await self._due(mission_id, plan):
                words = ", ".join(f"vehicle {part.sysid} flight {part.sortie}" for part in due)
                await self._missions.advance(
                    mission_id, MissionState.APPROVED, reason=f"change batteries; next: {words}"
                )
            else:
                await self._missions.advance(mission_id, MissionState.DONE)
            return
        reason = "; ".join(failures)
        if await self._missions.advance(mission_id, MissionState.FAILED, reason=reason):
            self._on_alarm(f"mission {mission_id} failed: {reason}")

    async def _call_off(self, mission_id: str, found: list[Flight], failures: list[str]) -> None:
        self._supervisor.called_back.discard(mission_id)
        for flight in found:
            await self._supervisor.close(flight)
        reason = "; ".join(failures)
        if failures and await self._missions.advance(mission_id, MissionState.FAILED, reason=reason):
            self._on_alarm(f"mission {mission_id} was not started: {reason}")
