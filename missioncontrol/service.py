"""The service: builds its parts, runs them in one task group, and stops cleanly."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any

import structlog
import uvicorn

from fleet.errors import FleetError, RemoteIdInvalid
from fleet.fleet import Fleet
from fleet.remote_id import RemoteIdSender
from fleet.vehicle import VehicleRecord
from geo.terrain import Terrain, TerrainTiles
from missioncontrol import logs
from missioncontrol.adapters import enter_adapters
from missioncontrol.api.app import Rooms, make_app
from missioncontrol.change_jobs import ChangeJobs
from missioncontrol.clearance import Clearance
from missioncontrol.clocks import Clock
from missioncontrol.control import Control
from missioncontrol.coverage import Coverage
from missioncontrol.dispatcher import Dispatcher
from missioncontrol.errors import SettingsInvalid
from missioncontrol.evidence import Evidence
from missioncontrol.exposures import Exposures
from missioncontrol.flightlog import FlightLogs
from missioncontrol.flights import Flights
from missioncontrol.handoffs import Outbox, check_sink, open_sink
from missioncontrol.health import Health
from missioncontrol.incident_settings import SinkSettings
from missioncontrol.incidents import Incidents
from missioncontrol.keyring import Keyring
from missioncontrol.layer_folder import LayerFolder
from missioncontrol.layers import Layers
from missioncontrol.live import Live, VideoHub
from missioncontrol.locating import Locator
from missioncontrol.missions import Missions
from missioncontrol.people import People
from missioncontrol.permits import Permits
from missioncontrol.planner import Planner
from missioncontrol.preflight import Preflight
from missioncontrol.preview_jobs import PreviewJobs
from missioncontrol.reasons import Reasons
from missioncontrol.recordings import Recordings
from missioncontrol.registry import Registry
from missioncontrol.retention import Retention
from missioncontrol.schedule_conflicts import ScheduleConflicts
from missioncontrol.schedules import Schedules
from missioncontrol.second_looks import SecondLooks
from missioncontrol.settings import Settings
from missioncontrol.stac import Catalogue
from missioncontrol.store import Store
from missioncontrol.supervision import Backoff, keep_running
from missioncontrol.traffic import Traffic
from missioncontrol.vehicles import Vehicles
from missioncontrol.versions import Versions
from missioncontrol.views import Views
from missioncontrol.watches import Watches
from missioncontrol.weather_watch import WeatherWatch
from missioncontrol.webrtc import Viewers
from missioncontrol.zone_watch import ZoneWatch
from missioncontrol.zones import Zones

log = structlog.get_logger(__name__)

GRACE_S = 2.0
"""How long open requests may take to end when the service stops, s."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves signals to us and says when it answers."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.answering = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.answering.set()

    def capture_signals(self) -> contextlib.AbstractContextManager[None]:  # type: ignore[override]
        return contextlib.nullcontext()


