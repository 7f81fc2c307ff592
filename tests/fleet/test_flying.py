"""One plan, one vehicle, one call."""

from __future__ import annotations

import asyncio
import math
import time

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet import flying
from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import CommandUnknown, LinkInvalid, LinkUnreachable, MissionInvalid, VehicleRefused, VehicleUnknown
from fleet.fleet import Fleet
from fleet.flying import FlightProgress, fly, launch, off_path_m
from fleet.missions import mission_hash
from fleet.vehicle import VehicleRecord
from simulators.clock import SimClock
from tests.fleet.conftest import Fly, proxy_to, survey

COMMAND_ACK = 77


@pytest.mark.slow
async def test_a_flight_whole(port: int, simulated: Fly) -> None:
    simulated(port, sysid=42, ready_after_s=20.0, clock=SimClock(start_utc_s=1_790_000_000.0, speedup=20.0))
    told: list[FlightProgress] = []
    plan = survey(lines=3)
    result = await fly(plan, f"udpin:127.0.0.1:{port}", progress=told.append)
    assert (result.autopilot, result.sysid, result.items, result.reached) == ("ardupilot", 42, len(plan), len(plan))
    assert result.hash == mission_hash(plan)
    assert result.landed
    assert 0 < result.upload_s < 2
    assert 30 < result.flight_s < 200
    assert 0 < result.max_cross_track_m < 5
    stages = list(dict.fromkeys(progress.stage for progress in told))
    assert stages == ["connect", "upload", "read-back", "arm", "fly", "landed"]


@pytest.mark.slow
async def test_a_plan_that_ends_in_the_air_is_brought_home(port: int, simulated: Fly) -> None:
    simulated(port, sysid=5, clock=SimClock(start_utc_s=1_790_000_000.0, speedup=20.0))
    plan = survey(lines=1)[:-1]
    result = await fly(plan, f"udpin:127.0.0.1:{port}")
    assert (result.landed, result.reached) == (True, len(plan))


async def test_nobody_on_the_link(port: int) -> None:
    with pytest.raises(LinkUnreachable, match=rf"udpin:127.0.0.1:{port}: no heartbeat of a vehicle within 0.3 s"):
        await fly(survey(), f"udpin:127.0.0.1:{port}", connect_s=0.3)
    with pytest.raises(LinkUnreachable, match="sysid 9"):
        await fly(survey(), f"udpout:127.0.0.1:{port}", connect_s=0.3, sysid=9)


async def test_bad_links_and_missions_are_refused_before_anything_is_opened() -> None:
    with pytest.raises(LinkInvalid, match="carrier-pigeon"):
        await fly(survey(), "carrier-pigeon:127.0.0.1:1")
    with pytest.raises(MissionInvalid, match="no items"):
        await fly([], "udpin:127.0.0.1:1")


async def test_several_vehicles_must_be_told_apart(port: int, simulated: Fly) -> None:
    for sysid in (1, 2):
        simulated(port, sysid=sysid)
    with pytest.raises(VehicleUnknown, match=r"several vehicles, sysid \[1, 2\]; name one"):
        await fly(survey(), f"udpin:127.0.0.1:{port}")


async def test_a_vehicle_that_cannot_be_armed_ends_the_flight_with_its_words(port: int, simulated: Fly) -> None:
    simulated(port, sysid=1, ready_after_s=10_000.0)
    told: list[FlightProgress] = []
    with pytest.raises(VehicleRefused, match=r"sysid 1: .*[Aa]rm") as caught:
        await fly(survey(), f"udpin:127.0.0.1:{port}", progress=told.append, armable_s=2.0)
    assert caught.value.texts
    assert any(progress.stage == "arm" and "sysid 1: " in progress.text for progress in told)


def test_distance_from_a_path() -> None:
    corners = np.array([[0.0, 0.0], [100.0, 0.0], [100.0, 50.0]])
    points = np.array([[50.0, 3.0], [-4.0, 3.0], [103.0, 25.0], [100.0, 60.0]])
    assert off_path_m(points, corners) == pytest.approx([3.0, 5.0, 3.0, 10.0])
    assert math.isfinite(off_path_m(points, np.zeros((2, 2)))[0])


