"""Labelled pictures, and the crops that a detector learns from.

A label file is YOLO text: one line a box, ``class cx cy w h`` as fractions of the picture's sides.
Crops are cut at the scale the detector will see (GSD 5 to 7 cm), so that a person of eight pixels stays eight pixels.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from aerial_models.errors import SourceGarbage, SourceUnreachable

CITY_CLASSES = ("dump", "flood", "construction", "fire", "smoke", "person", "vehicle")
"""Classes of our own detector, in the order of their ids."""

_INCIDENTS = frozenset(range(5))
"""Ids of the classes that are rare: all but person and vehicle."""

PICTURE_SUFFIXES = (".jpg", ".jpeg", ".png")


@dataclass(frozen=True)
class LabelledPicture:
    """A picture file with its boxes."""

    path: Path
    """The picture."""
    xyxy: NDArray[np.float32]
    """Boxes (n, 4): left, top, right, bottom, px of the picture as stored."""
    class_id: NDArray[np.int32]
    """Index into CITY_CLASSES (n,)."""
    unlabelled: frozenset[str] = frozenset()
    """Classes that may stand in the picture without a box; nothing may be learned or judged about them here."""
    scale: tuple[float, float] = (1.0, 1.0)
    """Least and greatest factor by which the picture is resized to come near the survey's GSD."""


class PictureSet(msgspec.Struct, frozen=True):
    """How one folder of real pictures is read."""

    folder: str
    """Folder below the pictures folder, with images/ and labels/ (or masks/)."""
    note: str
    """What the pictures are, and how far figures on its held-out part can be trusted."""
    licence: str
    """As the source states it."""
    classes: dict[int, str]
    """The set's class id > ours; ids that are absent are dropped."""
    unlabelled: frozenset[str]
    """Classes of ours that may appear there without a label."""
    scale: tuple[float, float]
    """Resize factors towards the survey's GSD."""
    heldout: str
    """Regular expression of the file stems that are never trained on."""
    repeat: int = 1
    """Crops cut of each picture."""
    masks: bool = False
    """Labels are water masks; each large connected piece becomes one box."""


_VEHICLES = {0: "vehicle", 1: "vehicle", 2: "vehicle", 3: "vehicle"}
PICTURE_SETS = (
    PictureSet(
        folder="vehicles_minsk",
        note="real, nadir and oblique city streets, one flight held out; some parked cars have no box",
        licence="CC BY-SA",
        classes=_VEHICLES,
        unlabelled=frozenset({"person"}),
        scale=(0.7, 1.2),
        heldout=r"DJI-00760",
        repeat=4,
    ),
    PictureSet(
        folder="vehicles_kit_ais",
        note="real aerial city frames enlarged about twice, one street held out",
        licence="CC BY 3.0",
        classes=_VEHICLES,
        unlabelled=frozenset({"person"}),
        scale=(1.5, 2.5),
        heldout=r"MunichStreet02",
        repeat=6,
    ),
    PictureSet(
        folder="vehicles_madison",
        note="real, nadir; held-out pictures of the very street that was trained on, so the figures flatter",
        licence="none stated",
        classes={0: "vehicle"},
        unlabelled=frozenset({"person"}),
        scale=(0.55, 1.0),
        heldout=r"[79]_",
    ),
    PictureSet(
        folder="people_unicamp",
        note="real, oblique; the end of the one flight that was trained on, so the figures flatter",
        licence="CC BY-NC 4.0",
        classes={0: "person"},
        unlabelled=frozenset({"vehicle"}),
        scale=(0.4, 0.9),
        heldout=r"DJI_0084_(7\d{3}|69\d\d)$",
        repeat=4,
    ),
    PictureSet(
        folder="people_sdd",
        note="real, nadir, never trained on; boxes are loose and some people have none, so the figures understate",
        licence="CC BY-NC-SA 3.0",
        classes={0: "person", 1: "person", 2: "person"},
        unlabelled=frozenset({"vehicle"}),
        scale=(0.5, 0.5),
        heldout=r".*",
    ),
    PictureSet(
        folder="flood",
        note="real floods from above; truth is the box around each large piece of a water mask, a rough measure",
        licence="none stated",
        classes={0: "flood"},
        unlabelled=frozenset({"vehicle", "person", "dump", "construction"}),
        scale=(0.8, 1.2),
        heldout=r"(?!)",
        masks=True,
    ),
    PictureSet(
        folder="fire_ground",
        note="real fires photographed from the ground, never trained on: far from what the model is for",
        licence="said to be CC0, some watermarked",
        classes={0: "fire"},
        unlabelled=frozenset({"smoke", "vehicle", "person", "dump", "construction"}),
        scale=(1.0, 1.0),
        heldout=r".*",
    ),
)
"""The real pictures that are known, with what each does not label. Where a
folder has a groups.json, every fifth group is held out whole, since duplicates must stay on one side."""


