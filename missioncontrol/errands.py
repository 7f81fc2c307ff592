"""Errands: one vehicle's way to an outlook, the time there and the way back, in seconds and watt-hours."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fleet.air import Conditions
from fleet.endurance import Airframe, hover_cost, landing_cost, path_costs, takeoff_cost
from geo.outlooks import Outlook
from geo.positions import LocalPlane
from geo.terrain import Terrain

Array = NDArray[np.float64]

AIRSPEED_SHARE = 0.9
"""Of the highest airspeed, what is flown at; the rest is for gusts."""
GROUND_STEP_M = 100.0
"""The ground below a way is looked at so often."""


@dataclass(frozen=True, kw_only=True)
class Errand:
    """What a vehicle has to do, and over what."""

    outlook: Outlook
    """Where it is to be."""
    height_m: float
    """Above the ground on the way, m."""
    hold_s: float
    """At the outlook, s."""
    plane: LocalPlane
    """Of all places."""
    terrain: Terrain
    """Below them."""
    conditions: Conditions
    """Wind and air."""


@dataclass(frozen=True, kw_only=True)
class Reckoned:
    """What an errand takes."""

    arrives_s: float
    """From the order until it stands at the outlook, s."""
    way_m: float
    """Length of the way there, m."""
    energy_wh: float
    """There, the hold, back to where it began, landed, Wh."""


def ground_speed_m_s(airframe: Airframe, way: Array, errand: Errand) -> float:
    """What an airframe makes over ground on every leg of a way (k, 2), there and back, in the wind; below 0: not."""
    along = np.diff(way, axis=0)
    lengths = np.hypot(*along.T)
    along = along[lengths > 1.0] / lengths[lengths > 1.0, None]
    wind = np.array(errand.conditions.wind.at(max(errand.height_m, errand.outlook.height_m)))
    airspeed = AIRSPEED_SHARE * airframe.max_m_s
    if not len(along):
        return airspeed - float(np.hypot(*wind))
    with_it = along @ wind
    across2 = wind @ wind - with_it**2
    return float(np.min(np.sqrt(np.maximum(airspeed**2 - across2, 0.0)) - np.abs(with_it)))


def reckon(
    errand: Errand, airframe: Airframe, way: Array, *, speed_m_s: float, airborne_amsl_m: float | None = None
) -> Reckoned:
    """Time and energy along a way (k, 2) on the plane from the vehicle to the outlook, and back along it.

    `airborne_amsl_m` is the height of one that is in the air already; one on the ground takes off first. Raises
    AirspeedImpossible, TerrainMissing.
    """
    conditions = errand.conditions
    path, ground_m = _profile(errand, way, airborne_amsl_m)
    above_m = float(path[0, 2] - ground_m[0])
    out_s, out_wh = path_costs(airframe, path, speed_m_s=speed_m_s, ground_amsl_m=ground_m, conditions=conditions)
    _, back_wh = path_costs(
        airframe, path[::-1], speed_m_s=speed_m_s, ground_amsl_m=ground_m[::-1], conditions=conditions
    )
    there = hover_cost(
        airframe, duration_s=errand.hold_s, height_m=errand.outlook.height_m, conditions=conditions
    ) + landing_cost(airframe, descent_m=above_m, conditions=conditions)
    arrives_s, energy_wh = float(out_s.sum()), float(out_wh.sum() + back_wh.sum()) + there.energy_wh
    if airborne_amsl_m is None:
        start = takeoff_cost(airframe, climb_m=above_m, conditions=conditions)
        arrives_s, energy_wh = arrives_s + start.duration_s, energy_wh + start.energy_wh
    return Reckoned(arrives_s=arrives_s, way_m=float(np.hypot(*np.diff(way, axis=0).T).sum()), energy_wh=energy_wh)


def _profile(errand: Errand, way: Array, airborne_amsl_m: float | None) -> tuple[Array, Array]:
    """The way (k, 3) with heights, m AMSL, and the ground below its places.

    Evenly from above the start to above the ground below the outlook, or, where that comes too near the ground, high
    enough over all of it; then straight up or down to the outlook.
    """
    height_m, plane = errand.height_m, errand.plane
    lengths = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(way, axis=0).T))])
    steps = np.linspace(0.0, lengths[-1], max(2, int(lengths[-1] / GROUND_STEP_M) + 1))
    places = np.column_stack([np.interp(steps, lengths, way[:, axis]) for axis in (0, 1)])
    ground_m = errand.terrain.amsl_m(*plane.to_lonlat(places[:, 0], places[:, 1]))
    first_m = float(ground_m[0]) + height_m if airborne_amsl_m is None else airborne_amsl_m
    last_m = float(ground_m[-1]) + height_m
    levels = first_m + (last_m - first_m) * lengths / max(float(lengths[-1]), 1e-9)
    if (np.interp(steps, lengths, levels) - ground_m < height_m / 2).any():
        over_m = max(first_m, last_m, float(ground_m.max()) + height_m)
        levels = np.concatenate([[first_m], np.full(len(way), over_m)])
        way, lengths = np.vstack([way[:1], way]), np.concatenate([[0.0], lengths])
    way, lengths = np.vstack([way, way[-1:]]), np.append(lengths, lengths[-1])
    levels = np.append(levels, errand.outlook.level_amsl_m)
    return np.column_stack([way, levels]), np.interp(lengths, steps, ground_m)
