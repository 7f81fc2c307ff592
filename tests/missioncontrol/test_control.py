"""One person holds a vehicle; hands change explicitly, and a late request of the former holder is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from missioncontrol import audit
from missioncontrol.control import Control, Lease
from missioncontrol.errors import ControlHeld, InputInvalid
from missioncontrol.store import Store
from tests.missioncontrol.conftest import StillClock, make_settings, running, udp_port
from tests.missioncontrol.test_api import new_person, problem
from tests.missioncontrol.test_service import Simulated, approved, ready


@pytest.fixture
async def control(store: Store, clock: StillClock) -> Control:
    control = Control(store, clock)
    await control.load()
    return control


async def test_a_free_vehicle_is_taken_by_who_needs_it_and_by_nobody_else(control: Control, clock: StillClock) -> None:
    lease = await control.need(1, person="a")
    assert lease == Lease(sysid=1, person="a", token=1, since_utc_s=clock.utc_s)
    assert await control.need(1, person="a", token=1) == lease
    with pytest.raises(ControlHeld, match="vehicle 1 is held by a"):
        await control.need(1, person="b")
    with pytest.raises(ControlHeld, match="held by a, not by b"):
        await control.release(1, person="b")
    assert (await control.need(2, person="b")).person == "b"


async def test_each_change_of_hands_spoils_the_token_before(control: Control, store: Store) -> None:
    await control.need(1, person="a")
    assert (await control.take_over(1, person="b")).token == 2
    with pytest.raises(ControlHeld):
        await control.need(1, person="a", token=1)
    await control.hand_over(1, "a", person="b")
    with pytest.raises(ControlHeld, match="token 1 is no longer good, it changed hands since"):
        await control.need(1, person="a", token=1)
    with pytest.raises(InputInvalid, match="already held by a"):
        await control.hand_over(1, "a", person="a")
    assert (await control.release(1, person="a")).person is None
    async with store.reading() as connection:
        entries = await audit.history(connection, "vehicle", "1")
    assert [(entry.event, entry.person, entry.detail["to"]) for entry in entries] == [
        ("control taken", "a", "a"),
        ("control taken over", "b", "b"),
        ("control handed over", "b", "a"),
        ("control released", "a", None),
    ]


async def test_leases_outlive_the_service(control: Control, store: Store, clock: StillClock) -> None:
    lease = await control.need(1, person="a")
    again = Control(store, clock)
    await again.load()
    assert again.lease(1) == lease


async def test_of_many_who_ask_at_once_one_holds_it(control: Control) -> None:
    answers = await asyncio.gather(
        *(control.need(1, person=f"p{number}") for number in range(8)), return_exceptions=True
    )
    held = [answer for answer in answers if isinstance(answer, Lease)]
    assert len(held) == 1
    assert all(isinstance(answer, ControlHeld) for answer in answers if not isinstance(answer, Lease))
    assert control.lease(1) == held[0]


async def test_two_operators_and_one_vehicle(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path)
    simulated(udp_port(settings), 1)
    async with running(settings) as house:
        administrator = await house.client()
        await ready(administrator, 1)
        one, two = [await new_person(house, name, "operator") for name in ("one", "two")]
        lease = (await one.post("/vehicles/1/control", json={"action": "take"})).json()
        assert (lease["person"], lease["token"]) == ("one", 1)
        held = problem(await two.post("/vehicles/1/control", json={"action": "take"}), 409)
        assert "held by one" in held["detail"]
        mission_id = await approved(administrator, 1)
        assert "held by one" in problem(await two.post(f"/missions/{mission_id}/launch", json={}), 409)["detail"]
        (found,) = (await two.get(f"/missions/{mission_id}/preflight")).json()
        (control,) = [check["text"] for check in found["checks"] if check["name"] == "control"]
        assert control == "control: held by one, by two alone: take it over"
        goto = {"command": "resume", "token": 1}
        assert "held by one" in problem(await two.post("/vehicles/1/commands", json=goto), 409)["detail"]
        answer = await two.post("/vehicles/1/commands", json={"command": "land"})
        assert answer.status_code == 200, "an emergency command is open to every operator"
        over = (await two.post("/vehicles/1/control", json={"action": "take_over"})).json()
        assert (over["person"], over["token"]) == ("two", 2)
        assert "held by two" in problem(await one.post("/vehicles/1/commands", json=goto), 409)["detail"]
        features = (await administrator.get("/vehicles")).json()["features"]
        assert features[0]["properties"]["control"]["person"] == "two"
        nobody = problem(await two.post("/vehicles/1/control", json={"action": "hand_over", "to": "three"}), 404)
        assert "nobody is named 'three'" in nobody["detail"]
        inspector = await new_person(house, "inspector", "inspector")
        problem(await inspector.post("/vehicles/1/control", json={"action": "take"}), 403)
        wrong = problem(await two.post("/vehicles/1/control", json={"action": "hand_over", "to": "inspector"}), 422)
        assert "inspector is not operator" in wrong["detail"]


async def test_a_change_of_hands_that_was_written_and_then_cancelled_does_not_lock_the_vehicle(
    control: Control, store: Store, clock: StillClock
) -> None:
    await Control(store, clock).need(1, person="b")
    with pytest.raises(ControlHeld, match="changed hands at this moment"):
        await control.need(1, person="a")
    assert control.lease(1).person == "b"
    assert (await control.take_over(1, person="a")).token == 2
