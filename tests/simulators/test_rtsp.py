import asyncio
import gc
import json
import shutil
import socket
import time
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from aerial_models.errors import SourceEnded, SourceUnreachable
from aerial_models.sources import FrameReader, open_source
from geo import klv
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.patterns import PatternRenderer, code_in, code_of
from simulators.rtsp import RtspServer
from simulators.video import Channel, VideoEncoder

START_UTC_S = 1_750_000_000.0
needs_ffprobe = pytest.mark.skipif(shutil.which("ffprobe") is None, reason="no ffprobe")


async def film(channel: Channel, *, pause_s: float = 0.02, count: int = 3000) -> None:
    """Ten pictures per second of stream, quicker by the wall."""
    renderer = PatternRenderer(width_px=320, height_px=240)
    encoder = VideoEncoder(width_px=320, height_px=240, fps=10)
    for i in range(count):
        pose = Pose(
            utc_s=START_UTC_S + i / 10,
            position=Position(lon=76.945, lat=43.205, altitude=Altitude(900.0, Datum.AMSL)),
            attitude=Attitude(pitch_deg=-90, yaw_deg=30),
        )
        metadata = klv.metadata_of(pose, platform=Attitude(pitch_deg=2, yaw_deg=30))
        image = renderer.render(pose).image
        channel.publish(encoder.encode(image, i / 10, metadata, keyframe=channel.keyframe_wanted))
        await asyncio.sleep(pause_s)
    channel.close()


@asynccontextmanager
async def served(**how: float) -> AsyncIterator[tuple[RtspServer, Channel, str]]:
    channel = Channel()
    async with RtspServer() as server:
        url = server.mount("/7", channel)
        filming = asyncio.create_task(film(channel, **how))  # type: ignore[arg-type]
        try:
            yield server, channel, url
        finally:
            filming.cancel()
            await asyncio.gather(filming, return_exceptions=True)


async def test_two_clients_see_every_picture_with_its_metadata() -> None:
    async with served() as (_, channel, url), asyncio.timeout(30):
        async with FrameReader(open_source(url)) as first:
            await first.latest.next()
            async with FrameReader(open_source(url)) as late:
                last = -1.0
                for _ in range(30):
                    frame = await late.latest.next()
                    assert frame.metadata is not None
                    assert frame.utc_s == frame.metadata.utc_s
                    assert code_in(frame.image) == code_of(frame.metadata.utc_s)
                    assert frame.utc_s == pytest.approx(START_UTC_S + frame.pts_s - 1, abs=1e-3)
                    assert frame.pts_s > last
                    last = frame.pts_s
                assert (await first.latest.next()).metadata is not None
        while channel.watched:
            await asyncio.sleep(0.01)


