"""Files that name other files or hosts: whatever stands in them, nothing else is opened."""

import contextlib
import ctypes
import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from aerial_models.errors import SourceGarbage
from aerial_models.frames import Frame
from aerial_models.sources import open_source

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is opened is told by inotify, which is Linux's")
IN_OPEN = 0x20


class Canary:
    """A file and a web server; `touched` says whether either was opened."""

    def __init__(self, folder: Path) -> None:
        self.file = folder / "secret.ts"
        _film(self.file)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._watch = self._libc.inotify_init1(os.O_NONBLOCK)
        assert self._libc.inotify_add_watch(self._watch, str(self.file).encode(), IN_OPEN) >= 0
        self._server = socket.create_server(("127.0.0.1", 0))
        self._server.settimeout(0.05)
        self._called, self._ended = False, False
        self.url = f"http://127.0.0.1:{self._server.getsockname()[1]}/secret.ts"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._ended:
            with contextlib.suppress(TimeoutError):
                connection, _ = self._server.accept()
                self._called = True
                connection.close()

    def touched(self) -> bool:
        opened = False
        with contextlib.suppress(BlockingIOError):
            opened = bool(os.read(self._watch, 65_536))
        return opened or self._called

    def close(self) -> None:
        self._ended = True
        self._thread.join()
        self._server.close()
        os.close(self._watch)


@pytest.fixture
def canary(tmp_path: Path) -> Iterator[Canary]:
    made = Canary(tmp_path)
    yield made
    made.close()


def _film(path: Path, attachment: bytes | None = None) -> None:
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        if attachment is not None:
            container.add_attachment("passwd", "text/plain", attachment)
        for i in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 40 * i, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 10)
            container.mux(video.encode(frame))
        container.mux(video.encode())


def playlist(canary: Canary, folder: Path) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{canary.file}\n#EXT-X-ENDLIST\n".encode()


def playlist_of_the_web(canary: Canary, folder: Path) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\n{canary.url}\n#EXT-X-ENDLIST\n".encode()


def concatenation(canary: Canary, folder: Path) -> bytes:
    return f"ffconcat version 1.0\nfile '{canary.file}'\n".encode()


def dash(canary: Canary, folder: Path) -> bytes:
    return f"""<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"
        mediaPresentationDuration="PT3S"><Period><AdaptationSet mimeType="video/mp4"><Representation id="1"
        bandwidth="1"><BaseURL>{canary.url}</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>
        """.encode()


def external_track(canary: Canary, folder: Path) -> bytes:
    """An MP4 whose one track says that its data are in another file, by a Macintosh alias record."""
    good = folder / "good.mp4"
    _film(good)
    path = str(canary.file).encode()
    path += b"\x00" * (len(path) % 2)
    record = struct.pack(">10xB27s12xB63s16xHH16x", 0, b"", 0, b"", 0, 1) + struct.pack(">HH", 2, len(path)) + path
    record += struct.pack(">HH", 0xFFFF, 0) + bytes(40)
    entry = struct.pack(">I4sI", 12 + len(record), b"alis", 0) + record
    reference = struct.pack(">I4sII", 16 + len(entry), b"dref", 0, 1) + entry
    return _replaced(good.read_bytes(), (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"), reference)


def _replaced(data: bytes, path: tuple[bytes, ...], box: bytes) -> bytes:
    """The boxes of an MP4 with the one at a path replaced by another."""
    out, at = b"", 0
    while at < len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        whole = data[at : at + size]
        if kind == path[0]:
            inner = _replaced(whole[8:], path[1:], box) if len(path) > 1 else b""
            whole = struct.pack(">I4s", 8 + len(inner), kind) + inner if len(path) > 1 else box
        out, at = out + whole, at + size
    return out


LOOSE = {"enable_drefs": "1", "use_absolute_path": "1", "allowed_extensions": "ALL", "safe": "0"}
LOOSE |= {"extension_picky": "0", "protocol_whitelist": "file,http,tcp,crypto,data"}


def _frames(path: Path) -> list[Frame]:
    with open_source(path) as source:
        return list(source)


@pytest.mark.parametrize("hostile", [playlist, playlist_of_the_web, concatenation, external_track])
def test_these_files_do_open_others_where_they_may(
    tmp_path: Path, canary: Canary, hostile: Callable[[Canary, Path], bytes]
) -> None:
    path = tmp_path / "a.mp4"
    path.write_bytes(hostile(canary, tmp_path))
    assert not canary.touched()
    # "hls" has to be named, since libav knows the trick of the suffix
    name = "hls" if hostile in (playlist, playlist_of_the_web) else None
    with (
        contextlib.suppress(av.error.FFmpegError, IndexError),
        av.open(str(path), format=name, options=LOOSE, timeout=2) as video,
    ):
        next(video.decode(video=0), None)
    assert canary.touched()


@pytest.mark.parametrize("suffix", ["ts", "mp4", "mkv", "avi"])
@pytest.mark.parametrize("hostile", [playlist, playlist_of_the_web, concatenation, dash, external_track])
def test_nothing_but_the_file_itself_is_opened(
    tmp_path: Path, canary: Canary, hostile: Callable[[Canary, Path], bytes], suffix: str
) -> None:
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(hostile(canary, tmp_path))
    with pytest.raises(SourceGarbage, match=f"{path}: "):
        _frames(path)
    assert not canary.touched()


@pytest.mark.parametrize("name", ["a.ts|secret.ts", "concat:a.ts|secret.ts", "subfile,,start,0,end,0,,:secret.ts"])
def test_names_of_files_are_no_urls(tmp_path: Path, canary: Canary, name: str) -> None:
    (tmp_path / "a.ts").write_bytes(canary.file.read_bytes())
    canary.touched()
    os.chdir(tmp_path)
    path = tmp_path / name
    _film(tmp_path / "b.ts")
    (tmp_path / "b.ts").rename(path)
    assert len(_frames(path)) == 5
    assert not canary.touched()


def test_attachments_of_a_matroska_file_are_left_in_it(tmp_path: Path) -> None:
    _film(tmp_path / "a.mkv", attachment=b"root:x:0:0\n" * 100)
    before = sorted(tmp_path.iterdir())
    assert len(_frames(tmp_path / "a.mkv")) == 5
    assert sorted(tmp_path.iterdir()) == before
