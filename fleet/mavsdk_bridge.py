"""Between our links and the process in which mavsdk runs: what one may hear, and the other may send."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import math
import socket
import sys
import time
from collections.abc import Callable, Set
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from fleet.commands import holds
from fleet.errors import FleetError, LinkLost, LinkUnreachable
from fleet.framing import Framer, decode
from fleet.mavsdk_process import Answer, Call, Found, FromProcess, Heard, Said, Sent, Step, framed, read_message
from fleet.routing import Router

COMPID = 191
"""mavsdk's component of our own system: not that of our own commands, so that answers and numbers stay apart."""
SET_MESSAGE_INTERVAL, REQUEST_MESSAGE = 511, 512
"""mavsdk asks who the vehicle is when it likes; how often telemetry comes is for us alone to say."""
MISSION_START = 300
"""Sent once a call: mavsdk repeats what is not acknowledged, and a mission must not start twice."""
FOUND_S = 3.0
"""A call waits so long for mavsdk to find its vehicle, s of the wall."""
ANSWER_S = 40.0
"""mavsdk ends every command by itself before this, s of the wall; transfers may take longer."""
SILENT_S = 10.0
"""A process that does not even beat for so long hangs: it is ended, s of the wall."""
START_S = 30.0
"""A process says its first word within this, s of the wall."""
RESTART_S, LONGEST_RESTART_S = 1.0, 60.0
"""Pause before a process that ended is started again, s of the wall; doubled while none finds its vehicle."""
END_S = 3.0
"""A process gets so long to end by itself, s of the wall."""
REPEATS_S = 4.0
"""mavsdk repeats a command that nobody answered no longer than this, s of the wall."""
SUPERSEDED = "SUPERSEDED"
"""Failure of a call whose place an urgent command took."""
MOST_WAITING_BYTES = 262_144
"""Telemetry that a slow process has not taken yet; more is left out."""

log = structlog.get_logger(__name__)


class _Running(msgspec.Struct):
    """A call that mavsdk has not answered yet, and what it may send for it."""

    name: str
    done: asyncio.Future[Answer]
    commands: Set[int]
    messages: Set[str]
    guarded: bool
    step: Callable[[float], None]
    started: bool = False
    """Its MISSION_START went out."""


