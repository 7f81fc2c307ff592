"""How much each place of a pair of pictures has changed, whatever the light of the two days."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray

from geo.picture_pairs import Mask, Picture

Logs = NDArray[np.float32]
"""(H, W, 3) logarithms of red, green and blue: light that is twice as bright adds the same everywhere."""
Scores = NDArray[np.float32]

DARK = 12.0
"""Added to 8-bit values, so that noise in the dark is no change."""
COLOUR_WEIGHT = 2.0
"""How much a change of colour counts against one of brightness: light changes brightness rather than colour."""
LEAST_KNOWN = 0.1
"""Cells of which a smaller share is known tell nothing of the light."""
DARKENING = (0.2, 1.3)
"""Shadows are darker than the same ground in the sun by so much, natural logarithm (18 to 73 % less light)."""
SHADED = 0.35
"""Ground in the shade is darker than the middle of the picture by so much; asphalt in the sun is not."""
SHADE = (-0.25, 0.08, -0.08, 0.35)
"""And by so much, at least and at most, less red and bluer than it, against green: the sky lights them."""
PLANTS = 0.4
"""Where twice the green stands so far above red and blue both times, natural logarithm, plants have stayed plants."""
MOST_CONTRAST = 1.6
"""One picture may have so many times the contrast of the other."""
_LOG = np.log((np.arange(256, dtype=np.float32) + DARK) / (255.0 + DARK)).astype(np.float32)


@dataclass(frozen=True)
class Light:
    """How the later picture renders what the earlier one shows: its contrast, and how much lighter it is, slowly
    varying; band by band."""

    contrast: NDArray[np.float32]
    """(3,) slopes between the logarithms of the two: other gammas, haze."""
    cells: NDArray[np.float32]
    """(rows, cols, 3) what is then left between them, spread evenly over the picture."""
    middle: float
    """Median brightness of the later picture, natural logarithm."""

    @classmethod
    def between(cls, before: Picture, after: Picture, known: Mask, cell_px: int) -> Light:
        """Of a view of both pictures, in cells of so many pixels of it.

        A cell full of something new takes the light of its neighbours.
        """
        if not known.any():
            return cls(np.ones(3, np.float32), np.zeros((1, 1, 3), np.float32), 0.0)
        old, new = _LOG[before], _LOG[after]
        ratio = new[known].std(axis=0) / np.maximum(old[known].std(axis=0), 1e-3)
        contrast = np.clip(ratio, 1 / MOST_CONTRAST, MOST_CONTRAST).astype(np.float32)
        rows, cols = (-(-length // cell_px) for length in known.shape)
        apart = np.full((rows * cell_px, cols * cell_px, 3), np.nan, np.float32)
        apart[: known.shape[0], : known.shape[1]] = np.where(known[..., None], new - old * contrast, np.nan)
        ordered = np.sort(
            apart.reshape(rows, cell_px, cols, cell_px, 3).transpose(0, 2, 4, 1, 3).reshape(rows, cols, 3, -1)
        )
        count = np.isfinite(ordered).sum(axis=-1, keepdims=True)
        cells = np.take_along_axis(ordered, count // 2, axis=-1)[..., 0]
        cells[count[..., 0] <= LEAST_KNOWN * cell_px**2] = np.nan
        for band in range(3):
            one = cells[..., band]
            one[np.isnan(one)] = np.nanmedian(one) if np.isfinite(one).any() else 0.0
            one[...] = cv2.GaussianBlur(_median3(one), (0, 0), 1.0)
        return cls(contrast, cells, float(np.median(new[known].mean(axis=-1))))

    def applied(self, before: Logs, row: float, col: float, height: int, width: int) -> Logs:
        """A window of the earlier picture, from a row and column of a grid of `height` x `width` on, in this light."""
        rows, cols = before.shape[:2]
        across, down = self.cells.shape[1] / width, self.cells.shape[0] / height
        x = ((np.arange(cols, dtype=np.float32) + np.float32(col) + 0.5) * across - 0.5).astype(np.float32)
        y = ((np.arange(rows, dtype=np.float32) + np.float32(row) + 0.5) * down - 0.5).astype(np.float32)
        maps = np.meshgrid(x, y)
        there = cv2.remap(self.cells, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        return np.asarray(before * self.contrast + there, np.float32)


def _median3(cells: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(cv2.medianBlur(cv2.medianBlur(np.ascontiguousarray(cells), 5), 3), np.float32)


def logs(picture: Picture, blur_px: float) -> Logs:
    """Of a picture smoothed by a Gaussian of `blur_px`."""
    found = cv2.LUT(picture, _LOG)
    return np.asarray(cv2.GaussianBlur(found, (0, 0), blur_px) if blur_px > 0 else found, np.float32)


def scores(
    before: Logs, after: Logs, known: Mask, *, middle: float = np.inf, shade: float = 1.0, least: float = 0.0
) -> Scores:
    """(H, W) how far each pixel is from the nearest alike of the 3 x 3 pixels there in the other picture.

    In natural logarithms of light, taken both ways; so a pixel's width of misfit is no change. 0 where unknown, below
    `least`, where a shadow came or went (darker by DARKENING and then darker than the `middle` by SHADED, no bluer or
    less red than SHADE allows times `shade`), and where PLANTS have stayed.
    """
    return np.asarray(
        _scores(
            _opponents(before),
            _opponents(after),
            known,
            np.float32(middle - SHADED),
            np.float32(shade),
            np.float32(least**2),
        )
    )


def relit(before: Logs, after: Logs) -> Mask:
    """(H, W) where one picture may be the other in another light: in the shade, or a roof's side turned to the sun."""
    return np.asarray(_relit(_opponents(before), _opponents(after)))


