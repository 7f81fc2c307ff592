"""A battery warms itself in flight, and a cold one sags."""

from __future__ import annotations

import pytest

from simulators.battery import Pack
from simulators.battery_temperature import LOSS_W_K, PackTemperature
from tests.simulators.test_vehicle_failures import flying, mode


def test_it_settles_where_the_air_takes_what_the_current_gives() -> None:
    warm = PackTemperature(30.0)
    for _ in range(20_000):
        assert warm.step(1.0, 20.0, 0.03) == 0.0
    assert warm.celsius == pytest.approx(30.0 + 20.0**2 * 0.03 / LOSS_W_K, abs=0.1)


def test_cold_doubles_its_resistance_each_22_degrees() -> None:
    sags = [PackTemperature(air_c).step(0.04, 20.0, 0.03) for air_c in (40.0, 25.0, 3.0, -19.0)]
    assert sags == pytest.approx([0.0, 0.0, 0.6, 1.8])


def test_it_warms_up_in_flight_and_then_sags_less() -> None:
    ground = flying("ardupilot", air_c=-15.0)
    pilot = ground.vehicle.pilot
    cold_c, cold_v = pilot.pack_temperature.celsius, ground.vehicle.battery.open_circuit_v() - pilot.battery.voltage_v
    ground.run(120.0)
    warmer_v = ground.vehicle.battery.open_circuit_v() - pilot.battery.voltage_v
    assert pilot.pack_temperature.celsius > cold_c + 1.0
    assert 0.0 < warmer_v < cold_v


@pytest.mark.parametrize(("air_c", "becomes"), [(25.0, "GUIDED"), (-20.0, "RTL")])
def test_the_same_flight_ends_sooner_in_the_cold(air_c: float, becomes: str) -> None:
    full_v = 6 * 4.20
    parameters = {"BATT_LOW_VOLT": full_v - Pack().resistance_ohm * 18.0 - 0.9}
    ground = flying("ardupilot", height_m=15.0, air_c=air_c, parameters=parameters)
    ground.run(15.0)
    assert mode(ground) == becomes
