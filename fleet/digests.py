"""SHA-256 of many signed frames at once, for the signatures of MAVLink 2.

A signature is the first 48 bits of SHA-256 over key, header, payload, CRC, link id and timestamp. A call of hashlib
costs more than the hash of so few bytes, so frames are hashed side by side, each in a lane of the processor's vectors.
Source: FIPS 180-4, and https://mavlink.io/en/guide/message_signing.html.
"""

from __future__ import annotations

import numpy as np
from numba import njit, types
from numpy.typing import NDArray

from fleet.columns import LENGTH, START

KEY_BYTES = 32
LANES = 16
MOST_BLOCKS = 6
"""Of 64 bytes: key, longest frame, and the end mark of SHA-256."""


def _root_fractions(count: int, power: int) -> NDArray[np.uint32]:
    """First 32 bits of the fractions of the square (2) or cube (3) roots of the first primes."""
    primes: list[int] = []
    candidate = 2
    while len(primes) < count:
        if all(candidate % prime for prime in primes):
            primes.append(candidate)
        candidate += 1
    fractions = []
    for prime in primes:
        low, high = 0, 1 << 40
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if middle**power <= prime << 32 * power else (low, middle)
        fractions.append(low & 0xFFFFFFFF)
    return np.array(fractions, np.uint32)


SHA_START = _root_fractions(8, 2)
SHA_ROUNDS = _root_fractions(64, 3)
"""The constants of SHA-256: of the state, and of the rounds."""

_WORDS = types.Array(types.uint32, 2, "C")
_CONSTANTS = types.Array(types.uint32, 1, "C")
_COMPRESS_SIGNATURE = types.void(_WORDS, _WORDS, _WORDS, _CONSTANTS)  # type: ignore[no-untyped-call, unused-ignore]


@njit(inline="always")  # type: ignore[misc, unused-ignore]
def _turned(word: np.uint32, bits: int) -> np.uint32:
    return np.uint32((word >> np.uint32(bits)) | (word << np.uint32(32 - bits)))


@njit(_COMPRESS_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def _compress(
    words: NDArray[np.uint32], state: NDArray[np.uint32], work: NDArray[np.uint32], rounds: NDArray[np.uint32]
) -> None:
    """One block of each lane: `words` (64, LANES) with its first 16 rows filled, into `state` (8, LANES)."""
    for t in range(16, 64):
        for lane in range(LANES):
            near, far = words[t - 2, lane], words[t - 15, lane]
            low = _turned(far, 7) ^ _turned(far, 18) ^ (far >> np.uint32(3))
            high = _turned(near, 17) ^ _turned(near, 19) ^ (near >> np.uint32(10))
            words[t, lane] = np.uint32(words[t - 16, lane] + low + words[t - 7, lane] + high)
    a, b, c, d, e, f, g, h = work[0], work[1], work[2], work[3], work[4], work[5], work[6], work[7]
    for row in range(8):
        for lane in range(LANES):
            work[row, lane] = state[row, lane]
    for t in range(64):
        constant = rounds[t]
        for lane in range(LANES):
            av, bv, ev, fv, gv = a[lane], b[lane], e[lane], f[lane], g[lane]
            one = np.uint32(
                h[lane]
                + (_turned(ev, 6) ^ _turned(ev, 11) ^ _turned(ev, 25))
                + ((ev & fv) ^ (~ev & gv))
                + constant
                + words[t, lane]
            )
            two = np.uint32(
                (_turned(av, 2) ^ _turned(av, 13) ^ _turned(av, 22)) + ((av & bv) ^ (av & c[lane]) ^ (bv & c[lane]))
            )
            h[lane], g[lane], f[lane] = gv, fv, ev
            e[lane] = np.uint32(d[lane] + one)
            d[lane], c[lane], b[lane] = c[lane], bv, av
            a[lane] = np.uint32(one + two)
    for row in range(8):
        for lane in range(LANES):
            state[row, lane] += work[row, lane]


_DIGESTS_SIGNATURE = types.void(  # type: ignore[no-untyped-call, unused-ignore]
    types.Bytes(types.uint8, 1, "C", readonly=True),
    types.Array(types.int32, 2, "C"),
    types.Array(types.int32, 1, "C"),
    types.int64,
    types.Array(types.uint8, 1, "C", readonly=True),
    _CONSTANTS,
    _CONSTANTS,
    types.Array(types.int64, 1, "C"),
)


@njit(_DIGESTS_SIGNATURE, cache=True)  # type: ignore[misc, unused-ignore]
def digests(
    stream: bytes,
    found: NDArray[np.int32],
    rows: NDArray[np.int32],
    count: int,
    key: NDArray[np.uint8],
    start: NDArray[np.uint32],
    rounds: NDArray[np.uint32],
    out: NDArray[np.int64],
) -> None:
    """What the signatures of the first `count` signed frames in `rows` must be, as little-endian 48-bit numbers.

    `found` is a framer's table over `stream`, `key` has 32 bytes; `start` and `rounds` are SHA_START and SHA_ROUNDS.
    """
    words = np.empty((64, LANES), np.uint32)
    state = np.empty((8, LANES), np.uint32)
    work = np.empty((8, LANES), np.uint32)
    padded = np.empty((LANES, MOST_BLOCKS * 64), np.uint8)
    padded[:, :32] = key
    blocks = np.zeros(LANES, np.int64)
    for first in range(0, count, LANES):
        lanes = min(LANES, count - first)
        most = 0
        for lane in range(lanes):
            row = rows[first + lane]
            at = np.int64(found[row, START])
            size = np.int64(found[row, LENGTH]) - 6
            blocks[lane] = (32 + size + 9 + 63) // 64
            end = 64 * blocks[lane]
            text = padded[lane]
            for i in range(size):
                text[32 + i] = stream[at + i]
            text[32 + size] = 0x80
            for i in range(33 + size, end - 2):
                text[i] = 0
            text[end - 2] = (8 * (32 + size)) >> 8
            text[end - 1] = (8 * (32 + size)) & 0xFF
            most = max(most, blocks[lane])
        for row in range(8):
            for lane in range(LANES):
                state[row, lane] = start[row]
        for block in range(most):
            for lane in range(lanes):
                text = padded[lane, 64 * block : 64 * block + 64]
                for t in range(16):
                    words[t, lane] = (
                        np.uint32(text[4 * t]) << np.uint32(24)
                        | np.uint32(text[4 * t + 1]) << np.uint32(16)
                        | np.uint32(text[4 * t + 2]) << np.uint32(8)
                        | np.uint32(text[4 * t + 3])
                    )
            _compress(words, state, work, rounds)
            for lane in range(lanes):
                if block == blocks[lane] - 1:
                    high, low = state[0, lane], state[1, lane]
                    value = np.int64(0)
                    for i in range(4):
                        value |= np.int64((high >> np.uint32(24 - 8 * i)) & np.uint32(0xFF)) << (8 * i)
                    for i in range(2):
                        value |= np.int64((low >> np.uint32(24 - 8 * i)) & np.uint32(0xFF)) << (32 + 8 * i)
                    out[first + lane] = value
