"""A lost link is seen for what it is, within seconds; the vehicle does what it was set to, and nobody resumes it."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.telemetry import Condition, LinkCondition
from geo.positions import distance_m
from simulators.fault_schedule import Loss, Way
from tests.fleet.conftest import HOME
from tests.scenarios.sky import CONTINUE, GCS_S, PX4_CONTINUE, PX4_RETURN, RETURN, Flown, airborne, item_of, sky

pytestmark = pytest.mark.slow
SILENCE = {"stale_s": 1.0, "lost_s": 2.5}


def away_m(flown: Flown) -> float:
    """Where a vehicle truly is, from its home."""
    here = flown.truth.true_state()
    return float(distance_m(here.lon, here.lat, HOME[0], HOME[1]))


async def cut(flown: Flown, vehicle: Any, *, for_s: float) -> None:
    """No link either way, until the ground knows and some s more; then it is back."""
    number = flown.link.inject(Loss())
    flown.tap.heard.clear()
    assert await holds(lambda: vehicle.state.condition is Condition.LOST, 6.0)
    assert vehicle.state.link is LinkCondition.NO_DOWNLINK
    await asyncio.sleep(for_s)
    assert flown.tap.heard == [], "nothing can have been heard"
    flown.link.lift(number)


async def test_without_a_link_each_continues_or_returns_as_it_was_set_and_gets_no_orders_when_it_is_back() -> None:
    await asyncio.gather(arducopters_without_a_link(), px4s_without_a_link())


async def arducopters_without_a_link() -> None:
    """One is to continue, one to return."""
    async with sky(1, 2, **SILENCE) as (above, fleet):
        flown = {1: above.vehicle(1, parameters=CONTINUE), 2: above.vehicle(2, parameters=RETURN)}
        goes_on, returns = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        left_at = item_of(goes_on)
        await asyncio.gather(cut(flown[1], goes_on, for_s=1.0), cut(flown[2], returns, for_s=1.0))
        assert await holds(lambda: returns.state.mode is FlightMode.RTL, 4.0), returns.state
        assert await holds(lambda: goes_on.state.mode is FlightMode.MISSION and item_of(goes_on) > left_at, 4.0)
        assert await holds(lambda: Condition.LOST not in (goes_on.state.condition, returns.state.condition), 3.0)
        assert await holds(lambda: goes_on.state.link is LinkCondition.TWO_WAY, 4.0)
        await asyncio.sleep(0.5)
        assert returns.state.mode is FlightMode.RTL, "it stays in RTL when the ground is back"
        assert all(each.tap.orders() == set() for each in flown.values()), "nothing was resumed or repeated"
        assert await holds(lambda: returns.state.condition is Condition.LANDED, 30.0)
        assert away_m(flown[2]) < 5.0


async def px4s_without_a_link() -> None:
    """One is to continue, one to return."""
    async with sky(1, 2, speedup=6.0, **SILENCE) as (above, fleet):
        flown = {
            1: above.vehicle(1, autopilot="px4", parameters=PX4_CONTINUE),
            2: above.vehicle(2, autopilot="px4", parameters=PX4_RETURN),
        }
        goes_on, returns = await asyncio.gather(airborne(fleet, 1), airborne(fleet, 2))
        await asyncio.gather(cut(flown[1], goes_on, for_s=4.0), cut(flown[2], returns, for_s=4.0))
        assert await holds(lambda: returns.state.mode in (FlightMode.RTL, FlightMode.HOLD), 4.0), returns.state
        assert await holds(lambda: returns.state.mode is FlightMode.RTL, 6.0), returns.state
        assert goes_on.state.mode is FlightMode.MISSION
        assert returns.state.failsafe, "it stays CRITICAL until somebody gives a mode"
        assert all(each.tap.orders() == set() for each in flown.values()), "nothing was resumed or repeated"


async def test_one_way_loss_is_told_apart_and_fails_only_the_side_that_hears_nothing() -> None:
    alarms: list[str] = []
    async with sky(1, 2, 3, **SILENCE) as (above, fleet):
        fleet.on_alarm = alarms.append
        deaf, mute = above.vehicle(1, parameters=RETURN), above.vehicle(2, parameters=RETURN)
        neighbour = above.vehicle(3, parameters=RETURN)
        unheard, silent, other = await asyncio.gather(*(airborne(fleet, sysid) for sysid in (1, 2, 3)))
        left_at = item_of(silent)
        deaf.link.inject(Loss(way=Way.DOWN))
        voice = mute.link.inject(Loss(way=Way.UP))
        deaf.tap.heard.clear()
        neighbour.tap.heard.clear()
        assert await holds(lambda: unheard.state.mode is FlightMode.RTL, 3.0 * GCS_S), "the vehicle misses the ground"
        assert unheard.state.condition is Condition.FLYING, "the ground still hears the vehicle"
        assert await holds(lambda: unheard.state.link is LinkCondition.NO_UPLINK, 8.0)
        assert any("sysid 1" in text and "uplink lost" in text for text in alarms), alarms
        assert await holds(lambda: silent.state.condition is Condition.LOST, 5.0), "the ground misses the vehicle"
        assert silent.state.link is LinkCondition.NO_DOWNLINK
        assert (other.state.link, other.state.condition) == (LinkCondition.TWO_WAY, Condition.FLYING)
        assert neighbour.tap.orders() == set()
        start_s = time.monotonic()
        held = await unheard.hold()
        assert held.state is CommandState.UNKNOWN
        assert time.monotonic() - start_s < 15.0
        assert deaf.tap.heard == []
        mute.link.lift(voice)
        assert await holds(lambda: silent.state.condition is not Condition.LOST, 4.0)
        assert await holds(lambda: item_of(silent) > left_at, 4.0)
        assert silent.state.mode is not FlightMode.RTL, "it heard the ground all the time, and flew on"
