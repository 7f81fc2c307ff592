"""Coverage: what the flights of a mission really saw of its area, what is not there, and what is left to fly again."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray
from sqlalchemy import select

from aerial_models.catalogue import entry
from geo.areas import polygon_parts, read_area, read_line
from geo.positions import LocalPlane
from geo.terrain import Terrain
from geo.visibility import Prism
from missioncontrol.assurance import Assured, Question, assure
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import Conflict, InputInvalid
from missioncontrol.exposures import Exposures, Watched
from missioncontrol.geometry import hits
from missioncontrol.missions import Missions, NewMission
from missioncontrol.registry import Registry
from missioncontrol.requests import CorridorRequest, PlanRequest, Request, SurveyRequest
from missioncontrol.settings import Settings
from missioncontrol.statements import Signed, Signer, words
from missioncontrol.store import Store
from missioncontrol.tables import incidents

MOST_REFLIGHTS = 5
"""Drafts made of what is left; more would rather be flown as a whole."""
CLOSED_M = 12.0
"""Gaps between cells to fly again that are narrower than twice this are flown too, m."""
LEAST_REFLOWN_M2 = 25.0
"""Smaller specks are left out of the drafts, m2."""
GOOD, POOR, NEVER, BUILT = (46, 160, 67, 200), (240, 180, 40, 200), (208, 52, 52, 200), (110, 110, 110, 200)
"""RGBA of the map: seen well enough, seen, never seen, under buildings."""


class Coverage:
    """What was seen, of all missions."""

    def __init__(
        self,
        store: Store,
        missions: Missions,
        exposures: Exposures,
        registry: Registry,
        terrain: Terrain | None,
        settings: Settings,
        clock: Clock,
    ) -> None:
        """The key that statements are signed with lies in the data folder of `settings`."""
        self._store, self._missions, self._exposures, self._registry = store, missions, exposures, registry
        self._terrain, self._settings, self._clock = terrain, settings, clock
        self._signer = Signer(settings.data / "statements" / "key.pem")
        self._last: tuple[Any, Assured] | None = None

    async def of_mission(self, mission_id: str, question: Question) -> dict[str, Any]:
        """A summary, and the cells not seen well enough as GeoJSON; during a flight too.

        Raises NotFound, Conflict where no frame was looked at, InputInvalid, AreaInvalid, TerrainMissing.
        """
        mission = await self._missions.get(mission_id)
        assured, _, _ = await self._assured(mission, question)
        return {
            "type": "FeatureCollection",
            "features": _features(assured),
            "summary": assured.summary(),
            "picture": {"corners": _corners(assured)},
        }

    async def picture(self, mission_id: str, question: Question) -> bytes:
        """A map of the cells, PNG, north up; its corners are those that `of_mission` tells. Raises as that."""
        assured, _, _ = await self._assured(await self._missions.get(mission_id), question)
        return await asyncio.to_thread(_drawn, assured)

    async def state(self, mission_id: str, question: Question, *, person: str) -> Signed:
        """A signed statement of what is not there, noted in the mission's history. Raises as `of_mission`."""
        mission = await self._missions.get(mission_id)
        assured, watched, area = await self._assured(mission, question)
        found = await self._found(area, question.kind, watched)
        statement = self._statement(mission, assured, watched, area, found)
        signed = await asyncio.to_thread(self._signer.sign, statement)
        detail = {"kind": question.kind, "share": statement["share"], "signature": signed.signature.value[:16]}
        await self._missions.note(mission_id, "coverage stated", person=person, detail=detail)
        return signed

    async def refly(self, mission_id: str, question: Question, *, person: str) -> dict[str, Any]:
        """Drafts of missions over what was not seen well enough: the largest pieces, close ones joined.

        Raises as `of_mission`; Conflict where nothing is left to fly.
        """
        mission = await self._missions.get(mission_id)
        assured, _, area = await self._assured(mission, question)
        pieces = await asyncio.to_thread(pieces_left, assured, area)
        if not pieces:
            raise Conflict(f"mission {mission_id}: everything but specks was seen well enough; nothing to fly again")
        request = msgspec.convert(mission["request"], PlanRequest)
        made = []
        for number, piece in enumerate(pieces[:MOST_REFLIGHTS], start=1):
            again = NewMission(
                name=f"{mission['name'][:180]} / again {number}",
                purpose=f"what mission {mission_id} did not see well enough",
                request=_over(request, piece),
            )
            made.append(await self._missions.create(again, person=person))
        detail = {"missions": [draft["id"] for draft in made]}
        await self._missions.note(mission_id, "flown again", person=person, detail=detail)
        return {"missions": made, "pieces_left_out": max(0, len(pieces) - MOST_REFLIGHTS)}

    async def _assured(
        self, mission: dict[str, Any], question: Question
    ) -> tuple[Assured, list[Watched], shapely.Polygon]:
        watched = await self._exposures.of_mission(mission["id"])
        if not watched:
            raise Conflict(f"mission {mission['id']}: no frame of it was looked at yet")
        if self._terrain is None:
            raise InputInvalid("terrain.dem: is needed to say what was seen")
        area = watched_area(msgspec.convert(mission["request"], PlanRequest))
        key = (mission["id"], mission["request"], question, sum(len(one.frames) for one in watched))
        if self._last is None or self._last[0] != key:
            assured = await asyncio.to_thread(
                assure,
                question,
                area,
                watched,
                entry(self._settings.perception.model),
                terrain=self._terrain,
                prisms=prisms_of(self._registry.buildings.features),
            )
            self._last = key, assured
        return self._last[1], watched, area

    async def _found(self, area: shapely.Polygon, kind: str, watched: Sequence[Watched]) -> list[str]:
        """Ids of what was reported there since the first frame, what a person rejected left out."""
        since_s = min(float(one.frames.utc_s[0]) for one in watched)
        query = select(incidents.c.id).where(
            incidents.c.kind == kind,
            incidents.c.state.not_in(("rejected", "merged")),
            incidents.c.observed_utc_s >= since_s - 1.0,
            hits(self._store.dialect_name, incidents.c.place, area),
        )
        async with self._store.reading() as connection:
            return sorted((await connection.execute(query)).scalars())

    def _statement(
        self,
        mission: dict[str, Any],
        assured: Assured,
        watched: Sequence[Watched],
        area: shapely.Polygon,
        found: list[str],
    ) -> dict[str, Any]:
        question, summary = assured.question, assured.summary()
        model = entry(self._settings.perception.model)
        settings = self._settings
        return {
            "version": 1,
            "issued_utc": iso_utc(self._clock()),
            "words": words(
                kind=question.kind,
                area_m2=assured.area_m2,
                probability=question.probability,
                found=len(found),
                seen_m2=summary["seen_m2"],
                ground_m2=summary["ground_m2"],
                built_m2=summary["built_m2"],
            ),
            **summary,
            "reported": found,
            "area": _geojson(area),
            "unseen": _geojson(shapely.MultiPolygon(assured.unseen())),
            "mission": {"id": mission["id"], "name": mission["name"], "plan_hash": mission["approved_hash"]},
            "flights": [
                {
                    "id": one.flight_id,
                    "sysid": one.sysid,
                    "registration": one.registration,
                    "frames": len(one.frames),
                    "from_utc": iso_utc(float(one.frames.utc_s[0])),
                    "until_utc": iso_utc(float(one.frames.utc_s[-1])),
                    "watching": msgspec.to_builtins(one.watching),
                }
                for one in watched
            ],
            "model": {
                "name": model.name,
                "version": model.created,
                "sha256": model.sha256,
                "recall": [msgspec.to_builtins(one) for one in model.recall],
            },
            "terrain": None if settings.terrain.dem is None else Path(settings.terrain.dem).name,
            "buildings": len(self._registry.buildings.features),
        }


