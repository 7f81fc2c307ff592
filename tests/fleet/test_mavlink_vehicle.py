"""What a vehicle says decides what is believed of its mission, and what it may be told."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import Channel
from fleet.commands import CommandState
from fleet.errors import VehicleRefused
from fleet.framing import Encoder, Framer, decode
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import mission_hash
from fleet.scan import MAGIC_V2
from fleet.snapshots import Telemetry
from fleet.vehicle import VehicleRecord
from tests.fleet.conftest import survey

PLAN = survey()
ARDUPILOT, PX4 = 3, 12
FENCE = 1


class Aboard:
    """An autopilot that answers at once, without a wire, and the vehicle as the ground has it."""

    def __init__(self, autopilot: int = PX4) -> None:
        self.kind, self.armed, self.mode = autopilot, False, 0
        self.plan = list(PLAN)
        self.id = 7
        """Of the mission aboard."""
        self.answers_fence = True
        self.sent: list[Any] = []
        self._encoder = Encoder(sysid=1, compid=1)
        channel = Channel(1, self._take, ground=(255, 190))
        self.vehicle = MavlinkVehicle(VehicleRecord(sysid=1, name="one"), channel, Telemetry(1))
        self.beat()

    def kinds(self) -> list[str]:
        return [message.get_type() for message in self.sent]

    def say(self, message: Any, *, number: int | None = None) -> None:
        """`number`: the extension after all that our dialect knows, at its place in the payload."""
        (frame,) = Framer().feed(self._encoder.encode(message))
        heard = decode(frame)
        if number is not None:
            layout = {"MISSION_COUNT": "<HBBB", "MISSION_CURRENT": "<HHBB"}[message.get_type()]
            names = {"MISSION_COUNT": ("count", "target_system", "target_component", "mission_type")}.get(
                message.get_type(), ("seq", "total", "mission_state", "mission_mode")
            )
            payload = struct.pack(layout + "I", *(getattr(message, name) for name in names), number)
            heard._msgbuf = bytes((MAGIC_V2, len(payload), *(0,) * 8)) + payload
        self.vehicle.receive(heard, 1.0)

    def beat(self) -> None:
        base = 0x51 | (0x80 if self.armed else 0)
        self.say(dialect.MAVLink_heartbeat_message(2, self.kind, base, self.mode, 3, 3))

    def tell_mission(self, *, number: int, total: int | None = None) -> None:
        total = len(self.plan) if total is None else total
        self.say(dialect.MAVLink_mission_current_message(0, total, 1, 1), number=number)

    def _take(self, message: Any) -> bool:
        self.sent.append(message)
        asyncio.get_running_loop().call_soon(self._answer, message)
        return True

    def _answer(self, message: Any) -> None:
        kind, ours = message.get_type(), (255, 190)
        if kind == "COMMAND_LONG":
            self.say(dialect.MAVLink_command_ack_message(message.command, 0, 0, 0, *ours))
        elif kind == "MISSION_REQUEST_LIST" and message.mission_type == 0:
            self.say(dialect.MAVLink_mission_count_message(*ours, len(self.plan), 0), number=self.id)
        elif kind == "MISSION_REQUEST_LIST" and self.answers_fence:
            self.say(dialect.MAVLink_mission_count_message(*ours, 0, message.mission_type), number=99)
        elif kind == "MISSION_REQUEST_INT":
            item, seq = self.plan[message.seq], message.seq
            fields = (seq, item.frame, item.command, 0, 1, *item.params, item.x, item.y, item.z, 0)
            self.say(dialect.MAVLink_mission_item_int_message(*ours, *fields))

    def readings(self) -> int:
        """How often the mission was read back."""
        asked = [message for message in self.sent if message.get_type() == "MISSION_REQUEST_LIST"]
        return sum(message.mission_type == 0 for message in asked)


@pytest.fixture
async def aboard() -> Aboard:
    """A PX4 whose mission was read back a while ago."""
    found = Aboard()
    await found.vehicle.read_mission()
    found.vehicle._read_monotonic_s -= 5.0
    return found


def received(aboard: Aboard) -> None:
    aboard.say(dialect.MAVLink_statustext_message(6, b"Flight plan received"))


def another_number(aboard: Aboard) -> None:
    aboard.tell_mission(number=8)


def another_total(aboard: Aboard) -> None:
    aboard.tell_mission(number=7, total=3)


CHANGES = pytest.mark.parametrize("change", [received, another_number, another_total])


@CHANGES
async def test_a_change_while_the_fence_is_read_is_noticed(aboard: Aboard, change: Callable[[Aboard], None]) -> None:
    aboard.answers_fence = False
    reading = asyncio.create_task(aboard.vehicle.read_fence())
    await asyncio.sleep(0.05)
    change(aboard)
    reading.cancel()
    assert aboard.vehicle.mission_hash is None


@CHANGES
async def test_what_is_said_just_after_a_read_back_has_it_read_again_when_it_matters(
    change: Callable[[Aboard], None],
) -> None:
    aboard = Aboard()
    approved = mission_hash(await aboard.vehicle.read_mission())
    await aboard.vehicle.verify_mission(approved)
    assert aboard.readings() == 1
    change(aboard)
    await aboard.vehicle.verify_mission(approved)
    assert aboard.readings() == 2
    aboard.tell_mission(number=7)
    await aboard.vehicle.verify_mission(approved)
    assert aboard.readings() == 2


async def test_the_number_of_the_mission_is_not_taken_from_what_others_read(aboard: Aboard) -> None:
    """Another ground replaces the mission and reads it back, and the vehicle then tells the new number all the time."""
    for target, kind in (((200, 190), 0), ((255, 190), 0), ((255, 190), FENCE)):  # many a ground is 255/190
        aboard.say(dialect.MAVLink_mission_count_message(*target, len(PLAN), kind), number=8)
    aboard.tell_mission(number=8)
    assert aboard.vehicle.mission_hash is None


async def test_what_is_forgotten_is_read_again(aboard: Aboard) -> None:
    approved = mission_hash(PLAN)
    await aboard.vehicle.verify_mission(approved)
    assert aboard.readings() == 1
    aboard.vehicle.forget()
    assert (aboard.vehicle.mission_hash, aboard.vehicle.mission_items) == (None, None)
    await aboard.vehicle.verify_mission(approved)
    assert aboard.readings() == 2


async def test_a_mission_on_the_ground_is_not_resumed(aboard: Aboard) -> None:
    aboard.armed = True
    aboard.beat()
    aboard.sent.clear()
    for landed in (None, 1):
        if landed is not None:
            aboard.say(dialect.MAVLink_extended_sys_state_message(0, landed))
        with pytest.raises(VehicleRefused, match="sysid 1 is not in the air"):
            await aboard.vehicle.resume()
    assert aboard.sent == []
    aboard.say(dialect.MAVLink_extended_sys_state_message(0, 2))
    resumed = asyncio.create_task(aboard.vehicle.resume())
    await asyncio.sleep(0.05)
    assert aboard.kinds() == ["COMMAND_LONG"]
    resumed.cancel()


@pytest.mark.parametrize("kind", [ARDUPILOT, PX4])
async def test_a_vehicle_that_somebody_else_armed_is_not_seized(kind: int) -> None:
    aboard = Aboard(kind)
    approved = mission_hash(await aboard.vehicle.read_mission())
    aboard.armed, aboard.mode = True, 5
    aboard.beat()
    aboard.sent.clear()
    with pytest.raises(VehicleRefused, match="sysid 1 is armed already"):
        await aboard.vehicle.arm(approved)
    assert aboard.sent == []


@pytest.mark.parametrize("step", ["arm", "start_mission"])
async def test_what_an_urgent_order_overtook_is_not_finished(step: str) -> None:
    """The stop is of another MAV_CMD than the change of the mode that it comes in the middle of."""
    aboard = Aboard(ARDUPILOT)
    approved = mission_hash(await aboard.vehicle.read_mission())
    aboard.sent.clear()
    launch = aboard.vehicle.arm(approved) if step == "arm" else aboard.vehicle.start_mission()
    launching = asyncio.create_task(launch)
    await asyncio.sleep(0.05 if step == "arm" else 0.0)  # the mode is accepted, but does not show yet
    await aboard.vehicle.stop_motors()
    aboard.mode = 4
    aboard.beat()
    with pytest.raises(VehicleRefused, match="a later, urgent order took the place"):
        await launching
    commands = [message for message in aboard.sent if message.get_type() == "COMMAND_LONG"]
    assert [(message.command, message.param1) for message in commands] == [(176, 1.0), (400, 0.0)]


async def test_an_order_that_is_accepted_is_settled_by_its_answer() -> None:
    result = await Aboard(ARDUPILOT).vehicle.stop_motors()
    assert (result.state, result.result, result.superseded) == (CommandState.ACCEPTED, 0, False)
