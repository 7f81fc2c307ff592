"""Passes over true things of simulated worlds, each look judged: what recall by size and number of looks is made of.

python -m simulators.recall_passes --seeds 2100-2139 --out passes.jsonl
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import msgspec
import numpy as np
import shapely
from numpy.typing import NDArray

from aerial_models import catalogue, publishing
from aerial_models.detections import Detector
from aerial_models.detectors import OnnxDetector, overlaps
from aerial_models.recall import APART, Look, Pass, recall_of
from geo.camera_library import camera
from geo.cameras import BrownCamera
from geo.poses import Attitude, Pose
from geo.positions import Altitude, Datum, Position
from simulators.renderer import Label, Renderer
from simulators.world import World
from simulators.world.scene import Truth

CLASS_OF = {"dump": "dump", "unauthorized_construction": "construction", "fire": "fire"}
"""Class of the detector by kind of truth, for kinds that have a place and an outline."""
LOOKS = 7
"""Of one pass; so many views, each APART from the last, lie between entering and leaving the picture."""
HEIGHTS_M = (32.0, 115.0)
SPEED_M_S, EXPOSURE_S, JPEG_QUALITY = 8.0, 1 / 800, 80
LEAST_IOU = 0.3
"""Overlap from which a finding is the thing: its place is then off by a fraction of the thing's size."""
EDGE_PX = 3.0
"""A box nearer to the edge of the picture is cut, and is not used by the service either."""
LEAST_AREA_M2 = 1.2
WHAT = "One straight pass at 8 m/s over each thing of simulated worlds that were never trained on, up to 7 looks"


def passes(
    seeds: Iterable[int], detector: Detector, *, kinds: Iterable[str] = tuple(CLASS_OF), most_of_kind: int = 24
) -> Iterator[Pass]:
    """One pass over each of up to `most_of_kind` things of a kind in each world, dumps of all sizes."""
    kinds = tuple(kinds)
    lens = camera("sim-wide").brown_camera()
    for seed in seeds:
        rng = np.random.default_rng([seed, 41])
        world = World.build(seed)
        shrink_dumps(world, rng)
        renderer = Renderer(world, lens)
        for kind in kinds:
            things = [truth for truth in world.scene.truths if truth.kind == kind]
            for index in rng.permutation(len(things))[:most_of_kind]:
                yield _passed(world, renderer, detector, things[int(index)], rng)


def shrink_dumps(world: World, rng: np.random.Generator) -> None:
    """Make two in three dumps of a world smaller, down to LEAST_AREA_M2; before anything of it is drawn."""
    scene = world.scene
    for number, truth in enumerate(scene.truths):
        if truth.kind != "dump" or rng.random() < 1 / 3:
            continue
        area_m2 = float(np.exp(rng.uniform(np.log(LEAST_AREA_M2), np.log(truth.polygon.area))))
        share = float(np.sqrt(area_m2 / truth.polygon.area))
        middle = np.array(truth.center)
        scene.truths[number] = msgspec.structs.replace(truth, ring=middle + (truth.ring - middle) * share)
        heap = next(prop for prop in scene.props if prop.instance == truth.instance)
        length_m, width_m, height_m = heap.size
        heap.size = (length_m * share, width_m * share, height_m * max(share, 0.6))
        litter = [flat for flat in scene.flats if flat.material == "litter"]
        under = min(litter, key=lambda flat: float(np.hypot(*(flat.ring.mean(axis=0) - middle))))
        under.ring = middle + (under.ring - middle) * share


def _passed(world: World, renderer: Renderer, detector: Detector, truth: Truth, rng: np.random.Generator) -> Pass:
    """A straight pass over a thing at some height, heading and distance aside."""
    lens = renderer.camera
    height_m = float(np.exp(rng.uniform(*np.log(HEIGHTS_M))))
    heading = float(rng.uniform(0, 2 * np.pi))
    ahead = np.array([np.sin(heading), np.cos(heading)])
    aside = np.array([ahead[1], -ahead[0]]) * float(rng.uniform(-0.55, 0.55)) * height_m
    middle = np.array(truth.center)
    ground_m = float(world.ground_amsl_m(*middle))
    begin_s = world.epoch_utc_s + max(truth.from_utc_s, 0.0) + float(rng.uniform(0, 600))
    looks = []
    for step in range(LOOKS):
        along_m = (step - (LOOKS - 1) / 2) * APART * height_m
        eye = middle + aside + ahead * along_m
        lon, lat = world.plane.to_lonlat(*eye)
        pose = Pose(
            utc_s=begin_s + along_m / SPEED_M_S,
            position=Position(lon=float(lon), lat=float(lat), altitude=Altitude(ground_m + height_m, Datum.AMSL)),
            attitude=Attitude(pitch_deg=-90.0, yaw_deg=float(np.degrees(heading)) % 360.0),
        )
        velocity = (float(ahead[0]) * SPEED_M_S, float(ahead[1]) * SPEED_M_S, 0.0)
        picture = renderer.render(pose, velocity_enu_m_s=velocity, exposure_s=EXPOSURE_S)
        label = next((label for label in picture.labels if label.instance == truth.instance), None)
        whole = label is not None and _whole(label, lens)
        hidden = hidden_by_building(world, truth, eye, ground_m + height_m)
        score = 0.0 if label is None else _score(detector, as_sent(picture.image), CLASS_OF[truth.kind], label)
        looks.append(
            Look(
                gsd_m=height_m / lens.focal_px,
                off_nadir_deg=float(np.degrees(np.arctan2(np.hypot(*(eye - middle)), height_m))),
                blur_px=SPEED_M_S * EXPOSURE_S * lens.focal_px / height_m,
                counts=whole and not hidden,
                score=round(score, 4),
            )
        )
    return Pass(
        seed=world.seed,
        thing=truth.id,
        name=CLASS_OF[truth.kind],
        area_m2=round(truth.polygon.area, 3),
        sun_deg=round(float(np.degrees(np.arcsin(world.sun[2]))), 1),
        looks=tuple(looks),
    )


