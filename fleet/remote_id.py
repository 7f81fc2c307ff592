"""Remote ID: what the vehicle's transmitter says of itself and of its operator, told to it as OpenDroneID messages.

The vehicle adds where it is; who it is, who flies it and from where comes from us (ASTM F3411; MAVLink's OpenDroneID
service). ArduPilot keeps the identities once told, and will not be armed 3 s after the last OPEN_DRONE_ID_SYSTEM.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Callable
from contextlib import suppress
from enum import IntEnum
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import Channel
from fleet.errors import LinkError, RemoteIdInvalid
from geo.positions import Datum, Position

EPOCH_UTC_S = 1_546_300_800.0
"""2019-01-01, from which OpenDroneID counts, s since 1970 UTC."""
SYSTEM_S = 1.0
"""Between OPEN_DRONE_ID_SYSTEM messages, s of the wall: as often as the standard asks for the operator's place."""
IDENTITY_S = 5.0
"""Between messages that say who, s of the wall: for a transmitter that has restarted."""
UNKNOWN_ALTITUDE_M = -1000.0
ANY_COMPONENT = 0
"""The autopilot keeps what it is told and hands it on to the transmitter."""
_NO_MAC = [0] * 20
_SERIAL = re.compile(r"[0-9A-HJ-NP-Z]{4}([1-9A-F])([0-9A-HJ-NP-Z]+)")
"""ANSI/CTA-2063-A: manufacturer, length of the rest in hexadecimal, the rest; letters without I and O."""
_REGISTRATION = re.compile(r"[A-Z0-9]{1,4}\.[A-Z0-9.]+")
"""Nationality mark (ICAO Annex 7), a dot, what the authority assigned (ASTM F3411)."""
_EU_SECRET = re.compile(r"[A-Z]{3}[0-9A-Za-z]{13}-[0-9A-Za-z]{3}")
"""A European operator number with its last three characters, which must not be sent (EN 4709-002)."""


class IdKind(IntEnum):
    """What the identity of the vehicle is (MAV_ODID_ID_TYPE)."""

    SERIAL_NUMBER = 1
    """The manufacturer's serial number, ANSI/CTA-2063-A."""
    REGISTRATION = 2
    """As registered with the aviation authority."""


class UaType(IntEnum):
    """What flies (MAV_ODID_UA_TYPE)."""

    AEROPLANE = 1
    """With fixed wings."""
    ROTORCRAFT = 2
    """A helicopter or multirotor."""
    HYBRID_LIFT = 4
    """With fixed wings, taking off vertically."""
    GLIDER = 6
    """Without a motor."""
    AIRSHIP = 10
    """Lighter than air."""
    OTHER = 15
    """Something else."""


class PlaceKind(IntEnum):
    """Where the operator's place comes from (MAV_ODID_OPERATOR_LOCATION_TYPE)."""

    TAKEOFF = 0
    """It is where the vehicle took off."""
    LIVE = 1
    """It is measured all the time."""
    FIXED = 2
    """It is a fixed place."""


class RemoteId(msgspec.Struct, frozen=True, kw_only=True):
    """What is registered of a vehicle and its operator, and is broadcast; see `check_remote_id`."""

    ua_id: str
    """Serial number or registration, at most 20 characters."""
    id_kind: IdKind = IdKind.SERIAL_NUMBER
    """Which of the two."""
    ua_type: UaType = UaType.ROTORCRAFT
    """What flies."""
    operator_id: str
    """Of the operator, as the aviation authority gave it, at most 20 characters; without a secret end."""
    purpose: str = "inspection"
    """Purpose of the flight, at most 23 characters."""
    operator_place: Position
    """Where the operator is; height above the WGS 84 ellipsoid."""
    place_kind: PlaceKind = PlaceKind.FIXED
    """Where that comes from."""


class TransmitterStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What the remote ID transmitter aboard says of itself."""

    ready: bool
    """It transmits, or is ready to."""
    error: str
    """Why not, in its own words."""
    heard_monotonic_s: float
    """When it said so, s of our monotonic clock."""


def check_remote_id(remote_id: RemoteId) -> None:
    """Refuse what must not be broadcast, or would not be understood; raises RemoteIdInvalid naming the field."""
    _check_ua_id(remote_id)
    _check_text("operator_id", remote_id.operator_id, most=20)
    _check_text("purpose", remote_id.purpose, most=23)
    if _EU_SECRET.fullmatch(remote_id.operator_id):
        raise RemoteIdInvalid("operator_id: its last four characters are secret, and must not be part of it")
    check_place(remote_id.operator_place)


def check_place(place: Position) -> None:
    """Refuse an operator's place that is none; raises RemoteIdInvalid."""
    altitude = place.altitude
    if place.lon == 0 and place.lat == 0:
        raise RemoteIdInvalid("operator_place: 0, 0 deg means that it is unknown")
    if altitude.datum is not Datum.W84:
        raise RemoteIdInvalid(f"operator_place: its height is {altitude.datum}, but is sent above the ellipsoid (W84)")
    if not UNKNOWN_ALTITUDE_M < altitude.value_m <= 31_767.5:
        raise RemoteIdInvalid(f"operator_place: {altitude.value_m:g} m is not between -1000 and 31767.5 m")


