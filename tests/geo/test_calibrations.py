"""Calibration files: real ones where they are, and made ones against the formulas of who wrote them."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from geo.calibrations import read_calibration
from geo.cameras import BrownCamera
from geo.errors import CalibrationInvalid
from geo.fisheye import FisheyeCamera

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
RAYS = np.random.default_rng(5).uniform([-0.5, -0.35, 1], [0.5, 0.35, 1], (500, 3))
MATRIX = np.array([[2800.0, 0, 1950.0], [0, 2790.0, 1490.0], [0, 0, 1]])
BROWN = np.array([-0.2, 0.08, 0.0007, -0.0004, -0.01, 0.02, -0.005, 0.001])
FISHEYE = np.array([-0.02, 0.004, -0.003, 0.0004])


def stored(path: Path, distortion: np.ndarray, *, size: bool = True, fisheye: bool = False) -> Path:
    """As OpenCV's calibration samples write it."""
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    if size:
        storage.write("image_width", 3900)
        storage.write("image_height", 2980)
    storage.write("camera_matrix", MATRIX)
    storage.write("distortion_coefficients", distortion.reshape(-1, 1))
    if fisheye:
        storage.write("fisheye_model", 1)
    storage.release()
    return path


@pytest.mark.parametrize("suffix", ["yml", "yaml", "xml", "json"])
@pytest.mark.parametrize("count", [4, 5, 8])
def test_opencv(tmp_path: Path, suffix: str, count: int) -> None:
    lens = read_calibration(stored(tmp_path / f"camera.{suffix}", BROWN[:count]))
    assert isinstance(lens, BrownCamera)
    assert (lens.width_px, lens.height_px) == (3900, 2980)
    expected = cv2.projectPoints(RAYS, np.zeros(3), np.zeros(3), MATRIX, BROWN[:count])[0].reshape(-1, 2)
    assert np.abs(lens.pixels_from_rays(RAYS) - expected).max() < 1e-9


def test_opencv_fisheye(tmp_path: Path) -> None:
    lens = read_calibration(stored(tmp_path / "camera.yml", FISHEYE, fisheye=True))
    assert isinstance(lens, FisheyeCamera)
    expected = cv2.fisheye.projectPoints(RAYS[:, None], np.zeros(3), np.zeros(3), MATRIX, FISHEYE)[0].reshape(-1, 2)
    assert np.abs(lens.pixels_from_rays(RAYS) - expected).max() < 1e-9


def test_opencv_without_a_size_needs_one(tmp_path: Path) -> None:
    path = stored(tmp_path / "camera.yml", BROWN[:5], size=False)
    assert read_calibration(path, size_px=(3900, 2980)).width_px == 3900
    with pytest.raises(CalibrationInvalid, match="image_width"):
        read_calibration(path)


def opensfm_pixels(camera: dict[str, float], rays: np.ndarray) -> np.ndarray:
    """OpenSfM's own formulas, written once more: normalised by the longer side, counted from the picture's middle."""
    x, y = rays[:, 0] / rays[:, 2], rays[:, 1] / rays[:, 2]
    value = {name: camera.get(name, 0.0) for name in ("k1", "k2", "k3", "k4", "p1", "p2", "c_x", "c_y")}
    if str(camera["projection_type"]).startswith("fisheye"):
        r = np.hypot(x, y)
        theta = np.arctan(r)
        bent = theta * (1 + sum(value[f"k{n}"] * theta ** (2 * n) for n in (1, 2, 3, 4)))
        x, y = x / r * bent, y / r * bent
    else:
        r2 = x * x + y * y
        radial = 1 + value["k1"] * r2 + value["k2"] * r2**2 + value["k3"] * r2**3
        x, y = (
            x * radial + 2 * value["p1"] * x * y + value["p2"] * (r2 + 2 * x * x),
            y * radial + 2 * value["p2"] * x * y + value["p1"] * (r2 + 2 * y * y),
        )
    focal_x = camera.get("focal_x", camera.get("focal", 0.0))
    normal = np.stack([focal_x * x + value["c_x"], camera.get("focal_y", focal_x) * y + value["c_y"]], -1)
    size = max(camera["width"], camera["height"])
    return normal * size + np.array([camera["width"], camera["height"]]) / 2 - 0.5


OPENSFM = {
    "perspective": {"focal": 0.85, "k1": -0.01, "k2": 0.004},
    "radial": {"focal_x": 0.85, "focal_y": 0.84, "c_x": 0.01, "c_y": -0.02, "k1": -0.01, "k2": 0.004},
    "brown": {"focal_x": 0.85, "focal_y": 0.84, "c_x": 0.01, "c_y": -0.02, "k1": -0.2, "k2": 0.1, "k3": -0.02,
              "p1": 0.0007, "p2": 0.0003},
    "fisheye": {"focal": 0.5, "k1": -0.02, "k2": 0.003},
    "fisheye_opencv": {"focal_x": 0.5, "focal_y": 0.51, "c_x": 0.01, "c_y": 0.0, "k1": -0.02, "k2": 0.003,
                       "k3": -0.001, "k4": 0.0002},
}  # fmt: skip


@pytest.mark.parametrize("kind", list(OPENSFM))
def test_opendronemap(tmp_path: Path, kind: str) -> None:
    camera = {"projection_type": kind, "width": 4000, "height": 3000, **OPENSFM[kind]}
    path = tmp_path / "cameras.json"
    path.write_text(json.dumps({"v2 maker model": camera}))
    lens = read_calibration(path)
    assert np.abs(lens.pixels_from_rays(RAYS) - opensfm_pixels(camera, RAYS)).max() < 1e-9
    pixels = np.random.default_rng(6).uniform([0, 0], [3999, 2999], (500, 2))
    assert np.abs(opensfm_pixels(camera, lens.rays_from_pixels(pixels)) - pixels).max() < 1e-8


