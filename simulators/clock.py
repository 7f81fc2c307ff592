"""Simulated time: faster or slower than the wall's, and held up by whoever cannot follow."""

from __future__ import annotations

import asyncio
import math
import time

LEAST_NAP_S, LONGEST_NAP_S = 0.005, 0.05
"""How often sleepers look whether a held clock goes on, and whether the rate has changed, s of the wall."""


class SimClock:
    """UTC of the simulated world; every part of one simulation shares one. It never goes back.

    For one event loop, not for several threads.
    """

    def __init__(self, *, start_utc_s: float, speedup: float = 1.0) -> None:
        """Starts now at `start_utc_s`; `speedup` simulated seconds pass in one of the wall, or fewer once told."""
        if speedup <= 0:
            raise ValueError(f"speedup must be above 0, not {speedup:g}")
        self.speedup = speedup
        """The most simulated seconds in one of the wall."""
        self._start_utc_s = start_utc_s
        self._rate = speedup
        self._read_monotonic_s = time.monotonic()
        self._elapsed_s = 0.0
        self._holds: dict[object, tuple[float, float]] = {}

    @property
    def rate(self) -> float:
        """Simulated seconds in one of the wall while nobody holds it: above 0, at most `speedup`."""
        return self._rate

    @rate.setter
    def rate(self, rate: float) -> None:
        if not 0 < rate <= self.speedup:
            raise ValueError(f"rate must be above 0 and at most {self.speedup:g}, not {rate:g}")
        self.elapsed_s()
        self._rate = rate

    def hold(self, holder: object, elapsed_s: float, *, until_monotonic_s: float) -> None:
        """Let time go no further than `elapsed_s` simulated s after the start, for as long as the wall's clock is
        before `until_monotonic_s`. It takes the place of what `holder` held before."""
        self.elapsed_s()
        self._holds[holder] = elapsed_s, until_monotonic_s

    def utc_s(self) -> float:
        """Simulated s since 1970 UTC."""
        return self._start_utc_s + self.elapsed_s()

    def elapsed_s(self) -> float:
        """Simulated s since the start."""
        now_s = time.monotonic()
        held_at_s = min((at_s for at_s, until_s in self._holds.values() if now_s < until_s), default=math.inf)
        free_s = self._elapsed_s + (now_s - self._read_monotonic_s) * self._rate
        self._elapsed_s, self._read_monotonic_s = max(self._elapsed_s, min(free_s, held_at_s)), now_s
        return self._elapsed_s

    async def sleep(self, simulated_s: float) -> None:
        """Sleep so many simulated seconds."""
        await self.sleep_until(self.elapsed_s() + simulated_s)

    async def sleep_until(self, elapsed_s: float) -> None:
        """Sleep until so many simulated seconds after the start; others get a turn in any case."""
        left_s = elapsed_s - self.elapsed_s()
        await asyncio.sleep(min(LONGEST_NAP_S, max(0.0, left_s / self._rate)))
        while True:
            left_s = elapsed_s - self.elapsed_s()
            if left_s <= 0:
                return
            await asyncio.sleep(min(LONGEST_NAP_S, max(LEAST_NAP_S, left_s / self._rate)))
