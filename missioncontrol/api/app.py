"""The web application: routes, guards, errors, headers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from importlib.metadata import version
from typing import Any

from litestar import Litestar, Router
from litestar.datastructures import MutableScopeHeaders, State
from litestar.di import Provide
from litestar.openapi import OpenAPIConfig
from litestar.types import Message, Scope

from missioncontrol.api import (
    changes,
    city,
    coverage,
    dispatch,
    features,
    flights,
    health,
    incidents,
    live,
    locating,
    maintenance,
    missions,
    pages,
    people,
    permits,
    recordings,
    schedules,
    session,
    stac,
    vehicles,
    versions,
    views,
    weather,
    whep,
    zones,
)
from missioncontrol.api.access import logged_in
from missioncontrol.api.documentation import DescribedOpenApi, PlainDocumentation
from missioncontrol.api.errors import HANDLERS
from missioncontrol.change_jobs import ChangeJobs
from missioncontrol.control import Control
from missioncontrol.coverage import Coverage
from missioncontrol.dispatcher import Dispatcher
from missioncontrol.evidence import Evidence
from missioncontrol.exposures import Exposures
from missioncontrol.flightlog import FlightLogs
from missioncontrol.flights import Flights
from missioncontrol.handoffs import Outbox
from missioncontrol.health import Health
from missioncontrol.incidents import Incidents
from missioncontrol.layers import Layers
from missioncontrol.live import Live, VideoHub
from missioncontrol.locating import Locator
from missioncontrol.missions import Missions
from missioncontrol.people import People
from missioncontrol.permits import Permits
from missioncontrol.preview_jobs import PreviewJobs
from missioncontrol.recordings import Recordings
from missioncontrol.registry import Registry
from missioncontrol.retention import Retention
from missioncontrol.schedule_conflicts import ScheduleConflicts
from missioncontrol.schedules import Schedules
from missioncontrol.second_looks import SecondLooks
from missioncontrol.settings import Settings
from missioncontrol.stac import Catalogue
from missioncontrol.store import Store
from missioncontrol.vehicles import Vehicles
from missioncontrol.versions import Versions
from missioncontrol.views import Views
from missioncontrol.watches import Watches
from missioncontrol.weather_watch import WeatherWatch
from missioncontrol.webrtc import Viewers
from missioncontrol.zone_watch import ZoneWatch
from missioncontrol.zones import Zones

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' data: blob:; worker-src 'self' blob:; style-src 'self' 'unsafe-inline'; "
        "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(self)",
}
"""Sent with every answer."""


@dataclass(frozen=True)
class Rooms:
    """The parts of the service that handlers ask; each is injected by its name here.

    No name may also be that of a field of a request's body: Litestar would take its errors for ours.
    """

    settings: Settings
    store: Store
    people: People
    missions: Missions
    versions: Versions
    preview_jobs: PreviewJobs
    schedules: Schedules
    schedule_conflicts: ScheduleConflicts
    dispatcher: Dispatcher
    exposures: Exposures
    coverage: Coverage
    flights: Flights
    flightlogs: FlightLogs
    watches: Watches
    zone_records: Zones
    permit_records: Permits
    zone_watch: ZoneWatch
    wellbeing: Health
    sky: WeatherWatch
    roster: Vehicles
    control: Control
    incidents: Incidents
    outbox: Outbox
    evidence: Evidence
    recordings: Recordings
    retention: Retention
    views: Views
    catalogue: Catalogue
    registry: Registry
    second_looks: SecondLooks
    layers: Layers
    change_jobs: ChangeJobs
    locator: Locator
    feed: Live
    videos: VideoHub
    viewers: Viewers


def make_app(rooms: Rooms) -> Litestar:
    """The application over the parts of the service."""
    guarded: list[Any] = [
        people.router,
        missions.preview,
        missions.router,
        versions.router,
        schedules.router,
        dispatch.dispatch,
        coverage.router,
        features.read,
        flights.router,
        vehicles.router,
        maintenance.health,
        maintenance.maintained,
        weather.weather,
        zones.router,
        permits.router,
        incidents.router,
        incidents.handoffs,
        incidents.retry,
        recordings.router,
        recordings.going,
        stac.router,
        views.views,
        locating.router,
        city.all_cameras,
        city.all_layers,
        city.layer_features,
        changes.router,
        city.city,
        live.live,
        live.video,
        whep.addresses,
        whep.router,
    ]
    return Litestar(
        route_handlers=[
            Router("/api/v1", route_handlers=[session.router]),
            Router("/api/v1", route_handlers=guarded, guards=[logged_in]),
            Router("/", route_handlers=[city.tile], guards=[logged_in]),
            Router("/api/v1", route_handlers=[city.tile], guards=[logged_in]),
            health.health,
            health.metrics,
            pages.index,
            pages.page,
        ],
        dependencies={field.name: _provide(getattr(rooms, field.name)) for field in fields(rooms)},
        exception_handlers=HANDLERS,
        before_send=[_send_headers],
        state=State({"people": rooms.people}),
        openapi_config=OpenAPIConfig(
            title="missioncontrol",
            version=version("missioncontrol"),
            path="/schema",
            use_handler_docstrings=True,
            render_plugins=[PlainDocumentation(path="/"), DescribedOpenApi(path="/openapi.json")],
        ),
        logging_config=None,
        debug=False,
    )


async def _send_headers(message: Message, _: Scope) -> None:
    """Also with errors that no handler was reached for."""
    if message["type"] == "http.response.start":
        headers = MutableScopeHeaders.from_message(message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)


def _provide(value: Any) -> Provide:
    def give() -> Any:
        return value

    give_typed: Callable[[], Any] = give
    return Provide(give_typed, sync_to_thread=False)
