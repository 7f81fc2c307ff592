"""STAC 1.1: every orthophoto, frame set and clip as an item, and search over them as the STAC API's Item Search has it.

Clips come from their index; a frame set is what the clips of one flight show, moment by moment; orthophotos are the
layers of the settings. Sources: the STAC specification 1.1.0, STAC API 1.0.0, and the extensions file 2.1.0,
projection 2.0.0 and view 1.0.0.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import rasterio.warp
import shapely
from sqlalchemy import ColumnElement, select

from geo.acquisition import taken_on
from geo.cogs import opened
from geo.grids import Grid
from geo.positions import distance_m
from missioncontrol.clocks import iso_utc
from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.geometry import hits
from missioncontrol.map_settings import LayerSettings
from missioncontrol.recordings import LEAVING, Clip, clip_of, geojson
from missioncontrol.sights import unpack
from missioncontrol.store import Store
from missioncontrol.tables import clips
from missioncontrol.views import between

VERSION = "1.1.0"
COLLECTIONS = {
    "orthophotos": "Orthophotos and other rasters that the installation shows under its map",
    "frames": "Frame sets: what each flight saw, moment by moment",
    "clips": "Recorded video, by clips of a minute or so",
}
CONFORMS_TO = (
    "https://api.stacspec.org/v1.0.0/core",
    "https://api.stacspec.org/v1.0.0/collections",
    "https://api.stacspec.org/v1.0.0/ogcapi-features",
    "https://api.stacspec.org/v1.0.0/item-search",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core",
    "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson",
)
FILE = "https://stac-extensions.github.io/file/v2.1.0/schema.json"
PROJECTION = "https://stac-extensions.github.io/projection/v2.0.0/schema.json"
VIEW = "https://stac-extensions.github.io/view/v1.0.0/schema.json"
_SHA256 = "1220"
"""Head of a multihash: SHA-256, 32 bytes."""
_WORLD = (-180.0, -90.0, 180.0, 90.0)

Tree = dict[str, Any]


@dataclass(frozen=True)
class Wanted:
    """What is searched for."""

    collections: tuple[str, ...] = tuple(COLLECTIONS)
    """In which."""
    place: shapely.Geometry | None = None
    """Touching this (lon, lat; deg)."""
    from_utc_s: float = -np.inf
    """Not before, s since 1970 UTC."""
    until_utc_s: float = np.inf
    """Not after, s since 1970 UTC."""
    ids: tuple[str, ...] | None = None
    """Only these."""
    limit: int = 10
    """Items in one answer."""
    token: str | None = None
    """Where the answer before ended."""


class Catalogue:
    """What the installation has."""

    def __init__(self, store: Store, layers: Callable[[], tuple[LayerSettings, ...]]) -> None:
        """Clips in `store`; `layers` tells what rasters there are now."""
        self._store, self._layers = store, layers
        self._rasters: dict[tuple[Path, int, int], Tree] = {}

    async def search(self, wanted: Wanted, root: str) -> tuple[list[Tree], str | None]:
        """Items, and the token of what comes next; `root` is the address of the catalogue. Raises InputInvalid."""
        begins, _, after = (wanted.token or "").partition(":")
        names = [name for name in COLLECTIONS if name in wanted.collections]
        if wanted.token is not None and begins not in names:
            raise InputInvalid(f"token: {wanted.token!r} is not one of this search")
        names = names[names.index(begins) :] if begins else names
        found: list[Tree] = []
        for name in names:
            part = replace(wanted, limit=wanted.limit - len(found))
            items, more = await self._part(name, part, after or None, root)
            found += items
            if more is not None:
                return found, f"{name}:{more}"
            if len(found) == wanted.limit and name != names[-1]:
                return found, f"{names[names.index(name) + 1]}:"
            after = ""
        return found, None

    async def item(self, collection: str, item_id: str, root: str) -> Tree:
        """One item. Raises NotFound."""
        self.collection(collection, root)
        found, _ = await self._part(collection, Wanted(ids=(item_id,), limit=1), None, root)
        if not found:
            raise NotFound(f"no item {item_id} in {collection}")
        return found[0]

    def landing(self, root: str) -> Tree:
        """The catalogue itself."""
        return {
            "type": "Catalog",
            "stac_version": VERSION,
            "id": "missioncontrol",
            "title": "missioncontrol",
            "description": "Orthophotos, frame sets and recorded video of this installation",
            "conformsTo": list(CONFORMS_TO),
            "links": [
                _link("self", root),
                _link("root", root),
                _link("conformance", f"{root}/conformance"),
                _link("data", f"{root}/collections"),
                _link("search", f"{root}/search", "application/geo+json", method="GET"),
                _link("search", f"{root}/search", "application/geo+json", method="POST"),
                *(_link("child", f"{root}/collections/{name}") for name in COLLECTIONS),
            ],
        }

    def collection(self, name: str, root: str) -> Tree:
        """One collection. Raises NotFound."""
        if name not in COLLECTIONS:
            raise NotFound(f"no collection {name!r}; there are: {', '.join(COLLECTIONS)}")
        return {
            "type": "Collection",
            "stac_version": VERSION,
            "id": name,
            "description": COLLECTIONS[name],
            "license": "other",
            "extent": {"spatial": {"bbox": [list(_WORLD)]}, "temporal": {"interval": [[None, None]]}},
            "links": [
                _link("self", f"{root}/collections/{name}"),
                _link("root", root),
                _link("parent", root),
                _link("items", f"{root}/collections/{name}/items", "application/geo+json"),
            ],
        }

    async def moments(self, flight_id: str) -> Tree:
        """A frame set: each moment's footprint, camera and height, GeoJSON. Raises NotFound."""
        query = (
            select(clips.c.id, clips.c.from_utc_s, clips.c.sights)
            .where(clips.c.flight_id == flight_id, clips.c.state != LEAVING, clips.c.sights.is_not(None))
            .order_by(clips.c.number)
        )
        async with self._store.reading() as connection:
            rows = (await connection.execute(query)).all()
        if not rows:
            raise NotFound(f"no frames of flight {flight_id}")
        return await asyncio.to_thread(_moments, rows)

    async def _part(self, name: str, wanted: Wanted, after: str | None, root: str) -> tuple[list[Tree], str | None]:
        if name == "orthophotos":
            return await self._orthophotos(wanted, after, root)
        return await (self._frames if name == "frames" else self._clips)(wanted, after, root)

    async def _orthophotos(self, wanted: Wanted, after: str | None, root: str) -> tuple[list[Tree], str | None]:
        found: list[Tree] = []
        for layer in sorted(await asyncio.to_thread(self._layers), key=lambda layer: layer.name):
            if (after and layer.name <= after) or (wanted.ids is not None and layer.name not in wanted.ids):
                continue
            item = _orthophoto(layer, await self._raster(layer.path), root)
            taken_s = datetime.fromisoformat(item["properties"]["datetime"]).timestamp()
            if not wanted.from_utc_s <= taken_s <= wanted.until_utc_s:
                continue
            if wanted.place is not None and not wanted.place.intersects(shapely.geometry.shape(item["geometry"])):
                continue
            if len(found) == wanted.limit:
                return found, str(found[-1]["id"])
            found.append(item)
        return found, None

    async def _raster(self, path: Path) -> Tree:
        """What is known of a file, its checksum too; read once as long as it stays as it is."""
        stat = await asyncio.to_thread(path.stat)
        key = (path, stat.st_mtime_ns, stat.st_size)
        if key not in self._rasters:
            self._rasters[key] = await asyncio.to_thread(_facts, path)
        return self._rasters[key]

    def _conditions(self, wanted: Wanted) -> list[ColumnElement[bool]]:
        conditions: list[ColumnElement[bool]] = [clips.c.state != LEAVING, clips.c.place.is_not(None)]
        if wanted.place is not None:
            conditions.append(hits(self._store.dialect_name, clips.c.place, wanted.place))
        return conditions

    async def _clips(self, wanted: Wanted, after: str | None, root: str) -> tuple[list[Tree], str | None]:
        query = select(*Clip.columns()).where(*self._conditions(wanted))
        query = between(query, wanted.from_utc_s, wanted.until_utc_s)
        query = query.order_by(clips.c.number.desc()).limit(wanted.limit + 1)
        if wanted.ids is not None:
            query = query.where(clips.c.id.in_(wanted.ids))
        if after is not None:
            query = query.where(clips.c.number < _number(after))
        async with self._store.reading() as connection:
            found = [clip_of(row) for row in await connection.execute(query)]
        more = str(found[wanted.limit - 1].number) if len(found) > wanted.limit > 0 else None
        return [_clip(clip, root) for clip in found[: wanted.limit]], more

    async def _frames(self, wanted: Wanted, after: str | None, root: str) -> tuple[list[Tree], str | None]:
        query = select(clips.c.flight_id).where(*self._conditions(wanted))
        query = between(query, wanted.from_utc_s, wanted.until_utc_s)
        query = query.group_by(clips.c.flight_id).order_by(clips.c.flight_id.desc()).limit(wanted.limit + 1)
        if wanted.ids is not None:
            query = query.where(clips.c.flight_id.in_([one.removeprefix("frames-") for one in wanted.ids]))
        if after is not None:
            query = query.where(clips.c.flight_id < after)
        async with self._store.reading() as connection:
            flights = list((await connection.execute(query)).scalars())
            of_these = select(*Clip.columns()).where(
                clips.c.flight_id.in_(flights[: wanted.limit]), clips.c.state != LEAVING, clips.c.place.is_not(None)
            )
            rows = (await connection.execute(of_these.order_by(clips.c.number))).all()
        by_flight: dict[str, list[Clip]] = {flight: [] for flight in flights[: wanted.limit]}
        for row in rows:
            by_flight[row.flight_id].append(clip_of(row))
        more = flights[wanted.limit - 1] if len(flights) > wanted.limit > 0 else None
        return [_frame_set(parts, root) for parts in by_flight.values() if parts], more


