"""Recall by size in the picture and by number of looks, with what is sure of it.

A thing that is missed once is likely to be missed again: looks at one thing are far from independent. So misses are
never multiplied. What is measured, on things known to be there, is how many were found in at least so many of so many
consecutive looks of one pass; what is used is the lower bound of that share.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.special import betaincinv

APART = 0.09
"""Looks at a place are several only where the direction to the camera turns by this much from one to the next (tangent;
5 deg): looks from nearly the same place see the same pixels and miss together."""
SIZES_PX = (12.0, 18.0, 25.0, 45.0, 90.0, 130.0, 190.0)
"""Borders of the classes of size: the root of a thing's area over the ground sample distance."""
MOST_HITS = 4


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a thing that is known to be there."""

    gsd_m: float
    """Ground sample distance at the thing, m per px."""
    off_nadir_deg: float
    """Of the direction from the thing to the camera, from the vertical, deg."""
    blur_px: float
    """Motion during the exposure, px."""
    counts: bool
    """Whether the thing was whole in the picture, and no building in between."""
    score: float
    """Of the finding that was the thing, 0 to 1; 0 where it was missed."""


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive looks at one thing, each APART from the one before."""

    seed: int
    """Of the world."""
    thing: str
    """Its name there."""
    name: str
    """Class of the detector."""
    area_m2: float
    """Of its outline, m2."""
    sun_deg: float
    """Height of the sun, deg."""
    looks: tuple[Look, ...]
    """In the order they were taken."""

    @property
    def size_px(self) -> float:
        """Root of its area in the picture, px."""
        return float(np.sqrt(self.area_m2)) / self.looks[0].gsd_m


class SizeRecall(msgspec.Struct, frozen=True, kw_only=True):
    """How many things of one class of size were found in passes over them."""

    from_px: float
    """Smallest root of the area, px."""
    to_px: float
    """Largest, px."""
    things: tuple[int, ...]
    """Things that had 1, 2, 3, ... consecutive looks; one pass each."""
    found: tuple[tuple[int, ...], ...]
    """Of those, how many were found in at least 1, 2, 3, ... of the looks: a row for each number of hits."""


class PassRecall(msgspec.Struct, frozen=True, kw_only=True):
    """Recall of one class by size and number of looks, and what the looks were like that it was measured on."""

    name: str
    """Class of the detector."""
    what: str
    """What the pictures are, and how far the figures can be trusted."""
    seeds: tuple[int, ...]
    """Worlds, none of which was trained on or chosen thresholds by."""
    threshold: float
    """Score from which it counted as found; what is found at a higher threshold is less."""
    area_m2: tuple[float, float]
    """Smallest and largest thing, m2."""
    gsd_m: tuple[float, float]
    """Finest and coarsest ground sample distance, m per px."""
    off_nadir_most_deg: float
    """Largest angle from the vertical, deg."""
    blur_most_px: float
    """Largest motion during the exposure, px."""
    sun_least_deg: float
    """Lowest sun, deg."""
    apart: float
    """By how much the direction to the camera turned from look to look (tangent)."""
    sizes: tuple[SizeRecall, ...]
    """By size, the smallest first, each adjoining the next."""


def recall_of(passes: Sequence[Pass], *, threshold: float, what: str) -> PassRecall:
    """Recall of the class that all `passes` are of; one pass for each thing."""
    sizes = []
    for low, high in pairwise(SIZES_PX):
        chosen = [one for one in passes if low <= one.size_px < high]
        if chosen:
            sizes.append(_size_recall(low, high, chosen, threshold))
    looks = [look for one in passes for look in one.looks if look.counts]
    return PassRecall(
        name=passes[0].name,
        what=what,
        seeds=tuple(sorted({one.seed for one in passes})),
        threshold=threshold,
        area_m2=(min(one.area_m2 for one in passes), max(one.area_m2 for one in passes)),
        gsd_m=(round(min(look.gsd_m for look in looks), 4), round(max(look.gsd_m for look in looks), 4)),
        off_nadir_most_deg=round(max(look.off_nadir_deg for look in looks), 1),
        blur_most_px=round(max(look.blur_px for look in looks), 2),
        sun_least_deg=min(one.sun_deg for one in passes),
        apart=APART,
        sizes=tuple(sizes),
    )


def _size_recall(low: float, high: float, passes: Sequence[Pass], threshold: float) -> SizeRecall:
    runs = [[look.score >= threshold for look in one.looks if look.counts] for one in passes]
    things, found = [], []
    for looks in range(1, max((len(run) for run in runs), default=0) + 1):
        rng = np.random.default_rng(looks)
        hits = []
        for run in runs:
            if len(run) >= looks:
                first = int(rng.integers(len(run) - looks + 1))
                hits.append(sum(run[first : first + looks]))
        if len(hits) < 0.8 * len(passes):
            break
        things.append(len(hits))
        found.append([sum(hit >= wanted for hit in hits) for wanted in range(1, MOST_HITS + 1)])
    rows = tuple(tuple(column[wanted] for column in found) for wanted in range(MOST_HITS))
    return SizeRecall(from_px=low, to_px=high, things=tuple(things), found=rows)


def lower_bound(found: int, of: int, confidence: float) -> float:
    """One-sided Clopper-Pearson bound of a share: the true one is above it with at least this confidence.

    Source: C. J. Clopper and E. S. Pearson, Biometrika 26, 1934.
    """
    return float(betaincinv(found, of - found + 1, 1.0 - confidence)) if found else 0.0


def sure_recall(
    recall: PassRecall, sizes_px: tuple[float, float], *, hits: int, confidence: float
) -> NDArray[np.float64]:
    """(n + 1,) bounds of the share of things within `sizes_px` that is found at least `hits` times in 0 to n looks.

    The least of all classes of size that are touched, each at a confidence that makes the bounds of all sizes hold
    together (Bonferroni). Nothing (all 0) where a size was not measured, or so many hits.
    """
    low, high = sizes_px
    touched = [size for size in recall.sizes if size.to_px > low and size.from_px <= high]
    if not touched or touched[0].from_px > low or touched[-1].to_px < high or not 1 <= hits <= MOST_HITS:
        return np.zeros(1)
    each = 1.0 - (1.0 - confidence) / len(recall.sizes)
    bounds = np.zeros(1 + max(len(size.things) for size in touched))
    for looks in range(1, len(bounds)):
        bounds[looks] = min(_bound(size, looks, hits, each) for size in touched)
    return bounds


def _bound(size: SizeRecall, looks: int, hits: int, confidence: float) -> float:
    """Of the number of looks that was measured; more looks than ever were count as the most that were."""
    column = min(looks, len(size.things)) - 1
    return lower_bound(size.found[hits - 1][column], size.things[column], confidence)
