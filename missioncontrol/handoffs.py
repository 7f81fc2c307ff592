"""Hand-offs: the port to outside systems."""

from __future__ import annotations

from typing import Any, Protocol

import msgspec


class Handoff(msgspec.Struct, frozen=True, kw_only=True):
    """One version of one incident on its way to one receiver."""

    id: str
    """`incident:version:sink`; the CloudEvents id, the same on every attempt."""
    incident_id: str
    """UUIDv7 of the incident."""
    version: int
    """Version of the incident, from 1; a receiver keeps the highest."""
    kind: str
    """Kind of the incident."""
    sink: str
    """Name of the receiver in the settings."""
    created_utc_s: float
    """When the hand-off was written, s since 1970 UTC."""
    attempt: int = 1
    """How many times this has been tried, this one included."""
    payload: dict[str, Any]
    """The incident as the public sees it: a GeoJSON Feature."""


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """A receiver's own word that it holds a hand-off."""

    handoff_id: str
    """Id of the hand-off."""
    receiver: str
    """Who gave it."""
    receipt_id: str
    """The receiver's number for it."""
    received_utc_s: float
    """When the receiver took it, s since 1970 UTC, by the receiver's clock."""
    duplicate: bool = False
    """Whether the receiver had it already; that counts as delivered."""


class Sink(Protocol):
    """Delivers hand-offs to one receiver.

    An adapter is an async context manager whose class takes plain keyword
    arguments; it is named by an entry point of the group `missioncontrol.sinks`.
    """

    async def deliver(self, handoff: Handoff) -> Receipt:
        """Deliver once and wait for the receiver's receipt.

        Raises DeliveryFailed, retryable or not. Called again with the same id
        after a failure; a receiver's "I have that" is success.
        """
