"""The numbers under which a vehicle keeps its plans.

They change when anybody changes a plan, so that a read-back stays good as long as its number does. PX4 sends them since
1.15, as extensions that our dialect does not have yet; ArduPilot sends none.
Source: MISSION_COUNT.opaque_id and MISSION_CURRENT.mission_id of MAVLink's common.xml.
"""

from __future__ import annotations

import struct
from typing import Any

from fleet.scan import MAGIC_V2

_COUNT = struct.Struct("<HBBBI")
"""MISSION_COUNT on the wire: count, target system and component, mission type, opaque id."""
_CURRENT = struct.Struct("<HHBBI")
"""MISSION_CURRENT on the wire, to its mission id: seq, total, state, mode, mission id."""


def id_in_count(message: Any) -> int | None:
    """The id of the list that a MISSION_COUNT of a vehicle begins; None where it gives none."""
    return _last_of(_COUNT, message)


def id_in_current(message: Any) -> int | None:
    """The id of the mission aboard, of a MISSION_CURRENT; None where it gives none."""
    return _last_of(_CURRENT, message)


def _last_of(layout: struct.Struct, message: Any) -> int | None:
    """The last field of a payload; trailing zero bytes are not sent, and 0 means that there is no id."""
    data = bytes(message.get_msgbuf())
    if not data or data[0] != MAGIC_V2:
        return None
    sent = data[10 : 10 + data[1]]
    number: int = layout.unpack(sent[: layout.size].ljust(layout.size, b"\0"))[-1]
    return number or None
