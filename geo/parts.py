"""A coverage path cut into contiguous parts: for several vehicles, and into flights that a battery lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise, permutations

import numpy as np
from numpy.typing import NDArray

from geo.legs import Leg, length_m, points_of, turned_round

Array = NDArray[np.float64]

MOST_PERMUTED = 4
"""Up to so many vehicles every order along the path is tried."""


@dataclass(frozen=True)
class Atoms:
    """A path in pieces that are not cut further, each at most some length of one line."""

    legs: tuple[Leg, ...]
    """The pieces in order; a piece that continues its line has no approach."""
    begins_line: tuple[bool, ...]
    """Whether a piece is the first of its line."""

    @classmethod
    def of(cls, legs: Sequence[Leg], longest_m: float) -> Atoms:
        """Cut every line into equal pieces no longer than `longest_m`."""
        pieces: list[Leg] = []
        begins: list[bool] = []
        for leg in legs:
            count = max(1, int(np.ceil(leg.length_m / longest_m)))
            pieces.extend(leg.pieces(count))
            begins.extend(number == 0 for number in range(count))
        return cls(tuple(pieces), tuple(begins))

    def join(self, first: int, last: int) -> tuple[Leg, ...]:
        """Pieces first to last - 1 as lines again; the first one's approach is dropped, or made legs of its own where
        pictures are taken on it."""
        joined: list[Leg] = []
        for number in range(first, last):
            piece = self.legs[number]
            if joined and not self.begins_line[number]:
                joined[-1] = joined[-1].joined(piece)
            elif joined:
                joined.append(piece)
            else:
                joined.extend(self._turn_before(number))
                joined.append(replace(piece, approach=(), seen_approach=bool(joined)))
        return tuple(joined)

    def _turn_before(self, number: int) -> list[Leg]:
        """The photographed way to a line from the one before, as legs."""
        piece = self.legs[number]
        if not (number and self.begins_line[number] and piece.seen_approach):
            return []
        corners = [self.legs[number - 1].end, *piece.approach, piece.start]
        legs = [replace(piece, start=a, end=b, approach=(), seen_approach=True) for a, b in pairwise(corners) if a != b]
        return [replace(leg, seen_approach=place > 0, hold_s=0.0) for place, leg in enumerate(legs)]

    def distances_m(self) -> Array:
        """(n + 1,) path length flown before each piece begins, ways between counted to the piece they lead to."""
        lengths = np.zeros(len(self.legs) + 1)
        for number, piece in enumerate(self.legs):
            way_m = 0.0
            if number:
                way = np.array([self.legs[number - 1].end, *piece.approach, piece.start])
                way_m = length_m(way)
            lengths[number + 1] = lengths[number] + way_m + piece.length_m
        return lengths


def share(legs: Sequence[Leg], starts: Array, *, swath_m: float) -> list[tuple[Leg, ...]]:
    """Contiguous parts, one for each start (n, 2), m, so that the longest way out, along and back is short.

    Parts are in the order of `starts`; one may be empty where there is less work than vehicles. Lines may be
    cut. Both directions of the path are tried, and for up to four vehicles all their orders along it.
    """
    count = len(starts)
    whole_m = length_m(points_of(tuple(legs)))
    best: tuple[float, list[tuple[Leg, ...]]] | None = None
    for path in (tuple(legs), turned_round(legs)):
        longest_m = np.inf if count == 1 else max(2 * swath_m, whole_m / (40 * count))
        atoms = Atoms.of(path, float(longest_m) if np.isfinite(longest_m) else whole_m + 1)
        for order in _orders(atoms, starts):
            cuts, makespan_m = _balance(atoms, starts[list(order)])
            if best is None or makespan_m < best[0] - 1e-6:
                parts: list[tuple[Leg, ...]] = [()] * count
                for place, vehicle in enumerate(order):
                    parts[vehicle] = atoms.join(cuts[place], cuts[place + 1])
                best = makespan_m, parts
    assert best is not None
    return best[1]


def _orders(atoms: Atoms, starts: Array) -> list[tuple[int, ...]]:
    count = len(starts)
    if count <= MOST_PERMUTED:
        return list(permutations(range(count)))
    middles = np.array([np.add(leg.start, leg.end) / 2 for leg in atoms.legs])
    nearest = [int(np.argmin(np.hypot(*(middles - start).T))) for start in starts]
    return [tuple(int(row) for row in np.argsort(nearest, kind="stable"))]


def _balance(atoms: Atoms, starts: Array) -> tuple[list[int], float]:
    """Cuts (n + 1 numbers of pieces) that make the longest part short, and its length, by bisection."""
    begins = np.array([leg.start for leg in atoms.legs])
    ends = np.array([leg.end for leg in atoms.legs])
    flown = atoms.distances_m()
    ways = flown[1:] - flown[:-1] - [leg.length_m for leg in atoms.legs]
    out = np.hypot(*(begins[None] - starts[:, None]).transpose(2, 0, 1))
    back = np.hypot(*(ends[None] - starts[:, None]).transpose(2, 0, 1))

    def cut(limit_m: float) -> list[int] | None:
        cuts = [0]
        for vehicle in range(len(starts)):
            first = cuts[-1]
            if first == len(begins):
                cuts.append(first)
                continue
            work = flown[first + 1 :] - flown[first] - ways[first]
            fits = np.flatnonzero(out[vehicle, first] + work + back[vehicle, first:] <= limit_m)
            cuts.append(first + (int(fits[-1]) + 1 if len(fits) else 0))
        return cuts if cuts[-1] == len(begins) else None

    low, high = 0.0, float(flown[-1] + out.max() + back.max())
    best = cut(high)
    assert best is not None
    while high - low > 1.0:
        middle = (low + high) / 2
        trial = cut(middle)
        if trial is None:
            low = middle
        else:
            best, high = trial, middle
    return best, high
