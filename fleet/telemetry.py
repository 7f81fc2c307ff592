"""What is known of a vehicle: the latest of everything, in SI units with named datums."""

from __future__ import annotations

import math
from enum import StrEnum

import msgspec

from fleet.autopilots import FlightMode
from fleet.estimators import Estimator, Vibration
from fleet.events import ArmingReport
from fleet.sensors import Sensors
from geo.positions import Position

CLEARLY_ABOVE_HOME_M = 5.0
"""Higher than that above home it flies, where it does not tell whether it is landed, m."""
MAV_STATE_CRITICAL, MAV_STATE_EMERGENCY = 5, 6


class Condition(StrEnum):
    """How a vehicle stands, in one word."""

    UNKNOWN = "unknown"
    """Nothing heard from its autopilot yet."""
    READY = "ready"
    """On the ground, disarmed, not flown since it was first heard."""
    FLYING = "flying"
    """Armed, or in the air."""
    LANDED = "landed"
    """On the ground and disarmed after a flight."""
    STALE = "stale"
    """No heartbeat for a while; what is shown is old."""
    LOST = "lost"
    """No heartbeat for long."""


class Text(msgspec.Struct, frozen=True, kw_only=True):
    """A STATUSTEXT of the autopilot, its parts joined."""

    utc_s: float
    """When it was heard, s since 1970 UTC by our clock."""
    severity: int
    """MAV_SEVERITY: 0 emergency to 7 debug; 4 and below are warnings."""
    text: str
    """The words."""


class GeoVelocity(msgspec.Struct, frozen=True, kw_only=True):
    """Velocity over ground."""

    north_m_s: float
    """Towards true north, m/s."""
    east_m_s: float
    """Towards east, m/s."""
    down_m_s: float
    """Downwards, m/s."""

    @property
    def ground_speed_m_s(self) -> float:
        """Horizontal speed, m/s."""
        return math.hypot(self.north_m_s, self.east_m_s)


class VehicleAttitude(msgspec.Struct, frozen=True, kw_only=True):
    """Attitude of the airframe in NED."""

    roll_deg: float
    """Right side down positive, deg."""
    pitch_deg: float
    """Nose up positive, deg."""
    yaw_deg: float
    """Nose from true north, clockwise, 0 to 360 deg."""


class GimbalAttitude(msgspec.Struct, frozen=True, kw_only=True):
    """Attitude of the gimbal: roll and pitch against the horizon, yaw as told."""

    roll_deg: float
    """Against the horizon, deg."""
    pitch_deg: float
    """Boresight above the horizon, deg; nadir is -90."""
    yaw_deg: float
    """From true north, or from the nose where `yaw_from_nose`, deg."""
    yaw_from_nose: bool
    """Whether yaw is counted from the vehicle's nose."""


class Battery(msgspec.Struct, frozen=True, kw_only=True):
    """State of the first battery; None where the autopilot does not know."""

    voltage_v: float | None = None
    """Of the whole pack, V."""
    current_a: float | None = None
    """Drawn, A."""
    remaining_percent: float | None = None
    """0 to 100."""
    consumed_wh: float | None = None
    """Since power-up, Wh."""
    consumed_ah: float | None = None
    """Since power-up, Ah."""


class LinkCondition(StrEnum):
    """Which ways between a vehicle and us carry."""

    UNKNOWN = "unknown"
    """It is heard, and was never heard to answer."""
    TWO_WAY = "two-way"
    """It is heard and answers."""
    NO_UPLINK = "no uplink"
    """It is heard and does not answer any more: commands do not reach it."""
    NO_DOWNLINK = "no downlink"
    """It is not heard; whether it hears us nobody knows until it is heard again."""


class Gps(msgspec.Struct, frozen=True, kw_only=True):
    """State of the first GNSS receiver."""

    fix_type: int
    """GPS_FIX_TYPE: 3 is a 3D fix, 0 and 1 none."""
    satellites: int | None
    """In use; None if not told."""
    hdop: float | None
    """Horizontal dilution; None if not told."""


