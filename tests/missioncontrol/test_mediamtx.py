"""Each vehicle as a camera for video systems: paths of MediaMTX and addresses by the command line."""

from __future__ import annotations

import json
from pathlib import Path

import msgspec
import pytest

from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.mediamtx import path_settings
from missioncontrol.settings import Settings
from missioncontrol.settings_files import load
from tests.missioncontrol.test_cli import run

SETTINGS = """
[video]
rtsp_out = "rtsp://video.city:8554"
[[vehicles]]
sysid = 1
name = "alpha"
video = "rtsp://eye:secret@10.0.0.5:8554/main"
[[vehicles]]
sysid = 2
name = "blind"
[[vehicles]]
sysid = 3
name = "gamma"
video = "rtsp://mediamtx:8554/vehicle-3"
"""


def vehicle(sysid: int, video: str | None) -> VehicleSettings:
    return VehicleSettings(sysid=sysid, name=f"v{sysid}", video=video)


@pytest.mark.parametrize(
    ("video", "path"),
    [
        ("rtsp://h:1/x", {"source": "rtsp://h:1/x", "sourceOnDemand": True, "rtspTransport": "tcp"}),
        ("rtsps://h/x", {"source": "rtsps://h/x", "sourceOnDemand": True, "rtspTransport": "tcp"}),
        ("srt://h:9?streamid=a", {"source": "srt://h:9?streamid=a", "sourceOnDemand": True}),
        ("udp://@0.0.0.0:5600", {"source": "udp+mpegts://0.0.0.0:5600", "sourceOnDemand": True}),
        ("rtsp://u:p@media:8554/vehicle-7", {}),
    ],
)
def test_a_vehicle_is_asked_for_video_on_demand_unless_it_publishes(video: str, path: dict[str, object]) -> None:
    settings = Settings(vehicles=(vehicle(7, video), vehicle(8, None)))
    assert path_settings(settings, "media:8554") == {"vehicle-7": path}


def test_the_command_line_tells_addresses_and_paths(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SETTINGS)
    done = run("video", "addresses", "--settings", "s.toml", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [
        {"sysid": 1, "name": "alpha", "whep": "/api/v1/whep/1", "rtsp": "rtsp://video.city:8554/vehicle-1"},
        {"sysid": 3, "name": "gamma", "whep": "/api/v1/whep/3", "rtsp": "rtsp://video.city:8554/vehicle-3"},
    ]
    assert "secret" not in done.stdout
    done = run("video", "mediamtx", "--settings", "s.toml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    paths = msgspec.yaml.decode(done.stdout)["paths"]
    assert paths["vehicle-1"]["source"] == "rtsp://eye:secret@10.0.0.5:8554/main"
    assert paths["vehicle-3"] is None
    assert "passwords" in done.stderr
    (tmp_path / "s.toml").write_text("")
    done = run("video", "mediamtx", "--settings", "s.toml", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")


def test_the_address_of_a_vehicle_is_known_where_the_settings_name_a_media_server(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(SETTINGS)
    settings = load(tmp_path / "s.toml", {})
    assert [settings.rtsp_out(sysid) for sysid in (1, 2, 9)] == ["rtsp://video.city:8554/vehicle-1", None, None]
    assert load(tmp_path / "s.toml", {"MC__VIDEO__RTSP_OUT": ""}).rtsp_out(1) is None


def test_the_media_server_beside_the_service_reads_its_file() -> None:
    """The file that docker/compose.yaml mounts: YAML, and a path for each simulated vehicle."""
    file = msgspec.yaml.decode((Path(__file__).parents[2] / "docker" / "mediamtx.yml").read_text())
    simulated = file["paths"]["~^vehicle-([123])$"]
    assert simulated["source"] == "rtsp://sim:8555/vehicle-$G1"
    assert simulated["sourceOnDemand"] is True
    assert all(user["user"] != "any" for user in file["authInternalUsers"])
