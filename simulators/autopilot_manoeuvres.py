"""Things a multirotor does until they are done: take off, fly a leg, hold, return, land."""

from __future__ import annotations

import math
from enum import Enum
from typing import Protocol

from simulators.autopilot_guidance import Controller, Descent, Leg, Motion, Point, SpeedLimits
from simulators.autopilot_parameters import Parameters
from simulators.dynamics import Demand, wrap_rad
from simulators.fixed_wing import Body

LEAST_CONE_SLOPE, LEAST_CLIMB_M = 0.5, 2.5
"""Of RTL_CONE_SLOPE; and how far ArduCopter climbs at least below its cone, m (mode_rtl.cpp)."""
TOUCHED_S = 1.2
"""Time on the ground after which a landing is a landing, s."""


class FlightSettings(Protocol):
    """What an autopilot's parameters say of its flight."""

    spool_s: float
    """From the order to take off to full thrust, s."""

    def limits(self) -> SpeedLimits:
        """What the navigation asks for by itself."""

    def descent(self) -> Descent:
        """How it lands."""

    def faces_way(self) -> bool:
        """Whether it turns its nose along its legs."""

    def radius_m(self) -> float:
        """How near a waypoint it has to come, m."""


class FlightControls:
    """What a manoeuvre has in its hands."""

    def __init__(self, body: Body, settings: FlightSettings) -> None:
        """The controls of one vehicle."""
        self.body, self.settings = body, settings
        self.motion, self.demand, self.controller = Motion(), Demand(), Controller()
        self.home = Point(0.0, 0.0, 0.0)
        self.rally: list[Point] = []
        self.speed_m_s: float | None = None
        self.climb_m_s: float | None = None
        self.descent_m_s: float | None = None
        self.heading_rad: float | None = None
        self.turn_rate_rad_s = math.inf

    def limits(self) -> SpeedLimits:
        """Speed limits by the parameters and by DO_CHANGE_SPEED."""
        limits = self.settings.limits()
        return SpeedLimits(
            limits[0] if self.speed_m_s is None else self.speed_m_s,
            limits[1] if self.climb_m_s is None else self.climb_m_s,
            limits[2] if self.descent_m_s is None else self.descent_m_s,
            *limits[3:],
        )

    def default_speeds(self) -> None:
        """Forget what DO_CHANGE_SPEED said."""
        self.speed_m_s = self.climb_m_s = self.descent_m_s = None

    def yaw_to(self, angle_deg: float, rate_deg_s: float, direction: float, *, relative: bool) -> None:
        """CONDITION_YAW: turn to a heading, or by an angle."""
        if relative:
            angle = self.motion.yaw + math.radians(angle_deg) * (-1.0 if direction < 0 else 1.0)
        else:
            angle = math.radians(angle_deg)
        self.heading_rad = wrap_rad(angle)
        self.turn_rate_rad_s = math.radians(rate_deg_s) if rate_deg_s > 0.0 else math.inf

    def change_speed(self, kind: float, speed_m_s: float) -> bool:
        """DO_CHANGE_SPEED: 0 and 1 over ground, 2 climb, 3 descent."""
        if not 0.0 < speed_m_s < 1000.0:
            return False
        if kind in (0, 1):
            self.speed_m_s = speed_m_s
        elif kind == 2:
            self.climb_m_s = speed_m_s
        elif kind == 3:
            self.descent_m_s = speed_m_s
        else:
            return False
        return True

    def follow(self, leg: Leg, dt_s: float, *, face: bool = True) -> None:
        """One step after the target of a leg."""
        target, motion = leg.target(), self.motion
        behind = math.sqrt((target.n - motion.n) ** 2 + (target.e - motion.e) ** 2 + (target.u - motion.u) ** 2)
        leg.step(dt_s, behind)
        self.controller.chase(motion, leg.target(), leg.velocity(), leg.acceleration(), self.limits(), self.demand)
        self.turn(leg.bearing_rad() if face and not leg.done else None)

    def stay(self, place: Point, climb_m_s: float = 0.0) -> None:
        """One step at a place that rises by `climb_m_s`."""
        self.controller.chase(self.motion, place, (0.0, 0.0, climb_m_s), (0.0, 0.0, 0.0), self.limits(), self.demand)
        self.turn(None)

    def idle(self) -> None:
        """Motors turning without lifting."""
        self.demand.motors = True
        self.demand.north_m_s2 = self.demand.east_m_s2 = 0.0
        self.demand.up_m_s2 = -9.0
        self.demand.yaw_rate_rad_s = 0.0

    def turn(self, bearing_rad: float | None) -> None:
        """One step of heading: a commanded one before the bearing of the leg."""
        wanted = self.heading_rad if self.heading_rad is not None else bearing_rad
        if self.heading_rad is None and not self.settings.faces_way():
            wanted = None
        self.controller.head(self.motion, wanted, self.demand, self.turn_rate_rad_s)


