from __future__ import annotations

import numpy as np
import pytest

from missioncontrol.crowds import CrowdRule, Crowds, groups, turmoil_m
from missioncontrol.looks import CROWD, Look
from tests.missioncontrol.test_sightings import LOOKER, pose, seen

RULE = CrowdRule(persons=12, radius_m=10.0, turmoil_m_s=0.45)


def look_at(places: np.ndarray, utc_s: float) -> list[Look]:
    at = pose(0.0, 0.0, utc_s)
    return LOOKER.looks(seen(at, [(float(x), float(y)) for x, y in places], "person", 6.0), at)


def crowd_of(count: int, radius_m: float, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    angle, away = rng.uniform(0, 2 * np.pi, count), np.sqrt(rng.random(count)) * radius_m
    return np.stack([np.cos(angle), np.sin(angle)], axis=1) * away[:, None]


def test_only_dense_groups_are_groups() -> None:
    dense = crowd_of(25, 6.0, 1)
    (members,) = groups(np.concatenate([dense, [[40.0, 0.0], [43.0, 2.0]]]), RULE)
    assert len(members) == 25
    scattered = np.random.default_rng(2).uniform(-40, 40, (25, 2))
    assert groups(scattered, RULE) == []


@pytest.mark.parametrize("seed", range(5))
def test_a_brawl_is_told_and_a_calm_gathering_is_not(seed: int) -> None:
    rng = np.random.default_rng(seed)
    people = crowd_of(40, 8.0, seed)
    calm, brawl = Crowds(RULE), Crowds(RULE)
    assert calm.add(look_at(people, 0.0), 0.0) == []
    assert brawl.add(look_at(people, 0.0), 0.0) == []
    assert calm.add(look_at(people + rng.normal(0, 0.08, people.shape), 1.0), 1.0) == []
    (crowd,) = brawl.add(look_at(people + rng.normal(0, 1.2, people.shape), 1.0), 1.0)
    assert crowd.label == CROWD


def test_what_all_move_together_does_not_count() -> None:
    people = crowd_of(40, 8.0, 3)
    assert turmoil_m(people, people + np.array([0.5, -0.3]), 10.0) < 0.05
    assert turmoil_m(people, people + np.random.default_rng(0).normal(0, 1.2, people.shape), 10.0) > 0.4


def test_frames_too_far_apart_are_not_compared() -> None:
    crowds = Crowds(RULE)
    crowds.add(look_at(crowd_of(40, 8.0, 1), 0.0), 0.0)
    assert crowds.add(look_at(crowd_of(40, 8.0, 2), 9.0), 9.0) == []


def test_jitter_of_boxes_between_quick_frames_is_no_motion() -> None:
    rng = np.random.default_rng(4)
    people, crowds = crowd_of(40, 8.0, 4), Crowds(RULE)
    for t in np.arange(0.0, 4.0, 0.25):
        assert crowds.add(look_at(people + rng.normal(0, 0.09, people.shape), float(t)), float(t)) == []
