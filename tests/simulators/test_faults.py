"""Each fault does what its name says, from the moment it should, each way by itself, and again the same with the
same seed."""

from __future__ import annotations

import asyncio
import hashlib
import re
import socket
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Encoder, Frame, Framer, SequenceCount, decode
from simulators.autopilot_links import QueueLink
from simulators.clock import SimClock
from simulators.errors import LinkUnusable
from simulators.fault_frames import made_up, renumbered, rewritten
from simulators.fault_missions import RULES
from simulators.fault_schedule import (
    FAULTS,
    Bandwidth,
    ClockJump,
    Corruption,
    Delay,
    DuplicateSysid,
    Duplication,
    Fault,
    FaultInvalid,
    ForgedFrames,
    ForgedMessage,
    FrozenTelemetry,
    Garbage,
    GpsOff,
    Loss,
    Mission,
    MissionFailure,
    Reordering,
    Way,
    named_fault,
    parse_schedule,
    read_schedule,
)
from simulators.faults import FaultyLink
from simulators.vehicle import STEP_S, SimulatedVehicle

START_UTC_S = 1_800_000_000.0
DOCS = Path(__file__).parents[2] / "docs" / "faults.md"


class HandClock(SimClock):
    """Simulated time that goes on only when told."""

    def __init__(self) -> None:
        super().__init__(start_utc_s=START_UTC_S)
        self.now_s = 0.0

    def utc_s(self) -> float:
        return START_UTC_S + self.now_s


class Inner(QueueLink):
    """A link into lists."""

    async def open(self, receive: Any) -> None:
        self.from_ground = receive


class Bench:
    """A faulty link with a vehicle's encoder at one end, a ground's at the other, and time by hand."""

    def __init__(self, *faults: Fault, seed: int = 1, **options: Any) -> None:
        self.clock, self.inner = HandClock(), Inner()
        self.link = FaultyLink(self.inner, clock=self.clock, faults=faults, seed=seed, **options)
        self.heard: list[bytes] = []
        self.vehicle, self.ground = Encoder(sysid=7, compid=1), Encoder(sysid=255, compid=190)
        self.times_s: list[float] = []

    async def open(self) -> Bench:
        await self.link.open(self.heard.append)
        return self

    def up(self, message: Any) -> bytes:
        data = self.vehicle.encode(message)
        self.link.send(data)
        return data

    def down(self, message: Any) -> bytes:
        data = self.ground.encode(message)
        self.inner.from_ground(data)
        return data

    def go(self, seconds: float, *, step_s: float = 0.01) -> None:
        """Let time pass; `times_s` tells when each frame came up."""
        for _ in range(round(seconds / step_s)):
            self.clock.now_s += step_s
            self.link.pump()
            self.times_s += [self.clock.now_s] * (len(self.inner.sent) - len(self.times_s))

    def said(self) -> list[Frame]:
        """What came up, cut into frames; the zeros end what looks like a long frame."""
        return Framer().feed(b"".join(self.inner.sent) + bytes(300))


def attitude(ms: int) -> Any:
    return mavlink.MAVLink_attitude_message(ms, 0.1, 0.2, ms / 1000.0, 0, 0, 0)


def beat() -> Any:
    return mavlink.MAVLink_heartbeat_message(2, 3, 0x51, 0, 3, 3)


# -- the wire --------------------------------------------------------------------------------------------------------


async def test_without_faults_every_byte_goes_through_as_it_was() -> None:
    bench = await Bench().open()
    sent = [bench.up(attitude(ms)) for ms in range(20)]
    ordered = [bench.down(beat()) for _ in range(20)]
    assert bench.inner.sent == sent
    assert bench.heard == ordered
    assert not bench.link.counts


