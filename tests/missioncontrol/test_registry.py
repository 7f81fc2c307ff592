"""What the city has on record, and on which days its permits count."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
import shapely

from missioncontrol.errors import InputInvalid, SettingsInvalid
from missioncontrol.registry import Records, Registry
from missioncontrol.validity import validity

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


@pytest.mark.parametrize(
    ("first", "last"),
    [
        ("2020-01-01", "2020-12-31"),
        ("01.01.2020", "31.12.2020"),
        ("2020/1/1", "2020/12/31"),
        (20200101, "20201231"),
        ("2020-01-01T00:00:00+05:00", "2020-12-31 23:59:59Z"),
    ],
)
def test_days_are_days_however_they_are_written(first: str | int, last: str) -> None:
    assert validity({"valid_from": first, "valid_until": last}) == (date(2020, 1, 1), date(2020, 12, 31))


def test_names_of_fields_may_be_in_capitals_or_cut_as_shapefiles_do() -> None:
    days = {"VALID_FROM": "2019-05-01", "VALID_UNTI": "2020-08-31"}
    assert validity(days) == (date(2019, 5, 1), date(2020, 8, 31))
    assert validity({"valid_from": "2019-05-01", "valid_until": ""}) == (date(2019, 5, 1), date.max)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({}, "has no valid_from; it has: nothing"),
        ({"valid_from": "2020-01-01", "ends": "x"}, "has no valid_until; it has: ends, valid_from"),
        ({"valid_from": "2020-01-01", "valid_until": "05/06/2026"}, "valid_until '05/06/2026' is no day"),
        ({"valid_from": 1577836800000, "valid_until": None}, "'1577836800000' is no day"),
        ({"valid_from": "2020-02-31", "valid_until": None}, "valid_from '2020-02-31' is no day"),
        ({"valid_from": None, "valid_until": ""}, "are both empty"),
        ({"valid_from": "2020-02-01", "valid_until": "2019-02-01"}, "is before valid_from 2020-02-01"),
    ],
)
def test_a_permit_without_days_is_refused_and_does_not_count_for_ever(record: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        validity(record)
    features = [{"geometry": PARCEL, "properties": {"id": "P-1", **record}}]
    with pytest.raises(InputInvalid, match="permits: permit P-1: "):
        Registry.of(buildings=Records([]), parcels=Records([]), permits=Records(features))


def test_the_first_day_counts_though_its_time_is_written(tmp_path: Path) -> None:
    days = {"id": "P-7", "valid_from": "2026-06-01T00:00:00Z", "valid_until": "30.06.2026"}
    registry = Registry(buildings=None, cadastre=None, permits=file_of(tmp_path, "p.geojson", days))
    assert registry.valid_permit(shapely.Point(0.5, 0.5), utc("2026-06-01T12:00")) == "P-7"
    assert registry.valid_permit(shapely.Point(0.5, 0.5), utc("2026-07-01T12:00")) is None
    with pytest.raises(SettingsInvalid, match=r"q\.geojson: permit P-7: has no valid_from"):
        Registry(buildings=None, cadastre=None, permits=file_of(tmp_path, "q.geojson", {"id": "P-7"}))
