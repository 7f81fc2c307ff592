"""Validity: from which day until which a building permit of a register counts, however its days are written."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any

FROM, UNTIL = "valid_from", "valid_until"
CUT = 10
"""Characters of a field's name that a Shapefile keeps: there valid_until is called valid_unti."""
_YEAR_FIRST = re.compile(r"(\d{4})([-/.])(\d{1,2})\2(\d{1,2})(?:[T ].*)?")
_DAY_FIRST = re.compile(r"(\d{1,2})\.(\d{1,2})\.(\d{4})(?:[T ].*)?")
_EIGHT = re.compile(r"(\d{4})(\d{2})(\d{2})")


def validity(record: Mapping[str, Any]) -> tuple[date, date]:
    """First and last day of a permit, by its fields valid_from and valid_until; one that is empty leaves its side open.

    Days are 2026-05-31, 2026/05/31, 20260531 or 31.05.2026, with or without a time, which is left alone. Raises
    ValueError for a field that is not there at all, for what is no such day, for both empty, and for an end before the
    beginning.
    """
    begins, ends = _day(record, FROM), _day(record, UNTIL)
    if begins is None and ends is None:
        raise ValueError(f"{FROM} and {UNTIL} are both empty: it would count for ever")
    first, last = begins or date.min, ends or date.max
    if last < first:
        raise ValueError(f"{UNTIL} {last} is before {FROM} {first}")
    return first, last


def _day(record: Mapping[str, Any], field: str) -> date | None:
    found = [name for name in record if name.lower() in (field, field[:CUT])]
    if not found:
        raise ValueError(f"has no {field}; it has: {', '.join(sorted(record)) or 'nothing'}")
    value = record[found[0]]
    text = "" if value is None else str(value).strip()
    if not text:
        return None
    year_first, day_first, eight = _YEAR_FIRST.fullmatch(text), _DAY_FIRST.fullmatch(text), _EIGHT.fullmatch(text)
    try:
        if year_first:
            return date(int(year_first[1]), int(year_first[3]), int(year_first[4]))
        if day_first:
            return date(int(day_first[3]), int(day_first[2]), int(day_first[1]))
        if eight:
            return date(int(eight[1]), int(eight[2]), int(eight[3]))
    except ValueError:
        pass
    raise ValueError(f"{found[0]} {text[:40]!r} is no day: write it as 2026-05-31 or 31.05.2026")
