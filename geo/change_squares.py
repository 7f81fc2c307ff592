"""Which parts of a pair of pictures are read in full: where anything stands out at its overviews, and what goes on."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from geo.change_scores import Light, logs, scores
from geo.height_pairs import HeightPair
from geo.picture_pairs import Mask, PicturePair

TILE_PX = 512
MARGIN_PX = 24
"""What stands out is read with so much around it."""
BLOCK_PX = 512
"""The coarse grid is read in blocks of so many rows and columns."""
GATE = 0.7
"""A part is read in full where the coarse grid shows so large a share of the threshold: of an object of four pixels
there at least one is filled by it, and shows all of its contrast."""
FINER = 4
"""JPEG and WebP store colour in half the resolution and bend it in squares of 8 px: there the grid is so much finer,
and what stands out has to be as wide as the smallest thing."""
GATE_SHADE = 0.5
Square = tuple[int, int]
"""Row and column of a square."""
Box = tuple[int, int, int, int]
"""Top, left, bottom, right, px."""
Sides = tuple[bool, bool, bool, bool]
"""Of the top, left, bottom and right side of a box."""
Places = NDArray[np.int64]


class Squares:
    """Squares of TILE_PX of the later picture, and the box in each that is to be read; boxes may grow in between."""

    def __init__(self, pair: PicturePair) -> None:
        """None of it is to be read yet."""
        self._pair = pair
        shape = -(-pair.height_px // TILE_PX), -(-pair.width_px // TILE_PX)
        self._first = np.full((*shape, 2), np.iinfo(np.int64).max)
        self._last = np.full((*shape, 2), -1)
        self._due = np.zeros(shape, np.bool_)

    @property
    def touched(self) -> Mask:
        """(rows, cols) squares of which anything is to be read, or was."""
        return np.asarray(self._last[..., 0] >= 0)

    @property
    def due(self) -> int:
        """How many are to be read."""
        return int(self._due.sum())

    def __iter__(self) -> Iterator[tuple[Square, Box]]:
        """Squares in order of rows with their boxes; again those whose box has grown, until none is left."""
        while self._due.any():
            for row, col in np.argwhere(self._due).tolist():
                self._due[row, col] = False
                top, left = np.maximum(self._first[row, col] - MARGIN_PX, (row * TILE_PX, col * TILE_PX)).tolist()
                most = np.minimum((np.array([row, col]) + 1) * TILE_PX, (self._pair.height_px, self._pair.width_px))
                bottom, right = np.minimum(self._last[row, col] + MARGIN_PX, most).tolist()
                yield (row, col), (top, left, bottom, right)

    def add(self, top: Places, left: Places, bottom: Places, right: Places) -> None:
        """Have boxes read, (n,) px each, where they lie in the picture; each meets at most four squares."""
        box = np.stack([top, left, bottom, right], axis=-1).reshape(-1, 2, 2)
        box = np.clip(box, 0, (self._pair.height_px, self._pair.width_px))
        box = box[(box[:, 1] > box[:, 0]).all(axis=1)]
        for down in (0, 1):
            for across in (0, 1):
                at = (box[:, down, 0] - down) // TILE_PX, (box[:, across, 1] - across) // TILE_PX
                corner = np.stack(at, axis=-1) * TILE_PX
                was = self._first[at], self._last[at]
                np.minimum.at(self._first, at, np.maximum(box[:, 0], corner))
                np.maximum.at(self._last, at, np.minimum(box[:, 1], corner + TILE_PX))
                self._due[at] |= ((self._first[at] < was[0]) | (self._last[at] > was[1])).any(axis=1)

    def add_all(self) -> None:
        """Have all of it read."""
        row, col = np.indices(self._due.shape).reshape(2, -1) * TILE_PX
        self.add(row, col, row + TILE_PX, col + TILE_PX)

    def go_on(self, square: Square, box: Box, open_sides: Sides) -> None:
        """Read on where something reaches over the top, left, bottom or right side of a box that was read.

        The whole square where that is inside of it, else what lies beyond the side.
        """
        row, col = square[0] * TILE_PX, square[1] * TILE_PX
        whole = row, col, row + TILE_PX, col + TILE_PX
        for side in np.flatnonzero(open_sides).tolist():
            more = list(whole)
            if box[side] == whole[side]:
                more = list(box)
                more[side - 2] = box[side]
                more[side] += 1 if side >= 2 else -1
            self.add(*np.array([more]).T)


def gate_scale(pair: PicturePair, scale: int) -> int:
    """How coarse the grid of the gate is where the smallest thing has four pixels in one `scale` times coarser."""
    return max(1, scale // FINER) if pair.lossy else scale


def add_hits(
    squares: Squares,
    pair: PicturePair,
    light: Light,
    heights: HeightPair | None,
    *,
    scale: int,
    contrast: float,
    on_block: Callable[[int, int], None],
) -> None:
    """Have read what stands out in the grid of the gate."""
    finer = gate_scale(pair, scale)
    least_px = max(1, 2 * scale // finer - 3)  # of each side one pixel is mixed, and one more by where it lies
    kernel, halo = np.ones((least_px, least_px), np.uint8), least_px + 1
    inner = (slice(halo, -halo),) * 2
    height, width = pair.size_at(finer)
    corners = list(itertools.product(range(0, height, BLOCK_PX), range(0, width, BLOCK_PX)))
    for done, (row, col) in enumerate(corners, start=1):
        rows, cols = min(BLOCK_PX, height - row), min(BLOCK_PX, width - col)
        before, after, known = pair.read(row - halo, col - halo, rows + 2 * halo, cols + 2 * halo, scale=finer)
        old = light.applied(logs(before, 0.0), row - halo, col - halo, height, width)
        found = scores(old, logs(after, 0.0), known, shade=GATE_SHADE, least=GATE * contrast)
        stands_out = cv2.morphologyEx((found > 0).astype(np.uint8), cv2.MORPH_OPEN, kernel)[inner] > 0
        if heights is not None:
            stands_out |= np.abs(heights.rise_m(row, col, rows, cols, scale=finer)) >= GATE * heights.least_m
        y, x = np.nonzero(stands_out)
        y, x = (y + row) * pair.height_px // height, (x + col) * pair.width_px // width
        squares.add(y - 1, x - 1, y + finer + 1, x + finer + 1)  # a pixel of it may reach into the next square
        on_block(done, len(corners))
