"""Rolling shutters: each row of a picture is exposed at its own moment, from its own pose."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.transform import Rotation

from geo.cameras import Camera
from geo.location import Location, locate_those_on_ground
from geo.mountings import attitude_of, moved
from geo.poses import ENU_FROM_NED, Pose
from geo.terrain import Terrain

Array = NDArray[np.float64]


class Motion(msgspec.Struct, frozen=True, kw_only=True):
    """How a camera moves and turns while a picture is read out."""

    velocity_enu_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Towards east, north and up, m/s."""
    turn_enu_deg_s: tuple[float, float, float] = (0.0, 0.0, 0.0)
    """Turn rate about the east, north and up axes, right-handed, deg/s. A yaw rate to the right is about down: its
    negative stands in the third place."""


class RollingShutter(msgspec.Struct, frozen=True, kw_only=True):
    """A sensor that is read row by row, the top row first."""

    readout_s: Annotated[float, msgspec.Meta(ge=0, le=1)]
    """From the moment of the top row to that of the bottom row, s."""
    posed_row: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.5
    """The row of which the pose holds, as a share of the picture's height: 0 the top one, 0.5 the middle."""

    def row_offset_s(self, row_px: float, height_px: int) -> float:
        """How much later than the pose a row is exposed, s."""
        return self.readout_s * (row_px / (height_px - 1) - self.posed_row)

    def pose_of_row(self, pose: Pose, motion: Motion, row_px: float, height_px: int) -> Pose:
        """The pose at the moment of a row, at steady velocity and turn rate."""
        late_s = self.row_offset_s(row_px, height_px)
        east_m, north_m, up_m = np.array(motion.velocity_enu_m_s) * late_s
        turn = Rotation.from_rotvec(np.radians(motion.turn_enu_deg_s) * late_s).as_matrix()
        ned_from_body = ENU_FROM_NED.T @ turn @ ENU_FROM_NED @ pose.attitude.ned_from_body()
        return Pose(
            utc_s=pose.utc_s + late_s,
            position=moved(pose.position, east_m=float(east_m), north_m=float(north_m), up_m=float(up_m)),
            attitude=attitude_of(ned_from_body),
        )


def locate_rolling(
    camera: Camera,
    pose: Pose,
    pixels: ArrayLike,
    terrain: Terrain,
    *,
    shutter: RollingShutter,
    motion: Motion,
    **options: Any,
) -> list[Location | None]:
    """As `geo.location.locate_those_on_ground` with its options, each pixel (n, 2) from the pose of its own row."""
    found: list[Location | None] = []
    for pixel in np.atleast_2d(np.asarray(pixels, float)):
        own = shutter.pose_of_row(pose, motion, float(pixel[1]), camera.height_px)
        options["velocity_enu_m_s"] = motion.velocity_enu_m_s
        found += locate_those_on_ground(camera, own, [pixel], terrain, **options)
    return found
