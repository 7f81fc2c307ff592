"""What can be set about video: how it is watched, shown, recorded and kept."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from aerial_models.video_options import VideoLimits, VideoOptions
from geo.poses import PoseSigmas
from missioncontrol.bounds import Fraction, Name, Positive
from missioncontrol.crowds import CrowdRule


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


IceUrl = Annotated[str, msgspec.Meta(pattern=r"^(stuns?|turns?):[^\s]+$")]


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
