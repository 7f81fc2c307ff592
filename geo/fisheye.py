"""Fisheye cameras: the angle off the axis, and not its tangent, makes the distance from the middle of the picture."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from geo.cameras import ROUNDS, first_root, read_out, zoomed_center

Array = NDArray[np.float64]


class FisheyeCamera:
    """An equidistant lens with the polynomial of Kannala and Brandt, coefficients as OpenCV's fisheye names them.

    Rays may point more than 90 deg off the axis, as far as the polynomial grows. Source: J. Kannala, S. S. Brandt,
    "A generic camera model and calibration method for conventional, wide-angle, and fish-eye lenses", 2006.
    """

    def __init__(
        self,
        *,
        width_px: int,
        height_px: int,
        focal_px: float,
        focal_y_px: float | None = None,
        center_px: tuple[float, float] | None = None,
        k1: float = 0.0,
        k2: float = 0.0,
        k3: float = 0.0,
        k4: float = 0.0,
    ) -> None:
        """A picture of width x height px. `focal_px` holds along its width, `focal_y_px` along its height (the same
        if not given); `center_px` is the principal point, the middle of the picture if not given."""
        self.width_px, self.height_px, self.focal_px = width_px, height_px, focal_px
        self.focal_y_px = focal_px if focal_y_px is None else focal_y_px
        self.center_px = center_px or ((width_px - 1) / 2, (height_px - 1) / 2)
        self.k1, self.k2, self.k3, self.k4 = k1, k2, k3, k4
        growing = np.array([1.0, 3 * k1, 5 * k2, 7 * k3, 9 * k4])
        self.largest_angle_deg = float(np.degrees(min(np.sqrt(first_root(growing)), np.pi)))
        """Angle off the axis up to which the polynomial holds, deg."""
        largest = np.radians(self.largest_angle_deg)
        self._lens = np.array([self.focal_px, self.focal_y_px, *self.center_px, k1, k2, k3, k4, largest], float)

    @property
    def distortion(self) -> dict[str, float]:
        """The coefficients by their names."""
        return {name: getattr(self, name) for name in ("k1", "k2", "k3", "k4")}

    def resized(self, width_px: int, height_px: int) -> FisheyeCamera:
        """The same lens and sensor read out in another size. Raises ValueError where the proportions differ by more
        than 1 %: the picture was cropped, and how is not known."""
        return FisheyeCamera(**(read_out(self, self.focal_y_px, self.center_px, width_px, height_px) | self.distortion))

    def zoomed(self, ratio: float) -> FisheyeCamera:
        """The middle of the picture magnified `ratio` times, as a digital zoom does it."""
        return FisheyeCamera(
            width_px=self.width_px,
            height_px=self.height_px,
            focal_px=self.focal_px * ratio,
            focal_y_px=self.focal_y_px * ratio,
            center_px=zoomed_center(self, self.center_px, ratio),
            **self.distortion,
        )

    def pixels_from_rays(self, rays: ArrayLike) -> Array:
        """Pixels (..., 2) of rays (..., 3) in camera axes of any length; NaN beyond what the polynomial is good for."""
        rays = np.asarray(rays, float)
        return _fisheye_pixels(np.ascontiguousarray(rays).reshape(-1, 3), self._lens).reshape(*rays.shape[:-1], 2)

    def rays_from_pixels(self, pixels: ArrayLike) -> Array:
        """Unit rays (..., 3) in camera axes of pixels (..., 2); NaN outside of the picture's circle."""
        pixels = np.asarray(pixels, float)
        return _fisheye_rays(np.ascontiguousarray(pixels).reshape(-1, 2), self._lens).reshape(*pixels.shape[:-1], 3)


@njit(cache=True, nogil=True, error_model="numpy")
def _fisheye_pixels(rays: Array, lens: Array) -> Array:  # pragma: no cover - compiled
    """Pixels (n, 2) of rays (n, 3)."""
    pixels = np.full((len(rays), 2), np.nan)
    for index in range(len(rays)):
        x, y, z = rays[index, 0], rays[index, 1], rays[index, 2]
        off_axis = np.sqrt(x * x + y * y)
        angle = np.arctan2(off_axis, z)
        if not (angle < lens[8] and (off_axis > 0.0 or z > 0.0)):
            continue
        t2 = angle * angle
        bent = angle * (1.0 + t2 * (lens[4] + t2 * (lens[5] + t2 * (lens[6] + t2 * lens[7]))))
        stretch = bent / off_axis if off_axis > 0.0 else 0.0
        pixels[index, 0], pixels[index, 1] = x * stretch * lens[0] + lens[2], y * stretch * lens[1] + lens[3]
    return pixels


@njit(cache=True, nogil=True, error_model="numpy")
def _fisheye_rays(pixels: Array, lens: Array) -> Array:  # pragma: no cover - compiled
    """Unit rays (n, 3) of pixels (n, 2): Newton's method, kept in the bracket where the polynomial grows."""
    rays = np.full((len(pixels), 3), np.nan)
    k1, k2, k3, k4 = lens[4], lens[5], lens[6], lens[7]
    for index in range(len(pixels)):
        x, y = (pixels[index, 0] - lens[2]) / lens[0], (pixels[index, 1] - lens[3]) / lens[1]
        bent = np.sqrt(x * x + y * y)
        low, high = 0.0, lens[8]
        angle = min(bent, 0.5 * (low + high))
        found = bent == 0.0
        for _ in range(2 * ROUNDS):
            if found:
                break
            t2 = angle * angle
            over = angle * (1.0 + t2 * (k1 + t2 * (k2 + t2 * (k3 + t2 * k4)))) - bent
            slope = 1.0 + t2 * (3.0 * k1 + t2 * (5.0 * k2 + t2 * (7.0 * k3 + t2 * 9.0 * k4)))
            low, high = (low, angle) if over > 0.0 else (angle, high)
            after = angle - over / slope
            if not low < after < high:
                after = 0.5 * (low + high)
            found = abs(after - angle) < 1e-14 * (1.0 + angle) and abs(over) < 1e-12
            angle = after
        if not (found and angle < lens[8]):
            continue
        share = np.sin(angle) / bent if bent > 0.0 else 0.0
        rays[index, 0], rays[index, 1], rays[index, 2] = x * share, y * share, np.cos(angle)
    return rays
