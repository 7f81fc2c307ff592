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


class Flavour(msgspec.Struct, frozen=True, kw_only=True):
    """The habits of one autopilot."""

    name: str
    """As its banner says it."""
    autopilot: int
    """MAV_AUTOPILOT."""
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
    idle_link: frozenset[int]
    """Messages it sends unasked besides HEARTBEAT and STATUSTEXT, at 1 Hz."""


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
        Mode.LAND: 9,
        Mode.BRAKE: 17,
    },
    home_slot=True,
    asks_with_int=False,
    most_items=650,
    ask_again_s=1.0,
    give_up_s=8.0,
    idle_link=frozenset(),
)
"""As recorded from ArduCopter 4.6.0-dev 953cc9e4."""