class Manoeuvre(Protocol):
    """One thing that is done until it is finished."""

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly one step; True when there is nothing left to do but hold."""


class TakeOff:
    """Straight up to a height of the local frame."""

    def __init__(self, up_m: float) -> None:
        """To `up_m` above the origin of the local frame."""
        self._up_m = up_m
        self._age_s = 0.0
        self._leg: Leg | None = None

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Spool up, then climb."""
        self._age_s += dt_s
        if self._age_s < controls.settings.spool_s and controls.body.on_ground:
            controls.idle()
            return False
        if self._leg is None:
            at = controls.motion.point()
            controls.controller.hold_heading(controls.motion.yaw)
            self._leg = Leg(at, Point(at.n, at.e, max(self._up_m, at.u)), controls.limits())
        controls.follow(self._leg, dt_s, face=False)
        return self._leg.done and abs(controls.motion.u - self._up_m) < 0.7


class FlyTo:
    """A leg; `precise` waits at its end until the vehicle itself has come."""

    def __init__(self, leg: Leg, *, precise: bool, radius_m: float, face: bool = True) -> None:
        """Along `leg`; arrival is within `radius_m` of its end."""
        self.leg = leg
        self._precise, self._radius_m, self._face = precise, radius_m, face

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on."""
        self.leg.limit(controls.limits())
        controls.follow(self.leg, dt_s, face=self._face)
        if not self.leg.done:
            return False
        at, end = controls.motion, self.leg.end
        return not self._precise or math.dist((at.n, at.e, at.u), end) <= self._radius_m


class Hold:
    """Stop by the shortest way and stay."""

    def __init__(self, controls: FlightControls) -> None:
        """From the present motion."""
        motion, limits = controls.motion, controls.limits()
        speed = math.hypot(motion.vn, motion.ve)
        way = speed * speed / (1.4 * limits.acceleration_m_s2) + 0.2 * speed
        reach = way / speed if speed > 0.3 else 0.0
        end = Point(motion.n + motion.vn * reach, motion.e + motion.ve * reach, motion.u)
        generous = limits._replace(horizontal_m_s=max(limits.horizontal_m_s, speed))
        self._leg = Leg(motion.point(), end, generous, speed_m_s=speed)
        if controls.heading_rad is None:
            controls.controller.hold_heading(motion.yaw)

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Slow down, stay."""
        controls.follow(self._leg, dt_s, face=False)
        return self._leg.done and math.hypot(controls.motion.vn, controls.motion.ve) < 0.5


