"""The order and direction in which to fly lines so that the ways between them are short."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Order = NDArray[np.int64]

LONGEST_CHAIN = 12
"""Chains of up to so many lines are tried in other places of the tour."""


def shortest_tour(lengths_m: Array, *, kicks: int) -> tuple[Order, float]:
    """Ends at which to enter the lines, in order, and the summed length of the ways between them, m.

    `lengths_m` (2n, 2n) holds ways between ends; line i has ends 2i and 2i + 1. The tour is open: it begins
    and ends wherever is best. Nearest neighbours from several beginnings, then reversals (2-opt) and moves of
    chains (Or-opt) until none helps, then `kicks` random three-way exchanges, each kept if it shortens the
    tour. The same input gives the same tour.
    """
    count = len(lengths_m) // 2
    ways = np.zeros((2 * count + 2, 2 * count + 2))
    ways[: 2 * count, : 2 * count] = lengths_m
    best, shortest = np.arange(0, 2 * count + 2, 2), np.inf
    beginnings = np.unique(np.linspace(0, 2 * count - 1, min(8, 2 * count)).astype(np.int64))
    for beginning in beginnings:
        tour = _nearest(ways, int(beginning))
        length = _improve(tour, ways)
        if length < shortest - 1e-9:
            best, shortest = tour, length
    if count > 3:
        best, shortest = _kick(best, ways, kicks, 20240229)
    home = int(np.flatnonzero(best >= 2 * count)[0])
    order = np.concatenate([best[home + 1 :], best[:home]])
    return order, float(shortest)


@njit(cache=True)
def _length(tour: Order, ways: Array) -> float:
    total = 0.0
    for at in range(len(tour)):
        total += ways[tour[at] ^ 1, tour[(at + 1) % len(tour)]]
    return total


@njit(cache=True)
def _nearest(ways: Array, beginning: int) -> Order:
    """A tour by nearest neighbours that enters its first line at `beginning`; the empty line comes first."""
    count = len(ways) // 2
    tour = np.empty(count, np.int64)
    used = np.zeros(count, np.bool_)
    tour[0], tour[1 % count] = 2 * count - 2, beginning
    used[count - 1] = True
    used[beginning // 2] = True
    for at in range(2, count):
        leave, nearest, shortest = tour[at - 1] ^ 1, -1, np.inf
        for end in range(2 * count - 2):
            if not used[end // 2] and ways[leave, end] < shortest:
                nearest, shortest = end, ways[leave, end]
        tour[at] = nearest
        used[nearest // 2] = True
    return tour


@njit(cache=True)
def _reverse(tour: Order, first: int, last: int) -> None:
    while first < last:
        tour[first], tour[last] = tour[last] ^ 1, tour[first] ^ 1
        first += 1
        last -= 1
    if first == last:
        tour[first] ^= 1


@njit(cache=True)
def _improve(tour: Order, ways: Array) -> float:
    """Reversals and moves of chains, in place, until none shortens the tour; returns its length."""
    count = len(tour)
    better = True
    while better:
        better = False
        for first in range(1, count):
            before = tour[first - 1] ^ 1
            for last in range(first, count):
                after = tour[(last + 1) % count]
                old = ways[before, tour[first]] + ways[tour[last] ^ 1, after]
                if ways[before, tour[last] ^ 1] + ways[tour[first], after] < old - 1e-7:
                    _reverse(tour, first, last)
                    better = True
        if _move_chains(tour, ways):
            better = True
    return _length(tour, ways)


@njit(cache=True)
def _move_chains(tour: Order, ways: Array) -> bool:
    count = len(tour)
    moved = False
    for size in range(1, min(LONGEST_CHAIN, count - 2) + 1):
        for first in range(1, count - size + 1):
            last = first + size - 1
            before, after = tour[first - 1] ^ 1, tour[(last + 1) % count]
            enter, leave = tour[first], tour[last] ^ 1
            saved = ways[before, enter] + ways[leave, after] - ways[before, after]
            if saved < 1e-7:
                continue
            best, place, turned = 1e-7, -1, False
            for at in range(count):
                if first - 1 <= at <= last:
                    continue
                here, there = tour[at] ^ 1, tour[(at + 1) % count]
                cut = ways[here, there]
                gain = saved + cut - ways[here, enter] - ways[leave, there]
                if gain > best:
                    best, place, turned = gain, at, False
                gain = saved + cut - ways[here, leave] - ways[enter, there]
                if gain > best:
                    best, place, turned = gain, at, True
            if place >= 0:
                chain = tour[first : last + 1].copy()
                if turned:
                    for at in range(size):
                        chain[at] = tour[last - at] ^ 1
                if place < first:
                    for at in range(first - 1, place, -1):
                        tour[at + size] = tour[at]
                    tour[place + 1 : place + 1 + size] = chain
                else:
                    for at in range(last + 1, place + 1):
                        tour[at - size] = tour[at]
                    tour[place + 1 - size : place + 1] = chain
                moved = True
    return moved


@njit(cache=True)
def _kick(tour: Order, ways: Array, kicks: int, seed: int) -> tuple[Order, float]:
    """Exchange two neighbouring chains at random places, improve, keep what is shorter."""
    np.random.seed(seed)
    count = len(tour)
    shortest = _length(tour, ways)
    for _ in range(kicks):
        cuts = np.sort(np.random.choice(np.arange(1, count), 3, replace=False)) if count > 4 else np.array([1, 2, 3])
        trial = np.concatenate((tour[: cuts[0]], tour[cuts[1] : cuts[2]], tour[cuts[0] : cuts[1]], tour[cuts[2] :]))
        length = _improve(trial, ways)
        if length < shortest - 1e-6:
            tour, shortest = trial, length
    return tour, shortest
