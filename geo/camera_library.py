"""Cameras by name: published sensor, lens and shutter, as data in `data/cameras.json`."""

from __future__ import annotations

import difflib
from functools import lru_cache
from importlib.resources import files

import msgspec

from geo.cameras import BrownCamera
from geo.errors import CameraUnknown


class CameraModel(msgspec.Struct, frozen=True, kw_only=True):
    """A camera with its lens, as its maker publishes it."""

    slug: str
    """Name in commands and requests: lower case, hyphens."""
    name: str
    """Name for people."""
    sensor_width_mm: float
    """Of the part of the sensor that makes the picture, mm."""
    sensor_height_mm: float
    """Of the part of the sensor that makes the picture, mm."""
    focal_mm: float
    """Real focal length (not the 35 mm equivalent), mm."""
    image_width_px: int
    """Across the flight direction, px."""
    image_height_px: int
    """Along the flight direction, px."""
    shutter_interval_s: float
    """Shortest time between two pictures, s."""
    source: str
    """Where the figures come from."""
    exif_models: tuple[str, ...] = ()
    """Names it writes as EXIF Model."""
    k1: float = 0.0
    """First radial coefficient (Brown), where known."""
    k2: float = 0.0
    """Second radial coefficient (Brown), where known."""

    @property
    def focal_px(self) -> float:
        """Focal length, px of the picture's width."""
        return self.focal_mm * self.image_width_px / self.sensor_width_mm

    def brown_camera(self) -> BrownCamera:
        """The interior orientation."""
        return BrownCamera(
            width_px=self.image_width_px,
            height_px=self.image_height_px,
            focal_px=self.focal_px,
            k1=self.k1,
            k2=self.k2,
        )

    def gsd_m(self, height_m: float) -> float:
        """Ground sample distance at nadir from that height above the ground, m."""
        return height_m / self.focal_px

    def height_m(self, gsd_m: float) -> float:
        """Height above the ground for a ground sample distance at nadir, m."""
        return gsd_m * self.focal_px

    def footprint_m(self, height_m: float) -> tuple[float, float]:
        """Width across and length along the flight direction of a nadir picture, m."""
        gsd_m = self.gsd_m(height_m)
        return self.image_width_px * gsd_m, self.image_height_px * gsd_m


@lru_cache(maxsize=1)
def cameras() -> dict[str, CameraModel]:
    """All cameras by slug."""
    text = files("geo").joinpath("data/cameras.json").read_bytes()
    return {model.slug: model for model in msgspec.json.decode(text, type=list[CameraModel])}


def camera(slug: str) -> CameraModel:
    """The camera of that slug. Raises CameraUnknown with the nearest names."""
    known = cameras()
    if slug in known:
        return known[slug]
    near = difflib.get_close_matches(slug.lower(), known, n=3, cutoff=0.5)
    parts = [part for part in slug.lower().split("-") if len(part) > 2]
    near = near or [name for name in known if any(part in name for part in parts)][:3]
    advice = f"did you mean {', '.join(near)}?" if near else "`missioncontrol plan cameras` lists them"
    raise CameraUnknown(f"no camera {slug!r} in the library: {advice}")


def camera_of_exif(model: str) -> CameraModel | None:
    """The camera that writes this EXIF Model, or None."""
    wanted = model.strip().strip("\x00").lower()
    for known in cameras().values():
        if wanted in (name.lower() for name in known.exif_models):
            return known
    return None
