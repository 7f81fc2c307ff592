"""Registration: a frame laid on a reference orthophoto, so that the biases of its pose show and go.

The orthophoto is drawn as the camera should see it from the believed pose. Squares of that picture are looked for in
the frame around where they should be (normalised cross-correlation); those that agree on one homography (RANSAC:
Fischler and Bolles, 1981) tie pixels to places on the ground; and the pose is the most probable one given
those ties and the sigmas of the believed pose. A frame that does not match is refused with the reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.cameras import Camera
from geo.errors import NotRegistered
from geo.location import Location, camera_amsl_m, ground_points, locate
from geo.poses import ENU_FROM_NED, Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Ellipse, LocalPlane, Position
from geo.references import Picture, Reference
from geo.terrain import Terrain

Array = NDArray[np.float64]

NODE_PX = 32
"""Pixels of the frame between rays that are followed to the ground."""
SQUARE_PX = 24
"""Half the side of the squares that are looked for, in the frame as shrunk to the orthophoto's scale."""
LEAST_SCORE = 0.45
"""Least normalised cross-correlation of a square that is believed."""
AGREE_PX = 2.0
"""Squares that lie so near one homography agree."""
LEAST_TIES, LEAST_SHARE, LEAST_SPREAD = 12, 0.4, 0.1
"""Fewest squares that must agree; their least share of the believed ones, and of the picture's area."""
TIE_SIGMA_PX = 0.5
"""No tie is believed to be better; in the shrunk frame."""
CHI2_999 = 22.46
"""Chi-square, 6 degrees of freedom, 99.9 %: a correction beyond is no error of this pose."""
MOST_REACH_PX = 160
LEAST_PRIOR_M, LEAST_PRIOR_RAD = 1e-3, 1e-5
"""Nothing of a pose is taken to be known better, whatever its sigmas say."""


class Registration(msgspec.Struct, frozen=True, kw_only=True):
    """A pose corrected by a reference."""

    pose: Pose
    """The corrected one, AMSL."""
    correction: tuple[float, float, float, float, float, float]
    """What was added: east, north, up, m; turns about east, north and up, deg."""
    covariance: tuple[tuple[float, ...], ...]
    """(6, 6) of what is still wrong, in the same order: m and deg."""
    ties: int
    """Squares that agree."""
    share: float
    """Of the believed squares, how many these are, 0 to 1."""
    rms_px: float
    """What is left between them, px of the frame."""

    @property
    def sigmas(self) -> PoseSigmas:
        """One-sigma errors of the corrected pose, their correlations left out: too wide, as position and tilt are
        known together better than each."""
        return self._sigmas(np.sqrt(np.diag(np.array(self.covariance))))

    def located(self, camera: Camera, pixels: Any, terrain: Terrain, **options: Any) -> list[Location]:
        """As `geo.location.locate`, from the corrected pose and with its covariance."""
        spread = np.array(self.covariance)
        one = np.sqrt(np.diag(spread))
        told = self._sigmas(one)
        scale = one / [
            told.horizontal_m, told.horizontal_m, told.vertical_m, told.tilt_deg, told.tilt_deg, told.yaw_deg
        ]  # fmt: skip
        root = np.linalg.cholesky(spread / np.outer(one, one) + 1e-9 * np.eye(6)).T * scale
        found = locate(camera, self.pose, pixels, terrain, sigmas=told, **options)
        return [_moved_together(location, root) for location in found]

    @staticmethod
    def _sigmas(one: Array) -> PoseSigmas:
        return PoseSigmas(
            horizontal_m=float(one[:2].max()),
            vertical_m=float(one[2]),
            tilt_deg=float(one[3:5].max()),
            yaw_deg=float(one[5]),
            time_s=0.0,
        )


