"""/weather: the last observation, and whether a vehicle may fly in it."""

from __future__ import annotations

from typing import Any

from litestar import get
from litestar.di import NamedDependency
from litestar.params import FromQuery

from missioncontrol.weather_watch import WeatherWatch


@get("/weather", tags=["weather"])
async def weather(sky: NamedDependency[WeatherWatch], vehicle: FromQuery[int | None] = None) -> dict[str, Any]:
    """The last observation with its age, and the checks by the limits of a vehicle, or by those of all."""
    return sky.public(vehicle)
