"""/flights: what was flown."""

from __future__ import annotations

from typing import Any

from litestar import Router, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from missioncontrol.flights import Flights


@get("/")
async def everything(flights: NamedDependency[Flights]) -> list[dict[str, Any]]:
    """All flights, newest first."""
    return await flights.everything()


@get("/{flight_id:str}")
async def one(flight_id: FromPath[str], flights: NamedDependency[Flights]) -> dict[str, Any]:
    """One flight."""
    return await flights.get(flight_id)


@get("/{flight_id:str}/track")
async def track(flight_id: FromPath[str], flights: NamedDependency[Flights]) -> dict[str, Any]:
    """Where it went: a Feature, LineString of lon, lat, m AMSL, with the times."""
    return await flights.track(flight_id)


router = Router("/flights", route_handlers=[everything, one, track], tags=["flights"])
