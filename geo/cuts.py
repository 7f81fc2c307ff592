"""Cuts of lines between two flyers, slid along the lines so that the longest time is shorter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.legs import Leg
from geo.pieces import Piece

Array = NDArray[np.float64]
Codes = NDArray[np.int64]
Rings = list[list[list[int]]]

SHARPER = (30.0, 100.0, 300.0, 1000.0)
"""How much more the longest time costs than others, in turn."""
SWEEPS = 12
"""Over all cuts, at each of these."""
SECTIONS = 28
"""Of a search along one line, which leave a millionth of it."""
LEAST_M = 1.0
"""A stretch that becomes shorter goes to its neighbour as a whole."""


class Cuts(NamedTuple):
    """Cuts between two stretches of a line that different flyers fly; all m and s, points (p, 2) as in `Task`."""

    low: Codes
    """(c,) the stretch that ends at the cut."""
    high: Codes
    """(c,) the stretch that begins there."""
    points: Array
    """(p, 2) where stretches begin and end, and where flyers stand."""
    feet: Array
    """(n, 2) where the line of each stretch begins: not where a photographed turn to it does."""
    mate: Codes
    """(p,) the point that a way leads to from each, before its stretch or after it."""
    trip: Codes
    """(n,) of each stretch."""
    flyer: Codes
    """(t,) of each trip."""
    trip_s: Array
    """(t,) how long each takes."""
    flyer_s: Array
    """(v,) with the time on the ground."""
    pace: Array
    """(v,) s for each m of line."""
    slowness: Array
    """(v,) s for each m of way."""
    endurance_s: Array
    """(v,) longest trip."""


def slid(
    pieces: Sequence[Piece], rings: Rings, points: Array, trips_s: Sequence[Sequence[float]], pace: Array,
    slowness: Array, endurance_s: Array, swap_s: Array,
) -> tuple[tuple[Piece, ...], Rings]:  # fmt: skip
    """The pieces with their cuts slid, and the trips of them; ways are taken as straight.

    `rings` are the trips of each flyer as points at which pieces are entered, `trips_s` how long they take.
    """
    count = len(pieces)
    trip, mate = np.full(count, -1), np.full(len(points), -1)
    flyers = [flyer for flyer, trips in enumerate(rings) for _ in trips]
    for number, codes in enumerate(codes for trips in rings for codes in trips):
        home = 2 * count + flyers[number]
        places = [home, *(place for code in codes for place in (code, code ^ 1)), home]
        mate[places[1:-1:2]], mate[places[2:-1:2]] = places[:-2:2], places[3::2]
        trip[[code // 2 for code in codes]] = number
    owner = np.array(flyers)[trip]
    same = np.array([before.number == after.number for before, after in pairwise(pieces)], bool)
    low = np.flatnonzero(same & (owner[:-1] != owner[1:]))
    swaps_s = [swap_s[flyer] * max(0, len(times) - 1) for flyer, times in enumerate(trips_s)]
    cuts = Cuts(
        low=low,
        high=low + 1,
        points=points.copy(),
        feet=np.array([piece.line.start for piece in pieces]),
        mate=mate,
        trip=trip,
        flyer=np.array(flyers),
        trip_s=np.array([time_s for times in trips_s for time_s in times]),
        flyer_s=np.array([sum(times) for times in trips_s]) + swaps_s,
        pace=pace,
        slowness=slowness,
        endurance_s=endurance_s,
    )
    _slide(cuts)
    return _recut(pieces, rings, cuts)


def _recut(pieces: Sequence[Piece], rings: Rings, cuts: Cuts) -> tuple[tuple[Piece, ...], Rings]:
    """The pieces as their cuts lie, without those that became too short, and the trips of what is left."""
    count = len(pieces)
    starts, ends, kept = cuts.feet.copy(), cuts.points[1 : 2 * count : 2].copy(), np.ones(count, bool)
    lows, highs = set(cuts.low.tolist()), set(cuts.high.tolist())
    for at in sorted(lows | highs):
        if pieces[at].turn or _apart(starts[at], ends[at]) >= LEAST_M:
            continue
        if at in lows:
            starts[at + 1], kept[at] = starts[at], False
        elif kept[at - 1]:
            ends[at - 1], kept[at] = ends[at], False
    left: list[int] = np.flatnonzero(kept).tolist()
    numbers = np.array([pieces[at].number for at in left])
    firsts = np.searchsorted(numbers, numbers)
    parts = np.searchsorted(numbers, numbers, side="right") - firsts
    recut = tuple(
        replace(
            pieces[at],
            line=_between(pieces[at].line, starts[at], ends[at]),
            part=place - int(firsts[place]),
            parts=int(parts[place]),
            approach=pieces[left[firsts[place]]].approach if place == firsts[place] else (),
        )
        for place, at in enumerate(left)
    )
    places = np.cumsum(kept) - 1
    codes_left = [
        [[2 * int(places[code // 2]) + code % 2 for code in codes if kept[code // 2]] for codes in trips]
        for trips in rings
    ]
    return recut, [[codes for codes in trips if codes] for trips in codes_left]


def _between(line: Leg, start: Array, end: Array) -> Leg:
    """The stretch of a line, which may reach beyond it, between two places on it."""
    if tuple(start) == line.start and tuple(end) == line.end:
        return line
    levels = None
    if line.levels_amsl_m is not None:
        along = np.subtract(line.end, line.start)
        shares = (np.array([start, end]) - line.start) @ along / (along @ along)
        low, high = (line.levels_amsl_m[0] + shares * (line.levels_amsl_m[1] - line.levels_amsl_m[0])).tolist()
        levels = low, high
    (x0, y0), (x1, y1) = start.tolist(), end.tolist()
    return replace(line, start=(x0, y0), end=(x1, y1), levels_amsl_m=levels)


@njit(cache=True, nogil=True)
def _apart(a: Array, b: Array) -> float:
    return float(np.hypot(a[0] - b[0], a[1] - b[1]))


@njit(cache=True, nogil=True)
def _changes(cuts: Cuts, cut: int, place: Array) -> tuple[float, float]:
    """By how much the flyers below and above a cut take longer if it is at a place of its line, s."""
    end, begin = 2 * cuts.low[cut] + 1, 2 * cuts.high[cut]
    below, above = cuts.flyer[cuts.trip[cuts.low[cut]]], cuts.flyer[cuts.trip[cuts.high[cut]]]
    here, foot, head = cuts.points[end], cuts.feet[cuts.low[cut]], cuts.points[2 * cuts.high[cut] + 1]
    before, after = cuts.points[cuts.mate[end]], cuts.points[cuts.mate[begin]]
    lower = (_apart(foot, place) - _apart(foot, here)) * cuts.pace[below]
    lower += (_apart(place, before) - _apart(here, before)) * cuts.slowness[below]
    upper = (_apart(head, place) - _apart(head, here)) * cuts.pace[above]
    upper += (_apart(place, after) - _apart(here, after)) * cuts.slowness[above]
    return lower, upper


@njit(cache=True, nogil=True)
def _felt(cuts: Cuts, cut: int, place: Array, longest_s: float, sharp: float) -> float:
    """What the times of both flyers cost with a cut at a place; infinite beyond an endurance."""
    lower, upper = _changes(cuts, cut, place)
    one, other = cuts.trip[cuts.low[cut]], cuts.trip[cuts.high[cut]]
    below, above = cuts.flyer[one], cuts.flyer[other]
    if lower > 0 and cuts.trip_s[one] + lower > cuts.endurance_s[below] - 1e-6:
        return np.inf
    if upper > 0 and cuts.trip_s[other] + upper > cuts.endurance_s[above] - 1e-6:
        return np.inf
    scale = sharp / longest_s
    return float(
        np.exp((cuts.flyer_s[below] + lower - longest_s) * scale)
        + np.exp((cuts.flyer_s[above] + upper - longest_s) * scale)
    )


@njit(cache=True, nogil=True)
def _slide(cuts: Cuts) -> None:
    golden = (np.sqrt(5.0) - 1.0) / 2.0
    for sharp in SHARPER:
        for _ in range(SWEEPS):
            longest_s = cuts.flyer_s.max()
            for cut in range(len(cuts.low)):
                foot, head = cuts.feet[cuts.low[cut]], cuts.points[2 * cuts.high[cut] + 1]
                here = cuts.points[2 * cuts.low[cut] + 1].copy()
                long_m = _apart(foot, head)
                if long_m == 0.0:
                    continue
                now = _apart(foot, here) / long_m
                left, right = 0.0, 1.0
                one, other = right - golden * (right - left), left + golden * (right - left)
                at_one = _felt(cuts, cut, foot + one * (head - foot), longest_s, sharp)
                at_other = _felt(cuts, cut, foot + other * (head - foot), longest_s, sharp)
                for _section in range(SECTIONS):
                    if at_one < at_other or (at_one == np.inf and at_other == np.inf and one > now):
                        right, other, at_other = other, one, at_one
                        one = right - golden * (right - left)
                        at_one = _felt(cuts, cut, foot + one * (head - foot), longest_s, sharp)
                    else:
                        left, one, at_one = one, other, at_other
                        other = left + golden * (right - left)
                        at_other = _felt(cuts, cut, foot + other * (head - foot), longest_s, sharp)
                place = foot + (left + right) / 2 * (head - foot)
                if _felt(cuts, cut, place, longest_s, sharp) < _felt(cuts, cut, here, longest_s, sharp):
                    lower, upper = _changes(cuts, cut, place)
                    below, above = cuts.trip[cuts.low[cut]], cuts.trip[cuts.high[cut]]
                    cuts.trip_s[below] += lower
                    cuts.trip_s[above] += upper
                    cuts.flyer_s[cuts.flyer[below]] += lower
                    cuts.flyer_s[cuts.flyer[above]] += upper
                    cuts.points[2 * cuts.low[cut] + 1] = place
                    cuts.points[2 * cuts.high[cut]] = place
                    cuts.feet[cuts.high[cut]] = place
