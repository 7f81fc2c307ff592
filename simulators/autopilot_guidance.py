"""From where to be to how to accelerate: legs with speed profiles, and the position controller."""

from __future__ import annotations

import math
from typing import NamedTuple

from simulators.dynamics import Demand, wrap_rad

CORNER_OVERSHOOT_M = 1.2
"""How far a turn without stopping may carry the vehicle beyond the corner, m."""


class Point(NamedTuple):
    """A place in the local frame, m north, east and up of the home."""

    n: float
    e: float
    u: float


class SpeedLimits(NamedTuple):
    """What the navigation may ask for."""

    horizontal_m_s: float
    climb_m_s: float
    descent_m_s: float
    acceleration_m_s2: float
    vertical_acceleration_m_s2: float
    jerk_m_s3: float


class Descent(NamedTuple):
    """How a vehicle comes down to land."""

    fast_m_s: float
    slow_m_s: float
    slow_below_m: float


class Motion:
    """What the vehicle believes of its own motion, in the local frame, m and m/s."""

    __slots__ = ("e", "n", "u", "ve", "vn", "vu", "yaw")

    def __init__(self) -> None:
        """At the origin, at rest."""
        self.n = self.e = self.u = self.vn = self.ve = self.vu = self.yaw = 0.0

    def point(self) -> Point:
        """Where it believes to be."""
        return Point(self.n, self.e, self.u)


class Leg:
    """A target that moves along a straight leg, as ArduPilot's WPNAV: it starts, cruises and slows by itself.

    Between legs the target keeps `end_speed` so that gentle corners are flown through and sharp
    ones almost at rest.
    """

    __slots__ = (
        "_acceleration",
        "_cruise",
        "_de",
        "_dn",
        "_du",
        "_limits", "_most",
        "done",
        "end",
        "end_speed_m_s",
        "length_m",
        "s_m",
        "start",
        "v_m_s",
    )  # fmt: skip

    def __init__(
        self, start: Point, end: Point, limits: SpeedLimits, *, speed_m_s: float = 0.0, end_speed_m_s: float = 0.0
    ) -> None:
        """From `start`, entered at `speed_m_s`, to `end`, left at `end_speed_m_s`."""
        dn, de, du = end.n - start.n, end.e - start.e, end.u - start.u
        self.start, self.end = start, end
        self.length_m = math.sqrt(dn * dn + de * de + du * du)
        scale = 1.0 / self.length_m if self.length_m > 1e-6 else 0.0
        self._dn, self._de, self._du = dn * scale, de * scale, du * scale
        self.s_m = 0.0
        self._acceleration = 0.0
        self.done = self.length_m <= 1e-6
        self.limit(limits)
        self.v_m_s = min(max(speed_m_s, 0.0), self._cruise)
        self.end_speed_m_s = min(end_speed_m_s, self._cruise)

    def limit(self, limits: SpeedLimits) -> None:
        """New limits, also in the middle of the leg."""
        self._limits = limits
        flat = math.hypot(self._dn, self._de)
        cruise = limits.horizontal_m_s / flat if flat > 1e-6 else math.inf
        vertical = limits.climb_m_s if self._du > 0 else limits.descent_m_s
        if abs(self._du) > 1e-6:
            cruise = min(cruise, vertical / abs(self._du))
        self._cruise = cruise if math.isfinite(cruise) else limits.horizontal_m_s
        steep = abs(self._du) / max(flat, 1e-6)
        self._most = min(
            limits.acceleration_m_s2, limits.vertical_acceleration_m_s2 * math.hypot(1.0, steep) / max(steep, 1e-6)
        )

    def step(self, dt_s: float, behind_m: float) -> None:
        """Move the target on; it waits for a vehicle that is more than a few metres behind."""
        if self.done:
            self.v_m_s = self._acceleration = 0.0
            return
        limits, left = self._limits, self.length_m - self.s_m
        brake = 0.8 * self._most
        v_end = self.end_speed_m_s
        allowed = min(self._cruise, math.sqrt(v_end * v_end + 2.0 * brake * left), v_end + 1.5 * left + 0.1)
        if behind_m > 3.0:
            allowed *= max(0.0, 1.0 - (behind_m - 3.0) / 3.0)
        wanted = min(max((allowed - self.v_m_s) / dt_s, -1.5 * self._most), self._most)
        if wanted > 0.0 and behind_m > 0.6:
            wanted *= max(0.15, 1.6 - behind_m)
        change = limits.jerk_m_s3 * dt_s
        self._acceleration = min(wanted, self._acceleration + change)
        self.v_m_s = max(0.0, self.v_m_s + self._acceleration * dt_s)
        self.s_m += self.v_m_s * dt_s
        if self.s_m >= self.length_m - 0.02:
            self.s_m, self.done = self.length_m, True

    def target(self) -> Point:
        """Where the target is."""
        return Point(
            self.start.n + self._dn * self.s_m, self.start.e + self._de * self.s_m, self.start.u + self._du * self.s_m
        )

    def velocity(self) -> tuple[float, float, float]:
        """Velocity of the target north, east, up, m/s."""
        return self._dn * self.v_m_s, self._de * self.v_m_s, self._du * self.v_m_s

    def acceleration(self) -> tuple[float, float, float]:
        """Acceleration of the target north, east, up, m/s2."""
        return self._dn * self._acceleration, self._de * self._acceleration, self._du * self._acceleration

    def bearing_rad(self) -> float | None:
        """Direction of the leg over ground, rad from north; None where it is vertical."""
        if math.hypot(self._dn, self._de) * self.length_m < 1.0:
            return None
        return math.atan2(self._de, self._dn)

    def entry_speed_m_s(self, velocity: tuple[float, float, float]) -> float:
        """The part of a velocity that runs along this leg, m/s."""
        return velocity[0] * self._dn + velocity[1] * self._de + velocity[2] * self._du

    def cross_track_m(self, at: Point) -> float:
        """Horizontal distance of a point from the leg, right positive, m."""
        flat = math.hypot(self._dn, self._de)
        if flat < 1e-6:
            return 0.0
        return ((at.e - self.start.e) * self._dn - (at.n - self.start.n) * self._de) / flat