@njit(cache=True)
def _opponents(bands: Logs) -> Logs:
    """Brightness and two colours."""
    rows, cols = bands.shape[:2]
    out = np.empty((rows, cols, 3), np.float32)
    weight = np.float32(np.sqrt(COLOUR_WEIGHT))
    for row in range(rows):
        for col in range(cols):
            r, g, b = bands[row, col, 0], bands[row, col, 1], bands[row, col, 2]
            out[row, col, 0] = (r + g + b) / 3
            out[row, col, 1] = weight * (r - g)
            out[row, col, 2] = weight * (b - g)
    return out


@njit(cache=True)
def _scores(before: Logs, after: Logs, known: Mask, dark: np.float32, shade: np.float32, least2: np.float32) -> Scores:
    rows, cols = known.shape
    out = np.zeros((rows, cols), np.float32)
    for row in range(rows):
        for col in range(cols):
            old, new = before[row, col], after[row, col]
            if (
                not known[row, col]
                or _apart(old, new) < least2
                or _shadow(old, new, dark, shade)
                or (_green(old) >= PLANTS and _green(new) >= PLANTS)
            ):
                continue
            there = back = 1e9
            for y in range(max(row - 1, 0), min(row + 2, rows)):
                for x in range(max(col - 1, 0), min(col + 2, cols)):
                    if known[y, x]:
                        there = min(there, _apart(new, before[y, x]))
                        back = min(back, _apart(old, after[y, x]))
            if max(there, back) >= least2:
                out[row, col] = np.sqrt(max(there, back))
    return out


@njit(cache=True)
def _relit(before: Logs, after: Logs) -> Mask:
    rows, cols = before.shape[:2]
    out = np.empty((rows, cols), np.bool_)
    for row in range(rows):
        for col in range(cols):
            out[row, col] = _shadow(before[row, col], after[row, col], np.float32(np.inf), np.float32(1.0))
    return out


@njit(cache=True)
def _apart(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    d0, d1, d2 = one[0] - other[0], one[1] - other[1], one[2] - other[2]
    return float(d0 * d0 + d1 * d1 + d2 * d2)


@njit(cache=True)
def _green(opponents: NDArray[np.float32]) -> float:
    return float(-(opponents[1] + opponents[2]) / np.float32(np.sqrt(COLOUR_WEIGHT)))


@njit(cache=True)
def _shadow(before: NDArray[np.float32], after: NDArray[np.float32], dark: np.float32, shade: np.float32) -> bool:
    """Whether one of the two may be the other in the shade."""
    weight = np.float32(np.sqrt(COLOUR_WEIGHT))
    sign = np.float32(1.0) if after[0] < before[0] else np.float32(-1.0)
    darker = sign * (before[0] - after[0])
    redder = sign * (after[1] - before[1]) / weight
    bluer = sign * (after[2] - before[2]) / weight
    return bool(
        min(before[0], after[0]) < dark
        and DARKENING[0] <= darker <= DARKENING[1]
        and SHADE[0] * shade <= redder <= SHADE[1] * shade
        and SHADE[2] * shade <= bluer <= SHADE[3] * shade
    )
