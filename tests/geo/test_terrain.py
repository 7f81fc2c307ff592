from __future__ import annotations

import os
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import rasterio.warp

from geo.errors import DatumUnknown, GeoidMissing, TerrainMissing
from geo.geoids import HeightDatum, geoid
from geo.terrain import BLOCK, FlatTerrain, GridTerrain, TerrainTiles, srtm_tile

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[3] / "shared/data"))
SRTM = DATA / "dem/N43E076.hgt.zip"


def slope(name: str, west: float, *, hole: bool = False) -> GridTerrain:
    """Heights that rise by 100 m per degree of longitude from 700 m at 76 E; cells of 0.01 deg."""
    lon = west + 0.01 * (np.arange(20) + 0.5)
    heights = np.tile(700.0 + 100.0 * (lon - 76.0), (20, 1))
    if hole:
        heights[10, 10] = np.nan
    return GridTerrain(heights, rasterio.Affine(0.01, 0, west, 0, -0.01, 43.2), name=name)


def test_heights_are_bilinear_between_cell_middles() -> None:
    rng = np.random.default_rng(3)
    lon, lat = rng.uniform(76.01, 76.19, 1000), rng.uniform(43.01, 43.19, 1000)
    np.testing.assert_allclose(slope("a.tif", 76.0).amsl_m(lon, lat), 700 + 100 * (lon - 76.0), atol=1e-3)


def test_outside_and_in_a_hole_it_raises_and_names_file_and_place() -> None:
    with pytest.raises(TerrainMissing, match=r"a\.tif: no height at lon 77\.000000, lat 43\.100000"):
        slope("a.tif", 76.0).amsl_m(77.0, 43.1)
    with pytest.raises(TerrainMissing, match=r"a\.tif"):
        slope("a.tif", 76.0, hole=True).amsl_m(76.105, 43.095)


def test_tiles_fill_each_others_holes_and_meet() -> None:
    tiles = TerrainTiles([slope("a.tif", 76.0, hole=True), slope("b.tif", 76.1), slope("c.tif", 76.2)])
    lon = np.array([76.02, 76.105, 76.35])
    np.testing.assert_allclose(tiles.amsl_m(lon, 43.095), 700 + 100 * (lon - 76.0), atol=1e-3)
    with pytest.raises(TerrainMissing, match=r"a\.tif, b\.tif, c\.tif: no height at lon 78"):
        tiles.amsl_m(78.0, 43.1)


def test_a_geotiff_in_metres_is_read_and_a_picture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "dem.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=10, height=10, count=1, dtype="float32", crs="EPSG:32643",
        transform=rasterio.Affine(100, 0, 650000, 0, -100, 4790000), nodata=-9999,
    ) as raster:  # fmt: skip
        raster.write(np.full((10, 10), 812.5, np.float32), 1)
    lon, lat = rasterio.warp.transform("EPSG:32643", "EPSG:4326", [650500], [4789500])
    assert GridTerrain.from_file(path).amsl_m(lon[0], lat[0]) == pytest.approx(812.5)
    broken = tmp_path / "not-a-dem.tif"
    broken.write_text("<VRTDataset/>")
    with pytest.raises(TerrainMissing, match=r"not-a-dem\.tif"):
        GridTerrain.from_file(broken)


def test_flat_ground_has_the_shape_of_the_question() -> None:
    assert FlatTerrain(5.0).amsl_m(np.zeros((2, 3)), 0.0).tolist() == [[5.0] * 3] * 2


def written(path: Path, heights: np.ndarray, *, west: float = 76.0, north: float = 43.2, step: float = 0.001,
            crs: str = "EPSG:4326", tags: dict[str, str] | None = None, **more: Any) -> Path:  # fmt: skip
    """A GeoTIFF of heights."""
    profile = {"driver": "GTiff", "count": 1, "dtype": "float32", "nodata": -9999.0, "crs": crs, **more}
    rows, cols = heights.shape
    transform = rasterio.Affine(step, 0, west, 0, -step, north)
    with rasterio.open(path, "w", width=cols, height=rows, transform=transform, **profile) as raster:
        raster.write(heights.astype(profile["dtype"]), 1)
        raster.update_tags(**(tags or {}))
    return path


def ground(lon: np.ndarray, lat: np.ndarray) -> np.ndarray:
    """Heights that a bilinear reader gets right everywhere."""
    return 700 + 5000 * (lon - 76) + 3000 * (lat - 43) + 20_000 * (lon - 76) * (lat - 43)


def heights(west: float, north: float, rows: int, cols: int, step: float) -> np.ndarray:
    """`ground` in the middles of cells."""
    lon = west + step * (np.arange(cols) + 0.5)
    lat = north - step * (np.arange(rows) + 0.5)
    return ground(lon[None, :], lat[:, None])


