from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pymavlink.dialects.v20 import ardupilotmega as mavlink
from typer.testing import CliRunner

from simulators.clock import SimClock
from simulators.commands import sim_app
from simulators.vehicle import SimulatedVehicle
from tests.simulators.ground import HOME

FLIGHT = Path(__file__).with_name("mavsdk_flight.py")


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Datagrams(asyncio.DatagramProtocol):
    """Keeps what comes in, by sender."""

    def __init__(self) -> None:
        self.messages: list[Any] = []
        self.senders: dict[int, Any] = {}
        self._parser = mavlink.MAVLink(None)
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: Any) -> None:
        for message in self._parser.parse_buffer(data) or []:
            self.messages.append(message)
            self.senders[message.get_srcSystem()] = addr


async def test_three_vehicles_share_a_process_and_little_of_a_core() -> None:
    port = free_port()
    loop = asyncio.get_running_loop()
    _, ground = await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", port))
    clock = SimClock(start_utc_s=1.8e9, speedup=8.0)
    vehicles = [
        SimulatedVehicle(sysid=n, home=HOME, link=f"udpout:127.0.0.1:{port}", clock=clock, seed=n) for n in (1, 2, 3)
    ]
    tasks = [asyncio.create_task(vehicle.run()) for vehicle in vehicles]
    await asyncio.sleep(0.3)
    mav = mavlink.MAVLink(None, srcSystem=255, srcComponent=190)
    for sysid, address in ground.senders.items():
        for number, hz in ((33, 4), (30, 4), (1, 1), (24, 1), (147, 1), (42, 1), (285, 4), (245, 1)):
            order = mavlink.MAVLink_command_long_message(sysid, 1, 511, 0, number, 1e6 / hz, 0, 0, 0, 0, 0)
            ground.transport.sendto(order.pack(mav), address)
    await asyncio.sleep(0.2)
    ground.messages.clear()
    cpu, wall = time.process_time(), time.monotonic()
    await asyncio.sleep(2.0)
    used = (time.process_time() - cpu) / (time.monotonic() - wall)
    for task in tasks:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    ground.transport.close()
    assert set(ground.senders) == {1, 2, 3}
    positions = [m for m in ground.messages if m.get_type() == "GLOBAL_POSITION_INT"]
    assert len(positions) == pytest.approx(3 * 4 * 8 * 2.0, rel=0.2)
    print(f"three vehicles at 8 times: {used:.2f} of a core, the parsing ground included")
    assert used < 0.6  # the machine may be loaded; alone it is a third of that


async def test_two_grounds_by_tcp_hear_the_same_vehicle() -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    clock = SimClock(start_utc_s=1.8e9, speedup=10.0)
    vehicle = SimulatedVehicle(sysid=9, home=HOME, link=f"tcpin:127.0.0.1:{port}", clock=clock)
    task = asyncio.create_task(vehicle.run())
    await asyncio.sleep(0.1)
    streams = [await asyncio.open_connection("127.0.0.1", port) for _ in range(2)]
    mav = mavlink.MAVLink(None, srcSystem=255, srcComponent=190)
    request = mavlink.MAVLink_command_long_message(9, 1, 512, 0, 148, 0, 0, 0, 0, 0, 0)
    streams[0][1].write(request.pack(mav))
    kinds: list[set[str]] = []
    for reader, _ in streams:
        parser, heard = mavlink.MAVLink(None), set()
        async with asyncio.timeout(5.0):
            while not {"HEARTBEAT", "COMMAND_ACK", "AUTOPILOT_VERSION"} <= heard:
                heard |= {m.get_type() for m in parser.parse_buffer(await reader.read(4096)) or []}
        kinds.append(heard)
    for _, writer in streams:
        writer.close()
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert len(kinds) == 2


@pytest.mark.slow
@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_mavsdk_flies_it_by_the_command_line(autopilot: str) -> None:
    """mavsdk knows nothing of us: it uploads, arms, starts, sees the end and the landing."""
    port = free_port()
    command = [
        sys.executable, "-c", "from simulators.commands import sim_app; sim_app()", "vehicle", "--sysid", "7",
        "--home", "43.238,76.945,800", "--link", f"udpout:127.0.0.1:{port}", "--speedup", "15", "--seed", "4",
        "--wind-m-s", "4", "--autopilot", autopilot,
    ]  # fmt: skip
    vehicle = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        flight = subprocess.run(
            [sys.executable, str(FLIGHT), str(port)], capture_output=True, text=True, timeout=200, check=False
        )
    finally:
        vehicle.terminate()
        ended = vehicle.wait(timeout=20)
    assert ended == 0
    assert flight.returncode == 0, flight.stderr[-2000:]
    said = json.loads(flight.stdout.strip().splitlines()[-1])
    assert said["autopilot"] == autopilot.upper()
    assert said["uploaded"] == said["read_back"]
    assert said["armed"]
    assert said["progress"] == sorted(said["progress"])
    assert said["progress"][-1] == said["items"]
    assert said["highest_m"] == pytest.approx(30.0, abs=3.5)
    assert said["farthest_m"] == pytest.approx(117.0, abs=6.0)
    assert said["landed_m"] < 6.0
    assert 50.0 < said["battery_percent"] < 100.0


def test_a_wrong_home_or_link_is_a_usage_error() -> None:
    runner = CliRunner()
    for arguments in (["--home", "43.238,76.945"], ["--home", "143,76,800"], ["--link", "carrier pigeon"]):
        result = runner.invoke(sim_app, ["vehicle", *arguments])
        assert result.exit_code == 2, arguments
        assert arguments[1] in result.output


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--signing-key", "zz"], "non-hexadecimal"),
        (["--signing-key", "42"], "has 32 bytes"),
        (["--signing-key", "00" * 32], "is no key"),
        (["--signing-key", "42" * 32, "--autopilot", "px4"], "does not sign"),
    ],
)
def test_a_key_that_cannot_be_used_is_a_usage_error(arguments: list[str], words: str) -> None:
    result = CliRunner().invoke(sim_app, ["vehicle", *arguments])
    assert result.exit_code == 2
    assert words in " ".join(result.output.split())


async def test_it_signs_on_both_of_its_links_from_the_start_by_the_command_line() -> None:
    loop = asyncio.get_running_loop()
    ports = [free_port(), free_port()]
    grounds = [(await loop.create_datagram_endpoint(Datagrams, local_addr=("127.0.0.1", port)))[1] for port in ports]
    links = [part for port in ports for part in ("--link", f"udpout:127.0.0.1:{port}")]
    command = "from simulators.commands import sim_app; sim_app()"
    vehicle = await asyncio.create_subprocess_exec(
        sys.executable, "-c", command, "vehicle", *links, "--signing-key", "42" * 32, "--fault", "gps_off",
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        async with asyncio.timeout(60.0):
            while not all(ground.messages for ground in grounds):
                await asyncio.sleep(0.1)
    finally:
        vehicle.terminate()
        await vehicle.wait()
        for ground in grounds:
            ground.transport.close()
    for number, ground in enumerate(grounds):
        frames = [bytes(message.get_msgbuf()) for message in ground.messages]
        assert {(frame[2] & 1, frame[-13]) for frame in frames} == {(1, number)}


def test_a_link_that_cannot_be_bound_is_one_clear_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        address = f"udpin:127.0.0.1:{taken.getsockname()[1]}"
        result = CliRunner().invoke(sim_app, ["vehicle", "--link", address])
    assert result.exit_code == 1
    assert "udpin" in result.output
    assert "Traceback" not in result.output
