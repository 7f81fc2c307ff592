"""What a plan file holds, whatever its format, and numbers as its text has them."""

from __future__ import annotations

import math

import msgspec
import numpy as np

from fleet.errors import PlanFileInvalid
from fleet.missions import FRAMES, MissionItem, has_position
from geo.positions import Altitude, Datum, Position

FLOAT32_MOST = float(np.finfo(np.float32).max)
"""The largest number that a parameter can carry."""


class PlanFile(msgspec.Struct, frozen=True, kw_only=True):
    """A plan as a file has it."""

    items: list[MissionItem]
    """In flying order, without a home slot; jumps name items of this list, counted from 0."""
    home: Position | None
    """Where it is planned to start from, AMSL; None where the file does not say."""
    notes: tuple[str, ...] = ()
    """What a person should know: what the file holds that this list does not, or what it lacks."""


def checked_item(
    where: str,
    *,
    frame: int,
    command: int,
    values: list[float],
    autocontinue: bool = True,
) -> MissionItem:
    """An item of its seven parameters: places in degrees, NaN where the file leaves a parameter open.

    Raises PlanFileInvalid, `where` in front, for what a MISSION_ITEM_INT cannot carry. The _INT frames become the
    plain ones that they mean.
    """
    if not 0 <= frame <= 255:
        raise PlanFileInvalid(f"{where}: frame: {frame} is no MAV_FRAME")
    if not 0 <= command <= 65535:
        raise PlanFileInvalid(f"{where}: command: {command} is no MAV_CMD")
    for number, value in enumerate(values, start=1):
        if abs(value) > FLOAT32_MOST:
            raise PlanFileInvalid(f"{where}: param{number}: {value} is not a number that MAVLink can carry")
    item = MissionItem(frame=FRAMES.get(frame, frame), command=command, autocontinue=autocontinue)
    x, y = _place(where, values[4], values[5]) if has_position(item) else _whole(where, command, values[4:6])
    z = values[6]
    if math.isnan(z):
        if has_position(item):
            raise PlanFileInvalid(f"{where}: altitude: is not given, and command {command} has a place")
        z = 0.0
    return msgspec.structs.replace(item, params=(values[0], values[1], values[2], values[3]), x=x, y=y, z=z)


def _place(where: str, lat: float, lon: float) -> tuple[int, int]:
    """1e-7 deg; a place that is left open is 0, 0: where the vehicle is."""
    for name, value, most in (("latitude", lat, 90.0), ("longitude", lon, 180.0)):
        if abs(value) > most:
            raise PlanFileInvalid(f"{where}: {name}: {value:g} deg is beyond {most:g}")
    return tuple(0 if math.isnan(value) else round(value * 1e7) for value in (lat, lon))  # type: ignore[return-value]


def _whole(where: str, command: int, values: list[float]) -> tuple[int, int]:
    """param5 and param6 of a command without a place: MISSION_ITEM_INT has whole numbers there."""
    for name, value in zip(("param5", "param6"), values, strict=True):
        if not math.isnan(value) and (value != round(value) or abs(value) >= 1 << 31):
            raise PlanFileInvalid(
                f"{where}: {name}: {value:g} of command {command} cannot be sent: it is no whole number"
            )
    return tuple(0 if math.isnan(value) else round(value) for value in values)  # type: ignore[return-value]


def home_of(where: str, *, lat: float, lon: float, amsl_m: float) -> Position:
    """A home of degrees and m AMSL. Raises PlanFileInvalid, `where` in front."""
    if not (abs(lat) <= 90 and abs(lon) <= 180 and math.isfinite(amsl_m)):
        raise PlanFileInvalid(f"{where}: {lat:g}, {lon:g} deg, {amsl_m:g} m is no place")
    return Position(lon=lon, lat=lat, altitude=Altitude(amsl_m, Datum.AMSL))


def check_home(home: Position) -> Position:
    """The home, if its height is AMSL. Raises PlanFileInvalid."""
    if home.altitude.datum is not Datum.AMSL:
        raise PlanFileInvalid(f"home height must be AMSL, not {home.altitude.datum}")
    return home


def decimal(value: float) -> str:
    """The shortest decimal text, without an exponent, that reads back as the same float; NaN as Mission Planner
    spells it."""
    return "NaN" if math.isnan(value) else np.format_float_positional(value, trim="-")
