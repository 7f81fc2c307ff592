"""The simulated fixed wing, experimental: it flies a mission, circles where a copter hovers, and never stands still."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.dynamics import Demand, Wind, WindConditions
from simulators.fixed_wing import FixedWing, FixedWingAirframe
from tests.simulators.ground import Ground

ACCEPTED, DENIED, FAILED = 0, 2, 4
CIRCLE, AUTO, RTL, LOITER, TAKEOFF, GUIDED = 1, 10, 11, 12, 13, 15
RADIUS_M, STALL_M_S = 80.0, 10.0


def plane(**options: Any) -> Ground:
    ground = Ground(autopilot="arduplane", ready_after_s=4.0, seed=2, **options)
    ground.ready()
    return ground


def in_the_air(**options: Any) -> Ground:
    ground = plane(**options)
    assert ground.command(400, 1) == ACCEPTED
    assert ground.command(176, 1, TAKEOFF) == ACCEPTED
    assert ground.run(60.0, until=lambda: ground.vehicle.pilot.relative_m() > 49.0)
    ground.heard.clear()
    return ground


def around(ground: Ground, centre: tuple[float, float], seconds: float) -> tuple[list[float], float, float]:
    """Distances from a centre, m, rounds flown about it, and the lowest airspeed, m/s."""
    body = ground.vehicle.body
    distances, turned, slowest = [], 0.0, math.inf
    before = math.atan2(body.e - centre[1], body.n - centre[0])
    for _ in range(round(seconds / 0.2)):
        ground.run(0.2)
        angle = math.atan2(body.e - centre[1], body.n - centre[0])
        turned += math.remainder(angle - before, math.tau) / math.tau
        before = angle
        distances.append(math.dist((body.n, body.e), centre))
        slowest = min(slowest, body.airspeed_m_s)
    return distances, turned, slowest


def test_a_wing_turns_no_tighter_than_it_can_bank_and_does_not_stop() -> None:
    body = FixedWing(FixedWingAirframe(), Wind(WindConditions(), 1), lambda n, e: -1000.0)
    body.on_ground, body.airspeed_m_s, body.u = False, 18.0, 0.0
    demand = Demand()
    demand.motors = True
    path = []
    for _ in range(2000):
        demand.north_m_s2, demand.east_m_s2 = -50.0 * math.sin(body.yaw), 50.0 * math.cos(body.yaw)
        body.step(0.04, demand)
        path.append((body.n, body.e))
    tightest = 18.0**2 / (9.80665 * math.tan(math.radians(45.0)))
    width = max(n for n, _ in path[200:]) - min(n for n, _ in path[200:])
    assert width == pytest.approx(2.0 * tightest, rel=0.05)
    for _ in range(100):
        demand.north_m_s2, demand.east_m_s2 = -100.0 * math.cos(body.yaw), -100.0 * math.sin(body.yaw)
        body.step(0.04, demand)
    assert body.airspeed_m_s == STALL_M_S
    demand.motors = False
    before = body.u
    for _ in range(1000):
        body.step(0.04, demand)
    assert before - body.u == pytest.approx(40.0 * 1.4, rel=0.1), "without its motor it glides"


def test_it_is_a_fixed_wing_of_ardupilot_on_the_wire() -> None:
    ground = plane()
    ground.run(1.1)
    beat = ground.of("HEARTBEAT")[-1]
    assert (beat.type, beat.autopilot, beat.custom_mode) == (1, 3, 2)
    for mode in (AUTO, RTL, LOITER, CIRCLE, GUIDED):
        assert ground.command(176, 1, mode) == ACCEPTED
        assert ground.of("HEARTBEAT")[-1].custom_mode == mode
    assert ground.command(176, 1, 9) == FAILED
    ground.send(mavlink.MAVLink_param_request_read_message(7, 1, b"AIRSPEED_CRUISE", -1))
    assert ground.of("PARAM_VALUE")[-1].param_value == 18.0
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_request_read_message(7, 1, b"WPNAV_SPEED", -1))
    assert ground.heard == []


def test_it_loiters_and_returns_in_circles() -> None:
    ground = in_the_air()
    at = ground.vehicle.body
    centre = (at.n, at.e)
    assert ground.command(176, 1, LOITER) == ACCEPTED
    ground.run(40.0)
    distances, turned, slowest = around(ground, centre, 40.0)
    assert min(distances) > 0.8 * RADIUS_M
    assert max(distances) < 1.2 * RADIUS_M
    assert turned == pytest.approx(18.0 * 40.0 / (math.tau * RADIUS_M), rel=0.2), "clockwise"
    assert slowest > STALL_M_S
    assert ground.command(176, 1, RTL) == ACCEPTED
    ground.run(60.0)
    distances, turned, _ = around(ground, (0.0, 0.0), 40.0)
    assert max(distances) < 1.25 * RADIUS_M
    assert turned > 1.0
    assert ground.vehicle.pilot.relative_m() == pytest.approx(100.0, abs=8.0)


def test_it_goes_where_it_is_told_and_circles_there_in_wind() -> None:
    ground = in_the_air(wind=WindConditions(speed_m_s=5.0, from_deg=300.0))
    x, y = ground.place(300, 200)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 6, 192, 0, 0, -1, 1, 0, math.nan, x, y, 70))
    assert ground.of("COMMAND_ACK")[-1].result == ACCEPTED
    ground.run(60.0)
    distances, turned, slowest = around(ground, (300.0, 200.0), 40.0)
    assert min(distances) > 0.6 * RADIUS_M
    assert max(distances) < 1.4 * RADIUS_M
    assert turned > 1.0
    assert slowest > STALL_M_S
    assert ground.vehicle.pilot.relative_m() == pytest.approx(70.0, abs=6.0)
    assert ground.command(22, 0, 0, 0, 0, 0, 0, 50) == FAILED
    assert ground.command(193, 0) == DENIED


def test_it_flies_a_mission_to_its_landing() -> None:
    ground = plane(wind=WindConditions(speed_m_s=4.0, from_deg=20.0))
    corners = [(300, 0), (300, 250), (-200, 250)]
    items = [
        ground.home_item(), ground.item(22, z=40), *(ground.item(16, ground.place(*c), 60) for c in corners),
        ground.item(18, ground.place(-400, 0), 60, (1, 0, 70, 0)), ground.item(16, ground.place(-500, 0), 40),
        ground.item(21, ground.place(0, 0), 0),
    ]  # fmt: skip
    assert ground.upload(items) == ACCEPTED
    assert ground.command(400, 1) == ACCEPTED
    assert ground.command(300) == ACCEPTED
    body = ground.vehicle.body
    nearest = [math.inf] * len(corners)
    slowest = math.inf

    def look() -> bool:
        nonlocal slowest
        for index, corner in enumerate(corners):
            nearest[index] = min(nearest[index], math.dist((body.n, body.e), corner))
        if not body.on_ground:
            slowest = min(slowest, body.airspeed_m_s)
        return not ground.vehicle.pilot.armed

    assert ground.run(400.0, until=look), ground.texts()
    assert max(nearest) < 60.0, "it passes within WP_RADIUS"
    assert slowest >= STALL_M_S
    assert body.on_ground
    assert body.touchdown_m_s < 1.5
    assert math.hypot(body.n, body.e) < 150.0
    assert [m.seq for m in ground.of("MISSION_ITEM_REACHED")] == [2, 2, 3, 4, 5, 6, 7]


def test_a_lost_ground_brings_it_home() -> None:
    ground = in_the_air()
    ground.beats = False
    ground.run(6.0)
    beat = ground.of("HEARTBEAT")[-1]
    assert (beat.custom_mode, beat.system_status) == (RTL, 5)
    assert ground.texts() == ["GCS Failsafe On: RTL"]


def test_without_its_motor_it_glides_and_does_not_tumble() -> None:
    ground = in_the_air()
    ground.vehicle.fail("motor")
    ground.run(8.0)
    assert abs(ground.vehicle.body.roll) < 1.0
    assert ground.vehicle.body.vu == pytest.approx(-1.4, abs=0.3)
    assert ground.run(60.0, until=lambda: ground.vehicle.body.on_ground)
    assert ground.vehicle.body.touchdown_m_s < 2.0


def test_orders_without_numbers_and_orders_for_copters_do_no_harm() -> None:
    ground = in_the_air()
    table = sorted(set(ground.vehicle.commands._table) - {185, 241, 245, 246, 400})
    for value in (math.nan, math.inf, 1.0, 50.0):
        for number in table:
            assert ground.command(number, *[value] * 7) in (0, 2, 3, 4, 5)
        ground.run(3.0)
    assert ground.command(21) == 3, "there is no mode to land"
    assert ground.vehicle.body.airspeed_m_s >= STALL_M_S
    assert math.isfinite(ground.vehicle.true_state().lon)
