"""The parameters of the simulated vehicles are those of the recorded ones, by name, type and order."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from pymavlink import mavutil
from pymavlink.dialects.v20 import ardupilotmega as mavlink

from simulators.autopilot_parameters import INT32, Parameters
from simulators.px4_parameters import HASH_CHECK, Px4Parameters
from tests.simulators.ground import Ground
from tests.simulators.test_vehicle_against_recordings import GROUNDS, recordings

__all__ = ["recordings"]

FAILSAFES = {
    "ardupilot": (
        "FS_GCS_ENABLE FS_GCS_TIMEOUT FS_OPTIONS FS_EKF_ACTION FS_THR_ENABLE SYSID_MYGCS SYSID_ENFORCE FENCE_ENABLE "
        "FENCE_TYPE FENCE_ACTION FENCE_ALT_MAX FENCE_ALT_MIN FENCE_RADIUS FENCE_MARGIN RTL_ALT RTL_SPEED RTL_ALT_FINAL "
        "RTL_LOIT_TIME RALLY_INCL_HOME BATT_LOW_VOLT BATT_LOW_MAH BATT_CRT_VOLT BATT_FS_LOW_ACT BATT_FS_CRT_ACT "
        "DID_ENABLE ARMING_CHECK WPNAV_SPEED CIRCLE_RADIUS"
    ),
    "px4": (
        "NAV_DLL_ACT COM_DL_LOSS_T COM_DLL_EXCEPT COM_FAIL_ACT_T COM_LOW_BAT_ACT BAT_LOW_THR BAT_CRIT_THR "
        "BAT_EMERGEN_THR GF_ACTION GF_MAX_HOR_DIST GF_MAX_VER_DIST GF_SOURCE RTL_RETURN_ALT RTL_TYPE RTL_CONE_ANG "
        "MAV_SYS_ID COM_ARM_ODID COM_OBL_RC_ACT NAV_RCL_ACT COM_POS_LOW_ACT MIS_TAKEOFF_ALT MPC_XY_CRUISE"
    ),
}  # fmt: skip


SET_UP = {"MAV_SYS_ID": 4, "SYS_FAILURE_EN": 1}
"""What was set up for the recording of the PX4."""


def told(recording: Path) -> dict[str, list[tuple[int, float, int]]]:
    """Type, value and index of each parameter, each time the vehicle told them."""
    found: dict[str, list[tuple[int, float, int]]] = {}
    log = mavutil.mavlink_connection(str(recording))
    while (message := log.recv_match(type="PARAM_VALUE")) is not None:
        if message.get_srcSystem() < GROUNDS:
            value = message.param_value
            if recording.name.startswith("px4") and message.param_type == INT32:
                (value,) = struct.unpack("<i", struct.pack("<f", value))
            found.setdefault(message.param_id, []).append((message.param_type, value, message.param_index))
    log.close()
    return found


@pytest.mark.parametrize("autopilot", ["ardupilot", "px4"])
def test_they_are_real_ones_with_the_types_and_values_that_were_recorded(recordings: Path, autopilot: str) -> None:
    real = told(recordings / ("px4_06_params.tlog" if autopilot == "px4" else "ap_06_params.tlog"))
    ours: Parameters | Px4Parameters = Px4Parameters() if autopilot == "px4" else Parameters()
    assert len(ours) >= 300
    assert all(name in ours for name in FAILSAFES[autopilot].split())
    indices = []
    for name, _ in ours.listed():
        if name == HASH_CHECK:
            continue
        kinds, values, places = zip(*real[name], strict=True)
        assert {ours.type_of(name)} == set(kinds), name
        if name not in Parameters.SET_UP | SET_UP:
            assert any(ours[name] == pytest.approx(value, rel=1e-5, abs=1e-4) for value in values), name
        indices += [place for place in places if place < 60000][:1]
    if autopilot == "px4":
        assert indices == sorted(indices)
    for name, value in Parameters.SET_UP.items() if autopilot == "ardupilot" else ():
        assert ours[name] == value


def test_a_group_appears_in_the_list_when_it_is_switched_on() -> None:
    ground = Ground()
    ground.send(mavlink.MAVLink_param_request_list_message(7, 1))
    before = ground.of("PARAM_VALUE")
    assert not any(v.param_id.startswith("DID_") and v.param_id != "DID_ENABLE" for v in before)
    ground.send(mavlink.MAVLink_param_set_message(7, 1, b"DID_ENABLE", 1, 2))
    assert ground.of("PARAM_VALUE")[-1].param_count == before[0].param_count + 4
    ground.heard.clear()
    ground.send(mavlink.MAVLink_param_request_list_message(7, 1))
    after = ground.of("PARAM_VALUE")
    assert {v.param_id for v in after} - {v.param_id for v in before} == {
        "DID_MAVPORT", "DID_CANDRIVER", "DID_OPTIONS", "DID_BARO_ACC",
    }  # fmt: skip
    assert [v.param_index for v in after] == list(range(before[0].param_count + 4))
