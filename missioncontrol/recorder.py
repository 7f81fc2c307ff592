"""The recorder of one vehicle: keeps its video, as it came, while the mission gives a reason to.

The encoded pictures come in the thread that reads the stream; everything else happens in the event loop. Which
pictures are kept is decided by the latest frame that was joined with a pose: the footprint of that frame, or the place
of the vehicle, must be at the work. A clip begins with a key picture, and ends when there is no reason any more, when
the pictures end or jump in time, or with a key picture after its full length.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from dataclasses import dataclass, field

import numpy as np
import shapely
import structlog
import uuid_utils

from aerial_models.clips import ClipWriter
from aerial_models.errors import ModelError
from aerial_models.frames import Frame
from fleet.history import CameraPoseSample
from geo.errors import GeoError
from geo.footprint import footprint
from missioncontrol.errors import InputInvalid
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.looks import Looker
from missioncontrol.reasons import Reason, Reasons
from missioncontrol.recordings import Recordings
from missioncontrol.sights import Sight, corners_of
from missioncontrol.video_settings import RecordingSettings
from missioncontrol.video_states import AlarmOf

log = structlog.get_logger(__name__)

BLIND_S = 5.0
"""Without a pose for so long, what the reason was before holds no longer, s of video."""
LOOKLESS_S = 10.0
"""Without any frame that was looked at for so long, since none is believed or the detector is slow, it holds no longer
either, s of video."""
JUMP_S = 3.0
"""A step of the stream's time larger than this, or backwards, ends a clip, s."""
WRITE_S = 10.0
"""What a clip shows is written down so often while it grows, s of wall time."""
LATE_S = 5.0
"""Frames of a clip that has ended may still come for so long, s of wall time."""
PAUSE_S = 10.0
"""After a clip could not be written, the next try, s of wall time."""
LONGEST = 3.0
"""Without a key picture a clip grows to so many times its length at most."""


@dataclass
class _Reel:
    """A clip that is recorded, or that waits to be written down."""

    id: str
    reason: Reason
    writer: ClipWriter
    codec: str
    width_px: int
    height_px: int
    begun_utc_s: float
    sights: list[Sight] = field(default_factory=list)
    zeros_utc_s: list[float] = field(default_factory=list)
    """UTC of the clip's begin, by each frame of which both times are known."""
    ended_s: float | None = None
    """When, by time.monotonic()."""
    broken: bool = False
    """Whether it could not be written to its end."""
    known: bool = False
    """Whether it has its row."""
    written_s: float = field(default_factory=time.monotonic)

    @property
    def from_utc_s(self) -> float:
        return float(np.median(self.zeros_utc_s)) if self.zeros_utc_s else self.begun_utc_s

    def holds(self, pts_s: float) -> bool:
        start = self.writer.start_pts_s
        return start is not None and start - 1e-6 <= pts_s <= self.writer.end_pts_s + 1e-6


