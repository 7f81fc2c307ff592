"""The clock in the picture: read back as drawn, through H.264 and scaling, and never out of what is no clock."""

from __future__ import annotations

import io

import av
import cv2
import numpy as np
import pytest

from simulators import drawn_clock
from simulators.video import VideoEncoder


@pytest.mark.parametrize(("width_px", "height_px"), [(640, 360), (1280, 720), (320, 240), (1000, 562)])
def test_each_moment_is_read_back(width_px: int, height_px: int) -> None:
    random = np.random.default_rng(5)
    for utc_s in 1.79e9 + random.random(100) * 1e5:
        picture = random.integers(0, 255, (height_px, width_px, 3), np.uint8)
        drawn = drawn_clock.draw(picture, utc_s)
        assert drawn_clock.read(drawn) == drawn_clock.milliseconds(utc_s)
        assert (drawn[: -drawn_clock.rows(height_px)] == picture[: -drawn_clock.rows(height_px)]).all()


def _decoded(transport_stream: bytes) -> list[np.ndarray]:
    with av.open(io.BytesIO(transport_stream), format="mpegts") as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


@pytest.mark.parametrize("scale", [1.0, 0.5, 1.5])
def test_it_is_read_after_compression_and_scaling(scale: float) -> None:
    encoder = VideoEncoder(width_px=640, height_px=360, fps=10, crf=35)
    random = np.random.default_rng(6)
    sent, chunks = [], []
    for number in range(10):
        utc_s = 1.79e9 + number * 0.1037
        sent.append(drawn_clock.milliseconds(utc_s))
        picture = random.integers(0, 255, (360, 640, 3), np.uint8)
        chunks.append(encoder.encode(drawn_clock.draw(picture, utc_s), number / 10, None).data)
    read = []
    for picture in _decoded(b"".join(chunks)):
        size = round(640 * scale), round(360 * scale)
        read.append(drawn_clock.read(np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)))
    assert read == sent


def test_pictures_without_a_clock_have_none() -> None:
    random = np.random.default_rng(7)
    read = [drawn_clock.read(random.integers(0, 255, (36, 64, 3), np.uint8)) for _ in range(2000)]
    assert sum(value is not None for value in read) < 40  # a first white cell, a black one, and six bits by chance
    for level in (0, 128, 255):
        assert drawn_clock.read(np.full((36, 64, 3), level, np.uint8)) is None


def test_cells_are_as_the_console_reads_them() -> None:
    """The same cells are in the console's own test, missioncontrol/ui/scripts/video.test.mjs."""
    cells = drawn_clock.draw(np.zeros((20, 320, 3), np.uint8), 5270.651)[-1, 5::10, 0] // 255
    assert "".join(map(str, cells)) == "10011110000101101001000110011001"


def test_neighbouring_moments_differ_in_one_cell_of_their_number() -> None:
    black = np.zeros((20, 320, 3), np.uint8)
    for millisecond in range(1000, 1100):
        before, after = (drawn_clock.draw(black, (millisecond + step) / 1000)[-1, ::10, 0] for step in (0, 1))
        assert (before != after)[2:26].sum() == 1
