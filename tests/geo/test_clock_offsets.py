import numpy as np
import pytest
from numpy.typing import NDArray

from geo.clock_offsets import ClockOffset, Motions, clock_offset, turning
from geo.errors import OffsetUnknown

Array = NDArray[np.float64]
OFFSET_S = 0.18


def swinging(rng: np.random.Generator, kinds: int, amplitude_rad: float, most_hz: float) -> Array:
    """Amplitudes, frequencies and phases (kinds, 3, 4) of angles."""
    return np.stack(
        [
            rng.uniform(0.3, 1, (kinds, 4)) * amplitude_rad,
            rng.uniform(0.1, most_hz, (kinds, 4)),
            rng.uniform(0, 2 * np.pi, (kinds, 4)),
        ],
        axis=1,
    )


def angles(swing: Array, times_s: Array) -> Array:
    amplitude, hertz, phase = swing[:, 0], swing[:, 1], swing[:, 2]
    return np.einsum("ka,tka->tk", amplitude, np.sin(2 * np.pi * hertz * times_s[:, None, None] + phase))


def found(
    seed: int,
    *,
    frames: int = 80,
    fps: float = 5.0,
    telemetry_hz: float = 10.0,
    kinds: int = 1,
    amplitude_rad: float = 0.06,
    most_hz: float = 0.7,
    scale: float = 1.04,
    picture_noise_rad: float = 0.0005,
    telemetry_noise_rad: float = 0.0035,
) -> ClockOffset:
    """The offset that is found of frames that are OFFSET_S behind."""
    rng = np.random.default_rng(seed)
    swing = swinging(rng, kinds, amplitude_rad, most_hz)
    at = np.arange(frames) / fps + rng.normal(0, 0.001, frames)
    told_at = np.arange(-2.0, frames / fps + 2.0, 1 / telemetry_hz)
    told = angles(swing, told_at)
    moved = angles(swing, at[1:] + OFFSET_S) - angles(swing, at[:-1] + OFFSET_S)
    motions = Motions(at[:-1], at[1:], scale * moved + rng.normal(0, picture_noise_rad, moved.shape) + 0.001)
    noisy = told + rng.normal(0, telemetry_noise_rad, told.shape)
    return clock_offset(motions, turning(motions, told_at, noisy))


@pytest.mark.parametrize(
    "case",
    [
        {},
        {"kinds": 3},
        {"fps": 25.0, "frames": 250, "telemetry_hz": 50.0, "telemetry_noise_rad": 0.001},
        {"telemetry_hz": 4.0, "telemetry_noise_rad": 0.001, "most_hz": 0.4},
        {"fps": 2.0},
        {"amplitude_rad": 0.2},
        {"picture_noise_rad": 0.003, "amplitude_rad": 0.1, "telemetry_noise_rad": 0.0005},
    ],
)
def test_the_offset_is_found_within_its_sigma(case: dict[str, float]) -> None:
    results = []
    for seed in range(40):
        try:
            results.append(found(seed, **case))  # type: ignore[arg-type]
        except OffsetUnknown:
            continue
    assert len(results) >= 30
    pulls = np.array([(result.offset_s - OFFSET_S) / result.sigma_s for result in results])
    assert np.mean(np.abs(pulls) < 1) > 0.5  # 0.68 of a normal error; sigmas are on the safe side
    assert np.mean(np.abs(pulls) < 2) > 0.88
    assert np.abs(pulls).max() < 4
    assert abs(np.mean(pulls)) < 0.6  # no bias to speak of
    assert np.median([result.sigma_s for result in results]) < 0.01


def test_a_known_offset_is_told_with_its_score_and_spans() -> None:
    result = found(3, telemetry_noise_rad=0.0, picture_noise_rad=0.0)
    assert result.offset_s == pytest.approx(OFFSET_S, abs=0.002)
    assert result.score > 0.999
    assert result.spans == 79
    assert 0.002 <= result.sigma_s < 0.004  # the floor of time stamps


@pytest.mark.parametrize(
    ("case", "why"),
    [
        ({"amplitude_rad": 0.0}, "move alike to"),
        ({"amplitude_rad": 0.004}, "too little motion|move alike to|repeats itself|near the end"),
        ({"frames": 25}, "24 spans between frames"),
    ],
)
def test_too_little_is_refused_with_the_reason(case: dict[str, float], why: str) -> None:
    with pytest.raises(OffsetUnknown, match=why):
        found(1, **case)  # type: ignore[arg-type]


def test_a_steady_turn_tells_nothing() -> None:
    at = np.arange(80) / 5
    motions = Motions(at[:-1], at[1:], np.full((79, 1), 0.02) + np.random.default_rng(1).normal(0, 1e-4, (79, 1)))
    told_at = np.arange(-2, 18, 0.1)
    with pytest.raises(OffsetUnknown):
        clock_offset(motions, turning(motions, told_at, 0.1 * told_at))


def test_a_swing_that_repeats_itself_is_refused() -> None:
    at = np.arange(200) / 10
    told_at = np.arange(-2, 23, 0.05)
    told = 0.1 * np.sin(2 * np.pi * 1.6 * told_at)
    moved = 0.1 * np.diff(np.sin(2 * np.pi * 1.6 * (at + OFFSET_S)))
    noise = np.random.default_rng(2).normal(0, 0.01, moved.shape)
    motions = Motions(at[:-1], at[1:], (moved + noise)[:, None])
    with pytest.raises(OffsetUnknown, match="repeats itself"):
        clock_offset(motions, turning(motions, told_at, told))


def test_an_offset_beyond_the_search_is_not_made_up() -> None:
    rng = np.random.default_rng(5)
    swing = swinging(rng, 1, 0.1, 0.3)
    at, told_at = np.arange(80) / 5, np.arange(-3, 20, 0.1)
    moved = np.diff(angles(swing, at + 1.15), axis=0)
    motions = Motions(at[:-1], at[1:], moved)
    with pytest.raises(OffsetUnknown):
        clock_offset(motions, turning(motions, told_at, angles(swing, told_at)), span_s=1.0)


def test_telemetry_that_ends_too_early_is_left_out() -> None:
    rng = np.random.default_rng(6)
    swing = swinging(rng, 1, 0.1, 0.6)
    at, told_at = np.arange(120) / 5, np.arange(-2, 15, 0.1)
    motions = Motions(at[:-1], at[1:], np.diff(angles(swing, at + OFFSET_S), axis=0))
    result = clock_offset(motions, turning(motions, told_at, angles(swing, told_at)))
    assert result.spans < 75
    assert result.offset_s == pytest.approx(OFFSET_S, abs=3 * result.sigma_s)
