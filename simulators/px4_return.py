"""PX4's way back: to the home or the nearest rally point, and never where a rally point cannot be read."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators.autopilot_guidance import Leg, Point
from simulators.autopilot_manoeuvres import FlightControls, Hold, Land, Manoeuvre
from simulators.px4_parameters import Px4Parameters

HOME_ALONE, HOME_LAST = (2, 4), (1, 5)
"""RTL_TYPE: rally points do not count; the home counts only where there are none."""
NO_HEIGHT = -2147483648
"""The height of a return that leads nowhere, m."""


class Px4Return:
    """Stop, climb as the cone about the goal asks, fly there, land."""

    def __init__(
        self, controls: FlightControls, parameters: Px4Parameters, goal: Point | None, amsl_m: float,
        say: Callable[[int, str], None],
    ) -> None:  # fmt: skip
        """To `goal`, or hover for ever if there is none that can be read; `amsl_m` is the height of the frame."""
        self._say = say
        self._stop: Manoeuvre | None = Hold(controls)
        self._goal, self.landing = goal, False
        self._land: Land | None = None
        self._legs: list[Leg] = []
        if goal is None:
            say(6, f"RTL: start return at {NO_HEIGHT} m (0 m above destination)")
            return
        at = controls.motion.point()
        away_m = math.dist(goal[:2], at[:2])
        self._wait_s = parameters["RTL_LAND_DELAY"]
        self._waits_at = goal._replace(u=goal.u + parameters["RTL_DESCEND_ALT"])
        self._up = max(at.u, goal.u + parameters.return_height_m(away_m))
        say(6, f"RTL: start return at {amsl_m + self._up:.0f} m ({self._up - goal.u:.0f} m above destination)")

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; True when it stands at the goal."""
        if self._land is not None:
            return self._land.step(controls, dt_s)
        if self._stop is not None:
            stopped = self._stop.step(controls, dt_s)
            if stopped and self._goal is not None:
                self._stop = None
                at = controls.motion.point()
                over = Point(at.n, at.e, self._up)
                way = Point(self._goal.n, self._goal.e, self._up)
                self._legs = [Leg(at, over, controls.limits()), Leg(over, way, controls.limits())]
            return False
        while len(self._legs) > 1 and self._legs[0].done:
            self._legs.pop(0)
        leg = self._legs[0]
        controls.follow(leg, dt_s)
        if leg.done and len(self._legs) == 1 and self._goal is not None:
            self._arrive(controls, leg, dt_s)
        return False

    def _arrive(self, controls: FlightControls, leg: Leg, dt_s: float) -> None:
        """Above the goal: land, or first wait lower down."""
        if self._wait_s != 0.0 and leg.end != self._waits_at:
            self._legs = [Leg(leg.end, self._waits_at, controls.limits())]
        elif self._wait_s > 0.0:
            self._wait_s = max(0.0, self._wait_s - dt_s)
        elif self._wait_s == 0.0:
            self._say(6, "RTL: land at destination")
            self._land, self.landing = Land(controls, leg.end), True


def return_goal(controls: FlightControls, rally: list[Point], kind: int) -> Point:
    """The nearest of home and rally points, as RTL_TYPE `kind` lets them count."""
    if kind in HOME_ALONE:
        return controls.home
    places = rally if rally and kind in HOME_LAST else [controls.home, *rally]
    at = controls.motion
    return min(places, key=lambda place: math.hypot(place.n - at.n, place.e - at.e))
