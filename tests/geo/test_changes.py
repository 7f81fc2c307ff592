"""Changes between two orthophotos: what is new is found, light and season are not taken for it."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import pytest
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Geod
from rasterio.enums import Resampling

from geo.change_kinds import ChangeKind
from geo.change_squares import Squares
from geo.changes import Comparison, find_changes
from geo.errors import RasterInvalid, TerrainMissing
from geo.height_pairs import HeightPair
from geo.picture_pairs import PicturePair
from simulators.world import World
from simulators.world.painting import Painter

M_PX, SIDE_PX = 0.25, 640
EAST_M, NORTH_M = 654_321.0, 4_786_543.0
GEOD = Geod(ellps="WGS84")
Picture = NDArray[np.uint8]


@lru_cache(maxsize=1)
def ground() -> tuple[Picture, Picture]:
    """A square of the city in the sun of one hour and of another, nothing new in it."""
    world = World.build(11)
    pictures = []
    sun = world.sun.copy()
    for turn_rad in (0.0, 0.5):
        c, s = np.cos(turn_rad), np.sin(turn_rad)
        world.sun = np.array([c * sun[0] - s * sun[1], s * sun[0] + c * sun[1], sun[2]])
        pictures.append(Painter(world, older=True).paint(-80.0, -80.0, SIDE_PX, M_PX)[::-1].copy())
    return pictures[0], pictures[1]


def other_day(picture: Picture, *, shift_px: tuple[float, float] = (0.0, 0.0), seed: int = 3) -> Picture:
    """The same ground by another camera: another contrast, noise, and a little off."""
    bent = np.clip(255 * (picture / 255.0) ** 1.12 * 0.9 + 8, 0, 255).astype(np.float32)
    move = np.array([[1, 0, shift_px[0]], [0, 1, shift_px[1]]], np.float32)
    moved = cv2.warpAffine(bent, move, (SIDE_PX, SIDE_PX), borderMode=cv2.BORDER_REFLECT)
    noise = np.random.default_rng(seed).normal(0, 2.0, moved.shape)
    return np.asarray(np.clip(moved + noise, 0, 255), np.uint8)


def with_roof(picture: Picture, row: int, col: int, rows: int, cols: int, rgb: tuple[int, int, int]) -> Picture:
    drawn = picture.copy()
    drawn[row : row + rows, col : col + cols] = rgb
    return drawn


def write(
    path: Path, picture: NDArray[np.generic], *, m_px: float = M_PX, crs: str = "EPSG:32643", levels: bool = True,
    compress: str = "deflate", photometric: str = "minisblack",
) -> Path:  # fmt: skip
    bands = picture[None] if picture.ndim == 2 else np.moveaxis(picture, -1, 0)
    with rasterio.open(
        path, "w", driver="GTiff", width=bands.shape[2], height=bands.shape[1], count=bands.shape[0],
        dtype=bands.dtype, crs=crs, transform=rasterio.Affine(m_px, 0, EAST_M, 0, -m_px, NORTH_M),
        tiled=True, blockxsize=256, blockysize=256, compress=compress, photometric=photometric,
    ) as raster:  # fmt: skip
        raster.write(bands)
    if levels:
        with rasterio.open(path, "r+", driver="GTiff") as raster:
            raster.build_overviews([2, 4, 8], Resampling.average)
    return path


@pytest.fixture
def compare(tmp_path: Path) -> Callable[..., Comparison]:
    def run(before: Picture, after: Picture, **options: object) -> Comparison:
        files = write(tmp_path / "before.tif", before), write(tmp_path / "after.tif", after)
        with PicturePair(*files) as pair:
            return find_changes(pair, **options)  # type: ignore[arg-type]

    return run


def test_a_roof_is_found_where_it_is_and_as_large_as_it_is(compare: Callable[..., Comparison]) -> None:
    before, after = ground()
    roof = with_roof(after, 300, 200, 48, 80, (196, 92, 60))
    found = compare(other_day(before, shift_px=(1.7, -1.1)), roof)
    assert found.fit.residual_px is not None
    assert found.fit.residual_px < 0.5
    assert np.hypot(found.fit.shift_px[0] - 1.7, found.fit.shift_px[1] + 1.1) < 0.1  # though shadows have moved
    (building,) = [change for change in found.changes if change.kind is ChangeKind.NEW_BUILDING]
    assert building.area_m2 == pytest.approx(48 * 80 * M_PX**2, rel=0.1)
    lon, lat = rasterio.warp.transform("EPSG:32643", "EPSG:4326", [EAST_M + 240 * M_PX], [NORTH_M - 324 * M_PX])
    middle = building.outline.centroid
    assert GEOD.inv(middle.x, middle.y, lon[0], lat[0])[2] < 0.5


def test_what_crosses_squares_is_one_change(compare: Callable[..., Comparison]) -> None:
    before, after = ground()
    found = compare(other_day(before), with_roof(after, 480, 470, 70, 90, (60, 90, 190)))
    (building,) = [change for change in found.changes if change.kind is ChangeKind.NEW_BUILDING]
    assert found.read.size == 4
    assert building.area_m2 == pytest.approx(70 * 90 * M_PX**2, rel=0.1)


@pytest.mark.parametrize("sun_moved", [False, True])
def test_other_light_is_no_change(compare: Callable[..., Comparison], sun_moved: bool) -> None:
    before, after = ground()
    found = compare(other_day(before, shift_px=(-2.3, 0.6)), after if sun_moved else before)
    assert [(change.kind, round(change.area_m2)) for change in found.changes] == []


def test_squares_without_change_are_not_read_in_full(compare: Callable[..., Comparison]) -> None:
    before, _ = ground()
    changed = with_roof(before, 20, 20, 32, 32, (196, 92, 60))
    gated, whole = (compare(other_day(before), changed, least_area_m2=16.0, gated=gated) for gated in (True, False))
    assert gated.read.sum() < whole.read.sum() == whole.read.size
    assert [round(change.area_m2) for change in gated.changes] == [round(change.area_m2) for change in whole.changes]
    assert len(gated.changes) == 1


def test_noise_of_jpeg_is_no_reason_to_read_in_full_and_small_things_pass(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    before, _ = ground()
    wide = np.tile(before, (3, 3, 1))
    changed = with_roof(wide, 1030, 1120, 16, 16, (196, 92, 60))
    days = [np.clip(each + rng.normal(0, 2.0, each.shape), 0, 255).astype(np.uint8) for each in (wide, changed)]
    files = [
        write(tmp_path / f"{number}.tif", each, compress="jpeg", photometric="ycbcr")
        for number, each in enumerate(days)
    ]
    with PicturePair(*files) as pair:
        found = find_changes(pair, least_area_m2=16.0)
    assert pair.lossy
    assert [round(change.area_m2) for change in found.changes] == [pytest.approx(16, abs=5)]
    assert found.read.sum() <= 4
    assert found.read[1030 // 512, 1120 // 512]


def test_what_goes_on_beyond_what_stood_out_is_read_on(tmp_path: Path) -> None:
    one = write(tmp_path / "one.tif", np.full((1200, 1200, 3), 90, np.uint8))
    with PicturePair(one, one) as pair:
        squares = Squares(pair)
    squares.add(*(np.array([at]) for at in (600, 600, 640, 640)))
    seen = []
    for square, box in squares:
        seen.append((square, box))
        squares.go_on(square, box, (False, len(seen) <= 2, False, False))
    assert seen[0] == ((1, 1), (576, 576, 664, 664))
    assert seen[1] == ((1, 1), (512, 512, 1024, 1024))
    assert seen[2] == ((1, 0), (512, 487, 1024, 512))
    assert len(seen) == 3
    assert np.argwhere(squares.touched).tolist() == [[1, 0], [1, 1]]


def test_a_picture_without_overviews_is_read_once_and_gives_the_same(tmp_path: Path) -> None:
    before, _ = ground()
    days = {"before": other_day(before), "after": with_roof(before, 20, 20, 32, 32, (196, 92, 60))}
    told = []
    for levels in (True, False):
        files = [write(tmp_path / f"{name}{levels}.tif", each, levels=levels) for name, each in days.items()]
        steps: list[str] = []
        with PicturePair(*files) as pair:
            found = find_changes(pair, least_area_m2=16.0, on_step=lambda what, done, of, to=steps: to.append(what))
        told.append([round(change.area_m2) for change in found.changes])
        lacking = [] if levels else files
        assert list(found.without_overviews) == lacking
        assert [what for what in steps if "no overviews" in what] == [
            f"{path.name} has no overviews" for path in lacking
        ]
        assert found.read.sum() < found.read.size
    assert told[0] == told[1]
    assert len(told[0]) == 1


@pytest.mark.parametrize("ell", [False, True])
def test_heights_tell_what_colour_does_not(tmp_path: Path, ell: bool) -> None:
    square = with_roof(ground()[0], 60, 60, 200, 240, (92, 92, 94))
    files = write(tmp_path / "before.tif", other_day(square)), write(tmp_path / "after.tif", square)
    low = np.random.default_rng(5).normal(812.0, 0.1, (SIDE_PX, SIDE_PX)).astype(np.float32)
    high = low + np.float32(0.8)  # another survey's datum
    high[100:180, 100:220] += 5
    if ell:
        high[100:140, 160:220] -= 5
    heights = write(tmp_path / "low.tif", low), write(tmp_path / "high.tif", high)
    with PicturePair(*files) as pair:
        model = HeightPair(*heights, pair)
        assert model.offset_m == pytest.approx(0.8, abs=0.05)
        (change,) = find_changes(pair, heights=model).changes
    assert change.kind is ChangeKind.NEW_BUILDING
    assert change.height_change_m == pytest.approx(5.0, abs=0.2)
    assert change.area_m2 == pytest.approx((80 * 120 - ell * 40 * 60) * M_PX**2, rel=0.1)


def test_pictures_of_other_grids_are_laid_over_each_other(tmp_path: Path) -> None:
    before, _ = ground()
    after = write(tmp_path / "after.tif", with_roof(before, 300, 200, 48, 80, (196, 92, 60)))
    with rasterio.open(write(tmp_path / "utm.tif", other_day(before))) as source:
        place, width, height = rasterio.warp.calculate_default_transform(
            source.crs, "EPSG:4326", source.width, source.height, *source.bounds
        )
        bands = np.zeros((3, height, width), np.uint8)
        rasterio.warp.reproject(
            rasterio.band(source, [1, 2, 3]), bands, dst_transform=place, dst_crs="EPSG:4326",
            resampling=Resampling.bilinear,
        )  # fmt: skip
    degrees = tmp_path / "degrees.tif"
    with rasterio.open(
        degrees, "w", driver="GTiff", width=width, height=height, count=3, dtype="uint8", crs="EPSG:4326",
        transform=place, nodata=0,
    ) as raster:  # fmt: skip
        raster.write(bands)
    with PicturePair(degrees, after) as pair:
        buildings = [c for c in find_changes(pair).changes if c.kind is ChangeKind.NEW_BUILDING]
    assert [change.area_m2 for change in buildings] == [pytest.approx(48 * 80 * M_PX**2, rel=0.1)]
    assert isinstance(buildings[0].outline, shapely.Polygon)


def test_rows_that_run_northward_overlap_as_any_other(tmp_path: Path) -> None:
    before, _ = ground()
    files = []
    for name, picture in (("before", before), ("after", with_roof(before, 300, 200, 48, 80, (196, 92, 60)))):
        files.append(tmp_path / f"{name}.tif")
        with rasterio.open(
            files[-1], "w", driver="GTiff", width=640, height=640, count=3, dtype="uint8", crs="EPSG:32643",
            transform=rasterio.Affine(M_PX, 0, EAST_M, 0, M_PX, NORTH_M),
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(picture, -1, 0))
    with PicturePair(*files) as pair:
        (change,) = find_changes(pair).changes
    assert change.area_m2 == pytest.approx(48 * 80 * M_PX**2, rel=0.1)


def test_what_cannot_be_compared_is_refused(tmp_path: Path) -> None:
    before, _ = ground()
    good = write(tmp_path / "good.tif", before)
    deep = write(tmp_path / "deep.tif", before.astype(np.uint16))
    nowhere = tmp_path / "nowhere.tif"
    with rasterio.open(
        nowhere, "w", driver="GTiff", width=640, height=640, count=3, dtype="uint8", crs="EPSG:32643",
        transform=rasterio.Affine(M_PX, 0, EAST_M + 5000, 0, -M_PX, NORTH_M),
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(before, -1, 0))
    colours = tmp_path / "palette.tif"
    with rasterio.open(
        colours, "w", driver="GTiff", width=640, height=640, count=1, dtype="uint8", crs="EPSG:32643",
        transform=rasterio.Affine(M_PX, 0, EAST_M, 0, -M_PX, NORTH_M), photometric="palette",
    ) as raster:  # fmt: skip
        raster.write(before[..., 0], 1)
        raster.write_colormap(1, {value: (value, 255 - value, 0) for value in range(256)})
    disguised = tmp_path / "disguised.tif"
    disguised.write_text("<VRTDataset rasterXSize='1' rasterYSize='1'></VRTDataset>")
    cut = tmp_path / "cut.tif"
    cut.write_bytes(good.read_bytes()[: good.stat().st_size // 3])
    for bad, why in (
        (deep, "uint16"),
        (nowhere, "do not overlap"),
        (colours, "palette"),
        (disguised, "GeoTIFF"),
        (tmp_path / "no", "read"),
    ):
        with pytest.raises(RasterInvalid, match=why):
            PicturePair(good, bad)
    with pytest.raises(RasterInvalid), PicturePair(good, cut) as pair:
        find_changes(pair)
    with PicturePair(good, good) as pair, pytest.raises(TerrainMissing, match="heights"):
        HeightPair(good, good, pair)
