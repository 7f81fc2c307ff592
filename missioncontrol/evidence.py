"""Evidence: pictures kept by what they are, their sha256."""

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
    """A folder of JPEG pictures."""

    def __init__(self, folder: Path) -> None:
        """Kept below `folder`, which is made when first needed."""
        self._folder = folder

    async def keep(self, jpeg: bytes) -> str:
        """Keep a picture; returns its sha256."""
        return await asyncio.to_thread(self._keep, jpeg)

    def path(self, sha256: str) -> Path:
        """Where a picture is. Raises NotFound."""
        path = self._place(sha256) if _SHA256.fullmatch(sha256) else None
        if path is None or not path.is_file():
            raise NotFound(f"no picture {sha256}")
        return path

    def _place(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / f"{sha256}.jpg"

    def _keep(self, jpeg: bytes) -> str:
        sha256 = hashlib.sha256(jpeg).hexdigest()
        path = self._place(sha256)
        if path.exists():
            return sha256
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, suffix=".part")
        with os.fdopen(handle, "wb") as file:
            file.write(jpeg)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
        return sha256
