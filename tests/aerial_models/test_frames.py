import asyncio
import threading

import pytest

from aerial_models.errors import SourceEnded
from aerial_models.frames import Mailbox


def test_the_latest_wins_and_the_rest_is_counted() -> None:
    mailbox: Mailbox[int] = Mailbox()
    for i in range(5):
        mailbox.put(i)
    assert mailbox.get() == 4
    assert mailbox.dropped == 4
    with pytest.raises(TimeoutError, match=r"nothing came within 0\.01 s"):
        mailbox.get(timeout_s=0.01)
    mailbox.put(7)
    assert mailbox.get() == 7
    assert mailbox.dropped == 4


def test_what_waits_is_taken_before_the_end_is_told() -> None:
    mailbox: Mailbox[int] = Mailbox()
    mailbox.put(1)
    mailbox.close(SourceEnded("gone"))
    mailbox.close(SourceEnded("later"))
    assert mailbox.get() == 1
    for _ in range(2):
        with pytest.raises(SourceEnded, match="gone"):
            mailbox.get()


def test_a_waiting_thread_is_woken() -> None:
    mailbox: Mailbox[int] = Mailbox()
    got: list[int] = []
    thread = threading.Thread(target=lambda: got.append(mailbox.get(5)))
    thread.start()
    mailbox.put(3)
    thread.join(5)
    assert got == [3]


async def test_an_event_loop_is_woken_from_another_thread() -> None:
    mailbox: Mailbox[int] = Mailbox()
    waiting = asyncio.create_task(mailbox.next())
    await asyncio.sleep(0.01)
    assert not waiting.done()
    threading.Thread(target=mailbox.put, args=(9,)).start()
    assert await asyncio.wait_for(waiting, 5) == 9
    threading.Thread(target=mailbox.close, args=(SourceEnded("gone"),)).start()
    with pytest.raises(SourceEnded):
        await asyncio.wait_for(mailbox.next(), 5)


async def test_a_cancelled_taker_takes_nothing() -> None:
    mailbox: Mailbox[int] = Mailbox()
    waiting = asyncio.create_task(mailbox.next())
    await asyncio.sleep(0.01)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    mailbox.put(1)
    assert await mailbox.next() == 1
    assert mailbox.dropped == 0
