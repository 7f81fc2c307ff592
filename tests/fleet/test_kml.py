"""KML plans: written whole, moved in a map program, drawn by hand, and hostile."""

from __future__ import annotations

import math
import time
import xml.etree.ElementTree as ET
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.conversion import convert_file, read_plan, write_plan
from fleet.errors import PlanFileInvalid
from fleet.kml import from_kml, to_kml
from fleet.missions import MissionItem, mission_hash
from geo.markup import MOST_ELEMENTS
from geo.positions import Altitude, Datum, Position
from tests.fleet.conftest import survey
from tests.fleet.test_waypoints import HOME, homes, plans, same

HEAD = '<?xml version="1.0" encoding="UTF-8"?>\n<kml xmlns="http://www.opengis.net/kml/2.2">\n'


def kml(body: str) -> bytes:
    return f"{HEAD}<Document>\n{body}\n</Document></kml>".encode()


def route(mode: str | None, places: str, kind: str = "LineString") -> bytes:
    said = "" if mode is None else f"<altitudeMode>{mode}</altitudeMode>"
    return kml(f"<Placemark>\n<{kind}>{said}\n<coordinates>{places}</coordinates></{kind}></Placemark>")


@settings(max_examples=100, deadline=None)
@given(plan=plans, home=homes)
def test_any_plan_comes_back_to_the_last_bit(plan: list[MissionItem], home: Position) -> None:
    found = from_kml(to_kml(plan, home=home).encode())
    assert same(found.items, plan)
    assert found.home == home
    assert found.notes == ()


def test_a_map_program_sees_the_way_at_its_height() -> None:
    terrain = MissionItem(frame=10, command=16, x=432380000, y=769450000, z=40.0)
    root = ET.fromstring(to_kml([*survey(), terrain], home=HOME))
    name = "{http://www.opengis.net/kml/2.2}"
    points = root.findall(f".//{name}Point")
    modes = [point.findtext(f"{name}altitudeMode") for point in points]
    assert modes == ["absolute"] * (len(points) - 1) + ["relativeToGround"]
    first = points[2].findtext(f"{name}coordinates") or ""
    lon, lat, amsl_m = (float(part) for part in first.split(","))
    assert (lon, lat) == (survey()[3].y / 1e7, survey()[3].x / 1e7)
    assert amsl_m == pytest.approx(800.09 + 30.29, abs=1e-6)
    assert root.find(f".//{name}LineString") is None, "one line has one kind of height"
    line = ET.fromstring(to_kml(survey(), home=HOME)).find(f".//{name}LineString")
    assert line is not None
    assert len((line.findtext(f"{name}coordinates") or "").split()) == 5


def test_a_point_that_was_moved_in_a_map_program_is_followed() -> None:
    text = to_kml(survey(), home=HOME)
    third = survey()[3]
    place = f"{third.y / 1e7:.7f},{third.x / 1e7:.7f},"
    head, _, tail = text.partition(f"<coordinates>{place}")
    height, _, rest = tail.partition("<")
    moved = from_kml(f"{head}<coordinates>76.9461,43.2391,{float(height) + 5.0}<{rest}".encode()).items
    assert (moved[3].frame, moved[3].x, moved[3].y) == (3, 432391000, 769461000)
    assert moved[3].z == pytest.approx(third.z + 5.0, abs=1e-6)
    assert [item for index, item in enumerate(moved) if index != 3] == [
        msgspec.structs.replace(item, frame=3 if item.frame == 6 else item.frame)
        for index, item in enumerate(survey())
        if index != 3
    ]
    unmoved = from_kml(f"{head}<coordinates>{place}{float(height) + 0.001}<{rest}".encode()).items
    assert unmoved[3].z == third.z


def test_a_line_drawn_by_hand_is_a_route_of_waypoints() -> None:
    found = from_kml(route("absolute", "76.94,43.23,850 76.95,43.24,860.5\n76.96,43.25,870"))
    assert [(item.frame, item.command, item.x, item.y, item.z) for item in found.items] == [
        (0, 16, 432300000, 769400000, 850.0),
        (0, 16, 432400000, 769500000, 860.5),
        (0, 16, 432500000, 769600000, 870.0),
    ]
    assert all(math.isnan(item.params[3]) for item in found.items), "the nose is left as it is"
    assert found.home is None
    assert "no take-off" in found.notes[0]
    assert [item.frame for item in from_kml(route("relativeToGround", "76.94,43.23,50", "Point")).items] == [10]


