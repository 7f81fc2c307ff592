"""Which of its sensors and subsystems a vehicle has, uses, and finds well: the bits of SYS_STATUS by name."""

from __future__ import annotations

from functools import cache
from typing import Any

import msgspec

NAMES = {
    0: "gyroscope", 1: "accelerometer", 2: "compass", 3: "barometer", 4: "airspeed", 5: "GPS", 6: "optical flow",
    7: "vision position", 8: "rangefinder", 9: "ground truth", 10: "rate control", 11: "attitude control",
    12: "yaw control", 13: "height control", 14: "position control", 15: "motor outputs", 16: "RC receiver",
    17: "second gyroscope", 18: "second accelerometer", 19: "second compass", 20: "fence", 21: "AHRS", 22: "terrain",
    23: "reverse thrust", 24: "logging", 25: "battery monitor", 26: "proximity", 27: "satellite link",
    29: "obstacle avoidance", 30: "propulsion",
}  # fmt: skip
"""By bit of MAV_SYS_STATUS_SENSOR; bit 28 is the pre-arm check, which is no sensor."""
NEEDED = 1 << 0 | 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5
"""The bits of those without which nothing is flown: PX4 no longer counts a GPS without a fix as present (recorded)."""


class Sensors(msgspec.Struct, frozen=True, kw_only=True):
    """The latest SYS_STATUS."""

    present: int
    """MAV_SYS_STATUS_SENSOR that are there."""
    enabled: int
    """Those in use."""
    healthy: int
    """Those that are well."""

    @property
    def unhealthy(self) -> tuple[str, ...]:
        """Names of those in use that are not well."""
        return _names(self.present & self.enabled & ~self.healthy)

    @property
    def missing(self) -> tuple[str, ...]:
        """Names of those that are needed and not there, or not in use."""
        return _names(NEEDED & ~(self.present & self.enabled))


def sensors_of(message: Any) -> Sensors:
    """What a SYS_STATUS says."""
    return Sensors(
        present=message.onboard_control_sensors_present,
        enabled=message.onboard_control_sensors_enabled,
        healthy=message.onboard_control_sensors_health,
    )


@cache
def _names(bits: int) -> tuple[str, ...]:
    return tuple(name for bit, name in NAMES.items() if bits >> bit & 1)
