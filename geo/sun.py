"""How high the sun stands."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

_J2000_S = 946_728_000.0
"""2000-01-01 12:00 UTC, s since 1970."""


def sun_elevation_deg(utc_s: ArrayLike, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Height of the sun's middle above the horizon, deg, refraction left out; arrays that broadcast together.

    `utc_s` is s since 1970 UTC, `lon` and `lat` deg. Good to about 0.05 deg between 1900 and 2100.
    Source: NOAA Global Monitoring Laboratory, "Solar Calculation Details" (after Meeus, Astronomical Algorithms).
    """
    times = np.asarray(utc_s, float)
    century = (times - _J2000_S) / 86_400.0 / 36_525.0
    mean_longitude = np.radians(280.46646 + century * (36_000.76983 + century * 0.0003032))
    anomaly = np.radians(357.52911 + century * (35_999.05029 - 0.0001537 * century))
    eccentricity = 0.016708634 - century * (0.000042037 + 0.0000001267 * century)
    centre_deg = (
        np.sin(anomaly) * (1.914602 - century * (0.004817 + 0.000014 * century))
        + np.sin(2 * anomaly) * (0.019993 - 0.000101 * century)
        + np.sin(3 * anomaly) * 0.000289
    )
    node = np.radians(125.04 - 1934.136 * century)
    longitude = mean_longitude + np.radians(centre_deg - 0.00569 - 0.00478 * np.sin(node))
    obliquity_deg = 23.0 + (26.0 + (21.448 - century * (46.815 + century * (0.00059 - 0.001813 * century))) / 60) / 60
    obliquity = np.radians(obliquity_deg + 0.00256 * np.cos(node))
    declination = np.arcsin(np.sin(obliquity) * np.sin(longitude))
    y = np.tan(obliquity / 2) ** 2
    equation_of_time_min = 4 * np.degrees(
        y * np.sin(2 * mean_longitude)
        - 2 * eccentricity * np.sin(anomaly)
        + 4 * eccentricity * y * np.sin(anomaly) * np.cos(2 * mean_longitude)
        - 0.5 * y * y * np.sin(4 * mean_longitude)
        - 1.25 * eccentricity**2 * np.sin(2 * anomaly)
    )
    solar_min = (times / 60.0) % 1440.0 + equation_of_time_min + 4 * np.asarray(lon, float)
    hour_angle = np.radians(solar_min / 4.0 - 180.0)
    phi = np.radians(np.asarray(lat, float))
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))
