import socket
import threading
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from aerial_models.errors import ModelError, SourceGarbage, SourceRefused, SourceUnreachable
from aerial_models.sources import Frame, FrameReader, PictureSource, VideoSource, open_source
from aerial_models.stream_urls import without_password
from geo import klv
from geo.klv import UasMetadata
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.patterns import PatternRenderer, code_in, code_of
from simulators.video import VideoEncoder, write_ts

START_UTC_S = 1_750_000_000.0


def film(count: int) -> Iterator[tuple[NDArray[np.uint8], UasMetadata]]:
    renderer = PatternRenderer(width_px=320, height_px=240)
    for i in range(count):
        pose = Pose(
            utc_s=START_UTC_S + i / 10,
            position=Position(lon=76.945, lat=43.205, altitude=Altitude(900.0, Datum.AMSL)),
            attitude=Attitude(pitch_deg=-90, yaw_deg=30),
        )
        yield renderer.render(pose).image, klv.metadata_of(pose, platform=Attitude(pitch_deg=2, yaw_deg=30))


def write_by_libav(
    path: Path, count: int, *, metadata_every: int = 1, always: bytes | None = None, late_ticks: int = 0
) -> None:
    """Written by libavformat's own muxer: KLV as asynchronous private data, as many encoders do."""
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=10, options={"preset": "ultrafast", "bf": "2"})
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        video.codec_context.time_base = Fraction(1, 90_000)
        data = container.add_data_stream("klv") if path.suffix == ".ts" else None
        for i, (image, metadata) in enumerate(film(count)):
            if data is not None and i % metadata_every == 0:
                packet = av.Packet(always or klv.encode(metadata))
                packet.pts = packet.dts = i * 9_000 + late_ticks
                packet.time_base, packet.stream = Fraction(1, 90_000), data
                container.mux(packet)
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i * 9_000, Fraction(1, 90_000)
            container.mux(video.encode(frame))
        container.mux(video.encode())


def frames_of(path: Path, **how: float) -> list[Frame]:
    with open_source(path, **how) as source:
        return list(source)


@pytest.mark.parametrize(
    "url",
    [
        "concat:/etc/passwd|a.ts", "http://127.0.0.1/a.ts", "https://127.0.0.1/a.m3u8", "file:///etc/passwd",
        "file:a.ts", "ftp://h/a.ts", "tcp://127.0.0.1:80", "data:video/mp4;base64,AAAA",
        "crypto:a.ts", "pipe:0", "RTMP://h/x", "hls+http://h/x", "rtsp://", "rtsp://h:99999999/x", "udp://127.0.0.1",
        "rtsp://h/a b", "rtsp://h/a\r\nX: y", "rtsp://[::1/x", "playlist.m3u8", "notes.txt", "a.vrt", "",
    ],
)  # fmt: skip
def test_what_is_not_read_is_refused_by_name(url: str) -> None:
    with pytest.raises(SourceRefused) as refused:
        open_source(url)
    assert url in str(refused.value)


def test_passwords_are_not_shown() -> None:
    assert without_password("rtsp://u:p:a@ss@h:554/x@y") == "rtsp://u:***@h:554/x@y"
    assert without_password("rtsp://h/x") == "rtsp://h/x"
    with pytest.raises(SourceUnreachable, match=r"rtsp://eye:\*\*\*@127\.0\.0\.1:9/x: cannot be opened"):
        open_source("rtsp://eye:secret@127.0.0.1:9/x").__enter__()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("noise.ts", bytes(np.random.default_rng(1).integers(0, 256, 200_000, np.uint8))),
        ("noise.mp4", bytes(np.random.default_rng(2).integers(0, 256, 200_000, np.uint8))),
        ("empty.ts", b""),
        ("zeros.mkv", bytes(10_000)),
        ("sync.ts", (b"\x47\x1f\xff\x10" + bytes(184)) * 500),
        ("concat.ts", b"ffconcat version 1.0\nfile good.ts\n"),
        ("concat.mp4", b"ffconcat version 1.0\nfile good.ts\n"),
        ("playlist.ts", b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ngood.ts\n#EXT-X-ENDLIST\n"),
        ("dash.mp4", b'<?xml version="1.0"?><MPD><BaseURL>good.ts</BaseURL></MPD>'),
        ("session.ts", b"v=0\r\nc=IN IP4 127.0.0.1\r\nm=video 5004 RTP/AVP 33\r\n"),
        ("text.avi", b"hello\n" * 1000),
    ],
)
def test_garbage_and_lists_of_other_files_are_garbage(tmp_path: Path, name: str, content: bytes) -> None:
    write_ts(tmp_path / "good.ts", film(3), fps=10)
    (tmp_path / name).write_bytes(content)
    with pytest.raises(SourceGarbage, match=str(tmp_path / name)):
        frames_of(tmp_path / name)


