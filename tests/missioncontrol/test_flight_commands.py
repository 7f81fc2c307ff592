"""Flights and plan files on the command line, without a running service."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fleet.conversion import write_plan
from fleet.errors import PlanFileInvalid
from fleet.missions import mission_hash
from geo.positions import Altitude, Datum, Position
from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.flight_commands import convert, flights_app, plan_items
from missioncontrol.plan_commands import plan_app
from missioncontrol.settings_files import load
from missioncontrol.store import Store
from tests.fleet.conftest import survey
from tests.missioncontrol.recorded import flown

HOME = Position(lon=76.945, lat=43.238, altitude=Altitude(800.0, Datum.AMSL))


def answer(app: typer.Typer, *arguments: str | Path) -> Any:
    """What a command answers with --json; what it refuses is raised."""
    done = CliRunner().invoke(app, [*map(str, arguments), "--json"], catch_exceptions=False)
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    path = tmp_path / "mc.toml"
    path.write_text('data = "var"\n')
    return path


def test_flights_are_listed_and_written_as_files(settings_file: Path, tmp_path: Path) -> None:
    settings = load(settings_file)

    async def fly() -> str:
        async with Store(settings.store_url()) as store:
            return await flown(store, settings)

    flight = asyncio.run(fly())
    (listed,) = answer(flights_app, "list", "--settings", settings_file)
    assert (listed["id"], listed["registration"], listed["path_m"]) == (flight, "KZ-001", 470.0)
    for kind in ("tlog", "geojson", "kml", "csv"):
        out = tmp_path / f"out.{kind}"
        done = answer(flights_app, "export", flight, "--format", kind, "--out", out, "--settings", settings_file)
        assert done["bytes"] == out.stat().st_size > 80
    with pytest.raises(InputInvalid, match="--format gpx: is none of tlog"):
        answer(flights_app, "export", flight, "--format", "gpx", "--settings", settings_file)
    with pytest.raises(NotFound, match="no flight nobody"):
        answer(flights_app, "export", "nobody", "--settings", settings_file)
    with pytest.raises(InputInvalid, match="cannot be written"):
        answer(flights_app, "export", flight, "--out", tmp_path, "--settings", settings_file)


def test_a_plan_of_one_program_is_written_for_another(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(convert)
    source, target = tmp_path / "a.waypoints", tmp_path / "b.plan"
    write_plan(source, survey(), HOME)
    done = answer(app, source, target, "--autopilot", "px4")
    assert (done["items"], done["hash"], done["notes"]) == (len(survey()), mission_hash(survey()), [])
    assert json.loads(target.read_text())["mission"]["firmwareType"] == 12
    write_plan(source, survey(), None)
    with pytest.raises(PlanFileInvalid, match=r"b\.plan: home"):
        answer(app, source, target)
    assert answer(app, source, target, "--home", "76.945,43.238,800")["home"] == [76.945, 43.238, 800.0]
    for wrong in ("76.945", "76.945,95,800", "a,b,c"):
        with pytest.raises(InputInvalid, match="--home"):
            answer(app, source, target, "--home", wrong)


def test_areas_are_converted_and_a_crs_is_given_where_it_is_not_said(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(convert)
    area, layer = tmp_path / "area.geojson", tmp_path / "area.shp"
    ring = [[76.944, 43.2375], [76.9465, 43.2375], [76.9465, 43.2392], [76.944, 43.2375]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    assert answer(app, area, layer)["shapes"] == 1
    layer.with_suffix(".prj").unlink()
    with pytest.raises(PlanFileInvalid, match="does not say its CRS"):
        answer(app, layer, tmp_path / "b.kmz")
    assert answer(app, layer, tmp_path / "b.kmz", "--crs", "EPSG:4326")["shapes"] == 1
    with pytest.raises(PlanFileInvalid, match="a Polygon is no point and no route: plan a survey of it"):
        answer(app, area, tmp_path / "c.waypoints", "--height-m", "60")


def test_items_are_read_from_every_kind_of_plan(tmp_path: Path) -> None:
    for name in ("a.waypoints", "b.kml", "c.plan"):
        write_plan(tmp_path / name, survey(), HOME)
        assert mission_hash(plan_items(tmp_path / name)) == mission_hash(survey())
    area = tmp_path / "area.geojson"
    ring = [[76.944, 43.2375], [76.9465, 43.2375], [76.9465, 43.2392], [76.944, 43.2392], [76.944, 43.2375]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    words = ["survey", "--area", str(area), "--camera", "sim-wide", "--height-m", "60", "--json"]
    result = CliRunner().invoke(plan_app, [*words, "--out", str(tmp_path / "plan.json")], catch_exceptions=False)
    summary = json.loads(result.stdout)
    items = plan_items(tmp_path / "plan.json")
    assert mission_hash(items) == summary["vehicles"][0]["hash"]
    with pytest.raises(InputInvalid, match="there is no number 2"):
        plan_items(tmp_path / "plan.json", vehicle=2)
    with pytest.raises(PlanFileInvalid, match="cannot be read"):
        plan_items(tmp_path / "none.plan")


def test_each_flight_of_a_plan_of_ours_is_written_for_another_program(tmp_path: Path) -> None:
    app = typer.Typer()
    app.command()(convert)
    area, plan, target = tmp_path / "area.geojson", tmp_path / "plan.json", tmp_path / "b.waypoints"
    ring = [[76.944, 43.2375], [76.9465, 43.2375], [76.9465, 43.2392], [76.944, 43.2392], [76.944, 43.2375]]
    area.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    words: list[str | Path] = [
        "survey",
        "--area",
        area,
        "--camera",
        "sim-wide",
        "--height-m",
        "60",
        "--vehicles",
        "2",
        "--out",
        plan,
    ]
    made = answer(plan_app, *words)
    for number, flight in enumerate(made["vehicles"], start=1):
        done = answer(app, plan, target, "--vehicle", str(number))
        assert (done["hash"], done["items"]) == (flight["hash"], len(plan_items(target)))
        assert mission_hash(plan_items(target)) == flight["hash"]
        assert done["notes"][0] == f"flight {number} of 2: --vehicle names another"
    with pytest.raises(InputInvalid, match="holds 2 flights, there is no number 3"):
        answer(app, plan, target, "--vehicle", "3")
    with pytest.raises(PlanFileInvalid, match=r"b\.xyz: \.xyz: is none of \.plan"):
        answer(app, plan, tmp_path / "b.xyz")
