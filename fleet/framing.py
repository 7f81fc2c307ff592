"""MAVLink 1 and 2 frames in streams of bytes, and single frames to messages and back.

The search for frames is compiled, and so are the columns of the hot messages; any other frame is decoded by
pymavlink's message classes, and only when somebody asks. Signatures are carried here, and checked in `fleet.signing`.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable, Hashable, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple, TypeVar

import msgspec
import numpy as np
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.columns import (
    FOUND_COLUMNS,
    HOT_IDS,
    INDEX_HEAD,
    LARGEST_BYTES,
    PIECE,
    SIGNED,
    SIZES,
    SLOT_OF_ID,
    START,
    UNVERIFIED,
    HotColumns,
)  # fmt: skip
from fleet.errors import SigningInvalid
from fleet.scan import (
    CRC_EXTRAS,
    CRC_TABLES,
    MAGIC_V2,
    SHORTEST_FRAME_BYTES,
    SIGNED_FLAG,
    crc_extra,
    crc_of,
    scan_columns,
    scan_pieces,
)

_PLAIN = frozenset(
    msgid
    for msgid, message in dialect.mavlink_map.items()
    if not any(message.array_lengths) and "char" not in message.fieldtypes
)
"""Messages whose fields are all single numbers."""


SYSTEM_TIME, TIMESYNC = 2, 111
Sender = TypeVar("Sender", bound=Hashable)
_NOTHING = (b"", 0)
"""What is left of a stream that ended with a frame: no bytes, none of which belongs to a frame found before."""


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


_TUPLE = tuple.__new__
"""A NamedTuple of a tuple, in half the time of its own call."""


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
        return self._frames(self.found[row : row + 1])[0]

    def frames(self) -> list[Frame]:
        """All frames, in the order in which they came."""
        return self._frames(self.found)

    def _frames(self, found: NDArray[np.int32]) -> list[Frame]:
        stream = self.stream
        return [
            _TUPLE(
                Frame,
                (stream[at : at + size], sysid, compid, msgid, seq, not kind & UNVERIFIED, kind & SIGNED != 0),
            )
            for at, size, sysid, compid, msgid, seq, kind, _ in found.tolist()
        ]


def flagged_as_signed(data: bytes) -> bytes:
    """An unsigned MAVLink 2 frame with the flag that a signature follows, and its CRC anew.

    Raises SigningInvalid for any other frame, and for an id without a known CRC_EXTRA.
    """
    if len(data) < 12 or data[0] != MAGIC_V2 or len(data) != 12 + data[1] or data[2]:
        raise SigningInvalid(f"a frame of {len(data)} bytes from 0x{data[:3].hex()}: only unsigned MAVLink 2 is signed")
    msgid = int.from_bytes(data[7:10], "little")
    if crc_extra(msgid) is None:
        raise SigningInvalid(f"a frame of message {msgid}: its CRC_EXTRA is not known, so it cannot be signed")
    return _with_flags(SIGNED_FLAG, msgid, data[1], data[3:-2])


def without_signature(frame: Frame) -> bytes:
    """A verified frame as if it had never been signed, with its CRC anew; as it is where it was not."""
    return _with_flags(0, frame.msgid, frame.data[1], frame.data[3:-15]) if frame.signed else frame.data


def _with_flags(flags: int, msgid: int, length: int, rest: bytes) -> bytes:
    """A MAVLink 2 frame of a known id up to its CRC; `rest` is what follows its flags."""
    body = bytes((length, flags)) + rest
    return bytes((MAGIC_V2,)) + body + crc_of(body + bytes((crc_extra(msgid) or 0,)))


class Framer:
    """Cuts streams of bytes into frames, whatever lies between them, the stream of each sender by itself."""

    def __init__(self) -> None:
        """Nothing heard yet."""
        self._rests: dict[Hashable, tuple[bytes, int]] = {}
        self._found = np.empty((0, FOUND_COLUMNS), np.int32)
        self._pieces = np.empty((1, 2), np.int32)
        self.frames = 0
        """Frames found."""
        self.bytes = 0
        """Bytes fed."""
        self.bad_crc = 0
        """Places that looked like a frame and had a wrong CRC."""
        self.garbage_bytes = 0
        """Bytes that belong to no frame."""

    def feed(self, data: bytes) -> list[Frame]:
        """The frames that are complete with `data`, of one stream; the cut-off end waits for the next call."""
        return [frame for _, frame in self.hear({None: data})]

    def hear(self, heard: Mapping[Sender, bytes]) -> list[tuple[Sender, Frame]]:
        """The frames that are complete with what was `heard` of each sender, each with its sender; the cut-off ends
        wait for the next call. One call for many senders is cheaper than many."""
        stream, ends = self._joined(heard)
        counts = scan_pieces(stream, self._pieces, len(ends), CRC_TABLES, CRC_EXTRAS, self._found)
        found = self._found[: counts[0]]
        self._settle(stream, heard, ends, *counts)
        senders, pieces = list(heard), found[:, PIECE].tolist()
        return list(zip([senders[piece] for piece in pieces], Batch(stream, found).frames(), strict=True))

    def scan(self, data: bytes) -> Batch:
        """The frames that are complete with `data`, of one stream, as a table with columns; the cut-off end waits for
        the next call."""
        heard = {None: data}
        stream, ends = self._joined(heard)
        most = len(stream) // SHORTEST_FRAME_BYTES
        index = np.empty(INDEX_HEAD + most, np.int32)
        records = np.empty(most * LARGEST_BYTES, np.uint8)
        *counts, present = scan_columns(
            stream, self._pieces, 1, CRC_TABLES, CRC_EXTRAS, self._found, SLOT_OF_ID, SIZES, index, records
        )
        self._settle(stream, heard, ends, *counts)
        return Batch(stream, self._found[: counts[0]].copy(), (index, records, present))

    def forget(self, sender: Hashable) -> None:
        """Nothing more comes of a sender: what is left of its stream is no frame."""
        self._rests.pop(sender, None)

    def _joined(self, heard: Mapping[Any, bytes]) -> tuple[bytes, list[int]]:
        """The pieces, each behind what was left of its stream, and where each ends; makes room for what is found."""
        known = [self._rests.pop(sender, _NOTHING) for sender in heard]
        parts = [rest + data for (rest, _), data in zip(known, heard.values(), strict=True)]
        ends = list(accumulate(map(len, parts)))
        stream = b"".join(parts)
        if len(parts) > len(self._pieces):
            self._pieces = np.empty((len(parts), 2), np.int32)
        self._pieces[: len(parts), 0] = ends
        self._pieces[: len(parts), 1] = [skip for _, skip in known]
        most = len(stream) // SHORTEST_FRAME_BYTES
        if most > len(self._found):
            self._found = np.empty((most, FOUND_COLUMNS), np.int32)
        return stream, ends

    def _settle(
        self,
        stream: bytes,
        heard: Mapping[Any, bytes],
        ends: list[int],
        frames: int,
        bad_crc: int,
        garbage: int,
        cut: int,
    ) -> None:
        """Keep the cut-off ends, and count."""
        if cut:
            for sender, end, (used, skip) in zip(heard, ends, self._pieces[: len(ends)].tolist(), strict=True):
                if used < end:
                    self._rests[sender] = stream[used:end], skip
        self.bytes += sum(map(len, heard.values()))
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
    name, size, unpack, unpack_from = kind.msgname, kind.unpacker.size, kind.unpacker.unpack, kind.unpacker.unpack_from
    fields: Any = namedtuple(name, kind.ordered_fieldnames)  # type: ignore[misc]
    record: Any = type(name, (fields,), {"__slots__": (), "get_type": lambda self: name})
    bounds = None if msgid in _PLAIN else list(pairwise(accumulate(kind.lengths, initial=0)))

    def read_fields(frame: Frame) -> Any:
        data = frame.data
        if data[1] == size and data[0] == MAGIC_V2:
            values = unpack_from(data, 10)
        else:
            values = unpack(payload(frame)[:size].ljust(size, b"\0"))
        if bounds is not None:
            values = tuple([values[start] if end - start == 1 else values[start:end] for start, end in bounds])
        return _TUPLE(record, values)

    return read_fields


_READERS = {msgid: _reader(msgid) for msgid in (*HOT_IDS, SYSTEM_TIME, TIMESYNC)}


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
