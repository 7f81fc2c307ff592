"""Hand-offs as CloudEvents 1.0 in structured JSON, and receivers' answers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from missioncontrol.errors import DeliveryFailed
from missioncontrol.handoffs import Handoff, Receipt

CONTENT_TYPE = "application/cloudevents+json"


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a receiver answers once it holds a hand-off."""

    handoff_id: str
    """Id of the hand-off it answers; the event's id."""
    receipt_id: str
    """The receiver's own number for it."""
    received_utc_s: float
    """When it took it, s since 1970 UTC."""
    duplicate: bool = False
    """Whether it had it already."""


def event(handoff: Handoff, *, source: str) -> dict[str, Any]:
    """The CloudEvents 1.0 event of a hand-off; its id stays the same on every attempt."""
    return {
        "specversion": "1.0",
        "id": handoff.id,
        "source": source,
        "type": "missioncontrol.incident.v1",
        "subject": handoff.incident_id,
        "time": datetime.fromtimestamp(handoff.created_utc_s, UTC).isoformat(timespec="milliseconds"),
        "datacontenttype": "application/json",
        "incidentkind": handoff.kind,
        "incidentversion": handoff.version,
        "data": handoff.payload,
    }


def receipt(body: bytes, handoff: Handoff, *, receiver: str) -> Receipt:
    """The receipt in a receiver's answer. Raises DeliveryFailed where it is none, or another hand-off's."""
    try:
        answer = msgspec.json.decode(body, type=Answer)
    except msgspec.DecodeError as exc:
        raise DeliveryFailed(f"{receiver}: the answer to {handoff.id} is no receipt: {exc}") from exc
    if answer.handoff_id != handoff.id:
        raise DeliveryFailed(f"{receiver}: answered {handoff.id} with a receipt for {answer.handoff_id}")
    return Receipt(
        handoff_id=handoff.id,
        receiver=receiver,
        receipt_id=answer.receipt_id,
        received_utc_s=answer.received_utc_s,
        duplicate=answer.duplicate,
    )
