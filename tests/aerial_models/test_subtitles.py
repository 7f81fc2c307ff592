import os
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aerial_models.errors import SourceGarbage
from aerial_models.subtitles import Subtitles
from geo import klv
from geo.poses import Attitude

SHARED = Path(__file__).parents[2].parent / "shared"
SRT = Path(os.environ.get("MC_DATA", SHARED / "data")) / "flight" / "dji_srt"
needs_data = pytest.mark.skipif(not SRT.is_dir(), reason=f"no subtitles by DJI in {SRT}")


def clock(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


@needs_data
@pytest.mark.parametrize(
    ("name", "first_lat_lon", "clock_text", "amsl_m", "above_home_m"),
    [
        ("MAVIC3.srt", (3.41531, -3.37440), "2021-12-25 12:27:52.373", 0.401, -2.4),
        ("air2s.srt", (41.424724, 2.234156), "2022-08-07 13:40:40.774808", None, None),
        ("m2zoom.SRT", (31.452012, 74.398751), "2020-04-02 15:19:58.720764", None, None),
        ("matrice_300.srt", (36.6146, -6.1120), "2022-06-21 16:06:17", None, 0.3),
        ("mavic_2pro_new.SRT", (-35.080155, -60.286702), "2019-09-27 10:28:08.438904", None, None),
        ("mavic_air.SRT", (None, None), "2018-02-19 08:04:51.265847", None, None),
        ("mavic_air2.srt", (41.420684, 2.162162), "2022-05-01 15:01:58.531716", None, None),
        ("mavic_mini.SRT", (48.0771, -121.7458), None, None, 200.7),
        ("mavic_pro.SRT", (-20.2533, 149.0251), "2017-08-05 14:11:51", None, 1.9),
        ("mavic_pro_buggy.SRT", (42.4668, -1.2218), "2018-08-19 08:00:36", None, 0.0),
        ("old_format.SRT", (-20.2533, 149.0251), "2017-08-05 14:11:51", None, 1.9),
        ("p4_rtk.SRT", (-34.237922, -58.851745), None, None, 85.8),
        ("p4p_sample.SRT", (47.4692, 8.2090), None, None, 45.6),
        ("mix_p4rtk_mavic2pro.srt", (-34.650200, -59.409424), None, None, 17.39),
        ("broken_incomplete.SRT", (-34.7383, -58.4563), "2017-07-03 10:15:03", None, 20.1),
        ("broken_incomplete2.SRT", (-34.869950, -57.823395), "2020-08-12 08:55:21.745078", None, None),
    ],
)
def test_the_first_record_of_each_model(
    name: str,
    first_lat_lon: tuple[float, float],
    clock_text: str | None,
    amsl_m: float | None,
    above_home_m: float | None,
) -> None:
    subtitles = Subtitles.parse((SRT / name).read_text("utf-8-sig", errors="replace"))
    first = subtitles.records[0]
    assert (first.lat, first.lon) == first_lat_lon
    assert first.clock_s == (None if clock_text is None else pytest.approx(clock(clock_text), abs=1e-5))
    assert first.amsl_m == amsl_m
    assert first.above_home_m == above_home_m
    assert len(subtitles.records) > 1
    assert all(a.start_s <= b.start_s for a, b in pairwise(subtitles.records))


@needs_data
@pytest.mark.parametrize("name", ["broken_empty.SRT", "broken_empty2.SRT", "mavic_2_style.SRT"])
def test_files_without_times_say_what_they_lack(name: str) -> None:
    with pytest.raises(SourceGarbage, match=rf"{name}: holds no record that can be read: each needs its span"):
        Subtitles.read(SRT / name)


@needs_data
def test_every_sample_is_read_or_says_why_not() -> None:
    read = 0
    for path in sorted(SRT.iterdir()):
        if path.suffix.lower() == ".srt":
            try:
                read += len(Subtitles.read(path).records) > 0
            except SourceGarbage as exc:
                assert str(path) in str(exc)  # noqa: PT017 - each path its own
    assert read == 16


@needs_data
@pytest.mark.parametrize(("name", "either_m"), [("air2s.srt", 117.0), ("m2zoom.SRT", 213.983002)])
def test_a_height_of_unknown_datum_is_kept_apart_and_no_pose_is_made_of_it(name: str, either_m: float) -> None:
    subtitles = Subtitles.read(SRT / name)
    first = subtitles.records[0]
    assert (first.amsl_m, first.above_home_m) == (None, None)
    assert any(record.either_m == either_m for record in subtitles.records)
    metadata = subtitles.metadata_at(first.start_s)
    assert metadata is not None
    assert metadata.sensor_amsl_m is None
    assert klv.pose_of(metadata) is None


@needs_data
@pytest.mark.parametrize(
    ("name", "sigma_s"), [("MAVIC3.srt", 0.0058), ("matrice_300.srt", 0.29), ("mavic_pro.SRT", 0.29)]
)
def test_the_error_of_a_time_is_what_the_clock_counts_by(name: str, sigma_s: float) -> None:
    subtitles = Subtitles.read(SRT / name)
    metadata, sigma = subtitles.timed_at(subtitles.records[0].start_s)
    assert metadata is not None
    assert sigma == pytest.approx(sigma_s, rel=0.3)


@needs_data
def test_phantom_4_rtk_tells_where_the_camera_looks() -> None:
    subtitles = Subtitles.parse((SRT / "p4_rtk.SRT").read_text("utf-8-sig"))
    assert subtitles.records[0].platform == Attitude(pitch_deg=2.7, roll_deg=-7.0, yaw_deg=110.1)
    assert subtitles.records[0].gimbal == Attitude(pitch_deg=-24.4, roll_deg=0.0, yaw_deg=110.4)
    assert subtitles.metadata_at(0.5) is None  # no clock in the file
    metadata = subtitles.metadata_at(0.5, video_start_utc_s=1e9)
    assert metadata is not None
    assert metadata.utc_s == 1e9 + 0.5
    assert metadata.platform_heading_deg == pytest.approx(110.1)
    platform = Attitude(pitch_deg=2.7, roll_deg=-7.0, yaw_deg=110.1).ned_from_body()
    relative = Attitude(
        pitch_deg=metadata.sensor_relative_elevation_deg or 0.0,
        yaw_deg=metadata.sensor_relative_azimuth_deg or 0.0,
        roll_deg=metadata.sensor_relative_roll_deg or 0.0,
    ).ned_from_body()
    assert np.allclose(platform @ relative, Attitude(pitch_deg=-24.4, yaw_deg=110.4).ned_from_body(), atol=1e-9)


TEXT = """1
00:00:00,000 --> 00:00:00,100
<font size="28">FrameCnt: 1, DiffTime: 100ms
2026-05-01 15:00:00.000
[latitude: 43.205] [longitude: 76.945] [rel_alt: 60.000 abs_alt: 900.000] [gb_yaw: -90.0 gb_pitch: -90.0 gb_roll: 0.0]

2
00:00:00,100 --> 00:00:00,200
2026-05-01 15:00:00.100
[latitude: 0.0] [longitude: 0.0] [rel_alt: 60.000 abs_alt: 901.000]
"""


def test_metadata_by_time_in_utc() -> None:
    subtitles = Subtitles.parse(TEXT.replace("\n", "\r\n"), utc_offset_s=5 * 3600)
    metadata = subtitles.metadata_at(0.05)
    assert metadata is not None
    assert metadata.utc_s == pytest.approx(clock("2026-05-01 10:00:00.050"), abs=1e-6)
    pose = klv.pose_of(metadata)
    assert pose is not None
    assert (pose.position.lon, pose.position.lat, pose.position.altitude.value_m) == (76.945, 43.205, 900.0)
    assert np.allclose(pose.attitude.ned_from_body(), Attitude(pitch_deg=-90, yaw_deg=-90).ned_from_body(), atol=1e-9)
    second = subtitles.metadata_at(0.1)
    assert second is not None
    assert (second.sensor_lat_deg, second.sensor_amsl_m) == (None, 901.0)  # 0, 0 is DJI's word for no fix
    assert subtitles.metadata_at(0.25) is None
    assert subtitles.metadata_at(-0.1) is None


def test_subtitles_are_found_beside_the_video(tmp_path: Path) -> None:
    assert Subtitles.beside(tmp_path / "a.mp4") is None
    (tmp_path / "a.SRT").write_text(TEXT)
    found = Subtitles.beside(tmp_path / "a.mp4")
    assert found is not None
    assert len(found.records) == 2
    (tmp_path / "a.srt").write_bytes(b"\xff\x00garbage")
    found = Subtitles.beside(tmp_path / "a.mp4")
    assert found is not None


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=300), st.integers(0, len(TEXT)), st.integers(0, 30))
def test_any_text_is_read_or_left_out(text: str, at: int, cut: int) -> None:
    for mixed in (text, TEXT[:at] + text + TEXT[at + cut :]):
        subtitles = Subtitles.parse(mixed)
        for t in (0.0, 0.05, 0.15):
            metadata = subtitles.metadata_at(t)
            if metadata is not None:
                klv.pose_of(metadata)


@pytest.mark.parametrize(("stated", "hfov_deg"), [("24.00", 71.6), ("240", 71.6), ("280", 63.4), ("0", None)])
def test_the_field_of_view_follows_from_the_equivalent_focal_length(stated: str, hfov_deg: float | None) -> None:
    text = f"1\n00:00:00,000 --> 00:00:01,000\n[focal_len : {stated}] [latitude : 43.2] [longitude : 76.9]\n"
    record = Subtitles.parse(text).records[0]
    assert record.hfov_deg == (None if hfov_deg is None else pytest.approx(hfov_deg, abs=0.1))
