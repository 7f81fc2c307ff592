import asyncio
import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from aerial_models.errors import SourceEnded, SourceRefused, SourceUnreachable
from aerial_models.frames import Frame, TimeSource
from aerial_models.sources import FrameReader, VideoSource, open_source
from aerial_models.video_decoders import VideoHardware, hardware
from aerial_models.video_options import VideoOptions
from geo.klv import UasMetadata
from simulators.rtsp import RtspServer
from simulators.video import DATAGRAM_BYTES, Channel, Chunk, VideoEncoder

UTC_S = 1_750_000_000.0
SLACK_S = 5.0
"""Of a report that a busy machine sends late."""
SRT = shutil.which("srt-live-transmit")
needs_srt = pytest.mark.skipif(SRT is None, reason="no srt-live-transmit (srt-tools)")


def chunks(count: int, *, klv: bool = True, keyframe_interval_s: float = 1.0) -> Iterator[Chunk]:
    """Pictures of one grey, lighter each, ten a second of stream."""
    encoder = VideoEncoder(width_px=64, height_px=48, fps=10, keyframe_interval_s=keyframe_interval_s)
    for i in range(count):
        image = np.full((48, 64, 3), 20 + 2 * (i % 100), np.uint8)
        yield encoder.encode(image, i / 10, UasMetadata(utc_s=UTC_S + i / 10) if klv else None)


def free_udp_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("", 0))
        port: int = probe.getsockname()[1]
        return port


@contextmanager
def sending(port: int, *, sender: str = "127.0.0.1", to: str = "127.0.0.1", klv: bool = True) -> Iterator[None]:
    """Datagrams of MPEG-TS from an address, for as long as the context is open."""
    ended = threading.Event()

    def send() -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
            wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton("127.0.0.1"))
            wire.bind((sender, 0))
            for chunk in chunks(5000, klv=klv):
                for at in range(0, len(chunk.data), DATAGRAM_BYTES):
                    wire.sendto(chunk.data[at : at + DATAGRAM_BYTES], (to, port))
                if ended.wait(0.02):
                    return

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def first_frames(source: VideoSource, count: int) -> list[Frame]:
    with source as frames:
        return [frame for frame, _ in zip(frames, range(count), strict=False)]


def opened(url: str, *, timeout_s: float = 10.0, **how: object) -> VideoSource:
    source = open_source(url, timeout_s=timeout_s, options=VideoOptions(**how))  # type: ignore[arg-type]
    assert isinstance(source, VideoSource)
    return source


@pytest.mark.parametrize("to", ["127.0.0.1", "239.20.30.40"])
def test_datagrams_to_an_address_and_to_a_group_come_with_their_metadata(to: str) -> None:
    port = free_udp_port()
    with sending(port, to=to):
        frames = first_frames(opened(f"udp://{to}:{port}" + ("?localaddr=127.0.0.1" if to != "127.0.0.1" else "")), 5)
    assert all(frame.metadata is not None and frame.time_source is TimeSource.KLV for frame in frames)


def test_datagrams_of_anybody_but_the_named_host_are_not_taken() -> None:
    port = free_udp_port()
    source = opened(f"udp://10.255.255.254:{port}", timeout_s=0.5)
    with sending(port), pytest.raises(SourceUnreachable, match="nothing came within"):
        source.__enter__()


def test_an_address_of_this_machine_takes_datagrams_to_itself_alone() -> None:
    port = free_udp_port()
    with sending(port, to="127.0.0.2"), pytest.raises(SourceUnreachable, match="nothing came within"):
        opened(f"udp://127.0.0.1:{port}", timeout_s=0.5).__enter__()


async def _rtsp(first: Literal["tcp", "udp"], served: tuple[Literal["tcp", "udp"], ...]) -> list[str]:
    channel = Channel()

    async def film() -> None:
        for chunk in chunks(5000, keyframe_interval_s=0.1):
            channel.publish(chunk)
            await asyncio.sleep(0.02)

    async with RtspServer(transports=served) as server:
        filming = asyncio.create_task(film())
        try:
            async with (
                asyncio.timeout(60),
                FrameReader(opened(server.mount("/1", channel), rtsp_transport=first)) as reader,
            ):
                await reader.latest.next()
        finally:
            filming.cancel()
        return server.served


@pytest.mark.parametrize(
    ("first", "served", "got"),
    [
        ("tcp", ("tcp", "udp"), "tcp"),
        ("udp", ("tcp", "udp"), "udp"),
        ("tcp", ("udp",), "udp"),
        ("udp", ("tcp",), "tcp"),
    ],
)
async def test_rtp_goes_by_the_transport_of_choice_or_the_one_that_the_camera_has(
    first: Literal["tcp", "udp"], served: tuple[Literal["tcp", "udp"], ...], got: str
) -> None:
    assert await _rtsp(first, served) == [got]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_camera_without_metadata_is_timed_by_its_sender_reports(transport: Literal["tcp", "udp"]) -> None:
    channel = Channel()
    started_s = time.time()

    async def film() -> None:
        for chunk in chunks(5000, keyframe_interval_s=0.5):
            channel.publish(replace(chunk, ticks=round(time.monotonic() * 90_000)))
            await asyncio.sleep(0.05)

    async with RtspServer() as server:
        filming = asyncio.create_task(film())
        source = opened(server.mount("/1", channel, "h264"), rtsp_transport=transport)
        try:
            async with asyncio.timeout(60), FrameReader(source) as reader:
                while (frame := await reader.latest.next()).time_source is None:
                    pass
        finally:
            filming.cancel()
    assert frame.time_source is TimeSource.RTCP
    assert frame.metadata is None
    assert frame.utc_s is not None
    assert started_s - SLACK_S < frame.utc_s < time.time() + SLACK_S


