"""The HTTP interface: who may what, how it refuses, and what a browser is told."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import fields
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import msgspec
import numpy as np
import pytest
import rasterio
from PIL import Image

from missioncontrol.api import pages
from missioncontrol.api.app import Rooms
from missioncontrol.api.incidents import Confirmation, Rejection
from missioncontrol.api.missions import Replan
from missioncontrol.incident_settings import HandoffSettings, SinkSettings
from missioncontrol.map_settings import CitySettings, LayerSettings
from missioncontrol.missions import NewMission
from missioncontrol.orders import Goto, Orders
from missioncontrol.people import LogIn, NewPerson
from missioncontrol.requests import SurveyRequest
from missioncontrol.settings import StoreSettings
from tests.missioncontrol.conftest import HOME, PASSWORD, Running, make_settings, running, until
from tests.missioncontrol.test_incidents import look
from tests.missioncontrol.test_patterns import LAT, REQUESTS
from tests.missioncontrol.test_service import incidents_of, survey

CSRF = {"X-Requested-With": "missioncontrol"}


def write_orthophoto(path: Path) -> Path:
    bands = np.full((3, 64, 64), 200, np.uint8)
    bands[0, :, :32] = 10
    transform = rasterio.Affine(0.01 / 64, 0, 76.94, 0, -0.01 / 64, 43.21)
    profile = {"driver": "GTiff", "width": 64, "height": 64, "count": 3, "dtype": "uint8", "crs": "EPSG:4326"}
    with rasterio.open(path, "w", transform=transform, **profile) as raster:
        raster.write(bands)
    return path


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Running]:
    parcels = tmp_path / "cadastre.geojson"
    square = {"type": "Polygon", "coordinates": [[[76.9, 43.2], [76.91, 43.2], [76.91, 43.21], [76.9, 43.2]]]}
    feature = {"type": "Feature", "geometry": square, "properties": {"id": "20-315"}}
    parcels.write_bytes(msgspec.json.encode({"type": "FeatureCollection", "features": [feature]}))
    layer = LayerSettings(name="orthophoto", title="Orthophoto", path=write_orthophoto(tmp_path / "ortho.tif"))
    settings = make_settings(tmp_path, layers=(layer,), city=CitySettings(cadastre=parcels))
    async with running(settings) as opened:
        yield opened


async def new_person(house: Running, name: str, *roles: str) -> httpx.AsyncClient:
    administrator = await house.client()
    body = {"name": name, "password": PASSWORD, "roles": roles, "language": "kk"}
    answer = await administrator.post("/people", json=body)
    assert answer.status_code == 201, answer.text
    assert "password" not in answer.text
    return await house.client(name)


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    found: dict[str, Any] = answer.json()
    assert found["status"] == status
    assert {"type", "title", "detail"} <= found.keys()
    return found


async def test_nothing_is_told_to_strangers(house: Running) -> None:
    stranger = httpx.AsyncClient(base_url=house.url)
    async with stranger:
        schema = (await stranger.get("/schema/openapi.json")).json()
        asked = 0
        for path, operations in schema["paths"].items():
            if not path.startswith(("/api/v1", "/tiles")) or path == "/api/v1/session":
                continue
            for method in operations.keys() & {"get", "post", "delete"}:
                concrete = re.sub(r"\{[^}]*\}", "1", path)
                answer = await stranger.request(method, concrete, json={} if method == "post" else None)
                assert problem(answer, 401)["type"] == "urn:missioncontrol:error:not-authenticated", path
                asked += 1
        assert asked > 25
        problem(await stranger.get("/api/v1/session"), 401)
        problem(await stranger.get("/api/v1/vehicles", headers={"authorization": "Bearer nonsense"}), 401)
        assert (await stranger.get("/health")).json()["status"] == "ok"


async def test_a_browser_logs_in_by_cookie_and_out_again(house: Running) -> None:
    async with httpx.AsyncClient(base_url=f"{house.url}/api/v1") as browser:
        answer = await browser.post("/session", json={"name": "administrator", "password": PASSWORD})
        assert answer.status_code == 201
        said = answer.headers["set-cookie"]
        assert "HttpOnly" in said
        assert "SameSite=strict" in said
        me = (await browser.get("/session")).json()
        assert me == {"name": "administrator", "roles": ["operator", "inspector", "administrator"], "language": "en"}
        assert "token" not in me
        refused = problem(await browser.delete("/session"), 403)
        assert "X-Requested-With" in refused["detail"]
        assert (await browser.delete("/session", headers=CSRF)).status_code == 204
        token = answer.json()["token"]
        problem(await browser.get("/session", headers={"authorization": f"Bearer {token}"}), 401)


async def test_a_page_elsewhere_cannot_act_with_somebodys_cookie(house: Running) -> None:
    async with httpx.AsyncClient(base_url=f"{house.url}/api/v1") as browser:
        await browser.post("/session", json={"name": "administrator", "password": PASSWORD})
        body = {"name": "intruder", "password": PASSWORD, "roles": ["administrator"]}
        problem(await browser.post("/people", json=body), 403)
        assert [person["name"] for person in (await browser.get("/people")).json()] == ["administrator"]
        assert (await browser.post("/people", json=body, headers=CSRF)).status_code == 201


async def test_people_are_changed_and_removed_by_administrators_and_change_their_own_password(house: Running) -> None:
    operator = await new_person(house, "o", "operator")
    problem(await operator.patch("/people/o", json={"roles": ["administrator"]}), 403)
    problem(await operator.put("/session/password", json={"old": "wrong", "new": "a new password"}), 401)
    changed = await operator.put("/session/password", json={"old": PASSWORD, "new": "a new password"})
    assert changed.status_code == 204
    problem(await operator.get("/session"), 401)
    administrator = await house.client()
    answer = await administrator.patch("/people/o", json={"language": "kk"})
    assert (answer.status_code, answer.json()["language"]) == (200, "kk")
    assert (await administrator.delete("/people/o")).status_code == 204
    problem(await administrator.delete("/people/o"), 404)
    problem(await administrator.delete("/people/administrator"), 409)


async def test_each_role_may_do_its_own_and_no_more(house: Running) -> None:
    operator = await new_person(house, "o", "operator")
    inspector = await new_person(house, "i", "inspector")
    administrator = await new_person(house, "a", "administrator")
    incident = await incidents_of(house.service).observe(look())
    mission = (await operator.post("/missions", json={"name": "m", "request": survey(1)})).json()
    steps = f"/missions/{mission['id']}"
    for http, path, body in (
        (inspector, "/missions", {"name": "m", "request": survey(1)}),
        (inspector, "/plans", survey(1)),
        (operator, f"{steps}/approve", {}),
        (inspector, f"{steps}/approve", {}),
        (inspector, f"{steps}/launch", {}),
        (administrator, f"{steps}/launch", {}),
        (inspector, f"{steps}/abort", {}),
        (inspector, "/vehicles/1/commands", {"command": "rtl"}),
        (administrator, "/vehicles/1/commands", {"command": "rtl"}),
        (operator, f"/incidents/{incident.id}/confirm", {}),
        (administrator, f"/incidents/{incident.id}/reject", {"reason": "x"}),
        (operator, "/people", {"name": "n", "password": PASSWORD, "roles": ["administrator"]}),
    ):
        assert "is not" in problem(await http.post(path, json=body), 403)["detail"]
    problem(await operator.get("/people"), 403)
    for path in ("/missions", "/vehicles", "/incidents", "/flights", "/handoffs", "/cameras", "/layers"):
        assert (await inspector.get(path)).status_code == 200
    assert (await operator.post(f"{steps}/plan")).json()["state"] == "planned"
    assert (await administrator.post(f"{steps}/approve")).json()["state"] == "approved"
    confirmed = await inspector.post(f"/incidents/{incident.id}/confirm", json={"note": "so it is"})
    assert confirmed.json()["properties"]["state"] == "confirmed"
    again = problem(await inspector.post(f"/incidents/{incident.id}/reject", json={"reason": "no"}), 409)
    assert again["detail"] == f"incident {incident.id} is confirmed; it cannot become rejected"


BOW_TIE = [[76.94, 43.2], [76.95, 43.21], [76.95, 43.2], [76.94, 43.21], [76.94, 43.2]]


async def test_inspectors_and_administrators_may_have_dead_letters_tried_again(tmp_path: Path) -> None:
    options = {"url": "http://127.0.0.1:9/", "secret": "whsec_YQ=="}
    sink = SinkSettings(name="city", kind="webhook", options=options)
    settings = make_settings(
        tmp_path, sinks=(sink,), routes={"default": ("city",)}, handoffs=HandoffSettings(give_up_after_s=0.001)
    )
    async with running(settings) as house:
        operator = await new_person(house, "o", "operator")
        inspector = await new_person(house, "i", "inspector")
        incident = await incidents_of(house.service).observe(look())
        await inspector.post(f"/incidents/{incident.id}/confirm", json={})

        async def dead() -> Any:
            (row,) = (await inspector.get("/handoffs")).json()
            return row["state"] == "dead" and row

        row = await until(dead)
        problem(await operator.post(f"/handoffs/{row['id']}/retry"), 403)
        problem(await inspector.post("/handoffs/nothing/retry"), 404)
        for client in (inspector, await house.client()):
            answer = await client.post(f"/handoffs/{row['id']}/retry")
            assert (answer.status_code, answer.json()["state"]) == (200, "pending"), answer.text
            assert (await until(dead))["attempts"] > row["attempts"]


@pytest.mark.parametrize(
    ("change", "status", "words"),
    [
        ({"area": {"type": "Polygon", "coordinates": [BOW_TIE]}}, 422, ["area"]),
        ({"area": {"type": "Polygon", "coordinates": []}}, 422, ["area"]),
        ({"camera": "kodak"}, 422, ["kodak", "cameras"]),
        ({"gsd_cm": 3}, 422, ["gsd_cm, height_m"]),
        ({"height_m": -3}, 400, ["height_m"]),
        ({"front_overlap": 100}, 400, ["front_overlap"]),
        ({"vehicles": []}, 400, ["vehicles"]),
        ({"vehicles": [9]}, 404, ["sysid 9", "not registered"]),
        ({"colour": "red"}, 400, ["colour"]),
    ],
)
async def test_a_survey_that_cannot_be_flown_is_refused_with_its_reason(
    house: Running, change: dict[str, Any], status: int, words: list[str]
) -> None:
    http = await house.client()
    detail = problem(await http.post("/plans", json={**survey(1), **change}), status)["detail"]
    for word in words:
        assert word in detail
    assert (await http.get("/missions")).json() == []


async def test_a_plan_is_shown_before_anything_is_kept(house: Running) -> None:
    http = await house.client()
    answer = await http.post("/plans", json=survey(1))
    assert answer.status_code == 200, answer.text
    plan = answer.json()
    assert len(plan["hash"]) == 64
    assert plan["photos"] > 5
    (part,) = plan["vehicles"]
    assert part["path"]["geometry"]["type"] == "LineString"
    assert isinstance(part["items"], int)
    assert (await http.get("/missions")).json() == []


def moved(tree: Any) -> Any:
    """A request with its places near the vehicles' home."""
    if isinstance(tree, dict):
        return {key: moved(value) for key, value in tree.items()}
    if isinstance(tree, list) and len(tree) == 2 and isinstance(tree[0], float):
        return [tree[0], tree[1] + HOME[1] - LAT + 0.001]
    return [moved(part) for part in tree] if isinstance(tree, list) else tree


