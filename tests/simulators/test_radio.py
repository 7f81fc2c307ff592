"""The links of a simulated vehicle: one vehicle, whichever is listened to."""

from __future__ import annotations

from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Framer
from simulators.autopilot_links import QueueLink
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle
from tests.simulators.ground import HOME


class Pair:
    """A vehicle with two links, stepped without a clock."""

    def __init__(self, **options: Any) -> None:
        self.links = [QueueLink(), QueueLink()]
        clock = SimClock(start_utc_s=1.8e9)
        self.vehicle = SimulatedVehicle(
            sysid=7,
            home=HOME,
            link=self.links[0],
            more_links=[self.links[1]],
            clock=clock,
            ready_after_s=2.0,
            **options,
        )
        self.run(3.0)

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.04)):
            self.vehicle.step()

    def say(self, link: int, message: Any, sysid: int = 255) -> None:
        self.vehicle.receive(bytes(message.pack(mavlink.MAVLink(None, srcSystem=sysid, srcComponent=190))), link)

    def heard(self, link: int) -> list[Any]:
        parser = mavlink.MAVLink(None)
        return [message for data in self.links[link].sent for message in parser.parse_buffer(data) or []]


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_an_answer_leaves_where_the_question_came_in_and_the_rest_everywhere(autopilot: str) -> None:
    pair = Pair(autopilot=autopilot)
    for link in pair.links:
        link.sent.clear()
    pair.say(1, mavlink.MAVLink_command_long_message(7, 1, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    pair.say(0, mavlink.MAVLink_param_request_read_message(7, 1, b"RTL_TYPE", -1))
    pair.say(0, mavlink.MAVLink_param_request_read_message(7, 1, b"RTL_ALT", -1))
    pair.run(1.1)
    first, second = ([m.get_type() for m in pair.heard(link)] for link in (0, 1))
    assert {"COMMAND_ACK", "AUTOPILOT_VERSION"} <= set(second) - set(first)
    assert "HEARTBEAT" in set(first) & set(second)
    assert first.count("PARAM_VALUE") == second.count("PARAM_VALUE") == 1


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_each_link_numbers_its_frames_without_gaps(autopilot: str) -> None:
    parameters = {"DID_ENABLE": 1.0} if autopilot == "ardupilot" else {"COM_ARM_ODID": 1.0}
    pair = Pair(autopilot=autopilot, parameters=parameters)
    for _ in range(20):
        pair.say(1, mavlink.MAVLink_command_long_message(7, 1, 512, 0, 148, 0, 0, 0, 0, 0, 0))
        pair.run(0.5)
    for link in pair.links:
        numbers: dict[int, list[int]] = {}
        for data in link.sent:
            for frame in Framer().feed(data):
                numbers.setdefault(frame.compid, []).append(frame.seq)
        assert set(numbers) == {1, 236}
        for seqs in numbers.values():
            assert seqs == [n % 256 for n in range(len(seqs))]


def test_what_grounds_say_to_each_other_passes_through() -> None:
    pair = Pair()
    pair.say(1, mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3), sysid=254)
    for link in pair.links:
        link.sent.clear()
    pair.say(0, mavlink.MAVLink_command_long_message(254, 190, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    (passed,) = pair.heard(1)
    assert (passed.get_srcSystem(), passed.target_system) == (255, 254)
    pair.say(0, mavlink.MAVLink_command_long_message(33, 190, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    pair.say(0, mavlink.MAVLink_command_long_message(7, 1, 512, 0, 148, 0, 0, 0, 0, 0, 0))
    assert len(pair.heard(1)) == 1, "neither to who was never heard there, nor what is for the vehicle"


def test_a_second_link_alone_keeps_the_ground_from_being_missed() -> None:
    pair = Pair()
    for _ in range(12):
        pair.say(1, mavlink.MAVLink_heartbeat_message(6, 8, 0, 0, 0, 3))
        pair.run(1.0)
    assert not pair.vehicle.pilot.safety.ground.lost  # type: ignore[attr-defined]
    pair.run(6.0)
    assert pair.vehicle.pilot.safety.ground.lost  # type: ignore[attr-defined]
