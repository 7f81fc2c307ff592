"""Commands settle, whatever is lost on the way, and are not repeated where that does harm."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.autopilots import FlightMode
from fleet.commands import CommandResult, CommandState, command_name, holds
from fleet.errors import CommandFailed, CommandUnknown, VehicleRefused
from fleet.fleet import Fleet
from fleet.vehicle import VehicleRecord
from tests.fleet.conftest import Fly, proxy_to
from tests.fleet.responder import scripted

COMMAND_LONG, COMMAND_ACK = 76, 77
RECORD = {1: VehicleRecord(sysid=1, name="one")}


async def test_a_lost_command_is_repeated_and_a_lost_answer_too(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], RECORD) as fleet, proxy_to(port) as (proxy, way):
        simulated(way)
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        for lost_id in (COMMAND_LONG, COMMAND_ACK):
            left = [1]

            def drop(msgid: int, upward: bool, lost_id: int = lost_id, left: list[int] = left) -> bool:
                if msgid != lost_id or not left:
                    return False
                left.pop()
                return True

            proxy.drop = drop
            mode = FlightMode.GUIDED if lost_id == COMMAND_LONG else FlightMode.MANUAL
            result = await vehicle.set_mode(mode)
            assert (result.state, result.result) == (CommandState.ACCEPTED, 0)
            assert vehicle.state.mode is mode
            assert left == []


@pytest.mark.slow
async def test_without_any_answer_telemetry_tells_or_nobody_knows(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], RECORD) as fleet, proxy_to(port) as (proxy, way):
        simulated(way)
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        sent: list[int] = []

        def drop(msgid: int, upward: bool) -> bool:
            if msgid == COMMAND_LONG and not upward:
                sent.append(msgid)
            return msgid == COMMAND_ACK

        proxy.drop = drop
        result = await vehicle.set_mode(FlightMode.GUIDED)
        assert (result.state, result.result) == (CommandState.ACCEPTED, None)
        assert vehicle.state.mode is FlightMode.GUIDED
        vehicle.streams._streams = {}
        sent.clear()
        once = await vehicle.commands.long(2000, 0.0, 0.0, 1.0, repeatable=False)
        assert once.state is CommandState.UNKNOWN
        assert sent == [COMMAND_LONG], "taking a picture twice is not taking it once"
        assert once.text == "sysid 1 did not answer IMAGE_START_CAPTURE"
        with pytest.raises(CommandUnknown, match="sysid 1 did not answer"):
            once.accepted()


async def test_a_command_that_the_autopilot_does_not_know_is_denied(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], RECORD) as fleet:
        simulated(port)
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.telemetry.autopilot is not None, 5.0)
        result = await vehicle.commands.long(31000)
        assert (result.state, result.result) == (CommandState.DENIED, 3)
        assert "UNSUPPORTED" in result.text
        with pytest.raises(VehicleRefused, match="UNSUPPORTED"):
            result.accepted()


async def test_telemetry_that_was_not_granted_is_asked_for_again(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], RECORD) as fleet, proxy_to(port) as (proxy, way):
        proxy.drop = lambda msgid, upward: msgid == COMMAND_LONG
        simulated(way)
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: proxy.lost >= 2, 5.0)
        assert vehicle.state.attitude is None
        proxy.drop = lambda msgid, upward: False
        assert await holds(lambda: vehicle.state.attitude is not None and vehicle.state.battery is not None, 10.0)


def test_a_failure_without_words_is_a_failure() -> None:
    result = CommandResult(sysid=4, command="NAV_TAKEOFF", state=CommandState.FAILED, result=4)
    with pytest.raises(CommandFailed, match="sysid 4: NAV_TAKEOFF failed: FAILED"):
        result.accepted()
    assert (command_name(22), command_name(64000)) == ("NAV_TAKEOFF", "MAV_CMD 64000")


def ack(message: Any, result: int = 0) -> Any:
    return dialect.MAVLink_command_ack_message(message.command, result, 0, 0, 255, 190)


async def test_an_emergency_stop_does_not_wait_for_an_unanswered_arm_which_is_sent_no_more(port: int) -> None:
    sent: list[str] = []

    def answer(message: Any) -> list[Any]:
        if message.get_type() != "COMMAND_LONG" or message.command != 400:
            return []
        sent.append("arm" if message.param1 else "stop" if message.param2 else "disarm")
        return [ack(message)] if sent.count("stop") > 0 else []

    async with scripted(port, answer) as (vehicle, _):
        armed = asyncio.create_task(vehicle.commands.long(400, 1.0))
        again = asyncio.create_task(vehicle.commands.long(400, 1.0))
        assert await holds(lambda: sent == ["arm"], 2.0)
        started_s = time.monotonic()
        stopped = asyncio.create_task(vehicle.stop_motors())
        assert await holds(lambda: sent == ["arm", "stop"], 0.5), sent
        for task in (armed, again):
            result = await task
            assert (result.state, result.superseded) == (CommandState.UNKNOWN, True)
            assert result.text == "sysid 1 did not answer COMPONENT_ARM_DISARM: superseded"
        assert time.monotonic() - started_s < 0.8
        disarmed = asyncio.create_task(vehicle.disarm())
        await stopped
        assert sent[:3] == ["arm", "stop", "stop"], "what is less urgent waits for the stop"
        disarmed.cancel()
        assert await holds(lambda: not vehicle.commands.busy(400), 1.0)


async def test_the_late_answer_to_what_was_superseded_is_not_believed(port: int) -> None:
    sent: list[Any] = []

    def answer(message: Any) -> list[Any]:
        if message.get_type() != "COMMAND_LONG" or message.command != 400:
            return []
        sent.append(message)
        return [ack(sent[0]), *([ack(message, 4)] if len(sent) > 2 else [])] if len(sent) > 1 else []

    async with scripted(port, answer) as (vehicle, _):
        armed = asyncio.create_task(vehicle.commands.long(400, 1.0))
        assert await holds(lambda: len(sent) == 1, 2.0)
        result = await vehicle.disarm()
        assert (await armed).superseded
        assert [message.param1 for message in sent[:3]] == [1.0, 0.0, 0.0], "the first stop was taken as answered"
        assert result.result in (0, 4)


@pytest.mark.parametrize("urgent", ["rtl", "hold", "land"])
async def test_a_mode_for_safety_does_not_wait_for_an_unanswered_one(port: int, urgent: str) -> None:
    modes: list[float] = []

    def answer(message: Any) -> list[Any]:
        if message.get_type() == "COMMAND_LONG" and message.command == 176:
            modes.append(message.param2)
        return []

    async with scripted(port, answer) as (vehicle, _):
        older = asyncio.create_task(vehicle.set_mode(FlightMode.GUIDED))
        assert await holds(lambda: len(modes) == 1, 2.0)
        later = asyncio.create_task(getattr(vehicle, urgent)())
        assert (await older).superseded
        assert await holds(lambda: len(modes) == 3, 3.0)
        assert modes[1:] == [modes[1]] * 2
        assert modes[1] != modes[0]
        later.cancel()
        with pytest.raises(asyncio.CancelledError):
            await later


async def test_a_number_that_a_message_has_no_room_for_is_refused(port: int) -> None:
    async with scripted(port, lambda message: []) as (vehicle, _):
        with pytest.raises(VehicleRefused, match="sysid 1: MISSION_SET_CURRENT cannot carry that"):
            vehicle.channel.send(dialect.MAVLink_mission_set_current_message(1, 1, 70_000))
        with pytest.raises(VehicleRefused, match="sysid 1: COMMAND_LONG cannot carry that"):
            await vehicle.commands.long(2000, 1e300)
