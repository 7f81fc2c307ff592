"""Recordings over HTTP and on the command line: the question, the video by parts, pictures, holds, what goes when."""

from __future__ import annotations

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from aerial_models.clips import ClipWriter
from missioncontrol import audit
from missioncontrol.api.recordings import byte_range
from missioncontrol.cli import app
from missioncontrol.store import Store
from missioncontrol.video_settings import RetentionSettings
from tests.missioncontrol.conftest import Running, make_settings, running
from tests.missioncontrol.footage import BEGIN_UTC_S, add_clip, add_flight
from tests.missioncontrol.test_api import new_person, problem
from tests.missioncontrol.test_recorder import video as video  # a fixture
from tests.missioncontrol.test_service import survey
from tests.missioncontrol.test_sights import LAT, LON
from tests.missioncontrol.test_views import pass_over


class Filmed:
    """A service with one clip of 20 s, of which each picture is as grey as it is late (1/10 s)."""

    def __init__(self, house: Running, clip_id: str, content: bytes, folder: Path) -> None:
        self.house, self.clip_id, self.content, self.folder = house, clip_id, content, folder


@pytest.fixture
async def filmed(tmp_path: Path, video: list[tuple[bytes, bool]]) -> AsyncIterator[Filmed]:
    settings = make_settings(tmp_path, retention=RetentionSettings(days={"inspection": 40_000.0}))
    async with Store(settings.store_url()) as store:
        flight = await add_flight(store)
        clip_id = await add_clip(
            store,
            flight,
            [msgspec.structs.replace(sight, time_s=sight.time_s - 20) for sight in pass_over()[20:40]],
            until_utc_s=BEGIN_UTC_S + 20.0,
        )
    path = settings.recordings_folder() / flight / f"{clip_id}.mp4"
    path.parent.mkdir(parents=True)
    writer = ClipWriter(path, codec="h264", width_px=64, height_px=48)
    for index, (data, keyframe) in enumerate(video[:200]):
        writer.add(data, index / 10, keyframe)
    writer.close()
    async with running(settings) as house:
        yield Filmed(house, clip_id, path.read_bytes(), tmp_path)


async def test_who_saw_a_place_and_the_picture_of_it(filmed: Filmed) -> None:
    http = await filmed.house.client()
    answer = await http.get("/views", params={"at": f"{LON},{LAT}", "from": "2026-09-21T00:00:00Z"})
    assert answer.status_code == 200, answer.text
    (feature,) = answer.json()["features"]
    assert feature["id"] == filmed.clip_id
    best = feature["properties"]["best"]
    assert best["utc"] == "2026-09-21T14:13:30.000Z"
    picture = await http.get(best["frame"].removeprefix("/api/v1"))
    image = np.asarray(Image.open(BytesIO(picture.content)))
    assert picture.headers["content-type"] == "image/jpeg"
    assert image.shape == (48, 64, 3)
    square = {"type": "Polygon", "coordinates": [[[LON, LAT], [LON + 1e-4, LAT], [LON, LAT + 1e-4], [LON, LAT]]]}
    within = await http.get("/views", params={"within": msgspec.json.encode(square).decode()})
    assert [one["id"] for one in within.json()["features"]] == [filmed.clip_id]
    empty = await http.get("/views", params={"at": f"{LON},{LAT}", "to": "2026-09-21T14:13:22+00:00"})
    assert empty.json() == {"type": "FeatureCollection", "features": [], "next": None}


REFUSED: list[tuple[dict[str, str], str]] = [
    ({}, "at, within"),
    ({"at": "1,2", "within": "1,2,3,4,5,6"}, "at, within"),
    ({"at": "1"}, "lon,lat"),
    ({"at": "1,95"}, "-90 to 90"),
    ({"at": "nan,1"}, "-90 to 90"),
    ({"within": "1,2,3,4"}, "three corners"),
    ({"within": "0,0,1,1,1,0,0,1"}, "cross"),
    ({"within": '{"type": "Point", "coordinates": [1, 2]}'}, "Polygon"),
    ({"within": "{nonsense"}, "GeoJSON"),
    ({"at": "1,2", "from": "yesterday"}, "no time"),
    ({"at": "1,2", "from": "2027-01-01T00:00:00Z", "to": "2026-01-01T00:00:00Z"}, "before"),
    ({"within": "179,0,-179,0,-179,1,179,1"}, "180"),
    ({"at": "1,2", "to": "2026-05-01T08:30:00"}, "offset"),
]


async def test_a_question_that_cannot_be_answered_says_why(filmed: Filmed) -> None:
    http = await filmed.house.client()
    for asked, words in REFUSED:
        assert words in problem(await http.get("/views", params=asked), 422)["detail"]


async def test_numbers_too_large_to_be_any_are_no_errors_of_ours(filmed: Filmed) -> None:
    http = await filmed.house.client()
    problem(await http.get("/views", params={"at": "1,2", "before": 10**30}), 400)
    problem(await http.get("/stac/search", params={"token": "clips:" + "9" * 40}), 422)
    part = await http.get(f"/recordings/{filmed.clip_id}/video.mp4", headers={"range": "bytes=-" + "9" * 5000})
    assert part.content == filmed.content


