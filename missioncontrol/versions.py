"""Versions of a mission's plan: what each comes to, how two differ, and how each fared in the simulator."""

from __future__ import annotations

from typing import Any

import msgspec
from sqlalchemy import delete, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.differences import NOTHING, differences
from missioncontrol.errors import Conflict, NotFound
from missioncontrol.plans import Plan
from missioncontrol.previews import Preview
from missioncontrol.store import Store
from missioncontrol.tables import missions, plans, previews

FIGURES = ("path_m", "duration_s", "sorties", "energy_wh", "photos", "area_m2")
"""Of a plan, in lists of versions."""


class Versions:
    """The versions of all plans; none of them ever changes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        """In `store`."""
        self._store, self._clock = store, clock

    async def listed(self, mission_id: str) -> list[dict[str, Any]]:
        """Every version, oldest first, with its figures and its preview's words. Raises NotFound."""
        query = (
            select(plans, previews.c.preview)
            .outerjoin(
                previews, (previews.c.mission_id == plans.c.mission_id) & (previews.c.version == plans.c.version)
            )
            .where(plans.c.mission_id == mission_id)
            .order_by(plans.c.version)
        )
        async with self._store.reading() as connection:
            row = await _mission(connection, mission_id)
            found = (await connection.execute(query)).all()
        return [
            {
                "version": version.version,
                "hash": version.hash,
                "created_utc": iso_utc(version.created_utc_s),
                **{name: version.plan[name] for name in FIGURES},
                "approved": version.version == row.plan_version and version.hash == row.approved_hash,
                "preview": None if version.preview is None else version.preview["words"],
            }
            for version in found
        ]

    async def one(self, mission_id: str, version: int) -> dict[str, Any]:
        """A version whole, with its preview. Raises NotFound."""
        async with self._store.reading() as connection:
            await _mission(connection, mission_id)
            row = await _version(connection, mission_id, version)
            preview = await _preview(connection, mission_id, version)
        plan = msgspec.convert(row.plan, Plan)
        return {
            "version": version,
            "hash": row.hash,
            "created_utc": iso_utc(row.created_utc_s),
            "plan": plan.public(items=True),
            "preview": preview,
        }

    async def difference(self, mission_id: str, before: int, after: int) -> dict[str, Any]:
        """How a version differs from another, in words. Raises NotFound."""
        async with self._store.reading() as connection:
            await _mission(connection, mission_id)
            rows = [await _version(connection, mission_id, version) for version in (before, after)]
        old, new = (msgspec.convert(row.plan, Plan) for row in rows)
        return {"words": differences(old, new) or (NOTHING,)}

    async def present(self, mission_id: str) -> tuple[int, Plan]:
        """Number and plan of the present version. Raises NotFound, Conflict where there is no plan yet."""
        async with self._store.reading() as connection:
            row = await _mission(connection, mission_id)
            if row.plan_version == 0:
                raise Conflict(f"mission {mission_id}: has no plan yet")
            version = await _version(connection, mission_id, row.plan_version)
        return row.plan_version, msgspec.convert(version.plan, Plan)

    async def preview(self, mission_id: str, version: int) -> dict[str, Any] | None:
        """How it fared in the simulator; None where nobody tried. Raises NotFound."""
        async with self._store.reading() as connection:
            await _version(connection, mission_id, version)
            return await _preview(connection, mission_id, version)

    async def keep_preview(self, mission_id: str, version: int, preview: Preview, *, person: str) -> None:
        """Keep how it fared, instead of what was kept before. Raises NotFound."""
        async with self._store.writing() as connection:
            await _version(connection, mission_id, version)
            await connection.execute(
                delete(previews).where(previews.c.mission_id == mission_id, previews.c.version == version)
            )
            await connection.execute(
                insert(previews).values(
                    mission_id=mission_id,
                    version=version,
                    preview=msgspec.to_builtins(preview),
                    created_by=person,
                    created_utc_s=self._clock(),
                )
            )


async def _mission(connection: AsyncConnection, mission_id: str) -> Any:
    columns = (missions.c.plan_version, missions.c.approved_hash)
    row = (await connection.execute(select(*columns).where(missions.c.id == mission_id))).first()
    if row is None:
        raise NotFound(f"no mission {mission_id}")
    return row


async def _version(connection: AsyncConnection, mission_id: str, version: int) -> Any:
    query = select(plans).where(plans.c.mission_id == mission_id, plans.c.version == version)
    row = (await connection.execute(query)).first()
    if row is None:
        raise NotFound(f"mission {mission_id} has no version {version} of its plan")
    return row


async def _preview(connection: AsyncConnection, mission_id: str, version: int) -> dict[str, Any] | None:
    query = select(previews).where(previews.c.mission_id == mission_id, previews.c.version == version)
    row = (await connection.execute(query)).first()
    if row is None:
        return None
    return {"created_utc": iso_utc(row.created_utc_s), "created_by": row.created_by, **row.preview}
