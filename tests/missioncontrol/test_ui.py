"""The browser console, in a real Chromium, against the real service and a simulated vehicle."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import rasterio
import tomli_w
from playwright.sync_api import BrowserContext, Page, Route, WebSocketRoute, expect, sync_playwright

from missioncontrol.evidence import Evidence
from missioncontrol.incidents import Incidents
from missioncontrol.live import pack_frame
from missioncontrol.observations import Observation
from missioncontrol.settings_files import load
from missioncontrol.store import Store
from tests.conftest import free_port
from tests.missioncontrol.recorded import flown

UI = Path(__file__).parents[2] / "missioncontrol" / "ui"
CHROMIUM = Path("/usr/bin/chromium")
FLAGS = [
    *("--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"),
]
LON, LAT, GROUND_AMSL_M = 76.945, 43.205, 900.0
PASSWORD = "correct horse battery"
SPEEDUP = 4.0
AREA = {
    "type": "Polygon",
    "coordinates": [
        [[76.9445, 43.2053], [76.9465, 43.2053], [76.9465, 43.2063], [76.9445, 43.2063], [76.9445, 43.2053]]
    ],
}
REQUEST_WAIT_MS = 30_000
FLIGHT_WAIT_MS = 90_000


def catalogue(language: str) -> dict[str, str]:
    """The texts of a language."""
    texts: dict[str, str] = json.loads((UI / "src" / "i18n" / f"{language}.json").read_text(encoding="utf-8"))
    return texts


def test_three_languages_hold_the_same_texts() -> None:
    """Every text is there in Kazakh, Russian and English, with the same places to fill in."""
    english = catalogue("en")
    for language in ("kk", "ru"):
        other = catalogue(language)
        assert other.keys() == english.keys(), other.keys() ^ english.keys()
        for key, text in other.items():
            assert text.strip(), f"{language}: {key} is empty"
            assert sorted(re.findall(r"{\w+}", text)) == sorted(re.findall(r"{\w+}", english[key])), (language, key)


def test_kazakh_and_russian_are_translated() -> None:
    """Nothing but names, numbers and units is the same in English and in Cyrillic."""
    english = catalogue("en")
    for language in ("kk", "ru"):
        same = {key for key, text in catalogue(language).items() if text == english[key]}
        latin = {key for key in same if re.search(r"[A-Za-z]{4}", re.sub(r"{\w+}|DGPS", "", english[key]))}
        assert latin == set()


@dataclass
class Installation:
    """A running service with one simulated vehicle."""

    url: str
    folder: Path
    service: subprocess.Popen[bytes]
    incidents: dict[str, str] = field(default_factory=dict)
    """Id of the incident put there of each kind."""

    def token(self, name: str) -> str:
        """A session's token."""
        return str(self.ask("POST", "/session", {"name": name, "password": PASSWORD})["token"])

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """JSON of the API, past the browser."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/api/v1{path}", data, headers, method=method)
        with urllib.request.urlopen(request, timeout=20) as answer:
            content = answer.read()
            return json.loads(content) if content else None


def write_rasters(folder: Path) -> None:
    """Flat ground at 900 m AMSL, and a picture of it."""
    size = 240
    transform = rasterio.Affine(0.024 / size, 0, LON - 0.012, 0, -0.018 / size, LAT + 0.009)
    shape = {"width": size, "height": size, "crs": "EPSG:4326", "transform": transform}
    with rasterio.open(folder / "dem.tif", "w", driver="GTiff", count=1, dtype="float32", **shape) as dem:
        dem.write(np.full((1, size, size), GROUND_AMSL_M, np.float32))
    picture = np.random.default_rng(7).integers(60, 120, (3, size, size), dtype=np.uint8)
    with rasterio.open(folder / "orthophoto.tif", "w", driver="GTiff", count=3, dtype="uint8", **shape) as orthophoto:
        orthophoto.write(picture)


def write_settings(folder: Path, http: int, mavlink: int, more: dict[str, Any]) -> Path:
    """The settings file, with more in it."""
    write_rasters(folder)
    for name in ("buildings", "cadastre", "permits"):
        (folder / f"{name}.geojson").write_text('{"type": "FeatureCollection", "features": []}')
    settings = {
        "data": str(folder / "data"),
        "http": {"port": http},
        "fleet": {"links": [f"udpin:127.0.0.1:{mavlink}"]},
        "vehicles": [{"sysid": 1, "name": "alpha", "camera": "sim-wide"}],
        "terrain": {"dem": str(folder / "dem.tif")},
        "city": {name: str(folder / f"{name}.geojson") for name in ("buildings", "cadastre", "permits")},
        "layers": [{"name": "orthophoto", "title": "Orthophoto", "path": str(folder / "orthophoto.tif")}],
        "perception": {"enabled": False},
        "administrator": {"name": "chief", "password": PASSWORD},
        **more,
    }
    path = folder / "missioncontrol.toml"
    path.write_text(tomli_w.dumps(settings))
    return path


async def put_incidents(settings_file: Path) -> dict[str, str]:
    """Incidents as perception writes them, before the service starts; ids by kind."""
    settings = load(settings_file)
    settings.data.mkdir(exist_ok=True)
    _, jpeg = cv2.imencode(".jpg", np.full((240, 320, 3), (60, 90, 110), np.uint8))
    ids = {}
    async with Store(settings.store_url()) as store:
        incidents = Incidents(
            store,
            settings,
            Evidence(settings.data / "evidence"),
            time.time,
            on_change=lambda _: None,
            on_handoff=lambda: None,
        )
        for kind, east_deg in (("dump", 0.001), ("flooding", 0.004), ("fire", -0.003)):
            observation = Observation(
                kind=kind,
                lon=LON + east_deg,
                lat=LAT,
                altitude_amsl_m=GROUND_AMSL_M,
                covariance_m2=((4.0, 1.0), (1.0, 2.0)),
                score=0.87,
                utc_s=time.time(),
                sysid=1,
                picture=jpeg.tobytes(),
            )
            ids[kind] = (await incidents.observe(observation)).id
    return ids


@contextmanager
def running(log: Path, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    """`missioncontrol` with arguments, ended on leaving."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            [str(Path(sys.executable).parent / "missioncontrol"), *arguments],
            stdout=output,
            stderr=output,
            cwd=log.parent,
        )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def until_answering(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    """Wait for the service to answer."""
    deadline = time.monotonic() + 240
    while True:
        try:
            with urllib.request.urlopen(f"{url}/health", timeout=2):
                return
        except (urllib.error.URLError, OSError):
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start: {log.read_text()[-2000:]}") from None
            time.sleep(0.2)


@contextmanager
def installed(folder: Path, **more: Any) -> Iterator[Installation]:
    """A service with people, incidents, a vehicle, and more settings."""
    if not (UI / "dist" / "index.html").is_file():
        pytest.skip("the UI is not built (npm ci && npm run build in missioncontrol/ui)")
    if not CHROMIUM.exists():
        pytest.skip("Chromium is not installed (Debian: chromium)")
    http, mavlink = free_port(), free_port()
    settings = write_settings(folder, http, mavlink, more)
    with ThreadPoolExecutor(1) as thread:  # Playwright runs a loop in this one
        found = thread.submit(asyncio.run, put_incidents(settings)).result()
    url, log = f"http://127.0.0.1:{http}", folder / "serve.log"
    home = f"{LAT},{LON},{GROUND_AMSL_M}"
    simulated = ("--sysid", "1", "--home", home, "--link", f"udpout:127.0.0.1:{mavlink}", "--speedup", str(SPEEDUP))
    with (
        running(log, "serve", "--settings", str(settings)) as service,
        running(folder / "vehicle.log", "sim", "vehicle", *simulated),
    ):
        until_answering(url, service, log)
        installation = Installation(url, folder, service, found)
        chief = installation.token("chief")
        for name, roles in (("duty", ["operator", "inspector", "administrator"]), ("guest", ["inspector"])):
            person = {"name": name, "password": PASSWORD, "roles": roles, "language": "en"}
            installation.ask("POST", "/people", person, chief)
        yield installation


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One service for all tests of this file."""
    with installed(tmp_path_factory.mktemp("service")) as found:
        yield found


@contextmanager
def browsing(profile: Path) -> Iterator[BrowserContext]:
    """A browser with a profile of its own."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=FLAGS,
            viewport={"width": 1440, "height": 900},
            locale="en-GB",
        )
        try:
            yield browser
        finally:
            browser.close()
    shutil.rmtree(profile, ignore_errors=True)


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One browser for all tests of this file."""
    with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@dataclass
class Watched:
    """A page and what went wrong on it."""

    page: Page
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    """Addresses outside of the service that the page asked for."""


@contextmanager
def opened(installation: Installation, context: BrowserContext) -> Iterator[Watched]:
    """A fresh page at the log-in; afterwards no script may have failed and nobody else may have been asked."""
    context.clear_cookies()
    page = context.new_page()
    found = Watched(page)
    page.on("pageerror", lambda error: found.errors.append(str(error)))

    def own_host_only(route: Route) -> None:
        if route.request.url.startswith((installation.url, "data:", "blob:")):
            route.continue_()
        else:
            found.strangers.append(route.request.url)
            route.abort()

    page.route("**/*", own_host_only)
    page.goto(installation.url)
    page.evaluate("localStorage.setItem('missioncontrol.language', 'en')")
    page.reload()
    yield found
    page.close()
    assert found.errors == []
    assert found.strangers == []


@pytest.fixture
def watched(installation: Installation, context: BrowserContext) -> Iterator[Watched]:
    """A fresh page at the log-in."""
    with opened(installation, context) as found:
        yield found


def log_in(page: Page, name: str, password: str = PASSWORD) -> None:
    """Through the form."""
    page.get_by_label("Name").fill(name)
    page.get_by_label("Password").fill(password)
    page.get_by_role("button", name="Log in").click()


def open_console(page: Page, name: str) -> None:
    """Logged in, live, and the map drawn."""
    log_in(page, name)
    expect(page.locator("header .link")).to_have_text("Connected", timeout=REQUEST_WAIT_MS)
    expect(page.locator(".map-canvas")).to_have_attribute("data-ready", "true", timeout=REQUEST_WAIT_MS)


@pytest.mark.slow
def test_wrong_password_is_told_in_the_services_words(watched: Watched) -> None:
    """The refusal's detail stands in the form, and nobody is let in."""
    page = watched.page
    log_in(page, "duty", "wrong")
    expect(page.get_by_role("alert")).to_contain_text("password")
    expect(page.locator(".console")).to_have_count(0)


