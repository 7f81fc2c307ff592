"""What wears out and what goes wrong in a vehicle: its battery's inner resistance, vibration, and the EKF's trust."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from fleet.telemetry import Condition, TelemetryState

QUIET_S = 10.0
"""A limit kept for so long, s, and passed again is a new alarm."""
MOST_STEP_S = 3.0
"""Samples of a battery further apart than this say nothing about its resistance: its charge has changed."""
FULL_CELL_V = 4.4
"""No cell has more (a lithium one 4.2 V, some 4.35 V): the cells of a battery are counted by the most it ever had."""
LEAST_STEPS = 20
"""Steps of current from which a resistance is told."""
LEAST_FLIGHTS = 5
"""Flights from which a trend is told."""
VOLTAGE_STEP_V = 0.001
"""Resolution of a voltage in MAVLink: a fit is never believed to be better."""
NEGLECTED_SHARE = 0.005
"""Part of a resistance that the fall of the open voltage within a step may feign (0.1 % where simulated)."""


Positive = Annotated[float, msgspec.Meta(gt=0)]


class HealthLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond what a vehicle in flight is not well."""

    vibration_m_s2: Positive = 30.0
    """Vibration of the accelerometers, m/s2. ArduPilot, Measuring Vibration: up to 30 is acceptable, 60 is not."""
    clips: Annotated[int, msgspec.Meta(ge=0)] = 100
    """Times in one flight that an accelerometer is beyond its range. Of the same source."""
    ekf_ratio: Positive = 0.8
    """Innovation test ratio of the EKF: ArduCopter's own failsafe threshold (FS_EKF_THRESH); at 1 it rejects."""
    sink_m_s: Positive = 6.0
    """Speed downwards, m/s: twice what autopilots descend at by themselves."""
    cell_v: Positive = 3.3
    """Voltage of a battery cell under load, V."""


class HealthAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """A limit that was passed in flight."""

    utc_s: float
    """When, s since 1970 UTC."""
    kind: str
    """vibration, clipping, ekf_velocity, ekf_position, ekf_height, ekf_compass, position_lost, falling or battery."""
    value: float
    """What was measured, in the unit of the limit; 0 where a position was lost."""
    limit: float
    """What it should not pass."""
    text: str
    """The same in words, with units."""


class HealthWatch:
    """Watches one vehicle in flight; an alarm that lasts is told once."""

    def __init__(self, limits: HealthLimits) -> None:
        """With nothing seen yet."""
        self._limits = limits
        self._last_s: dict[str, float] = {}
        self._clips_before: int | None = None
        self._had_position = False
        self._most_v = 0.0

    def look(self, state: TelemetryState, utc_s: float) -> list[HealthAlarm]:
        """Alarms that begin with this state, at a moment that never goes back."""
        if state.battery is not None and state.battery.voltage_v is not None:
            self._most_v = max(self._most_v, state.battery.voltage_v)
        if state.condition is not Condition.FLYING:
            self._clips_before, self._had_position = None, False
            return []
        return [alarm for alarm in self._passed(state, utc_s) if self._begins(alarm)]

    def _begins(self, alarm: HealthAlarm) -> bool:
        before_s = self._last_s.get(alarm.kind, -math.inf)
        self._last_s[alarm.kind] = alarm.utc_s
        return alarm.utc_s - before_s > QUIET_S

    def _passed(self, state: TelemetryState, utc_s: float) -> list[HealthAlarm]:
        limits, found = self._limits, []

        def alarm(kind: str, value: float, limit: float, text: str) -> None:
            found.append(HealthAlarm(utc_s=utc_s, kind=kind, value=value, limit=limit, text=text))

        if state.in_air and state.velocity is not None and state.velocity.down_m_s > limits.sink_m_s:
            text = f"falling at {state.velocity.down_m_s:.1f} m/s, limit {limits.sink_m_s:g} m/s"
            alarm("falling", state.velocity.down_m_s, limits.sink_m_s, text)
        if state.battery is not None and state.battery.voltage_v is not None:
            cell_v = state.battery.voltage_v / max(1, math.ceil(self._most_v / FULL_CELL_V))
            if cell_v < limits.cell_v:
                alarm("battery", cell_v, limits.cell_v, f"battery at {cell_v:.2f} V a cell, limit {limits.cell_v:g} V")
        if (shaking := state.vibration) is not None:
            if shaking.worst_m_s2 > limits.vibration_m_s2:
                text = f"vibration {shaking.worst_m_s2:.1f} m/s2, limit {limits.vibration_m_s2:g} m/s2"
                alarm("vibration", shaking.worst_m_s2, limits.vibration_m_s2, text)
            if self._clips_before is None or shaking.clips < self._clips_before:
                self._clips_before = shaking.clips
            clips = shaking.clips - self._clips_before
            if clips > limits.clips:
                alarm("clipping", clips, limits.clips, f"accelerometers clipped {clips} times, limit {limits.clips}")
        if (ekf := state.estimator) is not None:
            for name, ratio in ekf.ratios.items():
                if ratio > limits.ekf_ratio:
                    text = f"EKF: {name} off by {ratio:.2f} of its gate, limit {limits.ekf_ratio:g}"
                    alarm(f"ekf_{name}", ratio, limits.ekf_ratio, text)
            if self._had_position and not ekf.position_known:
                alarm("position_lost", 0.0, 0.0, "EKF: no position over ground any more")
            self._had_position = self._had_position or ekf.position_known
        return found


