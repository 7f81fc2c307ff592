"""Everything in which ArduPilot and PX4 differ on the wire, as seen in recordings of ArduCopter 4.6 and PX4 1.17.

Both have flown simulated vehicles that are held against those recordings; neither a real autopilot yet. PX4 is
experimental.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from enum import StrEnum
from typing import ClassVar, Protocol

import msgspec

from fleet.errors import VehicleRefused
from fleet.failsafes import FailsafeAction, FailsafeParameter, LostLinkAction, LostLinkParameters
from fleet.missions import MissionItem, has_position, stored_centimetres
from geo.positions import Altitude, Datum, Position

MAV_AUTOPILOT_ARDUPILOT, MAV_AUTOPILOT_PX4 = 3, 12
MAV_CMD_NAV_WAYPOINT, MAV_CMD_DO_JUMP = 16, 177
GLOBAL, MISSION, RELATIVE, GLOBAL_INT, RELATIVE_INT = 0, 2, 3, 5, 6
"""MAV_FRAME values in use: AMSL, without place, above home, and the two older doubles of the first and third."""


ORBITING = (3, 1)
"""PX4's main and sub mode while it circles a place by command."""
COPTER_TYPES = frozenset((2, 3, 4, 13, 14, 15, 29, 35))
PLANE_TYPES = frozenset((1, 19, 20, 21, 22, 23, 24, 25))
"""MAV_TYPE that fly ArduPilot's copter and plane."""


class FlightMode(StrEnum):
    """What a vehicle is doing, in terms that both autopilots have."""

    MANUAL = "manual"
    """Flown by sticks, whatever the assistance."""
    MISSION = "mission"
    """Flying its mission."""
    HOLD = "hold"
    """Standing where it is."""
    GUIDED = "guided"
    """Following the ground's single targets."""
    TAKEOFF = "takeoff"
    """Taking off."""
    RTL = "rtl"
    """Returning to launch."""
    LAND = "land"
    """Landing where it is."""
    OTHER = "other"
    """Something else; the autopilot's own name says what."""


class RepositionTarget(msgspec.Struct, frozen=True, kw_only=True):
    """The frame and height of a DO_REPOSITION."""

    frame: int
    """MAV_FRAME."""
    z_m: float
    """Height in that frame, m."""


class Autopilot(Protocol):
    """How one family of autopilots wants to be spoken to."""

    name: str
    """`ardupilot`, `px4` or `unknown`."""
    mav_autopilot: int
    """MAV_AUTOPILOT."""
    mode_acks: int
    """Acknowledgements that answer one DO_SET_MODE; the last one is true."""
    arming_mode: FlightMode
    """The mode to be in when arming for a mission."""
    needs_mission_mode: bool
    """Whether the mode must be set to MISSION after arming, before MISSION_START."""
    fence_must_be_enabled: bool
    """Whether a fence is watched only after DO_FENCE_ENABLE; otherwise as soon as it is aboard."""
    estimator_message: str
    """Name of the message that says how its EKF fares."""
    fence_parameters: Mapping[str, float]
    """What must be set so that the areas of a fence, and nothing else, are watched."""
    only_rally_parameters: Mapping[str, float]
    """What must be set so that it returns to a rally point and not home."""
    forbidden_goto_is_accepted: bool
    """Whether a goto that it will not fly is accepted, and only a text after tells."""
    orbits: bool
    """Whether it has a command to orbit a place."""
    tells_prearm: bool
    """Whether SYS_STATUS says that it can be armed, and texts why not."""
    read_ahead: int
    """Items of a list that may be asked for before the first of them has come: ArduPilot answers each request for
    itself; PX4 answers the next item only, and one request that was lost would end the transfer."""
    integers_as_bytes: bool
    """Whether integer parameters travel as bytes inside the float of the message; otherwise as its value."""
    passing_parameters: tuple[str, ...]
    """Patterns of the names of parameters in which it counts, calibrates and learns by itself."""
    lost_link: LostLinkParameters | None
    """Where its lost-link policy stands; None where nobody knows."""
    failsafes: tuple[FailsafeParameter, ...]
    """Where its other failsafes stand."""
    return_height: tuple[str, float] | None
    """The parameter of the height above home at which it returns at least, and its value for each m; None: unknown."""

    def mode(self, custom_mode: int) -> FlightMode:
        """The mode that a heartbeat's custom_mode means."""

    def mode_name(self, custom_mode: int) -> str:
        """The autopilot's own name of it."""

    def mode_parameters(self, mode: FlightMode) -> tuple[float, float, float]:
        """param1 to param3 of the DO_SET_MODE that sets a mode. Raises VehicleRefused where it has none such."""

    def plan_index(self, wire_seq: int) -> int | None:
        """Index in the plan of a mission item's number on the wire; None for a home slot, or for none."""

    def wire_seq(self, plan_index: int) -> int:
        """Number on the wire of an item of the plan."""

    def plan_total(self, wire_total: int) -> int | None:
        """Items of the plan, from the total of a MISSION_CURRENT."""

    def to_wire(self, items: list[MissionItem], home: Position | None) -> list[MissionItem]:
        """The list to send for a plan."""

    def from_wire(self, items: list[MissionItem]) -> list[MissionItem]:
        """The plan in a list that was read back."""

    def reposition(self, altitude: Altitude, home: Position | None) -> RepositionTarget | None:
        """Frame and height for a goto; None where the height cannot be told to this autopilot yet."""


