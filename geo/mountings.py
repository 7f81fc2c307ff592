"""Mountings: from what a vehicle and its gimbal tell to where the camera is and looks."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.poses import Attitude, Pose
from geo.positions import Altitude, Position

Array = NDArray[np.float64]

WGS84_A_M, WGS84_E2 = 6_378_137.0, 6.694_379_990_141_3e-3
"""Semi-major axis and squared eccentricity (NGA.STND.0036)."""
DOWN = Attitude(pitch_deg=-90.0, yaw_deg=0.0)
"""Of a camera that looks through the floor of its vehicle, the top of its picture forward."""

Small = Annotated[float, msgspec.Meta(ge=-45, le=45)]
Arm = Annotated[float, msgspec.Meta(ge=-100, le=100)]


class GimbalFrame(StrEnum):
    """What the angles of a gimbal count from."""

    EARTH = "earth"
    """Roll and pitch from the horizon, yaw from true north."""
    HEADING = "heading"
    """Roll and pitch from the horizon, yaw from the vehicle's nose: a gimbal that follows."""
    VEHICLE = "vehicle"
    """All from the airframe, as the angles of its joints: yaw, then pitch, then roll."""


class Boresight(msgspec.Struct, frozen=True, kw_only=True):
    """How a camera sits askew in its mount: turned by yaw, pitch, roll about the mount's down, right and forward."""

    roll_deg: Small = 0.0
    """About forward, right side down positive, deg."""
    pitch_deg: Small = 0.0
    """Looking higher than the mount says, deg."""
    yaw_deg: Small = 0.0
    """Looking further to the right than the mount says, deg."""

    def mount_from_camera(self) -> Array:
        """The 3 x 3 rotation, both axes forward, right, down."""
        return Attitude(roll_deg=self.roll_deg, pitch_deg=self.pitch_deg, yaw_deg=self.yaw_deg).ned_from_body()


class Mounting(msgspec.Struct, frozen=True, kw_only=True):
    """How a camera hangs on its vehicle."""

    gimbal_m: tuple[Arm, Arm, Arm] = (0.0, 0.0, 0.0)
    """From the antenna, or where else the vehicle's position holds, to the gimbal: forward, right, down of the
    vehicle, m."""
    camera_m: tuple[Arm, Arm, Arm] = (0.0, 0.0, 0.0)
    """From the gimbal to the perspective centre: forward (the way it looks), right, down of the camera, m."""
    boresight: Boresight = Boresight()
    """How the camera sits askew in its mount."""

    def camera_pose(self, pose: Pose, vehicle: Attitude) -> Pose:
        """The pose of the camera, from the position of the antenna and the attitude of the mount in `pose`, and the
        attitude of the vehicle."""
        mount = pose.attitude.ned_from_body()
        camera = mount @ self.boresight.mount_from_camera()
        north_m, east_m, down_m = vehicle.ned_from_body() @ np.array(self.gimbal_m) + camera @ np.array(self.camera_m)
        return Pose(
            utc_s=pose.utc_s,
            position=moved(pose.position, east_m=float(east_m), north_m=float(north_m), up_m=-float(down_m)),
            attitude=attitude_of(camera),
        )


def mount_attitude(angles: Attitude, vehicle: Attitude, frame: GimbalFrame) -> Attitude:
    """The attitude in NED of a gimbal that tells `angles`, on a vehicle of that attitude."""
    if frame is GimbalFrame.EARTH:
        return angles
    if frame is GimbalFrame.HEADING:
        return msgspec.structs.replace(angles, yaw_deg=(angles.yaw_deg + vehicle.yaw_deg) % 360.0)
    return attitude_of(vehicle.ned_from_body() @ angles.ned_from_body())


def attitude_of(ned_from_body: Array) -> Attitude:
    """The angles of a rotation; where it looks straight up or down, all of the turn is yaw."""
    level = math.hypot(ned_from_body[0, 0], ned_from_body[1, 0])
    if level < 1e-9:
        yaw, roll = math.atan2(-ned_from_body[0, 1], ned_from_body[1, 1]), 0.0
    else:
        yaw = math.atan2(ned_from_body[1, 0], ned_from_body[0, 0])
        roll = math.atan2(ned_from_body[2, 1], ned_from_body[2, 2])
    pitch = math.atan2(-ned_from_body[2, 0], level)
    return Attitude(roll_deg=math.degrees(roll), pitch_deg=math.degrees(pitch), yaw_deg=math.degrees(yaw) % 360.0)


def moved(position: Position, *, east_m: float, north_m: float, up_m: float) -> Position:
    """A position some metres away; good to 5 mm at 100 m below 80 deg of latitude."""
    lat_rad = math.radians(position.lat)
    curve = 1 - WGS84_E2 * math.sin(lat_rad) ** 2
    height_m = position.altitude.value_m
    meridian_m = WGS84_A_M * (1 - WGS84_E2) / curve**1.5 + height_m
    normal_m = WGS84_A_M / math.sqrt(curve) + height_m
    return Position(
        lon=position.lon + math.degrees(east_m / (normal_m * math.cos(lat_rad))),
        lat=position.lat + math.degrees(north_m / meridian_m),
        altitude=Altitude(height_m + up_m, position.altitude.datum),
    )
