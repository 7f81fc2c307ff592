"""Tracks: which detection of this picture is which of the last.

`ImageTracker` associates boxes by overlap, in two stages as ByteTrack does (Zhang et al., arXiv 2110.06864): first the
sure detections, then the doubtful ones with the tracks that are left. `GroundTracker` associates places on the ground
by Mahalanobis distance, for pictures so far apart in time that boxes no longer overlap.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from aerial_models.detections import Detections
from aerial_models.detectors import overlaps
from geo.movement import Mover

D2_99 = 9.21
"""Squared Mahalanobis distance that 99 % of true pairs stay below, with two degrees of freedom."""


@dataclass
class _ImageTrack:
    number: int
    class_id: int
    xyxy: NDArray[np.float64]
    velocity: NDArray[np.float64]
    """Of the box's centre and of its size: px per second (4,): x, y, width, height."""
    seen_s: float
    hits: int
    sure: bool

    def at(self, time_s: float) -> NDArray[np.float64]:
        """The box where it should be at that time."""
        moved = self.velocity * (time_s - self.seen_s)
        half = moved[2:] / 2
        box: NDArray[np.float64] = self.xyxy + np.concatenate([moved[:2] - half, moved[:2] + half])
        return box


class ImageTracker:
    """Numbers the detections of one camera's pictures.

    `sure` is the confidence that may start a track; fainter detections only continue one. A track lives `patience_s`
    without being seen and is numbered from its second sighting on (`confirm`), as a single sighting is often false.
    """

    def __init__(
        self,
        sure: float = 0.5,
        least_overlap: float = 0.2,
        least_overlap_faint: float = 0.4,
        patience_s: float = 2.0,
        confirm: int = 2,
    ) -> None:
        self.sure = sure
        self.least_overlap = least_overlap
        self.least_overlap_faint = least_overlap_faint
        self.patience_s = patience_s
        self.confirm = confirm
        self._tracks: list[_ImageTrack] = []
        self._next = 1

    def update(
        self, detections: Detections, time_s: float, camera_motion: NDArray[np.float64] | None = None
    ) -> Detections:
        """The detections with their track numbers, -1 where there is none yet.

        `camera_motion` is a 3x3 homography that takes pixels of the last picture to this one, where the camera moved.
        Times must not go back.
        """
        self._tracks = [t for t in self._tracks if time_s - t.seen_s <= self.patience_s]
        if camera_motion is not None:
            for track in self._tracks:
                _carry(track, camera_motion)
        numbers = np.full(len(detections), -1, np.int64)
        sure = detections.confidence >= self.sure
        free = self._join(detections, np.flatnonzero(sure), self._tracks, self.least_overlap, time_s, numbers)
        self._join(detections, np.flatnonzero(~sure), free, self.least_overlap_faint, time_s, numbers)
        for i in np.flatnonzero(sure & (numbers == -1)):
            box = detections.xyxy[i].astype(np.float64)
            self._tracks.append(_ImageTrack(self._next, int(detections.class_id[i]), box, np.zeros(4), time_s, 1, True))
            numbers[i] = self._next if self.confirm <= 1 else -1
            self._next += 1
        return replace(detections, track_id=numbers)

    def _join(
        self,
        detections: Detections,
        chosen: NDArray[np.int64],
        tracks: list[_ImageTrack],
        least: float,
        time_s: float,
        numbers: NDArray[np.int64],
    ) -> list[_ImageTrack]:
        """Continue tracks with the chosen detections; returns the tracks that were not continued."""
        if not len(chosen) or not tracks:
            return tracks
        predicted = np.asarray([t.at(time_s) for t in tracks], np.float32)
        iou = overlaps(predicted, detections.xyxy[chosen])
        same = np.asarray([t.class_id for t in tracks])[:, None] == detections.class_id[chosen][None]
        cost = np.where(same & (iou >= least), 1.0 - iou, 2.0)
        rows, columns = linear_sum_assignment(cost)
        taken = set()
        for row, column in zip(rows, columns, strict=True):
            if cost[row, column] >= 2.0:
                continue
            track, i = tracks[row], int(chosen[column])
            _follow(track, detections.xyxy[i].astype(np.float64), time_s)
            taken.add(row)
            if track.hits >= self.confirm:
                numbers[i] = track.number
        return [t for row, t in enumerate(tracks) if row not in taken]


def _follow(track: _ImageTrack, xyxy: NDArray[np.float64], time_s: float) -> None:
    """Move a track to where it was seen, and learn its velocity."""
    passed = time_s - track.seen_s
    if passed > 0:
        center = (xyxy[:2] + xyxy[2:] - track.xyxy[:2] - track.xyxy[2:]) / 2
        size = (xyxy[2:] - xyxy[:2]) - (track.xyxy[2:] - track.xyxy[:2])
        measured = np.concatenate([center, size]) / passed
        track.velocity = measured if track.hits == 1 else 0.5 * track.velocity + 0.5 * measured
        track.velocity[2:] *= 0.5
    track.xyxy, track.seen_s, track.hits = xyxy, time_s, track.hits + 1


