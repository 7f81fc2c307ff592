"""City receivers on real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
import uvicorn

from missioncontrol.handoffs import Handoff
from simulators.city import Receiver, receivers_app

SECRET = "whsec_" + "c2ltdWxhdGVkIGNpdHkgcmVjZWl2ZXIga2V5"


@pytest.fixture
def handoff() -> Handoff:
    return Handoff(
        id="0192:1:112",
        incident_id="0192",
        version=1,
        kind="fire",
        sink="112",
        created_utc_s=1_790_000_000.25,
        payload={"type": "Feature", "geometry": {"type": "Point", "coordinates": [76.9, 43.2]}, "properties": {}},
    )


@pytest.fixture
def receiver() -> Receiver:
    return Receiver("112")


@pytest.fixture
async def city_url(receiver: Receiver) -> AsyncIterator[str]:
    config = uvicorn.Config(receivers_app({"112": receiver}, secret=SECRET), log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        while not server.started:
            await asyncio.sleep(0.01)
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        server.should_exit = True
        await serving
