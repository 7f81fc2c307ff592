"""The autopilots themselves fly as the simulated ones do: a mission whole, and past the traps that were recorded.

Experimental: the plays run on the simulated vehicles always, and on ArduCopter's or PX4's own SITL where
`ARDUCOPTER_BIN` names an `arducopter` or `PX4_BIN` a `bin/px4` in its build (4.6 and 1.17 are those that were
recorded). `MC_SITL_SPEEDUP` (default 3) is their speed; `ARDUCOPTER_DEFAULTS` names another file of parameters.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import VehicleRefused
from fleet.failsafes import LostLinkAction, LostLinkPolicy
from fleet.fences import FenceCircle, RallyPoint
from fleet.fleet import Fleet
from fleet.flying import connect, fly, launch
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import mission_hash
from fleet.telemetry import Condition, LinkCondition
from geo.positions import Altitude, Datum, distance_m
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import HOME, survey

ARDUCOPTER, PX4 = (Path(os.environ.get(name, ".")).resolve() for name in ("ARDUCOPTER_BIN", "PX4_BIN"))
SPEEDUP = os.environ.get("MC_SITL_SPEEDUP", "3")
ARMABLE_S = 180.0
SILENCE_S = 5.0 + 2.4
"""The least that PX4 can be set to, and so much later it acts."""
DEFAULTS = {
    "FRAME_CLASS": 1, "FRAME_TYPE": 0, "FS_THR_ENABLE": 1, "BATT_MONITOR": 4, "MOT_BAT_VOLT_MAX": 12.8,
    "MOT_BAT_VOLT_MIN": 9.6, "MOT_THST_EXPO": 0.65, "MOT_THST_HOVER": 0.39, "COMPASS_OFS_X": 5, "COMPASS_OFS_Y": 13,
    "COMPASS_OFS_Z": -18, "COMPASS_OFS2_X": 5, "COMPASS_OFS2_Y": 13, "COMPASS_OFS2_Z": -18, "COMPASS_OFS3_X": 5,
    "COMPASS_OFS3_Y": 13, "COMPASS_OFS3_Z": -18, "INS_ACCOFFS_X": 0.001, "INS_ACCOFFS_Y": 0.001, "INS_ACCOFFS_Z": 0.001,
    "INS_ACCSCAL_X": 1.001, "INS_ACCSCAL_Y": 1.001, "INS_ACCSCAL_Z": 1.001, "INS_ACC2OFFS_X": 0.001,
    "INS_ACC2OFFS_Y": 0.001, "INS_ACC2OFFS_Z": 0.001, "INS_ACC2SCAL_X": 1.001, "INS_ACC2SCAL_Y": 1.001,
    "INS_ACC2SCAL_Z": 1.001, "MNT1_TYPE": 1, "CAM1_TYPE": 1,
}  # fmt: skip
"""What makes ArduCopter's SITL a calibrated quadrotor (after its own default_params/copter.parm)."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


Play = Callable[[str, Path], Awaitable[None]]


def needed(variable: str) -> pytest.MarkDecorator:
    """Skips, and says why, where no binary is named."""
    return pytest.mark.skipif(not os.environ.get(variable), reason=f"{variable} names no autopilot to fly")


SIMULATED = ("simulated ardupilot", "simulated px4")
REAL = [
    pytest.param(("ardupilot",), marks=needed("ARDUCOPTER_BIN"), id="ardupilot"),
    pytest.param(("px4",), marks=needed("PX4_BIN"), id="px4"),
]
ALL = [pytest.param(SIMULATED, id="simulated"), *REAL]


def free_instance(kind: int, port: int, step: int) -> int:
    """The first SITL instance whose port nobody has."""
    for instance in range(10):
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port + step * instance))
            return instance
    raise RuntimeError("ten instances of SITL run already")


async def all_of(each: tuple[str, ...], play: Play, tmp_path: Path) -> None:
    """The same play on each, at the same time."""
    for which in each:
        (tmp_path / which).mkdir()
    await asyncio.gather(*(play(which, tmp_path / which) for which in each))


def is_bound(link: str) -> bool:
    """Whether somebody listens at the port of a TCP link: told without connecting, as SITL serves only one."""
    kind, _, port = link.split(":")
    listening = f":{int(port):04X} 00000000:0000 0A"
    return kind != "tcp" or listening in Path("/proc/net/tcp").read_text()


