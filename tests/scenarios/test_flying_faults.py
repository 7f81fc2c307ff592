"""A bad link, a bad transfer or a false voice never makes a vehicle fly what was not approved, and never makes the
ground believe what is not so."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import CommandError, FleetError, LinkError, MissionMismatch, TransferFailed
from fleet.fleet import Fleet
from fleet.flying import FlightProgress, fly, launch
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import mission_hash
from fleet.telemetry import Condition
from fleet.vehicle import VehicleRecord
from geo.positions import distance_m
from simulators.autopilot_links import Link
from simulators.clock import SimClock
from simulators.fault_schedule import (
    Corruption,
    Delay,
    Duplication,
    Fault,
    ForgedFrames,
    ForgedMessage,
    FrozenTelemetry,
    Garbage,
    Loss,
    Mission,
    MissionFailure,
    Reordering,
    Way,
)
from simulators.faults import FaultyLink
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import HOME, survey

pytestmark = pytest.mark.slow

APPROVED, NEXT = survey(lines=3), survey(lines=2, height_m=44)
"""The mission aboard, and the shorter one that is to replace it."""
BOUND_S = 60.0
"""Longest that a transfer may keep an operator waiting, wall s."""


class Tap:
    """Notes what reaches a vehicle, behind all faults: `COMMAND_LONG 400`, `MISSION_COUNT`; no heartbeats."""

    def __init__(self, link: Link) -> None:
        self._link, self.heard = link, list[str]()
        self._parser = mavlink.MAVLink(None)
        self._parser.robust_parsing = True

    async def open(self, receive: Callable[[bytes], None]) -> None:
        def note(data: bytes) -> None:
            for message in self._parser.parse_buffer(bytearray(data)) or []:
                if message.get_type() != "HEARTBEAT":
                    self.heard.append(f"{message.get_type()} {getattr(message, 'command', '')}".strip())
            receive(data)

        await self._link.open(note)

    def send(self, data: bytes) -> None:
        self._link.send(data)

    def close(self) -> None:
        self._link.close()

    def orders(self) -> set[str]:
        """What was heard but requests for messages (511, 512) and for the mission's items."""
        return set(self.heard) - {"COMMAND_LONG 511", "COMMAND_LONG 512", "REQUEST_DATA_STREAM"}


class Flown(msgspec.Struct):
    """A simulated vehicle, its faulty link, and what reaches it."""

    truth: SimulatedVehicle
    link: FaultyLink
    tap: Tap


class Sky:
    """Simulated vehicles on one port of the ground."""

    def __init__(self, *, speedup: float) -> None:
        self.clock = SimClock(start_utc_s=1_790_000_000.0, speedup=speedup)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.tasks: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def vehicle(self, sysid: int, *faults: Fault, **options: Any) -> Flown:
        link = FaultyLink(f"udpout:127.0.0.1:{self.port}", clock=self.clock, faults=faults, seed=sysid)
        tap = Tap(link)
        options.setdefault("home", HOME)
        truth = SimulatedVehicle(sysid=sysid, link=tap, clock=self.clock, seed=sysid, ready_after_s=2.0, **options)
        self.tasks.append(asyncio.create_task(truth.run(), name=f"vehicle[{sysid}]"))
        return Flown(truth, link, tap)


@contextlib.asynccontextmanager
async def sky(*sysids: int, speedup: float = 10.0, **options: Any) -> AsyncIterator[tuple[Sky, Fleet]]:
    """The ground with vehicles registered, and a sky to put them in."""
    above = Sky(speedup=speedup)
    records = {sysid: VehicleRecord(sysid=sysid, name=f"vehicle {sysid}") for sysid in sysids}
    async with Fleet([f"udpin:127.0.0.1:{above.port}"], records, **options) as fleet:
        try:
            yield above, fleet
        finally:
            await above.close()


async def ready(vehicle: MavlinkVehicle) -> None:
    assert await holds(lambda: vehicle.state.prearm_good is True and vehicle.state.home is not None, 60.0)


async def at_item(vehicle: MavlinkVehicle, item: int) -> None:
    assert await holds(lambda: vehicle.state.mission is not None and (vehicle.state.mission.item or 0) >= item, 40.0)


def item_of(vehicle: MavlinkVehicle) -> int:
    mission = vehicle.state.mission
    return -1 if mission is None or mission.item is None else mission.item


# -- transfers -------------------------------------------------------------------------------------------------------


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
    """All failures at once, a vehicle for each."""

    async def play() -> dict[MissionFailure, Transfer]:
        sysids = {failure: number for number, failure in enumerate(MissionFailure, start=1)}
        async with sky(*sysids.values(), speedup=1.0) as (above, fleet):
            flown = {failure: above.vehicle(sysid) for failure, sysid in sysids.items()}
            plays = (through(fleet, flown[failure], sysid, failure) for failure, sysid in sysids.items())
            return dict(zip(sysids, await asyncio.gather(*plays), strict=True))

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
    async with sky(*BAD_LINKS) as (above, fleet):

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


