"""Pictures of the simulated world as a camera at a pose takes them, with the labels of what is in view."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from geo.cameras import BrownCamera
from geo.errors import DatumUnknown
from geo.poses import Pose
from geo.positions import Datum
from simulators import flames, rasterizer
from simulators.ground_texture import LEVELS_M_PX, TILE_PX, GroundTexture
from simulators.moving import MovingMeshes
from simulators.world import World
from simulators.world.meshes import Mesh
from simulators.world.standing import Chunk

DETAIL_M = 420.0
"""Things farther than this are drawn flat on the ground only."""
SLOTS = 40
PLUME_M = 75.0
"""How far from its fire smoke may be seen."""
Image = NDArray[np.uint8]


@dataclass(frozen=True)
class Label:
    """One thing in a picture."""

    name: str
    """One of `simulators.world.CLASSES`."""
    xyxy: tuple[float, float, float, float]
    """Box in the picture: left, top, right, bottom, px."""
    visible: float
    """Share of the thing that is in the picture and not hidden, 0 to 1."""
    instance: int
    """Number of the thing in its world."""
    truth: str
    """Id of the incident it belongs to, or ""."""


@dataclass(frozen=True)
class Rendered:
    """A picture and what is in it."""

    image: Image
    """(H, W, 3) RGB."""
    labels: list[Label]
    """Whatever of the labelled classes is at least partly in view."""


@dataclass(frozen=True)
class View:
    """A pose in the kernels' terms."""

    eye: NDArray[np.float64]
    """East, north, height AMSL, m."""
    turn: NDArray[np.float64]
    """Camera from world, 3 x 3."""
    lens: NDArray[np.float64]
    """f, cx, cy, k1, k2, p1, p2, k3, limit of r2."""

    def project(self, vertices: NDArray[np.float32]) -> NDArray[np.float32]:
        """Pixels and nearness (n, 3); nearness 0 behind the camera."""
        out = np.empty((len(vertices), 3), np.float32)
        rasterizer.project(np.ascontiguousarray(vertices, np.float32), self.eye, self.turn, self.lens, out)
        return out


@dataclass
class Canvas:
    """What is being drawn."""

    image: Image
    nearness: NDArray[np.float32]
    """1 / depth along the boresight, 1/m; 0 at the sky."""
    owner: NDArray[np.int32]
    """Instance at each pixel; 0 the ground."""


