"""MISB ST 0903 video moving target indicator: what was found in a frame, where in the picture and on the ground.

A VMTI set stands by itself in a packet or inside ST 0601 (item 74). Source: MISB ST 0903.6; version 4 and later are
read in full, of earlier ones the places, which were written another way, stay bytes.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from geo.errors import KlvInvalid
from geo.klv_errors import Deviations, deviations_of
from geo.klv_forms import Form, Imapb, Moment, Opaque, Text, Whole
from geo.klv_sets import RowForm, SeriesForm, SetForm
from geo.klv_wire import check, frame, nested_items, read_items, sealed

VMTI_KEY = bytes.fromhex("060e2b34020b01010e01030306000000")
"""Universal key of a VMTI set that stands by itself."""
VMTI_VERSION = 6
"""Revision of ST 0903 that is written."""
_VERSION, _FIRST_IMAPB_VERSION = 4, 4

Numbers = tuple[float | None, ...]


class Vector(msgspec.Struct, frozen=True, kw_only=True):
    """Three numbers with their errors: a place (lat, lon, HAE: deg, deg, m) or a velocity (east, north, up; m/s)."""

    values: Numbers
    """The numbers; None where unknown."""
    sigmas: Numbers | None = None
    """One sigma east, north, up, m or m/s, up to 650."""
    correlations: Numbers | None = None
    """Of east and north, east and up, north and up."""

    def covariance(self) -> NDArray[np.float64] | None:
        """The 3 x 3 covariance (east, north, up; m2 or m2/s2); None where sigmas are not all known."""
        if self.sigmas is None or None in self.sigmas:
            return None
        known = tuple(value or 0.0 for value in self.correlations or (0.0,) * 3)
        return Deviations(deviations=tuple(sigma or 0.0 for sigma in self.sigmas), correlations=known).covariance()


def vector_of(values: Numbers, covariance: ArrayLike | None = None) -> Vector:
    """A vector with a 3 x 3 covariance (east, north, up)."""
    if covariance is None:
        return Vector(values=values)
    errors = deviations_of(covariance)
    return Vector(values=values, sigmas=errors.deviations, correlations=errors.correlations or (0.0, 0.0, 0.0))


class ObjectClass(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """VObject set: what a target is."""

    ontology_id: int | None = None
    """Item 3: of the ontology in the same VMTI set that names the class."""
    confidence_percent: float | None = None
    """Item 4: 0 to 100."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came."""


