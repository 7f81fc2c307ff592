"""/people: who can log in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, delete, get, patch, post
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody

from missioncontrol.api.access import requires
from missioncontrol.people import NewPerson, People, Person, PersonChange, Role


@get("/")
async def everyone(people: NamedDependency[People]) -> list[Person]:
    """All people."""
    return await people.everyone()


@post("/")
async def add(data: JSONBody[NewPerson], request: Request[Person, Any, Any], people: NamedDependency[People]) -> Person:
    """Add a person."""
    return await people.add(data, by=request.user.name)


@patch("/{name:str}")
async def change(
    name: FromPath[str],
    data: JSONBody[PersonChange],
    request: Request[Person, Any, Any],
    people: NamedDependency[People],
) -> Person:
    """Give a person another password, other roles or another language; a new password ends their sessions."""
    return await people.change(name, data, by=request.user.name)


@delete("/{name:str}")
async def remove(name: FromPath[str], request: Request[Person, Any, Any], people: NamedDependency[People]) -> None:
    """End a person's access; what they did stays told under their name."""
    await people.remove(name, by=request.user.name)


router = Router(
    "/people", route_handlers=[everyone, add, change, remove], guards=[requires(Role.ADMINISTRATOR)], tags=["people"]
)
