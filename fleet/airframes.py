"""Airframes: what flies, how fast it can, and the power that it takes."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import NamedTuple

import msgspec
from numba import njit

from fleet.air import AIR_KG_M3, CALM, Conditions
from fleet.batteries import BatteryState, Pack, Reserve, deliverable_wh

GRAVITY_M_S2 = 9.80665
FALL_SHARE = 0.3
"""Of the energy of height, given back in descent."""
LEAST_HOVER_SHARE = 0.3
"""A multirotor's rotors never take less than this share of what they take in hover."""


class Kind(StrEnum):
    """How it is carried."""

    MULTIROTOR = "multirotor"
    """By rotors: it can hover."""
    FIXED_WING = "fixed_wing"
    """By wings: it cannot stand still, and turns by banking."""


class Airframe(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle and its battery; the defaults are a quadrotor of some kilograms with a 6S 8 Ah pack."""

    kind: Kind = Kind.MULTIROTOR
    """How it is carried."""
    mass_kg: float = 3.2
    """All-up mass without payload, kg."""
    hover_w: float = 392.0
    """Of a multirotor: electric power in hover in still air of 1.10 kg/m3, avionics and camera included, W."""
    avionics_w: float = 12.0
    """Avionics and camera, W."""
    rotor_area_m2: float = 0.40
    """Of a multirotor: summed area of the rotor discs, m2."""
    drag_area_m2: float = 0.045
    """Of a multirotor: drag coefficient times frontal area of the body, m2."""
    rotor_drag_per_s: float = 0.10
    """Of a multirotor: deceleration by the rotors per m/s of airspeed, 1/s."""
    efficiency: float = 0.7
    """From electric to mechanical power."""
    profile_share: float = 0.25
    """Of a multirotor: share of the rotors' power in hover that turns the blades and does not lift."""
    glide_ratio: float = 10.0
    """Of a fixed wing: distance for each metre of height in its best glide."""
    glide_m_s: float = 15.0
    """Of a fixed wing: airspeed of the best glide without payload in air of 1.10 kg/m3, m/s."""
    min_m_s: float = 0.0
    """Lowest airspeed, m/s; of a fixed wing well above its stall."""
    cruise_m_s: float = 10.0
    """Airspeed where none is asked for, and of circling, m/s."""
    max_m_s: float = 20.0
    """Highest airspeed, m/s."""
    bank_deg: float = 30.0
    """Of a fixed wing: bank in turns, deg."""
    climb_m_s: float = 2.5
    """Climb rate, m/s."""
    descent_m_s: float = 1.5
    """Descent rate, m/s."""
    landing_m_s: float = 0.5
    """Of a multirotor: descent rate close to the ground, m/s."""
    landing_below_m: float = 10.0
    """Of a multirotor: where it is close to the ground, m."""
    acceleration_m_s2: float = 2.0
    """When speeding up and braking at corners, the mean over its gentle beginning and end, m/s2."""
    climb_acceleration_m_s2: float = 1.0
    """When a climb or descent on the spot begins and ends, m/s2."""
    settle_s: float = 2.5
    """Of a multirotor: lost in coming to rest at a place, s, besides the braking."""
    overshoot_m: float = 1.2
    """Of a multirotor: how far a corner may carry it outward before it brakes for the corner, m."""
    battery_wh: float = 177.6
    """Energy of a full new battery without load, Wh."""
    pack: Pack = Pack()
    """What that battery is like."""
    reserve: Reserve = Reserve()
    """What no plan may use of it."""

    def __post_init__(self) -> None:
        """Raises ValueError for what cannot fly."""
        least = self.min_m_s if self.kind is Kind.FIXED_WING else 1.0
        if not 0.0 < least < self.max_m_s:
            raise ValueError(f"min_m_s {self.min_m_s:g}, max_m_s {self.max_m_s:g}: must be above 0 and in order")

    @property
    def usable_wh(self) -> float:
        """What a plan may use of a full battery by its label, Wh; `usable_now_wh` knows its state."""
        return self.battery_wh - self.reserve.energy_wh(self.battery_wh, self.power_w(0.0))

    def usable_now_wh(
        self, battery: BatteryState, conditions: Conditions = CALM, *, reserve: Reserve | None = None
    ) -> float:
        """What a plan may use of the battery as it is, Wh, the reserve kept back (the airframe's own if none is given).

        The losses are those at the power of hover, or of cruise, in these conditions. Never below 0.
        """
        power_w = self.power_w(0.0, conditions=conditions)
        full_wh = deliverable_wh(self.pack, self.battery_wh, battery, power_w)
        return max(0.0, full_wh - (reserve or self.reserve).energy_wh(self.battery_wh, power_w))

    def power_w(self, speed_m_s: float, climb_m_s: float = 0.0, *, conditions: Conditions = CALM) -> float:
        """Electric power in steady flight at an airspeed, W; of a fixed wing below `min_m_s`, that of circling.

        Multirotor: induced (Glauert), profile, drag and climb; descent gives back three tenths of the energy of
        height. Source: J. G. Leishman, Principles of Helicopter Aerodynamics, 2nd ed., 2.13 and 5.4; rotors that
        lift more, or in thinner air, take more by the power 3/2 of the weight over the root of the density.
        Fixed wing: the parabolic drag polar. Source: J. D. Anderson, Aircraft Performance and Design, 5.3.
        """
        figures = figures_of(self, conditions)
        circling = self.kind is Kind.FIXED_WING and speed_m_s < self.min_m_s
        airspeed_m_s = self.circling_m_s if circling else speed_m_s
        return float(power_kernel_w(figures, airspeed_m_s, climb_m_s, figures.load if circling else 1.0))

    @property
    def circling_m_s(self) -> float:
        """Airspeed at which a fixed wing circles, m/s."""
        return min(max(self.cruise_m_s, self.min_m_s), self.max_m_s)

    def turn_radius_m(self, airspeed_m_s: float) -> float:
        """Of a level turn at `bank_deg`, m; 0 for a multirotor, which turns where it is."""
        if self.kind is Kind.MULTIROTOR:
            return 0.0
        return airspeed_m_s**2 / (GRAVITY_M_S2 * math.tan(math.radians(self.bank_deg)))


QUADROTOR = Airframe()
"""A survey quadrotor of 3.2 kg."""
AEROPLANE = Airframe(kind=Kind.FIXED_WING, min_m_s=12.0, cruise_m_s=16.0, max_m_s=26.0, climb_m_s=3.0, descent_m_s=2.5)
"""A survey aeroplane of 3.2 kg: round figures, of no particular make."""


class Figures(NamedTuple):
    """An airframe in certain conditions, as the compiled loops take it."""

    wing: bool
    weight_n: float
    induced_w: float
    induced2: float
    profile_w: float
    body_kg_m: float
    rotors_kg_s: float
    parasite_n: float
    lift_n: float
    glide_m_s: float
    efficiency: float
    avionics_w: float
    least_w: float
    min_m_s: float
    circling_m_s: float
    max_m_s: float
    load: float
    climb_m_s: float
    descent_m_s: float
    acceleration_m_s2: float
    climb_acceleration_m_s2: float
    settle_s: float
    corner_m_s: float
    landing_m_s: float
    landing_below_m: float
    wind_east_m_s: float
    wind_north_m_s: float
    wind_reference_m: float
    wind_exponent: float


def figures_of(airframe: Airframe, conditions: Conditions) -> Figures:
    """What the compiled loops need, in SI."""
    wing = airframe.kind is Kind.FIXED_WING
    mass_kg = airframe.mass_kg + conditions.payload_kg
    weight_n, heavier = mass_kg * GRAVITY_M_S2, mass_kg / airframe.mass_kg
    denser = conditions.air_kg_m3 / AIR_KG_M3
    hover_w = (airframe.hover_w - airframe.avionics_w) * heavier**1.5 / math.sqrt(denser)
    half_drag_n = airframe.mass_kg * GRAVITY_M_S2 / airframe.glide_ratio / 2.0
    wind = conditions.wind
    return Figures(
        wing=wing,
        weight_n=weight_n,
        induced_w=hover_w * (1.0 - airframe.profile_share),
        induced2=weight_n / (2.0 * conditions.air_kg_m3 * airframe.rotor_area_m2),
        profile_w=hover_w * airframe.profile_share,
        body_kg_m=0.5 * conditions.air_kg_m3 * airframe.drag_area_m2,
        rotors_kg_s=mass_kg * airframe.rotor_drag_per_s,
        parasite_n=half_drag_n * denser,
        lift_n=half_drag_n * heavier**2 / denser,
        glide_m_s=airframe.glide_m_s,
        efficiency=airframe.efficiency,
        avionics_w=airframe.avionics_w,
        least_w=0.0 if wing else LEAST_HOVER_SHARE * hover_w,
        min_m_s=airframe.min_m_s,
        circling_m_s=airframe.circling_m_s,
        max_m_s=airframe.max_m_s,
        load=1.0 / math.cos(math.radians(airframe.bank_deg)),
        climb_m_s=airframe.climb_m_s,
        descent_m_s=airframe.descent_m_s,
        acceleration_m_s2=airframe.acceleration_m_s2,
        climb_acceleration_m_s2=airframe.climb_acceleration_m_s2,
        settle_s=airframe.settle_s,
        corner_m_s=math.sqrt(2.0 * airframe.acceleration_m_s2 * airframe.overshoot_m),
        landing_m_s=airframe.landing_m_s,
        landing_below_m=airframe.landing_below_m,
        wind_east_m_s=wind.east_m_s,
        wind_north_m_s=wind.north_m_s,
        wind_reference_m=wind.reference_m,
        wind_exponent=wind.exponent,
    )


@njit(cache=True)
def power_kernel_w(figures: Figures, airspeed_m_s: float, climb_m_s: float, load: float) -> float:
    """Electric power, W; `load` is the load factor: of a fixed wing's turn, of a multirotor that speeds up."""
    climb_w = figures.weight_n * climb_m_s
    if figures.wing:
        fast = airspeed_m_s / figures.glide_m_s
        drag_n = figures.parasite_n * fast * fast + figures.lift_n * load * load / (fast * fast)
        return figures.avionics_w + max((drag_n * airspeed_m_s + climb_w) / figures.efficiency, 0.0)
    drag_n = (figures.body_kg_m * airspeed_m_s + figures.rotors_kg_s) * airspeed_m_s
    thrust = math.hypot(load, drag_n / figures.weight_n)
    speed2 = airspeed_m_s * airspeed_m_s + climb_m_s * climb_m_s
    hover2 = figures.induced2 * thrust
    induced = math.sqrt((math.sqrt(speed2 * speed2 + 4.0 * hover2 * hover2) - speed2) / (2.0 * figures.induced2))
    rotors_w = figures.induced_w * thrust * induced + figures.profile_w * thrust * (1.0 + speed2 / 900.0)
    if climb_w < 0.0:
        climb_w *= FALL_SHARE
    moving_w = (drag_n * airspeed_m_s + climb_w) / figures.efficiency
    return figures.avionics_w + max(rotors_w + moving_w, figures.least_w)
