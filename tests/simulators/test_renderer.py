"""Pictures agree with geo: what stands at a place is drawn and labelled where geo projects that place."""

import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from numpy.typing import NDArray

from geo.cameras import BrownCamera
from geo.errors import DatumUnknown
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, LocalPlane, Position
from simulators.ground_texture import GroundTexture
from simulators.renderer import Label, Renderer
from simulators.world import CLASSES, World
from simulators.world.scene import Truth
from simulators.world.standing import Standing

CAMERA = BrownCamera(width_px=1280, height_px=720, focal_px=1004.6, k1=-0.04, k2=0.01, p1=0.0008, p2=-0.0005)


@pytest.fixture(scope="module")
def world() -> World:
    return World.build(11)


@pytest.fixture(scope="module")
def renderer(world: World) -> Renderer:
    return Renderer(world, CAMERA)


def pose_at(
    world: World,
    x: float,
    y: float,
    height_m: float,
    *,
    pitch_deg: float = -90.0,
    yaw_deg: float = 25.0,
    since_s: float = 30.0,
) -> Pose:
    """A pose that looks at ground point x, y from `height_m` above it."""
    back = height_m / np.tan(np.radians(-pitch_deg)) if pitch_deg > -89 else 0.0
    lon, lat = world.plane.to_lonlat(x - back * np.sin(np.radians(yaw_deg)), y - back * np.cos(np.radians(yaw_deg)))
    amsl = float(world.ground_amsl_m(x, y)) + height_m
    return Pose(
        utc_s=world.epoch_utc_s + since_s,
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(amsl, Datum.AMSL)),
        attitude=Attitude(roll_deg=1.5, pitch_deg=pitch_deg, yaw_deg=yaw_deg),
    )


def projected(pose: Pose, points: NDArray[np.float64], world: World) -> NDArray[np.float64]:
    """Pixels of world points (n, 3) by geo alone: a plane at the camera, its rotation, its lens."""
    lon, lat = world.plane.to_lonlat(points[:, 0], points[:, 1])
    here = LocalPlane(lon=pose.position.lon, lat=pose.position.lat, height_m=world.plane.height_m)
    east, north = here.to_plane(lon, lat)
    rays = np.stack([east, north, points[:, 2] - pose.position.altitude.value_m], axis=1) @ pose.enu_from_camera()
    return CAMERA.pixels_from_rays(rays)


def label_of(labels: list[Label], truth: Truth) -> Label:
    return next(label for label in labels if label.truth == truth.id)


VIEWS = [(-90.0, 70.0), (-62.0, 80.0), (-45.0, 60.0)]


@pytest.mark.parametrize(("pitch_deg", "height_m"), VIEWS)
def test_dumps_are_labelled_where_geo_projects_them(
    world: World, renderer: Renderer, pitch_deg: float, height_m: float
) -> None:
    dumps = [t for t in world.scene.truths if t.kind == "dump"][:6]
    for dump in dumps:
        pose = pose_at(world, *dump.center, height_m, pitch_deg=pitch_deg)
        label = label_of(renderer.render(pose).labels, dump)
        center = np.array([[*dump.center, float(world.ground_amsl_m(*dump.center))]])
        (column, row), (left, top, right, bottom) = projected(pose, center, world)[0], label.xyxy
        assert label.name == "dump"
        assert left - 1 <= column <= right + 1
        assert top - 1 <= row <= bottom + 1
        ring = np.column_stack([dump.ring, world.ground_amsl_m(*dump.ring.T)])
        outline = projected(pose, ring, world)
        assert left > outline[:, 0].min() - 25
        assert right < outline[:, 0].max() + 25


@pytest.mark.parametrize(("pitch_deg", "height_m"), VIEWS)
def test_roof_corners_are_drawn_where_geo_projects_them(
    world: World, renderer: Renderer, pitch_deg: float, height_m: float
) -> None:
    """The owner of a pixel changes from building to not-building within 1.5 px of the projected roof edge."""
    building = next(b for b in world.scene.buildings if b.use == "apartments" and np.abs(b.ring).max() < 700)
    middle = building.ring.mean(axis=0)
    pose = pose_at(world, *middle, height_m + building.height_m, pitch_deg=pitch_deg)
    canvas, _ = renderer._ground(renderer._view(pose))
    mesh = Standing(world)._building(building)
    renderer._draw(mesh, renderer._view(pose), canvas)
    top = building.base_amsl_m + building.height_m
    inside = projected(pose, roof_points(building.ring, 0.97, top), world)
    pixels = np.round(inside).astype(int)
    seen = (pixels >= 0).all(axis=1) & (pixels[:, 0] < 1280) & (pixels[:, 1] < 720)
    assert seen.sum() > 5
    assert (canvas.owner[pixels[seen, 1], pixels[seen, 0]] == 1).all()
    drawn = np.argwhere(canvas.owner == 1)[:, ::-1]
    foot = np.column_stack([building.ring, world.ground_amsl_m(*building.ring.T)])
    standing = np.array([v for v in mesh.vertices if v[2] >= world.ground_amsl_m(v[0], v[1])], float)
    corners = projected(pose, np.vstack([standing, foot]), world)
    assert drawn.min(axis=0) == pytest.approx(np.maximum(corners.min(axis=0), 0), abs=1.5)
    assert drawn.max(axis=0) == pytest.approx(np.minimum(corners.max(axis=0), (1279, 719)), abs=1.5)


