"""Tiles are cut from GeoTIFFs, at the right place, and from nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio

from geo.errors import RasterInvalid
from geo.tiles import bounds_of, tile, zooms_of

LON, LAT = 76.9, 43.2


def write(path: Path, bands: np.ndarray, crs: str | None = "EPSG:4326") -> Path:
    options = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands)}
    transform = rasterio.Affine(1e-5, 0, LON, 0, -1e-5, LAT)
    with rasterio.open(path, "w", dtype=bands.dtype, crs=crs, transform=transform, **options) as out:
        out.write(bands)
    return path


@pytest.fixture
def picture(tmp_path: Path) -> Path:
    """1000 x 800 px, about a metre each: red, with a blue block of 100 px whose corner lies at (300, 200)."""
    bands = np.zeros((3, 800, 1000), np.uint8)
    bands[0] = 200
    bands[:, 200:300, 300:400] = np.array([0, 0, 255])[:, None, None]
    return write(tmp_path / "ortho.tif", bands)


def number(lon: float, lat: float, z: int) -> tuple[int, int, float, float]:
    """Tile x, y that holds a place, and the place in it, px (OGC, Web Mercator Quad)."""
    across = (lon + 180) / 360 * 2**z
    down = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2 * 2**z
    return int(across), int(down), (across % 1) * 256, (down % 1) * 256


def image(data: bytes) -> np.ndarray:
    found = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    assert found is not None
    return found


def test_a_place_is_where_it_should_be(picture: Path) -> None:
    for u, v, colour in [
        (350, 250, (255, 0, 0)),
        (290, 250, (0, 0, 200)),
        (350, 310, (0, 0, 200)),
        (395, 205, (255, 0, 0)),
    ]:
        x, y, px, py = number(LON + (u + 0.5) * 1e-5, LAT - (v + 0.5) * 1e-5, 17)
        drawn = image(tile(picture, 17, x, y))
        assert drawn.shape == (256, 256, 4)
        assert np.abs(drawn[int(py), int(px)].astype(int) - (*colour, 255)).max() <= 3


def test_outside_is_clear_and_jpeg_is_opaque(picture: Path) -> None:
    assert image(tile(picture, 17, 0, 0)).max() == 0
    x, y, *_ = number(LON + 0.005, LAT - 0.004, 14)
    edge = image(tile(picture, 14, x, y))
    assert 0 < (edge[:, :, 3] == 255).mean() < 1
    assert image(tile(picture, 14, x, y, form="jpg")).shape == (256, 256, 3)


def test_bounds_and_zooms(picture: Path) -> None:
    assert bounds_of(picture) == pytest.approx((LON, LAT - 0.008, LON + 0.01, LAT))
    low, high = zooms_of(picture)
    assert (low, high) == (15, 18)


def test_grey_and_several_threads(tmp_path: Path) -> None:
    path = write(tmp_path / "grey.tif", np.full((1, 300, 300), 77, np.uint8))
    x, y, px, py = number(LON + 0.0015, LAT - 0.0015, 16)
    with ThreadPoolExecutor(4) as pool:
        drawn = [image(data) for data in pool.map(lambda _: tile(path, 16, x, y), range(16))]
    assert all((one[int(py), int(px)] == (77, 77, 77, 255)).all() for one in drawn)


def test_a_changed_file_is_read_again(tmp_path: Path) -> None:
    path = write(tmp_path / "one.tif", np.full((1, 300, 300), 10, np.uint8))
    x, y, px, py = number(LON + 0.0015, LAT - 0.0015, 16)
    before = image(tile(path, 16, x, y))[int(py), int(px), 0]
    write(path, np.full((1, 300, 300), 200, np.uint8))
    assert (before, image(tile(path, 16, x, y))[int(py), int(px), 0]) == (10, 200)


def test_what_is_no_picture_is_refused(tmp_path: Path) -> None:
    vrt = tmp_path / "evil.tif"
    vrt.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"><VRTRasterBand dataType="Byte" band="1"/></VRTDataset>')
    with pytest.raises(RasterInvalid, match=r"evil\.tif"):
        tile(vrt, 0, 0, 0)
    with pytest.raises(RasterInvalid, match=r"none\.tif"):
        tile(tmp_path / "none.tif", 0, 0, 0)
    with pytest.raises(RasterInvalid, match="float32"):
        tile(write(tmp_path / "dem.tif", np.ones((1, 10, 10), np.float32)), 0, 0, 0)
    with pytest.raises(RasterInvalid, match="no coordinate reference system"):
        tile(write(tmp_path / "bare.tif", np.ones((1, 10, 10), np.uint8), crs=None), 0, 0, 0)


@pytest.mark.parametrize(("z", "x", "y"), [(-1, 0, 0), (3, 8, 0), (3, 0, -1), (31, 0, 0)])
def test_numbers_outside_the_pyramid(picture: Path, z: int, x: int, y: int) -> None:
    with pytest.raises(ValueError, match="no tile"):
        tile(picture, z, x, y)
