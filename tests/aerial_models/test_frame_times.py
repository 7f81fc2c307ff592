import math

import numpy as np
import pytest

from aerial_models.frame_times import MetadataJoiner, SteadyArrival, rtcp_time
from aerial_models.frames import TimeSource
from geo.klv import UasMetadata

UTC_S = 1_750_000_000.0


def times(joiner: MetadataJoiner[int], *, flush: bool = False) -> dict[int, float]:
    return {
        picture: utc.sigma_s
        for picture, _, _, utc in joiner.ready(flush=flush)
        if utc is not None and utc.source is TimeSource.KLV
    }


def test_the_error_of_a_time_grows_from_paired_to_near_to_carried_on() -> None:
    joiner: MetadataJoiner[int] = MetadataJoiner(waits=True, interval_s=0.1)
    joiner.add_metadata(0.0, UasMetadata(utc_s=UTC_S))
    joiner.add_metadata(0.14, UasMetadata(utc_s=UTC_S + 0.14))
    for i in range(12):
        joiner.add_picture(i, i / 10)
    sigma_s = times(joiner, flush=True)
    assert sigma_s[0] == 0.001
    assert sigma_s[1] == pytest.approx(0.1 / math.sqrt(12))
    assert sigma_s[2] == pytest.approx(0.1 / math.sqrt(12) + 50e-6 * 0.1)
    assert sigma_s[11] == pytest.approx(0.1 / math.sqrt(12) + 50e-6 * 1.0)


def test_pictures_that_are_left_out_do_not_widen_what_is_paired_and_end_the_wait() -> None:
    joiner: MetadataJoiner[int] = MetadataJoiner(waits=True, interval_s=0.1, fixed_interval=True)
    for second in range(5):
        joiner.add_picture(second, float(second))
        assert list(joiner.ready()) == []
        for _ in range(3):
            joiner.leave_out()
        joiner.add_metadata(second - 0.3, UasMetadata(utc_s=UTC_S + second - 0.3))
        ((_, _, metadata, _),) = joiner.ready()
        assert metadata is None


def test_steady_arrival_follows_the_least_delayed() -> None:
    random = np.random.default_rng(1)
    steady = SteadyArrival()
    pts_s = np.arange(300) / 25
    delays_s = 0.2 + random.exponential(0.05, 300)
    found = np.array([steady.add(pts, 50 + pts + delay) for pts, delay in zip(pts_s, delays_s, strict=True)])
    apart_s = found[100:] - (50 + pts_s[100:] + 0.2)
    assert (apart_s >= 0).all()
    assert apart_s.max() < 0.01
    assert np.std(delays_s) > 0.03  # what it takes away
    assert steady.add(3.0, 100.0) == 100.0  # a stream that begins anew


def test_a_sender_report_tells_the_moment_of_presentation_time_zero() -> None:
    assert rtcp_time(1.0, None) is None
    found = rtcp_time(20.0, round(UTC_S * 1e6))
    assert found is not None
    assert (found.utc_s, found.source) == (UTC_S + 20, TimeSource.RTCP)
    assert found.sigma_s == pytest.approx(0.006)
