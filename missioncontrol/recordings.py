"""Recordings: the clips of an installation, their files, and what is known of each."""

from __future__ import annotations

import asyncio
import hashlib
import os
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import shapely
import structlog
from sqlalchemy import Row, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql.elements import KeyedColumnElement

from aerial_models.clips import duration_of, mend, picture_at
from aerial_models.errors import ModelError, SourceGarbage
from missioncontrol import audit
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid, NotFound
from missioncontrol.pictures import encode_jpeg
from missioncontrol.sights import Sight, hull, pack, unpack
from missioncontrol.store import Store
from missioncontrol.tables import clips, flights

log = structlog.get_logger(__name__)

GROWING, WHOLE, CUT, LEAVING = "growing", "whole", "cut", "leaving"
"""States of a clip: being recorded, ended, ended by a crash, being deleted."""
STRANGER_S = 30.0
"""A file without a row that holds more than this was not begun the moment the service died, s."""
SEEN_AGAIN_S = 3600.0
"""Opening a clip is noted once per person in this time, s."""


class Clip(msgspec.Struct, frozen=True, kw_only=True):
    """Recorded video of some length, and what it shows."""

    number: int
    """Rises with each clip."""
    id: str
    """UUIDv7."""
    flight_id: str
    """Flight it was recorded in."""
    sysid: int
    """Of the vehicle."""
    registration: str
    """Of the vehicle."""
    purpose: str
    """What it was recorded for; how long it is kept hangs on it."""
    why: str
    """In the mission's words."""
    state: str
    """growing, whole, cut (ended by a crash) or leaving (being deleted)."""
    from_utc_s: float
    """Begin, s since 1970 UTC."""
    until_utc_s: float
    """End so far, s since 1970 UTC."""
    width_px: int
    """Of the pictures."""
    height_px: int
    """Of the pictures."""
    codec: str
    """Such as h264."""
    camera: str
    """Slug of the camera."""
    size: int
    """Of the file, bytes; 0 while it grows."""
    sha256: str | None
    """Of the file, once it has ended."""
    gsd_m: float | None
    """Median ground sample distance in the middle of the pictures, m; None where no place of it is known."""
    off_nadir_deg: float | None
    """Median angle of the view, deg."""
    hold: dict[str, Any] | None
    """Who had it kept whatever its age, when and why."""
    place: shapely.Geometry | None
    """Around all that it shows, lon and lat, deg."""

    @classmethod
    def columns(cls) -> list[KeyedColumnElement[Any]]:
        """What of its row it is made of."""
        return [clips.c[name] for name in cls.__struct_fields__]

    @property
    def video(self) -> str:
        """Where its video is."""
        return f"/api/v1/recordings/{self.id}/video.mp4"

    def feature(self) -> dict[str, Any]:
        """As the API gives it, GeoJSON."""
        names = ("flight_id", "sysid", "registration", "purpose", "why", "state", "codec", "camera", "size", "sha256")
        return {
            "type": "Feature",
            "id": self.id,
            "geometry": geojson(self.place),
            "properties": {
                **{name.removesuffix("_id"): getattr(self, name) for name in names},
                "from_utc": iso_utc(self.from_utc_s),
                "until_utc": iso_utc(self.until_utc_s),
                "duration_s": round(self.until_utc_s - self.from_utc_s, 2),
                "width_px": self.width_px,
                "height_px": self.height_px,
                "gsd_m": None if self.gsd_m is None else round(self.gsd_m, 4),
                "off_nadir_deg": None if self.off_nadir_deg is None else round(self.off_nadir_deg, 1),
                "hold": self.hold,
                "video": self.video,
            },
        }


def clip_of(row: Row[Any]) -> Clip:
    """A clip as its row has it."""
    return Clip(**{name: getattr(row, name) for name in Clip.__struct_fields__})


def geojson(shape: shapely.Geometry | None) -> dict[str, Any] | None:
    """Rounded to 7 decimals, some 1 cm."""
    if shape is None:
        return None
    tree: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(shapely.transform(shape, lambda xy: xy.round(7))))
    return tree


