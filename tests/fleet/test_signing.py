"""Signatures: ours pass pymavlink's check, theirs pass ours, and whatever is wrong is rejected for its own reason."""

from __future__ import annotations

import hashlib
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.errors import SigningInvalid
from fleet.framing import Encoder, Frame, Framer
from fleet.recording import read_recording
from fleet.signing import (
    SIK_RADIO_STATUS,
    SignatureCheck,
    Signer,
    SigningTime,
    SteadyClock,
    VehicleSigning,
    Verdict,
    ticks_of,
)

KEY, OTHER_KEY, NEW_KEY = b"B" * 32, b"C" * 32, bytes(range(32))
COMMAND_LONG = 76
NOW_S = 1_795_326_176.0
HEARTBEAT = dialect.MAVLink_heartbeat_message(2, 3, 81, 0, 3, 3)


def signed(
    key: bytes = KEY,
    *,
    utc_s: float = NOW_S,
    sysid: int = 1,
    compid: int = 1,
    link_id: int = 0,
    message: Any = HEARTBEAT,
) -> Frame:
    """A frame as pymavlink signs it."""
    mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=compid)
    mav.signing.secret_key, mav.signing.sign_outgoing = key, True
    mav.signing.timestamp, mav.signing.link_id = ticks_of(utc_s), link_id
    (frame,) = Framer().feed(bytes(message.pack(mav)))
    return frame


def unsigned(*, sysid: int = 1, compid: int = 1, message: Any = HEARTBEAT, version: int = 2) -> Frame:
    mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=compid)
    (frame,) = Framer().feed(bytes(message.pack(mav, force_mavlink1=version == 1)))
    return frame


def test_timestamps_count_10_us_from_2015() -> None:
    assert ticks_of(1_420_070_400.0) == 0
    assert ticks_of(1_420_070_401.5) == 150_000
    for bad in (0.0, 1e12, float("nan"), float("inf")):
        with pytest.raises(SigningInvalid, match="2015 to 2104"):
            ticks_of(bad)


@pytest.mark.parametrize(
    ("frame", "verdict"),
    [
        (signed(), Verdict.ACCEPTED),
        (signed(utc_s=NOW_S + 599.0), Verdict.ACCEPTED),
        (signed(utc_s=NOW_S - 59.0), Verdict.ACCEPTED),
        (signed(message=dialect.MAVLink_statustext_message(6, b"x" * 50)), Verdict.ACCEPTED),
        (unsigned(), Verdict.UNSIGNED),
        (unsigned(version=1), Verdict.UNSIGNED),
        (signed(sysid=2), Verdict.WRONG_SYSID),
        (unsigned(sysid=2), Verdict.WRONG_SYSID),
        (signed(OTHER_KEY), Verdict.WRONG_KEY),
        (signed(OTHER_KEY, utc_s=NOW_S + 3600.0), Verdict.WRONG_KEY),
        (signed(utc_s=NOW_S + 601.0), Verdict.FUTURE),
        (signed(utc_s=NOW_S - 61.0), Verdict.STALE),
        (unsigned(sysid=51, compid=68, message=dialect.MAVLink_radio_status_message(1, 1, 1, 1, 1, 0, 0)), 4),
    ],
)
def test_each_kind_of_frame_gets_its_verdict_and_is_counted(frame: Frame, verdict: Verdict) -> None:
    check = SignatureCheck(1, KEY)
    assert check.check(frame, NOW_S) == verdict
    assert {name: count for name, count in check.counts.items() if count} == {verdict: 1}
    assert check.rejected == (verdict is not Verdict.ACCEPTED)


