import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from itertools import pairwise
from typing import Any, cast

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models.detections import Detections
from aerial_models.errors import SourceEnded, SourceGarbage, SourceUnreachable
from aerial_models.frames import FrameReader
from aerial_models.sources import PictureSource, VideoSource, open_source
from aerial_models.video_health import VideoState
from aerial_models.video_options import VideoLimits
from fleet.history import PoseHistory
from geo.cameras import BrownCamera
from geo.klv import UasMetadata
from geo.terrain import FlatTerrain
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.live import Seen, VideoHub
from missioncontrol.perception import VideoWatch
from missioncontrol.video_settings import PerceptionSettings, VideoSettings
from missioncontrol.video_states import VideoStanding
from simulators.rtsp import RtspServer
from simulators.video import Channel, VideoEncoder

LIMITS = VideoLimits(no_video_s=0.8, frozen_s=0.8, garbage_s=2.0, garbage_share=0.3, stale_s=0.7)
UTC_S = 1_750_000_000.0
PATIENCE_S = 60.0


class Camera:
    """Ten pictures a second, each unlike the one before, by the wall's clock less `late_s`."""

    def __init__(self) -> None:
        self.channel = Channel()
        self.encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
        self.late_s = 0.0
        self._random = np.random.default_rng(5)

    async def film(self) -> None:
        started_s = time.monotonic()
        while True:
            pts_s = time.monotonic() - started_s
            image = self._random.integers(30, 220, (15, 20, 3), np.uint8).repeat(16, 0).repeat(16, 1)
            if self.late_s:
                image[:40] = 250
            metadata = UasMetadata(utc_s=UTC_S + time.monotonic() - self.late_s)
            wanted = self.channel.keyframe_wanted
            self.channel.publish(self.encoder.encode(image, pts_s, metadata, keyframe=wanted))
            await asyncio.sleep(0.1)


