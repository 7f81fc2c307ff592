"""The compiled search for MAVLink 1 and 2 frames in bytes: magic, length, CRC with CRC_EXTRA."""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numpy.typing import NDArray
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.columns import (
    COMPID,
    KIND,
    KNOWN_IDS,
    LENGTH,
    MSGID,
    PIECE,
    SEQ,
    SIGNED,
    START,
    SYSID,
    UNVERIFIED,
    gather,
)

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


CRC_TABLES = _crc_tables()
CRC_EXTRAS = _crc_extras()

_BYTES = types.Bytes(types.uint8, 1, "C", readonly=True)  # type: ignore[no-untyped-call, unused-ignore]
_TABLES = types.Array(types.uint16, 2, "C")
_EXTRAS = types.Array(types.int32, 1, "C")
_CRC_SIGNATURE = types.uint16(_BYTES, types.int64, types.int64, _TABLES)  # type: ignore[no-untyped-call, unused-ignore]
_SPAN_SIGNATURE = types.int64(_BYTES, types.int64, types.int64)  # type: ignore[no-untyped-call, unused-ignore]
_HOLDS_SIGNATURE = types.int64(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, types.int64, types.int64, types.int64, _TABLES, _EXTRAS
)
_SCAN_SIGNATURE = types.UniTuple(types.int64, 5)(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, types.int64, types.int64, types.int64, _TABLES, _EXTRAS, types.Array(types.int32, 2, "C"), types.int64
)
_PIECES = types.Array(types.int32, 2, "C")
_SCAN_PIECES_SIGNATURE = types.UniTuple(types.int64, 4)(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, _PIECES, types.int64, _TABLES, _EXTRAS, types.Array(types.int32, 2, "C")
)
_SCAN_COLUMNS_SIGNATURE = types.UniTuple(types.int64, 5)(  # type: ignore[no-untyped-call, unused-ignore]
    _BYTES, _PIECES, types.int64, _TABLES, _EXTRAS, types.Array(types.int32, 2, "C"),
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
    frames: int,
) -> tuple[int, int, int, int, int]:
    """Frames of `buffer[start:length]` into rows of `found`, behind the `frames` that are there.

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


@njit(_SCAN_PIECES_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def scan_pieces(
    buffer: bytes,
    pieces: NDArray[np.int32],
    count: int,
    tables: NDArray[np.uint16],
    extras: NDArray[np.int32],
    found: NDArray[np.int32],
) -> tuple[int, int, int, int]:
    """Frames of the first `count` of `pieces` of `buffer`, each of a stream of its own, into rows of `found`.

    `pieces` (n, 2) has where each ends, one beginning where the one before does, and how many bytes of it belong to a
    frame found before. It is left with where what was used of each ends, and the bytes to skip next time. Returns
    frames, bad CRCs, garbage bytes, and how many pieces have an end that was not used.
    """
    frames = bad_crc = garbage = cut = start = 0
    for piece in range(count):
        end = pieces[piece, 0]
        first = frames
        frames, used, skip, bad, strange = _scan(buffer, start, end, pieces[piece, 1], tables, extras, found, frames)
        for row in range(first, frames):
            found[row, PIECE] = piece
        bad_crc += bad
        garbage += strange
        cut += used < end
        pieces[piece, 0], pieces[piece, 1] = used, skip
        start = end
    return frames, bad_crc, garbage, cut


@njit(_SCAN_COLUMNS_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def scan_columns(
    buffer: bytes,
    pieces: NDArray[np.int32],
    count: int,
    tables: NDArray[np.uint16],
    extras: NDArray[np.int32],
    found: NDArray[np.int32],
    slot_of_id: NDArray[np.int8],
    sizes: NDArray[np.int32],
    index: NDArray[np.int32],
    records: NDArray[np.uint8],
) -> tuple[int, int, int, int, int]:
    """What `scan_pieces` returns, and behind it what `gather` does: one call is cheaper than two for a small piece."""
    frames, bad_crc, garbage, cut = scan_pieces(buffer, pieces, count, tables, extras, found)
    return frames, bad_crc, garbage, cut, gather(buffer, found[:frames], slot_of_id, sizes, index, records)


def crc_of(body: bytes) -> bytes:
    """The two bytes of CRC behind `body`, which ends with its CRC_EXTRA."""
    return int(_crc(body, 0, len(body), CRC_TABLES)).to_bytes(2, "little")


def crc_extra(msgid: int) -> int | None:
    """The CRC_EXTRA of a message; None where nobody knows it."""
    known = int(CRC_EXTRAS[msgid]) if msgid < KNOWN_IDS else -1
    return known & 0xFF if known >= 0 else None
