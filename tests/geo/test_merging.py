"""Gatherings: looks of many flights make a place whose ellipse holds."""

from __future__ import annotations

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from geo.location import CAUSES
from geo.merging import GATE_D2, Gathering, d2
from geo.positions import LocalPlane

LON, LAT, HEIGHT_M = 76.945, 43.205, 850.0
PLANE = LocalPlane(lon=LON, lat=LAT, height_m=HEIGHT_M)
CHI2_90 = 4.605
"""Chi-square, 2 degrees of freedom, 90 %."""


def look_at(
    gathering: Gathering, east_north: NDArray[np.float64], covariance: NDArray[np.float64], flight: str
) -> Gathering:
    lon, lat = PLANE.to_lonlat(*east_north)
    return gathering.with_look(lon=float(lon), lat=float(lat), covariance_m2=covariance, flight=flight)


def empty(lasting: float = 0.5) -> Gathering:
    return Gathering(lon=LON, lat=LAT, height_m=HEIGHT_M, lasting=lasting)


def offset_m(estimate: tuple[float, float, NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.array(PLANE.to_plane(estimate[0], estimate[1]))


def test_one_look_is_itself() -> None:
    covariance = np.array([[4.0, 1.0], [1.0, 9.0]])
    found = look_at(empty(), np.array([3.0, -2.0]), covariance, "f").estimate(floor_m=0.0, extended=False)
    assert offset_m(found) == pytest.approx([3.0, -2.0], abs=1e-6)
    assert found[2] == pytest.approx(covariance)


def test_independent_looks_are_weighed_by_their_covariances() -> None:
    gathering = look_at(empty(), np.array([0.0, 0.0]), np.diag([1.0, 4.0]), "a")
    gathering = look_at(gathering, np.array([1.0, 1.0]), np.diag([1.0, 1.0]), "b")
    found = gathering.estimate(floor_m=0.0, extended=False)
    assert offset_m(found) == pytest.approx([0.5, 0.8], abs=1e-6)
    assert np.diag(found[2]) == pytest.approx([0.5, 0.8], rel=1e-5)


def test_looks_of_one_flight_never_promise_more_than_their_common_error() -> None:
    gathering = empty()
    for _ in range(1000):
        gathering = look_at(gathering, np.zeros(2), np.eye(2) * 9.0, "f")
    covariance = gathering.estimate(floor_m=0.0, extended=False)[2]
    assert np.sqrt(covariance[0, 0]) == pytest.approx(3.0 * np.sqrt(0.5), rel=0.01)


def test_the_order_of_looks_does_not_matter() -> None:
    random = np.random.default_rng(3)
    looks = [(random.normal(0, 2, 2), np.diag(random.uniform(1, 9, 2)), f"f{n % 3}") for n in range(12)]
    estimates = []
    for order in (looks, looks[::-1]):
        gathering = empty(lasting=0.3)
        for place, covariance, flight in order:
            gathering = look_at(gathering, place, covariance, flight)
        estimates.append(gathering.estimate(floor_m=0.1, extended=False))
    assert offset_m(estimates[0]) == pytest.approx(offset_m(estimates[1]), abs=1e-9)
    assert estimates[0][2] == pytest.approx(estimates[1][2])


def test_the_90_percent_ellipse_holds_nine_times_in_ten_with_biased_flights() -> None:
    """Truth: half of each look's variance is common to its flight, half is its own; as the model has it."""
    random = np.random.default_rng(11)
    inside = 0
    runs = 300
    for _ in range(runs):
        gathering = empty()
        for flight in ("a", "b"):
            covariance = np.diag(random.uniform(1.0, 16.0, 2))
            root = np.sqrt(covariance / 2)
            bias = root @ random.normal(size=2)
            for _ in range(5):
                gathering = look_at(gathering, bias + root @ random.normal(size=2), covariance, flight)
        found = gathering.estimate(floor_m=0.0, extended=False)
        offset = offset_m(found)
        inside += float(offset @ np.linalg.solve(found[2], offset)) < CHI2_90
    assert 0.86 < inside / runs < 0.98


def test_looks_that_disagree_widen_the_ellipse() -> None:
    gathering = look_at(empty(), np.array([0.0, 0.0]), np.eye(2), "a")
    gathering = look_at(gathering, np.array([10.0, 0.0]), np.eye(2), "b")
    covariance = gathering.estimate(floor_m=0.0, extended=False)[2]
    assert np.sqrt(covariance[0, 0]) == pytest.approx(np.sqrt(0.5 * 25.0))


def test_the_extent_of_a_thing_seen_in_pieces_is_in_its_ellipse() -> None:
    gathering = empty()
    for east in np.linspace(-30, 30, 21):
        gathering = look_at(gathering, np.array([east, 0.0]), np.eye(2) * 4.0, "f")
    covariance = gathering.estimate(floor_m=0.0, extended=True)[2]
    assert np.sqrt(covariance[0, 0]) == pytest.approx(60 / np.sqrt(12), rel=0.1)
    assert np.sqrt(covariance[1, 1]) < 3.0


def test_the_gate_is_one_percent_of_pairs_that_belong_together() -> None:
    random = np.random.default_rng(5)
    one, other = np.array([[4.0, 1.0], [1.0, 2.0]]), np.diag([1.0, 9.0])
    beyond = 0
    for _ in range(1500):
        places = [random.multivariate_normal((0, 0), covariance) for covariance in (one, other)]
        (lon1, lat1), (lon2, lat2) = (PLANE.to_lonlat(*place) for place in places)
        beyond += d2(float(lon1), float(lat1), one, float(lon2), float(lat2), other)[0] > GATE_D2
    assert 0.004 < beyond / 1500 < 0.017


def shifted(moves: dict[str, tuple[float, float]]) -> list[tuple[float, float]]:
    return [moves.get(cause, (0.0, 0.0)) for cause in CAUSES]


def test_a_bias_that_moves_two_looks_of_a_flight_apart_is_found_and_removed() -> None:
    """The heading is off by two sigmas, which moves a look from the south to the east and one from the north to the
    west; each is new by 0.1 m."""
    gathering = empty(lasting=1.0)
    for east in (3.0, -3.0):
        moves = shifted({"yaw": (east, 0.0), "u": (0.1, 0.0), "v": (0.0, 0.1)})
        covariance = np.diag([9.01, 0.01])
        lon, lat = PLANE.to_lonlat(2 * east, 0.0)
        gathering = gathering.with_look(
            lon=float(lon), lat=float(lat), covariance_m2=covariance, flight="f", moves_m=moves
        )
    found = gathering.estimate(floor_m=0.0, extended=False)
    assert offset_m(found) == pytest.approx([0.0, 0.0], abs=0.01)
    assert np.sqrt(found[2][0, 0]) < 0.2


def test_wrong_terrain_is_common_to_flights() -> None:
    gathering = empty()
    for flight in ("a", "b", "c", "d"):
        moves = shifted({"surface": (2.0, 0.0), "u": (0.1, 0.0), "v": (0.0, 0.1)})
        gathering = gathering.with_look(
            lon=LON, lat=LAT, covariance_m2=np.diag([4.01, 0.01]), flight=flight, moves_m=moves
        )
    covariance = gathering.estimate(floor_m=0.0, extended=False)[2]
    assert np.sqrt(covariance[0, 0]) == pytest.approx(2.0, rel=0.02)


def test_no_number_of_flights_tells_where_the_middle_of_an_extended_thing_is() -> None:
    gathering = empty()
    for flight in ("a", "a", "b", "c"):
        moves = shifted({"middle_east": (4.0, 0.0), "middle_north": (0.0, 4.0), "u": (0.1, 0.0), "v": (0.0, 0.1)})
        gathering = gathering.with_look(
            lon=LON, lat=LAT, covariance_m2=np.diag([16.01, 16.01]), flight=flight, moves_m=moves
        )
    covariance = gathering.estimate(floor_m=0.0, extended=False)[2]
    np.testing.assert_allclose(np.sqrt(np.diag(covariance)), 4.0, rtol=0.02)


def test_sums_of_other_causes_are_not_current() -> None:
    gathering = look_at(empty(), np.zeros(2), np.eye(2), "f")
    assert gathering.current
    short = msgspec.structs.replace(gathering.by_flight["f"], vector=(0.0,) * 5)
    assert not msgspec.structs.replace(gathering, by_flight={"f": short}).current
    assert not empty().current
