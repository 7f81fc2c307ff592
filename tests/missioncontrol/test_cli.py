"""The command line as people use it: one clear line for whatever is wrong, and nothing half-done."""

from __future__ import annotations

import contextlib
import io
import json
import socket
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from fleet.keys import KeyStore
from missioncontrol.cli import FLYING, OTHERS, SEEING, SERVICE, main

MISSIONCONTROL = Path(sys.executable).parent / "missioncontrol"
PLOT = [[76.9451, 43.2381], [76.9455, 43.2381], [76.9455, 43.2384], [76.9451, 43.2384], [76.9451, 43.2381]]
SQUARE = [[76.944, 43.2375], [76.9465, 43.2375], [76.9465, 43.2392], [76.944, 43.2392], [76.944, 43.2375]]


class Done(NamedTuple):
    """What a command left behind."""

    returncode: int
    stdout: str
    stderr: str


def run(*arguments: str | Path, cwd: Path) -> Done:
    """The command line in this process: most of the time of one of its own goes into loading libraries."""
    output, errors = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["missioncontrol", *map(str, arguments)])
        patch.chdir(cwd)
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            try:
                main()
            except SystemExit as ended:
                return Done(int(ended.code or 0), output.getvalue(), errors.getvalue())
    raise AssertionError("the command line did not end with an exit code")


