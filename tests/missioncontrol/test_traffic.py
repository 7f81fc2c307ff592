"""Other flights: as planned, and as they really are."""

from __future__ import annotations

import numpy as np

from geo.positions import LocalPlane
from geo.tracks import Track
from missioncontrol.traffic import Place, Traffic

PLANE = LocalPlane(lon=76.945, lat=43.205)


def track(north_m: float, *, begins_s: float, amsl_m: float = 850.0) -> Track:
    """East along a line, 10 m/s, 600 m."""
    lon, lat = PLANE.to_lonlat([0.0, 600.0], [north_m, north_m])
    return Track(np.array([begins_s, begins_s + 60.0]), lon, lat, np.full(2, amsl_m))


def place(east_m: float, north_m: float, utc_s: float) -> Place:
    lon, lat = PLANE.to_lonlat(east_m, north_m)
    return Place(utc_s, float(lon), float(lat))


def test_flights_that_meet_are_told_with_who_and_when() -> None:
    traffic = Traffic()
    traffic.enter("f1", 1, track(0.0, begins_s=1000.0))
    found = traffic.check(track(10.0, begins_s=1010.0), without=(2,), present={})
    assert found.passed is False
    assert "vehicle 1" in found.text
    assert traffic.check(track(100.0, begins_s=1010.0), without=(2,), present={}).passed is True
    assert traffic.check(track(10.0, begins_s=1010.0, amsl_m=880.0), without=(2,), present={}).passed is True
    assert traffic.check(track(10.0, begins_s=1010.0), without=(1, 2), present={}).passed is True, "of the same plan"
    traffic.leave("f1")
    assert traffic.check(track(10.0, begins_s=1010.0), without=(2,), present={}).passed is True


def test_a_vehicle_that_is_not_where_its_plan_has_it_stops_others() -> None:
    """Its plan is long over, or never was: where it really is counts."""
    traffic = Traffic()
    traffic.enter("f1", 1, track(0.0, begins_s=1000.0))
    held_up = {1: place(150.0, 0.0, 1200.0)}
    found = traffic.check(track(10.0, begins_s=1200.0), without=(2,), present=held_up)
    assert found.passed is False
    assert "vehicle 1 is in the air off its plan" in found.text
    assert traffic.check(track(200.0, begins_s=1200.0), without=(2,), present=held_up).passed is True
    on_plan = {1: place(300.0, 0.0, 1030.0)}
    assert traffic.check(track(10.0, begins_s=1200.0), without=(2,), present=on_plan).passed is True
