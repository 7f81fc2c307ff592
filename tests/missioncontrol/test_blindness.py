"""Mission control cannot see the simulated world's truth: neither its code nor its inputs lead there."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from simulators.deployment import Ports, Secrets, settings_of
from simulators.world import World
from simulators.world.registers import write_public_files

SERVE = """
import sys
from missioncontrol import cli
cli.add_commands(["serve"])
import missioncontrol.service, missioncontrol.perception, aerial_models.detectors
print([name for name in sys.modules if name.split(".")[0] == "simulators"])
"""


def test_the_service_loads_no_simulator() -> None:
    done = subprocess.run([sys.executable, "-c", SERVE], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.strip() == "[]"


def test_what_the_demo_gives_the_service_holds_no_truth(tmp_path: Path) -> None:
    world = World.build(99)
    public = write_public_files(world, tmp_path / "public")
    truth = world.truth_geojson()["features"]
    assert len(truth) > 20
    ports = Ports(http=1, mavlink=2, rtsp=3, city=4, broker=5)
    settings = json.dumps(
        settings_of(world, tmp_path, ports, vehicles=2, broker=True, keys=Secrets("password", "whsec_a2V5"))
    )
    texts = settings + "".join(path.read_text() for path in public.values() if path.suffix == ".geojson")
    for feature in truth:
        assert feature["id"] not in texts
        lon, lat = feature["geometry"]["coordinates"][0][0]
        assert not re.search(rf"{lon:.6f}\d*, ?{lat:.6f}", texts)
    assert "truth" not in texts
