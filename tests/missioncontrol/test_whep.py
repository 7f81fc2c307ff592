"""Live video by WHEP: a standard WebRTC peer watches what was put in, unchanged; and who may not, or is gone."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import httpx
import msgspec
import pytest
from aioice import ice
from aioice.ice import get_host_addresses
from aiortc import RTCConfiguration, RTCPeerConnection, RTCRtpReceiver, RTCSessionDescription

from aerial_models.packet_taps import PacketTap
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from missioncontrol import webrtc
from missioncontrol.settings import Settings
from missioncontrol.video_settings import IceServer, VideoSettings
from simulators.patterns import PatternRenderer, code_in, code_of
from tests.missioncontrol.conftest import PASSWORD, Running, make_settings, running, until

SDP = {"content-type": "application/sdp"}
START_UTC_S = 1_790_000_000.0

pytestmark = pytest.mark.skipif(
    not get_host_addresses(use_ipv4=True, use_ipv6=True), reason="WebRTC needs an address other than the loopback"
)


def with_video(folder: Path, **video: Any) -> Settings:
    settings = make_settings(folder, sysids=(1, 2), video=VideoSettings(**video))
    first, second = settings.vehicles
    filmed = msgspec.structs.replace(first, video="udp://127.0.0.1:1")
    return msgspec.structs.replace(settings, vehicles=(filmed, second))


class Camera:
    """Gives a relay H.264 of numbered pictures, as a vehicle's camera would, every tenth of them a key picture."""

    def __init__(self, tap: PacketTap) -> None:
        self._tap, self._number = tap, 0
        self._renderer = PatternRenderer(width_px=320, height_px=240)
        self._codec = av.CodecContext.create("libx264", "w")
        self._codec.width, self._codec.height, self._codec.pix_fmt = 320, 240, "yuv420p"
        self._codec.framerate, self._codec.time_base, self._codec.gop_size = Fraction(10), Fraction(1, 10), 10
        self._codec.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "repeat-headers=1"}

    def shoot(self) -> None:
        position = Position(lon=76.9, lat=43.2, altitude=Altitude(900.0, Datum.AMSL))
        pose = Pose(
            utc_s=START_UTC_S + self._number / 10, position=position, attitude=Attitude(pitch_deg=-90, yaw_deg=0)
        )
        frame = av.VideoFrame.from_ndarray(self._renderer.render(pose).image, format="rgb24")
        frame.pts = self._number
        for packet in self._codec.encode(frame):
            self._tap(bytes(packet), self._number / 10, packet.is_keyframe, "h264")
        self._number += 1

    async def film(self) -> None:
        while True:
            await asyncio.sleep(0.05)
            self.shoot()


@asynccontextmanager
async def filmed(service: Running) -> AsyncIterator[None]:
    assert service.service.rooms is not None
    camera = Camera(service.service.rooms.videos.relay(1).connected())
    camera.shoot()
    task = asyncio.create_task(camera.film())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def peer(kind: str = "video", codec: str | None = None) -> AsyncIterator[tuple[RTCPeerConnection, str]]:
    """A stranger's WebRTC stack, and its offer."""
    connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    transceiver = connection.addTransceiver(kind, direction="recvonly")
    if codec is not None:
        known = RTCRtpReceiver.getCapabilities(kind).codecs
        transceiver.setCodecPreferences([each for each in known if each.mimeType == codec])
    await connection.setLocalDescription(await connection.createOffer())
    try:
        yield connection, connection.localDescription.sdp
    finally:
        await connection.close()


async def watch(http: httpx.AsyncClient, connection: RTCPeerConnection, offer: str) -> httpx.Response:
    answer = await http.post("/whep/1", content=offer, headers=SDP)
    assert answer.status_code == 201, answer.text
    await connection.setRemoteDescription(RTCSessionDescription(answer.text, "answer"))
    return answer


async def codes(connection: RTCPeerConnection, count: int) -> list[int]:
    """What is written in the pictures that come."""
    track = connection.getReceivers()[0].track
    async with asyncio.timeout(60):
        return [code_in((await track.recv()).to_ndarray(format="rgb24")) for _ in range(count)]


def number_of(code: int) -> float:
    return (code - code_of(START_UTC_S)) / 10


def viewers(service: Running) -> int:
    assert service.service.rooms is not None
    return service.service.rooms.videos.relay(1).viewers


async def test_viewers_get_each_picture_as_it_was_encoded_and_leave(tmp_path: Path) -> None:
    async with running(with_video(tmp_path)) as service, filmed(service):
        http = await service.client()
        async with peer() as (early, offer), peer() as (late, second):
            first = await watch(http, early, offer)
            assert first.headers["content-type"].startswith("application/sdp")
            assert "H264" in first.text
            assert "VP8" not in first.text
            numbers = [number_of(code) for code in await codes(early, 12)]
            assert numbers[0] % 10 == 0
            assert numbers == [numbers[0] + step for step in range(12)]
            other = await watch(http, late, second)
            assert number_of((await codes(late, 1))[0]) % 10 == 0
            assert viewers(service) == 2
            place = first.headers["location"].removeprefix("/api/v1")
            assert (await http.delete(place)).status_code == 200
            assert (await http.delete(place)).status_code == 404
            assert viewers(service) == 1
            assert len(await codes(late, 12)) == 12
            assert other.headers["location"] != first.headers["location"]
    assert viewers(service) == 0