def test_a_frame_is_taken_once_and_only_forward_in_time_on_each_stream() -> None:
    check = SignatureCheck(1, KEY)
    first, later = signed(), signed(utc_s=NOW_S + 1.0)
    assert check.check(later, NOW_S) is Verdict.ACCEPTED
    assert check.check(later, NOW_S) is Verdict.REPLAYED
    assert check.check(first, NOW_S) is Verdict.REPLAYED
    assert check.check(signed(link_id=7), NOW_S) is Verdict.ACCEPTED
    assert check.check(signed(compid=154), NOW_S) is Verdict.ACCEPTED
    assert check.check(signed(utc_s=NOW_S + 1.00001), NOW_S) is Verdict.ACCEPTED
    assert check.newest == ticks_of(NOW_S + 1.00001)


def test_a_new_stream_is_measured_by_what_was_accepted_too() -> None:
    check = SignatureCheck(1, KEY)
    assert check.check(signed(utc_s=NOW_S + 50.0), NOW_S) is Verdict.ACCEPTED
    assert check.check(signed(utc_s=NOW_S - 20.0, link_id=1), NOW_S) is Verdict.STALE
    assert check.check(signed(utc_s=NOW_S, link_id=1), NOW_S) is Verdict.ACCEPTED


def test_a_forged_frame_from_the_far_future_does_not_block_the_genuine_stream() -> None:
    forged = signed(OTHER_KEY, utc_s=NOW_S + 10 * 365 * 86400)
    genuine = [signed(utc_s=NOW_S + 0.1 * number) for number in range(5)]

    check = SignatureCheck(1, KEY)
    assert check.check(forged, NOW_S) is Verdict.WRONG_KEY
    assert [check.check(frame, NOW_S) for frame in genuine] == [Verdict.ACCEPTED] * 5

    foil = dialect.MAVLink(None)  # the same frames to pymavlink, which stores the timestamp before it looks at the hash
    foil.signing.secret_key, foil.robust_parsing = KEY, True
    heard = [foil.parse_buffer(frame.data)[0].get_type() for frame in (forged, *genuine)]
    assert heard == ["BAD_DATA"] * 6
    fresh = dialect.MAVLink(None)
    fresh.signing.secret_key = KEY
    assert [fresh.parse_buffer(frame.data)[0].get_type() for frame in genuine] == ["HEARTBEAT"] * 5


def test_a_frame_with_the_right_key_from_the_future_does_not_move_the_stream_either() -> None:
    check = SignatureCheck(1, KEY)
    assert check.check(signed(utc_s=NOW_S + 3600.0), NOW_S) is Verdict.FUTURE
    assert check.newest == 0
    assert check.check(signed(), NOW_S) is Verdict.ACCEPTED
    assert SignatureCheck(1, KEY, future_s=7200.0).check(signed(utc_s=NOW_S + 3600.0), NOW_S) is Verdict.ACCEPTED


def test_both_keys_are_accepted_while_they_change_and_then_the_new_one_alone() -> None:
    check = SignatureCheck(1, KEY)
    assert check.check(signed(NEW_KEY), NOW_S) is Verdict.WRONG_KEY
    check.rotate(NEW_KEY, previous_until_utc_s=NOW_S + 30.0)
    assert check.check(signed(KEY, utc_s=NOW_S + 1.0), NOW_S + 1.0) is Verdict.ACCEPTED_PREVIOUS_KEY
    assert check.check(signed(NEW_KEY, utc_s=NOW_S + 2.0), NOW_S + 2.0) is Verdict.ACCEPTED
    assert check.check(signed(KEY, utc_s=NOW_S + 2.0), NOW_S + 2.0) is Verdict.REPLAYED
    assert check.check(signed(KEY, utc_s=NOW_S + 29.0), NOW_S + 29.0) is Verdict.ACCEPTED_PREVIOUS_KEY
    assert check.check(signed(KEY, utc_s=NOW_S + 31.0), NOW_S + 31.0) is Verdict.RETIRED_KEY
    assert check.check(signed(NEW_KEY, utc_s=NOW_S + 32.0), NOW_S + 32.0) is Verdict.ACCEPTED
    assert check.check(signed(OTHER_KEY, utc_s=NOW_S + 33.0), NOW_S + 33.0) is Verdict.WRONG_KEY
    again = SignatureCheck(1, NEW_KEY, previous=KEY, previous_until_utc_s=NOW_S + 30.0)
    assert again.check(signed(KEY), NOW_S) is Verdict.ACCEPTED_PREVIOUS_KEY
    again.rotate(OTHER_KEY, previous_until_utc_s=NOW_S + 60.0)
    assert again.check(signed(KEY, utc_s=NOW_S + 1), NOW_S + 1) is Verdict.WRONG_KEY
    assert again.check(signed(NEW_KEY, utc_s=NOW_S + 1), NOW_S + 1) is Verdict.ACCEPTED_PREVIOUS_KEY


