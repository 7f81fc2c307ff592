"""Legs: the pieces that every pattern is made of, on a metric plane."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Leg:
    """A straight piece of work, and the way to it from the end of the leg before.

    A place to stop at is a leg of no length.
    """

    start: tuple[float, float]
    """Where it begins, m on the plane."""
    end: tuple[float, float]
    """Where it ends, m on the plane."""
    approach: tuple[tuple[float, float], ...] = ()
    """Points in between on the way here from the leg before, m."""
    seen_approach: bool = False
    """Whether pictures are taken on the way here too: on short turns between neighbouring lines."""
    levels_amsl_m: tuple[float, float] | None = None
    """Heights at its two ends, m AMSL, in between evenly; None: it follows the ground at the height of the plan."""
    pitch_deg: float = -90.0
    """Of the camera: 0 at the horizon, -90 straight down."""
    look_at: tuple[float, float, float] | None = None
    """The point that the camera keeps in its middle: x, y on the plane, m AMSL; None: along the leg at `pitch_deg`."""
    hold_s: float = 0.0
    """Standing still at its end, s."""
    photographs: bool = True
    """Whether pictures are taken along it, or at its end where it has no length."""

    @property
    def length_m(self) -> float:
        """On the plane, m."""
        return float(np.hypot(self.end[0] - self.start[0], self.end[1] - self.start[1]))

    def reversed(self) -> Leg:
        """The leg flown the other way, without its approach."""
        levels = self.levels_amsl_m
        return replace(
            self,
            start=self.end,
            end=self.start,
            approach=(),
            seen_approach=False,
            levels_amsl_m=None if levels is None else (levels[1], levels[0]),
        )

    def pieces(self, count: int) -> tuple[Leg, ...]:
        """The leg in equal pieces: the first has its approach, the last its hold."""
        share = np.linspace(0.0, 1.0, count + 1)
        places = np.add(self.start, np.subtract(self.end, self.start) * share[:, None]).tolist()
        levels = None if self.levels_amsl_m is None else np.interp(share, (0.0, 1.0), self.levels_amsl_m).tolist()
        return tuple(
            replace(
                self,
                start=(places[number][0], places[number][1]),
                end=(places[number + 1][0], places[number + 1][1]),
                approach=self.approach if number == 0 else (),
                seen_approach=self.seen_approach if number == 0 else True,
                levels_amsl_m=None if levels is None else (levels[number], levels[number + 1]),
                hold_s=self.hold_s if number == count - 1 else 0.0,
            )
            for number in range(count)
        )

    def joined(self, after: Leg) -> Leg:
        """With the piece that goes straight on from its end."""
        levels = self.levels_amsl_m
        if levels is not None and after.levels_amsl_m is not None:
            levels = levels[0], after.levels_amsl_m[1]
        return replace(self, end=after.end, levels_amsl_m=levels, hold_s=after.hold_s)


def turned_round(legs: Sequence[Leg]) -> tuple[Leg, ...]:
    """The same path flown from its end to its beginning."""
    turned = [leg.reversed() for leg in reversed(legs)]
    for number, (after, _) in enumerate(pairwise(reversed(legs)), start=1):
        turned[number] = replace(
            turned[number], approach=tuple(reversed(after.approach)), seen_approach=after.seen_approach
        )
    return tuple(turned)


def points_of(legs: tuple[Leg, ...]) -> Array:
    """(n, 2) corners of the legs in order, m; the first leg's approach is left out."""
    corners: list[tuple[float, float]] = []
    for number, leg in enumerate(legs):
        corners.extend([*(leg.approach if number else ()), leg.start, leg.end])
    return np.array(corners, float).reshape(-1, 2)


def length_m(points: Array) -> float:
    """Length of a path (n, 2), m."""
    return float(np.hypot(*np.diff(points, axis=0).T).sum())
