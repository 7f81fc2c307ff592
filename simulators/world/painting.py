"""Squares of the ground as seen from above, drawn from what lies and stands on it."""

from __future__ import annotations

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from simulators.world.city import World
from simulators.world.scene import Building, Ring, rectangle
from simulators.world.standing import Standing
from simulators.world.terrain import CELL_M

GRAIN_M = 0.0625
"""Ground size of a texel of the finest noise, m."""

Image = NDArray[np.uint8]

MATERIALS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], float, float, float]] = {
    # name: (colour, other colour, share of the other 0..1, fine variation, speckle 0..1)
    "hill": ((134, 128, 84), (104, 112, 62), 0.5, 0.12, 0.0),
    "grass0": ((88, 108, 54), (120, 122, 72), 0.3, 0.13, 0.0),
    "grass1": ((76, 98, 48), (104, 110, 62), 0.3, 0.13, 0.0),
    "grass2": ((98, 116, 58), (136, 130, 84), 0.35, 0.14, 0.0),
    "grass3": ((82, 104, 60), (112, 104, 72), 0.25, 0.13, 0.0),
    "drygrass0": ((146, 136, 92), (112, 114, 66), 0.45, 0.13, 0.0),
    "drygrass1": ((156, 142, 104), (130, 120, 84), 0.5, 0.13, 0.0),
    "drygrass2": ((132, 126, 82), (150, 132, 98), 0.45, 0.13, 0.0),
    "drygrass3": ((140, 134, 98), (100, 106, 62), 0.4, 0.14, 0.0),
    "dirt0": ((150, 128, 98), (128, 112, 88), 0.5, 0.10, 0.01),
    "dirt1": ((166, 146, 116), (140, 124, 98), 0.5, 0.10, 0.01),
    "dirt2": ((132, 112, 86), (154, 138, 110), 0.4, 0.11, 0.02),
    "soil0": ((104, 84, 64), (124, 104, 78), 0.4, 0.12, 0.0),
    "soil1": ((122, 102, 78), (96, 100, 58), 0.35, 0.13, 0.0),
    "soil2": ((92, 76, 60), (112, 94, 72), 0.4, 0.12, 0.0),
    "gravel": ((150, 146, 138), (134, 126, 114), 0.4, 0.16, 0.02),
    "asphalt0": ((98, 98, 100), (112, 110, 108), 0.4, 0.06, 0.0),
    "asphalt1": ((84, 84, 88), (100, 98, 96), 0.4, 0.06, 0.0),
    "asphalt2": ((118, 116, 112), (132, 126, 116), 0.4, 0.07, 0.01),
    "verge": ((126, 122, 84), (102, 108, 62), 0.5, 0.14, 0.01),
    "pavement": ((160, 156, 150), (146, 140, 132), 0.4, 0.05, 0.0),
    "concrete": ((172, 168, 160), (154, 150, 142), 0.45, 0.05, 0.0),
    "paint": ((222, 222, 218), (168, 168, 164), 0.35, 0.05, 0.0),
    "sportgreen": ((64, 128, 76), (78, 136, 84), 0.4, 0.04, 0.0),
    "sportred": ((158, 84, 66), (146, 86, 72), 0.4, 0.04, 0.0),
    "sand": ((212, 190, 142), (196, 176, 132), 0.4, 0.06, 0.0),
    "pond": ((58, 78, 70), (72, 88, 74), 0.4, 0.03, 0.0),
    "river": ((104, 112, 104), (146, 148, 140), 0.4, 0.10, 0.0),
    "stones": ((164, 160, 152), (130, 126, 118), 0.45, 0.20, 0.05),
    "bank": ((116, 112, 78), (94, 100, 58), 0.5, 0.15, 0.01),
    "mudwater0": ((122, 104, 78), (158, 150, 136), 0.38, 0.02, 0.0),
    "mudwater1": ((104, 94, 74), (160, 164, 162), 0.4, 0.02, 0.0),
    "mudwater2": ((86, 84, 74), (176, 184, 190), 0.35, 0.02, 0.0),
    "wet": ((88, 80, 68), (76, 74, 70), 0.4, 0.06, 0.0),
    "scorched": ((48, 44, 40), (88, 78, 64), 0.4, 0.14, 0.0),
    "litter": ((134, 120, 98), (116, 106, 88), 0.5, 0.14, 0.2),
}
SEEN_FROM_AFAR = {
    "pool": (70, 158, 186),
    "greenhouse": (206, 214, 212),
    "containers": (60, 96, 80),
    "freight": (140, 84, 64),
    "frame": (168, 166, 160),
}
"""Colours of things large or bright enough to be drawn on coarse tiles and orthophotos."""
NUMBERS = {name: number for number, name in enumerate(MATERIALS)}
_TABLE = np.array([[*a, *b, share, fine, speckle] for a, b, share, fine, speckle in MATERIALS.values()], np.float32)