def watched_area(request: PlanRequest) -> shapely.Polygon:
    """What a mission was to see, lon, lat, deg. Raises InputInvalid for patterns that see no area."""
    if isinstance(request, SurveyRequest):
        return read_area(request.area).polygon
    if isinstance(request, CorridorRequest):
        line = read_line(request.line)
        lon, lat = line.coords[0][:2]
        plane = LocalPlane(lon=lon, lat=lat)
        flat = shapely.transform(line, lambda xy: np.stack(plane.to_plane(xy[:, 0], xy[:, 1]), axis=-1))
        strip = flat.buffer(request.width_m / 2, cap_style="flat")
        return shapely.transform(strip, lambda xy: np.stack(plane.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))
    raise InputInvalid(
        "coverage is told of surveys and corridors: other patterns have no area that is to be seen whole"
    )


def prisms_of(features: Sequence[dict[str, Any]]) -> list[Prism]:
    """Buildings on record that state their height (`height_m`, above the ground)."""
    found = []
    for feature in features:
        height_m = feature["properties"].get("height_m")
        if isinstance(height_m, int | float) and height_m > 0:
            shape = shapely.geometry.shape(feature["geometry"])
            found += [Prism(part, float(height_m)) for part in polygon_parts(shape)]
    return found


def pieces_left(assured: Assured, area: shapely.Polygon) -> list[shapely.Polygon]:
    """Areas to fly again (lon, lat; deg), the largest first: near cells joined, never beyond the area."""
    cells = assured.seen.cells
    flat = [
        shapely.transform(one, lambda xy: np.stack(cells.plane.to_plane(xy[:, 0], xy[:, 1]), axis=-1))
        for one in (area, *assured.unseen())
    ]
    joined = (
        shapely.union_all(flat[1:]).buffer(CLOSED_M, join_style="mitre").buffer(-CLOSED_M + 1.0, join_style="mitre")
    )
    inside = shapely.intersection(joined, flat[0].buffer(0)).simplify(1.0)
    parts = sorted(polygon_parts(inside), key=lambda part: -part.area)
    return [
        shapely.transform(part, lambda xy: np.stack(cells.plane.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))
        for part in parts
        if part.area >= LEAST_REFLOWN_M2
    ]


