"""What a detector saw in one picture."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Detections:
    """Boxes of one picture as equal-length arrays; indexing filters all of them at once."""

    xyxy: NDArray[np.float32]
    """Boxes (n, 4): left, top, right, bottom, px."""
    confidence: NDArray[np.float32]
    """Score (n,), 0 to 1."""
    class_id: NDArray[np.int32]
    """Index into `classes` (n,)."""
    track_id: NDArray[np.int64]
    """Number of the track (n,), -1 where none."""
    classes: tuple[str, ...]
    """Names of the classes."""

    @classmethod
    def empty(cls, classes: tuple[str, ...]) -> Detections:
        """No detections."""
        return cls.of(np.zeros((0, 4)), np.zeros(0), np.zeros(0), classes)

    @classmethod
    def of(cls, xyxy: Any, confidence: Any, class_id: Any, classes: tuple[str, ...]) -> Detections:
        """Untracked detections from array-likes."""
        xyxy = np.asarray(xyxy, np.float32).reshape(-1, 4)
        return cls(
            xyxy=xyxy,
            confidence=np.asarray(confidence, np.float32),
            class_id=np.asarray(class_id, np.int32),
            track_id=np.full(len(xyxy), -1, np.int64),
            classes=classes,
        )

    def __len__(self) -> int:
        return len(self.xyxy)

    def __getitem__(self, index: Any) -> Detections:
        chosen = {f.name: getattr(self, f.name)[index] for f in fields(self) if f.name != "classes"}
        return Detections(**chosen, classes=self.classes)

    @property
    def centers(self) -> NDArray[np.float32]:
        """Middle of each box (n, 2), px."""
        return np.asarray((self.xyxy[:, :2] + self.xyxy[:, 2:]) / 2, np.float32)

    @property
    def names(self) -> list[str]:
        """Class name of each detection."""
        return [self.classes[i] for i in self.class_id]


class Detector(Protocol):
    """Finds things in a picture."""

    classes: tuple[str, ...]

    def detect(self, image: NDArray[np.uint8]) -> Detections:
        """Detections in an RGB picture (H, W, 3)."""