def test_only_what_was_named_is_believed_unsigned() -> None:
    status = dialect.MAVLink_radio_status_message(180, 180, 50, 10, 10, 0, 0)
    check = SignatureCheck(1, KEY, unsigned=[SIK_RADIO_STATUS])
    assert check.check(unsigned(sysid=51, compid=68, message=status), NOW_S) is Verdict.ACCEPTED_UNSIGNED
    assert check.check(unsigned(sysid=1, compid=68, message=status), NOW_S) is Verdict.UNSIGNED
    assert check.check(unsigned(sysid=51, compid=68), NOW_S) is Verdict.WRONG_SYSID
    assert check.check(unsigned(), NOW_S) is Verdict.UNSIGNED
    assert check.check(signed(OTHER_KEY, sysid=51, compid=68, message=status), NOW_S) is Verdict.WRONG_SYSID


@settings(max_examples=200, deadline=None)
@given(bit=st.integers(0, 10**6), text=st.binary(min_size=1, max_size=50))
def test_no_bit_of_a_signed_frame_can_be_changed(bit: int, text: bytes) -> None:
    frame = signed(message=dialect.MAVLink_statustext_message(6, text))
    data = bytearray(frame.data)
    bit %= 8 * len(data)
    data[bit // 8] ^= 1 << bit % 8
    changed = frame._replace(data=bytes(data))
    check = SignatureCheck(1, KEY)
    assert not check.check(changed, NOW_S).accepted
    assert check.check(frame, NOW_S) is Verdict.ACCEPTED


@pytest.mark.parametrize("count", [1, 2, 15, 16, 17, 100])
def test_a_batch_is_judged_as_its_frames_one_by_one(count: int) -> None:
    rng = np.random.default_rng(count)
    frames = []
    for number in range(count):
        key = (KEY, KEY, KEY, OTHER_KEY, NEW_KEY)[int(rng.integers(5))]
        message = dialect.MAVLink_statustext_message(6, bytes(rng.integers(1, 127, int(rng.integers(1, 50))).tolist()))
        utc_s = NOW_S + 0.01 * number - (5.0 if rng.random() < 0.2 else 0.0)
        frame = signed(key, utc_s=utc_s, sysid=int(rng.choice([1, 1, 1, 2])), message=message)
        frames.append(frame if rng.random() < 0.9 else unsigned(message=message))
    batch = Framer().scan(b"".join(frame.data for frame in frames))
    assert len(batch) == count
    together, alone = [SignatureCheck(1, KEY, previous=NEW_KEY, previous_until_utc_s=NOW_S + 1) for _ in range(2)]
    expected = [alone.check(frame, NOW_S) for frame in frames]
    assert together.check_batch(batch, NOW_S).tolist() == expected
    assert together.counts == alone.counts
    rows = np.arange(0, count, 2, dtype=np.int32)
    some = SignatureCheck(1, KEY, previous=NEW_KEY, previous_until_utc_s=NOW_S + 1)
    assert len(some.check_batch(batch, NOW_S, rows)) == len(rows) == sum(some.counts.values())


def test_pymavlink_believes_what_we_sign(tmp_path: Path) -> None:
    signer = Signer(KEY, time=SigningTime(tmp_path / "time"))
    judge = dialect.MAVLink(None)
    judge.signing.secret_key = KEY
    encoder = Encoder(sysid=255, compid=190)
    for message in (HEARTBEAT, dialect.MAVLink_statustext_message(6, b"x" * 50), HEARTBEAT):
        data = signer.sign(encoder.encode(message), NOW_S, link_id=3)
        heard = judge.parse_buffer(data)[0]
        assert (heard.get_type(), heard.get_signed(), heard.get_link_id()) == (message.get_type(), True, 3)
        (frame,) = Framer().feed(data)
        assert frame.data[-6:] == hashlib.sha256(KEY + data[:-6]).digest()[:6]
    signer.change_key(NEW_KEY)
    (frame,) = Framer().feed(signer.sign(encoder.encode(HEARTBEAT), NOW_S))
    assert SignatureCheck(255, NEW_KEY).check(frame, NOW_S) is Verdict.ACCEPTED


def test_only_unsigned_mavlink_2_is_signed(tmp_path: Path) -> None:
    signer = Signer(KEY, time=SigningTime(tmp_path / "time"))
    for frame in (signed(), unsigned(version=1)):
        with pytest.raises(SigningInvalid, match="only unsigned MAVLink 2"):
            signer.sign(frame.data, NOW_S)
    with pytest.raises(SigningInvalid, match="message 12345"):
        signer.sign(b"\xfd\1\0\0\0\1\1\x39\x30\0a??", NOW_S)
    with pytest.raises(SigningInvalid, match="32 bytes, not 31"):
        Signer(KEY[1:], time=SigningTime(tmp_path / "time"))
    with pytest.raises(SigningInvalid, match="zeros"):
        SignatureCheck(1, bytes(32))
    with pytest.raises(SigningInvalid, match="link id 256"):
        signer.sign(unsigned().data, NOW_S, link_id=256)


def test_signing_time_never_goes_back_whatever_the_clock_does(tmp_path: Path) -> None:
    path = tmp_path / "state" / "signing_time"
    used: list[int] = []
    for start_s in (NOW_S, NOW_S - 7200.0, NOW_S + 5.0, NOW_S - 86400.0):  # each a restart, most with a clock set back
        time = SigningTime(path)
        used += [time.next(start_s + 0.001 * step) for step in range(50)]
        used += [time.next(start_s - 3600.0) for _ in range(3)]
    assert used == sorted(set(used))
    assert used[0] == ticks_of(NOW_S)
    time = SigningTime(path)
    time.advance(ticks_of(NOW_S + 3600.0))
    assert SigningTime(path).next(NOW_S) > ticks_of(NOW_S + 3600.0)
    assert time.next(NOW_S) == ticks_of(NOW_S + 3600.0) + 1


def test_signing_time_writes_seldom_and_reserves_before_use(tmp_path: Path) -> None:
    path = tmp_path / "time"
    time = SigningTime(path)
    written = set()
    for step in range(1000):
        ticks = time.next(NOW_S + 0.02 * step)
        written.add(path.read_text())
        assert int(path.read_text().split()[0]) >= ticks
    assert len(written) <= 3


def test_restarts_do_not_carry_signing_time_away_from_our_clock(tmp_path: Path) -> None:
    used = [SigningTime(tmp_path / "time").next(NOW_S + number) for number in range(20)]
    assert used == sorted(set(used))
    assert used[-1] <= ticks_of(NOW_S + 350.0), "a vehicle that follows must not come near 600 s"


def test_signing_goes_on_where_its_time_cannot_be_written(tmp_path: Path) -> None:
    told: list[str] = []
    time = SigningTime(tmp_path / "time", told=told.append)
    (tmp_path / "time.new").mkdir()
    used = [time.next(NOW_S + 5.0 * number) for number in range(10)]
    assert used == sorted(set(used))
    assert [text.endswith("time is not kept: Is a directory") for text in told] == [True], "once"
    assert time.failure == "Is a directory"
    time.advance((1 << 48) + 5)
    assert time.last == (1 << 48) - 1
    with pytest.raises(SigningInvalid, match="above 48 bits"):
        time.next(NOW_S)
    time = SigningTime(tmp_path / "time")
    time.next(NOW_S)
    (tmp_path / "time.new").rmdir()
    time.next(NOW_S + 11.0)
    assert time.failure is None
    assert SigningTime(tmp_path / "time").last > ticks_of(NOW_S + 11.0)


def test_a_signing_time_of_one_number_is_read(tmp_path: Path) -> None:
    (tmp_path / "time").write_text("12345")
    time = SigningTime(tmp_path / "time")
    assert (time.last, time.clock) == (12345, 0)


@pytest.mark.parametrize("content", ["", "soon", "-5", str(1 << 48), "1e5", "1 2 3", "1 -2"])
def test_a_damaged_signing_time_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "time").write_text(content)
    with pytest.raises(SigningInvalid, match="time: "):
        SigningTime(tmp_path / "time")


