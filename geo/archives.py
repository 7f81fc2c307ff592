"""Packed files (zip), opened only as far as is safe: few members, plain names, no bombs."""

from __future__ import annotations

import io
import struct
import zipfile
import zlib
from pathlib import PurePosixPath

from geo.errors import AreaInvalid

MOST_MEMBERS = 1000
"""Members that an archive may have."""
MOST_BYTES = 64_000_000
"""Of all members unpacked."""
MOST_RATIO = 200
"""Unpacked over packed bytes of a member larger than `SMALL_BYTES`; text of coordinates reaches some 20."""
SMALL_BYTES = 1_000_000
MOST_DIRECTORY_BYTES = 256 * MOST_MEMBERS
END_OF_DIRECTORY = struct.Struct("<4s4H2LH")
"""Signature, disks, members on disk, members, size and offset of the directory, length of the comment."""


def unpack(where: str, content: bytes, suffixes: frozenset[str]) -> dict[str, bytes]:
    """The members of a zip whose names end so, by name. Raises AreaInvalid for what looks like a bomb or a trap."""
    _check_directory(where, content)
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = [info for info in archive.infolist() if not info.is_dir()]
            _check_members(where, infos)
            wanted = [info for info in infos if PurePosixPath(info.filename).suffix.lower() in suffixes]
            return {info.filename: archive.read(info) for info in wanted if _is_meant(info.filename)}
    except AreaInvalid:
        raise
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError, OSError, EOFError, ValueError) as exc:
        raise AreaInvalid(f"{where}: is a zip that cannot be unpacked: {exc}") from exc


def _is_meant(name: str) -> bool:
    """Whether a member is no shadow that macOS adds."""
    return not name.startswith("__MACOSX/") and not PurePosixPath(name).name.startswith("._")


def _check_directory(where: str, content: bytes) -> None:
    """Raise where the list of members alone is too long to be looked at."""
    at = len(content) - END_OF_DIRECTORY.size
    if at < 0 or content[at : at + 4] != b"PK\5\6" or content[-2:] != b"\0\0":
        at = content.rfind(b"PK\5\6", max(0, len(content) - 65557))
    if at < 0 or at + END_OF_DIRECTORY.size > len(content):
        raise AreaInvalid(f"{where}: is a zip without an end: it was cut off")
    _, _, _, _, members, size, _, _ = END_OF_DIRECTORY.unpack_from(content, at)
    if content[max(0, at - 20) : at].startswith(b"PK\6\7"):
        raise AreaInvalid(f"{where}: is a zip of the large kind (zip64): pack it again with fewer files")
    if members > MOST_MEMBERS or size > MOST_DIRECTORY_BYTES:
        raise AreaInvalid(f"{where}: {members} files in the zip, at most {MOST_MEMBERS} are looked at")


def _check_members(where: str, infos: list[zipfile.ZipInfo]) -> None:
    names = [info.filename for info in infos]
    if len(infos) > MOST_MEMBERS:
        raise AreaInvalid(f"{where}: {len(infos)} files in the zip, at most {MOST_MEMBERS} are looked at")
    if len(set(names)) != len(names):
        raise AreaInvalid(f"{where}: the zip holds a name twice: {max(names, key=names.count)[:80]!r}")
    for info in infos:
        parts = PurePosixPath(info.filename).parts
        if info.filename.startswith("/") or ".." in parts or "\\" in info.filename or ":" in parts[0]:
            raise AreaInvalid(f"{where}: {info.filename[:80]!r} in the zip points out of it")
        if info.flag_bits & 1:
            raise AreaInvalid(f"{where}: {info.filename[:80]!r} in the zip is encrypted: pack it without a password")
        if info.file_size > SMALL_BYTES and info.file_size > MOST_RATIO * info.compress_size:
            raise AreaInvalid(
                f"{where}: {info.filename[:80]!r} in the zip grows {info.file_size / max(info.compress_size, 1):.0f} "
                f"times when unpacked, at most {MOST_RATIO} times is: it looks like a zip bomb"
            )
    total = sum(info.file_size for info in infos)
    if total > MOST_BYTES:
        raise AreaInvalid(
            f"{where}: {total / 1e6:.0f} MB when unpacked, at most {MOST_BYTES / 1e6:.0f} MB are: "
            "pack only what is to be planned over"
        )


def pack(members: dict[str, bytes]) -> bytes:
    """A zip of members by name, the same bytes for the same members."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content, zipfile.ZIP_DEFLATED)
    return target.getvalue()
