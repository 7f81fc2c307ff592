"""The simulated ArduCopter signs, believes and locks out as the recorded one did; PX4 does not listen."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Framer
from fleet.signing import TICKS_PER_S, SignatureCheck, Verdict, ticks_of
from simulators.autopilot_links import QueueLink
from simulators.autopilot_signing import Signatures
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle
from tests.simulators.ground import HOME
from tests.simulators.test_vehicle_against_recordings import GROUNDS, likeness, recordings, said

__all__ = ["recordings"]

KEY, OTHER = b"B" * 32, b"C" * 32
NOW_S = 1_795_000_000.0
NOW = ticks_of(NOW_S)


class Wires:
    """A vehicle with two links and a ground on each; frames signed by pymavlink, judged by what comes back."""

    def __init__(self, **options: Any) -> None:
        self.links = [QueueLink(), QueueLink()]
        clock = SimClock(start_utc_s=NOW_S)
        self.vehicle = SimulatedVehicle(
            sysid=7,
            home=HOME,
            link=self.links[0],
            more_links=[self.links[1]],
            clock=clock,
            ready_after_s=1.0,
            **options,
        )
        self.run(1.2)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.04)):
            self.vehicle.step()

    def packed(
        self, message: Any, key: bytes | None, ticks: int, *, stream: int = 0, sysid: int = 255, version: int = 2
    ) -> bytes:
        sender = mavlink.MAVLink(None, srcSystem=sysid, srcComponent=190)
        if key is not None:
            sender.signing.secret_key, sender.signing.sign_outgoing = key, True
            sender.signing.timestamp, sender.signing.link_id = ticks, stream
        return bytes(message.pack(sender, force_mavlink1=version == 1))

    def say(self, link: int, message: Any, key: bytes | None = None, ticks: int = NOW, **how: Any) -> list[bytes]:
        """Send on a link; the frames that come back there."""
        self.links[link].sent.clear()
        self.vehicle.receive(self.packed(message, key, ticks, **how), link)
        return list(self.links[link].sent)

    def obeyed(self, link: int, key: bytes | None = None, ticks: int = NOW, **how: Any) -> bool:
        """Whether REQUEST_MESSAGE of the version is answered with it."""
        order = mavlink.MAVLink_command_long_message(7, 1, 512, 0, 148, 0, 0, 0, 0, 0, 0)
        return len(self.say(link, order, key, ticks, **how)) == 2

    def set_up(self, key: bytes, ticks: int = NOW, link: int = 0, **how: Any) -> list[bytes]:
        return self.say(link, mavlink.MAVLink_setup_signing_message(7, 1, list(key), ticks), **how)


def test_a_key_is_taken_without_an_answer_and_all_links_sign() -> None:
    wires = Wires()
    assert wires.obeyed(0)
    assert wires.obeyed(1)
    assert wires.set_up(KEY) == []
    for link in wires.links:
        link.sent.clear()
    wires.run(1.1)
    for number, link in enumerate(wires.links):
        frames = [frame for data in link.sent for frame in Framer().feed(data)]
        assert frames
        check = SignatureCheck(7, KEY)
        assert {check.check(frame, NOW_S) for frame in frames} == {Verdict.ACCEPTED}
        assert {frame.data[-13] for frame in frames} == {number}
        first = int.from_bytes(frames[0].data[-12:-6], "little")
        assert first - NOW == pytest.approx(60 * TICKS_PER_S, abs=100), "a minute ahead"


def test_the_second_link_takes_only_what_is_signed_rightly_and_late_enough() -> None:
    wires = Wires()
    wires.set_up(KEY)
    first, second = 0, 1
    assert not wires.obeyed(second)
    assert not wires.obeyed(second, version=1)
    assert not wires.obeyed(second, OTHER)
    assert wires.obeyed(second, KEY)
    assert not wires.obeyed(second, KEY), "a replay"
    assert not wires.obeyed(second, KEY, NOW - 10 * TICKS_PER_S)
    assert wires.obeyed(second, KEY, NOW + 1)
    assert not wires.obeyed(second, KEY, NOW - TICKS_PER_S, stream=8), "a new stream, more than a minute behind its own"
    assert wires.obeyed(second, KEY, NOW + TICKS_PER_S, stream=9)
    assert wires.vehicle.radio.dropped == 6
    assert wires.obeyed(first), "SERIAL0 takes what is not signed"
    assert wires.obeyed(first, OTHER), "or signed wrongly"


def test_radios_may_tell_of_themselves_unsigned() -> None:
    wires = Wires()
    wires.set_up(KEY)
    wires.say(1, mavlink.MAVLink_radio_status_message(1, 2, 3, 4, 5, 6, 7), sysid=51)
    assert wires.vehicle.radio.dropped == 0


def test_a_frame_an_hour_ahead_is_taken_and_locks_out_the_right_time() -> None:
    wires = Wires()
    wires.set_up(KEY)
    hour = 3600 * TICKS_PER_S
    assert wires.obeyed(1, KEY, NOW + TICKS_PER_S, stream=1)
    assert wires.obeyed(1, KEY, NOW + hour, stream=9, sysid=254)
    assert not wires.obeyed(1, KEY, NOW + 2 * TICKS_PER_S, stream=10), "any new stream of the right time"
    assert wires.obeyed(1, KEY, NOW + 2 * TICKS_PER_S, stream=1), "a stream that it knows already goes on"
    assert wires.obeyed(1, KEY, NOW + hour + 1, stream=9, sysid=254)


@pytest.mark.parametrize(("link", "how"), [(0, {}), (1, {"key": KEY, "ticks": NOW + 5})])
def test_a_key_of_zeros_switches_it_off(link: int, how: dict[str, Any]) -> None:
    wires = Wires()
    wires.set_up(KEY)
    off = mavlink.MAVLink_setup_signing_message(7, 1, [0] * 32, 0)
    wires.say(1, off)
    assert not wires.obeyed(1), "not by somebody without the key"
    wires.say(link, off, **how)
    assert wires.obeyed(1)
    (frame,) = Framer().feed(wires.links[1].sent[0])
    assert not frame.signed


def test_no_key_is_taken_when_armed() -> None:
    wires = Wires()
    wires.vehicle.pilot.arm(force=True)
    wires.run(0.1)
    (frame,) = [frame for data in wires.set_up(KEY) for frame in Framer().feed(data)]
    assert (frame.msgid, frame.signed) == (253, False)
    assert wires.obeyed(1)


def test_it_may_have_a_key_from_the_start_and_trust_another_link_or_none() -> None:
    for trusted in (0, 1, None):
        wires = Wires(signing_key=KEY, trusted_link=trusted)
        assert [wires.obeyed(link) for link in (0, 1)] == [link == trusted for link in (0, 1)]
        assert wires.obeyed(1, KEY, NOW + 2 * TICKS_PER_S)
    for wrong in ({"signing_key": b"short"}, {"signing_key": bytes(32)}, {"signing_key": KEY, "autopilot": "px4"}):
        with pytest.raises(ValueError, match="signing_key must be 32 bytes"):
            Wires(**wrong)


def test_a_vehicle_in_another_century_signs_all_the_same() -> None:
    link = QueueLink()
    vehicle = SimulatedVehicle(sysid=7, home=HOME, link=link, clock=SimClock(start_utc_s=0.0), ready_after_s=1.0)
    for _ in range(60):
        vehicle.step()
    vehicle.radio.signatures.set_up(KEY, NOW)
    link.sent.clear()
    for _ in range(30):
        vehicle.step()
    assert all(frame.signed for data in link.sent for frame in Framer().feed(data))


def test_px4_does_not_listen_to_keys() -> None:
    wires = Wires(autopilot="px4")
    assert wires.set_up(KEY) == []
    wires.run(0.5)
    assert wires.obeyed(1)
    assert not any(frame.signed for data in wires.links[1].sent for frame in Framer().feed(data))


def test_what_the_other_ground_says_is_passed_on_as_it_came() -> None:
    wires = Wires()
    wires.set_up(KEY)
    beat = mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3)
    wires.links[1].sent.clear()
    wires.say(0, beat)
    assert wires.links[1].sent == [wires.packed(beat, None, NOW)]
    wires.say(1, beat, sysid=254)
    assert not any(f.sysid == 254 for data in wires.links[0].sent for f in Framer().feed(data)), "not believed"
    wires.say(1, beat, KEY, sysid=254)
    assert any(f.sysid == 254 and f.signed for data in wires.links[0].sent for f in Framer().feed(data))


def test_no_more_streams_than_it_can_remember() -> None:
    signatures = Signatures(links=1, trusted_link=None)
    signatures.set_up(KEY, NOW)
    sender = mavlink.MAVLink(None, srcSystem=255, srcComponent=190)
    sender.signing.secret_key, sender.signing.sign_outgoing, sender.signing.timestamp = KEY, True, NOW
    taken = []
    for stream in range(18):
        sender.signing.link_id = stream
        frame = bytes(mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3).pack(sender))
        taken.append(signatures.believes(0, frame, sysid=255, compid=190, msgid=0))
    assert taken == [True] * 16 + [False] * 2


def test_it_signs_and_believes_as_recorded_on_two_links(recordings: Path) -> None:
    """Both grounds of the recording speak to one vehicle; each link carries what the recorded one carried."""
    theirs: list[list[str]] = [[], []]
    frames: list[tuple[float, int, bytes]] = []
    start = 0.0
    for number in (0, 1):
        log = mavutil.mavlink_connection(str(recordings / f"ap_07_signing_serial{number}.tlog"))
        while (message := log.recv_match()) is not None:
            start = start or message._timestamp
            if message.get_srcSystem() < GROUNDS:
                theirs[number] += [words] if (words := signed_words(message)) else []
            elif message.get_srcSystem() == 255 - number:
                frames.append((message._timestamp - start, number, bytes(message.get_msgbuf())))
        log.close()
    links = [QueueLink(), QueueLink()]
    vehicle = SimulatedVehicle(
        sysid=1, home=HOME, link=links[0], more_links=[links[1]], clock=SimClock(start_utc_s=start), ready_after_s=41.0
    )
    for moment_s, number, frame in sorted(frames):
        while vehicle.pilot.time_s < moment_s:
            vehicle.step()
        vehicle.receive(frame, number)
    for number, link in enumerate(links):
        parser = mavlink.MAVLink(None)
        sent = [message for data in link.sent for message in parser.parse_buffer(data) or []]
        ours = [words for m in sent if m.get_srcSystem() == 1 and (words := signed_words(m))]
        difference = "\n".join(difflib.unified_diff(theirs[number], ours, "recorded", "ours", n=0))
        alike = likeness(theirs[number], ours)
        print(f"signing, link {number}: {alike:.3f} of {len(theirs[number])} answers are alike")
        assert alike >= 0.95, difference


def signed_words(message: Any) -> str | None:
    words = said(message)
    return None if words is None else f"{words} {'signed' if message.get_msgbuf()[2] & 1 else 'unsigned'}"
