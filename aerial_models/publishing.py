"""From a trained file to a model of the catalogue: its entry, and the figures of its card.

Every figure comes from an evaluation's file; none is typed by hand.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from aerial_models import catalogue
from aerial_models.catalogue import ModelEntry, SetFigures
from aerial_models.datasets import CITY_CLASSES, PICTURE_SETS
from aerial_models.errors import ModelCorrupt
from aerial_models.evaluation import Evaluation, evaluate, write
from aerial_models.recall import PassRecall, SizeRecall, lower_bound
from aerial_models.training import Progress, Recipe, train

FIGURES_BEGIN, FIGURES_END = "<!-- figures -->", "<!-- end of figures -->"
LICENCE = (
    "AGPL-3.0: trained with ultralytics, whose licence claims the weights made with it. Some pictures it learned from "
    "are for non-commercial use (CC BY-NC) or state no licence. Retrain from rendered frames alone for other terms"
)


def candidate(onnx: Path, name: str, manifest: Path, created: str, start: Path | None = None) -> ModelEntry:
    """The entry of a freshly trained model, before it was measured; `start` are the weights its training began from."""
    record = json.loads(manifest.read_text())
    recipe = msgspec.convert(record["recipe"], Recipe)
    used = [s for s in PICTURE_SETS if record["pictures"].get(s.folder)]
    seeds = record["worlds"]
    data = [f"{record['frames']} rendered frames of simulated worlds, seeds {seeds[0]} to {seeds[-1]}"] if seeds else []
    data += [f"{record['pictures'][s.folder]} pictures of {s.folder}: {s.licence}" for s in used]
    return ModelEntry(
        name=name,
        file=str(onnx.resolve()),
        sha256=hashlib.sha256(onnx.read_bytes()).hexdigest(),
        kind="yolo",
        classes=CITY_CLASSES,
        input_width_px=recipe.export_width_px,
        input_height_px=recipe.export_height_px,
        thresholds=dict.fromkeys(CITY_CLASSES, 0.25),
        licence=LICENCE,
        training_data=tuple(data),
        training={
            "architecture": f"{recipe.architecture} at width {recipe.width}",
            "start": f"weights {hashlib.sha256(start.read_bytes()).hexdigest()}" if start else "random weights",
            "recipe": msgspec.json.encode(recipe).decode(),
            "crops": f"{len(record['train'])} of {recipe.crop_width_px}x{recipe.crop_height_px} px",
            "manifest_sha256": hashlib.sha256(manifest.read_bytes()).hexdigest(),
        },
        created=created,
        card=f"docs/models/{name}.md",
    )


def train_and_measure(
    name: str,
    run: Path,
    frames: Sequence[Path],
    created: str,
    *,
    tune_frames: Sequence[Path] = (),
    test_frames: Sequence[Path] = (),
    pictures: Path | None = None,
    recipe: Recipe | None = None,
    python: Path | None = None,
    weights: Path | None = None,
    resume: bool = False,
    progress: Callable[[Progress], None] = lambda _: None,
) -> ModelEntry:
    """Train, choose thresholds on `tune_frames`, judge on `test_frames` and the held-out pictures.

    Leaves model.onnx, evaluation.json and entry.json in `run`; `publish` takes the returned entry into the catalogue.
    """
    trained = train(
        frames, run, recipe, pictures=pictures, python=python, weights=weights, resume=resume, progress=progress
    )
    entry = candidate(trained.onnx, name, trained.manifest, created, weights)
    evaluation = evaluate(
        entry,
        test_frames,
        pictures,
        tune_frames,
        progress=lambda what, done, total: progress(Progress(what, done, total)),
    )
    write(evaluation, run / "evaluation.json")
    entry = measured(entry, evaluation)
    (run / "entry.json").write_bytes(msgspec.json.format(msgspec.json.encode(entry), indent=1))
    return entry


def measured(entry: ModelEntry, evaluation: Evaluation) -> ModelEntry:
    """The entry with the thresholds and figures of its evaluation. Raises ModelCorrupt if that was of other weights."""
    if evaluation.sha256 != entry.sha256:
        raise ModelCorrupt(f"the evaluation is of weights {evaluation.sha256}, {entry.name} has {entry.sha256}")
    return msgspec.structs.replace(
        entry, thresholds=evaluation.thresholds, measured=evaluation.sets, inference=evaluation.inference
    )


def publish(entry: ModelEntry, weights: Path = catalogue.WEIGHTS, file: Path = catalogue.CATALOGUE) -> ModelEntry:
    """Copy the weights beside the catalogue and write the entry into it, in the place of one of the same name."""
    weights.mkdir(parents=True, exist_ok=True)
    target = weights / f"{entry.name}.onnx"
    if entry.path.resolve() != target.resolve():
        shutil.copyfile(entry.path, target)
    shipped = msgspec.structs.replace(entry, file=target.name)
    others = [m for m in catalogue.read(file) if m.name != entry.name] if file.exists() else []
    file.write_bytes(msgspec.json.format(msgspec.json.encode([*others, shipped]), indent=1) + b"\n")
    return shipped


def write_figures(entry: ModelEntry, card: Path) -> None:
    """Replace what stands between the marks of a model card by the entry's figures."""
    text = card.read_text()
    head, begin, rest = text.partition(FIGURES_BEGIN)
    _, end, tail = rest.partition(FIGURES_END)
    if not begin or not end:
        raise ModelCorrupt(f"{card} has no place for figures: `{FIGURES_BEGIN}` ... `{FIGURES_END}`")
    card.write_text(f"{head}{begin}\n{figures_text(entry)}{end}{tail}")


