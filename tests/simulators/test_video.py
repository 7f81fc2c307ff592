import asyncio
import json
import shutil
import socket
import struct
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from aerial_models.sources import FrameReader, open_source
from geo import klv
from geo.klv import UasMetadata
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.patterns import PatternRenderer, code_in, code_of
from simulators.video import Channel, Chunk, VideoEncoder, send_udp, write_ts

START_UTC_S = 1_750_000_000.0
needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe")


def pose_at(utc_s: float) -> Pose:
    return Pose(
        utc_s=utc_s,
        position=Position(lon=76.945, lat=43.205, altitude=Altitude(900.0, Datum.AMSL)),
        attitude=Attitude(pitch_deg=-90, yaw_deg=30),
    )


def film(count: int, *, fps: float = 10) -> Iterator[tuple[NDArray[np.uint8], UasMetadata]]:
    renderer = PatternRenderer(width_px=320, height_px=240)
    for i in range(count):
        pose = pose_at(START_UTC_S + i / fps)
        yield (
            renderer.render(pose).image,
            klv.metadata_of(pose, platform=Attitude(pitch_deg=2, yaw_deg=30), hfov_deg=65.0),
        )


def chunk(size: int, *, keyframe: bool = False) -> Chunk:
    return Chunk(bytes(size), 0, keyframe)


def test_every_packet_counts_on_and_every_picture_has_tables_a_clock_and_metadata_before_it() -> None:
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
    counters: dict[int, int] = {}
    for i, (image, metadata) in enumerate(film(25)):
        made = encoder.encode(image, i / 10, metadata)
        assert made.ticks == 90_000 + i * 9_000
        assert made.keyframe == (i % 10 == 0)
        assert len(made.data) % 188 == 0
        pids = []
        for at in range(0, len(made.data), 188):
            sync, word, flags = struct.unpack_from(">BHB", made.data, at)
            pid = word & 0x1FFF
            assert sync == 0x47
            assert flags & 0x0F == (counters.get(pid, -1) + 1) % 16
            counters[pid] = flags & 0x0F
            if word & 0x4000:
                pids.append(pid)
        assert pids == [0, 0x1000, 0x101, 0x100]


def test_a_recording_comes_back_with_exact_metadata_on_the_right_picture(tmp_path: Path) -> None:
    sent = list(film(25))
    assert write_ts(tmp_path / "a.ts", sent, fps=10) == 25
    with open_source(tmp_path / "a.ts") as source:
        frames = list(source)
    assert len(frames) == 25
    for i, (frame, (image, metadata)) in enumerate(zip(frames, sent, strict=True)):
        assert frame.metadata == klv.decode(klv.encode(metadata))
        assert frame.utc_s == pytest.approx(metadata.utc_s, abs=1e-3)
        assert frame.index == i
        assert frame.pts_s == pytest.approx(1 + i / 10, abs=1e-4)
        assert code_in(frame.image) == code_of(metadata.utc_s)
        assert frame.image.shape == image.shape
        assert np.abs(frame.image.astype(int) - image).mean() < 12


