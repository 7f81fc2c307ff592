"""A tour over places that are looked at one by one: waste sites, water intakes, building sites."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import AreaInvalid
from geo.legs import Leg
from geo.limits import above_zero, finite, place, places
from geo.orbits import orbit
from geo.tours import shortest_tour

Array = NDArray[np.float64]

MOST_PLACES = 500
"""More places than this are refused: share them out first."""
FAR = 10.0
"""The start's far ends lie so many times the summed distances away: nobody goes there on the way."""


def visit_order(spots: Array, start: tuple[float, float]) -> NDArray[np.int64]:
    """Numbers of the places (n, 2), m, in the order of a short round from the start through all and back to it."""
    count = len(spots)
    points = np.vstack([spots, start, start])
    between = np.hypot(*(points[:, None] - points[None]).transpose(2, 0, 1))
    ways = np.repeat(np.repeat(between, 2, axis=0), 2, axis=1)
    far = [2 * count, 2 * count + 2]  # the round begins at one far end and ends at the other, the start is before each
    ways[far, :] = ways[:, far] = FAR * (between.sum() + 1.0)
    order, _ = shortest_tour(ways, kicks=int(np.clip(2_000_000 / (count + 2) ** 2, 20, 400)))
    numbers = order // 2
    numbers = numbers if numbers[0] == count else numbers[::-1]
    return np.asarray(numbers[(numbers != count) & (numbers != count + 1)])


def visits(
    spots: ArrayLike,
    start: tuple[float, float],
    *,
    ground_amsl_m: ArrayLike | None = None,
    hold_s: float = 5.0,
    circle_m: float | None = None,
    least_radius_m: float = 0.0,
) -> tuple[Leg, ...]:
    """Stop over (or fly once round, `circle_m` away) each of the places (n, 2), m, on a short round from the start.

    `ground_amsl_m` (n,) is the height of what is looked at; without it the camera looks straight down, and circles
    cannot be flown. A stop is a leg of no length that holds for `hold_s`. Way out and way home are not among the
    legs. Raises AreaInvalid: no places, too many, not finite, a circle smaller than `least_radius_m`.
    """
    points, home = places("places", spots), place("start", start)
    if len(points) > MOST_PLACES:
        raise AreaInvalid(f"places: {len(points)}, at most {MOST_PLACES} are visited in one tour")
    finite(hold_s=hold_s)
    if hold_s < 0:
        raise AreaInvalid(f"hold_s: {hold_s:g} is below 0")
    heights = None if ground_amsl_m is None else np.asarray(ground_amsl_m, float)
    if heights is not None and (heights.shape != (len(points),) or not np.isfinite(heights).all()):
        raise AreaInvalid(f"ground_amsl_m: {len(points)} finite heights are needed, one a place")
    if circle_m is not None:
        above_zero(circle_m=circle_m)
        if heights is None:
            raise AreaInvalid("circle_m: circles need the height of what they go round: give ground_amsl_m")
    legs: list[Leg] = []
    for number in visit_order(points, home):
        spot = (float(points[number, 0]), float(points[number, 1]))
        if circle_m is None or heights is None:
            look_at = None if heights is None else (*spot, float(heights[number]))
            legs.append(Leg(spot, spot, hold_s=hold_s, look_at=look_at))
            continue
        before = np.subtract(legs[-1].end if legs else home, spot)
        circle = orbit(
            spot,
            circle_m,
            target_amsl_m=float(heights[number]),
            start_deg=float(np.degrees(np.arctan2(before[0], before[1]))),
            least_radius_m=least_radius_m,
        )
        legs.extend([*circle[:-1], replace(circle[-1], hold_s=hold_s)])
    return tuple(legs)
