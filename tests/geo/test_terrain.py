from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio
import rasterio.warp

from geo.errors import TerrainMissing
from geo.terrain import FlatTerrain, GridTerrain, TerrainTiles


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
