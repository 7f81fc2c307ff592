"""Whether a video can be believed: live, silent, frozen, garbage or late, told from what comes by a given clock."""

from __future__ import annotations

from collections import deque
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from aerial_models.video_options import VideoLimits

_SAME_SHARE = 0.6
"""Of samples that are equal where a picture is repeated: an encoder that gets one picture again and again makes the
same of it once it has settled; noise lets no more than 0.45 through a keyframe (measured, libx264, sigma 3, CRF 23)."""
_MOST_STEP = 16
"""Largest difference of a sample, of 255, by encoding and noise alone; where something moves it is more."""
_GREY = (126, 130)
_GREY_SHARE = 0.6
"""A decoder paints what it lacks in middle grey."""
_LEAST_PACKETS = 8
_MARK_STEP_S = 0.1


Camera = tuple[float, ...]
"""Where a camera is and looks, scaled so that a difference of 1 shows in any picture."""


class VideoState(StrEnum):
    """What may be thought of a video."""

    LIVE = "live"
    NO_VIDEO = "no_video"
    FROZEN = "frozen"
    GARBAGE = "garbage"
    STALE = "stale"


class VideoVerdict(msgspec.Struct, frozen=True):
    """A state and why."""

    state: VideoState
    """What may be thought of the video."""
    why: str
    """For people; empty while it is live."""


class VideoHealth:
    """Judges one video, through as many connections as it takes. Times are monotonic, s."""

    def __init__(self, now_s: float, limits: VideoLimits | None = None) -> None:
        """Nothing has come yet."""
        self._limits = limits or VideoLimits()
        self._came_s = self._changed_s = now_s
        self._luma: NDArray[np.uint8] | None = None
        self._moved: tuple[NDArray[np.uint8] | None, Camera | None] = None, None
        self._pts_s: float | None = None
        self._age_s: float | None = None
        self._grey = False
        self._broken_off: tuple[str, bool] = "", False
        self._counts: deque[tuple[float, int, int]] = deque()

    def saw(
        self,
        luma: NDArray[np.uint8],
        pts_s: float,
        now_s: float,
        *,
        age_s: float | None = None,
        camera: Camera | None = None,
    ) -> bool:
        """A frame came, with a sample of its luma (any shape, the same each time); whether it is worth a look.

        It is while the video is live, and not when it is the frame before again, or shows what an earlier one showed
        from another place. `age_s` is how long ago it was taken and `camera` where from, where that is known.
        """
        still = pts_s == self._pts_s or _steps(luma, self._moved[0]).max() <= _MOST_STEP
        repeated = pts_s == self._pts_s or (still and bool((_steps(luma, self._luma) == 0).mean() >= _SAME_SHARE))
        if not still:
            self._moved = luma, camera
        elsewhere = still and _apart(camera, self._moved[1]) > 1
        if not (repeated or elsewhere):
            self._changed_s = now_s
        self._luma, self._pts_s, self._came_s, self._age_s = luma, pts_s, now_s, age_s
        self._grey = bool(((luma >= _GREY[0]) & (luma <= _GREY[1])).mean() >= _GREY_SHARE)
        self._broken_off = "", False
        return not (repeated or elsewhere) and self.verdict(now_s).state is VideoState.LIVE

    def counted(self, decoded: int, broken: int, now_s: float) -> None:
        """How many frames and how many broken packets a connection has had so far; what precedes its first frame
        is no more than waiting for a keyframe."""
        if not decoded:
            return
        if self._counts and decoded + broken < self._counts[-1][1] + self._counts[-1][2]:
            self._counts.clear()  # another connection counts from the beginning
        self._counts.append((now_s, decoded, broken))
        while len(self._counts) > 1 and now_s - self._counts[0][0] > self._limits.garbage_s:
            self._counts.popleft()

    def ended(self, why: str, *, garbage: bool) -> None:
        """A connection failed or ended; `garbage` if what came over it was no video."""
        self._broken_off = why, garbage

    def verdict(self, now_s: float) -> VideoVerdict:
        """What may be thought of it now."""
        limits = self._limits
        decoded, broken = self._recent(now_s)
        reason, no_video_came = self._broken_off
        if no_video_came:
            return VideoVerdict(VideoState.GARBAGE, reason)
        if decoded + broken >= _LEAST_PACKETS and broken >= limits.garbage_share * (decoded + broken):
            return VideoVerdict(VideoState.GARBAGE, f"{broken} of {decoded + broken} packets cannot be decoded")
        if (silent_s := now_s - self._came_s) > limits.no_video_s:
            return VideoVerdict(VideoState.NO_VIDEO, reason or f"no frame for {silent_s:.1f} s")
        if self._grey:
            return VideoVerdict(VideoState.GARBAGE, "the decoder shows grey")
        if (still_s := self._came_s - self._changed_s) > limits.frozen_s:
            return VideoVerdict(VideoState.FROZEN, f"the same picture for {still_s:.1f} s")
        if self._age_s is not None and self._age_s > limits.stale_s:
            return VideoVerdict(VideoState.STALE, f"frames come {self._age_s:.1f} s late")
        return VideoVerdict(VideoState.LIVE, "")

    def _recent(self, now_s: float) -> tuple[int, int]:
        recent = [count for count in self._counts if now_s - count[0] <= self._limits.garbage_s]
        if not recent:
            return 0, 0
        return recent[-1][1] - recent[0][1], recent[-1][2] - recent[0][2]


class ClockMarks:
    """When another clock showed what: how long ago, by ours, a moment of it was. Its pace may be any."""

    def __init__(self) -> None:
        """Nothing is known of it yet."""
        self._marks: deque[tuple[float, float]] = deque(maxlen=600)

    def note(self, utc_s: float, now_s: float) -> None:
        """The other clock shows `utc_s` at `now_s` of ours (monotonic); one that jumps back begins anew."""
        if self._marks and utc_s < self._marks[-1][0]:
            self._marks.clear()
        if not self._marks or (now_s - self._marks[-1][1] >= _MARK_STEP_S and utc_s > self._marks[-1][0]):
            self._marks.append((utc_s, now_s))

    def age_s(self, utc_s: float, now_s: float) -> float | None:
        """How long ago the other clock showed `utc_s`, at least; 0 for what it has yet to show, None if unknown."""
        if not self._marks:
            return None
        theirs, ours = zip(*self._marks, strict=True)
        return 0.0 if utc_s > theirs[-1] else max(0.0, now_s - float(np.interp(utc_s, theirs, ours)))


def _steps(luma: NDArray[np.uint8], before: NDArray[np.uint8] | None) -> NDArray[np.int16]:
    if before is None or before.shape != luma.shape:
        return np.full((1, 1), 255, np.int16)
    return np.asarray(np.abs(luma.astype(np.int16) - before), np.int16)


def _apart(camera: Camera | None, before: Camera | None) -> float:
    return 0.0 if camera is None or before is None else float(np.hypot.reduce(np.subtract(camera, before)))
