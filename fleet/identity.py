"""Who a sysid is: the ways it is heard on, and whether all of them lead to one vehicle.

A vehicle may be heard on several ways (two modems, two ports): one is the way in use, others that are proven to lead
to it are spares, and one of them takes over when the way in use falls silent. A way is proven by what it says: the
clock since boot and the position must be those of the vehicle. A way that contradicts, proves nothing, or comes on a
link that the vehicle is not allowed on, is somebody else under the same sysid: it is quarantined, and while it is
heard nobody is commanded under that sysid.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Any

import msgspec

from fleet.telemetry import TelemetryState
from fleet.traffic import Address, Link
from geo.positions import distance_m

SILENT_S = 3.0
"""A way not heard for so long (wall) is not in use; then a spare may take over."""
PROOF_S = 4.0
"""A way that has not proven in so long (wall) that it leads to the vehicle is taken for somebody else."""
CONFLICT_OVER_S = 10.0
"""So long (wall) after the other was last heard a conflict is over."""
UNPROVEN_TAKES_OVER_S = 15.0
"""When the way in use was silent for so long (wall), one that nothing speaks for or against takes over: a vehicle
without satellites cannot show where it is. What was known to be aboard is then forgotten."""
FORGOTTEN_S = 60.0
"""A way is forgotten after so much silence (wall); when the one in use is, whoever is heard next is the vehicle."""
REBOOTED_S = 5.0
"""A vehicle that fell silent and then counts its time since boot from after that, and so much before, has rebooted."""
MOST_WAYS = 32
"""So many ways of one sysid are kept; somebody who forges many makes the longest silent of his own be forgotten."""
CLOCK_OFF_S = 1.0
"""Clocks since boot on two ways of one vehicle differ by less than this, s of the wall; the vehicle's own clock may run
faster."""
PLACE_OFF_M = 25.0
"""Positions on two ways of one vehicle differ by less than this, and by less than it flies in CLOCK_OFF_S."""
AGREEMENTS, CONTRADICTIONS = 3, 2
"""So many messages settle whether a way leads to the vehicle."""
PROBES = (2, 33)
"""SYSTEM_TIME and GLOBAL_POSITION_INT are asked for on a way that is to be proven: ArduPilot sends only heartbeats
unasked."""


class Standing(StrEnum):
    """What is known of a way."""

    IN_USE = "in use"
    """Believed, and the way of everything sent to the vehicle."""
    SPARE = "spare"
    """Proven to lead to the same vehicle."""
    UNPROVEN = "unproven"
    """Heard only lately; nothing on it is believed."""
    QUARANTINED = "quarantined"
    """Somebody else under the same sysid; nothing on it is believed."""


class Way(msgspec.Struct):
    """One address on one link where a sysid is heard."""

    link: Link
    """On which it is heard."""
    address: Address
    """Where it is heard from."""
    first_monotonic_s: float
    """When, first."""
    heard_monotonic_s: float
    """When, last."""
    standing: Standing = Standing.UNPROVEN
    """What is known of it."""
    frames: int = 0
    """Frames heard on it."""
    clock_agrees: int = 0
    """Messages whose clock since boot was the vehicle's."""
    place_agrees: int = 0
    """Messages whose position was the vehicle's."""
    contradictions: int = 0
    """Messages that cannot be of the vehicle."""
    why: str = ""
    """What speaks against it, for a person."""
    disregarded: bool = False
    """A person said that it is not the vehicle's, so that it is no conflict any more."""

    @property
    def name(self) -> str:
        """`udpin:0.0.0.0:14550 from 10.0.0.7:14555`."""
        return f"{self.link.name} from {self.address[0]}:{self.address[1]}"


