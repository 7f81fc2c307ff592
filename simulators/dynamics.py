"""How a multirotor moves through moving air: thrust, tilt, drag, wind and the ground."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec

GRAVITY_M_S2 = 9.80665
"""Standard gravity (ISO 80000-3)."""


class Airframe(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine can do; the defaults are a 3.2 kg survey quadrotor."""

    mass_kg: float = 3.2
    """All-up mass, kg."""
    drag_linear_per_s: float = 0.10
    """Rotor drag: deceleration per m/s of airspeed, 1/s."""
    drag_quadratic_per_m: float = 0.008
    """Body drag: deceleration per square of airspeed, 1/m."""
    max_tilt_deg: float = 30.0
    """Largest lean of the thrust axis, deg (ArduCopter's ANGLE_MAX)."""
    thrust_lag_s: float = 0.12
    """Time constant with which the thrust vector follows its demand, s."""
    jerk_m_s3: float = 25.0
    """Fastest change of the thrust vector, m/s3."""
    max_thrust_g: float = 1.9
    """Largest thrust, in weights."""
    yaw_rate_deg_s: float = 60.0
    """Fastest turn, deg/s (ATC_SLEW_YAW)."""
    yaw_acceleration_deg_s2: float = 120.0
    """Fastest change of the turn rate, deg/s2."""


class WindConditions(msgspec.Struct, frozen=True, kw_only=True):
    """The air over the flight: a mean and its gusts."""

    speed_m_s: float = 0.0
    """Mean speed, m/s."""
    from_deg: float = 0.0
    """Direction it blows from, deg clockwise from true north."""
    gust_sigma_m_s: float | None = None
    """Sigma of a horizontal gust component, m/s; None takes 15 % of the mean."""
    gust_length_m: float = 60.0
    """Length scale of the gusts, m (MIL-F-8785C gives 40 to 200 m below 100 m height)."""

    def sigma_m_s(self) -> float:
        """Sigma of a horizontal gust component, m/s."""
        return 0.15 * self.speed_m_s if self.gust_sigma_m_s is None else self.gust_sigma_m_s


class Wind:
    """A Dryden-like wind: mean plus first-order Gauss-Markov gusts met at the airspeed."""

    __slots__ = ("_length_m", "_mean_east", "_mean_north", "_random", "_sigma", "east", "north", "up")

    def __init__(self, conditions: WindConditions, seed: int) -> None:
        """A wind that repeats itself for a seed."""
        direction = math.radians(conditions.from_deg)
        self._mean_north = -conditions.speed_m_s * math.cos(direction)
        self._mean_east = -conditions.speed_m_s * math.sin(direction)
        self._sigma = conditions.sigma_m_s()
        self._length_m = conditions.gust_length_m
        self._random = random.Random(f"wind {seed}")
        self.north, self.east, self.up = self._mean_north, self._mean_east, 0.0

    def step(self, dt_s: float, airspeed_m_s: float) -> None:
        """Move on by `dt_s`; `north`, `east`, `up` are then the velocity of the air, m/s."""
        sigma = self._sigma
        if sigma <= 0.0:
            return
        decay = math.exp(-dt_s * max(airspeed_m_s, 1.0) / self._length_m)
        kick = sigma * math.sqrt(1.0 - decay * decay)
        gauss = self._random.gauss
        self.north = self._mean_north + (self.north - self._mean_north) * decay + kick * gauss(0.0, 1.0)
        self.east = self._mean_east + (self.east - self._mean_east) * decay + kick * gauss(0.0, 1.0)
        self.up = self.up * decay + 0.5 * kick * gauss(0.0, 1.0)


class Demand:
    """What the autopilot asks of the airframe for one step."""

    __slots__ = ("east_m_s2", "motors", "north_m_s2", "up_m_s2", "yaw_rate_rad_s")

    def __init__(self) -> None:
        """Motors off."""
        self.motors = False
        self.north_m_s2 = self.east_m_s2 = self.up_m_s2 = 0.0
        self.yaw_rate_rad_s = 0.0