def corner_speed_m_s(before: Point, corner: Point, after: Point, acceleration_m_s2: float) -> float:
    """Speed at which a corner is passed, m/s, so that the overshoot stays within CORNER_OVERSHOOT_M."""
    an, ae = corner.n - before.n, corner.e - before.e
    bn, be = after.n - corner.n, after.e - corner.e
    a, b = math.hypot(an, ae), math.hypot(bn, be)
    if a < 0.5 or b < 0.5:
        return 0.0
    turn = abs(wrap_rad(math.atan2(be, bn) - math.atan2(ae, an)))
    change = 2.0 * math.sin(turn / 2.0)
    most = math.sqrt(2.0 * acceleration_m_s2 * CORNER_OVERSHOOT_M)
    return most / max(change, 0.05)


class Controller:
    """Position, velocity, acceleration: the cascade that flies after a target."""

    __slots__ = ("_heading",)
    POSITION_PER_S = 1.0
    VELOCITY_PER_S = 2.5
    YAW_PER_S = 2.0

    def __init__(self) -> None:
        """A controller without memory but the heading it holds."""
        self._heading = 0.0

    def chase(
        self,
        motion: Motion,
        target: Point,
        velocity: tuple[float, float, float],
        acceleration: tuple[float, float, float],
        limits: SpeedLimits,
        demand: Demand,
    ) -> None:
        """Write into `demand` the acceleration that leads to the target."""
        kp, kv = self.POSITION_PER_S, self.VELOCITY_PER_S
        dn, de = kp * (target.n - motion.n), kp * (target.e - motion.e)
        pull = math.hypot(dn, de)
        most = max(limits.horizontal_m_s, 1.0)
        if pull > most:
            dn, de = dn * most / pull, de * most / pull
        dn, de = velocity[0] + dn, velocity[1] + de
        speed = math.hypot(dn, de)
        most += 0.5
        if speed > most:
            dn, de = dn * most / speed, de * most / speed
        an = acceleration[0] + kv * (dn - motion.vn)
        ae = acceleration[1] + kv * (de - motion.ve)
        push = math.hypot(an, ae)
        most = 1.6 * limits.acceleration_m_s2
        if push > most:
            an, ae = an * most / push, ae * most / push
        climb = velocity[2] + kp * (target.u - motion.u)
        climb = min(max(climb, -limits.descent_m_s), limits.climb_m_s)
        au = acceleration[2] + kv * (climb - motion.vu)
        demand.motors = True
        demand.north_m_s2, demand.east_m_s2 = an, ae
        demand.up_m_s2 = min(max(au, -2.5), 2.5)

    def drift(self, motion: Motion, sink_m_s: float, demand: Demand) -> None:
        """No hold of the place: level, sinking at `sink_m_s`."""
        demand.motors = True
        demand.north_m_s2 = demand.east_m_s2 = 0.0
        demand.up_m_s2 = min(max(self.VELOCITY_PER_S * (-sink_m_s - motion.vu), -4.0), 2.5)

    def head(self, motion: Motion, heading_rad: float | None, demand: Demand, rate_rad_s: float = math.inf) -> None:
        """Write into `demand` the turn towards a heading; None keeps the last one."""
        if heading_rad is not None:
            self._heading = heading_rad
        error = wrap_rad(self._heading - motion.yaw)
        slow = math.copysign(math.sqrt(2.0 * math.radians(90.0) * abs(error)), error)
        wanted = self.YAW_PER_S * error
        wanted = wanted if abs(wanted) < abs(slow) else slow
        demand.yaw_rate_rad_s = min(max(wanted, -rate_rad_s), rate_rad_s)

    def hold_heading(self, heading_rad: float) -> None:
        """Take a heading as the one to keep."""
        self._heading = heading_rad


class LocalFrame:
    """North, east, up about a home, m, from lon, lat, AMSL and back; good to a centimetre within kilometres.

    Radii of curvature of the WGS 84 ellipsoid at the home, raised by its height; east is scaled by the
    cosine of the latitude at hand.
    """

    def __init__(self, lon: float, lat: float, amsl_m: float) -> None:
        """About a place, deg and m AMSL."""
        self.lon, self.lat, self.amsl_m = lon, lat, amsl_m
        e2 = 6.69437999014e-3
        w = 1.0 - e2 * math.sin(math.radians(lat)) ** 2
        self._north_m_deg = math.radians(6378137.0 * (1.0 - e2) / w**1.5 + amsl_m)
        self._east_m_deg = math.radians(6378137.0 / math.sqrt(w) + amsl_m)

    def lonlat(self, n: float, e: float) -> tuple[float, float]:
        """Lon and lat, deg, of a place."""
        lat = self.lat + n / self._north_m_deg
        return self.lon + e / (self._east_m_deg * math.cos(math.radians(lat))), lat

    def point(self, lon: float, lat: float, up_m: float) -> Point:
        """The place of lon and lat, deg, `up_m` above the home."""
        east = (lon - self.lon) * self._east_m_deg * math.cos(math.radians(lat))
        return Point((lat - self.lat) * self._north_m_deg, east, up_m)
