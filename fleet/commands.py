"""Commands to one vehicle, each settled: accepted, denied, failed, or unknown."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from enum import IntEnum, StrEnum
from typing import Any

import msgspec
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import Channel
from fleet.errors import CommandFailed, CommandUnknown, VehicleRefused
from fleet.snapshots import Telemetry

ACK_S = 1.0
"""Wait for an acknowledgement before a repetition, s of the wall."""
ATTEMPTS = 5
"""Sendings of a command that may be repeated."""
SINGLE_ACK_S = 3.0
"""Wait for the acknowledgement of a command that must not be repeated."""
SECOND_ACK_S = 0.6
"""PX4's second, true answer to DO_SET_MODE comes within this."""
WORDS_S = 0.25
"""The autopilot's reasons come this long before or after a refusal (recorded: the same ms)."""
PROGRESS_S = 30.0
"""A command reported as in progress may take so long."""
SETTLE_S = 3.0
"""Wait for telemetry to show the effect when no acknowledgement came."""
LEAST_SEVERE_WARNING = 4
"""MAV_SEVERITY_WARNING."""
REFUSALS = frozenset((1, 2, 3))
"""MAV_RESULT: TEMPORARILY_REJECTED, DENIED, UNSUPPORTED."""
IN_PROGRESS = 5
SUPERSEDED = "superseded"
"""Said of a command that a later one took the place of, so that what became of it is not known."""


class Urgency(IntEnum):
    """Which commands wait for an older one of the same MAV_CMD, and which take its place."""

    WAITS = 0
    """Until the older one is settled."""
    SAFES = 1
    """Takes the place of those up to its own urgency: return, hold, land, disarm."""
    STOPS = 2
    """Takes the place of all: an emergency stop."""


class CommandState(StrEnum):
    """How a command ended."""

    ACCEPTED = "accepted"
    """The autopilot took it, or telemetry shows its effect."""
    DENIED = "denied"
    """The autopilot refused it, or said why it cannot (ArduCopter's FAILED with a text is a refusal)."""
    FAILED = "failed"
    """The autopilot could not do it, and does not say why."""
    UNKNOWN = "unknown"
    """No acknowledgement, and no sign of an effect."""


