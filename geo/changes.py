"""What changed on the ground between two orthophotos, as outlines with a kind, an area and a confidence.

The pair is looked at by its overviews first; only squares in which anything stands out there are read in full. What
is found in neighbouring squares is put together again, so that memory does not grow with the pictures.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pyproj
import rasterio.features
import scipy.ndimage
import shapely
from numpy.typing import NDArray
from pyproj import Transformer

from geo.change_kinds import RISEN_M, SQUARE, ChangeKind, Traits, judge, judge_building
from geo.change_scores import Light, logs, relit, scores
from geo.change_squares import Box, Sides, Square, Squares, add_hits, gate_scale
from geo.height_pairs import HeightPair
from geo.picture_pairs import Fit, Mask, PicturePair

HALO_PX = 24
NEARLY = 1.01
"""Pixels of a projection are a little larger or smaller on the ground than it says."""
VIEW_PX = 1024
"""The light of the two is compared on a view of at most so many rows and columns."""
CELL_PX, LEAST_CELL_PX = 32, 8
"""It is told apart by cells of so many pixels of the coarse grid, and of no fewer of the view."""
BLUR_M = 0.2
OPEN_M, CLOSE_M = 0.4, 0.6
"""Narrower changes than the first are left out, narrower gaps than the second closed."""
CORES = (1.0, 1.4, 1.8, 2.3, 2.9, 3.5)
"""Roofs stand out from the ground laid bare around them; the threshold is raised by these until one does."""
JOIN_PX = 1.5
"""Pieces of neighbouring squares that are so near are one."""
WGS84 = pyproj.Geod(ellps="WGS84")


@dataclass(frozen=True)
class Change:
    """One thing that is not as it was."""

    outline: shapely.Geometry
    """Polygon or multipolygon, lon and lat, deg."""
    kind: ChangeKind
    """What it seems to be."""
    confidence: float
    """How surely it is a change of this kind by its traits, 0 to 1; no probability, see docs/change.md."""
    area_m2: float
    """On the ellipsoid, m2."""
    height_change_m: float | None
    """Mean rise of the surface, m; None without heights of both days."""
    traits: Traits
    """What it was judged by."""


@dataclass(frozen=True)
class Comparison:
    """What a comparison gave."""

    changes: tuple[Change, ...]
    """Largest first."""
    fit: Fit
    """How the earlier picture was laid over the later one."""
    read: NDArray[np.bool_]
    """(rows, columns) which squares of TILE_PX of the later picture were read in full."""
    compared_m2: float
    """Area known in both pictures, m2."""
    without_overviews: tuple[Path, ...]
    """Files that had to be read all, for they have no overviews."""


def find_changes(
    pair: PicturePair,
    *,
    heights: HeightPair | None = None,
    least_area_m2: float = 4.0,
    contrast: float = 0.22,
    gated: bool = True,
    on_step: Callable[[str, int, int], None] = lambda what, done, of: None,
) -> Comparison:
    """Compare the pair; changes below `least_area_m2`, or fainter than `contrast`, are left out.

    `contrast` is the change of light or colour, in natural logarithms, that tells at once. `heights` are surface
    models of both days. Without `gated` every square is read in full. `on_step(what, done, of)` tells of the progress.
    Raises RasterInvalid, TerrainMissing.
    """
    m_px = _pixel_m(pair)
    scale = 2 ** math.floor(math.log2(max(1.0, NEARLY * math.sqrt(least_area_m2 / 4) / max(m_px))))
    lacking = pair.reduce(gate_scale(pair, scale), lambda path, *done: on_step(f"{path.name} has no overviews", *done))
    fit = pair.fit()
    view_scale, view = pair.whole(VIEW_PX)
    light = Light.between(*view, max(LEAST_CELL_PX, CELL_PX * scale // view_scale))
    squares = Squares(pair)
    if gated:
        add_hits(squares, pair, light, heights, scale=scale, contrast=contrast, on_block=partial(on_step, "overview"))
    else:
        squares.add_all()
    settings = _Settings(contrast, min(m_px), light)
    pieces: dict[Square, list[_Piece]] = {}
    for done, (square, box) in enumerate(squares, start=1):
        pieces[square], open_sides = _pieces(pair, box, settings, heights)
        squares.go_on(square, box, open_sides)
        on_step("squares", done, done + squares.due)
    maker = _Maker(pair, heights, least_area_m2)
    changes = [change for piece in _joined([*itertools.chain(*pieces.values())]) for change in maker.changes(piece)]
    changes.sort(key=lambda change: -change.area_m2)
    compared_m2 = float(view[2].mean()) * pair.height_px * pair.width_px * math.prod(m_px)
    return Comparison(tuple(changes), fit, squares.touched, compared_m2, tuple(lacking))


def _pixel_m(pair: PicturePair) -> tuple[float, float]:
    """Width and height of a pixel in the middle of the picture, m."""
    to_lonlat = Transformer.from_crs(pair.crs, "EPSG:4326", always_xy=True)
    col, row = pair.width_px / 2, pair.height_px / 2
    xs, ys = zip(*(pair.transform @ at for at in ((col, row), (col + 1, row), (col, row + 1))), strict=True)
    lon, lat = to_lonlat.transform(xs, ys)
    across = WGS84.inv(lon[0], lat[0], lon[1], lat[1])[2]
    down = WGS84.inv(lon[0], lat[0], lon[2], lat[2])[2]
    return float(across), float(down)


@dataclass(frozen=True)
class _Settings:
    contrast: float
    m_px: float
    light: Light


@dataclass(frozen=True)
class _Piece:
    """What one square shows of a change."""

    outline: shapely.Polygon
    """In px of the whole picture."""
    core: shapely.Geometry
    """Where it is strongest, as roofs are; may be empty."""
    sums: NDArray[np.float64]
    """(2, SUMS) of all and of the core: such as add up when pieces are put together."""


def _pieces(pair: PicturePair, box: Box, settings: _Settings, heights: HeightPair | None) -> tuple[list[_Piece], Sides]:
    """The pieces of changes in a box, and over which of its sides they go on."""
    row, col, rows, cols = box[0] - HALO_PX, box[1] - HALO_PX, box[2] - box[0], box[3] - box[1]
    window = (row, col, rows + 2 * HALO_PX, cols + 2 * HALO_PX)
    before, after, known = pair.read(*window)
    blur_px = min(2.0, max(0.7, BLUR_M / settings.m_px))
    old = settings.light.applied(logs(before, blur_px), row, col, pair.height_px, pair.width_px)
    new = logs(after, blur_px)
    found = scores(old, new, known, middle=settings.light.middle)
    rise_m = None
    if heights is not None:
        rise_m = heights.rise_m(*window)
        found = np.maximum(found, (np.abs(rise_m) / heights.least_m * settings.contrast).astype(np.float32))
    mask = _tidy((found >= settings.contrast / 2) & known, settings.m_px)
    inner = (slice(HALO_PX, HALO_PX + rows), slice(HALO_PX, HALO_PX + cols))
    sure = found >= settings.contrast
    labels = _labels(mask, sure)[inner]
    if not labels.any():
        return [], (False,) * 4
    surely = np.isin(labels, np.unique(labels[sure[inner]])) & (labels > 0)
    edges = surely[0], surely[:, 0], surely[-1], surely[:, -1]
    open_sides = bool(edges[0].any()), bool(edges[1].any()), bool(edges[2].any()), bool(edges[3].any())
    cores = _cores(labels, found[inner], settings, None if rise_m is None else rise_m[inner])
    views = (
        found[inner], sure[inner], relit(old, new)[inner], old[inner], new[inner],
        before[inner], after[inner], None if rise_m is None else rise_m[inner],
    )  # fmt: skip
    sums = np.stack([Traits.sums(each, int(labels.max()) + 1, *views) for each in (labels, cores)], axis=1)
    place = rasterio.Affine.translation(box[1], box[0])
    core_outlines = _outlines(cores, place)
    return [
        _Piece(outline, core_outlines.get(number, shapely.Polygon()), sums[number])
        for number, outline in _outlines(labels, place).items()
    ], open_sides


def _cores(
    labels: NDArray[np.int32], found: NDArray[np.float32], settings: _Settings, rise_m: NDArray[np.float32] | None
) -> NDArray[np.int32]:
    """The labels where each piece may be a building.

    That is where it rose, if heights are known, else the largest sharp rectangle in it, by several thresholds.
    """
    if rise_m is not None:
        return np.where(_tidy(rise_m >= RISEN_M, settings.m_px), labels, 0).astype(np.int32)
    cores = np.zeros_like(labels)
    for number, window in enumerate(scipy.ndimage.find_objects(labels), start=1):
        if window is None:
            continue
        mine, largest = labels[window] == number, 0.0
        for times in CORES:
            strong = _tidy(mine & (found[window] >= times * settings.contrast), settings.m_px) & mine
            area_px, square, part = _largest(strong)
            if square >= SQUARE and area_px > largest:
                largest = area_px
                edge = np.median(found[window][part]) / 2  # the blur takes a share of what is around in
                cores[window][mine] = 0
                cores[window][part & (found[window] >= edge)] = number
    return cores


def _largest(mask: Mask) -> tuple[float, float, Mask]:
    """Area, px, of the largest connected part, its share of the rectangle around it, and where it is."""
    count, parts, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=4)
    if count < 2:
        return 0.0, 0.0, mask
    number = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    part = parts == number
    (_, sides, _) = cv2.minAreaRect(np.argwhere(part)[:, ::-1].astype(np.float32))
    area_px = float(stats[number, cv2.CC_STAT_AREA])
    return area_px, area_px / max((sides[0] + 1) * (sides[1] + 1), 1.0), part


def _outlines(labels: NDArray[np.int32], place: rasterio.Affine) -> dict[int, shapely.Geometry]:
    parts: dict[int, list[shapely.Geometry]] = {}
    for shape, number in rasterio.features.shapes(labels, mask=labels > 0, transform=place):
        parts.setdefault(int(number), []).append(shapely.geometry.shape(shape))
    return {number: shapely.union_all(several) for number, several in parts.items()}


def _tidy(mask: Mask, m_px: float) -> Mask:
    def disc(metres: float) -> NDArray[np.uint8]:
        size = 2 * max(1, round(metres / m_px / 2)) + 1
        return np.asarray(cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size)), np.uint8)

    opened = cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc(OPEN_M))
    return np.asarray(cv2.morphologyEx(opened, cv2.MORPH_CLOSE, disc(CLOSE_M)) > 0)


def _labels(mask: Mask, sure: Mask) -> NDArray[np.int32]:
    """Connected pieces of the mask that are sure somewhere, or may go on in the next square."""
    _, labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)
    kept = np.zeros(labels.max() + 1, np.bool_)
    kept[np.unique(labels[sure])] = True
    for edge in (labels[:HALO_PX], labels[-HALO_PX:], labels[:, :HALO_PX], labels[:, -HALO_PX:]):
        kept[np.unique(edge)] = True
    kept[0] = False
    return np.asarray(np.where(kept[labels], labels, 0), np.int32)


def _joined(pieces: Sequence[_Piece]) -> Iterator[_Piece]:
    """Pieces that meet, put together."""
    outlines = np.array([piece.outline for piece in pieces], dtype=object)
    tree = shapely.STRtree(outlines)
    left, right = tree.query(outlines, predicate="dwithin", distance=JOIN_PX)
    owner = np.arange(len(pieces))

    def root(one: int) -> int:
        while owner[one] != one:
            owner[one] = owner[owner[one]]
            one = int(owner[one])
        return one

    for one, other in zip(left.tolist(), right.tolist(), strict=True):
        owner[root(one)] = root(other)
    groups: dict[int, list[int]] = {}
    for number in range(len(pieces)):
        groups.setdefault(root(number), []).append(number)
    for members in groups.values():
        yield _Piece(
            shapely.union_all(outlines[members]),
            shapely.union_all([pieces[member].core for member in members]),
            np.sum([pieces[member].sums for member in members], axis=0),
        )


class _Maker:
    """Makes changes of pieces."""

    def __init__(self, pair: PicturePair, heights: HeightPair | None, least_area_m2: float) -> None:
        self._pair, self._heights, self._least_area_m2 = pair, heights, least_area_m2
        self._to_lonlat = Transformer.from_crs(pair.crs, "EPSG:4326", always_xy=True)

    def changes(self, piece: _Piece) -> Iterator[Change]:
        """The building that its core is, if it is one, and what is around; else the whole as one change."""
        whole = Traits.of(piece.sums[0], piece.outline)
        if whole.sure_px == 0:
            return
        rest, traits = piece.outline, whole
        core = max(shapely.get_parts(piece.core), key=lambda part: part.area, default=None)
        if core is not None:
            of_core = Traits.of(piece.sums[1], core)
            sure = judge_building(of_core, self._area_m2(core), heights_known=self._heights is not None)
            if sure is not None:
                yield self._change(core, of_core, ChangeKind.NEW_BUILDING, sure)
                rest = shapely.difference(piece.outline, shapely.buffer(core, JOIN_PX, join_style="mitre"))
                if rest.is_empty:
                    return
                traits = Traits.of(piece.sums[0] - piece.sums[1], rest)
        area_m2 = self._area_m2(rest)
        judged = judge(traits, area_m2) if area_m2 >= self._least_area_m2 else None
        if judged is not None:
            yield self._change(rest, traits, *judged)

    def _change(self, outline: shapely.Geometry, traits: Traits, kind: ChangeKind, confidence: float) -> Change:
        simple = shapely.simplify(outline, 1.0)
        drawn = simple if simple.is_valid and not simple.is_empty else outline
        rise_m = None if self._heights is None else traits.rise_m
        lonlat = shapely.transform(drawn, self._lonlat)
        return Change(lonlat, kind, confidence, self._area_m2(outline), rise_m, traits)

    def _area_m2(self, outline: shapely.Geometry) -> float:
        return abs(float(WGS84.geometry_area_perimeter(shapely.transform(outline, self._lonlat))[0]))

    def _lonlat(self, places: NDArray[np.float64]) -> NDArray[np.float64]:
        x, y = self._pair.transform @ (places[:, 0], places[:, 1])
        return np.stack(self._to_lonlat.transform(x, y), axis=-1)
