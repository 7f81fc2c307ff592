"""How video is read, and beyond what it is not believed: what settings and sources share."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from aerial_models.stream_urls import NETWORKS

Positive = Annotated[float, msgspec.Meta(gt=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


class VideoOptions(msgspec.Struct, frozen=True, kw_only=True):
    """How a stream or file is opened and decoded."""

    allowed_networks: tuple[str, ...] = NETWORKS
    """Networks (CIDR) that hosts of streams must lie in, all their addresses; a public camera needs its own here.
    Link-local addresses are never read."""
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    """How RTP is asked for first; the other is taken where the camera refuses it, or where no datagram arrives."""
    hardware: str = "none"
    """Device that decodes, by libav's name (`cuda`, `vaapi`, `videotoolbox`, ...); `auto` takes any that works,
    `none` decodes in software, and so does a device that fails."""
    keyframes_only: bool = False
    """Decode keyframes alone, some one a second: for many more streams at a time than can be decoded whole."""
    latency_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    """From exposure to arrival here, s, for cameras that tell no time: the time of their frames is then the
    arrival by this machine's clock less this; absent, such frames have none and nothing in them is located."""
    latency_sigma_s: Positive = 0.5
    """One-sigma error of `latency_s`, s."""
    clock_sigma_s: Positive = 0.5
    """One-sigma error of a camera's own clock (RTCP) against the vehicle's, until that was learnt from how the picture
    moves, s."""


class VideoLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond what a video is not live."""

    no_video_s: Positive = 6.0
    """Without any frame for so long there is no video, s."""
    frozen_s: Positive = 5.0
    """The same picture, or the same time stamp, for so long is frozen, s; be it longer than keyframes are apart."""
    garbage_share: Share = 0.3
    """Share of packets that cannot be decoded from which on the video is garbage, 0 to 1."""
    garbage_s: Positive = 4.0
    """Time over which that share is counted, s."""
    stale_s: Positive = 10.0
    """Frames older than this when they come are stale, s: by the vehicle's own clock, or since they came here."""
