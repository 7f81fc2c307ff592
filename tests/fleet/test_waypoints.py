""".waypoints files: as Mission Planner and MAVProxy write and read them, and back without a difference."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymavlink import mavwp

from fleet.conversion import write_plan
from fleet.errors import PlanFileInvalid
from fleet.missions import FRAMES, POSITION_COMMANDS, MissionItem, has_position, mission_hash
from fleet.qgc import from_plan, plan_json, to_plan
from fleet.waypoints import from_waypoints, to_waypoints
from geo.positions import Altitude, Datum, Position
from tests.fleet.conftest import survey

HOME = Position(lon=76.945, lat=43.238, altitude=Altitude(800.09, Datum.AMSL))

MISSION_PLANNER = (
    "QGC WPL 110\r\n"
    "0\t1\t0\t16\t0\t0\t0\t0\t43.2380000\t76.9450000\t800.090000\t1\r\n"
    "1\t0\t3\t22\t15.00000000\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t30.000000\t1\r\n"
    "2\t0\t10\t16\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t43.23890130\t76.94612270\t25.500000\t1\r\n"
    "3\t0\t3\t206\t12.50000000\t0.00000000\t1.00000000\t0.00000000\t0.00000000\t0.00000000\t0.000000\t1\r\n"
    "4\t0\t0\t16\t0.00000000\t0.00000000\t0.00000000\tNaN\t-43.23890130\t-76.94612270\t825.500000\t0\r\n"
    "5\t0\t3\t177\t2.00000000\t3.00000000\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t0.000000\t1\r\n"
    "6\t0\t3\t20\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t0.00000000\t0.000000\t1\r\n"
)


def float32(value: float) -> float:
    return float(np.float32(value))


numbers = st.floats(width=32, allow_infinity=False)
finite = st.floats(width=32, allow_infinity=False, allow_nan=False)
whole = st.integers(-(1 << 31) + 1, (1 << 31) - 1)
parameters = st.tuples(numbers, numbers, numbers, numbers)
placed = st.builds(
    MissionItem,
    frame=st.sampled_from((0, 3, 10)),
    command=st.sampled_from(sorted(POSITION_COMMANDS)),
    params=parameters,
    x=st.integers(-900_000_000, 900_000_000),
    y=st.integers(-1_800_000_000, 1_800_000_000),
    z=finite,
    autocontinue=st.booleans(),
)
placeless = st.builds(
    MissionItem,
    frame=st.sampled_from((0, 2, 3)),
    command=st.sampled_from((20, 93, 112, 178, 203, 205, 206, 2000, 31010)),
    params=parameters,
    x=whole,
    y=whole,
    z=finite,
    autocontinue=st.booleans(),
)
plans = st.lists(placed | placeless, min_size=1, max_size=8)
homes = st.builds(
    lambda x, y, z: Position(lon=y / 1e7, lat=x / 1e7, altitude=Altitude(z, Datum.AMSL)),
    st.integers(1, 900_000_000),
    st.integers(-1_800_000_000, 1_800_000_000),
    finite,
)


def same(left: list[MissionItem], right: list[MissionItem]) -> bool:
    """Equal to the last bit, NaN the same as NaN."""
    return [repr(item) for item in left] == [repr(item) for item in right]


@settings(max_examples=150, deadline=None)
@given(plan=plans, home=homes)
def test_any_plan_comes_back_to_the_last_bit(plan: list[MissionItem], home: Position) -> None:
    found = from_waypoints(to_waypoints(plan, home=home))
    assert same(found.items, plan)
    assert found.home == home
    other = from_plan(plan_json(to_plan(plan, home=home)))
    assert same(other.items, plan)
    assert other.home == home


def test_a_file_of_mission_planner_is_read() -> None:
    found = from_waypoints(MISSION_PLANNER)
    assert found.home == HOME
    assert [(item.frame, item.command) for item in found.items] == [
        (3, 22), (10, 16), (3, 206), (0, 16), (3, 177), (3, 20),
    ]  # fmt: skip
    assert found.items[0].params[0] == 15.0
    assert (found.items[1].x, found.items[1].y, found.items[1].z) == (432389013, 769461227, 25.5)
    assert (found.items[3].x, found.items[3].autocontinue) == (-432389013, False)
    assert math.isnan(found.items[3].params[3])
    assert found.items[4].params[:2] == (1.0, 3.0), "line 2 is the second item, number 1 of a plan"
    assert same(from_waypoints(to_waypoints(found.items, home=HOME)).items, found.items)


def test_mavproxy_reads_the_same_mission(tmp_path: Path) -> None:
    """pymavlink's own loader, which MAVProxy uses, on what we write."""
    plan = [*survey(), MissionItem(frame=2, command=177, params=(3.0, 2.0, 0.0, 0.0))]
    path = tmp_path / "survey.waypoints"
    path.write_text(to_waypoints(plan, home=HOME), newline="")
    loader = mavwp.MAVWPLoader()
    assert loader.load(str(path)) == len(plan) + 1
    home = loader.wp(0)
    assert (home.command, home.frame, home.current) == (16, 0, 1)
    assert (home.x, home.y, home.z) == (HOME.lat, HOME.lon, 800.09)
    for item, seq in zip(plan, range(1, 100), strict=False):
        theirs = loader.wp(seq)
        assert (theirs.seq, theirs.command, theirs.current) == (seq, item.command, 0)
        assert theirs.frame == FRAMES.get(item.frame, item.frame), "6 would be read as above sea level"
        scale = 1e7 if has_position(item) else 1.0
        assert (round(theirs.x * scale), round(theirs.y * scale), theirs.z) == (item.x, item.y, item.z)
    assert loader.wp(len(plan)).param1 == 4.0, "a jump counts the home line"


