"""A survey over a city finds things that lie there, says where, and the city's receivers get each incident once, with a
receipt."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest

MISSIONCONTROL = Path(sys.executable).parent / "missioncontrol"


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One round of the demo: its figures, and the folder it kept."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [MISSIONCONTROL, "demo", "--exit", "--json", "--seed", "4242", "--keep", folder],
        capture_output=True,
        text=True,
        timeout=2700,  # a busy machine simulates more slowly; what hangs, the demo itself gives up
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return json.loads(done.stdout), folder


pytestmark = [pytest.mark.slow, pytest.mark.timeout(2800)]


def test_the_figures_are_those_of_the_contract(played: tuple[dict[str, Any], Path]) -> None:
    figures, _ = played
    assert figures["seed"] == 4242
    assert set(figures) >= {
        "vehicles", "planned_m", "flown_m", "flight_s", "wall_s", "frames", "detections", "incidents",
        "position_error_m", "ellipse90_coverage", "call_to_first_frame_s", "receipts",
    }  # fmt: skip
    assert all(set(score) == {"truth", "found", "missed", "false"} for score in figures["incidents"].values())


def test_time_waited_until_the_frames_were_looked_at(played: tuple[dict[str, Any], Path]) -> None:
    figures, _ = played
    flown_s = figures["vehicles"] * figures["flight_s"]
    assert figures["frames"] > flown_s
    assert figures["frames_dropped"] < 0.04 * figures["frames"]  # time waits for nobody below 10 m, at the start


def test_every_dump_and_the_fire_are_found_and_hardly_anything_else(played: tuple[dict[str, Any], Path]) -> None:
    incidents = played[0]["incidents"]
    assert incidents["dump"]["truth"] >= 4
    assert incidents["dump"]["missed"] == 0
    assert incidents["fire"]["missed"] == 0
    assert sum(score["false"] for score in incidents.values()) <= 2


def test_places_are_good_to_metres_and_their_ellipses_honest(played: tuple[dict[str, Any], Path]) -> None:
    figures, _ = played
    assert figures["position_error_m"]["n"] >= 10
    assert figures["position_error_m"]["median"] < 2.5
    places = figures["ellipse90"]["all_kinds"]["n"]
    assert places >= 20
    held = round(figures["ellipse90_coverage"] * places)
    interval = binomtest(held, places).proportion_ci(0.9)  # some forty places: one run alone says no more than this
    assert interval.high >= 0.8, f"{held} of {places}"
    assert interval.low <= 0.98, f"{held} of {places}"


def test_every_confirmed_incident_reaches_its_receivers_once(played: tuple[dict[str, Any], Path]) -> None:
    receipts = played[0]["receipts"]
    assert receipts["sent"] > 0
    assert (receipts["lost"], receipts["duplicates"]) == (0, 0)


def test_the_plan_was_flown_and_recorded(played: tuple[dict[str, Any], Path]) -> None:
    figures, folder = played
    assert figures["planned_m"] < figures["flown_m"] < 2.5 * figures["planned_m"]
    assert len(list((folder / "data" / "recordings").glob("*.tlog"))) >= figures["vehicles"]


def test_nothing_the_service_could_read_holds_the_truth(played: tuple[dict[str, Any], Path]) -> None:
    _, folder = played
    names = {path.name for path in folder.rglob("*") if path.is_file()}
    assert not [name for name in names if "truth" in name]
    assert {path.name for path in (folder / "public").iterdir()} == {
        "dem.tif", "orthophoto.tif", "buildings.geojson", "cadastre.geojson", "permits.geojson", "zones.geojson",
    }  # fmt: skip
