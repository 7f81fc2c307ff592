"""Clips: video kept as it came, readable while it grows and after a kill."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest

from aerial_models.clips import FRAGMENT_S, ClipWriter, duration_of, mend, picture_at
from aerial_models.errors import SourceGarbage, SourceRefused, SourceUnreachable
from aerial_models.sources import open_source
from tests.aerial_models.test_sources import START_UTC_S, code_in, code_of, write_by_libav

Encoded = list[tuple[bytes, float, bool, str]]


def encoded(path: Path, count: int = 40) -> Encoded:
    """Pictures of a stream whose order of decoding is not that of showing, 10 a second."""
    write_by_libav(path, count)
    found: Encoded = []
    with open_source(path) as source:
        source.taps.append(lambda *picture: found.append(picture))
        assert len(list(source)) == count
    assert [pts for _, pts, _, _ in found] != sorted(pts for _, pts, _, _ in found)
    return found


def write(path: Path, pictures: Encoded) -> ClipWriter:
    writer = ClipWriter(path, codec=pictures[0][3], width_px=320, height_px=240)
    for data, pts_s, keyframe, _ in pictures:
        writer.add(data, pts_s, keyframe)
    return writer


def test_every_picture_is_kept_as_it_came_at_its_time(tmp_path: Path) -> None:
    pictures = encoded(tmp_path / "a.ts")
    writer = write(tmp_path / "a.mp4", pictures)
    writer.close()
    with av.open(str(tmp_path / "a.mp4")) as container:
        frames = list(container.decode(video=0))
    assert [code_in(frame.to_ndarray(format="rgb24")) for frame in frames] == [
        code_of(START_UTC_S + i / 10) for i in range(40)
    ]
    times = sorted(writer.time_in_clip_s(pts_s) for _, pts_s, _, _ in pictures)
    np.testing.assert_allclose([float(frame.time) for frame in frames], times, atol=1e-4)
    assert duration_of(tmp_path / "a.mp4") == pytest.approx(3.9)
    assert writer.duration_s == pytest.approx(3.9)


def test_a_picture_of_any_moment_is_found(tmp_path: Path) -> None:
    pictures = encoded(tmp_path / "a.ts")
    writer = write(tmp_path / "a.mp4", pictures)
    writer.close()
    zero_s = writer.time_in_clip_s(pictures[0][1])
    for index in (0, 7, 25, 39):
        image, time_s = picture_at(tmp_path / "a.mp4", zero_s + index / 10 + 0.03)
        assert code_in(image) == code_of(START_UTC_S + index / 10)
        assert time_s == pytest.approx(zero_s + index / 10, abs=1e-3)
    image, _ = picture_at(tmp_path / "a.mp4", 1e4)
    assert code_in(image) == code_of(START_UTC_S + 3.9)


KILLED = """
import os, pickle, sys
from pathlib import Path
from aerial_models.clips import ClipWriter
pictures = pickle.loads(Path(sys.argv[1]).read_bytes())
writer = ClipWriter(Path(sys.argv[2]), codec="h264", width_px=320, height_px=240)
for data, pts_s, keyframe, _ in pictures:
    writer.add(data, pts_s, keyframe)
os.kill(os.getpid(), 9)
"""


def test_a_kill_costs_the_last_two_seconds_at_most(tmp_path: Path) -> None:
    pictures = encoded(tmp_path / "a.ts", 60)
    (tmp_path / "pictures").write_bytes(pickle.dumps(pictures))
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "pictures", tmp_path / "a.mp4"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        check=False,
    )
    assert done.returncode == -signal.SIGKILL
    assert duration_of(tmp_path / "a.mp4") >= 5.9 - 2 * FRAGMENT_S
    image, _ = picture_at(tmp_path / "a.mp4", 0.0)
    assert code_in(image) == code_of(START_UTC_S)


@pytest.mark.parametrize("tail", [b"", bytes(4096)])
def test_wherever_a_clip_is_cut_off_what_was_whole_before_is_read(tmp_path: Path, tail: bytes) -> None:
    write(tmp_path / "a.mp4", encoded(tmp_path / "a.ts", 60)).close()
    whole = (tmp_path / "a.mp4").read_bytes()
    heads = [at - 4 for at in range(len(whole)) if whole.startswith(b"moof", at)]
    cut = tmp_path / "cut.mp4"
    for number, head in enumerate(heads[1:], 1):
        for size in (head, head + 3, head + 100, head + 200, head + 600):
            cut.write_bytes(whole[:size] + tail)
            mend(cut)
            assert duration_of(cut) >= number * FRAGMENT_S - 0.9
    cut.write_bytes(whole)
    mend(cut)
    assert cut.read_bytes() == whole


def test_pictures_that_need_others_from_before_are_left_out(tmp_path: Path) -> None:
    pictures = encoded(tmp_path / "a.ts", 20)
    late = [pictures[0], (pictures[1][0], pictures[0][1] - 0.1, False, "h264"), *pictures[1:]]
    writer = write(tmp_path / "a.mp4", late)
    writer.close()
    assert writer.pictures == 20
    assert duration_of(tmp_path / "a.mp4") == pytest.approx(1.9)


def test_what_cannot_be_kept_or_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceRefused, match="mjpeg"):
        ClipWriter(tmp_path / "a.mp4", codec="mjpeg", width_px=320, height_px=240)
    writer = ClipWriter(tmp_path / "b.mp4", codec="h264", width_px=320, height_px=240)
    with pytest.raises(ValueError, match="key picture"):
        writer.add(b"", 0.0, False)
    writer.close()
    for read in (duration_of, lambda path: picture_at(path, 0.0)):
        with pytest.raises(SourceUnreachable, match=r"none\.mp4"):
            read(tmp_path / "none.mp4")
        with pytest.raises(SourceGarbage, match=r"b\.mp4"):
            read(tmp_path / "b.mp4")
    (tmp_path / "c.mp4").write_bytes(b"#EXTM3U\nhttp://127.0.0.1/x")
    with pytest.raises(SourceGarbage, match=r"c\.mp4"):
        duration_of(tmp_path / "c.mp4")
