"""MAVLink frames changed or made up on their way, byte by byte: new numbers, new contents, false signatures."""

from __future__ import annotations

import hashlib
import struct
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Frame
from fleet.scan import MAGIC_V1, MAGIC_V2, NEWER_CRC_EXTRA, SIGNATURE_BYTES, SIGNED_FLAG

SIGNING_EPOCH_UTC_S = 1_420_070_400.0
"""Signatures count from 2015-01-01 (MAVLink 2, message signing)."""
TICKS_IN_S = 100_000
"""Of 10 us each."""


def crc_extra_of(msgid: int) -> int | None:
    """CRC_EXTRA of a message; None for one that neither the dialect nor `fleet.framing` knows."""
    kind = mavlink.mavlink_map.get(msgid)
    extra = NEWER_CRC_EXTRA.get(msgid) if kind is None else kind.crc_extra
    return None if extra is None else int(extra)


def renumbered(frame: Frame, seq: int, *, key: bytes | None = None) -> Frame:
    """The same frame with another sequence number, 0 to 255, and so another CRC.

    A signed frame is signed again with `key` (32 bytes) under its own timestamp; without it, and where the message
    is not known, the frame stays as it is.
    """
    extra = crc_extra_of(frame.msgid)
    if extra is None or seq == frame.seq or (frame.signed and key is None):
        return frame
    body = bytearray(_body(frame))
    body[4 if body[0] == MAGIC_V2 else 2] = seq
    return frame._replace(data=_sealed(bytes(body), extra, _signature(frame), key), seq=seq)


def rewritten(frame: Frame, message: Any, *, key: bytes | None = None) -> Frame:
    """A frame of the same sender, number and version with another message in it.

    A signed frame is signed with `key` under its own timestamp; without a key its signature stays, and is wrong.
    """
    mav = mavlink.MAVLink(None, srcSystem=frame.sysid, srcComponent=frame.compid)
    mav.seq = frame.seq
    packed: bytes = message.pack(mav, force_mavlink1=frame.data[0] == MAGIC_V1)
    msgid = int(message.get_msgId())
    extra = int(mavlink.mavlink_map[msgid].crc_extra)
    body = bytearray(packed[:-2])
    signature = _signature(frame)
    if signature is not None:
        body[2] |= SIGNED_FLAG
    return frame._replace(data=_sealed(bytes(body), extra, signature, key), msgid=msgid, verified=True)


def made_up(message: Any, *, sysid: int, compid: int, seq: int, signature: tuple[bytes, float] | None = None) -> Frame:
    """A frame that nobody sent; `signature` is the key (32 bytes) and the time it claims, s since 1970 UTC."""
    mav = mavlink.MAVLink(None, srcSystem=sysid, srcComponent=compid)
    mav.seq = seq
    if signature is not None:
        mav.signing.secret_key, utc_s = signature
        mav.signing.timestamp = round((utc_s - SIGNING_EPOCH_UTC_S) * TICKS_IN_S)
        mav.signing.sign_outgoing = True
    data = bytes(message.pack(mav))
    return Frame(data, sysid, compid, int(message.get_msgId()), seq, True, signature is not None)


def _body(frame: Frame) -> bytes:
    """Header and payload."""
    return frame.data[: -2 - (SIGNATURE_BYTES if frame.signed else 0)]


def _signature(frame: Frame) -> bytes | None:
    return frame.data[-SIGNATURE_BYTES:] if frame.signed else None


def _sealed(body: bytes, crc_extra: int, signature: bytes | None, key: bytes | None) -> bytes:
    """Header and payload with their CRC, and signed where `signature` (of which link id and timestamp are kept) is."""
    crc = mavlink.x25crc(body[1:] + bytes((crc_extra,))).crc
    data = body + struct.pack("<H", crc)
    if signature is None:
        return data
    stamp = signature[:7]
    return data + stamp + (signature[7:] if key is None else hashlib.sha256(key + data + stamp).digest()[:6])
