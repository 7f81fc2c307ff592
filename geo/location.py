"""Pixels to places on the ground, each with a covariance that is meant to be true."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo import geoids
from geo.cameras import Camera
from geo.errors import DatumUnknown, NoGround, TerrainMissing
from geo.layers import BELOW, HIT, UNKNOWN
from geo.poses import Pose, PoseSigmas
from geo.positions import Altitude, Datum, Ellipse, Position
from geo.relief import Cast, Castable, relief_of
from geo.sightlines import eye_at
from geo.target_errors import CotErrors, KlvErrors, circular_error_m, cot_errors, klv_errors, linear_error_m
from geo.terrain import Terrain
from geo.uncertainty import CAUSES as CAUSES
from geo.uncertainty import HALVES, TURNED, loosen, settle

Array = NDArray[np.float64]
Moves = tuple[tuple[float, float, float], ...]

FURTHER = 2.0
"""Rays turned by their errors are followed so many times as far as the ray itself may go."""
_UNTURNED = np.eye(3)
_MIDDLE = CAUSES.index("middle_east")


class Location(msgspec.Struct, frozen=True, kw_only=True):
    """A place on the ground that a pixel shows."""

    position: Position
    """The ground below the aimed point; height AMSL."""
    ellipse: Ellipse
    """Horizontal error ellipse of the position."""
    covariance_m2: tuple[tuple[float, float, float], ...]
    """3 x 3 covariance of the aimed point (east, north, up), m2."""
    height_sigma_m: float
    """One sigma of the height, m."""
    moves_m: Moves
    """How far (east, north, up; m) one sigma of each of CAUSES moves the aimed point; the covariance is their sum of
    squares."""
    slant_range_m: float
    """From the perspective centre to the aimed point, m."""

    def ellipse_at(self, confidence: float) -> Ellipse:
        """The error ellipse at another confidence, such as 0.95."""
        stated = self.ellipse
        scale = math.sqrt(math.log1p(-confidence) / math.log1p(-stated.confidence))
        return Ellipse(
            semi_major_m=stated.semi_major_m * scale,
            semi_minor_m=stated.semi_minor_m * scale,
            orientation_deg=stated.orientation_deg,
            confidence=confidence,
        )

    def extended(self, middle_sigma_m: float) -> Location:
        """This place as that of the middle of a thing of which only a part may be seen, such as smoke or a crowd:
        the two differ by one sigma of `middle_sigma_m` each way, in all looks alike."""
        moves = [*self.moves_m[:_MIDDLE], (middle_sigma_m, 0.0, 0.0), (0.0, middle_sigma_m, 0.0)]
        covariance = np.array(self.covariance_m2)
        covariance[[0, 1], [0, 1]] += middle_sigma_m**2
        return msgspec.structs.replace(
            self,
            moves_m=tuple(moves),
            covariance_m2=tuple(map(tuple, covariance.tolist())),
            ellipse=Ellipse.from_covariance(covariance[:2, :2], self.ellipse.confidence),
        )

    @property
    def ce90_m(self) -> float:
        """Radius that holds the truth nine times in ten, m."""
        return circular_error_m(self.covariance_m2)

    @property
    def le90_m(self) -> float:
        """Height above and below that holds the truth nine times in ten, m."""
        return linear_error_m(self.height_sigma_m)

    @property
    def klv_errors(self) -> KlvErrors:
        """Items 45 and 46 of MISB ST 0601."""
        return klv_errors(self.covariance_m2)

    @property
    def cot_errors(self) -> CotErrors:
        """`ce` and `le` of Cursor on Target."""
        return cot_errors(self.covariance_m2)


@dataclass(frozen=True)
class GroundPoints:
    """Where rays meet the ground: arrays of one length, NaN where a ray does not."""

    eye: Array
    """The camera, see `geo.sightlines.eye_at`."""
    rows: Array
    """(n, PLACE) of `geo.casting`."""
    target_height_m: float
    """By how much the ground is raised, m."""

    @property
    def east_m(self) -> Array:
        """East of the camera on its tangent plane, m."""
        return np.asarray(self.rows[:, 0] * self.rows[:, 1])

    @property
    def north_m(self) -> Array:
        """North of the camera on its tangent plane, m."""
        return np.asarray(self.rows[:, 0] * self.rows[:, 2])

    @property
    def lon(self) -> Array:
        """Longitude, deg."""
        return np.asarray((self.eye[0] + self.rows[:, 4] + 180.0) % 360.0 - 180.0)

    @property
    def lat(self) -> Array:
        """Latitude, deg."""
        return np.asarray(self.eye[1] + self.rows[:, 5])

    @property
    def amsl_m(self) -> Array:
        """Height of the surface hit (ground plus target height), m AMSL."""
        return np.asarray(self.rows[:, 6] + self.target_height_m)

    @property
    def range_m(self) -> Array:
        """Slant range, m."""
        return self.rows[:, 0]

    @property
    def directions(self) -> Array:
        """(n, 3) unit rays: east, north, up at the camera."""
        return self.rows[:, 1:4]

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Which rays met the ground."""
        return ~np.isnan(self.rows[:, 0])


