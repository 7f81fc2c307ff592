"""The weather at the take-off, and whether it is fit to fly in: measured values against a vehicle's limits."""

from __future__ import annotations

import math
from typing import Annotated

import msgspec

from fleet.air import Conditions, Wind, air_density_kg_m3
from fleet.readiness import Check, check

AHEAD_S = 300.0
"""An observation further in the future than this is not believed, s."""

NotNegative = Annotated[float, msgspec.Meta(ge=0)]


class Weather(msgspec.Struct, frozen=True, kw_only=True):
    """One observation; None is what it does not tell."""

    utc_s: float
    """When it was made, s since 1970 UTC."""
    wind_m_s: NotNegative | None = None
    """Mean wind at 10 m above ground, m/s."""
    wind_from_deg: Annotated[float, msgspec.Meta(ge=0, le=360)] | None = None
    """Where it blows from, deg clockwise from true north; None too where it varies."""
    gust_m_s: NotNegative | None = None
    """Strongest gust, m/s."""
    rain_mm_h: NotNegative | None = None
    """Rain, or other precipitation as water, mm/h."""
    temperature_c: Annotated[float, msgspec.Meta(ge=-90, le=60)] | None = None
    """Of the air, deg C."""
    visibility_m: NotNegative | None = None
    """Least horizontal visibility, m."""
    source: str
    """Who observed: the name of a station or of a source."""
    valid_s: Annotated[float, msgspec.Meta(gt=0)] = 3600.0
    """How long after `utc_s` it may be relied upon, s."""

    def __post_init__(self) -> None:
        """Raises ValueError for a number that is none."""
        for name in self.__struct_fields__:
            value = getattr(self, name)
            if isinstance(value, float) and not math.isfinite(value):
                raise ValueError(f"{name}: {value} is not a number")

    def is_stale(self, now_utc_s: float) -> bool:
        """Whether it is too old, or from the future."""
        return not -AHEAD_S <= now_utc_s - self.utc_s <= self.valid_s

    def conditions(self, amsl_m: float) -> Conditions | None:
        """Wind and air over ground of that height for the reckoning of energy; None where no wind is told.

        A wind without direction, or one that varies, cannot be reckoned with and counts as None too, unless it is
        calm.
        """
        if self.wind_m_s is None or (self.wind_from_deg is None and self.wind_m_s > 0.0):
            return None
        return Conditions(
            wind=Wind.blowing(self.wind_m_s, self.wind_from_deg or 0.0),
            air_kg_m3=air_density_kg_m3(amsl_m, self.temperature_c),
        )


class WeatherLimits(msgspec.Struct, frozen=True, kw_only=True):
    """Beyond what a vehicle stays on the ground; the defaults are usual for small multirotors, its manual says more."""

    wind_m_s: NotNegative = 10.0
    """Mean wind, at most, m/s."""
    gust_m_s: NotNegative = 15.0
    """Gusts, at most, m/s."""
    rain_mm_h: NotNegative = 0.0
    """Rain, at most, mm/h."""
    coldest_c: float = -10.0
    """Temperature, at least, deg C."""
    warmest_c: float = 40.0
    """Temperature, at most, deg C."""
    visibility_m: NotNegative = 1500.0
    """Visibility, at least, m."""


def weather_checks(
    weather: Weather | None, limits: WeatherLimits, *, now_utc_s: float, unknown_passes: bool = False, error: str = ""
) -> list[Check]:
    """What the last observation says against the limits of a vehicle, each with what was measured.

    Without an observation, and with a stale one, there is one check. What is not known does not pass unless
    `unknown_passes`; `error` is why nothing newer is known.
    """
    unknown = True if unknown_passes else None
    because = f" ({error})" if error else ""
    if weather is None:
        return [check("weather.age", "weather", unknown, f"not known{because}", "an observation")]
    age_s = now_utc_s - weather.utc_s
    stale = weather.is_stale(now_utc_s)
    told = f"{weather.source}, {age_s / 60.0:.0f} min old" + (because if stale else "")
    limit = f"at most {weather.valid_s / 60.0:.0f} min old"
    found = [check("weather.age", "weather", unknown if stale else True, told, limit)]
    if stale:
        return found

    def most(name: str, title: str, value: float | None, limit: float, unit: str) -> Check:
        passed = unknown if value is None else value <= limit
        measured = "not told" if value is None else f"{value:.1f} {unit}"
        return check(f"weather.{name}", title, passed, measured, f"at most {limit:g} {unit}")

    warm, seen = weather.temperature_c, weather.visibility_m
    return [
        *found,
        most("wind", "wind", weather.wind_m_s, limits.wind_m_s, "m/s"),
        most("gust", "gusts", weather.gust_m_s, limits.gust_m_s, "m/s"),
        most("rain", "rain", weather.rain_mm_h, limits.rain_mm_h, "mm/h"),
        check(
            "weather.temperature",
            "temperature",
            unknown if warm is None else limits.coldest_c <= warm <= limits.warmest_c,
            "not told" if warm is None else f"{warm:.1f} deg C",
            f"{limits.coldest_c:g} to {limits.warmest_c:g} deg C",
        ),
        check(
            "weather.visibility",
            "visibility",
            unknown if seen is None else seen >= limits.visibility_m,
            "not told" if seen is None else f"{seen:.0f} m",
            f"at least {limits.visibility_m:g} m",
        ),
    ]
