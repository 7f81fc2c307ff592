"""Frames are found whatever lies between them, and decode as pymavlink decodes them."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.columns import HOT_MESSAGES
from fleet.framing import Batch, Encoder, Framer, SequenceCount, decode, read

MESSAGES = [
    dialect.MAVLink_heartbeat_message(6, 8, 0, 0, 4, 3),
    dialect.MAVLink_attitude_message(1000, 0.1, -0.2, 3.0, 0.0, 0.0, 0.0),
    dialect.MAVLink_statustext_message(6, b"Flight plan received"),
    dialect.MAVLink_mission_item_int_message(1, 1, 3, 3, 16, 0, 1, 0, 0, 0, 0, 432380000, 769450000, 60.25, 0),
    dialect.MAVLink_battery_status_message(0, 0, 0, 32767, [12600] + [65535] * 9, 100, 200, 300, 80),
    dialect.MAVLink_ping_message(0, 0, 0, 0),
]


def stamped(content: bytes) -> list[bytes]:
    """The frames of a .tlog by their own lengths."""
    frames, at = [], 0
    while at < len(content):
        magic, size, flags = content[at + 8 : at + 11]
        length = (12 + size + 13 * (flags & 1)) if magic == 0xFD else 8 + size
        frames.append(content[at + 8 : at + 8 + length])
        at += 8 + length
    return frames


def test_every_recorded_frame_is_found_and_decodes_as_pymavlink_does(tlogs: Path) -> None:
    judge = dialect.MAVLink(None)
    compared = 0
    for path in sorted(tlogs.glob("*.tlog")):
        expected = stamped(path.read_bytes())
        framer = Framer()
        found = framer.feed(b"".join(expected))
        assert [frame.data for frame in found] == expected, path.name
        assert framer.bad_crc == framer.garbage_bytes == 0
        assert all(frame.verified for frame in found), path.name
        for frame in found[::23]:
            ours = decode(frame)
            if ours is None:
                continue
            theirs = judge.decode(bytearray(frame.data))
            assert str(ours) == str(theirs)
            assert ours.get_srcSystem() == theirs.get_srcSystem() == frame.sysid
            compared += 1
    assert compared > 3000


def test_every_field_of_messages_with_arrays_and_strings_is_decoded() -> None:
    encoder = Encoder(sysid=9, compid=1)
    judge = dialect.MAVLink(None)
    for message in MESSAGES:
        (frame,) = Framer().feed(encoder.encode(message))
        assert str(decode(frame)) == str(judge.decode(bytearray(frame.data)))


@settings(max_examples=150, deadline=None, derandomize=True)  # one garbage in 65536 has the right CRC
@given(seed=st.integers(0, 2**32 - 1))
@example(seed=458467)
def test_frames_are_found_between_garbage_and_over_any_cuts(seed: int) -> None:
    rng = random.Random(seed)
    encoder = Encoder(sysid=rng.randint(1, 254), compid=1)
    stream, sent = b"", []
    for _ in range(rng.randint(1, 12)):
        stream += rng.randbytes(rng.choice((0, 0, 1, 5, 40)))
        stream += bytes(rng.choices((0xFD, 0xFE, 0, 9), k=rng.choice((0, 0, 3, 8))))
        data = encoder.encode(rng.choice(MESSAGES))
        sent.append(data)
        stream += data
    stream += b"\0" * 300  # lets the framer give up whatever the last garbage seemed to begin
    framer = Framer()
    found, at = [], 0
    while at < len(stream):
        size = rng.randint(1, 90)
        found += framer.feed(stream[at : at + size])
        at += size
    assert [frame.data for frame in found] == sent


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_streams_of_many_senders_are_framed_together_as_each_is_alone(seed: int) -> None:
    rng = random.Random(seed)
    streams: dict[str, bytes] = {}
    for sysid in range(1, 6):
        mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=1)
        if sysid % 2:
            mav.signing.secret_key, mav.signing.sign_outgoing = b"k" * 32, True
        parts = [bytes(rng.choice(MESSAGES).pack(mav)) for _ in range(rng.randint(1, 9))]
        streams[f"sender {sysid}"] = b"".join(part + rng.randbytes(rng.choice((0, 0, 0, 7))) for part in parts)
    together, alone = Framer(), {sender: Framer() for sender in streams}
    found: dict[str, list[object]] = {sender: [] for sender in streams}
    expected: dict[str, list[object]] = {sender: [] for sender in streams}
    while any(streams.values()):
        heard = {sender: data[: rng.randint(0, 90)] for sender, data in streams.items() if rng.random() < 0.7}
        streams = {sender: data[len(heard.get(sender, b"")) :] for sender, data in streams.items()}
        for sender, frame in together.hear(heard):
            found[sender].append(frame)
        for sender, data in heard.items():
            expected[sender] += alone[sender].feed(data)
    assert found == expected
    for count in ("frames", "bytes", "bad_crc", "garbage_bytes"):
        assert getattr(together, count) == sum(getattr(framer, count) for framer in alone.values())


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=700), cut=st.integers(0, 700))
def test_no_bytes_break_the_framer(data: bytes, cut: int) -> None:
    framer = Framer()
    for frame in framer.feed(data[:cut]) + framer.feed(data[cut:]):
        decode(frame)
    assert framer.bytes == len(data)
    assert framer.garbage_bytes <= len(data)


@given(flip=st.integers(min_value=8), message=st.sampled_from(MESSAGES))
def test_one_wrong_bit_is_not_taken(flip: int, message: dialect.MAVLink_message) -> None:
    data = bytearray(Encoder(sysid=1, compid=1).encode(message))
    bit = 8 + flip % ((len(data) - 1) * 8)
    data[bit // 8] ^= 1 << bit % 8
    found = Framer().feed(bytes(data) + b"\0" * 300)
    assert not [frame for frame in found if frame.verified]


def test_mavlink_1_and_signed_frames_are_found() -> None:
    mav = dialect.MAVLink(None, srcSystem=3, srcComponent=1)
    first = MESSAGES[0].pack(mav, force_mavlink1=True)
    mav.signing.secret_key, mav.signing.sign_outgoing = b"k" * 32, True
    second = dialect.MAVLink_heartbeat_message(2, 3, 81, 0, 3, 3).pack(mav)
    frames = Framer().feed(first + second)
    assert [(frame.data[0], frame.signed, frame.sysid) for frame in frames] == [(0xFE, False, 3), (0xFD, True, 3)]
    assert decode(frames[1]).autopilot == 3


def test_a_frame_of_an_unknown_id_is_passed_but_not_verified() -> None:
    body = bytes((4, 0, 0, 7, 1, 1, 0x39, 0x30, 0)) + b"abcd"
    crc = dialect.x25crc(body + bytes((77,))).crc
    (frame,) = Framer().feed(b"\xfd" + body + crc.to_bytes(2, "little"))
    assert (frame.msgid, frame.verified) == (12345, False)
    assert decode(frame) is None


@pytest.mark.parametrize(
    ("seqs", "lost"),
    [
        ([0, 1, 2, 3], 0),
        ([0, 1, 4, 5], 2),
        ([254, 255, 0, 1], 0),
        ([250, 3], 8),
        ([5, 7, 6, 8], 0),
        ([5, 5, 6], 0),
    ],
)
def test_loss_is_counted_by_sequence(seqs: list[int], lost: int) -> None:
    count = SequenceCount()
    data = Encoder(sysid=1, compid=1).encode(MESSAGES[0])
    (frame,) = Framer().feed(data)
    for seq in seqs:
        count.count(frame._replace(seq=seq))
    assert count.lost == lost
    assert count.frames == len(seqs)


def test_columns_of_recorded_telemetry_hold_what_pymavlink_decodes(tlogs: Path) -> None:
    for name in ("px4_02d_goto.tlog", "ap_02_mission.tlog", "ap_08_mount.tlog"):
        batch = Framer().scan(b"".join(stamped((tlogs / name).read_bytes())))
        frames = batch.frames()
        assert len(batch.columns.present) >= 6
        rows: list[int] = []
        for hot in HOT_MESSAGES:
            columns = batch.columns[hot]
            rows += columns.rows.tolist()
            for row, record in list(zip(columns.rows.tolist(), columns.values, strict=True))[::17]:
                message = decode(frames[row])
                assert message.get_type() == hot
                for field in message.get_fieldnames():
                    assert np.array_equal(record[field], getattr(message, field), equal_nan=True)
        hot_ids = [getattr(dialect, f"MAVLINK_MSG_ID_{hot}") for hot in HOT_MESSAGES]
        assert sorted(rows) == [row for row, frame in enumerate(frames) if frame.msgid in hot_ids]


def test_columns_are_numbers_of_the_wire_in_rows_of_the_batch() -> None:
    encoder = Encoder(sysid=3, compid=1)
    position = dialect.MAVLink_global_position_int_message(5, 432380000, 769450000, 800_090, 60_250, 100, -200, 3, 9000)
    batch = Framer().scan(
        b"".join(encoder.encode(message) for message in (MESSAGES[0], position, MESSAGES[1], position))
    )
    columns = batch.columns["GLOBAL_POSITION_INT"]
    assert batch.columns.present == ("HEARTBEAT", "ATTITUDE", "GLOBAL_POSITION_INT")
    assert columns.rows.tolist() == [1, 3]
    assert columns.values["lat"].tolist() == [432380000] * 2
    assert columns.values["vy"].tolist() == [-200] * 2
    assert columns.values["hdg"].dtype == np.uint16
    assert batch.columns["ATTITUDE"].values["roll"].tolist() == [np.float32(0.1)]
    assert len(batch.columns["VFR_HUD"].rows) == len(batch.columns["VFR_HUD"].values) == 0
    with pytest.raises(KeyError):
        batch.columns["PING"]


def test_joined_batches_are_as_one(tlogs: Path) -> None:
    stream = b"".join(stamped((tlogs / "ap_08_mount.tlog").read_bytes()))
    framer = Framer()
    batches = [framer.scan(stream[at : at + 100]) for at in range(0, len(stream), 100)]
    joined, whole = Batch.joined(batches), Framer().scan(stream)
    assert joined.frames() == whole.frames()
    for name in HOT_MESSAGES:
        assert joined.columns[name].rows.tolist() == whole.columns[name].rows.tolist()
        assert joined.columns[name].values.tobytes() == whole.columns[name].values.tobytes()
    assert len(Batch.joined([])) == 0


def test_what_is_read_of_a_frame_is_what_is_decoded(tlogs: Path) -> None:
    kinds = set()
    for name in ("px4_02d_goto.tlog", "ap_02_mission.tlog", "ap_08_mount.tlog"):
        for frame in Framer().feed(b"".join(stamped((tlogs / name).read_bytes())))[::7]:
            message, record = decode(frame), read(frame)
            if message is None:
                assert record is None
                continue
            kinds.add(message.get_type())
            assert record.get_type() == message.get_type()
            for field in message.get_fieldnames():
                value = getattr(record, field)
                assert repr(list(value) if isinstance(value, tuple) else value) == repr(getattr(message, field))
    assert {"ATTITUDE", "BATTERY_STATUS", "STATUSTEXT", "MISSION_ITEM_INT", "GIMBAL_DEVICE_ATTITUDE_STATUS"} <= kinds