class Service:
    """Mission control, from its settings."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock = time.time,
        on_password: Callable[[str, str], None],
        on_ready: Callable[[str], None],
    ) -> None:
        """`on_password(name, password)` gets the first administrator's password if one had to be made up;
        `on_ready(url)` is called when the service answers."""
        self._settings, self._clock = settings, clock
        self._on_password, self._on_ready = on_password, on_ready
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._transmitters: dict[int, RemoteIdSender] = {}
        self._group = asyncio.TaskGroup()
        self.rooms: Rooms | None = None
        """The parts, once they are built."""

    def stop(self) -> None:
        """Have `run` end soon."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop` is called or a part breaks.

        Raises SettingsInvalid, AdapterUnknown, StoreUnavailable, LinkError; afterwards what broke, as a group.
        """
        settings = self._settings
        for sink in settings.sinks:
            check_sink(sink)
        for name in settings.unrouted_sinks():
            log.warning("no route leads to this sink, it will get nothing", sink=name)
        terrain = None
        if (ground := settings.terrain).dem is not None:
            folders = () if ground.geoids is None else (ground.geoids,)
            terrain = TerrainTiles.from_files([ground.dem], height_datum=ground.height_datum, geoid_folders=folders)
            if terrain.unstated:
                log.warning("terrain heights are taken as EGM96: the files do not say", files=terrain.unstated)
        listener = _listen(settings)
        async with AsyncExitStack() as stack:
            stack.callback(listener.close)
            store = await stack.enter_async_context(Store(settings.store_url()))
            keyring = Keyring(settings, self._clock)
            fleet = await stack.enter_async_context(_fleet(settings, self._clock, keyring))
            await enter_adapters(stack, settings, fleet)
            self._transmitters = _transmitters(settings, fleet, self._clock)
            rooms = self.rooms = self._rooms(store, fleet, terrain, keyring)
            stack.callback(rooms.layers.close)
            await rooms.control.load()
            await rooms.recordings.recover()
            watching = _watching(settings, rooms, fleet, terrain)
            if watching is not None:
                stack.callback(watching.close)  # if it never begins
            password = await rooms.people.ensure_administrator(settings.administrator)
            if password is not None:
                self._on_password(settings.administrator.name, password)
            await self._run_tasks(rooms, fleet, watching, listener)

    def _rooms(self, store: Store, fleet: Fleet, terrain: Terrain | None, keyring: Keyring) -> Rooms:
        settings, clock = self._settings, self._clock
        feed, videos = Live(clock), VideoHub()
        fleet.on_alarm = keyring.on_alarm = lambda text: feed.alarm(text, "severe")
        fleet.on_proven = keyring.proved
        if keyring.clock_alarm is not None:
            feed.alarm(keyring.clock_alarm, "severe")
        evidence = Evidence(settings.data / "evidence")
        control = Control(store, clock)
        vehicles = Vehicles(fleet, settings, terrain, store, feed, clock, control, keyring)
        health = Health(store, settings, clock)
        sky = WeatherWatch(settings, clock)
        traffic = Traffic()
        zones = Zones(store, clock, near=settings.somewhere())
        permits = Permits(store, settings, clock)
        clearance = Clearance(zones, permits, settings, terrain)
        planner = Planner(settings, terrain, fleet, health, sky, clearance, clock)
        missions = Missions(store, planner.plan, clock, on_change=feed.mission)
        versions = Versions(store, clock)
        preflight = Preflight(fleet, control, health, settings, clock, self._transmitters, sky, traffic, clearance)
        people = People(store, settings.http, clock)
        schedules = Schedules(store, missions, people, clock, on_alarm=feed.alarm)
        exposures = Exposures(store)
        recordings = Recordings(store, settings.recordings_folder(), clock)
        registry = Registry(
            buildings=settings.city.buildings, cadastre=settings.city.cadastre, permits=settings.city.permits
        )
        layer_folder = LayerFolder(settings.layers_folder())
        layers = Layers(settings.layers, layer_folder)
        incidents = Incidents(
            store, settings, evidence, clock, on_change=feed.incident, on_handoff=lambda: outbox.wake()
        )
        outbox = Outbox(
            store,
            settings.handoffs,
            clock,
            on_closed=incidents.delivery_closed,
            on_alarm=feed.alarm,
            on_change=incidents.announce,
        )
        return Rooms(
            settings=settings,
            store=store,
            people=people,
            missions=missions,
            versions=versions,
            preview_jobs=PreviewJobs(missions, versions, planner.site, settings, start=self._start),
            schedules=schedules,
            schedule_conflicts=ScheduleConflicts(schedules, planner.plan, clearance.checks, settings, clock),
            dispatcher=Dispatcher(
                settings,
                terrain,
                fleet,
                health,
                sky,
                control,
                clearance,
                permits,
                planner,
                missions,
                preflight,
                clock,
            ),
            exposures=exposures,
            coverage=Coverage(store, missions, exposures, registry, terrain, settings, clock),
            flights=Flights(
                store,
                fleet,
                missions,
                vehicles,
                control,
                preflight,
                traffic,
                settings,
                clock,
                start=self._start,
                on_alarm=feed.alarm,
                on_ended=health.flight_ended,
            ),
            flightlogs=FlightLogs(store, settings),
            watches=Watches(store, missions),
            zone_records=zones,
            permit_records=permits,
            zone_watch=ZoneWatch(
                clearance, traffic, fleet.vehicles, clock, on_alarm=lambda text: feed.alarm(text, "severe")
            ),
            wellbeing=health,
            sky=sky,
            roster=vehicles,
            control=control,
            incidents=incidents,
            outbox=outbox,
            evidence=evidence,
            recordings=recordings,
            retention=Retention(store, recordings, settings.retention, clock),
            views=Views(store),
            catalogue=Catalogue(store, layers.rasters),
            registry=registry,
            second_looks=SecondLooks(settings, registry),
            layers=layers,
            change_jobs=ChangeJobs(layers, layer_folder, settings.city, start=self._start),
            locator=Locator(terrain),
            feed=feed,
            videos=videos,
            viewers=Viewers(settings.video, videos),
        )

    async def _run_tasks(
        self, rooms: Rooms, fleet: Fleet, watching: Coroutine[Any, Any, None] | None, listener: socket.socket
    ) -> None:
        server = _Server(
            uvicorn.Config(
                make_app(rooms),
                log_config=None,
                access_log=False,
                lifespan="off",
                ws="websockets-sansio",
                server_header=False,
                timeout_graceful_shutdown=int(GRACE_S),
            )
        )
        async with self._group:
            self._start(rooms.roster.run(), "vehicles")
            self._start(fleet.failed(), "fleet")
            for sysid, sender in self._transmitters.items():
                self._start(sender.run(), f"remote id[{sysid}]")
            self._start(rooms.wellbeing.keep_summaries(), "summaries")
            self._start(rooms.sky.run(), "weather")
            self._start(rooms.schedules.run(), "schedules")
            self._start(rooms.dispatcher.run(), "dispatch")
            self._start(rooms.zone_watch.run(), "zones")
            self._start(rooms.retention.run(), "retention")
            self._start(rooms.viewers.run(), "viewers")
            if watching is not None:
                self._start(watching, "perception")
            for sink in self._settings.sinks:
                self._start(_keep_delivering(rooms.outbox, sink), f"sink[{sink.name}]")
            await rooms.flights.resume_watching()
            serving = self._group.create_task(server.serve(sockets=[listener]), name="http")
            await self._announce(server, listener)
            await self._stop.wait()
            log.info("stopping")
            server.should_exit = True
            await serving
            for task in self._tasks:
                task.cancel()
        log.info("stopped")

    async def _announce(self, server: _Server, listener: socket.socket) -> None:
        await server.answering.wait()
        host, port = listener.getsockname()[:2]
        url = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        log.info("listening", url=url)
        self._on_ready(url)

    def _start(self, work: Coroutine[Any, Any, None], name: str) -> asyncio.Task[None]:
        task = self._group.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


async def run(settings: Settings) -> None:
    """Run the service until SIGTERM or SIGINT; what the command `serve` does."""
    logs.configure()

    def tell_password(name: str, password: str) -> None:
        sys.stderr.write(f"first start: log in as {name} with the password {password} (shown once)\n")
        sys.stderr.flush()

    def tell_address(url: str) -> None:
        sys.stderr.write(f"mission control answers at {url}\n")
        sys.stderr.flush()

    service = Service(settings, on_password=tell_password, on_ready=tell_address)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stop)
    gc.freeze()  # what is loaded by now stays; looking through it again and again took a fifth of the links' time
    try:
        await service.run()
    finally:
        gc.freeze()  # or the end of the interpreter collects every library once more, 1 to 3 s


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.http.host, settings.http.port
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        return socket.create_server((host, port), family=family)
    except OSError as exc:
        raise SettingsInvalid(f"http: cannot listen at {host} port {port}: {exc.strerror}") from exc


def _fleet(settings: Settings, clock: Clock, keyring: Keyring) -> Fleet:
    records = {
        vehicle.sysid: VehicleRecord(
            sysid=vehicle.sysid,
            name=vehicle.name,
            fixed_mount_pitch_deg=vehicle.fixed_mount_pitch_deg,
            mounting=vehicle.mounting,
            links=vehicle.links,
        )
        for vehicle in settings.vehicles
    }
    return Fleet(
        settings.fleet.links,
        records,
        sysid=settings.fleet.gcs_sysid,
        stale_s=settings.fleet.heartbeat_timeout_s,
        lost_s=settings.fleet.lost_timeout_s,
        utc_now=clock,
        signing=keyring.signing,
        candidates=keyring.candidates,
        limits=settings.health.limits,
    )


def _transmitters(settings: Settings, fleet: Fleet, clock: Clock) -> dict[int, RemoteIdSender]:
    """Of the vehicles that have remote ID. Raises SettingsInvalid."""
    senders = {}
    for vehicle in settings.vehicles:
        if vehicle.remote_id is not None:
            channel = fleet.vehicle(vehicle.sysid).channel
            try:
                senders[vehicle.sysid] = RemoteIdSender(channel, vehicle.remote_id, utc_now=clock)
            except RemoteIdInvalid as exc:
                raise SettingsInvalid(f"vehicles: {vehicle.name}: remote_id: {exc}") from exc
    return senders


def _watching(
    settings: Settings, rooms: Rooms, fleet: Fleet, terrain: Terrain | None
) -> Coroutine[Any, Any, None] | None:
    """Perception over the vehicles that have video; None where there is nothing to watch."""
    seeing = [vehicle for vehicle in settings.vehicles if vehicle.video]
    if not settings.perception.enabled or not seeing:
        return None
    if terrain is None:
        raise SettingsInvalid(
            "terrain.dem: is needed to locate what the video shows; or set perception.enabled = false"
        )
    for vehicle in seeing:
        if vehicle.camera is None and vehicle.calibration is None:
            raise SettingsInvalid(
                f"vehicles: {vehicle.name}: camera, calibration: one is needed to locate what its video shows"
            )
    # Only here, since the libraries behind it take seconds to load.
    from aerial_models.detectors import OnnxDetector
    from missioncontrol.lenses import video_lens
    from missioncontrol.perception import Perception
    from missioncontrol.recorder import Recorder

    reasons = Reasons(rooms.store, settings.retention)
    perception = Perception(
        settings=settings.perception,
        vehicles={
            vehicle.sysid: (vehicle, video_lens(vehicle), fleet.vehicle(vehicle.sysid).history) for vehicle in seeing
        },
        detector=OnnxDetector(settings.perception.model, settings.perception.runtime, settings.perception.confidence),
        terrain=terrain,
        registry=rooms.registry,
        incidents=rooms.incidents,
        videos=rooms.videos,
        flight_of=rooms.roster.flight_of,
        exposures=rooms.exposures,
        recorder_of=lambda vehicle: Recorder(vehicle, settings.recording, rooms.recordings, reasons, rooms.feed.alarm),
        video=settings.video,
        on_alarm=rooms.feed.alarm,
    )
    return perception.run()


async def _keep_delivering(outbox: Outbox, settings: SinkSettings) -> None:
    async def deliver() -> None:
        async with open_sink(settings) as sink:
            await outbox.run(settings.name, sink)

    run: Callable[[], Awaitable[None]] = deliver
    await keep_running(f"sink[{settings.name}]", run, restart_on=(OSError, FleetError), backoff=Backoff(longest_s=30.0))
