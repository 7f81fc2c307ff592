"""/zones: where flying is forbidden or tied to something, from files of authorities or drawn here."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Request, Response, Router, delete, get, post
from litestar.di import NamedDependency
from litestar.params import FromPath, FromQuery, JSONBody, QueryParameter, RawBody

from geo.zone_files import MOST_BYTES
from missioncontrol.api.access import requires
from missioncontrol.api.incidents import parse_bbox
from missioncontrol.people import Person, Role
from missioncontrol.zone_formats import ZoneFormat
from missioncontrol.zones import NewZone, ZoneImport, Zones

_WRITE_GUARDS = [requires(Role.ADMINISTRATOR)]
Format = Annotated[ZoneFormat, QueryParameter(name="format", description="ed318 or ed269.")]


@get("/")
async def everything(
    zone_records: NamedDependency[Zones],
    bbox: FromQuery[str | None] = None,
    source: FromQuery[str | None] = None,
    active: FromQuery[bool | None] = None,
) -> dict[str, Any]:
    """Zones, their limits and times in words, and whether each is active now."""
    box = None if bbox is None else parse_bbox(bbox)
    return await zone_records.features(box=box, source=source, active=active)


@post("/", guards=_WRITE_GUARDS)
async def draw(
    data: JSONBody[NewZone], request: Request[Person, Any, Any], zone_records: NamedDependency[Zones]
) -> dict[str, Any]:
    """A zone of one's own."""
    return await zone_records.draw(data, person=request.user.name)


@post("/import", guards=_WRITE_GUARDS, status_code=200, request_max_body_size=MOST_BYTES)
async def import_file(
    body: RawBody,
    request: Request[Person, Any, Any],
    zone_records: NamedDependency[Zones],
    source: FromQuery[str],
    file_format: Format,
    partly: FromQuery[bool] = False,
) -> ZoneImport:
    """Put the zones of a file, the body, in the place of all zones of a source."""
    return await zone_records.import_file(
        body, file_format=file_format, source=source, partly=partly, person=request.user.name
    )


@get("/sources")
async def sources(zone_records: NamedDependency[Zones]) -> list[dict[str, Any]]:
    """Files that zones came from."""
    return await zone_records.sources()


@get("/export")
async def export(
    zone_records: NamedDependency[Zones],
    file_format: Format = ZoneFormat.ED318,
    source: FromQuery[str | None] = None,
) -> Response[dict[str, Any]]:
    """Zones, of a source or all, as a file."""
    name = f"{file_format}.{'geojson' if file_format == ZoneFormat.ED318 else 'json'}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return Response(await zone_records.export(file_format, source=source), headers=headers)


@delete("/{record_id:str}", guards=_WRITE_GUARDS)
async def remove(
    record_id: FromPath[str], request: Request[Person, Any, Any], zone_records: NamedDependency[Zones]
) -> None:
    """Remove one zone."""
    await zone_records.remove(record_id, person=request.user.name)


@delete("/sources/{source:str}", guards=_WRITE_GUARDS)
async def remove_source(
    source: FromPath[str], request: Request[Person, Any, Any], zone_records: NamedDependency[Zones]
) -> None:
    """Remove a source with all its zones."""
    await zone_records.remove_source(source, person=request.user.name)


router = Router(
    "/zones", route_handlers=[everything, draw, import_file, sources, export, remove, remove_source], tags=["zones"]
)
