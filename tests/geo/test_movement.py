"""Movers: place, speed and heading of what moves, with sigmas that are true."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from geo.movement import Motion, Mover

OWN = np.eye(2) * 0.5**2
COMMON = np.array([[4.0, 1.0], [1.0, 3.0]])
CHI2_90 = -2 * np.log(0.1)


def followed(
    rng: np.random.Generator, velocity: tuple[float, float], *, looks: int = 12, speed_sigma_m_s: float = 10.0
) -> tuple[Mover, NDArray[np.float64]]:
    """A thing that drives straight on, seen every half second with one common error: the mover, and its true place."""
    offset = rng.multivariate_normal([0, 0], COMMON)
    start = rng.uniform(-50, 50, 2)
    mover = None
    for number in range(looks):
        true = start + np.array(velocity) * 0.5 * number
        seen = true + offset + rng.normal(0, 0.5, 2)
        if mover is None:
            mover = Mover(seen, COMMON + OWN, own_m2=OWN, time_s=0.0, speed_sigma_m_s=speed_sigma_m_s, agility_m_s2=0.3)
        else:
            mover.predict(0.5 * number)
            mover.correct(seen, COMMON + OWN, OWN, 0.5 * number)
    assert mover is not None
    return mover, true


def test_speed_and_heading_are_those_of_the_thing_within_their_sigmas() -> None:
    rng = np.random.default_rng(1)
    inside_speed, inside_heading, speeds = [], [], []
    for _ in range(200):
        mover, _ = followed(rng, (6.0, -8.0))
        motion = mover.motion
        speeds.append(motion.speed_m_s)
        inside_speed.append(abs(motion.speed_m_s - 10.0) < motion.speed_sigma_m_s)
        off_deg = (motion.heading_deg - 143.13 + 180) % 360 - 180
        inside_heading.append(abs(off_deg) < motion.heading_sigma_deg)
    assert np.mean(speeds) == pytest.approx(10.0, abs=0.1)
    assert np.mean(inside_speed) > 0.6
    assert np.mean(inside_heading) > 0.6
    assert mover.motion.speed_sigma_m_s < 0.6
    assert mover.moves


def test_places_hold_the_truth_nine_times_in_ten_though_all_looks_err_alike() -> None:
    rng = np.random.default_rng(2)
    inside = []
    for _ in range(200):
        mover, true = followed(rng, (3.0, 1.0), looks=20)
        error = mover.place_m - true
        inside.append(error @ np.linalg.solve(mover.covariance_m2, error) < CHI2_90)
    assert 0.84 < np.mean(inside) < 0.96
    assert np.linalg.det(mover.covariance_m2) > 0.8 * np.linalg.det(COMMON)


def test_what_stands_is_not_said_to_move() -> None:
    rng = np.random.default_rng(3)
    moving = [followed(rng, (0.0, 0.0))[0].moves for _ in range(200)]
    assert np.mean(moving) < 0.04
    standing, _ = followed(rng, (0.0, 0.0), speed_sigma_m_s=0.0)
    assert not standing.moves
    assert standing.velocity_m_s == pytest.approx([0.0, 0.0])


def test_it_is_expected_further_on_and_vaguer_while_unseen() -> None:
    mover, _ = followed(np.random.default_rng(4), (6.0, -8.0))
    before, spread = mover.expected(OWN)
    mover.predict(mover.time_s + 4.0)
    after, wider = mover.expected(OWN)
    assert after - before == pytest.approx([24.0, -32.0], abs=3.0)
    assert np.linalg.det(wider) > 3 * np.linalg.det(spread)


def test_time_does_not_go_back() -> None:
    mover, _ = followed(np.random.default_rng(5), (6.0, -8.0))
    place = mover.place_m
    mover.predict(mover.time_s - 3.0)
    np.testing.assert_array_equal(mover.place_m, place)


@pytest.mark.parametrize(
    ("velocity", "heading_deg"), [((0.0, 2.0), 0.0), ((2.0, 0.0), 90.0), ((0.0, -2.0), 180.0), ((-2.0, 0.0), 270.0)]
)
def test_headings_are_clockwise_from_north(velocity: tuple[float, float], heading_deg: float) -> None:
    motion = Motion.of(np.array(velocity), np.diag([0.04, 0.04]))
    assert motion.heading_deg == pytest.approx(heading_deg)
    assert motion.speed_m_s == pytest.approx(2.0)
    assert motion.speed_sigma_m_s == pytest.approx(0.2)
    assert motion.heading_sigma_deg == pytest.approx(np.degrees(np.arctan(0.1)))


def test_a_heading_slower_than_its_error_may_be_any() -> None:
    assert Motion.of(np.array([0.1, 0.0]), np.eye(2)).heading_sigma_deg == 180.0
    assert Motion.of(np.zeros(2), np.eye(2)).heading_sigma_deg == 180.0
