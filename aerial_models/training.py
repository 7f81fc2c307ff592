"""Training of our own detector, in a process and an environment of its own.

`train` cuts labelled pictures into crops, writes a manifest of every file with its hash, starts
`training_process.py` with the interpreter of an environment that holds ultralytics (the extra ``train``), and takes
back weights and an ONNX file. The service never imports any of it.

Setting up the environment where only a CPU build of torch is wanted::

    python -m venv .venv-train && .venv-train/bin/pip install -r requirements-train.lock --no-deps
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from aerial_models import datasets
from aerial_models.datasets import CITY_CLASSES, PICTURE_SETS, LabelledPicture
from aerial_models.errors import ModelError, SourceUnreachable, TrainingUnavailable

KEPT_FOR_JUDGING = frozenset([4242, *range(1900, 2100)])
"""Seeds of worlds that are never trained on: the demonstration's, and those that choose thresholds or judge."""
_WORLD = re.compile(r"world(\d+)_")
PROCESS = Path(__file__).with_name("training_process.py")


class Recipe(msgspec.Struct, frozen=True):
    """Everything that decides what a training run does; stored with its result."""

    architecture: str = "yolo11n"
    """Architecture as ultralytics ships it (AGPL-3.0), before `width`."""
    width: float = 0.1875
    """Channel multiple; the architecture's own nano has 0.25. Narrower costs half the time on a CPU."""
    epochs: int = 10
    """Passes over the crops."""
    minutes: float | None = None
    """If set, the length of training: the number of epochs and the fall of the learning rate then follow from it."""
    batch: int = 4
    """Crops in one step."""
    crop_width_px: int = 1280
    """Width of a crop, px: that of a whole frame, since a flooded street fills one, and a cut one teaches nothing."""
    crop_height_px: int = 736
    """Height of a crop, px; a multiple of 32."""
    frame_crops: int = 2400
    """Crops cut from rendered frames in all."""
    validation_crops: int = 150
    """Crops of held-back frames that choose the best epoch."""
    seed: int = 7
    """Seed of the crops and of the training."""
    learning_rate: float = 0.001
    """Peak learning rate of AdamW; falls by a cosine to one hundredth."""
    warmup_epochs: float = 0.5
    """Epochs of rising learning rate."""
    patience: int = 20
    """Epochs without a better validation after which training ends."""
    threads: int = 2
    """CPU threads of the network."""
    workers: int = 1
    """Processes that load crops."""
    device: str = "cpu"
    """``cpu`` or a CUDA device number."""
    bfloat16: bool = True
    """Compute in bfloat16 on the CPU; worth it only where the processor has it (avx512_bf16 or AMX)."""
    export_width_px: int = 1280
    """Input width of the ONNX file, px; a multiple of 32."""
    export_height_px: int = 736
    """Input height of the ONNX file, px; a multiple of 32."""


class Progress(msgspec.Struct, frozen=True):
    """What a training run says while it runs."""

    event: str
    """``crops``, ``ready``, ``batch``, ``epoch`` or ``done``."""
    done: int = 0
    """Steps taken of the event's kind."""
    total: int = 0
    """Steps in all."""
    detail: dict[str, Any] = {}
    """The event's own values: losses, metrics, versions."""


class Trained(msgspec.Struct, frozen=True):
    """The outcome of a training run."""

    onnx: Path
    """The exported model."""
    weights: Path
    """The weights of the best epoch, in ultralytics' form."""
    manifest: Path
    """What was trained on: every file with its sha256, and the recipe."""


def training_python(python: Path | None = None) -> Path:
    """The interpreter that can train: the one given, this one, or that of ``.venv-train`` here.

    Raises TrainingUnavailable where none of them has ultralytics.
    """
    if python is not None:
        if not python.exists():
            raise TrainingUnavailable(f"no interpreter at {python}")
        return python
    if importlib.util.find_spec("ultralytics") is not None:
        return Path(sys.executable)
    beside = Path.cwd() / ".venv-train" / "bin" / "python"
    if beside.exists():
        return beside
    raise TrainingUnavailable(
        "ultralytics is not installed here: install the extra `train`, or make .venv-train from requirements-train.lock"
    )


