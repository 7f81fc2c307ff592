"""MISB ST 0603 and ST 0604 time stamps: the moment of exposure inside the compressed video itself.

A stamp is 28 bytes of user data: 16 that say what it is, a status, and the moment with 0xFF between its byte pairs. In
H.264 and H.265 it rides in an SEI message of type 5. Source: MISB ST 0603.5, MISB ST 0604.6, ITU-T H.264 annex B and D.
"""

from __future__ import annotations

from itertools import pairwise

import msgspec

from geo.errors import KlvInvalid

H264_MICROSECONDS = b"MISPmicrosectime"
"""What starts a stamp in H.264 (and in MPEG-2)."""
H265_MICROSECONDS = bytes.fromhex("a8687dd4d7593758a5cef0338b6545f1")
"""What starts a stamp in H.265."""
H265_NANOSECONDS = bytes.fromhex("cf848278ee23306c9265e8fef22fb8b8")
"""What starts a stamp in nanoseconds, which only H.265 has."""
STAMP_BYTES = 28
_KINDS = {H264_MICROSECONDS: 1000, H265_MICROSECONDS: 1000, H265_NANOSECONDS: 1}
_USER_DATA, _MOST_SEI_BYTES = 5, 1 << 16
_STARTS = {False: b"\x00\x00\x00\x01\x06", True: b"\x00\x00\x00\x01\x4e\x01"}
_NAL_START = b"\x00\x00\x01"


class TimeStamp(msgspec.Struct, frozen=True, kw_only=True):
    """A moment and how far the clock that gave it can be trusted."""

    utc_ns: int
    """ns since 1970; of a stamp in microseconds a multiple of 1000."""
    locked: bool = True
    """Whether the clock was locked to an absolute reference."""
    jumped: bool = False
    """Whether the time did not run on evenly since the stamp before."""
    backwards: bool = False
    """Whether that jump was backwards."""

    @property
    def utc_s(self) -> float:
        """s since 1970."""
        return self.utc_ns / 1e9


def decode_stamp(data: bytes) -> TimeStamp | None:
    """The stamp that user data hold; None where they are not of this kind. Raises KlvInvalid for broken ones."""
    unit_ns = _KINDS.get(data[:16])
    if unit_ns is None:
        return None
    if len(data) < STAMP_BYTES or data[19] != 0xFF or data[22] != 0xFF or data[25] != 0xFF:
        raise KlvInvalid(f"a time stamp of {len(data)} bytes, or without 0xFF at bytes 19, 22 and 25")
    count = int.from_bytes(data[17:19] + data[20:22] + data[23:25] + data[26:28], "big")
    status = data[16]
    jumped = bool(status & 0x40)
    return TimeStamp(
        utc_ns=count * unit_ns,
        locked=not status & 0x80,
        jumped=jumped,
        backwards=jumped and bool(status & 0x20),
    )


def encode_stamp(stamp: TimeStamp, kind: bytes = H264_MICROSECONDS) -> bytes:
    """The 28 bytes of a stamp, rounded to microseconds where the kind has no more. Raises KlvInvalid."""
    unit_ns = _KINDS.get(kind)
    if unit_ns is None:
        raise KlvInvalid(f"no time stamp starts with {kind.hex()}")
    count = (stamp.utc_ns + unit_ns // 2) // unit_ns
    if not 0 <= count < 1 << 64:
        raise KlvInvalid(f"a time stamp of {stamp.utc_ns} ns cannot be written")
    if stamp.backwards and not stamp.jumped:
        raise KlvInvalid("a time stamp that is backwards has jumped")
    status = 0x1F | (not stamp.locked) << 7 | stamp.jumped << 6 | stamp.backwards << 5
    pairs = count.to_bytes(8, "big")
    return kind + bytes((status,)) + b"\xff".join(pairs[i : i + 2] for i in range(0, 8, 2))


def sei(stamp: TimeStamp, *, h265: bool = False) -> bytes:
    """An SEI NAL unit of a stamp, with its start code, to stand before the first slice of its picture."""
    payload = encode_stamp(stamp, H265_MICROSECONDS if h265 else H264_MICROSECONDS)
    message = bytes((_USER_DATA, len(payload))) + payload + b"\x80"
    return _STARTS[h265] + _escaped(message)


def stamped(picture: bytes, stamp: TimeStamp, *, h265: bool = False) -> bytes:
    """A compressed picture (annex B) with the stamp before its first slice. Raises KlvInvalid for one without."""
    for at in _nal_units(picture):
        kind = (picture[at] >> 1) & 0x3F if h265 else picture[at] & 0x1F
        if kind <= 31 if h265 else 1 <= kind <= 5:
            start = at - 4 if picture[at - 4 : at - 3] == b"\x00" else at - 3
            return picture[:start] + sei(stamp, h265=h265) + picture[start:]
    raise KlvInvalid("no slice in the compressed picture")


def stamps(picture: bytes, *, h265: bool = False) -> list[TimeStamp]:
    """The stamps in a compressed picture (annex B). Raises KlvInvalid for broken ones."""
    found = []
    units = _nal_units(picture)
    for at, behind in pairwise([*units, len(picture) + 3]):
        kind = (picture[at] >> 1) & 0x3F if h265 else picture[at] & 0x1F
        if kind != (39 if h265 else 6) or behind - at > _MOST_SEI_BYTES:
            continue
        for payload in _user_data(_unescaped(picture[at + (2 if h265 else 1) : behind - 3])):
            stamp = decode_stamp(payload)
            if stamp is not None:
                found.append(stamp)
    return found


def _nal_units(data: bytes) -> list[int]:
    """Where NAL units start, behind their start codes."""
    found = []
    at = data.find(_NAL_START)
    while 0 <= at < len(data) - 3:
        found.append(at + 3)
        at = data.find(_NAL_START, at + 3)
    return found


def _user_data(messages: bytes) -> list[bytes]:
    """The user data among the SEI messages of a unit; what is cut off is left out."""
    found: list[bytes] = []
    messages, at = messages.rstrip(b"\x00").removesuffix(b"\x80"), 0
    while at < len(messages):
        numbers = []
        for _ in range(2):
            number = 0
            while at < len(messages) and messages[at] == 0xFF:
                number, at = number + 255, at + 1
            if at == len(messages):
                return found
            numbers.append(number + messages[at])
            at += 1
        kind, size = numbers
        if at + size > len(messages):
            return found
        if kind == _USER_DATA:
            found.append(messages[at : at + size])
        at += size
    return found


def _escaped(data: bytes) -> bytes:
    """With a 3 before each byte up to 3 behind two zeros (H.264, 7.4.1)."""
    out = bytearray()
    for octet in data:
        if octet <= 3 and out[-2:] == b"\x00\x00":
            out.append(3)
        out.append(octet)
    return bytes(out)


def _unescaped(data: bytes) -> bytes:
    return data.replace(b"\x00\x00\x03", b"\x00\x00")