@pytest.mark.slow
async def test_a_second_flight_starts_from_its_first_item_again(port: int, simulated: Fly) -> None:
    truth = simulated(port, sysid=6, clock=SimClock(start_utc_s=1_790_000_000.0, speedup=20.0))
    await fly(survey(lines=1, line_m=20.0, height_m=15.0), f"udpin:127.0.0.1:{port}")
    flown: list[float] = []
    other = survey(lines=1, line_m=20.0, height_m=25.0)
    await fly(other, f"udpin:127.0.0.1:{port}", progress=lambda _: flown.append(truth.true_state().amsl_m - 800))
    assert 24 < max(flown) < 27


@pytest.mark.slow
async def test_a_vehicle_that_waits_to_be_spoken_to(port: int, simulated: Fly) -> None:
    clock = SimClock(start_utc_s=1_790_000_000.0, speedup=20.0)
    ways = {"udpin": "udpout", "tcpin": "tcp"}
    for sysid, theirs in enumerate(ways, start=1):
        simulated(port, sysid=sysid, clock=clock, link=f"{theirs}:127.0.0.1:{port}")
    await asyncio.sleep(0.2)
    flights = [
        fly(survey(lines=1, line_m=30.0), f"{ours}:127.0.0.1:{port}", sysid=sysid)
        for sysid, ours in enumerate(ways.values(), start=1)
    ]
    assert [result.landed for result in await asyncio.gather(*flights)] == [True, True]


async def test_a_plane_is_sent_home_in_its_own_mode(port: int, simulated: Fly) -> None:
    plane = simulated(port, autopilot="arduplane", parameters={})
    async with Fleet([f"udpin:127.0.0.1:{port}"], {1: VehicleRecord(sysid=1, name="plane")}) as fleet:
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        await vehicle.arm(await vehicle.upload_mission(survey()))
        await vehicle.start_mission()
        assert await holds(lambda: vehicle.state.landed is False, 15.0)
        assert vehicle.state.mode is FlightMode.MISSION
        assert (await vehicle.rtl()).state is CommandState.ACCEPTED
        assert vehicle.state.mode_name == "RTL"
    assert plane.pilot.armed


@pytest.mark.parametrize("takes_off", [True, False])
async def test_a_start_that_is_not_answered_is_not_sent_again(
    port: int, simulated: Fly, monkeypatch: pytest.MonkeyPatch, takes_off: bool
) -> None:
    """It is watched where it takes off after all, and given up where it does not."""
    monkeypatch.setattr(flying, "UNANSWERED_START_S", 0.5 if not takes_off else 10.0)
    monkeypatch.setattr("fleet.commands.SINGLE_ACK_S", 0.3)
    monkeypatch.setattr("fleet.mavlink_vehicle.TAKEOFF_SHOWS_S", 0.0)
    record = VehicleRecord(sysid=1, name="one")
    async with Fleet([f"udpin:127.0.0.1:{port}"], {1: record}) as fleet, proxy_to(port) as (proxy, way):
        truth = simulated(way)
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        approved = await vehicle.upload_mission(survey())
        sent: list[int] = []
        passed_on = vehicle.channel._send

        def send(message: object) -> bool:
            command = getattr(message, "command", None)
            if command in (dialect.MAV_CMD_COMPONENT_ARM_DISARM, dialect.MAV_CMD_MISSION_START):
                sent.append(command)
                if command == dialect.MAV_CMD_MISSION_START:
                    proxy.drop = lambda msgid, upward: msgid == COMMAND_ACK
                    return passed_on(message) if takes_off else True
            return passed_on(message)

        vehicle.channel._send = send
        started_s = time.monotonic()
        if takes_off:
            await launch(fleet, vehicle, approved, armable_s=30.0)
            assert truth.pilot.armed
        else:
            with pytest.raises(CommandUnknown, match="did not answer MISSION_START"):
                await launch(fleet, vehicle, approved, armable_s=30.0)
        assert time.monotonic() - started_s < 15.0
        assert sent == [dialect.MAV_CMD_COMPONENT_ARM_DISARM, dialect.MAV_CMD_MISSION_START]
