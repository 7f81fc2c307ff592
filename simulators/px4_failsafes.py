"""What PX4 watches by itself: the ground, its position, its battery, its fence; and what it does about them."""

from __future__ import annotations

from enum import IntEnum
from itertools import pairwise

from simulators.battery import CELL_CURVE_V, Battery
from simulators.px4_parameters import Px4Parameters

TEXT_SILENCE_S = 2.5
"""The ground counts as there, for texts, until so long after its last heartbeat, s of its clock."""
LINK_SILENCE_S = 2.4
"""So much later than COM_DL_LOSS_T the loss is acted upon, s of the ground's clock."""


class GroundLink:
    """Whether any ground is heard; in seconds of the ground's clock."""

    def __init__(self, parameters: Px4Parameters) -> None:
        """Nobody has been heard yet."""
        self._parameters = parameters
        self._heard_s: float | None = None
        self.lost = False

    def heard(self, now_s: float) -> None:
        """A heartbeat of a ground station, whichever it is."""
        self._heard_s = now_s

    def present(self, now_s: float) -> bool:
        """Whether a ground is there to read texts."""
        return self._heard_s is not None and now_s - self._heard_s < TEXT_SILENCE_S

    def connected(self) -> bool:
        """Whether a ground was ever heard and is not lost."""
        return self._heard_s is not None and not self.lost

    def step(self, now_s: float) -> bool | None:
        """True when the ground is lost now, False when it is back now, None when nothing changed."""
        if self._heard_s is None:
            return None
        lost = now_s - self._heard_s >= LINK_SILENCE_S + self._parameters["COM_DL_LOSS_T"]
        if lost == self.lost:
            return None
        self.lost = lost
        return lost


class Warning(IntEnum):
    """battery_status.warning of PX4."""

    NONE = 0
    LOW = 1
    CRITICAL = 2
    EMERGENCY = 3


class BatteryLevel:
    """Low, critical and emergency by what is left; a level only becomes worse until the motors stop."""

    def __init__(self, parameters: Px4Parameters, battery: Battery) -> None:
        """Watches one battery."""
        self._parameters, self._battery = parameters, battery
        self.warning = Warning.NONE
        self.failed = False
        """INJECT_FAILURE has taken it away."""
        self.voltage_v: float | None = None
        """What a fault makes of its voltage, V."""
        self._simulated: float | None = None

    def step(self, dt_s: float) -> Warning | None:
        """The new level when it has just become worse; the ground's SIM_BAT_DRAIN and SIM_BAT_MIN_PCT are obeyed."""
        self._drain(dt_s)
        p, left = self._parameters, self.left()
        thresholds = ("BAT_LOW_THR", "BAT_CRIT_THR", "BAT_EMERGEN_THR")
        level = Warning(sum(left < p[name] for name in thresholds))
        if level <= self.warning:
            return None
        self.warning = level
        return level

    def left(self) -> float:
        """Part of the charge that it believes in, 0 to 1: by the voltage, where a fault lowers that."""
        if self.failed:
            return 0.0
        left = self._battery.remaining()
        return left if self.voltage_v is None else min(left, charge_at(self.voltage_v / self._battery.pack.cells))

    def _drain(self, dt_s: float) -> None:
        """As SITL's battery: it falls at its own pace to its own end, whatever the flight draws."""
        p, battery = self._parameters, self._battery
        if not p.drained:
            return
        left = battery.remaining() if self._simulated is None else self._simulated
        floor = p["SIM_BAT_MIN_PCT"] / 100.0
        self._simulated = max(left - dt_s / max(p["SIM_BAT_DRAIN"], 1.0), min(floor, left))
        battery.used_mah = battery.capacity_mah * (1.0 - self._simulated)

    def rest(self) -> None:
        """The motors stopped: the level is judged anew."""
        self.warning = Warning.NONE


def charge_at(cell_v: float) -> float:
    """The charge, 0 to 1, at which a cell without load has a voltage."""
    for tenth, (low, high) in enumerate(pairwise(CELL_CURVE_V)):
        if cell_v < high:
            return max(0.0, (tenth + (cell_v - low) / (high - low)) / 10.0)
    return 1.0
