"""Flight recordings as MAVProxy and QGroundControl write them: .tlog, 8 bytes of time before each frame."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from fleet.errors import RecordingInvalid
from fleet.framing import Frame, Framer
from fleet.scan import LONGEST_FRAME_BYTES, MAGIC_V1, MAGIC_V2

_STAMP = struct.Struct(">Q")


class Recording:
    """Writes frames of both directions with the wall time of their passing (big-endian us since 1970 UTC)."""

    def __init__(self, path: Path) -> None:
        """Appends to `path`, making its folder; raises RecordingInvalid.

        What a killed service left of its last frame is cut off: nothing that follows it could be read.
        """
        self.path = path
        self.frames = 0
        """Frames written."""
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _cut_to_whole_frames(path)
            self._file = path.open("ab", buffering=1 << 16)
        except OSError as exc:
            raise RecordingInvalid(f"recording {path}: {exc.strerror or exc}") from exc

    def write(self, data: bytes, utc_s: float) -> None:
        """One whole frame that passed at `utc_s`."""
        self._file.write(_STAMP.pack(round(utc_s * 1e6)) + data)
        self.frames += 1

    def flush(self) -> None:
        """Hand what was written to the operating system."""
        self._file.flush()

    def close(self) -> None:
        """Flush and close."""
        self._file.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def read_recording(path: Path) -> Iterator[tuple[float, Frame]]:
    """Times (s since 1970 UTC) and frames of a .tlog; a cut-off last frame ends it; raises RecordingInvalid."""
    try:
        content = path.read_bytes()
    except OSError as exc:
        raise RecordingInvalid(f"recording {path}: {exc.strerror or exc}") from exc
    for at, end in _spans(content, path):
        for frame in Framer().feed(content[at + 8 : end]):
            yield _STAMP.unpack_from(content, at)[0] / 1e6, frame


def _spans(content: bytes, path: Path) -> Iterator[tuple[int, int]]:
    """Where each whole frame with its time begins and ends; raises RecordingInvalid where none can begin."""
    at = 0
    while at + 8 + 3 <= len(content):
        magic, size, flags = content[at + 8 : at + 11]
        if magic == MAGIC_V2:
            length = 12 + size + (13 if flags & 1 else 0)
        elif magic == MAGIC_V1:
            length = 8 + size
        else:
            raise RecordingInvalid(f"recording {path}: byte {at + 8} is 0x{magic:02x}, no MAVLink frame starts so")
        end = at + 8 + length
        if end > len(content):
            return
        yield at, end
        at = end


def _cut_to_whole_frames(path: Path) -> None:
    """Drop a cut-off last frame; a file that is spoiled before its end is left as it is."""
    if not path.exists():
        return
    content = path.read_bytes()
    with contextlib.suppress(RecordingInvalid):
        whole = max((end for _, end in _spans(content, path)), default=0)
        if 0 < len(content) - whole < _STAMP.size + LONGEST_FRAME_BYTES:
            os.truncate(path, whole)
