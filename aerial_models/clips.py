"""Clips: encoded video kept as it came, in fragmented MP4 that browsers play and that is readable while it grows."""

from __future__ import annotations

import heapq
import os
import struct
from collections import deque
from fractions import Fraction
from pathlib import Path

import av
import av.error
import numpy as np
from numpy.typing import NDArray

from aerial_models.errors import SourceGarbage, SourceRefused, SourceUnreachable

CODECS = ("h264", "hevc")
"""What is kept without encoding it again."""
FRAGMENT_S = 1.0
"""Of video; the file holds whole fragments, so what a crash costs is less than two of them."""
REORDER = 8
"""Pictures that wait until the order in which they are shown is certain."""
TICKS_PER_S = 90_000
_BOX = struct.Struct(">I4s")
"""Length and kind, at the head of each part of an MP4 file."""
_OPTIONS = {
    "movflags": "frag_keyframe+empty_moov+default_base_moof",
    "frag_duration": str(round(FRAGMENT_S * 1e6)),
    "flush_packets": "1",
}


class ClipWriter:
    """One clip being written; for one thread at a time."""

    def __init__(self, path: Path, *, codec: str, width_px: int, height_px: int) -> None:
        """Makes the file. Raises SourceRefused for a codec that is not kept, OSError."""
        if codec not in CODECS:
            raise SourceRefused(f"{path.name}: {codec} is not recorded; these are: {', '.join(CODECS)}")
        self.path = path
        self.start_pts_s: float | None = None
        """Presentation time in the stream of the first picture, s; None before it."""
        self.end_pts_s = -np.inf
        """Of the latest picture, s."""
        self.pictures = 0
        """Taken so far."""
        self._lead = 0
        self._waiting: deque[tuple[bytes, int, bool]] = deque()
        self._shown: list[int] = []
        self._last_dts = -1
        self._file = path.open("xb", buffering=0)
        self._container = av.open(self._file, "w", format="mp4", options=_OPTIONS)
        self._stream = self._container.add_mux_stream(
            codec, width=width_px, height=height_px, time_base=Fraction(1, TICKS_PER_S)
        )

    @property
    def duration_s(self) -> float:
        """From the first picture to the latest, s."""
        return 0.0 if self.start_pts_s is None else self.end_pts_s - self.start_pts_s

    def time_in_clip_s(self, pts_s: float) -> float:
        """Where in the file a picture of the stream is shown, s."""
        return pts_s - (self.start_pts_s or 0.0) + self._lead / TICKS_PER_S

    def add(self, data: bytes, pts_s: float, keyframe: bool) -> None:
        """An encoded picture, in the order of the stream; the first must be a key picture.

        Raises SourceGarbage, OSError.
        """
        if self.start_pts_s is None:
            if not keyframe:
                raise ValueError("a clip begins with a key picture")
            self.start_pts_s = pts_s
        shown = round((pts_s - self.start_pts_s) * TICKS_PER_S)
        if shown < 0:
            return  # needs pictures from before the clip
        self.end_pts_s = max(self.end_pts_s, pts_s)
        self.pictures += 1
        self._waiting.append((data, shown, keyframe))
        heapq.heappush(self._shown, shown)
        if len(self._waiting) > REORDER:
            self._emit()

    def sync(self) -> None:
        """Have what was written so far survive a loss of power. Raises ValueError once it is closed, OSError."""
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """End the file. Raises SourceGarbage, OSError."""
        try:
            while self._waiting:
                self._emit()
            self._container.close()
        except av.error.FFmpegError as exc:
            raise SourceGarbage(f"{self.path.name}: cannot be ended: {exc.strerror}") from exc
        finally:
            self._file.close()

    def _emit(self) -> None:
        if self._last_dts < 0:
            self._lead = max(
                at - shown for at, (_, shown, _) in zip(sorted(self._shown), self._waiting, strict=True)
            )  # pictures out of order are shown so much later, that each is decoded before
        data, shown, keyframe = self._waiting.popleft()
        pts = shown + self._lead
        dts = max(min(heapq.heappop(self._shown), pts), self._last_dts + 1)
        if dts > pts:
            return  # comes later than it would have been shown
        self._last_dts = dts
        packet = av.Packet(data)
        packet.stream, packet.time_base = self._stream, Fraction(1, TICKS_PER_S)
        packet.pts, packet.dts, packet.is_keyframe = pts, dts, keyframe
        try:
            self._container.mux(packet)
        except av.error.FFmpegError as exc:
            raise SourceGarbage(f"{self.path.name}: a picture cannot be written: {exc.strerror}") from exc


def mend(path: Path) -> None:
    """Cut off what a stop or a full disk left of a last fragment that is not whole: with a part of its head, nothing
    of the clip could be read. Raises OSError."""
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        at = whole = 0
        while at + _BOX.size <= size:
            file.seek(at)
            length, kind = _BOX.unpack(file.read(_BOX.size))
            if length < _BOX.size or at + length > size:
                break
            at += length
            if kind != b"moof":
                whole = at
        file.truncate(whole)


def duration_of(path: Path) -> float:
    """How long what is readable of a clip is, s. Raises SourceUnreachable, SourceGarbage."""
    with _opened(path) as container:
        stream = container.streams.video[0]
        try:
            times = [packet.pts for packet in container.demux(stream) if packet.pts is not None]
        except av.error.FFmpegError as exc:
            raise SourceGarbage(f"{path.name}: cannot be read: {exc.strerror}") from exc
    if not times:
        raise SourceGarbage(f"{path.name}: holds no picture")
    return float((max(times) - min(times)) * (stream.time_base or 0))


def picture_at(path: Path, time_s: float) -> tuple[NDArray[np.uint8], float]:
    """The picture (RGB; H, W, 3) shown nearest to a time in a clip, and its own time, s.

    Raises SourceUnreachable, SourceGarbage.
    """
    best: tuple[NDArray[np.uint8], float] | None = None
    try:
        with _opened(path) as container:
            stream = container.streams.video[0]
            container.seek(max(0, round(time_s / (stream.time_base or 1))), stream=stream)
            nearest = None
            for frame in container.decode(stream):
                if nearest is not None and abs(frame.time - time_s) > abs(nearest.time - time_s):
                    break
                nearest = frame
            if nearest is not None:
                best = np.asarray(nearest.to_ndarray(format="rgb24"), np.uint8), float(nearest.time or 0.0)
    except av.error.FFmpegError as exc:
        raise SourceGarbage(f"{path.name}: cannot be read at {time_s:.2f} s: {exc.strerror}") from exc
    if best is None:
        raise SourceGarbage(f"{path.name}: shows nothing at {time_s:.2f} s")
    return best


def _opened(path: Path) -> av.container.InputContainer:
    try:
        container = av.open(f"file:{path}", format="mp4", options={"protocol_whitelist": "file"})
    except FileNotFoundError as exc:
        raise SourceUnreachable(f"{path.name}: no such clip") from exc
    except av.error.FFmpegError as exc:
        raise SourceGarbage(f"{path.name}: cannot be read as a clip: {exc.strerror}") from exc
    if not container.streams.video:
        container.close()
        raise SourceGarbage(f"{path.name}: holds no video")
    return container
