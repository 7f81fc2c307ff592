"""Photographs made for tests: plain pictures whose EXIF and XMP say where they were taken."""

from __future__ import annotations

from pathlib import Path

import msgspec
from PIL import Image

from geo.cameras import BrownCamera
from geo.poses import Pose

LENS = BrownCamera(width_px=800, height_px=600, focal_px=650.0, k1=-0.06, k2=0.01)


def photograph(path: Path, pose: Pose, *, lens: BrownCamera = LENS) -> Path:
    """As Skydio's newer vehicles write it: lens, place, a height above the ellipsoid, and the way the camera looks."""
    position, attitude = pose.position, msgspec.structs.asdict(pose.attitude)
    parts = {
        "CameraOrientationNED": {name.removesuffix("_deg").title(): f"{value:.9f}" for name, value in attitude.items()},
        "CalibratedFocalLength": {"X": lens.focal_px, "Y": lens.focal_y_px},
        "CalibratedOpticalCenter": {"X": lens.center_px[0], "Y": lens.center_px[1]},
    }
    plain = {
        "Longitude": f"{position.lon:.10f}",
        "Latitude": f"{position.lat:.10f}",
        "AbsoluteAltitude": f"{position.altitude.value_m:.4f}",
        "VertCS": "ellipsoidal",
        "DewarpData": f"{lens.k1}, {lens.k2}, {lens.k3}",
    }
    inner = "".join(
        f'<drone-skydio:{name} rdf:parseType="Resource">'
        + "".join(f"<drone-skydio:{key}>{value}</drone-skydio:{key}>" for key, value in fields.items())
        + f"</drone-skydio:{name}>"
        for name, fields in parts.items()
    ) + "".join(f"<drone-skydio:{name}>{value}</drone-skydio:{name}>" for name, value in plain.items())
    image = Image.new("RGB", (lens.width_px, lens.height_px))
    image.save(path, xmp=f"<x:xmpmeta><rdf:Description>{inner}</rdf:Description></x:xmpmeta>".encode(), quality=10)
    return path
