"""Looking again: where a place is not known well enough for its parcel or its receivers, and what flight would do.

The place is too uncertain when the circle that holds it nine times in ten (CE90) is wider than the widest circle within
the parcel, or than what a receiver needs. What a flight would bring is reckoned with the errors that perception reckons
with, from one look at the middle of the picture over level ground, joined with what is known as independent of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import shapely

from geo.camera_library import camera as library_camera
from geo.cameras import BrownCamera
from geo.errors import GeoError
from geo.location import locate
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, Ellipse, LocalPlane, Position
from geo.target_errors import circular_error_m
from geo.terrain import FlatTerrain
from missioncontrol.dispatching import LOWEST_M, SLANT_OF_HEIGHT
from missioncontrol.errors import Conflict
from missioncontrol.registry import Registry
from missioncontrol.requests import LookRequest, PlanRequest, VisitsRequest
from missioncontrol.settings import Settings

STEP_M = 10.0
"""Heights that are tried, from the highest down, m apart."""
LOOK_PITCH_DEG = -float(np.degrees(np.arcsin(1 / SLANT_OF_HEIGHT)))
"""How a look from beside a place sees it."""
NADIR_PITCH_DEG = -90.0
PIXEL_SIGMA_PX = 2.0
"""How well the middle of a thing is known in a picture, px."""
HOLD_S = 30.0
"""How long the place is looked at, s."""


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """How well a place has to be known, and what for."""

    who: str
    """A receiver, or `parcel`."""
    ce90_m: float
    """Largest CE90, m."""


class SecondLook(msgspec.Struct, frozen=True, kw_only=True):
    """That a place should be looked at again, and how."""

    ce90_m: float
    """CE90 now, m."""
    needed_ce90_m: float
    """CE90 that satisfies everybody, m."""
    unmet: tuple[Need, ...]
    """Whose needs are not met, the most demanding first."""
    height_m: float | None
    """To look from, m above ground; None where no vehicle has a camera that is known."""
    pitch_deg: float | None
    """Of the camera, deg."""
    expected_ce90_m: float | None
    """CE90 to expect with that look, m."""
    enough: bool
    """Whether that satisfies everybody; else it is the best that one look does."""
    request: PlanRequest | None
    """What to plan."""


@dataclass(frozen=True)
class Eye:
    """A vehicle that may look."""

    sysid: int
    """Whose."""
    slug: str
    """Of its camera in the library."""
    camera: BrownCamera
    """The same."""


def second_look(
    *,
    place: Position,
    ellipse: Ellipse,
    needs: Sequence[Need],
    parcel: shapely.Geometry | None,
    eyes: Sequence[Eye],
    sigmas: PoseSigmas,
    terrain_sigma_m: float,
    highest_m: float,
    lowest_m: float = LOWEST_M,
) -> SecondLook | None:
    """Whether and how a place (height AMSL) with that ellipse is to be looked at again; None where it is known well
    enough. `parcel` in lon, lat; heights to look from above ground, m.

    The highest look from beside the place that is enough, else the highest from straight above, else the best.
    """
    known = ellipse.covariance_m2()
    ce90_m = circular_error_m(known)
    wanted = [*needs, *([Need(who="parcel", ce90_m=widest_m(parcel))] if parcel is not None else [])]
    unmet = sorted((need for need in wanted if ce90_m > need.ce90_m), key=lambda need: need.ce90_m)
    if not unmet:
        return None
    needed_m = unmet[0].ce90_m
    best: tuple[float, float, float, Eye] | None = None
    for eye, pitch_deg, height_m in _ways(eyes, lowest_m, max(highest_m, lowest_m)):
        looked = look_covariance_m2(eye.camera, place, pitch_deg, height_m, sigmas, terrain_sigma_m)
        joined = np.linalg.inv(np.linalg.inv(known) + np.linalg.inv(looked))
        expected_m = circular_error_m(joined)
        if best is None or expected_m < best[0]:
            best = expected_m, pitch_deg, height_m, eye
        if expected_m <= needed_m:
            break
    if best is None:
        return SecondLook(
            ce90_m=ce90_m, needed_ce90_m=needed_m, unmet=tuple(unmet), height_m=None, pitch_deg=None,
            expected_ce90_m=None, enough=False, request=None,
        )  # fmt: skip
    expected_m, pitch_deg, height_m, eye = best
    return SecondLook(
        ce90_m=ce90_m,
        needed_ce90_m=needed_m,
        unmet=tuple(unmet),
        height_m=height_m,
        pitch_deg=pitch_deg,
        expected_ce90_m=expected_m,
        enough=expected_m <= needed_m,
        request=_request(place, eye, pitch_deg, height_m),
    )


def widest_m(parcel: shapely.Geometry) -> float:
    """Radius of the widest circle within a parcel (lon, lat), m."""
    middle = parcel.centroid
    plane = LocalPlane(lon=middle.x, lat=middle.y)

    def flat(corners: Any) -> Any:
        return np.stack(plane.to_plane(corners[:, 0], corners[:, 1]), -1)

    return float(shapely.length(shapely.maximum_inscribed_circle(shapely.transform(parcel, flat))))


def look_covariance_m2(
    camera: BrownCamera, place: Position, pitch_deg: float, height_m: float, sigmas: PoseSigmas, terrain_sigma_m: float
) -> Any:
    """2 x 2 covariance (east, north; m2) of the middle of a picture taken from so high above level ground, looking
    north."""
    eye = Position(lon=place.lon, lat=place.lat, altitude=Altitude(place.altitude.value_m + height_m, Datum.AMSL))
    pose = Pose(utc_s=0.0, position=eye, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=0.0))
    middle = [((camera.width_px - 1) / 2, (camera.height_px - 1) / 2)]
    (found,) = locate(
        camera, pose, middle, FlatTerrain(place.altitude.value_m), sigmas=sigmas, pixel_sigma_px=PIXEL_SIGMA_PX,
        dem_sigma_m=terrain_sigma_m,
    )  # fmt: skip
    return np.array(found.covariance_m2)[:2, :2]


def _ways(eyes: Sequence[Eye], lowest_m: float, highest_m: float) -> Iterator[tuple[Eye, float, float]]:
    """Who looks how, and from how high, the best liked first."""
    heights = [float(height) for height in np.arange(highest_m, lowest_m - 1e-6, -STEP_M)]
    for pitch_deg in (LOOK_PITCH_DEG, NADIR_PITCH_DEG):
        for height_m in heights:
            for eye in eyes:
                yield eye, pitch_deg, height_m


def _request(place: Position, eye: Eye, pitch_deg: float, height_m: float) -> PlanRequest:
    coordinates = [round(place.lon, 8), round(place.lat, 8)]
    common: dict[str, Any] = {"camera": eye.slug, "height_m": height_m, "hold_s": HOLD_S, "vehicles": (eye.sysid,)}
    if pitch_deg == NADIR_PITCH_DEG:
        return VisitsRequest(places={"type": "MultiPoint", "coordinates": [coordinates]}, **common)
    return LookRequest(place={"type": "Point", "coordinates": coordinates}, **common)


class SecondLooks:
    """Second looks at the incidents of an installation."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        """Receivers' needs, vehicles and errors are those of `settings`, parcels those of `registry`."""
        self._settings, self._registry = settings, registry

    def of(self, feature: dict[str, Any]) -> SecondLook | None:
        """At an incident, by its Feature."""
        told, settings = feature["properties"], self._settings
        altitude = Altitude(told["altitude"]["value_m"], Datum.AMSL)
        place = Position(lon=told["lon"], lat=told["lat"], altitude=altitude)
        names = settings.sinks_of(told["kind"])
        needs = [
            Need(who=sink.name, ce90_m=sink.needs_ce90_m)
            for sink in settings.sinks
            if sink.name in names and sink.needs_ce90_m is not None
        ]
        return second_look(
            place=place,
            ellipse=msgspec.convert(told["ellipse"], Ellipse),
            needs=needs,
            parcel=self._registry.parcel_shape(shapely.Point(place.lon, place.lat)),
            eyes=self._eyes(),
            sigmas=settings.perception.sigmas,
            terrain_sigma_m=settings.perception.terrain_sigma_m,
            highest_m=settings.fleet.highest_agl_m,
        )

    def request_of(self, feature: dict[str, Any]) -> PlanRequest:
        """What to plan for a second look. Raises Conflict where there is nothing to plan."""
        found = self.of(feature)
        if found is None:
            raise Conflict(
                "the place is known as well as its parcel and its receivers need: no second look is proposed"
            )
        if found.request is None:
            raise Conflict("no vehicle has a camera of the library: no second look can be planned")
        return found.request

    def _eyes(self) -> list[Eye]:
        eyes = []
        for vehicle in self._settings.vehicles:
            if vehicle.camera is not None:
                try:
                    eyes.append(Eye(vehicle.sysid, vehicle.camera, library_camera(vehicle.camera).brown_camera()))
                except GeoError:  # a camera that no plan could use either
                    continue
        return eyes
