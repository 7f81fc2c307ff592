"""What the demo's mission control is told of its city: addresses, vehicles, receivers, and nothing of the truth."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Any

import msgspec

from simulators.world import World

RECEIVERS = ("dispatch-112", "contact-109", "situation-centre")
ROUTES = {
    "fire": ["dispatch-112", "situation-centre"],
    "smoke": ["dispatch-112", "situation-centre"],
    "public_disorder": ["dispatch-112", "situation-centre"],
    "flooding": ["dispatch-112", "contact-109"],
    "default": ["contact-109"],
}
CONFIDENCE = {"dump": 0.35, "flood": 0.12, "construction": 0.2, "fire": 0.5, "smoke": 0.35, "person": 0.3}
"""Lower than the catalogue's thresholds for single pictures: three looks have to agree on a place."""


class Ports(msgspec.Struct, frozen=True):
    """Where the parts meet."""

    http: int
    mavlink: int
    rtsp: int
    city: int
    broker: int


class Secrets(msgspec.Struct, frozen=True):
    """Made anew for every demo."""

    password: str
    """Of the three people."""
    webhook: str
    """Of the receivers."""

    @classmethod
    def fresh(cls) -> Secrets:
        """New ones."""
        return cls(
            secrets.token_urlsafe(9), "whsec_" + "".join(secrets.choice("ABCDEFGHabcdefgh01234567") for _ in range(32))
        )


def settings_of(
    world: World, folder: Path, ports: Ports, *, vehicles: int, broker: bool, keys: Secrets
) -> dict[str, Any]:
    """The settings file of mission control; everything in it is known to a real city."""
    receivers = [
        {
            "name": name,
            "kind": "webhook",
            "options": {"url": f"http://127.0.0.1:{ports.city}/{name}", "secret": keys.webhook},
        }
        for name in RECEIVERS
    ]
    if broker:
        receivers[2] = {"name": RECEIVERS[2], "kind": "mqtt", "options": {"host": "127.0.0.1", "port": ports.broker}}
    return {
        "data": str(folder / "data"),
        "http": {"host": "127.0.0.1", "port": ports.http},
        "fleet": {
            "links": [f"udpin:127.0.0.1:{ports.mavlink}"],
            "heartbeat_timeout_s": 8.0,  # on a busy machine simulated seconds are longer than the wall's
            "lost_timeout_s": 25.0,
            "highest_agl_m": 150.0,  # ways out and home lie in layers above hills; the city permits it
        },
        "vehicles": [
            {
                "sysid": sysid,
                "name": f"vehicle-{sysid}",
                "registration": f"UAS-SIM-{sysid:04d}",
                "camera": "sim-wide",
                "video": f"rtsp://127.0.0.1:{ports.rtsp}/vehicle-{sysid}",
                "home": {"lon": site.lon, "lat": site.lat, "altitude_amsl_m": site.amsl_m},
            }
            for sysid, site in enumerate(world.launch_sites(vehicles), start=1)
        ],
        "terrain": {"dem": str(folder / "public" / "dem.tif")},
        "city": {name: str(folder / "public" / f"{name}.geojson") for name in ("buildings", "cadastre", "permits")},
        "layers": [{"name": "orthophoto", "title": "Orthophoto", "path": str(folder / "public" / "orthophoto.tif")}],
        "perception": {
            "frames_per_s": 25.0,
            "min_hits": 3,
            "confidence": CONFIDENCE,
            "terrain_sigma_m": 0.5,
            "sigmas": {"horizontal_m": 1.0, "vertical_m": 1.5, "tilt_deg": 0.37, "yaw_deg": 1.2, "time_s": 0.01},
        },
        "sinks": receivers,
        "routes": ROUTES,
        "administrator": {"name": "administrator", "password": keys.password},
    }
