"""Lints the container files with hadolint and compose-lint; no container engine is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
BIN = Path(sys.executable).parent

COMMANDS = [
    [BIN / "hadolint", "--config", "docker/.hadolint.yaml", "docker/Dockerfile", "docker/Dockerfile.gpu"],
    [BIN / "compose-lint", "--quiet", "docker/compose.yaml"],
]


def main() -> int:
    """Run both; the worst exit code."""
    return max(subprocess.run(command, cwd=ROOT, check=False).returncode for command in COMMANDS)


if __name__ == "__main__":
    sys.exit(main())
