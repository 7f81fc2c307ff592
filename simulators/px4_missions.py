"""The mission protocol as PX4 speaks it: one transfer at a time, and the old list stays until the new one is whole."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.autopilot_flavour import PX4
from simulators.autopilot_missions import ACCEPTED, BAD_FRAME, ERROR, FENCE, MISSION, NO_SPACE, RALLY, UNSUPPORTED

ALL = 255
"""MAV_MISSION_TYPE_ALL."""
PLACED = {16, 17, 19, 21, 22, 31, 80, 84, 85, 179, 195, 201, 4501}
"""Commands of a mission whose x and y are degrees."""
UNPLACED = {
    20, 93, 177, 178, 183, 189, 196, 197, 200, 202, 203, 204, 205, 206, 211, 214, 260, 530, 531, 532, 534, 1000, 2000,
    2001, 2003, 2500, 2501, 3000,
}  # fmt: skip
"""Commands of a mission without a place."""
RALLY_POINT = 5100
FRAMES = {0, 2, 3, 5, 6}
"""MAV_FRAME that are taken."""
INT_FRAME = {0: 5, 3: 6}
"""As what a frame reads back by MISSION_REQUEST_INT."""
FLOAT_FRAME = {5: 0, 6: 3}
"""As what a frame reads back by MISSION_REQUEST."""

Ground = tuple[int, int]


class Px4Transfers:
    """Lists by type, and the transfer that is under way."""

    def __init__(
        self, emit: Callable[[Any], None], say: Callable[[int, str], None], now_s: Callable[[], float],
        replaced: Callable[[int, bool], None],
    ) -> None:  # fmt: skip
        """`now_s` is the ground's clock; `replaced` is called with the type of a list that came, and
        whether it is another one than before."""
        self.items: dict[int, list[MissionItem]] = {MISSION: [], FENCE: [], RALLY: []}
        self.current: Callable[[], int] = lambda: 0
        self._emit, self._say, self._now_s, self._replaced = emit, say, now_s, replaced
        self._partner: Ground | None = None
        self._receiving = False
        self._kind = MISSION
        self._seq = self._count = 0
        self._fresh: list[MissionItem] = []
        self._heard_s = self._asked_s = 0.0
        self._as_int = True

    # -- writing -------------------------------------------------------------------------------------------------

    def count(self, ground: Ground, kind: int, count: int) -> None:
        """MISSION_COUNT: begin an upload, or clear the list with 0; any number is believed."""
        if self._receiving and (ground != self._partner or kind != self._kind):
            self._ack(ground, ERROR, kind)
            return
        if kind not in self.items:
            self._ack(ground, NO_SPACE, kind)
            return
        if count == 0:
            self._end()
            self._replace(kind, [])
            self._ack(ground, ACCEPTED, kind)
            return
        self._partner, self._receiving, self._kind = ground, True, kind
        self._seq, self._count, self._fresh = 0, count, []
        self._heard_s = self._now_s()
        self._ask()

    def item(self, ground: Ground, message: Any, *, as_float: bool) -> None:
        """MISSION_ITEM_INT, or MISSION_ITEM if `as_float`; another number than the one asked for is not heard."""
        self._as_int = not as_float
        kind = message.mission_type
        if not self._receiving:
            if message.seq + 1 == self._seq == self._count and kind == self._kind:
                self._ack(ground, ACCEPTED, kind)
            else:
                self._ack(ground, ERROR, kind)
                self._say(2, "IGN MISSION_ITEM: No transfer")
            return
        if ground != self._partner or kind != self._kind or message.seq != self._seq:
            return
        item, refusal = _read(message, as_float=as_float)
        if item is None:
            self._end()
            self._ack(ground, refusal, kind)
            if refusal != ERROR:
                self._say(2, "IGN MISSION_ITEM: Invalid item")
            return
        self._heard_s = self._now_s()
        self._fresh.append(item)
        self._seq += 1
        if self._seq < self._count:
            self._ask()
            return
        self._receiving = False
        self._ack(ground, ACCEPTED, kind)
        self._replace(kind, self._fresh)

    def clear(self, ground: Ground, kind: int) -> None:
        """MISSION_CLEAR_ALL of one type, or of all with 255."""
        self._end()
        self._ack(ground, ACCEPTED, kind)
        for one in self.items if kind == ALL else [kind]:
            if one in self.items:
                self._replace(one, [])

    def write_partial(self, ground: Ground, kind: int, first: int, last: int) -> None:
        """MISSION_WRITE_PARTIAL_LIST is not answered."""

    def _replace(self, kind: int, items: list[MissionItem]) -> None:
        before, self.items[kind] = self.items[kind], items
        self._replaced(kind, repr(items) != repr(before))

    def _end(self) -> None:
        self._partner, self._receiving, self._seq, self._count = None, False, 0, 0

    def step(self) -> None:
        """Ask again each quarter of a second; give up without an acknowledgement."""
        if not self._receiving:
            return
        now_s = self._now_s()
        if now_s - self._heard_s >= PX4.give_up_s:
            self._end()
            self._say(2, "Operation timeout")
        elif now_s - self._asked_s >= PX4.ask_again_s:
            self._ask()

    def _ask(self) -> None:
        assert self._partner is not None
        self._asked_s = self._now_s()
        asks = mavlink.MAVLink_mission_request_int_message if self._as_int else mavlink.MAVLink_mission_request_message
        self._emit(asks(*self._partner, self._seq, self._kind))

    # -- reading -------------------------------------------------------------------------------------------------

    def request_list(self, ground: Ground, kind: int) -> None:
        """MISSION_REQUEST_LIST: say how many there are."""
        if self._receiving:
            self._say(6, "Mission download request ignored, already active")
            return
        if kind not in self.items:
            self._ack(ground, UNSUPPORTED, kind)
            return
        self._partner, self._kind, self._seq, self._count = ground, kind, 0, len(self.items[kind])
        self._emit(mavlink.MAVLink_mission_count_message(*ground, self._count, kind))

    def request(self, ground: Ground, kind: int, seq: int, *, as_float: bool) -> None:
        """MISSION_REQUEST_INT, or MISSION_REQUEST if `as_float`: the next item, or the last one again."""
        if self._receiving or ground != self._partner or kind != self._kind:
            return
        if seq not in (self._seq, self._seq - 1) or not 0 <= seq < self._count:
            self._end()
            self._ack(ground, ERROR, kind)
            self._say(2, "WPM: REJ. CMD: Req. WP was unexpected")
            return
        self._seq = seq + 1
        item = self.items[kind][seq]
        frames = FLOAT_FRAME if as_float else INT_FRAME
        current = int(kind == MISSION and seq == self.current())
        head = (*ground, seq, frames.get(item.frame, item.frame), item.command, current, 1, *item.params)
        if as_float:
            scale = 1e-7 if _has_degrees(item.command, kind) else 1.0
            self._emit(mavlink.MAVLink_mission_item_message(*head, item.x * scale, item.y * scale, item.z, kind))
        else:
            self._emit(mavlink.MAVLink_mission_item_int_message(*head, item.x, item.y, item.z, kind))

    def acknowledged(self, ground: Ground, kind: int) -> None:
        """MISSION_ACK of who has read the list."""
        if not self._receiving and ground == self._partner:
            self._end()

    def _ack(self, ground: Ground, result: int, kind: int) -> None:
        self._emit(mavlink.MAVLink_mission_ack_message(*ground, result, kind))


def _has_degrees(command: int, kind: int) -> bool:
    return command in PLACED or kind != MISSION


def _read(message: Any, *, as_float: bool) -> tuple[MissionItem | None, int]:
    """What is stored of an item, or why it is refused; a latitude of 95 and NaN are no reasons."""
    command, frame, kind = int(message.command), int(message.frame), int(message.mission_type)
    params = (message.param1, message.param2, message.param3, message.param4)
    if frame not in FRAMES:
        return None, BAD_FRAME
    if kind == MISSION and command not in PLACED | UNPLACED:
        return None, UNSUPPORTED
    if kind == FENCE and command in (5001, 5002) and params[0] < 3:
        return None, ERROR
    if kind == RALLY and command != RALLY_POINT:
        return None, UNSUPPORTED
    scale = 1e7 if as_float and _has_degrees(command, kind) else 1.0
    x, y = (_whole(_float32(value * scale)) if as_float else int(value) for value in (message.x, message.y))
    return MissionItem(frame=frame, command=command, params=params, x=x, y=y, z=float(message.z)), ACCEPTED


def _whole(value: float) -> int:
    """The nearest int32; 0 for what has none."""
    return round(value) if abs(value) < 2**31 else 0


def _float32(value: float) -> float:
    if not abs(value) < 3e38:
        return value
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)
