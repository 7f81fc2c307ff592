"""The catalogue: items that pystac takes for valid, and a search that finds each once, page by page."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pystac
import pytest
import rasterio
import shapely
from pystac.extensions.file import FileExtension
from pystac.extensions.projection import ProjectionExtension
from pystac.extensions.view import ViewExtension
from pystac.validation import validate_dict

from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.map_settings import LayerSettings
from missioncontrol.stac import COLLECTIONS, Catalogue, Wanted
from missioncontrol.store import Store
from tests.missioncontrol.conftest import Running, make_settings, running
from tests.missioncontrol.footage import BEGIN_UTC_S, add_clip, add_flight
from tests.missioncontrol.test_api import problem, write_orthophoto
from tests.missioncontrol.test_sights import LAT, LON
from tests.missioncontrol.test_views import pass_over

ROOT = "http://127.0.0.1/api/v1/stac"


def valid(tree: dict[str, Any]) -> pystac.Item:
    """Judged by the schema of STAC 1.1.0 itself, which pystac brings; those of the extensions are not at hand."""
    validate_dict(tree, extensions=[])
    return pystac.Item.from_dict(tree)


@pytest.fixture
def layers(tmp_path: Path) -> tuple[LayerSettings, ...]:
    return (LayerSettings(name="ortho", title="Orthophoto", path=write_orthophoto(tmp_path / "ortho.tif")),)


async def test_an_orthophoto_is_told_by_its_own_file_alone(store: Store, tmp_path: Path) -> None:
    """Turned by 30 deg, with the moment that maps of this product state, and beside it a file that says otherwise."""
    path = tmp_path / "turned.tif"
    turned = rasterio.Affine(0.5, 0, 654_000, 0, -0.5, 4_787_000) @ rasterio.Affine.rotation(30)
    with rasterio.open(
        path, "w", driver="GTiff", width=64, height=64, count=1, dtype="uint8", crs="EPSG:32643", transform=turned,
    ) as raster:  # fmt: skip
        raster.write(np.full((1, 64, 64), 9, np.uint8))
        raster.update_tags(ACQUISITION_DATE="2026-06-23T16:31:59.000Z")
    (tmp_path / "turned.tif.aux.xml").write_text("<PAMDataset><SRS>EPSG:4326</SRS></PAMDataset>")
    catalogue = Catalogue(store, lambda: (LayerSettings(name="turned", title="Turned", path=path),))
    item = valid(await catalogue.item("orthophotos", "turned", ROOT))
    assert item.properties["gsd"] == pytest.approx(0.5, rel=1e-3)
    assert ProjectionExtension.ext(item.assets["data"]).code == "EPSG:32643"
    assert item.datetime == datetime(2026, 6, 23, 16, 31, 59, tzinfo=UTC)
    assert "description" not in item.properties


async def test_items_of_each_kind_are_valid(store: Store, layers: tuple[LayerSettings, ...]) -> None:
    flight = await add_flight(store)
    clip = await add_clip(store, flight, pass_over(), sha256="cd" * 32, size=1234)
    await add_clip(store, flight, pass_over(offset_m=200.0), begins_s=60.0)
    catalogue = Catalogue(store, lambda: layers)
    ortho = valid(await catalogue.item("orthophotos", "ortho", ROOT))
    content = layers[0].path.read_bytes()
    file = FileExtension.ext(ortho.assets["data"])
    assert file.checksum == "1220" + hashlib.sha256(content).hexdigest()
    assert file.size == len(content)
    projection = ProjectionExtension.ext(ortho.assets["data"])
    assert (projection.code, projection.shape) == ("EPSG:4326", [64, 64])
    assert ortho.bbox == pytest.approx([76.94, 43.20, 76.95, 43.21])
    assert ortho.properties["gsd"] == pytest.approx(0.01 / 64 * 81_200, rel=0.01)
    assert "date" in ortho.properties["description"]
    film = valid(await catalogue.item("clips", clip, ROOT))
    assert FileExtension.ext(film.assets["video"]).checksum == "1220" + "cd" * 32
    assert ViewExtension.ext(film).off_nadir == pytest.approx(0.0, abs=0.5)
    assert film.common_metadata.gsd == pytest.approx(0.219, rel=0.02)
    assert film.common_metadata.end_datetime is not None
    assert film.assets["video"].href == f"http://127.0.0.1/api/v1/recordings/{clip}/video.mp4"
    frames = valid(await catalogue.item("frames", f"frames-{flight}", ROOT))
    assert shapely.geometry.shape(frames.geometry).contains(shapely.geometry.shape(film.geometry).buffer(-1e-6))
    moments = await catalogue.moments(flight)
    assert len(moments["features"]) == 120
    assert moments["features"][30]["properties"]["gsd_m"] == pytest.approx(0.219, rel=0.02)
    with pytest.raises(NotFound):
        await catalogue.item("clips", "nothing", ROOT)
    with pytest.raises(NotFound):
        await catalogue.moments("nothing")
    for name in COLLECTIONS:
        validate_dict(catalogue.collection(name, ROOT), extensions=[])
    validate_dict(catalogue.landing(ROOT), extensions=[])


async def test_search_by_place_time_and_kind(store: Store, layers: tuple[LayerSettings, ...]) -> None:
    flight = await add_flight(store)
    here = await add_clip(store, flight, pass_over())
    there = await add_clip(store, flight, pass_over(offset_m=3000.0), begins_s=1000.0)
    catalogue = Catalogue(store, lambda: layers)

    async def ids(**wanted: Any) -> set[str]:
        return {item["id"] for item in (await catalogue.search(Wanted(**wanted), ROOT))[0]}

    assert await ids() == {"ortho", f"frames-{flight}", here, there}
    assert await ids(place=shapely.Point(LON, LAT)) == {f"frames-{flight}", here}
    assert await ids(place=shapely.box(76.94, 43.20, 76.945, 43.21)) == {"ortho"}
    assert await ids(collections=("clips",), from_utc_s=BEGIN_UTC_S + 500) == {there}
    assert await ids(collections=("clips",), until_utc_s=BEGIN_UTC_S + 500) == {here}
    assert await ids(ids=(here, "ortho")) == {here, "ortho"}
    assert await ids(collections=()) == set()
    with pytest.raises(InputInvalid, match="token"):
        await ids(token="nonsense:1")


async def test_pages_hold_everything_once(store: Store, layers: tuple[LayerSettings, ...]) -> None:
    expected = {"ortho"}
    for _ in range(3):
        flight = await add_flight(store)
        expected |= {f"frames-{flight}"} | {await add_clip(store, flight, pass_over()[:3]) for _ in range(3)}
    catalogue = Catalogue(store, lambda: layers)
    for limit in (1, 2, 4, 50):
        told: list[str] = []
        token = None
        for _ in range(20):
            found, token = await catalogue.search(Wanted(limit=limit, token=token), ROOT)
            assert len(found) <= limit
            told += [item["id"] for item in found]
            if token is None:
                break
        assert len(told) == len(expected)
        assert set(told) == expected


async def test_the_api_is_that_of_stac(tmp_path: Path, layers: tuple[LayerSettings, ...]) -> None:
    settings = make_settings(tmp_path, layers=layers)
    async with Store(settings.store_url()) as store:
        flight = await add_flight(store)
        clips = [await add_clip(store, flight, pass_over()[:5]) for _ in range(3)]
    async with running(settings) as house:
        await _ask(house, flight, clips)


async def _ask(house: Running, flight: str, clips: list[str]) -> None:
    http = await house.client()
    landing = (await http.get("/stac")).json()
    catalog = pystac.Catalog.from_dict(landing)
    assert catalog.id == "missioncontrol"
    links = {link["rel"]: link["href"] for link in landing["links"]}
    assert links["search"] == f"{house.url}/api/v1/stac/search"
    assert "https://api.stacspec.org/v1.0.0/item-search" in (await http.get("/stac/conformance")).json()["conformsTo"]
    assert len((await http.get("/stac/collections")).json()["collections"]) == 3
    assert (await http.get("/stac/collections/clips")).json()["type"] == "Collection"
    problem(await http.get("/stac/collections/nothing"), 404)
    bbox = f"{LON - 0.01},{LAT - 0.01},{LON + 0.01},{LAT + 0.01}"
    answer = await http.get("/stac/search", params={"bbox": bbox, "collections": "clips", "limit": 2})
    assert answer.headers["content-type"].startswith("application/geo+json")
    told = answer.json()["features"]
    (following,) = [link["href"] for link in answer.json()["links"] if link["rel"] == "next"]
    told += (await http.get(following)).json()["features"]
    assert [item["id"] for item in told] == clips[::-1]
    body: dict[str, Any] = {
        "intersects": {"type": "Point", "coordinates": [LON, LAT - 0.003]},
        "datetime": "2026-09-21T00:00:00Z/..", "limit": 3, "fields": {"include": ["id"]},
    }  # fmt: skip
    first = (await http.post("/stac/search", json=body)).json()
    (link,) = [link for link in first["links"] if link["rel"] == "next"]
    second = (await http.post("/stac/search", json=link["body"])).json()
    ids = [item["id"] for item in first["features"] + second["features"]]
    assert ids == [f"frames-{flight}", *clips[::-1]]
    item = first["features"][1]
    own = next(link["href"] for link in item["links"] if link["rel"] == "self")
    assert (await http.get(own)).json() == item
    frames = await http.get(first["features"][0]["assets"]["frames"]["href"])
    assert len(frames.json()["features"]) == 15
    listed = (await http.get("/stac/collections/orthophotos/items")).json()
    assert [one["id"] for one in listed["features"]] == ["ortho"]
    for asked, words in (
        ({"bbox": "1,2,3"}, "bbox"),
        ({"bbox": bbox, "intersects": msgspec.json.encode(body["intersects"]).decode()}, "one of the two"),
        ({"datetime": "yesterday"}, "datetime"),
        ({"collections": "cats"}, "cats"),
        ({"intersects": "{"}, "GeoJSON"),
    ):
        assert words in problem(await http.get("/stac/search", params=asked), 422)["detail"]
