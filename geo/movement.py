"""Things that move over the ground: place, speed and heading from places seen one after another.

A Kalman filter of constant velocity (Bar-Shalom, Li, Kirubarajan, "Estimation with Applications to Tracking and
Navigation", 2001, chapter 6). What makes the seen places wrong is mostly the same from picture to picture (the
vehicle's own position, its heading), so that common error is a state of its own that wanders slowly: it does not
average out of the place, and it does not look like speed.
"""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_MEASURE = np.array([[1.0, 0, 0, 0, 1, 0], [0, 1.0, 0, 0, 0, 1]])
"""A seen place is the true place and the common error."""


class Motion(msgspec.Struct, frozen=True, kw_only=True):
    """How a thing moves over the ground."""

    speed_m_s: float
    """Speed over ground, m/s."""
    speed_sigma_m_s: float
    """One sigma of it, m/s."""
    heading_deg: float
    """Where it goes, deg clockwise from true north, 0 to 360."""
    heading_sigma_deg: float
    """One sigma of it, deg; 180 where it may be anything."""

    @classmethod
    def of(cls, velocity_m_s: Array, covariance: Array) -> Motion:
        """From a velocity (east, north; m/s) and its covariance (2, 2)."""
        speed = float(np.linalg.norm(velocity_m_s))
        along = velocity_m_s / speed if speed > 0 else np.array([0.0, 1.0])
        across = np.array([along[1], -along[0]])
        sideways = float(np.sqrt(np.maximum(0.0, across @ covariance @ across)))
        turn = float(np.degrees(np.arctan2(sideways, speed))) if sideways < speed else 180.0
        return cls(
            speed_m_s=speed,
            speed_sigma_m_s=float(np.sqrt(np.maximum(0.0, along @ covariance @ along))),
            heading_deg=float(np.degrees(np.arctan2(velocity_m_s[0], velocity_m_s[1]))) % 360.0,
            heading_sigma_deg=turn,
        )


class Mover:
    """The state of one thing: place, velocity and the error that its looks have in common."""

    def __init__(
        self,
        xy_m: Array,
        covariance_m2: Array,
        *,
        own_m2: Array,
        time_s: float,
        speed_sigma_m_s: float,
        agility_m_s2: float,
        lasting_s: float = 60.0,
    ) -> None:
        """First seen at `xy_m` (east, north; m) with `covariance_m2` (2, 2), of which `own_m2` is new in each look; the
        rest forgets itself in `lasting_s`. `speed_sigma_m_s` is how fast such things go, 0 for what stands;
        `agility_m_s2` how much their speed changes."""
        self._agility_m_s2 = agility_m_s2 if speed_sigma_m_s > 0 else 0.0
        self._lasting_s, self.time_s = lasting_s, time_s
        self._common = _positive(covariance_m2 - own_m2)
        self._state = np.concatenate([xy_m, np.zeros(4)])
        self._covariance = np.zeros((6, 6))
        self._covariance[:2, :2] = covariance_m2
        self._covariance[2:4, 2:4] = np.eye(2) * speed_sigma_m_s**2
        self._covariance[4:, 4:] = self._common
        self._covariance[:2, 4:] = self._covariance[4:, :2] = -self._common

    @property
    def place_m(self) -> Array:
        """East and north, m."""
        return self._state[:2].copy()

    @property
    def covariance_m2(self) -> Array:
        """(2, 2) of the place, m2: never less than the common error."""
        return self._covariance[:2, :2].copy()

    @property
    def velocity_m_s(self) -> Array:
        """East and north, m/s."""
        return self._state[2:4].copy()

    @property
    def motion(self) -> Motion:
        """Speed and heading with their sigmas."""
        return Motion.of(self._state[2:4], self._covariance[2:4, 2:4])

    @property
    def moves(self) -> bool:
        """Whether it surely moves: standing still is less probable than one in a hundred."""
        spread = self._covariance[2:4, 2:4]
        return bool(
            np.trace(spread) > 0 and self._state[2:4] @ np.linalg.pinv(spread, hermitian=True) @ self._state[2:4] > 9.21
        )

    def expected(self, own_m2: Array) -> tuple[Array, Array]:
        """Where it should be seen, m, and the covariance (2, 2) of a look there, m2."""
        return _MEASURE @ self._state, _MEASURE @ self._covariance @ _MEASURE.T + own_m2

    def predict(self, time_s: float) -> None:
        """Move on to `time_s`; never back."""
        passed = time_s - self.time_s
        if passed <= 0:
            return
        step = np.eye(6)
        step[0, 2] = step[1, 3] = passed
        kept = np.exp(-passed / self._lasting_s)
        step[4, 4] = step[5, 5] = kept
        noise = np.zeros((6, 6))
        push = np.array([passed**2 / 2, passed]) * self._agility_m_s2
        for axis in (0, 1):
            rows = [axis, axis + 2]
            noise[np.ix_(rows, rows)] = np.outer(push, push)
        noise[4:, 4:] = (1 - kept**2) * self._common
        self._state = step @ self._state
        self._covariance = step @ self._covariance @ step.T + noise
        self.time_s = time_s

    def correct(self, xy_m: Array, covariance_m2: Array, own_m2: Array, time_s: float) -> None:
        """Take a look in (Joseph's form, so that the covariance stays positive)."""
        self._common = _positive(covariance_m2 - own_m2)
        expected, spread = self.expected(own_m2)
        gain = self._covariance @ _MEASURE.T @ np.linalg.inv(spread)
        rest = np.eye(6) - gain @ _MEASURE
        self._state = self._state + gain @ (xy_m - expected)
        self._covariance = rest @ self._covariance @ rest.T + gain @ own_m2 @ gain.T
        self.time_s = max(self.time_s, time_s)


def _positive(matrix: Array) -> Array:
    """The nearest matrix without negative eigenvalues."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.maximum(values, 0.0)) @ vectors.T)
