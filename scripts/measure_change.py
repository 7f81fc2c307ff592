"""Measures `missioncontrol change`: on simulated worlds, whose truth is known, and on real pairs where they are.

    .venv/bin/python scripts/measure_change.py [--seeds 3 5 8] [--data ../shared/data]

Worlds: squares of 960 m at 0.2 m, the earlier one in another sun, contrast and noise and 1.7 px aside. Real pairs:
pictures/change_levir of the data folder (A, B, label; 0.5 m per px).
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import rasterio
import shapely
from numpy.typing import NDArray
from pyproj import Transformer
from rasterio.enums import Resampling

from geo.change_kinds import ChangeKind
from geo.changes import Comparison, find_changes
from geo.picture_pairs import PicturePair
from simulators.world import World
from simulators.world.painting import Painter

ROOT = Path(__file__).resolve().parents[1]
HALF_M, M_PX, EAST_M, NORTH_M = 480, 0.2, 500_000.0, 4_780_000.0
EXPECTED = {
    "dump": {ChangeKind.DUMP},
    "flooding": {ChangeKind.WATER},
    "unauthorized_construction": {ChangeKind.NEW_BUILDING, ChangeKind.EARTHWORKS},
}
TO_PLANE = Transformer.from_crs("EPSG:4326", "EPSG:32643", always_xy=True)


def main() -> None:
    """Print one table for each kind of data."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="*", default=[3, 5, 8])
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("MC_DATA", ROOT.parent / "shared" / "data")))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if options.seeds:
            worlds(options.seeds, Path(folder))
        levir(options.data / "pictures" / "change_levir", Path(folder))


def worlds(seeds: list[int], folder: Path) -> None:
    """Found and missed by kind, and what else was told."""
    there: Counter[str] = Counter()
    found: Counter[str] = Counter()
    right: Counter[str] = Counter()
    false: Counter[str] = Counter()
    for seed in seeds:
        world = World.build(seed)
        size = int(2 * HALF_M / M_PX)
        later = Painter(world, older=False).paint(-HALF_M, -HALF_M, size, M_PX)[::-1]
        world.sun = world.sun @ np.array([[0.92, 0.39, 0], [-0.39, 0.92, 0], [0, 0, 1.0]])
        earlier = Painter(world, older=True).paint(-HALF_M, -HALF_M, size, M_PX)[::-1]
        comparison = compare(other_day(earlier, seed), later.copy(), M_PX, folder)
        outlines = [shapely.transform(change.outline, on_plane) for change in comparison.changes]
        lawful = [shapely.Polygon(b.ring) for b in world.scene.buildings if not b.older]
        lawful += [shapely.Point(p.x, p.y).buffer(max(p.size)) for p in world.scene.props if not p.older]
        lawful += [shapely.Polygon(f.ring).buffer(2) for f in world.scene.flats if f.older != f.newer]
        new = shapely.union_all([*lawful, *(truth.polygon for truth in world.scene.truths)])
        for truth in world.scene.truths:
            inside = max(map(abs, truth.center)) < HALF_M - 20
            if truth.kind not in EXPECTED or not inside or truth.polygon.area < 4:
                continue
            kinds = {
                change.kind
                for change, outline in zip(comparison.changes, outlines, strict=True)
                if outline.intersects(truth.polygon)
            }
            there[truth.kind] += 1
            found[truth.kind] += bool(kinds)
            right[truth.kind] += bool(kinds & EXPECTED[truth.kind])
        for change, outline in zip(comparison.changes, outlines, strict=True):
            false[change.kind.value] += not outline.intersects(new)
    say(f"simulated worlds {seeds}, {4 * HALF_M**2 / 1e6:.2f} km2 each")
    for kind in EXPECTED:
        say(f"  {kind}: {found[kind]} of {there[kind]} found, {right[kind]} as what they are")
    say(f"  where nothing is new: {dict(+false)}")


def levir(folder: Path, work: Path) -> None:
    """How much of the area of new buildings is told as any change, and as building, on real pairs."""
    labels = sorted((folder / "label").glob("*.png"))
    if not labels:
        say(f"real pairs: skipped, none in {folder}")
        return
    for label in labels:
        before, after = (cv2.imread(str(folder / part / label.name))[..., ::-1] for part in "AB")
        truth = cv2.imread(str(label), cv2.IMREAD_GRAYSCALE) > 0
        comparison = compare(before, after, 0.5, work)
        told = mask(comparison, truth.shape, None)
        built = mask(comparison, truth.shape, ChangeKind.NEW_BUILDING)
        there = max(1, int(truth.sum()))
        share = f"{(told & truth).sum() / there:.2f} told, {(built & truth).sum() / there:.2f} as building"
        say(
            f"  {label.stem}: {truth.sum()} px of new buildings: {share if truth.any() else 'none there'}; "
            f"{(told & ~truth).mean():.2f} of the picture is told beside them"
        )


def mask(comparison: Comparison, shape: tuple[int, ...], kind: ChangeKind | None) -> NDArray[np.bool_]:
    """Pixels of the changes of a kind, or of all."""
    place = rasterio.Affine(0.5, 0, EAST_M, 0, -0.5, NORTH_M)
    outlines = [shapely.transform(c.outline, raw_plane) for c in comparison.changes if kind in (None, c.kind)]
    if not outlines:
        return np.zeros(shape, np.bool_)
    return np.asarray(rasterio.features.rasterize(outlines, shape, transform=place) > 0)


def compare(before: NDArray[np.uint8], after: NDArray[np.uint8], m_px: float, folder: Path) -> Comparison:
    """The changes of two pictures of one size."""
    files = [folder / "before.tif", folder / "after.tif"]
    for path, picture in zip(files, (before, after), strict=True):
        with rasterio.open(
            path, "w", driver="GTiff", width=picture.shape[1], height=picture.shape[0], count=3, dtype="uint8",
            crs="EPSG:32643", transform=rasterio.Affine(m_px, 0, EAST_M, 0, -m_px, NORTH_M), tiled=True,
        ) as raster:  # fmt: skip
            raster.write(np.moveaxis(picture, -1, 0))
        with rasterio.open(path, "r+", driver="GTiff") as raster:
            raster.build_overviews([2, 4, 8], Resampling.average)
    with PicturePair(files[0], files[1]) as pair:
        return find_changes(pair)


def other_day(picture: NDArray[np.uint8], seed: int) -> NDArray[np.uint8]:
    """By another camera, a little aside."""
    bent = np.clip(255 * (picture / 255.0) ** 1.15 * 0.92 + 6, 0, 255).astype(np.float32)
    moved = cv2.warpAffine(
        bent, np.array([[1, 0, 1.7], [0, 1, -1.1]], np.float32), bent.shape[1::-1], borderMode=cv2.BORDER_REFLECT
    )
    return np.asarray(np.clip(moved + np.random.default_rng(seed).normal(0, 2.5, moved.shape), 0, 255), np.uint8)


def raw_plane(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lon and lat, deg, to UTM, m."""
    return np.stack(TO_PLANE.transform(places[:, 0], places[:, 1]), axis=-1)


def on_plane(places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Lon and lat, deg, to the world's plane, m."""
    return raw_plane(places) - (EAST_M + HALF_M, NORTH_M - HALF_M)


def say(text: str) -> None:
    """A line on stdout."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
