"""Schedules: missions that recur. Each due time gives one mission, planned for then; people approve and launch it.

Exactly one, also where the service is killed between any two steps: the mission, the row of its due time and how far
the schedule was followed are written together, and a mission that was made but not planned is taken up again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Annotated, Any

import msgspec
import structlog
import uuid_utils
from sqlalchemy import Row, delete, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from fleet.errors import FleetError
from geo.errors import GeoError
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid, MissionControlError, NotFound
from missioncontrol.missions import Missions, MissionState, NewMission
from missioncontrol.people import People, Role
from missioncontrol.recurrences import Recurrence
from missioncontrol.requests import PlanRequest
from missioncontrol.store import Store
from missioncontrol.tables import occurrences, schedules

log = structlog.get_logger(__name__)

LOOK_S = 10.0
"""How often it is looked what is due, s."""
MOST_AT_ONCE, MOST_MISSED = 20, 10_000
"""Missions made, and missed times looked at, before the next schedule has its turn."""
NEXT_WITHIN_S = 5 * 366 * 86_400.0
"""The next due time is looked for within this, s."""
USUAL_S = 30 * 86_400.0
"""Due times are told for so long ahead where nothing else is asked for, s."""
BEGUN = "begun"
"""Outcome of a due time whose mission is not planned yet."""
_ALONE = "missions"  # as Missions has it: a mission and the due time that it is for are written together


class CatchUp(StrEnum):
    """What becomes of due times that passed while nobody followed them."""

    SKIP = "skip"
    """Nothing."""
    LATEST = "latest"
    """The latest of them is made up for."""
    ALL = "all"
    """All of them are, within the limits of the schedule."""


class NewSchedule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A mission that recurs."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=150)]
    """What people call it; its missions are called so too, with their due time."""
    purpose: Annotated[str, msgspec.Meta(max_length=2000)] = ""
    """What it is for."""
    request: PlanRequest
    """What is flown each time, without `begins_utc`."""
    recurrence: Recurrence
    """When."""
    lead_s: Annotated[float, msgspec.Meta(ge=0, le=7 * 86_400)] = 3600.0
    """The mission is made and planned so long before it is due, so that people can approve it, s."""
    late_s: Annotated[float, msgspec.Meta(ge=0, le=86_400)] = 900.0
    """A time that passed longer ago was missed, s."""
    catch_up: CatchUp = CatchUp.SKIP
    """What becomes of missed times."""
    catch_up_most: Annotated[int, msgspec.Meta(ge=1, le=50)] = 5
    """Of several missed times so many at most, the latest, are made up for."""
    catch_up_within_s: Annotated[float, msgspec.Meta(gt=0, le=366 * 86_400)] = 86_400.0
    """Times missed longer ago are not made up for, s."""
    active: bool = True
    """Whether it is followed."""

    def check(self) -> None:
        """Raises InputInvalid, and what the request's own check raises."""
        self.request.check()
        if self.request.begins_utc is not None:
            raise InputInvalid("request: begins_utc: is set by the recurrence, leave it out")
        self.recurrence.check()


