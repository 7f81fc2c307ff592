"""What the city tells the service: surveyed ground, older orthophoto, registers of buildings, land and permits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling
from scipy.ndimage import gaussian_filter, map_coordinates

from geo.positions import LocalPlane
from simulators.world.city import World
from simulators.world.layout import CITY_M
from simulators.world.painting import Painter

DEM_STEP_M, DEM_MARGIN_M, DEM_SIGMA_M = 2.0, 400.0, 0.3
"""Grid of the surveyed ground, how far it reaches beyond the city, and its error."""
ORTHOPHOTO_M_PX, ORTHOPHOTO_TILE_PX = 0.4, 1000
ORTHOPHOTO_MARGIN_M = 100.0
ORTHOPHOTO_DAY, REGISTER_DAY = -725, -166
"""When the orthophoto was taken and the register closed, days from the world's start."""


def write_public_files(world: World, folder: Path | str) -> dict[str, Path]:
    """Write dem.tif, orthophoto.tif, buildings, cadastre, permits and zones; paths by name without ending."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    paths = {"dem": folder / "dem.tif", "orthophoto": folder / "orthophoto.tif"}
    write_dem(world, paths["dem"])
    write_orthophoto(world, paths["orthophoto"])
    for name, features in (
        ("buildings", buildings(world)),
        ("cadastre", cadastre(world)),
        ("permits", permits(world)),
        ("zones", zones(world)),
    ):
        paths[name] = folder / f"{name}.geojson"
        paths[name].write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return paths


# rasters


def write_dem(world: World, path: Path) -> None:
    """The ground in EPSG:32643 (UTM 43N), m AMSL (EGM96), with survey noise of 0.3 m correlated over some 15 m."""
    half = CITY_M + DEM_MARGIN_M
    from_lonlat = Transformer.from_crs("EPSG:4326", "EPSG:32643", always_xy=True)
    corner_lon, corner_lat = world.plane.to_lonlat([-half, half, half, -half], [-half, -half, half, half])
    east, north = from_lonlat.transform(corner_lon, corner_lat)
    west, top = np.floor(np.max([east[0], east[3]])), np.ceil(np.min([north[2], north[3]]))
    size = int((2 * half - 60) / DEM_STEP_M)
    columns, rows = np.meshgrid(west + (np.arange(size) + 0.5) * DEM_STEP_M, top - (np.arange(size) + 0.5) * DEM_STEP_M)
    lon, lat = from_lonlat.transform(columns, rows, direction="INVERSE")
    x, y = world.plane.to_plane(lon, lat)
    heights = world.ground_amsl_m(x, y) + survey_noise(world.seed, size)
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=1, dtype="float32", crs="EPSG:32643",
        transform=rasterio.Affine(DEM_STEP_M, 0.0, west, 0.0, -DEM_STEP_M, top), nodata=-9999.0, tiled=True,
        compress="deflate", predictor=3,
    ) as raster:  # fmt: skip
        raster.write(heights.astype(np.float32), 1)
        raster.update_tags(VERTICAL_DATUM="EGM96", AREA_OR_POINT="Area")


def survey_noise(seed: int, size: int) -> NDArray[np.float64]:
    """Correlated errors (size, size) of a survey, deviation DEM_SIGMA_M, m."""
    rng = np.random.default_rng([seed, 5])
    coarse = gaussian_filter(rng.normal(size=(size // 4 + 2, size // 4 + 2)), 1.5)
    index = np.linspace(0, coarse.shape[0] - 1, size)
    noise = map_coordinates(coarse, np.meshgrid(index, index, indexing="ij"), order=1)
    return np.asarray(DEM_SIGMA_M * noise / noise.std())


def write_orthophoto(world: World, path: Path) -> None:
    """The city as it was before the incidents, 0.4 m/px, tiled JPEG GeoTIFF with overviews, EPSG:4326."""
    half = CITY_M + ORTHOPHOTO_MARGIN_M
    mosaic = _mosaic(world, half)
    lon, lat = world.plane.to_lonlat([-half, half, half, -half], [-half, -half, half, half])
    west, south, east, north = bounds = (
        float(max(lon[0], lon[3])),
        float(max(lat[0], lat[1])),
        float(min(lon[1], lon[2])),
        float(min(lat[2], lat[3])),
    )
    size = mosaic.shape[0]
    warped = _in_lonlat(world.plane, mosaic, half, bounds, size)
    with rasterio.open(
        path, "w", driver="GTiff", width=size, height=size, count=3, dtype="uint8", crs="EPSG:4326",
        transform=rasterio.Affine((east - west) / size, 0.0, west, 0.0, (south - north) / size, north),
        tiled=True, blockxsize=256, blockysize=256,
        compress="jpeg", photometric="ycbcr", jpeg_quality=82, interleave="pixel",
    ) as raster:  # fmt: skip
        raster.write(np.moveaxis(warped, -1, 0))
        raster.update_tags(ACQUISITION_DATE=date(world, ORTHOPHOTO_DAY))
    with rasterio.Env(GDAL_TIFF_OVR_BLOCKSIZE=256), rasterio.open(path, "r+", driver="GTiff") as raster:
        raster.build_overviews([2, 4, 8, 16], Resampling.average)


def _mosaic(world: World, half: float) -> NDArray[np.uint8]:
    painter = Painter(world, older=True)
    side = ORTHOPHOTO_TILE_PX * ORTHOPHOTO_M_PX
    count = int(np.ceil(2 * half / side))
    rows = [
        np.hstack([
            painter.paint(-half + i * side, -half + j * side, ORTHOPHOTO_TILE_PX, ORTHOPHOTO_M_PX)
            for i in range(count)
        ])
        for j in range(count)
    ]  # fmt: skip
    size = int(2 * half / ORTHOPHOTO_M_PX)
    return np.vstack(rows)[:size, :size]


def _in_lonlat(
    plane: LocalPlane, mosaic: NDArray[np.uint8], half: float, bounds: tuple[float, float, float, float], size: int
) -> NDArray[np.uint8]:
    coarse = np.linspace(0.5, size - 0.5, 41)
    lon, lat = np.meshgrid(
        bounds[0] + coarse / size * (bounds[2] - bounds[0]), bounds[3] - coarse / size * (bounds[3] - bounds[1])
    )
    x, y = plane.to_plane(lon, lat)
    index = (np.arange(size) / (size - 1) * 40).astype(np.float32)
    columns, rows = np.meshgrid(index, index)
    maps = [
        cv2.remap((((c + half) / ORTHOPHOTO_M_PX) - 0.5).astype(np.float32), columns, rows, cv2.INTER_LINEAR)
        for c in (x, y)
    ]
    return np.asarray(cv2.remap(mosaic, maps[0], maps[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.uint8)


# registers


def buildings(world: World) -> list[dict[str, Any]]:
    """Registered buildings: id, use, height_m, floors, registered."""
    return [
        feature(world, f"building-{b.number}", b.ring, {
            "use": b.use, "height_m": b.height_m, "floors": max(1, round(b.height_m / 3.0)),
            "registered": date(world, REGISTER_DAY),
        })
        for b in world.scene.buildings if b.older
    ]  # fmt: skip


def cadastre(world: World) -> list[dict[str, Any]]:
    """Parcels: id is the cadastral number, use."""
    return [
        feature(
            world,
            parcel_number(index),
            parcel["ring"],
            {"use": parcel["use"], "cadastral_number": parcel_number(index)},
        )
        for index, parcel in enumerate(world.scene.parcels)
    ]


def parcel_number(index: int) -> str:
    """A cadastral number of the city's southern district, by the parcel's place in the list."""
    return f"20-315-{index // 1000:03d}-{index % 1000:03d}"


def permits(world: World) -> list[dict[str, Any]]:
    """Building permits: id, parcel, kind, valid_from and valid_until (dates)."""
    rng = np.random.default_rng([world.seed, 6])
    rows = [(p["ring"], p["kind"], p["valid_days"]) for p in world.scene.permits]
    homes = [p["ring"] for p in world.scene.parcels if p["use"] == "residential"]
    for index in rng.choice(len(homes), min(40, len(homes)), replace=False):
        start = int(rng.integers(-2000, 0))
        rows.append((homes[index], "extension", (start, start + 540)))
    parcels = {p["ring"].tobytes(): parcel_number(i) for i, p in enumerate(world.scene.parcels)}
    return [
        feature(world, f"permit-{number:04d}", ring, {
            "kind": kind, "valid_from": date(world, days[0]), "valid_until": date(world, days[1]),
            "parcel": parcels.get(ring.tobytes()),
        })
        for number, (ring, kind, days) in enumerate(rows, 1)
    ]  # fmt: skip


def zones(world: World) -> list[dict[str, Any]]:
    """Airspace limits: none over the middle; a height limit about one school far out."""
    schools = [b for b in world.scene.buildings if b.use == "school" and np.abs(b.ring.mean(axis=0)).max() > 600]
    if not schools:
        return []
    x, y = schools[0].ring.mean(axis=0)
    angle = np.linspace(0, 2 * np.pi, 25)[:-1]
    ring = np.stack([x + 120 * np.cos(angle), y + 120 * np.sin(angle)], axis=1)
    return [feature(world, "zone-1", ring, {"kind": "no_fly", "reason": "school", "upper_agl_m": 120.0})]


def date(world: World, days: int) -> str:
    """The UTC date so many days after the world's start."""
    return datetime.fromtimestamp(world.epoch_utc_s + 86400 * days, UTC).date().isoformat()


def feature(world: World, number: str, ring: NDArray[np.float64], properties: dict[str, Any]) -> dict[str, Any]:
    """A GeoJSON polygon feature of a ring (n, 2) on the world's plane."""
    lon, lat = world.plane.to_lonlat(np.append(ring[:, 0], ring[0, 0]), np.append(ring[:, 1], ring[0, 1]))
    return {
        "type": "Feature",
        "id": number,
        "geometry": {"type": "Polygon", "coordinates": [np.stack([lon, lat], axis=1).round(8).tolist()]},
        "properties": {"id": number, **properties},
    }
