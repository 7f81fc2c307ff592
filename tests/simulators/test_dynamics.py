from __future__ import annotations

import math
import random
import statistics
from itertools import pairwise

import pytest

from simulators.autopilot_guidance import Leg, LocalFrame, Point, SpeedLimits, corner_speed_m_s
from simulators.autopilot_sensors import SensorErrors, Sensors
from simulators.battery import Battery, Pack
from simulators.dynamics import GRAVITY_M_S2, Airframe, Demand, Multirotor, Wind, WindConditions

LIMITS = SpeedLimits(10.0, 2.5, 1.5, 2.5, 1.0, 5.0)


def flying(wind: WindConditions | None = None, airframe: Airframe | None = None) -> Multirotor:
    body = Multirotor(airframe or Airframe(), Wind(wind or WindConditions(), 1), lambda n, e: -1000.0)
    body.u, body.on_ground = 50.0, False
    body._tu = GRAVITY_M_S2
    return body


def push(body: Multirotor, seconds: float, north: float = 0.0, east: float = 0.0, up: float = 0.0) -> None:
    demand = Demand()
    demand.motors, demand.north_m_s2, demand.east_m_s2, demand.up_m_s2 = True, north, east, up
    for _ in range(round(seconds / 0.04)):
        body.step(0.04, demand)


def test_acceleration_follows_the_demand_and_the_tilt_agrees_with_it() -> None:
    body = flying()
    push(body, 1.0, north=2.0)
    assert body.acc_n == pytest.approx(2.0, abs=0.15)
    assert math.degrees(body.pitch) == pytest.approx(-math.degrees(math.atan2(2.0, GRAVITY_M_S2)), abs=1.0)
    assert abs(math.degrees(body.roll)) < 0.1


def test_hovering_in_wind_leans_into_it_as_the_drag_asks() -> None:
    airframe = Airframe()
    body = flying(WindConditions(speed_m_s=8.0, from_deg=90.0, gust_sigma_m_s=0.0), airframe)
    demand = Demand()
    demand.motors = True
    for _ in range(1000):
        demand.north_m_s2, demand.east_m_s2 = -2.0 * body.vn, -2.0 * body.ve
        body.step(0.04, demand)
    assert abs(body.ve) < 0.05
    drag = (airframe.drag_linear_per_s + airframe.drag_quadratic_per_m * 8.0) * 8.0
    assert math.degrees(body.roll) == pytest.approx(math.degrees(math.atan2(drag, GRAVITY_M_S2)), abs=0.3)


def test_tilt_never_exceeds_its_limit() -> None:
    body = flying()
    demand = Demand()
    demand.motors, demand.north_m_s2, demand.east_m_s2 = True, 30.0, 30.0
    for _ in range(200):
        body.step(0.04, demand)
        tilt = math.degrees(math.acos(math.cos(body.roll) * math.cos(body.pitch)))
        assert tilt <= 30.5


def test_thrust_changes_no_faster_than_the_jerk_allows() -> None:
    body = flying()
    before = 0.0
    for _ in range(20):
        push(body, 0.04, north=5.0)
        assert abs(body.acc_n - before) <= Airframe().jerk_m_s3 * 0.04 + 0.05
        before = body.acc_n


def test_yaw_turns_no_faster_than_its_limit() -> None:
    body = flying()
    demand = Demand()
    demand.motors, demand.yaw_rate_rad_s = True, 10.0
    for _ in range(100):
        body.step(0.04, demand)
    assert math.degrees(body.yaw_rate) == pytest.approx(60.0)


def test_a_fall_ends_on_the_ground() -> None:
    body = Multirotor(Airframe(), Wind(WindConditions(), 1), lambda n, e: 3.0)
    assert body.u == 3.0
    push(body, 3.0, up=2.0)
    assert body.u > 5.0
    demand = Demand()
    for _ in range(200):
        body.step(0.04, demand)
    assert body.on_ground
    assert body.u == 3.0
    assert body.touchdown_m_s > 3.0


def test_gusts_have_the_sigma_and_the_length_they_claim() -> None:
    wind = Wind(WindConditions(speed_m_s=6.0, from_deg=0.0, gust_sigma_m_s=1.2, gust_length_m=60.0), 5)
    series = []
    for _ in range(100_000):
        wind.step(0.04, 6.0)
        series.append(wind.north)
    assert statistics.fmean(series) == pytest.approx(-6.0, abs=0.25)
    assert statistics.pstdev(series) == pytest.approx(1.2, rel=0.12)
    lag = round(10.0 / 0.04)  # 60 m at 6 m/s
    mean = statistics.fmean(series)
    pairs = [(a - mean) * (b - mean) for a, b in zip(series, series[lag:], strict=False)]
    assert statistics.fmean(pairs) / statistics.pvariance(series) == pytest.approx(math.exp(-1), abs=0.12)


