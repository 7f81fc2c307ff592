"""A detector over a source: every frame with what was found in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from aerial_models.detections import Detections, Detector
from aerial_models.detectors import OnnxDetector
from aerial_models.frames import Frame, FrameSource
from aerial_models.sources import open_source
from aerial_models.tiling import TiledDetector
from aerial_models.tracking import ImageTracker

MANY_TIMES = 1.5
"""A picture this many times wider than the model's input is looked at in tiles, not shrunk."""


def detect(
    source: str | Path | FrameSource, detector: Detector, *, track: bool = False
) -> Iterator[tuple[Frame, Detections]]:
    """Frames of a source in order, each with its detections in px of the frame.

    `source` is anything `open_source` takes, or a source that is not yet entered. `track` numbers the detections
    through the frames of one video by overlap. Raises the ModelErrors of the source.
    """
    opened = open_source(source) if isinstance(source, str | Path) else source
    tracker = ImageTracker() if track else None
    with opened as frames:
        for frame in frames:
            found = detector.detect(frame.image)
            yield frame, tracker.update(found, frame.pts_s) if tracker else found


class AnySizeDetector:
    """Looks at pictures up to 1.5 times the model's input whole, and at larger ones in tiles of that input's size."""

    def __init__(self, detector: OnnxDetector, overlap_px: int = 128) -> None:
        self.classes = detector.classes
        self._whole = detector
        width, height = detector.model.input_width_px, detector.model.input_height_px
        self._widest = width * MANY_TIMES
        self._tiled = TiledDetector(detector, (width, height), overlap_px)

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Detections in an RGB picture (H, W, 3)."""
        return (self._tiled if max(image.shape[:2]) > self._widest else self._whole).detect(image)
