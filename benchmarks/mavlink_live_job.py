"""Live telemetry over loopback UDP: processor time for each message, against mavutil and MAVProxy."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

from run import ROOT, VENV, Peers, in_turn, line

RUNS = 5
SETTLE_S, MEASURE_S = 4.0, 8.0
"""Before a reader is measured it has so long to meet its vehicles; then it is measured for so long."""
BENCHMARKS = ROOT / "benchmarks"


class Case(NamedTuple):
    """So many vehicles that send so much."""

    vehicles: int
    rate_hz: float


CASES = (Case(20, 50.0), Case(200, 10.0))


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Ours with all that the service uses; mavutil only makes objects; MAVProxy with its default modules, headless."""
    versions = {name: peers.ask("package_version", package=name) for name in ("pymavlink", "MAVProxy")}
    for case in CASES:
        for peer, package in (("mavutil recv_match", "pymavlink"), ("MAVProxy --non-interactive", "MAVProxy")):
            theirs = _mavutil if package == "pymavlink" else _mavproxy
            mine, other = in_turn(RUNS, _microseconds(case, _fleet), _microseconds(case, theirs))
            yield line(
                job="mavlink_live", case=f"{case.vehicles} vehicles x {case.rate_hz:g} msg/s", peer=peer,
                peer_version=versions[package], ours=mine, theirs=other, unit="us of processor/message", lower=True,
            )  # fmt: skip


def _fleet(port: int, case: Case, folder: str) -> list[str]:
    return [sys.executable, str(BENCHMARKS / "live_readers.py"), "fleet", str(port), str(case.vehicles)]


def _mavutil(port: int, case: Case, folder: str) -> list[str]:
    return [str(VENV / "bin" / "python"), "-W", "ignore", str(BENCHMARKS / "live_readers.py"), "mavutil", str(port)]


def _mavproxy(port: int, case: Case, folder: str) -> list[str]:
    program = [str(VENV / "bin" / "python"), "-W", "ignore", str(VENV / "bin" / "mavproxy.py")]
    return [*program, f"--master=udpin:127.0.0.1:{port}", "--non-interactive", f"--state-basedir={folder}"]


def _microseconds(case: Case, command: Callable[[int, Case, str], list[str]]) -> Callable[[], float]:
    """Processor time of one reader's process for each message sent to it while it is measured, us."""

    def run() -> float:
        port = _free_port()
        with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
            environment = os.environ | {"PYTHONPATH": str(ROOT), "HOME": folder, "MPLBACKEND": "Agg"}
            counts_itself = command is not _mavproxy
            reader = _started(stack, command(port, case, folder), environment, folder, told=counts_itself)
            seconds = SETTLE_S + MEASURE_S + 5.0
            arguments = [str(port), str(case.vehicles), str(case.rate_hz), str(seconds)]
            source = _started(
                stack, [sys.executable, str(BENCHMARKS / "telemetry.py"), *arguments], environment, folder, told=True
            )
            time.sleep(SETTLE_S)
            counter = reader if counts_itself else source
            before, used_s = (_count(source), _count(counter)), _processor_s(reader.pid)
            time.sleep(MEASURE_S)
            after, used_s = (_count(source), _count(counter)), _processor_s(reader.pid) - used_s
            sent, heard = after[0] - before[0], after[1] - before[1]
            if reader.poll() is not None or abs(heard - sent) > max(50, sent // 100):
                raise RuntimeError(f"{command.__name__} took {heard} of {sent} messages")
            return used_s / heard * 1e6

    return run


def _started(
    stack: ExitStack, command: list[str], environment: dict[str, str], folder: str, *, told: bool
) -> subprocess.Popen[str]:
    """A process that ends with the stack, waited for until it says `ready` where it does."""
    log = stack.enter_context((Path(folder) / f"{len(os.listdir(folder))}.txt").open("w"))
    out = subprocess.PIPE if told else log
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=out, stderr=log, text=True, env=environment, cwd=folder
    )
    stack.callback(process.wait)
    stack.callback(process.kill)
    if not told:
        time.sleep(6.0)
    elif process.stdout is None or process.stdout.readline().strip() != "ready":
        raise RuntimeError(f"{' '.join(command[1:])} did not start: {Path(log.name).read_text()[-500:]}")
    return process


def _count(process: subprocess.Popen[str]) -> int:
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    return int(process.stdout.readline())


def _processor_s(pid: int) -> float:
    """What a process has used so far, all its threads, s: Linux's clock of another process (clock_getcpuclockid)."""
    return time.clock_gettime((~pid << 3) | 2)


def _free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
