"""The way home from everywhere on a route: what it would take, and whether the battery still gives it."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fleet.air import CALM, Conditions
from fleet.airframes import Airframe, Figures, figures_of
from fleet.endurance import path_costs
from fleet.errors import BeyondBattery
from fleet.stretches import landing_kernel, stretch
from geo.positions import LocalPlane

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Margins:
    """What is left in the battery at points along a route if the vehicle turned home there."""

    points: Array
    """(n, 3) x east, y north, m AMSL, in order."""
    used_wh: Array
    """(n,) used until there, Wh."""
    home_wh: Array
    """(n,) from there to the landing place that takes least, landed, Wh; infinite where the wind is too strong."""
    home_s: Array
    """(n,) the same in time, s."""
    landing: NDArray[np.int64]
    """(n,) number of that landing place."""
    usable_wh: float
    """What the battery gives, the reserve kept back, Wh."""

    @property
    def margin_wh(self) -> Array:
        """(n,) Left after landing, besides the reserve, Wh; below 0 it is not enough."""
        return self.usable_wh - self.used_wh - self.home_wh

    @property
    def first_short(self) -> int | None:
        """Number of the first point from which the battery does not last; None where it always does."""
        short = np.flatnonzero(self.margin_wh < 0.0)
        return int(short[0]) if len(short) else None

    def check(self, plane: LocalPlane) -> None:
        """Raises BeyondBattery naming the first point from which the battery does not last."""
        number = self.first_short
        if number is None:
            return
        lon, lat = plane.to_lonlat(self.points[number, 0], self.points[number, 1])
        used_wh, home_wh = float(self.used_wh[number]), float(self.home_wh[number])
        home = f"{home_wh:.1f} Wh to return" if math.isfinite(home_wh) else "no way to return against the wind"
        raise BeyondBattery(
            f"lon {float(lon):.6f}, lat {float(lat):.6f}: {used_wh:.1f} Wh used and {home}, "
            f"{self.usable_wh:.1f} Wh usable",
            number=number,
            needed_wh=used_wh + home_wh,
            usable_wh=self.usable_wh,
        )


def return_margins(
    airframe: Airframe,
    path: Array,
    *,
    landings: Array,
    usable_wh: float,
    speed_m_s: float,
    return_amsl_m: float,
    return_speed_m_s: float | None = None,
    used_wh: float = 0.0,
    ground_amsl_m: Array | None = None,
    holds_s: Array | None = None,
    conditions: Conditions = CALM,
    step_m: float = 100.0,
) -> Margins:
    """Whether the vehicle can return from every point of a path (n, 3), x east, y north, m AMSL.

    Looked at are its points and places at most `step_m` apart in between. `landings` (m, 3) are home and rally points,
    x, y and the ground there, m AMSL; the one that takes least counts. The return climbs to `return_amsl_m`, or stays
    above it, and goes straight at `return_speed_m_s` (as on the route if not given), against the wind up there.
    `used_wh` is what the take-off took. Raises AirspeedImpossible for the route itself.
    """
    _, costs_wh = path_costs(
        airframe, path, speed_m_s=speed_m_s, ground_amsl_m=ground_amsl_m, holds_s=holds_s, conditions=conditions
    )
    used = used_wh + np.concatenate([[0.0], np.cumsum(costs_wh)])
    counts = np.maximum(1, np.ceil(np.hypot(*np.diff(path[:, :2], axis=0).T) / step_m)).astype(int)
    rows = np.concatenate([[0.0], *(number + np.arange(1, count + 1) / count for number, count in enumerate(counts))])
    points = np.column_stack([np.interp(rows, np.arange(len(path)), path[:, axis]) for axis in range(3)])
    seconds, watt_hours = return_costs(
        airframe,
        points,
        landings=landings,
        return_amsl_m=return_amsl_m,
        speed_m_s=return_speed_m_s or speed_m_s,
        conditions=conditions,
    )
    nearest = np.argmin(watt_hours, axis=1)
    each = np.arange(len(points))
    return Margins(
        points=points,
        used_wh=np.interp(rows, np.arange(len(path)), used),
        home_wh=watt_hours[each, nearest],
        home_s=seconds[each, nearest],
        landing=nearest,
        usable_wh=usable_wh,
    )


def return_costs(
    airframe: Airframe,
    points: Array,
    *,
    landings: Array,
    return_amsl_m: float,
    speed_m_s: float,
    conditions: Conditions = CALM,
) -> tuple[Array, Array]:
    """Time, s, and energy, Wh, (n, m) from each point (n, 3) to each landing place (m, 3), landed.

    As in `return_margins`; infinite where the wind asks too much airspeed. The wind is that at the return's height
    above the landing place.
    """
    return _return_costs(
        figures_of(airframe, conditions),
        np.ascontiguousarray(points, float),
        np.ascontiguousarray(landings, float).reshape(-1, 3),
        return_amsl_m,
        speed_m_s,
    )


@njit(cache=True, nogil=True)
def _return_costs(
    figures: Figures, points: Array, landings: Array, return_amsl_m: float, speed_m_s: float
) -> tuple[Array, Array]:
    seconds = np.full((len(points), len(landings)), np.inf)
    watt_hours = np.full((len(points), len(landings)), np.inf)
    for row in range(len(points)):
        x, y, amsl_m = points[row]
        level_m = max(amsl_m, return_amsl_m)
        for place in range(len(landings)):
            height_m = max(level_m - landings[place, 2], 0.0)
            up = stretch(figures, 0.0, 0.0, level_m - amsl_m, height_m, speed_m_s, 0.0, 0.0)
            over = stretch(figures, landings[place, 0] - x, landings[place, 1] - y, 0.0, height_m, speed_m_s, 0.0, 0.0)
            if max(up[2], over[2]) > figures.max_m_s:
                continue
            down = landing_kernel(figures, height_m)
            seconds[row, place] = up[0] + over[0] + down[0]
            watt_hours[row, place] = up[1] + over[1] + down[1]
    return seconds, watt_hours
