"""/recordings: clips, their video by byte ranges, single pictures, and what is kept whatever its age."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter
from litestar.response import Stream

from missioncontrol.api.access import requires
from missioncontrol.people import Person, Role
from missioncontrol.recordings import GROWING, Recordings
from missioncontrol.retention import Retention

PIECE = 1 << 18
"""Bytes that are read and sent at once."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")
_HOLDS = [requires(Role.INSPECTOR, Role.ADMINISTRATOR)]


class Hold(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """That a recording is to be kept."""

    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    """Why."""


@get("/")
async def everything(
    recordings: NamedDependency[Recordings],
    flight: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """Clips, the latest first, all or of one flight."""
    found = await recordings.everything(flight_id=flight, limit=limit)
    return {"type": "FeatureCollection", "features": [clip.feature() for clip in found]}


@get("/{clip_id:str}")
async def one(clip_id: FromPath[str], recordings: NamedDependency[Recordings]) -> dict[str, Any]:
    """One clip."""
    return (await recordings.get(clip_id)).feature()


@get("/{clip_id:str}/video.mp4")
async def video(
    clip_id: FromPath[str], request: Request[Person, Any, Any], recordings: NamedDependency[Recordings]
) -> Response[Any]:
    """Its video as it was received, whole or the part that a Range header asks for."""
    clip, path = await recordings.open(clip_id, person=request.user.name)
    size = path.stat().st_size
    headers = {"Accept-Ranges": "bytes", "Cache-Control": "private, no-cache", "Content-Type": "video/mp4"}
    tag = f'"{clip.sha256}"' if clip.sha256 and clip.state != GROWING else ""
    if tag:
        headers["ETag"] = tag
    asked = request.headers.get("range")
    if asked is not None and request.headers.get("if-range", tag) == tag:
        wanted = byte_range(asked, size)
        if wanted is None:
            return Response(b"", status_code=416, headers={"Content-Range": f"bytes */{size}"})
        begin, end = wanted
        if (begin, end) != (0, size) or asked:
            headers |= {"Content-Range": f"bytes {begin}-{end - 1}/{size}", "Content-Length": str(end - begin)}
            return Stream(_pieces(path, begin, end), status_code=206, headers=headers, media_type="video/mp4")
    headers["Content-Length"] = str(size)
    return Stream(_pieces(path, 0, size), headers=headers, media_type="video/mp4")


@get("/{clip_id:str}/frame")
async def frame(
    clip_id: FromPath[str],
    request: Request[Person, Any, Any],
    recordings: NamedDependency[Recordings],
    t: Annotated[float, QueryParameter(description="Time in the clip, s.")] = 0.0,
) -> Response[bytes]:
    """The picture shown at a time, JPEG."""
    jpeg, own_s = await recordings.frame(clip_id, t, person=request.user.name)
    headers = {"Cache-Control": "private, max-age=3600", "X-Time-In-Clip": f"{own_s:.3f}"}
    return Response(jpeg, media_type="image/jpeg", headers=headers)


@post("/{clip_id:str}/hold", guards=_HOLDS, status_code=200)
async def hold(
    clip_id: FromPath[str],
    data: JSONBody[Hold],
    request: Request[Person, Any, Any],
    recordings: NamedDependency[Recordings],
) -> dict[str, Any]:
    """Keep it whatever its age."""
    return (await recordings.hold(clip_id, person=request.user.name, reason=data.reason)).feature()


@delete("/{clip_id:str}/hold", guards=_HOLDS, status_code=200)
async def release(
    clip_id: FromPath[str], request: Request[Person, Any, Any], recordings: NamedDependency[Recordings]
) -> dict[str, Any]:
    """Keep it no longer than others of its purpose."""
    return (await recordings.hold(clip_id, person=request.user.name, reason=None)).feature()


@get("/retention", tags=["recordings"], guards=_HOLDS)
async def going(
    retention: NamedDependency[Retention],
    days: Annotated[float, QueryParameter(description="Days to look ahead.", ge=0, le=3650)] = 30.0,
) -> dict[str, Any]:
    """What is kept of each purpose, and what goes when."""
    return await retention.report(days=days)


def byte_range(text: str, size: int) -> tuple[int, int] | None:
    """Begin and end (not included) of the part of `size` bytes that a Range header (RFC 9110) asks for.

    None where it lies outside. Of several ranges, and of units that are not bytes, the whole is answered.
    """
    found = _RANGE.fullmatch(text.strip())
    if found is None or found[0] == "bytes=-":
        return 0, size
    first, last = found.groups()
    if not first:
        begin, end = max(0, size - int(last)), size
    else:
        begin, end = int(first), min(size, int(last) + 1) if last else size
    return (begin, end) if begin < end else None


async def _pieces(path: Path, begin: int, end: int) -> AsyncIterator[bytes]:
    file = await asyncio.to_thread(path.open, "rb")
    try:
        await asyncio.to_thread(file.seek, begin)
        while begin < end and (piece := await asyncio.to_thread(file.read, min(PIECE, end - begin))):
            begin += len(piece)
            yield piece
    finally:
        file.close()


router = Router("/recordings", route_handlers=[everything, one, video, frame, hold, release], tags=["recordings"])
