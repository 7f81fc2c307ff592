"""Inclusion zones: what a flight must not leave."""

from __future__ import annotations

from collections.abc import Sequence

import shapely
from shapely import Polygon

from geo.areas import polygon_parts
from geo.volumes import Circle, Volume4D
from geo.zones import Zone

INSCRIBED = 0.0015
"""A circle that must not be left is drawn as a polygon of a radius smaller by this share."""


def merged(zones: Sequence[Zone]) -> list[tuple[Volume4D, Polygon]]:
    """Inclusion zones, those of the same limits and times as one, so that one may fly from one to its neighbour."""
    alike: dict[tuple[object, ...], list[Volume4D]] = {}
    for volume in (volume for zone in zones for volume in zone.volumes):
        alike.setdefault((volume.lower, volume.upper, volume.times), []).append(volume)
    return [
        (group[0], polygon)
        for group in alike.values()
        for polygon in polygon_parts(shapely.union_all([inner(volume) for volume in group]))
    ]


def inner(volume: Volume4D) -> Polygon:
    """A footprint as a polygon that does not reach further."""
    footprint = volume.footprint
    if isinstance(footprint, Circle):
        within_m = footprint.radius_m * (1 - INSCRIBED)
        return Circle(lon=footprint.lon, lat=footprint.lat, radius_m=within_m).polygon()
    return footprint.polygon()
