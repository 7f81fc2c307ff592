"""When frames were taken: each joined to the metadata that the stream carries for it, or timed by another clock."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Generic, TypeVar

from aerial_models.frames import TimeSource
from geo.klv import UasMetadata

T = TypeVar("T")

_MAX_EXTRAPOLATION_S = 2.0
_DRIFT = 50e-6
"""Assumed of a quartz: by what share the clock of presentation times may run off another one."""
_PAIRED_SIGMA_S = 0.001
"""Of metadata with the very presentation time of the picture; ST 0604 stamps are finer, presentation times are not."""
_UNTIMED_SIGMA_S = 0.25
"""Assumed of metadata without a presentation time: it stands in the stream about where its picture does."""
_RTCP_SIGMA_S = 0.005
"""Assumed of a sender report: from reading the clock to stamping the packet."""
_WINDOW_FRAMES = 256
_JUMP_S = 5.0


@dataclass(frozen=True)
class FrameTime:
    """The moment of a frame by some clock."""

    utc_s: float
    """s since 1970 UTC."""
    sigma_s: float
    """One-sigma error against that clock, s."""
    source: TimeSource
    """Which clock."""


class MetadataJoiner(Generic[T]):
    """Pairs pictures and metadata by presentation time: the nearest within half a frame."""

    def __init__(self, *, waits: bool, interval_s: float, fixed_interval: bool = False) -> None:
        """`waits` for metadata at all; `interval_s` between frames until the pictures show it, always if it is fixed,
        as where pictures are left out."""
        self._waits, self._interval_s, self._fixed = waits, interval_s, fixed_interval
        self._pictures: deque[tuple[T, float]] = deque()
        self._metadata: deque[tuple[float, UasMetadata, float]] = deque(maxlen=256)
        self._steps_s: deque[float] = deque(maxlen=9)
        self._last_pts_s: float | None = None
        self._stands_s: float | None = None
        self._anchor: tuple[float, FrameTime] | None = None
        self._passed = 0

    def add_metadata(self, pts_s: float | None, metadata: UasMetadata) -> None:
        """Metadata of a presentation time; without one (ST 1402's asynchronous carriage) that of where it stands."""
        if pts_s is not None:
            self._metadata.append((pts_s, metadata, 0.0))
        elif self._stands_s is not None:
            self._metadata.append((self._stands_s, metadata, _UNTIMED_SIGMA_S))

    def pass_by(self, time_s: float) -> None:
        """The stream has come to an encoded picture of this time."""
        self._stands_s = time_s

    def add_picture(self, picture: T, pts_s: float) -> None:
        """A decoded picture."""
        if self._last_pts_s is not None and pts_s > self._last_pts_s:
            self._steps_s.append(pts_s - self._last_pts_s)
        self._last_pts_s, self._passed = pts_s, 0
        self._pictures.append((picture, pts_s))

    def leave_out(self) -> None:
        """A picture that is not decoded goes by."""
        self._passed += 1

    def ready(self, *, flush: bool = False) -> Iterator[tuple[T, float, UasMetadata | None, FrameTime | None]]:
        """Pictures whose metadata is here, or has had its time to come: three more pictures."""
        while self._pictures:
            picture, pts_s = self._pictures[0]
            come = any(at >= pts_s for at, _, _ in self._metadata)
            if self._waits and not come and not flush and len(self._pictures) + self._passed <= 3:
                return
            self._pictures.popleft()
            metadata, sigma_s = self._nearest(pts_s)
            yield picture, pts_s, metadata, self._time(pts_s, metadata, sigma_s)

    def _interval(self) -> float:
        if self._fixed or len(self._steps_s) <= 2:
            return self._interval_s
        return sorted(self._steps_s)[len(self._steps_s) // 2]

    def _nearest(self, pts_s: float) -> tuple[UasMetadata | None, float]:
        nearest = min(self._metadata, key=lambda m: abs(m[0] - pts_s), default=(math.inf, None, 0.0))
        at, metadata, own_sigma_s = nearest
        apart_s, interval_s = abs(at - pts_s), self._interval()
        sigma_s = _PAIRED_SIGMA_S if apart_s < _PAIRED_SIGMA_S else interval_s / math.sqrt(12)
        return (metadata, math.hypot(sigma_s, own_sigma_s)) if apart_s <= interval_s / 2 else (None, 0.0)

    def _time(self, pts_s: float, metadata: UasMetadata | None, sigma_s: float) -> FrameTime | None:
        if metadata is not None:
            self._anchor = (pts_s, FrameTime(metadata.utc_s, sigma_s, TimeSource.KLV))
            return self._anchor[1]
        if self._anchor is None or abs(pts_s - self._anchor[0]) > _MAX_EXTRAPOLATION_S:
            return None
        at, known = self._anchor
        return FrameTime(known.utc_s + pts_s - at, known.sigma_s + _DRIFT * abs(pts_s - at), TimeSource.KLV)


class SteadyArrival:
    """When frames come, less what the network delays one more than another."""

    def __init__(self) -> None:
        """Nothing has come."""
        self._delays_s: deque[float] = deque(maxlen=_WINDOW_FRAMES)
        self._last_pts_s = -math.inf

    def add(self, pts_s: float, received_s: float) -> float:
        """Presentation time on the clock of `received_s`, as the least delayed of the last frames tells it."""
        if not -1.0 < pts_s - self._last_pts_s < _JUMP_S:
            self._delays_s.clear()
        self._last_pts_s = pts_s
        self._delays_s.append(received_s - pts_s)
        return pts_s + min(self._delays_s)


def rtcp_time(pts_s: float, zero_utc_us: int | None) -> FrameTime | None:
    """By the first sender report, which says when presentation time 0 was (microseconds since 1970)."""
    if not zero_utc_us:
        return None
    return FrameTime(zero_utc_us / 1e6 + pts_s, _RTCP_SIGMA_S + _DRIFT * max(0.0, pts_s), TimeSource.RTCP)
