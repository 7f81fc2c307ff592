"""Breaches: pieces of tracks in zones where they must not be."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.track_rows import column
from geo.tracks import Track
from geo.zones import Zone

Array = NDArray[np.float64]


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """A place on a track."""

    utc_s: float
    """When, UTC, s since 1970."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    amsl_m: float
    """Height, m AMSL."""


class Breach(msgspec.Struct, frozen=True, kw_only=True):
    """A piece of a track in a zone where it must not be."""

    zone: Zone | None
    """Which; None: outside of every zone that the flight must stay inside of."""
    begins: Moment
    """Where it comes in."""
    ends: Moment
    """Where it goes out, or where the track ends."""

    def __str__(self) -> str:
        """For people."""
        where = self.zone.title if self.zone is not None else "outside every inclusion zone"
        at = datetime.fromtimestamp(self.begins.utc_s, UTC)
        return (
            f"{where} from {at:%Y-%m-%d %H:%M:%S} UTC for {self.ends.utc_s - self.begins.utc_s:.0f} s, "
            f"at lon {self.begins.lon:.6f}, lat {self.begins.lat:.6f}, {self.begins.amsl_m:.0f} m AMSL"
        )


def breaches_at(zone: Zone | None, track: Track, rows: Array) -> list[Breach]:
    """The pieces of a track in spans (n, 2) of its rows."""
    columns = [column(track, name, rows.ravel()).tolist() for name in ("utc_s", "lon", "lat", "amsl_m")]
    moments = [
        Moment(utc_s=utc_s, lon=lon, lat=lat, amsl_m=amsl_m) for utc_s, lon, lat, amsl_m in zip(*columns, strict=True)
    ]
    return [Breach(zone=zone, begins=begin, ends=end) for begin, end in zip(moments[::2], moments[1::2], strict=True)]
