"""Clips in a store without video: flights over a place, for whoever asks the index."""

from __future__ import annotations

from typing import Any

import uuid_utils
from sqlalchemy import insert

from missioncontrol.recordings import WHOLE, shown
from missioncontrol.sights import Sight
from missioncontrol.store import Store
from missioncontrol.tables import clips, flights, missions

BEGIN_UTC_S = 1_790_000_000.0


async def add_flight(store: Store, *, sysid: int = 1, request: dict[str, Any] | None = None) -> str:
    """A flight of a mission of its own."""
    mission_id, flight_id = str(uuid_utils.uuid7()), str(uuid_utils.uuid7())
    async with store.writing() as connection:
        await connection.execute(
            insert(missions).values(
                id=mission_id, name="round", purpose="the yearly count", state="done", request=request or {},
                plan_version=0, created_by="o", created_utc_s=0.0, updated_utc_s=0.0,
            )
        )  # fmt: skip
        await connection.execute(
            insert(flights).values(
                id=flight_id, mission_id=mission_id, sysid=sysid, registration=f"UP-{sysid}", stage="done", item=1,
                total=1, text="", started_utc_s=BEGIN_UTC_S, path_m=0.0,
            )
        )  # fmt: skip
    return flight_id


async def add_clip(store: Store, flight_id: str, sights: list[Sight], *, begins_s: float = 0.0, **more: Any) -> str:
    """A clip that shows this, `begins_s` after BEGIN_UTC_S, 60 s long."""
    clip_id = str(uuid_utils.uuid7())
    values: dict[str, Any] = {
        "id": clip_id, "flight_id": flight_id, "sysid": 1, "registration": "UP-1", "purpose": "inspection",
        "why": "the yearly count", "state": WHOLE, "from_utc_s": BEGIN_UTC_S + begins_s,
        "until_utc_s": BEGIN_UTC_S + begins_s + 60.0, "width_px": 640, "height_px": 480, "codec": "h264",
        "camera": "c", "size": 10, "sha256": "ab" * 32,
    }  # fmt: skip
    async with store.writing() as connection:
        await connection.execute(insert(clips).values(**values | shown(sights) | more))
    return clip_id