class MavsdkBridge:
    """A process with mavsdk for one vehicle; an async context manager, in which that process is kept running.

    mavsdk is told every frame of its vehicle that the router believes, and only those. What it sends goes through
    `Router.relay`, which routes, signs and records it, and only if it is for a call that is running: mavsdk can arm
    nobody, start nothing and change no mode that it was not asked to.
    """

    def __init__(self, router: Router, sysid: int, *, alarm: Callable[[str], None], silent_s: float = SILENT_S) -> None:
        """For a registered vehicle; starts nothing yet.

        `alarm` hears that a process ended by itself, or was ended because it did not even beat for `silent_s` (wall).
        """
        self._router, self._sysid, self._alarm, self._silent_s = router, sysid, alarm, silent_s
        self.compid = COMPID
        """Answers to what mavsdk sends name this component of ours."""
        self._task: asyncio.Task[None] | None = None
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._found = asyncio.Event()
        self._ended: str | None = None
        self._calls: dict[int, _Running] = {}
        self._repeats_until_s = -math.inf
        self.superseded = 0
        """Counts the urgent commands: what was ordered before the latest is not sent any more."""
        self._numbers = itertools.count(1)
        self.shed = 0
        """Frames that mavsdk was not told, as it was too slow."""

    @property
    def pid(self) -> int | None:
        """Of the process while there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def found(self) -> bool:
        """Whether mavsdk knows its vehicle, so that it can be called."""
        return self._found.is_set()

    async def __aenter__(self) -> Self:
        if importlib.util.find_spec("mavsdk") is None:
            raise LinkUnreachable(f"sysid {self._sysid}: the package mavsdk is not installed")
        self._task = asyncio.create_task(self._keep_running(), name=f"mavsdk[{self._sysid}]")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def call(
        self,
        name: str,
        *arguments: Any,
        commands: Set[int] = frozenset(),
        messages: Set[str] = frozenset(),
        guarded: bool = False,
        step: Callable[[float], None] = lambda share: None,
        since: int | None = None,
    ) -> Answer:
        """Have mavsdk do something.

        `commands` are the MAV_CMD that it may send for that; `messages` those of other kinds, for a transfer, which
        may take as long as it takes; `guarded`: it may arm or start a mission (see `Router.relay`); `step` hears the
        share that is done, 0 to 1, of calls that tell; `since`: what `superseded` was when the command was ordered, if
        that was before, for it must not go out after a later, urgent one. Raises VehicleUnknown where nothing was
        heard of the vehicle, LinkLost where there is no process or no way to it, and IdentityConflict.
        """
        if self._task is None or self._task.done():
            raise LinkLost(f"sysid {self._sysid}: mavsdk does not run") from _error_of(self._task)
        self._router.system(self._sysid)
        since = self.superseded if since is None else since
        if self._ended is None:
            with suppress(TimeoutError):
                async with asyncio.timeout(FOUND_S):
                    await self._found.wait()
        left_s = self._repeats_until_s - time.monotonic()
        if commands and since == self.superseded and left_s > 0:
            await asyncio.sleep(left_s)  # else its command would let the repetitions of the old one out
        if commands and since != self.superseded:
            return Answer(0, SUPERSEDED)
        if self._writer is None or not self._found.is_set():
            raise LinkLost(self._ended or f"sysid {self._sysid}: mavsdk did not find it within {FOUND_S:g} s")
        number, done = next(self._numbers), asyncio.get_running_loop().create_future()
        self._calls[number] = _Running(name, done, commands, messages, guarded, step)
        try:
            self._writer.write(framed(Call(number, name, arguments)))
            async with asyncio.timeout(None if messages else ANSWER_S):
                answer: Answer = await done
                return answer
        except TimeoutError:
            return Answer(number, "TIMEOUT")
        finally:
            del self._calls[number]

    def supersede(self) -> bool:
        """End the calls that send commands, of which nothing more goes out; whether mavsdk may still repeat any."""
        self.superseded += 1
        for call in self._calls.values():
            if call.commands and not call.done.done():
                call.done.set_result(Answer(0, SUPERSEDED))
                self._repeats_until_s = time.monotonic() + REPEATS_S
        return time.monotonic() < self._repeats_until_s

    async def _keep_running(self) -> None:
        pause_s, told = RESTART_S, False
        while True:
            await holds(lambda: self._sysid in self._router.systems, math.inf)
            try:
                found, why = await self._serve()
            except (OSError, FleetError, msgspec.MsgspecError) as exc:
                found, why = False, f"mavsdk could not be run: {exc}"
            pause_s = RESTART_S if found else min(LONGEST_RESTART_S, 2.0 * pause_s)
            self._ended = f"sysid {self._sysid}: {why}; it is started again"
            log.error("mavsdk ended", sysid=self._sysid, why=why)
            if found or not told:
                self._alarm(self._ended)
            told = not found
            self._fail(self._ended)
            await asyncio.sleep(pause_s)

    async def _serve(self) -> tuple[bool, str]:
        """Run one process to its end: whether it found its vehicle, and why it ended."""
        process, reader, writer = await _start(self._router.sysid)
        self._process, self._writer = process, writer
        try:
            with self._router.tap(self._sysid, self._hear):
                hangs = await self._listen(reader)
            if hangs:
                process.kill()
        finally:
            self._process = self._writer = None
            found = self._found.is_set()
            self._found.clear()
            writer.close()
            await _end(process)
        how = f"hung for {self._silent_s:g} s" if hangs else f"ended with {process.returncode}"
        return found, f"the mavsdk process (pid {process.pid}) {how}"

    async def _listen(self, reader: asyncio.StreamReader) -> bool:
        """Take what the process says until it ends; true if it hangs."""
        decoder = msgspec.msgpack.Decoder(FromProcess)
        limit_s = max(START_S, self._silent_s)
        try:
            while True:
                async with asyncio.timeout(limit_s):
                    data = await read_message(reader)
                if data is None:
                    return False
                self._take(decoder.decode(data))
                limit_s = self._silent_s
        except TimeoutError:
            return True

    def _hear(self, data: bytes) -> None:
        """Tell mavsdk a frame of its vehicle."""
        if self._writer is None or self._writer.is_closing():
            return
        if self._writer.transport.get_write_buffer_size() > MOST_WAITING_BYTES:
            self.shed += 1
            return
        self._writer.write(framed(Heard(data)))

    def _take(self, message: FromProcess) -> None:
        if isinstance(message, Sent):
            self._send(message.data)
        elif isinstance(message, Answer):
            if message.number in self._calls and not (done := self._calls[message.number].done).done():
                done.set_result(message)
        elif isinstance(message, Step):
            if message.number in self._calls:
                self._calls[message.number].step(message.share)
        elif isinstance(message, Found):
            self._ended = None
            self._found.set()
        elif isinstance(message, Said):
            log.debug("mavsdk", sysid=self._sysid, text=message.text)

    def _send(self, data: bytes) -> None:
        """Relay a frame that mavsdk made, if it may be sent now."""
        frames = Framer().feed(data)
        message = decode(frames[0]) if len(frames) == 1 else None
        if message is None:
            return
        kind, call = message.get_type(), None
        if kind in ("COMMAND_LONG", "COMMAND_INT"):
            if message.command != REQUEST_MESSAGE:
                call = self._call_for(message.command)
                if call is None or (message.command == MISSION_START and call.started):
                    if message.command != SET_MESSAGE_INTERVAL:
                        log.warning("mavsdk may not send that now", sysid=self._sysid, command=message.command)
                    return
                call.started = call.started or message.command == MISSION_START
        else:
            call = next((call for call in self._calls.values() if kind in call.messages), None)
            if call is None:
                return
        try:
            if self._router.relay(self._sysid, data, guarded=call is not None and call.guarded) or call is None:
                return
            what = f"what mavsdk made for {call.name} was not sent"
            error: Exception = LinkLost(f"sysid {self._sysid}: {what}; no link leads to it now")
        except FleetError as exc:
            error = exc
        if call is not None and not call.done.done():
            call.done.set_exception(error)

    def _call_for(self, command: int) -> _Running | None:
        """The running call that may send this MAV_CMD."""
        running = (call for call in self._calls.values() if not call.done.done())
        return next((call for call in running if command in call.commands), None)

    def _fail(self, why: str) -> None:
        """End the calls that nobody will answer."""
        for call in self._calls.values():
            if not call.done.done():
                text = f"{why}; it was in the middle of {call.name}, and what became of that is not known"
                call.done.set_exception(LinkLost(text))


async def _start(sysid: int) -> tuple[asyncio.subprocess.Process, asyncio.StreamReader, asyncio.StreamWriter]:
    """A process for our own system `sysid`, in a session of its own so that a Ctrl-C here is not one there."""
    ours, theirs = socket.socketpair()
    with theirs:
        reader, writer = await asyncio.open_connection(sock=ours)
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "fleet.mavsdk_process", str(theirs.fileno()), str(sysid), str(COMPID)),
                pass_fds=(theirs.fileno(),),
                start_new_session=True,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
            )
        except BaseException:
            writer.close()
            raise
    return process, reader, writer


async def _end(process: asyncio.subprocess.Process) -> None:
    """Let a process end, which it does without its socket, or end it."""
    try:
        async with asyncio.timeout(END_S):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()


def _error_of(task: asyncio.Task[None] | None) -> BaseException | None:
    return task.exception() if task is not None and task.done() and not task.cancelled() else None