def test_tiles_that_only_touch_are_one_terrain(tmp_path: Path) -> None:
    corners = [(76.0, 43.2), (76.2, 43.2), (76.0, 43.1), (76.2, 43.1)]
    tiles = [
        GridTerrain.from_file(
            written(tmp_path / f"{number}.tif", heights(west, north, 100, 200, 0.001), west=west, north=north)
        )
        for number, (west, north) in enumerate(corners)
    ]
    rng = np.random.default_rng(5)
    lon, lat = rng.uniform(76.001, 76.399, 5000), rng.uniform(43.001, 43.199, 5000)
    lon[:1000], lat[1000:2000] = rng.uniform(76.199, 76.201, 1000), rng.uniform(43.099, 43.101, 1000)
    lon[2000:2500], lat[2000:2500] = rng.uniform(76.199, 76.201, 500), rng.uniform(43.099, 43.101, 500)
    np.testing.assert_allclose(TerrainTiles(tiles).amsl_m(lon, lat), ground(lon, lat), atol=2e-3)
    np.testing.assert_allclose(TerrainTiles(tiles[::-1]).amsl_m(lon, lat), ground(lon, lat), atol=2e-3)


def test_a_fine_tile_blends_into_the_coarse_one_below_it() -> None:
    fine = GridTerrain(np.full((50, 50), 850.0), rasterio.Affine(1e-4, 0, 76.1, 0, -1e-4, 43.1), name="dsm")
    coarse = GridTerrain(np.full((20, 20), 800.0), rasterio.Affine(0.01, 0, 76.0, 0, -0.01, 43.2), name="dem")
    both = TerrainTiles([fine, coarse])
    lon = np.linspace(76.09, 76.115, 4000)
    found = both.amsl_m(lon, 43.0975)
    np.testing.assert_allclose([found.min(), found.max()], [800, 850])
    assert np.abs(np.diff(found)).max() < 50 * 2 * (lon[1] - lon[0]) / 1e-4
    np.testing.assert_allclose(TerrainTiles([coarse, fine]).amsl_m(lon, 43.0975), 800)


def test_a_file_of_many_blocks_is_what_the_array_is(tmp_path: Path) -> None:
    rng = np.random.default_rng(2)
    rows, cols = 2 * BLOCK + 100, 3 * BLOCK
    cells = rng.uniform(500, 900, (rows, cols)).astype(np.float32)
    path = written(tmp_path / "big.tif", cells, step=1e-4, tiled=True, compress="deflate")
    array = GridTerrain(cells, rasterio.Affine(1e-4, 0, 76.0, 0, -1e-4, 43.2), name="array")
    file = GridTerrain.from_file(path)
    lon, lat = (
        rng.uniform(76.0001, 76.0 + 1e-4 * (cols - 1), 3000),
        rng.uniform(43.2 - 1e-4 * (rows - 1), 43.1999, 3000),
    )
    lon[:1000] = 76.0 + 1e-4 * (BLOCK + rng.uniform(-1.5, 1.5, 1000))
    np.testing.assert_array_equal(file.amsl_m(lon, lat), array.amsl_m(lon, lat))


def test_only_what_is_asked_for_is_read(tmp_path: Path) -> None:
    path = written(tmp_path / "big.tif", np.full((3000, 3000), 5.0), step=1e-4, tiled=True)
    terrain = GridTerrain.from_file(path)
    asked: list[tuple[int, int]] = []
    read = terrain._block
    terrain._block = lambda row, col: asked.append((row, col)) or read(row, col)  # type: ignore[func-returns-value]
    terrain.amsl_m([76.01, 76.02], [43.19, 43.19])
    assert asked == [(0, 0)]
    terrain.amsl_m(76.29, 42.91)
    assert asked == [(0, 0), (2560, 2560)]


def test_srtm_tiles_are_read_as_they_come() -> None:
    if not SRTM.is_file():
        pytest.skip(f"{SRTM} is not there")
    north, south = GridTerrain.from_file(SRTM), GridTerrain.from_file(SRTM.with_name("N42E076.hgt.zip"))
    assert north.height_datum is HeightDatum.EGM96
    assert north.stated
    merged = np.load(DATA / "dem/almaty_N42-44_E76-78_srtm3_filled.npz")["z"]
    row, col = np.random.default_rng(1).integers(1, 1200, (2, 300))
    np.testing.assert_allclose(north.amsl_m(76 + col / 1200, 44 - row / 1200), merged[row, col], atol=1e-6)
    lon = np.linspace(76.01, 76.7, 500)
    np.testing.assert_allclose(north.amsl_m(lon, 43.0), south.amsl_m(lon, 43.0), atol=0.5)
    across = TerrainTiles([north, south]).amsl_m(76.9, np.linspace(42.99, 43.01, 400))
    assert np.abs(np.diff(across)).max() < 10
    with pytest.raises(TerrainMissing, match=r"N43E076.*lon 77\.500000, lat 43\.500000.*SRTM: N43E077\.hgt"):
        north.amsl_m(77.5, 43.5)


