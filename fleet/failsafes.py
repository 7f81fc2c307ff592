"""What a vehicle does by itself: chosen for a lost link and written before arming; read for battery and fence.

The words are the same for all autopilots; which parameters mean what stands in fleet.autopilots. Everything written
is read back, so what these functions return is what is aboard.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Protocol

import msgspec

from fleet.errors import ParameterInvalid, ParameterUnknown, PolicyUnsupported
from fleet.parameters import Parameters


class LostLinkAction(StrEnum):
    """What a vehicle is to do when it no longer hears the ground."""

    CONTINUE = "continue"
    """Fly its mission to the end; in any other mode return."""
    HOLD = "hold"
    """Stand where it is."""
    RETURN = "return"
    """Return to launch, or to the nearest rally point, and land."""
    LAND = "land"
    """Land where it is."""


class FailsafeAction(StrEnum):
    """What a vehicle does when its battery is low or it leaves its fence."""

    NONE = "none"
    """Nothing, or only a word about it."""
    HOLD = "hold"
    """Stand where it is."""
    RETURN = "return"
    """Return to launch, or to the nearest rally point, and land."""
    LAND = "land"
    """Land where it is."""
    TERMINATE = "terminate"
    """Stop the motors, and fall."""
    OTHER = "other"
    """Something that we have no word for; the parameter says what."""


class LostLinkPolicy(msgspec.Struct, frozen=True, kw_only=True):
    """What a vehicle is to do when it hears no ground for so long."""

    action: LostLinkAction
    """What it does."""
    timeout_s: float = 10.0
    """Silence after which the link counts as lost, s of the vehicle's clock."""

    @property
    def text(self) -> str:
        """`return after 10 s`."""
        return f"{self.action} after {self.timeout_s:g} s"


class LostLinkParameters(msgspec.Struct, frozen=True, kw_only=True):
    """Where an autopilot keeps its lost-link policy."""

    action: str
    """Parameter of the action."""
    meanings: dict[int, LostLinkAction]
    """What its values mean; the first of each meaning is the one that is written."""
    exceptions: str
    """Parameter whose bits are circumstances in which it does nothing."""
    mission_bit: int
    """The bit for flying a mission."""
    other_bits: int
    """The bits for being held, or flown by sticks: a vehicle told to stand there would stay until it is empty."""
    timeout: str
    """Parameter of the silence, s."""
    timeouts_s: tuple[float, float]
    """Least and most of it."""
    whole_seconds: bool = False
    """Whether the silence is an integer."""
    delay: str | None = None
    """Parameter of a further wait, standing, before it acts, s; of other failsafes too."""
    ground: str | None = None
    """Parameter of the only ground station that counts; None where any does."""

    @property
    def names(self) -> tuple[str, ...]:
        """All of them."""
        found = (self.ground, self.timeout, self.exceptions, self.delay, self.action)
        return tuple(name for name in found if name is not None)

    def value(self, action: LostLinkAction) -> int | None:
        """What to write for an action; None where the autopilot cannot do it."""
        base = LostLinkAction.RETURN if action is LostLinkAction.CONTINUE else action
        return next((value for value, meaning in self.meanings.items() if meaning is base), None)


class FailsafeParameter(msgspec.Struct, frozen=True, kw_only=True):
    """Where an autopilot keeps what it does about one thing."""

    cause: str
    """`low battery`, `critical battery` or `fence`."""
    action: str
    """Parameter of the action."""
    meanings: dict[int, FailsafeAction]
    """What its values mean; any other is OTHER."""
    thresholds: tuple[str, ...] = ()
    """Parameters of which one at least must be above 0 for it ever to act."""


class HasFailsafes(Protocol):
    """What is asked of an autopilot (fleet.autopilots)."""

    @property
    def name(self) -> str:
        """`ardupilot` or `px4`."""

    @property
    def lost_link(self) -> LostLinkParameters | None:
        """Where its lost-link policy stands; None where nobody knows."""

    @property
    def failsafes(self) -> tuple[FailsafeParameter, ...]:
        """Where its other failsafes stand."""

    @property
    def return_height(self) -> tuple[str, float] | None:
        """The parameter of the least height of its return, and its value for each m; None where nobody knows."""