async def test_every_pattern_is_planned_over_http_and_kept_as_a_mission(house: Running) -> None:
    http = await house.client()
    for name, shape in REQUESTS.items():
        body = {"kind": name, "camera": "sim-wide", "height_m": 50.0, "vehicles": [1], **moved(shape)}
        answer = await http.post("/plans", json=body)
        assert answer.status_code == 200, f"{name}: {answer.text}"
        assert answer.json()["vehicles"][0]["items"] > 5, name
    mission = (await http.post("/missions", json={"name": "look", "request": body})).json()
    assert mission["request"]["kind"] == "look"
    planned = (await http.post(f"/missions/{mission['id']}/plan", json={})).json()
    assert planned["plan"]["vehicles"][0]["return_height_m"] > 0
    detail = problem(await http.post("/plans", json={**body, "kind": "circle"}), 400)["detail"]
    assert "circle" in detail
    far = {**body, "place": {"type": "Point", "coordinates": [77.9, 43.2]}}
    assert "cannot reach" in problem(await http.post("/plans", json=far), 422)["detail"]
    swapped = {**body, "place": {"type": "Point", "coordinates": [43.2, 76.9]}}
    assert "swapped" in problem(await http.post("/plans", json=swapped), 422)["detail"]


KML = """<kml xmlns="http://www.opengis.net/kml/2.2"><Placemark><name>canal</name><LineString><coordinates>
76.94,43.20 76.95,43.21</coordinates></LineString></Placemark></kml>"""


