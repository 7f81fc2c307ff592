"""Fields of published zones, read as tolerantly as is safe; what was odd is noted, never passed over."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, time
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely import Polygon

from geo.areas import NEAR_M
from geo.errors import ZoneInvalid
from geo.positions import Altitude, Datum, distance_m
from geo.schedules import Applicability, DailyPeriod, Day
from geo.volumes import Circle, Outline, Volume4D
from geo.zones import Authority, Kind, Note, Origin, Purpose, Reason, Text, Texts

Array = NDArray[np.float64]

MOST_VERTICES = 100_000
"""A zone of more is refused."""
FOOT_M = 0.3048
"""The international foot."""
WIDEST_RADIUS_M = 1_000_000.0
"""A circle beyond is taken for a mistake."""

_KINDS = {"REQ_AUTHORISATION": Kind.REQ_AUTHORIZATION, "REQ_AUTH": Kind.REQ_AUTHORIZATION}
_PURPOSES = {"AUTHORISATION": Purpose.AUTHORIZATION}
_DATUMS = {
    "AGL": Datum.AGL,
    "SFC": Datum.AGL,
    "GND": Datum.AGL,
    "AMSL": Datum.AMSL,
    "MSL": Datum.AMSL,
    "WGS84": Datum.W84,
    "W84": Datum.W84,
}
_UNITS = {"M": 1.0, "METER": 1.0, "METRE": 1.0, "METERS": 1.0, "METRES": 1.0, "FT": FOOT_M, "FEET": FOOT_M}
_DAYS = {"MONDAY": Day.MON, "TUESDAY": Day.TUE, "WEDNESDAY": Day.WED, "THURSDAY": Day.THU, "FRIDAY": Day.FRI,
         "SATURDAY": Day.SAT, "SUNDAY": Day.SUN}  # fmt: skip
_EVENTS = {"SUNRISE": "SR", "SUNSET": "SS", "BCMT": "BMCT", "ECET": "EECT"}
Choice = TypeVar("Choice", bound=StrEnum)


class Fields:
    """One published zone while it is read."""

    def __init__(self, feature: int, *, near: tuple[float, float] | None = None) -> None:
        """The feature of that number in its file; `near` (lon, lat), if known, lets swapped places be noticed."""
        self.feature, self.zone, self.near = feature, "", near
        self.notes: list[Note] = []
        self.vertices = 0

    def note(self, field: str, said: str) -> None:
        """Keep that something was odd."""
        self.notes.append(Note(feature=self.feature, zone=self.zone, field=field, said=said))

    def strange(self, field: str, value: object, read_as: str) -> None:
        """Keep that a value could not be taken as it is."""
        self.note(field, f"{shown(value)} read as {read_as}")

    def mapping(self, field: str, value: object) -> dict[str, Any]:
        """A JSON object; anything else is as good as none."""
        if isinstance(value, dict):
            return value
        if value is not None:
            self.strange(field, value, "absent")
        return {}

    def listed(self, field: str, value: object) -> list[Any]:
        """A list; a single value is one of one."""
        if value is None:
            return []
        if isinstance(value, list):
            return value
        self.strange(field, value, "a list of one")
        return [value]

    def unknown(self, field: str, given: Mapping[str, Any], known: Iterable[str]) -> None:
        """Note the keys that nobody knows."""
        for key in sorted(set(given) - set(known)):
            self.note(f"{field}.{key}" if field else key, "not a field of the standard, left out")

    def string(self, field: str, value: object) -> str:
        """A string; a number is written out, anything else left out."""
        if value is None or isinstance(value, str):
            return value or ""
        if isinstance(value, int | float) and not isinstance(value, bool):
            self.strange(field, value, f"{value!s}")
            return str(value)
        if isinstance(value, list) and all(isinstance(part, str) for part in value):
            return "; ".join(value)
        self.strange(field, value, "absent")
        return ""

    def number(self, field: str, value: object) -> float | None:
        """A finite number, also one written as a string; None where there is none."""
        if isinstance(value, int | float) and not isinstance(value, bool):
            found = float(value) if abs(value) < 1e300 else np.inf
        elif isinstance(value, str) and re.fullmatch(r"\s*[-+]?\d{1,12}(?:[.,]\d{0,12})?\s*", value):
            found = float(value.strip().replace(",", "."))
            self.strange(field, value, f"{found:g}")
        else:
            if value is not None:
                self.strange(field, value, "absent")
            return None
        if not np.isfinite(found):
            self.strange(field, value, "absent: not finite")
            return None
        return found

    def choice(
        self, field: str, value: object, options: type[Choice], spellings: Mapping[str, Choice], *, otherwise: Choice
    ) -> Choice:
        """One of an enumeration, however it is spelt; `otherwise`, with a note, if it is none of them."""
        plain = re.sub(r"[\s\-]+", "_", value.strip().upper()) if isinstance(value, str) else ""
        found = spellings.get(plain) or (options(plain) if plain in options.__members__ else None)
        if found is None or plain != value:
            self.strange(field, value, (found or otherwise).value)
        return found or otherwise

    def kind(self, field: str, value: object) -> Kind:
        """What the zone asks; prohibited where that cannot be told."""
        return self.choice(field, value, Kind, _KINDS, otherwise=Kind.PROHIBITED)

    def variant(self, field: str, value: object) -> str:
        """COMMON or CUSTOMIZED."""
        plain = value.strip().upper() if isinstance(value, str) else ""
        if plain == value and plain in ("COMMON", "CUSTOMIZED"):
            return plain
        read_as = "CUSTOMIZED" if plain in ("CUSTOMIZED", "CUSTOMISED") else "COMMON"
        self.strange(field, value, read_as)
        return read_as

    def reasons(self, field: str, value: object) -> tuple[Reason, ...]:
        """Why it is there."""
        return tuple(
            self.choice(field, reason, Reason, {}, otherwise=Reason.OTHER) for reason in self.listed(field, value)
        )

    def yes(self, field: str, value: object) -> bool | None:
        """YES or NO."""
        if value is None or value == "":
            return None
        if isinstance(value, bool):
            self.strange(field, value, "YES" if value else "NO")
            return value
        plain = value.strip().upper() if isinstance(value, str) else ""
        if plain not in ("YES", "NO"):
            self.strange(field, value, "absent")
            return None
        return plain == "YES"

    def texts(self, field: str, value: object) -> Texts:
        """Words in languages: a list of {text, lang}, one of them, or bare words."""
        if isinstance(value, str):
            return (Text(value),) if value else ()
        found = []
        for part in [value] if isinstance(value, dict) else self.listed(field, value):
            if isinstance(part, str):
                found.append(Text(part))
                continue
            given = self.mapping(field, part)
            lang = self.string(f"{field}.lang", given.get("lang"))
            if not lang and given:
                self.note(f"{field}.lang", "absent, read as und")
            if given:
                found.append(Text(self.string(f"{field}.text", given.get("text")), lang or "und"))
        return tuple(found)

    def authority(self, field: str, value: object) -> Authority:
        """Whom to ask."""
        given = self.mapping(field, value)
        known = ("name", "service", "contactName", "siteURL", "email", "phone", "purpose", "intervalBefore")
        self.unknown(field, given, known)
        purpose = given.get("purpose")
        if purpose is None:
            self.note(f"{field}.purpose", "absent, read as INFORMATION")
        return Authority(
            name=self.texts(f"{field}.name", given.get("name")),
            service=self.texts(f"{field}.service", given.get("service")),
            contact_name=self.texts(f"{field}.contactName", given.get("contactName")),
            site_url=self.string(f"{field}.siteURL", given.get("siteURL")),
            email=self.string(f"{field}.email", given.get("email")),
            phone=self.string(f"{field}.phone", given.get("phone")),
            purpose=Purpose.INFORMATION
            if purpose is None
            else self.choice(f"{field}.purpose", purpose, Purpose, _PURPOSES, otherwise=Purpose.INFORMATION),
            interval_before=self.string(f"{field}.intervalBefore", given.get("intervalBefore")),
        )

    def origin(self, field: str, value: object) -> Origin | None:
        """Where the data comes from."""
        given = self.mapping(field, value)
        if not given:
            return None
        self.unknown(field, given, ("creationDate", "creationDateTime", "updateDateTime", "originator"))
        originator = given.get("originator", given.get("author"))
        return Origin(
            created=self.string(f"{field}.creationDate", given.get("creationDate", given.get("creationDateTime"))),
            updated=self.string(f"{field}.updateDateTime", given.get("updateDateTime")),
            originator=(self.texts(f"{field}.originator", originator) or (None,))[0],
        )

    def moment(self, field: str, value: object) -> datetime | None:
        """A date and time; without an offset it is UTC. One that cannot be told is as good as none: no limit."""
        if value is None or value == "":
            return None
        try:
            text = value.strip() if isinstance(value, str) else ""
            found = datetime.fromisoformat(re.sub(r"(\.\d{6})\d+", r"\1", text))
            if found.tzinfo is None:
                self.strange(field, value, "UTC")
                found = found.replace(tzinfo=UTC)
            return found.astimezone(UTC)
        except (ValueError, OverflowError):
            self.strange(field, value, "no limit")
            return None

    def applicability(self, field: str, value: object) -> Applicability:
        """Between which times, and at which parts of days."""
        given = self.mapping(field, value)
        self.unknown(field, given, ("startDateTime", "endDateTime", "schedule", "permanent"))
        start = self.moment(f"{field}.startDateTime", given.get("startDateTime"))
        end = self.moment(f"{field}.endDateTime", given.get("endDateTime"))
        if self.yes(f"{field}.permanent", given.get("permanent")) and (start or end):
            self.note(f"{field}.permanent", "YES, yet with dates: they are left out, it always counts")
            start = end = None
        if start is not None and end is not None and end < start:
            self.note(f"{field}.endDateTime", "before startDateTime: both left out, it always counts")
            start = end = None
        schedule = tuple(
            self.period(f"{field}.schedule[{number}]", part)
            for number, part in enumerate(self.listed(f"{field}.schedule", given.get("schedule")))
        )
        return Applicability(start=start, end=end, schedule=schedule)

    def period(self, field: str, value: object) -> DailyPeriod:
        """A part of some days; where its clock cannot be told it counts all the time."""
        given = self.mapping(field, value)
        self.unknown(field, given, ("day", "startTime", "startEvent", "endTime", "endEvent"))
        days = tuple(
            self.choice(f"{field}.day", day, Day, _DAYS, otherwise=Day.ANY)
            for day in self.listed(f"{field}.day", given.get("day"))
        )
        start, begun_by = self._clock(field, "start", given)
        end, ended_by = self._clock(field, "end", given)
        period = DailyPeriod(days=days or (Day.ANY,), start=start, end=end, start_event=begun_by, end_event=ended_by)
        if not period.known:
            said = f"from {begun_by or start} to {ended_by or end}"
            self.note(field, f"{said} hangs on an event that is not known: it counts all the time")
        return period

    def _clock(self, field: str, edge: str, given: Mapping[str, Any]) -> tuple[time | None, str]:
        event, said = given.get(f"{edge}Event"), given.get(f"{edge}Time")
        if event:
            return None, self._event(f"{field}.{edge}Event", event)
        if said is None or said == "":
            return None, ""
        text = said.strip().upper() if isinstance(said, str) else ""
        try:
            if text.startswith("24:00"):
                text = "00:00" + text[5:]
            found = time.fromisoformat(text)
        except ValueError:
            # Some publish the name of an event where a time should be.
            return None, self._event(f"{field}.{edge}Time", said)
        if found.tzinfo is None:
            self.strange(f"{field}.{edge}Time", said, "UTC")
            found = found.replace(tzinfo=UTC)
        return found, ""

    def _event(self, field: str, value: object) -> str:
        plain = value.strip().upper()[:40] if isinstance(value, str) else ""
        found = _EVENTS.get(plain, plain) or shown(value)
        if found != value:
            self.strange(field, value, found)
        return found

    def limit(
        self, field: str, value: object, reference: object, unit_m: float | None, *, uppermost: bool
    ) -> Altitude | None:
        """A height limit; one that cannot be told is none, so that the zone reaches further and not less far."""
        reach = "without end" if uppermost else "from the ground up"
        if value is None:
            if uppermost:
                self.note(field, f"absent: the zone is taken {reach}")
            return None
        found = self.number(field, value)
        plain = re.sub(r"[^A-Z0-9]", "", reference.upper()) if isinstance(reference, str) else ""
        datum = _DATUMS.get(plain)
        if found is None or unit_m is None or (datum is None and not (found == 0 and not uppermost)):
            self.note(field, f"{shown(value)} above {shown(reference)} cannot be told: the zone is taken {reach}")
            return None
        if datum is None:
            self.strange(f"{field}Reference", reference, "AGL, for a lower limit of 0")
            datum = Datum.AGL
        elif plain != reference and plain not in ("WGS84", "AGL", "AMSL"):
            self.strange(f"{field}Reference", reference, datum.value)
        return Altitude(round(found * unit_m, 6), datum)

    def unit_m(self, field: str, value: object, *, absent: float) -> float | None:
        """Length of a unit, m; None where it cannot be told."""
        if value is None:
            return absent
        plain = value.strip().upper() if isinstance(value, str) else ""
        if plain not in _UNITS:
            self.note(field, f"{shown(value)} is neither metres nor feet: the limits are left out")
        return _UNITS.get(plain)

    def volume(
        self,
        footprint: Circle | Outline,
        lower: Altitude | None,
        upper: Altitude | None,
        times: tuple[Applicability, ...],
    ) -> Volume4D:
        """A volume, its limits the right way up."""
        if lower is not None and upper is not None and lower.datum == upper.datum and lower.value_m > upper.value_m:
            self.note("lower", f"{lower.value_m:g} m is above the upper limit, {upper.value_m:g} m: exchanged")
            lower, upper = upper, lower
        return Volume4D(footprint=footprint, lower=lower, upper=upper, times=times)

    def circle(self, field: str, middle: object, radius: object) -> Circle:
        """A circle; raises ZoneInvalid."""
        corners = self._corners(field, [middle])
        radius_m = self.number(f"{field}.radius", radius)
        if radius_m is None or not 0 < radius_m <= WIDEST_RADIUS_M:
            raise ZoneInvalid(f"{field}: a circle of radius {shown(radius)} m around {corners[0].tolist()}")
        lon, lat = corners[0].tolist()
        circle = Circle(lon=lon, lat=lat, radius_m=radius_m)
        west, _, east, _ = circle.bounds()
        if abs(lat) + radius_m / 110_000 > 89 or west < -180 or east > 180:
            raise ZoneInvalid(f"{field}: the circle around {[lon, lat]} reaches over a pole or the antimeridian")
        return circle

    def outline(self, field: str, rings: object) -> Outline:
        """A polygon that does not cross itself; raises ZoneInvalid, which names the place."""
        if not isinstance(rings, list) or not rings:
            raise ZoneInvalid(f"{field}: no rings: {shown(rings)}")
        found = []
        for number, ring in enumerate(rings):
            corners = self._corners(f"{field}[{number}]", ring)
            if not np.array_equal(corners[0], corners[-1]):
                self.note(f"{field}[{number}]", f"not closed: it ends at {corners[-1].tolist()}; closed")
                corners = np.vstack([corners, corners[:1]])
            if len(corners) < 4:
                raise ZoneInvalid(f"{field}[{number}]: fewer than three different corners: {corners[:2].tolist()}")
            jumps = np.flatnonzero(np.abs(np.diff(corners[:, 0])) > 180)
            if len(jumps):
                here, there = corners[jumps[0]].tolist(), corners[jumps[0] + 1].tolist()
                raise ZoneInvalid(f"{field}: the edge from {here} to {there} crosses the antimeridian: split the zone")
            found.append(corners)
        _check_shape(field, Polygon(found[0], found[1:]))
        return Outline(rings=tuple(tuple(zip(*corners.T.tolist(), strict=True)) for corners in found))

    def _corners(self, field: str, ring: object) -> Array:
        if not isinstance(ring, list) or not ring:
            raise ZoneInvalid(f"{field}: no corners: {shown(ring)}")
        self.vertices += len(ring)
        if self.vertices > MOST_VERTICES:
            raise ZoneInvalid(f"{field}: more than {MOST_VERTICES} vertices: simplify the zone")
        corners = self._read_corners(field, ring)
        wrong = np.flatnonzero(~((np.abs(corners[:, 1]) <= 90) & (np.abs(corners[:, 0]) <= 180)))
        if len(wrong):
            x, y = corners[wrong[0]].tolist()
            swapped = bool((np.abs(corners[:, 0]) <= 90).all() and (np.abs(corners[:, 1]) <= 180).all())
            advice = ": longitude and latitude look swapped" if swapped else ""
            raise ZoneInvalid(f"{field}: corner {wrong[0]}, [{x:g}, {y:g}], is not a place on earth{advice}")
        self._check_swapped(field, *corners.mean(axis=0).tolist())
        return corners

    def _read_corners(self, field: str, ring: list[Any]) -> Array:
        try:
            plain = np.array(ring)
            if plain.ndim == 2 and plain.shape[1] >= 2 and plain.dtype.kind in "fi":
                return plain[:, :2].astype(float)
        except ValueError:
            pass  # not all alike: one by one
        rows = []
        for number, corner in enumerate(ring):
            pair = [self.number(f"{field}[{number}]", part) for part in corner[:2]] if isinstance(corner, list) else []
            if len(pair) < 2 or None in pair:
                raise ZoneInvalid(f"{field}: corner {number} is {shown(corner)}, not [lon, lat]")
            rows.append(pair)
        return np.array(rows, float)

    def _check_swapped(self, field: str, lon: float, lat: float) -> None:
        if self.near is None or abs(lon) > 90 or float(distance_m(lon, lat, *self.near)) < NEAR_M:
            return
        if float(distance_m(lat, lon, *self.near)) < NEAR_M:
            raise ZoneInvalid(
                f"{field}: [{lon:.4f}, {lat:.4f}] lies far from lon {self.near[0]:.4f}, lat {self.near[1]:.4f}: "
                "longitude and latitude look swapped"
            )


def _check_shape(field: str, polygon: Polygon) -> None:
    if not polygon.is_valid:
        said = shapely.is_valid_reason(polygon)
        found = re.match(r"(?P<what>[^\[]+)\[(?P<x>\S+) (?P<y>\S+)\]", said)
        place = (
            f"{found['what'].strip()} at lon {float(found['x']):.6f}, lat {float(found['y']):.6f}" if found else said
        )
        raise ZoneInvalid(f"{field}: {place}")
    if polygon.area * 111_000.0**2 < 1e-3:
        raise ZoneInvalid(f"{field}: no area at {list(polygon.exterior.coords[0])}")


def shown(value: object) -> str:
    """A value as it was found, cut short."""
    text = (
        repr(value)
        if not isinstance(value, dict | list) or len(value) < 20
        else f"{type(value).__name__} of {len(value)}"
    )
    return text if len(text) <= 80 else f"{text[:77]}..."
