"""Video streams and files, decoded by PyAV, each frame joined to the metadata that the stream carries for it."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import av
import av.error
import structlog

from aerial_models.errors import ModelError, SourceEnded, SourceGarbage, SourceRefused, SourceUnreachable
from aerial_models.frames import Frame
from aerial_models.subtitles import Subtitles
from geo import klv
from geo.errors import KlvInvalid
from geo.klv import UasMetadata

_log = structlog.get_logger(__name__)

_CONTAINERS = "mpegts,mpeg,mov,mp4,matroska,webm,avi,rtsp"
"""Demuxers that may be used: none that fetches what another file or host is named in the data (hls, dash, concat)."""
_PROTOCOLS = {"file": "file", "udp": "udp", "srt": "srt", "rtsp": "rtsp,rtp,tcp,udp", "rtsps": "rtsps,rtsp,rtp,tls,tcp"}
_MAX_BROKEN_PACKETS = 600
_MAX_EXTRAPOLATION_S = 2.0

PacketTap = Callable[[bytes, float, bool, str], None]
"""Gets each encoded picture before it is decoded: its bytes as the stream has them (key pictures led by the stream's
parameter sets), presentation time in the stream (s), whether it is a key picture, and the codec, such as `h264`. It is
called in the thread that reads and must not wait."""


class VideoSource:
    """A FrameSource of one URL or file."""

    def __init__(
        self, url: str, *, name: str, scheme: str, timeout_s: float = 5.0, subtitles: Subtitles | None = None
    ) -> None:
        """A stream of an allowed scheme ("file" for files); `timeout_s` bounds connecting and each silence.

        `subtitles` are metadata by time, for a video that carries none itself.
        """
        self.name = name
        self.broken_metadata = 0
        """Metadata packets that could not be read."""
        self.broken_packets = 0
        """Video packets that could not be decoded."""
        self.taps: list[PacketTap] = []
        """Who else gets the encoded pictures."""
        self._url, self._scheme, self._timeout_s, self._subtitles = url, scheme, timeout_s, subtitles
        self._container: Any = None
        self._stopped = False

    @property
    def live(self) -> bool:
        """Whether this is a stream, and so has no end of its own."""
        return self._scheme != "file"

    def __enter__(self) -> Self:
        """Connect and find the streams. Raises SourceUnreachable or SourceGarbage."""
        started = time.monotonic()
        try:
            self._container = av.open(
                self._url,
                options=self._options(),
                timeout=(self._timeout_s, self._timeout_s),
                metadata_errors="replace",
            )
        except av.error.FFmpegError as exc:
            raise self._open_error(exc, time.monotonic() - started) from exc
        if not self._container.streams.video:
            self._container.close()
            raise SourceGarbage(f"{self.name}: holds no video")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()

    def stop(self) -> None:
        """From any thread: let the iteration end at the next packet or time-out."""
        self._stopped = True

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order of presentation. Raises SourceEnded (live only) or SourceGarbage."""
        video = self._container.streams.video[0]
        video.codec_context.thread_count = 1 if self.live else 0
        if self.live:
            video.codec_context.thread_type = "NONE"
        data = list(self._container.streams.data)
        rate = video.average_rate
        joiner = _Joiner(waits=bool(data), interval_s=float(1 / rate) if rate else 0.04)
        index = 0
        try:
            for packet in self._container.demux(video, *data):
                if self._stopped:
                    return
                if packet.stream.type == "data":
                    self._take_metadata(joiner, packet)
                    continue
                self._tell(packet)
                for picture in self._decode(packet, index):
                    joiner.add_picture(picture, time.monotonic())
                for ready in joiner.ready():
                    yield self._frame(index, *ready)
                    index += 1
        except av.error.FFmpegError as exc:
            raise self._read_error(exc, index) from exc
        for ready in joiner.ready(flush=True):
            yield self._frame(index, *ready)
            index += 1
        if index == 0:
            raise SourceGarbage(f"{self.name}: no frame could be decoded")
        if self.live and not self._stopped:
            raise SourceEnded(f"{self.name}: the stream ended after {index} frames")

    def _options(self) -> dict[str, str]:
        timeout_us = str(round(self._timeout_s * 1e6))
        options = {
            "protocol_whitelist": _PROTOCOLS[self._scheme],
            "format_whitelist": _CONTAINERS,
        }
        if self.live:
            options |= {"analyzeduration": "2000000", "fpsprobesize": "0", "timeout": timeout_us}
        if self._scheme in ("rtsp", "rtsps"):
            options |= {"rtsp_transport": "tcp"}
        elif self._scheme == "udp":
            options |= {"buffer_size": "2000000", "fifo_size": "50000", "overrun_nonfatal": "1"}
        return options

    def _tell(self, packet: Any) -> None:
        if not self.taps or packet.pts is None or not packet.size:
            return
        context = packet.stream.codec_context
        headers, data = bytes(context.extradata or b""), bytes(packet)
        if packet.is_keyframe and headers not in data:
            data = headers + data
        for tap in self.taps:
            tap(data, float(packet.pts * packet.time_base), packet.is_keyframe, context.codec.canonical_name)

    def _decode(self, packet: Any, decoded: int) -> list[Any]:
        try:
            pictures = packet.decode()
        except av.error.InvalidDataError as exc:
            self.broken_packets += 1
            if not decoded and self.broken_packets >= _MAX_BROKEN_PACKETS:
                raise SourceGarbage(f"{self.name}: {self.broken_packets} packets and no picture among them") from exc
            return []
        return [p for p in pictures if p.pts is not None and not p.is_corrupt]

    def _take_metadata(self, joiner: _Joiner, packet: Any) -> None:
        if packet.pts is None:
            return
        try:
            for data in klv.packets(bytes(packet)):
                joiner.add_metadata(float(packet.pts * packet.time_base), klv.decode(data))
        except KlvInvalid as exc:
            self.broken_metadata += 1
            if self.broken_metadata == 1:
                _log.warning("metadata packet refused", source=self.name, reason=str(exc))

    def _frame(
        self, index: int, picture: Any, received_monotonic_s: float, metadata: UasMetadata | None, utc_s: float | None
    ) -> Frame:
        pts_s = float(picture.pts * picture.time_base)
        if metadata is None and self._subtitles is not None:
            start_s = (self._container.streams.video[0].start_time or 0) * picture.time_base
            metadata = self._subtitles.metadata_at(pts_s - float(start_s), video_start_utc_s=self._recorded_utc_s())
            utc_s = utc_s if metadata is None else metadata.utc_s
        return Frame(
            image=picture.to_ndarray(format="rgb24"),
            index=index,
            pts_s=pts_s,
            utc_s=utc_s,
            metadata=metadata,
            received_monotonic_s=received_monotonic_s,
            name=self.name,
        )

    def _recorded_utc_s(self) -> float | None:
        try:
            created = datetime.fromisoformat(self._container.metadata.get("creation_time", ""))
        except ValueError:
            return None
        return created.timestamp() if created.tzinfo else None

    def _open_error(self, exc: av.error.FFmpegError, waited_s: float) -> ModelError:
        silent = self.live and waited_s >= 0.9 * self._timeout_s  # RTSP calls a silent server invalid data
        if isinstance(exc, av.error.InvalidDataError | av.error.EOFError) and not silent:
            return SourceGarbage(f"{self.name}: cannot be read as video: {exc.strerror}")
        if isinstance(exc, av.error.ExitError) or silent:
            return SourceUnreachable(f"{self.name}: nothing came within {waited_s:.1f} s")
        if isinstance(exc, av.error.ProtocolNotFoundError):
            return SourceRefused(f"{self.name}: the installed PyAV was built without {self._scheme}")
        if isinstance(exc, av.error.ArgumentError) and not self.live:  # what format_whitelist answers
            return SourceGarbage(f"{self.name}: none of the containers that are read ({_CONTAINERS})")
        return SourceUnreachable(f"{self.name}: cannot be opened: {exc.strerror}")

    def _read_error(self, exc: av.error.FFmpegError, frames: int) -> ModelError:
        if isinstance(exc, av.error.ExitError):
            return SourceEnded(f"{self.name}: no data for {self._timeout_s:g} s, after {frames} frames")
        if self.live:
            return SourceEnded(f"{self.name}: the stream broke after {frames} frames: {exc.strerror}")
        return SourceGarbage(f"{self.name}: cannot be read on after {frames} frames: {exc.strerror}")


