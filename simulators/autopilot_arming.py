"""Why a vehicle will not arm, in ArduCopter's words, and the way from power-on to ready."""

from __future__ import annotations

import msgspec

from simulators.autopilot_flavour import Mode

REAL_READY_S = 41.0
"""When the recorded ArduCopter could be armed, s after power-on; the other stages are in proportion."""
NEEDS_POSITION = {Mode.AUTO, Mode.GUIDED, Mode.LOITER, Mode.RTL, Mode.BRAKE, Mode.CIRCLE}
"""Modes that cannot be without a position."""


class Boot(msgspec.Struct, frozen=True, kw_only=True):
    """The stages after power-on, s."""

    running_s: float
    """ "ArduPilot Ready": modes set before are forgotten."""
    gps_s: float
    """First fix."""
    accels_s: float
    """The accelerometers agree."""
    home_s: float
    """The home is set."""
    gyros_s: float
    """The gyros agree."""
    ready_s: float
    """The position estimate is good: it can be armed."""

    @classmethod
    def until(cls, ready_s: float) -> Boot:
        """The recorded stages, drawn together or apart so that it is ready at `ready_s`."""
        scale = ready_s / REAL_READY_S
        return cls(
            running_s=1.4 * scale,
            gps_s=9.0 * scale,
            accels_s=14.0 * scale,
            home_s=19.0 * scale,
            gyros_s=22.5 * scale,
            ready_s=ready_s,
        )

    def texts(self, home_amsl_m: float) -> list[tuple[float, str]]:
        """What it says on the way, with the time of each, s."""
        scale = self.ready_s / REAL_READY_S
        recorded = [
            (0.88, "Barometer 1 calibration complete"), (1.41, "ArduPilot Ready"), (1.41, "AHRS: DCM active"),
            (3.41, "EKF3 IMU0 initialised"), (3.41, "AHRS: EKF3 active"), (4.76, "EKF3 IMU0 tilt alignment complete"),
            (4.86, "EKF3 IMU0 MAG0 initial yaw alignment complete"), (8.79, "GPS 1: detected u-blox"),
            (18.98, "EKF3 IMU0 origin set"), (19.01, f"Field Elevation Set: {home_amsl_m:.0f}m"),
            (40.38, "EKF3 IMU0 is using GPS"),
        ]  # fmt: skip
        return [(time_s * scale, text) for time_s, text in recorded]


def refusals(
    *,
    boot: Boot,
    time_s: float,
    mode: Mode,
    gps: bool,
    mission_items: int,
    arms_in_auto: bool,
    ground_lost: bool,
    battery_failsafe: bool,
    voltage_low: bool,
) -> list[str]:
    """Each reason against arming now; none means it may."""
    reasons = []
    if time_s < boot.running_s:
        reasons += ["Hardware safety switch", "Gyros not healthy", "EKF attitude is bad", "Compass not healthy"]
        reasons += ["AHRS: waiting for home", "Battery 1 unhealthy"]
    elif time_s < boot.accels_s:
        reasons.append("Accels inconsistent")
    elif time_s < boot.gyros_s:
        reasons.append("Gyros inconsistent")
    if mode in NEEDS_POSITION and time_s >= boot.running_s:
        if time_s < boot.home_s:
            reasons.append("AHRS: waiting for home")
        elif time_s < boot.ready_s or not gps:
            reasons.append("Need Position Estimate")
    if mode is Mode.AUTO and mission_items == 0:
        reasons.append("Mode requires mission")
    elif mode in (Mode.RTL, Mode.LAND, Mode.BRAKE, Mode.CIRCLE) or (mode is Mode.AUTO and not arms_in_auto):
        reasons.append(f"{mode.value} mode not armable")
    if voltage_low:
        reasons.append("Battery 1 below minimum arming voltage")
    if battery_failsafe:
        reasons.append("Battery failsafe")
    if ground_lost:
        reasons.append("GCS failsafe on")
    return reasons
