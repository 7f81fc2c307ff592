"""/permits: what authorities allowed, and the documents that say so."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, RawBody
from litestar.response import File

from missioncontrol.api.access import requires
from missioncontrol.people import Person, Role
from missioncontrol.permits import MOST_DOCUMENT_BYTES, NewPermit, Permits

_WRITE_GUARDS = [requires(Role.ADMINISTRATOR)]


@get("/")
async def everything(permit_records: NamedDependency[Permits]) -> list[dict[str, Any]]:
    """Permits, newest first, also those that count no more."""
    return await permit_records.everything()


@post("/", guards=_WRITE_GUARDS)
async def add(
    data: JSONBody[NewPermit], request: Request[Person, Any, Any], permit_records: NamedDependency[Permits]
) -> dict[str, Any]:
    """A permit that was given."""
    return await permit_records.add(data, person=request.user.name)


@get("/{permit_id:str}")
async def one(permit_id: FromPath[str], permit_records: NamedDependency[Permits]) -> dict[str, Any]:
    """A permit and its documents."""
    return await permit_records.get(permit_id)


@delete("/{permit_id:str}", guards=_WRITE_GUARDS, status_code=200)
async def revoke(
    permit_id: FromPath[str], request: Request[Person, Any, Any], permit_records: NamedDependency[Permits]
) -> dict[str, Any]:
    """It counts no more; the record stays."""
    return await permit_records.revoke(permit_id, person=request.user.name)


@post("/{permit_id:str}/documents", guards=_WRITE_GUARDS, request_max_body_size=MOST_DOCUMENT_BYTES)
async def attach(
    permit_id: FromPath[str],
    body: RawBody,
    request: Request[Person, Any, Any],
    permit_records: NamedDependency[Permits],
    name: FromQuery[str],
) -> dict[str, Any]:
    """Attach a document, the body: PDF, JPEG, PNG or TIFF."""
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    return await permit_records.attach(permit_id, body, name=name, media_type=media_type, person=request.user.name)


@get("/{permit_id:str}/documents/{sha256:str}", guards=[requires(Role.OPERATOR, Role.ADMINISTRATOR)])
async def document(permit_id: FromPath[str], sha256: FromPath[str], permit_records: NamedDependency[Permits]) -> File:
    """Download a document."""
    path, name, media_type = await permit_records.document(permit_id, sha256)
    return File(path, filename=name, media_type=media_type, content_disposition_type="attachment")


router = Router("/permits", route_handlers=[everything, add, one, revoke, attach, document], tags=["permits"])