def render(command: Sequence[str], out: Path) -> Path:
    """Run the caller's own command that writes frames below `out` (``{out}`` in it is replaced); returns `out`."""
    filled = [part.replace("{out}", str(out)) for part in command]
    done = subprocess.run(filled, stdout=sys.stderr, check=False)
    if done.returncode != 0:
        raise SourceUnreachable(f"`{' '.join(filled)}` ended with {done.returncode}: no frames to train on")
    return out


def prepare(
    frames: Sequence[Path], run: Path, recipe: Recipe, pictures: Path | None = None, validation: Sequence[Path] = ()
) -> Path:
    """Cut the crops of a run into `run`/crops with a manifest; reuses them where the inputs are unchanged.

    Without frames only the real pictures are learned. Without `validation` one frame in twenty (by the hash of its
    name) is held back. Returns the manifest's path.
    """
    rendered = [p for folder in frames for p in datasets.read_frames(folder)]
    held = [p for folder in validation for p in datasets.read_frames(folder)]
    if not held:
        held = [p for p in rendered if _held_back(p)]
        rendered = [p for p in rendered if not _held_back(p)]
    real = [(s, p) for s in PICTURE_SETS if pictures for p in datasets.read_set(pictures, s, heldout=False)]
    seeds = worlds([*rendered, *held])
    if kept := sorted(KEPT_FOR_JUDGING.intersection(seeds)):
        raise ModelError(f"frames of worlds {kept} are among those to train on, but these seeds are kept for judging")
    if not rendered and not real:
        raise SourceUnreachable("nothing to train on: no frames and no pictures were given")
    inputs = hashlib.sha256(msgspec.json.encode(recipe))
    for picture in [*rendered, *held, *(p for _, p in real)]:
        inputs.update(str(picture.path.resolve()).encode() + str(picture.path.stat().st_size).encode())
    manifest = run / "crops" / "manifest.json"
    if manifest.exists() and json.loads(manifest.read_text())["inputs_sha256"] == inputs.hexdigest():
        return manifest
    shutil.rmtree(run / "crops", ignore_errors=True)
    rng, size_px = np.random.default_rng(recipe.seed), (recipe.crop_width_px, recipe.crop_height_px)
    plan = datasets.crops_each(rendered, recipe.frame_crops) + [(p, s.repeat) for s, p in real]
    held_plan = datasets.crops_each(held, recipe.validation_crops) if held else [(p, 1) for s, p in real][:40]
    rows = {
        "train": datasets.write_crops(plan, run / "crops" / "train", size_px, rng, worn=True),
        "val": datasets.write_crops(held_plan, run / "crops" / "val", size_px, rng, worn=True),
    }
    record = {
        "inputs_sha256": inputs.hexdigest(),
        "recipe": msgspec.to_builtins(recipe),
        "worlds": seeds,
        "frames": len(rendered),
        "frames_held_back": len(held),
        "pictures": {s.folder: sum(of is s for of, _ in real) for s in PICTURE_SETS},
        "boxes_of_frames": datasets.box_counts(rendered),
        "boxes_of_pictures": datasets.box_counts(p for _, p in real),
        **rows,
    }
    manifest.write_text(json.dumps(record, indent=1))
    return manifest


def worlds(pictures: Sequence[LabelledPicture]) -> list[int]:
    """Seeds of the worlds that rendered frames are of, read from their names (world<seed>_<number>.jpg)."""
    return sorted({int(m[1]) for p in pictures if (m := _WORLD.match(p.path.name))})


def _held_back(picture: LabelledPicture) -> bool:
    return hashlib.sha256(f"{picture.path.parent.parent.name}/{picture.path.name}".encode()).digest()[0] < 13