async def test_the_video_comes_whole_or_in_parts(filmed: Filmed) -> None:
    http = await filmed.house.client()
    url, content = f"/recordings/{filmed.clip_id}/video.mp4", filmed.content
    whole = await http.get(url)
    assert (whole.status_code, whole.content) == (200, content)
    assert (whole.headers["accept-ranges"], whole.headers["content-type"]) == ("bytes", "video/mp4")
    for asked, begin, end in (
        ("bytes=0-", 0, len(content)),
        ("bytes=100-199", 100, 200),
        ("bytes=-50", len(content) - 50, len(content)),
        (f"bytes=10-{10**9}", 10, len(content)),
    ):
        part = await http.get(url, headers={"range": asked})
        assert (part.status_code, part.content) == (206, content[begin:end]), asked
        assert part.headers["content-range"] == f"bytes {begin}-{end - 1}/{len(content)}"
        assert part.headers["content-length"] == str(end - begin)
    beyond = await http.get(url, headers={"range": f"bytes={len(content)}-"})
    assert (beyond.status_code, beyond.headers["content-range"]) == (416, f"bytes */{len(content)}")
    changed = await http.get(url, headers={"range": "bytes=0-9", "if-range": '"another"'})
    assert (changed.status_code, len(changed.content)) == (200, len(content))
    problem(await http.get("/recordings/nothing/video.mp4"), 404)


def test_ranges_that_are_not_understood_are_answered_with_the_whole() -> None:
    for text in ("bytes=-", "bytes=1-2,5-6", "lines=1-2", "", "bytes=a-b"):
        assert byte_range(text, 10) == (0, 10)
    assert byte_range("bytes=5-2", 10) is None
    assert byte_range("bytes=-0", 10) is None
    assert byte_range("bytes=0-0", 0) is None


async def test_pictures_of_any_moment(filmed: Filmed) -> None:
    http = await filmed.house.client()
    for time_s in (0.0, 3.3, 15.7):
        answer = await http.get(f"/recordings/{filmed.clip_id}/frame", params={"t": time_s})
        grey = float(np.asarray(Image.open(BytesIO(answer.content))).mean())
        assert grey == pytest.approx(10 * time_s, abs=4)
        assert float(answer.headers["x-time-in-clip"]) == pytest.approx(time_s, abs=0.051)
    assert "long" in problem(await http.get(f"/recordings/{filmed.clip_id}/frame", params={"t": 99}), 422)["detail"]


async def test_who_looked_is_audited_and_who_may_hold_is_bounded(filmed: Filmed) -> None:
    operator = await new_person(filmed.house, "o", "operator")
    inspector = await new_person(filmed.house, "i", "inspector")
    url = f"/recordings/{filmed.clip_id}"
    for _ in range(3):
        await operator.get(f"{url}/video.mp4", headers={"range": "bytes=0-9"})
    problem(await operator.post(f"{url}/hold", json={"reason": "x"}), 403)
    problem(await operator.get("/retention"), 403)
    held = await inspector.post(f"{url}/hold", json={"reason": "case 7"})
    assert held.json()["properties"]["hold"]["reason"] == "case 7"
    assert (await inspector.get("/recordings")).json()["features"][0]["properties"]["hold"]["person"] == "i"
    (purpose,) = (await inspector.get("/retention", params={"days": 3})).json()["purposes"]
    assert (purpose["held"], purpose["going"]) == (1, 0)
    assert (await inspector.delete(f"{url}/hold")).json()["properties"]["hold"] is None
    problem(await inspector.delete(f"{url}/hold"), 409)
    rooms = filmed.house.service.rooms
    assert rooms is not None
    async with rooms.store.reading() as connection:
        entries = await audit.history(connection, "recording", filmed.clip_id)
    assert [(one.person, one.event) for one in entries] == [("o", "opened"), ("i", "kept"), ("i", "kept no longer")]


async def test_what_a_mission_records_is_judged_when_it_is_planned(filmed: Filmed) -> None:
    http = await filmed.house.client()
    for record, words in (
        ({"purpose": "curiosity"}, "retention.days"),
        ({"where": "flight"}, "record.why"),
    ):
        assert words in problem(await http.post("/plans", json={**survey(1), "record": record}), 422)["detail"]
    said = {"where": "flight", "why": "court order 12", "purpose": "patrol"}
    answer = await http.post("/plans", json={**survey(1), "record": said})
    assert answer.status_code == 200, answer.text


async def test_the_command_line_answers_too(tmp_path: Path) -> None:
    settings = tmp_path / "mc.toml"
    settings.write_text(f'data = "{tmp_path}"\n[retention.days]\ninspection = 40000\n')
    async with Store(f"sqlite:///{tmp_path / 'missioncontrol.sqlite'}") as store:
        clip_id = await add_clip(store, await add_flight(store), pass_over())

    def said(*words: str) -> Any:
        with ThreadPoolExecutor(1) as threads:  # the command has an event loop of its own
            result = threads.submit(CliRunner().invoke, app, ["views", *words, "--settings", str(settings)]).result()
        assert result.exit_code == 0, result.output
        return result.output

    found = msgspec.json.decode(said("at", f"{LON},{LAT}", "--json"))
    assert [feature["id"] for feature in found["features"]] == [clip_id]
    assert "deg off nadir" in said("at", f"{LON},{LAT}", "--from", "2026-01-01T00:00:00Z")
    assert msgspec.json.decode(said("at", f"{-LON},{LAT}", "--json"))["features"] == []
    assert msgspec.json.decode(said("retention", "--json"))["purposes"][0]["clips"] == 1
    assert "inspection: kept 40000 days; 1 clips" in said("retention", "--days", "7")
