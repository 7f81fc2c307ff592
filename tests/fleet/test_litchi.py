"""Litchi CSV: what the app exports is read, what is written says the same, and nothing is lost unsaid."""

from __future__ import annotations

import csv
import io
import itertools
import math
from contextlib import suppress
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.conversion import convert_file, read_plan, write_plan
from fleet.errors import PlanFileInvalid
from fleet.litchi import COLUMNS, MOST_ACTIONS, from_litchi, to_litchi
from fleet.missions import MissionItem, mission_hash
from geo.area_files import read_features
from geo.positions import Altitude, Datum, Position
from tests.fleet.conftest import survey
from tests.fleet.test_waypoints import same

HOME = Position(lon=76.945, lat=43.238, altitude=Altitude(800.0, Datum.AMSL))


def command(number: int, *params: float, z: float = 0.0) -> MissionItem:
    whole = (*params, 0.0, 0.0, 0.0, 0.0)
    return MissionItem(frame=2, command=number, params=(whole[0], whole[1], whole[2], whole[3]), z=z)


def waypoint(step: int, *, frame: int = 3, z: float = 50.0, hold_s: float = 0.0, yaw_deg: float = 0.0) -> MissionItem:
    params = (hold_s, 0.0, 0.0, yaw_deg)
    return MissionItem(frame=frame, command=16, params=params, x=432380000 + 1000 * step, y=769450000, z=z)


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def line(**cells: object) -> str:
    """A file of one waypoint with these cells, others as the app leaves them."""
    usual = {"latitude": 43.2, "longitude": 76.9, "altitude(m)": 30} | {f"actiontype{n}": -1 for n in range(1, 16)}
    values = usual | {name.replace("_m_s", "(m/s)"): value for name, value in cells.items()}
    return ",".join(COLUMNS) + "\n" + ",".join(str(values.get(name, 0)) for name in COLUMNS) + "\n"


actions = st.lists(
    st.sampled_from(
        (
            command(93, 2.5, -1.0, -1.0, -1.0),
            command(2000, 0.0, 0.0, 1.0),
            command(2500),
            command(2501),
            command(115, 90.0),
        )
    ),
    max_size=3,
)
states = st.sampled_from(
    (
        (),
        (command(178, 1.0, 7.5, -1.0),),
        (command(206, 12.5, 0.0, 1.0),),
        (MissionItem(frame=3, command=195, x=432390000, y=769460000, z=10.0),),
        (command(2000, 0.0, 3.0, 0.0),),
    )
)


@st.composite
def missions(draw: st.DrawFn) -> list[MissionItem]:
    """Waypoints with what may follow each, in the order in which a file is read; each state is set but once."""
    items: list[MissionItem] = []
    used: set[int] = set()
    for step in range(draw(st.integers(1, 5))):
        z, yaw_deg = draw(st.integers(-20000, 50000)) / 100.0, draw(st.integers(0, 359)) * 1.0
        hold_s = draw(st.sampled_from((0.0, 1.5, 32.0)))
        items.append(waypoint(step, frame=draw(st.sampled_from((3, 10))), z=z, hold_s=hold_s, yaw_deg=yaw_deg))
        state = draw(states)
        items += [item for item in state if item.command not in used]
        used |= {item.command for item in state}
        after = draw(actions)
        items += after if hold_s else itertools.dropwhile(lambda item: item.command == 93, after)
        used |= {2000} if any(item.command == 2000 for item in after) else set()
    return items


@settings(max_examples=60, deadline=None)
@given(mission=missions())
def test_what_the_format_can_hold_comes_back_to_the_last_bit(mission: list[MissionItem]) -> None:
    text, notes = to_litchi(mission, home=HOME)
    assert same(from_litchi(text).items, mission)
    assert notes == ()


