"""Pixels to places on the ground, each with a covariance that is meant to be true."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.cameras import Camera
from geo.errors import DatumUnknown, NoGround, TerrainMissing
from geo.poses import Pose, PoseSigmas
from geo.positions import EARTH_RADIUS_M, Altitude, Datum, Ellipse, LocalPlane, Position
from geo.terrain import Terrain

Array = NDArray[np.float64]

WGS84_A_M, WGS84_E2 = 6_378_137.0, 6.694_379_990_141_3e-3
"""Semi-major axis and squared eccentricity (NGA.STND.0036)."""
STEEPEST_SLOPE = 1.0
"""Rise over run of the ground that a ray's step never jumps through (45 deg)."""
_NARROWINGS = 40
CAUSES = ("east", "north", "up", "tilt_east", "tilt_north", "yaw", "time", "u", "v", "surface")
"""What makes a location wrong, in the order of `Location.moves_m`."""


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
    moves_m: tuple[tuple[float, float, float], ...]
    """How far (east, north, up; m) one sigma of each of CAUSES moves the aimed point; the covariance is their sum of
    squares."""
    slant_range_m: float
    """From the perspective centre to the aimed point, m."""


@dataclass(frozen=True)
class GroundPoints:
    """Where rays meet the ground: arrays of one length, NaN where a ray does not."""

    east_m: Array
    """East of the camera on its local plane, m."""
    north_m: Array
    """North of the camera on its local plane, m."""
    lon: Array
    """Longitude, deg."""
    lat: Array
    """Latitude, deg."""
    amsl_m: Array
    """Height of the surface hit (ground plus target height), m AMSL."""
    range_m: Array
    """Slant range, m."""
    directions: Array
    """(n, 3) unit rays: east, north, up at the camera."""

    @property
    def hit(self) -> NDArray[np.bool_]:
        """Which rays met the ground."""
        return ~np.isnan(self.range_m)


