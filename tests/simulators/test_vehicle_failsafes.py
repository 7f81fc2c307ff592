"""Failsafe parameters of the simulated vehicles do what they say."""

from __future__ import annotations

import math

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from tests.simulators.ground import HOME, Ground
from tests.simulators.test_vehicle_failures import flying, mode

ACCEPTED, FAILED = 0, 4
NAN = math.nan


def lose_ground(ground: Ground, seconds: float = 6.0) -> None:
    ground.beats = False
    ground.run(seconds)


@pytest.mark.parametrize(
    ("action", "becomes"), [(0, "GUIDED"), (1, "RTL"), (2, "RTL"), (3, "RTL"), (4, "LAND"), (5, "LAND"), (7, "BRAKE")]
)
def test_arducopter_flees_from_a_lost_ground_as_told(action: int, becomes: str) -> None:
    ground = flying("ardupilot", height_m=15.0, parameters={"FS_GCS_ENABLE": action})
    lose_ground(ground)
    assert mode(ground) == becomes
    assert ("GCS Failsafe" in ground.texts()) == (action > 0)


def test_arducopter_misses_the_ground_after_its_own_time() -> None:
    ground = flying("ardupilot", height_m=15.0, parameters={"FS_GCS_TIMEOUT": 12})
    lose_ground(ground, 11.0)
    assert mode(ground) == "GUIDED"
    lose_ground(ground, 2.0)
    assert mode(ground) == "RTL"


@pytest.mark.parametrize(("options", "words"), [(0, "GCS Failsafe"), (16, "GCS Failsafe - Continuing Pilot Control")])
def test_arducopter_leaves_a_pilot_his_mode_if_told(options: int, words: str) -> None:
    ground = flying("ardupilot", parameters={"FS_OPTIONS": options})
    assert ground.command(176, 1, 5) == ACCEPTED
    lose_ground(ground)
    assert ground.texts()[-1] == words
    assert mode(ground) == ("LOITER" if options else "RTL")


def test_arducopter_goes_on_landing_if_told() -> None:
    ground = flying("ardupilot", height_m=15.0, parameters={"FS_OPTIONS": 8})
    assert ground.command(176, 1, 9) == ACCEPTED
    lose_ground(ground)
    assert ground.texts()[-1] == "GCS Failsafe - Continuing Landing"


@pytest.mark.parametrize(("action", "becomes"), [(0, "GUIDED"), (1, "LAND"), (2, "RTL"), (7, "BRAKE")])
def test_arducopter_flees_from_a_low_battery_as_told(action: int, becomes: str) -> None:
    ground = flying("ardupilot", height_m=15.0, parameters={"BATT_FS_LOW_ACT": action, "BATT_LOW_VOLT": 20.0})
    ground.vehicle.fail("battery", {"voltage_v": 19.0})
    ground.run(12.0)
    assert mode(ground) == becomes
    assert "Battery Failsafe" in ground.texts()


def test_arducopter_stops_its_motors_on_a_critical_battery_if_told() -> None:
    ground = flying("ardupilot", parameters={"BATT_FS_CRT_ACT": 5, "BATT_CRT_VOLT": 20.0})
    ground.vehicle.fail("battery", {"voltage_v": 19.0})
    ground.run(11.0)
    assert not ground.vehicle.pilot.armed


@pytest.mark.parametrize(("action", "becomes"), [(0, "GUIDED"), (1, "LAND")])
def test_arducopter_lands_without_a_position_if_told(action: int, becomes: str) -> None:
    ground = flying("ardupilot", parameters={"FS_EKF_ACTION": action})
    ground.vehicle.fail("ekf")
    ground.run(2.0)
    assert "EKF variance" in ground.texts()
    assert mode(ground) == becomes


