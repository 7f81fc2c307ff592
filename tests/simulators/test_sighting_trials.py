"""Trials of locating: ellipses hold the truth as often as they say, and many looks see better than one."""

from __future__ import annotations

import numpy as np
import pytest

from geo.accuracy import Coverage, circular_error_m
from simulators.sighting_trials import (
    ALONE,
    CONSUMER,
    RTK,
    SETTINGS,
    Setting,
    fused_looks,
    looks_among_buildings,
    single_looks,
)


@pytest.mark.parametrize("depression_deg", [90.0, 45.0, 25.0])
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_ellipses_of_single_looks_hold_the_truth_nine_times_in_ten(setting: Setting, depression_deg: float) -> None:
    """300 looks of ten flights: 0.90 within four standard errors; `scripts/measure_accuracy.py` takes many more."""
    trial = single_looks(setting, depression_deg, seeds=range(10), looks=30)
    assert len(trial.errors_m) > 290
    assert 0.83 < Coverage.of(trial.errors_m, trial.covariances_m2).share < 0.97


@pytest.mark.parametrize("depression_deg", [90.0, 45.0, 25.0])
def test_ellipses_among_buildings_hold_the_truth_nearly_as_often(depression_deg: float) -> None:
    """Also at walls, where a small error goes to a roof or past it."""
    for part in looks_among_buildings(CONSUMER, depression_deg, seeds=range(2), looks=60):
        assert len(part.errors_m) > 30
        assert Coverage.of(part.errors_m, part.covariances_m2).share > 0.75


@pytest.mark.parametrize("setting", [CONSUMER, RTK], ids=lambda setting: setting.name)
def test_a_thing_watched_for_minutes_is_placed_three_times_better_than_at_first_sight(setting: Setting) -> None:
    one, many = fused_looks(setting, 45.0, ALONE, seeds=range(16))
    assert circular_error_m(many.errors_m, 0.5) <= 0.35 * circular_error_m(one.errors_m, 0.5)
    assert Coverage.of(many.errors_m, many.covariances_m2).inside >= 11


def test_the_same_seeds_give_the_same_trial() -> None:
    once, again = (single_looks(CONSUMER, 45.0, seeds=range(3, 4), looks=5) for _ in range(2))
    np.testing.assert_array_equal(once.errors_m, again.errors_m)
    other = single_looks(CONSUMER, 45.0, seeds=range(4, 5), looks=5)
    assert not np.allclose(once.errors_m, other.errors_m)
