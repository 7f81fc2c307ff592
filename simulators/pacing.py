"""Simulated time that waits for the machine: no frame is exposed before the last one was drawn and looked at.

A camera's shutter holds up the clock of the whole simulation, so that vehicles, telemetry and video stay together;
the clock's rate then follows what it reaches, so that it seldom has to be held.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable

import httpx
import structlog

from simulators.clock import SimClock

SLOWEST = 0.25
"""Shutters hold time up to no fewer simulated seconds in one of the wall on the average."""
PATIENCE_S = 4.0
"""And for no longer at once, s of the wall: video that says nothing for 5 s is given up."""
HEADROOM = 1.15
"""The clock is to go so many times as fast as it lately did."""
PERIOD_S = 0.5
"""How often its rate is set, s of the wall."""
ASK_S = 0.04
"""Mission control is asked no more often, s of the wall."""
DRAWN_BY = 0.99
"""A frame is to be drawn by this part of the way to the next: later, and the camera would skip the next."""

_log = structlog.get_logger(__name__)
_LOOKED_AT = re.compile(r'^missioncontrol_frames_total\{vehicle="([^"]*)"\} (\S+)$', re.MULTILINE)


class Looks:
    """How many frames of each vehicle mission control has looked at, as its metrics say."""

    def __init__(self, http: httpx.AsyncClient, url: str) -> None:
        """`url` is that of the metrics."""
        self._http, self._url = http, url
        self._asking = asyncio.Lock()
        self._asked_monotonic_s = 0.0
        self._counts: dict[str, int] = {}
        self._answered = True

    async def count(self, vehicle: str, *, beyond: int) -> int:
        """Frames looked at so far, asked for unless more than `beyond` are known; with no answer, the last known."""
        called_monotonic_s = time.monotonic()
        if self._counts.get(vehicle, 0) <= beyond:
            async with self._asking:
                if self._asked_monotonic_s <= called_monotonic_s:  # nobody asked while we waited
                    await asyncio.sleep(self._asked_monotonic_s + ASK_S - called_monotonic_s)
                    self._asked_monotonic_s = time.monotonic()
                    await self._ask()
        return self._counts.get(vehicle, 0)

    async def _ask(self) -> None:
        try:
            answer = (await self._http.get(self._url)).raise_for_status().text
        except httpx.HTTPError as exc:
            if self._answered:
                _log.warning("mission control does not say what it has looked at", url=self._url, reason=repr(exc))
            self._answered = False
            return
        self._answered = True
        self._counts = {vehicle: int(float(count)) for vehicle, count in _LOOKED_AT.findall(answer)}


class Shutter(SimClock):
    """The clock of one camera, which holds up the clock of all.

    Time stands still at a moment of exposure until the camera's last frame is drawn and, while that is wanted, looked
    at; but it is not held beyond SLOWEST and PATIENCE_S.
    """

    def __init__(self, clock: SimClock, looks: Looks, vehicle: str, fps: float, wanted: Callable[[], bool]) -> None:
        """Frames of `vehicle`, by the name that mission control gives it, come `fps` in a simulated second of `clock`;
        while they are `wanted` each is to be looked at."""
        super().__init__(start_utc_s=clock.utc_s(), speedup=clock.speedup)
        self._clock, self._interval_s = clock, 1 / fps
        self._vehicle, self._looks, self._wanted = vehicle, looks, wanted
        self._seen = 0
        self._exposed = False
        self._answers = True
        self._until_monotonic_s = time.monotonic()

    def utc_s(self) -> float:
        """Simulated s since 1970 UTC, of the clock of all."""
        return self._clock.utc_s()

    def elapsed_s(self) -> float:
        """Simulated s since the start of the clock of all."""
        return self._clock.elapsed_s()

    async def sleep(self, simulated_s: float) -> None:
        """Sleep to the next moment of exposure, and until the last frame is dealt with."""
        due_s = self.elapsed_s() + simulated_s
        self._clock.hold(self, due_s, until_monotonic_s=self._until_monotonic_s)
        await self._clock.sleep_until(due_s)
        if self._exposed:
            await self._looked_at()
        self._exposed = True
        now_s = time.monotonic()
        saved_s = max(0.0, self._until_monotonic_s - now_s)
        self._until_monotonic_s = now_s + min(PATIENCE_S, saved_s + self._interval_s / SLOWEST)
        drawn_s = due_s + DRAWN_BY * self._interval_s
        self._clock.hold(self, drawn_s, until_monotonic_s=self._until_monotonic_s)

    async def _looked_at(self) -> None:
        """Until one more frame was looked at than at the last exposure; one that never is, is waited for once."""
        while self._wanted():
            before, self._seen = self._seen, await self._looks.count(self._vehicle, beyond=self._seen)
            if self._seen > before:
                self._answers = True
            elif self._answers and time.monotonic() < self._until_monotonic_s:
                continue
            else:
                self._answers = False
            return
        self._answers = True


async def follow(clock: SimClock) -> None:
    """Have the clock go a little faster than it lately did, since what holds it up is then rare. Until cancelled."""
    while True:
        elapsed_s, monotonic_s = clock.elapsed_s(), time.monotonic()
        await asyncio.sleep(PERIOD_S)
        reached = (clock.elapsed_s() - elapsed_s) / (time.monotonic() - monotonic_s)
        clock.rate = min(clock.speedup, max(SLOWEST, HEADROOM * reached))
