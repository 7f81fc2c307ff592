"""Work shared out among several by taking strings of it out and putting each piece back where it fits best.

Source: J. Christiaens and G. Vanden Berghe, Slack Induction by String Removals for Vehicle Routing Problems,
Transportation Science 54 (2), 2020; here for the longest of the times instead of their sum, with several trips each.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

STRINGS = 10.0
"""Pieces taken out in one try, about."""
NEIGHBOURS = 25
"""Pieces are taken out together with some of so many of the nearest, and put back next to one of these or of a home."""
LATENT = 0.05
"""What a second costs where the longest time does not feel it yet, as a share of what it costs where it does."""


class Task(NamedTuple):
    """Pieces of work with two ends each, and who does them; piece i has the points 2i and 2i + 1, s and m."""

    ways_m: Array
    """(p, p) ways between points: two for each of n pieces, then where each of v flyers stands."""
    work_s: Array
    """(v, n) time of a flyer over a piece; infinite where it must not."""
    slowness: Array
    """(v,) s for each m of way."""
    endurance_s: Array
    """(v,) longest trip."""
    swap_s: Array
    """(v,) between two trips."""
    near: Codes
    """(n, k) the nearest other pieces of each piece."""


class Chains(NamedTuple):
    """Who flies what: each trip is a ring of pieces with one empty place, its home, numbered n + trip."""

    after: Codes
    before: Codes
    enter: Codes
    leave: Codes
    trip: Codes
    trip_s: Array
    flyer_s: Array
    pieces: Codes
    trips: Codes


def shared_out(task: Task, first: list[list[list[int]]], *, tries: int, seed: int) -> list[list[list[int]]]:
    """Trips of each flyer as points at which its pieces are entered, in order, so that the longest time is short.

    `first` is where to begin from; what is missing from it is put in, wherever it fits alone.
    """
    count, flyers = task.work_s.shape[1], len(first)
    missing = np.setdiff1d(np.arange(count), [code // 2 for trips in first for codes in trips for code in codes])
    most = 2 + len(missing) + max(len(trips) for trips in first) if np.isfinite(task.endurance_s).any() else 1
    chains = _empty(count, flyers, most)
    for flyer, trips in enumerate(first):
        for number, codes in enumerate(trips):
            at = count + flyer * most + number
            for code in codes:
                _put(task, chains, code, at, most)
                at = code // 2
    missing = missing[np.argsort(-task.work_s[:, missing].min(axis=0), kind="stable")]
    scale_s = max(float(chains.flyer_s.max()), float(task.work_s.min(axis=0).sum()) / flyers, 1.0)
    fits = _put_back(task, chains, missing, len(missing), most, scale_s, np.ones(1, np.uint64))
    assert fits, "a piece that nobody can do"
    best = _search(task, chains, most, tries, seed)
    rings: list[list[list[int]]] = []
    for flyer in range(flyers):
        trips = []
        for home in range(count + flyer * most, count + (flyer + 1) * most):
            codes, at = [], int(best[home])
            while at != home:
                codes.append(int(best[count + flyers * most + at]))
                at = int(best[at])
            if codes:
                trips.append(codes)
        rings.append(trips)
    return rings


def _empty(count: int, flyers: int, most: int) -> Chains:
    homes = np.arange(count, count + flyers * most)
    points = np.repeat(2 * count + np.arange(flyers), most)
    places = np.concatenate([np.zeros(count, np.int64), points])
    trip = np.concatenate([np.full(count, -1), np.arange(flyers * most)])
    ring = np.concatenate([np.zeros(count, np.int64), homes])
    trips = np.zeros(flyers * most, np.int64)
    return Chains(
        ring, ring.copy(), places, places.copy(), trip,
        np.zeros(flyers * most), np.zeros(flyers), trips, np.zeros(flyers, np.int64),
    )  # fmt: skip


@njit(cache=True, nogil=True)
def _random(state: NDArray[np.uint64]) -> float:
    """The next number of a generator (xorshift64*, high bits), 0 to below 1."""
    word = state[0]
    word ^= word >> np.uint64(12)
    word ^= word << np.uint64(25)
    word ^= word >> np.uint64(27)
    state[0] = word
    return float((word * np.uint64(2685821657736338717)) >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True, nogil=True)
def _put(task: Task, chains: Chains, code: int, at: int, most: int) -> None:
    """A piece entered at point `code` after the place `at`."""
    piece, trip, then = code // 2, chains.trip[at], chains.after[at]
    flyer = trip // most
    ways = task.ways_m
    added = (
        ways[chains.leave[at], code] + ways[code ^ 1, chains.enter[then]] - ways[chains.leave[at], chains.enter[then]]
    )
    spent = added * task.slowness[flyer] + task.work_s[flyer, piece]
    chains.enter[piece], chains.leave[piece], chains.trip[piece] = code, code ^ 1, trip
    chains.after[at], chains.before[then] = piece, piece
    chains.after[piece], chains.before[piece] = then, at
    chains.trip_s[trip] += spent
    chains.flyer_s[flyer] += spent
    chains.pieces[trip] += 1
    if chains.pieces[trip] == 1:
        chains.trips[flyer] += 1
        if chains.trips[flyer] > 1:
            chains.flyer_s[flyer] += task.swap_s[flyer]


@njit(cache=True, nogil=True)
def _take(task: Task, chains: Chains, piece: int, most: int) -> None:
    """A piece out of its trip."""
    at, then, trip = chains.before[piece], chains.after[piece], chains.trip[piece]
    flyer = trip // most
    ways = task.ways_m
    saved = (
        ways[chains.leave[at], chains.enter[piece]]
        + ways[chains.leave[piece], chains.enter[then]]
        - ways[chains.leave[at], chains.enter[then]]
    )
    spent = saved * task.slowness[flyer] + task.work_s[flyer, piece]
    chains.after[at], chains.before[then] = then, at
    chains.trip[piece] = -1
    chains.trip_s[trip] -= spent
    chains.flyer_s[flyer] -= spent
    chains.pieces[trip] -= 1
    if chains.pieces[trip] == 0:
        chains.trips[flyer] -= 1
        if chains.trips[flyer] > 0:
            chains.flyer_s[flyer] -= task.swap_s[flyer]


@njit(cache=True, nogil=True)
def _felt(time_s: float, scale_s: float) -> float:
    """What a flyer's time costs: little, until it comes near the longest."""
    share = time_s / scale_s
    eighth = share * share
    eighth *= eighth
    eighth *= eighth
    return eighth * eighth + LATENT * 16.0 * share


