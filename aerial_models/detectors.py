"""Detectors that run an ONNX model of the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from aerial_models import catalogue, runtimes
from aerial_models.catalogue import ModelEntry
from aerial_models.detections import Detections
from aerial_models.errors import ModelCorrupt

GREY = 114
"""Fill beside a picture that does not have the model's proportions, as in training."""


class OnnxDetector:
    """Finds things with one model of the catalogue, in a picture of any size.

    `confidence` None takes the catalogue's threshold of each class; a number holds for all; a mapping sets some of
    them. `iou` is the overlap above which the weaker of two boxes of one class is dropped.
    """

    def __init__(
        self,
        model: ModelEntry | str,
        runtime: str = "auto",
        confidence: float | Mapping[str, float] | None = None,
        iou: float = 0.5,
        threads: int = 0,
        precision: Literal["native", "f32"] = "native",
        most: int = 300,
    ) -> None:
        self.model = catalogue.entry(model) if isinstance(model, str) else model
        self.classes = self.model.classes
        self.iou = iou
        self.most = most
        self.thresholds = _thresholds(self.model, confidence)
        self.runtime = runtimes.load(self.model.verified(), runtime, threads, precision)
        expected = (1, 3, self.model.input_height_px, self.model.input_width_px)
        if any(a not in (-1, b) for a, b in zip(self.runtime.input_shape, expected, strict=False)):
            raise ModelCorrupt(f"{self.model.name} takes {self.runtime.input_shape}, the catalogue says {expected}")

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Detections in an RGB picture (H, W, 3), boxes in its own px, best first."""
        array, scale, left, top = self._letterbox(image)
        raw = self.runtime.run(array)[0]
        if self.model.kind == "yolox":
            xyxy, scores = decode_yolox(raw, self.model.input_width_px, self.model.input_height_px)
        else:
            xyxy, scores = decode_yolo(raw)
        if scores.shape[1] != len(self.classes):
            raise ModelCorrupt(
                f"{self.model.name} scores {scores.shape[1]} classes, the catalogue names {len(self.classes)}"
            )
        class_id = scores.argmax(1)
        best = scores[np.arange(len(scores)), class_id]
        likely = best >= self.thresholds[class_id]
        xyxy, best, class_id = xyxy[likely], best[likely], class_id[likely]
        kept = suppress(xyxy, best, class_id, self.iou)[: self.most]
        boxes = (xyxy[kept] - np.asarray([left, top, left, top], np.float32)) / scale
        height, width = image.shape[:2]
        boxes = boxes.clip(0, np.asarray([width, height, width, height], np.float32))
        return Detections.of(boxes, best[kept], class_id[kept], self.classes)

    def _letterbox(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.float32], float, int, int]:
        """The picture in the model's input (1, 3, H, W), with the scale and the offsets that were used.

        Pictures are shrunk to fit and never enlarged, since a model knows things by their size in pixels.
        """
        height, width = image.shape[:2]
        scale = min(1.0, self.model.input_width_px / width, self.model.input_height_px / height)
        if scale < 1.0:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), np.uint8)
        left = (self.model.input_width_px - image.shape[1]) // 2
        top = (self.model.input_height_px - image.shape[0]) // 2
        canvas = np.full((self.model.input_height_px, self.model.input_width_px, 3), GREY, np.uint8)
        canvas[top : top + image.shape[0], left : left + image.shape[1]] = image
        if self.model.kind == "yolox":
            array = np.ascontiguousarray(canvas[None, :, :, ::-1].transpose(0, 3, 1, 2), np.float32)
        else:
            array = np.asarray(cv2.dnn.blobFromImage(canvas, 1 / 255.0), np.float32)
        return array, scale, left, top


def _thresholds(model: ModelEntry, confidence: float | Mapping[str, float] | None) -> NDArray[np.float32]:
    if isinstance(confidence, int | float):
        return np.full(len(model.classes), confidence, np.float32)
    chosen = {**model.thresholds, **(confidence or {})}
    return np.asarray([chosen.get(name, 0.25) for name in model.classes], np.float32)


def decode_yolo(raw: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes (n, 4) in px of the input and scores (n, classes) of an output (1, 4 + classes, n): cx cy w h, scores."""
    rows = np.asarray(raw[0], np.float32).T
    half = rows[:, 2:4] / 2
    return np.hstack([rows[:, :2] - half, rows[:, :2] + half]), rows[:, 4:]


def decode_yolox(raw: NDArray[Any], width_px: int, height_px: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Boxes and scores of a YOLOX output (1, n, 5 + classes): offsets from the cells of strides 8, 16 and 32,
    logarithms of the sizes, objectness, class scores (arXiv 2107.08430)."""
    rows = np.asarray(raw[0], np.float32)
    cells, strides = [], []
    for stride in (8, 16, 32):
        y, x = np.mgrid[: height_px // stride, : width_px // stride]
        cells.append(np.stack([x.ravel(), y.ravel()], 1))
        strides.append(np.full(x.size, stride))
    stride_of = np.concatenate(strides)[:, None].astype(np.float32)
    center = (rows[:, :2] + np.concatenate(cells)) * stride_of
    half = np.exp(rows[:, 2:4]) * stride_of / 2
    return np.hstack([center - half, center + half]).astype(np.float32), rows[:, 5:] * rows[:, 4:5]


def suppress(
    xyxy: NDArray[np.float32], confidence: NDArray[np.float32], class_id: NDArray[Any], iou: float
) -> NDArray[np.int64]:
    """Indices of the boxes that stay, best first: of two of one class that overlap more than `iou` the better one."""
    order = np.argsort(-confidence, kind="stable")
    kept: list[int] = []
    while len(order):
        best, rest = int(order[0]), order[1:]
        kept.append(best)
        same = class_id[rest] == class_id[best]
        order = rest[~(same & (overlaps(xyxy[best][None], xyxy[rest])[0] > iou))]
    return np.asarray(kept, np.int64)


def overlaps(a: NDArray[np.float32], b: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of boxes a (n, 4) with boxes b (m, 4): (n, m)."""
    common = np.minimum(a[:, None, 2:], b[None, :, 2:]) - np.maximum(a[:, None, :2], b[None, :, :2])
    shared = np.prod(common.clip(0), axis=2)
    area_a = np.prod(a[:, 2:] - a[:, :2], axis=1)[:, None]
    area_b = np.prod(b[:, 2:] - b[:, :2], axis=1)[None]
    return np.asarray(shared / np.maximum(area_a + area_b - shared, 1e-9), np.float32)