def read_yolo(
    picture: Path,
    label: Path,
    classes: dict[int, str],
    unlabelled: frozenset[str] = frozenset(),
    scale: tuple[float, float] = (1.0, 1.0),
) -> LabelledPicture:
    """Boxes of a YOLO label file in px of its picture; an absent file means no boxes."""
    height, width = _size(picture)
    rows = [line.split() for line in label.read_text().splitlines() if line.strip()] if label.exists() else []
    known = [row for row in rows if int(float(row[0])) in classes]
    values = np.asarray([[float(v) for v in row[1:5]] for row in known], np.float32).reshape(-1, 4)
    center, half = values[:, :2], values[:, 2:] / 2
    xyxy = np.hstack([center - half, center + half]) * np.asarray([width, height, width, height], np.float32)
    ids = np.asarray([CITY_CLASSES.index(classes[int(float(row[0]))]) for row in known], np.int32)
    return LabelledPicture(picture, xyxy.astype(np.float32), ids, unlabelled, scale)


def read_mask(
    picture: Path,
    mask: Path,
    name: str,
    unlabelled: frozenset[str],
    scale: tuple[float, float],
    least_share: float = 0.02,
) -> LabelledPicture:
    """One box for each connected piece of a mask that fills at least `least_share` of the picture."""
    pixels = cv2.imread(str(mask), cv2.IMREAD_GRAYSCALE)
    if pixels is None:
        raise SourceGarbage(f"{mask} is not a picture that can be read")
    height, width = _size(picture)
    if pixels.shape != (height, width):
        pixels = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_NEAREST)
    solid = cv2.morphologyEx((pixels > 127).astype(np.uint8), cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(solid)
    pieces = stats[1:][stats[1:, cv2.CC_STAT_AREA] >= least_share * width * height]
    xyxy = np.hstack([pieces[:, :2], pieces[:, :2] + pieces[:, 2:4]]).astype(np.float32).reshape(-1, 4)
    ids = np.full(len(xyxy), CITY_CLASSES.index(name), np.int32)
    return LabelledPicture(picture, xyxy, ids, unlabelled, scale)


def read_set(pictures: Path, of: PictureSet, heldout: bool) -> list[LabelledPicture]:
    """Pictures of one set, either those to train on or those held out."""
    folder = pictures / of.folder
    files = sorted(f for f in (folder / "images").glob("*") if f.suffix.lower() in PICTURE_SUFFIXES)
    groups = folder / "groups.json"
    rows = json.loads(groups.read_text()).items() if groups.exists() else ()
    out_of = {name for name, row in rows if row["heldout"] or row["group"] % 5 == 0}
    chosen = [f for f in files if (bool(re.match(of.heldout, f.stem)) or f.name in out_of) == heldout]
    if of.masks:
        return [
            read_mask(f, folder / "masks" / f"{f.stem}.png", of.classes[0], of.unlabelled, of.scale) for f in chosen
        ]
    return [read_yolo(f, folder / "labels" / f"{f.stem}.txt", of.classes, of.unlabelled, of.scale) for f in chosen]


def read_frames(folder: Path) -> list[LabelledPicture]:
    """Rendered frames of a folder: images/ and labels/ beside each other, at any depth, fully labelled."""
    classes = dict(enumerate(CITY_CLASSES))
    files = sorted(f for f in folder.rglob("*") if f.suffix.lower() in PICTURE_SUFFIXES and f.parent.name == "images")
    if not files:
        raise SourceUnreachable(f"{folder} holds no frames: expected images/*.jpg beside labels/*.txt")
    return [read_yolo(f, f.parent.parent / "labels" / f"{f.stem}.txt", classes) for f in files]


@dataclass(frozen=True)
class Crop:
    """A cut of a picture with the boxes that lie in it."""

    image: NDArray[np.uint8]
    """RGB (height, width, 3)."""
    xyxy: NDArray[np.float32]
    """Boxes (n, 4), px of the crop."""
    class_id: NDArray[np.int32]
    """Index into CITY_CLASSES (n,)."""


def clip_boxes(
    xyxy: NDArray[np.float32],
    class_id: NDArray[np.int32],
    window: tuple[float, float, float, float],
    least_share: float = 0.35,
    large_px2: float = 96.0 * 96.0,
) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    """Boxes seen through a window (left, top, right, bottom, px), in the window's own pixels.

    A box stays when at least `least_share` of it, or at least `large_px2` of it, lies inside.
    """
    left, top, right, bottom = window
    clipped = np.stack(
        [
            xyxy[:, 0].clip(left, right),
            xyxy[:, 1].clip(top, bottom),
            xyxy[:, 2].clip(left, right),
            xyxy[:, 3].clip(top, bottom),
        ],
        axis=1,
    )
    seen = (clipped[:, 2] - clipped[:, 0]) * (clipped[:, 3] - clipped[:, 1])
    whole = np.maximum((xyxy[:, 2] - xyxy[:, 0]) * (xyxy[:, 3] - xyxy[:, 1]), 1e-6)
    keep = (seen > 4) & ((seen / whole >= least_share) | (seen >= large_px2))
    shift = np.asarray([left, top, left, top], np.float32)
    return (clipped[keep] - shift).astype(np.float32), class_id[keep]


def crops(
    picture: LabelledPicture, rng: np.random.Generator, count: int, size_px: tuple[int, int], on_object: float = 0.8
) -> Iterator[Crop]:
    """`count` crops of `size_px` (width, height) of a picture at a random scale of its range.

    A share of `on_object` falls on some box; where the picture is smaller than the crop, grey is about it.
    """
    wide, high = size_px
    bgr = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
    if bgr is None:
        raise SourceGarbage(f"{picture.path} is not a picture that can be read")
    image = cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
    rarity = _rarity(picture.class_id)
    for _ in range(count):
        scale = float(rng.uniform(*picture.scale))
        scaled = image if scale == 1.0 else cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        boxes = picture.xyxy * scale
        height, width = scaled.shape[:2]
        if len(boxes) and rng.random() < on_object:
            box = boxes[rng.choice(len(boxes), p=rarity)]
            center = rng.uniform(box[:2], np.maximum(box[2:], box[:2] + 1e-3)) + rng.uniform(-0.35, 0.35, 2) * size_px
        else:
            center = rng.uniform((0, 0), (width, height))
        left = int(np.clip(center[0] - wide / 2, 0, max(width - wide, 0)))
        top = int(np.clip(center[1] - high / 2, 0, max(height - high, 0)))
        cut = scaled[top : top + high, left : left + wide]
        canvas = np.full((high, wide, 3), 114, np.uint8)
        canvas[: cut.shape[0], : cut.shape[1]] = cut
        window = (float(left), float(top), float(left + cut.shape[1]), float(top + cut.shape[0]))
        xyxy, ids = clip_boxes(boxes, picture.class_id, window)
        yield Crop(canvas, xyxy, ids)


def _rarity(class_id: NDArray[np.int32]) -> NDArray[np.float64]:
    """Chance of each box to be the one a crop falls on: each class of the picture equally often."""
    if not len(class_id):
        return np.zeros(0)
    counts = np.bincount(class_id, minlength=len(CITY_CLASSES))
    weight = 1.0 / counts[class_id]
    return np.asarray(weight / weight.sum(), np.float64)


def wear(image: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """A picture as video leaves it: sometimes blurred, sometimes noisy, always through lossy compression."""
    if rng.random() < 0.2:
        image = np.asarray(cv2.GaussianBlur(image, (0, 0), float(rng.uniform(0.4, 1.1))), np.uint8)
    if rng.random() < 0.2:
        noise = rng.normal(0, rng.uniform(2, 7), image.shape)
        image = np.clip(image + noise, 0, 255).astype(np.uint8)
    return image


def write_crops(
    pictures: Iterable[tuple[LabelledPicture, int]],
    out: Path,
    size_px: tuple[int, int],
    rng: np.random.Generator,
    worn: bool,
) -> list[dict[str, object]]:
    """Write crops as JPEG and YOLO text below `out`/images and `out`/labels; returns the manifest's rows.

    A file's name ends in the classes that are not labelled in it (``~person``), so that the loss can leave them out.
    """
    rows: list[dict[str, object]] = []
    for folder in ("images", "labels"):
        (out / folder).mkdir(parents=True, exist_ok=True)
    for picture, count in pictures:
        source = hashlib.sha256(picture.path.read_bytes()).hexdigest()
        for i, crop in enumerate(crops(picture, rng, count, size_px)):
            stem = f"{len(rows):06d}_{picture.path.stem}_{i}" + "".join(f"~{c}" for c in sorted(picture.unlabelled))
            image = wear(crop.image, rng) if worn else crop.image
            file = out / "images" / f"{stem}.jpg"
            quality = int(rng.integers(55, 96)) if worn else 95
            cv2.imwrite(str(file), cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, quality])
            (out / "labels" / f"{stem}.txt").write_text(yolo_text(crop.xyxy, crop.class_id, *size_px))
            rows.append(
                {
                    "file": f"images/{file.name}",
                    "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                    "source": picture.path.name,
                    "source_sha256": source,
                    "boxes": len(crop.xyxy),
                }
            )
    return rows


def yolo_text(xyxy: NDArray[np.float32], class_id: NDArray[np.int32], width: int, height: int) -> str:
    """Boxes in px as YOLO label lines."""
    lines = []
    for (x0, y0, x1, y1), k in zip(xyxy.tolist(), class_id.tolist(), strict=True):
        center = (x0 + x1) / 2 / width, (y0 + y1) / 2 / height
        lines.append(f"{k} {center[0]:.6f} {center[1]:.6f} {(x1 - x0) / width:.6f} {(y1 - y0) / height:.6f}")
    return "\n".join(lines) + ("\n" if lines else "")


def crops_each(pictures: Sequence[LabelledPicture], total: int) -> list[tuple[LabelledPicture, int]]:
    """Share `total` crops over pictures; one with an incident in it gets three times the share of one without."""
    if not pictures:
        return []
    weights = np.asarray([3.0 if set(p.class_id.tolist()) & _INCIDENTS else 1.0 for p in pictures])
    exact = np.cumsum(weights / weights.sum() * total)
    counts = np.diff(np.round(exact), prepend=0).astype(int)
    return [(p, int(n)) for p, n in zip(pictures, counts, strict=True) if n]


def box_counts(rows: Iterable[LabelledPicture]) -> dict[str, int]:
    """How many boxes of each class the pictures hold."""
    counts = np.zeros(len(CITY_CLASSES), int)
    for picture in rows:
        counts += np.bincount(picture.class_id, minlength=len(CITY_CLASSES))
    return dict(zip(CITY_CLASSES, counts.tolist(), strict=True))


def _size(picture: Path) -> tuple[int, int]:
    """Height and width of a picture, px."""
    image = cv2.imread(str(picture), cv2.IMREAD_UNCHANGED)
    if image is None:
        raise SourceGarbage(f"{picture} is not a picture that can be read")
    height, width = image.shape[:2]
    if not math.isfinite(height * width) or height * width == 0:
        raise SourceGarbage(f"{picture} has no pixels")
    return int(height), int(width)
