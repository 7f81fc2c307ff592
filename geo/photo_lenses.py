"""Lenses of photographs, from what the file tells: a maker's calibration, the library, EXIF's focal length."""

from __future__ import annotations

import re

import numpy as np

from geo.camera_library import camera_of_exif
from geo.cameras import BrownCamera
from geo.errors import PhotoInvalid
from geo.xmp import Tags, number, numbers

FULL_FRAME_DIAGONAL_MM = 43.267
"""Of the 36 x 24 mm frame that equivalent focal lengths refer to."""
FOCAL_MM, EQUIVALENT_MM, DIGITAL_ZOOM = 37386, 41989, 41988
PLANE_WIDTH_PX, PLANE_RESOLUTION, PLANE_UNIT = 40962, 41486, 41488
UNIT_MM = {1: 25.4, 2: 25.4, 3: 10.0, 4: 1.0, 5: 0.001}
"""Of EXIF's FocalPlaneResolutionUnit."""


def ratio(value: object) -> float | None:
    """A number of EXIF, None where it is no finite one (DJI writes 0/0)."""
    try:
        found = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    return found if np.isfinite(found) else None


def lens_of(
    where: str, model: str, size: tuple[int, int], details: dict[int, object], tags: Tags, notes: list[str]
) -> BrownCamera:
    """The camera of a picture of `size` px; `details` is its EXIF. What was assumed is added to `notes`.

    Raises PhotoInvalid where the file tells too little, or where the picture was cropped.
    """
    zoom = max(ratio(details.get(DIGITAL_ZOOM)) or 1.0, 1.0)
    calibrated = _dji(size, tags) or _skydio(size, tags)
    if calibrated is not None:
        notes.append("lens: the maker's calibration in DewarpData" + (f", zoomed {zoom:g} times" if zoom > 1 else ""))
        try:
            return calibrated.zoomed(zoom).resized(*size)
        except ValueError as exc:
            raise PhotoInvalid(f"{where}: {exc}: its calibration does not fit") from exc
    if tags.get("Camera:ModelType", "").lower() == "fisheye":
        raise PhotoInvalid(f"{where}: a fisheye lens: give its calibration")
    known, focal_mm = camera_of_exif(model), ratio(details.get(FOCAL_MM))
    plane_px_per_mm = _plane_px_per_mm(size, details)
    equivalent_mm = ratio(details.get(EQUIVALENT_MM))
    if known is not None:
        focal_px = (focal_mm or known.focal_mm) / known.sensor_width_mm * max(size) * zoom
        notes.append(f"lens: {known.slug} of the library at {focal_mm or known.focal_mm:g} mm, no distortion known")
    elif equivalent_mm:
        focal_px = equivalent_mm / FULL_FRAME_DIAGONAL_MM * float(np.hypot(*size))
        notes.append(f"lens: {equivalent_mm:g} mm equivalent focal length of EXIF, no distortion known")
    elif focal_mm and plane_px_per_mm:
        focal_px = focal_mm * plane_px_per_mm * zoom
        notes.append(f"lens: {focal_mm:g} mm and the focal plane resolution of EXIF, no distortion known")
    else:
        raise PhotoInvalid(
            f"{where}: camera {model or 'unknown'!r} is not in the library and EXIF gives no focal length"
        )
    return BrownCamera(width_px=size[0], height_px=size[1], focal_px=focal_px, k1=known.k1 if known else 0.0)


def _dji(size: tuple[int, int], tags: Tags) -> BrownCamera | None:
    """Of DJI's DewarpData: a date; fx, fy, cx, cy (from the middle of the picture), k1, k2, p1, p2, k3; all of the
    sensor's full picture, whose middle is CalibratedOpticalCenter."""
    found = [float(part) for part in re.findall(r"-?\d+\.\d+(?:e-?\d+)?", tags.get("drone-dji:DewarpData", ""))]
    if len(found) != 9 or tags.get("drone-dji:DewarpFlag", "0") != "0":
        return None
    fx, fy, cx, cy, k1, k2, p1, p2, k3 = found
    middle = numbers(tags, "drone-dji:CalibratedOpticalCenterX", "drone-dji:CalibratedOpticalCenterY")
    width, height = size if middle is None else (round(2 * middle[0]), round(2 * middle[1]))
    center = ((width - 1) / 2 + cx, (height - 1) / 2 + cy)
    return BrownCamera(
        width_px=width,
        height_px=height,
        focal_px=fx,
        focal_y_px=fy,
        center_px=center,
        k1=k1,
        k2=k2,
        p1=p1,
        p2=p2,
        k3=k3,
    )


def _skydio(size: tuple[int, int], tags: Tags) -> BrownCamera | None:
    """Of Skydio's CalibratedFocalLength, CalibratedOpticalCenter (px of this picture) and DewarpData (k1, k2, k3)."""
    focal = numbers(tags, "drone-skydio:CalibratedFocalLength/X", "drone-skydio:CalibratedFocalLength/Y")
    center = numbers(tags, "drone-skydio:CalibratedOpticalCenter/X", "drone-skydio:CalibratedOpticalCenter/Y")
    if focal is None or center is None:
        return None
    found = [number({"k": part}, "k") or 0.0 for part in tags.get("drone-skydio:DewarpData", "0,0,0").split(",")]
    k1, k2, k3 = (*found, 0.0, 0.0, 0.0)[:3]
    return BrownCamera(
        width_px=size[0],
        height_px=size[1],
        focal_px=focal[0],
        focal_y_px=focal[1],
        center_px=(center[0], center[1]),
        k1=k1,
        k2=k2,
        k3=k3,
    )


def _plane_px_per_mm(size: tuple[int, int], details: dict[int, object]) -> float | None:
    """Pixels of this picture per mm on the sensor; EXIF states it for the camera's own size of pictures."""
    resolution, full_px = ratio(details.get(PLANE_RESOLUTION)), ratio(details.get(PLANE_WIDTH_PX))
    unit_mm = UNIT_MM.get(int(ratio(details.get(PLANE_UNIT)) or 2))
    return resolution / unit_mm * size[0] / full_px if resolution and full_px and unit_mm else None
