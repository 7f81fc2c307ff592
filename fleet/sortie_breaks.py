"""Where work is broken off for a full battery: the fewest flights, and of these the shortest."""

from __future__ import annotations

import math
from dataclasses import dataclass

import msgspec
import numpy as np
from numba import njit
from numpy.typing import NDArray

from fleet.air import CALM, Conditions
from fleet.airframes import Airframe, Figures, figures_of
from fleet.endurance import path_costs
from fleet.errors import BeyondBattery
from fleet.returns import return_costs
from fleet.stretches import stretch, takeoff_kernel

Array = NDArray[np.float64]
Integers = NDArray[np.int64]


class Sortie(msgspec.Struct, frozen=True, kw_only=True):
    """One flight on one battery."""

    first: int
    """Number of its first piece of work."""
    last: int
    """Number after its last piece."""
    takes_off: int
    """Number of the place that it starts from."""
    lands: int
    """Number of the place that it lands at."""
    duration_s: float
    """From take-off to landing, s."""
    energy_wh: float
    """Used, Wh."""


@dataclass(frozen=True)
class PieceCosts:
    """Work in n pieces of a fixed order, and m places to start from and land at: time, s, and energy, Wh, of each way.

    What cannot be flown is infinite.
    """

    work_s: Array
    """(n,) along each piece."""
    work_wh: Array
    """(n,) the same."""
    way_s: Array
    """(n,) from the end of the piece before to the beginning of each; that of the first is not used."""
    way_wh: Array
    """(n,) the same."""
    out_s: Array
    """(m, n) from the take-off at each place to the beginning of each piece."""
    out_wh: Array
    """(m, n) the same."""
    back_s: Array
    """(n, m) from the end of each piece to the landing at each place, landed."""
    back_wh: Array
    """(n, m) the same."""

    @classmethod
    def of_path(
        cls,
        airframe: Airframe,
        path: Array,
        begins: Integers,
        ends: Integers,
        *,
        places: Array,
        speed_m_s: float,
        return_amsl_m: float,
        ground_amsl_m: Array | None = None,
        holds_s: Array | None = None,
        conditions: Conditions = CALM,
    ) -> PieceCosts:
        """Of a path (k, 3), x east, y north, m AMSL, of which rows `begins[i]` to `ends[i]` are piece i.

        `places` (m, 3) are x, y and ground, m AMSL. Ways out and back climb to `return_amsl_m`, or where the piece is
        if that is higher, and go straight; the way back counts what coming to rest and setting out again cost at a
        break, also where the path rests anyway. Raises AirspeedImpossible for the path itself.
        """
        figures = figures_of(airframe, conditions)
        seconds, watt_hours = path_costs(
            airframe, path, speed_m_s=speed_m_s, ground_amsl_m=ground_amsl_m, holds_s=holds_s, conditions=conditions
        )
        flown_s, flown_wh = (np.concatenate([[0.0], np.cumsum(each)]) for each in (seconds, watt_hours))
        before = np.concatenate([[begins[0]], ends[:-1]])
        back_s, back_wh = return_costs(
            airframe,
            path[ends],
            landings=places,
            return_amsl_m=return_amsl_m,
            speed_m_s=speed_m_s,
            conditions=conditions,
        )
        out_s, out_wh = _ways_out(
            figures,
            np.ascontiguousarray(path[begins], float),
            np.ascontiguousarray(places, float),
            return_amsl_m,
            speed_m_s,
        )
        stop_s, stop_wh = _stop(figures, speed_m_s)
        return cls(
            work_s=flown_s[ends] - flown_s[begins],
            work_wh=flown_wh[ends] - flown_wh[begins],
            way_s=flown_s[begins] - flown_s[before],
            way_wh=flown_wh[begins] - flown_wh[before],
            out_s=out_s,
            out_wh=out_wh,
            back_s=back_s + stop_s,
            back_wh=back_wh + stop_wh,
        )


