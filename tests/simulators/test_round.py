import asyncio
import json
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from simulators.round import Person, RoundFailed, SimulatedLimit
from tests.simulators.test_pacing import Answering


class Clocks:
    """Vehicles as mission control lists them, whose clocks are set by hand."""

    def __init__(self) -> None:
        self.utc_s: list[float | None] = [None, None]

    def answer(self) -> bytes:
        return json.dumps({"features": [{"properties": {"vehicle_utc_s": at}} for at in self.utc_s]}).encode()


@pytest.fixture
async def clocks() -> Clocks:
    return Clocks()


@pytest.fixture
async def operator(clocks: Clocks) -> AsyncIterator[Person]:
    server = await asyncio.get_running_loop().create_server(lambda: Answering(clocks.answer), "127.0.0.1", 0)
    async with server, httpx.AsyncClient() as http:
        yield Person(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", http, "token")


async def test_only_simulated_time_counts_towards_a_limit(clocks: Clocks, operator: Person) -> None:
    limit = SimulatedLimit(operator, "the mission", 60.0)
    await limit.check()
    clocks.utc_s = [1_790_000_000.0, None]
    await limit.check()
    await asyncio.sleep(0.3)
    clocks.utc_s = [1_790_000_030.0, 1_790_000_060.0]
    await limit.check()
    clocks.utc_s = [1_790_000_030.0, 1_790_000_060.5]
    with pytest.raises(RoundFailed, match="the mission did not end within 60 s of simulated time"):
        await limit.check()


async def test_simulated_time_that_stands_still_is_given_up(
    clocks: Clocks, operator: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.round.STANDSTILL_S", 0.4)
    limit = SimulatedLimit(operator, "the mission", 60.0)
    started_s = time.monotonic()
    while time.monotonic() < started_s + 0.8:
        clocks.utc_s = [1_790_000_000.0 + time.monotonic() - started_s, None]
        await limit.check()
    await asyncio.sleep(0.5)
    with pytest.raises(RoundFailed, match=r"no vehicle's clock went on for 0.4 s"):
        await limit.check()
