"""Perception: watches each vehicle's video, joins frames with poses by time, and tells of what it finds.

One task per video. A frame goes through a mailbox of one (the latest wins, what is dropped is counted), the
detector's own thread, and is joined with the vehicle's pose at the frame's own time. Sightings with enough looks
become observations of incidents.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import msgspec
import structlog
from prometheus_client import Counter

from aerial_models.detections import Detections
from aerial_models.detectors import OnnxDetector
from aerial_models.errors import SourceEnded, SourceGarbage, SourceRefused, SourceUnreachable
from aerial_models.frames import Frame, FrameReader
from aerial_models.sources import PictureSource, VideoSource, open_source
from fleet.history import CameraPoseSample, PoseHistory
from geo.cameras import BrownCamera
from geo.errors import GeoError
from geo.footprint import footprint
from geo.terrain import Terrain
from missioncontrol.crowds import Crowds
from missioncontrol.exposures import Exposures
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.frame_sync import FrameSync
from missioncontrol.incidents import Incidents
from missioncontrol.live import VideoHub
from missioncontrol.looks import Looker
from missioncontrol.movers import Moved, Movers
from missioncontrol.pictures import cut_out, encode_jpeg
from missioncontrol.recorder import Recorder
from missioncontrol.registry import Registry
from missioncontrol.reporter import Reporter, kind_of
from missioncontrol.sightings import Sightings
from missioncontrol.supervision import Backoff, keep_running
from missioncontrol.video_settings import PerceptionSettings, VideoSettings
from missioncontrol.video_states import AlarmOf, VideoStanding

log = structlog.get_logger(__name__)

FRAMES = Counter("missioncontrol_frames_total", "Frames that were looked at, or not worth a look", ["vehicle"])
UNBELIEVED = Counter("missioncontrol_frames_unbelieved_total", "Frames of video that is not live", ["vehicle"])
DROPPED = Counter("missioncontrol_frames_dropped_total", "Frames replaced by newer ones before a look", ["vehicle"])
UNPOSED = Counter("missioncontrol_frames_unposed_total", "Frames without a pose of their time", ["vehicle"])
DETECTIONS = Counter("missioncontrol_detections_total", "Detections above their threshold", ["vehicle", "class_name"])
LOOKS = Counter("missioncontrol_looks_total", "Detections located on the ground", ["vehicle"])

POSE_WAIT_S = 1.5
"""How long a frame waits for the telemetry of its time, s of wall time."""
TIME_STEP_S = 0.01
"""By how much the error of frame times must change before the ellipses do, s."""

FlightOf = Callable[[int], tuple[str, str] | None]
"""Flight and mission of a vehicle by sysid, None while it is on no flight."""


class Perception:
    """Watches all vehicles that have video."""

    def __init__(
        self,
        *,
        settings: PerceptionSettings,
        vehicles: dict[int, tuple[VehicleSettings, BrownCamera, PoseHistory]],
        detector: OnnxDetector,
        terrain: Terrain,
        registry: Registry,
        incidents: Incidents,
        videos: VideoHub,
        flight_of: FlightOf,
        exposures: Exposures,
        recorder_of: Callable[[VehicleSettings], Recorder],
        video: VideoSettings,
        on_alarm: AlarmOf,
    ) -> None:
        """`vehicles` by sysid: each with its camera and the history of its poses; `exposures` and the vehicle's own
        recorder hear of each frame."""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="detector")
        self._reporter = Reporter(settings, detector, registry, incidents)
        self._watches = [
            VideoWatch(
                vehicle=vehicle,
                camera=camera,
                history=history,
                terrain=terrain,
                settings=settings,
                detector=detector,
                threads=self._threads,
                videos=videos,
                flight_of=flight_of,
                reporter=self._reporter,
                exposures=exposures,
                recorder=recorder_of(vehicle),
                video=video,
                on_alarm=on_alarm,
            )
            for vehicle, camera, history in vehicles.values()
            if vehicle.video
        ]

    async def run(self) -> None:
        """Watch until cancelled; a video that fails is opened again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for watch in self._watches:
                    tasks.create_task(watch.run(), name=watch.name)
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)


