"""What a flight costs in time and energy: legs, corners, climbs, take-off, landing and standing still, in wind."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from fleet.air import CALM, LEAST_HEIGHT_M, Conditions
from fleet.airframes import GRAVITY_M_S2, Figures, Kind, figures_of, power_kernel_w
from fleet.airframes import Airframe as Airframe
from fleet.errors import AirspeedImpossible

Array = NDArray[np.float64]

SPOOL_S = 3.0
"""From the order to take off to the lift, s."""
PAUSE_S = 5.0
"""Over the place before it lands, s: ArduCopter's RTL_LOIT_TIME as it comes."""


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
    allows. `speed_m_s` is over ground. `ground_amsl_m` (n,) is the ground below each point, for the growth of the wind
    with height (None: the wind as measured, everywhere). `holds_s` (n,) is time to stand still, or circle, at each
    point; it counts to the stretch that ends there, that of the first point to the first stretch. Raises
    AirspeedImpossible.
    """
    path = np.ascontiguousarray(path[:, :3], float)
    if len(path) < 2:
        return np.zeros(0), np.zeros(0)
    flat = np.full(len(path), conditions.wind.reference_m)
    heights_m = flat if ground_amsl_m is None else path[:, 2] - ground_amsl_m
    figures = figures_of(airframe, conditions)
    corners = _corner_speeds_m_s(figures, path)
    if holds_s is not None and airframe.kind is Kind.MULTIROTOR:
        corners[holds_s > 0.0] = 0.0
    middles_m = (heights_m[1:] + heights_m[:-1]) / 2.0
    duration_s, energy_wh = _flown(airframe, path, middles_m, speed_m_s, corners, conditions)
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
    spool = Cost(SPOOL_S, airframe.avionics_w * SPOOL_S / 3600.0)
    return spool + _upright(airframe, climb_m, middle_m=climb_m / 2.0, conditions=conditions)


def landing_cost(airframe: Airframe, *, descent_m: float, conditions: Conditions = CALM) -> Cost:
    """From `descent_m` above the ground straight down to it. Raises AirspeedImpossible."""
    if airframe.kind is Kind.FIXED_WING:
        return _upright(airframe, -descent_m, middle_m=descent_m / 2.0, conditions=conditions)
    slow_m = min(descent_m, airframe.landing_below_m)
    power_w = airframe.power_w(
        math.hypot(*conditions.wind.at(slow_m / 2.0)), -airframe.landing_m_s, conditions=conditions
    )
    slow_s = slow_m / airframe.landing_m_s
    return (
        hover_cost(airframe, duration_s=PAUSE_S, height_m=descent_m, conditions=conditions)
        + _upright(airframe, slow_m - descent_m, middle_m=(descent_m + slow_m) / 2.0, conditions=conditions)
        + Cost(slow_s, power_w * slow_s / 3600.0)
    )


def _upright(airframe: Airframe, climb_m: float, *, middle_m: float, conditions: Conditions) -> Cost:
    """Straight up or down, from rest to rest."""
    path = np.array([[0.0, 0.0, 0.0], [0.0, 0.0, climb_m]])
    duration_s, energy_wh = _flown(airframe, path, np.array([middle_m]), 1.0, np.zeros(2), conditions)
    return Cost(float(duration_s[0]), float(energy_wh[0]))


def _flown(
    airframe: Airframe, path: Array, heights_m: Array, speed_m_s: float, corners: Array, conditions: Conditions
) -> tuple[Array, Array]:
    if not speed_m_s > 0.0:
        raise AirspeedImpossible(f"a ground speed of {speed_m_s:g} m/s is not above 0")
    duration_s, energy_wh, airspeeds = _fly(figures_of(airframe, conditions), path, heights_m, speed_m_s, corners)
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


@njit(cache=True)
def _corner_speeds_m_s(figures: Figures, path: Array) -> Array:
    """Speed (n,) at which each corner is passed so that it carries outward by no more than the overshoot; 0 at ends."""
    count = len(path)
    speeds = np.zeros(count)
    if figures.wing:
        speeds[:] = np.inf
        return speeds
    for row in range(1, count - 1):
        ax, ay = path[row, 0] - path[row - 1, 0], path[row, 1] - path[row - 1, 1]
        bx, by = path[row + 1, 0] - path[row, 0], path[row + 1, 1] - path[row, 1]
        lengths = math.hypot(ax, ay) * math.hypot(bx, by)
        if lengths > 0.0:
            cosine = min(max((ax * bx + ay * by) / lengths, -1.0), 1.0)
            turned = math.sqrt(2.0 - 2.0 * cosine)  # change of the velocity for each m/s
            speeds[row] = figures.corner_m_s / turned if turned > 1e-9 else np.inf
    return speeds


@njit(cache=True)
def _fly(
    figures: Figures, path: Array, heights_m: Array, speed_m_s: float, corners: Array
) -> tuple[Array, Array, Array]:
    """Time, s, energy, Wh, and airspeed, m/s, (n - 1,) of each stretch, its middle at `heights_m` above ground."""
    count = len(path) - 1
    duration_s, energy_wh, airspeeds = np.zeros(count), np.zeros(count), np.zeros(count)
    load = math.hypot(1.0, figures.acceleration_m_s2 / GRAVITY_M_S2)
    for row in range(count):
        dx, dy = path[row + 1, 0] - path[row, 0], path[row + 1, 1] - path[row, 1]
        climb_m = path[row + 1, 2] - path[row, 2]
        length_m = math.hypot(dx, dy)
        rate_m_s = figures.climb_m_s if climb_m > 0.0 else figures.descent_m_s
        rise_s = abs(climb_m) / rate_m_s
        if length_m == 0.0 and rise_s == 0.0:
            continue
        growth = (max(heights_m[row], LEAST_HEIGHT_M) / figures.wind_reference_m) ** figures.wind_exponent
        east, north = figures.wind_east_m_s * growth, figures.wind_north_m_s * growth
        along, across = math.hypot(east, north), 0.0
        if length_m > 0.0:
            along = (east * dx + north * dy) / length_m
            across = abs(east * dy - north * dx) / length_m
        if figures.wing:
            duration_s[row], airspeeds[row], power_w = _winged(
                figures, length_m, climb_m, rise_s, speed_m_s, along, across
            )
            energy_wh[row] = power_w * duration_s[row] / 3600.0
            continue
        if length_m == 0.0:
            hover_w = power_kernel_w(figures, along, 0.0, 1.0)
            slower_s = rate_m_s / figures.climb_acceleration_m_s2 if corners[row] == 0.0 else 0.0
            joules = power_kernel_w(figures, along, climb_m / rise_s, 1.0) * rise_s + hover_w * slower_s
            airspeeds[row], duration_s[row], energy_wh[row] = along, rise_s + slower_s, joules / 3600.0
            continue
        cruise_m_s = min(speed_m_s, length_m / rise_s) if rise_s > 0.0 else speed_m_s
        enter, leave = min(corners[row], cruise_m_s), min(corners[row + 1], cruise_m_s)
        double_m = 2.0 * figures.acceleration_m_s2 * length_m
        fastest = min(cruise_m_s, math.sqrt((double_m + enter * enter + leave * leave) / 2.0))
        fastest = max(fastest, enter, leave)
        speeding_s = (2.0 * fastest - enter - leave) / figures.acceleration_m_s2
        speeding_m = (2.0 * fastest * fastest - enter * enter - leave * leave) / (2.0 * figures.acceleration_m_s2)
        even_s = max(length_m - speeding_m, 0.0) / fastest
        whole_s = even_s + speeding_s
        airspeeds[row] = math.hypot(fastest - along, across)
        even_w = power_kernel_w(figures, airspeeds[row], climb_m / whole_s, 1.0)
        joules = even_w * even_s
        if speeding_s > 0.0:
            middle = math.hypot(0.5 * fastest + 0.25 * (enter + leave) - along, across)
            joules += speeding_s * power_kernel_w(figures, middle, climb_m / whole_s, load)
        if leave == 0.0:
            whole_s += figures.settle_s
            joules += power_kernel_w(figures, math.hypot(along, across), 0.0, 1.0) * figures.settle_s
        duration_s[row], energy_wh[row] = whole_s, joules / 3600.0
    return duration_s, energy_wh, airspeeds


@njit(cache=True)
def _winged(
    figures: Figures,
    length_m: float,
    climb_m: float,
    rise_s: float,
    speed_m_s: float,
    along_m_s: float,
    across_m_s: float,
) -> tuple[float, float, float]:
    """Time, s, airspeed, m/s, and power, W, of a stretch that a fixed wing flies; it circles where height takes time.

    A wind from behind that would leave it too slow in the air makes it faster over ground.
    """
    ground_m_s, airspeed = speed_m_s, math.hypot(speed_m_s - along_m_s, across_m_s)
    if length_m > 0.0 and airspeed < figures.min_m_s:
        airspeed = figures.min_m_s
        ground_m_s = along_m_s + math.sqrt(max(airspeed * airspeed - across_m_s * across_m_s, 0.0))
    travel_s = length_m / ground_m_s
    duration_s = max(travel_s, rise_s)
    rate_m_s = climb_m / duration_s
    if length_m == 0.0:
        airspeed = max(figures.circling_m_s, math.hypot(along_m_s, across_m_s))
    straight_w = power_kernel_w(figures, airspeed, rate_m_s, 1.0)
    circling_w = power_kernel_w(figures, figures.circling_m_s, rate_m_s, figures.load)
    power_w = (straight_w * travel_s + circling_w * (duration_s - travel_s)) / duration_s
    return duration_s, airspeed, power_w