@dataclass(frozen=True)
class Locations(Sequence[Location]):
    """Places with their errors as arrays of one length; one by one, as a sequence, `Location`s."""

    points: GroundPoints
    """The places."""
    moves_m: Array
    """(n, causes, 3), see `Location.moves_m`."""
    covariances_m2: Array
    """(n, 3, 3) of the aimed points (east, north, up), m2."""
    axes: Array
    """(n, 3) one sigma of the longer and of the shorter half axis, m, and the direction of the longer, deg from
    north."""
    confidence: float
    """Of the ellipses of single locations."""

    def __len__(self) -> int:
        return len(self.axes)

    @overload
    def __getitem__(self, index: int) -> Location: ...
    @overload
    def __getitem__(self, index: slice) -> list[Location]: ...
    def __getitem__(self, index: int | slice) -> Location | list[Location]:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        row, points = self.points.rows[index].tolist(), self.points
        major_m, minor_m, orientation_deg = self.axes[index].tolist()
        scale = math.sqrt(-2.0 * math.log1p(-self.confidence))
        covariance = self.covariances_m2[index].tolist()
        lon = (float(points.eye[0]) + row[4] + 180.0) % 360.0 - 180.0
        return Location(
            position=Position(lon=lon, lat=float(points.eye[1]) + row[5], altitude=Altitude(row[6], Datum.AMSL)),
            ellipse=Ellipse(
                semi_major_m=major_m * scale,
                semi_minor_m=minor_m * scale,
                orientation_deg=orientation_deg,
                confidence=self.confidence,
            ),
            covariance_m2=tuple(map(tuple, covariance)),
            height_sigma_m=math.sqrt(covariance[2][2]),
            moves_m=tuple(map(tuple, self.moves_m[index].tolist())),
            slant_range_m=row[0],
        )


def camera_amsl_m(pose: Pose, terrain: Terrain) -> float:
    """Height of the camera, m AMSL. Raises DatumUnknown for heights above home, TerrainMissing for heights above
    ground that is not known."""
    altitude, place = pose.position.altitude, pose.position
    if altitude.datum is Datum.AMSL:
        return altitude.value_m
    if altitude.datum is Datum.AGL:
        return altitude.value_m + float(terrain.amsl_m(place.lon, place.lat))
    if altitude.datum is Datum.W84:
        return float(geoids.amsl_m(altitude.value_m, place.lon, place.lat, datum=geoids.HeightDatum.W84))
    raise DatumUnknown(
        f"the camera's height is above {altitude.datum.value}: give it as AMSL, W84 or AGL, it cannot be converted here"
    )


class _View:
    """One camera at one place above a terrain."""

    def __init__(self, pose: Pose, terrain: Terrain, target_height_m: float) -> None:
        """Raises TerrainMissing for a camera above ground that is not known, DatumUnknown."""
        self.relief: Castable = relief_of(terrain)
        self.terrain, self.target_height_m, place = terrain, target_height_m, pose.position
        self.eye = eye_at(place.lon, place.lat, camera_amsl_m(pose, terrain) - target_height_m)
        self.turn = np.ascontiguousarray(pose.enu_from_camera())

    def cast(self, rays: Array, max_range_m: float) -> Cast:
        """Follow rays (n, 3) in camera axes. Raises NoGround where the camera is below the (raised) ground."""
        cast = self.relief.cast(self.eye, self.turn, rays, max_range_m=max_range_m)
        if cast.worst == BELOW:
            ground_m = float(self.terrain.amsl_m(self.eye[0], self.eye[1]))
            raise NoGround(
                f"the camera is {ground_m - self.eye[2]:.1f} m below the ground: check the datum of its height"
            )
        return cast

    def known(self, cast: Cast) -> Cast:
        """The same cast. Raises TerrainMissing naming the first place that a ray needed and nobody knows."""
        if cast.worst == UNKNOWN:
            row = cast.rows[int(np.argmax(cast.states == UNKNOWN))]
            raise self._missing(float(self.eye[0] + row[4]), float(self.eye[1] + row[5]))
        return cast

    def _missing(self, lon: float, lat: float) -> TerrainMissing:
        try:
            self.terrain.amsl_m(lon, lat)
        except TerrainMissing as exc:
            return exc
        return TerrainMissing(f"no height at lon {lon:.6f}, lat {lat:.6f}: add a DEM that reaches further")

    def points(self, cast: Cast) -> GroundPoints:
        """Where the rays of a cast met the ground."""
        return GroundPoints(self.eye, cast.rows, self.target_height_m)


