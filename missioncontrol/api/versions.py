"""/missions/{id}/versions and /missions/{id}/preview: what a plan was, is, and does in the simulator."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from missioncontrol.api.access import requires
from missioncontrol.people import Person, Role
from missioncontrol.preview_jobs import PreviewJobs, PreviewOptions
from missioncontrol.versions import Versions


@get("/versions")
async def everything(mission_id: FromPath[str], versions: NamedDependency[Versions]) -> list[dict[str, Any]]:
    """Every version of its plan, oldest first."""
    return await versions.listed(mission_id)


@get("/versions/{version:int}")
async def one(mission_id: FromPath[str], version: FromPath[int], versions: NamedDependency[Versions]) -> dict[str, Any]:
    """One version, with its items and its preview."""
    return await versions.one(mission_id, version)


@get("/versions/{version:int}/difference/{other:int}")
async def difference(
    mission_id: FromPath[str], version: FromPath[int], other: FromPath[int], versions: NamedDependency[Versions]
) -> dict[str, Any]:
    """What is otherwise in the second than in the first, in words, the most important first."""
    return await versions.difference(mission_id, version, other)


@post("/preview", guards=[requires(Role.OPERATOR, Role.ADMINISTRATOR)], status_code=202)
async def begin(
    mission_id: FromPath[str],
    request: Request[Person, Any, Any],
    preview_jobs: NamedDependency[PreviewJobs],
    data: JSONBody[PreviewOptions | None] = None,
) -> dict[str, Any]:
    """Fly its plan in the simulator, in the background."""
    return await preview_jobs.begin(mission_id, data or PreviewOptions(), person=request.user.name)


@get("/preview")
async def preview(mission_id: FromPath[str], preview_jobs: NamedDependency[PreviewJobs]) -> dict[str, Any]:
    """How that goes, and what came of it."""
    return await preview_jobs.of(mission_id)


router = Router(
    "/missions/{mission_id:str}", route_handlers=[everything, one, difference, begin, preview], tags=["missions"]
)
