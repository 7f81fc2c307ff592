"""Movers: the people and vehicles that one vehicle's video shows, followed over the ground with speed and heading."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from aerial_models.tracking import GroundTracker
from geo.location import CAUSES
from geo.movement import Motion
from geo.positions import LocalPlane
from missioncontrol.looks import TARGETS, Look

PATIENCE_S = 4.0
"""A mover that was not seen for so long is somebody new."""
QUICK = [CAUSES.index(cause) for cause in ("u", "v", "tilt_east", "tilt_north")]
"""Errors that change from picture to picture; the others are common to the looks of some seconds."""
LABELS = {label: number for number, (label, target) in enumerate(TARGETS.items()) if target.speed_sigma_m_s > 0}


class Moved(NamedTuple):
    """What is known of one detection's thing."""

    track: int
    """Its number."""
    motion: Motion | None
    """How it moves; None while it may as well stand."""
    lonlat: tuple[float, float] | None = None
    """Where it is by all looks so far, deg; None where it is not followed."""


class Movers:
    """Follows what moves from frame to frame."""

    def __init__(self) -> None:
        """Nothing is followed yet."""
        speeds = {number: TARGETS[label].speed_sigma_m_s for label, number in LABELS.items()}
        self._tracker = GroundTracker(speed_sigma_m_s=speeds, patience_s=PATIENCE_S)
        self._plane: LocalPlane | None = None

    def add(self, looks: Sequence[Look], utc_s: float) -> dict[int, Moved]:
        """Take the looks of one frame; what is known of each detection that can move, by its index in the frame."""
        seen = [look for look in looks if look.label in LABELS and look.index >= 0]
        if not seen:
            return {}
        if self._plane is None:
            position = seen[0].location.position
            self._plane = LocalPlane(lon=position.lon, lat=position.lat, height_m=position.altitude.value_m)
        lonlat = np.array([(look.location.position.lon, look.location.position.lat) for look in seen])
        moves = np.array([look.location.moves_m for look in seen])[:, :, :2]
        numbers = self._tracker.update(
            np.stack(self._plane.to_plane(lonlat[:, 0], lonlat[:, 1]), axis=-1),
            np.einsum("nci,ncj->nij", moves, moves),
            np.array([LABELS[look.label] for look in seen], np.int32),
            utc_s,
            np.einsum("nci,ncj->nij", moves[:, QUICK], moves[:, QUICK]),
        )
        return {look.index: self._moved(int(number), self._plane) for look, number in zip(seen, numbers, strict=True)}

    def _moved(self, number: int, plane: LocalPlane) -> Moved:
        mover = self._tracker.mover(number)
        if mover is None:
            return Moved(number, None)
        lon, lat = plane.to_lonlat(*mover.place_m)
        return Moved(number, mover.motion if mover.moves else None, (float(lon), float(lat)))
