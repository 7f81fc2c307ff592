"""Changes between two orthophotos of 20 000 x 20 000 px: time, memory, and what the gate lets through."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from numpy.typing import NDArray
from rasterio.enums import Resampling
from rasterio.windows import Window
from run import ROOT, Peers, in_turn, line, say

from geo.change_scores import DARK
from geo.change_squares import TILE_PX as SQUARE_PX
from simulators.world import World
from simulators.world.painting import Painter

SIDE_PX, TILE_PX, M_PX = 20_000, 2_000, 0.25
THINGS, LEAST_AREA_M2 = 60, 16.0
CONTRAST = 0.22
PLANTED = 1.25 * CONTRAST
"""The faintest of the planted things differ by so much from what they lie on, natural logarithm."""
RUNS = 2

OURS = """
import json, sys, time
from pathlib import Path
from geo.changes import find_changes
from geo.picture_pairs import PicturePair
start_s, start_cpu_s = time.perf_counter(), time.process_time()
with PicturePair(sys.argv[1], sys.argv[2]) as pair:
    found = find_changes(pair, least_area_m2=float(sys.argv[3]))
spent = {"seconds": time.perf_counter() - start_s, "cpu_s": time.process_time() - start_cpu_s}
boxes = [change.outline.bounds for change in found.changes]
status = dict(row.split(":", 1) for row in Path("/proc/self/status").read_text().splitlines())
print(json.dumps({**spent, "boxes": boxes, "read": found.read.tolist(),
    "peak_mb": int(status["VmHWM"].split()[0]) / 1024}))
