"""What training prepares, and what it says where it cannot run; none of this needs torch."""

import ast
import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

import aerial_models
from aerial_models.datasets import CITY_CLASSES
from aerial_models.errors import ModelError, SourceUnreachable, TrainingUnavailable
from aerial_models.training import Recipe, prepare, render, train, training_python

SMALL = Recipe(frame_crops=60, validation_crops=6, crop_width_px=160, crop_height_px=96)


def frames(folder: Path, count: int = 40) -> Path:
    rng = np.random.default_rng(2)
    for part in ("images", "labels"):
        (folder / part).mkdir(parents=True)
    for i in range(count):
        cv2.imwrite(str(folder / "images" / f"{i:03d}.png"), rng.integers(0, 255, (90, 160, 3), np.uint8))
        (folder / "labels" / f"{i:03d}.txt").write_text(f"{i % 7} 0.5 0.5 0.2 0.3\n")
    return folder


def test_crops_are_made_once_and_recorded_with_their_hashes(tmp_path: Path) -> None:
    folder = frames(tmp_path / "frames")
    manifest = prepare([folder], tmp_path / "run", SMALL)
    record = json.loads(manifest.read_text())
    assert len(record["train"]) == 60
    assert record["frames"] + record["frames_held_back"] == 40
    assert record["frames_held_back"] > 0
    assert set(record["boxes_of_frames"]) == set(CITY_CLASSES)
    trained_on = {r["source"] for r in record["train"]}
    assert not trained_on & {r["source"] for r in record["val"]}
    before = manifest.stat().st_mtime_ns
    assert prepare([folder], tmp_path / "run", SMALL).stat().st_mtime_ns == before
    assert json.loads(prepare([folder], tmp_path / "other", SMALL).read_text())["train"] == record["train"]


def test_whole_seeds_can_be_held_back(tmp_path: Path) -> None:
    used, held = frames(tmp_path / "1", 10), frames(tmp_path / "2", 5)
    record = json.loads(prepare([used], tmp_path / "run", SMALL, validation=[held]).read_text())
    assert (record["frames"], record["frames_held_back"], len(record["val"])) == (10, 5, 6)


def test_worlds_kept_for_judging_are_refused(tmp_path: Path) -> None:
    folder = frames(tmp_path / "frames", 3)
    for part, suffix in (("images", "png"), ("labels", "txt")):
        (folder / part / f"000.{suffix}").rename(folder / part / f"world4242_000.{suffix}")
    with pytest.raises(ModelError, match=r"\[4242\].*kept for judging"):
        prepare([folder], tmp_path / "run", SMALL)


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    with pytest.raises(SourceUnreachable, match="no frames and no pictures"):
        prepare([], tmp_path, SMALL)
    with pytest.raises(SourceUnreachable, match="ended with 3"):
        render([sys.executable, "-c", "raise SystemExit(3)"], tmp_path)


def test_the_frames_command_is_told_where(tmp_path: Path) -> None:
    out = render([sys.executable, "-c", "import sys; open(sys.argv[1] + '/x', 'w')", "{out}"], tmp_path)
    assert (out / "x").exists()


def test_without_ultralytics_it_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(TrainingUnavailable, match="nowhere"):
        training_python(tmp_path / "nowhere")
    with pytest.raises(TrainingUnavailable, match="extra `train`"):
        training_python()


def test_a_process_that_fails_leaves_its_words_in_the_log(tmp_path: Path) -> None:
    folder = frames(tmp_path / "frames", 10)
    with pytest.raises(ModelError, match=r"process\.log"):  # this interpreter has no ultralytics
        train([folder], tmp_path / "run", SMALL, python=Path(sys.executable))
    assert "ultralytics" in (tmp_path / "run" / "process.log").read_text()
    job = json.loads((tmp_path / "run" / "job.json").read_text())
    assert job["classes"] == list(CITY_CLASSES)
    assert job["settings"]["mosaic"] == 0.0


def test_nothing_but_the_training_process_names_ultralytics() -> None:
    package = Path(aerial_models.__file__).parent
    for file in package.glob("*.py"):
        tree = ast.parse(file.read_text())
        names = {a.name for n in ast.walk(tree) if isinstance(n, ast.Import) for a in n.names}
        names |= {n.module or "" for n in ast.walk(tree) if isinstance(n, ast.ImportFrom)}
        heavy = {n for n in names if n.split(".")[0] in {"ultralytics", "torch", "torchvision"}}
        assert not heavy or file.name == "training_process.py", f"{file.name} imports {heavy}"