class Sink:
    """Hold the place but not the height: LOITER with the throttle stick at its lowest."""

    def __init__(self, controls: FlightControls, sink_m_s: float) -> None:
        """Sinking at `sink_m_s`."""
        self._hold = Hold(controls)
        self._sink_m_s = sink_m_s
        self._place: Point | None = None
        self._touched_s = 0.0

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Sink until the ground is there."""
        if self._place is None:
            if self._hold.step(controls, dt_s):
                self._place = controls.motion.point()
        else:
            up = max(self._place.u - self._sink_m_s * dt_s, controls.motion.u - 2.0)
            self._place = self._place._replace(u=up)
            controls.stay(self._place, -self._sink_m_s)
        self._touched_s = self._touched_s + dt_s if controls.body.on_ground else 0.0
        return self._touched_s > TOUCHED_S


class Drift:
    """Level without any hold of place or height: STABILIZE with the throttle stick at its lowest."""

    def __init__(self) -> None:
        """Nothing is held."""
        self._touched_s = 0.0

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Sink with the wind."""
        controls.controller.drift(controls.motion, 4.0, controls.demand)
        self._touched_s = self._touched_s + dt_s if controls.body.on_ground else 0.0
        return self._touched_s > TOUCHED_S


class Land:
    """Stop, then descend to the ground, slowly at the end."""

    def __init__(self, controls: FlightControls, place: Point | None = None) -> None:
        """Below `place`, or where the vehicle stops."""
        self._hold = None if place is not None else Hold(controls)
        self._place = place
        self._rate_m_s = 0.0
        self._touched_s = 0.0

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Descend; True when it has stood on the ground for a moment."""
        if self._place is None:
            if controls.body.on_ground or (self._hold is not None and self._hold.step(controls, dt_s)):
                self._place = controls.motion.point()
            return False
        body = controls.body
        fast, slow, slow_below_m = controls.settings.descent()
        height = body.u - body.ground_u - slow_below_m
        wanted = min(fast, math.sqrt(slow * slow + 2.0 * 0.5 * height)) if height > 0.0 else slow
        self._rate_m_s += min(max(wanted - self._rate_m_s, -dt_s), 0.8 * dt_s)
        up = max(self._place.u - self._rate_m_s * dt_s, controls.motion.u - 1.5)
        self._place = self._place._replace(u=up)
        controls.stay(self._place, -self._rate_m_s)
        self._touched_s = self._touched_s + dt_s if body.on_ground else 0.0
        return self._touched_s > TOUCHED_S


class ReturnHome:
    """ArduCopter's way back: climb, fly to the home or the nearest rally point, wait, land."""

    def __init__(self, controls: FlightControls, parameters: Parameters) -> None:
        """From here."""
        p, at = parameters, controls.motion.point()
        limits = controls.limits()
        goal = _return_goal(controls, parameters)
        height = goal.u if goal in controls.rally else controls.home.u + max(p["RTL_ALT"] / 100.0, 0.0)
        up = max(at.u + p["RTL_CLIMB_MIN"] / 100.0, height)
        if p["RTL_CONE_SLOPE"] >= LEAST_CONE_SLOPE:
            cone = math.dist(goal[:2], at[:2]) * p["RTL_CONE_SLOPE"]
            up = max(at.u, min(up, max(goal.u + cone, at.u + LEAST_CLIMB_M)))
        if p["RTL_SPEED"] > 0:
            controls.speed_m_s = p["RTL_SPEED"] / 100.0
        self._stop: Manoeuvre | None = Hold(controls)
        self._up, self._goal, self._limits = up, goal, limits
        self._legs: list[Leg] = []
        self._wait_s = p["RTL_LOIT_TIME"] / 1000.0
        final_m = p["RTL_ALT_FINAL"] / 100.0
        self._final: Point | None = goal._replace(u=controls.home.u + final_m) if final_m > 0 else None
        self.landing: Land | None = None

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; True when it stands at the goal."""
        if self._stop is not None:
            if self._stop.step(controls, dt_s):
                self._stop = None
                at = controls.motion.point()
                over = Point(at.n, at.e, self._up)
                self._legs = [
                    Leg(at, over, controls.limits()),
                    Leg(over, Point(self._goal.n, self._goal.e, self._up), controls.limits()),
                ]
            return False
        while len(self._legs) > 1 and self._legs[0].done:
            self._legs.pop(0)
        if self.landing is not None:
            return self.landing.step(controls, dt_s)
        leg = self._legs[0]
        controls.follow(leg, dt_s)
        if leg.done and len(self._legs) == 1:
            self._wait_s -= dt_s
            if self._wait_s <= 0.0 and self._final is not None:
                if leg.end != self._final:
                    self._legs = [Leg(leg.end, self._final, controls.limits())]
            elif self._wait_s <= 0.0:
                self.landing = Land(controls, leg.end)
        return False


def _return_goal(controls: FlightControls, parameters: Parameters) -> Point:
    """The nearest rally point, or the home where that is nearer and counts, or all rally points are far."""
    if not controls.rally:
        return controls.home
    at = controls.motion.point()
    nearest = min(controls.rally, key=lambda place: math.dist(place[:2], at[:2]))
    rally_m, home_m = math.dist(nearest[:2], at[:2]), math.dist(controls.home[:2], at[:2])
    limit_m = parameters["RALLY_LIMIT_KM"] * 1000.0
    beyond = 0.0 < limit_m < rally_m
    return controls.home if home_m < rally_m and (parameters["RALLY_INCL_HOME"] or beyond) else nearest


class Drive:
    """A velocity that the ground keeps giving, m/s."""

    def __init__(self, north: float, east: float, up: float) -> None:
        """Over ground."""
        self.velocity = (north, east, up)

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; it has no end."""
        controls.controller.chase(
            controls.motion, controls.motion.point(), self.velocity, (0.0, 0.0, 0.0), controls.limits(), controls.demand
        )
        controls.turn(None)
        return False


