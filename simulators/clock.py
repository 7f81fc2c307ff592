"""Simulated time, faster than the wall by a factor."""

from __future__ import annotations

import asyncio
import time


class SimClock:
    """UTC of the simulated world; every part of one simulation shares one."""

    def __init__(self, *, start_utc_s: float, speedup: float = 1.0) -> None:
        """Starts now at `start_utc_s`; `speedup` simulated seconds pass in one of the wall."""
        if speedup <= 0:
            raise ValueError(f"speedup must be above 0, not {speedup:g}")
        self.speedup = speedup
        self._start_utc_s = start_utc_s
        self._start_monotonic_s = time.monotonic()

    def utc_s(self) -> float:
        """Simulated s since 1970 UTC."""
        return self._start_utc_s + self.elapsed_s()

    def elapsed_s(self) -> float:
        """Simulated s since the start."""
        return (time.monotonic() - self._start_monotonic_s) * self.speedup

    async def sleep(self, simulated_s: float) -> None:
        """Sleep so many simulated seconds."""
        await asyncio.sleep(max(0.0, simulated_s / self.speedup))
