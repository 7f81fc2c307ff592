"""What can be set about the ground, the city and the rasters under the map."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Annotated

import msgspec

from geo.geoids import HeightDatum
from geo.styles import Style
from missioncontrol.bounds import Name


class TerrainSettings(msgspec.Struct, frozen=True, kw_only=True):
    """Heights of the ground."""

    dem: Path | None = None
    """GeoTIFF or SRTM tile of heights, or a folder of several."""
    height_datum: HeightDatum | None = None
    """What its heights count from; absent: what the files state, else EGM96."""
    geoids: Path | None = None
    """Folder with PROJ's grids of geoids; EGM96 is shipped."""
    obstacles: tuple[Path, ...] = ()
    """Buildings, masts and wires with their heights, as GeoJSON; plans keep clear of them."""


class CitySettings(msgspec.Struct, frozen=True, kw_only=True):
    """Public data of the city, GeoJSON FeatureCollections in WGS 84."""

    buildings: Path | None = None
    """Footprints with heights."""
    cadastre: Path | None = None
    """Parcels."""
    permits: Path | None = None
    """Building permits with their validity."""


class LayerSettings(msgspec.Struct, frozen=True, kw_only=True):
    """A raster drawn under the map, or changes drawn on it."""

    name: Name
    """As in `/tiles/{name}/{z}/{x}/{y}.png`."""
    title: str
    """What people read."""
    path: Path
    """A georeferenced TIFF, best a COG; or the changes (.geojson) that were found between two of them."""
    taken: date | None = None
    """Day it shows; absent: as the file says."""
    minzoom: Annotated[int, msgspec.Meta(ge=0, le=24)] | None = None
    """Lowest zoom that is drawn; by the file's size where absent."""
    maxzoom: Annotated[int, msgspec.Meta(ge=0, le=24)] | None = None
    """Highest zoom that is drawn, the map stretches beyond it; by the file's pixels where absent."""
    style: Style = Style()
    """How its numbers become colours, such as `{ colors = "heights", hillshade = 1.0 }` for a DEM."""
