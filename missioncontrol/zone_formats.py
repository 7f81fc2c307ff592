"""How files of zones are written, and the readers and writers of each."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

from geo.ed269 import read_ed269, write_ed269
from geo.ed318 import read_ed318, write_ed318
from geo.zones import ZoneCollection


class ZoneFormat(StrEnum):
    """How a file of zones is written."""

    ED318 = "ed318"
    ED269 = "ed269"

    def read(self, content: bytes, *, partly: bool = False, near: tuple[float, float] | None = None) -> ZoneCollection:
        """The zones of a file; with `partly` without those that cannot be understood. Raises ZoneInvalid."""
        readers: dict[str, Callable[..., ZoneCollection]] = {"ed318": read_ed318, "ed269": read_ed269}
        return readers[self](content, partly=partly, near=near)

    def write(self, collection: ZoneCollection) -> dict[str, Any]:
        """The JSON of a file. Raises ZoneInvalid for what the format cannot say."""
        return {"ed318": write_ed318, "ed269": write_ed269}[self.value](collection)