def run_alone(*arguments: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    """The command as it is installed, in a process of its own."""
    return subprocess.run(
        [MISSIONCONTROL, *map(str, arguments)], capture_output=True, text=True, timeout=200, cwd=cwd, check=False
    )


def refused(*arguments: str | Path, cwd: Path, code: int) -> str:
    """The one line of an error, once the exit code and the silence of stdout are checked."""
    done = run(*arguments, cwd=cwd)
    assert (done.returncode, done.stdout) == (code, ""), done.stderr
    (line,) = [text for text in done.stderr.splitlines() if text.startswith("error:")]
    assert "Traceback" not in done.stderr
    return line


def area(folder: Path, ring: list[list[float]]) -> Path:
    path = folder / "area.geojson"
    path.write_text(json.dumps({"type": "Polygon", "coordinates": [ring]}))
    return path


def plan(folder: Path, path: Path, *more: str | Path) -> list[str | Path]:
    given = dict(zip(more[::2], more[1::2], strict=True))
    options = {"--area": path, "--camera": "sony-rx1r2", "--height-m": "80", "--out": folder / "plan.json", **given}
    return ["plan", "survey", *(part for option in options.items() for part in option), "--json"]


@pytest.fixture
def port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_survey_is_planned_with_the_figures_of_the_contract(tmp_path: Path) -> None:
    done = run(*plan(tmp_path, area(tmp_path, SQUARE), "--qgc-plan", tmp_path / "out.plan"), cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    wanted = {"hash", "lines", "path_m", "photos", "duration_s", "energy_wh", "sorties", "area_m2", "gsd_cm", "plan_s"}
    assert wanted <= set(answer)
    assert set(answer["gsd_cm"]) == {"min", "median", "max"}
    assert answer["area_m2"] == pytest.approx(38_351, rel=0.01)
    written = json.loads((tmp_path / "plan.json").read_text())
    items = written["vehicles"][0]["items"]
    assert set(items[0]) >= {"seq", "frame", "command", "params", "x", "y", "z"}
    assert [item["seq"] for item in items] == list(range(len(items)))
    assert items[0]["command"] == 22
    assert json.loads((tmp_path / "out.plan").read_text())["fileType"] == "Plan"


def test_cameras_are_listed_by_slug(tmp_path: Path) -> None:
    slugs = {entry["slug"] for entry in json.loads(run("plan", "cameras", "--json", cwd=tmp_path).stdout)}
    assert {"sony-rx1r2", "dji-zenmuse-p1-35mm"} <= slugs


@pytest.mark.parametrize(
    ("ring", "said"),
    [
        ([[0, 0], [0.01, 0.01], [0.01, 0], [0, 0.01], [0, 0]], "crosses itself"),
        ([[0, 0], [0, 0], [0, 0], [0, 0]], "area"),
        ([[179.9, 0], [-179.9, 0], [-179.9, 0.1], [179.9, 0.1], [179.9, 0]], "antimeridian"),
        ([], ""),
    ],
)
def test_a_broken_area_is_one_line_and_no_plan(tmp_path: Path, ring: list[list[float]], said: str) -> None:
    line = refused(*plan(tmp_path, area(tmp_path, ring)), cwd=tmp_path, code=2)
    assert said in line
    assert not (tmp_path / "plan.json").exists()


def test_a_million_vertices_are_planned_over_as_few_as_they_need(tmp_path: Path) -> None:
    angle = np.linspace(0, 2 * np.pi, 1_000_001)
    ring = np.stack([76.9 + 0.01 * np.cos(angle), 43.2 + 0.01 * np.sin(angle)], axis=1).round(9).tolist()
    ring[-1] = ring[0]
    path = area(tmp_path, ring)
    assert run(*plan(tmp_path, path), cwd=tmp_path).returncode == 0
    ring = [[76.9 + 0.01 * x, 43.2 + 0.01 * y] for x, y in np.random.default_rng(1).random((1_000_000, 2))]
    path = area(tmp_path, [*ring, ring[0]])
    assert "1000000 vertices are needed" in refused(*plan(tmp_path, path), cwd=tmp_path, code=2)


def test_a_wrong_option_of_a_plan_is_named_as_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "area.geojson").write_text(json.dumps({"type": "Polygon", "coordinates": [SQUARE]}))
    words = ("plan", "survey", "--area", "area.geojson", "--camera", "sim-wide", "--out", "plan.json")
    assert refused(*words, cwd=tmp_path, code=2) == "error: --gsd-cm, --height-m: give one of the two"
    said = refused(*words, "--height-m", "-5", cwd=tmp_path, code=2)
    assert said == "error: --height-m: Expected `float` > 0.0"
    said = refused(*words, "--height-m", "60", "--begins-utc", "noon", cwd=tmp_path, code=2)
    assert said.startswith("error: --begins-utc: 'noon' is no time")
    assert not (tmp_path / "plan.json").exists()


def test_help_of_a_pattern_shows_values_that_can_be_given(tmp_path: Path) -> None:
    said = run("plan", "corridor", "--help", cwd=tmp_path).stdout
    assert "Recording" not in said
    assert "both|left|right" in said
    wrong = ("plan", "corridor", "--line", "l", "--width-m", "9", "--camera", "c", "--out", "o", "--side", "up")
    done = run(*wrong, cwd=tmp_path)
    assert done.returncode == 2
    assert "'left'" in done.stderr


def test_commands_are_listed_by_what_they_are_for(tmp_path: Path) -> None:
    said = run("--help", cwd=tmp_path).stdout
    assert "─ Commands ─" not in said  # where a command without a place would stand
    assert all(f"─ {panel} ─" in said for panel in (SERVICE, FLYING, SEEING, OTHERS))


def test_lists_can_be_piped(tmp_path: Path) -> None:
    cameras = run("plan", "cameras", cwd=tmp_path)
    assert any(line.startswith("sony-rx1r2 ") for line in cameras.stdout.splitlines())
    assert cameras.stderr == ""
    assert run("models", "list", cwd=tmp_path).stdout.startswith("city-nano")


def test_the_version_is_told(tmp_path: Path) -> None:
    assert run("--version", cwd=tmp_path).stdout == f"missioncontrol {version('missioncontrol')}\n"


def test_an_unknown_camera_gets_a_suggestion(tmp_path: Path) -> None:
    line = refused(*plan(tmp_path, area(tmp_path, SQUARE), "--camera", "sony-rx1r"), cwd=tmp_path, code=2)
    assert "sony-rx1r2" in line


def test_a_missing_dem_is_named(tmp_path: Path) -> None:
    line = refused(*plan(tmp_path, area(tmp_path, SQUARE), "--dem", tmp_path / "no.tif"), cwd=tmp_path, code=1)
    assert "no.tif" in line


def test_an_unreachable_link_is_named(tmp_path: Path, port: int) -> None:
    assert run(*plan(tmp_path, area(tmp_path, SQUARE)), cwd=tmp_path).returncode == 0
    line = refused("fly", "plan.json", "--link", "tcp:127.0.0.1:9", "--json", cwd=tmp_path, code=1)
    assert "127.0.0.1:9" in line


@pytest.mark.slow
@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_a_plan_is_flown_on_a_simulated_vehicle(tmp_path: Path, port: int, autopilot: str) -> None:
    assert run(*plan(tmp_path, area(tmp_path, PLOT), "--height-m", "30"), cwd=tmp_path).returncode == 0
    link = f"127.0.0.1:{port}"
    flavour = ("--autopilot", autopilot, "--speedup", "20")
    vehicle = subprocess.Popen(
        [MISSIONCONTROL, "sim", "vehicle", "--sysid", "7", "--link", f"udpout:{link}", *flavour],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        done = run_alone("fly", "plan.json", "--link", f"udpin:{link}", "--json", cwd=tmp_path)
    finally:
        vehicle.terminate()
        vehicle.wait(10)
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["autopilot"] == autopilot
    assert answer["landed"] is True
    assert answer["reached"] == answer["items"]
    assert answer["max_cross_track_m"] < 5.0
    assert set(answer) >= {"upload_s", "hash", "flight_s"}


def test_a_broken_settings_key_is_named_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "mc.toml").write_text("[fleet]\nheartbeat_timout_s = 3\n")
    line = refused("config", "--settings", "mc.toml", cwd=tmp_path, code=2)
    assert "heartbeat_timout_s" in line
    assert "heartbeat_timeout_s" in line


def test_settings_in_force_mask_secrets(tmp_path: Path) -> None:
    (tmp_path / "mc.toml").write_text('[administrator]\npassword = "very secret"\n')
    done = run("config", "--settings", "mc.toml", cwd=tmp_path)
    assert done.returncode == 0
    assert "very secret" not in done.stdout


@pytest.mark.parametrize(("name", "code"), [("nothing.mp4", 1), ("garbage.mp4", 1), ("concat:a|b", 2)])
def test_a_source_that_is_none_leaves_no_file(tmp_path: Path, name: str, code: int) -> None:
    (tmp_path / "garbage.mp4").write_bytes(b"no video" * 1000)
    line = refused("detect", name, "--out", "found.geojson", "--json", cwd=tmp_path, code=code)
    assert name.split(":")[0] in line
    assert not (tmp_path / "found.geojson").exists()


def test_an_unknown_model_is_refused(tmp_path: Path) -> None:
    line = refused("detect", "x.mp4", "--model", "no-such", "--out", "f.geojson", cwd=tmp_path, code=2)
    assert "no-such" in line


def test_every_command_has_help_with_an_example(tmp_path: Path) -> None:
    commands = [
        "demo", "serve", "config", "adapters", "fly", "locate", "detect", "sim vehicle", "sim world", "sim city",
        "plan survey", "plan cameras", "models list", "models train", "models evaluate",
    ]  # fmt: skip
    for command in commands:
        done = run(*command.split(), "--help", cwd=tmp_path)
        assert done.returncode == 0, command
        assert "Example: " in done.stdout, command


def test_adapters_are_listed(tmp_path: Path) -> None:
    assert json.loads(run("adapters", "--json", cwd=tmp_path).stdout)["sinks"].keys() >= {"mqtt", "webhook"}


def test_keys_are_listed_by_their_fingerprint_and_never_shown(tmp_path: Path) -> None:
    assert run("keys", "identity", "identity", cwd=tmp_path).returncode == 0
    settings = tmp_path / "settings.toml"
    settings.write_text('[fleet]\nkey_store = "keys.age"\nkey_identity = "identity"\n')
    key = KeyStore(tmp_path / "keys.age", identity=tmp_path / "identity").generate("UP-1", sysid=3, utc_s=1.79e9).key
    listed = run("keys", "list", "--settings", "settings.toml", cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert "UP-1" in listed.stdout
    assert "sysid 3" in listed.stdout
    assert (
        key.hex()
        not in listed.stderr + run("keys", "list", "--settings", "settings.toml", "--json", cwd=tmp_path).stdout
    )
    assert "File exists" in refused("keys", "identity", "identity", cwd=tmp_path, code=1)
    (tmp_path / "half.toml").write_text('[fleet]\nkey_store = "keys.age"\n')
    assert "give both or none" in refused("keys", "list", "--settings", "half.toml", cwd=tmp_path, code=2)


def test_who_lost_the_password_gets_another_by_the_command_line(tmp_path: Path) -> None:
    settings = tmp_path / "mc.toml"
    settings.write_text('data = "data"\n')
    (tmp_path / "data").mkdir()
    added = run("people", "add", "aigul", "--role", "administrator", "--settings", settings, "--json", cwd=tmp_path)
    first = json.loads(added.stdout)
    again = run("people", "password", "aigul", "--settings", settings, "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["password"] != first["password"]
    listed = run("people", "list", "--settings", settings, cwd=tmp_path)
    assert listed.stdout.split() == ["aigul", "administrator", "(en)"]
    assert "there are: operator, inspector, administrator" in refused(
        "people", "roles", "aigul", "--role", "pilot", "--settings", settings, cwd=tmp_path, code=2
    )
    assert "last administrator" in refused("people", "remove", "aigul", "--settings", settings, cwd=tmp_path, code=1)
    assert "nobody is named" in refused("people", "password", "x", "--settings", settings, cwd=tmp_path, code=1)
