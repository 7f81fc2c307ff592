"""Labelled pictures of simulated worlds for training a detector: JPEG and YOLO text.

python -m simulators.training_frames --seeds 1000-1029 --per-seed 20 --survey-share 0.7 --out DIR
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
LEAST_VISIBLE, LEAST_PX = 0.3, 4.0
"""Things less visible or smaller get no label."""
LARGE_PX = 60.0
"""But a piece of a large thing that is this wide and high gets one, however little of the whole it is."""
AIMED_SHARE = 0.7
"""Share of the pictures that aim at an incident, a crowd or something easily taken for one."""


def frames(
    seeds: Iterable[int], per_seed: int, out_folder: Path | str, *, survey_share: float = 0.6, quality: int = 88
) -> Iterator[tuple[Path, list[str]]]:
    """Write `per_seed` pictures of each world to images/ and their YOLO labels to labels/ under `out_folder`.

    Yields the picture's path and the label lines (class, middle x, middle y, width, height; shares of the picture).
    A share of `survey_share` is taken as a survey takes it, straight down from 35 to 90 m, and the rest at any pitch
    and height.
    """
    images, labels = Path(out_folder) / "images", Path(out_folder) / "labels"
    images.mkdir(parents=True, exist_ok=True)
    labels.mkdir(parents=True, exist_ok=True)
    for seed in seeds:
        for index, picture in enumerate(pictures(seed, per_seed, survey_share)):
            path = images / f"world{seed}_{index:03d}.jpg"
            cv2.imwrite(str(path), picture.image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
            lines = yolo_lines(picture.labels, picture.image.shape[1], picture.image.shape[0])
            (labels / f"{path.stem}.txt").write_text("".join(f"{line}\n" for line in lines))
            yield path, lines


def pictures(seed: int, count: int, survey_share: float) -> Iterator[Rendered]:
    """`count` pictures of the world of a seed from random poses."""
    rng = np.random.default_rng([seed, 77])
    world = World.build(seed)
    texture = GroundTexture(world)
    renderers = [Renderer(world, _camera(size, rng), texture=texture) for size in SIZES]
    targets = _targets(world)
    for _ in range(count):
        survey = rng.random() < survey_share
        pose = _pose(world, targets, survey, rng)
        speed = rng.normal(0, 6, 3) * (1, 1, 0.2)
        renderer = renderers[int(survey or rng.random() < 0.35)]
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
        if min(wide, high) < (LEAST_PX if label.visible >= LEAST_VISIBLE else LARGE_PX):
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


def _targets(world: World) -> list[list[tuple[float, float]]]:
    """Groups of places to aim at; each group is chosen equally often."""
    scene = world.scene
    of_kind = {kind: [t.center for t in scene.truths if t.kind == kind] for kind in {t.kind for t in scene.truths}}
    sites = [(p.x, p.y) for p in scene.props if p.kind in ("frame", "foundation")]
    alike = [
        (p.x, p.y) for p in scene.props if p.kind in ("stall", "containers", "woodpile", "compost", "pool", "earthpile")
    ]
    crowds = [(g.x, g.y) for g in world.events.gatherings]
    dumps, floods = of_kind.get("dump", []), of_kind.get("flooding", [])
    groups = [
        dumps,
        dumps,
        floods,
        floods,
        sites,
        sites,
        of_kind.get("fire", []),
        of_kind.get("smoke", []),
        crowds,
        alike,
    ]
    return [group for group in groups if group]


def _pose(world: World, targets: list[list[tuple[float, float]]], survey: bool, rng: np.random.Generator) -> Pose:
    height = float(rng.uniform(35, 90) if survey else rng.uniform(40, 120))
    pitch = -90.0 if survey or rng.random() < 0.3 else float(rng.uniform(-90, -45))
    yaw = float(rng.uniform(0, 360))
    x, y = rng.uniform(-930, 930, 2)
    if rng.random() < AIMED_SHARE:
        places = targets[rng.integers(len(targets))]
        x, y = np.array(places[rng.integers(len(places))]) + rng.normal(0, 0.3 if survey else 0.16, 2) * height
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
    parser.add_argument("--survey-share", type=float, default=0.6, help="share taken straight down from 35 to 90 m")
    parser.add_argument("--out", required=True, type=Path)
    chosen = parser.parse_args(arguments)
    first, _, last = chosen.seeds.partition("-")
    count = 0
    seeds = range(int(first), int(last or first) + 1)
    written = frames(seeds, chosen.per_seed, chosen.out, survey_share=chosen.survey_share)
    for count, (path, lines) in enumerate(written, 1):
        sys.stderr.write(f"\r{count} {path.name} {len(lines)} labels   ")
    sys.stderr.write(f"\n{count} pictures in {chosen.out}\n")


if __name__ == "__main__":
    main()
