"""Several looks at one thing made into one place, with what the looks have in common counted once.

Looks of one pass share most of their error (position, heading, terrain), so their
mean is hardly better than one of them; looks an hour apart share only the terrain.
Each location tells how far each cause of error would move it (`Location.moves_m`);
causes fade out of step with their own correlation times, and the place is the
generalised least-squares mean under the covariance that follows.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.location import CAUSES, Location
from geo.positions import Altitude, Datum, LocalPlane, Position

CORRELATION_S = {
    "east": 60.0,
    "north": 60.0,
    "up": 60.0,
    "tilt_east": 20.0,
    "tilt_north": 20.0,
    "yaw": 60.0,
    "time": np.inf,
    "u": 0.0,
    "v": 0.0,
    "surface": np.inf,
}
"""How long each cause of error lasts, s: satellite positions and heading wander over a minute, attitude faster,
a box's edges are new in each picture, terrain and clock stay."""


class Fused(msgspec.Struct, frozen=True, kw_only=True):
    """The place of one thing from several looks."""

    position: Position
    """Ground below it, AMSL."""
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    """Horizontal covariance (east, north), m2."""


def fuse(locations: Sequence[Location], utc_s: Sequence[float]) -> Fused:
    """The one place of looks at `utc_s` (s since 1970 UTC) by one vehicle. Raises ValueError for no looks."""
    if not locations:
        raise ValueError("no looks to fuse")
    lons = np.array([location.position.lon for location in locations])
    lats = np.array([location.position.lat for location in locations])
    heights_m = np.array([location.position.altitude.value_m for location in locations])
    plane = LocalPlane(lon=float(lons[0]), lat=float(lats[0]), height_m=float(heights_m[0]))
    seen = np.stack(plane.to_plane(lons, lats), axis=-1).ravel()
    weight = np.linalg.inv(_covariance(locations, np.asarray(utc_s, float)))
    design = np.tile(np.eye(2), (len(locations), 1))
    covariance = np.linalg.inv(design.T @ weight @ design)
    east_m, north_m = covariance @ design.T @ weight @ seen
    lon, lat = plane.to_lonlat(east_m, north_m)
    rows = covariance.tolist()
    return Fused(
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(float(heights_m.mean()), Datum.AMSL)),
        covariance_m2=((rows[0][0], rows[0][1]), (rows[1][0], rows[1][1])),
    )


def _covariance(locations: Sequence[Location], utc_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """The (2n, 2n) covariance of n looks: each cause's moves, as far as the cause is the same in both."""
    moves = np.array([location.moves_m for location in locations])[:, :, :2]
    lasting_s = np.array([CORRELATION_S[cause] for cause in CAUSES])
    apart_s = np.abs(utc_s[:, None] - utc_s[None, :])[..., None]
    with np.errstate(divide="ignore", invalid="ignore"):
        same = np.where(apart_s == 0, 1.0, np.exp(-apart_s / lasting_s))
    same[:, :, lasting_s == 0.0] = np.eye(len(locations))[..., None]
    count = len(locations)
    blocks = np.einsum("ijc,ica,jcb->iajb", same, moves, moves)
    return np.asarray(blocks.reshape(2 * count, 2 * count) + 1e-4 * np.eye(2 * count))
