"""Faults of the vehicle itself, carried out as ArduPilot's own simulator takes them: by SIM_ parameters."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from simulators.autopilot_parameters import ParameterStore
from simulators.errors import FaultInvalid

VehicleFaultCall = Callable[[str, Mapping[str, float] | None], None]
"""Called with a fault's name and its numbers when it begins, and with None when it is over."""
METRES_IN_DEG = 111_132.0


class ParameterFaults:
    """Turns faults into parameters while they last, and the parameters back after."""

    def __init__(self, parameters: ParameterStore, *, lat: float) -> None:
        """`lat`, deg, is where metres become degrees."""
        self._parameters, self._lat = parameters, lat
        self._before: dict[str, dict[str, float]] = {}

    def __call__(self, name: str, options: Mapping[str, float] | None) -> None:
        """Begin a fault, or end it with `options` None; raises FaultInvalid where the vehicle lacks the parameter."""
        if options is None:
            for parameter, value in self._before.pop(name, {}).items():
                self._parameters.set(parameter, value)
            return
        changes = self._changes(name, options)
        missing = [parameter for parameter in changes if self._parameters.type_of(parameter) is None]
        if missing or not changes:
            raise FaultInvalid(
                f"fault {name}: this vehicle has no parameter {', '.join(missing)}" if missing
                else f"fault {name}: no parameter of ArduPilot's simulator does that"
            )  # fmt: skip
        before = self._before.setdefault(name, {})
        for parameter, value in changes.items():
            before.setdefault(parameter, self._parameters[parameter])
            self._parameters.set(parameter, value)

    def _changes(self, name: str, options: Mapping[str, float]) -> dict[str, float]:
        """Parameters of a fault, by the names of ArduPilot 4.5 and 4.6 (SITL.cpp)."""
        if name == "gps_off":
            return {"SIM_GPS_DISABLE": 1}
        if name == "gps_jam":
            return {"SIM_GPS_JAM": 1}
        if name == "gps_glitch":
            east_deg = options["east_m"] / (METRES_IN_DEG * math.cos(math.radians(self._lat)))
            return {
                "SIM_GPS_GLITCH_X": options["north_m"] / METRES_IN_DEG,
                "SIM_GPS_GLITCH_Y": east_deg,
                "SIM_GPS_GLITCH_Z": options["up_m"],
            }
        if name == "battery":
            return {"SIM_BATT_VOLTAGE": options["voltage_v"]}
        if name == "motor":
            return {"SIM_ENGINE_MUL": options["thrust"], "SIM_ENGINE_FAIL": 1 << (int(options["motor"]) - 1)}
        if name == "compass":
            return {f"SIM_MAG{int(options['compass'])}_FAIL": 1}
        return {}
