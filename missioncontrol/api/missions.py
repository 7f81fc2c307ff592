"""/plans and /missions: plan, approve, launch, abort."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from missioncontrol.api.access import requires
from missioncontrol.flights import Flights
from missioncontrol.missions import Missions, NewMission
from missioncontrol.people import Person, Role
from missioncontrol.requests import PlanRequest
from missioncontrol.watches import Watches

_PLAN_GUARDS = [requires(Role.OPERATOR, Role.ADMINISTRATOR)]


class Replan(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to plan anew."""

    request: PlanRequest | None = None
    """Another request; the mission's own where absent."""


@post("/plans", guards=_PLAN_GUARDS, status_code=200, tags=["missions"])
async def preview(data: JSONBody[PlanRequest], missions: NamedDependency[Missions]) -> dict[str, Any]:
    """What a request would come to; nothing is kept."""
    return await missions.preview(data)


@get("/")
async def everything(missions: NamedDependency[Missions]) -> list[dict[str, Any]]:
    """All missions, newest first."""
    return await missions.everything()


@post("/", guards=_PLAN_GUARDS)
async def create(
    data: JSONBody[NewMission], request: Request[Person, Any, Any], missions: NamedDependency[Missions]
) -> dict[str, Any]:
    """A new draft."""
    return await missions.create(data, person=request.user.name)


@get("/{mission_id:str}")
async def one(mission_id: FromPath[str], missions: NamedDependency[Missions]) -> dict[str, Any]:
    """A mission with its plan, progress and history."""
    return await missions.get(mission_id)


@post("/{mission_id:str}/plan", guards=_PLAN_GUARDS, status_code=200)
async def plan(
    mission_id: FromPath[str],
    request: Request[Person, Any, Any],
    missions: NamedDependency[Missions],
    data: JSONBody[Replan | None] = None,
) -> dict[str, Any]:
    """Plan it, or plan it again; an approval is lost by that."""
    return await missions.plan(mission_id, person=request.user.name, request=data.request if data else None)


@post("/{mission_id:str}/approve", guards=[requires(Role.ADMINISTRATOR)], status_code=200)
async def approve(
    mission_id: FromPath[str], request: Request[Person, Any, Any], missions: NamedDependency[Missions]
) -> dict[str, Any]:
    """Approve exactly the present plan."""
    return await missions.approve(mission_id, person=request.user.name)


@get("/{mission_id:str}/preflight", guards=[requires(Role.OPERATOR)])
async def preflight(
    mission_id: FromPath[str], request: Request[Person, Any, Any], flights: NamedDependency[Flights]
) -> list[dict[str, Any]]:
    """The checks that a launch would make, as they are now, by vehicle."""
    return await flights.preflight(mission_id, person=request.user.name)


@post("/{mission_id:str}/launch", guards=[requires(Role.OPERATOR)], status_code=202)
async def launch(
    mission_id: FromPath[str], request: Request[Person, Any, Any], flights: NamedDependency[Flights]
) -> dict[str, Any]:
    """Upload, read back, arm and start, in the background."""
    return await flights.launch(mission_id, person=request.user.name)


@get("/{mission_id:str}/watch")
async def watch(mission_id: FromPath[str], watches: NamedDependency[Watches]) -> dict[str, Any]:
    """How a watch was kept: the times in which nobody was at the place, as flown."""
    return await watches.of_mission(mission_id)


@post("/{mission_id:str}/abort", guards=[requires(Role.OPERATOR)], status_code=200)
async def abort(
    mission_id: FromPath[str], request: Request[Person, Any, Any], flights: NamedDependency[Flights]
) -> dict[str, Any]:
    """All its vehicles return and land."""
    return await flights.abort(mission_id, person=request.user.name)


router = Router(
    "/missions",
    route_handlers=[everything, create, one, plan, approve, preflight, launch, watch, abort],
    tags=["missions"],
)