class Recordings:
    """All clips of an installation."""

    def __init__(self, store: Store, folder: Path, clock: Clock) -> None:
        """Rows in `store`, files below `folder`, which is made when first needed."""
        self._store, self._folder, self._clock = store, folder, clock
        self._opened: dict[tuple[str, str], float] = {}

    def file(self, flight_id: str, clip_id: str) -> Path:
        """Where the file of a clip is or will be."""
        return self._folder / flight_id / f"{clip_id}.mp4"

    def now_utc_s(self) -> float:
        """By the service's clock, s since 1970 UTC."""
        return self._clock()

    async def begin(self, values: dict[str, Any]) -> None:
        """A clip has begun; `values` are those of its row."""
        async with self._store.writing() as connection:
            await connection.execute(insert(clips).values(state=GROWING, size=0, **values))

    async def grow(
        self,
        clip_id: str,
        *,
        from_utc_s: float,
        duration_s: float,
        sights: list[Sight],
        path: Path | None = None,
        broken: bool = False,
    ) -> None:
        """What a clip shows by now; with `path`, it has ended and this is its file, `broken` if it could not be written
        to its end."""
        values: dict[str, Any] = {"from_utc_s": from_utc_s, "until_utc_s": from_utc_s + duration_s}
        if sights:
            values |= shown(sights)
        if path is not None:
            values |= await asyncio.to_thread(_ended, clip_id, path, from_utc_s, whole=not broken)
        await self._set(clip_id, values)

    async def recover(self) -> None:
        """After a start: end the clips that a crash left open, and remove files that nothing is known of."""
        query = select(*Clip.columns()).where(clips.c.state == GROWING)
        async with self._store.reading() as connection:
            left = [clip_of(row) for row in await connection.execute(query)]
        for clip in left:
            path = self.file(clip.flight_id, clip.id)
            await self._set(clip.id, await asyncio.to_thread(_ended, clip.id, path, clip.from_utc_s, whole=False))
        await self._remove_strangers()

    async def _remove_strangers(self) -> None:
        """A short file without a row, of a flight that is known, was begun the moment the service died: nobody knows
        what it was for. Others stay: they may be of another database."""
        files = await asyncio.to_thread(lambda: sorted(self._folder.glob("*/*.mp4")))
        async with self._store.reading() as connection:
            known = set((await connection.execute(select(clips.c.id))).scalars()) if files else set()
            flown = set((await connection.execute(select(flights.c.id))).scalars()) if files else set()
        strangers = [path for path in files if path.stem not in known]
        begun = [path for path in strangers if path.parent.name in flown and await asyncio.to_thread(_is_short, path)]
        for path in begun:
            log.warning("a recording that nothing is known of is removed", file=str(path))
            await asyncio.to_thread(path.unlink, missing_ok=True)
        if len(strangers) > len(begun):
            others = sorted(set(strangers) - set(begun))
            log.error(
                "recordings that the store does not know are left alone: nothing shows them or lets them go",
                folder=str(self._folder), files=len(others), such_as=str(others[0]),
            )  # fmt: skip

    async def get(self, clip_id: str) -> Clip:
        """One clip. Raises NotFound."""
        async with self._store.reading() as connection:
            row = (await connection.execute(select(*Clip.columns()).where(clips.c.id == clip_id))).first()
        if row is None or row.state == LEAVING:
            raise NotFound(f"no recording {clip_id}")
        return clip_of(row)

    async def sights(self, clip_id: str) -> bytes:
        """What a clip shows, packed. Raises NotFound."""
        async with self._store.reading() as connection:
            row = (await connection.execute(select(clips.c.sights).where(clips.c.id == clip_id))).first()
        if row is None:
            raise NotFound(f"no recording {clip_id}")
        return row.sights or b""

    async def everything(self, *, flight_id: str | None = None, limit: int = 200) -> list[Clip]:
        """Clips, latest first."""
        query = select(*Clip.columns()).where(clips.c.state != LEAVING).order_by(clips.c.number.desc()).limit(limit)
        if flight_id is not None:
            query = query.where(clips.c.flight_id == flight_id)
        async with self._store.reading() as connection:
            return [clip_of(row) for row in await connection.execute(query)]

    async def open(self, clip_id: str, *, person: str) -> tuple[Clip, Path]:
        """The file of a clip for somebody to look at, which is audited. Raises NotFound."""
        clip = await self.get(clip_id)
        path = self.file(clip.flight_id, clip.id)
        if not path.is_file():
            raise NotFound(f"recording {clip_id}: its file is gone")
        now_s = self._clock()
        if now_s - self._opened.get((person, clip_id), -np.inf) > SEEN_AGAIN_S:
            self._opened = {key: at for key, at in self._opened.items() if now_s - at <= SEEN_AGAIN_S}
            self._opened[person, clip_id] = now_s
            async with self._store.writing() as connection:
                await note(connection, clip_id, now_s, person, "opened", {"purpose": clip.purpose})
        return clip, path

    async def frame(self, clip_id: str, time_s: float, *, person: str) -> tuple[bytes, float]:
        """The picture shown at a time in a clip (s), as JPEG, and its own time, s.

        Raises NotFound, InputInvalid beyond the clip, SourceGarbage.
        """
        clip, path = await self.open(clip_id, person=person)
        duration_s = clip.until_utc_s - clip.from_utc_s
        if not 0 <= time_s <= duration_s + 1.0:
            raise InputInvalid(f"t: {time_s:g} s: the recording is {duration_s:.2f} s long")
        image, own_s = await asyncio.to_thread(picture_at, path, time_s)
        return await asyncio.to_thread(encode_jpeg, image, 90), own_s

    async def hold(self, clip_id: str, *, person: str, reason: str | None) -> Clip:
        """Keep a clip whatever its age, for a reason; without one no longer.

        Raises NotFound, Conflict, InputInvalid.
        """
        if reason is not None and not reason.strip():
            raise InputInvalid("reason: say why the recording is to be kept")
        now_s = self._clock()
        hold = None if reason is None else {"person": person, "utc": iso_utc(now_s), "reason": reason}
        async with self._store.writing(alone="clips") as connection:
            row = (await connection.execute(select(clips.c.state, clips.c.hold).where(clips.c.id == clip_id))).first()
            if row is None or row.state == LEAVING:
                raise NotFound(f"no recording {clip_id}")
            if reason is None and row.hold is None:
                raise Conflict(f"recording {clip_id}: nobody had it kept")
            await connection.execute(update(clips).where(clips.c.id == clip_id).values(hold=hold))
            event = "kept" if reason is not None else "kept no longer"
            await note(connection, clip_id, now_s, person, event, {} if reason is None else {"reason": reason})
        return await self.get(clip_id)

    async def _set(self, clip_id: str, values: dict[str, Any]) -> None:
        async with self._store.writing() as connection:
            await connection.execute(update(clips).where(clips.c.id == clip_id).values(**values))


