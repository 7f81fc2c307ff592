"""Positions, heights with their datum, and a metric plane around a place."""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from typing import Annotated, Any

import msgspec
import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray

Longitude = Annotated[float, msgspec.Meta(ge=-180, le=180)]
Latitude = Annotated[float, msgspec.Meta(ge=-90, le=90)]

EARTH_RADIUS_M = 6_371_008.8
"""Mean radius R1 of the WGS 84 ellipsoid (NGA.STND.0036)."""


class Datum(StrEnum):
    """What a height is counted from."""

    W84 = "W84"
    """The WGS 84 ellipsoid."""
    AMSL = "AMSL"
    """Mean sea level: the EGM96 geoid."""
    AGL = "AGL"
    """The ground below."""
    HOME = "HOME"
    """The vehicle's home position."""


class Altitude(msgspec.Struct, frozen=True):
    """A height that cannot be mistaken for one above something else."""

    value_m: float
    """Height above the datum, m."""
    datum: Datum
    """What it is counted from."""


class Position(msgspec.Struct, frozen=True, kw_only=True):
    """A place on or above the WGS 84 ellipsoid."""

    lon: Longitude
    """Longitude, deg, east positive."""
    lat: Latitude
    """Geodetic latitude, deg, north positive."""
    altitude: Altitude
    """Height with its datum."""


class Ellipse(msgspec.Struct, frozen=True, kw_only=True):
    """A horizontal error ellipse."""

    semi_major_m: float
    """Longer half axis, m."""
    semi_minor_m: float
    """Shorter half axis, m."""
    orientation_deg: float
    """Direction of the longer axis, deg clockwise from true north, 0 to 180."""
    confidence: float
    """Probability that the truth lies inside, 0 to 1."""

    @classmethod
    def from_covariance(cls, covariance_m2: NDArray[np.float64], confidence: float = 0.9) -> Ellipse:
        """The ellipse of a 2 x 2 covariance (east, north; m2) at a confidence (chi-square, 2 dof)."""
        values, vectors = np.linalg.eigh(covariance_m2)
        scale = -2.0 * np.log1p(-confidence)
        minor, major = np.sqrt(np.maximum(values, 0.0) * scale)
        east, north = vectors[:, 1]
        return cls(
            semi_major_m=float(major),
            semi_minor_m=float(minor),
            orientation_deg=float(np.degrees(np.arctan2(east, north)) % 180.0),
            confidence=confidence,
        )

    def covariance_m2(self) -> NDArray[np.float64]:
        """The 2 x 2 covariance (east, north; m2) that this ellipse draws."""
        scale = -2.0 * np.log1p(-self.confidence)
        angle = np.radians(self.orientation_deg)
        axes = np.array([[np.sin(angle), np.cos(angle)], [np.cos(angle), -np.sin(angle)]])
        return np.asarray(axes @ np.diag([self.semi_major_m**2, self.semi_minor_m**2]) @ axes.T / scale)


class LocalPlane:
    """A metric plane around a place: x east, y north, m.

    Transverse Mercator about the place, scaled to the given height, so that
    distances on the plane are distances at that height: within 10 km of the
    place they agree with the geodesic to better than 1e-6 of their length.
    """

    def __init__(self, *, lon: float, lat: float, height_m: float = 0.0) -> None:
        """A plane that touches the earth at (lon, lat) deg, `height_m` above the ellipsoid (AMSL serves)."""
        self.lon, self.lat, self.height_m = lon, lat, height_m
        scale = 1.0 + height_m / EARTH_RADIUS_M
        self._projection = _transverse_mercator(round(lon, 9), round(lat, 9), round(scale, 9))

    def to_plane(self, lon: ArrayLike, lat: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """East and north of the place, m, from lon and lat, deg; arrays of any one shape."""
        east, north = self._projection(np.asarray(lon, float), np.asarray(lat, float))
        return np.asarray(east), np.asarray(north)

    def to_lonlat(self, east_m: ArrayLike, north_m: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Lon and lat, deg, from east and north of the place, m; arrays of any one shape."""
        lon, lat = self._projection(np.asarray(east_m, float), np.asarray(north_m, float), inverse=True)
        return np.asarray(lon), np.asarray(lat)


@lru_cache(maxsize=256)
def _transverse_mercator(lon: float, lat: float, scale: float) -> pyproj.Proj:
    return pyproj.Proj(proj="tmerc", lon_0=lon, lat_0=lat, k_0=scale, ellps="WGS84")


_GEOD = pyproj.Geod(ellps="WGS84")


def distance_m(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> NDArray[np.float64]:
    """Geodesic distance on WGS 84, m; arrays that broadcast together."""
    return np.asarray(_inverse(lon1, lat1, lon2, lat2)[2])


def bearing_deg(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> NDArray[np.float64]:
    """Initial bearing of the geodesic, deg clockwise from true north, 0 to 360; arrays that broadcast together."""
    return np.asarray(_inverse(lon1, lat1, lon2, lat2)[0]) % 360.0


def _inverse(lon1: ArrayLike, lat1: ArrayLike, lon2: ArrayLike, lat2: ArrayLike) -> tuple[Any, Any, Any]:
    a, b, c, d = (np.array(value, float) for value in np.broadcast_arrays(lon1, lat1, lon2, lat2))
    found: tuple[Any, Any, Any] = _GEOD.inv(a, b, c, d)
    return found
