"""Detection in video files: what their subtitles say puts the findings on the ground."""

import sys
from fractions import Fraction
from pathlib import Path

import av
import cv2
import msgspec
import pytest

from geo.positions import distance_m
from missioncontrol.cli import main
from missioncontrol.detecting import detect_to_file
from missioncontrol.errors import InputInvalid

PICTURE = Path(__file__).parents[1] / "aerial_models" / "images" / "survey.jpg"
LON, LAT = 76.945, 43.205
RECORD = """1
00:00:00,000 --> 00:00:10,000
<font size="28">SrtCnt : 1, DiffTime : 33ms
2026-05-02 09:15:01.000
[focal_len: 24.00] [latitude: 43.205] [longitude: 76.945] [rel_alt: 70.000 abs_alt: 920.000]
[gb_yaw: 90.0 gb_pitch: -90.0 gb_roll: 0.0] </font>
"""


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "flight.mp4"
    image = cv2.imread(str(PICTURE))
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=Fraction(2))
        stream.width, stream.height, stream.pix_fmt = image.shape[1], image.shape[0], "yuv420p"
        for _ in range(3):
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="bgr24")):
                file.mux(packet)
        for packet in stream.encode():
            file.mux(packet)
    return path


def located(video: Path, camera: str | None = None) -> tuple[int, list[tuple[float, float]]]:
    out = video.with_suffix(".geojson")
    summary = detect_to_file(
        str(video), out=out, model="city-nano", runtime="auto", dem=[], ground_amsl_m=850.0, camera=camera
    )
    features = msgspec.json.decode(out.read_bytes())["features"]
    return summary["located"], [tuple(f["geometry"]["coordinates"]) for f in features if f["geometry"]]


def test_subtitles_with_pose_and_focal_length_locate_the_findings(video: Path) -> None:
    video.with_suffix(".srt").write_text(RECORD)
    count, places = located(video)
    assert count == len(places) > 0
    assert all(distance_m(LON, LAT, lon, lat) < 65.0 for lon, lat in places)


@pytest.mark.parametrize(
    ("ahead_h", "told"),
    [(5.0, {"utc": "2026-05-02T04:15:01.000Z"}), (None, {"utc": None, "clock": "2026-05-02T09:15:01.000"})],
)
def test_local_time_of_subtitles_is_utc_only_where_it_is_told_how(
    video: Path, ahead_h: float | None, told: dict[str, str | None]
) -> None:
    video.with_suffix(".srt").write_text(RECORD)
    out = video.with_suffix(".geojson")
    detect_to_file(
        str(video), out=out, model="city-nano", runtime="auto", dem=[], ground_amsl_m=850.0, frames=1,
        clock_ahead_h=ahead_h,
    )  # fmt: skip
    properties = msgspec.json.decode(out.read_bytes())["features"][0]["properties"]
    assert {name: properties[name] for name in told} == told


def test_the_answer_is_all_that_stands_on_stdout(
    video: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["detect", str(video), "--frames", "1", "--out", str(video.with_suffix(".geojson")), "--json"]
    monkeypatch.setattr(sys, "argv", ["missioncontrol", *words])
    with pytest.raises(SystemExit, match="0"):
        main()
    told = capsys.readouterr()
    assert msgspec.json.decode(told.out)["frames"] == 1
    assert "video is decoded" in told.err


def test_without_a_field_of_view_the_camera_must_be_named(video: Path) -> None:
    video.with_suffix(".srt").write_text(RECORD.replace("[focal_len: 24.00] ", ""))
    assert located(video) == (0, [])
    count, places = located(video, camera="sim-wide")
    assert count == len(places) > 0


def test_a_camera_of_other_proportions_is_refused(video: Path) -> None:
    video.with_suffix(".srt").write_text(RECORD)
    with pytest.raises(InputInvalid, match="--camera: a picture of"):
        located(video, camera="sony-rx1r2")
