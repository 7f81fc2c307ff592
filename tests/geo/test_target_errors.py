"""CE90 and LE90: known values, Monte Carlo, and the terms of KLV and Cursor on Target."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import chi2, norm

from geo.target_errors import LE90_SIGMAS, circular_error_m, cot_errors, klv_errors, linear_error_m


@pytest.mark.parametrize("probability", [0.5, 0.9, 0.95, 0.999])
def test_circles_and_lines_have_known_radii(probability: float) -> None:
    circle = math.sqrt(chi2.ppf(probability, 2))
    assert circular_error_m(np.diag([9.0, 9.0]), probability) == pytest.approx(3 * circle, rel=1e-6)
    line = norm.ppf(0.5 + probability / 2)
    assert circular_error_m(np.diag([0.0, 4.0]), probability) == pytest.approx(2 * line, rel=1e-6)
    assert circular_error_m(np.diag([1e-6, 4.0]), probability) == pytest.approx(2 * line, rel=1e-5)
    assert circular_error_m(np.zeros((2, 2)), probability) == 0.0


@pytest.mark.parametrize("ratio", [0.02, 0.1, 0.3, 0.6, 0.9])
def test_the_circle_holds_what_it_promises(ratio: float) -> None:
    """Against 400 000 draws, turned; one sigma of the share held is 0.0008 at most."""
    turn = np.array([[math.cos(0.5), -math.sin(0.5)], [math.sin(0.5), math.cos(0.5)]])
    drawn = np.random.default_rng(2).normal(0, [5.0, 5.0 * ratio], (400_000, 2)) @ turn.T
    covariance = turn @ np.diag([25.0, 25.0 * ratio**2]) @ turn.T
    for probability in (0.5, 0.9):
        radius_m = circular_error_m(covariance, probability)
        assert np.mean(np.hypot(*drawn.T) < radius_m) == pytest.approx(probability, abs=0.004)


def test_the_terms_of_klv_and_cot() -> None:
    covariance = np.diag([4.0, 4.0, 9.0])
    klv, cot = klv_errors(covariance), cot_errors(covariance)
    assert klv.target_ce90_m == pytest.approx(2 * 2.145966, rel=1e-6)
    assert klv.target_le90_m == pytest.approx(3 * LE90_SIGMAS) == linear_error_m(3.0)
    assert pytest.approx(norm.ppf(0.95)) == LE90_SIGMAS
    assert (cot.ce, cot.le) == pytest.approx((2.0, 3.0), rel=1e-6)
    longer = cot_errors(np.diag([4.0, 1.0, 9.0]))
    assert 1.0 < longer.ce < 2.0


def test_what_is_no_probability_is_refused() -> None:
    with pytest.raises(ValueError, match="between 0 and 1"):
        circular_error_m(np.eye(2), 1.0)
