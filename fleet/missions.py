"""Mission items as they travel, and the hash that says what was approved."""

from __future__ import annotations

import msgspec


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
