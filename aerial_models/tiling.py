"""Looks at a large picture in overlapping tiles, with any detector."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from aerial_models.detections import Detections, Detector


class TiledDetector:
    """Wraps a detector: the picture goes through it tile by tile, and boxes cut by a seam become one again.

    `tile_px` is the side of a tile (or (width, height)), `overlap_px` what neighbours share; things smaller than the
    overlap are whole in some tile. Two boxes of a class are one when the smaller lies by more than `share` in the
    larger, or when both end at the same seam and meet there.
    """

    def __init__(
        self, detector: Detector, tile_px: int | tuple[int, int] = 640, overlap_px: int = 96, share: float = 0.6
    ) -> None:
        self.detector = detector
        self.classes = detector.classes
        self.width_px, self.height_px = (tile_px, tile_px) if isinstance(tile_px, int) else tile_px
        if not 0 <= overlap_px < min(self.width_px, self.height_px):
            raise ValueError(f"an overlap of {overlap_px} px does not fit tiles of {self.width_px}x{self.height_px} px")
        self.overlap_px = overlap_px
        self.share = share

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Detections in an RGB picture (H, W, 3), boxes in its own px, best first."""
        height, width = image.shape[:2]
        boxes, scores, ids, cut = [], [], [], []
        for top in starts(height, self.height_px, self.overlap_px):
            for left in starts(width, self.width_px, self.overlap_px):
                tile = np.ascontiguousarray(image[top : top + self.height_px, left : left + self.width_px])
                found = self.detector.detect(tile)
                shift = np.asarray([left, top, left, top], np.float32)
                right, bottom = left + tile.shape[1], top + tile.shape[0]
                inner = np.asarray([left > 0, top > 0, right < width, bottom < height])
                edges = np.asarray([left, top, right, bottom], np.float32)
                boxes.append(found.xyxy + shift)
                cut.append(inner & (np.abs(found.xyxy + shift - edges) < 3))
                scores.append(found.confidence)
                ids.append(found.class_id)
        merged = merge(
            np.concatenate(boxes), np.concatenate(scores), np.concatenate(ids), np.concatenate(cut), self.share
        )
        return Detections.of(*merged, self.classes)


def starts(length: int, tile: int, overlap: int) -> list[int]:
    """First pixels of tiles that cover `length`, evenly spread, each sharing at least `overlap` with the next."""
    if length <= tile:
        return [0]
    count = -(-(length - overlap) // (tile - overlap))
    return [round(i * (length - tile) / (count - 1)) for i in range(count)]


def merge(
    xyxy: NDArray[np.float32],
    confidence: NDArray[np.float32],
    class_id: NDArray[np.int32],
    cut: NDArray[np.bool_],
    share: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    """Join boxes (n, 4) that are views of one thing; `cut` (n, 4) tells which sides a tile's edge cut off.

    A joined box is the hull of its parts where a seam cut them, else the best of them.
    """
    order = np.argsort(-confidence, kind="stable")
    xyxy, confidence, class_id, cut = xyxy[order].copy(), confidence[order], class_id[order], cut[order]
    area = np.prod(xyxy[:, 2:] - xyxy[:, :2], axis=1)
    alive = np.ones(len(xyxy), bool)
    for i in range(len(xyxy)):
        joined = alive[i]
        while joined:
            others = alive & (class_id == class_id[i])
            others[i] = False
            common = np.minimum(xyxy[:, 2:], xyxy[i, 2:]) - np.maximum(xyxy[:, :2], xyxy[i, :2])
            inside = np.prod(common.clip(0), axis=1) / np.maximum(np.minimum(area, area[i]), 1e-9)
            halves = _halves(xyxy, cut, common, i)
            join = np.flatnonzero(others & ((inside > share) | halves))
            joined = len(join) > 0
            seamed = join[cut[join].any(axis=1) | cut[i].any()]
            if len(seamed):
                parts = xyxy[np.append(seamed, i)]
                xyxy[i] = [*parts[:, :2].min(0), *parts[:, 2:].max(0)]
                cut[i] |= cut[seamed].any(axis=0)
                area[i] = np.prod(xyxy[i, 2:] - xyxy[i, :2])
            alive[join] = False
    return xyxy[alive], confidence[alive], class_id[alive]


def _halves(
    xyxy: NDArray[np.float32], cut: NDArray[np.bool_], common: NDArray[np.float32], i: int
) -> NDArray[np.bool_]:
    """Which boxes are the other side of box i: cut on facing sides, overlapping, and alike across the seam."""
    size = np.maximum(xyxy[:, 2:] - xyxy[:, :2], 1e-6)
    alike = common / np.maximum(size, size[i])
    result = np.zeros(len(xyxy), bool)
    for axis in (0, 1):
        facing = (cut[:, axis] & cut[i, axis + 2]) | (cut[:, axis + 2] & cut[i, axis])
        result |= facing & (common[:, axis] > 0) & (alike[:, 1 - axis] > 0.5)
    return result
