"""What the service says, in the language of the console."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.missioncontrol.test_ui import REQUEST_WAIT_MS, UI, Installation, browsing, installed, opened

SCRIPT = Path(__file__).parents[2] / "scripts" / "sentences"


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    with installed(tmp_path_factory.mktemp("service")) as found:
        yield found


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    with browsing(tmp_path_factory.mktemp("chromium")) as browser:
        yield browser


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """`scripts/sentences`."""
    return subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, timeout=60)


def test_catalogues_hold_what_the_service_says() -> None:
    """Both have the same templates with the same holes, and the service says each of them."""
    checked = run("--check")
    assert checked.returncode == 0, checked.stdout


def test_templates_are_read_from_the_source() -> None:
    """Alarms, refusals, warnings and checks come out with holes where values stand, alternatives one by one."""
    said = [line[2:] for line in run().stdout.splitlines()]
    for template in (
        "the name or the password is wrong",
        "nobody is named {0}",
        "mission {0} failed: {1}",
        "lines {0} m apart instead of {1} m: slopes of this ground narrow the pictures",
        "GPS: {0}, at least {1}",
        "{0} satellites",
        "terrain: {0}",
        "wind: {0}",
    ):
        assert template in said


@pytest.mark.slow
def test_wrong_password_is_told_in_russian_and_kazakh(installation: Installation, context: BrowserContext) -> None:
    """The refusal of a log-in stands in the form, in the language of the page."""
    text = "the name or the password is wrong"
    with opened(installation, context) as watched:
        page = watched.page
        for language, label, enter in (("ru", "Пароль", "Войти"), ("kk", "Құпиясөз", "Кіру")):
            page.evaluate(f"localStorage.setItem('missioncontrol.language', '{language}')")
            page.reload()
            page.locator("input").first.fill("nobody")
            page.get_by_label(label).fill("wrong")
            page.get_by_role("button", name=enter).click()
            catalogue = json.loads((UI / "src" / "i18n" / f"sentences.{language}.json").read_text(encoding="utf-8"))
            expect(page.get_by_role("alert")).to_have_text(catalogue[text], timeout=REQUEST_WAIT_MS)
