"""Wall time for records, as text and as numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], float]
"""Says the time: s since 1970 UTC."""


def iso_utc(utc_s: float) -> str:
    """RFC 3339 text, to the millisecond, of s since 1970 UTC."""
    return datetime.fromtimestamp(utc_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
