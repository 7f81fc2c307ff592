"""/views: who saw a place, when, and how well."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
from litestar import get
from litestar.di import NamedDependency
from litestar.params import QueryParameter

from missioncontrol.views import Views, moment, place_of

At = Annotated[str | None, QueryParameter(description="A place: lon,lat in degrees.", max_length=60)]
Within = Annotated[
    str | None,
    QueryParameter(description="An area instead: GeoJSON Polygon, or lon,lat,lon,lat,...", max_length=20_000),
]
From = Annotated[str | None, QueryParameter(name="from", description="Not before, ISO 8601.", max_length=40)]
Until = Annotated[str | None, QueryParameter(name="to", description="Not after, ISO 8601.", max_length=40)]
Limit = Annotated[int, QueryParameter(description="Clips in one answer.", ge=1, le=1000)]
Before = Annotated[int | None, QueryParameter(description="`next` of the answer before, for more.", ge=0, le=10**18)]


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
        place_of(at, within),
        from_utc_s=moment("from", from_utc, -np.inf),
        until_utc_s=moment("to", until_utc, np.inf),
        limit=limit,
        before=before,
    )
    return {"type": "FeatureCollection", "features": [view.feature() for view in found], "next": more}
