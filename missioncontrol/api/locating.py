"""/locate: where pixels of single pictures lie on the ground, with error ellipses."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Router, post
from litestar.di import NamedDependency
from litestar.params import FromQuery, JSONBody, QueryParameter, RawBody

from missioncontrol.errors import InputInvalid
from missioncontrol.locating import Aim, Locator, Sight, pixels_of

MOST_BYTES = 80_000_000
"""Of a photograph."""

Pixels = Annotated[list[str] | None, QueryParameter(description="X,Y from the top left; the middle where absent.")]
AimText = Annotated[
    str | None, QueryParameter(name="aim", description="Sigmas, boresight and the like as JSON.", max_length=4000)
]


@post("/", status_code=200)
async def sight(data: JSONBody[Sight], locator: NamedDependency[Locator]) -> dict[str, Any]:
    """Places of pixels of a camera whose pose is given, as GeoJSON."""
    return await asyncio.to_thread(locator.of_sight, data)


@post("/photo", status_code=200, request_max_body_size=MOST_BYTES)
async def photo(
    body: RawBody,
    locator: NamedDependency[Locator],
    pixel: Pixels = None,
    name: Annotated[str, QueryParameter(description="Of the file, for the answer.", max_length=200)] = "photo",
    camera: FromQuery[str | None] = None,
    ground_amsl_m: FromQuery[float | None] = None,
    aim_text: AimText = None,
) -> dict[str, Any]:
    """Places of pixels of a photograph, the body, that states its pose (EXIF and XMP), as GeoJSON."""
    try:
        aim = None if aim_text is None else msgspec.json.decode(aim_text, type=Aim)
    except msgspec.DecodeError as exc:
        raise InputInvalid(f"aim: {exc}") from exc
    return await asyncio.to_thread(
        locator.of_photo,
        body,
        pixels_of(pixel or []),
        name=name,
        camera=camera,
        ground_amsl_m=ground_amsl_m,
        aim=aim,
    )


router = Router("/locate", route_handlers=[sight, photo], tags=["locate"])