class VideoWatch:
    """Watches the video of one vehicle."""

    def __init__(
        self,
        *,
        vehicle: VehicleSettings,
        camera: BrownCamera,
        history: PoseHistory,
        terrain: Terrain,
        settings: PerceptionSettings,
        detector: OnnxDetector,
        threads: ThreadPoolExecutor,
        videos: VideoHub,
        flight_of: FlightOf,
        reporter: Reporter,
        exposures: Exposures,
        recorder: Recorder,
        video: VideoSettings,
        on_alarm: AlarmOf,
    ) -> None:
        """`threads` is the detector's own thread, shared by all videos."""
        self.name = f"video[{vehicle.name}]"
        self._vehicle, self._camera, self._history, self._terrain = vehicle, camera, history, terrain
        self._settings, self._detector, self._threads = settings, detector, threads
        self._videos, self._flight_of, self._reporter, self._exposures = videos, flight_of, reporter, exposures
        self._movers, self._moved = Movers(), dict[int, Moved]()
        self._sightings, self._crowds = Sightings(min_looks=settings.min_hits), Crowds(settings.crowd)
        self._recorder = recorder
        self._options = vehicle.video_options or video
        self._standing = VideoStanding(
            sysid=vehicle.sysid,
            name=vehicle.name,
            limits=video.limits,
            history=history,
            videos=videos,
            flying=lambda: flight_of(vehicle.sysid) is not None,
            on_alarm=on_alarm,
        )
        self._sync = FrameSync(
            name=vehicle.name,
            camera=camera,
            history=history,
            terrain=terrain,
            clock_sigma_s=self._options.clock_sigma_s,
        )
        self._looker: Looker | None = None
        self._looks_at: tuple[int, int, float] | None = None
        self._flight: tuple[str, str] | None = None

    async def run(self) -> None:
        """Watch until cancelled; a video that fails is opened again."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._standing.run(), name=f"{self.name} state")
            await keep_running(
                self.name,
                self._watch,
                restart_on=(SourceEnded, SourceUnreachable, SourceGarbage, SourceRefused),
                backoff=Backoff(first_s=0.5, longest_s=5.0),
            )

    async def _watch(self) -> None:
        try:
            source = await asyncio.to_thread(open_source, self._vehicle.video or "", options=self._options)
            await self._follow(source)
        except (SourceEnded, SourceUnreachable, SourceGarbage, SourceRefused) as exc:
            self._standing.failed(exc)
            await self._finish_flight()
            raise

    async def _follow(self, source: VideoSource | PictureSource) -> None:
        if isinstance(source, VideoSource):
            source.taps.append(self._videos.relay(self._vehicle.sysid).connected())
            source.taps.append(self._recorder.take)
        self._sync.restart()
        reader = FrameReader(source)
        await asyncio.to_thread(reader.__enter__)
        self._standing.connected(source, reader)
        try:
            dropped, last_s = 0, 0.0
            while True:
                frame = await reader.latest.next()
                DROPPED.labels(self._vehicle.name).inc(reader.latest.dropped - dropped)
                dropped = reader.latest.dropped
                await asyncio.sleep(last_s + 1 / self._settings.frames_per_s - time.monotonic())
                last_s = time.monotonic()
                await self._see(frame)
        finally:
            await asyncio.to_thread(reader.__exit__, None, None, None)
            await self._recorder.leave()

    async def _see(self, frame: Frame) -> None:
        sysid = self._vehicle.sysid
        flight = self._flight_of(sysid)
        if flight != self._flight:
            await self._finish_flight()
            await self._recorder.leave()
            self._flight = flight
        believed = self._standing.saw(frame)
        if flight is None and not self._videos.watched(sysid):
            return  # nothing would come of it, and the detector is wanted elsewhere
        if not believed:
            FRAMES.labels(self._vehicle.name).inc()
            UNBELIEVED.labels(self._vehicle.name).inc()
            await self._show(frame, Detections.empty(self._detector.classes), None, None)
            return
        loop = asyncio.get_running_loop()
        detections = await loop.run_in_executor(self._threads, lambda: self._detector.detect(frame.image))
        FRAMES.labels(self._vehicle.name).inc()
        for name in detections.names:
            DETECTIONS.labels(self._vehicle.name, name).inc()
        self._moved = {}
        timed = await self._sync.timed(frame)
        sample = await _pose_of(timed, self._history)
        looker = self._looker_of(timed)
        if sample is None or looker is None:
            UNPOSED.labels(self._vehicle.name).inc()
        else:
            await self._locate(frame, detections, sample, looker)
        await self._recorder.see(frame, sample, looker, None if flight is None else flight[0])
        await self._show(frame, detections, sample, looker)

    def _looker_of(self, frame: Frame) -> Looker | None:
        """Locates in frames of this size; None where they cannot be of the vehicle's camera."""
        width, height = frame.picture.width_px, frame.picture.height_px
        time_s = TIME_STEP_S * round((frame.utc_sigma_s or 0.0) / TIME_STEP_S)
        known = self._looker
        if known is not None and self._looks_at == (width, height, time_s):
            return known
        try:
            camera = self._camera.resized(width, height)
        except ValueError as exc:
            log.warning("video is not of the vehicle's camera: nothing in it is located", video=self.name, why=str(exc))
            return None
        settings = self._settings
        self._looks_at = (width, height, time_s)
        self._looker = Looker(
            camera,
            self._terrain,
            sigmas=msgspec.structs.replace(settings.sigmas, time_s=math.hypot(settings.sigmas.time_s, time_s)),
            dem_sigma_m=settings.terrain_sigma_m,
            min_range_m=settings.min_range_m,
            max_range_m=settings.max_range_m,
        )
        return self._looker

    async def _locate(self, frame: Frame, detections: Detections, sample: CameraPoseSample, looker: Looker) -> None:
        velocity = (sample.east_m_s, sample.north_m_s, -sample.down_m_s)
        looks = looker.looks(detections, sample.pose, velocity_enu_m_s=velocity)
        self._moved = self._movers.add(looks, sample.pose.utc_s)
        LOOKS.labels(self._vehicle.name).inc(len(looks))
        looks += self._crowds.add(looks, sample.pose.utc_s)
        if self._flight is None:
            return
        await self._exposures.note(self._flight[0], self._reporter.watching(looker.camera), sample)
        kept = [
            replace(look, picture=cut_out(frame.image, look.box)) if kind_of(look.label) else look for look in looks
        ]
        for sighting in self._sightings.add(kept, sample.pose.utc_s):
            await self._reporter.report(self._vehicle.sysid, sighting, self._flight)

    async def _finish_flight(self) -> None:
        """Report what is still open from the flight that ends."""
        for sighting in self._sightings.flush():
            if self._flight is not None:
                await self._reporter.report(self._vehicle.sysid, sighting, self._flight)
        if self._flight is not None:
            await self._exposures.write(self._flight[0])

    async def _show(
        self, frame: Frame, detections: Detections, sample: CameraPoseSample | None, looker: Looker | None
    ) -> None:
        width, height = frame.picture.width_px, frame.picture.height_px
        verdict = self._standing.verdict
        header = {
            "state": verdict.state.value,
            "why": verdict.why,
            "utc_s": frame.utc_s,
            "ticks": self._videos.relay(self._vehicle.sysid).ticks_of(frame.pts_s),
            "width": width,
            "height": height,
            "detections": boxes(detections, self._moved),
            "footprint": None if sample is None or looker is None else _footprint(looker, sample),
        }
        jpeg = b""
        if self._videos.pictured(self._vehicle.sysid):
            jpeg = await asyncio.to_thread(lambda: encode_jpeg(frame.image, self._settings.video_quality))
        self._videos.publish(self._vehicle.sysid, header, jpeg)


async def _pose_of(frame: Frame, history: PoseHistory) -> CameraPoseSample | None:
    if frame.utc_s is None:
        return None
    await history.wait_until(frame.utc_s, POSE_WAIT_S)
    return history.pose_at(frame.utc_s)


def _footprint(looker: Looker, sample: CameraPoseSample) -> list[list[float]] | None:
    try:
        ring = footprint(looker.camera, sample.pose, looker.terrain)
    except GeoError:
        return None
    return [[float(lon), float(lat)] for lon, lat in ring.exterior.coords]


def boxes(detections: Detections, moved: Mapping[int, Moved] | None = None) -> list[dict[str, Any]]:
    """Detections as the video's header tells them; `moved` by their index."""
    told = []
    for index, (name, score, track, box) in enumerate(
        zip(detections.names, detections.confidence, detections.track_id, detections.xyxy, strict=True)
    ):
        known = (moved or {}).get(index, Moved(int(track), None))
        one: dict[str, Any] = {
            "class": name,
            "score": round(float(score), 3),
            "track": known.track,
            "box": box.astype(float).round(1).tolist(),
        }
        if known.motion is not None:
            one |= {"motion": msgspec.to_builtins(known.motion), "place": known.lonlat}
        told.append(one)
    return told
