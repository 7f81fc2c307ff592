"""The battery of a simulated vehicle: power drawn, charge left, voltage under load."""

from __future__ import annotations

import math

import msgspec

CELL_CURVE_V = (3.00, 3.30, 3.50, 3.60, 3.66, 3.72, 3.78, 3.86, 3.95, 4.06, 4.20)
"""Open-circuit voltage of a lithium-polymer cell at 0, 10 .. 100 % of charge, V."""


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """A battery and what the airframe draws from it; the defaults fit the default airframe."""

    cells: int = 6
    """Cells in series."""
    capacity_wh: float = 177.6
    """Energy when full, Wh."""
    resistance_ohm: float = 0.03
    """Inner resistance of the whole pack, ohm."""
    hover_w: float = 380.0
    """Electric power in hover in still air, W."""
    induced_hover_m_s: float = 6.0
    """Induced velocity of the rotors in hover, m/s."""
    efficiency: float = 0.7
    """From electric to mechanical power."""
    idle_w: float = 12.0
    """Avionics and camera, W; also drawn on the ground."""

    def capacity_mah(self) -> float:
        """Charge when full at 3.7 V a cell, mAh."""
        return self.capacity_wh / (3.7 * self.cells) * 1000.0

    def power_w(
        self, *, thrust_g: float, airspeed_m_s: float, climb_m_s: float, mass_kg: float, drag_w: float
    ) -> float:
        """Electric power, W: induced (Glauert), profile, parasitic and climb.

        Induced power falls with airspeed and rises with thrust; a quarter of the hover power is
        profile power. Leishman, Principles of Helicopter Aerodynamics, 2nd ed., sections 2.13, 5.4.
        """
        if thrust_g <= 0.01:
            return self.idle_w
        hover2 = self.induced_hover_m_s**2
        speed2 = airspeed_m_s * airspeed_m_s
        induced = math.sqrt(0.5 * (math.sqrt(speed2 * speed2 + 4.0 * hover2 * hover2 * thrust_g * thrust_g) - speed2))
        rotor_w = self.hover_w * (
            0.75 * thrust_g * induced / self.induced_hover_m_s + 0.25 * (1.0 + speed2 / 900.0) * thrust_g
        )
        climb_w = mass_kg * 9.80665 * (climb_m_s if climb_m_s > 0.0 else 0.3 * climb_m_s) / self.efficiency
        return self.idle_w + max(rotor_w + drag_w / self.efficiency + climb_w, 0.3 * self.hover_w)


class Battery:
    """Charge of a pack over a flight."""

    __slots__ = ("capacity_mah", "current_a", "energy_used_wh", "pack", "used_mah", "voltage_v")

    def __init__(self, pack: Pack, charge: float = 1.0) -> None:
        """`charge` is the part of the capacity that is there, 0 to 1."""
        self.pack = pack
        self.capacity_mah = pack.capacity_mah()
        self.energy_used_wh = pack.capacity_wh * (1.0 - charge)
        self.used_mah = self.capacity_mah * (1.0 - charge)
        self.current_a = 0.0
        self.voltage_v = self.open_circuit_v()

    def remaining(self) -> float:
        """Part of the charge that is left, 0 to 1."""
        return max(0.0, 1.0 - self.used_mah / self.capacity_mah)

    def open_circuit_v(self) -> float:
        """Voltage without load, V."""
        place = self.remaining() * 10.0
        index = min(int(place), 9)
        low, high = CELL_CURVE_V[index], CELL_CURVE_V[index + 1]
        return self.pack.cells * (low + (high - low) * (place - index))

    def step(self, dt_s: float, power_w: float) -> None:
        """Draw `power_w` for `dt_s`; the voltage sags by the current times the resistance."""
        open_v, resistance = self.open_circuit_v(), self.pack.resistance_ohm
        room = max(open_v * open_v - 4.0 * resistance * power_w, 0.0)
        self.voltage_v = 0.5 * (open_v + math.sqrt(room))
        self.current_a = power_w / self.voltage_v
        self.used_mah += self.current_a * dt_s / 3.6
        self.energy_used_wh += power_w * dt_s / 3600.0
