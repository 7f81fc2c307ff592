"""Where a pixel of a photograph lies on the ground."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from geo.location import locate
from geo.photos import read_photo
from missioncontrol.errors import InputInvalid
from missioncontrol.sites import terrain_of


def locate_photo(
    photo: Path, *, pixel: tuple[float, float], dem: Sequence[Path] = (), ground_amsl_m: float | None = None
) -> dict[str, Any]:
    """Where a pixel of a photograph lies: lon, lat, height with datum, ellipse, slant_range_m, and the pose used.

    Raises PhotoInvalid, NoGround, TerrainMissing, DatumUnknown; InputInvalid for a pixel outside the picture or
    where neither terrain nor a ground height is given and the photograph does not state its height above ground.
    """
    shot = read_photo(photo)
    terrain = terrain_of(dem, ground_amsl_m)
    u, v = pixel
    if not (-0.5 <= u <= shot.camera.width_px - 0.5 and -0.5 <= v <= shot.camera.height_px - 0.5):
        raise InputInvalid(
            f"--pixel {u:g},{v:g}: outside the picture of {shot.camera.width_px} x {shot.camera.height_px} px"
        )
    if terrain is None:
        raise InputInvalid(
            "--dem, --ground-amsl-m: give one of the two, the height of the ground is not in a photograph"
        )
    pose, notes = shot.pose_above(terrain, ground_is_flat=not dem)
    (found,) = locate(
        shot.camera, pose, [pixel], terrain, sigmas=shot.sigmas, dem_sigma_m=3.0 if dem else 2.0, max_range_m=20_000.0
    )
    return {
        "lon": found.position.lon,
        "lat": found.position.lat,
        "height": {"value_m": round(found.position.altitude.value_m, 3), "datum": found.position.altitude.datum.value},
        "ellipse": msgspec.to_builtins(found.ellipse),
        "slant_range_m": round(found.slant_range_m, 3),
        "height_sigma_m": round(found.height_sigma_m, 3),
        "camera": {
            "model": shot.model,
            "lon": pose.position.lon,
            "lat": pose.position.lat,
            "height": msgspec.to_builtins(pose.position.altitude),
            "attitude": msgspec.to_builtins(pose.attitude),
        },
        "notes": [*shot.notes, *notes],
    }
