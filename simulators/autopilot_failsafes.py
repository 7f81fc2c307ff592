"""What a vehicle watches by itself: the ground's heartbeat and its battery."""

from __future__ import annotations

from enum import Enum

from simulators.autopilot_parameters import Parameters
from simulators.battery import Battery


class GroundWatch:
    """Whether the ground that counts (SYSID_MYGCS) is still heard; in seconds of the ground's clock."""

    def __init__(
        self, parameters: Parameters, *, enable: str = "FS_GCS_ENABLE", timeout: str = "FS_GCS_TIMEOUT"
    ) -> None:
        """A ground never heard is not missed; `enable` and `timeout` name the parameters."""
        self._parameters = parameters
        self._enable, self._timeout = enable, timeout
        self._heard_s: float | None = None
        self.lost = False

    def heard(self, sysid: int, now_s: float) -> None:
        """A heartbeat of a ground station."""
        if sysid == int(self._parameters["SYSID_MYGCS"]):
            self._heard_s = now_s

    def step(self, now_s: float) -> bool | None:
        """True when the ground is lost now, False when it is back now, None when nothing changed."""
        if self._heard_s is None:
            return None
        silent = now_s - self._heard_s >= max(self._parameters[self._timeout], 0.1)
        lost = silent and self._parameters[self._enable] > 0
        if lost == self.lost:
            return None
        self.lost = lost
        return lost


class Charge(Enum):
    """How full the battery is, by the failsafe's measure."""

    OK = 1
    LOW = 2
    CRITICAL = 3


class BatteryWatch:
    """Low and critical, after BATT_LOW_TIMER s below; it stays so until power-off."""

    def __init__(self, parameters: Parameters, battery: Battery) -> None:
        """Watches one battery."""
        self._parameters, self._battery = parameters, battery
        self._low_s = self._critical_s = 0.0
        self.charge = Charge.OK

    def step(self, dt_s: float) -> Charge | None:
        """The new charge when it has just become worse."""
        timer = self._parameters["BATT_LOW_TIMER"]
        self._low_s = self._low_s + dt_s if self._below("LOW") else 0.0
        self._critical_s = self._critical_s + dt_s if self._below("CRT") else 0.0
        if self._critical_s > timer and self.charge is not Charge.CRITICAL:
            self.charge = Charge.CRITICAL
        elif self._low_s > timer and self.charge is Charge.OK:
            self.charge = Charge.LOW
        else:
            return None
        return self.charge

    def voltage_low(self) -> bool:
        """Whether it is below the voltage at which arming is allowed."""
        volts = self._parameters["BATT_ARM_VOLT"]
        return volts > 0 and self._battery.voltage_v < volts

    def _below(self, level: str) -> bool:
        battery, p = self._battery, self._parameters
        volts, charge = p[f"BATT_{level}_VOLT"], p[f"BATT_{level}_MAH"]
        left = battery.capacity_mah - battery.used_mah
        return (volts > 0 and battery.voltage_v < volts) or (charge > 0 and left < charge)
