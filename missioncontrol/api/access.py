"""Who is asking, and may they."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from litestar.connection import ASGIConnection
from litestar.enums import ScopeType
from litestar.handlers import BaseRouteHandler

from missioncontrol.errors import NotAuthenticated, NotPermitted
from missioncontrol.people import People, Person, Role

COOKIE = "mc_session"
CSRF_HEADER, CSRF_VALUE = "x-requested-with", "missioncontrol"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
Connection = ASGIConnection[Any, Any, Any, Any]


def token_of(connection: Connection) -> str | None:
    """Session token of a request, from the Authorization header or the cookie."""
    scheme, _, token = connection.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and token:
        return token.strip()
    return connection.cookies.get(COOKIE)


async def logged_in(connection: Connection, _: BaseRouteHandler) -> None:
    """Guard: somebody is logged in, and a browser was not tricked into asking."""
    token = token_of(connection)
    people: People = connection.app.state.people
    person = await people.person_of(token) if token else None
    if person is None:
        raise NotAuthenticated("log in first" if token is None else "the session has ended; log in again")
    if "authorization" not in connection.headers:
        _check_origin(connection)
    connection.scope["user"] = person


def requires(*roles: Role) -> Any:
    """Guard: the person has one of the roles."""

    async def permitted(connection: Connection, _: BaseRouteHandler) -> None:
        person: Person = connection.user
        if not set(roles) & set(person.roles):
            raise NotPermitted(f"{person.name} is not {' or '.join(roles)}")

    return permitted


def _check_origin(connection: Connection) -> None:
    if connection.scope["type"] == ScopeType.WEBSOCKET:
        origin = connection.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != connection.headers.get("host"):
            raise NotPermitted(f"a page of {origin} may not listen in")
    elif connection.scope["method"] not in _SAFE and connection.headers.get(CSRF_HEADER) != CSRF_VALUE:
        raise NotPermitted(f"a request with the session cookie needs the header X-Requested-With: {CSRF_VALUE}")