@njit(cache=True, nogil=True)
def _felt_by_all(chains: Chains, scale_s: float) -> float:
    """What all the flyers' times cost together."""
    total = 0.0
    for flyer in range(len(chains.flyer_s)):
        total += _felt(chains.flyer_s[flyer], scale_s)
    return total


@njit(cache=True, nogil=True)
def _put_back(
    task: Task, chains: Chains, out: Codes, count: int, most: int, scale_s: float, state: NDArray[np.uint64]
) -> bool:
    """Pieces put back, in order, each where it costs least next to a near one or a home; False if it fits nowhere."""
    flyers, pieces = task.work_s.shape
    felt, offered = np.empty(flyers), np.empty(flyers, np.bool_)
    for number in range(count):
        piece = out[number]
        forth, back = task.ways_m[2 * piece], task.ways_m[2 * piece + 1]
        for flyer in range(flyers):
            felt[flyer] = _felt(chains.flyer_s[flyer], scale_s)
            offered[flyer] = False
        best, place, code = np.inf, -1, 0
        near = task.near[piece]
        for option in range(2 * len(near) + 2 * len(chains.pieces)):
            at = pieces + option // 2 - len(near)
            if at < pieces:
                at = near[option // 2]
                if chains.trip[at] < 0:
                    continue
            if option % 2 == 1:
                at = chains.before[at]
                if at >= pieces:
                    continue
            trip = chains.trip[at]
            flyer = trip // most
            more_s = 0.0
            if chains.pieces[trip] == 0:
                if offered[flyer]:
                    continue
                offered[flyer] = True
                more_s = task.swap_s[flyer] if chains.trips[flyer] > 0 else 0.0
            leave, enter = chains.leave[at], chains.enter[chains.after[at]]
            straight, turned = forth[leave] + back[enter], back[leave] + forth[enter]
            added = (min(straight, turned) - task.ways_m[leave, enter]) * task.slowness[flyer] + task.work_s[
                flyer, piece
            ]
            if chains.trip_s[trip] + added > task.endurance_s[flyer] + 1e-9 or (place >= 0 and _random(state) < 0.01):
                continue
            cost = _felt(chains.flyer_s[flyer] + added + more_s, scale_s) - felt[flyer]
            if cost < best:
                best, place, code = cost, at, 2 * piece + (1 if turned < straight else 0)
        if place < 0:
            return False
        _put(task, chains, code, place, most)
    return True


@njit(cache=True, nogil=True)
def _take_out(task: Task, chains: Chains, out: Codes, most: int, state: NDArray[np.uint64]) -> int:
    """Strings of pieces near each other out of their trips; how many pieces."""
    pieces = task.work_s.shape[1]
    seed = int(_random(state) * pieces)
    if _random(state) < 0.5:
        worst = int(np.argmax(chains.flyer_s))
        for _ in range(20):
            if chains.trip[seed] // most == worst:
                break
            seed = int(_random(state) * pieces)
    filled = 0
    for trip in range(len(chains.pieces)):
        filled += chains.pieces[trip] > 0
    longest = min(STRINGS, pieces / max(filled, 1))
    strings = int(1.0 + _random(state) * (4.0 * STRINGS / (1.0 + longest) - 1.0))
    touched = np.full(strings, -1)
    taken, done = 0, 0
    for number in range(-1, task.near.shape[1]):
        piece = seed if number < 0 else task.near[seed, number]
        trip = chains.trip[piece]
        if trip < 0:
            continue
        known = False
        for other in range(done):
            known = known or touched[other] == trip
        if known:
            continue
        length = 1 + int(_random(state) * min(longest, chains.pieces[trip]))
        back = int(_random(state) * length)
        while back > 0 and chains.before[piece] < pieces:
            piece = chains.before[piece]
            back -= 1
        while length > 0 and piece < pieces:
            then = chains.after[piece]
            _take(task, chains, piece, most)
            out[taken] = piece
            taken += 1
            length -= 1
            piece = then
        touched[done] = trip
        done += 1
        if done == strings:
            break
    return taken


@njit(cache=True, nogil=True)
def _sort(task: Task, out: Codes, count: int, state: NDArray[np.uint64]) -> None:
    """The pieces to put back in random order, or those with most work first, or as they were flown."""
    kind = _random(state)
    if kind < 0.4:
        for last in range(count - 1, 0, -1):
            other = int(_random(state) * (last + 1))
            out[last], out[other] = out[other], out[last]
    elif kind < 0.6:
        for first in range(1, count):
            piece, at = out[first], first
            while at > 0 and task.work_s[0, out[at - 1]] < task.work_s[0, piece]:
                out[at] = out[at - 1]
                at -= 1
            out[at] = piece
    elif kind < 0.8:
        for first in range(count // 2):
            out[first], out[count - 1 - first] = out[count - 1 - first], out[first]


@njit(cache=True, nogil=True)
def _search(task: Task, chains: Chains, most: int, tries: int, seed: int) -> Codes:
    """The best rings found, as the places after each, and at which points they are entered."""
    state = np.array([seed * 2 + 88172645463325252], np.uint64)
    out = np.empty(task.work_s.shape[1], np.int64)
    kept = (
        chains.after.copy(), chains.before.copy(), chains.enter.copy(), chains.leave.copy(), chains.trip.copy(),
        chains.trip_s.copy(), chains.flyer_s.copy(), chains.pieces.copy(), chains.trips.copy(),
    )  # fmt: skip
    scale_s = chains.flyer_s.max()
    best_s, best_sum_s = scale_s, chains.flyer_s.sum()
    best = np.concatenate((chains.after, chains.enter))
    now = _felt_by_all(chains, scale_s)
    warmth = 0.05
    cooling = (1e-4 / warmth) ** (1.0 / max(tries, 1))
    for _ in range(tries):
        taken = _take_out(task, chains, out, most, state)
        _sort(task, out, taken, state)
        fits = _put_back(task, chains, out, taken, most, scale_s, state)
        cost = _felt_by_all(chains, scale_s)
        if fits and cost < now - warmth * np.log(_random(state) + 1e-300):
            now = cost
            kept[0][:], kept[1][:], kept[2][:], kept[3][:] = chains.after, chains.before, chains.enter, chains.leave
            kept[4][:], kept[5][:], kept[6][:] = chains.trip, chains.trip_s, chains.flyer_s
            kept[7][:], kept[8][:] = chains.pieces, chains.trips
            longest_s, sum_s = chains.flyer_s.max(), chains.flyer_s.sum()
            if longest_s < best_s - 1e-9 or (longest_s < best_s + 1e-9 and sum_s < best_sum_s - 1e-9):
                best_s, best_sum_s = longest_s, sum_s
                best = np.concatenate((chains.after, chains.enter))
                if best_s < 0.995 * scale_s:
                    scale_s = best_s
                    now = _felt_by_all(chains, scale_s)
        else:
            chains.after[:], chains.before[:], chains.enter[:], chains.leave[:] = kept[0], kept[1], kept[2], kept[3]
            chains.trip[:], chains.trip_s[:], chains.flyer_s[:] = kept[4], kept[5], kept[6]
            chains.pieces[:], chains.trips[:] = kept[7], kept[8]
        warmth *= cooling
    return best
