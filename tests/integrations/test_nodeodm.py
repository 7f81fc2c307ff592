"""The adapter speaks NodeODM's HTTP API as its documentation has it, with a server that follows that."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import os
import socket
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import rasterio
import uvicorn
from litestar import Litestar, Request, Response, get, post
from litestar.params import FromPath

from geo.errors import RasterInvalid
from geo.tiles import bounds_of, tile, zooms_of
from integrations.nodeodm import ORTHOPHOTO, SURFACE, NodeOdm
from missioncontrol.errors import PhotogrammetryFailed

TOKEN, TASK = "a-token", "0f3c-77"


class Node:
    """A node that takes one task and answers as told."""

    def __init__(self, archive: bytes) -> None:
        self.archive, self.statuses = archive, [(10, 0.0), (20, 40.0), (40, 100.0)]
        self.pictures: dict[str, bytes] = {}
        self.options: dict[str, Any] = {}
        self.outputs: list[str] = []
        self.asked: list[str] = []
        self.refused = False

    def app(self) -> Litestar:
        def admitted(request: Request[Any, Any, Any], step: str) -> Response[Any] | None:
            self.asked.append(step)
            if request.query_params.get("token") != TOKEN:
                return Response({"error": "Invalid authentication token"}, status_code=401)
            return Response({"error": "Not enough images"}) if self.refused and step == "commit" else None

        @post("/task/new/init", status_code=200)
        async def init(request: Request[Any, Any, Any]) -> Response[Any]:
            refusal = admitted(request, "init")
            form = await request.form()
            self.options = {each["name"]: each["value"] for each in _parsed(form["options"])}
            self.outputs = _parsed(form["outputs"])
            return refusal or Response({"uuid": TASK})

        @post("/task/new/upload/{uuid:str}", status_code=200)
        async def upload(request: Request[Any, Any, Any], uuid: FromPath[str]) -> Response[Any]:
            refusal = admitted(request, "upload")
            picture = (await request.form())["images"]
            self.pictures[picture.filename] = await picture.read()
            return refusal or Response({"success": uuid == TASK})

        @post("/task/new/commit/{uuid:str}", status_code=200)
        async def commit(request: Request[Any, Any, Any], uuid: FromPath[str]) -> Response[Any]:
            return admitted(request, "commit") or Response({"uuid": uuid})

        @get("/task/{uuid:str}/info")
        async def info(request: Request[Any, Any, Any], uuid: FromPath[str]) -> Response[Any]:
            code, progress = self.statuses[0]
            self.statuses = self.statuses[1:] or self.statuses
            status = {"code": code} | ({"errorMessage": "Strange values"} if code == 30 else {})
            said = {"uuid": uuid, "status": status, "progress": progress, "imagesCount": len(self.pictures)}
            return admitted(request, "info") or Response(said)

        @get("/task/{uuid:str}/download/{asset:str}")
        async def download(request: Request[Any, Any, Any], uuid: FromPath[str], asset: FromPath[str]) -> Response[Any]:
            if asset != "all.zip":
                return Response({"error": f"no asset {asset} of {uuid}"}, status_code=404)
            return admitted(request, "download") or Response(self.archive, media_type="application/zip")

        @post("/task/remove", status_code=200)
        async def remove(request: Request[Any, Any, Any]) -> Response[Any]:
            return admitted(request, "remove") or Response({"success": (await request.json())["uuid"] == TASK})

        return Litestar([init, upload, commit, info, download, remove], openapi_config=None, logging_config=None)


def _parsed(text: Any) -> Any:
    """JSON of a form's field (the server may have parsed it)."""
    return json.loads(text) if isinstance(text, str) else text


def geotiff(bands: np.ndarray) -> bytes:
    transform = rasterio.Affine(0.1, 0, 657_800, 0, -0.1, 4_785_000)
    with rasterio.MemoryFile() as memory:
        with memory.open(
            driver="GTiff", width=700, height=600, count=len(bands), dtype=bands.dtype, crs="EPSG:32643",
            transform=transform,
        ) as out:  # fmt: skip
            out.write(bands)
            if len(bands) == 4:
                out.colorinterp = [*out.colorinterp[:3], rasterio.enums.ColorInterp.alpha]
        return bytes(memory.getbuffer())