def test_pictures_above_64_kb_come_back_whole(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    encoder = VideoEncoder(width_px=640, height_px=480, fps=10, crf=10)
    images = [rng.integers(0, 255, (480, 640, 1), np.uint8).repeat(3, axis=2) for _ in range(6)]
    chunks = [encoder.encode(im, i / 10, UasMetadata(utc_s=START_UTC_S + i / 10)) for i, im in enumerate(images)]
    assert min(len(c.data) for c in chunks) > 3 * 65_536
    (tmp_path / "a.ts").write_bytes(b"".join(c.data for c in chunks))
    with open_source(tmp_path / "a.ts") as source:
        frames = list(source)
    assert [f.utc_s for f in frames] == [START_UTC_S + i / 10 for i in range(6)]
    for frame, image in zip(frames, images, strict=True):
        assert np.corrcoef(frame.image.ravel(), image.ravel())[0, 1] > 0.95


def test_metadata_beyond_an_access_unit_are_refused() -> None:
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
    image = next(film(1))[0]
    with pytest.raises(ValueError, match="do not fit"):
        encoder.encode(image, 0.0, UasMetadata(utc_s=0.0, other=((300, bytes(70_000)),)))


@needs_ffprobe
def test_ffprobe_sees_h264_and_klv_with_equal_times(tmp_path: Path) -> None:
    write_ts(tmp_path / "a.ts", film(12), fps=10)
    done = subprocess.run(
        ["ffprobe", "-v", "error", "-of", "json", "-show_streams", "-show_packets", tmp_path / "a.ts"],
        capture_output=True, check=True, text=True,
    )  # fmt: skip
    answer = json.loads(done.stdout)
    assert [(s["codec_type"], s["codec_name"]) for s in answer["streams"]] == [("video", "h264"), ("data", "klv")]
    assert answer["streams"][1]["codec_tag_string"] == "KLVA"
    times: dict[str, list[int]] = {"video": [], "data": []}
    for packet in answer["packets"]:
        times[packet["codec_type"]].append(packet["pts"])
    assert times["video"] == times["data"] == [90_000 + 9_000 * i for i in range(12)]
    assert "error" not in done.stderr.lower()


def test_a_keyframe_comes_when_it_is_asked_for_and_time_always_grows() -> None:
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
    pictures = [image for image, _ in film(4)]
    first = encoder.encode(pictures[0], 0.0, None)
    second = encoder.encode(pictures[1], 0.0, None)
    third = encoder.encode(pictures[2], 0.2, None, keyframe=True)
    fourth = encoder.encode(pictures[3], 0.3, None)
    assert [c.keyframe for c in (first, second, third, fourth)] == [True, False, True, False]
    assert [c.ticks for c in (first, second, third, fourth)] == [90_000, 90_001, 108_000, 117_000]


def test_odd_sizes_are_refused() -> None:
    with pytest.raises(ValueError, match="321 x 240"):
        VideoEncoder(width_px=321, height_px=240, fps=10)


async def test_a_late_receiver_starts_at_a_keyframe_and_asks_for_one() -> None:
    channel = Channel()
    with channel.subscribe() as chunks:
        assert channel.keyframe_wanted
        channel.publish(chunk(1))
        channel.publish(chunk(2, keyframe=True))
        assert not channel.keyframe_wanted
        channel.publish(chunk(3))
        channel.close()
        assert [len(c.data) async for c in chunks] == [2, 3]
        assert chunks.dropped == 0
    assert not channel.watched


async def test_a_slow_receiver_loses_whole_oldest_gops_and_goes_on_at_a_keyframe() -> None:
    channel = Channel()
    with channel.subscribe(limit_bytes=300) as slow, channel.subscribe(limit_bytes=10_000) as quick:
        for i in range(20):
            channel.publish(chunk(20 + i, keyframe=i % 5 == 0))
        channel.close()
        got = [len(c.data) - 20 async for c in slow]
        assert got[0] % 5 == 0
        assert got == list(range(got[0], got[0] + len(got)))
        assert slow.dropped == 20 - len(got)
        assert slow.dropped > 0
        assert [len(c.data) - 20 async for c in quick] == list(range(20))
        assert quick.dropped == 0


async def test_one_chunk_beyond_the_limit_starves_only_until_the_next_keyframe() -> None:
    channel = Channel()
    with channel.subscribe(limit_bytes=100) as chunks:
        channel.publish(chunk(500, keyframe=True))
        assert channel.keyframe_wanted
        channel.publish(chunk(1))
        channel.publish(chunk(50, keyframe=True))
        channel.close()
        assert [len(c.data) async for c in chunks] == [50]
        assert chunks.dropped == 2


async def test_video_by_udp_arrives_with_its_metadata() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    channel = Channel()
    sender = asyncio.create_task(send_udp(channel, host="127.0.0.1", port=port))
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)

    async def publish() -> None:
        for i, (image, metadata) in enumerate(film(400)):
            channel.publish(encoder.encode(image, i / 10, metadata))
            await asyncio.sleep(0.02)

    publisher = asyncio.create_task(publish())
    try:
        async with FrameReader(open_source(f"udp://127.0.0.1:{port}", timeout_s=2)) as reader:
            async with asyncio.timeout(20):
                for _ in range(20):
                    frame = await reader.latest.next()
                    assert frame.metadata is not None
                    assert code_in(frame.image) == code_of(frame.metadata.utc_s)
                    assert frame.utc_s == pytest.approx(START_UTC_S + frame.pts_s - 1, abs=1e-3)
    finally:
        publisher.cancel()
        sender.cancel()
        await asyncio.gather(publisher, sender, return_exceptions=True)
