"""The height of the sun, and when it rises and sets, against published values and another formula."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest

from geo.sun import EVENTS, sun_elevation_deg, sun_event_s, sun_midnights_s


def _utc_s(*parts: int) -> float:
    return datetime(*parts, tzinfo=UTC).timestamp()  # type: ignore[arg-type,misc]


def test_worked_example_of_reda_and_andreas() -> None:
    """NREL/TP-560-34302, appendix A.5: 39.87205 deg above the horizon before refraction."""
    found = sun_elevation_deg(_utc_s(2003, 10, 17, 19, 30, 30), -105.1786, 39.742476)
    assert float(found) == pytest.approx(39.87205, abs=0.02)


def test_highest_sun_of_the_year_and_of_the_winter_day() -> None:
    """At noon of the solstices it stands at 90 deg less the latitude, plus or less the tilt of the earth's axis."""
    lon, lat = 76.945, 43.238
    for month, tilt_deg in ((6, 23.436), (12, -23.436)):
        day = _utc_s(2026, month, 21) + np.arange(0, 86_400, 60)
        assert sun_elevation_deg(day, lon, lat).max() == pytest.approx(90 - lat + tilt_deg, abs=0.02)


def test_night_is_below_the_horizon() -> None:
    """Midnight in Almaty is 19 h UTC of the day before."""
    assert float(sun_elevation_deg(_utc_s(2026, 6, 15, 19, 0), 76.945, 43.238)) < -20


def _day(*parts: int) -> int:
    return (date(*parts) - date(1970, 1, 1)).days


def test_sunrise_of_reda_and_andreas() -> None:
    """NREL/TP-560-34302, appendix A.5: 06:12:43 at UTC-7."""
    rises_s = float(sun_event_s("SR", -105.1786, 39.742476, _day(2003, 10, 17)))
    assert rises_s == pytest.approx(_utc_s(2003, 10, 17, 13, 12, 43), abs=2.0)


@pytest.mark.parametrize(
    ("day", "said"),
    [(1, "06:02 06:32 19:41 20:11"), (12, "06:14 06:44 19:22 19:51"), (22, "06:26 06:55 19:04 19:32")],
)
def test_a_published_table_of_september(day: int, said: str) -> None:
    """Luther College, Decorah (43.30 N, 91.79 W), in whole minutes of UTC-5, after the U.S. Naval Observatory."""
    for event, clock in zip(EVENTS, said.split(), strict=True):
        hour, minute = map(int, clock.split(":"))
        found_s = float(sun_event_s(event, -91.79, 43.30, _day(2024, 9, day)))
        assert abs(found_s - _utc_s(2024, 9, day) - 3600 * (hour + 5) - 60 * minute) < 100.0, (event, clock)


def test_days_without_night_and_without_sun() -> None:
    """Utqiagvik: the sun stays up from about 11 May to 1 August, and down from about 19 November to 22 January."""
    lon, lat = -156.79, 71.29
    june, december, march = (_day(2025, month, 20) for month in (6, 12, 3))
    for event, in_june, in_december in (
        ("SR", "at midnight", "not"),
        ("SS", "not", "at midnight"),
        ("BMCT", "at midnight", "in the day"),
        ("EECT", "not", "in the day"),
    ):
        for day, expected in ((june, in_june), (december, in_december), (march, "in the day")):
            midnight_s, next_s = sun_midnights_s(lon, [day, day + 1])
            found_s = float(sun_event_s(event, lon, lat, day))
            said = "not" if np.isinf(found_s) else "at midnight" if found_s == midnight_s else "in the day"
            assert said == expected, (event, day)
            assert said == "not" or midnight_s <= found_s < next_s
    year = _day(2025, 1, 1) + np.arange(365)
    without_set = np.flatnonzero(np.isinf(sun_event_s("SS", lon, lat, year)))
    without_rise = np.flatnonzero(np.isinf(sun_event_s("SR", lon, lat, year)))
    assert without_set.min() == pytest.approx(_day(2025, 5, 11) - year[0], abs=2)
    assert without_set.max() == pytest.approx(_day(2025, 8, 1) - year[0], abs=2)
    assert without_rise[without_rise > 200].min() == pytest.approx(_day(2025, 11, 19) - year[0], abs=2)
    assert without_rise[without_rise < 100].max() == pytest.approx(_day(2025, 1, 22) - year[0], abs=2)
