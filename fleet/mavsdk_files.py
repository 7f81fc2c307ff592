"""Files aboard a vehicle, by MAVLink FTP through mavsdk: its own logs first of all."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec

from fleet.errors import TransferFailed
from fleet.mavsdk_bridge import MavsdkBridge

FTP_MESSAGES = frozenset(("FILE_TRANSFER_PROTOCOL",))


class FileAboard(msgspec.Struct, frozen=True, kw_only=True):
    """A file, or a folder, as the vehicle lists it."""

    path: str
    """Where it is aboard, absolute."""
    is_folder: bool
    """Whether it is a folder."""
    size_bytes: int
    """Size; 0 of a folder."""


class MavsdkFiles:
    """The files of one vehicle. ArduPilot keeps its logs in /APM/LOGS, PX4 in /fs/microsd/log."""

    def __init__(self, bridge: MavsdkBridge, sysid: int) -> None:
        """Through the bridge to that vehicle."""
        self._bridge, self._sysid = bridge, sysid

    async def list(self, folder: str) -> list[FileAboard]:
        """What is in a folder; raises TransferFailed, and LinkLost as `MavsdkBridge.call`."""
        found = await self._call("list_files", folder)
        return [
            FileAboard(path=str(PurePosixPath(folder) / name), is_folder=is_folder, size_bytes=size_bytes)
            for name, is_folder, size_bytes in found
        ]

    async def download(self, path: str, into: Path, *, step: Callable[[float], None] = lambda share: None) -> Path:
        """Copy a file into a folder of ours, whole or not at all; its place there.

        `step` hears the share that is done, 0 to 1. A file of that name is replaced. Raises TransferFailed, and
        LinkLost as `MavsdkBridge.call`.
        """
        with tempfile.TemporaryDirectory(dir=into, prefix=".") as unfinished:
            await self._call("download_file", path, unfinished, step=step)
            name = PurePosixPath(path).name
            return (Path(unfinished) / name).replace(into / name)

    async def _call(self, name: str, *arguments: str, step: Callable[[float], None] = lambda share: None) -> Any:
        answer = await self._bridge.call(name, *arguments, messages=FTP_MESSAGES, step=step)
        if answer.failure is not None:
            raise TransferFailed(f"sysid {self._sysid}: {name} of {arguments[0]}: {answer.failure}")
        return answer.value