class Identity:
    """The ways of one sysid; call `heard` for every frame and `settle` a few times a second."""

    def __init__(self, sysid: int, allowed: tuple[str, ...] = ()) -> None:
        """`allowed` are the names of the links that the vehicle may be heard on; empty for all."""
        self.sysid, self.allowed = sysid, allowed
        self.ways: dict[tuple[int, Address], Way] = {}
        """All ways by link (its id) and address."""
        self.in_use: Way | None = None
        """The way that is believed and sent to."""
        self.conflict: str | None = None
        """Who else claims the sysid, for a person; while it is set nothing is sent to the vehicle."""
        self.renewed = False
        """The way in use changed to one that was not proven: what was known of the vehicle may be of another."""

    def heard(self, link: Link, address: Address, monotonic_s: float, *, proven: bool = False) -> Way:
        """The way of a frame that was just heard; `proven`: it carries the vehicle's signature."""
        way = self.in_use
        if way is not None and way.link is link and way.address == address:
            way.frames += 1
            way.heard_monotonic_s = monotonic_s
            return way
        key = (id(link), address)
        way = self.ways.get(key)
        if way is None:
            self._make_room()
            way = self.ways[key] = Way(link, address, monotonic_s, monotonic_s)
            if self.allowed and link.name not in self.allowed:
                way.standing, way.why = Standing.QUARANTINED, "the vehicle is not allowed on this link"
        way.frames += 1
        way.heard_monotonic_s = monotonic_s
        if proven and way.standing is Standing.UNPROVEN:
            way.standing = Standing.SPARE
        first = self.in_use is None and way.standing is not Standing.QUARANTINED
        if first or (way.standing is Standing.SPARE and not self._alive(monotonic_s)):
            self._use(way)
        return way

    def _make_room(self) -> None:
        """Forget the longest silent way that is not known to be the vehicle's, if there are too many."""
        others = [key for key, way in self.ways.items() if way.standing not in (Standing.IN_USE, Standing.SPARE)]
        if len(self.ways) >= MOST_WAYS and others:
            del self.ways[min(others, key=lambda key: self.ways[key].heard_monotonic_s)]

    def weigh(self, way: Way, message: Any, vehicle: TelemetryState, clock_rate: float, monotonic_s: float) -> None:
        """Compare what an unproven way says with what is known of the vehicle, and may have become since."""
        silent_s = 0.0 if self.in_use is None else (monotonic_s - self.in_use.heard_monotonic_s) * clock_rate
        off_s = CLOCK_OFF_S * clock_rate
        boot_ms = getattr(message, "time_boot_ms", None)
        if boot_ms is not None and vehicle.boot_s is not None:
            apart_s = abs(boot_ms / 1000.0 - vehicle.boot_s - silent_s)
            rebooted = silent_s > SILENT_S * clock_rate and boot_ms / 1000.0 <= silent_s + REBOOTED_S * clock_rate
            if apart_s <= off_s + 0.1 * silent_s or rebooted:
                way.clock_agrees += 1
            else:
                self._against(way, f"its clock since boot is {apart_s:.1f} s off")
        if (
            message.get_type() == "GLOBAL_POSITION_INT"
            and (message.lat or message.lon)
            and vehicle.position is not None
        ):
            apart_m = float(
                distance_m(message.lon / 1e7, message.lat / 1e7, vehicle.position.lon, vehicle.position.lat)
            )
            speed_m_s = vehicle.velocity.ground_speed_m_s if vehicle.velocity is not None else 0.0
            if apart_m <= PLACE_OFF_M + speed_m_s * (off_s + silent_s):
                way.place_agrees += 1
            else:
                self._against(way, f"it is {apart_m:.0f} m away")
        if way.contradictions >= CONTRADICTIONS:
            way.standing = Standing.QUARANTINED
        elif way.clock_agrees >= AGREEMENTS and way.place_agrees and not way.contradictions:
            way.standing = Standing.SPARE

    def settle(self, monotonic_s: float) -> str | None:
        """Take the time that has passed into account; what a person should now be told, if anything."""
        for key, way in list(self.ways.items()):
            silent_s = monotonic_s - way.heard_monotonic_s
            if way is not self.in_use and silent_s > FORGOTTEN_S:
                del self.ways[key]
            elif (
                way.standing is Standing.UNPROVEN
                and self._alive(monotonic_s)
                and silent_s < SILENT_S
                and monotonic_s - way.first_monotonic_s > PROOF_S
            ):
                way.standing = Standing.QUARANTINED
                way.why = way.why or "it does not show that it is the same vehicle"
        if self.in_use is not None and not self._alive(monotonic_s):
            if monotonic_s - self.in_use.heard_monotonic_s > FORGOTTEN_S:
                self.ways.clear()
                self.in_use = None
            else:
                self._fail_over(monotonic_s)
        return self._judge(monotonic_s)

    def believe(self, name: str) -> bool:
        """Use the way of this name, and take those that contradict it for no conflict; false if there is none."""
        chosen = next((way for way in self.ways.values() if way.name == name), None)
        if chosen is None:
            return False
        for way in self.ways.values():
            if way is not chosen:
                way.disregarded = way.standing is not Standing.SPARE
                way.standing = Standing.SPARE if way.standing is Standing.SPARE else Standing.QUARANTINED
        chosen.disregarded, chosen.why = False, ""
        self.renewed = self.renewed or chosen is not self.in_use
        self.in_use, chosen.standing = chosen, Standing.IN_USE
        self.conflict = None
        return True

    def _alive(self, monotonic_s: float) -> bool:
        return self.in_use is not None and monotonic_s - self.in_use.heard_monotonic_s < SILENT_S

    def _use(self, way: Way) -> None:
        proven = way.standing is Standing.SPARE
        if self.in_use is not None:  # of two that nothing binds together the former must show anew who it is
            self.in_use.standing = Standing.SPARE if proven else Standing.UNPROVEN
            self.in_use.clock_agrees = self.in_use.place_agrees = self.in_use.contradictions = 0
        self.renewed = self.renewed or not proven
        self.in_use, way.standing = way, Standing.IN_USE

    def _fail_over(self, monotonic_s: float) -> None:
        heard = [way for way in self.ways.values() if monotonic_s - way.heard_monotonic_s < SILENT_S]
        spares = [way for way in heard if way.standing is Standing.SPARE]
        if not spares and self.in_use and monotonic_s - self.in_use.heard_monotonic_s > UNPROVEN_TAKES_OVER_S:
            spares = [way for way in heard if way.standing is Standing.UNPROVEN and not way.contradictions]
        if spares:
            self._use(max(spares, key=lambda way: way.heard_monotonic_s))

    def _judge(self, monotonic_s: float) -> str | None:
        others = [
            way
            for way in self.ways.values()
            if way.standing is Standing.QUARANTINED
            and not way.disregarded
            and monotonic_s - way.heard_monotonic_s < CONFLICT_OVER_S
        ]
        before = self.conflict
        if not others:
            self.conflict = None
            return None if before is None else f"sysid {self.sysid}: only one vehicle claims it again"
        self.conflict = "; ".join(f"{way.name}: {way.why}" for way in others)
        if before is not None:
            return None
        believed = "" if self.in_use is None else f" believed is {self.in_use.name},"
        return f"sysid {self.sysid} gets no commands:{believed} quarantined is {self.conflict}"

    def _against(self, way: Way, why: str) -> None:
        way.contradictions += 1
        way.why = why
