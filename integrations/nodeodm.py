"""OpenDroneMap behind NodeODM: photographs go there, an orthophoto and a surface model come back. Experimental.

Written by NodeODM's documented HTTP API (version 2.2.1) and never tried on a real node.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import msgspec

from geo.cogs import Compression, cog
from missioncontrol.errors import PhotogrammetryFailed
from missioncontrol.mapping import Reconstruction

FAILED, COMPLETED, CANCELED = 30, 40, 50
"""NodeODM's codes of what has become of a task; 10 and 20 are waiting and running."""
ORTHOPHOTO, SURFACE = "odm_orthophoto/odm_orthophoto.tif", "odm_dem/dsm.tif"
MOST_BYTES = 200 * 2**30
"""Of what comes back, packed and unpacked."""


class _Status(msgspec.Struct, rename="camel"):
    code: int
    error_message: str = ""


class _Info(msgspec.Struct):
    status: _Status
    progress: float = 0.0


class NodeOdm:
    """One node. Tasks that it was given are removed from it when they are done or have failed."""

    def __init__(self, *, url: str, token: str = "", timeout_s: float = 60.0, poll_s: float = 5.0) -> None:
        """`url` as http://host:3000; `token` where the node wants one; `timeout_s` of each silence.

        Raises ValueError for what is no address.
        """
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL as exc:
            raise ValueError(f"url: {url!r}: {exc}") from exc
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError(f"url: {url!r} is not an http or https address")
        self._url, self._host, self._timeout_s, self._poll_s = url.rstrip("/") + "/", parsed.host, timeout_s, poll_s
        self._query = {"token": token} if token else {}
        self._http: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            base_url=self._url, timeout=self._timeout_s, follow_redirects=False, params=self._query
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._http is not None:
            await self._http.aclose()

    async def reconstruct(
        self,
        photographs: Sequence[Path],
        *,
        out: Path,
        options: Mapping[str, Any] | None = None,
        compress: Compression = "jpeg",
        on_progress: Callable[[str, float], None] = lambda stage, percent: None,
    ) -> Reconstruction:
        """Send photographs, wait, and write the orthophoto to `out` and, if there is one, the surface beside it.

        `options` are OpenDroneMap's, by name. Raises PhotogrammetryFailed with what the node says, RasterInvalid for
        an orthophoto that is none.
        """
        wanted = {"dsm": True, **(options or {})}
        listed = [{"name": name, "value": value} for name, value in wanted.items()]
        outputs = msgspec.json.encode([ORTHOPHOTO, SURFACE]).decode()
        form = {"name": out.stem, "options": msgspec.json.encode(listed).decode(), "outputs": outputs}
        task = str((await self._asked("POST", "task/new/init", data=form)).get("uuid", ""))
        if not task.replace("-", "").isalnum():
            raise PhotogrammetryFailed(f"{self._host}: gave the task no name")
        try:
            for number, photograph in enumerate(photographs, 1):
                with photograph.open("rb") as file:
                    await self._asked("POST", f"task/new/upload/{task}", files={"images": (photograph.name, file)})
                on_progress("sent", 100 * number / len(photographs))
            await self._asked("POST", f"task/new/commit/{task}")
            await self._done(task, on_progress)
            return await self._fetch(task, out, compress)
        finally:
            await asyncio.shield(self._remove(task))

    async def _done(self, task: str, on_progress: Callable[[str, float], None]) -> None:
        while True:
            said = await self._asked("GET", f"task/{task}/info")
            try:
                info = msgspec.convert(said, _Info)
            except msgspec.ValidationError as exc:
                raise PhotogrammetryFailed(f"{self._host}: task {task}: not an answer of NodeODM: {exc}") from exc
            on_progress("made", info.progress)
            if info.status.code == COMPLETED:
                return
            if info.status.code in (FAILED, CANCELED):
                what = "failed" if info.status.code == FAILED else "was cancelled"
                raise PhotogrammetryFailed(
                    f"{self._host}: task {task} {what}: {info.status.error_message or 'no reason'}"
                )
            await asyncio.sleep(self._poll_s)

    async def _fetch(self, task: str, out: Path, compress: Compression) -> Reconstruction:
        """Take the two rasters out of the archive and pack them as COGs; nothing else in it is unpacked."""
        with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as folder:
            archive = Path(folder) / "all.zip"
            await self._download(f"task/{task}/download/all.zip", archive)
            surface = out.with_name(f"{out.stem}_dsm.tif")
            await asyncio.to_thread(self._packed, archive, ORTHOPHOTO, out, compress)
            try:
                await asyncio.to_thread(self._packed, archive, SURFACE, surface, "deflate")
            except KeyError:
                return Reconstruction(map=str(out), surface=None)
        return Reconstruction(map=str(out), surface=str(surface))

    def _packed(self, archive: Path, member: str, out: Path, compress: Compression) -> None:
        """One raster of the archive as a COG. Raises KeyError for a surface that is not there."""
        plain = archive.with_name("plain.tif")
        try:
            with zipfile.ZipFile(archive) as files:
                if member == ORTHOPHOTO and member not in files.namelist():
                    raise PhotogrammetryFailed(f"{self._host}: the result holds no {member}")
                if files.getinfo(member).file_size > MOST_BYTES:
                    raise PhotogrammetryFailed(f"{self._host}: {member} is larger than {MOST_BYTES} bytes")
                with files.open(member) as packed, plain.open("wb") as file:
                    shutil.copyfileobj(packed, file, 2**20)
        except (zipfile.BadZipFile, EOFError, NotImplementedError) as exc:
            raise PhotogrammetryFailed(f"{self._host}: the result cannot be unpacked: {exc}") from exc
        cog(plain, out, compress=compress)

    async def _download(self, path: str, file: Path) -> None:
        assert self._http is not None
        try:
            async with self._http.stream("GET", path) as answer:
                if not answer.is_success:
                    raise PhotogrammetryFailed(f"{self._host}: answered {answer.status_code} to {path}")
                taken = 0
                with file.open("wb") as kept:
                    async for part in answer.aiter_bytes():
                        taken += len(part)
                        if taken > MOST_BYTES:
                            raise PhotogrammetryFailed(f"{self._host}: sends more than {MOST_BYTES} bytes")
                        kept.write(part)
        except httpx.HTTPError as exc:
            raise PhotogrammetryFailed(f"{self._host}: broke off: {exc or type(exc).__name__}") from exc

    async def _remove(self, task: str) -> None:
        try:
            await self._asked("POST", "task/remove", json={"uuid": task})
        except PhotogrammetryFailed:
            return  # the node forgets tasks by itself, after two days unless it is told otherwise

    async def _asked(self, method: str, path: str, **what: Any) -> dict[str, Any]:
        """The JSON object that the node answers with. NodeODM says errors with status 200 too."""
        if self._http is None:
            raise RuntimeError(f"{self._host}: the node is not open")
        try:
            answer = await self._http.request(method, path, **what)
        except httpx.HTTPError as exc:
            raise PhotogrammetryFailed(f"{self._host}: did not answer: {exc or type(exc).__name__}") from exc
        try:
            said = msgspec.json.decode(answer.content, type=dict[str, Any])
        except msgspec.DecodeError:
            said = {}
        if "error" in said or not answer.is_success or not said:
            raise PhotogrammetryFailed(f"{self._host}: {path}: {said.get('error') or f'answered {answer.status_code}'}")
        if said.get("success") is False:
            raise PhotogrammetryFailed(f"{self._host}: {path}: refused")
        return said