async def test_shapes_come_out_of_peoples_files(house: Running) -> None:
    http = await house.client()
    answer = await http.post("/features", params={"name": "canal.kml"}, content=KML.encode())
    assert answer.status_code == 200, answer.text
    (feature,) = answer.json()["features"]
    assert feature["geometry"] == {"type": "LineString", "coordinates": [[76.94, 43.2], [76.95, 43.21]]}
    assert feature["properties"]["name"] == "canal"
    hostile = '<!DOCTYPE kml [<!ENTITY a "b">]>' + KML.replace("canal", "&a;")
    answer = await http.post("/features", params={"name": "bad.kml"}, content=hostile.encode())
    assert answer.status_code == 422
    assert "bad.kml" in answer.json()["detail"]


async def test_garbage_is_refused_and_names_what_is_wrong(house: Running) -> None:
    http = await house.client()
    problem(await http.post("/missions", content=b"{", headers={"content-type": "application/json"}), 400)
    assert "name" in problem(await http.post("/missions", json={"request": survey(1)}), 400)["detail"]
    problem(await http.get("/missions/nothing"), 404)
    problem(await http.get("/flights/nothing/track"), 404)
    problem(await http.get("/vehicles/99/track"), 404)
    problem(await http.get("/incidents/nothing/picture.jpg"), 404)
    assert "limit" in problem(await http.get("/incidents?limit=0"), 400)["detail"]
    assert "west,south,east,north" in problem(await http.get("/incidents?bbox=1,2,3"), 422)["detail"]
    detail = problem(await http.post("/vehicles/1/commands", json={"command": "goto", "lon": 1.0}), 400)["detail"]
    assert "missing required field" in detail
    assert "item" in problem(await http.post("/vehicles/1/commands", json={"command": "jump"}), 400)["detail"]
    problem(await http.get("/nothing"), 404)


