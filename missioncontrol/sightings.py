"""Sightings: looks of one thing in one pass, followed on the ground from frame to frame.

A sighting with enough looks is due to be reported; what becomes of it is for perception to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import shapely

from aerial_models.tracking import GroundTracker
from geo.fusion import Fused, fuse
from geo.positions import LocalPlane
from missioncontrol.looks import TARGETS, UNKNOWN_TARGET, Look


@dataclass
class Sighting:
    """Looks at one thing in one pass."""

    label: str
    number: int
    looks: list[Look] = field(default_factory=list)
    reported_looks: int = 0
    """How many looks the last report told of; 0 before the first."""

    def fused(self) -> Fused:
        """The one place of all looks."""
        return fuse([look.location for look in self.looks], [look.utc_s for look in self.looks])

    @property
    def score(self) -> float:
        """Mean confidence of the better half of the looks, 0 to 1."""
        scores = sorted((look.score for look in self.looks), reverse=True)
        return float(np.mean(scores[: max(1, (len(scores) + 1) // 2)]))

    @property
    def best(self) -> Look:
        """The look with the highest confidence."""
        return max(self.looks, key=lambda look: look.score)

    @property
    def last_utc_s(self) -> float:
        """When it was last seen, s since 1970 UTC."""
        return self.looks[-1].utc_s

    @property
    def place(self) -> shapely.Polygon:
        """The 99 % region of its place, lon and lat, deg."""
        fused = self.fused()
        plane = LocalPlane(lon=fused.position.lon, lat=fused.position.lat)
        values, vectors = np.linalg.eigh(np.array(fused.covariance_m2))
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = vectors @ (np.sqrt(9.21 * values)[:, None] * np.stack([np.cos(angles), np.sin(angles)]))
        return shapely.Polygon(np.stack(plane.to_lonlat(ring[0], ring[1]), axis=-1))


class Sightings:
    """The things that one vehicle sees, followed on the ground from frame to frame."""

    def __init__(self, *, min_looks: int, close_after_s: float = 3.0, repeat_after_s: float = 60.0) -> None:
        """A sighting of at least `min_looks` looks is due when it was not seen for `close_after_s` of video, and every
        `repeat_after_s` while it stays in view; an urgent one also as soon as it has its looks."""
        self._min_looks, self._close_after_s, self._repeat_after_s = min_looks, close_after_s, repeat_after_s
        self._tracker = GroundTracker(patience_s=close_after_s, patience_standing_s=close_after_s)
        self._plane: LocalPlane | None = None
        self._open: dict[int, Sighting] = {}
        self._reported_utc_s: dict[int, float] = {}

    def add(self, looks: Sequence[Look], utc_s: float) -> list[Sighting]:
        """Take the looks of one frame; the sightings that are due to be reported."""
        for look, number in zip(looks, self._follow(looks, utc_s), strict=True):
            self._open.setdefault(number, Sighting(look.label, number)).looks.append(look)
        due = []
        for number, sighting in list(self._open.items()):
            closed = utc_s - sighting.last_utc_s > self._close_after_s
            if self._is_due(sighting, closed, utc_s):
                sighting.reported_looks = len(sighting.looks)
                self._reported_utc_s[number] = utc_s
                due.append(sighting)
            if closed:
                del self._open[number]
                self._reported_utc_s.pop(number, None)
        return due

    def _is_due(self, sighting: Sighting, closed: bool, utc_s: float) -> bool:
        if len(sighting.looks) < self._min_looks or len(sighting.looks) == sighting.reported_looks:
            return False
        urgent = TARGETS.get(sighting.label, UNKNOWN_TARGET).urgent
        since_s = self._reported_utc_s.get(sighting.number, sighting.looks[0].utc_s)
        return closed or utc_s - since_s > self._repeat_after_s or (urgent and not sighting.reported_looks)

    def _follow(self, looks: Sequence[Look], utc_s: float) -> list[int]:
        if self._plane is None:
            if not looks:
                return []
            position = looks[0].location.position
            self._plane = LocalPlane(lon=position.lon, lat=position.lat, height_m=position.altitude.value_m)
        xy_m = np.stack(
            self._plane.to_plane(
                [look.location.position.lon for look in looks], [look.location.position.lat for look in looks]
            ),
            axis=-1,
        ).reshape(-1, 2)
        covariances = np.array([look.location.covariance_m2 for look in looks]).reshape(-1, 3, 3)[:, :2, :2]
        labels = [list(TARGETS).index(look.label) if look.label in TARGETS else -1 for look in looks]
        numbers = self._tracker.update(xy_m, covariances, np.array(labels, np.int32), utc_s)
        return [int(number) for number in numbers]
