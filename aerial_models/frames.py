"""Pictures of a source with what is known of each, and the mailbox of one that carries the latest."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from types import TracebackType
from typing import Generic, Protocol, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from aerial_models.errors import SourceEnded
from geo.klv import UasMetadata

T = TypeVar("T")


class Picture(Protocol):
    """Pixels that may still be as the decoder left them."""

    width_px: int
    """Width."""
    height_px: int
    """Height."""

    def rgb(self) -> NDArray[np.uint8]:
        """RGB (height, width, 3)."""

    def luma(self) -> NDArray[np.uint8]:
        """A sparse sample of its brightness, (rows, columns) of some 60 by 100, the same places each time."""


class TimeSource(StrEnum):
    """Where the time of a frame comes from, best first."""

    KLV = "klv"
    """ST 0601 metadata of this frame, or carried on by its presentation time from an earlier one."""
    SUBTITLES = "subtitles"
    """A DJI .srt beside the video."""
    RTCP = "rtcp"
    """The camera's own clock, by the sender reports of RTP."""
    ARRIVAL = "arrival"
    """This machine's clock when it came, less the latency that the source was opened with."""


@dataclass(frozen=True)
class Frame:
    """One picture of a source."""

    picture: Picture
    """Its pixels."""
    index: int
    """Count of decoded frames before this one."""
    pts_s: float
    """Presentation time in the stream, s."""
    utc_s: float | None
    """Moment of exposure as the source states it, s since 1970 UTC."""
    metadata: UasMetadata | None
    """Metadata of this very frame."""
    received_monotonic_s: float
    """When it was decoded, by time.monotonic()."""
    name: str = ""
    """URL of the stream (without password) or path of the file."""
    time_source: TimeSource | None = None
    """Whose time `utc_s` is; None without one."""
    utc_sigma_s: float | None = None
    """One-sigma error of `utc_s` against the clock that it comes from, s; what that clock is off by is not in it."""
    steady_monotonic_s: float | None = None
    """Arrival by time.monotonic() of a frame that was delayed as little as any lately: presentation time on our clock,
    without the jitter of the network; None for files."""

    @cached_property
    def image(self) -> NDArray[np.uint8]:
        """RGB (H, W, 3), made when it is first asked for."""
        return self.picture.rgb()


class FrameSource(Protocol):
    """Frames in order, for one thread: opens on entering, closes on leaving; raises ModelErrors that name it."""

    name: str
    """What messages call it: URL without password, or path."""

    def __enter__(self) -> Self:
        """Connect. Raises SourceUnreachable or SourceGarbage."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Disconnect."""

    def __iter__(self) -> Iterator[Frame]:
        """Frames until a file is read, `stop` is called, or SourceEnded (live streams) or SourceGarbage is raised."""

    def stop(self) -> None:
        """From any thread: let the iteration end at the next frame or time-out."""


class Mailbox(Generic[T]):
    """Holds the latest of what was put, for any thread and any event loop; what is overwritten is counted."""

    def __init__(self) -> None:
        """Empty and open."""
        self.dropped = 0
        """How many were overwritten before anybody took them."""
        self._changed = threading.Condition()
        self._latest: list[T] = []
        self._end: BaseException | None = None
        self._waiters: set[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = set()

    def put(self, item: T) -> None:
        """Replace what is held; never waits."""
        with self._changed:
            self.dropped += len(self._latest)
            self._latest = [item]
            self._notify()

    def close(self, reason: BaseException) -> None:
        """Nothing more comes: once empty, takers get `reason` raised."""
        with self._changed:
            self._end = self._end or reason
            self._notify()

    def get(self, timeout_s: float | None = None) -> T:
        """Take the latest, waiting for one. Raises TimeoutError, or why the mailbox was closed."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._latest or self._end, timeout_s):
                raise TimeoutError(f"nothing came within {timeout_s:g} s")
            return self._take()

    async def next(self) -> T:
        """Take the latest, waiting for one without blocking the event loop. Raises why the mailbox was closed."""
        waiter = (asyncio.get_running_loop(), asyncio.Event())
        while True:
            with self._changed:
                if self._latest or self._end:
                    self._waiters.discard(waiter)
                    return self._take()
                self._waiters.add(waiter)
                waiter[1].clear()
            try:
                await waiter[1].wait()
            except asyncio.CancelledError:
                with self._changed:
                    self._waiters.discard(waiter)
                raise

    def _take(self) -> T:
        if self._latest:
            return self._latest.pop()
        assert self._end is not None
        raise self._end

    def _notify(self) -> None:
        self._changed.notify_all()
        for loop, event in self._waiters:
            if not loop.is_closed():
                loop.call_soon_threadsafe(event.set)


class FrameReader:
    """Drains a source in a thread of its own, so that it never backs up; `latest` holds the newest frame.

    A context manager, and an async one; leaving it waits until the source is closed, at most its time-out.
    """

    def __init__(self, source: FrameSource) -> None:
        """Of a source that is not yet entered."""
        self.latest: Mailbox[Frame] = Mailbox()
        """Closed with the source's error, or with SourceEnded when a file has been read."""
        self.read = 0
        """Frames decoded so far."""
        self._source = source
        self._thread = threading.Thread(target=self._drain, name=f"read {source.name}", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._source.stop()
        self._thread.join()

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *_: object) -> None:
        self._source.stop()
        await asyncio.to_thread(self._thread.join)

    def _drain(self) -> None:
        try:
            with self._source as frames:
                for frame in frames:
                    self.read += 1
                    self.latest.put(frame)
        except Exception as exc:  # noqa: BLE001 - handed to whoever takes the next frame
            self.latest.close(exc)
        else:
            self.latest.close(SourceEnded(f"{self._source.name}: the source ended after {self.read} frames"))
