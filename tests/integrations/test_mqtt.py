from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator

import msgspec
import pytest

from integrations.mqtt import MqttSink
from missioncontrol.errors import DeliveryFailed
from missioncontrol.handoffs import Handoff
from simulators.city import Receiver, receive_mqtt
from tests.conftest import Mosquitto


@pytest.fixture
async def listening(mosquitto: Mosquitto, receiver: Receiver) -> AsyncIterator[Mosquitto]:
    task = asyncio.create_task(receive_mqtt(receiver, host="127.0.0.1", port=mosquitto.port))
    await asyncio.sleep(0.3)
    yield mosquitto
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def test_an_event_is_answered_with_a_receipt(listening: Mosquitto, receiver: Receiver, handoff: Handoff) -> None:
    async with MqttSink(name="centre", host="127.0.0.1", port=listening.port) as sink:
        receipt = await sink.deliver(handoff)
        again = await sink.deliver(msgspec.structs.replace(handoff, attempt=2))
    assert receipt.receipt_id == "112-000001"
    assert (receipt.duplicate, again.duplicate) == (False, True)
    assert receiver.arrivals[0].event["data"] == handoff.payload


async def test_the_brokers_own_word_is_no_receipt(mosquitto: Mosquitto, handoff: Handoff) -> None:
    async with MqttSink(name="centre", host="127.0.0.1", port=mosquitto.port, timeout_s=0.5) as sink:
        with pytest.raises(DeliveryFailed, match=r"gave no receipt for 0192:1:112 in 0\.5 s"):
            await sink.deliver(handoff)


async def test_a_broker_out_of_reach_is_named(handoff: Handoff) -> None:
    async with MqttSink(name="centre", host="127.0.0.1", port=9, timeout_s=0.5) as sink:
        with pytest.raises(DeliveryFailed, match="out of reach"):
            await sink.deliver(handoff)


async def test_the_sink_finds_a_killed_broker_again(mosquitto: Mosquitto, receiver: Receiver, handoff: Handoff) -> None:
    async with MqttSink(name="centre", host="127.0.0.1", port=mosquitto.port, timeout_s=0.5, reconnect_s=0.1) as sink:
        with pytest.raises(DeliveryFailed):
            await sink.deliver(handoff)
        mosquitto.stop(signal.SIGKILL)
        with pytest.raises(DeliveryFailed):
            await sink.deliver(handoff)
        mosquitto.start()
        task = asyncio.create_task(receive_mqtt(receiver, host="127.0.0.1", port=mosquitto.port))
        await asyncio.sleep(0.6)
        sink._timeout_s = 5.0
        assert (await sink.deliver(handoff)).handoff_id == handoff.id
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
