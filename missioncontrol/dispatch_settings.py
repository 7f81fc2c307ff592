"""What can be set about who is sent to a call."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
import shapely

from geo.positions import Latitude, Longitude
from geo.volumes import Circle
from missioncontrol.bounds import Positive
from missioncontrol.errors import SettingsInvalid


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
