"""People: who may do what, their passwords and their sessions."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from collections import deque
from enum import StrEnum
from typing import Annotated, Any, Literal

import msgspec
import uuid_utils
from argon2 import PasswordHasher
from argon2.exceptions import VerificationError
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from missioncontrol import audit
from missioncontrol.clocks import Clock
from missioncontrol.errors import Conflict, InputInvalid, NotAuthenticated, NotFound, TooManyAttempts
from missioncontrol.settings import AdministratorSettings, HttpSettings
from missioncontrol.store import Store
from missioncontrol.tables import people, sessions

Language = Literal["kk", "ru", "en"]
_PUBLIC = (people.c.id, people.c.name, people.c.roles, people.c.language)
_ALONE = "people"


class Role(StrEnum):
    """What a person may do."""

    OPERATOR = "operator"
    """Plan, launch and command."""
    INSPECTOR = "inspector"
    """Confirm and reject incidents."""
    ADMINISTRATOR = "administrator"
    """Approve missions, manage people."""


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Someone who can log in."""

    id: str
    """UUIDv7."""
    name: str
    """Name to log in with."""
    roles: tuple[Role, ...]
    """What they may do."""
    language: Language = "en"
    """Language of the UI."""


class NewPerson(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person to be added."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=100)]
    """Name to log in with."""
    password: Annotated[str, msgspec.Meta(min_length=8, max_length=1000)]
    """Password, 8 characters at least."""
    roles: tuple[Role, ...]
    """What they may do."""
    language: Language = "en"
    """Language of the UI."""


class PersonChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be another way about a person; what is absent stays."""

    password: Annotated[str, msgspec.Meta(min_length=8, max_length=1000)] | None = None
    """New password; it ends all sessions of that person."""
    roles: tuple[Role, ...] | None = None
    """What they may do from now on."""
    language: Language | None = None
    """Language of the UI."""


class NewPassword(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One's own password, to be changed."""

    old: Annotated[str, msgspec.Meta(max_length=1000)]
    """The present one."""
    new: Annotated[str, msgspec.Meta(min_length=8, max_length=1000)]
    """The one from now on, 8 characters at least."""


class LogIn(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A name and its password."""

    name: Annotated[str, msgspec.Meta(max_length=100)]
    """Name."""
    password: Annotated[str, msgspec.Meta(max_length=1000)]
    """Password."""


class People:
    """The people of an installation and who of them is logged in."""

    def __init__(self, store: Store, settings: HttpSettings, clock: Clock) -> None:
        """Kept in `store`; sessions and throttling as `settings` say."""
        self._store, self._settings, self._clock = store, settings, clock
        self._hasher = PasswordHasher()
        self._hashing = asyncio.Semaphore(2)
        self._dummy_hash = self._hasher.hash(secrets.token_urlsafe())
        self._failures: dict[tuple[str, str], deque[float]] = {}

    async def everyone(self) -> list[Person]:
        """All people, by name."""
        async with self._store.reading() as connection:
            return [_person(row) for row in await connection.execute(select(*_PUBLIC).order_by(people.c.name))]

    async def with_role(self, name: str, role: Role) -> Person:
        """The person of that name who has a role. Raises NotFound, InputInvalid."""
        async with self._store.reading() as connection:
            person = await self._named(connection, name)
        if role not in person.roles:
            raise InputInvalid(f"{name} is not {role}")
        return person

    async def add(self, new: NewPerson, by: str) -> Person:
        """Add a person. Raises Conflict if the name is taken, InputInvalid without a role."""
        if not new.roles:
            raise InputInvalid("roles: a person needs at least one role")
        person = Person(
            id=str(uuid_utils.uuid7()),
            name=new.name.strip(),
            roles=tuple(dict.fromkeys(new.roles)),
            language=new.language,
        )
        if not person.name:
            raise InputInvalid("name: is blank")
        password_hash = await self._hashed(new.password)
        row = {**msgspec.to_builtins(person), "password_hash": password_hash, "created_utc_s": self._clock()}
        try:
            async with self._store.writing() as connection:
                await connection.execute(insert(people).values(**row))
                await self._note(connection, person, by, "added", {"name": person.name, "roles": row["roles"]})
        except IntegrityError as exc:
            raise Conflict(f"there is a person named {person.name!r} already") from exc
        return person

    async def change(self, name: str, change: PersonChange, by: str) -> Person:
        """Change a person. Raises NotFound, InputInvalid without a role, Conflict where no administrator would be
        left."""
        if change.roles is not None and not change.roles:
            raise InputInvalid("roles: a person needs at least one role")
        given = {key: value for key, value in msgspec.to_builtins(change).items() if value is not None}
        if not given:
            raise InputInvalid("give password, roles or language")
        password = given.pop("password", None)
        values = {**given, **({} if password is None else {"password_hash": await self._hashed(password)})}
        async with self._store.writing(alone=_ALONE) as connection:
            person = await self._named(connection, name)
            if change.roles is not None and Role.ADMINISTRATOR not in change.roles:
                await self._check_another(connection, person)
            await connection.execute(update(people).where(people.c.id == person.id).values(**values))
            if password is not None:
                await connection.execute(delete(sessions).where(sessions.c.person_id == person.id))
            detail = {"name": name, **given, **({} if password is None else {"password": "changed"})}
            await self._note(connection, person, by, "changed", detail)
            return await self._named(connection, name)

    async def change_own_password(self, person: Person, change: NewPassword, address: str) -> None:
        """As the person asks who knows the old one; it ends all their sessions. Raises NotAuthenticated,
        TooManyAttempts."""
        await self.log_in(LogIn(name=person.name, password=change.old), address)
        await self.change(person.name, PersonChange(password=change.new), by=person.name)

    async def remove(self, name: str, by: str) -> None:
        """End a person's access; what they did stays told under their name. Raises NotFound, Conflict where no
        administrator would be left."""
        async with self._store.writing(alone=_ALONE) as connection:
            person = await self._named(connection, name)
            await self._check_another(connection, person)
            await connection.execute(delete(sessions).where(sessions.c.person_id == person.id))
            await connection.execute(delete(people).where(people.c.id == person.id))
            await self._note(connection, person, by, "removed", {"name": name})

    async def _named(self, connection: AsyncConnection, name: str) -> Person:
        row = (await connection.execute(select(*_PUBLIC).where(people.c.name == name))).first()
        if row is None:
            raise NotFound(f"nobody is named {name!r}")
        return _person(row)

    async def _check_another(self, connection: AsyncConnection, person: Person) -> None:
        """Raises Conflict for the last one who may manage people."""
        everyone = [_person(row) for row in await connection.execute(select(*_PUBLIC))]
        if Role.ADMINISTRATOR in person.roles and sum(Role.ADMINISTRATOR in one.roles for one in everyone) == 1:
            raise Conflict(f"{person.name} is the last administrator: make another one first")

    async def _hashed(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _note(
        self, connection: AsyncConnection, person: Person, by: str, event: str, detail: dict[str, Any]
    ) -> None:
        entry = audit.AuditEntry(utc_s=self._clock(), person=by, event=event, detail=detail)
        await audit.record(connection, "person", person.id, entry)

    async def ensure_administrator(self, first: AdministratorSettings) -> str | None:
        """On an empty store, add the first administrator; returns the password if it was made up here."""
        if await self.everyone():
            return None
        password = first.password or secrets.token_urlsafe(12)
        new = NewPerson(name=first.name, password=password, roles=tuple(Role), language=first.language)
        await self.add(new, by=audit.SERVICE)
        return None if first.password else password

    async def log_in(self, log_in: LogIn, address: str) -> tuple[Person, str]:
        """The person and a new session token. Raises NotAuthenticated, TooManyAttempts."""
        key = (log_in.name, address)
        self._throttle(key)
        async with self._store.reading() as connection:
            row = (await connection.execute(select(people).where(people.c.name == log_in.name))).first()
        stored = row.password_hash if row is not None else self._dummy_hash
        async with self._hashing:
            right = await asyncio.to_thread(self._verify, stored, log_in.password)
        if row is None or not right:
            self._failures.setdefault(key, deque()).append(self._clock())
            raise NotAuthenticated("the name or the password is wrong")
        self._failures.pop(key, None)
        person = _person(row)
        token, now = secrets.token_urlsafe(32), self._clock()
        async with self._store.writing() as connection:
            await connection.execute(delete(sessions).where(sessions.c.expires_utc_s < now))
            await connection.execute(
                insert(sessions).values(
                    token_sha256=_digest(token),
                    person_id=person.id,
                    created_utc_s=now,
                    expires_utc_s=now + self._settings.session_s,
                )
            )
        return person, token

    async def person_of(self, token: str) -> Person | None:
        """Whose session a token is; None when unknown or expired."""
        query = (
            select(*_PUBLIC)
            .join(sessions, sessions.c.person_id == people.c.id)
            .where(sessions.c.token_sha256 == _digest(token), sessions.c.expires_utc_s > self._clock())
        )
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).first()
        return None if row is None else _person(row)

    async def log_out(self, token: str) -> None:
        """End a session."""
        async with self._store.writing() as connection:
            await connection.execute(delete(sessions).where(sessions.c.token_sha256 == _digest(token)))

    def _verify(self, stored: str, password: str) -> bool:
        try:
            return self._hasher.verify(stored, password)
        except VerificationError:
            return False

    def _throttle(self, key: tuple[str, str]) -> None:
        now, window_s = self._clock(), self._settings.login_window_s
        for stale in [k for k, times in self._failures.items() if times[-1] < now - window_s]:
            del self._failures[stale]
        times = self._failures.get(key)
        if times is None:
            return
        while times[0] < now - window_s:
            times.popleft()
        if len(times) >= self._settings.login_attempts:
            wait_s = times[0] + window_s - now
            raise TooManyAttempts(
                f"{len(times)} failed log-ins as {key[0]!r} within {window_s:g} s; try again in {wait_s:.0f} s",
                retry_after_s=wait_s,
            )


def _person(row: Row[Any]) -> Person:
    return Person(id=row.id, name=row.name, roles=tuple(map(Role, row.roles)), language=row.language)


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()
