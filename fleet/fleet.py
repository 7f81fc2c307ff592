"""All vehicles on all links: who is where, what goes to whom, and who fell silent."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import AUTOPILOT_COMPID, Channel
from fleet.errors import LinkError, VehicleUnknown
from fleet.events import EVENT, event_of
from fleet.framing import Frame, read
from fleet.health import HealthLimits, HealthWatch
from fleet.history import PoseHistory
from fleet.latency import UNANSWERED_S
from fleet.links import open_link
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.recording import Recording
from fleet.routing import Router
from fleet.signing import VehicleSigning
from fleet.snapshots import Telemetry
from fleet.streams import CHECK_S
from fleet.systems import System
from fleet.telemetry import Condition, LinkCondition, TelemetryState
from fleet.traffic import Link
from fleet.vehicle import Vehicle, VehicleRecord

GROUND_SYSID, GROUND_COMPID = 255, 190
HEARTBEAT_S = 1.0
STALE_S = 5.0
LOST_S = 15.0
WATCH_S = 0.5
"""How often it is looked for who fell silent and what is wrong, s of the wall."""
TIMESYNC_S = 1.0
"""How often a vehicle is asked for its time, s of the wall."""
TIMESYNC = 111
PERIPHERAL_MESSAGES = frozenset((265, 285, 12918))
"""MOUNT_ORIENTATION, GIMBAL_DEVICE_ATTITUDE_STATUS, OPEN_DRONE_ID_ARM_STATUS: taken from any component of the
vehicle."""

log = structlog.get_logger(__name__)


class Fleet:
    """The vehicles on a set of links; an async context manager that is connected while inside.

    Vehicles in `registered` can be commanded, at `fleet.vehicles[sysid]`; others that are heard are listed in
    `fleet.strangers`, and nothing is ever sent to them.
    """

    def __init__(
        self,
        links: Sequence[Link | str],
        registered: Mapping[int, VehicleRecord] | None = None,
        *,
        sysid: int = GROUND_SYSID,
        compid: int = GROUND_COMPID,
        stale_s: float = STALE_S,
        lost_s: float = LOST_S,
        utc_now: Callable[[], float] = time.time,
        signing: Mapping[int, VehicleSigning] | None = None,
        candidates: Mapping[int, VehicleSigning] | None = None,
        limits: HealthLimits | None = None,
    ) -> None:
        """`links` as `fleet.links.open_link` takes them; `sysid`/`compid` are our own; `stale_s`, `lost_s`: without
        a heartbeat for so long (wall) a vehicle is stale, or lost; `utc_now`: our clock, for records; `signing`: of
        the vehicles that have a key, by sysid: only what they sign is believed; `candidates`: of those that
        may have a key, which counts from the first frame on that they sign with it; `limits`: beyond what a vehicle in
        flight is not well."""
        self.links = [open_link(link) if isinstance(link, str) else link for link in links]
        self.sysid, self.compid = sysid, compid
        self.on_alarm: Callable[[str], None] = lambda text: None
        """Hears what a person should know at once, such as two vehicles under one sysid."""
        self.on_proven: Callable[[int], None] = lambda sysid: None
        """Hears of a candidate that was proven: its vehicle signs with that key."""
        self.vehicles: dict[int, MavlinkVehicle] = {}
        """Registered vehicles by sysid, heard or not."""
        self.commanders: dict[int, Vehicle] = {}
        """Adapters that command a vehicle in place of our own, by sysid."""
        self._stale_s, self._lost_s, self._utc_now = stale_s, lost_s, utc_now
        self.router = Router(
            self.links,
            sysid=sysid,
            compid=compid,
            utc_now=utc_now,
            signing=signing or {},
            take=self._take,
            alarm=lambda text: self.on_alarm(text),
            renewed=self._renewed,
            candidates=candidates or {},
            proven=lambda sysid: self.on_proven(sysid),
        )
        """What goes to whom: counts, ways, signing, and frames of other programs of ours."""
        self._limits = limits or HealthLimits()
        self._health: dict[int, HealthWatch] = {}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None
        self._subscribers: weakref.WeakSet[_Changes] = weakref.WeakSet()
        self._news: dict[int, Telemetry] = {}
        self._entered = False
        for record in (registered or {}).values():
            self.register(record)

    def register(self, record: VehicleRecord) -> MavlinkVehicle:
        """Let a vehicle be commanded from now on; it keeps what was heard of it so far."""
        if not 1 <= record.sysid <= 254 or record.sysid == self.sysid:
            raise VehicleUnknown(f"sysid {record.sysid} ({record.name}): must be 1 to 254 and not our own")
        if record.sysid in self.vehicles:
            return self.vehicles[record.sysid]
        history = PoseHistory(fixed_mount_pitch_deg=record.fixed_mount_pitch_deg, mounting=record.mounting)
        telemetry = self.router.register(record.sysid, Telemetry(record.sysid, history), record.links)
        channel = Channel(
            record.sysid, lambda message: self.router.send(record.sysid, message), ground=(self.sysid, self.compid)
        )
        vehicle = MavlinkVehicle(record, channel, telemetry)
        self.vehicles[record.sysid] = vehicle
        self.router.first_heard.set()
        if self._entered:
            self._start(self._keep_streams(vehicle), f"streams[{record.sysid}]")
        return vehicle

    def vehicle(self, sysid: int) -> MavlinkVehicle:
        """The registered vehicle; raises VehicleUnknown."""
        if sysid not in self.vehicles:
            seen = "was heard but is not registered" if sysid in self.router.systems else "is not registered"
            raise VehicleUnknown(f"sysid {sysid} {seen}; registered: {sorted(self.vehicles) or 'none'}")
        return self.vehicles[sysid]

    def commander(self, sysid: int) -> Vehicle:
        """What commands a registered vehicle: another adapter, or our own; raises VehicleUnknown."""
        return self.commanders.get(sysid) or self.vehicle(sysid)

    @property
    def strangers(self) -> dict[int, TelemetryState]:
        """Vehicles heard that are not registered, by sysid."""
        return {
            sysid: seen.telemetry.state
            for sysid, seen in self.router.systems.items()
            if seen.is_vehicle and sysid not in self.vehicles
        }

    def seen(self, sysid: int) -> System | None:
        """What is kept of a sysid; None if it was never heard."""
        return self.router.systems.get(sysid)

    def clock_rate(self, sysid: int) -> float:
        """Seconds of the vehicle's clock in one of the wall: 1, but for simulated vehicles."""
        seen = self.router.systems.get(sysid)
        return seen.clock_rate if seen is not None else 1.0

    def start_recording(self, sysid: int, path: Path) -> None:
        """Write the frames from and to a vehicle to a .tlog from now on; raises RecordingInvalid, VehicleUnknown."""
        system = self.router.system(sysid)
        self.stop_recording(sysid)
        system.recording = Recording(path)

    def stop_recording(self, sysid: int) -> Recording | None:
        """Close the vehicle's recording; None if there was none."""
        seen = self.router.systems.get(sysid)
        if seen is None or seen.recording is None:
            return None
        recording, seen.recording = seen.recording, None
        try:
            recording.close()
        except OSError as exc:
            self.on_alarm(f"sysid {sysid}: the end of its recording is lost: {exc.strerror or exc}")
        return recording

    def changes(self) -> AsyncIterator[TelemetryState]:
        """States as they change: of each vehicle only the latest is kept for a reader that is slow."""
        changes = _Changes()
        self._subscribers.add(changes)
        return changes

    async def failed(self) -> None:
        """Return never, or raise what broke one of the fleet's own tasks."""
        if self._failed is None:
            raise RuntimeError("the fleet is not entered")
        await asyncio.shield(self._failed)

    async def __aenter__(self) -> Self:
        self._failed = asyncio.get_running_loop().create_future()
        try:
            for link in self.links:
                await self._stack.enter_async_context(link)
        except BaseException:
            await self._stack.aclose()
            raise
        self._entered = True
        self._start(self._beat(), "heartbeats")
        self._start(self._watch(), "watch")
        for vehicle in self.vehicles.values():
            self._start(self._keep_streams(vehicle), f"streams[{vehicle.sysid}]")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered = False
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()
        for sysid in self.router.systems:
            self.stop_recording(sysid)
        await self._stack.aclose()
        if self._failed is None or not self._failed.done():
            if self._failed is not None:
                self._failed.cancel()
        elif (broke := self._failed.exception()) is not None and kind is None:
            raise broke

    def _start(self, work: Any, name: str) -> None:
        task: asyncio.Task[None] = asyncio.create_task(work, name=name)
        task.add_done_callback(self._ended)
        self._tasks.append(task)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if task.cancelled() or (error := task.exception()) is None:
            return
        log.critical("a task of the fleet broke", task=task.get_name(), error=repr(error))
        if self._failed is not None and not self._failed.done():
            self._failed.set_exception(error)

    def _take(self, seen: System, frame: Frame, utc_s: float) -> None:
        """Hand a good frame to its vehicle."""
        if frame.compid != AUTOPILOT_COMPID and frame.msgid not in PERIPHERAL_MESSAGES:
            return
        message: Any = event_of(frame) if frame.msgid == EVENT else read(frame)
        if message is None:
            return
        if frame.msgid == TIMESYNC:
            seen.round_trips.heard(message, time.monotonic_ns())
        elif message.get_type() == "HEARTBEAT":
            if message.autopilot == dialect.MAV_AUTOPILOT_INVALID or message.type == dialect.MAV_TYPE_GCS:
                return
            if not seen.is_alive():  # somebody repeats old frames
                return
            seen.is_vehicle = True
            seen.beat_monotonic_s = time.monotonic()
        elif (boot_ms := getattr(message, "time_boot_ms", None)) is not None:
            seen.hear_clock(boot_ms)
        before = seen.telemetry.changes
        vehicle = self.vehicles.get(frame.sysid)
        if vehicle is not None:
            vehicle.receive(message, utc_s)
        else:
            seen.telemetry.receive(message, utc_s)
        if seen.is_vehicle and seen.telemetry.changes != before:
            self._changed(seen.telemetry)

    def _renewed(self, system: System) -> None:
        """Another vehicle may live under this sysid now: what was known to be aboard is not known any more."""
        if (vehicle := self.vehicles.get(system.identity.sysid)) is not None:
            vehicle.forget()

    def _changed(self, telemetry: Telemetry) -> None:
        """Tell those who wait for changes, once for all that are heard together."""
        if not self._news:
            asyncio.get_running_loop().call_soon(self._tell)
        self._news[telemetry.sysid] = telemetry

    def _tell(self) -> None:
        for subscriber in list(self._subscribers):
            subscriber.put(self._news)
        self._news.clear()

    async def _beat(self) -> None:
        """Heartbeats, once a second of the fastest vehicle's clock, and at once to who is new.

        PX4 says nothing in words before it has heard a ground.
        """
        while True:
            self.router.first_heard.clear()
            self.router.beat()
            pause_s = HEARTBEAT_S / max([1.0, *(self.clock_rate(sysid) for sysid in self.vehicles)])
            with suppress(TimeoutError):
                async with asyncio.timeout(_until_next(pause_s)):
                    await self.router.first_heard.wait()

    async def _watch(self) -> None:
        """Find who fell silent, and who hears us no more."""
        asked_s = -TIMESYNC_S
        while True:
            await asyncio.sleep(_until_next(WATCH_S))
            monotonic_s = time.monotonic()
            asking = monotonic_s - asked_s > TIMESYNC_S - WATCH_S / 2
            asked_s = monotonic_s if asking else asked_s
            for system in self.router.systems.values():
                self.router.settle(system, monotonic_s)
                if not system.is_vehicle:
                    continue
                if asking:
                    self.router.ask_time(system)
                system.measure_clock(monotonic_s)
                before = system.telemetry.changes
                self._judge_link(system, monotonic_s)
                state = system.telemetry.state
                counts = system.counts.get(AUTOPILOT_COMPID)
                loss = counts.loss_percent if counts is not None else 0.0
                if abs(loss - state.loss_percent) >= 0.1:
                    system.telemetry.set_loss(loss)
                if system.telemetry.changes != before:
                    self._changed(system.telemetry)
                if (vehicle := self.vehicles.get(state.sysid)) is not None:
                    health = self._health.setdefault(state.sysid, HealthWatch(self._limits))
                    found = [alarm.text for alarm in health.look(state, monotonic_s)]
                    for text in [*system.alarms.look(system.telemetry), *found]:
                        self.on_alarm(f"{vehicle.record.name} (sysid {state.sysid}): {text}")
                if system.recording is not None:
                    try:
                        system.recording.flush()
                    except OSError as exc:
                        self.router.stop_recording(system, why=exc.strerror or str(exc))

    def _judge_link(self, system: System, monotonic_s: float) -> None:
        """By its heartbeats whether we hear it, by its answers whether it hears us."""
        state = system.telemetry.state
        silent_s = monotonic_s - system.beat_monotonic_s
        if silent_s > self._stale_s:
            silence = Condition.LOST if silent_s > self._lost_s else Condition.STALE
            if state.condition is not silence:
                log.warning("vehicle silent", sysid=state.sysid, silent_s=round(silent_s, 1), condition=silence)
                system.telemetry.silent(silence)
            link = LinkCondition.NO_DOWNLINK
        elif system.round_trips.unanswered_s(time.monotonic_ns()) > UNANSWERED_S:
            link = LinkCondition.NO_UPLINK
        else:
            link = LinkCondition.UNKNOWN if system.round_trips.latency_s is None else LinkCondition.TWO_WAY
        if link is not state.link:
            if link is LinkCondition.NO_UPLINK:
                log.warning("vehicle does not answer", sysid=state.sysid)
            system.telemetry.set_link(link)

    async def _keep_streams(self, vehicle: MavlinkVehicle) -> None:
        """Have the telemetry that we need come."""
        while True:
            await asyncio.sleep(0.1 if vehicle.telemetry.autopilot is None else _until_next(CHECK_S))
            silent = vehicle.state.condition in (Condition.UNKNOWN, Condition.STALE, Condition.LOST)
            if vehicle.telemetry.autopilot is not None and not silent and vehicle.sysid in self.router.systems:
                with suppress(LinkError):  # asked for again once a link leads there
                    await vehicle.streams.ask()


def _until_next(period_s: float) -> float:
    """Time to the next multiple of a period on the loop's clock, s.

    What is done regularly is done at the same moments: to be woken for each vehicle alone costs more than what is done.
    """
    return period_s - asyncio.get_running_loop().time() % period_s


class _Changes:
    """One reader of the changes; of each vehicle the latest wins."""

    def __init__(self) -> None:
        self._pending: dict[int, Telemetry] = {}
        self._event = asyncio.Event()

    def put(self, news: Mapping[int, Telemetry]) -> None:
        self._pending |= news
        self._event.set()

    def __aiter__(self) -> _Changes:
        return self

    async def __anext__(self) -> TelemetryState:
        while not self._pending:
            self._event.clear()
            await self._event.wait()
        return self._pending.pop(next(iter(self._pending))).state
