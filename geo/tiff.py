"""Directories of a TIFF: the tags of pictures, packed so that they stand before the data, as a COG wants.

Source: TIFF 6.0 (Adobe, 1992); BigTIFF as libtiff documents it; OGC 21-026, Cloud Optimized GeoTIFF.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rasterio.io import MemoryFile

from geo.grids import Grid

SHORT, LONG, LONG8 = 3, 4, 16
_FORMATS = {1: "B", 2: "s", SHORT: "H", LONG: "I", 12: "d", LONG8: "Q"}
_GEO_TAGS = (33550, 33922, 34264, 34735, 34736, 34737)
_GDAL_TAGS = (42112, 42113)
_SAID_TAGS = (269, 270, 271, 272, 305, 306, 315, 316, 33432)
"""Of a picture's name, description, camera, program, moment, makers and rights: GDAL's TIFFTAG_... texts."""
LARGEST_CLASSIC = 4_200_000_000
"""Bytes of a file that offsets of 32 bit reach, with some to spare."""


@dataclass(frozen=True)
class Tag:
    """One field of a directory."""

    number: int
    """What it means."""
    kind: int
    """TIFF's type of its values."""
    values: bytes | NDArray[np.unsignedinteger]
    """Packed, or numbers of the type."""

    @property
    def packed(self) -> bytes:
        """Little endian."""
        if isinstance(self.values, bytes):
            return self.values
        return self.values.astype(f"<u{struct.calcsize(_FORMATS[self.kind])}").tobytes()

    @property
    def count(self) -> int:
        """Values."""
        return len(self.packed) // struct.calcsize("<" + _FORMATS[self.kind])


def shorts(number: int, *values: int) -> Tag:
    """A field of 16-bit numbers."""
    return Tag(number, SHORT, np.array(values, np.uint16))


def longs(number: int, *values: int) -> Tag:
    """A field of 32-bit numbers."""
    return Tag(number, LONG, np.array(values, np.uint32))


def offsets(number: int, values: NDArray[np.unsignedinteger], *, big: bool) -> Tag:
    """A field of places or lengths in the file."""
    return Tag(number, LONG8 if big else LONG, values)


def header(directories: list[list[Tag]], *, big: bool) -> bytes:
    """The first bytes of a file: its mark, and all its directories with their values, one after the other."""
    fields = _Fields(8, 20, "Q", "Q") if big else _Fields(4, 12, "I", "H")
    start = struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16) if big else struct.pack("<2sHI", b"II", 42, 8)
    done = bytearray(start)
    for number, tags in enumerate(directories):
        done += fields.directory(sorted(tags, key=lambda tag: tag.number), len(done), number + 1 == len(directories))
    return bytes(done)


@dataclass(frozen=True)
class _Fields:
    """How classic and big files pack a directory."""

    inline: int
    """Bytes of values that fit into the field itself."""
    size: int
    """Bytes of a field."""
    offset: str
    """Format of an offset, and of the count of values."""
    count: str
    """Format of the count of fields."""

    def directory(self, tags: list[Tag], at: int, last: bool) -> bytes:
        """One directory at an offset, its longer values behind it, 16-byte aligned."""
        count = struct.pack("<" + self.count, len(tags))
        after = at + len(count) + self.size * len(tags) + self.inline
        fields, values = bytearray(), bytearray()
        for tag in tags:
            packed = tag.packed
            if len(packed) > self.inline:
                place = struct.pack("<" + self.offset, after + len(values))
                values += packed + bytes(-len(packed) % 16)
            else:
                place = packed.ljust(self.inline, b"\0")
            fields += struct.pack("<HH" + self.offset, tag.number, tag.kind, tag.count) + place
        values += bytes(-(after + len(values)) % 16)
        following = struct.pack("<" + self.offset, 0 if last else after + len(values))
        return bytes(count + fields + following + values)


def gdal_tags(grid: Grid, dtype: str, count: int, nodata: float | None, described: Described) -> list[Tag]:
    """The tags in which GDAL says where a raster lies, what its bands mean and what stands for nothing.

    A raster of one pixel is written in memory and its tags are taken.
    """
    with MemoryFile() as memory:
        with memory.open(
            driver="GTiff",
            width=1,
            height=1,
            count=count,
            dtype=dtype,
            crs=grid.crs,
            transform=grid.transform,
            nodata=nodata,
        ) as one:
            one.update_tags(**described.tags)
            for band, (name, unit, scale) in enumerate(described.bands, 1):
                one.set_band_description(band, name)
                one.set_band_unit(band, unit)
                if scale != 1:
                    one.scales = (*(each[2] for each in described.bands), *[1.0] * (count - len(described.bands)))
            if any(described.offsets):
                one.offsets = (*described.offsets, *[0.0] * (count - len(described.offsets)))
        data = bytes(memory.getbuffer())
    return [tag for tag in _read(data) if tag.number in _GEO_TAGS + _GDAL_TAGS + _SAID_TAGS]


@dataclass(frozen=True)
class Described:
    """What a raster says of itself."""

    tags: dict[str, str]
    """Names and texts."""
    bands: tuple[tuple[str, str, float], ...] = ()
    """Of each band its name, its unit and what its numbers are multiplied by; none: nothing is said of them."""
    offsets: tuple[float, ...] = ()
    """Of each band what is then added to its numbers; none: nothing."""


def _read(data: bytes) -> list[Tag]:
    """The tags of the first directory of a classic little-endian file."""
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<H", data, at)
    tags = []
    for field in range(at + 2, at + 2 + 12 * count, 12):
        number, kind, values = struct.unpack_from("<HHI", data, field)
        if kind not in _FORMATS:
            continue
        size = values * struct.calcsize("<" + _FORMATS[kind])
        place = field + 8 if size <= 4 else struct.unpack_from("<I", data, field + 8)[0]
        tags.append(Tag(number, kind, data[place : place + size]))
    return tags