async def test_a_vehicle_that_was_never_heard_is_not_commanded(house: Running) -> None:
    http = await house.client()
    answer = await http.post("/vehicles/1/commands", json={"command": "rtl"})
    assert "no heartbeat" in problem(answer, 404)["detail"]
    assert "not registered" in problem(await http.post("/vehicles/2/commands", json={"command": "rtl"}), 404)["detail"]


async def test_log_ins_are_throttled_and_say_how_long(house: Running) -> None:
    async with httpx.AsyncClient(base_url=f"{house.url}/api/v1") as http:
        for _ in range(8):
            problem(await http.post("/session", json={"name": "administrator", "password": "guess"}), 401)
        answer = await http.post("/session", json={"name": "administrator", "password": PASSWORD})
        assert "try again in" in problem(answer, 429)["detail"]
        assert 250 < int(answer.headers["retry-after"]) <= 300


async def test_incidents_are_filtered_by_the_query(house: Running) -> None:
    http = await house.client()
    incidents = incidents_of(house.service)
    dump = await incidents.observe(look())
    fire = await incidents.observe(look(800.0, kind="fire"))
    await http.post(f"/incidents/{fire.id}/reject", json={"reason": "a barbecue"})

    async def found(query: str) -> list[str]:
        answer = (await http.get(f"/incidents{query}")).json()
        assert answer["type"] == "FeatureCollection"
        return [feature["id"] for feature in answer["features"]]

    assert set(await found("")) == {dump.id, fire.id}
    assert await found("?kind=fire") == [fire.id]
    assert await found("?state=rejected") == [fire.id]
    assert await found("?bbox=76.944,43.204,76.946,43.206") == [dump.id]


