"""/live and /video: WebSockets."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import msgspec
from litestar import WebSocket, websocket
from litestar.di import NamedDependency
from litestar.exceptions import WebSocketDisconnect
from litestar.params import FromPath, FromQuery

from missioncontrol.errors import ClientTooSlow
from missioncontrol.incidents import Incidents
from missioncontrol.live import Live, VideoHub, pack_frame
from missioncontrol.missions import Missions
from missioncontrol.vehicles import Vehicles
from missioncontrol.webrtc import Viewers

_TRY_AGAIN = 1013
_SILENCE_S = 3.0

Socket = WebSocket[Any, Any, Any]


@websocket("/live")
async def live(
    socket: Socket,
    feed: NamedDependency[Live],
    roster: NamedDependency[Vehicles],
    missions: NamedDependency[Missions],
    incidents: NamedDependency[Incidents],
) -> None:
    """A snapshot of everything, then every change."""
    await socket.accept()

    async def send() -> None:
        with feed.subscription() as changes:
            snapshot = {
                "type": "snapshot",
                "vehicles": {"type": "FeatureCollection", "features": roster.features()},
                "missions": await missions.everything(),
                "incidents": {"type": "FeatureCollection", "features": await incidents.features()},
            }
            await socket.send_text(msgspec.json.encode(snapshot).decode())
            while True:
                await socket.send_text((await changes.next()).decode())

    try:
        await _until_gone(socket, send())
    except ClientTooSlow as exc:
        await socket.close(_TRY_AGAIN, str(exc))


@websocket("/video/{sysid:int}")
async def video(
    socket: Socket,
    sysid: FromPath[int],
    videos: NamedDependency[VideoHub],
    viewers: NamedDependency[Viewers],
    pictures: FromQuery[bool] = True,
    viewer: FromQuery[str | None] = None,
) -> None:
    """What was seen in each frame, and the frame, unless `pictures` is false; what is not taken in time is left out.

    With the id of a `viewer` by WHEP, frames carry the RTP timestamp that they have in its video.
    """
    await socket.accept()

    async def send() -> None:
        state = "no_video"
        with videos.watching(sysid, pictures=pictures) as mailbox:
            while True:
                try:
                    header, jpeg = await asyncio.wait_for(mailbox.next(), _SILENCE_S)
                    state = "stale"
                except TimeoutError:
                    header, jpeg = {"utc_s": None, "width": 0, "height": 0, "detections": [], "state": state}, b""
                if viewer is not None:
                    header = header | {"rtp": viewers.rtp_of(viewer, header.get("ticks"))}
                await socket.send_bytes(pack_frame(header, jpeg if pictures else b""))

    await _until_gone(socket, send())


async def _until_gone(socket: Socket, sending: Coroutine[Any, Any, None]) -> None:
    """Send until the client leaves or the sending ends."""

    async def listen() -> None:
        while True:
            await socket.receive_data(mode="text")

    tasks = [asyncio.create_task(sending, name="send"), asyncio.create_task(listen(), name="listen")]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception) and not isinstance(result, WebSocketDisconnect | RuntimeError):
            raise result
