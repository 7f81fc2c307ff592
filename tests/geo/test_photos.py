"""Photographs: real ones agree with themselves, broken ones say what is missing."""

from __future__ import annotations

import json
import os
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray
from PIL import Image
from scipy.spatial.transform import Rotation

from geo.calibrations import figures_of, read_calibration
from geo.cameras import BrownCamera
from geo.errors import PhotoInvalid, TerrainMissing
from geo.geoids import HeightDatum, geoid
from geo.location import locate
from geo.photo_tags import Heights
from geo.photos import photos_in, read_photo
from geo.positions import LocalPlane
from geo.terrain import FlatTerrain
from geo.xmp import MOST_CHARACTERS, xmp_tags

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
    assert photo.heights == Heights(
        w84_m=None, amsl_m=None, above_ground_m=None, above_take_off_m=39.8, stated_m=198.31
    )
    assert photo.camera.focal_px == pytest.approx(3.61 / 6.317 * 4000)
    pose, notes = photo.pose_above(FlatTerrain(185), ground_is_flat=True)
    assert pose.position.altitude.value_m == pytest.approx(224.8)
    assert "above take-off" in notes[0]


def test_the_stated_height_of_dji_is_not_above_the_sea() -> None:
    """The lake there lies at 183 m AMSL: 198.31 m stated less 39.8 m flown is 25 m below its beach."""
    heights = read_photo(real("dji_brighton_beach/DJI_0018.JPG")).heights
    assert heights.stated_m is not None
    assert heights.above_take_off_m is not None
    assert heights.stated_m - heights.above_take_off_m < 183 - 20


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
    pose, notes = photo.pose_above(FlatTerrain(248), ground_is_flat=True)
    down = pose.enu_from_camera() @ [0, 0, 1]
    assert np.degrees(np.arccos(-down[2])) == pytest.approx(np.hypot(10.79, 1.04), abs=0.05)
    assert "above the ellipsoid as the file states it" in notes[0]
    assert photo.utc_s == pytest.approx(1370367496)


def test_the_sea_level_of_sensefly_is_not_that_of_egm96() -> None:
    """It states both heights: their difference is 4 m from the geoid there, so the one above the ellipsoid counts."""
    photo = read_photo(real("sensefly_seneca/IMG_0448.jpg"))
    assert photo.heights.amsl_m == pytest.approx(322.08, abs=0.01)
    assert photo.heights.w84_m == pytest.approx(290.41, abs=0.01)
    geoid_m = float(geoid(HeightDatum.EGM96).height_m(photo.lon, photo.lat))
    assert geoid_m == pytest.approx(-35.8, abs=0.1)
    assert photo.heights.w84_m - photo.heights.amsl_m - geoid_m == pytest.approx(4.1, abs=0.1)
    pose, _ = photo.pose_above(FlatTerrain(248), ground_is_flat=True)
    assert pose.position.altitude.value_m == pytest.approx(photo.heights.w84_m - geoid_m)


@pytest.mark.parametrize("name", ["100_0005_0018", "100_0005_0136", "100_0005_0140", "100_0005_0142"])
def test_a_dji_with_rtk_looks_where_a_reconstruction_has_it(name: str) -> None:
    """Gimbal angles and lens of a Phantom 4 RTK against OpenDroneMap's bundle adjustment of the same pictures."""
    folder = real("orthority_odm")
    reconstruction = json.loads((folder / "opensfm" / "reconstruction.json").read_text())[0]
    shot, photo = reconstruction["shots"][name], read_photo(folder / "images" / f"{name}.tif")
    enu_from_camera = Rotation.from_rotvec(shot["rotation"]).as_matrix().T
    pose, notes = photo.pose_above(FlatTerrain(100), ground_is_flat=True)
    apart = Rotation.from_matrix(enu_from_camera.T @ pose.enu_from_camera()).magnitude()
    assert np.degrees(apart) < 1.8
    height_m = float(-(enu_from_camera @ shot["translation"])[2])
    assert photo.heights.w84_m == pytest.approx(height_m, abs=0.05)
    geoid_m = float(geoid(HeightDatum.EGM96).height_m(photo.lon, photo.lat))
    assert pose.position.altitude.value_m == pytest.approx(height_m - geoid_m, abs=0.05)
    assert "ellipsoid" in notes[0]
    calibrated = read_calibration(folder / "opensfm" / "reconstruction.json")
    assert (photo.camera.width_px, photo.camera.height_px) == (1368, 912)
    assert photo.camera.focal_px == pytest.approx(calibrated.focal_px, rel=0.004)
    corners = [(0, 0), (1367, 0), (1367, 911), (0, 911)]
    rays = photo.camera.rays_from_pixels(corners)
    assert np.abs(calibrated.pixels_from_rays(rays) - corners).max() < 5
    assert photo.sigmas.horizontal_m < 0.05
    east_m_s, north_m_s, _ = photo.velocity_enu_m_s
    assert 6.5 < np.hypot(east_m_s, north_m_s) < 7.5
    away = (np.degrees(np.arctan2(east_m_s, north_m_s)) - photo.attitude.yaw_deg + 180) % 360 - 180
    assert abs(away) < 10, "it flies the way it looks"


