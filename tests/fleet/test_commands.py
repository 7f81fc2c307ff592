"""Commands settle, whatever is lost on the way, and are not repeated where that does harm."""

from __future__ import annotations

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandResult, CommandState, command_name, holds
from fleet.errors import CommandFailed, CommandUnknown, VehicleRefused
from fleet.fleet import Fleet
from fleet.vehicle import VehicleRecord
from tests.fleet.conftest import Fly, proxy_to

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
