"""Weather from an HTTP endpoint that answers with JSON, CSV or METAR text."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

import httpx

from integrations.weather_readings import MOST_BYTES, Reading
from missioncontrol.errors import WeatherUnavailable
from missioncontrol.weather import Weather


class WeatherHttp:
    """Asks one URL; redirects are not followed, and no more is read than an observation has."""

    def __init__(
        self,
        *,
        url: str,
        name: str = "",
        token: str = "",
        fields: dict[str, str] | None = None,
        factors: dict[str, float] | None = None,
        valid_s: float = 3600.0,
        timeout_s: float = 10.0,
        utc_now: Callable[[], float] = time.time,
    ) -> None:
        """`fields` and `factors` as in Reading; `token` is sent as bearer. Raises ValueError."""
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as exc:
            raise ValueError(f"url: {url!r}: {exc}") from exc
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"url: {url!r} is not an http or https address")
        self._url, self._host, self._token, self._timeout_s = url, parsed.host, token, timeout_s
        self._utc_now = utc_now
        self._reading = Reading(source=name or self._host, fields=fields or {}, factors=factors or {}, valid_s=valid_s)
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        headers = {"authorization": f"Bearer {self._token}"} if self._token else {}
        self._http = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False, headers=headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def look(self) -> Weather:
        """What the endpoint says now. Raises WeatherUnavailable, which names the host and not the whole URL."""
        if self._http is None:
            raise RuntimeError(f"{self._host}: the source is not open")
        content = b""
        try:
            async with self._http.stream("GET", self._url) as answer:
                if not answer.is_success:
                    raise WeatherUnavailable(f"{self._host}: answered {answer.status_code}")
                async for part in answer.aiter_bytes():
                    content += part
                    if len(content) > MOST_BYTES:
                        break
        except httpx.HTTPError as exc:
            raise WeatherUnavailable(f"{self._host}: did not answer: {exc or type(exc).__name__}") from exc
        return self._reading.read(content, now_utc_s=self._utc_now())
