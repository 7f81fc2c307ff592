"""Photographs: real ones agree with themselves, broken ones say what is missing."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from geo.errors import PhotoInvalid
from geo.location import locate
from geo.photos import read_photo
from geo.positions import LocalPlane
from geo.terrain import FlatTerrain

DATA = Path(os.environ.get("MC_DATA", Path(__file__).parents[2].parent / "shared" / "data"))


def real(name: str) -> Path:
    path = DATA / "flight" / name
    if not path.exists():
        pytest.skip(f"no {path}")
    return path


def test_a_dji_photograph() -> None:
    photo = read_photo(real("dji_brighton_beach/DJI_0018.JPG"))
    assert photo.model == "FC300S"
    assert (photo.lon, photo.lat) == pytest.approx((-91.9945599, 46.8426071), abs=1e-6)
    assert (photo.attitude.pitch_deg, photo.attitude.yaw_deg, photo.attitude.roll_deg) == (-89.9, 45.0, 0.0)
    assert (photo.above_take_off_m, photo.stated_m, photo.amsl_m) == (39.8, 198.31, None)
    assert photo.camera.focal_px == pytest.approx(3.61 / 6.317 * 4000)
    pose, notes = photo.pose_above(FlatTerrain(185), ground_is_flat=True)
    assert pose.position.altitude.value_m == pytest.approx(224.8)
    assert "above take-off" in notes[0]


def test_the_stated_height_of_dji_is_not_above_the_sea() -> None:
    """The lake there lies at 183 m AMSL: 198.31 m stated less 39.8 m flown is 25 m below its beach."""
    photo = read_photo(real("dji_brighton_beach/DJI_0018.JPG"))
    assert photo.stated_m is not None
    assert photo.above_take_off_m is not None
    assert photo.stated_m - photo.above_take_off_m < 183 - 20


def test_two_photographs_show_one_thing_in_one_place() -> None:
    """Matched features of overlapping pictures, located from each, agree within what GPS and compass allow."""
    folder = real("dji_brighton_beach")
    photos = [read_photo(folder / f"DJI_00{number}.JPG") for number in (19, 20)]
    shrunk = [
        cv2.resize(cv2.imread(str(folder / f"DJI_00{number}.JPG"), cv2.IMREAD_GRAYSCALE), None, fx=0.25, fy=0.25)
        for number in (19, 20)
    ]
    sift = cv2.SIFT_create(3000)
    (first, first_marks), (second, second_marks) = (sift.detectAndCompute(image, None) for image in shrunk)
    pairs = cv2.BFMatcher().knnMatch(first_marks, second_marks, k=2)
    matches = [near for near, next_near in pairs if near.distance < 0.75 * next_near.distance]
    pixels = [
        np.array([first[match.queryIdx].pt for match in matches]) * 4,
        np.array([second[match.trainIdx].pt for match in matches]) * 4,
    ]
    _, inliers = cv2.findHomography(pixels[0], pixels[1], cv2.RANSAC, 12.0)
    kept = inliers.ravel().astype(bool)
    assert kept.sum() > 20
    plane = LocalPlane(lon=photos[0].lon, lat=photos[0].lat)
    ground, places, reach_m = FlatTerrain(185), [], 0.0
    for photo, pixel in zip(photos, pixels, strict=True):
        pose, _ = photo.pose_above(ground, ground_is_flat=True)
        found = locate(photo.camera, pose, pixel[kept], ground, sigmas=photo.sigmas)
        lon, lat = np.array([(one.position.lon, one.position.lat) for one in found]).T
        places.append(np.column_stack(plane.to_plane(lon, lat)))
        reach_m = max(reach_m, found[0].ellipse.semi_major_m)
    apart_m = np.median(np.hypot(*(places[0] - places[1]).T))
    assert apart_m < np.sqrt(2) * reach_m
    assert apart_m < 3


def test_a_sensefly_photograph() -> None:
    photo = read_photo(real("sensefly_seneca/IMG_0448.jpg"))
    assert photo.amsl_m == pytest.approx(322.08, abs=0.01)
    pose, notes = photo.pose_above(FlatTerrain(248), ground_is_flat=True)
    assert pose.position.altitude.value_m == photo.amsl_m
    down = pose.enu_from_camera() @ [0, 0, 1]
    assert np.degrees(np.arccos(-down[2])) == pytest.approx(np.hypot(10.79, 1.04), abs=0.05)
    assert "as the file states" in notes[0]
    assert photo.utc_s == pytest.approx(1370367496)


def jpeg(path: Path, *, xmp: str = "", gps: dict[int, object] | None = None, model: str = "FC6310") -> Path:
    image = Image.new("RGB", (64, 48))
    exif = Image.Exif()
    exif[0x0110] = model
    exif.get_ifd(0x8769)[37386] = 8.8
    if gps is not None:
        exif.get_ifd(0x8825).update(gps)
    image.save(path, exif=exif, xmp=f"<x:xmpmeta><rdf:Description {xmp}/></x:xmpmeta>".encode())
    return path


GPS = {1: "N", 2: (43.0, 12.0, 0.0), 3: "E", 4: (76.0, 54.0, 0.0), 5: b"\x00", 6: 900.0}
VIEW = 'drone-dji:GimbalPitchDegree="-60.0" drone-dji:GimbalYawDegree="10" drone-dji:GimbalRollDegree="0"'


def test_made_photographs(tmp_path: Path) -> None:
    photo = read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS))
    assert (photo.lon, photo.lat, photo.stated_m) == (76.9, 43.2, 900.0)
    assert photo.camera.focal_px == pytest.approx(8.8 / 13.2 * 64)
    pose, notes = photo.pose_above(FlatTerrain(800), ground_is_flat=True)
    assert pose.position.altitude.value_m == 900
    assert "may be above the ellipsoid" in notes[0]
    rtk = read_photo(jpeg(tmp_path / "b.jpg", xmp=VIEW + ' drone-dji:RtkFlag="50" drone-dji:RtkStdLon="0.02"', gps=GPS))
    assert rtk.sigmas.horizontal_m == 0.03
    calibrated = (
        'drone-dji:DewarpFlag="0" drone-dji:DewarpData="2020-01-01;50.5,50.5,1.5,-2.5,-0.2,0.1,0.001,0.002,-0.05"'
    )
    dewarped = read_photo(jpeg(tmp_path / "c.jpg", xmp=f"{VIEW} {calibrated}", gps=GPS)).camera
    assert (dewarped.focal_px, dewarped.k1, dewarped.k3) == (50.5, -0.2, -0.05)
    assert dewarped.center_px == (33.0, 21.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"xmp": VIEW}, "no GPS position"),
        ({"gps": GPS}, "direction of view"),
        ({"xmp": VIEW, "gps": GPS | {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}}, "no GPS fix"),
        ({"xmp": VIEW, "gps": GPS | {2: (95.0, 0.0, 0.0)}}, "lat 95"),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(PhotoInvalid, match=said):
        read_photo(jpeg(tmp_path / "a.jpg", **options))  # type: ignore[arg-type]


def test_what_is_no_photograph(tmp_path: Path) -> None:
    for name, content in (("text.jpg", b"hello"), ("empty.jpg", b""), ("cut.jpg", b"\xff\xd8\xff\xe1\x00\x10Exif")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(PhotoInvalid, match=name):
            read_photo(tmp_path / name)
    with pytest.raises(PhotoInvalid, match="no such file"):
        read_photo(tmp_path / "none.jpg")


def test_a_photograph_without_height_is_refused(tmp_path: Path) -> None:
    gps = {key: value for key, value in GPS.items() if key not in (5, 6)}
    with pytest.raises(PhotoInvalid, match="no height"):
        read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=gps)).pose_above(FlatTerrain(0), ground_is_flat=True)


def test_an_unknown_camera_needs_its_focal_length(tmp_path: Path) -> None:
    with pytest.raises(PhotoInvalid, match="'Box 1' is not in the library"):
        read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS, model="Box 1"))
