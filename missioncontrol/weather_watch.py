"""Keeps the last observation of the weather, from the source that the settings name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import entry_points
from typing import Any, Protocol

import msgspec

from fleet.air import Conditions
from fleet.readiness import Check, check
from missioncontrol.clocks import Clock, iso_utc
from missioncontrol.errors import AdapterUnknown, SettingsInvalid, WeatherUnavailable
from missioncontrol.fleet_settings import WeatherSettings
from missioncontrol.settings import Settings
from missioncontrol.supervision import Backoff, keep_running
from missioncontrol.weather import Weather, WeatherLimits, weather_checks

SOURCES = "missioncontrol.weather"
"""Entry points of sources: called with the options of the settings, they give an async context manager that is a
WeatherSource."""


class WeatherSource(Protocol):
    """Where observations come from."""

    async def look(self) -> Weather:
        """The newest observation. Raises WeatherUnavailable."""


def open_weather(settings: WeatherSettings) -> AbstractAsyncContextManager[WeatherSource]:
    """The source that is set, not yet entered. Raises AdapterUnknown, SettingsInvalid."""
    found = {point.name: point for point in entry_points(group=SOURCES)}
    if settings.source not in found:
        known = ", ".join(sorted(found)) or "none"
        raise AdapterUnknown(f"weather: no source {settings.source!r}; there are: {known}")
    source: Callable[..., AbstractAsyncContextManager[WeatherSource]] = found[settings.source].load()
    try:
        return source(**settings.options)
    except (TypeError, ValueError) as exc:
        raise SettingsInvalid(f"weather: options of {settings.source}: {exc}") from exc


class WeatherWatch:
    """The last observation, and why there is no newer one."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        """With nothing observed yet. Raises AdapterUnknown, SettingsInvalid where the source cannot be used."""
        self._settings, self._clock = settings, clock
        self._source = None if settings.weather.source is None else open_weather(settings.weather)
        self.latest: Weather | None = None
        """The last observation."""
        self.error = ""
        """Why the source did not answer when it was asked last; empty where it did."""

    async def run(self) -> None:
        """Ask the source again and again; returns at once where none is set."""
        if self._source is None:
            return
        longest_s = self._settings.weather.every_s
        backoff = Backoff(first_s=min(2.0, longest_s), longest_s=longest_s)
        async with self._source as source:

            async def watch() -> None:
                while True:
                    await self._look(source)
                    await asyncio.sleep(self._settings.weather.every_s)

            await keep_running("weather", watch, restart_on=(WeatherUnavailable,), backoff=backoff)

    async def _look(self, source: WeatherSource) -> None:
        try:
            self.latest, self.error = await source.look(), ""
        except WeatherUnavailable as exc:
            self.error = str(exc)
            raise

    def limits(self, sysid: int | None) -> WeatherLimits:
        """Of a vehicle, or those of all where it has none of its own."""
        ours = None if sysid is None else self._settings.vehicle(sysid)
        own = None if ours is None else ours.weather
        return own or self._settings.weather.limits

    def conditions(self, amsl_m: float) -> Conditions | None:
        """Wind and air over ground of that height, for planning; None where they are not known now."""
        if self.latest is None or self.latest.is_stale(self._clock()):
            return None
        return self.latest.conditions(amsl_m)

    def checks(self, sysid: int | None = None) -> list[Check]:
        """Whether the weather is fit for a vehicle; where no source is set nothing is asked, and it says so."""
        if self._source is None:
            return [check("weather", "weather", True, "no source is set", "none asked")]
        return weather_checks(
            self.latest,
            self.limits(sysid),
            now_utc_s=self._clock(),
            unknown_passes=self._settings.weather.unknown_passes,
            error=self.error,
        )

    def public(self, sysid: int | None = None) -> dict[str, Any]:
        """The last observation with its age, the limits of a vehicle, and the checks."""
        now_s, latest = self._clock(), self.latest
        return {
            "observation": None if latest is None else {**msgspec.to_builtins(latest), "utc": iso_utc(latest.utc_s)},
            "age_s": None if latest is None else round(now_s - latest.utc_s, 1),
            "stale": latest is None or latest.is_stale(now_s),
            "error": self.error,
            "limits": msgspec.to_builtins(self.limits(sysid)),
            "checks": msgspec.to_builtins(self.checks(sysid)),
        }