@pytest.mark.slow
def test_plan_approve_launch_hold_and_abort(watched: Watched, installation: Installation) -> None:
    """An area is planned, flown by the vehicle it names, held, and called back."""
    page = watched.page
    open_console(page, "duty")
    page.get_by_role("tab", name="Plan").click()
    preview = page.get_by_role("button", name="Preview")
    expect(preview).to_have_attribute("aria-disabled", "true")
    page.get_by_role("button", name="Paste GeoJSON").click()
    page.get_by_role("dialog").get_by_role("textbox").fill('{"type": "Point", "coordinates": [76, 43]}')
    page.get_by_role("button", name="Use this").click()
    expect(page.get_by_role("dialog").get_by_role("alert")).to_have_text("There is no polygon in it.")
    page.get_by_role("dialog").get_by_role("textbox").fill(json.dumps(AREA))
    page.get_by_role("button", name="Use this").click()
    page.get_by_label("alpha").check()
    page.get_by_label("Camera").select_option("sim-wide")
    page.get_by_label("Front overlap").fill("200")
    preview.click()
    expect(page.locator(".plan .problem")).to_contain_text("front_overlap", timeout=REQUEST_WAIT_MS)
    page.get_by_label("Front overlap").fill("70")
    preview.click()
    expect(page.locator(".plan-numbers")).to_contain_text("Photos", timeout=REQUEST_WAIT_MS)
    page.get_by_label("Mission name").fill("Bank of the river")
    page.get_by_role("button", name="Save and plan mission").click()
    mission = page.locator("[data-mission]", has_text="Bank of the river")
    expect(mission.locator(".state")).to_have_text("planned", timeout=REQUEST_WAIT_MS)
    mission.get_by_role("button", name="Approve").click()
    launch = mission.get_by_role("button", name="Launch")
    expect(launch).to_be_visible(timeout=REQUEST_WAIT_MS)
    ready = page.get_by_role("tab", name="Vehicles")
    ready.click()
    expect(page.locator("[data-vehicle='1'] .state").first).to_have_text("ready", timeout=FLIGHT_WAIT_MS)
    page.get_by_role("tab", name="Missions").click()
    if not mission.get_by_role("button", name="Pre-flight check").is_visible():
        mission.locator(".card-head").click()
    mission.get_by_role("button", name="Pre-flight check").click()
    mission.get_by_text("Passed:").click(timeout=REQUEST_WAIT_MS)
    expect(mission.locator(".preflight details")).to_contain_text("satellites")
    expect(mission.locator(".check.rank-0")).to_have_count(0)
    launch.click()
    page.get_by_role("dialog").get_by_role("button", name="Launch").click()
    expect(mission.locator(".state")).to_have_text("flying", timeout=FLIGHT_WAIT_MS)
    assert mission.locator("[role=progressbar]").count() >= 1

    ready.click()
    vehicle = page.locator("[data-vehicle='1']")
    vehicle.locator(".card-head").click()
    expect(vehicle.locator(".state").first).to_have_text("flying")
    vehicle.get_by_role("button", name="Land").click()
    expect(page.get_by_role("dialog")).to_contain_text("Land alpha")
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    vehicle.get_by_role("button", name="Hold").click()
    expect(vehicle.locator(".answer")).to_contain_text("Hold: accepted", timeout=REQUEST_WAIT_MS)
    vehicle.get_by_text("More orders").click()
    vehicle.get_by_label("Camera pitch").fill("-45")
    vehicle.get_by_role("button", name="Give").last.click()
    expect(vehicle.locator(".answer")).to_contain_text("Camera angle: accepted", timeout=REQUEST_WAIT_MS)
    vehicle.get_by_role("button", name="Stop the motors").click()
    expect(page.get_by_role("dialog")).to_contain_text("It falls", timeout=REQUEST_WAIT_MS)
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    expect(vehicle.locator(".facts").first).to_contain_text("both ways")

    page.get_by_role("tab", name="Missions").click()
    mission.get_by_role("button", name="Abort").click()
    page.get_by_role("dialog").get_by_role("button", name="Abort").click()
    expect(mission.locator(".state")).to_have_text("aborted", timeout=REQUEST_WAIT_MS)
    (told,) = installation.ask("GET", "/missions", token=installation.token("duty"))
    assert (told["name"], told["state"]) == ("Bank of the river", "aborted")