class Renderer:
    """Draws a world through one camera; one thread at a time, but many renderers may share a world and a texture."""

    def __init__(self, world: World, camera: BrownCamera, *, texture: GroundTexture | None = None) -> None:
        """`texture` may be shared between renderers of one world to save memory."""
        self.world, self.camera = world, camera
        self._texture = texture or GroundTexture(world)
        self._moving = MovingMeshes(world)
        self._slots = np.zeros((SLOTS, TILE_PX, TILE_PX, 3), np.uint8)
        self._slot_keys: list[tuple[int, int, int] | None] = [None] * SLOTS
        self._slot_used = np.zeros(SLOTS, np.int64)
        self._tables = np.full((len(LEVELS_M_PX), 96, 96), -1, np.int32)
        self._frame = 0
        self._lens = _lens(camera)
        self._rays = _coarse_rays(camera)
        self._haze = np.array([176, 186, 196], np.float32)
        self._curve = tone_curve(np.random.default_rng([world.seed, 8]))
        grain = np.random.default_rng(world.seed).normal(128, 1.0, (camera.height_px + 64, camera.width_px + 64, 3))
        self._grain = ((grain - 128) * 2.6 + 128).clip(0, 255).astype(np.uint8)

    def render(
        self,
        pose: Pose,
        *,
        velocity_enu_m_s: tuple[float, float, float] = (0.0, 0.0, 0.0),
        exposure_s: float = 1 / 800,
        rng: np.random.Generator | None = None,
    ) -> Rendered:
        """The picture at `pose`, whose time decides where things move.

        Exposure and white balance are the world's own, or drawn from `rng` if that is given; noise differs each time.

        Raises DatumUnknown if the height of the pose is neither AMSL nor AGL.
        """
        curve = self._curve if rng is None else tone_curve(rng)
        rng = rng or np.random.default_rng([self.world.seed, int(pose.utc_s * 1000) & 0x7FFFFFFF])
        down, across = rng.integers(0, 64, 2)
        shot = Shot(velocity_enu_m_s, exposure_s, curve, (int(down), int(across)))
        self._frame += 1
        view = self._view(pose)
        canvas, meets = self._ground(view)
        chunks = self._chunks(view, meets)
        for chunk in chunks:
            self._draw(chunk.mesh, view, canvas)
        bounds = _bounds(meets, view)
        moving = self._moving.meshes(pose.utc_s, *bounds)
        done = np.zeros(canvas.owner.shape, np.uint8)
        for _, mesh in moving:
            points = view.project(self._moving.shadow(mesh))
            rasterizer.darken(points, mesh.triangles, done, canvas.owner, canvas.image)
        for _, mesh in moving:
            self._draw(mesh, view, canvas)
        labels = self._labels(view, canvas, chunks, [(number, mesh.vertices) for number, mesh in moving])
        labels += self._burn(view, canvas, pose.utc_s, bounds)
        return Rendered(self._expose(canvas, view, shot), labels)

    def _view(self, pose: Pose) -> View:
        x, y = self.world.plane.to_plane(pose.position.lon, pose.position.lat)
        height = pose.position.altitude.value_m
        if pose.position.altitude.datum is Datum.AGL:
            height += float(self.world.ground_amsl_m(x, y))
        elif pose.position.altitude.datum is not Datum.AMSL:
            raise DatumUnknown(f"rendering needs a height AMSL or AGL, not {pose.position.altitude.datum}")
        turn = np.ascontiguousarray(pose.enu_from_camera().T)
        return View(np.array([float(x), float(y), height]), turn, self._lens)

    # ground

    def _ground(self, view: View) -> tuple[Canvas, NDArray[np.float32]]:
        height, width = self.camera.height_px, self.camera.width_px
        rays = np.ascontiguousarray(self._rays @ view.turn)
        meets = np.empty(rays.shape, np.float32)
        rasterizer.meet_ground(self.world.ground.grid, view.eye, rays, meets)
        level = self._levels(meets)
        self._load_tiles(meets, level)
        canvas = Canvas(
            np.empty((height, width, 3), np.uint8),
            np.empty((height, width), np.float32),
            np.zeros((height, width), np.int32),
        )
        share = np.ascontiguousarray(self._rays[..., 2], np.float32)
        rasterizer.draw_ground(
            meets, share, level, self._slots, self._tables, self._haze, canvas.image, canvas.nearness
        )
        canvas.nearness *= 0.9995
        return canvas, meets

    def _levels(self, meets: NDArray[np.float32]) -> NDArray[np.int8]:
        distance = meets[..., 2]
        corners = np.stack([distance[:-1, :-1], distance[:-1, 1:], distance[1:, :-1], distance[1:, 1:]])
        gsd = corners.max(axis=0) / self.camera.focal_px
        level = np.where(gsd < 0.2, 0, np.where(gsd < 0.8, 1, 2)).astype(np.int8)
        level[corners.min(axis=0) < 0] = -1
        return level

    def _load_tiles(self, meets: NDArray[np.float32], level: NDArray[np.int8]) -> None:
        self._tables[:] = -1
        marks = np.zeros(self._tables.shape, np.uint8)
        rasterizer.wanted_tiles(meets, level, marks)
        wanted = [(int(k), int(c), int(r)) for k, r, c in np.argwhere(marks)]
        for key in wanted[:SLOTS]:
            self._tables[key[0], key[2], key[1]] = self._slot(key)

    def _slot(self, key: tuple[int, int, int]) -> int:
        if key in self._slot_keys:
            slot = self._slot_keys.index(key)
        else:
            slot = int(np.argmin(self._slot_used))
            self._slot_keys[slot] = key
            self._slots[slot] = self._texture.tile(*key)
        self._slot_used[slot] = self._frame
        return slot

    # things

    def _chunks(self, view: View, meets: NDArray[np.float32]) -> list[Chunk]:
        return self._texture.standing.within(*_bounds(meets, view, margin_m=25.0))

    def _draw(self, mesh: Mesh, view: View, canvas: Canvas) -> None:
        points = view.project(mesh.vertices)
        rasterizer.draw_triangles(
            points, mesh.triangles, mesh.rgb, mesh.material, mesh.uv, mesh.instance, rasterizer.NOISE, self._haze,
            canvas.image, canvas.nearness, canvas.owner,
        )  # fmt: skip

    def _labels(
        self, view: View, canvas: Canvas, chunks: list[Chunk], moving: list[tuple[int, NDArray[np.float32]]]
    ) -> list[Label]:
        things: dict[int, list[NDArray[np.float32]]] = {}
        for chunk in chunks:
            for number, corners in chunk.corners.items():
                things.setdefault(number, []).append(corners)
        for number, corners in moving:
            things.setdefault(number, []).append(corners)
        labels = [self._label(n, np.concatenate(c), view, canvas, flat=False) for n, c in things.items()]
        for flood in self.world.events.floods:
            labels.append(self._label(flood.instance, self._flood_points(flood.ring), view, canvas, flat=True))
        return [label for label in labels if label is not None]

    def _flood_points(self, ring: NDArray[np.float64]) -> NDArray[np.float32]:
        half = len(ring) // 2
        left, right = ring[:half], ring[half:][::-1]
        rows = [left * (1 - s) + right * s for s in np.linspace(0, 1, 7)]
        points = np.concatenate(rows)
        return np.column_stack([points, self.world.ground_amsl_m(points[:, 0], points[:, 1])]).astype(np.float32)

    def _label(
        self, number: int, corners: NDArray[np.float32], view: View, canvas: Canvas, *, flat: bool
    ) -> Label | None:
        points = view.project(corners)
        box, inside = _box(points, self.camera)
        if box is None:
            return None
        at = np.round(points[inside, :2]).astype(int)
        owners = canvas.owner[at[:, 1], at[:, 0]]
        mine = (
            (owners == 0) if flat else (owners == number) | (canvas.nearness[at[:, 1], at[:, 0]] <= points[inside, 2])
        )
        name, truth = self.world.label_of(number)
        return Label(name, box, float(mine.sum() / len(points)), number, truth)

    def _burn(self, view: View, canvas: Canvas, utc_s: float, bounds: tuple[float, float, float, float]) -> list[Label]:
        labels: list[Label] = []
        for fire in self.world.events.fires:
            west, south, east, north = bounds
            if not (west - PLUME_M < fire.x < east + PLUME_M and south - PLUME_M < fire.y < north + PLUME_M):
                continue
            puffs = flames.puffs(fire, utc_s - self.world.epoch_utc_s, self.world.wind_to_rad)
            points = view.project(puffs.places)
            radius = puffs.radius_m * points[:, 2] * self.camera.focal_px
            rows = np.column_stack([points, radius, puffs.rgb, puffs.alpha, puffs.salt]).astype(np.float32)
            for number, chosen in ((fire.smoke_instance, ~puffs.flame), (fire.fire_instance, puffs.flame)):
                label = self._puff_label(number, rows[chosen], canvas)
                labels += [label] if label else []
            order = np.argsort(rows[:, 2] + np.where(puffs.flame, 0.0, 1e-6))
            rasterizer.draw_puffs(np.ascontiguousarray(rows[order]), rasterizer.NOISE, canvas.nearness, canvas.image)
        return labels

    def _puff_label(self, number: int, rows: NDArray[np.float32], canvas: Canvas) -> Label | None:
        rows = rows[(rows[:, 2] > 0) & (rows[:, 7] > 0.1)]
        if not len(rows):
            return None
        reach = rows[:, 3:4] * 0.62
        edges = np.concatenate([rows[:, :2] - reach, rows[:, :2] + reach])
        box, _ = _box(np.column_stack([edges, np.ones(len(edges))]), self.camera)
        if box is None:
            return None
        height, width = canvas.owner.shape
        inside = (rows[:, 0] >= 0) & (rows[:, 0] < width - 1) & (rows[:, 1] >= 0) & (rows[:, 1] < height - 1)
        at = rows[inside, :2].astype(int)
        seen = canvas.nearness[at[:, 1], at[:, 0]] <= rows[inside, 2]
        name, truth = self.world.label_of(number)
        return Label(name, box, float(seen.sum() / len(rows)), number, truth)

    # the camera itself

    def _expose(self, canvas: Canvas, view: View, shot: Shot) -> Image:
        image = np.asarray(cv2.GaussianBlur(canvas.image, (3, 3), 0.55), np.uint8)
        image = _smeared(image, view, shot, _depth(canvas), self.camera)
        image = np.asarray(cv2.LUT(image, shot.curve), np.uint8)
        top, left = shot.grain_at
        grain = self._grain[top : top + image.shape[0], left : left + image.shape[1]]
        return np.asarray(cv2.addWeighted(image, 1.0, grain, 1.0, -128.0), np.uint8)


