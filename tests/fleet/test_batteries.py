"""What a battery still gives: against the simulated one, and by its history."""

from __future__ import annotations

import pytest

from fleet.airframes import Airframe
from fleet.batteries import BatteryState, Pack, Reserve, battery_state, deliverable_wh
from fleet.health import Resistance, Trend
from simulators import battery as simulated

PACK, FULL_WH = Pack(), 177.6


@pytest.mark.parametrize(("ohm", "power_w"), [(0.03, 392.0), (0.03, 650.0), (0.12, 392.0), (0.12, 650.0)])
def test_a_battery_gives_what_the_simulated_one_does(ohm: float, power_w: float) -> None:
    drained = simulated.Battery(simulated.Pack(resistance_ohm=ohm))
    while drained.remaining() > 0.0:
        drained.step(1.0, power_w)
    foretold_wh = deliverable_wh(PACK, FULL_WH, BatteryState(inner_resistance_ohm=ohm), power_w)
    assert foretold_wh == pytest.approx(drained.energy_used_wh, rel=0.02)


def test_age_and_cold_take_energy_and_too_much_of_both_leave_none() -> None:
    def left(**state: float) -> float:
        return deliverable_wh(PACK, FULL_WH, BatteryState(**state), 392.0)

    new = left()
    assert 0.95 * FULL_WH < new < FULL_WH
    assert left(capacity_share=0.8) == pytest.approx(0.8 * new)
    assert new > left(temperature_c=10.0) > left(temperature_c=-10.0) > 0.0
    assert left(temperature_c=40.0) == new
    assert left(inner_resistance_ohm=0.2, temperature_c=-20.0) == 0.0, "it cannot give that power at all"


def test_the_state_is_that_of_the_vehicles_own_history() -> None:
    unknown = battery_state(PACK, cycles=0.0, resistance=None, trend=None)
    assert unknown == BatteryState(inner_resistance_ohm=PACK.resistance_ohm)
    measured = Resistance(ohm=0.05, sigma_ohm=0.002, steps=400)
    rising = Trend(ohm_per_cycle=0.001, sigma_ohm_per_cycle=0.0002, flights=9)
    level = Trend(ohm_per_cycle=0.001, sigma_ohm_per_cycle=0.002, flights=9)
    aged = battery_state(PACK, cycles=150.0, resistance=measured, trend=rising, temperature_c=5.0)
    assert aged.capacity_share == pytest.approx(0.9)
    assert aged.inner_resistance_ohm == pytest.approx(0.053)
    assert aged.temperature_c == 5.0
    assert battery_state(PACK, cycles=1.0, resistance=measured, trend=level).inner_resistance_ohm == pytest.approx(
        0.052
    )
    better = Resistance(ohm=0.01, sigma_ohm=0.002, steps=40)
    assert battery_state(PACK, cycles=1.0, resistance=better, trend=None).inner_resistance_ohm == PACK.resistance_ohm
    assert battery_state(PACK, cycles=1e4, resistance=None, trend=None).capacity_share == 0.0


def test_the_greater_reserve_is_kept_back() -> None:
    airframe = Airframe()
    assert airframe.usable_wh == pytest.approx(0.75 * FULL_WH)
    minutes = Airframe(reserve=Reserve(share=0.1, hover_min=10.0))
    assert minutes.usable_wh == pytest.approx(FULL_WH - airframe.hover_w / 6.0)
    assert Airframe(reserve=Reserve(share=0.5, hover_min=10.0)).usable_wh == pytest.approx(0.5 * FULL_WH)
    worn = BatteryState(capacity_share=0.8, temperature_c=-5.0)
    assert 0.0 < airframe.usable_now_wh(worn) < airframe.usable_now_wh(BatteryState()) < airframe.usable_wh
    assert airframe.usable_now_wh(BatteryState(capacity_share=0.1)) == 0.0
