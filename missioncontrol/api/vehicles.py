"""/vehicles: where they are, and what they are told to do."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from missioncontrol.api.access import requires
from missioncontrol.orders import Order, Orders
from missioncontrol.people import People, Person, Role
from missioncontrol.vehicles import ControlChange, Vehicles


class Believed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which way leads to a vehicle."""

    way: str
    """Its name, as /vehicles/links gives it."""


@get("/")
async def everything(roster: NamedDependency[Vehicles]) -> dict[str, Any]:
    """All vehicles that are ours or were heard."""
    return {"type": "FeatureCollection", "features": roster.features()}


@post("/{sysid:int}/commands", guards=[requires(Role.OPERATOR)], status_code=200)
async def command(
    sysid: FromPath[int],
    data: JSONBody[Order],
    request: Request[Person, Any, Any],
    roster: NamedDependency[Vehicles],
) -> dict[str, Any]:
    """Give an order: hold, resume, return, land, go to a place, look at one, and more."""
    return await roster.command(sysid, data, person=request.user.name)


@post("/commands", guards=[requires(Role.OPERATOR)], status_code=200)
async def command_all(
    data: JSONBody[Orders], request: Request[Person, Any, Any], roster: NamedDependency[Vehicles]
) -> list[dict[str, Any]]:
    """Give one order to several vehicles; a result for each."""
    return await roster.command_all(data, person=request.user.name)


@get("/links")
async def links(roster: NamedDependency[Vehicles]) -> dict[str, Any]:
    """What passed over each link and between each vehicle and us: frames, loss, round trips, what was not believed."""
    return roster.links()


@post("/{sysid:int}/identity", guards=[requires(Role.ADMINISTRATOR)], status_code=200)
async def believe(
    sysid: FromPath[int],
    data: JSONBody[Believed],
    request: Request[Person, Any, Any],
    roster: NamedDependency[Vehicles],
) -> dict[str, Any]:
    """Say which of two that claim one sysid is the vehicle; commands then go there again."""
    return await roster.believe(sysid, data.way, person=request.user.name)


@post("/{sysid:int}/signing", guards=[requires(Role.ADMINISTRATOR)], status_code=200)
async def sign(
    sysid: FromPath[int], request: Request[Person, Any, Any], roster: NamedDependency[Vehicles]
) -> dict[str, Any]:
    """Give a vehicle a signing key over a trusted link: its first, or another in its place."""
    return await roster.set_up_signing(sysid, person=request.user.name)


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


router = Router(
    "/vehicles", route_handlers=[everything, command, command_all, links, believe, sign, hold, track], tags=["vehicles"]
)
