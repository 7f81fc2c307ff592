"""Labelled pictures of simulated worlds for training a detector: JPEG and YOLO text.

python -m simulators.training_frames --seeds 1000-1029 --per-seed 20 --out DIR
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np

from geo.cameras import BrownCamera
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.ground_texture import GroundTexture
from simulators.renderer import Label, Rendered, Renderer
from simulators.world import CLASSES, World

SIZES = ((640, 640), (1280, 720))
LEAST_VISIBLE, LEAST_PX = 0.3, 6.0
"""Things less visible or smaller get no label."""


def frames(
    seeds: Iterable[int], per_seed: int, out_folder: Path | str, *, quality: int = 88
) -> Iterator[tuple[Path, list[str]]]:
    """Write `per_seed` pictures of each world to images/ and their YOLO labels to labels/ under `out_folder`.

    Yields the picture's path and the label lines (class, middle x, middle y, width, height; shares of the picture).
    Half of the pictures aim at incidents or crowds; the rest look anywhere in the city.
    """
    images, labels = Path(out_folder) / "images", Path(out_folder) / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for index, picture in enumerate(pictures(seed, per_seed)):
            path = images / f"world{seed}_{index:03d}.jpg"
            cv2.imwrite(str(path), picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            lines = yolo_lines(picture.labels, picture.image.shape[1], picture.image.shape[0])
            (labels / f"{path.stem}.txt").write_text("".join(f"{line}\n" for line in lines))
            yield path, lines


def pictures(seed: int, count: int) -> Iterator[Rendered]:
    """`count` pictures of the world of a seed from random poses."""
    rng = np.random.default_rng([seed, 77])
    world = World.build(seed)
    texture = GroundTexture(world)
    renderers = [Renderer(world, _camera(size, rng), texture=texture) for size in SIZES]
    targets = _targets(world)
    for index in range(count):
        pose = _pose(world, targets, index % 2 == 0, rng)
        speed = rng.normal(0, 6, 3) * (1, 1, 0.2)
        renderer = renderers[int(rng.random() < 0.35)]
        yield renderer.render(
            pose,
            velocity_enu_m_s=(speed[0], speed[1], speed[2]),
            exposure_s=float(rng.choice([1 / 1000, 1 / 400, 1 / 120])),
            rng=rng,
        )


def yolo_lines(labels: Iterable[Label], width_px: int, height_px: int) -> list[str]:
    """Lines of a YOLO label file for what is visible and large enough."""
    lines = []
    for label in labels:
        left, top, right, bottom = label.xyxy
        wide, high = right - left + 1, bottom - top + 1
        if label.visible < LEAST_VISIBLE or min(wide, high) < LEAST_PX:
            continue
        middle = ((left + right + 1) / 2 / width_px, (top + bottom + 1) / 2 / height_px)
        lines.append(
            f"{CLASSES.index(label.name)} {middle[0]:.6f} {middle[1]:.6f} {wide / width_px:.6f} {high / height_px:.6f}"
        )
    return lines


def _camera(size: tuple[int, int], rng: np.random.Generator) -> BrownCamera:
    focal = size[0] / 2 / np.tan(np.radians(rng.uniform(58, 72)) / 2) * (1.0 if size[0] > 700 else 1.55)
    return BrownCamera(
        width_px=size[0], height_px=size[1], focal_px=float(focal), k1=float(rng.normal(-0.02, 0.015)), k2=0.004
    )


def _targets(world: World) -> dict[str, list[tuple[float, float]]]:
    """Places to aim at by kind; each kind is chosen equally often."""
    targets: dict[str, list[tuple[float, float]]] = {}
    for truth in world.scene.truths:
        if truth.kind != "public_disorder":
            targets.setdefault(truth.kind, []).append(truth.center)
    for prop in world.scene.props:
        if prop.kind in ("frame", "foundation"):
            targets.setdefault("construction", []).append((prop.x, prop.y))
        if prop.kind in ("stall", "containers", "woodpile", "compost", "pool", "earthpile"):
            targets.setdefault("lookalike", []).append((prop.x, prop.y))
    targets["crowd"] = [(g.x, g.y) for g in world.events.gatherings]
    targets["dump again"] = targets.get("dump", [])
    return {kind: places for kind, places in targets.items() if places}


def _pose(world: World, targets: dict[str, list[tuple[float, float]]], aimed: bool, rng: np.random.Generator) -> Pose:
    height = float(rng.uniform(40, 120))
    pitch = -90.0 if rng.random() < 0.5 else float(rng.uniform(-90, -45))
    yaw = float(rng.uniform(0, 360))
    if aimed:
        places = targets[str(rng.choice(sorted(targets)))]
        x, y = np.array(places[rng.integers(len(places))]) + rng.normal(0, 0.16 * height, 2)
    else:
        x, y = rng.uniform(-930, 930, 2)
    back = height * np.tan(np.radians(90 + pitch))
    eye_x, eye_y = x - back * np.sin(np.radians(yaw)), y - back * np.cos(np.radians(yaw))
    lon, lat = world.plane.to_lonlat(eye_x, eye_y)
    amsl = float(world.ground_amsl_m(x, y)) + height
    amsl = max(amsl, float(world.ground_amsl_m(eye_x, eye_y)) + 35)
    return Pose(
        utc_s=world.epoch_utc_s + float(rng.uniform(0, 900)),
        position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(amsl, Datum.AMSL)),
        attitude=Attitude(pitch_deg=pitch, yaw_deg=yaw, roll_deg=float(rng.normal(0, 1.5))),
    )


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulators.training_frames", description=__doc__)
    parser.add_argument("--seeds", required=True, help="one seed or a range such as 1000-1029")
    parser.add_argument("--per-seed", type=int, default=20)
    parser.add_argument("--out", required=True, type=Path)
    chosen = parser.parse_args(arguments)
    first, _, last = chosen.seeds.partition("-")
    count = 0
    for count, (path, lines) in enumerate(
        frames(range(int(first), int(last or first) + 1), chosen.per_seed, chosen.out), 1
    ):
        sys.stderr.write(f"\r{count} {path.name} {len(lines)} labels   ")
    sys.stderr.write(f"\n{count} pictures in {chosen.out}\n")


if __name__ == "__main__":
    main()
