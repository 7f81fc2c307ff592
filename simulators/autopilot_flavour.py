"""What differs between autopilots on the wire, in one place."""

from __future__ import annotations

from enum import Enum

import msgspec


class Mode(Enum):
    """Flight modes by what they do."""

    STABILIZE = "STABILIZE"
    AUTO = "AUTO"
    GUIDED = "GUIDED"
    LOITER = "LOITER"
    RTL = "RTL"
    LAND = "LAND"
    BRAKE = "BRAKE"
    TAKEOFF = "TAKEOFF"
    HOLD = "HOLD"
    POSITION = "POSITION"
    OFFBOARD = "OFFBOARD"
    TERMINATION = "TERMINATION"
    CIRCLE = "CIRCLE"
    ORBIT = "ORBIT"


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """The habits of one autopilot."""

    name: str
    """As its banner says it."""
    autopilot: int
    """MAV_AUTOPILOT."""
    vehicle_type: int = 2
    """MAV_TYPE."""
    banner: tuple[str, ...]
    """Texts sent before the parameter list."""
    software_version: int
    """flight_sw_version of AUTOPILOT_VERSION."""
    software_hash: str
    """First eight characters of the commit."""
    capabilities: int
    """MAV_PROTOCOL_CAPABILITY."""
    modes: dict[Mode, int]
    """custom_mode of each mode."""
    home_slot: bool
    """Whether item 0 of a mission is the home and not the first real item."""
    asks_with_int: bool
    """Whether it asks for items with MISSION_REQUEST_INT instead of MISSION_REQUEST."""
    most_items: int
    """Items it can store of one kind."""
    ask_again_s: float
    """How long it waits for an item before it asks again, s."""
    give_up_s: float
    """How long it waits for an item before it gives the upload up, s."""
    unasked_hz: dict[int, float]
    """Messages it sends unasked besides HEARTBEAT and STATUSTEXT, and how often, Hz."""
    hears_components: frozenset[int] | None
    """Target components whose orders it carries out; None means all."""
    blind: tuple[int, int, int]
    """fix_type, satellites and eph, cm, of GPS_RAW_INT when the receiver says nothing."""
    believes_after_s: float
    """A satellite receiver that says another place is believed after so long, s."""
    ready_s: float
    """When the recorded one could be armed, s after power-on."""


ARDUCOPTER = Flavour(
    name="ArduCopter",
    autopilot=3,
    banner=("ArduCopter V4.6.0-dev (953cc9e4)", "Frame: QUAD/PLUS"),
    software_version=0x04060000,
    software_hash="953cc9e4",
    capabilities=0xFBEF,
    modes={
        Mode.STABILIZE: 0,
        Mode.AUTO: 3,
        Mode.GUIDED: 4,
        Mode.LOITER: 5,
        Mode.RTL: 6,
        Mode.CIRCLE: 7,
        Mode.LAND: 9,
        Mode.BRAKE: 17,
    },
    home_slot=True,
    asks_with_int=False,
    most_items=650,
    ask_again_s=1.0,
    give_up_s=8.0,
    unasked_hz={},
    hears_components=None,
    blind=(1, 3, 121),
    believes_after_s=10.0,
    ready_s=41.0,
)
"""As recorded from ArduCopter 4.6.0-dev 953cc9e4."""

ARDUPLANE = msgspec.structs.replace(
    ARDUCOPTER,
    name="ArduPlane",
    vehicle_type=1,
    banner=("ArduPlane V4.6.0-dev (953cc9e4)",),
    modes={
        Mode.CIRCLE: 1,
        Mode.STABILIZE: 2,
        Mode.AUTO: 10,
        Mode.RTL: 11,
        Mode.LOITER: 12,
        Mode.TAKEOFF: 13,
        Mode.GUIDED: 15,
    },
)
"""As documented; not recorded."""

PX4 = Flavour(
    name="PX4",
    autopilot=12,
    banner=(),
    software_version=0x011100FF,
    software_hash="",
    capabilities=0xE8FF,
    modes={
        Mode.POSITION: 0x00030000,
        Mode.ORBIT: 0x01030000,
        Mode.OFFBOARD: 0x00060000,
        Mode.TERMINATION: 0x000A0000,
        Mode.TAKEOFF: 0x02040000,
        Mode.HOLD: 0x03040000,
        Mode.AUTO: 0x04040000,
        Mode.RTL: 0x05040000,
        Mode.LAND: 0x06040000,
    },
    home_slot=False,
    asks_with_int=True,
    most_items=65535,
    ask_again_s=0.25,
    give_up_s=5.0,
    unasked_hz={
        1: 1.0, 2: 1.0, 24: 1.0, 29: 1.0, 30: 10.0, 31: 5.0, 32: 10.0, 33: 10.0, 36: 2.0, 42: 1.0, 74: 4.0, 141: 2.0,
        147: 0.5, 230: 0.5, 241: 0.2, 242: 0.5, 245: 1.0, 281: 0.5, 285: 5.0, 360: 2.0,
    },
    hears_components=frozenset((0, 1)),
    blind=(0, 0, 10000),
    believes_after_s=5.0,
    ready_s=4.0,
)  # fmt: skip
"""As recorded from PX4 1.17.0; the recorded link carries attitude and position at 50 to 100 Hz."""

FLAVOURS = {"ardupilot": ARDUCOPTER, "arduplane": ARDUPLANE, "px4": PX4}
"""By the name that SimulatedVehicle takes."""
