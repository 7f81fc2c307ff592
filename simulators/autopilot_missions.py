"""Lists of items in the vehicle, and the protocol that fills and reads them: missions, fences, rally points."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from typing import Any

from pymavlink.dialects.v20 import ardupilotmega as mavlink

from fleet.missions import MissionItem
from simulators.autopilot_flavour import Flavour

MISSION, FENCE, RALLY = 0, 1, 2
"""MAV_MISSION_TYPE."""

ACCEPTED, ERROR, BAD_FRAME, UNSUPPORTED, NO_SPACE = 0, 1, 2, 3, 4
BAD_PARAM1, BAD_X, BAD_Y, BAD_Z, BAD_SEQUENCE, DENIED, CANCELLED = 6, 10, 11, 12, 13, 14, 15
"""MAV_MISSION_RESULT."""

PLACED = {16: 1, 17: 0, 18: 3, 19: 1, 21: 1, 22: 1, 82: 1, 179: 1, 195: 0, 201: 1}
"""Commands with a place, and how many of their parameters are stored; the rest reads back as 0."""
UNPLACED = {
    20: 0, 92: 1, 93: 4, 112: 1, 114: 1, 115: 4, 177: 2, 178: 3, 181: 2, 182: 3, 183: 2, 184: 4, 189: 0, 197: 0,
    203: 4, 204: 4, 205: 3, 206: 3, 207: 1, 208: 1, 211: 2, 222: 4, 1000: 4, 2000: 4, 2001: 1,
}  # fmt: skip
"""Commands without a place, and how many of their parameters are stored."""
NAN_YAW = {16, 21, 22}
"""Commands whose param4 may be NaN."""
FRAMES = {0: 0, 5: 0, 3: 3, 6: 3, 10: 10, 11: 10}
"""Frames that are taken, and the frame they read back as."""
HIGHEST_M = 83_000.0
"""Heights from here on are refused (AP_Common's LOCATION_ALT_MAX_M)."""
FENCE_COMMANDS = {5000, 5001, 5002, 5003, 5004}
"""MAV_CMD_NAV_FENCE_..."""
TYPES_MIS_TOTAL = {MISSION: "MIS_TOTAL", FENCE: "FENCE_TOTAL", RALLY: "RALLY_TOTAL"}
"""The parameter that counts each list."""

Ground = tuple[int, int]
"""System and component of a ground station."""


class ItemList:
    """One list and the transfer that may be under way; `type` is MISSION, FENCE or RALLY.

    As recorded from ArduCopter 4.6: the first item of a mission is the home whatever was sent; a
    mission is changed item by item as it arrives, so that a refused or broken upload leaves a mixture.
    """

    def __init__(
        self, kind: int, flavour: Flavour, emit: Callable[[Any], None], say: Callable[[int, str], None]
    ) -> None:
        """An empty list; `emit` sends a message, `say` a text with a severity."""
        self.kind = kind
        self.items: list[MissionItem] = []
        self.version = 0
        self.changed: Callable[[], None] = lambda: None
        self.running: Callable[[], bool] = lambda: False
        self.home_item: Callable[[], MissionItem] = lambda: MissionItem(frame=0, command=16)
        self._flavour, self._emit, self._say = flavour, emit, say
        self._ground: Ground | None = None
        self._next = self._last = 0
        self._fresh: list[MissionItem] = []
        self._asked_s = self._heard_s = 0.0
        self._float_warned = False

    def total(self) -> int:
        """Number of the last item, as MISSION_CURRENT counts."""
        return max(len(self.items) - 1, 0) if self._flavour.home_slot else len(self.items)

    def receiving(self) -> bool:
        """Whether an upload is under way."""
        return self._ground is not None

    # -- writing -------------------------------------------------------------------------------------------------

    def count(self, ground: Ground, count: int, now_s: float) -> None:
        """MISSION_COUNT: begin an upload, or clear the list with 0."""
        if self._ground is not None and self._ground != ground:
            self._ack(ground, DENIED)
            return
        if count > self._flavour.most_items:
            self._ack(ground, NO_SPACE)
            self._say(4, f"Only {self._flavour.most_items} items are supported")
            return
        self._ground = None
        if self.kind == MISSION:
            del self.items[count:]
            self._touch()
        if count == 0:
            self.items = []
            self._touch()
            self._finish(ground)
            return
        self._begin(ground, 0, count - 1, now_s)

    def write_partial(self, ground: Ground, first: int, last: int, now_s: float) -> None:
        """MISSION_WRITE_PARTIAL_LIST: overwrite items that are there."""
        if self.receiving():
            self._ack(ground, DENIED)
        elif not 0 <= first <= last < len(self.items):
            self._ack(ground, ERROR)
        else:
            self._begin(ground, first, last, now_s)

    def _begin(self, ground: Ground, first: int, last: int, now_s: float) -> None:
        self._ground, self._next, self._last, self._fresh = ground, first, last, []
        self._heard_s, self._float_warned = now_s, False
        self._ask(now_s)

    def take(self, ground: Ground, message: Any, now_s: float, *, as_float: bool) -> None:
        """MISSION_ITEM_INT, or MISSION_ITEM if `as_float`."""
        if self._ground is None or message.seq != self._next:
            self._ack(ground, BAD_SEQUENCE)
            return
        if ground != self._ground:
            self._ack(ground, DENIED)
            return
        if as_float and not self._float_warned:
            self._float_warned = True
            self._say(4, "got MISSION_ITEM; GCS should send MISSION_ITEM_INT")
        item, refusal = self._read(message, as_float=as_float)
        if item is None:
            self._ground = None
            self._ack(ground, refusal)
            return
        if self.kind == MISSION:
            self._store(self._next, item)
        else:
            self._fresh.append(item)
        self._heard_s = now_s
        self._next += 1
        if self._next <= self._last:
            self._ask(now_s)
            return
        self._ground = None
        if self.kind != MISSION and not self._replace(ground):
            return
        self._finish(ground)

    def _store(self, seq: int, item: MissionItem) -> None:
        if seq < len(self.items):
            self.items[seq] = item
        else:
            self.items.append(item)
        self._touch()

    def _replace(self, ground: Ground) -> bool:
        wrong = fence_fault(self._fresh) if self.kind == FENCE else None
        if wrong is not None:
            self._ack(ground, ERROR)
            self._say(4, wrong)
            self._say(4, "Fence validation failed")
            return False
        self.items = self._fresh
        self._touch()
        return True

    def _finish(self, ground: Ground) -> None:
        self._ack(ground, ACCEPTED)
        if self.kind == MISSION:
            self._say(6, "Flight plan received")
        elif self.kind == FENCE and self.items:
            self._say(7, "Fence Indexed OK")

    def clear(self, ground: Ground) -> None:
        """MISSION_CLEAR_ALL of this kind."""
        if self.kind == MISSION and self.running():
            self._ack(ground, ERROR)
            return
        if self.receiving():
            self._ack(ground, DENIED)
            return
        self.items = []
        self._touch()
        self._ack(ground, ACCEPTED)

    def step(self, now_s: float) -> None:
        """Ask again, or give up; seconds of the ground's clock."""
        if self._ground is None:
            return
        if now_s - self._heard_s >= self._flavour.give_up_s:
            ground, self._ground = self._ground, None
            self._ack(ground, CANCELLED)
            self._say(4, "Mission upload timeout")
        elif now_s - self._asked_s >= self._flavour.ask_again_s:
            self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        assert self._ground is not None
        self._asked_s = now_s
        asks = (
            mavlink.MAVLink_mission_request_int_message
            if self._flavour.asks_with_int
            else mavlink.MAVLink_mission_request_message
        )
        self._emit(asks(*self._ground, self._next, self.kind))

    def _read(self, message: Any, *, as_float: bool) -> tuple[MissionItem | None, int]:
        x, y, z = float(message.x), float(message.y), float(message.z)
        command, frame = int(message.command), int(message.frame)
        params = (message.param1, message.param2, message.param3, message.param4)
        placed = command in PLACED
        if as_float and (placed or self.kind != MISSION):
            x, y = _float32(x * 1e7), _float32(y * 1e7)
        if self.kind == MISSION and not placed and command not in UNPLACED:
            return None, UNSUPPORTED
        if self.kind == FENCE and command not in FENCE_COMMANDS:
            return None, UNSUPPORTED
        if self.kind == RALLY and command != 5100:
            return None, UNSUPPORTED
        if placed or self.kind != MISSION:
            if frame not in FRAMES:
                return None, BAD_FRAME
            frame = FRAMES[frame]
        else:
            frame = 0
        for index, value in enumerate(params):
            free = math.isnan(value) and index == 3 and (command in NAN_YAW or self.kind != MISSION)
            if not math.isfinite(value) and not free:
                return None, BAD_PARAM1 + index
        if not abs(z) < HIGHEST_M:
            return None, BAD_Z
        if not math.isfinite(x) or not math.isfinite(y):
            return None, BAD_X
        if placed or self.kind != MISSION:
            if not abs(x) <= 90e7:
                return None, BAD_X
            if not abs(y) <= 180e7:
                return None, BAD_Y
            z = _stored_height_m(z)
        elif command not in (203, 1000):
            x = y = z = 0.0
        return self._kept(frame, command, params, round(x), round(y), z), ACCEPTED

    def _kept(self, frame: int, command: int, params: tuple[float, ...], x: int, y: int, z: float) -> MissionItem:
        if self.kind == MISSION:
            keep = PLACED.get(command, UNPLACED.get(command, 0))
            p1, p2, p3, p4 = (value if index < keep else 0.0 for index, value in enumerate(params))
            return MissionItem(frame=frame, command=command, params=(p1, p2, p3, p4), x=x, y=y, z=z)
        return MissionItem(
            frame=frame, command=command, params=(params[0], 0.0, 0.0, 0.0), x=x, y=y, z=z, autocontinue=False
        )

    # -- reading -------------------------------------------------------------------------------------------------

    def request_list(self, ground: Ground) -> None:
        """MISSION_REQUEST_LIST: say how many there are."""
        if self.receiving():
            self._ack(ground, DENIED)
            return
        self._emit(mavlink.MAVLink_mission_count_message(*ground, len(self.items), self.kind))

    def request(self, ground: Ground, seq: int, *, as_float: bool) -> None:
        """MISSION_REQUEST_INT, or MISSION_REQUEST if `as_float`."""
        if self.receiving():
            self._ack(ground, DENIED)
            return
        if not 0 <= seq < len(self.items):
            self._emit(mavlink.MAVLink_mission_count_message(*ground, len(self.items), self.kind))
            self._ack(ground, ERROR)
            return
        item = self.items[seq]
        if self.kind == MISSION and seq == 0 and self._flavour.home_slot:
            item = self.home_item()
        head = (*ground, seq, item.frame, item.command, 0, int(item.autocontinue), *item.params)
        if as_float:
            if seq == 0:
                self._say(4, "got MISSION_REQUEST; use MISSION_REQUEST_INT!")
            self._emit(mavlink.MAVLink_mission_item_message(*head, item.x / 1e7, item.y / 1e7, item.z, self.kind))
        else:
            self._emit(mavlink.MAVLink_mission_item_int_message(*head, item.x, item.y, item.z, self.kind))

    def _touch(self) -> None:
        self.version += 1
        self.changed()

    def _ack(self, ground: Ground, result: int) -> None:
        self._emit(mavlink.MAVLink_mission_ack_message(*ground, result, self.kind))


class ItemTransfers:
    """The mission protocol of ArduCopter: each list has its own transfer."""

    def __init__(
        self, lists: dict[int, ItemList], emit: Callable[[Any], None], now_s: Callable[[], float],
        counted: Callable[[int], None],
    ) -> None:  # fmt: skip
        """`now_s` is the ground's clock; `counted` is called with the type of a list that an item changed."""
        self._lists, self._emit, self._now_s, self._counted = lists, emit, now_s, counted

    def _list(self, ground: Ground, kind: int) -> ItemList | None:
        items = self._lists.get(kind)
        if items is None:
            self._emit(mavlink.MAVLink_mission_ack_message(*ground, UNSUPPORTED, kind))
        return items

    def count(self, ground: Ground, kind: int, count: int) -> None:
        """MISSION_COUNT."""
        if (items := self._list(ground, kind)) is not None:
            items.count(ground, count, self._now_s())

    def item(self, ground: Ground, message: Any, *, as_float: bool) -> None:
        """MISSION_ITEM_INT, or MISSION_ITEM if `as_float`."""
        kind = message.mission_type
        if as_float and kind == MISSION and message.current in (2, 3):
            return
        if (items := self._list(ground, kind)) is None:
            return
        before = items.version
        items.take(ground, message, self._now_s(), as_float=as_float)
        if items.version != before:
            self._counted(kind)

    def request_list(self, ground: Ground, kind: int) -> None:
        """MISSION_REQUEST_LIST."""
        if (items := self._list(ground, kind)) is not None:
            items.request_list(ground)

    def request(self, ground: Ground, kind: int, seq: int, *, as_float: bool) -> None:
        """MISSION_REQUEST_INT, or MISSION_REQUEST if `as_float`."""
        if (items := self._list(ground, kind)) is not None:
            items.request(ground, seq, as_float=as_float)

    def clear(self, ground: Ground, kind: int) -> None:
        """MISSION_CLEAR_ALL."""
        if (items := self._list(ground, kind)) is not None:
            items.clear(ground)

    def write_partial(self, ground: Ground, kind: int, first: int, last: int) -> None:
        """MISSION_WRITE_PARTIAL_LIST."""
        if (items := self._list(ground, kind)) is not None:
            items.write_partial(ground, first, last, self._now_s())

    def acknowledged(self, ground: Ground, kind: int) -> None:
        """MISSION_ACK: heard, and of no consequence."""

    def step(self) -> None:
        """Ask again, or give up."""
        now_s = self._now_s()
        for items in self._lists.values():
            if items.receiving():
                items.step(now_s)


def _stored_height_m(z_m: float) -> float:
    """A height as ArduPilot keeps it: multiplied by 100 in float32 and cut to whole centimetres."""
    return int(_float32(z_m * 100.0)) / 100.0


def _float32(value: float) -> float:
    """The float32 nearest to a number; NaN and infinity stay."""
    if abs(value) > 3e38:
        return value
    (rounded,) = struct.unpack("<f", struct.pack("<f", value))
    return float(rounded)


def fence_fault(items: list[MissionItem]) -> str | None:
    """What is wrong with the polygons of a fence, in ArduPilot's words; None if nothing is."""
    index = 0
    while index < len(items):
        item = items[index]
        if item.command not in (5001, 5002):
            index += 1
            continue
        want = int(item.params[0])
        polygon = items[index : index + want]
        if want < 3:
            return f"Invalid vertex count ({want})"
        for vertex in polygon:
            if vertex.command != item.command or int(vertex.params[0]) != want:
                return f"Unexpected vertex count want={want} got={int(vertex.params[0])}\n"
        if len(polygon) < want:
            return f"Unexpected vertex count want={want} got={len(polygon)}\n"
        index += want
    return None
