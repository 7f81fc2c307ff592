from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

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


async def test_a_connection_that_breaks_on_a_bug_is_heard_of_and_begun_anew(
    listening: Mosquitto, handoff: Handoff, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def break_down() -> None:
        raise ZeroDivisionError("a bug")

    async with MqttSink(name="centre", host="127.0.0.1", port=listening.port, timeout_s=5.0) as sink:
        with monkeypatch.context() as broken:
            broken.setattr(sink, "_listen", break_down)
            await asyncio.sleep(0.1)
        with pytest.raises(ZeroDivisionError):
            await sink.deliver(handoff)
        assert (await sink.deliver(handoff)).handoff_id == handoff.id


@pytest.fixture
def certificates(tmp_path: Path) -> Path:
    """A folder with the self-signed certificates and keys of a broker and of a stranger."""
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost"]
    for name in ("broker", "stranger"):
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject,
             "-keyout", tmp_path / f"{name}.key", "-out", tmp_path / f"{name}.pem"],
            check=True, capture_output=True,
        )  # fmt: skip
    return tmp_path


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # paho leaves a refused socket open
async def test_tls_reaches_a_broker_whose_certificate_is_trusted_and_no_other(
    certificates: Path, handoff: Handoff
) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "broker.pem", certificates / "broker.key")
    greetings: list[bytes] = []

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        greetings.append(await reader.read(1))
        writer.close()

    server = await asyncio.start_server(greet, "localhost", 0, ssl=context, family=socket.AF_INET)
    port = server.sockets[0].getsockname()[1]
    connect = b"\x10"
    for name, heard in (("stranger", []), ("broker", [connect])):
        ca_file = str(certificates / f"{name}.pem")
        sink = MqttSink(
            name="centre", host="localhost", port=port, tls=True, ca_file=ca_file, timeout_s=1.0, reconnect_s=10.0
        )
        async with sink:
            with pytest.raises(DeliveryFailed, match="out of reach"):
                await sink.deliver(handoff)
        assert greetings == heard
    server.close()


def test_tls_options_that_cannot_work_are_said_before_the_first_delivery() -> None:
    with pytest.raises(ValueError, match="ca_file: is only used with tls = true"):
        MqttSink(name="centre", host="localhost", ca_file="ca.pem")
    with pytest.raises(ValueError, match=r"ca_file: /none/ca\.pem: No such file"):
        MqttSink(name="centre", host="localhost", tls=True, ca_file="/none/ca.pem")
