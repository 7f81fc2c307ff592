"""`missioncontrol models ...`: the catalogue of detectors, their training and evaluation."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from missioncontrol.terminal import Json, answer, bars, listing

models_app = typer.Typer(help="The catalogue of detectors, and their training.", no_args_is_help=True)

Pictures = Annotated[
    Path | None, typer.Option(help="Folder of real labelled pictures, as the model card lists them; left out if none.")
]
TUNE_SEEDS, TEST_SEEDS = "1900-1907", "2000-2007"
VIEWS = {"any-view": 0.0, "survey": 1.0}
"""Sets of held-out frames: the share of them that is taken straight down, as a survey does."""


@models_app.command("list")
def models_list(as_json: Json = False) -> None:
    """List the detectors of the catalogue with what was measured of them.

    Example: missioncontrol models list --json
    """
    from aerial_models.catalogue import catalogue

    found = catalogue()
    lines = []
    for entry in found:
        lines.append(f"{entry.name}  {entry.licence}  {entry.sha256[:12]}  {', '.join(entry.classes)}")
        for measured in entry.measured:
            figures = ", ".join(
                f"{name} {of.ap50:.2f}" for name, of in measured.per_class.items() if of.ap50 is not None
            )
            lines.append(f"  {measured.name} ({measured.pictures} pictures), AP50: {figures}")
    listing(found, as_json, lines, "no models")


@models_app.command("train")
def models_train(
    out: Annotated[Path, typer.Option(help="Folder of the run: frames, crops, checkpoints, figures.")] = Path(
        "var/city-nano"
    ),
    seeds: Annotated[str, typer.Option(help="Worlds to render frames of.")] = "1000-1079",
    per_seed: Annotated[int, typer.Option(min=1, help="Frames of each world.")] = 24,
    frames: Annotated[list[Path] | None, typer.Option(help="Folder of frames rendered before, instead.")] = None,
    pictures: Pictures = None,
    minutes: Annotated[float | None, typer.Option(help="Length of training; whole epochs if not given.")] = None,
    weights: Annotated[Path | None, typer.Option(help="Weights (.pt) to start from, instead of random ones.")] = None,
    resume: Annotated[bool, typer.Option(help="Go on with an interrupted run.")] = False,
    publish: Annotated[
        bool, typer.Option(help="Put the model into the catalogue and its figures into its card, replacing the old.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Train the city detector on rendered frames and real pictures, and measure it; hours on two cores.

    Example: missioncontrol models train --pictures pictures --out var/city-nano --minutes 60
    """
    from aerial_models.publishing import publish as publish_entry
    from aerial_models.publishing import train_and_measure, write_figures
    from aerial_models.training import Progress, Recipe, training_python

    training_python()
    if weights is not None and not weights.is_file():
        raise typer.BadParameter(f"there is no file {weights}", param_hint="--weights")
    folders = frames or [rendered(out / "frames", seeds, per_seed)]
    with bars() as progress:
        task = progress.add_task("training", total=None)

        def show(now: Progress) -> None:
            progress.update(task, description=now.event, completed=now.done, total=now.total or None)

        entry = train_and_measure(
            "city-nano",
            out,
            folders,
            datetime.now(UTC).date().isoformat(),
            tune_frames=[rendered(out / "tune" / view, TUNE_SEEDS, 24, share) for view, share in VIEWS.items()],
            test_frames=[rendered(out / "test" / view, TEST_SEEDS, 24, share) for view, share in VIEWS.items()],
            pictures=pictures,
            recipe=Recipe(minutes=minutes),
            weights=weights,
            resume=resume,
            progress=show,
        )
    if publish:
        entry = publish_entry(entry)
        write_figures(entry, Path(entry.card))
    answer(entry, as_json, f"{entry.path}\n{(out / 'evaluation.json')}")


@models_app.command("evaluate")
def models_evaluate(
    model: Annotated[str, typer.Option(help="Name in the catalogue, see `models list`.")] = "city-nano",
    frames: Annotated[list[Path] | None, typer.Option(help="Folder of labelled frames rendered before.")] = None,
    seeds: Annotated[str, typer.Option(help="Otherwise: worlds to render frames of.")] = TEST_SEEDS,
    per_seed: Annotated[int, typer.Option(min=1, help="Frames of each world.")] = 24,
    pictures: Pictures = None,
    runtime: Annotated[str, typer.Option(help="auto, openvino, onnxruntime or onnxruntime-gpu.")] = "auto",
    out: Annotated[Path, typer.Option(help="Folder for the rendered frames and evaluation.json.")] = Path(
        "var/evaluation"
    ),
    as_json: Json = False,
) -> None:
    """Measure a detector per class on frames of held-out worlds and on real pictures.

    Example: missioncontrol models evaluate --model city-nano --pictures pictures --json
    """
    from aerial_models.catalogue import entry
    from aerial_models.evaluation import evaluate, write

    chosen = entry(model)
    folders = frames or [rendered(out / view, seeds, per_seed, share) for view, share in VIEWS.items()]
    with bars() as progress:
        task = progress.add_task("looking", total=None)
        evaluation = evaluate(
            chosen,
            folders,
            pictures,
            runtime=runtime,
            progress=lambda name, done, total: progress.update(task, description=name, completed=done, total=total),
        )
    out.mkdir(parents=True, exist_ok=True)
    write(evaluation, out / "evaluation.json")
    answer(evaluation, as_json, msgspec.json.format(msgspec.json.encode(evaluation), indent=1).decode())


def rendered(folder: Path, seeds: str, per_seed: int, survey_share: float = 0.7) -> Path:
    """The folder with frames rendered into it by the simulators' own command, unless they are there already."""
    from aerial_models.training import render

    if (folder / "labels").is_dir():
        return folder
    command = [sys.executable, "-m", "simulators.training_frames", "--seeds", seeds, "--per-seed", str(per_seed)]
    return render([*command, "--survey-share", str(survey_share), "--out", "{out}"], folder)
