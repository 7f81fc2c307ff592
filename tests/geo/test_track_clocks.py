"""Two clocks of one vehicle, told apart by where both say that it was."""

import numpy as np
import pytest
from numpy.typing import NDArray

from geo.positions import LocalPlane
from geo.track_clocks import BIAS_M, TrackOffset, track_offset

PLANE = LocalPlane(lon=76.9, lat=43.2)
Array = NDArray[np.float64]


def lines(times_s: Array) -> Array:
    """To and fro at 8 m/s, 160 m long, 15 m apart."""
    row, along = np.divmod(8.0 * times_s, 160.0)
    return np.stack([np.where(row % 2, 160.0 - along, along), 15.0 * row], axis=-1)


def lonlat(metres: Array) -> Array:
    return np.stack(PLANE.to_lonlat(metres[:, 0], metres[:, 1]), axis=-1)


def offset_of(ahead_s: float, *, bias_m: float = 0.0, count: int = 160, shift_s: float = 0.0) -> TrackOffset | None:
    rng = np.random.default_rng(3)
    track_s, seen_s = np.arange(0.0, 160.0, 0.1), 40.0 + np.arange(count) / 4
    seen = lines(seen_s) + rng.normal(0, 0.3, (count, 2)) + (bias_m, 0.0)
    return track_offset(track_s, lonlat(lines(track_s)), seen_s - ahead_s + shift_s, lonlat(seen))


@pytest.mark.parametrize("ahead_s", [-25.0, -18.0, -3.0, -0.9, 0.9, 2.0, 18.0])
def test_clocks_that_are_apart_are_found_out_to_their_sigma(ahead_s: float) -> None:
    for bias_m in (0.0, BIAS_M / 2, -BIAS_M / 2):
        found = offset_of(ahead_s, bias_m=bias_m)
        assert found is not None
        assert found.offset_s == pytest.approx(ahead_s, abs=2 * found.sigma_s)
        assert 0.2 < found.sigma_s < 0.5


def test_receivers_that_differ_by_metres_are_no_clocks_apart() -> None:
    for bias_m in (0.0, 4.0, -4.0):
        assert offset_of(0.0, bias_m=bias_m) == TrackOffset(offset_s=0.0, sigma_s=0.0)
    assert offset_of(0.0, bias_m=60.0) == TrackOffset(offset_s=0.0, sigma_s=0.0)  # no time explains it


def test_places_that_tell_nothing_say_so() -> None:
    assert offset_of(0.0, count=19) is None
    assert offset_of(0.0, shift_s=1000.0) is None
    still = np.tile([76.9, 43.2], (100, 1))
    assert track_offset(np.arange(100.0), still, np.arange(100.0), still) is None
