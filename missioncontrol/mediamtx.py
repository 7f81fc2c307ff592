"""Paths of MediaMTX, which gives each vehicle's video to video systems by RTSP and asks the vehicle only on demand.

Source: MediaMTX's own description of its settings, mediamtx.yml; not tried against a running MediaMTX.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit, urlunsplit

from missioncontrol.settings import Settings

OWN_ADDRESS = "mediamtx:8554"
"""Of MediaMTX, as mission control names it where both run in docker/compose.yaml."""


def path_settings(settings: Settings, own_address: str = OWN_ADDRESS) -> dict[str, dict[str, Any]]:
    """What stands under `paths:` for each vehicle that has video, by the path's name.

    A vehicle whose video mission control takes from MediaMTX itself (`own_address`, host:port) publishes to it.
    """
    return {
        path_name(vehicle.sysid): {} if _host(vehicle.video) == own_address else _pulled(vehicle.video)
        for vehicle in settings.vehicles
        if vehicle.video is not None
    }


def path_name(sysid: int) -> str:
    """Path of a vehicle's video."""
    return f"vehicle-{sysid}"


def _pulled(url: str) -> dict[str, Any]:
    parts = urlsplit(url)
    pulled: dict[str, Any] = {"source": url, "sourceOnDemand": True}
    if parts.scheme in ("rtsp", "rtsps"):
        return {**pulled, "rtspTransport": "tcp"}
    if parts.scheme == "udp":
        return {**pulled, "source": urlunsplit(parts._replace(scheme="udp+mpegts", netloc=_host(url) or ""))}
    return pulled


def _host(url: str) -> str:
    return urlsplit(url).netloc.rpartition("@")[2]