def test_a_line_without_heights_is_flown_at_the_height_that_is_given() -> None:
    for mode in (None, "clampToGround"):
        with pytest.raises(PlanFileInvalid, match="line 5: LineString: altitudeMode: clampToGround has no height"):
            from_kml(route(mode, "76.94,43.23,0 76.95,43.24,0"))
        found = from_kml(route(mode, "76.94,43.23,0 76.95,43.24"), height_m=60.0)
        assert [(item.frame, item.z) for item in found.items] == [(3, 60.0), (3, 60.0)]
    with pytest.raises(PlanFileInvalid, match="no height in the coordinates"):
        from_kml(route("absolute", "76.94,43.23"), height_m=60.0)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "line 1: not XML"),
        (b"<kml><Document></kml>", "line 1: not XML: mismatched tag"),
        (b'<?xml version="1.0" encoding="x-odd"?><kml/>', "line 1: not XML"),
        (kml(""), "no Placemark with a Point"),
        (kml("<Placemark><name>x</name></Placemark>"), "no Placemark with a Point"),
        (kml("<Placemark>\n<Polygon/></Placemark>"), "line 5: Polygon: is no point"),
        (kml("<Placemark><Point/></Placemark>"), "line 4: Point: has no coordinates"),
        (route("absolute", "76.9,43.2,1\n76.9;43.2"), "line 6: coordinates: place 1: '76.9;43.2'"),
        (route("absolute", "76.9,43.2,nan"), "line 6: coordinates: place 0"),
        (route("absolute", "76.9,93.2,1"), "line 5: LineString: latitude: 93.2 deg"),
        (route("aboveSeaFloor", "76.9,43.2,1"), "line 5: altitudeMode: 'aboveSeaFloor'"),
        (kml("<a>" * 70 + "</a>" * 70), "line 4: elements lie deeper than 64"),
        (kml("<a/>" * MOST_ELEMENTS), f"line 4: more than {MOST_ELEMENTS} elements"),
    ],
)
def test_what_is_no_plan_is_refused_with_the_line(text: bytes, words: str) -> None:
    with pytest.raises(PlanFileInvalid) as caught:
        from_kml(text)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            '<Data name="frame">\n          <value>3</value>',
            '<Data name="frame">\n<value>x</value>',
            "'x' is no number",
        ),
        ('<Data name="frame">\n          <value>3</value>', '<Data name="frame">', "Data frame: '' is no number"),
        (
            '<Data name="command">\n          <value>22</value>',
            '<Data name="command"><value>2.5</value>',
            "2.5 is no whole",
        ),
        ('name="param2"', 'name="other"', "line 12: Placemark: has no Data of the name param2"),
        ('id="home"', 'id="hone"', "line 12: Placemark item-0: its height is above home"),
    ],
)
def test_data_of_an_item_that_is_spoiled_is_refused(old: str, new: str, words: str) -> None:
    text = to_kml(survey(), home=HOME)
    assert old in text
    spoiled = text.replace(old, new, 1)
    with pytest.raises(PlanFileInvalid) as caught:
        from_kml(spoiled.encode())
    assert words in str(caught.value)