def _number(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise InputInvalid(f"token: {text!r} is not one of this search")
    return int(text)


def _link(rel: str, href: str, kind: str = "application/json", **more: Any) -> Tree:
    return {"rel": rel, "href": href, "type": kind, **more}


def _item(
    collection: str,
    item_id: str,
    shape: shapely.Geometry,
    properties: Tree,
    assets: Tree,
    extensions: list[str],
    root: str,
) -> Tree:
    whole = f"{root}/collections/{collection}"
    return {
        "type": "Feature",
        "stac_version": VERSION,
        "stac_extensions": extensions,
        "id": item_id,
        "collection": collection,
        "geometry": geojson(shape),
        "bbox": [round(float(value), 7) for value in shape.bounds],
        "properties": {name: value for name, value in properties.items() if value is not None or name == "datetime"},
        "links": [
            _link("self", f"{whole}/items/{item_id}", "application/geo+json"),
            _link("root", root),
            _link("parent", whole),
            _link("collection", whole),
        ],
        "assets": assets,
    }


def _seen(parts: list[Clip]) -> Tree:
    gsd = [clip.gsd_m for clip in parts if clip.gsd_m]
    off_nadir = [clip.off_nadir_deg for clip in parts if clip.off_nadir_deg is not None]
    first = parts[0]
    return {
        "datetime": iso_utc(min(clip.from_utc_s for clip in parts)),
        "start_datetime": iso_utc(min(clip.from_utc_s for clip in parts)),
        "end_datetime": iso_utc(max(clip.until_utc_s for clip in parts)),
        "gsd": round(float(np.median(gsd)), 4) if gsd else None,
        "view:off_nadir": round(float(np.median(off_nadir)), 1) if off_nadir else None,
        "platform": first.registration or f"sysid {first.sysid}",
        "instruments": [first.camera] if first.camera else None,
        "mission": first.flight_id,
    }


def _clip(clip: Clip, root: str) -> Tree:
    api = root.removesuffix("/stac")
    video: Tree = {
        "href": f"{api}/recordings/{clip.id}/video.mp4",
        "type": "video/mp4",
        "title": f"{clip.codec}, {clip.width_px} x {clip.height_px} px, as it was received",
        "roles": ["data"],
    }
    if clip.sha256 is not None:
        video |= {"file:size": clip.size, "file:checksum": _SHA256 + clip.sha256}
    picture = {"href": f"{api}/recordings/{clip.id}/frame?t=0", "type": "image/jpeg", "roles": ["thumbnail"]}
    assert clip.place is not None
    assets = {"video": video, "thumbnail": picture}
    return _item("clips", clip.id, clip.place, {**_seen([clip]), "title": clip.why}, assets, [FILE, VIEW], root)


def _frame_set(parts: list[Clip], root: str) -> Tree:
    flight = parts[0].flight_id
    frames = {"href": f"{root}/frames/{flight}", "type": "application/geo+json", "roles": ["metadata"]}
    shape = shapely.union_all([clip.place for clip in parts if clip.place is not None])
    return _item("frames", f"frames-{flight}", shape, _seen(parts), {"frames": frames}, [VIEW], root)


def _orthophoto(layer: LayerSettings, facts: Tree, root: str) -> Tree:
    api = root.removesuffix("/stac")
    data = {
        "href": layer.path.resolve().as_uri(),
        "type": "image/tiff; application=geotiff",
        "roles": ["data"],
        "file:size": facts["size"],
        "file:checksum": facts["checksum"],
        "gsd": facts["gsd"],
        **facts["proj"],
        "bands": facts["bands"],
    }
    tiles = {"href": f"{api}/tiles/{layer.name}/{{z}}/{{x}}/{{y}}.png", "type": "image/png", "roles": ["visual"]}
    properties = {"title": layer.title, "datetime": facts["datetime"], "gsd": facts["gsd"], **facts["said"]}
    if layer.taken is not None:
        properties = {"title": layer.title, "datetime": iso_utc(_midnight_s(layer.taken)), "gsd": facts["gsd"]}
    shape = shapely.box(*facts["bounds"])
    return _item("orthophotos", layer.name, shape, properties, {"data": data, "tiles": tiles}, [FILE, PROJECTION], root)


def _midnight_s(day: date) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()


def _stated_s(tags: dict[str, str]) -> float | None:
    """When it was taken by its tags, the time of the day too where it is there; without an offset it is UTC."""
    for name, form in (("TIFFTAG_DATETIME", "%Y:%m:%d %H:%M:%S"), ("ACQUISITION_DATE", None)):
        text = tags.get(name, "")
        try:
            told = datetime.fromisoformat(text) if form is None else datetime.strptime(text, form)
        except ValueError:
            continue
        return (told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()
    day = taken_on(tags)
    return None if day is None else _midnight_s(day)


def _facts(path: Path) -> Tree:
    """Of a GeoTIFF. Where its tags do not say when it was taken its date is that of the file, and the item says so."""
    with path.open("rb") as file:
        checksum = _SHA256 + hashlib.file_digest(file, "sha256").hexdigest()
    with opened(path) as raster:
        bounds = rasterio.warp.transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
        grid = Grid(raster.crs.to_wkt(), raster.transform, raster.width, raster.height)
        code = raster.crs.to_authority()
        bands = [{"name": f"b{index}", "data_type": kind} for index, kind in enumerate(raster.dtypes, start=1)]
        proj = {
            "proj:code": ":".join(code) if code else None,
            "proj:shape": [raster.height, raster.width],
            "proj:transform": list(raster.transform)[:6],
        }
        stated = _stated_s(raster.tags())
    changed_s = path.stat().st_mtime
    return {
        "size": path.stat().st_size,
        "checksum": checksum,
        "bounds": bounds,
        "gsd": round(_gsd_m(grid), 4),
        "proj": proj,
        "bands": bands,
        "datetime": iso_utc(changed_s if stated is None else stated),
        "said": {"description": "The date is that of the file"} if stated is None else {},
    }


def _gsd_m(grid: Grid) -> float:
    """Width on the ground of the pixel in the middle of a raster, m."""
    column, row = grid.width / 2, grid.height / 2
    lon, lat = grid.lonlat([column - 0.5, column + 0.5], [row, row])
    return float(distance_m(lon[0], lat[0], lon[1], lat[1]))


def _moments(rows: Any) -> Tree:
    sights = unpack([row.sights for row in rows])
    gsd_m, off_nadir_deg, _, _ = sights.looks_at(*sights.corners.mean(axis=1).T)
    features = []
    for index in range(len(sights)):
        row = rows[sights.clip[index]]
        camera = sights.camera[index]
        features.append(
            {
                "type": "Feature",
                "geometry": geojson(shapely.Polygon(sights.corners[index])),
                "properties": {
                    "utc": iso_utc(row.from_utc_s + float(sights.time_s[index])),
                    "clip": row.id,
                    "time_s": round(float(sights.time_s[index]), 2),
                    "gsd_m": round(float(gsd_m[index]), 4) if np.isfinite(gsd_m[index]) else None,
                    "off_nadir_deg": round(float(off_nadir_deg[index]), 1),
                    "camera": [round(float(camera[0]), 7), round(float(camera[1]), 7)],
                    "height_above_ground_m": round(float(sights.height_m[index]), 1),
                },
            }
        )
    return {"type": "FeatureCollection", "features": features}
