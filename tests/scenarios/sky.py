"""The stage of the plays: simulated vehicles in one sky, the ground that flies them, and what truly reaches each."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.commands import holds
from fleet.fleet import Fleet
from fleet.flying import launch
from fleet.missions import MissionItem
from fleet.vehicle import VehicleRecord
from simulators.autopilot_links import Link
from simulators.clock import SimClock
from simulators.fault_schedule import Fault
from simulators.faults import FaultyLink
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import HOME, survey

LONG = survey(lines=4, line_m=160)
"""A mission that takes a while."""
GCS_S = 2.0
"""What the vehicles take for the loss of the ground, s of the ground's clock."""
CONTINUE = {"FS_GCS_ENABLE": 1, "FS_OPTIONS": 18, "FS_GCS_TIMEOUT": GCS_S}
RETURN = {"FS_GCS_ENABLE": 1, "FS_OPTIONS": 16, "FS_GCS_TIMEOUT": GCS_S}
"""Lost link policies, as ArduCopter's parameters have them."""
PX4_CONTINUE, PX4_RETURN = {"NAV_DLL_ACT": 0}, {"NAV_DLL_ACT": 2, "COM_DL_LOSS_T": 1}
"""And as PX4's have them."""


class Tap:
    """Notes what reaches a vehicle, behind all faults: `COMMAND_LONG 400`, `MISSION_COUNT`; no heartbeats."""

    def __init__(self, link: Link) -> None:
        self._link, self.heard = link, list[str]()
        self.frames: dict[str, bytes] = {}
        """The last frame of each kind, as it came."""
        self._receive: Callable[[bytes], None] = lambda data: None
        self._parser = mavlink.MAVLink(None)
        self._parser.robust_parsing = True

    async def open(self, receive: Callable[[bytes], None]) -> None:
        def note(data: bytes) -> None:
            for message in self._parser.parse_buffer(bytearray(data)) or []:
                if message.get_type() != "HEARTBEAT":
                    self.heard.append(f"{message.get_type()} {getattr(message, 'command', '')}".strip())
                    self.frames[self.heard[-1]] = bytes(message.get_msgbuf())
            receive(data)

        self._receive = receive
        await self._link.open(note)

    def replay(self, kind: str) -> None:
        """The last frame of a kind comes once more."""
        self._receive(self.frames[kind])

    def send(self, data: bytes) -> None:
        self._link.send(data)

    def close(self) -> None:
        self._link.close()

    def orders(self) -> set[str]:
        """What was heard but requests for messages (511, 512)."""
        return set(self.heard) - {"COMMAND_LONG 511", "COMMAND_LONG 512", "REQUEST_DATA_STREAM", "TIMESYNC"}


class Flown(msgspec.Struct):
    """A simulated vehicle, its faulty link, and what reaches it."""

    truth: SimulatedVehicle
    link: FaultyLink
    tap: Tap


class Sky:
    """Simulated vehicles on one port of the ground."""

    def __init__(self, *, speedup: float, start_utc_s: float = 1_790_000_000.0) -> None:
        self.clock = SimClock(start_utc_s=start_utc_s, speedup=speedup)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self.tasks: list[asyncio.Task[None]] = []

    async def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    def vehicle(self, sysid: int, *faults: Fault, **options: Any) -> Flown:
        link = FaultyLink(
            f"udpout:127.0.0.1:{self.port}",
            clock=self.clock,
            faults=faults,
            seed=sysid,
            vehicle_fault=lambda name, numbers: truth.mend(name) if numbers is None else truth.fail(name, numbers),
        )
        tap = Tap(link)
        options = {"home": HOME, "ready_after_s": 2.0, **options}
        truth = SimulatedVehicle(sysid=sysid, link=tap, clock=self.clock, seed=sysid, **options)
        self.tasks.append(asyncio.create_task(truth.run(), name=f"vehicle[{sysid}]"))
        return Flown(truth, link, tap)


@contextlib.asynccontextmanager
async def sky(*sysids: int, speedup: float = 10.0, **options: Any) -> AsyncIterator[tuple[Sky, Fleet]]:
    """The ground with vehicles registered, and a sky to put them in."""
    above = Sky(speedup=speedup)
    records = {sysid: VehicleRecord(sysid=sysid, name=f"vehicle {sysid}") for sysid in sysids}
    async with Fleet([f"udpin:127.0.0.1:{above.port}"], records, **options) as fleet:
        try:
            yield above, fleet
        finally:
            await above.close()


async def ready(vehicle: Any) -> None:
    """Wait until a vehicle can be armed."""
    assert await holds(
        lambda: (
            vehicle.state.prearm_good is not False
            and vehicle.state.home is not None
            and vehicle.state.mission is not None
        ),
        60.0,
    ), vehicle.state


async def at_item(vehicle: Any, item: int) -> None:
    """Wait until a vehicle flies towards an item of its plan."""
    assert await holds(lambda: item_of(vehicle) >= item, 60.0), vehicle.state


def item_of(vehicle: Any) -> int:
    """Which item of its plan a vehicle is at; -1 for none."""
    mission = vehicle.state.mission
    return -1 if mission is None or mission.item is None else int(mission.item)


async def airborne(fleet: Fleet, sysid: int, plan: list[MissionItem] = LONG) -> Any:
    """The vehicle on its way along the first line."""
    vehicle = fleet.vehicle(sysid)
    await ready(vehicle)
    await launch(fleet, vehicle, await vehicle.upload_mission(plan))
    await at_item(vehicle, 4)
    return vehicle
