"""A whole simulated deployment in one process: a city, vehicles in its air, and their cameras on an RTSP server."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

import httpx
import msgspec
import structlog

from geo.camera_library import camera as camera_of
from geo.cameras import BrownCamera
from geo.klv import UasMetadata, metadata_of
from geo.poses import Pose
from geo.positions import Altitude, Datum, Position
from simulators.autopilot_sensors import VehicleState
from simulators.camera import SimulatedCamera, View
from simulators.clock import SimClock
from simulators.dynamics import WindConditions
from simulators.ground_texture import GroundTexture
from simulators.pacing import Looks, Shutter, follow
from simulators.renderer import Renderer
from simulators.rtsp import RtspServer
from simulators.vehicle import SimulatedVehicle
from simulators.video import Channel
from simulators.world import World

RENDER_THREADS = 2
CAMERA_UP_M = 0.3
"""The camera sits so high above the vehicle's feet, m."""
LOW_M = 10.0
"""A vehicle below this height above home has not climbed, m."""
READY_AFTER_S = 5.0
"""Simulated s until a vehicle can be armed; a real one takes about 41."""
METRICS_TIMEOUT_S = 2.0
"""Of a question to mission control, s of the wall."""

_log = structlog.get_logger(__name__)


class SimulationOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What is simulated, and how fast."""

    seed: int
    """Of the city and of everything in it."""
    vehicles: int = 3
    """How many; sysids count from 1."""
    link: str = "udpout:127.0.0.1:14550"
    """Where each vehicle's MAVLink goes."""
    rtsp_host: str = "127.0.0.1"
    """Address of the RTSP server."""
    rtsp_port: int = 8554
    """Port of the RTSP server; vehicle N's video has the path vehicle-N."""
    camera: str = "sim-wide"
    """Slug of the camera that all vehicles carry."""
    fps: float = 2.0
    """Frames of each video in a simulated second."""
    draws_clock: bool = False
    """Whether each picture shows the moment of its exposure, by which its age is measured where it is seen."""
    speedup: float = 1.0
    """Simulated seconds in one of the wall, at most."""
    metrics_url: str | None = None
    """Metrics of a mission control that is to look at every frame of a flight: time waits for it, and for the drawing
    of pictures. It knows the vehicles as vehicle-1, vehicle-2, ... Without it time waits for nobody."""
    epoch_utc_s: float
    """When the simulated day starts, s since 1970 UTC."""
    wind_m_s: float = 3.0
    """Mean wind, m/s."""


async def simulate(options: SimulationOptions) -> None:
    """Run until cancelled. Raises LinkUnusable."""
    world = await asyncio.to_thread(World.build, options.seed, epoch_utc_s=options.epoch_utc_s)
    clock = SimClock(start_utc_s=options.epoch_utc_s, speedup=options.speedup)
    camera = camera_of(options.camera).brown_camera()
    texture = GroundTexture(world)
    with ThreadPoolExecutor(RENDER_THREADS, thread_name_prefix="render") as pool:
        async with (
            httpx.AsyncClient(timeout=METRICS_TIMEOUT_S) as http,
            RtspServer(host=options.rtsp_host, port=options.rtsp_port) as rtsp,
            asyncio.TaskGroup() as tasks,
        ):
            looks = None if options.metrics_url is None else Looks(http, options.metrics_url)
            for sysid, site in enumerate(world.launch_sites(options.vehicles), start=1):
                name = f"vehicle-{sysid}"
                vehicle = SimulatedVehicle(
                    sysid=sysid,
                    home=(site.lon, site.lat, site.amsl_m),
                    link=options.link,
                    clock=clock,
                    seed=options.seed * 100 + sysid,
                    wind=WindConditions(speed_m_s=options.wind_m_s, from_deg=float(options.seed % 360)),
                    terrain=lambda lon, lat: float(world.ground_amsl_m(*world.plane.to_plane(lon, lat))),
                    ready_after_s=READY_AFTER_S,
                )
                channel = Channel()
                rtsp.mount(name, channel)
                lookout = Lookout(vehicle, camera)
                filming = SimulatedCamera(
                    renderer=Renderer(world, camera, texture=texture),
                    view=lookout.view,
                    clock=clock if looks is None else Shutter(clock, looks, name, options.fps, lookout.matters),
                    channel=channel,
                    pool=pool,
                    width_px=camera.width_px,
                    height_px=camera.height_px,
                    fps=options.fps,
                    seed=options.seed * 100 + sysid,
                    draws_clock=options.draws_clock,
                )
                tasks.create_task(vehicle.run(), name=f"vehicle[{sysid}]")
                tasks.create_task(_film(filming, name), name=f"camera[{sysid}]")
            if looks is not None:
                tasks.create_task(follow(clock), name="pace")


async def _film(camera: SimulatedCamera, name: str) -> None:
    try:
        await camera.run()
    finally:
        _log.info("filmed", vehicle=name, frames=camera.frames, skipped=camera.skipped)


class Lookout:
    """What a vehicle's camera sees from, and what the vehicle's sensors say of it."""

    def __init__(self, vehicle: SimulatedVehicle, camera: BrownCamera) -> None:
        """The camera sits where the vehicle is; its attitude is the gimbal's."""
        self._vehicle, self._camera = vehicle, camera
        self._climbed = False

    def matters(self) -> bool:
        """Whether each frame counts: from the climb on until it is disarmed, but not while vehicles are being started
        side by side, which takes the wall's time and not ours."""
        vehicle = self._vehicle
        self._climbed = vehicle.pilot.armed and (self._climbed or vehicle.body.u > LOW_M)
        return self._climbed

    def view(self) -> View:
        """The true pose for the renderer, the measured one for the video's metadata."""
        true, measured = self._vehicle.true_state(), self._vehicle.measured_state()
        return View(
            pose=_pose(true),
            velocity_enu_m_s=(true.east_m_s, true.north_m_s, true.up_m_s),
            metadata=self._metadata(measured),
        )

    def _metadata(self, measured: VehicleState) -> UasMetadata:
        return metadata_of(
            _pose(measured),
            platform=measured.attitude,
            platform_designation="simulated multirotor",
            tail_number=f"UAS-SIM-{self._vehicle.sysid:04d}",
            image_source_sensor="simulated camera",
            hfov_deg=self._camera.hfov_deg,
            vfov_deg=self._camera.vfov_deg,
        )


def _pose(state: VehicleState) -> Pose:
    return Pose(
        utc_s=state.utc_s,
        position=Position(lon=state.lon, lat=state.lat, altitude=Altitude(state.amsl_m + CAMERA_UP_M, Datum.AMSL)),
        attitude=state.gimbal,
    )
