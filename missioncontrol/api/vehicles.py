"""/vehicles: where they are, and what they are told to do."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from missioncontrol.api.access import requires
from missioncontrol.people import People, Person, Role
from missioncontrol.vehicles import Command, ControlChange, Vehicles


@get("/")
async def everything(roster: NamedDependency[Vehicles]) -> dict[str, Any]:
    """All vehicles that are ours or were heard."""
    return {"type": "FeatureCollection", "features": roster.features()}


@post("/{sysid:int}/commands", guards=[requires(Role.OPERATOR)], status_code=200)
async def command(
    sysid: FromPath[int],
    data: JSONBody[Command],
    request: Request[Person, Any, Any],
    roster: NamedDependency[Vehicles],
) -> dict[str, Any]:
    """Hold, resume, return, land or go to a place."""
    return await roster.command(sysid, data, person=request.user.name)


@post("/{sysid:int}/control", guards=[requires(Role.OPERATOR)], status_code=200)
async def hold(
    sysid: FromPath[int],
    data: JSONBody[ControlChange],
    request: Request[Person, Any, Any],
    roster: NamedDependency[Vehicles],
    people: NamedDependency[People],
) -> dict[str, Any]:
    """Take, take over, hand over or release a vehicle; who holds it then, and the fencing token."""
    if data.to is not None:
        await people.with_role(data.to, Role.OPERATOR)
    return await roster.change_control(sysid, data, person=request.user.name)


@get("/{sysid:int}/track")
async def track(
    sysid: FromPath[int],
    roster: NamedDependency[Vehicles],
    seconds: Annotated[float, QueryParameter(gt=0, le=86_400)] = 600.0,
) -> dict[str, Any]:
    """Where it was lately: a Feature, LineString of lon, lat, m AMSL."""
    return roster.track(sysid, seconds)


router = Router("/vehicles", route_handlers=[everything, command, hold, track], tags=["vehicles"])
