"""Where a camera is and where it looks: the exterior orientation and its sigmas."""

from __future__ import annotations

import msgspec
import numpy as np
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
        return np.asarray(ENU_FROM_NED @ self.attitude.ned_from_body() @ CAMERA_BODY_FROM_CAMERA)


class PoseSigmas(msgspec.Struct, frozen=True, kw_only=True):
    """One-sigma errors of a pose, independent of each other."""

    horizontal_m: float = 1.5
    """Of the position, along each horizontal axis, m."""
    vertical_m: float = 2.0
    """Of the position, m."""
    tilt_deg: float = 0.5
    """Of roll and of pitch of the boresight, each, deg."""
    yaw_deg: float = 2.0
    """Of yaw, deg."""
    time_s: float = 0.03
    """Of the moment, s; weighs with the speed over ground."""
