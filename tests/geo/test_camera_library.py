from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest

from geo.camera_library import ASSUMED_INTERVAL_S, CameraModel, camera, camera_of_exif, cameras, custom_camera
from geo.errors import CameraInvalid

DIAGONAL_OF_35_MM = math.hypot(36, 24)


def fov_deg(size_mm: float, model: CameraModel) -> float:
    """Angle that a length on the sensor sees."""
    return math.degrees(2 * math.atan(size_mm / 2 / model.focal_mm))


def diagonal_mm(model: CameraModel) -> float:
    """Of the sensor."""
    return math.hypot(model.sensor_width_mm, model.sensor_height_mm)


def test_forty_real_cameras_with_a_source_and_square_pixels() -> None:
    real = [model for slug, model in cameras().items() if slug != "sim-wide"]
    assert len(real) >= 40
    makers = {model.slug.split("-")[0] for model in real}
    assert makers >= {"dji", "skydio", "autel", "parrot", "sensefly", "sony", "phase", "micasense", "flir", "sentera"}
    for model in real:
        assert len(model.source) > 20, model.slug
        assert model.source != "given in the request"
        assert model.name != "custom camera"
        assert set(model.slug) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert 5 < fov_deg(model.sensor_width_mm, model) < 100, model.slug
        assert 0.7e-3 < model.sensor_width_mm / model.image_width_px < 20e-3, model.slug


def test_exif_names_are_of_one_camera_each() -> None:
    names = [name.lower() for model in cameras().values() for name in model.exif_models]
    assert len(names) == len(set(names))
    assert camera_of_exif("FC3411") == camera("dji-air-2s")
    assert camera_of_exif("M3T") is None, "its wide and its thermal camera write the same name"


@pytest.mark.parametrize(
    ("slug", "stated_deg"),
    [
        ("dji-phantom-4-pro", 84), ("dji-phantom-4-rtk", 84), ("dji-phantom-4", 94), ("dji-mavic-pro", 78.8),
        ("dji-mavic-2-pro", 77), ("dji-mavic-3e", 84), ("dji-mavic-3m-band", 73.91), ("dji-mavic-3t-wide", 84),
        ("dji-m30t-wide", 84), ("dji-zenmuse-h20t-wide", 82.9), ("dji-zenmuse-h20t-thermal", 40.6),
        ("dji-zenmuse-x4s", 84), ("dji-zenmuse-x5s-15mm", 72), ("dji-zenmuse-l2-rgb", 84), ("dji-matrice-4e-wide", 84),
        ("dji-air-2s", 88), ("dji-mavic-air-2", 84), ("dji-mini-2", 83), ("skydio-x10-wide", 93),
        ("skydio-x10-narrow", 50), ("skydio-x10-telephoto", 13), ("skydio-x10-thermal", 41), ("autel-evo-2-8k", 79),
    ],
)  # fmt: skip
def test_the_diagonal_field_of_view_is_what_the_maker_states(slug: str, stated_deg: float) -> None:
    model = camera(slug)
    assert fov_deg(diagonal_mm(model), model) == pytest.approx(stated_deg, rel=0.04)


@pytest.mark.parametrize(
    ("slug", "stated_deg"),
    [
        ("dji-mavic-3m-band", 61.2), ("dji-zenmuse-xt2-13mm", 45), ("dji-zenmuse-xt2-19mm", 32),
        ("flir-vue-pro-r-13mm", 45), ("flir-vue-pro-r-19mm", 32), ("flir-duo-pro-r-19mm", 32), ("parrot-anafi", 75.5),
        ("micasense-rededge-3", 47.2), ("micasense-rededge-m", 47.2), ("micasense-rededge-p-pan", 44.5),
        ("micasense-rededge-p-band", 49.6), ("micasense-altum-band", 48), ("micasense-altum-thermal", 57),
        ("micasense-altum-pt-pan", 46),
    ],
)  # fmt: skip
def test_the_horizontal_field_of_view_is_what_the_maker_states(slug: str, stated_deg: float) -> None:
    model = camera(slug)
    assert fov_deg(model.sensor_width_mm, model) == pytest.approx(stated_deg, rel=0.025)
    assert model.brown_camera().hfov_deg == pytest.approx(fov_deg(model.sensor_width_mm, model), rel=1e-6)


