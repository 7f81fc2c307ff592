"""Messages of PX4 that the dialect at hand does not know: EVENT (410), CURRENT_MODE (436) and two more."""

from __future__ import annotations

import struct
from enum import Enum
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink


class Event(Enum):
    """Id, log levels (internal << 4 | external) and arguments of each, as recorded from PX4 1.17.0."""

    NO_GLOBAL_POSITION = (0x0198C273, 0x33, "3800000018")
    NO_LOCAL_POSITION = (0x01D31BB9, 0x33, "7c007e0011")
    NO_MISSION = (0x0105C2D9, 0x66, "0800000014")
    NO_OFFBOARD_SIGNAL = (0x012F1DC7, 0x33, "0040000014")
    NO_MANUAL_CONTROL = (0x0106ED29, 0x44, "ffffffff07")
    NO_GROUND = (0x0167C97B, 0x33, "ffffffff0c")
    GPS_FIX_TOO_LOW = (0x01BCBE91, 0x44, "7c007e0003")
    ATTITUDE_FAILURE = (0x01824B11, 0x22, "ffffffff14")
    OUTSIDE_GEOFENCE = (0x01022EAB, 0x33, "ffffffff14")
    ARMING_SUMMARY = (0x01A893E0, 0x88, "000000100080000000b03a7f")
    HEALTH_SUMMARY = (0x011D3727, 0x88, "000a180238")
    ARMING_DENIED = (0x0102089D, 0x62, "")
    ARMED = (0x0190CAF3, 0x66, "04")
    DISARMED = (0x01F46777, 0x66, "06")
    TAKEOFF_DETECTED = (0x01414569, 0x66, "")
    LANDING_DETECTED = (0x019638AC, 0x66, "")
    GROUND_LOST = (0x01A4B458, 0x64, "")
    GROUND_BACK = (0x01D93424, 0x66, "")
    FAILSAFE_HOLD = (0x0144B3E0, 0x42, "000006000605")
    FAILSAFE = (0x01DEDBD0, 0x42, "0000060006")
    PILOT_TOOK_OVER = (0x010EAC3F, 0x66, "")
    RALLY_FRAME = (0x018EB130, 0x33, "06")
    TAKEOFF_NOT_FIRST = (0x01FE4222, 0x63, "")


class RawMessage(mavlink.MAVLink_message):  # type: ignore[misc]
    """A message by its number, the seed of its checksum and its packed fields."""

    def __init__(self, number: int, name: str, crc_extra: int, payload: bytes) -> None:
        """`payload` is in the order of the wire."""
        super().__init__(number, name)
        self._crc_extra, self._fields = crc_extra, payload

    def pack(self, mav: Any, force_mavlink1: bool = False) -> bytes:
        """The frame."""
        frame: bytes = self._pack(mav, self._crc_extra, self._fields, force_mavlink1=force_mavlink1)
        return frame


def event_message(event: Event, *, boot_ms: int, sequence: int, arguments: bytes | None = None) -> RawMessage:
    """An EVENT of the autopilot for everybody; its arguments are those recorded where there are no others."""
    number, levels, recorded = event.value
    told = bytes.fromhex(recorded) if arguments is None else arguments
    fields = (number, boot_ms, sequence % 65536, 0, 0, levels, told)
    return RawMessage(410, "EVENT", 160, struct.pack("<IIHBBB40s", *fields))


def current_mode_message(custom_mode: int, standard_mode: int) -> RawMessage:
    """A CURRENT_MODE: the mode that it is in and meant to be in."""
    return RawMessage(436, "CURRENT_MODE", 193, struct.pack("<IIB", custom_mode, custom_mode, standard_mode))


def protocol_version_message() -> RawMessage:
    """PROTOCOL_VERSION: 1.0 to 2.0."""
    return RawMessage(300, "PROTOCOL_VERSION", 217, struct.pack("<HHH8s8s", 200, 100, 200, b"", b""))


def component_metadata_message(boot_ms: int, uri: bytes) -> RawMessage:
    """COMPONENT_METADATA: where the description of the component is."""
    return RawMessage(397, "COMPONENT_METADATA", 182, struct.pack("<II100s", boot_ms, 0, uri))
