"""Legs for what cannot stop or turn on the spot: turns of a radius, straight ways into lines and out of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from shapely import LineString

from geo.dubins import bend, dubins_lengths_m, dubins_way
from geo.errors import AreaInvalid
from geo.legs import Leg, turned_round
from geo.limits import above_zero
from geo.tours import shortest_tour

Array = NDArray[np.float64]
Run = tuple[Leg, ...]

GRAVITY_M_S2 = 9.80665
"""Standard gravity (CGPM 1901)."""
MOST_ORDERED = 400
"""Of more lines than this the order is left as it is."""
STRAIGHT_RAD = 1e-3
"""Headings that differ by less go straight on."""


def turn_radius_m(speed_m_s: float, bank_deg: float) -> float:
    """Radius of a level turn at a ground speed and a bank angle, m: v2 / (g tan(bank)). Raises AreaInvalid."""
    above_zero(speed_m_s=speed_m_s, bank_deg=bank_deg)
    if bank_deg >= 75:
        raise AreaInvalid(f"bank_deg: {bank_deg:g} is too steep for a survey")
    return speed_m_s**2 / (GRAVITY_M_S2 * math.tan(math.radians(bank_deg)))


def ordered_for_turns(
    legs: Sequence[Leg], radius_m: float, *, lead_in_m: float, lead_out_m: float = 0.0
) -> tuple[Leg, ...]:
    """The same lines in an order, and each in a direction, in which turns of that radius between them are short.

    Legs that follow one another without a gap stay together. The ways between lines are dropped: `flyable` lays
    new ones. More than 400 lines are left as they are.
    """
    above_zero(radius_m=radius_m)
    runs = _runs(legs)
    if len(runs) > MOST_ORDERED:
        return tuple(legs)
    leaving, entering = [], []
    for run in runs:
        for way in (run, turned_round(run)):
            entering.append(_entry(way[0], lead_in_m))
            leaving.append(_exit(way[-1], lead_out_m))
    # end 2i is where a line begins: it is entered there, and left there where it is flown the other way
    left_at = np.array(leaving)[np.arange(len(leaving)) ^ 1]
    ways = dubins_lengths_m(left_at, np.array(entering), radius_m)
    order, _ = shortest_tour((ways + ways.T) / 2, kicks=int(np.clip(400_000 / len(runs) ** 2, 5, 200)))
    found: list[Leg] = []
    for end in order.tolist():
        run = runs[end // 2] if end % 2 == 0 else turned_round(runs[end // 2])
        found.extend([replace(run[0], approach=(), seen_approach=False), *run[1:]])
    return tuple(found)


def flyable(
    legs: Sequence[Leg],
    radius_m: float,
    *,
    lead_in_m: float,
    lead_out_m: float = 0.0,
    corner_m: float = 5.0,
    chord_error_m: float = 0.5,
) -> tuple[Leg, ...]:
    """The legs with ways between them that turn no tighter than `radius_m`, m, the wings level on the lines.

    Each line is entered after `lead_in_m` straight on and left for `lead_out_m`; the way between is the shortest
    that Dubins allows, by points of the old way that are two radii away from all else. Where legs follow one
    another without a gap, corners are rounded off if that leaves the legs by no more than `corner_m`, else it
    turns round to fly over the corner again. Turns are drawn by corners up to `chord_error_m` outside their
    circle. The first leg's approach is where it must come from. Raises AreaInvalid for stops and bad numbers.
    """
    above_zero(radius_m=radius_m, corner_m=corner_m, chord_error_m=chord_error_m)
    if not (0 <= lead_in_m < math.inf and 0 <= lead_out_m < math.inf):
        raise AreaInvalid(f"lead_in_m, lead_out_m: {lead_in_m:g} and {lead_out_m:g} must be 0 or more")
    found: list[Leg] = []
    for run in _runs(legs):
        for leg in _rounded(run, radius_m, corner_m, chord_error_m):
            if leg.seen_approach and found:
                found.append(leg)
                continue
            into = _entry(leg, lead_in_m)
            way = [(float(into[0]), float(into[1]))] if lead_in_m else []
            if found and _straight_on(found[-1], leg):
                way = []
            elif found:
                out = _exit(found[-1], lead_out_m)
                corners = _way(out, leg.approach, into, radius_m, chord_error_m)
                kept = corners[0 if lead_out_m else 1 : None if lead_in_m else -1]
                way = [(float(x), float(y)) for x, y in kept]
            found.append(replace(leg, approach=tuple(way), seen_approach=False))
    return tuple(found)


def _runs(legs: Sequence[Leg]) -> list[Run]:
    """Legs that follow one another without a gap, together."""
    runs: list[list[Leg]] = []
    for leg in legs:
        if leg.length_m < 1e-6 or leg.hold_s > 0:
            raise AreaInvalid(
                f"a fixed wing cannot stop at x {leg.start[0]:.1f}, y {leg.start[1]:.1f} m: fly by instead"
            )
        if runs and not leg.approach and math.dist(runs[-1][-1].end, leg.start) < 1e-6:
            runs[-1].append(leg)
        else:
            runs.append([leg])
    return [tuple(run) for run in runs]


def _heading_rad(leg: Leg) -> float:
    return math.atan2(leg.end[1] - leg.start[1], leg.end[0] - leg.start[0])


def _entry(leg: Leg, lead_in_m: float) -> Array:
    """Pose (x, y, heading) at the beginning of the way into a leg."""
    heading = _heading_rad(leg)
    return np.array(
        [leg.start[0] - lead_in_m * math.cos(heading), leg.start[1] - lead_in_m * math.sin(heading), heading]
    )


def _exit(leg: Leg, lead_out_m: float) -> Array:
    """Pose (x, y, heading) at the end of the way out of a leg."""
    heading = _heading_rad(leg)
    return np.array([leg.end[0] + lead_out_m * math.cos(heading), leg.end[1] + lead_out_m * math.sin(heading), heading])


def _turned_rad(before: Leg, after: Leg) -> float:
    """How far to the left the second leg's heading lies from the first's, -pi to pi."""
    return math.remainder(_heading_rad(after) - _heading_rad(before), 2 * math.pi)


def _straight_on(before: Leg, after: Leg) -> bool:
    """Whether the second leg lies ahead on the line of the first."""
    if math.dist(before.end, after.start) < 1e-6:
        return abs(_turned_rad(before, after)) < STRAIGHT_RAD
    between = Leg(before.end, after.start)
    return abs(_turned_rad(before, between)) < STRAIGHT_RAD and abs(_turned_rad(between, after)) < STRAIGHT_RAD


def _way(
    out: Array, between: tuple[tuple[float, float], ...], into: Array, radius_m: float, chord_error_m: float
) -> Array:
    """(k, 2) corners from pose to pose, by places between that are not too near to be worth a turn of their own."""
    kept: list[Array] = [out[:2]]
    for spot in np.array(between, float).reshape(-1, 2):
        if min(math.dist(spot, kept[-1]), math.dist(spot, into[:2])) > 2 * radius_m:
            kept.append(spot)
    poses = [out]
    for before, spot, after in zip(kept, kept[1:], [*kept[2:], into[:2]], strict=False):
        east, north = (spot - before) / math.dist(spot, before) + (after - spot) / math.dist(after, spot)
        poses.append(np.array([*spot, math.atan2(north, east)]))
    poses.append(into)
    ways = [dubins_way(start, end, radius_m, chord_error_m=chord_error_m) for start, end in pairwise(poses)]
    return np.vstack([ways[0], *[way[1:] for way in ways[1:]]])


def _rounded(run: Run, radius_m: float, corner_m: float, chord_error_m: float) -> list[Leg]:
    """A run with its corners rounded off; a leg without a seen approach must be turned round to."""
    found: list[Leg] = []
    for leg in _merged(run, corner_m / 2):
        if not found:
            found.append(replace(leg, seen_approach=False))
            continue
        before = found[-1]
        angle = _turned_rad(before, leg)
        cut_m = radius_m * math.tan(min(abs(angle), 3.0) / 2)
        off_m = radius_m * (1 / math.cos(min(abs(angle), 3.0) / 2) - 1)
        if abs(angle) < 1e-9:
            found.append(replace(leg, seen_approach=True))
        elif off_m <= corner_m / 2 and cut_m < 0.999 * min(before.length_m, leg.length_m):
            found[-1] = _shortened(before, end_m=cut_m)
            begun = np.array(found[-1].end)
            corners, _ = bend(begun, _heading_rad(before), angle, radius_m, chord_error_m=chord_error_m)
            approach = tuple((float(x), float(y)) for x, y in corners)
            found.append(replace(_shortened(leg, start_m=cut_m), approach=approach, seen_approach=True))
        else:
            found.append(replace(leg, seen_approach=False))
    return found


def _merged(run: Run, tolerance_m: float) -> Run:
    """A run in fewer legs, where they differ in nothing but their places and none leaves the old by more than that."""
    alike = {(leg.levels_amsl_m, leg.pitch_deg, leg.look_at, leg.photographs) for leg in run}
    if len(run) < 2 or len(alike) > 1 or run[0].look_at is not None or not _level(run[0]):
        return run
    places = [run[0].start, *[leg.end for leg in run]]
    closed = math.dist(places[0], places[-1]) < 1e-6
    halves = [places[: len(places) // 2 + 1], places[len(places) // 2 :]] if closed else [places]
    kept = [spot for half in halves for spot in list(LineString(half).simplify(tolerance_m).coords)[1:]]
    return tuple(replace(run[0], start=start, end=end) for start, end in pairwise([places[0], *kept]))


def _level(leg: Leg) -> bool:
    return leg.levels_amsl_m is None or leg.levels_amsl_m[0] == leg.levels_amsl_m[1]


def _shortened(leg: Leg, *, start_m: float = 0.0, end_m: float = 0.0) -> Leg:
    """A leg without its first and last metres."""
    share = np.array([start_m, leg.length_m - end_m]) / leg.length_m
    (x0, y0), (x1, y1) = (np.add(leg.start, np.subtract(leg.end, leg.start) * part).tolist() for part in share)
    levels = leg.levels_amsl_m
    if levels is not None:
        levels = tuple(np.interp(share, (0, 1), levels).tolist())
    return replace(leg, start=(x0, y0), end=(x1, y1), levels_amsl_m=levels)
