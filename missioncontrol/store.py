"""The store: one code path over SQLite and over PostgreSQL with PostGIS."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import alembic.command
import alembic.config
import msgspec
import shapely
from sqlalchemy import Connection, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from missioncontrol.errors import StoreUnavailable
from missioncontrol.geometry import SQLITE_FUNCTIONS, to_ewkb

_DRIVERS = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "postgres": "postgresql+asyncpg"}
_WRITING = "missioncontrol_writing"


class Store:
    """The database, migrated to the present on entering.

    Writers run one at a time on SQLite (its file has one writer anyway);
    on PostgreSQL they run at once unless they name what they must have alone.
    """

    def __init__(self, url: str) -> None:
        """`url` is `sqlite:///path` or `postgresql://user:password@host:port/database`."""
        try:
            parsed = make_url(url)
        except ArgumentError as exc:
            raise StoreUnavailable(f"store.url {url!r} is not a database URL") from exc
        driver = _DRIVERS.get(parsed.drivername.split("+")[0])
        if driver is None:
            raise StoreUnavailable(f"store.url: {parsed.drivername} is neither sqlite nor postgresql")
        self.url: URL = parsed.set(drivername=driver)
        self.dialect_name = self.url.get_backend_name()
        self._engine: AsyncEngine | None = None
        self._writer = asyncio.Lock()

    async def __aenter__(self) -> Self:
        """Open, migrate. Raises StoreUnavailable."""
        shown = self.url.render_as_string(hide_password=True)
        try:
            if self.dialect_name == "sqlite":
                await asyncio.to_thread(_try_sqlite, self.url.database or "")
            await self._migrate()
            self._engine = self._make_engine(geometry_codec=True)
        except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
            raise StoreUnavailable(f"{shown}: cannot be opened: {exc}") from exc
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        if self._engine is not None:
            await self._engine.dispose()
            self._engine = None

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """A connection that sees one state of the store."""
        async with self._open_engine().connect() as connection:
            yield connection

    @asynccontextmanager
    async def writing(self, alone: str | None = None) -> AsyncIterator[AsyncConnection]:
        """A transaction, committed at the end; with `alone`, no other transaction of that word runs meanwhile."""
        engine = self._open_engine()
        if self.dialect_name == "sqlite":
            async with self._writer, engine.connect() as plain:
                connection = await plain.execution_options(**{_WRITING: True})
                async with connection.begin():
                    yield connection
            return
        async with engine.begin() as connection:
            if alone is not None:
                await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(alone)})
            yield connection

    async def check(self) -> None:
        """Ask the database something. Raises StoreUnavailable."""
        try:
            async with self.reading() as connection:
                await connection.execute(text("SELECT 1"))
        except (DBAPIError, OSError) as exc:
            raise StoreUnavailable(f"{self.url.render_as_string(hide_password=True)}: does not answer: {exc}") from exc

    def _open_engine(self) -> AsyncEngine:
        if self._engine is None:
            raise StoreUnavailable("the store is closed")
        return self._engine

    def _make_engine(self, *, geometry_codec: bool) -> AsyncEngine:
        engine = create_async_engine(
            self.url,
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
            pool_pre_ping=self.dialect_name == "postgresql",
        )
        if self.dialect_name == "sqlite":
            event.listen(engine.sync_engine, "connect", _prepare_sqlite)
            event.listen(engine.sync_engine, "begin", _begin_sqlite)
        elif geometry_codec:
            event.listen(engine.sync_engine, "connect", _prepare_postgresql)
        return engine

    async def _migrate(self) -> None:
        engine = self._make_engine(geometry_codec=False)
        try:
            async with engine.connect() as plain:
                connection = await plain.execution_options(**{_WRITING: True})
                async with connection.begin():
                    if self.dialect_name == "postgresql":
                        key = {"key": _lock_key("migrations")}
                        await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), key)
                    await connection.run_sync(upgrade)
        finally:
            await engine.dispose()


def upgrade(connection: Connection) -> None:
    """Bring the schema behind `connection` to the present, inside its transaction."""
    config = alembic.config.Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.attributes["connection"] = connection
    alembic.command.upgrade(config, "head")


def _lock_key(word: str) -> int:
    return int.from_bytes(hashlib.sha256(word.encode()).digest()[:8], "big", signed=True)


def _try_sqlite(database: str) -> None:
    """Open the file once by itself: aiosqlite leaves a thread behind where that fails."""
    Path(database).parent.mkdir(parents=True, exist_ok=True)
    with contextlib.closing(sqlite3.connect(database)) as connection:
        connection.execute("PRAGMA schema_version")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None
    for name, arguments, function in SQLITE_FUNCTIONS:
        connection.create_function(name, arguments, function, deterministic=True)
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=5000"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(_WRITING)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")


def _prepare_postgresql(connection: Any, _: Any) -> None:
    async def set_codec(driver: Any) -> None:
        schema = await driver.fetchval(
            "SELECT n.nspname FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typname = 'geometry'"
        )
        await driver.set_type_codec(
            "geometry", schema=schema, encoder=to_ewkb, decoder=shapely.from_wkb, format="binary"
        )

    connection.run_async(set_codec)
