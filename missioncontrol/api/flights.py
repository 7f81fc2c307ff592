"""/flights: what was flown."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath, QueryParameter

from missioncontrol.flightlog import FlightLogs, Format
from missioncontrol.flights import Flights


@get("/")
async def everything(flights: NamedDependency[Flights]) -> list[dict[str, Any]]:
    """All flights, newest first."""
    return await flights.everything()


@get("/{flight_id:str}")
async def one(flight_id: FromPath[str], flights: NamedDependency[Flights]) -> dict[str, Any]:
    """One flight, with what its recording told once it was over."""
    return await flights.get(flight_id)


@get("/{flight_id:str}/track")
async def track(flight_id: FromPath[str], flights: NamedDependency[Flights]) -> dict[str, Any]:
    """Where it went: a Feature, LineString of lon, lat, m AMSL, with the times."""
    return await flights.track(flight_id)


@get("/{flight_id:str}/export")
async def export(
    flight_id: FromPath[str],
    flightlogs: NamedDependency[FlightLogs],
    kind: Annotated[Format, QueryParameter(name="format")] = "tlog",
) -> Response[bytes]:
    """The flight as a file: its recording (.tlog), or its way as GeoJSON, KML or CSV."""
    found = await flightlogs.export(flight_id, kind)
    headers = {"Content-Disposition": f'attachment; filename="{found.name}"'}
    return Response(found.content, media_type=found.media_type, headers=headers)


router = Router("/flights", route_handlers=[everything, one, track, export], tags=["flights"])
