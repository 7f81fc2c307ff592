"""Schedules: each due time gives exactly one mission, whatever happens between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.missions import Missions
from missioncontrol.people import NewPerson, People, Role
from missioncontrol.plans import Plan
from missioncontrol.recurrences import Recurrence
from missioncontrol.requests import PlanRequest
from missioncontrol.schedules import CatchUp, NewSchedule, Schedules, StandingApproval
from missioncontrol.settings import HttpSettings
from missioncontrol.store import Store
from missioncontrol.tables import occurrences
from tests.missioncontrol.conftest import StillClock, make_settings, running
from tests.missioncontrol.test_missions import REQUEST, planner

DAY_S = 86_400.0


def utc_s(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


class Bench:
    """Schedules over a store, as a service that can be killed at any write and started again."""

    def __init__(self, store: Store, clock: StillClock) -> None:
        self.store, self.clock = store, clock
        self.alarms: list[str] = []
        self.refuses = ""
        self.people = People(store, HttpSettings(), clock)
        self.missions = Missions(store, self.plan, clock, on_change=lambda _: None)
        self.schedules = Schedules(store, self.missions, self.people, clock, on_alarm=self.alarms.append)

    async def plan(self, request: PlanRequest) -> Plan:
        if self.refuses:
            raise InputInvalid(self.refuses)
        return await planner(request)  # type: ignore[arg-type]

    async def made(self) -> list[dict[str, object]]:
        return sorted(await self.missions.everything(), key=lambda mission: str(mission["id"]))

    async def names(self) -> list[str]:
        return [str(mission["name"]).rpartition(", ")[2] for mission in await self.made()]


START = "2026-05-01T08:00:00"


def new(**more: object) -> NewSchedule:
    """Each day at 08:00 UTC from 1 May 2026."""
    daily = Recurrence(rule="FREQ=DAILY", starts=datetime.fromisoformat(START), time_zone="UTC")
    return msgspec.structs.replace(NewSchedule(name="dumps", request=REQUEST, recurrence=daily), **more)


@pytest.fixture
def bench(store: Store, clock: StillClock) -> Bench:
    clock.utc_s = utc_s("2026-05-01T00:00:00")
    return Bench(store, clock)


async def test_a_due_time_gives_one_planned_mission_its_lead_time_before(bench: Bench) -> None:
    await bench.schedules.create(new(lead_s=1800.0), person="Operator")
    bench.clock.utc_s = utc_s("2026-05-01T07:29:00")
    await bench.schedules.follow()
    assert await bench.made() == []
    bench.clock.utc_s += 61.0
    for _ in range(3):
        await bench.schedules.follow()
    (mission,) = await bench.made()
    assert (mission["state"], mission["name"]) == ("planned", "dumps, 2026-05-01 08:00")
    assert mission["request"]["begins_utc"] == "2026-05-01T08:00:00.000Z"  # type: ignore[index]
    assert mission["approved_hash"] is None
    assert len(bench.alarms) == 1
    assert "waits for approval" in bench.alarms[0]


@pytest.mark.parametrize(
    ("catch_up", "most", "within_s", "expected"),
    [
        (CatchUp.SKIP, 5, 10 * DAY_S, []),
        (CatchUp.LATEST, 5, 10 * DAY_S, ["2026-05-04 08:00"]),
        (CatchUp.ALL, 3, 10 * DAY_S, ["2026-05-02 08:00", "2026-05-03 08:00", "2026-05-04 08:00"]),
        (CatchUp.ALL, 5, 1.5 * DAY_S, ["2026-05-03 08:00", "2026-05-04 08:00"]),
    ],
)
async def test_times_missed_while_the_service_was_down(
    bench: Bench, catch_up: CatchUp, most: int, within_s: float, expected: list[str]
) -> None:
    schedule = new(catch_up=catch_up, catch_up_most=most, catch_up_within_s=within_s, lead_s=0.0)
    await bench.schedules.create(schedule, person="Operator")
    bench.clock.utc_s = utc_s("2026-05-04T12:00:00")
    again = Bench(bench.store, bench.clock)
    for _ in range(2):
        await again.schedules.follow()
    assert await again.names() == expected
    missed = [text for text in again.alarms if "missed" in text]
    assert len(missed) == (1 if len(expected) < 4 else 0)
    assert all(mission["request"]["begins_utc"] is None for mission in await again.made())  # type: ignore[index]
    bench.clock.utc_s = utc_s("2026-05-05T08:00:01")
    await again.schedules.follow()
    assert (await again.names())[-1] == "2026-05-05 08:00"
    assert len(await again.made()) == len(expected) + 1


class Killed(BaseException):
    """The process is gone."""


class Dying(Store):
    """An open store whose process is killed at its n-th write: before it, or within it."""

    def __init__(self, store: Store, write: int, *, within: bool) -> None:
        self._whole, self._left, self._within = store, write, within

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        async with self._whole.reading() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, alone: str | None = None) -> AsyncIterator[AsyncConnection]:
        self._left -= 1
        if self._left == 0 and not self._within:
            raise Killed
        async with self._whole.writing(alone) as connection:
            yield connection
            if self._left == 0:
                raise Killed


@pytest.mark.parametrize("within", [False, True])
@pytest.mark.parametrize("write", [1, 2, 3, 4])
async def test_killed_at_any_write_there_is_still_one_mission(bench: Bench, write: int, within: bool) -> None:
    await bench.people.add(NewPerson(name="Boss", password="x" * 8, roles=(Role.ADMINISTRATOR,)), by="test")
    schedule = await bench.schedules.create(new(), person="Operator")
    approval = StandingApproval(hash=(await planner(REQUEST)).hash)
    await bench.schedules.approve(schedule["id"], approval, person="Boss")
    bench.clock.utc_s = utc_s("2026-05-01T07:30:00")
    with pytest.raises(Killed):  # at the mission, its plan, its approval, its outcome
        await Bench(Dying(bench.store, write, within=within), bench.clock).schedules.follow()
    again = Bench(bench.store, bench.clock)
    for _ in range(2):
        await again.schedules.follow()
    (mission,) = await again.made()
    assert mission["state"] == "approved"
    assert mission["plan_version"] == 1
    async with bench.store.reading() as connection:
        (row,) = (await connection.execute(select(occurrences))).all()
    assert (row.mission_id, row.outcome) == (mission["id"], "approved")


async def test_two_services_over_one_store_make_one_mission(bench: Bench) -> None:
    await bench.schedules.create(new(), person="Operator")
    bench.clock.utc_s = utc_s("2026-05-01T07:30:00")
    await asyncio.gather(*(Bench(bench.store, bench.clock).schedules.follow() for _ in range(4)))
    assert len(await bench.made()) == 1


async def test_only_the_very_plan_that_was_approved_in_advance_is(bench: Bench) -> None:
    await bench.people.add(NewPerson(name="Boss", password="x" * 8, roles=(Role.ADMINISTRATOR,)), by="test")
    schedule = await bench.schedules.create(new(), person="Operator")
    approval = StandingApproval(hash=(await planner(REQUEST)).hash)
    await bench.schedules.approve(schedule["id"], approval, person="Boss")
    bench.clock.utc_s = utc_s("2026-05-01T07:30:00")
    await bench.schedules.follow()
    higher = msgspec.structs.replace(REQUEST, height_m=61.0)
    changed = await bench.schedules.replace(schedule["id"], new(purpose="still the same"), person="Operator")
    assert changed["approved_by"] == "Boss"
    bench.clock.utc_s += DAY_S
    await bench.schedules.follow()
    await bench.schedules.replace(schedule["id"], new(request=higher), person="Operator")
    bench.clock.utc_s += DAY_S
    await bench.schedules.follow()
    await bench.schedules.approve(schedule["id"], approval, person="Boss")
    bench.clock.utc_s += DAY_S
    await bench.schedules.follow()
    made = await bench.made()
    assert [mission["state"] for mission in made] == ["approved", "approved", "planned", "planned"]
    assert made[0]["approved_by"] == "Boss"
    history = (await bench.missions.get(str(made[0]["id"])))["history"]
    assert [entry["event"] for entry in history] == ["created", "planned", "approved in advance"]


async def test_a_standing_approval_of_one_who_may_no_longer_approve_is_none(bench: Bench) -> None:
    await bench.people.add(NewPerson(name="Boss", password="x" * 8, roles=(Role.OPERATOR,)), by="test")
    schedule = await bench.schedules.create(new(), person="Operator")
    await bench.schedules.approve(schedule["id"], StandingApproval(hash=(await planner(REQUEST)).hash), person="Boss")
    bench.clock.utc_s = utc_s("2026-05-01T07:30:00")
    await bench.schedules.follow()
    (mission,) = await bench.made()
    assert mission["state"] == "planned"


async def test_what_cannot_be_planned_is_said_and_the_next_time_comes(bench: Bench) -> None:
    schedule = await bench.schedules.create(new(), person="Operator")
    bench.clock.utc_s = utc_s("2026-05-01T07:30:00")
    bench.refuses = "zones: vehicle 1 would be in a zone"
    await bench.schedules.follow()
    assert "would be in a zone" in bench.alarms[0]
    bench.refuses = ""
    bench.clock.utc_s += DAY_S
    await bench.schedules.follow()
    made = (await bench.schedules.get(schedule["id"]))["made"]
    assert [each["outcome"] for each in made] == ["planned", "failed"]
    assert [mission["state"] for mission in await bench.made()] == ["draft", "planned"]


async def test_changed_paused_and_deleted(bench: Bench) -> None:
    schedule = await bench.schedules.create(new(), person="Operator")
    bench.clock.utc_s = utc_s("2026-05-01T07:30:00")
    await bench.schedules.follow()
    await bench.schedules.replace(schedule["id"], new(lead_s=7200.0), person="Operator")
    await bench.schedules.follow()
    assert len(await bench.made()) == 1  # the same due time, made already
    paused = await bench.schedules.replace(schedule["id"], new(active=False), person="Operator")
    assert paused["next_utc"] is None
    bench.clock.utc_s = utc_s("2026-05-09T12:00:00")
    await bench.schedules.follow()
    awake = await bench.schedules.replace(schedule["id"], new(catch_up=CatchUp.ALL), person="Operator")
    await bench.schedules.follow()
    assert len(await bench.made()) == 1  # what passed while it was paused was not missed
    assert awake["next_utc"] == "2026-05-10T08:00:00.000Z"
    listed = await bench.schedules.occurrences(schedule["id"], until_utc_s=utc_s("2026-06-01"), most=3)
    assert [each["local"] for each in listed] == [f"2026-05-{day}T08:00:00" for day in (10, 11, 12)]
    await bench.schedules.delete(schedule["id"], person="Operator")
    with pytest.raises(NotFound):
        await bench.schedules.get(schedule["id"])
    assert len(await bench.made()) == 1
    with pytest.raises(InputInvalid, match="begins_utc"):
        await bench.schedules.create(
            new(request=msgspec.structs.replace(REQUEST, begins_utc="2026-05-01T08:00:00Z")), person="Operator"
        )


async def test_schedules_over_http(tmp_path: Path) -> None:
    settings = make_settings(tmp_path)
    area = {
        "type": "Polygon",
        "coordinates": [[[76.944, 43.237], [76.946, 43.237], [76.946, 43.239], [76.944, 43.237]]],
    }
    body = {
        "name": "weekly look at the canal",
        "request": {"kind": "survey", "area": area, "camera": "sim-wide", "height_m": 60, "vehicles": [1]},
        "recurrence": {
            "rule": "FREQ=WEEKLY;BYDAY=MO,TH",
            "starts": "2026-05-01T08:30:00",
            "time_zone": "Asia/Almaty",
            "blackouts": [{"first_day": "2030-05-01", "last_day": "2030-05-09", "reason": "holidays"}],
        },
        "catch_up": "latest",
    }
    async with running(settings) as service:
        http = await service.client()
        made = await http.post("/schedules", json=body)
        assert made.status_code == 201, made.text
        schedule_id = made.json()["id"]
        url = f"/schedules/{schedule_id}"
        assert [each["id"] for each in (await http.get("/schedules")).json()] == [schedule_id]
        times = (await http.get(f"{url}/occurrences", params={"most": 3, "until": "2099-01-01T00:00:00Z"})).json()
        assert len(times) == 3
        assert all(each["local"].endswith("T08:30:00") and each["due_utc"].endswith("T03:30:00.000Z") for each in times)
        assert (await http.get("/schedules/conflicts", params={"most": 3})).json() == []
        wrong = {**body, "recurrence": {**body["recurrence"], "rule": "FREQ=OFTEN"}}  # type: ignore[dict-item]
        refused = await http.put(url, json=wrong)
        assert refused.status_code == 422
        assert "FREQ" in refused.json()["detail"]
        assert (await http.post(f"{url}/approval", json={"hash": "a" * 64})).json()["approved_by"] == "administrator"
        assert (await http.delete(f"{url}/approval")).status_code == 204
        assert (await http.get(url)).json()["approved_by"] is None
        assert (await http.put(url, json={**body, "active": False})).json()["next_utc"] is None
        assert (await http.delete(url)).status_code == 204
        assert (await http.get(url)).status_code == 404
