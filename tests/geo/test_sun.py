"""The height of the sun against published values."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pytest

from geo.sun import sun_elevation_deg


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
