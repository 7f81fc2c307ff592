"""Sights: what single moments of a clip show of the ground, packed small, so that a year of a fleet can be searched.

Places are kept as whole numbers of `UNIT_DEG` from the middle of their clip: they are off by at most half of it, some
0.14 m. The ground of a sight is the quadrangle of the picture's corners; what hills or houses hide inside it is not
left out.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import shapely
from numpy.typing import ArrayLike, NDArray

from geo.footprint import EDGE_POINTS

UNIT_DEG = 2.5e-6
"""Of lon and lat in a packed sight, deg."""
TIME_S, FOCAL_PX, HEIGHT_M = 0.02, 0.5, 0.1
"""Units of the other numbers."""
ROW = np.dtype(
    [("time", "<u2"), ("focal", "<u2"), ("height", "<u2"), ("camera", "<i2", (2,)), ("corners", "<i2", (4, 2))]
)
"""A packed sight, 26 bytes."""
_HEADER = struct.Struct("<dd")
_MOST = 32_000

Floats = NDArray[np.float64]


class Sight(msgspec.Struct, frozen=True, kw_only=True):
    """What one picture of a clip shows."""

    time_s: float
    """In the clip, s."""
    lon: float
    """Of the camera, deg."""
    lat: float
    """Of the camera, deg."""
    height_m: float
    """Of the camera above the ground that it shows, m."""
    focal_px: float
    """Focal length."""
    corners: tuple[tuple[float, float], ...]
    """Lon and lat of the four corners of the picture on the ground, in order, deg."""


def corners_of(ring: shapely.Polygon) -> tuple[tuple[float, float], ...]:
    """The four corners (lon, lat; deg) of a footprint as `geo.footprint` follows it; fewer where part shows sky."""
    outline = shapely.get_coordinates(ring.exterior)[:-1]
    step = EDGE_POINTS if len(outline) == 4 * EDGE_POINTS else len(outline) / 4
    return tuple((float(lon), float(lat)) for lon, lat in outline[[round(step * corner) for corner in range(4)]])


@dataclass(frozen=True)
class Sights:
    """Sights of several clips as arrays, n in all."""

    clip: NDArray[np.intp]
    """(n,) which of the clips."""
    time_s: Floats
    """(n,) in its clip."""
    focal_px: Floats
    """(n,)"""
    height_m: Floats
    """(n,) of the camera above the ground shown."""
    camera: Floats
    """(n, 2) lon, lat, deg."""
    corners: Floats
    """(n, 4, 2) lon, lat, deg."""

    def __getitem__(self, chosen: NDArray[np.bool_] | NDArray[np.intp]) -> Sights:
        return Sights(
            self.clip[chosen], self.time_s[chosen], self.focal_px[chosen], self.height_m[chosen],
            self.camera[chosen], self.corners[chosen],
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self.clip)

    def show(self, lon: float, lat: float) -> NDArray[np.bool_]:
        """(n,) whether the place (deg) is inside the corners."""
        x, y = self.corners[:, :, 0] - lon, self.corners[:, :, 1] - lat
        x2, y2 = np.roll(x, -1, axis=1), np.roll(y, -1, axis=1)
        crosses = (y > 0) != (y2 > 0)
        with np.errstate(divide="ignore", invalid="ignore"):
            right = x - y * (x2 - x) / (y2 - y) > 0
        return np.asarray(np.count_nonzero(crosses & right, axis=1) % 2 == 1)

    def shares(self, area: shapely.Polygon) -> Floats:
        """(n,) how much of an area (lon, lat; deg) each shows, 0 to 1."""
        west, south, east, north = area.bounds
        low, high = self.corners.min(axis=1), self.corners.max(axis=1)
        near = np.flatnonzero((low[:, 0] <= east) & (high[:, 0] >= west) & (low[:, 1] <= north) & (high[:, 1] >= south))
        shown = shapely.make_valid(shapely.polygons(self.corners[near]))
        found = np.zeros(len(self))
        found[near] = shapely.area(shapely.intersection(shown, area)) / area.area
        return found

    def looks_at(self, lon: ArrayLike, lat: ArrayLike) -> tuple[Floats, Floats, Floats, Floats]:
        """How each sees a place (deg), or each its own (n,), at the height of the ground that it shows.

        (n,) each: ground sample distance, the larger of across and away, m; angle off nadir, deg; azimuth from the
        camera, clockwise from north, deg; slant range, m.
        """
        lon, lat = np.asarray(lon, float), np.asarray(lat, float)
        east_m, north_m = metres_per_degree(lat)
        x, y = (lon - self.camera[:, 0]) * east_m, (lat - self.camera[:, 1]) * north_m
        level = np.hypot(x, y)
        slant_m = np.hypot(level, self.height_m)
        with np.errstate(divide="ignore", invalid="ignore"):  # from the ground itself nothing is seen
            gsd_m = np.where(self.height_m > 0, slant_m**2 / (self.focal_px * self.height_m), np.inf)
        off_nadir_deg = np.degrees(np.arctan2(level, self.height_m))
        return gsd_m, off_nadir_deg, np.degrees(np.arctan2(x, y)) % 360.0, slant_m


def metres_per_degree(lat: ArrayLike) -> tuple[Floats, Floats]:
    """Along the parallel and along the meridian at a latitude (deg) on WGS 84, m per deg."""
    a, e2 = 6_378_137.0, 6.694379990141e-3
    phi = np.radians(np.asarray(lat, float))
    w2 = 1 - e2 * np.sin(phi) ** 2
    return np.radians(a * np.cos(phi) / np.sqrt(w2)), np.radians(a * (1 - e2) / w2**1.5)


def pack(sights: Sequence[Sight]) -> bytes:
    """As they are stored. What lies too far from the rest (some 7 km) or too late in the clip (21 min) is left out."""
    corners = np.array([sight.corners for sight in sights])
    camera = np.array([(sight.lon, sight.lat) for sight in sights])
    middle = np.round((corners.reshape(-1, 2).min(axis=0) + corners.reshape(-1, 2).max(axis=0)) / 2, 6)
    cells = np.round((np.concatenate([camera[:, None], corners], axis=1) - middle) / UNIT_DEG)
    numbers = np.round(
        [(sight.time_s / TIME_S, sight.focal_px / FOCAL_PX, sight.height_m / HEIGHT_M) for sight in sights]
    )
    fits = (np.abs(cells).max(axis=(1, 2)) < _MOST) & (numbers >= 0).all(axis=1) & (numbers < 2 * _MOST).all(axis=1)
    rows = np.zeros(np.count_nonzero(fits), ROW)
    rows["camera"], rows["corners"] = cells[fits, 0], cells[fits, 1:]
    rows["time"], rows["focal"], rows["height"] = numbers[fits].T
    return _HEADER.pack(*middle) + rows.tobytes()


def unpack(blobs: Sequence[bytes]) -> Sights:
    """Of several clips, in their order."""
    size = _HEADER.size
    middles = np.array([_HEADER.unpack_from(blob) for blob in blobs], float).reshape(-1, 2)
    clip = np.repeat(np.arange(len(blobs)), [(len(blob) - size) // ROW.itemsize for blob in blobs])
    rows = np.frombuffer(b"".join(blob[size:] for blob in blobs), ROW)
    middle = middles[clip]
    return Sights(
        clip,
        rows["time"] * TIME_S,
        rows["focal"] * FOCAL_PX,
        rows["height"] * HEIGHT_M,
        rows["camera"] * UNIT_DEG + middle,
        rows["corners"] * UNIT_DEG + middle[:, None],
    )


def hull(sights: Sights) -> shapely.Polygon:
    """Around all that was shown (lon, lat; deg)."""
    return shapely.convex_hull(shapely.MultiPoint(sights.corners.reshape(-1, 2))).buffer(UNIT_DEG, join_style="mitre")
