"""Tasks that are started again when what they lean on fails, and only then."""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable

import structlog

from missioncontrol.errors import RestartLimit

log = structlog.get_logger(__name__)


class Backoff:
    """How long to wait before the next start, and when to give up.

    The wait doubles from `first_s` to `longest_s` with each failure and begins anew
    after `calm_s` without one; more than `limit` failures within `calm_s` are too many.
    """

    def __init__(
        self,
        *,
        first_s: float = 0.5,
        longest_s: float = 30.0,
        calm_s: float = 120.0,
        limit: int | None = None,
        seed: int | None = None,
    ) -> None:
        """No limit where `limit` is None; `seed` fixes the jitter."""
        self._first_s, self._longest_s, self._calm_s, self._limit = first_s, longest_s, calm_s, limit
        self._random = random.Random(seed)
        self._failures: deque[float] = deque()

    def after_failure(self, now_s: float) -> float:
        """The wait after a failure at `now_s` (monotonic), s: half to all of the present step. Raises RestartLimit."""
        if self._failures and now_s - self._failures[-1] > self._calm_s:
            self._failures.clear()
        self._failures.append(now_s)
        recent = sum(1 for failure_s in self._failures if now_s - failure_s <= self._calm_s)
        if self._limit is not None and recent > self._limit:
            raise RestartLimit(f"{recent} failures within {self._calm_s:g} s")
        step_s = min(self._longest_s, self._first_s * 2.0 ** min(30, len(self._failures) - 1))
        while len(self._failures) > 1000:
            self._failures.popleft()
        return step_s * self._random.uniform(0.5, 1.0)


async def keep_running(
    name: str,
    run: Callable[[], Awaitable[None]],
    *,
    restart_on: tuple[type[Exception], ...],
    backoff: Backoff | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    monotonic: Callable[[], float] = time.monotonic,
) -> None:
    """Run until it returns; start it again after the errors named. Any other error is a bug and goes up."""
    backoff = backoff or Backoff()
    while True:
        try:
            return await run()
        except restart_on as exc:
            wait_s = backoff.after_failure(monotonic())
            log.warning("task failed, starting again", task=name, error=str(exc), wait_s=round(wait_s, 2))
        await sleep(wait_s)
