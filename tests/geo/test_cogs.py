"""COGs say what was written, in the order that a COG has; what is no GeoTIFF is not opened."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import numpy as np
import pytest
import rasterio
from numpy.typing import NDArray

from geo.cogs import CogWriter, cog, opened
from geo.errors import RasterInvalid
from geo.grids import Grid
from geo.tiff import Described

RNG = np.random.default_rng(4)
TRANSFORM = rasterio.Affine(0.25, 0, 657_000, 0, -0.25, 4_785_000)


def write(path: Path, bands: NDArray[np.generic], **more: object) -> Path:
    options = {"driver": "GTiff", "height": bands.shape[1], "width": bands.shape[2], "count": len(bands)}
    options |= {"crs": "EPSG:32643", "transform": TRANSFORM, **more}
    with rasterio.open(path, "w", dtype=bands.dtype, **options) as out:
        out.write(bands)
    return path


def smooth(bands: int, height: int, width: int, top: float = 255.0) -> NDArray[np.float64]:
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([(np.sin(x / (20 + 9 * b) + y / 31) + 1) / 2 * top for b in range(bands)])


def placed(path: Path) -> list[tuple[int, list[int]]]:
    """Of each directory of a TIFF: its own offset and those of its tiles."""
    data = path.read_bytes()
    assert data[:4] == b"II*\0"
    (at,) = struct.unpack_from("<I", data, 4)
    found = []
    while at:
        (count,) = struct.unpack_from("<H", data, at)
        tiles: list[int] = []
        for field in range(at + 2, at + 2 + 12 * count, 12):
            number, _, values, place = struct.unpack_from("<HHII", data, field)
            if number == 324:
                tiles = [place] if values == 1 else list(struct.unpack_from(f"<{values}I", data, place))
        found.append((at, tiles))
        (at,) = struct.unpack_from("<I", data, at + 2 + 12 * count)
    return found


@pytest.mark.parametrize("dtype", ["uint8", "uint16", "int16", "uint32", "float32"])
@pytest.mark.parametrize(("bands", "height", "width"), [(1, 130, 301), (3, 257, 64), (4, 64, 64)])
def test_deflate_keeps_every_number(tmp_path: Path, dtype: str, bands: int, height: int, width: int) -> None:
    given = (smooth(bands, height, width, 200.0) * (100 if dtype != "uint8" else 1)).astype(dtype)
    if np.dtype(dtype).kind in "if":
        given[:, ::7, ::5] *= -1
    source = write(tmp_path / "a.tif", given)
    cog(source, tmp_path / "b.tif", block_px=64)
    with rasterio.open(tmp_path / "b.tif") as got:
        assert (got.read() == given).all()
        assert (got.dtypes[0], got.transform, got.crs.to_epsg()) == (dtype, TRANSFORM, 32643)
        assert got.block_shapes[0] == (64, 64)


def test_overviews_are_means_and_stand_before_the_picture(tmp_path: Path) -> None:
    given = RNG.integers(0, 255, (3, 301, 515)).astype(np.uint8)
    cog(write(tmp_path / "a.tif", given), tmp_path / "b.tif", block_px=64)
    with rasterio.open(tmp_path / "b.tif") as got:
        assert got.overviews(1) == [2, 4, 8, 16]
    with rasterio.open(tmp_path / "b.tif", overview_level=0) as half:
        assert half.shape == (151, 258)
        inner = given[:, :300, :514].reshape(3, 150, 2, 257, 2).astype(float).mean(axis=(2, 4))
        assert np.abs(half.read()[:, :150, :257] - inner).max() <= 0.5
        edge = given[:, :300, 514].reshape(3, 150, 2).mean(axis=2)
        assert np.abs(half.read()[:, :150, 257] - edge).max() <= 0.5, "the odd column is its own mean"
    directories = placed(tmp_path / "b.tif")
    offsets = [at for at, _ in directories]
    assert offsets == sorted(offsets)
    firsts = [min(tiles) for _, tiles in directories]
    assert firsts == sorted(firsts, reverse=True), "the smallest overview's data comes first"
    assert max(offsets) < min(firsts), "all directories stand before all data"


@pytest.mark.parametrize("compress", ["deflate", "jpeg"])
def test_clear_pixels_stay_clear_and_do_not_darken_overviews(tmp_path: Path, compress: str) -> None:
    bands = np.full((4, 200, 200), 180, np.uint8)
    bands[3] = 255
    bands[:, :, 101:] = 0
    source = write(tmp_path / "a.tif", bands, photometric="RGB", alpha="YES")
    cog(source, tmp_path / "b.tif", compress=compress, block_px=64)  # type: ignore[arg-type]
    with rasterio.open(tmp_path / "b.tif") as got:
        mask = got.dataset_mask()
        assert (mask == bands[3]).all()
        assert got.count == (3 if compress == "jpeg" else 4)
        assert np.abs(got.read()[:3][:, mask > 0].astype(int) - 180).max() <= 2
    with rasterio.open(tmp_path / "b.tif", overview_level=0) as half:
        seen = half.dataset_mask() > 0
        assert seen[:, :51].all()
        assert not seen[:, 51:].any()
        assert np.abs(half.read(1)[:, :51].astype(int) - 180).max() <= 4


def test_tiles_that_nobody_wrote_are_not_in_the_file(tmp_path: Path) -> None:
    grid = Grid("EPSG:32643", TRANSFORM, 64 * 40, 64 * 40)
    with CogWriter(tmp_path / "a.tif", grid, bands=3, alpha=True, block_px=64) as writer:
        writer.write(64, 128, np.full((64, 64, 4), 255, np.uint8))
    with rasterio.open(tmp_path / "a.tif") as got:
        assert (got.read(1) > 0).sum() == (got.dataset_mask() > 0).sum() == 64 * 64
        assert got.read(1)[64, 128] == 255
    tiles = placed(tmp_path / "a.tif")[0][1]
    assert np.count_nonzero(tiles) == 1
    assert (tmp_path / "a.tif").stat().st_size < 40_000


def test_nodata_is_left_out_of_means_and_numbers_of_things_are_not_averaged(tmp_path: Path) -> None:
    heights = np.full((1, 128, 128), 800.0, np.float32)
    heights[0, ::2, ::2] = -9999.0
    cog(write(tmp_path / "a.tif", heights, nodata=-9999.0), tmp_path / "b.tif", block_px=64)
    with rasterio.open(tmp_path / "b.tif", overview_level=0) as half:
        assert (half.read(1) == 800.0).all()
        assert half.nodata == -9999.0
    numbers = RNG.integers(1, 9, (1, 128, 128)).astype(np.uint32) * 1000
    cog(write(tmp_path / "c.tif", numbers), tmp_path / "d.tif", block_px=64, shrink="nearest")
    with rasterio.open(tmp_path / "d.tif", overview_level=0) as half:
        assert (half.read(1) == numbers[0, ::2, ::2]).all()


def test_what_is_said_of_a_raster_is_kept(tmp_path: Path) -> None:
    grid = Grid("EPSG:4326", rasterio.Affine(1e-5, 0, 76.9, 0, -1e-5, 43.2), 64, 64)
    said = Described({"ACQUISITION_DATE": "2026-06-15"}, (("gsd", "cm", 0.01), ("utc", "s", 1.0)))
    with CogWriter(tmp_path / "a.tif", grid, bands=2, dtype="uint32", nodata=0, described=said, block_px=64) as writer:
        writer.write(0, 0, np.full((64, 64, 2), 7, np.uint32))
    with rasterio.open(tmp_path / "a.tif") as got:
        assert got.tags()["ACQUISITION_DATE"] == "2026-06-15"
        assert got.descriptions == ("gsd", "utc")
        assert got.units[0] == "cm"
        assert got.scales == (0.01, 1.0)
        assert got.nodata == 0


def test_nothing_is_left_where_writing_fails(tmp_path: Path) -> None:
    grid = Grid("EPSG:32643", TRANSFORM, 200, 200)
    with (
        pytest.raises(AttributeError),
        CogWriter(tmp_path / "a.tif", grid, bands=3, block_px=64) as writer,
    ):
        writer.write(0, 0, None)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(RasterInvalid, match="not whole tiles"),
        CogWriter(tmp_path / "a.tif", grid, bands=3, block_px=64) as writer,
    ):
        writer.write(0, 10, np.zeros((64, 64, 3), np.uint8))
    for options, match in (
        ({"bands": 2, "compress": "jpeg"}, "JPEG packs 1 or 3 bands"),
        ({"bands": 3, "block_px": 100}, "multiple of 16"),
        ({"bands": 1, "dtype": "float64"}, "float64"),
    ):
        with pytest.raises(RasterInvalid, match=match):
            CogWriter(tmp_path / "a.tif", grid, **options)
    with pytest.raises(RasterInvalid, match="no folder"), CogWriter(tmp_path / "x" / "a.tif", grid, bands=3):
        pass


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.tif")
    for path in (tmp_path / "pipe.tif", tmp_path):
        with pytest.raises(RasterInvalid, match="not a regular file"):
            opened(path)


def test_a_damaged_source_is_named(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", RNG.integers(0, 255, (3, 600, 600)).astype(np.uint8), compress="deflate")
    data = bytearray(source.read_bytes())
    data[len(data) // 3 : len(data) // 2] = bytes(len(data) // 2 - len(data) // 3)
    source.write_bytes(data)
    with pytest.raises(RasterInvalid, match=r"a\.tif: damaged near row"):
        cog(source, tmp_path / "b.tif")
    assert not (tmp_path / "b.tif").exists()


def test_only_the_geotiff_itself_is_read(tmp_path: Path) -> None:
    given = smooth(1, 64, 64).astype(np.uint8)
    path = write(tmp_path / "a.tif", given)
    write(tmp_path / "a.tif.ovr", np.full((1, 32, 32), 9, np.uint8))
    (tmp_path / "a.tif.aux.xml").write_text("<PAMDataset><Metadata><MDI key='SIDE'>car</MDI></Metadata></PAMDataset>")
    with opened(path) as raster:
        assert raster.overviews(1) == []
        assert "SIDE" not in raster.tags()
    vrt = tmp_path / "b.tif"
    vrt.write_text('<VRTDataset rasterXSize="1" rasterYSize="1"/>')
    with pytest.raises(RasterInvalid, match="not a TIFF"):
        opened(vrt)
    for name in ("/vsicurl/http://127.0.0.1/a.tif", f"GTIFF_DIR:1:{path}", "none.tif", str(tmp_path)):
        with pytest.raises(RasterInvalid, match="cannot be read"):
            opened(name)


def test_limits(tmp_path: Path) -> None:
    bare = write(tmp_path / "bare.tif", smooth(1, 9, 9).astype(np.uint8), crs=None)
    with pytest.raises(RasterInvalid, match="no coordinate reference system"):
        opened(bare)
    sparse = {"driver": "GTiff", "count": 1, "dtype": "uint8", "crs": "EPSG:32643", "transform": TRANSFORM}
    sparse |= {"tiled": True, "SPARSE_OK": "TRUE", "BIGTIFF": "YES"}
    with rasterio.open(tmp_path / "large.tif", "w", width=9000, height=9000, **sparse):
        pass
    with pytest.raises(RasterInvalid, match="9000 x 9000 px without overviews"):
        opened(tmp_path / "large.tif")
    many = write(tmp_path / "many.tif", np.zeros((20, 8, 8), np.uint8))
    with pytest.raises(RasterInvalid, match="20 bands"):
        opened(many)
    strips = sparse | {"tiled": False, "blockysize": 1000, "compress": "deflate"}
    with rasterio.open(tmp_path / "strip.tif", "w", width=70_000, height=1000, **strips):
        pass
    with pytest.raises(RasterInvalid, match="pieces of 70000 x 1000 px"):
        opened(tmp_path / "strip.tif")
    coloured = write(tmp_path / "palette.tif", np.zeros((1, 8, 8), np.uint8), photometric="palette")
    with rasterio.open(coloured, "r+") as raster:
        raster.write_colormap(1, {0: (9, 9, 9, 255)})
    with pytest.raises(RasterInvalid, match="palette"):
        opened(coloured)


def test_heights_stay_the_same_heights_and_the_moment_stays_said(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", smooth(1, 64, 64).astype(np.uint16))
    with rasterio.open(source, "r+") as raster:
        raster.scales, raster.offsets = (0.01,), (700.0,)
        raster.update_tags(TIFFTAG_DATETIME="2026:01:02 10:00:00", TIFFTAG_IMAGEDESCRIPTION="a city")
    cog(source, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as got:
        assert (got.scales, got.offsets) == ((0.01,), (700.0,))
        assert got.tags()["TIFFTAG_DATETIME"] == "2026:01:02 10:00:00"
        assert got.tags()["TIFFTAG_IMAGEDESCRIPTION"] == "a city"


def test_scaled_bands_with_a_mask_stay_scaled(tmp_path: Path) -> None:
    with rasterio.Env(GDAL_TIFF_INTERNAL_MASK=True):
        source = write(tmp_path / "a.tif", np.full((1, 64, 64), 40, np.int16))
        with rasterio.open(source, "r+") as raster:
            raster.scales, raster.offsets = (0.5,), (100.0,)
            raster.write_mask(np.where(np.arange(64) < 20, 255, 0)[None].repeat(64, 0).astype(np.uint8))
    cog(source, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as got:
        assert (got.scales, got.offsets) == ((0.5, 1.0), (100.0, 0.0))
        assert (got.read(1)[:, :20] == 40).all()
        assert (got.read(2) == np.where(np.arange(64) < 20, 32767, 0)).all()


def test_jpeg_keeps_what_is_known_and_what_is_not(tmp_path: Path) -> None:
    bands = np.clip(smooth(3, 200, 200) + RNG.normal(0, 20, (3, 200, 200)), 1, 255).astype(np.uint8)
    y, x = np.mgrid[0:200, 0:200]
    unknown = np.hypot(x - 90, y - 120) < 70
    bands[:, unknown] = 0
    cog(write(tmp_path / "a.tif", bands, nodata=0), tmp_path / "b.tif", compress="jpeg")
    with rasterio.open(tmp_path / "b.tif") as got:
        assert ((got.dataset_mask() == 0) == unknown).all()


def test_alpha_of_16_bit_is_as_opaque_as_it_was(tmp_path: Path) -> None:
    bands = (smooth(4, 64, 64) * 200).astype(np.uint16)
    bands[3] = np.where(np.arange(64) < 20, 65535, 256)[None]
    source = write(tmp_path / "a.tif", bands, photometric="RGB", alpha="YES")
    cog(source, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as got:
        assert (got.read(4) == bands[3]).all()


def test_pixels_that_are_points_stay_where_they_are(tmp_path: Path) -> None:
    source = write(tmp_path / "a.tif", smooth(1, 64, 64).astype(np.uint8), AREA_OR_POINT="Point")
    with rasterio.open(source, "r+") as raster:
        raster.update_tags(AREA_OR_POINT="Point")
    with rasterio.open(source) as raster:
        where = raster.transform
        assert raster.tags()["AREA_OR_POINT"] == "Point"
    cog(source, tmp_path / "b.tif")
    with rasterio.open(tmp_path / "b.tif") as got:
        assert got.transform.almost_equals(where, precision=1e-9)
