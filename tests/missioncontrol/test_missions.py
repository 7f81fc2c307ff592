"""Missions: what is flown is what was approved."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import select, update

from fleet.missions import MissionItem, mission_hash
from missioncontrol import audit
from missioncontrol.errors import HashMismatch, InputInvalid, NotFound, TransitionImpossible
from missioncontrol.missions import Missions, MissionState, NewMission
from missioncontrol.plans import Plan, VehiclePlan, plan_hash
from missioncontrol.requests import SurveyRequest
from missioncontrol.store import Store
from missioncontrol.tables import plans
from tests.missioncontrol.conftest import StillClock

AREA = {"type": "Polygon", "coordinates": [[[76.94, 43.2], [76.95, 43.2], [76.95, 43.21], [76.94, 43.2]]]}
REQUEST = SurveyRequest(area=AREA, camera="sim-wide", height_m=60.0, vehicles=(1, 2))


async def planner(request: SurveyRequest) -> Plan:
    """A plan of two items a vehicle, at the height asked for."""
    parts = []
    for sysid in request.vehicles:
        items = (
            MissionItem(frame=3, command=22, x=432000000, y=769400000, z=request.height_m or 0.0),
            MissionItem(frame=2, command=20),
        )
        path: dict[str, Any] = {"type": "Feature", "geometry": None, "properties": {}}
        parts.append(
            VehiclePlan(
                sysid=sysid,
                items=items,
                hash=mission_hash(list(items)),
                path=path,
                path_m=100.0,
                duration_s=10.0,
                energy_wh=1.0,
                battery_percent=1.0,
            )
        )
    return Plan(
        hash=plan_hash(tuple(parts)),
        lines=1,
        path_m=200.0,
        photos=10,
        duration_s=10.0,
        energy_wh=2.0,
        sorties=len(parts),
        area_m2=1.0,
        gsd_cm={"min": 1.0, "median": 1.0, "max": 1.0},
        plan_s=0.1,
        vehicles=tuple(parts),
    )


@pytest.fixture
def changes() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def missions(store: Store, clock: StillClock, changes: list[dict[str, Any]]) -> Missions:
    return Missions(store, planner, clock, on_change=changes.append)


async def draft(missions: Missions) -> str:
    mission = await missions.create(NewMission(name="weekly", purpose="dumps", request=REQUEST), person="Operator")
    assert mission["state"] == "draft"
    return str(mission["id"])


async def test_from_draft_to_done_with_who_did_what(missions: Missions, changes: list[dict[str, Any]]) -> None:
    mission_id = await draft(missions)
    planned = await missions.plan(mission_id, person="Operator")
    assert planned["state"] == "planned"
    assert planned["plan"]["vehicles"][0]["items"] == 2
    assert planned["plan"]["vehicles"][0]["mission_items"][0]["seq"] == 0
    approved = await missions.approve(mission_id, person="Boss")
    assert approved["approved_hash"] == planned["plan_hash"] == planned["plan"]["hash"]
    plan = await missions.approved_plan(mission_id)
    assert plan.hash == planned["plan_hash"]
    for state in (MissionState.UPLOADED, MissionState.FLYING, MissionState.DONE):
        await missions.step(mission_id, state)
    mission = await missions.get(mission_id)
    events = [(entry["event"], entry["person"]) for entry in mission["history"]]
    assert events == [
        ("created", "Operator"),
        ("planned", "Operator"),
        ("approved", "Boss"),
        ("uploaded", "service"),
        ("flying", "service"),
        ("done", "service"),
    ]
    assert [change["state"] for change in changes] == ["draft", "planned", "approved", "uploaded", "flying", "done"]
    assert (await missions.everything())[0]["state"] == "done"


async def test_planning_again_loses_the_approval(missions: Missions) -> None:
    mission_id = await draft(missions)
    await missions.plan(mission_id, person="a")
    first = await missions.approve(mission_id, person="b")
    higher = msgspec.structs.replace(REQUEST, height_m=80.0)
    again = await missions.plan(mission_id, person="a", request=higher)
    assert (again["state"], again["approved_hash"], again["approved_by"]) == ("planned", None, None)
    assert again["plan_hash"] != first["plan_hash"]
    assert again["request"]["height_m"] == 80.0
    assert again["plan_version"] == 2
    with pytest.raises(TransitionImpossible, match="is planned"):
        await missions.approved_plan(mission_id)


@pytest.mark.parametrize("steps", [[], ["plan"]], ids=["draft", "planned"])
async def test_only_an_approved_mission_can_be_launched(missions: Missions, steps: list[str]) -> None:
    mission_id = await draft(missions)
    if steps:
        await missions.plan(mission_id, person="a")
    with pytest.raises(TransitionImpossible, match="only an approved one"):
        await missions.approved_plan(mission_id)


async def test_a_plan_that_was_changed_behind_the_approval_is_not_flown(missions: Missions, store: Store) -> None:
    mission_id = await draft(missions)
    await missions.plan(mission_id, person="a")
    await missions.approve(mission_id, person="b")
    async with store.writing() as connection:
        tree = (await connection.execute(select(plans.c.plan))).scalar_one()
        items = msgspec.convert(tree["vehicles"][0]["items"], list[MissionItem])
        items[0] = msgspec.structs.replace(items[0], z=500.0)
        tree["vehicles"][0].update(items=msgspec.to_builtins(items), hash=mission_hash(items))
        await connection.execute(update(plans).values(plan=tree))
    with pytest.raises(HashMismatch, match=mission_id):
        await missions.approved_plan(mission_id)


async def test_items_that_do_not_hash_to_what_the_plan_says_are_not_flown(missions: Missions, store: Store) -> None:
    mission_id = await draft(missions)
    await missions.plan(mission_id, person="a")
    await missions.approve(mission_id, person="b")
    async with store.writing() as connection:
        tree = (await connection.execute(select(plans.c.plan))).scalar_one()
        tree["vehicles"][0]["items"][0]["z"] = 500.0
        await connection.execute(update(plans).values(plan=tree))
    with pytest.raises(HashMismatch, match="vehicle 1"):
        await missions.approved_plan(mission_id)


async def test_impossible_steps_are_refused(missions: Missions) -> None:
    mission_id = await draft(missions)
    with pytest.raises(TransitionImpossible, match="is draft; it cannot become approved, only aborted, planned"):
        await missions.approve(mission_id, person="a")
    with pytest.raises(NotFound, match="no mission x"):
        await missions.get("x")
    assert (await missions.get(mission_id))["history"][-1]["event"] == "created"


async def test_two_approvals_at_once_are_one(missions: Missions) -> None:
    mission_id = await draft(missions)
    await missions.plan(mission_id, person="a")
    results = await asyncio.gather(
        *(missions.approve(mission_id, person=name) for name in "bc"), return_exceptions=True
    )
    assert sum(isinstance(result, TransitionImpossible) for result in results) == 1


async def test_requests_that_say_too_little_or_too_much_are_refused(missions: Missions) -> None:
    for broken, word in (
        (msgspec.structs.replace(REQUEST, gsd_cm=3.0), "gsd_cm, height_m"),
        (msgspec.structs.replace(REQUEST, height_m=None), "gsd_cm, height_m"),
        (msgspec.structs.replace(REQUEST, vehicles=(1, 1)), "vehicles"),
    ):
        with pytest.raises(InputInvalid, match=word):
            await missions.preview(broken)
        with pytest.raises(InputInvalid, match=word):
            await missions.create(NewMission(name="x", request=broken), person="a")
    assert await missions.everything() == []


async def test_every_step_is_in_the_audit(missions: Missions, store: Store) -> None:
    mission_id = await draft(missions)
    await missions.plan(mission_id, person="a")
    async with store.reading() as connection:
        entries = await audit.history(connection, "mission", mission_id)
        assert await audit.first_broken(connection) is None
    assert [entry.event for entry in entries] == ["created", "planned"]
    assert entries[1].detail["version"] == 1