async def note(
    connection: AsyncConnection, clip_id: str, utc_s: float, person: str, event: str, detail: dict[str, Any]
) -> None:
    """Write what was done with a clip into the audit."""
    await audit.record(
        connection, "recording", clip_id, audit.AuditEntry(utc_s=utc_s, person=person, event=event, detail=detail)
    )


def shown(sights: list[Sight]) -> dict[str, Any]:
    """The columns that tell what a clip shows."""
    packed = pack(sights)
    seen = unpack([packed])
    if not len(seen):
        return {}
    centers = seen.corners.mean(axis=1)
    gsd_m, off_nadir_deg = (float(np.median(values)) for values in seen.looks_at(centers[:, 0], centers[:, 1])[:2])
    return {
        "sights": packed,
        "place": hull(seen),
        "gsd_m": gsd_m if np.isfinite(gsd_m) else None,
        "off_nadir_deg": off_nadir_deg,
    }


def _ended(clip_id: str, path: Path, from_utc_s: float, *, whole: bool) -> dict[str, Any]:
    """Columns of a clip that has ended: whole, or cut to what can be read of its file."""
    try:
        if whole:
            return {"state": WHOLE, **_content(path)}
        mend(path)
        until_utc_s = from_utc_s + duration_of(path)
        return {"state": CUT, "until_utc_s": until_utc_s, **_content(path)}
    except (ModelError, OSError) as exc:
        log.error("a clip cannot be read", clip=clip_id, error=str(exc))
        return {"state": CUT}


def _is_short(path: Path) -> bool:
    """Whether it holds no more than a service that dies leaves without a row."""
    try:
        return duration_of(path) <= STRANGER_S
    except SourceGarbage:
        return True
    except (ModelError, OSError):
        return False


def _content(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        os.fsync(file.fileno())
        return {"size": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}
