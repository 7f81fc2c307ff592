"""/views: who saw a place, when, and how well."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

import numpy as np
import shapely
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from missioncontrol.errors import InputInvalid
from missioncontrol.views import Views

At = Annotated[str | None, QueryParameter(description="A place: lon,lat in degrees.", max_length=60)]
Within = Annotated[
    str | None,
    QueryParameter(description="An area instead: GeoJSON Polygon, or lon,lat,lon,lat,...", max_length=20_000),
]
From = Annotated[str | None, QueryParameter(name="from", description="Not before, ISO 8601.", max_length=40)]
Until = Annotated[str | None, QueryParameter(name="to", description="Not after, ISO 8601.", max_length=40)]
Limit = Annotated[int, QueryParameter(description="Clips in one answer.", ge=1, le=1000)]
Before = Annotated[int | None, QueryParameter(description="`next` of the answer before, for more.")]


@get("/views", tags=["recordings"])
async def views(
    views: NamedDependency[Views],
    at: At = None,
    within: Within = None,
    from_utc: From = None,
    until_utc: Until = None,
    limit: Limit = 100,
    before: Before = None,
) -> dict[str, Any]:
    """Clips that show a place or part of an area, the latest first, each with its times and where it shows it best."""
    found, more = await views.of(
        _place(at, within),
        from_utc_s=moment("from", from_utc, -np.inf),
        until_utc_s=moment("to", until_utc, np.inf),
        limit=limit,
        before=before,
    )
    return {"type": "FeatureCollection", "features": [view.feature() for view in found], "next": more}


def moment(name: str, text: str | None, absent_s: float) -> float:
    """S since 1970 UTC of an ISO 8601 time; `absent_s` where there is none. Raises InputInvalid."""
    if text is None:
        return absent_s
    try:
        when = datetime.fromisoformat(text.replace(" ", "+"))  # a + that was not encoded comes as a blank
    except ValueError:
        raise InputInvalid(f"{name}: {text!r} is no time, as in 2026-05-01T08:30:00Z") from None
    if when.tzinfo is None:
        raise InputInvalid(f"{name}: {text!r} has no offset from UTC: add Z or +05:00")
    return when.timestamp()


def _place(at: str | None, within: str | None) -> shapely.Point | shapely.Polygon:
    if (at is None) == (within is None):
        raise InputInvalid("at, within: give one of the two")
    if within is not None and within.lstrip().startswith("{"):
        return _area(within)
    name, text = ("at", at) if at is not None else ("within", within)
    try:
        numbers = np.array([float(part) for part in (text or "").split(",")]).reshape(-1, 2)
    except ValueError:
        numbers = np.empty((0, 2))
    if len(numbers) < (1 if name == "at" else 3) or (name == "at" and len(numbers) > 1):
        wanted = "lon,lat in degrees" if name == "at" else "lon,lat of three corners or more in degrees"
        raise InputInvalid(f"{name}: {text!r}: give {wanted}")
    _check(name, numbers)
    return shapely.Point(numbers[0]) if name == "at" else shapely.Polygon(numbers)


def _area(text: str) -> shapely.Polygon:
    try:
        shape = shapely.from_geojson(text)
    except shapely.errors.ShapelyError as exc:
        raise InputInvalid(f"within: is no GeoJSON: {exc}") from None
    if not isinstance(shape, shapely.Polygon):
        raise InputInvalid(f"within: is a {shape.geom_type}; give a Polygon")
    _check("within", shapely.get_coordinates(shape))
    return shape


def _check(name: str, places: np.ndarray[Any, np.dtype[np.float64]]) -> None:
    if not np.all(np.isfinite(places)) or np.any(np.abs(places) > (180, 90)):
        raise InputInvalid(f"{name}: lon is -180 to 180 and lat -90 to 90 degrees")