# -- lost links ------------------------------------------------------------------------------------------------------

GCS_S = 2.0
"""FS_GCS_TIMEOUT of the vehicles, s of the ground's clock."""
CONTINUE = {"FS_GCS_ENABLE": 1, "FS_OPTIONS": 18, "FS_GCS_TIMEOUT": GCS_S}
RETURN = {"FS_GCS_ENABLE": 1, "FS_OPTIONS": 16, "FS_GCS_TIMEOUT": GCS_S}
LONG = survey(lines=4, line_m=160)


async def airborne(fleet: Fleet, sysid: int) -> MavlinkVehicle:
    """The vehicle on its way along the first line."""
    vehicle = fleet.vehicle(sysid)
    await ready(vehicle)
    await launch(fleet, vehicle, await vehicle.upload_mission(LONG))
    await at_item(vehicle, 4)
    return vehicle


async def test_without_a_link_each_vehicle_does_what_it_was_set_to_and_nothing_is_sent_when_it_is_back() -> None:
    async with sky(1, 2, stale_s=1.0, lost_s=2.5) as (above, fleet):
        flown = {1: above.vehicle(1, parameters=CONTINUE), 2: above.vehicle(2, parameters=RETURN)}
        goes_on, returns = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        left_at = item_of(goes_on)
        cuts = {sysid: each.link.inject(Loss()) for sysid, each in flown.items()}
        for each in flown.values():
            each.tap.heard.clear()
        for vehicle in (goes_on, returns):
            assert await holds(lambda vehicle=vehicle: vehicle.state.condition is Condition.LOST, 6.0)  # type: ignore[misc]
        await asyncio.sleep(1.0)
        for sysid, each in flown.items():
            each.link.lift(cuts[sysid])
        assert await holds(lambda: returns.state.mode is FlightMode.RTL, 4.0), returns.state
        assert await holds(lambda: goes_on.state.mode is FlightMode.MISSION and item_of(goes_on) > left_at, 4.0)
        assert await holds(lambda: Condition.LOST not in (goes_on.state.condition, returns.state.condition), 3.0)
        await asyncio.sleep(0.5)
        assert returns.state.mode is FlightMode.RTL, "it stays in RTL when the ground is back"
        assert all(each.tap.orders() == set() for each in flown.values()), "nothing was resumed or repeated"
        assert await holds(lambda: returns.state.condition is Condition.LANDED, 30.0)
        here = flown[2].truth.true_state()
        assert float(distance_m(here.lon, here.lat, HOME[0], HOME[1])) < 5.0


async def test_one_way_loss_fails_the_side_that_hears_nothing_and_only_that() -> None:
    async with sky(1, 2, stale_s=1.0, lost_s=2.5) as (above, fleet):
        deaf = above.vehicle(1, parameters=RETURN)
        mute = above.vehicle(2, parameters=RETURN)
        unheard, silent = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        left_at = item_of(silent)
        deaf.link.inject(Loss(way=Way.DOWN))
        voice = mute.link.inject(Loss(way=Way.UP))
        deaf.tap.heard.clear()
        assert await holds(lambda: unheard.state.mode is FlightMode.RTL, 3.0 * GCS_S), "the vehicle misses the ground"
        assert unheard.state.condition is Condition.FLYING, "the ground still hears the vehicle"
        assert await holds(lambda: silent.state.condition is Condition.LOST, 5.0), "the ground misses the vehicle"
        start_s = time.monotonic()
        held = await unheard.hold()
        assert held.state is CommandState.UNKNOWN
        assert time.monotonic() - start_s < 15.0
        assert deaf.tap.heard == []
        mute.link.lift(voice)
        assert await holds(lambda: silent.state.condition is not Condition.LOST, 4.0)
        assert await holds(lambda: item_of(silent) > left_at, 4.0)
        assert silent.state.mode is not FlightMode.RTL, "it heard the ground all the time, and flew on"


# -- false voices ----------------------------------------------------------------------------------------------------


async def test_of_two_vehicles_with_one_sysid_only_the_first_is_believed_and_the_second_gets_no_orders() -> None:
    async with sky(1, 2) as (above, fleet):
        first, other = above.vehicle(1), above.vehicle(2)
        vehicle = fleet.vehicle(1)
        await ready(vehicle)
        await ready(fleet.vehicle(2))
        second = above.vehicle(1, home=(77.5, 43.5, 1000.0))
        await asyncio.sleep(3.0)
        first.tap.heard.clear()
        position = vehicle.state.position
        assert position is not None
        assert position.lon == pytest.approx(HOME[0], abs=1e-3)
        with contextlib.suppress(LinkError):
            await vehicle.set_mode(FlightMode.GUIDED)
        assert second.tap.orders() == set()
        assert (await fleet.vehicle(2).set_mode(FlightMode.GUIDED)).state is CommandState.ACCEPTED
        assert "COMMAND_LONG 176" in other.tap.heard


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