@pytest.mark.parametrize(("way", "struck"), [(Way.UP, "up"), (Way.DOWN, "down"), (Way.BOTH, "both")])
async def test_loss_takes_its_share_of_its_way_only(way: Way, struck: str) -> None:
    bench = await Bench(Loss(share=0.3, way=way)).open()
    for ms in range(1000):
        bench.up(attitude(ms))
        bench.down(beat())
    for name, left in (("up", len(bench.inner.sent)), ("down", len(bench.heard))):
        if struck in (name, "both"):
            assert 630 < left < 770  # 700 with a standard deviation of 14.5
        else:
            assert left == 1000
    count = SequenceCount()
    for frame in bench.said():
        count.count(frame)
    assert count.lost == pytest.approx(1000 - len(bench.inner.sent), abs=3)


async def test_loss_can_be_of_some_messages_or_of_one_command() -> None:
    bench = await Bench(Loss(messages=(30,), way=Way.UP), Loss(command=300)).open()
    bench.up(attitude(0))
    kept = [bench.up(beat()), bench.up(mavlink.MAVLink_command_ack_message(400, 0))]
    bench.up(mavlink.MAVLink_command_ack_message(300, 0))
    assert bench.inner.sent == kept
    bench.down(mavlink.MAVLink_command_long_message(7, 1, 300, 0, 0, 0, 0, 0, 0, 0, 0))
    order = bench.down(mavlink.MAVLink_command_long_message(7, 1, 400, 0, 1, 0, 0, 0, 0, 0, 0))
    assert bench.heard == [order]


async def test_the_same_seed_loses_the_same_frames_and_another_others() -> None:
    async def lost(seed: int) -> list[bytes]:
        bench = await Bench(Loss(share=0.5), seed=seed).open()
        for ms in range(200):
            bench.up(attitude(ms))
        return bench.inner.sent

    assert await lost(3) == await lost(3)
    assert await lost(3) != await lost(4)


async def test_a_second_fault_does_not_change_what_the_first_does() -> None:
    alone = await Bench(Loss(share=0.5)).open()
    both = await Bench(Loss(share=0.5), Duplication(share=0.5)).open()
    for ms in range(100):
        alone.up(attitude(ms))
        both.up(attitude(ms))
    seen = list(dict.fromkeys(both.inner.sent))
    assert seen == alone.inner.sent
    assert len(both.inner.sent) > len(seen)


async def test_delay_keeps_the_order_and_its_limits() -> None:
    bench = await Bench(Delay(by_s=0.4, jitter_s=0.3, way=Way.UP)).open()
    sent = []
    for ms in range(50):
        sent.append(bench.up(attitude(ms)))
        bench.go(0.1)
    bench.go(1.0)
    assert bench.inner.sent == sent
    late_s = [at_s - 0.1 * index for index, at_s in enumerate(bench.times_s)]
    assert 0.39 < min(late_s) < 0.5
    assert 0.6 < max(late_s) < 0.72
    bench.down(beat())
    assert len(bench.heard) == 1


async def test_nothing_reaches_a_vehicle_while_it_sends() -> None:
    bench = await Bench(Delay(by_s=0.4, way=Way.DOWN)).open()
    bench.down(beat())
    bench.clock.now_s = 1.0
    bench.up(attitude(0))
    assert bench.heard == []
    bench.link.pump()
    assert len(bench.heard) == 1


async def test_duplication_and_reordering() -> None:
    bench = await Bench(Duplication(share=0.5, way=Way.UP)).open()
    for ms in range(400):
        bench.up(attitude(ms))
    assert 540 < len(bench.inner.sent) < 660
    assert len(set(bench.inner.sent)) == 400
    other = await Bench(Reordering(share=0.3, by_s=0.2, way=Way.UP)).open()
    sent = []
    for ms in range(100):
        sent.append(other.up(attitude(ms)))
        other.go(0.05)
    other.go(1.0)
    assert sorted(other.inner.sent) == sorted(sent)
    overtaken = sum(a > b for a, b in zip(*(map(sent.index, other.inner.sent[s:]) for s in (0, 1)), strict=False))
    assert 15 < overtaken < 40