@pytest.mark.slow
def test_a_flight_is_taken_away_and_maintenance_recorded(watched: Watched, installation: Installation) -> None:
    """Its files come through the browser; who did the maintenance stands in the vehicle's card."""

    async def fly() -> str:
        settings = load(installation.folder / "missioncontrol.toml")
        async with Store(settings.store_url()) as store:
            return await flown(store, settings, registration="")

    with ThreadPoolExecutor(1) as thread:  # Playwright runs a loop in this one
        flight_id = thread.submit(asyncio.run, fly()).result()
    page = watched.page
    open_console(page, "duty")
    page.get_by_role("tab", name="Flights").click()
    flight = page.locator(f"[data-flight='{flight_id}']")
    flight.locator(".card-head").click()
    for name, start in (("KML", b"<?xml"), ("CSV", b"time_utc,"), ("GeoJSON", b'{"type":"Feature"'), (".tlog", b"")):
        with page.expect_download() as download:
            flight.get_by_role("link", name=name).click()
        assert download.value.suggested_filename.startswith(f"flight-{flight_id}.")
        content = Path(download.value.path()).read_bytes()
        assert content.startswith(start)
        assert len(content) > 80
    page.get_by_role("tab", name="Vehicles").click()
    page.locator("[data-vehicle='1'] .card-head").click()
    health = page.locator("[data-health='1']")
    expect(health).to_contain_text("none recorded", timeout=REQUEST_WAIT_MS)
    health.get_by_role("button", name="Maintenance done").click()
    page.get_by_role("dialog").get_by_label("What was done").fill("new propellers")
    page.get_by_role("dialog").get_by_role("button", name="Maintenance done").click()
    expect(health.locator(".facts")).to_contain_text("duty", timeout=REQUEST_WAIT_MS)
    told = installation.ask("GET", "/vehicles/1/health", token=installation.token("duty"))
    assert (told["maintenance"]["last"]["note"], told["maintenance"]["last"]["work"]) == ("new propellers", "service")