def test_sensor_errors_have_the_sigmas_and_the_memory_they_claim() -> None:
    errors = SensorErrors()
    ends: dict[str, list[float]] = {"north": [], "up": [], "roll": [], "yaw": [], "gimbal_yaw": []}
    later: list[tuple[float, float]] = []
    for seed in range(400):
        sensors = Sensors(errors, seed)
        for _ in range(100):
            sensors.step(0.4)
        first = sensors.north.value
        for _ in range(100):
            sensors.step(0.4)
        later.append((first, sensors.north.value))
        for name, values in ends.items():
            values.append(getattr(sensors, name).value)
    expected = {
        "north": 1.0,
        "up": 1.5,
        "roll": math.radians(0.3),
        "yaw": math.radians(1.2),
        "gimbal_yaw": math.radians(0.2),
    }
    for name, sigma in expected.items():
        assert statistics.pstdev(ends[name]) == pytest.approx(sigma, rel=0.12), name
    assert statistics.fmean(a * b for a, b in later) == pytest.approx(math.exp(-1), abs=0.13)


def test_leg_respects_speed_and_acceleration_and_ends_at_its_end() -> None:
    leg = Leg(Point(0, 0, 30), Point(200, 100, 50), LIMITS)
    speeds = [0.0]
    time_s = 0.0
    while not leg.done:
        leg.step(0.04, 0.0)
        speeds.append(leg.v_m_s)
        time_s += 0.04
        assert time_s < 100.0
    north, east, up = leg.target()
    assert (north, east, up) == pytest.approx((200, 100, 50))
    assert max(speeds) <= 10.0 * math.hypot(223.6, 20) / 223.6 + 0.01
    changes = [(b - a) / 0.04 for a, b in pairwise(speeds)]
    assert max(changes) <= 2.5 + 1e-6
    assert min(changes) >= -3.75 - 1e-6
    assert time_s == pytest.approx(224.5 / 10 + 10 / 2.5, abs=6.0)


def test_leg_straight_up_climbs_at_the_climb_limit() -> None:
    leg = Leg(Point(0, 0, 0), Point(0, 0, 60), LIMITS)
    fastest = 0.0
    while not leg.done:
        leg.step(0.04, 0.0)
        fastest = max(fastest, leg.v_m_s)
    assert fastest == pytest.approx(2.5, abs=0.01)


def test_target_waits_for_a_vehicle_that_is_behind() -> None:
    leg = Leg(Point(0, 0, 0), Point(500, 0, 0), LIMITS)
    for _ in range(200):
        leg.step(0.04, 0.0)
    for _ in range(200):
        leg.step(0.04, 20.0)
    assert leg.v_m_s < 0.01


def test_sharper_corners_are_flown_slower() -> None:
    speeds = [
        corner_speed_m_s(Point(-100, 0, 0), Point(0, 0, 0), Point(100 * math.cos(turn), 100 * math.sin(turn), 0), 2.5)
        for turn in (0.01, 0.5, 1.0, math.pi / 2, 2.5, math.pi)
    ]
    assert speeds == sorted(speeds, reverse=True)
    assert speeds[0] > 20.0
    assert speeds[-1] < 1.5


def test_local_frame_agrees_with_the_geodesic() -> None:
    import pyproj

    geod = pyproj.Geod(ellps="WGS84")
    frame = LocalFrame(76.945, 43.238, 0.0)
    source = random.Random(4)
    for _ in range(1000):
        n, e = source.uniform(-1500, 1500), source.uniform(-1500, 1500)
        lon, lat = frame.lonlat(n, e)
        back = frame.point(lon, lat, 5.0)
        assert (back.n, back.e, back.u) == pytest.approx((n, e, 5.0), abs=1e-6)
        _, _, metres = geod.inv(76.945, 43.238, lon, lat)
        assert metres == pytest.approx(math.hypot(n, e), abs=0.6)


def test_hover_draws_the_hover_power_and_the_battery_knows_it() -> None:
    pack = Pack()
    battery = Battery(pack)
    still = {"thrust_g": 1.0, "climb_m_s": 0.0, "mass_kg": 3.2}
    hover = pack.power_w(airspeed_m_s=0.0, drag_w=0.0, **still)
    assert hover == pytest.approx(392.0)
    assert pack.power_w(airspeed_m_s=6.0, drag_w=10.0, **still) < hover  # translational lift
    assert pack.power_w(airspeed_m_s=18.0, drag_w=250.0, **still) > hover
    assert pack.power_w(thrust_g=1.0, airspeed_m_s=0, climb_m_s=2.5, mass_kg=3.2, drag_w=0) > hover + 100
    full = battery.voltage_v
    for _ in range(3600):
        battery.step(0.1, hover)
    assert battery.energy_used_wh == pytest.approx(39.2)
    assert battery.remaining() == pytest.approx(1 - 39.2 / 177.6, abs=0.03)
    assert battery.current_a == pytest.approx(hover / battery.voltage_v)
    sag = battery.open_circuit_v() - battery.voltage_v
    assert sag == pytest.approx(battery.current_a * pack.resistance_ohm, rel=1e-3)
    assert battery.voltage_v < full
