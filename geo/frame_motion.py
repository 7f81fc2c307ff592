"""How the picture of a camera moves between two frames, by the poses that telemetry tells: what image motion is judged
by."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.clock_offsets import Expected, Motions, Smooth
from geo.poses import Pose
from geo.positions import LocalPlane

Array = NDArray[np.float64]

_CORNER = 0.2
"""How far from the middle of the picture, in focal lengths, its motion is looked at."""
_POINTS = np.array([[0.0, 0.0], [_CORNER, 0.0], [-_CORNER, 0.0], [0.0, _CORNER], [0.0, -_CORNER]])
_LEAST_FALL = 0.05


class PoseTrack:
    """Where a camera was and how it was turned, by telemetry: smoothed, at any time between the first pose and the
    last."""

    def __init__(self, poses: Sequence[Pose]) -> None:
        """From four poses or more by rising time, whose heights have one datum."""
        first = poses[0].position
        plane = LocalPlane(lon=first.lon, lat=first.lat, height_m=first.altitude.value_m)
        east, north = plane.to_plane([pose.position.lon for pose in poses], [pose.position.lat for pose in poses])
        heights = [pose.position.altitude.value_m for pose in poses]
        times_s = np.array([pose.utc_s for pose in poses])
        turns = Rotation.from_matrix([pose.enu_from_camera() for pose in poses]).as_quat()
        back = np.cumsum(np.sum(turns[1:] * turns[:-1], axis=1) < 0) % 2 == 1  # a rotation has two quaternions
        turns[1:][back] *= -1
        self._places = Smooth(times_s, np.stack([east, north, np.array(heights)], axis=1))
        self._turns = Smooth(times_s, turns)

    def at(self, times_s: Array) -> tuple[Array, Array]:
        """Places (m, 3; east, north, height, m) and rotations (m, 3, 3; ENU from camera); NaN outside the track."""
        places, turns = self._places.at(times_s), self._turns.at(times_s)
        outside = np.isnan(turns[:, 0])
        turns[outside] = [0.0, 0.0, 0.0, 1.0]
        matrices = np.asarray(Rotation.from_quat(turns).as_matrix())
        matrices[outside] = np.nan
        return places, matrices


def moving(motions: Motions, track: PoseTrack, ground_m: float) -> Expected:
    """Expected motions (turn, right, down; see `picture_motion`) over flat ground at a height of the track's datum."""

    def expected(offset_s: float) -> Array:
        return picture_motion(track.at(motions.start_s + offset_s), track.at(motions.end_s + offset_s), ground_m)

    return expected


def picture_motion(first: tuple[Array, Array], second: tuple[Array, Array], ground_m: float) -> Array:
    """(n, 3) how what is in the picture moves from the first frame to the second: by a turn about the middle of the
    picture, clockwise, rad, and a shift right and down in focal lengths; NaN where the middle shows no ground.

    `first` and `second` are places (n, 3) and rotations (n, 3, 3) of the camera.
    """
    (place, turn), (next_place, next_turn) = first, second
    rays = np.concatenate([_POINTS, np.ones((len(_POINTS), 1))], axis=1)
    world = np.einsum("nij,pj->npi", turn, rays)
    fall = np.where(world[..., 2] < -_LEAST_FALL, -world[..., 2], np.nan)
    reach = (place[:, 2] - ground_m)[:, None] / fall
    ground = place[:, None, :] + world * reach[..., None]
    seen = np.einsum("nji,npj->npi", next_turn, ground - next_place[:, None, :])
    moved = seen[..., :2] / seen[..., 2:]
    shift = moved[:, 0] - _POINTS[0]
    arms = np.stack([moved[:, 1] - moved[:, 2], moved[:, 3] - moved[:, 4]], axis=1)
    angle = np.arctan2(arms[:, 0, 1] - arms[:, 1, 0], arms[:, 0, 0] + arms[:, 1, 1])
    return np.concatenate([angle[:, None], shift], axis=1)