async def test_a_narrow_line_carries_its_bytes_and_loses_what_cannot_wait() -> None:
    bench = await Bench(Bandwidth(bytes_per_s=1000, queue_bytes=400, way=Way.UP)).open()
    size = 0
    for ms in range(400):
        size += len(bench.up(attitude(ms)))
        bench.go(0.01)
    carried = sum(map(len, bench.inner.sent))
    assert size > 10_000
    assert carried == pytest.approx(4.0 * 1000, rel=0.03)
    assert bench.times_s[0] == pytest.approx(len(bench.inner.sent[0]) / 1000, abs=0.02)


async def test_corrupted_frames_and_garbage_leave_the_others_whole() -> None:
    bench = await Bench(Corruption(share=0.2, way=Way.UP), Garbage(rate_hz=20, way=Way.UP)).open()
    sent = []
    for ms in range(300):
        sent.append(bench.up(attitude(ms)))
        bench.go(0.05)
    whole = [frame.data for frame in bench.said() if frame.verified]
    assert set(whole) <= set(sent)
    spoilt = bench.link.counts["corruption"]
    assert 35 < spoilt < 90
    assert len(whole) == len(set(sent) & set(bench.inner.sent))
    assert bench.link.counts["garbage"] == pytest.approx(300, abs=3)
    again = await Bench(Corruption(share=0.2, way=Way.UP), Garbage(rate_hz=20, way=Way.UP)).open()
    for ms in range(300):
        again.up(attitude(ms))
        again.go(0.05)
    assert again.inner.sent == bench.inner.sent


# -- what the vehicle seems to say -----------------------------------------------------------------------------------


async def test_frozen_telemetry_says_the_same_again_and_answers_go_on() -> None:
    bench = await Bench(FrozenTelemetry(at_s=1.0, for_s=1.0)).open()
    for ms in range(0, 3000, 100):
        bench.up(attitude(ms))
        bench.up(mavlink.MAVLink_command_ack_message(ms, 0))
        bench.go(0.1)
    told = [decode(frame) for frame in bench.said()]
    times_ms = [message.time_boot_ms for message in told if message.get_type() == "ATTITUDE"]
    assert times_ms == [*range(0, 1000, 100), *[1000] * 10, *range(2000, 3000, 100)]
    assert [message.command for message in told if message.get_type() == "COMMAND_ACK"] == list(range(0, 3000, 100))
    count = SequenceCount()
    for frame in bench.said():
        count.count(frame)
    assert count.lost == 0


async def test_a_modem_that_repeats_its_buffer_repeats_the_bytes() -> None:
    bench = await Bench(FrozenTelemetry(renumbered=False)).open()
    first = bench.up(attitude(0))
    for ms in range(1, 10):
        bench.up(attitude(ms))
    assert bench.inner.sent == [first] * 10


async def test_a_clock_jumps_and_comes_back() -> None:
    bench = await Bench(ClockJump(by_s=7200.0, for_s=1.0)).open()
    utc_us = round(START_UTC_S * 1e6)
    for _ in range(2):
        bench.up(attitude(5_000))
        bench.up(mavlink.MAVLink_system_time_message(utc_us, 5_000))
        bench.up(mavlink.MAVLink_gps_raw_int_message(6_000_000, 3, 0, 0, 0, 100, 100, 0, 0, 10))
        bench.up(mavlink.MAVLink_timesync_message(9_000_000_000, 4))
        bench.go(1.5)
    messages = [decode(frame) for frame in bench.said()]
    for jump_s, (turned, system, raw, sync) in ((7200, messages[:4]), (0, messages[4:])):
        assert turned.time_boot_ms == 5_000 + jump_s * 1000
        assert (system.time_unix_usec, system.time_boot_ms) == (utc_us + jump_s * 10**6, 5_000 + jump_s * 1000)
        assert raw.time_usec == 6_000_000 + jump_s * 10**6
        assert (sync.tc1, sync.ts1) == (9_000_000_000 + jump_s * 10**9, 4)


