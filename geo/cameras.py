"""Cameras: interior orientation with Brown distortion, as two inverse methods."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray


class Camera(Protocol):
    """Maps rays to pixels and back; the two methods are inverse to each other."""

    width_px: int
    height_px: int

    def pixels_from_rays(self, rays: ArrayLike) -> NDArray[np.float64]:
        """Pixels (..., 2) of rays (..., 3) in camera axes of any length; NaN where a ray points behind."""

    def rays_from_pixels(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Unit rays (..., 3) in camera axes of pixels (..., 2)."""


class BrownCamera:
    """A pinhole with Brown-Conrady distortion, coefficients as OpenCV names them.

    Source: D. C. Brown, "Decentering distortion of lenses", 1966; OpenCV calib3d.
    """

    def __init__(
        self,
        *,
        width_px: int,
        height_px: int,
        focal_px: float,
        center_px: tuple[float, float] | None = None,
        k1: float = 0.0,
        k2: float = 0.0,
        p1: float = 0.0,
        p2: float = 0.0,
        k3: float = 0.0,
    ) -> None:
        """A picture of width x height px; `center_px` is the principal point, the middle if not given."""
        self.width_px, self.height_px, self.focal_px = width_px, height_px, focal_px
        self.center_px = center_px or ((width_px - 1) / 2, (height_px - 1) / 2)
        self.k1, self.k2, self.p1, self.p2, self.k3 = k1, k2, p1, p2, k3

    @classmethod
    def from_fov(cls, *, width_px: int, height_px: int, hfov_deg: float) -> BrownCamera:
        """A camera without distortion whose picture is `hfov_deg` wide."""
        focal_px = width_px / 2 / np.tan(np.radians(hfov_deg) / 2)
        return cls(width_px=width_px, height_px=height_px, focal_px=float(focal_px))

    def resized(self, width_px: int, height_px: int) -> BrownCamera:
        """The same lens and sensor read out in another size. Raises ValueError where the proportions differ by more
        than 1 %: the picture was cropped, and how is not known."""
        scale = width_px / self.width_px
        if abs(height_px / (self.height_px * scale) - 1) > 0.01:
            raise ValueError(
                f"a picture of {width_px} x {height_px} px is not the whole of {self.width_px} x {self.height_px} px"
            )
        return BrownCamera(
            width_px=width_px,
            height_px=height_px,
            focal_px=self.focal_px * scale,
            center_px=((self.center_px[0] + 0.5) * scale - 0.5, (self.center_px[1] + 0.5) * scale - 0.5),
            k1=self.k1,
            k2=self.k2,
            p1=self.p1,
            p2=self.p2,
            k3=self.k3,
        )

    @property
    def hfov_deg(self) -> float:
        """Horizontal field of view without distortion, deg."""
        return float(np.degrees(2 * np.arctan(self.width_px / 2 / self.focal_px)))

    @property
    def vfov_deg(self) -> float:
        """Vertical field of view without distortion, deg."""
        return float(np.degrees(2 * np.arctan(self.height_px / 2 / self.focal_px)))

    def pixels_from_rays(self, rays: ArrayLike) -> NDArray[np.float64]:
        """Pixels (..., 2) of rays (..., 3) in camera axes of any length; NaN where a ray points behind."""
        rays = np.asarray(rays, float)
        depth = np.where(rays[..., 2] > 1e-9, rays[..., 2], np.nan)
        x, y = self._distort(rays[..., 0] / depth, rays[..., 1] / depth)
        return np.stack([x * self.focal_px + self.center_px[0], y * self.focal_px + self.center_px[1]], axis=-1)

    def rays_from_pixels(self, pixels: ArrayLike) -> NDArray[np.float64]:
        """Unit rays (..., 3) in camera axes of pixels (..., 2)."""
        pixels = np.asarray(pixels, float)
        x, y = self._undistort(
            (pixels[..., 0] - self.center_px[0]) / self.focal_px, (pixels[..., 1] - self.center_px[1]) / self.focal_px
        )
        rays = np.stack([x, y, np.ones_like(x)], axis=-1)
        return np.asarray(rays / np.linalg.norm(rays, axis=-1, keepdims=True))

    def _distort(
        self, x: NDArray[np.float64], y: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        r2 = x * x + y * y
        radial = 1 + r2 * (self.k1 + r2 * (self.k2 + r2 * self.k3))
        return (
            x * radial + 2 * self.p1 * x * y + self.p2 * (r2 + 2 * x * x),
            y * radial + self.p1 * (r2 + 2 * y * y) + 2 * self.p2 * x * y,
        )

    def _undistort(
        self, xd: NDArray[np.float64], yd: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        x, y = xd.copy(), yd.copy()
        for _ in range(50):
            x_again, y_again = self._distort(x, y)
            step_x, step_y = xd - x_again, yd - y_again
            x, y = x + step_x, y + step_y
            if max(np.max(np.abs(step_x), initial=0), np.max(np.abs(step_y), initial=0)) < 1e-12:
                break
        return x, y
