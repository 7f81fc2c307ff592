"""Flights: however a launch goes wrong or is cut short, the vehicle ends disarmed and is watched until then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec
import pytest
from sqlalchemy import update

from fleet.commands import CommandResult, CommandState
from fleet.errors import CommandUnknown, MissionMismatch, RecordingInvalid, VehicleUnknown
from fleet.fences import FencePolygon, RallyPoint, fence_hash, rally_hash
from fleet.missions import MissionItem, mission_hash
from fleet.readiness import Check
from fleet.telemetry import Condition, MissionProgress, TelemetryState
from missioncontrol import flight_supervisor
from missioncontrol.control import Control
from missioncontrol.errors import Conflict, TransitionImpossible
from missioncontrol.fleet_settings import FleetSettings
from missioncontrol.flights import Flights
from missioncontrol.keyring import Keyring
from missioncontrol.live import Live
from missioncontrol.missions import Missions, PlanMaker
from missioncontrol.plans import Plan, VehiclePlan, plan_hash
from missioncontrol.requests import PlanRequest
from missioncontrol.settings import Settings
from missioncontrol.store import Store
from missioncontrol.tables import flights as flights_table
from missioncontrol.traffic import Traffic
from missioncontrol.vehicles import Vehicles
from tests.missioncontrol.conftest import StillClock, until
from tests.missioncontrol.test_missions import draft, planner


class ScriptedVehicle:
    """A vehicle that a test moves: it does at once what it is told, unless the test says otherwise."""

    def __init__(self, sysid: int) -> None:
        self.sysid = sysid
        self.state = TelemetryState(sysid=sysid, condition=Condition.READY, landed=True, last_heard_utc_s=1.0)
        self.told: list[str] = []
        self.at: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        self.takes_off = True
        self.aboard = ""
        self.fence: tuple[FencePolygon, ...] = (FencePolygon(ring=((0.0, 0.0), (0.0, 1.0), (1.0, 1.0))),)
        self.unanswered: set[str] = set()

    def now(self, **fields: Any) -> None:
        """Its next telemetry."""
        heard = (self.state.last_heard_utc_s or 0.0) + 1.0
        self.state = msgspec.structs.replace(self.state, last_heard_utc_s=heard, **fields)

    def land(self) -> None:
        self.now(armed=False, landed=True, condition=Condition.LANDED)

    async def _do(self, name: str) -> CommandResult:
        self.told.append(name)
        if name in self.at:
            await self.at[name]()
        state = CommandState.UNKNOWN if name in self.unanswered else CommandState.ACCEPTED
        return CommandResult(sysid=self.sysid, command=name, state=state)

    async def upload_mission(self, items: list[MissionItem], *, progress: Any) -> str:
        self.aboard = mission_hash(items)
        return self.aboard

    async def upload_fence(self, areas: tuple[FencePolygon, ...]) -> str:
        self.fence = areas
        return fence_hash(areas)

    async def upload_rally(self, points: tuple[RallyPoint, ...]) -> str:
        return rally_hash(points)

    async def verify_mission(self, expected_hash: str) -> None:
        if self.aboard != expected_hash:
            raise MissionMismatch(f"the mission aboard hashes to {self.aboard[:12]}")

    async def arm(self, expected_hash: str) -> None:
        (await self._do("arm")).accepted()
        self.now(armed=True, condition=Condition.FLYING)

    async def start_mission(self) -> None:
        answer = await self._do("start")
        if self.takes_off:
            self.now(landed=False)
        answer.accepted()

    async def disarm(self) -> CommandResult:
        answer = await self._do("disarm")
        if self.state.landed is False:
            return msgspec.structs.replace(answer, state=CommandState.DENIED)
        if answer.state is CommandState.ACCEPTED:
            self.land()
        return answer

    async def rtl(self) -> CommandResult:
        return await self._do("rtl")


class ScriptedFleet:
    """Its vehicles by sysid."""

    def __init__(self, *sysids: int) -> None:
        self.vehicles = {sysid: ScriptedVehicle(sysid) for sysid in sysids}
        self.strangers: dict[int, TelemetryState] = {}
        self.disk_full = False

    def vehicle(self, sysid: int) -> ScriptedVehicle:
        if sysid not in self.vehicles:
            raise VehicleUnknown(f"sysid {sysid} is not registered")
        return self.vehicles[sysid]

    commander = vehicle

    def start_recording(self, sysid: int, path: Path) -> None:
        if self.disk_full:
            raise RecordingInvalid(f"recording {path}: No space left on device")

    def stop_recording(self, sysid: int) -> None:
        pass


class Unchecked:
    """Lets every vehicle fly, these having nothing that could be checked, unless the test says otherwise."""

    def __init__(self) -> None:
        self.wait: dict[int, asyncio.Event] = {}
        self.late: list[Check] = []

    async def failures(self, plan: Plan, part: VehiclePlan, *, person: str) -> list[Check]:
        if part.sysid in self.wait:
            await self.wait[part.sysid].wait()
        return []

    def last_look(self, part: VehiclePlan, *, person: str) -> list[Check]:
        return self.late


class House:
    """Flights with their surroundings; `restarted` has the same store and fleet."""

    def __init__(self, store: Store, clock: StillClock, fleet: ScriptedFleet, plan_maker: PlanMaker = planner) -> None:
        self.store, self.clock, self.fleet = store, clock, fleet
        self.alarms: list[str] = []
        self.gate = Unchecked()
        self.tasks: list[asyncio.Task[None]] = []
        settings = Settings(fleet=FleetSettings(launch_timeout_s=0.6))
        self.missions = Missions(store, plan_maker, clock, on_change=lambda _: None)
        self.control = Control(store, clock)
        vehicles = Vehicles(
            fleet,  # type: ignore[arg-type]
            settings,
            None,
            store,
            Live(clock),
            clock,
            self.control,
            Keyring(settings, clock),
        )
        self.flights = Flights(
            store,
            fleet,  # type: ignore[arg-type]
            self.missions,
            vehicles,
            self.control,
            self.gate,  # type: ignore[arg-type]
            Traffic(),
            settings,
            clock,
            start=self._start,
            on_alarm=self.alarms.append,
            on_ended=lambda: None,
        )

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        self.tasks.append(asyncio.create_task(work, name=name))
        return self.tasks[-1]

    async def stop(self) -> None:
        for task in self.tasks:
            task.cancel()
        for ended in await asyncio.gather(*self.tasks, return_exceptions=True):
            if isinstance(ended, Exception):
                raise ended

    async def approved(self) -> str:
        """Id of an approved mission of vehicles 1 and 2."""
        mission_id = await draft(self.missions)
        await self.missions.plan(mission_id, person="a")
        await self.missions.approve(mission_id, person="b")
        return mission_id

    async def launched(self) -> str:
        """Id of such a mission that is being launched."""
        mission_id = await self.approved()
        await self.flights.launch(mission_id, person="a")
        return mission_id

    async def stage(self, sysid: int, *stages: str) -> dict[str, Any]:
        """The flight of a vehicle once it is in one of the stages."""

        async def there() -> dict[str, Any] | None:
            found = next(flight for flight in await self.flights.everything() if flight["sysid"] == sysid)
            return found if found["stage"] in stages else None

        return dict(await until(there, timeout_s=10))

    async def state(self, mission_id: str) -> str:
        return str(await self.missions.state(mission_id))


@pytest.fixture
def fleet() -> ScriptedFleet:
    return ScriptedFleet(1, 2)


@pytest.fixture
async def house(
    store: Store, clock: StillClock, fleet: ScriptedFleet, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[House]:
    monkeypatch.setattr(flight_supervisor, "WATCH_S", 0.02)
    monkeypatch.setattr(flight_supervisor, "BRING_DOWN_S", 0.1)
    opened = House(store, clock, fleet)
    yield opened
    await opened.stop()


@pytest.mark.parametrize("moment", ["arm", "start"])
async def test_an_abort_in_the_middle_of_a_launch_reaches_a_vehicle_that_does_not_yet_show_as_armed(
    house: House, fleet: ScriptedFleet, moment: str
) -> None:
    one = fleet.vehicles[1]
    mission_ids: list[str] = []

    async def abort() -> None:
        one.now(armed=False)  # its heartbeat lags
        await house.flights.abort(mission_ids[0], person="a")

    async def show_armed() -> None:
        one.now(armed=True)

    one.at[moment] = abort
    mission_ids.append(await house.launched())
    if moment == "arm":
        await house.stage(1, "aborted")
        assert one.told == ["arm", "disarm"]
    else:
        one.at["rtl"] = show_armed
        await house.stage(1, "returning")
        await until(lambda: asyncio.sleep(0, "rtl" in one.told), timeout_s=5)
        one.land()
    flight = await house.stage(1, "aborted")
    assert flight["text"] == "aborted before take-off"
    assert not one.state.armed
    fleet.vehicles[2].land()
    await house.stage(2, "aborted", "failed")
    assert await house.state(mission_ids[0]) == "aborted"


@pytest.mark.parametrize("stands", ["draft", "planned", "approved"])
async def test_a_mission_that_was_not_launched_can_be_withdrawn(
    house: House, fleet: ScriptedFleet, stands: str
) -> None:
    mission_id = await draft(house.missions) if stands == "draft" else await house.approved()
    if stands == "planned":
        await house.missions.plan(mission_id, person="a")
    assert await house.state(mission_id) == stands
    withdrawn = await house.flights.abort(mission_id, person="duty")
    assert (withdrawn["state"], withdrawn["reason"]) == ("aborted", "withdrawn by duty")
    assert [vehicle.told for vehicle in fleet.vehicles.values()] == [[], []]
    with pytest.raises(TransitionImpossible, match="nothing to abort"):
        await house.flights.abort(mission_id, person="duty")
    await house.missions.plan(mission_id, person="a")
    await house.missions.approve(mission_id, person="b")
    await house.flights.launch(mission_id, person="a")
    await house.stage(1, "flying")


async def test_an_abort_tells_all_vehicles_at_once(house: House, fleet: ScriptedFleet) -> None:
    mission_id = await house.launched()
    for sysid in (1, 2):
        await house.stage(sysid, "flying")
    both = asyncio.Barrier(2)

    async def meet() -> None:
        async with asyncio.timeout(2), both:
            pass

    for vehicle in fleet.vehicles.values():
        vehicle.at["rtl"] = meet
    await house.flights.abort(mission_id, person="a")
    for sysid, vehicle in fleet.vehicles.items():
        vehicle.land()
        assert (await house.stage(sysid, "aborted"))["text"] == "returned and landed"


async def test_a_vehicle_that_does_not_take_off_in_time_is_disarmed(house: House, fleet: ScriptedFleet) -> None:
    fleet.vehicles[1].takes_off = False
    mission_id = await house.launched()
    flight = await house.stage(1, "failed")
    assert fleet.vehicles[1].told == ["arm", "start", "disarm"]
    assert flight["text"] == "vehicle 1 was not in the air 0.6 s after the start; it stands disarmed"
    fleet.vehicles[2].now(mission=None)
    fleet.vehicles[2].land()
    await house.stage(2, "failed")
    await asyncio.gather(*house.tasks)
    assert await house.state(mission_id) == "failed"


async def test_an_unknown_start_sends_the_vehicle_home_and_watches_it_until_it_is_down(
    house: House, fleet: ScriptedFleet
) -> None:
    one = fleet.vehicles[1]
    one.unanswered = {"start", "rtl"}
    mission_id = await house.launched()
    await until(lambda: asyncio.sleep(0, one.told.count("rtl") >= 2), timeout_s=5)
    assert any("vehicle 1 may be armed and does not take the return command" in text for text in house.alarms)
    one.unanswered = set()
    flight = await house.stage(1, "returning")
    assert "did not answer start" in flight["text"]
    fleet.vehicles[2].land()
    await house.stage(2, "failed")
    assert await house.state(mission_id) == "flying"
    one.land()
    assert "it stands disarmed" in (await house.stage(1, "failed"))["text"]


async def test_arming_that_nobody_answered_is_undone(house: House, fleet: ScriptedFleet) -> None:
    one = fleet.vehicles[1]
    one.unanswered = {"arm"}
    await house.launched()
    await house.stage(1, "failed")
    assert one.told == ["arm", "disarm"]
    with pytest.raises(CommandUnknown):
        await one.arm("")


async def test_a_restart_adopts_a_vehicle_that_took_off_meanwhile(
    house: House, store: Store, clock: StillClock, fleet: ScriptedFleet
) -> None:
    one, two = fleet.vehicles.values()
    never = asyncio.Event()

    async def hang() -> None:
        await never.wait()

    one.at["start"] = two.at["start"] = hang
    mission_id = await house.launched()
    await until(lambda: asyncio.sleep(0, one.told[-1:] == two.told[-1:] == ["start"]), timeout_s=5)
    await house.stop()
    one.now(condition=Condition.UNKNOWN, armed=False, landed=None)
    two.now(condition=Condition.UNKNOWN, armed=False, landed=None)
    again = House(store, clock, fleet)
    await again.flights.resume_watching()
    await asyncio.sleep(0.1)
    one.now(condition=Condition.FLYING, armed=True, landed=False)
    two.now(condition=Condition.READY, armed=False, landed=True)
    assert (await again.stage(1, "flying"))["airborne_utc"] is not None
    assert (await again.stage(2, "failed"))["text"] == "the service was stopped before take-off"

    async def known_to_fly() -> bool:
        return await again.state(mission_id) == "flying"

    await until(known_to_fly, timeout_s=5)
    one.land()
    await asyncio.gather(*again.tasks)
    assert await again.state(mission_id) == "failed"


async def test_a_restart_tells_of_a_vehicle_that_flies_another_mission(
    house: House, store: Store, clock: StillClock, fleet: ScriptedFleet
) -> None:
    mission_id = await house.launched()
    for sysid in (1, 2):
        await house.stage(sysid, "flying")
    await house.stop()
    fleet.vehicles[2].aboard = "0" * 64
    told = {sysid: list(vehicle.told) for sysid, vehicle in fleet.vehicles.items()}
    again = House(store, clock, fleet)
    await again.flights.resume_watching()

    async def events() -> list[str] | None:
        names = [event["event"] for event in (await again.missions.get(mission_id))["history"]]
        return names if {"adopted", "adopted unverified"} <= set(names) else None

    await until(events, timeout_s=5)
    assert [alarm[:22] for alarm in again.alarms] == ["vehicle 2 flies on, bu"]
    assert {sysid: vehicle.told for sysid, vehicle in fleet.vehicles.items()} == told
    for vehicle in fleet.vehicles.values():
        vehicle.land()
    await asyncio.gather(*again.tasks)


async def test_a_restart_without_the_vehicle_in_the_settings_ends_the_mission_truthfully(
    house: House, store: Store, clock: StillClock, fleet: ScriptedFleet
) -> None:
    mission_id = await house.launched()
    for sysid in (1, 2):
        await house.stage(sysid, "flying")
    await house.stop()
    again = House(store, clock, ScriptedFleet())
    await again.flights.resume_watching()
    mission = await again.missions.get(mission_id)
    assert mission["state"] == "failed"
    assert "vehicle 1 is no longer registered; it was flying at the stop" in mission["reason"]


async def test_a_restart_goes_on_bringing_home_what_was_aborted(
    house: House, store: Store, clock: StillClock, fleet: ScriptedFleet
) -> None:
    mission_id = await house.launched()
    for sysid in (1, 2):
        await house.stage(sysid, "flying")
    await house.flights.abort(mission_id, person="a")
    await house.stop()
    async with store.writing() as connection:
        await connection.execute(update(flights_table).values(stage="flying"))
    again = House(store, clock, fleet)
    await again.flights.resume_watching()
    for sysid, vehicle in fleet.vehicles.items():
        vehicle.land()
        await again.stage(sysid, "aborted")
    assert again.alarms == []


async def test_of_two_launches_at_the_same_time_one_gets_the_vehicles(house: House, fleet: ScriptedFleet) -> None:
    missions = [await house.approved(), await house.approved()]
    answers = await asyncio.gather(
        *(house.flights.launch(mission_id, person="a") for mission_id in (*missions, missions[0])),
        return_exceptions=True,
    )
    refused = [answer for answer in answers if isinstance(answer, Conflict)]
    assert len(refused) == 2
    for sysid in (1, 2):
        await house.stage(sysid, "flying")
        assert fleet.vehicles[sysid].told == ["arm", "start"]
    for vehicle in fleet.vehicles.values():
        vehicle.land()
    await asyncio.gather(*house.tasks)


async def test_a_launch_that_fails_midway_leaves_the_vehicles_free_and_no_flight_open(
    house: House, fleet: ScriptedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = await house.approved(), await house.approved()

    async def refuse(*_: Any, **__: Any) -> None:
        raise Conflict("the store is busy")

    with monkeypatch.context() as patch:
        patch.setattr(house.missions, "note", refuse)
        with pytest.raises(Conflict, match="the store is busy"):
            await house.flights.launch(first, person="a")
    assert [flight["stage"] for flight in await house.flights.everything()] == ["aborted", "aborted"]
    await house.flights.launch(second, person="a")
    await until(lambda: asyncio.sleep(0, fleet.vehicles[1].told == ["arm", "start"]), timeout_s=5)


async def test_a_vehicle_that_somebody_took_over_during_its_launch_is_not_armed(
    house: House, fleet: ScriptedFleet
) -> None:
    house.gate.wait[2] = asyncio.Event()
    await house.launched()
    await house.stage(1, "uploaded")
    await house.control.take_over(1, person="b")
    house.gate.wait[2].set()
    assert (await house.stage(1, "failed"))["text"] == "vehicle 1 is held by b since, not by a"
    await house.stage(2, "flying")
    assert fleet.vehicles[1].told == []


async def test_a_vehicle_that_somebody_takes_over_while_it_arms_is_disarmed(house: House, fleet: ScriptedFleet) -> None:
    async def take_over() -> None:
        await house.control.take_over(1, person="b")

    fleet.vehicles[1].at["arm"] = take_over
    await house.launched()
    await house.stage(1, "failed")
    assert fleet.vehicles[1].told == ["arm", "disarm"]


async def test_what_changed_while_others_were_checked_keeps_a_vehicle_on_the_ground(
    house: House, fleet: ScriptedFleet
) -> None:
    house.gate.late = [Check(name="gps.fix", passed=False, measured="", limit="", text="GPS: no fix")]
    mission_id = await house.launched()
    for sysid in (1, 2):
        assert (await house.stage(sysid, "failed"))["text"] == "pre-flight: GPS: no fix"
        assert fleet.vehicles[sysid].told == []
    await asyncio.gather(*house.tasks)
    assert await house.state(mission_id) == "failed"


async def test_a_plan_without_a_fence_clears_the_one_aboard(house: House, fleet: ScriptedFleet) -> None:
    await house.launched()
    await house.stage(1, "flying")
    assert fleet.vehicles[1].fence == ()


async def test_a_flight_that_cannot_be_recorded_is_refused_before_anything_is_sent(
    house: House, fleet: ScriptedFleet
) -> None:
    fleet.disk_full = True
    mission_id = await house.launched()
    for sysid in (1, 2):
        text = (await house.stage(sysid, "failed"))["text"]
        assert text.startswith("its flight cannot be recorded: recording ")
        assert fleet.vehicles[sysid].told == []
        assert fleet.vehicles[sysid].aboard == ""
    await asyncio.gather(*house.tasks)
    assert await house.state(mission_id) == "failed"


async def test_a_flight_that_a_restart_finds_is_watched_also_where_it_cannot_be_recorded(
    house: House, store: Store, clock: StillClock, fleet: ScriptedFleet
) -> None:
    mission_id = await house.launched()
    for sysid in (1, 2):
        await house.stage(sysid, "flying")
    await house.stop()
    fleet.disk_full = True
    again = House(store, clock, fleet)
    await again.flights.resume_watching()
    await until(lambda: asyncio.sleep(0, len(again.alarms) == 2), timeout_s=5)
    assert all("is watched on, but its flight is not recorded: recording " in alarm for alarm in again.alarms)
    for vehicle in fleet.vehicles.values():
        vehicle.now(mission=None)
        vehicle.land()
    await asyncio.gather(*again.tasks)
    assert await again.state(mission_id) == "failed", "they landed at the first item"


async def two_sorties(request: PlanRequest) -> Plan:
    """A plan in which vehicle 1 flies twice, the second time higher, and vehicle 2 once."""
    made = await planner(request)  # type: ignore[arg-type]
    first, other = made.vehicles
    items = (msgspec.structs.replace(first.items[0], z=90.0), *first.items[1:])
    second = msgspec.structs.replace(first, sortie=2, items=items, hash=mission_hash(list(items)))
    parts = (first, second, other)
    return msgspec.structs.replace(made, vehicles=parts, sorties=3, hash=plan_hash(parts))


async def test_the_second_flight_of_a_vehicle_waits_for_its_battery_and_another_launch(
    store: Store, clock: StillClock, fleet: ScriptedFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flight_supervisor, "WATCH_S", 0.02)
    house = House(store, clock, fleet, two_sorties)
    try:
        mission_id = await house.launched()
        plan = await house.missions.launched_plan(mission_id)
        for sysid in (1, 2):
            await house.stage(sysid, "flying")
            assert fleet.vehicles[sysid].aboard == plan.vehicles[0].hash
            fleet.vehicles[sysid].now(mission=MissionProgress(item=1, total=2, reached=0))
            fleet.vehicles[sysid].land()
            await house.stage(sysid, "done")
        await until(lambda: _is(house, mission_id, "approved"), timeout_s=5)
        assert "vehicle 1 flight 2" in (await house.missions.get(mission_id))["reason"]
        fleet.vehicles[1].now(mission=None, condition=Condition.READY)
        await house.flights.launch(mission_id, person="a")
        await house.stage(1, "flying")
        assert fleet.vehicles[1].aboard == plan.vehicles[1].hash
        assert fleet.vehicles[2].told.count("arm") == 1
        fleet.vehicles[1].now(mission=MissionProgress(item=1, total=2, reached=0))
        fleet.vehicles[1].land()
        await until(lambda: _is(house, mission_id, "done"), timeout_s=5)
    finally:
        await house.stop()


async def _is(house: House, mission_id: str, state: str) -> bool:
    return await house.state(mission_id) == state
