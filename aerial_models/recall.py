"""Recall by size in the picture and number of looks, with what is sure of it."""

from __future__ import annotations

import msgspec

APART = 0.09
"""Looks at a place are several only where the direction to the camera turns by this much from one to the next (tangent;
5 deg): looks from nearly the same place see the same pixels and miss together."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """One look at a thing that is known to be there."""

    gsd_m: float
    """Ground sample distance at the thing, m per px."""
    off_nadir_deg: float
    """Of the direction from the thing to the camera, from the vertical, deg."""
    blur_px: float
    """Motion during the exposure, px."""
    counts: bool
    """Whether the thing was whole in the picture, and no building in between."""
    score: float
    """Of the finding that was the thing, 0 to 1; 0 where it was missed."""


class Pass(msgspec.Struct, frozen=True, kw_only=True):
    """Consecutive looks at one thing, each APART from the one before."""

    seed: int
    """Of the world."""
    thing: str
    """Its name there."""
    name: str
    """Class of the detector."""
    area_m2: float
    """Of its outline, m2."""
    sun_deg: float
    """Height of the sun, deg."""
    looks: tuple[Look, ...]
    """In the order they were taken."""
