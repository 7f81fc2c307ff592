"""Perception: watches each vehicle's video, joins frames with poses by time, and tells of what it finds.

One task per video. A frame goes through a mailbox of one (the latest wins, what is dropped is counted), the
detector's own thread, and is joined with the vehicle's pose at the frame's own time. Sightings with enough looks
become observations of incidents.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
import shapely
import structlog
from numpy.typing import NDArray
from prometheus_client import Counter

from aerial_models.detections import Detections
from aerial_models.detectors import OnnxDetector
from aerial_models.errors import SourceEnded, SourceGarbage, SourceUnreachable
from aerial_models.frames import Frame, FrameReader
from aerial_models.sources import open_source
from fleet.history import CameraPoseSample, PoseHistory
from geo.cameras import BrownCamera
from geo.errors import GeoError
from geo.footprint import footprint
from geo.terrain import Terrain
from missioncontrol.crowds import Crowds
from missioncontrol.incidents import Incidents
from missioncontrol.live import VideoHub
from missioncontrol.looks import CROWD, TARGETS, UNKNOWN_TARGET, Looker
from missioncontrol.observations import ModelStamp, Observation
from missioncontrol.registry import Registry
from missioncontrol.settings import PerceptionSettings, VehicleSettings
from missioncontrol.sightings import Sighting, Sightings
from missioncontrol.supervision import Backoff, keep_running

log = structlog.get_logger(__name__)

FRAMES = Counter("missioncontrol_frames_total", "Frames that were looked at", ["vehicle"])
DROPPED = Counter("missioncontrol_frames_dropped_total", "Frames replaced by newer ones before a look", ["vehicle"])
UNPOSED = Counter("missioncontrol_frames_unposed_total", "Frames without a pose of their time", ["vehicle"])
DETECTIONS = Counter("missioncontrol_detections_total", "Detections above their threshold", ["vehicle", "class_name"])
LOOKS = Counter("missioncontrol_looks_total", "Detections located on the ground", ["vehicle"])

POSE_WAIT_S = 1.5
"""How long a frame waits for the telemetry of its time, s of wall time."""
LEAST_AGREEMENT = 0.003
"""Looks at a thing on the ground that agree less than this are of something above it."""
SILENCE_S = 3.0
"""Without a frame for so long, video is stale, s of wall time."""

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
    ) -> None:
        """`vehicles` by sysid: each with its camera and the history of its poses."""
        self._settings, self._detector, self._model = settings, detector, detector.model
        self._thresholds = dict(zip(detector.classes, detector.thresholds.tolist(), strict=True))
        self._registry, self._incidents, self._videos, self._flight_of = registry, incidents, videos, flight_of
        self._vehicles = {
            sysid: (vehicle, history, self._looker(camera, terrain))
            for sysid, (vehicle, camera, history) in vehicles.items()
        }
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="detector")

    def _looker(self, camera: BrownCamera, terrain: Terrain) -> Looker:
        return Looker(
            camera,
            terrain,
            sigmas=self._settings.sigmas,
            dem_sigma_m=self._settings.terrain_sigma_m,
            max_range_m=self._settings.max_range_m,
        )

    async def run(self) -> None:
        """Watch until cancelled; a video that fails is opened again."""
        try:
            async with asyncio.TaskGroup() as tasks:
                for sysid, (vehicle, _, _) in self._vehicles.items():
                    if vehicle.video:
                        tasks.create_task(self._keep_watching(sysid, vehicle), name=f"video[{vehicle.name}]")
        finally:
            self._threads.shutdown(wait=False, cancel_futures=True)

    async def _keep_watching(self, sysid: int, vehicle: VehicleSettings) -> None:
        async def watch() -> None:
            try:
                await self._watch(sysid, vehicle)
            finally:
                self._videos.publish(sysid, {"state": "no_video", "utc_s": None, "detections": []}, b"")

        await keep_running(
            f"video[{vehicle.name}]",
            watch,
            restart_on=(SourceEnded, SourceUnreachable, SourceGarbage),
            backoff=Backoff(first_s=0.5, longest_s=5.0),
        )

    async def _watch(self, sysid: int, vehicle: VehicleSettings) -> None:
        sightings, crowds = Sightings(min_looks=self._settings.min_hits), Crowds(self._settings.crowd)
        source = await asyncio.to_thread(open_source, vehicle.video or "")
        reader = FrameReader(source)
        await asyncio.to_thread(reader.__enter__)
        try:
            dropped, last_s = 0, 0.0
            while True:
                frame = await self._next_frame(sysid, reader)
                DROPPED.labels(vehicle.name).inc(reader.latest.dropped - dropped)
                dropped = reader.latest.dropped
                await asyncio.sleep(last_s + 1 / self._settings.frames_per_s - time.monotonic())
                last_s = time.monotonic()
                await self._see(sysid, vehicle, frame, sightings, crowds)
        finally:
            await asyncio.to_thread(reader.__exit__, None, None, None)

    async def _next_frame(self, sysid: int, reader: FrameReader) -> Frame:
        while True:
            try:
                async with asyncio.timeout(SILENCE_S):
                    return await reader.latest.next()
            except TimeoutError:
                self._videos.publish(sysid, {"state": "stale", "utc_s": None, "detections": []}, b"")

    async def _see(
        self, sysid: int, vehicle: VehicleSettings, frame: Frame, sightings: Sightings, crowds: Crowds
    ) -> None:
        loop = asyncio.get_running_loop()
        detections = await loop.run_in_executor(self._threads, self._detector.detect, frame.image)
        FRAMES.labels(vehicle.name).inc()
        for name in detections.names:
            DETECTIONS.labels(vehicle.name, name).inc()
        _, history, looker = self._vehicles[sysid]
        sample = await _pose_of(frame, history)
        if sample is None:
            UNPOSED.labels(vehicle.name).inc()
        else:
            await self._locate(sysid, vehicle, frame, detections, sample, sightings, crowds)
        await self._show(sysid, frame, detections, sample, looker)

    async def _locate(
        self,
        sysid: int,
        vehicle: VehicleSettings,
        frame: Frame,
        detections: Detections,
        sample: CameraPoseSample,
        sightings: Sightings,
        crowds: Crowds,
    ) -> None:
        velocity = (sample.east_m_s, sample.north_m_s, -sample.down_m_s)
        looker = self._vehicles[sysid][2]
        looks = looker.looks(detections, sample.pose, velocity_enu_m_s=velocity)
        LOOKS.labels(vehicle.name).inc(len(looks))
        looks += crowds.add(looks, sample.pose.utc_s)
        flight = self._flight_of(sysid)
        if flight is None:
            return
        kept = [
            replace(look, picture=cut_out(frame.image, look.box)) if kind_of(look.label) else look for look in looks
        ]
        for sighting in sightings.add(kept, sample.pose.utc_s):
            await self._report(sysid, sighting, flight)

    async def _report(self, sysid: int, sighting: Sighting, flight: tuple[str, str]) -> None:
        kind = kind_of(sighting.label)
        if kind is None:
            return
        record = self._record(kind, sighting)
        if record is not None:
            log.info("sighting is on record", kind=kind, record=record)
            return
        fused, best = sighting.fused(), sighting.best
        if TARGETS[sighting.label].on_ground and fused.agreement < LEAST_AGREEMENT:
            log.info("sighting is not on the ground", kind=kind, agreement=fused.agreement, looks=len(sighting.looks))
            return
        await self._incidents.observe(
            Observation(
                kind=kind,
                lon=fused.position.lon,
                lat=fused.position.lat,
                altitude_amsl_m=fused.position.altitude.value_m,
                covariance_m2=fused.covariance_m2,
                score=sighting.score,
                utc_s=best.utc_s,
                sysid=sysid,
                flight_id=flight[0],
                mission_id=flight[1],
                pose=best.pose,
                sigmas=self._settings.sigmas,
                model=ModelStamp(name=self._model.name, version=self._model.created, sha256=self._model.sha256),
                threshold=self._thresholds.get("person" if sighting.label == CROWD else sighting.label),
                picture=None if best.picture is None else await asyncio.to_thread(encode_jpeg, best.picture, 85),
                area_m2=float(np.median([look.area_m2 for look in sighting.looks])),
                parcel=self._registry.parcel(shapely.Point(fused.position.lon, fused.position.lat)),
            )
        )

    def _record(self, kind: str, sighting: Sighting) -> str | None:
        """What makes a building site lawful, if that is what was seen: a valid permit, or a registered building."""
        if kind != "unauthorized_construction":
            return None
        permit = self._registry.valid_permit(sighting.place, sighting.last_utc_s)
        return permit or self._registry.registered_building(sighting.place.centroid)

    async def _show(
        self, sysid: int, frame: Frame, detections: Detections, sample: CameraPoseSample | None, looker: Looker
    ) -> None:
        height, width = frame.image.shape[:2]
        header = {
            "state": "live",
            "utc_s": frame.utc_s,
            "width": width,
            "height": height,
            "detections": boxes(detections),
            "footprint": None if sample is None else _footprint(looker, sample),
        }
        jpeg = b""
        if self._videos.watched(sysid):
            jpeg = await asyncio.to_thread(encode_jpeg, frame.image, self._settings.video_quality)
        self._videos.publish(sysid, header, jpeg)


def kind_of(label: str) -> str | None:
    """Kind of incident that a class of the detector stands for."""
    return TARGETS.get(label, UNKNOWN_TARGET).kind


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


def boxes(detections: Detections) -> list[dict[str, Any]]:
    """Detections as the video's header tells them."""
    return [
        {"class": name, "score": round(float(score), 3), "track": int(track), "box": [round(float(v), 1) for v in box]}
        for name, score, track, box in zip(
            detections.names, detections.confidence, detections.track_id, detections.xyxy, strict=True
        )
    ]


def cut_out(image: NDArray[np.uint8], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """The part of an RGB picture around a box (px), the box drawn; some 320 x 240 px, more around larger boxes."""
    x0, y0, x1, y1 = (round(value) for value in box)
    half_width, half_height = max(160, x1 - x0), max(120, y1 - y0)
    left, top = max(0, (x0 + x1) // 2 - half_width), max(0, (y0 + y1) // 2 - half_height)
    part = image[top : top + 2 * half_height, left : left + 2 * half_width].copy()
    cv2.rectangle(part, (x0 - left - 2, y0 - top - 2), (x1 - left + 2, y1 - top + 2), (255, 210, 0), 1)
    return part


def encode_jpeg(image: NDArray[np.uint8], quality: int) -> bytes:
    """An RGB picture (H, W, 3) as JPEG."""
    _, encoded = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
    return encoded.tobytes()