def hidden_by_building(world: World, truth: Truth, eye: NDArray[np.float64], eye_amsl_m: float) -> bool:
    """Whether a building stands between a thing's middle and the eye (east, north; m)."""
    middle = np.array(truth.center)
    way = shapely.LineString([middle, eye])
    ground_m = float(world.ground_amsl_m(*middle))
    for building in world.scene.buildings:
        if np.hypot(*(building.ring[0] - middle)) > way.length + 80:
            continue
        footprint = shapely.Polygon(building.ring)
        crossed = footprint.intersection(way)
        if crossed.is_empty or footprint.contains(shapely.Point(middle)):  # it burns on its roof
            continue
        away_m = shapely.Point(middle).distance(crossed)
        if ground_m + (eye_amsl_m - ground_m) * away_m / way.length < building.base_amsl_m + building.height_m:
            return True
    return False


def _whole(label: Label, lens: BrownCamera) -> bool:
    left, top, right, bottom = label.xyxy
    return bool(min(left, top) > EDGE_PX and right < lens.width_px - EDGE_PX and bottom < lens.height_px - EDGE_PX)


def as_sent(image: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """What compression leaves of a picture."""
    _, encoded = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    return np.asarray(cv2.imdecode(encoded, cv2.IMREAD_COLOR), np.uint8)


def _score(detector: Detector, image: NDArray[np.uint8], name: str, label: Label) -> float:
    """Of the best finding of that class that is the thing; 0 where there is none above the detector's threshold."""
    found = detector.detect(image)
    mine = found[found.class_id == found.classes.index(name)]
    if not len(mine):
        return 0.0
    overlap = overlaps(mine.xyxy, np.asarray([label.xyxy], np.float32))[:, 0]
    return float(np.max(np.where(overlap >= LEAST_IOU, mine.confidence, 0.0)))


def publish_recall(model: str, files: Iterable[Path]) -> None:
    """Write what was measured into the catalogue's entry and its card."""
    entry = catalogue.entry(model)
    found = [msgspec.json.decode(line, type=Pass) for file in files for line in file.read_bytes().splitlines()]
    names = [name for name in CLASS_OF.values() if any(one.name == name for one in found)]
    recall = [
        recall_of([one for one in found if one.name == name], threshold=entry.thresholds[name], what=WHAT)
        for name in names
    ]
    kept = [one for one in entry.recall if one.name not in names]
    entry = publishing.publish(msgspec.structs.replace(entry, recall=(*recall, *kept)))
    publishing.write_figures(entry, Path(entry.card))


def main(arguments: list[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m simulators.recall_passes", description=__doc__)
    parser.add_argument("--seeds", help="one seed or a range such as 2100-2139; never trained on")
    parser.add_argument("--model", default="city-nano")
    parser.add_argument("--kinds", nargs="+", choices=list(CLASS_OF), default=list(CLASS_OF))
    parser.add_argument("--most-of-kind", type=int, default=24)
    parser.add_argument("--out", type=Path, help="file that passes are appended to")
    parser.add_argument("--publish", type=Path, nargs="+", help="files of passes to write into catalogue and card")
    chosen = parser.parse_args(arguments)
    if chosen.publish:
        publish_recall(chosen.model, chosen.publish)
        return
    if not chosen.seeds or not chosen.out:
        parser.error("give --seeds and --out, or --publish")
    first, _, last = chosen.seeds.partition("-")
    detector = OnnxDetector(chosen.model, threads=1)
    with chosen.out.open("ab") as file:
        seeds = range(int(first), int(last or first) + 1)
        found = passes(seeds, detector, kinds=chosen.kinds, most_of_kind=chosen.most_of_kind)
        for count, passed in enumerate(found, 1):
            file.write(msgspec.json.encode(passed) + b"\n")
            file.flush()
            sys.stderr.write(f"\r{count} {passed.seed} {passed.thing}   ")
    sys.stderr.write("\n")


if __name__ == "__main__":
    main()
