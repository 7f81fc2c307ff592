"""What a camera shows from a height, and how far apart and how fast its pictures can be taken."""

from __future__ import annotations

import msgspec
import numpy as np
from numpy.typing import NDArray

from geo.camera_library import CameraModel
from geo.errors import CameraInvalid

Array = NDArray[np.float64]

NADIR_DEG = -90.0
"""Pitch of a camera that looks straight down."""
MOST_BLUR_PX = 1.0
"""A picture smeared by more than so many pixels is warned of."""
USUAL_SPEED_M_S = 10.0
"""Ground speed on lines where none is asked for."""
USUAL_HIGHEST_M = 120.0
"""Above the ground; higher usually needs a permit (open category of EU 2019/947)."""
MOST_OVERLAP = 95.0
"""Percent."""
STEEPEST_DEG = 60.0
"""Ground steeper than this is a wall: it is not surveyed from above."""


class Footprint(msgspec.Struct, frozen=True, kw_only=True):
    """One picture on a plane of ground: x to the right and y ahead of the point below the camera, m."""

    corners_m: tuple[tuple[float, float], ...]
    """Near left, near right, far right, far left."""
    centre_m: tuple[float, float]
    """What the middle of the picture shows."""
    gsd_m: float
    """Ground sample distance in the middle: the larger one of across and down the picture, m."""
    finest_gsd_m: float
    """The smallest distance between neighbouring pixels of any corner and the middle, m."""
    worst_gsd_m: float
    """The largest one, m."""
    across_m: float
    """Width where it is narrowest, m."""
    along_m: float
    """Length along the flight direction where it is shortest, m."""


class Pictures(msgspec.Struct, frozen=True, kw_only=True):
    """How a survey takes its pictures."""

    height_m: float
    """Above the ground, m."""
    footprint: Footprint
    """Of one picture on even ground."""
    swath_m: float
    """Between neighbouring lines, m."""
    trigger_m: float
    """Between two pictures of a line, m."""
    speed_m_s: float
    """On lines, m/s."""
    fastest_m_s: float
    """At which the shutter keeps up with `trigger_m`, m/s."""
    worst_gsd_m: float
    """The coarsest in any picture, on ground as steep as stated, m."""
    longest_exposure_s: float
    """With which the blur stays within the limit at this speed, s."""
    blur_px: float | None
    """Of the picture where it is finest, px; None where the exposure time is not known."""
    warnings: tuple[str, ...]
    """What a person should know."""


def footprint(
    model: CameraModel,
    *,
    height_m: float,
    pitch_deg: float = NADIR_DEG,
    slope_across_deg: float = 0.0,
    slope_along_deg: float = 0.0,
) -> Footprint:
    """One picture from `height_m` above ground that rises to the right and ahead by the slopes, deg.

    `pitch_deg` is 0 at the horizon and -90 straight down; the lens's distortion counts. Raises CameraInvalid where a
    corner shows no ground.
    """
    places, spans = _on_plane(model, pitch_deg, slope_across_deg, slope_along_deg)
    places, spans = places * height_m, spans * height_m
    left, right, bottom, top = places[[0, 3, 5]], places[[1, 2, 6]], places[[0, 1, 7]], places[[3, 2, 8]]
    return Footprint(
        corners_m=tuple((float(x), float(y)) for x, y in places[:4]),
        centre_m=(float(places[4, 0]), float(places[4, 1])),
        gsd_m=float(spans[4].max()),
        finest_gsd_m=float(spans.min()),
        worst_gsd_m=float(spans.max()),
        across_m=float((right - left)[:, 0].min()),
        along_m=float((top - bottom)[:, 1].min()),
    )


