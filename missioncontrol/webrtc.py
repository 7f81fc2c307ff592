"""Live video to browsers by WHEP: H.264 goes on as the camera encoded it, to many viewers at once.

Source: WebRTC-HTTP Egress Protocol (draft-ietf-wish-whep), RFC 6184 (H.264 in RTP) by aiortc.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from contextlib import ExitStack
from fractions import Fraction
from typing import Any
from uuid import uuid4

import av
import structlog
from aiortc import (
    MediaStreamTrack,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError, OperationError
from aiortc.mediastreams import MediaStreamError
from prometheus_client import Gauge
from sqlalchemy.exc import DBAPIError

from missioncontrol.errors import (
    NotForwardable,
    NotFound,
    OfferMalformed,
    OfferUnacceptable,
    StoreUnavailable,
    TooManyViewers,
    VideoAbsent,
)
from missioncontrol.live import VideoHub
from missioncontrol.relay import TICKS_PER_S, Waiting
from missioncontrol.video_settings import VideoSettings

log = structlog.get_logger(__name__)

VIEWERS = Gauge("missioncontrol_video_viewers", "Viewers of live video by WebRTC")

CONNECT_S = 15.0
"""A viewer that has not connected for so long is gone, s."""
LOOK_S = 1.0
"""Pause between looks for viewers that are gone, s."""
SESSION_S = 30.0
"""Pause between looks whether a viewer is still logged in, s."""
MOST_OFFER_BYTES = 65_536
"""Of an offer that is read."""
MOST_CANDIDATES = 20
"""Of an offer, that are tried."""

StillLoggedIn = Callable[[], Awaitable[bool]]


class PacketTrack(MediaStreamTrack):
    """The pictures that wait for a viewer, as a track of packets, which aiortc sends without encoding them."""

    kind = "video"

    def __init__(self, waiting: Waiting) -> None:
        """Of a viewer of a relay."""
        super().__init__()
        self.sent = 0
        """Pictures given to the sender."""
        self.origin: int | None = None
        """What RTP timestamps are ahead of the relay's ticks by, once a picture was sent."""
        self.sender: RTCRtpSender | None = None
        self._pictures = waiting
        self._ticks: int | None = None

    async def recv(self) -> av.Packet[Any]:
        """The next picture. Raises MediaStreamError when there will be none."""
        if self.origin is None and self._ticks is not None:
            # aiortc draws the origin at random and tells it nowhere else.
            self.origin = (self.sender._RTCRtpSender__rtp_timestamp - self._ticks) % 2**32  # type: ignore[union-attr]
        try:
            picture = await self._pictures.next()
        except NotForwardable as exc:
            self.stop()
            raise MediaStreamError(str(exc)) from exc
        packet: av.Packet[Any] = av.Packet(picture.data)
        packet.pts, packet.time_base = picture.ticks, Fraction(1, TICKS_PER_S)
        self._ticks = picture.ticks
        self.sent += 1
        return packet


class Viewer:
    """One viewer's connection."""

    def __init__(self, sysid: int, person: str, settings: VideoSettings, still: StillLoggedIn) -> None:
        """Of a vehicle's video; not yet connected."""
        self.id = str(uuid4())
        self.sysid, self.person = sysid, person
        self.track: PacketTrack | None = None
        self._still = still
        self._connection = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[
                    RTCIceServer(urls=list(server.urls), username=server.username, credential=server.password)
                    for server in settings.ice_servers
                ]
            )
        )
        self._opened_s = self._asked_s = time.monotonic()
        self._stack = ExitStack()

    async def answer(self, offer: str, videos: VideoHub) -> str:
        """The answer to an offer (SDP). Raises OfferMalformed, OfferUnacceptable, NotForwardable, VideoAbsent."""
        for part in ("v=0", "a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:"):
            if part not in offer:
                raise OfferMalformed(f"the offer is no SDP of WebRTC: it has no {part}")
        waiting = self._stack.enter_context(videos.relay(self.sysid).watching())
        self.track = PacketTrack(waiting)
        transceiver = self._connection.addTransceiver(self.track, direction="sendonly")
        self.track.sender = transceiver.sender
        h264 = [c for c in RTCRtpSender.getCapabilities("video").codecs if c.mimeType in ("video/H264", "video/rtx")]
        transceiver.setCodecPreferences(h264)
        try:
            await self._connection.setRemoteDescription(RTCSessionDescription(reachable(offer), "offer"))
            answer = await self._connection.createAnswer()
        except OperationError as exc:
            raise OfferUnacceptable("the offer takes no H.264 in packetization mode 1 (baseline)") from exc
        except (ValueError, IndexError, KeyError, AttributeError, AssertionError, InvalidStateError) as exc:
            raise OfferMalformed(f"the offer cannot be read as SDP: {exc or type(exc).__name__}") from exc
        if transceiver.mid is None or transceiver not in self._connection.getTransceivers():
            raise OfferUnacceptable("the offer asks for no video")
        await self._connection.setLocalDescription(answer)
        text = str(self._connection.localDescription.sdp)
        if "a=candidate:" not in text:
            raise VideoAbsent("this host has no network address, other than the loopback, to send video from")
        return text

    def rtp_of(self, ticks: int) -> int | None:
        """RTP timestamp, for this viewer, of the picture at a time of the relay; None before the first was sent."""
        if self.track is None or self.track.origin is None:
            return None
        return (ticks + self.track.origin) % 2**32

    async def gone(self) -> bool:
        """Whether this viewer is no more, or may not be here any more."""
        state, now_s = self._connection.connectionState, time.monotonic()
        if state in ("failed", "closed") or (state != "connected" and now_s - self._opened_s > CONNECT_S):
            return True
        if self.track is not None and self.track.readyState == "ended":
            return True
        if now_s - self._asked_s > SESSION_S:
            self._asked_s = now_s
            try:
                return not await self._still()
            except (StoreUnavailable, DBAPIError, OSError) as exc:
                log.warning("cannot tell whether a viewer is still logged in", person=self.person, why=str(exc))
        return False

    async def close(self) -> None:
        """Hang up."""
        self._stack.close()
        try:
            await self._connection.close()
        except (OSError, InvalidStateError) as exc:
            log.warning("viewer not hung up on", vehicle=self.sysid, why=str(exc))


