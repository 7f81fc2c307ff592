"""When the camera is triggered: by distance, by time, by command."""

from __future__ import annotations

import math
from collections.abc import Callable

from simulators.autopilot_guidance import Motion


class CameraTrigger:
    """Counts shots and decides when the next is due."""

    def __init__(self, shoot: Callable[[int], None]) -> None:
        """`shoot` is called with the number of each shot, from 1."""
        self.shots = 0
        self.distance_m = 0.0
        self._shoot = shoot
        self._last: tuple[float, float] | None = None
        self._interval_s = 0.0
        self._left = 0
        self._due_s = 0.0

    def shot(self) -> None:
        """Take one now."""
        self.shots += 1
        self._shoot(self.shots)

    def every_metres(self, distance_m: float, motion: Motion, *, at_once: bool) -> None:
        """Trigger each time the vehicle has gone so far over ground; 0 ends it."""
        self.distance_m = distance_m
        self._last = (motion.n, motion.e)
        if at_once and distance_m > 0.0:
            self.shot()

    def series(self, interval_s: float, count: int) -> None:
        """`count` shots, one each `interval_s`; 0 shots means until stopped, 1 means now."""
        if count == 1 or interval_s <= 0.0:
            self.shot()
            return
        self._interval_s, self._left, self._due_s = interval_s, count if count > 0 else -1, interval_s / 2.0

    def stop(self) -> None:
        """No more shots of a series."""
        self._left = 0

    def step(self, dt_s: float, motion: Motion) -> None:
        """Trigger if it is time."""
        if self.distance_m > 0.0 and self._last is not None:
            dn, de = motion.n - self._last[0], motion.e - self._last[1]
            if math.hypot(dn, de) >= self.distance_m:
                self._last = (motion.n, motion.e)
                self.shot()
        if self._left != 0:
            self._due_s -= dt_s
            if self._due_s <= 0.0:
                self._due_s += self._interval_s
                self._left -= 1 if self._left > 0 else 0
                self.shot()