def roof_points(ring: NDArray[np.float64], share: float, height: float) -> NDArray[np.float64]:
    middle = ring.mean(axis=0)
    edge = np.concatenate([ring * (1 - s) + np.roll(ring, -1, axis=0) * s for s in np.linspace(0, 1, 12)])
    return np.column_stack([middle + (edge - middle) * share, np.full(len(edge), height)])


@pytest.mark.parametrize(("pitch_deg", "height_m"), VIEWS)
def test_ground_is_met_where_geo_projects_it(
    world: World, renderer: Renderer, pitch_deg: float, height_m: float
) -> None:
    pose = pose_at(world, 40.0, -60.0, height_m, pitch_deg=pitch_deg)
    _, meets = renderer._ground(renderer._view(pose))
    rows, columns = np.mgrid[4:80:12, 4:150:18]
    points = meets[rows, columns].reshape(-1, 3).astype(float)
    ground = points[points[:, 2] > 0].copy()
    ground[:, 2] = world.ground_amsl_m(ground[:, 0], ground[:, 1])
    pixels = projected(pose, ground, world)
    expected = np.stack([columns, rows], axis=-1).reshape(-1, 2)[points[:, 2] > 0] * 8
    assert np.abs(pixels - expected).max() < 0.3


def test_a_painted_edge_is_seen_where_geo_projects_it(world: World, renderer: Renderer) -> None:
    """Bright square on dark asphalt: the picture is bright on the projected inside, dark outside."""
    flood = next(t for t in world.scene.truths if t.kind == "flooding")
    pose = pose_at(world, *flood.center, 75.0)
    picture = renderer.render(pose)
    label = label_of(picture.labels, flood)
    ring = np.column_stack([flood.ring, world.ground_amsl_m(*flood.ring.T)])
    pixels = projected(pose, ring, world)
    box = np.array(label.xyxy)
    assert box[:2] == pytest.approx(np.clip(pixels.min(axis=0), 0, (1279, 719)), abs=2)
    assert box[2:] == pytest.approx(np.clip(pixels.max(axis=0), 0, (1279, 719)), abs=2)


@pytest.mark.parametrize("kind", ["fire", "smoke", "unauthorized_construction"])
def test_other_incidents_are_labelled_in_view(world: World, renderer: Renderer, kind: str) -> None:
    truth = next(t for t in world.scene.truths if t.kind == kind)
    pose = pose_at(world, *truth.center, 80.0)
    label = label_of(renderer.render(pose).labels, truth)
    center = np.array([[*truth.center, float(world.ground_amsl_m(*truth.center))]])
    column, row = projected(pose, center, world)[0]
    margin = 45 if kind in ("fire", "smoke") else 1
    assert label.xyxy[0] - margin <= column <= label.xyxy[2] + margin
    assert label.xyxy[1] - margin <= row <= label.xyxy[3] + margin
    assert label.visible > 0.3


def test_flames_are_orange_from_above(world: World, renderer: Renderer) -> None:
    fire = next(t for t in world.scene.truths if t.kind == "fire")
    picture = renderer.render(pose_at(world, *fire.center, 60.0))
    left, top, right, bottom = (round(v) for v in label_of(picture.labels, fire).xyxy)
    patch = picture.image[top:bottom, left:right].astype(int)
    assert ((patch[..., 0] > 180) & (patch[..., 0] - patch[..., 2] > 80)).mean() > 0.15


def test_a_crowd_is_labelled_person_by_person(world: World, renderer: Renderer) -> None:
    crowd = world.crowds[0]
    picture = renderer.render(pose_at(world, crowd.gathering.x, crowd.gathering.y, 60.0))
    people = [label for label in picture.labels if label.truth == crowd.gathering.truth and label.name == "person"]
    assert len(people) == crowd.count
    assert all(4 < min(p.xyxy[2] - p.xyxy[0], p.xyxy[3] - p.xyxy[1]) < 40 for p in people)
    assert np.mean([p.visible for p in people]) > 0.8