def camera_amsl_m(pose: Pose, terrain: Terrain) -> float:
    """Height of the camera, m AMSL. Raises DatumUnknown for heights above the ellipsoid or above home."""
    altitude = pose.position.altitude
    if altitude.datum is Datum.AMSL:
        return altitude.value_m
    if altitude.datum is Datum.AGL:
        return altitude.value_m + float(terrain.amsl_m(pose.position.lon, pose.position.lat))
    raise DatumUnknown(
        f"the camera's height is {altitude.datum.value}: give it as AMSL or AGL, it cannot be converted here"
    )


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

    Rays are marched by steps that ground no steeper than 45 deg cannot jump through, then narrowed to
    below a millimetre; the earth's curvature (d2 / 2R) is included, refraction is not. A ray that rises
    above the ground for good, or runs beyond `max_range_m` (slant), gives NaN. Raises TerrainMissing.
    """
    rays = camera.rays_from_pixels(np.atleast_2d(np.asarray(pixels, float)))
    directions = rays @ pose.enu_from_camera().T
    scene = _Scene(pose, terrain, camera_amsl_m(pose, terrain), target_height_m)
    ranges = scene.cast(directions, max_range_m)
    points = directions * ranges[:, None]
    lon, lat = np.full(len(ranges), np.nan), np.full(len(ranges), np.nan)
    hit = ~np.isnan(ranges)
    plane = LocalPlane(lon=pose.position.lon, lat=pose.position.lat, height_m=scene.camera_amsl_m)
    lon[hit], lat[hit] = plane.to_lonlat(points[hit, 0], points[hit, 1])
    amsl_m = scene.camera_amsl_m + points[:, 2] + _drop_m(points[:, 0], points[:, 1])
    return GroundPoints(points[:, 0], points[:, 1], lon, lat, amsl_m, ranges, directions)


def locate(
    camera: Camera,
    pose: Pose,
    pixels: ArrayLike,
    terrain: Terrain,
    *,
    sigmas: PoseSigmas,
    velocity_enu_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
    pixel_sigma_px: ArrayLike = 2.0,
    target_height_m: float = 0.0,
    target_height_sigma_m: float = 0.0,
    dem_sigma_m: float = 1.0,
    max_range_m: float = 5000.0,
    confidence: float = 0.9,
) -> list[Location]:
    """The places that pixels (n, 2) show, each with its error ellipse at `confidence`.

    The camera's height is AMSL, or AGL above `terrain`. `pixel_sigma_px` is one number, (n,) or (n, 2).
    `target_height_m` is the mean height of the aimed point above the ground. Errors taken into account,
    independent of each other: position, tilt (two rotations about horizontal axes, so that nadir is no
    special case), yaw (about the vertical), time times velocity, pixel, DEM and target height.
    Raises NoGround naming the first pixel whose ray misses the ground, TerrainMissing, DatumUnknown.
    """
    pixels = np.atleast_2d(np.asarray(pixels, float))
    points = ground_points(camera, pose, pixels, terrain, target_height_m=target_height_m, max_range_m=max_range_m)
    if not points.hit.all():
        u, v = pixels[int(np.argmin(points.hit))]
        raise NoGround(f"pixel {u:.1f},{v:.1f} shows no ground within {max_range_m:g} m: above the horizon or too far")
    if not len(pixels):
        return []
    moves = _moves(
        camera,
        pose,
        pixels,
        terrain,
        points,
        sigmas=sigmas,
        velocity_enu_m_s=velocity_enu_m_s,
        pixel_sigma_px=pixel_sigma_px,
        surface_sigma_m=float(np.hypot(dem_sigma_m, target_height_sigma_m)),
    )
    return _locations(points, moves, target_height_m, confidence)


def locate_those_on_ground(
    camera: Camera, pose: Pose, pixels: ArrayLike, terrain: Terrain, *, sigmas: PoseSigmas, **options: object
) -> list[Location | None]:
    """As `locate`, but None for each pixel that shows no ground or ground of unknown height."""
    pixels = np.atleast_2d(np.asarray(pixels, float))
    try:
        return list(locate(camera, pose, pixels, terrain, sigmas=sigmas, **options))  # type: ignore[arg-type]
    except (NoGround, TerrainMissing):
        if len(pixels) == 1:
            return [None]
    return [locate_those_on_ground(camera, pose, pixel[None], terrain, sigmas=sigmas, **options)[0] for pixel in pixels]


def _drop_m(east_m: Array, north_m: Array) -> Array:
    """How far the sea level lies below the tangent plane, m."""
    return np.asarray((east_m * east_m + north_m * north_m) / (2 * EARTH_RADIUS_M))


class _Scene:
    """The ground as seen from one camera: tangent plane, curvature and terrain."""

    def __init__(self, pose: Pose, terrain: Terrain, camera_amsl_m: float, target_height_m: float) -> None:
        self.camera_amsl_m, self.target_height_m, self._terrain = camera_amsl_m, target_height_m, terrain
        self._lon, self._lat = pose.position.lon, pose.position.lat
        lat_rad = np.radians(self._lat)
        curve = 1 - WGS84_E2 * np.sin(lat_rad) ** 2
        self._meridian_m = WGS84_A_M * (1 - WGS84_E2) / curve**1.5 + camera_amsl_m
        self._normal_m = WGS84_A_M / np.sqrt(curve) + camera_amsl_m
        self._cos, self._tan = np.cos(lat_rad), np.tan(lat_rad)

    def lonlat(self, east_m: Array, north_m: Array) -> tuple[Array, Array]:
        """Lon and lat, deg, of places on the camera's plane: a series good to 1 cm at 5 km and below 80 deg."""
        lean = self._tan / self._normal_m
        lat = self._lat + np.degrees((north_m - east_m * east_m * lean / 2) / self._meridian_m)
        lon = self._lon + np.degrees(east_m / (self._normal_m * self._cos) * (1 + north_m * lean))
        return lon, lat

    def surface_m(self, east_m: Array, north_m: Array) -> Array:
        """Height of the surface below the plane's places, m AMSL."""
        return np.asarray(self._terrain.amsl_m(*self.lonlat(east_m, north_m)) + self.target_height_m)

    def clearance_m(self, directions: Array, ranges: Array) -> Array:
        """Height of the points along rays above the surface, m."""
        east_m, north_m, up_m = (directions * ranges[:, None]).T
        return np.asarray(self.camera_amsl_m + up_m + _drop_m(east_m, north_m) - self.surface_m(east_m, north_m))

    def cast(self, directions: Array, max_range_m: float) -> Array:
        """Slant ranges (n,) at which rays (n, 3) meet the surface, NaN where they do not."""
        falling = np.flatnonzero(directions[:, 2] < np.sin(np.radians(20.0)))
        brackets = np.full((4, len(directions)), np.nan)
        near = np.zeros(len(falling))
        closing = STEEPEST_SLOPE * np.hypot(directions[:, 0], directions[:, 1]) + np.maximum(-directions[:, 2], 0.0)
        above = self.clearance_m(directions[falling], near)
        if np.any(above <= 0):
            raise NoGround(f"the camera is {-above.min():.1f} m below the ground: check the datum of its height")
        while len(falling):
            step = np.maximum(above / closing[falling], 0.25 + 0.002 * near)
            far = np.minimum(near + step, max_range_m)
            beyond = self.clearance_m(directions[falling], far)
            met = beyond <= 0
            brackets[:, falling[met]] = near[met], far[met], above[met], beyond[met]
            going = ~met & (far < max_range_m)
            falling, near, above = falling[going], far[going], beyond[going]
        hit = ~np.isnan(brackets[0])
        ranges = np.full(len(directions), np.nan)
        if hit.any():
            ranges[hit] = self._narrow(directions[hit], *brackets[:, hit])
        return ranges

    def _narrow(self, directions: Array, near: Array, far: Array, above: Array, beyond: Array) -> Array:
        """Ranges between `near` (above ground) and `far` (below): false position, Illinois, bisected when slow."""
        middle = far
        for turn in range(_NARROWINGS):
            share = above / (above - beyond) if turn % 4 != 3 else np.full_like(near, 0.5)
            middle = near + (far - near) * share
            over = self.clearance_m(directions, middle)
            if max(np.max(np.abs(over)), 0.0) < 1e-4 or np.max(far - near) < 1e-4:
                break
            up = over > 0
            above, beyond = np.where(up, over, above / 2), np.where(up, beyond / 2, over)
            near, far = np.where(up, middle, near), np.where(up, far, middle)
        return middle


