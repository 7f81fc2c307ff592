"""When a raster was taken, as its own tags say."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date

DATE_TAGS = ("ACQUISITION_DATE", "ACQUISITIONDATETIME", "TIFFTAG_DATETIME")
"""Tags of a GeoTIFF that say when it was taken, the most telling first."""


def taken_on(tags: Mapping[str, str]) -> date | None:
    """The day, as written; None where the tags do not say."""
    for name in DATE_TAGS:
        try:
            return date.fromisoformat(tags.get(name, "")[:10].replace(":", "-"))
        except ValueError:
            continue
    return None
