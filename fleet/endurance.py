"""What a flight costs in time and energy: legs, corners, climbs, take-off, landing and standing still, in wind."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numpy.typing import NDArray

from fleet.air import CALM, Conditions
from fleet.airframes import Airframe as Airframe
from fleet.airframes import Kind, figures_of
from fleet.errors import AirspeedImpossible
from fleet.stretches import banked_wh, corner_speeds_m_s, fly, landing_kernel, takeoff_kernel

Array = NDArray[np.float64]


class Cost(msgspec.Struct, frozen=True):
    """Time and energy of a flight or a part of one."""

    duration_s: float = 0.0
    """Flying time, s."""
    energy_wh: float = 0.0
    """Energy drawn from the battery, Wh."""

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.duration_s + other.duration_s, self.energy_wh + other.energy_wh)


def leg_cost(
    airframe: Airframe,
    *,
    length_m: float,
    climb_m: float,
    speed_m_s: float,
    stop: bool = True,
    course_deg: float = 0.0,
    height_m: float | None = None,
    conditions: Conditions = CALM,
) -> Cost:
    """A straight leg of that horizontal length and height gained; `stop`: from one right-angled corner to the next.

    `speed_m_s` is over ground; `course_deg` is where it leads, clockwise from true north; `height_m` is above ground,
    in the middle of the leg (None: where the wind was measured). Where the climb or descent rate of the airframe does
    not let the height change at that speed, the leg takes as long as the height does. Raises AirspeedImpossible.
    """
    if length_m == 0.0 and climb_m == 0.0:
        return Cost()
    course = math.radians(course_deg)
    path = np.array([[0.0, 0.0, 0.0], [length_m * math.sin(course), length_m * math.cos(course), climb_m]])
    middle_m = conditions.wind.reference_m if height_m is None else height_m
    ends = np.full(2, math.inf)
    if stop and length_m > 0.0 and airframe.kind is Kind.MULTIROTOR:
        ends[:] = figures_of(airframe, conditions).corner_m_s / math.sqrt(2.0)
    duration_s, energy_wh = _flown(airframe, path, np.array([middle_m]), speed_m_s, ends, conditions)
    return Cost(float(duration_s[0]), float(energy_wh[0]))


def route_cost(
    airframe: Airframe, legs: Iterable[tuple[float, float]], *, speed_m_s: float, conditions: Conditions = CALM
) -> Cost:
    """Legs (horizontal length m, height gained m) northward one after the other, with a corner after each."""
    total = Cost()
    for length_m, climb_m in legs:
        total += leg_cost(airframe, length_m=length_m, climb_m=climb_m, speed_m_s=speed_m_s, conditions=conditions)
    return total


def path_costs(
    airframe: Airframe,
    path: Array,
    *,
    speed_m_s: float,
    ground_amsl_m: Array | float | None = None,
    holds_s: Array | None = None,
    conditions: Conditions = CALM,
) -> tuple[Array, Array]:
    """Time, s, and energy, Wh, (n - 1,) of each stretch of a path (n, 3): x east, y north, m AMSL.

    It begins and ends standing still (a fixed wing: in flight); corners on the way are taken as fast as their turn
    allows (by a fixed wing banked, along the arcs that the path already has). `speed_m_s` is over ground.
    `ground_amsl_m` (n,) is the ground below each point, for the growth of the wind with height (None: the wind as
    measured, everywhere). `holds_s` (n,) is time to stand still, or circle, at each point; it counts to the stretch
    that ends there, that of the first point to the first stretch. Raises
    AirspeedImpossible.
    """
    path = np.ascontiguousarray(path[:, :3], float)
    if len(path) < 2:
        return np.zeros(0), np.zeros(0)
    flat = np.full(len(path), conditions.wind.reference_m)
    heights_m = flat if ground_amsl_m is None else path[:, 2] - ground_amsl_m
    figures = figures_of(airframe, conditions)
    corners = corner_speeds_m_s(figures, path)
    if holds_s is not None and airframe.kind is Kind.MULTIROTOR:
        corners[holds_s > 0.0] = 0.0
    middles_m = (heights_m[1:] + heights_m[:-1]) / 2.0
    duration_s, energy_wh = _flown(airframe, path, middles_m, speed_m_s, corners, conditions)
    if airframe.kind is Kind.FIXED_WING:
        energy_wh += banked_wh(figures, path, speed_m_s)
    if holds_s is not None:
        for row in np.flatnonzero(holds_s > 0.0).tolist():
            held = hover_cost(
                airframe, duration_s=float(holds_s[row]), height_m=float(heights_m[row]), conditions=conditions
            )
            duration_s[max(row - 1, 0)] += held.duration_s
            energy_wh[max(row - 1, 0)] += held.energy_wh
    return duration_s, energy_wh


def hover_cost(
    airframe: Airframe, *, duration_s: float, height_m: float | None = None, conditions: Conditions = CALM
) -> Cost:
    """Standing still over a place in the wind; a fixed wing circles there. Raises AirspeedImpossible."""
    wind = conditions.wind
    against_m_s = math.hypot(*wind.at(wind.reference_m if height_m is None else height_m))
    _check_airspeed(airframe, against_m_s, "holding a place", wind_m_s=against_m_s)
    airspeed_m_s = 0.0 if airframe.kind is Kind.FIXED_WING else against_m_s
    return Cost(duration_s, airframe.power_w(airspeed_m_s, conditions=conditions) * duration_s / 3600.0)


def takeoff_cost(airframe: Airframe, *, climb_m: float, conditions: Conditions = CALM) -> Cost:
    """From the order to take off until it stands `climb_m` above the ground. Raises AirspeedImpossible."""
    hover_cost(airframe, duration_s=0.0, height_m=climb_m, conditions=conditions)
    duration_s, energy_wh, _ = takeoff_kernel(figures_of(airframe, conditions), climb_m)
    return Cost(duration_s, energy_wh)


def landing_cost(airframe: Airframe, *, descent_m: float, conditions: Conditions = CALM) -> Cost:
    """From `descent_m` above the ground straight down to it, a pause before included. Raises AirspeedImpossible."""
    hover_cost(airframe, duration_s=0.0, height_m=descent_m, conditions=conditions)
    return Cost(*landing_kernel(figures_of(airframe, conditions), descent_m))


def _flown(
    airframe: Airframe, path: Array, heights_m: Array, speed_m_s: float, corners: Array, conditions: Conditions
) -> tuple[Array, Array]:
    if not speed_m_s > 0.0:
        raise AirspeedImpossible(f"a ground speed of {speed_m_s:g} m/s is not above 0")
    duration_s, energy_wh, airspeeds = fly(figures_of(airframe, conditions), path, heights_m, speed_m_s, corners)
    row = int(np.argmax(airspeeds))
    if airspeeds[row] > airframe.max_m_s:
        dx, dy = path[row + 1, 0] - path[row, 0], path[row + 1, 1] - path[row, 1]
        course = math.degrees(math.atan2(dx, dy)) % 360.0
        where = f"{speed_m_s:.1f} m/s over ground on course {course:.0f} deg" if dx or dy else "climbing on the spot"
        wind_m_s = math.hypot(*conditions.wind.at(float(heights_m[row])))
        _check_airspeed(airframe, float(airspeeds[row]), where, wind_m_s=wind_m_s)
    return duration_s, energy_wh


def _check_airspeed(airframe: Airframe, airspeed_m_s: float, where: str, *, wind_m_s: float) -> None:
    if airspeed_m_s > airframe.max_m_s:
        raise AirspeedImpossible(
            f"{where} in a wind of {wind_m_s:.1f} m/s needs {airspeed_m_s:.1f} m/s of airspeed, "
            f"at most {airframe.max_m_s:g} m/s"
        )
