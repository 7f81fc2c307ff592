"""Traffic: where our own flights are and will be, so that a new one keeps clear of them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

import msgspec
import numpy as np
import shapely

from fleet.readiness import Check, check
from geo.conflicts import Airspace, Conflict, conflicts
from geo.positions import LocalPlane, distance_m
from geo.tracks import Track

APART_M, ABOVE_EACH_OTHER_M = 30.0, 10.0
"""Flights of different missions keep apart by one or the other."""
LATE_S = 30.0
"""By which a flight may be early or late against its plan."""


class Place(msgspec.Struct, frozen=True):
    """Where a vehicle in the air is."""

    utc_s: float
    """When, s since 1970 UTC."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""


class Traffic:
    """The ways of all flights that are under way."""

    def __init__(self) -> None:
        """Of nobody yet."""
        self._tracks: dict[str, tuple[int, Track]] = {}

    def enter(self, flight_id: str, sysid: int, track: Track | None) -> None:
        """A flight of a vehicle is on its way, by that track if it is known."""
        if track is not None:
            self._tracks[flight_id] = sysid, track

    def leave(self, flight_id: str) -> None:
        """A flight is over."""
        self._tracks.pop(flight_id, None)

    def under_way(self) -> tuple[tuple[int, Track], ...]:
        """Vehicles on flights of which the way is known, and that way."""
        return tuple(self._tracks.values())

    def conflicts(self, track: Track, *, without: Collection[int] = ()) -> tuple[Conflict, ...]:
        """With flights of other vehicles than those, in order of time."""
        others = {f"vehicle {sysid}": way for sysid, way in self._tracks.values() if sysid not in without}
        if not others:
            return ()
        plane = LocalPlane(lon=float(track.lon.mean()), lat=float(track.lat.mean()))
        return conflicts(
            track,
            Airspace.of(others, plane),
            horizontal_m=APART_M,
            vertical_m=ABOVE_EACH_OTHER_M,
            time_margin_s=LATE_S,
        )

    def stray(self, track: Track, present: Mapping[int, Place]) -> tuple[int, float] | None:
        """A vehicle in the air, and how far it is from a flight's way, m, that is not where its own plan has it now."""
        plane = LocalPlane(lon=float(track.lon.mean()), lat=float(track.lat.mean()))
        way = shapely.LineString(np.column_stack(plane.to_plane(track.lon, track.lat)))
        for sysid, place in present.items():
            planned = [own.at(place.utc_s) for other, own in self._tracks.values() if other == sysid]
            known = any(float(distance_m(lon, lat, place.lon, place.lat)) <= APART_M for lon, lat, _ in planned)
            away_m = float(way.distance(shapely.Point(*plane.to_plane(place.lon, place.lat))))
            if not known and away_m <= APART_M:
                return sysid, away_m
        return None

    def check(self, track: Track | None, *, without: Collection[int], present: Mapping[int, Place]) -> Check:
        """Whether a flight keeps clear of those of other vehicles than its own plan's, as planned and as they are."""
        limit = f"{APART_M:g} m beside or {ABOVE_EACH_OTHER_M:g} m above each other"
        if track is None:
            alone = not any(sysid not in without for sysid, _ in self._tracks.values())
            return check("traffic", "other flights", alone or None, "its times are not known", limit)
        strayed = self.stray(track, {sysid: place for sysid, place in present.items() if sysid not in without})
        if strayed is not None:
            measured = f"vehicle {strayed[0]} is in the air off its plan, {strayed[1]:.0f} m from the way"
            return check("traffic", "other flights", False, measured, limit)
        found = self.conflicts(track, without=without)
        measured = "clear of all"
        if found:
            first = found[0]
            at = datetime.fromtimestamp(first.utc_s, UTC)
            apart = f"{first.horizontal_m:.0f} m beside and {first.vertical_m:.0f} m above"
            measured = f"{apart} {first.other} at {at:%H:%M:%S} UTC"
        return check("traffic", "other flights", not found, measured, limit)
