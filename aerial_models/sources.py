"""Opening a source of frames: a stream by URL, a video file, a picture, or a folder of pictures."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import structlog
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from aerial_models.errors import SourceGarbage, SourceRefused, SourceUnreachable
from aerial_models.frames import Frame, FrameReader, FrameSource, Mailbox
from aerial_models.stream_urls import StreamUrl
from aerial_models.subtitles import Subtitles
from aerial_models.video_options import VideoOptions
from aerial_models.videos import VideoSource

__all__ = ["Frame", "FrameReader", "FrameSource", "Mailbox", "PictureSource", "VideoSource", "open_source"]

_log = structlog.get_logger(__name__)

VIDEO_SUFFIXES = (".ts", ".m2ts", ".mts", ".mpg", ".mpeg", ".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi")
"""Files that are read as video."""
PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png", ".tif", ".tiff", ".webp")
"""Files that are read as pictures."""
_PICTURE_FORMATS = ("JPEG", "PNG", "TIFF", "WEBP")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*(?=:)")


def open_source(
    url_or_path: str | Path,
    *,
    timeout_s: float = 5.0,
    utc_offset_s: float = 0.0,
    options: VideoOptions | None = None,
) -> VideoSource | PictureSource:
    """The source of an RTSP, SRT or UDP URL, a video file, a picture, or a folder of pictures; connects on entering.

    `timeout_s` bounds connecting and each silence of a stream. A DJI .srt beside a video gives its metadata, and
    `utc_offset_s` is how far that .srt's clock is ahead of UTC (DJI writes local time). Raises SourceRefused for
    any other kind, SourceUnreachable for a file that is not there. Whether a stream's host may be connected to is
    found out on entering.
    """
    text = str(url_or_path)
    scheme = _SCHEME.match(text) if isinstance(url_or_path, str) else None
    if scheme:
        stream = StreamUrl.parse(text)
        return VideoSource(stream, name=stream.shown, timeout_s=timeout_s, options=options)
    path = Path(url_or_path)
    if path.is_dir():
        named = (p for p in path.iterdir() if p.suffix.lower() in PICTURE_SUFFIXES)
        pictures = sorted(p for p in named if not p.name.startswith("."))
        if not pictures:
            raise SourceRefused(f"{path}: a folder without pictures ({', '.join(PICTURE_SUFFIXES)})")
        return PictureSource(pictures, name=text)
    if path.suffix.lower() not in VIDEO_SUFFIXES + PICTURE_SUFFIXES:
        raise SourceRefused(
            f"{path}: a file of this kind is not read; these are: {', '.join(VIDEO_SUFFIXES + PICTURE_SUFFIXES)}"
        )
    if not path.is_file():
        raise SourceUnreachable(f"{path}: no such file")
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return PictureSource([path], name=text)
    return VideoSource(
        str(path.resolve()),
        name=text,
        timeout_s=timeout_s,
        subtitles=Subtitles.beside(path, utc_offset_s=utc_offset_s),
        options=options,
    )


class StillPicture:
    """A Picture that has been read from a file."""

    def __init__(self, pixels: NDArray[np.uint8]) -> None:
        """RGB (height, width, 3)."""
        self.height_px, self.width_px = pixels.shape[:2]
        self._pixels = pixels

    def rgb(self) -> NDArray[np.uint8]:
        """The same array each time."""
        return self._pixels

    def luma(self) -> NDArray[np.uint8]:
        """Of each so-manieth pixel the green, (rows, columns)."""
        step = max(1, self.width_px // 100)
        return np.ascontiguousarray(self._pixels[::step, ::step, 1])


class PictureSource:
    """A FrameSource of picture files; pts_s counts whole pictures."""

    def __init__(self, paths: list[Path], *, name: str) -> None:
        """Of files, in this order."""
        self.name = name
        self.broken = 0
        """Files of several that could not be read and were left out."""
        self._paths = paths
        self._stopped = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """From any thread: let the iteration end at the next picture."""
        self._stopped = True

    def __iter__(self) -> Iterator[Frame]:
        """Pictures as stored: an EXIF orientation does not turn them. Of several, those that cannot be read are left
        out. Raises SourceGarbage, SourceUnreachable where none can."""
        for index, path in enumerate(self._paths):
            if self._stopped:
                return
            try:
                picture = StillPicture(_read(path))
            except (SourceGarbage, SourceUnreachable) as exc:
                self.broken += 1
                if self.broken == len(self._paths):
                    raise
                _log.warning("a picture is left out", why=str(exc))
                continue
            yield Frame(
                picture=picture,
                index=index - self.broken,
                pts_s=float(index),
                utc_s=None,
                metadata=None,
                received_monotonic_s=time.monotonic(),
                name=str(path),
            )


def _read(path: Path) -> NDArray[np.uint8]:
    try:
        with Image.open(path, formats=_PICTURE_FORMATS) as picture:
            return np.asarray(picture.convert("RGB"))
    except UnidentifiedImageError as exc:
        raise SourceGarbage(f"{path}: cannot be read as a picture") from exc
    except (Image.DecompressionBombError, SyntaxError, ValueError, EOFError) as exc:
        raise SourceGarbage(f"{path}: cannot be read as a picture: {exc}") from exc
    except OSError as exc:
        if exc.errno is None:  # Pillow's word for a truncated file
            raise SourceGarbage(f"{path}: cannot be read as a picture: {exc}") from exc
        raise SourceUnreachable(f"{path}: cannot be opened: {exc.strerror}") from exc
