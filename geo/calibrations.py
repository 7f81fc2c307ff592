"""Calibrations: cameras from the files that OpenCV, OpenDroneMap (OpenSfM) and Pix4D write.

All three put the principal point's origin in the middle of the top left pixel here; Pix4D does not say where its own
is, so that half a pixel of it is unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from geo.cameras import BrownCamera
from geo.errors import CalibrationInvalid
from geo.fisheye import FisheyeCamera

Lens = BrownCamera | FisheyeCamera

MOST_BYTES = 64_000_000
"""Of a file; a reconstruction.json of some hundred pictures is that long."""

OPENCV_NAMES = {
    "matrix": ("cameramatrix", "k", "intrinsicmatrix"),
    "distortion": ("distortioncoefficients", "distcoeffs", "distortion", "d"),
    "width": ("imagewidth", "width"),
    "height": ("imageheight", "height"),
    "size": ("imagesize",),
    "fisheye": ("fisheyemodel", "fisheye"),
    "model": ("distortionmodel", "cameramodel", "model"),
}
"""Names that OpenCV's samples and their kin give, lower case without underscores."""
OPENSFM_BROWN = {
    "perspective": ("k1", "k2"),
    "simple_radial": ("k1",),
    "radial": ("k1", "k2"),
    "brown": ("k1", "k2", "p1", "p2", "k3"),
}
OPENSFM_FISHEYE = {"fisheye": ("k1", "k2"), "fisheye_opencv": ("k1", "k2", "k3", "k4")}
"""Projection types of OpenSfM and their coefficients; the same formulas as OpenCV's."""
PIX4D_NUMBERS = 9 + 3 + 2 + 3 + 9
"""In a picture's section: K, radial and tangential distortion, position, rotation."""
PIX4D_HEADING = "fileName imageWidth imageHeight"
PIX4D_INTERNAL = "Pix4D camera calibration file"


