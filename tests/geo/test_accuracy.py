"""Circular errors, coverage with its interval, and sigmas from known things."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest

from geo.accuracy import Coverage, circular_error_m, errors_m, fit_sigmas
from geo.fusion import Known, Sight
from geo.positions import Altitude, Datum, LocalPlane, Position
from tests.geo.test_fusion import THINGS, Errors, looks, position

KNOWN = {
    name: Known(position=position(*place, 800.0), covariance_m2=((1e-4, 0.0), (0.0, 1e-4)))
    for name, place in THINGS.items()
}


def test_intervals_are_those_of_clopper_and_pearson() -> None:
    """9 of 10: 0.5550 to 0.9975, as tables of exact binomial intervals have it."""
    coverage = Coverage.counted(9, 10)
    assert (coverage.low, coverage.high) == pytest.approx((0.5550, 0.9975), abs=5e-5)
    assert Coverage.counted(0, 5).low == 0.0
    assert Coverage.counted(5, 5).high == 1.0


def test_coverage_counts_what_lies_inside() -> None:
    errors = np.random.default_rng(1).multivariate_normal([0, 0], [[4, 1], [1, 2]], 20_000)
    coverage = Coverage.of(errors, np.broadcast_to([[4.0, 1.0], [1.0, 2.0]], (20_000, 2, 2)))
    assert coverage.share == pytest.approx(0.9, abs=0.01)


def test_circular_errors_are_radii() -> None:
    errors = np.stack([np.arange(1.0, 102.0), np.zeros(101)], axis=-1)
    assert circular_error_m(errors, 0.5) == pytest.approx(51.0)
    assert circular_error_m(errors, 0.9) == pytest.approx(91.0)


def test_errors_are_east_and_north_of_the_truth() -> None:
    plane = LocalPlane(lon=76.945, lat=43.205, height_m=800.0)
    lon, lat = plane.to_lonlat(3.0, -4.0)
    rng = np.random.default_rng(2)
    location = looks(0.0, Errors(rng), rng)["dump"]
    there = Position(lon=float(lon), lat=float(lat), altitude=Altitude(800.0, Datum.AMSL))
    sight = Sight(thing="dump", location=msgspec.structs.replace(location, position=there), utc_s=0.0)
    assert errors_m([sight], KNOWN)[0] == pytest.approx([3.0, -4.0], abs=1e-3)


def test_sigmas_are_found_that_were_three_times_too_small() -> None:
    """The heading wanders three times as much as was said; each look is of a flight of its own."""
    rng = np.random.default_rng(3)
    sights = []
    for flight in range(60):
        errors = Errors(rng)
        errors.turn[2] *= 3.0
        for thing, location in looks(rng.uniform(0, 360), errors, rng).items():
            sights.append(Sight(thing=thing, location=location, utc_s=0.0, flight=str(flight)))
    fit = fit_sigmas(sights, KNOWN, {"yaw": ("yaw",), "position": ("east", "north")})
    assert fit.scales["yaw"] == pytest.approx(3.0, rel=0.25)
    assert fit.scales["position"] == pytest.approx(1.0, rel=0.35)


def test_a_fit_needs_looks() -> None:
    with pytest.raises(ValueError, match="no looks"):
        fit_sigmas([], KNOWN, {"yaw": ("yaw",)})
