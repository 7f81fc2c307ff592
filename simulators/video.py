"""Video as vehicles send it: H.264 and ST 0601 metadata in MPEG-TS, to files, over UDP, to many receivers at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Iterable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Literal

import av
import numpy as np
from numpy.typing import NDArray

from geo import klv
from geo.klv import UasMetadata
from simulators.transport_stream import PACKET_BYTES, TICKS_PER_S, TransportStream, spoil

if TYPE_CHECKING:
    from collections.abc import Iterator

DATAGRAM_BYTES = 7 * PACKET_BYTES
"""Payload of a datagram: seven transport packets, as fit into one Ethernet frame."""
_FIRST_TICKS = TICKS_PER_S
_BURST_DATAGRAMS = 24


@dataclass(frozen=True)
class Chunk:
    """One picture and its metadata as whole transport packets, tables first."""

    data: bytes
    """A multiple of 188 bytes."""
    ticks: int
    """Presentation time, 1/90000 s."""
    keyframe: bool
    """Whether decoding can start here."""
    video: bytes = b""
    """The picture alone, as H.264 with start codes."""


class VideoEncoder:
    """Pictures and metadata in, chunks of MPEG-TS out, one for one and without delay. Not for two threads at once."""

    def __init__(
        self, *, width_px: int, height_px: int, fps: float, crf: float = 23.0, keyframe_interval_s: float = 1.0
    ) -> None:
        """H.264 by libx264 for RGB pictures of that size (even numbers); `crf` is its quality, lower is better."""
        if width_px % 2 or height_px % 2:
            raise ValueError(f"a picture of {width_px} x {height_px} px cannot be encoded: sizes must be even")
        codec = av.CodecContext.create("libx264", "w")
        codec.width, codec.height, codec.pix_fmt = width_px, height_px, "yuv420p"
        codec.time_base = Fraction(1, TICKS_PER_S)
        codec.framerate = Fraction(fps).limit_denominator(1000)
        codec.gop_size = max(1, round(fps * keyframe_interval_s))
        codec.thread_count = 1
        codec.options = {
            "preset": "ultrafast",
            "tune": "zerolatency",
            "crf": f"{crf:g}",
            "forced-idr": "1",
            "x264-params": "scenecut=0:aud=1:repeat-headers=1",
        }
        self._codec = codec
        self.frozen = False
        """While set, the last picture is encoded again and again, whatever is given; time and metadata go on."""
        self._last: NDArray[np.uint8] | None = None
        self._stream = TransportStream()
        self._ticks = -1

    def encode(
        self, image: NDArray[np.uint8], pts_s: float, metadata: UasMetadata | None, *, keyframe: bool = False
    ) -> Chunk:
        """The chunk of a picture (H, W, 3) shown at `pts_s` from the start; a time that does not grow is made to.

        `keyframe` asks that decoding can start with it. Raises KlvInvalid for metadata that cannot be written.
        """
        packet = None if metadata is None else klv.encode(metadata)
        self._ticks = max(round(pts_s * TICKS_PER_S) + _FIRST_TICKS, self._ticks + 1)
        if self.frozen and self._last is not None:
            image = self._last
        self._last = image
        frame = av.VideoFrame.from_ndarray(image, format="rgb24")
        frame.pts, frame.time_base = self._ticks, self._codec.time_base
        frame.pict_type = av.video.frame.PictureType.I if keyframe else av.video.frame.PictureType.NONE
        encoded = self._codec.encode(frame)
        is_keyframe = any(p.is_keyframe for p in encoded)
        video = b"".join(bytes(p) for p in encoded)
        data = self._stream.mux(video, packet, ticks=self._ticks, keyframe=is_keyframe)
        return Chunk(data, self._ticks, is_keyframe, video)


class Subscription:
    """The chunks of a channel for one receiver, from a keyframe on; what a slow one misses is dropped by whole GOPs."""

    def __init__(self, limit_bytes: int) -> None:
        """Holds at most `limit_bytes` that the receiver has not taken."""
        self.dropped = 0
        """Chunks that this receiver was too slow for."""
        self.starved = True
        """Whether nothing can go on before the next keyframe."""
        self._limit_bytes = limit_bytes
        self._waiting: deque[Chunk] = deque()
        self._bytes = 0
        self._started = False
        self._closed = False
        self._wake = asyncio.Event()

    def put(self, chunk: Chunk | None) -> None:
        """One more chunk; None closes."""
        if chunk is None:
            self._closed = True
        elif chunk.keyframe or not self.starved:
            self.starved, self._started = False, True
            self._waiting.append(chunk)
            self._bytes += len(chunk.data)
            while self._bytes > self._limit_bytes and self._waiting:
                self._drop_oldest_gop()
        elif self._started:
            self.dropped += 1
        self._wake.set()

    def _drop_oldest_gop(self) -> None:
        while self._waiting:
            self._bytes -= len(self._waiting.popleft().data)
            self.dropped += 1
            if self._waiting and self._waiting[0].keyframe:
                return
        self.starved = True

    async def __aiter__(self) -> AsyncIterator[Chunk]:
        while True:
            while self._waiting:
                chunk = self._waiting.popleft()
                self._bytes -= len(chunk.data)
                yield chunk
            if self._closed:
                return
            self._wake.clear()
            await self._wake.wait()


class Channel:
    """One camera's video on its way to any number of receivers, all in one event loop."""

    def __init__(self) -> None:
        """Without receivers."""
        self.fault: Literal["silence", "garbage"] | None = None
        """What is wrong with what is published from now on: nothing goes on, or noise among it."""
        self._subscriptions: set[Subscription] = set()
        self._random = Random(0)

    @property
    def watched(self) -> bool:
        """Whether there is any receiver."""
        return bool(self._subscriptions)

    @property
    def keyframe_wanted(self) -> bool:
        """Whether a receiver waits for a keyframe."""
        return any(s.starved for s in self._subscriptions)

    def publish(self, chunk: Chunk) -> None:
        """Give a chunk to all receivers; never waits."""
        if self.fault == "silence":
            return
        if self.fault == "garbage":
            chunk = replace(chunk, data=spoil(chunk.data, self._random))
        for subscription in self._subscriptions:
            subscription.put(chunk)

    def close(self) -> None:
        """The video ends: each receiver gets what waits for it and then the end."""
        for subscription in self._subscriptions:
            subscription.put(None)

    @contextmanager
    def subscribe(self, *, limit_bytes: int = 4_000_000) -> Iterator[Subscription]:
        """A receiver, for as long as the context lasts."""
        subscription = Subscription(limit_bytes)
        self._subscriptions.add(subscription)
        try:
            yield subscription
        finally:
            self._subscriptions.discard(subscription)


