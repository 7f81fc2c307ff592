"""Frames become one map: the steepest view of each place, without holes, in memory that does not grow."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from numpy.typing import NDArray

from geo.cameras import BrownCamera
from geo.errors import RasterInvalid
from geo.mosaics import Mosaic, View
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from geo.terrain import FlatTerrain, Terrain
from tests.geo.test_orthos import PLANE, colours, frame, hills

LENS = BrownCamera(width_px=160, height_px=120, focal_px=130.0, k1=-0.05)


def at(x: float, y: float, *, amsl_m: float = 880.0, pitch_deg: float = -90.0, yaw_deg: float = 0.0) -> Pose:
    lon, lat = PLANE.to_lonlat(x, y)
    place = Position(lon=float(lon), lat=float(lat), altitude=Altitude(amsl_m, Datum.AMSL))
    return Pose(utc_s=1e9 + x, position=place, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=yaw_deg))


def flight(terrain: Terrain) -> list[View]:
    """Six frames, in two lines."""
    poses = [at(x, y) for y in (-25.0, 25.0) for x in (-40.0, 0.0, 40.0)]
    return [View(f"frame {n}", LENS, pose, partial(frame, LENS, pose, terrain)) for n, pose in enumerate(poses)]


def whole(mosaic: Mosaic) -> tuple[NDArray[np.uint8], NDArray[np.int32], NDArray[np.float32]]:
    size = mosaic.grid.height, mosaic.grid.width
    rgba, winner, gsd_m = np.zeros((*size, 4), np.uint8), np.full(size, -1, np.int32), np.zeros(size, np.float32)
    for part in mosaic.parts():
        rows, cols = slice(part.row, part.row + len(part.winner)), slice(part.col, part.col + part.winner.shape[1])
        rgba[rows, cols], winner[rows, cols], gsd_m[rows, cols] = part.rgba, part.winner, part.gsd_m
    return rgba, winner, gsd_m


@pytest.mark.parametrize("feather", [0.0, 0.05])
def test_every_place_has_its_colour(feather: float) -> None:
    terrain = hills()
    mosaic = Mosaic(flight(terrain), terrain, pixel_m=0.5, feather=feather)
    rgba, winner, _ = whole(mosaic)
    seen = rgba[..., 3] == 255
    assert (seen == (winner >= 0)).all()
    lon, lat = mosaic.grid.lonlat(*np.meshgrid(np.arange(seen.shape[1]) + 0.5, np.arange(seen.shape[0]) + 0.5))
    assert np.abs(rgba[..., :3][seen] - colours(lon, lat)[seen]).mean() < 2.0
    x, y = PLANE.to_plane(lon, lat)
    inside = (np.abs(x) < 75) & (np.abs(y) < 50)
    assert seen[inside].all(), "a hole"


def test_the_frame_that_looks_most_steeply_wins() -> None:
    terrain = FlatTerrain(800.0)
    views = flight(terrain)
    mosaic = Mosaic(views, terrain, pixel_m=0.5)
    _, winner, gsd_m = whole(mosaic)
    lon, lat = mosaic.grid.lonlat(*np.meshgrid(np.arange(winner.shape[1]) + 0.5, np.arange(winner.shape[0]) + 0.5))
    x, y = PLANE.to_plane(lon, lat)
    nadirs = [PLANE.to_plane(view.pose.position.lon, view.pose.position.lat) for view in views]
    away = np.stack([np.hypot(x - east, y - north) for east, north in nadirs])
    inside = (np.abs(x) < 60) & (np.abs(y) < 40)
    ordered = np.sort(away, axis=0)
    clear = inside & (ordered[1] - ordered[0] > 0.5)
    assert (winner[clear] == away.argmin(axis=0)[clear]).all()
    assert np.median(gsd_m[inside]) == pytest.approx(80.0 / 130.0, rel=0.1)


def test_a_tilted_frame_loses_to_a_straight_one() -> None:
    terrain = FlatTerrain(800.0)
    straight, tilted = at(0.0, 0.0), at(-60.0, 0.0, pitch_deg=-50.0, yaw_deg=90.0)
    views = [
        View(name, LENS, pose, partial(frame, LENS, pose, terrain)) for name, pose in (("t", tilted), ("s", straight))
    ]
    mosaic = Mosaic(views, terrain, pixel_m=1.0)
    _, winner, _ = whole(mosaic)
    cols, rows = mosaic.grid.places(*PLANE.to_lonlat(0.0, 0.0))
    assert winner[int(rows), int(cols)] == 1


def test_pictures_are_read_when_they_win_and_dropped_again() -> None:
    terrain = FlatTerrain(800.0)
    reads: list[str] = []

    def read(name: str, pose: Pose) -> NDArray[np.uint8]:
        reads.append(name)
        return np.full((120, 160, 3), 50, np.uint8)

    views = [View(f"{n}", LENS, at(0.0, 0.0), partial(read, f"{n}", at(0.0, 0.0))) for n in range(3)]
    rgba, _, _ = whole(Mosaic(views, terrain, pixel_m=0.1, cache_bytes=1))
    assert (rgba[rgba[..., 3] > 0][:, :3] == 50).all()
    assert set(reads) == {"0"}, "the other two never win"


def test_what_cannot_be_laid_is_named() -> None:
    terrain = FlatTerrain(800.0)
    good = flight(terrain)[0]
    sky = View("sky", LENS, at(0.0, 0.0, pitch_deg=60.0), good.read)
    mosaic = Mosaic([sky, good], terrain, pixel_m=1.0)
    assert list(mosaic.unused) == ["sky"]
    assert mosaic.views == (good,)
    with pytest.raises(RasterInvalid, match="none of 1 frames shows ground"):
        Mosaic([sky], terrain)
    other = View("other size", LENS, good.pose, lambda: np.zeros((10, 10, 3), np.uint8))
    with pytest.raises(RasterInvalid, match="other size: a picture of 10 x 10 px, but its camera takes 160 x 120"):
        list(Mosaic([other], terrain, pixel_m=1.0).parts())


def test_a_frame_that_sees_beyond_the_dem_is_laid_where_heights_are_known() -> None:
    terrain = hills()
    edge = at(490.0, 0.0)
    picture = np.full((120, 160, 3), 50, np.uint8)
    mosaic = Mosaic([View("edge", LENS, edge, lambda: picture)], terrain, pixel_m=0.5)
    rgba, _, _ = whole(mosaic)
    lon, lat = mosaic.grid.lonlat(*np.meshgrid(np.arange(rgba.shape[1]) + 0.5, np.arange(rgba.shape[0]) + 0.5))
    x, y = PLANE.to_plane(lon, lat)
    inside = (x > 465) & (x < 490) & (np.abs(y) < 20)
    assert (rgba[..., 3][inside] == 255).all()
    assert (rgba[..., 3][x > 505] == 0).all()


def test_what_a_wall_hides_is_taken_from_the_frame_that_sees_it() -> None:
    terrain = hills(cell_m=1.0, tower_m=30.0)
    wide = BrownCamera(width_px=240, height_px=160, focal_px=80.0)
    near, far = (
        View(name, wide, at(x, 0.0, amsl_m=860.0), partial(np.full, (160, 240, 3), colour, np.uint8))
        for name, x, colour in (("near, behind the block", -8.0, 10), ("far, on this side of it", 48.0, 200))
    )
    for occlusion, wanted in ((False, 10), (True, 200)):
        mosaic = Mosaic([near, far], terrain, pixel_m=0.5, occlusion=occlusion)
        rgba, *_ = whole(mosaic)
        cols, rows = mosaic.grid.places(*PLANE.to_lonlat(18.0, 0.0))
        assert rgba[int(rows), int(cols)].tolist() == [wanted] * 3 + [255]