def _stop(figures: Figures, speed_m_s: float) -> tuple[float, float]:
    """Time and energy of a stop on a line across the wind."""
    length_m = 2.0 * speed_m_s**2 / figures.acceleration_m_s2
    east_m, north_m = figures.wind_north_m_s, -figures.wind_east_m_s
    wind_m_s = math.hypot(east_m, north_m)
    step = (length_m * east_m / wind_m_s, length_m * north_m / wind_m_s, 0.0) if wind_m_s else (length_m, 0.0, 0.0)
    height_m = figures.wind_reference_m
    rest, through = (stretch(figures, *step, height_m, speed_m_s, ends, ends) for ends in (0.0, math.inf))
    return rest[0] - through[0], rest[1] - through[1]


@njit(cache=True, nogil=True)
def _ways_out(
    figures: Figures, points: Array, places: Array, return_amsl_m: float, speed_m_s: float
) -> tuple[Array, Array]:
    """Time and energy (m, n) from a take-off at each place to each point; infinite where the wind is too strong."""
    seconds = np.full((len(places), len(points)), np.inf)
    watt_hours = np.full((len(places), len(points)), np.inf)
    for place in range(len(places)):
        for number in range(len(points)):
            x, y, amsl_m = points[number]
            level_m = max(amsl_m, return_amsl_m)
            height_m = level_m - places[place, 2]
            east_m, north_m = x - places[place, 0], y - places[place, 1]
            up = takeoff_kernel(figures, height_m)
            over = stretch(figures, east_m, north_m, 0.0, height_m, speed_m_s, 0.0, 0.0)
            down = stretch(figures, 0.0, 0.0, amsl_m - level_m, height_m, speed_m_s, 0.0, 0.0)
            if max(up[2], over[2], down[2]) <= figures.max_m_s:
                seconds[place, number] = up[0] + over[0] + down[0]
                watt_hours[place, number] = up[1] + over[1] + down[1]
    return seconds, watt_hours


def breaks(
    costs: PieceCosts,
    *,
    usable_wh: float,
    swap_s: Array | float = 0.0,
    start: int = 0,
    end: int | None = 0,
    items: Integers | None = None,
    most_items: int | None = None,
    lonlat: Array | None = None,
) -> tuple[Sortie, ...]:
    """The pieces in their order as the fewest flights that each fit in a battery, and of these the shortest in all.

    From the end of every piece some place can be reached. `swap_s` is the time for a fresh battery, at each place (m,)
    or everywhere; the first flight starts at place `start`, the last one lands at `end` (None: anywhere). A flight has
    at most `most_items` of the `items` (n,) that each piece needs. `lonlat` (n, 2), deg, names the pieces' places in
    errors. Raises BeyondBattery naming the first piece that no flight can do: Wh needed, Wh usable.
    """
    count, places = costs.back_wh.shape
    load = np.zeros(count, np.int64) if items is None else np.ascontiguousarray(items, np.int64)
    parents, furthest = _search(
        np.array([costs.work_s, costs.work_wh], float),
        np.array([costs.way_s, costs.way_wh], float),
        np.array([costs.out_s, costs.out_wh], float),
        np.array([costs.back_s, costs.back_wh], float),
        usable_wh,
        np.broadcast_to(np.asarray(swap_s, float), places).copy(),
        start,
        -1 if end is None else end,
        load,
        np.iinfo(np.int64).max if most_items is None else most_items,
    )
    if furthest < count:
        raise _beyond(costs, furthest, usable_wh, start, end, lonlat)
    flights: list[Sortie] = []
    last, lands = count, int(parents[count, places, 0])
    while last > 0:
        first, takes_off = int(parents[last, lands, 0]), int(parents[last, lands, 1])
        seconds, watt_hours = (
            float(out[takes_off, first] + work[first:last].sum() + way[first + 1 : last].sum() + back[last - 1, lands])
            for out, work, way, back in (
                (costs.out_s, costs.work_s, costs.way_s, costs.back_s),
                (costs.out_wh, costs.work_wh, costs.way_wh, costs.back_wh),
            )
        )
        flights.append(
            Sortie(first=first, last=last, takes_off=takes_off, lands=lands, duration_s=seconds, energy_wh=watt_hours)
        )
        last, lands = first, takes_off
    return tuple(reversed(flights))


