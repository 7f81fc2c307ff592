"""While ten thousand messages a second come in, every command is answered, 99 of 100 within a quarter of a second."""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from pathlib import Path

import pytest

from fleet.commands import CommandState, holds
from fleet.fleet import Fleet
from fleet.telemetry import Condition
from fleet.vehicle import VehicleRecord
from tests.scenarios.sky import Sky

VEHICLES, RATE_HZ = 100, 10_000
PLAY_S = float(os.environ.get("MC_TRAFFIC_S", "20"))
"""How long; 60 by hand."""
P99_S = 0.25
BUSY_P99_S = 1.0
"""Where more than its cores is wanted of the machine: the two processes of this play take most of them."""
DO_SET_MODE, GUIDED = 176, 4

pytestmark = [pytest.mark.slow, pytest.mark.timeout(200 + 2 * PLAY_S)]


async def test_commands_are_answered_while_ten_thousand_messages_a_second_come_in() -> None:
    port = Sky(speedup=1.0).port
    records = {sysid: VehicleRecord(sysid=sysid, name=f"vehicle {sysid}") for sysid in range(1, VEHICLES + 1)}
    async with Fleet([f"udpin:127.0.0.1:{port}"], records) as fleet:
        process = await asyncio.create_subprocess_exec(
            sys.executable, Path(__file__).with_name("traffic.py"), str(port), str(VEHICLES), str(PLAY_S + 60.0),
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            everybody = list(fleet.vehicles.values())
            assert await holds(lambda: all(v.state.condition is Condition.READY for v in everybody), 30.0)
            before, start_s, took_s = fleet.router.link_traffic()[0].frames_in, time.monotonic(), list[float]()
            turn = 0
            while time.monotonic() - start_s < PLAY_S:
                vehicle = everybody[turn % VEHICLES]
                asked_s = time.monotonic()
                answer = await vehicle.commands.long(DO_SET_MODE, 1.0, GUIDED)
                took_s.append(time.monotonic() - asked_s)
                assert answer.state is CommandState.ACCEPTED, "an answer was lost"
                turn += 1
                await asyncio.sleep(0.02)
            heard = fleet.router.link_traffic()[0].frames_in - before
            rate_hz = heard / (time.monotonic() - start_s)
            silent = [v.sysid for v in everybody if v.state.condition is not Condition.READY]
        finally:
            process.kill()
            await process.wait()
    p99_s = statistics.quantiles(took_s, n=100)[98]
    busy = os.getloadavg()[0] > (os.cpu_count() or 1)
    print(
        f"{rate_hz:.0f} messages/s heard, {len(took_s)} commands: median {1e3 * statistics.median(took_s):.1f} ms,"
        f" p99 {1e3 * p99_s:.1f} ms, worst {1e3 * max(took_s):.1f} ms; load {os.getloadavg()[0]:.1f}"
    )
    assert silent == []
    assert p99_s <= (BUSY_P99_S if busy else P99_S)
    assert rate_hz > (0.3 if busy else 0.9) * RATE_HZ