@pytest.mark.parametrize(
    ("parameters", "words", "becomes"),
    [
        ({"FENCE_TYPE": 1, "FENCE_ALT_MAX": 30.0, "FENCE_ACTION": 1}, "Max Alt fence breached", "RTL"),
        ({"FENCE_TYPE": 1, "FENCE_ALT_MAX": 30.0, "FENCE_ACTION": 4}, "Max Alt fence breached", "BRAKE"),
        ({"FENCE_TYPE": 8, "FENCE_ALT_MIN": 50.0, "FENCE_ACTION": 2}, "Min Alt fence breached", "LAND"),
        ({"FENCE_TYPE": 8, "FENCE_ALT_MIN": 50.0, "FENCE_ACTION": 0}, "Min Alt fence breached", "GUIDED"),
    ],
)
def test_arducopter_keeps_to_its_heights(parameters: dict[str, float], words: str, becomes: str) -> None:
    ground = flying("ardupilot", height_m=40.0)
    for name, value in {**parameters, "FENCE_ENABLE": 1}.items():
        ground.send(mavlink.MAVLink_param_set_message(7, 1, name.encode(), value, 9))
    ground.run(0.2)
    assert words in ground.texts()
    assert mode(ground) == becomes


def test_arducopter_listens_to_one_ground_alone_if_told() -> None:
    ground = Ground(sysid=250, ready_after_s=4.0)
    ground.ready()
    assert ground.command(176, 1, 4) == ACCEPTED
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"SYSID_ENFORCE", 1, 2))
    ground.heard.clear()
    ground.send(mavlink.MAVLink_command_long_message(7, 1, 176, 0, 1, 5, 0, 0, 0, 0, 0))
    assert ground.heard == []
    assert mode(ground) == "GUIDED"


@pytest.mark.parametrize(("action", "becomes"), [(0, "HOLD"), (1, "HOLD"), (2, "RTL"), (3, "LAND"), (6, "TERMINATION")])
def test_px4_flees_from_a_lost_ground_as_told(action: int, becomes: str) -> None:
    ground = flying("px4", parameters={"NAV_DLL_ACT": action, "COM_DL_LOSS_T": 5})
    lose_ground(ground, 14.0)
    assert mode(ground) == becomes
    assert (ground.of("HEARTBEAT")[-1].system_status == 4) == (action == 0)


@pytest.mark.parametrize(("action", "becomes"), [(0, "HOLD"), (2, "LAND"), (3, "RTL")])
def test_px4_flees_from_a_critical_battery_as_told(action: int, becomes: str) -> None:
    ground = flying("px4", parameters={"COM_LOW_BAT_ACT": action})
    ground.vehicle.fail("battery", {"voltage_v": 19.2})
    ground.run(7.0)
    assert mode(ground) == becomes


@pytest.mark.parametrize(
    ("parameters", "becomes"),
    [
        ({"GF_MAX_HOR_DIST": 30.0, "GF_ACTION": 3}, "RTL"),
        ({"GF_MAX_HOR_DIST": 30.0, "GF_ACTION": 5}, "LAND"),
        ({"GF_MAX_HOR_DIST": 30.0, "GF_ACTION": 1}, "HOLD"),
        ({"GF_MAX_VER_DIST": 30.0, "GF_ACTION": 3}, "RTL"),
    ],
)
def test_px4_keeps_to_its_greatest_distances(parameters: dict[str, float], becomes: str) -> None:
    ground = flying("px4", height_m=25.0)
    x, y = ground.place(100, 0)
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 5, 192, 0, 0, -1, 1, 0, NAN, x, y, HOME[2] + 40.0))
    ground.run(15.0)
    for name, value in parameters.items():
        assert ground.vehicle.parameters.set(name, value)
    ground.run(6.0)
    assert "Geofence: approaching or outside geofence" in ground.texts()
    assert mode(ground) == becomes
    ground.send(mavlink.MAVLink_command_long_message(7, 1, 176, 0, 1, 4, 3, 0, 0, 0, 0))
    ground.heard.clear()
    ground.send(mavlink.MAVLink_command_int_message(7, 1, 5, 192, 0, 0, -1, 1, 0, NAN, x, y, HOME[2] + 60.0))
    ground.run(0.2)
    assert "Reposition is outside geofence\t" in ground.texts()