def figures_text(entry: ModelEntry) -> str:
    """Thresholds, figures and times of an entry as Markdown."""
    parts = [
        f"Weights: sha256 `{entry.sha256}`, made {entry.created}.\n",
        "Operating thresholds: " + ", ".join(f"{c} {entry.thresholds[c]:g}" for c in entry.classes) + ".\n",
    ]
    parts += [_table(s) for s in entry.measured]
    parts += [_recall_table(recall) for recall in entry.recall]
    rows = [f"| {t.runtime} | {t.threads} | {t.median_ms:g} |" for t in entry.inference]
    parts.append(_lines("### Time of one picture of 1280x720 px, ms", "| runtime | threads | median |", rows))
    return "\n".join(parts)


def _recall_table(recall: PassRecall) -> str:
    """Found at least once and at least three times, by size and number of looks."""
    said = (
        f"{recall.what}: {len(recall.seeds)} worlds, things of {recall.area_m2[0]:g} to {recall.area_m2[1]:g} m2, GSD"
        f" {100 * recall.gsd_m[0]:g} to {100 * recall.gsd_m[1]:g} cm, at most {recall.off_nadir_most_deg:g} deg off"
        f" nadir, threshold {recall.threshold:g}. Size is the root of the area over the GSD; in brackets the lower"
        " bound at 95 % (Clopper-Pearson). Misses are not independent: more looks at a thing help little."
    )
    rows = [
        f"| {size.from_px:g} to {size.to_px:g} | {size.things[0]} | {_share(size, 1, 1)} | {_share(size, 1, 5)} |"
        f" {_share(size, 3, 5)} |"
        for size in recall.sizes
    ]
    header = "| size, px | things | 1 of 1 look | 1 of 5 | 3 of 5 |"
    return _lines(f"### Recall of {recall.name} in passes\n\n{said}", header, rows)


def _share(size: SizeRecall, hits: int, looks: int) -> str:
    column = min(looks, len(size.things)) - 1
    found, of = size.found[hits - 1][column], size.things[column]
    return f"{found / of:.2f} ({lower_bound(found, of, 0.95):.2f})"


def _table(figures: SetFigures) -> str:
    rows = [
        f"| {name} | {f.truth} | {_show(f.ap50)} | {_show(f.recall)} | {_show(f.precision)} "
        f"| {f.false_per_picture:.2f} |"
        for name, f in figures.per_class.items()
    ]
    head = "| class | things | AP50 | recall | precision | false per picture |"
    return _lines(f"### {figures.name}: {figures.pictures} pictures\n\n{figures.what}.", head, rows)


def _lines(title: str, head: str, rows: Sequence[str]) -> str:
    rule = "|" + " --- |" * (head.count("|") - 1)
    return "\n".join([title, "", head, rule, *rows, ""])


def _show(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