async def test_the_map_has_its_tiles_and_the_city(house: Running) -> None:
    http = await house.client()
    (layer,) = (await http.get("/layers")).json()
    assert layer["bounds"] == pytest.approx([76.94, 43.20, 76.95, 43.21], abs=1e-6)
    zoom = 14
    x = int((76.945 + 180) / 360 * 2**zoom)
    latitude = np.radians(43.205)
    y = int((1 - np.log(np.tan(latitude) + 1 / np.cos(latitude)) / np.pi) / 2 * 2**zoom)
    path = layer["tiles"].replace("{z}", str(zoom)).replace("{x}", str(x)).replace("{y}", str(y))
    for address in (f"{house.url}{path}", f"{house.url}/api/v1{path}"):
        answer = await http.get(address)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
        picture = np.asarray(Image.open(BytesIO(answer.content)).convert("RGBA"))
        assert picture.shape == (256, 256, 4)
        assert {int(value) for value in np.unique(picture[picture[..., 3] == 255][:, 0])} >= {10, 200}
    problem(await http.get(f"{house.url}/tiles/nothing/1/1/1.png"), 404)
    problem(await http.get(f"{house.url}/tiles/orthophoto/1/9/9.png"), 404)
    problem(await http.get(f"{house.url}/tiles/orthophoto/1/1/1.tif"), 404)
    parcels = (await http.get("/city/parcels")).json()
    assert parcels["features"][0]["properties"]["id"] == "20-315"
    assert (await http.get("/city/buildings")).json()["features"] == []
    problem(await http.get("/city/people"), 404)
    assert "sim-wide" in [camera["slug"] for camera in (await http.get("/cameras")).json()]


async def test_every_answer_keeps_browsers_to_our_own_things(house: Running) -> None:
    http = await house.client()
    for path in ("/", "/health", "/schema", "/api/v1/vehicles", "/api/v1/missions/nothing", "/nothing.js"):
        answer = await http.get(f"{house.url}{path}")
        assert "default-src 'self'" in answer.headers["content-security-policy"], path
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "DENY"
        assert "server" not in answer.headers


async def test_the_api_page_loads_nothing_from_elsewhere(house: Running) -> None:
    async with httpx.AsyncClient(base_url=house.url) as http:
        page = (await http.get("/schema")).text
        assert "/api/v1/incidents/{incident_id}/confirm" in page
        assert "http" not in re.sub(r"HTTP", "", page)
        assert "<script" not in page
        schema = (await http.get("/schema/openapi.json")).json()
        assert schema["openapi"].startswith("3.")
        assert "/api/v1/missions/{mission_id}/launch" in schema["paths"]