@contextmanager
def srt_sender(port: int, options: str = "") -> Iterator[Callable[[], None]]:
    """The SRT library's own program, sending; what is yielded ends it."""
    program = subprocess.Popen(
        [str(SRT), "-q", "-chunk:1316", "file://con", f"srt://127.0.0.1:{port}?mode=listener{options}"],
        stdin=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    ended = threading.Event()

    def feed() -> None:
        assert program.stdin is not None
        with contextlib.suppress(BrokenPipeError), program.stdin as pipe:
            for chunk in chunks(5000):
                pipe.write(chunk.data)
                pipe.flush()
                if ended.wait(0.02):
                    return

    feeding = threading.Thread(target=feed)
    feeding.start()
    try:
        yield program.kill
    finally:
        ended.set()
        program.kill()
        program.wait()
        feeding.join()


@needs_srt
@pytest.mark.parametrize("options", ["", "&passphrase=0123456789&pbkeylen=16"])
def test_srt_comes_from_a_real_sender_with_its_metadata_until_that_ends(options: str) -> None:
    port = free_udp_port()
    with srt_sender(port, options) as end, opened(f"srt://127.0.0.1:{port}?mode=caller{options}") as stream:
        frames = iter(stream)
        first = [next(frames) for _ in range(5)]
        assert all(frame.metadata is not None for frame in first)
        assert "0123456789" not in first[0].name
        end()
        with pytest.raises(SourceEnded):
            list(frames)


@needs_srt
def test_no_srt_sender_is_unreachable() -> None:
    with pytest.raises(SourceUnreachable, match=r"srt://127\.0\.0\.1:9: (nothing came within|cannot be opened)"):
        opened("srt://127.0.0.1:9", timeout_s=1.0).__enter__()


def test_srt_without_its_program_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SourceRefused, match="needs the program srt-live-transmit"):
        opened("srt://127.0.0.1:9").__enter__()


def recorded(path: Path, count: int = 40, *, klv: bool = True) -> Path:
    path.write_bytes(b"".join(chunk.data for chunk in chunks(count, klv=klv)))
    return path


def test_keyframes_alone_come_with_their_own_metadata(tmp_path: Path) -> None:
    frames = first_frames(opened(str(recorded(tmp_path / "a.ts")), keyframes_only=True), 100)
    assert [frame.utc_s for frame in frames] == [UTC_S + i for i in range(4)]
    assert all(frame.metadata is not None and frame.metadata.utc_s == frame.utc_s for frame in frames)
    assert [int(frame.image[20, 20, 0]) for frame in frames] == pytest.approx([20, 40, 60, 80], abs=3)


@pytest.mark.parametrize("wanted", ["cuda", "auto", "vaapi", "videotoolbox", "no-such-device"])
def test_a_device_that_does_not_decode_is_named_and_software_takes_over(tmp_path: Path, wanted: str) -> None:
    source = opened(str(recorded(tmp_path / "a.ts", 5)), hardware=wanted)
    assert len(first_frames(source, 9)) == 5
    if " by " in source.decoding:
        pytest.skip(f"this machine decodes {source.decoding}")
    assert source.decoding.startswith("h264 (software): ")
    assert f"{'cuda' if wanted == 'auto' else wanted} failed: " in source.decoding
    assert hardware(wanted).refusals


def test_software_is_what_is_said_where_no_device_is_asked_for(tmp_path: Path) -> None:
    source = opened(str(recorded(tmp_path / "a.ts", 5)))
    assert len(first_frames(source, 9)) == 5
    assert source.decoding == "h264 (software)"
    assert VideoHardware("none").decoder("h264", None) is None


def test_frames_without_a_time_of_their_own_have_one_only_where_the_latency_is_told() -> None:
    port = free_udp_port()
    with sending(port, klv=False):
        (untimed, *_) = first_frames(opened(f"udp://127.0.0.1:{port}"), 3)
        assert (untimed.utc_s, untimed.utc_sigma_s, untimed.time_source) == (None, None, None)
    port = free_udp_port()
    with sending(port, klv=False):
        before_s = time.time()
        timed = first_frames(opened(f"udp://127.0.0.1:{port}", latency_s=0.4, latency_sigma_s=0.1), 3)
        after_s = time.time()
    assert all(frame.time_source is TimeSource.ARRIVAL and frame.utc_sigma_s == 0.1 for frame in timed)
    assert all(frame.utc_s is not None and before_s - 0.5 <= frame.utc_s <= after_s - 0.4 for frame in timed)
    steps = np.diff([frame.utc_s for frame in timed if frame.utc_s is not None])
    assert np.allclose(steps, 0.1, atol=0.02) or (steps < 0.1).all()  # steady, or another one came quicker