@needs_ffprobe
@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_ffprobe_reads_video_and_klv(transport: str) -> None:
    async with served() as (_, _, url), asyncio.timeout(40):
        process = await asyncio.create_subprocess_exec(
            "ffprobe", "-v", "error", "-rtsp_transport", transport, "-analyzeduration", "1000000", "-of", "json",
            "-show_streams", "-show_packets", "-read_intervals", "%+#30", url,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        out, err = await process.communicate()
        assert process.returncode == 0, err
    answer = json.loads(out)
    streams = [(s["codec_type"], s["codec_name"], s["codec_tag_string"]) for s in answer["streams"]]
    assert sorted(streams) == [("data", "klv", "KLVA"), ("video", "h264", "[27][0][0][0]")]
    times = {k: {p["pts"] for p in answer["packets"] if p["codec_type"] == k} for k in ("video", "data")}
    assert len(times["video"]) > 5
    assert len(times["video"] & times["data"]) >= len(times["video"]) - 1


async def test_a_camera_that_stops_ends_the_stream_with_the_url() -> None:
    async with served(count=60) as (_, _, url), asyncio.timeout(30), FrameReader(open_source(url)) as reader:
        with pytest.raises(SourceEnded, match=f"{url}: the stream ended after [0-9]+ frames"):  # noqa: PT012
            while True:
                await reader.latest.next()
        assert reader.read > 5


async def test_a_camera_that_falls_silent_ends_the_stream_after_the_time_out() -> None:
    async with served() as (server, _, _), asyncio.timeout(30):
        channel = Channel()
        url = server.mount("/silent", channel)
        filming = asyncio.create_task(film(channel))
        async with FrameReader(open_source(url, timeout_s=1.5)) as reader:
            await reader.latest.next()
            filming.cancel()
            with pytest.raises(SourceEnded, match=r"/silent: no data for 1\.5 s"):  # noqa: PT012
                while True:
                    await reader.latest.next()


async def test_leaving_a_silent_stream_takes_its_time_out_and_blocks_no_loop() -> None:
    async with served() as (server, _, _), asyncio.timeout(30):
        channel = Channel()
        filming = asyncio.create_task(film(channel))
        async with FrameReader(open_source(server.mount("/silent", channel), timeout_s=1.0)) as reader:
            await reader.latest.next()
            filming.cancel()
            await asyncio.gather(filming, return_exceptions=True)
            leaving = time.monotonic()
            turns: list[float] = []

            async def tick() -> None:
                while True:
                    turns.append(time.monotonic())
                    await asyncio.sleep(0.01)

            ticking = asyncio.create_task(tick())
        assert time.monotonic() - leaving < 3
        ticking.cancel()
        assert len(turns) > 20


async def test_a_path_without_a_camera_is_unreachable() -> None:
    async with served() as (server, _, _), asyncio.timeout(30):
        reader = FrameReader(open_source(server.url("/8")))
        async with reader:
            with pytest.raises(SourceUnreachable, match=r"/8: cannot be opened: .*404"):
                await reader.latest.next()


async def test_a_client_that_takes_nothing_holds_up_nobody() -> None:
    async with served(pause_s=0.002) as (server, channel, url), asyncio.timeout(30):
        stuck = socket.socket()
        stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.to_thread(stuck.connect, ("127.0.0.1", server.port))
        stuck.sendall(
            f"SETUP {url}/track0 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=0-1\r\n\r\n".encode()
        )
        answer = (await asyncio.to_thread(stuck.recv, 1000)).decode()
        session = answer.split("Session: ")[1].split(";")[0]
        stuck.sendall(f"PLAY {url} RTSP/1.0\r\nCSeq: 2\r\nSession: {session}\r\n\r\n".encode())
        while not channel.watched:
            await asyncio.sleep(0.01)
        (slow,) = channel._subscriptions
        async with FrameReader(open_source(url)) as reader:
            while slow.dropped == 0:
                frame = await reader.latest.next()
                assert code_in(frame.image) == code_of(frame.utc_s or 0)
        stuck.close()


async def ask(port: int, request: str) -> str:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.encode())
    try:
        return (await asyncio.wait_for(reader.read(4000), 5)).decode()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize(
    ("request_text", "status"),
    [
        ("OPTIONS * RTSP/1.0\r\nCSeq: 5\r\n\r\n", "200 OK\r\nCSeq: 5"),
        ("DESCRIBE rtsp://h/9 RTSP/1.0\r\nCSeq: 1\r\n\r\n", "404"),
        ("GET_PARAMETER rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\n\r\n", "200"),
        ("PLAY rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\n\r\n", "455"),
        ("PLAY rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\nSession: 1\r\n\r\n", "454"),
        ("RECORD rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\n\r\n", "405"),
        ("SETUP rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;multicast\r\n\r\n", "461"),
        ("SETUP rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP/TCP;interleaved=x\r\n\r\n", "400"),
        ("SETUP rtsp://h/7 RTSP/1.0\r\nCSeq: 1\r\nTransport: RTP/AVP;client_port=70000-70001\r\n\r\n", "400"),
    ],
)
async def test_answers_to_single_requests(request_text: str, status: str) -> None:
    async with RtspServer() as server:
        server.mount("/7", Channel())
        answer = await ask(server.port, request_text)
        assert answer.startswith(f"RTSP/1.0 {status}")


@pytest.mark.parametrize(
    "garbage",
    ["GET / HTTP/1.1\r\n\r\n", "x" * 20_000, "PLAY\r\n\r\n", "OPTIONS * RTSP/1.0\r\nContent-Length: -1\r\n\r\n",
     "OPTIONS * RTSP/1.0\r\nContent-Length: ten\r\n\r\n", "DESCRIBE rtsp://[ RTSP/1.0\r\n\r\n", "$"],
)  # fmt: skip
async def test_garbage_is_hung_up_on_and_the_next_client_served(garbage: str) -> None:
    async with RtspServer() as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(garbage.encode())
        writer.write_eof()
        assert await asyncio.wait_for(reader.read(), 5) == b""
        writer.close()
        await writer.wait_closed()
        assert (await ask(server.port, "OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n\r\n")).startswith("RTSP/1.0 200 OK")


@pytest.mark.parametrize("turns", range(8))
async def test_a_server_that_ends_while_a_client_leaves_lets_all_its_sockets_go(turns: int) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        async with RtspServer() as server:
            url = server.mount("/7", Channel())
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            session = "0"
            for asked in ("SETUP", "PLAY"):
                transport = "Transport: RTP/AVP;unicast;client_port=9-10\r\n" if asked == "SETUP" else ""
                writer.write(f"{asked} {url} RTSP/1.0\r\nCSeq: 1\r\nSession: {session}\r\n{transport}\r\n".encode())
                answer = (await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 5)).decode()
                assert answer.startswith("RTSP/1.0 200"), answer
                session = answer.split("Session: ")[1].split(";")[0].split()[0]
            writer.close()
            await writer.wait_closed()
            for _ in range(turns):
                await asyncio.sleep(0)
        gc.collect()
    assert [str(w.message) for w in caught] == []
