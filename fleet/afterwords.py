"""What an autopilot says after it accepted a command, and what that makes of it."""

from __future__ import annotations

import asyncio

import msgspec

from fleet.commands import CommandResult, CommandState
from fleet.snapshots import Telemetry

FORBIDDEN_PLACE_WORDS = ("geofence", "outside", "too far", "denied", "rejected")
"""PX4 accepts a goto that it will not fly, and says so only in a text after."""
AFTERWORDS_S = 0.5
"""That text comes within this, s of the wall."""


async def heed_afterwords(telemetry: Telemetry, result: CommandResult, texts_before: int) -> CommandResult:
    """Wait for what is said of a goto that was accepted, `texts_before` being the count of texts before it."""
    if result.state is not CommandState.ACCEPTED:
        return result
    await asyncio.sleep(AFTERWORDS_S)
    texts = tuple(text.text for text in telemetry.texts_since(texts_before))
    if any(word in text.lower() for text in texts for word in FORBIDDEN_PLACE_WORDS):
        return msgspec.structs.replace(result, state=CommandState.DENIED, texts=texts)
    return result
