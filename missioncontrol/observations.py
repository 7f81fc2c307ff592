"""Observations: one thing seen from the air and located, before anyone decides what it is."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from geo.poses import Pose, PoseSigmas
from geo.positions import Ellipse
from missioncontrol.clocks import iso_utc


class ModelStamp(msgspec.Struct, frozen=True, kw_only=True):
    """Which model saw it."""

    name: str
    """Name in the catalogue."""
    version: str
    """Version in the catalogue."""
    sha256: str
    """Of the weights."""


class Observation(msgspec.Struct, frozen=True, kw_only=True):
    """One thing seen once (or tracked over a few frames), located on the ground."""

    kind: str
    """Kind of incident it would be."""
    lon: float
    """Longitude, deg, WGS 84."""
    lat: float
    """Latitude, deg, WGS 84."""
    altitude_amsl_m: float
    """Height of the ground there, m AMSL."""
    covariance_m2: tuple[tuple[float, float], tuple[float, float]]
    """Of the place, east and north, m2."""
    moves_m: tuple[tuple[float, float], ...] | None = None
    """What makes up the covariance, where it is known: as `geo.fusion.Fused.moves_m`."""
    score: float
    """Confidence of the detector, 0 to 1."""
    utc_s: float
    """When it was seen, s since 1970 UTC."""
    sysid: int | None = None
    """Vehicle that saw it."""
    flight_id: str | None = None
    """Flight it was seen from."""
    mission_id: str | None = None
    """Mission flown."""
    pose: Pose | None = None
    """Of the camera."""
    sigmas: PoseSigmas | None = None
    """Errors of the pose."""
    model: ModelStamp | None = None
    """Which model saw it."""
    threshold: float | None = None
    """Confidence it had to pass, 0 to 1."""
    picture: bytes | None = None
    """JPEG of what was seen."""
    area_m2: float | None = None
    """Ground area, m2."""
    geometry: dict[str, Any] | None = None
    """GeoJSON outline in WGS 84, where the thing has an extent."""
    parcel: str | None = None
    """Cadastre parcel it lies on."""
    permit: str | None = None
    """Building permit that was looked up there."""


def public(observation: Observation, picture_sha256: str | None) -> dict[str, Any]:
    """An observation as the API gives it, with its 90 % ellipse."""
    ellipse = Ellipse.from_covariance(np.asarray(observation.covariance_m2), 0.9)
    return {
        "utc": iso_utc(observation.utc_s),
        "kind": observation.kind,
        "lon": observation.lon,
        "lat": observation.lat,
        "altitude_amsl_m": observation.altitude_amsl_m,
        "ellipse": msgspec.to_builtins(ellipse),
        "score": observation.score,
        "vehicle": observation.sysid,
        "flight": observation.flight_id,
        "mission": observation.mission_id,
        "area_m2": observation.area_m2,
        "picture_sha256": picture_sha256,
    }