def jpeg(
    path: Path,
    *,
    xmp: str = "",
    inner: str = "",
    gps: dict[int, object] | None = None,
    make: str = "DJI",
    model: str = "FC6310",
    details: dict[int, object] | None = None,
) -> Path:
    image = Image.new("RGB", (64, 48))
    exif = Image.Exif()
    exif[0x010F], exif[0x0110] = make, model
    exif.get_ifd(0x8769).update({37386: 8.8} if details is None else details)
    if gps is not None:
        exif.get_ifd(0x8825).update(gps)
    described = f"<x:xmpmeta><rdf:Description {xmp}>{inner}</rdf:Description></x:xmpmeta>"
    image.save(path, exif=exif, xmp=described.encode())
    return path


GPS = {1: "N", 2: (43.0, 12.0, 0.0), 3: "E", 4: (76.0, 54.0, 0.0), 5: b"\x00", 6: 900.0}
VIEW = 'drone-dji:GimbalPitchDegree="-60.0" drone-dji:GimbalYawDegree="10" drone-dji:GimbalRollDegree="0"'


def test_made_photographs(tmp_path: Path) -> None:
    photo = read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS))
    assert (photo.lon, photo.lat, photo.heights.stated_m) == (76.9, 43.2, 900.0)
    assert photo.camera.focal_px == pytest.approx(8.8 / 13.2 * 64)
    pose, notes = photo.pose_above(FlatTerrain(800), ground_is_flat=True)
    assert pose.position.altitude.value_m == 900
    assert "may be above the ellipsoid" in notes[0]
    rtk = read_photo(jpeg(tmp_path / "b.jpg", xmp=VIEW + ' drone-dji:RtkFlag="50" drone-dji:RtkStdLon="0.02"', gps=GPS))
    assert rtk.sigmas.horizontal_m == 0.03
    calibrated = (
        'drone-dji:DewarpFlag="0" drone-dji:DewarpData="2020-01-01;50.5,51.5,1.5,-2.5,-0.2,0.1,0.001,0.002,-0.05"'
    )
    dewarped = read_photo(jpeg(tmp_path / "c.jpg", xmp=f"{VIEW} {calibrated}", gps=GPS)).camera
    assert figures_of(dewarped).items() >= {"focal_px": 50.5, "focal_y_px": 51.5, "k1": -0.2, "k3": -0.05}.items()
    assert dewarped.center_px == (33.0, 21.0)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"xmp": VIEW}, "no GPS position"),
        ({"gps": GPS}, "direction of view"),
        ({"xmp": VIEW, "gps": GPS | {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}}, "no GPS fix"),
        ({"xmp": VIEW, "gps": GPS | {2: (95.0, 0.0, 0.0)}}, "lat 95"),
        ({"xmp": VIEW, "gps": {k: v for k, v in GPS.items() if k != 3}}, "whether 76.9 is east or west"),
        ({"xmp": VIEW, "gps": GPS | {1: "up"}}, "GPSLatitudeRef"),
        (
            {"xmp": VIEW + ' drone-dji:GpsLongitude="-76.9" drone-dji:GpsLatitude="43.2"', "gps": GPS},
            "XMP states lon -76.9, lat 43.2 and EXIF lon 76.9, lat 43.2, .* km apart",
        ),
        (
            {"xmp": VIEW + ' drone-dji:GpsLongitude="43.2" drone-dji:GpsLatitude="76.9"', "gps": GPS},
            "km apart: correct one of the two",
        ),
    ],
)
def test_what_is_missing_is_said(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(PhotoInvalid, match=said):
        read_photo(jpeg(tmp_path / "a.jpg", **options))  # type: ignore[arg-type]


@pytest.mark.parametrize(("east", "lon"), [("E", 76.9), ("w", -76.9), (b"W\x00", -76.9), ("West", -76.9)])
def test_east_and_west_are_read_however_they_are_written(tmp_path: Path, east: object, lon: float) -> None:
    assert read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS | {3: east})).lon == pytest.approx(lon)