def test_hostile_xml_is_refused_at_once(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("76.9,43.2,1")
    laughs = "".join(f'<!ENTITY l{n + 1} "{f"&l{n};" * 10}">' for n in range(9))
    entities = (
        f"<!DOCTYPE kml [<!ENTITY l0 '76.9,43.2,1 '>{laughs}]>",
        f"<!DOCTYPE kml [<!ENTITY l9 SYSTEM 'file://{secret}'>]>",
        f"<!DOCTYPE kml SYSTEM '{secret.as_uri()}'>",
        "<!DOCTYPE kml [<!ENTITY % l9 SYSTEM 'http://127.0.0.1:9/x'> %l9;]>",
    )
    body = "<kml><Placemark><LineString><coordinates>&l9;</coordinates></LineString></Placemark></kml>"
    for doctype in entities:
        start_s = time.monotonic()
        with pytest.raises(PlanFileInvalid, match="line 1: <!DOCTYPE"):
            from_kml((doctype + body).encode())
        assert time.monotonic() - start_s < 1.0
    with pytest.raises(PlanFileInvalid, match="undefined entity"):
        from_kml(body.encode())


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(PlanFileInvalid, match="item 0: its height is above home"):
        to_kml(survey(), home=None)
    with pytest.raises(PlanFileInvalid, match="item 0: KML has no height like those of MAV_FRAME 1"):
        to_kml([MissionItem(frame=1, command=16, x=1, y=1)], home=HOME)
    with pytest.raises(PlanFileInvalid, match="at least one"):
        to_kml([], home=HOME)
    with pytest.raises(PlanFileInvalid, match="infinite"):
        to_kml([MissionItem(frame=2, command=178, params=(math.inf, 0, 0, 0))], home=HOME)


def test_files_convert_in_a_ring_without_a_difference(tmp_path: Path) -> None:
    plan = [*survey(), MissionItem(frame=2, command=177, params=(3.0, 2.0, 0.0, 0.0))]
    names = ("a.waypoints", "b.kml", "c.plan", "d.kmz", "e.waypoints")
    write_plan(tmp_path / names[0], plan, HOME)
    summaries = [convert_file(tmp_path / source, tmp_path / target) for source, target in pairwise(names)]
    assert (tmp_path / names[0]).read_bytes() == (tmp_path / names[-1]).read_bytes()
    assert {summary["hash"] for summary in summaries} == {mission_hash(plan)}
    assert summaries[0]["home"] == [HOME.lon, HOME.lat, 800.09]
    assert "ExtendedData" in summaries[0]["notes"][0]
    assert not list(tmp_path.glob("*.part"))


def test_the_content_says_what_a_file_is_and_errors_name_the_file(tmp_path: Path) -> None:
    path = tmp_path / "plan.txt"
    write_plan(tmp_path / "x.kml", survey(), HOME)
    path.write_bytes(b"\xef\xbb\xbf" + (tmp_path / "x.kml").read_bytes())
    assert mission_hash(read_plan(path).items) == mission_hash(survey())
    for content, words in (
        (b"PK\x03\x04", "plan.txt: is a zip without an end"),
        (b"words", "plan.txt: is neither QGroundControl plan, .*, Litchi CSV, GeoJSON"),
        (b"{}", 'plan.txt: "fileType" is not'),
        (b"QGC WPL 110\n\xff", "plan.txt: byte 12: is not UTF-8"),
        (b"QGC WPL 110\n0 0", "plan.txt: line 2: 2 columns"),
    ):
        path.write_bytes(content)
        with pytest.raises(PlanFileInvalid, match=words):
            read_plan(path)
    with pytest.raises(PlanFileInvalid, match="cannot be read"):
        read_plan(tmp_path / "none.plan")
    with pytest.raises(PlanFileInvalid, match=r"is none of \.plan, \.waypoints, \.csv, \.geojson"):
        write_plan(path, survey(), HOME)
    with pytest.raises(PlanFileInvalid, match=r"home: a \.plan must say"):
        write_plan(tmp_path / "y.plan", survey(), None)
    low = Position(lon=1.0, lat=1.0, altitude=Altitude(0.0, Datum.AMSL))
    (tmp_path / "r.kml").write_bytes(route(None, "76.94,43.23 76.95,43.24"))
    assert convert_file(tmp_path / "r.kml", tmp_path / "r.plan", home=low, height_m=30.0)["items"] == 2


@settings(max_examples=300, deadline=None)
@given(
    name=st.sampled_from(("x.waypoints", "x.kml", "x.plan")),
    at=st.floats(0, 1),
    cut=st.integers(0, 40),
    put=st.binary(max_size=8) | st.sampled_from((b"1e999", b"NaN", b"-1", b"null", b"<Point>", b"{", b"[", b"\t")),
)
def test_a_spoiled_file_is_a_plan_or_is_refused(name: str, at: float, cut: int, put: bytes) -> None:
    """Whatever is cut out of a good file and put in its place: nothing but PlanFileInvalid is raised."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / name
        write_plan(path, [*survey(), MissionItem(frame=2, command=177, params=(3.0, 2.0, 0.0, 0.0))], HOME)
        whole = path.read_bytes()
        start = int(at * len(whole))
        path.write_bytes(whole[:start] + put + whole[start + cut :])
        with suppress(PlanFileInvalid):
            found = read_plan(path)
            assert all(abs(item.x) < 1 << 31 and abs(item.y) < 1 << 31 for item in found.items)
            assert all(math.isfinite(item.z) for item in found.items)
