"""The clock of a video's frames, brought to the clock of telemetry by the motion that both have seen."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence

import numpy as np

from geo.clock_offsets import FEWEST_SPANS, ClockOffset, Motions, clock_offset
from geo.errors import OffsetUnknown
from geo.frame_motion import PoseTrack, moving
from geo.poses import Pose

DRIFT = 50e-6
"""Assumed of quartzes: by what share two clocks may run apart."""
JITTER_S = 0.003
"""Assumed of one frame's time stamp against its neighbours', s."""


class FrameClock:
    """Learns how far telemetry's clock is ahead of the frames', and says when frames were taken by telemetry's clock.

    What was learnt is used until it is learnt again; its sigma grows as clocks may drift.
    """

    def __init__(self, *, window_s: float = 60.0, span_s: float = 1.0, most_sigma_s: float = 0.01) -> None:
        """Learns from the last `window_s` of motion, an offset within `span_s`, and believes it to `most_sigma_s`."""
        self.known: ClockOffset | None = None
        """What was learnt last."""
        self.refused = "no motion seen yet"
        """Why nothing was learnt the last time; "" where it was."""
        self._window_s, self._span_s, self._most_sigma_s = window_s, span_s, most_sigma_s
        self._spans: deque[tuple[float, float, tuple[float, float, float]]] = deque()
        self._learnt_s = -math.inf

    def add(self, start_s: float, end_s: float, motion: tuple[float, float, float]) -> None:
        """What moved from one frame to the next: turn (rad), right, down (focal lengths), as `picture_motion` has it.

        Times are the frames' own; one that jumps back makes a new beginning.
        """
        if self._spans and end_s <= self._spans[-1][1]:
            self.restart()
        self._spans.append((start_s, end_s, motion))
        while self._spans[0][0] < end_s - self._window_s:
            self._spans.popleft()

    def restart(self) -> None:
        """Forget everything: the frames have another clock now."""
        self._spans.clear()
        self.known, self.refused, self._learnt_s = None, "no motion seen yet", -math.inf

    @property
    def wanted_s(self) -> tuple[float, float] | None:
        """From when to when poses are wanted to learn from, on telemetry's clock; None while there is too little."""
        if len(self._spans) < FEWEST_SPANS:
            return None
        return self._spans[0][0] - self._span_s, self._spans[-1][1] + self._span_s

    def learn(self, poses: Sequence[Pose], ground_m: float) -> ClockOffset | None:
        """Learn from the camera's poses by telemetry, by rising time, over flat ground at a height of their datum.

        None, and `refused` says why, where they do not tell; then what was known stays.
        """
        if len(poses) < FEWEST_SPANS:
            self.refused = f"{len(poses)} poses of the time of the frames; {FEWEST_SPANS} are needed"
            return None
        starts, ends, values = zip(*self._spans, strict=True)
        motions = Motions(np.array(starts), np.array(ends), np.array(values))
        expected = moving(motions, PoseTrack(poses), ground_m)
        try:
            learnt = clock_offset(motions, expected, span_s=self._span_s, most_sigma_s=self._most_sigma_s)
        except OffsetUnknown as exc:
            self.refused = str(exc)
            return None
        self.known, self.refused, self._learnt_s = learnt, "", ends[-1]
        return learnt

    def moment(self, utc_s: float, sigma_s: float) -> tuple[float, float]:
        """Telemetry's time of a frame, and its sigma, s; the frame's own, as it came, before anything was learnt."""
        if self.known is None:
            return utc_s, sigma_s
        drift_s = DRIFT * abs(utc_s - self._learnt_s)
        return utc_s + self.known.offset_s, math.hypot(self.known.sigma_s, JITTER_S, drift_s)
