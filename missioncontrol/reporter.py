"""What becomes of sightings: observations of incidents, unless they are lawful or not what they seem."""

from __future__ import annotations

import asyncio

import numpy as np
import shapely
import structlog

from aerial_models.detectors import OnnxDetector
from geo.cameras import BrownCamera
from missioncontrol.exposures import Watching
from missioncontrol.incidents import Incidents
from missioncontrol.looks import CROWD, TARGETS, UNKNOWN_TARGET
from missioncontrol.observations import ModelStamp, Observation
from missioncontrol.pictures import encode_jpeg
from missioncontrol.registry import Registry
from missioncontrol.sightings import Sighting
from missioncontrol.video_settings import PerceptionSettings

log = structlog.get_logger(__name__)


class Reporter:
    """Makes observations of sightings, unless they are lawful or not what they seem."""

    def __init__(
        self, settings: PerceptionSettings, detector: OnnxDetector, registry: Registry, incidents: Incidents
    ) -> None:
        """`registry` says what is lawful."""
        self._sigmas, self._registry, self._incidents = settings.sigmas, registry, incidents
        self._thresholds = dict(zip(detector.classes, detector.thresholds.tolist(), strict=True))
        self._model = ModelStamp(name=detector.model.name, version=detector.model.created, sha256=detector.model.sha256)
        self._settings = settings

    def watching(self, camera: BrownCamera) -> Watching:
        """How frames of a camera are looked at."""
        settings = self._settings
        return Watching.through(
            camera,
            model=self._model,
            thresholds={name: round(value, 6) for name, value in self._thresholds.items()},
            min_hits=settings.min_hits,
            min_range_m=settings.min_range_m,
            max_range_m=settings.max_range_m,
            sigmas=settings.sigmas,
        )

    async def report(self, sysid: int, sighting: Sighting, flight: tuple[str, str]) -> None:
        """Tell incidents of a sighting from a flight and its mission."""
        target = TARGETS.get(sighting.label, UNKNOWN_TARGET)
        if target.kind is None:
            return
        record = self._record(target.kind, sighting)
        if record is not None:
            log.info("sighting is on record", kind=target.kind, record=record)
            return
        fused, best = sighting.fused, sighting.best
        await self._incidents.observe(
            Observation(
                kind=target.kind,
                lon=fused.position.lon,
                lat=fused.position.lat,
                altitude_amsl_m=fused.position.altitude.value_m,
                covariance_m2=fused.covariance_m2,
                moves_m=fused.moves_m,
                score=sighting.score,
                utc_s=best.utc_s,
                sysid=sysid,
                flight_id=flight[0],
                mission_id=flight[1],
                pose=best.pose,
                sigmas=self._sigmas,
                model=self._model,
                threshold=self._thresholds.get("person" if sighting.label == CROWD else sighting.label),
                picture=None if best.picture is None else await asyncio.to_thread(encode_jpeg, best.picture, 85),
                area_m2=float(np.median([look.area_m2 for look in sighting.looks])),
                parcel=self._registry.parcel(shapely.Point(fused.position.lon, fused.position.lat)),
            )
        )

    def _record(self, kind: str, sighting: Sighting) -> str | None:
        """What makes a building site lawful, if that is what was seen: a valid permit, or a registered building."""
        if kind != "unauthorized_construction":
            return None
        permit = self._registry.valid_permit(sighting.place, sighting.last_utc_s)
        return permit or self._registry.registered_building(sighting.place.centroid)


def kind_of(label: str) -> str | None:
    """Kind of incident that a class of the detector stands for."""
    return TARGETS.get(label, UNKNOWN_TARGET).kind