def test_a_reconstruction_of_opendronemap() -> None:
    path = DATA / "flight" / "orthority_odm" / "opensfm" / "reconstruction.json"
    if not path.exists():
        pytest.skip(f"no {path}")
    lens = read_calibration(path)
    camera = next(iter(json.loads(path.read_text())[0]["cameras"].values()))
    assert (lens.width_px, lens.height_px) == (1368, 912)
    assert np.abs(lens.pixels_from_rays(RAYS) - opensfm_pixels(camera, RAYS)).max() < 1e-9


PIX4D = """fileName imageWidth imageHeight
camera matrix K [3x3]
radial distortion [3x1]
tangential distortion [2x1]
camera position t [3x1]
camera rotation R [3x3]
camera model m = K [R|-Rt] X

"""


def pix4d_picture(name: str, focal: float = 2800.0) -> str:
    return (
        f"{name} 3900 2980\n{focal} 0 1950\n0 2790 1490\n0 0 1\n-0.2 0.08 -0.01\n0.0007 -0.0004\n"
        "10 20 30\n1 0 0\n0 -1 0\n0 0 -1\n"
    )


def test_pix4d_pictures(tmp_path: Path) -> None:
    path = tmp_path / "site_calibrated_camera_parameters.txt"
    path.write_text(PIX4D + pix4d_picture("DSC 1.JPG") + pix4d_picture("DSC 2.JPG"))
    expected = cv2.projectPoints(RAYS, np.zeros(3), np.zeros(3), MATRIX, BROWN[:5])[0].reshape(-1, 2)
    assert np.abs(read_calibration(path).pixels_from_rays(RAYS) - expected).max() < 1e-9
    path.write_text(PIX4D + pix4d_picture("1.JPG") + pix4d_picture("2.JPG", 2810.0))
    assert read_calibration(path, name="2.JPG").focal_px == 2810.0
    with pytest.raises(CalibrationInvalid, match=r"name one of: 1\.JPG, 2\.JPG"):
        read_calibration(path)
    with pytest.raises(CalibrationInvalid, match=r"no camera '3\.JPG'"):
        read_calibration(path, name="3.JPG")
    path.write_text(PIX4D + pix4d_picture("1.JPG") + "0.5\n")
    with pytest.raises(CalibrationInvalid, match="27 numbers"):
        read_calibration(path)


def test_pix4d_internal(tmp_path: Path) -> None:
    path = tmp_path / "site_pix4d_calibrated_internal_camera_parameters.cam"
    path.write_text(
        "Pix4D camera calibration file 0\n#Focal Length mm assuming a sensor width of 17.5x13.125mm\nF 15.0\n"
        "#Principal Point mm\nPx 8.5\nPy 6.3\n#Symmetrical Lens Distortion Coeffs\nK1 0.038\nK2 -0.017\nK3 0.02\n"
        "#Tangential Lens Distortion Coeffs\nT1 0.0024\nT2 0.0029\n"
    )
    lens = read_calibration(path, size_px=(4608, 3456))
    assert lens.focal_px == pytest.approx(15 / 17.5 * 4608)
    assert lens.center_px == pytest.approx((8.5 / 17.5 * 4608, 6.3 / 13.125 * 3456))
    assert (lens.k1, lens.k3) == (0.038, 0.02)
    with pytest.raises(CalibrationInvalid, match="no size in px"):
        read_calibration(path)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not a calibration that is known"),
        ("focal: 3", "not a calibration that is known"),
        ("{", "not JSON"),
        ("[]", "holds no camera"),
        ("[" * 100_000, "not JSON"),
        ("%YAML:1.0\n---\nfoo: 1\n", "no camera_matrix"),
        ("%YAML:1.0\n---\ncamera_matrix: {{{\n", "FileStorage"),
        ('<?xml version="1.0"?>\n<opencv_storage><a></b></opencv_storage>', "FileStorage"),
        ('{"a": {"projection_type": "spherical", "width": 100, "height": 50}}', "'spherical' is not supported"),
        ('{"a": {"projection_type": "brown", "width": 100, "height": 50}}', "focal"),
        ('{"a": {"projection_type": "brown", "width": 100, "height": 50, "focal_x": -1}}', "not positive"),
        ('{"a": {"projection_type": "brown", "width": 100, "height": 50, "focal_x": NaN}}', "not finite"),
        ('{"a": {"projection_type": "brown", "width": 100, "height": 50, "focal_x": 1, "c_x": 3}}', "outside"),
    ],
)
def test_what_is_no_calibration(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "camera.json"
    path.write_text(content)
    with pytest.raises(CalibrationInvalid, match=said):
        read_calibration(path)


def test_more_than_is_supported(tmp_path: Path) -> None:
    with pytest.raises(CalibrationInvalid, match="thin prisms"):
        read_calibration(stored(tmp_path / "camera.yml", np.arange(1, 13) / 1000))
    with pytest.raises(CalibrationInvalid, match="No such file"):
        read_calibration(tmp_path / "none.yml")
    (tmp_path / "binary.yml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CalibrationInvalid, match="not a text file"):
        read_calibration(tmp_path / "binary.yml")
