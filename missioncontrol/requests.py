"""Requests: what is to be flown over, and how finely it is to be seen; one type for each pattern."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

import msgspec

from fleet.failsafes import LostLinkPolicy
from geo.camera_library import CameraModel
from missioncontrol.bounds import Name, Sysid
from missioncontrol.errors import InputInvalid

Percent = Annotated[float, msgspec.Meta(ge=0, le=95)]
Degrees = Annotated[float, msgspec.Meta(ge=0, lt=360)]
Metres = Annotated[float, msgspec.Meta(gt=0, le=20_000)]
Geometry = dict[str, Any]
"""GeoJSON, WGS 84: a geometry, a Feature, or a FeatureCollection of one."""


class Recording(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What of the video is kept."""

    where: Literal["work", "flight", "nowhere"] = "work"
    """At the work: over its area, or while it is in the picture. The whole flight, transit too. Or not at all."""
    purpose: Name | None = None
    """One of those in `retention.days`, which says how long; that of the pattern where absent."""
    why: Annotated[str, msgspec.Meta(max_length=500)] = ""
    """Why transit has to be recorded too."""


class Request(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag_field="kind"):
    """What every pattern needs."""

    camera: str | CameraModel
    """Slug of a camera in the library, or a camera of one's own."""
    gsd_cm: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    """Ground sample distance wanted, cm per pixel."""
    height_m: Annotated[float, msgspec.Meta(gt=0, le=5000)] | None = None
    """Height above ground instead, m."""
    front_overlap: Percent = 75.0
    """Along the line, percent."""
    side_overlap: Percent = 65.0
    """Between lines, percent."""
    speed_m_s: Annotated[float, msgspec.Meta(gt=0, le=60)] | None = None
    """Ground speed on the lines, m/s."""
    pitch_deg: Annotated[float, msgspec.Meta(ge=-90, le=0)] = -90.0
    """Of the camera: -90 straight down."""
    exposure_ms: Annotated[float, msgspec.Meta(gt=0, le=1000)] | None = None
    """Exposure time, ms, for the motion blur; absent: not known."""
    begins_utc: Annotated[str, msgspec.Meta(max_length=40)] | None = None
    """When it is to be flown (ISO 8601), for zones, weather and other plans; absent: as soon as it is approved."""
    vehicles: Annotated[tuple[Sysid, ...], msgspec.Meta(min_length=1)]
    """Sysids that share the work."""
    lost_link: LostLinkPolicy | None = None
    """What the vehicles do when they hear us no more; the settings' own where absent."""
    record: Recording = Recording()
    """What of the video is kept, and what for."""

    def begins_utc_s(self, now_utc_s: float) -> float:
        """When it is to be flown, UTC, s since 1970; now where it does not say. Raises InputInvalid."""
        if self.begins_utc is None:
            return now_utc_s
        try:
            begins = datetime.fromisoformat(self.begins_utc)
        except ValueError as exc:
            raise InputInvalid(f"begins_utc: {self.begins_utc!r} is no time, as in 2026-05-01T08:30:00Z") from exc
        if begins.tzinfo is None:
            raise InputInvalid(f"begins_utc: {self.begins_utc!r} has no offset from UTC: add Z or +05:00")
        return begins.timestamp()

    def check(self) -> None:
        """Raises InputInvalid for what the types cannot say."""
        if (self.gsd_cm is None) == (self.height_m is None):
            raise InputInvalid("gsd_cm, height_m: give one of the two")
        if len(set(self.vehicles)) < len(self.vehicles):
            raise InputInvalid("vehicles: a sysid is given twice")
        if self.record.where == "flight" and not self.record.why.strip():
            raise InputInvalid("record.why: say why the way to the work and back has to be recorded too")


class SurveyRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="survey"):
    """Lines that cover an area."""

    area: Geometry
    """GeoJSON Polygon."""
    direction_deg: Degrees | None = None
    """Of the lines, clockwise from north; absent: the one that gives the shortest path."""
    crosshatch: bool = False
    """Covered a second time, across."""
    swath_m: Metres | None = None
    """Distance between lines, instead of a side overlap, m."""


class CorridorRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="corridor"):
    """Lines along a road, a canal, or a water-protection strip."""

    line: Geometry
    """GeoJSON LineString."""
    width_m: Metres
    """Of the strip, m."""
    side: Literal["both", "left", "right"] = "both"
    """Where the strip lies, seen along the line."""


class WaypointsRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="waypoints"):
    """Places in the order given."""

    line: Geometry
    """GeoJSON LineString of lon, lat; the height is that of the request."""


class PatrolRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="patrol"):
    """Round along the boundary of an area."""

    area: Geometry
    """GeoJSON Polygon."""
    pitch_deg: Annotated[float, msgspec.Meta(ge=-90, le=0)] = -45.0
    """Of the camera: -90 straight down."""
    rounds: Annotated[int, msgspec.Meta(ge=1, le=50)] = 1
    """How often."""
    inset_m: Annotated[float, msgspec.Meta(ge=-500, le=500)] = 0.0
    """How far inside the boundary (outside below 0), m."""


class OrbitRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="orbit"):
    """Circles round a place, the camera looking at it; a spiral where the radius or the height changes."""

    place: Geometry
    """GeoJSON Point."""
    radius_m: Metres
    """Of the circle, m."""
    turns: Annotated[float, msgspec.Meta(gt=0, le=50)] = 1.0
    """How often round."""
    clockwise: bool = True
    """Seen from above."""
    end_radius_m: Metres | None = None
    """At the end of a spiral, m."""
    end_height_m: Metres | None = None
    """Above the ground at the place at the end of a spiral, m."""


class FacadesRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="facades"):
    """Bands round a building, the camera looking at its walls."""

    area: Geometry
    """GeoJSON Polygon: its outline on the ground."""
    structure_height_m: Metres
    """Of its top above the ground, m."""
    standoff_m: Metres
    """Between walls and vehicle, m."""
    roof: bool = False
    """Lines over the roof too."""
    courtyards: bool = True
    """The walls of courtyards, holes of the outline, too."""


class VisitsRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="visits"):
    """A round by waste sites, water intakes or building sites: the shortest, with a stop at each."""

    places: Geometry
    """GeoJSON MultiPoint."""
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 10.0
    """At each place, s."""


class SearchRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="search"):
    """Round a last known place, outwards (expanding square) or across it (sectors)."""

    place: Geometry
    """GeoJSON Point."""
    radius_m: Metres
    """How far, m."""
    side_overlap: Percent = 20.0
    """Between lines, percent."""
    shape: Literal["square", "sectors"] = "square"
    """Expanding square, or sector search."""


class LookRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="look"):
    """Go and look at a place, from where terrain and buildings leave it in view."""

    place: Geometry
    """GeoJSON Point."""
    hold_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 120.0
    """How long to look, s."""


class WatchRequest(Request, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="watch"):
    """Watch a place without a gap: the vehicles relieve each other there."""

    place: Geometry
    """GeoJSON Point."""
    duration_s: Annotated[float, msgspec.Meta(gt=0, le=86_400)]
    """How long, s."""
    overlap_s: Annotated[float, msgspec.Meta(ge=0, le=600)] = 30.0
    """The next one is there so long before the one before must leave, s."""


PlanRequest = (
    SurveyRequest
    | CorridorRequest
    | WaypointsRequest
    | PatrolRequest
    | OrbitRequest
    | FacadesRequest
    | VisitsRequest
    | SearchRequest
    | LookRequest
    | WatchRequest
)
"""Any of them, told apart by `kind`."""