def test_the_steady_clock_does_not_follow_steps_of_the_systems() -> None:
    wall, monotonic = NOW_S, 100.0
    clock = SteadyClock(utc_now=lambda: wall, monotonic=lambda: monotonic)
    for step_s in (90 * 86400.0, -2 * 3600.0):
        wall, monotonic = wall + step_s, monotonic + 1.5
    assert clock.utc_s() == NOW_S + 3.0


class Bench:
    """Clocks that a test turns, and the signing of one vehicle that runs by them."""

    def __init__(self, path: Path, *, start_s: float = NOW_S) -> None:
        self.passed_s = 0.0
        clock = SteadyClock(utc_now=lambda: start_s, monotonic=lambda: self.passed_s)
        self.signing = VehicleSigning(SignatureCheck(1, KEY), key=KEY, time=SigningTime(path), clock=clock)
        self.encoder = Encoder(sysid=255, compid=190)

    def judge(self, key: bytes, *, ahead_s: float = 0.0) -> Verdict:
        self.passed_s += 1.0
        return self.signing.judge(signed(key, utc_s=NOW_S + self.passed_s + ahead_s))

    def send(self) -> Frame:
        (frame,) = Framer().feed(self.signing.sign(self.encoder.encode(HEARTBEAT), link_id=2))
        return frame


