"""What frames really see of the ground, cell by cell: inside the picture, not hidden, how finely and from where."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import rasterio.features
import shapely
from numba import njit
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from geo.cameras import BrownCamera
from geo.errors import AreaInvalid
from geo.poses import CAMERA_BODY_FROM_CAMERA, ENU_FROM_NED, PoseSigmas
from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]

MOST_CELLS = 500_000
"""Of the box around an area; the side of a cell grows until there are no more."""
LEAST_CELL_M = 1.0
AROUND_M = 40.0
"""What stands so far outside of the area may still hide it."""
SIGMAS = 2.0
"""Errors of a pose are taken this many times as large, where they could push a cell out of the picture."""


@dataclass(frozen=True)
class Prism:
    """A building or another thing that nobody sees through."""

    footprint: shapely.Polygon
    """Its outline, lon, lat, deg."""
    height_m: float
    """Of its top above the ground below."""


@dataclass(frozen=True)
class Cells:
    """Square cells over an area and its surroundings; rows go north, columns east."""

    plane: LocalPlane
    """Where their coordinates are counted."""
    west_m: float
    """Western edge of the first column, m on the plane."""
    south_m: float
    """Southern edge of the first row, m on the plane."""
    side_m: float
    """Of a cell."""
    ground_amsl_m: Array
    """(rows, cols) height of the ground at the middle of each cell."""
    top_amsl_m: Array
    """(rows, cols) height of whatever stands there."""
    wanted: NDArray[np.bool_]
    """(rows, cols) whether the middle of a cell lies in the area and not under a building."""
    under: NDArray[np.bool_]
    """(rows, cols) whether the middle of a cell lies in the area under a building: nobody claims to see that ground."""

    @classmethod
    def over(
        cls, area: shapely.Polygon, terrain: Terrain, prisms: Sequence[Prism] = (), *, side_m: float | None = None
    ) -> Cells:
        """Cells over an area (lon, lat; deg), as small as MOST_CELLS allows unless `side_m` is given.

        Raises TerrainMissing, AreaInvalid for an area in which no middle of a cell lies.
        """
        middle = area.centroid
        height_m = float(terrain.amsl_m(middle.x, middle.y))
        plane = LocalPlane(lon=middle.x, lat=middle.y, height_m=height_m)
        flat = _flattened(area, plane)
        west, south, east, north = flat.buffer(AROUND_M).bounds
        if side_m is None:
            side_m = max(LEAST_CELL_M, math.sqrt((east - west) * (north - south) / MOST_CELLS))
        columns, rows = math.ceil((east - west) / side_m), math.ceil((north - south) / side_m)
        x, y = np.meshgrid(west + (np.arange(columns) + 0.5) * side_m, south + (np.arange(rows) + 0.5) * side_m)
        ground_m = terrain.amsl_m(*plane.to_lonlat(x, y))
        near = [prism for prism in prisms if prism.footprint.intersects(_unflattened(west, south, east, north, plane))]
        transform = rasterio.Affine(side_m, 0.0, west, 0.0, side_m, south)
        outlines = [(_flattened(prism.footprint, plane), prism.height_m) for prism in near]
        tops_m = _burned(sorted(outlines, key=lambda one: one[1]), (rows, columns), transform, touched=True)
        under = _burned([(outline, 1.0) for outline, _ in outlines], (rows, columns), transform, touched=False) > 0
        inside = _burned([(flat, 1.0)], (rows, columns), transform, touched=False) > 0
        if not inside.any():
            raise AreaInvalid(f"area: {flat.area:.1f} m2 around lon {middle.x:.6f}, lat {middle.y:.6f} hold no cell")
        return cls(plane, west, south, side_m, ground_m, ground_m + tops_m, inside & ~under, inside & under)

    @property
    def built_m2(self) -> float:
        """Of the area, under buildings, m2."""
        return float(self.under.sum()) * self.side_m**2

    @property
    def wanted_m2(self) -> float:
        """Ground of the area that is not under buildings, m2."""
        return float(self.wanted.sum()) * self.side_m**2

    def number_at(self, lon: float, lat: float) -> tuple[int, int] | None:
        """Row and column of the cell at a place, deg; None outside."""
        x, y = (float(value) for value in self.plane.to_plane(lon, lat))
        row, column = math.floor((y - self.south_m) / self.side_m), math.floor((x - self.west_m) / self.side_m)
        rows, columns = self.wanted.shape
        return (row, column) if 0 <= row < rows and 0 <= column < columns else None

    def outlines(self, chosen: NDArray[np.bool_], *, least_m2: float = 0.0) -> list[shapely.Polygon]:
        """The chosen cells (rows, cols) as polygons (lon, lat; deg) of at least some size, the largest first."""
        transform = rasterio.Affine(self.side_m, 0.0, self.west_m, 0.0, self.side_m, self.south_m)
        shapes = rasterio.features.shapes(chosen.astype(np.uint8), mask=chosen, transform=transform)
        found = sorted((shapely.geometry.shape(shape) for shape, _ in shapes), key=lambda one: -float(one.area))
        return [
            shapely.transform(one, lambda xy: np.stack(self.plane.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))
            for one in found
            if one.area >= least_m2
        ]


def _flattened(shape: shapely.Polygon, plane: LocalPlane) -> shapely.Polygon:
    return shapely.transform(shape, lambda xy: np.stack(plane.to_plane(xy[:, 0], xy[:, 1]), axis=-1))


def _unflattened(west: float, south: float, east: float, north: float, plane: LocalPlane) -> shapely.Polygon:
    box = shapely.box(west, south, east, north)
    return shapely.transform(box, lambda xy: np.stack(plane.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))


def _burned(
    shapes: Sequence[tuple[shapely.Polygon, float]], size: tuple[int, int], transform: rasterio.Affine, *, touched: bool
) -> Array:
    """(rows, cols) of the last shape's value that holds the middle of a cell, or touches it; else 0."""
    if not shapes:
        return np.zeros(size)
    burned = rasterio.features.rasterize(
        shapes, size, transform=transform, all_touched=touched, dtype=np.float64, fill=0.0
    )
    return np.asarray(burned)


