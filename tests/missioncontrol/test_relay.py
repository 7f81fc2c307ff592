"""Encoded video on its way to viewers: all of it in order, from a key picture on, whatever others do."""

from __future__ import annotations

import asyncio
import itertools
import threading
import time

import pytest

from missioncontrol.errors import NotForwardable
from missioncontrol.relay import MOST_AHEAD_S, MOST_WAITING, TICKS_PER_S, EncodedPicture, Relay, Waiting

IDR = b"\x00\x00\x00\x01\x67sps\x00\x00\x00\x01\x68pps\x00\x00\x01\x65"
OTHER = b"\x00\x00\x00\x01\x41"


async def taken(waiting: Waiting, count: int) -> list[EncodedPicture]:
    async with asyncio.timeout(20):
        return [await waiting.next() for _ in range(count)]


async def test_every_viewer_begins_at_a_key_picture_and_gets_all_from_there() -> None:
    relay = Relay()
    tap = relay.connected()
    assert not relay.live
    with relay.watching() as early:
        tap(OTHER, 10.0, False, "h264")
        tap(IDR, 10.1, True, "h264")
        assert relay.live
        with relay.watching() as late:
            assert relay.viewers == 2
            tap(OTHER, 10.2, False, "h264")
            tap(OTHER, 10.3, True, "h264")  # a recovery point, as containers call key pictures too
            tap(IDR, 10.4, True, "h264")
            tap(OTHER, 10.5, False, "h264")
            pictures = await taken(early, 5)
            assert [picture.data for picture in pictures] == [IDR, OTHER, OTHER, IDR, OTHER]
            assert [picture.data for picture in await taken(late, 2)] == [IDR, OTHER]
    assert relay.viewers == 0
    steps = [after.ticks - before.ticks for before, after in itertools.pairwise(pictures)]
    assert steps == [TICKS_PER_S // 10] * 4
    assert [relay.ticks_of(pts_s) for pts_s in (10.1, 10.2, 10.5)] == [pictures[i].ticks for i in (0, 1, 4)]


async def test_a_slow_viewer_loses_pictures_and_nobody_else_does() -> None:
    relay = Relay()
    tap = relay.connected()
    with relay.watching() as quick, relay.watching() as slow:
        for number in range(MOST_WAITING + 30):
            tap(IDR if number % 50 == 0 else OTHER, number / 10, number % 50 == 0, "h264")
            assert (await taken(quick, 1))[0].ticks == relay.ticks_of(number / 10)
        assert quick.dropped == 0
        assert slow.dropped == MOST_WAITING
        tap(OTHER, 15.0, False, "h264")
        tap(IDR, 15.1, True, "h264")
        assert (await taken(slow, 1))[0].ticks == relay.ticks_of(15.1)


async def test_time_runs_on_where_the_camera_is_connected_again_or_its_clock_jumps() -> None:
    relay = Relay()
    with relay.watching() as waiting:
        relay.connected()(IDR, 5000.0, True, "h264")
        again = relay.connected()
        again(IDR, 0.0, True, "h264")
        again(IDR, 3600.0, True, "h264")
        again(IDR, 1.0, True, "h264")
        ticks = [picture.ticks for picture in await taken(waiting, 4)]
    assert ticks == sorted(ticks)
    assert ticks[-1] - ticks[0] < 60 * TICKS_PER_S


async def test_a_clock_that_is_set_back_by_less_than_pictures_are_reordered_ends_nothing() -> None:
    relay = Relay()
    tap = relay.connected()
    with relay.watching() as waiting:
        times_s = (0.0, 0.1, 0.2, 0.05, 0.15, 0.25, 5.0, 4.9, 5.0)
        for pts_s in times_s:
            tap(IDR, pts_s, True, "h264")
        ticks = [picture.ticks for picture in await taken(waiting, len(times_s))]
    assert relay.unfit is None
    assert all(before < after for before, after in itertools.pairwise(ticks))


async def test_pictures_of_a_stream_that_runs_faster_than_the_wall_are_not_shown_later_and_later() -> None:
    relay = Relay()
    tap = relay.connected()
    with relay.watching() as waiting:
        for number in range(60):
            tap(IDR, number * 0.5, True, "h264")
            await asyncio.sleep(0.001)
        ticks = [picture.ticks for picture in await taken(waiting, 60)]
    assert all(before < after for before, after in itertools.pairwise(ticks))
    assert ticks == [relay.ticks_of(number * 0.5) for number in range(60)]
    heard_s = time.monotonic() - relay._born_s
    assert ticks[-1] / TICKS_PER_S <= heard_s + MOST_AHEAD_S


@pytest.mark.parametrize(
    ("packets", "why"),
    [
        ([(OTHER, 0.0, "hevc")], "hevc"),
        ([(b"\x00\x00\x10\x00" + OTHER, 0.0, "h264")], "Annex B"),
        ([(IDR, 0.0, "h264"), *((OTHER, pts_s, "h264") for pts_s in (0.3, 0.1, 0.2, 0.6, 0.4))], "B-frames"),
    ],
)
async def test_what_browsers_cannot_take_is_not_forwarded(packets: list[tuple[bytes, float, str]], why: str) -> None:
    relay = Relay()
    tap = relay.connected()
    with relay.watching() as waiting:
        for data, pts_s, codec in packets:
            tap(data, pts_s, data == IDR, codec)
        with pytest.raises(NotForwardable, match=why):
            await taken(waiting, 9)
    assert why in (relay.unfit or "")
    with pytest.raises(NotForwardable), relay.watching():
        pass
    relay.connected()
    assert relay.unfit is None


async def test_pictures_come_over_from_another_thread() -> None:
    relay = Relay()
    tap = relay.connected()

    def read() -> None:
        for number in range(30):
            tap(IDR if number % 10 == 0 else OTHER, number / 30, number % 10 == 0, "h264")
            time.sleep(0.001)

    with relay.watching() as waiting:
        thread = threading.Thread(target=read)
        thread.start()
        pictures = await taken(waiting, 30)
        await asyncio.to_thread(thread.join)
    assert [picture.ticks for picture in pictures] == [relay.ticks_of(number / 30) for number in range(30)]
