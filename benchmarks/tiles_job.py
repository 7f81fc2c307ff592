"""Web map tiles of a large COG: ms a tile against the peer, over a screen of tiles, nothing read before."""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from cog_job import large_cog
from run import Peers, in_turn, line, say

from geo import rasters
from geo.grids import Grid
from geo.tiles import Form, tile
from missioncontrol.layers import Layers
from missioncontrol.map_settings import LayerSettings

ZOOMS = 17, 19, 21
RUNS = 5
ACROSS, DOWN = 6, 4
FORMS: tuple[tuple[Form, str], ...] = (("png", "PNG"), ("jpg", "JPEG"))


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Tiles side by side, 12 288 x 12 288 px of RGB in JPEG, 5 cm/px, UTM zone 43: at three zooms."""
    version = peers.ask("package_version", package="rio-tiler")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.tif"
        grid = large_cog(path)
        for form, theirs in FORMS:
            ratios = []
            for z in ZOOMS:
                row = _zoom(peers, version, path, _screen(grid, z), form, theirs)
                ratios.append(row["ratio"])
                yield row
            say(f"tiles: {theirs}: median of {len(ZOOMS)} zooms: {statistics.median(ratios):.1f}")
        yield _service(peers, version, path, _screen(grid, 19))


def _screen(grid: Grid, z: int) -> list[list[int]]:
    """Tiles about the middle of the raster: as many as lie wholly on it at zoom 17, else a screen of them."""
    lon, lat = (float(each) for each in grid.lonlat(grid.width / 2, grid.height / 2))
    x, y = _number(lon, lat, z)
    across, down = (3, 3) if z == ZOOMS[0] else (ACROSS, DOWN)
    return [[z, x + i - across // 2, y + j - down // 2] for j in range(down) for i in range(across)]


def _number(lon: float, lat: float, z: int) -> tuple[int, int]:
    down = (1 - np.arcsinh(np.tan(np.radians(lat))) / np.pi) / 2
    return int((lon + 180) / 360 * 2**z), int(down * 2**z)


def _zoom(peers: Peers, version: str, path: Path, tiles: list[list[int]], form: Form, theirs: str) -> dict[str, Any]:
    def ours() -> float:
        rasters.forget()
        start_s = time.process_time()
        for z, x, y in tiles:
            tile(path, z, x, y, form=form)
        return 1000 * (time.process_time() - start_s) / len(tiles)

    def other() -> float:
        spent = peers.ask("rio_tiler_tiles", file=str(path), tiles=tiles, form=theirs)["cpu_seconds"]
        return 1000 * sum(spent) / len(tiles)

    mine, them = in_turn(RUNS, ours, other)
    return line(
        job="tiles", case=f"z{tiles[0][0]}, {theirs}, mean of {len(tiles)} tiles side by side, cold", peer="rio-tiler",
        peer_version=version, ours=mine, theirs=them, unit="CPU ms a tile", lower=True,
    )  # fmt: skip


def _service(peers: Peers, version: str, path: Path, tiles: list[list[int]]) -> dict[str, Any]:
    """What the service does for a tile behind HTTP: style, etag, threads, cut."""
    layers = Layers((LayerSettings(name="large", title="-", path=path),))

    async def screen() -> None:
        await asyncio.gather(*(layers.tile("large", z, x, y) for z, x, y in tiles))

    def ours() -> float:
        rasters.forget()
        start_s = time.perf_counter()
        asyncio.run(screen())
        return 1000 * (time.perf_counter() - start_s) / len(tiles)

    def other() -> float:
        spent = peers.ask("rio_tiler_tiles", file=str(path), tiles=tiles, form="PNG")["seconds"]
        return 1000 * sum(spent) / len(tiles)

    mine, them = in_turn(RUNS, ours, other)
    layers.close()
    return line(
        job="tiles", case="z19, PNG, the service's own path (2 threads) against the peer's reader alone (1)",
        peer="rio-tiler", peer_version=version, ours=mine, theirs=them, unit="wall ms a tile", lower=True,
    )  # fmt: skip
