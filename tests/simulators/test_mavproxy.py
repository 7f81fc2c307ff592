"""MAVProxy knows nothing of us: it loads a mission, arms, starts it, and sees the end and the landing."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest
from pymavlink import mavutil

from fleet.missions import MissionItem
from fleet.waypoints import to_waypoints
from geo.positions import Altitude, Datum, Position
from tests.simulators.test_vehicle_on_the_wire import free_port

MAVPROXY = Path(__file__).parents[2] / ".venv-judges" / "bin" / "mavproxy.py"
AUTOPILOTS = ("ardupilot", "px4")
MODULES = "wp,arm,mode,misc,cmdlong"
LAT, LON = 43.238, 76.945
NORTH_DEG, EAST_DEG = 1 / 111_132, 1 / (111_320 * math.cos(math.radians(LAT)))

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not MAVPROXY.exists(), reason="MAVProxy is not installed (scripts/setup --test)"),
]


def waypoints(*, home: bool) -> str:
    """As we export it: up to 30 m, 60 m north, 30 m east, and back. PX4 would fly to the home line."""

    def item(command: int, *params: float, north_m: float = 0.0, east_m: float = 0.0) -> MissionItem:
        four = (*params, *(0.0,) * (4 - len(params)))
        if command not in (16, 22):
            return MissionItem(frame=2, command=command, params=four)  # type: ignore[arg-type]
        x, y = round((LAT + north_m * NORTH_DEG) * 1e7), round((LON + east_m * EAST_DEG) * 1e7)
        return MissionItem(frame=6, command=command, params=four, x=x, y=y, z=30.0)  # type: ignore[arg-type]

    corners = [item(16, north_m=60.0), item(16, north_m=60.0, east_m=30.0)]
    items = [item(22), item(178, 1.0, 8.0, -1.0), *corners, item(20)]
    text = to_waypoints(items, home=Position(lon=LON, lat=LAT, altitude=Altitude(800.0, Datum.AMSL)))
    if home:
        return text
    head, _, *rows = text.splitlines()
    return "\n".join([head, *(re.sub(r"^\d+", str(seq), row) for seq, row in enumerate(rows))]) + "\n"


class Mavproxy:
    """MAVProxy as somebody at a terminal has it: lines in, lines out."""

    def __init__(self, port: int, folder: Path) -> None:
        arguments = [
            "--master", f"udpin:127.0.0.1:{port}", "--default-modules", MODULES, "--state-basedir", str(folder),
            "--aircraft", "judge", "--logfile", "judge.tlog", "--streamrate", "8", "--retries", "0",
        ]  # fmt: skip
        self._process = subprocess.Popen(
            [MAVPROXY.with_name("python"), "-u", MAVPROXY, *arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=folder,
            env={**os.environ, "HOME": str(folder)},
        )  # fmt: skip
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line

    def do(self, line: str) -> None:
        """Type a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def says(self, pattern: str, timeout_s: float, *, after: int = 0) -> int:
        """Wait for words; where they end in what was said so far."""
        deadline_s = time.monotonic() + timeout_s
        while (found := re.compile(pattern).search(self.output, after)) is None:
            assert self._process.poll() is None, self.output[-2000:]
            assert time.monotonic() < deadline_s, f"{pattern!r} not said within {timeout_s} s: {self.output[-2000:]}"
            time.sleep(0.05)
        return found.end()

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()  # ends it as Ctrl-D does
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(5)
        self._process.stdout.close()


@contextmanager
def flying(autopilot: str, folder: Path) -> Iterator[Mavproxy]:
    """MAVProxy, and a simulated vehicle of ours that calls it."""
    port = free_port()
    command = [
        sys.executable, "-c", "from simulators.commands import sim_app; sim_app()", "vehicle", "--sysid", "7",
        "--home", f"{LAT},{LON},800", "--link", f"udpout:127.0.0.1:{port}", "--speedup", "12", "--seed", "4",
        "--wind-m-s", "4", "--autopilot", autopilot,
    ]  # fmt: skip
    judge = Mavproxy(port, folder)
    vehicle = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        yield judge
    finally:
        vehicle.terminate()
        vehicle.wait(20)
        judge.close()


class Recorded(NamedTuple):
    """A flight as MAVProxy's own .tlog has it."""

    highest_m: float
    farthest_m: float
    landed_m: float
    items: list[int]
    """MISSION_ITEM_REACHED, in order, as often as it was said."""


