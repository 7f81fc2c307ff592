"""The program around mavsdk: a process of its own that has no link but the socket that it was started with.

`python -m fleet.mavsdk_process FD SYSID COMPID` speaks as that ground station on the open socket FD: frames and calls
come in, frames, answers and words go out, each a length and a message. It ends when the socket does. The library is
imported when this runs, and nowhere else.
"""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from typing import Any

import msgspec

LENGTH = struct.Struct("<I")
"""Goes before each message: its bytes."""
NO_GIMBAL = "NO_GIMBAL"
"""Failure of a call for a gimbal where the vehicle announces no gimbal manager."""
GIMBAL_ASKS, GIMBAL_ASK_S = 80, 0.1
"""mavsdk knows a gimbal within these, s of the wall: it asks at a heartbeat, up to five times for each of two facts."""
UNTIL_FOUND_S = -1.0
"""mavsdk waits for its vehicle as long as it takes."""


class Heard(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A frame of the vehicle."""

    data: bytes
    """MAVLink, unsigned."""


class Call(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """Something that mavsdk is to do."""

    number: int
    """Comes back in its `Answer`."""
    name: str
    """One of `calls`."""
    arguments: tuple[Any, ...] = ()
    """As that function takes them; a mission item is a tuple of the fields of mavsdk's MissionItem."""


class Sent(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A frame that mavsdk wants sent to the vehicle."""

    data: bytes
    """MAVLink, unsigned."""


class Answer(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """What became of a call."""

    number: int
    """That of the `Call`."""
    failure: str | None = None
    """mavsdk's name of what went wrong, such as `TIMEOUT`; None when it went well."""
    value: Any = None
    """What was asked for, where a call asks for something."""


class Step(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """How far a call is."""

    number: int
    """That of the `Call`."""
    share: float
    """0 to 1."""


class Found(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """mavsdk knows its vehicle; from now on it can be called."""

    sysid: int
    """Which."""


class Said(msgspec.Struct, frozen=True, tag=True, array_like=True):
    """A line of mavsdk's own log."""

    text: str
    """The line, its level first."""


ToProcess = Heard | Call
FromProcess = Sent | Answer | Step | Found | Said
Function = Callable[..., Awaitable[Any] | AsyncIterator[float]]


def framed(message: ToProcess | FromProcess) -> bytes:
    """A message as it goes through the socket."""
    data = msgspec.msgpack.encode(message)
    return LENGTH.pack(len(data)) + data


async def read_message(reader: asyncio.StreamReader) -> bytes | None:
    """The next message, still encoded; None at the end."""
    try:
        (length,) = LENGTH.unpack(await reader.readexactly(LENGTH.size))
        return await reader.readexactly(length)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def calls(system: Any) -> dict[str, Function]:
    """What mavsdk can be asked to do with a vehicle, by name; some tell their share done as they go."""
    from mavsdk.asyncio.plugins.action import ActionAsync
    from mavsdk.asyncio.plugins.ftp import FtpAsync
    from mavsdk.asyncio.plugins.gimbal import GimbalAsync
    from mavsdk.asyncio.plugins.mission_raw import MissionItem, MissionPlan, MissionRawAsync
    from mavsdk.asyncio.plugins.telemetry import TelemetryAsync
    from mavsdk.plugins.gimbal import ControlMode, GimbalMode, SendMode

    action, gimbal, mission = ActionAsync(system), GimbalAsync(system), MissionRawAsync(system)
    files, telemetry = FtpAsync(system), TelemetryAsync(system)

    async def flight_mode() -> str:
        return str((await telemetry.flight_mode()).name)

    async def upload_mission(items: list[tuple[Any, ...]]) -> AsyncIterator[float]:
        plan = MissionPlan([MissionItem(*item) for item in items])
        async for result, progress in mission.upload_mission_with_progress(plan):
            if result.name == "NEXT":
                yield progress.progress

    def transfer(function: Function) -> Function:
        return lambda items: function([MissionItem(*item) for item in items])

    async def point_gimbal(pitch_deg: float, yaw_deg: float) -> None:
        for _ in range(GIMBAL_ASKS):
            if gimbals := (await gimbal.gimbal_list()).gimbals:
                break
            await asyncio.sleep(GIMBAL_ASK_S)
        else:
            raise LookupError(NO_GIMBAL)
        number = gimbals[0].gimbal_id
        await gimbal.take_control(number, ControlMode.PRIMARY)
        await gimbal.set_angles(number, 0.0, pitch_deg, yaw_deg, GimbalMode.YAW_FOLLOW, SendMode.ONCE)

    async def list_files(folder: str) -> list[tuple[str, bool, int]]:
        entries = (await files.list_directory(folder)).entries
        return [(entry.name, entry.entry_type == entry.EntryType.DIRECTORY, entry.size_bytes) for entry in entries]

    async def download_file(path: str, folder: str) -> AsyncIterator[float]:
        in_bursts = True
        async for result, progress in files.download(path, folder, in_bursts):
            if result.name == "NEXT":
                yield progress.bytes_transferred / max(1, progress.total_bytes)

    return {
        "arm": action.arm,
        "disarm": action.disarm,
        "hold": action.hold,
        "land": action.land,
        "return_to_launch": action.return_to_launch,
        "goto_location": action.goto_location,
        "set_current_speed": action.set_current_speed,
        "point_gimbal": point_gimbal,
        "start_mission": mission.start_mission,
        "upload_mission": upload_mission,
        "upload_geofence": transfer(mission.upload_geofence),
        "upload_rally_points": transfer(mission.upload_rally_points),
        "cancel_mission_upload": mission.cancel_mission_upload,
        "list_files": list_files,
        "download_file": download_file,
        "flight_mode": flight_mode,
    }


class Program:
    """mavsdk between two ends of a socket."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Speaks through `writer`, hears through `reader`."""
        self._reader, self._writer = reader, writer
        self._loop = asyncio.get_running_loop()
        self._functions: dict[str, Function] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def run(self, sysid: int, compid: int) -> None:
        """As the ground station `sysid`/`compid`, until the socket ends."""
        from mavsdk.asyncio import Configuration, Mavsdk
        from mavsdk.logging import log_subscribe

        log_subscribe(self._log)
        always_send_heartbeats = True  # they are not passed on, but tell that mavsdk lives
        async with Mavsdk(Configuration.create_manual(sysid, compid, always_send_heartbeats)) as mavsdk:
            await mavsdk.add_any_connection("raw://")
            core = mavsdk._mavsdk  # the functions for raw:// have no asyncio form
            core.subscribe_raw_bytes_to_be_sent(lambda data: self._tell_from_thread(Sent(data)))
            self._start(self._find(mavsdk))
            decoder = msgspec.msgpack.Decoder(ToProcess)
            while (data := await read_message(self._reader)) is not None:
                message = decoder.decode(data)
                if isinstance(message, Heard):
                    core.pass_received_raw_bytes(message.data)
                else:
                    self._start(self._answer(message))
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)
        self._writer.close()

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    def _tell(self, message: FromProcess) -> None:
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    def _tell_from_thread(self, message: FromProcess) -> None:
        """For mavsdk's own threads."""
        self._loop.call_soon_threadsafe(self._tell, message)

    def _log(self, level: Any, text: str, file: str | None, line: int) -> bool:
        self._tell_from_thread(Said(f"{level.name.lower()}: {text}"))
        return True  # nothing to stdout

    async def _find(self, mavsdk: Any) -> None:
        system = await mavsdk.first_autopilot(UNTIL_FOUND_S)
        self._functions = calls(system)
        self._tell(Found(await system.get_system_id()))

    async def _answer(self, call: Call) -> None:
        from mavsdk.exceptions import MavsdkError

        failure = value = None
        try:
            work = self._functions[call.name](*call.arguments)
            if isinstance(work, AsyncIterator):
                async for share in work:
                    self._tell(Step(call.number, share))
            else:
                value = await work
        except LookupError as exc:
            failure = str(exc.args[0])
        except MavsdkError as exc:
            result = getattr(exc, "result", None)
            failure = str(exc) if result is None else result.name
        self._tell(Answer(call.number, failure, value))


async def main(descriptor: int, sysid: int, compid: int) -> None:
    """Serve the socket of this descriptor, then end, whatever threads still wait in mavsdk."""
    await Program(*await asyncio.open_connection(sock=socket.socket(fileno=descriptor))).run(sysid, compid)
    os._exit(0)


if __name__ == "__main__":
    asyncio.run(main(*(int(argument) for argument in sys.argv[1:])))
