"""Settings: one typed tree, read from one TOML file, overridden by `MC__...` variables.

`MC__FLEET__HEARTBEAT_TIMEOUT_S=3` sets `heartbeat_timeout_s` of `[fleet]`; lists and
tables are given as JSON. A key that does not exist is an error that names it.
"""

from __future__ import annotations

import difflib
import os
import re
import tomllib
import types
import typing
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
import shapely
import tomli_w

from aerial_models.video_options import VideoLimits, VideoOptions
from fleet.airframes import Airframe
from fleet.failsafes import LostLinkAction, LostLinkPolicy
from fleet.fences import RallyPoint
from fleet.health import HealthLimits
from fleet.remote_id import RemoteId
from geo.geoids import HeightDatum
from geo.mountings import Mounting
from geo.poses import PoseSigmas
from geo.positions import Latitude, Longitude
from geo.styles import Style
from geo.volumes import Circle
from missioncontrol.crowds import CrowdRule
from missioncontrol.errors import SettingsInvalid
from missioncontrol.weather import WeatherLimits

PREFIX = "MC__"
MASK = "********"
_SECRET_KEY = re.compile(r"password|secret|token|private_key|api_key", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(?<=://)([^/@:]*):([^/@]+)@")

Positive = Annotated[float, msgspec.Meta(gt=0)]
Fraction = Annotated[float, msgspec.Meta(ge=0, le=1)]
Sysid = Annotated[int, msgspec.Meta(ge=1, le=255)]
IceUrl = Annotated[str, msgspec.Meta(pattern=r"^(stuns?|turns?):[^\s]+$")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]*$", max_length=64)]


class HttpSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where people and machines reach the service."""

    host: str = "127.0.0.1"
    """Address to listen at."""
    port: Annotated[int, msgspec.Meta(ge=0, le=65535)] = 8000
    """TCP port; 0 takes a free one."""
    public_url: Annotated[str, msgspec.Meta(pattern=r"^(https?://[^\s/]+[^\s]*)?$")] = ""
    """Where receivers of incidents reach the service, for the addresses of pictures; without it they get none."""
    secure_cookie: bool = False
    """Send the session cookie over HTTPS alone; set it behind TLS."""
    session_s: Positive = 12 * 3600.0
    """How long a log-in lasts, s."""
    login_attempts: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Failed log-ins per name and address within `login_window_s` before further ones are refused."""
    login_window_s: Positive = 300.0
    """Time over which failed log-ins are counted, s."""


class StoreSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Where state is kept."""

    url: str = ""
    """`sqlite:///path` or `postgresql://user:password@host/database`; empty is `missioncontrol.sqlite` in the data
    folder."""


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


class KindView(msgspec.Struct, frozen=True, kw_only=True):
    """How finely a kind of thing must be seen so that a picture of it is of use."""

    object_m: Positive
    """Size of what is to be made out, m."""
    pixels: Positive
    """On so many pixels."""


KIND_VIEWS: dict[str, KindView] = {
    "sos": KindView(object_m=0.5, pixels=12),
    "dump": KindView(object_m=1.4, pixels=14),
    "fire": KindView(object_m=2.0, pixels=16),
    "smoke": KindView(object_m=4.0, pixels=16),
    "flooding": KindView(object_m=4.0, pixels=16),
    "traffic": KindView(object_m=1.8, pixels=20),
    "public_disorder": KindView(object_m=0.5, pixels=8),
    "unauthorized_construction": KindView(object_m=3.0, pixels=24),
}
"""Of the kinds that come with the service; they are choices, not measurements."""


class LinkArea(msgspec.Struct, frozen=True, kw_only=True):
    """Where links carry: around an antenna or a dock, or over an area."""

    links: tuple[str, ...] = ()
    """Those of `fleet.links` that it is about; all when empty."""
    lon: Longitude = 0.0
    """Of its middle, deg."""
    lat: Latitude = 0.0
    """Of its middle, deg."""
    radius_m: Positive | None = None
    """Around the middle, m."""
    area: dict[str, Any] | None = None
    """GeoJSON Polygon instead."""

    def shape(self) -> shapely.Geometry:
        """Lon, lat. Raises SettingsInvalid."""
        if (self.radius_m is None) == (self.area is None):
            raise SettingsInvalid("dispatch.coverage: give radius_m, with lon and lat, or area")
        if self.radius_m is not None:
            return Circle(lon=self.lon, lat=self.lat, radius_m=self.radius_m).polygon()
        try:
            return shapely.from_geojson(msgspec.json.encode(self.area).decode())
        except shapely.errors.ShapelyError as exc:
            raise SettingsInvalid(f"dispatch.coverage: area: {exc}") from exc


class DispatchSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Who is sent to a call."""

    kinds: dict[str, KindView] = {}
    """How finely things must be seen, replacing or adding to the built-in ones, by kind."""
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 180.0
    """How long a vehicle must be able to look, s."""
    held_too: bool = False
    """Whether vehicles that somebody else holds may be sent."""
    coverage: tuple[LinkArea, ...] = ()
    """Where links carry; a link that none is about carries everywhere."""

    def view_of(self, kind: str) -> KindView:
        """Of a kind; an unknown one is seen as a dump is."""
        return self.kinds.get(kind) or KIND_VIEWS.get(kind) or KIND_VIEWS["dump"]

    def coverage_of(self, links: tuple[str, ...]) -> shapely.Geometry | None:
        """Where (lon, lat) one or other of links carries; None: everywhere."""
        found = []
        for link in links:
            areas = [area.shape() for area in self.coverage if not area.links or link in area.links]
            if not areas:
                return None
            found += areas
        return shapely.union_all(found) if found else None


class TerrainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Heights of the ground."""

    dem: Path | None = None
    """GeoTIFF or SRTM tile of heights, or a folder of several."""
    height_datum: HeightDatum | None = None
    """What its heights count from; absent: what the files state, else EGM96."""
    geoids: Path | None = None
    """Folder with PROJ's grids of geoids; EGM96 is shipped."""
    obstacles: tuple[Path, ...] = ()
    """Buildings, masts and wires with their heights, as GeoJSON; plans keep clear of them."""


class CitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Public data of the city, GeoJSON FeatureCollections in WGS 84."""

    buildings: Path | None = None
    """Footprints with heights."""
    cadastre: Path | None = None
    """Parcels."""
    permits: Path | None = None
    """Building permits with their validity."""


class LayerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A raster drawn under the map."""

    name: Name
    """As in `/tiles/{name}/{z}/{x}/{y}.png`."""
    title: str
    """What people read."""
    path: Path
    """A georeferenced TIFF, best a COG."""
    minzoom: Annotated[int, msgspec.Meta(ge=0, le=24)] | None = None
    """Lowest zoom that is drawn; by the file's size where absent."""
    maxzoom: Annotated[int, msgspec.Meta(ge=0, le=24)] | None = None
    """Highest zoom that is drawn, the map stretches beyond it; by the file's pixels where absent."""
    style: Style = Style()
    """How its numbers become colours, such as `{ colors = "heights", hillshade = 1.0 }` for a DEM."""


class PerceptionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How video is watched."""

    enabled: bool = True
    """Whether video is watched at all."""
    model: str = "city-nano"
    """Name of a model in the catalogue."""
    runtime: Literal["auto", "onnxruntime", "onnxruntime-gpu", "openvino"] = "auto"
    """What runs it."""
    confidence: dict[str, Fraction] = {}
    """Threshold per class of the model, 0 to 1; the model's own where a class is not named."""
    frames_per_s: Positive = 4.0
    """Frames of one video that are looked at, 1/s of wall time, at most."""
    min_hits: Annotated[int, msgspec.Meta(ge=1)] = 3
    """Frames a track must be seen in before it is an observation."""
    min_range_m: Annotated[float, msgspec.Meta(ge=0)] = 40.0
    """Slant range below which a sighting is not reported, m: take-off and landing are lower than detectors are trained
    for."""
    max_range_m: Positive = 600.0
    """Slant range beyond which a sighting is not located, m."""
    sigmas: PoseSigmas = PoseSigmas()
    """One-sigma errors of the poses."""
    terrain_sigma_m: Positive = 1.5
    """One-sigma error of the terrain heights, m."""
    video_quality: Annotated[int, msgspec.Meta(ge=10, le=95)] = 70
    """JPEG quality of the live video, 10 to 95."""
    crowd: CrowdRule = CrowdRule()
    """Which groups of people are disorder."""


class IceServer(msgspec.Struct, frozen=True, kw_only=True):
    """A STUN or TURN server, for viewers that do not reach this host directly."""

    urls: Annotated[tuple[IceUrl, ...], msgspec.Meta(min_length=1)]
    """Such as `turn:turn.city:3478?transport=udp`; of all that are named, one STUN and one TURN server are used."""
    username: str | None = None
    """For TURN; browsers of people who are logged in get it."""
    password: str | None = None
    """For TURN; browsers of people who are logged in get it."""


class VideoSettings(VideoOptions, frozen=True, kw_only=True):
    """How vehicles' video is read, when it is believed, and how it goes on to people and to video systems."""

    limits: VideoLimits = VideoLimits()
    """Beyond what a video is not live; nothing is found in one that is not."""
    webrtc: bool = True
    """Whether H.264 is forwarded to browsers (WHEP); else they get pictures."""
    ice_servers: tuple[IceServer, ...] = ()
    """None where browsers reach this host's own addresses by UDP."""
    viewers_per_vehicle: Annotated[int, msgspec.Meta(ge=1)] = 8
    """Browsers that may watch one vehicle by WebRTC at once."""
    viewers: Annotated[int, msgspec.Meta(ge=1)] = 32
    """Browsers that may watch by WebRTC at once, all vehicles together."""
    rtsp_out: Annotated[str, msgspec.Meta(pattern=r"^(rtsps?://[^\s/]+[^\s]*[^\s/])?$")] = ""
    """Where a media server (MediaMTX) gives each vehicle's video to video systems: `rtsp://host:8554` stands for
    `rtsp://host:8554/vehicle-SYSID`."""


class RecordingSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How the vehicles' video is kept; what is kept each mission says."""

    enabled: bool = True
    """Whether any is; it comes from the video that perception watches."""
    folder: Path | None = None
    """Where the clips are; `recordings` in the data folder where absent."""
    clip_s: Annotated[float, msgspec.Meta(ge=2, le=600)] = 60.0
    """Length of a clip, s; it ends at the next key picture."""
    sight_s: Annotated[float, msgspec.Meta(ge=0.1, le=10)] = 1.0
    """What the video shows of the ground is noted so often, s of video."""


RETENTION_DAYS: dict[str, float] = {"inspection": 180.0, "patrol": 30.0, "response": 365.0}
"""Of the purposes that come with the service; they are choices, not law."""


class RetentionSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How long recordings are kept."""

    days: dict[Name, Positive] = {}
    """By purpose, replacing or adding to the built-in ones, days."""
    every_s: Positive = 3600.0
    """How often what is too old is looked for, s."""

    def all_days(self) -> dict[str, float]:
        """Of every purpose, days."""
        return {**RETENTION_DAYS, **self.days}


class KindRule(msgspec.Struct, frozen=True, kw_only=True):
    """When two observations of a kind are one incident, and how grave it is."""

    window_s: Positive
    """Time since the last look within which another one is the same incident, s."""
    radius_m: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    """For things with an extent: nearer than this is the same incident, m; 0 for things at a point."""
    severity: Literal["minor", "moderate", "severe", "extreme"] = "moderate"
    """As in CAP 1.2."""


_DAY_S = 86_400.0

KIND_RULES: dict[str, KindRule] = {
    "dump": KindRule(window_s=30 * _DAY_S, severity="minor"),
    "unauthorized_construction": KindRule(window_s=90 * _DAY_S, severity="moderate"),
    "flooding": KindRule(window_s=0.5 * _DAY_S, radius_m=80.0, severity="severe"),
    "public_disorder": KindRule(window_s=1800.0, radius_m=60.0, severity="severe"),
    "fire": KindRule(window_s=7200.0, radius_m=40.0, severity="extreme"),
    "smoke": KindRule(window_s=7200.0, radius_m=100.0, severity="severe"),
    "traffic": KindRule(window_s=1800.0, radius_m=30.0, severity="moderate"),
}
"""Rules of the kinds that come with the service."""


class IncidentSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How observations become incidents."""

    kinds: dict[str, KindRule] = {}
    """Rules that replace or add to the built-in ones, by kind."""
    correlation: Fraction = 0.5
    """Share of the position variance that is common to all looks of one flight (GNSS, boresight), 0 to 1."""
    floor_m: Annotated[float, msgspec.Meta(ge=0)] = 0.3
    """One-sigma error that no number of looks takes away, m."""
    update_interval_s: Annotated[float, msgspec.Meta(ge=0)] = 15.0
    """Receivers get at most one update of a confirmed incident from new looks in this time, s."""


class SinkSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver of confirmed incidents."""

    name: Name
    """What the receiver is called here."""
    kind: str
    """Entry-point name of the adapter: `mqtt`, `webhook`, ..."""
    options: dict[str, Any] = {}
    """Keyword arguments of the adapter."""
    needs_ce90_m: Positive | None = None
    """How well it needs places to be known, as the radius that holds them nine times in ten, m; a second look is
    proposed where they are not. Absent: any will do."""


class HandoffSettings(msgspec.Struct, frozen=True, kw_only=True):
    """How hand-offs are tried again."""

    give_up_after_s: Positive = 72 * 3600.0
    """Age at which a hand-off that is not delivered becomes a dead letter, s."""
    first_retry_s: Positive = 0.5
    """Longest wait before the second attempt, s; it doubles from then on, and so does the pause of a receiver that
    does not answer at all."""
    longest_retry_s: Positive = 60.0
    """Longest wait between two attempts, s."""
    timeout_s: Positive = 15.0
    """Wait for a receipt, s."""


class AdministratorSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The person that the first start creates."""

    name: str = "administrator"
    """Name to log in with."""
    password: str = ""
    """Password; when empty, the first start makes one and writes it to stderr once."""
    language: Literal["kk", "ru", "en"] = "en"
    """Language of the UI."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that can be set."""

    data: Path = Path("var")
    """Folder of what the service writes: database, evidence."""
    http: HttpSettings = HttpSettings()
    """Where people and machines reach the service."""
    store: StoreSettings = StoreSettings()
    """Where state is kept."""
    fleet: FleetSettings = FleetSettings()
    """How vehicles are heard and told."""
    vehicles: tuple[VehicleSettings, ...] = ()
    """Vehicles that are ours."""
    health: HealthSettings = HealthSettings()
    """When a vehicle is not well, and when it is due for maintenance."""
    weather: WeatherSettings = WeatherSettings()
    """The gate before flights that the weather keeps."""
    dispatch: DispatchSettings = DispatchSettings()
    """Who is sent to a call."""
    terrain: TerrainSettings = TerrainSettings()
    """Heights of the ground."""
    city: CitySettings = CitySettings()
    """Public data of the city."""
    layers: tuple[LayerSettings, ...] = ()
    """Rasters under the map."""
    perception: PerceptionSettings = PerceptionSettings()
    """How video is watched."""
    video: VideoSettings = VideoSettings()
    """How live video goes on to people and to video systems."""
    recording: RecordingSettings = RecordingSettings()
    """How the vehicles' video is kept."""
    retention: RetentionSettings = RetentionSettings()
    """How long recordings are kept."""
    incidents: IncidentSettings = IncidentSettings()
    """How observations become incidents."""
    sinks: tuple[SinkSettings, ...] = ()
    """Receivers of confirmed incidents."""
    routes: dict[str, tuple[str, ...]] = {}
    """Names of receivers by kind of incident; `default` for kinds that are not named."""
    handoffs: HandoffSettings = HandoffSettings()
    """How hand-offs are tried again."""
    administrator: AdministratorSettings = AdministratorSettings()
    """The person that the first start creates."""

    def store_url(self) -> str:
        """URL of the database, the default filled in."""
        return self.store.url or f"sqlite:///{self.data / 'missioncontrol.sqlite'}"

    def recordings_folder(self) -> Path:
        """Where clips are, the default filled in."""
        return self.recording.folder or self.data / "recordings"

    def vehicle(self, sysid: int) -> VehicleSettings | None:
        """The vehicle of a sysid, if it is ours."""
        return next((vehicle for vehicle in self.vehicles if vehicle.sysid == sysid), None)

    def rtsp_out(self, sysid: int) -> str | None:
        """Where video systems get the video of a vehicle, if the settings say and it has any."""
        vehicle = self.vehicle(sysid)
        known = self.video.rtsp_out and vehicle is not None and vehicle.video is not None
        return f"{self.video.rtsp_out}/vehicle-{sysid}" if known else None

    def somewhere(self) -> tuple[float, float] | None:
        """Lon and lat of the first home that is set: swapped places in files are noticed by it."""
        homes = (vehicle.home for vehicle in self.vehicles if vehicle.home is not None)
        return next(((home.lon, home.lat) for home in homes), None)

    def sinks_of(self, kind: str) -> tuple[str, ...]:
        """Names of the receivers of a kind of incident."""
        return self.routes.get(kind, self.routes.get("default", ()))

    def unrouted_sinks(self) -> tuple[str, ...]:
        """Names of receivers that no route leads to."""
        routed = {name for names in self.routes.values() for name in names}
        return tuple(sink.name for sink in self.sinks if sink.name not in routed)

    def rule_of(self, kind: str) -> KindRule:
        """Rule of a kind; an unknown kind is a point-like thing with a day's window."""
        return self.incidents.kinds.get(kind) or KIND_RULES.get(kind) or KindRule(window_s=_DAY_S)


def load(path: Path | str | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Settings of a TOML file and of the environment, which wins. Raises SettingsInvalid.

    Relative paths in the file are relative to the file's folder.
    """
    tree: dict[str, Any] = {}
    where = "the environment"
    if path is not None:
        where = str(path)
        try:
            tree = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as exc:
            raise SettingsInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as exc:
            raise SettingsInvalid(f"{path}: is not TOML: {exc}") from exc
        _check_keys(tree, Settings, (), where)
    for key, value in sorted((os.environ if environ is None else environ).items()):
        if key.startswith(PREFIX):
            _override(tree, key, value)
    try:
        settings = msgspec.convert(tree, Settings, strict=False, dec_hook=_decode)
    except msgspec.ValidationError as exc:
        raise SettingsInvalid(f"{where}: {_readable(exc)}") from exc
    if path is not None:
        settings = _anchored(settings, Path(path).resolve().parent, tree)
    _check_names(settings, where)
    return settings


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, secrets masked."""
    tree: dict[str, Any] = _masked(msgspec.to_builtins(settings, enc_hook=str))
    return tree


def to_toml(settings: Settings) -> str:
    """The settings as TOML text, secrets masked; what is not set is left out."""
    return tomli_w.dumps(_without_none(masked(settings)))


def _decode(kind: type, value: Any) -> Any:
    if kind is Path and isinstance(value, str):
        return Path(value)
    raise TypeError("expected a path")


def _readable(exc: msgspec.ValidationError) -> str:
    text, _, place = str(exc).partition(" - at `$.")
    return f"{place.rstrip('`')}: {text}" if place else text


def _struct_of(kind: Any) -> type[msgspec.Struct] | None:
    """The Struct inside a field's type, looking through Optional, Annotated and tuple."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return kind
    if get_origin(kind) in (Union, types.UnionType, Annotated, tuple):
        return next((found for part in get_args(kind) if (found := _struct_of(part))), None)
    return None


def _fields(struct: type[msgspec.Struct]) -> dict[str, Any]:
    hints = typing.get_type_hints(struct, include_extras=True)
    return {name: hints[name] for name in struct.__struct_fields__}


def _unknown(key: str, path: tuple[str, ...], known: list[str], where: str) -> SettingsInvalid:
    full = ".".join((*path, key))
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.5)
    table = f"[{'.'.join(path)}]" if path else "the top level"
    hint = f"did you mean {'.'.join((*path, near[0]))}?" if near else f"{table} has: {', '.join(known)}"
    return SettingsInvalid(f"{where}: unknown key {full}; {hint}")


def _check_keys(tree: Any, kind: Any, path: tuple[str, ...], where: str) -> None:
    if get_origin(kind) is dict and isinstance(tree, dict):
        for key, value in tree.items():
            _check_keys(value, get_args(kind)[1], (*path, key), where)
        return
    struct = _struct_of(kind)
    if struct is None:
        return
    if isinstance(tree, list):
        for index, item in enumerate(tree):
            _check_keys(item, struct, (*path[:-1], f"{path[-1]}[{index}]"), where)
    elif isinstance(tree, dict):
        known = _fields(struct)
        for key, value in tree.items():
            if key not in known:
                raise _unknown(key, path, list(known), where)
            _check_keys(value, known[key], (*path, key), where)


def _override(tree: dict[str, Any], variable: str, text: str) -> None:
    """Put one `MC__A__B=text` into the tree."""
    parts = tuple(variable[len(PREFIX) :].lower().split("__"))
    kind: Any = Settings
    node = tree
    for depth, part in enumerate(parts):
        if get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            struct = kind if isinstance(kind, type) and issubclass(kind, msgspec.Struct) else None
            if struct is None or part not in (known := _fields(struct)):
                options = list(_fields(struct)) if struct else []
                raise _unknown(part, parts[:depth], options, f"environment variable {variable}")
            kind = known[part]
        if depth < len(parts) - 1:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise SettingsInvalid(f"environment variable {variable}: {'.'.join(parts[: depth + 1])} is not a table")
            kind = _struct_of(kind) if get_origin(kind) is not dict and get_origin(kind) is not tuple else kind
    value: Any = text
    if text[:1] in ("[", "{"):
        try:
            value = msgspec.json.decode(text)
        except msgspec.DecodeError as exc:
            raise SettingsInvalid(f"environment variable {variable}: is not JSON: {exc}") from exc
        _check_keys(value, kind, parts, f"environment variable {variable}")
    node[parts[-1]] = value


def _anchored(settings: Settings, folder: Path, tree: dict[str, Any]) -> Settings:
    def at(path: Path | None) -> Path | None:
        return None if path is None else folder / path

    replace = msgspec.structs.replace
    city, weather = settings.city, settings.weather
    if "path" in weather.options:
        weather = replace(weather, options={**weather.options, "path": str(folder / str(weather.options["path"]))})
    return replace(
        settings,
        data=folder / settings.data,
        weather=weather,
        fleet=replace(
            settings.fleet,
            key_store=at(settings.fleet.key_store),
            key_identity=at(settings.fleet.key_identity),
        ),
        terrain=replace(
            settings.terrain,
            dem=at(settings.terrain.dem),
            geoids=at(settings.terrain.geoids),
            obstacles=tuple(folder / path for path in settings.terrain.obstacles),
        ),
        city=replace(city, buildings=at(city.buildings), cadastre=at(city.cadastre), permits=at(city.permits)),
        layers=tuple(replace(layer, path=folder / layer.path) for layer in settings.layers),
        vehicles=tuple(replace(vehicle, calibration=at(vehicle.calibration)) for vehicle in settings.vehicles),
        recording=replace(settings.recording, folder=at(settings.recording.folder)),
    )


def _check_names(settings: Settings, where: str) -> None:
    """Names that must be unique are, and routes lead to receivers that exist."""
    lists: dict[str, list[Any]] = {
        "vehicles: sysid": [vehicle.sysid for vehicle in settings.vehicles],
        "sinks: name": [sink.name for sink in settings.sinks],
        "layers: name": [layer.name for layer in settings.layers],
    }
    for what, names in lists.items():
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise SettingsInvalid(f"{where}: {what} {', '.join(map(str, sorted(twice)))} is given twice")
    for vehicle in settings.vehicles:
        for link in vehicle.links:
            if link not in settings.fleet.links:
                there = ", ".join(settings.fleet.links)
                raise SettingsInvalid(f"{where}: vehicles: {vehicle.name}: links: no link {link!r}; there are: {there}")
    for link in settings.fleet.trusted_links:
        if link not in settings.fleet.links:
            raise SettingsInvalid(f"{where}: fleet.trusted_links: no link {link!r} among fleet.links")
    if (settings.fleet.key_store is None) != (settings.fleet.key_identity is None):
        raise SettingsInvalid(f"{where}: fleet.key_store, fleet.key_identity: give both or none")
    known = [sink.name for sink in settings.sinks]
    for kind, routed in settings.routes.items():
        for name in routed:
            if name not in known:
                raise SettingsInvalid(
                    f"{where}: routes.{kind}: no sink {name!r}; there are: {', '.join(known) or 'none'}"
                )


def _without_none(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _without_none(value) for key, value in tree.items() if value is not None}
    if isinstance(tree, list | tuple):
        return [_without_none(item) for item in tree]
    return tree


def _masked(tree: Any, key: str = "") -> Any:
    if isinstance(tree, dict):
        return {name: _masked(value, name) for name, value in tree.items()}
    if isinstance(tree, list | tuple):
        return [_masked(item, key) for item in tree]
    if isinstance(tree, str):
        if tree and _SECRET_KEY.search(key):
            return MASK
        return _URL_PASSWORD.sub(rf"\1:{MASK}@", tree)
    return tree