"""


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """Few changes, as they are: the gate leaves most squares unread. The peer reads all and does the plainest."""
    with tempfile.TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.tif", Path(folder) / "after.tif"
        planted = _make(before, after)
        answers: list[dict[str, Any]] = []
        peer_answers: list[dict[str, Any]] = []

        def ours() -> float:
            command = [sys.executable, "-c", OURS, str(before), str(after), str(LEAST_AREA_M2)]
            done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
            answers.append(json.loads(done.stdout))
            return float(answers[-1]["cpu_s"])

        def theirs() -> float:
            asked = {"before": str(before), "after": str(after), "contrast": CONTRAST}
            peer_answers.append(peers.ask("windowed_changes", **asked))
            return float(peer_answers[-1]["cpu_s"])

        mine, other = in_turn(RUNS, ours, theirs)
        last = answers[-1]
        told = sum(_met(box, last["boxes"]) for box, _ in planted)
        read = np.array(last["read"])
        hit = sum(bool(read[row // SQUARE_PX, col // SQUARE_PX]) for _, (row, col) in planted)
        peak_mb = max(answer["peak_mb"] for answer in answers)
        say(
            f"change: {hit} of {len(planted)} planted things pass the gate, {told} are told (those on lush plants are "
            f"taken for plants), {read.sum()} of {read.size} squares read in full, "
            f"peak {peak_mb:.0f} MB"
        )
        walls = [[answer["seconds"] for answer in each[1:]] for each in (answers, peer_answers)]
        for what, times in (("processor time", (mine, other)), ("by the clock", walls)):
            yield line(
                job="change", case=f"{SIDE_PX} x {SIDE_PX} px, {THINGS} things, deflated, with overviews, {what}",
                peer="rasterio by windows of 1024, plain difference by numpy and OpenCV",
                peer_version=peers.ask("package_version", package="rasterio"), ours=times[0], theirs=times[1], unit="s",
                lower=True,
            )  # fmt: skip
        yield line(
            job="change", case="peak memory", peer="bar (recorded)", peer_version="-", ours=[peak_mb],
            theirs=[1024.0], unit="MB", lower=True,
        )  # fmt: skip
        yield line(
            job="change", case="recall of planted things of 4 px or more at the gate", peer="bar (recorded)",
            peer_version="-", ours=[hit / len(planted)], theirs=[1.0], unit="share", lower=False,
        )  # fmt: skip


def _met(box: tuple[float, float, float, float], found: list[list[float]]) -> bool:
    west, south, east, north = box
    return any(w < east and e > west and s < north and n > south for w, s, e, n in found)


def _make(before: Path, after: Path) -> list[tuple[tuple[float, float, float, float], tuple[int, int]]]:
    """Two pictures of one painted square, again and again, with things in the later one: box, deg; middle, px."""
    world = World.build(17)
    square = Painter(world, older=True).paint(-250.0, -250.0, TILE_PX, M_PX)[::-1]
    rng = np.random.default_rng(17)
    noise = [rng.normal(0, 2.0, square.shape) for _ in range(2)]
    earlier = np.clip(np.clip(255 * (square / 255.0) ** 1.1 * 0.93 + 5, 0, 255) + noise[0], 0, 255).astype(np.uint8)
    later = np.clip(square + noise[1], 0, 255).astype(np.uint8)
    things = _things(rng)
    place = rasterio.Affine(M_PX, 0, 654_000, 0, -M_PX, 4_790_000)
    options = {
        "driver": "GTiff", "width": SIDE_PX, "height": SIDE_PX, "count": 3, "dtype": "uint8", "crs": "EPSG:32643",
        "transform": place, "tiled": True, "blockxsize": 512, "blockysize": 512, "compress": "deflate",
        "predictor": 2, "zlevel": 1, "interleave": "pixel",
    }  # fmt: skip
    for path, picture in ((before, earlier), (after, later)):
        with rasterio.open(path, "w", **options) as raster:
            for row in range(0, SIDE_PX, TILE_PX):
                for col in range(0, SIDE_PX, TILE_PX):
                    drawn = _planted(picture.copy(), things, row, col) if path == after else picture
                    raster.write(np.moveaxis(drawn, -1, 0), window=Window(col, row, TILE_PX, TILE_PX))
        with rasterio.Env(COMPRESS_OVERVIEW="DEFLATE", PREDICTOR_OVERVIEW="2"), rasterio.open(path, "r+") as raster:
            raster.build_overviews([2, 4, 8, 16, 32], Resampling.average)
    boxes = []
    for row, col, rows, cols, _ in things:
        x, y = place @ (np.array([col, col + cols]), np.array([row + rows, row]))
        lon, lat = rasterio.warp.transform("EPSG:32643", "EPSG:4326", list(x), list(y))
        boxes.append(((lon[0], lat[0], lon[1], lat[1]), (row + rows // 2, col + cols // 2)))
    return boxes


def _things(rng: np.random.Generator) -> list[tuple[int, int, int, int, float]]:
    """Row, column, rows, columns, px, and by how much redder; the smallest are 4 px at the gate (4 x 4 m)."""
    things = []
    for number in range(THINGS):
        rows, cols = (16, 16) if number % 3 == 0 else rng.integers(16, 90, 2).tolist()
        row, col = (int(rng.integers(0, SIDE_PX // TILE_PX)) * TILE_PX for _ in range(2))
        row, col = (at + int(rng.integers(100, TILE_PX - 200)) for at in (row, col))
        things.append((row, col, int(rows), int(cols), float(rng.uniform(PLANTED, 3 * PLANTED))))
    return things


def _planted(picture: NDArray[np.uint8], things: list[Any], row: int, col: int) -> NDArray[np.uint8]:
    """The things whose corner lies in this square: what is there, redder by their share of the score."""
    for top, left, rows, cols, stronger in things:
        if row <= top < row + TILE_PX and col <= left < col + TILE_PX:
            part = picture[top - row : top - row + rows, left - col : left - col + cols]
            under = cv2.blur(part, (5, 5)).astype(np.float32)
            # red alone raised by a, in logarithms, is a change of sqrt((a / 3)^2 + 2 a^2) in brightness and colour
            raised = np.exp(stronger / np.sqrt(1 / 9 + 2))
            under[..., 0] = (under[..., 0] + DARK) * raised - DARK
            part[...] = np.clip(under, 0, 255).astype(np.uint8)
    return picture
