"""ArduCopter's sensors: what breaks them by its SIM_ parameters, and what SYS_STATUS says of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from simulators.autopilot import SensorBits
from simulators.autopilot_failsafes import Charge
from simulators.autopilot_parameters import Parameters
from simulators.fault_schedule import (
    BatteryFailure,
    CompassFailure,
    GpsGlitch,
    GpsJam,
    GpsOff,
    MotorFailure,
    VehicleFault,
)

if TYPE_CHECKING:
    from simulators.autopilot_arducopter import ArduCopter

PRESENT, ENABLED, HEALTHY = 0x5371FC2F, 0x5361FC2F, 0x5771FC2F
"""SYS_STATUS as recorded in flight when all is well."""
COMPASS, GPS, HEIGHT_CONTROL, POSITION_CONTROL = 0x4, 0x20, 0x2000, 0x4000
GEOFENCE, LOGGING, BATTERY, PREARM_CHECK = 0x100000, 0x1000000, 0x2000000, 0x10000000
"""MAV_SYS_STATUS_SENSOR."""
METRES_IN_DEG = 111_132.0
MOTORS = 8
"""Bits of SIM_ENGINE_FAIL."""


def told_failures(parameters: Parameters, *, lat: float) -> list[VehicleFault]:
    """What the SIM_ parameters break; glitches of the receiver are deg there, at a latitude, deg."""
    p = parameters
    faults: list[VehicleFault] = []
    if p["SIM_GPS_DISABLE"]:
        faults.append(GpsOff())
    if p["SIM_GPS_JAM"]:
        faults.append(GpsJam())
    north, east, up = (p[f"SIM_GPS_GLITCH_{axis}"] for axis in "XYZ")
    if north or east or up:
        east_m = east * METRES_IN_DEG * math.cos(math.radians(lat))
        faults.append(GpsGlitch(north_m=north * METRES_IN_DEG, east_m=east_m, up_m=up))
    if p.battery_told and p["SIM_BATT_VOLTAGE"] > 0:
        faults.append(BatteryFailure(voltage_v=p["SIM_BATT_VOLTAGE"]))
    if p["SIM_ENGINE_MUL"] < 1.0:
        motors = [motor for motor in range(MOTORS) if int(p["SIM_ENGINE_FAIL"]) & 1 << motor]
        faults += [MotorFailure(motor=motor + 1, thrust=p["SIM_ENGINE_MUL"]) for motor in motors]
    if p["SIM_MAG1_FAIL"]:
        faults.append(CompassFailure())
    return faults


def sensor_bits(pilot: ArduCopter) -> SensorBits:
    """What SYS_STATUS says; a receiver that has lost its satellites is still called healthy, as recorded."""
    present, enabled, healthy = PRESENT, ENABLED, HEALTHY
    if not pilot.armed:
        enabled &= ~(HEIGHT_CONTROL | POSITION_CONTROL | LOGGING)
        healthy &= ~(HEIGHT_CONTROL | POSITION_CONTROL)
    elif not pilot.has_position():
        enabled, healthy = enabled & ~POSITION_CONTROL, healthy & ~POSITION_CONTROL
    if not pilot.home_set and not pilot.has_fix():
        present, enabled, healthy = present & ~GPS, enabled & ~GPS, healthy & ~GPS
    if pilot.parameters["FENCE_ENABLE"]:
        enabled |= GEOFENCE
    if pilot.breach:
        healthy &= ~GEOFENCE
    if pilot.failures.compass:
        healthy &= ~COMPASS
    if pilot.safety.battery.charge is not Charge.OK:
        healthy &= ~BATTERY
    if not pilot.checks_pass():
        healthy &= ~PREARM_CHECK
    return SensorBits(present, enabled, healthy)