class CommandResult(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command."""

    sysid: int
    """The vehicle."""
    command: str
    """Name of the MAV_CMD."""
    state: CommandState
    """How it ended."""
    result: int | None = None
    """MAV_RESULT of the acknowledgement; None without one."""
    texts: tuple[str, ...] = ()
    """The warnings that the autopilot gave meanwhile, oldest first (recorded reasons are all of this severity)."""
    superseded: bool = False
    """A later, urgent command took its place before it was answered."""

    @property
    def text(self) -> str:
        """One line for a person."""
        words = "; ".join(self.texts)
        if self.state is CommandState.ACCEPTED:
            return words
        if self.state is CommandState.UNKNOWN:
            why = f": {SUPERSEDED}" if self.superseded else ""
            return f"sysid {self.sysid} did not answer {self.command}{why}"
        verdict = _result_name(self.result)
        return f"sysid {self.sysid}: {self.command} {self.state}: {words or verdict}"

    def accepted(self) -> CommandResult:
        """Itself if accepted; else raises VehicleRefused, CommandFailed or CommandUnknown."""
        if self.state is CommandState.DENIED:
            raise VehicleRefused(self.text, texts=self.texts)
        if self.state is CommandState.FAILED:
            raise CommandFailed(self.text)
        if self.state is CommandState.UNKNOWN:
            raise CommandUnknown(self.text)
        return self


class _Turn:
    """One command until it is settled, waiting for others of its MAV_CMD or sent."""

    def __init__(self, urgency: Urgency, owed: int) -> None:
        """`owed` acknowledgements may still come for those whose place it takes."""
        self.urgency, self.owed = urgency, owed
        self.task: asyncio.Task[CommandResult] | None = None


class Commands:
    """The commands of one vehicle; two of the same kind wait for each other, so an answer is never mistaken.

    Not the urgent ones: such a one goes out at once, and the older ones end as unknown and are repeated no more. It
    then believes no acknowledgement before those that are owed to the older ones were heard.
    """

    def __init__(self, channel: Channel, telemetry: Telemetry) -> None:
        """To the vehicle of `channel`, which `telemetry` describes."""
        self._channel, self._telemetry = channel, telemetry
        self._locks: dict[int, asyncio.Lock] = {}
        self._turns: dict[int, list[_Turn]] = {}
        self.urgent = 0
        """Counts the urgent commands, of whatever MAV_CMD."""

    def busy(self, command: int) -> bool:
        """Whether one of this MAV_CMD is not settled yet."""
        return bool(self._turns.get(command))

    async def long(
        self,
        command: int,
        *params: float,
        repeatable: bool = True,
        acks: int = 1,
        settled: Callable[[], bool] | None = None,
        settle_s: float = SETTLE_S,
        urgency: Urgency = Urgency.WAITS,
    ) -> CommandResult:
        """COMMAND_LONG with param1 to param7 (missing ones are 0).

        `repeatable`: sent again when no acknowledgement comes, which must do no harm. `acks`: how many answer it;
        the last is true. `settled`: telemetry shows the effect; asked for `settle_s` when no acknowledgement came.
        `urgency`: whether it waits for an older one of this MAV_CMD, or takes its place.
        """
        seven = (*params, *(0.0,) * (7 - len(params)))

        def message(confirmation: int) -> Any:
            sysid, compid = self._channel.sysid, self._channel.compid
            return dialect.MAVLink_command_long_message(sysid, compid, command, confirmation, *seven)

        def send(turn: _Turn) -> Awaitable[CommandResult]:
            return self._send(turn, command, message, repeatable, acks, settled, settle_s)

        return await self._in_turn(command, send, urgency)

    async def at_place(
        self,
        command: int,
        *,
        frame: int,
        params: tuple[float, float, float, float],
        x: int,
        y: int,
        z: float,
        repeatable: bool = True,
    ) -> CommandResult:
        """COMMAND_INT, its place in 1e-7 deg and m of `frame`."""

        def message(confirmation: int) -> Any:
            sysid, compid = self._channel.sysid, self._channel.compid
            return dialect.MAVLink_command_int_message(sysid, compid, frame, command, 0, 0, *params, x, y, z)

        return await self._in_turn(command, lambda turn: self._send(turn, command, message, repeatable, 1, None, 0.0))

    async def unacknowledged(
        self, command: int, message: Any, *, settled: Callable[[], bool], settle_s: float
    ) -> CommandResult:
        """Send a message that does the work of `command` but has no acknowledgement: once; telemetry settles it."""

        async def send(turn: _Turn) -> CommandResult:
            texts_before = self._telemetry.text_count
            self._channel.send(message)
            state = CommandState.ACCEPTED if await holds(settled, settle_s) else CommandState.UNKNOWN
            return self._result(command, state, None, texts_before)

        return await self._in_turn(command, send)

    async def _in_turn(
        self, command: int, send: Callable[[_Turn], Awaitable[CommandResult]], urgency: Urgency = Urgency.WAITS
    ) -> CommandResult:
        """Send when no other of this MAV_CMD is under way, or in their place."""
        turns, texts_before = self._turns.setdefault(command, []), self._telemetry.text_count
        self.urgent += urgency is not Urgency.WAITS
        older = [turn for turn in turns if turn.urgency <= urgency] if urgency else []
        turn = _Turn(urgency, max((other.owed for other in older), default=0))

        async def wait_and_send() -> CommandResult:
            async with self._locks.setdefault(command, asyncio.Lock()):
                return await send(turn)

        turn.task = asyncio.create_task(wait_and_send(), name=f"command[{self._channel.sysid}, {command}]")
        for other in older:
            if other.task is not None:
                other.task.cancel()
        turns.append(turn)
        try:
            await asyncio.wait((turn.task,))
        finally:
            turns.remove(turn)
            turn.task.cancel()
        if turn.task.cancelled():
            result = self._result(command, CommandState.UNKNOWN, None, texts_before)
            return msgspec.structs.replace(result, superseded=True)
        return turn.task.result()

    async def _send(
        self,
        turn: _Turn,
        command: int,
        message: Callable[[int], Any],
        repeatable: bool,
        acks: int,
        settled: Callable[[], bool] | None,
        settle_s: float,
    ) -> CommandResult:
        texts_before = self._telemetry.text_count
        result = await self._acknowledged(turn, command, message, repeatable=repeatable, acks=acks)
        if result is None and settled is not None and await holds(settled, settle_s):
            return self._result(command, CommandState.ACCEPTED, None, texts_before)
        if result is None:
            return self._result(command, CommandState.UNKNOWN, None, texts_before)
        if result == dialect.MAV_RESULT_ACCEPTED:
            return self._result(command, CommandState.ACCEPTED, result, texts_before)
        await asyncio.sleep(WORDS_S)
        reasoned = any(text.severity <= LEAST_SEVERE_WARNING for text in self._telemetry.texts_since(texts_before))
        state = CommandState.DENIED if result in REFUSALS or reasoned else CommandState.FAILED
        return self._result(command, state, result, texts_before)

    async def _acknowledged(
        self, turn: _Turn, command: int, message: Callable[[int], Any], *, repeatable: bool, acks: int
    ) -> int | None:
        """MAV_RESULT of the last acknowledgement, or None."""
        others = turn.owed
        with self._channel.listen("COMMAND_ACK") as inbox:
            for attempt in range(ATTEMPTS if repeatable else 1):
                self._channel.send(message(attempt))
                turn.owed += acks
                deadline_s = time.monotonic() + (ACK_S if repeatable else SINGLE_ACK_S)
                result: int | None = None
                heard = 0
                while (left_s := deadline_s - time.monotonic()) > 0 and heard < acks:
                    ack = await inbox.get(left_s)
                    if ack is None or ack.command != command or not self._channel.for_us(ack):
                        continue
                    if ack.result == IN_PROGRESS:
                        deadline_s = time.monotonic() + PROGRESS_S
                        continue
                    turn.owed -= 1
                    if others > 0:
                        others -= 1
                        continue
                    result = ack.result
                    heard += 1
                    deadline_s = time.monotonic() + SECOND_ACK_S
                if result is not None:
                    return result
        return None

    def _result(self, command: int, state: CommandState, result: int | None, texts_before: int) -> CommandResult:
        heard = self._telemetry.texts_since(texts_before)
        texts = tuple(text.text for text in heard if text.severity <= LEAST_SEVERE_WARNING)
        return CommandResult(
            sysid=self._channel.sysid, command=command_name(command), state=state, result=result, texts=texts
        )


async def holds(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Whether a condition comes true within `timeout_s` of the wall."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        await asyncio.sleep(0.02)
    return True


def command_name(command: int) -> str:
    """`NAV_TAKEOFF` for 22."""
    names = dialect.enums["MAV_CMD"]
    return str(names[command].name).removeprefix("MAV_CMD_") if command in names else f"MAV_CMD {command}"


def _result_name(result: int | None) -> str:
    names = dialect.enums["MAV_RESULT"]
    return str(names[result].name).removeprefix("MAV_RESULT_") if result in names else f"MAV_RESULT {result}"
