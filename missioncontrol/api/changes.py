"""/changes: what changed between two layers, as a new layer."""

from __future__ import annotations

from litestar import Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from missioncontrol.api.access import requires
from missioncontrol.change_jobs import ChangeJob, ChangeJobs, ChangeOrder
from missioncontrol.people import Role


@post("/", guards=[requires(Role.OPERATOR, Role.INSPECTOR, Role.ADMINISTRATOR)], status_code=202)
async def begin(data: JSONBody[ChangeOrder], change_jobs: NamedDependency[ChangeJobs]) -> ChangeJob:
    """Start comparing two layers; what is found becomes a layer, its changes are at /layers/{name}/features."""
    return await change_jobs.begin(data)


@get("/{name:str}")
async def job(name: FromPath[str], change_jobs: NamedDependency[ChangeJobs]) -> ChangeJob:
    """How a comparison stands."""
    return change_jobs.of(name)


router = Router("/changes", route_handlers=[begin, job], tags=["city"])
