"""Sightings: looks of one thing in one pass, followed on the ground from frame to frame.

A sighting with enough looks is due to be reported; what becomes of it is for perception to say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import shapely

from aerial_models.tracking import GroundTracker
from geo.fusion import Fused, fuse
from geo.positions import LocalPlane
from missioncontrol.looks import TARGETS, UNKNOWN_TARGET, Look

MOST_LOOKS = 40
"""A sighting with more looks is reported and starts anew."""


@dataclass
class Sighting:
    """Looks at one thing in one pass, since it was last reported."""

    label: str
    number: int
    looks: list[Look] = field(default_factory=list)

    def add(self, look: Look) -> None:
        """Take a look; only the best one keeps its picture."""
        if self.looks and (best := self.best).score >= look.score:
            look = replace(look, picture=None)
        elif self.looks:
            self.looks[self.looks.index(best)] = replace(best, picture=None)
        self.looks.append(look)

    @cached_property
    def fused(self) -> Fused:
        """The one place of all looks; ask when no more are added.

        Each thing by itself: people, vehicles, crowds and smoke move, and beside things that stand they would be
        taken for errors of the pose.
        """
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
        fused = self.fused
        plane = LocalPlane(lon=fused.position.lon, lat=fused.position.lat)
        values, vectors = np.linalg.eigh(np.array(fused.covariance_m2))
        angles = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = vectors @ (np.sqrt(9.21 * values)[:, None] * np.stack([np.cos(angles), np.sin(angles)]))
        return shapely.Polygon(np.stack(plane.to_lonlat(ring[0], ring[1]), axis=-1))


class Sightings:
    """The things that one vehicle sees, followed on the ground from frame to frame."""

    def __init__(self, *, min_looks: int, close_after_s: float = 3.0, repeat_after_s: float = 60.0) -> None:
        """A sighting of at least `min_looks` looks is due when it was not seen for `close_after_s` of video, and every
        `repeat_after_s` while it stays in view; an urgent one also as soon as it has its looks. What was reported is
        not reported again: the next report has the looks since then."""
        self._min_looks, self._close_after_s, self._repeat_after_s = min_looks, close_after_s, repeat_after_s
        self._tracker = GroundTracker(patience_s=close_after_s, patience_standing_s=close_after_s)
        self._plane: LocalPlane | None = None
        self._open: dict[int, Sighting] = {}
        self._last_utc_s: dict[int, float] = {}
        self._reported_utc_s: dict[int, float] = {}

    def add(self, looks: Sequence[Look], utc_s: float) -> list[Sighting]:
        """Take the looks of one frame; the sightings that are due to be reported."""
        for look, number in zip(looks, self._follow(looks, utc_s), strict=True):
            self._last_utc_s[number] = utc_s
            self._reported_utc_s.setdefault(
                number, -np.inf if TARGETS.get(look.label, UNKNOWN_TARGET).urgent else utc_s
            )
            self._open.setdefault(number, Sighting(look.label, number)).add(look)
        due = []
        for number, last_utc_s in list(self._last_utc_s.items()):
            closed = utc_s - last_utc_s > self._close_after_s
            sighting = self._open.get(number)
            if sighting is not None and self._is_due(sighting, closed, utc_s):
                due.append(self._open.pop(number))
                self._reported_utc_s[number] = utc_s
        for number, last_utc_s in list(self._last_utc_s.items()):
            if utc_s - last_utc_s > self._close_after_s:
                self._forget(number)
        return due

    def flush(self) -> list[Sighting]:
        """The sightings that have enough looks, since no more frames come."""
        due = [sighting for sighting in self._open.values() if len(sighting.looks) >= self._min_looks]
        for number in list(self._last_utc_s):
            self._forget(number)
        return due

    def _forget(self, number: int) -> None:
        for of in (self._open, self._last_utc_s, self._reported_utc_s):
            of.pop(number, None)

    def _is_due(self, sighting: Sighting, closed: bool, utc_s: float) -> bool:
        if len(sighting.looks) < self._min_looks:
            return False
        waited_s = utc_s - self._reported_utc_s[sighting.number]
        return closed or waited_s > self._repeat_after_s or len(sighting.looks) >= MOST_LOOKS

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