def test_the_columns_are_those_of_the_app() -> None:
    """By name and number: 8, two for each of 15 actions, 8; one row a waypoint."""
    plan = [command(178, 1.0, 8.0, -1.0), command(205, -90.0, z=2.0), waypoint(0), waypoint(1, frame=10, z=40.0)]
    text, _ = to_litchi([*plan, command(206, 15.0, 0.0, 1.0), command(2000, 0.0, 0.0, 1.0)], home=None)
    assert len(COLUMNS) == 46
    first, second = rows(text)
    assert (first["latitude"], first["longitude"]) == ("43.2380000", "76.9450000")
    assert [float(row["altitude(m)"]) for row in (first, second)] == [50.0, 40.0]
    assert [row["altitudemode"] for row in (first, second)] == ["0", "1"]
    assert [(row["gimbalmode"], row["gimbalpitchangle"]) for row in (first, second)] == [("2", "-90")] * 2
    assert {row["speed(m/s)"] for row in (first, second)} == {"8"}
    assert [row["photo_distinterval"] for row in (first, second)] == ["-1", "15"]
    assert [row["actiontype1"] for row in (first, second)] == ["-1", "1"]


def test_a_survey_keeps_its_places_speed_camera_and_height() -> None:
    text, notes = to_litchi(survey(), home=HOME)
    assert "take-off" in notes[0]
    found = from_litchi(text).items
    flown = [item for item in survey() if item.command == 16]
    assert [(item.x, item.y) for item in found if item.command == 16] == [(item.x, item.y) for item in flown]
    assert [item.z for item in found if item.command == 16] == [item.z for item in flown]
    assert {item.params[1] for item in found if item.command == 178} == {8.0}
    assert {item.params[0] for item in found if item.command == 205} == {-90.0}
    free = [msgspec.structs.replace(item, params=(0.0, 0.0, 0.0, math.nan)) for item in flown]
    headings = [float(row["heading(deg)"]) for row in rows(to_litchi(free, home=None)[0])]
    assert headings[0] == pytest.approx(0.0, abs=0.1)
    assert headings[1] == pytest.approx(90.0, abs=0.1)


def test_heights_above_the_sea_need_the_home() -> None:
    amsl = [waypoint(0, frame=0, z=850.0)]
    assert float(rows(to_litchi(amsl, home=HOME)[0])[0]["altitude(m)"]) == 50.0
    with pytest.raises(PlanFileInvalid, match="item 0: its height is AMSL"):
        to_litchi(amsl, home=None)
    with pytest.raises(PlanFileInvalid, match="height: 850 m is not within -200 to 500 m"):
        to_litchi([waypoint(0, z=850.0)], home=HOME)


def test_what_the_format_has_nothing_for_is_refused() -> None:
    for item, words in (
        (command(177, 0.0, 2.0), "item 1: command 177: a Litchi CSV has nothing like it"),
        (MissionItem(frame=3, command=18, x=1, y=1), "command 18"),
        (command(115, 90.0, 0.0, 1.0, 1.0), "command 115"),
    ):
        with pytest.raises(PlanFileInvalid, match=words):
            to_litchi([waypoint(0), item], home=HOME)
    with pytest.raises(PlanFileInvalid, match="at least one waypoint"):
        to_litchi([command(178, 1.0, 8.0)], home=HOME)
    with pytest.raises(PlanFileInvalid, match="more than 15 actions"):
        to_litchi([waypoint(0), *[command(2500)] * (MOST_ACTIONS + 1)], home=HOME)


def test_a_changing_gimbal_is_tilted_by_actions() -> None:
    plan = [waypoint(0), command(205, -90.0, z=2.0), waypoint(1), command(205, -45.0, z=2.0)]
    text, _ = to_litchi(plan, home=None)
    assert [(row["gimbalmode"], row["actiontype1"], row["actionparam1"]) for row in rows(text)] == [
        ("0", "5", "-90"),
        ("0", "5", "-45"),
    ]
    assert same(from_litchi(text).items, plan)


