"""Measures how good places are, real and simulated, as tables for docs/accuracy.md.

    .venv/bin/python scripts/measure_accuracy.py --data ../shared/data
    .venv/bin/python scripts/measure_accuracy.py --fixes fixes.csv --markers gcps.csv

Real: single-picture fixes of OpenAthena on a Skydio X2 with surveyed points. Simulated: the sensor errors of simulated
vehicles, their truth known. The same call gives the same figures.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from geo.accuracy import Coverage, SigmaFit, circular_error_m, distances2
from geo.positions import distance_m
from integrations.fix_trials import (
    GATE_M,
    SURVEY_SIGMA_M,
    Picks,
    fitted,
    fused_gain,
    identified,
    impossible_joins,
    joined_errors_m,
    unbiased,
)
from integrations.openathena import Fix, Marker, published_angles_deg, published_place, read_fixes, read_markers
from simulators.sighting_trials import SETTINGS, WATCHES, fused_looks, looks_among_buildings, single_looks

DEPRESSIONS_DEG = (90.0, 45.0, 25.0)
GATES_M = (6.0, 7.0, GATE_M, 9.0, 10.0, 12.0)
DRAWS = 4000
"""Of photos, with replacement, for an interval that takes photos and not pixels as independent."""


def main() -> int:
    """Measure what is asked for and write tables to stdout."""
    asked = _arguments()
    folder = asked.data / "flight" / "openathena_accuracy"
    fixes = asked.fixes or ([folder / "fixes_half.csv"] if folder.is_dir() else [])
    markers = asked.markers or ([folder / "gcps_half.csv"] if folder.is_dir() else [])
    if fixes and not asked.simulated_only:
        real([fix for path in fixes for fix in read_fixes(path)], [m for path in markers for m in read_markers(path)])
    elif not asked.simulated_only:
        say(f"no fixes in {folder}: give --data or --fixes")
    if not asked.real_only:
        simulated(range(asked.seeds), asked.looks, range(asked.watches))
    return 0


def real(fixes: Sequence[Fix], listed: Sequence[Marker]) -> None:
    """Tables of the recorded fixes."""
    markers = list({marker.name: marker for marker in (*listed, *(fix.joined for fix in fixes))}.values())
    say(f"## Real: {len(fixes)} fixes of {len({fix.photo for fix in fixes})} photos, {len(markers)} surveyed points")
    _agreement(fixes)
    theirs, ours = joined_errors_m(fixes, markers)
    picks = identified(fixes, markers)
    train, test = picks[~picks.test], picks[picks.test]
    table(
        "Against surveyed points",
        ("set", "n", "CE50 m, published", "CE90 m, published", "CE50 m, ours", "CE90 m, ours"),
        [
            ("all rows, marker as joined in the file", len(fixes), *_circular(theirs), *_circular(ours)),
            *(
                (name, len(part.sights), *_circular(part.published_m), *_circular(part.errors_m))
                for name, part in (("marker identified", picks), ("of these, to fit on", train), ("to test on", test))
            ),
            *(
                (f"gate {gate_m:g} m instead of {GATE_M:g} m", len(other.sights), *_circular(other.published_m),
                 *_circular(other.errors_m))
                for gate_m in (7.0, 10.0)
                for other in [identified(fixes, markers, gate_m=gate_m)]
            ),
        ],
    )  # fmt: skip
    say(f"Rows joined to a marker that another pixel of the same photo is joined to: {impossible_joins(fixes)}.")
    fit, other_fit = fitted(train), fitted(test)
    say("Scales fitted on the first part: " + ", ".join(f"{name} {scale:.2f}" for name, scale in fit.scales.items())
        + f"; share that stays for a flight {fit.stays:.2f}")  # fmt: skip
    folds = ((test, train, fit), (train, test, other_fit))
    _coverages(picks, test, fit, other_fit, train)
    _coverages_by_gate({gate_m: identified(fixes, markers, gate_m=gate_m) for gate_m in GATES_M})
    _biases(folds)
    _gains(folds)


def simulated(seeds: range, looks: int, watches: range) -> None:
    """Tables of the simulated vehicles."""
    rows = []
    for setting in SETTINGS:
        for depression_deg in DEPRESSIONS_DEG:
            trial = single_looks(setting, depression_deg, seeds=seeds, looks=looks)
            coverage = Coverage.of(trial.errors_m, trial.covariances_m2)
            rows.append(
                (setting.name, f"{depression_deg:g}", coverage.count, *_circular(trial.errors_m), told(coverage))
            )
            progress(f"single looks: {setting.name}, {depression_deg:g} deg")
    title = f"Single looks from 80 m, {len(seeds)} seeds"
    table(title, ("setting", "depression deg", "n", "CE50 m", "CE90 m", "inside the 90 % ellipse"), rows)
    _among_buildings(seeds, looks)
    fused_rows = []
    for setting in SETTINGS:
        for depression_deg in DEPRESSIONS_DEG:
            for watch in WATCHES:
                one, many = fused_looks(setting, depression_deg, watch, seeds=watches)
                first, fused = (circular_error_m(trial.errors_m, 0.5) for trial in (one, many))
                coverage = Coverage.of(many.errors_m, many.covariances_m2)
                fused_rows.append((
                    setting.name, f"{depression_deg:g}", watch.name, coverage.count, f"{first:.2f}", f"{fused:.2f}",
                    f"{fused / first:.2f}", told(coverage),
                ))  # fmt: skip
                progress(f"watches: {setting.name}, {depression_deg:g} deg, {watch.name}")
    columns = (
        "setting",
        "depression deg",
        "watch",
        "n",
        "CEP m, first look",
        "CEP m, fused",
        "ratio",
        "inside the 90 % ellipse",
    )
    table("Many looks fused", columns, fused_rows)


def _among_buildings(seeds: range, looks: int) -> None:
    rows = []
    for setting in SETTINGS:
        for depression_deg in DEPRESSIONS_DEG:
            parts = looks_among_buildings(setting, depression_deg, seeds=seeds, looks=looks // 2)
            for name, part in zip(("open ground and roofs", "at walls"), parts, strict=True):
                coverage = Coverage.of(part.errors_m, part.covariances_m2)
                rows.append((
                    setting.name, f"{depression_deg:g}", name, coverage.count, *_circular(part.errors_m), told(coverage)
                ))  # fmt: skip
            progress(f"among buildings: {setting.name}, {depression_deg:g} deg")
    columns = ("setting", "depression deg", "where", "n", "CE50 m", "CE90 m", "inside the 90 % ellipse")
    table(f"Single looks from 80 m among buildings, {len(seeds)} seeds", columns, rows)


def _agreement(fixes: Sequence[Fix]) -> None:
    angles = np.abs([np.subtract(published_angles_deg(fix), fix.angles_deg) for fix in fixes])
    places = [
        float(distance_m(*published_place(fix), fix.found.lon, fix.found.lat))
        for fix in fixes
    ]  # fmt: skip
    table(
        "The published answer, reckoned again the published way",
        ("what", "n", "median", "90 %", "largest"),
        [
            ("angle right of the axis, deg", len(fixes), *_quantiles(angles[:, 0], 4)),
            ("angle above the axis, deg", len(fixes), *_quantiles(angles[:, 1], 4)),
            ("place, from pose and ray, m", len(fixes), *_quantiles(places, 2)),
        ],
    )


def _coverages(picks: Picks, test: Picks, fit: SigmaFit, other_fit: SigmaFit, train: Picks) -> None:
    first, second = test.scaled(fit).coverage(), train.scaled(other_fit).coverage()
    both = Coverage.counted(first.inside + second.inside, first.count + second.count)
    table(
        "Inside the 90 % ellipse",
        ("sigmas", "set", "n", "share and 95 % interval"),
        [
            ("as given before, nothing fitted", "all identified", len(picks.sights), told(picks.coverage())),
            ("fitted on the other part", "to test on", first.count, told(first)),
            ("fitted on the other part, both ways", "all identified", both.count, told(both)),
        ],
    )


def _coverages_by_gate(by_gate: Mapping[float, Picks]) -> None:
    rows = []
    for gate_m, picks in by_gate.items():
        covariances = [np.array(sight.location.covariance_m2)[:2, :2] for sight in picks.sights]
        inside = distances2(picks.errors_m, np.array(covariances) + SURVEY_SIGMA_M**2 * np.eye(2)) < -2 * np.log(0.1)
        low, high = _drawn_by(picks.photos, inside)
        rows.append((f"{gate_m:g}", len(inside), told(picks.coverage()), f"{low:.3f} to {high:.3f}"))
    table(
        "Inside the 90 % ellipse, nothing fitted, by how near a marker has to be",
        ("gate m", "n", "share and 95 % interval", "95 % interval, photos drawn"),
        rows,
    )


def _drawn_by(groups: Sequence[str], inside: NDArray[np.bool_]) -> tuple[float, float]:
    """95 % interval of the share of `inside` (n,) when groups are drawn again (Efron, 1979)."""
    names, member = np.unique(groups, return_inverse=True)
    held, count = np.bincount(member, inside), np.bincount(member)
    drawn = np.random.default_rng(1).integers(0, len(names), (DRAWS, len(names)))
    low, high = np.quantile(held[drawn].sum(axis=1) / count[drawn].sum(axis=1), [0.025, 0.975])
    return float(low), float(high)


def _biases(folds: Sequence[tuple[Picks, Picks, SigmaFit]]) -> None:
    rows, errors, singles, inside = [], [], [], []
    for name, (asked, told_of, fit) in zip(("to test on", "both ways"), folds, strict=True):
        found, coverage = unbiased(asked.scaled(fit), told_of.scaled(fit), fit)
        errors.append(found)
        singles.append(asked.errors_m)
        inside.append(coverage)
        whole = Coverage.counted(sum(c.inside for c in inside), sum(c.count for c in inside))
        before, after = np.concatenate(singles), np.concatenate(errors)
        rows.append((name, len(after), *_circular(before), *_circular(after), told(whole)))
    table(
        "Biases of each flight told by photos of the other part (MAP)",
        ("set", "n", "CE50 m, single", "CE90 m, single", "CE50 m, biases removed", "CE90 m, biases removed", "inside"),
        rows,
    )


def _gains(folds: Sequence[tuple[Picks, Picks, SigmaFit]]) -> None:
    rows = []
    for name, (asked, _, fit) in zip(("to test on", "the other part"), folds, strict=True):
        gain = fused_gain(asked.scaled(fit), fit)
        single, fused = float(np.median(gain.single_m)), float(np.median(gain.fused_m))
        rows.append((
            name, len(gain.looks), int(gain.looks.sum()), f"{single:.2f}", f"{fused:.2f}", f"{fused / single:.2f}",
            told(gain.coverage),
        ))  # fmt: skip
    columns = ("set", "markers", "looks", "median error m, single", "median error m, fused", "ratio", "inside")
    table("Looks from several photos at one marker, fused", columns, rows)


def _circular(errors_m: object) -> tuple[str, str]:
    errors = np.asarray(errors_m, float)
    return f"{circular_error_m(errors, 0.5):.2f}", f"{circular_error_m(errors, 0.9):.2f}"


def _quantiles(values: object, digits: int) -> tuple[str, ...]:
    return tuple(f"{value:.{digits}f}" for value in np.quantile(np.asarray(values, float), [0.5, 0.9, 1.0]))


def told(coverage: Coverage) -> str:
    """A coverage as tables have it."""
    return f"{coverage.share:.3f} ({coverage.low:.3f} to {coverage.high:.3f})"


def table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table in Markdown."""
    say(f"\n### {title}\n")
    for cells in (columns, ["---"] * len(columns), *rows):
        say("| " + " | ".join(str(cell) for cell in cells) + " |")
    say("")


def say(text: str) -> None:
    """A line of the report."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def progress(text: str) -> None:
    """A line for who waits."""
    sys.stderr.write(text + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument(
        "--data", type=Path, default=Path("../shared/data"), help="folder with flight/openathena_accuracy"
    )
    parser.add_argument("--fixes", type=Path, nargs="+", help="CSV files of fixes instead")
    parser.add_argument(
        "--markers", type=Path, nargs="+", help="CSV files of surveyed points, besides those of the rows"
    )
    parser.add_argument("--seeds", type=int, default=20, help="flights of single looks in each cell")
    parser.add_argument("--looks", type=int, default=200, help="single looks of each flight")
    parser.add_argument("--watches", type=int, default=60, help="watches in each cell")
    parser.add_argument("--real-only", action="store_true")
    parser.add_argument("--simulated-only", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