def _moves(
    camera: Camera,
    pose: Pose,
    pixels: Array,
    terrain: Terrain,
    points: GroundPoints,
    *,
    sigmas: PoseSigmas,
    velocity_enu_m_s: tuple[float, float, float],
    pixel_sigma_px: ArrayLike,
    surface_sigma_m: float,
) -> Array:
    """(n, causes, 3): how each error moves the point where the ray meets the tilted ground."""
    count = len(pixels)
    directions, ranges = points.directions, points.range_m
    normals = _normals(pose, terrain, points)
    facing = np.einsum("ni,ni->n", normals, directions)
    along = directions / facing[:, None]
    shift = np.eye(3) - along[:, :, None] * normals[:, None, :]
    """(n, 3, 3): how the hit moves when the ray's foot moves."""

    turns = np.cross(np.eye(3)[None], directions[:, None, :]) * ranges[:, None, None]
    """(n, axis, 3): how the far end of the ray moves per radian about east, north and up."""
    turn_sigmas = np.radians([sigmas.tilt_deg, sigmas.tilt_deg, sigmas.yaw_deg])
    position_sigmas = np.array([sigmas.horizontal_m, sigmas.horizontal_m, sigmas.vertical_m])
    causes = [np.broadcast_to(np.diag(position_sigmas), (count, 3, 3)), turns * turn_sigmas[None, :, None]]
    causes.append(np.broadcast_to(np.asarray(velocity_enu_m_s, float) * sigmas.time_s, (count, 1, 3)))
    causes.append(_pixel_moves(camera, pose, pixels, pixel_sigma_px) * ranges[:, None, None])
    moved = np.einsum("nij,nkj->nki", shift, np.concatenate(causes, axis=1))
    raised = (along * surface_sigma_m)[:, None, :]
    return np.concatenate([moved, raised], axis=1)


