import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import pytest

from geo import klv
from geo.klv import UasMetadata
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.camera import SimulatedCamera, View
from simulators.clock import SimClock
from simulators.patterns import PatternPicture, PatternRenderer
from simulators.video import Channel, Chunk

START_UTC_S = 1_750_000_000.0


class Recorder(PatternRenderer):
    """Draws the test card, as slowly as told, and remembers what it was asked for."""

    def __init__(self, *, takes_s: float = 0.0) -> None:
        super().__init__(width_px=320, height_px=240)
        self.poses: list[Pose] = []
        self.threads: set[str] = set()
        self.takes_s = takes_s

    def render(self, pose: Pose, **how: Any) -> PatternPicture:
        self.poses.append(pose)
        self.threads.add(threading.current_thread().name)
        time.sleep(self.takes_s)
        return super().render(pose)


def view_of(clock: SimClock) -> View:
    """True height 900 m; the sensors say 903 m."""
    utc_s = clock.utc_s()

    def pose(amsl_m: float) -> Pose:
        return Pose(
            utc_s=utc_s,
            position=Position(lon=76.945, lat=43.205, altitude=Altitude(amsl_m, Datum.AMSL)),
            attitude=Attitude(pitch_deg=-90, yaw_deg=30),
        )

    return View(pose(900.0), (1.0, 2.0, 0.0), klv.metadata_of(pose(903.0), platform=Attitude(pitch_deg=0, yaw_deg=30)))


async def filmed(
    renderer: Recorder, *, fps: float, speedup: float, wall_s: float
) -> tuple[SimulatedCamera, list[Chunk], float]:
    clock, channel = SimClock(start_utc_s=START_UTC_S, speedup=speedup), Channel()
    with ThreadPoolExecutor(2, "cameras") as pool:
        camera = SimulatedCamera(
            renderer=renderer, view=lambda: view_of(clock), clock=clock, channel=channel, pool=pool,
            width_px=320, height_px=240, fps=fps,
        )  # fmt: skip
        with channel.subscribe() as chunks:
            started_s = clock.elapsed_s()
            filming = asyncio.create_task(camera.run())
            await asyncio.sleep(wall_s)
            passed_s = clock.elapsed_s() - started_s
            filming.cancel()
            await asyncio.gather(filming, return_exceptions=True)
            got = [c async for c in chunks]
    return camera, got, passed_s


def metadata_in(chunk: Chunk) -> UasMetadata:
    """The metadata of a chunk, read without a demuxer: the payloads of its PID put together."""
    payload = b""
    for at in range(0, len(chunk.data), 188):
        packet = chunk.data[at : at + 188]
        if (packet[1] & 0x1F) << 8 | packet[2] == 0x101:
            payload += packet[5 + packet[4] :] if packet[3] & 0x20 else packet[4:]
    (data,) = klv.packets(payload)
    return klv.decode(data)


async def test_the_truth_is_drawn_and_the_measured_pose_is_sent() -> None:
    renderer = Recorder()
    camera, chunks, _ = await filmed(renderer, fps=10, speedup=4, wall_s=0.5)
    assert camera.frames == len(chunks) > 5
    for pose, chunk in zip(renderer.poses, chunks, strict=False):
        assert pose.position.altitude.value_m == 900.0
        metadata = metadata_in(chunk)
        assert metadata.sensor_amsl_m == pytest.approx(903.0, abs=0.2)
        assert metadata.utc_s == pytest.approx(pose.utc_s, abs=1e-6)
        assert chunk.ticks == round((pose.utc_s - renderer.poses[0].utc_s) * 90_000) + 90_000
    assert all(name.startswith("cameras") for name in renderer.threads)


async def test_pictures_come_at_the_rate_of_simulated_time() -> None:
    camera, chunks, passed_s = await filmed(Recorder(), fps=5, speedup=4, wall_s=1.0)
    assert camera.frames + camera.skipped == pytest.approx(passed_s * 5, abs=2)
    assert camera.skipped <= 0.3 * camera.frames
    steps_s = [(b.ticks - a.ticks) / 90_000 for a, b in pairwise(chunks)]
    assert sorted(steps_s)[len(steps_s) // 2] == pytest.approx(0.2, abs=0.05)


async def test_slow_drawing_skips_pictures_and_time_never_lags() -> None:
    renderer = Recorder(takes_s=0.1)
    camera, chunks, passed_s = await filmed(renderer, fps=20, speedup=2, wall_s=1.0)
    assert camera.frames <= 10
    assert camera.skipped >= 2 * camera.frames
    assert camera.frames + camera.skipped == pytest.approx(passed_s * 20, rel=0.2)
    last_s = renderer.poses[-1].utc_s - START_UTC_S
    assert last_s > passed_s - 0.5
    assert metadata_in(chunks[-1]).utc_s > START_UTC_S + passed_s - 0.8


async def test_nothing_is_drawn_while_nobody_watches() -> None:
    clock, channel, renderer = SimClock(start_utc_s=START_UTC_S, speedup=10), Channel(), Recorder()
    with ThreadPoolExecutor(1) as pool:
        camera = SimulatedCamera(
            renderer=renderer, view=lambda: view_of(clock), clock=clock, channel=channel, pool=pool,
            width_px=320, height_px=240, fps=10,
        )  # fmt: skip
        filming = asyncio.create_task(camera.run())
        await asyncio.sleep(0.2)
        assert not renderer.poses
        with channel.subscribe() as chunks:
            first = await anext(aiter(chunks))
            assert first.keyframe
        assert camera.skipped <= 3
        filming.cancel()
        await asyncio.gather(filming, return_exceptions=True)


async def test_an_error_of_the_renderer_ends_the_filming_and_the_channel() -> None:
    class Broken(Recorder):
        def render(self, pose: Pose, **how: Any) -> PatternPicture:
            raise ValueError("no such mesh")

    clock, channel = SimClock(start_utc_s=START_UTC_S), Channel()
    with ThreadPoolExecutor(1) as pool, channel.subscribe() as chunks:
        camera = SimulatedCamera(
            renderer=Broken(), view=lambda: view_of(clock), clock=clock, channel=channel, pool=pool,
            width_px=320, height_px=240, fps=10,
        )  # fmt: skip
        with pytest.raises(ValueError, match="no such mesh"):
            await camera.run()
        assert [c async for c in chunks] == []
