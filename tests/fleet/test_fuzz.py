"""Whatever bytes come: nothing but documented errors, and no genuine frame lost behind garbage.

Each fuzz runs from a fixed seed for a share of `MC_FUZZ_S` (default 40 s for all of them); set it higher to search
longer by hand, and `MC_FUZZ_SEED` to search elsewhere.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Iterator

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.columns import HOT_MESSAGES, payload_dtype
from fleet.errors import FleetError
from fleet.framing import Frame, Framer, decode, flagged_as_signed, payload
from fleet.scan import LONGEST_FRAME_BYTES, SIGNATURE_BYTES
from fleet.signing import SignatureCheck, Verdict, ticks_of

FUZZ_S = float(os.environ.get("MC_FUZZ_S", "40"))
SEED = int(os.environ.get("MC_FUZZ_SEED", "7"))
KEY, NOW_S = b"B" * 32, 1_795_326_176.0
FLUSH = bytes(LONGEST_FRAME_BYTES)
"""Behind this many zeros nothing that the garbage seemed to begin is still waited for."""

pytestmark = pytest.mark.slow


def rounds(share: float, *, least: int) -> Iterator[random.Random]:
    """A generator of random numbers for each round, for a share of the time, and `least` rounds in any case."""
    end_s = time.monotonic() + share * FUZZ_S
    number = 0
    while number < least or time.monotonic() < end_s:
        yield random.Random(SEED * 1_000_003 + number)
        number += 1
    print(f"{number} rounds")


def packed(rng: random.Random, *, msgid: int | None = None, version: int | None = None, signed: bool = False) -> bytes:
    """A frame with a right CRC and any payload, of any message of the dialect, from any sender."""
    if msgid is None:
        msgid = rng.choice([known for known in dialect.mavlink_map if known < 65536])
    kind = dialect.mavlink_map[msgid]
    fill = rng.choice((b"\xff", b"\0", b"\xfd", b"\xfe", b"\x7f\xc0", b""))
    body = (fill * 255)[: kind.unpacker.size] if fill else rng.randbytes(kind.unpacker.size)
    sysid, compid = rng.randint(1, 255), rng.randint(0, 255)
    if version == 1 or (version is None and msgid < 256 and rng.random() < 0.3):
        head = bytes((len(body), rng.randint(0, 255), sysid, compid, msgid))
        crc = dialect.x25crc(head + body + bytes((kind.crc_extra,))).crc
        return b"\xfe" + head + body + crc.to_bytes(2, "little")
    mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=compid)
    mav.seq = rng.randint(0, 255)
    mav.signing.sign_outgoing = signed or rng.random() < 0.3
    mav.signing.secret_key, mav.signing.link_id = rng.choice((KEY, b"C" * 32)), rng.randint(0, 255)
    mav.signing.timestamp = rng.choice((ticks_of(NOW_S), 0, (1 << 48) - 1, rng.getrandbits(48)))
    message = dialect.MAVLink_message(msgid, kind.msgname)
    return bytes(message._pack(mav, kind.crc_extra, body))


def garbage(rng: random.Random) -> bytes:
    """Up to some 300 bytes of noise, rich in what begins frames."""
    kind = rng.randrange(5)
    if kind == 0:
        return rng.randbytes(rng.randint(0, 300))
    if kind == 1:
        return bytes(rng.choices((0xFD, 0xFE, 0, 1, 255), k=rng.randint(0, 300)))
    frame = packed(rng)
    if kind == 2:
        return frame[: rng.randrange(len(frame))]
    if kind == 3:
        at = rng.randrange(len(frame))
        return frame[:at] + bytes((frame[at] ^ (1 << rng.randrange(8)),)) + frame[at + 1 :]
    head = bytes(
        (0xFD, rng.randint(0, 255), rng.randint(0, 1), 0, 0, 1, 1, rng.randint(0, 255), rng.randint(0, 255), 0)
    )
    return head + rng.randbytes(rng.randint(0, 60))


def fed(framer: Framer, stream: bytes, rng: random.Random) -> list[Frame]:
    """The frames of a stream that comes in pieces."""
    found, at = [], 0
    while at < len(stream):
        size = rng.choice((1, 7, 50, 300, 1500))
        found += framer.feed(stream[at : at + size])
        at += size
    return found


def test_no_genuine_frame_is_lost_behind_garbage() -> None:
    genuine = within_forged = 0
    for rng in rounds(0.35, least=300):
        stream, places = b"", []
        for _ in range(rng.randint(1, 6)):
            stream += garbage(rng)
            frame = packed(rng)
            places.append((len(stream), frame))
            stream += frame
        framer = Framer()
        found = fed(framer, stream + FLUSH, rng)
        assert framer.bytes == len(stream) + len(FLUSH)
        spans: list[tuple[int, int]] = []  # where each found frame lies, in order
        for one in found:
            least = max(spans[-1][0] + 1, spans[-1][1] - SIGNATURE_BYTES) if spans else 0
            start = (stream + FLUSH).index(one.data, least)
            spans.append((start, start + len(one.data)))
        assert framer.garbage_bytes <= framer.bytes - len({at for start, end in spans for at in range(start, end)})
        for start, frame in places:
            genuine += 1
            if (start, start + len(frame)) in spans:
                continue
            # Only another frame with a right CRC can have taken its bytes, which noise has one time in 65536.
            cover = [one for one, span in zip(found, spans, strict=True) if span[0] <= start < span[1]]
            assert any(one.verified for one in cover), (start, frame.hex())
            within_forged += 1
    print(f"{genuine} genuine frames, {within_forged} of them inside noise with a right CRC")
    assert within_forged <= 2 + genuine // 1000


def test_a_frame_behind_a_signed_one_that_lost_bytes_is_found() -> None:
    for rng in rounds(0.05, least=200):
        first, second = packed(rng, version=2, signed=True), packed(rng)
        lost = rng.randint(1, SIGNATURE_BYTES)
        found = fed(Framer(), first[:-lost] + second + FLUSH, rng)
        assert second in [frame.data for frame in found]


def test_any_message_with_any_payload_is_decoded_as_pymavlink_does() -> None:
    judge = dialect.MAVLink(None)
    known = [msgid for msgid in dialect.mavlink_map if msgid < 65536]
    for number, rng in enumerate(rounds(0.3, least=2 * len(known))):
        data = packed(rng, msgid=known[number % len(known)])
        (frame,) = Framer().feed(data)
        assert frame.data == data
        assert str(decode(frame)) == str(judge.decode(bytearray(data)))


def test_columns_hold_what_decoding_gives() -> None:
    ids = [int(getattr(dialect, f"MAVLINK_MSG_ID_{name}")) for name in HOT_MESSAGES]
    for rng in rounds(0.1, least=60):
        parts = [
            packed(rng, msgid=rng.choice(ids)) if rng.random() < 0.8 else rng.choice((packed, garbage))(rng)
            for _ in range(rng.randint(1, 40))
        ]
        batch = Framer().scan(b"".join(parts) + FLUSH)
        frames = batch.frames()
        seen = 0
        for name, msgid in zip(HOT_MESSAGES, ids, strict=True):
            columns = batch.columns[name]
            expected = [row for row, frame in enumerate(frames) if frame.msgid == msgid]
            assert columns.rows.tolist() == expected
            assert (name in batch.columns.present) == bool(expected)
            assert columns.values.dtype == payload_dtype(msgid)
            seen += len(expected)
            for row, record in zip(expected, columns.values, strict=True):
                size = columns.values.dtype.itemsize
                assert record.tobytes() == payload(frames[row])[:size].ljust(size, b"\0")
                message = decode(frames[row])
                for field in columns.values.dtype.names:
                    assert np.array_equal(np.asarray(record[field]), getattr(message, field), equal_nan=True)
        assert seen <= len(frames)


def test_no_frame_breaks_the_signature_check_or_passes_it_unsigned() -> None:
    for rng in rounds(0.15, least=60):
        stream = b"".join(rng.choice((packed, packed, garbage))(rng) for _ in range(rng.randint(1, 40)))
        batch = Framer().scan(stream + FLUSH)
        frames = batch.frames()
        sysid = rng.choice([frame.sysid for frame in frames] or [1])
        check = SignatureCheck(sysid, KEY, previous=b"D" * 32, previous_until_utc_s=NOW_S)
        verdicts = [Verdict(verdict) for verdict in check.check_batch(batch, NOW_S).tolist()]
        assert sum(check.counts.values()) == len(frames)
        for frame, verdict in zip(frames, verdicts, strict=True):
            if verdict.accepted:
                assert frame.signed
                assert frame.sysid == sysid
                judge = dialect.MAVLink(None)
                judge.signing.secret_key = KEY
                assert judge.check_signature(bytearray(frame.data), frame.sysid, frame.compid)
                assert abs(int.from_bytes(frame.data[-12:-6], "little") - ticks_of(NOW_S)) <= 60_000_000


def test_signing_anything_raises_documented_errors_alone() -> None:
    for rng in rounds(0.05, least=200):
        data = rng.choice((packed, garbage))(rng)
        try:
            signed = flagged_as_signed(data)
        except FleetError:
            continue
        assert len(signed) == len(data)
        (frame,) = Framer().feed(signed + bytes(13))
        assert frame.signed
        assert payload(frame) == data[10:-2]
