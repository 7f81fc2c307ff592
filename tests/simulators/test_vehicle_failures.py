"""What breaks in a simulated vehicle is seen on the wire, and has the consequences that were recorded."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.errors import FaultInvalid
from simulators.failures import Failures
from simulators.px4_failsafes import charge_at
from tests.simulators.ground import HOME, Ground

ACCEPTED, REJECTED, DENIED, FAILED = 0, 1, 2, 4
NAN = math.nan
COMPASS, POSITION_CONTROL, BATTERY = 0x4, 0x4000, 0x2000000
ALARM_S = 2.0
AUTOPILOTS = pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])


def flying(autopilot: str, height_m: float = 40.0, **options: Any) -> Ground:
    """In the air, in GUIDED or HOLD, with telemetry at 2 Hz and nothing heard yet."""
    ground = Ground(autopilot=autopilot, ready_after_s=4.0, seed=3, **options)
    ground.run(5.0)
    for number in (1, 24, 30, 33, 147, 193, 230, 245):
        ground.send(mavlink.MAVLink_command_long_message(7, 1, 511, 0, number, 5e5, 0, 0, 0, 0, 0))
    if autopilot == "px4":
        ground.send(mavlink.MAVLink_command_long_message(7, 1, 22, 0, -1, 0, 0, NAN, NAN, NAN, HOME[2] + height_m))
        ground.send(mavlink.MAVLink_command_long_message(7, 1, 400, 0, 1, 0, 0, 0, 0, 0, 0))
        assert ground.run(60.0, until=lambda: ground.vehicle.pilot.mode.value == "HOLD")
    else:
        ground.take_off(height_m)
        ground.run(4.0)
    ground.heard.clear()
    return ground


def set_parameter(ground: Ground, name: str, value: float) -> None:
    ground.send(mavlink.MAVLink_param_set_message(7, 1, name.encode(), value, 9))
    assert ground.of("PARAM_VALUE")[-1].param_value == pytest.approx(value)


def mode(ground: Ground) -> str:
    return str(ground.vehicle.pilot.mode.value)


def health(ground: Ground) -> int:
    return int(ground.of("SYS_STATUS")[-1].onboard_control_sensors_health)


def seen(ground: Ground, look: Callable[[], bool], within_s: float = ALARM_S) -> bool:
    """Whether something is seen in what the vehicle sends, in time."""
    return ground.run(within_s, until=look)


# -- satellites ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("autopilot", "fix", "landed_after_s"), [("ardupilot", 1, 8.0), ("px4", 0, 5.2)])
def test_lost_satellites_are_told_at_once_and_end_in_a_landing(autopilot: str, fix: int, landed_after_s: float) -> None:
    ground = flying(autopilot)
    ground.vehicle.fail("gps_off")
    assert seen(ground, lambda: bool(ground.of("GPS_RAW_INT")) and ground.of("GPS_RAW_INT")[-1].fix_type == fix)
    before_s = ground.vehicle.pilot.time_s
    assert ground.run(15.0, until=lambda: mode(ground) == "LAND")
    assert ground.vehicle.pilot.time_s - before_s == pytest.approx(landed_after_s, abs=1.0)
    ground.run(1.2)
    assert ground.of("HEARTBEAT")[-1].system_status == 5
    assert not health(ground) & POSITION_CONTROL
    assert ground.of("GLOBAL_POSITION_INT")[-1].lat != 0, "it goes on by dead reckoning"
    ground.vehicle.mend("gps_off")
    ground.run(4.0)
    assert ground.of("GPS_RAW_INT")[-1].fix_type == 3
    assert mode(ground) == ("LAND" if autopilot == "ardupilot" else "HOLD")


@AUTOPILOTS
def test_a_jammed_receiver_hears_few_satellites_and_says_any_place(autopilot: str) -> None:
    ground = flying(autopilot)
    ground.vehicle.fail("gps_jam")
    assert ground.run(3.0, until=lambda: mode(ground) == "LAND"), "sooner than when they are only lost"
    ground.run(4.0)
    readings = ground.of("GPS_RAW_INT")[2:]
    assert {(r.fix_type, r.satellites_visible) for r in readings} == {(2, 4)}
    assert max(r.lat for r in readings) - min(r.lat for r in readings) > 1000
    assert ("GPS Glitch or Compass error" in ground.texts()) == (autopilot == "ardupilot")


@pytest.mark.parametrize(("autopilot", "believed_after_s"), [("ardupilot", 10.0), ("px4", 5.0)])
def test_a_glitch_is_refused_and_then_believed(autopilot: str, believed_after_s: float) -> None:
    ground = flying(autopilot)
    truth = ground.vehicle.body
    before = truth.n
    ground.vehicle.fail("gps_glitch", {"north_m": 60.0})
    ground.run(1.1)
    jump = (ground.of("GPS_RAW_INT")[-1].lat - ground.of("GLOBAL_POSITION_INT")[-1].lat) * 1.11e-2
    assert jump == pytest.approx(60.0, abs=3.0)
    if autopilot == "ardupilot":
        assert ground.texts() == ["GPS Glitch or Compass error"]
        assert ground.of("EKF_STATUS_REPORT")[-1].flags & 0x8000
    else:
        assert ground.of("ESTIMATOR_STATUS")[-1].flags & 0x400
    ground.run(believed_after_s - 2.0)
    assert truth.n == pytest.approx(before, abs=5.0), "it stays where it is"
    ground.run(22.0)
    assert truth.n == pytest.approx(before - 60.0, abs=8.0), "and flies off to where it believes to have been"
    ground.vehicle.mend("gps_glitch")
    ground.run(believed_after_s + 25.0)
    assert truth.n == pytest.approx(before, abs=8.0)


def test_the_ground_breaks_an_arducopter_by_the_parameters_of_its_simulator() -> None:
    ground = flying("ardupilot")
    failures: Failures = ground.vehicle.pilot.failures
    set_parameter(ground, "SIM_GPS_GLITCH_X", 0.001)
    assert failures.glitch == pytest.approx((111.1, 0.0, 0.0), abs=0.1)
    set_parameter(ground, "SIM_GPS_GLITCH_X", 0.0)
    set_parameter(ground, "SIM_ENGINE_MUL", 0.8)
    set_parameter(ground, "SIM_ENGINE_FAIL", 4)
    assert (failures.weak_motor, failures.falls) == (3, False)
    set_parameter(ground, "SIM_MAG1_FAIL", 1)
    assert failures.compass
    set_parameter(ground, "SIM_GPS_JAM", 1)
    assert failures.gps_jammed
    assert failures.voltage_v is None, "as long as nobody has set it"
    set_parameter(ground, "SIM_BATT_VOLTAGE", 10.9)
    assert seen(ground, lambda: ground.of("SYS_STATUS") != [] and ground.of("SYS_STATUS")[-1].voltage_battery == 10900)


# -- battery ---------------------------------------------------------------------------------------------------------


def test_a_low_voltage_brings_an_arducopter_home_after_its_timer() -> None:
    ground = flying("ardupilot", parameters={"BATT_LOW_VOLT": 21.0, "BATT_CRT_VOLT": 19.0})
    ground.vehicle.fail("battery", {"voltage_v": 20.5})
    assert seen(ground, lambda: ground.of("SYS_STATUS") != [] and ground.of("SYS_STATUS")[-1].voltage_battery == 20500)
    before_s = ground.vehicle.pilot.time_s
    assert ground.run(15.0, until=lambda: mode(ground) == "RTL")
    assert ground.vehicle.pilot.time_s - before_s == pytest.approx(10.0, abs=2.0)
    ground.run(1.0)
    assert [t.split(" used")[0] for t in ground.texts()] == ["Battery 1 is low 20.50V", "Battery Failsafe"]
    assert not health(ground) & BATTERY
    assert ground.of("BATTERY_STATUS")[-1].charge_state == 2
    ground.vehicle.fail("battery", {"voltage_v": 18.0})
    assert ground.run(12.0, until=lambda: mode(ground) == "LAND")
    ground.vehicle.mend("battery")
    ground.run(3.0)
    assert ground.of("HEARTBEAT")[-1].system_status == 5, "it stays critical"


def test_a_low_voltage_is_told_at_once_by_a_px4() -> None:
    ground = flying("px4")
    ground.vehicle.fail("battery", {"voltage_v": 19.2})
    assert seen(ground, lambda: "Critical battery\t" in ground.texts())
    ground.run(1.2)
    assert (mode(ground), ground.of("HEARTBEAT")[-1].system_status) == ("HOLD", 5)
    assert not health(ground) & BATTERY
    assert ground.of("BATTERY_STATUS")[-1].battery_remaining <= 7
    assert ground.run(6.0, until=lambda: mode(ground) == "RTL")


@AUTOPILOTS
def test_a_drain_empties_the_battery_sooner(autopilot: str) -> None:
    used = []
    for drain_w in (0.0, 2000.0):
        ground = flying(autopilot)
        before = ground.vehicle.battery.energy_used_wh
        if drain_w:
            ground.vehicle.fail("battery", {"voltage_v": None, "drain_w": drain_w})
        ground.run(20.0)
        used.append(ground.vehicle.battery.energy_used_wh - before)
    assert used[1] - used[0] == pytest.approx(2000.0 * 20.0 / 3600.0, rel=0.05)


def test_the_charge_of_a_voltage_is_that_of_the_curve() -> None:
    assert [charge_at(v) for v in (2.0, 3.0, 3.3, 3.72, 4.2, 5.0)] == pytest.approx([0.0, 0.0, 0.1, 0.5, 1.0, 1.0])


# -- motors, compass, estimate ---------------------------------------------------------------------------------------


@AUTOPILOTS
def test_a_dead_motor_makes_it_fall_and_it_believes_itself_flying(autopilot: str) -> None:
    ground = flying(autopilot)
    ground.vehicle.fail("motor", {"motor": 2})
    assert seen(ground, lambda: any(abs(m.roll) > 1.0 for m in ground.of("ATTITUDE")))
    assert ("Preflight Fail: Attitude failure (roll)" in ground.texts()) == (autopilot == "px4")
    assert ground.run(6.0, until=lambda: ground.vehicle.body.on_ground)
    assert ground.vehicle.body.touchdown_m_s > 10.0
    ground.heard.clear()
    ground.run(40.0)
    assert ground.vehicle.pilot.armed
    assert {m.landed_state for m in ground.of("EXTENDED_SYS_STATE")} == {2}
    assert ground.of("HEARTBEAT")[-1].system_status == 4
    if autopilot == "ardupilot":
        assert ground.texts() == []
        assert ground.command(400, 0) == FAILED
        assert ground.command(400, 0, 21196) == ACCEPTED
        ground.run(1.0)
        assert ground.command(400, 1) == ACCEPTED, "it would arm again"


@AUTOPILOTS
def test_a_weak_motor_is_flown_with_and_without_a_word(autopilot: str) -> None:
    ground = flying(autopilot)
    ground.vehicle.fail("motor", {"thrust": 0.8})
    ground.run(10.0)
    assert ground.vehicle.pilot.relative_m() > 35.0
    assert ground.texts() == []


@AUTOPILOTS
def test_a_dead_compass_is_told_flown_without_and_not_armed_with(autopilot: str) -> None:
    ground = flying(autopilot)
    ground.vehicle.fail("compass")
    assert seen(ground, lambda: ground.of("SYS_STATUS") != [] and not health(ground) & COMPASS)
    ground.run(5.0)
    assert ground.vehicle.pilot.relative_m() > 35.0
    ground = Ground(autopilot=autopilot, ready_after_s=4.0)
    ground.run(5.0)
    ground.vehicle.fail("compass")
    ground.send(mavlink.MAVLink_command_long_message(7, 1, 400, 0, 1, 0, 0, 0, 0, 0, 0))
    assert ground.of("COMMAND_ACK")[-1].result == (FAILED if autopilot == "ardupilot" else REJECTED)
    ground.run(0.1)
    assert ("Arm: Compass not healthy" in ground.texts()) == (autopilot == "ardupilot")
    ground.vehicle.mend("compass")
    ground.send(mavlink.MAVLink_command_long_message(7, 1, 400, 0, 1, 0, 0, 0, 0, 0, 0))
    assert ground.of("COMMAND_ACK")[-1].result == ACCEPTED


@pytest.mark.parametrize(
    ("autopilot", "words"),
    [("ardupilot", ["EKF variance", "EKF Failsafe: changed to LAND Mode"]), ("px4", ["Failsafe activated\t"])],
)
def test_a_diverging_estimate_ends_in_a_landing(autopilot: str, words: list[str]) -> None:
    ground = flying(autopilot)
    ground.vehicle.fail("ekf")
    assert seen(ground, lambda: mode(ground) == "LAND")
    ground.run(1.1)
    assert ground.texts() == words
    assert ground.of("HEARTBEAT")[-1].system_status == 5
    assert not health(ground) & POSITION_CONTROL
    status = ground.of("EKF_STATUS_REPORT" if autopilot == "ardupilot" else "ESTIMATOR_STATUS")[-1]
    assert (status.pos_horiz_variance if autopilot == "ardupilot" else status.pos_horiz_ratio) > 1.0


def test_a_fault_that_cannot_be_is_refused() -> None:
    vehicle = Ground().vehicle
    with pytest.raises(FaultInvalid, match="no fault of a vehicle is called 'gremlin'; known are gps_off, gps_jam"):
        vehicle.fail("gremlin")
    with pytest.raises(FaultInvalid, match=r"fault motor: Expected `float` < 1.0 - at `\$.thrust`"):
        vehicle.fail("motor", {"thrust": 1.5})
    with pytest.raises(FaultInvalid, match="no fault of a vehicle is called 'loss'"):
        vehicle.fail("loss")
