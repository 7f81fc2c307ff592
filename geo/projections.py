"""Coordinates of any CRS as lon, lat of WGS 84."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import pyproj
from numpy.typing import NDArray
from pyproj.exceptions import ProjError

from geo.errors import AreaInvalid

Array = NDArray[np.float64]


def to_wgs84(where: str, places: Array, crs: str | None) -> Array:
    """Places (n, 2), x and y of a CRS (EPSG code, name or WKT), as lon, lat of WGS 84, deg; None: they are already.

    Raises AreaInvalid for a CRS that is not known, and for a place outside of what it covers.
    """
    if crs is None or not len(places):
        return places
    try:
        transformer = _transformer(crs)
        lon, lat = transformer.transform(places[:, 0], places[:, 1])
    except ProjError as exc:
        raise AreaInvalid(f"{where}: the CRS {crs[:80]!r} is not known: give an EPSG code as EPSG:32643") from exc
    found = np.column_stack([lon, lat])
    lost = np.flatnonzero(np.isfinite(places).all(axis=1) & ~np.isfinite(found).all(axis=1))
    if len(lost):
        x, y = places[lost[0]]
        raise AreaInvalid(f"{where}: [{x:g}, {y:g}] is outside of {crs[:80]}: is this the file's CRS?")
    return found


@lru_cache(maxsize=16)
def _transformer(crs: str) -> pyproj.Transformer:
    return pyproj.Transformer.from_crs(pyproj.CRS.from_user_input(crs), "EPSG:4326", always_xy=True)
