"""Whether a vehicle's video can be believed, said to all who watch it, and as an alarm when that changes."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any

import structlog

from aerial_models.errors import ModelError, SourceGarbage
from aerial_models.frames import Frame, FrameReader
from aerial_models.sources import PictureSource, VideoSource
from aerial_models.video_health import ClockMarks, VideoHealth, VideoState, VideoVerdict
from aerial_models.video_options import VideoLimits
from fleet.history import PoseHistory
from missioncontrol.live import Severity, VideoHub

log = structlog.get_logger(__name__)

TICK_S = 0.5
"""How often silence is listened to, s."""

MOVE_M, TURN_DEG = 5.0, 2.0
"""A camera that moved or turned so far sees another picture."""
M_PER_DEG = 111_320.0
"""Of latitude; no more than a scale here."""

AlarmOf = Callable[[str, Severity], None]
"""Says a text with its severity."""


class VideoStanding:
    """One vehicle's video, through all of its connections.

    A frame's age is judged by the vehicle's own clock: how long ago its telemetry had come as far as the frame.
    """

    def __init__(
        self,
        *,
        sysid: int,
        name: str,
        limits: VideoLimits,
        history: PoseHistory,
        videos: VideoHub,
        flying: Callable[[], bool],
        on_alarm: AlarmOf,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing has come yet, and nobody is told of that before the vehicle is `flying`, on a mission."""
        self.verdict = VideoVerdict(VideoState.NO_VIDEO, "")
        """The last that was told."""
        self._sysid, self._name, self._history = sysid, name, history
        self._videos, self._is_flying, self._on_alarm, self._monotonic = videos, flying, on_alarm, monotonic
        self._health, self._marks = VideoHealth(monotonic(), limits), ClockMarks()
        self._connection: tuple[VideoSource | PictureSource, FrameReader] | None = None
        self._since_s = monotonic()
        self._flying = self._seen = self._told = False

    async def run(self) -> None:
        """Tell of changes until cancelled."""
        while True:
            self.tell()
            await asyncio.sleep(TICK_S)

    def connected(self, source: VideoSource | PictureSource, reader: FrameReader) -> None:
        """Frames come from another connection now."""
        self._connection = source, reader

    def failed(self, error: ModelError) -> None:
        """The connection, or the attempt at one, ended."""
        self._connection = None
        self._health.ended(str(error), garbage=isinstance(error, SourceGarbage))
        self.tell()

    def saw(self, frame: Frame) -> bool:
        """Take note of a frame; whether anything may be found in it."""
        now_s = self._monotonic()
        self._note_clock(now_s)
        age_s = now_s - frame.received_monotonic_s
        if frame.utc_s is not None and (since_s := self._marks.age_s(frame.utc_s, now_s)) is not None:
            age_s = max(age_s, since_s)
        believed = self._health.saw(
            frame.picture.luma(), frame.pts_s, now_s, age_s=age_s, camera=self._camera(frame.utc_s)
        )
        self._seen = True
        self.tell()
        return believed

    def tell(self) -> None:
        """Judge, and say what changed."""
        now_s = self._monotonic()
        self._note_clock(now_s)
        source, reader = self._connection or (None, None)
        if isinstance(source, VideoSource) and reader is not None:
            self._health.counted(reader.read, source.broken_packets, now_s)
        verdict = self._health.verdict(now_s)
        began, self._flying = self._is_flying() and not self._flying, self._is_flying()
        if not self._seen and verdict.state is VideoState.LIVE:
            return  # nothing has come, and it is too early to complain of that
        changed = verdict.state is not self.verdict.state
        self.verdict = verdict
        if changed:
            if verdict.state is not VideoState.LIVE:
                header: dict[str, Any] = {
                    "state": verdict.state.value,
                    "why": verdict.why,
                    "utc_s": None,
                    "detections": [],
                }
                self._videos.publish(self._sysid, header, b"")
            self._alarm(now_s - self._since_s)
            self._since_s = now_s
        elif began and verdict.state is not VideoState.LIVE:
            self._alarm()

    def _camera(self, utc_s: float | None) -> tuple[float, ...] | None:
        """Where the camera was, as far as is known yet; off by less than what counts."""
        newest = self._history.newest_utc_s
        sample = None if newest is None or utc_s is None else self._history.pose_at(min(utc_s, newest))
        if sample is None:
            return None
        place, look = sample.pose.position, sample.pose.attitude.ned_from_body()[:, 0]
        north_m, east_m = place.lat * M_PER_DEG, place.lon * M_PER_DEG * math.cos(math.radians(place.lat))
        metres = (north_m / MOVE_M, east_m / MOVE_M, place.altitude.value_m / MOVE_M)
        return (*metres, *(float(part) / math.radians(TURN_DEG) for part in look))

    def _note_clock(self, now_s: float) -> None:
        if (newest := self._history.newest_utc_s) is not None:
            self._marks.note(newest, now_s)

    def _alarm(self, after_s: float = 0.0) -> None:
        state, why = self.verdict.state, self.verdict.why
        log.info("video changed", vehicle=self._name, state=state.value, why=why)
        if state is VideoState.LIVE:
            if self._told:
                self._on_alarm(f"video of {self._name} is live again after {after_s:.0f} s", "minor")
            self._told = False
            return
        self._told = True
        text = f"video of {self._name}: {state.value.replace('_', ' ')}" + (f": {why}" if why else "")
        self._on_alarm(text, "severe" if self._flying else "moderate")
