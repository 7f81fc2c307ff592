"""Recall in passes: counted with the correlation of looks, and bounded from below."""

from __future__ import annotations

import numpy as np
import pytest

from aerial_models import catalogue
from aerial_models.recall import Look, Pass, lower_bound, recall_of, sure_recall


def _passes(count: int, share: float, alike: bool, *, size_px: float = 50.0, seed: int = 1) -> list[Pass]:
    """Things found in a share of the looks: each look by itself, or all looks at a thing alike."""
    rng = np.random.default_rng(seed)

    def looks() -> tuple[Look, ...]:
        all_of_it = rng.random() < share
        hits = [all_of_it if alike else rng.random() < share for _ in range(5)]
        return tuple(
            Look(gsd_m=0.05, off_nadir_deg=10.0, blur_px=0.2, counts=True, score=0.9 if hit else 0.0) for hit in hits
        )

    area_m2 = (0.05 * size_px) ** 2
    return [
        Pass(seed=number, thing="dump-01", name="dump", area_m2=area_m2, sun_deg=45.0, looks=looks())
        for number in range(count)
    ]


def test_bounds_are_those_of_clopper_and_pearson() -> None:
    """Published values, and the rule of three: nothing missed in n leaves 0.05 ** (1 / n)."""
    assert lower_bound(59, 59, 0.95) == pytest.approx(0.05 ** (1 / 59))
    assert lower_bound(4, 20, 0.975) == pytest.approx(0.0573, abs=1e-4)
    assert lower_bound(0, 20, 0.95) == 0.0


def test_a_bound_holds_as_often_as_it_says() -> None:
    """Of many measurements of a recall of 0.9, at least 95 % state a bound below it."""
    found = np.random.default_rng(3).binomial(150, 0.9, 2000)
    assert np.mean([lower_bound(int(k), 150, 0.95) <= 0.9 for k in found]) >= 0.95


def test_looks_that_miss_together_are_not_multiplied() -> None:
    """With 90 % found in each look, five independent looks find all; five looks that are all alike find 90 %."""
    recalls = [recall_of(_passes(400, 0.9, alike), threshold=0.5, what="made up here") for alike in (False, True)]
    free, alike = (sure_recall(one, (46.0, 60.0), hits=1, confidence=0.95) for one in recalls)
    assert free[5] > 0.98
    assert alike[5] == pytest.approx(alike[1], abs=0.02)
    assert alike[5] < 0.92


def test_nothing_is_sure_of_what_was_not_measured() -> None:
    """Sizes beyond those measured, more hits than counted, no looks: 0."""
    recall = recall_of(_passes(100, 1.0, True), threshold=0.5, what="made up here")
    assert sure_recall(recall, (46.0, 80.0), hits=1, confidence=0.95)[1] > 0.9
    assert sure_recall(recall, (30.0, 80.0), hits=1, confidence=0.95).max() == 0
    assert sure_recall(recall, (46.0, 120.0), hits=1, confidence=0.95).max() == 0
    assert sure_recall(recall, (46.0, 80.0), hits=9, confidence=0.95).max() == 0
    bounds = sure_recall(recall, (46.0, 80.0), hits=3, confidence=0.95)
    assert bounds[:3].tolist() == [0, 0, 0]
    assert bounds[3] > 0.9


def test_the_worst_size_counts() -> None:
    """Where small and large things are asked for together, the recall of those found least."""
    passes = [*_passes(100, 1.0, True), *_passes(100, 0.5, True, size_px=30.0, seed=2)]
    recall = recall_of(passes, threshold=0.5, what="made up here")
    both = sure_recall(recall, (26.0, 80.0), hits=1, confidence=0.95)
    assert both.max() < 0.6


def test_shipped_recall_is_of_worlds_kept_apart() -> None:
    """Neither trained on (1000 to 1899), nor chosen thresholds by (1900 to 1907), nor judged on (2000 to 2007)."""
    (recall,) = catalogue.entry("city-nano").recall
    assert min(recall.seeds) >= 2100
    assert sum(size.things[0] for size in recall.sizes) > 600
    for size in recall.sizes:
        for row in size.found:
            assert all(found <= of for found, of in zip(row, size.things, strict=True))
    assert recall.threshold == catalogue.entry("city-nano").thresholds["dump"]