def register(
    camera: Camera,
    pose: Pose,
    image: Picture,
    reference: Reference,
    terrain: Terrain,
    *,
    sigmas: PoseSigmas,
    dem_sigma_m: float = 1.0,
    max_range_m: float = 2000.0,
) -> Registration:
    """The pose of a frame, corrected so that it lies on the reference.

    `image` (H, W) or (H, W, 3) is of the camera's size. The pose has no velocity: widen `sigmas.horizontal_m` by speed
    times `time_s` where the clock is in doubt. Raises NotRegistered with the reason, TerrainMissing,
    NoGround, DatumUnknown, RasterInvalid.
    """
    if image.shape[:2] != (camera.height_px, camera.width_px):
        raise NotRegistered(
            f"the frame has {image.shape[1]} x {image.shape[0]} px, its camera {camera.width_px} x {camera.height_px}"
        )
    eye_m = camera_amsl_m(pose, terrain)
    scene = _Scene.seen(camera, pose, terrain, reference, max_range_m)
    grey = image if image.ndim == 2 else image.mean(axis=2).astype(np.uint8)
    frame = np.asarray(cv2.resize(grey, scene.drawn.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
    reach_px = _reach_px(camera, sigmas, scene)
    here, there = _ties(scene.drawn, scene.known, frame, reach_px)
    agree = _agreeing(here, there)
    _refuse_poor(here, agree, frame.shape[::-1])
    points = scene.places(here[agree])
    pixels = (there[agree] + 0.5) * scene.shrink - 0.5
    fit = _Fit(camera, pose, eye_m, points, pixels, sigmas, TIE_SIGMA_PX * scene.shrink)
    correction, spread, rms_px = fit.solved()
    prior = fit.prior
    d2 = float(np.sum((correction / prior) ** 2))
    if d2 > CHI2_999:
        raise NotRegistered(
            f"the frame would lie on {reference.path} {np.hypot(*correction[:2]):.1f} m away and turned by "
            f"{np.degrees(np.linalg.norm(correction[3:])):.1f} deg: more than the pose can be wrong (d2 {d2:.0f})"
        )
    spread[:3, :3] += np.diag([reference.sigma_m**2, reference.sigma_m**2, dem_sigma_m**2])
    units = np.array([1.0] * 3 + [np.degrees(1.0)] * 3)
    return Registration(
        pose=fit.pose(correction),
        correction=tuple((correction * units).tolist()),
        covariance=tuple(map(tuple, (spread * np.outer(units, units)).tolist())),
        ties=int(agree.sum()),
        share=float(agree.mean()),
        rms_px=rms_px,
    )


@dataclass(frozen=True)
class _Scene:
    """The reference as the camera should see it, shrunk to the reference's scale."""

    drawn: Picture
    known: NDArray[np.bool_]
    shrink: float
    """Pixels of the frame in one of the drawn ones."""
    gsd_m: float
    """Of the drawn picture, in its middle."""
    ground: Array
    """(3, rows, columns) east, north, up from the camera, m, at every drawn pixel."""

    @classmethod
    def seen(cls, camera: Camera, pose: Pose, terrain: Terrain, reference: Reference, max_range_m: float) -> _Scene:
        columns = np.linspace(-0.5, camera.width_px - 0.5, max(2, math.ceil(camera.width_px / NODE_PX)) + 1)
        rows = np.linspace(-0.5, camera.height_px - 0.5, max(2, math.ceil(camera.height_px / NODE_PX)) + 1)
        nodes = np.stack(np.meshgrid(columns, rows), axis=-1)
        points = ground_points(camera, pose, nodes.reshape(-1, 2), terrain, max_range_m=max_range_m)
        if points.hit.mean() < LEAST_SPREAD:
            raise NotRegistered(f"only {points.hit.mean():.0%} of the frame shows ground within {max_range_m:g} m")
        shape = nodes.shape[:2]
        across, down = (part.reshape(shape) for part in reference.columns_rows(points.lon, points.lat))
        step = np.hypot(np.diff(across, axis=1), np.diff(down, axis=1)) / (columns[1] - columns[0])
        coarse = float(np.nanmedian(step))
        """Pixels of the reference in one of the frame."""
        shrink = max(1.0, 1.0 / coarse, camera.width_px / 1280)
        width, height = round(camera.width_px / shrink), round(camera.height_px / shrink)
        grid = _between(np.stack([across, down]), columns, rows, shrink, width, height)
        drawn, known = reference.drawn(grid[0], grid[1], max(1.0, coarse * shrink))
        ground = np.stack([points.east_m, points.north_m, points.directions[:, 2] * points.range_m])
        ground = ground.reshape(3, *shape)
        widths = np.hypot(np.diff(ground[0], axis=1), np.diff(ground[1], axis=1)) / (columns[1] - columns[0])
        return cls(
            drawn=drawn,
            known=known,
            shrink=shrink,
            gsd_m=float(np.nanmedian(widths)) * shrink,
            ground=_between(ground, columns, rows, shrink, width, height),
        )

    def places(self, drawn_px: Array) -> Array:
        """(n, 3) east, north, up from the camera of drawn pixels (n, 2) that are whole numbers."""
        columns, rows = drawn_px.astype(int).T
        return np.asarray(self.ground[:, rows, columns].T)


def _between(nodes: Array, columns: Array, rows: Array, shrink: float, width: int, height: int) -> Array:
    """Values (k, height, width) at the shrunk frame's pixels, linear between nodes (k, rows, columns)."""
    us = ((np.arange(width) + 0.5) * shrink - 0.5 - columns[0]) / (columns[1] - columns[0])
    vs = ((np.arange(height) + 0.5) * shrink - 0.5 - rows[0]) / (rows[1] - rows[0])
    left, top = np.clip(us.astype(int), 0, len(columns) - 2), np.clip(vs.astype(int), 0, len(rows) - 2)
    right_share, low_share = us - left, (vs - top)[:, None]
    upper = nodes[:, top][:, :, left] * (1 - right_share) + nodes[:, top][:, :, left + 1] * right_share
    lower = nodes[:, top + 1][:, :, left] * (1 - right_share) + nodes[:, top + 1][:, :, left + 1] * right_share
    return np.asarray(upper * (1 - low_share) + lower * low_share)


def _reach_px(camera: Camera, sigmas: PoseSigmas, scene: _Scene) -> int:
    """How far three sigmas of the pose move a square in the shrunk frame, px."""
    turn = math.radians(math.hypot(sigmas.tilt_deg, sigmas.gimbal_pitch_deg))
    twist = math.radians(math.hypot(sigmas.yaw_deg, sigmas.gimbal_yaw_deg))
    turned_px = camera.focal_px / scene.shrink * turn + scene.drawn.shape[1] / 2 * twist
    moved_px = math.hypot(sigmas.horizontal_m, sigmas.vertical_m / 2) / scene.gsd_m
    return int(min(MOST_REACH_PX, math.ceil(3.0 * math.hypot(turned_px, moved_px)) + 3))


def _ties(drawn: Picture, known: NDArray[np.bool_], frame: Picture, reach_px: int) -> tuple[Array, Array]:
    """Middles of squares of the drawn picture (n, 2), and where the frame shows them (n, 2), px."""
    height, width = drawn.shape
    half = min(SQUARE_PX, width // 8, height // 6)
    here, there = [], []
    for row in range(half, height - half, half):
        for column in range(half, width - half, half):
            box = slice(row - half, row + half + 1), slice(column - half, column + half + 1)
            if not known[box].all() or drawn[box].std() < 3.0:
                continue
            top, left = max(0, row - half - reach_px), max(0, column - half - reach_px)
            around = frame[top : row + half + 1 + reach_px, left : column + half + 1 + reach_px]
            scores = cv2.matchTemplate(around, drawn[box], cv2.TM_CCOEFF_NORMED)
            _, score, _, (x, y) = cv2.minMaxLoc(scores)
            if score < LEAST_SCORE:
                continue
            dx, dy = _peak(scores, x, y)
            here.append((column, row))
            there.append((left + x + dx + half, top + y + dy + half))
    return np.array(here, float).reshape(-1, 2), np.array(there, float).reshape(-1, 2)


def _peak(scores: NDArray[Any], x: int, y: int) -> tuple[float, float]:
    """Where between pixels the scores are highest, by parabolas."""
    offsets = []
    for line, at in ((scores[y], x), (scores[:, x], y)):
        if 0 < at < len(line) - 1:
            before, middle, after = (float(line[at + k]) for k in (-1, 0, 1))
            bend = before - 2 * middle + after
            offsets.append(0.5 * (before - after) / bend if bend < 0 else 0.0)
        else:
            offsets.append(0.0)
    return offsets[0], offsets[1]


def _agreeing(here: Array, there: Array) -> NDArray[np.bool_]:
    """Which ties lie near the one homography that most of them lie near."""
    if len(here) < 4:
        return np.zeros(len(here), np.bool_)
    cv2.setRNGSeed(1)
    _, mask = cv2.findHomography(here, there, cv2.RANSAC, AGREE_PX, maxIters=4000, confidence=0.999)
    return np.zeros(len(here), np.bool_) if mask is None else mask.ravel().astype(bool)


def _refuse_poor(here: Array, agree: NDArray[np.bool_], size: tuple[int, ...]) -> None:
    found = int(agree.sum())
    if found < LEAST_TIES:
        raise NotRegistered(
            f"{found} of {len(here)} squares of the reference agree, {LEAST_TIES} must: another place, season or hour, "
            "or too little texture"
        )
    if found < LEAST_SHARE * len(here):
        raise NotRegistered(
            f"only {found} of {len(here)} squares of the reference agree: another place, or much changed"
        )
    spread = cv2.contourArea(cv2.convexHull(here[agree].astype(np.float32))) / (size[0] * size[1])
    if spread < LEAST_SPREAD:
        raise NotRegistered(f"the squares that agree cover {spread:.0%} of the frame: too little to tell the pose")


class _Fit:
    """The most probable pose given ties between pixels and places."""

    def __init__(
        self,
        camera: Camera,
        pose: Pose,
        eye_m: float,
        points: Array,
        pixels: Array,
        sigmas: PoseSigmas,
        sigma_px: float,
    ) -> None:
        self._camera, self._pose, self._eye_m, self._points, self._pixels = camera, pose, eye_m, points, pixels
        self._sigma_px = sigma_px
        self._enu_from_camera = pose.enu_from_camera()
        gimbal = math.hypot(sigmas.gimbal_pitch_deg, sigmas.gimbal_roll_deg)
        tilt = math.radians(math.hypot(sigmas.tilt_deg, gimbal))
        yaw = math.radians(math.hypot(sigmas.yaw_deg, sigmas.gimbal_yaw_deg))
        horizontal, up = max(sigmas.horizontal_m, LEAST_PRIOR_M), max(sigmas.vertical_m, LEAST_PRIOR_M)
        tilt, yaw = max(tilt, LEAST_PRIOR_RAD), max(yaw, LEAST_PRIOR_RAD)
        self.prior = np.array([horizontal, horizontal, up, tilt, tilt, yaw])
        """One sigma of the corrections, m and rad."""

    def pose(self, correction: Array) -> Pose:
        """The believed pose with a correction."""
        at = self._pose.position
        plane = LocalPlane(lon=at.lon, lat=at.lat, height_m=self._eye_m)
        lon, lat = plane.to_lonlat(correction[0], correction[1])
        ned = ENU_FROM_NED.T @ Rotation.from_rotvec(correction[3:]).as_matrix() @ ENU_FROM_NED
        yaw, pitch, roll = _angles(ned @ self._pose.attitude.ned_from_body())
        return Pose(
            utc_s=self._pose.utc_s,
            position=Position(
                lon=float(lon), lat=float(lat), altitude=Altitude(self._eye_m + float(correction[2]), Datum.AMSL)
            ),
            attitude=Attitude(yaw_deg=yaw, pitch_deg=pitch, roll_deg=roll),
        )

    def solved(self) -> tuple[Array, Array, float]:
        """Correction, its covariance (6, 6) (m, rad) and the root mean square of what is left, px.

        Gauss-Newton from the believed pose; ties far off weigh less (Huber, 1964).
        """
        correction, weights = np.zeros(6), np.ones(len(self._points))
        for _ in range(8):
            residuals = self._pixels - self._projected(correction)
            jacobian = self._jacobian(correction)
            lengths = np.linalg.norm(residuals, axis=1)
            weights = np.minimum(1.0, 2.0 * self._sigma_px / np.maximum(lengths, 1e-9))
            per = np.repeat(weights, 2) / self._sigma_px**2
            normal = jacobian.T @ (jacobian * per[:, None]) + np.diag(self.prior**-2)
            step = np.linalg.solve(normal, jacobian.T @ (per * residuals.ravel()) - correction / self.prior**2)
            correction = correction + step
            if np.all(np.abs(step) < 1e-4 * self.prior):
                break
        left = np.linalg.norm(self._pixels - self._projected(correction), axis=1)
        rms_px = float(np.sqrt(np.mean(left**2)))
        wider = max(1.0, rms_px**2 / (2 * self._sigma_px**2))
        belief = np.diag(self.prior**-2)
        return correction, np.asarray(np.linalg.inv((normal - belief) / wider + belief), float), rms_px

    def _projected(self, correction: Array) -> Array:
        turned = Rotation.from_rotvec(correction[3:]).as_matrix() @ self._enu_from_camera
        return np.asarray(self._camera.pixels_from_rays((self._points - correction[:3]) @ turned))

    def _jacobian(self, correction: Array) -> Array:
        """(2 ties, 6) by central differences of a hundredth of a sigma."""
        columns = []
        for axis, sigma in enumerate(self.prior):
            step = np.zeros(6)
            step[axis] = 0.01 * sigma
            slope = self._projected(correction + step) - self._projected(correction - step)
            columns.append(slope.ravel() / (2 * step[axis]))
        return np.stack(columns, axis=1)


def _angles(ned_from_body: Array) -> Sequence[float]:
    """Yaw, pitch, roll, deg; at nadir, where yaw and roll turn alike, all is yaw."""
    pitch = math.asin(min(1.0, max(-1.0, -ned_from_body[2, 0])))
    if math.cos(pitch) < 1e-6:
        yaw, roll = math.atan2(-ned_from_body[0, 1], ned_from_body[1, 1]), 0.0
    else:
        yaw = math.atan2(ned_from_body[1, 0], ned_from_body[0, 0])
        roll = math.atan2(ned_from_body[2, 1], ned_from_body[2, 2])
    return [math.degrees(yaw), math.degrees(pitch), math.degrees(roll)]


def _moved_together(location: Location, root: Array) -> Location:
    """A location whose first six causes are tied: `root` (6, 6) makes the moves of independent ones of theirs."""
    moves = np.array(location.moves_m)
    moves[:6] = root @ moves[:6]
    covariance = moves.T @ moves
    return msgspec.structs.replace(
        location,
        moves_m=tuple((move[0], move[1], move[2]) for move in moves.tolist()),
        covariance_m2=tuple((row[0], row[1], row[2]) for row in covariance.tolist()),
        height_sigma_m=float(np.sqrt(covariance[2, 2])),
        ellipse=Ellipse.from_covariance(covariance[:2, :2], location.ellipse.confidence),
    )
