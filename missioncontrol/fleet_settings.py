"""What can be set about vehicles: their links, themselves, their health and their weather."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated, Any

import msgspec

from aerial_models.video_options import VideoOptions
from fleet.airframes import Airframe
from fleet.failsafes import LostLinkAction, LostLinkPolicy
from fleet.fences import RallyPoint
from fleet.health import HealthLimits
from fleet.remote_id import RemoteId
from geo.mountings import Mounting
from geo.positions import Latitude, Longitude
from missioncontrol.bounds import Name, Positive, Sysid
from missioncontrol.weather import WeatherLimits


class FleetSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How vehicles are heard and told."""

    links: tuple[str, ...] = ("udpin:127.0.0.1:14550",)
    """MAVLink links: `udpin:host:port`, `udpout:host:port`, `tcp:host:port`, `tcpin:host:port`,
    `serial:device:baud`."""
    gcs_sysid: Sysid = 245
    """Our own sysid."""
    key_store: Path | None = None
    """Encrypted file with the vehicles' signing keys; without it nothing is signed."""
    key_identity: Path | None = None
    """The age identity that opens it, a file for its owner alone."""
    trusted_links: tuple[str, ...] = ()
    """Those of `links` that a key may be sent over in the clear, such as a cable or a VPN."""
    lost_link: LostLinkPolicy | None = LostLinkPolicy(action=LostLinkAction.RETURN, timeout_s=10.0)
    """What vehicles do when they hear us no more, where a mission says nothing else. It is written before arming."""
    fence_margin_m: Annotated[float, msgspec.Meta(ge=0)] = 100.0
    """Each mission carries a fence around its route, so much wider, m; 0 for none."""
    rally: Annotated[tuple[RallyPoint, ...], msgspec.Meta(max_length=6)] = ()
    """Places to return to instead of home; those inside its fence go aboard with each mission."""
    highest_agl_m: Positive = 120.0
    """Flights that go higher above ground need a permit that allows it, m."""
    night_needs_permit: bool = False
    """Whether flights between the end of civil twilight and its beginning need a permit that allows it."""
    sight_m: Positive | None = None
    """Flights further from their start than this need a permit for flight beyond sight, m; absent: none do."""
    reserve_percent: Annotated[float, msgspec.Meta(ge=0, le=90)] = 20.0
    """Of the battery, what must be left at the end of a mission by the plan, percent."""
    least_satellites: Annotated[int, msgspec.Meta(ge=4)] = 6
    """Fewer satellites keep a vehicle on the ground."""
    most_hdop: Positive = 2.0
    """A worse horizontal dilution keeps a vehicle on the ground."""
    preflight_skip: tuple[str, ...] = ()
    """Names of pre-flight checks that are shown but stop nobody."""
    heartbeat_timeout_s: Positive = 3.0
    """Silence after which a vehicle is stale, s of wall time."""
    lost_timeout_s: Positive = 10.0
    """Silence after which a vehicle is lost, s of wall time."""
    launch_timeout_s: Positive = 120.0
    """From the command to start until the vehicle is in the air, s of wall time."""


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """Where a vehicle starts and lands."""

    lon: Longitude
    """Longitude, deg."""
    lat: Latitude
    """Latitude, deg."""
    altitude_amsl_m: float | None = None
    """Ground height there, m AMSL; read from the terrain when absent."""


class VehicleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle that is ours."""

    sysid: Sysid
    """MAVLink system id."""
    name: str
    """What people call it."""
    registration: str = ""
    """Registration number with the authority."""
    adapter: Name | None = None
    """Name of an adapter that commands it, such as `mavsdk`; our own when absent."""
    links: tuple[str, ...] = ()
    """Those of `fleet.links` that it may be heard on; all when empty."""
    battery_ah: Positive | None = None
    """Capacity of its battery, Ah; where absent its cycles are counted by the autopilot's own percent."""
    camera: str | None = None
    """Slug of its camera in the library."""
    video: str | None = None
    """rtsp, srt or udp URL of its video."""
    video_options: VideoOptions | None = None
    """How its video is read; as `video` says when absent."""
    fixed_mount_pitch_deg: Annotated[float, msgspec.Meta(ge=-90, le=90)] | None = None
    """Pitch of a camera fixed to the airframe, nadir -90, deg; absent where a gimbal tells its attitude."""
    calibration: Path | None = None
    """Calibration of the camera that takes the video, of OpenCV, OpenDroneMap or Pix4D; absent: that of `camera`."""
    calibration_camera: str | None = None
    """Which camera of the calibration file, where it holds several."""
    mounting: Mounting | None = None
    """How far from the antenna and how askew the camera hangs; absent: at it, and straight."""
    home: Home | None = None
    """Where it starts; its reported home when absent."""
    parameters: dict[str, float] = {}
    """Parameters that must be aboard with these values before it flies."""
    remote_id: RemoteId | None = None
    """What its remote ID transmitter is told to broadcast; the vehicle flies only while that is ready."""
    airframe: Airframe = Airframe()
    """What it is, for the reckoning of time and energy."""
    weather: WeatherLimits | None = None
    """Weather that it may fly in; absent: `weather.limits`."""
    registered_until: date | None = None
    """Last day of its registration with the authority."""


class HealthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """When a vehicle is not well, and when it is due for maintenance."""

    limits: HealthLimits = HealthLimits()
    """Beyond what a vehicle in flight gives an alarm."""
    maintenance_hours: Positive = 50.0
    """Flight time after which it is due, h."""
    maintenance_cycles: Positive = 100.0
    """Battery cycles after which it is due."""


class WeatherSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The gate before flights that the weather keeps."""

    source: str | None = None
    """Entry-point name of the source: `file`, `http`, ...; without one nobody asks for the weather."""
    options: dict[str, Any] = {}
    """Keyword arguments of the source."""
    every_s: Positive = 120.0
    """How often it is asked, and the longest wait after it did not answer, s."""
    unknown_passes: bool = False
    """Whether vehicles may fly in weather that is not known, or of which the last observation is too old."""
    limits: WeatherLimits = WeatherLimits()
    """Of vehicles that have none of their own."""
