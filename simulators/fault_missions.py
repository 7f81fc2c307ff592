"""Failures of the mission protocol, made from the messages of both sides as they pass."""

from __future__ import annotations

from enum import Enum
from typing import Any, NamedTuple

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.framing import Frame, decode
from simulators.fault_frames import rewritten
from simulators.fault_schedule import Mission, MissionFailure, Way

ITEMS, ITEMS_INT, COUNT = 39, 73, 44
REQUEST, REQUEST_INT, ACK = 40, 51, 47
ACCEPTED = 0
UNKNOWN_COMMAND = 31_999
"""No autopilot takes this in a mission."""
GROUND = (255, 190)
"""Whom an unasked message is for, as long as no ground was heard."""


class Deed(Enum):
    """What becomes of the message that a rule is about."""

    DROP = "lost each time"
    DROP_EVERY_OTHER = "lost the first time, not the second"
    NUMBER_UP = "one number too high"
    ERROR_ACK = "an error acknowledgement instead"
    ACCEPT = "an acknowledgement of success instead"
    FAIL = "an acknowledgement, but of an error"
    COUNT_UP = "one item too many announced"
    COUNT_DOWN = "one item too few announced"
    MOVE = "moved by one unit of latitude"
    SPOIL = "a command that no autopilot knows"


class Rule(NamedTuple):
    """Which message, and what becomes of it."""

    way: Way
    """Of the message."""
    kinds: tuple[int, ...]
    """Its ids."""
    seq: int | None
    """Number of the item it is about; None: any, or it has none."""
    deed: Deed
    """What becomes of it."""


_ASKS, _GIVES = (REQUEST, REQUEST_INT), (ITEMS, ITEMS_INT)
_F = MissionFailure
RULES: dict[MissionFailure, Rule] = {
    _F.READ_LIST_NO_ANSWER: Rule(Way.UP, (COUNT,), None, Deed.DROP),
    _F.READ_LIST_FIRST_LOST: Rule(Way.UP, (COUNT,), None, Deed.DROP_EVERY_OTHER),
    _F.READ_ITEM_0_NO_ANSWER: Rule(Way.UP, _GIVES, 0, Deed.DROP),
    _F.READ_ITEM_1_NO_ANSWER: Rule(Way.UP, _GIVES, 1, Deed.DROP),
    _F.READ_ITEM_1_FIRST_LOST: Rule(Way.UP, _GIVES, 1, Deed.DROP_EVERY_OTHER),
    _F.READ_ITEM_0_WRONG_SEQUENCE: Rule(Way.UP, _GIVES, 0, Deed.NUMBER_UP),
    _F.READ_ITEM_1_WRONG_SEQUENCE: Rule(Way.UP, _GIVES, 1, Deed.NUMBER_UP),
    _F.READ_ITEM_0_ERROR_ACK: Rule(Way.UP, _GIVES, 0, Deed.ERROR_ACK),
    _F.READ_ITEM_1_ERROR_ACK: Rule(Way.UP, _GIVES, 1, Deed.ERROR_ACK),
    _F.WRITE_COUNT_NO_ANSWER: Rule(Way.UP, _ASKS, 0, Deed.DROP),
    _F.WRITE_COUNT_FIRST_LOST: Rule(Way.UP, _ASKS, 0, Deed.DROP_EVERY_OTHER),
    _F.WRITE_REQUEST_1_NO_ANSWER: Rule(Way.UP, _ASKS, 1, Deed.DROP),
    _F.WRITE_REQUEST_0_WRONG_SEQUENCE: Rule(Way.UP, _ASKS, 0, Deed.NUMBER_UP),
    _F.WRITE_REQUEST_1_WRONG_SEQUENCE: Rule(Way.UP, _ASKS, 1, Deed.NUMBER_UP),
    _F.WRITE_REQUEST_0_ERROR_ACK: Rule(Way.UP, _ASKS, 0, Deed.ERROR_ACK),
    _F.WRITE_REQUEST_1_ERROR_ACK: Rule(Way.UP, _ASKS, 1, Deed.ERROR_ACK),
    _F.WRITE_FINAL_ACK_LOST: Rule(Way.UP, (ACK,), None, Deed.DROP),
    _F.WRITE_FINAL_ACK_ERROR: Rule(Way.UP, (ACK,), None, Deed.FAIL),
    _F.WRITE_FINAL_ACK_EARLY: Rule(Way.UP, _ASKS, 3, Deed.ACCEPT),
    _F.READ_COUNT_TOO_HIGH: Rule(Way.UP, (COUNT,), None, Deed.COUNT_UP),
    _F.READ_COUNT_TOO_LOW: Rule(Way.UP, (COUNT,), None, Deed.COUNT_DOWN),
    _F.READ_ITEM_1_ALTERED: Rule(Way.UP, _GIVES, 1, Deed.MOVE),
    _F.WRITE_COUNT_TOO_LOW: Rule(Way.DOWN, (COUNT,), None, Deed.COUNT_DOWN),
    _F.WRITE_ITEM_1_ALTERED: Rule(Way.DOWN, _GIVES, 1, Deed.MOVE),
    _F.WRITE_ITEM_1_LOST: Rule(Way.DOWN, _GIVES, 1, Deed.DROP),
    _F.WRITE_ITEM_1_REFUSED: Rule(Way.DOWN, _GIVES, 1, Deed.SPOIL),
}
"""Of a final acknowledgement only ACCEPTED is meant. The three unasked messages have no rule: they follow, once,
the first heartbeat after the failure began."""


