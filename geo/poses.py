"""Where a camera is and where it looks: the exterior orientation and its sigmas."""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.positions import Position

CAMERA_BODY_FROM_CAMERA = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
"""FRD of the mount from camera axes: boresight (z) is forward, x is right, y is down."""
ENU_FROM_NED = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, -1.0]])


class Attitude(msgspec.Struct, frozen=True, kw_only=True):
    """Orientation of a body (FRD) in NED, by the aerospace sequence yaw, pitch, roll."""

    roll_deg: float = 0.0
    """About the forward axis, right side down positive, deg."""
    pitch_deg: float
    """Forward axis above the horizon, deg; a camera at nadir has -90."""
    yaw_deg: float
    """Forward axis from true north, clockwise, deg."""

    def ned_from_body(self) -> NDArray[np.float64]:
        """The 3 x 3 rotation."""
        angles = [self.yaw_deg, self.pitch_deg, self.roll_deg]
        return np.asarray(Rotation.from_euler("ZYX", angles, degrees=True).as_matrix())


class Pose(msgspec.Struct, frozen=True, kw_only=True):
    """Exterior orientation of a camera at a moment."""

    utc_s: float
    """Moment of exposure, s since 1970 UTC."""
    position: Position
    """Of the perspective centre."""
    attitude: Attitude
    """Of the camera mount: forward is the boresight."""

    def enu_from_camera(self) -> NDArray[np.float64]:
        """The 3 x 3 rotation from camera axes to east, north, up."""
        attitude = self.attitude
        rotation: NDArray[np.float64] = _enu_from_camera(attitude.roll_deg, attitude.pitch_deg, attitude.yaw_deg)
        return rotation


@njit(cache=True, nogil=True)
def _enu_from_camera(
    roll_deg: float, pitch_deg: float, yaw_deg: float
) -> NDArray[np.float64]:  # pragma: no cover - compiled
    """ENU_FROM_NED @ ned_from_body @ CAMERA_BODY_FROM_CAMERA, written out."""
    sr, cr = math.sin(math.radians(roll_deg)), math.cos(math.radians(roll_deg))
    sp, cp = math.sin(math.radians(pitch_deg)), math.cos(math.radians(pitch_deg))
    sy, cy = math.sin(math.radians(yaw_deg)), math.cos(math.radians(yaw_deg))
    turn = np.empty((3, 3))
    turn[0, 0], turn[0, 1], turn[0, 2] = sy * sp * sr + cy * cr, sy * sp * cr - cy * sr, sy * cp
    turn[1, 0], turn[1, 1], turn[1, 2] = cy * sp * sr - sy * cr, cy * sp * cr + sy * sr, cy * cp
    turn[2, 0], turn[2, 1], turn[2, 2] = -cp * sr, -cp * cr, sp
    return turn


class PoseSigmas(msgspec.Struct, frozen=True, kw_only=True):
    """One-sigma errors of a pose and of the camera that has it, independent of each other."""

    horizontal_m: float = 1.5
    """Of the position, along each horizontal axis, m."""
    vertical_m: float = 2.0
    """Of the position, m."""
    tilt_deg: float = 0.5
    """Of roll and of pitch of the platform, each, deg; of the boresight where nothing is said of the gimbal."""
    yaw_deg: float = 2.0
    """Of yaw of the platform, deg; of the boresight where nothing is said of the gimbal."""
    time_s: float = 0.03
    """Of the moment, s; weighs with the speed over ground and the turn rate of the camera."""
    gimbal_pitch_deg: float = 0.0
    """Of gimbal and mounting, about the camera's right axis, deg."""
    gimbal_yaw_deg: float = 0.0
    """Of gimbal and mounting, about the camera's down axis, deg."""
    gimbal_roll_deg: float = 0.0
    """Of gimbal and mounting, about the boresight, deg."""
    focal_share: float = 0.0
    """Of the focal length, as a share of it."""
    center_px: float = 0.0
    """Of the principal point, across and down the picture, each, px."""