@pytest.mark.slow
def test_mavsdk_reads_the_same_mission_in_both_formats(tmp_path: Path) -> None:
    """Its C++ readers of .plan and .waypoints (it cuts places off to 1e-7 deg, and leaves jumps as they are)."""
    plan = [*survey(), MissionItem(frame=2, command=177, params=(3.0, 2.0, 0.0, 0.0))]
    readers = []
    for name in ("survey.plan", "survey.waypoints"):
        write_plan(tmp_path / name, plan, HOME, autopilot="px4")
        command = [sys.executable, "-m", "tests.fleet.mavsdk_import", str(tmp_path / name), "12"]
        readers.append(subprocess.Popen(command, cwd=Path(__file__).parents[2], stdout=subprocess.PIPE, text=True))
    of_plan, of_waypoints = (json.loads(reader.communicate(timeout=120)[0].splitlines()[-1]) for reader in readers)
    home, *listed = of_waypoints
    assert home["place"][:2] == [432380000, 769450000]
    assert home["place"][2] == pytest.approx(800.09)
    for found in (of_plan, listed):
        assert [item["command"] for item in found] == [item.command for item in plan]
        for ours, theirs in zip(plan, found, strict=True):
            params = (4.0, *ours.params[1:]) if ours.command == 177 else ours.params
            assert (theirs["frame"], theirs["params"]) == (FRAMES.get(ours.frame, ours.frame), list(params))
            assert theirs["place"][2] == pytest.approx(ours.z, rel=1e-6)
            assert theirs["place"][:2] == pytest.approx([ours.x, ours.y], abs=1.01)
            assert theirs["autocontinue"]


def test_what_mavproxy_writes_is_read(tmp_path: Path) -> None:
    path = tmp_path / "survey.waypoints"
    path.write_text(to_waypoints(survey(), home=HOME))
    loader = mavwp.MAVWPLoader()
    loader.load(str(path))
    loader.wp(3).comment = "first corner"
    loader.save(str(path))
    assert "# first corner" in path.read_text()
    assert mission_hash(from_waypoints(path.read_text()).items) != mission_hash(survey()), "it writes six decimals"
    rounded = [round(item.x / 10) for item in from_waypoints(path.read_text()).items]
    assert rounded == [round(item.x / 10) for item in survey()]


def test_a_home_that_is_not_known_is_a_line_of_zeros() -> None:
    text = to_waypoints(survey(), home=None)
    assert text.splitlines()[1] == "0\t1\t0\t16\t0\t0\t0\t0\t0\t0\t0\t1"
    assert from_waypoints("\ufeff" + text).home is None
    assert mission_hash(from_waypoints(text).items) == mission_hash(survey())


def broken(line: int, column: int, cell: str) -> str:
    """The file above with one cell spoiled; lines count from 1, columns from 0."""
    lines = MISSION_PLANNER.splitlines()
    cells = lines[line - 1].split("\t")
    cells[column] = cell
    lines[line - 1] = "\t".join(cells)
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: is not"),
        ("QGC WPL 120\n", "line 1: is not"),
        ("QGC WPL 110\n", "line 1: the file ends before the home"),
        (MISSION_PLANNER.replace("\t25.500000", ""), "line 4: 11 columns"),
        (broken(3, 0, "2"), "line 3: index: 2, where 1 comes next"),
        (broken(3, 1, "2"), "line 3: current: 2"),
        (broken(3, 2, "x"), "line 3: frame: 'x' is no whole number"),
        (broken(3, 2, "999"), "line 3: frame: 999"),
        (broken(3, 3, "16.0"), "line 3: command: '16.0' is no whole number"),
        (broken(3, 3, "70000"), "line 3: command: 70000"),
        (broken(3, 4, "1,5"), "line 3: param1: '1,5' is no number"),
        (broken(3, 5, "inf"), "line 3: param2: inf"),
        (broken(3, 5, "1e39"), "line 3: param2: 1e+39"),
        (broken(4, 8, "95"), "line 4: latitude: 95 deg"),
        (broken(4, 9, "-181"), "line 4: longitude: -181 deg"),
        (broken(4, 10, "nan"), "line 4: altitude: is not given"),
        (broken(5, 8, "43.2"), "line 5: param5: 43.2 of command 206"),
        (broken(5, 9, "3e9"), "line 5: param6: 3e+09 of command 206"),
        (broken(4, 11, "2"), "line 4: autocontinue: 2"),
        (broken(7, 4, "9"), "item 4: param1: jumps to line 9"),
        (broken(7, 4, "0"), "item 4: param1: jumps to line 0"),
        (broken(2, 3, "22"), "line 2: command: the first line is ArduPilot's home"),
        (broken(2, 2, "3"), "line 2: command: the first line is ArduPilot's home"),
        (broken(2, 8, "91"), "line 2: home: 91, 76.945 deg"),
    ],
)
def test_a_broken_file_is_refused_with_line_and_column(text: str, words: str) -> None:
    with pytest.raises(PlanFileInvalid) as caught:
        from_waypoints(text)
    assert words in str(caught.value)


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(PlanFileInvalid, match="at least one"):
        to_waypoints([], home=HOME)
    with pytest.raises(PlanFileInvalid, match="AMSL"):
        to_waypoints(survey(), home=msgspec.structs.replace(HOME, altitude=Altitude(1.0, Datum.HOME)))
    with pytest.raises(PlanFileInvalid, match="item 0: a parameter is infinite"):
        to_waypoints([MissionItem(frame=3, command=16, params=(math.inf, 0, 0, 0))], home=HOME)
