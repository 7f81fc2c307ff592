"""Changes told with parcel, registered building and permit."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pyogrio
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from rasterio.warp import transform
from typer.testing import CliRunner

from geo.errors import AreaInvalid
from missioncontrol.changes import ChangeRequest, compare
from missioncontrol.cli import app
from missioncontrol.errors import InputInvalid

M_PX, SIDE_PX = 0.25, 400
EAST_M, NORTH_M = 654_321.0, 4_786_543.0
HOUSE, ANNEX, PATCH = (60, 60, 40, 34), (100, 200, 40, 40), (260, 260, 40, 40)
"""Row, column, rows, columns of three new roofs, px."""


def ground() -> NDArray[np.uint8]:
    rng = np.random.default_rng(4)
    grain = rng.normal(0, 6, (SIDE_PX, SIDE_PX, 1)) + rng.normal(0, 2, (SIDE_PX, SIDE_PX, 3))
    return np.asarray(np.clip(np.array([140, 132, 105]) + grain, 0, 255), np.uint8)


def ring(box: tuple[int, int, int, int], wider_px: int = 0) -> list[list[float]]:
    row, col, rows, cols = box
    left, right = EAST_M + (col - wider_px) * M_PX, EAST_M + (col + cols + wider_px) * M_PX
    top, bottom = NORTH_M - (row - wider_px) * M_PX, NORTH_M - (row + rows + wider_px) * M_PX
    lon, lat = transform(
        "EPSG:32643", "EPSG:4326", [left, right, right, left, left], [bottom, bottom, top, top, bottom]
    )
    return [[x, y] for x, y in zip(lon, lat, strict=True)]


def features(*parts: tuple[list[list[float]], dict[str, str]]) -> str:
    return json.dumps({
        "type": "FeatureCollection",
        "features": [
            {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": [outline]}, "properties": properties}
            for outline, properties in parts
        ],
    })  # fmt: skip


@pytest.fixture
def city(tmp_path: Path) -> ChangeRequest:
    """Three new roofs: without permit, beside a registered building, and with a permit for one summer."""
    later = ground()
    for row, col, rows, cols in (HOUSE, ANNEX, PATCH):
        later[row : row + rows, col : col + cols] = (170, 80, 60)
    for name, picture, day in (("before", ground(), "2025-06-01"), ("after", later, "2026-06-01")):
        with rasterio.open(
            tmp_path / f"{name}.tif", "w", driver="GTiff", width=SIDE_PX, height=SIDE_PX, count=3, dtype="uint8",
            crs="EPSG:32643", transform=rasterio.Affine(M_PX, 0, EAST_M, 0, -M_PX, NORTH_M),
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(picture, -1, 0))
            raster.update_tags(ACQUISITION_DATE=day)
    (tmp_path / "parcels.geojson").write_text(features((ring(HOUSE, 20), {"id": "X-17"})))
    beside = (ANNEX[0], ANNEX[1] - 30, ANNEX[2], 32)
    (tmp_path / "buildings.geojson").write_text(features((ring(beside), {"id": "B-5"})))
    permit = {"id": "P-9", "valid_from": "2026-05-01", "valid_until": "2026-08-31"}
    plain = tmp_path / "permits.geojson"
    plain.write_text(features((ring(PATCH, 4), permit)))
    geometry, columns = pyogrio.raw.read(plain)[2:]
    pyogrio.raw.write(
        tmp_path / "permits.gpkg", geometry, columns, list(permit), geometry_type="Polygon", crs="EPSG:4326"
    )
    return ChangeRequest(
        before=tmp_path / "before.tif",
        after=tmp_path / "after.tif",
        permits=tmp_path / "permits.gpkg",
        cadastre=tmp_path / "parcels.geojson",
        buildings=tmp_path / "buildings.geojson",
    )


def told(request: ChangeRequest) -> list[str]:
    return sorted(feature["properties"]["statement"] for feature in compare(request)["features"])


def test_buildings_are_told_with_parcel_register_and_permit(city: ChangeRequest) -> None:
    assert told(city) == [
        "building of 100 m2, permit P-9 valid on 2026-06-01",
        "building of 85 m2 on parcel X-17, no permit valid on 2026-06-01",
        "extension of 100 m2, no permit valid on 2026-06-01",
    ]


def test_a_permit_that_has_run_out_is_none(city: ChangeRequest) -> None:
    late = ChangeRequest(before=city.before, after=city.after, permits=city.permits, after_date=date(2026, 9, 1))
    assert [text.endswith("no permit valid on 2026-09-01") for text in told(late)] == [True] * 3


def test_the_permit_of_the_neighbour_is_none(city: ChangeRequest, tmp_path: Path) -> None:
    touching = (HOUSE[0], HOUSE[1] + HOUSE[3] - 4, HOUSE[2], 30)
    permits = tmp_path / "neighbour.geojson"
    permits.write_text(
        features((ring(touching), {"id": "P-1", "valid_from": "2026-01-01", "valid_until": "2026-12-31"}))
    )
    said = told(ChangeRequest(before=city.before, after=city.after, permits=permits))
    assert not any("permit P-1" in text for text in said)
    assert len(said) == 3


def test_a_register_may_be_empty_and_ids_may_be_missing(city: ChangeRequest, tmp_path: Path) -> None:
    empty, nameless = tmp_path / "empty.geojson", tmp_path / "nameless.geojson"
    empty.write_text(features())
    nameless.write_text(features((ring(HOUSE, 20), {"id": None, "name": "17 West"})))  # type: ignore[dict-item]
    said = told(ChangeRequest(before=city.before, after=city.after, permits=empty, cadastre=nameless))
    assert sum("no permit valid" in text for text in said) == 3
    assert sum("on parcel 17 West" in text for text in said) == 1


def test_of_a_large_cadastre_what_lies_near_is_read(city: ChangeRequest, tmp_path: Path) -> None:
    far = shapely.box(*(np.arange(12_000)[None] * 1e-4 + np.array([[70.0], [40.0], [70.00005], [40.00005]])))
    near = shapely.Polygon(ring(HOUSE, 20))
    cadastre = tmp_path / "cadastre.gpkg"
    numbers = np.array([f"far {number}" for number in range(12_000)] + ["X-18"], object)
    geometry = shapely.to_wkb(np.append(far, near))
    pyogrio.raw.write(cadastre, geometry, [numbers], ["id"], geometry_type="Polygon", crs="EPSG:4326")
    said = told(ChangeRequest(before=city.before, after=city.after, cadastre=cadastre))
    assert sum("on parcel X-18" in text for text in said) == 1


def test_pictures_without_overviews_are_named(city: ChangeRequest) -> None:
    steps: list[tuple[str, int, int]] = []
    found = compare(city, lambda *step: steps.append(step))
    assert [str(city.before) in note or str(city.after) in note for note in found["summary"]["notes"]] == [True, True]
    assert ("after.tif has no overviews", 1, 1) in steps
    assert any(what == "squares" and done == of for what, done, of in steps)


def test_without_permits_nothing_is_said_of_them(city: ChangeRequest) -> None:
    found = compare(ChangeRequest(before=city.before, after=city.after))
    assert [feature["properties"]["permit"] for feature in found["features"]] == [None] * 3
    assert not any("permit" in feature["properties"]["statement"] for feature in found["features"])
    assert found["summary"]["before"] == "2025-06-01"
    assert found["summary"]["kinds"] == {"new_building": 3}
    assert found["summary"]["compared_m2"] == pytest.approx((SIDE_PX * M_PX) ** 2, rel=0.01)


def test_what_is_missing_is_asked_for(city: ChangeRequest, tmp_path: Path) -> None:
    with rasterio.open(city.after, "r+") as raster:
        raster.update_tags(ACQUISITION_DATE="")
    with pytest.raises(InputInvalid, match="--after-date"):
        compare(city)
    with pytest.raises(InputInvalid, match="--before-dsm, --after-dsm"):
        compare(ChangeRequest(before=city.before, after=city.after, before_dsm=city.before))
    line = tmp_path / "line.geojson"
    line.write_text(
        json.dumps(
            {"type": "Feature", "geometry": {"type": "LineString", "coordinates": ring(HOUSE)}, "properties": {}}
        )
    )
    with pytest.raises(AreaInvalid, match="LineString"):
        compare(ChangeRequest(before=city.before, after=city.after, permits=line, after_date=date(2026, 9, 1)))


def test_the_command_writes_what_it_says(city: ChangeRequest, tmp_path: Path) -> None:
    out = tmp_path / "changes.geojson"
    arguments = ["--before", str(city.before), "--after", str(city.after), "--out", str(out), "--json"]
    said = CliRunner().invoke(app, ["change", *arguments, "--permits", str(city.permits)])
    assert said.exit_code == 0, said.output
    assert json.loads(said.stdout)["kinds"] == {"new_building": 3}
    written = json.loads(out.read_text())
    assert len(written["features"]) == 3
    assert all(feature["geometry"]["type"] == "Polygon" for feature in written["features"])
