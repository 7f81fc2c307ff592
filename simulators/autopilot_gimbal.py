"""The camera mount: three axes, held level, pointed by commands or at a place."""

from __future__ import annotations

import math

from simulators.autopilot_guidance import Motion, Point
from simulators.dynamics import wrap_rad

ROLL_LOCK, PITCH_LOCK, YAW_LOCK, YAW_IN_VEHICLE_FRAME = 4, 8, 16, 32
"""GIMBAL_DEVICE_FLAGS."""


class Gimbal:
    """Roll and pitch against the horizon, yaw against the vehicle; rad."""

    RATE_RAD_S = math.radians(90.0)

    def __init__(self, pitch_deg: float) -> None:
        """Pointing straight ahead at `pitch_deg`."""
        self.roll = 0.0
        self.pitch = math.radians(pitch_deg)
        self.yaw = 0.0
        self._want_pitch = self.pitch
        self._want_yaw = 0.0
        self._want_roll = 0.0
        self._rate_pitch = self._rate_yaw = 0.0
        self.yaw_locked = False
        self.place: Point | None = None
        self.retracted = False
        self.primary = (0, 0)

    def flags(self) -> int:
        """GIMBAL_DEVICE_FLAGS as ArduCopter reports them: the yaw of the quaternion is always the vehicle's."""
        return (
            ROLL_LOCK
            | PITCH_LOCK
            | YAW_IN_VEHICLE_FRAME
            | (YAW_LOCK if self.yaw_locked or self.place is not None else 0)
            | (1 if self.retracted else 0)
        )

    def point(self, pitch_deg: float, yaw_deg: float, *, roll_deg: float = 0.0, earth_yaw: bool = False) -> None:
        """Turn to angles; yaw against north if `earth_yaw`, else against the vehicle."""
        self.place, self.retracted, self.yaw_locked = None, False, earth_yaw
        self._want_pitch = math.radians(min(max(pitch_deg, -90.0), 20.0))
        self._want_roll = math.radians(min(max(roll_deg, -30.0), 30.0))
        self._want_yaw = wrap_rad(math.radians(yaw_deg))
        self._rate_pitch = self._rate_yaw = 0.0

    def turn(self, pitch_deg_s: float, yaw_deg_s: float, *, earth_yaw: bool = False) -> None:
        """Turn at rates until told otherwise."""
        self.place, self.retracted, self.yaw_locked = None, False, earth_yaw
        self._want_pitch, self._want_yaw = self.pitch, self.yaw
        self._rate_pitch, self._rate_yaw = math.radians(pitch_deg_s), math.radians(yaw_deg_s)

    def obey(self, pitch_deg: float, yaw_deg: float, pitch_deg_s: float, yaw_deg_s: float, *, flags: int) -> None:
        """What a gimbal manager is told: angles if they are given, else rates; flags are GIMBAL_MANAGER_FLAGS."""
        earth = bool(flags & 16)
        if flags & 1:
            self.retract()
        elif flags & 2:
            self.point(0.0, 0.0)
        elif _given(pitch_deg, yaw_deg):
            self.point(pitch_deg, yaw_deg, earth_yaw=earth)
        elif _given(pitch_deg_s, yaw_deg_s):
            self.turn(pitch_deg_s, yaw_deg_s, earth_yaw=earth)

    def take(self, sysid: int, compid: int, sender: tuple[int, int]) -> bool:
        """Somebody takes primary control: -2 means the sender, -3 nobody. False for what is no address."""
        if sysid == -2:
            sysid, compid = sender
        elif sysid == -3:
            sysid, compid = 0, 0
        if not (0 <= sysid <= 255 and 0 <= compid <= 255):
            return False
        self.primary = (sysid, compid)
        return True

    def look_at(self, place: Point | None) -> None:
        """Keep looking at a place; None ends it and leaves the angles as they are."""
        if place is None and self.place is not None:
            self._want_pitch, self._want_yaw, self.yaw_locked = self.pitch, self.yaw, False
        self.place = place
        self._rate_pitch = self._rate_yaw = 0.0

    def retract(self) -> None:
        """Fold to the neutral position."""
        self.point(0.0, 0.0)
        self.retracted = True

    def step(self, dt_s: float, motion: Motion) -> None:
        """Turn towards what is wanted, no faster than the motors do."""
        if self.place is not None:
            dn, de, du = self.place.n - motion.n, self.place.e - motion.e, self.place.u - motion.u
            flat = math.hypot(dn, de)
            want_pitch = min(max(math.atan2(du, flat), -math.pi / 2), math.radians(20.0))
            want_yaw = math.atan2(de, dn) - motion.yaw if flat > 0.5 else self.yaw
        else:
            self._want_pitch = min(max(self._want_pitch + self._rate_pitch * dt_s, -math.pi / 2), math.radians(20.0))
            self._want_yaw = wrap_rad(self._want_yaw + self._rate_yaw * dt_s)
            want_pitch = self._want_pitch
            want_yaw = self._want_yaw - motion.yaw if self.yaw_locked else self._want_yaw
        most = self.RATE_RAD_S * dt_s
        self.pitch += min(max(want_pitch - self.pitch, -most), most)
        self.roll += min(max(self._want_roll - self.roll, -most), most)
        self.yaw = wrap_rad(self.yaw + min(max(wrap_rad(want_yaw - self.yaw), -most), most))


def _given(*values: float) -> bool:
    return all(abs(value) < 1e6 for value in values)
