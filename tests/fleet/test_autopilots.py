"""The differences between ArduPilot and PX4, against recordings of both."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from fleet.autopilots import ArduCopter, FlightMode, Px4, autopilot_of
from fleet.errors import VehicleRefused
from fleet.framing import decode
from fleet.missions import MissionItem
from fleet.recording import read_recording
from geo.positions import Altitude, Datum, Position

HOME = Position(lon=76.945, lat=43.238, altitude=Altitude(800.0, Datum.AMSL))


def modes_in(path: Path) -> list[tuple[FlightMode, str]]:
    """Modes of a recording in their order."""
    found: list[tuple[FlightMode, str]] = []
    for _, frame in read_recording(path):
        if frame.msgid != 0 or frame.sysid == 255:
            continue
        beat = decode(frame)
        autopilot = autopilot_of(beat.autopilot, beat.type)
        pair = (autopilot.mode(beat.custom_mode), autopilot.mode_name(beat.custom_mode))
        if not found or found[-1] != pair:
            found.append(pair)
    return found


def test_modes_of_a_recorded_arducopter(tlogs: Path) -> None:
    found = modes_in(tlogs / "ap_02_mission.tlog")
    names = [name for _, name in found]
    assert names[:4] == ["STABILIZE", "AUTO", "GUIDED", "AUTO"]
    assert (FlightMode.HOLD, "BRAKE") in found
    assert (FlightMode.MISSION, "AUTO") in found
    assert all(mode is not FlightMode.OTHER for mode, _ in found)


def test_modes_of_a_recorded_px4(tlogs: Path) -> None:
    found = modes_in(tlogs / "px4_02c_mission_flight.tlog")
    assert found == [
        (FlightMode.HOLD, "AUTO.LOITER"),
        (FlightMode.MISSION, "AUTO.MISSION"),
        (FlightMode.HOLD, "AUTO.LOITER"),
        (FlightMode.MISSION, "AUTO.MISSION"),
        (FlightMode.RTL, "AUTO.RTL"),
        (FlightMode.HOLD, "AUTO.LOITER"),
    ]


@pytest.mark.parametrize("autopilot", [ArduCopter(), Px4()])
def test_a_mode_asked_for_is_the_mode_then_read(autopilot: ArduCopter | Px4) -> None:
    for mode in (FlightMode.MISSION, FlightMode.HOLD, FlightMode.RTL, FlightMode.LAND, FlightMode.MANUAL):
        _, main, sub = (int(parameter) for parameter in autopilot.mode_parameters(mode))
        custom_mode = main << 16 | sub << 24 if autopilot.name == "px4" else main
        assert autopilot.mode(custom_mode) is mode


def test_px4_is_never_told_a_height_above_home() -> None:
    high = Altitude(20.0, Datum.HOME)
    target = Px4().reposition(high, HOME)
    assert target is not None
    assert (target.frame, target.z_m) == (5, 820.0)
    assert Px4().reposition(high, None) is None
    assert Px4().reposition(Altitude(20.0, Datum.AGL), HOME) is None
    relative = ArduCopter().reposition(high, None)
    assert relative is not None
    assert (relative.frame, relative.z_m) == (6, 20.0)


def test_arducopters_home_slot_is_added_and_taken_away() -> None:
    plan = [
        MissionItem(frame=3, command=22, z=20.0),
        MissionItem(frame=6, command=16, params=(0.0, 0.0, 0.0, math.nan), x=1, y=2, z=20.29),
        MissionItem(frame=2, command=177, params=(1.0, 3.0, 0.0, 0.0)),
    ]
    autopilot = ArduCopter()
    wire = autopilot.to_wire(plan, HOME)
    assert len(wire) == 4
    assert (wire[0].command, wire[0].x, wire[0].y, wire[0].z) == (16, 432380000, 769450000, 800.0)
    assert wire[2].params[3] == 0.0
    assert wire[3].params[:2] == (2.0, 3.0), "a jump counts on the wire, home included"
    assert autopilot.from_wire(wire)[2].params[:2] == (1.0, 3.0)
    assert [autopilot.plan_index(seq) for seq in range(3)] == [None, 0, 1]
    assert autopilot.wire_seq(0) == 1
    assert Px4().to_wire(plan, HOME)[2].frame == 2
    assert (Px4().plan_index(0), Px4().plan_index(65535), Px4().plan_total(65535)) == (0, None, 0)


def test_a_plane_has_modes_of_its_own_and_none_to_land_in() -> None:
    plane = autopilot_of(3, 1)
    assert plane.mode_parameters(FlightMode.RTL) == (1.0, 11.0, 0.0), "6 is FBWB there"
    assert plane.mode(10) is FlightMode.MISSION
    with pytest.raises(VehicleRefused, match="ArduPlane has no mode in which it would land"):
        plane.mode_parameters(FlightMode.LAND)


@pytest.mark.parametrize("kind", [10, 11, 12])
def test_vehicles_that_nobody_tried_are_set_into_no_mode(kind: int) -> None:
    with pytest.raises(VehicleRefused, match="its modes are not known"):
        autopilot_of(3, kind).mode_parameters(FlightMode.RTL)
