"""Brings the frames of one vehicle's video to the clock of its telemetry, where the video does not carry that clock.

Frames with ST 0601 metadata are timed by the vehicle itself, which is checked by where metadata and telemetry say that
it was: a payload may have a clock of its own. Others are timed by the camera's own clock, or by when
they came: how far that is off is learnt from how the picture moves and how telemetry says the camera moved. Until then
the camera's clock is believed to what settings say of it, and not at all where it is seconds from telemetry's.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections import deque

import numpy as np
import structlog
from prometheus_client import Gauge

from aerial_models.frames import Frame, TimeSource
from aerial_models.image_motion import MotionMeter
from aerial_models.video_options import VideoOptions
from fleet.history import PoseHistory
from geo.cameras import BrownCamera
from geo.clock_offsets import ClockOffset
from geo.errors import TerrainMissing
from geo.frame_clocks import FrameClock
from geo.poses import Pose
from geo.terrain import Terrain
from geo.track_clocks import SPAN_S, TrackOffset, track_offset

log = structlog.get_logger(__name__)

OFFSET = Gauge("missioncontrol_frame_clock_offset_seconds", "Telemetry's clock ahead of the frames'", ["vehicle"])

FOREIGN_CLOCKS = {TimeSource.RTCP, TimeSource.ARRIVAL}
"""Frames timed by these are not timed by the vehicle."""
MOST_APART_S = 2.0
"""A camera's clock that is further than this from the vehicle's, when its frame comes, is another one, s."""
LEARN_EVERY_S = 15.0
"""How often the offset is learnt anew, s of frames' time."""
TRY_EVERY_S = 3.0
"""How often that is tried before it was ever learnt, s."""
WINDOW_S = 45.0
"""From how much motion, s."""
POSE_STEP_S = 0.1
MOST_PLACES = 180
"""Places told by metadata that are kept, the latest."""
AGREES = TrackOffset(offset_s=0.0, sigma_s=0.0)
LEAST_POSES_SHARE = 0.9
"""With fewer of the poses wanted, telemetry has gaps that the comparison does not bear."""
_AT_ONCE = 50


