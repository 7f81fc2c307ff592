"""Settings: everything that can be set, one typed tree."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from missioncontrol.bounds import Positive
from missioncontrol.dispatch_settings import DispatchSettings
from missioncontrol.fleet_settings import FleetSettings, HealthSettings, VehicleSettings, WeatherSettings
from missioncontrol.incident_settings import (
    HandoffSettings,
    IncidentSettings,
    SinkSettings,
)
from missioncontrol.map_settings import CitySettings, LayerSettings, TerrainSettings
from missioncontrol.video_settings import PerceptionSettings, RecordingSettings, RetentionSettings, VideoSettings


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

    def layers_folder(self) -> Path:
        """Where layers are that were added while the service runs."""
        return self.data / "layers"

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
