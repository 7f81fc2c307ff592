"""What a fixed wing does until it is done: climb out, follow a line, circle, land."""

from __future__ import annotations

import math

from simulators.autopilot_guidance import Point
from simulators.autopilot_manoeuvres import FlightControls
from simulators.dynamics import wrap_rad

L1_PER_SPEED_S = 4.06
"""The point that it steers for lies so many seconds ahead: damping 0.75 times period 17 s over pi (AP_L1_Control)."""
FASTEST_CLIMB_M_S, FASTEST_SINK_M_S = 5.0, 5.0
"""TECS_CLMB_MAX, TECS_SINK_MAX."""
HEIGHT_PER_S = 0.5
"""Climb for each metre of height that is missing, 1/s."""
FLARE_M, FLARE_SINK_M_S = 2.0, 0.5
"""From which height it flares to land, and how fast it then sinks."""
GLIDE, FLARE_AHEAD_M = 0.12, 100.0
"""Slope of the way down to a landing, and how far ahead of its place that leads to the flare, m."""
APPROACH_M_S = 13.0
"""Airspeed of a landing, m/s."""


def steer(controls: FlightControls, across_m_s2: float, up_m: float, *, sink_m_s: float | None = None) -> None:
    """Write the demand of one step: a turn, the cruising speed, a height to come to or a rate to sink with."""
    motion, body, demand = controls.motion, controls.body, controls.demand
    limits = controls.limits()
    climb = min(max(HEIGHT_PER_S * (up_m - motion.u), -FASTEST_SINK_M_S), FASTEST_CLIMB_M_S)
    if sink_m_s is not None:
        climb = -sink_m_s
    along = 0.8 * (limits.horizontal_m_s - body.airspeed_m_s)
    cos, sin = math.cos(body.yaw), math.sin(body.yaw)
    demand.motors = True
    demand.north_m_s2, demand.east_m_s2 = along * cos - across_m_s2 * sin, along * sin + across_m_s2 * cos
    demand.up_m_s2 = 1.5 * (climb - motion.vu)


class ClimbOut:
    """Straight ahead and up to a height."""

    def __init__(self, controls: FlightControls, up_m: float) -> None:
        """Along the present heading, to `up_m` of the local frame."""
        self._up_m, self._yaw = up_m, controls.body.yaw

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Roll, lift off, climb."""
        steer(controls, 4.0 * wrap_rad(self._yaw - controls.body.yaw), self._up_m + 5.0)
        return controls.motion.u >= self._up_m


class Track:
    """Along a line to its end, and past it."""

    def __init__(self, controls: FlightControls, start: Point, end: Point) -> None:
        """To the height of `end` at once."""
        self.start, self.end = start, end
        self._length_m = max(math.dist(start[:2], end[:2]), 1e-3)
        self._n = (end.n - start.n) / self._length_m
        self._e = (end.e - start.e) / self._length_m

    def steering(self, controls: FlightControls) -> float:
        """Acceleration to the right that leads back to the line, m/s2: Park, Deyst and How, 2004."""
        at = controls.motion
        speed = max(math.hypot(at.vn, at.ve), 1.0)
        ahead_m = L1_PER_SPEED_S * speed
        along = (at.n - self.start.n) * self._n + (at.e - self.start.e) * self._e
        off = (at.e - self.start.e) * self._n - (at.n - self.start.n) * self._e
        reach = along + math.sqrt(max(ahead_m**2 - off**2, (0.1 * ahead_m) ** 2))
        dn, de = self.start.n + reach * self._n - at.n, self.start.e + reach * self._e - at.e
        eta = wrap_rad(math.atan2(de, dn) - math.atan2(at.ve, at.vn))
        eta = min(max(eta, -math.pi / 2), math.pi / 2)
        return 2.0 * speed * speed / ahead_m * math.sin(eta)

    def left_m(self, controls: FlightControls) -> float:
        """How far along the line the end is, m."""
        at = controls.motion
        return (self.end.n - at.n) * self._n + (self.end.e - at.e) * self._e

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; True when the end is near or behind."""
        steer(controls, self.steering(controls), self.end.u)
        at = controls.motion
        near = math.dist((at.n, at.e), self.end[:2]) < controls.settings.radius_m()
        return near or self.left_m(controls) <= 0.0


class Rounds:
    """Circles about a place for so many rounds or so long."""

    def __init__(self, centre: Point, radius_m: float, *, turns: float = math.inf, for_s: float = math.inf) -> None:
        """`radius_m` below 0 is counterclockwise."""
        self.centre, self.radius_m = centre, radius_m
        self._turns, self._left_s = turns, for_s
        self._turned = 0.0
        self._before: float | None = None

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Fly on; True when the rounds are flown or the time is over, but it goes on circling."""
        at, radius = controls.motion, abs(self.radius_m)
        way = math.copysign(1.0, self.radius_m)
        dn, de = at.n - self.centre.n, at.e - self.centre.e
        bearing, far = math.atan2(de, dn), math.hypot(dn, de)
        speed = max(math.hypot(at.vn, at.ve), 1.0)
        inward = math.atan(2.5 * (far - radius) / radius)
        course = bearing + way * (math.pi / 2.0 + inward)
        turn = 0.7 * speed * wrap_rad(course - math.atan2(at.ve, at.vn))
        near = abs(far - radius) < 0.5 * radius
        steer(controls, turn + (way * speed * speed / radius if near else 0.0), self.centre.u)
        if near:
            self._turned += 0.0 if self._before is None else abs(wrap_rad(bearing - self._before)) / math.tau
            self._left_s -= dt_s
            self._before = bearing
        return self._turned >= self._turns or self._left_s <= 0.0


class Landing:
    """Down along a glide to a place, and a stop on the ground."""

    def __init__(self, controls: FlightControls, start: Point, place: Point) -> None:
        """Along the line from `start`."""
        self._track = Track(controls, start, place)
        self._from_m = controls.body.u - controls.body.ground_u
        controls.speed_m_s = APPROACH_M_S

    def step(self, controls: FlightControls, dt_s: float) -> bool:
        """Glide, flare, roll out; True when it stands."""
        body = controls.body
        if body.on_ground:
            controls.demand.motors = False
            return body.airspeed_m_s < 0.5
        height = body.u - body.ground_u
        if height < FLARE_M:
            steer(controls, self._track.steering(controls), 0.0, sink_m_s=FLARE_SINK_M_S)
            return False
        glide_m = FLARE_M + GLIDE * max(self._track.left_m(controls) - FLARE_AHEAD_M, 0.0)
        above_m = height - min(glide_m, self._from_m)
        slope = GLIDE if glide_m < self._from_m else 0.0
        sink = slope * math.hypot(body.vn, body.ve) + HEIGHT_PER_S * above_m
        sink = min(max(sink, 0.0), FASTEST_SINK_M_S)
        steer(controls, self._track.steering(controls), 0.0, sink_m_s=sink)
        return False
