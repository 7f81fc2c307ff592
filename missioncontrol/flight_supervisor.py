"""One flight, from upload to landing: what the service does with one vehicle, and what it writes down of it.

From take-off on the vehicle flies by itself; the service watches, writes the track down, and ends the
flight when the vehicle has landed. Where a launch goes wrong or is aborted after
the vehicle was told to arm, it is disarmed or sent home, and watched until it stands disarmed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import structlog

from fleet.commands import CommandState
from fleet.errors import CommandUnknown, FleetError, RecordingInvalid
from fleet.fleet import Fleet
from fleet.telemetry import Condition, TelemetryState
from fleet.transfers import TransferProgress
from fleet.vehicle import Vehicle
from missioncontrol import audit
from missioncontrol.clocks import Clock
from missioncontrol.control import Control
from missioncontrol.errors import HashMismatch, LaunchFailed
from missioncontrol.health import recording_path
from missioncontrol.logbook import Flight, Logbook
from missioncontrol.missions import Missions, MissionState
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.preflight import Preflight
from missioncontrol.settings import Settings
from missioncontrol.traffic import Traffic
from missioncontrol.vehicles import Vehicles

log = structlog.get_logger(__name__)

WATCH_S = 0.25
"""How often a flight is looked at, s."""
TRACK_WRITE_S = 2.0
"""How often its track is written down, s."""
PROGRESS_S = 1.0
"""How often its progress is told, s."""
BRING_DOWN_S = 5.0
"""Pause before a vehicle whose launch went wrong is told again to come down, s."""
AIRBORNE = ("flying", "returning")
"""Stages of a flight that may be in the air."""


class FlightSupervisor:
    """Of single flights; whole missions are of `Flights`."""

    def __init__(
        self,
        logbook: Logbook,
        fleet: Fleet,
        missions: Missions,
        vehicles: Vehicles,
        control: Control,
        preflight: Preflight,
        traffic: Traffic,
        settings: Settings,
        clock: Clock,
        *,
        on_alarm: Callable[[str], None],
        on_ended: Callable[[], None],
    ) -> None:
        """`on_alarm` hears of flights that people must look after, `on_ended` of each that is over and written down."""
        self._logbook, self._fleet, self._missions, self._vehicles = logbook, fleet, missions, vehicles
        self._control, self._preflight, self._traffic = control, preflight, traffic
        self._settings, self._clock = settings, clock
        self._on_alarm, self._on_ended = on_alarm, on_ended
        self.called_back: set[str] = set()
        """Missions whose vehicles are to come down, or not to take off at all."""

    async def closed_at_start(self, flight: Flight) -> bool:
        """Close a flight that a restart found and that cannot be gone on with."""
        if flight.sysid not in self._fleet.vehicles:
            await self._fail(
                flight, f"vehicle {flight.sysid} is no longer registered; it was {flight.stage} at the stop"
            )
        elif flight.stage not in (*AIRBORNE, "arming"):
            await self._fail(flight, "the service was stopped before take-off")
        return flight.stage in ("failed", "aborted")

    async def upload(self, plan: Plan, part: VehiclePlan, flight: Flight) -> str | None:
        """Mission, fence, rally points and what happens without us; what went wrong. Nothing is armed here."""

        def progress(done: TransferProgress) -> None:
            flight.item, flight.total, flight.text = done.done, done.total, done.stage

        vehicle = self._fleet.commander(part.sysid)
        await self._stage(flight, "uploading")
        telling = asyncio.create_task(self._keep_telling(flight), name=f"upload[{part.sysid}]")
        try:
            self._record(flight)
            # first, since PX4 judges a mission by the fence that is there; none clears what is left of another plan
            await vehicle.upload_fence(part.fence)
            await vehicle.upload_rally(part.rally)
            aboard = await vehicle.upload_mission(list(part.items), progress=progress)
            if plan.lost_link is not None:
                await vehicle.set_lost_link(plan.lost_link)
            if part.return_height_m > 0:
                await vehicle.raise_return(part.return_height_m)
        except RecordingInvalid as exc:
            await self._fail(flight, f"its flight cannot be recorded: {exc}")
            return f"vehicle {part.sysid}: its flight cannot be recorded: {exc}"
        except FleetError as exc:
            await self._fail(flight, f"upload: {exc}")
            return f"vehicle {part.sysid}: upload: {exc}"
        finally:
            telling.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await telling
        flight.item, flight.total = 0, len(part.items)
        if aboard != part.hash:
            text = f"what was read back hashes to {aboard[:12]}, approved is {part.hash[:12]}"
            await self._fail(flight, text)
            return f"vehicle {part.sysid}: {text}"
        return None

    async def judge(self, plan: Plan, part: VehiclePlan, flight: Flight, person: str) -> str | None:
        """What keeps a vehicle on the ground."""
        await self._stage(flight, "checking")
        failures = await self._preflight.failures(plan, part, person=person)
        if failures:
            text = "pre-flight: " + "; ".join(check.text for check in failures)
            await self._fail(flight, text)
            return f"vehicle {part.sysid}: {text}"
        await self._stage(flight, "uploaded")
        return None

    async def fly(self, part: VehiclePlan, flight: Flight, person: str) -> None:
        """From arming until it stands disarmed, whatever goes wrong on the way."""
        commanded = False
        vehicle = self._fleet.commander(part.sysid)
        try:
            await self._wait(part, flight, person)
            await self._stage(flight, "arming")
            self._check_may_go(flight, person)
            self._traffic.enter(flight.id, part.sysid, part.track(self._clock() - part.delay_s))
            if failures := self._preflight.last_look(part, person=person):
                raise LaunchFailed("pre-flight: " + "; ".join(check.text for check in failures))
            await vehicle.arm(part.hash)
            commanded = True
            self._check_may_go(flight, person)
            self._vehicles.on_flight(part.sysid, (flight.id, flight.mission_id))
            flight.track_utc_s = self._now(vehicle.state)
            await vehicle.start_mission()
            await self._until_airborne(flight)
        except (FleetError, LaunchFailed) as exc:
            if commanded or vehicle.state.armed or isinstance(exc, CommandUnknown):
                await self._bring_down(flight, str(exc))
            else:
                await self._fail(flight, str(exc))
        if flight.stage in AIRBORNE:
            await self._watch(flight)

    async def rejoin(self, flight: Flight) -> None:
        """Go on with a flight that a restart found: in the air, or about to be."""
        vehicle = self._fleet.commander(flight.sysid)
        self._vehicles.on_flight(flight.sysid, (flight.id, flight.mission_id))
        if flight.stage == "arming":
            flight.track_utc_s = self._now(vehicle.state)
        await _until(lambda: _stands_known(vehicle.state))
        try:
            self._record(flight)
        except RecordingInvalid as exc:
            self._on_alarm(f"vehicle {flight.sysid} is watched on, but its flight is not recorded: {exc}")
        if flight.stage == "arming":
            if vehicle.state.in_air:
                await self._note_airborne(flight)
            elif vehicle.state.armed:
                await self._bring_down(flight, "the service was stopped during the launch")
            else:
                await self._fail(flight, "the service was stopped before take-off")
        if flight.stage in AIRBORNE:
            if vehicle.state.in_air:
                await self._check_aboard(flight)
            await self._watch(flight)

    async def close(self, flight: Flight) -> None:
        """End a flight that was never begun, unless it has ended already."""
        if flight.stage not in ("failed", "aborted"):
            flight.stage, flight.text = "aborted", "not started"
            await self._save(flight, ended=True)

    async def _fail(self, flight: Flight, text: str) -> None:
        """End a flight that never began; of an aborted mission it is aborted."""
        flight.stage, flight.text = "aborted" if flight.mission_id in self.called_back else "failed", text
        log.warning("flight failed", flight=flight.id, sysid=flight.sysid, error=text)
        await self._save(flight, ended=True)
        await self._missions.announce(flight.mission_id)

    def _record(self, flight: Flight) -> None:
        """Its frames go to its .tlog from now on, after what stands there already. Raises RecordingInvalid."""
        self._fleet.start_recording(flight.sysid, recording_path(self._settings, flight.id))

    async def _check_aboard(self, flight: Flight) -> None:
        """Read back what an adopted vehicle flies; what to do about another plan is for people to say."""
        try:
            plan = await self._missions.launched_plan(flight.mission_id)
            part = plan.part(flight.sysid, flight.sortie)
            if part is None:
                raise HashMismatch(f"vehicle {flight.sysid} has no flight {flight.sortie} in the plan any more")
            self._traffic.enter(
                flight.id, flight.sysid, part.track((flight.airborne_utc_s or self._clock()) - part.delay_s)
            )
            await self._fleet.commander(flight.sysid).verify_mission(part.hash)
        except (FleetError, HashMismatch) as exc:
            text = f"vehicle {flight.sysid} flies on, but its mission is not known to be the approved one: {exc}"
            self._on_alarm(text)
            detail = {"sysid": flight.sysid, "error": str(exc)}
            await self._missions.note(flight.mission_id, "adopted unverified", person=audit.SERVICE, detail=detail)
        else:
            detail = {"sysid": flight.sysid, "hash": part.hash}
            await self._missions.note(flight.mission_id, "adopted", person=audit.SERVICE, detail=detail)

    async def _keep_telling(self, flight: Flight) -> None:
        while True:
            await asyncio.sleep(PROGRESS_S)
            await self._save(flight)
            await self._missions.announce(flight.mission_id)

    async def _wait(self, part: VehiclePlan, flight: Flight, person: str) -> None:
        """Until it is its turn to take off. Raises LaunchFailed as soon as it must not go any more."""
        if part.delay_s:
            now_s = asyncio.get_running_loop().time
            until_s = now_s() + part.delay_s / self._fleet.clock_rate(part.sysid)
            await self._stage(flight, "uploaded", f"takes off in {part.delay_s:.0f} s")
            while now_s() < until_s:
                await asyncio.sleep(min(WATCH_S, until_s - now_s()))
                self._check_may_go(flight, person)

    def _check_may_go(self, flight: Flight, person: str) -> None:
        """Nobody called it off or took the vehicle since the launch began."""
        self._check_not_aborted(flight)
        holder = self._control.lease(flight.sysid).person
        if holder != person:
            raise LaunchFailed(f"vehicle {flight.sysid} is held by {holder or 'nobody'} since, not by {person}")

    def _check_not_aborted(self, flight: Flight) -> None:
        if flight.mission_id in self.called_back:
            raise LaunchFailed("aborted before take-off")

    async def _until_airborne(self, flight: Flight) -> None:
        vehicle = self._fleet.commander(flight.sysid)
        try:
            async with asyncio.timeout(self._settings.fleet.launch_timeout_s):
                await _until(lambda: vehicle.state.in_air or flight.mission_id in self.called_back)
        except TimeoutError:
            raise LaunchFailed(
                f"vehicle {flight.sysid} was not in the air {self._settings.fleet.launch_timeout_s:g} s after the start"
            ) from None
        self._check_not_aborted(flight)
        await self._note_airborne(flight)

    async def _note_airborne(self, flight: Flight) -> None:
        flight.airborne_utc_s = flight.track_utc_s = self._now(self._fleet.commander(flight.sysid).state)
        await self._stage(flight, "flying")
        await self._missions.advance(flight.mission_id, MissionState.FLYING)

    async def _bring_down(self, flight: Flight, why: str) -> None:
        """Have a vehicle disarm or return, until it takes that or is heard to be disarmed; it is watched after."""
        vehicle = self._fleet.vehicle(flight.sysid)
        flight.why = why
        await self._stage(flight, "returning", why)
        told = False
        while True:
            heard_utc_s = vehicle.state.last_heard_utc_s
            try:
                await _disarm_or_return(vehicle)
                return
            except FleetError as exc:
                log.warning("vehicle not brought down", flight=flight.id, sysid=flight.sysid, error=str(exc))
                if not told:
                    self._on_alarm(f"vehicle {flight.sysid} may be armed and does not take the return command: {exc}")
                told = True
            await asyncio.sleep(BRING_DOWN_S)
            if vehicle.state.last_heard_utc_s != heard_utc_s and _has_landed(vehicle.state):
                return

    async def _watch(self, flight: Flight) -> None:
        """Until it has landed."""
        vehicle = self._fleet.commander(flight.sysid)
        written_s = told_s = asyncio.get_running_loop().time()
        while not _has_landed(vehicle.state):
            await asyncio.sleep(WATCH_S)
            changed = self._note_progress(flight, vehicle.state)
            now_s = asyncio.get_running_loop().time()
            if now_s - written_s >= TRACK_WRITE_S:
                written_s = now_s
                await self._write_track(flight)
            if changed and now_s - told_s >= PROGRESS_S:
                told_s = now_s
                await self._save(flight)
                await self._missions.announce(flight.mission_id)
        await self._write_track(flight)
        self._end(flight, vehicle.state)
        await self._save(flight, ended=True)
        await self._missions.announce(flight.mission_id)

    def _note_progress(self, flight: Flight, state: TelemetryState) -> bool:
        before = (flight.stage, flight.item)
        if state.mission is not None and state.mission.item is not None:
            flight.item = max(flight.item, state.mission.item)
        if state.mission is not None and state.mission.reached is not None:
            flight.item = max(flight.item, state.mission.reached + 1)
        if flight.why or flight.mission_id in self.called_back:
            flight.stage = "returning"
        return (flight.stage, flight.item) != before

    def _end(self, flight: Flight, state: TelemetryState) -> None:
        """Landed: whole, or cut short."""
        self._note_progress(flight, state)
        if flight.mission_id in self.called_back:
            down = "aborted before take-off" if flight.airborne_utc_s is None else "returned and landed"
            flight.stage, flight.text = "aborted", down
        elif flight.why:
            flight.stage, flight.text = "failed", f"{flight.why}; it stands disarmed"
        elif flight.item >= flight.total - 1:
            flight.stage, flight.text, flight.item = "done", "", flight.total
        else:
            warnings = "; ".join(text.text for text in state.texts[-3:] if text.severity <= 4)
            flight.stage = "failed"
            flight.text = f"landed at item {flight.item} of {flight.total}{': ' if warnings else ''}{warnings}"

    async def _stage(self, flight: Flight, stage: str, text: str = "") -> None:
        flight.stage, flight.text = stage, text
        log.info("flight", flight=flight.id, sysid=flight.sysid, stage=stage)
        await self._save(flight)
        await self._missions.announce(flight.mission_id)

    async def _save(self, flight: Flight, *, ended: bool = False) -> None:
        if ended:
            self._fleet.stop_recording(flight.sysid)
        await self._logbook.save(flight, ended_utc_s=self._ended_utc_s(flight) if ended else None)
        if ended:
            self._on_ended()

    def _ended_utc_s(self, flight: Flight) -> float:
        vehicle = self._fleet.vehicles.get(flight.sysid)
        return self._clock() if vehicle is None or flight.airborne_utc_s is None else self._now(vehicle.state)

    def _now(self, state: TelemetryState) -> float:
        """By the vehicle's clock where it is known, s since 1970 UTC."""
        return state.vehicle_utc_s or self._clock()

    async def _write_track(self, flight: Flight) -> None:
        points = self._vehicles.points_since(flight.sysid, flight.track_utc_s)
        if points:
            await self._logbook.write_track(flight, points)


async def _until(condition: Callable[[], bool]) -> None:
    while True:
        if condition():
            return
        await asyncio.sleep(WATCH_S)


def _stands_known(state: TelemetryState) -> bool:
    """Heard from, and whether it is in the air is known."""
    heard = state.condition in (Condition.READY, Condition.LANDED, Condition.FLYING)
    return heard and (not state.armed or state.landed is not None or state.relative_altitude_m is not None)


async def _disarm_or_return(vehicle: Vehicle) -> None:
    """Disarm what stands on the ground; what flies, by our word or the autopilot's, returns. Raises FleetError."""
    if not vehicle.state.in_air and (await vehicle.disarm()).state is CommandState.ACCEPTED:
        return
    (await vehicle.rtl()).accepted()


def _has_landed(state: TelemetryState) -> bool:
    """Disarmed, and heard so; a silent vehicle has not landed."""
    return state.condition in (Condition.LANDED, Condition.READY) and not state.armed
