"""The peers, run in their own environment by run.py: a request a line on stdin, an answer a line on stdout."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import link_peers
import picture_peers
import planning_peers


def package_version(package: str) -> str:
    """Of an installed peer."""
    return version(package)


ANSWERS: dict[str, Callable[..., Any]] = {
    name: call
    for module in (link_peers, picture_peers, planning_peers)
    for name, call in vars(module).items()
    if callable(call) and not name.startswith("_") and getattr(call, "__module__", "") == module.__name__
} | {"package_version": package_version}
"""Public functions of the peers' modules by name."""


def main() -> None:
    """Answer until stdin ends."""
    for text in sys.stdin:
        request = json.loads(text)
        try:
            answer = {"answer": ANSWERS[request.pop("what")](**request)}
        except Exception as exc:  # noqa: BLE001 - whatever a peer raises goes back as its answer
            answer = {"error": f"{type(exc).__name__}: {exc}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
