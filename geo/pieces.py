"""Legs cut into pieces that are taken in any order and from either end, and made whole again."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from geo.legs import Leg

Array = NDArray[np.float64]
Place = tuple[float, float]


@dataclass(frozen=True)
class Piece:
    """A stretch of a leg, with the photographed turn that leads to it: that is work too, whoever does it."""

    line: Leg
    """The stretch, without an approach."""
    number: int
    """Of the leg."""
    part: int
    """Of the stretches of its leg, from 0."""
    parts: int
    """How many there are of its leg."""
    turn: tuple[Leg, ...] = ()
    """From the end of the leg before to here, where pictures are taken on that way."""
    approach: tuple[Place, ...] = ()
    """As the leg has it."""

    @property
    def start(self) -> Place:
        """Where it begins, m on the plane."""
        return self.turn[0].start if self.turn else self.line.start

    @property
    def end(self) -> Place:
        """Where it ends, m on the plane."""
        return self.line.end

    @property
    def length_m(self) -> float:
        """With its turn, m."""
        return self.line.length_m + sum(leg.length_m for leg in self.turn)

    def leads_to(self, other: Piece) -> bool:
        """Whether the other one's leg comes next after this one's, and they meet there."""
        return self.part == self.parts - 1 and other.part == 0 and other.number == self.number + 1

    def continues(self, other: Piece) -> bool:
        """Whether it goes straight on from the other one."""
        return other.number == self.number and other.part == self.part - 1


def pieces_of(legs: Sequence[Leg], *, longest_m: float) -> tuple[Piece, ...]:
    """Every leg in equal stretches no longer than `longest_m`; one that is held at is not cut."""
    pieces: list[Piece] = []
    for number, leg in enumerate(legs):
        parts = 1 if leg.hold_s > 0 else max(1, int(np.ceil(leg.length_m / longest_m)))
        turn = _turn(legs[number - 1], leg) if number and leg.seen_approach else ()
        for part, line in enumerate(leg.pieces(parts)):
            plain = replace(line, approach=(), seen_approach=False)
            first = part == 0
            pieces.append(Piece(plain, number, part, parts, turn if first else (), leg.approach if first else ()))
    return tuple(pieces)


def _turn(before: Leg, leg: Leg) -> tuple[Leg, ...]:
    corners = np.array([before.end, *leg.approach, leg.start])
    levels: Array | None = None
    if before.levels_amsl_m is not None and leg.levels_amsl_m is not None:
        flown_m = np.concatenate([[0.0], np.cumsum(np.hypot(*np.diff(corners, axis=0).T))])
        levels = np.interp(flown_m, (0.0, flown_m[-1]), (before.levels_amsl_m[1], leg.levels_amsl_m[0]))
    return tuple(
        replace(
            leg,
            start=(float(a[0]), float(a[1])),
            end=(float(b[0]), float(b[1])),
            approach=(),
            seen_approach=number > 0,
            levels_amsl_m=None if levels is None else (float(levels[number]), float(levels[number + 1])),
            hold_s=0.0,
        )
        for number, (a, b) in enumerate(pairwise(corners))
    )


def whole(taken: Iterable[tuple[Piece, bool]], way: Callable[[Place, Place], tuple[Place, ...]]) -> tuple[Leg, ...]:
    """Pieces in the order in which they are flown, each with whether backwards, as legs again.

    Stretches that go straight on are joined; where two legs follow each other as they did before, so does the way
    between them. `way` gives the points in between from one place to another.
    """
    legs: list[Leg] = []
    owed: tuple[Leg, ...] = ()
    before: tuple[Piece, bool] | None = None
    for piece, backwards in taken:
        line = piece.line.reversed() if backwards else piece.line
        follows = before is not None and before[1] == backwards
        last = before[0] if before is not None else piece
        if follows and (last.continues(piece) if backwards else piece.continues(last)):
            legs[-1] = legs[-1].joined(line)
        elif follows and (piece.leads_to(last) if backwards else last.leads_to(piece)):
            later = last if backwards else piece
            approach = tuple(reversed(later.approach)) if backwards else later.approach
            if not later.turn and not approach:
                approach = way(legs[-1].end, line.start)
            legs.append(replace(line, approach=approach, seen_approach=bool(later.turn)))
        else:
            legs.extend(owed)
            stretches = [line] if backwards else [*piece.turn, replace(line, seen_approach=bool(piece.turn))]
            if legs:
                between = way(legs[-1].end, stretches[0].start)
                stretches[0] = replace(stretches[0], approach=between)
            legs.extend(stretches)
        owed = tuple(replace(leg.reversed(), seen_approach=True) for leg in reversed(piece.turn)) if backwards else ()
        before = piece, backwards
    legs.extend(owed)
    return tuple(legs)
