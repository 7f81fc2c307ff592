"""/cameras, /layers, /tiles and /city: what the map is drawn of."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import msgspec
from litestar import Response, get
from litestar.di import NamedDependency
from litestar.params import FromPath, HeaderParameter, QueryParameter

from geo.camera_library import cameras
from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.layers import Layers
from missioncontrol.registry import Registry

_MEDIA_TYPES = {"png": "image/png", "jpg": "image/jpeg", "webp": "image/webp"}


@get("/cameras", tags=["city"])
async def all_cameras() -> list[dict[str, Any]]:
    """Cameras that a plan can name."""
    return [msgspec.to_builtins(model) for model in cameras().values()]


@get("/layers", tags=["city"])
async def all_layers(layers: NamedDependency[Layers]) -> list[dict[str, Any]]:
    """Rasters under the map, and changes on it."""
    return await asyncio.to_thread(layers.public)


@get("/layers/{layer:str}/features", tags=["city"])
async def layer_features(layer: FromPath[str], layers: NamedDependency[Layers]) -> Response[bytes]:
    """The changes of a layer of changes, as `missioncontrol change` wrote them, GeoJSON."""
    return Response(await asyncio.to_thread(layers.changes, layer), media_type="application/geo+json")


Numbers = Annotated[str | None, QueryParameter(max_length=60, pattern=r"^-?[0-9.eE+-]+(,-?[0-9.eE+-]+){0,2}$")]
Known = Annotated[str, HeaderParameter(name="If-None-Match", max_length=2000)]


@get("/tiles/{layer:str}/{z:int}/{x:int}/{row:str}", tags=["city"])
async def tile(
    layer: FromPath[str],
    z: FromPath[int],
    x: FromPath[int],
    row: FromPath[str],
    layers: NamedDependency[Layers],
    bands: Numbers = None,
    rescale: Numbers = None,
    gamma: Annotated[float | None, QueryParameter(ge=0.1, le=10.0)] = None,
    colors: Annotated[str | None, QueryParameter(max_length=20)] = None,
    hillshade: Annotated[float | None, QueryParameter(ge=0.0, le=20.0)] = None,
    known: Known = "",
) -> Response[bytes | None]:
    """A tile of a raster: `{z}/{x}/{y}` with .png, .jpg or .webp, Web Mercator; parameters change the layer's style:
    bands (1 or 3 numbers), rescale (darkest,brightest), gamma, colors (a map of colours), hillshade."""
    y, _, form = row.partition(".")
    if not y.isascii() or not y.isdigit() or len(y) > 9:
        raise NotFound(f"no tile {row!r}; a tile ends in Y.png")
    given = {
        "bands": _numbers("bands", bands, int),
        "rescale": _numbers("rescale", rescale, float),
        "gamma": gamma,
        "colors": colors,
        "hillshade": hillshade,
    }
    changes = {name: value for name, value in given.items() if value is not None}
    found = await layers.tile(layer, z, x, int(y), form=form, changes=changes, known=known)
    headers = {"Cache-Control": "private, max-age=3600", "ETag": found.etag}
    if found.data is None:
        return Response(None, status_code=304, headers=headers)
    return Response(found.data, media_type=_MEDIA_TYPES[form], headers=headers)


def _numbers(name: str, text: str | None, kind: type[int] | type[float]) -> list[int] | list[float] | None:
    if text is None:
        return None
    try:
        return [kind(part) for part in text.split(",")]
    except ValueError:
        raise InputInvalid(f"{name}: {text!r} is not numbers with commas between") from None


@get("/city/{theme:str}", tags=["city"])
async def city(theme: FromPath[str], registry: NamedDependency[Registry]) -> dict[str, Any]:
    """Buildings, parcels or permits of the city, as GeoJSON."""
    themes = {"buildings": registry.buildings, "parcels": registry.parcels, "permits": registry.permits}
    if theme not in themes:
        raise NotFound(f"no theme {theme!r}; there are: {', '.join(themes)}")
    return {"type": "FeatureCollection", "features": themes[theme].features}