class ArduCopter:
    """ArduPilot's copter, 4.3 and later."""

    name = "ardupilot"
    mav_autopilot = MAV_AUTOPILOT_ARDUPILOT
    mode_acks = 1
    arming_mode = FlightMode.GUIDED
    needs_mission_mode = True
    fence_must_be_enabled = True
    estimator_message = "EKF_STATUS_REPORT"
    fence_parameters: Mapping[str, float] = {"FENCE_TYPE": 4.0}
    only_rally_parameters: Mapping[str, float] = {"RALLY_INCL_HOME": 0.0}
    forbidden_goto_is_accepted = False
    orbits = False
    tells_prearm = True
    read_ahead = 32
    integers_as_bytes = False
    passing_parameters: tuple[str, ...] = (
        "STAT_*", "*_TOTAL", "BARO?_GND_PRESS", "INS_GYR*OFFS_?", "INS_GYR?_CALTEMP", "MOT_THST_HOVER", "FENCE_ENABLE",
    )  # fmt: skip
    return_height: tuple[str, float] | None = ("RTL_ALT", 100.0)
    lost_link: LostLinkParameters | None = LostLinkParameters(
        action="FS_GCS_ENABLE",
        meanings={
            1: LostLinkAction.RETURN,
            5: LostLinkAction.LAND,
            7: LostLinkAction.HOLD,  # BRAKE
            2: LostLinkAction.RETURN,  # "continue" before 4.0
            3: LostLinkAction.RETURN,  # 3 and 4 by the way it came
            4: LostLinkAction.RETURN,
            6: LostLinkAction.RETURN,  # by the mission's own landing
        },
        exceptions="FS_OPTIONS",
        mission_bit=2,
        other_bits=16,  # "pilot controlled modes", of which BRAKE and LOITER are
        timeout="FS_GCS_TIMEOUT",
        timeouts_s=(2.0, 120.0),
        ground="SYSID_MYGCS",
    )
    _BATTERY: ClassVar[dict[int, FailsafeAction]] = {
        0: FailsafeAction.NONE, 1: FailsafeAction.LAND, 2: FailsafeAction.RETURN, 3: FailsafeAction.RETURN,
        4: FailsafeAction.RETURN, 5: FailsafeAction.TERMINATE, 6: FailsafeAction.RETURN, 7: FailsafeAction.HOLD,
    }  # fmt: skip
    _FENCE: ClassVar[dict[int, FailsafeAction]] = {
        0: FailsafeAction.NONE, 1: FailsafeAction.RETURN, 2: FailsafeAction.LAND, 3: FailsafeAction.RETURN,
        4: FailsafeAction.HOLD, 5: FailsafeAction.RETURN,
    }  # fmt: skip
    failsafes: tuple[FailsafeParameter, ...] = (
        FailsafeParameter(
            cause="low battery",
            action="BATT_FS_LOW_ACT",
            meanings=_BATTERY,
            thresholds=("BATT_LOW_VOLT", "BATT_LOW_MAH"),
        ),
        FailsafeParameter(
            cause="critical battery",
            action="BATT_FS_CRT_ACT",
            meanings=_BATTERY,
            thresholds=("BATT_CRT_VOLT", "BATT_CRT_MAH"),
        ),
        FailsafeParameter(cause="fence", action="FENCE_ACTION", meanings=_FENCE),
    )

    _NAMES: ClassVar[dict[int, str]] = {
        0: "STABILIZE", 1: "ACRO", 2: "ALT_HOLD", 3: "AUTO", 4: "GUIDED", 5: "LOITER", 6: "RTL", 7: "CIRCLE",
        9: "LAND", 11: "DRIFT", 13: "SPORT", 14: "FLIP", 15: "AUTOTUNE", 16: "POSHOLD", 17: "BRAKE", 18: "THROW",
        19: "AVOID_ADSB", 20: "GUIDED_NOGPS", 21: "SMART_RTL", 22: "FLOWHOLD", 23: "FOLLOW", 24: "ZIGZAG",
        25: "SYSTEMID", 26: "AUTOROTATE", 27: "AUTO_RTL", 28: "TURTLE",
    }  # fmt: skip
    _MODES: ClassVar[dict[int, FlightMode]] = {
        0: FlightMode.MANUAL, 1: FlightMode.MANUAL, 2: FlightMode.MANUAL, 3: FlightMode.MISSION,
        4: FlightMode.GUIDED, 5: FlightMode.HOLD, 6: FlightMode.RTL, 9: FlightMode.LAND, 16: FlightMode.HOLD,
        17: FlightMode.HOLD, 21: FlightMode.RTL, 27: FlightMode.RTL,
    }  # fmt: skip
    _CUSTOM: ClassVar[dict[FlightMode, int]] = {
        FlightMode.MANUAL: 0,
        FlightMode.MISSION: 3,
        FlightMode.HOLD: 17,  # BRAKE; LOITER sinks when the radio's throttle is low
        FlightMode.GUIDED: 4,
        FlightMode.RTL: 6,
        FlightMode.LAND: 9,
    }

    def mode(self, custom_mode: int) -> FlightMode:
        """The mode that a heartbeat's custom_mode means."""
        return self._MODES.get(custom_mode, FlightMode.OTHER)

    def mode_name(self, custom_mode: int) -> str:
        """The autopilot's own name of it."""
        return self._NAMES.get(custom_mode, f"mode {custom_mode}")

    def mode_parameters(self, mode: FlightMode) -> tuple[float, float, float]:
        """param1 to param3 of the DO_SET_MODE that sets a mode. Raises VehicleRefused where it has none such."""
        if mode not in self._CUSTOM:
            raise VehicleRefused(f"{type(self).__name__} has no mode in which it would {mode} by itself")
        return 1.0, float(self._CUSTOM[mode]), 0.0

    def plan_index(self, wire_seq: int) -> int | None:
        """Item 0 on the wire is home."""
        return wire_seq - 1 if wire_seq > 0 else None

    def wire_seq(self, plan_index: int) -> int:
        """Item 0 on the wire is home."""
        return plan_index + 1

    def plan_total(self, wire_total: int) -> int | None:
        """MISSION_CURRENT already leaves home out."""
        return wire_total

    def to_wire(self, items: list[MissionItem], home: Position | None) -> list[MissionItem]:
        """Home in front (replaced aboard by its own), heights as it stores them, no NaN, jumps one further."""
        first = MissionItem(frame=GLOBAL, command=MAV_CMD_NAV_WAYPOINT)
        if home is not None:
            x, y = round(home.lat * 1e7), round(home.lon * 1e7)
            first = msgspec.structs.replace(first, x=x, y=y, z=home.altitude.value_m)
        return [first, *(self._to_wire(item) for item in items)]

    def _to_wire(self, item: MissionItem) -> MissionItem:
        params = tuple(0.0 if math.isnan(param) else param for param in item.params)
        if item.command == MAV_CMD_DO_JUMP:
            params = (params[0] + 1.0, *params[1:])
        z = stored_centimetres(item.z) if has_position(item) else item.z
        return msgspec.structs.replace(item, params=params, z=z)

    def from_wire(self, items: list[MissionItem]) -> list[MissionItem]:
        """Without home, jumps one back."""
        plan = []
        for item in items[1:]:
            if item.command == MAV_CMD_DO_JUMP:
                item = msgspec.structs.replace(item, params=(item.params[0] - 1.0, *item.params[1:]))
            plan.append(item)
        return plan

    def reposition(self, altitude: Altitude, home: Position | None) -> RepositionTarget | None:
        """Heights are read as their frame says."""
        if altitude.datum is Datum.AMSL:
            return RepositionTarget(frame=GLOBAL_INT, z_m=altitude.value_m)
        if altitude.datum is Datum.HOME:
            return RepositionTarget(frame=RELATIVE_INT, z_m=altitude.value_m)
        return None


