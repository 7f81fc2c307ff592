"""Weather from a file that a station, or a script next to it, keeps writing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Self

from integrations.weather_readings import MOST_BYTES, Reading
from missioncontrol.errors import WeatherUnavailable
from missioncontrol.weather import Weather


class WeatherFile:
    """Reads the newest observation from a file of JSON, CSV or METAR text."""

    def __init__(
        self,
        *,
        path: str,
        name: str = "",
        fields: dict[str, str] | None = None,
        factors: dict[str, float] | None = None,
        valid_s: float = 3600.0,
        utc_now: Callable[[], float] = time.time,
    ) -> None:
        """`fields` and `factors` as in Reading; the file's name serves as `name`. Raises ValueError."""
        self._path, self._utc_now = Path(path), utc_now
        self._reading = Reading(
            source=name or self._path.name, fields=fields or {}, factors=factors or {}, valid_s=valid_s
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    async def look(self) -> Weather:
        """What the file says now. Raises WeatherUnavailable."""
        try:
            content = await asyncio.to_thread(self._read)
        except OSError as exc:
            raise WeatherUnavailable(f"{self._path}: cannot be read: {exc.strerror}") from exc
        return self._reading.read(content, now_utc_s=self._utc_now())

    def _read(self) -> bytes:
        with self._path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