def _beyond(
    costs: PieceCosts, furthest: int, usable_wh: float, start: int, end: int | None, lonlat: Array | None
) -> BeyondBattery:
    """Of the first piece that does not fit alone, or else of the first that no chain of flights reaches."""
    out_wh, back_wh = costs.out_wh.min(axis=0), costs.back_wh.min(axis=1)
    out_wh[0] = costs.out_wh[start, 0]
    if end is not None:
        back_wh[-1] = costs.back_wh[-1, end]
    alone_wh = out_wh + costs.work_wh + back_wh
    short = np.flatnonzero(~(alone_wh <= usable_wh))
    number = int(short[0]) if len(short) else furthest
    needed_wh = float(alone_wh[number])
    where = f"piece {number}" if lonlat is None else f"lon {lonlat[number, 0]:.6f}, lat {lonlat[number, 1]:.6f}"
    if not len(short):
        text = f"{where}: no chain of flights between the landing places reaches it, {usable_wh:.1f} Wh usable in each"
    elif math.isfinite(needed_wh):
        text = f"{where}: {needed_wh:.1f} Wh needed to fly there, do the work and return, {usable_wh:.1f} Wh usable"
    else:
        text = f"{where}: cannot be flown to and returned from in this wind"
    return BeyondBattery(text, number=number, needed_wh=needed_wh, usable_wh=usable_wh)


@njit(cache=True, nogil=True)
def _search(
    work: Array,
    way: Array,
    out: Array,
    back: Array,
    usable_wh: float,
    swap_s: Array,
    start: int,
    end: int,
    load: Integers,
    most_load: int,
) -> tuple[Integers, int]:
    """By dynamic programming over pieces done and places landed at; the first axis of each cost is s, Wh.

    For each such state the flight that ended in it: its first piece and its start; `[n, m, 0]` is the best last place.
    And how many pieces can be done.
    """
    _, count, places = back.shape
    flights = np.full((count + 1, places), count + 1)
    seconds = np.full((count + 1, places), np.inf)
    parents = np.full((count + 1, places + 1, 2), -1)
    flights[0, start], seconds[0, start] = 0, 0.0
    furthest = 0
    nearest_wh = np.array([back[1, last].min() for last in range(count)])
    for first in range(count):
        for place in range(places):
            if flights[first, place] > count:
                continue
            energy_wh, time_s, carried = out[1, place, first], seconds[first, place] + out[0, place, first], 0
            for last in range(first, count):
                if last > first:
                    energy_wh += way[1, last]
                    time_s += way[0, last]
                energy_wh += work[1, last]
                time_s += work[0, last]
                carried += load[last]
                if not energy_wh + nearest_wh[last] <= usable_wh or carried > most_load:
                    break
                for lands in range(places):
                    whole = last + 1 == count
                    if not energy_wh + back[1, last, lands] <= usable_wh or (whole and end >= 0 and lands != end):
                        continue
                    flown_s = time_s + back[0, last, lands] + (0.0 if whole else swap_s[lands])
                    number = flights[first, place] + 1
                    if number < flights[last + 1, lands] or (
                        number == flights[last + 1, lands] and flown_s < seconds[last + 1, lands]
                    ):
                        flights[last + 1, lands], seconds[last + 1, lands] = number, flown_s
                        parents[last + 1, lands, 0], parents[last + 1, lands, 1] = first, place
                        furthest = max(furthest, last + 1)
    best = 0
    for lands in range(1, places):
        fewer = flights[count, lands] < flights[count, best]
        if fewer or (flights[count, lands] == flights[count, best] and seconds[count, lands] < seconds[count, best]):
            best = lands
    parents[count, places, 0] = best
    return parents, furthest