def read_calibration(path: Path | str, *, name: str | None = None, size_px: tuple[int, int] | None = None) -> Lens:
    """The camera of a calibration file: OpenCV's FileStorage (.yml, .yaml, .xml, .json), OpenDroneMap's cameras.json
    or reconstruction.json, Pix4D's _calibrated_camera_parameters.txt or .cam.

    `name` chooses one of several: a camera's name in OpenDroneMap's files, a picture's in Pix4D's. `size_px` (width,
    height) is needed where the file does not tell it (Pix4D .cam, OpenCV's without image size). Four coefficients of
    OpenCV are Brown's k1, k2, p1, p2 unless the file says fisheye. Raises CalibrationInvalid.
    """
    path = Path(path)
    try:
        if path.stat().st_size > MOST_BYTES:
            raise CalibrationInvalid(f"{path}: longer than {MOST_BYTES} bytes: not a calibration")
        text = path.read_text(encoding="utf-8")
    except OSError as exc:
        raise CalibrationInvalid(f"{path}: cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise CalibrationInvalid(f"{path}: not a text file") from exc
    cameras = _reader_of(path, text)(str(path), text, size_px)
    if name is not None and name not in cameras:
        raise CalibrationInvalid(f"{path}: no camera {name!r}; there are: {_listed(cameras)}")
    chosen = [cameras[name]] if name is not None else list(cameras.values())
    if not chosen:
        raise CalibrationInvalid(f"{path}: holds no camera")
    if any(figures_of(other) != figures_of(chosen[0]) for other in chosen[1:]):
        raise CalibrationInvalid(f"{path}: holds several cameras, name one of: {_listed(cameras)}")
    return chosen[0]


def figures_of(camera: Lens) -> dict[str, Any]:
    """The parameters that make a camera."""
    names = ("width_px", "height_px", "focal_px", "focal_y_px", "center_px")
    return {name: getattr(camera, name) for name in names} | camera.distortion


def _listed(cameras: dict[str, Lens]) -> str:
    more = f" and {len(cameras) - 8} more" if len(cameras) > 8 else ""
    return ", ".join(list(cameras)[:8]) + more


_Reader = Callable[[str, str, tuple[int, int] | None], dict[str, Lens]]


def _reader_of(path: Path, text: str) -> _Reader:
    start = text.lstrip("\ufeff \t\r\n")
    if start.startswith(PIX4D_HEADING):
        return _pix4d_pictures
    if start.startswith(PIX4D_INTERNAL):
        return _pix4d_internal
    if start.startswith(("{", "[")):
        return _json
    if start.startswith(("%YAML", "<?xml", "<opencv_storage")):
        return _opencv
    raise CalibrationInvalid(
        f"{path}: not a calibration that is known: OpenCV (begins with %YAML:1.0 or <opencv_storage>, or JSON), "
        "OpenDroneMap (cameras.json, reconstruction.json), Pix4D (_calibrated_camera_parameters.txt, .cam)"
    )


def _json(where: str, text: str, size_px: tuple[int, int] | None) -> dict[str, Lens]:
    try:
        tree = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise CalibrationInvalid(f"{where}: not JSON: {exc}") from exc
    if isinstance(tree, list):
        tree = {
            name: one for part in tree if isinstance(part, dict) for name, one in (part.get("cameras") or {}).items()
        }
    if not isinstance(tree, dict):
        raise CalibrationInvalid(f"{where}: holds no camera")
    named = {name: one for name, one in tree.items() if isinstance(one, dict) and "projection_type" in one}
    if named or not tree:
        return {name: _opensfm(f"{where}: camera {name!r}", one) for name, one in named.items()}
    return _opencv(where, text, size_px)


def _opensfm(where: str, found: dict[str, Any]) -> Lens:
    """A camera of OpenSfM: lengths are shares of the longer side of the picture, counted from its middle."""
    kind = found["projection_type"]
    names = OPENSFM_BROWN.get(kind) or OPENSFM_FISHEYE.get(kind)
    if names is None:
        known = ", ".join([*OPENSFM_BROWN, *OPENSFM_FISHEYE])
        raise CalibrationInvalid(f"{where}: projection {kind!r} is not supported; these are: {known}")
    try:
        width, height = int(found["width"]), int(found["height"])
        focal = float(found["focal_x"] if "focal_x" in found else found["focal"])
        focal_y = float(found.get("focal_y", focal))
        across, down = float(found.get("c_x", 0.0)), float(found.get("c_y", 0.0))
        distortion = {name: float(found.get(name, 0.0)) for name in names}
    except (KeyError, TypeError, ValueError) as exc:
        raise CalibrationInvalid(f"{where}: {exc} is missing or no number") from exc
    longer = max(width, height)
    return _lens(
        where,
        fisheye=kind in OPENSFM_FISHEYE,
        size=(width, height),
        focal=(focal * longer, focal_y * longer),
        center=((width - 1) / 2 + across * longer, (height - 1) / 2 + down * longer),
        distortion=distortion,
    )


def _opencv(where: str, text: str, size_px: tuple[int, int] | None) -> dict[str, Lens]:
    try:
        storage = cv2.FileStorage(text, cv2.FILE_STORAGE_READ | cv2.FILE_STORAGE_MEMORY)
        root = storage.root()
        keys = {re.sub(r"[^a-z0-9]", "", key.lower()): key for key in root.keys()}  # noqa: SIM118 - not a mapping

        def node(what: str) -> Any:
            return next((root.getNode(keys[name]) for name in OPENCV_NAMES[what] if name in keys), None)

        matrix, coefficients = node("matrix"), node("distortion")
        matrix = None if matrix is None else matrix.mat()
        coefficients = None if coefficients is None else coefficients.mat()
        size = node("size")
        sides = [node("width"), node("height")] if size is None else [size.at(0), size.at(1)]
        told = None if None in sides else (int(sides[0].real()), int(sides[1].real()))
        model, flag = node("model"), node("fisheye")
        fisheye = (flag is not None and flag.real() != 0) or (
            model is not None and model.isString() and model.string().lower() in ("fisheye", "equidistant")
        )
    except (cv2.error, SystemError) as exc:
        raise CalibrationInvalid(f"{where}: not a file that cv2.FileStorage wrote: {str(exc)[:200]}") from exc
    if matrix is None or matrix.shape != (3, 3):
        raise CalibrationInvalid(f"{where}: holds no camera_matrix of 3 x 3")
    size_told = told or size_px
    if size_told is None:
        raise CalibrationInvalid(f"{where}: tells no image_width and image_height: give the size of the pictures")
    numbers = [] if coefficients is None else np.asarray(coefficients, float).ravel().tolist()
    names = ("k1", "k2", "k3", "k4") if fisheye else ("k1", "k2", "p1", "p2", "k3", "k4", "k5", "k6")
    if any(numbers[len(names) :]):
        raise CalibrationInvalid(
            f"{where}: {len(numbers)} distortion coefficients: thin prisms and tilted sensors are not supported"
        )
    if abs(matrix[0, 1]) > 1e-6 * abs(matrix[0, 0]):
        raise CalibrationInvalid(f"{where}: camera_matrix has skew ({matrix[0, 1]:g}), which is not supported")
    lens = _lens(
        where,
        fisheye=fisheye,
        size=size_told,
        focal=(float(matrix[0, 0]), float(matrix[1, 1])),
        center=(float(matrix[0, 2]), float(matrix[1, 2])),
        distortion=dict(zip(names, numbers, strict=False)),
    )
    return {"camera": lens}


def _pix4d_pictures(where: str, text: str, _: tuple[int, int] | None) -> dict[str, Lens]:
    """Of every picture; the heading tells the order: size, K, radial, tangential, position, rotation."""
    lines = [line.split() for line in text.splitlines()]
    pictures = {}
    starts = [
        number
        for number, parts in enumerate(lines)
        if len(parts) >= 3 and parts[-1].isdigit() and parts[-2].isdigit() and not _is_number(parts[0])
    ]
    for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
        picture = " ".join(lines[start][:-2])
        said = f"{where}: {picture}"
        try:
            numbers = [float(part) for parts in lines[start + 1 : end] for part in parts]
        except ValueError as exc:
            raise CalibrationInvalid(f"{said}: {exc}") from exc
        if len(numbers) != PIX4D_NUMBERS:
            raise CalibrationInvalid(f"{said}: {len(numbers)} numbers where {PIX4D_NUMBERS} are expected")
        matrix = np.array(numbers[:9]).reshape(3, 3)
        k1, k2, k3, p1, p2 = numbers[9:14]
        pictures[picture] = _lens(
            said,
            fisheye=False,
            size=(int(lines[start][-2]), int(lines[start][-1])),
            focal=(float(matrix[0, 0]), float(matrix[1, 1])),
            center=(float(matrix[0, 2]), float(matrix[1, 2])),
            distortion={"k1": k1, "k2": k2, "k3": k3, "p1": p1, "p2": p2},
        )
    return pictures


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _pix4d_internal(where: str, text: str, size_px: tuple[int, int] | None) -> dict[str, Lens]:
    """Lengths in mm of a sensor that the file states; the picture's size in px it does not state."""
    if size_px is None:
        raise CalibrationInvalid(f"{where}: a .cam file tells no size in px: give the size of the pictures")
    return {f"camera {number}": _internal(said, part, size_px) for number, said, part in _internal_parts(where, text)}


def _internal_parts(where: str, text: str) -> Iterator[tuple[str, str, str]]:
    for part in text.split(PIX4D_INTERNAL)[1:]:
        number = part.split(maxsplit=1)[0]
        yield number, f"{where}: camera {number}", part


def _internal(where: str, part: str, size_px: tuple[int, int]) -> Lens:
    sensor = re.search(r"sensor width of ([\d.]+)x([\d.]+)mm", part)
    found = {name: float(value) for name, value in re.findall(r"^\s*([A-Z]\w?) (-?[\d.eE+-]+)\s*$", part, re.MULTILINE)}
    missing = [name for name in ("F", "Px", "Py", "K1", "K2", "K3", "T1", "T2") if name not in found]
    if sensor is None or missing:
        what = ", ".join(missing) or "the size of the sensor"
        raise CalibrationInvalid(f"{where}: {what} is missing; only perspective lenses are supported")
    across, down = (pixels / float(mm) for pixels, mm in zip(size_px, sensor.groups(), strict=True))
    return _lens(
        where,
        fisheye=False,
        size=size_px,
        focal=(found["F"] * across, found["F"] * down),
        center=(found["Px"] * across, found["Py"] * down),
        distortion={"k1": found["K1"], "k2": found["K2"], "k3": found["K3"], "p1": found["T1"], "p2": found["T2"]},
    )


def _lens(
    where: str,
    *,
    fisheye: bool,
    size: tuple[int, int],
    focal: tuple[float, float],
    center: tuple[float, float],
    distortion: dict[str, float],
) -> Lens:
    """The camera, unless its figures cannot be those of one."""
    width, height = size
    if width < 16 or height < 16:
        raise CalibrationInvalid(f"{where}: a picture of {width} x {height} px")
    if not all(np.isfinite([*focal, *center, *distortion.values()])) or min(focal) <= 0:
        raise CalibrationInvalid(f"{where}: a focal length that is not positive, or a number that is not finite")
    if not (0 <= center[0] <= width and 0 <= center[1] <= height):
        raise CalibrationInvalid(
            f"{where}: the principal point {center[0]:.1f}, {center[1]:.1f} lies outside the picture of "
            f"{width} x {height} px: is the size right?"
        )
    figures: dict[str, Any] = {
        "width_px": width, "height_px": height, "focal_px": focal[0], "focal_y_px": focal[1], "center_px": center,
        **distortion,
    }  # fmt: skip
    return FisheyeCamera(**figures) if fisheye else BrownCamera(**figures)