class PolicyAboard(msgspec.Struct, frozen=True, kw_only=True):
    """The lost-link policy as the vehicle has it."""

    action: LostLinkAction | None
    """What it does; None where its failsafe is off, or is something else."""
    timeout_s: float
    """Silence after which the link counts as lost, s of the vehicle's clock."""
    everywhere: bool = True
    """Whether it does so in all modes; otherwise it does nothing while it is held, say."""
    delay_s: float = 0.0
    """So long it then stands before it acts, s."""
    gcs_sysid: int | None = None
    """The only ground station whose heartbeats count; None where any does."""
    parameters: dict[str, float]
    """The parameters that say so."""

    @property
    def text(self) -> str:
        """`return after 10 s (FS_GCS_ENABLE 1, ...)`."""
        action = "nothing known" if self.action is None else str(self.action)
        values = ", ".join(f"{name} {value:g}" for name, value in self.parameters.items())
        where = "" if self.everywhere else ", but not in all modes"
        return f"{action} after {self.timeout_s + self.delay_s:g} s{where} ({values})"

    def follows(self, policy: LostLinkPolicy, *, gcs_sysid: int) -> bool:
        """Whether this is that policy, towards the ground station of that system id."""
        ours = self.gcs_sysid in (None, gcs_sysid) and self.everywhere
        in_time = math.isclose(self.timeout_s, policy.timeout_s, rel_tol=1e-6)  # it is a float32 aboard
        return ours and in_time and self.action is policy.action


class FailsafeAboard(msgspec.Struct, frozen=True, kw_only=True):
    """What the vehicle does about one thing."""

    cause: str
    """`low battery`, `critical battery` or `fence`."""
    action: FailsafeAction
    """What it does; NONE also where its thresholds are all off."""
    parameters: dict[str, float]
    """The parameters that say so."""

    @property
    def acts(self) -> bool:
        """Whether it does more than to say so."""
        return self.action is not FailsafeAction.NONE

    @property
    def text(self) -> str:
        """`low battery: return (BATT_FS_LOW_ACT 2, ...)`."""
        values = ", ".join(f"{name} {value:g}" for name, value in self.parameters.items())
        return f"{self.cause}: {self.action} ({values})"


async def set_policy(
    parameters: Parameters, autopilot: HasFailsafes, policy: LostLinkPolicy, *, gcs_sysid: int
) -> PolicyAboard:
    """Write a policy, the action last, and read it back; `gcs_sysid` is the ground whose heartbeats shall count.

    Raises PolicyUnsupported before anything is written, and ParameterRefused, which names the parameter, what was
    wanted and what is aboard, ParameterUnknown or LinkLost; after these a part may be written.
    """
    table = _lost_link_of(autopilot)
    action = table.value(policy.action)
    if action is None:
        raise PolicyUnsupported(
            f"{autopilot.name} cannot {policy.action} on a lost link; {table.action} has no value for it"
        )
    least, most = table.timeouts_s
    whole = float(policy.timeout_s).is_integer() or not table.whole_seconds
    if not (least <= policy.timeout_s <= most and whole):
        wanted = "whole " if table.whole_seconds else ""
        raise PolicyUnsupported(
            f"{autopilot.name} takes {wanted}seconds from {least:g} to {most:g} in {table.timeout}, not"
            f" {policy.timeout_s:g} s"
        )
    aboard = {table.exceptions: (await parameters.read(table.exceptions)).value}
    exceptions = _whole(aboard, table.exceptions) & ~(table.mission_bit | table.other_bits)
    if policy.action is LostLinkAction.CONTINUE:
        exceptions |= table.mission_bit
    if table.ground is not None:
        await parameters.write(table.ground, gcs_sysid)
    await parameters.write(table.timeout, policy.timeout_s)
    await parameters.write(table.exceptions, exceptions)
    await parameters.write(table.action, action)
    return await read_policy(parameters, autopilot)


