"""Telemetry: which message is sent how often, and what stands in it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot import Autopilot

STREAMS: dict[int, tuple[int, ...]] = {
    1: (29,), 2: (1, 42, 24, 62, 162), 3: (36, 65), 6: (33, 32), 10: (30,), 11: (74,), 12: (2, 147, 285, 193, 241),
}  # fmt: skip
"""Messages of each MAV_DATA_STREAM of REQUEST_DATA_STREAM, as ArduCopter groups them."""

EKF_GPS_GLITCHING = 0x8000
"""Of EKF_STATUS_FLAGS."""


def quaternion(roll: float, pitch: float, yaw: float) -> list[float]:
    """w, x, y, z of roll, pitch, yaw, rad, in the order yaw, pitch, roll."""
    cr, sr, cp, sp, cy, sy = (f(a / 2) for a in (roll, pitch, yaw) for f in (math.cos, math.sin))
    return [
        cr * cp * cy + sr * sp * sy,
        sr * cp * cy - cr * sp * sy,
        cr * sp * cy + sr * cp * sy,
        cr * cp * sy - sr * sp * cy,
    ]


class Streams:
    """Builds each telemetry message and sends those that were asked for when they are due."""

    def __init__(self, pilot: Autopilot, sysid: int) -> None:
        """Nothing but the heartbeat, and what the flavour sends unasked, until something is asked for."""
        self._pilot, self._sysid = pilot, sysid
        self._interval_s: dict[int, float] = {}
        self._due_s: dict[int, float] = {}
        self._next_s = 0.0
        self._beat_s = 0.0
        self._sent_s: dict[int, float] = {}
        self._builders: dict[int, Callable[[], Any]] = {
            1: self._sys_status, 2: self._system_time, 24: self._gps_raw_int, 29: self._scaled_pressure,
            30: self._attitude, 31: self._attitude_quaternion, 32: self._local_position,
            33: self._global_position_int, 36: self._servo_output, 42: self._mission_current, 49: self._origin,
            62: self._nav_controller, 65: self._rc_channels, 74: self._vfr_hud, 147: self._battery_status,
            148: self._version, 162: self._fence_status, 193: self._ekf_status, 241: self._vibration,
            242: self._home_position, 245: self._extended_sys_state, 259: self._camera_information,
            280: self._gimbal_information, 281: self._gimbal_status, 285: self._gimbal_attitude,
        }  # fmt: skip
        for number, hz in pilot.flavour.unasked_hz.items():
            self.set_interval(number, 1.0 / hz)

    def knows(self, number: int) -> bool:
        """Whether a message can be had."""
        return number in self._builders

    def interval_s(self, number: int) -> float:
        """How often it is sent, s; 0 if it is not."""
        return self._interval_s.get(number, 0.0)

    def set_interval(self, number: int, interval_s: float) -> None:
        """Send a message each `interval_s` of simulated time; 0 or less stops it."""
        if interval_s <= 0.0:
            self._interval_s.pop(number, None)
            self._due_s.pop(number, None)
            return
        self._interval_s[number] = max(interval_s, 0.02)
        self._due_s[number] = self._pilot.time_s
        self._next_s = 0.0

    def request_stream(self, stream: int, rate_hz: float, *, start: bool) -> None:
        """REQUEST_DATA_STREAM: one group, or all with 0."""
        groups = STREAMS.values() if stream == 0 else [STREAMS.get(stream, ())]
        for group in groups:
            for number in group:
                self.set_interval(number, 1.0 / rate_hz if start and rate_hz > 0 else 0.0)

    def send(self, number: int) -> bool:
        """Send one now; False if it is unknown."""
        build = self._builders.get(number)
        if build is None:
            return False
        self._pilot.emit(build())
        return True

    def step(self) -> None:
        """Send what is due."""
        now = self._pilot.time_s
        if now >= self._beat_s:
            self._beat_s = math.floor(now) + 1.0
            self._pilot.heartbeat()
        if now < self._next_s:
            return
        soonest = now + 10.0
        for number, due in self._due_s.items():
            if due <= now:
                interval = self._interval_s[number]
                due = self._due_s[number] = max(due + interval, now)
                self.send(number)
            soonest = min(soonest, due)
        self._next_s = soonest

    # -- messages ------------------------------------------------------------------------------------------------

    def _boot_ms(self) -> int:
        return int(self._pilot.time_s * 1000.0)

    def _place(self) -> tuple[int, int, int]:
        lon, lat, amsl_m = self._pilot.position()
        return round(lat * 1e7), round(lon * 1e7), round(amsl_m * 1e3)

    def _sys_status(self) -> Any:
        pilot, battery = self._pilot, self._pilot.battery
        return mavlink.MAVLink_sys_status_message(
            *pilot.sensor_bits(), 0, min(round(battery.voltage_v * 1e3), 65535),
            min(round(battery.current_a * 100), 32767), round(pilot.remaining() * 100), 0, 0, 0, 0, 0, 0,
        )  # fmt: skip

    def _system_time(self) -> Any:
        return mavlink.MAVLink_system_time_message(round(self._pilot.utc_s() * 1e6), self._boot_ms())

    def _gps_raw_int(self) -> Any:
        pilot, motion = self._pilot, self._pilot.controls.motion
        usec = round(pilot.time_s * 1e6)
        if not pilot.home_set and not pilot.has_fix():
            return mavlink.MAVLink_gps_raw_int_message(usec, 0, 0, 0, 0, 65535, 65535, 0, 0, 0)
        fix_type, satellites, eph = 3, 14, 121
        north, east, up = self._receiver_off()
        if pilot.failures.gps_off:
            fix_type, satellites, eph = pilot.flavour.blind
        elif pilot.failures.gps_jammed:
            fix_type, satellites, eph = 2, 4, 2500
        lon, lat = pilot.frame.lonlat(motion.n + north, motion.e + east)
        alt = round((pilot.frame.amsl_m + motion.u + up) * 1e3)
        speed = math.hypot(motion.vn, motion.ve)
        course = math.degrees(math.atan2(motion.ve, motion.vn)) % 360.0
        return mavlink.MAVLink_gps_raw_int_message(
            usec, fix_type, round(lat * 1e7), round(lon * 1e7), alt, eph, 200, round(speed * 100),
            round(course * 100) % 36000, satellites, alt, 1000, 1500, 200,
        )  # fmt: skip

    def _receiver_off(self) -> tuple[float, float, float]:
        """How far the satellite receiver is from the estimate, m north, east, up; jammed, it says any place."""
        pilot = self._pilot
        north, east, up = pilot.failures.glitch
        if pilot.failures.gps_jammed:
            north, east = 400.0 * math.sin(0.7 * pilot.time_s), 400.0 * math.cos(0.5 * pilot.time_s)
        at = pilot.estimate
        return north - at.north, east - at.east, up - at.up

    def _scaled_pressure(self) -> Any:
        pilot = self._pilot
        height = pilot.frame.amsl_m + pilot.controls.motion.u
        pressure = 1013.25 * (1.0 - height / 44330.77) ** 5.25588
        return mavlink.MAVLink_scaled_pressure_message(self._boot_ms(), pressure, 0.0, 2500)

    def _angles(self) -> tuple[float, float, float]:
        body, sensors = self._pilot.body, self._pilot.sensors
        return body.roll + sensors.roll.value, body.pitch + sensors.pitch.value, self._pilot.controls.motion.yaw

    def _attitude(self) -> Any:
        roll, pitch, yaw = self._angles()
        return mavlink.MAVLink_attitude_message(self._boot_ms(), roll, pitch, yaw, 0.0, 0.0, self._pilot.body.yaw_rate)

    def _attitude_quaternion(self) -> Any:
        q = quaternion(*self._angles())
        return mavlink.MAVLink_attitude_quaternion_message(self._boot_ms(), *q, 0.0, 0.0, self._pilot.body.yaw_rate)

    def _local_position(self) -> Any:
        motion, home = self._pilot.controls.motion, self._pilot.controls.home
        return mavlink.MAVLink_local_position_ned_message(
            self._boot_ms(), motion.n - home.n, motion.e - home.e, home.u - motion.u, motion.vn, motion.ve, -motion.vu
        )

    def _global_position_int(self) -> Any:
        pilot, motion = self._pilot, self._pilot.controls.motion
        velocity = (round(motion.vn * 100), round(motion.ve * 100), round(-motion.vu * 100))
        heading = round(math.degrees(motion.yaw) % 360.0 * 100) % 36000
        relative = round(pilot.relative_m() * 1e3) if pilot.home_set else 0
        if not pilot.home_set and not pilot.has_fix():
            return mavlink.MAVLink_global_position_int_message(self._boot_ms(), 0, 0, 0, 0, *velocity, heading)
        return mavlink.MAVLink_global_position_int_message(
            self._boot_ms(), *self._place(), relative, *velocity, heading
        )

    def _mission_current(self) -> Any:
        return mavlink.MAVLink_mission_current_message(*self._pilot.mission_current())

    def _origin(self) -> Any:
        frame = self._pilot.frame
        return mavlink.MAVLink_gps_global_origin_message(
            round(frame.lat * 1e7), round(frame.lon * 1e7), round(frame.amsl_m * 1e3), self._boot_ms() * 1000
        )

    def _nav_controller(self) -> Any:
        pilot, leg = self._pilot, self._pilot.leg()
        roll, pitch, _ = self._angles()
        bearing, distance, cross, height = 0.0, 0.0, 0.0, 0.0
        if leg is not None:
            at = pilot.controls.motion
            bearing = math.degrees(math.atan2(leg.end.e - at.e, leg.end.n - at.n))
            distance = math.hypot(leg.end.e - at.e, leg.end.n - at.n)
            cross, height = leg.cross_track_m(at.point()), leg.target().u - at.u
        return mavlink.MAVLink_nav_controller_output_message(
            math.degrees(roll), math.degrees(pitch), round(bearing), round(bearing), min(round(distance), 65535),
            height, 0.0, cross,
        )  # fmt: skip

    def _rc_channels(self) -> Any:
        channels = [1500, 1500, 1000, 1500, 1800, 1000, 1000, 1800] + [0] * 10
        return mavlink.MAVLink_rc_channels_message(self._boot_ms(), 8, *channels, 255)

    def _servo_output(self) -> Any:
        pilot = self._pilot
        rotor = 1000 + min(round(pilot.body.thrust_g * 490), 1000)
        return mavlink.MAVLink_servo_output_raw_message(
            round(pilot.time_s * 1e6) % 2**32, 0, rotor, rotor, rotor, rotor, 0, 0, 0, 0
        )

    def _fence_status(self) -> Any:
        pilot = self._pilot
        return mavlink.MAVLink_fence_status_message(int(pilot.breach > 0), pilot.breaches, min(pilot.breach, 3), 0)

    def _vfr_hud(self) -> Any:
        pilot, motion = self._pilot, self._pilot.controls.motion
        return mavlink.MAVLink_vfr_hud_message(
            pilot.body.airspeed_m_s, math.hypot(motion.vn, motion.ve), round(math.degrees(motion.yaw) % 360.0) % 360,
            min(round(pilot.body.thrust_g * 39), 100), pilot.frame.amsl_m + motion.u, motion.vu,
        )  # fmt: skip

    def _battery_status(self) -> Any:
        battery = self._pilot.battery
        voltages = [min(round(battery.voltage_v * 1e3), 65534)] + [65535] * 9
        return mavlink.MAVLink_battery_status_message(
            0, 0, 0, 32767, voltages, min(round(battery.current_a * 100), 32767), round(battery.used_mah),
            round(battery.energy_used_wh * 36.0), round(self._pilot.remaining() * 100), 0,
            self._pilot.charge_state(), [0] * 4, 0, 0,
        )  # fmt: skip

    def _version(self) -> Any:
        flavour = self._pilot.flavour
        custom = list(flavour.software_hash.encode()[:8].ljust(8, b"\0"))
        return mavlink.MAVLink_autopilot_version_message(
            flavour.capabilities, flavour.software_version, 0, 0, 0, custom, [0] * 8, [0] * 8, 0, 0, 1000 + self._sysid
        )

    def _ekf_status(self) -> Any:
        pilot, estimate = self._pilot, self._pilot.estimate
        flags = 0x33F if pilot.has_position() else 0x025 if pilot.home_set else 0x0A7
        velocity = 1.5 if estimate.diverging else 0.01
        position = 1.5 if estimate.diverging or estimate.glitching else 0.01
        compass = 1.5 if pilot.failures.compass else 0.02
        flags |= EKF_GPS_GLITCHING if estimate.glitching else 0
        return mavlink.MAVLink_ekf_status_report_message(flags, velocity, position, 0.01, compass, 0.0, 0.0)

    def _vibration(self) -> Any:
        level = 0.01 if not self._pilot.armed else 60.0 if self._pilot.failures.falls else 4.0
        return mavlink.MAVLink_vibration_message(round(self._pilot.time_s * 1e6), level, level, level, 0, 0, 0)

    def _home_position(self) -> Any:
        lon, lat, amsl_m = self._pilot.home()
        return mavlink.MAVLink_home_position_message(
            round(lat * 1e7), round(lon * 1e7), round(amsl_m * 1e3), 0, 0, 0, [math.nan] * 4, 0, 0, 0,
            round(self._pilot.time_s * 1e6),
        )  # fmt: skip

    def _extended_sys_state(self) -> Any:
        return mavlink.MAVLink_extended_sys_state_message(3, self._pilot.landed_state())

    def _camera_information(self) -> Any:
        return mavlink.MAVLink_camera_information_message(
            self._boot_ms(), [0] * 32, [0] * 32, 0, math.nan, math.nan, math.nan, 0, 0, 0, 2, 0, b""
        )

    def _gimbal_angles(self) -> tuple[float, float, float]:
        gimbal, sensors = self._pilot.gimbal, self._pilot.sensors
        return (
            gimbal.roll + sensors.gimbal_roll.value,
            gimbal.pitch + sensors.gimbal_pitch.value,
            gimbal.yaw + sensors.gimbal_yaw.value,
        )

    def _gimbal_information(self) -> Any:
        r = math.radians
        return mavlink.MAVLink_gimbal_manager_information_message(
            self._boot_ms(), 206847, 1, r(-30), r(30), r(-90), r(20), r(-180), r(180)
        )

    def _gimbal_status(self) -> Any:
        flags = self._pilot.gimbal.flags() & ~32
        return mavlink.MAVLink_gimbal_manager_status_message(
            self._boot_ms(), flags, 1, *self._pilot.gimbal.primary, 0, 0
        )

    def _gimbal_attitude(self) -> Any:
        nan = math.nan
        return mavlink.MAVLink_gimbal_device_attitude_status_message(
            0, 0, self._boot_ms(), self._pilot.gimbal.flags(), quaternion(*self._gimbal_angles()), nan, nan, nan, 0,
            nan, nan, 1,
        )  # fmt: skip