def click_map(page: Page, *places: tuple[int, int]) -> None:
    """Clicks at places counted from the middle of the map, pixels right and down."""
    box = page.locator(".map-canvas").bounding_box()
    assert box is not None
    for right, down in places:
        place = box["x"] + box["width"] / 2 + right, box["y"] + box["height"] / 2 + down
        page.mouse.move(*place)
        page.wait_for_timeout(200)
        page.mouse.click(*place)


@pytest.mark.slow
def test_shapes_are_drawn_on_the_map(watched: Watched) -> None:
    """Four clicks and Enter make a polygon of four corners; places are clicked until they are done."""
    page = watched.page
    open_console(page, "duty")
    page.get_by_role("tab", name="Plan").click()
    page.get_by_role("button", name="Draw on map").click()
    click_map(page, (-120, -90), (120, -90), (110, 80), (-110, 80))
    page.keyboard.press("Enter")
    expect(page.get_by_text("4 corners")).to_be_visible()
    page.get_by_label("Pattern").select_option("visits")
    expect(page.get_by_label("Side overlap")).to_have_count(0)
    page.get_by_role("button", name="Draw on map").click()
    click_map(page, (-60, -30), (80, -30), (10, 60))
    expect(page.get_by_text("Click each place")).to_be_visible()
    page.get_by_role("button", name="Done").click()
    expect(page.get_by_text("3 places")).to_be_visible()


