"""A clock that is set in mid-flight, ours or a vehicle's, loses no vehicle, no order and no signature."""

from __future__ import annotations

import asyncio
import hashlib
import time
from pathlib import Path

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState
from fleet.recording import read_recording
from fleet.signing import SignatureCheck, SigningTime, SteadyClock, VehicleSigning
from fleet.telemetry import Condition, LinkCondition
from simulators.fault_schedule import ClockJump
from tests.scenarios.sky import airborne, at_item, item_of, sky

pytestmark = pytest.mark.slow
DAY_S, HOUR_S = 86_400.0, 3_600.0


class SetClock:
    """Our clock, which somebody sets."""

    def __init__(self) -> None:
        self.off_s = 0.0

    def __call__(self) -> float:
        return time.time() + self.off_s


async def test_a_step_of_our_clock_in_mid_flight_loses_no_vehicle_no_order_and_no_signature(tmp_path: Path) -> None:
    steps_s = {"ahead": 90 * DAY_S, "back": -2 * HOUR_S}
    for name in steps_s:
        (tmp_path / name).mkdir()
    await asyncio.gather(*(step(tmp_path / name, step_s) for name, step_s in steps_s.items()))


async def step(folder: Path, step_s: float) -> None:
    """Our clock is set in mid-flight of two vehicles, one of which signs."""
    clock, key = SetClock(), hashlib.sha256(b"key").digest()
    signing = VehicleSigning(
        SignatureCheck(2, key), key=key, time=SigningTime(folder / "2"), clock=SteadyClock(utc_now=clock)
    )
    alarms: list[str] = []
    async with sky(1, 2, utc_now=clock, signing={2: signing}) as (above, fleet):
        flown = [above.vehicle(1), above.vehicle(2, signing_key=key, trusted_link=None)]
        vehicles = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        fleet.on_alarm = alarms.append
        fleet.start_recording(1, folder / "1.tlog")
        left_at = [item_of(vehicle) for vehicle in vehicles]
        await asyncio.sleep(0.3)
        clock.off_s = step_s
        for each in flown:
            each.tap.heard.clear()
        for vehicle, item in zip(vehicles, left_at, strict=True):
            await at_item(vehicle, item + 1)
            state = vehicle.state
            assert (state.condition, state.mode, state.armed) == (Condition.FLYING, FlightMode.MISSION, True)
            assert state.link is LinkCondition.TWO_WAY
            assert state.last_heard_utc_s == pytest.approx(clock(), abs=5.0), "records have the new time"
        assert alarms == []
        assert all(each.tap.orders() == set() for each in flown), "nothing was sent because of it"
        for vehicle in vehicles:
            asked_s = time.monotonic()
            assert (await vehicle.hold()).state is CommandState.ACCEPTED
            assert time.monotonic() - asked_s < 3.0
        fleet.stop_recording(1)
    times_s = [utc_s for utc_s, _ in read_recording(folder / "1.tlog")]
    assert max(times_s) - min(times_s) == pytest.approx(abs(step_s), abs=60.0), "as the clock was, unsmoothed"


async def test_a_vehicle_whose_clock_is_set_is_still_the_same_vehicle() -> None:
    async with sky(1) as (above, fleet):
        flown = above.vehicle(1)
        vehicle = await airborne(fleet, 1)
        left_at = item_of(vehicle)
        flown.link.inject(ClockJump(by_s=90 * DAY_S, boot=False))
        await at_item(vehicle, left_at + 1)
        state = vehicle.state
        assert (state.condition, state.mode, state.conflict) == (Condition.FLYING, FlightMode.MISSION, None)
        assert state.vehicle_utc_s == pytest.approx(above.clock.utc_s() + 90 * DAY_S, abs=60.0)
        assert (await vehicle.hold()).state is CommandState.ACCEPTED
