"""The service as a whole, on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import structlog
import uvicorn
import websockets
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import decode
from fleet.recording import read_recording
from missioncontrol.errors import AdapterUnknown, SettingsInvalid
from missioncontrol.incident_settings import SinkSettings
from missioncontrol.incidents import Incidents
from missioncontrol.service import Service
from missioncontrol.settings import AdministratorSettings, HttpSettings
from missioncontrol.video_settings import PerceptionSettings
from simulators.city import Receiver, receivers_app
from simulators.vehicle import SimulatedVehicle
from tests.missioncontrol.conftest import HOME, make_settings, running, udp_port, until
from tests.missioncontrol.test_incidents import look

Simulated = Callable[..., SimulatedVehicle]
SECRET = "whsec_c2ltdWxhdGVkIGNpdHkgcmVjZWl2ZXIga2V5"


def area(east_deg: float = 0.0) -> dict[str, Any]:
    lon, lat = HOME[0] + 0.0003 + east_deg, HOME[1] + 0.0003
    ring = [[lon, lat], [lon + 0.0008, lat], [lon + 0.0008, lat + 0.0005], [lon, lat + 0.0005], [lon, lat]]
    return {"type": "Polygon", "coordinates": [ring]}


def survey(*sysids: int) -> dict[str, Any]:
    return {
        "kind": "survey",
        "area": area(),
        "camera": "sim-wide",
        "height_m": 40,
        "front_overlap": 60,
        "side_overlap": 30,
        "vehicles": list(sysids),
    }


async def vehicle(http: httpx.AsyncClient, sysid: int) -> dict[str, Any]:
    features = (await http.get("/vehicles")).json()["features"]
    return dict(next(feature["properties"] for feature in features if feature["id"] == sysid))


async def ready(http: httpx.AsyncClient, *sysids: int) -> None:
    for sysid in sysids:

        async def is_ready(number: int = sysid) -> bool:
            return (await vehicle(http, number))["state"] in ("ready", "landed")

        await until(is_ready)


async def approved(http: httpx.AsyncClient, *sysids: int) -> str:
    answer = await http.post("/missions", json={"name": "survey", "purpose": "test", "request": survey(*sysids)})
    assert answer.status_code == 201, answer.text
    mission_id = str(answer.json()["id"])
    for step in ("plan", "approve"):
        answer = await http.post(f"/missions/{mission_id}/{step}", json={})
        assert answer.status_code == 200, answer.text
    return mission_id


async def ended(http: httpx.AsyncClient, mission_id: str, *states: str) -> dict[str, Any]:
    async def get() -> dict[str, Any] | None:
        mission = (await http.get(f"/missions/{mission_id}")).json()
        return mission if mission["state"] in states else None

    return dict(await until(get, timeout_s=150))


async def summed_up(http: httpx.AsyncClient, flight_id: str) -> dict[str, Any]:
    async def get() -> dict[str, Any] | None:
        summary: dict[str, Any] | None = (await http.get(f"/flights/{flight_id}")).json()["summary"]
        return summary

    return dict(await until(get))


@pytest.mark.slow
async def test_two_vehicles_fly_an_approved_survey_and_land(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    simulated(udp_port(settings), 1)
    simulated(udp_port(settings), 2, home=(HOME[0] + 0.0001, HOME[1], HOME[2]))
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1, 2)
        mission_id = await approved(http, 1, 2)
        answer = await http.post(f"/missions/{mission_id}/launch", json={})
        assert answer.status_code == 202, answer.text
        again = await http.post(f"/missions/{mission_id}/launch", json={})
        assert again.status_code == 409
        mission = await ended(http, mission_id, "done", "failed", "aborted")
        assert (mission["state"], mission["reason"]) == ("done", None)
        assert [event["event"] for event in mission["history"]] == [
            "created", "planned", "approved", "launched", "uploaded", "flying", "done",
        ]  # fmt: skip
        assert [(part["sysid"], part["stage"], part["fraction"]) for part in mission["progress"]] == [
            (1, "done", 1.0),
            (2, "done", 1.0),
        ]
        flights = (await http.get("/flights")).json()
        assert sorted(flight["registration"] for flight in flights) == ["KZ-001", "KZ-002"]
        for flight in flights:
            track = (await http.get(f"/flights/{flight['id']}/track")).json()
            points = track["geometry"]["coordinates"]
            part = next(part for part in mission["plan"]["vehicles"] if part["sysid"] == flight["sysid"])
            assert len(points) > 20
            assert max(point[2] for point in points) == pytest.approx(HOME[2] + 45, abs=12)
            assert part["path_m"] * 0.8 < flight["path_m"] < part["path_m"] + 600
            assert track["properties"]["utc_s"] == sorted(track["properties"]["utc_s"])
            summary = await summed_up(http, flight["id"])
            assert summary["distance_m"] == pytest.approx(flight["path_m"], rel=0.1)
            assert summary["most_relative_m"] == pytest.approx(45, abs=8), "40 m, and on the way out up to 10 m more"
            assert summary["resistance"]["ohm"] == pytest.approx(0.03, rel=0.03), "that of the simulated battery"
            assert summary["vibration_m_s2"] > 0
            assert summary["ekf_ratio"] > 0
        assert (await vehicle(http, 1))["mission"]["id"] is None


@pytest.mark.slow
async def test_commands_reach_the_one_vehicle_and_abort_brings_it_home(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    for sysid in (1, 2):
        simulated(udp_port(settings), sysid)
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1, 2)
        mission_id = await approved(http, 1)
        await http.post(f"/missions/{mission_id}/launch", json={})

        async def high() -> bool:
            return ((await vehicle(http, 1))["relative_altitude_m"] or 0) > 20

        await until(high)
        answer = await http.post("/vehicles/1/commands", json={"command": "hold"})
        assert answer.json()["state"] == "accepted", answer.text
        assert (await vehicle(http, 2))["mode"] != (await vehicle(http, 1))["mode"]
        assert (await http.post("/vehicles/1/commands", json={"command": "resume"})).json()["state"] == "accepted"
        busy = await http.post(f"/missions/{await approved(http, 1)}/launch", json={})
        assert busy.status_code == 409
        assert mission_id in busy.json()["detail"]
        aborted = await http.post(f"/missions/{mission_id}/abort", json={})
        assert (aborted.status_code, aborted.json()["state"]) == (200, "aborted")

        async def landed() -> bool:
            return bool((await http.get("/flights")).json()[0]["stage"] == "aborted")

        await until(landed, timeout_s=120)
        assert (await vehicle(http, 1))["armed"] is False
        assert (await vehicle(http, 2))["state"] == "ready"


@pytest.mark.slow
async def test_a_restart_goes_on_watching_a_flight_and_touches_nothing(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path)
    flown = simulated(udp_port(settings), 1)
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1)
        mission_id = await approved(http, 1)
        await http.post(f"/missions/{mission_id}/launch", json={})
        await ended(http, mission_id, "flying")
    stopped_utc_s = time.time()
    mode = flown.pilot.mode
    await asyncio.sleep(0.5)
    assert flown.pilot.mode == mode
    async with running(settings) as house:
        http = await house.client()
        mission = await ended(http, mission_id, "done", "failed", "aborted")
        assert (mission["state"], mission["reason"]) == ("done", None)
        assert len((await http.get("/flights")).json()) == 1
        events = [event["event"] for event in mission["history"]]
        assert (events.count("uploaded"), events.count("adopted")) == (1, 1)
        flight = (await http.get("/flights")).json()[0]["id"]
        rows = list(read_recording(settings.data / "recordings" / f"{flight}.tlog"))
        ours = [(utc_s, decode(frame)) for utc_s, frame in rows if frame.sysid == settings.fleet.gcs_sysid]
        assert max(utc_s for utc_s, _ in ours) > stopped_utc_s
        after = [message for utc_s, message in ours if utc_s > stopped_utc_s]
        assert not {"MISSION_COUNT", "MISSION_ITEM_INT", "SET_MODE"} & {message.get_type() for message in after}
        moving = {mavlink.MAV_CMD_COMPONENT_ARM_DISARM, mavlink.MAV_CMD_DO_SET_MODE, mavlink.MAV_CMD_MISSION_START}
        assert not moving & {message.command for message in after if message.get_type() == "COMMAND_LONG"}


async def test_a_vehicle_that_is_not_there_fails_the_launch_and_moves_nothing(
    tmp_path: Path, simulated: Simulated
) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    simulated(udp_port(settings), 1)
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1)
        mission_id = await approved(http, 1, 2)
        answer = await http.post(f"/missions/{mission_id}/launch", json={})
        assert answer.status_code == 409
        assert "vehicle 2 is unknown" in answer.json()["detail"]
        assert (await vehicle(http, 1))["armed"] is False
        assert (await http.get(f"/missions/{mission_id}")).json()["state"] == "approved"


async def test_a_confirmed_incident_reaches_the_city_once(tmp_path: Path) -> None:
    receiver = Receiver("dispatch", refuse_first=2)
    listener = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(receivers_app({"dispatch": receiver}, secret=SECRET), log_level="warning", lifespan="off")
    city = uvicorn.Server(config)
    city.capture_signals = contextlib.nullcontext  # type: ignore[method-assign,assignment]
    serving = asyncio.create_task(city.serve(sockets=[listener]))
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/dispatch"
    sink = SinkSettings(name="dispatch", kind="webhook", options={"url": url, "secret": SECRET})
    settings = make_settings(tmp_path, sinks=(sink,), routes={"default": ("dispatch",)})
    try:
        async with running(settings) as house:
            http = await house.client()
            incidents = incidents_of(house.service)
            incident = await incidents.observe(look(picture=b"\xff\xd8jpeg", sysid=1))
            picture = await http.get(f"/incidents/{incident.id}/picture.jpg")
            assert (picture.content, picture.headers["content-type"]) == (b"\xff\xd8jpeg", "image/jpeg")
            answer = await http.post(f"/incidents/{incident.id}/confirm", json={"note": "seen"})
            assert answer.status_code == 200, answer.text

            async def dispatched() -> bool:
                feature = (await http.get(f"/incidents/{incident.id}")).json()
                return bool(feature["properties"]["state"] == "dispatched")

            await until(dispatched, timeout_s=30)
            (row,) = (await http.get("/handoffs")).json()
            assert (row["state"], row["attempts"]) == ("delivered", 3)
            assert row["receipt"]["receiver"] == "dispatch"
            assert [taken.handoff_id for taken in receiver.arrivals] == [f"{incident.id}:2:dispatch"]
    finally:
        city.should_exit = True
        await serving


def incidents_of(service: Service) -> Incidents:
    """The incidents of a running service, as perception has them."""
    assert service.rooms is not None
    return service.rooms.incidents


async def test_the_live_feed_begins_with_everything_and_goes_on_with_changes(
    tmp_path: Path, simulated: Simulated
) -> None:
    settings = make_settings(tmp_path)
    simulated(udp_port(settings), 1)
    async with running(settings) as house:
        http = await house.client()
        headers = {"Authorization": http.headers["authorization"]}
        address = house.url.replace("http", "ws") + "/api/v1/live"
        async with websockets.connect(address, additional_headers=headers) as feed:
            snapshot = json.loads(await feed.recv())
            assert snapshot["type"] == "snapshot"
            assert [feature["id"] for feature in snapshot["vehicles"]["features"]] == [1]
            await incidents_of(house.service).observe(look())
            await http.post("/missions", json={"name": "a", "request": survey(1)})
            seen: set[str] = set()
            times: list[float] = []
            async with asyncio.timeout(30):
                while len(times) < 10 or not {"incident", "mission"} <= seen:
                    message = json.loads(await feed.recv())
                    seen.add(message["type"])
                    if message["type"] == "vehicle":
                        times.append(time.monotonic())
        assert (len(times) - 1) / (times[-1] - times[0]) < 6.0
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(address)
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(address, additional_headers={**cookie(headers), "Origin": "http://elsewhere"})
        async with websockets.connect(address, additional_headers={**cookie(headers), "Origin": house.url}):
            pass


def cookie(headers: dict[str, str]) -> dict[str, str]:
    return {"Cookie": f"mc_session={headers['Authorization'].removeprefix('Bearer ')}"}


async def test_video_reaches_who_watches(tmp_path: Path) -> None:
    async with running(make_settings(tmp_path)) as house:
        http = await house.client()
        assert house.service.rooms is not None
        videos = house.service.rooms.videos
        headers = {"Authorization": http.headers["authorization"]}
        address = house.url.replace("http", "ws") + "/api/v1/video/1"
        async with websockets.connect(address, additional_headers=headers) as feed:
            message = await asyncio.wait_for(feed.recv(), 10)
            assert isinstance(message, bytes)
            assert msgspec.json.decode(message[4:])["state"] == "no_video"
            videos.publish(1, {"utc_s": 1.0, "state": "live"}, b"picture")
            message = await asyncio.wait_for(feed.recv(), 10)
            assert isinstance(message, bytes)
            assert message.endswith(b"picture")


async def test_stopping_ends_open_connections_soon(tmp_path: Path) -> None:
    async with running(make_settings(tmp_path)) as house:
        http = await house.client()
        headers = {"Authorization": http.headers["authorization"]}
        address = house.url.replace("http", "ws") + "/api/v1/live"
        async with websockets.connect(address, additional_headers=headers) as feed:
            await feed.recv()
            began_s = time.monotonic()
            await house.stop()
            assert time.monotonic() - began_s < 4.0


async def test_a_part_that_breaks_takes_the_service_down_with_its_error(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        await _run_until_a_part_breaks(tmp_path)
    assert [str(error) for error in caught.value.exceptions] == ["a bug in perception"]


async def _run_until_a_part_breaks(folder: Path) -> None:
    async def fail() -> None:
        raise ZeroDivisionError("a bug in perception")

    async with running(make_settings(folder)) as house:
        house.service._start(fail(), "perception")
        await asyncio.wait({house.task}, timeout=10)
        assert house.task.done()
        with pytest.raises(httpx.ConnectError):
            await asyncio.to_thread(httpx.get, f"{house.url}/health", timeout=2)


async def test_a_first_start_makes_up_a_password_and_tells_it_once(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, administrator=AdministratorSettings(name="boss"))
    async with running(settings) as house:
        ((name, password),) = house.passwords
        await house.client(name, password)
    async with running(settings) as house:
        assert house.passwords == []
        await house.client(name, password)


async def test_a_start_that_fails_makes_nobody_whose_password_was_never_told(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, administrator=AdministratorSettings(), perception=PerceptionSettings())
    seeing = msgspec.structs.replace(settings.vehicles[0], video="udp://127.0.0.1:5600")
    with pytest.raises(SettingsInvalid, match=r"terrain\.dem: is needed"):
        async with running(msgspec.structs.replace(settings, vehicles=(seeing,))):
            pass
    async with running(settings) as house:
        ((name, password),) = house.passwords
        await house.client(name, password)


async def test_a_receiver_that_no_route_leads_to_is_warned_of_at_the_start(tmp_path: Path) -> None:
    options = {"url": "http://127.0.0.1:9/", "secret": SECRET}
    sinks = tuple(SinkSettings(name=name, kind="webhook", options=options) for name in ("used", "idle"))
    with structlog.testing.capture_logs() as logged:
        async with running(make_settings(tmp_path, sinks=sinks, routes={"fire": ("used",)})):
            pass
    assert [entry["sink"] for entry in logged if "no route" in entry["event"]] == ["idle"]


async def test_what_cannot_work_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(AdapterUnknown, match="sinks: x: no adapter 'carrier-pigeon'"):
        async with running(make_settings(tmp_path, sinks=(SinkSettings(name="x", kind="carrier-pigeon"),))):
            pass
    options = {"url": "http://127.0.0.1:9/", "secret": "whsec_"}
    sink = SinkSettings(name="x", kind="webhook", options=options)
    with pytest.raises(SettingsInvalid, match="sinks: x: options of webhook: secret: is empty"):
        async with running(make_settings(tmp_path, sinks=(sink,))):
            pass
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SettingsInvalid, match=f"cannot listen at 127.0.0.1 port {port}"):
            async with running(make_settings(tmp_path, http=HttpSettings(port=port))):
                pass


@pytest.mark.slow
def test_sigterm_ends_the_process_cleanly(tmp_path: Path) -> None:
    environ = {
        **os.environ,
        "MC__DATA": str(tmp_path / "var"),
        "MC__HTTP__PORT": "0",
        "MC__FLEET__LINKS": '["udpin:127.0.0.1:0"]',
        "MC__PERCEPTION__ENABLED": "false",
    }
    settings = make_settings(tmp_path)
    environ["MC__FLEET__LINKS"] = json.dumps(list(settings.fleet.links))
    process = subprocess.Popen(
        [sys.executable, "-c", "from missioncontrol.cli import main; main()", "serve"],
        env=environ,
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        lines = []
        for line in process.stderr:
            lines.append(line.decode())
            if "answers at" in lines[-1]:
                break
        else:
            pytest.fail("".join(lines))
        assert any("first start: log in as administrator with the password" in text for text in lines)
        url = lines[-1].rpartition(" ")[2].strip()
        assert httpx.get(f"{url}/health", timeout=20).json()["status"] == "ok"
        began_s = time.monotonic()
        process.send_signal(signal.SIGTERM)
        output, _ = process.communicate(timeout=15)
        assert process.returncode == 0
        assert time.monotonic() - began_s < 5.0
        assert output == b""
    finally:
        process.kill()
        process.communicate()


@pytest.mark.slow
async def test_an_abort_at_any_moment_of_a_launch_ends_with_everything_on_the_ground(
    tmp_path: Path, simulated: Simulated
) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    for sysid in (1, 2):
        simulated(udp_port(settings), sysid)
    async with running(settings) as house:
        http = await house.client()
        for wait_s in (0.0, 0.2, 0.6):
            await ready(http, 1, 2)
            mission_id = await approved(http, 1, 2)
            await http.post(f"/missions/{mission_id}/launch", json={})
            await asyncio.sleep(wait_s)
            answer = await http.post(f"/missions/{mission_id}/abort", json={})
            assert answer.json()["state"] == "aborted", answer.text

            async def over(number: str = mission_id) -> bool:
                parts = (await http.get(f"/missions/{number}")).json()["progress"]
                return all(part["stage"] in ("aborted", "failed") for part in parts)

            await until(over, timeout_s=120)
            assert [(await vehicle(http, sysid))["armed"] for sysid in (1, 2)] == [False, False]
            assert (await http.get(f"/missions/{mission_id}")).json()["state"] == "aborted"
        assert not house.task.done()
