"""Layers over HTTP: forms, styles, and what a browser keeps."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
import rasterio

from geo.styles import Style
from missioncontrol.errors import SettingsInvalid
from missioncontrol.layers import Layers
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