class Multirotor:
    """True motion of the body in a local frame: north, east, up of the home, m.

    Thrust is a vector that follows its demand with a lag and a limited jerk; the tilt is
    where it points, so it agrees with the acceleration and the drag at every step. The
    demand is corrected by a lagged estimate of the drag, as an autopilot's integrators do.
    """

    __slots__ = (
        "_airframe", "_drag_e", "_drag_n", "_drag_u", "_ground", "_ground_age", "_tan_tilt", "_te", "_tn", "_tu",
        "acc_e", "acc_n", "acc_u", "airspeed_m_s", "drag_power_w", "e", "ground_u", "n", "on_ground", "pitch", "roll",
        "thrust_g", "touchdown_m_s", "u", "ve", "vn", "vu", "wind", "yaw", "yaw_rate",
    )  # fmt: skip

    def __init__(
        self, airframe: Airframe, wind: Wind, ground: Callable[[float, float], float], yaw_deg: float = 0.0
    ) -> None:
        """At rest on the ground at the origin; `ground(north_m, east_m)` is its height, m above the home."""
        self._airframe = airframe
        self._tan_tilt = math.tan(math.radians(airframe.max_tilt_deg))
        self._ground = ground
        self._ground_age = 0
        self.wind = wind
        self.n = self.e = 0.0
        self.ground_u = self.u = ground(0.0, 0.0)
        self.vn = self.ve = self.vu = 0.0
        self.acc_n = self.acc_e = self.acc_u = 0.0
        self._tn = self._te = self._tu = 0.0
        self._drag_n = self._drag_e = self._drag_u = 0.0
        self.roll = self.pitch = 0.0
        self.yaw = math.radians(yaw_deg)
        self.yaw_rate = 0.0
        self.on_ground = True
        self.touchdown_m_s = 0.0
        self.thrust_g = 0.0
        self.airspeed_m_s = 0.0
        self.drag_power_w = 0.0

    def step(self, dt_s: float, demand: Demand) -> None:
        """Move on by `dt_s` under a demand."""
        airframe = self._airframe
        wind = self.wind
        air_n, air_e, air_u = self.vn - wind.north, self.ve - wind.east, self.vu - wind.up
        airspeed = math.sqrt(air_n * air_n + air_e * air_e + air_u * air_u)
        self.airspeed_m_s = airspeed
        wind.step(dt_s, airspeed)
        if self.on_ground and not demand.motors:
            self._rest()
            return
        k = airframe.drag_linear_per_s + airframe.drag_quadratic_per_m * airspeed
        drag_n, drag_e, drag_u = k * air_n, k * air_e, k * air_u
        self.drag_power_w = airframe.mass_kg * k * airspeed * airspeed
        learn = dt_s / 0.8
        self._drag_n += (drag_n - self._drag_n) * learn
        self._drag_e += (drag_e - self._drag_e) * learn
        self._drag_u += (drag_u - self._drag_u) * learn
        self._point_thrust(dt_s, demand)
        if self.on_ground and self._tu <= GRAVITY_M_S2:
            self._stand(dt_s)
            return
        acc_n, acc_e, acc_u = self._tn - drag_n, self._te - drag_e, self._tu - drag_u - GRAVITY_M_S2
        half = 0.5 * dt_s
        self.n += dt_s * (self.vn + half * acc_n)
        self.e += dt_s * (self.ve + half * acc_e)
        self.u += dt_s * (self.vu + half * acc_u)
        self.vn += dt_s * acc_n
        self.ve += dt_s * acc_e
        self.vu += dt_s * acc_u
        self.acc_n, self.acc_e, self.acc_u = acc_n, acc_e, acc_u
        self._meet_ground()
        self._turn(dt_s, demand)
        self._lean()

    def _point_thrust(self, dt_s: float, demand: Demand) -> None:
        airframe = self._airframe
        if demand.motors:
            up = demand.up_m_s2 + self._drag_u + GRAVITY_M_S2
            up = min(max(up, 0.25 * GRAVITY_M_S2), airframe.max_thrust_g * GRAVITY_M_S2)
            north, east = demand.north_m_s2 + self._drag_n, demand.east_m_s2 + self._drag_e
            lean = math.hypot(north, east)
            limit = up * self._tan_tilt
            if lean > limit:
                north, east = north * limit / lean, east * limit / lean
        else:
            north = east = up = 0.0
        follow = 1.0 - math.exp(-dt_s / airframe.thrust_lag_s)
        dn, de, du = (north - self._tn) * follow, (east - self._te) * follow, (up - self._tu) * follow
        change = math.sqrt(dn * dn + de * de + du * du)
        limit = airframe.jerk_m_s3 * dt_s
        if change > limit:
            scale = limit / change
            dn, de, du = dn * scale, de * scale, du * scale
        self._tn += dn
        self._te += de
        self._tu += du
        self.thrust_g = math.sqrt(self._tn**2 + self._te**2 + self._tu**2) / GRAVITY_M_S2

    def _meet_ground(self) -> None:
        self._ground_age += 1
        if self.u - self.ground_u < 12.0 or self._ground_age >= 10:
            self.ground_u = self._ground(self.n, self.e)
            self._ground_age = 0
        if self.u > self.ground_u:
            self.on_ground = False
            return
        if not self.on_ground:
            self.touchdown_m_s = -self.vu
        self.on_ground = True
        self.u = self.ground_u
        self.vn = self.ve = self.acc_n = self.acc_e = self.acc_u = 0.0
        self.vu = 0.0

    def _stand(self, dt_s: float) -> None:
        self.vn = self.ve = self.vu = self.acc_n = self.acc_e = self.acc_u = 0.0
        self.yaw_rate = self.roll = self.pitch = 0.0
        self._tn = self._te = 0.0

    def _rest(self) -> None:
        self._stand(0.0)
        self._tu = self.thrust_g = self.drag_power_w = 0.0
        self._drag_n = self._drag_e = self._drag_u = 0.0

    def _turn(self, dt_s: float, demand: Demand) -> None:
        airframe = self._airframe
        fastest = math.radians(airframe.yaw_rate_deg_s)
        wanted = min(max(demand.yaw_rate_rad_s, -fastest), fastest)
        change = math.radians(airframe.yaw_acceleration_deg_s2) * dt_s
        self.yaw_rate += min(max(wanted - self.yaw_rate, -change), change)
        self.yaw = wrap_rad(self.yaw + self.yaw_rate * dt_s)

    def _lean(self) -> None:
        """Roll and pitch of the thrust axis: T = (-cos r sin p, sin r, cos r cos p) in heading axes, z up."""
        cos_yaw, sin_yaw = math.cos(self.yaw), math.sin(self.yaw)
        forward = self._tn * cos_yaw + self._te * sin_yaw
        right = self._te * cos_yaw - self._tn * sin_yaw
        thrust = self.thrust_g * GRAVITY_M_S2
        if thrust < 0.5:
            return
        self.roll = math.asin(min(max(right / thrust, -1.0), 1.0))
        self.pitch = math.atan2(-forward, self._tu)


def wrap_rad(angle: float) -> float:
    """The same angle, rad, in -pi to pi."""
    return math.atan2(math.sin(angle), math.cos(angle)) if not -math.pi <= angle <= math.pi else angle