@pytest.mark.slow
def test_a_zone_tells_what_it_asks(watched: Watched, installation: Installation) -> None:
    """It is drawn where it lies, and a click says its name, kind, and limits."""
    chief = installation.token("chief")
    circle = {"geometry": {"type": "Point", "coordinates": [LON, LAT + 0.004]}, "radius_m": 150}
    limits = {"upper": {"value_m": 120, "datum": "AGL"}}
    zone = installation.ask("POST", "/zones", {"kind": "PROHIBITED", "name": "Airfield", **circle, **limits}, chief)
    try:
        page = watched.page
        open_console(page, "guest")
        expect(page.locator(".legend")).to_contain_text("Zone: flying is forbidden")
        page.wait_for_timeout(500)
        click_map(page, (0, -120))
        expect(page.locator(".zone-popup")).to_contain_text("Airfield")
        expect(page.locator(".zone-popup")).to_contain_text("ground to 120 m above ground")
    finally:
        installation.ask("DELETE", f"/zones/{zone['id']}", token=chief)


@pytest.mark.slow
def test_the_nearest_is_sent_and_a_plan_has_versions(watched: Watched, installation: Installation) -> None:
    """A right click ranks the vehicles and plans the flight there; planned otherwise, its versions differ in words."""
    page = watched.page
    open_console(page, "duty")
    expect(page.locator("[data-vehicle='1'] .state").first).to_have_text(
        re.compile("ready|landed"), timeout=FLIGHT_WAIT_MS
    )
    box = page.locator(".map-canvas").bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] / 2 - 60, box["y"] + box["height"] / 2 - 60, button="right")
    expect(page.get_by_role("dialog")).to_contain_text("first picture in", timeout=REQUEST_WAIT_MS)
    page.get_by_role("dialog").get_by_role("button", name="Plan the mission").click()
    expect(page.locator(".card.open .state").first).to_have_text("planned", timeout=REQUEST_WAIT_MS)
    token = installation.token("duty")
    mission = next(told for told in installation.ask("GET", "/missions", token=token) if "dump" in told["name"])
    assert mission["request"]["kind"] == "look"
    longer = {name: value for name, value in mission["request"].items() if value is not None} | {"hold_s": 300.0}
    installation.ask("POST", f"/missions/{mission['id']}/plan", {"request": longer}, token)
    card = page.locator(f"[data-mission='{mission['id']}']")
    card.get_by_text("Versions of the plan: 2").click(timeout=REQUEST_WAIT_MS)
    expect(card.locator("details .texts li").first).not_to_be_empty(timeout=REQUEST_WAIT_MS)


