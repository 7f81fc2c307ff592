"""What PX4 does otherwise does not lead us astray."""

from __future__ import annotations

import math

import pytest

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import VehicleRefused
from fleet.fleet import Fleet
from fleet.flying import fly
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import MissionItem, mission_hash
from fleet.vehicle import VehicleRecord
from geo.positions import Altitude, Datum
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import HOME, Fly, proxy_to, survey

MISSION, TAKEOFF_COMMAND = 0, 22


async def connected(fleet: Fleet) -> MavlinkVehicle:
    vehicle = fleet.register(VehicleRecord(sysid=6, name="six"))
    heard = vehicle.telemetry
    assert await holds(lambda: heard.autopilot is not None and vehicle.state.home is not None, 5.0)
    assert await holds(lambda: vehicle.state.vehicle_utc_s is not None, 5.0)
    return vehicle


def aboard(px4: SimulatedVehicle) -> list[MissionItem]:
    return px4.pilot.transfers.items[MISSION]  # type: ignore[attr-defined,no-any-return]


async def in_the_air(vehicle: MavlinkVehicle, px4: SimulatedVehicle) -> None:
    """Flying its survey, above 25 m."""
    assert await holds(lambda: px4.pilot.checks_pass(), 3.0)
    await vehicle.arm(await vehicle.upload_mission(survey()))
    await vehicle.start_mission()
    assert await holds(lambda: px4.pilot.relative_m() > 25.0, 10.0)


@pytest.mark.slow
async def test_a_flight_whole(port: int, simulated: Fly) -> None:
    plan = survey(lines=2)
    px4 = simulated(port, sysid=6, autopilot="px4")
    result = await fly(plan, f"udpin:127.0.0.1:{port}")
    assert (result.autopilot, result.items, result.reached, result.landed) == ("px4", len(plan), len(plan), True)
    assert result.hash == mission_hash(plan)
    assert len(aboard(px4)) == len(plan), "no home slot"
    assert aboard(px4)[0].command == TAKEOFF_COMMAND
    assert result.max_cross_track_m < 4
    assert px4.body.on_ground
    assert math.hypot(px4.body.n, px4.body.e) < 6.0


async def test_the_second_answer_to_a_mode_is_the_true_one(port: int, simulated: Fly) -> None:
    px4 = simulated(port, sysid=6, autopilot="px4")
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        vehicle = await connected(fleet)
        await holds(lambda: px4.pilot.may_arm(), 3.0)  # type: ignore[attr-defined]
        px4.pilot.arm()
        result = await vehicle.set_mode(FlightMode.MISSION)
        assert result.state is CommandState.DENIED
        assert "Switching to Mission is currently not available" in result.text
        assert (await vehicle.hold()).state is CommandState.ACCEPTED


async def test_arming_is_denied_with_the_whole_text(port: int, simulated: Fly) -> None:
    simulated(port, sysid=6, autopilot="px4", ready_after_s=30.0)
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        vehicle = await connected(fleet)
        aboard = await vehicle.upload_mission(survey())
        with pytest.raises(VehicleRefused) as caught:
            await vehicle.arm(aboard)
        text, *reasons = caught.value.texts
        assert text == "Arming denied: Resolve system health failures first"
        assert reasons[:2] == ["No valid position estimate", "No valid global position estimate"]
        assert "No valid mission available" not in reasons, "it is aboard"
        report = vehicle.state.arming
        assert report is not None
        assert not report.allows(FlightMode.HOLD)


async def test_it_says_when_asked_what_it_can_be_armed_for(port: int, simulated: Fly) -> None:
    px4 = simulated(port, sysid=6, autopilot="px4")
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        vehicle = await connected(fleet)
        assert await holds(px4.pilot.checks_pass, 3.0)
        await vehicle.look_again()
        report = vehicle.state.arming
        assert report is not None
        assert report.allows(FlightMode.HOLD)
        assert report.reasons(FlightMode.MISSION) == ("No valid mission available",)
        await vehicle.upload_mission(survey())
        await vehicle.look_again()
        report = vehicle.state.arming
        assert report is not None
        assert report.allows(FlightMode.MISSION)


@pytest.mark.slow
async def test_a_goto_above_home_does_not_dive(port: int, simulated: Fly) -> None:
    px4 = simulated(port, sysid=6, autopilot="px4")
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        vehicle = await connected(fleet)
        await in_the_air(vehicle, px4)
        result = await vehicle.goto(lon=HOME[0], lat=HOME[1] + 0.0005, altitude=Altitude(20.0, Datum.HOME))
        assert result.state is CommandState.ACCEPTED
        assert await holds(lambda: abs(px4.body.n - 55.0) < 3.0 and abs(px4.body.vn) < 0.3, 10.0)
        assert px4.pilot.relative_m() == pytest.approx(20.0, abs=5.0), "the home's height wanders by metres"


@pytest.mark.slow
async def test_a_goto_beyond_the_fence_is_not_taken_for_accepted(port: int, simulated: Fly) -> None:
    px4 = simulated(port, sysid=6, autopilot="px4")
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet:
        vehicle = await connected(fleet)
        await in_the_air(vehicle, px4)
        place = (round(HOME[1] * 1e7), round(HOME[0] * 1e7))
        circle = MissionItem(frame=5, command=5003, params=(150.0, 0, 0, 0), x=place[0], y=place[1])
        px4.pilot.transfers.items[1] = [circle]  # type: ignore[attr-defined]
        px4.pilot._list_replaced(1, True)  # type: ignore[attr-defined]
        result = await vehicle.goto(lon=HOME[0], lat=HOME[1] + 0.005, altitude=Altitude(820.0, Datum.AMSL))
        assert (result.state, result.texts) == (CommandState.DENIED, ("Reposition is outside geofence",))


@pytest.mark.slow
async def test_a_mission_gets_through_with_a_third_of_the_frames_lost(port: int, simulated: Fly) -> None:
    plan = survey(lines=3)
    async with Fleet([f"udpin:127.0.0.1:{port}"]) as fleet, proxy_to(port, seed=2) as (proxy, way):
        simulated(way, sysid=6, autopilot="px4")
        vehicle = await connected(fleet)
        proxy.loss = 0.3
        assert await vehicle.upload_mission(plan) == mission_hash(plan)
        assert proxy.lost > 10
