"""Upload and download of missions, fences and rally points: MAVLink's item protocol, over links that lose frames.

On upload the vehicle asks and we answer; ArduCopter asks again every second and gives up after 8 s, PX4 every
0.25 s and after 5 s (recorded). So an item is never sent unasked, and INVALID_SEQUENCE, which leaves ArduCopter's
transfer open, does not end ours. A lost last acknowledgement is no failure here: only the read-back tells.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import ANSWER_S, Channel, Inbox
from fleet.errors import LinkError, TransferFailed
from fleet.missions import POSITION_COMMANDS, MissionItem

MISSION_TYPE = 0
ATTEMPTS = 16
"""Repetitions of one question."""
QUIET_S = 9.0
"""A transfer in which the vehicle asks nothing for so long is over; longer than both autopilots' own limits."""
PAUSES_S = (0.5, 3.0, 9.0)
"""Pauses before further uploads from the start, s of the wall: one that was left open blocks ArduCopter for 8 s."""
RETRYABLE = frozenset((1, 14, 15))
"""MAV_MISSION_RESULT worth another try: ERROR (PX4 when busy), DENIED (ArduCopter when busy), CANCELLED."""
INVALID_SEQUENCE, OPERATION_CANCELLED = 13, 15
FIRST_AHEAD = 4
"""So many items are asked for at first where several may be."""
PASSED_OVER = frozenset((0, INVALID_SEQUENCE)) | RETRYABLE
"""MAV_MISSION_RESULT that do not end a read-back: what was meant for the upload before may come late."""


class TransferProgress(msgspec.Struct, frozen=True, kw_only=True):
    """How far a transfer is."""

    stage: str
    """`upload` or `read-back`."""
    done: int
    """Items through, a home slot included."""
    total: int
    """Items in all."""


Progress = Callable[[TransferProgress], None]


def ignore_progress(progress: TransferProgress) -> None:
    """For who does not want to know."""


async def upload(
    channel: Channel,
    items: list[MissionItem],
    *,
    mission_type: int = MISSION_TYPE,
    progress: Progress = ignore_progress,
) -> bool:
    """Send a list as it goes on the wire (home slot included); true if the vehicle acknowledged the whole.

    False: all items were asked for and sent, but no acknowledgement came; reading back must tell. An empty list
    clears. Raises TransferFailed, after which the vehicle may hold a mixture of old and new.
    """
    if not items:
        return await _clear(channel, mission_type)
    for pause_s in PAUSES_S:
        try:
            return await _upload_once(channel, items, mission_type, progress)
        except _Interrupted:
            await asyncio.sleep(pause_s)
    try:
        return await _upload_once(channel, items, mission_type, progress)
    except _Interrupted as exc:
        raise TransferFailed(f"{exc}, in {len(PAUSES_S) + 1} attempts") from exc


class _Interrupted(TransferFailed):
    """Worth another attempt from the start."""


async def _upload_once(channel: Channel, items: list[MissionItem], mission_type: int, progress: Progress) -> bool:
    count = dialect.MAVLink_mission_count_message(channel.sysid, channel.compid, len(items), mission_type)
    sent: set[int] = set()
    wait_s, waited_s, repetitions = ANSWER_S, 0.0, 0
    finished = False
    try:
        with channel.listen("MISSION_REQUEST", "MISSION_REQUEST_INT", "MISSION_ACK") as inbox:
            channel.send(count)
            while True:
                message = await inbox.get(wait_s)
                if message is None:
                    waited_s += wait_s
                    if len(sent) == len(items) and waited_s > 2 * ANSWER_S:
                        finished = True
                        return False
                    if not sent:
                        repetitions += 1
                        if repetitions >= ATTEMPTS or channel.silent_s > QUIET_S:
                            raise TransferFailed(
                                f"sysid {channel.sysid}: no answer to MISSION_COUNT of {len(items)} items,"
                                f" asked {repetitions} times in {waited_s:.1f} s"
                            )
                        channel.send(count)
                        wait_s = min(wait_s * 1.3, channel.pace.longest_s)
                    elif waited_s > QUIET_S:
                        raise _Interrupted(
                            f"sysid {channel.sysid}: upload stopped after {len(sent)} of {len(items)} items,"
                            f" no request for {waited_s:.1f} s"
                        )
                    continue
                if message.mission_type != mission_type or not channel.for_us(message):
                    continue
                waited_s, wait_s = 0.0, ANSWER_S
                if message.get_type() != "MISSION_ACK":
                    if message.seq < len(items):
                        channel.send(_item_message(channel, items[message.seq], message.seq, mission_type))
                        sent.add(message.seq)
                        progress(TransferProgress(stage="upload", done=len(sent), total=len(items)))
                elif message.type == dialect.MAV_MISSION_ACCEPTED:
                    if len(sent) == len(items):
                        finished = True
                        return True
                elif message.type != INVALID_SEQUENCE:
                    finished = True
                    _raise_refusal(channel, message.type, len(sent), len(items))
    finally:
        if not finished:
            _abandon(channel, mission_type)