@pytest.mark.slow
def test_a_corridor_and_an_orbit_are_planned_and_kept(watched: Watched, installation: Installation) -> None:
    """Each pattern asks for its own fields, and what they say is what is planned."""
    page = watched.page
    open_console(page, "duty")
    page.get_by_role("tab", name="Plan").click()
    page.get_by_label("alpha").check()
    page.get_by_label("Pattern").select_option("corridor")
    page.get_by_role("button", name="Draw on map").click()
    click_map(page, (-100, 0), (0, 40), (60, 0))
    page.keyboard.press("Enter")
    expect(page.get_by_text("3 points")).to_be_visible()
    page.get_by_label("Width of the strip").fill("45")
    page.get_by_label("Side of the line").select_option("left")
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".plan-numbers")).to_contain_text("Legs", timeout=REQUEST_WAIT_MS)
    page.locator(".share").first.click()
    expect(page.get_by_role("img", name="Height along the way")).to_be_visible()
    page.get_by_label("Mission name").fill("Left bank")
    page.get_by_role("button", name="Save and plan mission").click()
    mission = page.locator("[data-mission]", has_text="Left bank")
    expect(mission.locator(".state").first).to_have_text("planned", timeout=REQUEST_WAIT_MS)

    page.get_by_role("tab", name="Plan").click()
    page.get_by_label("Pattern").select_option("orbit")
    expect(page.get_by_label("Width of the strip")).to_have_count(0)
    page.get_by_role("button", name="Draw on map").click()
    click_map(page, (30, 20))
    page.get_by_label(re.compile(r"^Radius\s*m")).fill("35")
    page.get_by_label("Radius at the end").fill("60")
    page.get_by_label("Clockwise").uncheck()
    page.get_by_role("button", name="Preview").click()
    page.get_by_label("Mission name").fill("Round the mast", timeout=REQUEST_WAIT_MS)
    page.get_by_role("button", name="Save and plan mission").click()
    mission = page.locator("[data-mission]", has_text="Round the mast")
    expect(mission.locator(".state").first).to_have_text("planned", timeout=REQUEST_WAIT_MS)
    kept = {
        told["name"]: told["request"] for told in installation.ask("GET", "/missions", token=installation.token("duty"))
    }
    corridor, orbit = kept["Left bank"], kept["Round the mast"]
    assert (corridor["kind"], corridor["width_m"], corridor["side"]) == ("corridor", 45, "left")
    assert (orbit["kind"], orbit["radius_m"], orbit["end_radius_m"], orbit["clockwise"]) == ("orbit", 35, 60, False)
    assert orbit["end_height_m"] is None


@pytest.mark.slow
def test_incidents_are_confirmed_and_rejected(watched: Watched, installation: Installation) -> None:
    """The inspector sees picture, place and ellipse, confirms one and rejects one with a reason."""
    page = watched.page
    open_console(page, "guest")
    dump, fire = (page.locator(f"[data-incident='{installation.incidents[kind]}']") for kind in ("dump", "fire"))
    dump.locator(".card-head").click()
    expect(dump.get_by_text("76.946000, 43.205000")).to_be_visible()
    # 90 % of the covariance ((4, 1), (1, 2)) and 0.3 m of floor: half axes sqrt(4.605 (3.09 +- sqrt 2)) m, at 67.5 deg
    expect(dump.get_by_text(re.compile("4.6 × 2.8 m, axis 6[78]°"))).to_be_visible()
    assert dump.locator(".picture img").evaluate("image => image.decode().then(() => image.naturalWidth)") > 0
    dump.get_by_role("button", name="Confirm", exact=True).click()
    expect(dump).not_to_have_attribute("data-state", "detected", timeout=REQUEST_WAIT_MS)
    expect(dump.get_by_role("button", name="Confirm", exact=True)).to_have_count(0)

    fire.locator(".card-head").click()
    fire.get_by_role("button", name="Reject", exact=True).click()
    reject = page.get_by_role("dialog").get_by_role("button", name="Reject")
    expect(reject).to_have_attribute("aria-disabled", "true")
    page.get_by_label("Why is this not an incident?").fill("a barbecue")
    reject.click()
    expect(fire).to_have_attribute("data-state", "rejected", timeout=REQUEST_WAIT_MS)
    expect(fire).to_contain_text("a barbecue")