class ArduPlane(ArduCopter):
    """ArduPilot's plane, which numbers its modes in its own way. Experimental: only a simulated one was flown."""

    arming_mode = FlightMode.MISSION
    needs_mission_mode = False
    return_height: tuple[str, float] | None = ("RTL_ALTITUDE", 1.0)
    lost_link: LostLinkParameters | None = None
    failsafes: tuple[FailsafeParameter, ...] = ()
    only_rally_parameters: Mapping[str, float] = {}

    _NAMES: ClassVar[dict[int, str]] = {
        0: "MANUAL", 1: "CIRCLE", 2: "STABILIZE", 3: "TRAINING", 4: "ACRO", 5: "FBWA", 6: "FBWB", 7: "CRUISE",
        8: "AUTOTUNE", 10: "AUTO", 11: "RTL", 12: "LOITER", 13: "TAKEOFF", 14: "AVOID_ADSB", 15: "GUIDED",
        17: "QSTABILIZE", 18: "QHOVER", 19: "QLOITER", 20: "QLAND", 21: "QRTL", 24: "THERMAL",
    }  # fmt: skip
    _MODES: ClassVar[dict[int, FlightMode]] = {
        0: FlightMode.MANUAL, 2: FlightMode.MANUAL, 5: FlightMode.MANUAL, 6: FlightMode.MANUAL, 7: FlightMode.MANUAL,
        10: FlightMode.MISSION, 11: FlightMode.RTL, 12: FlightMode.HOLD, 13: FlightMode.TAKEOFF,
        15: FlightMode.GUIDED, 19: FlightMode.HOLD, 20: FlightMode.LAND, 21: FlightMode.RTL,
    }  # fmt: skip
    _CUSTOM: ClassVar[dict[FlightMode, int]] = {
        FlightMode.MANUAL: 0,
        FlightMode.MISSION: 10,
        FlightMode.HOLD: 12,
        FlightMode.TAKEOFF: 13,
        FlightMode.GUIDED: 15,
        FlightMode.RTL: 11,
    }