def test_a_vehicle_whose_time_is_minutes_ahead_believes_what_we_send_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "time")
    vehicle = dialect.MAVLink(None)  # keeps its own time as ArduPilot does: a new stream may be a minute behind
    vehicle.signing.secret_key, vehicle.signing.timestamp = KEY, ticks_of(NOW_S + 180.0)
    vehicle.robust_parsing = True
    assert vehicle.parse_buffer(bench.send().data)[0].get_type() == "BAD_DATA"
    assert bench.judge(KEY, ahead_s=180.0) is Verdict.ACCEPTED
    assert vehicle.parse_buffer(bench.send().data)[0].get_type() == "HEARTBEAT"


def test_frames_that_were_not_believed_do_not_move_what_we_sign_with(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "time")
    assert bench.judge(KEY, ahead_s=3600.0) is Verdict.FUTURE
    assert bench.judge(OTHER_KEY, ahead_s=300.0) is Verdict.WRONG_KEY
    assert int.from_bytes(bench.send().data[-12:-6], "little") == ticks_of(NOW_S + bench.passed_s)


def test_a_rotation_follows_the_vehicle_and_ends(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "time")
    ours = SignatureCheck(255, KEY, previous=NEW_KEY, previous_until_utc_s=NOW_S + 1e6)
    signed_with = {Verdict.ACCEPTED: KEY, Verdict.ACCEPTED_PREVIOUS_KEY: NEW_KEY}
    bench.signing.rotate(NEW_KEY)
    assert signed_with[ours.check(bench.send(), NOW_S)] == KEY  # SETUP_SIGNING itself must go out with the old key
    assert bench.judge(KEY) is Verdict.ACCEPTED_PREVIOUS_KEY
    assert signed_with[ours.check(bench.send(), NOW_S)] == KEY
    assert bench.judge(NEW_KEY) is Verdict.ACCEPTED
    assert signed_with[ours.check(bench.send(), NOW_S)] == NEW_KEY
    bench.passed_s += 300.0
    assert bench.judge(KEY) is Verdict.ACCEPTED_PREVIOUS_KEY, "until it is said to be over"
    bench.signing.retire(window_s=10.0)
    assert bench.judge(KEY) is Verdict.ACCEPTED_PREVIOUS_KEY
    bench.passed_s += 10.0
    assert bench.judge(KEY) is Verdict.RETIRED_KEY
    assert bench.judge(NEW_KEY) is Verdict.ACCEPTED


