"""The recorder: keeps video over the work and nowhere else, and survives what happens to streams and services."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import msgspec
import numpy as np
import pytest
import shapely

from aerial_models.clips import ClipWriter, duration_of
from aerial_models.frames import Frame
from aerial_models.sources import StillPicture
from fleet.history import CameraPoseSample
from geo.poses import Attitude, Pose, PoseSigmas
from missioncontrol.errors import InputInvalid, NotFound
from missioncontrol.fleet_settings import VehicleSettings
from missioncontrol.looks import Looker
from missioncontrol.reasons import Reasons, work_of
from missioncontrol.recorder import BLIND_S, LOOKLESS_S, Recorder
from missioncontrol.recordings import CUT, GROWING, WHOLE, Clip, Recordings
from missioncontrol.requests import PlanRequest
from missioncontrol.sights import unpack
from missioncontrol.store import Store
from missioncontrol.video_settings import RecordingSettings, RetentionSettings
from missioncontrol.views import Views
from tests.missioncontrol.conftest import StillClock
from tests.missioncontrol.footage import add_flight
from tests.missioncontrol.test_sights import CAMERA, LAT, LON, TERRAIN, pose

UTC_S = 1_790_000_000.0
AREA = shapely.geometry.mapping(shapely.box(LON - 0.002, LAT - 0.002, LON + 0.002, LAT + 0.002))
"""Some 325 x 445 m around the place."""
SURVEY = {"kind": "survey", "area": AREA, "camera": "c", "height_m": 100, "vehicles": [1]}


@pytest.fixture(scope="session")
def video() -> list[tuple[bytes, bool]]:
    """Encoded pictures, 10 a second, a key picture every second."""
    codec = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.time_base = 64, 48, "yuv420p", Fraction(1, 10)
    codec.gop_size = 10
    codec.options = {"preset": "ultrafast", "tune": "zerolatency", "x264-params": "scenecut=0:repeat-headers=1"}
    found = []
    for index in range(400):
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), index % 250, np.uint8), format="rgb24")
        picture.pts = index
        found += [(bytes(packet), packet.is_keyframe) for packet in codec.encode(picture)]
    return found


class Flown:
    """A vehicle whose video and poses a test plays."""

    def __init__(self, recorder: Recorder, flight_id: str, video: list[tuple[bytes, bool]], alarms: list[str]) -> None:
        self.recorder, self.flight_id, self._video, self.alarms = recorder, flight_id, video, alarms
        self.at = 0
        self.pts_s = 100.0
        self._looker = Looker(CAMERA, TERRAIN, sigmas=PoseSigmas())

    async def fly(self, seconds: int, where: Callable[[float], Pose | None]) -> None:
        """On from where it was; `where` at a time from the start."""
        for _ in range(seconds * 10):
            self.come()
            if self.at % 5 == 0:
                await self.see(where(self.at / 10))
            self.at += 1
            self.pts_s += 0.1

    def come(self) -> None:
        """A picture comes in."""
        data, keyframe = self._video[self.at % 400]
        self.recorder.take(data, self.pts_s, keyframe, "h264")

    def skip(self) -> None:
        """A picture comes in that nobody looks at."""
        self.come()
        self.at, self.pts_s = self.at + 1, self.pts_s + 0.1

    async def see(self, place: Pose | None) -> None:
        """A frame of now, seen from there."""
        utc_s = UTC_S + self.at / 10
        frame = Frame(
            picture=StillPicture(np.zeros((48, 64, 3), np.uint8)), index=self.at, pts_s=self.pts_s,
            utc_s=utc_s, metadata=None, received_monotonic_s=0.0,
        )  # fmt: skip
        sample = None
        if place is not None:
            sample = CameraPoseSample(
                pose=msgspec.structs.replace(place, utc_s=utc_s), vehicle_attitude=Attitude(pitch_deg=0, yaw_deg=0),
                relative_altitude_m=100.0, north_m_s=0.0, east_m_s=0.0, down_m_s=0.0, gap_s=0.0, beyond_s=0.0,
            )  # fmt: skip
        await self.recorder.see(frame, sample, self._looker, self.flight_id)


def recordings_in(store: Store, folder: Path) -> Recordings:
    return Recordings(store, folder / "recordings", StillClock(UTC_S))


async def flown(
    store: Store, folder: Path, video: list[tuple[bytes, bool]], request: dict[str, Any] | None = None, **how: Any
) -> Flown:
    retention = RetentionSettings(days={"evidence": 3.0})
    alarms: list[str] = []
    recorder = Recorder(
        VehicleSettings(sysid=1, name="alpha", camera="c"),
        RecordingSettings(**{"clip_s": 10.0, **how}),
        recordings_in(store, folder),
        Reasons(store, retention),
        lambda text, _: alarms.append(text),
    )
    return Flown(recorder, await add_flight(store, request=request or SURVEY), video, alarms)


def frames_in(path: Path) -> list[int]:
    """Grey of each picture of a clip."""
    with av.open(str(path)) as container:
        return [round(float(frame.to_ndarray(format="rgb24").mean())) for frame in container.decode(video=0)]


async def clips_of(store: Store, folder: Path) -> list[Clip]:
    return (await recordings_in(store, folder).everything())[::-1]


@pytest.fixture
async def sqlite(tmp_path: Path) -> Any:
    async with Store(f"sqlite:///{tmp_path / 'store.sqlite'}") as opened:
        yield opened


async def test_transit_is_not_recorded_and_the_work_is(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    """From 600 m south of the middle to 600 m north, 30 m/s: over the work from 9 s to 31 s."""
    vehicle = await flown(sqlite, tmp_path, video)
    await vehicle.fly(40, lambda at_s: pose(0, -600 + 30 * at_s))
    await vehicle.recorder.leave()
    clips = await clips_of(sqlite, tmp_path)
    assert [clip.state for clip in clips] == [WHOLE] * 2
    assert all((clip.purpose, clip.why) == ("inspection", "the yearly count") for clip in clips)
    reach_s = (0.002 * 111_100 + 40 + 52.5) / 30
    assert clips[0].from_utc_s == pytest.approx(UTC_S + 20 - reach_s, abs=1.6)
    assert clips[-1].until_utc_s == pytest.approx(UTC_S + 20 + reach_s, abs=0.6)
    assert clips[0].from_utc_s >= UTC_S + 20 - reach_s - 0.1
    assert clips[-1].until_utc_s <= UTC_S + 20 + reach_s + 0.6
    greys: list[int] = []
    for clip in clips:
        path = recordings_in(sqlite, tmp_path).file(clip.flight_id, clip.id)
        frames = frames_in(path)
        assert len(frames) == round((clip.until_utc_s - clip.from_utc_s) * 10) + 1
        assert frames[0] == pytest.approx(round((clip.from_utc_s - UTC_S) * 10) % 250, abs=2)
        greys += frames
    steps = (np.diff(greys) - 1 + 125) % 250 - 125
    assert np.all(np.abs(steps) <= 2)  # nothing between the clips is missing
    assert sum(1 for _ in (tmp_path / "recordings").rglob("*.mp4")) == 2
    found, _ = await Views(sqlite).of(shapely.Point(LON, LAT))
    best = min((view.best for view in found), key=lambda moment: moment.off_nadir_deg)
    assert best.utc_s == pytest.approx(UTC_S + 20.0, abs=0.6)
    assert best.off_nadir_deg < 10


async def test_the_way_is_recorded_where_the_mission_says_why(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    record = {"where": "flight", "purpose": "evidence", "why": "court order 12"}
    vehicle = await flown(sqlite, tmp_path, video, {**SURVEY, "record": record})
    await vehicle.fly(4, lambda _: pose(0, -5000))
    await vehicle.fly(4, lambda _: None)
    await vehicle.recorder.leave()
    (clip,) = await clips_of(sqlite, tmp_path)
    assert (clip.purpose, clip.why) == ("evidence", "court order 12")
    assert clip.until_utc_s - clip.from_utc_s == pytest.approx(6.9)  # from the first key picture after the first frame


@pytest.mark.parametrize(
    "request_of",
    [
        {**SURVEY, "record": {"where": "nowhere"}},
        {**SURVEY, "record": {"purpose": "curiosity"}},
    ],
)
async def test_nothing_is_recorded_without_a_purpose(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]], request_of: dict[str, Any]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video, request_of)
    await vehicle.fly(3, lambda _: pose(0, 0))
    await vehicle.recorder.leave()
    assert await clips_of(sqlite, tmp_path) == []
    assert not (tmp_path / "recordings").exists()


async def test_nothing_is_recorded_between_flights_or_when_switched_off(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video)
    flight, vehicle.flight_id = vehicle.flight_id, None  # type: ignore[assignment]
    await vehicle.fly(3, lambda _: pose(0, 0))
    assert not vehicle.recorder.recording
    vehicle.flight_id = flight
    await vehicle.fly(3, lambda _: pose(0, 0))
    assert vehicle.recorder.recording
    off = await flown(sqlite, tmp_path, video, enabled=False)
    await off.fly(3, lambda _: pose(0, 0))
    assert not off.recorder.recording
    await vehicle.recorder.leave()


async def test_without_a_pose_the_reason_holds_a_little_longer(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video)
    await vehicle.fly(3, lambda _: pose(0, 0))
    await vehicle.fly(20, lambda _: None)
    await vehicle.recorder.leave()
    (clip,) = await clips_of(sqlite, tmp_path)
    assert clip.until_utc_s - UTC_S == pytest.approx(3.0 + BLIND_S, abs=0.6)


async def test_frames_that_nobody_looks_at_are_kept_for_seconds_only(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    flight = await flown(sqlite, tmp_path, video, clip_s=60.0)
    await flight.fly(20, lambda _: pose(0, 0))
    for _ in range(300):  # no frame is believed: the vehicle may be anywhere
        flight.skip()
    assert not flight.recorder.recording
    await flight.recorder.leave()
    (clip,) = await clips_of(sqlite, tmp_path)
    assert clip.until_utc_s - clip.from_utc_s == pytest.approx(19 + LOOKLESS_S, abs=1.1)


async def test_a_stream_that_begins_anew_begins_a_new_clip(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video)
    await vehicle.fly(4, lambda _: pose(0, 0))
    vehicle.pts_s = 3.0
    await vehicle.fly(4, lambda _: pose(0, 0))
    await vehicle.recorder.leave()
    one, other = await clips_of(sqlite, tmp_path)
    assert one.until_utc_s - one.from_utc_s == pytest.approx(2.9)
    assert other.until_utc_s - other.from_utc_s == pytest.approx(3.9)
    assert other.from_utc_s == pytest.approx(UTC_S + 4.0, abs=0.01)


async def test_what_was_recorded_before_a_crash_is_found_after_it(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video, clip_s=60.0)
    await vehicle.fly(30, lambda _: pose(0, 0))
    (clip,) = await clips_of(sqlite, tmp_path)
    assert (clip.state, clip.sha256) == (GROWING, None)
    stranger = tmp_path / "recordings" / clip.flight_id / "stranger.mp4"
    stranger.write_bytes(b"x")
    again = recordings_in(sqlite, tmp_path)
    await again.recover()  # as a service does that starts after this one was killed
    (clip,) = await clips_of(sqlite, tmp_path)
    assert clip.state == CUT
    assert clip.sha256 is not None
    assert clip.until_utc_s - clip.from_utc_s >= 28.9 - 2.0
    assert not stranger.exists()
    await vehicle.recorder.leave()


async def test_a_clip_whose_file_is_gone_stops_neither_the_video_nor_a_start(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video, clip_s=5.0)
    await vehicle.fly(3, lambda _: pose(0, 0))
    shutil.rmtree(tmp_path / "recordings")
    await recordings_in(sqlite, tmp_path).recover()
    assert [(clip.state, clip.size) for clip in await clips_of(sqlite, tmp_path)] == [(CUT, 0)]
    await vehicle.fly(9, lambda _: pose(0, 0))
    await vehicle.recorder.leave()
    assert [clip.state for clip in await clips_of(sqlite, tmp_path)] == [CUT, WHOLE, WHOLE]


async def test_files_of_another_store_stay(sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]) -> None:
    folder = tmp_path / "recordings" / (await add_flight(sqlite))
    folder.mkdir(parents=True)
    (tmp_path / "recordings" / "holidays").mkdir()
    writer = ClipWriter(folder / "long.mp4", codec="h264", width_px=64, height_px=48)
    for index, (data, keyframe) in enumerate(video):
        writer.add(data, index / 10, keyframe)
    writer.close()
    (tmp_path / "recordings" / "holidays" / "beach.mp4").write_bytes(b"x")
    (folder / "begun.mp4").write_bytes(b"x")
    await recordings_in(sqlite, tmp_path).recover()
    assert {path.name for path in (tmp_path / "recordings").glob("*/*")} == {"long.mp4", "beach.mp4"}


def fill_the_disk_of(path: Path) -> None:
    """Whatever is written on to an open file finds no space."""
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(OSError):
            if entry.readlink() == path:
                full = os.open("/dev/full", os.O_WRONLY)
                os.dup2(full, int(entry.name))
                os.close(full)


@pytest.mark.skipif(sys.platform != "linux", reason="/dev/full and /proc are Linux's")
async def test_a_disk_that_gets_full_cuts_the_clip_where_it_ends(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video, clip_s=60.0)
    await vehicle.fly(10, lambda _: pose(0, 0))
    (path,) = (tmp_path / "recordings").glob("*/*.mp4")
    fill_the_disk_of(path)
    for _ in range(100):
        vehicle.skip()
    assert not vehicle.recorder.recording
    await vehicle.recorder.leave()
    (clip,) = await clips_of(sqlite, tmp_path)
    assert (clip.state, clip.size) == (CUT, path.stat().st_size)
    assert clip.until_utc_s - clip.from_utc_s == pytest.approx(duration_of(path))
    assert duration_of(path) == pytest.approx(7.9)
    assert vehicle.alarms == ["video of alpha cannot be recorded: [Errno 28] No space left on device"]


async def test_a_full_disk_does_not_stop_the_video(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    (tmp_path / "recordings").write_text("a file where the folder should be")
    vehicle = await flown(sqlite, tmp_path, video)
    await vehicle.fly(4, lambda _: pose(0, 0))
    assert not vehicle.recorder.recording
    await vehicle.recorder.leave()
    assert await clips_of(sqlite, tmp_path) == []


async def test_a_codec_that_browsers_do_not_play_is_not_recorded(
    sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]
) -> None:
    vehicle = await flown(sqlite, tmp_path, video)
    await vehicle.see(pose(0, 0))
    vehicle.recorder.take(b"x", 1.0, True, "mjpeg")
    assert not vehicle.recorder.recording


async def test_holds_have_a_reason_and_an_end(sqlite: Store, tmp_path: Path, video: list[tuple[bytes, bool]]) -> None:
    vehicle = await flown(sqlite, tmp_path, video)
    await vehicle.fly(3, lambda _: pose(0, 0))
    await vehicle.recorder.leave()
    (clip,) = await clips_of(sqlite, tmp_path)
    recordings = recordings_in(sqlite, tmp_path)
    with pytest.raises(InputInvalid, match="reason"):
        await recordings.hold(clip.id, person="i", reason="  ")
    held = await recordings.hold(clip.id, person="i", reason="case 7")
    assert held.hold == {"person": "i", "utc": "2026-09-21T14:13:20.000Z", "reason": "case 7"}
    assert (await recordings.hold(clip.id, person="i", reason=None)).hold is None
    with pytest.raises(NotFound):
        await recordings.hold("nothing", person="i", reason="case 7")
    assert len(unpack([await recordings.sights(clip.id)])) == 2


LINE, PLACES = [[LON, LAT], [LON, LAT + 0.01]], [[LON, LAT], [LON, LAT + 0.01]]


@pytest.mark.parametrize(
    ("request_of", "inside", "outside"),
    [
        ({**SURVEY}, (0, 250), (0, 300)),
        ({**SURVEY, "kind": "facades", "structure_height_m": 20, "standoff_m": 100}, (0, 350), (0, 400)),
        (
            {**SURVEY, "kind": "corridor", "line": {"type": "LineString", "coordinates": LINE},
             "width_m": 60},
            (65, 500), (75, 500),
        ),
        (
            {**SURVEY, "kind": "orbit", "place": {"type": "Point", "coordinates": [LON, LAT]}, "radius_m": 50,
             "end_radius_m": 120},
            (0, 155), (0, 165),
        ),
        (
            {**SURVEY, "kind": "visits", "places": {"type": "MultiPoint", "coordinates": PLACES}},
            (35, 0), (0, 500),
        ),
    ],
)  # fmt: skip
def test_work_is_what_is_to_be_seen_and_room_to_turn(
    request_of: dict[str, Any], inside: tuple[float, float], outside: tuple[float, float]
) -> None:
    if request_of["kind"] in ("corridor", "orbit", "visits"):
        request_of = {key: value for key, value in request_of.items() if key != "area"}
    work = work_of(msgspec.convert(request_of, PlanRequest))
    for (east_m, north_m), expected in ((inside, True), (outside, False)):
        place = pose(east_m, north_m).position
        assert bool(work.intersects(shapely.Point(place.lon, place.lat))) == expected
