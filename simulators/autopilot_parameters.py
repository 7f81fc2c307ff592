"""Parameters: the store, and those of the simulated ArduCopter: some 300 of its own, as they were recorded."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator
from importlib.resources import files
from typing import ClassVar

from simulators.autopilot_guidance import Descent, SpeedLimits

INT8, INT16, INT32, REAL32 = 2, 4, 6, 9
"""MAV_PARAM_TYPE as ArduPilot declares its own."""

JERK_PER_WPNAV_JERK = 2.5
"""Our legs limit the jerk where they speed up only; so many times WPNAV_JERK gives the recorded times of legs."""

SWITCHED = {"DID_": "DID_ENABLE"}
"""Groups, by the beginning of their names, that are listed only while their switch is on."""
KINDS = {"int8": INT8, "int16": INT16, "int32": INT32, "int": INT32, "float": REAL32}


@functools.cache
def recorded(table: str) -> tuple[tuple[str, int, float], ...]:
    """Name, MAV_PARAM_TYPE and value of each line of one of our tables, in the order of their indices."""
    lines = files("simulators").joinpath("data", table).read_text().splitlines()
    rows = (line.split("\t") for line in lines)
    return tuple((name, KINDS[kind], float(value)) for name, kind, value in rows)


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
    """Those of ArduCopter, lengths in cm where it has them so; integers travel cast to float."""

    TABLE = "arducopter_parameters.tsv"
    SET_UP: ClassVar[dict[str, float]] = {
        "FS_GCS_ENABLE": 1.0, "FENCE_RADIUS": 300.0, "BATT_CAPACITY": 8000.0, "BATT_LOW_VOLT": 0.0,
        "BATT_LOW_MAH": 1600.0, "BATT_CRT_MAH": 800.0, "BATT_FS_LOW_ACT": 2.0, "BATT_FS_CRT_ACT": 1.0,
        "STAT_RUNTIME": 0.0,
    }  # fmt: skip
    """Where it is set up otherwise than the recorded one: failsafes on, and a larger battery."""
    spool_s = 3.2
    """From the order to take off to full thrust, s."""

    def __init__(self, **changed: float) -> None:
        """The recorded ones, some of them changed. Raises KeyError for a name that is not there."""
        super().__init__(recorded(self.TABLE), self.SET_UP | changed)
        self.battery_told = False
        """Whether the ground has taken the simulated battery's voltage into its hands."""

    # -- on the wire -------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        """How many are listed now."""
        return len(self._listed())

    def name_at(self, index: int) -> str | None:
        """The name at an index, None if there is none."""
        names = self._listed()
        return names[index] if 0 <= index < len(names) else None

    def listed(self) -> Iterator[tuple[str, int]]:
        """Name and index of each answer to PARAM_REQUEST_LIST; indices move when a group is switched on."""
        return ((name, index) for index, name in enumerate(self._listed()))

    def _listed(self) -> list[str]:
        off = tuple(group for group, switch in SWITCHED.items() if not self._values[switch])
        return [name for name in self._names if not name.startswith(off) or name in SWITCHED.values()]

    def answer_index(self, name: str) -> int:
        """The index in an answer by name: none."""
        return 65535

    def wire(self, name: str) -> tuple[float, int]:
        """Value and type as they stand in PARAM_VALUE."""
        return self._values[name], self._types[name]

    def take(self, name: str, value: float, kind: int) -> bool:
        """From PARAM_SET; the declared type is ignored. False where there is no answer."""
        self.battery_told = self.battery_told or name == "SIM_BATT_VOLTAGE"
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
