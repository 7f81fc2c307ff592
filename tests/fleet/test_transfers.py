"""Missions arrive whole or are known not to have, over links that lose, and from vehicles that refuse."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import msgspec
import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.commands import holds
from fleet.errors import MissionInvalid, MissionMismatch, TransferFailed
from fleet.fleet import Fleet
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import MissionItem, mission_hash
from fleet.transfers import TransferProgress, download
from fleet.vehicle import VehicleRecord
from tests.fleet.conftest import Fly, Proxy, proxy_to, survey

COUNT, REQUEST, ITEM, ACK, READ = 44, 40, 73, 47, 51


async def connected(fleet: Fleet) -> MavlinkVehicle:
    vehicle = fleet.register(VehicleRecord(sysid=1, name="one"))
    assert await holds(lambda: vehicle.state.home is not None and vehicle.telemetry.autopilot is not None, 15.0)
    return vehicle


@pytest.mark.slow
async def test_a_mission_gets_through_with_a_third_of_the_frames_lost_each_way(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port, seed=5) as (proxy, way):
        simulated(way)
        vehicle = await connected(fleet)
        proxy.loss = 0.3
        plan = survey(lines=2)
        assert await vehicle.upload_mission(plan) == mission_hash(plan)
        assert proxy.lost > 8
        proxy.loss = 0.0
        assert mission_hash(await vehicle.read_mission()) == mission_hash(plan)
        assert await holds(lambda: vehicle.state.loss_percent > 3, 3.0)


def losing_first(proxy: Proxy, msgid: int, count: int, *, upward: bool) -> Counter[int]:
    """Lose the first `count` frames of an id in one direction."""
    lost: Counter[int] = Counter()

    def drop(frame_id: int, to_ground: bool) -> bool:
        if frame_id != msgid or to_ground is not upward or lost[msgid] >= count:
            return False
        lost[msgid] += 1
        return True

    proxy.drop = drop
    return lost


@pytest.mark.parametrize(
    ("msgid", "upward", "count"),
    [(COUNT, False, 2), (REQUEST, True, 1), (ITEM, False, 1), (ACK, True, 1), (COUNT, True, 1), (ITEM, True, 1),
     (51, False, 2), (43, False, 2)],
)  # fmt: skip
async def test_each_frame_of_a_transfer_may_be_lost(
    port: int, simulated: Fly, msgid: int, upward: bool, count: int
) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port) as (proxy, way):
        simulated(way)
        vehicle = await connected(fleet)
        lost = losing_first(proxy, msgid, count, upward=upward)
        plan = survey()
        assert await vehicle.upload_mission(plan) == mission_hash(plan)
        assert lost[msgid] == count


async def test_progress_is_told_item_by_item(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        simulated(port)
        vehicle = await connected(fleet)
        told: list[TransferProgress] = []
        plan = survey()
        await vehicle.upload_mission(plan, progress=told.append)
        aboard = len(plan) + 1
        for stage in ("upload", "read-back"):
            steps = [step.done for step in told if step.stage == stage]
            assert steps == list(range(1, aboard + 1))
            assert {step.total for step in told} == {aboard}


async def test_a_refused_item_leaves_the_mission_unknown(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        simulated(port)
        vehicle = await connected(fleet)
        await vehicle.upload_mission(survey())
        strange = survey(height_m=31)
        strange[4] = MissionItem(frame=2, command=31999)
        with pytest.raises(TransferFailed, match=r"sysid 1: upload refused with MAV_MISSION_UNSUPPORTED after \d of 9"):
            await vehicle.upload_mission(strange)
        assert vehicle.mission_hash is None
        with pytest.raises(MissionMismatch):
            await vehicle.arm(mission_hash(survey()))


async def test_nothing_is_sent_of_a_mission_that_must_not_be(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        simulated(port)
        vehicle = await connected(fleet)
        aboard = await vehicle.upload_mission(survey())
        wrong = survey()
        wrong[4] = msgspec.structs.replace(wrong[4], x=950_000_000)
        with pytest.raises(MissionInvalid, match="latitude 95"):
            await vehicle.upload_mission(wrong)
        assert vehicle.mission_hash == aboard


async def test_a_mission_changed_on_the_way_is_a_mismatch_that_names_the_item(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        truth = simulated(port)
        vehicle = await connected(fleet)
        inner = truth._mission_item_int

        def spoiled(message: dialect.MAVLink_mission_item_int_message, sender: tuple[int, int]) -> None:
            if message.seq == 5:
                message.x += 1
            inner(message, sender)

        truth._handlers["MISSION_ITEM_INT"] = spoiled
        with pytest.raises(MissionMismatch, match=r"sysid 1: .* item 4 \(command 16\): x is"):
            await vehicle.upload_mission(survey())
        assert vehicle.mission_hash is None


@pytest.mark.slow
async def test_a_vehicle_that_falls_silent_ends_the_transfer(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port) as (proxy, way):
        simulated(way)
        vehicle = await connected(fleet)

        def stop(progress: TransferProgress) -> None:
            if progress.done == 4:
                proxy.loss = 1.0

        with pytest.raises(TransferFailed, match=r"sysid 1: upload stopped after . of 9 items|sysid 1: no answer"):
            await vehicle.upload_mission(survey(), progress=stop)
        assert vehicle.mission_hash is None


async def test_a_cancelled_upload_is_given_up_and_another_may_follow(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port) as (proxy, way):
        simulated(way)
        vehicle = await connected(fleet)
        proxy.drop = lambda msgid, upward: msgid == ITEM
        task = asyncio.create_task(vehicle.upload_mission(survey()))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        proxy.drop = lambda msgid, upward: False
        assert vehicle.mission_hash is None
        plan = survey(height_m=44)
        assert await vehicle.upload_mission(plan) == mission_hash(plan)


async def test_a_list_is_read_over_a_long_link_with_many_items_under_way(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port) as (proxy, way):
        simulated(way)
        vehicle = await connected(fleet)
        plan = survey(lines=60)
        await vehicle.upload_mission(plan)
        proxy.delay_s = 0.1
        await vehicle.read_mission()  # the round trip is learned
        start_s = time.monotonic()
        assert mission_hash(await vehicle.read_mission()) == mission_hash(plan)
        one_by_one_s = 0.2 * len(plan)
        assert time.monotonic() - start_s < one_by_one_s / 4


async def test_a_vehicle_that_wants_to_be_asked_item_by_item_is(port: int, simulated: Fly) -> None:
    """As PX4 does, which refuses any but the next item and then ends the transfer."""
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port, seed=3) as (proxy, way):
        simulated(way, autopilot="px4")
        vehicle = await connected(fleet)
        plan = survey(lines=20)
        await vehicle.upload_mission(plan)
        lost = losing_first(proxy, READ, 1, upward=False)
        items = await download(vehicle.channel, read_ahead=16)
        assert lost[READ] == 1
        assert mission_hash(items) == mission_hash(plan)