def _raise_refusal(channel: Channel, result: int, sent: int, total: int) -> None:
    message = f"sysid {channel.sysid}: upload refused with {_result_name(result)} after {sent} of {total} items"
    raise _Interrupted(message) if result in RETRYABLE else TransferFailed(message)


def _abandon(channel: Channel, mission_type: int) -> None:
    """Tell the vehicle that this transfer is over, as well as may be."""
    ack = dialect.MAVLink_mission_ack_message(channel.sysid, channel.compid, OPERATION_CANCELLED, mission_type)
    try:
        channel.send(ack)
    except LinkError:
        return


def _item_message(channel: Channel, item: MissionItem, seq: int, mission_type: int) -> Any:
    return dialect.MAVLink_mission_item_int_message(
        channel.sysid,
        channel.compid,
        seq,
        item.frame,
        item.command,
        0,
        int(item.autocontinue),
        *item.params,
        item.x,
        item.y,
        item.z,
        mission_type,
    )


async def _clear(channel: Channel, mission_type: int) -> bool:
    """Clear one list; true if that was acknowledged."""
    request = dialect.MAVLink_mission_clear_all_message(channel.sysid, channel.compid, mission_type)
    with channel.listen("MISSION_ACK") as inbox:
        for _ in range(ATTEMPTS):
            channel.send(request)
            message = await inbox.get(channel.pace.longest_s)
            if message is None or message.mission_type != mission_type or not channel.for_us(message):
                continue
            if message.type == dialect.MAV_MISSION_ACCEPTED:
                return True
            raise TransferFailed(f"sysid {channel.sysid}: clearing refused with {_result_name(message.type)}")
    return False


async def download(
    channel: Channel,
    *,
    mission_type: int = MISSION_TYPE,
    read_ahead: int = 1,
    progress: Progress = ignore_progress,
) -> list[MissionItem]:
    """Read back the list as it is on the wire (home slot included); raises TransferFailed.

    `read_ahead` is how many items may be asked for before the first of them has come; more than one only of an
    autopilot that answers each request for itself. If it refuses one then, the list is read anew, one at a time.
    """
    kinds = ("MISSION_COUNT", "MISSION_ITEM_INT", "MISSION_ITEM", "MISSION_ACK")
    with channel.listen(*kinds) as inbox:
        request = dialect.MAVLink_mission_request_list_message(channel.sysid, channel.compid, mission_type)
        total = (await _ask(channel, inbox, request, mission_type)).count
        try:
            items = await _ItemsRead(channel, total, mission_type, read_ahead).run(inbox, progress)
        except _OutOfStep:
            total = (await _ask(channel, inbox, request, mission_type)).count
            items = await _ItemsRead(channel, total, mission_type, 1).run(inbox, progress)
        channel.send(dialect.MAVLink_mission_ack_message(channel.sysid, channel.compid, 0, mission_type))
    return items


class _OutOfStep(Exception):
    """The vehicle refused a request while others were under way."""


class _Asked(msgspec.Struct):
    """A request for an item that has not come."""

    asked_s: float
    """When, last; monotonic."""
    wait_s: float
    """How long to wait for the item from then on."""
    attempts: int = 1
    """How often."""