def archive(*, surface: bool = True, **members: bytes) -> bytes:
    colours = np.full((4, 600, 700), 90, np.uint8)
    colours[3] = 255
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        files.writestr(ORTHOPHOTO, members.get("orthophoto", geotiff(colours)))
        if surface:
            files.writestr(SURFACE, geotiff(np.full((1, 600, 700), 812.5, np.float32)))
        files.writestr("../../etc/evil", b"x")
    return packed.getvalue()


@contextlib.asynccontextmanager
async def served(node: Node) -> AsyncIterator[str]:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        server = uvicorn.Server(uvicorn.Config(node.app(), log_level="warning", lifespan="off"))
        serving = asyncio.create_task(server.serve(sockets=[sock]))
        while not server.started:
            await asyncio.sleep(0.01)
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            await serving


@pytest.fixture
def photographs(tmp_path: Path) -> list[Path]:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        (folder / f"DJI_{number}.JPG").write_bytes(bytes([number]) * 1000)
    return sorted(folder.iterdir())


async def test_photographs_go_and_layers_come_back(photographs: list[Path], tmp_path: Path) -> None:
    node, told = Node(archive()), []
    async with served(node) as url, NodeOdm(url=url, token=TOKEN, poll_s=0.01) as odm:
        made = await odm.reconstruct(
            photographs, out=tmp_path / "map.tif", options={"orthophoto-resolution": 5},
            on_progress=lambda stage, percent: told.append((stage, percent)),
        )  # fmt: skip
    assert node.asked == ["init", *["upload"] * 3, "commit", *["info"] * 3, "download", "remove"]
    assert node.pictures == {path.name: path.read_bytes() for path in photographs}
    assert node.options == {"dsm": True, "orthophoto-resolution": 5}
    assert node.outputs == [ORTHOPHOTO, SURFACE]
    assert told[-1] == ("made", 100.0)
    assert made.surface is not None
    for path in (made.map, made.surface):
        low, high = zooms_of(path)
        assert low < high
        assert bounds_of(path)[0] == pytest.approx(76.94, abs=0.01)
        assert tile(path, 0, 0, 0)
    with rasterio.open(made.surface) as surface:
        assert (surface.read(1) == 812.5).all()
    assert set(os.listdir(tmp_path)) == {"photos", "map.tif", "map_dsm.tif"}
    async with served(Node(archive(surface=False))) as url, NodeOdm(url=url, token=TOKEN, poll_s=0.01) as odm:
        made = await odm.reconstruct(photographs, out=tmp_path / "other.tif")
    assert made.surface is None


async def test_what_goes_wrong_is_told_and_the_task_is_removed(photographs: list[Path], tmp_path: Path) -> None:
    async def failing(node: Node, match: str, error: type[Exception] = PhotogrammetryFailed) -> None:
        async with served(node) as url, NodeOdm(url=url, token=TOKEN, poll_s=0.01) as odm:
            with pytest.raises(error, match=match):
                await odm.reconstruct(photographs, out=tmp_path / "map.tif")
        assert node.asked[-1] == "remove"
        assert not (tmp_path / "map.tif").exists()

    broken = Node(archive())
    broken.statuses = [(20, 10.0), (30, 10.0)]
    await failing(broken, "failed: Strange values")
    cancelled = Node(archive())
    cancelled.statuses = [(50, 0.0)]
    await failing(cancelled, "was cancelled")
    refusing = Node(archive())
    refusing.refused = True
    await failing(refusing, "commit.*Not enough images")
    await failing(Node(b"not a zip"), "cannot be unpacked")
    await failing(Node(archive(orthophoto=b"<VRTDataset/>")), "not a TIFF", RasterInvalid)
    empty = io.BytesIO()
    with zipfile.ZipFile(empty, "w") as files:
        files.writestr("readme", b"-")
    await failing(Node(empty.getvalue()), f"holds no {ORTHOPHOTO}")


async def test_a_node_that_does_not_know_us_or_is_not_there(photographs: list[Path], tmp_path: Path) -> None:
    async with served(Node(archive())) as url, NodeOdm(url=url, token="wrong") as odm:
        with pytest.raises(PhotogrammetryFailed, match="Invalid authentication token") as told:
            await odm.reconstruct(photographs, out=tmp_path / "map.tif")
        assert "wrong" not in str(told.value)
    async with NodeOdm(url=url, timeout_s=1.0) as odm:
        with pytest.raises(PhotogrammetryFailed, match="did not answer"):
            await odm.reconstruct(photographs, out=tmp_path / "map.tif")
    for bad in ("ftp://x", "node", "http://"):
        with pytest.raises(ValueError, match="http or https"):
            NodeOdm(url=bad)
