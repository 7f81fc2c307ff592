"""What flights cost: against the simulated vehicle's battery in wind, and against what must hold for any airframe."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.air import CALM, Conditions, Wind, air_density_kg_m3
from fleet.airframes import AEROPLANE, AIR_KG_M3, Airframe
from fleet.endurance import Cost, hover_cost, landing_cost, leg_cost, path_costs, takeoff_cost
from fleet.errors import AirspeedImpossible
from simulators.dynamics import WindConditions
from tests.simulators.ground import Ground

QUADROTOR = Airframe()
STILL = {"gust_sigma_m_s": 0.0}
ROUND = [(0, 0, 60), (0, 400, 60), (40, 400, 60), (40, 0, 60), (80, 0, 60), (80, 400, 60), (80, 400, 90), (300, 0, 70)]
"""East, north, m above home: lines, turns between them, a climb on the spot, a slanting way."""
HOLDS_S = np.array([0, 0, 0, 0, 0, 0, 25.0, 0])
"""Standing still at the top of the climb, s."""


def blowing(speed_m_s: float, from_deg: float, exponent: float = 0.0) -> Conditions:
    return Conditions(wind=Wind.blowing(speed_m_s, from_deg, exponent=exponent))


def flown(wind: WindConditions | None, speed_m_s: float) -> list[tuple[float, float]]:
    """Times, s, and energies, Wh: armed, at each point of ROUND, and landed at home."""
    ground = Ground(ready_after_s=2.0, seed=3, wind=wind)
    ground.ready()
    places = [
        ground.item(16, ground.place(north, east), up, params=(hold_s, 0, 0, 0))
        for (east, north, up), hold_s in zip(ROUND[1:], HOLDS_S[1:], strict=True)
    ]
    speed = ground.item(178, params=(1, speed_m_s, -1, 0), frame=2)
    ground.start([ground.home_item(), ground.item(22, ground.place(0, 0), 60), speed, *places, ground.item(20)])
    vehicle, marks = ground.vehicle, {}

    def landed() -> bool:
        ground.heard.clear()
        ground.frames.clear()
        marks.setdefault(vehicle.pilot.run.current, (vehicle.pilot.time_s, vehicle.battery.energy_used_wh))
        return not vehicle.pilot.armed

    begun = vehicle.pilot.time_s, vehicle.battery.energy_used_wh
    assert ground.run(1500.0, landed)
    reached = [marks[number] for number in range(3, 3 + len(ROUND))]
    return [begun, *reached, (vehicle.pilot.time_s, vehicle.battery.energy_used_wh)]


@pytest.mark.parametrize(
    ("wind", "speed_m_s", "within"),
    [
        (None, 8.0, 0.08),
        (WindConditions(speed_m_s=7.0, from_deg=0.0, **STILL), 8.0, 0.08),
        (WindConditions(speed_m_s=7.0, from_deg=90.0), 12.0, 0.10),
    ],
)
def test_each_part_of_a_simulated_flight_takes_what_was_foretold(
    wind: WindConditions | None, speed_m_s: float, within: float
) -> None:
    marks = np.diff(np.array(flown(wind, speed_m_s)), axis=0)
    conditions = CALM if wind is None else blowing(wind.speed_m_s, wind.from_deg)
    path = np.array(ROUND, float)
    home = np.array([path[-1], (0.0, 0.0, path[-1, 2])])
    on_way = path_costs(QUADROTOR, path, speed_m_s=speed_m_s, holds_s=HOLDS_S, conditions=conditions)
    back = path_costs(QUADROTOR, home, speed_m_s=speed_m_s, conditions=conditions)
    down = landing_cost(QUADROTOR, descent_m=70.0, conditions=conditions)
    foretold = [
        takeoff_cost(QUADROTOR, climb_m=60.0, conditions=conditions),
        *(Cost(*each) for each in zip(*on_way, strict=True)),
        Cost(float(back[0][0]), float(back[1][0])) + down,
    ]
    for part, cost in zip(marks, foretold, strict=True):
        assert cost.duration_s == pytest.approx(part[0], rel=0.05)
        assert cost.energy_wh == pytest.approx(part[1], rel=within)
    total_wh = sum(cost.energy_wh for cost in foretold)
    assert total_wh == pytest.approx(marks[:, 1].sum(), rel=0.04)


def test_the_ground_speed_is_kept_and_a_headwind_beyond_the_airspeed_is_named() -> None:
    def leg(course_deg: float, wind_m_s: float = 8.0) -> Cost:
        north = blowing(wind_m_s, 0.0)
        return leg_cost(QUADROTOR, length_m=1e3, climb_m=0.0, speed_m_s=12.0, course_deg=course_deg, conditions=north)

    against, along, across = leg(0.0), leg(180.0), leg(90.0)
    assert against.duration_s == along.duration_s == across.duration_s
    assert against.energy_wh > across.energy_wh > along.energy_wh
    assert across.energy_wh == pytest.approx(leg(270.0).energy_wh, rel=1e-9)
    with pytest.raises(AirspeedImpossible, match=r"course 0 deg in a wind of 9.0 m/s needs 21.0 m/s of airspeed"):
        leg(0.0, 9.0)
    leg(180.0, 9.0)
    with pytest.raises(AirspeedImpossible, match="holding a place"):
        hover_cost(QUADROTOR, duration_s=1.0, conditions=blowing(21.0, 0.0))
    with pytest.raises(AirspeedImpossible, match="not above 0"):
        leg_cost(QUADROTOR, length_m=10.0, climb_m=0.0, speed_m_s=math.nan)


def test_the_wind_grows_with_height_over_the_ground_below() -> None:
    conditions = blowing(5.0, 0.0, exponent=0.2)
    assert conditions.wind.at(10.0) == pytest.approx((0.0, -5.0), abs=1e-12)
    assert conditions.wind.at(120.0)[1] == pytest.approx(-5.0 * 12**0.2)
    path = np.array([(0.0, 0.0, 920.0), (0.0, 500.0, 920.0)])
    low, high = (
        path_costs(QUADROTOR, path, speed_m_s=8.0, ground_amsl_m=ground_m, conditions=conditions)[1].sum()
        for ground_m in (890.0, 800.0)
    )
    assert high > 1.05 * low


@given(
    speed=st.floats(2.0, 15.0),
    wind=st.floats(0.0, 4.5),
    from_deg=st.floats(0.0, 360.0),
    east=st.floats(-900.0, 900.0),
    climb=st.floats(-80.0, 80.0),
    wing=st.booleans(),
)
@settings(max_examples=60, deadline=None)
def test_heavier_thinner_and_further_never_cost_less(
    speed: float, wind: float, from_deg: float, east: float, climb: float, wing: bool
) -> None:
    airframe = AEROPLANE if wing else QUADROTOR
    path = np.array([(0.0, 0.0, 0.0), (east, 300.0, climb), (east, 600.0, climb)])

    def cost(path: np.ndarray, **changed: float) -> np.ndarray:
        conditions = Conditions(wind=Wind.blowing(wind, from_deg), **changed)
        return np.array(path_costs(airframe, path, speed_m_s=speed, conditions=conditions)).sum(axis=1)

    plain = cost(path)
    assert (plain > 0.0).all()
    if not wing and climb >= 0.0:
        assert cost(path, payload_kg=0.5)[1] > plain[1]
        assert cost(path, air_kg_m3=0.9 * AIR_KG_M3)[1] > 0.95 * plain[1]
    assert (cost(np.vstack([path, path[-1] + (0.0, 200.0, 0.0)])) > plain - 1e-9).all()


def test_a_corner_costs_by_its_turn_and_none_on_a_straight_line() -> None:
    straight, cut, bent, back = (
        path_costs(QUADROTOR, np.array(points, float), speed_m_s=10.0)[0].sum()
        for points in (
            [(0, 0, 0), (600, 0, 0)],
            [(0, 0, 0), (200, 0, 0), (600, 0, 0)],
            [(0, 0, 0), (300, 0, 0), (300, 300, 0)],
            [(0, 0, 0), (300, 0, 0), (0, 0.001, 0)],
        )
    )
    assert cut == pytest.approx(straight)
    assert straight + 2.0 < bent < back < straight + 6.0
    held = path_costs(QUADROTOR, np.array([(0, 0, 0), (600, 0, 0)], float), speed_m_s=10.0, holds_s=np.array([0, 30.0]))
    assert held[0].sum() == pytest.approx(straight + 30.0)


def test_a_fixed_wing_follows_its_drag_polar() -> None:
    best = AEROPLANE.glide_m_s
    mechanical_w = (AEROPLANE.power_w(best) - AEROPLANE.avionics_w) * AEROPLANE.efficiency
    assert mechanical_w == pytest.approx(AEROPLANE.mass_kg * 9.80665 / AEROPLANE.glide_ratio * best)
    speeds = np.linspace(12.0, 26.0, 300)
    drags = [(AEROPLANE.power_w(speed) - AEROPLANE.avionics_w) / speed for speed in speeds]
    assert speeds[int(np.argmin(drags))] == pytest.approx(best, abs=0.1), "least drag at the best glide"
    assert AEROPLANE.power_w(best, -best / AEROPLANE.glide_ratio) == pytest.approx(AEROPLANE.avionics_w), "it glides"
    assert AEROPLANE.power_w(0.0) > AEROPLANE.power_w(AEROPLANE.cruise_m_s), "it circles, banked"
    assert AEROPLANE.turn_radius_m(16.0) == pytest.approx(16.0**2 / (9.80665 * math.tan(math.radians(30.0))))
    assert QUADROTOR.turn_radius_m(16.0) == 0.0


def test_a_fixed_wing_pays_for_its_bank_in_turns_however_finely_they_are_drawn() -> None:
    radius_m = AEROPLANE.turn_radius_m(16.0)

    def half_circle_wh(pieces: int) -> float:
        angles = np.linspace(0.0, math.pi, pieces + 1)
        arc = np.column_stack([radius_m * np.sin(angles), -radius_m * np.cos(angles), np.zeros_like(angles)])
        into = np.vstack([[(-300.0, -radius_m, 0.0)], arc, [(-300.0, radius_m, 0.0)]])
        return float(path_costs(AEROPLANE, into, speed_m_s=16.0)[1].sum())

    straight = path_costs(
        AEROPLANE, np.array([(0.0, 0.0, 0.0), (600.0 + math.pi * radius_m, 0.0, 0.0)]), speed_m_s=16.0
    )
    circling_w = AEROPLANE.power_w(0.0)
    dearer_wh = (circling_w - AEROPLANE.power_w(16.0)) * math.pi * radius_m / 16.0 / 3600.0
    assert half_circle_wh(64) - straight[1].sum() == pytest.approx(dearer_wh, rel=0.02)
    assert half_circle_wh(12) == pytest.approx(half_circle_wh(64), rel=0.01)


def test_a_wind_from_behind_takes_a_fixed_wing_along() -> None:
    slow = leg_cost(AEROPLANE, length_m=1000.0, climb_m=0.0, speed_m_s=12.0, conditions=blowing(6.0, 180.0))
    assert slow.duration_s == pytest.approx(1000.0 / 18.0), "12 m/s of airspeed and 6 m/s of wind"
    steep = leg_cost(AEROPLANE, length_m=160.0, climb_m=60.0, speed_m_s=16.0)
    assert steep.duration_s == pytest.approx(20.0), "it circles up for what 10 s do not give"
    assert leg_cost(AEROPLANE, length_m=0.0, climb_m=60.0, speed_m_s=16.0).duration_s == pytest.approx(20.0)


def test_air_is_that_of_the_standard_atmosphere() -> None:
    for amsl_m, density in ((0.0, 1.2250), (1000.0, 1.1117), (3000.0, 0.9093)):
        assert air_density_kg_m3(amsl_m) == pytest.approx(density, abs=2e-4)
    assert air_density_kg_m3(800.0, 20.0) == pytest.approx(AIR_KG_M3, rel=0.01)
    assert air_density_kg_m3(800.0, -20.0) > air_density_kg_m3(800.0, 35.0)


def test_payload_takes_power_by_three_halves_in_hover() -> None:
    loaded = Conditions(payload_kg=QUADROTOR.mass_kg * 0.25)
    lifting = QUADROTOR.hover_w - QUADROTOR.avionics_w
    assert QUADROTOR.power_w(0.0, conditions=loaded) - QUADROTOR.avionics_w == pytest.approx(lifting * 1.25**1.5)
