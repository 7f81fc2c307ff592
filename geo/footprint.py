"""What a frame shows of the ground."""

from __future__ import annotations

import numpy as np
import shapely

from geo.cameras import BrownCamera
from geo.errors import NoGround
from geo.location import ground_points
from geo.poses import Pose
from geo.terrain import Terrain

EDGE_POINTS = 4
"""Points along each edge of the picture that are followed to the ground."""


def footprint(camera: BrownCamera, pose: Pose, terrain: Terrain, *, max_range_m: float = 2000.0) -> shapely.Polygon:
    """The outline on the ground (lon, lat; deg) of what a frame shows, clipped at `max_range_m`.

    Raises NoGround where less than a triangle of it shows ground, TerrainMissing.
    """
    last_u, last_v = camera.width_px - 1.0, camera.height_px - 1.0
    corners = np.array([[0.0, 0.0], [last_u, 0.0], [last_u, last_v], [0.0, last_v]])
    steps = np.arange(EDGE_POINTS)[:, None] / EDGE_POINTS
    edges = [corners[i] + (corners[(i + 1) % 4] - corners[i]) * steps for i in range(4)]
    points = ground_points(camera, pose, np.concatenate(edges), terrain, max_range_m=max_range_m)
    if points.hit.sum() < 3:
        raise NoGround(f"the frame shows no ground within {max_range_m:g} m")
    return shapely.Polygon(np.stack([points.lon[points.hit], points.lat[points.hit]], axis=-1))


def gsd_m(camera: BrownCamera, slant_range_m: float) -> float:
    """Ground sample distance across the ray at a slant range, m per px."""
    return slant_range_m / camera.focal_px
