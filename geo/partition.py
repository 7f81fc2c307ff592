"""One job shared out among several that differ, in trips that each one's endurance allows, so that all is done soon."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, permutations
from typing import Protocol

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray
from scipy.optimize import linear_sum_assignment

from geo.cuts import Rings, slid
from geo.errors import AreaInvalid
from geo.insertions import NEIGHBOURS, Task, shared_out
from geo.legs import Leg, length_m
from geo.pieces import Piece, pieces_of, whole
from geo.tours import shortest_tour

Array = NDArray[np.float64]
Codes = NDArray[np.int64]

PIECES_EACH, PIECES_OF_ALL = 40, 1000
"""Lines are cut so that there are about so many pieces for each flyer, and for all of them, or more."""
MOST_PIECES = 2000
"""More pieces than this are refused: the ways between all of them are held at once."""
MOST_TOURED = 150
"""Of so many legs another order than the given one is tried to begin with."""
MOST_PERMUTED = 5
"""Up to so many flyers every order along the path is tried."""
MOST_ASSIGNED = 500
"""For more legs the bound counts no ways between them."""
TRIES = 10_000
"""Of the search."""


class Ways(Protocol):
    """The shortest ways between points, as `geo.detours.Detours` finds them."""

    def lengths_m(self, points: Array) -> Array:
        """(n, n) m between points (n, 2)."""

    def way(self, start: Array, end: Array) -> Array:
        """(k, 2) points from start to end, both included."""


@dataclass(frozen=True)
class Flyer:
    """One that takes part: where it stands, how fast it is and how long it lasts."""

    start: tuple[float, float]
    """Where each of its trips begins and ends, m on the plane."""
    speed_m_s: float = 10.0
    """On legs."""
    way_m_s: float | None = None
    """On the ways between them, m/s; None: as on legs."""
    endurance_s: float = float("inf")
    """Longest trip, s."""
    swap_s: float = 0.0
    """On the ground between two trips, s."""
    excluded: frozenset[int] = frozenset()
    """Numbers of the legs that it must not fly."""

    @property
    def slowness_s_m(self) -> float:
        """Time for each m of way between legs."""
        return 1.0 / (self.way_m_s or self.speed_m_s)


@dataclass(frozen=True)
class Share:
    """What one flyer does."""

    trips: tuple[tuple[Leg, ...], ...]
    """Its trips in order; each begins and ends at its start."""
    trips_s: tuple[float, ...]
    """How long each takes, s."""
    duration_s: float
    """Until the last trip ends, with the time on the ground between them, s."""


@dataclass(frozen=True)
class Partition:
    """Who does what of a job."""

    shares: tuple[Share, ...]
    """In the order of the flyers; one may have nothing to do."""
    makespan_s: float
    """Until the last one is done, s."""
    bound_s: float
    """No way of sharing the job out is done sooner, s."""


def partition(
    legs: Sequence[Leg], flyers: Sequence[Flyer], *, ways: Ways | None = None, effort: float = 1.0, seed: int = 0
) -> Partition:
    """Every part of every leg flown by one of the flyers, once, so that the longest time is short.

    Legs may be cut, flown in any order and from either end; a photographed turn between two of them stays with
    the line that it leads to. Ways that no leg's approach gives are straight, or those of `ways`. `effort` scales
    the time of the search; the same input gives the same answer. Raises AreaInvalid where nobody can do a leg, and for
    too many legs.
    """
    if not flyers:
        raise AreaInvalid("nobody to share the job out among")
    if not legs:
        return Partition(tuple(Share((), (), 0.0) for _ in flyers), 0.0, 0.0)
    pieces = pieces_of(legs, longest_m=_longest_m(legs, flyers))
    if len(pieces) > MOST_PIECES:
        raise AreaInvalid(
            f"{len(legs)} legs for {len(flyers)}: more than {MOST_PIECES} pieces to share out; divide the job"
        )
    task = _task(pieces, flyers, ways)
    _exclude_unreachable(pieces, flyers, task)
    rings = _contiguous(legs, pieces, task)
    alone = len(flyers) == 1 and not np.isfinite(task.endurance_s).any()
    tries = 0 if alone else int(effort * TRIES)
    shared = shared_out(task, rings, tries=tries, seed=seed)
    times_s = _times_s(shared, task)
    shares = _shares(pieces, shared, times_s, flyers, ways)
    if len(flyers) > 1:
        evened = _evened(pieces, shared, times_s, flyers, ways)
        if max(share.duration_s for share in evened) < max(share.duration_s for share in shares):
            shares = evened
    return Partition(shares, max(share.duration_s for share in shares), bound_s(legs, flyers))


def bound_s(legs: Sequence[Leg], flyers: Sequence[Flyer]) -> float:
    """A time, s, that no partition is shorter than: by the furthest place, and by all of the work with the nearest
    ways home, or with the least ways that leave every end of a leg.

    Those join the ends two by two, if need be a leg's own: however legs are cut, an odd number of stretches and ways
    would else meet there. A cheapest assignment is never more than twice as long as such ways.
    """
    lines = shapely.linestrings([[leg.start, leg.end] for leg in legs])
    ends = shapely.points([place for leg in legs for place in (leg.start, leg.end)])
    slowest_m_s = min(flyer.speed_m_s for flyer in flyers)
    work_m = sum(leg.length_m + leg.hold_s * slowest_m_s for leg in legs)
    ways_m = _least_ways_m(legs) * min(flyer.speed_m_s * flyer.slowness_s_m for flyer in flyers)
    there_s = np.array([shapely.distance(ends, shapely.Point(f.start)) * f.slowness_s_m for f in flyers])
    trips_s = [2 * float(shapely.distance(lines, shapely.Point(f.start)).min()) * f.slowness_s_m for f in flyers]
    low, high = (
        2 * float(there_s.min(axis=0).max()),
        float((work_m + ways_m) / slowest_m_s + 2 * there_s.max()) * (1 + len(legs)),
    )
    while high - low > 1e-3 * max(low, 1.0):
        middle = (low + high) / 2
        done_m = sum(f.speed_m_s * _working_s(f, trip_s, middle) for f, trip_s in zip(flyers, trips_s, strict=True))
        flown_m = sum(f.speed_m_s * _working_s(f, 0.0, middle) for f in flyers)
        low, high = (low, middle) if done_m >= work_m and flown_m >= work_m + ways_m else (middle, high)
    return low


def _least_ways_m(legs: Sequence[Leg]) -> float:
    """Of the ways that leave every end of a leg, but those with a photographed turn, at least so much, m."""
    if len(legs) > MOST_ASSIGNED:
        return 0.0
    turned = [leg.seen_approach for leg in legs[1:]]
    starts = [leg.start for leg, seen in zip(legs, [False, *turned], strict=True) if not seen]
    ends = np.array(starts + [leg.end for leg, seen in zip(legs, [*turned, False], strict=True) if not seen])
    apart_m = np.hypot(*(ends[:, None] - ends).transpose(2, 0, 1))
    np.fill_diagonal(apart_m, apart_m.sum() + 1.0)
    rows, columns = linear_sum_assignment(apart_m)
    return float(apart_m[rows, columns].sum()) / 2


def _working_s(flyer: Flyer, trip_s: float, time_s: float) -> float:
    """How much of a time a flyer can at most be at work, s, where each trip takes `trip_s` there and back."""
    if not np.isfinite(flyer.endurance_s):
        return max(0.0, time_s - trip_s)
    full = int((time_s + flyer.swap_s) / (flyer.endurance_s + flyer.swap_s))
    each_s = flyer.endurance_s - trip_s
    return max(0.0, *(min(k * each_s, time_s - k * trip_s - (k - 1) * flyer.swap_s) for k in (max(full, 1), full + 1)))


def _longest_m(legs: Sequence[Leg], flyers: Sequence[Flyer]) -> float:
    """How long a piece may be."""
    whole_m = sum(leg.length_m for leg in legs)
    each_m = whole_m / min(PIECES_EACH * len(flyers), PIECES_OF_ALL) if len(flyers) > 1 else np.inf
    trips_m = [0.1 * flyer.endurance_s * flyer.speed_m_s for flyer in flyers]
    return max(1.0, float(min(each_m, max(trips_m), whole_m + 1.0)))


def _task(pieces: Sequence[Piece], flyers: Sequence[Flyer], ways: Ways | None) -> Task:
    ends = np.array([place for piece in pieces for place in (piece.start, piece.end)])
    points = np.concatenate([ends, [flyer.start for flyer in flyers]])
    if ways is None:
        x, y = points.T
        lengths_m = np.hypot(x[:, None] - x, y[:, None] - y)
    else:
        lengths_m = ways.lengths_m(points)
    for at, (before, piece) in enumerate(pairwise(pieces), start=1):
        if before.leads_to(piece) and not piece.turn and piece.approach:
            way_m = length_m(np.array([before.end, *piece.approach, piece.start]))
            lengths_m[2 * at - 1, 2 * at] = lengths_m[2 * at, 2 * at - 1] = way_m
    lines_m = np.array([piece.length_m for piece in pieces])
    holds_s = np.array([piece.line.hold_s for piece in pieces])
    work_s = np.array([lines_m / flyer.speed_m_s + holds_s for flyer in flyers])
    for row, flyer in enumerate(flyers):
        work_s[row, [piece.number in flyer.excluded for piece in pieces]] = np.inf
    count = len(pieces)
    quarters = [lengths_m[a : 2 * count : 2, b : 2 * count : 2] for a in (0, 1) for b in (0, 1)]
    between = np.minimum(np.minimum(quarters[0], quarters[1]), np.minimum(quarters[2], quarters[3]))
    np.fill_diagonal(between, np.inf)
    near = np.argpartition(between, min(NEIGHBOURS, count - 1) - 1, axis=1)[:, : min(NEIGHBOURS, count - 1)]
    near = np.take_along_axis(
        near, np.argsort(np.take_along_axis(between, near, axis=1), axis=1, kind="stable"), axis=1
    )
    return Task(
        ways_m=np.ascontiguousarray(lengths_m),
        work_s=work_s,
        slowness=np.array([flyer.slowness_s_m for flyer in flyers]),
        endurance_s=np.array([flyer.endurance_s for flyer in flyers]),
        swap_s=np.array([flyer.swap_s for flyer in flyers]),
        near=np.ascontiguousarray(near, np.int64),
    )


def _exclude_unreachable(pieces: Sequence[Piece], flyers: Sequence[Flyer], task: Task) -> None:
    """Excludes flyers from pieces that they cannot fly to, fly and return from; AreaInvalid where nobody can."""
    count = len(pieces)
    homes_m = task.ways_m[2 * count :, : 2 * count].reshape(-1, count, 2).sum(axis=2)
    alone_s = homes_m * task.slowness[:, None] + task.work_s
    excluded = np.isinf(alone_s).all(axis=0)
    if excluded.any():
        raise AreaInvalid(f"leg {pieces[int(np.argmax(excluded))].number}: everyone is excluded from it")
    short = alone_s > task.endurance_s[:, None]
    if short.all(axis=0).any():
        first = int(np.argmax(short.all(axis=0)))
        piece, best = pieces[first], int(np.argmin(alone_s[:, first] - task.endurance_s))
        raise AreaInvalid(
            f"leg {piece.number}: nobody can reach x {piece.end[0]:.0f} m, y {piece.end[1]:.0f} m and return: "
            f"{alone_s[best, first]:.0f} s needed, {flyers[best].endurance_s:.0f} s is the endurance; start nearer"
        )
    task.work_s[short] = np.inf


def _contiguous(legs: Sequence[Leg], pieces: Sequence[Piece], task: Task) -> list[list[list[int]]]:
    """The job cut along a path into a stretch for each flyer; pieces from which that flyer is excluded are left out."""
    given = 2 * np.arange(len(pieces))
    paths = [given, given[::-1] + 1]
    if len(legs) <= MOST_TOURED:
        tour = _toured(pieces, task)
        paths.extend([tour, tour[::-1] ^ 1])
    orders = _orders(task)
    best: tuple[float, Codes, Codes] | None = None
    for path in paths:
        path = np.ascontiguousarray(path)
        makespan_s, order = _shortest_cut(path, orders, *task)
        if best is None or makespan_s < best[0] - 1e-6:
            best = makespan_s, path, order
    assert best is not None
    _, owners = _cut(best[1], best[2], best[0], *task)
    rings: list[list[list[int]]] = [[] for _ in task.slowness]
    last = -1
    for code, owner in zip(best[1].tolist(), owners.tolist(), strict=True):
        if owner < 0:
            continue
        if owner != last:
            rings[int(best[2][owner >> 32])].append([])
        rings[int(best[2][owner >> 32])][-1].append(code)
        last = owner
    return rings


def _orders(task: Task) -> Codes:
    """(k, v) orders of the flyers along the path: all, or those by where along it each is nearest."""
    flyers = len(task.slowness)
    homes = task.ways_m[-flyers:]
    kinds = np.unique(
        np.column_stack([homes[:, :-flyers], task.work_s, task.slowness, task.endurance_s, task.swap_s]),
        axis=0, return_inverse=True,
    )[1].ravel()  # fmt: skip
    if flyers <= MOST_PERMUTED:
        rows = {tuple(int(kinds[v]) for v in order): order for order in permutations(range(flyers))}
        return np.array(list(rows.values()), np.int64)
    along = np.argmin(homes[:, :-flyers], axis=1)
    return np.stack([np.argsort(along, kind="stable"), np.argsort(-along, kind="stable")])


def _toured(pieces: Sequence[Piece], task: Task) -> Codes:
    """A short tour through all the legs, whatever order they are given in, as points at which to enter the pieces."""
    numbers = np.array([piece.number for piece in pieces])
    firsts = np.flatnonzero(np.diff(numbers, prepend=-1))
    lasts = np.append(firsts[1:], len(pieces)) - 1
    ends = np.column_stack([2 * firsts, 2 * lasts + 1]).ravel()
    tour, _ = shortest_tour(task.ways_m[np.ix_(ends, ends)], kicks=3)
    return np.concatenate([
        2 * np.arange(firsts[code // 2], lasts[code // 2] + 1)
        if code % 2 == 0
        else 2 * np.arange(lasts[code // 2], firsts[code // 2] - 1, -1) + 1
        for code in tour.tolist()
    ])  # fmt: skip


@njit(cache=True, nogil=True)
def _cut(
    path: Codes, order: Codes, limit_s: float, ways_m: Array, work_s: Array, slowness: Array,
    endurance_s: Array, swap_s: Array, near: Codes,
) -> tuple[bool, Codes]:  # fmt: skip
    """Whether the path can be flown by the flyers in that order within a time, and who flies each piece.

    That is place in the order << 32 | number of the trip, or -1 where that flyer is excluded from it.
    """
    owners = np.full(len(path), -1)
    at, pieces = 0, work_s.shape[1]
    for place in range(len(order)):
        flyer = order[place]
        home, spent_s, trip = 2 * pieces + flyer, 0.0, 0
        while at < len(path):
            left_s = min(limit_s - spent_s, endurance_s[flyer])
            point, time_s, closed_s, taken = home, 0.0, 0.0, 0
            while at < len(path):
                code = path[at]
                if work_s[flyer, code // 2] == np.inf:
                    at += 1
                    continue
                trial_s = time_s + ways_m[point, code] * slowness[flyer] + work_s[flyer, code // 2]
                back_s = trial_s + ways_m[code ^ 1, home] * slowness[flyer]
                if back_s > left_s + 1e-9:
                    break
                time_s, closed_s, point = trial_s, back_s, code ^ 1
                owners[at] = place << 32 | trip
                taken += 1
                at += 1
            if taken == 0:
                break
            spent_s += closed_s + swap_s[flyer]
            trip += 1
    return at == len(path), owners


@njit(cache=True, nogil=True)
def _shortest_cut(
    path: Codes, orders: Codes, ways_m: Array, work_s: Array, slowness: Array,
    endurance_s: Array, swap_s: Array, near: Codes,
) -> tuple[float, Codes]:  # fmt: skip
    """The shortest time in which one of the orders flies the path (by bisection), and that order."""
    best_s, best = np.inf, orders[0]
    high_s = 1.0
    while not _cut(path, best, high_s, ways_m, work_s, slowness, endurance_s, swap_s, near)[0] and high_s < 1e12:
        high_s *= 2.0
    best_s = high_s
    for row in range(len(orders)):
        if row and not _cut(
            path, orders[row], best_s * 0.999, ways_m, work_s, slowness, endurance_s, swap_s, near
        )[0]:  # fmt: skip
            continue
        low_s, high_s = 0.0, best_s
        while high_s - low_s > 1e-4 * high_s:
            middle_s = (low_s + high_s) / 2
            if _cut(path, orders[row], middle_s, ways_m, work_s, slowness, endurance_s, swap_s, near)[0]:
                high_s = middle_s
            else:
                low_s = middle_s
        best_s, best = high_s, orders[row]
    return best_s, best


def _times_s(shared: Rings, task: Task) -> list[list[float]]:
    """How long each trip of each flyer takes, s."""
    count = task.work_s.shape[1]
    found: list[list[float]] = []
    for flyer, trips in enumerate(shared):
        home, times_s = 2 * count + flyer, []
        for codes in trips:
            points = [home, *(point for code in codes for point in (code, code ^ 1)), home]
            ways_m = sum(float(task.ways_m[a, b]) for a, b in zip(points[::2], points[1::2], strict=True))
            work_s = sum(float(task.work_s[flyer, code // 2]) for code in codes)
            times_s.append(ways_m * float(task.slowness[flyer]) + work_s)
        found.append(times_s)
    return found


def _shares(
    pieces: Sequence[Piece], shared: Rings, times_s: list[list[float]], flyers: Sequence[Flyer], ways: Ways | None
) -> tuple[Share, ...]:
    """The trips of the flyers as legs again."""

    def way(start: tuple[float, float], end: tuple[float, float]) -> tuple[tuple[float, float], ...]:
        return _between(ways, start, end)

    return tuple(
        Share(
            tuple(whole(((pieces[code // 2], code % 2 == 1) for code in codes), way) for codes in trips),
            tuple(spent_s),
            sum(spent_s) + flyer.swap_s * max(0, len(trips) - 1),
        )
        for flyer, trips, spent_s in zip(flyers, shared, times_s, strict=True)
    )


def _evened(
    pieces: Sequence[Piece], shared: Rings, times_s: list[list[float]], flyers: Sequence[Flyer], ways: Ways | None
) -> tuple[Share, ...]:
    """The same with the cuts of lines slid; as it was where an endurance would not last for that."""
    points = np.array(
        [*(place for piece in pieces for place in (piece.start, piece.end)), *(flyer.start for flyer in flyers)]
    )
    recut, rings = slid(
        pieces,
        shared,
        points,
        times_s,
        pace=np.array([1.0 / flyer.speed_m_s for flyer in flyers]),
        slowness=np.array([flyer.slowness_s_m for flyer in flyers]),
        endurance_s=np.array([flyer.endurance_s for flyer in flyers]),
        swap_s=np.array([flyer.swap_s for flyer in flyers]),
    )
    plain = _shares(recut, rings, [[0.0] * len(trips) for trips in rings], flyers, ways)
    spent_s = [
        [_flown_s(trip, flyer, ways) for trip in share.trips] for share, flyer in zip(plain, flyers, strict=True)
    ]
    if any(time_s > flyer.endurance_s for times, flyer in zip(spent_s, flyers, strict=True) for time_s in times):
        return _shares(pieces, shared, times_s, flyers, ways)
    return tuple(
        Share(share.trips, tuple(times), sum(times) + flyer.swap_s * max(0, len(times) - 1))
        for share, times, flyer in zip(plain, spent_s, flyers, strict=True)
    )


def _between(
    ways: Ways | None, start: tuple[float, float], end: tuple[float, float]
) -> tuple[tuple[float, float], ...]:
    """Points of the way from one place to another, without the two."""
    if ways is None:
        return ()
    return tuple((float(x), float(y)) for x, y in ways.way(np.array(start), np.array(end))[1:-1])


def _flown_s(trip: Sequence[Leg], flyer: Flyer, ways: Ways | None) -> float:
    """How long a trip takes from home to home, s."""
    total_s, at = 0.0, flyer.start
    for number, leg in enumerate(trip):
        between = leg.approach if number else _between(ways, at, leg.start)
        way_m = length_m(np.array([at, *between, leg.start]))
        total_s += way_m / flyer.speed_m_s if number and leg.seen_approach else way_m * flyer.slowness_s_m
        total_s += leg.length_m / flyer.speed_m_s + leg.hold_s
        at = leg.end
    home_m = length_m(np.array([at, *_between(ways, at, flyer.start), flyer.start]))
    return total_s + home_m * flyer.slowness_s_m
