"""Parameters of an autopilot: read, written with read-back, and listed, over links that lose frames.

An autopilot has no answer for a name it does not know, so silence is the answer. ArduPilot gives index 65535 to what
is asked by name, sends values unasked, and changes their number when options are switched; PX4 lists `_HASH_CHECK`,
which is none (recorded). ArduPilot casts integers to the float of the message, PX4 puts their bytes into it.
"""

from __future__ import annotations

import asyncio
import math
import struct
import time
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec
import numpy as np
from pymavlink.dialects.v20 import ardupilotmega as dialect

from fleet.channels import Channel, Inbox
from fleet.errors import LinkLost, ParameterInvalid, ParameterRefused, ParametersIncomplete, ParameterUnknown
from fleet.transfers import Progress, TransferProgress, ignore_progress

ATTEMPTS = 10
"""Repetitions of one question; with a third of the frames lost each way one in a thousand stays without an answer."""
REFUSALS = 3
"""A value that the vehicle answered with another one is written again so often: the answer may be one from before."""
LISTS = 4
"""Lists begun anew because the number of parameters changed meanwhile."""
AT_ONCE = 16
"""Several parameters are asked for by name so many at a time."""
GAPS_AT_ONCE = 50
"""Missing entries of a list are asked for so many at a time, the next as soon as one came."""
NO_INDEX = 65535
REAL32 = 9
_FORMATS = {1: "<B", 2: "<b", 3: "<H", 4: "<h", 5: "<I", 6: "<i", REAL32: "<f"}
"""MAV_PARAM_TYPE of at most four bytes, as `struct` names them."""
_LIMITS = {1: (0, 255), 2: (-128, 127), 3: (0, 65535), 4: (-32768, 32767), 5: (0, 2**32 - 1), 6: (-(2**31), 2**31 - 1)}


class Parameter(msgspec.Struct, frozen=True, kw_only=True):
    """One parameter as the vehicle has it."""

    name: str
    """At most 16 characters."""
    value: float
    """In the autopilot's own unit."""
    kind: int
    """MAV_PARAM_TYPE: 1 to 6 are integers, 9 is a float32."""
    index: int | None = None
    """Place in the vehicle's list; None where it was not told."""

    def matches(self, value: float) -> bool:
        """Whether `value`, as far as this type can hold it, is the value aboard."""
        if self.kind != REAL32:
            return self.value == value
        return bool(np.float32(value) == np.float32(self.value))


class ParameterDifference(msgspec.Struct, frozen=True, kw_only=True):
    """A parameter that is not as registered."""

    name: str
    """The parameter."""
    registered: float
    """What it should be."""
    aboard: float | None
    """What it is; None where the vehicle has none of that name."""

    @property
    def text(self) -> str:
        """`RTL_ALT is 1500, registered 3000`."""
        present = "not aboard" if self.aboard is None else f"{self.aboard:.9g}"
        return f"{self.name} is {present}, registered {self.registered:.9g}"


def differences(registered: Mapping[str, float], aboard: Mapping[str, Parameter]) -> tuple[ParameterDifference, ...]:
    """Registered parameters that are otherwise aboard, or missing there, by name; what is not registered is free."""
    found = []
    for name, value in sorted(registered.items()):
        parameter = aboard.get(name)
        if parameter is None or not parameter.matches(value):
            present = None if parameter is None else parameter.value
            found.append(ParameterDifference(name=name, registered=value, aboard=present))
    return tuple(found)


