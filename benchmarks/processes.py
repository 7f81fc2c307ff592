"""Processes of a comparison: started together, asked for counts, measured by their processor time."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from run import ROOT


@contextmanager
def started(command: list[str], *, told: bool = True) -> Iterator[subprocess.Popen[str]]:
    """A process in a folder of its own, ended with the context; waited for until it says `ready`, where it does.

    Raises RuntimeError with its last words if it does not.
    """
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "words.txt").open("w") as log:
        process = subprocess.Popen(
            [part.replace("{folder}", folder) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if told else log,
            stderr=log,
            text=True,
            env=os.environ | {"PYTHONPATH": str(ROOT), "HOME": folder, "MPLBACKEND": "Agg"},
            cwd=folder,
        )
        try:
            if told and (process.stdout is None or process.stdout.readline().strip() != "ready"):
                raise RuntimeError(f"{' '.join(command[1:])}: {Path(log.name).read_text()[-500:]}")
            yield process
        finally:
            process.kill()
            process.communicate()


def count_of(process: subprocess.Popen[str]) -> int:
    """What a process that calls `telemetry.answer_counts` has counted so far."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def processor_s(pid: int) -> float:
    """What a process has used so far, all its threads, s: Linux's clock of another process (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def free_port() -> int:
    """A UDP port of loopback that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
