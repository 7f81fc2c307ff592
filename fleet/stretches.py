"""Time and energy of straight stretches in wind, compiled."""

from __future__ import annotations

import math

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fleet.air import LEAST_HEIGHT_M
from fleet.airframes import GRAVITY_M_S2, Figures, power_kernel_w

Array = NDArray[np.float64]

SPOOL_S = 3.0
"""From the order to take off to the lift, s."""
PAUSE_S = 5.0
"""Over the place before it lands, s: ArduCopter's RTL_LOIT_TIME as it comes."""


@njit(cache=True, nogil=True)
def corner_speeds_m_s(figures: Figures, path: Array) -> Array:
    """Speed (n,) at which each corner is passed so that it carries outward by no more than the overshoot; 0 at ends."""
    count = len(path)
    speeds = np.zeros(count)
    if figures.wing:
        speeds[:] = np.inf
        return speeds
    for row in range(1, count - 1):
        before, after = row - 1, row + 1
        while before > 0 and (path[before] == path[row]).all():
            before -= 1
        while after < count - 1 and (path[after] == path[row]).all():
            after += 1
        ax, ay = path[row, 0] - path[before, 0], path[row, 1] - path[before, 1]
        bx, by = path[after, 0] - path[row, 0], path[after, 1] - path[row, 1]
        lengths = math.hypot(ax, ay) * math.hypot(bx, by)
        if lengths > 0.0:
            cosine = min(max((ax * bx + ay * by) / lengths, -1.0), 1.0)
            turned = math.sqrt(2.0 - 2.0 * cosine)  # change of the velocity for each m/s
            speeds[row] = figures.corner_m_s / turned if turned > 1e-9 else np.inf
    return speeds


@njit(cache=True, nogil=True)
def banked_wh(figures: Figures, path: Array, speed_m_s: float) -> Array:
    """Energy (n - 1,) by which the turn of a fixed wing at the beginning of each stretch is dearer than going straight,
    Wh; what the turn adds to the way is not in it."""
    count = len(path) - 1
    dearer_wh = np.zeros(count)
    airspeed = min(max(speed_m_s, figures.min_m_s), figures.max_m_s)
    dearer_w = power_kernel_w(figures, airspeed, 0.0, figures.load) - power_kernel_w(figures, airspeed, 0.0, 1.0)
    rate_rad_s = GRAVITY_M_S2 * math.sqrt(figures.load * figures.load - 1.0) / airspeed
    for row in range(1, count):
        ax, ay = path[row, 0] - path[row - 1, 0], path[row, 1] - path[row - 1, 1]
        bx, by = path[row + 1, 0] - path[row, 0], path[row + 1, 1] - path[row, 1]
        turned_rad = abs(math.atan2(ax * by - ay * bx, ax * bx + ay * by))
        dearer_wh[row] = dearer_w * turned_rad / rate_rad_s / 3600.0
    return dearer_wh


@njit(cache=True, nogil=True)
def fly(
    figures: Figures, path: Array, heights_m: Array, speed_m_s: float, corners: Array
) -> tuple[Array, Array, Array]:
    """Time, s, energy, Wh, and airspeed, m/s, (n - 1,) of each stretch of a path (n, 3), its middle at `heights_m`
    above ground, its ends passed at the speeds `corners` (n,)."""
    count = len(path) - 1
    duration_s, energy_wh, airspeeds = np.zeros(count), np.zeros(count), np.zeros(count)
    for row in range(count):
        step = path[row + 1] - path[row]
        duration_s[row], energy_wh[row], airspeeds[row] = stretch(
            figures, step[0], step[1], step[2], heights_m[row], speed_m_s, corners[row], corners[row + 1]
        )
    return duration_s, energy_wh, airspeeds


@njit(cache=True, nogil=True)
def wind_at(figures: Figures, height_m: float) -> tuple[float, float]:
    """Towards east and north, m/s: Wind.at."""
    growth = (max(height_m, LEAST_HEIGHT_M) / figures.wind_reference_m) ** figures.wind_exponent
    return figures.wind_east_m_s * growth, figures.wind_north_m_s * growth


