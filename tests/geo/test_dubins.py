"""Ways with a turn radius end where they should, and no other of the six words is shorter."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from geo.dubins import bend, dubins_lengths_m, dubins_way
from tests.geo.test_turns import circles_fit

poses = st.tuples(st.floats(-300, 300), st.floats(-300, 300), st.floats(-7, 7))


def shortest_by_circles_m(start: tuple[float, ...], end: tuple[float, ...], radius_m: float) -> float:
    """The shortest of the words by tangents between the circles beside both poses: another way than geo's."""

    def beside(pose: tuple[float, ...], side: int) -> complex:
        return complex(pose[0], pose[1]) + side * radius_m * 1j * complex(math.cos(pose[2]), math.sin(pose[2]))

    def swept(side: int, first: float, last: float) -> float:
        angle = side * (last - first) % (2 * math.pi)
        return 0.0 if 2 * math.pi - angle < 1e-6 else radius_m * angle

    found = []
    for out, into in product((1, -1), repeat=2):
        one, other = beside(start, out), beside(end, into)
        away, toward = abs(other - one), math.atan2((other - one).imag, (other - one).real)
        if out == into and away < 1e-6:  # one circle
            found.append(swept(out, start[2], end[2]))
        elif out == into:
            found.append(swept(out, start[2], toward) + away + swept(out, toward, end[2]))
            if away <= 4 * radius_m:
                for lean in (1, -1):
                    third = math.acos(away / (4 * radius_m))
                    # headings where one circle touches the next, at right angles to the line between their middles
                    leave = toward + lean * third + out * math.pi / 2
                    enter = toward - lean * third - out * math.pi / 2
                    middle = swept(-out, leave, enter)
                    found.append(swept(out, start[2], leave) + middle + swept(out, enter, end[2]))
        elif away >= 2 * radius_m:
            straight = math.sqrt(away**2 - 4 * radius_m**2)
            heading = toward + out * math.atan2(2 * radius_m, straight)
            found.append(swept(out, start[2], heading) + straight + swept(into, heading, end[2]))
    return min(found)


@settings(max_examples=80, deadline=None)
@given(start=poses, end=poses, radius_m=st.floats(5, 150))
def test_as_short_as_by_circles(start: tuple[float, ...], end: tuple[float, ...], radius_m: float) -> None:
    ((length,),) = dubins_lengths_m(np.array([start]), np.array([end]), radius_m)
    assert length == pytest.approx(shortest_by_circles_m(start, end, radius_m), abs=1e-3)
    back = [(*pose[:2], pose[2] + math.pi) for pose in (end, start)]
    assert dubins_lengths_m(np.array(back[:1]), np.array(back[1:]), radius_m)[0, 0] == pytest.approx(length, abs=1e-3)


@settings(max_examples=100, deadline=None)
@given(start=poses, end=poses, radius_m=st.floats(5, 150), chord_error_m=st.floats(0.1, 1))
def test_drawn_ways_keep_the_radius(
    start: tuple[float, ...], end: tuple[float, ...], radius_m: float, chord_error_m: float
) -> None:
    way = dubins_way(np.array(start), np.array(end), radius_m, chord_error_m=chord_error_m)
    leads = [np.subtract(start[:2], unit(start[2])), *way, np.add(end[:2], unit(end[2]))]
    assert circles_fit(np.array(leads), radius_m)
    assert tuple(way[0]) == pytest.approx(start[:2])
    assert tuple(way[-1]) == pytest.approx(end[:2])
    drawn_m = np.hypot(*np.diff(way, axis=0).T).sum()
    length = dubins_lengths_m(np.array([start]), np.array([end]), radius_m)[0, 0]
    assert length - 1e-3 <= drawn_m <= 1.03 * length + 1e-3


@given(angle_rad=st.floats(-6, 6), heading_rad=st.floats(-4, 4))
def test_a_way_along_one_circle_is_no_longer_than_that(angle_rad: float, heading_rad: float) -> None:
    _, end = bend(np.array([70.0, 20.0]), heading_rad, angle_rad, 50.0, chord_error_m=0.2)
    start, last = (70.0, 20.0, heading_rad), (*end, heading_rad + angle_rad)
    assert dubins_lengths_m(np.array([start]), np.array([last]), 50.0)[0, 0] <= 50 * abs(angle_rad) + 1e-3


def unit(heading_rad: float) -> tuple[float, float]:
    return math.cos(heading_rad), math.sin(heading_rad)


def test_a_bend_ends_on_its_circle() -> None:
    corners, end = bend(np.zeros(2), 0.0, math.pi / 2, 50.0, chord_error_m=0.2)
    assert end == pytest.approx([50, 50])
    away = np.hypot(*(corners - [0, 50]).T)
    assert away.min() >= 50
    assert away.max() <= 50.2