async def test_a_clock_that_jumps_back_stops_at_nought_and_the_time_of_day_can_stay() -> None:
    bench = await Bench(ClockJump(by_s=-60.0, utc=False)).open()
    bench.up(mavlink.MAVLink_system_time_message(round(START_UTC_S * 1e6), 5_000))
    (message,) = [decode(frame) for frame in bench.said()]
    assert (message.time_unix_usec, message.time_boot_ms) == (round(START_UTC_S * 1e6), 0)


async def test_a_second_source_speaks_from_another_address_and_another_place() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ground:
        ground.bind(("127.0.0.1", 0))
        ground.settimeout(2.0)
        bench = await Bench(DuplicateSysid(link=f"udpout:127.0.0.1:{ground.getsockname()[1]}", north_m=5000)).open()
        await asyncio.sleep(0.05)
        bench.up(mavlink.MAVLink_global_position_int_message(1, 432_380_000, 769_450_000, 0, 0, 0, 0, 0, 0))
        (frame,) = Framer().feed(ground.recv(2048))
        bench.link.close()
    assert frame.sysid == 7
    assert decode(frame).lat == 432_380_000 + round(5000 / 111_132 * 1e7)
    assert decode(frame).lon == 769_450_000
    (own,) = bench.said()
    assert decode(own).lat == 432_380_000


async def test_forged_frames_have_a_right_crc_and_a_wrong_sender_or_key() -> None:
    bench = await Bench(ForgedFrames(sysid=9, rate_hz=10)).open()
    bench.up(attitude(0))
    bench.go(1.0)
    forged = [frame for frame in bench.said() if frame.sysid == 9]
    assert len(forged) == 10
    assert all(frame.verified and not frame.signed and frame.msgid == 0 for frame in forged)
    key = hashlib.sha256(b"true").digest()
    poison = ForgedFrames(way=Way.DOWN, message=ForgedMessage.DISARM, rate_hz=2, signed=True, ahead_s=3600)
    other = await Bench(poison, key=key).open()
    other.up(attitude(0))
    other.go(2.0)
    frames = Framer().feed(b"".join(other.heard))
    assert {(frame.sysid, frame.compid, frame.signed) for frame in frames} == {(255, 190, True)}
    order = decode(frames[0])
    assert (order.target_system, order.command, order.param1, order.param2) == (7, 400, 0, 21196)
    for frame in frames:
        assert hashlib.sha256(key + frame.data[:-6]).digest()[:6] != frame.data[-6:]
        ticks = int.from_bytes(frame.data[-12:-6], "little")
        ahead_s = ticks / 1e5 + 1_420_070_400 - START_UTC_S
        assert 3600 <= ahead_s <= 3603


# -- frames ----------------------------------------------------------------------------------------------------------


def test_a_changed_frame_is_right_again_signed_and_unsigned() -> None:
    key = hashlib.sha256(b"key").digest()
    mav = mavlink.MAVLink(None, srcSystem=7, srcComponent=1)
    mav.signing.secret_key = key
    mav.signing.allow_unsigned_callback = lambda *_: False
    for signature in (None, (key, START_UTC_S)):
        frame = made_up(attitude(5), sysid=7, compid=1, seq=250, signature=signature)
        for changed in (
            renumbered(frame, 3, key=key),
            rewritten(frame, mavlink.MAVLink_mission_ack_message(255, 190, 5, 0), key=key),
        ):
            (found,) = Framer().feed(changed.data)
            assert found == changed
            assert found.verified
            if signature is not None:
                mav.signing.stream_timestamps.clear()
                assert mav.check_signature(bytearray(found.data), 7, 1)
    signed = made_up(attitude(5), sysid=7, compid=1, seq=250, signature=(key, START_UTC_S))
    assert renumbered(signed, 3) is signed
    altered = rewritten(signed, attitude(6))
    assert hashlib.sha256(key + altered.data[:-6]).digest()[:6] != altered.data[-6:]


