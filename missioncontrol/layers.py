"""Rasters drawn under the map, and changes drawn on it: those of the settings, and those of a folder."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import msgspec
import shapely

from geo.acquisition import taken_on
from geo.errors import RasterInvalid
from geo.rasters import raster
from geo.styles import COLOR_MAPS, Style
from geo.tiles import FORMS, Form, bounds_of, tile, version, zooms_of
from missioncontrol.errors import InputInvalid, NotFound, SettingsInvalid
from missioncontrol.layer_folder import LayerFolder
from missioncontrol.map_settings import LayerSettings

CHANGES = (".geojson", ".json")
"""How files of changes end."""
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
    """The layers of an installation: rasters cut into tiles, and changes."""

    def __init__(self, settings: tuple[LayerSettings, ...], folder: LayerFolder | None = None) -> None:
        """Looks at each file of the settings once, at those of `folder` whenever they are listed. Raises
        SettingsInvalid for one of the settings that cannot be drawn."""
        self._fixed, self._folder = settings, folder
        self._known = {layer.name: layer for layer in settings}
        for layer in settings:
            try:
                public(layer)
            except (RasterInvalid, InputInvalid) as exc:
                raise SettingsInvalid(f"layers: {layer.name}: {exc}") from exc
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="tiles")

    def all(self) -> tuple[LayerSettings, ...]:
        """Every layer that can be drawn, as the files are now; the settings' come first."""
        added = () if self._folder is None else self._folder.layers()
        found = [*self._fixed]
        for layer in added:
            if layer.name not in {one.name for one in found}:
                found.append(layer)
        self._known = {layer.name: layer for layer in found}
        return tuple(found)

    def rasters(self) -> tuple[LayerSettings, ...]:
        """Those that are rasters."""
        return tuple(layer for layer in self.all() if not is_changes(layer))

    def public(self) -> list[dict[str, Any]]:
        """The layers as the API lists them; what cannot be read any more is left out."""
        told = []
        for layer in self.all():
            try:
                told.append(public(layer))
            except (RasterInvalid, InputInvalid):
                continue
        return told

    def changes(self, name: str) -> bytes:
        """The GeoJSON of a layer of changes. Raises NotFound."""
        layer = self._layer(name)
        if not is_changes(layer):
            raise NotFound(f"layer {name!r} is a raster: it has tiles")
        try:
            return layer.path.read_bytes()
        except OSError as exc:
            raise NotFound(f"layer {name!r}: {exc}") from exc

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
        layer = self._layer(name)
        if is_changes(layer):
            raise NotFound(f"layer {name!r} has no tiles: it is of changes")
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

    def _layer(self, name: str) -> LayerSettings:
        if name not in self._known:
            self.all()
        layer = self._known.get(name)
        if layer is None:
            raise NotFound(f"no layer {name!r}; there are: {', '.join(self._known) or 'none'}")
        return layer


def is_changes(layer: LayerSettings) -> bool:
    """Whether a layer is of changes, not a raster."""
    return layer.path.suffix.lower() in CHANGES


def public(layer: LayerSettings) -> dict[str, Any]:
    """A layer as the API lists it. Raises RasterInvalid, InputInvalid for a file that cannot be drawn."""
    return _public_changes(layer) if is_changes(layer) else _public_raster(layer)


def _public_raster(layer: LayerSettings) -> dict[str, Any]:
    bounds, (low, high) = bounds_of(layer.path), zooms_of(layer.path)
    source = raster(layer.path)
    taken = layer.taken or taken_on(source.tags)
    return {
        "name": layer.name,
        "title": layer.title,
        "kind": "raster",
        "taken": None if taken is None else taken.isoformat(),
        "version": version(layer.path),
        "tiles": f"/tiles/{layer.name}/{{z}}/{{x}}/{{y}}.png",
        "bounds": bounds,
        "minzoom": low if layer.minzoom is None else layer.minzoom,
        "maxzoom": min(high, _MOST_ZOOM) if layer.maxzoom is None else layer.maxzoom,
        "bands": source.bands,
        "style": msgspec.to_builtins(layer.style),
        "forms": list(FORMS),
        "colors": list(COLOR_MAPS),
    }


def _public_changes(layer: LayerSettings) -> dict[str, Any]:
    bounds, after, stamp = changes_of(layer.path)
    taken = None if layer.taken is None else layer.taken.isoformat()
    return {
        "name": layer.name,
        "title": layer.title,
        "kind": "changes",
        "taken": taken or after,
        "version": stamp,
        "features": f"/api/v1/layers/{layer.name}/features",
        "bounds": bounds,
    }


def changes_of(path: Path) -> tuple[tuple[float, ...] | None, str | None, str]:
    """Bounds (deg; None where nothing changed), later day, and what changes when the file does. Raises InputInvalid."""
    try:
        content = path.read_bytes()
        tree = msgspec.json.decode(content)
        shapes = [shapely.geometry.shape(feature["geometry"]) for feature in tree["features"]]
    except (OSError, msgspec.DecodeError, shapely.errors.ShapelyError, KeyError, TypeError, ValueError) as exc:
        raise InputInvalid(f"{path}: is no GeoJSON FeatureCollection of changes: {exc}") from exc
    after = tree.get("summary", {}).get("after")
    bounds = tuple(float(side) for side in shapely.total_bounds(shapes)) if shapes else None
    return bounds, after, hashlib.sha256(content).hexdigest()[:16]


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
