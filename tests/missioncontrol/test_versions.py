"""Versions of a plan, their differences, and previews in the background of the service."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from missioncontrol.errors import Conflict, NotFound
from missioncontrol.missions import Missions, NewMission
from missioncontrol.planning import plan
from missioncontrol.plans import Plan
from missioncontrol.previews import Circumstances, fly_preview
from missioncontrol.requests import PlanRequest
from missioncontrol.store import Store
from missioncontrol.versions import Versions
from tests.missioncontrol.conftest import HOME, StillClock, make_settings, running, until
from tests.missioncontrol.test_patterns import request, site
from tests.missioncontrol.test_previews import AsPlanned


async def planner(asked: PlanRequest) -> Plan:
    return plan(asked, site())


@pytest.fixture
def missions(store: Store, clock: StillClock) -> Missions:
    return Missions(store, planner, clock, on_change=lambda mission: None)


@pytest.fixture
def versions(store: Store, clock: StillClock) -> Versions:
    return Versions(store, clock)


async def draft(missions: Missions) -> str:
    new = NewMission(name="quarry", purpose="", request=request("waypoints"))
    return str((await missions.create(new, person="Operator"))["id"])


async def test_every_version_is_kept_and_told_apart(missions: Missions, versions: Versions) -> None:
    mission_id = await draft(missions)
    with pytest.raises(Conflict, match="no plan yet"):
        await versions.present(mission_id)
    assert await versions.listed(mission_id) == []
    await missions.plan(mission_id, person="Operator")
    await missions.plan(mission_id, person="Operator", request=request("waypoints", height_m=80.0))
    await missions.approve(mission_id, person="Administrator")
    first, second = await versions.listed(mission_id)
    assert [first["version"], second["version"]] == [1, 2]
    assert [first["approved"], second["approved"]] == [False, True]
    assert first["hash"] != second["hash"]
    assert {"created_utc", "path_m", "duration_s", "sorties", "energy_wh"} <= first.keys()
    whole = await versions.one(mission_id, 1)
    assert whole["hash"] == first["hash"]
    assert max(item["z"] for item in whole["plan"]["vehicles"][0]["mission_items"]) == pytest.approx(50.0)
    words = (await versions.difference(mission_id, 1, 2))["words"]
    assert "height 80 m instead of 50 m above the take-off" in words
    assert (await versions.difference(mission_id, 2, 2))["words"] == ("same hash: nothing differs",)
    with pytest.raises(NotFound, match="no version 3"):
        await versions.difference(mission_id, 1, 3)
    with pytest.raises(NotFound, match="no mission"):
        await versions.listed("nowhere")


async def test_a_preview_stays_with_the_version_it_was_flown_for(missions: Missions, versions: Versions) -> None:
    mission_id = await draft(missions)
    await missions.plan(mission_id, person="Operator")
    version, made = await versions.present(mission_id)
    preview = fly_preview(made, Circumstances(), by=AsPlanned())
    await versions.keep_preview(mission_id, version, preview, person="Operator")
    await versions.keep_preview(mission_id, version, preview, person="Dispatcher")
    kept = await versions.preview(mission_id, version)
    assert kept is not None
    assert (kept["plan_hash"], kept["created_by"]) == (made.hash, "Dispatcher")
    await missions.plan(mission_id, person="Operator", request=request("waypoints", height_m=70.0))
    assert await versions.preview(mission_id, 2) is None
    assert [each["preview"] is None for each in await versions.listed(mission_id)] == [False, True]
    assert (await versions.one(mission_id, 1))["preview"] == kept


@pytest.fixture
def asked() -> dict[str, Any]:
    lon, lat, _ = HOME
    ring = [(lon, lat), (lon + 0.001, lat), (lon + 0.001, lat + 0.001), (lon, lat + 0.001), (lon, lat)]
    area = {"type": "Polygon", "coordinates": [ring]}
    return {"kind": "survey", "area": area, "camera": "sim-wide", "height_m": 50.0, "vehicles": [1]}


async def planned(http: httpx.AsyncClient, asked: dict[str, Any]) -> str:
    made = (await http.post("/missions/", json={"name": "yard", "request": asked})).json()
    mission_id = str(made["id"])
    answer = await http.post(f"/missions/{mission_id}/plan")
    assert answer.status_code == 200, answer.text
    return mission_id


@pytest.mark.slow
async def test_the_service_flies_a_preview_in_the_background(tmp_path: Path, asked: dict[str, Any]) -> None:
    async with running(make_settings(tmp_path)) as service:
        http = await service.client()
        mission_id = await planned(http, asked)
        where = f"/missions/{mission_id}/preview"
        assert (await http.get(where)).json()["state"] == "none"
        begun = await http.post(where, json={"autopilot": "px4"})
        assert begun.status_code == 202, begun.text
        assert begun.json()["state"] in ("waiting", "flying")
        assert (await http.post(where)).status_code == 409
        progress: list[float] = []

        async def ended() -> Any:
            looked = asyncio.get_running_loop().time()
            state = (await http.get(where)).json()
            assert asyncio.get_running_loop().time() - looked < 2.0, "the service answers meanwhile"
            progress.append(state["progress"])
            return state if state["state"] not in ("waiting", "flying") else None

        done = await until(ended, what="preview")
        assert done["state"] == "done", done
        assert progress == sorted(progress)
        result = done["result"]
        assert result["plan_hash"] == done["hash"]
        assert result["autopilot"] == "px4"
        (flight,) = result["flights"]
        assert flight["landed"]
        assert result["seen_share"] > 0.99
        (listed,) = (await http.get(f"/missions/{mission_id}/versions")).json()
        assert listed["preview"] == result["words"]
        words = (await http.get(f"/missions/{mission_id}/versions/1/difference/1")).json()["words"]
        assert words == ["same hash: nothing differs"]
        assert (await http.get(f"/missions/{mission_id}/versions/7")).status_code == 404
        assert (await http.post(where, json={"autopilot": "betaflight"})).status_code == 400


async def test_a_service_that_stops_takes_its_preview_with_it(tmp_path: Path, asked: dict[str, Any]) -> None:
    async with running(make_settings(tmp_path)) as service:
        http = await service.client()
        mission_id = await planned(http, asked)
        assert (await http.post(f"/missions/{mission_id}/preview")).status_code == 202
        await asyncio.sleep(0.5)
        async with asyncio.timeout(20):
            await service.stop()
