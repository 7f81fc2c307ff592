"""RTP packets of a simulated camera, and the sender reports that say what its time stamps mean.

Source: RFC 3550 (RTP, RTCP), RFC 2250 and RFC 3551 (payload type 33, MP2T), RFC 6184 (H.264: single NAL units, FU-A).
"""

from __future__ import annotations

import re
import secrets
import struct
from collections.abc import Iterator
from typing import Literal

from simulators.video import DATAGRAM_BYTES, Chunk

Payload = Literal["mp2t", "h264"]
"""What is packed: the transport stream with its metadata, or pictures alone, as most cameras do."""
PAYLOAD_TYPES: dict[Payload, int] = {"mp2t": 33, "h264": 96}
"""Numbers of payloads in packets."""

_START_CODE = re.compile(b"\x00\x00\x00?\x01")
_NTP_EPOCH_S = 2_208_988_800
_SENDER_REPORT, _CNAME = 200, b"camera"
_FU_A = 28


class Rtp:
    """Sequence numbers of one stream."""

    def __init__(self, payload: Payload) -> None:
        """Begins at a random number, as RFC 3550 asks."""
        self.ssrc = secrets.randbits(32)
        self._payload: Payload = payload
        self._sequence = secrets.randbits(15)
        self._packets = self._octets = 0

    def packets(self, chunk: Chunk) -> list[bytes]:
        """Of one picture; the last is marked."""
        parts = list(_units(chunk.video) if self._payload == "h264" else _pieces(chunk.data))
        return [self._packet(part, chunk.ticks, last=i == len(parts)) for i, part in enumerate(parts, 1)]

    def report(self, ticks: int, utc_s: float) -> bytes:
        """RTCP: that time stamp `ticks` is `utc_s`, s since 1970."""
        whole = int(utc_s)
        body = struct.pack(
            ">IIIIII", self.ssrc, whole + _NTP_EPOCH_S, int((utc_s - whole) * 2**32), ticks & 0xFFFFFFFF,
            self._packets & 0xFFFFFFFF, self._octets & 0xFFFFFFFF,
        )  # fmt: skip
        chunk = struct.pack(">IBB", self.ssrc, 1, len(_CNAME)) + _CNAME
        chunk += bytes(4 - len(chunk) % 4)
        return (
            struct.pack(">BBH", 0x80, _SENDER_REPORT, 6)
            + body
            + struct.pack(">BBH", 0x81, 202, len(chunk) // 4)
            + chunk
        )

    def _packet(self, part: bytes, ticks: int, *, last: bool) -> bytes:
        kind = PAYLOAD_TYPES[self._payload] | (0x80 if last and self._payload == "h264" else 0)
        head = struct.pack(">BBHII", 0x80, kind, self._sequence & 0xFFFF, ticks & 0xFFFFFFFF, self.ssrc)
        self._sequence += 1
        self._packets += 1
        self._octets += len(part)
        return head + part


def _pieces(data: bytes) -> Iterator[bytes]:
    for at in range(0, len(data), DATAGRAM_BYTES):
        yield data[at : at + DATAGRAM_BYTES]


def _units(video: bytes) -> Iterator[bytes]:
    """NAL units, the large ones in fragments."""
    for unit in filter(None, _START_CODE.split(video)):
        if len(unit) <= DATAGRAM_BYTES:
            yield unit
            continue
        room = DATAGRAM_BYTES - 2
        for at in range(1, len(unit), room):
            edges = (0x80 if at == 1 else 0) | (0x40 if at + room >= len(unit) else 0)
            yield bytes([unit[0] & 0xE0 | _FU_A, edges | unit[0] & 0x1F]) + unit[at : at + room]
