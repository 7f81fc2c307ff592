from __future__ import annotations

from typing import Any

import msgspec
import pytest

from integrations.webhook import WebhookSink
from missioncontrol.errors import DeliveryFailed, SettingsInvalid
from missioncontrol.handoffs import Handoff, check_sink
from missioncontrol.incident_settings import SinkSettings
from simulators.city import Receiver
from tests.integrations.conftest import SECRET


async def test_a_signed_event_is_taken_and_its_receipt_returned(
    city_url: str, receiver: Receiver, handoff: Handoff
) -> None:
    async with WebhookSink(name="112", url=f"{city_url}/112", secret=SECRET) as sink:
        receipt = await sink.deliver(handoff)
    assert receipt.handoff_id == handoff.id
    assert receipt.receipt_id == "112-000001"
    assert not receipt.duplicate
    assert receiver.arrivals[0].event["data"] == handoff.payload


async def test_a_second_delivery_of_the_same_id_is_a_duplicate_and_a_success(
    city_url: str, receiver: Receiver, handoff: Handoff
) -> None:
    async with WebhookSink(name="112", url=f"{city_url}/112", secret=SECRET) as sink:
        await sink.deliver(handoff)
        again = await sink.deliver(msgspec.structs.replace(handoff, attempt=2))
    assert again.duplicate
    assert len(receiver.incidents) == 1


async def test_a_wrong_key_is_named_and_worth_another_try_once_mended(
    city_url: str, receiver: Receiver, handoff: Handoff
) -> None:
    async with WebhookSink(name="112", url=f"{city_url}/112", secret="whsec_" + "d3Jvbmcga2V5IHRvIHRoZSBjaXR5") as sink:
        with pytest.raises(DeliveryFailed, match="401") as refused:
            await sink.deliver(handoff)
    assert refused.value.retryable
    assert receiver.arrivals == []


async def test_a_receiver_that_is_down_is_worth_another_try(
    city_url: str, receiver: Receiver, handoff: Handoff
) -> None:
    receiver._refuse = 1
    async with WebhookSink(name="112", url=f"{city_url}/112", secret=SECRET) as sink:
        with pytest.raises(DeliveryFailed, match="503") as down:
            await sink.deliver(handoff)
        assert down.value.retryable
        assert (await sink.deliver(handoff)).handoff_id == handoff.id


async def test_nobody_listening_names_the_address(handoff: Handoff) -> None:
    async with WebhookSink(name="112", url="http://127.0.0.1:9/112", secret=SECRET) as sink:
        with pytest.raises(DeliveryFailed, match=r"112: http://127\.0\.0\.1:9/112 did not answer") as silent:
            await sink.deliver(handoff)
    assert (silent.value.retryable, silent.value.unreachable) == (True, True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"secret": "whsec_not base64"}, "secret: is not base64"),
        ({"secret": "whsec_"}, "secret: is empty"),
        ({"url": "dispatch.example/in"}, "url: 'dispatch.example/in' is not an http"),
        ({"url": "http://"}, "url: "),
    ],
)
def test_what_cannot_work_is_said_before_the_first_delivery(options: dict[str, str], text: str) -> None:
    whole: dict[str, Any] = {"url": "http://127.0.0.1:9/112", "secret": SECRET, **options}
    with pytest.raises(ValueError, match=text):
        WebhookSink(name="112", **whole)
    with pytest.raises(SettingsInvalid, match=f"sinks: centre: options of webhook: {text}"):
        check_sink(SinkSettings(name="centre", kind="webhook", options=whole))


async def test_an_answer_without_a_receipt_is_no_delivery(city_url: str, handoff: Handoff) -> None:
    async with WebhookSink(name="112", url=f"{city_url}/112", secret=SECRET) as sink:
        sink._url = f"{city_url}/112/arrivals"
        with pytest.raises(DeliveryFailed, match="405"):
            await sink.deliver(handoff)
