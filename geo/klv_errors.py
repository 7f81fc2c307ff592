"""MISB ST 1010: standard deviations and correlations of items, packed as a triangle. Item 102 of ST 0601.

The unit of a deviation is taken to be that of its item. Experimental: no stream that carries item 102 was at hand.
Source: MISB ST 1010.3.
"""

from __future__ import annotations

import math
import struct

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import KlvInvalid
from geo.klv_forms import Imapb
from geo.klv_wire import ber_oid, read_oid

MOST_ROWS = 64
"""A larger matrix is refused."""
_FLOATS = {2: ">e", 4: ">f", 8: ">d"}
_CORRELATIONS = {size: Imapb(size, -1, 1) for size in range(1, 8)}
_WRITTEN_DEVIATION_BYTES, _WRITTEN_CORRELATION_BYTES = 4, 2


class Deviations(msgspec.Struct, frozen=True, kw_only=True):
    """The matrix of a pack."""

    deviations: tuple[float, ...]
    """One sigma of each item."""
    correlations: tuple[float, ...] = ()
    """Of items 1 and 2, 1 and 3, ..., 2 and 3, ...: the triangle above the diagonal, row by row; empty where none is
    given, and 0 where the pack leaves one out."""

    def covariance(self) -> NDArray[np.float64]:
        """The (n, n) covariance, in products of the items' units."""
        count = len(self.deviations)
        matrix = np.eye(count)
        if self.correlations:
            matrix[np.triu_indices(count, 1)] = self.correlations
            matrix = np.triu(matrix) + np.triu(matrix, 1).T
        sigmas = np.array(self.deviations)
        return np.asarray(matrix * np.outer(sigmas, sigmas))


def deviations_of(covariance: ArrayLike) -> Deviations:
    """The matrix of a covariance (n, n)."""
    matrix = np.asarray(covariance, float)
    sigmas = np.sqrt(np.diag(matrix))
    scale = np.outer(sigmas, sigmas)
    unit = np.divide(matrix, scale, out=np.zeros_like(matrix), where=scale > 0)
    above = np.clip(unit[np.triu_indices(len(sigmas), 1)], -1, 1)
    return Deviations(deviations=tuple(sigmas.tolist()), correlations=tuple(above.tolist()) if above.any() else ())


def encode(errors: Deviations) -> bytes:
    """The pack: deviations as 4-byte floats, correlations (where there are any) in 2 bytes each. Raises KlvInvalid."""
    count, size = len(errors.deviations), _WRITTEN_CORRELATION_BYTES if errors.correlations else 0
    if not 1 <= count <= MOST_ROWS:
        raise KlvInvalid(f"a matrix of {count} items cannot be written: not within 1 to {MOST_ROWS}")
    if size and len(errors.correlations) != count * (count - 1) // 2:
        raise KlvInvalid(f"{len(errors.correlations)} correlations of {count} items: not {count * (count - 1) // 2}")
    if not all(0 <= sigma <= 3e38 for sigma in errors.deviations):
        raise KlvInvalid(f"deviations {errors.deviations} cannot be written: not all within 0 to 3e38")
    control = bytes((0x80 | 0x10 | size, _WRITTEN_DEVIATION_BYTES))  # mode 2: correlations IMAPB, deviations IEEE
    deviations = struct.pack(f">{count}f", *errors.deviations)
    correlations = [_CORRELATIONS[size].to_bytes(value, "correlation") for value in errors.correlations]
    return ber_oid(count) + control + deviations + b"".join(correlations)


def decode(pack: bytes) -> Deviations:
    """What a pack of mode 1 or 2 says; deviations of mode 1 are read as IEEE floats. Raises KlvInvalid."""
    count, at = read_oid(pack, 0, len(pack))
    if not 1 <= count <= MOST_ROWS:
        raise KlvInvalid(f"item 102: a matrix of {count} items: not within 1 to {MOST_ROWS}")
    control = pack[at : at + 2]
    if not control or (control[0] & 0x80 and len(control) < 2):
        raise KlvInvalid("item 102: the pack ends before its parse control")
    if control[0] & 0x80:
        sparse, deviation_size, correlation_size = control[0] & 0x20, control[1] & 0x0F, control[0] & 0x0F
        deviation_maps, correlation_maps = control[1] & 0x10, control[0] & 0x10
        at += 2
    else:
        sparse, deviation_size, correlation_size = control[0] & 0x08, control[0] >> 4 & 0x07, control[0] & 0x07
        deviation_maps, correlation_maps = 0, 1
        at += 1
    if deviation_maps or deviation_size not in _FLOATS:
        raise KlvInvalid(f"item 102: deviations of {deviation_size} bytes that are no IEEE floats are not read")
    if correlation_size and correlation_size not in (_CORRELATIONS if correlation_maps else _FLOATS):
        raise KlvInvalid(f"item 102: correlations of {correlation_size} bytes")
    cells = count * (count - 1) // 2 if correlation_size else 0
    given = [True] * cells
    if sparse:
        vector = pack[at : at + (cells + 7) // 8]
        at += (cells + 7) // 8
        given = [bool(int.from_bytes(vector[i // 8 : i // 8 + 1], "big") & 0x80 >> i % 8) for i in range(cells)]
    if len(pack) != at + count * deviation_size + sum(given) * correlation_size:
        raise KlvInvalid(f"item 102: a matrix of {count} items does not fill {len(pack)} bytes")
    deviations = [_float(pack[at + i * deviation_size :][:deviation_size], "deviation") for i in range(count)]
    at += count * deviation_size
    correlations = []
    for there in given:
        value: float | None = 0.0
        if there:
            data = pack[at : at + correlation_size]
            at += correlation_size
            maps = _CORRELATIONS.get(correlation_size)
            value = maps.from_bytes(data, "correlation") if correlation_maps and maps else _float(data, "correlation")
        if value is None or not -1 <= value <= 1:
            raise KlvInvalid("item 102: a correlation beyond 1")
        correlations.append(value)
    if min(deviations) < 0:
        raise KlvInvalid("item 102: a deviation below 0")
    return Deviations(deviations=tuple(deviations), correlations=tuple(correlations))


def _float(data: bytes, name: str) -> float:
    value = float(struct.unpack(_FLOATS[len(data)], data)[0])
    if not math.isfinite(value):
        raise KlvInvalid(f"item 102: a {name} that is no number")
    return value