class StandingApproval(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A person's word, given in advance, for one plan and no other."""

    hash: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    """Hash of the plan that is approved whenever a mission of the schedule comes to it."""


class Schedules:
    """All schedules of an installation."""

    def __init__(
        self,
        store: Store,
        missions: Missions,
        people: People,
        clock: Clock,
        *,
        on_alarm: Callable[[str], None],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`on_alarm` hears what people should know: approvals that are asked for, plans that fail, times missed."""
        self._store, self._missions, self._people, self._clock = store, missions, people, clock
        self._on_alarm, self._sleep = on_alarm, sleep

    async def create(self, new: NewSchedule, *, person: str) -> dict[str, Any]:
        """A new schedule, followed from now on."""
        await asyncio.to_thread(new.check)
        schedule_id, now = str(uuid_utils.uuid7()), self._clock()
        async with self._store.writing() as connection:
            await connection.execute(
                insert(schedules).values(
                    id=schedule_id,
                    name=new.name,
                    version=1,
                    active=new.active,
                    schedule=msgspec.to_builtins(new),
                    handled_utc_s=now,
                    created_by=person,
                    created_utc_s=now,
                    updated_utc_s=now,
                )
            )
            await self._record(connection, schedule_id, person, "created", {"name": new.name})
        return await self.get(schedule_id)

    async def replace(self, schedule_id: str, new: NewSchedule, *, person: str) -> dict[str, Any]:
        """Change it, from now on: missions already made stay, and what was missed before is not made up for.

        A standing approval is lost where the request is another one. Raises NotFound, InputInvalid.
        """
        await asyncio.to_thread(new.check)
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, schedule_id)
            values: dict[str, Any] = {}
            if new.request != _schedule(row).request:
                values = {"approved_hash": None, "approved_by": None, "approved_utc_s": None}
            await connection.execute(
                update(schedules)
                .where(schedules.c.id == schedule_id)
                .values(
                    name=new.name,
                    version=row.version + 1,
                    active=new.active,
                    schedule=msgspec.to_builtins(new),
                    handled_utc_s=self._clock(),
                    updated_utc_s=self._clock(),
                    **values,
                )
            )
            await self._record(connection, schedule_id, person, "changed", {"version": row.version + 1})
        return await self.get(schedule_id)

    async def delete(self, schedule_id: str, *, person: str) -> None:
        """Forget it; missions made of it stay. Raises NotFound."""
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, schedule_id)
            await connection.execute(delete(occurrences).where(occurrences.c.schedule_id == schedule_id))
            await connection.execute(delete(schedules).where(schedules.c.id == schedule_id))
            await self._record(connection, schedule_id, person, "deleted", {"name": row.name})

    async def approve(self, schedule_id: str, approval: StandingApproval | None, *, person: str) -> dict[str, Any]:
        """Approve, in advance, every mission of it that comes to exactly that plan; None takes that back."""
        async with self._store.writing(alone=_ALONE) as connection:
            row = await _row(connection, schedule_id)
            await connection.execute(
                update(schedules)
                .where(schedules.c.id == schedule_id)
                .values(
                    version=row.version + 1,
                    approved_hash=None if approval is None else approval.hash,
                    approved_by=None if approval is None else person,
                    approved_utc_s=None if approval is None else self._clock(),
                )
            )
            event = "standing approval taken back" if approval is None else "standing approval"
            await self._record(
                connection, schedule_id, person, event, {} if approval is None else {"hash": approval.hash}
            )
        return await self.get(schedule_id)

    async def get(self, schedule_id: str) -> dict[str, Any]:
        """A schedule with its next due time and the missions made of it lately. Raises NotFound."""
        async with self._store.reading() as connection:
            row = await _row(connection, schedule_id)
            query = select(occurrences).where(occurrences.c.schedule_id == schedule_id)
            made = (await connection.execute(query.order_by(occurrences.c.due_utc_s.desc()).limit(50))).all()
        return {
            **await self._public(row),
            "made": [
                {
                    "due_utc": iso_utc(each.due_utc_s),
                    "mission": each.mission_id,
                    "outcome": each.outcome,
                    "text": each.text,
                }
                for each in made
            ],
        }

    async def everything(self) -> list[dict[str, Any]]:
        """All schedules, by name."""
        async with self._store.reading() as connection:
            rows = (await connection.execute(select(schedules).order_by(schedules.c.name, schedules.c.id))).all()
        return [await self._public(row) for row in rows]

    async def active(self) -> list[tuple[str, NewSchedule]]:
        """Those that are followed, with their ids, by name."""
        query = select(schedules).where(schedules.c.active).order_by(schedules.c.name, schedules.c.id)
        async with self._store.reading() as connection:
            return [(row.id, _schedule(row)) for row in await connection.execute(query)]

    async def occurrences(
        self, schedule_id: str, *, until_utc_s: float | None = None, most: int
    ) -> list[dict[str, Any]]:
        """Due times from now until a time (30 days where none is given), the first `most`. Raises NotFound."""
        async with self._store.reading() as connection:
            schedule = _schedule(await _row(connection, schedule_id))
        recurrence = schedule.recurrence
        now = self._clock()
        until_s = now + USUAL_S if until_utc_s is None else until_utc_s
        found = await asyncio.to_thread(recurrence.between, now, until_s, most=most)
        return [{"due_utc": iso_utc(due_s), "local": recurrence.local(due_s).isoformat()} for due_s in found]

    async def run(self) -> None:
        """Follow the schedules."""
        while True:
            await self.follow()
            await self._sleep(LOOK_S)

    async def follow(self) -> None:
        """Make what is due now, and finish what was begun before."""
        begun = select(occurrences).where(occurrences.c.outcome == BEGUN).order_by(occurrences.c.due_utc_s)
        async with self._store.reading() as connection:
            rows = (await connection.execute(select(schedules).where(schedules.c.active))).all()
            unfinished = (await connection.execute(begun)).all()
        for occurrence in unfinished:
            await self._finish(occurrence.schedule_id, occurrence.due_utc_s, occurrence.mission_id)
        for row in rows:
            try:
                await self._follow_one(row)
            except Conflict as exc:
                log.info("a schedule changed while it was followed", schedule=row.id, error=str(exc))

    async def _follow_one(self, row: Row[Any]) -> None:
        schedule, now = _schedule(row), self._clock()
        missed, timely = await asyncio.to_thread(_due, schedule, row.handled_utc_s, now)
        made_up = _made_up(schedule, missed, now)
        if left := missed[: len(missed) - len(made_up)]:
            await self._miss(row, schedule, left)
        for due_s in (*made_up, *timely):
            await self._make(row, schedule, due_s, late=due_s in made_up)

    async def _miss(self, row: Row[Any], schedule: NewSchedule, left: tuple[float, ...]) -> None:
        """Write down that times passed without a mission; they are not looked at again."""
        async with self._store.writing(alone=_ALONE) as connection:
            await _advance(connection, row, left[-1])
            detail = {"times": len(left), "first": iso_utc(left[0]), "last": iso_utc(left[-1])}
            await self._record(connection, row.id, audit.SERVICE, "missed", detail)
        self._on_alarm(f"schedule {schedule.name!r}: {len(left)} missed, {iso_utc(left[0])} to {iso_utc(left[-1])}")

    async def _make(self, row: Row[Any], schedule: NewSchedule, due_s: float, *, late: bool) -> None:
        """The mission of a due time, which is flown as soon as it is approved where it is late."""
        known = select(occurrences).where(occurrences.c.schedule_id == row.id, occurrences.c.due_utc_s == due_s)
        async with self._store.reading() as connection:
            made = (await connection.execute(known)).first()
        if made is not None:  # by the schedule as it was before it was changed
            async with self._store.writing(alone=_ALONE) as connection:
                await _advance(connection, row, due_s)
            return

        async def write(connection: AsyncConnection, mission_id: str) -> None:
            await _advance(connection, row, due_s)
            values = {"schedule_id": row.id, "due_utc_s": due_s, "mission_id": mission_id, "outcome": BEGUN, "text": ""}
            await connection.execute(insert(occurrences).values(values))

        new = NewMission(
            name=f"{schedule.name}, {schedule.recurrence.local(due_s):%Y-%m-%d %H:%M}",
            purpose=schedule.purpose,
            request=msgspec.structs.replace(schedule.request, begins_utc=None if late else iso_utc(due_s)),
        )
        mission = await self._missions.create(new, person=audit.SERVICE, also=write)
        await self._finish(row.id, due_s, mission["id"])

    async def _finish(self, schedule_id: str, due_s: float, mission_id: str) -> None:
        """Plan a mission that was made, and approve it where a person has done so in advance."""
        outcome, text = "planned", ""
        try:
            if await self._missions.state(mission_id) is MissionState.DRAFT:
                await self._missions.plan(mission_id, person=audit.SERVICE)
            if await self._approved(schedule_id, mission_id):
                outcome = "approved"
        except (GeoError, FleetError, MissionControlError) as exc:
            outcome, text = "failed", str(exc)
        async with self._store.writing() as connection:
            await connection.execute(
                update(occurrences)
                .where(occurrences.c.schedule_id == schedule_id, occurrences.c.due_utc_s == due_s)
                .values(outcome=outcome, text=text)
            )
        mission = await self._missions.get(mission_id)
        if outcome == "failed":
            self._on_alarm(f"mission {mission['name']!r} is due {iso_utc(due_s)} and cannot be planned: {text}")
        elif outcome == "planned":
            self._on_alarm(f"mission {mission['name']!r} is due {iso_utc(due_s)}: its plan waits for approval")

    async def _approved(self, schedule_id: str, mission_id: str) -> bool:
        """Whether the mission is approved; it is now, where its plan is the one that was approved in advance."""
        async with self._store.reading() as connection:
            row = await _row(connection, schedule_id)
        mission = await self._missions.get(mission_id)
        if mission["state"] != MissionState.PLANNED:
            return mission["approved_hash"] is not None
        if row.approved_hash is None or row.approved_hash != mission["plan_hash"]:
            return False
        try:
            await self._people.with_role(row.approved_by, Role.ADMINISTRATOR)
        except (NotFound, InputInvalid) as exc:
            log.warning("a standing approval is worth nothing any more", schedule=schedule_id, error=str(exc))
            return False
        await self._missions.approve(mission_id, person=row.approved_by, in_advance=row.approved_hash)
        return True

    async def _public(self, row: Row[Any]) -> dict[str, Any]:
        recurrence = _schedule(row).recurrence
        now = self._clock()
        coming = await asyncio.to_thread(recurrence.between, now, now + NEXT_WITHIN_S, most=1) if row.active else ()
        return {
            "id": row.id,
            **row.schedule,
            "version": row.version,
            "next_utc": iso_utc(coming[0]) if coming else None,
            "approved_hash": row.approved_hash,
            "approved_by": row.approved_by,
            "approved_utc": None if row.approved_utc_s is None else iso_utc(row.approved_utc_s),
            "created_by": row.created_by,
            "created_utc": iso_utc(row.created_utc_s),
            "updated_utc": iso_utc(row.updated_utc_s),
        }

    async def _record(
        self, connection: AsyncConnection, schedule_id: str, person: str, event: str, detail: dict[str, Any]
    ) -> None:
        entry = audit.AuditEntry(utc_s=self._clock(), person=person, event=event, detail=detail)
        await audit.record(connection, "schedule", schedule_id, entry)


def _due(schedule: NewSchedule, handled_s: float, now: float) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Times that were missed, and those that a mission is to be made for, in order."""
    recurrence, missed_s = schedule.recurrence, now - schedule.late_s
    missed = recurrence.between(handled_s, missed_s, most=MOST_MISSED)
    if len(missed) == MOST_MISSED:
        return missed, ()
    return missed, recurrence.between(max(handled_s, missed_s), now + schedule.lead_s, most=MOST_AT_ONCE)


def _made_up(schedule: NewSchedule, missed: tuple[float, ...], now: float) -> tuple[float, ...]:
    """Of the missed times, those that are made up for: the last of them."""
    if schedule.catch_up is CatchUp.SKIP or len(missed) == MOST_MISSED:
        return ()
    most = 1 if schedule.catch_up is CatchUp.LATEST else schedule.catch_up_most
    return tuple(due_s for due_s in missed[-most:] if due_s >= now - schedule.catch_up_within_s)


def _schedule(row: Row[Any]) -> NewSchedule:
    return msgspec.convert(row.schedule, NewSchedule)


async def _row(connection: AsyncConnection, schedule_id: str) -> Row[Any]:
    row = (await connection.execute(select(schedules).where(schedules.c.id == schedule_id))).first()
    if row is None:
        raise NotFound(f"no schedule {schedule_id}")
    return row


async def _advance(connection: AsyncConnection, row: Row[Any], due_s: float) -> None:
    """The schedule was followed up to a due time. Raises Conflict where it changed, or somebody else followed it."""
    done = await connection.execute(
        update(schedules)
        .where(schedules.c.id == row.id, schedules.c.version == row.version, schedules.c.handled_utc_s < due_s)
        .values(handled_utc_s=due_s)
    )
    if done.rowcount != 1:
        raise Conflict(f"schedule {row.id} changed meanwhile")
