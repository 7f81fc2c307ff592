"""Missions: draft, planned, approved, uploaded, flying, done; what is flown is what was approved."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import structlog
import uuid_utils
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fleet.missions import mission_hash
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import HashMismatch, NotFound, TransitionImpossible
from missioncontrol.plans import Plan, plan_hash
from missioncontrol.requests import PlanRequest
from missioncontrol.store import Store
from missioncontrol.tables import flights, missions, plans

log = structlog.get_logger(__name__)

PlanMaker = Callable[[PlanRequest], Awaitable[Plan]]
"""Makes a plan of a request."""
Also = Callable[[AsyncConnection, str], Awaitable[None]]
"""Gets a transaction and the id of the mission that is written in it."""
_ALONE = "missions"
IN_ADVANCE = "approved in advance"
"""In the history, of an approval that a person gave to a plan before the mission was made."""


class MissionState(StrEnum):
    """Where a mission stands."""

    DRAFT = "draft"
    PLANNED = "planned"
    APPROVED = "approved"
    UPLOADED = "uploaded"
    FLYING = "flying"
    DONE = "done"
    FAILED = "failed"
    ABORTED = "aborted"


TRANSITIONS: dict[MissionState, frozenset[MissionState]] = {
    MissionState.DRAFT: frozenset({MissionState.PLANNED, MissionState.ABORTED}),
    MissionState.PLANNED: frozenset({MissionState.PLANNED, MissionState.APPROVED, MissionState.ABORTED}),
    MissionState.APPROVED: frozenset(
        {MissionState.PLANNED, MissionState.UPLOADED, MissionState.FAILED, MissionState.ABORTED}
    ),
    MissionState.UPLOADED: frozenset({MissionState.FLYING, MissionState.FAILED, MissionState.ABORTED}),
    MissionState.FLYING: frozenset(
        {MissionState.DONE, MissionState.APPROVED, MissionState.FAILED, MissionState.ABORTED}
    ),
    MissionState.FAILED: frozenset({MissionState.PLANNED}),
    MissionState.ABORTED: frozenset({MissionState.PLANNED}),
    MissionState.DONE: frozenset(),
}
"""What may follow what; planning again always begins anew, without the approval. After the first flights of a plan
of several sorties it is approved again, for the next."""


class NewMission(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mission to be made."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    """What people call it."""
    purpose: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """What it is for."""
    request: PlanRequest
    """What is to be flown."""


class Missions:
    """All missions of an installation."""

    def __init__(
        self, store: Store, planner: PlanMaker, clock: Clock, *, on_change: Callable[[dict[str, Any]], None]
    ) -> None:
        """`planner` makes plans; `on_change` gets each mission that changed, as the API gives it."""
        self._store, self._planner, self._clock, self._on_change = store, planner, clock, on_change

    async def preview(self, request: PlanRequest) -> dict[str, Any]:
        """What a request would come to; nothing is kept."""
        request.check()
        return (await self._planner(request)).public(items=False)

    async def create(self, new: NewMission, *, person: str, also: Also | None = None) -> dict[str, Any]:
        """A new draft; `also` writes in the same transaction what must be there with it or not at all."""
        new.request.check()
        mission_id, now = str(uuid_utils.uuid7()), self._clock()
        async with self._store.writing(alone=_ALONE) as connection:
            await connection.execute(
                insert(missions).values(
                    id=mission_id,
                    name=new.name,
                    purpose=new.purpose,
                    state=MissionState.DRAFT.value,
                    request=msgspec.to_builtins(new.request),
                    plan_version=0,
                    created_by=person,
                    created_utc_s=now,
                    updated_utc_s=now,
                )
            )
            await self._record(connection, mission_id, person, "created", {"name": new.name})
            if also is not None:
                await also(connection, mission_id)
        return await self.announce(mission_id)

    async def plan(self, mission_id: str, *, person: str, request: PlanRequest | None = None) -> dict[str, Any]:
        """Plan, or plan again (with another request): a new version, not approved. Raises TransitionImpossible."""
        async with self._store.reading() as connection:
            row = await _row(connection, mission_id)
        _check_step(row, MissionState.PLANNED)
        request = request or _request(row)
        request.check()
        plan = await self._planner(request)
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, mission_id)
            _check_step(row, MissionState.PLANNED)
            version = row.plan_version + 1
            await connection.execute(
                insert(plans).values(
                    mission_id=mission_id,
                    version=version,
                    hash=plan.hash,
                    plan=msgspec.to_builtins(plan),
                    created_utc_s=self._clock(),
                )
            )
            await self._set(
                connection,
                mission_id,
                state=MissionState.PLANNED.value,
                request=msgspec.to_builtins(request),
                plan_version=version,
                plan_hash=plan.hash,
                approved_hash=None,
                approved_by=None,
                approved_utc_s=None,
                reason=None,
            )
            await self._record(connection, mission_id, person, "planned", {"version": version, "hash": plan.hash})
        return await self.announce(mission_id)

    async def approve(self, mission_id: str, *, person: str, in_advance: str | None = None) -> dict[str, Any]:
        """Approve exactly the present plan; `in_advance` is the hash that the person approved before it was made.

        Raises TransitionImpossible, HashMismatch.
        """
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, mission_id)
            _check_step(row, MissionState.APPROVED)
            if in_advance not in (None, row.plan_hash):
                raise HashMismatch(f"mission {mission_id}: its plan is not the one that was approved in advance")
            await self._set(
                connection,
                mission_id,
                state=MissionState.APPROVED.value,
                approved_hash=row.plan_hash,
                approved_by=person,
                approved_utc_s=self._clock(),
            )
            detail = {"version": row.plan_version, "hash": row.plan_hash}
            await self._record(connection, mission_id, person, "approved" if in_advance is None else IN_ADVANCE, detail)
        return await self.announce(mission_id)

    async def present_plan(self, mission_id: str) -> Plan:
        """Its latest plan, approved or not. Raises NotFound."""
        async with self._store.reading() as connection:
            plan = await _plan(connection, await _row(connection, mission_id))
        if plan is None:
            raise NotFound(f"mission {mission_id} has no plan yet")
        return plan

    async def approved_plan(self, mission_id: str) -> Plan:
        """The plan that may be flown now. Raises TransitionImpossible, HashMismatch if it is not what was approved."""
        async with self._store.reading() as connection:
            row = await _row(connection, mission_id)
            if row.state != MissionState.APPROVED:
                raise TransitionImpossible(f"mission {mission_id} is {row.state}; only an approved one can be launched")
        return await self.launched_plan(mission_id)

    async def launched_plan(self, mission_id: str) -> Plan:
        """The plan that was approved, wherever the mission stands since. Raises HashMismatch if it is another now."""
        async with self._store.reading() as connection:
            row = await _row(connection, mission_id)
            plan = await _plan(connection, row)
        if plan is None or row.approved_hash is None:
            raise HashMismatch(f"mission {mission_id}: no plan of it was approved")
        for part in plan.vehicles:
            if mission_hash(list(part.items)) != part.hash:
                raise HashMismatch(f"mission {mission_id}: the items of vehicle {part.sysid} are not those planned")
        if plan_hash(plan.vehicles, plan.lost_link) != row.approved_hash or plan.hash != row.approved_hash:
            raise HashMismatch(
                f"mission {mission_id}: its plan hashes to {plan.hash[:12]}, approved was {row.approved_hash[:12]}"
            )
        return plan

    async def planned_utc_s(self, mission_id: str) -> float:
        """When the present version of its plan was made, s since 1970 UTC. Raises NotFound."""
        async with self._store.reading() as connection:
            row = await _row(connection, mission_id)
            query = select(plans.c.created_utc_s)
            query = query.where(plans.c.mission_id == mission_id, plans.c.version == row.plan_version)
            return float((await connection.execute(query)).scalar_one())

    async def step(
        self,
        mission_id: str,
        after: MissionState,
        *,
        person: str = audit.SERVICE,
        detail: dict[str, Any] | None = None,
        reason: str | None = None,
        approved: str | None = None,
    ) -> dict[str, Any]:
        """Move on, where `approved` (a plan's hash) is given only if that is what is approved still.

        Raises NotFound, TransitionImpossible.
        """
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, mission_id)
            _check_step(row, after)
            if approved is not None and row.approved_hash != approved:
                raise TransitionImpossible(f"mission {mission_id}: another plan was approved meanwhile")
            await self._set(connection, mission_id, state=after.value, reason=reason)
            whole = {**(detail or {}), **({} if reason is None else {"reason": reason})}
            await self._record(connection, mission_id, person, after.value, whole)
        return await self.announce(mission_id)

    async def advance(self, mission_id: str, after: MissionState, **more: Any) -> bool:
        """As `step`; False where it cannot be, since another vehicle did already or a person aborted it meanwhile."""
        try:
            await self.step(mission_id, after, **more)
        except TransitionImpossible as exc:
            log.info("mission not moved on", mission=mission_id, to=after, why=str(exc))
            return False
        return True

    async def note(self, mission_id: str, event: str, *, person: str, detail: dict[str, Any]) -> None:
        """Write an event into the history."""
        async with self._store.writing(alone=_ALONE) as connection:
            await self._record(connection, mission_id, person, event, detail)
        await self.announce(mission_id)

    async def state(self, mission_id: str) -> MissionState:
        """Where a mission stands. Raises NotFound."""
        async with self._store.reading() as connection:
            return MissionState((await _row(connection, mission_id)).state)

    async def get(self, mission_id: str) -> dict[str, Any]:
        """A mission with its plan, items, progress and history. Raises NotFound."""
        async with self._store.reading() as connection:
            row = await _row(connection, mission_id)
            plan = await _plan(connection, row)
            entries = await audit.history(connection, "mission", mission_id)
            progress = await _progress(connection, [mission_id])
        return {
            **_public(row, progress.get(mission_id, [])),
            "plan": None if plan is None else plan.public(items=True),
            "history": [
                {"utc": iso_utc(entry.utc_s), "person": entry.person, "event": entry.event, "detail": words(entry)}
                for entry in entries
            ],
        }

    async def everything(self, limit: int = 200) -> list[dict[str, Any]]:
        """Missions without their plans, newest first."""
        query = select(missions).order_by(missions.c.created_utc_s.desc()).limit(limit)
        async with self._store.reading() as connection:
            rows = (await connection.execute(query)).all()
            progress = await _progress(connection, [row.id for row in rows])
        return [_public(row, progress.get(row.id, [])) for row in rows]

    async def announce(self, mission_id: str) -> dict[str, Any]:
        """Tell the live clients how a mission now stands; returns it whole."""
        mission = await self.get(mission_id)
        self._on_change({key: value for key, value in mission.items() if key != "plan"})
        return mission

    async def _set(self, connection: AsyncConnection, mission_id: str, **values: Any) -> None:
        await connection.execute(
            update(missions).where(missions.c.id == mission_id).values(**values, updated_utc_s=self._clock())
        )

    async def _record(
        self, connection: AsyncConnection, mission_id: str, person: str, event: str, detail: dict[str, Any]
    ) -> None:
        entry = audit.AuditEntry(utc_s=self._clock(), person=person, event=event, detail=detail)
        await audit.record(connection, "mission", mission_id, entry)


def words(entry: audit.AuditEntry) -> str:
    """What an entry says, for people: `version: 2; hash: 3fa9...`."""
    return "; ".join(f"{key}: {value}" for key, value in entry.detail.items())


def _request(row: Row[Any]) -> PlanRequest:
    request: PlanRequest = msgspec.convert(row.request, PlanRequest)
    return request


def _check_step(row: Row[Any], after: MissionState) -> None:
    before = MissionState(row.state)
    if after not in TRANSITIONS[before]:
        may = ", ".join(sorted(TRANSITIONS[before])) or "nothing"
        raise TransitionImpossible(f"mission {row.id} is {before}; it cannot become {after}, only {may}")


async def _row(connection: AsyncConnection, mission_id: str) -> Row[Any]:
    row = (await connection.execute(select(missions).where(missions.c.id == mission_id))).first()
    if row is None:
        raise NotFound(f"no mission {mission_id}")
    return row


async def _plan(connection: AsyncConnection, row: Row[Any]) -> Plan | None:
    if row.plan_version == 0:
        return None
    query = select(plans.c.plan).where(plans.c.mission_id == row.id, plans.c.version == row.plan_version)
    return msgspec.convert((await connection.execute(query)).scalar_one(), Plan)


async def _progress(connection: AsyncConnection, mission_ids: list[str]) -> dict[str, list[dict[str, Any]]]:
    """How far each vehicle is in the latest launch, by mission."""
    query = select(flights).where(flights.c.mission_id.in_(mission_ids))
    query = query.order_by(flights.c.started_utc_s, flights.c.id)
    latest: dict[str, dict[int, dict[str, Any]]] = {}
    for row in await connection.execute(query):
        latest.setdefault(row.mission_id, {})[row.sysid] = {
            "sysid": row.sysid,
            "flight": row.id,
            "stage": row.stage,
            "item": row.item,
            "total": row.total,
            "fraction": fraction(row.stage, row.item, row.total),
            "text": row.text,
        }
    return {mission_id: [parts[sysid] for sysid in sorted(parts)] for mission_id, parts in latest.items()}


def fraction(stage: str, item: int, total: int) -> float:
    """How much of a flight is behind it, 0 to 1."""
    if stage == "done":
        return 1.0
    return round(min(0.99, item / total), 4) if total and stage in ("flying", "returning", "failed") else 0.0


def _public(row: Row[Any], progress: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "id": row.id,
        "name": row.name,
        "purpose": row.purpose,
        "state": row.state,
        "reason": row.reason,
        "request": row.request,
        "plan_version": row.plan_version,
        "plan_hash": row.plan_hash,
        "approved_hash": row.approved_hash,
        "approved_by": row.approved_by,
        "approved_utc": None if row.approved_utc_s is None else iso_utc(row.approved_utc_s),
        "created_by": row.created_by,
        "created_utc": iso_utc(row.created_utc_s),
        "updated_utc": iso_utc(row.updated_utc_s),
        "progress": progress,
    }
