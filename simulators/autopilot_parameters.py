"""Parameters: the store, and those of the simulated ArduCopter, a small real subset by their real names and types."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

from simulators.autopilot_guidance import Descent, SpeedLimits

INT8, INT16, INT32, REAL32 = 2, 4, 6, 9
"""MAV_PARAM_TYPE as ArduPilot declares its own."""

JERK_PER_WPNAV_JERK = 2.5
"""Our legs limit the jerk where they speed up only; so many times WPNAV_JERK gives the recorded times of legs."""

DEFAULTS: tuple[tuple[str, int, float], ...] = (
    ("FORMAT_VERSION", INT16, 120), ("SYSID_THISMAV", INT16, 1), ("SYSID_MYGCS", INT16, 255),
    ("PILOT_THR_FILT", REAL32, 0), ("PILOT_SPEED_UP", INT16, 250), ("PILOT_SPEED_DN", INT16, 0),
    ("RTL_ALT", INT32, 1500), ("RTL_CONE_SLOPE", REAL32, 3), ("RTL_SPEED", INT16, 0), ("RTL_ALT_FINAL", INT16, 0),
    ("RTL_CLIMB_MIN", INT16, 0), ("RTL_LOIT_TIME", INT32, 5000), ("RTL_ALT_TYPE", INT8, 0),
    ("FS_GCS_ENABLE", INT8, 1), ("FS_GCS_TIMEOUT", REAL32, 5), ("FS_OPTIONS", INT32, 16), ("FS_EKF_ACTION", INT8, 1),
    ("FS_THR_ENABLE", INT8, 1), ("LAND_SPEED", INT16, 50), ("LAND_SPEED_HIGH", INT16, 0), ("LAND_ALT_LOW", INT16, 1000),
    ("DISARM_DELAY", INT8, 10), ("ANGLE_MAX", INT16, 3000), ("FRAME_CLASS", INT8, 1), ("FRAME_TYPE", INT8, 0),
    ("WP_YAW_BEHAVIOR", INT8, 2), ("WPNAV_SPEED", REAL32, 1000), ("WPNAV_RADIUS", REAL32, 200),
    ("WPNAV_SPEED_UP", REAL32, 250), ("WPNAV_SPEED_DN", REAL32, 150), ("WPNAV_ACCEL", REAL32, 250),
    ("WPNAV_ACCEL_Z", REAL32, 100), ("WPNAV_JERK", REAL32, 1), ("WPNAV_RFND_USE", INT8, 1),
    ("LOIT_SPEED", REAL32, 1250), ("LOIT_ACC_MAX", REAL32, 500), ("PSC_POSXY_P", REAL32, 1), ("PSC_VELXY_P", REAL32, 2),
    ("ATC_SLEW_YAW", REAL32, 6000), ("AUTO_OPTIONS", INT32, 0), ("GUID_OPTIONS", INT32, 0), ("GUID_TIMEOUT", REAL32, 3),
    ("ARMING_CHECK", INT32, 1), ("ARMING_OPTIONS", INT32, 0), ("MIS_TOTAL", INT16, 0), ("MIS_RESTART", INT8, 0),
    ("MIS_OPTIONS", INT16, 0), ("FENCE_ENABLE", INT8, 0), ("FENCE_TYPE", INT8, 7), ("FENCE_ACTION", INT8, 1),
    ("FENCE_ALT_MAX", REAL32, 100), ("FENCE_RADIUS", REAL32, 300), ("FENCE_MARGIN", REAL32, 2),
    ("FENCE_TOTAL", INT8, 0), ("RALLY_TOTAL", INT8, 0), ("RALLY_LIMIT_KM", REAL32, 0.3),
    ("RALLY_INCL_HOME", INT8, 1), ("BATT_MONITOR", INT8, 4), ("BATT_CAPACITY", INT32, 8000),
    ("BATT_LOW_VOLT", REAL32, 0), ("BATT_LOW_MAH", REAL32, 1600), ("BATT_CRT_VOLT", REAL32, 0),
    ("BATT_CRT_MAH", REAL32, 800), ("BATT_LOW_TIMER", INT8, 10), ("BATT_FS_LOW_ACT", INT8, 2),
    ("BATT_FS_CRT_ACT", INT8, 1), ("BATT_ARM_VOLT", REAL32, 0), ("BATT_ARM_MAH", INT32, 0),
    ("CAM1_TYPE", INT8, 1), ("CAM1_TRIGG_DIST", REAL32, 0), ("MNT1_TYPE", INT8, 1), ("MNT1_DEFLT_MODE", INT8, 3),
    ("MNT1_RC_RATE", INT16, 0), ("MNT1_PITCH_MIN", INT16, -90), ("MNT1_PITCH_MAX", INT16, 20),
    ("MNT1_YAW_MIN", INT16, -180), ("MNT1_YAW_MAX", INT16, 180), ("MNT1_ROLL_MIN", INT16, -30),
    ("MNT1_ROLL_MAX", INT16, 30), ("MNT1_NEUTRAL_X", REAL32, 0), ("MNT1_NEUTRAL_Y", REAL32, 0),
    ("MNT1_NEUTRAL_Z", REAL32, 0), ("GPS1_TYPE", INT8, 1), ("COMPASS_USE", INT8, 1), ("EK3_ENABLE", INT8, 1),
    ("AHRS_EKF_TYPE", INT8, 3), ("SIM_SPEEDUP", REAL32, 1), ("STAT_BOOTCNT", INT16, 1), ("STAT_FLTTIME", INT32, 0),
    ("STAT_RUNTIME", INT32, 0), ("STAT_RESET", INT32, 1), ("MOT_THST_HOVER", REAL32, 0.39),
    ("SIM_GPS_DISABLE", INT8, 0),
    ("SR0_POSITION", INT16, 0), ("SR0_EXTRA1", INT16, 0), ("TERRAIN_ENABLE", INT8, 1), ("INITIAL_MODE", INT8, 0),
    ("FLTMODE1", INT8, 7), ("FLTMODE2", INT8, 9), ("FLTMODE3", INT8, 6), ("FLTMODE4", INT8, 3),
    ("FLTMODE5", INT8, 5), ("FLTMODE6", INT8, 0), ("SERIAL0_PROTOCOL", INT8, 2), ("SERIAL0_BAUD", INT32, 115),
)  # fmt: skip
"""Name, type, value. Lengths are centimetres and speeds centimetres a second where ArduPilot has them so."""


class ParameterStore:
    """Named values in a fixed order."""

    def __init__(self, defaults: Iterable[tuple[str, int, float]], changed: dict[str, float]) -> None:
        """The defaults (name, MAV_PARAM_TYPE, value), some changed. Raises KeyError for a name that is not there."""
        table = list(defaults)
        self._names = [name for name, _, _ in table]
        self._types = {name: kind for name, kind, _ in table}
        self._values = {name: float(value) for name, _, value in table}
        self._index = {name: index for index, name in enumerate(self._names)}
        for name, value in changed.items():
            if name not in self._values:
                raise KeyError(f"no parameter {name}")
            self.set(name, value)

    def __getitem__(self, name: str) -> float:
        """The value of a parameter."""
        return self._values[name]

    def __contains__(self, name: str) -> bool:
        """Whether there is one of this name."""
        return name in self._values

    def __len__(self) -> int:
        """How many there are."""
        return len(self._names)

    def name_at(self, index: int) -> str | None:
        """The name at an index, None if there is none."""
        return self._names[index] if 0 <= index < len(self._names) else None

    def names(self) -> list[str]:
        """All names in order."""
        return list(self._names)

    def type_of(self, name: str) -> int | None:
        """MAV_PARAM_TYPE of a name, None if it is unknown."""
        return self._types.get(name)

    def set(self, name: str, value: float) -> bool:
        """Store a value, out of range too; False for an unknown name and for no number, which get no answer."""
        if name not in self._values or not math.isfinite(value):
            return False
        self._values[name] = value if self._types[name] == REAL32 else float(int(value))
        return True


class Parameters(ParameterStore):
    """Those of ArduCopter; integers travel cast to float."""

    spool_s = 3.2
    """From the order to take off to full thrust, s."""

    def __init__(self, **changed: float) -> None:
        """The defaults, some of them changed. Raises KeyError for a name that is not there."""
        super().__init__(DEFAULTS, changed)

    # -- on the wire -------------------------------------------------------------------------------------------------

    def listed(self) -> Iterator[tuple[str, int]]:
        """Name and index of each answer to PARAM_REQUEST_LIST."""
        return ((name, index) for index, name in enumerate(self._names))

    def answer_index(self, name: str) -> int:
        """The index in an answer by name: none."""
        return 65535

    def wire(self, name: str) -> tuple[float, int]:
        """Value and type as they stand in PARAM_VALUE."""
        return self._values[name], self._types[name]

    def take(self, name: str, value: float, kind: int) -> bool:
        """From PARAM_SET; the declared type is ignored. False where there is no answer."""
        return self.set(name, value)

    # -- for the flight ----------------------------------------------------------------------------------------------

    def limits(self) -> SpeedLimits:
        """What the navigation asks for by itself."""
        values = self._values
        return SpeedLimits(
            values["WPNAV_SPEED"] / 100.0,
            values["WPNAV_SPEED_UP"] / 100.0,
            values["WPNAV_SPEED_DN"] / 100.0,
            values["WPNAV_ACCEL"] / 100.0,
            values["WPNAV_ACCEL_Z"] / 100.0,
            JERK_PER_WPNAV_JERK * values["WPNAV_JERK"],
        )

    def descent(self) -> Descent:
        """How it lands."""
        values = self._values
        fast = values["LAND_SPEED_HIGH"] or values["WPNAV_SPEED_DN"]
        return Descent(fast / 100.0, values["LAND_SPEED"] / 100.0, values["LAND_ALT_LOW"] / 100.0)

    def faces_way(self) -> bool:
        """Whether it turns its nose along its legs."""
        return self._values["WP_YAW_BEHAVIOR"] != 0

    def radius_m(self) -> float:
        """How near a waypoint it has to come, m."""
        return self._values["WPNAV_RADIUS"] / 100.0