class Watch:
    """The watch loop around a standing, without a detector: what it would be given is counted."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.alarms: list[tuple[str, str]] = []
        self.believed: list[VideoState] = []
        self.flying = False
        self.history = PoseHistory(fixed_mount_pitch_deg=-90.0)
        self.videos = VideoHub()
        self.standing = VideoStanding(
            sysid=1, name="alpha", limits=LIMITS, history=self.history, videos=self.videos,
            flying=lambda: self.flying, on_alarm=lambda text, severity: self.alarms.append((text, severity)),
        )  # fmt: skip

    async def telemetry(self) -> None:
        while True:
            now_s = time.monotonic()
            self.history.learn_utc(UTC_S + now_s, now_s)
            self.history.add_position(
                now_s, lon=76.9, lat=43.2, amsl_m=900.0, relative_m=60.0, north_m_s=0.0, east_m_s=0.0, down_m_s=0.0
            )
            self.history.add_attitude(now_s, 0.0, 0.0, 0.0)
            await asyncio.sleep(0.05)

    async def watch(self) -> None:
        while True:
            try:
                await self._follow(open_source(self.url, timeout_s=2.0))
            except (SourceEnded, SourceUnreachable, SourceGarbage) as exc:
                self.standing.failed(exc)
            await asyncio.sleep(0.2)

    async def _follow(self, source: VideoSource | PictureSource) -> None:
        async with FrameReader(source) as reader:
            self.standing.connected(source, reader)
            while True:
                if self.standing.saw(await reader.latest.next()):
                    self.believed.append(self.standing.verdict.state)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_S):
        while not true():
            await asyncio.sleep(0.05)


@asynccontextmanager
async def watched() -> AsyncIterator[tuple[Camera, RtspServer, Watch]]:
    camera = Camera()
    async with RtspServer() as server:
        watch = Watch(server.mount("/1", camera.channel))
        work = (camera.film(), watch.watch(), watch.telemetry(), watch.standing.run())
        tasks = [asyncio.create_task(each) for each in work]
        try:
            await until(lambda: watch.standing.verdict.state is VideoState.LIVE)
            yield camera, server, watch
        finally:
            for task in tasks:
                task.cancel()
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, asyncio.CancelledError) for result in results), results


def freeze(camera: Camera, on: bool) -> None:
    camera.encoder.frozen = on


def spoil(camera: Camera, on: bool) -> None:
    camera.channel.fault = "garbage" if on else None


def silence(camera: Camera, on: bool) -> None:
    camera.channel.fault = "silence" if on else None


def delay(camera: Camera, on: bool) -> None:
    camera.late_s = 5.0 if on else 0.0


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        (freeze, VideoState.FROZEN),
        (spoil, VideoState.GARBAGE),
        (silence, VideoState.NO_VIDEO),
        (delay, VideoState.STALE),
    ],
)
async def test_each_fault_is_said_once_nothing_is_found_meanwhile_and_recovery_is_said_too(
    fault: Callable[[Camera, bool], None], state: VideoState
) -> None:
    async with watched() as (camera, _, watch):
        watch.flying = True
        fault(camera, True)
        await until(lambda: watch.standing.verdict.state is state)
        text, severity = watch.alarms[-1]
        assert text.startswith(f"video of alpha: {state.value.replace('_', ' ')}")
        assert severity == "severe"
        seen: Seen = watch.videos._latest[1]
        assert (seen.header["state"], seen.header["detections"], seen.jpeg) == (state.value, [], b"")
        watch.believed.clear()
        await asyncio.sleep(0.5)
        still = watch.standing.verdict.state is state
        assert not (still and watch.believed)
        fault(camera, False)
        await until(lambda: bool(watch.believed) and watch.standing.verdict.state is VideoState.LIVE)
        assert set(watch.believed) == {VideoState.LIVE}
        said = [text.removeprefix("video of alpha")[:9] for text, _ in watch.alarms]
        assert all(one != other for one, other in pairwise(said)), said
        assert [severity for text, severity in watch.alarms if "is live again after" in text][-1] == "minor"


async def test_a_camera_that_hangs_up_is_connected_to_again() -> None:
    async with watched() as (camera, server, watch):
        silence(camera, True)
        server.hang_up()
        await until(lambda: watch.standing.verdict.state is VideoState.NO_VIDEO)
        assert watch.alarms[-1][1] == "moderate"
        silence(camera, False)
        await until(lambda: watch.standing.verdict.state is VideoState.LIVE)
        assert len(server.served) > 1


class Detector:
    """Finds nothing, and keeps the upper edge of what it is given."""

    classes = ("car",)

    def __init__(self) -> None:
        self.edges: list[float] = []

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        self.edges.append(float(image[:30].mean()))
        return Detections.empty(self.classes)


class Unrecorded:
    """A recorder for whom nothing is worth keeping."""

    def take(self, *_: object) -> None: ...

    async def see(self, *_: object) -> None: ...

    async def leave(self) -> None: ...


async def test_the_detector_is_given_no_frame_that_comes_late() -> None:
    async with watched() as (camera, _, watch):
        detector, nothing = Detector(), cast("Any", None)
        video = VideoWatch(
            vehicle=VehicleSettings(sysid=1, name="alpha", video=watch.url),
            camera=BrownCamera(width_px=320, height_px=240, focal_px=300.0), history=watch.history,
            terrain=FlatTerrain(840.0),
            settings=PerceptionSettings(frames_per_s=20.0), detector=cast("Any", detector),
            threads=ThreadPoolExecutor(1), videos=watch.videos, flight_of=lambda _: None, reporter=nothing,
            exposures=nothing, recorder=cast("Any", Unrecorded()), video=VideoSettings(limits=LIMITS),
            on_alarm=lambda *_: None,
        )  # fmt: skip
        watching = asyncio.create_task(video.run())
        with watch.videos.watching(1) as headers:
            await until(lambda: len(detector.edges) > 3)
            await asyncio.sleep(1.0)
            delay(camera, True)
            while (await headers.next()).header["state"] != "stale":
                pass
            delay(camera, False)
            before = len(detector.edges)
            await until(lambda: len(detector.edges) > before)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert max(detector.edges) < 235


class Time:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


def test_before_its_first_flight_a_video_that_never_came_alarms_nobody() -> None:
    clock, alarms, flying = Time(), [], [False]
    standing = VideoStanding(
        sysid=1, name="alpha", limits=LIMITS, history=PoseHistory(), videos=VideoHub(), flying=lambda: flying[0],
        on_alarm=lambda *alarm: alarms.append(alarm), monotonic=clock,
    )  # fmt: skip
    for _ in range(20):
        clock.now_s += 1
        standing.tell()
    assert alarms == []
    flying[0] = True
    standing.tell()
    standing.tell()
    assert [severity for _, severity in alarms] == ["severe"]
    assert "no video" in alarms[0][0]


def test_limits_are_checked_where_they_are_read() -> None:
    with pytest.raises(msgspec.ValidationError, match="garbage_share"):
        msgspec.convert({"garbage_share": 1.5}, VideoLimits)
