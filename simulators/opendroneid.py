"""A remote ID transmitter aboard: what the ground told it, and whether it would let the vehicle be armed.

Source: AP_OpenDroneID of ArduPilot 4.6 (the autopilot's checks) and ArduRemoteID (the transmitter's).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as mavlink

IDENTITIES_S = 22.0
"""What says who may be so old for the transmitter, s."""
SYSTEM_S = 3.0
"""What says where the operator is may be so old for the autopilot, s."""
GOOD_TO_ARM, NOT_TO_ARM = 0, 1
"""MAV_ODID_ARM_STATUS."""
STATUS_S = 1.0
"""Between two OPEN_DRONE_ID_ARM_STATUS, s."""


class Identities(msgspec.Struct, frozen=True, kw_only=True):
    """What a transmitter broadcasts, as the ground told it; None: not told yet."""

    uas_id: str | None = None
    """Identity of the vehicle."""
    id_type: int = 0
    """MAV_ODID_ID_TYPE."""
    ua_type: int = 0
    """MAV_ODID_UA_TYPE."""
    operator_id: str | None = None
    """Identity of the operator."""
    description: str | None = None
    """Text of SELF_ID."""
    description_type: int = 0
    """MAV_ODID_DESC_TYPE."""
    operator: tuple[float, float] | None = None
    """Place of the operator: lon, lat, deg."""
    operator_altitude_m: float | None = None
    """Height of the operator above the WGS 84 ellipsoid, m."""
    operator_location_type: int = 0
    """MAV_ODID_OPERATOR_LOCATION_TYPE."""


class RemoteIdTransmitter:
    """Takes the OPEN_DRONE_ID_ messages; all times are of the ground's clock, s since power-on."""

    def __init__(self, time_s: Callable[[], float], has_place: Callable[[], bool]) -> None:
        """`has_place` is whether the autopilot tells it where the vehicle is."""
        self._time_s, self._has_place = time_s, has_place
        self.aboard = Identities()
        """What it was told."""
        self._heard_s: dict[str, float] = {}
        self._told_s = -STATUS_S

    def hear(self, message: Any) -> None:
        """An OPEN_DRONE_ID_ message of the ground."""
        kind = message.get_type().removeprefix("OPEN_DRONE_ID_")
        m, told = message, self.aboard
        if kind == "BASIC_ID":
            told = msgspec.structs.replace(told, uas_id=_text(m.uas_id), id_type=m.id_type, ua_type=m.ua_type)
        elif kind == "OPERATOR_ID":
            told = msgspec.structs.replace(told, operator_id=_text(m.operator_id))
        elif kind == "SELF_ID":
            told = msgspec.structs.replace(told, description=_text(m.description), description_type=m.description_type)
        elif kind in ("SYSTEM", "SYSTEM_UPDATE"):
            place = (m.operator_longitude / 1e7, m.operator_latitude / 1e7)
            told = msgspec.structs.replace(told, operator=place, operator_altitude_m=m.operator_altitude_geo)
            if kind == "SYSTEM":
                told = msgspec.structs.replace(told, operator_location_type=m.operator_location_type)
        self.aboard = told
        if kind != "SYSTEM_UPDATE" or "SYSTEM" in self._heard_s:
            self._heard_s[kind.removesuffix("_UPDATE")] = self._time_s()

    def missing(self) -> list[str]:
        """What the transmitter still waits for, in its own words."""
        waits = [] if self._has_place() else ["LOC"]
        words = {"BASIC_ID": "ID", "SELF_ID": "SELF_ID", "OPERATOR_ID": "OP_ID", "SYSTEM": "SYS"}
        waits += [word for kind, word in words.items() if self._age_s(kind) > IDENTITIES_S]
        return waits + ([] if self._operator_known() else ["OP_LOC"])

    def refusal(self) -> str | None:
        """Why ArduPilot would not arm, if it insists on remote ID; None if it would."""
        if self.aboard.id_type == 0:
            return "UA_TYPE required in BasicID"
        if not self._operator_known():
            return "operator location must be set"
        if self._age_s("SYSTEM") > SYSTEM_S:
            return "SYSTEM not available"
        waits = self.missing()
        return f"missing {' '.join(waits)}" if waits else None

    def status(self) -> Any | None:
        """OPEN_DRONE_ID_ARM_STATUS when it is due."""
        if self._time_s() - self._told_s < STATUS_S:
            return None
        self._told_s = self._time_s()
        waits = self.missing()
        words = f"missing {' '.join(waits)}" if waits else ""
        return mavlink.MAVLink_open_drone_id_arm_status_message(
            NOT_TO_ARM if waits else GOOD_TO_ARM, words.encode("ascii")[:50]
        )

    def _operator_known(self) -> bool:
        return self.aboard.operator is not None and any(self.aboard.operator)

    def _age_s(self, kind: str) -> float:
        return self._time_s() - self._heard_s.get(kind, -1e9)


def _text(field: Any) -> str:
    raw = bytes(field) if not isinstance(field, str) else field.encode("latin-1")
    return raw.split(b"\0")[0].decode("ascii", "replace")