@pytest.mark.parametrize(
    ("lon", "lat", "name"),
    [
        (76.9, 43.2, "N43E076.hgt"),
        (-0.1, -0.1, "S01W001.hgt"),
        (-70.5, -33.5, "S34W071.hgt"),
        (0.0, 0.0, "N00E000.hgt"),
    ],
)
def test_a_missing_srtm_tile_is_named(lon: float, lat: float, name: str) -> None:
    assert srtm_tile(lon, lat) == name


def test_a_vrt_named_tif_and_other_strangers_do_not_open(tmp_path: Path) -> None:
    target = written(tmp_path / "real.tif", np.full((10, 10), 5.0))
    vrt = tmp_path / "dem.tif"
    vrt.write_text(
        f'<VRTDataset rasterXSize="10" rasterYSize="10"><VRTRasterBand dataType="Float32" band="1"><SimpleSource>'
        f"<SourceFilename>{target}</SourceFilename></SimpleSource></VRTRasterBand></VRTDataset>"
    )
    with pytest.raises(TerrainMissing, match=r"dem\.tif: cannot be read as a GeoTIFF"):
        GridTerrain.from_file(vrt)
    with pytest.raises(TerrainMissing, match="no such file"):
        GridTerrain.from_file(f"/vsizip/{target}")
    hgt = tmp_path / "N43E076.hgt"
    hgt.write_bytes(b"short")
    with pytest.raises(TerrainMissing, match="cannot be read as an SRTM tile"):
        GridTerrain.from_file(hgt)


@pytest.mark.parametrize("void", [-32768.0, -9999.0, -3.4e38, 32767.0, np.inf, -np.inf, np.nan])
def test_what_stands_for_nothing_is_a_hole_though_the_file_does_not_say_so(tmp_path: Path, void: float) -> None:
    cells = np.full((40, 40), 812.5, np.float32)
    cells[10:20, 10:20] = void
    path = tmp_path / "dem.tif"
    with rasterio.open(
        path, "w", driver="GTiff", width=40, height=40, count=1, dtype="float32", crs="EPSG:4326",
        transform=rasterio.Affine(0.001, 0, 76.0, 0, -0.001, 43.1),
    ) as raster:  # fmt: skip
        raster.write(cells, 1)
    terrain = GridTerrain.from_file(path)
    assert terrain.amsl_m(76.005, 43.095) == pytest.approx(812.5)
    with pytest.raises(TerrainMissing, match="a hole in the data"):
        terrain.amsl_m(76.015, 43.085)
    with pytest.raises(TerrainMissing, match="a hole in the data"):
        terrain.amsl_m(76.0204, 43.0796)  # between a height and the hole


def test_a_hole_names_the_tile_that_has_it(tmp_path: Path) -> None:
    cells = np.full((100, 100), 5.0)
    cells[50, 50] = -9999
    whole = GridTerrain.from_file(written(tmp_path / "a.tif", np.full((100, 100), 5.0), west=77.0))
    holed = GridTerrain.from_file(written(tmp_path / "b.tif", cells))
    with pytest.raises(TerrainMissing, match=r"^\S*b\.tif: no height at lon 76\.050500, lat 43\.149500: a hole"):
        TerrainTiles([whole, holed]).amsl_m([77.05, 76.0505], [43.15, 43.1495])
    with pytest.raises(TerrainMissing, match="not a place on earth"):
        holed.amsl_m(np.nan, 43.0)


def test_scaled_and_feet(tmp_path: Path) -> None:
    path = written(tmp_path / "dm.tif", np.full((10, 10), 8125.0), dtype="int16")
    with rasterio.open(path, "r+") as raster:
        raster.scales, raster.offsets = (0.1,), (-12.5,)
    assert GridTerrain.from_file(path).amsl_m(76.005, 43.195) == pytest.approx(800.0)
    with rasterio.open(path, "r+") as raster:
        raster.units = ("ft",)
    with pytest.raises(TerrainMissing, match="'ft'"):
        GridTerrain.from_file(path)


