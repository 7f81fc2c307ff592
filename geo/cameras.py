"""Cameras: interior orientation with Brown-Conrady distortion, as two inverse methods.

A distortion polynomial is true only as far out as it was fitted: beyond the radius where it turns back, two rays
would share a pixel. Rays beyond that radius, and pixels that no ray inside it reaches, are NaN.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, Self

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

ROUNDS = 30
"""Steps of Newton's method at most; five are usual."""
CROPPED = 0.01
"""Proportions of a picture that differ by more are of a part of it."""


class Camera(Protocol):
    """Maps rays to pixels and back; the two methods are inverse to each other."""

    width_px: int
    height_px: int
    focal_px: float

    def pixels_from_rays(self, rays: ArrayLike) -> Array:
        """Pixels (..., 2) of rays (..., 3) in camera axes of any length; NaN where the lens shows no such ray."""

    def rays_from_pixels(self, pixels: ArrayLike) -> Array:
        """Unit rays (..., 3) in camera axes of pixels (..., 2); NaN where the lens shows nothing."""

    def resized(self, width_px: int, height_px: int) -> Self:
        """The same lens and sensor read out in another size. Raises ValueError for a part of the picture."""

    def zoomed(self, ratio: float) -> Self:
        """The middle of the picture magnified `ratio` times, as a digital zoom does it."""


class BrownCamera:
    """A pinhole with Brown-Conrady distortion, coefficients as OpenCV names them.

    Source: D. C. Brown, "Decentering distortion of lenses", 1966; OpenCV calib3d (k4 to k6: its rational model).
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
        p1: float = 0.0,
        p2: float = 0.0,
        k3: float = 0.0,
        k4: float = 0.0,
        k5: float = 0.0,
        k6: float = 0.0,
    ) -> None:
        """A picture of width x height px. `focal_px` holds along its width, `focal_y_px` along its height (the same
        if not given); `center_px` is the principal point, counted from the middle of the top left pixel, the middle
        of the picture if not given."""
        self.width_px, self.height_px, self.focal_px = width_px, height_px, focal_px
        self.focal_y_px = focal_px if focal_y_px is None else focal_y_px
        self.center_px = center_px or ((width_px - 1) / 2, (height_px - 1) / 2)
        self.k1, self.k2, self.p1, self.p2, self.k3 = k1, k2, p1, p2, k3
        self.k4, self.k5, self.k6 = k4, k5, k6
        self.largest_tan = _turning_tan((1.0, k1, k2, k3), (1.0, k4, k5, k6))
        """Tangent of the angle off the axis up to which the distortion holds; inf where it holds everywhere."""
        self._lens = np.array(
            [self.focal_px, self.focal_y_px, *self.center_px, k1, k2, p1, p2, k3, k4, k5, k6, self.largest_tan], float
        )

    @classmethod
    def from_fov(cls, *, width_px: int, height_px: int, hfov_deg: float) -> BrownCamera:
        """A camera without distortion whose picture is `hfov_deg` wide."""
        focal_px = width_px / 2 / np.tan(np.radians(hfov_deg) / 2)
        return cls(width_px=width_px, height_px=height_px, focal_px=float(focal_px))

    @property
    def distortion(self) -> dict[str, float]:
        """The coefficients by their names."""
        return {name: getattr(self, name) for name in ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")}

    def resized(self, width_px: int, height_px: int) -> BrownCamera:
        """The same lens and sensor read out in another size. Raises ValueError where the proportions differ by more
        than 1 %: the picture was cropped, and how is not known."""
        return BrownCamera(**(read_out(self, self.focal_y_px, self.center_px, width_px, height_px) | self.distortion))

    def zoomed(self, ratio: float) -> BrownCamera:
        """The middle of the picture magnified `ratio` times: exact for a digital zoom. For a zoom lens it is what can
        be said without a calibration at that zoom: distortion changes with the focal length."""
        return BrownCamera(
            width_px=self.width_px,
            height_px=self.height_px,
            focal_px=self.focal_px * ratio,
            focal_y_px=self.focal_y_px * ratio,
            center_px=zoomed_center(self, self.center_px, ratio),
            **self.distortion,
        )

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view without distortion, deg."""
        return float(np.degrees(2 * np.arctan(self.width_px / 2 / self.focal_px)))

    @property
    def vfov_deg(self) -> float:
        """Vertical field of view without distortion, deg."""
        return float(np.degrees(2 * np.arctan(self.height_px / 2 / self.focal_y_px)))

    def pixels_from_rays(self, rays: ArrayLike) -> Array:
        """Pixels (..., 2) of rays (..., 3) in camera axes of any length; NaN where a ray points behind, or beyond
        what the distortion is good for."""
        rays = np.asarray(rays, float)
        return _brown_pixels(np.ascontiguousarray(rays).reshape(-1, 3), self._lens).reshape(*rays.shape[:-1], 2)

    def rays_from_pixels(self, pixels: ArrayLike) -> Array:
        """Unit rays (..., 3) in camera axes of pixels (..., 2); NaN where no ray that the distortion is good for
        leads to the pixel."""
        pixels = np.asarray(pixels, float)
        return _brown_rays(np.ascontiguousarray(pixels).reshape(-1, 2), self._lens).reshape(*pixels.shape[:-1], 3)


