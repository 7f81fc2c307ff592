"""The audit: what was written stays written."""

from __future__ import annotations

from sqlalchemy import delete, update

from missioncontrol import audit
from missioncontrol.audit import AuditEntry
from missioncontrol.store import Store
from missioncontrol.tables import audit as table


async def write(store: Store) -> None:
    for number in range(5):
        async with store.writing() as connection:
            entry = AuditEntry(utc_s=number + 0.125, person="a", event="did", detail={"number": number, "x": 0.1})
            await audit.record(connection, "mission", str(number % 2), entry)


async def test_a_subject_has_its_own_history(store: Store) -> None:
    await write(store)
    async with store.reading() as connection:
        found = await audit.history(connection, "mission", "1")
        assert await audit.first_broken(connection) is None
    assert [entry.detail["number"] for entry in found] == [1, 3]


async def test_a_changed_entry_shows(store: Store) -> None:
    await write(store)
    async with store.writing() as connection:
        await connection.execute(update(table).where(table.c.number == 3).values(person="b"))
    async with store.reading() as connection:
        assert await audit.first_broken(connection) == 3


async def test_a_missing_entry_shows(store: Store) -> None:
    await write(store)
    async with store.writing() as connection:
        await connection.execute(delete(table).where(table.c.number == 2))
    async with store.reading() as connection:
        assert await audit.first_broken(connection) == 3