class MissionFilter:
    """One failure of the mission protocol at work."""

    def __init__(self, fault: Mission, *, key: bytes | None = None) -> None:
        """`key` signs anew what was signed."""
        self._fault, self._key = fault, key
        self._rule = RULES.get(fault.failure)
        self._passes = False
        self._said = False
        self._ground = GROUND

    def alter(self, frame: Frame, way: Way) -> list[Frame] | None:
        """What goes on instead of a frame; None: the frame itself, untouched."""
        if way is Way.DOWN and frame.msgid in (COUNT, 43, REQUEST, REQUEST_INT):
            self._ground = (frame.sysid, frame.compid)
        if self._rule is None:
            return self._unasked(frame) if way is Way.UP and frame.msgid == 0 and not self._said else None
        if way is not self._rule.way or frame.msgid not in self._rule.kinds or not frame.verified:
            return None
        message = decode(frame)
        if message.mission_type != self._fault.mission_type:
            return None
        if self._rule.seq is not None and message.seq != self._rule.seq:
            return None
        if frame.msgid == ACK and message.type != ACCEPTED:
            return None
        changed = self._changed(message)
        return [] if changed is None else [frame if changed is message else rewritten(frame, changed, key=self._key)]

    def _changed(self, message: Any) -> Any:
        """The message instead; None for none, the same object where it stays."""
        assert self._rule is not None
        deed = self._rule.deed
        if deed is Deed.DROP:
            return None
        if deed is Deed.DROP_EVERY_OTHER:
            self._passes = not self._passes
            return None if self._passes else message
        if deed in (Deed.ERROR_ACK, Deed.ACCEPT):
            result = ACCEPTED if deed is Deed.ACCEPT else self._fault.result
            to = (message.target_system, message.target_component)
            return mavlink.MAVLink_mission_ack_message(*to, result, self._fault.mission_type)
        values = {name: getattr(message, name) for name in message.fieldnames}
        if deed is Deed.NUMBER_UP:
            values["seq"] += 1
        elif deed is Deed.FAIL:
            values["type"] = self._fault.result
        elif deed in (Deed.COUNT_UP, Deed.COUNT_DOWN):
            values["count"] = max(0, values["count"] + (1 if deed is Deed.COUNT_UP else -1))
        elif deed is Deed.MOVE:
            values["x"] += 1 if message.get_msgId() == ITEMS_INT else 1e-5
        elif deed is Deed.SPOIL:
            values["command"] = UNKNOWN_COMMAND
        return type(message)(**values)

    def _unasked(self, frame: Frame) -> list[Frame]:
        self._said = True
        kind = self._fault.mission_type
        if self._fault.failure is MissionFailure.UNASKED_ACK:
            message = mavlink.MAVLink_mission_ack_message(*self._ground, self._fault.result, kind)
        elif self._fault.failure is MissionFailure.UNASKED_REQUEST:
            message = mavlink.MAVLink_mission_request_int_message(*self._ground, 0, kind)
        else:
            place = (0.0, 0.0, 0.0, 0.0, 432_000_000, 769_000_000, 30.0)
            message = mavlink.MAVLink_mission_item_int_message(*self._ground, 0, 3, 16, 0, 1, *place, kind)
        return [frame, rewritten(frame, message, key=self._key)]