@pytest.mark.parametrize("start_s", [0.0, NOW_S - 7200.0, NOW_S + 300.0])
def test_a_vehicle_is_still_believed_when_our_clock_was_wrong_at_a_restart(tmp_path: Path, start_s: float) -> None:
    path = tmp_path / "time"
    before = Bench(path)
    assert before.judge(KEY) is Verdict.ACCEPTED
    last = int.from_bytes(before.send().data[-12:-6], "little")
    bench = Bench(path, start_s=start_s)
    assert not bench.signing.clock_suspect
    assert bench.signing.judge(signed(utc_s=NOW_S + 90.0)) is Verdict.ACCEPTED
    assert last < int.from_bytes(bench.send().data[-12:-6], "little") <= ticks_of(NOW_S + 500.0)


def test_our_clock_far_ahead_is_suspect_and_leads_no_vehicle_astray(tmp_path: Path) -> None:
    path, ahead_s = tmp_path / "time", 90 * 86400.0
    Bench(path).judge(KEY)
    bench = Bench(path, start_s=NOW_S + ahead_s)
    assert bench.signing.clock_suspect
    assert bench.signing.judge(signed(utc_s=NOW_S + 5.0, link_id=9)) is Verdict.STALE
    assert bench.signing.judge(signed(utc_s=NOW_S + 5.0)) is Verdict.ACCEPTED
    assert bench.signing.clock_suspect, "that is not the time of our clock"
    assert int.from_bytes(bench.send().data[-12:-6], "little") < ticks_of(NOW_S + 200.0)
    assert not Bench(path).signing.clock_suspect, "nor was it written down as the time"
    assert bench.judge(KEY, ahead_s=ahead_s) is Verdict.ACCEPTED
    assert not bench.signing.clock_suspect, "a vehicle confirms it: we were off for long"
    assert int.from_bytes(bench.send().data[-12:-6], "little") >= ticks_of(NOW_S + ahead_s)


def test_a_clock_that_cannot_be_signed_with_stops_what_is_sent_and_nothing_that_is_heard(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "time", start_s=0.0)
    assert bench.signing.judge(signed()) is Verdict.FUTURE
    with pytest.raises(SigningInvalid, match="2015 to 2104"):
        bench.send()


def test_what_was_recorded_before_a_restart_is_not_believed_after_it(tmp_path: Path) -> None:
    recorded = [signed(utc_s=NOW_S + 0.1 * number, link_id=number % 2) for number in range(30)]
    before = Bench(tmp_path / "time")
    assert {before.signing.judge(frame) for frame in recorded} == {Verdict.ACCEPTED}
    bench = Bench(tmp_path / "time", start_s=NOW_S + 5.0)
    assert {bench.signing.judge(frame) for frame in recorded} == {Verdict.REPLAYED}
    assert bench.signing.judge(signed(utc_s=NOW_S + 65.0)) is Verdict.ACCEPTED, "rebooted: a minute ahead"
    assert bench.signing.judge(signed(utc_s=NOW_S + 6.0, link_id=1)) is Verdict.ACCEPTED, "each stream has its time"