def read_out(
    camera: Camera, focal_y_px: float, center_px: tuple[float, float], width_px: int, height_px: int
) -> dict[str, Any]:
    """Size, focal lengths and principal point of another readout of the same lens and sensor.

    Raises ValueError where the proportions differ by more than 1 %.
    """
    across, down = width_px / camera.width_px, height_px / camera.height_px
    if abs(down / across - 1) > CROPPED:
        raise ValueError(
            f"a picture of {width_px} x {height_px} px is not the whole of {camera.width_px} x {camera.height_px} px"
        )
    u, v = center_px
    return {
        "width_px": width_px,
        "height_px": height_px,
        "focal_px": camera.focal_px * across,
        "focal_y_px": focal_y_px * down,
        "center_px": ((u + 0.5) * across - 0.5, (v + 0.5) * down - 0.5),
    }


def zoomed_center(camera: Camera, center_px: tuple[float, float], ratio: float) -> tuple[float, float]:
    """Where a principal point goes when the middle of the picture is magnified."""
    middle_u, middle_v = (camera.width_px - 1) / 2, (camera.height_px - 1) / 2
    return middle_u + (center_px[0] - middle_u) * ratio, middle_v + (center_px[1] - middle_v) * ratio


def first_root(polynomial: Array) -> float:
    """The smallest positive root of a polynomial, coefficients by rising power; inf where there is none."""
    roots = np.polynomial.polynomial.polyroots(np.trim_zeros(polynomial, "b"))
    real = roots.real[np.abs(roots.imag) < 1e-9 * np.abs(roots)]
    return float(np.min(real[real > 0], initial=np.inf))


def _turning_tan(above: tuple[float, ...], below: tuple[float, ...]) -> float:
    """Radius at which r * above(r2) / below(r2) stops growing, or at which `below` has its pole."""
    poly = np.polynomial.polynomial
    slope_above, slope_below = poly.polyder(above), poly.polyder(below)
    twice = (0.0, 2.0)
    growing = poly.polymul(poly.polyadd(above, poly.polymul(twice, slope_above)), below)
    growing = poly.polysub(growing, poly.polymul(twice, poly.polymul(above, slope_below)))
    return float(np.sqrt(min(first_root(np.asarray(growing)), first_root(np.asarray(below, float)))))


