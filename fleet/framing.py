"""MAVLink 1 and 2 frames in a stream of bytes, and single frames to messages and back.

The scan over a buffer (magic, length, CRC with CRC_EXTRA) is compiled; a frame is decoded by
pymavlink's message classes only when somebody asks. Signatures are carried, not yet checked.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import msgspec
import numpy as np
from numba import njit, types
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as dialect

MAGIC_V1, MAGIC_V2 = 0xFE, 0xFD
SIGNED_FLAG = 0x01
"""MAVLINK_IFLAG_SIGNED."""
SIGNATURE_BYTES = 13
LONGEST_FRAME_BYTES = 12 + 255 + SIGNATURE_BYTES
KNOWN_IDS = 65536
"""Message ids below this can have a CRC_EXTRA in the table."""

NEWER_CRC_EXTRA = {8: 117, 300: 217, 380: 232, 397: 182, 410: 160, 411: 106, 436: 193, 441: 169}
"""Messages that PX4 sends and the dialect lacks: LINK_NODE_STATUS, PROTOCOL_VERSION, TIME_ESTIMATE_TO_TARGET,
COMPONENT_METADATA, EVENT, CURRENT_EVENT_SEQUENCE, CURRENT_MODE, GNSS_INTEGRITY. The values agree with every such
frame in recordings of PX4 1.17."""


def _crc_table() -> NDArray[np.uint16]:
    """X.25 (CRC-16/MCRF4XX) by byte."""
    table = np.zeros(256, np.uint16)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
        table[byte] = crc
    return table


def _crc_extras() -> NDArray[np.int16]:
    extras = np.full(KNOWN_IDS, -1, np.int16)
    for msgid, crc_extra in NEWER_CRC_EXTRA.items():
        extras[msgid] = crc_extra
    for msgid, message in dialect.mavlink_map.items():
        if msgid < KNOWN_IDS:
            extras[msgid] = message.crc_extra
    return extras


_CRC_TABLE = _crc_table()
_CRC_EXTRAS = _crc_extras()
_PLAIN = frozenset(
    msgid
    for msgid, message in dialect.mavlink_map.items()
    if not any(message.array_lengths) and "char" not in message.fieldtypes
)
"""Messages whose fields are all single numbers."""
_COLUMNS = 7
"""Start, length, sysid, compid, msgid, seq, kind of a found frame."""
_VERIFIED, _UNVERIFIED, _KIND_SIGNED = 0, 1, 2


_SCAN_SIGNATURE = types.UniTuple(types.int64, 4)(  # type: ignore[no-untyped-call, unused-ignore]
    types.Array(types.uint8, 1, "C", readonly=True),
    types.int64,
    types.Array(types.uint16, 1, "C"),
    types.Array(types.int16, 1, "C"),
    types.Array(types.int64, 2, "C"),
)


@njit(_SCAN_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _scan(
    buffer: NDArray[np.uint8],
    length: int,
    table: NDArray[np.uint16],
    extras: NDArray[np.int16],
    found: NDArray[np.int64],
) -> tuple[int, int, int, int]:
    """Frames of `buffer[:length]` into rows of `found`; returns (frames, bytes used, bad CRCs, garbage bytes).

    Stops where a frame is cut off by the end, or when `found` is full. A frame whose CRC is wrong costs one byte:
    the search goes on right after its magic, so a true frame inside it is found. A frame of an id without a known
    CRC_EXTRA counts as unverified if one of the 256 possible values would make its CRC right and what follows it
    looks like a frame; ids from 65536 on, which no dialect has, are garbage.
    """
    frames = 0
    at = 0
    bad_crc = 0
    garbage = 0
    while at < length and frames < found.shape[0]:
        magic = buffer[at]
        if magic == 0xFD:
            if at + 3 > length:
                break
            flags = buffer[at + 2]
            if flags & 0xFE:
                at += 1
                garbage += 1
                continue
            header = 10
            signed = flags & 1
        elif magic == 0xFE:
            if at + 2 > length:
                break
            header = 6
            signed = 0
        else:
            at += 1
            garbage += 1
            continue
        crc_at = at + header + int(buffer[at + 1])
        end = crc_at + 2 + 13 * int(signed)
        if end > length:
            break
        if magic == 0xFD:
            seq, sysid, compid = int(buffer[at + 4]), int(buffer[at + 5]), int(buffer[at + 6])
            msgid = int(buffer[at + 7]) | int(buffer[at + 8]) << 8 | int(buffer[at + 9]) << 16
        else:
            seq, sysid, compid = int(buffer[at + 2]), int(buffer[at + 3]), int(buffer[at + 4])
            msgid = int(buffer[at + 5])
        crc = np.uint16(0xFFFF)
        for i in range(at + 1, crc_at):
            crc = np.uint16((crc >> 8) ^ table[(crc ^ buffer[i]) & 0xFF])
        sent = np.uint16(buffer[crc_at]) | np.uint16(np.uint16(buffer[crc_at + 1]) << 8)
        if msgid >= extras.shape[0]:
            at += 1
            garbage += 1
            continue
        extra = extras[msgid]
        kind = 0
        good = False
        if extra >= 0:
            good = np.uint16((crc >> 8) ^ table[(crc ^ np.uint16(extra)) & 0xFF]) == sent
        elif end == length or buffer[end] == 0xFD or buffer[end] == 0xFE:
            kind = 1
            for guess in range(256):
                if np.uint16((crc >> 8) ^ table[(crc ^ np.uint16(guess)) & 0xFF]) == sent:
                    good = True
                    break
        if not good:
            at += 1
            bad_crc += 1
            garbage += 1
            continue
        found[frames, 0] = at
        found[frames, 1] = end - at
        found[frames, 2] = sysid
        found[frames, 3] = compid
        found[frames, 4] = msgid
        found[frames, 5] = seq
        found[frames, 6] = kind | (2 if signed else 0)
        frames += 1
        at = end
    return frames, at, bad_crc, garbage


class Frame(NamedTuple):
    """One MAVLink frame as it came, with what its header says."""

    data: bytes
    """The whole frame, magic to CRC or signature."""
    sysid: int
    """Of the sender."""
    compid: int
    """Of the sender."""
    msgid: int
    """Which message it carries."""
    seq: int
    """Counts up per sending component, modulo 256."""
    verified: bool
    """The CRC was checked with the message's CRC_EXTRA (false: the id is not in the dialect)."""
    signed: bool
    """Carries a MAVLink 2 signature (not yet checked)."""


