"""What nobody sent: forged frames, bursts of garbage, and the second source of a sysid."""

from __future__ import annotations

import hashlib
import random
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Frame, decode
from simulators.fault_frames import made_up, rewritten
from simulators.fault_schedule import DuplicateSysid, ForgedFrames, ForgedMessage, Garbage, Way

GROUND_SYSID, GROUND_COMPID = 255, 190
METRES_IN_DEG = 111_132.0
"""Of latitude, near enough."""
PLACES = {24: "lat", 33: "lat"}
"""GPS_RAW_INT and GLOBAL_POSITION_INT, and their latitude."""


class Forger:
    """Makes the frames of one ForgedFrames."""

    def __init__(self, fault: ForgedFrames, chance: random.Random) -> None:
        """`chance` gives the wrong key and the first sequence number."""
        self._fault = fault
        self._key = hashlib.sha256(b"forged %d" % chance.getrandbits(64)).digest()
        self._seq = chance.randrange(256)

    def frame(self, *, vehicle_sysid: int, utc_s: float) -> Frame:
        """The next one; `utc_s` is the vehicle's clock."""
        fault = self._fault
        up = fault.way is Way.UP
        self._seq = (self._seq + 1) % 256
        return made_up(
            _message(fault.message, up=up, vehicle_sysid=vehicle_sysid),
            sysid=fault.sysid or (vehicle_sysid if up else GROUND_SYSID),
            compid=fault.compid or (1 if up else GROUND_COMPID),
            seq=self._seq,
            signature=(self._key, utc_s + fault.ahead_s) if fault.signed else None,
        )


def _message(kind: ForgedMessage, *, up: bool, vehicle_sysid: int) -> Any:
    if kind is ForgedMessage.HEARTBEAT:
        beat = (2, 3, 0xD9, 6, 4, 3) if up else (6, 8, 0, 0, 4, 3)
        return mavlink.MAVLink_heartbeat_message(*beat)
    if kind is ForgedMessage.POSITION:
        return mavlink.MAVLink_global_position_int_message(1_000_000, 0, 0, 9_000, 9_000, 0, 0, 0, 0)
    if kind is ForgedMessage.TEXT:
        return mavlink.MAVLink_statustext_message(0, b"Emergency: forged", 0, 0)
    command, first, second = (400, 0.0, 21196.0) if kind is ForgedMessage.DISARM else (176, 1.0, 6.0)
    return mavlink.MAVLink_command_long_message(vehicle_sysid, 1, command, 0, first, second, 0, 0, 0, 0, 0)


def burst(fault: Garbage, chance: random.Random) -> bytes:
    """Bytes that nobody sent, every other burst led by a magic byte."""
    data = bytearray(chance.randbytes(chance.randint(1, fault.most_bytes)))
    if chance.random() < 0.5:
        data[0] = chance.choice((0xFD, 0xFE))
    return bytes(data)


def displaced(frame: Frame, fault: DuplicateSysid) -> Frame:
    """The frame as the second source sends it: positions moved, the rest as it is."""
    name = PLACES.get(frame.msgid)
    if name is None:
        return frame
    message = decode(frame)
    values = {field: getattr(message, field) for field in message.fieldnames}
    values[name] += round(fault.north_m / METRES_IN_DEG * 1e7)
    return rewritten(frame, type(message)(**values))
