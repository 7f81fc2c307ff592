"""The gate before a flight, and what is aboard when one begins: on simulated vehicles, by the API."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from fleet.fences import FencePolygon
from fleet.keys import make_identity
from fleet.remote_id import IdKind, RemoteId
from fleet.telemetry import TelemetryState
from geo.positions import Altitude, Datum, Position
from missioncontrol import preflight as preflight_module
from missioncontrol.fleet_settings import FleetSettings, HealthSettings
from missioncontrol.settings import Settings
from tests.missioncontrol.conftest import HOME, make_settings, running, udp_port
from tests.missioncontrol.recorded import flown
from tests.missioncontrol.test_service import Simulated, approved, ended, ready, summed_up


def changed(settings: Settings, **fleet: Any) -> Settings:
    """The settings with other ones of the fleet."""
    replaced: FleetSettings = msgspec.structs.replace(settings.fleet, **fleet)
    return msgspec.structs.replace(settings, fleet=replaced)


async def launched(http: httpx.AsyncClient, *sysids: int) -> str:
    """Id of a mission that is being launched."""
    await ready(http, *sysids)
    mission_id = await approved(http, *sysids)
    answer = await http.post(f"/missions/{mission_id}/launch", json={})
    assert answer.status_code == 202, answer.text
    return mission_id


async def checks(http: httpx.AsyncClient, mission_id: str) -> dict[str, dict[str, Any]]:
    """The checks of the first vehicle, by name."""
    answer = await http.get(f"/missions/{mission_id}/preflight")
    assert answer.status_code == 200, answer.text
    return {check["name"]: check for check in answer.json()[0]["checks"]}


async def test_a_check_that_fails_keeps_every_vehicle_of_the_mission_on_the_ground(
    tmp_path: Path, simulated: Simulated
) -> None:
    settings = changed(make_settings(tmp_path, sysids=(1, 2)), least_satellites=30)
    vehicles = [simulated(udp_port(settings), sysid) for sysid in (1, 2)]
    async with running(settings) as house:
        http = await house.client()
        mission_id = await launched(http, 1, 2)
        mission = await ended(http, mission_id, "failed")
        assert "satellites, at least 30" in mission["reason"]
        assert "vehicle 1" in mission["reason"]
        assert "vehicle 2" in mission["reason"]
    assert not any(vehicle.pilot.armed for vehicle in vehicles)


async def test_a_check_that_is_set_to_be_skipped_stops_nobody(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path, sysids=(1,))
    settings = changed(settings, least_satellites=30, preflight_skip=("gps.satellites",))
    simulated(udp_port(settings), 1)
    async with running(settings) as house:
        http = await house.client()
        mission_id = await launched(http, 1)
        await ended(http, mission_id, "flying")
        assert (await http.post(f"/missions/{mission_id}/abort", json={})).status_code == 200


def test_it_must_stand_disarmed_on_the_ground_inside_its_fence() -> None:
    ring = ((76.0, 43.0), (76.1, 43.0), (76.1, 43.1), (76.0, 43.1))
    hole = ((76.04, 43.04), (76.06, 43.04), (76.06, 43.06), (76.04, 43.06))
    fence = (FencePolygon(ring=ring), FencePolygon(ring=hole, inclusion=False))

    def at(lon: float, lat: float) -> TelemetryState:
        return TelemetryState(sysid=1, position=Position(lon=lon, lat=lat, altitude=Altitude(700.0, Datum.AMSL)))

    for lon, lat, passed in ((76.01, 43.01, True), (76.11, 43.01, False), (76.01, 42.9, False), (76.05, 43.05, False)):
        (found,) = preflight_module.start_checks(at(lon, lat), fence)
        assert (found.name, found.passed) == ("start", passed), found.text
    assert found.text == "place of the start: 43.050000, 76.050000 deg, outside, inside its fence"
    assert preflight_module.start_checks(TelemetryState(sysid=1), fence)[0].passed is None
    assert preflight_module.start_checks(TelemetryState(sysid=1), ()) == []
    for armed, landed, passed in (
        (False, True, True), (False, None, True), (True, True, False), (False, False, False), (True, False, False),
    ):  # fmt: skip
        ground = preflight_module.ground_check(TelemetryState(sysid=1, armed=armed, landed=landed))
        assert (ground.name, ground.passed) == ("ground", passed), ground.text


async def test_a_fence_of_another_plan_is_found_and_a_start_outside_of_ours(
    tmp_path: Path, simulated: Simulated
) -> None:
    settings = make_settings(tmp_path, sysids=(1,))
    simulated(udp_port(settings), 1)
    async with running(settings) as house:
        rooms, http = house.service.rooms, await house.client()
        assert rooms is not None
        await ready(http, 1)
        plan = await rooms.missions.approved_plan(await approved(http, 1))
        gate = rooms.flights._preflight
        vehicle = gate._fleet.vehicle(1)
        await vehicle.upload_fence(plan.vehicles[0].fence)
        bare = msgspec.structs.replace(plan.vehicles[0], fence=())
        for part, passed in ((plan.vehicles[0], True), (bare, False)):
            found = {each.name: each for each in await gate.everything(plan, part, person="administrator")}
            assert found["fence"].passed is passed, found["fence"].text
            assert found["ground"].passed is True
        assert found["fence"].text == "fence aboard: 1 areas, the 0 areas of the plan"
        await vehicle.upload_fence(())
        found = {each.name: each for each in await gate.everything(plan, bare, person="administrator")}
        assert found["fence"].passed is True
        assert "start" not in found
        far = (FencePolygon(ring=((0.0, 0.0), (0.1, 0.0), (0.1, 0.1))),)
        away = msgspec.structs.replace(bare, fence=far)
        stopping = {each.name for each in gate.last_look(away, person="administrator")}
        assert "start" in stopping


async def test_maintenance_that_is_due_is_a_check_that_fails_until_it_is_done(tmp_path: Path) -> None:
    settings = make_settings(tmp_path, health=HealthSettings(maintenance_hours=0.01))
    async with running(settings) as house:
        rooms, http = house.service.rooms, await house.client()
        assert rooms is not None
        mission_id = await approved(http, 1)
        assert (await checks(http, mission_id))["maintenance"]["passed"] is True
        flight_id = await flown(rooms.store, settings)
        rooms.wellbeing.flight_ended()
        await summed_up(http, flight_id)
        due = (await checks(http, mission_id))["maintenance"]
        assert due["passed"] is False
        assert due["text"].startswith("maintenance: 0.0 h and 0.0 battery cycles since the last, due at 0.01 h")
        await http.post("/vehicles/1/maintenance", json={"note": "gone over"})
        assert (await checks(http, mission_id))["maintenance"]["passed"] is True


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
async def test_fence_lost_link_and_registered_parameters_are_aboard_when_it_flies(
    tmp_path: Path, simulated: Simulated, autopilot: str
) -> None:
    settings = make_settings(tmp_path, sysids=(1,))
    name, wanted = ("RTL_ALT", 2500.0) if autopilot == "ardupilot" else ("RTL_RETURN_ALT", 25.0)
    ours = msgspec.structs.replace(settings.vehicles[0], parameters={name: wanted})
    settings = msgspec.structs.replace(settings, vehicles=(ours,))
    vehicle = simulated(udp_port(settings), 1, autopilot=autopilot)
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1)
        mission_id = await approved(http, 1)
        before = await checks(http, mission_id)
        assert before["fence"]["passed"] is False
        assert before["mission"]["passed"] is None
        assert before["lost_link"]["passed"] is False
        assert name in before["parameters"]["measured"]
        assert before["control"]["passed"] is True
        await http.post(f"/missions/{mission_id}/launch", json={})
        mission = await ended(http, mission_id, "failed")
        assert f"parameters: {name} is" in mission["reason"], "nobody writes a registered parameter unasked"
        assert "lost link" not in mission["reason"]
        assert "fence" not in mission["reason"]
        vehicle.parameters.set(name, wanted)
        again = await launched(http, 1)
        assert (await ended(http, again, "flying", "failed"))["reason"] is None
        mission = (await http.get(f"/missions/{again}")).json()
        assert mission["plan"]["lost_link"] == {"action": "return", "timeout_s": 10.0}
        assert len(mission["plan"]["vehicles"][0]["fence"][0]["ring"]) >= 4
        if autopilot == "ardupilot":
            assert vehicle.parameters["SYSID_MYGCS"] == settings.fleet.gcs_sysid
            assert vehicle.parameters["FENCE_ENABLE"] == 1
        else:
            assert vehicle.parameters["NAV_DLL_ACT"] == 2
        await http.post(f"/missions/{again}/abort", json={})


async def test_orders_to_a_vehicle_in_flight_and_to_several_at_once(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    first, second = (simulated(udp_port(settings), sysid) for sysid in (1, 2))
    async with running(settings) as house:
        http = await house.client()
        mission_id = await launched(http, 1)
        await ended(http, mission_id, "flying")

        async def give(order: dict[str, Any]) -> dict[str, Any]:
            answer = await http.post("/vehicles/1/commands", json=order)
            return dict(answer.json())

        for order in (
            {"command": "change_speed", "speed_m_s": 5},
            {"command": "jump", "item": 4},
            {"command": "look_at", "lon": 76.95, "lat": 43.24, "altitude": {"value_m": 800, "datum": "AMSL"}},
            {"command": "look_ahead"},
            {"command": "gimbal", "pitch_deg": -45},
            {"command": "trigger_camera"},
            {"command": "change_height", "altitude": {"value_m": 35, "datum": "HOME"}},
        ):
            answer = await give(order)
            assert (answer["command"], answer.get("state")) == (order["command"], "accepted"), answer
        assert (await give({"command": "jump", "item": 900}))["detail"].startswith("sysid 1: the mission aboard has")
        assert "no command to orbit" in (
            await give(
                {
                    "command": "orbit", "lon": 76.95, "lat": 43.24, "radius_m": 30, "speed_m_s": 4,
                    "altitude": {"value_m": 30, "datum": "HOME"},
                }
            )
        )["detail"]  # fmt: skip
        both = await http.post("/vehicles/commands", json={"sysids": [1, 2, 9], "order": {"command": "hold"}})
        by_sysid = {answer["sysid"]: answer for answer in both.json()}
        assert by_sysid[1]["state"] == "accepted"
        assert by_sysid[9]["state"] == "failed"
        assert "not registered" in by_sysid[9]["text"]
        assert len(by_sysid) == 3
        asked = await give({"command": "emergency_stop"})
        assert asked["state"] == "asked"
        assert first.pilot.armed, "asking is not doing"
        wrong = await http.post("/vehicles/1/commands", json={"command": "emergency_stop", "confirmation": "0000"})
        assert wrong.status_code == 422
        asked = await give({"command": "emergency_stop"})
        stopped = await give({"command": "emergency_stop", "confirmation": asked["confirmation"]})
        assert stopped["state"] == "accepted"
        assert not first.pilot.armed
        assert not second.pilot.armed
        links = (await http.get("/vehicles/links")).json()
        assert [each["sysid"] for each in links["vehicles"]] == [1, 2]
        assert links["links"][0]["frames_in"] > 100


async def test_the_service_gives_a_vehicle_its_key_and_changes_it(tmp_path: Path, simulated: Simulated) -> None:
    identity = tmp_path / "identity"
    make_identity(identity)
    settings = make_settings(tmp_path, sysids=(1,))
    settings = changed(settings, key_store=tmp_path / "keys", key_identity=identity)
    vehicle = simulated(udp_port(settings), 1, trusted_link=None)
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1)
        refused = await http.post("/vehicles/1/signing", json={})
        assert "trusted_links (none)" in refused.json()["detail"]
    settings = changed(settings, trusted_links=settings.fleet.links)
    async with running(settings) as house:
        http = await house.client()
        await ready(http, 1)
        first = (await http.post("/vehicles/1/signing", json={})).json()
        assert first["signed"] is True
        key = vehicle.radio.signatures.key
        second = (await http.post("/vehicles/1/signing", json={})).json()
        assert second["fingerprint"] != first["fingerprint"]
        assert vehicle.radio.signatures.key not in (key, None)
    async with running(settings) as house:  # the keys are on disk
        http = await house.client()
        await ready(http, 1)
        traffic = (await http.get("/vehicles/links")).json()["vehicles"][0]
        assert traffic["signed"] is True
        assert (await http.post("/vehicles/1/commands", json={"command": "hold"})).json()["state"] in (
            "accepted", "denied",
        )  # fmt: skip


async def test_a_vehicle_flies_by_the_adapter_that_its_settings_name(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path, sysids=(1,))
    ours = msgspec.structs.replace(settings.vehicles[0], adapter="mavsdk")
    settings = msgspec.structs.replace(settings, vehicles=(ours,))
    simulated(udp_port(settings), 1)
    async with running(settings) as house:
        http = await house.client()
        mission_id = await launched(http, 1)
        mission = await ended(http, mission_id, "flying", "failed")
        assert mission["reason"] is None
        answer = (await http.post("/vehicles/1/commands", json={"command": "hold"})).json()
        assert answer["state"] == "accepted", answer
        await http.post(f"/missions/{mission_id}/abort", json={})
        assert (await ended(http, mission_id, "aborted"))["state"] == "aborted"


async def test_with_remote_id_it_flies_only_once_the_transmitter_is_ready(tmp_path: Path, simulated: Simulated) -> None:
    settings = make_settings(tmp_path, sysids=(1, 2))
    place = Position(lon=HOME[0], lat=HOME[1], altitude=Altitude(760.0, Datum.W84))
    known = RemoteId(ua_id="UP.UA001", id_kind=IdKind.REGISTRATION, operator_id="KZ-OP-17", operator_place=place)
    first, second = settings.vehicles
    fleet = msgspec.structs.replace(settings.fleet, preflight_skip=("traffic",))  # the first is still landing
    ours = (msgspec.structs.replace(first, remote_id=known), second)
    settings = msgspec.structs.replace(settings, vehicles=ours, fleet=fleet)
    for sysid in (1, 2):
        simulated(udp_port(settings), sysid, parameters={"DID_ENABLE": 1, "DID_OPTIONS": 1})
    async with running(settings) as house:
        http = await house.client()
        mission_id = await launched(http, 1)
        assert (await ended(http, mission_id, "flying", "failed"))["reason"] is None
        await http.post(f"/missions/{mission_id}/abort", json={})
        mission_id = await launched(http, 2)
        reason = (await ended(http, mission_id, "flying", "failed"))["reason"]
        assert "OpenDroneID" in reason, "a vehicle whose ids were never sent"
