"""What PX4 does otherwise does not lead us astray."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import VehicleRefused
from fleet.fleet import Fleet
from fleet.flying import fly
from fleet.missions import mission_hash
from fleet.vehicle import MavlinkVehicle, VehicleRecord
from geo.positions import Altitude, Datum
from tests.fleet.conftest import HOME, proxy_to, survey
from tests.fleet.px4 import FENCE_M, Px4Vehicle


@asynccontextmanager
async def flying(vehicle: Px4Vehicle) -> AsyncIterator[None]:
    task = asyncio.create_task(vehicle.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def connected(fleet: Fleet) -> MavlinkVehicle:
    vehicle = fleet.register(VehicleRecord(sysid=6, name="six"))
    assert await holds(lambda: vehicle.state.home is not None and vehicle.state.vehicle_utc_s is not None, 5.0)
    return vehicle


@pytest.mark.slow
async def test_a_flight_whole(port: int) -> None:
    plan = survey(lines=2)
    px4 = Px4Vehicle(port)
    async with flying(px4):
        result = await fly(plan, f"udpin:127.0.0.1:{port}")
    assert (result.autopilot, result.items, result.reached, result.landed) == ("px4", len(plan), len(plan), True)
    assert result.hash == mission_hash(plan)
    assert len(px4.items) == len(plan), "no home slot"
    assert result.max_cross_track_m < 4, "at most one look's way at 60 m/s"
    assert px4.orders.count("300") == 1, "a start must not be repeated: it would begin anew"


async def test_the_second_answer_to_a_mode_is_the_true_one(port: int) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, flying(Px4Vehicle(port)):
        vehicle = await connected(fleet)
        result = await vehicle.set_mode(FlightMode.MISSION)
        assert result.state is CommandState.DENIED
        assert "Switching to Mission is currently not available" in result.text
        assert (await vehicle.hold()).state is CommandState.ACCEPTED


async def test_arming_is_denied_with_the_whole_text(port: int) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, flying(Px4Vehicle(port, refusals=1)):
        vehicle = await connected(fleet)
        aboard = await vehicle.upload_mission(survey())
        with pytest.raises(VehicleRefused) as caught:
            await vehicle.arm(aboard)
        assert caught.value.texts == ("Arming denied: Resolve system health failures first",)
        await vehicle.arm(aboard)
        assert await holds(lambda: vehicle.state.armed, 2.0)


async def test_a_goto_above_home_does_not_dive(port: int) -> None:
    px4 = Px4Vehicle(port, refusals=0)
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, flying(px4):
        vehicle = await connected(fleet)
        await vehicle.arm(await vehicle.upload_mission(survey()))
        px4.up_m = 30.0
        result = await vehicle.goto(lon=HOME[0], lat=HOME[1] + 0.001, altitude=Altitude(20.0, Datum.HOME))
        assert result.state is CommandState.ACCEPTED
        assert await holds(lambda: px4.north_m > 111 and px4.target is None, 5.0)
        assert px4.up_m == pytest.approx(20.0, abs=0.1)


async def test_a_goto_beyond_the_fence_is_not_taken_for_accepted(port: int) -> None:
    px4 = Px4Vehicle(port, refusals=0)
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, flying(px4):
        vehicle = await connected(fleet)
        beyond = HOME[1] + 2 * FENCE_M / 111_000
        result = await vehicle.goto(lon=HOME[0], lat=beyond, altitude=Altitude(820.0, Datum.AMSL))
        assert (result.state, result.texts) == (CommandState.DENIED, ("Reposition is outside geofence",))


@pytest.mark.slow
async def test_a_mission_gets_through_with_a_third_of_the_frames_lost(port: int) -> None:
    plan = survey(lines=3)
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"]) as fleet,
        proxy_to(port, seed=2) as (proxy, way),
        flying(Px4Vehicle(way)),
    ):
        vehicle = await connected(fleet)
        proxy.loss = 0.3
        assert await vehicle.upload_mission(plan) == mission_hash(plan)
        assert proxy.lost > 10
