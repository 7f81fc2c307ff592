"""How a fixed wing moves through moving air: it flies where its nose points, turns by banking and cannot stop."""

from __future__ import annotations

import math
from collections.abc import Callable

import msgspec

from simulators.dynamics import GRAVITY_M_S2, Demand, Multirotor, Wind, wrap_rad

FRICTION_M_S2 = 2.5
"""How hard it slows down rolling on the ground without its motor, m/s2."""
FLARE_M = 0.3
"""What comes down slower than the flare from so near the ground has landed, m."""


class FixedWingAirframe(msgspec.Struct, frozen=True, kw_only=True):
    """What the machine can do; the defaults are a 3.2 kg survey aeroplane, not a recorded one."""

    mass_kg: float = 3.2
    """All-up mass, kg."""
    stall_m_s: float = 10.0
    """It does not fly slower than this, m/s of airspeed."""
    fastest_m_s: float = 28.0
    """It does not fly faster than this, m/s of airspeed."""
    bank_deg: float = 45.0
    """Steepest bank, deg."""
    roll_rate_deg_s: float = 60.0
    """How fast it banks, deg/s."""
    acceleration_m_s2: float = 3.0
    """Fastest change of its airspeed, m/s2."""
    climb_m_s: float = 6.0
    """Steepest climb and dive, m/s."""
    lift_to_drag: float = 10.0
    """How far it glides for each metre of height, m."""


class FixedWing:
    """True motion of the body in a local frame: north, east, up of the home, m.

    Of a demand it takes what a wing can give: the part across its nose as bank, the part along it as thrust, and the
    part upward as climb. Its attributes are those of a Multirotor.
    """

    def __init__(
        self, airframe: FixedWingAirframe, wind: Wind, ground: Callable[[float, float], float], yaw_deg: float = 0.0
    ) -> None:
        """At rest on the ground at the origin; `ground(north_m, east_m)` is its height, m above the home."""
        self._airframe, self._ground = airframe, ground
        self.wind = wind
        self.n = self.e = 0.0
        self.ground_u = self.u = ground(0.0, 0.0)
        self.vn = self.ve = self.vu = 0.0
        self.acc_n = self.acc_e = self.acc_u = 0.0
        self.roll = self.pitch = self.yaw_rate = 0.0
        self.yaw = math.radians(yaw_deg)
        self.on_ground = True
        self.touchdown_m_s = self.thrust_g = self.airspeed_m_s = self.drag_power_w = 0.0

    def step(self, dt_s: float, demand: Demand) -> None:
        """Move on by `dt_s` under a demand."""
        before = (self.vn, self.ve, self.vu)
        cos, sin = math.cos(self.yaw), math.sin(self.yaw)
        along = demand.north_m_s2 * cos + demand.east_m_s2 * sin
        across = demand.east_m_s2 * cos - demand.north_m_s2 * sin
        self.wind.step(dt_s, self.airspeed_m_s)
        if self.on_ground:
            self._roll_along(dt_s, along, demand)
        else:
            self._fly(dt_s, along, across, demand)
        air = (0.0, 0.0, 0.0) if self.on_ground else (self.wind.north, self.wind.east, self.wind.up)
        flat = math.sqrt(max(self.airspeed_m_s**2 - self.vu**2, 0.0))
        self.vn, self.ve = flat * math.cos(self.yaw) + air[0], flat * math.sin(self.yaw) + air[1]
        self.n += self.vn * dt_s
        self.e += self.ve * dt_s
        self.u += (self.vu + air[2]) * dt_s
        self.acc_n, self.acc_e, self.acc_u = (
            (now - was) / dt_s for now, was in zip((self.vn, self.ve, self.vu), before, strict=True)
        )
        self._meet_ground()

    def _roll_along(self, dt_s: float, along: float, demand: Demand) -> None:
        airframe = self._airframe
        self.vu = self.roll = self.pitch = self.yaw_rate = self.drag_power_w = 0.0
        most = airframe.acceleration_m_s2
        push = min(max(along, -FRICTION_M_S2), most) if demand.motors else -FRICTION_M_S2
        self.airspeed_m_s = max(0.0, self.airspeed_m_s + push * dt_s)
        self.thrust_g = 0.3 if demand.motors and push > 0.0 else 0.0
        if demand.motors and self.airspeed_m_s > 1.1 * airframe.stall_m_s and demand.up_m_s2 > 0.0:
            self.on_ground = False
            self.u += 0.01

    def _fly(self, dt_s: float, along: float, across: float, demand: Demand) -> None:
        airframe = self._airframe
        drag_g = 1.0 / airframe.lift_to_drag
        steepest = math.radians(airframe.bank_deg)
        if demand.motors:
            self.vu += min(max(demand.up_m_s2, -4.0), 4.0) * dt_s
            most = airframe.acceleration_m_s2
            self.airspeed_m_s += min(max(along, -most), most) * dt_s
        else:
            across = 0.0
            glide_m_s = -1.4 * airframe.stall_m_s * drag_g
            self.vu += min(max(glide_m_s - self.vu, -2.0), 2.0) * dt_s
            self.airspeed_m_s += (1.4 * airframe.stall_m_s - self.airspeed_m_s) * dt_s / 3.0
        self.airspeed_m_s = min(max(self.airspeed_m_s, airframe.stall_m_s), airframe.fastest_m_s)
        self.vu = min(max(self.vu, -airframe.climb_m_s), airframe.climb_m_s)
        wanted = min(max(math.atan(across / GRAVITY_M_S2), -steepest), steepest)
        change = math.radians(airframe.roll_rate_deg_s) * dt_s
        self.roll += min(max(wanted - self.roll, -change), change)
        self.yaw_rate = GRAVITY_M_S2 * math.tan(self.roll) / self.airspeed_m_s
        self.yaw = wrap_rad(self.yaw + self.yaw_rate * dt_s)
        self.pitch = math.asin(min(max(self.vu / self.airspeed_m_s, -1.0), 1.0)) + math.radians(3.0)
        self.drag_power_w = airframe.mass_kg * GRAVITY_M_S2 * drag_g * self.airspeed_m_s / max(math.cos(self.roll), 0.5)
        self.thrust_g = drag_g if demand.motors else 0.0

    def _meet_ground(self) -> None:
        self.ground_u = self._ground(self.n, self.e)
        if self.on_ground or self.u <= self.ground_u or (self.vu < 0.0 and self.u - self.ground_u < FLARE_M):
            if not self.on_ground:
                self.touchdown_m_s = -self.vu
            self.on_ground = True
            self.u, self.vu = self.ground_u, 0.0


Body = Multirotor | FixedWing
"""Whatever an autopilot flies."""
