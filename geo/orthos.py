"""Frames laid on the ground: where each pixel of a grid lies in a frame, by the terrain, and what is seen there.

The ground is taken at nodes, `step_px` of the grid apart, each node is followed through the lens exactly, and the
pixels between are interpolated. Nodes are turned into earth-centred coordinates, so the curvature of the earth is
not an approximation; heights AMSL are used as if above the ellipsoid, which scales the scene by less than 2e-5.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray
from pyproj import Geod

from geo.cameras import Camera
from geo.errors import NoGround, TerrainMissing
from geo.footprint import footprint
from geo.grids import Grid
from geo.location import camera_amsl_m
from geo.poses import Pose
from geo.terrain import Terrain

Array = NDArray[np.float64]
Image = NDArray[np.uint8]

WGS84 = Geod(ellps="WGS84")
STEP_PX = 8
"""Pixels of the grid from node to node."""
BAND_ROWS = 512
"""Rows of a grid that are laid at a time."""
LENS_MARGIN = 1.15
"""How far beyond its corners, as a factor of their angle, a lens is followed: further out distortion may fold back."""


@dataclass(frozen=True)
class Ground:
    """The ground below the nodes of a grid: arrays of (rows, cols), one more node than there are steps."""

    lon: Array
    """Longitude, deg."""
    lat: Array
    """Latitude, deg."""
    amsl_m: Array
    """Height, m AMSL; NaN where it is not known."""
    ecef_m: Array
    """(rows, cols, 3) earth-centred coordinates, m."""
    step_px: int
    """Pixels from node to node."""

    @classmethod
    def below(cls, grid: Grid, terrain: Terrain, *, step_px: int = STEP_PX) -> Ground:
        """The ground below a grid; its nodes lie in the centres of pixels."""
        rows = np.arange(-(-(grid.height - 1) // step_px) + 1 if grid.height > 1 else 2) * step_px + 0.5
        cols = np.arange(-(-(grid.width - 1) // step_px) + 1 if grid.width > 1 else 2) * step_px + 0.5
        lon, lat = grid.lonlat(*np.meshgrid(cols, rows))
        amsl_m = known_heights(terrain, lon.ravel(), lat.ravel()).reshape(lon.shape)
        return cls(lon, lat, amsl_m, ecef(lon, lat, amsl_m), step_px)


def known_heights(terrain: Terrain, lon: Array, lat: Array) -> Array:
    """Ground heights (n,), m AMSL, NaN where the terrain knows none; raises TerrainMissing where it knows none at all.

    A terrain refuses as a whole what it knows in part, so the places are halved until each part is known or one place.
    """
    heights = _known(terrain, lon, lat)
    if len(heights) and np.isnan(heights).all():
        terrain.amsl_m(lon, lat)
    return heights


def _known(terrain: Terrain, lon: Array, lat: Array) -> Array:
    try:
        return np.asarray(terrain.amsl_m(lon, lat), float)
    except TerrainMissing:
        if len(lon) < 2:
            return np.full(len(lon), np.nan)
    half = len(lon) // 2
    return np.concatenate([_known(terrain, lon[:half], lat[:half]), _known(terrain, lon[half:], lat[half:])])


def ecef(lon: ArrayLike, lat: ArrayLike, height_m: ArrayLike) -> Array:
    """Earth-centred coordinates (..., 3), m (WGS 84)."""
    lon_rad, lat_rad = np.radians(lon), np.radians(lat)
    normal_m = WGS84.a / np.sqrt(1 - WGS84.es * np.sin(lat_rad) ** 2)
    flat_m = (normal_m + np.asarray(height_m)) * np.cos(lat_rad)
    up_m = (normal_m * (1 - WGS84.es) + np.asarray(height_m)) * np.sin(lat_rad)
    return np.stack([flat_m * np.cos(lon_rad), flat_m * np.sin(lon_rad), up_m], axis=-1)


@dataclass(frozen=True)
class Looks:
    """How a frame sees the nodes of a ground: arrays of (rows, cols), NaN where a node is out of its lens."""

    u: Array
    """Column in the frame, px."""
    v: Array
    """Row in the frame, px."""
    slant: Array
    """Tangent of the angle between the view and the vertical."""


class Eye:
    """A camera at a pose, ready to look at many grounds."""

    def __init__(self, camera: Camera, pose: Pose, terrain: Terrain) -> None:
        """The height of the pose is AMSL, or AGL above `terrain`. Raises DatumUnknown, TerrainMissing."""
        self.camera, self.lon, self.lat = camera, pose.position.lon, pose.position.lat
        self.amsl_m = camera_amsl_m(pose, terrain)
        self._ecef_m = ecef(self.lon, self.lat, self.amsl_m)
        self._enu_from_ecef = _enu_from_ecef(self.lon, self.lat)
        self._camera_from_enu = pose.enu_from_camera().T
        corners = np.array([[0.0, 0.0], [camera.width_px - 1.0, 0.0], [0.0, camera.height_px - 1.0]])
        corners = np.vstack([corners, [[camera.width_px - 1.0, camera.height_px - 1.0]]])
        widest = np.arccos(np.clip(camera.rays_from_pixels(corners)[:, 2].min(), -1.0, 1.0))
        self._least_cos = float(np.cos(min(LENS_MARGIN * widest, np.pi)))

    def looks(self, ground: Ground) -> Looks:
        """How this frame sees a ground."""
        enu = (ground.ecef_m - self._ecef_m) @ self._enu_from_ecef.T
        rays = enu @ self._camera_from_enu.T
        with np.errstate(invalid="ignore", divide="ignore"):
            along = rays[..., 2] / np.sqrt((rays * rays).sum(axis=-1))
            slant = np.hypot(enu[..., 0], enu[..., 1]) / -enu[..., 2]
            slant[~((along >= self._least_cos) & (enu[..., 2] < 0))] = np.nan
            pixels = self.camera.pixels_from_rays(rays)
        slant[~np.isfinite(pixels).all(axis=-1)] = np.nan
        return Looks(pixels[..., 0], pixels[..., 1], slant)


def _enu_from_ecef(lon: float, lat: float) -> Array:
    (sin_lon, sin_lat), (cos_lon, cos_lat) = np.sin(np.radians([lon, lat])), np.cos(np.radians([lon, lat]))
    return np.array([
        [-sin_lon, cos_lon, 0.0],
        [-sin_lat * cos_lon, -sin_lat * sin_lon, cos_lat],
        [cos_lat * cos_lon, cos_lat * sin_lon, sin_lat],
    ])  # fmt: skip


def hide(
    eye: Eye, ground: Ground, looks: Looks, terrain: Terrain, *, tolerance_m: float = 0.5, steps: int = 48
) -> None:
    """Blank (NaN) the nodes that something of the terrain, a DSM, stands before.

    The line from each node to the camera is followed up to the highest ground of the window by `steps` places; ground
    more than `tolerance_m` above the line hides the node.
    """
    seen = np.flatnonzero(np.isfinite(looks.slant))
    if not len(seen):
        return
    lon, lat, amsl_m = (array.ravel()[seen] for array in (ground.lon, ground.lat, ground.amsl_m))
    top_m = min(float(np.nanmax(ground.amsl_m)), eye.amsl_m)
    reach = np.clip((top_m - amsl_m) / (eye.amsl_m - amsl_m), 0.0, 1.0)
    hidden = np.zeros(len(seen), bool)
    for share in (np.arange(steps) + 1) / steps:
        open_ = np.flatnonzero(~hidden & (reach > 0))
        if not len(open_):
            break
        way = share * reach[open_]
        lons, lats = lon[open_] + (eye.lon - lon[open_]) * way, lat[open_] + (eye.lat - lat[open_]) * way
        over_m = _known(terrain, lons, lats) - (amsl_m[open_] + (eye.amsl_m - amsl_m[open_]) * way)
        hidden[open_[over_m > tolerance_m]] = True
    looks.slant.ravel()[seen[hidden]] = np.nan


def ortho(
    image: Image,
    camera: Camera,
    pose: Pose,
    grid: Grid,
    terrain: Terrain,
    *,
    step_px: int = STEP_PX,
    occlusion: bool = False,
) -> Image:
    """(height, width, 4) RGBA of what a frame (H, W, 3), RGB, shows of the ground below a grid; clear where nothing.

    Bilinear, from the frame shrunk by halves to about the pixels of the grid. With `occlusion` ground behind what
    stands on the terrain (a DSM) is clear too. Raises TerrainMissing, DatumUnknown.
    """
    out = np.zeros((grid.height, grid.width, 4), np.uint8)
    eye = Eye(camera, pose, terrain)
    levels = Levels(image)
    for row in range(0, grid.height, BAND_ROWS):
        rows = min(BAND_ROWS, grid.height - row)
        ground = Ground.below(grid.part(row, 0, rows, grid.width), terrain, step_px=step_px)
        looks = eye.looks(ground)
        if occlusion:
            hide(eye, ground, looks, terrain)
        level = levels.fit(looks, step_px)
        _lay(levels[level], looks.u, looks.v, looks.slant, step_px, 0.5**level, out[row : row + rows])
    return out


def grid_of(camera: Camera, pose: Pose, terrain: Terrain, *, pixel_m: float | None = None) -> Grid:
    """The grid of UTM that holds what a frame shows, as fine as the frame in its middle unless `pixel_m` is given.

    Raises NoGround, TerrainMissing, DatumUnknown.
    """
    west, south, east, north = footprint(camera, pose, terrain).bounds
    if pixel_m is None:
        pixel_m = middle_gsd_m(camera, pose, terrain)
    return Grid.over(west, south, east, north, pixel_m=pixel_m)


def middle_gsd_m(camera: Camera, pose: Pose, terrain: Terrain) -> float:
    """Side of the square on level ground that has the area that the middle pixel of a frame shows, m.

    Raises NoGround for a frame that looks at the sky, TerrainMissing, DatumUnknown.
    """
    middle = np.array([(camera.width_px - 1) / 2, (camera.height_px - 1) / 2])
    rays = camera.rays_from_pixels(middle + np.array([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]])) @ pose.enu_from_camera().T
    if not (rays[:, 2] < 0).all():
        raise NoGround("the middle of the frame shows sky")
    above_m = camera_amsl_m(pose, terrain) - float(terrain.amsl_m(pose.position.lon, pose.position.lat))
    places = rays[:, :2] / -rays[:, 2:] * above_m
    return float(np.sqrt(abs(np.linalg.det(places[1:] - places[0]))))


class Levels:
    """A frame and its halves, made when they are asked for."""

    MOST = 6

    def __init__(self, image: Image) -> None:
        """Of a frame (H, W, 3)."""
        self._levels = [np.ascontiguousarray(image)]

    def __getitem__(self, level: int) -> Image:
        """The frame shrunk `level` times by half, each pixel the mean of four."""
        while len(self._levels) <= level:
            last = self._levels[-1]
            even = last[: last.shape[0] // 2 * 2, : last.shape[1] // 2 * 2]
            half = cv2.resize(even, (even.shape[1] // 2, even.shape[0] // 2), interpolation=cv2.INTER_AREA)
            self._levels.append(np.asarray(half, np.uint8))
        return self._levels[level]

    @property
    def nbytes(self) -> int:
        """Memory that is held."""
        return sum(level.nbytes for level in self._levels)

    def fit(self, looks: Looks, step_px: int) -> int:
        """The level whose pixels are nearest to, and not coarser than, those of the grid."""
        scale = np.sqrt(np.nanmedian(pixel_areas(looks, step_px))) if np.isfinite(looks.slant).any() else 1.0
        smallest = min(self._levels[0].shape[:2])
        most = min(self.MOST, int(np.log2(max(smallest // 8, 1))))
        return int(np.clip(np.floor(np.log2(max(scale, 1.0) * 1.2)), 0, most)) if np.isfinite(scale) else 0


def pixel_areas(looks: Looks, step_px: int) -> Array:
    """(rows - 1, cols - 1): pixels of the frame in one pixel of the grid; NaN where the frame sees no cell of nodes."""
    u, v = (np.where(np.isfinite(looks.slant), each, np.nan) for each in (looks.u, looks.v))
    u_across, v_across = (np.diff(each, axis=1)[:-1] / step_px for each in (u, v))
    u_down, v_down = (np.diff(each, axis=0)[:, :-1] / step_px for each in (u, v))
    return np.asarray(np.abs(u_across * v_down - u_down * v_across))


@njit(cache=True, nogil=True)
def _lay(image: Image, us: Array, vs: Array, slants: Array, step: int, scale: float, out: Image) -> None:
    """Fill `out` (h, w, 4) from an image whose pixels are `1 / scale` of the frame's, where all of a cell is seen."""
    height, width = out.shape[:2]
    last_u, last_v = image.shape[1] - 1.0, image.shape[0] - 1.0
    for r in range(height):
        i = min(r // step, us.shape[0] - 2)
        down = (r - i * step) / step
        for j in range(us.shape[1] - 1):
            first = j * step
            if first >= width:
                break
            if np.isnan(slants[i, j] + slants[i, j + 1] + slants[i + 1, j] + slants[i + 1, j + 1]):
                continue
            u = (us[i, j] * (1 - down) + us[i + 1, j] * down + 0.5) * scale - 0.5
            v = (vs[i, j] * (1 - down) + vs[i + 1, j] * down + 0.5) * scale - 0.5
            u_end = (us[i, j + 1] * (1 - down) + us[i + 1, j + 1] * down + 0.5) * scale - 0.5
            v_end = (vs[i, j + 1] * (1 - down) + vs[i + 1, j + 1] * down + 0.5) * scale - 0.5
            step_u, step_v = (u_end - u) / step, (v_end - v) / step
            for c in range(first, min(first + step, width)):
                if 0.0 <= u <= last_u and 0.0 <= v <= last_v:
                    left, top = min(int(u), image.shape[1] - 2), min(int(v), image.shape[0] - 2)
                    right, low = int((u - left) * 256.0 + 0.5), int((v - top) * 256.0 + 0.5)
                    a, b = (256 - right) * (256 - low), right * (256 - low)
                    d, e = (256 - right) * low, right * low
                    for band in range(3):
                        total = (
                            a * image[top, left, band]
                            + b * image[top, left + 1, band]
                            + d * image[top + 1, left, band]
                            + e * image[top + 1, left + 1, band]
                        )
                        out[r, c, band] = (total + 32768) >> 16
                    out[r, c, 3] = 255
                u += step_u
                v += step_v
