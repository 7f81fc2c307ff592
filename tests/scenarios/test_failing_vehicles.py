"""What breaks in a vehicle is told within two seconds, by name, and its neighbour knows nothing of it."""

from __future__ import annotations

import asyncio
import math
import re
import time

import msgspec
import pytest

from fleet.autopilots import FlightMode
from fleet.commands import holds
from fleet.telemetry import Condition, TelemetryState
from simulators.fault_schedule import BatteryFailure, CompassFailure, Fault, GpsOff, MotorFailure
from tests.scenarios.sky import airborne, sky

pytestmark = pytest.mark.slow
ALARM_S = 2.0
"""From the failure to its alarm, s of the wall."""
AUTOPILOTS = ("ardupilot", "px4")
FAILURES: dict[str, tuple[Fault, str]] = {
    "gps": (GpsOff(), "GPS lost"),
    "battery": (BatteryFailure(voltage_v=18.0), "batter"),
    "motor": (MotorFailure(), "falling|attitude"),
    "compass": (CompassFailure(), "compass"),
}
"""What breaks, and what the alarm says, as a pattern."""
NEIGHBOUR = len(FAILURES) + 1


class Told(msgspec.Struct):
    """What an operator heard while something broke in each vehicle but one."""

    after_s: dict[str, float]
    """From each failure to its alarm, s; infinite for none."""
    alarms: list[str]
    """All of them."""
    neighbour: TelemetryState
    """How the one that nothing broke in was in the end."""


@pytest.fixture(scope="module")
def told() -> dict[str, Told]:
    """Of each autopilot: five vehicles on their missions, four of which break at the same moment."""

    async def play(autopilot: str) -> Told:
        heard: list[tuple[float, str]] = []
        async with sky(*range(1, NEIGHBOUR + 1), speedup=2.0) as (above, fleet):
            fleet.on_alarm = lambda text: heard.append((time.monotonic(), text))
            flown = [above.vehicle(sysid, autopilot=autopilot) for sysid in range(1, NEIGHBOUR + 1)]
            await asyncio.gather(*(airborne(fleet, sysid) for sysid in range(1, NEIGHBOUR + 1)))
            assert not heard, heard
            began_s = time.monotonic()
            for each, (fault, _) in zip(flown, FAILURES.values(), strict=False):
                each.link.inject(fault)

            def after_s(name: str) -> float:
                who, words = f"(sysid {list(FAILURES).index(name) + 1})", FAILURES[name][1]
                times_s = [at_s for at_s, text in heard if who in text and re.search(words, text, re.IGNORECASE)]
                return round(min(times_s, default=math.inf) - began_s, 2)

            await holds(lambda: all(after_s(name) < math.inf for name in FAILURES), 3 * ALARM_S)
            state = fleet.vehicle(NEIGHBOUR).state
            return Told({name: after_s(name) for name in FAILURES}, [text for _, text in heard], state)

    async def plays() -> list[Told]:
        return await asyncio.gather(*(play(autopilot) for autopilot in AUTOPILOTS))

    return dict(zip(AUTOPILOTS, asyncio.run(plays()), strict=True))


@pytest.mark.parametrize("autopilot", AUTOPILOTS)
@pytest.mark.parametrize("failure", FAILURES)
def test_a_failure_in_flight_is_an_alarm_within_two_seconds(
    told: dict[str, Told], autopilot: str, failure: str
) -> None:
    sysid = list(FAILURES).index(failure) + 1
    words = [text for text in told[autopilot].alarms if f"(sysid {sysid})" in text]
    print(f"{autopilot}: {failure} told after {told[autopilot].after_s[failure]} s: {words}")
    assert told[autopilot].after_s[failure] <= ALARM_S, told[autopilot].alarms


@pytest.mark.parametrize("autopilot", AUTOPILOTS)
def test_a_neighbour_of_failing_vehicles_flies_on_without_an_alarm(told: dict[str, Told], autopilot: str) -> None:
    state = told[autopilot].neighbour
    assert not [text for text in told[autopilot].alarms if f"(sysid {NEIGHBOUR})" in text]
    assert (state.condition, state.mode, state.failsafe) == (Condition.FLYING, FlightMode.MISSION, False)
