"""Retention: recordings go when their purpose's time is over, unless they are evidence or somebody had them kept.

A clip's times are the vehicle's, whose clock may be wrong; its flight's begin is by our own. A clip is as old as it
says where that is between the begin of its flight and a day later; else as old as that.

What goes is first marked and written into the audit, in one transaction; then its file goes, then its row. A stop in
between leaves a mark, and the next round goes on from it.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Row, delete, func, select, update

from missioncontrol import audit
from missioncontrol.casefiles import State
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.recordings import CUT, LEAVING, WHOLE, Clip, Recordings, clip_of, note
from missioncontrol.store import Store
from missioncontrol.tables import clips, flights, incidents, observations
from missioncontrol.video_settings import RetentionSettings

log = structlog.get_logger(__name__)

DAY_S = 86_400.0
LONGEST_FLIGHT_S = DAY_S
"""No flight lasts longer, s."""
BATCH = 500
"""Clips that are judged together."""
MARGIN_S = 5.0
"""What was observed so shortly before or after a clip is taken to be in it, s."""
LISTED = 200
"""Clips that a report names one by one."""


class Retention:
    """Of all recordings."""

    def __init__(self, store: Store, recordings: Recordings, settings: RetentionSettings, clock: Clock) -> None:
        """Times by purpose as `settings` say."""
        self._store, self._recordings, self._settings, self._clock = store, recordings, settings, clock

    async def run(self) -> None:
        """Look for what is too old, for ever."""
        while True:
            gone = await self.enforce()
            if gone:
                log.info("recordings deleted", clips=gone)
            await asyncio.sleep(self._settings.every_s)

    async def enforce(self) -> int:
        """Delete what is too old now; how many clips went."""
        gone = await self._finish()
        for purpose, days in self._settings.all_days().items():
            last = 0
            while batch := await self._old(purpose, self._clock() - days * DAY_S, after=last):
                last = batch[-1].number
                kept = await self._evidence(batch)
                await self._mark([clip for clip in batch if clip.id not in kept], days)
                gone += await self._finish()
        return gone

    async def report(self, *, days: float) -> dict[str, Any]:
        """What is kept of each purpose, and what will go within so many days."""
        now_s = self._clock()
        purposes = [await self._of_purpose(row, now_s, days) for row in await self._totals()]
        going = sorted((clip for one in purposes for clip in one.pop("clips_going")), key=lambda clip: clip["goes_utc"])
        return {
            "utc": iso_utc(now_s),
            "within_days": days,
            "purposes": purposes,
            "going": going[:LISTED],
            "not_listed": max(0, len(going) - LISTED),
        }

    async def _of_purpose(self, row: Row[Any], now_s: float, days: float) -> dict[str, Any]:
        kept_days = self._settings.all_days().get(row.purpose)
        going: list[Clip] = []
        evidence = last = 0
        while kept_days is not None and (
            batch := await self._old(row.purpose, now_s + (days - kept_days) * DAY_S, after=last)
        ):
            last = batch[-1].number
            kept = await self._evidence(batch)
            evidence += len(kept)
            going += [clip for clip in batch if clip.id not in kept]
        return {
            "purpose": row.purpose,
            "days": kept_days,
            "clips": row.clips,
            "bytes": int(row.bytes or 0),
            "oldest_utc": iso_utc(row.oldest),
            "held": row.held,
            "evidence_past_its_time": evidence,
            "going": len(going),
            "going_bytes": sum(clip.size for clip in going),
            "clips_going": [
                {
                    "id": clip.id,
                    "flight": clip.flight_id,
                    "purpose": clip.purpose,
                    "from_utc": iso_utc(clip.from_utc_s),
                    "goes_utc": iso_utc(max(now_s, clip.until_utc_s + (kept_days or 0.0) * DAY_S)),
                    "size": clip.size,
                }
                for clip in going
            ],
        }

    async def _totals(self) -> Sequence[Row[Any]]:
        query = (
            select(
                clips.c.purpose,
                func.count().label("clips"),
                func.sum(clips.c.size).label("bytes"),
                func.min(clips.c.from_utc_s).label("oldest"),
                func.count(clips.c.hold).label("held"),
            )
            .where(clips.c.state != LEAVING)
            .group_by(clips.c.purpose)
            .order_by(clips.c.purpose)
        )
        async with self._store.reading() as connection:
            return (await connection.execute(query)).all()

    async def _old(self, purpose: str, until_utc_s: float, *, after: int) -> list[Clip]:
        """Clips that nobody had kept and that ended before, by number."""
        begun_utc_s = flights.c.started_utc_s
        query = (
            select(*Clip.columns())
            .join(flights, flights.c.id == clips.c.flight_id)
            .where(
                clips.c.purpose == purpose,
                begun_utc_s < until_utc_s,
                (clips.c.until_utc_s < until_utc_s) | (begun_utc_s < until_utc_s - LONGEST_FLIGHT_S),
                clips.c.state.in_((WHOLE, CUT)),
                clips.c.hold.is_(None),
                clips.c.number > after,
            )
            .order_by(clips.c.number)
            .limit(BATCH)
        )
        async with self._store.reading() as connection:
            return [clip_of(row) for row in await connection.execute(query)]

    async def _evidence(self, batch: list[Clip]) -> set[str]:
        """Ids of those in which something was observed that belongs to an incident that nobody rejected."""
        flight = observations.c.observation["flight_id"].as_string()
        query = (
            select(observations.c.utc_s, flight.label("flight_id"))
            .join(incidents, incidents.c.id == observations.c.incident_id)
            .where(
                observations.c.utc_s >= min(clip.from_utc_s for clip in batch) - MARGIN_S,
                observations.c.utc_s <= max(clip.until_utc_s for clip in batch) + MARGIN_S,
                flight.in_({clip.flight_id for clip in batch}),
                incidents.c.state != State.REJECTED.value,
            )
        )
        async with self._store.reading() as connection:
            seen = (await connection.execute(query)).all()
        return {
            clip.id
            for clip in batch
            if any(
                row.flight_id == clip.flight_id
                and clip.from_utc_s - MARGIN_S <= row.utc_s <= clip.until_utc_s + MARGIN_S
                for row in seen
            )
        }

    async def _mark(self, going: list[Clip], days: float) -> None:
        if not going:
            return
        async with self._store.writing(alone="clips") as connection:
            marked = await connection.execute(
                update(clips)
                .where(clips.c.id.in_([clip.id for clip in going]), clips.c.hold.is_(None))
                .values(state=LEAVING)
                .returning(clips.c.id)
            )
            ids = set(marked.scalars())
            for clip in going:
                if clip.id in ids:
                    detail = {
                        "purpose": clip.purpose,
                        "days": days,
                        "flight": clip.flight_id,
                        "from_utc": iso_utc(clip.from_utc_s),
                        "until_utc": iso_utc(clip.until_utc_s),
                        "sha256": clip.sha256,
                    }
                    await note(connection, clip.id, self._clock(), audit.SERVICE, "deleted", detail)

    async def _finish(self) -> int:
        """Take away what is marked: the file first, then the row."""
        query = select(clips.c.id, clips.c.flight_id).where(clips.c.state == LEAVING)
        async with self._store.reading() as connection:
            marked = (await connection.execute(query)).all()
        gone = []
        for row in marked:
            try:
                await asyncio.to_thread(self._remove, row.flight_id, row.id)
                gone.append(row.id)
            except OSError as exc:
                log.error("a recording cannot be deleted", clip=row.id, error=str(exc))
        if gone:
            async with self._store.writing() as connection:
                await connection.execute(delete(clips).where(clips.c.id.in_(gone), clips.c.state == LEAVING))
        return len(gone)

    def _remove(self, flight_id: str, clip_id: str) -> None:
        path = self._recordings.file(flight_id, clip_id)
        path.unlink(missing_ok=True)
        with contextlib.suppress(OSError):  # others of the flight are still there
            path.parent.rmdir()