async def send_udp(channel: Channel, *, host: str, port: int) -> None:
    """Send a channel as MPEG-TS datagrams until it closes or the task is cancelled."""
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, remote_addr=(host, port))
    try:
        with channel.subscribe() as chunks:
            async for chunk in chunks:
                for i, at in enumerate(range(0, len(chunk.data), DATAGRAM_BYTES), 1):
                    transport.sendto(chunk.data[at : at + DATAGRAM_BYTES])
                    if i % _BURST_DATAGRAMS == 0:  # let the receiver empty its socket buffer
                        await asyncio.sleep(0.001)
    finally:
        transport.close()


def write_ts(path: Path | str, frames: Iterable[tuple[NDArray[np.uint8], UasMetadata]], *, fps: float) -> int:
    """Record pictures with their metadata to an MPEG-TS file, timed by the metadata; the number of frames.

    All pictures are of the first one's size. Raises KlvInvalid for metadata that cannot be written.
    """
    encoder: VideoEncoder | None = None
    start_utc_s = 0.0
    count = 0
    with Path(path).open("wb") as file:
        for image, metadata in frames:
            if encoder is None:
                height_px, width_px = image.shape[:2]
                encoder = VideoEncoder(width_px=width_px, height_px=height_px, fps=fps)
                start_utc_s = metadata.utc_s
            file.write(encoder.encode(image, metadata.utc_s - start_utc_s, metadata).data)
            count += 1
    return count
