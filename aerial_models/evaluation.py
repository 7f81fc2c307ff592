"""How well a detector does on labelled pictures: AP50, recall and precision for each class."""

from __future__ import annotations

import importlib.util
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import msgspec
import numpy as np
from numpy.typing import NDArray

from aerial_models.catalogue import ClassFigures, InferenceTime, ModelEntry, SetFigures
from aerial_models.datasets import PICTURE_SETS, LabelledPicture, read_frames, read_set
from aerial_models.detecting import AnySizeDetector
from aerial_models.detections import Detections, Detector
from aerial_models.detectors import OnnxDetector, overlaps
from aerial_models.errors import SourceGarbage

LEAST_CONFIDENCE = 0.02
"""Findings below this score do not enter the average precision."""
WANTED_PRECISION = {
    "dump": 0.95,
    "flood": 0.9,
    "construction": 0.85,
    "fire": 0.85,
    "smoke": 0.85,
    "person": 0.6,
    "vehicle": 0.85,
}
"""Share of findings that should be right, by class (else 0.9): an incident is looked at many times and by a person,
so that a miss in one picture costs less than a false alarm. People only count in numbers, as a crowd."""
MATCH_IOU = 0.5
"""Overlap from which a finding counts as the thing."""


@dataclass(frozen=True)
class Judged:
    """All findings of one class over a set of pictures, each right or wrong."""

    confidence: NDArray[np.float64]
    """Score of each finding (n,), best first."""
    right: NDArray[np.bool_]
    """Whether it matched a thing that no better finding had matched (n,)."""
    truth: int
    """Things that were there."""
    pictures: int
    """Pictures that were judged for this class."""


class Evaluation(msgspec.Struct, frozen=True):
    """The outcome of evaluating one model; the catalogue and the model card are filled from it alone."""

    model: str
    """Name of the model."""
    sha256: str
    """Hash of the weights."""
    thresholds: dict[str, float]
    """Operating threshold of each class."""
    sets: tuple[SetFigures, ...]
    """Figures of each set."""
    inference: tuple[InferenceTime, ...] = ()
    """Time of one picture."""


def match(
    found: NDArray[np.float32], confidence: NDArray[np.float32], truth: NDArray[np.float32], iou: float = MATCH_IOU
) -> NDArray[np.bool_]:
    """Which findings (n, 4) are right: each, best first, takes the free thing (m, 4) it overlaps most."""
    right = np.zeros(len(found), bool)
    if not len(found) or not len(truth):
        return right
    overlap = overlaps(np.asarray(found, np.float32), np.asarray(truth, np.float32))
    for i in np.argsort(-confidence, kind="stable"):
        best = int(overlap[i].argmax())
        if overlap[i, best] >= iou:
            right[i] = True
            overlap[:, best] = -1.0
    return right


def average_precision(judged: Judged) -> float | None:
    """Area under the precision-recall curve, every point, precision made monotone (as PASCAL VOC 2010 and COCO do).

    None where there was nothing to find.
    """
    if judged.truth == 0:
        return None
    hits = np.cumsum(judged.right)
    recall = np.concatenate([[0.0], hits / judged.truth])
    precision = np.concatenate([[1.0], hits / np.arange(1, len(hits) + 1)])
    precision = np.maximum.accumulate(precision[::-1])[::-1]
    return float(np.sum(np.diff(recall) * precision[1:]))


def judge(
    pictures: Iterable[tuple[LabelledPicture, Detections]], classes: Sequence[str], iou: float = MATCH_IOU
) -> dict[str, Judged]:
    """Findings of each class over pictures; a picture does not count for classes it leaves unlabelled."""
    scores: dict[str, list[NDArray[np.float32]]] = {c: [] for c in classes}
    rights: dict[str, list[NDArray[np.bool_]]] = {c: [] for c in classes}
    truths = dict.fromkeys(classes, 0)
    counted = dict.fromkeys(classes, 0)
    for picture, found in pictures:
        for k, name in enumerate(classes):
            if name in picture.unlabelled:
                continue
            mine = found[found.class_id == k]
            there = picture.xyxy[picture.class_id == k]
            scores[name].append(mine.confidence)
            rights[name].append(match(mine.xyxy, mine.confidence, there, iou))
            truths[name] += len(there)
            counted[name] += 1
    result = {}
    for name in classes:
        confidence = np.concatenate(scores[name] or [np.zeros(0, np.float32)]).astype(np.float64)
        right = np.concatenate(rights[name] or [np.zeros(0, bool)])
        order = np.argsort(-confidence, kind="stable")
        result[name] = Judged(confidence[order], right[order], truths[name], counted[name])
    return result


def figures(judged: Judged, threshold: float) -> ClassFigures:
    """AP50 over all scores; precision, recall and false findings per picture at the threshold."""
    used = judged.confidence >= threshold
    hits, all_found = int(judged.right[used].sum()), int(used.sum())
    return ClassFigures(
        truth=judged.truth,
        ap50=_rounded(average_precision(judged)),
        precision=_rounded(hits / all_found if all_found else None),
        recall=_rounded(hits / judged.truth if judged.truth else None),
        false_per_picture=round((all_found - hits) / judged.pictures, 4) if judged.pictures else 0.0,
    )