def test_heights_above_the_ellipsoid_become_amsl(tmp_path: Path) -> None:
    path = written(tmp_path / "w84.tif", np.full((10, 10), 700.0))
    undulation_m = float(geoid(HeightDatum.EGM96).height_m(76.005, 43.195))
    assert undulation_m < -30
    told = GridTerrain.from_file(path, height_datum=HeightDatum.W84)
    assert told.amsl_m(76.005, 43.195) == pytest.approx(700 - undulation_m)
    plain = GridTerrain.from_file(path)
    assert (plain.height_datum, plain.stated) == (HeightDatum.EGM96, False)
    assert plain.amsl_m(76.005, 43.195) == pytest.approx(700)
    with pytest.raises(GeoidMissing, match="us_nga_egm08_25"):
        GridTerrain.from_file(path, height_datum=HeightDatum.EGM2008, geoid_folders=(tmp_path,)).amsl_m(76.005, 43.195)


@pytest.mark.parametrize(
    ("crs", "tags", "datum"),
    [
        ("EPSG:4326+5773", {}, HeightDatum.EGM96),
        ("EPSG:4326+3855", {}, HeightDatum.EGM2008),
        ("EPSG:4979", {}, HeightDatum.W84),
        ("EPSG:4326", {"VERTICAL_DATUM": "EGM2008"}, HeightDatum.EGM2008),
    ],
)
def test_what_a_file_states_counts(tmp_path: Path, crs: str, tags: dict[str, str], datum: HeightDatum) -> None:
    path = written(tmp_path / "dem.tif", np.full((10, 10), 700.0), crs=crs, tags=tags)
    terrain = GridTerrain.from_file(path)
    assert (terrain.height_datum, terrain.stated) == (datum, True)
    other = HeightDatum.W84 if datum is not HeightDatum.W84 else HeightDatum.EGM96
    with pytest.raises(DatumUnknown, match=f"states {datum} heights, {other} is asked for"):
        GridTerrain.from_file(path, height_datum=other)


def test_a_national_height_datum_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "dem.tif", np.full((10, 10), 700.0), crs="EPSG:4326+5705")
    with pytest.raises(DatumUnknown, match="Baltic"):
        GridTerrain.from_file(path)


def test_a_dem_of_a_gigabyte_costs_only_the_blocks_that_are_asked_for(tmp_path: Path) -> None:
    path, size = tmp_path / "huge.tif", 20_000
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=1, dtype="float32", crs="EPSG:4326", nodata=-9999.0,
        transform=rasterio.Affine(1e-5, 0, 76.8, 0, -1e-5, 43.3), tiled=True, SPARSE_OK=True,
    ) as raster:  # fmt: skip
        raster.write(np.full((1024, 1024), 850.0, np.float32), 1, window=((5120, 6144), (5120, 6144)))
    tracemalloc.start()
    try:
        terrain = GridTerrain.from_file(path)
        line = np.linspace(76.8 + 5130e-5, 76.8 + 6130e-5, 5000)
        np.testing.assert_array_equal(terrain.amsl_m(line, 43.3 - 5500e-5), 850.0)
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()
    with pytest.raises(TerrainMissing, match="a hole in the data"):
        terrain.amsl_m(76.81, 43.29)


def test_folders_of_dems_become_one_terrain(tmp_path: Path) -> None:
    folder = tmp_path / "dems"
    folder.mkdir()
    with pytest.raises(TerrainMissing, match=r"dems: holds no DEM"):
        TerrainTiles.from_files([folder])
    written(folder / "east.tif", heights(76.1, 43.2, 100, 100, 0.001), west=76.1)
    written(folder / "west.TIF", heights(76.0, 43.2, 100, 100, 0.001), tags={"VERTICAL_DATUM": "EGM96"})
    (folder / "west.TIF.aux.xml").write_text("<PAMDataset/>")
    first = written(tmp_path / "dsm.tif", np.full((10, 10), 5.0))
    found = TerrainTiles.from_files([first, folder])
    assert [Path(tile.name).name for tile in found.tiles] == ["dsm.tif", "east.tif", "west.TIF"]
    assert [Path(name).name for name in found.unstated] == ["dsm.tif", "east.tif"]
    assert found.amsl_m(76.005, 43.195) == pytest.approx(5.0)
    lon = np.linspace(76.05, 76.15, 50)
    np.testing.assert_allclose(found.amsl_m(lon, 43.15), ground(lon, np.full(50, 43.15)), atol=2e-3)
    told = TerrainTiles.from_files([first], height_datum=HeightDatum.W84)
    assert told.unstated == ()
    with pytest.raises(GeoidMissing, match="us_nga_egm08_25"):
        TerrainTiles.from_files([first], height_datum=HeightDatum.EGM2008, geoid_folders=(tmp_path,))