def test_a_place_of_xmp_does_not_need_that_of_exif(tmp_path: Path) -> None:
    told = VIEW + ' drone-dji:GpsLongitude="76.9004" drone-dji:GpsLatitude="43.2"'
    for gps in (None, GPS, GPS | {3: ""}, GPS | {2: (0.0, 0.0, 0.0), 4: (0.0, 0.0, 0.0)}):
        assert read_photo(jpeg(tmp_path / "a.jpg", xmp=told, gps=gps)).lon == pytest.approx(76.9004)


def test_the_zone_of_a_clock_counts_where_it_is_stated(tmp_path: Path) -> None:
    local = {37386: 8.8, 36867: "2026:06:01 02:30:00"}
    unsaid = read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS, details=local))
    assert any("no zone, taken as UTC" in note for note in unsaid.notes)
    for offset in ({36881: "+05:00"}, {36880: "+05:00"}):
        said = read_photo(jpeg(tmp_path / "b.jpg", xmp=VIEW, gps=GPS, details=local | offset))
        assert unsaid.utc_s - said.utc_s == 5 * 3600
        assert not any("time:" in note for note in said.notes)
    west = read_photo(jpeg(tmp_path / "c.jpg", xmp=VIEW, gps=GPS, details=local | {36881: "-03:30"}))
    assert west.utc_s - unsaid.utc_s == 3.5 * 3600


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


SKYDIO_OLD = (
    '<drone-skydio:CameraOrientationFLU drone-skydio:Roll="9" drone-skydio:Pitch="9" drone-skydio:Yaw="9"/>'
    '<drone-skydio:CameraOrientationNED drone-skydio:Roll="0.186841" drone-skydio:Pitch="-7.468572" '
    'drone-skydio:Yaw="127.444323"/>'
)
SKYDIO_NEW = (
    '<drone-skydio:CameraOrientationNED rdf:parseType="Resource"><drone-skydio:Roll>0.186841</drone-skydio:Roll>'
    "<drone-skydio:Pitch>-7.468572</drone-skydio:Pitch><drone-skydio:Yaw>127.444323</drone-skydio:Yaw>"
    '</drone-skydio:CameraOrientationNED><drone-skydio:CameraOrientationFLU rdf:parseType="Resource">'
    "<drone-skydio:Roll>9</drone-skydio:Roll></drone-skydio:CameraOrientationFLU>"
    '<drone-skydio:CalibratedFocalLength rdf:parseType="Resource"><drone-skydio:X>38.0</drone-skydio:X>'
    "<drone-skydio:Y>37.5</drone-skydio:Y></drone-skydio:CalibratedFocalLength>"
    '<drone-skydio:CalibratedOpticalCenter rdf:parseType="Resource"><drone-skydio:X>31.0</drone-skydio:X>'
    "<drone-skydio:Y>23.0</drone-skydio:Y></drone-skydio:CalibratedOpticalCenter>"
    "<drone-skydio:DewarpData>0.13000, -0.24000, 0.10400</drone-skydio:DewarpData>"
)
PLACE = 'drone-skydio:Latitude="32.518935" drone-skydio:Longitude="-110.924547" '


@pytest.mark.parametrize("inner", [SKYDIO_OLD, SKYDIO_NEW], ids=["attributes", "elements"])
def test_tags_of_skydio(tmp_path: Path, inner: str) -> None:
    xmp = PLACE + 'drone-skydio:AbsoluteAltitude="1034.441910"'
    photo = read_photo(jpeg(tmp_path / "a.jpg", xmp=xmp, inner=inner, make="Skydio"))
    angles = photo.attitude.roll_deg, photo.attitude.pitch_deg, photo.attitude.yaw_deg
    assert angles == (0.186841, -7.468572, 127.444323)
    assert (photo.lon, photo.lat) == (-110.924547, 32.518935)
    assert photo.heights.w84_m is None
    assert photo.heights.stated_m == 1034.44191
    if inner is SKYDIO_NEW:
        expected = {
            "focal_px": 38.0,
            "focal_y_px": 37.5,
            "center_px": (31.0, 23.0),
            "k1": 0.13,
            "k2": -0.24,
            "k3": 0.104,
        }
        assert figures_of(photo.camera).items() >= expected.items()