def ground_points(
    camera: Camera,
    pose: Pose,
    pixels: ArrayLike,
    terrain: Terrain,
    *,
    target_height_m: float = 0.0,
    max_range_m: float = 5000.0,
) -> GroundPoints:
    """Where the rays of pixels (n, 2) meet the ground raised by `target_height_m`.

    The ray is followed cell by cell through rasters, so that what stands in between hides what lies behind, and meets
    their bilinear surface to below a millimetre. The earth's curvature is included, refraction is not. The camera's
    height is AMSL, W84 or AGL. A ray that rises above the ground for good, or runs beyond `max_range_m` (slant), gives
    NaN. Raises TerrainMissing, DatumUnknown, and NoGround where the camera is below the ground.
    """
    rays = camera.rays_from_pixels(np.atleast_2d(np.asarray(pixels, float)))
    view = _View(pose, terrain, target_height_m)
    return view.points(view.known(view.cast(rays, max_range_m)))


def locate(
    camera: Camera,
    pose: Pose,
    pixels: ArrayLike,
    terrain: Terrain,
    *,
    sigmas: PoseSigmas,
    velocity_enu_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
    turn_rate_enu_deg_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
    pixel_sigma_px: ArrayLike = 2.0,
    target_height_m: float = 0.0,
    target_height_sigma_m: float = 0.0,
    dem_sigma_m: float = 1.0,
    datum_sigma_m: float = 0.0,
    max_range_m: float = 5000.0,
    confidence: float = 0.9,
) -> Locations:
    """The places that pixels (n, 2) show, each with its error ellipse at `confidence`.

    `pixel_sigma_px` is one number, (n,) or (n, 2). `target_height_m` is the mean height of the aimed point above the
    ground. `turn_rate_enu_deg_s` is how fast the camera turns about east, north and up. Errors taken into account,
    independent of each other, are CAUSES: position, attitude of the platform, gimbal, time (times velocity and turn
    rate), calibration, pixel, DEM with target height, and vertical datum. Where the ground or a grazing ray bends what
    they do to the place, the ellipse is widened.
    Raises NoGround naming the first pixel whose ray misses the ground, or whose error reaches past it into the sky, so
    that no ellipse holds; TerrainMissing, DatumUnknown.
    """
    pixels = np.atleast_2d(np.asarray(pixels, float))
    view, rays = _View(pose, terrain, target_height_m), _rays_about(camera, pixels)
    cast = view.known(view.cast(rays[0], max_range_m))
    if cast.worst != HIT:
        u, v = pixels[int(np.argmax(cast.states != HIT))]
        raise NoGround(f"pixel {u:.1f},{v:.1f} shows no ground within {max_range_m:g} m: above the horizon or too far")
    errors = _Errors(
        sigmas, velocity_enu_m_s, turn_rate_enu_deg_s, math.hypot(dem_sigma_m, target_height_sigma_m), datum_sigma_m
    )
    found, grazing = errors.applied(view, cast, rays, camera, pixels, pixel_sigma_px, max_range_m, confidence)
    if grazing.any():
        u, v = pixels[int(np.argmax(grazing))]
        raise NoGround(
            f"pixel {u:.1f},{v:.1f} grazes the ground: its error reaches past it, no ellipse holds; look more steeply"
        )
    return found


