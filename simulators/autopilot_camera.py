"""When the camera is triggered: by distance, by time, by command; and mission items for camera and mount."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.autopilot_gimbal import Gimbal
from simulators.autopilot_guidance import Motion, Point


class CameraTrigger:
    """Counts shots and decides when the next is due."""

    def __init__(self, shoot: Callable[[int], None]) -> None:
        """`shoot` is called with the number of each shot, from 1."""
        self.shots = 0
        self.distance_m = 0.0
        self._shoot = shoot
        self._last: tuple[float, float] | None = None
        self._interval_s = 0.0
        self._left = 0
        self._due_s = 0.0

    def shot(self) -> None:
        """Take one now."""
        self.shots += 1
        self._shoot(self.shots)

    def every_metres(self, distance_m: float, motion: Motion, *, at_once: bool) -> None:
        """Trigger each time the vehicle has gone so far over ground; 0 ends it."""
        self.distance_m = distance_m
        self._last = (motion.n, motion.e)
        if at_once and distance_m > 0.0:
            self.shot()

    def series(self, interval_s: float, count: int) -> None:
        """`count` shots, one each `interval_s`; 0 shots means until stopped, 1 means now."""
        if count == 1 or interval_s <= 0.0:
            self.shot()
            return
        self._interval_s, self._left, self._due_s = interval_s, count if count > 0 else -1, interval_s / 2.0

    def stop(self) -> None:
        """No more shots of a series."""
        self._left = 0

    def step(self, dt_s: float, motion: Motion) -> None:
        """Trigger if it is time."""
        if self.distance_m > 0.0 and self._last is not None:
            dn, de = motion.n - self._last[0], motion.e - self._last[1]
            if math.hypot(dn, de) >= self.distance_m:
                self._last = (motion.n, motion.e)
                self.shot()
        if self._left != 0:
            self._due_s -= dt_s
            if self._due_s <= 0.0:
                self._due_s += self._interval_s
                self._left -= 1 if self._left > 0 else 0
                self.shot()


def perform_payload(
    item: MissionItem, camera: CameraTrigger, gimbal: Gimbal, motion: Motion, place: Point | None
) -> None:
    """Do a mission command of the camera or its mount; others are none of theirs and pass."""
    p1, p2, p3, _ = item.params
    command = item.command
    if command == 206:
        camera.every_metres(p1, motion, at_once=p3 == 1)
    elif command == 203:
        camera.shot()
    elif command == 2000:
        camera.series(p2, int(p3))
    elif command == 2001:
        camera.stop()
    elif command == 205:
        gimbal.point(p1, p3, roll_deg=p2)
    elif command == 1000:
        gimbal.point(p1, p2, earth_yaw=bool(item.x & 16))
    elif command in (195, 201):
        gimbal.look_at(place)
    elif command == 197:
        gimbal.look_at(None)


def camera_feedback(
    shot: int,
    utc_s: float,
    position: tuple[float, float, float],
    relative_m: float,
    angles_rad: tuple[float, float, float],
) -> Any:
    """CAMERA_FEEDBACK of a shot at lon, lat, deg, and m AMSL, with roll, pitch, yaw of the body."""
    lon, lat, amsl_m = position
    roll, pitch, yaw = (math.degrees(angle) for angle in angles_rad)
    number = shot % 65536
    where = (round(lat * 1e7), round(lon * 1e7), amsl_m, relative_m)
    return mavlink.MAVLink_camera_feedback_message(
        round(utc_s * 1e6), 0, 0, number, *where, roll, pitch, yaw % 360.0, 0.0, 0, number
    )
