"""Traffic: where our own flights are and will be, so that a new one keeps clear of them."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime

from fleet.readiness import Check, check
from geo.conflicts import Airspace, Conflict, conflicts
from geo.positions import LocalPlane
from geo.tracks import Track

APART_M, ABOVE_EACH_OTHER_M = 30.0, 10.0
"""Flights of different missions keep apart by one or the other."""
LATE_S = 30.0
"""By which a flight may be early or late against its plan."""


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

    def check(self, track: Track | None, *, without: Collection[int]) -> Check:
        """Whether a flight keeps clear of those of other vehicles than its own plan's."""
        limit = f"{APART_M:g} m beside or {ABOVE_EACH_OTHER_M:g} m above each other"
        if track is None:
            alone = not any(sysid not in without for sysid, _ in self._tracks.values())
            return check("traffic", "other flights", alone or None, "its times are not known", limit)
        found = self.conflicts(track, without=without)
        measured = "clear of all"
        if found:
            first = found[0]
            at = datetime.fromtimestamp(first.utc_s, UTC)
            apart = f"{first.horizontal_m:.0f} m beside and {first.vertical_m:.0f} m above"
            measured = f"{apart} {first.other} at {at:%H:%M:%S} UTC"
        return check("traffic", "other flights", not found, measured, limit)
