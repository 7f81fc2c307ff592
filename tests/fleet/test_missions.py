"""The hash says the same of what was sent and of what came back, and of nothing else."""

from __future__ import annotations

import math
import random
from pathlib import Path

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fleet.autopilots import ArduCopter, Px4
from fleet.errors import MissionInvalid
from fleet.framing import decode
from fleet.missions import (
    MissionItem,
    centimetres,
    check_mission,
    first_difference,
    has_position,
    mission_hash,
    stored_centimetres,
)
from fleet.recording import read_recording
from fleet.transfers import _item_of
from tests.fleet.conftest import survey


def transfers(path: Path) -> list[tuple[str, dict[int, MissionItem]]]:
    """Lists of items in a recording by direction: each `up` ends with a MISSION_ACK, each `down` too."""
    found: list[tuple[str, dict[int, MissionItem]]] = []
    up: dict[int, MissionItem] = {}
    down: dict[int, MissionItem] = {}
    for _, frame in read_recording(path):
        message = decode(frame)
        if message is None or getattr(message, "mission_type", 0) != 0:
            continue
        kind, ground = message.get_type(), frame.sysid == 255
        if kind == "MISSION_ITEM_INT":
            (up if ground else down)[message.seq] = _item_of(message)
        elif kind == "MISSION_COUNT":
            (up if ground else down).clear()
        elif kind == "MISSION_ACK" and ground:
            found.append(("down", dict(down)))
        elif kind == "MISSION_ACK" and message.type == 0 and up:
            found.append(("up", dict(up)))
    return found


@pytest.mark.parametrize(("name", "autopilot"), [("ap_02_mission", ArduCopter()), ("px4_02_mission", Px4())])
def test_a_recorded_upload_and_its_read_back_hash_alike(tlogs: Path, name: str, autopilot: ArduCopter | Px4) -> None:
    lists = transfers(tlogs / f"{name}.tlog")
    at = next(i for i, (way, items) in enumerate(lists) if way == "up" and len(items) == 12)
    sent = autopilot.from_wire([item for _, item in sorted(lists[at][1].items())])
    way, back = lists[at + 1]
    assert way == "down"
    held = autopilot.from_wire([item for _, item in sorted(back.items())])
    assert sent != held, "the autopilot rewrote nothing, so this shows nothing"
    assert first_difference(sent, held) is None
    assert mission_hash(sent) == mission_hash(held)


def test_the_recorded_damage_of_refused_uploads_is_seen(tlogs: Path) -> None:
    lists = transfers(tlogs / "ap_02_mission.tlog")
    downs = [[item for _, item in sorted(items.items())] for way, items in lists if way == "down" and len(items) == 12]
    hashes = {mission_hash(ArduCopter().from_wire(items)) for items in downs}
    assert len(hashes) > 1
    words = {first_difference(downs[0][1:], other[1:]) for other in downs}
    assert words - {None}
    assert all(word == "item 3 (command 16): x is 432384480, not 432384491" for word in words - {None})


def aboard_arducopter(items: list[MissionItem]) -> list[MissionItem]:
    """What ArduCopter's store makes of a list (AP_Mission.cpp)."""
    kept = []
    for item in items:
        frame = {5: 0, 6: 3}.get(item.frame, item.frame) if has_position(item) else 0
        z = item.z
        if has_position(item):
            z = float(np.float32(int(np.float32(item.z) * np.float32(100.0))) / np.float32(100.0))
        params = tuple(float(np.float32(param)) for param in item.params)
        if item.command == 16:
            params = (params[0], 0.0, 0.0, 0.0)
        if item.command == 205:
            z, params = 0.0, (*params[:3], 0.0)
        kept.append(msgspec.structs.replace(item, frame=frame, z=z, params=params, autocontinue=True))
    return kept


@settings(max_examples=200, deadline=None)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_arducopter_makes_of_a_plan_hashes_as_the_plan(seed: int) -> None:
    rng = random.Random(seed)
    plan = [
        MissionItem(
            frame=rng.choice((0, 3, 6)),
            command=rng.choice((16, 22, 178, 205)),
            params=(float(rng.randint(0, 9)), rng.uniform(0, 20), 0.0, math.nan),
            x=rng.randint(-900_000_000, 900_000_000),
            y=rng.randint(-1_800_000_000, 1_800_000_000),
            z=rng.uniform(-100, 5000),
        )
        for _ in range(rng.randint(1, 30))
    ]
    autopilot = ArduCopter()
    back = autopilot.from_wire(aboard_arducopter(autopilot.to_wire(plan, None)))
    assert first_difference(plan, back) is None
    assert mission_hash(plan) == mission_hash(back)


def test_any_change_that_matters_changes_the_hash() -> None:
    plan = survey()
    base = mission_hash(plan)
    assert base == mission_hash(list(plan))
    corner = next(index for index, item in enumerate(plan) if item.command == 16)
    changes = [
        {"x": plan[corner].x + 1},
        {"y": plan[corner].y - 1},
        {"z": plan[corner].z + 0.01},
        {"frame": 0},
        {"command": 17},
        {"params": (5.0, 0.0, 0.0, 0.0)},
    ]
    seen = {base}
    for change in changes:
        other = [*plan]
        other[corner] = msgspec.structs.replace(plan[corner], **change)
        seen.add(mission_hash(other))
        assert first_difference(plan, other) is not None
        assert f"item {corner}" in str(first_difference(plan, other))
    seen |= {mission_hash(plan[:-1]), mission_hash(plan[1:]), mission_hash(plan[::-1]), mission_hash([])}
    assert len(seen) == 1 + len(changes) + 4
    assert first_difference(plan, plan[:-1]) == f"{len(plan) - 1} items, not {len(plan)}"


def test_heights_survive_the_store_of_arducopter() -> None:
    for whole in range(-3000, 300_000, 7):
        stored = int(np.float32(stored_centimetres(whole / 100)) * np.float32(100))
        assert stored == whole
        assert centimetres(float(np.float32(whole) * np.float32(0.01))) == whole


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"x": 950_000_000}, "latitude 95 deg"),
        ({"y": 1_900_000_000}, "longitude 190 deg"),
        ({"z": math.nan}, "height is nan"),
        ({"z": math.inf}, "height is inf"),
        ({"frame": 99}, "MAV_FRAME 99"),
        ({"frame": 2}, "no datum"),
        ({"params": (math.inf, 0.0, 0.0, 0.0)}, "infinite"),
        ({"x": 0, "y": 0}, "latitude 0, longitude 0"),
    ],
)
def test_what_px4_would_swallow_is_refused_with_its_place(change: dict[str, object], words: str) -> None:
    plan = survey()
    plan[4] = msgspec.structs.replace(plan[4], **change)
    with pytest.raises(MissionInvalid, match=r"item 4 \(command 16\)") as caught:
        check_mission(plan)
    assert words in str(caught.value)


def test_empty_and_endless_missions_are_refused() -> None:
    with pytest.raises(MissionInvalid, match="no items"):
        check_mission([])
    with pytest.raises(MissionInvalid, match="651 items"):
        check_mission([survey()[3]] * 651)
    check_mission(survey())
