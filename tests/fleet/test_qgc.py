"""QGroundControl's .plan files, field by field as its developer guide has them."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest

from fleet.errors import PlanFileInvalid
from fleet.missions import MissionItem, mission_hash
from fleet.qgc import from_plan, plan_json, to_plan
from geo.positions import Altitude, Datum, Position
from tests.fleet.conftest import survey

HOME = Position(lon=76.945, lat=43.238, altitude=Altitude(800.0, Datum.AMSL))


def test_every_field_of_the_guide_is_there() -> None:
    document = json.loads(plan_json(to_plan(survey(), home=HOME)))
    assert set(document) == {"fileType", "geoFence", "groundStation", "mission", "rallyPoints", "version"}
    assert (document["fileType"], document["version"], document["groundStation"]) == ("Plan", 1, "QGroundControl")
    assert document["geoFence"] == {"circles": [], "polygons": [], "version": 2}
    assert document["rallyPoints"] == {"points": [], "version": 2}
    mission = document["mission"]
    assert set(mission) == {
        "cruiseSpeed", "firmwareType", "globalPlanAltitudeMode", "hoverSpeed", "items", "plannedHomePosition",
        "vehicleType", "version",
    }  # fmt: skip
    assert (mission["version"], mission["firmwareType"], mission["vehicleType"]) == (2, 3, 2)
    assert mission["globalPlanAltitudeMode"] == 1
    assert mission["plannedHomePosition"] == [43.238, 76.945, 800.0]
    takeoff, speed = mission["items"][:2]
    assert takeoff == {
        "AMSLAltAboveTerrain": None,
        "Altitude": 30.0,
        "AltitudeMode": 1,
        "autoContinue": True,
        "command": 22,
        "doJumpId": 1,
        "frame": 3,
        "params": [0.0, 0.0, 0.0, 0.0, 43.238, 76.945, 30.0],
        "type": "SimpleItem",
    }
    assert speed == {
        "autoContinue": True,
        "command": 178,
        "doJumpId": 2,
        "frame": 2,
        "params": [1.0, 8.0, -1.0, 0.0, 0, 0, 0.0],
        "type": "SimpleItem",
    }
    assert [item["doJumpId"] for item in mission["items"]] == list(range(1, len(survey()) + 1))
    assert all(item["frame"] in (2, 3) for item in mission["items"])


def test_a_plan_comes_back_as_the_same_mission() -> None:
    plan = [*survey(), MissionItem(frame=0, command=16, params=(0.0, 0.0, 0.0, math.nan), x=1, y=-1, z=1.5)]
    plan.append(MissionItem(frame=2, command=203, params=(0.0, 0.0, 0.0, 0.0), x=1))
    found = from_plan(plan_json(to_plan(plan, home=HOME, autopilot="px4")))
    items, home = found.items, found.home
    assert found.notes == ()
    assert mission_hash(items) == mission_hash(plan)
    assert [(item.x, item.y) for item in items] == [(item.x, item.y) for item in plan]
    assert home == HOME
    mixed = to_plan(plan, home=HOME)["mission"]
    assert mixed["globalPlanAltitudeMode"] == 0
    assert mixed["items"][-2]["params"][3] is None


def test_a_plan_that_qgroundcontrol_wrote_is_read() -> None:
    """The example of its developer guide."""
    text = """{"fileType": "Plan", "geoFence": {"circles": [], "polygons": [], "version": 2},
     "groundStation": "QGroundControl", "mission": {"cruiseSpeed": 15, "firmwareType": 12,
     "globalPlanAltitudeMode": 1, "hoverSpeed": 5, "items": [{"AMSLAltAboveTerrain": null, "Altitude": 50,
     "AltitudeMode": 0, "autoContinue": true, "command": 22, "doJumpId": 1, "frame": 3,
     "params": [15, 0, 0, null, 47.3985099, 8.5451002, 50], "type": "SimpleItem"},
     {"type": "ComplexItem", "complexItemType": "survey", "version": 5, "TransectStyleComplexItem": {"Items": [
     {"autoContinue": true, "command": 16, "doJumpId": 2, "frame": 3, "type": "SimpleItem",
     "params": [0, 0, 0, null, 47.39, 8.54, 50]}]}}],
     "plannedHomePosition": [47.3977419, 8.545594, 487.989], "vehicleType": 2, "version": 2},
     "rallyPoints": {"points": [], "version": 2}, "version": 1}"""
    found = from_plan(text)
    items, home = found.items, found.home
    assert home is not None
    assert [item.command for item in items] == [22, 16]
    assert (items[0].x, items[0].y, items[0].z, items[0].params[0]) == (473985099, 85451002, 50.0, 15.0)
    assert math.isnan(items[0].params[3])
    assert home.altitude == Altitude(487.989, Datum.AMSL)


def test_jumps_name_their_target_by_its_number() -> None:
    """QGC numbers items from 1 and finds the target of a jump by that number, also inside a survey."""
    jump = MissionItem(frame=2, command=177, params=(3.0, 2.0, 0.0, 0.0))
    plan = [*survey(), jump]
    document = to_plan(plan, home=HOME)
    written = document["mission"]["items"]
    assert written[-1]["params"][0] == written[3]["doJumpId"] == 4
    assert from_plan(json.dumps(document)).items == from_plan(plan_json(document)).items
    assert from_plan(json.dumps(document)).items[-1] == jump
    inner = {"type": "ComplexItem", "TransectStyleComplexItem": {"Items": written[2:5]}}
    document["mission"]["items"] = [*written[:2], inner, *written[5:]]
    assert from_plan(json.dumps(document)).items[-1] == jump
    written[-1]["params"][0] = 99
    with pytest.raises(PlanFileInvalid, match=r"params\[0\]: no item has doJumpId 99"):
        from_plan(json.dumps(document))


def test_what_is_not_taken_from_the_file_is_said() -> None:
    document = to_plan(survey(), home=HOME)
    document["geoFence"]["polygons"] = [{}]
    document["rallyPoints"]["points"] = [[], []]
    assert [note[:30] for note in from_plan(json.dumps(document)).notes] == [
        "geoFence.polygons of the file:",
        "rallyPoints.points of the file",
    ]


def broken(path: tuple[Any, ...], value: object) -> str:
    """A good file with one place spoiled."""
    document = to_plan(survey(), home=HOME)
    spot: Any = document
    for step in path[:-1]:
        spot = spot[step]
    spot[path[-1]] = value
    return json.dumps(document)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not JSON"),
        ("[]", "fileType"),
        (broken(("version",), 2), "version 2"),
        (broken(("mission",), None), "mission"),
        (broken(("mission", "items"), {}), "mission.items"),
        (broken(("mission", "items", 3), "x"), "mission.items[3]"),
        (broken(("mission", "items", 3, "params"), [1, 2]), "mission.items[3]: params"),
        (broken(("mission", "items", 3, "params", 4), "x"), "mission.items[3]: params"),
        (broken(("mission", "items", 3, "params", 4), 1e9), "mission.items[3]: latitude: 1e+09 deg"),
        (broken(("mission", "items", 3, "params", 6), None), "mission.items[3]: altitude: is not given"),
        (broken(("mission", "items", 1, "params", 4), 0.5), "mission.items[1]: param5: 0.5 of command 178"),
        (broken(("mission", "items", 3, "params", 0), 10**400), "mission.items[3]: params"),
        (broken(("mission", "items", 3, "params", 0), 1e39), "mission.items[3]: param1: 1e+39"),
        (broken(("mission", "items", 3, "command"), True), "mission.items[3]: command"),
        (broken(("mission", "items", 3, "frame"), 300), "mission.items[3]: frame: 300"),
        (broken(("mission", "items", 3, "type"), "Other"), "mission.items[3]: type 'Other'"),
        (broken(("mission", "items", 3), {"type": "ComplexItem", "complexItemType": "survey"}), "a survey without"),
        (broken(("mission", "plannedHomePosition"), [1, 2]), "plannedHomePosition"),
        (broken(("mission", "plannedHomePosition"), [95, 2, 3]), "95, 2 deg"),
    ],
)
def test_a_broken_file_is_refused_with_the_place(text: str, words: str) -> None:
    with pytest.raises(PlanFileInvalid) as caught:
        from_plan(text)
    assert words in str(caught.value)


def test_what_cannot_be_written_is_refused() -> None:
    with pytest.raises(PlanFileInvalid, match="at least one"):
        to_plan([], home=HOME)
    with pytest.raises(PlanFileInvalid, match="betaflight"):
        to_plan(survey(), home=HOME, autopilot="betaflight")
    with pytest.raises(PlanFileInvalid, match="AMSL"):
        to_plan(survey(), home=Position(lon=0, lat=0, altitude=Altitude(0, Datum.W84)))
