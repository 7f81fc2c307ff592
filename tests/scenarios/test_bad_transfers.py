"""Whatever goes wrong with a transfer or on its link, what flies is what was approved, or nothing flies."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import msgspec
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet import transfers as fleet_transfers
from fleet.commands import holds
from fleet.errors import CommandError, FleetError, MissionMismatch, TransferFailed
from fleet.fleet import Fleet
from fleet.flying import FlightProgress, fly
from fleet.missions import mission_hash
from simulators.fault_schedule import (
    Corruption,
    Delay,
    Duplication,
    Fault,
    Garbage,
    Loss,
    Mission,
    MissionFailure,
    Reordering,
    Way,
)
from tests.fleet.conftest import survey
from tests.scenarios.sky import Flown, Sky, ready, sky

pytestmark = pytest.mark.slow

APPROVED, NEXT = survey(lines=3), survey(lines=2, height_m=44)
"""The mission aboard, and the shorter one that is to replace it."""
HASTE = 1.5
"""Vehicles and transfers wait so much shorter than in earnest, so that each waits as long as ever for the other."""
BOUND_S = 60.0
"""Longest that a transfer may keep an operator waiting, wall s."""


class Transfer(msgspec.Struct):
    """What came of an upload through a failure."""

    error: FleetError | None = None
    """How the upload ended; None: it succeeded."""
    wall_s: float = 0.0
    """How long it took."""
    hash_after: str | None = None
    """What the vehicle counts as holding right after."""
    armed: FleetError | None = None
    """What arming for the old mission came to while the failure stood; None: it was let through."""
    armed_later: FleetError | None = None
    """The same once the failure was over."""
    orders: set[str] = set()
    """What the vehicle was told in all that time."""
    struck: int = 0
    """Messages that the failure changed."""
    hash_in_the_end: str | None = None
    """After another upload of the old mission, without failures."""


async def attempt(work: Any) -> FleetError | None:
    try:
        await work
    except FleetError as exc:
        return exc
    return None


async def through(fleet: Fleet, flown: Flown, sysid: int, failure: MissionFailure) -> Transfer:
    """Replace a mission while its transfer fails in one way, try to fly the old one, and put it back."""
    vehicle, came = fleet.vehicle(sysid), Transfer()
    await ready(vehicle)
    assert await vehicle.upload_mission(APPROVED) == mission_hash(APPROVED)
    flown.tap.heard.clear()
    flown.link.inject(Mission(failure=failure))
    if failure.value.startswith("unasked"):
        assert await holds(lambda: flown.link.counts["mission"] > 0, 5.0)
    start_s = time.monotonic()
    came.error = await attempt(vehicle.upload_mission(NEXT))
    came.wall_s, came.hash_after = time.monotonic() - start_s, vehicle.mission_hash
    came.armed = await attempt(vehicle.arm(mission_hash(APPROVED)))
    flown.link.clear()
    came.armed_later = await attempt(vehicle.arm(mission_hash(APPROVED)))
    came.orders = flown.tap.orders()
    came.struck = flown.link.counts["mission"]
    came.hash_in_the_end = await vehicle.upload_mission(APPROVED)
    return came


@pytest.fixture(scope="module")
def transfers() -> dict[MissionFailure, Transfer]:
    """All failures at once, a vehicle for each; the patience of both sides runs out that much faster."""

    async def play() -> dict[MissionFailure, Transfer]:
        sysids = {failure: number for number, failure in enumerate(MissionFailure, start=1)}
        async with sky(*sysids.values(), speedup=HASTE) as (above, fleet):
            flown = {failure: above.vehicle(sysid) for failure, sysid in sysids.items()}
            plays = (through(fleet, flown[failure], sysid, failure) for failure, sysid in sysids.items())
            return dict(zip(sysids, await asyncio.gather(*plays), strict=True))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fleet_transfers, "QUIET_S", fleet_transfers.QUIET_S / HASTE)
        patch.setattr(fleet_transfers, "PAUSES_S", tuple(pause_s / HASTE for pause_s in fleet_transfers.PAUSES_S))
        return asyncio.run(play())


F = MissionFailure
OVERCOME = [
    F.READ_LIST_FIRST_LOST, F.READ_ITEM_1_FIRST_LOST, F.WRITE_COUNT_FIRST_LOST, F.WRITE_FINAL_ACK_LOST, F.UNASKED_ACK,
    F.UNASKED_ITEM, F.UNASKED_REQUEST,
]  # fmt: skip
ALTERED = [F.READ_COUNT_TOO_LOW, F.READ_ITEM_1_ALTERED, F.WRITE_ITEM_1_ALTERED]
STOPPED = [failure for failure in MissionFailure if failure not in OVERCOME + ALTERED]


@pytest.mark.parametrize("failure", OVERCOME)
def test_a_transfer_that_fails_once_succeeds_by_asking_again(
    transfers: dict[MissionFailure, Transfer], failure: MissionFailure
) -> None:
    came = transfers[failure]
    assert came.struck > 0
    assert came.error is None
    assert came.hash_after == mission_hash(NEXT)
    assert came.wall_s < 20.0


@pytest.mark.parametrize("failure", STOPPED + ALTERED)
def test_a_transfer_that_keeps_failing_ends_with_an_error_and_leaves_the_mission_unknown(
    transfers: dict[MissionFailure, Transfer], failure: MissionFailure
) -> None:
    came = transfers[failure]
    assert came.struck > 0
    assert isinstance(came.error, MissionMismatch if failure in ALTERED else TransferFailed), came.error
    assert came.wall_s < BOUND_S
    assert came.hash_after is None


@pytest.mark.parametrize("failure", MissionFailure)
def test_whatever_came_of_a_transfer_nothing_but_what_was_read_back_is_armed(
    transfers: dict[MissionFailure, Transfer], failure: MissionFailure
) -> None:
    came = transfers[failure]
    assert isinstance(came.armed, (MissionMismatch, TransferFailed)), came.armed
    assert isinstance(came.armed_later, MissionMismatch), came.armed_later
    assert "COMMAND_LONG 400" not in came.orders
    assert came.hash_in_the_end == mission_hash(APPROVED)


BAD_LINKS: dict[int, list[Fault]] = {
    1: [Loss(share=0.3)],
    2: [Loss(share=0.1), Reordering(share=0.2, by_s=0.5), Delay(by_s=0.3, jitter_s=0.5)],
    3: [Corruption(share=0.1), Garbage(rate_hz=0.3, way=Way.UP)],
}
"""By sysid: 30 % lost both ways; late and out of order; corrupted among garbage."""


async def test_the_mission_aboard_after_an_upload_over_a_bad_link_is_the_plan() -> None:
    async with sky(*BAD_LINKS, speedup=3.0) as (above, fleet):

        async def play(sysid: int, faults: list[Fault]) -> None:
            flown, vehicle = above.vehicle(sysid), fleet.vehicle(sysid)
            await ready(vehicle)
            for fault in faults:
                flown.link.inject(fault)
            assert await vehicle.upload_mission(NEXT) == mission_hash(NEXT)
            assert all(flown.link.counts[fault.name()] for fault in faults), flown.link.counts
            flown.link.clear()
            assert mission_hash(await vehicle.read_mission()) == mission_hash(NEXT)

        await asyncio.gather(*(play(sysid, faults) for sysid, faults in BAD_LINKS.items()))


async def test_items_that_arrive_twice_do_not_break_the_transfer() -> None:
    async with sky(1) as (above, fleet):
        flown, vehicle = above.vehicle(1), fleet.vehicle(1)
        await ready(vehicle)
        flown.link.inject(Duplication(share=1.0, after_s=0.1, way=Way.DOWN))
        for _ in range(5):
            assert await vehicle.upload_mission(NEXT) == mission_hash(NEXT)


async def test_a_start_that_never_arrived_is_not_taken_for_a_start() -> None:
    async with sky(1, speedup=1.0) as (above, fleet):
        flown, vehicle = above.vehicle(1), fleet.vehicle(1)
        await ready(vehicle)
        await vehicle.arm(await vehicle.upload_mission(NEXT))
        flown.link.inject(Loss(way=Way.DOWN, command=mavlink.MAV_CMD_MISSION_START))
        with pytest.raises(CommandError):
            await vehicle.start_mission()


async def test_a_vehicle_flies_its_mission_home_through_loss_and_garbage() -> None:
    above, plan = Sky(speedup=12.0), survey(lines=1)
    flown = above.vehicle(1)

    def worse_in_flight(progress: FlightProgress) -> None:
        if progress.stage == "fly" and progress.done >= 2 and not flown.link.active:
            for fault in (Loss(share=0.1), Corruption(share=0.1), Garbage(rate_hz=0.2)):
                flown.link.inject(fault)

    try:
        result = await fly(plan, f"udpin:127.0.0.1:{above.port}", progress=worse_in_flight)
    finally:
        await above.close()
    assert (result.landed, result.reached) == (True, len(plan))
    assert min(flown.link.counts[name] for name in ("loss", "corruption", "garbage")) > 5
