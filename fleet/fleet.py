"""All vehicles on all links: who is where, what goes to whom, and who fell silent."""

from __future__ import annotations

import asyncio
import math
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
from fleet.errors import IdentityConflict, LinkError, VehicleUnknown
from fleet.framing import Encoder, Frame, SequenceCount, decode
from fleet.history import PoseHistory
from fleet.identity import PROBES, Identity, Standing, Way
from fleet.links import Address, Link, open_link
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.recording import Recording
from fleet.streams import CHECK_S
from fleet.telemetry import Condition, Telemetry, TelemetryState
from fleet.vehicle import VehicleRecord

GROUND_SYSID, GROUND_COMPID = 255, 190
HEARTBEAT_S = 1.0
STALE_S = 5.0
LOST_S = 15.0
PROBE_S = 1.0
"""How often a way that is to be proven is asked, s of the wall."""
MOST_CLOCK_RATE = 20.0
"""Simulated vehicles run up to so much faster than the wall."""
GIMBAL_MESSAGES = frozenset((265, 285))
"""MOUNT_ORIENTATION, GIMBAL_DEVICE_ATTITUDE_STATUS: taken from any component of the vehicle."""

log = structlog.get_logger(__name__)


class SeenSystem:
    """One sysid as heard: its ways, its counts, its telemetry."""

    def __init__(self, telemetry: Telemetry, identity: Identity, monotonic_s: float) -> None:
        """First heard at `monotonic_s`."""
        self.telemetry = telemetry
        self.identity = identity
        self.counts: dict[int, SequenceCount] = {}
        """Frames by component."""
        self.is_vehicle = False
        """A heartbeat of an autopilot was heard."""
        self.beat_monotonic_s = monotonic_s
        """When the last heartbeat of its autopilot was heard."""
        self._newest_boot_ms = (-1, -1)
        self.recording: Recording | None = None
        self.probed_monotonic_s = -math.inf
        """When a way that is to be proven was last asked."""
        self.clock_rate = 1.0
        """Seconds of the vehicle's clock in one of the wall, 1 but for simulated vehicles."""
        self._rate_from: tuple[float, float] | None = None

    def hear_clock(self, boot_ms: int) -> None:
        """A message told the time since boot."""
        before, now = self._newest_boot_ms
        self._newest_boot_ms = before, max(now, boot_ms)

    def is_alive(self) -> bool:
        """Whether its clock, where it was heard at all, went on since this was last asked: at each heartbeat."""
        before, now = self._newest_boot_ms
        self._newest_boot_ms = now, -1
        return now < 0 or before < 0 or now != before

    def measure_clock(self, monotonic_s: float) -> None:
        """Compare the vehicle's clock with the wall's."""
        boot_s = self.telemetry.state.boot_s
        if boot_s is None:
            return
        if self._rate_from is None or boot_s < self._rate_from[0]:
            self._rate_from = (boot_s, monotonic_s)
        elif monotonic_s - self._rate_from[1] >= 2.0:
            rate = (boot_s - self._rate_from[0]) / (monotonic_s - self._rate_from[1])
            self.clock_rate = min(MOST_CLOCK_RATE, max(1.0, rate)) if rate > 1.5 else 1.0
            self._rate_from = (boot_s, monotonic_s)

    def count(self, frame: Frame) -> None:
        """Count a frame of its component."""
        self.counts.setdefault(frame.compid, SequenceCount()).count(frame)


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
    ) -> None:
        """`links` as `fleet.links.open_link` takes them; `sysid`/`compid` are our own; `stale_s`, `lost_s`: without
        a heartbeat for so long (wall) a vehicle is stale, or lost; `utc_now`: our clock, for records."""
        self.links = [open_link(link) if isinstance(link, str) else link for link in links]
        self.sysid, self.compid = sysid, compid
        self.on_alarm: Callable[[str], None] = lambda text: None
        """Hears what a person should know at once, such as two vehicles under one sysid."""
        self.vehicles: dict[int, MavlinkVehicle] = {}
        """Registered vehicles by sysid, heard or not."""
        self._stale_s, self._lost_s, self._utc_now = stale_s, lost_s, utc_now
        self._seen: dict[int, SeenSystem] = {}
        self._encoders = {id(link): Encoder(sysid=sysid, compid=compid) for link in self.links}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None
        self._subscribers: weakref.WeakSet[_Changes] = weakref.WeakSet()
        self._entered = False
        self._beat_now = asyncio.Event()
        for record in (registered or {}).values():
            self.register(record)

    def register(self, record: VehicleRecord) -> MavlinkVehicle:
        """Let a vehicle be commanded from now on; it keeps what was heard of it so far."""
        if not 1 <= record.sysid <= 254 or record.sysid == self.sysid:
            raise VehicleUnknown(f"sysid {record.sysid} ({record.name}): must be 1 to 254 and not our own")
        if record.sysid in self.vehicles:
            return self.vehicles[record.sysid]
        seen = self._seen.get(record.sysid)
        if seen is not None:
            seen.identity.allowed = record.links
        history = PoseHistory(fixed_mount_pitch_deg=record.fixed_mount_pitch_deg)
        telemetry = seen.telemetry if seen is not None else Telemetry(record.sysid, history)
        channel = Channel(
            record.sysid, lambda message: self._send(record.sysid, message), ground=(self.sysid, self.compid)
        )
        vehicle = MavlinkVehicle(record, channel, telemetry)
        self.vehicles[record.sysid] = vehicle
        self._beat_now.set()
        if self._entered:
            self._start(self._keep_streams(vehicle), f"streams[{record.sysid}]")
        return vehicle

    def vehicle(self, sysid: int) -> MavlinkVehicle:
        """The registered vehicle; raises VehicleUnknown."""
        if sysid not in self.vehicles:
            seen = "was heard but is not registered" if sysid in self._seen else "is not registered"
            raise VehicleUnknown(f"sysid {sysid} {seen}; registered: {sorted(self.vehicles) or 'none'}")
        return self.vehicles[sysid]

    @property
    def strangers(self) -> dict[int, TelemetryState]:
        """Vehicles heard that are not registered, by sysid."""
        return {
            sysid: seen.telemetry.state
            for sysid, seen in self._seen.items()
            if seen.is_vehicle and sysid not in self.vehicles
        }

    def seen(self, sysid: int) -> SeenSystem | None:
        """Way and counts of a sysid; None if it was never heard."""
        return self._seen.get(sysid)

    def clock_rate(self, sysid: int) -> float:
        """Seconds of the vehicle's clock in one of the wall: 1, but for simulated vehicles."""
        seen = self._seen.get(sysid)
        return seen.clock_rate if seen is not None else 1.0

    def start_recording(self, sysid: int, path: Path) -> None:
        """Write the frames from and to a vehicle to a .tlog from now on; raises RecordingInvalid, VehicleUnknown."""
        seen = self._seen.get(sysid)
        if seen is None:
            raise VehicleUnknown(f"sysid {sysid}: nothing heard of it, so there is nothing to record")
        self.stop_recording(sysid)
        seen.recording = Recording(path)

    def stop_recording(self, sysid: int) -> Recording | None:
        """Close the vehicle's recording; None if there was none."""
        seen = self._seen.get(sysid)
        if seen is None or seen.recording is None:
            return None
        recording, seen.recording = seen.recording, None
        recording.close()
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
                link.receiver = self._receive
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
        for sysid in self._seen:
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

    def _send(self, sysid: int, message: Any) -> bool:
        """To the one address where a registered vehicle lives. Raises IdentityConflict."""
        seen = self._seen.get(sysid)
        if seen is None or sysid not in self.vehicles or (way := seen.identity.in_use) is None:
            return False
        if seen.identity.conflict is not None:
            raise IdentityConflict(f"sysid {sysid} gets no commands while another claims it: {seen.identity.conflict}")
        data = self._encoders[id(way.link)].encode(message)
        if not way.link.send(data, way.address):
            return False
        if seen.recording is not None:
            seen.recording.write(data, self._utc_now())
        return True

    def _receive(self, link: Link, address: Address, frames: list[Frame]) -> None:
        monotonic_s, utc_s = time.monotonic(), self._utc_now()
        for frame in frames:
            if frame.sysid in (0, self.sysid):
                continue
            seen = self._seen.get(frame.sysid) or self._first_heard(frame.sysid, monotonic_s)
            way = seen.identity.heard(link, address, monotonic_s)
            if way.standing is not Standing.IN_USE:
                if way.standing is Standing.UNPROVEN and frame.verified and frame.compid == AUTOPILOT_COMPID:
                    self._weigh(seen, way, frame)
                continue
            seen.count(frame)
            if seen.recording is not None:
                seen.recording.write(frame.data, utc_s)
            if frame.verified:
                self._take(seen, frame, utc_s)

    def _first_heard(self, sysid: int, monotonic_s: float) -> SeenSystem:
        vehicle = self.vehicles.get(sysid)
        telemetry = vehicle.telemetry if vehicle is not None else Telemetry(sysid)
        identity = Identity(sysid, vehicle.record.links if vehicle is not None else ())
        seen = self._seen[sysid] = SeenSystem(telemetry, identity, monotonic_s)
        self._beat_now.set()  # PX4 says nothing in words before it has heard a ground
        return seen

    def _weigh(self, seen: SeenSystem, way: Way, frame: Frame) -> None:
        if (message := decode(frame)) is not None:
            seen.identity.weigh(way, message, seen.telemetry.state, seen.clock_rate)

    def _probe(self, seen: SeenSystem, monotonic_s: float) -> None:
        """Ask on ways that are to be proven; ways of vehicles that are not registered are never sent to."""
        sysid = seen.identity.sysid
        if sysid not in self.vehicles or monotonic_s < seen.probed_monotonic_s + PROBE_S:
            return
        for way in seen.identity.ways.values():
            if way.standing is Standing.UNPROVEN:
                seen.probed_monotonic_s = monotonic_s
                for msgid in PROBES:
                    ask = dialect.MAVLink_command_long_message(
                        sysid, AUTOPILOT_COMPID, dialect.MAV_CMD_REQUEST_MESSAGE, 0, msgid, 0, 0, 0, 0, 0, 0
                    )
                    way.link.send(self._encoders[id(way.link)].encode(ask), way.address)

    def _take(self, seen: SeenSystem, frame: Frame, utc_s: float) -> None:
        """Hand a good frame to its vehicle."""
        if frame.compid != AUTOPILOT_COMPID and frame.msgid not in GIMBAL_MESSAGES:
            return
        message = decode(frame)
        if message is None:
            return
        if message.get_type() == "HEARTBEAT":
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

    def _changed(self, telemetry: Telemetry) -> None:
        for subscriber in list(self._subscribers):
            subscriber.put(telemetry)

    async def _beat(self) -> None:
        """Our heartbeat, once a second of the fastest vehicle's clock, to registered vehicles and fixed peers."""
        beat = dialect.MAVLink_heartbeat_message(
            dialect.MAV_TYPE_GCS, dialect.MAV_AUTOPILOT_INVALID, 0, 0, dialect.MAV_STATE_ACTIVE, 3
        )
        while True:
            ways = {(id(link), link.peer): (link, link.peer) for link in self.links if link.peer is not None}
            for sysid in self.vehicles:
                if (seen := self._seen.get(sysid)) is not None:
                    for way in seen.identity.ways.values():
                        if way.standing in (Standing.IN_USE, Standing.SPARE):
                            ways[id(way.link), way.address] = (way.link, way.address)
            for link, address in ways.values():
                data = self._encoders[id(link)].encode(beat)
                link.send(data, address)
                self._record_sent(link, address, data)
            self._beat_now.clear()
            pause_s = HEARTBEAT_S / max([1.0, *(seen.clock_rate for seen in self._seen.values())])
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._beat_now.wait()

    def _record_sent(self, link: Link, address: Address, data: bytes) -> None:
        for seen in self._seen.values():
            way = seen.identity.in_use
            if seen.recording is not None and way is not None and way.link is link and way.address == address:
                seen.recording.write(data, self._utc_now())

    async def _watch(self) -> None:
        """Find who fell silent."""
        while True:
            await asyncio.sleep(0.25)
            monotonic_s = time.monotonic()
            for seen in self._seen.values():
                self._settle_identity(seen, monotonic_s)
                if not seen.is_vehicle:
                    continue
                seen.measure_clock(monotonic_s)
                state = seen.telemetry.state
                silent_s = monotonic_s - seen.beat_monotonic_s
                silence = None
                if silent_s > self._stale_s:
                    silence = Condition.LOST if silent_s > self._lost_s else Condition.STALE
                before = seen.telemetry.changes
                if silence is not None and state.condition is not silence:
                    log.warning("vehicle silent", sysid=state.sysid, silent_s=round(silent_s, 1), condition=silence)
                    seen.telemetry.silent(silence)
                loss = seen.counts[AUTOPILOT_COMPID].loss_percent if AUTOPILOT_COMPID in seen.counts else 0.0
                if abs(loss - state.loss_percent) >= 0.1:
                    seen.telemetry.set_loss(loss)
                if seen.telemetry.changes != before:
                    self._changed(seen.telemetry)
                if seen.recording is not None:
                    seen.recording.flush()

    def _settle_identity(self, seen: SeenSystem, monotonic_s: float) -> None:
        self._probe(seen, monotonic_s)
        news = seen.identity.settle(monotonic_s)
        if news is not None:
            log.warning("identity", sysid=seen.identity.sysid, news=news)
            seen.telemetry.set_conflict(seen.identity.conflict)
            self.on_alarm(news)

    async def _keep_streams(self, vehicle: MavlinkVehicle) -> None:
        """Have the telemetry that we need come."""
        while True:
            await asyncio.sleep(0.1 if vehicle.telemetry.autopilot is None else CHECK_S)
            silent = vehicle.state.condition in (Condition.UNKNOWN, Condition.STALE, Condition.LOST)
            if vehicle.telemetry.autopilot is not None and not silent and vehicle.sysid in self._seen:
                with suppress(LinkError):  # asked for again once a link leads there
                    await vehicle.streams.ask()


class _Changes:
    """One reader of the changes; of each vehicle the latest wins."""

    def __init__(self) -> None:
        self._pending: dict[int, Telemetry] = {}
        self._event = asyncio.Event()

    def put(self, telemetry: Telemetry) -> None:
        self._pending[telemetry.sysid] = telemetry
        self._event.set()

    def __aiter__(self) -> _Changes:
        return self

    async def __anext__(self) -> TelemetryState:
        while not self._pending:
            self._event.clear()
            await self._event.wait()
        return self._pending.pop(next(iter(self._pending))).state
