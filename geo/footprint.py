"""What a frame shows of the ground: its outline, its middle and how finely it is seen."""

from __future__ import annotations

import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.cameras import BrownCamera, Camera
from geo.errors import NoGround
from geo.location import GroundPoints, ground_points
from geo.poses import Pose
from geo.terrain import Terrain

EDGE_POINTS = 4
"""Points along each edge of the picture that are followed to the ground."""
_HALVINGS = 12


def footprint(camera: Camera, pose: Pose, terrain: Terrain, *, max_range_m: float = 2000.0) -> shapely.Polygon:
    """The outline on the ground (lon, lat; deg) of what a frame shows, cut off at `max_range_m`.

    Where the edge of the picture shows sky, the outline follows the furthest ground in range, found on the line
    from there to the nearest point of the edge that shows ground. Raises NoGround where less than a triangle of
    the edge shows ground, TerrainMissing.
    """
    edge = _edge(camera)
    points = ground_points(camera, pose, edge, terrain, max_range_m=max_range_m)
    seen = np.flatnonzero(points.hit)
    if len(seen) < 3:
        raise NoGround(f"the frame shows no ground within {max_range_m:g} m")
    lon, lat = points.lon.copy(), points.lat.copy()
    missed = np.flatnonzero(~points.hit)
    if len(missed):
        away = np.linalg.norm(edge[missed][:, None] - edge[seen][None], axis=2)
        found = _last_ground(camera, pose, terrain, edge[seen[np.argmin(away, axis=1)]], edge[missed], max_range_m)
        lon[missed], lat[missed] = found.lon, found.lat
    return shapely.Polygon(np.stack([lon, lat], axis=-1))


def _edge(camera: Camera) -> NDArray[np.float64]:
    """Pixels (n, 2) around the picture, clockwise from the top left, on the outer edge of its pixels."""
    last_u, last_v = camera.width_px - 0.5, camera.height_px - 0.5
    corners = np.array([[-0.5, -0.5], [last_u, -0.5], [last_u, last_v], [-0.5, last_v]])
    steps = np.arange(EDGE_POINTS)[:, None] / EDGE_POINTS
    return np.concatenate([corners[i] + (corners[(i + 1) % 4] - corners[i]) * steps for i in range(4)])


def _last_ground(
    camera: Camera,
    pose: Pose,
    terrain: Terrain,
    ground: NDArray[np.float64],
    sky: NDArray[np.float64],
    max_range_m: float,
) -> GroundPoints:
    """Ground seen furthest from pixels that show ground towards pixels that do not, by halving."""
    for _ in range(_HALVINGS):
        middle = (ground + sky) / 2
        hit = ground_points(camera, pose, middle, terrain, max_range_m=max_range_m).hit[:, None]
        ground, sky = np.where(hit, middle, ground), np.where(hit, sky, middle)
    return ground_points(camera, pose, ground, terrain, max_range_m=max_range_m)


def gsd_m(camera: BrownCamera, slant_range_m: float) -> float:
    """Ground sample distance across the ray at a slant range, m per px."""
    return slant_range_m / camera.focal_px


def ground_gsd_m(camera: Camera, pose: Pose, pixels: ArrayLike, terrain: Terrain) -> NDArray[np.float64]:
    """(n,) distance on the ground between neighbouring pixels, m: the larger of across and down the picture.

    NaN where a pixel shows no ground. Raises TerrainMissing.
    """
    pixels = np.atleast_2d(np.asarray(pixels, float))
    half = np.array([[0.5, 0.0], [-0.5, 0.0], [0.0, 0.5], [0.0, -0.5]])
    around = ground_points(camera, pose, (pixels[None] + half[:, None]).reshape(-1, 2), terrain)
    places = np.stack([around.east_m, around.north_m], axis=-1).reshape(4, -1, 2)
    across = np.linalg.norm(places[0] - places[1], axis=-1)
    down = np.linalg.norm(places[2] - places[3], axis=-1)
    return np.asarray(np.fmax(across, down))


def frame_center(camera: Camera, pose: Pose, terrain: Terrain, *, max_range_m: float = 5000.0) -> GroundPoints:
    """Where the middle of the picture meets the ground (arrays of one). Raises NoGround, TerrainMissing."""
    middle = [(camera.width_px - 1) / 2, (camera.height_px - 1) / 2]
    points = ground_points(camera, pose, [middle], terrain, max_range_m=max_range_m)
    if not points.hit[0]:
        raise NoGround(f"the middle of the frame shows no ground within {max_range_m:g} m")
    return points
