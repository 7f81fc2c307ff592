"""mavsdk cannot get round the fleet, and may be killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Never

import pytest

from fleet import mavsdk_bridge
from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import IdentityConflict, LinkLost, SigningInvalid, TransferFailed, VehicleRefused, VehicleUnknown
from fleet.fleet import Fleet
from fleet.framing import decode
from fleet.mavsdk_bridge import COMPID, MavsdkBridge
from fleet.mavsdk_vehicle import MavsdkVehicle
from fleet.recording import read_recording
from fleet.signing import SignatureCheck, SigningTime, SteadyClock, VehicleSigning
from simulators.autopilot_flavour import Mode
from simulators.clock import SimClock
from tests.fleet.conftest import HOME, Fly, proxy_to
from tests.fleet.test_vehicle_contract import hop, registered

ARM, START, LAND = 400, 300, 21
COMMAND_LONG, COMMAND_ACK = 76, 77
SERVER = str(Path(__file__).with_name("mavsdk_file_server.py"))
KEY = bytes(range(32))
"""Of a simulated vehicle."""


@pytest.fixture
def fast() -> SimClock:
    return SimClock(start_utc_s=1_790_000_000.0, speedup=20.0)


@pytest.fixture
async def pair(port: int, simulated: Fly, fast: SimClock) -> AsyncIterator[tuple[Fleet, MavsdkVehicle]]:
    """Vehicle 7, an ArduCopter that can be armed, by mavsdk."""
    simulated(port, sysid=7, clock=fast)
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7, 8)) as fleet,
        MavsdkVehicle(fleet=fleet, sysid=7) as vehicle,
    ):
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        yield fleet, vehicle


def commands(path: Path) -> list[tuple[int, int]]:
    """Component of ours and MAV_CMD of each command in a recording."""
    sent = [(frame.compid, decode(frame)) for _, frame in read_recording(path) if frame.sysid == 255]
    return [(compid, message.command) for compid, message in sent if hasattr(message, "command")]


async def test_what_mavsdk_sends_is_recorded_as_ours(pair: tuple[Fleet, MavsdkVehicle], tmp_path: Path) -> None:
    fleet, vehicle = pair
    fleet.start_recording(7, tmp_path / "flight.tlog")
    await vehicle.arm(await vehicle.upload_mission(hop()))
    fleet.stop_recording(7)
    assert (COMPID, ARM) in commands(tmp_path / "flight.tlog")
    mine = [frame.msgid for _, frame in read_recording(tmp_path / "flight.tlog") if frame.compid == COMPID]
    assert mine.count(73) == len(hop()) + 1, "the items and the home slot, each once"
    assert 0 not in mine, "a second heartbeat"


async def test_mavsdk_arms_and_starts_nothing_unasked(pair: tuple[Fleet, MavsdkVehicle], tmp_path: Path) -> None:
    fleet, vehicle = pair
    fleet.start_recording(7, tmp_path / "flight.tlog")
    await vehicle.upload_mission(hop())
    assert (await vehicle.bridge.call("arm", commands={176})).failure == "TIMEOUT"
    with pytest.raises(LinkLost, match="sysid 7: what mavsdk made for arm was not sent"):
        await vehicle.bridge.call("arm", commands={ARM})
    with pytest.raises(VehicleRefused, match="not armed for an approved mission"):
        await vehicle.start_mission()
    fleet.stop_recording(7)
    assert not vehicle.state.armed
    assert not {ARM, START} & {command for _, command in commands(tmp_path / "flight.tlog")}


async def test_a_mission_start_without_an_answer_is_sent_once_and_seen_in_the_air(
    port: int, simulated: Fly, fast: SimClock, tmp_path: Path
) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        proxy_to(port) as (proxy, way),
        MavsdkVehicle(fleet=fleet, sysid=7) as vehicle,
    ):
        truth = simulated(way, sysid=7, clock=fast)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        await vehicle.arm(await vehicle.upload_mission(hop()))
        fleet.start_recording(7, tmp_path / "flight.tlog")
        asked: list[int] = []

        def drop(msgid: int, upward: bool) -> bool:
            if msgid == COMMAND_LONG and not upward and truth.pilot.mode is Mode.AUTO:
                asked.append(msgid)  # the mode was answered, the start will not be
            return msgid == COMMAND_ACK and bool(asked)

        proxy.drop = drop
        await vehicle.start_mission()
        assert vehicle.state.landed is False
        fleet.stop_recording(7)
        assert commands(tmp_path / "flight.tlog").count((COMPID, START)) == 1


async def test_mavsdk_sends_nothing_while_two_claim_the_sysid(
    pair: tuple[Fleet, MavsdkVehicle], port: int, simulated: Fly, fast: SimClock
) -> None:
    _, vehicle = pair
    simulated(port, sysid=7, clock=fast, home=(77.5, 43.5, 1000.0))
    assert await holds(lambda: vehicle.state.conflict is not None, 8.0)
    for command in (vehicle.rtl, vehicle.disarm):
        with pytest.raises(IdentityConflict, match="sysid 7 gets no commands"):
            await command()
    with pytest.raises(IdentityConflict):
        await vehicle.upload_mission(hop())


async def test_mavsdk_commands_a_vehicle_that_believes_only_what_is_signed(
    port: int, simulated: Fly, tmp_path: Path
) -> None:
    signing = VehicleSigning(SignatureCheck(7, KEY), key=KEY, time=SigningTime(tmp_path / "time"), clock=SteadyClock())
    truth = simulated(port, sysid=7, signing_key=KEY, trusted_link=None)
    fleet = Fleet([f"udpin:127.0.0.1:{port}"], registered(7), signing={7: signing})
    async with fleet, MavsdkVehicle(fleet=fleet, sysid=7) as vehicle:
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        await vehicle.arm(await vehicle.upload_mission(hop()))
        assert truth.pilot.armed
        assert fleet.router.traffic(7).signed


async def test_a_killed_mavsdk_is_said_and_started_again_and_leaves_the_rest_alone(
    pair: tuple[Fleet, MavsdkVehicle], port: int, simulated: Fly, fast: SimClock
) -> None:
    fleet, vehicle = pair
    alarms: list[str] = []
    fleet.on_alarm = alarms.append
    simulated(port, sysid=8, clock=fast, home=(HOME[0] + 0.001, *HOME[1:]))
    ours = fleet.vehicle(7)
    async with MavsdkVehicle(fleet=fleet, sysid=8) as other:
        assert await holds(lambda: other.state.prearm_good is True, 15.0)
        assert (await vehicle.land()).state is CommandState.ACCEPTED
        pid, boot_s = vehicle.bridge.pid, ours.state.boot_s
        assert pid is not None
        assert boot_s is not None
        os.kill(pid, signal.SIGSTOP)
        landing = asyncio.create_task(vehicle.land())
        await asyncio.sleep(0.1)
        os.kill(pid, signal.SIGKILL)
        said = rf"sysid 7: the mavsdk process \(pid {pid}\) ended with -9; it is started again"
        with pytest.raises(LinkLost, match=f"{said}; it was in the middle of land, .* not known"):
            await landing
        with pytest.raises(LinkLost, match=said):
            await vehicle.rtl()
        assert len(alarms) == 1
        assert (await ours.set_mode(FlightMode.MANUAL)).state is CommandState.ACCEPTED
        assert (await other.land()).state is CommandState.ACCEPTED
        assert await holds(lambda: ours.state.boot_s is not None and ours.state.boot_s > boot_s + 5.0, 5.0)
        assert await holds(lambda: vehicle.bridge.pid not in (None, pid), 5.0)
        assert await holds(lambda: vehicle.bridge.found, 5.0)
        assert (await vehicle.land()).state is CommandState.ACCEPTED
    assert len(alarms) == 1


async def test_a_mavsdk_that_hangs_is_ended_and_started_again(port: int, simulated: Fly, fast: SimClock) -> None:
    simulated(port, sysid=7, clock=fast)
    alarms: list[str] = []
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        MavsdkBridge(fleet.router, 7, alarm=alarms.append, silent_s=2.0) as bridge,
    ):
        assert await holds(lambda: bridge.found, 5.0)
        pid = bridge.pid
        assert pid is not None
        os.kill(pid, signal.SIGSTOP)
        assert await holds(lambda: bool(alarms), 5.0)
        assert alarms == [f"sysid 7: the mavsdk process (pid {pid}) hung for 2 s; it is started again"]
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
        assert await holds(lambda: bridge.found, 5.0)
        assert (await bridge.call("land", commands={LAND})).failure is None


async def test_a_command_that_nobody_answers_is_unknown(port: int, simulated: Fly, fast: SimClock) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        proxy_to(port) as (proxy, way),
        MavsdkVehicle(fleet=fleet, sysid=7) as vehicle,
    ):
        simulated(way, sysid=7, clock=fast)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        proxy.drop = lambda msgid, upward: msgid == COMMAND_ACK
        result = await vehicle.disarm()
        assert (result.state, result.result) == (CommandState.UNKNOWN, None)
        assert result.text == "sysid 7 did not answer COMPONENT_ARM_DISARM"


def orders(path: Path, command: int) -> list[tuple[int, float, float]]:
    """Component of ours and the first two parameters of each COMMAND_LONG of this MAV_CMD in a recording."""
    sent = [(frame.compid, decode(frame)) for _, frame in read_recording(path) if frame.sysid == 255]
    return [(by, told.param1, told.param2) for by, told in sent if getattr(told, "command", None) == command]


async def test_nothing_that_mavsdk_repeats_goes_out_after_an_urgent_order(
    port: int, simulated: Fly, fast: SimClock, tmp_path: Path
) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        proxy_to(port) as (proxy, way),
        MavsdkVehicle(fleet=fleet, sysid=7) as vehicle,
    ):
        simulated(way, sysid=7, clock=fast)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0)
        assert await holds(lambda: vehicle.bridge.found, 5.0)
        proxy.drop = lambda msgid, upward: msgid in (COMMAND_LONG, COMMAND_ACK)
        fleet.start_recording(7, tmp_path / "flight.tlog")
        arming = asyncio.create_task(vehicle._command("arm", command=ARM, guarded=True))
        waiting = asyncio.create_task(vehicle._command("arm", command=ARM, guarded=True))
        returning = asyncio.create_task(vehicle._mode("return_to_launch", FlightMode.RTL))
        await asyncio.sleep(0.3)
        stopping = asyncio.create_task(vehicle.stop_motors())
        started_s = time.monotonic()
        for task in (arming, waiting, returning):
            result = await task
            assert (result.state, result.superseded) == (CommandState.UNKNOWN, True)
        assert time.monotonic() - started_s < 1.0
        holding = asyncio.create_task(vehicle.hold())
        await asyncio.sleep(2.5)
        fleet.stop_recording(7)
        armed = orders(tmp_path / "flight.tlog", ARM)
        assert [by for by, on, _ in armed if on] == [COMPID]
        assert armed[0][1], "it was armed after the stop"
        assert len([1 for by, on, forced in armed if not on and forced and by != COMPID]) >= 2
        modes = orders(tmp_path / "flight.tlog", 176)
        assert next(by for by, _, _ in modes) == COMPID
        assert {(by, mode) for by, _, mode in modes[1:]} == {(190, 17.0)}, "BRAKE, by ourselves, and no RTL any more"
        stopping.cancel()
        holding.cancel()


async def test_a_vehicle_in_other_hands_is_not_armed_and_one_on_the_ground_not_resumed(
    pair: tuple[Fleet, MavsdkVehicle],
) -> None:
    _, vehicle = pair
    approved = await vehicle.upload_mission(hop())
    with pytest.raises(VehicleRefused, match="sysid 7 is not in the air"):
        await vehicle.resume()
    await vehicle.arm(approved)
    assert await holds(lambda: vehicle.state.armed, 5.0)
    mode = vehicle.state.mode
    with pytest.raises(VehicleRefused, match="sysid 7 is armed already"):
        await vehicle.arm(approved)
    assert vehicle.state.mode is mode


async def test_the_bridge_outlives_what_cannot_be_sent_read_or_started(
    pair: tuple[Fleet, MavsdkVehicle], monkeypatch: pytest.MonkeyPatch
) -> None:
    fleet, vehicle = pair
    alarms: list[str] = []
    fleet.on_alarm = alarms.append
    monkeypatch.setattr(mavsdk_bridge, "RESTART_S", 0.02)
    monkeypatch.setattr(mavsdk_bridge, "LONGEST_RESTART_S", 0.05)
    assert await holds(lambda: vehicle.bridge.found, 5.0)

    def unsigned(*_: object, **__: object) -> bool:
        raise SigningInvalid("nothing can be signed")

    with monkeypatch.context() as while_unsigned:
        while_unsigned.setattr(fleet.router, "relay", unsigned)
        with pytest.raises(SigningInvalid):
            await vehicle.land()
    assert (await vehicle.land()).state is CommandState.ACCEPTED
    assert alarms == []

    async def garbled(reader: object) -> bytes:
        return b"\xc1"

    async def not_started(sysid: int) -> Never:
        raise OSError("too many open files")

    for name, broken in (("read_message", garbled), ("_start", not_started)):
        with monkeypatch.context() as while_broken:
            while_broken.setattr(mavsdk_bridge, name, broken)
            assert await holds(lambda: bool(alarms), 5.0) or vehicle.bridge.pid is not None
            if name == "_start" and vehicle.bridge.pid is not None:
                os.kill(vehicle.bridge.pid, signal.SIGKILL)
            assert await holds(lambda: not vehicle.bridge.found, 5.0)
            await asyncio.sleep(0.3)
        assert await holds(lambda: vehicle.bridge.found, 10.0)
        assert (await vehicle.land()).state is CommandState.ACCEPTED
    assert 2 <= len(alarms) <= 3, alarms


def sockets(pid: int) -> tuple[set[str], set[str]]:
    """Inodes of all sockets that a process has open, and of those to the network that there are."""
    process = Path(f"/proc/{pid}")
    opened = set()
    for descriptor in (process / "fd").iterdir():
        with suppress(FileNotFoundError):  # that of this very loop
            if (link := os.readlink(descriptor)).startswith("socket:["):
                opened.add(link[len("socket:[") : -1])
    tables = [(process / "net" / kind).read_text() for kind in ("udp", "udp6", "tcp", "tcp6", "raw", "raw6")]
    return opened, {line.split()[9] for table in tables for line in table.splitlines()[1:]}


@pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")
async def test_mavsdk_has_no_way_out_but_ours(pair: tuple[Fleet, MavsdkVehicle]) -> None:
    _, vehicle = pair
    await vehicle.upload_mission(hop())
    assert vehicle.bridge.pid is not None
    opened, network = sockets(vehicle.bridge.pid)
    assert opened, "not even ours"
    assert not opened & network
    opened, network = sockets(os.getpid())
    assert opened & network, "the fleet's own link is one"


async def test_leaving_ends_the_process(pair: tuple[Fleet, MavsdkVehicle]) -> None:
    fleet, _ = pair
    async with MavsdkVehicle(fleet=fleet, sysid=7) as vehicle:
        assert await holds(lambda: vehicle.bridge.found, 5.0)
        pid = vehicle.bridge.pid
        assert pid is not None
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)
    with pytest.raises(LinkLost, match="sysid 7: mavsdk does not run"):
        await vehicle.land()


async def test_a_vehicle_that_was_not_heard_yet(port: int) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
        MavsdkVehicle(fleet=fleet, sysid=7) as vehicle,
    ):
        for command in (vehicle.land, vehicle.rtl, vehicle.disarm):
            with pytest.raises(VehicleUnknown, match="sysid 7"):
                await command()
        assert vehicle.bridge.pid is None


async def test_what_mavsdk_does_not_offer_is_refused(pair: tuple[Fleet, MavsdkVehicle]) -> None:
    _, vehicle = pair
    for asked in (vehicle.trigger_camera(), vehicle.track_point(x=0.5, y=0.5)):
        with pytest.raises(VehicleRefused, match=r"sysid 7: no .* by mavsdk; command it by our own adapter"):
            await asked


async def test_files_aboard_are_listed_and_fetched_whole(port: int, tmp_path: Path) -> None:
    """The simulated vehicles have no MAVLink FTP, so mavsdk's own server of it plays the vehicle."""
    aboard, ours = tmp_path / "aboard", tmp_path / "ours"
    ours.mkdir()
    (aboard / "LOGS").mkdir(parents=True)
    (aboard / "LOGS" / "00000001.BIN").write_bytes(bytes(range(256)) * 200)
    server = await asyncio.create_subprocess_exec(
        *(sys.executable, SERVER, str(port), str(aboard)), stdout=asyncio.subprocess.DEVNULL
    )
    try:
        async with (
            Fleet([f"udpin:127.0.0.1:{port}"], registered(7)) as fleet,
            MavsdkVehicle(fleet=fleet, sysid=7) as vehicle,
        ):
            assert await holds(lambda: vehicle.bridge.found, 10.0)
            found = await vehicle.files.list("/LOGS")
            assert [(file.path, file.size_bytes) for file in found] == [("/LOGS/00000001.BIN", 51_200)]
            shares: list[float] = []
            place = await vehicle.files.download(found[0].path, ours, step=shares.append)
            assert place.read_bytes() == (aboard / "LOGS" / "00000001.BIN").read_bytes()
            assert shares == sorted(shares)
            assert shares[-1] == 1.0
            with pytest.raises(TransferFailed, match="sysid 7: download_file of /LOGS/2: FILE_DOES_NOT_EXIST"):
                await vehicle.files.download("/LOGS/2", ours)
            assert list(ours.iterdir()) == [place], "something unfinished was left"
    finally:
        server.kill()
        await server.wait()
