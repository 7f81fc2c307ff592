"""What every adapter of the port `Vehicle` must do, with both kinds of autopilot."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import MissionInvalid, MissionMismatch, VehicleRefused
from fleet.fences import FencePolygon, RallyPoint, fence_hash, rally_hash
from fleet.fleet import Fleet
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.mavsdk_vehicle import MavsdkVehicle
from fleet.missions import MissionItem, mission_hash
from fleet.transfers import TransferProgress
from fleet.vehicle import Vehicle, VehicleRecord
from geo.positions import Altitude, Datum
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import HOME, Fly, proxy_to, survey

LON, LAT, GROUND_AMSL_M = HOME
MISSION_ITEM_INT, MISSION_ACK = 73, 47


def registered(*sysids: int) -> dict[int, VehicleRecord]:
    return {sysid: VehicleRecord(sysid=sysid, name=f"vehicle {sysid}") for sysid in sysids}


def hop() -> list[MissionItem]:
    """A short flight, low."""
    return survey(lines=1, line_m=20.0, height_m=12.0)


class Play:
    """A simulated vehicle, and how one adapter has it."""

    def __init__(self, fleet: Fleet, vehicle: Vehicle, truth: SimulatedVehicle) -> None:
        self.fleet, self.vehicle, self.truth = fleet, vehicle, truth

    @property
    def up_m(self) -> float:
        return self.truth.true_state().amsl_m - GROUND_AMSL_M

    def off_m(self, lon: float, lat: float) -> float:
        true = self.truth.true_state()
        return float(abs(true.lon - lon) * 81_000 + abs(true.lat - lat) * 111_000)

    async def take_off(self) -> None:
        """Armed, and on its way."""
        await self.vehicle.arm(await self.vehicle.upload_mission(hop()))
        await self.vehicle.start_mission()
        assert await holds(lambda: self.up_m > 5.0, 10.0)

    async def landed(self) -> bool:
        return await holds(lambda: self.vehicle.state.landed is True and not self.vehicle.state.armed, 20.0)


@asynccontextmanager
async def adapted(adapter: str, fleet: Fleet, sysid: int) -> AsyncIterator[Vehicle]:
    """A vehicle as an adapter has it."""
    if adapter == "mavlink":
        yield fleet.vehicle(sysid)
    else:
        async with MavsdkVehicle(fleet=fleet, sysid=sysid) as vehicle:
            yield vehicle


@pytest.fixture
def fast(request: pytest.FixtureRequest) -> SimClock:
    return SimClock(start_utc_s=1_790_000_000.0, speedup=getattr(request, "param", 20.0))


@pytest.fixture(params=("ardupilot", "px4"))
def autopilot(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(params=("mavlink", "mavsdk"))
def adapter(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def play(adapter: str, autopilot: str, port: int, simulated: Fly, fast: SimClock) -> AsyncIterator[Play]:
    """One vehicle that can be armed."""
    truth = simulated(port, sysid=7, autopilot=autopilot, clock=fast)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet, adapted(adapter, fleet, 7) as vehicle:
        assert await holds(lambda: vehicle.state.prearm_good is True and vehicle.state.home is not None, 15.0)
        yield Play(fleet, vehicle, truth)


@pytest.mark.parametrize("kind", [MavlinkVehicle, MavsdkVehicle])
def test_an_adapter_has_the_whole_port(kind: type) -> None:
    for name, wanted in vars(Vehicle).items():
        if not name.startswith("_"):
            assert hasattr(kind, name), f"{kind.__name__} has no {name}"
            if inspect.isfunction(wanted):
                offered = inspect.signature(getattr(kind, name)).parameters
                for parameter in inspect.signature(wanted).parameters.values():
                    assert offered[parameter.name].kind == parameter.kind, f"{kind.__name__}.{name}: {parameter}"


async def test_what_is_aboard_is_what_was_sent(play: Play) -> None:
    plan = survey(lines=3)
    told: list[TransferProgress] = []
    assert await play.vehicle.upload_mission(plan, progress=told.append) == mission_hash(plan)
    for stage in ("upload", "read-back"):
        done = [progress.done for progress in told if progress.stage == stage]
        assert done == sorted(done)
        assert done[-1] == told[0].total >= len(plan)
    assert mission_hash(await play.vehicle.read_mission()) == mission_hash(plan)
    await play.vehicle.verify_mission(mission_hash(plan))
    with pytest.raises(MissionInvalid):
        await play.vehicle.upload_mission([])


async def test_fence_and_rally_points_are_read_back(play: Play) -> None:
    d = 0.005
    fence = FencePolygon(ring=((LON - d, LAT - d), (LON + d, LAT - d), (LON + d, LAT + d), (LON - d, LAT + d)))
    rally = RallyPoint(lon=LON + 0.0003, lat=LAT, height_m=20.0)
    assert await play.vehicle.upload_fence([fence]) == fence_hash([fence])
    assert fence_hash(await play.vehicle.read_fence()) == fence_hash([fence])
    assert await play.vehicle.upload_rally([rally]) == rally_hash([rally])
    assert await play.vehicle.upload_rally([]) == rally_hash([])
    assert await play.vehicle.read_rally() == ()


async def test_another_mission_than_the_approved_one_is_not_armed(play: Play) -> None:
    approved = mission_hash(survey(lines=3))
    await play.vehicle.upload_mission(survey(lines=2))
    with pytest.raises(MissionMismatch, match=f"sysid 7: .* approved is {approved[:12]}"):
        await play.vehicle.arm(approved)
    assert not play.truth.pilot.armed


async def test_a_mission_is_flown_held_resumed_and_ended(play: Play) -> None:
    vehicle = play.vehicle
    await play.take_off()
    assert play.truth.pilot.armed
    assert (await vehicle.hold()).state is CommandState.ACCEPTED
    assert vehicle.state.mode is FlightMode.HOLD
    result = await vehicle.disarm()
    words = {
        "px4": (CommandState.DENIED, 1, ("Disarming denied: not landed",)),
        "ardupilot": (CommandState.FAILED, 4, ()),
    }
    assert (result.state, result.result, result.texts) == words[vehicle.state.autopilot or ""]
    assert (await vehicle.resume()).state is CommandState.ACCEPTED
    assert vehicle.state.mode is FlightMode.MISSION
    assert await play.landed()
    assert play.off_m(LON, LAT) < 6.0
    assert abs(play.up_m) < 0.5


async def test_it_goes_where_it_is_told_and_lands_there(play: Play) -> None:
    vehicle = play.vehicle
    await play.take_off()
    heights = ((20.0, Altitude(GROUND_AMSL_M + 20.0, Datum.AMSL)), (15.0, Altitude(15.0, Datum.HOME)))
    for up_m, altitude in heights:
        lat = LAT + up_m / 111_000
        result = await vehicle.goto(lon=LON, lat=lat, altitude=altitude)
        assert result.state is CommandState.ACCEPTED, result.text
        assert await holds(lambda up_m=up_m, lat=lat: play.off_m(LON, lat) < 6.0 and abs(play.up_m - up_m) < 4.0, 8.0)  # type: ignore[misc]
    for lon, lat, altitude in ((LON, 95.0, heights[0][1]), (LON, LAT, Altitude(10.0, Datum.AGL))):
        with pytest.raises(VehicleRefused, match="sysid 7: "):
            await vehicle.goto(lon=lon, lat=lat, altitude=altitude)
    assert (await vehicle.land()).state is CommandState.ACCEPTED
    assert await play.landed()
    assert play.off_m(LON, LAT + 15.0 / 111_000) < 12.0


async def test_a_second_flight_starts_from_the_first_item_again(play: Play) -> None:
    vehicle = play.vehicle

    def item() -> int:
        mission = vehicle.state.mission
        return -1 if mission is None or mission.item is None else mission.item

    await play.take_off()
    assert await holds(lambda: item() >= 3, 10.0)
    assert (await vehicle.land()).state is CommandState.ACCEPTED
    assert await play.landed()
    await vehicle.arm(mission_hash(hop()))
    await vehicle.start_mission()
    assert await holds(lambda: item() == 0, 3.0)
    assert await holds(lambda: play.up_m > 5.0, 10.0)


async def test_it_returns_no_lower_than_it_was_told(play: Play) -> None:
    assert await play.vehicle.raise_return(47.3) == 48.0
    assert await play.vehicle.raise_return(20.0) == 48.0, "what is higher is left alone"
    await play.take_off()
    assert (await play.vehicle.rtl()).state is CommandState.ACCEPTED
    assert await holds(lambda: play.up_m > 5.0, 10.0)
    assert await play.landed()


async def test_it_returns(play: Play) -> None:
    await play.take_off()
    assert (await play.vehicle.rtl()).state is CommandState.ACCEPTED
    assert play.vehicle.state.mode is FlightMode.RTL
    assert await play.landed()
    assert play.off_m(LON, LAT) < 6.0


@pytest.mark.parametrize("fast", [5.0], indirect=True)  # mavsdk asks for a gimbal at so many heartbeats, and no more
async def test_camera_and_speed(play: Play) -> None:
    result = await play.vehicle.set_gimbal(pitch_deg=-35.0, yaw_deg=20.0)
    assert (result.state, result.result) == (CommandState.ACCEPTED, 0)

    def looks() -> bool:
        gimbal = play.vehicle.state.gimbal
        return gimbal is not None and abs(gimbal.pitch_deg + 35.0) < 2.0 and abs(gimbal.yaw_deg - 20.0) < 2.0

    assert await holds(looks, 5.0), play.vehicle.state.gimbal
    assert (await play.vehicle.change_speed(6.0)).command == "DO_CHANGE_SPEED"
    for speed_m_s in (0.0, -1.0, float("nan")):
        with pytest.raises(VehicleRefused, match="no speed to fly at"):
            await play.vehicle.change_speed(speed_m_s)


async def test_a_refusal_carries_the_autopilots_words(
    adapter: str, autopilot: str, port: int, simulated: Fly, fast: SimClock
) -> None:
    truth = simulated(port, sysid=7, autopilot=autopilot, clock=fast, ready_after_s=10_000.0)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet, adapted(adapter, fleet, 7) as vehicle:
        assert await holds(lambda: vehicle.state.boot_s is not None and vehicle.state.boot_s > 2.0, 5.0)
        approved = await vehicle.upload_mission(hop())
        with pytest.raises(VehicleRefused, match="sysid 7: ") as caught:
            await vehicle.arm(approved)
        assert caught.value.texts
        assert not truth.pilot.armed


async def test_a_mode_that_needs_a_position_is_denied_without_satellites(play: Play) -> None:
    """PX4 answers twice, and the first answer is always that it was accepted."""
    await play.take_off()
    play.truth.fail("gps_off")
    assert await holds(lambda: play.vehicle.state.mode is FlightMode.LAND, 8.0)
    result = await play.vehicle.rtl()
    assert result.state is CommandState.DENIED, result
    assert result.result in (1, 4)
    assert play.vehicle.state.mode is FlightMode.LAND


async def test_a_command_reaches_the_one_vehicle_it_names(
    adapter: str, autopilot: str, port: int, simulated: Fly, fast: SimClock
) -> None:
    truths = {sysid: simulated(port, sysid=sysid, autopilot=autopilot, clock=fast) for sysid in (7, 8)}
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7, 8)) as fleet,
        adapted(adapter, fleet, 7) as seven,
        adapted(adapter, fleet, 8) as eight,
    ):
        assert await holds(lambda: seven.state.prearm_good is True and eight.state.prearm_good is True, 15.0)
        await eight.upload_mission(survey(lines=3))
        mode = truths[8].pilot.mode
        await seven.arm(await seven.upload_mission(hop()))
        await seven.start_mission()
        assert truths[7].pilot.armed
        assert not truths[8].pilot.armed
        assert truths[8].pilot.mode == mode
        await eight.verify_mission(mission_hash(survey(lines=3)))


async def test_an_upload_that_loses_an_item_and_the_last_answer_is_whole(
    adapter: str, autopilot: str, port: int, simulated: Fly, fast: SimClock
) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        proxy_to(port) as (proxy, way),
        adapted(adapter, fleet, 7) as vehicle,
    ):
        simulated(way, sysid=7, autopilot=autopilot, clock=fast)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        left = {MISSION_ITEM_INT, MISSION_ACK}

        def drop(msgid: int, upward: bool) -> bool:
            lost = msgid in left
            left.discard(msgid)
            return lost

        proxy.drop = drop
        assert await vehicle.upload_mission(hop()) == mission_hash(hop())
        assert left == set()


async def test_a_cancelled_upload_leaves_an_unknown_mission_and_a_free_vehicle(
    adapter: str, autopilot: str, port: int, simulated: Fly, fast: SimClock
) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        proxy_to(port) as (proxy, way),
        adapted(adapter, fleet, 7) as vehicle,
    ):
        simulated(way, sysid=7, autopilot=autopilot, clock=fast)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        await vehicle.upload_mission(hop())
        proxy.drop = lambda msgid, upward: msgid == MISSION_ITEM_INT and not upward
        upload = asyncio.create_task(vehicle.upload_mission(survey(lines=3)))
        assert await holds(lambda: proxy.lost >= 2, 5.0)
        upload.cancel()
        with pytest.raises(asyncio.CancelledError):
            await upload
        proxy.drop = lambda msgid, upward: False
        assert fleet.vehicle(7).mission_hash is None
        assert await vehicle.upload_mission(hop()) == mission_hash(hop())
