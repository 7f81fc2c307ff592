"""Rasters drawn under the map."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from geo.errors import RasterInvalid
from geo.tiles import bounds_of, tile, zooms_of
from missioncontrol.errors import NotFound, SettingsInvalid
from missioncontrol.settings import LayerSettings

_MOST_ZOOM = 24


class Layers:
    """The layers of the settings, cut into tiles."""

    def __init__(self, settings: tuple[LayerSettings, ...]) -> None:
        """Looks at each file once. Raises SettingsInvalid for one that cannot be drawn."""
        self._layers = {layer.name: layer for layer in settings}
        self._public = [_public(layer) for layer in settings]
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="tiles")

    def public(self) -> list[dict[str, Any]]:
        """The layers as the API lists them."""
        return self._public

    async def tile(self, name: str, z: int, x: int, y: int) -> bytes:
        """A 256 px Web Mercator tile, PNG. Raises NotFound, RasterInvalid."""
        layer = self._layers.get(name)
        if layer is None:
            raise NotFound(f"no layer {name!r}; there are: {', '.join(self._layers) or 'none'}")
        if not (0 <= z <= _MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise NotFound(f"no tile {z}/{x}/{y}")
        return await asyncio.get_running_loop().run_in_executor(self._threads, tile, layer.path, z, x, y)

    def close(self) -> None:
        """End the threads that cut tiles."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _public(layer: LayerSettings) -> dict[str, Any]:
    try:
        bounds, (low, high) = bounds_of(layer.path), zooms_of(layer.path)
    except RasterInvalid as exc:
        raise SettingsInvalid(f"layers: {layer.name}: {exc}") from exc
    return {
        "name": layer.name,
        "title": layer.title,
        "kind": "raster",
        "tiles": f"/tiles/{layer.name}/{{z}}/{{x}}/{{y}}.png",
        "bounds": bounds,
        "minzoom": low if layer.minzoom is None else layer.minzoom,
        "maxzoom": min(high, _MOST_ZOOM) if layer.maxzoom is None else layer.maxzoom,
    }
