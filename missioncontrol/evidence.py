"""Evidence: pictures and documents kept by what they are, their sha256."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import tempfile
from pathlib import Path

from missioncontrol.errors import NotFound

_SHA256 = re.compile(r"[0-9a-f]{64}")


class Evidence:
    """A folder of JPEG pictures, or of documents."""

    def __init__(self, folder: Path, *, suffix: str = ".jpg") -> None:
        """Kept below `folder`, which is made when first needed; `suffix` ends the names of the files."""
        self._folder, self._suffix = folder, suffix

    async def keep(self, content: bytes) -> str:
        """Keep a picture or document; returns its sha256."""
        return await asyncio.to_thread(self._keep, content)

    def path(self, sha256: str) -> Path:
        """Where one is. Raises NotFound."""
        path = self._place(sha256) if _SHA256.fullmatch(sha256) else None
        if path is None or not path.is_file():
            raise NotFound(f"nothing is kept under {sha256}")
        return path

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}{self._suffix}"

    def _keep(self, content: bytes) -> str:
        sha256 = hashlib.sha256(content).hexdigest()
        path = self._place(sha256)
        if path.exists():
            return sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
        return sha256
