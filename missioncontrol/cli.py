"""The command line: one function a command, JSON on stdout with --json, the rest on stderr."""

from __future__ import annotations

import typer

app = typer.Typer(name="missioncontrol", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)


def main() -> None:
    """Run the command line."""
    app()
