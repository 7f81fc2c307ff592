"""MAVLink 1 and 2 frames in a stream of bytes, and single frames to messages and back.

The scan over a buffer (magic, length, CRC with CRC_EXTRA) is compiled, and so are the columns of the hot messages;
any other frame is decoded by pymavlink's message classes, and only when somebody asks. Signatures are carried here,
and checked in `fleet.signing`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

import msgspec
import numpy as np
from numba import njit, types
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.columns import (
    COMPID,
    FOUND_COLUMNS,
    HOT_IDS,
    INDEX_HEAD,
    KIND,
    KNOWN_IDS,
    LARGEST_BYTES,
    LENGTH,
    MSGID,
    SEQ,
    SIGNED,
    SIZES,
    SLOT_OF_ID,
    START,
    SYSID,
    UNVERIFIED,
    HotColumns,
    gather,
)  # fmt: skip
from fleet.errors import SigningInvalid

MAGIC_V1, MAGIC_V2 = 0xFE, 0xFD
SIGNED_FLAG = 0x01
"""MAVLINK_IFLAG_SIGNED."""
SIGNATURE_BYTES = 13
LONGEST_FRAME_BYTES = 12 + 255 + SIGNATURE_BYTES
SHORTEST_FRAME_BYTES = 8

NEWER_CRC_EXTRA = {8: 117, 300: 217, 380: 232, 397: 182, 410: 160, 411: 106, 436: 193, 441: 169}
"""Messages that PX4 sends and the dialect lacks: LINK_NODE_STATUS, PROTOCOL_VERSION, TIME_ESTIMATE_TO_TARGET,
COMPONENT_METADATA, EVENT, CURRENT_EVENT_SEQUENCE, CURRENT_MODE, GNSS_INTEGRITY. The values agree with every such
frame in recordings of PX4 1.17."""


def _crc_tables() -> NDArray[np.uint16]:
    """X.25 (CRC-16/MCRF4XX): row k has the CRC of each byte followed by k zero bytes, to take eight at once."""
    tables = np.zeros((8, 256), np.uint16)
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = (crc >> 1) ^ (0x8408 if crc & 1 else 0)
        tables[0, byte] = crc
    for row in range(1, 8):
        before = tables[row - 1]
        tables[row] = (before >> 8) ^ tables[0][before & 0xFF]
    return tables


def _crc_extras() -> NDArray[np.int32]:
    """By message id: CRC_EXTRA in the low byte, the longest payload above it; -1 for ids that nobody knows."""
    extras = np.full(KNOWN_IDS, -1, np.int32)
    for msgid, crc_extra in NEWER_CRC_EXTRA.items():
        extras[msgid] = crc_extra | 255 << 8
    for msgid, message in dialect.mavlink_map.items():
        if msgid < KNOWN_IDS:
            extras[msgid] = message.crc_extra | message.unpacker.size << 8
    return extras


_CRC_TABLES = _crc_tables()
_CRC_EXTRAS = _crc_extras()
_PLAIN = frozenset(
    msgid
    for msgid, message in dialect.mavlink_map.items()
    if not any(message.array_lengths) and "char" not in message.fieldtypes
)
"""Messages whose fields are all single numbers."""


_BYTES = types.Bytes(types.uint8, 1, "C", readonly=True)  # type: ignore[no-untyped-call, unused-ignore]
_TABLES = types.Array(types.uint16, 2, "C")
_EXTRAS = types.Array(types.int32, 1, "C")
_CRC_SIGNATURE = types.uint16(_BYTES, types.int64, types.int64, _TABLES)  # type: ignore[no-untyped-call, unused-ignore]
_SPAN_SIGNATURE = types.int64(_BYTES, types.int64, types.int64)  # type: ignore[no-untyped-call, unused-ignore]
_HOLDS_SIGNATURE = types.int64(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, types.int64, types.int64, types.int64, _TABLES, _EXTRAS
)
_SCAN_SIGNATURE = types.UniTuple(types.int64, 5)(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, types.int64, types.int64, types.int64, _TABLES, _EXTRAS, types.Array(types.int32, 2, "C")
)
_SCAN_COLUMNS_SIGNATURE = types.UniTuple(types.int64, 6)(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, types.int64, types.int64, _TABLES, _EXTRAS, types.Array(types.int32, 2, "C"),
    types.Array(types.int8, 1, "C"), _EXTRAS, _EXTRAS, types.Array(types.uint8, 1, "C"),
)  # fmt: skip


@njit(_CRC_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _crc(buffer: bytes, start: int, end: int, tables: NDArray[np.uint16]) -> np.uint16:
    """CRC of `buffer[start:end]`, without the CRC_EXTRA."""
    crc = np.uint16(0xFFFF)
    at = start
    while at + 8 <= end:
        crc = np.uint16(
            tables[7, (crc ^ buffer[at]) & 0xFF]
            ^ tables[6, (crc >> 8) ^ buffer[at + 1]]
            ^ tables[5, buffer[at + 2]]
            ^ tables[4, buffer[at + 3]]
            ^ tables[3, buffer[at + 4]]
            ^ tables[2, buffer[at + 5]]
            ^ tables[1, buffer[at + 6]]
            ^ tables[0, buffer[at + 7]]
        )
        at += 8
    while at < end:
        crc = np.uint16((crc >> 8) ^ tables[0, (crc ^ buffer[at]) & 0xFF])
        at += 1
    return crc


@njit(_SPAN_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _span(buffer: bytes, at: int, length: int) -> int:
    """Bytes of the frame that seems to start at `at`, by its own header; 0: none does; -1: cut off by the end."""
    magic = buffer[at]
    if magic == 0xFD:
        if at + 3 > length:
            return -1
        flags = buffer[at + 2]
        if flags & 0xFE:
            return 0
        size = 12 + int(buffer[at + 1]) + 13 * int(flags)
    elif magic == 0xFE:
        if at + 2 > length:
            return -1
        size = 8 + int(buffer[at + 1])
    else:
        return 0
    return size if at + size <= length else -1


@njit(_HOLDS_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _holds_known(
    buffer: bytes,
    start: int,
    end: int,
    length: int,
    tables: NDArray[np.uint16],
    extras: NDArray[np.int32],
) -> int:
    """Whether a frame of a known id with a right CRC starts in `buffer[start:end]`: 1 yes, 0 no, -1 not yet known."""
    cut = 0
    for at in range(start, end):
        size = _span(buffer, at, length)
        if size == 0:
            continue
        if size < 0:
            cut = -1
            continue
        if buffer[at] == 0xFD:
            msgid = int(buffer[at + 7]) | int(buffer[at + 8]) << 8 | int(buffer[at + 9]) << 16
            crc_at = at + 10 + int(buffer[at + 1])
        else:
            msgid = int(buffer[at + 5])
            crc_at = at + 6 + int(buffer[at + 1])
        if msgid >= extras.shape[0] or extras[msgid] < 0:
            continue
        crc = _crc(buffer, at + 1, crc_at, tables)
        sent = np.uint16(buffer[crc_at]) | np.uint16(np.uint16(buffer[crc_at + 1]) << 8)
        if np.uint16((crc >> 8) ^ tables[0, (crc ^ np.uint16(extras[msgid])) & 0xFF]) == sent:
            return 1
    return cut


@njit(_SCAN_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _scan(
    buffer: bytes,
    start: int,
    length: int,
    skip: int,
    tables: NDArray[np.uint16],
    extras: NDArray[np.int32],
    found: NDArray[np.int32],
) -> tuple[int, int, int, int, int]:
    """Frames of `buffer[start:length]` into rows of `found`.

    Returns frames, where what was used ends, bytes to skip next time, bad CRCs, garbage bytes. The first `skip` bytes
    belong to a frame found before.

    Stops where a frame is cut off by the end; `found` must have room for all. A frame whose CRC is wrong costs one
    byte: the search goes on right after its magic, so a true frame inside it is found. So does a MAVLink 1 frame that
    is longer than its message, whatever its CRC says. A frame of an id without a
    known CRC_EXTRA counts as unverified if one of the 256 possible values would make its CRC right, what follows it
    looks like a frame, and no frame of a known id starts within it; ids from 65536 on, which no dialect has, are
    garbage. A signature has no checksum: where no frame follows it, bytes of it were lost on the way, and the next
    frame may have begun within what was taken for it; so the search goes back there.
    """
    frames = 0
    at = taken = start + skip
    back = start if skip else -1
    bad_crc = 0
    garbage = 0
    while at < length:
        size = _span(buffer, at, length)
        if size < 0:
            break
        if size == 0:
            if back >= 0:
                at = back
                back = -1
                continue
            garbage += at >= taken
            at += 1
            continue
        if buffer[at] == 0xFD:
            seq, sysid, compid = buffer[at + 4], buffer[at + 5], buffer[at + 6]
            msgid = int(buffer[at + 7]) | int(buffer[at + 8]) << 8 | int(buffer[at + 9]) << 16
            crc_at = at + 10 + int(buffer[at + 1])
            signed = buffer[at + 2] & 1
        else:
            seq, sysid, compid = buffer[at + 2], buffer[at + 3], buffer[at + 4]
            msgid = int(buffer[at + 5])
            crc_at = at + 6 + int(buffer[at + 1])
            signed = 0
        crc = _crc(buffer, at + 1, crc_at, tables)
        sent = np.uint16(buffer[crc_at]) | np.uint16(np.uint16(buffer[crc_at + 1]) << 8)
        end = at + size
        kind = 0
        good = False
        known = msgid < extras.shape[0]
        if known and extras[msgid] >= 0:
            if buffer[at] == 0xFD or buffer[at + 1] <= extras[msgid] >> 8:
                good = np.uint16((crc >> 8) ^ tables[0, (crc ^ np.uint16(extras[msgid])) & 0xFF]) == sent
        elif known and (end == length or buffer[end] == 0xFD or buffer[end] == 0xFE):
            kind = UNVERIFIED
            for guess in range(256):
                if np.uint16((crc >> 8) ^ tables[0, (crc ^ np.uint16(guess)) & 0xFF]) == sent:
                    good = True
                    break
            if good:
                inside = _holds_known(buffer, at + 1, end, length, tables, extras)
                if inside < 0:
                    break
                good = inside == 0
        if not good:
            if back >= 0:
                at = back
                back = -1
                continue
            bad_crc += at >= taken and known
            garbage += at >= taken
            at += 1
            continue
        found[frames, START] = at
        found[frames, LENGTH] = size
        found[frames, SYSID] = sysid
        found[frames, COMPID] = compid
        found[frames, MSGID] = msgid
        found[frames, SEQ] = seq
        found[frames, KIND] = kind | (SIGNED if signed else 0)
        frames += 1
        at = end
        taken = max(taken, end)
        back = crc_at + 2 if signed else -1
    used = back if back >= 0 else min(at, length)
    return frames, used, max(taken - used, 0), bad_crc, garbage


@njit(_SCAN_COLUMNS_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _scan_columns(
    buffer: bytes,
    length: int,
    skip: int,
    tables: NDArray[np.uint16],
    extras: NDArray[np.int32],
    found: NDArray[np.int32],
    slot_of_id: NDArray[np.int8],
    sizes: NDArray[np.int32],
    index: NDArray[np.int32],
    records: NDArray[np.uint8],
) -> tuple[int, int, int, int, int, int]:
    """What `_scan` returns, and behind it what `gather` does: one call is cheaper than two for a small piece."""
    frames, used, left, bad_crc, garbage = _scan(buffer, 0, length, skip, tables, extras, found)
    present = gather(buffer, found[:frames], slot_of_id, sizes, index, records)
    return frames, used, left, bad_crc, garbage, present


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


class Batch:
    """The frames found by one call of a framer, as a table; nothing is made for a frame until it is asked for."""

    def __init__(
        self,
        stream: bytes,
        found: NDArray[np.int32],
        gathered: tuple[NDArray[np.int32], NDArray[np.uint8], int] | None = None,
    ) -> None:
        """`found` (frames, FOUND_COLUMNS) tells where the frames of `stream` are; `gathered` is what `columns.gather`
        made of them, where that was called."""
        self.stream = stream
        """The bytes that the frames lie in."""
        self.found = found
        """(frames, FOUND_COLUMNS): start, length, sysid, compid, msgid, seq, kind of each frame."""
        self._gathered = gathered
        self._columns: HotColumns | None = None

    def __len__(self) -> int:
        """How many frames."""
        return len(self.found)

    @classmethod
    def joined(cls, batches: Sequence[Batch]) -> Batch:
        """The frames of several batches of one framer as one, in their order.

        What is done once for many small pieces (columns, signatures) is done several times faster for each frame.
        """
        offsets = accumulate((len(batch.stream) for batch in batches), initial=0)
        found = np.concatenate([batch.found for batch in batches] or [np.empty((0, FOUND_COLUMNS), np.int32)])
        row = 0
        for batch, offset in zip(batches, offsets, strict=False):
            found[row : row + len(batch), START] += offset
            row += len(batch)
        return cls(b"".join([batch.stream for batch in batches]), found)

    @property
    def columns(self) -> HotColumns:
        """Typed columns of the hot messages."""
        if self._columns is None:
            gathered = self._gathered
            if gathered is None:
                self._columns = HotColumns.of(self.stream, self.found)
            else:
                self._columns = HotColumns(*gathered)
        return self._columns

    def frame(self, row: int) -> Frame:
        """One frame by its row."""
        return self._frame(self.found[row].tolist())

    def frames(self) -> list[Frame]:
        """All frames, in the order in which they came."""
        return [self._frame(place) for place in self.found.tolist()]

    def _frame(self, place: list[int]) -> Frame:
        at, size, sysid, compid, msgid, seq, kind = place
        data = self.stream[at : at + size]
        return Frame(data, sysid, compid, msgid, seq, not kind & UNVERIFIED, bool(kind & SIGNED))


def flagged_as_signed(data: bytes) -> bytes:
    """An unsigned MAVLink 2 frame with the flag that a signature follows, and its CRC anew.

    Raises SigningInvalid for any other frame, and for an id without a known CRC_EXTRA.
    """
    if len(data) < 12 or data[0] != MAGIC_V2 or len(data) != 12 + data[1] or data[2]:
        raise SigningInvalid(f"a frame of {len(data)} bytes from 0x{data[:3].hex()}: only unsigned MAVLink 2 is signed")
    msgid = int.from_bytes(data[7:10], "little")
    extra = int(_CRC_EXTRAS[msgid]) & 0xFF if msgid < KNOWN_IDS and _CRC_EXTRAS[msgid] >= 0 else -1
    if extra < 0:
        raise SigningInvalid(f"a frame of message {msgid}: its CRC_EXTRA is not known, so it cannot be signed")
    body = bytes((MAGIC_V2, data[1], SIGNED_FLAG)) + data[3:-2] + bytes((extra,))
    crc = int(_crc(body, 1, len(body), _CRC_TABLES))
    return body[:-1] + crc.to_bytes(2, "little")


def without_signature(frame: Frame) -> bytes:
    """A verified frame as if it had never been signed, with its CRC anew; as it is where it was not."""
    if not frame.signed:
        return frame.data
    body = bytes((MAGIC_V2, frame.data[1], 0)) + frame.data[3:-15] + bytes((int(_CRC_EXTRAS[frame.msgid]) & 0xFF,))
    crc = int(_crc(body, 1, len(body), _CRC_TABLES))
    return body[:-1] + crc.to_bytes(2, "little")


class Framer:
    """Cuts one stream of bytes into frames, whatever lies between them."""

    def __init__(self) -> None:
        """Starts with an empty stream."""
        self._rest, self._skip = b"", 0
        self._found = np.empty((0, FOUND_COLUMNS), np.int32)
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
        stream = self._rest + data if self._rest else bytes(data)
        found = self._room(stream)
        count, used, self._skip, bad_crc, garbage = _scan(
            stream, 0, len(stream), self._skip, _CRC_TABLES, _CRC_EXTRAS, found
        )
        self._count(stream[used:], len(data), count, bad_crc, garbage)
        return Batch(stream, found[:count]).frames()

    def scan(self, data: bytes) -> Batch:
        """The frames that are complete with `data`, as a table with columns; the cut-off end waits for the next
        call."""
        stream = self._rest + data if self._rest else bytes(data)
        found = self._room(stream)
        index = np.empty(INDEX_HEAD + len(stream) // SHORTEST_FRAME_BYTES, np.int32)
        records = np.empty(len(stream) // SHORTEST_FRAME_BYTES * LARGEST_BYTES, np.uint8)
        count, used, self._skip, bad_crc, garbage, present = _scan_columns(
            stream, len(stream), self._skip, _CRC_TABLES, _CRC_EXTRAS, found,
            SLOT_OF_ID, SIZES, index, records,
        )  # fmt: skip
        self._count(stream[used:], len(data), count, bad_crc, garbage)
        return Batch(stream, found[:count].copy(), (index, records, present))

    def _room(self, stream: bytes) -> NDArray[np.int32]:
        """A table for as many frames as there can be; the next call overwrites it."""
        most = len(stream) // SHORTEST_FRAME_BYTES
        if most > len(self._found):
            self._found = np.empty((most, FOUND_COLUMNS), np.int32)
        return self._found

    def _count(self, rest: bytes, fed: int, frames: int, bad_crc: int, garbage: int) -> None:
        self._rest = rest
        self.bytes += fed
        self.frames += frames
        self.bad_crc += bad_crc
        self.garbage_bytes += garbage


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


def read(frame: Frame) -> Any:
    """The fields of a frame by MAVLink's names, and the name of its message by `get_type()`; None where the dialect
    lacks the id.

    Of a hot message this is a tuple with names, in a quarter of the time that `decode` takes; what the header says
    stands in the frame. Of any other it is what `decode` gives.
    """
    return _READERS.get(frame.msgid, decode)(frame)


def _reader(msgid: int) -> Callable[[Frame], Any]:
    kind = dialect.mavlink_map[msgid]
    name, size, unpack = kind.msgname, kind.unpacker.size, kind.unpacker.unpack
    fields: Any = namedtuple(name, kind.ordered_fieldnames)  # type: ignore[misc]
    record: Any = type(name, (fields,), {"__slots__": (), "get_type": lambda self: name})
    make = record._make
    if msgid in _PLAIN:
        return lambda frame: make(unpack(payload(frame)[:size].ljust(size, b"\0")))
    bounds = list(pairwise(accumulate(kind.lengths, initial=0)))

    def read_arrays(frame: Frame) -> Any:
        values = unpack(payload(frame)[:size].ljust(size, b"\0"))
        return make([values[start] if end - start == 1 else values[start:end] for start, end in bounds])

    return read_arrays


_READERS = {msgid: _reader(msgid) for msgid in HOT_IDS}


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
