"""Flights that a battery lasts for: never more than needed, never one without a way home."""

from __future__ import annotations

import itertools
import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.air import Conditions, Wind
from fleet.airframes import Airframe
from fleet.endurance import landing_cost, path_costs, takeoff_cost
from fleet.errors import BeyondBattery
from fleet.returns import return_margins
from fleet.sortie_breaks import PieceCosts, Sortie, breaks
from geo.positions import LocalPlane

QUADROTOR = Airframe()
PLANE = LocalPlane(lon=76.9, lat=43.2)


def costs(seed: int, count: int, places: int) -> PieceCosts:
    """Random ones, here and there a way that cannot be flown."""
    rng = np.random.default_rng(seed)

    def some(*shape: int) -> tuple[np.ndarray, np.ndarray]:
        energies = rng.uniform(1.0, 12.0, shape)
        return rng.uniform(10.0, 500.0, shape), np.where(rng.random(shape) < 0.05, np.inf, energies)

    (work_s, work_wh), (way_s, way_wh) = some(count), some(count)
    (out_s, out_wh), (back_s, back_wh) = some(places, count), some(count, places)
    return PieceCosts(work_s, work_wh, way_s, way_wh, out_s, out_wh, back_s, back_wh)


def brute(made: PieceCosts, usable_wh: float, swap_s: np.ndarray, end: int | None) -> tuple[int, float] | None:
    """Fewest flights and their time, by trying every set of breaks and every place."""
    count, places = made.back_wh.shape
    best: tuple[int, float] | None = None
    for flights in range(1, count + 1):
        for cuts in itertools.combinations(range(1, count), flights - 1):
            marks = (0, *cuts, count)
            for landed in itertools.product(range(places), repeat=flights):
                if end is not None and landed[-1] != end:
                    continue
                total_s, fits = float(sum(swap_s[place] for place in landed[:-1])), True
                for number, (first, last) in enumerate(itertools.pairwise(marks)):
                    start = 0 if number == 0 else landed[number - 1]
                    energy_wh = made.out_wh[start, first]
                    for piece in range(first, last):
                        energy_wh += made.work_wh[piece] + (made.way_wh[piece] if piece > first else 0.0)
                        fits = fits and energy_wh + made.back_wh[piece].min() <= usable_wh
                    fits = fits and energy_wh + made.back_wh[last - 1, landed[number]] <= usable_wh
                    total_s += made.out_s[start, first] + made.work_s[first:last].sum()
                    total_s += made.way_s[first + 1 : last].sum() + made.back_s[last - 1, landed[number]]
                if fits and (best is None or (flights, total_s) < best):
                    best = flights, total_s
        if best is not None:
            return best
    return best