class Px4:
    """PX4 1.14 and later. Experimental."""

    name = "px4"
    mav_autopilot = MAV_AUTOPILOT_PX4
    mode_acks = 2
    arming_mode = FlightMode.MISSION
    needs_mission_mode = False
    fence_must_be_enabled = False
    estimator_message = "ESTIMATOR_STATUS"
    fence_parameters: Mapping[str, float] = {}
    only_rally_parameters: Mapping[str, float] = {"RTL_TYPE": 1.0}
    forbidden_goto_is_accepted = True
    orbits = True

    tells_prearm = False
    read_ahead = 1
    integers_as_bytes = True
    passing_parameters: tuple[str, ...] = (
        "COM_FLIGHT_UUID", "LND_FLIGHT_T_*", "EKF2_MAG_DECL", "CAL_ACC?_?OFF", "CAL_GYRO?_?OFF", "CAL_MAG?_?OFF",
        "CAL_BARO?_OFF",
    )  # fmt: skip
    return_height: tuple[str, float] | None = ("RTL_RETURN_ALT", 1.0)
    lost_link: LostLinkParameters | None = LostLinkParameters(
        action="NAV_DLL_ACT",
        meanings={1: LostLinkAction.HOLD, 2: LostLinkAction.RETURN, 3: LostLinkAction.LAND},
        exceptions="COM_DLL_EXCEPT",
        mission_bit=1,
        other_bits=2 | 4,  # hold, and offboard
        timeout="COM_DL_LOSS_T",
        timeouts_s=(5.0, 300.0),
        whole_seconds=True,
        delay="COM_FAIL_ACT_T",
    )
    failsafes: tuple[FailsafeParameter, ...] = (
        FailsafeParameter(
            cause="critical battery",
            action="COM_LOW_BAT_ACT",
            meanings={0: FailsafeAction.NONE, 2: FailsafeAction.LAND, 3: FailsafeAction.RETURN},
            thresholds=("BAT_CRIT_THR",),
        ),
        FailsafeParameter(
            cause="fence",
            action="GF_ACTION",
            meanings={
                0: FailsafeAction.NONE, 1: FailsafeAction.NONE, 2: FailsafeAction.HOLD, 3: FailsafeAction.RETURN,
                4: FailsafeAction.TERMINATE, 5: FailsafeAction.LAND,
            },
        ),
    )  # fmt: skip

    _MAIN: ClassVar[dict[int, str]] = {
        1: "MANUAL", 2: "ALTCTL", 3: "POSCTL", 4: "AUTO", 5: "ACRO", 6: "OFFBOARD", 7: "STABILIZED", 10: "TERMINATION",
    }  # fmt: skip
    _AUTO: ClassVar[dict[int, str]] = {
        1: "READY", 2: "TAKEOFF", 3: "LOITER", 4: "MISSION", 5: "RTL", 6: "LAND", 8: "FOLLOW_TARGET", 9: "PRECLAND",
    }  # fmt: skip
    _AUTO_MODES: ClassVar[dict[int, FlightMode]] = {
        2: FlightMode.TAKEOFF, 3: FlightMode.HOLD, 4: FlightMode.MISSION, 5: FlightMode.RTL, 6: FlightMode.LAND,
        9: FlightMode.LAND,
    }  # fmt: skip
    _SUB: ClassVar[dict[FlightMode, int]] = {
        FlightMode.TAKEOFF: 2, FlightMode.HOLD: 3, FlightMode.GUIDED: 3, FlightMode.MISSION: 4, FlightMode.RTL: 5,
        FlightMode.LAND: 6,
    }  # fmt: skip

    def mode(self, custom_mode: int) -> FlightMode:
        """The mode that a heartbeat's custom_mode means: main mode << 16, sub mode << 24."""
        main, sub = custom_mode >> 16 & 0xFF, custom_mode >> 24 & 0xFF
        if main == 4:
            return self._AUTO_MODES.get(sub, FlightMode.OTHER)
        if main == 6 or (main, sub) == ORBITING:
            return FlightMode.GUIDED
        return FlightMode.MANUAL if main in (1, 2, 3, 5, 7) else FlightMode.OTHER

    def mode_name(self, custom_mode: int) -> str:
        """The autopilot's own name of it."""
        main, sub = custom_mode >> 16 & 0xFF, custom_mode >> 24 & 0xFF
        name = self._MAIN.get(main, f"mode {main}")
        if (main, sub) == ORBITING:
            return "ORBIT"
        return f"{name}.{self._AUTO.get(sub, sub)}" if main == 4 else name

    def mode_parameters(self, mode: FlightMode) -> tuple[float, float, float]:
        """param1 to param3 of the DO_SET_MODE that sets a mode."""
        if mode is FlightMode.MANUAL:
            return 1.0, 3.0, 0.0
        return 1.0, 4.0, float(self._SUB[mode])

    def plan_index(self, wire_seq: int) -> int | None:
        """No home slot."""
        return wire_seq if wire_seq != 65535 else None

    def wire_seq(self, plan_index: int) -> int:
        """No home slot."""
        return plan_index

    def plan_total(self, wire_total: int) -> int | None:
        """65535 means none."""
        return 0 if wire_total == 65535 else wire_total

    def to_wire(self, items: list[MissionItem], home: Position | None) -> list[MissionItem]:
        """As it is; items without a place want MAV_FRAME_MISSION."""
        return [item if has_position(item) else msgspec.structs.replace(item, frame=MISSION) for item in items]

    def from_wire(self, items: list[MissionItem]) -> list[MissionItem]:
        """As it is."""
        return list(items)

    def reposition(self, altitude: Altitude, home: Position | None) -> RepositionTarget | None:
        """Always AMSL: whatever the frame says, PX4 reads the height of a DO_REPOSITION so, and dives."""
        if altitude.datum is Datum.AMSL:
            return RepositionTarget(frame=GLOBAL_INT, z_m=altitude.value_m)
        if altitude.datum is Datum.HOME and home is not None and home.altitude.datum is Datum.AMSL:
            return RepositionTarget(frame=GLOBAL_INT, z_m=altitude.value_m + home.altitude.value_m)
        return None


