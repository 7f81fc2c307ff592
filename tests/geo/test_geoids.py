from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import rasterio

from geo.errors import GeoidMissing
from geo.geoids import GRIDS, HeightDatum, amsl_m, geoid, height_above_m

NGA_CHECKS = (
    (38.6281550, 269.7791550, -31.628),
    (-14.6212170, 305.0211140, -2.969),
    (46.8743190, 102.4487290, -43.575),
    (-23.6174460, 133.8747120, 15.871),
    (38.6254730, 359.9995000, 50.066),
    (-0.4667440, 0.0023000, 17.329),
)
"""Lat, lon, geoid height, m: OUTINTPT.DAT in the README of NGA's EGM96 (15 minutes, spline; PROJ is bilinear)."""


def test_egm96_gives_the_values_that_nga_published_with_it() -> None:
    lat, lon, height_m = np.array(NGA_CHECKS).T
    egm96 = geoid(HeightDatum.EGM96)
    np.testing.assert_allclose(egm96.height_m(lon, lat), height_m, atol=0.06)
    np.testing.assert_allclose(egm96.height_m(lon - 360, lat), height_m, atol=0.06)


def test_the_grid_is_whole_at_the_poles_and_the_antimeridian() -> None:
    egm96 = geoid(HeightDatum.EGM96)
    np.testing.assert_allclose(egm96.height_m([0, 120], 90.0), 13.61, atol=0.01)
    np.testing.assert_allclose(egm96.height_m([0, 120], -90.0), -29.53, atol=0.01)
    assert egm96.height_m(180.0, 10.0) == pytest.approx(float(egm96.height_m(-180.0, 10.0)))
    lon = np.linspace(-180, 180, 200)
    assert np.abs(egm96.height_m(lon, 43.0)).max() < 90


def test_what_is_shipped_is_the_grid_that_proj_installs() -> None:
    installed = Path("/usr/share/proj/egm96_15.gtx")
    if not installed.is_file():
        pytest.skip(f"{installed} is not installed (Debian package proj-data)")
    rng = np.random.default_rng(7)
    lon, lat = rng.uniform(-180, 180, 1000), rng.uniform(-90, 90, 1000)
    theirs = geoid(HeightDatum.EGM96, (installed.parent,))
    np.testing.assert_allclose(geoid(HeightDatum.EGM96).height_m(lon, lat), theirs.height_m(lon, lat), atol=0.0051)


def test_heights_above_the_ellipsoid_become_amsl_and_back() -> None:
    lat, lon, geoid_m = np.array(NGA_CHECKS).T
    np.testing.assert_allclose(amsl_m(100.0, lon, lat, datum=HeightDatum.W84), 100 - geoid_m, atol=0.06)
    for datum in (HeightDatum.EGM96, HeightDatum.W84):
        there = height_above_m(700.0, lon, lat, datum=datum)
        np.testing.assert_allclose(amsl_m(there, lon, lat, datum=datum), 700.0, atol=1e-9)


def grid(path: Path, value_m: float, *, west: float = -180.0, east: float = 180.0) -> None:
    """A geoid of one height, posts every 5 deg."""
    cols = round((east - west) / 5) + 1
    with rasterio.open(
        path, "w", driver="GTiff", width=cols, height=37, count=1, dtype="float32", crs="EPSG:4326",
        transform=rasterio.Affine(5, 0, west - 2.5, 0, -5, 92.5),
    ) as raster:  # fmt: skip
        raster.write(np.full((37, cols), value_m, np.float32), 1)


def test_egm2008_needs_its_grid_and_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(GeoidMissing, match=r"us_nga_egm08_25\.tif.*not in .*projsync --file us_nga_egm08_25\.tif"):
        amsl_m(700.0, 76.9, 43.2, datum=HeightDatum.EGM2008, folders=(tmp_path / "none",))
    with pytest.raises(GeoidMissing, match="ellipsoid"):
        geoid(HeightDatum.W84)
    (tmp_path / GRIDS[HeightDatum.EGM2008][0]).write_text("not a grid")
    with pytest.raises(GeoidMissing, match="cannot read"):
        geoid(HeightDatum.EGM2008, (tmp_path,))
    (tmp_path / "a,b").mkdir()
    grid(tmp_path / "a,b" / GRIDS[HeightDatum.EGM2008][0], 1.0)
    with pytest.raises(GeoidMissing, match="no comma"):
        geoid(HeightDatum.EGM2008, (tmp_path / "a,b",))


def test_egm2008_goes_through_the_ellipsoid(tmp_path: Path) -> None:
    folder = tmp_path / "grids of EGM 2008"
    folder.mkdir()
    grid(folder / GRIDS[HeightDatum.EGM2008][0], -40.0)
    egm96_m = float(geoid(HeightDatum.EGM96).height_m(76.9, 43.2))
    found = amsl_m(700.0, 76.9, 43.2, datum=HeightDatum.EGM2008, folders=(folder,))
    assert found == pytest.approx(700.0 - 40.0 - egm96_m, abs=1e-6)
    assert height_above_m(found, 76.9, 43.2, datum=HeightDatum.EGM2008, folders=(folder,)) == pytest.approx(700.0)


def test_outside_a_grid_nothing_is_taken_as_zero(tmp_path: Path) -> None:
    grid(tmp_path / GRIDS[HeightDatum.EGM2008][0], 5.0, west=0.0, east=20.0)
    with pytest.raises(GeoidMissing, match=r"does not cover lon 76\.900000, lat 43\.200000"):
        geoid(HeightDatum.EGM2008, (tmp_path,)).height_m([10.0, 76.9], [43.2, 43.2])
