"""/features: shapes out of people's files, to be planned over."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import shapely
from litestar import Request, post
from litestar.params import QueryParameter

from geo.area_files import features_of
from missioncontrol.api.access import requires
from missioncontrol.people import Role

MOST_BYTES = 64_000_000


@post(
    "/features",
    guards=[requires(Role.OPERATOR, Role.ADMINISTRATOR)],
    status_code=200,
    request_max_body_size=MOST_BYTES,
    tags=["missions"],
)
async def read(
    request: Request[Any, Any, Any],
    name: Annotated[str, QueryParameter(min_length=1, max_length=200, description="The file's name.")],
    crs: Annotated[str | None, QueryParameter(max_length=200, description="Of a file that does not say it.")] = None,
) -> dict[str, Any]:
    """The polygons, lines and points of a file (GeoJSON, KML, KMZ, zipped Shapefile, GeoPackage), in WGS 84."""
    content = await request.body()
    shapes = await asyncio.to_thread(features_of, name, content, crs=crs)
    return {
        "type": "FeatureCollection",
        "features": [
            {
                "type": "Feature",
                "geometry": shapely.geometry.mapping(shape.geometry),
                "properties": {**shape.attributes, "name": shape.name},
            }
            for shape in shapes
        ],
    }