def _over(request: Request, piece: shapely.Polygon) -> SurveyRequest:
    """A survey of a piece, otherwise as it was asked for."""
    kept = {name: getattr(request, name) for name in Request.__struct_fields__ if name != "begins_utc"}
    return SurveyRequest(area=_geojson(piece), **kept)


def _geojson(shape: shapely.Geometry) -> dict[str, Any]:
    rounded = shapely.transform(shape, lambda xy: np.round(xy, 8))
    tree: dict[str, Any] = msgspec.json.decode(shapely.to_geojson(rounded))
    return tree


def _features(assured: Assured) -> list[dict[str, Any]]:
    return [
        {"type": "Feature", "geometry": _geojson(outline), "properties": {"seen_well": False}}
        for outline in assured.unseen()
    ]


def _corners(assured: Assured) -> list[list[float]]:
    """Of the map: north-west, north-east, south-east, south-west; lon, lat, deg."""
    cells = assured.seen.cells
    rows, columns = cells.wanted.shape
    east, north = cells.west_m + columns * cells.side_m, cells.south_m + rows * cells.side_m
    lon, lat = cells.plane.to_lonlat(
        [cells.west_m, east, east, cells.west_m], [north, north, cells.south_m, cells.south_m]
    )
    return np.stack([lon, lat], axis=-1).round(8).tolist()  # type: ignore[no-any-return]


def _drawn(assured: Assured) -> bytes:
    cells = assured.seen.cells
    image: NDArray[np.uint8] = np.zeros((*cells.wanted.shape, 4), np.uint8)
    image[cells.under] = BUILT
    image[assured.poor & (assured.seen.frames == 0)] = NEVER
    image[assured.poor & (assured.seen.frames > 0)] = POOR
    image[assured.good] = GOOD
    _, encoded = cv2.imencode(".png", cv2.cvtColor(np.ascontiguousarray(image[::-1]), cv2.COLOR_RGBA2BGRA))
    return encoded.tobytes()
