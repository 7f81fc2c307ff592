"""Disorder among people: groups that are dense and in turmoil. Density and motion, never who.

Persons of one frame are located on the ground and grouped; a group's turmoil is how far its members moved against
each other since the frame before. What all of them seem to have moved together is the camera's own error, or a
march, and does not count.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from geo.positions import LocalPlane
from missioncontrol.looks import CROWD, TARGETS, Look

Array = NDArray[np.float64]


class CrowdRule(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as disorder."""

    persons: int = 12
    """Fewest persons of a group."""
    radius_m: float = 12.0
    """They stand within this of the group's middle, m; each is nearer than a third of it to another."""
    turmoil_m_s: float = 0.45
    """Median speed of the members against each other from which on it is disorder, m/s."""
    shortest_gap_s: float = 0.7
    """Frames nearer in time are not compared: the jitter of boxes would pass for motion, s."""
    longest_gap_s: float = 2.5
    """Frames farther apart in time are not compared, s."""


class Crowds:
    """The groups of people that one vehicle sees."""

    def __init__(self, rule: CrowdRule) -> None:
        """Nobody was seen yet."""
        self._rule = rule
        self._plane: LocalPlane | None = None
        self._before: deque[tuple[Array, float]] = deque()

    def add(self, looks: Sequence[Look], utc_s: float) -> list[Look]:
        """Take the looks of one frame; the groups in turmoil, each as one look."""
        people = [look for look in looks if look.label == "person"]
        xy_m = self._places(people)
        before = self._frame_before(utc_s)
        self._before.append((xy_m, utc_s))
        if before is None:
            return []
        found = []
        for members in groups(xy_m, self._rule):
            speed_m_s = turmoil_m(before[0], xy_m[members], self._rule.radius_m) / (utc_s - before[1])
            if speed_m_s >= self._rule.turmoil_m_s:
                found.append(_look([people[i] for i in members], xy_m[members]))
        return found

    def _frame_before(self, utc_s: float) -> tuple[Array, float] | None:
        """The latest frame that is old enough to compare with."""
        while self._before and utc_s - self._before[0][1] > self._rule.longest_gap_s:
            self._before.popleft()
        return next((frame for frame in reversed(self._before) if utc_s - frame[1] >= self._rule.shortest_gap_s), None)

    def _places(self, people: Sequence[Look]) -> Array:
        if not people:
            return np.zeros((0, 2))
        positions = [look.location.position for look in people]
        if self._plane is None:
            first = positions[0]
            self._plane = LocalPlane(lon=first.lon, lat=first.lat, height_m=first.altitude.value_m)
        return np.stack(self._plane.to_plane([p.lon for p in positions], [p.lat for p in positions]), axis=-1)


def groups(xy_m: Array, rule: CrowdRule) -> list[NDArray[np.intp]]:
    """Members of each dense group among places (n, 2), m."""
    if len(xy_m) < rule.persons:
        return []
    tree = cKDTree(xy_m)
    near = tree.sparse_distance_matrix(tree, rule.radius_m / 3, output_type="coo_matrix")
    _, group_of = connected_components(near, directed=False)
    found = []
    for group in range(group_of.max() + 1):
        members = np.flatnonzero(group_of == group)
        middle = np.median(xy_m[members], axis=0)
        members = members[np.hypot(*(xy_m[members] - middle).T) <= rule.radius_m]
        if len(members) >= rule.persons:
            found.append(members)
    return found


def turmoil_m(before: Array, after: Array, radius_m: float) -> float:
    """Median distance that people moved against each other between two frames: places (n, 2) and (m, 2), m.

    The shift that all have in common is taken out first, by a few rounds of nearest neighbours. 0 where too few
    were seen before to tell. In a dense group a neighbour may be taken for the same person, so that the figure
    is a lower bound.
    """
    middle = after.mean(axis=0)
    before = before[np.hypot(*(before - middle).T) <= radius_m + 3.0]
    if len(before) < len(after) / 2:
        return 0.0
    tree = cKDTree(before)
    shift = np.zeros(2)
    for _ in range(4):
        _, index = tree.query(after - shift)
        shift = np.median(after - before[index], axis=0)
    distance, _ = tree.query(after - shift)
    return float(np.median(distance))


def _look(people: Sequence[Look], xy_m: Array) -> Look:
    """The group as one look, placed where its middlemost member stands."""
    middle = np.median(xy_m, axis=0)
    nearest = people[int(np.argmin(np.hypot(*(xy_m - middle).T)))]
    across_m = float(np.sqrt(np.prod(np.ptp(xy_m, axis=0))))
    boxes = np.array([person.box for person in people])
    left, top = boxes[:, :2].min(axis=0).tolist()
    right, bottom = boxes[:, 2:].max(axis=0).tolist()
    return Look(
        label=CROWD,
        utc_s=nearest.utc_s,
        location=nearest.location.extended(TARGETS[CROWD].middle_sigma * across_m),
        score=float(np.mean([person.score for person in people])),
        box=(left, top, right, bottom),
        area_m2=float(shapely.MultiPoint(xy_m).convex_hull.area),
        pose=nearest.pose,
        index=-1,
    )