def recorded(folder: Path) -> Recorded:
    (path,) = folder.glob("judge/logs/*/flight1/flight.tlog")
    log = mavutil.mavlogfile(str(path))
    highest_m = farthest_m = landed_m = 0.0
    items: list[int] = []
    while (message := log.recv_match(type=["GLOBAL_POSITION_INT", "MISSION_ITEM_REACHED"])) is not None:
        if message.get_type() == "MISSION_ITEM_REACHED":
            items.append(message.seq)
        elif message.lat:
            highest_m = max(highest_m, message.relative_alt / 1000.0)
            north_m, east_m = (message.lat / 1e7 - LAT) / NORTH_DEG, (message.lon / 1e7 - LON) / EAST_DEG
            landed_m = math.hypot(north_m, east_m)
            farthest_m = max(farthest_m, landed_m)
    log.close()
    return Recorded(highest_m, farthest_m, landed_m, items)


def rows(text: str) -> list[tuple[int, float, float, float]]:
    """Command, latitude, longitude, height of the items of a .waypoints file, but for a home."""
    found = [line.split("\t") for line in text.splitlines()[1:]]
    items = [(int(row[3]), float(row[8]), float(row[9]), float(row[10])) for row in found]
    return [item for item in items if item[3] < 100.0]


def listed(said: str) -> list[tuple[int, float, float, float]]:
    """The same of what `wp list` printed."""
    lines = re.findall(r"^(\d+) \d (-?[\d.]+) (-?[\d.]+) (-?[\d.]+) p1=", said, re.MULTILINE)
    items = [(int(command), float(lat), float(lon), float(z)) for command, lat, lon, z in lines]
    return [item for item in items if item[3] < 100.0]


def fly(autopilot: str, folder: Path) -> str:
    """As a person types it; what MAVProxy said."""
    ours, ardupilot = folder / "ours.waypoints", autopilot == "ardupilot"
    ours.write_text(waypoints(home=ardupilot))
    with flying(autopilot, folder) as judge:
        judge.says("Detected vehicle 7:1", 60)
        judge.do("long SET_MESSAGE_INTERVAL 33 250000")
        judge.says("SET_MESSAGE_INTERVAL: ACCEPTED", 20)
        judge.do(f"wp load {ours}")
        judge.says("Got MISSION_ACK: TYPE_MISSION: ACCEPTED", 30)
        judge.do("wp list")
        judge.says("Saved . waypoints to", 30)
        deadline_s = time.monotonic() + 60
        while "COMPONENT_ARM_DISARM: ACCEPTED" not in judge.output:
            assert time.monotonic() < deadline_s, judge.output[-2000:]
            judge.do("mode GUIDED; arm throttle" if ardupilot else "arm throttle")
            time.sleep(0.2)
        judge.do("mode AUTO; long MISSION_START 0 0" if ardupilot else "long MISSION_START 0 0")
        started = judge.says("MISSION_START: ACCEPTED", 20)
        judge.says("Mode (AUTO|MISSION)", 20)
        judge.says("DISARMED", 120, after=started)
    return judge.output


@pytest.fixture(scope="module")
def flights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, Path]]:
    """One of each autopilot, at the same time: what MAVProxy said, and its folder."""
    folders = {autopilot: tmp_path_factory.mktemp(autopilot) for autopilot in AUTOPILOTS}
    with ThreadPoolExecutor() as pool:
        said = pool.map(fly, folders, folders.values())
        return {autopilot: (words, folders[autopilot]) for autopilot, words in zip(folders, said, strict=True)}


@pytest.mark.parametrize("autopilot", AUTOPILOTS)
def test_mavproxy_flies_a_waypoints_file(flights: dict[str, tuple[str, Path]], autopilot: str) -> None:
    said, folder = flights[autopilot]
    assert len(listed(said)) == 5
    for read_back, ours in zip(listed(said), rows((folder / "ours.waypoints").read_text()), strict=True):
        assert read_back == pytest.approx(ours, abs=2e-7), "what MAVProxy read back is what it sent"
    flight = recorded(folder)
    assert flight.items == sorted(flight.items)
    assert flight.items[-1] >= 3
    assert flight.highest_m == pytest.approx(30.0, abs=3.5)
    assert flight.farthest_m == pytest.approx(67.1, abs=4.0)
    assert flight.landed_m < 5.0