class Resistance(msgspec.Struct, frozen=True, kw_only=True):
    """Inner resistance of a whole battery, from one flight."""

    ohm: float
    """Fall of the voltage for each ampere more, ohm."""
    sigma_ohm: float
    """Its standard error, ohm."""
    steps: int
    """Steps of current that it was found from."""


def internal_resistance(times_s: ArrayLike, volts: ArrayLike, amperes: ArrayLike) -> Resistance | None:
    """Resistance by which voltage follows current from one sample (n,) to the next; None where that is not told.

    The d.c. method of IEC 61960-3, fall of voltage over rise of current, taken over every step of a flight by least
    squares: within a second the charge and the temperature, on which the open voltage depends, hardly change. The
    error allows for noise that differs by step and hangs together from one to the next (Newey and West 1987, one
    lag), for the voltage's resolution and for what is neglected. Temperature is not: a cold battery resists more.
    """
    t_s, v, i = (np.asarray(column, float) for column in (times_s, volts, amperes))
    near = np.diff(t_s) <= MOST_STEP_S
    x, y = np.diff(i)[near], -np.diff(v)[near]
    if len(x) < LEAST_STEPS:
        return None
    x, y = x - x.mean(), y - y.mean()
    weight = float(x @ x)
    if weight <= 0.0:
        return None
    ohm = float(x @ y) / weight
    push = x * (y - ohm * x)
    spread = float(push @ push + push[1:] @ push[:-1])
    floor = VOLTAGE_STEP_V**2 / 6.0 * weight
    sigma_ohm = math.hypot(math.sqrt(max(spread, floor)) / weight, NEGLECTED_SHARE * ohm)
    return Resistance(ohm=ohm, sigma_ohm=sigma_ohm, steps=len(x))


class Trend(msgspec.Struct, frozen=True, kw_only=True):
    """How the resistance of a battery changes with its use."""

    ohm_per_cycle: float
    """Rise for each full cycle, ohm."""
    sigma_ohm_per_cycle: float
    """Its standard error, ohm."""
    flights: int
    """Flights that it was found from."""

    @property
    def rising(self) -> bool:
        """Whether the rise is beyond its error: two sigmas."""
        return self.ohm_per_cycle > 2.0 * self.sigma_ohm_per_cycle


def resistance_trend(cycles: Sequence[float], found: Sequence[Resistance]) -> Trend | None:
    """The line through the resistances of flights, each at the cycles that the battery then had; None below 5 flights.

    Flights differ by more than their errors say (temperature, how they were flown): that scatter, found so that the
    weighted squares are what they should be (Paule and Mandel 1982), counts as a further error of each.
    """
    if len(found) < LEAST_FLIGHTS or np.ptp(cycles) <= 0.0:
        return None
    x, y = np.asarray(cycles, float), np.array([each.ohm for each in found])
    variances = np.array([each.sigma_ohm for each in found]) ** 2
    low, high = 0.0, float(np.ptp(y)) ** 2
    for _ in range(60):
        between = (low + high) / 2.0
        _, _, squares = _line(x, y, variances + between)
        low, high = (between, high) if squares > len(x) - 2 else (low, between)
    slope, sigma, _ = _line(x, y, variances + low)
    return Trend(ohm_per_cycle=slope, sigma_ohm_per_cycle=sigma, flights=len(found))


def _line(x: NDArray[np.float64], y: NDArray[np.float64], variances: NDArray[np.float64]) -> tuple[float, float, float]:
    """Slope of a weighted line, its error, and the weighted squares that are left."""
    weights = 1.0 / variances
    x, y = x - np.average(x, weights=weights), y - np.average(y, weights=weights)
    leverage = float(weights @ (x * x))
    slope = float(weights @ (x * y)) / leverage
    return slope, 1.0 / math.sqrt(leverage), float(weights @ (y - slope * x) ** 2)