class Facing(Enum):
    """Where the nose points on a circle."""

    CENTRE = 0
    """At the centre."""
    AS_IT_IS = 1
    """Where it pointed at the start."""
    ALONG = 3
    """Along the circle."""


class Circle:
    """Round a centre: first to the nearest point of the circle, then along it."""

    def __init__(
        self, controls: FlightControls, centre: Point, radius_m: float, speed_m_s: float, facing: Facing
    ) -> None:
        """At the height of `centre`; a `speed_m_s` below 0 is counterclockwise seen from above."""
        self.centre, self.radius_m, self.speed_m_s, self.facing = centre, radius_m, speed_m_s, facing
        at = controls.motion
        self._angle = math.atan2(at.e - centre.e, at.n - centre.n)
        limits = controls.limits()
        self._approach: FlyTo | None = FlyTo(
            Leg(at.point(), self._on_circle(), limits), precise=True, radius_m=controls.settings.radius_m(), face=False
        )
        self.turns = 0.0
        """Rounds flown, clockwise or not."""

    def _on_circle(self) -> Point:
        n, e, u = self.centre
        return Point(n + self.radius_m * math.cos(self._angle), e + self.radius_m * math.sin(self._angle), u)

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; it has no end."""
        if self._approach is not None:
            if self._approach.step(controls, dt_s):
                self._approach = None
            return False
        limits = controls.limits()
        most = min(limits.horizontal_m_s, math.sqrt(limits.acceleration_m_s2 * max(self.radius_m, 0.1)))
        speed = min(max(self.speed_m_s, -most), most)
        rate = speed / max(self.radius_m, 0.1)
        self._angle = wrap_rad(self._angle + rate * dt_s)
        self.turns += abs(rate) * dt_s / math.tau
        cos, sin = math.cos(self._angle), math.sin(self._angle)
        inward = rate * rate * self.radius_m
        target = self._on_circle()
        controls.controller.chase(
            controls.motion, target, (-speed * sin, speed * cos, 0.0), (-inward * cos, -inward * sin, 0.0), limits,
            controls.demand,
        )  # fmt: skip
        if self.facing is Facing.CENTRE:
            controls.turn(wrap_rad(self._angle + math.pi))
        elif self.facing is Facing.ALONG:
            controls.turn(wrap_rad(self._angle + math.copysign(math.pi / 2.0, speed)))
        else:
            controls.turn(None)
        return False
