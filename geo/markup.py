"""XML as a tree with line numbers, by expat without document types: no entities, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from xml.parsers import expat

from geo.errors import AreaInvalid

MOST_BYTES = 64_000_000
"""Longest text that is read."""
MOST_ELEMENTS = 100_000
"""Elements that a text may have."""
DEEPEST = 64
"""Elements within each other that are read."""


@dataclass(slots=True)
class Element:
    """An XML element, its name without its namespace, and where it begins."""

    name: str
    line: int
    attributes: dict[str, str]
    pieces: list[str] = field(default_factory=list)
    children: list[Element] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its own words, without spaces around them."""
        return "".join(self.pieces).strip()

    def walk(self) -> Iterator[Element]:
        """It and all within it, in the order of the text."""
        yield self
        for child in self.children:
            yield from child.walk()

    def find(self, name: str) -> Element | None:
        """The first of that name within it."""
        return next((each for each in self.walk() if each.name == name), None)

    def child(self, name: str) -> Element | None:
        """The first of that name right under it."""
        return next((each for each in self.children if each.name == name), None)


def parse_xml(text: bytes) -> Element:
    """The outermost element. Raises AreaInvalid naming the line, also for a document type."""
    if len(text) > MOST_BYTES:
        raise AreaInvalid(f"{len(text)} bytes; {MOST_BYTES} is the most that is read")
    parser = expat.ParserCreate(namespace_separator=" ")
    parser.buffer_text = True
    top = Element("", 1, {})
    stack, left = [top], iter(range(MOST_ELEMENTS))

    def refuse_doctype(*_: object) -> None:
        raise AreaInvalid(f"line {parser.CurrentLineNumber}: <!DOCTYPE: document types are not read")

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) > DEEPEST:
            raise AreaInvalid(f"line {parser.CurrentLineNumber}: elements lie deeper than {DEEPEST} in each other")
        if next(left, None) is None:
            raise AreaInvalid(f"line {parser.CurrentLineNumber}: more than {MOST_ELEMENTS} elements")
        element = Element(name.rpartition(" ")[2], parser.CurrentLineNumber, attributes)
        stack[-1].children.append(element)
        stack.append(element)

    def data(words: str) -> None:
        stack[-1].pieces.append(words)

    parser.StartDoctypeDeclHandler = refuse_doctype
    parser.StartElementHandler = start
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = data
    try:
        parser.Parse(text, True)
    except expat.ExpatError as exc:
        raise AreaInvalid(f"line {exc.lineno}: not XML: {expat.errors.messages[exc.code]}") from exc
    except (LookupError, ValueError) as exc:  # an encoding that nobody knows
        raise AreaInvalid(f"line 1: not XML: {exc}") from exc
    return top.children[0]