class Track(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """VTracker set: the track of a target."""

    track_id: bytes | None = None
    """Item 1: UUID, 16 bytes."""
    first_utc_s: float | None = None
    """Item 3: first seen, s since 1970 UTC."""
    latest_utc_s: float | None = None
    """Item 4: last seen, s since 1970 UTC."""
    confidence_percent: int | None = None
    """Item 7: 0 to 100."""
    history: tuple[Vector, ...] = ()
    """Item 9: places, oldest first."""
    velocity: Vector | None = None
    """Item 10: east, north, up, m/s."""
    algorithm_id: int | None = None
    """Item 12: of the algorithm in the same VMTI set that tracks it."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came."""


class Target(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """VTarget pack. A pixel is a number: column + (row - 1) * frame width, both counted from 1 at the upper left."""

    target_id: int
    """The same for the same target from frame to frame."""
    centroid_pixel: int | None = None
    """Item 1."""
    top_left_pixel: int | None = None
    """Item 2: of the box."""
    bottom_right_pixel: int | None = None
    """Item 3: of the box, inside it."""
    priority: int | None = None
    """Item 4: 1 highest, 255 lowest."""
    confidence_percent: int | None = None
    """Item 5: of the detection, 0 to 100."""
    history: int | None = None
    """Item 6: how often it was seen before."""
    target_pixels_percent: int | None = None
    """Item 7: how much of the box is target."""
    color: bytes | None = None
    """Item 8: red, green, blue."""
    intensity: int | None = None
    """Item 9."""
    lat_offset_deg: float | None = None
    """Item 10: from the frame center of the ST 0601 set around, deg."""
    lon_offset_deg: float | None = None
    """Item 11: as item 10."""
    hae_m: float | None = None
    """Item 12: height above the WGS 84 ellipsoid, m."""
    top_left_lat_offset_deg: float | None = None
    """Item 13: of the box, from the frame center, deg."""
    top_left_lon_offset_deg: float | None = None
    """Item 14."""
    bottom_right_lat_offset_deg: float | None = None
    """Item 15."""
    bottom_right_lon_offset_deg: float | None = None
    """Item 16."""
    place: Vector | None = None
    """Item 17: lat, lon, HAE, with their errors."""
    contour: tuple[Vector, ...] = ()
    """Item 18: places around the target."""
    centroid_row: int | None = None
    """Item 19: from 1."""
    centroid_column: int | None = None
    """Item 20: from 1."""
    algorithm_id: int | None = None
    """Item 22: of the algorithm in the same VMTI set that found it."""
    status: int | None = None
    """Item 23: 0 inactive, 1 moving, 2 dropped, 3 stopped, 4 coasting."""
    track: Track | None = None
    """Item 104."""
    classes: tuple[ObjectClass, ...] = ()
    """Item 107: what it is, likeliest first."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above (masks, features, chips), as they came."""


class Algorithm(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What finds or tracks targets."""

    algorithm_id: int | None = None
    """Item 1: by which targets name it."""
    name: str | None = None
    """Item 2."""
    version: str | None = None
    """Item 3."""
    kind: str | None = None
    """Item 4: as "detector"."""
    frames: int | None = None
    """Item 5: how many frames it works over."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came."""


class Ontology(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A class that targets may have."""

    ontology_id: int | None = None
    """Item 1: by which targets name it."""
    parent_id: int | None = None
    """Item 2: of a wider class."""
    ontology_iri: str | None = None
    """Item 3: of the ontology that defines it."""
    entity_iri: str | None = None
    """Item 4: of the class in that ontology."""
    version_iri: str | None = None
    """Item 5: of the ontology."""
    label: str | None = None
    """Item 6: for people."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came."""


class Vmti(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One VMTI set."""

    utc_s: float | None = None
    """Item 2: moment of the frame, s since 1970 UTC."""
    system_name: str | None = None
    """Item 3: what produced it."""
    version: int | None = VMTI_VERSION
    """Item 4: revision of ST 0903."""
    detected: int | None = None
    """Item 5: targets found in the frame."""
    reported: int | None = None
    """Item 6: targets in this set; the standard wants it to be there."""
    frame_number: int | None = None
    """Item 7."""
    frame_width_px: int | None = None
    """Item 8."""
    frame_height_px: int | None = None
    """Item 9."""
    source_sensor: str | None = None
    """Item 10: name of the camera."""
    hfov_deg: float | None = None
    """Item 11: horizontal field of view, deg."""
    vfov_deg: float | None = None
    """Item 12: vertical field of view, deg."""
    miis_core_id: bytes | None = None
    """Item 13: MIIS core identifier (MISB ST 1204), binary."""
    targets: tuple[Target, ...] = ()
    """Item 101."""
    algorithms: tuple[Algorithm, ...] = ()
    """Item 102."""
    ontologies: tuple[Ontology, ...] = ()
    """Item 103."""
    other: tuple[tuple[int, bytes], ...] = ()
    """Items that are not named above, as they came."""

    def box_px(self, target: Target) -> tuple[float, float, float, float] | None:
        """Left, top, right, bottom of a target's box in the frame, px from the upper left edge; None where unknown."""
        first, last, width = target.top_left_pixel, target.bottom_right_pixel, self.frame_width_px
        if not (first and last and width):
            return None
        (top, left), (bottom, right) = divmod(first - 1, width), divmod(last - 1, width)
        return float(left), float(top), float(right + 1), float(bottom + 1)

    def label_of(self, target: Target) -> str | None:
        """Label, or else IRI, of the first class of a target; None where it has none in this set."""
        named = {ontology.ontology_id: ontology for ontology in self.ontologies}
        ontology = named.get(target.classes[0].ontology_id) if target.classes else None
        return None if ontology is None else ontology.label or ontology.entity_iri


def box_pixels(box_px: tuple[float, float, float, float], width_px: int, height_px: int) -> tuple[int, int, int]:
    """Centroid, upper left and lower right pixel of a box (left, top, right, bottom; px) cut to a frame."""
    left, top, right, bottom = box_px
    columns = [min(max(value, 1), width_px) for value in (math.floor(left) + 1, math.ceil(right))]
    rows = [min(max(value, 1), height_px) for value in (math.floor(top) + 1, math.ceil(bottom))]
    middle = (sum(columns) // 2, sum(rows) // 2)
    numbers = [column + (row - 1) * width_px for column, row in (middle, *zip(columns, rows, strict=True))]
    return numbers[0], numbers[1], numbers[2]


class _VectorForm:
    """A vector as a truncation pack: values, then sigmas, then correlations."""

    code = line = None

    def __init__(self, *values: Imapb) -> None:
        sigma, correlation = Imapb(2, 0, 650), Imapb(2, -1, 1)
        self._form = RowForm(values, (sigma,) * 3, (correlation,) * 3)

    def from_bytes(self, data: bytes, name: str) -> Vector:
        values, sigmas, correlations = (*self._form.from_bytes(data, name), None, None)[:3]
        assert values is not None
        return Vector(values=values, sigmas=sigmas, correlations=correlations)

    def to_bytes(self, value: Vector, name: str) -> bytes:
        groups = [group for group in (value.values, value.sigmas, value.correlations) if group is not None]
        if value.correlations is not None and value.sigmas is None:
            raise KlvInvalid(f"{name} has correlations but no sigmas")
        return self._form.to_bytes(tuple(groups), name)


_PLACE = _VectorForm(Imapb(4, -90, 90), Imapb(4, -180, 180), Imapb(2, -900, 19_000))
_VELOCITY = _VectorForm(*(Imapb(2, -900, 900),) * 3)
_OFFSET = Imapb(3, -19.2, 19.2)
_CLASS: dict[int, tuple[str, Form]] = {
    3: ("ontology_id", Whole(3, variable=True)),
    4: ("confidence_percent", Imapb(2, 0, 100)),
}
_TRACK: dict[int, tuple[str, Form]] = {
    1: ("track_id", Opaque()),
    3: ("first_utc_s", Moment()),
    4: ("latest_utc_s", Moment()),
    7: ("confidence_percent", Whole(1)),
    9: ("history", SeriesForm(_PLACE)),
    10: ("velocity", _VELOCITY),
    12: ("algorithm_id", Whole(3, variable=True)),
}
_TARGET: dict[int, tuple[str, Form]] = {
    1: ("centroid_pixel", Whole(6, variable=True)),
    2: ("top_left_pixel", Whole(6, variable=True)),
    3: ("bottom_right_pixel", Whole(6, variable=True)),
    4: ("priority", Whole(1)),
    5: ("confidence_percent", Whole(1)),
    6: ("history", Whole(2, variable=True)),
    7: ("target_pixels_percent", Whole(1)),
    8: ("color", Opaque()),
    9: ("intensity", Whole(3, variable=True)),
    10: ("lat_offset_deg", _OFFSET),
    11: ("lon_offset_deg", _OFFSET),
    12: ("hae_m", Imapb(2, -900, 19_000)),
    13: ("top_left_lat_offset_deg", _OFFSET),
    14: ("top_left_lon_offset_deg", _OFFSET),
    15: ("bottom_right_lat_offset_deg", _OFFSET),
    16: ("bottom_right_lon_offset_deg", _OFFSET),
    17: ("place", _PLACE),
    18: ("contour", SeriesForm(_PLACE)),
    19: ("centroid_row", Whole(4, variable=True)),
    20: ("centroid_column", Whole(4, variable=True)),
    22: ("algorithm_id", Whole(3, variable=True)),
    23: ("status", Whole(1)),
    104: ("track", SetForm(Track, _TRACK)),
    107: ("classes", SeriesForm(SetForm(ObjectClass, _CLASS))),
}
_ALGORITHM: dict[int, tuple[str, Form]] = {
    1: ("algorithm_id", Whole(3, variable=True)),
    2: ("name", Text()),
    3: ("version", Text()),
    4: ("kind", Text()),
    5: ("frames", Whole(3, variable=True)),
}
_ONTOLOGY: dict[int, tuple[str, Form]] = {
    1: ("ontology_id", Whole(3, variable=True)),
    2: ("parent_id", Whole(3, variable=True)),
    3: ("ontology_iri", Text(1024)),
    4: ("entity_iri", Text(1024)),
    5: ("version_iri", Text(1024)),
    6: ("label", Text()),
}
_HEADER: dict[int, tuple[str, Form]] = {
    2: ("utc_s", Moment()),
    3: ("system_name", Text(32)),
    4: ("version", Whole(2, variable=True)),
    5: ("detected", Whole(3, variable=True)),
    6: ("reported", Whole(3, variable=True)),
    7: ("frame_number", Whole(3, variable=True)),
    8: ("frame_width_px", Whole(3, variable=True)),
    9: ("frame_height_px", Whole(3, variable=True)),
    10: ("source_sensor", Text(127)),
    11: ("hfov_deg", Imapb(2, 0, 180)),
    12: ("vfov_deg", Imapb(2, 0, 180)),
    13: ("miis_core_id", Opaque()),
    102: ("algorithms", SeriesForm(SetForm(Algorithm, _ALGORITHM))),
    103: ("ontologies", SeriesForm(SetForm(Ontology, _ONTOLOGY))),
}
_MAPPED = {10, 11, 12, 13, 14, 15, 16, 17, 18, 104}
"""Items of a target that were written another way before revision 4."""


def _form(target_items: dict[int, tuple[str, Form]]) -> SetForm[Vmti]:
    targets = SeriesForm(SetForm(Target, target_items, identifier="target_id"))
    return SetForm(Vmti, {**_HEADER, 101: ("targets", targets)}, missing={"version": None})


_FORM = _form(_TARGET)
_EARLY_FORM = _form({tag: entry for tag, entry in _TARGET.items() if tag not in _MAPPED})


def decode(data: bytes) -> Vmti:
    """What item 74 of ST 0601 holds. Raises KlvInvalid."""
    version = nested_items(data).get(_VERSION)
    early = version is not None and int.from_bytes(version, "big") < _FIRST_IMAPB_VERSION
    return (_EARLY_FORM if early and version else _FORM).from_bytes(data, "VMTI set")


def encode(vmti: Vmti) -> bytes:
    """The bytes of item 74 of ST 0601. Raises KlvInvalid for what cannot be written."""
    early = vmti.version is not None and vmti.version < _FIRST_IMAPB_VERSION
    return (_EARLY_FORM if early else _FORM).to_bytes(vmti, "VMTI set")


def decode_packet(data: bytes, *, verify: bool = True) -> Vmti:
    """The set of the one packet that `data` holds. Raises KlvInvalid; `verify` as in `geo.klv.decode`."""
    start, end = frame(data, 0, VMTI_KEY)
    if end != len(data):
        raise KlvInvalid(f"offset {end}: {len(data) - end} bytes after the end of the packet")
    items = read_items(data, start, end)
    if not items or items[-1][0] != 1:
        raise KlvInvalid(f"offset {end}: the packet has no checksum (item 1) at its end")
    check(data, items[-1][2], items[-1][3], end, verify)
    return decode(data[start : items[-1][1]])


def encode_packet(vmti: Vmti) -> bytes:
    """A packet of its own, checksum and all. Raises KlvInvalid for what cannot be written."""
    return sealed(VMTI_KEY, encode(vmti))