def train(
    frames: Sequence[Path],
    run: Path,
    recipe: Recipe | None = None,
    *,
    pictures: Path | None = None,
    validation: Sequence[Path] = (),
    python: Path | None = None,
    weights: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> Trained:
    """Train a detector on rendered frames (folders with images/ and labels/) and real pictures.

    `run` is the folder of the run (crops, checkpoints, manifest); `weights` are ultralytics weights to start from;
    `resume` goes on after the last finished epoch of the same run. Raises TrainingUnavailable without ultralytics,
    SourceUnreachable without frames, ModelError where the process fails.
    """
    recipe = recipe or Recipe()
    interpreter = training_python(python)
    run.mkdir(parents=True, exist_ok=True)
    progress(Progress("crops"))
    manifest = prepare(frames, run, recipe, pictures, validation)
    job = _job(run, recipe, weights, resume)
    last: dict[str, Any] = {}
    for event in _events(interpreter, run, job):
        last = event
        total = int(event.get("total", event.get("epochs", 0)))
        progress(Progress(event["event"], int(event.get("done", event.get("epoch", 0))), total, event))
    if last.get("event") != "done":
        raise ModelError(f"training ended without weights; see {run / 'process.log'}")
    onnx = run / "model.onnx"
    shutil.copyfile(last["onnx"], onnx)
    return Trained(onnx, Path(last["weights"]), manifest)


def _job(run: Path, recipe: Recipe, weights: Path | None, resume: bool) -> Path:
    """Write the job file that the process reads."""
    crops = (run / "crops").resolve()
    data = run / "data.yaml"
    names = "\n".join(f"  {i}: {name}" for i, name in enumerate(CITY_CLASSES))
    data.write_text(f"path: {crops}\ntrain: train/images\nval: val/images\nnames:\n{names}\n")
    job = run / "job.json"
    settings = {
        "epochs": recipe.epochs,
        "time": recipe.minutes / 60 if recipe.minutes else None,
        "batch": recipe.batch,
        "nbs": recipe.batch,
        "imgsz": max(recipe.crop_width_px, recipe.crop_height_px),
        "rect": True,
        "patience": recipe.patience,
        "workers": recipe.workers,
        "optimizer": "AdamW",
        "lr0": recipe.learning_rate,
        "lrf": 0.01,
        "cos_lr": True,
        "warmup_epochs": recipe.warmup_epochs,
        "warmup_bias_lr": 0.0,
        "mosaic": 0.0,  # pieces of several pictures would lose track of which classes each labels
        "scale": 0.2,
        "translate": 0.1,
        "degrees": 0.0,
        "fliplr": 0.5,
        "flipud": 0.5,
        "hsv_h": 0.02,
        "hsv_s": 0.5,
        "hsv_v": 0.4,
    }
    values = {
        "run": str(run.resolve()),
        "data": str(data.resolve()),
        "architecture": recipe.architecture,
        "width": recipe.width,
        "classes": CITY_CLASSES,
        "threads": recipe.threads,
        "bfloat16": recipe.bfloat16,
        "device": recipe.device,
        "seed": recipe.seed,
        "weights": str(weights.resolve()) if weights else None,
        "resume": resume,
        "export_only": False,
        "export_width_px": recipe.export_width_px,
        "export_height_px": recipe.export_height_px,
        "settings": settings,
    }
    job.write_text(json.dumps(values, indent=1))
    return job


def _events(interpreter: Path, run: Path, job: Path) -> Iterator[dict[str, Any]]:
    """Lines of the training process as they come; its other output goes to `run`/process.log."""
    with (run / "process.log").open("a") as log:
        process = subprocess.Popen(
            [str(interpreter), str(PROCESS), str(job)], stdout=subprocess.PIPE, stderr=log, text=True
        )
        assert process.stdout is not None
        try:
            for line in process.stdout:
                if line.startswith("{"):
                    yield json.loads(line)
            if process.wait() != 0:
                raise ModelError(f"training ended with {process.returncode}; see {run / 'process.log'}")
        finally:
            process.stdout.close()
            if process.poll() is None:
                process.terminate()
                process.wait()
