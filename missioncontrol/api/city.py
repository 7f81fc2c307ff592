"""/cameras, /layers, /tiles and /city: what the map is drawn of."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath

from geo.camera_library import cameras
from missioncontrol.errors import NotFound
from missioncontrol.layers import Layers
from missioncontrol.registry import Registry


@get("/cameras", tags=["city"])
async def all_cameras() -> list[dict[str, Any]]:
    """Cameras that a plan can name."""
    return [msgspec.to_builtins(model) for model in cameras().values()]


@get("/layers", tags=["city"])
async def all_layers(layers: NamedDependency[Layers]) -> list[dict[str, Any]]:
    """Rasters under the map."""
    return layers.public()


@get("/tiles/{layer:str}/{z:int}/{x:int}/{row:str}", media_type="image/png", tags=["city"])
async def tile(
    layer: FromPath[str], z: FromPath[int], x: FromPath[int], row: FromPath[str], layers: NamedDependency[Layers]
) -> Response[bytes]:
    """A tile of a raster: `{z}/{x}/{y}.png`, Web Mercator."""
    y, _, extension = row.partition(".")
    if extension != "png" or not y.isascii() or not y.isdigit():
        raise NotFound(f"no tile {row!r}; a tile ends in Y.png")
    png = await layers.tile(layer, z, x, int(y))
    return Response(png, media_type="image/png", headers={"Cache-Control": "private, max-age=3600"})


@get("/city/{theme:str}", tags=["city"])
async def city(theme: FromPath[str], registry: NamedDependency[Registry]) -> dict[str, Any]:
    """Buildings, parcels or permits of the city, as GeoJSON."""
    themes = {"buildings": registry.buildings, "parcels": registry.parcels, "permits": registry.permits}
    if theme not in themes:
        raise NotFound(f"no theme {theme!r}; there are: {', '.join(themes)}")
    return {"type": "FeatureCollection", "features": themes[theme].features}
