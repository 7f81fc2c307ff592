"""A store on each back end, a clock that stands still, and the whole service on real sockets."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest

from missioncontrol.fleet_settings import FleetSettings, Home, VehicleSettings
from missioncontrol.service import Service
from missioncontrol.settings import AdministratorSettings, HttpSettings, Settings
from missioncontrol.store import Store
from missioncontrol.video_settings import PerceptionSettings
from simulators.clock import SimClock
from simulators.vehicle import SimulatedVehicle

PASSWORD = "correct horse battery"
HOME = (76.945, 43.238, 800.0)
"""Lon, lat, deg; m AMSL."""


class StillClock:
    """A clock that a test sets."""

    def __init__(self, utc_s: float = 1_790_000_000.0) -> None:
        self.utc_s = utc_s

    def __call__(self) -> float:
        return self.utc_s


@pytest.fixture
def clock() -> StillClock:
    return StillClock()


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    async with Store(store_url) as opened:
        yield opened


def free_udp_port() -> int:
    """A UDP port of the loopback that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Running:
    """A service that runs, and ways to speak to it."""

    url: str
    service: Service
    task: asyncio.Task[None]
    stack: AsyncExitStack
    passwords: list[tuple[str, str]] = field(default_factory=list)

    async def client(self, name: str = "administrator", password: str = PASSWORD) -> httpx.AsyncClient:
        """An HTTP client of somebody who is logged in, by token."""
        http = httpx.AsyncClient(base_url=f"{self.url}/api/v1", timeout=60)
        await self.stack.enter_async_context(http)
        answer = await http.post("/session", json={"name": name, "password": password})
        assert answer.status_code == 201, answer.text
        http.headers["authorization"] = f"Bearer {answer.json()['token']}"
        http.cookies.clear()
        return http

    async def stop(self) -> None:
        """Stop and wait for the end."""
        self.service.stop()
        await self.task


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Running]:
    """The service with these settings, for as long as the context is open."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    passwords: list[tuple[str, str]] = []
    service = Service(
        settings, on_password=lambda name, password: passwords.append((name, password)), on_ready=ready.set_result
    )
    task = asyncio.create_task(service.run(), name="service")
    await asyncio.wait({task, ready}, return_when=asyncio.FIRST_COMPLETED)
    if task.done():
        task.result()
    async with AsyncExitStack() as stack:
        yield Running(ready.result(), service, task, stack, passwords)
    service.stop()
    await task


def make_settings(folder: Path, *, sysids: tuple[int, ...] = (1,), **more: Any) -> Settings:
    """A service of its own in a folder, on free ports, without perception."""
    udp = free_udp_port()
    settings = Settings(
        data=folder / "var",
        http=HttpSettings(port=0),
        fleet=FleetSettings(links=(f"udpin:127.0.0.1:{udp}",), launch_timeout_s=20.0),
        vehicles=tuple(
            VehicleSettings(
                sysid=sysid,
                name=f"vehicle {sysid}",
                registration=f"KZ-{sysid:03}",
                camera="sim-wide",
                home=Home(lon=HOME[0], lat=HOME[1], altitude_amsl_m=HOME[2]),
            )
            for sysid in sysids
        ),
        perception=PerceptionSettings(enabled=False),
        administrator=AdministratorSettings(password=PASSWORD),
    )
    return msgspec.structs.replace(settings, **more)


def udp_port(settings: Settings) -> int:
    """Where the service listens for vehicles."""
    return int(settings.fleet.links[0].rpartition(":")[2])


@pytest.fixture
async def simulated() -> AsyncIterator[Callable[..., SimulatedVehicle]]:
    """Starts simulated vehicles that speak to a UDP port; stops them in the end."""
    clock = SimClock(start_utc_s=1_790_000_000.0, speedup=10.0)
    tasks: list[asyncio.Task[None]] = []

    def start(port: int, sysid: int, **options: Any) -> SimulatedVehicle:
        whole = {"clock": clock, "ready_after_s": 2.0, "home": HOME, "seed": sysid, **options}
        if whole.get("autopilot") != "px4":
            whole["parameters"] = {"LAND_SPEED": 150, **whole.get("parameters", {})}
        vehicle = SimulatedVehicle(sysid=sysid, link=f"udpout:127.0.0.1:{port}", **whole)
        tasks.append(asyncio.create_task(vehicle.run(), name=f"simulated[{sysid}]"))
        return vehicle

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def until(condition: Callable[[], Awaitable[Any]], *, timeout_s: float = 60.0, what: str = "") -> Any:
    """What `condition` gives once it is true."""
    async with asyncio.timeout(timeout_s):
        while True:
            found = await condition()
            if found:
                return found
            await asyncio.sleep(0.1)
