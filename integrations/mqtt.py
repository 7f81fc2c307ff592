"""Hand-offs by MQTT 5: CloudEvents JSON out, receipts back on a response topic.

A broker's PUBACK is not a receipt: only the receiver's own answer closes a
hand-off. Source: CloudEvents MQTT binding, structured mode; MQTT 5 request and
response (response topic, correlation data).
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from types import TracebackType
from typing import Self

import aiomqtt
import msgspec
import structlog
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from integrations.cloudevents import CONTENT_TYPE, event, receipt
from missioncontrol.errors import DeliveryFailed
from missioncontrol.handoffs import Handoff, Receipt

log = structlog.get_logger()


class MqttSink:
    """Publishes each hand-off (QoS 1) and waits for the receiver's answer; reconnects by itself."""

    def __init__(
        self,
        *,
        name: str,
        host: str,
        port: int = 1883,
        topic: str = "city/incidents",
        username: str | None = None,
        password: str | None = None,
        tls: bool = False,
        ca_file: str | None = None,
        source: str = "urn:missioncontrol",
        timeout_s: float = 10.0,
        reconnect_s: float = 1.0,
    ) -> None:
        """Events go to `topic`/KIND, receipts are expected on a topic of this sink's own.

        `tls` encrypts and checks the broker's certificate, by the authorities of `ca_file` (PEM) or else the system's.
        Raises ValueError.
        """
        if ca_file is not None and not tls:
            raise ValueError("ca_file: is only used with tls = true")
        self._tls = _tls_context(ca_file) if tls else None
        self._name, self._host, self._port, self._topic, self._source = name, host, port, topic, source
        self._username, self._password = username, password
        self._timeout_s, self._reconnect_s = timeout_s, reconnect_s
        self._receipts_topic = f"{topic}/receipts/{name}-{secrets.token_hex(6)}"
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._client: aiomqtt.Client | None = None
        self._connected = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})
            if not self._task.cancelled() and (broke := self._task.exception()) is not None:
                log.error("connection broke", sink=self._name, exc_info=broke)

    def _connect(self) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._stay_connected(), name=f"mqtt[{self._name}]")
        return self._task

    def _check_connection(self) -> None:
        """Raise what broke the connection's task, once, and begin anew: it must not fail unheard."""
        task = self._task
        if task is not None and task.done():
            self._connect()
            task.result()

    async def deliver(self, handoff: Handoff) -> Receipt:
        """Publish once and wait for the receipt.

        Raises DeliveryFailed without one in time; and whatever but the broker's silence ended the connection.
        """
        self._check_connection()
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting[handoff.id] = answer
        try:
            async with asyncio.timeout(self._timeout_s):
                await self._connected.wait()
                await self._publish(handoff)
                body = await answer
        except TimeoutError as exc:
            self._check_connection()
            what = "gave no receipt" if self._connected.is_set() else "broker is out of reach"
            raise DeliveryFailed(
                f"{self._name}: {what} for {handoff.id} in {self._timeout_s:g} s ({self._host}:{self._port})",
                unreachable=True,
            ) from exc
        except aiomqtt.MqttError as exc:
            raise DeliveryFailed(f"{self._name}: {self._host}:{self._port}: {exc}", unreachable=True) from exc
        finally:
            self._waiting.pop(handoff.id, None)
        return receipt(body, handoff, receiver=self._name)

    async def _publish(self, handoff: Handoff) -> None:
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = CONTENT_TYPE
        properties.ResponseTopic = self._receipts_topic
        properties.CorrelationData = handoff.id.encode()
        if self._client is None:
            raise aiomqtt.MqttError("not connected")
        await self._client.publish(
            f"{self._topic}/{handoff.kind}",
            msgspec.json.encode(event(handoff, source=self._source)),
            qos=1,
            properties=properties,
        )

    async def _stay_connected(self) -> None:
        while True:
            try:
                await self._listen()
            except aiomqtt.MqttError as exc:
                log.warning("broker lost", sink=self._name, broker=f"{self._host}:{self._port}", error=str(exc))
            finally:
                self._connected.clear()
                self._client = None
            await asyncio.sleep(self._reconnect_s)

    async def _listen(self) -> None:
        async with aiomqtt.Client(
            self._host,
            self._port,
            username=self._username,
            password=self._password,
            tls_context=self._tls,
            protocol=aiomqtt.ProtocolVersion.V5,
        ) as client:
            await client.subscribe(self._receipts_topic, qos=1)
            self._client = client
            self._connected.set()
            async for message in client.messages:
                correlation = getattr(message.properties, "CorrelationData", b"").decode(errors="replace")
                waiting = self._waiting.get(correlation)
                if waiting is not None and not waiting.done() and isinstance(message.payload, bytes):
                    waiting.set_result(message.payload)


def _tls_context(ca_file: str | None) -> ssl.SSLContext:
    try:
        return ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as exc:
        raise ValueError(f"ca_file: {ca_file}: {exc.strerror or exc}") from exc
