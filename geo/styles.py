"""How numbers of a raster become colours: which bands, between which values, with which map of colours."""

from __future__ import annotations

from typing import Annotated

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.errors import RasterInvalid

Floats = NDArray[np.float32]
Image = NDArray[np.uint8]

SUN_AZIMUTH_DEG, SUN_HEIGHT_DEG = 315.0, 45.0
"""Where light comes from on shaded relief, as maps have it."""
_CV2 = ("viridis", "turbo", "inferno", "plasma", "magma", "cividis")
COLOR_MAPS = ("grey", *_CV2, "red-green", "heights")
"""Names of maps of colours."""
_STOPS = {
    "red-green": ((165, 0, 38), (254, 224, 139), (0, 104, 55)),
    "heights": ((52, 104, 62), (146, 168, 92), (222, 206, 140), (160, 118, 82), (236, 232, 228)),
}


class Style(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a raster is drawn."""

    bands: tuple[int, ...] = ()
    """Numbers of the one or three bands that are drawn, from 1; none: the first three, or the first."""
    rescale: tuple[float, float] | None = None
    """Values (scaled as the file says) drawn darkest and brightest; none: 0 and 255 where the raster is of 8 bit,
    else those that 2 and 98 % of its numbers are below."""
    gamma: Annotated[float, msgspec.Meta(ge=0.1, le=10.0)] = 1.0
    """Brightens the middle where it is above 1."""
    colors: str = "grey"
    """Name of the map of colours, for one band."""
    hillshade: Annotated[float, msgspec.Meta(ge=0.0, le=20.0)] = 0.0
    """Shaded relief of one band of heights, m, with its heights so many times exaggerated; 0: none."""

    def __post_init__(self) -> None:
        """Raises ValueError (msgspec's ValidationError where it is decoded) for what cannot be drawn."""
        if len(self.bands) not in (0, 1, 3) or not all(1 <= band <= 16 for band in self.bands):
            raise ValueError(f"bands {self.bands}: one or three numbers from 1 to 16")
        if self.rescale is not None and not (np.isfinite(self.rescale).all() and self.rescale[0] < self.rescale[1]):
            raise ValueError(f"rescale {self.rescale}: the first of two finite numbers must be the smaller")
        if self.colors not in COLOR_MAPS:
            raise ValueError(f"colors {self.colors!r}: one of {', '.join(COLOR_MAPS)}")

    def chosen(self, count: int, name: str) -> tuple[int, ...]:
        """Bands to be drawn of `count`, from 0. Raises RasterInvalid for one that there is not, and for three bands
        with what one band needs."""
        bands = self.bands or ((1, 2, 3) if count >= 3 else (1,))
        if self.colors != "grey" or self.hillshade:
            bands = self.bands or (1,)
            if len(bands) != 1:
                raise RasterInvalid(f"{name}: a map of colours or relief needs one band, not {len(bands)}")
        if max(bands) > count:
            raise RasterInvalid(f"{name}: there is no band {max(bands)}, only {count}")
        return tuple(band - 1 for band in bands)

    @property
    def plain(self) -> bool:
        """Whether 8-bit numbers are drawn as they are."""
        return self.rescale is None and self.gamma == 1.0 and self.colors == "grey" and not self.hillshade

    def painted(self, values: Floats, between: tuple[float, float], slope_px_m: float) -> Image:
        """(height, width, 3) RGB of (height + 2, width + 2, bands) values, whose outermost rows only serve for relief.

        `slope_px_m` is the side of a pixel on the ground, m. What is NaN comes out in any colour.
        """
        low, high = between
        inner = values[1:-1, 1:-1]
        with np.errstate(invalid="ignore"):
            share = np.nan_to_num(np.clip((inner - np.float32(low)) / np.float32(max(high - low, 1e-12)), 0.0, 1.0))
        index: Image = np.rint(share ** np.float32(1.0 / self.gamma) * 255.0).astype(np.uint8)
        if index.shape[2] == 3:
            return index
        if not self.hillshade:
            return np.ascontiguousarray(color_map(self.colors)[index[..., 0]])
        shade = relief(values[..., 0] * np.float32(self.hillshade), slope_px_m)
        base = np.full((256, 3), 255, np.uint8) if self.colors == "grey" else color_map(self.colors)
        return np.asarray(np.rint(base[index[..., 0]] * shade[..., None]), np.uint8)


def relief(heights_m: Floats, pixel_m: float) -> Floats:
    """(height, width) light from 0 to 1 on the slopes of (height + 2, width + 2) heights; NaN lies level."""
    east = np.nan_to_num(heights_m[1:-1, 2:] - heights_m[1:-1, :-2]) / np.float32(2 * pixel_m)
    north = np.nan_to_num(heights_m[:-2, 1:-1] - heights_m[2:, 1:-1]) / np.float32(2 * pixel_m)
    azimuth, height = np.radians([SUN_AZIMUTH_DEG, SUN_HEIGHT_DEG])
    sun = np.array([np.sin(azimuth) * np.cos(height), np.cos(azimuth) * np.cos(height), np.sin(height)], np.float32)
    light = (sun[2] - east * sun[0] - north * sun[1]) / np.sqrt(1 + east * east + north * north)
    return np.asarray(np.clip(light, 0.0, 1.0), np.float32)


def color_map(name: str) -> Image:
    """(256, 3) RGB of a map of colours."""
    steps = np.arange(256)
    if name == "grey":
        return np.repeat(steps[:, None], 3, axis=1).astype(np.uint8)
    if name in _CV2:
        drawn = cv2.applyColorMap(steps.astype(np.uint8)[:, None], getattr(cv2, f"COLORMAP_{name.upper()}"))
        return np.ascontiguousarray(drawn[:, 0, ::-1])
    stops = np.array(_STOPS[name], float)
    at = np.linspace(0, 255, len(stops))
    return np.stack([np.interp(steps, at, stops[:, band]) for band in range(3)], axis=1).round().astype(np.uint8)
