"""Video streams and files, decoded by PyAV, each frame joined to the metadata that the stream carries for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from types import TracebackType
from typing import Any, Self

import av
import av.error
import numpy as np
import structlog
from numpy.typing import NDArray

from aerial_models.errors import ModelError, SourceEnded, SourceGarbage, SourceUnreachable
from aerial_models.frame_times import FrameTime, MetadataJoiner, SteadyArrival, rtcp_time
from aerial_models.frames import Frame, TimeSource
from aerial_models.packet_taps import PacketTap, tell
from aerial_models.srt_relays import SrtRelay
from aerial_models.stream_urls import StreamUrl, refuse_redirects
from aerial_models.subtitles import Subtitles
from aerial_models.video_decoders import hardware
from aerial_models.video_options import VideoOptions
from geo import klv
from geo.errors import KlvInvalid
from geo.klv import UasMetadata

_log = structlog.get_logger(__name__)

_CONTAINERS = "mpegts,mpeg,mov,mp4,matroska,webm,avi,rtsp"
"""Demuxers that may be used: none that fetches what another file or host is named in the data (hls, dash, concat)."""
_PROTOCOLS = {"file": "file", "udp": "udp", "srt": "", "rtsp": "rtsp,rtp,tcp,udp", "rtsps": "rtsps,rtsp,rtp,tls,tcp"}
_MAX_BROKEN_PACKETS = 600
_MOST_BARREN = 16
"""Packets in a row that give no picture, since a decoder holds back no more to put them in order."""
_LUMA_FIRST = ("yuv420p", "yuvj420p", "yuv422p", "yuvj422p", "yuv444p", "yuvj444p", "nv12", "nv21", "gray")
_SAMPLES = 100
"""Across a picture, of its luma."""


class DecodedPicture:
    """A Picture as the decoder left it; RGB is made when asked for."""

    def __init__(self, decoded: av.VideoFrame) -> None:
        """Of a frame in main memory, any pixel format."""
        self.width_px, self.height_px = decoded.width, decoded.height
        self._decoded = decoded

    def rgb(self) -> NDArray[np.uint8]:
        """RGB (height, width, 3)."""
        rgb: NDArray[np.uint8] = self._decoded.to_ndarray(format="rgb24")  # type: ignore[assignment]
        return rgb

    def luma(self) -> NDArray[np.uint8]:
        """Each so-manieth pixel's brightness, (rows, columns)."""
        step = max(1, self.width_px // _SAMPLES)
        decoded = self._decoded
        if decoded.format.name not in _LUMA_FIRST:
            decoded = decoded.reformat(format="gray")
        plane = decoded.planes[0]
        rows = np.frombuffer(plane, np.uint8).reshape(-1, plane.line_size)  # type: ignore[call-overload]
        return np.ascontiguousarray(rows[: self.height_px : step, : self.width_px : step])


class VideoSource:
    """A FrameSource of one stream or file."""

    def __init__(
        self,
        where: StreamUrl | str,
        *,
        name: str,
        timeout_s: float = 5.0,
        subtitles: Subtitles | None = None,
        options: VideoOptions | None = None,
    ) -> None:
        """A stream, or the path of a file; `timeout_s` bounds connecting and each silence.

        `subtitles` are metadata by time, for a video that carries none itself.
        """
        self.name = name
        self.broken_metadata = 0
        """Metadata packets that could not be read."""
        self.broken_packets = 0
        """Video packets that could not be decoded, or only with parts missing."""
        self.taps: list[PacketTap] = []
        """Who else gets the encoded pictures."""
        self.decoding = ""
        """What decodes, once entered: "h264 (software)", "h264 by cuda"."""
        self._where, self._timeout_s, self._subtitles = where, timeout_s, subtitles
        self._scheme = where.scheme if isinstance(where, StreamUrl) else "file"
        self._how = options or VideoOptions()
        self._hardware = hardware(self._how.hardware)
        self._device: str | None = None
        self._steady = SteadyArrival()
        self._container: Any = None
        self._decoder: Any = None
        self._relay: SrtRelay | None = None
        self._barren = 0
        self._stopped = False

    @property
    def live(self) -> bool:
        """Whether this is a stream, and so has no end of its own."""
        return self._scheme != "file"

    def __enter__(self) -> Self:
        """Connect and find the streams. Raises SourceRefused, SourceUnreachable or SourceGarbage."""
        started = time.monotonic()
        try:
            self._container = av.open(
                self._input(),
                format="mpegts" if self._relay else None,
                options=self._options(),
                timeout=(self._timeout_s, self._timeout_s),
                metadata_errors="replace",
            )
            if not self._container.streams.video:
                self._container.close()
                raise SourceGarbage(f"{self.name}: holds no video")
        except av.error.FFmpegError as exc:
            self._close_relay()
            raise self._open_error(exc, time.monotonic() - started) from exc
        except ModelError:
            self._close_relay()
            raise
        self._choose_decoder()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()
        self._close_relay()

    def stop(self) -> None:
        """From any thread: let the iteration end at the next packet or time-out."""
        self._stopped = True
        if self._relay is not None:
            self._relay.stop()

    def __iter__(self) -> Iterator[Frame]:
        """Frames in order of presentation. Raises SourceEnded (live only) or SourceGarbage."""
        video = self._container.streams.video[0]
        data = list(self._container.streams.data)
        rate, key = video.average_rate, self._how.keyframes_only
        joiner: MetadataJoiner[tuple[Any, float]] = MetadataJoiner(
            waits=bool(data), interval_s=float(1 / rate) if rate else 0.04, fixed_interval=key
        )
        index = 0
        try:
            for packet in self._container.demux(video, *data):
                if self._stopped:
                    return
                if packet.stream.type == "data":
                    self._take_metadata(joiner, packet)
                    continue
                tell(self.taps, packet)
                if packet.pts is not None:
                    joiner.pass_by(float((packet.pts if packet.dts is None else packet.dts) * packet.time_base))
                if key and packet.size and not packet.is_keyframe:
                    joiner.leave_out()
                else:
                    for picture in self._decode(packet, index):
                        joiner.add_picture((picture, time.monotonic()), float(picture.pts * picture.time_base))
                for (picture, received_s), pts_s, metadata, utc in joiner.ready():
                    yield self._frame(index, picture, received_s, pts_s, metadata, utc)
                    index += 1
        except av.error.FFmpegError as exc:
            raise self._read_error(exc, index) from exc
        for (picture, received_s), pts_s, metadata, utc in joiner.ready(flush=True):
            yield self._frame(index, picture, received_s, pts_s, metadata, utc)
            index += 1
        if self._stopped:
            return
        if index == 0:
            raise SourceGarbage(f"{self.name}: no frame could be decoded")
        if self.live:
            raise SourceEnded(f"{self.name}: the stream ended after {index} frames")

    def _input(self) -> str | SrtRelay:
        if isinstance(self._where, str):
            return f"file:{self._where}"
        address = self._where.resolve(self._how.allowed_networks)
        url = self._where.at(address)
        if self._scheme == "srt":
            self._relay = SrtRelay(url, name=self.name, timeout_s=self._timeout_s)
            return self._relay
        if self._scheme in ("rtsp", "rtsps") and address is not None:
            refuse_redirects(self._where, address, self._timeout_s)
        return url

    def _options(self) -> dict[str, str]:
        options = {"protocol_whitelist": _PROTOCOLS[self._scheme], "format_whitelist": _CONTAINERS}
        if self.live:
            options |= {"analyzeduration": "2000000", "fpsprobesize": "0"}
        if self._scheme in ("rtsp", "rtsps", "udp"):
            options |= {"timeout": str(round(self._timeout_s * 1e6))}
        if self._scheme == "rtsps" or (self._scheme == "rtsp" and self._how.rtsp_transport == "tcp"):
            options |= {"rtsp_transport": "tcp+udp", "rtsp_flags": "prefer_tcp+filter_src"}
        elif self._scheme == "rtsp":
            options |= {"rtsp_transport": "udp+tcp", "rtsp_flags": "filter_src"}
        elif self._scheme == "udp":
            options |= {"buffer_size": "2000000", "fifo_size": "50000", "overrun_nonfatal": "1"}
        return options

    def _choose_decoder(self) -> None:
        software = self._container.streams.video[0].codec_context
        found = self._hardware.decoder(software.name, software.extradata)
        self._decoder, self._device = found or (software, None)
        for context in {software, self._decoder}:
            context.thread_count = 1 if self.live else 0
            if self.live:
                context.thread_type = "NONE"
        self.decoding = self._hardware.described(software.name, self._device)
        _log.info("video is decoded", source=self.name, by=self.decoding)

    def _decode(self, packet: Any, decoded: int) -> list[Any]:
        try:
            pictures = self._decoder.decode(packet)
        except av.error.FFmpegError as exc:
            if self._device is not None and not decoded and (saved := self._decode_in_software(packet, exc)):
                return saved
            if not isinstance(exc, av.error.InvalidDataError) and self._device is None:
                raise
            self.broken_packets += 1
            if not decoded and self.broken_packets >= _MAX_BROKEN_PACKETS:
                raise SourceGarbage(f"{self.name}: {self.broken_packets} packets and no picture among them") from exc
            return []
        self._barren = 0 if pictures else self._barren + 1
        self.broken_packets += (self._barren > _MOST_BARREN) + sum(1 for p in pictures if p.is_corrupt)
        return [p for p in pictures if p.pts is not None and not p.is_corrupt]

    def _decode_in_software(self, packet: Any, exc: av.error.FFmpegError) -> list[Any]:
        """What the software decoder makes of a packet that the device refuses; if it can, it takes over."""
        software = packet.stream.codec_context
        try:
            pictures: list[Any] = software.decode(packet)
        except av.error.InvalidDataError:
            return []
        if pictures and self._device is not None:
            self._hardware.refuse(self._device, exc.strerror or str(exc))
            self._decoder, self._device = software, None
            self.decoding = self._hardware.described(software.name, None)
        return [p for p in pictures if p.pts is not None and not p.is_corrupt]

    def _take_metadata(self, joiner: MetadataJoiner[tuple[Any, float]], packet: Any) -> None:
        pts_s = None if packet.pts is None else float(packet.pts * packet.time_base)
        try:
            for data in klv.packets(bytes(packet)):
                joiner.add_metadata(pts_s, klv.decode(data))
        except KlvInvalid as exc:
            self.broken_metadata += 1
            if self.broken_metadata == 1:
                _log.warning("metadata packet refused", source=self.name, reason=str(exc))

    def _frame(
        self,
        index: int,
        picture: Any,
        received_s: float,
        pts_s: float,
        metadata: UasMetadata | None,
        utc: FrameTime | None,
    ) -> Frame:
        steady_s = self._steady.add(pts_s, received_s) if self.live else None
        if metadata is None and self._subtitles is not None:
            start_s = float((self._container.streams.video[0].start_time or 0) * picture.time_base)
            metadata, sigma_s = self._subtitles.timed_at(pts_s - start_s, video_start_utc_s=self._recorded_utc_s())
            utc = utc if metadata is None else FrameTime(metadata.utc_s, sigma_s, TimeSource.SUBTITLES)
        utc = utc or rtcp_time(pts_s, self._container.start_time_realtime if self.live else None)
        if utc is None and steady_s is not None and self._how.latency_s is not None:
            utc_s = time.time() - time.monotonic() + steady_s - self._how.latency_s
            utc = FrameTime(utc_s, self._how.latency_sigma_s, TimeSource.ARRIVAL)
        return Frame(
            picture=DecodedPicture(picture),
            index=index,
            pts_s=pts_s,
            utc_s=None if utc is None else utc.utc_s,
            metadata=metadata,
            received_monotonic_s=received_s,
            name=self.name,
            time_source=None if utc is None else utc.source,
            utc_sigma_s=None if utc is None else utc.sigma_s,
            steady_monotonic_s=steady_s,
        )

    def _recorded_utc_s(self) -> float | None:
        try:
            created = datetime.fromisoformat(self._container.metadata.get("creation_time", ""))
        except ValueError:
            return None
        return created.timestamp() if created.tzinfo else None

    def _close_relay(self) -> None:
        if self._relay is not None:
            self._relay.close()

    def _open_error(self, exc: av.error.FFmpegError, waited_s: float) -> ModelError:
        silent = self.live and waited_s >= 0.9 * self._timeout_s  # RTSP calls a silent server invalid data
        if isinstance(exc, av.error.InvalidDataError | av.error.EOFError) and not silent:
            return SourceGarbage(f"{self.name}: cannot be read as video: {exc.strerror}")
        if isinstance(exc, av.error.ExitError) or silent:
            return SourceUnreachable(f"{self.name}: nothing came within {waited_s:.1f} s")
        if isinstance(exc, av.error.ArgumentError) and not self.live:  # what format_whitelist answers
            return SourceGarbage(f"{self.name}: none of the containers that are read ({_CONTAINERS})")
        return SourceUnreachable(f"{self.name}: cannot be opened: {exc.strerror}")

    def _read_error(self, exc: av.error.FFmpegError, frames: int) -> ModelError:
        if isinstance(exc, av.error.ExitError):
            return SourceEnded(f"{self.name}: no data for {self._timeout_s:g} s, after {frames} frames")
        if self.live:
            return SourceEnded(f"{self.name}: the stream broke after {frames} frames: {exc.strerror}")
        return SourceGarbage(f"{self.name}: cannot be read on after {frames} frames: {exc.strerror}")
