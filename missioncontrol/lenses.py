"""Lenses of the vehicles' video: a calibration, or a camera of the library."""

from __future__ import annotations

import numpy as np

from geo.calibrations import read_calibration
from geo.camera_library import camera
from geo.cameras import BrownCamera
from geo.errors import CalibrationInvalid
from missioncontrol.errors import SettingsInvalid
from missioncontrol.fleet_settings import VehicleSettings


def video_lens(vehicle: VehicleSettings) -> BrownCamera:
    """The camera that takes the video of a vehicle, which has a calibration or a camera.

    Raises CameraUnknown; SettingsInvalid for a calibration that cannot be read, or that what was seen from the air
    cannot be reckoned with: fisheyes, rational models, and distortions that do not hold up to the corners.
    """
    if vehicle.calibration is None:
        return camera(vehicle.camera or "").brown_camera()
    said = f"vehicles: {vehicle.name}: calibration"
    try:
        lens = read_calibration(vehicle.calibration, name=vehicle.calibration_camera)
    except CalibrationInvalid as exc:
        raise SettingsInvalid(f"{said}: {exc}") from exc
    if not isinstance(lens, BrownCamera) or lens.k4 or lens.k5 or lens.k6:
        raise SettingsInvalid(
            f"{said}: {vehicle.calibration}: video is watched through Brown's model alone (k1, k2, p1, p2, k3): "
            "not through a fisheye or a rational one; calibrate with that model"
        )
    edges = np.array([(u, v) for u in (-0.5, lens.width_px - 0.5) for v in (-0.5, lens.height_px - 0.5)])
    if np.isnan(lens.rays_from_pixels(edges)).any():
        raise SettingsInvalid(
            f"{said}: {vehicle.calibration}: its distortion does not hold up to the corners of the picture: "
            "calibrate again with points near the corners"
        )
    return lens