# -- the mission protocol --------------------------------------------------------------------------------------------


def conversation(bench: Bench) -> list[str]:
    """Write five items and read them back, both ends by the book; what the ground hears of it, in short."""
    for message in (
        mavlink.MAVLink_mission_request_message(255, 190, 0, 0),
        mavlink.MAVLink_mission_request_message(255, 190, 1, 0),
        mavlink.MAVLink_mission_request_message(255, 190, 1, 0),
        mavlink.MAVLink_mission_request_message(255, 190, 2, 0),
        mavlink.MAVLink_mission_request_message(255, 190, 3, 0),
        mavlink.MAVLink_mission_ack_message(255, 190, 0, 0),
        mavlink.MAVLink_mission_count_message(255, 190, 5, 0),
        mavlink.MAVLink_mission_count_message(255, 190, 5, 0),
        *[
            mavlink.MAVLink_mission_item_int_message(255, 190, n, 3, 16, 0, 1, 0, 0, 0, 0, 5, 6, 7, 0)
            for n in (0, 1, 1)
        ],
        mavlink.MAVLink_mission_ack_message(255, 190, 15, 0),
        mavlink.MAVLink_mission_ack_message(255, 190, 0, 1),
    ):
        bench.up(message)
    return [short(frame) for frame in bench.said()]


def short(frame: Frame) -> str:
    message = decode(frame)
    kind = message.get_type().removeprefix("MISSION_")
    for name in ("seq", "count", "type"):
        if hasattr(message, name):
            return f"{kind} {getattr(message, name)}" + (f" {message.x}" if hasattr(message, "x") else "")
    return str(kind)


BY_THE_BOOK = [
    "REQUEST 0", "REQUEST 1", "REQUEST 1", "REQUEST 2", "REQUEST 3", "ACK 0", "COUNT 5", "COUNT 5", "ITEM_INT 0 5",
    "ITEM_INT 1 5", "ITEM_INT 1 5", "ACK 15", "ACK 0",
]  # fmt: skip
F = MissionFailure
CHANGES: dict[MissionFailure, dict[int, str | None]] = {
    F.READ_LIST_NO_ANSWER: {6: None, 7: None},
    F.READ_LIST_FIRST_LOST: {6: None},
    F.READ_ITEM_0_NO_ANSWER: {8: None},
    F.READ_ITEM_1_NO_ANSWER: {9: None, 10: None},
    F.READ_ITEM_1_FIRST_LOST: {9: None},
    F.READ_ITEM_0_WRONG_SEQUENCE: {8: "ITEM_INT 1 5"},
    F.READ_ITEM_1_WRONG_SEQUENCE: {9: "ITEM_INT 2 5", 10: "ITEM_INT 2 5"},
    F.READ_ITEM_0_ERROR_ACK: {8: "ACK 5"},
    F.READ_ITEM_1_ERROR_ACK: {9: "ACK 5", 10: "ACK 5"},
    F.WRITE_COUNT_NO_ANSWER: {0: None},
    F.WRITE_COUNT_FIRST_LOST: {0: None},
    F.WRITE_REQUEST_1_NO_ANSWER: {1: None, 2: None},
    F.WRITE_REQUEST_0_WRONG_SEQUENCE: {0: "REQUEST 1"},
    F.WRITE_REQUEST_1_WRONG_SEQUENCE: {1: "REQUEST 2", 2: "REQUEST 2"},
    F.WRITE_REQUEST_0_ERROR_ACK: {0: "ACK 5"},
    F.WRITE_REQUEST_1_ERROR_ACK: {1: "ACK 5", 2: "ACK 5"},
    F.WRITE_FINAL_ACK_LOST: {5: None},
    F.WRITE_FINAL_ACK_ERROR: {5: "ACK 5"},
    F.WRITE_FINAL_ACK_EARLY: {4: "ACK 0"},
    F.READ_COUNT_TOO_HIGH: {6: "COUNT 6", 7: "COUNT 6"},
    F.READ_COUNT_TOO_LOW: {6: "COUNT 4", 7: "COUNT 4"},
    F.READ_ITEM_1_ALTERED: {9: "ITEM_INT 1 6", 10: "ITEM_INT 1 6"},
}


