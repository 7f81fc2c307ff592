"""The demo's other processes."""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

from simulators.round import RoundFailed


class Children:
    """The other processes; all are ended on leaving."""

    def __init__(self, folder: Path) -> None:
        """Their output goes to files in `folder`."""
        self._folder = folder
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *arguments: str) -> None:
        """Start `missioncontrol` with arguments."""
        log = (self._folder / f"{name}.log").open("wb")
        with log:
            self._processes[name] = subprocess.Popen(
                [str(Path(sys.executable).parent / "missioncontrol"), *arguments],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self._folder,
            )

    def start_broker(self, port: int) -> bool:
        """Start a Mosquitto, where one is installed."""
        binary = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
        if binary is None:
            return False
        configuration = self._folder / "mosquitto.conf"
        configuration.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\npersistence false\n")
        log = (self._folder / "mosquitto.log").open("wb")
        with log:
            self._processes["mosquitto"] = subprocess.Popen(
                [binary, "-c", str(configuration)], stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT
            )
        return True

    def check(self) -> None:
        """Raises RoundFailed with the last words of a process that has ended."""
        for name, process in self._processes.items():
            if process.poll() is not None:
                words = (self._folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise RoundFailed(f"{name} ended with {process.returncode}:\n{words}")

    def stop(self) -> None:
        """End them all, the last started first."""
        for process in reversed(self._processes.values()):
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in reversed(self._processes.values()):
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            if process.poll() is None:
                process.kill()


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    """A port of 127.0.0.1 that nobody uses now, and that no system hands out by itself before we come to use it.

    Source: RFC 6335; ports for clients begin at 32768 on Linux, at 49152 elsewhere. Raises OSError if none is found.
    """
    for _ in range(50):
        port = random.randrange(10_000, 32_000)
        with socket.socket(socket.AF_INET, kind) as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise OSError("no free port between 10000 and 32000 on 127.0.0.1")
