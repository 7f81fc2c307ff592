"""Who is heard where, and what goes to whom: traffic by sysid over all links.

It goes to the one vehicle that it is for and to nobody else, signed where the vehicle has a key.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import structlog
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import AUTOPILOT_COMPID
from fleet.errors import IdentityConflict, LinkInvalid, LinkLost, SigningInvalid, VehicleUnknown
from fleet.framing import Encoder, Frame, Framer, decode, without_signature
from fleet.identity import PROBES, Identity, Standing, Way
from fleet.keys import setup_signing
from fleet.latency import RoundTrips
from fleet.signing import VehicleSigning, Verdict
from fleet.snapshots import Telemetry
from fleet.systems import System, VehicleTraffic
from fleet.traffic import Address, Heard, Link, LinkTraffic

PROBE_S = 1.0
"""How often a way that is to be proven is asked, s of the wall."""
SIGNS_S = 4.0
"""A vehicle that was given a key signs with it within this, s of the wall (ArduPilot: 0.8 s)."""
PING = 4
NOT_RELAYED = frozenset((0, 256))
"""HEARTBEAT, SETUP_SIGNING."""
GUARDED = frozenset((dialect.MAV_CMD_COMPONENT_ARM_DISARM, dialect.MAV_CMD_MISSION_START))
"""Commands that another program may send to a vehicle only where that was asked for."""

log = structlog.get_logger(__name__)


class Router:
    """The traffic of all systems on a set of links. Only registered ones are ever sent to."""

    def __init__(
        self,
        links: Sequence[Link],
        *,
        sysid: int,
        compid: int,
        utc_now: Callable[[], float],
        signing: Mapping[int, VehicleSigning],
        take: Callable[[System, Frame, float], None],
        alarm: Callable[[str], None],
        renewed: Callable[[System], None],
        candidates: Mapping[int, VehicleSigning],
        proven: Callable[[int], None],
    ) -> None:
        """`sysid`/`compid` are our own; `signing`: of the vehicles that have a key, by sysid; `take` gets each frame
        that is believed, with its system and our time, s since 1970 UTC; `alarm` what a person should know at once;
        `renewed` each system of which what was known may be of another vehicle. `candidates`: of the vehicles that may
        have a key; it counts from the first frame on that they sign with it, and `proven` hears of that."""
        self.links, self.sysid = list(links), sysid
        self.systems: dict[int, System] = {}
        """All that were heard, by sysid."""
        self.first_heard = asyncio.Event()
        """Set when a system is heard for the first time."""
        self._registered: dict[int, tuple[Telemetry, tuple[str, ...]]] = {}
        self._encoders = {id(link): Encoder(sysid=sysid, compid=compid) for link in self.links}
        self._utc_now, self._take, self._alarm, self._renewed = utc_now, take, alarm, renewed
        self._candidates, self._proven = candidates, proven
        self._signing = dict(signing)
        for link in self.links:
            link.receiver = self._receive

    def register(self, sysid: int, telemetry: Telemetry, links: tuple[str, ...]) -> Telemetry:
        """Let a sysid be sent to, and be heard on `links` only (all when empty); its telemetry so far, or the new."""
        system = self.systems.get(sysid)
        if system is not None:
            system.identity.allowed = links
            telemetry = system.telemetry
        self._registered[sysid] = telemetry, links
        return telemetry

    def system(self, sysid: int) -> System:
        """What was heard of a sysid; raises VehicleUnknown where that is nothing."""
        system = self.systems.get(sysid)
        if system is None:
            raise VehicleUnknown(f"sysid {sysid}: nothing was heard of it")
        return system

    def traffic(self, sysid: int) -> VehicleTraffic:
        """What passed between a vehicle and us; raises VehicleUnknown where nothing was heard of it."""
        system = self.system(sysid)
        return system.traffic(system.telemetry.state.loss_percent)

    def link_traffic(self) -> list[LinkTraffic]:
        """What passed over each link, in their order."""
        return [link.traffic() for link in self.links]

    def believe(self, sysid: int, way: str) -> None:
        """Take one way of a sysid for the vehicle's, and others that contradict it no longer for a conflict.

        For a person who knows which of two is the vehicle. What comes on the others stays disbelieved. Raises
        VehicleUnknown where the sysid is not heard on a way of that name.
        """
        system = self.system(sysid)
        if not system.identity.believe(way):
            ways = ", ".join(sorted(known.name for known in system.identity.ways.values()))
            raise VehicleUnknown(f"sysid {sysid} is not heard on {way}; it is on {ways}")
        system.telemetry.set_conflict(system.identity.conflict)
        self._renew(system)

    def _renew(self, system: System) -> None:
        if system.identity.renewed:
            system.identity.renewed = False
            system.round_trips = RoundTrips()
            self._renewed(system)

    def send(self, sysid: int, message: Any) -> bool:
        """To the one address where a registered vehicle lives. Raises IdentityConflict."""
        return self._transmit(sysid, lambda way: self._encoders[id(way.link)].encode(message))

    def beat(self) -> None:
        """Our heartbeat, to every registered vehicle on each of its ways, and to fixed peers."""
        beats = {id(link): self._encoders[id(link)].encode(beat_message()) for link in self.links}
        living: set[tuple[int, Address]] = set()
        for sysid in self._registered:
            if (system := self.systems.get(sysid)) is not None:
                for way in system.identity.ways.values():
                    if way.standing in (Standing.IN_USE, Standing.SPARE):
                        living.add((id(way.link), way.address))
                        self._send_on(way, system, beats[id(way.link)])
        for link in self.links:
            if link.peer is not None and (id(link), link.peer) not in living:
                link.send(beats[id(link)], link.peer)

    def ask_time(self, system: System) -> None:
        """Send a TIMESYNC to a registered vehicle; its answer tells how long a round trip takes."""
        way = system.identity.in_use
        if way is not None and system.identity.sysid in self._registered:
            ask = system.round_trips.ask(time.monotonic_ns())
            self._send_on(way, system, self._encoders[id(way.link)].encode(ask))

    def settle(self, system: System, monotonic_s: float) -> None:
        """Take the time that has passed into account in a system's identity; a few times a second."""
        self._probe(system, monotonic_s)
        news = system.identity.settle(monotonic_s)
        self._renew(system)
        if news is not None:
            log.warning("identity", sysid=system.identity.sysid, news=news)
            system.telemetry.set_conflict(system.identity.conflict)
            self._alarm(news)

    async def set_up_signing(self, sysid: int, key: bytes, signing: VehicleSigning, *, link: str) -> None:
        """Give a vehicle a key, over a trusted link, and wait until it signs with it.

        `signing` has that key: of a vehicle without one a new one, which counts from the first frame on that the
        vehicle signs with it, however late; of a vehicle that signs already its own, rotated. The key goes out in the
        clear, and is neither logged nor recorded. Raises VehicleUnknown, IdentityConflict, LinkInvalid where the
        vehicle is not heard on `link`; SigningInvalid where it goes on as before, as PX4 1.17, which ignores keys;
        LinkLost where nothing was heard. After the last two it may have the key all the same.
        """
        system = self._known(sysid)
        way = self._trusted_way(system, link)
        accepted = signing.check.counts[Verdict.ACCEPTED]
        if system.signing is None:
            system.candidate = signing
        started_s, judged = time.monotonic(), 0
        while signing.check.counts[Verdict.ACCEPTED] == accepted:
            spent_s = time.monotonic() - started_s
            if spent_s > 2 * SIGNS_S:
                if sum(signing.check.counts.values()) == judged:
                    raise LinkLost(f"sysid {sysid}: nothing heard since it was sent a key, which it may have taken")
                raise SigningInvalid(f"sysid {sysid} does not sign {SIGNS_S:g} s after it was given a key")
            if spent_s <= SIGNS_S:
                way = self._trusted_way(system, link)
                message = setup_signing(key, sysid=sysid, ticks=signing.timestamp())
                data = self._encoders[id(way.link)].encode(message)
                if system.signing is not None:
                    data = system.signing.sign(data, link_id=self._link_id(way.link))
                if not way.link.send(data, way.address):
                    raise LinkLost(f"sysid {sysid}: {link} does not carry now")
                judged = sum(signing.check.counts.values())
            await asyncio.sleep(SIGNS_S / 10)
        self._signing[sysid] = signing

    def _trusted_way(self, system: System, link: str) -> Way:
        sysid, way = system.identity.sysid, system.identity.in_use
        if system.identity.conflict is not None:
            raise IdentityConflict(f"sysid {sysid} gets no key while another claims it: {system.identity.conflict}")
        if way is None or way.link.name != link:
            heard = "nowhere" if way is None else f"on {way.link.name}"
            raise LinkInvalid(f"sysid {sysid}: its key may be sent on {link} only, and it is heard {heard}")
        return way

    @contextmanager
    def tap(self, sysid: int, hear: Callable[[bytes], None]) -> Iterator[None]:
        """Have `hear` called with each believed frame of a registered vehicle, without its signature.

        Raises VehicleUnknown where it is not registered or nothing was heard of it yet.
        """
        system = self._known(sysid)
        system.taps.append(hear)
        try:
            yield
        finally:
            system.taps.remove(hear)

    def relay(self, sysid: int, data: bytes, *, guarded: bool = False) -> bool:
        """Send a frame that another program of ours made for a vehicle; false where it was not sent.

        It must be one MAVLink 2 frame of our sysid that names the vehicle; heartbeats are left out, ours suffice, keys
        are never let through, and arming and mission starts only where `guarded`: whoever sets that has compared the
        mission aboard with the approved one. Raises VehicleUnknown, IdentityConflict.
        """
        self._known(sysid)
        frames = Framer().feed(data)
        message = decode(frames[0]) if len(frames) == 1 and frames[0].verified else None
        if message is None or frames[0].sysid != self.sysid or frames[0].msgid in NOT_RELAYED:
            return False
        if getattr(message, "target_system", sysid) != sysid and frames[0].msgid != PING:
            return False
        command = message.command if message.get_type() in ("COMMAND_LONG", "COMMAND_INT") else None
        disarming = command == dialect.MAV_CMD_COMPONENT_ARM_DISARM and message.param1 == 0
        if command in GUARDED and not disarming and not guarded:
            return False
        return self._transmit(sysid, lambda way: frames[0].data)

    def _known(self, sysid: int) -> System:
        if sysid not in self._registered:
            raise VehicleUnknown(f"sysid {sysid} is not registered; registered: {sorted(self._registered) or 'none'}")
        return self.system(sysid)

    def _link_id(self, link: Link) -> int:
        """For signatures: the place of a link among ours, the same after a restart."""
        return self.links.index(link)

    def _transmit(self, sysid: int, frame_for: Callable[[Way], bytes]) -> bool:
        system = self.systems.get(sysid)
        if system is None or sysid not in self._registered or (way := system.identity.in_use) is None:
            return False
        if system.identity.conflict is not None:
            raise IdentityConflict(
                f"sysid {sysid} gets no commands while another claims it: {system.identity.conflict}"
            )
        return self._send_on(way, system, frame_for(way))

    def _send_on(self, way: Way, system: System, data: bytes) -> bool:
        """An unsigned frame to a vehicle, signed if it has a key; false where it was not sent."""
        if system.signing is not None:
            try:
                data = system.signing.sign(data, link_id=self._link_id(way.link))
            except SigningInvalid as exc:
                self._tell_once(system, f"nothing can be signed for it: {exc}")
                return False
        if not way.link.send(data, way.address):
            return False
        system.sent(data)
        self._record(system, data, self._utc_now())
        return True

    def _record(self, system: System, data: bytes, utc_s: float) -> None:
        """Into its recording; one that cannot be written ends, and the flight goes on."""
        if system.recording is None:
            return
        try:
            system.recording.write(data, utc_s)
        except OSError as exc:
            self.stop_recording(system, why=exc.strerror or str(exc))

    def stop_recording(self, system: System, *, why: str) -> None:
        """End a recording that cannot be written."""
        recording, system.recording = system.recording, None
        if recording is not None:
            with suppress(OSError):
                recording.close()
            self._tell_once(system, f"its flight is not recorded any more: {why}")

    def _tell_once(self, system: System, text: str, exc: Exception | None = None) -> None:
        """An alarm, the same one at most once in a while."""
        if system.is_news(text, time.monotonic()):
            log.error("vehicle", sysid=system.identity.sysid, error=text, exc_info=exc)
            self._alarm(f"sysid {system.identity.sysid}: {text}")

    def _receive(self, link: Link, heard: Heard) -> None:
        monotonic_s, utc_s = time.monotonic(), self._utc_now()
        for address, frame in heard:
            if frame.sysid in (0, self.sysid):
                continue
            system = self.systems.get(frame.sysid) or self._first_heard(frame.sysid, monotonic_s)
            try:
                self._hear(system, link, address, frame, monotonic_s, utc_s)
            except Exception as exc:  # noqa: BLE001 - one vehicle's frame must not end the link of the others
                self._tell_once(system, f"a frame of it could not be taken: {exc!r}", exc)

    def _hear(
        self, system: System, link: Link, address: Address, frame: Frame, monotonic_s: float, utc_s: float
    ) -> None:
        verdict = None
        if system.signing is not None or system.candidate is not None:
            signed_before = system.signing is not None
            verdict = system.judge(frame)
            if verdict is not None and not verdict.accepted:
                self._reject(system, link, address, verdict, monotonic_s)
                return
            if system.signing is not None and not signed_before:
                self._signing[frame.sysid] = system.signing
                self._proven(frame.sysid)
        way = system.identity.heard(link, address, monotonic_s, proven=verdict is not None)
        if system.identity.renewed:
            self._renew(system)
        if way.standing is not Standing.IN_USE:
            if way.standing is Standing.UNPROVEN and frame.verified and frame.compid == AUTOPILOT_COMPID:
                self._weigh(system, way, frame)
            return
        system.count(frame)
        if system.recording is not None:
            self._record(system, frame.data, utc_s)
        if frame.verified:
            self._take(system, frame, utc_s)
            for hear in system.taps:
                hear(without_signature(frame))

    def _reject(self, system: System, link: Link, address: Address, verdict: Verdict, monotonic_s: float) -> None:
        """Nothing of such a frame is believed, not even that its vehicle lives at that address."""
        sysid = system.identity.sysid
        signing, due = system.signing, monotonic_s > system.probed_monotonic_s + PROBE_S
        if verdict is Verdict.STALE and signing is not None and due and not signing.clock_suspect:
            system.probed_monotonic_s = monotonic_s  # a vehicle that has not heard the time learns it from us
            with suppress(SigningInvalid):
                beat = self._encoders[id(link)].encode(beat_message())
                link.send(signing.sign(beat, link_id=self._link_id(link)), address)
        words = verdict.name.lower().replace("_", " ")
        if system.is_news(words, monotonic_s):
            text = f"sysid {sysid}: frames from {address[0]}:{address[1]} on {link.name} are not believed: {words}"
            log.warning("frame rejected", sysid=sysid, link=link.name, address=address, verdict=verdict.name)
            if sysid in self._registered:
                self._alarm(text)

    def _first_heard(self, sysid: int, monotonic_s: float) -> System:
        telemetry, links = self._registered.get(sysid) or (Telemetry(sysid), ())
        system = self.systems[sysid] = System(telemetry, Identity(sysid, links), monotonic_s)
        system.signing, system.candidate = self._signing.get(sysid), self._candidates.get(sysid)
        self.first_heard.set()
        return system

    def _weigh(self, system: System, way: Way, frame: Frame) -> None:
        if (message := decode(frame)) is not None:
            system.identity.weigh(way, message, system.telemetry.state, system.clock_rate, way.heard_monotonic_s)

    def _probe(self, system: System, monotonic_s: float) -> None:
        """Ask on ways that are to be proven; ways of vehicles that are not registered are never sent to."""
        sysid = system.identity.sysid
        if sysid not in self._registered or monotonic_s < system.probed_monotonic_s + PROBE_S:
            return
        for way in system.identity.ways.values():
            if way.standing is Standing.UNPROVEN:
                system.probed_monotonic_s = monotonic_s
                for msgid in PROBES:
                    ask = dialect.MAVLink_command_long_message(
                        sysid, AUTOPILOT_COMPID, dialect.MAV_CMD_REQUEST_MESSAGE, 0, msgid, 0, 0, 0, 0, 0, 0
                    )
                    way.link.send(self._encoders[id(way.link)].encode(ask), way.address)


def beat_message() -> Any:
    """Our heartbeat."""
    return dialect.MAVLink_heartbeat_message(
        dialect.MAV_TYPE_GCS, dialect.MAV_AUTOPILOT_INVALID, 0, 0, dialect.MAV_STATE_ACTIVE, 3
    )