def _check_ua_id(remote_id: RemoteId) -> None:
    ua_id, kind = remote_id.ua_id, remote_id.id_kind
    _check_text("ua_id", ua_id, most=20)
    if kind is IdKind.REGISTRATION and not _REGISTRATION.fullmatch(ua_id):
        raise RemoteIdInvalid(
            f"ua_id: {ua_id!r} is no registration: a nationality mark, a dot, then capital letters, digits and dots"
        )
    if kind is IdKind.SERIAL_NUMBER:
        parts = _SERIAL.fullmatch(ua_id)
        if parts is None:
            raise RemoteIdInvalid(
                f"ua_id: {ua_id!r} is no serial number of ANSI/CTA-2063-A: four characters of the manufacturer, the"
                " length of the rest in hexadecimal, the rest; digits and capital letters without I and O"
            )
        if int(parts[1], 16) != len(parts[2]):
            raise RemoteIdInvalid(
                f"ua_id: {ua_id!r} says that {int(parts[1], 16)} characters follow its fifth; there are {len(parts[2])}"
            )


def _check_text(field: str, text: str, *, most: int) -> None:
    if not text:
        raise RemoteIdInvalid(f"{field}: is empty")
    if len(text) > most:
        raise RemoteIdInvalid(f"{field}: {text!r} has {len(text)} characters, at most {most}")
    if not (text.isascii() and text.isprintable()) or text != text.strip():
        raise RemoteIdInvalid(f"{field}: {text!r} must be printable ASCII, without spaces at its ends")


def identity_messages(remote_id: RemoteId, *, sysid: int) -> list[Any]:
    """OPEN_DRONE_ID_BASIC_ID, OPERATOR_ID and SELF_ID to one vehicle; transmitters want the last one too."""
    ua_id = list(remote_id.ua_id.encode().ljust(20, b"\0"))
    text = dialect.MAV_ODID_DESC_TYPE_TEXT
    return [
        dialect.MAVLink_open_drone_id_basic_id_message(
            sysid, ANY_COMPONENT, _NO_MAC, remote_id.id_kind, remote_id.ua_type, ua_id
        ),
        dialect.MAVLink_open_drone_id_operator_id_message(
            sysid, ANY_COMPONENT, _NO_MAC, dialect.MAV_ODID_OPERATOR_ID_TYPE_CAA, remote_id.operator_id.encode()
        ),
        dialect.MAVLink_open_drone_id_self_id_message(sysid, ANY_COMPONENT, _NO_MAC, text, remote_id.purpose.encode()),
    ]


def system_message(remote_id: RemoteId, *, sysid: int, utc_s: float) -> Any:
    """OPEN_DRONE_ID_SYSTEM to one vehicle, made at `utc_s` (s since 1970): one vehicle, no class declared."""
    place, undeclared = remote_id.operator_place, 0
    alone, no_radius = 1, 0
    return dialect.MAVLink_open_drone_id_system_message(
        sysid,
        ANY_COMPONENT,
        _NO_MAC,
        remote_id.place_kind,
        dialect.MAV_ODID_CLASSIFICATION_TYPE_UNDECLARED,
        round(place.lat * 1e7),
        round(place.lon * 1e7),
        alone,
        no_radius,
        UNKNOWN_ALTITUDE_M,
        UNKNOWN_ALTITUDE_M,
        undeclared,
        undeclared,
        place.altitude.value_m,
        max(0, math.floor(utc_s - EPOCH_UTC_S)),
    )


class RemoteIdSender:
    """Keeps one vehicle's transmitter told, and knows what it says."""

    def __init__(self, channel: Channel, remote_id: RemoteId, *, utc_now: Callable[[], float] = time.time) -> None:
        """Sends through `channel`. Raises RemoteIdInvalid."""
        check_remote_id(remote_id)
        self.remote_id = remote_id
        """What is sent."""
        self.status: TransmitterStatus | None = None
        """What the transmitter said last; None before its first word."""
        self._channel, self._utc_now = channel, utc_now
        self._next_identity_s = -math.inf

    def move(self, place: Position) -> None:
        """The operator is somewhere else now. Raises RemoteIdInvalid."""
        check_place(place)
        self.remote_id = msgspec.structs.replace(self.remote_id, operator_place=place)

    async def run(self) -> None:
        """Send for ever; while no link leads to the vehicle there is nobody to tell, and that is no error."""
        with self._channel.listen("OPEN_DRONE_ID_ARM_STATUS") as inbox:
            next_s = time.monotonic()
            while True:
                now_s = time.monotonic()
                if now_s >= next_s:
                    next_s = max(next_s + SYSTEM_S, now_s)
                    with suppress(LinkError):
                        self._send(now_s)
                elif (message := await inbox.get(next_s - now_s)) is not None:
                    self._hear(message, time.monotonic())

    def _send(self, monotonic_s: float) -> None:
        sysid = self._channel.sysid
        self._channel.send(system_message(self.remote_id, sysid=sysid, utc_s=self._utc_now()))
        if monotonic_s >= self._next_identity_s:
            for message in identity_messages(self.remote_id, sysid=sysid):
                self._channel.send(message)
            self._next_identity_s = monotonic_s + IDENTITY_S

    def _hear(self, message: Any, monotonic_s: float) -> None:
        self.status = TransmitterStatus(
            ready=message.status == dialect.MAV_ODID_ARM_STATUS_GOOD_TO_ARM,
            error=message.error.strip(),
            heard_monotonic_s=monotonic_s,
        )