def _on_plane(model: CameraModel, pitch_deg: float, across_deg: float, along_deg: float) -> tuple[Array, Array]:
    """What the picture shows of the ground from 1 m above it: places (9, 2) and pixel sizes (9, 2).

    Near left, near right, far right, far left, the middle, and the middles of the left, right, near and far edges.
    """
    for name, slope_deg in (("slope_across_deg", across_deg), ("slope_along_deg", along_deg)):
        if not abs(slope_deg) <= STEEPEST_DEG:
            raise CameraInvalid(f"{name}: {slope_deg:g} deg is steeper than {STEEPEST_DEG:g}")
    if not NADIR_DEG <= pitch_deg < 0:
        raise CameraInvalid(f"pitch_deg: {pitch_deg:g} is not between -90 (straight down) and 0 (the horizon)")
    wide, high = model.image_width_px - 0.5, model.image_height_px - 0.5
    middle, half = (wide - 0.5) / 2, (high - 0.5) / 2
    pixels = np.array(
        [
            *((-0.5, high), (wide, high), (wide, -0.5), (-0.5, -0.5), (middle, half)),
            *((-0.5, half), (wide, half), (middle, high), (middle, -0.5)),
        ]
    )
    around = pixels[:, None] + np.array([(0, 0), (0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5)])
    rays = model.brown_camera().rays_from_pixels(around)
    pitch = np.radians(pitch_deg)
    right, down, ahead = (1.0, 0.0, 0.0), (0.0, np.sin(pitch), -np.cos(pitch)), (0.0, np.cos(pitch), np.sin(pitch))
    rays = rays @ np.array([right, down, ahead])
    rise = np.array([np.tan(np.radians(across_deg)), np.tan(np.radians(along_deg))])
    falling = rays[..., :2] @ rise - rays[..., 2]
    if (falling <= 1e-3).any():
        raise CameraInvalid(
            f"pitch_deg: at {pitch_deg:g} deg the picture of {model.name} reaches the horizon: look further down"
        )
    ground = rays / falling[..., None]
    steps = ground[:, 1::2] - ground[:, 2::2]
    spans = np.linalg.norm(steps, axis=-1)
    return ground[:, 0, :2], spans


def height_for(
    model: CameraModel, *, gsd_m: float, pitch_deg: float = NADIR_DEG, worst: bool = False, slope_deg: float = 0.0
) -> float:
    """Height above the ground at which the middle has that GSD, or with `worst` the coarsest corner, m.

    `slope_deg` is how steep the ground is at most, in any direction. Raises CameraInvalid.
    """
    if not worst:
        return gsd_m / footprint(model, height_m=1.0, pitch_deg=pitch_deg).gsd_m
    return gsd_m / max(one.worst_gsd_m for one in _on_slopes(model, 1.0, pitch_deg, slope_deg))


def _on_slopes(model: CameraModel, height_m: float, pitch_deg: float, slope_deg: float) -> list[Footprint]:
    """Footprints on even ground and on slopes that fall to each side, ahead and back."""
    slopes = [(0.0, 0.0)]
    if slope_deg:
        slopes += [(sign * slope_deg, 0.0) for sign in (-1, 1)] + [(0.0, sign * slope_deg) for sign in (-1, 1)]
    return [
        footprint(model, height_m=height_m, pitch_deg=pitch_deg, slope_across_deg=across, slope_along_deg=along)
        for across, along in slopes
    ]