class Recorder:
    """Of one vehicle."""

    def __init__(
        self,
        vehicle: VehicleSettings,
        settings: RecordingSettings,
        recordings: Recordings,
        reasons: Reasons,
        on_alarm: AlarmOf,
    ) -> None:
        """Clips go to `recordings`; `reasons` say which flights are recorded, and where; `on_alarm` hears once a flight
        that it cannot be."""
        self._vehicle, self._settings, self._recordings, self._reasons = vehicle, settings, recordings, reasons
        self._on_alarm = on_alarm
        self._failure = ""
        self._told = False
        self._flight: str | None = None
        self._reason: Reason | None = None
        self._decided_pts_s = -np.inf
        self._lock = threading.Lock()
        self._wanted: tuple[Reason, int, int] | None = None
        self._reel: _Reel | None = None
        self._reels: list[_Reel] = []
        self._paused_until_s = -np.inf

    @property
    def recording(self) -> bool:
        """Whether a clip is being recorded now."""
        return self._reel is not None

    def take(self, data: bytes, pts_s: float, keyframe: bool, codec: str) -> None:
        """A picture of the stream, before it is decoded; called by the thread that reads."""
        with self._lock:
            if self._wanted and self._wanted[0].work and pts_s - self._decided_pts_s > LOOKLESS_S:
                self._wanted = None
            if self._reel is not None and not self._goes_on(self._reel, pts_s, keyframe):
                self._end()
            if self._reel is None and keyframe and self._wanted and time.monotonic() >= self._paused_until_s:
                self._begin(*self._wanted, codec)
            if self._reel is None:
                return
            try:
                self._reel.writer.add(data, pts_s, keyframe)
            except (OSError, ModelError) as exc:
                self._reel.broken = True
                self._fail(exc)
                self._end()

    async def see(
        self, frame: Frame, sample: CameraPoseSample | None, looker: Looker | None, flight_id: str | None
    ) -> None:
        """A frame came, from that pose if it is known: decides what is kept, and notes what it shows."""
        if flight_id != self._flight:
            await self._change_flight(flight_id)
        if self._reason is None:
            return
        ring = None if sample is None or looker is None else _ring(looker, sample)
        self._decide(self._reason, frame, sample, ring)
        if sample is not None and looker is not None:
            self._note(frame, sample, ring, looker)
        await self._write_down(frame.pts_s)

    async def leave(self) -> None:
        """The flight or the video has ended: end the clip and write everything down."""
        self._flight, self._reason = None, None
        with self._lock:
            self._wanted = None
            self._end()
        await self._write_down(np.inf)

    async def _change_flight(self, flight_id: str | None) -> None:
        await self.leave()
        self._flight, self._decided_pts_s, self._told = flight_id, -np.inf, False
        if flight_id is None or not self._settings.enabled:
            return
        try:
            self._reason = await self._reasons.of_flight(flight_id)
        except (InputInvalid, GeoError) as exc:
            log.warning("flight is not recorded", vehicle=self._vehicle.name, flight=flight_id, why=str(exc))

    def _decide(
        self, reason: Reason, frame: Frame, sample: CameraPoseSample | None, ring: shapely.Polygon | None
    ) -> None:
        if sample is None and reason.work is not None:
            if abs(frame.pts_s - self._decided_pts_s) <= BLIND_S:
                return
            holds = False
        else:
            place = shapely.Point() if sample is None else _place(sample)
            holds, self._decided_pts_s = reason.holds(place, ring), frame.pts_s
        picture = frame.picture
        with self._lock:
            self._wanted = (reason, picture.width_px, picture.height_px) if holds else None
            if not holds:
                self._end()

    def _note(self, frame: Frame, sample: CameraPoseSample, ring: shapely.Polygon | None, looker: Looker) -> None:
        with self._lock:
            reel = next((reel for reel in reversed(self._reels) if reel.holds(frame.pts_s)), None)
        if reel is None:
            return
        time_s = reel.writer.time_in_clip_s(frame.pts_s)
        reel.zeros_utc_s.append(sample.pose.utc_s - time_s)
        if ring is None or (reel.sights and time_s - reel.sights[-1].time_s < self._settings.sight_s - 1e-3):
            return
        try:
            ground_m = float(looker.terrain.amsl_m(ring.centroid.x, ring.centroid.y))
        except GeoError:
            return
        place = sample.pose.position
        reel.sights.append(
            Sight(
                time_s=time_s,
                lon=place.lon,
                lat=place.lat,
                height_m=max(0.0, place.altitude.value_m - ground_m),
                focal_px=looker.camera.focal_px,
                corners=corners_of(ring),
            )
        )

    async def _write_down(self, pts_s: float) -> None:
        with self._lock:
            reels, failure, self._failure = list(self._reels), self._failure, ""
        if failure and not self._told:
            self._told = True
            self._on_alarm(f"video of {self._vehicle.name} cannot be recorded: {failure}", "moderate")
        for reel in reels:
            now_s = time.monotonic()
            if not reel.known:
                await self._recordings.begin(self._row(reel))
                reel.known = True
            over = reel.ended_s is not None and (pts_s > reel.writer.end_pts_s or now_s - reel.ended_s > LATE_S)
            if over or now_s - reel.written_s >= WRITE_S:
                reel.written_s = now_s
                await self._recordings.grow(
                    reel.id,
                    from_utc_s=reel.from_utc_s,
                    duration_s=reel.writer.duration_s,
                    sights=reel.sights,
                    path=reel.writer.path if over else None,
                    broken=reel.broken,
                )
                if not over:
                    with contextlib.suppress(ValueError):  # it has ended meanwhile
                        await asyncio.to_thread(reel.writer.sync)
            if over:
                with self._lock:
                    self._reels.remove(reel)

    def _row(self, reel: _Reel) -> dict[str, object]:
        return {
            "id": reel.id,
            "flight_id": reel.reason.flight_id,
            "sysid": self._vehicle.sysid,
            "registration": reel.reason.registration,
            "purpose": reel.reason.purpose,
            "why": reel.reason.why,
            "from_utc_s": reel.from_utc_s,
            "until_utc_s": reel.from_utc_s + reel.writer.duration_s,
            "width_px": reel.width_px,
            "height_px": reel.height_px,
            "codec": reel.codec,
            "camera": self._vehicle.camera or "",
        }

    def _goes_on(self, reel: _Reel, pts_s: float, keyframe: bool) -> bool:
        writer = reel.writer
        if self._wanted is None or self._wanted[0] is not reel.reason:
            return False
        if not -JUMP_S <= pts_s - writer.end_pts_s <= JUMP_S:
            return False
        most_s = self._settings.clip_s * (1 if keyframe else LONGEST)
        return writer.start_pts_s is None or pts_s - writer.start_pts_s < most_s - 1e-3

    def _begin(self, reason: Reason, width_px: int, height_px: int, codec: str) -> None:
        clip_id = str(uuid_utils.uuid7())
        path = self._recordings.file(reason.flight_id, clip_id)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            writer = ClipWriter(path, codec=codec, width_px=width_px, height_px=height_px)
        except (OSError, ModelError) as exc:
            self._fail(exc)
            return
        self._reel = _Reel(
            clip_id, reason, writer, codec, width_px, height_px, begun_utc_s=self._recordings.now_utc_s()
        )
        self._reels.append(self._reel)

    def _end(self) -> None:
        reel, self._reel = self._reel, None
        if reel is None:
            return
        reel.ended_s = time.monotonic()
        try:
            reel.writer.close()
        except (OSError, ModelError) as exc:
            reel.broken = True
            self._fail(exc)

    def _fail(self, exc: Exception) -> None:
        self._paused_until_s, self._failure = time.monotonic() + PAUSE_S, self._failure or str(exc)
        log.error("video cannot be recorded", vehicle=self._vehicle.name, error=str(exc), pause_s=PAUSE_S)


def _place(sample: CameraPoseSample) -> shapely.Point:
    return shapely.Point(sample.pose.position.lon, sample.pose.position.lat)


def _ring(looker: Looker, sample: CameraPoseSample) -> shapely.Polygon | None:
    try:
        return footprint(looker.camera, sample.pose, looker.terrain)
    except GeoError:
        return None