def test_damaged_recordings_give_frames_or_our_errors(tmp_path: Path) -> None:
    write_ts(tmp_path / "good.ts", film(20), fps=10)
    write_by_libav(tmp_path / "good.mp4", 20)
    rng = np.random.default_rng(3)
    seen, refused = 0, []
    for name in ("good.ts", "good.mp4"):
        good = np.frombuffer((tmp_path / name).read_bytes(), np.uint8)
        for i in range(20):
            bad = good.copy()
            bad[rng.integers(0, len(bad), 1 + 10 * i)] = rng.integers(0, 256)
            path = tmp_path / f"bad{Path(name).suffix}"
            path.write_bytes(bad[: rng.integers(len(bad) // 2, len(bad))].tobytes())
            try:
                seen += len(frames_of(path))
            except SourceGarbage as exc:
                refused.append(str(exc).partition(":")[0] == str(path))
    assert seen > 50
    assert all(refused)


@pytest.mark.parametrize("path", ["/nowhere/a.ts", "subfile,,start,0,end,9,,:a.ts"])
def test_a_missing_file_is_unreachable(path: str) -> None:
    with pytest.raises(SourceUnreachable, match=f"{path}: no such file"):
        open_source(path)


def test_a_stream_that_never_starts_is_unreachable_within_the_time_out() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        url = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    started = time.monotonic()
    with pytest.raises(SourceUnreachable, match=rf"{url}: nothing came within"):
        open_source(url, timeout_s=0.5).__enter__()
    assert time.monotonic() - started < 3


def test_a_server_that_accepts_and_says_nothing_is_unreachable_within_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        started = time.monotonic()
        with pytest.raises(SourceUnreachable):
            open_source(f"rtsp://127.0.0.1:{server.getsockname()[1]}/x", timeout_s=0.5).__enter__()
        assert time.monotonic() - started < 3


def test_a_recording_by_libav_comes_back_paired(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "a.ts", 30)
    frames = frames_of(tmp_path / "a.ts")
    assert len(frames) == 30
    for i, frame in enumerate(frames):
        assert frame.metadata is not None
        assert frame.metadata.utc_s == frame.utc_s == START_UTC_S + i / 10
        assert code_in(frame.image) == code_of(frame.utc_s)


def test_a_recording_that_starts_between_keyframes_begins_at_the_first_of_them(tmp_path: Path) -> None:
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
    chunks = [encoder.encode(image, i / 10, metadata) for i, (image, metadata) in enumerate(film(30))]
    (tmp_path / "a.ts").write_bytes(b"".join(c.data for c in chunks[3:]))
    frames = frames_of(tmp_path / "a.ts")
    assert len(frames) == 20
    for i, frame in enumerate(frames):
        assert frame.utc_s == START_UTC_S + 1 + i / 10
        assert code_in(frame.image) == code_of(frame.utc_s)


@pytest.mark.parametrize(
    ("suffix", "codec"), [("mkv", "libx264"), ("mov", "libx265"), ("avi", "mpeg4"), ("mpg", "mpeg2video")]
)
def test_other_containers_and_codecs(tmp_path: Path, suffix: str, codec: str) -> None:
    path = tmp_path / f"a.{suffix}"
    with av.open(str(path), "w") as container:
        options = {"x265-params": "log-level=none"} if codec == "libx265" else {}
        video = container.add_stream(codec, rate=25, options=options)
        video.width, video.height, video.pix_fmt = 320, 240, "yuv420p"
        for i, (image, _) in enumerate(film(8)):
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            frame.pts, frame.time_base = i, Fraction(1, 25)
            container.mux(video.encode(frame))
        container.mux(video.encode())
    frames = frames_of(path)
    assert [code_in(f.image) for f in frames] == [code_of(START_UTC_S + i / 10) for i in range(8)]
    assert [round(f.pts_s - frames[0].pts_s, 3) for f in frames] == [round(i / 25, 3) for i in range(8)]
    assert all(f.metadata is None and f.utc_s is None for f in frames)


def test_metadata_within_half_a_frame_is_paired_and_farther_is_not(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "near.ts", 20, late_ticks=4_000)
    assert all(f.metadata and code_in(f.image) == code_of(f.metadata.utc_s) for f in frames_of(tmp_path / "near.ts"))
    write_by_libav(tmp_path / "far.ts", 20, late_ticks=5_000, metadata_every=5)
    for i, frame in enumerate(frames_of(tmp_path / "far.ts")):
        assert (frame.metadata is not None) == (i % 5 == 1), i


def test_frames_between_metadata_are_timed_by_the_last(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "a.ts", 30, metadata_every=10)
    for i, frame in enumerate(frames_of(tmp_path / "a.ts")):
        assert (frame.metadata is not None) == (i % 10 == 0)
        assert frame.utc_s == pytest.approx(START_UTC_S + i / 10, abs=1e-3)
    write_by_libav(tmp_path / "b.ts", 40, metadata_every=100)
    assert frames_of(tmp_path / "b.ts")[39].utc_s is None  # nothing for 3.9 s


def without_times(stream: bytes) -> tuple[bytes, int]:
    """A transport stream whose private data have no PTS, as ST 1402's asynchronous carriage may have it."""
    bare, count = bytearray(stream), 0
    for at in range(0, len(bare), 188):
        head = at + 4 + (1 + bare[at + 4] if bare[at + 3] & 0x20 else 0)
        if bare[at + 1] & 0x40 and bare[head : head + 4] in (b"\x00\x00\x01\xbd", b"\x00\x00\x01\xfc"):
            bare[head + 7] &= 0x3F
            bare[head + 9 : head + 9 + bare[head + 8]] = b"\xff" * bare[head + 8]
            count += 1
    return bytes(bare), count


def test_metadata_without_a_time_of_its_own_is_of_where_it_stands(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "a.ts", 30)
    bare, count = without_times((tmp_path / "a.ts").read_bytes())
    assert count == 30
    (tmp_path / "a.ts").write_bytes(bare)
    frames = frames_of(tmp_path / "a.ts")
    assert sum(frame.metadata is not None for frame in frames) >= 24
    for i, frame in enumerate(frames[4:], 4):
        assert frame.utc_s == pytest.approx(START_UTC_S + i / 10, abs=0.45)
        assert frame.utc_sigma_s is not None
        assert 0.2 < frame.utc_sigma_s < 0.3


def test_metadata_that_cannot_be_read_is_counted_and_left_out(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "a.ts", 12, always=klv.UAS_KEY + b"\x88" + b"\xff" * 8)
    with open_source(tmp_path / "a.ts") as source:
        frames = list(source)
        assert isinstance(source, VideoSource)
        assert source.broken_metadata == 12
    assert len(frames) == 12
    assert all(f.metadata is None and f.utc_s is None for f in frames)


def test_pairing_goes_on_where_stream_time_wraps(tmp_path: Path) -> None:
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
    wrap_s = 2**33 / 90_000
    sent = [encoder.encode(image, wrap_s - 2.5 + i / 10, m) for i, (image, m) in enumerate(film(30))]
    (tmp_path / "a.ts").write_bytes(b"".join(c.data for c in sent))
    frames = frames_of(tmp_path / "a.ts")
    assert len(frames) == 30
    for i, frame in enumerate(frames):
        assert frame.utc_s == START_UTC_S + i / 10
        assert code_in(frame.image) == code_of(frame.utc_s)
        assert frame.pts_s == pytest.approx(frames[0].pts_s + i / 10, abs=1e-3)


def test_an_mp4_takes_its_metadata_from_the_srt_beside_it(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "DJI_0001.mp4", 12)
    records = [
        f"{i + 1}\n00:00:00,{i * 100:03d} --> 00:00:0{(i + 1) // 10},{(i + 1) % 10 * 100:03d}\n"
        f"2026-05-01 15:00:00.{i * 100:03d}\n[latitude: 43.2{i}] [longitude: 76.9] [rel_alt: 60.0 abs_alt: {900 + i}.0]"
        for i in range(10)
    ]
    (tmp_path / "DJI_0001.SRT").write_text("\n\n".join(records))
    frames = frames_of(tmp_path / "DJI_0001.mp4", utc_offset_s=18_000.0)
    assert len(frames) == 12
    for i, frame in enumerate(frames[:10]):
        assert frame.metadata is not None
        assert frame.metadata.sensor_amsl_m == 900.0 + i
        assert frame.metadata.sensor_lat_deg == pytest.approx(float(f"43.2{i}"))
        assert frame.utc_s == pytest.approx(1_777_629_600 + i / 10, abs=1e-3)
        assert code_in(frame.image) == code_of(START_UTC_S + i / 10)
    assert frames[11].metadata is None  # beyond the last record


def test_pictures_and_folders(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SourceRefused, match="a folder without pictures"):
        open_source(tmp_path / "empty")
    for i, name in enumerate(("b.png", "a.PNG", "c.tif")):
        Image.fromarray(np.full((20, 30, 3), 10 * i, np.uint8)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("left alone")
    frames = frames_of(tmp_path)
    assert [(Path(f.name).name, int(f.image[0, 0, 0])) for f in frames] == [("a.PNG", 10), ("b.png", 0), ("c.tif", 20)]
    assert [f.index for f in frames] == [0, 1, 2]
    assert frames[0].image.shape == (20, 30, 3)
    Image.fromarray(np.full((20, 30), 99, np.uint8)).save(tmp_path / "grey.jpg")
    (grey,) = frames_of(tmp_path / "grey.jpg")
    assert grey.image.shape == (20, 30, 3)


@pytest.mark.parametrize("part", [slice(0), slice(1, None), slice(10), slice(400)])
def test_a_broken_picture_is_garbage(tmp_path: Path, part: slice) -> None:
    rng = np.random.default_rng(5)
    Image.fromarray(rng.integers(0, 255, (200, 200, 3), np.uint8)).save(tmp_path / "a.jpg")
    (tmp_path / "a.jpg").write_bytes((tmp_path / "a.jpg").read_bytes()[part])
    with pytest.raises(SourceGarbage, match=r"a\.jpg"):
        frames_of(tmp_path / "a.jpg")


def test_what_is_broken_in_a_folder_is_left_out(tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "c.png"):
        Image.fromarray(np.full((20, 30, 3), 7, np.uint8)).save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"no picture")
    (tmp_path / "._a.png").write_bytes(b"what another system keeps beside it")
    with open_source(tmp_path) as source:
        assert [(Path(frame.name).name, frame.index) for frame in source] == [("a.png", 0), ("c.png", 1)]
        assert isinstance(source, PictureSource)
        assert source.broken == 1
    for name in ("a.png", "c.png"):
        (tmp_path / name).write_bytes(b"")
    with pytest.raises(SourceGarbage, match=r"c\.png"):
        frames_of(tmp_path)


def test_a_reader_drains_and_keeps_the_latest(tmp_path: Path) -> None:
    write_ts(tmp_path / "a.ts", film(30), fps=10)
    with FrameReader(open_source(tmp_path / "a.ts")) as reader:
        deadline = time.monotonic() + 10
        while reader.read < 30 and time.monotonic() < deadline:
            time.sleep(0.01)
        assert reader.latest.get(1).index == 29
        assert reader.latest.dropped == 29
        with pytest.raises(ModelError, match="the source ended after 30 frames"):
            reader.latest.get(1)


def test_taps_get_the_encoded_pictures(tmp_path: Path) -> None:
    write_ts(tmp_path / "a.ts", film(6), fps=10)
    told: list[tuple[bytes, float, bool, str]] = []
    source = open_source(tmp_path / "a.ts")
    assert isinstance(source, VideoSource)
    source.taps.append(lambda *packet: told.append(packet))
    with source:
        frames = list(source)
    assert [round(pts_s, 3) for _, pts_s, _, _ in told] == [round(frame.pts_s, 3) for frame in frames]
    assert [keyframe for _, _, keyframe, _ in told] == [True] + [False] * 5
    assert {codec for *_, codec in told} == {"h264"}
    decoder = av.CodecContext.create("h264", "r")
    decoded = [picture for data, *_ in told for picture in decoder.decode(av.Packet(data))] + decoder.decode(None)
    assert [code_in(picture.to_ndarray(format="rgb24")) for picture in decoded] == [code_in(f.image) for f in frames]


def test_key_pictures_are_led_by_parameter_sets_that_only_the_container_has(tmp_path: Path) -> None:
    write_by_libav(tmp_path / "a.mkv", 3)
    told: list[bytes] = []
    source = open_source(tmp_path / "a.mkv")
    assert isinstance(source, VideoSource)
    source.taps.append(lambda data, *_: told.append(data))
    with source as opened:
        list(opened)
        headers = source._container.streams.video[0].codec_context.extradata
    assert told[0].startswith(headers)
    assert not told[1].startswith(headers)


def test_a_source_stops_when_told(tmp_path: Path) -> None:
    write_ts(tmp_path / "a.ts", film(30), fps=10)
    with open_source(tmp_path / "a.ts") as source:
        frames = iter(source)
        next(frames)
        threading.Thread(target=source.stop).start()
        assert len(list(frames)) < 29
