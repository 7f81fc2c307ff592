"""What speaks in another's name moves nobody: neither the vehicle nor the ground believes it, and both go on."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from pathlib import Path

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import IdentityConflict, LinkError
from fleet.signing import SignatureCheck, SigningTime, SteadyClock, VehicleSigning
from fleet.telemetry import Condition
from simulators.fault_schedule import ForgedFrames, ForgedMessage, FrozenTelemetry, Way
from tests.fleet.conftest import HOME
from tests.scenarios.sky import airborne, item_of, ready, sky

pytestmark = pytest.mark.slow


async def test_of_two_vehicles_with_one_sysid_only_the_first_is_believed_and_neither_gets_orders() -> None:
    alarms: list[str] = []
    async with sky(1, 2) as (above, fleet):
        fleet.on_alarm = alarms.append
        first, other = above.vehicle(1), above.vehicle(2)
        vehicle = fleet.vehicle(1)
        await ready(vehicle)
        await ready(fleet.vehicle(2))
        system = fleet.seen(1)
        assert system is not None
        assert system.identity.in_use is not None
        second = above.vehicle(1, home=(77.5, 43.5, 1000.0))
        assert await holds(lambda: vehicle.state.conflict is not None, 8.0)
        (alarm,) = [text for text in alarms if text.startswith("sysid 1")]
        ways = [way.name for way in system.identity.ways.values()]
        assert len(ways) == 2
        assert all(name in alarm for name in ways), alarm
        position = vehicle.state.position
        assert position is not None
        assert position.lon == pytest.approx(HOME[0], abs=1e-3)
        first.tap.heard.clear()
        with pytest.raises(IdentityConflict):
            await vehicle.set_mode(FlightMode.GUIDED)
        assert first.tap.orders() == second.tap.orders() == set()
        assert fleet.vehicle(2).state.conflict is None
        assert (await fleet.vehicle(2).set_mode(FlightMode.GUIDED)).state is CommandState.ACCEPTED
        assert "COMMAND_LONG 176" in other.tap.heard


KEYS = {sysid: hashlib.sha256(b"vehicle %d" % sysid).digest() for sysid in (1, 2)}
UPWARD = [
    ForgedFrames(message=message, rate_hz=0.3, **signature)
    for message in (ForgedMessage.HEARTBEAT, ForgedMessage.POSITION, ForgedMessage.TEXT)
    for signature in ({}, {"signed": True}, {"signed": True, "ahead_s": 3600.0})
]
"""In the vehicle's name: unsigned, with another key, and with another key and a time far ahead."""
DOWNWARD = [
    ForgedFrames(message=message, way=Way.DOWN, rate_hz=0.3, **signature)
    for message in (ForgedMessage.DISARM, ForgedMessage.RTL)
    for signature in ({}, {"signed": True}, {"signed": True, "ahead_s": 3600.0})
]
"""In the ground's name."""


async def test_unsigned_replayed_forged_and_poisoned_frames_move_neither_a_signed_vehicle_nor_its_ground(
    tmp_path: Path,
) -> None:
    signing = {
        sysid: VehicleSigning(
            SignatureCheck(sysid, key), key=key, time=SigningTime(tmp_path / f"{sysid}"), clock=SteadyClock()
        )
        for sysid, key in KEYS.items()
    }
    async with sky(1, 2, signing=signing) as (above, fleet):
        flown = {sysid: above.vehicle(sysid, signing_key=key, trusted_link=None) for sysid, key in KEYS.items()}
        attacked, neighbour = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        left_at = item_of(attacked)
        for fault in UPWARD + DOWNWARD:
            flown[1].link.inject(fault)
        assert await holds(lambda: flown[1].link.counts["forged_frames"] > 40, 10.0)
        for kind in ("COMMAND_LONG 400", "COMMAND_LONG 176", "COMMAND_LONG 300"):
            flown[1].tap.replay(kind)
        rejected = fleet.router.traffic(1).rejected
        assert min(rejected.get(reason, 0) for reason in ("unsigned", "wrong_key")) > 5, rejected
        assert await holds(lambda: item_of(attacked) > left_at, 20.0), "it flies on"
        for vehicle in (attacked, neighbour):
            state = vehicle.state
            assert (state.mode, state.armed, state.condition) == (FlightMode.MISSION, True, Condition.FLYING)
            assert not [text for text in state.texts if "forged" in text.text]
            assert state.position is not None
            assert state.position.lat == pytest.approx(HOME[1], abs=0.01)
            assert (await vehicle.hold()).state is CommandState.ACCEPTED, "and the true ground is still obeyed"
        mode = attacked.state.mode
        flown[1].link.clear()
        flown[1].tap.replay("COMMAND_LONG 300")
        await asyncio.sleep(0.5)
        assert attacked.state.mode is mode, "an order heard before moves nothing"
        flown[1].link.inject(FrozenTelemetry(renumbered=False))
        assert await holds(lambda: fleet.router.traffic(1).rejected.get("replayed", 0) > 5, 5.0)
        assert set(fleet.router.traffic(2).rejected) <= {"stale"}, "what it said before it had the time from us"


async def test_frames_forged_in_the_name_of_others_move_nobody_and_register_nobody() -> None:
    async with sky(1, 2) as (above, fleet):
        flown = {sysid: above.vehicle(sysid) for sysid in (1, 2)}
        await ready(fleet.vehicle(1))
        await ready(fleet.vehicle(2))
        for sysid, message in ((2, ForgedMessage.POSITION), (2, ForgedMessage.HEARTBEAT), (9, ForgedMessage.HEARTBEAT)):
            flown[1].link.inject(ForgedFrames(sysid=sysid, message=message, rate_hz=2.0))
        assert await holds(lambda: 9 in fleet.strangers, 3.0)
        await asyncio.sleep(2.0)
        state = fleet.vehicle(2).state
        assert state.position is not None
        assert state.position.lat == pytest.approx(HOME[1], abs=1e-3)
        assert (state.armed, state.mode is FlightMode.RTL) == (False, False)
        assert set(fleet.vehicles) == {1, 2}
        flown[1].tap.heard.clear()
        with contextlib.suppress(LinkError):
            await fleet.vehicle(2).set_mode(FlightMode.GUIDED)
        assert flown[1].tap.orders() == set()


async def test_telemetry_that_only_repeats_itself_is_no_sign_of_life() -> None:
    async with sky(1, 2, 3, stale_s=1.0, lost_s=2.5) as (above, fleet):
        flown = {sysid: above.vehicle(sysid) for sysid in (1, 2, 3)}
        await asyncio.gather(*(ready(fleet.vehicle(sysid)) for sysid in flown))
        flown[1].link.inject(FrozenTelemetry(renumbered=True))
        flown[2].link.inject(FrozenTelemetry(renumbered=False))

        def only_the_frozen_are_silent() -> bool:
            silent = {
                sysid for sysid in flown if fleet.vehicle(sysid).state.condition in (Condition.STALE, Condition.LOST)
            }
            return silent == {1, 2}

        assert await holds(only_the_frozen_are_silent, 3.0)
