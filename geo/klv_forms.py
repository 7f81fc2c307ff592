"""How MISB standards write numbers and texts as bytes: linear maps, ST 1201 IMAPB, whole numbers, moments, texts.

A form reads bytes to a value, or None where they say that the value is unknown or out of range, and writes it back.
"""

from __future__ import annotations

import math
from typing import Any, Protocol

from geo.errors import KlvInvalid
from geo.klv_wire import read_text, text_bytes

LAST_UTC_S = 2**53 / 1e6
"""2255: a moment after it is no time, and not exact in microseconds, s since 1970 UTC."""
_INVALID = b"\xc1"
_SLACK = 2.0**-16
"""What is added before a number of steps is cut to a whole one, so that what was read is written as the same bytes."""

Line = tuple[float, float, float, int | None]
"""Zero, span, steps, and the integer that says unknown: a value is zero + integer * span / steps."""


class Form(Protocol):
    """Reads and writes the value of an item."""

    @property
    def code(self) -> str | None:
        """What `struct` calls an integer of this form, where it has one size."""

    @property
    def line(self) -> Line | None:
        """How that integer is a number; None where the integer is the value, or there is none."""

    def from_bytes(self, data: bytes, name: str) -> Any:
        """The value. Raises KlvInvalid, naming it."""

    def to_bytes(self, value: Any, name: str) -> bytes:
        """The bytes. Raises KlvInvalid for a value that they cannot hold."""


class Linear:
    """A number spread evenly over an integer of `size` bytes (ST 0601 before revision 9).

    A signed one is symmetric about 0; its lowest integer says out of range, or that the place is not on the earth.
    """

    def __init__(self, size: int, low: float, high: float, *, signed: bool = False) -> None:
        """From `low` to `high`."""
        self.size, self.low, self.high, self.signed = size, low, high, signed
        self.zero = 0.0 if signed else low
        self.span = high if signed else high - low
        self.steps = (1 << (8 * size - (1 if signed else 0))) - 1
        self._lowest, self._highest = (-self.steps if signed else 0) - 0.5, self.steps + 0.499
        self.unknown = -self.steps - 1 if signed else None
        self.code: str | None = _code(size, signed)
        self.line: Line = (self.zero, self.span, float(self.steps), self.unknown)

    def from_bytes(self, data: bytes, name: str) -> float | None:
        """The number of `size` bytes."""
        if len(data) != self.size:
            raise KlvInvalid(f"{name} is {len(data)} bytes, not {self.size}")
        number = int.from_bytes(data, "big", signed=self.signed)
        return None if number == self.unknown else self.zero + number * self.span / self.steps

    def to_bytes(self, value: float | None, name: str) -> bytes:
        """The bytes of a number within half a step of the range; None is written as unknown where there is a way."""
        if value is None:
            if self.unknown is None:
                raise KlvInvalid(f"{name} has no way to say unknown")
            return self.unknown.to_bytes(self.size, "big", signed=True)
        steps = (value - self.zero) * self.steps / self.span
        if not self._lowest <= steps <= self._highest:  # false for NaN, too
            raise KlvInvalid(f"{name} {value:g} cannot be written: not within {self.low:g} to {self.high:g}")
        return round(steps).to_bytes(self.size, "big", signed=self.signed)


