"""What a frame sees of the ground, against rays that are cast through its pixels."""

from __future__ import annotations

import numpy as np
import pytest
import rasterio
import shapely

from geo.camera_library import camera
from geo.errors import AreaInvalid, TerrainMissing
from geo.footprint import ground_gsd_m
from geo.location import ground_points
from geo.poses import Attitude, Pose, PoseSigmas
from geo.positions import Altitude, Datum, LocalPlane, Position
from geo.seen import Conditions, Seen
from geo.terrain import FlatTerrain, GridTerrain, Terrain
from geo.visibility import MOST_CELLS, Cells, Exposures, Margin, Prism

LON, LAT, UTC_S = 76.945, 43.238, 1_781_503_200.0
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=800.0)
LENS = camera("sim-wide").brown_camera()
EXACT = Margin(PoseSigmas(horizontal_m=0.0, vertical_m=0.0, tilt_deg=0.0, yaw_deg=0.0, time_s=0.0), 0.0)
ANY = Conditions(off_nadir_most_deg=80.0, blur_most_px=100.0, sun_least_deg=-90.0, apart=0.09)


def lonlat(shape: shapely.Polygon) -> shapely.Polygon:
    """From the plane to lon and lat."""
    return shapely.transform(shape, lambda xy: np.stack(PLANE.to_lonlat(xy[:, 0], xy[:, 1]), axis=-1))


def pose_at(x: float, y: float, amsl_m: float, **attitude: float) -> Pose:
    """A pose on the plane, straight down unless said otherwise."""
    lon, lat = PLANE.to_lonlat(x, y)
    return Pose(
        utc_s=UTC_S,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(amsl_m, Datum.AMSL)),
        attitude=Attitude(**{"pitch_deg": -90.0, "yaw_deg": 0.0, **attitude}),
    )


def exposures_of(poses: list[Pose], *, velocity: tuple[float, float, float] = (0.0, 0.0, 0.0)) -> Exposures:
    """Frames at poses, one after the other."""
    return Exposures.posed(
        LENS,
        np.array([pose.utc_s for pose in poses]),
        np.array([[pose.position.lon, pose.position.lat, pose.position.altitude.value_m] for pose in poses]),
        np.array([[pose.attitude.roll_deg, pose.attitude.pitch_deg, pose.attitude.yaw_deg] for pose in poses]),
        np.tile(velocity, (len(poses), 1)).astype(float),
    )


def hills(height_m: float = 25.0) -> GridTerrain:
    """Steep rolling ground of 2 m cells around the place."""
    x, y = np.meshgrid(np.arange(-400, 400, 2.0) + 1, np.arange(400, -400, -2.0) - 1)
    heights = 800 + height_m * np.sin(x / 31.0) * np.cos(y / 23.0)
    lon, lat = PLANE.to_lonlat([-400, 400], [400, -400])
    transform = rasterio.transform.from_bounds(lon[0], lat[1], lon[1], lat[0], 400, 400)
    return GridTerrain(heights, transform, name="hills")


def seen_by(pose: Pose, terrain: Terrain, prisms: tuple[Prism, ...] = (), margin: Margin = EXACT) -> Seen:
    """One frame over 160 x 160 m."""
    seen = Seen.nothing(Cells.over(lonlat(shapely.box(-80, -80, 80, 80)), terrain, prisms, side_m=2.0), [(0.0, 1.0)])
    seen.add(exposures_of([pose]), margin=margin, conditions=ANY)
    return seen


@pytest.mark.parametrize("seed", range(4))
def test_cells_seen_are_those_whose_rays_meet_the_ground_there(seed: int) -> None:
    """On hills, a cell is seen just when the ray of its own pixel reaches the ground there first."""
    rng, terrain = np.random.default_rng(seed), hills()
    x, y = rng.uniform(-40, 40, 2)
    height_m, pitch_deg, yaw_deg, roll_deg = rng.uniform((30, -90, 0, -5), (120, -40, 360, 5))
    pose = pose_at(x, y, 825.0 + height_m, pitch_deg=pitch_deg, yaw_deg=yaw_deg, roll_deg=roll_deg)
    seen = seen_by(pose, terrain)
    cells = seen.cells
    rows, columns = np.nonzero(cells.wanted)
    east, north = cells.west_m + (columns + 0.5) * 2, cells.south_m + (rows + 0.5) * 2
    eye_east, eye_north = cells.plane.to_plane(pose.position.lon, pose.position.lat)
    away = np.stack(
        [east - eye_east, north - eye_north, cells.ground_amsl_m[rows, columns] - pose.position.altitude.value_m], -1
    )
    pixels = LENS.pixels_from_rays(away @ pose.enu_from_camera())
    inside = np.all((pixels > 60) & (pixels < [LENS.width_px - 60, LENS.height_px - 60]), axis=1)
    outside = ~np.all((pixels > -0.5) & (pixels < [LENS.width_px - 0.5, LENS.height_px - 0.5]), axis=1)
    got = seen.frames[rows, columns] > 0
    assert not got[outside].any()
    hit = ground_points(LENS, pose, pixels[inside], terrain)
    off_m = np.hypot(hit.east_m - away[inside, 0], hit.north_m - away[inside, 1])
    there = off_m < 4.0
    assert (got[inside] & ~there).mean() < 0.002, "what is claimed is seen"
    assert (there & ~got[inside]).mean() < 0.1, "on slopes of 40 deg, a view along the slope counts as hidden"
    assert ((seen.hidden[rows, columns] > 0) == ~got)[inside].all()


