"""`missioncontrol people ...`: who can log in, also where nobody remembers the administrator's password."""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from missioncontrol.terminal import Configured, Found, Json, answer, listing, with_store

if TYPE_CHECKING:
    from missioncontrol.people import People, Role
    from missioncontrol.settings import Settings
    from missioncontrol.store import Store

people_app = typer.Typer(help="Who can log in.", no_args_is_help=True)
BY = "command line"
"""Who did it, in the audit."""

Who = Annotated[str, typer.Argument(help="Name to log in with.")]
Roles = Annotated[list[str], typer.Option("--role", help="operator, inspector or administrator; may be repeated.")]


@people_app.command("list")
def people_list(settings: Configured = None, as_json: Json = False) -> None:
    """List everyone with what they may do.

    Example: missioncontrol people list --settings missioncontrol.toml
    """
    found = _with_people(settings, lambda people: people.everyone())
    lines = [f"{person.name:24} {', '.join(person.roles)}  ({person.language})" for person in found]
    listing(found, as_json, lines, "there is nobody yet: the first start makes an administrator")


@people_app.command("add")
def people_add(who: Who, role: Roles, settings: Configured = None, as_json: Json = False) -> None:
    """Add a person; a password is made up and told once.

    Example: missioncontrol people add aigul --role operator --settings missioncontrol.toml
    """
    from missioncontrol.people import NewPerson

    password = secrets.token_urlsafe(12)
    new = NewPerson(name=who, password=password, roles=_roles(role))
    person = _with_people(settings, lambda people: people.add(new, BY))
    answer({"name": person.name, "roles": person.roles, "password": password}, as_json, _told(person.name, password))


@people_app.command("password")
def people_password(who: Who, settings: Configured = None, as_json: Json = False) -> None:
    """Give a person a new password, made up and told once; all their sessions end.

    Example: missioncontrol people password administrator --settings missioncontrol.toml
    """
    from missioncontrol.people import PersonChange

    password = secrets.token_urlsafe(12)
    _with_people(settings, lambda people: people.change(who, PersonChange(password=password), BY))
    answer({"name": who, "password": password}, as_json, _told(who, password))


@people_app.command("roles")
def people_roles(who: Who, role: Roles, settings: Configured = None, as_json: Json = False) -> None:
    """Say anew what a person may do.

    Example: missioncontrol people roles aigul --role operator --role inspector --settings missioncontrol.toml
    """
    from missioncontrol.people import PersonChange

    change = PersonChange(roles=_roles(role))
    person = _with_people(settings, lambda people: people.change(who, change, BY))
    answer(person, as_json, f"{person.name}: {', '.join(person.roles)}")


@people_app.command("remove")
def people_remove(who: Who, settings: Configured = None, as_json: Json = False) -> None:
    """End a person's access; what they did stays told under their name.

    Example: missioncontrol people remove aigul --settings missioncontrol.toml
    """
    _with_people(settings, lambda people: people.remove(who, BY))
    answer({"removed": who}, as_json, f"{who} can log in no more")


def _told(name: str, password: str) -> str:
    return f"password of {name}: {password}\nIt is told this once; it can be changed by PUT /session/password."


def _roles(names: list[str]) -> tuple[Role, ...]:
    from missioncontrol.errors import InputInvalid
    from missioncontrol.people import Role

    try:
        return tuple(map(Role, names))
    except ValueError as exc:
        raise InputInvalid(f"--role: {exc}; there are: {', '.join(Role)}") from exc


def _with_people(path: Path | None, work: Callable[[People], Awaitable[Found]]) -> Found:
    from missioncontrol.people import People

    async def run(store: Store, settings: Settings) -> Found:
        return await work(People(store, settings.http, time.time))

    return with_store(path, run)
