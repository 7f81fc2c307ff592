"""/session: log in, who am I, log out, one's own password."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, Router, delete, get, post, put
from litestar.datastructures import Cookie
from litestar.di import NamedDependency
from litestar.params import JSONBody

from missioncontrol.api.access import COOKIE, logged_in, token_of
from missioncontrol.people import LogIn, NewPassword, People, Person
from missioncontrol.settings import Settings


def _public(person: Person) -> dict[str, Any]:
    return {"name": person.name, "roles": list(person.roles), "language": person.language}


@post("/")
async def log_in(
    data: JSONBody[LogIn],
    request: Request[Any, Any, Any],
    people: NamedDependency[People],
    settings: NamedDependency[Settings],
) -> Response[dict[str, Any]]:
    """Log in; the answer's token is also set as a cookie."""
    person, token = await people.log_in(data, request.client.host if request.client else "")
    cookie = Cookie(
        key=COOKIE,
        value=token,
        path="/",
        httponly=True,
        samesite="strict",
        secure=settings.http.secure_cookie,
        max_age=int(settings.http.session_s),
    )
    return Response({**_public(person), "token": token}, status_code=201, cookies=[cookie])


@get("/", guards=[logged_in])
async def who_am_i(request: Request[Person, Any, Any]) -> dict[str, Any]:
    """The person whose session this is."""
    return _public(request.user)


@delete("/", guards=[logged_in])
async def log_out(request: Request[Person, Any, Any], people: NamedDependency[People]) -> Response[None]:
    """End the session."""
    await people.log_out(token_of(request) or "")
    return Response(None, status_code=204, cookies=[Cookie(key=COOKIE, path="/", max_age=0)])


@put("/password", guards=[logged_in], status_code=204)
async def change_password(
    data: JSONBody[NewPassword], request: Request[Person, Any, Any], people: NamedDependency[People]
) -> Response[None]:
    """Change one's own password; all sessions of one's own end, log in again."""
    await people.change_own_password(request.user, data, request.client.host if request.client else "")
    return Response(None, status_code=204, cookies=[Cookie(key=COOKIE, path="/", max_age=0)])


router = Router("/session", route_handlers=[log_in, who_am_i, log_out, change_password], tags=["session"])
