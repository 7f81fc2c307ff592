"""Fast map: frames with poses laid on the ground as one picture, with where each part of it comes from.

Each pixel is taken from the frame that looks at it most steeply, which shows walls and slopes least. The map is made
in windows: which frame wins where follows from the poses alone, so only the winners of a window are read, and memory
does not grow with the area.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

from geo.cameras import Camera
from geo.errors import NoGround, RasterInvalid, TerrainMissing
from geo.footprint import footprint
from geo.grids import Grid
from geo.orthos import STEP_PX, Array, Eye, Ground, Image, Levels, Looks, hide, middle_gsd_m, pixel_areas
from geo.poses import Pose
from geo.terrain import FlatTerrain, Terrain

WINDOW_PX = 1024
"""Side of the squares that a map is made in."""
MOST_SLANT = 1.2
"""Tangent of the angle from the vertical beyond which a view is not used (50 deg)."""
CACHE_BYTES = 512 * 2**20
"""Pictures kept in memory between windows."""
EDGE_PX = 64.0
"""How far from its edge a frame fades where seams are feathered."""
Floats = NDArray[np.float32]


@dataclass(frozen=True)
class View:
    """A frame that can be laid on a map."""

    name: str
    """What messages call it."""
    camera: Camera
    """Interior orientation."""
    pose: Pose
    """Exterior orientation; height AMSL, or AGL."""
    read: Callable[[], Image]
    """The picture (H, W, 3), RGB."""


@dataclass(frozen=True)
class Part:
    """A finished window of a map."""

    row: int
    """First row of the grid."""
    col: int
    """First column of the grid."""
    rgba: Image
    """(height, width, 4); clear where no frame looks."""
    gsd_m: Floats
    """(height, width): pixel of the winning frame on the ground, m; 0 where there is none."""
    winner: NDArray[np.int32]
    """(height, width): number of the winning view, -1 where there is none."""


class Mosaic:
    """A map to be made of views on a grid."""

    def __init__(
        self,
        views: Sequence[View],
        terrain: Terrain,
        *,
        pixel_m: float | None = None,
        grid: Grid | None = None,
        feather: float = 0.0,
        occlusion: bool = False,
        cache_bytes: int = CACHE_BYTES,
    ) -> None:
        """On `grid`, or one of UTM over what the views show, as fine as their median unless `pixel_m` is given.

        `feather` blends views whose tangents of the angle from the vertical differ by less: 0.02 is a strip of about
        2 m from 100 m above ground. `occlusion` leaves out what a DSM hides. Views that show no ground are `unused`.
        Raises RasterInvalid where no view shows ground, TerrainMissing, DatumUnknown.
        """
        self._terrain, self._feather, self._occlusion = terrain, feather, occlusion
        self.unused: dict[str, str] = {}
        """Names of views that cannot be laid, and why."""
        used, outlines = [], []
        for view in views:
            try:
                outlines.append(_outline(view, terrain))
                used.append(view)
            except NoGround as exc:
                self.unused[view.name] = str(exc)
        if not used:
            raise RasterInvalid(
                f"none of {len(views)} frames shows ground: {next(iter(self.unused.values()), 'none given')}"
            )
        self.views = tuple(used)
        """Those that are laid, by the number that `Part.winner` gives."""
        self.outlines = tuple(outlines)
        """What each shows of the ground (lon, lat; deg)."""
        if grid is None:
            bounds = np.array([outline.bounds for outline in outlines])
            gsd_m = pixel_m or float(np.median([middle_gsd_m(view.camera, view.pose, terrain) for view in used]))
            grid = Grid.over(*bounds[:, :2].min(axis=0), *bounds[:, 2:].max(axis=0), pixel_m=gsd_m)
        self.grid = grid
        self._eyes = [Eye(view.camera, view.pose, terrain) for view in used]
        self._boxes = np.array([_box(grid, outline.exterior.coords) for outline in outlines])
        self._pictures = _Pictures(self.views, cache_bytes)

    @property
    def windows(self) -> list[tuple[int, int, int, int]]:
        """Row, column, height and width of the squares that any view shows."""
        return [window for window in self.grid.windows(WINDOW_PX) if len(self._near(window))]

    def parts(self) -> Iterator[Part]:
        """The map, window by window; those that no view shows are left out. Raises what reading a picture raises."""
        for window in self.windows:
            yield self._part(window)

    def _near(self, window: tuple[int, int, int, int]) -> list[int]:
        row, col, height, width = window
        left, top, right, low = self._boxes.T
        met = (left < col + width) & (right > col) & (top < row + height) & (low > row)
        return [int(number) for number in np.flatnonzero(met)]

    def _part(self, window: tuple[int, int, int, int]) -> Part:
        row, col, height, width = window
        ground = Ground.below(self.grid.part(row, col, height, width), self._terrain)
        winner = np.full((height, width), -1, np.int32)
        slant = np.full((height, width), MOST_SLANT, np.float32)
        looks: dict[int, Looks] = {}
        for number in self._near(window):
            eye = self._eyes[number]
            look = eye.looks(ground)
            if not np.isfinite(look.slant).any():
                continue
            if self._occlusion:
                hide(eye, ground, look, self._terrain)
            last = np.array([eye.camera.width_px - 1.0, eye.camera.height_px - 1.0])
            if _contend(look.u, look.v, look.slant, STEP_PX, last, number, slant, winner):
                looks[number] = look
        rgb, gsd_m = np.zeros((height, width, 4), np.float32), np.zeros((height, width), np.float32)
        held = np.unique(winner)
        for number, look in looks.items():
            if number in held or self._feather > 0:
                self._add(number, look, slant, winner, rgb, gsd_m)
        rgba = np.zeros((height, width, 4), np.uint8)
        _finish(rgb, rgba)
        return Part(row, col, rgba, gsd_m, winner)

    def _add(
        self, number: int, look: Looks, slant: Floats, winner: NDArray[np.int32], rgb: Floats, gsd_m: Floats
    ) -> None:
        areas = pixel_areas(look, STEP_PX)
        finest = np.sqrt(np.maximum(areas, 1e-12))
        picture = self._pictures[number]
        level = picture.fit(look, STEP_PX)
        _blend(
            picture[level], look.u, look.v, look.slant, finest, STEP_PX, 0.5**level, self.grid.pixel_m, number,
            self._feather, slant, winner, rgb, gsd_m,
        )  # fmt: skip


class _Pictures:
    """Pictures of views, the least recently used dropped beyond a limit."""

    def __init__(self, views: Sequence[View], limit_bytes: int) -> None:
        self._views, self._limit_bytes = views, limit_bytes
        self._kept: OrderedDict[int, Levels] = OrderedDict()

    def __getitem__(self, number: int) -> Levels:
        if number not in self._kept:
            view = self._views[number]
            image = view.read()
            if image.shape != (view.camera.height_px, view.camera.width_px, 3):
                raise RasterInvalid(
                    f"{view.name}: a picture of {image.shape[1]} x {image.shape[0]} px, but its camera takes "
                    f"{view.camera.width_px} x {view.camera.height_px}"
                )
            self._kept[number] = Levels(image)
            while sum(picture.nbytes for picture in self._kept.values()) > self._limit_bytes and len(self._kept) > 1:
                self._kept.popitem(last=False)
        self._kept.move_to_end(number)
        return self._kept[number]


def _outline(view: View, terrain: Terrain) -> shapely.Polygon:
    """What a view shows of the ground; where it looks beyond the terrain, by level ground below the camera."""
    try:
        return footprint(view.camera, view.pose, terrain)
    except TerrainMissing:
        place = view.pose.position
        level = FlatTerrain(float(terrain.amsl_m(place.lon, place.lat)))
        return footprint(view.camera, view.pose, level)


def _box(grid: Grid, outline: Sequence[tuple[float, ...]]) -> tuple[float, float, float, float]:
    """Left, top, right, bottom of an outline (lon, lat), px of the grid, a little larger."""
    places = np.asarray(outline)
    cols, rows = grid.places(places[:, 0], places[:, 1])
    wide, tall = 0.1 * np.ptp(cols) + 2, 0.1 * np.ptp(rows) + 2  # hills between the points of the outline
    return float(cols.min() - wide), float(rows.min() - tall), float(cols.max() + wide), float(rows.max() + tall)


@njit(cache=True, nogil=True)
def _contend(
    us: Array, vs: Array, slants: Array, step: int, last: Array, number: int, slant: Floats, winner: NDArray[np.int32]
) -> bool:
    """Take over the pixels (h, w) that this view sees more steeply than any before; whether it sees any at all."""
    height, width = slant.shape
    sees = False
    for r in range(height):
        i = min(r // step, us.shape[0] - 2)
        down = (r - i * step) / step
        for j in range(us.shape[1] - 1):
            first = j * step
            if first >= width:
                break
            if np.isnan(slants[i, j] + slants[i, j + 1] + slants[i + 1, j] + slants[i + 1, j + 1]):
                continue
            u = us[i, j] * (1 - down) + us[i + 1, j] * down
            v = vs[i, j] * (1 - down) + vs[i + 1, j] * down
            s = slants[i, j] * (1 - down) + slants[i + 1, j] * down
            step_u = (us[i, j + 1] * (1 - down) + us[i + 1, j + 1] * down - u) / step
            step_v = (vs[i, j + 1] * (1 - down) + vs[i + 1, j + 1] * down - v) / step
            step_s = (slants[i, j + 1] * (1 - down) + slants[i + 1, j + 1] * down - s) / step
            for c in range(first, min(first + step, width)):
                if 0.0 <= u <= last[0] and 0.0 <= v <= last[1]:
                    sees = True
                    steep = np.float32(s)  # as it is kept, or equal views would win by rounding
                    if steep < slant[r, c]:
                        slant[r, c], winner[r, c] = steep, number
                u += step_u
                v += step_v
                s += step_s
    return sees


@njit(cache=True, nogil=True)
def _blend(
    image: Image, us: Array, vs: Array, slants: Array, finest: Array, step: int, scale: float, pixel_m: float,
    number: int, feather: float, slant: Floats, winner: NDArray[np.int32], rgb: Floats, gsd_m: Floats,
) -> None:  # fmt: skip
    """Add this view, by its weight, to the sums (h, w, red, green, blue, weight)."""
    height, width = slant.shape
    last_u, last_v = image.shape[1] - 1.0, image.shape[0] - 1.0
    for r in range(height):
        i = min(r // step, us.shape[0] - 2)
        down = (r - i * step) / step
        for j in range(us.shape[1] - 1):
            first = j * step
            if first >= width:
                break
            if np.isnan(slants[i, j] + slants[i, j + 1] + slants[i + 1, j] + slants[i + 1, j + 1]):
                continue
            u = (us[i, j] * (1 - down) + us[i + 1, j] * down + 0.5) * scale - 0.5
            v = (vs[i, j] * (1 - down) + vs[i + 1, j] * down + 0.5) * scale - 0.5
            s = slants[i, j] * (1 - down) + slants[i + 1, j] * down
            u_end = (us[i, j + 1] * (1 - down) + us[i + 1, j + 1] * down + 0.5) * scale - 0.5
            v_end = (vs[i, j + 1] * (1 - down) + vs[i + 1, j + 1] * down + 0.5) * scale - 0.5
            step_u, step_v = (u_end - u) / step, (v_end - v) / step
            step_s = (slants[i, j + 1] * (1 - down) + slants[i + 1, j + 1] * down - s) / step
            for c in range(first, min(first + step, width)):
                x, y, excess = u, v, s - slant[r, c]
                u += step_u
                v += step_v
                s += step_s
                mine = winner[r, c] == number
                if mine:
                    gsd_m[r, c] = pixel_m / finest[i, j]
                inside = -0.5 <= x <= last_u + 0.5 and -0.5 <= y <= last_v + 0.5
                if not (mine or (inside and winner[r, c] >= 0 and excess < feather)):
                    continue
                x, y = min(max(x, 0.0), last_u), min(max(y, 0.0), last_v)
                weight = 1.0
                if feather > 0:
                    border = min(min(x, last_u - x), min(y, last_v - y)) / scale
                    weight = max(1.0 - max(excess, 0.0) / feather, 0.0) * min(border / EDGE_PX, 1.0) + 1e-4
                left, top = min(int(x), image.shape[1] - 2), min(int(y), image.shape[0] - 2)
                right, low = np.float32(x - left), np.float32(y - top)
                for band in range(3):
                    upper = image[top, left, band] * (1 - right) + image[top, left + 1, band] * right
                    under = image[top + 1, left, band] * (1 - right) + image[top + 1, left + 1, band] * right
                    rgb[r, c, band] += weight * (upper + (under - upper) * low)
                rgb[r, c, 3] += weight


@njit(cache=True, nogil=True)
def _finish(rgb: Floats, rgba: Image) -> None:
    """Sums to means."""
    for r in range(rgb.shape[0]):
        for c in range(rgb.shape[1]):
            if rgb[r, c, 3] > 0:
                for band in range(3):
                    rgba[r, c, band] = np.uint8(min(rgb[r, c, band] / rgb[r, c, 3] + 0.5, 255.0))
                rgba[r, c, 3] = 255