@pytest.mark.slow
def test_a_change_made_elsewhere_appears(watched: Watched, installation: Installation) -> None:
    """What another person decides comes over the live socket."""
    page = watched.page
    open_console(page, "guest")
    flooding = installation.incidents["flooding"]
    expect(page.locator(f"[data-incident='{flooding}']")).to_have_attribute("data-state", "detected")
    installation.ask("POST", f"/incidents/{flooding}/reject", {"reason": "a fountain"}, installation.token("duty"))
    expect(page.locator(f"[data-incident='{flooding}']")).to_have_attribute("data-state", "rejected")


@pytest.mark.slow
def test_a_person_without_the_role_is_told_why(watched: Watched) -> None:
    """An inspector cannot command a vehicle; the button says whose task that is."""
    page = watched.page
    open_console(page, "guest")
    vehicle = page.locator("[data-vehicle='1']")
    vehicle.locator(".card-head").click()
    hold = vehicle.get_by_role("button", name="Hold")
    expect(hold).to_have_attribute("aria-disabled", "true")
    expect(hold).to_have_attribute("title", "Only an operator may do this.")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.method))
    hold.click(force=True)
    page.wait_for_timeout(500)
    assert "POST" not in asked


@pytest.mark.slow
@pytest.mark.parametrize("language", ["kk", "ru"])
def test_the_language_is_switched(watched: Watched, language: str) -> None:
    """The whole console changes at once, and remembers."""
    page = watched.page
    open_console(page, "guest")
    page.get_by_role("button", name=language, exact=True).click()
    texts = catalogue(language)
    expect(page.locator("header h1")).to_have_text(texts["product.name"])
    expect(page.get_by_role("tab").first).to_have_text(texts["tab.vehicles"])
    page.reload()
    expect(page.locator("header h1")).to_have_text(texts["product.name"])
    expect(page.locator("html")).to_have_attribute("lang", language)


@pytest.mark.slow
def test_detections_are_drawn_in_their_frame(watched: Watched) -> None:
    """A frame packed by the service is drawn with its box, at the box's place."""
    page = watched.page
    _, jpeg = cv2.imencode(".jpg", np.full((360, 640, 3), 40, np.uint8))
    box = {"class": "dump", "score": 0.9, "track": 3, "box": [200.0, 100.0, 400.0, 250.0]}
    header = {"state": "live", "utc_s": time.time(), "width": 640, "height": 360, "detections": [box]}

    def send(socket: WebSocketRoute) -> None:
        socket.send(pack_frame(header, jpeg.tobytes()))

    page.route_web_socket(re.compile("/video/1$"), send)
    open_console(page, "guest")
    page.locator("[data-vehicle='1'] .card-head").click()
    expect(page.locator("[data-video='1']")).to_have_attribute("data-state", "live")
    pixel = (
        "(canvas, [x, y]) => Array.from(canvas.getContext('2d').getImageData("
        "x * canvas.width / 640, y * canvas.height / 360, 1, 1).data)"
    )
    canvas = page.locator("[data-video='1'] canvas")
    on_box, inside = canvas.evaluate(pixel, [200, 200]), canvas.evaluate(pixel, [300, 175])
    assert on_box[0] > 180
    assert inside[0] < 70
    expect(page.locator("[data-video='1']")).to_have_attribute("data-state", "stale", timeout=10_000)


@pytest.mark.slow
def test_a_lost_connection_is_seen_until_it_is_back(context: BrowserContext, installation: Installation) -> None:
    """When the service is gone a banner says so; a service that is there again ends it."""
    context.clear_cookies()
    page = context.new_page()
    page.goto(installation.url)
    page.evaluate("localStorage.setItem('missioncontrol.language', 'en')")
    page.reload()
    open_console(page, "guest")
    installation.service.send_signal(signal.SIGTERM)
    installation.service.wait(20)
    expect(page.get_by_role("alert")).to_contain_text("Connection to the service lost", timeout=15_000)
    expect(page.locator("header .link")).to_have_text("Connection lost")
    log = installation.folder / "serve-again.log"
    with running(log, "serve", "--settings", str(installation.folder / "missioncontrol.toml")) as again:
        until_answering(installation.url, again, log)
        expect(page.locator("header .link")).not_to_have_text("Connection lost", timeout=30_000)
        expect(page.get_by_role("alert")).to_have_count(0)
        page.close()
