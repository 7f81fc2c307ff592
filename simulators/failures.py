"""What is broken in a simulated vehicle: by a fault at work on it, or because its own simulator was told so."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import msgspec

from simulators.errors import FaultInvalid
from simulators.fault_schedule import (
    VEHICLE_FAULTS,
    BatteryFailure,
    CompassFailure,
    EkfFailure,
    GpsGlitch,
    GpsJam,
    GpsOff,
    MotorFailure,
    VehicleFault,
)

VehicleFaultCall = Callable[[str, Mapping[str, float | None] | None], None]
"""Called with a fault's name and its numbers when it begins, and with None when it is over."""
HOVER_SHARE = 0.4
"""With less than this share of one motor's thrust a quadrotor cannot be held level, and falls."""
_BY_NAME = {kind.name(): kind for kind in VEHICLE_FAULTS}


class Failures:
    """The sum of all that is broken now."""

    def __init__(self) -> None:
        """All is well."""
        self._at_work: dict[str, VehicleFault] = {}
        self._told: tuple[VehicleFault, ...] = ()
        self._sum()

    def fail(self, name: str, options: Mapping[str, float | None] | None = None) -> None:
        """Begin a fault by name, with its options; one that is at work already takes the new ones.

        Raises FaultInvalid for a name that is no fault of a vehicle, and for options that cannot be.
        """
        kind = _BY_NAME.get(name)
        if kind is None:
            raise FaultInvalid(f"no fault of a vehicle is called {name!r}; known are {', '.join(_BY_NAME)}")
        try:
            self._at_work[name] = msgspec.convert({"fault": name, **(options or {})}, kind)
        except msgspec.ValidationError as exc:
            raise FaultInvalid(f"fault {name}: {exc}") from exc
        self._sum()

    def mend(self, name: str) -> None:
        """End a fault, if it is at work."""
        self._at_work.pop(name, None)
        self._sum()

    def told(self, faults: Iterable[VehicleFault]) -> None:
        """What the autopilot's own simulator was told by the ground, all of it."""
        self._told = tuple(faults)
        self._sum()

    def _sum(self) -> None:
        faults = (*self._at_work.values(), *self._told)
        self.gps_off = any(isinstance(fault, GpsOff) for fault in faults)
        """The receiver hears no satellites."""
        self.gps_jammed = any(isinstance(fault, GpsJam) for fault in faults)
        """It hears a few, and its position is worthless."""
        glitches = [fault for fault in faults if isinstance(fault, GpsGlitch)]
        self.glitch = (
            sum(fault.north_m for fault in glitches),
            sum(fault.east_m for fault in glitches),
            sum(fault.up_m for fault in glitches),
        )
        """How far the receiver's position is off, m north, east, up."""
        batteries = [fault for fault in faults if isinstance(fault, BatteryFailure)]
        self.voltage_v = min((fault.voltage_v for fault in batteries if fault.voltage_v is not None), default=None)
        """What the battery's voltage is, whatever is drawn, V; None: as the battery has it."""
        self.drain_w = sum(fault.drain_w for fault in batteries)
        """Power that goes nowhere, W."""
        motors = [fault for fault in faults if isinstance(fault, MotorFailure)]
        self.weak_motor = min(motors, key=lambda fault: fault.thrust).motor if motors else None
        """Number of the weakest motor, from 1; None if all are well."""
        self.falls = any(fault.thrust < HOVER_SHARE for fault in motors)
        """A motor is too weak to be held level."""
        self.compass = any(isinstance(fault, CompassFailure) for fault in faults)
        """The compass gives nothing."""
        self.ekf = any(isinstance(fault, EkfFailure) for fault in faults)
        """The position estimate diverges."""