class Parameters:
    """The parameters of one vehicle; keeps nothing, every reading asks."""

    def __init__(self, channel: Channel, *, integers_as_bytes: bool) -> None:
        """`integers_as_bytes`: how the autopilot puts integers into a float (fleet.autopilots)."""
        self._channel = channel
        self._integers_as_bytes = integers_as_bytes

    async def read(self, name: str) -> Parameter:
        """One parameter, read now. Raises ParameterUnknown, or LinkLost where nothing at all was heard meanwhile."""
        request = dialect.MAVLink_param_request_read_message(
            self._channel.sysid, self._channel.compid, name.encode(), -1
        )
        started_s = time.monotonic()
        with self._channel.listen("PARAM_VALUE") as inbox:
            for attempt in range(ATTEMPTS):
                asked_s = time.monotonic()
                self._channel.send(request)
                found = await self._hear(inbox, name, self._channel.pace.answer_s)
                if found is not None:
                    if attempt == 0:
                        self._channel.pace.answered(time.monotonic() - asked_s)
                    return found
        waited_s = time.monotonic() - started_s
        if self._channel.silent_s >= waited_s:
            raise LinkLost(f"sysid {self._channel.sysid}: nothing heard for {waited_s:.1f} s while asking for {name}")
        raise ParameterUnknown(
            f"sysid {self._channel.sysid}: no answer for parameter {name}, asked {ATTEMPTS} times in {waited_s:.1f} s;"
            " it has none of that name"
        )

    async def read_several(self, names: Iterable[str]) -> dict[str, Parameter]:
        """Some by name, many asked for at once; those that the vehicle does not have are left out. Raises LinkLost."""
        few = asyncio.Semaphore(AT_ONCE)

        async def one(name: str) -> Parameter | None:
            async with few:
                try:
                    return await self.read(name)
                except ParameterUnknown:
                    return None

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(name), name=f"parameter[{name}]") for name in names]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return {parameter.name: parameter for task in tasks if (parameter := task.result()) is not None}

    async def write(self, name: str, value: float) -> Parameter:
        """Set one parameter in the vehicle's own type, read it back and compare; one that is so already is left alone.

        Raises ParameterInvalid for a value that its type cannot hold, ParameterUnknown, ParameterRefused, LinkLost.
        """
        aboard = await self.read(name)
        raw = self._encode(aboard, value)
        message = dialect.MAVLink_param_set_message(
            self._channel.sysid, self._channel.compid, name.encode(), raw, aboard.kind
        )
        refusals = 0
        for _ in range(ATTEMPTS):
            if aboard.matches(value) or refusals >= REFUSALS:
                break
            with self._channel.listen("PARAM_VALUE") as inbox:
                self._channel.send(message)
                answer = await self._hear(inbox, name, self._channel.pace.answer_s, value)
            aboard = await self.read(name)
            refusals += answer is not None
        if not aboard.matches(value):
            raise ParameterRefused(
                f"sysid {self._channel.sysid}: {name} is {aboard.value:.9g} after writing {value:.9g}",
                name=name, wanted=value, aboard=aboard.value,
            )  # fmt: skip
        return aboard

    async def read_all(self, progress: Progress = ignore_progress) -> dict[str, Parameter]:
        """The whole list by name, in the vehicle's order; begun anew where the number of parameters changes meanwhile.

        Raises ParametersIncomplete, LinkLost.
        """
        for _ in range(LISTS):
            listed = await self._list(progress)
            if listed is not None:
                return {parameter.name: parameter for _, parameter in sorted(listed.entries.items())}
        raise ParametersIncomplete(
            f"sysid {self._channel.sysid}: the number of parameters changed during each of {LISTS} listings"
        )

    async def _list(self, progress: Progress) -> _Listing | None:
        """The whole list; None where the number of parameters changed, so that the indices no longer hold."""
        listing = _Listing(progress)
        request = dialect.MAVLink_param_request_list_message(self._channel.sysid, self._channel.compid)
        with self._channel.listen("PARAM_VALUE") as inbox:
            for _ in range(ATTEMPTS):
                self._channel.send(request)
                while not listing.complete and (message := await inbox.get(self._channel.pace.answer_s)) is not None:
                    if not listing.take(self._decode(message), message.param_count):
                        return None
                if listing.entries:
                    break
            return listing if await self._fill(inbox, listing) else None

    async def _fill(self, inbox: Inbox, listing: _Listing) -> bool:
        """Ask for what is missing by index, so many at a time; false where the number of parameters changed."""
        sysid, compid, answer_s = self._channel.sysid, self._channel.compid, self._channel.pace.answer_s
        asked_s: dict[int, float] = {}
        news_s = time.monotonic()
        while not listing.complete:
            now_s = time.monotonic()
            if not listing.entries or now_s - news_s > ATTEMPTS * answer_s:
                raise ParametersIncomplete(f"sysid {sysid}: {listing.text} came")
            for index in listing.missing[:GAPS_AT_ONCE]:
                if now_s - asked_s.get(index, -math.inf) >= answer_s:
                    self._channel.send(dialect.MAVLink_param_request_read_message(sysid, compid, b"", index))
                    asked_s[index] = now_s
            oldest_s = min(asked_s[index] for index in listing.missing[:GAPS_AT_ONCE])
            message = await inbox.get(oldest_s + answer_s - now_s)
            if message is not None:
                known = len(listing.entries)
                if not listing.take(self._decode(message), message.param_count):
                    return False
                news_s = now_s if len(listing.entries) > known else news_s
        return True

    async def _hear(self, inbox: Inbox, name: str, wait_s: float, value: float | None = None) -> Parameter | None:
        """The next word on a parameter, with `value` the first of that value; the last one heard, or None."""
        deadline_s, heard = time.monotonic() + wait_s, None
        while (left_s := deadline_s - time.monotonic()) > 0:
            message = await inbox.get(left_s)
            if message is not None and message.param_id == name:
                heard = self._decode(message)
                if value is None or heard.matches(value):
                    break
        return heard

    def _decode(self, message: Any) -> Parameter:
        """The parameter of a PARAM_VALUE. Raises ParameterInvalid for an integer that is no number."""
        value, kind = float(message.param_value), message.param_type
        if self._integers_as_bytes and kind in _LIMITS:
            raw = message.get_msgbuf()  # a float that is no number loses bits on its way through Python
            start = 10 if raw[0] == 0xFD else 6
            (value,) = struct.unpack_from(_FORMATS[kind], raw, start)
        if kind in _LIMITS and not math.isfinite(value):
            raise ParameterInvalid(
                f"sysid {self._channel.sysid}: {message.param_id} came as {value:g}, which is no whole number"
            )
        index = None if message.param_index == NO_INDEX else message.param_index
        return Parameter(name=message.param_id, value=float(value), kind=kind, index=index)

    def _encode(self, parameter: Parameter, value: float) -> float:
        """The float that carries a new value. Raises ParameterInvalid."""
        name, kind = parameter.name, parameter.kind
        if not math.isfinite(value) or kind not in _FORMATS:
            raise ParameterInvalid(f"{name}: {value:g} cannot be sent as a parameter of type {kind}")
        if kind == REAL32:
            return value
        least, most = _LIMITS[kind]
        if value != int(value) or not least <= value <= most:
            raise ParameterInvalid(f"{name}: {value:.12g} is not a whole number from {least} to {most}")
        if self._integers_as_bytes:
            carried = struct.pack(_FORMATS[kind], int(value)).ljust(4, b"\0")
            (raw,) = struct.unpack("<f", carried)
            exact = struct.pack("<f", raw) == carried
        else:
            raw = value
            exact = float(np.float32(value)) == value
        if not exact:
            raise ParameterInvalid(f"{name}: {value:.12g} cannot be carried exactly by the float of a message")
        return float(raw)


class _Listing:
    """What came of a list so far."""

    def __init__(self, progress: Progress) -> None:
        """Nothing; `progress` hears of each that is new."""
        self.total: int | None = None
        """How many there are; None before the first came."""
        self.entries: dict[int, Parameter] = {}
        """By index."""
        self._progress = progress

    def take(self, parameter: Parameter, total: int) -> bool:
        """One more word; false where the number of parameters is another one than before."""
        if self.total not in (None, total):
            return False
        self.total = total
        if parameter.index is not None and parameter.index < total:
            self.entries[parameter.index] = parameter
            self._progress(TransferProgress(stage="parameters", done=len(self.entries), total=total))
        return True

    @property
    def complete(self) -> bool:
        """Whether nothing is missing."""
        return self.total is not None and len(self.entries) == self.total

    @property
    def missing(self) -> list[int]:
        """Indices that did not come, in order."""
        return [index for index in range(self.total or 0) if index not in self.entries]

    @property
    def text(self) -> str:
        """`12 of 800 parameters`."""
        return f"{len(self.entries)} of {'an unknown number of' if self.total is None else self.total} parameters"