class FrameSync:
    """The clock of one vehicle's frames."""

    def __init__(
        self,
        *,
        name: str,
        camera: BrownCamera,
        history: PoseHistory,
        terrain: Terrain,
        clock_sigma_s: float = VideoOptions().clock_sigma_s,
    ) -> None:
        """Of a vehicle's name, camera and poses, over terrain; the camera's own clock is off by `clock_sigma_s`."""
        self._name, self._camera, self._history, self._terrain = name, camera, history, terrain
        self._clock_sigma_s = clock_sigma_s
        self._foreign = False
        self._meter = MotionMeter(focal_share=camera.focal_px / camera.width_px)
        self._clock = FrameClock(window_s=WINDOW_S)
        self._places: deque[tuple[float, float, float]] = deque(maxlen=MOST_PLACES)
        self._metadata_clock = AGREES
        self._source: TimeSource | None = None
        self._tried_s: float | None = None

    @property
    def known(self) -> ClockOffset | None:
        """What was learnt of the frames' clock."""
        return self._clock.known

    @property
    def refused(self) -> str:
        """Why nothing was learnt the last time; "" where it was."""
        return self._clock.refused

    def restart(self) -> None:
        """The video is connected anew: its clock may be another one."""
        self._clock.restart()
        self._places.clear()
        self._metadata_clock = AGREES
        self._source = self._tried_s = None
        self._foreign = False

    async def timed(self, frame: Frame) -> Frame:
        """The frame with telemetry's time of it and the sigma of that; as it is where its clock is telemetry's own, or
        nothing was learnt of when it came; without a time where the camera's clock cannot be telemetry's."""
        if frame.utc_s is None or frame.time_source not in FOREIGN_CLOCKS | {TimeSource.KLV}:
            return frame
        if frame.time_source != self._source:
            self.restart()
            self._source = frame.time_source
        if frame.time_source is TimeSource.KLV:
            return await self._by_metadata(frame, frame.utc_s)
        motion = await asyncio.to_thread(self._meter.add, frame.image, frame.utc_s)
        if motion is not None:
            self._clock.add(motion.start_s, motion.end_s, (motion.turn_rad, motion.right, motion.down))
        every_s = TRY_EVERY_S if self._clock.known is None else LEARN_EVERY_S
        if self._tried_s is None or not 0 <= frame.utc_s - self._tried_s < every_s:
            await self._learn(frame.utc_s)
        if self._clock.known is None:
            return frame if frame.time_source is TimeSource.ARRIVAL else self._unlearnt(frame, frame.utc_s)
        utc_s, sigma_s = self._clock.moment(frame.utc_s, frame.utc_sigma_s or 0.0)
        return dataclasses.replace(frame, utc_s=utc_s, utc_sigma_s=sigma_s)

    async def _by_metadata(self, frame: Frame, utc_s: float) -> Frame:
        """By metadata's clock, put right where it is not telemetry's."""
        told = frame.metadata
        if told is not None and told.sensor_lon_deg is not None and told.sensor_lat_deg is not None:
            if self._places and utc_s <= self._places[-1][0]:
                self._places.clear()
            self._places.append((utc_s, told.sensor_lon_deg, told.sensor_lat_deg))
        if self._tried_s is None or not 0 <= utc_s - self._tried_s < TRY_EVERY_S:
            self._tried_s = utc_s
            await self._compare()
        apart = self._metadata_clock
        if apart is AGREES:
            return frame
        sigma_s = math.hypot(frame.utc_sigma_s or 0.0, apart.sigma_s)
        return dataclasses.replace(frame, utc_s=utc_s + apart.offset_s, utc_sigma_s=sigma_s)

    async def _compare(self) -> None:
        track = self._history.track(2 * SPAN_S + WINDOW_S)
        places = np.array([place for place in self._places if len(track) and place[0] <= track[-1, 0]]).reshape(-1, 3)
        found = await asyncio.to_thread(track_offset, track[:, 0], track[:, 1:3], places[:, 0], places[:, 1:])
        if found is None:
            return
        before, self._metadata_clock = self._metadata_clock, found if found.offset_s else AGREES
        if found.offset_s and before is AGREES:
            OFFSET.labels(self._name).set(found.offset_s)
            log.warning(
                "the clock of the video's metadata is not the vehicle's: its times are put right",
                video=self._name, offset_s=round(found.offset_s, 1), sigma_s=round(found.sigma_s, 2),
            )  # fmt: skip

    def _unlearnt(self, frame: Frame, utc_s: float) -> Frame:
        newest_s = self._history.newest_utc_s
        if newest_s is not None and abs(newest_s - utc_s) > MOST_APART_S:
            if not self._foreign:
                log.warning(
                    "the camera's clock is not the vehicle's: nothing in its video is located; set it by NTP",
                    video=self._name, ahead_s=round(utc_s - newest_s, 1),
                )  # fmt: skip
            self._foreign = True
            return dataclasses.replace(frame, utc_s=None, utc_sigma_s=None)
        return dataclasses.replace(frame, utc_sigma_s=math.hypot(frame.utc_sigma_s or 0.0, self._clock_sigma_s))

    async def _learn(self, now_s: float) -> None:
        wanted = self._clock.wanted_s
        if wanted is None:
            return
        self._tried_s, known = now_s, self._clock.known
        poses = await self._poses(*wanted)
        if not poses or len(poses) < LEAST_POSES_SHARE * (poses[-1].utc_s - wanted[0]) / POSE_STEP_S:
            return
        middle = poses[len(poses) // 2].position
        try:
            ground_m = float(self._terrain.amsl_m(middle.lon, middle.lat))
        except TerrainMissing:
            return
        learnt = await asyncio.to_thread(self._clock.learn, poses, ground_m)
        if learnt is not None:
            OFFSET.labels(self._name).set(learnt.offset_s)
        if learnt is not None and known is None:
            log.info(
                "the clock of the frames is known", video=self._name, offset_s=learnt.offset_s, sigma_s=learnt.sigma_s
            )

    async def _poses(self, start_s: float, end_s: float) -> list[Pose]:
        """The camera's poses of a span, a few at a time, so that others have their turn."""
        found: list[Pose] = []
        newest_s = self._history.newest_utc_s
        if newest_s is None:
            return found
        for number in range(int((min(end_s, newest_s) - start_s) / POSE_STEP_S)):
            sample = self._history.pose_at(start_s + number * POSE_STEP_S, tolerance_s=0.0)
            if sample is not None:
                found.append(sample.pose)
            if number % _AT_ONCE == 0:
                await asyncio.sleep(0)
        return found
