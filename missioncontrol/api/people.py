"""/people: who can log in."""

from __future__ import annotations

from typing import Any

from litestar import Request, Router, get, post
from litestar.di import NamedDependency
from litestar.params import JSONBody

from missioncontrol.api.access import requires
from missioncontrol.people import NewPerson, People, Person, Role


@get("/")
async def everyone(people: NamedDependency[People]) -> list[Person]:
    """All people."""
    return await people.everyone()


@post("/")
async def add(data: JSONBody[NewPerson], request: Request[Person, Any, Any], people: NamedDependency[People]) -> Person:
    """Add a person."""
    return await people.add(data, by=request.user.name)


router = Router("/people", route_handlers=[everyone, add], guards=[requires(Role.ADMINISTRATOR)], tags=["people"])
