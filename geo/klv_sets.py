"""Sets and series inside items, as forms: structs that are written as items, one after another.

A struct that is written so has a field with a default for each named item, and `other` for the rest, which is kept
byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, TypeVar

import msgspec

from geo.errors import KlvInvalid
from geo.klv_forms import Form
from geo.klv_wire import MOST_TAG, ber_oid, item, nested_items, read_oid, read_series, series

T = TypeVar("T", bound=msgspec.Struct)


class SetForm(Generic[T]):
    """A struct as a local set; with an `identifier`, as a pack: that field in BER-OID form, then the set."""

    code = line = None

    def __init__(
        self,
        kind: type[T],
        items: Mapping[int, tuple[str, Form]],
        *,
        identifier: str = "",
        missing: Mapping[str, Any] | None = None,
    ) -> None:
        """`items` gives field and form by tag; `missing` what fields are whose items lack, where not their default."""
        self._kind, self._items, self._identifier = kind, dict(sorted(items.items())), identifier
        self._missing = dict(missing or {})

    def from_bytes(self, data: bytes, name: str) -> T:
        """The struct."""
        found: dict[str, Any] = dict(self._missing)
        other: list[tuple[int, bytes]] = []
        try:
            if self._identifier:
                found[self._identifier], at = read_oid(data, 0, len(data))
                data = data[at:]
            for tag, value in nested_items(data).items():
                if tag not in self._items or not value:  # an item of no length has no known value
                    other.append((tag, value))
                else:
                    field, form = self._items[tag]
                    found[field] = form.from_bytes(value, f"item {tag}")
            return self._kind(**found, other=tuple(other))
        except KlvInvalid as exc:
            raise KlvInvalid(f"{name}: {exc}") from exc

    def to_bytes(self, value: T, name: str) -> bytes:
        """The items, by rising tags. Raises KlvInvalid for a value that its item cannot hold."""
        written: list[tuple[int, bytes]] = []
        for tag, (field, form) in self._items.items():
            part = getattr(value, field)
            if part is not None and part != ():
                written.append((tag, item(tag, form.to_bytes(part, f"{name}: {field}"))))
        for tag, data in getattr(value, "other"):  # noqa: B009 - every kind has it, which a TypeVar cannot say
            if (tag in self._items and data) or not 0 < tag <= MOST_TAG:
                raise KlvInvalid(f"{name}: item {tag} cannot be among the other items: it has a field, or is no tag")
            written.append((tag, item(tag, data)))
        start = ber_oid(getattr(value, self._identifier)) if self._identifier else b""
        return start + b"".join(data for _, data in sorted(written, key=lambda pair: pair[0]))


class SeriesForm:
    """Values of one form behind their lengths; a tuple."""

    code = line = None

    def __init__(self, form: Form) -> None:
        """Of each element."""
        self._form = form

    def from_bytes(self, data: bytes, name: str) -> tuple[Any, ...]:
        """The elements."""
        try:
            elements = read_series(data)
        except KlvInvalid as exc:
            raise KlvInvalid(f"{name}: {exc}") from exc
        return tuple(self._form.from_bytes(element, f"{name}: element {i}") for i, element in enumerate(elements))

    def to_bytes(self, value: tuple[Any, ...], name: str) -> bytes:
        """The elements behind their lengths."""
        return series([self._form.to_bytes(element, f"{name}: element {i}") for i, element in enumerate(value)])


class RowForm:
    """Groups of numbers of fixed forms, one after another; whole groups may be missing at the end (a truncation pack).

    The value is a tuple of groups, each a tuple of numbers or None.
    """

    code = line = None

    def __init__(self, *groups: tuple[Any, ...]) -> None:
        """Each group is a tuple of forms that have a `size`."""
        self._groups = groups
        self._sizes = [sum(form.size for form in group) for group in groups]

    def from_bytes(self, data: bytes, name: str) -> tuple[tuple[Any, ...], ...]:
        """The groups that are there."""
        lengths = [sum(self._sizes[: i + 1]) for i in range(len(self._sizes))]
        if len(data) not in lengths:
            raise KlvInvalid(f"{name} is {len(data)} bytes, not {' or '.join(map(str, lengths))}")
        found, at = [], 0
        for group in self._groups[: lengths.index(len(data)) + 1]:
            numbers = []
            for form in group:
                numbers.append(form.from_bytes(data[at : at + form.size], name))
                at += form.size
            found.append(tuple(numbers))
        return tuple(found)

    def to_bytes(self, value: tuple[tuple[Any, ...], ...], name: str) -> bytes:
        """The bytes of the groups that are given."""
        if not 1 <= len(value) <= len(self._groups):
            raise KlvInvalid(f"{name} holds {len(value)} groups, not 1 to {len(self._groups)}")
        written = []
        for group, numbers in zip(self._groups, value, strict=False):
            if len(numbers) != len(group):
                raise KlvInvalid(f"{name} holds {len(numbers)} numbers where {len(group)} belong")
            written += [form.to_bytes(number, name) for form, number in zip(group, numbers, strict=True)]
        return b"".join(written)
