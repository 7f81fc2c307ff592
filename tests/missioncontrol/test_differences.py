"""Two plans, and what a person is told of how they differ."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fleet.air import Conditions, Wind
from fleet.failsafes import LostLinkAction, LostLinkPolicy
from fleet.fences import FencePolygon, RallyPoint
from fleet.missions import MissionItem, mission_hash
from missioncontrol.cli import app
from missioncontrol.differences import differences
from missioncontrol.errors import InputInvalid
from missioncontrol.plan_files import read_plan, write_plan
from missioncontrol.planning import plan
from missioncontrol.plans import Plan, plan_hash
from missioncontrol.safety import with_safety
from missioncontrol.sorties import Start
from tests.missioncontrol.test_patterns import box, lonlat, request, site

RETURN = LostLinkPolicy(action=LostLinkAction.RETURN)
CONTINUE = LostLinkPolicy(action=LostLinkAction.CONTINUE)


def made(name: str = "survey", policy: LostLinkPolicy | None = RETURN, margin_m: float = 50.0, **changes: Any) -> Plan:
    return with_safety(plan(request(name, **changes), site()), fence_margin_m=margin_m, lost_link=policy)


BASE = made()


def rehashed(base: Plan, items: tuple[MissionItem, ...], **changes: Any) -> Plan:
    """The plan with other items of its first part."""
    first = msgspec.structs.replace(base.vehicles[0], items=items, hash=mission_hash(list(items)), **changes)
    parts = (first, *base.vehicles[1:])
    return msgspec.structs.replace(base, vehicles=parts, hash=plan_hash(parts, base.lost_link))


def test_equal_plans_do_not_differ() -> None:
    assert differences(BASE, BASE) == ()
    assert differences(BASE, made()) == ()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (lambda: made(height_m=80.0), "height 80 m instead of 50 m"),
        (lambda: made(area=box(0, 0, 400, 200)), "the area is 4.00 ha smaller"),
        (lambda: made(policy=CONTINUE), "lost link: continue after 10 s instead of return after 10 s"),
        (lambda: made(policy=None), "lost link: as it is aboard instead of return"),
        (lambda: made(margin_m=80.0), "vehicle 1: fence moved by up to 30 m"),
        (lambda: made(margin_m=0.0), "vehicle 1: no fence any more"),
        (lambda: made(speed_m_s=6.0), "speed 6 m/s instead of 10 m/s"),
        (lambda: made(pitch_deg=-60.0), "camera pitch -60 deg instead of -90 deg"),
        (lambda: made(camera="sony-rx1r2"), "cm per pixel instead of"),
    ],
)
def test_what_differs_is_said_in_words(other: Any, words: str) -> None:
    assert any(words in said for said in differences(BASE, other())), differences(BASE, other())


def test_the_most_important_comes_first() -> None:
    starts = tuple(
        Start(sysid=sysid, lon=lon, lat=lat)
        for sysid, (lon, lat) in enumerate(lonlat([(-80.0, -60.0), (-60.0, -60.0)]), start=1)
    )
    windy = site(conditions=Conditions(wind=Wind.blowing(6.0, 0.0)))
    shared = plan(request("survey", vehicles=[1, 2], height_m=70.0), replace(site(), starts=starts))
    said = differences(BASE, with_safety(shared, fence_margin_m=50.0, lost_link=CONTINUE))
    assert said[0] == "vehicle 2 flies too, 1 flight"
    assert said[1].startswith("lost link: continue")
    assert said.index("height 70 m instead of 50 m above the take-off") < next(
        number for number, words in enumerate(said) if "items" in words
    )
    assert any(words.startswith("energy") for words in differences(BASE, plan(request("survey"), windy)))


def test_more_flights_are_counted() -> None:
    first = BASE.vehicles[0]
    parts = (first, msgspec.structs.replace(first, sortie=2), msgspec.structs.replace(first, sortie=3))
    two = msgspec.structs.replace(BASE, vehicles=parts[:2], hash="2")
    three = msgspec.structs.replace(BASE, vehicles=parts, hash="3")
    assert "vehicle 1 flies 3 flights instead of 2" in differences(two, three)


def test_moved_items_are_numbered_and_measured() -> None:
    items = list(BASE.vehicles[0].items)
    chosen = [row for row, item in enumerate(items) if item.command == 16][2:5]
    for row in range(chosen[0], chosen[-1] + 1):
        if items[row].command == 16:
            items[row] = msgspec.structs.replace(items[row], x=items[row].x + 3145)  # some 35 m to the north
    said = differences(BASE, rehashed(BASE, tuple(items)))
    assert any(f"vehicle 1: item{'s' if chosen[0] != chosen[-1] else ''} {chosen[0]}" in words for words in said), said
    assert any("moved by up to 35 m" in words for words in said), said


def test_rally_points_are_told() -> None:
    (lon, lat) = BASE.vehicles[0].path["geometry"]["coordinates"][0][:2]
    one, other = (RallyPoint(lon=lon, lat=lat, height_m=height_m) for height_m in (30.0, 40.0))
    plans = [rehashed(BASE, BASE.vehicles[0].items, rally=rally) for rally in ((), (one,), (other,), (one, other))]
    assert differences(plans[0], plans[1]) == ("vehicle 1: 1 rally point instead of 0",)
    assert differences(plans[3], plans[1]) == ("vehicle 1: 1 rally point instead of 2",)
    assert differences(plans[1], plans[2]) == ("vehicle 1: rally points elsewhere or at other heights",)


def test_items_more_and_items_left_out() -> None:
    items = BASE.vehicles[0].items
    assert "vehicle 1: items 5 to 6 left out" in differences(BASE, rehashed(BASE, items[:5] + items[7:]))
    more = (*items[:5], MissionItem(frame=2, command=115, params=(90.0, 0.0, 0.0, 0.0)), *items[5:])
    assert "vehicle 1: 1 item more after item 4" in differences(BASE, rehashed(BASE, more))


def item_changes() -> st.SearchStrategy[Any]:
    """One field of one item, one item more or less, two changed places."""
    row = st.integers(0, len(BASE.vehicles[0].items) - 1)
    field = st.sampled_from(["x", "y", "z", "command", "frame", "params"])
    return st.one_of(
        st.tuples(st.just("change"), row, field, st.integers(1, 1000)),
        st.tuples(st.just("drop"), row, st.none(), st.none()),
        st.tuples(st.just("double"), row, st.none(), st.none()),
    )


@settings(max_examples=60, deadline=None)
@given(item_changes())
def test_any_change_of_the_items_is_told(change: tuple[str, int, str | None, int | None]) -> None:
    what, row, field, by = change
    items = list(BASE.vehicles[0].items)
    if what == "change":
        assert field is not None
        assert by is not None
        old = getattr(items[row], field)
        new = (*old[:3], old[3] + by) if field == "params" else old + by
        items[row] = msgspec.structs.replace(items[row], **{field: new})
    elif what == "drop":
        del items[row]
    else:
        items.insert(row, items[row])
    changed = rehashed(BASE, tuple(items))
    assert differences(BASE, changed)
    assert differences(changed, BASE)
    assert differences(changed, changed) == ()


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 3), st.floats(1e-6, 1e-2), st.sampled_from(["lon", "lat", "inclusion", "policy"]))
def test_any_change_of_fence_or_policy_is_told(corner: int, by_deg: float, what: str) -> None:
    part = BASE.vehicles[0]
    (fence,) = part.fence
    policy, ring = BASE.lost_link, list(fence.ring)
    lon, lat = ring[corner]
    if what == "policy":
        policy = LostLinkPolicy(action=LostLinkAction.RETURN, timeout_s=10.0 + 1e4 * by_deg)
    elif what != "inclusion":
        ring[corner] = (lon + by_deg, lat) if what == "lon" else (lon, lat + by_deg)
    changed = FencePolygon(ring=tuple(ring), inclusion=what != "inclusion")
    parts = (msgspec.structs.replace(part, fence=(changed,)),)
    other = msgspec.structs.replace(BASE, vehicles=parts, lost_link=policy, hash=plan_hash(parts, policy))
    said = differences(BASE, other)
    assert said[0].startswith("lost link" if what == "policy" else "vehicle 1: fence")


def test_plans_are_compared_as_files_and_one_that_was_changed_is_refused(tmp_path: Path) -> None:
    files = [tmp_path / "before.json", tmp_path / "after.json"]
    higher = made(height_m=80.0)
    for file, each in zip(files, (BASE, higher), strict=True):
        write_plan(each, file)
        assert read_plan(file) == each
    done = CliRunner().invoke(app, ["plan", "diff", str(files[0]), str(files[1]), "--json"])
    assert done.exit_code == 0
    assert msgspec.json.decode(done.stdout)["words"] == list(differences(BASE, higher))
    text = files[0].read_text()
    for old, new in (('"z": 50.0', '"z": 5.0'), ('"timeout_s": 10.0', '"timeout_s": 99.0')):
        assert old in text
        files[0].write_text(text.replace(old, new, 1))
        with pytest.raises(InputInvalid, match="changed after planning"):
            read_plan(files[0])
