"""Two layers compared in the background of the service: what is found becomes a layer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import pytest

from missioncontrol.change_jobs import ChangeJobs, ChangeOrder, ChangeState
from missioncontrol.errors import Conflict, NotFound
from missioncontrol.layer_folder import LayerFolder
from missioncontrol.layers import Layers
from missioncontrol.map_settings import CitySettings, LayerSettings
from tests.missioncontrol.conftest import make_settings, running
from tests.missioncontrol.test_changes import HOUSE, city, features, ring

__all__ = ["city"]


class Room:
    """Change jobs over the two pictures of the city, and the tasks that they start."""

    def __init__(self, folder: Path, *, permits: Path | None) -> None:
        named = [
            LayerSettings(name=name, title=name, path=folder / f"{name}.tif", taken=date(year, 6, 1))
            for name, year in (("before", 2025), ("after", 2026))
        ]
        added = LayerFolder(folder / "layers")
        self.layers = Layers(tuple(named), added)
        self.tasks: list[asyncio.Task[None]] = []
        self.jobs = ChangeJobs(self.layers, added, CitySettings(permits=permits), start=self.start)

    def start(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self.tasks.append(asyncio.create_task(work, name=name))


async def test_changes_of_two_layers_become_a_layer(city: object, tmp_path: Path) -> None:
    permits = tmp_path / "own.geojson"
    permits.write_text(
        features((ring(HOUSE, 4), {"id": "P-1", "valid_from": "2026-01-01", "valid_until": "2026-12-31"}))
    )
    room = Room(tmp_path, permits=permits)
    order = ChangeOrder(before="before", after="after", name="spring")
    try:
        began = await room.jobs.begin(order)
        assert began.state is ChangeState.WAITING
        with pytest.raises(Conflict, match="already"):
            await room.jobs.begin(order)
        await asyncio.gather(*room.tasks)
        job = room.jobs.of("spring")
        assert job.error is None
        assert job.state is ChangeState.DONE
        assert job.summary is not None
        assert job.summary["kinds"] == {"new_building": 3}
        tree = msgspec.json.decode(room.layers.changes("spring"))
        said = [feature["properties"]["statement"] for feature in tree["features"]]
        assert sum("permit P-1 valid on 2026-06-01" in text for text in said) == 1
        assert sum("no permit valid" in text for text in said) == 2
    finally:
        room.layers.close()


async def test_what_cannot_be_compared_is_said(city: object, tmp_path: Path) -> None:
    (tmp_path / "permits.json").write_text("{")
    room = Room(tmp_path, permits=tmp_path / "permits.json")
    try:
        with pytest.raises(NotFound, match="no raster layer 'summer'"):
            await room.jobs.begin(ChangeOrder(before="before", after="summer", name="spring"))
        with pytest.raises(Conflict, match="another layer"):
            await room.jobs.begin(ChangeOrder(before="before", after="after", name="after"))
        with pytest.raises(NotFound, match="spring"):
            room.jobs.of("spring")
        await room.jobs.begin(ChangeOrder(before="before", after="after", name="spring"))
        await asyncio.gather(*room.tasks)
        job = room.jobs.of("spring")
        assert job.state is ChangeState.FAILED
        assert job.error is not None
        assert "permits.json" in job.error
    finally:
        room.layers.close()


async def test_a_comparison_is_asked_for_over_the_api(city: object, tmp_path: Path) -> None:
    layers = tuple(
        LayerSettings(name=name, title=name, path=tmp_path / f"{name}.tif", taken=date(2026, 6, 1))
        for name in ("before", "after")
    )
    async with running(make_settings(tmp_path, layers=layers)) as opened:
        http = await opened.client()
        wrong = await http.post("/changes", json={"before": "before", "after": "summer", "name": "spring"})
        assert wrong.status_code == 404
        assert "summer" in wrong.json()["detail"]
        asked = await http.post("/changes", json={"before": "before", "after": "after", "name": "spring"})
        assert asked.status_code == 202
        async with asyncio.timeout(120):
            while (job := (await http.get("/changes/spring")).json())["state"] not in ("done", "failed"):
                await asyncio.sleep(0.2)
        assert job["summary"]["kinds"] == {"new_building": 3}
        assert len((await http.get("/layers/spring/features")).json()["features"]) == 3
