"""Files of parameters as other ground stations write them, and sets of parameters to hold a vehicle to.

QGroundControl's .params has a line of vehicle, component, name, value and type for each; Mission Planner and MAVProxy
(.param, .parm) have the name and the value, with a comma or spaces between them.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path

from fleet.channels import AUTOPILOT_COMPID
from fleet.errors import ParameterFileInvalid
from fleet.parameters import REAL32, Parameter

_NAME = re.compile(r"[A-Za-z0-9_]{1,16}")
"""What fits into a PARAM_VALUE."""


def lasting(aboard: Mapping[str, Parameter], passing: Iterable[str]) -> dict[str, float]:
    """The values of a vehicle that may be registered: all but those whose names fit a pattern of `passing`.

    An autopilot counts and calibrates in some of its parameters (fleet.autopilots), and a mission's own choices are
    written to others; `*` and `?` in a pattern stand for any characters and any one.
    """
    patterns = tuple(passing)
    return {
        name: parameter.value
        for name, parameter in aboard.items()
        if not any(fnmatchcase(name, pattern) for pattern in patterns)
    }


def read_parameters(path: Path) -> dict[str, float]:
    """Values by name from a .params, .param or .parm file; those of other components than the autopilot are left out.

    Raises ParameterFileInvalid, which names the line.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as exc:
        raise ParameterFileInvalid(f"{path}: cannot be read: {exc}") from exc
    found: dict[str, float] = {}
    for number, line in enumerate(lines, start=1):
        words = line.partition("#")[0].replace(",", " ").split()
        if not words:
            continue
        where = f"{path}, line {number}"
        name, value, compid = _entry(where, words)
        if compid != AUTOPILOT_COMPID:
            continue
        if name in found:
            raise ParameterFileInvalid(f"{where}: {name} is there twice")
        found[name] = value
    if not found:
        raise ParameterFileInvalid(f"{path}: has no parameters")
    return found


def write_parameters(path: Path, parameters: Iterable[Parameter], *, sysid: int) -> None:
    """Write a .params file that QGroundControl reads. Raises ParameterFileInvalid."""
    lines = [f"# Onboard parameters for Vehicle {sysid}", "#", "# Vehicle-Id Component-Id Name Value Type"]
    for parameter in parameters:
        value = f"{parameter.value:.9g}" if parameter.kind == REAL32 else str(int(parameter.value))
        lines.append("\t".join((str(sysid), str(AUTOPILOT_COMPID), parameter.name, value, str(parameter.kind))))
    try:
        path.write_text("\n".join([*lines, ""]), encoding="utf-8")
    except OSError as exc:
        raise ParameterFileInvalid(f"{path}: cannot be written: {exc}") from exc


def _entry(where: str, words: list[str]) -> tuple[str, float, int]:
    """Name, value and component of a line."""
    compid = AUTOPILOT_COMPID
    if len(words) == 5:
        _, component, name, text, _ = words
        if not component.isdecimal():
            raise ParameterFileInvalid(f"{where}: {component!r} is no component id")
        compid = int(component)
    elif len(words) == 2:
        name, text = words
    else:
        raise ParameterFileInvalid(f"{where}: has {len(words)} columns; 2 or 5 are understood")
    if not _NAME.fullmatch(name):
        raise ParameterFileInvalid(f"{where}: {name!r} is no name of a parameter")
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ParameterFileInvalid(f"{where}: {name} is {text!r}, which is no number")
    return name, value, compid
