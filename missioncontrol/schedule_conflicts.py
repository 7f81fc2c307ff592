"""What the coming due times of schedules are in conflict with: each other, zones, permits, registrations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

import msgspec
import numpy as np

from fleet.errors import FleetError
from fleet.readiness import Check
from geo.conflicts import Airspace, conflicts
from geo.errors import GeoError
from geo.positions import LocalPlane
from geo.tracks import Track
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import MissionControlError
from missioncontrol.missions import PlanMaker
from missioncontrol.plans import Plan, VehiclePlan
from missioncontrol.schedules import NEXT_WITHIN_S, NewSchedule, Schedules
from missioncontrol.settings import Settings
from missioncontrol.traffic import ABOVE_EACH_OTHER_M, APART_M, LATE_S

SWAP_S = 300.0
"""Between two flights of a vehicle."""
Judge = Callable[[VehiclePlan, float], Awaitable[list[Check]]]
"""The checks of zones and permits of a part that begins at a time, UTC, s since 1970."""


class ScheduleConflict(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that stands against a coming due time."""

    kind: str
    """plan, vehicle, path, zones, permits or registration."""
    due_utc: str
    """The due time."""
    schedules: tuple[str, ...]
    """Ids of the schedules that are concerned."""
    text: str
    """For people."""


@dataclass(frozen=True)
class _Coming:
    """A due time of a schedule, planned as of now."""

    schedule_id: str
    schedule: NewSchedule
    due_s: float
    parts: tuple[tuple[VehiclePlan, float], ...]
    """With when each begins."""

    @property
    def ends_s(self) -> float:
        return max(begins_s + part.delay_s + part.duration_s for part, begins_s in self.parts)

    @property
    def sysids(self) -> set[int]:
        return {part.sysid for part, _ in self.parts}

    def tracks(self) -> dict[str, Track]:
        named = {f"vehicle {part.sysid}, flight {part.sortie}": part.track(begins) for part, begins in self.parts}
        return {name: track for name, track in named.items() if track is not None}


class ScheduleConflicts:
    """Looks at what is coming; plans are those of today."""

    def __init__(
        self, schedules: Schedules, planner: PlanMaker, judge: Judge, settings: Settings, clock: Clock
    ) -> None:
        """`planner` makes plans of requests; `judge` knows zones and permits."""
        self._schedules, self._planner, self._judge = schedules, planner, judge
        self._settings, self._clock = settings, clock

    async def coming(self, most: int) -> list[dict[str, Any]]:
        """What stands against the next `most` due times of all schedules, in order of time."""
        found: list[ScheduleConflict] = []
        due: list[tuple[float, str, NewSchedule]] = []
        now = self._clock()
        for schedule_id, schedule in await self._schedules.active():
            between = schedule.recurrence.between
            times = await asyncio.to_thread(between, now, now + NEXT_WITHIN_S, most=most)
            due += [(due_s, schedule_id, schedule) for due_s in times]
        plans: dict[str, Plan | str] = {}
        planned: list[_Coming] = []
        for due_s, schedule_id, schedule in sorted(due, key=lambda row: row[:2])[:most]:
            if schedule_id not in plans:
                plans[schedule_id] = await self._plan(schedule, due_s)
            made = plans[schedule_id]
            if isinstance(made, str):
                text = f"{schedule.name!r} cannot be planned: {made}"
                found.append(_conflict("plan", due_s, text, schedule_id))
                continue
            one = _Coming(schedule_id, schedule, due_s, _begun(made, due_s))
            planned.append(one)
            found += await self._alone(one)
        for before, after in combinations(planned, 2):
            if after.due_s < before.ends_s + LATE_S:
                found += await asyncio.to_thread(_together, before, after)
        return [msgspec.to_builtins(each) for each in sorted(found, key=lambda each: (each.due_utc, each.kind))]

    async def _plan(self, schedule: NewSchedule, due_s: float) -> Plan | str:
        try:
            return await self._planner(msgspec.structs.replace(schedule.request, begins_utc=iso_utc(due_s)))
        except (GeoError, FleetError, MissionControlError) as exc:
            return str(exc)

    async def _alone(self, one: _Coming) -> list[ScheduleConflict]:
        """What stands against a due time by itself."""
        found = []
        for part, begins_s in one.parts:
            for each in await self._judge(part, begins_s):
                if not each.passed:
                    text = f"{one.schedule.name!r}, vehicle {part.sysid}: {each.text}"
                    found.append(_conflict(each.name, one.due_s, text, one.schedule_id))
        ends = datetime.fromtimestamp(one.ends_s, UTC).date()
        for sysid in sorted(one.sysids):
            ours = self._settings.vehicle(sysid)
            if ours is not None and ours.registered_until is not None and ours.registered_until < ends:
                text = f"{one.schedule.name!r}: the registration of vehicle {sysid} ends on {ours.registered_until}"
                found.append(_conflict("registration", one.due_s, text, one.schedule_id))
        return found


def _begun(plan: Plan, due_s: float) -> tuple[tuple[VehiclePlan, float], ...]:
    """The parts with when each begins: a round when all of the one before are down and have fresh batteries."""
    begins_s, found = due_s, []
    for sortie in sorted({part.sortie for part in plan.vehicles}):
        together = [part for part in plan.vehicles if part.sortie == sortie]
        found += [(part, begins_s) for part in together]
        begins_s += max(part.delay_s + part.duration_s for part in together) + SWAP_S
    return tuple(found)


def _together(before: _Coming, after: _Coming) -> list[ScheduleConflict]:
    """What two due times that overlap are to each other."""
    names = f"{before.schedule.name!r}, due {iso_utc(before.due_s)}, and {after.schedule.name!r}"
    ids = tuple(dict.fromkeys((before.schedule_id, after.schedule_id)))
    shared = sorted(before.sysids & after.sysids)
    if shared:
        text = f"{names} want vehicle {', '.join(map(str, shared))} at once"
        return [_conflict("vehicle", after.due_s, text, *ids)]
    others, found = before.tracks(), []
    for name, track in after.tracks().items() if others else ():
        plane = LocalPlane(lon=float(np.mean(track.lon)), lat=float(np.mean(track.lat)))
        near = conflicts(
            track,
            Airspace.of(others, plane),
            horizontal_m=APART_M,
            vertical_m=ABOVE_EACH_OTHER_M,
            time_margin_s=LATE_S,
        )
        if near:
            first = near[0]
            text = f"{names}: {name} comes within {first.horizontal_m:.0f} m of {first.other}, {iso_utc(first.utc_s)}"
            found.append(_conflict("path", after.due_s, text, *ids))
    return found


def _conflict(kind: str, due_s: float, text: str, *schedule_ids: str) -> ScheduleConflict:
    return ScheduleConflict(kind=kind, due_utc=iso_utc(due_s), schedules=schedule_ids, text=text)
