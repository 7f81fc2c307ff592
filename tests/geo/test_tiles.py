"""Tiles are cut from GeoTIFFs, at the right place, and from nothing else."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
from rasterio.enums import Resampling
from rasterio.vrt import WarpedVRT

from geo.cogs import cog
from geo.errors import RasterInvalid
from geo.grids import Grid
from geo.rasters import raster
from geo.styles import COLOR_MAPS, Style
from geo.tiles import HALF_WORLD_M, TILE_PX, bounds_of, tile, version, zooms_of

LON, LAT = 76.9, 43.2


def write(path: Path, bands: np.ndarray, crs: str | None = "EPSG:4326", **more: object) -> Path:
    options = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands)}
    options |= {"transform": rasterio.Affine(1e-5, 0, LON, 0, -1e-5, LAT), **more}
    with rasterio.open(path, "w", dtype=bands.dtype, crs=crs, **options) as out:
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


def test_alpha_of_16_bit_is_seen_through_only_where_it_is_0(tmp_path: Path) -> None:
    bands = np.full((4, 400, 400), 9000, np.uint16)
    bands[3, :, :200], bands[3, :, 200:] = 256, 0
    source = write(tmp_path / "a.tif", bands, photometric="RGB", alpha="YES")
    x, y, px, py = number(LON + 100.5e-5, LAT - 100.5e-5, 17)
    assert image(tile(source, 17, x, y))[int(py), int(px), 3] == 255
    x, y, px, py = number(LON + 300.5e-5, LAT - 100.5e-5, 17)
    assert image(tile(source, 17, x, y))[int(py), int(px), 3] == 0


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
    with pytest.raises(RasterInvalid, match="complex64"):
        tile(write(tmp_path / "radar.tif", np.ones((1, 10, 10), np.complex64)), 0, 0, 0)
    with pytest.raises(RasterInvalid, match="no coordinate reference system"):
        tile(write(tmp_path / "bare.tif", np.ones((1, 10, 10), np.uint8), crs=None), 0, 0, 0)


@pytest.mark.parametrize(("z", "x", "y"), [(-1, 0, 0), (3, 8, 0), (3, 0, -1), (31, 0, 0)])
def test_numbers_outside_the_pyramid(picture: Path, z: int, x: int, y: int) -> None:
    with pytest.raises(ValueError, match="no tile"):
        tile(picture, z, x, y)


UTM = rasterio.Affine(0.5, 0, 657_800, 0, -0.5, 4_785_000)


def waves(size: int, top: float = 255.0) -> np.ndarray:
    y, x = np.mgrid[0:size, 0:size]
    return np.stack([(np.sin(x / (21 + 8 * band)) * np.cos(y / 33) + 1) / 2 * top for band in range(3)])


def gdals(path: Path, z: int, x: int, y: int) -> tuple[np.ndarray, np.ndarray]:
    """Bands and mask of a tile as GDAL warps them, exactly."""
    side_m = 2 * HALF_WORLD_M / 2**z
    west, north = -HALF_WORLD_M + x * side_m, HALF_WORLD_M - y * side_m
    square = {"transform": rasterio.Affine(side_m / TILE_PX, 0, west, 0, -side_m / TILE_PX, north), "crs": "EPSG:3857"}
    with (
        rasterio.open(path) as source,
        WarpedVRT(
            source,
            width=TILE_PX,
            height=TILE_PX,
            resampling=Resampling.bilinear,
            add_alpha=True,
            **square,
        ) as view,
    ):
        bands = view.read()
    return bands[:-1], bands[-1]


@pytest.mark.parametrize("z", [15, 17, 18, 19, 21])
def test_a_picture_in_utm_is_drawn_as_gdal_draws_it(tmp_path: Path, z: int) -> None:
    plain = write(tmp_path / "a.tif", waves(1500).astype(np.uint8), "EPSG:32643", transform=UTM)
    cog(plain, tmp_path / "b.tif")
    lon, lat = (float(each) for each in Grid("EPSG:32643", UTM, 1500, 1500).lonlat(700.0, 640.0))
    x, y, *_ = number(lon, lat, z)
    theirs, mask = gdals(plain, z, x, y)
    for path in (plain, tmp_path / "b.tif"):
        drawn = image(tile(path, z, x, y))[..., [2, 1, 0, 3]]
        both = (drawn[..., 3] > 0) & (mask > 0)
        assert (drawn[..., 3] > 0).mean() == pytest.approx((mask > 0).mean(), abs=0.02)
        assert both.any()
        wrong = np.abs(drawn[..., :3].astype(int) - theirs[:3].transpose(1, 2, 0))[both]
        assert wrong.mean() < 1.5, "a shift of half a pixel gives 2 to 4"


def test_a_turned_picture_lies_as_it_is_turned(tmp_path: Path) -> None:
    turned = UTM @ rasterio.Affine.rotation(30.0)
    bands = np.zeros((3, 400, 600), np.uint8)
    bands[0, 100:140, 300:360] = 250
    path = write(tmp_path / "a.tif", bands, "EPSG:32643", transform=turned)
    lon, lat = (float(each) for each in Grid("EPSG:32643", turned, 600, 400).lonlat(330.0, 120.0))
    x, y, px, py = number(lon, lat, 18)
    drawn = image(tile(path, 18, x, y))
    assert drawn[int(py), int(px), 2] == 250
    assert bounds_of(path)[0] < lon < bounds_of(path)[2]


def test_heights_are_drawn_with_colours_between_their_values(tmp_path: Path) -> None:
    heights = np.full((1, 600, 600), 800.0, np.float32)
    heights[0, :, 300:] = 900.0
    heights[0, 100:200, 100:200] = -9999.0
    heights[0, 400:410, 400:410] = np.nan
    path = write(tmp_path / "dem.tif", heights, nodata=-9999.0)

    def at(u: float, v: float, style: Style) -> list[int]:
        x, y, px, py = number(LON + u * 1e-5, LAT - v * 1e-5, 17)
        return list(image(tile(path, 17, x, y, style=style))[int(py), int(px)].tolist())

    grey = Style(rescale=(800.0, 1000.0))
    assert at(50, 50, grey) == [0, 0, 0, 255]
    assert at(500, 50, grey) == [128, 128, 128, 255]
    assert at(150, 150, grey)[3] == at(405, 405, grey)[3] == 0, "nodata and NaN are clear"
    assert at(500, 50, Style(rescale=(800.0, 1000.0), gamma=2.0))[0] == round(255 * 0.5**0.5)
    assert at(500, 50, Style()) == [255, 255, 255, 255], "between what 2 and 98 % are below"
    red_green = Style(rescale=(800.0, 900.0), colors="red-green")
    assert at(50, 50, red_green)[:3] == [38, 0, 165]
    assert at(500, 50, red_green)[:3] == [55, 104, 0]
    for name in COLOR_MAPS:
        assert at(500, 50, Style(colors=name))[3] == 255


def test_relief_is_bright_towards_the_north_west(tmp_path: Path) -> None:
    x = np.tile(np.arange(600), (600, 1))
    ridge = (800 - np.abs(x - 300) * 0.5)[None].astype(np.float32)
    path = write(tmp_path / "dem.tif", ridge, "EPSG:32643", transform=UTM)
    grid = Grid("EPSG:32643", UTM, 600, 600)
    light = {}
    for name, col in (("west", 200.0), ("east", 400.0)):
        lon, lat = (float(each) for each in grid.lonlat(col, 300.0))
        tx, ty, px, py = number(lon, lat, 18)
        light[name] = int(image(tile(path, 18, tx, ty, style=Style(hillshade=1.0)))[int(py), int(px), 0])
    slope = 1.0  # 0.5 m for each pixel of 0.5 m
    sun = np.array([-0.5, 0.5, np.sqrt(0.5)])
    for name, east in (("west", slope), ("east", -slope)):
        normal = np.array([-east, 0.0, 1.0]) / np.sqrt(1 + slope**2)
        assert light[name] == pytest.approx(255 * max(float(normal @ sun), 0.0), abs=6)


def test_sixteen_bits_bands_and_masks(tmp_path: Path) -> None:
    bands = np.stack([np.full((300, 300), value, np.uint16) for value in (1000, 2000, 3000, 4000)])
    path = write(tmp_path / "a.tif", bands, photometric="MINISBLACK")
    x, y, px, py = number(LON + 0.0015, LAT - 0.0015, 17)
    style = Style(bands=(4, 2, 1), rescale=(0.0, 4000.0))
    blue, green, red, alpha = image(tile(path, 17, x, y, style=style))[int(py), int(px)]
    assert (red, green, blue, alpha) == (255, 128, 64, 255)
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True), rasterio.open(path, "r+") as raster_:
        mask = np.full((300, 300), 255, np.uint8)
        mask[:, :140] = 0
        raster_.write_mask(mask)
    drawn = image(tile(path, 17, x, y, style=style))
    assert drawn[int(py), int(px), 3] == 255
    lost = number(LON + 0.0013, LAT - 0.0015, 17)
    assert lost[:2] == (x, y)
    assert drawn[int(lost[3]), int(lost[2]), 3] == 0
    for bad in (Style(bands=(9,)), Style(bands=(1, 2, 3), colors="turbo")):
        with pytest.raises(RasterInvalid, match=r"a\.tif: "):
            tile(path, 17, x, y, style=bad)


@pytest.mark.parametrize(
    "fields",
    [{"bands": (1, 2)}, {"bands": (0,)}, {"rescale": (5.0, 5.0)}, {"rescale": (0.0, float("nan"))}, {"colors": "x"}],
)
def test_styles_that_cannot_be(fields: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"one or three|must be the smaller|one of"):
        Style(**fields)  # type: ignore[arg-type]


def test_forms(picture: Path) -> None:
    x, y, *_ = number(LON + 0.005, LAT - 0.004, 17)
    whole = image(tile(picture, 17, x, y)).astype(int)
    webp = image(tile(picture, 17, x, y, form="webp")).astype(int)
    assert np.abs(whole[..., :3] - webp[..., :3]).mean() < 4
    assert image(tile(picture, 17, 0, 0, form="jpg")).min() == 255, "where there is nothing a JPEG is white"
    with pytest.raises(ValueError, match="no tiles of 'gif'"):
        tile(picture, 17, x, y, form="gif")  # type: ignore[arg-type]


def test_a_large_picture_is_read_in_blocks_that_are_kept(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", waves(1500).astype(np.uint8), "EPSG:32643", transform=UTM)
    cog(path, tmp_path / "b.tif")
    source = raster(tmp_path / "b.tif")
    assert [level.width for level in source.levels] == [1500, 750, 375]
    assert [level.width for level in raster(path).levels] == [1500, 750, 375], "also where there are no overviews"
    whole = source.window(0, 0, 0, 1500, 1500)
    assert (whole.cells == waves(1500).astype(np.uint8)).all()
    assert (source.window(0, 500, 300, 40, 800).cells == whole.cells[:, 500:540, 300:1100]).all()
    assert source.window(0, 0, 0, 10, 10).cells.base is source.window(0, 20, 20, 10, 10).cells.base
    assert [source.level_for(pixels) for pixels in (0.3, 1.0, 1.9, 2.0, 3.9, 4.0, 99.0)] == [0, 0, 1, 1, 2, 2, 2]
    assert version(path) != version(tmp_path / "b.tif")


def test_damage_is_named(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    path = write(tmp_path / "a.tif", rng.integers(0, 255, (3, 600, 600)).astype(np.uint8), compress="deflate")
    data = bytearray(path.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    path.write_bytes(data)
    x, y, *_ = number(LON + 0.003, LAT - 0.003, 17)
    with pytest.raises(RasterInvalid, match=r"a\.tif: damaged near row"):
        tile(path, 17, x, y)


def test_every_zoom_shows_something(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tif", waves(900).astype(np.uint8), "EPSG:32643", transform=UTM)
    lon, lat = (float(each) for each in Grid("EPSG:32643", UTM, 900, 900).lonlat(450.0, 450.0))
    for z in range(0, 25, 3):
        x, y, *_ = number(lon, lat, z)
        assert image(tile(path, z, x, y)).shape == (256, 256, 4)
    x, y, *_ = number(lon, lat, 12)
    assert image(tile(path, 12, x, y))[..., 3].any()


def test_half_the_world_in_degrees(tmp_path: Path) -> None:
    bands = np.zeros((1, 90, 180), np.uint8)
    bands[0, :45] = 200
    world = rasterio.Affine(2.0, 0, -180, 0, -2.0, 90)
    path = write(tmp_path / "world.tif", bands, transform=world)
    north, south = (image(tile(path, 1, 0, y))[128, 128] for y in (0, 1))
    assert north.tolist() == [200, 200, 200, 255]
    assert south.tolist() == [0, 0, 0, 255]
    assert image(tile(path, 0, 0, 0))[[5, 250], 128, 0].tolist() == [200, 0]