class Framer:
    """Cuts one stream of bytes into frames, whatever lies between them."""

    def __init__(self) -> None:
        """Starts with an empty stream."""
        self._rest = b""
        self._found = np.empty((512, _COLUMNS), np.int64)
        self.frames = 0
        """Frames found."""
        self.bytes = 0
        """Bytes fed."""
        self.bad_crc = 0
        """Places that looked like a frame and had a wrong CRC."""
        self.garbage_bytes = 0
        """Bytes that belong to no frame."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with `data`; the cut-off end waits for the next call."""
        self.bytes += len(data)
        stream = self._rest + data if self._rest else bytes(data)
        buffer = np.frombuffer(stream, np.uint8)
        frames: list[Frame] = []
        start = 0
        while True:
            count, used, bad_crc, garbage = _scan(
                buffer[start:], len(stream) - start, _CRC_TABLE, _CRC_EXTRAS, self._found
            )
            self.bad_crc += bad_crc
            self.garbage_bytes += garbage
            for at, size, sysid, compid, msgid, seq, kind in self._found[:count].tolist():
                data = stream[start + at : start + at + size]
                frames.append(Frame(data, sysid, compid, msgid, seq, not kind & _UNVERIFIED, bool(kind & _KIND_SIGNED)))
            start += used
            if count < len(self._found):
                break
        self._rest = stream[start:]
        self.frames += len(frames)
        return frames


def payload(frame: Frame) -> bytes:
    """The payload of a frame as sent (MAVLink 2 cuts zero bytes off its end)."""
    header = 10 if frame.data[0] == MAGIC_V2 else 6
    return frame.data[header : header + frame.data[1]]


def decode(frame: Frame) -> Any:
    """The pymavlink message of a frame, with its header; None where the dialect lacks the id.

    Same result as pymavlink's own decoder, without a parser that keeps state.
    """
    kind = dialect.mavlink_map.get(frame.msgid)
    if kind is None:
        return None
    size = kind.unpacker.size
    values = kind.unpacker.unpack(payload(frame)[:size].ljust(size, b"\0"))
    lengths, arguments = kind.lengths, []
    if frame.msgid in _PLAIN:
        arguments = [values[order] for order in kind.orders]
    else:
        starts = [0]
        for length, array in zip(lengths, kind.array_lengths, strict=True):
            starts.append(starts[-1] + (1 if array and isinstance(values[starts[-1]], bytes) else length))
        for order in kind.orders:
            value = values[starts[order]]
            if isinstance(value, bytes):
                arguments.append(value.rstrip(b"\0"))
            elif lengths[order] == 1:
                arguments.append(value)
            else:
                arguments.append(list(values[starts[order] : starts[order + 1]]))
    message = kind(*arguments)
    message._header = dialect.MAVLink_header(
        frame.msgid, mlen=frame.data[1], seq=frame.seq, srcSystem=frame.sysid, srcComponent=frame.compid
    )
    message._msgbuf = frame.data
    return message


class Encoder:
    """Turns messages into MAVLink 2 frames of one sending component, numbering them."""

    def __init__(self, *, sysid: int, compid: int) -> None:
        """Frames come from `sysid`/`compid`."""
        self._mav = dialect.MAVLink(None, srcSystem=sysid, srcComponent=compid)

    def encode(self, message: Any) -> bytes:
        """The next frame, carrying `message` (a pymavlink message object)."""
        data: bytes = message.pack(self._mav)
        self._mav.seq = (self._mav.seq + 1) % 256
        return data


class SequenceCount(msgspec.Struct):
    """Frames of one sending component on one link, and those that never came."""

    frames: int = 0
    """Frames received."""
    bytes: int = 0
    """Bytes received."""
    lost: int = 0
    """Numbers skipped by the sequence, modulo 256: a floor, not the truth, when a link is out for long."""
    last_seq: int = -1
    """Sequence number of the last frame, -1 before the first."""

    def count(self, frame: Frame) -> None:
        """Take a frame into account; a number out of order or twice (up to 8 behind) is no loss."""
        self.frames += 1
        self.bytes += len(frame.data)
        if self.last_seq >= 0:
            ahead = (frame.seq - self.last_seq) % 256
            if ahead == 0 or ahead > 248:
                if ahead:
                    self.lost = max(0, self.lost - 1)
                return
            self.lost += ahead - 1
        self.last_seq = frame.seq

    @property
    def loss_percent(self) -> float:
        """Share of the frames sent that never came, 0 to 100."""
        sent = self.frames + self.lost
        return 100.0 * self.lost / sent if sent else 0.0