class _Joiner:
    """Pairs pictures and metadata by presentation time: the nearest within half a frame."""

    def __init__(self, *, waits: bool, interval_s: float) -> None:
        self._waits, self._interval_s = waits, interval_s
        self._pictures: deque[tuple[Any, float, float]] = deque()
        self._metadata: deque[tuple[float, UasMetadata]] = deque(maxlen=256)
        self._steps_s: deque[float] = deque(maxlen=9)
        self._last_pts_s: float | None = None
        self._anchor: tuple[float, float] | None = None

    def add_metadata(self, pts_s: float, metadata: UasMetadata) -> None:
        self._metadata.append((pts_s, metadata))

    def add_picture(self, picture: Any, received_monotonic_s: float) -> None:
        pts_s = float(picture.pts * picture.time_base)
        if self._last_pts_s is not None and pts_s > self._last_pts_s:
            self._steps_s.append(pts_s - self._last_pts_s)
        self._last_pts_s = pts_s
        self._pictures.append((picture, pts_s, received_monotonic_s))

    def ready(self, *, flush: bool = False) -> Iterator[tuple[Any, float, UasMetadata | None, float | None]]:
        """Pictures whose metadata is here, or has had its time to come: three more pictures."""
        while self._pictures:
            picture, pts_s, received_monotonic_s = self._pictures[0]
            come = any(at >= pts_s for at, _ in self._metadata)
            if self._waits and not come and not flush and len(self._pictures) <= 3:
                return
            self._pictures.popleft()
            metadata = self._nearest(pts_s)
            yield picture, received_monotonic_s, metadata, self._utc_s(pts_s, metadata)

    def _nearest(self, pts_s: float) -> UasMetadata | None:
        interval_s = sorted(self._steps_s)[len(self._steps_s) // 2] if len(self._steps_s) > 2 else self._interval_s
        at, metadata = min(self._metadata, key=lambda m: abs(m[0] - pts_s), default=(float("inf"), None))
        return metadata if abs(at - pts_s) <= interval_s / 2 else None

    def _utc_s(self, pts_s: float, metadata: UasMetadata | None) -> float | None:
        if metadata is not None:
            self._anchor = (pts_s, metadata.utc_s)
            return metadata.utc_s
        if self._anchor is None or abs(pts_s - self._anchor[0]) > _MAX_EXTRAPOLATION_S:
            return None
        return self._anchor[1] + pts_s - self._anchor[0]