def test_a_car_under_a_roof_is_not_called_visible(world: World, renderer: Renderer) -> None:
    parked = next(p for p in world.scene.parked if np.hypot(p.x, p.y) < 500)
    pose = pose_at(world, parked.x, parked.y, 60.0)
    clear = next(label for label in renderer.render(pose).labels if label.instance == parked.instance)
    view = renderer._view(pose)
    canvas, _ = renderer._ground(view)
    canvas.nearness[:] = 1 / 20.0
    canvas.owner[:] = 1
    hidden = renderer._label(parked.instance, Standing(world)._car(parked).vertices, view, canvas, flat=False)
    assert clear.visible > 0.5
    assert hidden is not None
    assert hidden.visible == 0.0


def test_the_same_pose_gives_the_same_picture(world: World, renderer: Renderer) -> None:
    pose = pose_at(world, 100.0, 50.0, 70.0)
    again = Renderer(World.build(11), CAMERA).render(pose)
    assert np.array_equal(renderer.render(pose).image, again.image)


def test_renderers_in_threads_share_a_world(world: World, renderer: Renderer) -> None:
    poses = [pose_at(world, x, y, 70.0) for x in (-200.0, 200.0) for y in (-150.0, 150.0)]
    expected = [renderer.render(pose).image for pose in poses]
    texture = GroundTexture(world)

    def film(start: int) -> list[NDArray[np.uint8]]:
        own = Renderer(world, CAMERA, texture=texture)
        return [own.render(poses[(start + k) % 4]).image for k in range(4)]

    with ThreadPoolExecutor(2) as pool:
        for start, images in enumerate(pool.map(film, range(2))):
            assert all(np.array_equal(image, expected[(start + k) % 4]) for k, image in enumerate(images))


def test_a_camera_on_the_ground_draws_the_ground(world: World, renderer: Renderer) -> None:
    site = world.launch_sites(1)[0]
    picture = renderer.render(pose_at(world, site.x, site.y, 0.3))
    assert picture.image.std() > 1
    assert not [label for label in picture.labels if label.name == "dump"]


@pytest.mark.parametrize("pitch_deg", [-90.0, -30.0, -5.0, 20.0])
def test_any_pitch_draws_a_picture(world: World, renderer: Renderer, pitch_deg: float) -> None:
    pose = pose_at(world, 0.0, 0.0, 60.0)
    tilted = Pose(utc_s=pose.utc_s, position=pose.position, attitude=Attitude(pitch_deg=pitch_deg, yaw_deg=200.0))
    picture = renderer.render(tilted)
    assert picture.image.shape == (720, 1280, 3)
    assert picture.image.dtype == np.uint8
    assert all(label.name in CLASSES for label in picture.labels)
    sky = picture.image[:100].astype(int)
    if pitch_deg == 20.0:
        assert sky.std(axis=(0, 1)).max() < 8, "only haze above the horizon"
    else:
        assert picture.image[400:].std() > 12


def test_speed_blurs_along_the_motion(world: World, renderer: Renderer) -> None:
    pose = pose_at(world, 0.0, 0.0, 60.0, yaw_deg=0.0)
    sharp = renderer.render(pose).image.astype(float)
    blurred = renderer.render(pose, velocity_enu_m_s=(25.0, 0.0, 0.0), exposure_s=1 / 60).image.astype(float)
    across, along = (np.abs(np.diff(i, axis=1)).mean() for i in (sharp, blurred))
    assert along < 0.8 * across


def test_a_height_above_an_unknown_home_is_refused(world: World, renderer: Renderer) -> None:
    pose = pose_at(world, 0.0, 0.0, 60.0)
    odd = Position(lon=pose.position.lon, lat=pose.position.lat, altitude=Altitude(60.0, Datum.HOME))
    with pytest.raises(DatumUnknown, match="HOME"):
        renderer.render(Pose(utc_s=pose.utc_s, position=odd, attitude=pose.attitude))


@pytest.mark.slow
def test_a_frame_costs_little_processor_time(world: World, renderer: Renderer) -> None:
    poses = [pose_at(world, *t.center, 70.0) for t in world.scene.truths[:8]]
    for pose in poses:
        renderer.render(pose)
    started = time.process_time()
    for pose in poses:
        renderer.render(pose)
    assert (time.process_time() - started) / len(poses) < 0.15, "60 ms on an idle core, with room for busy machines"
