"""Geoids: heights of mean sea level above the WGS 84 ellipsoid, from PROJ's grids."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

import numpy as np
import pyproj
from numpy.typing import ArrayLike, NDArray
from pyproj.datadir import get_data_dir, get_user_data_dir  # type: ignore[attr-defined]

from geo.errors import GeoidMissing

Array = NDArray[np.float64]


class HeightDatum(StrEnum):
    """What the heights of a terrain model or a survey are counted from."""

    EGM96 = "EGM96"
    """Mean sea level by the geoid EGM96: what AMSL means everywhere in this product."""
    EGM2008 = "EGM2008"
    """Mean sea level by the geoid EGM2008; decimetres to some metres from EGM96."""
    W84 = "W84"
    """The WGS 84 ellipsoid."""


GRIDS: dict[HeightDatum, tuple[str, ...]] = {
    HeightDatum.EGM96: ("us_nga_egm96_15.tif", "egm96_15.gtx"),
    HeightDatum.EGM2008: ("us_nga_egm08_25.tif", "egm08_25.gtx"),
}
"""Names of each geoid's grid: as PROJ distributes it today, and as it did before PROJ 7."""

_SHIPPED = {HeightDatum.EGM96: "egm96_15.tif"}
"""Grids in `data/`: EGM96 of 15 minutes (NGA and NASA, file WW15MGH, public domain), rounded to 1 cm."""


class Geoid:
    """One geoid's grid, read by PROJ, bilinear between its posts."""

    def __init__(self, grid: Path, *, name: str) -> None:
        """The grid in `grid` (GeoTIFF or GTX). Raises GeoidMissing if PROJ cannot read it."""
        self.name = name
        if set(',"') & set(str(grid)):
            raise GeoidMissing(f"{grid}: PROJ takes no comma or quotation mark in the path of a grid: move it")
        pipeline = (
            "+proj=pipeline +step +proj=unitconvert +xy_in=deg +xy_out=rad "
            f'+step +proj=vgridshift +grids="{grid}" +multiplier=1 '
            "+step +proj=unitconvert +xy_in=rad +xy_out=deg"
        )
        try:
            self._shift = pyproj.Transformer.from_pipeline(pipeline)
        except pyproj.exceptions.ProjError as exc:
            raise GeoidMissing(f"{grid}: PROJ cannot read this grid of {name}: {exc}") from exc

    def height_m(self, lon: ArrayLike, lat: ArrayLike) -> Array:
        """Of mean sea level above the ellipsoid, m, at lon and lat, deg. Raises GeoidMissing outside the grid."""
        lons, lats = np.broadcast_arrays(np.asarray(lon, float), np.asarray(lat, float))
        heights = np.asarray(self._shift.transform(lons, lats, np.zeros(lons.shape))[2], float)
        if not np.isfinite(heights).all():
            where = tuple(np.argwhere(~np.isfinite(heights))[0])
            raise GeoidMissing(
                f"{self.name}: its grid does not cover lon {lons[where]:.6f}, lat {lats[where]:.6f}; "
                f"install {GRIDS[HeightDatum(self.name)][0]} of the whole world"
            )
        return heights


def geoid(datum: HeightDatum, folders: Sequence[Path] = ()) -> Geoid:
    """The geoid that `datum` counts from: its grid in `folders`, shipped, or in PROJ's own folders.

    Raises GeoidMissing, which names the file and how to get it; nothing is ever taken as 0.
    """
    return _geoid(datum, tuple(folders))


@lru_cache(maxsize=16)
def _geoid(datum: HeightDatum, folders: tuple[Path, ...]) -> Geoid:
    if datum not in GRIDS:
        raise GeoidMissing(f"{datum}: heights above the ellipsoid have no geoid")
    installed = (get_data_dir(), get_user_data_dir(), "/usr/share/proj", "/usr/local/share/proj")
    places = folders if datum in _SHIPPED else (*folders, *(Path(one) for part in installed for one in part.split(":")))
    for folder in places:
        for name in GRIDS[datum]:
            if (folder / name).is_file():
                return Geoid(folder / name, name=datum)
    if datum in _SHIPPED:
        return Geoid(Path(str(files("geo").joinpath("data", _SHIPPED[datum]))), name=datum)
    raise GeoidMissing(
        f"{GRIDS[datum][0]}: the grid of {datum} is not in {', '.join(str(folder) for folder in places)}. Get it with "
        f"`projsync --file {GRIDS[datum][0]}`, or copy the file from PROJ's data collection into one of these folders"
    )


def amsl_m(
    height_m: ArrayLike, lon: ArrayLike, lat: ArrayLike, *, datum: HeightDatum, folders: Sequence[Path] = ()
) -> Array:
    """Heights above `datum`, m, as m AMSL (EGM96), at lon and lat, deg; arrays that broadcast. Raises GeoidMissing."""
    heights = np.asarray(height_m, float)
    if datum is HeightDatum.EGM96:
        return heights
    if datum is HeightDatum.EGM2008:
        heights = heights + geoid(HeightDatum.EGM2008, folders).height_m(lon, lat)
    return heights - geoid(HeightDatum.EGM96, folders).height_m(lon, lat)


def height_above_m(
    amsl_m: ArrayLike, lon: ArrayLike, lat: ArrayLike, *, datum: HeightDatum, folders: Sequence[Path] = ()
) -> Array:
    """Heights AMSL (EGM96), m, as heights above `datum`, m: the inverse of `amsl_m`. Raises GeoidMissing."""
    heights = np.asarray(amsl_m, float)
    if datum is HeightDatum.EGM96:
        return heights
    heights = heights + geoid(HeightDatum.EGM96, folders).height_m(lon, lat)
    return heights if datum is HeightDatum.W84 else heights - geoid(HeightDatum.EGM2008, folders).height_m(lon, lat)
