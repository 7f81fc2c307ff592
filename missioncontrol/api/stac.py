"""/stac: the catalogue of orthophotos, frame sets and clips, and search in it."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

import msgspec
import shapely
from litestar import Request, Response, Router, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter

from missioncontrol.errors import InputInvalid
from missioncontrol.people import Person
from missioncontrol.stac import COLLECTIONS, CONFORMS_TO, Catalogue, Wanted
from missioncontrol.views import moment

GEOJSON = "application/geo+json"
MOST = 1000
Asked = Request[Person, Any, Any]


class Search(msgspec.Struct, frozen=True, kw_only=True):
    """A search as STAC's Item Search has it; what it does not know is left alone."""

    bbox: tuple[float, ...] | None = None
    """West, south, east, north, deg; or with heights, which are left alone."""
    intersects: dict[str, Any] | None = None
    """GeoJSON geometry."""
    datetime: str | None = None
    """A moment, or begin/end with .. for open."""
    collections: tuple[str, ...] | None = None
    """All where absent."""
    ids: tuple[str, ...] | None = None
    """Only these items."""
    limit: Annotated[int, msgspec.Meta(ge=1)] = 10
    """Items in one answer."""
    token: str | None = None
    """Where the answer before ended."""

    def wanted(self) -> Wanted:
        """Raises InputInvalid."""
        if self.bbox is not None and self.intersects is not None:
            raise InputInvalid("bbox, intersects: give one of the two")
        unknown = [name for name in self.collections or () if name not in COLLECTIONS]
        if unknown:
            raise InputInvalid(f"collections: no {', '.join(unknown)}; there are: {', '.join(COLLECTIONS)}")
        begin, end = _times(self.datetime)
        place = None if self.bbox is None else _box(self.bbox)
        return Wanted(
            collections=tuple(COLLECTIONS) if self.collections is None else self.collections,
            place=place if self.intersects is None else _shape(self.intersects),
            from_utc_s=begin,
            until_utc_s=end,
            ids=self.ids,
            limit=min(self.limit, MOST),
            token=self.token,
        )


@get("/")
async def landing(request: Asked, catalogue: NamedDependency[Catalogue]) -> dict[str, Any]:
    """What there is, and where."""
    return catalogue.landing(_root(request))


@get("/conformance")
async def conformance() -> dict[str, Any]:
    """What of the STAC API is kept to."""
    return {"conformsTo": list(CONFORMS_TO)}


@get("/collections")
async def collections(request: Asked, catalogue: NamedDependency[Catalogue]) -> dict[str, Any]:
    """All collections."""
    root = _root(request)
    found = [catalogue.collection(name, root) for name in COLLECTIONS]
    links = [{"rel": "self", "href": f"{root}/collections"}, {"rel": "root", "href": root}]
    return {"collections": found, "links": links}


@get("/collections/{name:str}")
async def collection(name: FromPath[str], request: Asked, catalogue: NamedDependency[Catalogue]) -> dict[str, Any]:
    """One collection."""
    return catalogue.collection(name, _root(request))


