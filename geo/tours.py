"""The order and direction in which to fly lines so that the ways between them are short."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Array = NDArray[np.float64]
Order = NDArray[np.int64]

LONGEST_CHAIN = 12
"""Chains of up to so many lines are tried in other places of the tour."""
NEIGHBOURS = 10
"""Of each end, so many nearest ends are tried next to it."""
LONGEST_KICK = 30
"""Every other kick exchanges two chains of up to so many lines, the others any."""
BEGINNINGS = 4
"""Tours by nearest neighbours begin at so many ends."""
SEED = 20240229
"""Of the kicks: the same lines have the same tour."""
PATIENCE = 2.0
"""While it is kicked a tour may at first be longer than the best one by so many mean ways."""
GAIN_M = 1e-6
"""Less than this is no gain."""


def shortest_tour(lengths_m: Array, *, kicks: int) -> tuple[Order, float]:
    """Ends at which to enter the lines, in order, and the summed length of the ways between them, m.

    `lengths_m` (2n, 2n) holds ways between ends; line i has ends 2i and 2i + 1. The tour is open: it begins
    and ends wherever is best. One tour by nearest neighbours (the best of several beginnings) and one of the
    shortest ways first are improved by reversals (2-opt) and moves of chains (Or-opt) towards near ends until none
    helps, then by `kicks` random exchanges of neighbouring chains (Lin and Kernighan's double bridge, mostly at
    long ways), each improved around and kept if the tour falls not too far behind the best. The same input gives
    the same tour.
    """
    count = len(lengths_m) // 2
    ways = np.zeros((2 * count + 2, 2 * count + 2))  # the last line is empty and near to all: there the tour opens
    ways[: 2 * count, : 2 * count] = lengths_m
    near = _neighbours(lengths_m)
    beginnings = np.unique(np.linspace(0, 2 * count - 1, min(BEGINNINGS, 2 * count)).astype(np.int64))
    starts = [_nearest(ways, int(beginning)) for beginning in beginnings]
    tours = [min(starts, key=lambda tour: _improved(tour, ways, near)), _greedy(ways, near)]
    lengths = [_kicked(tour, ways, near, kicks if count > 3 else 0, SEED) for tour in tours]
    tour, shortest = tours[int(np.argmin(lengths))], min(lengths)
    home = int(np.flatnonzero(tour >= 2 * count)[0])
    order = np.concatenate([tour[home + 1 :], tour[:home]])
    return order, float(shortest)


def _neighbours(lengths_m: Array) -> Order:
    """(2n + 2, k) the nearest ends of other lines, nearest first, the empty line's before all."""
    ends = len(lengths_m)
    others = lengths_m.copy()
    rows = np.arange(ends)
    others[rows, rows] = others[rows, rows ^ 1] = np.inf
    keep = min(NEIGHBOURS, ends - 2)
    nearest = np.argpartition(others, keep - 1, axis=1)[:, :keep] if keep else np.empty((ends, 0), np.int64)
    order = np.argsort(np.take_along_axis(others, nearest, 1), axis=1, kind="stable")
    near = np.empty((ends + 2, keep + 2), np.int64)
    near[:, 0], near[:, 1] = ends, ends + 1
    near[:ends, 2:] = np.take_along_axis(nearest, order, 1)
    near[ends:, 2:] = ends
    return near


@njit(cache=True, nogil=True)
def _length(tour: Order, ways: Array) -> float:
    total = 0.0
    for at in range(len(tour)):
        total += ways[tour[at] ^ 1, tour[(at + 1) % len(tour)]]
    return total


@njit(cache=True, nogil=True)
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