class MissionProgress(msgspec.Struct, frozen=True, kw_only=True):
    """Where the vehicle is in its mission, counted as in a plan: from 0, without a home slot."""

    item: int | None
    """Index of the item it is at; None before the first (an autopilot at its home slot)."""
    total: int | None
    """Number of items aboard; None if not told."""
    reached: int | None = None
    """Highest index it reported as reached since the mission was uploaded or started; None before the first."""
    complete: bool = False
    """It reported the mission as complete."""


class TelemetryState(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of all that is known of a vehicle; None where nothing was heard."""

    sysid: int
    """MAVLink system id."""
    autopilot: str = "unknown"
    """`ardupilot`, `px4` or `unknown`."""
    vehicle_type: int | None = None
    """MAV_TYPE."""
    condition: Condition = Condition.UNKNOWN
    """How it stands, in one word."""
    mode: FlightMode | None = None
    """What it is doing, in the terms of both autopilots."""
    mode_name: str | None = None
    """The autopilot's own name of the mode."""
    armed: bool = False
    """Motors may turn."""
    landed: bool | None = None
    """On the ground, by EXTENDED_SYS_STATE."""
    system_status: int | None = None
    """MAV_STATE; 5 and 6 mean a failsafe stands."""
    prearm_good: bool | None = None
    """The autopilot's own pre-arm check passes; None where it does not tell."""
    position: Position | None = None
    """Where it is, height AMSL (the autopilot's own geoid)."""
    ellipsoid_m: float | None = None
    """Height above the WGS 84 ellipsoid by GPS, m."""
    relative_altitude_m: float | None = None
    """Height above home, m."""
    home: Position | None = None
    """Where it returns to, height AMSL."""
    velocity: GeoVelocity | None = None
    """Over ground."""
    heading_deg: float | None = None
    """Nose from true north, 0 to 360 deg."""
    attitude: VehicleAttitude | None = None
    """Of the airframe."""
    gimbal: GimbalAttitude | None = None
    """Of the gimbal."""
    battery: Battery | None = None
    """Of the first battery."""
    gps: Gps | None = None
    """Of the first receiver."""
    sensors: Sensors | None = None
    """Which sensors it has, uses and finds well."""
    vibration: Vibration | None = None
    """Of the airframe."""
    estimator: Estimator | None = None
    """Of the EKF in use."""
    arming: ArmingReport | None = None
    """Where it can be armed and where not, and why: the last report of a PX4."""
    mission: MissionProgress | None = None
    """Where it is in the mission."""
    texts: tuple[Text, ...] = ()
    """The autopilot's last words, oldest first."""
    last_heard_utc_s: float | None = None
    """Last heartbeat by our clock, s since 1970 UTC."""
    vehicle_utc_s: float | None = None
    """The vehicle's own clock at its latest telemetry, s since 1970 UTC; None before its SYSTEM_TIME is set."""
    boot_s: float | None = None
    """The vehicle's time since boot at its latest telemetry, s."""
    loss_percent: float = 0.0
    """Frames lost on the way to us, 0 to 100, by sequence numbers."""
    link: LinkCondition = LinkCondition.UNKNOWN
    """Which ways between it and us carry."""
    conflict: str | None = None
    """Who else claims the sysid; while that lasts the vehicle gets no commands."""

    @property
    def failsafe(self) -> bool:
        """The autopilot says that it is in trouble."""
        return self.system_status in (MAV_STATE_CRITICAL, MAV_STATE_EMERGENCY)

    @property
    def in_air(self) -> bool:
        """By the autopilot's word; where it does not say, armed and 2 m above home."""
        if self.landed is not None:
            return self.armed and not self.landed
        return self.armed and (self.relative_altitude_m or 0.0) > 2.0

    @property
    def in_the_air(self) -> bool:
        """By EXTENDED_SYS_STATE where it comes; heights above home wander by metres on the ground (PX4)."""
        if self.landed is not None:
            return not self.landed
        return self.armed and (self.relative_altitude_m or 0.0) > CLEARLY_ABOVE_HOME_M