class Viewers:
    """All viewers by WHEP."""

    def __init__(self, settings: VideoSettings, videos: VideoHub) -> None:
        """Nobody watches yet."""
        self._settings, self._videos = settings, videos
        self._viewers: dict[str, Viewer] = {}

    async def open(self, sysid: int, offer: str, person: str, still: StillLoggedIn) -> tuple[str, str]:
        """A new viewer of a vehicle's video: id and answer (SDP). `still` tells whether the person is logged in.

        Raises VideoAbsent, NotForwardable, TooManyViewers, OfferMalformed, OfferUnacceptable.
        """
        self._admit(sysid)
        viewer = Viewer(sysid, person, self._settings, still)
        self._viewers[viewer.id] = viewer
        try:
            answer = await viewer.answer(offer, self._videos)
        except BaseException:
            await self._close(viewer)
            raise
        VIEWERS.set(len(self._viewers))
        return viewer.id, answer

    async def end(self, sysid: int, id: str, person: str) -> None:
        """A viewer leaves. Raises NotFound, also for somebody else's viewer."""
        await self._close(self.viewer(sysid, id, person))

    def viewer(self, sysid: int, id: str, person: str) -> Viewer:
        """One of a person's viewers. Raises NotFound."""
        viewer = self._viewers.get(id)
        if viewer is None or (viewer.sysid, viewer.person) != (sysid, person):
            raise NotFound(f"vehicle {sysid} has no viewer {id}")
        return viewer

    def rtp_of(self, id: str, ticks: int | None) -> int | None:
        """RTP timestamp, for a viewer, of the picture at a time of its relay; None before the first was sent."""
        viewer = self._viewers.get(id)
        return None if viewer is None or ticks is None else viewer.rtp_of(ticks)

    async def run(self) -> None:
        """See to it that viewers who are gone take nothing any more; until cancelled, then all have to leave."""
        try:
            while True:
                await asyncio.sleep(LOOK_S)
                for viewer in list(self._viewers.values()):
                    if await viewer.gone():
                        log.info("viewer gone", vehicle=viewer.sysid, person=viewer.person)
                        await self._close(viewer)
        finally:
            await asyncio.gather(*(self._close(viewer) for viewer in list(self._viewers.values())))

    def _admit(self, sysid: int) -> None:
        relay = self._videos.relay(sysid)
        if not relay.live:
            raise VideoAbsent(f"no video of vehicle {sysid} comes in now")
        if relay.unfit is not None:
            raise NotForwardable(relay.unfit)
        here = sum(viewer.sysid == sysid for viewer in self._viewers.values())
        if here >= self._settings.viewers_per_vehicle:
            raise TooManyViewers(f"vehicle {sysid} has {here} viewers, which is the limit")
        if len(self._viewers) >= self._settings.viewers:
            raise TooManyViewers(f"there are {len(self._viewers)} viewers of live video, which is the limit")

    async def _close(self, viewer: Viewer) -> None:
        self._viewers.pop(viewer.id, None)
        VIEWERS.set(len(self._viewers))
        await viewer.close()


def reachable(offer: str) -> str:
    """An offer without candidates that only its own host can resolve (mDNS), and open for those that turn up.

    Browsers hide their addresses so; they reach us, and from that we learn where they are. Of the others, of which each
    is a host that we send to, MOST_CANDIDATES are kept.
    """
    kept, candidates = [], 0
    for line in offer.splitlines():
        if line.startswith("a=candidate:"):
            words = line.split()
            candidates += 1
            if candidates > MOST_CANDIDATES or len(words) < 5 or words[4].endswith(".local"):
                continue
        if line != "a=end-of-candidates":
            kept.append(line)
    return "\r\n".join([*kept, ""])
