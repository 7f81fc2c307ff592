"""Straight rays over the curved earth: longitude, latitude and height along them, as cubics of the range.

A ray leaves the eye in a direction given as east, north, up at the eye. Along it longitude, latitude and height above
the ellipsoid are power series in the range, exact to 2 mm at 10 km and below 80 deg of latitude. Height above
mean sea level has the same shape: the vertical of an attitude sensor is that of the geoid. Refraction is not in.
Source of the radii of curvature: NGA.STND.0036.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.geoids import HeightDatum, geoid

Array = NDArray[np.float64]

WGS84_A_M, WGS84_E2 = 6_378_137.0, 6.694_379_990_141_3e-3
"""Semi-major axis and squared eccentricity."""
DEG = math.degrees(1.0)


@lru_cache(maxsize=1024)
def _undulation_m(lon_deg: int, lat_deg: int, parts: int) -> float:
    return float(geoid(HeightDatum.EGM96).height_m(lon_deg / parts, lat_deg / parts))


def eye_at(lon: float, lat: float, amsl_m: float) -> Array:
    """(8,) what `course` takes of an eye: lon, lat, deg; height, m AMSL; distance from the axis of the earth and from
    the centre of the meridian's curve, m; sine and cosine of latitude; how the meridian's radius grows, m/rad."""
    parts = 10
    above_m = amsl_m + _undulation_m(round(lon * parts), round(lat * parts), parts)
    eye: Array = _eye(lon, lat, amsl_m, above_m)
    return eye


@njit(cache=True, nogil=True)
def _eye(lon: float, lat: float, amsl_m: float, above_m: float) -> Array:  # pragma: no cover - compiled
    """`above_m` is the height above the ellipsoid."""
    sine, cosine = math.sin(math.radians(lat)), math.cos(math.radians(lat))
    curve = 1.0 - WGS84_E2 * sine * sine
    meridian_m = WGS84_A_M * (1.0 - WGS84_E2) / (curve * math.sqrt(curve))
    eye = np.empty(8)
    eye[0], eye[1], eye[2] = lon, lat, amsl_m
    eye[3] = (WGS84_A_M / math.sqrt(curve) + above_m) * cosine
    eye[4] = meridian_m + above_m
    eye[5], eye[6] = sine, cosine
    eye[7] = 3.0 * meridian_m * WGS84_E2 * sine * cosine / curve
    return eye


@njit(cache=True, nogil=True)
def course(eye: Array, east: float, north: float, up: float, out: Array) -> None:  # pragma: no cover - compiled
    """Fill `out` (3, 4): coefficients, from constant to cubic, of degrees east and north of the eye and of m AMSL."""
    axis_m, meridian_m, sine, cosine, growth = eye[3], eye[4], eye[5], eye[6], eye[7]
    outward = up * cosine - north * sine
    turn = east / axis_m
    away = outward / axis_m
    out[0, 0] = 0.0
    out[0, 1] = turn * DEG
    out[0, 2] = -turn * away * DEG
    out[0, 3] = (turn * away * away - turn * turn * turn / 3.0) * DEG
    # in the plane of the meridian: north and up of the point, once it is turned back into that plane
    bulge = 0.5 * east * turn  # m per m2
    north2, north3 = -sine * bulge, sine * bulge * away
    up2, up3 = cosine * bulge, -cosine * bulge * away
    slope, climb = north / meridian_m, up / meridian_m
    bend = 0.5 * growth / meridian_m
    out[1, 0] = 0.0
    out[1, 1] = slope * DEG
    out[1, 2] = (north2 / meridian_m - slope * climb - bend * slope * slope) * DEG
    out[1, 3] = (
        (north3 - north * up2 / meridian_m - north2 * climb) / meridian_m
        + slope * climb * climb
        - slope * slope * slope / 3.0
        + bend * slope * (3.0 * slope * climb - 2.0 * north2 / meridian_m)
    ) * DEG
    out[2, 0] = eye[2]
    out[2, 1] = up
    out[2, 2] = up2 + 0.5 * north * slope
    out[2, 3] = up3 + slope * north2 - 0.5 * north * slope * climb


@njit(cache=True, nogil=True)
def at(coefficients: Array, range_m: float) -> float:  # pragma: no cover - compiled
    """The cubic at a range."""
    value: float = coefficients[0] + range_m * (
        coefficients[1] + range_m * (coefficients[2] + range_m * coefficients[3])
    )
    return value
