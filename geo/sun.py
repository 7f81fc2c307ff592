"""How high the sun stands, and when it rises and sets."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

RISING_DEG = -0.8333
"""Height of the sun's middle when its upper edge is on the horizon: half its width and the usual refraction."""
TWILIGHT_DEG = -6.0
"""It is night with the sun below this: between the civil twilights (ICAO Annex 2)."""
EVENTS = {"BMCT": TWILIGHT_DEG, "SR": RISING_DEG, "SS": RISING_DEG, "EECT": TWILIGHT_DEG}
"""Height of the sun at what a day has, as ED-318 names it: begin of the morning's civil twilight, sunrise, sunset, end
of the evening's civil twilight."""
_RISES = ("BMCT", "SR")
_J2000_S = 946_728_000.0
"""2000-01-01 12:00 UTC, s since 1970."""
_DAY_S = 86_400.0
_HALVINGS = 24
"""Of half a day, which leaves 3 ms."""


def sun_elevation_deg(utc_s: ArrayLike, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
    """Height of the sun's middle above the horizon, deg, refraction left out; arrays that broadcast together.

    `utc_s` is s since 1970 UTC, `lon` and `lat` deg. Good to about 0.05 deg between 1900 and 2100.
    Source: NOAA Global Monitoring Laboratory, "Solar Calculation Details" (after Meeus, Astronomical Algorithms).
    """
    times = np.asarray(utc_s, float)
    declination, ahead_min = _sky(times)
    solar_min = (times / 60.0) % 1440.0 + ahead_min + 4 * np.asarray(lon, float)
    hour_angle = np.radians(solar_min / 4.0 - 180.0)
    phi = np.radians(np.asarray(lat, float))
    sine = np.sin(phi) * np.sin(declination) + np.cos(phi) * np.cos(declination) * np.cos(hour_angle)
    return np.asarray(np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))


def sun_midnights_s(lon: ArrayLike, days: ArrayLike) -> Array:
    """When the sun is lowest at the beginning of days, UTC, s since 1970; arrays that broadcast together.

    `days` are whole days since 1970-01-01 as the sun counts them at the longitude, deg: day d is the date at noon.
    """
    mean_s = np.asarray(days, float) * _DAY_S - 240.0 * np.asarray(lon, float)
    return np.asarray(mean_s - 60.0 * _sky(mean_s)[1])


def sun_event_s(event: str, lon: ArrayLike, lat: ArrayLike, days: ArrayLike) -> Array:
    """When one of EVENTS happens on days (as in `sun_midnights_s`), UTC, s since 1970; arrays that broadcast together.

    Where the sun is past it from the day's first moment on, that moment: sunrise of a day without night, sunset of a
    day without sun. Where it comes later than the day, infinite: sunset of a day without night. Good to about a
    minute up to 65 deg of latitude, and less near the poles, where the sun crosses the horizon slowly.
    """
    level_deg = EVENTS[event]
    begins_s, ends_s = sun_midnights_s(lon, days), sun_midnights_s(lon, np.asarray(days) + 1)
    noon_s = (begins_s + ends_s) / 2
    dark_s, light_s = begins_s if event in _RISES else ends_s, noon_s
    seen = sun_elevation_deg(noon_s, lon, lat) >= level_deg
    always = sun_elevation_deg(dark_s, lon, lat) >= level_deg
    for _ in range(_HALVINGS):
        middle_s = (dark_s + light_s) / 2
        up = sun_elevation_deg(middle_s, lon, lat) >= level_deg
        dark_s, light_s = np.where(up, dark_s, middle_s), np.where(up, middle_s, light_s)
    if event in _RISES:
        return np.where(~seen, np.inf, np.where(always, begins_s, light_s))
    return np.where(~seen, begins_s, np.where(always, np.inf, light_s))


def _sky(times: Array) -> tuple[Array, Array]:
    """Declination of the sun, rad, and by how much its clock is ahead of the mean sun's, minutes."""
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
    return declination, equation_of_time_min