def test_files_in_feet_and_of_fewer_columns_are_read() -> None:
    text = (
        "\ufefflatitude,longitude,altitude(ft),heading(deg),speed(m/s),poi_latitude,poi_longitude,poi_altitude(ft)\r"
        "43.2,76.9,100,0,5,43.21,76.91,50\r\r43.201,76.9,100,0,5,0,0,0\r"
    )
    found = from_litchi(text)
    assert [item.command for item in found.items] == [16, 178, 195, 16, 197]
    assert found.items[0].z == pytest.approx(30.48)
    assert found.items[2].z == pytest.approx(15.24)
    assert "take-off" in found.notes[0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "line 1: there is no column latitude"),
        ("latitude,longitude\n1,2\n", "line 1: there is no column altitude"),
        (",".join(COLUMNS) + "\n", "no waypoint follows"),
        (line(latitude="x"), "line 2: latitude: 'x' is no number"),
        (line(latitude=95), "line 2: latitude: 95 deg is beyond 90"),
        (line(longitude=""), "line 2: longitude: '' is no number"),
        (line(altitudemode=2), "line 2: altitudemode: 2 is none of 0 to 1"),
        (line(actiontype3=6), "line 2: actiontype3: 6 is none of -1 to 5"),
        (line(gimbalmode=0.5), "line 2: gimbalmode: 0.5 is none"),
        (line(speed_m_s="nan"), "line 2: speed.*'nan' is no number"),
        (line() + "1,2\n", "line 3: 2 columns, not 46"),
        (line().replace("speed(m/s)", "speed(mph)"), "read in m/s alone"),
    ],
)
def test_what_is_wrong_is_said_with_line_and_column(text: str, words: str) -> None:
    with pytest.raises(PlanFileInvalid, match=words):
        from_litchi(text)


def test_every_format_of_plans_gives_the_same_mission(tmp_path: Path) -> None:
    """A plan of what all formats hold, round through all of them."""
    plan = [waypoint(step, yaw_deg=10.0 * step, hold_s=2.0) for step in range(3)]
    names = ("a.csv", "b.plan", "c.waypoints", "d.kmz", "e.kml", "f.csv")
    write_plan(tmp_path / names[0], plan, HOME)
    done = [convert_file(tmp_path / s, tmp_path / t, home=HOME) for s, t in itertools.pairwise(names)]
    assert {one["hash"] for one in done} == {mission_hash(plan)}
    assert same(read_plan(tmp_path / names[-1]).items, plan)


@pytest.mark.parametrize("kind", [".geojson", ".gpkg", ".zip", ".shp"])
def test_a_plan_is_a_path_in_files_of_shapes(kind: str, tmp_path: Path) -> None:
    source, target = tmp_path / "a.waypoints", tmp_path / f"b{kind}"
    write_plan(source, survey(), HOME)
    if kind == ".shp":
        with pytest.raises(PlanFileInvalid, match="holds areas, lines or points, not several"):
            convert_file(source, target)
        return
    assert "path" in convert_file(source, target)["notes"][0]
    shapes = read_features(target)
    placed = [item for item in survey() if item.x]
    points = [shape for shape in shapes if shape.geometry.geom_type == "Point"]
    (way,) = [shape for shape in shapes if shape.geometry.geom_type == "LineString"]
    assert [round(point.geometry.y * 1e7) for point in points] == [item.x for item in placed]
    assert [point.attributes["height_m"] for point in points] == [item.z for item in placed]
    assert way.attributes["hash"] == mission_hash(survey())
    back = convert_file(target, tmp_path / "c.plan", home=HOME, height_m=40.0)
    assert back["items"] == len(placed)
    assert "line" in back["notes"][0], "not the points as well"
    with pytest.raises(PlanFileInvalid, match="at what height above home to fly"):
        convert_file(target, tmp_path / "c.plan", home=HOME)


@settings(max_examples=150, deadline=None)
@given(
    at=st.floats(0, 1), cut=st.integers(0, 40), put=st.text(max_size=8) | st.sampled_from(("1e999", "nan", '"', ","))
)
def test_a_spoiled_file_is_a_plan_or_is_refused(at: float, cut: int, put: str) -> None:
    text, _ = to_litchi(survey(), home=HOME)
    start = int(at * len(text))
    with suppress(PlanFileInvalid):
        found = from_litchi(text[:start] + put + text[start + cut :])
        assert msgspec.json.encode(found.items)
