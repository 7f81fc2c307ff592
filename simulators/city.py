"""The city's receivers: they take hand-offs by webhook or MQTT, answer with receipts, and remember."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable
from typing import Any

import aiomqtt
import msgspec
import structlog
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath, RawBody
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

log = structlog.get_logger()


class Taken(msgspec.Struct, frozen=True, kw_only=True):
    """One arrival at a receiver."""

    handoff_id: str
    """Id of the event."""
    incident_id: str
    """Subject of the event."""
    kind: str
    """Kind of the incident."""
    version: int
    """Version of the incident."""
    received_utc_s: float
    """When it came, s since 1970 UTC."""
    duplicate: bool
    """Whether it was there already."""
    event: dict[str, Any]
    """The event as it came."""


class Receiver:
    """One city system: keeps the highest version of each incident and says so in its receipts."""

    def __init__(self, name: str, *, refuse_first: int = 0, clock: Callable[[], float] = time.time) -> None:
        """`refuse_first` arrivals are not taken, as if the system were down."""
        self.name = name
        self.arrivals: list[Taken] = []
        self.incidents: dict[str, Taken] = {}
        self._refuse = refuse_first
        self._clock = clock

    def take(self, body: bytes) -> dict[str, Any] | None:
        """Take one event; the receipt to answer with, or None while refusing."""
        if self._refuse > 0:
            self._refuse -= 1
            return None
        event = msgspec.json.decode(body, type=dict[str, Any])
        duplicate = any(taken.handoff_id == event["id"] for taken in self.arrivals)
        taken = Taken(
            handoff_id=event["id"],
            incident_id=event["subject"],
            kind=event["incidentkind"],
            version=event["incidentversion"],
            received_utc_s=self._clock(),
            duplicate=duplicate,
            event=event,
        )
        self.arrivals.append(taken)
        known = self.incidents.get(taken.incident_id)
        if known is None or known.version < taken.version:
            self.incidents[taken.incident_id] = taken
        return {
            "handoff_id": taken.handoff_id,
            "receipt_id": f"{self.name}-{len(self.arrivals):06d}",
            "received_utc_s": taken.received_utc_s,
            "duplicate": duplicate,
        }


def receivers_app(receivers: dict[str, Receiver], *, secret: str) -> Litestar:
    """An HTTP application: POST /NAME takes signed webhooks, GET /NAME/arrivals tells what came."""
    verifier = Webhook(secret)

    @post("/{name:str}")
    async def take(name: FromPath[str], request: Request[Any, Any, Any], body: RawBody) -> Response[dict[str, Any]]:
        if name not in receivers:
            return Response({"detail": f"no receiver {name}"}, status_code=404)
        try:
            verifier.verify(body, dict(request.headers), json_parse=False)
        except WebhookVerificationError as exc:
            return Response({"detail": str(exc)}, status_code=401)
        answer = receivers[name].take(body)
        if answer is None:
            return Response({"detail": f"{name} is down"}, status_code=503)
        return Response(answer, status_code=200)

    @get("/{name:str}/arrivals")
    async def arrivals(name: FromPath[str]) -> list[Taken]:
        return receivers[name].arrivals

    return Litestar([take, arrivals], openapi_config=None, logging_config=None)


async def receive_mqtt(receiver: Receiver, *, host: str, port: int, topic: str = "city/incidents") -> None:
    """Take events from a broker and answer each on its response topic, until cancelled."""
    async with aiomqtt.Client(host, port, protocol=aiomqtt.ProtocolVersion.V5) as client:
        await client.subscribe(f"{topic}/+", qos=1)
        async for message in client.messages:
            respond_to = getattr(message.properties, "ResponseTopic", None)
            if respond_to is None or not isinstance(message.payload, bytes):
                log.warning("event without a response topic", receiver=receiver.name, topic=str(message.topic))
                continue
            answer = receiver.take(message.payload)
            if answer is None:
                continue
            properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
            properties.CorrelationData = message.properties.CorrelationData  # type: ignore[union-attr]
            await client.publish(respond_to, msgspec.json.encode(answer), qos=1, properties=properties)


async def serve_city(
    receivers: dict[str, Receiver], *, port: int, secret: str, mqtt: tuple[Receiver, str, int] | None = None
) -> None:
    """Serve receivers at 127.0.0.1 until cancelled; one of them may listen at a broker (receiver, host, port) too."""
    app = receivers_app(receivers, secret=secret)
    server = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=port, log_level="warning", lifespan="off"))
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    async with asyncio.TaskGroup() as tasks:
        serving = tasks.create_task(server.serve(), name="http")
        if mqtt is not None:
            tasks.create_task(receive_mqtt(mqtt[0], host=mqtt[1], port=mqtt[2]), name=f"mqtt[{mqtt[0].name}]")
        try:
            await asyncio.shield(serving)
        finally:
            server.should_exit = True