@pytest.mark.parametrize(
    ("slug", "equivalent_mm"),
    [
        ("dji-mavic-3t-thermal", 40), ("dji-m30t-thermal", 40), ("dji-zenmuse-h20t-thermal", 58), ("dji-air-2s", 22),
        ("dji-mavic-2-pro", 28), ("dji-phantom-4", 20), ("dji-phantom-3-pro", 20), ("autel-evo-2-pro", 28.6),
        ("sony-rx100-2", 28), ("ricoh-gr2", 28), ("dji-mavic-3e", 24), ("dji-mavic-pro", 26),
    ],
)  # fmt: skip
def test_the_35_mm_equivalent_is_what_the_maker_states(slug: str, equivalent_mm: float) -> None:
    model = camera(slug)
    assert model.focal_mm * DIAGONAL_OF_35_MM / diagonal_mm(model) == pytest.approx(equivalent_mm, rel=0.045)


def test_ground_sample_distances_that_makers_state() -> None:
    # DJI: the GSD of the Phantom 4 RTK is H / 36.5, in cm and m.
    assert camera("dji-phantom-4-rtk").gsd_m(36.5) == pytest.approx(0.01, rel=0.01)
    # MicaSense: 8 cm per pixel per band at 120 m of the RedEdge; 5.2 cm of the Altum.
    assert camera("micasense-rededge-3").gsd_m(120) == pytest.approx(0.08, rel=0.03)
    assert camera("micasense-altum-band").gsd_m(120) == pytest.approx(0.052, rel=0.01)


def test_an_interval_that_is_not_published_is_a_slow_one_and_said() -> None:
    unknown, known = camera("skydio-x10-wide"), camera("dji-mavic-3e")
    assert (unknown.interval_s, unknown.shutter_interval_s) == (None, ASSUMED_INTERVAL_S)
    assert known.interval_s == known.shutter_interval_s == 0.7
    slowest = max(model.interval_s for model in cameras().values() if model.interval_s is not None)
    assert slowest <= 1.25 * ASSUMED_INTERVAL_S


MINE: dict[str, Any] = {
    "name": "survey head", "sensor_width_mm": 23.5, "sensor_height_mm": 15.6, "focal_mm": 20,
    "image_width_px": 6000, "image_height_px": 4000, "interval_s": 0.8,
}  # fmt: skip


def test_a_camera_of_a_request() -> None:
    mine = custom_camera(MINE)
    assert mine.slug == "custom"
    assert mine.focal_px == pytest.approx(20 * 6000 / 23.5)
    assert mine.shutter_interval_s == 0.8
    video = custom_camera({"hfov_deg": 65, "image_width_px": 1280, "image_height_px": 720})
    assert video.focal_px == pytest.approx(camera("sim-wide").focal_px)
    assert video.brown_camera().hfov_deg == pytest.approx(65)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"focal_mm": 0}, r"focal_mm"),
        ({"focal_mm": -3.0}, r"focal_mm"),
        ({"focal_mm": "20 mm"}, r"Expected `float`, got `str` - at `\$\.focal_mm`"),
        ({"focal_mm": float("nan")}, r"finite|focal_mm"),
        ({"focal_mm": float("inf")}, r"focal_mm"),
        ({"image_width_px": 0}, r"image_width_px"),
        ({"image_width_px": 4000}, r"pixels of 5\.88 x 3\.90 um are not square"),
        ({"interval_s": 0}, r"interval_s"),
        ({"focal_length": 20}, r"unknown field 'focal_length'"),
        ({"focal_m": 20}, r"did you mean focal_mm"),
        ({"hfov_deg": 60}, r"not both"),
        ({"sensor_width_mm": None}, r"sensor_width_mm"),
    ],
)
def test_what_cannot_be_is_refused_and_named(change: dict[str, Any], said: str) -> None:
    with pytest.raises(CameraInvalid, match=said):
        custom_camera({**MINE, **change})


@pytest.mark.parametrize(
    "figures",
    [
        {},
        {"hfov_deg": 60},
        {"hfov_deg": 180, "image_width_px": 100, "image_height_px": 100},
        {"hfov_deg": True, "image_width_px": 100, "image_height_px": 100},
        {"hfov_deg": 60, "image_width_px": 0, "image_height_px": 100},
        {"hfov_deg": 60, "image_width_px": "a", "image_height_px": 100},
    ],
)
def test_too_little_is_refused(figures: dict[str, Any]) -> None:
    with pytest.raises(CameraInvalid, match="camera"):
        custom_camera(figures)


def test_a_camera_inside_a_request_is_checked_as_it_is_decoded() -> None:
    bad = msgspec.json.encode({**MINE, "image_width_px": 4000})
    with pytest.raises(CameraInvalid, match="not square"):
        msgspec.json.decode(bad, type=CameraModel)