@dataclass(frozen=True)
class Shot:
    """How one picture is exposed."""

    velocity_enu_m_s: tuple[float, float, float]
    exposure_s: float
    curve: Image
    """(1, 256, 3) from scene to picture values."""
    grain_at: tuple[int, int]
    """Where the noise is cut from its sheet, px."""


def tone_curve(rng: np.random.Generator) -> Image:
    """(1, 256, 3): exposure, white balance and contrast a little off, as cameras choose them."""
    exposure, warmth, gamma = rng.normal(1.16, 0.08), rng.normal(0, 0.025), rng.normal(1.0, 0.05)
    gains = np.array([1 + warmth, 1.0, 1 - warmth]) * exposure
    steps = np.clip(np.arange(256)[:, None] / 255 * gains, 0, 1) ** gamma
    return np.asarray(np.clip(255 * steps, 0, 255).astype(np.uint8).reshape(1, 256, 3))


def _depth(canvas: Canvas) -> float:
    middle = float(canvas.nearness[canvas.nearness.shape[0] // 2, canvas.nearness.shape[1] // 2])
    return 1.0 / middle if middle > 0 else 1000.0


def _lens(camera: BrownCamera) -> NDArray[np.float64]:
    corners = np.array(
        [(0, 0), (camera.width_px, 0), (0, camera.height_px), (camera.width_px, camera.height_px)], float
    )
    rays = camera.rays_from_pixels(corners)
    limit = 1.35 * float(np.max((rays[:, 0] / rays[:, 2]) ** 2 + (rays[:, 1] / rays[:, 2]) ** 2))
    return np.array(
        [camera.focal_px, *camera.center_px, camera.k1, camera.k2, camera.p1, camera.p2, camera.k3, limit], float
    )


def _coarse_rays(camera: BrownCamera) -> NDArray[np.float64]:
    cell = rasterizer.CELL_PX
    columns, rows = -(-camera.width_px // cell) + 1, -(-camera.height_px // cell) + 1
    x, y = np.meshgrid(np.arange(columns) * cell, np.arange(rows) * cell)
    return camera.rays_from_pixels(np.stack([x, y], axis=-1))


def _bounds(meets: NDArray[np.float32], view: View, margin_m: float = 10.0) -> tuple[float, float, float, float]:
    meets = meets[:, np.unique(np.append(np.arange(0, meets.shape[1], 5), meets.shape[1] - 1))]
    seen = meets[meets[..., 2] > 0]
    away = seen[:, :2] - view.eye[:2]
    far = np.maximum(np.hypot(away[:, 0], away[:, 1]), 1e-6)
    near = view.eye[:2] + away * np.minimum(1.0, DETAIL_M / far)[:, None]
    near = np.vstack([near, view.eye[:2]]) if len(near) == 0 or (meets[..., 2] < 0).any() else near
    return (
        float(near[:, 0].min() - margin_m), float(near[:, 1].min() - margin_m),
        float(near[:, 0].max() + margin_m), float(near[:, 1].max() + margin_m),
    )  # fmt: skip


def _box(
    points: NDArray[np.float32], camera: BrownCamera
) -> tuple[tuple[float, float, float, float] | None, NDArray[np.bool_]]:
    width, height = camera.width_px, camera.height_px
    ahead = points[:, 2] > 0
    x, y = points[:, 0], points[:, 1]
    inside = ahead & (x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5)
    if not ahead.any():
        return None, inside
    left, right = max(0.0, float(x[ahead].min())), min(width - 1.0, float(x[ahead].max()))
    top, bottom = max(0.0, float(y[ahead].min())), min(height - 1.0, float(y[ahead].max()))
    if right - left < 1 or bottom - top < 1:
        return None, inside
    return (left, top, right, bottom), inside


def _smeared(image: Image, view: View, shot: Shot, depth_m: float, camera: BrownCamera) -> Image:
    speed = view.turn @ np.asarray(shot.velocity_enu_m_s, float)
    shift = speed[:2] * shot.exposure_s * camera.focal_px / max(depth_m, 2.0)
    length = float(np.hypot(*shift))
    if length < 0.7:
        return image
    size = (int(np.ceil(length)) | 1) + 2
    kernel = np.zeros((size, size), np.float32)
    middle = (size - 1) / 2
    start = (round((middle - shift[0] / 2) * 16), round((middle - shift[1] / 2) * 16))
    end = (round((middle + shift[0] / 2) * 16), round((middle + shift[1] / 2) * 16))
    cv2.line(kernel, start, end, 1.0, 1, cv2.LINE_AA, 4)
    return np.asarray(cv2.filter2D(image, -1, kernel / kernel.sum()), np.uint8)
