"""From training to the catalogue."""

import hashlib
import json
from pathlib import Path

import pytest

from aerial_models import catalogue, publishing
from aerial_models.catalogue import ClassFigures, InferenceTime, SetFigures
from aerial_models.datasets import CITY_CLASSES
from aerial_models.errors import ModelCorrupt
from aerial_models.evaluation import Evaluation


def trained(folder: Path) -> tuple[Path, Path]:
    (folder / "model.onnx").write_bytes(b"weights")
    pictures = {"vehicles_minsk": 5, "flood": 0}
    record = {"recipe": {"seed": 3}, "worlds": [1000, 1007], "frames": 12, "pictures": pictures, "train": [1, 2]}
    (folder / "manifest.json").write_text(json.dumps(record))
    return folder / "model.onnx", folder / "manifest.json"


def test_an_entry_tells_what_it_was_trained_on_and_gets_its_figures_from_the_evaluation(tmp_path: Path) -> None:
    onnx, manifest = trained(tmp_path)
    entry = publishing.candidate(onnx, "toy", manifest, "2026-01-02")
    assert "12 rendered frames of simulated worlds, seeds 1000 to 1007" in entry.training_data
    assert entry.training["start"] == "random weights"
    started = publishing.candidate(onnx, "toy", manifest, "2026-01-02", start=onnx)
    assert started.training["start"] == f"weights {hashlib.sha256(b'weights').hexdigest()}"
    assert any("vehicles_minsk: CC BY-SA" in d for d in entry.training_data)
    assert not any("flood" in d for d in entry.training_data)
    figures = ClassFigures(truth=4, ap50=0.75, precision=None, recall=0.5, false_per_picture=0.25)
    judged = Evaluation(
        "toy", entry.sha256, dict.fromkeys(CITY_CLASSES, 0.4),
        (SetFigures("rendered", "frames", 9, {"dump": figures}),), (InferenceTime("openvino", 1, 41.5),),
    )  # fmt: skip
    entry = publishing.measured(entry, judged)
    shipped = publishing.publish(entry, tmp_path / "weights", tmp_path / "catalogue.json")
    assert (tmp_path / "weights" / "toy.onnx").read_bytes() == b"weights"
    assert catalogue.read(tmp_path / "catalogue.json") == (shipped,)
    assert shipped.sha256 == hashlib.sha256(b"weights").hexdigest()
    publishing.publish(entry, tmp_path / "weights", tmp_path / "catalogue.json")
    assert len(catalogue.read(tmp_path / "catalogue.json")) == 1

    card = tmp_path / "toy.md"
    card.write_text("before <!-- figures -->stale<!-- end of figures --> after")
    publishing.write_figures(shipped, card)
    text = card.read_text()
    assert "| dump | 4 | 0.75 | 0.50 | - | 0.25 |" in text
    assert "| openvino | 1 | 41.5 |" in text
    assert "stale" not in text
    assert text.startswith("before ")
    assert text.endswith(" after")
    publishing.write_figures(shipped, card)
    assert card.read_text() == text


def test_figures_of_other_weights_are_refused(tmp_path: Path) -> None:
    entry = publishing.candidate(*trained(tmp_path)[:1], "toy", tmp_path / "manifest.json", "2026-01-02")
    with pytest.raises(ModelCorrupt, match="the evaluation is of weights"):
        publishing.measured(entry, Evaluation("toy", "0" * 64, {}, ()))


def test_a_card_without_a_place_for_figures_is_refused(tmp_path: Path) -> None:
    entry = publishing.candidate(*trained(tmp_path)[:1], "toy", tmp_path / "manifest.json", "2026-01-02")
    (tmp_path / "card.md").write_text("nothing here")
    with pytest.raises(ModelCorrupt, match="no place for figures"):
        publishing.write_figures(entry, tmp_path / "card.md")


def test_the_shipped_card_shows_the_shipped_figures() -> None:
    entry = catalogue.entry("city-nano")
    card = Path(__file__).parents[2] / entry.card
    assert publishing.figures_text(entry) in card.read_text()