class UnknownAutopilot(Px4):
    """An autopilot, or a kind of vehicle, that nobody tried: seen and listed, and set into no mode."""

    name = "unknown"
    mode_acks = 1
    return_height: tuple[str, float] | None = None
    lost_link: LostLinkParameters | None = None
    failsafes: tuple[FailsafeParameter, ...] = ()

    def __init__(self, mav_autopilot: int) -> None:
        """Of the MAV_AUTOPILOT that its heartbeat gives."""
        self.mav_autopilot = mav_autopilot

    def mode(self, custom_mode: int) -> FlightMode:
        """Nobody knows."""
        return FlightMode.OTHER

    def mode_name(self, custom_mode: int) -> str:
        """A number."""
        return f"mode {custom_mode}"

    def mode_parameters(self, mode: FlightMode) -> tuple[float, float, float]:
        """Nobody knows the numbers of its modes, so that none is sent. Raises VehicleRefused."""
        raise VehicleRefused(f"its modes are not known, so that it cannot be told to {mode}")


def autopilot_of(mav_autopilot: int, mav_type: int) -> Autopilot:
    """How to speak to the autopilot of a heartbeat; of ArduPilot's vehicles only copters and planes are known."""
    if mav_autopilot == MAV_AUTOPILOT_ARDUPILOT and mav_type in COPTER_TYPES:
        return ArduCopter()
    if mav_autopilot == MAV_AUTOPILOT_ARDUPILOT and mav_type in PLANE_TYPES:
        return ArduPlane()
    if mav_autopilot == MAV_AUTOPILOT_PX4:
        return Px4()
    return UnknownAutopilot(mav_autopilot)
