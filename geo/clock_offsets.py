"""How far two clocks are apart, from one motion that both have timed: frames by pictures, telemetry by its sensors.

The motion of the picture between two frames is compared with what telemetry says of the same span, moved by a trial
offset. Each kind of motion may have a scale and a bias of its own (height, focal length), so that the likelihood of an
offset is that of the correlation: the best one is where the normalised cross correlation is highest. Its sigma comes
from how fast the expected motion changes with the offset and from the residuals as they are, neighbours' correlation
included.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import msgspec
import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.optimize import minimize_scalar

from geo.errors import OffsetUnknown

Array = NDArray[np.float64]

FEWEST_SPANS = 30
"""Fewer spans between frames say nothing."""
LEAST_SCORE = 0.5
"""A correlation below this is no match."""
LEAST_LEAD = 8.0
"""By how much (natural logarithm of likelihood) the best offset must beat any other peak."""
SLOW_S = 5.0
"""What changes over longer than this is not compared, s."""
SMOOTHING_S = 0.06
"""Telemetry is smoothed over so long (standard deviation of the weights), s, or over its neighbouring samples."""
_BINOMIAL, _MOST_PASSES = (1, 4, 6, 4, 1), 64
_ASIDE_STEPS = 8
_MOST_SHARE = 1 - 1e-9
_MOST_BLOCKS, _LEAST_BLOCK = 12, 5


@dataclass(frozen=True)
class Motions:
    """What moved between pairs of frames: arrays of one length."""

    start_s: Array
    """(n,) time of the first frame of each pair, s, on the frames' clock."""
    end_s: Array
    """(n,) time of the second."""
    values: Array
    """(n, k) motion of k kinds; NaN where it is not known."""


class ClockOffset(msgspec.Struct, frozen=True, kw_only=True):
    """How far the telemetry's clock is ahead of the frames'."""

    offset_s: float
    """To be added to the time of a frame to get telemetry's time of the same moment, s."""
    sigma_s: float
    """One-sigma error of it, s."""
    score: float
    """Normalised cross correlation at it: of the kind of motion that matches best."""
    spans: int
    """How many spans between frames it was found from."""


Expected = Callable[[float], Array]
"""What telemetry says of the motions (n, k) if it is ahead by so many s; NaN where it says nothing."""


def turning(motions: Motions, times_s: Array, angles_rad: Array) -> Expected:
    """Expected motions of a series of angles (m,) or (m, k), unwrapped, as of yaw, or of a gyro's rates summed up."""
    angles = Smooth(times_s, angles_rad.reshape(len(times_s), -1))

    def expected(offset_s: float) -> Array:
        return angles.at(motions.end_s + offset_s) - angles.at(motions.start_s + offset_s)

    return expected


class Smooth:
    """A series of samples (n, k), smoothed and interpolated so that what lies between is as noisy as the samples.

    On a straight line between two noisy samples the middle is less noisy than the ends: offsets halfway would seem
    likelier. Each sample is mixed with its neighbours on both sides, alike, over two samples or more and SMOOTHING_S
    or more, which moves nothing in time, and a cubic spline goes through what that gives.
    """

    def __init__(self, times_s: Array, values: Array) -> None:
        """Of samples by rising time, four at least."""
        interval_s = float(np.median(np.diff(times_s)))
        for _ in range(min(max(1, math.ceil((SMOOTHING_S / interval_s) ** 2)), _MOST_PASSES)):
            padded = np.concatenate([values[:1]] * 2 + [values] + [values[-1:]] * 2)
            mixed = np.zeros_like(values)
            for i, weight in enumerate(_BINOMIAL):
                mixed += weight / sum(_BINOMIAL) * padded[i : i + len(values)]
            values = mixed
        self._spline = CubicSpline(times_s, values, extrapolate=False)

    def at(self, times_s: Array) -> Array:
        """(m, k) values at times; NaN outside the samples."""
        return np.asarray(self._spline(times_s))


