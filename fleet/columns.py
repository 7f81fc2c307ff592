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
START, LENGTH, SYSID, COMPID, MSGID, SEQ, KIND = range(7)
"""The columns of a table of found frames: where each starts, its bytes, what its header says, and KIND's bits."""
FOUND_COLUMNS = 7
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


_IDS = tuple(int(getattr(dialect, f"MAVLINK_MSG_ID_{name}")) for name in HOT_MESSAGES)
_DTYPES = tuple(payload_dtype(msgid) for msgid in _IDS)
_SLOTS = {name: slot for slot, name in enumerate(HOT_MESSAGES)}
_SIZES = np.array([dtype.itemsize for dtype in _DTYPES], np.int32)
_LARGEST_BYTES = int(_SIZES.max())
_SLOT_OF_ID = np.full(KNOWN_IDS, -1, np.int8)
_SLOT_OF_ID[list(_IDS)] = range(len(_IDS))


class Columns(NamedTuple):
    """All frames of one hot message in a batch, in the order in which they came."""

    rows: NDArray[np.int32]
    """(n,) which frames of the batch they are."""
    values: NDArray[Any]
    """(n,) records with MAVLink's field names, types and units (1e7 degrees, mm, centidegrees ...); fields that the
    sender cut off, or does not know, are 0."""


_GATHER_SIGNATURE = types.void(  # type: ignore[no-untyped-call, unused-ignore]
    types.Array(types.uint8, 1, "C", readonly=True),
    types.Array(types.int32, 2, "C"),
    types.Array(types.int8, 1, "C"),
    types.Array(types.int32, 1, "C"),
    types.Array(types.int32, 1, "C"),
    types.Array(types.uint8, 1, "C"),
)


@njit(_GATHER_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _gather(
    stream: NDArray[np.uint8],
    found: NDArray[np.int32],
    slot_of_id: NDArray[np.int8],
    sizes: NDArray[np.int32],
    index: NDArray[np.int32],
    records: NDArray[np.uint8],
) -> None:
    """Sort the hot frames by message: their zero-filled payloads into `records`, the rest into `index`.

    `index` begins with three numbers for each message: where its rows start in `index`, where its payloads start
    in `records`, and their count. The row numbers follow.
    """
    slots = sizes.shape[0]
    for slot in range(slots):
        index[3 * slot + 2] = 0
    for row in range(found.shape[0]):
        slot = slot_of_id[found[row, MSGID]]
        if slot >= 0 and not found[row, KIND] & UNVERIFIED:
            index[3 * slot + 2] += 1
    first = 3 * slots
    byte = 0
    for slot in range(slots):
        index[3 * slot] = first
        index[3 * slot + 1] = byte
        first += index[3 * slot + 2]
        byte += index[3 * slot + 2] * sizes[slot]
        index[3 * slot + 2] = 0
    for row in range(found.shape[0]):
        slot = slot_of_id[found[row, MSGID]]
        if slot < 0 or found[row, KIND] & UNVERIFIED:
            continue
        nth = index[3 * slot + 2]
        size = sizes[slot]
        start = found[row, START]
        header = 10 if stream[start] == 0xFD else 6
        sent = min(np.int32(stream[start + 1]), size)
        to = index[3 * slot + 1] + nth * size
        for i in range(sent):
            records[to + i] = stream[start + header + i]
        for i in range(sent, size):
            records[to + i] = 0
        index[index[3 * slot] + nth] = row
        index[3 * slot + 2] = nth + 1


class HotColumns:
    """The columns of every hot message of a table of found frames."""

    def __init__(self, stream: NDArray[np.uint8], found: NDArray[np.int32]) -> None:
        """Copies what it needs out of `stream` (bytes,); `found` (frames, FOUND_COLUMNS) says where frames are."""
        self._index = np.empty(3 * len(HOT_MESSAGES) + len(found), np.int32)
        self._records = np.empty(len(found) * _LARGEST_BYTES, np.uint8)
        _gather(stream, found, _SLOT_OF_ID, _SIZES, self._index, self._records)
        self._places: list[int] = self._index[: 3 * len(HOT_MESSAGES)].tolist()
        counts = self._places[2::3]
        self.present = tuple([name for slot, name in enumerate(HOT_MESSAGES) if counts[slot]])
        """Names of the hot messages of which there is at least one."""

    def __getitem__(self, name: str) -> Columns:
        """The columns of one hot message, empty if there is none; KeyError for a message that is not hot."""
        slot = _SLOTS[name]
        first, byte, count = self._places[3 * slot : 3 * slot + 3]
        return Columns(self._index[first : first + count], np.ndarray((count,), _DTYPES[slot], self._records, byte))
