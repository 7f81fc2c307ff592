"""Encoded video of a vehicle on its way to its viewers, as it came: nothing is encoded again."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from aerial_models.packet_taps import PacketTap
from missioncontrol.errors import NotForwardable

TICKS_PER_S = 90_000
"""Of the times of pictures, as RTP counts them."""
MOST_WAITING = 120
"""Pictures that may wait for one viewer; beyond it loses them all, and goes on at the next key picture."""
MOST_REORDERED_S = 2.0
"""A picture that is shown before one that came earlier, by no more than this, was reordered; beyond, time jumped, s."""
MOST_AHEAD_S = 0.5
"""Of a stream's time before the wall's; browsers would show such pictures that much late, s."""
DRIFT_S = 60.0
"""A stream that gets ahead within this has another pace than the wall, as simulated time may; beyond, it drifts, s."""
MOST_PLACED = 1024
"""Pictures whose times are remembered."""
SILENT_S = 5.0
"""Without a picture for so long there is no video, s."""

_IDR = re.compile(rb"\x00\x00\x01[\x05\x25\x45\x65]")
_START_CODES = (b"\x00\x00\x01", b"\x00\x00\x00\x01")


@dataclass(frozen=True)
class EncodedPicture:
    """One picture of H.264 in Annex B."""

    data: bytes
    """A whole access unit; of a key picture with the parameter sets before it."""
    ticks: int
    """When it is shown, on the relay's own clock, 1/90000 s."""
    keyframe: bool
    """Whether decoding can start with it."""


class Waiting:
    """The pictures that wait for one viewer; the first is a key picture."""

    def __init__(self) -> None:
        """Nothing waits."""
        self.dropped = 0
        """Pictures that this viewer was too slow for."""
        self._pictures: deque[EncodedPicture] = deque()
        self._starved = True
        self._unfit: str | None = None
        self._wake = asyncio.Event()

    def put(self, picture: EncodedPicture) -> None:
        """One more picture; never waits."""
        if len(self._pictures) >= MOST_WAITING:
            self.dropped += len(self._pictures)
            self._pictures.clear()
            self._starved = True
        if picture.keyframe or not self._starved:
            self._starved = False
            self._pictures.append(picture)
            self._wake.set()

    def end(self, why: str) -> None:
        """Nothing more comes."""
        self._unfit = why
        self._wake.set()

    async def next(self) -> EncodedPicture:
        """The next picture. Raises NotForwardable when the video became one that cannot be forwarded."""
        while not self._pictures:
            if self._unfit is not None:
                raise NotForwardable(self._unfit)
            self._wake.clear()
            await self._wake.wait()
        return self._pictures.popleft()


class Relay:
    """Hands the encoded pictures of one vehicle to its viewers, through losses of the connection to its camera.

    Pictures come in the thread that reads the video; viewers live in the event loop.
    """

    def __init__(self) -> None:
        """Without video and without viewers."""
        self.unfit: str | None = None
        """Why this video cannot be forwarded, once that is known."""
        self._waiting: set[Waiting] = set()
        self._born_s = time.monotonic()
        self._heard_s: float | None = None
        self._anchor: tuple[float, int] | None = None
        self._hurried = False
        self._last_pts_s = 0.0
        self._back_pts_s: float | None = None
        self._last_ticks = 0
        self._placed: dict[int, int] = {}

    @property
    def live(self) -> bool:
        """Whether pictures come."""
        return self._heard_s is not None and time.monotonic() - self._heard_s < SILENT_S

    @property
    def viewers(self) -> int:
        """How many watch."""
        return len(self._waiting)

    def connected(self) -> PacketTap:
        """To be called in the event loop when a video was opened, anew or again; gets its encoded pictures."""
        loop = asyncio.get_running_loop()
        self._anchor = self.unfit = self._back_pts_s = None
        self._hurried = False

        def take(data: bytes, pts_s: float, keyframe: bool, codec: str) -> None:
            self._heard_s = time.monotonic()
            if self.unfit is not None:
                return
            self.unfit = self._misfit(data, pts_s, codec)
            if self.unfit is not None:
                loop.call_soon_threadsafe(self._end, self.unfit)
                return
            ticks = self._place(pts_s)
            if self._waiting:
                picture = EncodedPicture(data, ticks, keyframe and _IDR.search(data) is not None)
                loop.call_soon_threadsafe(self._spread, picture)

        return take

    @contextmanager
    def watching(self) -> Iterator[Waiting]:
        """A viewer, for as long as the context is open. Raises NotForwardable."""
        if self.unfit is not None:
            raise NotForwardable(self.unfit)
        waiting = Waiting()
        self._waiting.add(waiting)
        try:
            yield waiting
        finally:
            self._waiting.discard(waiting)

    def ticks_of(self, pts_s: float) -> int | None:
        """The time on the relay's clock of the picture that has this time in its stream, s; None if it is not known."""
        return self._placed.get(round(pts_s * TICKS_PER_S))

    def _place(self, pts_s: float) -> int:
        """On the relay's clock, which runs on where the stream's own starts anew, jumps, or runs faster."""
        now = round((time.monotonic() - self._born_s) * TICKS_PER_S)
        if self._anchor is None or abs(pts_s - self._last_pts_s) > MOST_REORDERED_S:
            self._anchor = (pts_s, now)
        began_s, began = self._anchor
        ticks = now if self._hurried else began + round((pts_s - began_s) * TICKS_PER_S)
        if ticks - now > MOST_AHEAD_S * TICKS_PER_S:
            self._hurried = now - began < DRIFT_S * TICKS_PER_S
            self._anchor, ticks = (pts_s, now), now
        self._last_pts_s, self._last_ticks = pts_s, max(ticks, self._last_ticks + 1)
        self._placed[round(pts_s * TICKS_PER_S)] = self._last_ticks
        if len(self._placed) > MOST_PLACED:
            del self._placed[next(iter(self._placed))]
        return self._last_ticks

    def _misfit(self, data: bytes, pts_s: float, codec: str) -> str | None:
        if codec != "h264":
            return f"the video is {codec}; only h264 can be forwarded to browsers"
        if not data.startswith(_START_CODES):
            return "the video is H.264, but not in Annex B"
        if self._anchor is None or not 0 < self._last_pts_s - pts_s <= MOST_REORDERED_S:
            return None
        once, self._back_pts_s = self._back_pts_s, pts_s
        if once is not None and abs(pts_s - once) <= MOST_REORDERED_S:  # a clock is set once, pictures go on so
            return "the video has B-frames, which browsers do not take live; turn them off in the camera"
        return None

    def _spread(self, picture: EncodedPicture) -> None:
        for waiting in self._waiting:
            waiting.put(picture)

    def _end(self, why: str) -> None:
        for waiting in self._waiting:
            waiting.end(why)
