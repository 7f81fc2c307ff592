"""Who leaves a fence is brought back by the autopilot and told within two seconds; who is inside flies on."""

from __future__ import annotations

import asyncio
import time

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import holds
from fleet.fences import FenceCircle
from fleet.telemetry import Condition
from tests.fleet.conftest import HOME
from tests.scenarios.sky import airborne, sky

pytestmark = pytest.mark.slow


async def test_a_breach_is_an_alarm_within_two_seconds_and_ends_in_a_return() -> None:
    await asyncio.gather(breach("ardupilot"), breach("px4"))


async def breach(autopilot: str) -> None:
    """One vehicle flies out of its fence, the other stays in its own."""
    told: list[tuple[float, str]] = []
    async with sky(1, 2, speedup=4.0) as (above, fleet):
        returning = {"ardupilot": {"FENCE_ACTION": 1}, "px4": {"GF_ACTION": 3}}[autopilot]
        flown = [above.vehicle(sysid, autopilot=autopilot, parameters=returning) for sysid in (1, 2)]
        leaves, stays = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        fleet.on_alarm = lambda text: told.append((time.monotonic(), text))
        here = flown[0].truth.true_state()
        north_m = (here.lat - HOME[1]) * 111_132
        await leaves.upload_fence([FenceCircle(lon=HOME[0], lat=HOME[1], radius_m=north_m + 40.0, inclusion=True)])
        await stays.upload_fence([FenceCircle(lon=HOME[0], lat=HOME[1], radius_m=400.0, inclusion=True)])
        assert not told
        assert await holds(lambda: leaves.state.mode is not FlightMode.MISSION, 30.0)
        breached_s = time.monotonic()
        assert await holds(lambda: any("(sysid 1)" in text for _, text in told), 2.0), told
        print(f"{autopilot}: told {told[0][0] - breached_s:.2f} s after its mode changed: {told[0][1]}")
        assert await holds(lambda: leaves.state.mode is FlightMode.RTL, 8.0), leaves.state
        assert not [text for _, text in told if "(sysid 2)" in text]
        assert (stays.state.mode, stays.state.condition) == (FlightMode.MISSION, Condition.FLYING)