def clock_offset(
    motions: Motions,
    expected: Expected,
    *,
    span_s: float = 1.0,
    step_s: float = 0.02,
    most_sigma_s: float = 0.01,
    floor_s: float = 0.002,
) -> ClockOffset:
    """The offset within `span_s` to both sides. Raises OffsetUnknown, with the reason, where the motion does not tell.

    `step_s` is that of the search before it is refined; it must be finer than half a period of the motion. `floor_s`
    is the error of time stamps that all spans share, which no residual shows.
    """
    trials = np.arange(-span_s, span_s + step_s / 2, step_s)
    told = np.stack([expected(float(trial)) for trial in trials])
    known = np.flatnonzero(np.isfinite(motions.values).all(axis=1) & np.isfinite(told).all(axis=(0, 2)))
    if len(known) < FEWEST_SPANS:
        raise OffsetUnknown(f"{len(known)} spans between frames with telemetry around them; {FEWEST_SPANS} are needed")
    typical_s = float(np.median(motions.end_s - motions.start_s))
    half = max(3, round(SLOW_S / 2 / typical_s))
    seen, told = _quick(motions.values[known], half), _quick(told[:, known], half)
    shares = _shares(seen, told)
    scores = _likelihood(shares, len(known))
    best = int(np.argmax(scores))
    if scores[best] <= 0 or shares[best].max() < LEAST_SCORE**2:
        score = float(np.sqrt(shares[best].max()))
        raise OffsetUnknown(f"pictures and telemetry move alike to {score:.2f} at best; {LEAST_SCORE:g} is needed")
    around = slice(max(0, best - _ASIDE_STEPS), best + _ASIDE_STEPS + 1)
    if around.stop > len(trials) or best < _ASIDE_STEPS:
        raise OffsetUnknown(f"the clocks of frames and telemetry match best near the end of the search, {span_s:g} s")
    weights = len(known) / (1 - np.minimum(shares[best], _MOST_SHARE))
    naive_s2, spread_s2 = _variances(seen, told, weights, trials, around)
    sigma_s = float(np.sqrt(max(naive_s2, spread_s2)))
    if not sigma_s <= most_sigma_s:
        raise OffsetUnknown(f"too little motion: the offset would be known to {sigma_s:.3f} s, not {most_sigma_s:g} s")
    lead = (scores[best] - _second(scores, best)) / max(1.0, spread_s2 / naive_s2)
    if lead < LEAST_LEAD:
        raise OffsetUnknown("the motion repeats itself: more than one offset of the clocks explains it")
    found = minimize_scalar(
        lambda trial: -_likelihood(_shares(seen, _quick(expected(float(trial))[known][None], half)), len(known))[0],
        bounds=(trials[best - 1], trials[best + 1]),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return ClockOffset(
        offset_s=float(found.x),
        sigma_s=float(np.hypot(sigma_s, floor_s)),
        score=float(np.sqrt(shares[best].max())),
        spans=len(known),
    )


def _quick(values: Array, half: int) -> Array:
    """Series (..., n, k) less the means of `half` neighbours on either side.

    Slow changes tell little of time and much of what is not known well: the height above the ground, the wind.
    """
    count = values.shape[-2]
    summed = np.concatenate([np.zeros_like(values[..., :1, :]), np.cumsum(values, axis=-2)], axis=-2)
    first = np.maximum(np.arange(count) - half, 0)
    last = np.minimum(np.arange(count) + half + 1, count)
    return np.asarray(values - (summed[..., last, :] - summed[..., first, :]) / (last - first)[:, None])


def _shares(seen: Array, told: Array) -> Array:
    """(t, k) squared correlation of motions seen (n, k) and told (t, n, k); 0 where they go against each other."""
    together = np.einsum("nk,tnk->tk", seen, told)
    power = np.einsum("nk,nk->k", seen, seen) * np.einsum("tnk,tnk->tk", told, told)
    return np.asarray(np.maximum(together, 0.0) ** 2 / np.maximum(power, 1e-300))


def _likelihood(shares: Array, count: int) -> Array:
    """(t,) logarithm of the likelihood, over that of no relation, with scale, bias and noise of each kind free."""
    return np.asarray(-0.5 * count * np.log1p(-np.minimum(shares, _MOST_SHARE)).sum(axis=1))


def _variances(seen: Array, told: Array, weights: Array, trials: Array, around: slice) -> tuple[float, float]:
    """Variance of the offset, s2: what independent noise would give, and what the data say.

    For the latter the spans are cut into blocks, and the offset is found again without each: whatever the noise is, in
    the pictures or in telemetry, the results differ by it (the jackknife).
    """
    told, trials = told[around], trials[around]
    middle, aside_s = len(trials) // 2, float(trials[-1] - trials[0]) / 2
    lost = -(_shares(seen, told) * weights).sum(axis=1)
    bend = float(lost[0] + lost[-1] - 2 * lost[middle]) / aside_s**2
    if bend <= 0:
        return np.inf, np.inf
    without = []
    for block in np.array_split(np.arange(len(seen)), min(_MOST_BLOCKS, len(seen) // _LEAST_BLOCK)):
        kept = np.delete(np.arange(len(seen)), block)
        lost = -(_shares(seen[kept], told[:, kept]) * weights).sum(axis=1)
        least = int(np.clip(np.argmin(lost), 1, len(trials) - 2))
        before, here, after = lost[least - 1 : least + 2]
        curve = before - 2 * here + after
        moved = 0.5 * (before - after) / curve if curve > 0 else 0.0
        without.append(trials[least] + np.clip(moved, -1, 1) * (trials[1] - trials[0]))
    naive_s2, spread_s2 = 2.0 / bend, (len(without) - 1) * float(np.var(without))
    return naive_s2, max(spread_s2, naive_s2) * _disagreement(seen, told, weights, max(spread_s2 / naive_s2, 1.0))


def _disagreement(seen: Array, told: Array, weights: Array, inflation: float) -> float:
    """By how much kinds of motion differ in their own offsets beyond their variances, squared; 1 or more (Birge).

    A height that is not known well makes kinds of motion disagree, which none of them shows by itself.
    """
    lost = -_shares(seen, told) * weights
    before, here, after = lost[0], lost[len(lost) // 2], lost[-1]
    bend = before - 2 * here + after
    pulls = [(0.5 * (b - a) / c, 2.0 / c) for b, a, c in zip(before, after, bend, strict=True) if c > 0]
    if len(pulls) < 2:
        return 1.0
    tops, variances = np.array(pulls).T
    middle = float(np.average(tops, weights=1 / variances))
    return max(1.0, float(((tops - middle) ** 2 / variances).sum()) / inflation / (len(pulls) - 1))


def _second(scores: Array, best: int) -> float:
    """The highest other peak: beyond where the likelihood first rises again on either side."""
    left = best
    while left > 0 and scores[left - 1] <= scores[left]:
        left -= 1
    right = best
    while right < len(scores) - 1 and scores[right + 1] <= scores[right]:
        right += 1
    return float(max(scores[:left].max(initial=0.0), scores[right + 1 :].max(initial=0.0)))