def _normals(pose: Pose, terrain: Terrain, points: GroundPoints) -> Array:
    """(n, 3) upward vectors (-dz/de, -dz/dn, 1) of the ground about each point, over some metres."""
    scene = _Scene(pose, terrain, 0.0, 0.0)
    reach_m = np.clip(0.02 * points.range_m, 2.0, 30.0)
    east_m = np.stack([points.east_m + reach_m, points.east_m - reach_m, points.east_m, points.east_m])
    north_m = np.stack([points.north_m, points.north_m, points.north_m + reach_m, points.north_m - reach_m])
    try:
        surface_m = scene.surface_m(east_m, north_m) - _drop_m(east_m, north_m)
    except TerrainMissing:  # the very edge of the DEM: what is known there is level ground
        surface_m = np.zeros_like(east_m)
    slope_east = (surface_m[0] - surface_m[1]) / (2 * reach_m)
    slope_north = (surface_m[2] - surface_m[3]) / (2 * reach_m)
    return np.stack([-slope_east, -slope_north, np.ones_like(slope_east)], axis=-1)


def _pixel_moves(camera: Camera, pose: Pose, pixels: Array, pixel_sigma_px: ArrayLike) -> Array:
    """(n, 2, 3): how a ray's unit direction moves by one sigma of u and of v."""
    sigma = np.asarray(pixel_sigma_px, float)
    sigma = np.broadcast_to(sigma[:, None] if sigma.ndim == 1 else sigma, (len(pixels), 2))
    half = np.array([[0.5, 0.0], [0.0, 0.5]])
    ends = np.stack([pixels[:, None] + half, pixels[:, None] - half])
    rays = camera.rays_from_pixels(ends)
    return np.asarray((rays[0] - rays[1]) @ pose.enu_from_camera().T * sigma[:, :, None])


def _locations(points: GroundPoints, moves: Array, target_height_m: float, confidence: float) -> list[Location]:
    covariances = np.einsum("nki,nkj->nij", moves, moves)
    values, vectors = np.linalg.eigh(covariances[:, :2, :2])
    axes_m = np.sqrt(np.maximum(values, 0.0) * -2.0 * np.log1p(-confidence)).tolist()
    orientations = (np.degrees(np.arctan2(vectors[:, 0, 1], vectors[:, 1, 1])) % 180.0).tolist()
    heights_m = (points.amsl_m - target_height_m).tolist()
    sigmas_m = np.sqrt(covariances[:, 2, 2]).tolist()
    columns = zip(
        points.lon.tolist(), points.lat.tolist(), heights_m, axes_m, orientations, covariances.tolist(), sigmas_m,
        points.range_m.tolist(), moves.tolist(), strict=True,
    )  # fmt: skip
    return [
        Location(
            position=Position(lon=lon, lat=lat, altitude=Altitude(height_m, Datum.AMSL)),
            ellipse=Ellipse(
                semi_major_m=major_m, semi_minor_m=minor_m, orientation_deg=orientation, confidence=confidence
            ),
            covariance_m2=tuple((row[0], row[1], row[2]) for row in covariance),
            height_sigma_m=sigma_m,
            slant_range_m=range_m,
            moves_m=tuple((move[0], move[1], move[2]) for move in caused),
        )
        for lon, lat, height_m, (minor_m, major_m), orientation, covariance, sigma_m, range_m, caused in columns
    ]
