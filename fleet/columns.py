"""The hot messages of many frames at once, as numpy columns without a Python object for each frame.

The payload of a MAVLink message is a packed little-endian record, its largest fields first and its extensions
last, with the zero bytes at its end cut off. So a column is a copy of the payloads, zeros put back, seen through
the numpy dtype of that record.
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

import numpy as np
from numba import njit, types
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as dialect

HOT_MESSAGES = (
    "HEARTBEAT",
    "SYS_STATUS",
    "GPS_RAW_INT",
    "ATTITUDE",
    "GLOBAL_POSITION_INT",
    "VFR_HUD",
    "BATTERY_STATUS",
    "EXTENDED_SYS_STATE",
    "MOUNT_ORIENTATION",
    "GIMBAL_DEVICE_ATTITUDE_STATUS",
)
"""Messages that have columns: what a vehicle in flight sends most."""

KNOWN_IDS = 65536
"""Message ids below this can be in a table by id; no dialect has higher ones."""
START, LENGTH, SYSID, COMPID, MSGID, SEQ, KIND, PIECE = range(8)
"""The columns of a table of found frames: where each starts, its bytes, what its header says, KIND's bits, and which of
the pieces given to the framer it lies in."""
FOUND_COLUMNS = 8
UNVERIFIED, SIGNED = 1, 2
"""Bits of KIND: the CRC could not be checked with a known CRC_EXTRA; the frame carries a signature."""

_NUMPY_OF_STRUCT = {"b": "i1", "B": "u1", "h": "<i2", "H": "<u2", "i": "<i4", "I": "<u4", "q": "<i8", "Q": "<u8"}
_NUMPY_OF_STRUCT |= {"f": "<f4", "d": "<f8"}


def payload_dtype(msgid: int) -> np.dtype[Any]:
    """The record that a message's whole payload is: its fields by MAVLink's names, in the order and units of the wire.

    Raises KeyError for an id that the dialect lacks.
    """
    message = dialect.mavlink_map[msgid]
    fields: list[tuple[Any, ...]] = []
    parts = re.findall(r"(\d*)([a-zA-Z])", message.unpacker.format)
    for name, (count, letter) in zip(message.ordered_fieldnames, parts, strict=True):
        if letter in "sc":
            fields.append((name, f"S{count or 1}"))
        elif count:
            fields.append((name, _NUMPY_OF_STRUCT[letter], (int(count),)))
        else:
            fields.append((name, _NUMPY_OF_STRUCT[letter]))
    return np.dtype(fields)


HOT_IDS = tuple(int(getattr(dialect, f"MAVLINK_MSG_ID_{name}")) for name in HOT_MESSAGES)
"""Their message ids, in the same order."""
_DTYPES = tuple(payload_dtype(msgid) for msgid in HOT_IDS)
SIZES = np.array([dtype.itemsize for dtype in _DTYPES], np.int32)
LARGEST_BYTES = int(SIZES.max())
SLOT_OF_ID = np.full(KNOWN_IDS, -1, np.int8)
SLOT_OF_ID[list(HOT_IDS)] = range(len(HOT_IDS))
INDEX_HEAD = 4 * len(HOT_IDS)
"""Tables for `gather`: payload sizes by slot, the largest; slots by message id; room before the rows of its index."""


class Columns(NamedTuple):
    """All frames of one hot message in a batch, in the order in which they came."""

    rows: NDArray[np.int32]
    """(n,) which frames of the batch they are."""
    values: NDArray[Any]
    """(n,) records with MAVLink's field names, types and units (1e7 degrees, mm, centidegrees ...); fields that the
    sender cut off, or does not know, are 0."""


_COLUMNS = tuple.__new__
"""A NamedTuple of a tuple, in half the time of its own call."""
_EMPTY = {
    name: Columns(np.empty(0, np.int32), np.empty(0, dtype)) for name, dtype in zip(HOT_MESSAGES, _DTYPES, strict=True)
}


_GATHER_SIGNATURE = types.int64(  # type: ignore[no-untyped-call, unused-ignore]
    types.Bytes(types.uint8, 1, "C", readonly=True),
    types.Array(types.int32, 2, "C"),
    types.Array(types.int8, 1, "C"),
    types.Array(types.int32, 1, "C"),
    types.Array(types.int32, 1, "C"),
    types.Array(types.uint8, 1, "C"),
)


@njit(_GATHER_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def gather(
    stream: bytes,
    found: NDArray[np.int32],
    slot_of_id: NDArray[np.int8],
    sizes: NDArray[np.int32],
    index: NDArray[np.int32],
    records: NDArray[np.uint8],
) -> int:
    """Sort the hot frames by message: their zero-filled payloads into `records`, the rest into `index`.

    `index` begins with four numbers for each message that there is: its slot, where its rows start in `index`, where
    its payloads start in `records`, and where its rows end. The row numbers follow behind room for all slots. Returns
    how many messages there are.
    """
    slots = sizes.shape[0]
    counts = np.zeros(slots, np.int32)
    for row in range(found.shape[0]):
        slot = slot_of_id[found[row, MSGID]]
        if slot >= 0 and not found[row, KIND] & UNVERIFIED:
            counts[slot] += 1
    place_of = np.empty(slots, np.int32)
    present = 0
    first = 4 * slots
    byte = 0
    for slot in range(slots):
        if counts[slot]:
            place_of[slot] = 4 * present
            index[4 * present] = slot
            index[4 * present + 1] = index[4 * present + 3] = first
            index[4 * present + 2] = byte
            first += counts[slot]
            byte += counts[slot] * sizes[slot]
            present += 1
    for row in range(found.shape[0]):
        slot = slot_of_id[found[row, MSGID]]
        if slot < 0 or found[row, KIND] & UNVERIFIED:
            continue
        place = place_of[slot]
        size = sizes[slot]
        start = found[row, START]
        header = 10 if stream[start] == 0xFD else 6
        sent = min(np.int32(stream[start + 1]), size)
        end = index[place + 3]
        to = index[place + 2] + (end - index[place + 1]) * size
        for i in range(sent):
            records[to + i] = stream[start + header + i]
        for i in range(sent, size):
            records[to + i] = 0
        index[end] = row
        index[place + 3] = end + 1
    return present


class HotColumns:
    """The columns of every hot message of a table of found frames."""

    def __init__(self, index: NDArray[np.int32], records: NDArray[np.uint8], present: int) -> None:
        """As `gather` left them: `present` is how many messages there are."""
        self._columns: dict[str, Columns] = {}
        places = iter(index[: 4 * present].tolist())
        for slot, first, byte, end in zip(places, places, places, places, strict=True):
            values = np.ndarray((end - first,), _DTYPES[slot], records, byte)
            self._columns[HOT_MESSAGES[slot]] = _COLUMNS(Columns, (index[first:end], values))

    @classmethod
    def of(cls, stream: bytes, found: NDArray[np.int32]) -> HotColumns:
        """Copied out of `stream`, where `found` (frames, FOUND_COLUMNS) says where frames are."""
        index = np.empty(INDEX_HEAD + len(found), np.int32)
        records = np.empty(len(found) * LARGEST_BYTES, np.uint8)
        return cls(index, records, gather(stream, found, SLOT_OF_ID, SIZES, index, records))

    @property
    def present(self) -> tuple[str, ...]:
        """Names of the hot messages of which there is at least one."""
        return tuple(self._columns)

    def __getitem__(self, name: str) -> Columns:
        """The columns of one hot message, empty if there is none; KeyError for a message that is not hot."""
        found = self._columns.get(name)
        return found if found is not None else _EMPTY[name]