@dataclass(frozen=True)
class Exposures:
    """Frames of one camera, by rising time: arrays of one length n."""

    camera: BrownCamera
    """That took them."""
    utc_s: Array
    """(n,) when, s since 1970 UTC."""
    lon: Array
    """(n,) of the perspective centre, deg."""
    lat: Array
    """(n,) deg."""
    amsl_m: Array
    """(n,) height, m AMSL."""
    enu_from_camera: Array
    """(n, 3, 3) rotations to east, north, up from camera axes."""
    velocity_enu_m_s: Array
    """(n, 3) east, north, up, m/s."""

    @classmethod
    def posed(
        cls, camera: BrownCamera, utc_s: Array, places: Array, attitudes_deg: Array, velocity_enu_m_s: Array
    ) -> Exposures:
        """From places (n, 3) lon, lat, m AMSL and attitudes (n, 3) roll, pitch, yaw of the mount, as in geo.poses."""
        ned_from_body = Rotation.from_euler("ZYX", attitudes_deg[:, ::-1], degrees=True).as_matrix()
        return cls(
            camera=camera,
            utc_s=utc_s,
            lon=places[:, 0],
            lat=places[:, 1],
            amsl_m=places[:, 2],
            enu_from_camera=ENU_FROM_NED @ ned_from_body @ CAMERA_BODY_FROM_CAMERA,
            velocity_enu_m_s=velocity_enu_m_s,
        )

    def __len__(self) -> int:
        return len(self.utc_s)


@dataclass(frozen=True)
class Margin:
    """How far inside the picture a cell must lie to be surely in it."""

    sigmas: PoseSigmas
    """One-sigma errors of the poses."""
    reach_m: float
    """Half the length of the things that are looked for: a thing must be whole in the picture, m."""

    def numbers(self, side_m: float) -> Array:
        """Metres on the ground, rad of tilt, rad of yaw."""
        sigmas = self.sigmas
        ground_m = SIGMAS * sigmas.horizontal_m + self.reach_m + side_m * math.sqrt(0.5)
        return np.array([ground_m, SIGMAS * math.radians(sigmas.tilt_deg), SIGMAS * math.radians(sigmas.yaw_deg)])


