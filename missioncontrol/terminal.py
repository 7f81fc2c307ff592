"""What commands share: JSON and lists on stdout, everything else for people on stderr."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import msgspec
import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

if TYPE_CHECKING:
    from missioncontrol.settings import Settings
    from missioncontrol.store import Store

console = Console(stderr=True)
Found = TypeVar("Found")
Configured = Annotated[Path | None, typer.Option("--settings", help="Settings file (TOML).")]
AheadOfUtc = Annotated[
    float | None,
    typer.Option(
        "--clock-ahead-h",
        help="How far the clock of a DJI .srt is ahead of UTC, h: 5 in Almaty. It tells local time without a zone.",
        min=-14,
        max=14,
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Answer with JSON on stdout.")]


def answer(value: Any, as_json: bool, text: str) -> None:
    """Print the value as JSON on stdout, or the text on stderr."""
    if as_json:
        sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    else:
        console.print(text, highlight=False, markup=False, soft_wrap=True)


def listing(value: Any, as_json: bool, lines: list[str], none: str) -> None:
    """Print the value as JSON, or a line for each thing, on stdout: a list is for pipes too; `none` goes to stderr."""
    if as_json or not lines:
        answer(value, as_json, none)
    else:
        sys.stdout.write("".join(f"{line}\n" for line in lines))


def bars() -> Progress:
    """Progress bars on stderr."""
    return Progress(
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
    )


def with_store(path: Path | None, work: Callable[[Store, Settings], Awaitable[Found]]) -> Found:
    """What work with the store of a settings file gives; the service may be running meanwhile."""
    from missioncontrol.settings_files import load
    from missioncontrol.store import Store

    known = load(path)

    async def run() -> Found:
        async with Store(known.store_url()) as store:
            return await work(store, known)

    return asyncio.run(run())
