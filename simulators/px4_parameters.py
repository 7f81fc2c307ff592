"""The parameters of the simulated PX4, by their real names, types and values, and as they travel."""

from __future__ import annotations

import math
import struct
import zlib
from collections.abc import Iterator

from simulators.autopilot_guidance import Descent, SpeedLimits
from simulators.autopilot_parameters import INT32, REAL32, ParameterStore, recorded

HASH_CHECK = "_HASH_CHECK"
"""Comes first in the list, with no index: a checksum over all names and values."""
UINT32 = 5
"""MAV_PARAM_TYPE of the checksum."""


class Px4Parameters(ParameterStore):
    """Integers travel as the bytes of an int32 inside the float."""

    spool_s = 1.0
    """From the order to take off to full thrust, s."""

    def __init__(self, **changed: float) -> None:
        """The recorded ones, some of them changed. Raises KeyError for a name that is not there."""
        super().__init__(recorded("px4_parameters.tsv"), changed)
        self.drained = False
        """Whether the ground has taken the simulated battery into its hands."""

    def __contains__(self, name: str) -> bool:
        """Whether there is one of this name."""
        return name == HASH_CHECK or super().__contains__(name)

    def set(self, name: str, value: float) -> bool:
        """Store a value, out of range and NaN too; False for an unknown name."""
        if name not in self._values:
            return False
        self._values[name] = value if self._types[name] == REAL32 else float(int(value))
        return True

    # -- on the wire -------------------------------------------------------------------------------------------------

    def listed(self) -> Iterator[tuple[str, int]]:
        """Name and index of each answer to PARAM_REQUEST_LIST."""
        yield HASH_CHECK, 65535
        for index, name in enumerate(self._names):
            yield name, index

    def answer_index(self, name: str) -> int:
        """The index in an answer by name: the true one."""
        return self._index.get(name, 65535)

    def wire(self, name: str) -> tuple[float, int]:
        """Value and type as they stand in PARAM_VALUE."""
        if name == HASH_CHECK:
            return _float_of(struct.pack("<I", self.checksum())), UINT32
        kind, value = self._types[name], self._values[name]
        return (value if kind == REAL32 else _float_of(struct.pack("<i", int(value)))), kind

    def take(self, name: str, value: float, kind: int) -> bool:
        """From PARAM_SET; another type than the parameter's own is not answered."""
        if self._types.get(name) != kind:
            return False
        if kind == INT32:
            (value,) = struct.unpack("<i", struct.pack("<f", value))
        self.drained = self.drained or name.startswith("SIM_BAT_")
        return self.set(name, float(value))

    def checksum(self) -> int:
        """CRC-32 over names and values in order."""
        crc = 0
        for name in self._names:
            value, kind = self._values[name], self._types[name]
            raw = struct.pack("<i", int(value)) if kind == INT32 else struct.pack("<f", value)
            crc = zlib.crc32(name.encode() + raw, crc)
        return crc

    # -- for the flight ----------------------------------------------------------------------------------------------

    def limits(self) -> SpeedLimits:
        """What the navigation asks for by itself."""
        values = self._values
        return SpeedLimits(
            values["MPC_XY_CRUISE"],
            values["MPC_Z_V_AUTO_UP"],
            values["MPC_Z_V_AUTO_DN"],
            values["MPC_ACC_HOR"],
            values["MPC_ACC_DOWN_MAX"],
            values["MPC_JERK_AUTO"],
        )

    def descent(self) -> Descent:
        """How it lands."""
        values = self._values
        return Descent(values["MPC_Z_V_AUTO_DN"], values["MPC_LAND_SPEED"], values["MPC_LAND_ALT2"])

    def faces_way(self) -> bool:
        """Whether it turns its nose along its legs."""
        return True

    def radius_m(self) -> float:
        """How near a waypoint it has to come, m."""
        return self._values["NAV_ACC_RAD"]

    def return_height_m(self, distance_m: float) -> float:
        """How high above its goal it returns, m: lower inside a cone about the goal."""
        values = self._values
        slope = math.tan(math.radians(max(values["RTL_CONE_ANG"], 1.0)))
        highest = values["RTL_RETURN_ALT"]
        return min(max(distance_m / slope, min(values["RTL_DESCEND_ALT"], highest)), highest)


def _float_of(raw: bytes) -> float:
    """The float whose four bytes these are."""
    (value,) = struct.unpack("<f", raw)
    return float(value)
