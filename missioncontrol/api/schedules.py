"""/schedules: missions that recur, their due times, and what they are in conflict with."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from litestar import Request, Router, delete, get, post, put
from litestar.di import NamedDependency
from litestar.params import FromPath, JSONBody, QueryParameter

from missioncontrol.api.access import requires
from missioncontrol.people import Person, Role
from missioncontrol.schedule_conflicts import ScheduleConflicts
from missioncontrol.schedules import NewSchedule, Schedules, StandingApproval

_PLAN_GUARDS = [requires(Role.OPERATOR, Role.ADMINISTRATOR)]

Until = Annotated[
    datetime | None, QueryParameter(description="Last time, UTC where it has no offset; absent: 30 days.")
]
Most = Annotated[int, QueryParameter(description="So many at most.", ge=1, le=1000)]

Few = Annotated[int, QueryParameter(description="So many due times.", ge=1, le=200)]


@get("/")
async def everything(schedules: NamedDependency[Schedules]) -> list[dict[str, Any]]:
    """All schedules, by name."""
    return await schedules.everything()


@post("/", guards=_PLAN_GUARDS)
async def create(
    data: JSONBody[NewSchedule], request: Request[Person, Any, Any], schedules: NamedDependency[Schedules]
) -> dict[str, Any]:
    """A new schedule, followed from now on."""
    return await schedules.create(data, person=request.user.name)


@get("/conflicts")
async def conflicts(schedule_conflicts: NamedDependency[ScheduleConflicts], most: Few = 20) -> list[dict[str, Any]]:
    """What stands against the next due times of all schedules."""
    return await schedule_conflicts.coming(most)


@get("/{schedule_id:str}")
async def one(schedule_id: FromPath[str], schedules: NamedDependency[Schedules]) -> dict[str, Any]:
    """A schedule with the missions that were made of it."""
    return await schedules.get(schedule_id)


@put("/{schedule_id:str}", guards=_PLAN_GUARDS)
async def replace(
    schedule_id: FromPath[str],
    data: JSONBody[NewSchedule],
    request: Request[Person, Any, Any],
    schedules: NamedDependency[Schedules],
) -> dict[str, Any]:
    """Change it from now on; a standing approval is lost where another thing is to be flown."""
    return await schedules.replace(schedule_id, data, person=request.user.name)


@delete("/{schedule_id:str}", guards=_PLAN_GUARDS)
async def remove(
    schedule_id: FromPath[str], request: Request[Person, Any, Any], schedules: NamedDependency[Schedules]
) -> None:
    """Forget it; missions made of it stay."""
    await schedules.delete(schedule_id, person=request.user.name)


@get("/{schedule_id:str}/occurrences")
async def occurrences(
    schedule_id: FromPath[str], schedules: NamedDependency[Schedules], until: Until = None, most: Most = 100
) -> list[dict[str, Any]]:
    """When it is due from now until then."""
    last_s = None if until is None else (until if until.tzinfo else until.replace(tzinfo=UTC)).timestamp()
    return await schedules.occurrences(schedule_id, until_utc_s=last_s, most=most)


@post("/{schedule_id:str}/approval", guards=[requires(Role.ADMINISTRATOR)], status_code=200)
async def approve(
    schedule_id: FromPath[str],
    data: JSONBody[StandingApproval],
    request: Request[Person, Any, Any],
    schedules: NamedDependency[Schedules],
) -> dict[str, Any]:
    """Approve, in advance, every mission of it whose plan is exactly that one."""
    return await schedules.approve(schedule_id, data, person=request.user.name)


@delete("/{schedule_id:str}/approval", guards=_PLAN_GUARDS)
async def disapprove(
    schedule_id: FromPath[str], request: Request[Person, Any, Any], schedules: NamedDependency[Schedules]
) -> None:
    """Take a standing approval back."""
    await schedules.approve(schedule_id, None, person=request.user.name)


router = Router(
    "/schedules",
    route_handlers=[everything, create, conflicts, one, replace, remove, occurrences, approve, disapprove],
    tags=["schedules"],
)
