"""The air that a flight goes through: wind that grows with height, and density."""

from __future__ import annotations

import math

import msgspec

AIR_KG_M3 = 1.10
"""Density at about 800 m AMSL and 20 deg C (ISA), for which airframes are described."""
LEAST_HEIGHT_M = 1.0
"""Below this the wind is taken to be what it is here, m above ground."""


class Wind(msgspec.Struct, frozen=True, kw_only=True):
    """A wind that grows with height by a power law."""

    east_m_s: float = 0.0
    """Towards the east at `reference_m`, m/s."""
    north_m_s: float = 0.0
    """Towards the north at `reference_m`, m/s."""
    reference_m: float = 10.0
    """Height above ground at which it was measured, m; weather stations measure at 10."""
    exponent: float = 0.2
    """Of the power law; 0 is the same wind everywhere. 0.2 is the normal wind profile of IEC 61400-1."""

    @classmethod
    def blowing(cls, speed_m_s: float, from_deg: float, *, reference_m: float = 10.0, exponent: float = 0.2) -> Wind:
        """As weather is told: speed, and the direction that it comes from, deg clockwise from true north."""
        direction = math.radians(from_deg)
        return cls(
            east_m_s=-speed_m_s * math.sin(direction),
            north_m_s=-speed_m_s * math.cos(direction),
            reference_m=reference_m,
            exponent=exponent,
        )

    def at(self, height_m: float) -> tuple[float, float]:
        """Towards east and north at a height above ground, m/s."""
        growth = (max(height_m, LEAST_HEIGHT_M) / self.reference_m) ** self.exponent
        return self.east_m_s * growth, self.north_m_s * growth


class Conditions(msgspec.Struct, frozen=True, kw_only=True):
    """What a flight's energy depends on besides the airframe and the way."""

    wind: Wind = Wind()
    """Mean wind."""
    air_kg_m3: float = AIR_KG_M3
    """Density of the air."""
    payload_kg: float = 0.0
    """Carried besides the airframe's own mass, kg."""


CALM = Conditions()
"""No wind, the air for which airframes are described, no payload."""


def air_density_kg_m3(amsl_m: float, temperature_c: float | None = None) -> float:
    """Density of dry air at a height, with the ISA's pressure; its temperature too where none is given (ISO 2533)."""
    pressure_pa: float = 101_325.0 * (1.0 - 0.0065 * amsl_m / 288.15) ** 5.255877
    kelvin = 288.15 - 0.0065 * amsl_m if temperature_c is None else temperature_c + 273.15
    return pressure_pa / (287.05287 * kelvin)