def pictures(
    model: CameraModel,
    *,
    gsd_m: float | None = None,
    worst_gsd_m: float | None = None,
    height_m: float | None = None,
    front_overlap: float = 75.0,
    side_overlap: float = 65.0,
    pitch_deg: float = NADIR_DEG,
    slope_deg: float = 0.0,
    swath_m: float | None = None,
    speed_m_s: float | None = None,
    exposure_s: float | None = None,
    most_blur_px: float = MOST_BLUR_PX,
    heights_m: tuple[float, float] | None = None,
) -> Pictures:
    """How to take pictures with a GSD in the middle, a worst GSD, or from a height above ground: give one of the three.

    Overlaps are percent and hold where the picture is narrowest and shortest, on ground up to `slope_deg` steep;
    `swath_m` sets the line spacing instead of the side overlap. `heights_m` are the lowest and highest allowed.
    Raises CameraInvalid, which names the field.
    """
    _check(
        front_overlap=front_overlap, side_overlap=side_overlap, gsd_m=gsd_m, worst_gsd_m=worst_gsd_m,
        height_m=height_m, swath_m=swath_m, speed_m_s=speed_m_s, exposure_s=exposure_s, most_blur_px=most_blur_px,
    )  # fmt: skip
    height_m = _height_m(model, gsd_m, worst_gsd_m, height_m, pitch_deg, slope_deg)
    if heights_m is not None:
        _check_height(model, height_m, heights_m, pitch_deg)
    seen = _on_slopes(model, height_m, pitch_deg, slope_deg)
    across_m, along_m = min(one.across_m for one in seen), min(one.along_m for one in seen)
    spacing_m = swath_m or across_m * (1.0 - side_overlap / 100.0)
    trigger_m = along_m * (1.0 - front_overlap / 100.0)
    fastest_m_s = trigger_m / model.shutter_interval_s
    wanted_m_s = speed_m_s or USUAL_SPEED_M_S
    flown_m_s = min(wanted_m_s, fastest_m_s)
    finest_m = min(one.finest_gsd_m for one in seen)
    blur_px = None if exposure_s is None else flown_m_s * exposure_s / finest_m
    longest_s = most_blur_px * finest_m / flown_m_s
    warnings = []
    if spacing_m > across_m:
        warnings.append(
            f"lines {spacing_m:.0f} m apart leave gaps: a picture is {across_m:.0f} m wide at {height_m:.0f} m"
        )
    if wanted_m_s > fastest_m_s:
        said = "needs" if model.interval_s is not None else "publishes no interval, assumed are"
        warnings.append(
            f"speed lowered from {wanted_m_s:.1f} to {fastest_m_s:.1f} m/s: {model.name} {said} "
            f"{model.shutter_interval_s:g} s for a picture, and one is wanted every {trigger_m:.1f} m"
        )
    if blur_px is not None and blur_px > most_blur_px:
        warnings.append(
            f"motion blur of {blur_px:.1f} px at {flown_m_s:.1f} m/s and {1000 * (exposure_s or 0):.2g} ms: expose at "
            f"most {1000 * longest_s:.2g} ms, or fly {most_blur_px * finest_m / (exposure_s or 1):.1f} m/s"
        )
    if height_m > USUAL_HIGHEST_M:
        warnings.append(
            f"{height_m:.0f} m above ground is higher than the {USUAL_HIGHEST_M:.0f} m usual without a permit"
        )
    return Pictures(
        height_m=height_m,
        footprint=seen[0],
        swath_m=spacing_m,
        trigger_m=trigger_m,
        speed_m_s=flown_m_s,
        fastest_m_s=fastest_m_s,
        worst_gsd_m=max(one.worst_gsd_m for one in seen),
        longest_exposure_s=longest_s,
        blur_px=blur_px,
        warnings=tuple(warnings),
    )


def _check(*, front_overlap: float, side_overlap: float, **positive: float | None) -> None:
    for name, overlap in (("front_overlap", front_overlap), ("side_overlap", side_overlap)):
        if not 0 <= overlap <= MOST_OVERLAP:
            raise CameraInvalid(f"{name}: {overlap:g} percent is not between 0 and {MOST_OVERLAP:g}")
    for name, value in positive.items():
        if value is not None and not (value > 0 and np.isfinite(value)):
            raise CameraInvalid(f"{name}: {value:g} must be above 0")


def _height_m(
    model: CameraModel,
    gsd_m: float | None,
    worst_gsd_m: float | None,
    height_m: float | None,
    pitch_deg: float,
    slope_deg: float,
) -> float:
    if sum(value is not None for value in (gsd_m, worst_gsd_m, height_m)) != 1:
        raise CameraInvalid("gsd_m, worst_gsd_m, height_m: give one of the three")
    if height_m is not None:
        return height_m
    if gsd_m is not None:
        return height_for(model, gsd_m=gsd_m, pitch_deg=pitch_deg)
    return height_for(model, gsd_m=worst_gsd_m or 0.0, pitch_deg=pitch_deg, worst=True, slope_deg=slope_deg)


def _check_height(model: CameraModel, height_m: float, heights_m: tuple[float, float], pitch_deg: float) -> None:
    lowest_m, highest_m = heights_m
    if lowest_m <= height_m <= highest_m:
        return
    best_m = lowest_m if height_m < lowest_m else highest_m
    gsd_cm = 100 * footprint(model, height_m=best_m, pitch_deg=pitch_deg).gsd_m
    raise CameraInvalid(
        f"height_m: {height_m:.1f} m above ground is outside the {lowest_m:g} to {highest_m:g} m allowed; "
        f"at {best_m:g} m the GSD of {model.name} is {gsd_cm:.2f} cm"
    )