class _ItemsRead:
    """The items of a list, several asked for at a time: twice as many as come in a round trip, until one is late."""

    def __init__(self, channel: Channel, total: int, mission_type: int, read_ahead: int) -> None:
        self._channel, self._total, self._mission_type = channel, total, mission_type
        self._most, self._window = read_ahead, float(min(read_ahead, FIRST_AHEAD))
        self._under_way: dict[int, _Asked] = {}
        self._items: dict[int, MissionItem] = {}
        self._narrowed_s = 0.0
        self._silent_from_s = time.monotonic()

    async def run(self, inbox: Inbox, progress: Progress) -> list[MissionItem]:
        """Until all have come."""
        first_unasked = 0
        while len(self._items) < self._total:
            while len(self._under_way) < int(self._window) and first_unasked < self._total:
                self._under_way[first_unasked] = _Asked(time.monotonic(), self._channel.pace.answer_s)
                self._ask(first_unasked)
                first_unasked += 1
            now_s = time.monotonic()
            due_s = min(asked.asked_s + asked.wait_s for asked in self._under_way.values())
            message = await inbox.get(due_s - now_s) if due_s > now_s else None
            if message is None:
                self._ask_again()
            elif self._take(message):
                progress(TransferProgress(stage="read-back", done=len(self._items), total=self._total))
        return [self._items[seq] for seq in range(self._total)]

    def _ask(self, seq: int) -> None:
        channel = self._channel
        channel.send(
            dialect.MAVLink_mission_request_int_message(channel.sysid, channel.compid, seq, self._mission_type)
        )

    def _take(self, message: Any) -> bool:
        """Whether a message is an item that was asked for."""
        channel = self._channel
        if message.mission_type != self._mission_type or not channel.for_us(message):
            return False
        kind = message.get_type()
        if kind == "MISSION_ACK":
            if len(self._under_way) > 1 and message.type not in (0, INVALID_SEQUENCE):
                raise _OutOfStep
            if message.type not in PASSED_OVER:
                what = ", ".join(map(str, self._under_way))
                raise TransferFailed(f"sysid {channel.sysid}: item {what} refused with {_result_name(message.type)}")
            return False
        asked = self._under_way.pop(message.seq, None) if kind != "MISSION_COUNT" else None
        if asked is None:
            return False
        self._silent_from_s = time.monotonic()
        if asked.attempts == 1:
            channel.pace.answered(self._silent_from_s - asked.asked_s)
            self._window = min(float(self._most), self._window + 1.0)
        self._items[message.seq] = _item_of(message)
        return True

    def _ask_again(self) -> None:
        """What is overdue; for that the window is narrowed to half, once in a wait."""
        now_s = time.monotonic()
        pace = self._channel.pace
        for seq, asked in self._under_way.items():
            if asked.asked_s + asked.wait_s > now_s:
                continue
            waited_s = now_s - self._silent_from_s
            if asked.attempts == ATTEMPTS or self._channel.silent_s > QUIET_S:
                raise TransferFailed(
                    f"sysid {self._channel.sysid}: read-back stopped, no answer for item {seq} within {waited_s:.1f} s"
                )
            if asked.asked_s > self._narrowed_s:
                self._window, self._narrowed_s = max(1.0, self._window / 2), now_s
            asked.asked_s, asked.attempts = now_s, asked.attempts + 1
            asked.wait_s = min(asked.wait_s * 1.4, pace.longest_s)
            self._ask(seq)


async def _ask(channel: Channel, inbox: Inbox, request: Any, mission_type: int) -> Any:
    """Send a request for the number of items until it is answered."""
    wait_s, waited_s = channel.pace.answer_s, 0.0
    for attempt in range(ATTEMPTS):
        channel.send(request)
        asked_s = time.monotonic()
        deadline_s = asked_s + wait_s
        while (left_s := deadline_s - time.monotonic()) > 0:
            message = await inbox.get(left_s)
            if message is None:
                break
            if message.mission_type != mission_type or not channel.for_us(message):
                continue
            kind = message.get_type()
            if kind == "MISSION_ACK" and message.type not in PASSED_OVER:
                raise TransferFailed(
                    f"sysid {channel.sysid}: the number of items refused with {_result_name(message.type)}"
                )
            if kind == "MISSION_COUNT":
                if attempt == 0:
                    channel.pace.answered(time.monotonic() - asked_s)
                return message
        waited_s += wait_s
        if channel.silent_s > QUIET_S:
            break
        wait_s = min(wait_s * 1.4, channel.pace.longest_s)
    raise TransferFailed(
        f"sysid {channel.sysid}: read-back stopped, no answer for the number of items within {waited_s:.1f} s"
    )


def _item_of(message: Any) -> MissionItem:
    x, y = message.x, message.y
    if message.get_type() == "MISSION_ITEM":  # the older message has degrees in float32
        degrees = message.command in POSITION_COMMANDS
        x, y = (round(x * 1e7), round(y * 1e7)) if degrees else (round(x), round(y))
    return MissionItem(
        frame=message.frame,
        command=message.command,
        params=(message.param1, message.param2, message.param3, message.param4),
        x=x,
        y=y,
        z=message.z,
        autocontinue=bool(message.autocontinue),
    )


def _result_name(result: int) -> str:
    names = dialect.enums["MAV_MISSION_RESULT"]
    return str(names[result].name) if result in names else f"MAV_MISSION_RESULT {result}"
