"""How warm a battery is: its own current heats it, the air cools it, and cold makes it resist."""

from __future__ import annotations

import math

WARM_C = 25.0
"""From here on the inner resistance is what the pack says, deg C."""
DOUBLES_K = 22.0
"""So much colder, and the resistance is twice as high, K: a round figure for lithium cells."""
HEAT_CAPACITY_J_K = 1000.0
"""Of a pack of about 1.1 kg, J/K."""
LOSS_W_K = 0.6
"""What it gives to the air for each degree that it is warmer, W/K."""


class PackTemperature:
    """Temperature of a pack over a flight."""

    __slots__ = ("air_c", "celsius")

    def __init__(self, air_c: float) -> None:
        """As warm as the air, deg C."""
        self.air_c = self.celsius = air_c

    def step(self, dt_s: float, current_a: float, resistance_ohm: float) -> float:
        """Warm or cool; by how much the voltage sags below that of a warm pack, V."""
        more_ohm = resistance_ohm * (self.factor() - 1.0)
        heat_w = current_a * current_a * (resistance_ohm + more_ohm)
        self.celsius += (heat_w - LOSS_W_K * (self.celsius - self.air_c)) / HEAT_CAPACITY_J_K * dt_s
        return current_a * more_ohm

    def factor(self) -> float:
        """The inner resistance, as a multiple of that of a warm pack."""
        return math.exp2((WARM_C - self.celsius) / DOUBLES_K) if self.celsius < WARM_C else 1.0
