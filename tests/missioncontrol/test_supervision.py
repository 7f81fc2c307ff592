"""Restarting: how long it waits, and when it gives up."""

from __future__ import annotations

import pytest

from missioncontrol.errors import RestartLimit
from missioncontrol.supervision import Backoff, keep_running


def test_waits_double_up_to_the_longest_with_half_of_jitter() -> None:
    backoff = Backoff(first_s=1.0, longest_s=8.0, calm_s=1000.0, seed=1)
    waits = [backoff.after_failure(now_s) for now_s in range(6)]
    for wait_s, step_s in zip(waits, (1, 2, 4, 8, 8, 8), strict=True):
        assert step_s / 2 <= wait_s <= step_s
    assert len(set(waits)) == 6


def test_after_a_calm_time_it_begins_anew() -> None:
    backoff = Backoff(first_s=1.0, longest_s=64.0, calm_s=10.0)
    for now_s in range(5):
        backoff.after_failure(now_s)
    assert backoff.after_failure(100.0) <= 1.0


def test_too_many_failures_in_a_short_time_are_the_end() -> None:
    backoff = Backoff(limit=3, calm_s=10.0)
    for now_s in (0.0, 1.0, 2.0):
        backoff.after_failure(now_s)
    with pytest.raises(RestartLimit, match=r"4 failures within 10 s"):
        backoff.after_failure(3.0)


async def test_what_is_named_is_tried_again_and_anything_else_goes_up() -> None:
    slept: list[float] = []
    calls = 0

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def run() -> None:
        nonlocal calls
        calls += 1
        if calls < 3:
            raise ConnectionError("gone")
        raise ZeroDivisionError("a bug")

    with pytest.raises(ZeroDivisionError):
        await keep_running("task", run, restart_on=(OSError,), sleep=sleep, monotonic=lambda: 0.0)
    assert calls == 3
    assert len(slept) == 2


async def test_a_task_that_ends_by_itself_is_not_started_again() -> None:
    calls = 0

    async def run() -> None:
        nonlocal calls
        calls += 1

    await keep_running("task", run, restart_on=(OSError,))
    assert calls == 1
