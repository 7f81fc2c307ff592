"""A writer of MPEG transport streams: one H.264 picture and its KLV metadata at a time, ready to be sent at once.

libavformat's muxer holds a picture back until the next one's metadata comes, a frame late; this one does not.
Source: ISO/IEC 13818-1 (packets, PES, PSI), MISB ST 1402 (synchronous KLV: stream type 0x15 in metadata access units).
"""

from __future__ import annotations

import struct
from random import Random

PACKET_BYTES = 188
"""Of one transport packet."""
TICKS_PER_S = 90_000
"""Of presentation time stamps."""

_PAT_PID, _PMT_PID, _VIDEO_PID, _KLV_PID = 0x0000, 0x1000, 0x0100, 0x0101
_VIDEO_STREAM_ID, _METADATA_STREAM_ID = 0xE0, 0xFC
_PTS_MASK = (1 << 33) - 1
_PCR_LEAD_TICKS = TICKS_PER_S // 5
_MAX_PES_PAYLOAD = 65_000
_HEADERS_BYTES = 90
"""Of a picture's first packet: of the PES, of the sequence and of the slice, without which nobody sees a picture."""
_KLVA_METADATA_DESCRIPTOR = bytes.fromhex("26 09 0100 ff 4b4c5641 00 0f")
_METADATA_STD_DESCRIPTOR = bytes.fromhex("27 09 c00000 c00000 c00000")


class TransportStream:
    """Continuity counters and tables of one stream."""

    def __init__(self) -> None:
        """A stream of one program: H.264 and, synchronous with it, KLV."""
        self._counters = {_PAT_PID: 0, _PMT_PID: 0, _VIDEO_PID: 0, _KLV_PID: 0}
        self._metadata_units = 0
        self._pat = _section(0x00, 1, struct.pack(">HH", 1, 0xE000 | _PMT_PID))
        registration = b"\x05\x04KLVA"
        klv_descriptors = registration + _KLVA_METADATA_DESCRIPTOR + _METADATA_STD_DESCRIPTOR
        self._pmt = _section(
            0x02,
            1,
            struct.pack(">HH", 0xE000 | _VIDEO_PID, 0xF000)
            + struct.pack(">BHH", 0x1B, 0xE000 | _VIDEO_PID, 0xF000)
            + struct.pack(">BHH", 0x15, 0xE000 | _KLV_PID, 0xF000 | len(klv_descriptors))
            + klv_descriptors,
        )

    def mux(self, video: bytes, klv: bytes | None, *, ticks: int, keyframe: bool) -> bytes:
        """Whole transport packets of one access unit and its metadata, both at `ticks` of 1/90000 s; tables lead.

        Raises ValueError for metadata above 65 kB.
        """
        parts = [self._packets(_PAT_PID, self._pat), self._packets(_PMT_PID, self._pmt)]
        if klv is not None:
            if len(klv) > _MAX_PES_PAYLOAD:
                raise ValueError(f"metadata of {len(klv)} bytes do not fit in one access unit")
            unit = struct.pack(">BBBH", 0, self._metadata_units & 0xFF, 0xDF, len(klv)) + klv
            self._metadata_units += 1
            parts.append(self._packets(_KLV_PID, _pes(_METADATA_STREAM_ID, unit, ticks)))
        clock = _program_clock(ticks - _PCR_LEAD_TICKS, keyframe)
        parts.append(self._packets(_VIDEO_PID, _pes(_VIDEO_STREAM_ID, video[:_MAX_PES_PAYLOAD], ticks), clock))
        for at in range(_MAX_PES_PAYLOAD, len(video), _MAX_PES_PAYLOAD):
            parts.append(self._packets(_VIDEO_PID, _pes(_VIDEO_STREAM_ID, video[at : at + _MAX_PES_PAYLOAD], None)))
        return b"".join(parts)

    def _packets(self, pid: int, data: bytes, adaptation: bytes = b"") -> bytes:
        out = bytearray()
        at, start = 0, 0x4000
        while at < len(data):
            room = PACKET_BYTES - 4 - (1 + len(adaptation) if adaptation else 0)
            payload = data[at : at + room]
            if len(payload) < room and not adaptation:  # ISO/IEC 13818-1: PES are stuffed in the adaptation field
                stuffing = room - len(payload) - 1
                field = bytes([stuffing]) + (b"\x00" + b"\xff" * (stuffing - 1) if stuffing else b"")
            elif adaptation:
                stuffing = room - len(payload)
                field = bytes([len(adaptation) + stuffing]) + adaptation + b"\xff" * stuffing
            else:
                field = b""
            counter = self._counters[pid]
            self._counters[pid] = (counter + 1) & 0xF
            out += struct.pack(">BHB", 0x47, start | pid, (0x30 if field else 0x10) | counter) + field + payload
            at += len(payload)
            start, adaptation = 0, b""
        return bytes(out)


def spoil(data: bytes, random: Random) -> bytes:
    """Transport packets as a bad link or camera gives them: noise in pictures behind their first bytes."""
    out = bytearray(data)
    for at in range(0, len(out), PACKET_BYTES):
        start, pid = out[at + 1] & 0x40, (out[at + 1] & 0x1F) << 8 | out[at + 2]
        if pid != _VIDEO_PID:
            continue
        payload = at + 4 + (1 + out[at + 4] if out[at + 3] & 0x20 else 0) + (_HEADERS_BYTES if start else 0)
        end = at + PACKET_BYTES
        out[payload:end] = random.randbytes(max(0, end - payload))
    return bytes(out)


def _pes(stream_id: int, payload: bytes, ticks: int | None) -> bytes:
    """A PES packet of stated length, which a demuxer hands on at once; `ticks` None where an access unit goes on."""
    stamp = b""
    if ticks is not None:
        pts = ticks & _PTS_MASK
        stamp = struct.pack(
            ">BHH", 0x21 | (pts >> 30) << 1, 0x0001 | ((pts >> 15) & 0x7FFF) << 1, 0x0001 | (pts & 0x7FFF) << 1
        )
    flags = (0x84, 0x80) if stamp else (0x80, 0x00)
    size = len(payload) + 3 + len(stamp)
    return b"\x00\x00\x01" + struct.pack(">BHBBB", stream_id, size, *flags, len(stamp)) + stamp + payload


def _program_clock(ticks: int, keyframe: bool) -> bytes:
    """The adaptation field, less its length, with random access flag and PCR."""
    base = ticks & _PTS_MASK
    return bytes([0x50 if keyframe else 0x10]) + struct.pack(">IH", base >> 1, (base & 1) << 15 | 0x7E00)


def _section(table_id: int, number: int, body: bytes) -> bytes:
    """A PSI section behind its pointer field, stuffed to fill one packet."""
    head = struct.pack(">BHHBBB", table_id, 0xB000 | (len(body) + 9), number, 0xC1, 0, 0)
    section = head + body
    whole = b"\x00" + section + struct.pack(">I", _crc32(section))
    return whole + b"\xff" * (PACKET_BYTES - 4 - len(whole))


def _crc32(data: bytes) -> int:
    crc = 0xFFFFFFFF
    for octet in data:
        crc ^= octet << 24
        for _ in range(8):
            crc = (crc << 1 ^ (0x04C11DB7 if crc & 0x80000000 else 0)) & 0xFFFFFFFF
    return crc