def locate_those_on_ground(
    camera: Camera,
    pose: Pose,
    pixels: ArrayLike,
    terrain: Terrain,
    *,
    sigmas: PoseSigmas,
    velocity_enu_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
    turn_rate_enu_deg_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
    pixel_sigma_px: ArrayLike = 2.0,
    target_height_m: float = 0.0,
    target_height_sigma_m: float = 0.0,
    dem_sigma_m: float = 1.0,
    datum_sigma_m: float = 0.0,
    max_range_m: float = 5000.0,
    confidence: float = 0.9,
) -> list[Location | None]:
    """As `locate`, but None for each pixel that shows no ground, or so grazing that no ellipse holds, or ground of
    unknown height. Raises DatumUnknown."""
    pixels = np.atleast_2d(np.asarray(pixels, float))
    found: list[Location | None] = [None] * len(pixels)
    rays = _rays_about(camera, pixels)
    try:
        view = _View(pose, terrain, target_height_m)
        cast = view.cast(rays[0], max_range_m)
    except (NoGround, TerrainMissing):
        return found
    errors = _Errors(
        sigmas, velocity_enu_m_s, turn_rate_enu_deg_s, math.hypot(dem_sigma_m, target_height_sigma_m), datum_sigma_m
    )
    met = np.flatnonzero(cast.states == HIT)
    spreads = _pixel_sigmas(pixel_sigma_px, pixels)[met]
    part, lost = errors.applied(
        view,
        cast.those_hit(met),
        np.ascontiguousarray(rays[:, met]),
        camera,
        pixels[met],
        spreads,
        max_range_m,
        confidence,
    )
    for number in np.flatnonzero(~lost):
        found[met[number]] = part[int(number)]
    return found


_AHEAD = np.array([0.0, 0.0, 1.0])


def _rays_about(camera: Camera, pixels: Array) -> Array:
    """(5, n, 3) rays in camera axes of pixels and about them, see HALVES."""
    return np.asarray(camera.rays_from_pixels(HALVES[:, None, :] + pixels))


def _pixel_sigmas(pixel_sigma_px: ArrayLike, pixels: Array) -> Array:
    if isinstance(pixel_sigma_px, int | float):
        return np.full(pixels.shape, float(pixel_sigma_px))
    spreads = np.asarray(pixel_sigma_px, float)
    return np.array(np.broadcast_to(spreads[:, None] if spreads.ndim == 1 else spreads, pixels.shape))


class _Errors:
    """One sigma of everything that is the same for all pixels of a frame."""

    def __init__(
        self,
        sigmas: PoseSigmas,
        velocity_enu_m_s: tuple[float, float, float],
        turn_rate_enu_deg_s: tuple[float, float, float],
        surface_sigma_m: float,
        datum_sigma_m: float,
    ) -> None:
        rad = math.radians
        self._numbers = np.array([
            sigmas.horizontal_m, sigmas.vertical_m, rad(sigmas.tilt_deg), rad(sigmas.yaw_deg),
            rad(sigmas.gimbal_pitch_deg), rad(sigmas.gimbal_yaw_deg), rad(sigmas.gimbal_roll_deg), sigmas.time_s,
            sigmas.focal_share, sigmas.center_px, surface_sigma_m, datum_sigma_m,
        ])  # fmt: skip
        self._motion = np.array([*velocity_enu_m_s, *map(rad, turn_rate_enu_deg_s)])
        self._of_focal = sigmas.focal_share > 0

    def applied(
        self, view: _View, cast: Cast, rays: Array, camera: Camera, pixels: Array, pixel_sigma_px: ArrayLike,
        max_range_m: float, confidence: float,
    ) -> tuple[Locations, NDArray[np.bool_]]:  # fmt: skip
        """Places that were all hit, and which of them graze so that no ellipse holds."""
        count = len(pixels)
        offsets = pixels - camera.pixels_from_rays(_AHEAD) if self._of_focal else pixels
        moves, spans, turned = np.empty((count, len(CAUSES), 3)), np.empty((count, 2, 3)), np.empty((TURNED * count, 3))
        loosen(
            cast.rows, rays, view.turn, offsets, _pixel_sigmas(pixel_sigma_px, pixels), self._numbers, self._motion,
            moves, spans, turned,
        )  # fmt: skip
        bent = view.relief.cast(view.eye, _UNTURNED, turned, max_range_m=FURTHER * max_range_m)
        covariances, ellipses, grazing = np.empty((count, 3, 3)), np.empty((count, 3)), np.empty(count, np.bool_)
        settle(cast.rows, spans, bent.rows, bent.states, self._numbers, moves, covariances, ellipses, grazing)
        return Locations(view.points(cast), moves, covariances, ellipses, confidence), grazing
