"""What a battery still gives: its age by the vehicle's own history, its temperature, and the reserve kept back."""

from __future__ import annotations

import math

import msgspec

from fleet.health import Resistance, Trend

WARM_C = 25.0
"""From here on a battery gives what its maker says, deg C."""
RESISTANCE_DOUBLES_K = 22.0
"""So much colder, and the inner resistance is twice as high, K: a round figure for lithium cells."""
AGED_SHARE = 0.8
"""Capacity that is left after the cycles that a maker promises."""


class BatteryState(msgspec.Struct, frozen=True, kw_only=True):
    """The battery as it is now."""

    capacity_share: float = 1.0
    """Warm capacity, as a share of that of a new one, 0 to 1."""
    inner_resistance_ohm: float | None = None
    """Of the whole warm battery, ohm; None: as new."""
    temperature_c: float = WARM_C
    """Of the battery when it takes off, deg C."""


class Reserve(msgspec.Struct, frozen=True, kw_only=True):
    """What no plan may use; the greater of the two counts."""

    share: float = 0.25
    """Share of a full new battery, 0 to 1."""
    hover_min: float = 0.0
    """Minutes of hover."""

    def energy_wh(self, full_wh: float, hover_w: float) -> float:
        """Kept back, Wh."""
        return max(self.share * full_wh, self.hover_min / 60.0 * hover_w)


class Pack(msgspec.Struct, frozen=True, kw_only=True):
    """What a new battery is, by its data sheet; the defaults are a lithium-polymer one of 6 cells and 8 Ah."""

    voltage_v: float = 22.2
    """Nominal, V."""
    resistance_ohm: float = 0.03
    """Inner resistance of the whole new, warm battery, ohm."""
    life_cycles: float = 300.0
    """Full cycles after which four fifths of the capacity are left; an assumption where no data sheet is at hand."""
    cold_share_per_k: float = 0.006
    """Capacity lost for each degree below 25 deg C, 1/K; an assumption where no data sheet is at hand."""


def battery_state(
    pack: Pack,
    *,
    cycles: float,
    resistance: Resistance | None,
    trend: Trend | None,
    temperature_c: float = WARM_C,
) -> BatteryState:
    """The battery by the flights that it made: its cycles, its latest resistance, and the trend of that.

    Capacity falls evenly with cycles; no flight empties a battery, so that it is not measured. The resistance is the
    latest one and its error, one cycle further along a trend that is rising, and never below that of a new one.
    """
    share = max(0.0, 1.0 - (1.0 - AGED_SHARE) * cycles / pack.life_cycles)
    ohm = pack.resistance_ohm
    if resistance is not None:
        rise = trend.ohm_per_cycle if trend is not None and trend.rising else 0.0
        ohm = max(ohm, resistance.ohm + resistance.sigma_ohm + rise)
    return BatteryState(capacity_share=share, inner_resistance_ohm=ohm, temperature_c=temperature_c)


def deliverable_wh(pack: Pack, full_wh: float, state: BatteryState, power_w: float) -> float:
    """What the battery gives at that mean power until it is empty, Wh; 0 where it cannot give that power at all.

    `full_wh` is the energy of a new, warm one without load. What the inner resistance turns into heat is lost.
    """
    colder_k = max(0.0, WARM_C - state.temperature_c)
    ohm = pack.resistance_ohm if state.inner_resistance_ohm is None else state.inner_resistance_ohm
    ohm *= math.exp2(colder_k / RESISTANCE_DOUBLES_K)
    room = pack.voltage_v**2 - 4.0 * ohm * power_w
    if room < 0.0:
        return 0.0
    under_load = 0.5 * (1.0 + math.sqrt(room) / pack.voltage_v)
    warm_wh = full_wh * state.capacity_share * max(0.0, 1.0 - pack.cold_share_per_k * colder_k)
    return warm_wh * under_load
