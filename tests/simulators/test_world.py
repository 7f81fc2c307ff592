"""The simulated city: everything from its seed, heights that agree, incidents spread over the districts."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import rasterio
from shapely.geometry import Point, box, shape

from geo.terrain import GridTerrain
from simulators.world import World
from simulators.world.layout import RIVER_WIDTH_M
from simulators.world.registers import write_public_files


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(4242)


def test_the_same_seed_builds_the_same_city(world: World) -> None:
    assert World.build(4242).fingerprint() == world.fingerprint()


def test_another_seed_builds_another_city(world: World) -> None:
    assert World.build(4243).fingerprint() != world.fingerprint()


def test_ground_follows_the_srtm_of_southern_almaty(world: World) -> None:
    x, y = np.meshgrid(np.linspace(-1000, 1000, 41), np.linspace(-1000, 1000, 41))
    heights = world.ground_amsl_m(x, y)
    assert 900 < heights.min() < heights.max() < 1250
    assert heights[0].mean() - heights[-1].mean() > 40, "the ground rises to the south"


def test_the_river_lies_in_a_bed(world: World) -> None:
    river = world.layout.river
    inside = river[np.abs(river).max(axis=1) < 900][::5]
    beside = inside + np.array([2.2 * RIVER_WIDTH_M, 0.0])
    drop = world.ground_amsl_m(*beside.T) - world.ground_amsl_m(*inside.T)
    assert np.median(drop) > 1.0


def test_truth_has_every_kind_and_many_dumps(world: World) -> None:
    kinds = Counter(f["properties"]["kind"] for f in world.truth_geojson()["features"])
    assert kinds["dump"] >= 10
    assert set(kinds) == {"dump", "flooding", "unauthorized_construction", "public_disorder", "fire", "smoke"}
    assert kinds["unauthorized_construction"] >= 1


@pytest.mark.parametrize("seed", [4242, 6, 1000])
def test_middle_districts_hold_incidents(seed: int) -> None:
    world = World.build(seed)
    centers = np.array([t.center for t in world.scene.truths if t.kind != "smoke"])
    dumps = np.array([t.center for t in world.scene.truths if t.kind == "dump"])
    for x in (-600, -300, 0, 300, 600):
        for y in (-500, -250, 0, 250, 500):
            near = (np.abs(centers[:, 0] - x) < 300) & (np.abs(centers[:, 1] - y) < 250)
            assert near.sum() >= 2, f"district about {x}, {y}"
    middle = (np.abs(dumps[:, 0]) < 300) & (np.abs(dumps[:, 1]) < 250)
    assert middle.sum() >= 2
    kinds = {t.kind for t in world.scene.truths if abs(t.center[0]) < 300 and abs(t.center[1]) < 250}
    assert kinds == {"dump", "flooding", "unauthorized_construction", "public_disorder", "fire", "smoke"}


def test_dumps_are_dump_sized_and_apart(world: World) -> None:
    dumps = [t for t in world.scene.truths if t.kind == "dump"]
    for dump in dumps:
        longest = max(np.linalg.norm(dump.ring - np.roll(dump.ring, -1, axis=0), axis=1))
        assert 1.9 <= longest <= 8.01
        assert 0.5 <= dump.height_m <= 1.2
    centers = np.array([d.center for d in dumps])
    gaps = np.hypot(*(centers[:, None] - centers[None]).transpose(2, 0, 1)) + np.eye(len(dumps)) * 1e9
    assert gaps.min() > 50


def test_people_walk_at_walking_pace_and_cars_drive(world: World) -> None:
    start = world.epoch_utc_s
    for movers, slow, fast in ((world.people, 0.0, 2.5), (world.moving_cars, 4.0, 20.0)):
        before, after = movers(start + 10), movers(start + 10.5)
        pace = np.hypot(after.x - before.x, after.y - before.y) / 0.5
        assert slow <= np.median(pace) <= fast
    assert len(world.people(start).x) > 300


def test_a_gathering_turns_into_a_brawl(world: World) -> None:
    crowd = next(c for c in world.crowds if c.gathering.brawl)
    truth = next(t for t in world.scene.truths if t.id == crowd.gathering.truth)

    def pace(at: float) -> float:
        before, after = crowd.at(at), crowd.at(at + 0.2)
        return float(np.median(np.hypot(after.x - before.x, after.y - before.y)) / 0.2)

    assert pace(truth.from_utc_s - 30) < 0.4
    assert pace(truth.from_utc_s + 30) > 1.0
    later = crowd.at(truth.from_utc_s + 60)
    assert 25 <= crowd.count <= 60
    assert np.mean([truth.polygon.buffer(1.5).contains(Point(p)) for p in zip(later.x, later.y, strict=True)]) > 0.9


def test_launch_sites_are_flat_and_clear(world: World) -> None:
    sites = world.launch_sites(5)
    assert len(sites) == 5
    for site in sites:
        assert world.ground.slope(site.x, site.y) < 0.12
        assert all(Point(site.x, site.y).distance(shape_of(b.ring)) > 8 for b in world.scene.buildings)
        assert float(world.ground_amsl_m(site.x, site.y)) == pytest.approx(site.amsl_m)


def shape_of(ring: np.ndarray) -> object:
    return shape({"type": "Polygon", "coordinates": [[*ring.tolist(), ring[0].tolist()]]})


@pytest.fixture(scope="module")
def public(world: World, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return write_public_files(world, tmp_path_factory.mktemp("public"))


@pytest.mark.slow
def test_public_dem_is_the_ground_with_survey_noise(world: World, public: dict[str, Path]) -> None:
    x, y = np.random.default_rng(1).uniform(-1150, 1150, (2, 4000))
    lon, lat = world.plane.to_lonlat(x, y)
    error = GridTerrain.from_file(public["dem"]).amsl_m(lon, lat) - world.ground_amsl_m(x, y)
    assert abs(error.mean()) < 0.1
    assert 0.2 < error.std() < 0.45
    lon, lat = world.plane.to_lonlat(x + 1.0, y)
    beside = GridTerrain.from_file(public["dem"]).amsl_m(lon, lat) - world.ground_amsl_m(x + 1.0, y)
    assert np.corrcoef(error, beside)[0, 1] > 0.9, "the noise is correlated"


@pytest.mark.slow
def test_registers_do_not_know_what_is_unauthorized(world: World, public: dict[str, Path]) -> None:
    registered = [shape(f["geometry"]) for f in json.loads(public["buildings"].read_text())["features"]]
    permits = json.loads(public["permits"].read_text())["features"]
    valid = [shape(f["geometry"]) for f in permits if f["properties"]["valid_until"] > "2026-06-15"]
    truths = [f for f in world.truth_geojson()["features"] if f["properties"]["kind"] == "unauthorized_construction"]
    for truth in truths:
        site = shape(truth["geometry"])
        assert not any(site.intersects(b) for b in registered)
        assert not any(p.contains(site.centroid) for p in valid)
    sites = [p for p in permits if p["properties"]["kind"] == "construction"]
    assert len([s for s in sites if s["properties"]["valid_until"] > "2026-06-15"]) >= 2
    assert all(s["properties"]["parcel"] for s in sites)


@pytest.mark.slow
def test_orthophoto_covers_the_city_and_shows_no_incident(world: World, public: dict[str, Path]) -> None:
    with rasterio.open(public["orthophoto"]) as raster:
        assert raster.profile["tiled"]
        assert raster.compression.value == "JPEG"
        assert raster.overviews(1) == [2, 4, 8, 16]
        lon, lat = world.plane.to_lonlat([-1000, 1000], [-1000, 1000])
        assert box(*raster.bounds).contains(box(lon[0], lat[0], lon[1], lat[1]))
        fire = next(t for t in world.scene.truths if t.id == "fire-03")
        here = world.plane.to_lonlat(*fire.center)
        burnt = np.array(list(raster.sample([here])))[0].astype(int)
    assert burnt.max() > 60, "no scorched ground on the older picture"


@pytest.mark.slow
def test_orthophoto_lies_where_the_city_does(world: World, public: dict[str, Path]) -> None:
    roofs = [b for b in world.scene.buildings if b.use == "apartments"][:30]
    with rasterio.open(public["orthophoto"]) as raster:
        for building in roofs:
            middle = building.ring.mean(axis=0)
            inner = middle + (building.ring - middle) * 0.7
            lonlat = np.stack(world.plane.to_lonlat(*inner.T), axis=1)
            colors = np.array(list(raster.sample(lonlat))).astype(float)
            assert np.abs(colors - 0.9 * np.array(building.roof_rgb)).max() < 40