@pytest.mark.parametrize("failure", CHANGES)
async def test_a_mission_failure_changes_its_own_answer_and_no_other(failure: MissionFailure) -> None:
    bench = await Bench(Mission(failure=failure, result=5)).open()
    expected = [CHANGES[failure].get(index, line) for index, line in enumerate(BY_THE_BOOK)]
    assert conversation(bench) == [line for line in expected if line is not None]
    assert bench.link.counts["mission"] == len(CHANGES[failure])
    assert [frame.seq for frame in bench.said()] == list(range(len(bench.said())))


GOING_DOWN = [(44, "COUNT 5"), (73, "ITEM_INT 0 5"), (73, "ITEM_INT 1 5"), (73, "ITEM_INT 2 5")]


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        (F.WRITE_COUNT_TOO_LOW, ["COUNT 4", "ITEM_INT 0 5", "ITEM_INT 1 5", "ITEM_INT 2 5"]),
        (F.WRITE_ITEM_1_ALTERED, ["COUNT 5", "ITEM_INT 0 5", "ITEM_INT 1 6", "ITEM_INT 2 5"]),
        (F.WRITE_ITEM_1_LOST, ["COUNT 5", "ITEM_INT 0 5", "ITEM_INT 2 5"]),
        (F.WRITE_ITEM_1_REFUSED, ["COUNT 5", "ITEM_INT 0 5", "ITEM_INT 1 5", "ITEM_INT 2 5"]),
    ],
)
async def test_a_mission_failure_changes_what_the_ground_sends(failure: MissionFailure, expected: list[str]) -> None:
    bench = await Bench(Mission(failure=failure)).open()
    bench.down(mavlink.MAVLink_mission_count_message(7, 1, 5, 0))
    for seq in range(3):
        bench.down(mavlink.MAVLink_mission_item_int_message(7, 1, seq, 3, 16, 0, 1, 0, 0, 0, 0, 5, 6, 7, 0))
    frames = Framer().feed(b"".join(bench.heard))
    assert [short(frame) for frame in frames] == expected
    commands = [decode(frame).command for frame in frames[1:]]
    assert commands == ([16, 31_999, 16] if failure is F.WRITE_ITEM_1_REFUSED else [16] * len(commands))


@pytest.mark.parametrize(
    ("failure", "kind"),
    [(F.UNASKED_ACK, "ACK 1"), (F.UNASKED_ITEM, "ITEM_INT 0 432000000"), (F.UNASKED_REQUEST, "REQUEST_INT 0")],
)
async def test_unasked_mission_messages_come_once_to_the_ground_that_is_there(
    failure: MissionFailure, kind: str
) -> None:
    bench = await Bench(Mission(failure=failure)).open()
    bench.down(mavlink.MAVLink_mission_request_list_message(7, 1, 0))
    for _ in range(3):
        bench.up(beat())
    frames = bench.said()
    assert [short(frame) for frame in frames if frame.msgid != 0] == [kind]
    assert [frame.seq for frame in frames] == [0, 1, 2, 3]
    (unasked,) = [decode(frame) for frame in frames if frame.msgid != 0]
    assert (unasked.target_system, unasked.target_component) == (255, 190)


