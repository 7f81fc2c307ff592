"""The live feed: what may be left out and what may not."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from missioncontrol.errors import ClientTooSlow
from missioncontrol.live import Live, VideoHub, pack_frame
from tests.missioncontrol.conftest import StillClock


def vehicle(sysid: int, lon: float) -> dict[str, object]:
    return {"type": "Feature", "id": sysid, "geometry": {"type": "Point", "coordinates": [lon, 43.0]}}


async def test_telemetry_is_latest_wins_and_the_rest_is_queued(clock: StillClock) -> None:
    live = Live(clock)
    with live.subscription() as client:
        for number in range(100):
            live.vehicle(vehicle(1, number))
            live.vehicle(vehicle(2, number))
        live.mission({"id": "m"})
        live.alarm("battery low", "severe")
        messages = [msgspec.json.decode(await client.next()) for _ in range(4)]
        assert [message["type"] for message in messages] == ["mission", "alarm", "vehicle", "vehicle"]
        assert [m["feature"]["geometry"]["coordinates"][0] for m in messages[2:]] == [99, 99]
        assert messages[1]["utc"] == "2026-09-21T14:13:20.000Z"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.next(), 0.02)
    assert live.clients == 0


async def test_a_client_that_does_not_read_is_dropped_and_not_silently_robbed(clock: StillClock) -> None:
    live = Live(clock)
    with live.subscription() as client:
        for number in range(1001):
            live.mission({"id": number})
        with pytest.raises(ClientTooSlow):
            await client.next()


async def test_video_is_latest_wins_for_each_watcher() -> None:
    videos = VideoHub()
    videos.publish(1, {"utc_s": 0}, b"zero")
    assert not videos.watched(1)
    with videos.watching(1) as quick, videos.watching(1, pictures=False) as slow:
        assert videos.watched(1)
        assert videos.pictured(1)
        assert await quick.next() == ({"utc_s": 0}, b"zero")
        for number in range(3):
            videos.publish(1, {"utc_s": number}, str(number).encode())
            assert (await quick.next()).jpeg == str(number).encode()
        assert await slow.next() == ({"utc_s": 2}, b"2")
        assert slow.dropped == 3
        assert quick.dropped == 0
    assert not videos.watched(1)
    with videos.watching(1, pictures=False):
        assert videos.watched(1)
        assert not videos.pictured(1)


def test_a_packed_frame_is_a_header_and_a_picture() -> None:
    frame = pack_frame({"utc_s": 2}, b"jpeg")
    length = int.from_bytes(frame[:4], "big")
    assert msgspec.json.decode(frame[4 : 4 + length]) == {"utc_s": 2}
    assert frame[4 + length :] == b"jpeg"