def test_skydio_says_when_its_height_is_above_the_ellipsoid(tmp_path: Path) -> None:
    xmp = PLACE + (
        'drone-skydio:AbsoluteAltitude="1000.0" drone-skydio:GpsMslHeight="1028.5" drone-skydio:VertCS="ellipsoidal" '
        'drone-skydio:GpsHorizontalAccuracy="0.2" drone-skydio:GpsVerticalAccuracy="0.8"'
    )
    details = {37386: 8.8, 41988: 4.0}
    photo = read_photo(jpeg(tmp_path / "a.jpg", xmp=xmp, inner=SKYDIO_NEW, make="Skydio", details=details))
    assert (photo.heights.w84_m, photo.heights.amsl_m) == (1000.0, 1028.5)
    pose, _ = photo.pose_above(FlatTerrain(900), ground_is_flat=True)
    assert pose.position.altitude.value_m == pytest.approx(1000 + 29, abs=1.5)
    assert (photo.sigmas.horizontal_m, photo.sigmas.vertical_m) == (0.2, 0.8)
    assert photo.camera.focal_px == 4 * 38.0
    assert photo.camera.center_px == pytest.approx((31.5 + 4 * (31.0 - 31.5), 23.5 + 4 * (23.0 - 23.5)))


def test_tags_of_autel(tmp_path: Path) -> None:
    """The newer ones are named as DJI's; the older ones count pitch from nadir."""
    xmp = (
        'drone:GpsLatitude="41.3" drone:GpsLongtitude="-96.3" drone:AbsoluteAltitude="+400.0" '
        'drone:RelativeAltitude="+60.5" drone:GimbalRollDegree="0" drone:GimbalPitchDegree="-45.5" '
        'drone:GimbalYawDegree="12"'
    )
    newer = read_photo(jpeg(tmp_path / "a.jpg", xmp=xmp, make="Autel Robotics", model="XT705"))
    assert (newer.attitude.pitch_deg, newer.attitude.yaw_deg, newer.lon) == (-45.5, 12.0, -96.3)
    assert (newer.heights.above_take_off_m, newer.heights.stated_m) == (60.5, 400.0)
    inner = "<Camera:Pitch>66.040000</Camera:Pitch><Camera:Roll>0.000000</Camera:Roll><Camera:Yaw>2.420000</Camera:Yaw>"
    older = read_photo(jpeg(tmp_path / "b.jpg", inner=inner, gps=GPS, make="Autel Robotics", model="XT701"))
    assert older.attitude.pitch_deg == pytest.approx(66.04 - 90)
    assert older.attitude.yaw_deg == pytest.approx(2.42)
    assert older.heights.stated_m == 900.0


def test_tags_of_parrot(tmp_path: Path) -> None:
    """Its heights count from EGM96 on the Anafi, from the ellipsoid on the Anafi Ai."""
    inner = (
        "<drone-parrot:CameraRollDegree>-0.322913</drone-parrot:CameraRollDegree><drone-parrot:CameraPitchDegree>"
        "-78.362686</drone-parrot:CameraPitchDegree><drone-parrot:CameraYawDegree>176.310745"
        "</drone-parrot:CameraYawDegree><Camera:AboveGroundAltitude>121/2</Camera:AboveGroundAltitude>"
    )
    made = {"inner": inner, "gps": GPS, "make": "Parrot", "details": {37386: 4.0, 41989: 23}}
    anafi = read_photo(jpeg(tmp_path / "a.jpg", model="Anafi", **made))  # type: ignore[arg-type]
    angles = anafi.attitude.roll_deg, anafi.attitude.pitch_deg, anafi.attitude.yaw_deg
    assert angles == (-0.322913, -78.362686, 176.310745)
    assert (anafi.heights.amsl_m, anafi.heights.w84_m, anafi.heights.above_ground_m) == (900.0, None, 60.5)
    other = read_photo(jpeg(tmp_path / "b.jpg", model="ANAFI Ai", **made))  # type: ignore[arg-type]
    assert (other.heights.amsl_m, other.heights.w84_m) == (None, 900.0)
    nadir = "<Camera:Yaw>18.678</Camera:Yaw><Camera:Pitch>2.054</Camera:Pitch><Camera:Roll>-2.392</Camera:Roll>"
    sequoia = read_photo(jpeg(tmp_path / "c.jpg", **made | {"inner": nadir}, model="Sequoia"))  # type: ignore[arg-type]
    down = sequoia.attitude.ned_from_body()[:, 0]
    assert np.degrees(np.arccos(down[2])) == pytest.approx(np.hypot(2.054, 2.392), abs=0.01)
    with pytest.raises(PhotoInvalid, match="fisheye"):
        read_photo(
            jpeg(tmp_path / "d.jpg", **made | {"inner": nadir + "<Camera:ModelType>fisheye</Camera:ModelType>"})  # type: ignore[arg-type]
        )


