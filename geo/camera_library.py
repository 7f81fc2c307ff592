"""Cameras by name, as data in `data/cameras.json`, and those that a request describes itself."""

from __future__ import annotations

import difflib
import math
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from geo.cameras import BrownCamera
from geo.errors import CameraInvalid, CameraUnknown

ASSUMED_INTERVAL_S = 2.0
"""Between two pictures of a camera that publishes no shortest interval: as long as any camera of the library needs."""
SQUARE_PIXELS = 0.05
"""Pixels of the sensor may be so much wider than high, or higher than wide."""
FULL_FRAME_MM = 36.0
"""Width of the sensor that stands for an unknown one, where the field of view is known."""

Millimetres = Annotated[float, Meta(gt=0, le=2000)]
Pixels = Annotated[int, Meta(ge=16, le=100_000)]


class CameraModel(msgspec.Struct, frozen=True, kw_only=True):
    """A camera with its lens, as its maker publishes it, or as a request describes it.

    Raises CameraInvalid where the figures contradict each other.
    """

    slug: Annotated[str, Meta(max_length=60)] = "custom"
    """Name in commands and requests: lower case, hyphens."""
    name: Annotated[str, Meta(max_length=200)] = "custom camera"
    """Name for people."""
    sensor_width_mm: Millimetres
    """Of the part of the sensor that makes the picture, mm."""
    sensor_height_mm: Millimetres
    """Of the part of the sensor that makes the picture, mm."""
    focal_mm: Millimetres
    """Real focal length (not the 35 mm equivalent), mm."""
    image_width_px: Pixels
    """Across the flight direction, px."""
    image_height_px: Pixels
    """Along the flight direction, px."""
    interval_s: Annotated[float, Meta(gt=0, le=60)] | None = None
    """Shortest time between two pictures as published, s; None: not published."""
    source: Annotated[str, Meta(max_length=400)] = "given in the request"
    """Where the figures come from."""
    exif_models: tuple[str, ...] = ()
    """Names that it, and no other camera of its vehicle, writes as EXIF Model."""
    k1: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    """First radial coefficient (Brown), where known."""
    k2: Annotated[float, Meta(ge=-1, le=1)] = 0.0
    """Second radial coefficient (Brown), where known."""

    def __post_init__(self) -> None:
        """Refuse figures of which at least one must be wrong."""
        figures = (self.sensor_width_mm, self.sensor_height_mm, self.focal_mm, self.interval_s or 1.0)
        if not all(math.isfinite(figure) for figure in figures):
            raise CameraInvalid(f"camera {self.slug!r}: a figure is not finite: {figures}")
        wide_um = 1000 * self.sensor_width_mm / self.image_width_px
        high_um = 1000 * self.sensor_height_mm / self.image_height_px
        if abs(wide_um / high_um - 1) > SQUARE_PIXELS:
            raise CameraInvalid(
                f"camera {self.slug!r}: pixels of {wide_um:.2f} x {high_um:.2f} um are not square: sensor_width_mm, "
                f"sensor_height_mm ({self.sensor_width_mm:g} x {self.sensor_height_mm:g}) or image_width_px, "
                f"image_height_px ({self.image_width_px} x {self.image_height_px}) must be wrong"
            )

    @property
    def shutter_interval_s(self) -> float:
        """Time between two pictures to plan with, s: as published, or a slow one that is assumed."""
        return ASSUMED_INTERVAL_S if self.interval_s is None else self.interval_s

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


def custom_camera(figures: dict[str, Any]) -> CameraModel:
    """The camera that a request describes: the fields of CameraModel, or `hfov_deg` instead of sensor and lens.

    Raises CameraInvalid, which names the field.
    """
    figures = dict(figures)
    hfov_deg = figures.pop("hfov_deg", None)
    if hfov_deg is not None:
        given = [name for name in ("sensor_width_mm", "sensor_height_mm", "focal_mm") if name in figures]
        if given:
            raise CameraInvalid(f"camera: hfov_deg and {given[0]}: give the field of view or sensor and lens, not both")
        if isinstance(hfov_deg, bool) or not isinstance(hfov_deg, int | float) or not 1 <= hfov_deg <= 160:
            raise CameraInvalid(f"camera: hfov_deg: {hfov_deg!r} is not between 1 and 160 deg")
        try:
            ratio = figures["image_height_px"] / figures["image_width_px"]
        except (KeyError, TypeError, ZeroDivisionError) as exc:
            raise CameraInvalid("camera: image_width_px, image_height_px: give both in whole pixels") from exc
        figures["sensor_width_mm"] = FULL_FRAME_MM
        figures["sensor_height_mm"] = FULL_FRAME_MM * ratio
        figures["focal_mm"] = FULL_FRAME_MM / 2 / math.tan(math.radians(hfov_deg) / 2)
    unknown = sorted(set(figures) - set(CameraModel.__struct_fields__))
    if unknown:
        near = difflib.get_close_matches(unknown[0], CameraModel.__struct_fields__, n=1)
        raise CameraInvalid(f"camera: unknown field {unknown[0]!r}" + (f": did you mean {near[0]}?" if near else ""))
    try:
        return msgspec.convert(figures, CameraModel)
    except msgspec.ValidationError as exc:
        raise CameraInvalid(f"camera: {exc}") from exc


def camera_of_exif(model: str) -> CameraModel | None:
    """The camera that writes this EXIF Model, or None."""
    wanted = model.strip().strip("\x00").lower()
    for known in cameras().values():
        if wanted in (name.lower() for name in known.exif_models):
            return known
    return None