@contextlib.asynccontextmanager
async def autopilot(which: str, folder: Path) -> AsyncIterator[str]:
    """The link to a vehicle on the ground, switched on just now."""
    if which.startswith("simulated"):
        async with simulated(which.split()[1]) as link:
            yield link
        return
    lon, lat, amsl_m = HOME
    if which == "ardupilot":
        instance = free_instance(socket.SOCK_STREAM, 5760, 10)
        defaults = folder / "copter.parm"
        defaults.write_text("".join(f"{name} {value}\n" for name, value in DEFAULTS.items()))
        command = [
            ARDUCOPTER, "--model", "+", "--speedup", SPEEDUP, "--home", f"{lat},{lon},{amsl_m:g},0",
            f"-I{instance}", "--wipe", "--defaults", os.environ.get("ARDUCOPTER_DEFAULTS", str(defaults)),
        ]  # fmt: skip
        environ, link = {}, f"tcp:127.0.0.1:{5760 + 10 * instance}"
    else:
        instance = free_instance(socket.SOCK_DGRAM, 14540, 1)
        command = [PX4, "-i", str(instance), "-d", str(PX4.parents[1] / "etc")]
        environ = {
            "PX4_SIM_MODEL": "sihsim_quadx", "PX4_SYS_AUTOSTART": "10040", "PX4_SIM_SPEED_FACTOR": SPEEDUP,
            "PX4_HOME_LAT": str(lat), "PX4_HOME_LON": str(lon), "PX4_HOME_ALT": str(amsl_m),
        }  # fmt: skip
        link = f"udpin:127.0.0.1:{14540 + instance}"
    with (folder / "sitl.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env={**os.environ, **environ},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
    try:
        there = await holds(lambda: process.returncode is not None or is_bound(link), 30.0)
        assert there, f"nobody listens at {link}"
        assert process.returncode is None, (folder / "sitl.log").read_text(errors="replace")[-2000:]
        yield link
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@contextlib.asynccontextmanager
async def simulated(flavour: str) -> AsyncIterator[str]:
    """One of ours."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{probe.getsockname()[1]}"
    clock = SimClock(start_utc_s=1_790_000_000.0, speedup=10.0)
    vehicle = SimulatedVehicle(
        sysid=1, home=HOME, link=f"udpout:{address}", clock=clock, autopilot=flavour, ready_after_s=3.0
    )
    task = asyncio.create_task(vehicle.run())
    try:
        yield f"udpin:{address}"
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def ready(fleet: Fleet) -> MavlinkVehicle:
    """The vehicle, once it knows where it is."""
    vehicle = await connect(fleet, sysid=None, connect_s=30.0)
    assert await holds(lambda: vehicle.state.home is not None and vehicle.state.position is not None, ARMABLE_S)
    return vehicle


def item_of(vehicle: MavlinkVehicle) -> int:
    """Which item of its plan it is at, 0 before the first."""
    mission = vehicle.state.mission
    return 0 if mission is None or mission.item is None else mission.item


def away_m(vehicle: MavlinkVehicle) -> float:
    """From home, by its own word, m."""
    here = vehicle.state.position
    assert here is not None
    return float(distance_m(here.lon, here.lat, HOME[0], HOME[1]))


@pytest.mark.parametrize("each", REAL)
async def test_the_command_fly_completes(each: tuple[str, ...], tmp_path: Path) -> None:
    await all_of(each, command_fly, tmp_path)


async def command_fly(which: str, tmp_path: Path) -> None:
    ring = [[76.9451, 43.2381], [76.9455, 43.2381], [76.9455, 43.2384], [76.9451, 43.2384], [76.9451, 43.2381]]
    (tmp_path / "area.json").write_text(f'{{"type": "Polygon", "coordinates": [{ring}]}}')
    missioncontrol = Path(sys.executable).with_name("missioncontrol")
    plan = ["plan", "survey", "--area", "area.json", "--camera", "sony-rx1r2", "--height-m", "30", "--out", "plan.json"]
    async with autopilot(which, tmp_path) as link:
        for arguments in (plan, ["fly", "plan.json", "--link", link, "--json"]):
            process = await asyncio.create_subprocess_exec(missioncontrol, *arguments, cwd=tmp_path)
            assert await process.wait() == 0, arguments


@pytest.mark.parametrize("each", REAL)
async def test_a_mission_is_flown_whole_and_near_its_legs(each: tuple[str, ...], tmp_path: Path) -> None:
    await all_of(each, whole_mission, tmp_path)


async def whole_mission(which: str, tmp_path: Path) -> None:
    plan = survey(lines=2)
    async with autopilot(which, tmp_path) as link:
        result = await fly(plan, link, connect_s=30.0, armable_s=ARMABLE_S)
    assert (result.landed, result.reached, result.hash) == (True, len(plan), mission_hash(plan))
    assert result.max_cross_track_m < 5.0


@pytest.mark.parametrize("each", ALL)
async def test_what_was_sent_is_aboard_also_when_what_was_read_is_sent_again(
    each: tuple[str, ...], tmp_path: Path
) -> None:
    await all_of(each, sent_and_read, tmp_path)


async def sent_and_read(which: str, tmp_path: Path) -> None:
    """Mission, fence, rally points and lost-link policy; a place that is none is not sent at all."""
    plan = survey(lines=2)
    fence = [FenceCircle(lon=HOME[0], lat=HOME[1], radius_m=300.0, inclusion=True)]
    rally = [RallyPoint(lon=HOME[0] + 0.0004, lat=HOME[1], height_m=25.0)]
    async with autopilot(which, tmp_path) as link, Fleet([link]) as fleet:
        vehicle = await ready(fleet)
        for _ in range(2):
            assert await vehicle.upload_mission(plan) == mission_hash(plan)
            assert mission_hash(await vehicle.read_mission()) == mission_hash(plan)
        await vehicle.upload_fence(fence)
        assert len(await vehicle.read_fence()) == 1
        for _ in range(2):
            await vehicle.upload_rally(rally)
            await vehicle.upload_rally(await vehicle.read_rally())  # the list that was read, sent again
        for action in LostLinkAction:
            policy = LostLinkPolicy(action=action, timeout_s=10.0)
            assert (await vehicle.set_lost_link(policy)).follows(policy, gcs_sysid=fleet.sysid)
        await vehicle.upload_fence([])
        with pytest.raises(VehicleRefused):
            await vehicle.goto(lon=HOME[0], lat=95.0, altitude=Altitude(30.0, Datum.HOME))


@pytest.mark.parametrize("each", ALL)
async def test_a_flight_past_the_traps(each: tuple[str, ...], tmp_path: Path) -> None:
    await all_of(each, past_the_traps, tmp_path)


async def past_the_traps(which: str, tmp_path: Path) -> None:
    """A goto above home does not dive; held, it goes on where it was; silence returns it to the rally point; and the
    ground that is back changes nothing."""
    async with autopilot(which, tmp_path) as link:
        async with Fleet([link]) as fleet:
            vehicle = await ready(fleet)
            plan = survey(lines=4, line_m=120.0)
            await vehicle.set_lost_link(LostLinkPolicy(action=LostLinkAction.RETURN, timeout_s=5.0))
            await vehicle.upload_rally([RallyPoint(lon=HOME[0], lat=HOME[1] + 0.0002, height_m=25.0)])
            await launch(fleet, vehicle, await vehicle.upload_mission(plan), armable_s=ARMABLE_S)
            assert await holds(
                lambda: vehicle.state.mission is not None and (vehicle.state.mission.item or 0) >= 4, 120.0
            )
            assert (await vehicle.hold()).state is CommandState.ACCEPTED
            lowest_m = [1e3]
            assert (
                await vehicle.goto(lon=HOME[0], lat=HOME[1] + 0.001, altitude=Altitude(40.0, Datum.HOME))
            ).state is CommandState.ACCEPTED

            def higher() -> bool:
                height_m = vehicle.state.relative_altitude_m or 0.0
                lowest_m[0] = min(lowest_m[0], height_m)
                return height_m > 37.0

            assert await holds(higher, 60.0), vehicle.state
            assert lowest_m[0] > 24.0, "it dived"
            assert (await vehicle.resume()).state is CommandState.ACCEPTED
            assert await holds(lambda: vehicle.state.mode is FlightMode.MISSION, 10.0)
            sysid = vehicle.sysid
        await asyncio.sleep(SILENCE_S + (1.0 if which in SIMULATED else 6.0))  # PX4 holds for 5 s of its clock first
        async with Fleet([link]) as fleet:
            vehicle = await connect(fleet, sysid=sysid, connect_s=30.0)
            assert await holds(lambda: vehicle.state.mode is FlightMode.RTL, 15.0), vehicle.state
            assert await holds(lambda: vehicle.state.link is LinkCondition.TWO_WAY, 10.0)
            assert vehicle.state.mode is FlightMode.RTL, "nobody resumed it"
            assert await holds(lambda: vehicle.state.condition in (Condition.LANDED, Condition.READY), 300.0)
            assert not vehicle.state.armed
            assert away_m(vehicle) < 40.0