@njit(cache=True, nogil=True)
def _greedy(ways: Array, near: Order) -> Order:
    """A tour of the shortest ways between near ends that fit together, the stretches joined to the nearest next."""
    ends = len(ways) - 2
    pairs = np.argsort(np.array([ways[a, c] for a in range(ends) for c in near[a, 2:]]), kind="mergesort")
    width = near.shape[1] - 2
    link = np.full(ends, -1)
    far = np.arange(ends) ^ 1  # the other end of the stretch that a free end belongs to
    for pair in pairs:
        a, c = pair // width, near[pair // width, 2 + pair % width]
        if link[a] < 0 and link[c] < 0 and far[a] != c:
            link[a], link[c] = c, a
            far[far[a]], far[far[c]] = far[c], far[a]
    tour = np.empty(ends // 2 + 1, np.int64)
    tour[0] = ends
    begun = np.zeros(ends, np.bool_)
    enter = np.flatnonzero(link < 0)[0]
    for at in range(1, len(tour)):
        tour[at] = enter
        begun[enter] = begun[enter ^ 1] = True
        leave = enter ^ 1
        enter = link[leave]
        if enter < 0:
            shortest = np.inf
            for end in range(ends):
                if link[end] < 0 and not begun[end] and ways[leave, end] < shortest:
                    enter, shortest = end, ways[leave, end]
    return tour


@njit(cache=True, nogil=True)
def _exchange(tour: Order, places: Order, a: int, b: int, c: int, d: int) -> None:
    """Turn round what lies between the ways a-b and c-d, so that the ways are a-c and b-d: the shorter side of it."""
    count = len(tour)
    if tour[places[a // 2]] == a:  # the tour runs the other way: d-c ... b-a
        b, c = c, b
    first, last = places[b // 2], places[c // 2]
    turned = (last - first) % count + 1
    if 2 * turned > count:
        first, last, turned = last + 1, first - 1, count - turned
    for step in range((turned + 1) // 2):
        here, there = (first + step) % count, (last - step) % count
        tour[here], tour[there] = tour[there] ^ 1, tour[here] ^ 1
        places[tour[here] // 2], places[tour[there] // 2] = here, there


@njit(cache=True, nogil=True)
def _move(tour: Order, places: Order, a: int, b: int, c: int, d: int, x: int, y: int, turned: bool) -> None:
    """Take the chain b ... c from between a and d to between x and y, `turned` so that c comes next to x."""
    _exchange(tour, places, a, b, x, y)
    _exchange(tour, places, a, x, d, c)
    if not turned:
        _exchange(tour, places, x, c, b, y)


@njit(cache=True, nogil=True)
def _step(tour: Order, places: Order, end: int) -> int:
    """The end at the other side of the way at this one."""
    place = places[end // 2]
    if tour[place] == end:
        return int(tour[(place - 1) % len(tour)] ^ 1)
    return int(tour[(place + 1) % len(tour)])


@njit(cache=True, nogil=True)
def _better(tour: Order, places: Order, ways: Array, near: Order, a: int, changed: Order) -> float:
    """Make the first move that shortens the tour by a new way at end a; returns the gain, 0 for none.

    `changed` gets the six ends whose ways are new.
    """
    b = _step(tour, places, a)
    for c in near[a]:
        gain = ways[a, b] - ways[a, c]
        if gain <= GAIN_M:
            break
        if c // 2 == a // 2 or c == b:
            continue
        d = _step(tour, places, c)
        forward = (tour[places[a // 2]] == a) == (tour[places[c // 2]] == c)
        if forward:
            gain += ways[c, d] - ways[b, d]
            if gain > GAIN_M:
                _exchange(tour, places, a, b, c, d)
                changed[:] = (a, b, c, d, a, b)
                return float(gain)
    # chains that begin with a's line and reach away from the way a-b: to where a is next to c
    count = len(tour)
    place = places[a // 2]
    onward = -1 if tour[place] != a else 1
    last = a ^ 1
    for size in range(1, min(LONGEST_CHAIN, count - 3) + 1):
        d = _step(tour, places, last)
        saved = ways[a, b] + ways[last, d] - ways[b, d]
        for c in near[a]:
            if saved - ways[a, c] <= GAIN_M:
                break
            if (places[c // 2] - place) * onward % count < size:
                continue
            e = _step(tour, places, c)
            if (places[e // 2] - place) * onward % count < size:
                continue
            gain = saved + ways[c, e] - ways[a, c] - ways[last, e]
            if gain > GAIN_M:
                # the ways in the direction b, a ... last, d; c-e may run along or against it
                along = (tour[places[c // 2]] != c) == (onward > 0)
                if along:
                    _move(tour, places, b, a, last, d, c, e, False)
                else:
                    _move(tour, places, b, a, last, d, e, c, True)
                changed[:] = (a, b, c, d, e, last)
                return float(gain)
        last = d ^ 1
    return 0.0


@njit(cache=True, nogil=True)
def _settle(tour: Order, places: Order, ways: Array, near: Order, queue: Order, waiting: Order, queued: int) -> float:
    """Make moves at the queued ends, and at those that they change, until none helps; returns what is gained."""
    gained = 0.0
    first, size = 0, len(queue)
    changed = np.empty(6, np.int64)
    while queued > 0:
        end = queue[first]
        first, queued = (first + 1) % size, queued - 1
        waiting[end] = 0
        gain = _better(tour, places, ways, near, end, changed)
        if gain > 0.0:
            gained += gain
            for other in changed:
                if not waiting[other]:
                    waiting[other] = 1
                    queue[(first + queued) % size] = other
                    queued += 1
    return gained


@njit(cache=True, nogil=True)
def _improved(tour: Order, ways: Array, near: Order) -> float:
    """Shorten a tour in place until no move helps; returns its length."""
    places = np.empty(len(tour), np.int64)
    places[tour // 2] = np.arange(len(tour))
    queue = np.arange(len(ways))
    _settle(tour, places, ways, near, queue, np.ones(len(ways), np.int64), len(queue))
    return _length(tour, ways)


@njit(cache=True, nogil=True)
def _long_way(tour: Order, ways: Array) -> int:
    """The place before the longest of some ways taken at random."""
    count = len(tour)
    best, longest = 0, -1.0
    for _ in range(4):
        place = np.random.randint(count)
        length = ways[tour[place] ^ 1, tour[(place + 1) % count]]
        if length > longest:
            best, longest = place, length
    return best


@njit(cache=True, nogil=True)
def _kicked(tour: Order, ways: Array, near: Order, kicks: int, seed: int) -> float:
    """Exchange two neighbouring chains, improve around them, keep that in place unless it is longer."""
    np.random.seed(seed)
    count = len(tour)
    _improved(tour, ways, near)
    places = np.empty(count, np.int64)
    places[tour // 2] = np.arange(count)
    queue, waiting = np.zeros(len(ways), np.int64), np.zeros(len(ways), np.int64)
    trial, trial_places = tour.copy(), places.copy()
    best, behind = tour.copy(), 0.0  # the tour may fall behind the best one, by less and less
    allowed = PATIENCE * _length(tour, ways) / count
    ends, cuts = np.empty(6, np.int64), np.empty(3, np.int64)
    for kick in range(kicks):
        cuts[0] = _long_way(trial, ways)
        for row in (1, 2):
            cuts[row] = _long_way(trial, ways) if kick % 2 else cuts[0] + np.random.randint(-LONGEST_KICK, LONGEST_KICK)
        cuts = np.sort(cuts % count)
        if cuts[0] == cuts[1] or cuts[1] == cuts[2]:
            continue
        for row in range(3):
            ends[2 * row], ends[2 * row + 1] = trial[cuts[row]] ^ 1, trial[(cuts[row] + 1) % count]
        a, b, c, d, x, y = int(ends[0]), int(ends[1]), int(ends[2]), int(ends[3]), int(ends[4]), int(ends[5])
        turned = np.random.random() < 0.5
        gained = ways[a, b] + ways[c, d] + ways[x, y] - ways[a, d]
        gained -= ways[x, c] + ways[b, y] if turned else ways[x, b] + ways[c, y]
        _move(trial, trial_places, a, b, c, d, x, y, turned)
        for row in range(6):
            queue[row] = ends[row]
            waiting[ends[row]] = 1
        gained += _settle(trial, trial_places, ways, near, queue, waiting, 6)
        if behind - gained > allowed * (1.0 - kick / kicks):
            trial[:], trial_places[:] = tour, places
            continue
        tour[:], places[:] = trial, trial_places
        behind -= gained
        if behind < -GAIN_M:
            best[:], behind = tour, 0.0
    tour[:] = best
    return _length(tour, ways)
