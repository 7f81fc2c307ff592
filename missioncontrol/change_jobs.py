"""Comparisons of two layers as jobs of the service: one at a time, each in a process of its own."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from enum import StrEnum
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import msgspec
import structlog

from missioncontrol.bounds import Name
from missioncontrol.errors import Conflict, NotFound
from missioncontrol.layer_folder import LayerFolder
from missioncontrol.layers import Layers
from missioncontrol.map_settings import CitySettings, LayerSettings

log = structlog.get_logger(__name__)

MOST_KEPT = 100
"""Jobs that are remembered; the oldest that are over go first."""
MOST_WORDS = 400
"""Characters that are kept of why a job failed."""


class ChangeState(StrEnum):
    """Where a comparison stands."""

    WAITING = "waiting"
    COMPARING = "comparing"
    DONE = "done"
    FAILED = "failed"


class ChangeOrder(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Two layers to compare."""

    before: str
    """Name of the earlier orthophoto among the layers."""
    after: str
    """Name of the later one."""
    name: Name
    """Of the layer of changes that is made; one that was made before is replaced."""
    least_area_m2: Annotated[float, msgspec.Meta(ge=0.1, le=1e6)] = 4.0
    """Smaller changes are left out, m2."""
    contrast: Annotated[float, msgspec.Meta(ge=0.05, le=2.0)] = 0.22
    """Fainter changes are left out, natural logarithm of light."""


class ChangeJob(msgspec.Struct, kw_only=True):
    """A comparison that was asked for."""

    order: ChangeOrder
    """What is compared."""
    state: ChangeState = ChangeState.WAITING
    """Where it stands."""
    error: str | None = None
    """Why it failed."""
    summary: dict[str, Any] | None = None
    """What `missioncontrol change` says of it; the changes are the features of the layer."""


class ChangeJobs:
    """Compares layers in the background; what is found becomes a layer."""

    def __init__(
        self,
        layers: Layers,
        folder: LayerFolder,
        city: CitySettings,
        *,
        start: Callable[[Coroutine[Any, Any, None], str], object],
    ) -> None:
        """Changes are held against the registers of the `city`; `start` runs a task of the service."""
        self._layers, self._folder, self._city, self._start = layers, folder, city, start
        self._jobs: dict[str, ChangeJob] = {}
        self._one_at_a_time = asyncio.Lock()

    async def begin(self, order: ChangeOrder) -> ChangeJob:
        """Start comparing. Raises NotFound for a layer that is no raster here, Conflict for a name that is taken."""
        before, after = [await asyncio.to_thread(self._raster, name) for name in (order.before, order.after)]
        added = {layer.name for layer in self._folder.layers() if layer.path.suffix == ".geojson"}
        if order.name in {layer.name for layer in self._layers.all()} - added:
            raise Conflict(f"{order.name!r} is the name of another layer: give the changes a name of their own")
        known = self._jobs.get(order.name)
        if known is not None and known.state in (ChangeState.WAITING, ChangeState.COMPARING):
            raise Conflict(f"{order.name!r} is being compared already")
        for name in [name for name, job in self._jobs.items() if job.state is ChangeState.DONE or job.error]:
            if len(self._jobs) >= MOST_KEPT:
                del self._jobs[name]
        job = self._jobs[order.name] = ChangeJob(order=order)
        self._start(self._run(job, before, after), f"change[{order.name}]")
        return job

    def of(self, name: str) -> ChangeJob:
        """The job of a name. Raises NotFound."""
        if name not in self._jobs:
            raise NotFound(f"no changes {name!r} were asked for since the service started")
        return self._jobs[name]

    def _raster(self, name: str) -> LayerSettings:
        found = {layer.name: layer for layer in self._layers.rasters()}
        if name not in found:
            raise NotFound(f"no raster layer {name!r}; there are: {', '.join(found) or 'none'}")
        return found[name]

    async def _run(self, job: ChangeJob, before: LayerSettings, after: LayerSettings) -> None:
        async with self._one_at_a_time:
            job.state = ChangeState.COMPARING
            with TemporaryDirectory() as folder:
                out = Path(folder) / "changes.geojson"
                code, said, words = await _ended(*self._arguments(job.order, before, after, out))
                if code == 0:
                    title = f"{before.title} > {after.title}"
                    made = LayerSettings(name=job.order.name, title=title, path=out, taken=after.taken)
                    await asyncio.to_thread(self._folder.add, made)
                    job.summary, job.state = msgspec.json.decode(said), ChangeState.DONE
                    return
            lines = words.decode("utf-8", "replace").strip().splitlines()
            job.error, job.state = (lines[-1] if lines else f"ended with {code}")[:MOST_WORDS], ChangeState.FAILED
            log.warning("comparison failed", before=before.name, after=after.name, error=job.error)

    def _arguments(self, order: ChangeOrder, before: LayerSettings, after: LayerSettings, out: Path) -> list[str]:
        given = {
            "--before": before.path, "--after": after.path, "--out": out, "--least-area-m2": order.least_area_m2,
            "--contrast": order.contrast, "--before-date": before.taken, "--after-date": after.taken,
            "--permits": self._city.permits, "--cadastre": self._city.cadastre, "--buildings": self._city.buildings,
        }  # fmt: skip
        return [word for name, value in given.items() if value is not None for word in (name, str(value))]


async def _ended(*arguments: str) -> tuple[int | None, bytes, bytes]:
    """How `missioncontrol change` ended, and what it said on stdout and stderr."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "missioncontrol", "change", *arguments, "--json",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        said, words = await process.communicate()
        return process.returncode, said, words
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
