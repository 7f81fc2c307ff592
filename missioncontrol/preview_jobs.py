"""Previews as jobs of the service: one at a time, each in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Coroutine
from enum import StrEnum
from typing import Any, Literal

import msgspec
import shapely
import structlog

from missioncontrol.coverage import watched_area
from missioncontrol.errors import Conflict, InputInvalid
from missioncontrol.missions import Missions
from missioncontrol.preview_process import Order, Report
from missioncontrol.previews import Preview
from missioncontrol.requests import PlanRequest
from missioncontrol.settings import Settings
from missioncontrol.sites import Site
from missioncontrol.versions import Versions

log = structlog.get_logger(__name__)

LONGEST_S = 900.0
"""A preview that takes longer is ended, s."""
LONGEST_LINE = 1 << 24
"""Bytes of one report, at most."""


class JobState(StrEnum):
    """Where a preview stands."""

    NONE = "none"
    WAITING = "waiting"
    FLYING = "flying"
    DONE = "done"
    FAILED = "failed"


class PreviewOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a plan is tried."""

    autopilot: Literal["ardupilot", "px4"] = "ardupilot"
    """Whose habits the simulated vehicles have."""


class _Job:
    """One preview under way, or why it came to nothing."""

    def __init__(self) -> None:
        self.state, self.share, self.error = JobState.WAITING, 0.0, ""


class PreviewJobs:
    """Flies plans in the simulator, in the background."""

    def __init__(
        self,
        missions: Missions,
        versions: Versions,
        site: Callable[[PlanRequest], Awaitable[Site]],
        settings: Settings,
        *,
        start: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        """`site` tells airframes and weather of a request; `start` runs a task of the service."""
        self._missions, self._versions, self._site, self._settings = missions, versions, site, settings
        self._start = start
        self._jobs: dict[tuple[str, int], _Job] = {}
        self._one_at_a_time = asyncio.Lock()

    async def begin(self, mission_id: str, options: PreviewOptions, *, person: str) -> dict[str, Any]:
        """Start flying the present version of a plan in the weather of now. Raises NotFound, Conflict, InputInvalid."""
        version, plan = await self._versions.present(mission_id)
        request: Any = msgspec.convert((await self._missions.get(mission_id))["request"], PlanRequest)
        site = await self._site(request)
        terrain = self._settings.terrain
        order = Order(
            plan=plan,
            autopilot=options.autopilot,
            airframes=dict(site.airframes),
            conditions=site.conditions,
            dem=None if terrain.dem is None else str(terrain.dem),
            height_datum=terrain.height_datum,
            geoids=None if terrain.geoids is None else str(terrain.geoids),
            area=_area(request),
            camera=request.camera,
        )
        known = self._jobs.get((mission_id, version))
        if known is not None and known.state in (JobState.WAITING, JobState.FLYING):
            raise Conflict(f"mission {mission_id}: a preview of version {version} is {known.state} already")
        job = self._jobs[mission_id, version] = _Job()
        self._start(self._run(job, order, mission_id, version, person), f"preview[{mission_id}]")
        return await self.of(mission_id)

    async def of(self, mission_id: str) -> dict[str, Any]:
        """State, progress and result for the present version. Raises NotFound, Conflict where there is no plan."""
        version, plan = await self._versions.present(mission_id)
        job = self._jobs.get((mission_id, version))
        result = await self._versions.preview(mission_id, version)
        if job is None:
            state, share = (JobState.NONE, 0.0) if result is None else (JobState.DONE, 1.0)
        else:
            state, share = job.state, job.share
        return {
            "version": version,
            "hash": plan.hash,
            "state": state,
            "progress": round(share, 3),
            "error": None if job is None or not job.error else job.error,
            "result": result,
        }

    async def _run(self, job: _Job, order: Order, mission_id: str, version: int, person: str) -> None:
        async with self._one_at_a_time:
            job.state = JobState.FLYING
            try:
                async with asyncio.timeout(LONGEST_S):
                    preview = await _flown(order, job)
            except TimeoutError:
                preview, job.error = None, f"was not done within {LONGEST_S:g} s"
            if preview is None:
                job.state = JobState.FAILED
                log.warning("preview failed", mission=mission_id, version=version, error=job.error)
                return
            await self._versions.keep_preview(mission_id, version, preview, person=person)
            del self._jobs[mission_id, version]


async def _flown(order: Order, job: _Job) -> Preview | None:
    """The preview that the process gives, or None and why in the job."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "missioncontrol.preview_process",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    words = asyncio.create_task(process.stderr.read(), name="preview words")
    try:
        process.stdin.write(msgspec.json.encode(order))
        process.stdin.close()
        async for line in process.stdout:
            report = msgspec.json.decode(line, type=Report)
            job.share = max(job.share, report.share)
            job.error = report.error or ""
            if report.preview is not None:
                return report.preview
        if not job.error:
            said = (await words).decode("utf-8", "replace").strip().splitlines()
            job.error = f"the simulator ended without a result: {said[-1] if said else 'it said nothing'}"
        return None
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        words.cancel()
        await asyncio.gather(words, return_exceptions=True)


def _area(request: PlanRequest) -> dict[str, Any] | None:
    """What is to be seen whole, GeoJSON; None for patterns that see no area."""
    try:
        area = watched_area(request)
    except InputInvalid:
        return None
    tree: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(area))
    return tree
