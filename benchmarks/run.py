"""Comparisons with peers: `python benchmarks/run.py [JOB...]`, one JSON line each on stdout.

A line: {job, case, peer, peer_version, ours, theirs, unit, ratio, runs, spread}. `ratio` above 1 means ours is
better, whatever the unit. Ours and theirs run in turn, A B A B, in one call; `ours` and `theirs` are medians and
`spread` is the larger of the two relative ranges (max - min over median). Peers live in a virtual environment of
their own, `.venv-bench`, made on the first run, and work in a process of their own that times itself.
Inputs are seeded and their making is not timed. A peer marked "(recorded)" is a figure that was measured
elsewhere, not run here.
"""

from __future__ import annotations

import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv-bench"
DATA = Path(os.environ.get("MC_DATA", ROOT.parent / "shared" / "data"))
PEERS = (
    "opencoverage==0.2.0",
    "orthority==0.7.0",
    "pymavlink==2.4.50",
    "MAVProxy==1.8.75",
    "ortools==9.15.6755",
    "klvdata==0.0.3",
    "opencv-python==4.14.0.94",
    "rio-cogeo==7.0.4",
    "rio-tiler==9.4.12",
)
JOBS = (
    "archive",
    "change",
    "coverage",
    "partition",
    "deconflict",
    "dispatch",
    "georeference",
    "klv",
    "mavlink",
    "mavlink_live",
    "upload",
    "sim_vehicle",
    "video",
    "zones",
    "ortho",
    "cog",
    "tiles",
)


def say(text: str) -> None:
    """A line for people, on stderr."""
    print(text, file=sys.stderr, flush=True)


class Peers:
    """The process in the peers' own environment: one request a line, one answer a line, both JSON."""

    def __init__(self) -> None:
        """Makes the environment if needed and starts the process."""
        self._make()
        self._process = subprocess.Popen(
            [str(VENV / "bin" / "python"), "-W", "ignore", str(ROOT / "benchmarks" / "peers.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def _make(self) -> None:
        stamp, wanted = VENV / "peers.txt", "\n".join(PEERS)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        say(f"peers into {VENV.name}: {', '.join(PEERS)}")
        subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=True)
        pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        subprocess.run([*pip, *PEERS], check=True, stdout=sys.stderr)
        stamp.write_text(wanted)

    def ask(self, what: str, **arguments: Any) -> Any:
        """What a function of peers.py answers; raises RuntimeError with its text if it fails."""
        writer, reader = self._process.stdin, self._process.stdout
        assert writer is not None
        assert reader is not None
        writer.write(json.dumps({"what": what, **arguments}) + "\n")
        writer.flush()
        line = reader.readline()
        if not line:
            raise RuntimeError(f"the peers' process ended at {what}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(f"{what}: {answer['error']}")
        return answer["answer"]

    def close(self) -> None:
        """End the process."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        self._process.wait(timeout=30)


def line(
    *, job: str, case: str, peer: str, peer_version: str, ours: list[float], theirs: list[float], unit: str, lower: bool
) -> dict[str, Any]:
    """One comparison; `lower` says that a lower figure is better."""
    mine, other = statistics.median(ours), statistics.median(theirs)
    better, worse = (other, mine) if lower else (mine, other)
    spreads = [(max(runs) - min(runs)) / abs(statistics.median(runs)) for runs in (ours, theirs)]
    return {
        "job": job,
        "case": case,
        "peer": peer,
        "peer_version": peer_version,
        "ours": _short(mine),
        "theirs": _short(other),
        "unit": unit,
        "ratio": _short(better / worse),
        "runs": min(len(ours), len(theirs)),
        "spread": _short(max(spreads)),
    }


def in_turn(runs: int, ours: Callable[[], float], theirs: Callable[[], float]) -> tuple[list[float], list[float]]:
    """Both, in turn, so many times, after one unmeasured turn each."""
    ours()
    theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return [pair[0] for pair in pairs], [pair[1] for pair in pairs]


def timed(call: Callable[[], object]) -> float:
    """How long a call takes, s."""
    start_s = time.perf_counter()
    call()
    return time.perf_counter() - start_s


def _short(value: float) -> float:
    return float(f"{value:.4g}")


def main(jobs: list[str]) -> int:
    """Run the jobs (all, if none is named); 2 for an unknown one, 1 if one could not run."""
    unknown = [job for job in jobs if job not in JOBS]
    if unknown:
        say(f"no job {', '.join(unknown)}; there are: {', '.join(JOBS)}")
        return 2
    sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]
    failed = 0
    peers = Peers()
    try:
        for job in jobs or JOBS:
            say(f"job {job}")
            compare: Callable[[Peers], Iterator[dict[str, Any]]] = importlib.import_module(f"{job}_job").compare
            try:
                for row in compare(peers):
                    print(json.dumps(row), flush=True)
            except (RuntimeError, FileNotFoundError) as exc:
                say(f"job {job}: {exc}")
                failed = 1
    finally:
        peers.close()
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