async def read_policy(parameters: Parameters, autopilot: HasFailsafes) -> PolicyAboard:
    """The policy aboard, read now. Raises PolicyUnsupported where it is not known where to look, as `read` does."""
    table = _lost_link_of(autopilot)
    return policy_of(table, await _values(parameters, table.names))


def policy_of(table: LostLinkParameters, values: Mapping[str, float]) -> PolicyAboard:
    """The policy that the values of `table.names` mean."""
    action, exceptions = table.meanings.get(_whole(values, table.action)), _whole(values, table.exceptions)
    if action is not None and exceptions & table.mission_bit:
        action = LostLinkAction.CONTINUE
    return PolicyAboard(
        action=action,
        everywhere=not exceptions & table.other_bits,
        timeout_s=values[table.timeout],
        delay_s=0.0 if table.delay is None else values[table.delay],
        gcs_sysid=None if table.ground is None else _whole(values, table.ground),
        parameters={name: values[name] for name in table.names},
    )


async def read_failsafes(parameters: Parameters, autopilot: HasFailsafes) -> tuple[FailsafeAboard, ...]:
    """What the vehicle does about its battery and its fence, read now. Raises as `read` does."""
    tables = autopilot.failsafes
    values = await _values(parameters, [name for table in tables for name in (table.action, *table.thresholds)])
    return tuple(failsafe_of(table, values) for table in tables)


def failsafe_of(table: FailsafeParameter, values: Mapping[str, float]) -> FailsafeAboard:
    """What the values of one failsafe's parameters mean."""
    action = table.meanings.get(_whole(values, table.action), FailsafeAction.OTHER)
    if table.thresholds and not any(values[name] > 0 for name in table.thresholds):
        action = FailsafeAction.NONE
    return FailsafeAboard(
        cause=table.cause,
        action=action,
        parameters={name: values[name] for name in (table.action, *table.thresholds)},
    )


def _whole(values: Mapping[str, float], name: str) -> int:
    """The integer that a parameter means. Raises ParameterInvalid."""
    if not math.isfinite(values[name]):
        raise ParameterInvalid(f"{name} is {values[name]:g}, which is no whole number")
    return int(values[name])


async def _values(parameters: Parameters, names: Sequence[str]) -> dict[str, float]:
    """Of all these names. Raises ParameterUnknown, LinkLost."""
    found = await parameters.read_several(names)
    if missing := [name for name in names if name not in found]:
        raise ParameterUnknown(f"the vehicle has no parameter {', '.join(missing)}")
    return {name: found[name].value for name in names}


def _lost_link_of(autopilot: HasFailsafes) -> LostLinkParameters:
    if autopilot.lost_link is None:
        raise PolicyUnsupported(
            f"nobody knows where an autopilot of the kind {autopilot.name} keeps its lost-link policy"
        )
    return autopilot.lost_link


async def raise_return(parameters: Parameters, autopilot: HasFailsafes, height_m: float) -> float:
    """See to it that a vehicle returns at least so high above home, m; the height that is aboard then.

    What is higher is left alone. Raises PolicyUnsupported where nobody knows its parameter, and as `set_policy` does.
    """
    aboard_m = await read_return(parameters, autopilot)
    if aboard_m >= height_m:
        return aboard_m
    name, scale = _return_height_of(autopilot)
    return (await parameters.write(name, math.ceil(height_m) * scale)).value / scale


async def read_return(parameters: Parameters, autopilot: HasFailsafes) -> float:
    """At least how high above home a vehicle returns, m. Raises PolicyUnsupported, ParameterUnknown, LinkLost."""
    name, scale = _return_height_of(autopilot)
    return (await parameters.read(name)).value / scale


def _return_height_of(autopilot: HasFailsafes) -> tuple[str, float]:
    if autopilot.return_height is None:
        raise PolicyUnsupported(f"{autopilot.name}: which parameter holds its return height is not known")
    return autopilot.return_height
