"""Time waits for pictures to be drawn and looked at, and for nothing else."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest

from aerial_models.frames import Mailbox
from fleet.commands import holds
from fleet.fleet import Fleet
from fleet.flying import launch
from fleet.vehicle import VehicleRecord
from geo.camera_library import camera as camera_of
from geo.positions import distance_m
from simulators.autopilot_sensors import SensorErrors
from simulators.camera import SimulatedCamera
from simulators.clock import SimClock
from simulators.pacing import HEADROOM, SLOWEST, Looks, Shutter, follow
from simulators.processes import free_port
from simulators.simulation import Lookout
from simulators.vehicle import SimulatedVehicle
from simulators.video import Channel, Chunk
from tests.fleet.conftest import HOME, survey
from tests.simulators.test_camera import START_UTC_S, Recorder, view_of


class Onlooker:
    """Looks at frames as mission control does: the latest wins; /metrics tells how many were looked at."""

    def __init__(self, *, takes_s: float) -> None:
        self.takes_s = takes_s
        self.looked_at = 0
        self.asked = 0
        self.mailbox: Mailbox[Chunk] = Mailbox()

    async def watch(self, channel: Channel) -> None:
        with channel.subscribe() as chunks:
            looking = asyncio.create_task(self._look())
            try:
                async for chunk in chunks:
                    self.mailbox.put(chunk)
            finally:
                looking.cancel()

    async def _look(self) -> None:
        while True:
            await self.mailbox.next()
            await asyncio.sleep(self.takes_s)
            self.looked_at += 1

    def metrics(self) -> bytes:
        self.asked += 1
        return (
            "# HELP missioncontrol_frames_total Frames that were looked at\n"
            'missioncontrol_frames_total{vehicle="vehicle-2"} 7000.0\n'
            f'missioncontrol_frames_total{{vehicle="vehicle-1"}} {float(self.looked_at)}\n'
            f'missioncontrol_frames_dropped_total{{vehicle="vehicle-1"}} {float(self.mailbox.dropped)}\n'
        ).encode()


class Answering(asyncio.Protocol):
    """HTTP on loopback that has one answer."""

    def __init__(self, answer: Callable[[], bytes]) -> None:
        self.answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        body = self.answer()
        self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)


@asynccontextmanager
async def asked(onlooker: Onlooker) -> AsyncIterator[str]:
    """The URL of its metrics."""
    server = await asyncio.get_running_loop().create_server(lambda: Answering(onlooker.metrics), "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/metrics"


@asynccontextmanager
async def filmed(
    onlooker: Onlooker,
    *,
    draws_s: float = 0.0,
    fps: float = 5.0,
    speedup: float = 10.0,
    paced: bool = True,
    answers: bool = True,
    wanted: Callable[[], bool] = lambda: True,
) -> AsyncIterator[tuple[SimClock, SimulatedCamera]]:
    """A camera whose frames an onlooker takes."""
    channel = Channel()
    with ThreadPoolExecutor(1) as pool:
        async with asked(onlooker) as url, httpx.AsyncClient(timeout=2.0) as http:
            looks = Looks(http, url if answers else f"http://127.0.0.1:{free_port()}/metrics")
            clock = SimClock(start_utc_s=START_UTC_S, speedup=speedup)
            camera = SimulatedCamera(
                renderer=Recorder(takes_s=draws_s),
                view=lambda: view_of(clock),
                clock=Shutter(clock, looks, "vehicle-1", fps, wanted) if paced else clock,
                channel=channel,
                pool=pool,
                width_px=320,
                height_px=240,
                fps=fps,
            )
            tasks = [asyncio.create_task(work) for work in (onlooker.watch(channel), camera.run())]
            await asyncio.sleep(0)
            try:
                yield clock, camera
            finally:
                for task in reversed(tasks):
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)


async def test_every_frame_is_looked_at_however_long_a_look_takes() -> None:
    onlooker = Onlooker(takes_s=0.1)
    async with filmed(onlooker) as (clock, camera):
        began_s = clock.elapsed_s()
        assert await holds(lambda: camera.frames >= 15, 20.0)
        assert onlooker.mailbox.dropped == camera.skipped == 0
        assert onlooker.looked_at <= camera.frames <= onlooker.looked_at + 2
        assert clock.elapsed_s() - began_s == pytest.approx(camera.frames / 5.0, abs=0.8)


async def test_without_pacing_frames_are_dropped() -> None:
    onlooker = Onlooker(takes_s=0.1)
    async with filmed(onlooker, paced=False):
        assert await holds(lambda: onlooker.looked_at >= 5, 20.0)
        assert onlooker.mailbox.dropped > onlooker.looked_at


async def test_no_frame_is_skipped_however_long_drawing_takes() -> None:
    async with filmed(Onlooker(takes_s=0.0), draws_s=0.1) as (clock, camera):
        began_s = clock.elapsed_s()
        assert await holds(lambda: camera.frames >= 10, 20.0)
        assert camera.skipped == 0
        assert clock.elapsed_s() - began_s == pytest.approx(camera.frames / 5.0, abs=0.8)


async def test_one_long_look_is_waited_for_as_long_as_the_average_allows() -> None:
    onlooker = Onlooker(takes_s=0.01)
    async with filmed(onlooker, speedup=4.0) as (clock, camera):
        await asyncio.sleep(0.6)
        long_s = 1.6
        assert long_s > 0.2 / SLOWEST
        onlooker.takes_s = long_s
        await asyncio.sleep(0.3)
        onlooker.takes_s = 0.01
        before_s = clock.elapsed_s()
        await asyncio.sleep(1.0)
        assert clock.elapsed_s() < before_s + 0.4
        await asyncio.sleep(0.9)
        assert clock.elapsed_s() > before_s + 1.0
        assert onlooker.mailbox.dropped == camera.skipped == 0


@pytest.mark.parametrize("answers", [True, False])
async def test_time_goes_on_where_nothing_is_looked_at(answers: bool) -> None:
    onlooker = Onlooker(takes_s=3600.0)
    async with filmed(onlooker, answers=answers) as (clock, camera):
        assert await holds(lambda: clock.elapsed_s() > 5.0, 20.0)
        assert camera.frames > 10


async def test_a_look_that_never_ends_does_not_hold_time_for_good(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.pacing.PATIENCE_S", 0.5)
    onlooker = Onlooker(takes_s=0.02)
    async with filmed(onlooker, fps=4.0) as (clock, _):
        assert await holds(lambda: onlooker.looked_at >= 3, 20.0)
        onlooker.takes_s = 3600.0
        before_s, wall_s = clock.elapsed_s(), time.monotonic()
        assert await holds(lambda: clock.elapsed_s() > before_s + 2.0, 20.0)
        assert 0.4 < time.monotonic() - wall_s < 2.0
        assert onlooker.mailbox.dropped > 0


async def test_what_is_not_wanted_is_not_waited_for_nor_asked_about() -> None:
    onlooker = Onlooker(takes_s=0.3)
    async with filmed(onlooker, wanted=lambda: False) as (clock, camera):
        await asyncio.sleep(0.8)
        assert onlooker.asked == 0
        assert clock.elapsed_s() > 4.0
        assert camera.skipped <= 0.2 * camera.frames


async def test_the_rate_follows_what_is_reached_and_rises_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.pacing.PERIOD_S", 0.1)
    onlooker = Onlooker(takes_s=0.2)
    async with filmed(onlooker, speedup=4.0) as (clock, _):
        following = asyncio.create_task(follow(clock))
        rates = []
        for _ in range(20):
            await asyncio.sleep(0.1)
            rates.append(clock.rate)
        reachable = 0.2 / 0.2
        assert reachable / 2 < rates[-1] < 2.0 * HEADROOM * reachable
        assert min(rates) >= SLOWEST
        following.cancel()
        onlooker.takes_s = 0.0
        clock.rate, wall_s = SLOWEST, time.monotonic()  # as after a long hold
        following = asyncio.create_task(follow(clock))
        assert await holds(lambda: clock.rate == 4.0, 20.0)
        assert time.monotonic() - wall_s > 1.5  # so that who measures the rate can follow
        following.cancel()


async def test_cameras_wait_together_and_ask_together() -> None:
    onlooker = Onlooker(takes_s=0.05)
    async with asked(onlooker) as url, httpx.AsyncClient() as http:
        looks = Looks(http, url)
        counts = await asyncio.gather(*(looks.count("vehicle-2", beyond=0) for _ in range(20)))
        assert counts == [7000] * 20
        assert onlooker.asked <= 2
        assert await looks.count("vehicle-2", beyond=6999) == 7000
        assert onlooker.asked <= 2
        assert await looks.count("vehicle-3", beyond=0) == 0


@pytest.mark.slow
async def test_poses_stay_true_and_no_failsafe_acts_while_the_rate_changes() -> None:
    clock = SimClock(start_utc_s=1_790_000_000.0, speedup=20.0)
    exact = SensorErrors(horizontal_m=0, vertical_m=0, tilt_deg=0, yaw_deg=0, gimbal_deg=0)
    random = np.random.default_rng(7)
    port = free_port(socket.SOCK_DGRAM)
    truth = SimulatedVehicle(
        sysid=1, home=HOME, link=f"udpout:127.0.0.1:{port}", clock=clock, errors=exact, ready_after_s=3.0
    )
    alarms: list[str] = []
    off_m: list[float] = []
    record = VehicleRecord(sysid=1, name="vehicle 1")
    async with Fleet([f"udpin:127.0.0.1:{port}"], {1: record}) as fleet:
        fleet.on_alarm = alarms.append
        flying = asyncio.create_task(truth.run())
        vehicle = fleet.vehicle(1)
        assert await holds(lambda: vehicle.state.prearm_good is True, 15.0), vehicle.state
        await launch(fleet, vehicle, await vehicle.upload_mission(survey(lines=2, line_m=30, gap_m=15, height_m=12)))
        while vehicle.state.mission is None or (vehicle.state.mission.item or 0) < 7:
            clock.rate = float(random.choice([1.0, 5.0, 20.0]))
            clock.hold("camera", clock.elapsed_s() + 0.5, until_monotonic_s=time.monotonic() + 0.06)
            await asyncio.sleep(0.1)
            utc_s = truth.true_state().utc_s - 0.013
            true = truth.true_state(utc_s)
            assert await vehicle.history.wait_until(utc_s, 2.0)
            sample = vehicle.history.pose_at(utc_s)
            assert sample is not None
            at = sample.pose.position
            off_m.append(float(distance_m(at.lon, at.lat, true.lon, true.lat)))
        flying.cancel()
        await asyncio.gather(flying, return_exceptions=True)
        assert not [text.text for text in vehicle.state.texts if "failsafe" in text.text.lower()]
    assert len(off_m) > 20
    assert max(off_m) < 0.1
    assert alarms == []


def test_frames_matter_from_the_climb_to_the_landing() -> None:
    vehicle = SimulatedVehicle(
        sysid=1, home=HOME, link="udpout:127.0.0.1:9", clock=SimClock(start_utc_s=START_UTC_S), ready_after_s=3.0
    )
    lookout = Lookout(vehicle, camera_of("sim-wide").brown_camera())
    told = []
    for armed, height_m in [
        (False, 0.0),
        (True, 0.0),
        (True, 9.0),
        (True, 11.0),
        (True, 3.0),
        (False, 0.0),
        (True, 0.0),
    ]:
        vehicle.pilot.armed, vehicle.body.u = armed, height_m
        told.append(lookout.matters())
    assert told == [False, False, False, True, True, False, False]
