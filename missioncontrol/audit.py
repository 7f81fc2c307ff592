"""The audit: who did what, append-only, each entry sealed with the hash of the one before."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
from sqlalchemy import insert, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from missioncontrol.tables import audit

_FIRST = "0" * 64
SERVICE = "service"
"""Name under which the service itself acts."""


class AuditEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that was done."""

    utc_s: float
    """When, s since 1970 UTC."""
    person: str
    """Name of who did it, or `service`."""
    event: str
    """What was done."""
    detail: dict[str, Any] = {}
    """With what."""


async def record(
    connection: AsyncConnection,
    subject_kind: str,
    subject_id: str,
    entry: AuditEntry,
) -> None:
    """Append an entry about one thing, within the caller's writing transaction."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(7236416)"))
    last = select(audit.c.sha256).order_by(audit.c.number.desc()).limit(1)
    previous = (await connection.execute(last)).scalar() or _FIRST
    row = {"subject_kind": subject_kind, "subject_id": subject_id, **msgspec.to_builtins(entry)}
    await connection.execute(
        insert(audit).values(**row, previous_sha256=previous, sha256=_seal(previous, row)),
    )


async def history(connection: AsyncConnection, subject_kind: str, subject_id: str) -> list[AuditEntry]:
    """Everything about one thing, oldest first."""
    query = (
        select(audit.c.utc_s, audit.c.person, audit.c.event, audit.c.detail)
        .where(audit.c.subject_kind == subject_kind, audit.c.subject_id == subject_id)
        .order_by(audit.c.number)
    )
    return [AuditEntry(**row) for row in (await connection.execute(query)).mappings()]


async def first_broken(connection: AsyncConnection) -> int | None:
    """Number of the first entry whose seal does not hold; None if the whole chain does."""
    previous = _FIRST
    rows = await connection.stream(select(audit).order_by(audit.c.number))
    async for row in rows.mappings():
        entry = {key: row[key] for key in row if key not in ("number", "previous_sha256", "sha256")}
        if row["previous_sha256"] != previous or row["sha256"] != _seal(previous, entry):
            return int(row["number"])
        previous = row["sha256"]
    return None


def _seal(previous: str, row: dict[str, Any]) -> str:
    return hashlib.sha256(previous.encode() + msgspec.json.encode(row, order="deterministic")).hexdigest()