@get("/collections/{name:str}/items", media_type=GEOJSON)
async def items(
    name: FromPath[str],
    request: Asked,
    catalogue: NamedDependency[Catalogue],
    bbox: FromQuery[str | None] = None,
    when: Annotated[str | None, QueryParameter(name="datetime")] = None,
    limit: Annotated[int, QueryParameter(ge=1)] = 10,
    token: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Items of one collection."""
    catalogue.collection(name, _root(request))
    asked = Search(bbox=_numbers(bbox), datetime=when, collections=(name,), limit=limit, token=token)
    return await _answer(request, catalogue, asked, path=f"/collections/{name}/items")


@get("/collections/{name:str}/items/{item_id:str}", media_type=GEOJSON)
async def item(
    name: FromPath[str], item_id: FromPath[str], request: Asked, catalogue: NamedDependency[Catalogue]
) -> Response[bytes]:
    """One item."""
    return _geojson(await catalogue.item(name, item_id, _root(request)))


@get("/frames/{flight_id:str}", media_type=GEOJSON)
async def frames(flight_id: FromPath[str], catalogue: NamedDependency[Catalogue]) -> Response[bytes]:
    """What a flight saw, moment by moment."""
    return _geojson(await catalogue.moments(flight_id))


@get("/search", media_type=GEOJSON)
async def search(
    request: Asked,
    catalogue: NamedDependency[Catalogue],
    bbox: FromQuery[str | None] = None,
    intersects: FromQuery[str | None] = None,
    when: Annotated[str | None, QueryParameter(name="datetime")] = None,
    wanted_collections: Annotated[str | None, QueryParameter(name="collections")] = None,
    ids: FromQuery[str | None] = None,
    limit: Annotated[int, QueryParameter(ge=1)] = 10,
    token: FromQuery[str | None] = None,
) -> Response[bytes]:
    """Items by place, time, collection and id."""
    asked = Search(
        bbox=_numbers(bbox),
        intersects=_object(intersects),
        datetime=when,
        collections=None if wanted_collections is None else tuple(wanted_collections.split(",")),
        ids=None if ids is None else tuple(ids.split(",")),
        limit=limit,
        token=token,
    )
    return await _answer(request, catalogue, asked, path="/search")


@post("/search", status_code=200, media_type=GEOJSON)
async def search_by_body(
    data: JSONBody[Search], request: Asked, catalogue: NamedDependency[Catalogue]
) -> Response[bytes]:
    """The same, asked in a body."""
    return await _answer(request, catalogue, data, path="/search", by_body=True)


async def _answer(
    request: Asked, catalogue: Catalogue, asked: Search, *, path: str, by_body: bool = False
) -> Response[bytes]:
    root = _root(request)
    found, more = await catalogue.search(asked.wanted(), root)
    links: list[dict[str, Any]] = [{"rel": "root", "href": root, "type": "application/json"}]
    if more is not None and by_body:
        body = {name: value for name, value in msgspec.to_builtins(asked).items() if value is not None}
        links.append(
            {"rel": "next", "href": root + path, "type": GEOJSON, "method": "POST", "body": {**body, "token": more}}
        )
    elif more is not None:
        query = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        links.append({"rel": "next", "href": f"{root}{path}?{urlencode([*query, ('token', more)])}", "type": GEOJSON})
    return _geojson({"type": "FeatureCollection", "features": found, "links": links, "numberReturned": len(found)})


def _root(request: Asked) -> str:
    return f"{str(request.base_url).rstrip('/')}/api/v1/stac"


def _geojson(tree: dict[str, Any]) -> Response[bytes]:
    return Response(msgspec.json.encode(tree), media_type=GEOJSON)


def _numbers(text: str | None) -> tuple[float, ...] | None:
    if text is None:
        return None
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputInvalid(f"bbox: {text!r}: give west,south,east,north in degrees") from None


def _box(bbox: tuple[float, ...]) -> shapely.Geometry:
    """Across the antimeridian where west is more than east."""
    sides = (bbox[0], bbox[1], bbox[3], bbox[4]) if len(bbox) == 6 else bbox
    if len(sides) != 4 or not (abs(sides[0]) <= 180 and abs(sides[2]) <= 180 and -90 <= sides[1] <= sides[3] <= 90):
        raise InputInvalid(f"bbox: {list(bbox)}: give west,south,east,north in degrees")
    west, south, east, north = sides
    if west <= east:
        return shapely.box(west, south, east, north)
    return shapely.union_all([shapely.box(west, south, 180.0, north), shapely.box(-180.0, south, east, north)])


def _object(text: str | None) -> dict[str, Any] | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError as exc:
        raise InputInvalid(f"intersects: is no GeoJSON: {exc}") from None


def _shape(tree: dict[str, Any]) -> shapely.Geometry:
    try:
        shape = shapely.from_geojson(msgspec.json.encode(tree).decode())
    except shapely.errors.ShapelyError as exc:
        raise InputInvalid(f"intersects: is no GeoJSON: {exc}") from None
    if not shape.is_valid or shape.is_empty:
        raise InputInvalid(f"intersects: {shapely.is_valid_reason(shape)}")
    return shape


def _times(text: str | None) -> tuple[float, float]:
    begin, slash, end = (text or "../..").partition("/")
    ends = end if slash else begin
    return (
        float("-inf") if begin in ("", "..") else moment("datetime", begin, 0.0),
        float("inf") if ends in ("", "..") else moment("datetime", ends, 0.0),
    )


router = Router(
    "/stac",
    route_handlers=[landing, conformance, collections, collection, items, item, frames, search, search_by_body],
    tags=["stac"],
)
