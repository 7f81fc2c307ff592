"""Tracks: where something is over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Track:
    """A vehicle's way through space and time, straight and even between its rows."""

    utc_s: Array
    """(n,) UTC, s since 1970, not falling."""
    lon: Array
    """(n,) longitude, deg."""
    lat: Array
    """(n,) latitude, deg."""
    amsl_m: Array
    """(n,) height, m AMSL."""

    def at(self, utc_s: ArrayLike) -> tuple[Array, Array, Array]:
        """Lon, lat (deg) and m AMSL at these times; before and after, where it begins and ends."""
        times = np.asarray(utc_s, float)
        lon, lat, amsl_m = (np.interp(times, self.utc_s, column) for column in (self.lon, self.lat, self.amsl_m))
        return np.asarray(lon), np.asarray(lat), np.asarray(amsl_m)

    def begun_at(self, utc_s: float) -> Track:
        """The same way, begun at another time."""
        return Track(self.utc_s - self.utc_s[0] + utc_s, self.lon, self.lat, self.amsl_m)
