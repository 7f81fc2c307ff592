"""Mission items as they travel, and the hash that says what was approved."""

from __future__ import annotations

import hashlib
import math

import msgspec
import numpy as np

from fleet.errors import MissionInvalid

POSITION_COMMANDS = frozenset(
    (16, 17, 18, 19, 21, 22, 30, 31, 34, 82, 84, 85, 179, 189, 192, 195, 201)
)  # fmt: skip
"""MAV_CMD whose x, y, z are a place: the NAV_ commands but RETURN_TO_LAUNCH, DO_ORBIT, DO_SET_HOME, DO_LAND_START,
DO_REPOSITION and the two DO_SET_ROI with one."""
FLYING_COMMANDS = frozenset((16, 17, 18, 19, 22, 31, 82))
"""MAV_CMD that the vehicle flies to, other than landings."""
ENDING_COMMANDS = frozenset((20, 21, 85))
"""MAV_CMD that end in a landing: RETURN_TO_LAUNCH, LAND, VTOL_LAND."""
MAV_CMD_NAV_TAKEOFF = 22
FRAMES = {5: 0, 6: 3, 11: 10}
"""The _INT frames and the plain ones they mean (since MISSION_ITEM_INT the difference is none)."""
PLACELESS_FRAME = 2
"""MAV_FRAME_MISSION, of items that have no place."""
KNOWN_FRAMES = frozenset((0, 2, 3, 5, 6, 10, 11))
STORED_PARAMS = {
    16: (True, False, False, False),
    20: (False, False, False, False),
    21: (True, False, False, False),
    22: (True, False, False, False),
    82: (True, False, False, False),
    189: (False, False, False, False),
    205: (True, True, True, False),
    206: (True, False, False, False),
}
"""Which of param1 to param4 ArduCopter keeps (AP_Mission.cpp, mavlink_int_to_mission_cmd); others come back as 0
or as a default. Commands not named keep all four or the difference is worth a refusal."""
PLACE_DROPPED = frozenset((20, 205))
"""Commands without a place in ArduCopter's store, whose x, y, z come back as 0."""
MOST_ITEMS = 650
"""ArduCopter 4.6 says NO_SPACE beyond."""
HASH_VERSION = b"mission/1"


class MissionItem(msgspec.Struct, frozen=True, kw_only=True):
    """One MISSION_ITEM_INT; its seq is its index in the list. A plan has no home slot."""

    frame: int
    """MAV_FRAME."""
    command: int
    """MAV_CMD."""
    params: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    """param1 to param4."""
    x: int = 0
    """Latitude, 1e-7 deg."""
    y: int = 0
    """Longitude, 1e-7 deg."""
    z: float = 0.0
    """Height, m, above what the frame says."""
    autocontinue: bool = True
    """Whether the vehicle goes on to the next item by itself."""


def has_position(item: MissionItem) -> bool:
    """Whether x, y, z of the item are a place (and not further parameters)."""
    return item.command in POSITION_COMMANDS


def mission_hash(items: list[MissionItem]) -> str:
    """SHA-256 (hex) over the canonical form of a plan.

    The form is what every autopilot gives back of what it was sent: frames without their _INT doubles, one frame
    for items without a place, heights to the centimetre, parameters as float32 with NaN as 0 and without those
    that ArduCopter does not store; autocontinue is left out (it always comes back as true). Latitude, longitude,
    order, number and commands count exactly.
    """
    digest = hashlib.sha256(HASH_VERSION)
    for item in items:
        digest.update(repr(canonical(item)).encode())
    return digest.hexdigest()


def canonical(item: MissionItem) -> tuple[int, int, tuple[float, ...], int, int, float]:
    """Frame, command, parameters, x, y, z of an item in the form that the hash is taken over."""
    stored = STORED_PARAMS.get(item.command, (True, True, True, True))
    params = tuple(_float32(param) if kept else 0.0 for param, kept in zip(item.params, stored, strict=True))
    frame = FRAMES.get(item.frame, item.frame)
    if item.command in PLACE_DROPPED:
        return PLACELESS_FRAME, item.command, params, 0, 0, 0.0
    if not has_position(item):
        return PLACELESS_FRAME, item.command, params, item.x, item.y, _float32(item.z)
    return frame, item.command, params, item.x, item.y, centimetres(item.z) / 100.0


def first_difference(expected: list[MissionItem], found: list[MissionItem]) -> str | None:
    """Where two plans differ in canonical form, in words; None if they do not."""
    for index, (ours, theirs) in enumerate(zip(expected, found, strict=False)):
        a, b = canonical(ours), canonical(theirs)
        names = ("frame", "command", "parameters", "x", "y", "z")
        for name, left, right in zip(names, a, b, strict=True):
            if left != right:
                return f"item {index} (command {ours.command}): {name} is {right}, not {left}"
    if len(expected) != len(found):
        return f"{len(found)} items, not {len(expected)}"
    return None


def check_mission(items: list[MissionItem]) -> None:
    """Refuse a plan that an autopilot might swallow and should not; raises MissionInvalid naming the item."""
    if not items:
        raise MissionInvalid("the mission has no items")
    if len(items) > MOST_ITEMS:
        raise MissionInvalid(f"the mission has {len(items)} items; {MOST_ITEMS} is the most that ArduCopter takes")
    for index, item in enumerate(items):
        where = f"item {index} (command {item.command})"
        if item.frame not in KNOWN_FRAMES:
            raise MissionInvalid(f"{where}: MAV_FRAME {item.frame} is none of {sorted(KNOWN_FRAMES)}")
        if any(math.isinf(param) for param in item.params):
            raise MissionInvalid(f"{where}: a parameter is infinite: {item.params}")
        if not has_position(item):
            continue
        if item.frame == PLACELESS_FRAME:
            raise MissionInvalid(f"{where}: has a place but MAV_FRAME_MISSION, so its height has no datum")
        if abs(item.x) > 900_000_000:
            raise MissionInvalid(f"{where}: latitude {item.x / 1e7:g} deg is beyond 90")
        if abs(item.y) > 1_800_000_000:
            raise MissionInvalid(f"{where}: longitude {item.y / 1e7:g} deg is beyond 180")
        if not math.isfinite(item.z):
            raise MissionInvalid(f"{where}: height is {item.z}")
        flown = item.command in FLYING_COMMANDS and item.command != MAV_CMD_NAV_TAKEOFF
        if flown and item.x == 0 and item.y == 0:
            raise MissionInvalid(f"{where}: lies at latitude 0, longitude 0")


def centimetres(z_m: float) -> int:
    """A height to the centimetre, as ArduPilot stores it."""
    return round(float(np.float32(z_m)) * 100.0)


def stored_centimetres(z_m: float) -> float:
    """The height nearest `z_m` that ArduPilot stores as the centimetre it is nearest to.

    It multiplies by 100 in float32 and cuts off, which turns some whole centimetres into one less.
    """
    whole = centimetres(z_m)
    value = np.float32(whole / 100.0)
    while int(value * np.float32(100.0)) != whole:
        value = np.nextafter(value, np.float32(math.copysign(math.inf, whole)))
    return float(value)


def _float32(value: float) -> float:
    return 0.0 if math.isnan(value) else float(np.float32(value)) + 0.0