async def test_the_interface_says_what_each_request_and_field_is(house: Running) -> None:
    async with httpx.AsyncClient(base_url=house.url) as http:
        assert "Approve exactly the present plan." in (await http.get("/schema")).text
        schema = (await http.get("/schema/openapi.json")).json()
    operations = [operation for path in schema["paths"].values() for operation in path.values()]
    assert [operation["operationId"] for operation in operations if not operation.get("description")] == []
    survey = schema["components"]["schemas"]["SurveyRequest"]["properties"]
    assert survey["crosshatch"]["description"] == "Covered a second time, across."
    assert survey["gsd_cm"]["description"] == "Ground sample distance wanted, cm per pixel."


async def test_what_was_wrong_about_a_request_is_said(house: Running) -> None:
    http = await house.client()
    unknown = problem(await http.get("/nothing/here"), 404)["detail"]
    assert unknown.startswith("GET /api/v1/nothing/here: there is no such request")
    cut = await http.post("/people", content=b'{"name": "x"', headers={"content-type": "application/json"})
    assert problem(cut, 400)["detail"].startswith("the body cannot be read as JSON: ")
    assert problem(cut, 400)["title"] == "Body unreadable"
    wrong = problem(await http.post("/vehicles/1/commands", json={"command": "fly"}), 400)["detail"]
    assert wrong.startswith("command: Invalid value 'fly'; /schema/openapi.json lists")


async def test_metrics_tell_of_vehicles_and_handoffs(house: Running) -> None:
    async with httpx.AsyncClient(base_url=house.url) as http:
        text = (await http.get("/metrics")).text
    assert 'missioncontrol_vehicles{state="unknown"} 1.0' in text
    assert 'missioncontrol_handoffs{state="pending"} 0.0' in text


async def test_the_ui_is_served_from_its_folder_and_nothing_above_it(
    house: Running, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dist = tmp_path / "dist"
    (dist / "assets").mkdir(parents=True)
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(pages, "UI", dist)
    async with httpx.AsyncClient(base_url=house.url) as http:
        html = {"accept": "text/html"}
        assert "not built" in (await http.get("/")).text
        (dist / "index.html").write_text("<html>console</html>")
        (dist / "assets" / "main.js").write_text("export {}")
        index = await http.get("/")
        assert (index.text, index.headers["cache-control"]) == ("<html>console</html>", "no-cache")
        assert (await http.get("/missions/42", headers=html)).text == "<html>console</html>"
        script = await http.get("/assets/main.js")
        assert script.headers["content-type"].startswith("text/javascript")
        assert "immutable" in script.headers["cache-control"]
        problem(await http.get("/assets/absent.js", headers=html), 404)
        problem(await http.get("/api/v2/x", headers=html), 404)
        for path in ("/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/assets/..%2f..%2fsecret.txt"):
            answer = await http.get(httpx.URL(house.url + path, raw_path=path.encode()))
            assert answer.status_code == 404, path
            assert answer.text != "secret"


async def test_the_same_on_postgresql(tmp_path: Path, postgresql_url: str) -> None:
    settings = make_settings(tmp_path, store=StoreSettings(url=postgresql_url))
    async with running(settings) as house:
        http = await house.client()
        incident = await incidents_of(house.service).observe(look())
        mission = (await http.post("/missions", json={"name": "m", "request": survey(1)})).json()
        assert (await http.post(f"/missions/{mission['id']}/plan")).json()["state"] == "planned"
        assert (await http.post(f"/incidents/{incident.id}/confirm")).json()["properties"]["state"] == "confirmed"
        assert (await http.get(f"{house.url}/health")).json()["store"] == "postgresql"


def test_no_part_of_the_service_is_named_like_a_field_of_a_body() -> None:
    """Litestar takes an error in a field named like a dependency for our own fault and answers 500."""
    bodies = (LogIn, NewPerson, SurveyRequest, NewMission, Goto, Orders, Confirmation, Rejection, Replan)
    names = {name for body in bodies for name in body.__struct_fields__}
    assert names & {field.name for field in fields(Rooms)} == set()
