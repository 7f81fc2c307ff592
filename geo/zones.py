"""Zones: volumes of airspace where flying is forbidden, tied to a permit or a condition, or free."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

import msgspec

from geo.errors import DatumUnknown
from geo.positions import Altitude, Datum
from geo.volumes import Volume4D


class Kind(StrEnum):
    """What a zone asks of whoever wants to fly in it; named as in ED-318, but for the last."""

    USPACE = "USPACE"
    """To use the U-space services of the zone."""
    PROHIBITED = "PROHIBITED"
    """To keep out."""
    REQ_AUTHORIZATION = "REQ_AUTHORIZATION"
    """To hold an authorisation."""
    CONDITIONAL = "CONDITIONAL"
    """To keep to its conditions."""
    NO_RESTRICTION = "NO_RESTRICTION"
    """Nothing. It frees nobody from another zone that lies over it."""
    INCLUSION = "INCLUSION"
    """To stay inside it, or inside another of its kind: a limit that the operator has set for a flight."""


CLEARABLE = frozenset({Kind.USPACE, Kind.REQ_AUTHORIZATION, Kind.CONDITIONAL})
"""Kinds of zone that a permit opens."""
EXCLUSIVE = CLEARABLE | {Kind.PROHIBITED}
"""Kinds of zone to be kept out of where no permit is held."""


class Reason(StrEnum):
    """Why a zone is there; the union of what ED-269 and ED-318 know."""

    AIR_TRAFFIC = "AIR_TRAFFIC"
    SENSITIVE = "SENSITIVE"
    PRIVACY = "PRIVACY"
    POPULATION = "POPULATION"
    NATURE = "NATURE"
    NOISE = "NOISE"
    FOREIGN_TERRITORY = "FOREIGN_TERRITORY"
    EMERGENCY = "EMERGENCY"
    DAR = "DAR"
    OTHER = "OTHER"


class Purpose(StrEnum):
    """What an authority is to be asked for."""

    AUTHORIZATION = "AUTHORIZATION"
    NOTIFICATION = "NOTIFICATION"
    INFORMATION = "INFORMATION"


class Text(msgspec.Struct, frozen=True):
    """Words in a language."""

    text: str
    """The words."""
    lang: str = "und"
    """Language tag such as kk or en-GB; und: not known."""


Texts = tuple[Text, ...]


class Authority(msgspec.Struct, frozen=True, kw_only=True):
    """Whom to ask about a zone."""

    name: Texts = ()
    """What it is called."""
    service: Texts = ()
    """The service in it."""
    contact_name: Texts = ()
    """The person or office."""
    site_url: str = ""
    """Its web site."""
    email: str = ""
    """Its mail address."""
    phone: str = ""
    """Its telephone number."""
    purpose: Purpose = Purpose.INFORMATION
    """What for."""
    interval_before: str = ""
    """How long before the flight, as an ISO 8601 duration."""


class Origin(msgspec.Struct, frozen=True, kw_only=True):
    """Where a zone's data comes from."""

    created: str = ""
    """When it was made, as published."""
    updated: str = ""
    """When it was last changed, as published."""
    originator: Text | None = None
    """Who made it."""


class Zone(msgspec.Struct, frozen=True, kw_only=True):
    """A zone as its authority publishes it."""

    id: str
    """Identifier; unique together with the country."""
    kind: Kind
    """What it asks."""
    volumes: tuple[Volume4D, ...]
    """Where and when: their union."""
    country: str = ""
    """ISO 3166-1, three letters."""
    name: Texts = ()
    """What it is called."""
    variant: str = "COMMON"
    """COMMON, or CUSTOMIZED for one operator."""
    conditions: str = ""
    """What CONDITIONAL means, in words or as the authority encodes it."""
    region: int | None = None
    """The authority's own number of the region."""
    reasons: tuple[Reason, ...] = ()
    """Why it is there."""
    other_reason: Texts = ()
    """Why, in words."""
    exemption: bool | None = None
    """Whether flights that the regulation exempts may pass."""
    message: Texts = ()
    """What the authority wants to be shown."""
    authorities: tuple[Authority, ...] = ()
    """Whom to ask."""
    origin: Origin | None = None
    """Where the data comes from."""
    extended: dict[str, Any] | None = None
    """Whatever else the authority publishes with it."""

    @property
    def title(self) -> str:
        """Its identifier, its name if it has one, and its kind, for people."""
        name = f" {self.name[0].text!r}" if self.name and self.name[0].text else ""
        return f"{self.id}{name} ({self.kind.replace('_', ' ').lower()})"


def over_unknown_ground(zone: Zone) -> Zone:
    """A zone over flat ground at 0 whose height is not known: limits that do not count from the ground are none.

    Raises DatumUnknown for an inclusion zone with such limits, which would then let too much in.
    """

    def known(limit: Altitude | None) -> Altitude | None:
        if limit is None or limit.datum == Datum.AGL:
            return limit
        if zone.kind == Kind.INCLUSION:
            raise DatumUnknown(f"{zone.title}: a limit of {limit.value_m:g} m {limit.datum} needs terrain: give a DEM")
        return None

    replace = msgspec.structs.replace
    volumes = tuple(replace(volume, lower=known(volume.lower), upper=known(volume.upper)) for volume in zone.volumes)
    return zone if volumes == zone.volumes else replace(zone, volumes=volumes)


class Note(msgspec.Struct, frozen=True, kw_only=True):
    """Something in a published zone that was not as it should be, and what was made of it."""

    feature: int
    """Number of the feature in its file, from 0; -1: the file as a whole."""
    zone: str
    """Identifier, as far as known."""
    field: str
    """Which field."""
    said: str
    """What was found there, and how it was read."""

    def __str__(self) -> str:
        """As one line."""
        where = f"feature {self.feature}" if self.feature >= 0 else "file"
        return f"{where}{f' ({self.zone})' if self.zone else ''}: {self.field}: {self.said}"


class Dates(msgspec.Struct, frozen=True, kw_only=True):
    """Of a collection of zones."""

    valid_from: datetime | None = None
    """From when on it counts."""
    valid_to: datetime | None = None
    """Until when it counts."""
    issued: datetime | None = None
    """When it was published."""


class ZoneCollection(msgspec.Struct, frozen=True, kw_only=True):
    """Zones that were published together, and what was odd about them."""

    zones: tuple[Zone, ...]
    """In the order of the file."""
    name: str = ""
    """Of the collection."""
    title: str = ""
    """A heading; ED-318's own examples write it where the schema knows a name."""
    dates: Dates | None = None
    """When it counts."""
    provider: Texts = ()
    """Who publishes it."""
    description: Texts = ()
    """What it is."""
    limitations: Texts = ()
    """Technical limitations."""
    other_geoid: str = ""
    """The geoid that AMSL is counted from, if it is not EGM96."""
    notes: tuple[Note, ...] = ()
    """What was not as it should be, and how it was read; nothing of this is written again."""
    refused: tuple[Note, ...] = ()
    """Features that could not be understood and are not among the zones."""
