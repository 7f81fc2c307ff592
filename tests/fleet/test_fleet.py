"""Several vehicles on one port: each gets what is for it, and nobody else."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.autopilots import FlightMode
from fleet.commands import CommandState, holds
from fleet.errors import LinkLost, MissionMismatch, VehicleRefused, VehicleUnknown
from fleet.fleet import Fleet
from fleet.flying import FlightWatch, launch
from fleet.framing import decode
from fleet.mavlink_vehicle import MavlinkVehicle
from fleet.missions import mission_hash
from fleet.recording import read_recording
from fleet.telemetry import Condition
from fleet.vehicle import VehicleRecord
from geo.poses import Pose
from geo.positions import Altitude, Datum, distance_m
from simulators.autopilot_sensors import SensorErrors
from simulators.vehicle import SimulatedVehicle
from tests.fleet.conftest import HOME, Fly, proxy_to, survey


def registered(*sysids: int) -> dict[int, VehicleRecord]:
    return {sysid: VehicleRecord(sysid=sysid, name=f"vehicle {sysid}") for sysid in sysids}


async def ready(vehicle: MavlinkVehicle) -> None:
    """Wait until a vehicle is there and can be armed."""
    assert await holds(lambda: vehicle.state.prearm_good is True, 15.0), vehicle.state


def traffic(vehicle: SimulatedVehicle) -> list[str]:
    """Names of the messages but heartbeats that a simulated vehicle hears from now on."""
    names: list[str] = []
    inner: Callable[[bytes, int], None] = vehicle.receive
    parser = dialect.MAVLink(None)

    def receive(data: bytes, link: int = 0) -> None:
        for message in parser.parse_buffer(bytearray(data)) or []:
            names.append(f"{message.get_type()} {getattr(message, 'command', '')}".strip())
        inner(data, link)

    vehicle.receive = receive  # type: ignore[method-assign]
    vehicle.link._receive = receive  # type: ignore[attr-defined]
    return names


async def test_telemetry_is_asked_for_and_comes(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(3)) as fleet:
        truth = simulated(port, sysid=3)
        vehicle = fleet.vehicle(3)
        assert vehicle.state.condition is Condition.UNKNOWN
        await ready(vehicle)
        assert await holds(lambda: vehicle.history.newest_utc_s is not None, 5.0)
        state = vehicle.state
        assert state.autopilot == "ardupilot"
        assert state.condition is Condition.READY
        assert state.position is not None
        assert (state.position.lon, state.position.lat) == pytest.approx(HOME[:2], abs=1e-4)
        assert state.position.altitude.datum is Datum.AMSL
        assert None not in (state.battery, state.gps, state.mission, state.gimbal, state.home, state.vehicle_utc_s)
        assert await holds(lambda: 5 < fleet.clock_rate(3) < 15, 4.0), fleet.clock_rate(3)
        true = truth.true_state()
        newest = vehicle.history.newest_utc_s
        assert newest is not None
        assert newest == pytest.approx(true.utc_s, abs=2.0)
        sample = vehicle.history.pose_at(newest - 0.1)
        assert sample is not None
        assert sample.pose.attitude.pitch_deg == pytest.approx(-90, abs=2)
        seen = fleet.seen(3)
        assert seen is not None
        assert seen.counts[1].lost == 0


async def test_commands_reach_only_the_vehicle_they_name(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1, 2)) as fleet:
        vehicles = {sysid: simulated(port, sysid=sysid) for sysid in (1, 2, 3)}
        await ready(fleet.vehicle(1))
        await ready(fleet.vehicle(2))
        assert await holds(lambda: 3 in fleet.strangers, 5.0)
        heard = {sysid: traffic(vehicle) for sysid, vehicle in vehicles.items()}
        result = await fleet.vehicle(2).set_mode(FlightMode.GUIDED)
        assert result.state is CommandState.ACCEPTED
        await fleet.vehicle(2).upload_mission(survey())
        await asyncio.sleep(0.3)
        assert "COMMAND_LONG 176" in heard[2]
        assert "MISSION_COUNT" in heard[2]
        assert set(heard[1]) <= {"HEARTBEAT", "TIMESYNC", "COMMAND_LONG 511"}
        assert heard[3] == [], "a vehicle that is not registered hears nothing at all"
        assert fleet.vehicle(1).state.mode is not FlightMode.GUIDED
        with pytest.raises(VehicleUnknown, match="sysid 3 was heard but is not registered"):
            fleet.vehicle(3)
        with pytest.raises(VehicleUnknown, match="sysid 9 is not registered"):
            fleet.vehicle(9)


@pytest.mark.slow
async def test_three_vehicles_on_one_port_fly_a_mission_each(port: int, simulated: Fly, tmp_path: Path) -> None:
    plans = {1: survey(lines=2), 2: survey(lines=2, line_m=40), 3: survey(lines=1, height_m=40)}
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1, 2, 3)) as fleet:
        for sysid in plans:
            simulated(port, sysid=sysid)

        async def flight(sysid: int) -> FlightWatch:
            vehicle = fleet.vehicle(sysid)
            await ready(vehicle)
            fleet.start_recording(sysid, tmp_path / f"{sysid}.tlog")
            aboard = await vehicle.upload_mission(plans[sysid])
            assert aboard == mission_hash(plans[sysid]) == vehicle.mission_hash
            await launch(fleet, vehicle, aboard, armable_s=20.0)
            watch = FlightWatch(plans[sysid], vehicle)
            await watch.until_landed()
            return watch

        watches = dict(zip(plans, await asyncio.gather(*(flight(sysid) for sysid in plans)), strict=True))
        for sysid, plan in plans.items():
            state = fleet.vehicle(sysid).state
            assert (state.condition, state.armed) == (Condition.LANDED, False)
            assert watches[sysid].reached == len(plan)
            assert 0 < watches[sysid].max_cross_track_m < 4
            aboard = await fleet.vehicle(sysid).read_mission()
            assert mission_hash(aboard) == mission_hash(plan)
            recording = fleet.stop_recording(sysid)
            assert recording is not None
    for sysid, plan in plans.items():
        frames = [frame for _, frame in read_recording(tmp_path / f"{sysid}.tlog")]
        assert {frame.sysid for frame in frames} == {sysid, 255}
        sent = [frame for frame in frames if frame.sysid == 255 and frame.msgid == 73]
        assert {decode(frame).target_system for frame in sent} == {sysid}
        assert len(sent) == len(plan) + 1


async def test_arming_is_refused_unless_what_is_aboard_is_what_was_approved(port: int, simulated: Fly) -> None:
    plan = survey()
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        truth = simulated(port, sysid=1)
        vehicle = fleet.vehicle(1)
        await ready(vehicle)
        heard = traffic(truth)
        with pytest.raises(MissionMismatch, match="sysid 1: the mission aboard hashes to"):
            await vehicle.arm(mission_hash(plan))
        await vehicle.upload_mission(survey(height_m=31))
        with pytest.raises(MissionMismatch, match=f"approved is {mission_hash(plan)[:12]}"):
            await vehicle.arm(mission_hash(plan))
        assert "COMMAND_LONG 400" not in heard
        assert not vehicle.state.armed
        await vehicle.upload_mission(plan)
        await vehicle.arm(mission_hash(plan))
        assert "COMMAND_LONG 400" in heard
        assert await holds(lambda: vehicle.state.armed, 3.0)


async def test_a_mission_that_another_ground_changed_is_read_again(port: int, simulated: Fly) -> None:
    plan = survey()
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        truth = simulated(port, sysid=1)
        vehicle = fleet.vehicle(1)
        await ready(vehicle)
        await vehicle.upload_mission(plan)
        await asyncio.sleep(2.1)
        truth.receive(_frame(dialect.MAVLink_mission_count_message(1, 1, 2, 0), sysid=200))
        for seq, item in enumerate(plan[:2]):
            message = dialect.MAVLink_mission_item_int_message(
                1, 1, seq, item.frame, item.command, 0, 1, *item.params, item.x, item.y, item.z, 0
            )
            truth.receive(_frame(message, sysid=200))
        assert await holds(lambda: vehicle.mission_hash is None, 3.0)
        with pytest.raises(MissionMismatch):
            await vehicle.arm(mission_hash(plan))


def _frame(message: dialect.MAVLink_message, *, sysid: int) -> bytes:
    data: bytes = message.pack(dialect.MAVLink(None, srcSystem=sysid, srcComponent=190))
    return data


async def test_a_vehicle_that_will_not_arm_says_why(port: int, simulated: Fly) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        simulated(port, sysid=1, ready_after_s=10_000.0)
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.state.home is not None or vehicle.state.texts != (), 10.0)
        await asyncio.sleep(2.0)
        aboard = await vehicle.upload_mission(survey())
        with pytest.raises(VehicleRefused) as caught:
            await vehicle.arm(aboard)
        assert caught.value.texts
        assert "sysid 1" in str(caught.value)
        assert caught.value.texts[0] in str(caught.value)
        assert not vehicle.state.armed


@pytest.mark.slow
async def test_hold_resume_goto_gimbal_and_home_in_flight(port: int, simulated: Fly) -> None:
    plan = survey(lines=2, line_m=120)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        truth = simulated(port, sysid=1)
        vehicle = fleet.vehicle(1)
        await ready(vehicle)
        await launch(fleet, vehicle, await vehicle.upload_mission(plan))
        assert await holds(lambda: vehicle.state.mission is not None and (vehicle.state.mission.item or 0) >= 4, 20.0)
        assert vehicle.state.condition is Condition.FLYING
        hold = await vehicle.hold()
        assert (hold.state, vehicle.state.mode) == (CommandState.ACCEPTED, FlightMode.HOLD)
        at = vehicle.state.mission
        assert (await vehicle.resume()).state is CommandState.ACCEPTED
        await asyncio.sleep(0.3)
        assert vehicle.state.mission is not None
        assert at is not None
        assert vehicle.state.mission.item == at.item
        assert (await vehicle.set_gimbal(pitch_deg=-45)).state is CommandState.ACCEPTED
        assert await holds(
            lambda: vehicle.state.gimbal is not None and abs(vehicle.state.gimbal.pitch_deg + 45) < 3, 5.0
        )
        place = {"lon": HOME[0], "lat": HOME[1] + 0.0003}
        goto = await vehicle.goto(**place, altitude=Altitude(25.0, Datum.HOME))
        assert goto.state is CommandState.ACCEPTED
        assert await holds(lambda: abs(truth.true_state().amsl_m - 825) < 2, 20.0)
        with pytest.raises(VehicleRefused, match="25 m AGL cannot be told"):
            await vehicle.goto(**place, altitude=Altitude(25.0, Datum.AGL))
        assert (await vehicle.rtl()).state is CommandState.ACCEPTED
        assert await holds(lambda: vehicle.state.condition is Condition.LANDED, 40.0), vehicle.state


@pytest.mark.slow
async def test_poses_are_where_the_camera_truly_was(port: int, simulated: Fly) -> None:
    exact = SensorErrors(horizontal_m=0, vertical_m=0, tilt_deg=0, yaw_deg=0, gimbal_deg=0)
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        truth = simulated(port, sysid=1, errors=exact)
        vehicle = fleet.vehicle(1)
        await ready(vehicle)
        await launch(fleet, vehicle, await vehicle.upload_mission(survey(lines=2, line_m=60)))
        assert await holds(lambda: vehicle.state.mission is not None and (vehicle.state.mission.item or 0) >= 4, 20.0)
        compared = 0
        while vehicle.state.mission is not None and (vehicle.state.mission.item or 0) < 7:
            utc_s = truth.true_state().utc_s - 0.013
            true = truth.true_state(utc_s)
            assert await vehicle.history.wait_until(utc_s, 2.0)
            sample = vehicle.history.pose_at(utc_s)
            assert sample is not None
            at = sample.pose.position
            off_m = float(distance_m(at.lon, at.lat, true.lon, true.lat))
            assert off_m < 0.1
            assert at.altitude.value_m == pytest.approx(true.amsl_m, abs=0.15)
            turned = true.attitude.ned_from_body().T @ sample.vehicle_attitude.ned_from_body()
            assert np.degrees(np.arccos(np.clip((np.trace(turned) - 1) / 2, -1, 1))) < 4.0
            looks = Pose(utc_s=utc_s, position=at, attitude=true.gimbal).enu_from_camera()
            assert looks[:, 2] @ sample.pose.enu_from_camera()[:, 2] > np.cos(np.radians(1.0))
            compared += 1
            await asyncio.sleep(0.05)
        assert compared > 10


async def test_silence_is_stale_then_lost_and_then_over(port: int, simulated: Fly) -> None:
    async with (
        Fleet([f"udpin:127.0.0.1:{port}"], registered(1, 2), stale_s=0.6, lost_s=1.5) as fleet,
        proxy_to(port) as (proxy, way),
    ):
        simulated(way, sysid=1)
        simulated(port, sysid=2)
        await ready(fleet.vehicle(1))
        await ready(fleet.vehicle(2))
        seen: list[tuple[int, Condition]] = []

        async def follow() -> None:
            async for state in fleet.changes():
                if not seen or seen[-1] != (state.sysid, state.condition):
                    seen.append((state.sysid, state.condition))

        follower = asyncio.create_task(follow())
        proxy.loss = 1.0
        start_s = time.monotonic()
        assert await holds(lambda: fleet.vehicle(1).state.condition is Condition.STALE, 3.0)
        assert await holds(lambda: fleet.vehicle(1).state.condition is Condition.LOST, 3.0)
        assert 1.3 < time.monotonic() - start_s < 2.8
        assert fleet.vehicle(2).state.condition is Condition.READY
        proxy.loss = 0.0
        assert await holds(lambda: fleet.vehicle(1).state.condition is Condition.READY, 3.0)
        follower.cancel()
        assert (1, Condition.STALE) in seen
        assert (1, Condition.LOST) in seen
        assert (2, Condition.LOST) not in seen
        assert fleet.vehicle(1).state.loss_percent >= 0


async def test_nothing_is_sent_where_no_way_is_known(port: int) -> None:
    async with Fleet([f"udpin:127.0.0.1:{port}"], registered(1)) as fleet:
        with pytest.raises(VehicleUnknown, match="no heartbeat heard yet"):
            await fleet.vehicle(1).hold()
        with pytest.raises(LinkLost, match="no link leads to it"):
            await fleet.vehicle(1).commands.long(176, 1.0)
        with pytest.raises(VehicleUnknown, match="nothing was heard"):
            fleet.start_recording(1, Path("x.tlog"))
        with pytest.raises(VehicleUnknown, match="our own"):
            fleet.register(VehicleRecord(sysid=255, name="us"))