@njit(cache=True, nogil=True, error_model="numpy")
def _distorted(
    x: float, y: float, lens: Array
) -> tuple[float, float, float, float, float]:  # pragma: no cover - compiled
    """Distorted x and y, and their derivatives dx/dx, dx/dy (which is dy/dx), dy/dy."""
    k1, k2, p1, p2, k3, k4, k5, k6 = lens[4], lens[5], lens[6], lens[7], lens[8], lens[9], lens[10], lens[11]
    r2 = x * x + y * y
    above, below = 1.0 + r2 * (k1 + r2 * (k2 + r2 * k3)), 1.0 + r2 * (k4 + r2 * (k5 + r2 * k6))
    radial = above / below
    slope = 2.0 * (k1 + r2 * (2.0 * k2 + r2 * 3.0 * k3) - radial * (k4 + r2 * (2.0 * k5 + r2 * 3.0 * k6))) / below
    return (
        x * radial + 2.0 * p1 * x * y + p2 * (r2 + 2.0 * x * x),
        y * radial + p1 * (r2 + 2.0 * y * y) + 2.0 * p2 * x * y,
        radial + x * x * slope + 2.0 * p1 * y + 6.0 * p2 * x,
        x * y * slope + 2.0 * p1 * x + 2.0 * p2 * y,
        radial + y * y * slope + 6.0 * p1 * y + 2.0 * p2 * x,
    )


@njit(cache=True, nogil=True, error_model="numpy")
def _brown_pixels(rays: Array, lens: Array) -> Array:  # pragma: no cover - compiled
    """Pixels (n, 2) of rays (n, 3)."""
    pixels = np.full((len(rays), 2), np.nan)
    for index in range(len(rays)):
        depth = rays[index, 2]
        if not depth > 0.0:
            continue
        x, y = rays[index, 0] / depth, rays[index, 1] / depth
        if not x * x + y * y < lens[12] * lens[12]:
            continue
        u, v, xx, xy, yy = _distorted(x, y, lens)
        if xx * yy > xy * xy:
            pixels[index, 0], pixels[index, 1] = u * lens[0] + lens[2], v * lens[1] + lens[3]
    return pixels


@njit(cache=True, nogil=True, error_model="numpy")
def _brown_rays(pixels: Array, lens: Array) -> Array:  # pragma: no cover - compiled
    """Unit rays (n, 3) of pixels (n, 2): Newton's method, started where the radial part alone would have them."""
    rays = np.full((len(pixels), 3), np.nan)
    plain = True
    for place in range(4, 12):
        plain = plain and lens[place] == 0.0
    for index in range(len(pixels)):
        wanted_x, wanted_y = (pixels[index, 0] - lens[2]) / lens[0], (pixels[index, 1] - lens[3]) / lens[1]
        x, y = wanted_x, wanted_y
        if not plain:
            shrink = _radial_start(math.sqrt(wanted_x * wanted_x + wanted_y * wanted_y), lens)
            x, y = wanted_x * shrink, wanted_y * shrink
            found = False
            for _ in range(ROUNDS):
                u, v, xx, xy, yy = _distorted(x, y, lens)
                turn = xx * yy - xy * xy
                if not turn > 0.0:
                    break
                off_x, off_y = wanted_x - u, wanted_y - v
                step_x, step_y = (yy * off_x - xy * off_y) / turn, (xx * off_y - xy * off_x) / turn
                x, y = x + step_x, y + step_y
                if step_x * step_x + step_y * step_y < 1e-26 * (1.0 + x * x + y * y):
                    found = True
                    break
            if not (found and x * x + y * y < lens[12] * lens[12]):
                continue
        length = math.sqrt(x * x + y * y + 1.0)
        rays[index, 0], rays[index, 1], rays[index, 2] = x / length, y / length, 1.0 / length
    return rays


@njit(cache=True, nogil=True, error_model="numpy")
def _radial_start(wanted: float, lens: Array) -> float:  # pragma: no cover - compiled
    """Share of a distorted radius that is left without the radial distortion, to a thousandth; by halving."""
    if wanted == 0.0:
        return 1.0
    low, high = 0.0, min(lens[12], 4.0 * wanted)
    for _ in range(12):
        middle = 0.5 * (low + high)
        r2 = middle * middle
        above = 1.0 + r2 * (lens[4] + r2 * (lens[5] + r2 * lens[8]))
        below = 1.0 + r2 * (lens[9] + r2 * (lens[10] + r2 * lens[11]))
        if middle * above < wanted * below:
            low = middle
        else:
            high = middle
    return float(0.5 * (low + high) / wanted)