def test_a_lens_may_be_given(tmp_path: Path) -> None:
    path = jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS, model="Box 1", details={})
    lens = BrownCamera(width_px=640, height_px=480, focal_px=500, k1=-0.1)
    assert read_photo(path, lens=lens).camera.focal_px == 50.0
    with pytest.raises(PhotoInvalid, match="another camera, or cropped"):
        read_photo(path, lens=BrownCamera(width_px=640, height_px=360, focal_px=500))
    planes = {37386: 4.3, 41486: 16393.44, 41488: 2, 40962: 4000}
    told = read_photo(jpeg(tmp_path / "b.jpg", xmp=VIEW, gps=GPS, model="Box 1", details=planes))
    assert told.camera.focal_px == pytest.approx(4.3 * 16393.44 / 25.4 * 64 / 4000)


def test_a_cropped_picture_is_refused(tmp_path: Path) -> None:
    """Its calibration is of the sensor's full picture, here 80 x 48 px."""
    calibrated = (
        'drone-dji:DewarpFlag="0" drone-dji:CalibratedOpticalCenterX="40" drone-dji:CalibratedOpticalCenterY="24" '
        'drone-dji:DewarpData="2020-01-01;50.5,51.5,1.5,-2.5,-0.2,0.1,0.001,0.002,-0.05"'
    )
    with pytest.raises(PhotoInvalid, match="64 x 48 px is not the whole of 80 x 48 px"):
        read_photo(jpeg(tmp_path / "a.jpg", xmp=f"{VIEW} {calibrated}", gps=GPS))


def test_photographs_of_a_folder(tmp_path: Path) -> None:
    with pytest.raises(PhotoInvalid, match="no pictures"):
        photos_in(tmp_path)
    for name in ("b.JPG", "a.tif", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in photos_in(tmp_path)] == ["a.tif", "b.JPG"]


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "a:",
        'a:b="',
        "<a:b ",
        '<a:b rdf:parseType="Resource"',
        '<a:b rdf:parseType="Resource">',
        "<a:b>",
        " ",
        "&#;",
    ],
)
def test_tags_made_to_be_slow_to_read_are_not(piece: str) -> None:
    """Without care each of these takes minutes."""
    assert xmp_tags((piece * (MOST_CHARACTERS // len(piece)) + "</a:b>").encode()).get("a:c") is None


class Slope:
    """Ground that rises to the east, known only east of a meridian."""

    def amsl_m(self, lon: ArrayLike, lat: ArrayLike) -> NDArray[np.float64]:
        if np.min(lon) < 76.8995:
            raise TerrainMissing("no height there")
        return 800 + 5000 * (np.asarray(lon, float) - 76.9) + 0 * np.asarray(lat)


def test_what_is_assumed_of_the_height_is_in_its_sigma(tmp_path: Path) -> None:
    """Sea level is 43 m below the ellipsoid there, and a take-off on a slope may have been higher or lower."""
    stated = read_photo(jpeg(tmp_path / "a.jpg", xmp=VIEW, gps=GPS))
    flat, slope = FlatTerrain(800), Slope()
    undulation_m = abs(float(geoid(HeightDatum.EGM96).height_m(76.9, 43.2)))
    assert undulation_m > 40
    assert stated.sigmas_above(flat, ground_is_flat=True).vertical_m == pytest.approx(np.hypot(3, undulation_m))
    relative = read_photo(jpeg(tmp_path / "b.jpg", xmp=VIEW + ' drone-dji:RelativeAltitude="+50"', gps=GPS))
    assert relative.sigmas_above(flat, ground_is_flat=True).vertical_m == 3
    assert 5 < relative.sigmas_above(slope, ground_is_flat=False).vertical_m < 12
    parrot = read_photo(jpeg(tmp_path / "c.jpg", xmp=VIEW, gps=GPS, make="Parrot"))
    assert parrot.sigmas_above(slope, ground_is_flat=False) == parrot.sigmas
