"""Settings: overrides, errors that name the key, secrets."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest

from missioncontrol.errors import SettingsInvalid
from missioncontrol.incident_settings import KindRule
from missioncontrol.settings import Settings
from missioncontrol.settings_files import MASK, explained, load, masked, to_toml

WHOLE = """
data = "state"
[http]
port = 8080
[fleet]
heartbeat_timeout_s = 2
links = ["udpin:0.0.0.0:14550", "tcp:10.0.0.1:5760"]
[terrain]
dem = "dem.tif"
[[vehicles]]
sysid = 3
name = "Alpha"
camera = "sim-wide"
home = { lon = 76.9, lat = 43.2 }
[[sinks]]
name = "dispatch"
kind = "mqtt"
options = { host = "127.0.0.1", password = "hunter2" }
[routes]
default = ["dispatch"]
[perception.confidence]
dump = 0.5
[incidents.kinds.pothole]
window_s = 86400
"""


def load_text(folder: Path, text: str, **environ: str) -> Settings:
    path = folder / "missioncontrol.toml"
    path.write_text(text)
    return load(path, environ)


def test_a_file_is_read_into_the_tree_with_paths_from_its_folder(tmp_path: Path) -> None:
    settings = load_text(tmp_path, WHOLE)
    assert settings.http.port == 8080
    assert settings.fleet.heartbeat_timeout_s == 2.0
    assert settings.vehicles[0].home is not None
    assert settings.vehicles[0].home.lat == 43.2
    assert settings.terrain.dem == tmp_path / "dem.tif"
    assert settings.data == tmp_path / "state"
    assert settings.perception.confidence == {"dump": 0.5}
    assert settings.incidents.rule_of("pothole") == KindRule(window_s=86400.0)
    assert settings.sinks_of("fire") == ("dispatch",)
    assert settings.store_url() == f"sqlite:///{tmp_path}/state/missioncontrol.sqlite"


def test_the_environment_wins(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        WHOLE,
        MC__FLEET__HEARTBEAT_TIMEOUT_S="3",
        MC__PERCEPTION__CONFIDENCE__FIRE="0.25",
        MC__PERCEPTION__ENABLED="false",
        MC__VEHICLES='[{"sysid": 9, "name": "Other"}]',
        OTHER__VARIABLE="1",
    )
    assert settings.fleet.heartbeat_timeout_s == 3.0
    assert settings.perception.confidence == {"dump": 0.5, "fire": 0.25}
    assert settings.perception.enabled is False
    assert [vehicle.sysid for vehicle in settings.vehicles] == [9]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[fleet]\nheartbeat_timout_s = 3", ["fleet.heartbeat_timout_s", "did you mean fleet.heartbeat_timeout_s?"]),
        ("[fleett]\nlinks = []", ["fleett", "did you mean fleet?"]),
        ("[[vehicles]]\nsysid = 1\nnme = 'a'", ["vehicles[0].nme", "vehicles[0].name"]),
        ("[perception.sigmas]\nyaw = 3", ["perception.sigmas.yaw", "yaw_deg"]),
        ("[incidents.kinds.dump]\nwindow = 3", ["incidents.kinds.dump.window", "window_s"]),
        ("[http]\nxyzzy = 3", ["http.xyzzy", "[http] has: host, port"]),
        ("[http]\nport = 'eight'", ["http.port", "int"]),
        ("[http]\nport = 70000", ["http.port", "65535"]),
        ("[fleet]\nheartbeat_timeout_s = -1", ["fleet.heartbeat_timeout_s", "> 0"]),
        ("data = 3", ["data", "expected a path"]),
        ("[http", ["is not TOML"]),
        ("[[vehicles]]\nsysid=1\nname='a'\nlinks=['tcp:h:1']", ["vehicles: a: links: no link 'tcp:h:1'"]),
        ("[[vehicles]]\nsysid=1\nname='a'\n[[vehicles]]\nsysid=1\nname='b'", ["sysid 1 is given twice"]),
        ("[routes]\nfire = ['dispatch-112']", ["routes.fire", "dispatch-112", "none"]),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load_text(tmp_path, text)
    for word in [*words, "missioncontrol.toml"]:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("variable", "value", "word"),
    [
        ("MC__FLEET__HEARTBEAT_TIMOUT_S", "3", "did you mean fleet.heartbeat_timeout_s?"),
        ("MC__VEHICLES", '[{"sysd": 1, "name": "a"}]', "did you mean vehicles[0].sysid?"),
        ("MC__VEHICLES", "[1", "is not JSON"),
        ("MC__HTTP__PORT__X", "1", "http.port.x"),
    ],
)
def test_a_misspelt_variable_is_named(variable: str, value: str, word: str) -> None:
    with pytest.raises(SettingsInvalid) as caught:
        load(None, {variable: value})
    assert variable in str(caught.value)
    assert word in str(caught.value)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsInvalid, match=r"absent\.toml: cannot be read"):
        load(tmp_path / "absent.toml", {})


def test_secrets_are_masked_and_the_rest_can_be_read_back(tmp_path: Path) -> None:
    settings = load_text(
        tmp_path,
        WHOLE,
        MC__ADMINISTRATOR__PASSWORD="s3cret-word",
        MC__STORE__URL="postgresql://someone:s3cret-word@db/x",
    )
    text = to_toml(settings)
    assert "hunter2" not in text
    assert "s3cret-word" not in text
    assert f"postgresql://someone:{MASK}@db/x" in text
    assert masked(settings)["sinks"][0]["options"] == {"host": "127.0.0.1", "password": MASK}
    (tmp_path / "again.toml").write_text(text)
    again = load(tmp_path / "again.toml", {})
    assert again.vehicles == settings.vehicles
    assert again.fleet == settings.fleet
    assert tomllib.loads(text)["http"]["port"] == 8080


def test_the_runtime_for_gpus_can_be_set_and_nonsense_cannot(tmp_path: Path) -> None:
    assert load_text(tmp_path, "", MC__PERCEPTION__RUNTIME="onnxruntime-gpu").perception.runtime == "onnxruntime-gpu"
    with pytest.raises(SettingsInvalid, match=r"perception\.runtime"):
        load_text(tmp_path, "", MC__PERCEPTION__RUNTIME="abacus")


def test_the_public_address_is_one(tmp_path: Path) -> None:
    assert load_text(tmp_path, '[http]\npublic_url = "https://a.example/mc"').http.public_url == "https://a.example/mc"
    for wrong in ("a.example", "ftp://a.example", "https://", "https:///x"):
        with pytest.raises(SettingsInvalid, match=r"http\.public_url"):
            load_text(tmp_path, f'[http]\npublic_url = "{wrong}"')


def test_receivers_without_a_route_are_known(tmp_path: Path) -> None:
    assert load_text(tmp_path, WHOLE).unrouted_sinks() == ()
    assert load_text(tmp_path, WHOLE.replace('default = ["dispatch"]', "")).unrouted_sinks() == ("dispatch",)


def test_every_key_is_explained_and_what_is_written_there_is_the_default(tmp_path: Path) -> None:
    text = explained()
    assert "# TCP port; 0 takes a free one.\nport = 8000\n" in text
    assert "# [[vehicles]]\n# MAVLink system id.\n# sysid =\n" in text
    said = [line for line in text.splitlines() if line and not line.startswith("[")]
    bare = [line for line, before in zip(said[1:], said, strict=False) if " = " in line and not before.startswith("# ")]
    assert [line for line in bare if not line.startswith("#")] == []
    (tmp_path / "all.toml").write_text(text)
    (tmp_path / "none.toml").write_text("")
    assert load(tmp_path / "all.toml", {}) == load(tmp_path / "none.toml", {})


def test_a_link_that_is_none_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('[fleet]\nlinks = ["upd:0.0.0.0:1"]\n')
    with pytest.raises(SettingsInvalid, match=r"a\.toml: fleet\.links: link 'upd:0\.0\.0\.0:1': unknown kind 'upd'"):
        load(tmp_path / "a.toml", {})