async def test_who_or_what_is_refused_and_how(tmp_path: Path) -> None:
    turn = IceServer(urls=("turn:127.0.0.1:9?transport=udp",), username="u", password='p"q')
    settings = with_video(tmp_path, ice_servers=(turn,), rtsp_out="rtsp://media:8554")
    async with running(settings) as service:
        http = await service.client()
        where = (await http.get("/vehicles/1/video")).json()
        assert where["whep"] == "/api/v1/whep/1"
        assert where["rtsp"] == "rtsp://media:8554/vehicle-1"
        assert where["ice_servers"][0]["password"] == 'p"q'
        for path in ("/vehicles/2/video", "/vehicles/3/video"):
            assert (await http.get(path)).status_code == 404

        async def refusal(path: str, content: str, headers: dict[str, str] = SDP) -> tuple[int, str, str | None]:
            answer = await http.post(path, content=content, headers=headers)
            return answer.status_code, answer.json()["detail"], answer.headers.get("retry-after")

        async with peer() as (_, offer), peer("audio") as (_, audio), peer(codec="video/VP8") as (_, vp8):
            assert (await refusal("/whep/1", offer))[::2] == (409, "5")
            assert (await refusal("/whep/2", offer))[0] == 404
            assert (await refusal("/whep/1", offer, {"content-type": "application/json"}))[0] == 415
            async with filmed(service):
                await until(lambda: _live(service))
                assert (await refusal("/whep/1", vp8))[:2] == (
                    406, "the offer takes no H.264 in packetization mode 1 (baseline)",
                )  # fmt: skip
                assert (await refusal("/whep/1", audio))[:2] == (406, "the offer asks for no video")
                for text in ("", "hello", offer[:-900], "\0", offer.replace("a=fingerprint", "a=finger")):
                    assert (await refusal("/whep/1", text))[0] == 400, text
                assert (await refusal("/whep/1", offer + "a=x\r\n" * 20_000))[0] == 400
            assert viewers(service) == 0
        assert (await http.patch("/whep/1/x", content="", headers=SDP)).status_code == 405
        async with httpx.AsyncClient(base_url=f"{service.url}/api/v1") as stranger:
            assert (await stranger.post("/whep/1", content=offer, headers=SDP)).status_code == 401


async def _live(service: Running) -> bool:
    assert service.service.rooms is not None
    return service.service.rooms.videos.relay(1).live


async def test_no_more_viewers_than_allowed_and_none_of_somebody_elses(tmp_path: Path) -> None:
    async with running(with_video(tmp_path, viewers_per_vehicle=1)) as service, filmed(service):
        http = await service.client()
        person = {"name": "guest", "password": PASSWORD, "roles": ["inspector"], "language": "en"}
        assert (await http.post("/people", json=person)).status_code == 201
        guest = await service.client("guest")
        async with peer() as (connection, offer), peer() as (_, second):
            place = (await watch(http, connection, offer)).headers["location"].removeprefix("/api/v1")
            full = await guest.post("/whep/1", content=second, headers=SDP)
            assert (full.status_code, full.headers["retry-after"]) == (503, "5")
            assert (await guest.delete(place)).status_code == 404
            assert viewers(service) == 1


async def test_viewers_who_are_gone_take_no_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One logs out, one falls silent, one never connects; one's camera turns to what cannot be forwarded."""
    monkeypatch.setattr(webrtc, "LOOK_S", 0.05)
    monkeypatch.setattr(webrtc, "SESSION_S", 0.1)
    monkeypatch.setattr(ice, "CONSENT_INTERVAL", 0.1)
    monkeypatch.setattr(ice, "CONSENT_FAILURES", 2)

    async def nobody() -> bool:
        return viewers(service) == 0

    async with running(with_video(tmp_path)) as service, filmed(service):
        http = await service.client()
        await until(lambda: _live(service))
        async with peer() as (connection, offer):
            await watch(http, connection, offer)
            await codes(connection, 1)
            await http.delete("/session")
            await until(nobody)
        http = await service.client()
        async with peer() as (connection, offer):
            await watch(http, connection, offer)
            await codes(connection, 1)
            for protocol in connection.getReceivers()[0].transport.transport._connection._protocols:
                protocol.transport.abort()
            await until(nobody)
        async with peer() as (connection, offer):
            await watch(http, connection, offer)
            await codes(connection, 1)
            assert service.service.rooms is not None
            service.service.rooms.videos.relay(1).connected()(b"", 0.0, True, "hevc")
            await until(nobody)
            assert (await http.get("/vehicles/1/video")).json()["whep_refused"].startswith("the video is hevc")
            service.service.rooms.videos.relay(1).connected()
        monkeypatch.setattr(webrtc, "CONNECT_S", 0.2)
        async with peer() as (_, offer):
            assert (await http.post("/whep/1", content=offer, headers=SDP)).status_code in (201, 409)
            await until(nobody)


def test_hidden_candidates_are_left_out_and_others_kept_up_to_a_number() -> None:
    line = "a=candidate:1 1 udp 2113937151 {} 50000 typ host generation 0"
    hosts = ["4d3f.local", *(f"10.0.0.{number}" for number in range(30))]
    offer = "\r\n".join(["v=0", *(line.format(host) for host in hosts), "a=end-of-candidates", "a=mid:0", ""])
    kept = webrtc.reachable(offer).splitlines()
    assert kept[0] == "v=0"
    assert kept[-1] == "a=mid:0"
    assert kept[1:-1] == [line.format(f"10.0.0.{number}") for number in range(webrtc.MOST_CANDIDATES - 1)]
