"""A simulated vehicle takes remote ID from the ground, and may insist on it before it arms."""

from __future__ import annotations

from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.opendroneid import Identities
from tests.simulators.ground import Ground

ACCEPTED, REJECTED, FAILED = 0, 1, 4
MAC = [0] * 20
INSISTS = {"ardupilot": {"DID_ENABLE": 1, "DID_OPTIONS": 1}, "px4": {"COM_ARM_ODID": 2}}


def basic_id(uas_id: bytes = b"1581F4BND245N00C1234") -> Any:
    return mavlink.MAVLink_open_drone_id_basic_id_message(7, 0, MAC, 1, 2, list(uas_id.ljust(20, b"\0")))


def operator_id() -> Any:
    return mavlink.MAVLink_open_drone_id_operator_id_message(7, 0, MAC, 0, b"KAZ12345")


def self_id() -> Any:
    return mavlink.MAVLink_open_drone_id_self_id_message(7, 0, MAC, 0, b"survey")


def system(lat: float = 43.2381, lon: float = 76.9452) -> Any:
    return mavlink.MAVLink_open_drone_id_system_message(
        7, 0, MAC, 1, 0, round(lat * 1e7), round(lon * 1e7), 1, 0, -1000, -1000, 0, 0, 758.5, 0
    )


def armed(ground: Ground) -> int:
    ground.send(mavlink.MAVLink_command_long_message(7, 1, 400, 0, 1, 0, 0, 0, 0, 0, 0))
    ground.run(0.1)
    return int(ground.of("COMMAND_ACK")[-1].result)


def ready(autopilot: str, parameters: dict[str, float]) -> Ground:
    ground = Ground(autopilot=autopilot, ready_after_s=4.0, parameters=parameters)
    ground.run(5.0)
    ground.heard.clear()
    return ground


def test_what_the_ground_says_is_aboard() -> None:
    ground = ready("ardupilot", {"DID_ENABLE": 1})
    assert ground.vehicle.pilot.remote_id.aboard == Identities()
    for message in (basic_id(), operator_id(), self_id(), system()):
        ground.send(message)
    assert ground.vehicle.pilot.remote_id.aboard == Identities(
        uas_id="1581F4BND245N00C1234", id_type=1, ua_type=2, operator_id="KAZ12345", description="survey",
        operator=(76.9452, 43.2381), operator_altitude_m=758.5, operator_location_type=1,
    )  # fmt: skip
    ground.send(mavlink.MAVLink_open_drone_id_system_update_message(7, 0, 432_390_000, 769_460_000, 760.0, 0))
    aboard = ground.vehicle.pilot.remote_id.aboard
    assert (aboard.operator, aboard.operator_altitude_m) == ((76.946, 43.239), 760.0)
    ground.send(mavlink.MAVLink_open_drone_id_basic_id_message(8, 0, MAC, 1, 2, [65] * 20))
    assert ground.vehicle.pilot.remote_id.aboard.uas_id == "1581F4BND245N00C1234", "that was for another"


def test_arducopter_says_what_is_missing_one_by_one() -> None:
    ground = ready("ardupilot", INSISTS["ardupilot"])
    expected = [
        (None, "Arm: OpenDroneID: UA_TYPE required in BasicID"),
        (basic_id(), "Arm: OpenDroneID: operator location must be set"),
        (system(), "Arm: OpenDroneID: missing SELF_ID OP_ID"),
        (self_id(), "Arm: OpenDroneID: missing OP_ID"),
    ]
    for message, words in expected:
        if message is not None:
            ground.send(message)
        assert armed(ground) == FAILED
        assert ground.texts()[-1] == words
    ground.send(operator_id())
    assert armed(ground) == ACCEPTED


def test_arducopter_wants_the_operators_place_again_and_again() -> None:
    ground = ready("ardupilot", INSISTS["ardupilot"])
    for message in (basic_id(), operator_id(), self_id(), system()):
        ground.send(message)
    ground.run(3.5)
    assert armed(ground) == FAILED
    assert ground.texts()[-1] == "Arm: OpenDroneID: SYSTEM not available"
    ground.send(mavlink.MAVLink_open_drone_id_system_update_message(7, 0, 432_390_000, 769_460_000, 760.0, 0))
    assert armed(ground) == ACCEPTED


@pytest.mark.parametrize(("autopilot", "refused"), [("ardupilot", FAILED), ("px4", REJECTED)])
def test_the_transmitter_tells_its_status_each_second(autopilot: str, refused: int) -> None:
    ground = ready(autopilot, INSISTS[autopilot])
    ground.run(3.0)
    told = ground.of("OPEN_DRONE_ID_ARM_STATUS")
    assert len(told) == 3
    assert {(m.status, m.error, m.get_srcSystem(), m.get_srcComponent()) for m in told} == {
        (1, "missing ID SELF_ID OP_ID SYS OP_LOC", 7, 236)
    }
    assert armed(ground) == refused
    for message in (basic_id(), operator_id(), self_id(), system()):
        ground.send(message)
    ground.run(1.2)
    assert (ground.of("OPEN_DRONE_ID_ARM_STATUS")[-1].status, ground.of("OPEN_DRONE_ID_ARM_STATUS")[-1].error) == (
        0,
        "",
    )
    assert armed(ground) == ACCEPTED


def test_nothing_is_wanted_or_said_while_it_is_off() -> None:
    ground = ready("ardupilot", {})
    ground.send(basic_id())
    ground.run(2.0)
    assert ground.vehicle.pilot.remote_id.aboard == Identities()
    assert not ground.of("OPEN_DRONE_ID_ARM_STATUS")
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"DID_ENABLE", 1, 2))
    assert armed(ground) == ACCEPTED, "without DID_OPTIONS 1 it does not insist"
