"""What the city has on record: buildings, parcels and building permits."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import shapely
from shapely.geometry.base import BaseGeometry

from missioncontrol.errors import InputInvalid, SettingsInvalid
from missioncontrol.validity import validity


class Records:
    """GeoJSON features of one kind with an index by place."""

    def __init__(self, features: list[dict[str, Any]]) -> None:
        """Features with polygons in WGS 84, and properties with an `id`."""
        self.features = features
        self._shapes: list[BaseGeometry] = [shapely.geometry.shape(f["geometry"]) for f in features]
        self._tree = shapely.STRtree(self._shapes)

    @classmethod
    def from_file(cls, path: Path | None) -> Records:
        """Features of a GeoJSON FeatureCollection; none where no file is set. Raises SettingsInvalid."""
        if path is None:
            return cls([])
        try:
            collection = json.loads(path.read_text(encoding="utf-8"))
            features = list(collection["features"])
            for number, feature in enumerate(features):
                properties = feature["properties"] = {"id": feature.get("id"), **(feature.get("properties") or {})}
                if not feature.get("geometry") or properties["id"] is None:
                    raise SettingsInvalid(f"{path}: feature {number} has no geometry, or no `id`")
            return cls(features)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as exc:
            raise SettingsInvalid(f"{path}: not a GeoJSON FeatureCollection that can be read: {exc}") from exc

    def shape_at(self, place: BaseGeometry) -> BaseGeometry | None:
        """Outline (lon, lat; deg) of the first feature that shares a point with the place."""
        found = sorted(self._tree.query(place, predicate="intersects"))
        return self._shapes[found[0]] if found else None

    def numbers(self, place: BaseGeometry) -> list[int]:
        """Which features share a point with the place (lon, lat; deg)."""
        return [int(number) for number in sorted(self._tree.query(place, predicate="intersects"))]

    def share(self, number: int, place: BaseGeometry) -> float:
        """How much of a place (lon, lat; deg) a feature covers, 0 to 1; 1 of what has no area."""
        covered = self._shapes[number].intersection(place).area
        return float(covered / place.area) if place.area > 0 else 1.0

    def touching(self, place: BaseGeometry) -> list[dict[str, Any]]:
        """Properties of the features that share a point with the place (lon, lat; deg)."""
        return [self.features[number].get("properties") or {} for number in self.numbers(place)]


class Permits(Records):
    """Building permits, each with its days."""

    def __init__(self, features: list[dict[str, Any]]) -> None:
        """As Records, with `valid_from` and `valid_until`, see `missioncontrol.validity`. Raises ValueError for one
        whose days cannot be read, naming it."""
        super().__init__(features)
        self._days: list[tuple[date, date]] = []
        for number, feature in enumerate(features):
            properties = feature.get("properties") or {}
            if properties.get("id") is None:
                raise ValueError(f"permit {number} has no id")
            try:
                self._days.append(validity(properties))
            except ValueError as exc:
                raise ValueError(f"permit {properties['id']}: {exc}") from exc

    def valid(self, place: BaseGeometry, day: date, *, least_share: float = 0.0) -> str | None:
        """Id of one that covers so large a share of the place (lon, lat; deg) and is valid on that day, if any is."""
        for number in self.numbers(place):
            first, last = self._days[number]
            if first <= day <= last and self.share(number, place) >= least_share:
                return str(self.features[number]["properties"]["id"])
        return None


class Registry:
    """The city's own records; empty where none are given."""

    def __init__(self, *, buildings: Path | None, cadastre: Path | None, permits: Path | None) -> None:
        """Reads the three files. Raises SettingsInvalid."""
        self.buildings = Records.from_file(buildings)
        self.parcels = Records.from_file(cadastre)
        try:
            self.permits = Permits(Records.from_file(permits).features)
        except ValueError as exc:
            raise SettingsInvalid(f"{permits}: {exc}") from exc

    @classmethod
    def of(cls, *, buildings: Records, parcels: Records, permits: Records) -> Registry:
        """Of records that were read elsewhere. Raises InputInvalid for permits without days that can be read."""
        registry = cls(buildings=None, cadastre=None, permits=None)
        registry.buildings, registry.parcels = buildings, parcels
        try:
            registry.permits = Permits(permits.features)
        except ValueError as exc:
            raise InputInvalid(f"permits: {exc}") from exc
        return registry

    def valid_permit(self, place: BaseGeometry, utc_s: float, *, least_share: float = 0.0) -> str | None:
        """Number of a building permit that covers such a share of the place and is valid on that day, if any is."""
        return self.permits.valid(place, datetime.fromtimestamp(utc_s, UTC).date(), least_share=least_share)

    def registered_building(self, place: BaseGeometry) -> str | None:
        """Id of a registered building at the place, if there is one."""
        found = self.buildings.touching(place)
        return str(found[0]["id"]) if found else None

    def parcel_shape(self, place: BaseGeometry) -> BaseGeometry | None:
        """Outline of the cadastre parcel at the place, if there is one."""
        return self.parcels.shape_at(place)

    def parcel(self, place: BaseGeometry) -> str | None:
        """Number of the cadastre parcel at the place, if there is one."""
        found = self.parcels.touching(place)
        return str(found[0]["id"]) if found else None