def test_gsd_is_that_of_the_pixels_on_the_ground() -> None:
    """Over flat ground, straight down and obliquely, within a percent of the distance between neighbouring pixels."""
    terrain = FlatTerrain(800.0)
    for pitch_deg in (-90.0, -60.0):
        pose = pose_at(0, -20, 870.0, pitch_deg=pitch_deg)
        seen = seen_by(pose, terrain)
        rows, columns = np.nonzero(seen.frames)
        lon, lat = seen.cells.plane.to_lonlat(
            seen.cells.west_m + (columns + 0.5) * 2, seen.cells.south_m + (rows + 0.5) * 2
        )
        east, north = LocalPlane(lon=pose.position.lon, lat=pose.position.lat, height_m=870).to_plane(lon, lat)
        pixels = LENS.pixels_from_rays(np.stack([east, north, np.full_like(east, -70.0)], -1) @ pose.enu_from_camera())
        true_m = ground_gsd_m(LENS, pose, pixels, terrain)
        ratio = seen.best_gsd_m[rows, columns] / true_m
        assert ratio.min() > 0.99
        assert ratio.max() < 1.06, "in a corner the finest and the coarsest direction are taken together"


def test_a_building_hides_what_lies_behind_it() -> None:
    """A wall 20 m high, seen from 60 m up and 40 m to the west, shadows 20 m of ground to its east."""
    wall = Prism(lonlat(shapely.box(0, -10, 4, 10)), 20.0)
    seen = seen_by(pose_at(-36, 0, 860.0, pitch_deg=-60.0, yaw_deg=90.0), FlatTerrain(800.0), (wall,))
    cells = seen.cells

    def frames_at(x: float, y: float) -> int:
        lon, lat = PLANE.to_lonlat(x, y)
        row, column = cells.number_at(float(lon), float(lat)) or (0, 0)
        return int(seen.frames[row, column])

    assert [frames_at(x, 0.0) for x in (-7.0, 7.0, 17.0, 29.0)] == [1, 0, 0, 1]
    assert frames_at(17.0, 22.0) == 1, "beside the wall one looks past it"
    assert cells.built_m2 == pytest.approx(80.0, rel=0.25)
    assert frames_at(2.0, 0.0) == 0, "ground under a building is not claimed"


def test_cells_near_the_edge_count_only_by_a_margin() -> None:
    """With poses that err by 2 m, 0.5 and 2 deg, what is seen shrinks, and holds for poses that are off by as much."""
    terrain, stated = FlatTerrain(800.0), pose_at(0, 0, 870.0, yaw_deg=30.0)
    sure = seen_by(stated, terrain, margin=Margin(PoseSigmas(), 1.0))
    whole = seen_by(stated, terrain)
    assert 0.5 < (sure.frames > 0).sum() / (whole.frames > 0).sum() < 0.9
    for dx, dy, tilt, yaw in ((2.0, 2.0, 1.0, 4.0), (-2.0, 2.0, -1.0, -4.0), (2.0, -2.0, 1.0, -4.0)):
        true = seen_by(pose_at(dx, dy, 870.0, yaw_deg=30.0 + yaw, pitch_deg=-90.0 + tilt), terrain)
        assert not ((sure.frames > 0) & (true.frames == 0)).any()


def test_cells_are_bounded_and_terrain_is_never_guessed() -> None:
    """100 km2 have no more cells than MOST_CELLS; where no height is known, that place is named."""
    wide = Cells.over(lonlat(shapely.box(-5000, -5000, 5000, 5000)), FlatTerrain(800.0))
    assert wide.wanted.size <= 1.01 * MOST_CELLS
    assert wide.wanted_m2 == pytest.approx(1e8, rel=0.01)
    with pytest.raises(TerrainMissing, match="no height at lon"):
        Cells.over(lonlat(shapely.box(300, 300, 500, 500)), hills())
    with pytest.raises(AreaInvalid, match="hold no cell"):
        Cells.over(lonlat(shapely.box(0.1, 0.1, 0.3, 0.3)), FlatTerrain(800.0), side_m=2.0)


def test_outlines_are_the_chosen_cells() -> None:
    """Polygons of chosen cells hold their area; two islands are two."""
    cells = Cells.over(lonlat(shapely.box(-50, -50, 50, 50)), FlatTerrain(800.0), side_m=2.0)
    chosen = np.zeros_like(cells.wanted)
    chosen[25:30, 25:35] = True
    chosen[50:52, 50:52] = True
    first, second = cells.outlines(chosen)
    areas = [
        shapely.transform(one, lambda xy: np.stack(cells.plane.to_plane(xy[:, 0], xy[:, 1]), axis=-1)).area
        for one in (first, second)
    ]
    assert areas == pytest.approx([200.0, 16.0], rel=1e-6)
