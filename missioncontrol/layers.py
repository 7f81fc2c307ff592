"""Rasters drawn under the map."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import rasterio
from rasterio.warp import transform_bounds

from missioncontrol.errors import NotFound, SettingsInvalid
from missioncontrol.settings import LayerSettings


class Layers:
    """The layers of the settings, cut into tiles."""

    def __init__(self, settings: tuple[LayerSettings, ...]) -> None:
        """Looks at each file once. Raises SettingsInvalid for one that cannot be drawn."""
        self._layers = {layer.name: layer for layer in settings}
        self._bounds = {layer.name: _bounds(layer) for layer in settings}
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tiles")

    def public(self) -> list[dict[str, Any]]:
        """The layers as the API lists them."""
        return [
            {
                "name": layer.name,
                "title": layer.title,
                "kind": "raster",
                "tiles": f"/tiles/{layer.name}/{{z}}/{{x}}/{{y}}.png",
                "bounds": self._bounds[layer.name],
                "minzoom": layer.minzoom,
                "maxzoom": layer.maxzoom,
            }
            for layer in self._layers.values()
        ]

    async def tile(self, name: str, z: int, x: int, y: int) -> bytes:
        """A 256 px Web Mercator tile, PNG. Raises NotFound."""
        layer = self._layers.get(name)
        if layer is None:
            raise NotFound(f"no layer {name!r}; there are: {', '.join(self._layers) or 'none'}")
        if not (0 <= z <= 24 and 0 <= x < 2**z and 0 <= y < 2**z):
            raise NotFound(f"no tile {z}/{x}/{y}")
        from geo.tiles import tile

        return await asyncio.get_running_loop().run_in_executor(self._threads, tile, layer.path, z, x, y)


def _bounds(layer: LayerSettings) -> tuple[float, float, float, float]:
    """West, south, east, north, deg."""
    try:
        with rasterio.open(layer.path, driver="GTiff") as raster:
            if raster.crs is None:
                raise SettingsInvalid(f"layers: {layer.name}: {layer.path} states no coordinate reference system")
            west, south, east, north = transform_bounds(raster.crs, "EPSG:4326", *raster.bounds)
    except rasterio.errors.RasterioError as exc:
        raise SettingsInvalid(f"layers: {layer.name}: {layer.path} cannot be read as a GeoTIFF: {exc}") from exc
    return float(west), float(south), float(east), float(north)
