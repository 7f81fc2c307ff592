"""Lenses and mountings of vehicles: from settings to where the camera is and what it sees."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from fleet.history import PoseHistory
from geo.cameras import BrownCamera
from geo.mountings import Boresight, Mounting
from geo.poses import PoseSigmas
from geo.positions import LocalPlane
from missioncontrol.errors import SettingsInvalid
from missioncontrol.exposures import Watching
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.lenses import video_lens
from missioncontrol.observations import ModelStamp
from missioncontrol.settings_files import load

CALIBRATED = {
    "projection_type": "brown", "width": 1280, "height": 720, "focal_x": 0.8, "focal_y": 0.79, "c_x": 0.01,
    "c_y": -0.01, "k1": -0.1, "k2": 0.02, "p1": 0.0, "p2": 0.0, "k3": 0.0,
}  # fmt: skip


def vehicle(folder: Path, **figures: object) -> VehicleSettings:
    path = folder / "cameras.json"
    path.write_text(json.dumps({"v2 gimbal": {**CALIBRATED, **figures}}))
    return VehicleSettings(sysid=1, name="alpha", calibration=path)


def test_a_vehicle_with_a_calibration(tmp_path: Path) -> None:
    vehicle(tmp_path)
    (tmp_path / "settings.toml").write_text(
        '[[vehicles]]\nsysid = 1\nname = "alpha"\ncalibration = "cameras.json"\n'
        "[vehicles.mounting]\ngimbal_m = [0.1, 0.0, 0.2]\nboresight = { pitch_deg = 0.4 }\n"
    )
    (found,) = load(tmp_path / "settings.toml", {}).vehicles
    lens = video_lens(found)
    assert (lens.focal_px, lens.focal_y_px, lens.k1) == (0.8 * 1280, 0.79 * 1280, -0.1)
    assert found.mounting == Mounting(gimbal_m=(0.1, 0.0, 0.2), boresight=Boresight(pitch_deg=0.4))
    assert video_lens(VehicleSettings(sysid=1, name="alpha", camera="sim-wide")).width_px == 1280


@pytest.mark.parametrize(
    ("figures", "said"),
    [
        ({"projection_type": "fisheye"}, "Brown's model alone"),
        ({"k1": -0.9}, "corners"),
        ({"focal_x": -1}, "alpha: calibration: .*not positive"),
    ],
)
def test_calibrations_that_video_cannot_have(tmp_path: Path, figures: dict[str, object], said: str) -> None:
    with pytest.raises(SettingsInvalid, match=said):
        video_lens(vehicle(tmp_path, **figures))


def test_what_was_seen_is_kept_with_both_focal_lengths() -> None:
    for lens in (
        BrownCamera(width_px=1280, height_px=720, focal_px=1000, focal_y_px=980, k1=-0.05),
        BrownCamera(width_px=1280, height_px=720, focal_px=1000),
    ):
        watching = Watching.through(
            lens, model=ModelStamp(name="m", version="1", sha256="0"), thresholds={}, min_hits=1, min_range_m=0.0,
            max_range_m=500.0, sigmas=PoseSigmas(),
        )  # fmt: skip
        pixels = np.array([[5.0, 5.0], [900.0, 700.0]])
        assert watching.camera.rays_from_pixels(pixels) == pytest.approx(lens.rays_from_pixels(pixels))


def test_telemetry_gives_the_pose_of_the_camera() -> None:
    """Heading east, the camera hangs 0.5 m ahead of the antenna and 0.2 m below it, and looks 1 deg too high."""
    poses = []
    for mounting in (None, Mounting(gimbal_m=(0.5, 0.0, 0.2), boresight=Boresight(pitch_deg=1.0))):
        history = PoseHistory(fixed_mount_pitch_deg=-45.0, mounting=mounting)
        history.learn_utc(1000.0, 0.0)
        for boot_s in (1.0, 2.0):
            history.add_position(
                boot_s, lon=76.9, lat=43.2, amsl_m=900.0, relative_m=100.0, north_m_s=0.0, east_m_s=0.0, down_m_s=0.0
            )
            history.add_attitude(boot_s, 0.0, 0.0, np.radians(90.0))
        sample = history.pose_at(1001.5)
        assert sample is not None
        poses.append(sample.pose)
    plain, mounted = poses
    plane = LocalPlane(lon=76.9, lat=43.2, height_m=900.0)
    moved = plane.to_plane(mounted.position.lon, mounted.position.lat)
    assert [float(part) for part in moved] == pytest.approx([0.5, 0.0], abs=1e-4)
    assert mounted.position.altitude.value_m - plain.position.altitude.value_m == pytest.approx(-0.2)
    assert (plain.attitude.pitch_deg, mounted.attitude.pitch_deg) == pytest.approx((-45.0, -44.0))
