"""What a vehicle believes: truth with slowly wandering errors."""

from __future__ import annotations

import math
import random

import msgspec

from geo.poses import Attitude


class SensorErrors(msgspec.Struct, frozen=True, kw_only=True):
    """One-sigma errors of what the vehicle reports."""

    horizontal_m: float = 1.0
    """Of the position along north and along east, each, m."""
    vertical_m: float = 1.5
    """Of the height, m."""
    position_correlation_s: float = 40.0
    """Time in which a position error forgets itself, s."""
    tilt_deg: float = 0.3
    """Of roll and of pitch, each, deg."""
    yaw_deg: float = 1.2
    """Of the heading, deg."""
    gimbal_deg: float = 0.2
    """Of each angle of the gimbal, deg."""


class VehicleState(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vehicle is, how it moves and where its camera looks, at a moment."""

    utc_s: float
    """Simulated UTC, s since 1970."""
    lon: float
    """Longitude, deg."""
    lat: float
    """Latitude, deg."""
    amsl_m: float
    """Height above mean sea level, m."""
    north_m_s: float
    """Velocity over ground to the north, m/s."""
    east_m_s: float
    """Velocity over ground to the east, m/s."""
    up_m_s: float
    """Velocity upward, m/s."""
    attitude: Attitude
    """Of the body."""
    gimbal: Attitude
    """Of the camera mount in NED: forward is the boresight."""


class GaussMarkov:
    """A first-order Gauss-Markov process."""

    __slots__ = ("_correlation_s", "_decay", "_dt_s", "_kick", "_random", "_sigma", "value")

    def __init__(self, sigma: float, correlation_s: float, source: random.Random) -> None:
        """Starts somewhere in its own distribution."""
        self._sigma, self._correlation_s, self._random = sigma, correlation_s, source
        self._dt_s = self._decay = self._kick = 0.0
        self.value = source.gauss(0.0, sigma)

    def step(self, dt_s: float) -> float:
        """The value `dt_s` later."""
        if dt_s != self._dt_s:
            self._dt_s = dt_s
            self._decay = math.exp(-dt_s / self._correlation_s)
            self._kick = self._sigma * math.sqrt(1.0 - self._decay**2)
        self.value = self.value * self._decay + self._kick * self._random.gauss(0.0, 1.0)
        return self.value


class SmoothGaussMarkov:
    """A second-order (critically damped) Gauss-Markov process: it wanders without jumping.

    Two equal poles `a`; the variance of 1/(1 - a/z)^2 driven by white noise is (1 + a^2)/(1 - a^2)^3.
    Its autocorrelation exp(-b t)(1 + b t) falls to 1/e at t = 2.146/b.
    """

    __slots__ = ("_decay", "_dt_s", "_inner", "_kick", "_random", "_rate_per_s", "_sigma", "rate", "value")

    def __init__(self, sigma: float, correlation_s: float, source: random.Random) -> None:
        """Starts somewhere in its own distribution; `correlation_s` is the time to 1/e."""
        self._sigma, self._rate_per_s, self._random = sigma, 2.146 / correlation_s, source
        self._dt_s = self._decay = self._kick = 0.0
        self.value = self._inner = source.gauss(0.0, sigma)
        self.rate = 0.0

    def step(self, dt_s: float) -> float:
        """The value `dt_s` later; `rate` is its change per second."""
        if dt_s != self._dt_s:
            self._dt_s = dt_s
            a = self._decay = math.exp(-dt_s * self._rate_per_s)
            self._kick = self._sigma * math.sqrt((1.0 - a * a) ** 3 / (1.0 + a * a)) / (1.0 - a)
        a = self._decay
        self._inner = a * self._inner + self._kick * self._random.gauss(0.0, 1.0)
        before = self.value
        self.value = a * before + (1.0 - a) * self._inner
        self.rate = (self.value - before) / dt_s
        return self.value


class Sensors:
    """The errors of one vehicle, all from one seed."""

    __slots__ = (
        "east", "gimbal_pitch", "gimbal_roll", "gimbal_yaw", "north", "pitch", "roll", "up", "yaw",
    )  # fmt: skip

    def __init__(self, errors: SensorErrors, seed: int) -> None:
        """Positions in m, angles in rad."""
        source = random.Random(f"sensors {seed}")
        far = errors.position_correlation_s
        self.north = SmoothGaussMarkov(errors.horizontal_m, far, source)
        self.east = SmoothGaussMarkov(errors.horizontal_m, far, source)
        self.up = SmoothGaussMarkov(errors.vertical_m, far, source)
        tilt, yaw, gimbal = (math.radians(x) for x in (errors.tilt_deg, errors.yaw_deg, errors.gimbal_deg))
        self.roll = GaussMarkov(tilt, 8.0, source)
        self.pitch = GaussMarkov(tilt, 8.0, source)
        self.yaw = SmoothGaussMarkov(yaw, 60.0, source)
        self.gimbal_roll = GaussMarkov(gimbal, 4.0, source)
        self.gimbal_pitch = GaussMarkov(gimbal, 4.0, source)
        self.gimbal_yaw = GaussMarkov(gimbal, 4.0, source)

    def step(self, dt_s: float) -> None:
        """All errors `dt_s` later."""
        for process in (self.north, self.east, self.up, self.yaw):
            process.step(dt_s)
        for quick in (self.roll, self.pitch, self.gimbal_roll, self.gimbal_pitch, self.gimbal_yaw):
            quick.step(dt_s)