@njit(cache=True, nogil=True)
def stretch(
    figures: Figures,
    east_m: float,
    north_m: float,
    climb_m: float,
    height_m: float,
    speed_m_s: float,
    enter_m_s: float,
    leave_m_s: float,
) -> tuple[float, float, float]:
    """Time, s, energy, Wh, and airspeed, m/s, of a straight stretch, entered and left at those speeds over ground."""
    length_m = math.hypot(east_m, north_m)
    rate_m_s = figures.climb_m_s if climb_m > 0.0 else figures.descent_m_s
    rise_s = abs(climb_m) / rate_m_s
    if length_m == 0.0 and rise_s == 0.0:
        return 0.0, 0.0, 0.0
    east, north = wind_at(figures, height_m)
    along, across = math.hypot(east, north), 0.0
    if length_m > 0.0:
        along = (east * east_m + north * north_m) / length_m
        across = abs(east * north_m - north * east_m) / length_m
    if figures.wing:
        return _winged(figures, length_m, climb_m, rise_s, speed_m_s, along, across)
    standing_w = power_kernel_w(figures, math.hypot(along, across), 0.0, 1.0)
    if length_m == 0.0:
        slower_s = rate_m_s / figures.climb_acceleration_m_s2 if enter_m_s == 0.0 else 0.0
        joules = power_kernel_w(figures, along, climb_m / rise_s, 1.0) * rise_s + standing_w * slower_s
        return rise_s + slower_s, joules / 3600.0, along
    cruise = min(speed_m_s, length_m / rise_s) if rise_s > 0.0 else speed_m_s
    enter, leave = min(enter_m_s, cruise), min(leave_m_s, cruise)
    reachable = math.sqrt(figures.acceleration_m_s2 * length_m + 0.5 * (enter * enter + leave * leave))
    fastest = max(min(cruise, reachable), enter, leave)
    speeding_s = (2.0 * fastest - enter - leave) / figures.acceleration_m_s2
    speeding_m = (2.0 * fastest * fastest - enter * enter - leave * leave) / (2.0 * figures.acceleration_m_s2)
    even_s = max(length_m - speeding_m, 0.0) / fastest
    whole_s = even_s + speeding_s
    airspeed = math.hypot(fastest - along, across)
    joules = power_kernel_w(figures, airspeed, climb_m / whole_s, 1.0) * even_s
    if speeding_s > 0.0:
        middle = math.hypot(0.5 * fastest + 0.25 * (enter + leave) - along, across)
        load = math.hypot(1.0, figures.acceleration_m_s2 / GRAVITY_M_S2)
        joules += power_kernel_w(figures, middle, climb_m / whole_s, load) * speeding_s
    if leave == 0.0:
        whole_s += figures.settle_s
        joules += standing_w * figures.settle_s
    return whole_s, joules / 3600.0, airspeed


@njit(cache=True, nogil=True)
def takeoff_kernel(figures: Figures, climb_m: float) -> tuple[float, float, float]:
    """Time, s, energy, Wh, and airspeed, m/s, from the order to take off until it stands at that height."""
    rise_s, rise_wh, airspeed = stretch(figures, 0.0, 0.0, climb_m, climb_m / 2.0, 1.0, 0.0, 0.0)
    return SPOOL_S + rise_s, figures.avionics_w * SPOOL_S / 3600.0 + rise_wh, airspeed


@njit(cache=True, nogil=True)
def landing_kernel(figures: Figures, descent_m: float) -> tuple[float, float]:
    """Time, s, and energy, Wh, from that height above the ground down to it; a multirotor pauses first."""
    if figures.wing:
        duration_s, energy_wh, _ = stretch(figures, 0.0, 0.0, -descent_m, descent_m / 2.0, 1.0, 0.0, 0.0)
        return duration_s, energy_wh
    slow_m = min(descent_m, figures.landing_below_m)
    fast_s, energy_wh, _ = stretch(figures, 0.0, 0.0, slow_m - descent_m, (descent_m + slow_m) / 2.0, 1.0, 0.0, 0.0)
    above, below = wind_at(figures, descent_m), wind_at(figures, slow_m / 2.0)
    energy_wh += power_kernel_w(figures, math.hypot(above[0], above[1]), 0.0, 1.0) * PAUSE_S / 3600.0
    slow_s = slow_m / figures.landing_m_s
    slow_w = power_kernel_w(figures, math.hypot(below[0], below[1]), -figures.landing_m_s, 1.0)
    return PAUSE_S + fast_s + slow_s, energy_wh + slow_w * slow_s / 3600.0


@njit(cache=True, nogil=True)
def _winged(
    figures: Figures,
    length_m: float,
    climb_m: float,
    rise_s: float,
    speed_m_s: float,
    along_m_s: float,
    across_m_s: float,
) -> tuple[float, float, float]:
    """Of a fixed wing: time, s, energy, Wh, and airspeed, m/s; it circles where height takes time.

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
    return duration_s, power_w * duration_s / 3600.0, airspeed
