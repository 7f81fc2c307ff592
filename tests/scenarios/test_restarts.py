"""Killed in mid-mission, the service changes nothing for what flies; started again, or as another instance that hears
the vehicle on another link, it finds the flight, proves what is aboard, and supervises on without an order."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w

from simulators.autopilot_flavour import Mode
from simulators.autopilot_links import link_of
from tests.conftest import free_port
from tests.fleet.conftest import HOME
from tests.missioncontrol.conftest import PASSWORD, until
from tests.missioncontrol.test_service import ended, ready, survey
from tests.scenarios.sky import Flown, Sky, Tap

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]
READING = {"MISSION_REQUEST_LIST", "MISSION_REQUEST_INT", "MISSION_ACK", "PARAM_REQUEST_READ", "PARAM_REQUEST_LIST"}
"""What may be said to a vehicle that is adopted."""


def settings(folder: Path, name: str, mavlink: int, http: int) -> Path:
    """Of one instance; all share their data."""
    path = folder / f"{name}.toml"
    home = {"lon": HOME[0], "lat": HOME[1], "altitude_amsl_m": HOME[2]}
    vehicle = {"sysid": 1, "name": "vehicle 1", "registration": "KZ-001", "camera": "sim-wide", "home": home}
    tree = {
        "data": str(folder / "data"),
        "http": {"port": http},
        "fleet": {"links": [f"udpin:127.0.0.1:{mavlink}"], "lost_link": {"action": "continue"}},
        "vehicles": [vehicle],
        "perception": {"enabled": False},
        "administrator": {"password": PASSWORD},
    }
    path.write_text(tomli_w.dumps(tree))
    return path


@contextlib.asynccontextmanager
async def serving(path: Path, http: int) -> AsyncIterator[httpx.AsyncClient]:
    """An instance in a process of its own, and who is logged in there; killed with -9 on leaving."""
    log = path.with_suffix(".log")
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            Path(sys.executable).parent / "missioncontrol", "serve", "--settings", path, stdout=output, stderr=output
        )
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{http}/api/v1", timeout=30) as client:

            async def logged_in() -> bool:
                assert process.returncode is None, log.read_text()[-2000:]
                with contextlib.suppress(httpx.TransportError):
                    answer = await client.post("/session", json={"name": "administrator", "password": PASSWORD})
                    client.headers["authorization"] = f"Bearer {answer.json()['token']}"
                    return True
                return False

            await until(logged_in, timeout_s=90)
            yield client
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def approved_for_long(http: httpx.AsyncClient) -> str:
    """Id of an approved mission that is flown for some minutes."""
    lon, lat = HOME[0] + 0.0003, HOME[1] + 0.0003
    ring = [[lon, lat], [lon + 0.003, lat], [lon + 0.003, lat + 0.002], [lon, lat + 0.002], [lon, lat]]
    request = {**survey(1), "height_m": 30, "area": {"type": "Polygon", "coordinates": [ring]}}
    answer = await http.post("/missions", json={"name": "long", "purpose": "test", "request": request})
    assert answer.status_code == 201, answer.text
    mission_id = str(answer.json()["id"])
    for step in ("plan", "approve"):
        answer = await http.post(f"/missions/{mission_id}/{step}", json={})
        assert answer.status_code == 200, answer.text
    return mission_id


async def adopted(http: httpx.AsyncClient, mission_id: str, times: int) -> dict[str, Any]:
    """The mission once its flight was adopted so often, and is seen to go on."""

    async def found() -> dict[str, Any] | None:
        mission = (await http.get(f"/missions/{mission_id}")).json()
        events = [event["event"] for event in mission["history"]]
        return mission if events.count("adopted") >= times else None

    mission = dict(await until(found, timeout_s=60))
    item = mission["progress"][0]["item"]

    async def further() -> bool:
        (part,) = (await http.get(f"/missions/{mission_id}")).json()["progress"]
        return bool(part["stage"] == "flying" and part["item"] > item)

    await until(further, timeout_s=40)
    return mission


async def test_after_kill_9_the_same_and_then_another_instance_supervise_on_and_give_no_order(tmp_path: Path) -> None:
    above = Sky(speedup=4.0)
    other_port = free_port()
    second = Tap(link_of(f"udpout:127.0.0.1:{other_port}"))
    one = above.vehicle(1, more_links=[second])
    first_http, second_http = free_port(), free_port()
    first = settings(tmp_path, "first", above.port, first_http)
    another = settings(tmp_path, "another", other_port, second_http)
    try:
        async with serving(first, first_http) as http:
            await ready(http, 1)
            mission_id = await approved_for_long(http)
            await http.post(f"/missions/{mission_id}/launch", json={})
            await ended(http, mission_id, "flying")
            await until(lambda: asyncio.sleep(0, in_mission(one)), timeout_s=30)
        forget(one.tap, second)
        await asyncio.sleep(0.5)
        assert in_mission(one), "killing the service changes nothing for the vehicle"
        async with serving(first, first_http) as http:
            mission = await adopted(http, mission_id, 1)
            assert mission["state"] == "flying"
        async with serving(another, second_http) as http:
            mission = await adopted(http, mission_id, 2)
            assert mission["state"] == "flying"
            assert len((await http.get("/flights")).json()) == 1
            assert [event["event"] for event in mission["history"]].count("uploaded") == 1
        assert "MISSION_REQUEST_LIST" in one.tap.heard
        assert "MISSION_REQUEST_LIST" in second.heard, "each read back what is aboard"
        assert (one.tap.orders() | second.orders()) - READING == set()
        assert in_mission(one)
    finally:
        await above.close()


def in_mission(flown: Flown) -> bool:
    """Whether the vehicle truly flies its mission."""
    pilot = flown.truth.pilot
    return bool(pilot.armed) and pilot.relative_m() > 20.0 and pilot.mode is Mode.AUTO


def forget(*taps: Tap) -> None:
    """Judge only what comes from now on."""
    for tap in taps:
        tap.heard.clear()
