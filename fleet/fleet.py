"""All vehicles on all links: who is where, what goes to whom, and who fell silent."""

from __future__ import annotations

import asyncio
import time
import weakref
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import structlog
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import AUTOPILOT_COMPID, Channel
from fleet.errors import IdentityConflict, LinkError, LinkInvalid, LinkLost, SigningInvalid, VehicleUnknown
from fleet.framing import Encoder, Frame, Framer, decode, without_signature
from fleet.history import PoseHistory
from fleet.identity import PROBES, Identity, Standing, Way
from fleet.keys import setup_signing
from fleet.latency import UNANSWERED_S
from fleet.links import Address, Link, LinkTraffic, open_link
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.recording import Recording
from fleet.signing import VehicleSigning, Verdict
from fleet.streams import CHECK_S
from fleet.systems import System, VehicleTraffic
from fleet.telemetry import Condition, LinkCondition, Telemetry, TelemetryState
from fleet.vehicle import VehicleRecord

GROUND_SYSID, GROUND_COMPID = 255, 190
HEARTBEAT_S = 1.0
STALE_S = 5.0
LOST_S = 15.0
PROBE_S = 1.0
"""How often a way that is to be proven is asked, s of the wall."""
TIMESYNC_S = 1.0
"""How often a vehicle is asked for its time, s of the wall."""
TIMESYNC = 111
SIGNS_S = 5.0
"""A vehicle that was given a key signs with it within this, s of the wall (ArduPilot: 0.8 s)."""
GUARDED = frozenset((dialect.MAV_CMD_COMPONENT_ARM_DISARM, dialect.MAV_CMD_MISSION_START))
"""Commands that another program may send to a vehicle only where that was asked for."""
GIMBAL_MESSAGES = frozenset((265, 285))
"""MOUNT_ORIENTATION, GIMBAL_DEVICE_ATTITUDE_STATUS: taken from any component of the vehicle."""

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
    ) -> None:
        """`links` as `fleet.links.open_link` takes them; `sysid`/`compid` are our own; `stale_s`, `lost_s`: without
        a heartbeat for so long (wall) a vehicle is stale, or lost; `utc_now`: our clock, for records; `signing`: of
        the vehicles that have a key, by sysid: only what they sign is believed."""
        self.links = [open_link(link) if isinstance(link, str) else link for link in links]
        self.sysid, self.compid = sysid, compid
        self.on_alarm: Callable[[str], None] = lambda text: None
        """Hears what a person should know at once, such as two vehicles under one sysid."""
        self.vehicles: dict[int, MavlinkVehicle] = {}
        """Registered vehicles by sysid, heard or not."""
        self._stale_s, self._lost_s, self._utc_now = stale_s, lost_s, utc_now
        self._seen: dict[int, System] = {}
        self._encoders = {id(link): Encoder(sysid=sysid, compid=compid) for link in self.links}
        self._stack = AsyncExitStack()
        self._tasks: list[asyncio.Task[None]] = []
        self._failed: asyncio.Future[None] | None = None
        self._subscribers: weakref.WeakSet[_Changes] = weakref.WeakSet()
        self._entered = False
        self._beat_now = asyncio.Event()
        self._signing = dict(signing or {})
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

    def seen(self, sysid: int) -> System | None:
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

    def traffic(self, sysid: int) -> VehicleTraffic:
        """What passed between a vehicle and us; raises VehicleUnknown where nothing was heard of it."""
        system = self._heard_of(sysid)
        return system.traffic(system.telemetry.state.loss_percent)

    def link_traffic(self) -> list[LinkTraffic]:
        """What passed over each link, in their order."""
        return [link.traffic() for link in self.links]

    def believe(self, sysid: int, way: str) -> None:
        """Take one way of a sysid for the vehicle's, and others that contradict it no longer for a conflict.

        For a person who knows which of two is the vehicle. What comes on the others stays disbelieved. Raises
        VehicleUnknown where the sysid is not heard on a way of that name.
        """
        system = self._heard_of(sysid)
        if not system.identity.believe(way):
            ways = ", ".join(sorted(known.name for known in system.identity.ways.values()))
            raise VehicleUnknown(f"sysid {sysid} is not heard on {way}; it is on {ways}")
        system.telemetry.set_conflict(system.identity.conflict)
        self._changed(system.telemetry)

    async def set_up_signing(self, sysid: int, key: bytes, signing: VehicleSigning, *, link: str) -> None:
        """Give a vehicle a key, over a trusted link, and wait until it signs with it.

        `signing` has that key: of a vehicle without one a new one; of a vehicle that signs already its own, rotated.
        The key goes out in the clear, and is neither logged nor recorded. Raises VehicleUnknown, LinkInvalid where the
        vehicle is not heard on `link`, LinkLost, and SigningInvalid where it does not sign with the key then, as PX4
        1.17, which ignores it: then all stays as it was, and of a rotation both keys are still believed.
        """
        self.vehicle(sysid)
        system = self._heard_of(sysid)
        way = system.identity.in_use
        if way is None or way.link.name != link:
            heard = "nowhere" if way is None else f"on {way.link.name}"
            raise LinkInvalid(f"sysid {sysid}: its key may be sent on {link} only, and it is heard {heard}")
        accepted = signing.check.counts[Verdict.ACCEPTED]
        if system.signing is None:
            system.candidate = signing
        deadline_s = time.monotonic() + SIGNS_S
        try:
            while signing.check.counts[Verdict.ACCEPTED] == accepted:
                if time.monotonic() > deadline_s:
                    raise SigningInvalid(f"sysid {sysid} does not sign {SIGNS_S:g} s after it was given a key")
                message = setup_signing(key, sysid=sysid, ticks=signing.timestamp())
                data = self._encoders[id(way.link)].encode(message)
                if system.signing is not None:
                    data = system.signing.sign(data, link_id=self._link_id(way.link))
                if not way.link.send(data, way.address):
                    raise LinkLost(f"sysid {sysid}: {link} does not carry now")
                await asyncio.sleep(SIGNS_S / 10)
        finally:
            system.candidate = None
        self._signing[sysid] = signing

    @contextmanager
    def tap(self, sysid: int, hear: Callable[[bytes], None]) -> Iterator[None]:
        """Have `hear` called with each believed frame of a registered vehicle, without its signature.

        Raises VehicleUnknown where it is not registered or nothing was heard of it yet.
        """
        self.vehicle(sysid)
        system = self._heard_of(sysid)
        system.taps.append(hear)
        try:
            yield
        finally:
            system.taps.remove(hear)

    def relay(self, sysid: int, data: bytes, *, guarded: bool = False) -> bool:
        """Send a frame that another program of ours made for a vehicle; false where it was not sent.

        It must be one MAVLink 2 frame of our sysid that names the vehicle, or nobody; heartbeats are left out, ours
        suffice, and so are arming and mission starts unless `guarded`: whoever sets that has compared the mission
        aboard with the approved one. Raises VehicleUnknown, IdentityConflict.
        """
        self.vehicle(sysid)
        frames = Framer().feed(data)
        message = decode(frames[0]) if len(frames) == 1 and frames[0].verified else None
        if message is None or frames[0].sysid != self.sysid or message.get_type() == "HEARTBEAT":
            return False
        if getattr(message, "target_system", 0) not in (0, sysid):
            return False
        arming = getattr(message, "command", None) in GUARDED and message.get_type().startswith("COMMAND_")
        if arming and message.param1 != 0 and not guarded:
            return False
        return self._transmit(sysid, lambda way: frames[0].data)

    def _heard_of(self, sysid: int) -> System:
        system = self._seen.get(sysid)
        if system is None:
            raise VehicleUnknown(f"sysid {sysid}: nothing was heard of it")
        return system

    def _link_id(self, link: Link) -> int:
        """For signatures: the place of a link among ours, the same after a restart."""
        return self.links.index(link)

    def _send(self, sysid: int, message: Any) -> bool:
        """To the one address where a registered vehicle lives. Raises IdentityConflict."""
        return self._transmit(sysid, lambda way: self._encoders[id(way.link)].encode(message))

    def _transmit(self, sysid: int, frame_for: Callable[[Way], bytes]) -> bool:
        system = self._seen.get(sysid)
        if system is None or sysid not in self.vehicles or (way := system.identity.in_use) is None:
            return False
        if system.identity.conflict is not None:
            raise IdentityConflict(
                f"sysid {sysid} gets no commands while another claims it: {system.identity.conflict}"
            )
        return self._send_on(way, system, frame_for(way))

    def _send_on(self, way: Way, system: System, data: bytes) -> bool:
        """An unsigned frame to a vehicle, signed if it has a key."""
        if system.signing is not None:
            data = system.signing.sign(data, link_id=self._link_id(way.link))
        if not way.link.send(data, way.address):
            return False
        system.sent(data, self._utc_now())
        return True

    def _receive(self, link: Link, address: Address, frames: list[Frame]) -> None:
        monotonic_s, utc_s = time.monotonic(), self._utc_now()
        for frame in frames:
            if frame.sysid in (0, self.sysid):
                continue
            system = self._seen.get(frame.sysid) or self._first_heard(frame.sysid, monotonic_s)
            verdict = system.judge(frame)
            if verdict is not None and not verdict.accepted:
                self._reject(system, link, address, verdict, monotonic_s)
                continue
            way = system.identity.heard(link, address, monotonic_s, proven=verdict is not None)
            if way.standing is not Standing.IN_USE:
                if way.standing is Standing.UNPROVEN and frame.verified and frame.compid == AUTOPILOT_COMPID:
                    self._weigh(system, way, frame)
                continue
            system.count(frame)
            if system.recording is not None:
                system.recording.write(frame.data, utc_s)
            if frame.verified:
                self._take(system, frame, utc_s)
                for hear in system.taps:
                    hear(without_signature(frame))

    def _reject(self, system: System, link: Link, address: Address, verdict: Verdict, monotonic_s: float) -> None:
        """Nothing of such a frame is believed, not even that its vehicle lives at that address."""
        sysid = system.identity.sysid
        if verdict is Verdict.STALE and monotonic_s > system.probed_monotonic_s + PROBE_S:
            system.probed_monotonic_s = monotonic_s  # a vehicle that has not heard the time learns it from us
            if system.signing is not None:
                beat = self._encoders[id(link)].encode(_beat_message())
                link.send(system.signing.sign(beat, link_id=self._link_id(link)), address)
        if system.rejection_is_news(verdict, monotonic_s):
            words = verdict.name.lower().replace("_", " ")
            text = f"sysid {sysid}: frames from {address[0]}:{address[1]} on {link.name} are not believed: {words}"
            log.warning("frame rejected", sysid=sysid, link=link.name, address=address, verdict=verdict.name)
            if sysid in self.vehicles:
                self.on_alarm(text)

    def _first_heard(self, sysid: int, monotonic_s: float) -> System:
        vehicle = self.vehicles.get(sysid)
        telemetry = vehicle.telemetry if vehicle is not None else Telemetry(sysid)
        identity = Identity(sysid, vehicle.record.links if vehicle is not None else ())
        system = self._seen[sysid] = System(telemetry, identity, monotonic_s)
        system.signing = self._signing.get(sysid)
        self._beat_now.set()  # PX4 says nothing in words before it has heard a ground
        return system

    def _weigh(self, seen: System, way: Way, frame: Frame) -> None:
        if (message := decode(frame)) is not None:
            seen.identity.weigh(way, message, seen.telemetry.state, seen.clock_rate)

    def _probe(self, seen: System, monotonic_s: float) -> None:
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

    def _take(self, seen: System, frame: Frame, utc_s: float) -> None:
        """Hand a good frame to its vehicle."""
        if frame.compid != AUTOPILOT_COMPID and frame.msgid not in GIMBAL_MESSAGES:
            return
        message = decode(frame)
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

    def _changed(self, telemetry: Telemetry) -> None:
        for subscriber in list(self._subscribers):
            subscriber.put(telemetry)

    async def _beat(self) -> None:
        """Our heartbeat, once a second of the fastest vehicle's clock, to registered vehicles and fixed peers."""
        while True:
            for link in self.links:
                if link.peer is not None and not self._lives_at(link, link.peer):
                    link.send(self._encoders[id(link)].encode(_beat_message()), link.peer)
            for sysid in self.vehicles:
                if (system := self._seen.get(sysid)) is not None:
                    for way in system.identity.ways.values():
                        if way.standing in (Standing.IN_USE, Standing.SPARE):
                            self._send_on(way, system, self._encoders[id(way.link)].encode(_beat_message()))
            self._beat_now.clear()
            pause_s = HEARTBEAT_S / max([1.0, *(system.clock_rate for system in self._seen.values())])
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._beat_now.wait()

    def _lives_at(self, link: Link, address: Address) -> bool:
        """Whether a registered vehicle is heard there, so that it gets a heartbeat of its own."""
        systems = (self._seen[sysid] for sysid in self.vehicles if sysid in self._seen)
        keys = (system.identity.ways.get((id(link), address)) for system in systems)
        return any(way is not None and way.standing in (Standing.IN_USE, Standing.SPARE) for way in keys)

    async def _watch(self) -> None:
        """Find who fell silent, and who hears us no more."""
        asked_s = -TIMESYNC_S
        while True:
            await asyncio.sleep(0.25)
            monotonic_s = time.monotonic()
            asking = monotonic_s - asked_s >= TIMESYNC_S
            asked_s = monotonic_s if asking else asked_s
            for system in self._seen.values():
                self._settle_identity(system, monotonic_s)
                if not system.is_vehicle:
                    continue
                if asking and system.identity.sysid in self.vehicles and system.identity.in_use is not None:
                    way = system.identity.in_use
                    ask = system.round_trips.ask(time.monotonic_ns())
                    self._send_on(way, system, self._encoders[id(way.link)].encode(ask))
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
                if system.recording is not None:
                    system.recording.flush()

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
            if link is LinkCondition.NO_UPLINK and state.sysid in self.vehicles:
                log.warning("vehicle does not answer", sysid=state.sysid)
                self.on_alarm(f"sysid {state.sysid} is heard but has not answered for {UNANSWERED_S:g} s: uplink lost")
            system.telemetry.set_link(link)

    def _settle_identity(self, system: System, monotonic_s: float) -> None:
        self._probe(system, monotonic_s)
        news = system.identity.settle(monotonic_s)
        if news is not None:
            log.warning("identity", sysid=system.identity.sysid, news=news)
            system.telemetry.set_conflict(system.identity.conflict)
            self.on_alarm(news)

    async def _keep_streams(self, vehicle: MavlinkVehicle) -> None:
        """Have the telemetry that we need come."""
        while True:
            await asyncio.sleep(0.1 if vehicle.telemetry.autopilot is None else CHECK_S)
            silent = vehicle.state.condition in (Condition.UNKNOWN, Condition.STALE, Condition.LOST)
            if vehicle.telemetry.autopilot is not None and not silent and vehicle.sysid in self._seen:
                with suppress(LinkError):  # asked for again once a link leads there
                    await vehicle.streams.ask()


def _beat_message() -> Any:
    return dialect.MAVLink_heartbeat_message(
        dialect.MAV_TYPE_GCS, dialect.MAV_AUTOPILOT_INVALID, 0, 0, dialect.MAV_STATE_ACTIVE, 3
    )


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
