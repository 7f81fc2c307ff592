"""The models that are known: what each is, where it came from, under which licence, how well it was measured to do."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from aerial_models.errors import ModelCorrupt, ModelUnknown
from aerial_models.recall import PassRecall

CATALOGUE = Path(__file__).with_name("catalogue.json")
WEIGHTS = Path(__file__).with_name("weights")


class ClassFigures(msgspec.Struct, frozen=True):
    """How well one class was found in one set of labelled pictures."""

    truth: int
    """Things that were there to be found."""
    ap50: float | None
    """Average precision at IoU 0.5; None where nothing was there."""
    precision: float | None
    """Share of findings at the operating threshold that were right; None where there were none."""
    recall: float | None
    """Share of things found at the operating threshold; None where nothing was there."""
    false_per_picture: float
    """Wrong findings at the operating threshold, per picture."""


class SetFigures(msgspec.Struct, frozen=True):
    """How well a model did on one set of labelled pictures that it was never trained on."""

    name: str
    """Name of the set."""
    what: str
    """What the pictures are, and how far the figures can be trusted."""
    pictures: int
    """Number of pictures."""
    per_class: dict[str, ClassFigures]
    """Figures of each class that the set labels."""


class InferenceTime(msgspec.Struct, frozen=True):
    """How long one picture took."""

    runtime: str
    """Runtime and precision."""
    threads: int
    """CPU threads."""
    median_ms: float
    """Median time of one picture with pre- and post-processing, ms."""


class ModelEntry(msgspec.Struct, frozen=True):
    """One model."""

    name: str
    """Name it is asked for by."""
    file: str
    """Weights file, beside the catalogue in weights/, or an absolute path."""
    sha256: str
    """Hash of the weights file; a file that differs is refused."""
    kind: Literal["yolo", "yolox"]
    """How its output is read."""
    classes: tuple[str, ...]
    """Names of its classes, by id."""
    input_width_px: int
    """Width of its input, px."""
    input_height_px: int
    """Height of its input, px."""
    thresholds: dict[str, float]
    """Operating threshold of each class; what scores below is not reported."""
    licence: str
    """Licence of the weights."""
    training_data: tuple[str, ...]
    """What it was trained on, with licences."""
    training: dict[str, str]
    """The recipe: architecture, software, seeds, length."""
    created: str
    """Date of training, ISO 8601."""
    card: str
    """Its model card, a path in the documentation."""
    measured: tuple[SetFigures, ...] = ()
    """Figures on pictures it never saw, written by the evaluation."""
    inference: tuple[InferenceTime, ...] = ()
    """Time of one picture, written by the evaluation."""
    recall: tuple[PassRecall, ...] = ()
    """Recall in passes by size and number of looks, of classes that things not found can be vouched for."""

    @property
    def path(self) -> Path:
        """Where the weights lie."""
        return WEIGHTS / self.file

    def verified(self) -> Path:
        """The weights file, once its hash is checked. Raises ModelCorrupt."""
        if not self.path.exists():
            raise ModelCorrupt(f"the weights of {self.name} are missing: {self.path}")
        found = hashlib.sha256(self.path.read_bytes()).hexdigest()
        if found != self.sha256:
            raise ModelCorrupt(f"{self.path} has sha256 {found}, the catalogue says {self.sha256} for {self.name}")
        return self.path


@cache
def catalogue() -> tuple[ModelEntry, ...]:
    """All models that come with the product."""
    return read(CATALOGUE)


def read(path: Path) -> tuple[ModelEntry, ...]:
    """The models of a catalogue file. Raises ModelCorrupt naming the file and the field at fault."""
    try:
        return msgspec.json.decode(path.read_bytes(), type=tuple[ModelEntry, ...])
    except (OSError, msgspec.DecodeError) as exc:
        raise ModelCorrupt(f"{path} is no model catalogue: {exc}") from exc


def entry(name: str) -> ModelEntry:
    """The model of that name. Raises ModelUnknown."""
    for model in catalogue():
        if model.name == name:
            return model
    raise ModelUnknown(f"no model {name!r}; the catalogue has {', '.join(m.name for m in catalogue())}")
