"""Takes the picture of the console for the documentation, from a running service.

python missioncontrol/ui/scripts/screenshot.py http://127.0.0.1:8000 NAME PASSWORD docs/images/console.png [SYSID]
"""

from __future__ import annotations

import sys
import tempfile

from playwright.sync_api import Page, sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-quic", "--no-first-run", "--disable-background-networking"]
SETTLE_MS = 6000


def arrange(page: Page, sysid: str) -> None:
    """The survey in full on the map, one vehicle and its video, one incident."""
    page.locator(f"[data-vehicle='{sysid}'] .card-head").click()
    if page.locator("[data-incident]").count():
        page.locator("[data-incident] .card-head").first.click()
    page.get_by_role("tab", name="Missions").click()
    flying = page.locator("[data-mission]", has=page.locator(".mission-flying"))
    if flying.count():
        flying.first.locator(".card-head").click()
    page.get_by_role("tab", name="Vehicles").click()
    page.wait_for_timeout(SETTLE_MS)


def main(url: str, name: str, password: str, path: str, sysid: str = "1") -> None:
    """Log in and take the picture."""
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as profile:
        browser = playwright.chromium.launch_persistent_context(
            profile, executable_path="/usr/bin/chromium", args=FLAGS, viewport={"width": 1440, "height": 900}
        )
        page = browser.new_page()
        page.goto(url)
        page.evaluate("localStorage.setItem('missioncontrol.language', 'en')")
        page.reload()
        page.get_by_label("Name").fill(name)
        page.get_by_label("Password").fill(password)
        page.get_by_role("button", name="Log in").click()
        page.locator(".map-canvas[data-ready=true]").wait_for(timeout=60_000)
        page.wait_for_timeout(SETTLE_MS)
        arrange(page, sysid)
        page.screenshot(path=path)
        browser.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
