"""/whep: live video by WebRTC (WHEP), and where a vehicle's video is to be had."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.exceptions import ClientException
from litestar.params import FromPath

from missioncontrol.api.access import token_of
from missioncontrol.errors import NotFound, OfferMalformed
from missioncontrol.live import VideoHub
from missioncontrol.people import People, Person
from missioncontrol.settings import Settings
from missioncontrol.video_settings import IceServer
from missioncontrol.webrtc import MOST_OFFER_BYTES, Viewers

SDP = "application/sdp"


class NotAnOffer(ClientException):
    """The body is of another kind."""

    status_code = 415


class VideoAddresses(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vehicle's video is to be had."""

    whep: str | None
    """Path to send WebRTC offers to; absent where the video is not forwarded."""
    whep_refused: str | None
    """Why it is not forwarded, where there is a reason."""
    ice_servers: tuple[IceServer, ...]
    """For the viewer's side."""
    pictures: str
    """Path of the WebSocket with what was seen, and pictures of it."""
    rtsp: str | None
    """For video systems; absent where the settings name no media server."""


@get("/vehicles/{sysid:int}/video", tags=["video"])
async def addresses(
    sysid: FromPath[int], settings: NamedDependency[Settings], videos: NamedDependency[VideoHub]
) -> VideoAddresses:
    """Where a vehicle's video is to be had."""
    _check(sysid, settings)
    unfit = videos.relay(sysid).unfit if settings.video.webrtc else "video.webrtc is off in the settings"
    return VideoAddresses(
        whep=None if unfit else f"/api/v1/whep/{sysid}",
        whep_refused=unfit,
        ice_servers=settings.video.ice_servers,
        pictures=f"/api/v1/video/{sysid}",
        rtsp=settings.rtsp_out(sysid),
    )


@post("/{sysid:int}")
async def watch(
    sysid: FromPath[int],
    request: Request[Person, Any, Any],
    settings: NamedDependency[Settings],
    viewers: NamedDependency[Viewers],
    people: NamedDependency[People],
) -> Response[str]:
    """An SDP offer to receive video; the answer is SDP, and Location what to DELETE in the end."""
    _check(sysid, settings)
    if not settings.video.webrtc:
        raise NotFound("video.webrtc is off in the settings")
    offer, token = await _offer(request), token_of(request) or ""

    async def still() -> bool:
        return await people.person_of(token) is not None

    id, answer = await viewers.open(sysid, offer, request.user.name, still)
    links = ", ".join(_link(server, url) for server in settings.video.ice_servers for url in server.urls)
    headers = {"Location": f"/api/v1/whep/{sysid}/{id}"} | ({"Link": links} if links else {})
    return Response(answer, status_code=201, media_type=SDP, headers=headers)


@delete("/{sysid:int}/{viewer_id:str}", status_code=200)
async def leave(
    sysid: FromPath[int],
    viewer_id: FromPath[str],
    request: Request[Person, Any, Any],
    viewers: NamedDependency[Viewers],
) -> None:
    """End a viewer of one's own."""
    await viewers.end(sysid, viewer_id, request.user.name)


def _check(sysid: int, settings: Settings) -> None:
    vehicle = settings.vehicle(sysid)
    if vehicle is None or vehicle.video is None:
        raise NotFound(f"there is no vehicle {sysid} with video")


async def _offer(request: Request[Person, Any, Any]) -> str:
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    if kind != SDP:
        raise NotAnOffer(f"the body of an offer is {SDP}, not {kind or 'nothing'}")
    body = await request.body()
    if len(body) > MOST_OFFER_BYTES:
        raise OfferMalformed(f"the offer has {len(body)} bytes; at most {MOST_OFFER_BYTES} are read")
    try:
        return body.decode()
    except UnicodeDecodeError as exc:
        raise OfferMalformed(f"the offer is not UTF-8: {exc}") from exc


def _link(server: IceServer, url: str) -> str:
    fields = {"username": server.username, "credential": server.password}
    told = "".join(f"; {name}={_quoted(value)}" for name, value in fields.items() if value is not None)
    kind = '; credential-type="password"' if server.password is not None else ""
    return f'<{url}>; rel="ice-server"{told}{kind}'


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


router = Router("/whep", route_handlers=[watch, leave], tags=["video"])
