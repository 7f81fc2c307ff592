"""Video ingest on one core: frames per second of 1080p, as pictures and as the watch reads them; keyframes alone."""

from __future__ import annotations

import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import structlog
from run import Peers, in_turn, line

from aerial_models.sources import open_source
from aerial_models.video_health import VideoHealth
from aerial_models.video_options import VideoOptions

WIDTH_PX, HEIGHT_PX, FPS, SECONDS = 1920, 1080, 30, 12
FRAMES = FPS * SECONDS
BITS_PER_S = "4000000"
LOOK_EVERY = 8
"""Of 30 frames a second the watch looks at 4."""
RUNS = 5


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """H.264 files of 4 Mbit/s; ours makes RGB arrays, theirs BGR arrays, of the same size; one decoding thread each."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING))  # stdout is for rows
    version = str(peers.ask("package_version", package="opencv-python"))
    with tempfile.TemporaryDirectory() as folder, _one_core() as core:
        each_second, each_other = Path(folder) / "1.mp4", Path(folder) / "2.mp4"
        _film(each_second, keyframes_every=FPS)
        _film(each_other, keyframes_every=2 * FPS)

        def row(case: str, path: Path, ours: Callable[[], float], *, grab: bool = False) -> dict[str, Any]:
            ask = {"file": str(path), "frames": FRAMES, "every": LOOK_EVERY, "grab": grab, "core": core}
            mine, those = in_turn(RUNS, ours, lambda: FRAMES / float(peers.ask("cv2_video", **ask)["seconds"]))
            return line(
                job="video", case=case, peer="cv2.VideoCapture", peer_version=version, ours=mine, theirs=those,
                unit="frames/s of one core", lower=False,
            )  # fmt: skip

        yield row("every frame an array; theirs read()", each_second, lambda: _read(each_second, every=1))
        watch = "every frame decoded, 1 of 8 judged and made an array; theirs "
        yield row(f"{watch}read()", each_second, lambda: _read(each_second, every=LOOK_EVERY))
        yield row(
            f"{watch}grab(), 1 of 8 retrieve()", each_second, lambda: _read(each_second, every=LOOK_EVERY), grab=True
        )
        for path, apart_s in ((each_second, 1), (each_other, 2)):
            keyframes = SECONDS // apart_s
            yield row(
                f"keyframes alone, {apart_s} s apart, as arrays; theirs read()", path,
                lambda path=path, keyframes=keyframes: _read(path, every=1, keyframes=keyframes),
            )  # fmt: skip


def _read(path: Path, *, every: int, keyframes: int = 0) -> float:
    """Frames of the file per second of processor time; with `keyframes`, decoding so many alone."""
    start_s = time.process_time()
    health, count = VideoHealth(0.0), 0
    with open_source(path, options=VideoOptions(keyframes_only=bool(keyframes))) as source:
        for frame in source:
            count += 1
            if frame.index % every == 0:
                health.saw(frame.picture.luma(), frame.pts_s, frame.pts_s)
                if frame.image.shape != (HEIGHT_PX, WIDTH_PX, 3):
                    raise RuntimeError(f"a picture of {frame.image.shape}")
    spent_s = time.process_time() - start_s
    if count != (keyframes or FRAMES):
        raise RuntimeError(f"{count} frames of {FRAMES} were read")
    return FRAMES / spent_s


def _film(path: Path, *, keyframes_every: int) -> None:
    """A slow flight over soft ground through a noisy sensor."""
    rng = np.random.default_rng(1)
    texture = rng.integers(0, 256, (HEIGHT_PX + FRAMES, WIDTH_PX + 2 * FRAMES, 3), np.uint8)
    soft = cv2.GaussianBlur(texture, (0, 0), 3)
    ground = np.asarray(cv2.normalize(soft, np.empty(0), 0, 255, cv2.NORM_MINMAX), np.uint8)
    noise = np.round(rng.normal(0, 2, (HEIGHT_PX + 64, WIDTH_PX + 64, 3))).astype(np.int16)
    rate = {"b": BITS_PER_S, "maxrate": BITS_PER_S, "bufsize": BITS_PER_S}
    with av.open(str(path), "w") as container:
        how = {"preset": "veryfast", "g": str(keyframes_every), "sc_threshold": "0", **rate}
        video = container.add_stream("libx264", rate=FPS, options=how)
        video.width, video.height, video.pix_fmt = WIDTH_PX, HEIGHT_PX, "yuv420p"
        for i in range(FRAMES):
            y, x = rng.integers(0, 64, 2)
            seen = ground[i : i + HEIGHT_PX, 2 * i : 2 * i + WIDTH_PX]
            view = cv2.add(seen, noise[y : y + HEIGHT_PX, x : x + WIDTH_PX], dtype=cv2.CV_8U)
            frame = av.VideoFrame.from_ndarray(np.asarray(view, np.uint8), format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())


@contextmanager
def _one_core() -> Iterator[int]:
    """This process on one core, which libav then starts one thread for."""
    before = os.sched_getaffinity(0)
    core = max(before)
    os.sched_setaffinity(0, {core})
    try:
        yield core
    finally:
        os.sched_setaffinity(0, before)
