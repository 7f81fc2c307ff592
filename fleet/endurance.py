"""What a flight costs a multirotor in time and energy."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec

GRAVITY_M_S2 = 9.80665
AIR_KG_M3 = 1.10
"""Density at about 800 m AMSL and 20 deg C (ISA)."""


class Airframe(msgspec.Struct, frozen=True, kw_only=True):
    """A multirotor and its battery; the defaults are a quadrotor of some kilograms with a 6S 8 Ah pack."""

    mass_kg: float = 3.2
    """All-up mass, kg."""
    hover_w: float = 392.0
    """Electric power in hover in still air, avionics and camera included, W."""
    rotor_area_m2: float = 0.40
    """Summed area of the rotor discs, m2."""
    drag_area_m2: float = 0.045
    """Drag coefficient times frontal area of the body, m2."""
    rotor_drag_per_s: float = 0.10
    """Deceleration by the rotors per m/s of airspeed, 1/s."""
    efficiency: float = 0.7
    """From electric to mechanical power."""
    profile_share: float = 0.25
    """Share of the hover power that turns the blades and feeds the avionics, and does not lift."""
    battery_wh: float = 177.6
    """Energy of a full battery, Wh."""
    reserve_share: float = 0.25
    """Share of the battery that no plan may use, 0 to 1."""
    climb_m_s: float = 2.5
    """Climb rate, m/s."""
    descent_m_s: float = 1.5
    """Descent rate, m/s."""
    acceleration_m_s2: float = 2.5
    """When speeding up and braking at corners, m/s2."""

    @property
    def usable_wh(self) -> float:
        """What a plan may use of a full battery, Wh."""
        return self.battery_wh * (1.0 - self.reserve_share)

    def power_w(self, speed_m_s: float, climb_m_s: float = 0.0) -> float:
        """Electric power in steady flight in still air, W: induced (Glauert), profile, drag and climb.

        Source: J. G. Leishman, Principles of Helicopter Aerodynamics, 2nd ed., 2.13 and 5.4; descent gives back
        three tenths of the energy of height.
        """
        hover2 = self.mass_kg * GRAVITY_M_S2 / (2.0 * AIR_KG_M3 * self.rotor_area_m2)
        speed2 = speed_m_s * speed_m_s
        induced = math.sqrt((math.sqrt(speed2 * speed2 + 4.0 * hover2 * hover2) - speed2) / 2.0) / math.sqrt(hover2)
        lift_w = self.hover_w * (1.0 - self.profile_share) * induced
        profile_w = self.hover_w * self.profile_share * (1.0 + speed2 / 900.0)
        body_w = 0.5 * AIR_KG_M3 * self.drag_area_m2 * speed_m_s**3
        rotor_w = self.mass_kg * self.rotor_drag_per_s * speed2
        climb_w = self.mass_kg * GRAVITY_M_S2 * (climb_m_s if climb_m_s > 0 else 0.3 * climb_m_s)
        return max(lift_w + profile_w + (body_w + rotor_w + climb_w) / self.efficiency, 0.3 * self.hover_w)


class Cost(msgspec.Struct, frozen=True):
    """Time and energy of a flight or a part of one."""

    duration_s: float = 0.0
    """Flying time, s."""
    energy_wh: float = 0.0
    """Energy drawn from the battery, Wh."""

    def __add__(self, other: Cost) -> Cost:
        """One after the other."""
        return Cost(self.duration_s + other.duration_s, self.energy_wh + other.energy_wh)


def leg_cost(airframe: Airframe, *, length_m: float, climb_m: float, speed_m_s: float, stop: bool = True) -> Cost:
    """A straight leg of that horizontal length and height gained; `stop` adds braking to a corner and away from it.

    Where the climb or descent rate of the airframe does not let the height change at that speed, the leg takes
    as long as the height does.
    """
    rate_m_s = airframe.climb_m_s if climb_m > 0 else airframe.descent_m_s
    travel_s = length_m / speed_m_s
    duration_s = max(travel_s, abs(climb_m) / rate_m_s)
    if duration_s == 0.0:
        return Cost()
    power_w = airframe.power_w(length_m / duration_s, climb_m / duration_s)
    corner_s = speed_m_s / airframe.acceleration_m_s2 if stop and length_m > 0 else 0.0
    return Cost(duration_s + corner_s, (power_w * duration_s + airframe.power_w(speed_m_s / 2) * corner_s) / 3600.0)


def route_cost(airframe: Airframe, legs: Iterable[tuple[float, float]], *, speed_m_s: float) -> Cost:
    """Legs (horizontal length m, height gained m) one after the other, with a corner after each."""
    total = Cost()
    for length_m, climb_m in legs:
        total += leg_cost(airframe, length_m=length_m, climb_m=climb_m, speed_m_s=speed_m_s)
    return total
