"""Live telemetry over loopback UDP: processor time for each message, against mavutil and MAVProxy."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from processes import count_of, free_port, processor_s, started
from run import ROOT, VENV, Peers, line

RUNS = 5
START_S, SETTLE_S, MEASURE_S = 6.0, 6.0, 6.0
"""What a reader has to start, where it does not say that it has; to meet its vehicles; and what is measured."""
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
        measures = [_microseconds(case, command) for command in (_fleet, _mavutil, _mavproxy)]
        turns = [[measure() for measure in measures] for _ in range(RUNS)]
        ours, mavutil, mavproxy = (list(column) for column in zip(*turns, strict=True))
        for peer, package, theirs in (
            ("mavutil recv_match", "pymavlink", mavutil),
            ("MAVProxy --non-interactive", "MAVProxy", mavproxy),
        ):
            yield line(
                job="mavlink_live", case=f"{case.vehicles} vehicles x {case.rate_hz:g} msg/s", peer=peer,
                peer_version=versions[package], ours=ours, theirs=theirs, unit="us of processor/message", lower=True,
            )  # fmt: skip


def _fleet(port: int, case: Case) -> list[str]:
    return [sys.executable, str(BENCHMARKS / "live_readers.py"), "fleet", str(port), str(case.vehicles)]


def _mavutil(port: int, case: Case) -> list[str]:
    return [str(VENV / "bin" / "python"), "-W", "ignore", str(BENCHMARKS / "live_readers.py"), "mavutil", str(port)]


def _mavproxy(port: int, case: Case) -> list[str]:
    program = [str(VENV / "bin" / "python"), "-W", "ignore", str(VENV / "bin" / "mavproxy.py")]
    return [*program, f"--master=udpin:127.0.0.1:{port}", "--non-interactive", "--state-basedir={folder}"]


def _microseconds(case: Case, command: Callable[[int, Case], list[str]]) -> Callable[[], float]:
    """Processor time of one reader's process for each message sent to it while it is measured, us."""

    def run() -> float:
        port, counts_itself = free_port(), command is not _mavproxy
        seconds = SETTLE_S + MEASURE_S + (5.0 if counts_itself else 5.0 + START_S)
        source = [sys.executable, str(BENCHMARKS / "telemetry.py")]
        source += [str(part) for part in (port, case.vehicles, case.rate_hz, seconds)]
        with started(command(port, case), told=counts_itself) as reader:
            if not counts_itself:
                time.sleep(START_S)
            with started(source) as sender:
                time.sleep(SETTLE_S)
                counter = reader if counts_itself else sender
                before, used_s = (count_of(sender), count_of(counter)), processor_s(reader.pid)
                time.sleep(MEASURE_S)
                after, used_s = (count_of(sender), count_of(counter)), processor_s(reader.pid) - used_s
            sent, heard = after[0] - before[0], after[1] - before[1]
            if reader.poll() is not None or abs(heard - sent) > max(50, sent // 20):
                raise RuntimeError(f"{command.__name__} took {heard} of {sent} messages")
        return used_s / heard * 1e6

    return run