def windows(cells: Cells, exposures: Exposures, eyes: Array, max_range_m: float) -> NDArray[np.int64]:
    """(n, 4) first and last row, first and last column that each frame could show; eyes (n, 3) on the plane."""
    camera = exposures.camera
    u, v = np.linspace(-0.5, camera.width_px - 0.5, 9), np.linspace(-0.5, camera.height_px - 0.5, 9)
    edge = np.concatenate([
        np.stack([u, np.full(9, v[0])], -1), np.stack([u, np.full(9, v[-1])], -1),
        np.stack([np.full(9, u[0]), v], -1), np.stack([np.full(9, u[-1]), v], -1),
    ])  # fmt: skip
    rays = np.einsum("nij,mj->nmi", exposures.enu_from_camera, camera.rays_from_pixels(edge))
    drop_m = np.maximum(eyes[:, 2] - cells.ground_amsl_m.min(), 0.0)[:, None]
    reach_m = np.where(rays[..., 2] < -1e-3, drop_m / np.maximum(-rays[..., 2], 1e-3), max_range_m)
    ends = eyes[:, None, :2] + rays[..., :2] * np.minimum(reach_m, max_range_m)[..., None]
    ends = np.concatenate([ends, eyes[:, None, :2]], axis=1)
    rows, columns = cells.wanted.shape
    low = np.floor((ends.min(axis=1) - (cells.west_m, cells.south_m)) / cells.side_m) - 1
    high = np.ceil((ends.max(axis=1) - (cells.west_m, cells.south_m)) / cells.side_m) + 1
    bounds = np.stack([low[:, 1], high[:, 1], low[:, 0], high[:, 0]], axis=1)
    return np.asarray(np.clip(bounds, 0, [rows, rows, columns, columns]), np.int64)


def lens_numbers(camera: BrownCamera) -> Array:
    """What `view_of` takes of a camera: f, cx, cy, k1, k2, p1, p2, k3, the r2 beyond which nothing is seen, w, h, and f
    along the height."""
    corners = [(0, 0), (camera.width_px, 0), (0, camera.height_px), (camera.width_px, camera.height_px)]
    rays = camera.rays_from_pixels(np.array(corners, float))
    limit = 1.1 * float(np.max((rays[:, 0] / rays[:, 2]) ** 2 + (rays[:, 1] / rays[:, 2]) ** 2))
    return np.array([
        camera.focal_px, *camera.center_px, camera.k1, camera.k2, camera.p1, camera.p2, camera.k3, limit,
        camera.width_px, camera.height_px, camera.focal_y_px,
    ], float)  # fmt: skip


@njit(cache=True, nogil=True)
def view_of(away: Array, turn: Array, lens: Array, margin: Array) -> tuple[float, float]:  # pragma: no cover - compiled
    """Ground sample distance (m) and depth (m) of a place that lies `away` (east, north, up; m) from the camera.

    `turn` is camera_from_enu. GSD is the larger of across the ray and along the level ground. 0, 0 where the place is
    not in the picture by the margin.
    """
    depth = turn[2, 0] * away[0] + turn[2, 1] * away[1] + turn[2, 2] * away[2]
    if depth < 1e-6 or away[2] >= 0.0:
        return 0.0, 0.0
    x = (turn[0, 0] * away[0] + turn[0, 1] * away[1] + turn[0, 2] * away[2]) / depth
    y = (turn[1, 0] * away[0] + turn[1, 1] * away[1] + turn[1, 2] * away[2]) / depth
    r2 = x * x + y * y
    if r2 > lens[8]:
        return 0.0, 0.0
    focal = lens[0]
    radial = 1.0 + r2 * (lens[3] + r2 * (lens[4] + r2 * lens[7]))
    u = (x * radial + 2 * lens[5] * x * y + lens[6] * (r2 + 2 * x * x)) * focal + lens[1]
    v = (y * radial + lens[5] * (r2 + 2 * y * y) + 2 * lens[6] * x * y) * lens[11] + lens[2]
    inside = min(min(u, v), min(lens[9] - 1.0 - u, lens[10] - 1.0 - v)) + 0.5
    if inside < focal * (margin[0] / depth + margin[1] * (1.0 + r2) + margin[2] * math.sqrt(r2)):
        return 0.0, 0.0
    stretch = min(radial, 1.0 + r2 * (3 * lens[3] + r2 * (5 * lens[4] + r2 * 7 * lens[7])))
    return max(depth, depth * depth / -away[2]) / (focal * stretch), depth


@njit(cache=True, nogil=True)
def is_hidden(
    row: int, column: int, ground_m: float, away: Array, tops: Array, highest_m: float, side: float
) -> bool:  # pragma: no cover - compiled
    """Whether ground or a building stands between the ground at a cell's middle and the camera.

    `away` is from the camera to there; heights AMSL, `highest_m` that of the highest top. Beyond the cells nothing is
    known to stand.
    """
    length = math.hypot(away[0], away[1])
    count = int(length / side)
    if count == 0:
        return False
    east, north = -away[0] / length, -away[1] / length
    rise = -away[2] / length * side
    ray_m = ground_m
    for step in range(1, count + 1):
        ray_m += rise
        at_row, at_column = math.floor(row + 0.5 + north * step), math.floor(column + 0.5 + east * step)
        if ray_m > highest_m or not (0 <= at_row < tops.shape[0] and 0 <= at_column < tops.shape[1]):
            return False
        if tops[at_row, at_column] > ray_m:
            return True
    return False
