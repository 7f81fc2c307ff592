"""XMP in photographs, read without an XML parser, so that no entity is expanded and broken files still tell something.

Names are `prefix:Name`; a field of a structure is `prefix:Structure/Name`.
"""

from __future__ import annotations

import re
from itertools import islice

import numpy as np

Tags = dict[str, str]

MOST_CHARACTERS = 200_000
"""Of the text that is read; what makers write of a flight takes a few thousand."""

MOST_STRUCTURES = 64
"""That are looked into."""

_NAME = r"[\w-]{1,64}:\w{1,64}"
_ATTRIBUTE = re.compile(rf"(?<![\w-])({_NAME})\s*=\s*[\"']([^\"'<>]*)[\"']")
_ELEMENT = re.compile(rf"<({_NAME})(?:\s[^<>]*)?>([^<]*)</")
_EMPTY = re.compile(rf"<({_NAME})\s([^<>]*)/>")
_OPENED = re.compile(rf"<({_NAME})\s([^<>]*)>")
_RESOURCE = re.compile(r"parseType=[\"']Resource[\"']")


def xmp_tags(xmp: bytes) -> Tags:
    """Tags of an XMP packet, from attributes and elements; the last of a name counts."""
    text = xmp[:MOST_CHARACTERS].decode("utf-8", "replace")
    tags = dict(_ATTRIBUTE.findall(text))
    tags.update(_ELEMENT.findall(text))
    for structure, attributes in _EMPTY.findall(text):
        tags.update(_fields(structure, _ATTRIBUTE.findall(attributes)))
    opened = (found for found in _OPENED.finditer(text) if _RESOURCE.search(found[2]))
    for begun in islice(opened, MOST_STRUCTURES):
        ends = text.find(f"</{begun[1]}>", begun.end())
        tags.update(_fields(begun[1], _ELEMENT.findall(text, begun.end(), max(ends, begun.end()))))
    return {name: value.strip() for name, value in tags.items()}


def _fields(structure: str, found: list[tuple[str, str]]) -> Tags:
    return {f"{structure}/{name.partition(':')[2]}": value for name, value in found}


def number(tags: Tags, name: str) -> float | None:
    """The value of a tag: `12.5` or, as rationals are written, `25/2`; None where it is missing or no finite number."""
    above, _, below = tags.get(name, "").partition("/")
    try:
        value = float(above) / float(below or 1)
    except (ValueError, ZeroDivisionError):
        return None
    return value if np.isfinite(value) else None


def numbers(tags: Tags, *names: str) -> tuple[float, ...] | None:
    """The values of tags; None unless all are there."""
    values = [number(tags, name) for name in names]
    found = tuple(value for value in values if value is not None)
    return found if len(found) == len(names) else None
