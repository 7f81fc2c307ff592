"""Writing a cloud optimized GeoTIFF: seconds against the peer, each with the same blocks, overviews and threads."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import rasterio
from run import DATA, Peers, in_turn, line, say

from geo.cogs import CogWriter, Compression, cog
from geo.grids import Grid

SIDE = 6144
RUNS = 5
QUALITY = 75
CASES: tuple[tuple[str, Compression, dict[str, Any], int], ...] = (
    ("deflate, the peer's profile (no predictor)", "deflate", {}, 1),
    ("deflate, the peer's profile (no predictor)", "deflate", {}, 2),
    ("deflate, the peer with predictor 2 too", "deflate", {"predictor": 2}, 1),
    ("JPEG of quality 75", "jpeg", {"quality": QUALITY}, 1),
    ("JPEG of quality 75", "jpeg", {"quality": QUALITY}, 2),
)


def compare(peers: Peers) -> Iterator[dict[str, Any]]:
    """38 MP of RGB, from a tiled GeoTIFF that is not compressed; blocks of 512 px, means as overviews."""
    version = peers.ask("package_version", package="rio-cogeo")
    with tempfile.TemporaryDirectory() as folder:
        source = picture(Path(folder) / "source.tif")
        mine, other = Path(folder) / "ours.tif", Path(folder) / "theirs.tif"
        for name, compress, options, threads in CASES:
            asked = {"source": str(source), "out": str(other), "compress": compress, "threads": threads}
            ours_cpu_s: list[float] = []
            theirs_cpu_s: list[float] = []
            sizes: list[int] = []

            def ours(compress: Compression = compress, threads: int = threads, kept: list[float] = ours_cpu_s) -> float:
                start_s, start_cpu_s = time.perf_counter(), time.process_time()
                cog(source, mine, compress=compress, quality=QUALITY, threads=threads)
                kept.append(time.process_time() - start_cpu_s)
                return time.perf_counter() - start_s

            def theirs(
                asked: dict[str, Any] = asked, options: dict[str, Any] = options, kept: list[float] = theirs_cpu_s,
                sizes: list[int] = sizes,
            ) -> float:  # fmt: skip
                answer = peers.ask("rio_cogeo_write", options=options, **asked)
                kept.append(answer["cpu_seconds"])
                sizes.append(answer["bytes"])
                return float(answer["seconds"])

            walls = in_turn(RUNS, ours, theirs)
            valid, errors, warnings = peers.ask("rio_cogeo_valid", file=str(mine))
            if not valid:
                raise RuntimeError(f"{name}: not a COG: {errors} {warnings}")
            say(f"cog: {name}: valid; {mine.stat().st_size / 1e6:.1f} MB, the peer {sizes[-1] / 1e6:.1f} MB")
            plural = "s" if threads > 1 else ""
            for unit, (a, b) in {"wall s": walls, "CPU s": (ours_cpu_s[1:], theirs_cpu_s[1:])}.items():
                yield line(
                    job="cog", case=f"{name}, {threads} thread{plural}", peer="rio-cogeo", peer_version=version, ours=a,
                    theirs=b, unit=unit, lower=True,
                )  # fmt: skip


def picture(path: Path) -> Path:
    """RGB of real photographs side by side (seeded noise where there are none), tiled, not compressed."""
    with rasterio.open(
        path, "w", driver="GTiff", width=SIDE, height=SIDE, count=3, dtype="uint8", crs="EPSG:32643",
        transform=rasterio.Affine(0.05, 0, 657_000, 0, -0.05, 4_785_500), tiled=True, blockxsize=512, blockysize=512,
        interleave="pixel",
    ) as raster:  # fmt: skip
        for number, image in enumerate(_squares(2048, (SIDE // 2048) ** 2)):
            row, col = divmod(number, SIDE // 2048)
            raster.write(image.transpose(2, 0, 1), window=rasterio.windows.Window(col * 2048, row * 2048, 2048, 2048))
    return path


def large_cog(path: Path, side: int = 12_288) -> Grid:
    """A COG of JPEG, 5 cm/px in UTM zone 43, of the same photographs; its grid."""
    grid = Grid("EPSG:32643", rasterio.Affine(0.05, 0, 657_000, 0, -0.05, 4_785_500), side, side)
    squares = _squares(2048, (side // 2048) ** 2)
    with CogWriter(path, grid, bands=3, compress="jpeg", quality=85) as writer:
        for row, col, *_ in grid.windows(2048):
            writer.write(row, col, next(squares))
    return grid


def _squares(side: int, count: int) -> Iterator[np.ndarray[Any, np.dtype[np.uint8]]]:
    found = sorted((DATA / "flight" / "dji_brighton_beach").glob("*.JPG"))
    rng = np.random.default_rng(3)
    for number in range(count):
        if found:
            whole = cv2.imread(str(found[number % len(found)]))
            col = 97 * number % (whole.shape[1] - side)
            yield np.ascontiguousarray(whole[:side, col : col + side, ::-1])
        else:
            coarse = rng.integers(0, 255, (side // 8, side // 8, 3)).astype(np.uint8)
            yield np.asarray(cv2.resize(coarse, (side, side), interpolation=cv2.INTER_CUBIC), np.uint8)
