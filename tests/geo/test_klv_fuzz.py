import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_broken_metadata_are_read_or_refused_and_nothing_else() -> None:
    command = [sys.executable, str(ROOT / "scripts" / "fuzz_klv.py"), "--inputs", "12000", "--seed", "11"]
    run = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    report = json.loads(run.stdout)
    assert report["inputs"] == 12_000
    for name in ("packet", "unverified", "stream", "vmti", "vmti_packet", "security", "errors", "stamps"):
        assert report["outcomes"][f"read_{name} read"] > 10  # the fuzzer reaches what lies behind the checks
        assert report["outcomes"][f"read_{name} refused"] > 10