def _carry(track: _ImageTrack, motion: NDArray[np.float64]) -> None:
    """Take a track's box and velocity along with the camera."""
    left, top, right, bottom = track.xyxy
    corners = np.asarray([[left, top, 1], [right, top, 1], [right, bottom, 1], [left, bottom, 1]]) @ motion.T
    flat = corners[:, :2] / corners[:, 2:]
    center = (track.xyxy[:2] + track.xyxy[2:]) / 2
    ends = np.asarray([[*center, 1], [*(center + track.velocity[:2]), 1]]) @ motion.T
    moved = ends[:, :2] / ends[:, 2:]
    middle, half = flat.mean(axis=0), (flat.max(axis=0) - flat.min(axis=0)) / 2
    track.xyxy = np.concatenate([middle - half, middle + half])
    track.velocity = np.concatenate([moved[1] - moved[0], track.velocity[2:]])


@dataclass
class _GroundTrack:
    number: int
    class_id: int
    mover: Mover
    seen_s: float
    hits: int


class GroundTracker:
    """Numbers things by where they lie on the ground: a constant-velocity filter (`geo.movement`) for each.

    `speed_sigma_m_s` says how fast a new thing of each class may move, `agility_m_s2` how much its speed may change;
    classes that are not named stand still. A place joins a track when its squared Mahalanobis distance is below `gate`.
    """

    def __init__(
        self,
        speed_sigma_m_s: dict[int, float] | None = None,
        agility_m_s2: float = 1.5,
        gate: float = D2_99,
        patience_s: float = 10.0,
        patience_standing_s: float = 600.0,
    ) -> None:
        self.speed_sigma_m_s = speed_sigma_m_s or {}
        self.agility_m_s2 = agility_m_s2
        self.gate = gate
        self.patience_s = patience_s
        self.patience_standing_s = patience_standing_s
        self._tracks: list[_GroundTrack] = []
        self._next = 1

    def update(
        self,
        xy_m: NDArray[np.float64],
        covariance_m2: NDArray[np.float64],
        class_id: NDArray[np.int32],
        time_s: float,
        own_m2: NDArray[np.float64] | None = None,
    ) -> NDArray[np.int64]:
        """Track number of each place (n,).

        `xy_m` (n, 2) in one metric plane, `covariance_m2` (n, 2, 2), of which `own_m2` (n, 2, 2; all if not given) is
        new in each picture and the rest common to the looks of a vehicle; `class_id` (n,). Pictures of several vehicles
        may come a little out of order: one that is older than a track does not move it back.
        """
        xy_m = np.asarray(xy_m, np.float64).reshape(-1, 2)
        covariance_m2 = np.asarray(covariance_m2, np.float64).reshape(-1, 2, 2)
        own_m2 = covariance_m2 if own_m2 is None else np.asarray(own_m2, np.float64).reshape(-1, 2, 2)
        class_id = np.asarray(class_id)
        self._tracks = [t for t in self._tracks if time_s - t.seen_s <= self._patience(t)]
        numbers = np.full(len(xy_m), -1, np.int64)
        for track in self._tracks:
            track.mover.predict(time_s)
        for kind in np.unique(class_id):
            chosen = np.flatnonzero(class_id == kind)
            tracks = [t for t in self._tracks if t.class_id == kind]
            for row, column in self._pairs(tracks, xy_m[chosen], own_m2[chosen]):
                i, track = int(chosen[column]), tracks[row]
                track.mover.correct(xy_m[i], covariance_m2[i], own_m2[i], time_s)
                track.seen_s, track.hits = max(track.seen_s, time_s), track.hits + 1
                numbers[i] = track.number
        for i in np.flatnonzero(numbers == -1).tolist():
            numbers[i] = self._start(xy_m[i], covariance_m2[i], own_m2[i], int(class_id[i]), time_s)
        return numbers

    def mover(self, number: int) -> Mover | None:
        """Place and velocity of a live track."""
        return next((track.mover for track in self._tracks if track.number == number), None)

    def _patience(self, track: _GroundTrack) -> float:
        return self.patience_s if track.class_id in self.speed_sigma_m_s else self.patience_standing_s

    def _pairs(
        self, tracks: list[_GroundTrack], xy_m: NDArray[np.float64], own_m2: NDArray[np.float64]
    ) -> list[tuple[int, int]]:
        """Best one-to-one pairs of (track, place) inside the gate."""
        if not tracks or not len(xy_m):
            return []
        expected = [track.mover.expected(np.zeros((2, 2))) for track in tracks]
        gap = xy_m[None] - np.asarray([place for place, _ in expected])[:, None]
        total = np.asarray([spread for _, spread in expected])[:, None] + own_m2[None]
        d2 = np.einsum("nmi,nmi->nm", gap, np.linalg.solve(total, gap[..., None])[..., 0])
        # a vague track must not win over a sharp one only for being vague: the likelihood's normaliser counts too
        cost = d2 + np.log(np.linalg.det(total))
        outside = d2 > self.gate
        worst = float(np.abs(cost).max()) * (len(tracks) + len(xy_m)) + 1.0
        rows, columns = linear_sum_assignment(np.where(outside, worst, cost))
        return [(int(r), int(c)) for r, c in zip(rows, columns, strict=True) if not outside[r, c]]

    def _start(
        self,
        xy_m: NDArray[np.float64],
        covariance_m2: NDArray[np.float64],
        own_m2: NDArray[np.float64],
        class_id: int,
        time_s: float,
    ) -> int:
        mover = Mover(
            xy_m,
            covariance_m2,
            own_m2=own_m2,
            time_s=time_s,
            speed_sigma_m_s=self.speed_sigma_m_s.get(class_id, 0.0),
            agility_m_s2=self.agility_m_s2,
        )
        self._tracks.append(_GroundTrack(self._next, class_id, mover, time_s, 1))
        self._next += 1
        return self._next - 1
