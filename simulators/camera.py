"""The camera of a simulated vehicle: sees from the true pose, says the measured one, and sends both as video."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from concurrent.futures import Executor
from typing import NamedTuple, Protocol

import cv2
import numpy as np
from numpy.typing import NDArray

from geo.klv import UasMetadata
from geo.poses import Pose
from simulators.clock import SimClock
from simulators.drawn_clock import draw
from simulators.video import Channel, Chunk, VideoEncoder

_NOISE_SHIFTS_PX = 64


class View(NamedTuple):
    """What a camera needs of its vehicle at a moment."""

    pose: Pose
    """The true pose of the camera."""
    velocity_enu_m_s: tuple[float, float, float]
    """True velocity of the camera: east, north, up, m/s."""
    metadata: UasMetadata
    """What the vehicle's sensors measured: this is sent, the truth never."""


class Picture(Protocol):
    """What a renderer gives."""

    @property
    def image(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3)."""


class Renderer(Protocol):
    """Draws what a camera sees; called in a worker thread, one call at a time per camera."""

    def render(self, pose: Pose, *, velocity_enu_m_s: tuple[float, float, float], exposure_s: float) -> Picture:
        """The picture from a true pose."""


class SimulatedCamera:
    """Publishes `fps` pictures per simulated second to a channel; what comes too late is skipped and counted.

    The pool is shared by all cameras of a process: pictures are drawn and encoded in it.
    """

    def __init__(
        self,
        *,
        renderer: Renderer,
        view: Callable[[], View | None],
        clock: SimClock,
        channel: Channel,
        pool: Executor,
        width_px: int,
        height_px: int,
        fps: float,
        exposure_s: float = 1 / 800,
        seed: int = 0,
        crf: float = 23.0,
        draws_clock: bool = False,
        noise: float = 1.0,
    ) -> None:
        """`view` is asked in the event loop at each moment of exposure; it answers None while there is nothing to see.

        Pictures are drawn only while somebody watches the channel. `seed` sets where in its interval a camera exposes,
        so that several do not all draw at once. With `draws_clock` each picture shows the moment of its exposure on the
        wall's clock, whatever the simulated time is. `noise` is the sensor's, one sigma of 255: without any, a still
        scene gives the same picture again and again, which no real camera does.
        """
        self.frames = 0
        """Pictures published."""
        self.skipped = 0
        """Moments of exposure that passed unseen, while watched, since drawing was slower than `fps`."""
        self._renderer, self._view, self._clock, self._channel, self._pool = renderer, view, clock, channel, pool
        self._interval_s = 1 / fps
        self._exposure_s = exposure_s
        self._random = np.random.default_rng(seed)
        self._phase_s = float(self._random.random()) * self._interval_s
        field = self._random.normal(0, noise, (height_px + _NOISE_SHIFTS_PX, width_px + _NOISE_SHIFTS_PX, 3))
        self._noise = np.round(field).astype(np.int16)
        self._encoder = VideoEncoder(width_px=width_px, height_px=height_px, fps=fps, crf=crf)
        self._first_utc_s: float | None = None
        self._draws_clock = draws_clock

    async def run(self) -> None:
        """Film until cancelled; then the channel is closed. What the renderer raises ends the filming."""
        try:
            due_s = self._clock.elapsed_s() + self._phase_s
            while True:
                await self._clock.sleep(due_s - self._clock.elapsed_s())
                watched = self._channel.watched
                if watched and (view := self._view()) is not None:
                    keyframe = self._channel.keyframe_wanted
                    chunk = await asyncio.get_running_loop().run_in_executor(
                        self._pool, self._expose, view, keyframe, time.time()
                    )
                    self._channel.publish(chunk)
                    self.frames += 1
                late = max(0, math.floor((self._clock.elapsed_s() - due_s) / self._interval_s))
                if watched:
                    self.skipped += late
                due_s += (late + 1) * self._interval_s
        finally:
            self._channel.close()

    def _expose(self, view: View, keyframe: bool, wall_s: float) -> Chunk:
        if self._first_utc_s is None:
            self._first_utc_s = view.pose.utc_s
        picture = self._renderer.render(view.pose, velocity_enu_m_s=view.velocity_enu_m_s, exposure_s=self._exposure_s)
        image = self._with_noise(picture.image)
        image = draw(image, wall_s) if self._draws_clock else image
        pts_s = view.pose.utc_s - self._first_utc_s
        return self._encoder.encode(image, pts_s, view.metadata, keyframe=keyframe)

    def _with_noise(self, image: NDArray[np.uint8]) -> NDArray[np.uint8]:
        y, x = self._random.integers(0, _NOISE_SHIFTS_PX, 2)
        noise = self._noise[y : y + image.shape[0], x : x + image.shape[1]]
        return np.asarray(cv2.add(image, noise, dtype=cv2.CV_8U), np.uint8)