def fractal_noise(size: int, slope: float, seed: int) -> NDArray[np.float32]:
    """Tileable noise (size, size) of unit deviation whose amplitude falls as frequency to the -slope."""
    spectrum = np.fft.rfft2(np.random.default_rng(seed).normal(size=(size, size)))
    frequency = np.hypot(np.fft.fftfreq(size)[:, None], np.fft.rfftfreq(size)[None])
    frequency[0, 0] = 1.0
    noise = np.fft.irfft2(spectrum / frequency**slope, s=(size, size))
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


FINE_NOISE = fractal_noise(1300, 0.75, 11)
BROAD_NOISE = fractal_noise(512, 1.3, 12)


@numba.njit(nogil=True, cache=True, fastmath=True)
def _color(
    number: NDArray[np.uint8],
    shade: NDArray[np.float32],
    fine: NDArray[np.float32],
    broad: NDArray[np.float32],
    table: NDArray[np.float32],
    salt: int,
    cell: int,
    out: Image,
) -> None:
    rows, cols = number.shape
    for r in range(rows):
        for c in range(cols):
            k = number[r, c]
            mix = 0.5 + 0.75 * broad[r, c] + 0.25 * fine[r, c] + (table[k, 6] - 0.5)
            mix = min(max(mix, 0.0), 1.0)
            gain = shade[r, c] * (1.0 + table[k, 7] * fine[r, c] + 0.05 * broad[r, c])
            red = (table[k, 0] * (1 - mix) + table[k, 3] * mix) * gain
            green = (table[k, 1] * (1 - mix) + table[k, 4] * mix) * gain
            blue = (table[k, 2] * (1 - mix) + table[k, 5] * mix) * gain
            if table[k, 8] > 0.0:
                h = ((c // cell) * 73856093) ^ ((r // cell) * 19349663) ^ salt
                h = (h ^ (h >> 13)) * 1274126177 & 0x7FFFFFFF
                if (h & 1023) < table[k, 8] * 1023 * (0.6 + 0.5 * broad[r, c]):
                    tone = 0.3 + ((h >> 10) & 255) / 255.0
                    vivid = 1.0 if table[k, 8] > 0.1 else 0.0
                    red = (110 + vivid * (((h >> 4) & 127) - 50)) * tone * shade[r, c]
                    green = (108 + vivid * (((h >> 7) & 127) - 50)) * tone * shade[r, c]
                    blue = (104 + vivid * (((h >> 12) & 127) - 50)) * tone * shade[r, c]
            out[r, c, 0] = min(max(red, 0.0), 255.0)
            out[r, c, 1] = min(max(green, 0.0), 255.0)
            out[r, c, 2] = min(max(blue, 0.0), 255.0)


@numba.njit(nogil=True, cache=True, fastmath=True)
def fill_triangles(points: NDArray[np.float32], triangles: NDArray[np.int32], mask: NDArray[np.uint8]) -> None:
    """Set mask pixels inside triangles of points (n, 2), px."""
    height, width = mask.shape
    for t in range(triangles.shape[0]):
        ax, ay = points[triangles[t, 0], 0], points[triangles[t, 0], 1]
        bx, by = points[triangles[t, 1], 0], points[triangles[t, 1], 1]
        cx, cy = points[triangles[t, 2], 0], points[triangles[t, 2], 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area == 0.0:
            continue
        sign = 1.0 if area > 0 else -1.0
        left, right = max(0, int(np.ceil(min(ax, bx, cx)))), min(width - 1, int(max(ax, bx, cx)))
        top, bottom = max(0, int(np.ceil(min(ay, by, cy)))), min(height - 1, int(max(ay, by, cy)))
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                if (
                    sign * ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) >= 0
                    and sign * ((cx - bx) * (y - by) - (cy - by) * (x - bx)) >= 0
                    and sign * ((ax - cx) * (y - cy) - (ay - cy) * (x - cx)) >= 0
                ):
                    mask[y, x] = 255


class Painter:
    """Draws squares of the ground; with `older`, as it was before the incidents."""

    def __init__(self, world: World, *, older: bool) -> None:
        """Indexes what lies on the ground."""
        self._world, self._older = world, older
        flats = [f for f in world.scene.flats if (f.older if older else f.newer)]
        self._rings = [f.ring for f in flats]
        self._numbers = np.array([NUMBERS[f.material] for f in flats])
        self._boxes = _boxes(self._rings)
        self._props = [p for p in world.scene.props if p.kind in SEEN_FROM_AFAR and (p.older or not older)]
        self._buildings = [b for b in world.scene.buildings if b.older or not older]
        self._building_boxes = _boxes([b.ring for b in self._buildings])
        trees = world.scene.trees
        self._trees = np.array([(t.x, t.y, t.radius_m, t.height_m, t.kind, t.seed % 997) for t in trees])

    def paint(self, west: float, south: float, size_px: int, m_px: float, *, standing: Standing | None = None) -> Image:
        """A square from its south-west corner, rows northwards.

        Roofs and trees are drawn flat on it, unless they are `standing`: then it only bears their shadows.
        """
        numbers = self._surfaces(west, south, size_px, m_px)
        shade = self._relief(west, south, size_px, m_px)
        shadow = (
            self._flat_shadows(west, south, size_px, m_px)
            if standing is None
            else mesh_shadows(self._world, standing, west, south, size_px, m_px)
        )
        soft = cv2.GaussianBlur(shadow, (0, 0), max(0.6, 0.12 / m_px)).astype(np.float32)
        shade *= 1.0 - soft * (0.52 / 255)
        image = np.empty((size_px, size_px, 3), np.uint8)
        fine, broad = fine_noise(west, south, size_px, m_px), broad_noise(west, south, size_px, m_px)
        _color(
            numbers, shade, fine, broad, _TABLE, int(west * 7 + south * 13) & 0xFFFF, max(1, round(0.19 / m_px)), image
        )
        if standing is None:
            self._draw_objects(image, west, south, m_px)
        return image

    def _surfaces(self, west: float, south: float, size_px: int, m_px: float) -> NDArray[np.uint8]:
        numbers = np.full((size_px, size_px), NUMBERS["hill"], np.uint8)
        side = size_px * m_px
        for index in np.flatnonzero(_touching(self._boxes, west, south, side)):
            cv2.fillPoly(numbers, [_fixed(self._rings[index], west, south, m_px)], int(self._numbers[index]), shift=4)
        return numbers

    def _relief(self, west: float, south: float, size_px: int, m_px: float) -> NDArray[np.float32]:
        cells = max(4, int(size_px * m_px / CELL_M) + 2)
        x, y = np.meshgrid(np.linspace(0, size_px * m_px, cells) + west, np.linspace(0, size_px * m_px, cells) + south)
        ground, sun = self._world.ground, self._world.sun
        east = (ground.amsl_m(x + 4, y) - ground.amsl_m(x - 4, y)) / 8
        north = (ground.amsl_m(x, y + 4) - ground.amsl_m(x, y - 4)) / 8
        light = (sun[2] - east * sun[0] - north * sun[1]) / np.sqrt(1 + east**2 + north**2)
        shade = 0.48 + 0.52 * np.clip(light, 0, None) / sun[2]
        return np.asarray(cv2.resize(np.clip(shade, 0.4, 1.25).astype(np.float32), (size_px, size_px)), np.float32)

    def _flat_shadows(self, west: float, south: float, size_px: int, m_px: float) -> NDArray[np.uint8]:
        mask = np.zeros((size_px, size_px), np.uint8)
        reach = -self._world.sun[:2] / self._world.sun[2]
        side = size_px * m_px
        for index in np.flatnonzero(_touching(self._building_boxes, west - 40, south - 40, side + 80)):
            b = self._buildings[index]
            swept = cv2.convexHull(np.vstack([b.ring, b.ring + reach * b.height_m]).astype(np.float32))[:, 0]
            cv2.fillPoly(mask, [_fixed(np.asarray(swept, np.float64), west, south, m_px)], 255, shift=4)
        for x, y, radius, height, *_ in self._trees_in(west, south, side):
            self._disc(mask, x + reach[0] * height * 0.6, y + reach[1] * height * 0.6, radius, west, south, m_px, 255)
        return mask

    def _trees_in(self, west: float, south: float, side: float) -> NDArray[np.float64]:
        x, y = self._trees[:, 0], self._trees[:, 1]
        return np.asarray(
            self._trees[(x > west - 15) & (x < west + side + 15) & (y > south - 15) & (y < south + side + 15)]
        )

    def _draw_objects(self, image: Image, west: float, south: float, m_px: float) -> None:
        side = image.shape[0] * m_px
        for index in np.flatnonzero(_touching(self._building_boxes, west, south, side)):
            self._roof(image, self._buildings[index], west, south, m_px)
        for prop in self._props:
            if west - 20 < prop.x < west + side + 20 and south - 20 < prop.y < south + side + 20:
                ring = rectangle(prop.x, prop.y, prop.size[0], prop.size[1], prop.yaw_rad)
                cv2.fillPoly(image, [_fixed(ring, west, south, m_px)], SEEN_FROM_AFAR[prop.kind], shift=4)
        for x, y, radius, _, kind, seed in self._trees_in(west, south, side):
            green = np.array(((74, 98, 46), (66, 92, 44), (44, 70, 48), (92, 104, 58))[int(kind)]) * (
                0.75 + seed / 2000
            )
            self._disc(image, x, y, radius, west, south, m_px, tuple(green * 0.82))
            lit = self._world.sun[:2] * radius * 0.35
            self._disc(image, x + lit[0], y + lit[1], radius * 0.6, west, south, m_px, tuple(green * 1.15))

    def _roof(self, image: Image, building: Building, west: float, south: float, m_px: float) -> None:
        color = np.array(building.roof_rgb)
        cv2.fillPoly(image, [_fixed(building.ring, west, south, m_px)], tuple(color * 0.9), shift=4)
        if building.roof != "flat" and len(building.ring) == 4:
            a, b, c, d = building.ring
            half = np.array([a, b, (b + c) / 2, (a + d) / 2])
            side = 1.12 if float((half.mean(axis=0) - building.ring.mean(axis=0)) @ self._world.sun[:2]) > 0 else 0.72
            cv2.fillPoly(image, [_fixed(half, west, south, m_px)], tuple(np.minimum(color * side, 255)), shift=4)

    @staticmethod
    def _disc(
        image: Image,
        x: float,
        y: float,
        radius: float,
        west: float,
        south: float,
        m_px: float,
        color: float | tuple[float, ...],
    ) -> None:
        center = (int(((x - west) / m_px - 0.5) * 16), int(((y - south) / m_px - 0.5) * 16))
        cv2.circle(image, center, max(8, int(radius / m_px * 16)), color, -1, shift=4)


def mesh_shadows(
    world: World, standing: Standing, west: float, south: float, size_px: int, m_px: float
) -> NDArray[np.uint8]:
    """255 where a square of ground lies in the shadow of the true shapes of what stands, rows northwards."""
    mask = np.zeros((size_px, size_px), np.uint8)
    side = size_px * m_px
    reach = -world.sun[:2] / world.sun[2]
    margin = np.abs(reach) * 32.0
    low = np.array([west, south]) - np.where(reach > 0, margin, 2.0)
    high = np.array([west, south]) + side + np.where(reach < 0, margin, 2.0)
    for mesh in (chunk.mesh for chunk in standing.within(*low, *high)):
        if len(mesh.vertices):
            x, y, z = (mesh.vertices[:, k].astype(float) for k in range(3))
            above = np.maximum(0.0, z - world.ground_amsl_m(x, y))
            points = np.stack([x + reach[0] * above - west, y + reach[1] * above - south], axis=1) / m_px - 0.5
            raised = above[mesh.triangles].max(axis=1) > 0.05
            fill_triangles(points.astype(np.float32), mesh.triangles[raised], mask)
    return mask


def fine_noise(west: float, south: float, size_px: int, m_px: float) -> NDArray[np.float32]:
    """Grain of the ground, one texel for each GRAIN_M, continuous from tile to tile."""
    step, period = m_px / GRAIN_M, len(FINE_NOISE)
    columns, rows = (
        ((np.arange(size_px) + 0.5) * step + start / GRAIN_M).astype(int) % period for start in (west, south)
    )
    return np.asarray(FINE_NOISE[rows[:, None], columns[None, :]])


def broad_noise(west: float, south: float, size_px: int, m_px: float) -> NDArray[np.float32]:
    """Slow variation of the ground over metres to hundreds of metres, continuous from tile to tile."""
    coarser = 8 if m_px < 0.1 else 1
    size, step, period = size_px // coarser + 2, m_px * coarser / 1.1, len(BROAD_NOISE)
    matrix = np.array([[step, 0.0, west / 1.1 % period - step / 2], [0.0, step, south / 1.1 % period - step / 2]])
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    coarse = cv2.warpAffine(BROAD_NOISE, matrix, (size, size), flags=flags, borderMode=cv2.BORDER_WRAP)
    if coarser == 1:
        return np.asarray(coarse[:size_px, :size_px])
    whole = cv2.resize(coarse, (size * coarser, size * coarser), interpolation=cv2.INTER_LINEAR)
    inset = coarser
    return np.ascontiguousarray(whole[inset : inset + size_px, inset : inset + size_px])


def _fixed(ring: Ring, west: float, south: float, m_px: float) -> NDArray[np.int32]:
    return np.round(((ring - (west, south)) / m_px - 0.5) * 16).astype(np.int32)


def _boxes(rings: list[Ring]) -> NDArray[np.float64]:
    return np.array([[*r.min(axis=0), *r.max(axis=0)] for r in rings]) if rings else np.zeros((0, 4))


def _touching(boxes: NDArray[np.float64], west: float, south: float, side: float) -> NDArray[np.bool_]:
    return np.asarray(
        (boxes[:, 0] < west + side) & (boxes[:, 2] > west) & (boxes[:, 1] < south + side) & (boxes[:, 3] > south)
    )
