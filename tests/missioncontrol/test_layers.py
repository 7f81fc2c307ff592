"""Layers over HTTP: forms, styles, and what a browser keeps."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import httpx
import msgspec
import numpy as np
import pytest
import rasterio

from geo.styles import Style
from missioncontrol.cli import app
from missioncontrol.errors import InputInvalid, NotFound, SettingsInvalid
from missioncontrol.layer_folder import LayerFolder
from missioncontrol.layers import Layers, public
from missioncontrol.map_settings import LayerSettings
from missioncontrol.settings_files import load
from tests.missioncontrol.conftest import Running, make_settings, running
from tests.missioncontrol.test_api import problem

TILE = (17, 93534, 48055)


def write(path: Path, bands: np.ndarray, **more: object) -> Path:
    z, x, y = TILE
    side = 360.0 / 2**z
    north = float(np.degrees(np.arctan(np.sinh(np.pi * (1 - 2 * y / 2**z)))))
    transform = rasterio.Affine(side / 32, 0, -180 + x * side, 0, -side / 32, north)
    options = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands), **more}
    with rasterio.open(path, "w", dtype=bands.dtype, crs="EPSG:4326", transform=transform, **options) as out:
        out.write(bands)
    return path


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Running]:
    picture = np.full((3, 32, 32), 60, np.uint8)
    picture[0] = 240
    heights = np.tile(np.arange(32, dtype=np.float32) + 800, (32, 1))[None]
    layers = (
        LayerSettings(name="photo", title="Photo", path=write(tmp_path / "photo.tif", picture)),
        LayerSettings(
            name="dem", title="DEM", path=write(tmp_path / "dem.tif", heights), style=Style(rescale=(800.0, 832.0))
        ),
    )
    async with running(make_settings(tmp_path, layers=layers)) as opened:
        yield opened


def middle(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    image = cv2.imdecode(np.frombuffer(answer.content, np.uint8), cv2.IMREAD_UNCHANGED)
    assert image is not None
    return [int(value) for value in image[128, 128]]


async def test_forms_styles_and_caching(house: Running) -> None:
    http = await house.client()
    at = f"{house.url}/tiles/photo/{TILE[0]}/{TILE[1]}/{TILE[2]}"
    for form, kind in (("png", "image/png"), ("jpg", "image/jpeg"), ("webp", "image/webp")):
        answer = await http.get(f"{at}.{form}")
        assert answer.headers["content-type"] == kind
        assert np.abs(np.array(middle(answer)[:3]) - [60, 60, 240]).max() <= 6
    assert middle(await http.get(f"{at}.png?bands=2,1,2"))[:3] == [60, 240, 60]
    assert middle(await http.get(f"{at}.png?rescale=0,120"))[:3] == [128, 128, 255]

    first = await http.get(f"{at}.png")
    assert "max-age" in first.headers["cache-control"]
    again = await http.get(f"{at}.png", headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", first.headers["etag"])
    other = await http.get(f"{at}.png?gamma=2", headers={"If-None-Match": first.headers["etag"]})
    assert other.status_code == 200
    assert len({answer.headers["etag"] for answer in (first, other, await http.get(f"{at}.webp"))}) == 3

    for asked, status in (
        (".gif", 404),
        (".png.png", 404),
        ("", 404),
        (".png?bands=7", 422),
        (".png?bands=1,2", 422),
        (".png?bands=1.5", 422),
        (".png?rescale=9,1", 422),
        (".png?rescale=0,1e999", 422),
        (".png?colors=pink", 422),
        (".png?colors=turbo&bands=1,2,3", 422),
    ):
        problem(await http.get(f"{at}{asked}"), status)
    for asked in (".png?gamma=0", ".png?hillshade=21", f".png?bands={'1' * 99}", ".png?rescale=x"):
        problem(await http.get(f"{at}{asked}"), 400)


async def test_a_dem_is_drawn_in_the_style_of_its_layer(house: Running) -> None:
    http = await house.client()
    at = f"{house.url}/tiles/dem/{TILE[0]}/{TILE[1]}/{TILE[2]}.png"
    grey = middle(await http.get(at))
    assert grey[:3] == pytest.approx([124, 124, 124], abs=6)
    green = middle(await http.get(f"{at}?colors=red-green&rescale=700,801"))
    assert green[:3] == [55, 104, 0]
    assert len(set(middle(await http.get(f"{at}?hillshade=1"))[:3])) == 1
    listed = {layer["name"]: layer for layer in (await http.get("/layers")).json()}
    assert listed["dem"]["style"]["rescale"] == [800.0, 832.0]
    assert "webp" in listed["dem"]["forms"]


def test_a_style_in_the_settings(tmp_path: Path) -> None:
    path = write(tmp_path / "dem.tif", np.zeros((1, 8, 8), np.float32))
    file = tmp_path / "missioncontrol.toml"
    entry = (
        f'[[layers]]\nname = "dem"\ntitle = "DEM"\npath = "{path}"\nstyle = {{ colors = "heights", hillshade = 1.0 }}\n'
    )
    file.write_text(entry)
    (layer,) = load(file).layers
    assert layer.style == Style(colors="heights", hillshade=1.0)
    Layers((layer,)).close()
    for bad in ('colors = "pink"', "gamma = 0.0", "bands = [1, 2]", "gama = 1.0"):
        file.write_text(entry.replace('colors = "heights"', bad))
        with pytest.raises(SettingsInvalid, match="layers"):
            load(file)
    with pytest.raises(SettingsInvalid, match="layers: none"):
        Layers((LayerSettings(name="none", title="-", path=tmp_path / "none.tif"),))


async def test_a_map_becomes_a_layer_while_the_service_runs(tmp_path: Path) -> None:
    """Added by the command line, listed at once with its day, drawn, replaced, and taken away again."""
    file = tmp_path / "missioncontrol.toml"
    file.write_text(f'data = "{tmp_path / "var"}"\n')
    map_file = write(tmp_path / "Spring Map.tif", np.full((3, 32, 32), 200, np.uint8))
    with rasterio.open(map_file, "r+") as out:
        out.update_tags(ACQUISITION_DATE="2026-04-02T05:00:00Z")
    changes = {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": {"type": "Polygon", "coordinates": [[[76, 43], [77, 43], [77, 44], [76, 43]]]},
                "properties": {"kind": "dump", "statement": "possible dump of 9 m2"},
            }
        ],
        "summary": {"before": "2025-04-01", "after": "2026-04-02"},
    }
    (tmp_path / "changes.geojson").write_bytes(msgspec.json.encode(changes))

    async def call(*arguments: str) -> None:
        await asyncio.to_thread(app, ["layers", *arguments, "--settings", str(file)], standalone_mode=False)

    async with running(make_settings(tmp_path)) as house:
        http = await house.client()
        assert house.service.rooms is not None
        assert load(file).layers_folder() == house.service.rooms.settings.layers_folder()
        assert (await http.get("/layers")).json() == []
        await call("add", str(map_file))
        await call("add", str(tmp_path / "changes.geojson"), "--title", "Since 2025")
        changed, spring = (await http.get("/layers")).json()
        assert (spring["name"], spring["taken"], spring["bands"]) == ("spring-map", "2026-04-02", 3)
        assert (changed["title"], changed["kind"], changed["taken"]) == ("Since 2025", "changes", "2026-04-02")
        assert changed["bounds"] == [76, 43, 77, 44]
        assert (await http.get(f"{house.url}{changed['features']}")).json() == changes
        z, x, y = TILE
        at = f"{house.url}/tiles/spring-map/{z}/{x}/{y}.png"
        assert middle(await http.get(at))[:3] == [200, 200, 200]
        problem(await http.get(f"{house.url}/tiles/changes/{z}/{x}/{y}.png"), 404)
        problem(await http.get("/layers/spring-map/features"), 404)
        (item,) = (await http.get("/stac/collections/orthophotos/items")).json()["features"]
        assert item["properties"]["datetime"] == "2026-04-02T05:00:00.000Z"

        write(map_file, np.full((3, 32, 32), 90, np.uint8))
        await call("add", str(map_file), "--taken", "2026-05-01")
        (again,) = [layer for layer in (await http.get("/layers")).json() if layer["name"] == "spring-map"]
        assert again["taken"] == "2026-05-01"
        assert again["version"] != spring["version"]
        assert middle(await http.get(at))[:3] == [90, 90, 90]
        await call("remove", "spring-map")
        assert [layer["name"] for layer in (await http.get("/layers")).json()] == ["changes"]
        problem(await http.get(at), 404)


def test_what_is_no_layer_is_refused(tmp_path: Path) -> None:
    folder = LayerFolder(tmp_path / "layers")
    with pytest.raises(NotFound, match="no layer 'x' was added; there are: none"):
        folder.remove("x")
    (tmp_path / "changes.geojson").write_text('{"type": "FeatureCollection"}')
    with pytest.raises(InputInvalid, match="no GeoJSON FeatureCollection of changes"):
        public(LayerSettings(name="x", title="-", path=tmp_path / "changes.geojson"))
    good = LayerSettings(name="x", title="X", path=write(tmp_path / "x.tif", np.zeros((1, 8, 8), np.uint8)))
    folder.add(good)
    (tmp_path / "layers" / "y.layer.json").write_text("{")
    assert [layer.title for layer in folder.layers()] == ["X"]
