"""Vehicles on real sockets, and recordings of real autopilots."""

from __future__ import annotations

import asyncio
import math
import os
import random
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from fleet.framing import Framer
from fleet.missions import MissionItem
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle

HOME = (76.945, 43.238, 800.0)
"""Lon, lat, deg; m AMSL."""
SPEEDUP = 10.0


@pytest.fixture(scope="session")
def tlogs() -> Path:
    """The folder of recordings of ArduCopter 4.6 and PX4 1.17."""
    data = Path(os.environ.get("MC_DATA") or Path(__file__).parents[2].parent / "shared" / "data")
    folder = data / "flight" / "tlog"
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}")
    return folder


@pytest.fixture
def port() -> int:
    """A UDP port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        number: int = probe.getsockname()[1]
        return number


def survey(*, lines: int = 2, line_m: float = 60.0, gap_m: float = 30.0, height_m: float = 30.0) -> list[MissionItem]:
    """Take-off, speed, camera down, some lines north of the home, and back."""
    lon, lat, _ = HOME
    items = [
        MissionItem(frame=3, command=22, x=round(lat * 1e7), y=round(lon * 1e7), z=height_m),
        MissionItem(frame=2, command=178, params=(1.0, 8.0, -1.0, 0.0)),
        MissionItem(frame=2, command=205, params=(-90.0, 0.0, 0.0, 0.0), z=2.0),
    ]
    for line in range(lines):
        for end in (0, 1) if line % 2 == 0 else (1, 0):
            north_m, east_m = 20.0 + end * line_m, line * gap_m
            y = lon + east_m / (111_320 * math.cos(math.radians(lat)))
            x = lat + north_m / 111_132
            items.append(MissionItem(frame=6, command=16, x=round(x * 1e7), y=round(y * 1e7), z=height_m + 0.29))
    return [*items, MissionItem(frame=2, command=20)]


Fly = Callable[..., SimulatedVehicle]


@pytest.fixture
async def simulated() -> AsyncIterator[Fly]:
    """Starts simulated vehicles; stops them in the end."""
    clock = SimClock(start_utc_s=1_790_000_000.0, speedup=SPEEDUP)
    tasks: list[asyncio.Task[None]] = []

    def start(port: int, *, sysid: int = 1, **options: object) -> SimulatedVehicle:
        options.setdefault("clock", clock)
        options.setdefault("ready_after_s", 3.0)
        options.setdefault("home", HOME)
        if options.get("autopilot") != "px4":
            options.setdefault("parameters", {"LAND_SPEED": 150})
        options.setdefault("link", f"udpout:127.0.0.1:{port}")
        vehicle = SimulatedVehicle(sysid=sysid, seed=sysid, **options)  # type: ignore[arg-type]
        tasks.append(asyncio.create_task(vehicle.run(), name=f"vehicle[{sysid}]"))
        return vehicle

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


class Proxy(asyncio.DatagramProtocol):
    """Stands between vehicles and the ground on UDP, and loses frames."""

    def __init__(self, ground_port: int, *, seed: int) -> None:
        self._ground = ("127.0.0.1", ground_port)
        self._random = random.Random(seed)
        self.loss = 0.0
        """Share of the frames lost each way."""
        self.drop: Callable[[int, bool], bool] = lambda msgid, upward: False
        """Whether to lose a frame of this id; `upward` means to the ground."""
        self.delay_s = 0.0
        """What passes takes so long each way, s of the wall."""
        self.passed = 0
        self.lost = 0
        self._stack = AsyncExitStack()
        self._ways: dict[tuple[str, int], asyncio.DatagramTransport] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._opening: set[asyncio.Task[None]] = set()

    async def open(self) -> int:
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        number: int = self._transport.get_extra_info("sockname")[1]
        return number

    def close(self) -> None:
        for transport in (self._transport, *self._ways.values()):
            if transport is not None:
                transport.close()

    def _through(self, data: bytes, *, upward: bool) -> bytes:
        kept = b""
        for frame in Framer().feed(data):
            if self._random.random() < self.loss or self.drop(frame.msgid, upward):
                self.lost += 1
            else:
                self.passed += 1
                kept += frame.data
        return kept

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        if address not in self._ways:
            task = asyncio.create_task(self._open_way(address))
            self._opening.add(task)
            return
        if kept := self._through(data, upward=True):
            self._pass_on(self._ways[address], kept, self._ground)

    def _pass_on(self, way: asyncio.DatagramTransport, data: bytes, address: tuple[str, int]) -> None:
        if self.delay_s:
            asyncio.get_running_loop().call_later(self.delay_s, way.sendto, data, address)
        else:
            way.sendto(data, address)

    async def _open_way(self, vehicle: tuple[str, int]) -> None:
        if vehicle in self._ways:
            return
        proxy = self

        class Back(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
                if proxy._transport is not None and (kept := proxy._through(data, upward=False)):
                    proxy._pass_on(proxy._transport, kept, vehicle)

        loop = asyncio.get_running_loop()
        way, _ = await loop.create_datagram_endpoint(Back, local_addr=("127.0.0.1", 0))
        if vehicle in self._ways:
            way.close()
        else:
            self._ways[vehicle] = way


@asynccontextmanager
async def proxy_to(ground_port: int, *, seed: int = 1) -> AsyncIterator[tuple[Proxy, int]]:
    """A proxy towards the ground, and the port where vehicles find it."""
    proxy = Proxy(ground_port, seed=seed)
    number = await proxy.open()
    try:
        yield proxy, number
    finally:
        proxy.close()
