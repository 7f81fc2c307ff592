"""Rasters drawn under the map."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, cast

import msgspec

from geo.errors import RasterInvalid
from geo.styles import COLOR_MAPS, Style
from geo.tiles import FORMS, Form, bounds_of, tile, version, zooms_of
from missioncontrol.errors import InputInvalid, NotFound, SettingsInvalid
from missioncontrol.map_settings import LayerSettings

_MOST_ZOOM = 24
_THREADS = 2


@dataclass(frozen=True)
class TileFile:
    """A tile as it is sent."""

    data: bytes | None
    """Its bytes; None: the asker has it already."""
    etag: str
    """Stays the same as long as the file and the style do."""


class Layers:
    """The layers of the settings, cut into tiles."""

    def __init__(self, settings: tuple[LayerSettings, ...]) -> None:
        """Looks at each file once. Raises SettingsInvalid for one that cannot be drawn."""
        self._layers = {layer.name: layer for layer in settings}
        self._public = [_public(layer) for layer in settings]
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tiles")

    def public(self) -> list[dict[str, Any]]:
        """The layers as the API lists them."""
        return self._public

    async def tile(
        self,
        name: str,
        z: int,
        x: int,
        y: int,
        *,
        form: str = "png",
        changes: Mapping[str, Any] | None = None,
        known: str = "",
    ) -> TileFile:
        """A 256 px Web Mercator tile, in the layer's style with `changes` to its fields; no bytes if its etag is
        among the `known`. Raises NotFound, InputInvalid for a style that cannot be, RasterInvalid."""
        layer = self._layers.get(name)
        if layer is None:
            raise NotFound(f"no layer {name!r}; there are: {', '.join(self._layers) or 'none'}")
        if not (0 <= z <= _MOST_ZOOM and 0 <= x < 2**z and 0 <= y < 2**z):
            raise NotFound(f"no tile {z}/{x}/{y}")
        if form not in FORMS:
            raise NotFound(f"no tiles of {form!r}; there are {', '.join(FORMS)}")
        style = _changed(layer.style, changes or {})
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, _tile, layer, (z, x, y), cast(Form, form), style, known
        )

    def close(self) -> None:
        """End the threads that cut tiles."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _tile(layer: LayerSettings, place: tuple[int, int, int], form: Form, style: Style, known: str) -> TileFile:
    said = f"{version(layer.path)} {place} {form} {msgspec.json.encode(style).decode()}"
    etag = f'"{hashlib.sha256(said.encode()).hexdigest()[:24]}"'
    if known.strip() == "*" or etag in [each.strip().removeprefix("W/") for each in known.split(",")]:
        return TileFile(None, etag)
    return TileFile(tile(layer.path, *place, form=form, style=style), etag)


def _changed(style: Style, changes: Mapping[str, Any]) -> Style:
    if not changes:
        return style
    try:
        return msgspec.convert({**msgspec.to_builtins(style), **changes}, Style)
    except msgspec.ValidationError as exc:
        raise InputInvalid(f"style: {exc}") from exc


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
        "style": msgspec.to_builtins(layer.style),
        "forms": list(FORMS),
        "colors": list(COLOR_MAPS),
    }