def test_no_mission_failure_is_left_without_a_test() -> None:
    unasked = {F.UNASKED_ACK, F.UNASKED_ITEM, F.UNASKED_REQUEST}
    downward = {F.WRITE_COUNT_TOO_LOW, F.WRITE_ITEM_1_ALTERED, F.WRITE_ITEM_1_LOST, F.WRITE_ITEM_1_REFUSED}
    assert set(MissionFailure) == set(CHANGES) | unasked | downward
    assert set(RULES) == set(CHANGES) | downward


# -- schedules and the vehicle itself --------------------------------------------------------------------------------


async def test_faults_begin_and_end_by_the_vehicles_clock() -> None:
    called: list[tuple[float, str, dict[str, float] | None]] = []

    def vehicle_fault(name: str, options: Mapping[str, float | None] | None) -> None:
        called.append((round(bench.clock.now_s, 2), name, None if options is None else dict(options)))

    text = """
    - {at_s: 12, fault: loss, share: 1.0, way: up, for_s: 20}
    - {at_s: 5, fault: motor, motor: 2, for_s: 3}
    - {at_s: 6, fault: gps_off}
    """
    bench = await Bench(*parse_schedule(text), vehicle_fault=vehicle_fault).open()
    arrived = []
    for second in range(40):
        before = len(bench.inner.sent)
        bench.up(attitude(second))
        arrived.append(len(bench.inner.sent) - before)
        bench.go(1.0, step_s=0.25)
    assert arrived == [1] * 12 + [0] * 20 + [1] * 8
    assert called == [
        (5.0, "motor", {"motor": 2, "thrust": 0.0}),
        (6.0, "gps_off", {}),
        (8.0, "motor", None),
    ]
    assert [fault.name() for fault in bench.link.active] == ["gps_off"]


async def test_faults_come_and_go_by_hand() -> None:
    bench = await Bench().open()
    loss = bench.link.inject(Loss())
    later = bench.link.inject(Loss(at_s=5.0))
    bench.up(attitude(0))
    assert bench.inner.sent == []
    bench.link.lift(loss)
    bench.link.lift(later)
    bench.go(6.0, step_s=0.5)
    bench.up(attitude(1))
    assert len(bench.inner.sent) == 1
    bench.link.inject(Loss())
    bench.link.clear()
    bench.up(attitude(2))
    assert len(bench.inner.sent) == 2


async def test_a_timer_drives_what_is_due_on_a_running_clock() -> None:
    inner, clock = Inner(), SimClock(start_utc_s=START_UTC_S, speedup=20.0)
    link = FaultyLink(inner, clock=clock, faults=[Delay(by_s=1.0)])
    await link.open(lambda data: None)
    link.send(Encoder(sysid=7, compid=1).encode(beat()))
    assert inner.sent == []
    await asyncio.sleep(0.15)
    assert len(inner.sent) == 1
    link.close()


async def test_what_breaks_a_fault_reaches_the_vehicle() -> None:
    def refuses(name: str, options: Mapping[str, float | None] | None) -> None:
        raise FaultInvalid(f"no {name}")

    clock = SimClock(start_utc_s=START_UTC_S, speedup=20.0)
    link = FaultyLink(Inner(), clock=clock, faults=[GpsOff(at_s=1.0)], vehicle_fault=refuses)
    await link.open(lambda data: None)
    await asyncio.sleep(0.15)
    with pytest.raises(FaultInvalid, match="no gps_off"):
        link.send(Encoder(sysid=7, compid=1).encode(beat()))
    link.close()


