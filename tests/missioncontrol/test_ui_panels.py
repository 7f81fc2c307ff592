"""The console's panels around incidents, layers, schedules and permits, in a real Chromium against the real service."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from playwright.sync_api import BrowserContext, Page, WebSocketRoute, expect

from missioncontrol.live import pack_frame
from tests.missioncontrol.test_ui import (
    AREA,
    FLIGHT_WAIT_MS,
    LAT,
    LON,
    REQUEST_WAIT_MS,
    Installation,
    browsing,
    installed,
    open_console,
    opened,
)

WEBHOOK = {"url": "http://127.0.0.1:9", "secret": "whsec_" + "c2VjcmV0" * 4}
COMPILING_WAIT_MS = 200_000
"""Where nothing was compiled yet, ms."""
SETTINGS: dict[str, Any] = {
    "sinks": [{"name": "ecology", "kind": "webhook", "options": WEBHOOK, "needs_ce90_m": 2.5}],
    "routes": {"dump": ["ecology"]},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    """One service for all tests of this file."""
    with installed(tmp_path_factory.mktemp("service"), **SETTINGS) as found:
        yield found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """One browser for all tests of this file."""
    with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


@pytest.fixture
def page(installation: Installation, context: BrowserContext) -> Iterator[Page]:
    """The console at the log-in."""
    with opened(installation, context) as watched:
        yield watched.page


def test_a_place_that_is_not_known_well_enough_is_looked_at_again(page: Page, installation: Installation) -> None:
    """Why, for whom, by which vehicle and how long is told; the button leads to a plan that waits for approval."""
    open_console(page, "duty")
    expect(page.locator("[data-vehicle='1'] .state").first).to_have_text(
        re.compile("ready|landed"), timeout=FLIGHT_WAIT_MS
    )
    dump, fire = (page.locator(f"[data-incident='{installation.incidents[kind]}']") for kind in ("dump", "fire"))
    fire.locator(".card-head").click()
    expect(fire.locator(".incident-place")).to_contain_text("Nine times in ten")
    dump.locator(".card-head").click()
    look = dump.locator("[data-second-look]")
    expect(look).to_contain_text("Needed by ecology", timeout=COMPILING_WAIT_MS)
    expect(look).to_contain_text("at most 2.5 m")
    expect(look).to_contain_text("alpha")
    expect(look).to_contain_text(re.compile(r"Flight\s*\d+ min"), timeout=COMPILING_WAIT_MS)
    expect(dump.locator(".ellipse-figure circle.needed")).to_have_count(1)
    expect(fire.locator("[data-second-look]")).to_have_count(0)
    look.get_by_role("button", name="Look again").click()
    mission = page.locator(".left .card.open")
    expect(mission).to_contain_text("second look: dump", timeout=REQUEST_WAIT_MS)
    expect(mission.locator(".state").first).to_have_text("planned")
    expect(mission.get_by_role("button", name="Approve")).to_be_visible()
    missions = installation.ask("GET", "/missions", token=installation.token("duty"))
    assert [told["purpose"] for told in missions] == [f"incident {installation.incidents['dump']}"]


def test_who_may_not_plan_is_told_why_there_is_no_second_look(page: Page, installation: Installation) -> None:
    """An inspector sees why the place is not good enough, and whose task the flight is."""
    open_console(page, "guest")
    dump = page.locator(f"[data-incident='{installation.incidents['dump']}']")
    dump.locator(".card-head").click()
    again = dump.get_by_role("button", name="Look again")
    expect(again).to_have_attribute("aria-disabled", "true", timeout=COMPILING_WAIT_MS)
    expect(again).to_have_attribute("title", "Only an operator or an administrator may do this.")


def test_what_moves_has_an_arrow_with_its_speed(page: Page) -> None:
    """Up and right from the middle of its box for a car that drives north-east, and told on the map."""
    _, jpeg = cv2.imencode(".jpg", np.full((360, 640, 3), 40, np.uint8))
    metre_lat, metre_lon = 1 / 111_195, 1 / (111_195 * float(np.cos(np.radians(LAT))))
    corners = [(-32.0, 18.0), (32.0, 18.0), (32.0, -18.0), (-32.0, -18.0)]
    edge = [
        (a[0] + (b[0] - a[0]) * step / 4, a[1] + (b[1] - a[1]) * step / 4)
        for a, b in zip(corners, corners[1:] + corners[:1], strict=True)
        for step in range(4)
    ]
    ring = [[LON + east * metre_lon, LAT + north * metre_lat] for east, north in [*edge, edge[0]]]
    motion = {"speed_m_s": 2.8284, "speed_sigma_m_s": 0.3, "heading_deg": 45.0, "heading_sigma_deg": 5.0}
    car = {"class": "vehicle", "score": 0.9, "track": 3, "box": [300.0, 170.0, 340.0, 190.0]}
    moving = {**car, "motion": motion, "place": [LON, LAT]}
    header = {"state": "live", "width": 640, "height": 360, "detections": [moving], "footprint": ring}

    sockets: list[WebSocketRoute] = []

    def send() -> None:
        for socket in sockets:
            socket.send(pack_frame({**header, "utc_s": time.time()}, jpeg.tobytes()))

    page.route_web_socket(re.compile("/video/1"), lambda socket: sockets.append(socket))
    page.expose_function("again", send)
    page.evaluate("setInterval(() => window.again(), 400)")
    open_console(page, "guest")
    page.locator("[data-vehicle='1'] .card-head").click(timeout=FLIGHT_WAIT_MS)
    expect(page.locator("[data-video='1']")).to_have_attribute("data-state", "live", timeout=REQUEST_WAIT_MS)
    expect(page.locator(".legend")).to_contain_text("Moves: its way of 5 s")
    pixel = (
        "(canvas, [x, y]) => Math.max(...canvas.getContext('2d').getImageData("
        "x * canvas.width / 640 - 2, y * canvas.height / 360 - 2, 5, 5).data.filter((_, at) => at % 4 < 3))"
    )
    canvas = page.locator("[data-video='1'] canvas")
    on_arrow, beside = canvas.evaluate(pixel, [380, 120]), canvas.evaluate(pixel, [260, 240])
    assert on_arrow > 120
    assert beside < 70


def until(holds: Callable[[], None]) -> None:
    """Tried again until it holds: the map moves, and draws when it can."""
    last_s = time.monotonic() + REQUEST_WAIT_MS / 1000
    while True:
        try:
            return holds()
        except AssertionError:
            if time.monotonic() > last_s:
                raise


def add_layer(installation: Installation, file: Path, *more: str) -> None:
    """Through the command line, while the service runs."""
    settings = installation.folder / "missioncontrol.toml"
    command = [str(Path(sys.executable).parent / "missioncontrol"), "layers", "add", str(file), *more]
    subprocess.run([*command, "--settings", str(settings)], check=True, capture_output=True, timeout=240)


def test_maps_and_changes_are_switched_with_style_opacity_and_day(page: Page, installation: Installation) -> None:
    """What is added while the service runs is in the menu when that is opened; its tiles follow the style."""
    add_layer(installation, installation.folder / "dem.tif", "--name", "heights", "--taken", "2026-04-02")
    corners = [(LON - 0.002, LAT - 0.001), (LON + 0.002, LAT - 0.001), (LON, LAT + 0.002), (LON - 0.002, LAT - 0.001)]
    change = {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [corners]},
        "properties": {"kind": "dump", "confidence": 0.7, "area_m2": 9.0, "statement": "possible dump of 9 m2"},
    }
    found = {"type": "FeatureCollection", "features": [change], "summary": {"after": "2026-05-01"}}
    changes = installation.folder / "since.geojson"
    changes.write_text(json.dumps(found))
    add_layer(installation, changes, "--title", "Since last year")
    open_console(page, "guest")
    page.get_by_text("Layers", exact=True).click()
    heights, since = page.locator("[data-layer='heights']"), page.locator("[data-layer='since']")
    expect(since).to_contain_text("Since last year", timeout=REQUEST_WAIT_MS)
    expect(heights.locator("time")).to_have_attribute("datetime", "2026-04-02")
    expect(since.locator("time")).to_have_text("1 May 2026")
    if not heights.get_by_role("checkbox").is_checked():
        heights.get_by_role("checkbox").check()
    with page.expect_request(re.compile(r"/tiles/heights/.*colors=viridis"), timeout=REQUEST_WAIT_MS):
        heights.get_by_label("Style: heights").select_option("viridis")
    heights.get_by_label("Opacity: heights").fill("40")
    expect(heights.get_by_label("Opacity: heights")).to_have_value("40")
    since.get_by_role("checkbox").check()
    since.get_by_role("button", name="Show the whole layer").click()
    popup, box = page.locator(".zone-popup"), page.locator(".map-canvas").bounding_box()
    assert box is not None

    def told() -> None:
        page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2 + 40)
        expect(popup).to_contain_text("possible dump of 9 m2", timeout=2000)

    until(told)


def test_a_schedule_tells_its_blackouts_and_what_stands_against_it(page: Page, installation: Installation) -> None:
    """Two schedules that want the vehicle at once are in conflict; a blackout that is added is kept, then taken off."""
    duty = installation.token("duty")
    request = {"kind": "survey", "area": AREA, "camera": "sim-wide", "height_m": 60.0, "vehicles": [1]}
    ids: list[str] = []
    for name in ("Bank by day", "Bank again"):
        soon = time.strftime("%Y-%m-%dT%H:00:00", time.gmtime(time.time() + 5 * 3600 + 2 * 86_400))
        recurrence = {"rule": "FREQ=DAILY;COUNT=1", "starts": soon, "time_zone": "Asia/Almaty"}
        new = {"name": name, "request": request, "recurrence": recurrence}
        ids.append(installation.ask("POST", "/schedules", new, duty)["id"])
    open_console(page, "duty")
    page.get_by_role("tab", name="Missions").click()
    page.get_by_text("Recurring missions: 2").click(timeout=REQUEST_WAIT_MS)
    row = page.locator(f"[data-schedule='{ids[0]}']")
    expect(row.locator("[data-conflict='vehicle']")).to_contain_text(
        "want vehicle 1 at once", timeout=COMPILING_WAIT_MS
    )
    row.get_by_role("button", name="Add a blackout").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("First day").fill("2026-12-16")
    dialog.get_by_label("Last day").fill("2026-12-17")
    dialog.get_by_label("From", exact=True).fill("22:00")
    dialog.get_by_label("Until", exact=True).fill("06:00")
    dialog.get_by_label("Sun").check()
    dialog.get_by_label("Reason").fill("Independence Day")
    dialog.get_by_role("button", name="Add a blackout").click()
    expect(row.locator("[data-blackout]")).to_contain_text("Sun, 22:00 to 06:00", timeout=REQUEST_WAIT_MS)
    (kept,) = [told for told in installation.ask("GET", "/schedules", token=duty) if told["name"] == "Bank by day"]
    (blackout,) = kept["recurrence"]["blackouts"]
    assert (blackout["first_day"], blackout["begins"], blackout["weekdays"]) == ("2026-12-16", "22:00:00", ["SU"])
    row.get_by_role("button", name="Remove this blackout").click()
    expect(row.locator("[data-blackout]")).to_have_count(0, timeout=REQUEST_WAIT_MS)


def test_a_permit_is_added_and_revoked(page: Page, installation: Installation) -> None:
    """What the form says is kept; revoked it counts no more, and its record stays."""
    open_console(page, "duty")
    page.get_by_role("tab", name="Missions").click()
    page.get_by_text("Flight permits in force: 0").click(timeout=REQUEST_WAIT_MS)
    page.get_by_role("button", name="Add a permit").click()
    dialog = page.get_by_role("dialog")
    add = dialog.get_by_role("button", name="Add a permit")
    expect(add).to_have_attribute("aria-disabled", "true")
    dialog.get_by_label("Number").fill("KGA-17")
    dialog.get_by_label("Authority").fill("Civil aviation committee")
    dialog.get_by_label("Valid from (Almaty)").fill("2026-01-01T00:00")
    dialog.get_by_label("Valid until (Almaty)").fill("2099-12-31T23:59")
    dialog.get_by_label("Up to, m above ground").fill("120")
    dialog.get_by_label("By night").check()
    dialog.get_by_label("alpha").check()
    add.click()
    permit = page.locator("[data-permit='KGA-17']")
    expect(permit).to_have_attribute("data-standing", "valid", timeout=REQUEST_WAIT_MS)
    (kept,) = installation.ask("GET", "/permits", token=installation.token("duty"))
    assert (kept["valid_from"], kept["vehicles"], kept["night"]) == ("2026-01-01T00:00:00+05:00", [1], True)
    assert (kept["highest_agl_m"], kept["bvlos"]) == (120, False)
    permit.locator("summary").click()
    permit.get_by_role("button", name="Revoke").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    expect(permit).to_have_attribute("data-standing", "revoked", timeout=REQUEST_WAIT_MS)
    expect(page.get_by_text("Flight permits in force: 0")).to_be_visible()


def test_who_writes_a_rejection_hears_that_it_is_decided(page: Page, installation: Installation) -> None:
    """The dialog stays, says who decided what meanwhile, and sends nothing."""
    open_console(page, "guest")
    flooding = page.locator(f"[data-incident='{installation.incidents['flooding']}']")
    flooding.locator(".card-head").click()
    flooding.get_by_role("button", name="Reject", exact=True).click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("a fountain")
    path = f"/incidents/{installation.incidents['flooding']}/confirm"
    installation.ask("POST", path, {"note": "seen by eye"}, installation.token("duty"))
    expect(dialog.get_by_role("alert")).to_contain_text("duty", timeout=REQUEST_WAIT_MS)
    expect(dialog.get_by_role("button", name="Reject")).to_have_attribute("aria-disabled", "true")
    page.keyboard.press("Escape")
    expect(flooding).not_to_have_attribute("data-state", "rejected")


def test_an_order_to_hand_over_keeps_its_question_where_nobody_has_the_name(page: Page) -> None:
    """The error stands in the dialog; nothing is lost."""
    open_console(page, "duty")
    vehicle = page.locator("[data-vehicle='1']")
    vehicle.locator(".card-head").click(timeout=FLIGHT_WAIT_MS)
    take = vehicle.get_by_role("button", name="Take", exact=True)
    hand_over = vehicle.get_by_role("button", name="Hand over")
    expect(take.or_(hand_over)).to_be_visible(timeout=REQUEST_WAIT_MS)
    if take.is_visible():
        take.click()
    hand_over.click(timeout=REQUEST_WAIT_MS)
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("nobody")
    dialog.get_by_role("button", name="Hand over").click()
    expect(dialog.get_by_role("alert")).to_contain_text("nobody", timeout=REQUEST_WAIT_MS)
    expect(dialog.get_by_role("textbox")).to_have_value("nobody")
