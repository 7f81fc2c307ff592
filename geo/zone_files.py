"""Files of published zones: read piece by piece, so that large and hostile ones cost little, and written."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from geo.errors import ZoneInvalid
from geo.zone_fields import Fields
from geo.zones import Note, Zone

MOST_BYTES = 64_000_000
"""A larger file is not read."""
MOST_ZONES = 100_000
"""A file of more zones is refused."""
MOST_VERTICES_IN_ALL = 800_000
"""A file of more is refused."""
MOST_NOTES = 200_000
"""A file in which more is odd is refused."""


def read_features(
    source: Path | str | bytes,
    zone: Callable[[Fields, dict[str, Any]], Zone],
    *,
    partly: bool,
    near: tuple[float, float] | None,
) -> tuple[dict[str, Any], tuple[Zone, ...], tuple[Note, ...], tuple[Note, ...]]:
    """What a file says about itself, its zones as `zone` reads them, notes, and the features refused.

    Raises ZoneInvalid for the file as a whole, and unless `partly` where a feature is refused.
    """
    said, features = _load(source)
    zones: list[Zone] = []
    notes: list[Note] = []
    refused: list[Note] = []
    vertices = 0
    for number, raw in enumerate(features):
        fields = Fields(number, near=near)
        try:
            zones.append(zone(fields, fields.mapping("feature", _decoded(raw))))
        except ZoneInvalid as exc:
            where, _, why = str(exc).partition(": ")
            refused.append(Note(feature=number, zone=fields.zone, field=where, said=why))
        vertices += fields.vertices
        if vertices > MOST_VERTICES_IN_ALL:
            raise ZoneInvalid(f"feature {number}: more than {MOST_VERTICES_IN_ALL} vertices so far: divide the file")
        notes.extend(fields.notes)
        if len(notes) > MOST_NOTES:
            raise ZoneInvalid(f"feature {number}: more than {MOST_NOTES} things are odd so far: {notes[0]}")
    if refused and not partly:
        more = f"; and {len(refused) - 5} more" if len(refused) > 5 else ""
        first = "; ".join(map(str, refused[:5]))
        raise ZoneInvalid(f"{len(refused)} of {len(features)} zones cannot be understood: {first}{more}")
    return said, tuple(zones), tuple(notes), tuple(refused)


class _File(msgspec.Struct):
    features: list[msgspec.Raw] | None = None


def _load(source: Path | str | bytes) -> tuple[dict[str, Any], list[msgspec.Raw]]:
    """What a JSON file (a path, or its bytes) says about itself, and its features, not yet decoded.

    Raises ZoneInvalid: not readable, too large, not JSON, nested too deeply, no list of features, too many.
    """
    where = "zones" if isinstance(source, bytes) else str(source)
    try:
        if not isinstance(source, bytes):
            size = Path(source).stat().st_size
            if size > MOST_BYTES:
                raise ZoneInvalid(f"{where}: {size / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are read")
            source = Path(source).read_bytes()
        if len(source) > MOST_BYTES:
            raise ZoneInvalid(f"{where}: {len(source) / 1e6:.0f} MB, at most {MOST_BYTES / 1e6:.0f} MB are read")
        source = source.removeprefix(b"\xef\xbb\xbf")
        if source[:100].lstrip().startswith(b"["):
            source = b'{"features":' + source + b"}"
        features = msgspec.json.decode(source, type=_File).features
        head = msgspec.json.decode(source, type=dict[str, msgspec.Raw])
        said = {key: _decoded(value) for key, value in head.items() if key != "features"}
    except OSError as exc:
        raise ZoneInvalid(f"{where}: cannot be read: {exc.strerror}") from exc
    except RecursionError as exc:
        raise ZoneInvalid(f"{where}: nested too deeply to be a list of zones") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ZoneInvalid(f"{where}: not a JSON list of zones: {exc} (NaN and Infinity are not JSON)") from exc
    if features is None:
        raise ZoneInvalid(f"{where}: holds no list of features")
    if len(features) > MOST_ZONES:
        raise ZoneInvalid(f"{where}: {len(features)} features, at most {MOST_ZONES} are read")
    return said, features


def _decoded(raw: msgspec.Raw) -> Any:
    """The value of a piece of JSON. Raises ZoneInvalid."""
    try:
        return msgspec.json.decode(raw)
    except RecursionError as exc:
        raise ZoneInvalid("feature: nested too deeply to be a zone") from exc
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise ZoneInvalid(f"feature: not JSON: {exc}") from exc


def short(field: str, text: str, most: int) -> str:
    """A text that is to be written. Raises ZoneInvalid where the standard has it shorter."""
    if len(text) > most:
        raise ZoneInvalid(f"{field}: {text[:40]!r}... has {len(text)} characters, {most} are the most")
    return text


def utc(moment: datetime | None) -> str | None:
    """A time as the standards write it."""
    return None if moment is None else moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


def present(given: dict[str, Any], *, always: tuple[str, ...] = ()) -> dict[str, Any]:
    """Without the keys that say nothing."""
    return {key: value for key, value in given.items() if key in always or value not in (None, "", [], {})}
