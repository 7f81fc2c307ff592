"""What changed between two orthophotos, told with parcel, registered building and permit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import msgspec
import shapely

from geo.acquisition import taken_on
from geo.change_kinds import ChangeKind
from geo.changes import Change, Comparison, find_changes
from geo.height_pairs import HeightPair
from geo.picture_pairs import PicturePair
from missioncontrol.change_registers import records
from missioncontrol.errors import InputInvalid
from missioncontrol.registry import Registry

NEEDS_PERMIT = {ChangeKind.NEW_BUILDING, ChangeKind.EXTENSION, ChangeKind.EARTHWORKS}
LEAST_PERMITTED = 0.5
"""A permit counts where it covers so large a share of what was built: the neighbour's does not."""
WORDS = {
    ChangeKind.NEW_BUILDING: "building",
    ChangeKind.EXTENSION: "extension",
    ChangeKind.EARTHWORKS: "earthworks",
    ChangeKind.DUMP: "possible dump",
    ChangeKind.VEGETATION_CLEARED: "vegetation cleared",
    ChangeKind.WATER: "water",
    ChangeKind.OTHER: "change",
}


class ChangeRequest(msgspec.Struct, frozen=True, kw_only=True):
    """Two orthophotos to compare, and what the city has on record."""

    before: Path
    """Earlier orthophoto, GeoTIFF."""
    after: Path
    """Later orthophoto, GeoTIFF."""
    before_dsm: Path | None = None
    """Surface model of the earlier day, GeoTIFF."""
    after_dsm: Path | None = None
    """Surface model of the later day, of the same height datum."""
    permits: Path | None = None
    """Building permits: polygons with `id`, `valid_from`, `valid_until` (GeoJSON, GeoPackage, Shapefile, KML)."""
    cadastre: Path | None = None
    """Parcels: polygons with `id`."""
    buildings: Path | None = None
    """Registered buildings: polygons with `id`."""
    before_date: date | None = None
    """Day of the earlier orthophoto; absent: as the file says."""
    after_date: date | None = None
    """Day of the later orthophoto; absent: as the file says."""
    least_area_m2: float = 4.0
    """Smaller changes are left out, m2."""
    contrast: float = 0.22
    """Fainter changes are left out, natural logarithm of light."""


def compare(
    request: ChangeRequest, on_step: Callable[[str, int, int], None] = lambda what, done, of: None
) -> dict[str, Any]:
    """The changes as a GeoJSON FeatureCollection, largest first, with a `summary`.

    Raises RasterInvalid, TerrainMissing, AreaInvalid, InputInvalid.
    """
    if (request.before_dsm is None) != (request.after_dsm is None):
        raise InputInvalid("--before-dsm, --after-dsm: heights of one day alone tell no change: give both or none")
    with PicturePair(request.before, request.after) as pair:
        days = [
            given or taken_on(found)
            for given, found in zip((request.before_date, request.after_date), pair.tags(), strict=True)
        ]
        if days[1] is None and request.permits is not None:
            raise InputInvalid(f"--after-date: {request.after} does not say when it was taken, and permits have dates")
        registry = Registry.of(
            buildings=records(request.buildings, pair.bounds),
            parcels=records(request.cadastre, pair.bounds),
            permits=records(request.permits, pair.bounds),
        )
        heights = (
            None
            if request.before_dsm is None or request.after_dsm is None
            else HeightPair(request.before_dsm, request.after_dsm, pair)
        )
        found = find_changes(
            pair,
            heights=heights,
            least_area_m2=request.least_area_m2,
            contrast=request.contrast,
            on_step=on_step,
        )
    features = [_feature(number, change, registry, days, request) for number, change in enumerate(found.changes, 1)]
    return {"type": "FeatureCollection", "features": features, "summary": _summary(found, features, days)}


def _feature(
    number: int, change: Change, registry: Registry, days: list[date | None], request: ChangeRequest
) -> dict[str, Any]:
    inside = change.outline.representative_point()
    building = registry.registered_building(change.outline)
    kind = change.kind
    if kind is ChangeKind.NEW_BUILDING and building is not None:
        kind = ChangeKind.EXTENSION
    parcel = registry.parcel(inside)
    permit, told = None, f"{WORDS[kind]} of {change.area_m2:.0f} m2" + (f" on parcel {parcel}" if parcel else "")
    if request.permits is not None and kind in NEEDS_PERMIT and days[1] is not None:
        moment = datetime(days[1].year, days[1].month, days[1].day, 12, tzinfo=UTC)
        permit = registry.valid_permit(change.outline, moment.timestamp(), least_share=LEAST_PERMITTED)
        told += f", permit {permit} valid on {days[1]}" if permit else f", no permit valid on {days[1]}"
    return {
        "type": "Feature",
        "id": number,
        "geometry": shapely.geometry.mapping(change.outline),
        "properties": {
            "kind": kind.value,
            "confidence": round(change.confidence, 2),
            "area_m2": round(change.area_m2, 1),
            "height_change_m": None if change.height_change_m is None else round(change.height_change_m, 2),
            "parcel": parcel,
            "building": building,
            "permit": permit,
            "statement": told,
        },
    }


def _summary(found: Comparison, features: list[dict[str, Any]], days: list[date | None]) -> dict[str, Any]:
    kinds: dict[str, int] = {}
    for feature in features:
        kind = feature["properties"]["kind"]
        kinds[kind] = kinds.get(kind, 0) + 1
    return {
        "before": None if days[0] is None else days[0].isoformat(),
        "after": None if days[1] is None else days[1].isoformat(),
        "kinds": kinds,
        "compared_m2": round(found.compared_m2),
        "squares": found.read.size,
        "squares_read_in_full": int(found.read.sum()),
        "fit": msgspec.to_builtins(found.fit),
        "notes": list(_notes(found)),
    }


def _notes(found: Comparison) -> Iterator[str]:
    if found.fit.residual_px is None:
        yield "the two pictures could not be laid over each other by what they show: they are compared as georeferenced"
    for path in found.without_overviews:
        yield f"{path} has no overviews, so all of it was read: `missioncontrol cog` writes it with overviews"