def test_a_damaged_file_of_streams_is_refused(tmp_path: Path) -> None:
    (tmp_path / "time.streams").write_bytes(b"x" * 100)
    with pytest.raises(SigningInvalid, match=r"time\.streams: 100 bytes instead of 524288"):
        Bench(tmp_path / "time")


def verdicts_of(
    path: Path, sysid: int, check: SignatureCheck, *, from_s: float, to_s: float, msgid: int | None = None
) -> Counter[Verdict]:
    """What the check says of the frames of a sysid in a recording, between two times after its first frame."""
    found: Counter[Verdict] = Counter()
    start_s = None
    for utc_s, frame in read_recording(path):
        start_s = utc_s if start_s is None else start_s
        if frame.sysid == sysid and from_s <= utc_s - start_s < to_s and msgid in (None, frame.msgid):
            found[check.check(frame, utc_s)] += 1
    return found


@pytest.mark.parametrize("name", ["ap_07_signing_serial0.tlog", "ap_07_signing_serial1.tlog"])
def test_the_recorded_vehicle_is_believed_with_its_key_alone(tlogs: Path, name: str) -> None:
    check = SignatureCheck(1, KEY)
    early = verdicts_of(tlogs / name, 1, check, from_s=0.0, to_s=0.8)
    assert set(early) == {Verdict.UNSIGNED}  # its key comes at 0.15 s, and it signs from 0.89 s on
    assert verdicts_of(tlogs / name, 1, check, from_s=0.8, to_s=20.68)[Verdict.ACCEPTED] >= 75
    assert check.rejected == sum(early.values())
    wrong = SignatureCheck(1, OTHER_KEY)
    assert set(verdicts_of(tlogs / name, 1, wrong, from_s=0.8, to_s=20.68)) == {Verdict.WRONG_KEY}
    assert set(verdicts_of(tlogs / name, 1, check, from_s=26.0, to_s=99.0)) == {Verdict.UNSIGNED}  # switched off


def test_the_recorded_vehicle_whose_time_was_put_an_hour_ahead_is_told_from_a_forger(tlogs: Path) -> None:
    path = tlogs / "ap_07_signing_serial1.tlog"
    found = verdicts_of(path, 1, SignatureCheck(1, KEY), from_s=20.684, to_s=25.9)
    assert set(found) == {Verdict.FUTURE}
    patient = SignatureCheck(1, KEY, future_s=2 * 3600.0)
    assert set(verdicts_of(path, 1, patient, from_s=20.684, to_s=25.9)) == {Verdict.ACCEPTED}


def test_the_recorded_attacks_are_each_rejected_for_what_they_were(tlogs: Path) -> None:
    check = SignatureCheck(254, KEY)
    expected = [
        (0.0, Verdict.UNSIGNED, 4),
        (2.6, Verdict.UNSIGNED, 1),
        (8.65, Verdict.ACCEPTED, 2),
        (8.675, Verdict.WRONG_KEY, 1),
        (11.6, Verdict.REPLAYED, 1),
        (14.6, Verdict.STALE, 1),
        (17.6, Verdict.ACCEPTED, 1),  # 20 s behind: MAVLink allows a minute; the vehicle's own clock was a minute ahead
        (20.675, Verdict.FUTURE, 1),
        (20.683, Verdict.ACCEPTED, 1),  # the true time again, which the vehicle itself did not believe any more
        (23.6, Verdict.FUTURE, 1),
        (23.688, Verdict.UNSIGNED, 3),  # MAVLink 1, and after signing was switched off
        (99.0, Verdict.UNSIGNED, 0),
    ]
    for (from_s, verdict, count), (to_s, _, _) in pairwise(expected):
        found = verdicts_of(
            tlogs / "ap_07_signing_serial1.tlog", 254, check, from_s=from_s, to_s=to_s, msgid=COMMAND_LONG
        )
        assert found == {verdict: count}, from_s