@given(seed=st.integers(0, 2**32), count=st.integers(1, 5), places=st.integers(1, 3), anywhere=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_other_breaks_make_fewer_or_shorter_flights(seed: int, count: int, places: int, anywhere: bool) -> None:
    made, swap_s = costs(seed, count, places), np.linspace(60.0, 300.0, places)
    end = None if anywhere else 0
    best = brute(made, 40.0, swap_s, end)
    if best is None:
        with pytest.raises(BeyondBattery):
            breaks(made, usable_wh=40.0, swap_s=swap_s, end=end)
        return
    found = breaks(made, usable_wh=40.0, swap_s=swap_s, end=end)
    total_s = sum(sortie.duration_s for sortie in found) + sum(swap_s[sortie.lands] for sortie in found[:-1])
    assert (len(found), total_s) == (best[0], pytest.approx(best[1]))
    assert [sortie.first for sortie in found] == [0, *(sortie.last for sortie in found[:-1])]
    assert found[-1].last == count
    assert all(sortie.energy_wh <= 40.0 for sortie in found)
    assert all(before.lands == after.takes_off for before, after in itertools.pairwise(found))


def test_items_count_besides_the_battery() -> None:
    made = costs(1, 6, 1)
    least = breaks(made, usable_wh=1e9)
    assert len(least) == 1
    parts = breaks(made, usable_wh=1e9, items=np.full(6, 100), most_items=250)
    assert [sortie.last - sortie.first for sortie in parts] == [2, 2, 2]


def survey(lines: int = 40, length_m: float = 1500.0, piece_m: float = 250.0) -> tuple[np.ndarray, ...]:
    """Lines to and fro 60 m apart at 80 m over ground at 800 m AMSL, cut in pieces: path, begins, ends."""
    path: list[tuple[float, float, float]] = []
    begins, ends = [], []
    shares = np.linspace(0.0, length_m, round(length_m / piece_m) + 1)
    for line in range(lines):
        for north in shares if line % 2 == 0 else shares[::-1]:
            path.append((60.0 * line, float(north), 880.0))
        rows = range(len(path) - len(shares), len(path) - 1)
        begins += rows
        ends += [row + 1 for row in rows]
    return np.array(path), np.array(begins), np.array(ends)


def pieces(places: np.ndarray, conditions: Conditions, **made: float) -> tuple[PieceCosts, np.ndarray]:
    path, begins, ends = survey(**made)
    found = PieceCosts.of_path(
        QUADROTOR, path, begins, ends, places=places, speed_m_s=10.0, return_amsl_m=870.0, conditions=conditions
    )
    return found, path


def test_a_survey_is_split_into_flights_that_can_always_return() -> None:
    home, wind = np.array([(0.0, -200.0, 800.0)]), Conditions(wind=Wind.blowing(5.0, 200.0, exponent=0.0))
    made, path = pieces(home, wind)
    flights = breaks(made, usable_wh=QUADROTOR.usable_wh, swap_s=120.0)
    _, begins, ends = survey()
    assert len(flights) > 3
    for flight in flights:
        rows = slice(begins[flight.first], ends[flight.last - 1] + 1)
        start = path[begins[flight.first]]
        level = np.array([(home[0, 0], home[0, 1], 880.0), start])
        used_wh = takeoff_cost(QUADROTOR, climb_m=80.0, conditions=wind).energy_wh
        used_wh += path_costs(QUADROTOR, level, speed_m_s=10.0, conditions=wind)[1].sum()
        margins = return_margins(
            QUADROTOR, path[rows], landings=home, usable_wh=QUADROTOR.usable_wh, speed_m_s=10.0, return_amsl_m=870.0,
            used_wh=used_wh, conditions=wind,
        )  # fmt: skip
        assert margins.margin_wh.min() >= 0.0
        assert margins.used_wh[-1] + margins.home_wh[-1] == pytest.approx(flight.energy_wh, abs=1.0)
    docks = np.vstack([home, (1200.0, 1700.0, 800.0), (2400.0, -200.0, 800.0)])
    with_docks = breaks(pieces(docks, wind)[0], usable_wh=QUADROTOR.usable_wh, swap_s=120.0, end=None)
    assert len(with_docks) <= len(flights)
    assert sum(each.duration_s for each in with_docks) < sum(each.duration_s for each in flights)


def test_a_piece_out_of_reach_is_named_with_place_and_energy() -> None:
    made, path = pieces(np.array([(-9000.0, 0.0, 800.0)]), Conditions(), lines=2)
    lonlat = np.column_stack(PLANE.to_lonlat(path[:, 0], path[:, 1]))[survey(lines=2)[1]]
    with pytest.raises(
        BeyondBattery, match=r"lon 76\.9\d+, lat 43\.2\d+: 2\d\d\.\d Wh needed .* 133\.2 Wh usable"
    ) as told:
        breaks(made, usable_wh=QUADROTOR.usable_wh, lonlat=lonlat)
    assert told.value.number == 0
    storm = Conditions(wind=Wind.blowing(9.5, 270.0, exponent=0.0))
    with pytest.raises(BeyondBattery, match="cannot be flown to and returned from in this wind"):
        breaks(
            PieceCosts.of_path(
                QUADROTOR, np.array([(900.0, 0.0, 880.0), (900.0, 300.0, 880.0)]), np.array([0]), np.array([1]),
                places=np.array([(0.0, 0.0, 800.0)]), speed_m_s=12.0, return_amsl_m=870.0, conditions=storm,
            ),
            usable_wh=1e9,
        )  # fmt: skip


def test_the_first_point_without_a_way_home_is_named() -> None:
    path = np.array([(0.0, 0.0, 900.0), (0.0, 6000.0, 900.0)])
    home, rally = (0.0, 0.0, 800.0), (0.0, 6500.0, 790.0)
    wind = Conditions(wind=Wind.blowing(7.0, 180.0, exponent=0.0))

    def margins(*landings: tuple[float, float, float], return_speed_m_s: float = 10.0):  # type: ignore[no-untyped-def]
        return return_margins(
            QUADROTOR, path, landings=np.array(landings), usable_wh=130.0, speed_m_s=10.0, return_amsl_m=870.0,
            return_speed_m_s=return_speed_m_s, conditions=wind,
        )  # fmt: skip

    alone = margins(home)
    number = alone.first_short
    assert number is not None
    assert 0 < number < len(alone.points) - 1
    assert alone.margin_wh[number - 1] >= 0.0
    assert alone.points[number, 1] - alone.points[number - 1, 1] <= 100.0
    with pytest.raises(BeyondBattery, match=r"lon 76\.9\d+, lat 43\.2\d+: .* Wh to return, 130\.0 Wh usable") as told:
        alone.check(PLANE)
    assert (told.value.number, told.value.usable_wh) == (number, 130.0)
    both = margins(home, rally)
    assert both.first_short is None
    both.check(PLANE)
    assert set(both.landing.tolist()) == {0, 1}
    stuck = margins(home, return_speed_m_s=15.0)
    assert math.isinf(stuck.home_wh[5])
    with pytest.raises(BeyondBattery, match="no way to return against the wind"):
        stuck.check(PLANE)
    down = landing_cost(QUADROTOR, descent_m=100.0, conditions=wind)
    assert alone.home_wh[0] == pytest.approx(down.energy_wh)


@pytest.mark.parametrize("places", [1, 4])
def test_two_thousand_pieces_are_split_within_a_tenth_of_a_second(places: int) -> None:
    homes = np.column_stack([np.linspace(0.0, 18000.0, places), np.full(places, -200.0), np.full(places, 800.0)])
    made, _ = pieces(homes, Conditions(), lines=334, length_m=1500.0)
    kept: tuple[Sortie, ...] = ()
    taken_s: list[float] = []
    for _ in range(4):
        began_s = time.process_time()
        kept = breaks(made, usable_wh=1500.0, swap_s=120.0)
        taken_s.append(time.process_time() - began_s)
    assert kept[-1].last == 334 * 6
    assert min(taken_s) < 0.1, f"{min(taken_s) * 1e3:.0f} ms"