def choose_threshold(judged: Judged, precision: float, least: float = 0.2, most: float = 0.8) -> float:
    """The lowest threshold from `least` to `most` that reaches the precision; `most` where none does.

    For things seen in several pictures: each look may miss, but what is reported should be there.
    """
    for threshold in np.arange(least, most + 1e-9, 0.025):
        used = judged.confidence >= threshold
        if used.any() and judged.right[used].mean() >= precision:
            return round(float(threshold), 3)
    return most


def look(
    pictures: Sequence[LabelledPicture],
    detector: Detector,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[tuple[LabelledPicture, Detections]]:
    """Run a detector over labelled pictures, resized by the middle of their scale range; boxes come back in file px."""
    looked = []
    for done, picture in enumerate(pictures):
        bgr = cv2.imread(str(picture.path), cv2.IMREAD_COLOR)
        if bgr is None:
            raise SourceGarbage(f"{picture.path} is not a picture that can be read")
        scale = float(np.sqrt(picture.scale[0] * picture.scale[1]))
        if scale != 1.0:
            bgr = cv2.resize(
                bgr, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
            )
        found = detector.detect(np.asarray(cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB), np.uint8))
        looked.append((picture, Detections.of(found.xyxy / scale, found.confidence, found.class_id, found.classes)))
        progress(done + 1, len(pictures))
    return looked


def set_figures(
    name: str, what: str, looked: Sequence[tuple[LabelledPicture, Detections]], thresholds: dict[str, float],
    classes: Sequence[str], only: Sequence[str] | None = None,
) -> SetFigures:  # fmt: skip
    """Figures of one set, for the classes it labels (or `only` some of them)."""
    judged = judge(looked, classes)
    shown = [c for c in classes if judged[c].pictures and (only is None or c in only)]
    return SetFigures(name, what, len(looked), {c: figures(judged[c], thresholds[c]) for c in shown})


def inference_time(
    detector: Detector, image: NDArray[np.uint8], runtime: str, threads: int, runs: int = 20
) -> InferenceTime:
    """Median time of one picture with all its processing, after two runs to warm up."""
    times = []
    for i in range(runs + 2):
        begun = time.perf_counter()
        detector.detect(image)
        if i >= 2:
            times.append((time.perf_counter() - begun) * 1e3)
    return InferenceTime(runtime, threads, round(statistics.median(times), 1))


def choose_thresholds(
    looked: Sequence[tuple[LabelledPicture, Detections]], classes: Sequence[str], precision: Mapping[str, float]
) -> dict[str, float]:
    """Operating thresholds that reach the wanted precision of each class, on pictures that are not judged on later."""
    judged = judge(looked, classes)
    return {c: choose_threshold(judged[c], precision.get(c, 0.9)) for c in classes}


def evaluate(
    model: ModelEntry,
    frames: Sequence[Path] = (),
    pictures: Path | None = None,
    tune_frames: Sequence[Path] = (),
    runtime: str = "auto",
    threads: int = 0,
    progress: Callable[[str, int, int], None] = lambda name, done, total: None,
) -> Evaluation:
    """Judge a model on rendered frames of seeds it never saw, and on the held-out part of the real pictures.

    `tune_frames` are folders on which the operating thresholds are chosen first; without them the entry's own are used.
    """
    detector = AnySizeDetector(OnnxDetector(model, runtime, confidence=LEAST_CONFIDENCE, threads=threads))

    def looks(name: str, chosen: Sequence[LabelledPicture]) -> list[tuple[LabelledPicture, Detections]]:
        return look(chosen, detector, lambda done, total: progress(name, done, total))

    thresholds = dict(model.thresholds)
    if tune_frames:
        tuning = looks("thresholds", [p for folder in tune_frames for p in read_frames(folder)])
        thresholds = choose_thresholds(tuning, model.classes, WANTED_PRECISION)
    sets = []
    what = "rendered frames of simulated worlds whose seeds were never trained on; labels are exact"
    for folder in frames:
        name = "rendered" if len(frames) == 1 else f"rendered-{folder.name}"
        sets.append(set_figures(name, what, looks(name, read_frames(folder)), thresholds, model.classes))
    for of in PICTURE_SETS if pictures else ():
        held = read_set(pictures, of, heldout=True) if pictures else []
        named = sorted(set(of.classes.values()), key=model.classes.index)
        sets.append(set_figures(of.folder, of.note, looks(of.folder, held), thresholds, model.classes, named))
    times = [
        inference_time(OnnxDetector(model, name, threads=n), _noise(model), f"{name}", n)
        for name in ("openvino", "onnxruntime")
        if importlib.util.find_spec(name) is not None
        for n in (1, 2)
    ]
    return Evaluation(model.name, model.sha256, thresholds, tuple(sets), tuple(times))


def _noise(model: ModelEntry) -> NDArray[np.uint8]:
    shape = (min(720, model.input_height_px), model.input_width_px, 3)
    return np.random.default_rng(0).integers(0, 255, shape, np.uint8)


def write(evaluation: Evaluation, out: Path) -> None:
    """Write an evaluation as JSON."""
    out.write_bytes(msgspec.json.format(msgspec.json.encode(evaluation), indent=1))


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