async def test_the_satellites_go_and_come_in_a_simulated_vehicle() -> None:
    clock = HandClock()
    link = FaultyLink(
        Inner(), clock=clock, faults=[GpsOff(at_s=10.0, for_s=5.0)],
        vehicle_fault=lambda name, options: vehicle.carry_out(name, options),
    )  # fmt: skip
    vehicle = SimulatedVehicle(sysid=7, home=(76.9, 43.2, 800.0), link=link, clock=clock, ready_after_s=3.0)
    await link.open(vehicle.receive)
    fixes = []
    for _ in range(round(20.0 / STEP_S)):
        clock.now_s += STEP_S
        vehicle.step()
        link.pump()
        fixes.append(vehicle.pilot.has_fix())
    lost_s = [index * STEP_S for index, fix in enumerate(fixes) if not fix and index * STEP_S > 5]
    assert lost_s[0] == pytest.approx(10.0, abs=0.1)
    assert lost_s[-1] == pytest.approx(15.0, abs=0.1)
    link.close()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("- fault: [", "day.yaml: not YAML"),
        ("fault: loss", "day.yaml: expected a list of faults"),
        ("- loss", "day.yaml, entry 1: expected `fault: NAME`"),
        ("- fault: loss\n- at_s: 3", "day.yaml, entry 2: `fault` is missing; known are loss, delay"),
        ("- fault: gremlin", "day.yaml, entry 1: no fault is called 'gremlin'; known are loss"),
        ("- {fault: loss, share: 1.5}", r"entry 1 \(loss\): Expected `float` <= 1.0 - at `\$.share`"),
        (
            "- {fault: loss, shar: 0.5}",
            r"entry 1 \(loss\): .*unknown field `shar`; loss takes at_s, for_s, way, share, messages, command",
        ),
        ("- {fault: loss, at_s: soon}", r"entry 1 \(loss\): Expected `float`, got `str` - at `\$.at_s`"),
        ("- {fault: loss, for_s: 0}", r"Expected `float` > 0.0 - at `\$.for_s`"),
        ("- {fault: delay, way: sideways}", r"Invalid enum value 'sideways' - at `\$.way`"),
        ("- {fault: mission, failure: nap}", "Invalid enum value 'nap'.*known are read_list_no_answer"),
        ("- {fault: forged_frames, way: both}", r"forged_frames\): way is up or down, not both"),
    ],
)
def test_a_wrong_schedule_is_refused_with_the_entry_and_the_reason(text: str, words: str) -> None:
    with pytest.raises(FaultInvalid, match=words):
        parse_schedule(text, source="day.yaml")


def test_faults_by_name() -> None:
    assert named_fault("gps_off") == GpsOff()
    assert named_fault("loss, share=0.3, way=up, at_s=12") == Loss(share=0.3, way=Way.UP, at_s=12)
    assert named_fault("write_final_ack_lost") == Mission(failure=F.WRITE_FINAL_ACK_LOST)
    with pytest.raises(FaultInvalid, match="'share' is not KEY=VALUE"):
        named_fault("loss,share")
    with pytest.raises(FaultInvalid, match="no fault is called 'los'"):
        named_fault("los")


def test_what_cannot_be_is_refused_before_anything_runs(tmp_path: Path) -> None:
    clock = HandClock()
    with pytest.raises(FaultInvalid, match="gps_off: nobody is there"):
        FaultyLink(QueueLink(), clock=clock, faults=[GpsOff()])
    with pytest.raises(FaultInvalid, match="name the link of the second source"):
        FaultyLink(QueueLink(), clock=clock, faults=[DuplicateSysid()])
    with pytest.raises(LinkUnusable):
        FaultyLink(QueueLink(), clock=clock, faults=[DuplicateSysid(link="pigeon")])
    with pytest.raises(FaultInvalid, match=r"none\.yaml: cannot be read"):
        read_schedule(tmp_path / "none.yaml")


def test_the_page_on_faults_names_them_all_and_its_example_is_right() -> None:
    page = DOCS.read_text(encoding="utf-8")
    (example,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    faults = parse_schedule(example, source="docs/faults.md")
    assert len(faults) >= 5
    named = set(re.findall(r"^\| `(\w+)`", page, re.MULTILINE))
    assert named == {kind.name() for kind in FAULTS} | set(MissionFailure)
