from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import shapely

from missioncontrol.errors import SettingsInvalid
from missioncontrol.registry import Registry

PARCEL = {"type": "Polygon", "coordinates": [[[0, 0], [1, 0], [1, 1], [0, 1], [0, 0]]]}


def file_of(folder: Path, name: str, properties: dict[str, str]) -> Path:
    path = folder / name
    feature = {"type": "Feature", "geometry": PARCEL, "properties": properties}
    path.write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    return path


def utc(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_a_permit_counts_on_its_days_and_its_ground_alone(tmp_path: Path) -> None:
    permits = file_of(
        tmp_path, "permits.geojson", {"id": "P-7", "valid_from": "2026-01-01", "valid_until": "2026-06-30"}
    )
    registry = Registry(buildings=None, cadastre=None, permits=permits)
    inside, outside = shapely.Point(0.5, 0.5), shapely.Point(1.5, 0.5)
    assert registry.valid_permit(inside, utc("2026-06-30T12:00")) == "P-7"
    assert registry.valid_permit(inside, utc("2026-07-01T00:00")) is None
    assert registry.valid_permit(inside, utc("2025-12-31T23:59")) is None
    assert registry.valid_permit(outside, utc("2026-03-01T12:00")) is None


def test_a_parcel_is_named_and_no_file_means_no_record(tmp_path: Path) -> None:
    registry = Registry(buildings=None, cadastre=file_of(tmp_path, "c.geojson", {"id": "20-311"}), permits=None)
    assert registry.parcel(shapely.Point(0.2, 0.2)) == "20-311"
    assert registry.registered_building(shapely.Point(0.2, 0.2)) is None


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    broken = tmp_path / "permits.geojson"
    broken.write_text("{")
    with pytest.raises(SettingsInvalid, match=r"permits\.geojson"):
        Registry(buildings=None, cadastre=None, permits=broken)


def test_a_permit_without_an_end_goes_on_and_a_feature_without_an_id_is_refused(tmp_path: Path) -> None:
    endless = file_of(tmp_path, "p.geojson", {"id": "P-8", "valid_from": "2026-01-01", "valid_until": None})  # type: ignore[dict-item]
    registry = Registry(buildings=None, cadastre=None, permits=endless)
    assert registry.valid_permit(shapely.Point(0.5, 0.5), utc("2031-01-01")) == "P-8"
    with pytest.raises(SettingsInvalid, match="feature 0"):
        Registry(buildings=None, cadastre=None, permits=file_of(tmp_path, "q.geojson", {"permit": "P-9"}))