class Imapb:
    """A number mapped to an integer of any length by a power of two, so that 0 is exact (MISB ST 1201, IMAPB)."""

    code = line = None

    def __init__(self, size: int, low: float, high: float) -> None:
        """From `low` to `high`; written in `size` bytes, read from 1 to 8."""
        self.size, self.low, self.high = size, low, high
        self._maps = [self._map(length) for length in range(9)]

    def _map(self, length: int) -> tuple[float, float]:
        """Integers per unit and the offset that makes 0 exact, for a length in bytes (ST 1201, 8.1.2)."""
        exponent = 8 * length - 1 - math.ceil(math.log2(self.high - self.low))
        scale = math.ldexp(1.0, exponent)
        zero = scale * self.low
        return scale, zero - math.floor(zero) if self.low < 0 < self.high else 0.0

    def from_bytes(self, data: bytes, name: str) -> float | None:
        """The number; None for a special value (below or above the range, infinite, not a number, reserved)."""
        length = len(data)
        if not 1 <= length <= 8:
            raise KlvInvalid(f"{name} is {length} bytes, not 1 to 8")
        number = int.from_bytes(data, "big")
        if number > 1 << (8 * length - 1):
            return None
        scale, offset = self._maps[length]
        value = (number - offset) / scale + self.low
        if abs(value) * scale < _SLACK:
            return 0.0
        return max(value, self.low) if value <= self.high else None

    def to_bytes(self, value: float | None, name: str) -> bytes:
        """The `size` bytes of a number within the range; None is written as invalid (ST 0903, 9.1.1)."""
        if value is None:
            return _INVALID + bytes(self.size - 1)
        if not self.low <= value <= self.high:  # false for NaN, too
            raise KlvInvalid(f"{name} {value:g} cannot be written: not within {self.low:g} to {self.high:g}")
        scale, offset = self._maps[self.size]
        return math.floor(scale * (value - self.low) + offset + _SLACK).to_bytes(self.size, "big")


class Whole:
    """A whole number: of `size` bytes, or, where it is variable, of at most so many and written as short as it is."""

    line = None

    def __init__(self, size: int, *, signed: bool = False, variable: bool = False) -> None:
        """Unsigned and of fixed size unless said."""
        self.size, self.signed, self.variable = size, signed, variable
        self.code = None if variable else _code(size, signed)

    def from_bytes(self, data: bytes, name: str) -> int:
        """The number."""
        if not (1 if self.variable else self.size) <= len(data) <= self.size:
            raise KlvInvalid(f"{name} is {len(data)} bytes, not {'1 to ' * self.variable}{self.size}")
        return int.from_bytes(data, "big", signed=self.signed)

    def to_bytes(self, value: int, name: str) -> bytes:
        """The bytes of a number that fits."""
        size = self.size
        if self.variable:
            size = max(1, ((value if value >= 0 else ~value).bit_length() + 7 + self.signed) // 8)
        try:
            if size > self.size:
                raise OverflowError
            return value.to_bytes(size, "big", signed=self.signed)
        except OverflowError as exc:
            raise KlvInvalid(f"{name} {value} cannot be written: not within {self.size} bytes") from exc


class Moment:
    """A moment in s since 1970, written in microseconds (ST 0603 precision time stamp)."""

    def __init__(self, *, variable: bool = False) -> None:
        """In 8 bytes; where `variable`, in at most 8."""
        self._number = Whole(8, variable=variable)
        self.code = self._number.code
        self.line: Line = (0.0, 1.0, 1e6, None)

    def from_bytes(self, data: bytes, name: str) -> float:
        """The moment, to a quarter of a microsecond in this century."""
        return self._number.from_bytes(data, name) / 1e6

    def to_bytes(self, value: float, name: str) -> bytes:
        """The bytes of a moment from 1970 on."""
        if not 0 <= value <= LAST_UTC_S:
            raise KlvInvalid(f"{name} {value:g} cannot be written: not within 0 to {LAST_UTC_S:g}")
        return self._number.to_bytes(round(value * 1e6), name)


class Text:
    """UTF-8 of at most so many bytes."""

    code = line = None

    def __init__(self, most_bytes: int = 127) -> None:
        """What is written is held to `most_bytes`; what is read is not."""
        self._most_bytes = most_bytes

    def from_bytes(self, data: bytes, name: str) -> str:
        """The text."""
        return read_text(data, name)

    def to_bytes(self, value: str, name: str) -> bytes:
        """The bytes of a text that is not empty."""
        return text_bytes(value, name, self._most_bytes)


class Opaque:
    """Bytes that are kept as they are: a set or pack that is read when asked for."""

    code = line = None

    def from_bytes(self, data: bytes, name: str) -> bytes:
        """The same."""
        return data

    def to_bytes(self, value: bytes, name: str) -> bytes:
        """The same."""
        return value


def _code(size: int, signed: bool) -> str:
    code = {1: "b", 2: "h", 4: "i", 8: "q"}[size]
    return code if signed else code.upper()
